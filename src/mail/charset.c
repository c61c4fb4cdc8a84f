/*
 * Converting to UTF-8. UTF-8 and ASCII are checked here, all else is iconv's. Each reader has a converter of its own (some
 * charsets have state); text_warm keeps one of each open, so that opening another one loads no code.
 */
#include <errno.h>
#include <iconv.h>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/text.h"

struct text_charset {
	const char
		*iconv_name; /* NULL: UTF-8, and ASCII, whose mislabelled texts are mostly UTF-8 */
	const char *names;   /* one blank before, between and behind; lower case */
};

static const struct text_charset charsets[] = {
	{NULL,
	 " utf-8 utf8 us-ascii ascii ansi_x3.4-1968 unicode-1-1-utf-8 unknown-8bit x-unknown "},
	{"CP1252", " iso-8859-1 iso8859-1 iso_8859-1 latin1 l1 windows-1252 cp1252 x-cp1252 "},
	{"ISO-8859-2", " iso-8859-2 iso8859-2 iso_8859-2 latin2 "},
	{"ISO-8859-3", " iso-8859-3 iso8859-3 latin3 "},
	{"ISO-8859-4", " iso-8859-4 iso8859-4 latin4 "},
	{"ISO-8859-5", " iso-8859-5 iso8859-5 cyrillic "},
	{"ISO-8859-6", " iso-8859-6 iso-8859-6-e iso-8859-6-i iso8859-6 arabic "},
	{"ISO-8859-7", " iso-8859-7 iso8859-7 greek "},
	{"ISO-8859-8", " iso-8859-8 iso-8859-8-e iso-8859-8-i iso8859-8 hebrew "},
	{"CP1254", " iso-8859-9 iso8859-9 latin5 windows-1254 cp1254 "},
	{"ISO-8859-10", " iso-8859-10 iso8859-10 latin6 "},
	{"CP874", " iso-8859-11 tis-620 windows-874 cp874 "},
	{"ISO-8859-13", " iso-8859-13 iso8859-13 "},
	{"ISO-8859-14", " iso-8859-14 iso8859-14 "},
	{"ISO-8859-15", " iso-8859-15 iso8859-15 latin-9 latin9 "},
	{"ISO-8859-16", " iso-8859-16 iso8859-16 "},
	{"CP1250", " windows-1250 cp1250 x-cp1250 "},
	{"CP1251", " windows-1251 cp1251 x-cp1251 "},
	{"CP1253", " windows-1253 cp1253 "},
	{"CP1255", " windows-1255 cp1255 "},
	{"CP1256", " windows-1256 cp1256 "},
	{"CP1257", " windows-1257 cp1257 "},
	{"CP1258", " windows-1258 cp1258 "},
	{"KOI8-R", " koi8-r koi8r koi8 "},
	{"KOI8-U", " koi8-u koi8-ru "},
	{"IBM866", " ibm866 cp866 866 "},
	{"IBM437", " ibm437 cp437 437 "},
	{"IBM850", " ibm850 cp850 850 "},
	{"MACINTOSH", " macintosh mac x-mac-roman "},
	{"GB18030", " gb18030 gbk gb2312 gb_2312-80 cp936 ms936 windows-936 euc-cn x-gbk "},
	{"BIG5-HKSCS", " big5 big5-hkscs cn-big5 x-x-big5 "},
	{"EUC-TW", " euc-tw "},
	{"EUC-JP", " euc-jp x-euc-jp eucjp "},
	{"CP932", " shift_jis shift-jis sjis ms_kanji windows-31j cp932 x-sjis "},
	{"ISO-2022-JP-2", " iso-2022-jp iso-2022-jp-2 csiso2022jp "},
	{"CP949", " euc-kr ks_c_5601-1987 ks_c_5601 ks_c_5601-1989 cp949 uhc windows-949 korean "},
	{"ISO-2022-KR", " iso-2022-kr "},
	{"UTF-16", " utf-16 unicode "},
	{"UTF-16BE", " utf-16be "},
	{"UTF-16LE", " utf-16le "},
	{"UTF-32", " utf-32 "},
	{"UTF-7", " utf-7 unicode-1-1-utf-7 "},
};

enum { CHARSETS = sizeof charsets / sizeof *charsets, NAME_LIMIT = 40, OUT_BYTES = 4096 };

static const unsigned char replacement[] = {0xef, 0xbf, 0xbd};

