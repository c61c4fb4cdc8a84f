/* IMAP's text of a message, and its words for search. */
#include "mail/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#define LINE "\r\n"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct digest_maker *made(struct span message)
{
	struct digest_maker *d = digest_maker_new(true);

	digest_maker_feed(d, message);
	digest_maker_end(d);
	return d;
}

static void is(struct span s, const char *expected)
{
	if (!span_eq(s, span_str(expected)))
		fail_msg("%.*s", SPAN_FMT(s));
}

static void envelopes(void **state)
{
	static const struct {
		const char *header, *expected;
	} rows[] = {
		{"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Date: d" LINE "Subject: \"q\\" LINE "Message-ID: <1>" LINE
		 "In-Reply-To: <2>" LINE,
		 "(\"d\" \"\\\"q\\\\\" NIL NIL NIL NIL NIL NIL \"<2>\" \"<1>\")"},
		{"From: A <a@b>" LINE "Sender:" LINE,
		 "(NIL NIL ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" "
		 "\"b\")) NIL NIL NIL NIL NIL)"},
		{"To: a@b" LINE "To: G:;" LINE "Cc: lonely" LINE "Bcc: c@d, (" LINE,
		 "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"G\" NIL)(NIL NIL NIL NIL)) "
		 "((NIL NIL \"lonely\" \"MISSING_DOMAIN\")) ((NIL NIL \"c\" \"d\")) NIL NIL)"},
		{"Subject: first" LINE "Subject: second" LINE "From: x@y" LINE "From: z@w" LINE,
		 "(NIL \"first\" ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" "
		 "\"y\")) NIL NIL NIL NIL NIL)"},
		{"Subject: \xc3\xa4" LINE, "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: a" LINE "\tb" LINE, "(NIL \"a b\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject:" LINE, "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct digest_maker *d = made(span_str(rows[i].header));
		struct mail_digest m;

		assert_true(digest_maker_digest(d, &m));
		is(m.envelope, rows[i].expected);
		digest_maker_free(d);
	}
}

#define TYPE(t) "Content-Type: " t LINE

static void structures(void **state)
{
	static const struct {
		const char *message, *body, *extended;
	} rows[] = {
		{LINE "a" LINE "b" LINE,
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2)",
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2 NIL NIL NIL "
		 "NIL)"},
		{TYPE("Image/PNG; name=\"a b\"") "Content-ID: <i>" LINE
						 "Content-Description: d" LINE
						 "Content-Transfer-Encoding: BASE64" LINE
						 "Content-MD5: m" LINE
						 "Content-Disposition: Inline; filename=x" LINE
						 "Content-Language: de, en" LINE
						 "Content-Location: l" LINE LINE "AA",
		 "(\"image\" \"png\" (\"name\" \"a b\") \"<i>\" \"d\" \"base64\" 2)",
		 "(\"image\" \"png\" (\"name\" \"a b\") \"<i>\" \"d\" \"base64\" 2 \"m\" "
		 "(\"inline\" (\"filename\" \"x\")) "
		 "(\"de\" \"en\") \"l\")"},
		{TYPE("multipart/mixed; boundary=x") LINE,
		 "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")",
		 "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		 "NIL) \"mixed\" "
		 "(\"boundary\" \"x\") NIL NIL NIL)"},
		{TYPE("message/rfc822") LINE "Subject: s" LINE LINE "t" LINE,
		 "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"s\" NIL NIL NIL NIL NIL "
		 "NIL NIL NIL) "
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 3)",
		 NULL},
		{TYPE("message/rfc822") "Content-Transfer-Encoding: base64" LINE LINE "AAAA",
		 "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 4)", NULL},
		{TYPE("nonsense") LINE,
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct digest_maker *d = made(span_str(rows[i].message));
		struct mail_digest m;

		assert_true(digest_maker_digest(d, &m));
		is(m.body, rows[i].body);
		if (rows[i].extended)
			is(m.bodystructure, rows[i].extended);
		digest_maker_free(d);
	}
}

