#include "base/arena.h"

#include <stdlib.h>

#include "base/must.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_BLOCK 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_BLOCK 0
#endif
#endif
#ifndef ARENA_BLOCK
#define ARENA_BLOCK 4064
#endif

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){.limit = limit_bytes};
}

void arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	/* One plain block is kept: the usual event allocates and frees nothing. */
	while (b && (b->next || b->size != ARENA_BLOCK || ARENA_BLOCK == 0)) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	if (b)
		b->used = 0;
	a->blocks = b;
	a->used = 0;
}

void arena_fini(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a->blocks);
	a->blocks = NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t size, rounded;
	void *p;

	if (__builtin_add_overflow(n, 15, &rounded))
		return NULL;
	rounded &= ~(size_t)15;
	if (a->limit && (rounded > a->limit || a->used > a->limit - rounded))
		return NULL;
	if (!b || b->size - b->used < rounded) {
		size = rounded > ARENA_BLOCK ? rounded : ARENA_BLOCK;
		if (size > SIZE_MAX - sizeof *b)
			return NULL;
		b = malloc(sizeof *b + size);
		if (!b) {
			must(a->limit != 0);
			return NULL;
		}
		b->next = a->blocks;
		b->used = 0;
		b->size = size;
		a->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += rounded;
	a->used += rounded;
	memset(p, 0, rounded);
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(a, bytes);
}

struct span arena_span(struct arena *a, struct span s)
{
	char *copy = arena_str(a, s);

	return copy ? span_of(copy, s.n) : SPAN_NONE;
}

char *arena_str(struct arena *a, struct span s)
{
	char *copy;

	if (s.n == SIZE_MAX)
		return NULL;
	copy = arena_alloc(a, s.n + 1);
	if (copy && s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}
