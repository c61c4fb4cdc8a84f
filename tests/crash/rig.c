#include "crash/rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ledger/internal.h"
#include "role/sequencer/follow.h"

enum {
	MESSAGES = 50,
	RECORDS_LIMIT = 512,
	SEGMENT = 64 << 10,
	TOLD_LIMIT = 1024,
	CHUNKS = 3,
	ORDER_FILE = 70, /* entries: files roll over often */
};

static const char dir[] = "l", lane_name_[] = "edge-0";

struct sent {
	size_t bytes;	/* of the body */
	unsigned group; /* records with the same group stand or fall together */
	bool is_acked, is_failed,
		is_void; /* void: failed, and something was acknowledged after it */
	unsigned seen;
	struct record_ref ref;
	unsigned chunks; /* first of CHUNKS; 0: not chunked */
};

struct rig {
	struct os_sim *sim;
	struct os *os;
	struct sent sent[RECORDS_LIMIT];
	unsigned sent_n, groups_n, acked, failed;
	struct order_entry told[TOLD_LIMIT];
	uint64_t told_n;
	struct lane *lane;
	struct follow *follow;
	uint64_t dice;
};

struct rig *rig_new(uint64_t seed)
{
	struct rig *r = must_alloc(sizeof *r);

	r->sim = os_sim_new(seed);
	r->os = os_sim_os(r->sim);
	r->dice = 7;
	r->sent_n = 1; /* 0 is no record */
	return r;
}

void rig_free(struct rig *r)
{
	os_sim_free(r->sim);
	free(r);
}

struct os_sim *rig_sim(struct rig *r)
{
	return r->sim;
}

unsigned rig_acked(const struct rig *r)
{
	return r->acked;
}

unsigned rig_failed(const struct rig *r)
{
	return r->failed;
}

static uint64_t roll(struct rig *r, uint64_t n)
{
	r->dice = r->dice * 6364136223846793005 + 1442695040888963407;
	return (r->dice >> 33) % n;
}

static unsigned char pattern(unsigned id, size_t at)
{
	return (unsigned char)(id * 31 + at * 7 + (at >> 8) * 13);
}

/* ---- one process's life ---- */

struct pending {
	struct rig *rig;
	unsigned first, n;
};

static void on_done(void *arg, const struct lane_result *result)
{
	struct pending *p = arg;
	struct rig *r = p->rig;

	if (!os_sim_is_dead(r->sim)) {
		for (unsigned i = p->first; i < p->first + p->n; i++) {
			r->sent[i].is_acked = result->rc == OK;
			r->sent[i].is_failed = result->rc != OK;
			r->sent[i].ref = result->ref;
		}
		if (result->rc == OK) {
			r->acked += p->n;
			for (unsigned i = 1; i < r->sent_n; i++)
				r->sent[i].is_void |= r->sent[i].is_failed;
		} else {
			r->failed += p->n;
			os_sim_advance(r->sim, 1100000); /* time heals */
		}
	}
	free(p);
}

/* Fills one record; the meta is its id. */
static void compose(struct rig *r, struct record_new *out, char meta[16], enum record_type type,
		    size_t bytes)
{
	unsigned id = r->sent_n++;

	must(r->sent_n < RECORDS_LIMIT);
	r->sent[id] = (struct sent){.bytes = bytes, .group = r->groups_n};
	(void)snprintf(meta, 16, "%u", id);
	*out = (struct record_new){
		.type = type, .received_us = os_wall_us(r->os), .meta = span_str(meta)};
	buf_init(&out->body, 0);
	for (size_t i = 0; i < bytes; i++)
		(void)buf_append_byte(&out->body, pattern(id, i));
}

static void queue(struct rig *r, struct record_new *records, unsigned n)
{
	struct pending *p = must_alloc(sizeof *p);

	*p = (struct pending){r, r->sent_n - n, n};
	r->groups_n++;
	lane_append(r->lane, records, n, 0, true, on_done, p);
}

static void work(struct rig *r)
{
	while (!os_sim_is_dead(r->sim) && lane_step(r->lane))
		lane_collect(r->lane);
}