static void words_are_found(void **state)
{
	static const char message[] =
		"From: =?utf-8?q?J=C3=B6rg?= <j@x>" LINE "To: b@y" LINE "Cc: c@z" LINE
		"Bcc: d@w" LINE "Subject: Gr\xc3\xbc\xc3\x9f"
		"e" LINE "X-Other: Thing" LINE "Content-Type: multipart/mixed; boundary=b" LINE LINE
		"--b" LINE "Content-Type: text/plain; charset=iso-8859-1" LINE
		"Content-Transfer-Encoding: base64" LINE LINE "RORGRkVDVA==" LINE "--b" LINE
		"Content-Type: text/html" LINE LINE "<i>ta</i>gs" LINE "--b" LINE
		"Content-Type: message/rfc822" LINE LINE "Subject: inner" LINE LINE "deep" LINE
		"--b" LINE "Content-Type: application/pdf; name=paper.pdf" LINE LINE "hidden" LINE
		"--b--" LINE;
	static const struct {
		enum mail_text where;
		const char *folded;
		bool holds;
	} rows[] = {
		{MAIL_TEXT_FROM, "j\xc3\xb6rg <j@x>", true},
		{MAIL_TEXT_TO, "b@y", true},
		{MAIL_TEXT_CC, "c@z", true},
		{MAIL_TEXT_BCC, "d@w", true},
		{MAIL_TEXT_TO, "c@z", false},
		{MAIL_TEXT_SUBJECT, "gr\xc3\xbcsse", true},
		{MAIL_TEXT_ALL, "x-other: thing", true},
		{MAIL_TEXT_BODY, "x-other", false},
		{MAIL_TEXT_BODY,
		 "d\xc3\xa4"
		 "ffect",
		 true},
		{MAIL_TEXT_BODY, "tags", true},
		{MAIL_TEXT_BODY, "subject: inner", true},
		{MAIL_TEXT_BODY, "deep", true},
		{MAIL_TEXT_ALL, "deep", true},
		{MAIL_TEXT_BODY, "paper.pdf", true},
		{MAIL_TEXT_BODY, "hidden", false},
		{MAIL_TEXT_ALL, "", true},
		{MAIL_TEXT_SUBJECT, "inner", false},
	};
	struct digest_maker *d = made(span_str(message));

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (digest_maker_holds(d, rows[i].where, span_str(rows[i].folded)) != rows[i].holds)
			fail_msg("%s", rows[i].folded);
	digest_maker_free(d);
}

static void m05_a_subject_of_a_million_words(void **state)
{
	struct buf b;
	struct digest_maker *d;
	struct mail_digest m;
	double began;

	(void)state;
	buf_init(&b, 0);
	(void)buf_append(&b, SPAN_LIT("Subject: x"));
	for (int i = 0; i < 1000000; i++)
		(void)buf_append(&b, SPAN_LIT(LINE " =?utf-8?q?=0D=0A=00=E2=80=AE?="));
	(void)buf_append(&b, SPAN_LIT(LINE LINE "body" LINE));
	began = now();
	d = made(buf_span(&b));
	assert_true(now() - began < 1);
	assert_true(digest_maker_digest(d, &m));
	assert_int_equal(b.n - m.header_bytes, 6);
	assert_true(digest_maker_text(d, MAIL_TEXT_SUBJECT).n <= DIGEST_HEADER_BYTES);
	for (size_t i = 0; i + 1 < digest_maker_text(d, MAIL_TEXT_SUBJECT).n; i++)
		assert_true(digest_maker_text(d, MAIL_TEXT_SUBJECT).p[i] >= ' ');
	digest_maker_free(d);
	buf_fini(&b);
}

static void m01_m03_digests_of_the_nastiest_are_bounded(void **state)
{
	struct buf b;
	struct digest_maker *d;
	struct mail_digest m;
	double began = now();

	(void)state;
	buf_init(&b, 0);
	(void)buf_append(&b, SPAN_LIT(TYPE("multipart/digest; boundary=x") LINE));
	for (int i = 0; i < 100000; i++)
		(void)buf_append(&b, SPAN_LIT("--x" LINE LINE "To: a@b, c@d" LINE LINE));
	d = made(buf_span(&b));
	assert_true(digest_maker_digest(d, &m));
	assert_int_equal(mime_limits(digest_maker_mime(d)) & MIME_LIMIT_PARTS, MIME_LIMIT_PARTS);
	assert_true(m.bodystructure.n <= DIGEST_LIMIT_BYTES);
	digest_maker_free(d);
	buf_clear(&b);
	for (int i = 0; i < 10000; i++)
		(void)buf_append(&b, SPAN_LIT(TYPE("message/rfc822") LINE));
	d = made(buf_span(&b));
	assert_true(digest_maker_digest(d, &m));
	assert_int_equal(mime_limits(digest_maker_mime(d)), MIME_LIMIT_DEPTH);
	digest_maker_free(d);
	buf_fini(&b);
	assert_true(now() - began < 2);
}

/* The text is cut at its limit, at a character, and nothing grows beyond it. */
static void text_is_bounded(void **state)
{
	struct buf b;
	struct digest_maker *d;
	struct span text;

	(void)state;
	buf_init(&b, 0);
	(void)buf_append(&b, SPAN_LIT(LINE));
	for (int i = 0; i < 200000; i++)
		(void)buf_append(&b, SPAN_LIT("x\xe2\x82\xac"));
	d = made(buf_span(&b));
	text = digest_maker_text(d, MAIL_TEXT_BODY);
	assert_in_range(text.n, DIGEST_TEXT_BYTES - 4, DIGEST_TEXT_BYTES);
	assert_true(text.p[text.n - 1] == 'x' || text.p[text.n - 1] == 0xac);
	digest_maker_free(d);
	buf_fini(&b);
}

