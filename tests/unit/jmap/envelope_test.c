/* What Emails are sorted by, from IMAP's ENVELOPE; the base subject (RFC 5256 s2.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jmap/envelope.h"

static void subjects(void **state)
{
	static const struct {
		const char *subject, *base;
	} rows[] = {
		{"Lunch", "Lunch"},
		{"Re: Lunch", "Lunch"},
		{"RE: fwd: Fw: Lunch", "Lunch"},
		{"Re[2]: Lunch", "Lunch"},
		{"Re [x] : Lunch", "Lunch"},
		{"[list] Re: [other] Lunch", "Lunch"},
		{"[list]", "[list]"},
		{"Lunch (fwd) (FWD)", "Lunch"},
		{"[Fwd: Re: Lunch]", "Lunch"},
		{"Reply: Lunch", "Reply: Lunch"},
		{"re", "re"},
		{"Re:", ""},
		{"", ""},
		{"[", "["},
		{"[]", "[]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span got = jmap_base_subject(span_str(rows[i].subject));

		assert_int_equal(got.n, strlen(rows[i].base));
		assert_memory_equal(got.n ? (const char *)got.p : "", rows[i].base, got.n);
	}
}

static void envelopes(void **state)
{
	static const struct {
		const char *envelope, *subject, *from, *to;
	} rows[] = {
		{"(\"Thu\" \"Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\" ((\"Anna \\\"A\\\"\" NIL \"anna\" "
		 "\"x.org\")) NIL NIL ((NIL NIL \"b\" \"y.org\")(NIL NIL \"c\" \"z\")) NIL NIL NIL "
		 "\"<1>\")",
		 "Gr\u00fc\u00dfe", "Anna \"A\"", "b@y.org"},
		{"(NIL {5}\r\n(\"))a ((NIL NIL {3}\r\na)( \"h\")) NIL NIL NIL NIL NIL NIL NIL)",
		 "(\"))a", "a)(@h", ""},
		{"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", "", "", ""},
		{"", "", "", ""},
		{"(NIL \"open", "", "", ""},
		{"(NIL {99}\r\nx", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf subject = {0}, from = {0}, to = {0};
		struct span e = span_str(rows[i].envelope);

		jmap_envelope_subject(e, &subject);
		jmap_envelope_first(e, JMAP_ENVELOPE_FROM, &from);
		jmap_envelope_first(e, JMAP_ENVELOPE_TO, &to);
		assert_string_equal(buf_cstr(&subject), rows[i].subject);
		assert_string_equal(buf_cstr(&from), rows[i].from);
		assert_string_equal(buf_cstr(&to), rows[i].to);
		buf_fini(&subject);
		buf_fini(&from);
		buf_fini(&to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects),
		cmocka_unit_test(envelopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