/* What a clerk would have been told, and shown to people. */
static void told_learn(struct rig *r, struct order *order)
{
	while (r->told_n < order_size(order)) {
		size_t got = 0;

		if (order_read(order, r->told_n, r->told + r->told_n, 64, &got, NULL) != OK ||
		    got == 0)
			break;
		r->told_n += got;
		must(r->told_n < TOLD_LIMIT - 64);
	}
}

static void number(struct rig *r)
{
	struct lane_position at = lane_durable(r->lane);
	struct order *order;
	size_t n;

	if (os_sim_is_dead(r->sim) || !r->follow ||
	    !follow_durable(r->follow, span_str(lane_name(r->lane)), &at) ||
	    follow_step(r->follow, 64, &n, NULL) != OK || os_sim_is_dead(r->sim))
		return;
	order = follow_order(r->follow);
	told_learn(r, order);
	if (roll(r, 4) == 0 && order_save(order, NULL) != OK)
		os_sim_advance(r->sim, 1000);
}

/* Whatever failed once must not have left the numbering stuck. */
static void all_is_numbered(struct rig *r)
{
	for (unsigned i = 0; i < 8; i++)
		number(r);
	if (os_sim_is_dead(r->sim))
		return;
	assert_non_null(r->follow);
	assert_int_equal(order_size(follow_order(r->follow)) + 1, lane_durable(r->lane).seq);
}

static void send_plain(struct rig *r)
{
	struct record_new record;
	char meta[16];

	compose(r, &record, meta, RECORD_MESSAGE, roll(r, 3) == 0 ? roll(r, 12000) : roll(r, 900));
	queue(r, &record, 1);
}

static void send_group(struct rig *r)
{
	struct record_new records[3];
	char metas[3][16];
	unsigned n = 2 + (unsigned)roll(r, 2);

	for (unsigned i = 0; i < n; i++)
		compose(r, &records[i], metas[i], i == 0 ? RECORD_OUTCOME : RECORD_MESSAGE,
			roll(r, 6000));
	queue(r, records, n);
}

static void send_chunked(struct rig *r)
{
	struct record_ref refs[CHUNKS];
	struct record_new record;
	unsigned first = r->sent_n;
	size_t bytes = 0;
	char meta[16];

	for (unsigned i = 0; i < CHUNKS; i++) {
		compose(r, &record, meta, RECORD_CHUNK, 3000 + roll(r, 9000));
		bytes += record.body.n;
		queue(r, &record, 1);
	}
	work(r);
	for (unsigned i = 0; i < CHUNKS; i++) {
		if (!r->sent[first + i].is_acked)
			return; /* the sender would hear 451 now */
		refs[i] = r->sent[first + i].ref;
	}
	compose(r, &record, meta, RECORD_MESSAGE, 0);
	record.chunks = refs;
	record.chunks_n = CHUNKS;
	record.body_bytes = bytes;
	r->sent[r->sent_n - 1].bytes = bytes;
	r->sent[r->sent_n - 1].chunks = first;
	queue(r, &record, 1);
}

static bool up(struct rig *r)
{
	struct lane_options options = {
		.os = r->os,
		.ledger_dir = dir,
		.name = lane_name_,
		.segment_bytes = SEGMENT,
		.reserve_bytes = 1,
	};

	for (unsigned i = 0; i < 4 && !r->lane && !os_sim_is_dead(r->sim); i++)
		if (lane_open(&options, &r->lane, NULL) != OK)
			r->lane = NULL;
	for (unsigned i = 0; i < 4 && !r->follow && !os_sim_is_dead(r->sim); i++)
		if (follow_open(r->os, dir, &r->follow, NULL) != OK)
			r->follow = NULL;
	if (r->follow)
		order_set_capacity(follow_order(r->follow), ORDER_FILE);
	return r->lane && !os_sim_is_dead(r->sim);
}

static void down(struct rig *r)
{
	lane_close(r->lane);
	follow_close(r->follow);
	r->lane = NULL;
	r->follow = NULL;
}