/* 32 MiB that decode to nothing, or look like encoded-words: each within seconds of nobody's time. */
static void what_gives_nothing_costs_little(void **state)
{
	static const struct {
		const char *head, *line;
	} rows[] = {
		{"Content-Transfer-Encoding: base64" LINE LINE, "====" LINE},
		{"Content-Transfer-Encoding: quoted-printable" LINE LINE, "=" LINE},
		{TYPE("text/html") LINE, "<!--<p>" LINE},
		{TYPE("text/plain; charset=utf-16") LINE, "\xe2\x80\xae" LINE},
		{"", "Subject: =?utf-8?q?=E2=80=AE?==?a?q?b=?c?q?d" LINE},
		{"Subject: x" LINE, " =?a?q?b=?c?q?d" LINE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct digest_maker *d = digest_maker_new(true);
		struct buf b;
		double began = now();

		buf_init(&b, 0);
		while (b.n < 1 << 16)
			(void)buf_append(&b, span_str(rows[i].line));
		digest_maker_feed(d, span_str(rows[i].head));
		for (size_t n = 0; n < 32 << 20; n += b.n)
			digest_maker_feed(d, buf_span(&b));
		digest_maker_end(d);
		if (now() - began > 2)
			fail_msg("%s: %.1f s", rows[i].line, now() - began);
		digest_maker_free(d);
		buf_fini(&b);
	}
}

/* ---- previews and attachments (RFC 8621 s4.1.4) ---- */

#define PART(type)  "--b" LINE TYPE(type) LINE
#define MIXED(kind) TYPE("multipart/" kind "; boundary=b") LINE

static void first_words_are_shown(void **state)
{
	static const struct {
		const char *message, *expected;
	} rows[] = {
		{"", ""},
		{LINE "Hello,  world" LINE LINE "how\tare you?" LINE, "Hello, world how are you?"},
		{LINE "> old" LINE "> older" LINE "new" LINE, "new"},
		{LINE "yes" LINE LINE "On Monday Anna wrote:" LINE LINE "> old" LINE "-- " LINE
		      "Me",
		 "yes"},
		{LINE "Dear all:" LINE "this is it" LINE "-- " LINE "Me", "Dear all: this is it"},
		{LINE "what follows:" LINE, "what follows:"},
		{LINE "yes" LINE "-----Original Message-----" LINE "From: a" LINE, "yes"},
		{LINE "-----Original Message-----" LINE "From: a" LINE,
		 "-----Original Message----- From: a"},
		{LINE "ok" LINE "________________________________" LINE "Von: b" LINE, "ok"},
		{LINE "> only" LINE ">> quotes" LINE, "only quotes"},
		{TYPE("text/html; charset=utf-8") LINE
		 "<html><head><style>p{}</style></head><body><p>Gr&uuml;&szlig;e,</p><p>A "
		 "<b>b</b>c",
		 "Gr\xc3\xbc\xc3\x9f"
		 "e, A bc"},
		{TYPE("text/html") LINE "<div>Sale!</div>&#8203;&#847; &nbsp;&zwnj;<p>more",
		 "Sale! &zwnj; more"},
		{TYPE("text/plain; charset=iso-8859-1") "Content-Transfer-Encoding: "
							"quoted-printable" LINE LINE
							"Gr=FC=\r\n=DFe",
		 "Gr\xc3\xbc\xc3\x9f"
		 "e"},
		{TYPE("text/plain; charset=utf-8") "Content-Transfer-Encoding: base64" LINE LINE
						   "4oCuZXZpbAA=",
		 "evil"}, /* no turning of direction, no control characters */
		{MIXED("alternative") PART("text/plain") LINE PART("text/html") "<p>only here" LINE
										"--b--" LINE,
		 "only here"},
		{MIXED("alternative") PART("text/plain") "plain" LINE PART(
			 "text/html") "<p>html" LINE "--b--" LINE,
		 "plain"},
		{MIXED("mixed") "--b" LINE TYPE(
			 "text/plain") "Content-Disposition: attachment" LINE LINE
				       "file" LINE PART("text/plain") "text" LINE "--b--" LINE,
		 "text"},
		{MIXED("mixed") PART("message/rfc822") "Subject: x" LINE LINE "inside" LINE
						       "--b--" LINE,
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int words = 0; words < 2; words++) {
			struct digest_maker *d = digest_maker_new(words == 1);
			struct mail_digest m;

			for (const char *at = rows[i].message; *at; at++)
				digest_maker_feed(d, span_of(at, 1));
			digest_maker_end(d);
			assert_true(digest_maker_digest(d, &m));
			is(m.preview, rows[i].expected);
			digest_maker_free(d);
		}
}

static void previews_end(void **state)
{
	struct buf text = {0};
	struct mail_digest m;
	struct digest_maker *d;

	(void)state;
	buf_printf(&text, "Content-Type: text/plain; charset=utf-8" LINE LINE);
	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "\xf0\x9f\x8c\x9d%s", i % 300 == 299 ? LINE : "");
	d = made(buf_span(&text));
	assert_true(digest_maker_digest(d, &m));
	assert_int_equal(m.preview.n, 4 * 256);
	digest_maker_free(d);
	buf_clear(&text); /* nothing for long, then something */
	buf_printf(&text, LINE);
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "   " LINE);
	buf_printf(&text, "late");
	d = made(buf_span(&text));
	assert_true(digest_maker_digest(d, &m));
	is(m.preview, "");
	digest_maker_free(d);
	buf_fini(&text);
}

