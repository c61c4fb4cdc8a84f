/* Bodies as lines: quoted-printable (RFC 2045 s6.7), base64 (s6.8), or as they are. */
#include "base/base64.h"
#include "mail/compose_internal.h"

enum {
	PLAIN_LINE_BYTES = 78, /* RFC 5322 s2.1.1; longer lines are divided by quoted-printable */
	QUOTED_LINE_BYTES = 75,
	BASE64_LINE_BYTES = 57, /* 76 letters */
	LINE_LIMIT_BYTES = 998,
};

const char *compose_encoding_name(enum compose_encoding e)
{
	static const char *const names[] = {
		[COMPOSE_7BIT] = "7bit",
		[COMPOSE_8BIT] = "8bit",
		[COMPOSE_QUOTED] = "quoted-printable",
		[COMPOSE_BASE64] = "base64",
	};

	return names[e];
}

/* ---- texts ---- */

static bool is_from_line(struct span rest)
{
	return span_starts(rest, SPAN_LIT("From ")); /* mailbox files of others quote it */
}

enum compose_encoding compose_suits(struct span text)
{
	size_t line = 0, high = 0;
	bool is_plain = true;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (line == 0 && is_from_line(span_from(text, i)))
			is_plain = false;
		line = c == '\n' || c == '\r' ? 0 : line + 1;
		high += c > 126;
		if (line > PLAIN_LINE_BYTES || (c < 32 && c != '\t' && line))
			is_plain = false;
	}
	if (is_plain && high == 0)
		return COMPOSE_7BIT;
	return high * 3 > text.n ? COMPOSE_BASE64 : COMPOSE_QUOTED;
}

/* Takes a line end of any kind off; false: there is none here. */
static bool take_line_end(struct span *rest)
{
	if (rest->n == 0 || (rest->p[0] != '\r' && rest->p[0] != '\n'))
		return false;
	*rest = span_from(*rest, rest->p[0] == '\r' && rest->n > 1 && rest->p[1] == '\n' ? 2 : 1);
	return true;
}

static bool is_at_line_end(struct span rest)
{
	return rest.n == 0 || rest.p[0] == '\r' || rest.p[0] == '\n';
}

static void quoted_byte(struct compose_texter *t, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c = t->rest.p[0];
	bool is_literal = (c > 32 && c < 127 && c != '=') || c == ' ' || c == '\t';
	size_t room = QUOTED_LINE_BYTES - t->column;

	if ((c == ' ' || c == '\t') && is_at_line_end(span_from(t->rest, 1)))
		is_literal = false;
	if (t->column == 0 && is_from_line(t->rest))
		is_literal = false;
	if (room < (is_literal ? 1u : 3u)) {
		buf_append(out, SPAN_LIT("=\r\n"));
		t->column = 0;
	}
	t->rest = span_from(t->rest, 1);
	t->column += is_literal ? 1 : 3;
	if (is_literal) {
		buf_append_byte(out, c);
		return;
	}
	buf_append_byte(out, '=');
	buf_append_byte(out, (unsigned char)hex[c >> 4]);
	buf_append_byte(out, (unsigned char)hex[c & 15]);
}

static void text_byte(struct compose_texter *t, struct buf *out)
{
	if (take_line_end(&t->rest)) {
		buf_append(out, SPAN_LIT("\r\n"));
		t->column = 0;
	} else if (t->encoding == COMPOSE_QUOTED) {
		quoted_byte(t, out);
	} else {
		buf_append_byte(out, t->rest.p[0]);
		t->rest = span_from(t->rest, 1);
	}
}

bool compose_texter_give(struct compose_texter *t, size_t bytes, struct buf *out)
{
	struct compose_base64 lines = {.has_line = t->has_line};
	size_t until = out->n + bytes, whole;

	if (t->encoding != COMPOSE_BASE64) {
		while (t->rest.n && out->n < until)
			text_byte(t, out);
		return t->rest.n > 0;
	}
	while (t->rest.n && t->held.n < bytes)
		text_byte(t, &t->held);
	/* what is no whole line waits */
	whole = t->rest.n ? t->held.n / BASE64_LINE_BYTES * BASE64_LINE_BYTES : t->held.n;
	compose_base64_feed(&lines, span_first(buf_span(&t->held), whole), out);
	compose_base64_end(&lines, out);
	buf_drop(&t->held, whole);
	t->has_line = lines.has_line;
	return t->rest.n > 0;
}

void compose_texter_fini(struct compose_texter *t)
{
	buf_fini(&t->held);
}

/* ---- files ---- */

static void base64_line(struct compose_base64 *b, struct span bytes, struct buf *out)
{
	if (b->has_line)
		buf_append(out, SPAN_LIT("\r\n"));
	b->has_line = true;
	base64_encode(out, bytes);
}

void compose_base64_feed(struct compose_base64 *b, struct span bytes, struct buf *out)
{
	while (bytes.n) {
		size_t room = BASE64_LINE_BYTES - b->held_n;
		struct span some = span_first(bytes, room);

		memcpy(b->held + b->held_n, some.p, some.n);
		b->held_n += some.n;
		bytes = span_from(bytes, some.n);
		if (b->held_n < BASE64_LINE_BYTES)
			return;
		base64_line(b, span_of(b->held, b->held_n), out);
		b->held_n = 0;
	}
}

void compose_base64_end(struct compose_base64 *b, struct buf *out)
{
	if (b->held_n)
		base64_line(b, span_of(b->held, b->held_n), out);
	b->held_n = 0;
}

/* ---- enclosed messages ---- */

void compose_scan_feed(struct compose_scan *s, struct span bytes)
{
	for (size_t i = 0; i < bytes.n && !s->is_unfit; i++) {
		unsigned char c = bytes.p[i];

		if (s->was_cr != (c == '\n') || c == '\0') { /* CR and LF alone, or NUL */
			s->is_unfit = true;
			return;
		}
		s->was_cr = c == '\r';
		s->line = c == '\n' ? 0 : s->line + !s->was_cr;
		s->is_8bit = s->is_8bit || c > 127;
		s->is_unfit = s->line > LINE_LIMIT_BYTES;
	}
}

void compose_scan_end(struct compose_scan *s)
{
	s->is_unfit = s->is_unfit || s->was_cr;
}
