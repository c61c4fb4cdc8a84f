/*
 * Encoded-words (RFC 2047). Wider than the standard where programs are: words longer than 75 bytes, inside quotes and
 * beside other text, and a character divided between two words of the same charset.
 */
#include "base/ascii.h"
#include "mail/field_scan.h"
#include "mail/text.h"
#include "mail/transfer.h"

enum { WORD_CHARSET_LIMIT = 60, WORD_TEXT_LIMIT = 2000 };

struct word {
	struct span charset, text;
	bool is_base64;
	size_t n; /* of all of it */
};

/* An encoded-word at the start of s, which begins with "=?". */
static bool word_at(struct span s, struct word *out)
{
	struct span rest = span_from(s, 2), text;
	ssize_t mark = span_chr(span_first(rest, WORD_CHARSET_LIMIT), '?');
	unsigned char how;
	size_t i;

	if (mark <= 0 || (size_t)mark + 2 >= rest.n || rest.p[mark + 2] != '?')
		return false;
	out->charset = span_first(rest, (size_t)mark);
	how = ascii_lower(rest.p[mark + 1]);
	if (how != 'b' && how != 'q')
		return false;
	text = span_first(span_from(rest, (size_t)mark + 3), WORD_TEXT_LIMIT);
	for (i = 0; i + 1 < text.n; i++) {
		if (text.p[i] == '?' && text.p[i + 1] == '=')
			break;
		if (text.p[i] == '\n')
			return false;
	}
	if (i + 1 >= text.n)
		return false;
	out->is_base64 = how == 'b';
	out->text = span_first(text, i);
	out->n = (size_t)(text.p + i + 2 - s.p);
	/* RFC 2231 s5: charset*language */
	out->charset = span_cut(&out->charset, '*');
	return true;
}

/* The "Q" encoding: quoted-printable, "_" for a blank; never a line end. */
static void q_bytes(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '=' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
		    ascii_hex(s.p[i + 2]) >= 0) {
			(void)buf_append_byte(out, (unsigned char)(ascii_hex(s.p[i + 1]) << 4 |
								   ascii_hex(s.p[i + 2])));
			i += 2;
		} else {
			(void)buf_append_byte(out, s.p[i] == '_' ? ' ' : s.p[i]);
		}
	}
}

struct decoding {
	struct buf utf8, bytes;
	struct text_reader reader;
	bool in_words; /* the reader is open, a word came last */
	bool is_plain; /* without iconv */
};

static bool is_latin(struct span charset)
{
	static const char *const names[] = {"iso-8859-1", "iso-8859-15", "windows-1252", "latin1"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_eq_nocase(charset, span_str(names[i])))
			return true;
	return false;
}

/* The bytes of a word in place: Latin 1 as UTF-8. What Windows has below 160 is punctuation: a blank. */
static void latin_to_utf8(struct decoding *d)
{
	struct buf utf8;

	buf_init(&utf8, 2 * d->bytes.n + 4);
	for (size_t i = 0; i < d->bytes.n; i++) {
		unsigned char c = d->bytes.p[i], out[4];

		if (c >= 0x80 && c < 0xa0)
			c = ' ';
		(void)buf_append(&utf8, span_of(out, text_put_utf8(c, out)));
	}
	buf_clear(&d->bytes);
	(void)buf_append(&d->bytes, buf_span(&utf8));
	buf_fini(&utf8);
}

static void word_give(struct decoding *d, const struct word *w)
{
	const struct text_charset *charset = d->is_plain ? NULL : text_charset(w->charset);

	if (d->in_words && d->reader.charset != charset) {
		(void)text_reader_end(&d->reader, &d->utf8);
		d->in_words = false;
	}
	if (!d->in_words)
		text_reader_init(&d->reader, charset);
	d->in_words = true;
	buf_clear(&d->bytes);
	if (w->is_base64) {
		struct transfer t;

		transfer_init(&t, MIME_BASE64);
		(void)transfer_feed(&t, w->text, &d->bytes);
	} else {
		q_bytes(w->text, &d->bytes);
	}
	if (d->is_plain && is_latin(w->charset))
		latin_to_utf8(d);
	(void)text_reader_feed(&d->reader, buf_span(&d->bytes), &d->utf8);
}

static bool is_all_blank(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!scan_is_blank(s.p[i]))
			return false;
	return true;
}

/* Text between words; blanks between two words are none (RFC 2047 s6.2). */
static void text_give(struct decoding *d, struct span s, bool is_between)
{
	if (is_between && d->in_words && is_all_blank(s))
		return;
	if (s.n == 0)
		return;
	if (d->in_words)
		(void)text_reader_end(&d->reader, &d->utf8);
	d->in_words = false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			(void)buf_append_byte(&d->utf8, s.p[i]);
}

static bool decode(struct span raw, bool is_plain, struct buf *out)
{
	struct decoding d = {.is_plain = is_plain};
	size_t from = 0, at = 0;
	bool is_fine;

	buf_init(&d.utf8, 4 * raw.n + 64);
	buf_init(&d.bytes, 2 * WORD_TEXT_LIMIT + 4);
	while (at + 1 < raw.n) {
		const unsigned char *hit = memmem(raw.p + at, raw.n - at, "=?", 2);
		struct word w;

		if (!hit)
			break;
		at = (size_t)(hit - raw.p);
		if (!word_at(span_from(raw, at), &w)) {
			at += 2;
			continue;
		}
		text_give(&d, span_of(raw.p + from, at - from), true);
		word_give(&d, &w);
		at += w.n;
		from = at;
	}
	text_give(&d, span_from(raw, from), false);
	if (d.in_words)
		(void)text_reader_end(&d.reader, &d.utf8);
	is_fine = text_safe(buf_span(&d.utf8), out);
	buf_fini(&d.utf8);
	buf_fini(&d.bytes);
	return is_fine;
}

bool text_header(struct span raw, struct buf *out)
{
	return decode(raw, false, out);
}

bool text_header_plain(struct span raw, struct buf *out)
{
	return decode(raw, true, out);
}
