#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/map.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

static void span_to_u64_takes_digits_only(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} rows[] = {
		{"0", true, 0},	       {"18446744073709551615", true, UINT64_MAX},
		{"", false, 0},	       {"18446744073709551616", false, 0},
		{"-1", false, 0},      {" 1", false, 0},
		{"1x", false, 0},      {"99999999999999999999999", false, 0},
		{"007", true, 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t value = 0;

		assert_int_equal(span_to_u64(span_str(rows[i].text), UINT64_MAX, &value), rows[i].good);
		assert_true(value == rows[i].value);
	}
}

static void buf_with_limit_refuses_what_passes_it(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_true(buf_append(&b, SPAN_LIT("0123456789")));
	assert_false(buf_append_byte(&b, 'x'));
	assert_int_equal(b.n, 10);
	assert_string_equal(buf_cstr(&b), "0123456789");
	buf_drop(&b, 4);
	assert_true(span_eq(buf_span(&b), SPAN_LIT("456789")));
	buf_fini(&b);
}

static void arena_with_limit_refuses(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1024);
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 100));
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1000));
	arena_fini(&a);
}

static void map_keeps_what_was_put(void **state)
{
	static int values[5000];
	struct map m;
	char key[32];

	(void)state;
	map_init(&m);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof key, "key-%d", i);
		assert_null(map_put(&m, span_str(key), &values[i]));
	}
	for (int i = 0; i < 5000; i += 2) {
		(void)snprintf(key, sizeof key, "key-%d", i);
		assert_ptr_equal(map_remove(&m, span_str(key)), &values[i]);
	}
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof key, "key-%d", i);
		assert_ptr_equal(map_get(&m, span_str(key)), i % 2 ? &values[i] : NULL);
	}
	assert_int_equal(m.n, 2500);
	map_fini(&m, NULL);
}

static void crc32c_matches_rfc3720(void **state)
{
	unsigned char zeros[32] = {0};

	(void)state;
	/* RFC 3720 B.4: 32 bytes of zeros, and the usual check value. */
	assert_int_equal(crc32c(0, span_of(zeros, 32)), 0x8a9136aa);
	assert_int_equal(crc32c(0, SPAN_LIT("123456789")), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, SPAN_LIT("1234")), SPAN_LIT("56789")), 0xe3069283);
}

static void base64_is_strict(void **state)
{
	static const struct {
		const char *text, *bytes; /* bytes NULL: refused */
	} rows[] = {
		{"", ""},	   {"Zg==", "f"},    {"Zm8=", "fo"},   {"Zm9v", "foo"},	 {"Zm9vYmFy", "foobar"},
		{"Zg", NULL},	   {"Zg=", NULL},    {"Zh==", NULL},   {"Zm9=", NULL},	 {"Zg==Zg==", NULL},
		{"Zm 9v", NULL},   {"====", NULL},   {"Z===", NULL},   {"Zm9v\n", NULL}, {"Zm9-", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0}, again = {0};
		bool good = base64_decode(&out, span_str(rows[i].text));

		assert_int_equal(good, rows[i].bytes != NULL);
		if (good) {
			assert_true(span_eq(buf_span(&out), span_str(rows[i].bytes)));
			base64_encode(&again, buf_span(&out));
			assert_true(span_eq(buf_span(&again), span_str(rows[i].text)));
		}
		buf_fini(&out);
		buf_fini(&again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(span_to_u64_takes_digits_only),
		cmocka_unit_test(buf_with_limit_refuses_what_passes_it),
		cmocka_unit_test(arena_with_limit_refuses),
		cmocka_unit_test(map_keeps_what_was_put),
		cmocka_unit_test(crc32c_matches_rfc3720),
		cmocka_unit_test(base64_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
