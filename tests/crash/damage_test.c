/*
 * Damage of what was durable: it is found, named and stepped over (L6), and nothing bad is ever given out.
 */
#include "crash/rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ledger/ledger.h"
#include "role/sequencer/follow.h"
#include "say/say.h"

static const char dir[] = "l";

static void on_problem(void *arg, const char *text)
{
	(void)text;
	++*(unsigned *)arg;
}

static unsigned problems(struct rig *r, struct ledger_report *out)
{
	unsigned n = 0;
	struct fault why = {""};

	if (ledger_verify(os_sim_os(rig_sim(r)), dir, on_problem, NULL, &n, out, &why) != OK)
		fail_msg("%s", why.text);
	assert_int_equal(n, out->problems);
	return n;
}

static void a_sound_ledger_has_no_problems(void **state)
{
	struct rig *r = rig_new(1);
	struct ledger_report report;

	(void)state;
	rig_run(r, true);
	assert_int_equal(problems(r, &report), 0);
	assert_int_equal(report.lanes, 1);
	assert_true(report.segments > 3);
	assert_true(report.messages >= 50);
	assert_true(report.records > rig_acked(r));
	assert_int_equal(report.ordered, report.records);
	assert_int_equal(report.cut_bytes, 0);
	rig_free(r);
}

/* Every record of the lane. */
static size_t records_of(struct rig *r, struct record *out, size_t max)
{
	struct os *os = os_sim_os(rig_sim(r));
	struct ledger_reader *reader;
	struct lane_recovery found;
	struct record at = {.ref = {lane_id_of("edge-0"), 0, 0}};
	struct fault why;
	size_t n = 0;

	assert_int_equal(lane_recover(os, dir, "edge-0", &found, &why), OK);
	assert_int_equal(ledger_reader_new(os, dir, &reader, &why), OK);
	while (ledger_next(reader, &at, &found.end, &at, &why) == OK) {
		must(n < max);
		out[n++] = at;
	}
	ledger_reader_free(reader);
	return n;
}

static void path_of(char path[64], uint32_t segment)
{
	(void)snprintf(path, 64, "%s/lane-edge-0/%010u.seg", dir, segment);
}

enum { RECORDS = 400 };

/* D-09, A-01: one flipped bit anywhere in a record (all of it is under some checksum) is a problem that is named. */
static void d_09_every_flipped_bit_is_found(void **state)
{
	struct record *records = must_alloc(RECORDS * sizeof *records);
	struct rig *r = rig_new(1);
	struct ledger_report report;
	char path[64];
	size_t n;

	(void)state;
	rig_run(r, true);
	n = records_of(r, records, RECORDS);
	for (unsigned i = 0; i < 300; i++) {
		const struct record *at = &records[(i * 7919) % n];
		uint64_t byte = i % 3 == 0 ? (i * 31) % 128 : (i * 104729) % at->length;

		path_of(path, at->ref.segment);
		assert_true(os_sim_flip(rig_sim(r), path, at->ref.offset + byte,
					(unsigned char)(1U << i % 8)));
		if (problems(r, &report) == 0)
			fail_msg("bit %u of byte %llu in segment %u at %llu", i % 8,
				 (unsigned long long)byte, at->ref.segment,
				 (unsigned long long)at->ref.offset);
		assert_true(os_sim_flip(rig_sim(r), path, at->ref.offset + byte,
					(unsigned char)(1U << i % 8)));
	}
	assert_int_equal(problems(r, &report), 0);
	free(records);
	rig_free(r);
}

static void d_09_every_flipped_bit_of_the_order_is_found(void **state)
{
	struct rig *r = rig_new(1);
	struct ledger_report report;

	(void)state;
	rig_run(r, true);
	for (unsigned i = 0; i < 96 * 3; i++) {
		assert_true(os_sim_flip(rig_sim(r), "l/order/0000000001.ord", 4096 + i,
					(unsigned char)(1U << i % 8)));
		assert_true(problems(r, &report) > 0);
		assert_true(os_sim_flip(rig_sim(r), "l/order/0000000001.ord", 4096 + i,
					(unsigned char)(1U << i % 8)));
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_true(os_sim_flip(rig_sim(r), "l/order/root", i, 4));
		assert_true(problems(r, &report) > 0);
		assert_true(os_sim_flip(rig_sim(r), "l/order/root", i, 4));
	}
	assert_int_equal(problems(r, &report), 0);
	rig_free(r);
}

