/* Charsets, encoded-words, safe text, folding, transfer encodings, HTML. */
#include "mail/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "mail/address.h"
#include "mail/html.h"
#include "mail/transfer.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void header_fields_become_text(void **state)
{
	static const struct {
		const char *raw, *expected;
	} rows[] = {
		{"plain", "plain"},
		{"=?utf-8?B?w6Q=?=", "\xc3\xa4"},
		{"=?UTF-8?q?a_b=C3=A4?= c", "a b\xc3\xa4 c"},
		{"=?utf-8?q?a?= \r\n =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4"},
		{"=?iso-8859-1*de?q?=E4?=", "\xc3\xa4"},
		{"=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
		{"=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd"},
		{"=?nosuch?q?a=E4?=", "a\xef\xbf\xbd"},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"},
		{"=?utf-8?B?w6Q", "=?utf-8?B?w6Q"},
		{"\xff\xc3\xa4", "\xef\xbf\xbd\xc3\xa4"},
		{"=?utf-8?q?=0D=0ABcc:_x=00=E2=80=AEy?=", "  Bcc: x y"},
		{"a\r\n b", "a b"},
		{"a =?utf-8?q?b?= c", "a b c"},
		{"=??q?x?=", "=??q?x?="},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&b);
		assert_true(text_header(span_str(rows[i].raw), &b));
		if (strcmp(buf_cstr(&b), rows[i].expected) != 0)
			fail_msg("%s: %s", rows[i].raw, buf_cstr(&b));
	}
	buf_fini(&b);
}

static void check_safe(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_length(s.p + i, s.n - i);

		assert_true(n > 0 && s.p[i] >= 0x20 && s.p[i] != 0x7f);
		i += n;
	}
}

static void m05_encoded_words_are_linear(void **state)
{
	static const char *const words[] = {
		"=?utf-8?q?=0A?= ",	    "=?koi8-r?q?=C1?= ",     "=?nosuch?b?AAA?= ",
		"=?utf-8?b?w6?= ",	    "=?utf-8?q?a",	     "=?",
		"=?utf-8?q?=E2=80=AE=00?=", "=?iso-2022-jp?b?GyRC?="};
	struct buf in, out;

	(void)state;
	buf_init(&in, 0);
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		double began;

		buf_clear(&in);
		buf_clear(&out);
		for (int n = 0; n < 50000; n++)
			(void)buf_append(&in, span_str(words[i]));
		began = now();
		assert_true(text_header(buf_span(&in), &out));
		if (now() - began >=
		    4) /* a field is cut at 64 KiB, so that in life it is the 200th part */
			fail_msg("%s: %f", words[i], now() - began);
		check_safe(buf_span(&out));
	}
	buf_fini(&in);
	buf_fini(&out);
}

static void folding(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"ABC  def", "abc def"},
		{"Stra\xc3\x9f"
		 "e",
		 "strasse"},
		{"\xc3\x84\xc3\x96", "\xc3\xa4\xc3\xb6"},
		{"\xce\xa3\xce\x91\xce\xa3", "\xcf\x83\xce\xb1\xcf\x83"},
		{"\xd0\x9f\xd0\xa0", "\xd0\xbf\xd1\x80"},
		{"a\t\r\n\xc2\xa0\xe3\x80\x80"
		 "b",
		 "a b"},
		{"\xff", "\xef\xbf\xbd"},
		{"", ""},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&b);
		assert_true(text_fold(span_str(rows[i].text), &b));
		assert_string_equal(buf_cstr(&b), rows[i].expected);
	}
	buf_fini(&b);
}

