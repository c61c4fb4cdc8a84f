/* Which records of a segment's bytes are valid: by hand-made segments, case by case. */
#include "ledger/internal.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/bytes.h"

enum { LANE = 77, SEGMENT = 3, BYTES = 64 << 10, NONCE = 4711 };

struct made {
	unsigned char bytes[BYTES];
	uint64_t at, seq;
	uint64_t durable; /* named by what is added */
	struct record_header last;
	uint64_t last_at;
};

static void encode(struct made *m, uint64_t at, struct record_header *h, struct span meta,
		   struct span body)
{
	h->meta_len = (uint32_t)meta.n;
	h->meta_crc = crc32c(0, meta);
	h->body_len = (uint32_t)body.n;
	h->body_bytes = body.n;
	record_digest(h, meta, body, h->digest);
	record_encode(h, m->bytes + at);
	memcpy(m->bytes + at + RECORD_HEAD_BYTES, meta.p, meta.n);
	if (body.n > 0)
		memcpy(m->bytes + at + RECORD_HEAD_BYTES + meta.n, body.p, body.n);
}

static void add(struct made *m, enum record_type type, unsigned flags, struct span meta)
{
	struct record_header h = {
		.type = type,
		.flags = flags,
		.lane_id = LANE,
		.segment = SEGMENT,
		.seq = m->seq++,
		.span = LEDGER_BLOCK_BYTES, /* each in a block of its own: a batch of its own */
		.durable_segment = SEGMENT,
		.durable_offset = m->durable,
		.nonce = NONCE,
	};

	encode(m, m->at, &h, meta, SPAN_LIT("body"));
	m->last = h;
	m->last_at = m->at;
	m->at += h.span;
}

static void begin(struct made *m)
{
	unsigned char meta[OPENING_BYTES];
	struct record_opening o = {
		.prev_segment = 2, .prev_end = 4096, .segment_bytes = BYTES, .lane = SPAN_LIT("x")};
	size_t n = opening_encode(&o, meta);

	*m = (struct made){.seq = 10};
	add(m, RECORD_OPEN, RECORD_GROUP_START, span_of(meta, n));
	m->durable = m->at;
}

static void plain(struct made *m)
{
	add(m, RECORD_MESSAGE, RECORD_GROUP_START, SPAN_LIT("meta"));
	m->durable = m->at;
}

static struct scan_result scan(const struct made *m, uint64_t known_end)
{
	struct scan_result out;

	segment_scan(span_of(m->bytes, sizeof m->bytes), LANE, SEGMENT, known_end, NULL, NULL,
		     &out);
	return out;
}

static void a_sound_segment(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	plain(&m);
	plain(&m);
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_true(r.is_begun && r.is_opening_good && !r.is_abandon);
	assert_int_equal(r.records, 3);
	assert_int_equal(r.messages, 2);
	assert_int_equal(r.first_seq, 10);
	assert_int_equal(r.next_seq, 13);
	assert_int_equal(r.end, 3 * LEDGER_BLOCK_BYTES);
	assert_int_equal(r.cut_bytes + r.damage_n, 0);
}

static void zeros_are_not_begun(void **state)
{
	static struct made m;

	(void)state;
	m = (struct made){0};
	assert_false(scan(&m, SCAN_END_UNKNOWN).is_begun);
}

/* L5 */
static void a_record_out_of_sequence_ends_the_segment(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	m.seq++;
	plain(&m);
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_int_equal(r.records, 1);
	assert_int_equal(r.end, LEDGER_BLOCK_BYTES);
	assert_true(r.cut_bytes > 0);
}

/* A record of another lane, segment or nonce is none, however good its checksums are. */
static void a_record_of_another_place_does_not_count(void **state)
{
	static struct made m;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin(&m);
		plain(&m);
		m.last.lane_id += i == 0;
		m.last.segment += i == 1;
		m.last.nonce += i == 2;
		encode(&m, m.last_at, &m.last, SPAN_LIT("meta"), SPAN_LIT("body"));
		assert_int_equal(scan(&m, SCAN_END_UNKNOWN).records, 1);
	}
}

