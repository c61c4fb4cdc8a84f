/*
 * Answers kept for a while: at most so many, the one not used for longest goes first. Keys are bytes, values
 * of one fixed size, zeroed when new. When a value is too old is its user's business.
 */
#pragma once

#include "base/span.h"

struct cache;

struct cache *cache_new(size_t limit, size_t value_bytes);
void cache_free(struct cache *c); /* accepts NULL */
/* NULL: not there. Values stay where they are until the next cache_put. */
void *cache_get(struct cache *c, struct span key);
void *cache_put(struct cache *c, struct span key);
size_t cache_count(const struct cache *c);