static void a_charset_in_any_pieces(void **state)
{
	static const struct {
		const char *charset, *bytes, *expected;
	} rows[] = {
		{"utf-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x\xe2\x82",
		 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x\xef\xbf\xbd\xef\xbf\xbd"},
		{"windows-1252", "\x80\xe4", "\xe2\x82\xac\xc3\xa4"},
		{"\"ISO-8859-15\"", "\xa4", "\xe2\x82\xac"},
		{"shift_jis", "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac"},
		{"iso-2022-jp", "\x1b$BF|K\\\x1b(B!", "\xe6\x97\xa5\xe6\x9c\xac!"},
		{"euc-kr", "\xc7\xd1", "\xed\x95\x9c"},
		{"utf-7", "A+AOQ-B",
		 "A\xc3\xa4"
		 "B"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span bytes = span_str(rows[i].bytes);

		assert_non_null(text_charset(span_str(rows[i].charset)));
		for (size_t step = 1; step <= bytes.n; step++) {
			struct text_reader r;

			buf_clear(&b);
			text_reader_init(&r, text_charset(span_str(rows[i].charset)));
			for (size_t at = 0; at < bytes.n; at += step)
				assert_true(text_reader_feed(
					&r, span_first(span_from(bytes, at), step), &b));
			assert_true(text_reader_end(&r, &b));
			if (strcmp(buf_cstr(&b), rows[i].expected) != 0)
				fail_msg("%s in %zu: %s", rows[i].charset, step, buf_cstr(&b));
		}
	}
	assert_null(text_charset(SPAN_LIT("utf-8//TRANSLIT")));
	assert_null(text_charset(SPAN_LIT("../../etc/x")));
	buf_fini(&b);
}

/* X2: each of the list is one that iconv has. */
static void every_charset_is_there(void **state)
{
	static const char *const names[] = {
		"iso-8859-1",	"iso-8859-2",	"iso-8859-3",	"iso-8859-4",	"iso-8859-5",
		"iso-8859-6",	"iso-8859-7",	"iso-8859-8",	"iso-8859-9",	"iso-8859-10",
		"iso-8859-11",	"iso-8859-13",	"iso-8859-14",	"iso-8859-15",	"iso-8859-16",
		"windows-1250", "windows-1251", "windows-1253", "windows-1255", "windows-1256",
		"windows-1257", "windows-1258", "koi8-r",	"koi8-u",	"ibm866",
		"ibm437",	"ibm850",	"macintosh",	"gbk",		"big5",
		"euc-tw",	"euc-jp",	"shift_jis",	"iso-2022-jp",	"ks_c_5601-1987",
		"iso-2022-kr",	"utf-16",	"utf-16be",	"utf-16le",	"utf-32",
		"utf-7"};
	struct buf b;

	(void)state;
	text_warm();
	text_warm();
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct text_reader r;

		assert_non_null(text_charset(span_str(names[i])));
		text_reader_init(&r, text_charset(span_str(names[i])));
		assert_true(text_reader_feed(&r, SPAN_LIT("abcd\xff\xfe"), &b));
		if (r.has_failed)
			fail_msg("%s", names[i]);
		assert_true(text_reader_end(&r, &b));
	}
	buf_fini(&b);
}

/* ---- transfer encodings ---- */

static void m07_junk_decodes_to_the_same_bytes_in_any_pieces(void **state)
{
	static const struct {
		enum mime_encoding encoding;
		const char *bytes, *expected;
	} rows[] = {
		{MIME_BASE64, "SGVsbG8=", "Hello"},
		{MIME_BASE64, "SGVs\r\nbG8", "Hello"},
		{MIME_BASE64, "SG=Vsb*-_G8=", "H\x56\xc6\xc6"},
		{MIME_BASE64, "SGVsbG8=V29ybGQ=", "HelloWorld"},
		{MIME_BASE64, "====", ""},
		{MIME_BASE64, "S", ""},
		{MIME_QUOTED, "a=C3=A4b",
		 "a\xc3\xa4"
		 "b"},
		{MIME_QUOTED, "soft=\r\nline", "softline"},
		{MIME_QUOTED, "soft= \t\r\nline", "softline"},
		{MIME_QUOTED, "soft=\nline", "softline"},
		{MIME_QUOTED, "blanks  \t\r\nend ", "blanks\r\nend "},
		{MIME_QUOTED, "=zz=4=C", "=zz=4=C"},
		{MIME_QUOTED, "=4\r\nx", "=4\r\nx"},
		{MIME_QUOTED, "a==41=", "a=A"},
		{MIME_QUOTED, "=\r\n=\r\n=\r\n", ""},
		{MIME_7BIT, "=41", "=41"},
		{MIME_UNKNOWN, "=41", "=41"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span bytes = span_str(rows[i].bytes);

		for (size_t step = 1; step <= bytes.n; step++) {
			struct transfer t;

			buf_clear(&b);
			transfer_init(&t, rows[i].encoding);
			for (size_t at = 0; at < bytes.n; at += step)
				assert_true(transfer_feed(
					&t, span_first(span_from(bytes, at), step), &b));
			assert_true(transfer_end(&t, &b));
			if (strcmp(buf_cstr(&b), rows[i].expected) != 0)
				fail_msg("%s in %zu: %s", rows[i].bytes, step, buf_cstr(&b));
		}
	}
	buf_fini(&b);
}

static void m07_100_mib_of_soft_line_ends(void **state)
{
	static unsigned char piece[3 << 15];
	struct transfer t;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof piece; i++)
		piece[i] = (unsigned char)"=\r\n"[i % 3];
	buf_init(&b, 1 << 20);
	transfer_init(&t, MIME_QUOTED);
	for (size_t n = 0; n < (100u << 20); n += sizeof piece)
		assert_true(transfer_feed(&t, span_of(piece, sizeof piece), &b));
	assert_true(transfer_end(&t, &b));
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static void encodings_have_names(void **state)
{
	(void)state;
	assert_int_equal(transfer_named(SPAN_LIT(" Base64 ")), MIME_BASE64);
	assert_int_equal(transfer_named(SPAN_LIT("quoted-printable (x)")), MIME_QUOTED);
	assert_int_equal(transfer_named(SPAN_LIT("")), MIME_7BIT);
	assert_int_equal(transfer_named(SPAN_LIT("gzip64")), MIME_UNKNOWN);
}

/* ---- HTML ---- */

static void html_leaves_words(void **state)
{
	static const struct {
		const char *html, *expected;
	} rows[] = {
		{"a<b>b</b>c<br>d", "abc d"},
		{"<style>x{}</style>y<SCRIPT>if (a<b) \"</x>\"</SCRIPT >z", " y z"},
		{"<!-- a > b -- c -->d", "d"},
		{"&auml;&amp;&#65;&#x42;&nosuch;&amp x", "\xc3\xa4&AB&nosuch;& x"},
		{"<a href=\"x>y\">t</a>", "t"},
		{"1 < 2 <3", "1 < 2 <3"},
		{"<p", ""},
		{"&#0;&#xd800;&#99999999999;", "&#0;&#xd800;&#99999999999;"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span s = span_str(rows[i].html);

		for (size_t step = 1; step <= s.n; step++) {
			struct html_strip h;

			buf_clear(&b);
			html_strip_init(&h);
			for (size_t at = 0; at < s.n; at += step)
				assert_true(html_strip_feed(&h, span_first(span_from(s, at), step),
							    &b));
			if (strcmp(buf_cstr(&b), rows[i].expected) != 0)
				fail_msg("%s: %s", rows[i].html, buf_cstr(&b));
		}
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_fields_become_text),
		cmocka_unit_test(m05_encoded_words_are_linear),
		cmocka_unit_test(folding),
		cmocka_unit_test(a_charset_in_any_pieces),
		cmocka_unit_test(every_charset_is_there),
		cmocka_unit_test(m07_junk_decodes_to_the_same_bytes_in_any_pieces),
		cmocka_unit_test(m07_100_mib_of_soft_line_ends),
		cmocka_unit_test(encodings_have_names),
		cmocka_unit_test(html_leaves_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
