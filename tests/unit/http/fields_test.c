/* What stands in targets and fields, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/fields.h"

static void test_decode(void **state)
{
	static const struct {
		const char *in, *out;
		bool is_query;
	} rows[] = {
		{"", "", false},	 {"abc", "abc", false}, {"a%20b", "a b", false},
		{"a+b", "a+b", false},	 {"a+b", "a b", true},	{"%c3%A4", "\xc3\xa4", false},
		{"%2F%2e", "/.", false}, {"%", NULL, false},	{"%4", NULL, false},
		{"%zz", NULL, false},	 {"a%00", NULL, false}, {"a%", NULL, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		bool is_fine;

		(void)buf_append(&out, SPAN_LIT("before "));
		is_fine = http_decode(&out, span_str(rows[i].in), rows[i].is_query);
		assert_int_equal(is_fine, rows[i].out != NULL);
		assert_true(span_eq(span_from(buf_span(&out), 7),
				    span_str(is_fine ? rows[i].out : "")));
		buf_fini(&out);
	}
}

static void test_decode_limit(void **state)
{
	struct buf out = {.limit = 3};

	(void)state;
	assert_true(http_decode(&out, SPAN_LIT("%61bc"), false));
	assert_false(http_decode(&out, SPAN_LIT("d"), false));
	assert_int_equal(out.n, 3);
	buf_fini(&out);
}

static void test_query(void **state)
{
	struct span rest = SPAN_LIT("a=1&&b=2=3&=x&c&d="), name, value;
	static const char *const want[] = {"a", "1", "b", "2=3", "c", "", "d", ""};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(http_query_next(&rest, &name, &value));
		assert_true(span_eq(name, span_str(want[2 * i])));
		assert_true(span_eq(value, span_str(want[2 * i + 1])));
	}
	assert_false(http_query_next(&rest, &name, &value));
	assert_true(http_query_find(SPAN_LIT("x=1&y=2&y=3"), "y", &value));
	assert_true(span_eq(value, SPAN_LIT("2")));
	assert_false(http_query_find(SPAN_LIT("xy=1"), "y", &value));
}

static void test_cookie(void **state)
{
	struct span value;

	(void)state;
	assert_true(http_cookie_find(SPAN_LIT("a=1; __Host-x=abc ;b=2"), "__Host-x", &value));
	assert_true(span_eq(value, SPAN_LIT("abc")));
	assert_true(http_cookie_find(SPAN_LIT("x=1; x=2"), "x", &value));
	assert_true(span_eq(value, SPAN_LIT("1")));
	assert_false(http_cookie_find(SPAN_LIT("ax=1; xa=2"), "x", &value));
	assert_false(http_cookie_find(SPAN_NONE, "x", &value));
	assert_true(http_cookie_find(SPAN_LIT("x=a=b"), "x", &value));
	assert_true(span_eq(value, SPAN_LIT("a=b")));
}

static void test_accept_encoding(void **state)
{
	static const struct {
		const char *field;
		bool takes;
	} rows[] = {
		{"", false},
		{"gzip", true},
		{"deflate, gzip, br", true},
		{"GZIP", true},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"gzip;q=0.5", true},
		{"*", true},
		{"*;q=0", false},
		{"identity", false},
		{"gzip;q=0, *", false},
		{"xgzip", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(http_accepts_gzip(span_str(rows[i].field)), rows[i].takes);
}

static void test_tags(void **state)
{
	(void)state;
	assert_true(http_tag_matches(SPAN_LIT("\"a\", W/\"b\""), SPAN_LIT("\"b\"")));
	assert_true(http_tag_matches(SPAN_LIT("*"), SPAN_LIT("\"b\"")));
	assert_false(http_tag_matches(SPAN_LIT("\"ab\""), SPAN_LIT("\"b\"")));
	assert_false(http_tag_matches(SPAN_NONE, SPAN_LIT("\"b\"")));
}

static void test_ranges(void **state)
{
	static const struct {
		const char *field;
		uint64_t size;
		enum rc rc;
		uint64_t first, bytes;
	} rows[] = {
		{"bytes=0-9", 100, OK, 0, 10},
		{"bytes=90-", 100, OK, 90, 10},
		{"bytes=99-200", 100, OK, 99, 1},
		{"bytes=-10", 100, OK, 90, 10},
		{"bytes=-1000", 100, OK, 0, 100},
		{"Bytes=0-0", 100, OK, 0, 1},
		{"bytes=0-18446744073709551615", 100, OK, 0, 100},
		{"bytes=100-", 100, REFUSED, 0, 0},
		{"bytes=-0", 100, REFUSED, 0, 0},
		{"bytes=0-", 0, REFUSED, 0, 0},
		{"bytes=-1", 0, REFUSED, 0, 0},
		{"bytes=0-1,3-4", 100, MORE, 0, 0},
		{"bytes=5-4", 100, MORE, 0, 0},
		{"bytes=a-b", 100, MORE, 0, 0},
		{"bytes=-", 100, MORE, 0, 0},
		{"bytes=1", 100, MORE, 0, 0},
		{"bytes=1-99999999999999999999", 100, MORE, 0, 0},
		{"lines=0-1", 100, MORE, 0, 0},
		{"", 100, MORE, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_range r = {0};

		if (http_range_parse(span_str(rows[i].field), rows[i].size, &r) != rows[i].rc)
			fail_msg("%s of %llu", rows[i].field, (unsigned long long)rows[i].size);
		assert_int_equal(r.first, rows[i].first);
		assert_int_equal(r.bytes, rows[i].bytes);
	}
}

static void test_dates(void **state)
{
	static const struct {
		int64_t at;
		const char *text;
	} rows[] = {
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
		{951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
		{951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
		{1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"},
		{4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
		{-5, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
		{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
	};
	char text[HTTP_DATE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		http_date(rows[i].at, text);
		assert_string_equal(text, rows[i].text);
	}
}

/* Names come from hostile mail: whatever is in them, the field stays one line of one parameter more. */
static void test_disposition(void **state)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"", "attachment"},
		{"a.pdf", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf"},
		{"a \"b\"\r\nSet-Cookie: x", "attachment; filename=\"a _b___Set-Cookie: x\"; "
					     "filename*=UTF-8''a%20%22b%22%0D%0ASet-Cookie%3A%20x"},
		{"\xc3\xa4.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt"},
		{"../../etc\\x",
		 "attachment; filename=\".._.._etc_x\"; filename*=UTF-8''..%2F..%2Fetc%5Cx"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};

		http_disposition(&out, span_str(rows[i].name));
		assert_string_equal(buf_cstr(&out), rows[i].value);
		buf_fini(&out);
	}
}

static void test_types(void **state)
{
	(void)state;
	assert_true(span_eq(http_type_of(SPAN_LIT(" application/json ; charset=utf-8")),
			    SPAN_LIT("application/json")));
	assert_true(span_eq(http_type_of(SPAN_NONE), SPAN_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),		cmocka_unit_test(test_decode_limit),
		cmocka_unit_test(test_query),		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_accept_encoding), cmocka_unit_test(test_tags),
		cmocka_unit_test(test_ranges),		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_disposition),	cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
