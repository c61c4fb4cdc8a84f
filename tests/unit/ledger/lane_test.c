#include "ledger/ledger.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/must.h"
#include "os/faulty.h"

struct fixture {
	char dir[64];
	int wake;
};

static int setup(void **state)
{
	struct fixture *f = must_alloc(sizeof *f);

	(void)snprintf(f->dir, sizeof f->dir, "%s", "/tmp/holdfast-lane-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*state = f;
	return f->wake < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	(void)snprintf(command, sizeof command, "rm -r '%s'", f->dir);
	(void)close(f->wake);
	free(f);
	return system(command);
}

static void on_wake(void *arg)
{
	uint64_t one = 1;

	assert_int_equal(write(*(int *)arg, &one, 8), 8);
}

static struct lane *open_lane(struct fixture *f, bool threaded, uint64_t segment_bytes)
{
	struct lane_options options = {
		.os = os_real(),
		.ledger_dir = f->dir,
		.name = "edge-0",
		.segment_bytes = segment_bytes,
		.threaded = threaded,
		.on_wake = on_wake,
		.arg = &f->wake,
	};
	struct fault why = {""};
	struct lane *lane = NULL;

	if (lane_open(&options, &lane, &why) != OK)
		fail_msg("%s", why.text);
	return lane;
}

struct answer {
	unsigned n;
	struct lane_result last;
};

static void on_done(void *arg, const struct lane_result *result)
{
	struct answer *a = arg;

	a->n++;
	a->last = *result;
}

static struct buf body_of(size_t n, unsigned char c)
{
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < n; i++)
		(void)buf_append_byte(&b, (unsigned char)(c + i));
	return b;
}

static void append(struct lane *lane, enum record_type type, size_t n, unsigned char c,
		   struct answer *a)
{
	struct record_new r = {
		.type = type, .received_us = c, .meta = SPAN_LIT("meta"), .body = body_of(n, c)};

	lane_append(lane, &r, 1, 0, false, on_done, a);
}

static void finish(struct fixture *f, struct lane *lane, bool threaded, struct answer *a,
		   unsigned n)
{
	while (a->n < n) {
		struct pollfd p = {f->wake, POLLIN, 0};
		uint64_t count;

		if (threaded)
			assert_int_equal(poll(&p, 1, 20000), 1);
		else
			assert_true(lane_step(lane));
		(void)!read(f->wake, &count, 8);
		lane_collect(lane);
	}
}

static void check_body(struct ledger_reader *r, struct record_ref ref, size_t n, unsigned char c)
{
	struct ledger_body *b;
	struct fault why;
	struct span piece;
	size_t at = 0;
	enum rc rc;

	assert_int_equal(ledger_body_open(r, ref, &b, &why), OK);
	while ((rc = ledger_body_next(b, &piece, &why)) == OK)
		for (size_t i = 0; i < piece.n; i++, at++)
			assert_int_equal(piece.p[i], (unsigned char)(c + at));
	assert_int_equal(rc, MORE);
	assert_int_equal(at, n);
	for (size_t to = n + 10; to > 0; to -= to / 3 + 1) { /* any place, backwards */
		uint64_t from = ledger_body_seek(b, to);

		rc = ledger_body_next(b, &piece, &why);
		assert_int_equal(rc, to < n ? OK : MORE);
		if (rc != OK)
			continue;
		assert_true(from <= to && to < from + piece.n);
		assert_int_equal(piece.p[to - from], (unsigned char)(c + to));
	}
	ledger_body_close(b);
}

static void what_is_appended_is_read_back(struct fixture *f, bool threaded)
{
	static const size_t sizes[] = {0,      1,      7,      8,      4096,   20000,
				       131072, 131073, 100000, 100000, 100000, 100000};
	enum { N = sizeof sizes / sizeof *sizes };
	struct lane *lane = open_lane(f, threaded, 256 << 10);
	struct answer a = {0};
	struct ledger_reader *reader;
	struct lane_position until;
	struct record r = {.ref = {lane_id_of("edge-0"), 0, 0}};
	struct fault why = {""};
	uint64_t seq = 0;
	size_t seen = 0;
	enum rc rc;

	for (unsigned i = 0; i < N; i++) {
		append(lane, RECORD_MESSAGE, sizes[i], (unsigned char)i, &a);
		if (i % 3 == 2)
			finish(f, lane, threaded, &a, i + 1);
	}
	finish(f, lane, threaded, &a, N);
	assert_int_equal(a.last.rc, OK);
	until = lane_durable(lane);
	assert_true(until.segment > 1);
	assert_int_equal(ledger_reader_new(os_real(), f->dir, &reader, &why), OK);
	while ((rc = ledger_next(reader, &r, &until, &r, &why)) == OK) {
		assert_int_equal(r.seq, ++seq);
		if (r.type != RECORD_MESSAGE)
			continue;
		assert_true(span_eq(r.meta, SPAN_LIT("meta")));
		assert_int_equal(r.received_us, seen);
		check_body(reader, r.ref, sizes[seen], (unsigned char)seen);
		seen++;
	}
	assert_int_equal(rc, MORE);
	assert_int_equal(seen, N);
	assert_int_equal(until.seq, seq + 1);
	ledger_reader_free(reader);
	lane_close(lane);
}

