#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

void buf_init(struct buf *b, size_t limit_bytes)
{
	*b = (struct buf){.limit = limit_bytes};
}

void buf_fini(struct buf *b)
{
	if (!b)
		return;
	free(b->p);
	*b = (struct buf){0};
}

bool buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	unsigned char *p;

	if (__builtin_add_overflow(b->n, more, &need))
		return false;
	if (b->limit && need > b->limit)
		return false;
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : 256;
	while (cap < need) {
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	}
	p = realloc(b->p, cap);
	if (!p)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

bool buf_append(struct buf *b, struct span s)
{
	if (!buf_reserve(b, s.n)) {
		must(b->limit != 0);
		return false;
	}
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return true;
}

bool buf_append_byte(struct buf *b, unsigned char c)
{
	return buf_append(b, span_of(&c, 1));
}

bool buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	must(n >= 0);
	if (!buf_reserve(b, (size_t)n + 1)) {
		must(b->limit != 0);
		return false;
	}
	va_start(args, format);
	(void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, format, args);
	va_end(args);
	b->n += (size_t)n;
	return true;
}

void buf_drop(struct buf *b, size_t n)
{
	must(n <= b->n);
	b->n -= n;
	if (b->n && n)
		memmove(b->p, b->p + n, b->n);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
}

const char *buf_cstr(struct buf *b)
{
	if (b->n == b->cap) {
		size_t limit = b->limit;

		b->limit = 0;
		must(buf_reserve(b, 1));
		b->limit = limit;
	}
	b->p[b->n] = '\0';
	return (const char *)b->p;
}
