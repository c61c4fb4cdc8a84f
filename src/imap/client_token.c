/*
 * What responses are made of (RFC 3501 s9, RFC 9051 s9): atoms, strings, numbers, parenthesised lists. The walk never
 * leaves the response, never recurses, and stops at the first thing that is not as the grammar has it.
 */
#include "imap/client_internal.h"

#include "base/ascii.h"

enum { KEYWORD_BYTES = 64, KEYWORDS_BYTES = 8192 };

bool imap_peek(const struct imap_cursor *c, char byte)
{
	return c->at < c->end && *c->at == (unsigned char)byte;
}

bool imap_take(struct imap_cursor *c, char byte)
{
	if (!imap_peek(c, byte))
		return false;
	c->at++;
	return true;
}

static bool is_atom_char(unsigned char b)
{
	return b > 32 && b < 127 && !strchr("(){%*\"\\]", b);
}

bool imap_is_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_atom_char(s.p[i]))
			return false;
	}
	return s.n > 0;
}

bool imap_take_number(struct imap_cursor *c, uint64_t max, uint64_t *out)
{
	const unsigned char *from = c->at;

	while (c->at < c->end && ascii_is_digit(*c->at) && c->at - from < 21)
		c->at++;
	return span_to_u64(span_of(from, (size_t)(c->at - from)), max, out);
}

bool imap_take_atom(struct imap_cursor *c, struct span *out)
{
	const unsigned char *from = c->at;

	while (c->at < c->end && is_atom_char(*c->at))
		c->at++;
	*out = span_of(from, (size_t)(c->at - from));
	return out->n > 0;
}

bool imap_take_flag(struct imap_cursor *c, struct span *out)
{
	const unsigned char *from = c->at;

	if (imap_take(c, '\\') && imap_take(c, '*')) {
		*out = span_of(from, 2);
		return true;
	}
	/* Servers have been seen with "]" in keywords; nothing here ends at one. */
	while (c->at < c->end && (is_atom_char(*c->at) || *c->at == ']'))
		c->at++;
	*out = span_of(from, (size_t)(c->at - from));
	return out->n > (*from == '\\');
}

static bool take_quoted(struct imap_cursor *c, struct span *out)
{
	const unsigned char *from = c->at;
	unsigned char *copy;
	size_t n = 0;

	while (c->at < c->end && *c->at != '"') {
		if (*c->at == '\r' || *c->at == '\n' || !*c->at)
			return false;
		if (*c->at == '\\' && ++c->at == c->end)
			return false;
		c->at++;
	}
	if (c->at >= c->end)
		return false;
	*out = span_of(from, (size_t)(c->at++ - from));
	if (span_chr(*out, '\\') < 0)
		return true;
	copy = arena_alloc(c->scratch, out->n);
	if (!copy)
		return false;
	for (size_t i = 0; i < out->n; i++) {
		i += from[i] == '\\';
		copy[n++] = from[i];
	}
	*out = span_of(copy, n);
	return true;
}

/* "{5}" CRLF and the bytes; behind "~" too (RFC 3516). The reader has counted them already. */
static bool take_literal(struct imap_cursor *c, struct span *out, bool *out_streamed)
{
	uint64_t n;

	if (!imap_take_number(c, IMAP_CLIENT_LITERAL_LIMIT, &n) || !imap_take(c, '}') ||
	    !imap_take(c, '\r') || !imap_take(c, '\n'))
		return false;
	*out_streamed = c->at == c->streamed;
	if (*out_streamed)
		n = 0;
	if (n > (size_t)(c->end - c->at))
		return false;
	*out = span_of(c->at, (size_t)n);
	c->at += n;
	return true;
}

bool imap_take_string(struct imap_cursor *c, struct span *out, bool *out_streamed)
{
	*out_streamed = false;
	if (imap_take(c, '"'))
		return take_quoted(c, out);
	(void)imap_take(c, '~');
	return imap_take(c, '{') && take_literal(c, out, out_streamed);
}

bool imap_take_nstring(struct imap_cursor *c, struct span *out, bool *out_streamed)
{
	if (imap_peek(c, '"') || imap_peek(c, '{') || imap_peek(c, '~'))
		return imap_take_string(c, out, out_streamed);
	*out_streamed = false;
	if (!imap_take_atom(c, out) || !span_eq_nocase(*out, SPAN_LIT("NIL")))
		return false;
	*out = SPAN_NONE;
	return true;
}

