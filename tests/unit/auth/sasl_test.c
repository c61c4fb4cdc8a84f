/* The server's side of SASL, step by step; SCRAM against the vectors of RFC 7677 and against a client written here. */
#include "auth/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char nonce[SASL_NONCE_BYTES + 1] = "ABCDEFGHIJKLMNOPQRSTUVWX";

#define BYTES(lit) span_of(lit, sizeof(lit) - 1)

static void plain_rows(void **state)
{
	static const struct {
		struct span message;
		enum sasl_state want;
		const char *name, *authorize, *password;
	} rows[] = {
		{{(const unsigned char *)"\0anna\0secret", 12},
		 SASL_PASSWORD,
		 "anna",
		 "",
		 "secret"},
		{{(const unsigned char *)"anna\0anna\0s", 11}, SASL_PASSWORD, "anna", "anna", "s"},
		{{(const unsigned char *)"boss\0anna\0s", 11}, SASL_PASSWORD, "anna", "boss", "s"},
		{{(const unsigned char *)"", 0}, SASL_MALFORMED, NULL, NULL, NULL},
		{{(const unsigned char *)"\0anna", 5}, SASL_MALFORMED, NULL, NULL, NULL},
		{{(const unsigned char *)"\0\0secret", 8}, SASL_MALFORMED, NULL, NULL, NULL},
		{{(const unsigned char *)"\0anna\0a\0b", 9}, SASL_MALFORMED, NULL, NULL, NULL},
		{{(const unsigned char *)"\0anna\0", 6}, SASL_WRONG, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf challenge = {0};
		struct sasl s;

		assert_int_equal(
			sasl_start(&s, SASL_PLAIN, nonce, true, rows[i].message, &challenge),
			rows[i].want);
		if (rows[i].want == SASL_PASSWORD) {
			assert_string_equal(s.name, rows[i].name);
			assert_string_equal(s.authorize, rows[i].authorize);
			assert_true(
				span_eq(password_span(&s.password), span_str(rows[i].password)));
		}
		assert_int_equal(challenge.n, 0);
		sasl_fini(&s);
	}
}

static void plain_without_an_initial_response(void **state)
{
	struct buf challenge = {0};
	struct sasl s;

	(void)state;
	assert_int_equal(sasl_start(&s, SASL_PLAIN, nonce, false, SPAN_NONE, &challenge),
			 SASL_CHALLENGE);
	assert_int_equal(challenge.n, 0);
	assert_int_equal(sasl_more(&s, BYTES("\0a\0b"), &challenge), SASL_PASSWORD);
	sasl_fini(&s);
	assert_int_equal(s.password.n, 0); /* wiped */
}

static void login_asks_twice(void **state)
{
	struct buf challenge = {0};
	struct sasl s;

	(void)state;
	assert_int_equal(sasl_start(&s, SASL_LOGIN, nonce, false, SPAN_NONE, &challenge),
			 SASL_CHALLENGE);
	assert_string_equal(buf_cstr(&challenge), "Username:");
	buf_clear(&challenge);
	assert_int_equal(sasl_more(&s, SPAN_LIT("anna"), &challenge), SASL_CHALLENGE);
	assert_string_equal(buf_cstr(&challenge), "Password:");
	assert_int_equal(sasl_more(&s, SPAN_LIT("pw"), &challenge), SASL_PASSWORD);
	assert_string_equal(s.name, "anna");
	sasl_fini(&s);
	buf_clear(&challenge);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, nonce, true, SPAN_LIT("bert"), &challenge),
			 SASL_CHALLENGE);
	assert_string_equal(buf_cstr(&challenge), "Password:");
	sasl_fini(&s);
	assert_int_equal(sasl_start(&s, SASL_LOGIN, nonce, true, SPAN_NONE, &challenge),
			 SASL_MALFORMED);
	sasl_fini(&s);
	buf_fini(&challenge);
}