/* D-09: a bad body is never given out, not even its first piece. */
static void d_09_bad_bytes_are_never_served(void **state)
{
	struct record *records = must_alloc(RECORDS * sizeof *records);
	struct rig *r = rig_new(1);
	struct ledger_reader *reader;
	struct ledger_body *body;
	unsigned tried = 0;
	struct fault why;
	char path[64];
	size_t n;

	(void)state;
	rig_run(r, true);
	n = records_of(r, records, RECORDS);
	assert_int_equal(ledger_reader_new(os_sim_os(rig_sim(r)), dir, &reader, &why), OK);
	for (size_t i = 0; i < n; i++) {
		if (records[i].type != RECORD_MESSAGE || records[i].is_chunked ||
		    records[i].body_bytes == 0)
			continue;
		path_of(path, records[i].ref.segment);
		assert_true(os_sim_flip(rig_sim(r), path,
					records[i].ref.offset + records[i].length - 1, 1));
		assert_int_equal(ledger_body_open(reader, records[i].ref, &body, &why), BROKEN);
		assert_true(os_sim_flip(rig_sim(r), path,
					records[i].ref.offset + records[i].length - 1, 1));
		assert_int_equal(ledger_body_open(reader, records[i].ref, &body, &why), OK);
		ledger_body_close(body);
		tried++;
	}
	assert_true(tried > 20);
	ledger_reader_free(reader);
	free(records);
	rig_free(r);
}

/* D-10: a bad record with durable ones behind it is damage, whatever stands in the newest segment's tail. */
static void d_10_a_bad_record_in_the_middle_is_stepped_over(void **state)
{
	struct record *records = must_alloc(2 * RECORDS * sizeof *records),
		      *after = records + RECORDS;
	struct rig *r = rig_new(1);
	struct os *os = os_sim_os(rig_sim(r));
	struct lane_recovery found;
	struct ledger_report report;
	struct fault why;
	char path[64];
	size_t n, left, victim = 0;
	uint32_t newest;

	(void)state;
	rig_run(r, true);
	n = records_of(r, records, RECORDS);
	newest = records[n - 1].ref.segment;
	for (size_t i = 0; i < n; i++) /* the second record of the newest segment: batches follow */
		if (records[i].ref.segment == newest && records[i].ref.offset == 4096)
			victim = i;
	assert_true(victim > 0 && victim + 4 < n);
	path_of(path, newest);
	assert_true(os_sim_flip(rig_sim(r), path, 4096 + 20, 1)); /* its header */
	assert_int_equal(lane_recover(os, dir, "edge-0", &found, &why), OK);
	assert_int_equal(found.damage_n, 1);
	assert_int_equal(found.damage[0].from, 4096);
	assert_int_equal(found.end.seq, records[n - 1].seq + 1);
	left = records_of(r, after, RECORDS);
	assert_true(left < n && left + 4 > n);
	assert_int_equal(after[victim].seq, records[victim + (n - left)].seq);
	assert_int_equal(after[victim].skipped_bytes, found.damage[0].to - 4096);
	assert_true(problems(r, &report) > 0);
	free(records);
	rig_free(r);
}

static void d_10_a_torn_tail_is_cut_and_is_no_problem(void **state)
{
	struct record *records = must_alloc(RECORDS * sizeof *records);
	struct rig *r = rig_new(1);
	struct os *os = os_sim_os(rig_sim(r));
	struct lane_recovery found;
	struct fault why;
	char path[64];
	size_t n;

	(void)state;
	rig_run(r, true);
	n = records_of(r, records, RECORDS);
	path_of(path, records[n - 1].ref.segment);
	assert_true(os_sim_flip(rig_sim(r), path,
				records[n - 1].ref.offset + records[n - 1].length - 1, 1));
	assert_int_equal(lane_recover(os, dir, "edge-0", &found, &why), OK);
	assert_int_equal(found.damage_n, 0);
	assert_true(found.cut_bytes > 0);
	assert_true(found.end.seq <= records[n - 1].seq);
	free(records);
	rig_free(r);
}