bool imap_take_astring(struct imap_cursor *c, struct span *out)
{
	const unsigned char *from = c->at;
	bool streamed;

	if (imap_peek(c, '"') || imap_peek(c, '{'))
		return imap_take_string(c, out, &streamed) && !streamed;
	while (c->at < c->end && (is_atom_char(*c->at) || *c->at == ']'))
		c->at++;
	*out = span_of(from, (size_t)(c->at - from));
	return out->n > 0;
}

bool imap_skip_value(struct imap_cursor *c)
{
	unsigned depth = 0;
	struct span s;
	bool streamed;

	do {
		while (imap_take(c, ' '))
			;
		if (imap_take(c, '(')) {
			if (++depth > IMAP_CLIENT_NESTING_LIMIT)
				return false;
		} else if (imap_take(c, ')')) {
			if (!depth--)
				return false;
		} else if (imap_peek(c, '"') || imap_peek(c, '{') || imap_peek(c, '~')) {
			if (!imap_take_string(c, &s, &streamed))
				return false;
		} else if (!imap_take_flag(c, &s)) {
			return false;
		}
	} while (depth);
	return true;
}

static uint32_t flag_of(struct span s)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} names[] = {{"\\Seen", IMAP_CLIENT_SEEN},
		     {"\\Answered", IMAP_CLIENT_ANSWERED},
		     {"\\Flagged", IMAP_CLIENT_FLAGGED},
		     {"\\Deleted", IMAP_CLIENT_DELETED},
		     {"\\Draft", IMAP_CLIENT_DRAFT}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (span_eq_nocase(s, span_str(names[i].name)))
			return names[i].flag;
	}
	return 0;
}

bool imap_take_flags(struct imap_cursor *c, uint32_t *out_flags, struct span *out_keywords,
		     bool *out_any)
{
	struct span one;
	char *words = NULL;
	size_t n = 0;

	*out_flags = 0;
	*out_any = false;
	if (!imap_take(c, '('))
		return false;
	while (!imap_take(c, ')')) {
		(void)imap_take(c, ' ');
		if (!imap_take_flag(c, &one))
			return false;
		*out_flags |= flag_of(one);
		*out_any |= span_eq(one, SPAN_LIT("\\*"));
		if (*one.p == '\\' || one.n > KEYWORD_BYTES || !imap_is_atom(one) ||
		    n + one.n + 1 > KEYWORDS_BYTES)
			continue;
		if (!words && !(words = arena_alloc(c->scratch, KEYWORDS_BYTES)))
			return false;
		if (n)
			words[n++] = ' ';
		memcpy(words + n, one.p, one.n);
		n += one.n;
	}
	*out_keywords = span_of(words, n);
	return true;
}

/* ---- date-time ---- */

/* Days from 1970-01-01; H. Hinnant's civil calendar. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = y / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static bool digits(struct span s, size_t at, size_t n, unsigned max, unsigned *out)
{
	uint64_t v;

	if (!span_to_u64(span_first(span_from(s, at), n), max, &v))
		return false;
	*out = (unsigned)v;
	return true;
}

/* "17-Jul-1996 02:44:25 -0700"; a day of one digit has a space before it. */
bool imap_take_date(struct imap_cursor *c, int64_t *out_seconds)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	unsigned day, month = 0, year, hour, minute, second, zone;
	struct span s;
	bool streamed;
	int64_t away;

	if (!imap_take_string(c, &s, &streamed) || streamed || s.n != 26 || s.p[2] != '-' ||
	    s.p[6] != '-' || s.p[11] != ' ' || s.p[14] != ':' || s.p[17] != ':' || s.p[20] != ' ' ||
	    (s.p[21] != '+' && s.p[21] != '-'))
		return false;
	while (month < 12 &&
	       !span_eq_nocase(span_of(s.p + 3, 3), span_of(months + (size_t)3 * month, 3)))
		month++;
	if (month == 12 || !digits(s, s.p[0] == ' ' ? 1 : 0, s.p[0] == ' ' ? 1 : 2, 31, &day) ||
	    !day || !digits(s, 7, 4, 9999, &year) || !digits(s, 12, 2, 23, &hour) ||
	    !digits(s, 15, 2, 59, &minute) || !digits(s, 18, 2, 60, &second) ||
	    !digits(s, 22, 4, 1459, &zone))
		return false;
	away = (int64_t)(zone / 100 * 60 + zone % 100) * 60;
	*out_seconds = days_of(year, month + 1, day) * 86400 + (int64_t)hour * 3600 +
		       (int64_t)minute * 60 + second - (s.p[21] == '-' ? -away : away);
	return true;
}
