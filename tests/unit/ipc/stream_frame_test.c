/* Frames over a stream: whole, byte by byte, and what a hostile end may send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ipc/stream_frame.h"

static void two_frames_come_back_from_any_split(void **state)
{
	struct buf wire = {0};
	struct span rest, body;
	unsigned type;
	size_t used;

	(void)state;
	assert_true(stream_frame_put(&wire, 102, SPAN_NONE));
	assert_true(stream_frame_put(&wire, 111, SPAN_LIT("hello")));
	for (size_t n = 0; n < STREAM_FRAME_HEADER_BYTES; n++)
		assert_int_equal(stream_frame_take(span_of(wire.p, n), &type, &body, &used, NULL),
				 MORE);
	rest = buf_span(&wire);
	assert_int_equal(stream_frame_take(rest, &type, &body, &used, NULL), OK);
	assert_int_equal(type, 102);
	assert_int_equal(body.n, 0);
	rest = span_from(rest, used);
	for (size_t n = 0; n < rest.n; n++)
		assert_int_equal(stream_frame_take(span_of(rest.p, n), &type, &body, &used, NULL),
				 MORE);
	assert_int_equal(stream_frame_take(rest, &type, &body, &used, NULL), OK);
	assert_int_equal(type, 111);
	assert_true(span_eq(body, SPAN_LIT("hello")));
	assert_int_equal(used, rest.n);
	buf_fini(&wire);
}

static void a_wrong_header_is_refused(void **state)
{
	static const size_t wrong_at[] = {0, 3, 4, 5, 11, 12, 15};
	struct fault why = {""};
	struct span body;
	unsigned type;
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof wrong_at / sizeof *wrong_at; i++) {
		struct buf wire = {0};

		assert_true(stream_frame_put(&wire, 1, SPAN_LIT("x")));
		wire.p[wrong_at[i]] ^= 0x80;
		assert_int_equal(stream_frame_take(buf_span(&wire), &type, &body, &used, &why),
				 REFUSED);
		assert_true(why.text[0]);
		buf_fini(&wire);
	}
}

static void a_body_over_the_limit_is_not_sent(void **state)
{
	struct buf big = {0}, wire = {0};

	(void)state;
	for (size_t i = 0; i < STREAM_FRAME_LIMIT_BYTES + 1; i++)
		buf_append_byte(&big, 'x');
	assert_false(stream_frame_put(&wire, 1, buf_span(&big)));
	assert_int_equal(wire.n, 0);
	buf_fini(&big);
	buf_fini(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_frames_come_back_from_any_split),
		cmocka_unit_test(a_wrong_header_is_refused),
		cmocka_unit_test(a_body_over_the_limit_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