/* L7 */
static void a_group_counts_as_a_whole(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	add(&m, RECORD_OUTCOME, RECORD_GROUP_START | RECORD_GROUP_MORE, SPAN_LIT("o"));
	add(&m, RECORD_MESSAGE, 0, SPAN_LIT("m"));
	assert_int_equal(scan(&m, SCAN_END_UNKNOWN).records, 3);
	m.bytes[m.last_at + 130] ^= 1;
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_int_equal(r.records, 1);
	assert_int_equal(r.end, LEDGER_BLOCK_BYTES);
	assert_int_equal(r.damage_n, 0);
}

/* L6, D-10: what follows decides whether a hole is damage. */
static void d_10_a_hole_is_damage_only_if_it_was_durable(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	plain(&m);
	m.durable = LEDGER_BLOCK_BYTES; /* the next one knows only the opening */
	plain(&m);
	m.bytes[LEDGER_BLOCK_BYTES + 20] ^= 1;
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_int_equal(r.damage_n, 0);
	assert_int_equal(r.end, LEDGER_BLOCK_BYTES);
	plain(&m); /* this one knows of both */
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_int_equal(r.damage_n, 1);
	assert_int_equal(r.damage[0].from, LEDGER_BLOCK_BYTES);
	assert_int_equal(r.damage[0].to, 2 * LEDGER_BLOCK_BYTES);
	assert_int_equal(r.next_seq, 14);
	assert_int_equal(r.records, 3);
}

static void d_10_below_a_named_end_every_hole_is_damage(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	plain(&m);
	plain(&m);
	m.bytes[m.last_at + 20] ^= 1;
	assert_int_equal(scan(&m, SCAN_END_UNKNOWN).damage_n, 0);
	r = scan(&m, m.at);
	assert_int_equal(r.damage_n, 1);
	assert_int_equal(r.damage[0].from, m.last_at);
	assert_int_equal(r.end, m.at);
	r = scan(&m, m.last_at); /* L3: what is behind the end is nobody's business */
	assert_int_equal(r.damage_n, 0);
	assert_int_equal(r.records, 2);
}

static void d_10_a_damaged_opening_is_known_by_what_follows(void **state)
{
	static struct made m;
	struct scan_result r;

	(void)state;
	begin(&m);
	m.bytes[30] ^= 1;
	assert_false(
		scan(&m, SCAN_END_UNKNOWN).is_begun); /* nothing built on it: it never counted */
	plain(&m);
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_true(r.is_begun);
	assert_false(r.is_opening_good);
	assert_int_equal(r.damage_n, 1);
	assert_int_equal(r.records, 1);
}

/* A mail that holds a perfect record, but for the nonce, behind damage. */
static void d_10_a_record_inside_a_mail_is_not_found(void **state)
{
	static struct made m;
	static unsigned char forged[RECORD_HEAD_BYTES + 8];
	struct record_header h = {.type = RECORD_MESSAGE,
				  .flags = RECORD_GROUP_START,
				  .lane_id = LANE,
				  .segment = SEGMENT,
				  .seq = 11,
				  .span = sizeof forged,
				  .nonce = NONCE + 1};
	struct scan_result r;

	(void)state;
	record_digest(&h, SPAN_NONE, SPAN_NONE, h.digest);
	record_encode(&h, forged);
	begin(&m);
	add(&m, RECORD_MESSAGE, RECORD_GROUP_START, span_of(forged, sizeof forged));
	m.durable = m.at;
	plain(&m);
	m.bytes[LEDGER_BLOCK_BYTES + 20] ^= 1;
	r = scan(&m, SCAN_END_UNKNOWN);
	assert_int_equal(r.damage_n, 1);
	assert_int_equal(r.damage[0].to, 2 * LEDGER_BLOCK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_segment),
		cmocka_unit_test(zeros_are_not_begun),
		cmocka_unit_test(a_record_out_of_sequence_ends_the_segment),
		cmocka_unit_test(a_record_of_another_place_does_not_count),
		cmocka_unit_test(a_group_counts_as_a_whole),
		cmocka_unit_test(d_10_a_hole_is_damage_only_if_it_was_durable),
		cmocka_unit_test(d_10_below_a_named_end_every_hole_is_damage),
		cmocka_unit_test(d_10_a_damaged_opening_is_known_by_what_follows),
		cmocka_unit_test(d_10_a_record_inside_a_mail_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
