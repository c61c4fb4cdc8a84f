/* What commands are made of (RFC 9051 s9). Cursors over a whole command, literals inside it. */
#include "imap/server_internal.h"

#include <stdlib.h>

#include "base/ascii.h"

static bool is_atom_char(unsigned char c)
{
	return ascii_is_graph(c) && !memchr("(){%*\"\\]", c, 8);
}

static bool get_byte(struct span *c, unsigned char want)
{
	if (c->n == 0 || c->p[0] != want)
		return false;
	*c = span_from(*c, 1);
	return true;
}

bool imap_get(struct span *c, const char *text)
{
	struct span want = span_str(text);

	if (!span_starts_nocase(*c, want))
		return false;
	*c = span_from(*c, want.n);
	return true;
}

bool imap_get_space(struct span *c)
{
	return get_byte(c, ' ');
}

bool imap_get_end(const struct span *c)
{
	return c->n == 0;
}

bool imap_get_atom(struct span *c, struct span *out)
{
	size_t n = 0;

	while (n < c->n && is_atom_char(c->p[n]))
		n++;
	*out = span_first(*c, n);
	*c = span_from(*c, n);
	return n > 0;
}

static bool get_quoted(struct arena *a, struct span *c, struct span *out)
{
	unsigned char *copy;
	size_t n = 0, i = 1;

	for (; i < c->n && c->p[i] != '"'; i++) {
		if (c->p[i] == '\\' && ++i >= c->n)
			return false;
		if (c->p[i] == '\r' || c->p[i] == '\n' || c->p[i] == 0)
			return false;
		n++;
	}
	if (i >= c->n)
		return false;
	if (n == i - 1) { /* as it stands: a password is not copied */
		*out = span_of(c->p + 1, n);
		*c = span_from(*c, i + 1);
		return true;
	}
	copy = arena_alloc(a, n + 1);
	if (!copy)
		return false;
	*out = span_of(copy, n);
	for (size_t k = 1, at = 0; k < i; k++) {
		if (c->p[k] == '\\')
			k++;
		copy[at++] = c->p[k];
	}
	*c = span_from(*c, i + 1);
	return true;
}

/* "{5}" CRLF and 5 bytes, as server_input.c counted them. */
static bool get_literal(struct span *c, struct span *out)
{
	uint64_t bytes;

	(void)get_byte(c, '~');
	if (!get_byte(c, '{') || !imap_get_number(c, UINT32_MAX, &bytes))
		return false;
	(void)get_byte(c, '+');
	if (!imap_get(c, "}\r\n") || bytes > c->n)
		return false;
	*out = span_first(*c, (size_t)bytes);
	*c = span_from(*c, (size_t)bytes);
	return !memchr(out->p, 0, out->n);
}

bool imap_get_string(struct arena *a, struct span *c, struct span *out)
{
	if (c->n == 0)
		return false;
	return c->p[0] == '"' ? get_quoted(a, c, out) : get_literal(c, out);
}

static bool get_chars(struct span *c, struct span *out, bool is_pattern)
{
	size_t n = 0;

	while (n < c->n && (is_atom_char(c->p[n]) || c->p[n] == ']' ||
			    (is_pattern && (c->p[n] == '%' || c->p[n] == '*')) || c->p[n] >= 128))
		n++;
	*out = span_first(*c, n);
	*c = span_from(*c, n);
	return n > 0;
}

bool imap_get_astring(struct arena *a, struct span *c, struct span *out)
{
	if (c->n && (c->p[0] == '"' || c->p[0] == '{' || c->p[0] == '~'))
		return imap_get_string(a, c, out);
	return get_chars(c, out, false);
}

bool imap_get_list_mailbox(struct arena *a, struct span *c, struct span *out)
{
	if (c->n && (c->p[0] == '"' || c->p[0] == '{'))
		return imap_get_string(a, c, out);
	return get_chars(c, out, true);
}

bool imap_get_number(struct span *c, uint64_t max, uint64_t *out)
{
	size_t n = 0;

	while (n < c->n && ascii_is_digit(c->p[n]))
		n++;
	if (!span_to_u64(span_first(*c, n), max, out))
		return false;
	*c = span_from(*c, n);
	return true;
}

bool imap_get_mailbox(const struct imap_server *s, struct arena *a, struct span *c,
		      struct span *out)
{
	struct buf name = {.limit = MAIL_BOX_NAME_BYTES};
	struct span given;
	bool is_good;

	if (!imap_get_astring(a, c, &given))
		return false;
	if (span_eq_nocase(given, SPAN_LIT("INBOX"))) {
		*out = SPAN_LIT("INBOX");
		return true;
	}
	is_good = s->is_utf8 ? buf_append(&name, given) : imap_utf7_decode(given, &name);
	if (!is_good) /* too long, or not in its one right form: nothing has such a name */
		buf_clear(&name);
	if (span_starts_nocase(buf_span(&name), SPAN_LIT("INBOX/")))
		memcpy(name.p, "INBOX", 5);
	*out = arena_span(a, buf_span(&name));
	buf_fini(&name);
	return true;
}

/* ---- flags ---- */