const struct text_charset *text_charset(struct span name)
{
	char padded[NAME_LIMIT + 3];
	size_t n = 1;

	name = span_trim(name);
	if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
		name = span_of(name.p + 1, name.n - 2);
	if (name.n == 0 || name.n > NAME_LIMIT)
		return NULL;
	padded[0] = ' ';
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_is_graph(name.p[i]))
			return NULL;
		padded[n++] = (char)ascii_lower(name.p[i]);
	}
	padded[n++] = ' ';
	padded[n] = '\0';
	for (size_t i = 0; i < CHARSETS; i++)
		if (strstr(charsets[i].names, padded))
			return &charsets[i];
	return NULL;
}

void text_warm(void)
{
	/* Never closed: iconv forgets what nobody has open. */
	static iconv_t kept[CHARSETS] __attribute__((unused));
	static bool is_done;

	for (size_t i = 0; i < CHARSETS && !is_done; i++)
		if (charsets[i].iconv_name)
			kept[i] = iconv_open("UTF-8", charsets[i].iconv_name);
	is_done = true;
}

/* ---- readers ---- */

void text_reader_init(struct text_reader *r, const struct text_charset *charset)
{
	*r = (struct text_reader){.charset = charset};
}

/* The bytes of an unfinished but so far good character at the end of s. */
static size_t unfinished(struct span s)
{
	for (size_t back = 1; back <= 3 && back <= s.n; back++) {
		unsigned char c = s.p[s.n - back];
		size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return length > back && c <= 0xf4 ? back : 0;
	}
	return 0;
}

static bool utf8_feed(struct text_reader *r, struct span s, bool is_last, struct buf *out)
{
	size_t tail = is_last ? 0 : unfinished(s), from = 0;

	for (size_t i = 0; i < s.n - tail;) {
		size_t n = s.p[i] < 0x80 ? 1 : utf8_length(s.p + i, s.n - tail - i);

		if (n > 0) {
			i += n;
			continue;
		}
		if (!buf_append(out, span_of(s.p + from, i - from)) ||
		    !buf_append(out, span_of(replacement, sizeof replacement)))
			return false;
		from = ++i;
	}
	memcpy(r->rest, s.p + s.n - tail, tail);
	r->rest_n = tail;
	return buf_append(out, span_of(s.p + from, s.n - tail - from));
}

/* Converts what it can of s. What may be the beginning of a character stays in r->rest. */
static bool iconv_feed(struct text_reader *r, struct span s, bool is_last, struct buf *out)
{
	char *in = (char *)(uintptr_t)s.p;
	size_t in_n = s.n;

	while (in_n > 0) {
		char bytes[OUT_BYTES], *at = bytes;
		size_t room = sizeof bytes, n = iconv(r->converter, &in, &in_n, &at, &room);
		int err = errno;

		if (!buf_append(out, span_of(bytes, sizeof bytes - room)))
			return false;
		if (n != (size_t)-1 || err == E2BIG)
			continue;
		if (err == EINVAL && !is_last && in_n < sizeof r->rest)
			break;
		if (!buf_append(out, span_of(replacement, sizeof replacement)))
			return false;
		in++;
		in_n--;
	}
	memcpy(r->rest, in, in_n);
	r->rest_n = in_n;
	return true;
}

static bool feed(struct text_reader *r, struct span s, bool is_last, struct buf *out)
{
	const char *name = r->charset ? r->charset->iconv_name : NULL;

	if (name && !r->converter && !r->has_failed) {
		iconv_t cd = iconv_open("UTF-8", name);

		r->has_failed = cd == (iconv_t)-1;
		r->converter = r->has_failed ? NULL : cd;
	}
	return r->converter ? iconv_feed(r, s, is_last, out) : utf8_feed(r, s, is_last, out);
}

bool text_reader_feed(struct text_reader *r, struct span piece, struct buf *out)
{
	unsigned char joined[sizeof r->rest + 16];

	while (r->rest_n > 0 && piece.n > 0) {
		struct span some = span_first(piece, 16);
		size_t n = r->rest_n;

		memcpy(joined, r->rest, n);
		memcpy(joined + n, some.p, some.n);
		r->rest_n = 0;
		if (!feed(r, span_of(joined, n + some.n), false, out))
			return false;
		piece = span_from(piece, some.n);
	}
	return piece.n == 0 || feed(r, piece, false, out);
}

bool text_reader_end(struct text_reader *r, struct buf *out)
{
	unsigned char rest[sizeof r->rest];
	size_t n = r->rest_n;
	bool is_fine = true;

	memcpy(rest, r->rest, n);
	r->rest_n = 0;
	if (n > 0)
		is_fine = feed(r, span_of(rest, n), true, out);
	if (r->converter)
		(void)iconv_close(r->converter);
	r->converter = NULL;
	return is_fine;
}