static void attachments_are_seen(void **state)
{
#define FILE_PART(type, how) "--b" LINE TYPE(type) "Content-Disposition: " how LINE LINE "x" LINE
#define TEXT_PART	     PART("text/plain") "text" LINE
#define HTML_PART	     PART("text/html") "<img src=cid:i>" LINE
	static const struct {
		const char *message;
		bool has;
	} rows[] = {
		{"", false},
		{LINE "text" LINE, false},
		{TYPE("application/pdf") LINE "x", true},
		{TYPE("image/png") LINE "x", false}, /* shown */
		{MIXED("mixed")
			 TEXT_PART FILE_PART("application/pdf", "attachment; filename=x.pdf"),
		 true},
		{MIXED("mixed") TEXT_PART FILE_PART("text/plain", "attachment"), true},
		{MIXED("mixed") TEXT_PART PART("text/plain; name=notes.txt") "x" LINE, true},
		{MIXED("mixed") TEXT_PART TEXT_PART, false},
		{MIXED("mixed") TEXT_PART FILE_PART("image/png", "inline"), false},
		{MIXED("mixed") TEXT_PART FILE_PART("Image/PNG", "ATTACHMENT"), true},
		{MIXED("mixed") TEXT_PART FILE_PART("application/pdf", "inline"), false},
		{MIXED("alternative") TEXT_PART HTML_PART, false},
		{MIXED("alternative") TEXT_PART HTML_PART PART("text/calendar") "x" LINE, true},
		{MIXED("related") HTML_PART "--b" LINE TYPE("image/png") "Content-ID: <i>" LINE LINE
									 "x" LINE,
		 false},
		{MIXED("related") HTML_PART "--b" LINE TYPE("image/png") LINE "x" LINE, true},
		{MIXED("signed") TEXT_PART PART("application/pgp-signature") "x" LINE, false},
		{MIXED("mixed") TEXT_PART PART("message/rfc822") "Subject: x" LINE LINE "y" LINE,
		 true},
		{MIXED("report") TEXT_PART PART("message/delivery-status") "x" LINE, false},
		/* within an alternative the HTML has a picture of its own and a file */
		{MIXED("alternative") TEXT_PART "--b" LINE TYPE("multipart/related; boundary=c")
			 LINE "--c" LINE TYPE("text/html") LINE
		 "x" LINE "--c" LINE TYPE("image/png") "Content-ID: <i>" LINE LINE "x" LINE
						       "--c--" LINE "--b--" LINE,
		 false},
		{MIXED("alternative") TEXT_PART "--b" LINE TYPE("multipart/mixed; boundary=c") LINE
		 "--c" LINE TYPE("text/html") LINE "x" LINE "--c" LINE TYPE("image/png") LINE
		 "x" LINE "--c--" LINE "--b--" LINE,
		 true},
		{MIXED("mixed") "--b" LINE TYPE("multipart/mixed; boundary=c") LINE
		 "--c" LINE LINE "x" LINE "--c--" LINE FILE_PART("application/zip", "attachment"),
		 true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct digest_maker *d = made(span_str(rows[i].message));
		struct mail_digest m;

		assert_true(digest_maker_digest(d, &m));
		if (m.has_attachment != rows[i].has)
			fail_msg("row %zu: %s", i, rows[i].message);
		digest_maker_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelopes),
		cmocka_unit_test(structures),
		cmocka_unit_test(words_are_found),
		cmocka_unit_test(first_words_are_shown),
		cmocka_unit_test(previews_end),
		cmocka_unit_test(attachments_are_seen),
		cmocka_unit_test(m05_a_subject_of_a_million_words),
		cmocka_unit_test(m01_m03_digests_of_the_nastiest_are_bounded),
		cmocka_unit_test(text_is_bounded),
		cmocka_unit_test(what_gives_nothing_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
