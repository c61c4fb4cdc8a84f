#include "auth/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void codes_are_read_as_people_write_them(void **state)
{
	static const unsigned char random[SECRET_CODE_RANDOM_BYTES] = {0, 1, 2, 3, 4,
								       5, 6, 7, 8, 255};
	char shown[SECRET_CODE_TEXT_BYTES], code[SECRET_CODE_BYTES + 1],
		again[SECRET_CODE_BYTES + 1];
	char loud[SECRET_CODE_TEXT_BYTES];

	(void)state;
	secret_code(random, shown);
	assert_int_equal(strlen(shown), SECRET_CODE_BYTES + 3);
	assert_true(secret_code_read(span_str(shown), code));
	for (size_t i = 0; i < sizeof loud; i++)
		loud[i] = (char)(shown[i] >= 'a' && shown[i] <= 'z' ? shown[i] - 32
				 : shown[i] == '-'		    ? ' '
								    : shown[i]);
	assert_true(secret_code_read(span_str(loud), again));
	assert_string_equal(code, again);
	assert_true(secret_code_read(SPAN_LIT("0000 1111 8888 aaaa"), code));
	assert_string_equal(code, "oooollllbbbbaaaa");
	assert_false(secret_code_read(SPAN_LIT("aaaa-aaaa-aaaa-aaa"), code));
	assert_false(secret_code_read(SPAN_LIT("aaaa-aaaa-aaaa-aaaaa"), code));
	assert_false(secret_code_read(SPAN_LIT("aaaa-aaaa-aaaa-aaa9"), code));
	assert_false(secret_code_read(span_of("aaaaaaaaaaaaaaa\0", 16), code));
}

/* RFC 4231, test case 2. */
static void hmac_is_that_of_the_rfc(void **state)
{
	static const unsigned char want[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e};
	unsigned char out[SECRET_HASH_BYTES];

	(void)state;
	secret_hmac(SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"), out);
	assert_memory_equal(out, want, sizeof want);
}

/* H-20: no two lists of parts are the same bytes. */
static void parts_are_kept_apart(void **state)
{
	const struct span a[] = {SPAN_LIT("anna"), SPAN_LIT("bert")};
	const struct span b[] = {SPAN_LIT("annab"), SPAN_LIT("ert")};
	unsigned char x[SECRET_HASH_BYTES], y[SECRET_HASH_BYTES];

	(void)state;
	secret_hmac_parts(SPAN_LIT("key"), a, 2, x);
	secret_hmac_parts(SPAN_LIT("key"), b, 2, y);
	assert_false(secret_equal(x, y, sizeof x));
	secret_hmac_parts(SPAN_LIT("key"), a, 2, y);
	assert_true(secret_equal(x, y, sizeof x));
}

static void base32_is_that_of_the_rfc(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {{"", ""},
		    {"f", "MY"},
		    {"fo", "MZXQ"},
		    {"foo", "MZXW6"},
		    {"foob", "MZXW6YQ"},
		    {"fooba", "MZXW6YTB"},
		    {"foobar", "MZXW6YTBOI"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};

		secret_base32(&out, span_str(rows[i].in));
		assert_string_equal(buf_cstr(&out), rows[i].out);
		buf_fini(&out);
	}
}

static void base64_is_strict(void **state)
{
	unsigned char out[8];
	size_t n = 99;

	(void)state;
	assert_true(secret_unbase64(SPAN_LIT("AAEC"), out, sizeof out, &n));
	assert_int_equal(n, 3);
	assert_true(secret_unbase64(SPAN_LIT("AA=="), out, sizeof out, &n));
	assert_false(secret_unbase64(SPAN_LIT("AA="), out, sizeof out, &n));
	assert_false(secret_unbase64(SPAN_LIT("AA==x"), out, sizeof out, &n));
	assert_false(secret_unbase64(SPAN_LIT("A A="), out, sizeof out, &n));
	assert_false(secret_unbase64(SPAN_LIT("AAAAAAAAAAAAAAAA"), out, sizeof out, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_read_as_people_write_them),
		cmocka_unit_test(hmac_is_that_of_the_rfc),
		cmocka_unit_test(parts_are_kept_apart),
		cmocka_unit_test(base32_is_that_of_the_rfc),
		cmocka_unit_test(base64_is_strict),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
