#include "mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define L64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct row {
	const char *text;
	bool utf8;
	enum address_fault fault;
	const char *normal;
} rows[] = {
	{"user@example.com", false, ADDRESS_FINE, "user@example.com"},
	{"User@EXAMPLE.Com", false, ADDRESS_FINE, "User@example.com"},
	{"a.b+c=d/e@x", false, ADDRESS_FINE, "a.b+c=d/e@x"},
	{"\"user\"@x.org", false, ADDRESS_FINE, "user@x.org"},
	{"\"a\\b\"@x.org", false, ADDRESS_FINE, "ab@x.org"},
	{"\"a b\"@x.org", false, ADDRESS_FINE, "\"a b\"@x.org"},
	{"\"\"@x.org", false, ADDRESS_FINE, "\"\"@x.org"},
	{"\"a..b\"@x.org", false, ADDRESS_FINE, "\"a..b\"@x.org"},
	{"\"a\\\"b\\\\\"@x.org", false, ADDRESS_FINE, "\"a\\\"b\\\\\"@x.org"},
	{"\"u@v\"@x.org", false, ADDRESS_FINE, "\"u@v\"@x.org"},
	{"u@[192.0.2.1]", false, ADDRESS_FINE, "u@[192.0.2.1]"},
	{"u@[ipv6:2001:DB8:0::1]", false, ADDRESS_FINE, "u@[IPv6:2001:db8::1]"},
	{"u@b\xc3\xbc"
	 "cher.example",
	 true, ADDRESS_FINE, "u@xn--bcher-kva.example"},
	{"\xc3\xbc@B\xc3\x9c"
	 "CHER.example",
	 true, ADDRESS_FINE, "\xc3\xbc@xn--bcher-kva.example"},
	{L64 "@x", false, ADDRESS_FINE, L64 "@x"},
	{"u@a_b.example", false, ADDRESS_FINE, "u@a_b.example"},

	{"", false, ADDRESS_SYNTAX, NULL},
	{".a@x", false, ADDRESS_SYNTAX, NULL},
	{"a.@x", false, ADDRESS_SYNTAX, NULL},
	{"a..b@x", false, ADDRESS_SYNTAX, NULL},
	{"a b@x", false, ADDRESS_SYNTAX, NULL},
	{"\"a@x", false, ADDRESS_SYNTAX, NULL},
	{"\"a\"b@x", false, ADDRESS_SYNTAX, NULL},
	{"\"a\\", false, ADDRESS_SYNTAX, NULL},
	{"\"a\tb\"@x", false, ADDRESS_SYNTAX, NULL},
	{"a(c)@x", false, ADDRESS_SYNTAX, NULL},
	{"user", false, ADDRESS_NO_DOMAIN, NULL},
	{"user@", false, ADDRESS_NO_DOMAIN, NULL},
	{"u%v", false, ADDRESS_NO_DOMAIN, NULL},
	{"@ours:u@v", false, ADDRESS_ROUTED, NULL},
	{"u@v@ours", false, ADDRESS_ROUTED, NULL},
	{"u\\@v@ours", false, ADDRESS_ROUTED, NULL},
	{"u@v.", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@.v", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@a..b", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@-a.b", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@a-.b", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@a-", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@a b", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@[1.2.3]", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@[1.2.3.4", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@[IPv6:1.2.3.4]", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@[]", false, ADDRESS_BAD_DOMAIN, NULL},
	{"u@[x:1]", false, ADDRESS_BAD_DOMAIN, NULL},
	{L64 "a@x", false, ADDRESS_TOO_LONG, NULL},
	{"u@" L63 "a.b", false, ADDRESS_TOO_LONG, NULL},
	{"u@" L63 "." L63 "." L63 "." L63 ".b", false, ADDRESS_TOO_LONG, NULL},
	{"\xc3\xbc@x", false, ADDRESS_NOT_ASCII, NULL},
	{"u@\xc3\xbc", false, ADDRESS_NOT_ASCII, NULL},
	{"\xc3@x", true, ADDRESS_NOT_ASCII, NULL},
	{"\xc2\x85@x", true, ADDRESS_NOT_ASCII, NULL},
	{"\xed\xa0\x80@x", true, ADDRESS_NOT_ASCII, NULL},
	{"\xc0\xae@x", true, ADDRESS_NOT_ASCII, NULL},
	{"u@v\xef\xbc\xa0ours", true, ADDRESS_BAD_DOMAIN, NULL}, /* U+FF20 maps to @ */
};

