#include "mail/transfer.h"

#include "base/ascii.h"
#include "base/base64.h"

void transfer_init(struct transfer *t, enum mime_encoding encoding)
{
	*t = (struct transfer){.encoding = encoding};
	t->is_bad = encoding == MIME_UUENCODE || encoding == MIME_UNKNOWN;
}

/* ---- base64 ---- */

static bool base64_feed(struct transfer *t, struct span piece, struct buf *out)
{
	if (!buf_reserve(out, piece.n / 4 * 3 + 3))
		return false;
	for (size_t i = 0; i < piece.n; i++) {
		int v = base64_value(piece.p[i]);

		if (piece.p[i] == '=') { /* what is left of the group is padding */
			t->bits_n = 0;
			t->bits = 0;
			continue;
		}
		if (v < 0) {
			t->had_junk |= piece.p[i] > ' ';
			continue;
		}
		t->bits = t->bits << 6 | (uint32_t)v;
		t->bits_n += 6;
		if (t->bits_n >= 8) {
			t->bits_n -= 8;
			out->p[out->n++] = (unsigned char)(t->bits >> t->bits_n);
			t->bits &= (1u << t->bits_n) - 1;
		}
	}
	return true;
}

/* ---- quoted-printable ---- */

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void let_go(struct transfer *t, struct buf *out)
{
	memcpy(out->p + out->n, t->held, t->held_n);
	out->n += t->held_n;
	t->held_n = 0;
}

/* A line ends: blanks before it are the transport's (RFC 2045 s6.7 rule 3), its CR stays; after "=" nothing of it does. */
static void end_line(struct transfer *t, struct buf *out)
{
	bool is_soft = t->held_n > 0 && t->held[0] == '=';
	bool has_cr = t->held_n > 0 && t->held[t->held_n - 1] == '\r';

	t->held_n = 0;
	if (is_soft)
		return;
	if (has_cr)
		out->p[out->n++] = '\r';
	out->p[out->n++] = '\n';
}

/* True when c was taken; false when held was let go and c is to be looked at again. */
static bool take_escaped(struct transfer *t, unsigned char c, struct buf *out)
{
	int high = t->held_n == 2 ? ascii_hex(t->held[1]) : -1;

	if (high >= 0 && ascii_hex(c) >= 0) {
		out->p[out->n++] = (unsigned char)(high << 4 | ascii_hex(c));
		t->held_n = 0;
		return true;
	}
	if ((t->held_n == 1 && ascii_hex(c) >= 0) ||
	    (high < 0 && is_blank(c) && t->held_n < sizeof t->held)) {
		t->held[t->held_n++] = c;
		return true;
	}
	t->had_junk = true;
	let_go(t, out);
	return false;
}

static void take_plain(struct transfer *t, unsigned char c, struct buf *out)
{
	if (c == '=' || is_blank(c)) {
		if (c == '=' || t->held_n == sizeof t->held)
			let_go(t, out);
		t->held[t->held_n++] = c;
		return;
	}
	let_go(t, out);
	out->p[out->n++] = c;
}

static bool quoted_feed(struct transfer *t, struct span piece, struct buf *out)
{
	if (!buf_reserve(out, piece.n + t->held_n + 2))
		return false;
	for (size_t i = 0; i < piece.n; i++) {
		unsigned char c = piece.p[i];
		bool is_escaped = t->held_n > 0 && t->held[0] == '=';

		if (c == '\n' && !(is_escaped && t->held_n > 1 && ascii_hex(t->held[1]) >= 0)) {
			end_line(t, out);
			continue;
		}
		if (is_escaped && take_escaped(t, c, out))
			continue;
		if (c == '\n')
			end_line(t, out);
		else
			take_plain(t, c, out);
	}
	return true;
}

/* ---- face ---- */

bool transfer_feed(struct transfer *t, struct span piece, struct buf *out)
{
	switch (t->encoding) {
	case MIME_BASE64:
		return base64_feed(t, piece, out);
	case MIME_QUOTED:
		return quoted_feed(t, piece, out);
	case MIME_7BIT:
	case MIME_8BIT:
	case MIME_BINARY:
	case MIME_UUENCODE:
	case MIME_UNKNOWN:
		break;
	}
	return buf_append(out, piece);
}

bool transfer_end(struct transfer *t, struct buf *out)
{
	bool is_soft =
		t->held_n > 0 && t->held[0] == '=' && (t->held_n == 1 || is_blank(t->held[1]));

	t->bits_n = 0;
	if (t->encoding != MIME_QUOTED || t->held_n == 0 || is_soft)
		return true;
	if (!buf_reserve(out, t->held_n))
		return false;
	let_go(t, out);
	return true;
}

enum mime_encoding transfer_named(struct span name)
{
	static const struct {
		const char *name;
		enum mime_encoding encoding;
	} of[] = {
		{"7bit", MIME_7BIT},	     {"8bit", MIME_8BIT},
		{"binary", MIME_BINARY},     {"quoted-printable", MIME_QUOTED},
		{"base64", MIME_BASE64},     {"x-uuencode", MIME_UUENCODE},
		{"uuencode", MIME_UUENCODE}, {"x-uue", MIME_UUENCODE},
	};

	/* "base64 (comment)", "base64;" */
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '(' || name.p[i] == ';')
			name = span_first(name, i);
	name = span_trim(name);
	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (span_eq_nocase(name, span_str(of[i].name)))
			return of[i].encoding;
	return name.n == 0 ? MIME_7BIT : MIME_UNKNOWN;
}