void rig_run(struct rig *r, bool heals)
{
	if (!up(r)) {
		down(r);
		return;
	}
	for (unsigned i = 0; i < MESSAGES && !os_sim_is_dead(r->sim); i++) {
		if (i % 7 == 3)
			send_chunked(r);
		else if (i % 5 == 2)
			send_group(r);
		else
			send_plain(r);
		if (roll(r, 3) > 0)
			work(r);
		if (roll(r, 2) > 0)
			number(r);
	}
	work(r);
	if (heals)
		all_is_numbered(r);
	down(r);
}

static void send_filling(struct rig *r)
{
	struct record_new record;
	char meta[16];

	/* The meta has one or two digits: with padding to 8 bytes both fill the segment. */
	compose(r, &record, meta, RECORD_MESSAGE,
		SEGMENT - LEDGER_BLOCK_BYTES - RECORD_HEAD_BYTES - 2);
	queue(r, &record, 1);
}

void rig_run_ops(struct rig *r, const char *ops)
{
	for (bool is_up = up(r); is_up && *ops && !os_sim_is_dead(r->sim); ops++) {
		switch (*ops) {
		case 'p':
			send_plain(r);
			break;
		case 'g':
			send_group(r);
			break;
		case 'c':
			send_chunked(r);
			break;
		case 'f':
			send_filling(r);
			break;
		default:
			down(r);
			is_up = up(r);
		}
		if (is_up) {
			work(r);
			number(r);
		}
	}
	down(r);
}

/* ---- what must hold ---- */

static void body_check(struct rig *r, struct ledger_reader *reader, const struct record *record,
		       unsigned id)
{
	const struct sent *s = &r->sent[id];
	unsigned part = s->chunks ? s->chunks : id;
	struct ledger_body *b;
	struct fault why = {""};
	struct span piece;
	size_t total = 0;
	enum rc rc = ledger_body_open(reader, record->ref, &b, &why);

	if (rc != OK)
		fail_msg("record %u: %s", id, why.text);
	while ((rc = ledger_body_next(b, &piece, &why)) == OK) {
		for (size_t i = 0; i < piece.n; i++)
			if (piece.p[i] != pattern(part, i))
				fail_msg("record %u differs at byte %zu", id, total + i);
		total += piece.n;
		part++;
	}
	assert_int_equal(rc, MORE);
	assert_int_equal(total, s->bytes);
	ledger_body_close(b);
}

static void record_check(struct rig *r, struct ledger_reader *reader, const struct record *record)
{
	uint64_t id;

	if (record->type == RECORD_OPEN || record->type == RECORD_ABANDON)
		return;
	assert_true(span_to_u64(record->meta, r->sent_n - 1, &id));
	if (r->sent[id].is_void)
		fail_msg("record %u came back after it was refused", (unsigned)id);
	if (r->sent[id].seen++ > 0)
		fail_msg("record %u is there twice", (unsigned)id);
	body_check(r, reader, record, (unsigned)id);
}

static void lane_check(struct rig *r, const struct lane_position *end)
{
	struct record at = {.ref = {lane_id_of(lane_name_), 0, 0}};
	struct ledger_reader *reader;
	struct fault why = {""};
	uint64_t seq = 1;
	enum rc rc;

	for (unsigned i = 1; i < r->sent_n; i++)
		r->sent[i].seen = 0;
	assert_int_equal(ledger_reader_new(r->os, dir, &reader, &why), OK);
	while ((rc = ledger_next(reader, &at, end, &at, &why)) == OK) {
		assert_int_equal(at.seq, seq);
		assert_int_equal(at.skipped_bytes, 0);
		seq++;
		record_check(r, reader, &at);
	}
	if (rc != MORE)
		fail_msg("walking: %s", why.text);
	if (end->segment != 0)
		assert_int_equal(end->seq, seq);
	for (unsigned i = 1; i < r->sent_n; i++) {
		if (r->sent[i].is_acked && r->sent[i].seen != 1)
			fail_msg("record %u was acknowledged and is not there", i);
		if (i > 1 && r->sent[i].group == r->sent[i - 1].group)
			assert_int_equal(r->sent[i].seen, r->sent[i - 1].seen);
	}
	ledger_reader_free(reader);
}

