/* UTF-8 itself: safe text and folding. Charsets are in charset.c, encoded-words in words.c. */
#include "mail/text.h"

#include "mail/address.h"
#include "mail/fold.h"

static const unsigned char replacement[] = {0xef, 0xbf, 0xbd};

static uint32_t code_of(const unsigned char *p, size_t n)
{
	uint32_t code = n == 1	 ? p[0]
			: n == 2 ? p[0] & 0x1fu
			: n == 3 ? p[0] & 0x0fu
				 : p[0] & 0x07u;

	for (size_t i = 1; i < n; i++)
		code = code << 6 | (p[i] & 0x3fu);
	return code;
}

size_t text_put_utf8(uint32_t code, unsigned char out[4])
{
	if (code < 0x80) {
		out[0] = (unsigned char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (unsigned char)(0xc0 | code >> 6);
		out[1] = (unsigned char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (unsigned char)(0xe0 | code >> 12);
		out[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | code >> 18);
	out[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (code & 0x3f));
	return 4;
}

static bool turns_direction(uint32_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0x061c;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

bool text_safe(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_length(s.p + i, s.n - i);
		uint32_t code = n ? code_of(s.p + i, n) : 0;
		bool is_fine;

		if (n == 0)
			is_fine = buf_append(out, span_of(replacement, sizeof replacement));
		else if (is_control(code))
			is_fine = buf_append_byte(out, ' ');
		else if (turns_direction(code))
			is_fine = true;
		else
			is_fine = buf_append(out, span_of(s.p + i, n));
		if (!is_fine)
			return false;
		i += n ? n : 1;
	}
	return true;
}

/* ---- folding ---- */

static const struct fold_row *fold_find(uint32_t code)
{
	size_t low = 0, high = fold_rows_n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (fold_rows[mid].from == code)
			return &fold_rows[mid];
		if (fold_rows[mid].from < code)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool is_space(uint32_t c)
{
	return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

static bool fold_code(uint32_t code, struct span as_it_stands, struct buf *out)
{
	const struct fold_row *row = fold_find(code);
	unsigned char bytes[12];
	size_t n = 0;

	if (!row)
		return buf_append(out, as_it_stands);
	for (size_t i = 0; i < 3 && row->to[i]; i++)
		n += text_put_utf8(row->to[i], bytes + n);
	return buf_append(out, span_of(bytes, n));
}

/* ASCII without blanks at the start of s, folded: most of most texts. Returns how much of it; 0 when out is full, too. */
static size_t fold_ascii(struct span s, struct buf *out)
{
	unsigned char some[256];
	size_t n = 0;

	while (n < s.n && n < sizeof some && s.p[n] > 0x20 && s.p[n] < 0x7f) {
		unsigned char c = s.p[n];

		some[n++] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
	}
	return n > 0 && buf_append(out, span_of(some, n)) ? n : 0;
}

bool text_fold(struct span s, struct buf *out)
{
	bool was_space = false;

	for (size_t i = 0; i < s.n;) {
		unsigned char c = s.p[i];
		size_t n = c < 0x80 ? 1 : utf8_length(s.p + i, s.n - i);
		uint32_t code = n == 0 ? 0xfffd : n == 1 ? c : code_of(s.p + i, n);
		size_t plain = fold_ascii(span_from(s, i), out);
		bool is_fine;

		if (plain > 0) {
			i += plain;
			was_space = false;
			continue;
		}
		if (is_space(code))
			is_fine = was_space || buf_append_byte(out, ' ');
		else if (code < 0x80)
			is_fine = buf_append_byte(
				out, c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c);
		else if (n == 0)
			is_fine = buf_append(out, span_of(replacement, sizeof replacement));
		else
			is_fine = fold_code(code, span_of(s.p + i, n), out);
		if (!is_fine)
			return false;
		was_space = is_space(code);
		i += n ? n : 1;
	}
	return true;
}
