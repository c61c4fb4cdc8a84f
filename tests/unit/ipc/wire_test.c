#include "base/bytes.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static struct arena arena;

static int begin(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void encode_meta(struct buf *out)
{
	struct msg_rcpt rcpts[2] = {
		{.address = SPAN_LIT("a@example.com"),
		 .notify = 6,
		 .domain = SPAN_LIT("example.com")},
		{.address = SPAN_LIT("b@example.com"), .orcpt = SPAN_LIT("rfc822;b"), .known = 2},
	};
	struct msg_message_meta m = {.id = SPAN_LIT("0123"),
				     .rcpts = rcpts,
				     .rcpts_n = 2,
				     .smtputf8 = true,
				     .size_declared = UINT64_MAX,
				     .peer_port = 65535,
				     .hops = 3,
				     .header_bytes = 77};

	msg_message_meta_encode(out, &m);
}

static void what_was_encoded_decodes_to_the_same(void **state)
{
	struct buf b = {0};
	struct msg_message_meta m;

	(void)state;
	encode_meta(&b);
	assert_true(msg_message_meta_decode(&arena, buf_span(&b), &m));
	assert_true(span_eq(m.id, SPAN_LIT("0123")));
	assert_int_equal(m.rcpts_n, 2);
	assert_true(span_eq(m.rcpts[1].orcpt, SPAN_LIT("rfc822;b")));
	assert_int_equal(m.rcpts[0].notify, 6);
	assert_int_equal(m.rcpts[1].known, 2);
	assert_true(m.smtputf8);
	assert_true(m.size_declared == UINT64_MAX);
	assert_int_equal(m.peer_port, 65535);
	assert_int_equal(m.hops, 3);
	assert_int_equal(m.header_bytes, 77);
	buf_fini(&b);
}

static void bytes_on_the_wire_are_as_documented(void **state)
{
	static const unsigned char expected[] = {3, 0, 0, 0, 'e', '-', '0', 7, 0, 0, 0, 0, 16, 0,
						 0, 0, 0, 0, 0,	  9,   0,   0, 0, 0, 0, 0, 0};
	struct msg_durable d = {SPAN_LIT("e-0"), 7, 4096, 9};
	struct buf b = {0};

	(void)state;
	msg_durable_encode(&b, &d);
	assert_true(span_eq(buf_span(&b), span_of(expected, sizeof expected)));
	buf_fini(&b);
}

/* An older sender: its struct ends where a field it does not know begins. */
static void short_struct_leaves_the_rest_zero(void **state)
{
	struct buf b = {0};
	struct msg_durable d;

	(void)state;
	wire_put_span(&b, SPAN_LIT("edge-0"));
	wire_put_u32(&b, 5);
	assert_true(msg_durable_decode(&arena, buf_span(&b), &d));
	assert_int_equal(d.segment, 5);
	assert_int_equal(d.offset, 0);
	assert_int_equal(d.seq, 0);
	assert_true(msg_durable_decode(&arena, SPAN_NONE, &d));
	assert_int_equal(d.segment, 0);
	buf_fini(&b);
}

static void every_cut_within_a_field_is_malformed(void **state)
{
	static const size_t ends[] = {0, 7, 11, 19, 27};
	struct msg_durable m = {SPAN_LIT("e-0"), 1, 2, 3}, d;
	struct buf b = {0};
	size_t at = 0;

	(void)state;
	msg_durable_encode(&b, &m);
	assert_int_equal(b.n, 27);
	for (size_t n = 0; n <= b.n; n++) {
		bool is_end = n == ends[at];

		assert_int_equal(msg_durable_decode(&arena, span_first(buf_span(&b), n), &d),
				 is_end);
		at += is_end;
	}
	buf_fini(&b);
}

/* A newer sender: bytes behind the last field known, in the message and in a struct within. */
static void long_struct_is_skipped(void **state)
{
	struct buf b = {0};
	struct msg_directory_meta m;
	size_t at;

	(void)state;
	wire_put_span(&b, SPAN_LIT("domain"));
	wire_put_span(&b, SPAN_LIT("example.com"));
	wire_put_bool(&b, true);
	wire_put_count(&b, 2);
	for (int i = 0; i < 2; i++) {
		at = wire_begin_struct(&b);
		wire_put_span(&b, SPAN_LIT("key"));
		wire_put_span(&b, SPAN_LIT("value"));
		wire_put_u64(&b, 42); /* not known yet */
		wire_end_struct(&b, at);
	}
	wire_put_span(&b, SPAN_LIT("configuration"));
	wire_put_u32(&b, 1);
	assert_true(msg_directory_meta_decode(&arena, buf_span(&b), &m));
	assert_int_equal(m.facts_n, 2);
	assert_true(span_eq(m.facts[1].value, SPAN_LIT("value")));
	assert_true(span_eq(m.source, SPAN_LIT("configuration")));
	buf_fini(&b);
}

static void short_items_of_a_list_leave_the_rest_zero(void **state)
{
	struct buf b = {0};
	struct msg_directory_meta m;

	(void)state;
	wire_put_span(&b, SPAN_NONE);
	wire_put_span(&b, SPAN_NONE);
	wire_put_bool(&b, false);
	wire_put_count(&b, 1);
	wire_put_span(&b, SPAN_NONE); /* a struct of no field looks like an empty span */
	assert_true(msg_directory_meta_decode(&arena, buf_span(&b), &m));
	assert_int_equal(m.facts_n, 1);
	assert_int_equal(m.facts[0].key.n, 0);
	buf_fini(&b);
}

static void put_list_head(struct buf *b, uint32_t count, int items)
{
	wire_put_u64(b, 1); /* IntentMeta: lease, number, rcpts */
	wire_put_u64(b, 2);
	wire_put_u32(b, count);
	for (int i = 0; i < items; i++)
		wire_put_u32(b, (uint32_t)i);
}

static void malformed_bodies_are_refused_and_nothing_is_written(void **state)
{
	static const struct {
		const char *name;
		uint32_t count;
		int items;
		bool good;
	} rows[] = {
		{"as many as said", 3, 3, true},
		{"fewer items than said", 3, 2, false},
		{"count of all memory", UINT32_MAX, 3, false},
		{"none", 0, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_intent_meta m = {.lease = 99};
		struct buf b = {0};

		put_list_head(&b, rows[i].count, rows[i].items);
		assert_int_equal(msg_intent_meta_decode(&arena, buf_span(&b), &m), rows[i].good);
		assert_int_equal(m.lease, rows[i].good ? 1 : 99);
		buf_fini(&b);
	}
}

static void a_bool_is_0_or_1(void **state)
{
	struct buf b = {0};
	struct msg_started m;

	(void)state;
	wire_put_u32(&b, 7);
	wire_put_u8(&b, 2);
	assert_false(msg_started_decode(&arena, buf_span(&b), &m));
	b.p[4] = 1;
	assert_true(msg_started_decode(&arena, buf_span(&b), &m));
	assert_true(m.seccomp);
	buf_fini(&b);
}

static void span_longer_than_its_struct_is_malformed(void **state)
{
	struct buf b = {0};
	struct msg_condition m;

	(void)state;
	wire_put_u32(&b, UINT32_MAX);
	wire_put_u32(&b, 0);
	assert_false(msg_condition_decode(&arena, buf_span(&b), &m));
	put_u32(b.p, 5);
	assert_false(msg_condition_decode(&arena, buf_span(&b), &m));
	put_u32(b.p, 4);
	assert_true(msg_condition_decode(&arena, buf_span(&b), &m));
	buf_fini(&b);
}

/* Four bytes on the wire can be a struct of a hundred in memory: the arena's limit bounds it. */
static void the_arena_bounds_what_a_peer_can_ask_for(void **state)
{
	struct arena small;
	struct buf b = {0};
	struct msg_roles m;

	(void)state;
	arena_init(&small, 64 << 10);
	wire_put_count(&b, 10000);
	for (int i = 0; i < 10000; i++)
		wire_put_span(&b, SPAN_NONE);
	assert_false(msg_roles_decode(&small, buf_span(&b), &m));
	assert_true(msg_roles_decode(&arena, buf_span(&b), &m));
	assert_int_equal(m.roles_n, 10000);
	arena_fini(&small);
	buf_fini(&b);
}

static void kinds_are_found_by_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < MSG_KINDS_N; i++)
		assert_ptr_equal(msg_kind_of(msg_kinds[i].type), &msg_kinds[i]);
	assert_string_equal(msg_kind_of(MSG_LEASE)->name, "Lease");
	assert_null(msg_kind_of(0));
	assert_null(msg_kind_of(65535));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_encoded_decodes_to_the_same, begin, end),
		cmocka_unit_test_setup_teardown(bytes_on_the_wire_are_as_documented, begin, end),
		cmocka_unit_test_setup_teardown(short_struct_leaves_the_rest_zero, begin, end),
		cmocka_unit_test_setup_teardown(every_cut_within_a_field_is_malformed, begin, end),
		cmocka_unit_test_setup_teardown(long_struct_is_skipped, begin, end),
		cmocka_unit_test_setup_teardown(short_items_of_a_list_leave_the_rest_zero, begin,
						end),
		cmocka_unit_test_setup_teardown(malformed_bodies_are_refused_and_nothing_is_written,
						begin, end),
		cmocka_unit_test_setup_teardown(a_bool_is_0_or_1, begin, end),
		cmocka_unit_test_setup_teardown(span_longer_than_its_struct_is_malformed, begin,
						end),
		cmocka_unit_test_setup_teardown(the_arena_bounds_what_a_peer_can_ask_for, begin,
						end),
		cmocka_unit_test(kinds_are_found_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
