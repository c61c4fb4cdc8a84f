#include "jmap/set64.h"

#include <stdlib.h>

#include "base/must.h"

static size_t slot(const struct jmap_set64 *s, uint64_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15u;
	size_t at = (size_t)(hash >> 17) & (s->cap - 1);

	while (s->keys[at] && s->keys[at] != key)
		at = (at + 1) & (s->cap - 1);
	return at;
}

static void grow(struct jmap_set64 *s)
{
	struct jmap_set64 old = *s;

	s->cap = old.cap ? 2 * old.cap : 64;
	s->keys = must_alloc(s->cap * sizeof *s->keys);
	s->values = must_alloc(s->cap * sizeof *s->values);
	for (size_t i = 0; i < old.cap; i++) {
		size_t at;

		if (!old.keys[i])
			continue;
		at = slot(s, old.keys[i]);
		s->keys[at] = old.keys[i];
		s->values[at] = old.values[i];
	}
	free(old.keys);
	free(old.values);
}

uint32_t *jmap_set64_at(struct jmap_set64 *s, uint64_t key, bool *out_is_new)
{
	size_t at;

	if (key == 0) {
		*out_is_new = !s->has_zero;
		s->has_zero = true;
		return &s->zero;
	}
	if (2 * (s->n + 1) > s->cap)
		grow(s);
	at = slot(s, key);
	*out_is_new = s->keys[at] == 0;
	if (*out_is_new) {
		s->keys[at] = key;
		s->n++;
	}
	return &s->values[at];
}

bool jmap_set64_has(const struct jmap_set64 *s, uint64_t key)
{
	if (key == 0)
		return s->has_zero;
	return s->cap && s->keys[slot(s, key)] == key;
}

void jmap_set64_fini(struct jmap_set64 *s)
{
	free(s->keys);
	free(s->values);
	*s = (struct jmap_set64){0};
}