static void addresses_have_one_spelling_or_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address a = {.text = "untouched"};
		enum address_fault fault = address_parse(span_str(rows[i].text), rows[i].utf8, &a);

		if (fault != rows[i].fault)
			print_error("row %zu: %s -> %s\n", i, rows[i].text,
				    address_fault_text(fault));
		assert_int_equal(fault, rows[i].fault);
		assert_string_equal(a.text, rows[i].normal ? rows[i].normal : "untouched");
		if (!rows[i].normal)
			continue;
		assert_int_equal(a.n, strlen(a.text));
		assert_int_equal(a.text[a.local_n], '@');
	}
}

static void normal_form_is_a_fixed_point(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address a;

		if (!rows[i].normal)
			continue;
		assert_int_equal(address_parse(span_str(rows[i].normal), true, &a), ADDRESS_FINE);
		assert_string_equal(a.text, rows[i].normal);
	}
}

static void paths_end_at_their_own_bracket(void **state)
{
	struct span rest = SPAN_LIT("<\"a>b\"@x.org> SIZE=1");
	struct address a;

	(void)state;
	assert_int_equal(address_parse_path(&rest, false, &a), ADDRESS_FINE);
	assert_string_equal(a.text, "\"a>b\"@x.org");
	assert_true(span_eq(rest, SPAN_LIT(" SIZE=1")));
	rest = SPAN_LIT("<>");
	assert_int_equal(address_parse_path(&rest, false, &a), ADDRESS_FINE);
	assert_int_equal(a.n, 0);
	assert_int_equal(rest.n, 0);
	rest = SPAN_LIT("<a@x");
	assert_int_equal(address_parse_path(&rest, false, &a), ADDRESS_SYNTAX);
	rest = SPAN_LIT("a@x");
	assert_int_equal(address_parse_path(&rest, false, &a), ADDRESS_SYNTAX);
	rest = SPAN_LIT("<@a,@ours:u@v>");
	assert_int_equal(address_parse_path(&rest, false, &a), ADDRESS_ROUTED);
}

static void keys_ignore_case_and_details_come_off(void **state)
{
	struct address a, base;
	char key[ADDRESS_TEXT_BYTES];

	(void)state;
	assert_int_equal(address_parse(SPAN_LIT("John.Doe+News@Example.com"), false, &a),
			 ADDRESS_FINE);
	assert_int_equal(address_key(&a, key), a.n);
	assert_string_equal(key, "john.doe+news@example.com");
	assert_true(address_without_detail(&a, &base));
	assert_string_equal(base.text, "John.Doe@example.com");
	assert_int_equal(base.n, strlen(base.text));
	assert_true(span_eq(address_domain(&base), SPAN_LIT("example.com")));
	assert_false(address_without_detail(&base, &a));
	assert_int_equal(address_parse(SPAN_LIT("+x@example.com"), false, &a), ADDRESS_FINE);
	assert_false(address_without_detail(&a, &base));
}

static void s_15_local_parts_that_route_are_seen(void **state)
{
	static const char *const routed[] = {"u%v@ours", "\"u%v\"@ours", "v!u@ours", "\"u@v\"@ours",
					     "u\xef\xbc\xa0v@ours"};
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof routed / sizeof *routed; i++) {
		assert_int_equal(address_parse(span_str(routed[i]), true, &a), ADDRESS_FINE);
		assert_true(address_is_routed(&a));
	}
	assert_int_equal(address_parse(SPAN_LIT("u+v@ours"), true, &a), ADDRESS_FINE);
	assert_false(address_is_routed(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_spelling_or_none),
		cmocka_unit_test(normal_form_is_a_fixed_point),
		cmocka_unit_test(paths_end_at_their_own_bracket),
		cmocka_unit_test(keys_ignore_case_and_details_come_off),
		cmocka_unit_test(s_15_local_parts_that_route_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
