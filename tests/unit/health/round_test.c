/* Several primaries make one probe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "health/health.h"

static const struct health_probe good = {LAYER_NONE, ANSWER_OK, 250, {0}, 0};

static void the_first_good_one_decides(void **state)
{
	struct health_probe bad = {LAYER_TCP, ANSWER_REFUSED, 0, SPAN_LIT("a"), 0}, out;
	struct health_round r;

	(void)state;
	health_round_begin(&r, 3);
	assert_false(health_round_add(&r, &bad, &out));
	assert_true(health_round_add(&r, &good, &out));
	assert_int_equal(out.answer, ANSWER_OK);
	assert_int_equal(out.layer, LAYER_NONE);
	assert_false(health_round_add(&r, &bad, &out));
}

static void all_must_fail_and_the_furthest_speaks(void **state)
{
	struct health_probe a = {LAYER_TCP, ANSWER_REFUSED, 0, SPAN_LIT("a"), 0};
	struct health_probe b = {LAYER_RCPT, ANSWER_5XX, 550, SPAN_LIT("b"), 0};
	struct health_probe c = {LAYER_GREETING, ANSWER_SILENT, 0, SPAN_LIT("c"), 0}, out;
	struct health_round r;

	(void)state;
	health_round_begin(&r, 3);
	assert_false(health_round_add(&r, &a, &out));
	assert_false(health_round_add(&r, &b, &out));
	assert_true(health_round_add(&r, &c, &out));
	assert_int_equal(out.layer, LAYER_RCPT);
	assert_int_equal(out.code, 550);
	assert_true(span_eq(out.detail, SPAN_LIT("b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_good_one_decides),
		cmocka_unit_test(all_must_fail_and_the_furthest_speaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