static void read_back(void **state)
{
	what_is_appended_is_read_back(*state, false);
}

static void read_back_threaded(void **state)
{
	what_is_appended_is_read_back(*state, true);
}

static void reopening_goes_on_in_a_new_segment(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	struct lane_recovery found;
	struct fault why;

	for (unsigned i = 0; i < 4; i++) {
		struct lane *lane = open_lane(f, i % 2 == 1, 64 << 10);

		append(lane, RECORD_ACT, 100, 1, &a);
		finish(f, lane, i % 2 == 1, &a, i + 1);
		assert_int_equal(a.last.rc, OK);
		assert_int_equal(lane_recover(os_real(), f->dir, "edge-0", &found, &why), EXISTS);
		lane_close(lane);
		assert_int_equal(lane_recover(os_real(), f->dir, "edge-0", &found, &why), OK);
		assert_int_equal(found.end.seq, 2 * i + 3);
		assert_int_equal(found.cut_bytes, 0);
		assert_int_equal(found.damage_n, 0);
	}
}

static void a_taken_name_leads_to_the_next(void **state)
{
	struct fixture *f = *state;
	struct lane *one = open_lane(f, false, 64 << 10), *two = open_lane(f, false, 64 << 10);

	assert_string_equal(lane_name(one), "edge-0");
	assert_string_equal(lane_name(two), "edge-0.2");
	lane_close(one);
	lane_close(two);
}

/* D-16 */
static void d_16_a_group_that_just_fits_a_segment_and_one_byte_more(void **state)
{
	enum { SEGMENT = 64 << 10, MOST = SEGMENT - LEDGER_BLOCK_BYTES - 128 - 4 };
	struct fixture *f = *state;
	struct lane *lane = open_lane(f, false, SEGMENT);
	struct answer a = {0};
	struct ledger_reader *reader;
	struct fault why;

	append(lane, RECORD_MESSAGE, MOST, 1, &a);
	finish(f, lane, false, &a, 1);
	assert_int_equal(a.last.rc, OK);
	assert_int_equal(a.last.ref.segment, 1);
	assert_int_equal(lane_durable(lane).offset, SEGMENT);
	assert_int_equal(ledger_reader_new(os_real(), f->dir, &reader, &why), OK);
	check_body(reader, a.last.ref, MOST, 1);
	append(lane, RECORD_MESSAGE, MOST + 1, 1, &a);
	finish(f, lane, false, &a, 2);
	assert_int_equal(a.last.rc, REFUSED);
	append(lane, RECORD_MESSAGE, MOST, 2, &a);
	finish(f, lane, false, &a, 3);
	assert_int_equal(a.last.rc, OK);
	assert_int_equal(a.last.ref.segment, 2);
	check_body(reader, a.last.ref, MOST, 2);
	ledger_reader_free(reader);
	lane_close(lane);
}

