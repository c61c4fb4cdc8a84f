/* The grammar of --match, row by row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "queue/match.h"

static void takes(void **state)
{
	struct queue_match m;
	struct fault why;

	(void)state;
	assert_int_equal(
		queue_match_parse(SPAN_LIT(" site=hq, rcpt=*@X.example,sender=<>,older=2h,newer=1d,"
					   "larger=1MiB,smaller=2MB,state=decide,text=a\\,b"),
				  &m, &why),
		OK);
	assert_int_equal(m.flags, QUEUE_MATCH_SITE | QUEUE_MATCH_RCPT | QUEUE_MATCH_SENDER |
					  QUEUE_MATCH_OLDER | QUEUE_MATCH_NEWER |
					  QUEUE_MATCH_LARGER | QUEUE_MATCH_SMALLER |
					  QUEUE_MATCH_STATE | QUEUE_MATCH_TEXT);
	assert_string_equal(m.site, "hq");
	assert_string_equal(m.rcpt, "*@X.example");
	assert_string_equal(m.sender, "");
	assert_string_equal(m.text, "a,b");
	assert_int_equal(m.state, QUEUE_DECIDE);
	assert_int_equal(m.older_us, 7200000000);
	assert_int_equal(m.newer_us, 86400000000);
	assert_int_equal(m.larger_bytes, 1 << 20);
	assert_int_equal(m.smaller_bytes, 2000000);
	assert_int_equal(queue_match_parse(SPAN_LIT("ABCDEF12"), &m, &why), OK);
	assert_int_equal(m.flags, QUEUE_MATCH_ID);
	assert_string_equal(m.id, "abcdef12");
	assert_int_equal(queue_match_parse(SPAN_LIT("state=held"), &m, &why), OK);
	assert_true(m.all_open);
}

static void refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "empty expression; to take all, say state=held"},
		{"  ", "empty expression; to take all, say state=held"},
		{"site=", "site= has no value"},
		{"sender=", "sender= has no value; the null sender is sender=<>"},
		{"site=a,site=b", "site= is given twice"},
		{"stat=held",
		 "unknown key 'stat'; keys are site domain rcpt sender id state older newer larger "
		 "smaller text"},
		{"older=2", "older=2 is not understood; write it like older=2h"},
		{"older=2y", "older=2y is not understood; write it like older=2h"},
		{"older=99999999999999d",
		 "older=99999999999999d is not understood; write it like older=2h"},
		{"larger=-1", "larger=-1 is not understood; write it like larger=1MiB"},
		{"larger=1 MiB", "larger=1 MiB is not understood; write it like larger=1MiB"},
		{"id=xyz", "id=xyz is not a message id: hexadecimal digits only"},
		{"id=abc", "id=abc: give 6 to 32 hexadecimal digits"},
		{"state=gone", "state=gone: one of held, ready, offered, deferred, decide"},
		{"site=a,,rcpt=b",
		 "'' is not of the form key=value; keys are site domain rcpt sender id state older "
		 "newer larger smaller text"},
		{"rcpt=a\tb", "a control character in the expression"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct queue_match m = {.flags = 77};
		struct fault why = {0};

		assert_int_equal(queue_match_parse(span_str(rows[i].text), &m, &why), REFUSED);
		assert_string_equal(why.text, rows[i].why);
		assert_int_equal(m.flags, 77);
	}
}

static void bounds_what_is_typed(void **state)
{
	static char long_text[QUEUE_MATCH_TEXT_LIMIT + 10];
	struct queue_match m;
	struct fault why;

	(void)state;
	memset(long_text, 'a', sizeof long_text - 1);
	memcpy(long_text, "rcpt=", 5);
	assert_int_equal(queue_match_parse(span_of(long_text, sizeof long_text - 1), &m, &why),
			 REFUSED);
	assert_int_equal(queue_match_parse(span_of(long_text, 400), &m, &why), REFUSED);
	assert_int_equal(queue_match_parse(span_of(long_text, 300), &m, &why), OK);
	memcpy(long_text, "site=", 5);
	assert_int_equal(queue_match_parse(span_of(long_text, 300), &m, &why), REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(refuses_with_a_sentence),
		cmocka_unit_test(bounds_what_is_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
