/* Journal reports, written after Microsoft's description of the format; J1 to J4 of journal.h. */
#include "mail/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"

#define ORIGINAL                                                                                   \
	"Received: from a by b; Sat, 21 Nov 2026 21:10:22 +0000\r\n"                               \
	"From: Anna <anna@example.com>\r\nTo: team@example.com\r\nSubject: Figures\r\n"            \
	"Message-ID: <f@example.com>\r\nDate: Sat, 21 Nov 2026 22:10:21 +0100\r\n"                 \
	"Content-Type: multipart/mixed; boundary=\"in\"\r\n\r\n"                                   \
	"--in\r\n\r\nSender: mallory@example.net\r\n--in--\r\n"
#define HEAD                                                                                       \
	"Received: from ex.example.com by mx2; Sat, 21 Nov 2026 21:10:23 +0000\r\n"                \
	"From: <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.com>\r\n"                \
	"To: <journal@j.example.net>\r\nSubject: Figures\r\nMessage-ID: <report@ex>\r\n"           \
	"Content-Type: multipart/mixed;\r\n\tboundary=\"_6d6d_\"; type=x\r\n"                      \
	"X-MS-Journal-Report:\r\nMIME-Version: 1.0\r\n\r\n"
#define PART1(type, text)                                                                          \
	"This is a report.\r\n--_6d6d_\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n" type    \
	"\r\n" text "\r\n--_6d6d_\r\n"
#define ENVELOPE                                                                                   \
	"Sender: anna@example.com\r\nOn-Behalf-Of: boss@example.com\r\nSubject: Figures\r\n"       \
	"Message-ID: <f@example.com>\r\nTo: berta@Example.COM, Expanded: team@example.com\r\n"     \
	"Cc: \"Carl, C.\" <carl@example.com>\r\nBcc: dora@example.com, Forwarded: "                \
	"emil@example.com\r\nRecipient: fritz@example.net\r\nRecipient: /o=x/cn=y\r\n\r\n"         \
	"To: late@example.com\r\n"
#define PART2 "Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
#define TAIL  "\r\n--_6d6d_--\r\n"
#define REPORT                                                                                     \
	HEAD PART1("", ENVELOPE)                                                                   \
	PART2 ORIGINAL TAIL

struct seen {
	char text[1000];
	bool stops;
};

static bool on_rcpt(void *arg, enum journal_role role, const struct address *a)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof s->text - n, "%c:%.*s ", "rtcb"[role],
		       SPAN_FMT(address_span(a)));
	return !s->stops;
}

/* Fed in steps of so many bytes; the report's recipients as one text, NULL for no report. */
static const char *read_report(struct span text, size_t step, struct journal **out)
{
	static struct seen seen;
	struct journal *j = journal_new();
	bool is_report;

	seen = (struct seen){0};
	assert_non_null(j);
	for (size_t at = 0; at < text.n; at += step)
		journal_feed(j, span_of(text.p + at, step < text.n - at ? step : text.n - at));
	is_report = journal_end(j);
	if (is_report)
		journal_each_rcpt(j, on_rcpt, &seen);
	*out = j;
	return is_report ? seen.text : NULL;
}

#define RCPTS "t:berta@example.com c:carl@example.com b:dora@example.com r:fritz@example.net "

static void check(struct span text, size_t step, const char *original)
{
	struct journal *j;
	const char *got = read_report(text, step, &j);
	struct address sender;

	assert_non_null(got);
	assert_string_equal(got, RCPTS);
	assert_true(journal_sender(j, &sender));
	assert_true(span_eq(address_span(&sender), SPAN_LIT("anna@example.com")));
	assert_int_equal(journal_inner_bytes(j), strlen(original));
	assert_memory_equal(text.p + journal_inner_offset(j), original, strlen(original));
	assert_true(
		span_eq(header_message_id(journal_inner_header(j)), SPAN_LIT("<f@example.com>")));
	assert_true(span_eq(header_date(journal_inner_header(j)),
			    SPAN_LIT("Sat, 21 Nov 2026 22:10:21 +0100")));
	journal_free(j);
}