static void chunks_make_one_message(void **state)
{
	struct fixture *f = *state;
	struct lane *lane = open_lane(f, false, 64 << 10);
	struct record_ref chunks[5];
	struct record_new r = {
		.type = RECORD_MESSAGE, .meta = SPAN_LIT("m"), .chunks = chunks, .chunks_n = 5};
	uint64_t epoch = lane_epoch(lane);
	struct ledger_reader *reader;
	struct answer a = {0};
	struct record got;
	struct fault why;

	for (unsigned i = 0; i < 5; i++) {
		append(lane, RECORD_CHUNK, 20000, (unsigned char)(i * 20000), &a);
		finish(f, lane, false, &a, i + 1);
		chunks[i] = a.last.ref;
	}
	assert_true(chunks[4].segment > chunks[0].segment);
	r.body_bytes = 100000;
	lane_append(lane, &r, 1, epoch, true, on_done, &a);
	finish(f, lane, false, &a, 6);
	assert_int_equal(a.last.rc, OK);
	assert_int_equal(ledger_reader_new(os_real(), f->dir, &reader, &why), OK);
	assert_int_equal(ledger_read(reader, a.last.ref, &got, &why), OK);
	assert_true(got.is_chunked);
	assert_int_equal(got.body_bytes, 100000);
	check_body(reader, a.last.ref, 100000, 0);
	lane_append(lane, &r, 1, epoch + 1, true, on_done,
		    &a); /* of another epoch: the chunks may be gone */
	finish(f, lane, false, &a, 7);
	assert_int_equal(a.last.rc, BROKEN);
	r.body_bytes = 99999;
	lane_append(lane, &r, 1, epoch, true, on_done, &a);
	finish(f, lane, false, &a, 8);
	assert_int_equal(a.last.rc, BROKEN);
	ledger_reader_free(reader);
	lane_close(lane);
}

/* D-12 */
static void d_12_while_a_sync_is_slow_the_rest_gathers(void **state)
{
	enum { N = 60 };
	struct fixture *f = *state;
	struct lane_options options = {
		.ledger_dir = f->dir,
		.name = "edge-0",
		.segment_bytes = 1 << 20,
		.threaded = true,
		.on_wake = on_wake,
		.arg = &f->wake,
	};
	struct lane_stats stats;
	struct answer a = {0};
	struct lane *lane;
	struct fault why = {""};

	assert_int_equal(os_faulty(os_real(), "datasync:1:150000us:1000000", &options.os, &why),
			 OK);
	assert_int_equal(lane_open(&options, &lane, &why), OK);
	for (unsigned i = 0; i < N; i++)
		append(lane, RECORD_MESSAGE, 4096, (unsigned char)i, &a);
	assert_true(lane_pending_bytes(lane) > 0);
	finish(f, lane, true, &a, N);
	assert_int_equal(a.last.rc, OK);
	lane_stats(lane, &stats);
	assert_int_equal(stats.records, N);
	assert_true(stats.batches <= 3);
	assert_int_equal(lane_pending_bytes(lane), 0);
	lane_close(lane);
}

static void closing_refuses_what_waits(void **state)
{
	struct fixture *f = *state;
	struct lane *lane = open_lane(f, false, 64 << 10);
	struct answer a = {0};

	append(lane, RECORD_ACT, 10, 1, &a);
	assert_true(lane_pending_bytes(lane) > 0);
	lane_close(lane);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.last.rc, LATER);
}

struct insistent {
	struct lane *lane;
	unsigned answers;
	enum rc first, second;
};

static void on_second(void *arg, const struct lane_result *result)
{
	struct insistent *i = arg;

	i->answers++;
	i->second = result->rc;
}

/* As watch does: the end of one group begins the next. */
static void on_first(void *arg, const struct lane_result *result)
{
	struct record_new r = {
		.type = RECORD_ACT, .meta = SPAN_LIT("two"), .body = body_of(5, 'b')};
	struct insistent *i = arg;

	i->answers++;
	i->first = result->rc;
	lane_append(i->lane, &r, 1, 0, false, on_second, i);
}

static void an_append_while_the_lane_closes_is_refused(void **state)
{
	struct record_new r = {.type = RECORD_ACT, .meta = SPAN_LIT("one")};
	struct insistent i = {.lane = open_lane(*state, true, 0), .second = OK};

	lane_append(i.lane, &r, 1, 0, false, on_first, &i);
	while (lane_pending_bytes(i.lane))
		(void)usleep(1000);
	lane_close(i.lane);
	assert_int_equal(i.answers, 2);
	assert_int_equal(i.first, OK);
	assert_int_equal(i.second, LATER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(read_back_threaded, setup, teardown),
		cmocka_unit_test_setup_teardown(reopening_goes_on_in_a_new_segment, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_taken_name_leads_to_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(
			d_16_a_group_that_just_fits_a_segment_and_one_byte_more, setup, teardown),
		cmocka_unit_test_setup_teardown(chunks_make_one_message, setup, teardown),
		cmocka_unit_test_setup_teardown(d_12_while_a_sync_is_slow_the_rest_gathers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(closing_refuses_what_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(an_append_while_the_lane_closes_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
