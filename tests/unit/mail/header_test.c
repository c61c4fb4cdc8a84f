#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define MARK "by mx2.example.net (Holdfast) with "

static const char message[] = "Received: from a (b [192.0.2.1])\r\n\tby mx2.example.net (Holdfast) "
			      "with ESMTP id 1;\r\n\tx\r\n"
			      "received : from c by d;\r\n y\r\n"
			      "Subject: one\r\n two\r\n"
			      "SUBJECT: later\r\n"
			      "Message-Id:\r\n <id@x> (comment)\r\n"
			      "From: \xc3\xbc <a@b>\r\n"
			      "date: Sat, 21 Nov\r\n 2026 21:10:22 +0000\r\n"
			      "\r\n"
			      "Received: in the body\r\n";

static void check(struct header_walk *w)
{
	assert_true(w->is_done);
	assert_int_equal(w->received, 2);
	assert_int_equal(w->own_received, 1);
	assert_true(span_eq(header_subject(w), SPAN_LIT("one two")));
	assert_true(span_eq(header_message_id(w), SPAN_LIT("<id@x>")));
	assert_true(span_eq(header_from(w), SPAN_LIT("\xc3\xbc <a@b>")));
	assert_true(span_eq(header_date(w), SPAN_LIT("Sat, 21 Nov 2026 21:10:22 +0000")));
	assert_int_equal(w->header_bytes, strstr(message, "\r\n\r\n") + 4 - message);
}

static void h1_any_split_gives_the_same(void **state)
{
	struct header_walk w;
	size_t n = sizeof message - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		header_walk_init(&w, SPAN_LIT(MARK));
		if (header_walk_feed(&w, span_of(message, cut)))
			(void)header_walk_feed(&w, span_of(message + cut, n - cut));
		check(&w);
	}
	header_walk_init(&w, SPAN_LIT(MARK));
	for (size_t i = 0; i < n; i++)
		(void)header_walk_feed(&w, span_of(message + i, 1));
	check(&w);
}

static void body_without_empty_line_ends_the_header(void **state)
{
	struct header_walk w;

	(void)state;
	header_walk_init(&w, SPAN_NONE);
	assert_false(header_walk_feed(&w, SPAN_LIT("Subject: x\r\nno field here\r\nFrom: y\r\n")));
	assert_int_equal(w.header_bytes, 12);
	assert_int_equal(w.from_n, 0);
	assert_true(span_eq(header_subject(&w), SPAN_LIT("x")));
}

static void header_without_end_counts_at_the_end(void **state)
{
	struct header_walk w;

	(void)state;
	header_walk_init(&w, SPAN_NONE);
	assert_true(header_walk_feed(&w, SPAN_LIT("Received: x\r\nSubject: y")));
	header_walk_end(&w);
	assert_int_equal(w.received, 1);
	assert_true(span_eq(header_subject(&w), SPAN_LIT("y")));
	assert_int_equal(w.header_bytes, 23);
}

/* S-22: 100,000 fields, one field of 10 MiB: linear, nothing grows. */
static void s_22_huge_headers_are_walked_in_one_pass(void **state)
{
	enum { FIELDS = 100000, LONG_BYTES = 10 << 20 };
	struct header_walk w;
	char *big = malloc(LONG_BYTES);

	(void)state;
	assert_non_null(big);
	memset(big, 'a', LONG_BYTES);
	header_walk_init(&w, SPAN_NONE);
	for (int i = 0; i < FIELDS; i++)
		assert_true(header_walk_feed(&w, SPAN_LIT("Received: x\r\n")));
	assert_true(header_walk_feed(&w, SPAN_LIT("To: ")));
	assert_true(header_walk_feed(&w, span_of(big, LONG_BYTES)));
	assert_false(header_walk_feed(&w, SPAN_LIT("\r\n\r\n")));
	assert_int_equal(w.received, FIELDS);
	assert_int_equal(w.header_bytes, FIELDS * 13 + 4 + LONG_BYTES + 4);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(h1_any_split_gives_the_same),
		cmocka_unit_test(body_without_empty_line_ends_the_header),
		cmocka_unit_test(header_without_end_counts_at_the_end),
		cmocka_unit_test(s_22_huge_headers_are_walked_in_one_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
