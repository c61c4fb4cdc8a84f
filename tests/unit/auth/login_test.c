/* One verdict, one text for all protocols; what is not known is "later". */
#include "auth/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void every_verdict_has_words_in_every_protocol(void **state)
{
	(void)state;
	for (unsigned v = 0; v <= LOGIN_LAST; v++) {
		enum login_verdict verdict = login_verdict_of(v);

		assert_true(login_verdict_name(verdict)[0] && login_text(verdict)[0]);
		assert_int_equal(span_starts(span_str(login_imap(verdict)), SPAN_LIT("OK")),
				 v == LOGIN_FINE);
		assert_int_equal(login_pop3(verdict)[0] == '+', v == LOGIN_FINE);
		assert_int_equal(login_smtp(verdict)[0] == '2', v == LOGIN_FINE);
	}
	assert_int_equal(login_verdict_of(200), LOGIN_LATER);
}

/* A2: what says nothing about the password is a temporary answer. */
static void later_and_throttled_are_temporary(void **state)
{
	(void)state;
	assert_int_equal(login_smtp(LOGIN_LATER)[0], '4');
	assert_int_equal(login_smtp(LOGIN_THROTTLED)[0], '4');
	assert_int_equal(login_smtp(LOGIN_REFUSED)[0], '5');
	assert_string_equal(login_imap(LOGIN_LATER), "NO [UNAVAILABLE]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verdict_has_words_in_every_protocol),
		cmocka_unit_test(later_and_throttled_are_temporary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
