/* What a lane does when the disk is full, fails, or is slow: on the simulated disk, step by step. */
#include "ledger/internal.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "os/sim.h"

static struct lane *open_lane(struct os_sim *sim, uint64_t reserve)
{
	struct lane_options options = {.os = os_sim_os(sim),
				       .ledger_dir = "l",
				       .name = "edge-0",
				       .segment_bytes = 64 << 10,
				       .reserve_bytes = reserve};
	struct lane *lane = NULL;
	struct fault why = {""};

	if (lane_open(&options, &lane, &why) != OK)
		fail_msg("%s", why.text);
	return lane;
}

static void on_done(void *arg, const struct lane_result *result)
{
	*(struct lane_result *)arg = *result;
}

static void queue(struct lane *lane, size_t bytes, bool respects_reserve, struct lane_result *out)
{
	struct record_new r = {.type = RECORD_MESSAGE, .meta = SPAN_LIT("m")};

	out->rc = UNSURE;
	buf_init(&r.body, 0);
	for (size_t i = 0; i < bytes; i++)
		(void)buf_append_byte(&r.body, 'x');
	lane_append(lane, &r, 1, 0, respects_reserve, on_done, out);
}

static void work(struct lane *lane)
{
	while (lane_step(lane))
		lane_collect(lane);
}

/* D-06 */
static void d_06_below_the_reserve_new_mail_waits_and_the_rest_goes_on(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct lane *lane = open_lane(sim, 1 << 20);
	struct lane_result mail, outcome;

	(void)state;
	os_sim_set_space(sim, 1 << 19);
	os_sim_advance(sim, 300000);
	queue(lane, 100, true, &mail);
	queue(lane, 100, false, &outcome);
	work(lane);
	assert_int_equal(mail.rc, LATER);
	assert_int_equal(outcome.rc, OK);
	assert_true(lane_is_below_reserve(lane));
	os_sim_set_space(sim, 2 << 20);
	queue(lane, 100, true, &mail);
	work(lane);
	assert_int_equal(mail.rc, LATER); /* asked at most every 250 ms */
	os_sim_advance(sim, 300000);
	queue(lane, 100, true, &mail);
	work(lane);
	assert_int_equal(mail.rc, OK);
	assert_false(lane_is_below_reserve(lane));
	lane_close(lane);
	os_sim_free(sim);
}

/* D-06: no room for the next segment: 452 for what needs it, by itself well again. */
static void d_06_a_full_disk_refuses_and_recovers(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct lane *lane = open_lane(sim, 0);
	struct lane_result a, b, c;
	char trouble[480];

	(void)state;
	os_sim_set_space(sim, 1000);
	queue(lane, 50000, true, &a); /* fits what is there */
	queue(lane, 50000, true, &b); /* does not */
	queue(lane, 1000, true, &c);
	work(lane);
	assert_int_equal(a.rc, OK);
	assert_int_equal(b.rc, LATER);
	assert_int_equal(c.rc, OK); /* still fits */
	lane_trouble(lane, trouble, sizeof trouble);
	assert_non_null(strstr(trouble, "No space left"));
	os_sim_set_space(sim, 1 << 20);
	os_sim_advance(sim, 1100000);
	queue(lane, 50000, true, &b);
	work(lane);
	assert_int_equal(b.rc, OK);
	assert_int_equal(b.ref.segment,
			 a.ref.segment + 2); /* the number of the attempt is not used again */
	lane_trouble(lane, trouble, sizeof trouble);
	assert_string_equal(trouble, "");
	lane_close(lane);
	os_sim_free(sim);
}

/* D-04: the whole batch is refused, the segment condemned, the next one names the last good position. */
static void d_04_a_failed_sync_condemns_the_segment(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct lane *lane = open_lane(sim, 0);
	struct lane_position before, until;
	struct lane_result a, b, c;
	struct ledger_reader *reader;
	struct lane_stats stats;
	struct record r = {.ref = {lane_id_of("edge-0"), 0, 0}};
	struct fault why;
	uint64_t epoch = lane_epoch(lane);

	(void)state;
	queue(lane, 100, true, &a);
	work(lane);
	assert_int_equal(a.rc, OK);
	before = lane_durable(lane);
	queue(lane, 100, true, &a);
	queue(lane, 100, true, &b);
	os_sim_plan(sim, os_sim_calls(sim) + 2, SIM_FAIL, EIO, false);
	work(lane);
	assert_int_equal(a.rc, BROKEN);
	assert_int_equal(b.rc, BROKEN);
	assert_int_equal(lane_epoch(lane), epoch + 1);
	lane_stats(lane, &stats);
	assert_int_equal(stats.abandoned, 1);
	queue(lane, 100, true, &c);
	work(lane);
	assert_int_equal(c.rc, OK);
	assert_int_equal(c.ref.segment, before.segment + 1);
	until = lane_durable(lane);
	assert_int_equal(ledger_reader_new(os_sim_os(sim), "l", &reader, &why), OK);
	for (uint64_t seq = 1; seq <= 4; seq++) { /* OPEN, the first, ABANDON, the last */
		static const enum record_type types[] = {RECORD_OPEN, RECORD_MESSAGE,
							 RECORD_ABANDON, RECORD_MESSAGE};

		assert_int_equal(ledger_next(reader, &r, &until, &r, &why), OK);
		assert_int_equal(r.seq, seq);
		assert_int_equal(r.type, types[seq - 1]);
	}
	assert_int_equal(ledger_next(reader, &r, &until, &r, &why), MORE);
	ledger_reader_free(reader);
	lane_close(lane);
	os_sim_free(sim);
}

/* D-04, D-13: a disk that stays broken, or was remounted read-only: refused at once, tried again once a second. */
static void d_04_d_13_a_broken_disk_is_tried_once_a_second(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct lane *lane = open_lane(sim, 0);
	struct lane_result a;
	uint64_t calls;

	(void)state;
	os_sim_plan(sim, os_sim_calls(sim) + 1, SIM_FAIL, EROFS, true);
	queue(lane, 100, true, &a);
	work(lane);
	assert_int_equal(a.rc, BROKEN);
	calls = os_sim_calls(sim);
	for (unsigned i = 0; i < 20; i++) {
		queue(lane, 100, true, &a);
		work(lane);
		assert_int_equal(a.rc, BROKEN);
	}
	assert_int_equal(os_sim_calls(sim), calls); /* the disk is left alone meanwhile */
	os_sim_plan(sim, 0, SIM_FAIL, 0, false);
	os_sim_advance(sim, 1100000);
	queue(lane, 100, true, &a);
	work(lane);
	assert_int_equal(a.rc, OK);
	lane_close(lane);
	os_sim_free(sim);
}

/* L4: nothing is ever written below the durable end. */
static void a_synced_block_is_not_written_again(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct lane *lane = open_lane(sim, 0);
	struct lane_result a;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(lane_durable(lane).offset % LEDGER_BLOCK_BYTES, 0);
		queue(lane, 10 + 100 * i, true, &a);
		work(lane);
		assert_int_equal(a.rc, OK);
		assert_int_equal(a.ref.offset % LEDGER_BLOCK_BYTES, 0);
	}
	lane_close(lane);
	os_sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d_06_below_the_reserve_new_mail_waits_and_the_rest_goes_on),
		cmocka_unit_test(d_06_a_full_disk_refuses_and_recovers),
		cmocka_unit_test(d_04_a_failed_sync_condemns_the_segment),
		cmocka_unit_test(d_04_d_13_a_broken_disk_is_tried_once_a_second),
		cmocka_unit_test(a_synced_block_is_not_written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
