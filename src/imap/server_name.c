/* Names of mailboxes: modified UTF-7 (RFC 3501 s5.1.3) for clients of IMAP4rev1, patterns of LIST. */
#include "imap/server_internal.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* One character of UTF-8 (shortest form, no surrogate); its bytes, or 0. */
static size_t utf8_char(struct span s, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s.n == 0	   ? 0
		   : s.p[0] < 0x80 ? 1
		   : s.p[0] < 0xc0 ? 0
		   : s.p[0] < 0xe0 ? 2
		   : s.p[0] < 0xf0 ? 3
		   : s.p[0] < 0xf8 ? 4
				   : 0;
	uint32_t value;

	if (n == 0 || n > s.n)
		return 0;
	value = n == 1 ? s.p[0] : s.p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (s.p[i] & 0x3f);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*out = value;
	return n;
}

static bool put_utf8(struct buf *out, uint32_t c)
{
	unsigned char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		b[i] = (unsigned char)(0x80 | (c & 0x3f));
	b[0] = (unsigned char)(n == 1 ? c : (0xf0u << (4 - n) & 0xff) | c);
	return buf_append(out, span_of(b, n));
}

/* UTF-16 in base64 between "&" and "-". */
struct shift {
	uint32_t bits, high;
	unsigned bits_n;
};

static bool take_unit(struct shift *sh, uint32_t unit, struct buf *out)
{
	if (unit >= 0xd800 && unit <= 0xdbff) {
		if (sh->high)
			return false;
		sh->high = unit;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff) {
		if (!sh->high)
			return false;
		unit = 0x10000 + ((sh->high - 0xd800) << 10) + (unit - 0xdc00);
		sh->high = 0;
		return put_utf8(out, unit);
	}
	/* what is plain ASCII must stand as itself */
	return !sh->high && (unit < 0x20 || unit > 0x7e) && put_utf8(out, unit);
}

static bool decode_shifted(struct span text, struct buf *out)
{
	struct shift sh = {0};

	for (size_t i = 0; i < text.n; i++) {
		const char *at = text.p[i] ? strchr(letters, text.p[i]) : NULL;

		if (!at)
			return false;
		sh.bits = sh.bits << 6 | (uint32_t)(at - letters);
		sh.bits_n += 6;
		if (sh.bits_n >= 16) {
			sh.bits_n -= 16;
			if (!take_unit(&sh, sh.bits >> sh.bits_n & 0xffff, out))
				return false;
			sh.bits &= (1u << sh.bits_n) - 1;
		}
	}
	return !sh.high && sh.bits_n < 6 && sh.bits == 0;
}

bool imap_utf7_decode(struct span text, struct buf *out)
{
	bool was_shifted = false;

	while (text.n) {
		ssize_t end;

		if (text.p[0] != '&') {
			if (text.p[0] < 0x20 || text.p[0] > 0x7e ||
			    !buf_append_byte(out, text.p[0]))
				return false;
			text = span_from(text, 1);
			was_shifted = false;
			continue;
		}
		text = span_from(text, 1);
		end = span_chr(text, '-');
		if (end < 0)
			return false;
		if (end == 0) {
			if (!buf_append_byte(out, '&'))
				return false;
		} else if (was_shifted || !decode_shifted(span_first(text, (size_t)end), out)) {
			return false;
		}
		was_shifted = end > 0;
		text = span_from(text, (size_t)end + 1);
	}
	return true;
}

static void shift_unit(struct shift *sh, uint32_t unit, struct buf *out)
{
	sh->bits = sh->bits << 16 | unit;
	sh->bits_n += 16;
	while (sh->bits_n >= 6) {
		sh->bits_n -= 6;
		(void)buf_append_byte(out, (unsigned char)letters[sh->bits >> sh->bits_n & 63]);
	}
	sh->bits &= (1u << sh->bits_n) - 1;
}

static void shift_end(struct shift *sh, struct buf *out)
{
	if (sh->bits_n)
		(void)buf_append_byte(out,
				      (unsigned char)letters[sh->bits << (6 - sh->bits_n) & 63]);
	(void)buf_append_byte(out, '-');
	*sh = (struct shift){0};
}

void imap_utf7_encode(struct span utf8, struct buf *out)
{
	struct shift sh = {0};
	bool is_shifted = false;

	while (utf8.n) {
		uint32_t c = 0xfffd;
		size_t n = utf8_char(utf8, &c);
		bool is_plain = c >= 0x20 && c <= 0x7e;

		utf8 = span_from(utf8, n ? n : 1);
		if (is_shifted && is_plain)
			shift_end(&sh, out);
		if (!is_shifted && !is_plain)
			(void)buf_append_byte(out, '&');
		is_shifted = !is_plain;
		if (is_plain) {
			(void)buf_append_byte(out, (unsigned char)c);
			if (c == '&')
				(void)buf_append_byte(out, '-');
		} else if (c >= 0x10000) {
			shift_unit(&sh, 0xd800 + ((c - 0x10000) >> 10), out);
			shift_unit(&sh, 0xdc00 + ((c - 0x10000) & 0x3ff), out);
		} else {
			shift_unit(&sh, c, out);
		}
	}
	if (is_shifted)
		shift_end(&sh, out);
}

bool imap_name_is_good(struct span name)
{
	unsigned levels = 1;
	bool is_start = true;

	if (name.n == 0 || name.n > MAIL_BOX_NAME_BYTES || name.p[name.n - 1] == '/')
		return false;
	while (name.n) {
		uint32_t c;
		size_t n = utf8_char(name, &c);

		/* controls; line and paragraph separators (RFC 5198 s2); what LIST takes for patterns */
		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
		    c == '%' || c == '*')
			return false;
		if (c == '/' && (is_start || ++levels > MAIL_BOX_LEVELS))
			return false;
		is_start = c == '/';
		name = span_from(name, n);
	}
	return true;
}

/* Where to go on when a wildcard must take more: the last "%" first, then the last "*". */
struct back {
	size_t pattern, name;
	bool is_set;
};

bool imap_name_matches(struct span name, struct span pattern)
{
	struct back percent = {0}, star = {0};
	size_t p = 0, n = 0;

	while (n < name.n || p < pattern.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = (struct back){++p, n, true};
			percent.is_set = false;
		} else if (p < pattern.n && pattern.p[p] == '%') {
			percent = (struct back){++p, n, true};
		} else if (p < pattern.n && n < name.n && pattern.p[p] == name.p[n]) {
			p++;
			n++;
		} else if (percent.is_set && percent.name < name.n && name.p[percent.name] != '/') {
			p = percent.pattern;
			n = ++percent.name;
		} else if (star.is_set && star.name < name.n) {
			p = star.pattern;
			n = ++star.name;
			percent.is_set = false;
		} else {
			return false;
		}
	}
	return true;
}