static void j1_any_split_gives_the_same(void **state)
{
	(void)state;
	for (size_t step = 1; step <= sizeof REPORT; step++)
		check(SPAN_LIT(REPORT), step, ORIGINAL);
}

static void part_1_may_be_encoded(void **state)
{
	struct buf base64 = {0}, text = {0};

	(void)state;
	base64_encode(&base64, SPAN_LIT(ENVELOPE));
	buf_append(&text, SPAN_LIT(HEAD "--_6d6d_\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
	for (size_t at = 0; at < base64.n; at += 76) {
		buf_append(&text, span_first(span_from(buf_span(&base64), at), 76));
		buf_append(&text, SPAN_LIT("\r\n"));
	}
	buf_append(&text, SPAN_LIT("--_6d6d_\r\n" PART2 ORIGINAL TAIL));
	check(buf_span(&text), 7, ORIGINAL);
	buf_fini(&base64);
	buf_fini(&text);
	check(SPAN_LIT(HEAD PART1("content-transfer-encoding: Quoted-Printable\r\n",
				  "Sender: anna=40example.com\r\nTo: berta@exam=\r\nple.com\r\nCc: "
				  "carl@example.com\r\nBcc: dora@example.com\r\nRecipient: "
				  "fritz@example.net\r\n=") PART2 ORIGINAL TAIL),
	      5, ORIGINAL);
}

/* J4 */
static void an_encoded_original_is_not_pointed_at(void **state)
{
	struct journal *j;

	(void)state;
	assert_non_null(read_report(
		SPAN_LIT(HEAD PART1("", ENVELOPE) "Content-Type: message/rfc822\r\n"
						  "Content-Transfer-Encoding: base64\r\n\r\n"
						  "RnJvbTogYQ==" TAIL),
		9, &j));
	assert_int_equal(journal_inner_bytes(j), 0);
	journal_free(j);
}

static void the_original_may_be_cut_or_empty_or_have_long_lines(void **state)
{
	struct buf text = {0};
	struct journal *j;

	(void)state;
	check(SPAN_LIT(HEAD PART1("", ENVELOPE) PART2 ORIGINAL), 11, ORIGINAL);
	assert_non_null(
		read_report(SPAN_LIT(HEAD PART1("", ENVELOPE) PART2 "--_6d6d_--\r\n"), 4, &j));
	assert_int_equal(journal_inner_bytes(j), 0);
	journal_free(j);
	for (size_t n = JOURNAL_LINE_BYTES - 3; n < JOURNAL_LINE_BYTES + 4; n++) {
		buf_clear(&text);
		buf_append(&text, SPAN_LIT(HEAD PART1("", ENVELOPE) PART2 ORIGINAL));
		for (size_t i = 0; i < n; i++)
			buf_append_byte(&text, i == JOURNAL_LINE_BYTES - 1 ? '\r' : 'x');
		buf_append(&text, SPAN_LIT(TAIL));
		assert_non_null(read_report(buf_span(&text), 1000, &j));
		assert_int_equal(journal_inner_bytes(j), strlen(ORIGINAL) + n);
		journal_free(j);
	}
	buf_fini(&text);
}

/* J3 */
static void what_is_not_wholly_understood_is_no_report(void **state)
{
	static const char *const rows[] = {
		"",
		"X-MS-Journal-Report:\r\n\r\nno parts\r\n",
		"X-MS-Journal-Report:\r\nContent-Type: multipart/mixed\r\n\r\n--\r\n",
		"X-MS-Journal-Report:\r\nContent-Type: multipart/mixed; "
		"boundary=\"\"\r\n\r\n--\r\n",
		ORIGINAL,
		HEAD,
		HEAD PART1("", ENVELOPE),
		HEAD PART1("", ENVELOPE) "Content-Type: text/plain\r\n\r\n" ORIGINAL TAIL,
		HEAD PART1("", ENVELOPE) "no field\r\n\r\n" ORIGINAL TAIL,
		HEAD PART1("", "nothing to say\r\n") PART2 ORIGINAL TAIL,
		HEAD PART1("Content-Type: text/html\r\n", ENVELOPE) PART2 ORIGINAL TAIL,
		HEAD PART1("Content-Transfer-Encoding: base64\r\n", "!!!") PART2 ORIGINAL TAIL,
		HEAD PART1("Content-Transfer-Encoding: x-own\r\n", ENVELOPE) PART2 ORIGINAL TAIL,
		HEAD "--_6d6d_--\r\n" PART2 ORIGINAL TAIL,
		HEAD "--_6d6d_\r\n--_6d6d_\r\n" PART2 ORIGINAL TAIL,
		/* the mark stands in the original alone: a message about a report is none */
		"From: x\r\nContent-Type: multipart/mixed; boundary=_6d6d_\r\n\r\n" PART1(
			"", ENVELOPE) PART2 "X-MS-Journal-Report:\r\n" ORIGINAL TAIL,
	};
	struct journal *j;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (read_report(span_str(rows[i]), 3, &j)) {
			print_error("row %zu\n", i);
			fail();
		}
		journal_free(j);
	}
}

/* J2: a report beyond the limit is a plain copy; lines and fields without end cost nothing. */
static void sizes_are_limited(void **state)
{
	struct buf text = {0};
	struct journal *j;

	(void)state;
	buf_append(&text, SPAN_LIT(HEAD "--_6d6d_\r\n\r\nSender: a@example.com\r\n"));
	while (text.n < 2 * JOURNAL_TEXT_BYTES)
		buf_append(&text, SPAN_LIT("To: berta@example.com\r\n"));
	buf_append(&text, SPAN_LIT("--_6d6d_\r\n" PART2 ORIGINAL TAIL));
	assert_null(read_report(buf_span(&text), 4096, &j));
	journal_free(j);
	buf_clear(&text);
	buf_append(&text, SPAN_LIT("X-MS-Journal-Report: "));
	for (size_t i = 0; i < 100000; i++)
		buf_append_byte(&text, 'x');
	for (size_t i = 0; i < 100000; i++)
		buf_append(&text, SPAN_LIT("\r\n y"));
	assert_null(read_report(buf_span(&text), 4096, &j));
	journal_free(j);
	buf_fini(&text);
}

static bool on_named(void *arg, const struct address *a)
{
	return on_rcpt(arg, JOURNAL_TO, a);
}

/* A blind copy: the header is all there is to go by. */
static void the_header_names_recipients_of_a_plain_copy(void **state)
{
	static const char text[] =
		"Delivered-To: zoe@example.com\r\nTo: Anna <anna@example.com>, \"Be, (r) <ta>\"\r\n"
		"\t<berta@example.com>,carl@example.com (Carl, really)\r\nSubject: To: "
		"x@y.example\r\n"
		"cc: Team: dora@example.com, <emil@example.com>;, nobody, undisclosed:;\r\n"
		"Bcc:\r\n fritz@example.com\r\n\r\nTo: late@example.com\r\n";
	for (size_t step = 1; step < sizeof text; step += 13) {
		struct seen seen = {0};
		struct journal *j;

		(void)state;
		assert_null(read_report(span_str(text), step, &j));
		journal_each_named(j, on_named, &seen);
		assert_string_equal(seen.text,
				    "t:zoe@example.com t:anna@example.com "
				    "t:berta@example.com t:carl@example.com t:dora@example.com "
				    "t:emil@example.com t:fritz@example.com ");
		journal_free(j);
	}
}

static void reading_recipients_can_stop(void **state)
{
	struct seen seen = {.stops = true};
	struct journal *j;

	(void)state;
	(void)read_report(SPAN_LIT(REPORT), 100, &j);
	journal_each_rcpt(j, on_rcpt, &seen);
	assert_string_equal(seen.text, "t:berta@example.com ");
	journal_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(j1_any_split_gives_the_same),
		cmocka_unit_test(part_1_may_be_encoded),
		cmocka_unit_test(an_encoded_original_is_not_pointed_at),
		cmocka_unit_test(the_original_may_be_cut_or_empty_or_have_long_lines),
		cmocka_unit_test(what_is_not_wholly_understood_is_no_report),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(the_header_names_recipients_of_a_plain_copy),
		cmocka_unit_test(reading_recipients_can_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
