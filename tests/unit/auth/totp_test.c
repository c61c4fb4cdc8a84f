#include "auth/totp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "auth/secret.h"

static const unsigned char secret[TOTP_SECRET_BYTES] = "12345678901234567890";

/* RFC 6238 appendix B, SHA-1, the last six digits. */
static void codes_are_those_of_the_rfc(void **state)
{
	static const struct {
		uint64_t at_s;
		uint32_t code;
	} rows[] = {{59, 287082},	{1111111109, 81804},  {1111111111, 50471},
		    {1234567890, 5924}, {2000000000, 279037}, {20000000000, 353130}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(totp_code(secret, rows[i].at_s / TOTP_STEP_S), rows[i].code);
}

/* H-19, A8 */
static void a_code_is_good_once(void **state)
{
	uint64_t last = 0, now = 1111111109;
	char code[7], next[7];

	(void)state;
	(void)snprintf(code, sizeof code, "%06u", totp_code(secret, now / TOTP_STEP_S));
	(void)snprintf(next, sizeof next, "%06u", totp_code(secret, now / TOTP_STEP_S + 1));
	assert_true(totp_verify(secret, span_str(code), now, &last));
	assert_false(totp_verify(secret, span_str(code), now, &last));
	assert_false(totp_verify(secret, span_str(code), now + 20, &last));
	assert_true(totp_verify(secret, span_str(next), now + 20, &last));
	/* One of before what was used does not count any more, though its time is near. */
	assert_false(totp_verify(secret, span_str(code), now + 20, &last));
}

static void only_the_steps_beside_now_are_taken(void **state)
{
	uint64_t now = 1111111109, step = now / TOTP_STEP_S;

	(void)state;
	for (int off = -3; off <= 3; off++) {
		uint64_t last = 0;
		char code[7];

		(void)snprintf(code, sizeof code, "%06u",
			       totp_code(secret, (uint64_t)((int64_t)step + off)));
		assert_int_equal(totp_verify(secret, span_str(code), now, &last),
				 off >= -1 && off <= 1);
	}
}

static void what_is_no_code_is_refused(void **state)
{
	static const char *const rows[] = {"", "81804", "0081804", "08180 ", "+81804", "08180x"};
	uint64_t last = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_false(totp_verify(secret, span_str(rows[i]), 1111111109, &last));
	assert_int_equal(last, 0);
}

static void the_uri_is_for_applications(void **state)
{
	struct buf out = {0};

	(void)state;
	totp_uri(secret, SPAN_LIT("anna+x@example.com"), &out);
	assert_string_equal(buf_cstr(&out), "otpauth://totp/Holdfast:anna%2Bx@example.com?secret="
					    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Holdfast");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_those_of_the_rfc),
		cmocka_unit_test(a_code_is_good_once),
		cmocka_unit_test(only_the_steps_beside_now_are_taken),
		cmocka_unit_test(what_is_no_code_is_refused),
		cmocka_unit_test(the_uri_is_for_applications),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
