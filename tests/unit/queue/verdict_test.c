/* The refusal table of design section 6, row by row. N-05: a repaired primary that refuses everyone bounces nothing. */
#include "queue/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define GOOD KNOWN_GOOD
#define NOT  KNOWN_NOT

static const struct row {
	const char *name;
	struct verdict_in in;
	enum disposition then;
} rows[] = {
	/* the world: no site to hold for */
	{"world, nobody there", {.phase = PHASE_UP, .is_world = true, .attempt = ATTEMPT_UNREACHED}, DISPOSE_RETRY},
	{"world, 4xx", {.phase = PHASE_UP, .is_world = true, .attempt = ATTEMPT_4XX}, DISPOSE_RETRY},
	{"world, 5xx, verified",
	 {.phase = PHASE_UP, .is_world = true, .known = GOOD, .attempt = ATTEMPT_5XX, .sender_verified = true},
	 DISPOSE_DSN},
	{"world, 5xx, not verified", {.phase = PHASE_UP, .is_world = true, .attempt = ATTEMPT_5XX}, DISPOSE_DECIDE},
	{"world, 5xx, no notice wanted",
	 {.phase = PHASE_UP, .is_world = true, .attempt = ATTEMPT_5XX, .sender_verified = true, .wants_no_dsn = true},
	 DISPOSE_DECIDE},
	{"world, nobody there to the end",
	 {.phase = PHASE_UP,
	  .is_world = true,
	  .attempt = ATTEMPT_UNREACHED,
	  .sender_verified = true,
	  .lifetime_over = true},
	 DISPOSE_DSN},
	/* site down or unknown | any | anything | hold */
	{"down, known, 5xx",
	 {.phase = PHASE_DOWN, .known = GOOD, .attempt = ATTEMPT_5XX, .refusals_24h = 9},
	 DISPOSE_HOLD},
	{"down, unknown, 5xx, verified",
	 {.phase = PHASE_DOWN, .attempt = ATTEMPT_5XX, .sender_verified = true},
	 DISPOSE_HOLD},
	{"down, 4xx, old",
	 {.phase = PHASE_DOWN, .attempt = ATTEMPT_4XX, .lifetime_over = true},
	 DISPOSE_HOLD},
	/* probation | known good | 4xx or 5xx | retry; shown */
	{"probation, known, 4xx",
	 {.phase = PHASE_PROBATION, .known = GOOD, .attempt = ATTEMPT_4XX},
	 DISPOSE_RETRY},
	{"probation, known, 5xx",
	 {.phase = PHASE_PROBATION,
	  .known = GOOD,
	  .attempt = ATTEMPT_5XX,
	  .refusals_24h = 9,
	  .lifetime_over = true},
	 DISPOSE_RETRY},
	/* probation | unknown | 5xx | retry until probation ends */
	{"probation, unknown, 5xx",
	 {.phase = PHASE_PROBATION,
	  .known = NOT,
	  .attempt = ATTEMPT_5XX,
	  .sender_verified = true,
	  .refusals_24h = 9},
	 DISPOSE_RETRY},
	{"probation, unknown, 4xx",
	 {.phase = PHASE_PROBATION, .attempt = ATTEMPT_4XX, .lifetime_over = true},
	 DISPOSE_RETRY},
	/* up | known good | 5xx | decision list after 3 tries in 24 h */
	{"up, known, first 5xx",
	 {.phase = PHASE_UP, .known = GOOD, .attempt = ATTEMPT_5XX, .refusals_24h = 1},
	 DISPOSE_RETRY},
	{"up, known, second 5xx",
	 {.phase = PHASE_UP, .known = GOOD, .attempt = ATTEMPT_5XX, .refusals_24h = 2},
	 DISPOSE_RETRY},
	{"up, known, third 5xx",
	 {.phase = PHASE_UP,
	  .known = GOOD,
	  .attempt = ATTEMPT_5XX,
	  .refusals_24h = 3,
	  .sender_verified = true},
	 DISPOSE_DECIDE},
	{"up, known, 5xx, old",
	 {.phase = PHASE_UP,
	  .known = GOOD,
	  .attempt = ATTEMPT_5XX,
	  .refusals_24h = 1,
	  .lifetime_over = true},
	 DISPOSE_DECIDE},
	/* up | unknown | 5xx | sender verified: DSN; else decision list, no DSN */
	{"up, unknown, 5xx, verified",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_5XX, .sender_verified = true},
	 DISPOSE_DSN},
	{"up, unknown, 5xx, not verified (S-17)",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_5XX},
	 DISPOSE_DECIDE},
	{"up, unknown, 5xx, NOTIFY=NEVER or <>",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_5XX, .sender_verified = true, .wants_no_dsn = true},
	 DISPOSE_DECIDE},
	{"up, unknown, 5xx, old, not verified",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_5XX, .lifetime_over = true},
	 DISPOSE_DECIDE},
	/* up | any | 4xx | retry by schedule; decision list at the end of the lifetime */
	{"up, known, 4xx",
	 {.phase = PHASE_UP, .known = GOOD, .attempt = ATTEMPT_4XX},
	 DISPOSE_RETRY},
	{"up, unknown, 4xx",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_4XX, .sender_verified = true},
	 DISPOSE_RETRY},
	{"up, known, 4xx, old",
	 {.phase = PHASE_UP, .known = GOOD, .attempt = ATTEMPT_4XX, .lifetime_over = true},
	 DISPOSE_DECIDE},
	{"up, unknown, 4xx, old",
	 {.phase = PHASE_UP,
	  .attempt = ATTEMPT_4XX,
	  .lifetime_over = true,
	  .sender_verified = true},
	 DISPOSE_DECIDE},
	/* P4: nothing offered, and a reply lost after the dot */
	{"unreached, up, old",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_UNREACHED, .lifetime_over = true},
	 DISPOSE_HOLD},
	{"unreached, probation",
	 {.phase = PHASE_PROBATION, .attempt = ATTEMPT_UNREACHED},
	 DISPOSE_HOLD},
	{"unreached, down", {.phase = PHASE_DOWN, .attempt = ATTEMPT_UNREACHED}, DISPOSE_HOLD},
	{"lost, up", {.phase = PHASE_UP, .attempt = ATTEMPT_LOST}, DISPOSE_UNSURE},
	{"lost, down", {.phase = PHASE_DOWN, .attempt = ATTEMPT_LOST}, DISPOSE_UNSURE},
	{"lost, probation, old",
	 {.phase = PHASE_PROBATION, .attempt = ATTEMPT_LOST, .lifetime_over = true},
	 DISPOSE_UNSURE},
	{"lost twice",
	 {.phase = PHASE_UP, .attempt = ATTEMPT_LOST, .unsure_before = 1},
	 DISPOSE_DECIDE},
	{"accepted, up", {.phase = PHASE_UP, .attempt = ATTEMPT_ACCEPTED}, DISPOSE_DELIVERED},
	{"accepted, down, unsure before",
	 {.phase = PHASE_DOWN, .attempt = ATTEMPT_ACCEPTED, .unsure_before = 1},
	 DISPOSE_DELIVERED},
};

