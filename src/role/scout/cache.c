#include "role/scout/cache.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/must.h"

struct cache {
	struct map map;
	struct list used; /* struct entry, the longest unused first */
	size_t limit, value_bytes;
};

struct entry {
	struct list link;
	size_t key_n;
	_Alignas(16) unsigned char value[]; /* value_bytes, then the key */
};

struct cache *cache_new(size_t limit, size_t value_bytes)
{
	struct cache *c = must_alloc(sizeof *c);

	must(limit > 0);
	map_init(&c->map);
	list_init(&c->used);
	c->limit = limit;
	c->value_bytes = value_bytes;
	return c;
}

static void drop(struct cache *c, struct entry *e)
{
	must(map_remove(&c->map, span_of(e->value + c->value_bytes, e->key_n)) == e);
	list_remove(&e->link);
	free(e);
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	while (!list_is_empty(&c->used))
		drop(c, LIST_ENTRY(c->used.next, struct entry, link));
	map_fini(&c->map, NULL);
	free(c);
}

void *cache_get(struct cache *c, struct span key)
{
	struct entry *e = map_get(&c->map, key);

	if (!e)
		return NULL;
	list_remove(&e->link);
	list_append(&c->used, &e->link);
	return e->value;
}

void *cache_put(struct cache *c, struct span key)
{
	struct entry *e;
	void *value = cache_get(c, key);

	if (value)
		return value;
	if (c->map.n >= c->limit)
		drop(c, LIST_ENTRY(c->used.next, struct entry, link));
	e = must_alloc(sizeof *e + c->value_bytes + key.n);
	e->key_n = key.n;
	memcpy(e->value + c->value_bytes, key.p, key.n);
	list_append(&c->used, &e->link);
	must(map_put(&c->map, key, e) == NULL);
	return e->value;
}

size_t cache_count(const struct cache *c)
{
	return c->map.n;
}
