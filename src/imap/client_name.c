/* Mailbox names in modified UTF-7 (RFC 3501 s5.1.3): "&" to "-" holds UTF-16 in base64 with "," for "/". */
#include "imap/client_internal.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* One code point of s from *at; false: not UTF-8 (overlong forms, surrogates and what is too big among it). */
static bool next_point(struct span s, size_t *at, uint32_t *out)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	unsigned char b = s.p[*at];
	unsigned more = b < 0x80		? 0
			: b >= 0xc2 && b < 0xe0 ? 1
			: (b & 0xf0) == 0xe0	? 2
			: b >= 0xf0 && b < 0xf5 ? 3
						: 4;
	uint32_t v = more == 0 ? b : b & (0x3fu >> more);

	if (more > 3 || s.n - *at <= more)
		return false;
	for (unsigned i = 1; i <= more; i++) {
		if ((s.p[*at + i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (s.p[*at + i] & 0x3f);
	}
	if (v < least[more] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
		return false;
	*at += more + 1;
	*out = v;
	return true;
}

struct shift { /* bits on their way between UTF-16 and base64 */
	uint32_t bits;
	unsigned n;
};

static void put_unit(struct shift *s, uint32_t unit, struct buf *out)
{
	s->bits = s->bits << 16 | unit;
	for (s->n += 16; s->n >= 6; s->n -= 6)
		buf_append_byte(out, (unsigned char)base64[s->bits >> (s->n - 6) & 63]);
}

static void end_shift(struct shift *s, struct buf *out)
{
	if (s->n)
		buf_append_byte(out, (unsigned char)base64[s->bits << (6 - s->n) & 63]);
	*s = (struct shift){0};
	buf_append_byte(out, '-');
}

bool imap_client_name_encode(struct span utf8, struct buf *out)
{
	struct shift shift = {0};
	bool shifted = false;
	uint32_t v;

	if (!utf8.n || utf8.n > IMAP_CLIENT_NAME_BYTES)
		return false;
	for (size_t at = 0; at < utf8.n;) {
		if (!next_point(utf8, &at, &v) || v < 0x20 || v == 0x7f)
			return false;
		if (v < 0x7f) {
			if (shifted)
				end_shift(&shift, out);
			shifted = false;
			buf_append(out, v == '&' ? SPAN_LIT("&-")
						 : span_of(&(unsigned char){(unsigned char)v}, 1));
			continue;
		}
		if (!shifted)
			buf_append_byte(out, '&');
		shifted = true;
		if (v >= 0x10000)
			put_unit(&shift, 0xd800 + ((v - 0x10000) >> 10), out);
		put_unit(&shift, v >= 0x10000 ? 0xdc00 + ((v - 0x10000) & 0x3ff) : v, out);
	}
	if (shifted)
		end_shift(&shift, out);
	return true;
}

static void put_point(uint32_t v, struct buf *out)
{
	if (v < 0x80) {
		buf_append_byte(out, (unsigned char)v);
		return;
	}
	if (v >= 0x10000) {
		buf_append_byte(out, (unsigned char)(0xf0 | v >> 18));
		buf_append_byte(out, (unsigned char)(0x80 | (v >> 12 & 63)));
	} else if (v >= 0x800) {
		buf_append_byte(out, (unsigned char)(0xe0 | v >> 12));
	} else {
		buf_append_byte(out, (unsigned char)(0xc0 | v >> 6));
	}
	if (v >= 0x800)
		buf_append_byte(out, (unsigned char)(0x80 | (v >> 6 & 63)));
	buf_append_byte(out, (unsigned char)(0x80 | (v & 63)));
}

/* Between "&" and "-", not empty. */
static bool decode_shift(struct span s, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *found = s.p[i] ? strchr(base64, s.p[i]) : NULL;
		uint32_t unit;

		if (!found)
			return false;
		bits = bits << 6 | (uint32_t)(found - base64);
		n += 6;
		if (n < 16)
			continue;
		n -= 16;
		unit = bits >> n & 0xffff;
		if (high && (unit < 0xdc00 || unit > 0xdfff))
			return false;
		if (unit >= 0xd800 && unit < 0xdc00) {
			high = unit;
			continue;
		}
		if (!high && ((unit >= 0xdc00 && unit < 0xe000) || unit < 0x20 || unit == 0x7f))
			return false;
		put_point(high ? 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00) : unit, out);
		high = 0;
	}
	return !high && n < 6 && !(bits & ((1u << n) - 1));
}

bool imap_client_name_decode(struct span utf7, struct buf *out)
{
	if (!utf7.n || utf7.n > 4 * (size_t)IMAP_CLIENT_NAME_BYTES)
		return false;
	for (size_t i = 0; i < utf7.n; i++) {
		ssize_t end;

		if (utf7.p[i] < 0x20 || utf7.p[i] > 0x7e)
			return false;
		if (utf7.p[i] != '&') {
			buf_append_byte(out, utf7.p[i]);
			continue;
		}
		end = span_chr(span_from(utf7, i + 1), '-');
		if (end < 0)
			return false;
		if (end == 0)
			buf_append_byte(out, '&');
		else if (!decode_shift(span_of(utf7.p + i + 1, (size_t)end), out))
			return false;
		i += (size_t)end + 1;
	}
	return out->n <= IMAP_CLIENT_NAME_BYTES;
}
