/*
 * Dies, fails or loses power at every storage call of the scenario, one run each. HOLDFAST_SOAK=1 tries more seeds.
 */
#include "crash/rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "say/say.h"

static unsigned soak(unsigned usual, unsigned full)
{
	const char *v = getenv("HOLDFAST_SOAK");

	return v && *v == '1' ? full : usual;
}

/* How many calls the scenario makes when nothing happens. */
static uint64_t calls_in_all(void)
{
	struct rig *r = rig_new(1);
	uint64_t n;

	rig_run(r, true);
	n = os_sim_calls(rig_sim(r));
	assert_int_equal(rig_failed(r), 0);
	assert_true(rig_acked(r) > 70);
	rig_check(r);
	rig_free(r);
	return n;
}

struct mode {
	enum sim_fate fate;
	int err;
	bool repeat;
	uint64_t then_die; /* calls after the failure */
	bool cuts_power;
	enum sim_cut cut;
};

static void one(const struct mode *m, uint64_t nth, uint64_t seed)
{
	struct rig *r = rig_new(seed);
	struct os_sim *sim = rig_sim(r);

	os_sim_plan(sim, nth, m->fate, m->err, m->repeat);
	os_sim_plan_then_die(sim, m->then_die);
	rig_run(r, !m->repeat);
	if (m->cuts_power)
		os_sim_cut(sim, m->cut);
	else
		os_sim_kill(sim);
	rig_check(r);
	rig_free(r);
}

static void at_every_call(const struct mode *m, unsigned seeds)
{
	uint64_t n = calls_in_all();

	for (uint64_t seed = 1; seed <= seeds; seed++)
		for (uint64_t nth = 1; nth <= n; nth++)
			one(m, nth, seed);
}

static void d_01_killed_after_each_call(void **state)
{
	static const struct mode m = {.fate = SIM_DIE};

	(void)state;
	at_every_call(&m, 1);
}

static void d_01_killed_before_each_call(void **state)
{
	static const struct mode m = {.fate = SIM_DIE_BEFORE};

	(void)state;
	at_every_call(&m, 1);
}

static void d_01_power_cut_after_each_call_drops_all_unsynced(void **state)
{
	static const struct mode m = {.fate = SIM_DIE, .cuts_power = true, .cut = SIM_CUT_DROP};

	(void)state;
	at_every_call(&m, 1);
}

static void d_01_power_cut_after_each_call_tears(void **state)
{
	static const struct mode m = {.fate = SIM_DIE, .cuts_power = true, .cut = SIM_CUT_TORN};

	(void)state;
	at_every_call(&m, soak(3, 300));
}

static void d_04_each_call_fails_with_eio_and_the_run_goes_on(void **state)
{
	static const struct mode half = {
		.fate = SIM_FAIL_AFTER, .err = EIO, .cuts_power = true, .cut = SIM_CUT_TORN};
	static const struct mode m = {.fate = SIM_FAIL, .err = EIO};

	(void)state;
	at_every_call(&m, 1);
	at_every_call(&half, soak(1, 50));
}

static void d_04_each_call_fails_and_the_process_dies_soon_after(void **state)
{
	(void)state;
	for (uint64_t after = 1; after <= soak(3, 12); after++) {
		struct mode m = {.fate = SIM_FAIL, .err = EIO, .then_die = after};

		at_every_call(&m, 1);
		m.fate = SIM_FAIL_AFTER;
		m.cuts_power = true;
		m.cut = SIM_CUT_TORN;
		at_every_call(&m, soak(1, 20));
	}
}

static void d_04_the_disk_is_broken_from_each_call_on(void **state)
{
	static const struct mode m = {.fate = SIM_FAIL, .err = EIO, .repeat = true};
	static const struct mode cut = {.fate = SIM_FAIL,
					.err = EIO,
					.repeat = true,
					.cuts_power = true,
					.cut = SIM_CUT_DROP};

	(void)state;
	at_every_call(&m, 1);
	at_every_call(&cut, 1);
}

static void d_06_each_call_fails_with_enospc(void **state)
{
	static const struct mode m = {.fate = SIM_FAIL, .err = ENOSPC};
	static const struct mode half = {
		.fate = SIM_FAIL_AFTER, .err = ENOSPC, .cuts_power = true, .cut = SIM_CUT_DROP};

	(void)state;
	at_every_call(&m, 1);
	at_every_call(&half, 1);
}

