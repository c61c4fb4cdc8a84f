/*
 * Owned bytes that grow. For sizes a peer decides, set a limit first: buf_append then fails instead of
 * growing past it. Without a limit a failed allocation ends the process (small own allocations only).
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"

struct buf {
	unsigned char *p;
	size_t n;     /* bytes in use */
	size_t cap;   /* bytes allocated */
	size_t limit; /* 0: none */
};

void buf_init(struct buf *b, size_t limit_bytes);
void buf_fini(struct buf *b); /* zeroes *b; accepts a zeroed one */

/* Room for more bytes; false when the limit or memory is in the way (and *b is as before). */
bool buf_reserve(struct buf *b, size_t more) MUST_USE;

/* With a limit, false means "would pass it" and nothing was added. Without one, always true. */
bool buf_append(struct buf *b, struct span s);
bool buf_append_byte(struct buf *b, unsigned char c);
bool buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Removes the first n bytes. */
void buf_drop(struct buf *b, size_t n);
void buf_clear(struct buf *b); /* keeps the memory */

/* The bytes as a C string; adds the NUL behind the end, not counted in n. Lives until the next change. */
const char *buf_cstr(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->p, b->n};
}
