#include "auth/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "auth/secret.h"

static struct password of(const char *text)
{
	struct password w;

	assert_true(password_prepare(span_str(text), &w));
	return w;
}

static void a_verifier_knows_its_password_alone(void **state)
{
	struct password w = of("correct horse battery"), other = of("correct horse batterY");
	char v[PASSWORD_VERIFIER_BYTES], v2[PASSWORD_VERIFIER_BYTES];

	(void)state;
	assert_int_equal(password_hash(&w, v), OK);
	assert_int_equal(password_hash(&w, v2), OK);
	assert_true(span_starts(span_str(v), SPAN_LIT("$argon2id$v=19$m=19456,t=2,p=1$")));
	assert_string_not_equal(v, v2); /* salted */
	assert_int_equal(password_matches(v, &w), OK);
	assert_int_equal(password_matches(v, &other), REFUSED);
	assert_int_equal(password_matches("", &w), REFUSED);
	assert_true(password_is_verifier(span_str(v)) && password_is_current(v));
}

/* A5: other parameters still work, and are to be made anew. */
static void an_old_verifier_still_works(void **state)
{
	static const char old[] = "$argon2id$v=19$m=8192,t=1,p=1$";

	(void)state;
	assert_true(password_is_verifier(span_str(old)));
	assert_false(password_is_current("$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

/* A file cannot make us take all memory or time. */
static void verifiers_beyond_bounds_are_none(void **state)
{
	static const char *const rows[] = {"",
					   "$2y$10$abcdefghijklmnopqrstuv",
					   "$argon2i$v=19$m=19456,t=2,p=1$a$b",
					   "$argon2id$v=19$m=4294967295,t=2,p=1$a$b",
					   "$argon2id$v=19$m=19456,t=1000,p=1$a$b",
					   "$argon2id$v=19$m=19456,t=2,p=8$a$b",
					   "$argon2id$v=19$m=,t=2,p=1$a$b",
					   "$argon2id$v=19$m=19456"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_false(password_is_verifier(span_str(rows[i])));
}

/* A4: the same characters are the same password, however the keyboard wrote them. */
static void passwords_are_compared_in_nfc(void **state)
{
	struct password composed = of("gr\xc3\xbc\xc3\x9f gott"),
			apart = of("gru\xcc\x88\xc3\x9f gott");
	struct password bytes = of("\xff\xfe latin");

	(void)state;
	assert_true(span_eq(password_span(&composed), password_span(&apart)));
	assert_true(span_eq(password_span(&bytes), SPAN_LIT("\xff\xfe latin")));
}

static void what_is_no_password(void **state)
{
	static unsigned char long_one[LOGIN_PASSWORD_LIMIT_BYTES + 1];
	struct password w = {.n = 7};

	(void)state;
	memset(long_one, 'a', sizeof long_one);
	assert_false(password_prepare(SPAN_NONE, &w));
	assert_false(password_prepare(span_of("a\0b", 3), &w));
	assert_false(password_prepare(span_of(long_one, sizeof long_one), &w));
	assert_int_equal(w.n, 7);
	assert_true(password_prepare(span_of(long_one, sizeof long_one - 1), &w));
}

static void good_and_bad_passwords(void **state)
{
	static const struct {
		const char *word;
		unsigned least;
		const char *why; /* NULL: good */
	} rows[] = {
		{"correct horse battery anna", PASSWORD_LEAST, NULL},
		{"kurz", PASSWORD_LEAST, "has 4 characters; it needs at least 15"},
		{"vierzehn zeich", PASSWORD_LEAST, "has 14 characters"},
		{"\xc3\xbc\xc3\xbc\xc3\xb6\xc3\xa4\xc3\x9f!x", 8, "has 7 characters"},
		{"Password123456", 8, "tried first"},
		{"PassWord", 8, "tried first"},
		{"Correct Horse Battery Staple", PASSWORD_LEAST, "tried first"},
		{"aaaaaaaaaaaaaaaa", PASSWORD_LEAST, "tried first"},
		{"abcabcabcabcabcabc", PASSWORD_LEAST, "tried first"},
		{"12345678901234567", PASSWORD_LEAST, "tried first"},
		{"abcdefghijklmnop", PASSWORD_LEAST, "tried first"},
		{"zyxwvutsrqponmlk", PASSWORD_LEAST, "tried first"},
		{"anna.muster2026", 8, "little more than the account's name"},
		{"Anna.Muster@example.com", PASSWORD_LEAST, "little more than"},
		{"fjord zebra", 8, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct password w = of(rows[i].word);
		struct fault why = {""};
		bool good = password_is_good(&w, SPAN_LIT("anna.muster@example.com"), rows[i].least,
					     &why);

		if (good != !rows[i].why || (!good && !strstr(why.text, rows[i].why)))
			print_error("%s: %s\n", rows[i].word, why.text);
		assert_int_equal(good, !rows[i].why);
		assert_true(good || strstr(why.text, rows[i].why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verifier_knows_its_password_alone),
		cmocka_unit_test(an_old_verifier_still_works),
		cmocka_unit_test(verifiers_beyond_bounds_are_none),
		cmocka_unit_test(passwords_are_compared_in_nfc),
		cmocka_unit_test(what_is_no_password),
		cmocka_unit_test(good_and_bad_passwords),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
