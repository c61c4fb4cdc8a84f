/* S-15: the 24 forms of an open relay, each with four senders and two HELO names, one byte at a
 * time and at once. */
#include "dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define OURS "ours.example"
#define V    "victim.example"

static const struct {
	struct span rcpt;
	bool needs_utf8;
} forms[] = {
	{SPAN_LIT("u@" V), false},
	{SPAN_LIT("u%" V "@" OURS), false},
	{SPAN_LIT("u%" V), false},
	{SPAN_LIT("\"u%" V "\"@" OURS), false},
	{SPAN_LIT("@" OURS ":u@" V), false},
	{SPAN_LIT("@a,@" OURS ":u@" V), false},
	{SPAN_LIT(V "!u@" OURS), false},
	{SPAN_LIT(V "!u"), false},
	{SPAN_LIT("\"u@" V "\"@" OURS), false},
	{SPAN_LIT("u\\@" V "@" OURS), false},
	{SPAN_LIT("u@" V "@" OURS), false},
	{SPAN_LIT("u@" OURS "@" V), false},
	{SPAN_LIT("u@[127.0.0.1]"), false},
	{SPAN_LIT("u@[IPv6:::1]"), false},
	{SPAN_LIT("u@[192.0.2.1]"), false},
	{SPAN_LIT("u@" V "."), false},
	{SPAN_LIT("u@" OURS "." V), false},
	{SPAN_LIT("u@x" OURS), false},
	{SPAN_LIT("u@" OURS "\0." V), false},
	{SPAN_LIT("u\xef\xbc\xa0" V "@" OURS), true},
	{SPAN_LIT("u\xef\xbc\xa0" V "@" OURS), false},
	{SPAN_LIT("\"u\"@" V), false},
	{SPAN_LIT("u+" OURS "@" V), false},
	{SPAN_LIT("u@" V "\0@" OURS), false},
};

static void one(size_t form, const char *helo, const char *sender, size_t step)
{
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;
	struct buf session = {0};
	const char *refusal;

	options.step = step;
	dialogue_begin(&d, &options);
	buf_printf(&session, "EHLO %s\r\nMAIL FROM:<%s>%s\r\nRCPT TO:<", helo, sender,
		   forms[form].needs_utf8 ? " SMTPUTF8" : "");
	buf_append(&session, forms[form].rcpt);
	buf_append(&session, SPAN_LIT(">\r\n"));
	dialogue_feed(&d, buf_span(&session));
	refusal = strstr(buf_cstr(&d.said), "\r\n550 5.7.1 ");
	if (!refusal)
		print_error("form %zu from <%s>: %s\n", form, sender, buf_cstr(&d.said));
	assert_non_null(refusal);
	dialogue_feed(&d, SPAN_LIT("DATA\r\n"));
	if (!strstr(buf_cstr(&d.said), "\r\n554 5.5.1 "))
		print_error("form %zu then DATA: %s\n", form, buf_cstr(&d.said));
	assert_non_null(strstr(buf_cstr(&d.said), "\r\n554 5.5.1 "));
	assert_int_equal(d.stored, 0);
	buf_fini(&session);
	dialogue_end(&d);
}

static void s_15_no_form_is_relayed(void **state)
{
	static const char *const helos[] = {"client.example", "mx2.test.example", "localhost"};
	static const char *const senders[] = {"", "a@" OURS, "a@" V, "postmaster@mx2.test.example"};

	(void)state;
	assert_int_equal(sizeof forms / sizeof *forms, 24);
	for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
		for (size_t i = 0; i < 12; i++) {
			one(form, helos[i % 3], senders[i / 3], 0);
			one(form, helos[i % 3], senders[i / 3], 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(s_15_no_form_is_relayed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
