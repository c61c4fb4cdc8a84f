#include "base/map.h"

#include <stdlib.h>

#include "base/must.h"

/* Open addressing, linear probing, at most 3/4 full counting the dead. SipHash-1-3. */

struct map_slot {
	unsigned char *key; /* NULL and value NULL: never used; NULL and dead: removed */
	size_t key_n;
	uint64_t hash;
	void *value;
	bool dead;
};

static uint64_t seed[2] = {0x736f6d6570736575, 0x646f72616e646f6d};

void map_seed(const unsigned char key[16])
{
	memcpy(seed, key, sizeof seed);
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

uint64_t map_hash(struct span key)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
			 seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
	uint64_t word;
	size_t i;

	for (i = 0; i + 8 <= key.n; i += 8) {
		memcpy(&word, key.p + i, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)key.n << 56;
	for (size_t k = i; k < key.n; k++)
		word |= (uint64_t)key.p[k] << (8 * (k - i));
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_fini(struct map *m, void (*on_value)(void *value))
{
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].value && on_value)
			on_value(m->slots[i].value);
		free(m->slots[i].key);
	}
	free(m->slots);
	*m = (struct map){0};
}

static struct map_slot *find(const struct map *m, struct span key, uint64_t hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = (size_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];

		if (!s->value && !s->dead)
			return NULL;
		if (s->value && s->hash == hash && span_eq(span_of(s->key, s->key_n), key))
			return s;
	}
}

void *map_get(const struct map *m, struct span key)
{
	struct map_slot *s = find(m, key, map_hash(key));

	return s ? s->value : NULL;
}

static struct map_slot *free_slot(struct map_slot *slots, size_t cap, uint64_t hash)
{
	size_t i = (size_t)hash & (cap - 1);

	while (slots[i].value)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static void grow(struct map *m)
{
	size_t cap = m->n * 2 >= m->cap ? (m->cap ? m->cap * 2 : 16) : m->cap;
	struct map_slot *slots = must_alloc(cap * sizeof *slots);

	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].value)
			*free_slot(slots, cap, m->slots[i].hash) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	m->dead = 0;
}

void *map_put(struct map *m, struct span key, void *value)
{
	uint64_t hash = map_hash(key);
	struct map_slot *s = find(m, key, hash);
	void *was;

	must(value != NULL);
	if (s) {
		was = s->value;
		s->value = value;
		return was;
	}
	if ((m->n + m->dead + 1) * 4 > m->cap * 3)
		grow(m);
	s = free_slot(m->slots, m->cap, hash);
	if (s->dead)
		m->dead--;
	*s = (struct map_slot){must_alloc(key.n), key.n, hash, value, false};
	if (key.n)
		memcpy(s->key, key.p, key.n);
	m->n++;
	return NULL;
}

void *map_remove(struct map *m, struct span key)
{
	struct map_slot *s = find(m, key, map_hash(key));
	void *was;

	if (!s)
		return NULL;
	was = s->value;
	free(s->key);
	*s = (struct map_slot){.dead = true};
	m->n--;
	m->dead++;
	return was;
}

bool map_next(const struct map *m, size_t *cursor, struct span *out_key, void **out_value)
{
	for (; *cursor < m->cap; (*cursor)++) {
		const struct map_slot *s = &m->slots[*cursor];

		if (s->value) {
			if (out_key)
				*out_key = span_of(s->key, s->key_n);
			*out_value = s->value;
			(*cursor)++;
			return true;
		}
	}
	return false;
}