static void every_row_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum disposition got = verdict(&rows[i].in);

		if (got != rows[i].then)
			fail_msg("%s: %s, wanted %s", rows[i].name, disposition_name(got),
				 disposition_name(rows[i].then));
	}
}

/* Over all inputs: a DSN only for a verified sender, up, 5xx, unknown recipient; nothing refused is ever "delivered". */
static void no_dsn_but_in_one_row(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 2 * 3 * 5 * 16 * 5; bits++) {
		unsigned rest = bits;
		struct verdict_in in = {0};
		enum disposition d;

		in.known = rest % 2 ? GOOD : NOT;
		rest /= 2;
		in.phase = (enum site_phase)(rest % 3);
		rest /= 3;
		in.attempt = (enum attempt)(rest % 5);
		rest /= 5;
		in.sender_verified = rest & 1;
		in.wants_no_dsn = rest & 2;
		in.lifetime_over = rest & 4;
		in.unsure_before = rest & 8 ? 1 : 0;
		in.refusals_24h = rest / 16;
		d = verdict(&in);
		assert_true((d == DISPOSE_DELIVERED) == (in.attempt == ATTEMPT_ACCEPTED));
		if (d == DISPOSE_DSN)
			assert_true(in.known == NOT && in.phase == PHASE_UP &&
				    in.attempt == ATTEMPT_5XX && in.sender_verified &&
				    !in.wants_no_dsn);
		if (in.phase == PHASE_DOWN && in.attempt != ATTEMPT_ACCEPTED &&
		    in.attempt != ATTEMPT_LOST)
			assert_int_equal(d, DISPOSE_HOLD);
	}
}

/* N-05: the valve. */
static void n_05_valve_closes_over_five_per_cent(void **state)
{
	(void)state;
	assert_false(verdict_valve_closes(19, 19)); /* too few to tell */
	assert_false(verdict_valve_closes(20, 1));
	assert_true(verdict_valve_closes(20, 2));
	assert_false(verdict_valve_closes(1000, 50));
	assert_true(verdict_valve_closes(1000, 51));
	assert_false(verdict_valve_closes(0, 0));
	assert_true(verdict_valve_closes(4000000000u, 4000000000u));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table),
		cmocka_unit_test(no_dsn_but_in_one_row),
		cmocka_unit_test(n_05_valve_closes_over_five_per_cent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
