#include "base/span.h"

#include "base/ascii.h"

bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_nocase(struct span a, struct span b)
{
	return a.n == b.n && span_starts_nocase(a, b);
}

bool span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_first(s, prefix.n), prefix);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++) {
		if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
			return false;
	}
	return true;
}

bool span_ends_nocase(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_eq_nocase(span_from(s, s.n - suffix.n), suffix);
}

int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

ssize_t span_chr(struct span s, unsigned char c)
{
	const unsigned char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

ssize_t span_rchr(struct span s, unsigned char c)
{
	const unsigned char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

struct span span_from(struct span s, size_t at)
{
	if (at >= s.n)
		return (struct span){s.p ? s.p + s.n : NULL, 0};
	return (struct span){s.p + at, s.n - at};
}

struct span span_first(struct span s, size_t n)
{
	return (struct span){s.p, n < s.n ? n : s.n};
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s = span_from(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span span_cut(struct span *rest, unsigned char c)
{
	ssize_t at = span_chr(*rest, c);
	struct span head = *rest;

	if (at < 0) {
		*rest = span_from(*rest, rest->n);
		return head;
	}
	head.n = (size_t)at;
	*rest = span_from(*rest, (size_t)at + 1);
	return head;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *out_value)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value) || value > max)
			return false;
	}
	*out_value = value;
	return true;
}
