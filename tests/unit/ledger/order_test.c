#include "ledger/internal.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "os/sim.h"

static const char dir[] = "l";

static struct record record_of(const char *lane, uint64_t seq)
{
	struct record r = {
		.type = RECORD_MESSAGE,
		.ref = {lane_id_of(lane), 1 + (uint32_t)(seq / 100), 4096 * (seq % 100)},
		.seq = seq,
		.received_us = 1000 + seq,
		.length = (uint32_t)(200 + seq),
	};

	memset(r.digest, (int)seq, sizeof r.digest);
	return r;
}

static struct order *open_order(struct os_sim *sim, bool writable)
{
	struct order *o = NULL;
	struct fault why = {""};

	if (order_open(os_sim_os(sim), dir, writable, &o, &why) != OK)
		fail_msg("%s", why.text);
	if (writable)
		order_set_capacity(o, 10);
	return o;
}

static enum rc add(struct order *o, const char *lane, uint64_t seq, size_t n)
{
	struct order_entry entries[10];
	struct record records[10];
	struct fault why;

	for (size_t i = 0; i < n; i++)
		records[i] = record_of(lane, seq + i);
	return order_append(o, entries, records, n, &why);
}

static void entries_are_read_back_over_files_and_lives(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order_entry e[30];
	struct record_ref last;
	struct order *o;
	struct fault why;
	uint64_t seq = 1;
	size_t n;

	(void)state;
	for (unsigned life = 0; life < 3; life++) {
		o = open_order(sim, true);
		assert_int_equal(order_size(o), seq - 1);
		for (unsigned i = 0; i < 8; i++, seq += 3)
			assert_int_equal(add(o, "edge-0", seq, 3), OK);
		if (life == 1)
			assert_int_equal(order_save(o, &why), OK);
		order_close(o);
		os_sim_cut(sim, SIM_CUT_DROP);
	}
	o = open_order(sim, false);
	assert_int_equal(order_size(o), 72);
	for (uint64_t at = 0; at < 72; at += n) {
		assert_int_equal(order_read(o, at, e, 30, &n, &why), OK);
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(e[i].number, at + i);
			assert_int_equal(e[i].seq, at + i + 1);
			assert_int_equal(e[i].length, 200 + at + i + 1);
			assert_int_equal(e[i].received_us, 1000 + at + i + 1);
		}
	}
	assert_int_equal(order_read(o, 72, e, 30, &n, &why), OK);
	assert_int_equal(n, 0);
	assert_true(order_lane_end(o, lane_id_of("edge-0"), &last, &seq));
	assert_int_equal(seq, 72);
	assert_false(order_lane_end(o, lane_id_of("edge-1"), &last, &seq));
	order_close(o);
	os_sim_free(sim);
}

/* L2 for the order: what was written before a failed sync is void, also for a reader who had the file open. */
static void d_04_a_reader_follows_past_a_condemned_file(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order *o = open_order(sim, true), *reader;
	struct order_entry e[10];
	struct fault why;
	size_t n;

	(void)state;
	assert_int_equal(add(o, "edge-0", 1, 3), OK);
	reader = open_order(sim, false);
	assert_int_equal(order_read(reader, 0, e, 10, &n, &why), OK);
	assert_int_equal(n, 3);
	os_sim_plan(sim, os_sim_calls(sim) + 2, SIM_FAIL, EIO,
		    false); /* the sync, after the write */
	assert_int_equal(add(o, "edge-0", 4, 3), BROKEN);
	assert_int_equal(order_size(o), 3);
	assert_int_equal(add(o, "edge-1", 1, 2), OK);
	assert_int_equal(order_read(reader, 3, e, 10, &n, &why), OK);
	assert_int_equal(n, 2);
	assert_int_equal(e[0].ref.lane_id, lane_id_of("edge-1"));
	assert_int_equal(add(o, "edge-0", 4, 3),
			 OK); /* the same records again: they were never numbered */
	assert_int_equal(order_read(reader, 3, e, 10, &n, &why), OK);
	assert_int_equal(n, 5);
	order_close(reader);
	order_close(o);
	os_sim_free(sim);
}

static void a_record_is_numbered_once(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order *o = open_order(sim, true);

	(void)state;
	assert_int_equal(add(o, "edge-0", 1, 3), OK);
	assert_int_equal(add(o, "edge-0", 3, 2), REFUSED);
	assert_int_equal(order_size(o), 3);
	assert_int_equal(add(o, "edge-0", 4, 1), OK);
	order_close(o);
	os_sim_free(sim);
}

static void there_is_one_writer(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order *one = open_order(sim, true), *two;
	struct fault why;

	(void)state;
	assert_int_equal(order_open(os_sim_os(sim), dir, true, &two, &why), EXISTS);
	order_close(one);
	one = open_order(sim, true);
	order_close(one);
	os_sim_free(sim);
}

static void a_lost_tail_is_noticed_by_the_root(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order *o = open_order(sim, true);
	struct fault why;

	(void)state;
	assert_int_equal(add(o, "edge-0", 1, 5), OK);
	assert_int_equal(order_save(o, &why), OK);
	order_close(o);
	assert_true(os_sim_flip(sim, "l/order/0000000001.ord", 4096 + 4 * 96 + 20, 1));
	assert_int_equal(order_open(os_sim_os(sim), dir, true, &o, &why), BROKEN);
	assert_string_equal(why.text, "order/root knows 5 entries, but only 4 are there");
	os_sim_free(sim);
}

static void a_reader_without_an_order_is_told_to_wait(void **state)
{
	struct os_sim *sim = os_sim_new(1);
	struct order *o;
	struct fault why;

	(void)state;
	assert_int_equal(order_open(os_sim_os(sim), dir, false, &o, &why), LATER);
	os_sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_read_back_over_files_and_lives),
		cmocka_unit_test(d_04_a_reader_follows_past_a_condemned_file),
		cmocka_unit_test(a_record_is_numbered_once),
		cmocka_unit_test(there_is_one_writer),
		cmocka_unit_test(a_lost_tail_is_noticed_by_the_root),
		cmocka_unit_test(a_reader_without_an_order_is_told_to_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