static const struct {
	const char *name;
	uint32_t bit;
} system_flags[] = {
	{"\\Seen", MAIL_SEEN},	     {"\\Answered", MAIL_ANSWERED}, {"\\Flagged", MAIL_FLAGGED},
	{"\\Deleted", MAIL_DELETED}, {"\\Draft", MAIL_DRAFT},
};

static bool get_system_flag(struct span *c, uint32_t *io_flags)
{
	struct span rest = span_from(*c, 1), name;

	if (!imap_get_atom(&rest, &name))
		return false;
	name = span_of(c->p, name.n + 1);
	*c = rest;
	for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++) {
		if (span_eq_nocase(name, span_str(system_flags[i].name))) {
			*io_flags |= system_flags[i].bit;
			return true;
		}
	}
	return false;
}

static int by_text(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* Sorted, one space between; doubles (ASCII case aside: they are one keyword) go. */
static bool join_keywords(struct arena *a, struct span *words, size_t n, struct span *out)
{
	struct buf text = {0};

	qsort(words, n, sizeof *words, by_text);
	for (size_t i = 0; i < n; i++) {
		bool is_double = false;

		for (size_t k = 0; k < i && !is_double; k++)
			is_double = span_eq_nocase(words[k], words[i]);
		if (is_double)
			continue;
		if (text.n)
			(void)buf_append_byte(&text, ' ');
		(void)buf_append(&text, words[i]);
	}
	*out = arena_span(a, buf_span(&text));
	buf_fini(&text);
	return true;
}

bool imap_get_flags(struct arena *a, struct span *c, bool needs_list, uint32_t *out_flags,
		    struct span *out_keywords)
{
	struct span words[MAIL_KEYWORDS_LIMIT];
	size_t n = 0;
	bool is_list = get_byte(c, '(');

	*out_flags = 0;
	if (needs_list && !is_list)
		return false;
	if (is_list && get_byte(c, ')')) {
		*out_keywords = SPAN_NONE;
		return true;
	}
	do {
		if (c->n && c->p[0] == '\\') {
			if (!get_system_flag(c, out_flags))
				return false;
			continue;
		}
		if (n >= MAIL_KEYWORDS_LIMIT || !imap_get_atom(c, &words[n]) ||
		    words[n].n > MAIL_KEYWORD_BYTES)
			return false;
		n++;
	} while (imap_get_space(c));
	return (!is_list || get_byte(c, ')')) && join_keywords(a, words, n, out_keywords);
}

/* ---- dates ---- */

static bool get_day(struct span *c, unsigned max_digits, int64_t *out_day)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	static const unsigned char longest[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	size_t before = c->n;
	uint64_t day, year;
	unsigned month = 0;

	if (!imap_get_number(c, 31, &day) || day == 0 || before - c->n > max_digits ||
	    !get_byte(c, '-') || c->n < 3)
		return false;
	while (month < 12 &&
	       !span_eq_nocase(span_first(*c, 3), span_of(months + (size_t)month * 3, 3)))
		month++;
	if (month == 12 || day > longest[month])
		return false;
	*c = span_from(*c, 3);
	if (!get_byte(c, '-') || c->n < 4 || !imap_get_number(c, 9999, &year))
		return false;
	*out_day = imap_days((int64_t)year, month + 1, (unsigned)day);
	return true;
}

bool imap_get_date(struct span *c, int64_t *out_day)
{
	bool is_quoted = get_byte(c, '"');

	return get_day(c, 2, out_day) && (!is_quoted || get_byte(c, '"'));
}

static bool get_two(struct span *c, unsigned max, unsigned *out)
{
	uint64_t value;
	struct span two = span_first(*c, 2);

	if (two.n != 2 || !span_to_u64(two, max, &value))
		return false;
	*out = (unsigned)value;
	*c = span_from(*c, 2);
	return true;
}

/* "01-Feb-2026 10:11:12 +0100", quotes and all. */
bool imap_get_date_time(struct span *c, uint64_t *out_us)
{
	int64_t days, seconds;
	unsigned h, m, sec, zone_h, zone_m;
	bool is_west;

	if (!get_byte(c, '"'))
		return false;
	(void)get_byte(c, ' ');
	if (!get_day(c, 2, &days) || !imap_get_space(c) || !get_two(c, 23, &h) ||
	    !get_byte(c, ':') || !get_two(c, 59, &m) || !get_byte(c, ':') ||
	    !get_two(c, 60, &sec) || !imap_get_space(c) || c->n == 0)
		return false;
	is_west = c->p[0] == '-';
	if (!is_west && c->p[0] != '+')
		return false;
	*c = span_from(*c, 1);
	if (!get_two(c, 23, &zone_h) || !get_two(c, 59, &zone_m) || !get_byte(c, '"'))
		return false;
	seconds = days * 86400 + h * 3600 + m * 60 + sec;
	seconds += (is_west ? 1 : -1) * (int64_t)(zone_h * 3600 + zone_m * 60);
	if (seconds < 0)
		seconds = 0;
	*out_us = (uint64_t)seconds * 1000000;
	return true;
}

bool imap_get_objectid(struct span *c, struct span *out)
{
	size_t n = 0;

	while (n < c->n && (ascii_is_alnum(c->p[n]) || c->p[n] == '_' || c->p[n] == '-'))
		n++;
	*out = span_first(*c, n);
	*c = span_from(*c, n);
	return n > 0 && n <= 255;
}