static void told_check(struct rig *r, struct order *order)
{
	struct order_entry e;
	size_t n;

	assert_true(order_size(order) >= r->told_n);
	for (uint64_t i = 0; i < r->told_n; i++) {
		assert_int_equal(order_read(order, i, &e, 1, &n, NULL), OK);
		assert_int_equal(n, 1);
		assert_memory_equal(e.leaf, r->told[i].leaf, sizeof e.leaf);
		assert_int_equal(e.ref.offset, r->told[i].ref.offset);
	}
}

/* Every record of the lane once, in its order; the tree over them gives the root. */
static void order_check(struct rig *r, struct order *order, const struct lane_position *end)
{
	unsigned char root[LEDGER_DIGEST_BYTES], expected[LEDGER_DIGEST_BYTES];
	struct merkle tree = {0};
	struct order_entry e;
	uint64_t seq = 1;
	size_t n;

	(void)r;
	for (uint64_t i = 0; i < order_size(order); i++) {
		assert_int_equal(order_read(order, i, &e, 1, &n, NULL), OK);
		assert_int_equal(n, 1);
		assert_int_equal(e.number, i);
		assert_int_equal(e.seq, seq);
		seq++;
		merkle_append(&tree, e.leaf);
	}
	assert_int_equal(seq, end->seq);
	merkle_root(&tree, expected);
	order_root(order, root);
	assert_memory_equal(root, expected, sizeof root);
}

static void recover_twice(struct rig *r, struct lane_recovery *out)
{
	struct lane_recovery again;
	struct fault why = {""};
	enum rc rc = lane_recover(r->os, dir, lane_name_, out, &why);

	if (rc == REFUSED) { /* died before there was a lane */
		assert_int_equal(r->acked, 0);
		*out = (struct lane_recovery){.end = {0, 0, 1}};
		return;
	}
	if (rc != OK)
		fail_msg("recovery: %s", why.text);
	assert_int_equal(lane_recover(r->os, dir, lane_name_, &again, &why), OK);
	assert_memory_equal(&again.end, &out->end, sizeof again.end);
	assert_int_equal(out->damage_n, 0);
}

static void number_all(struct rig *r)
{
	struct fault why = {""};
	size_t n = 1;

	if (follow_open(r->os, dir, &r->follow, &why) != OK)
		fail_msg("order: %s", why.text);
	order_set_capacity(follow_order(r->follow), ORDER_FILE);
	told_check(r, follow_order(r->follow));
	(void)follow_recover(r->follow);
	while (n > 0)
		assert_int_equal(follow_step(r->follow, 50, &n, &why), OK);
}

/* A new process that only recovers and numbers; then the power fails, and it must all be the same. */
static void recovery_check(struct rig *r)
{
	struct lane_recovery found;

	recover_twice(r, &found);
	if (found.end.segment == 0)
		return;
	lane_check(r, &found.end);
	number_all(r);
	order_check(r, follow_order(r->follow), &found.end);
	told_learn(r, follow_order(r->follow));
	follow_close(r->follow);
	r->follow = NULL;
}

void rig_check(struct rig *r)
{
	struct lane_position end;

	os_sim_set_space(r->sim, UINT64_MAX);
	recovery_check(r);
	os_sim_cut(r->sim, SIM_CUT_DROP);
	recovery_check(r);
	assert_true(up(r)); /* the next life */
	send_plain(r);
	send_group(r);
	work(r);
	assert_true(r->sent[r->sent_n - 1].is_acked);
	number(r);
	end = lane_durable(r->lane);
	lane_check(r, &end);
	told_check(r, follow_order(r->follow));
	order_check(r, follow_order(r->follow), &end);
	down(r);
	assert_int_equal(os_sim_open_files(r->sim), 0);
	os_sim_cut(r->sim, SIM_CUT_DROP);
	recovery_check(r);
}
