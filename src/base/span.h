/*
 * Borrowed bytes. A span owns nothing: it dies with the arena or the next call on its source.
 * Nothing here allocates.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct span {
	const unsigned char *p;
	size_t n;
};

#define SPAN_NONE     ((struct span){NULL, 0})
#define SPAN_LIT(lit) ((struct span){(const unsigned char *)("" lit), sizeof(lit) - 1})
/* For printf("%.*s"): SPAN_FMT(s). Only for bytes known to be text. */
#define SPAN_FMT(s) (int)(s).n, (const char *)((s).p ? (s).p : (const unsigned char *)"")

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){p, n};
}

static inline struct span span_str(const char *text)
{
	return (struct span){(const unsigned char *)text, text ? strlen(text) : 0};
}

static inline bool span_is_empty(struct span s)
{
	return s.n == 0;
}

bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b); /* ASCII letters only */
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);

/* Like memcmp, the shorter of two equal beginnings first. */
int span_cmp(struct span a, struct span b);

/* Index of the first (last) byte c, or -1. */
ssize_t span_chr(struct span s, unsigned char c);
ssize_t span_rchr(struct span s, unsigned char c);

/* The part from byte at (at most s.n), and the first n bytes (at most s.n). */
struct span span_from(struct span s, size_t at);
struct span span_first(struct span s, size_t n);

/* Without the spaces and tabs (and CR, LF) at both ends. */
struct span span_trim(struct span s);

/* Splits at the first c: returns what stands before it, and *rest becomes what follows (empty: none left). */
struct span span_cut(struct span *rest, unsigned char c);

/* Decimal digits only, at least one, no sign, at most max. False leaves *out_value alone. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *out_value);