/* The disk fills up at any point, everything unsynced is lost afterwards. */
static void d_06_the_disk_fills_up(void **state)
{
	(void)state;
	for (uint64_t kib = 4; kib < 1600; kib += soak(24, 1)) {
		struct rig *r = rig_new(kib);

		os_sim_set_space(rig_sim(r), kib << 10);
		rig_run(r, false);
		os_sim_cut(rig_sim(r), kib % 48 ? SIM_CUT_DROP : SIM_CUT_TORN);
		rig_check(r);
		rig_free(r);
	}
}

static void d_08_short_writes_and_eintr_everywhere(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= soak(10, 500); seed++) {
		struct rig *r = rig_new(seed);

		os_sim_be_choppy(rig_sim(r), true);
		rig_run(r, true);
		assert_int_equal(rig_failed(r), 0);
		os_sim_cut(rig_sim(r), SIM_CUT_DROP);
		rig_check(r);
		rig_free(r);
	}
}

/* Crash after crash: each life begins where the last one was cut. */
static void d_01_many_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= soak(12, 400); seed++) {
		struct rig *r = rig_new(seed);
		struct os_sim *sim = rig_sim(r);

		for (uint64_t life = 0; life < 3; life++) {
			uint64_t in = 1 + (seed * 37 + life * 101) % 230;

			os_sim_plan(sim, os_sim_calls(sim) + in, SIM_DIE, 0, false);
			rig_run(r, true);
			os_sim_cut(sim, (enum sim_cut)((seed + life) % 3));
			rig_check(r);
		}
		rig_free(r);
	}
}

static void workload(const char *ops)
{
	static const enum sim_cut cuts[] = {SIM_CUT_DROP, SIM_CUT_TORN};
	struct rig *r = rig_new(1);
	uint64_t calls;

	rig_run_ops(r, ops);
	calls = os_sim_calls(rig_sim(r));
	assert_int_equal(rig_failed(r), 0);
	rig_check(r);
	rig_free(r);
	for (uint64_t nth = 1; nth <= calls; nth++)
		for (unsigned c = 0; c < 2; c++) {
			r = rig_new(nth);
			os_sim_plan(rig_sim(r), nth, SIM_DIE, 0, false);
			rig_run_ops(r, ops);
			os_sim_cut(rig_sim(r), cuts[c]);
			rig_check(r);
			rig_free(r);
		}
}

/* Every workload of up to two operations (three when soaking), power cut after each of its calls. */
static void d_01_d_16_every_short_workload(void **state)
{
	static const char kinds[] = "pgcfo";
	unsigned longest = soak(2, 3);

	(void)state;
	for (unsigned i = 0; i < 5 + 25 + (longest == 3 ? 125 : 0); i++) {
		char ops[4] = {0};

		if (i < 5) {
			ops[0] = kinds[i];
		} else if (i < 30) {
			ops[0] = kinds[(i - 5) % 5];
			ops[1] = kinds[(i - 5) / 5];
		} else {
			ops[0] = kinds[(i - 30) % 5];
			ops[1] = kinds[(i - 30) / 5 % 5];
			ops[2] = kinds[(i - 30) / 25];
		}
		workload(ops);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d_01_killed_after_each_call),
		cmocka_unit_test(d_01_killed_before_each_call),
		cmocka_unit_test(d_01_power_cut_after_each_call_drops_all_unsynced),
		cmocka_unit_test(d_01_power_cut_after_each_call_tears),
		cmocka_unit_test(d_01_many_lives),
		cmocka_unit_test(d_01_d_16_every_short_workload),
		cmocka_unit_test(d_04_each_call_fails_with_eio_and_the_run_goes_on),
		cmocka_unit_test(d_04_each_call_fails_and_the_process_dies_soon_after),
		cmocka_unit_test(d_04_the_disk_is_broken_from_each_call_on),
		cmocka_unit_test(d_06_each_call_fails_with_enospc),
		cmocka_unit_test(d_06_the_disk_fills_up),
		cmocka_unit_test(d_08_short_writes_and_eintr_everywhere),
	};

	say_init("crash", SAY_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
