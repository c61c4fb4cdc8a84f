#include "config/units.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void durations_need_a_unit(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		uint64_t ms;
		const char *why, *hint;
	} rows[] = {
		{"500ms", true, 500, NULL, NULL},
		{"5s", true, 5000, NULL, NULL},
		{"2m", true, 120000, NULL, NULL},
		{"2h", true, 7200000, NULL, NULL},
		{"30d", true, 2592000000, NULL, NULL},
		{"1w", true, 604800000, NULL, NULL},
		{"0s", true, 0, NULL, NULL},
		{"5", false, 0, "needs a unit", "write 5s, or another of ms, s, m, h, d, w"},
		{"5 s", false, 0, "has an unknown unit",
		 "units are ms, s, m, h, d, w, without a blank before them"},
		{"1.5h", false, 0, "must be a whole number",
		 "units are ms, s, m, h, d, w, without a blank before them"},
		{"s", false, 0, "does not begin with a number", "write it like 30s"},
		{"-5s", false, 0, "does not begin with a number", "write it like 30s"},
		{"5S", false, 0, "has an unknown unit",
		 "units are ms, s, m, h, d, w, without a blank before them"},
		{"99999999999999999999s", false, 0, "is too large", "write it like 30s"},
		{"18446744073709551615w", false, 0, "is too large", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct units_fault fault = {0};
		uint64_t ms = 77;

		assert_int_equal(units_duration_ms(span_str(rows[i].text), &ms, &fault),
				 rows[i].is_good);
		assert_true(ms == (rows[i].is_good ? rows[i].ms : 77));
		if (!rows[i].is_good) {
			assert_string_equal(fault.why, rows[i].why);
			assert_string_equal(fault.hint, rows[i].hint);
		}
	}
}

static void sizes_need_a_unit(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		uint64_t bytes;
	} rows[] = {
		{"25MiB", true, 25u << 20}, {"1GiB", true, 1u << 30}, {"512KiB", true, 512u << 10},
		{"10MB", true, 10000000},   {"4096B", true, 4096},    {"25", false, 0},
		{"25M", false, 0},	    {"25mib", false, 0},      {"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct units_fault fault;
		uint64_t bytes = 0;

		assert_int_equal(units_size_bytes(span_str(rows[i].text), &bytes, &fault),
				 rows[i].is_good);
		assert_true(bytes == rows[i].bytes);
	}
}

static void listen_addresses(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		const char *why;
	} rows[] = {
		{"0.0.0.0:25", true, NULL},
		{"[::]:25", true, NULL},
		{"[2001:db8::1]:2525", true, NULL},
		{"25", false, "is a port without an address"},
		{"0.0.0.0", false, "has no port"},
		{"::1", false, "has no port"},
		{"0.0.0.0:0", false, "has a bad port"},
		{"0.0.0.0:65536", false, "has a bad port"},
		{"localhost:25", false,
		 "is not an address of this machine that can be listened on"},
		{"[0.0.0.0]:25", false,
		 "is not an address of this machine that can be listened on"},
		{"1.2.3:25", false, "is not an address of this machine that can be listened on"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct units_fault fault = {0};

		assert_int_equal(units_is_listen_address(span_str(rows[i].text), &fault),
				 rows[i].is_good);
		if (!rows[i].is_good)
			assert_string_equal(fault.why, rows[i].why);
	}
}

static void names_and_networks(void **state)
{
	(void)state;
	assert_true(units_is_network(SPAN_LIT("192.0.2.0/24")));
	assert_true(units_is_network(SPAN_LIT("2001:db8::/32")));
	assert_true(units_is_network(SPAN_LIT("::1")));
	assert_false(units_is_network(SPAN_LIT("192.0.2.0/33")));
	assert_false(units_is_network(SPAN_LIT("192.0.2/24")));
	assert_false(units_is_network(SPAN_LIT("/24")));
	assert_true(units_is_host_port(SPAN_LIT("a.example:25")));
	assert_true(units_is_host_port(SPAN_LIT("[::1]:25")));
	assert_false(units_is_host_port(SPAN_LIT("a.example")));
	assert_false(units_is_host_port(SPAN_LIT(":25")));
	assert_true(units_is_host_name(SPAN_LIT("zen.spamhaus.org")));
	assert_false(units_is_host_name(SPAN_LIT("a..b")));
	assert_false(units_is_host_name(SPAN_LIT("-a.b")));
	assert_false(units_is_host_name(SPAN_LIT("a b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_need_a_unit),
		cmocka_unit_test(sizes_need_a_unit),
		cmocka_unit_test(listen_addresses),
		cmocka_unit_test(names_and_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
