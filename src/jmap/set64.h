/* A set of numbers with a small value each: open addressing; what is in it came from our own store. */
#pragma once

#include "base/span.h"

struct jmap_set64 {
	uint64_t *keys;
	uint32_t *values;
	size_t n, cap;
	bool has_zero;
	uint32_t zero;
};
/* The value of key; made with 0 when it is new. Lives until the next call. */
uint32_t *jmap_set64_at(struct jmap_set64 *s, uint64_t key, bool *out_is_new);
bool jmap_set64_has(const struct jmap_set64 *s, uint64_t key);
void jmap_set64_fini(struct jmap_set64 *s);
