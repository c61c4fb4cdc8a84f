/*
 * Memory with one lifetime: everything allocated from an arena goes when the arena is reset or ended.
 * Three lifetimes use it: event (reset when the callback returns), transaction (ended as a whole), object.
 * A limit bounds what a peer can make us allocate: beyond it arena_alloc returns NULL.
 * Under ASan every allocation is a malloc block of its own, so that overruns are seen.
 */
#pragma once

#include "base/span.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used;  /* bytes handed out since the last reset */
	size_t limit; /* 0: none; then a failed allocation ends the process */
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_fini(struct arena *a); /* accepts a zeroed one */
void arena_reset(struct arena *a);

/* Zeroed, aligned to 16. NULL only when a limit is set and reached. */
void *arena_alloc(struct arena *a, size_t n);
/* n x size, checked for overflow (NULL). */
void *arena_array(struct arena *a, size_t n, size_t size);
/* Copies; the copy of a string ends in a NUL that is not counted. NULL .p only when the limit is reached. */
struct span arena_span(struct arena *a, struct span s);
char *arena_str(struct arena *a, struct span s);