/* A6 */
static void too_much_is_malformed(void **state)
{
	static unsigned char big[LOGIN_SASL_LIMIT_BYTES + 1], name[LOGIN_NAME_LIMIT_BYTES + 8];
	struct buf challenge = {0};
	struct sasl s;

	(void)state;
	assert_int_equal(
		sasl_start(&s, SASL_PLAIN, nonce, true, span_of(big, sizeof big), &challenge),
		SASL_MALFORMED);
	sasl_fini(&s);
	memset(name, 'x', sizeof name);
	name[0] = name[sizeof name - 3] = 0;
	assert_int_equal(
		sasl_start(&s, SASL_PLAIN, nonce, true, span_of(name, sizeof name), &challenge),
		SASL_MALFORMED);
	sasl_fini(&s);
	memset(big, 'x', sizeof big);
	big[0] = big[2] = 0;
	assert_int_equal(sasl_start(&s, SASL_PLAIN, nonce, true,
				    span_of(big, LOGIN_SASL_LIMIT_BYTES), &challenge),
			 SASL_WRONG); /* a password of 4,000 bytes is nobody's */
	sasl_fini(&s);
}

/* RFC 7677 s3 */
static void scram_proof_of_the_rfc(void **state)
{
	static const char messages[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i="
		"4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	unsigned char salt[16], proof[32], want[32], signature[32];
	struct password w;
	struct scram_keys k;
	size_t n;

	(void)state;
	assert_true(password_prepare(SPAN_LIT("pencil"), &w));
	assert_true(secret_unbase64(SPAN_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt, &n));
	assert_true(secret_unbase64(SPAN_LIT("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), proof,
				    32, &n));
	assert_true(secret_unbase64(SPAN_LIT("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), want,
				    32, &n));
	scram_make(&w, salt, 4096, &k);
	assert_true(scram_verify(&k, span_str(messages), proof, signature));
	assert_memory_equal(signature, want, 32);
	proof[31] ^= 1;
	assert_false(scram_verify(&k, span_str(messages), proof, signature));
}

/* ---- a client, as RFC 5802 says it ---- */

static void client_proof(const char *password, const struct scram_keys *k, struct span messages,
			 unsigned char out[32])
{
	struct scram_keys mine;
	struct password w;
	unsigned char client[32], signature[32], salted[32], u[32], first[20];

	(void)mine;
	assert_true(password_prepare(span_str(password), &w));
	memcpy(first, k->salt, 16);
	memcpy(first + 16, "\0\0\0\1", 4);
	secret_hmac(password_span(&w), span_of(first, 20), u);
	memcpy(salted, u, 32);
	for (uint32_t i = 1; i < k->iterations; i++) {
		secret_hmac(password_span(&w), span_of(u, 32), u);
		for (int j = 0; j < 32; j++)
			salted[j] ^= u[j];
	}
	secret_hmac(span_of(salted, 32), SPAN_LIT("Client Key"), client);
	secret_sha256(span_of(client, 32), u);
	secret_hmac(span_of(u, 32), messages, signature);
	for (int j = 0; j < 32; j++)
		out[j] = client[j] ^ signature[j];
}

static enum sasl_state converse(const char *header, const char *header64, const char *bare,
				const char *password, const struct scram_keys *k, struct buf *final,
				struct sasl *s)
{
	struct buf server = {0}, last = {0}, all = {0}, first = {0};
	unsigned char proof[32];
	enum sasl_state state;
	struct span r;

	buf_printf(&first, "%s%s", header, bare);
	state = sasl_start(s, SASL_SCRAM, nonce, true, buf_span(&first), &server);
	if (state != SASL_KEYS)
		goto end;
	assert_int_equal(sasl_keys(s, k, &server), SASL_CHALLENGE);
	r = buf_span(&server);
	r = span_cut(&r, ',');
	buf_printf(&last, "c=%s,%.*s", header64, SPAN_FMT(r));
	buf_printf(&all, "%s,%.*s,%.*s", bare, SPAN_FMT(buf_span(&server)),
		   SPAN_FMT(buf_span(&last)));
	client_proof(password, k, buf_span(&all), proof);
	buf_append(&last, SPAN_LIT(",p="));
	secret_base64(&last, span_of(proof, 32));
	state = sasl_more(s, buf_span(&last), final);
end:
	buf_fini(&server);
	buf_fini(&last);
	buf_fini(&all);
	buf_fini(&first);
	return state;
}

static void scram_dialogues(void **state)
{
	static const struct {
		const char *header, *header64, *bare, *password;
		enum sasl_state want;
		const char *name, *authorize;
	} rows[] = {
		{"n,,", "biws", "n=anna,r=clientnonce", "pencil", SASL_PROVED, "anna", ""},
		{"y,,", "eSws", "n=anna,r=clientnonce", "pencil", SASL_PROVED, "anna", ""},
		{"n,a=boss,", "bixhPWJvc3Ms", "n=anna,r=x", "pencil", SASL_PROVED, "anna", "boss"},
		{"n,,", "biws", "n=a=2Cb=3D,r=x", "pencil", SASL_PROVED, "a,b=", ""},
		{"n,,", "biws", "n=anna,r=x,ext=1", "pencil", SASL_PROVED, "anna", ""},
		{"n,,", "biws", "n=anna,r=x", "Pencil", SASL_WRONG, NULL, NULL},
		{"n,,", "eSws", "n=anna,r=x", "pencil", SASL_MALFORMED, NULL,
		 NULL}, /* another header */
		{"p=tls-unique,,", "biws", "n=anna,r=x", "pencil", SASL_MALFORMED, NULL, NULL},
		{"n,,", "biws", "m=must,n=anna,r=x", "pencil", SASL_MALFORMED, NULL, NULL},
		{"n,,", "biws", "n=,r=x", "pencil", SASL_MALFORMED, NULL, NULL},
		{"n,,", "biws", "n=an=na,r=x", "pencil", SASL_MALFORMED, NULL, NULL},
		{"n,,", "biws", "n=anna,r=", "pencil", SASL_MALFORMED, NULL, NULL},
		{"n,,", "biws", "n=anna", "pencil", SASL_MALFORMED, NULL, NULL},
	};
	static const unsigned char salt[SCRAM_SALT_BYTES] = "0123456789abcde";
	struct scram_keys k;
	struct password w;

	(void)state;
	assert_true(password_prepare(SPAN_LIT("pencil"), &w));
	scram_make(&w, salt, 64, &k);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf final = {0};
		struct sasl s;

		assert_int_equal(converse(rows[i].header, rows[i].header64, rows[i].bare,
					  rows[i].password, &k, &final, &s),
				 rows[i].want);
		if (rows[i].want == SASL_PROVED) {
			assert_string_equal(s.name, rows[i].name);
			assert_string_equal(s.authorize, rows[i].authorize);
			assert_true(span_starts(buf_span(&final), SPAN_LIT("v=")));
		}
		buf_fini(&final);
		sasl_fini(&s);
	}
}

/* H-17: an unknown name has a salt of its own, always the same, and no proof fits. */
static void names_without_keys_look_like_others(void **state)
{
	struct scram_keys a, b, c;
	struct buf final = {0};
	struct sasl s;

	(void)state;
	scram_pretend(SPAN_LIT("key"), SPAN_LIT("anna"), &a);
	scram_pretend(SPAN_LIT("key"), SPAN_LIT("anna"), &b);
	scram_pretend(SPAN_LIT("key"), SPAN_LIT("bert"), &c);
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(a.salt, c.salt, sizeof a.salt);
	a.iterations = 64;
	assert_int_equal(converse("n,,", "biws", "n=anna,r=x", "anything", &a, &final, &s),
			 SASL_WRONG);
	sasl_fini(&s);
	buf_fini(&final);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_rows),
		cmocka_unit_test(plain_without_an_initial_response),
		cmocka_unit_test(login_asks_twice),
		cmocka_unit_test(too_much_is_malformed),
		cmocka_unit_test(scram_proof_of_the_rfc),
		cmocka_unit_test(scram_dialogues),
		cmocka_unit_test(names_without_keys_look_like_others),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