/* D-10 for the order: a torn last entry goes unnoticed when nobody was told; a bad one in the middle stops all. */
static void d_10_a_bad_entry_in_the_middle_of_the_order_stops_it(void **state)
{
	struct rig *r = rig_new(1);
	struct os *os = os_sim_os(rig_sim(r));
	struct order *o;
	struct fault why;

	(void)state;
	rig_run(r, true);
	assert_true(os_unlink(os, "l/order/root") == 0 ||
		    true); /* without the shortcut everything is read */
	assert_true(os_sim_flip(rig_sim(r), "l/order/0000000001.ord", 4096 + 96 * 5 + 9, 1));
	assert_int_equal(order_open(os, dir, true, &o, &why), BROKEN);
	assert_non_null(strstr(why.text, "order entry 5"));
	assert_true(os_sim_flip(rig_sim(r), "l/order/0000000001.ord", 4096 + 96 * 5 + 9, 1));
	assert_int_equal(order_open(os, dir, true, &o, &why), OK);
	order_close(o);
	rig_free(r);
}

static void on_done(void *arg, const struct lane_result *result)
{
	*(enum rc *)arg = result->rc;
}

/*
 * D-10: rot in the very last batch looks like a torn tail to the lane, which then gives the same sequence numbers again.
 * The order keeps what it has and numbers the new records; nothing gets stuck.
 */
static void d_10_rot_in_the_last_batch_does_not_stop_the_numbering(void **state)
{
	struct record *records = must_alloc(RECORDS * sizeof *records);
	struct rig *r = rig_new(1);
	struct os *os = os_sim_os(rig_sim(r));
	struct lane_options options = {
		.os = os, .ledger_dir = dir, .name = "edge-0", .segment_bytes = 64 << 10};
	struct record_new fresh = {.type = RECORD_ACT, .meta = SPAN_LIT("fresh")};
	enum rc appended = LATER;
	struct lane_position at;
	struct follow *f;
	struct lane *lane;
	struct fault why = {""};
	uint64_t before;
	char path[64];
	size_t n;

	(void)state;
	say_init("crash", SAY_ERROR + 1);
	rig_run(r, true);
	n = records_of(r, records, RECORDS);
	path_of(path, records[n - 1].ref.segment);
	assert_true(os_sim_flip(rig_sim(r), path, records[n - 1].ref.offset + 20, 1));
	assert_int_equal(lane_open(&options, &lane, &why), OK);
	lane_append(lane, &fresh, 1, 0, false, on_done, &appended);
	assert_true(lane_step(lane));
	lane_collect(lane);
	assert_int_equal(appended, OK);
	at = lane_durable(lane);
	assert_int_equal(follow_open(os, dir, &f, &why), OK);
	before = order_size(follow_order(f));
	assert_int_equal(before, records[n - 1].seq);
	assert_true(follow_durable(f, SPAN_LIT("edge-0"), &at));
	assert_int_equal(follow_step(f, 10, &n, &why), OK);
	assert_int_equal(n, 2); /* OPEN and the fresh one */
	follow_close(f);
	lane_close(lane);
	free(records);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_ledger_has_no_problems),
		cmocka_unit_test(d_09_every_flipped_bit_is_found),
		cmocka_unit_test(d_09_every_flipped_bit_of_the_order_is_found),
		cmocka_unit_test(d_09_bad_bytes_are_never_served),
		cmocka_unit_test(d_10_a_bad_record_in_the_middle_is_stepped_over),
		cmocka_unit_test(d_10_a_torn_tail_is_cut_and_is_no_problem),
		cmocka_unit_test(d_10_a_bad_entry_in_the_middle_of_the_order_stops_it),
		cmocka_unit_test(d_10_rot_in_the_last_batch_does_not_stop_the_numbering),
	};

	say_init("crash", SAY_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
