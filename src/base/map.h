/*
 * Hash map from byte strings to pointers; keys are copied, values are the caller's. Keyed SipHash-like
 * hashing against collisions chosen by a peer: call map_seed once per process before the first map.
 */
#pragma once

#include "base/span.h"

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t n, cap, dead;
};

void map_seed(const unsigned char key[16]);

void map_init(struct map *m);
/* Frees keys; calls on_value for each value when it is not NULL. */
void map_fini(struct map *m, void (*on_value)(void *value));

void *map_get(const struct map *m, struct span key); /* NULL: not there */
/* Returns the value that was there before, or NULL. value is not NULL. */
void *map_put(struct map *m, struct span key, void *value);
void *map_remove(struct map *m, struct span key);

/* Walks all: start with *cursor = 0; false at the end. The map must not change meanwhile. */
bool map_next(const struct map *m, size_t *cursor, struct span *out_key, void **out_value);

/* The hash itself, for other tables. */
uint64_t map_hash(struct span key);

static inline struct span map_key_u64(const uint64_t *key)
{
	return span_of(key, sizeof *key);
}
