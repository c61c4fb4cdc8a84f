/* DKIM: the vectors of RFC 6376 s3.4.5 and RFC 8463 appendix A, what is no signature (RFC 8301), and keys. */
#include "identity/dkim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/base64.h"

#define FIELDS                                                                                     \
	"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q "                             \
	"<suzie@shopping.example.net>\r\n"                                                         \
	"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"             \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

#define ED25519                                                                                    \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"                            \
	" d=football.example.com; i=@football.example.com;\r\n"                                    \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"                                  \
	" subject : date : message-id : from : subject : date;\r\n"                                \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                    \
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"                          \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RSA                                                                                        \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"                                \
	" d=football.example.com; i=@football.example.com;\r\n"                                    \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"                            \
	" date : message-id : from : subject : date;\r\n"                                          \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                    \
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"                          \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"                          \
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define ED25519_KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_KEY                                                                                    \
	"v=DKIM1; k=rsa; "                                                                         \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2"   \
	"jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/"                                           \
	"8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2Ee"                                 \
	"C3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

static enum dkim_result check(const char *signature, enum rc rc, const char *key, const char *body)
{
	struct buf header = {0};
	struct dkim_verify *v;
	enum dkim_result r;

	buf_printf(&header, "%s" FIELDS "\r\n", signature);
	v = dkim_verify_new(buf_span(&header), 1528637910);
	buf_fini(&header);
	if (dkim_verify_count(v) == 0) {
		dkim_verify_free(v);
		return DKIM_NONE;
	}
	dkim_verify_key(v, 0, rc, span_str(key));
	dkim_verify_body(v, span_str(body));
	dkim_verify_end(v);
	r = dkim_verify_result(v, 0);
	dkim_verify_free(v);
	return r;
}

static void vectors_of_rfc_8463(void **state)
{
	struct dkim_verify *v = dkim_verify_new(SPAN_LIT(ED25519 RSA FIELDS "\r\n"), 1528637910);

	(void)state;
	assert_int_equal(dkim_verify_count(v), 2);
	assert_string_equal(dkim_verify_question(v, 0), "brisbane._domainkey.football.example.com");
	assert_string_equal(dkim_verify_question(v, 1), "test._domainkey.football.example.com");
	dkim_verify_key(v, 0, OK, SPAN_LIT(ED25519_KEY));
	dkim_verify_key(v, 1, OK, SPAN_LIT(RSA_KEY));
	for (const char *p = BODY; *p; p++)
		dkim_verify_body(v, span_of(p, 1));
	dkim_verify_end(v);
	assert_int_equal(dkim_verify_result(v, 0), DKIM_PASS);
	assert_int_equal(dkim_verify_result(v, 1), DKIM_PASS);
	assert_true(span_eq(dkim_verify_domain(v, 0), SPAN_LIT("football.example.com")));
	dkim_verify_free(v);
}

static void what_is_wrong_is_told_apart(void **state)
{
	char text[2000];

	(void)state;
	assert_int_equal(check(ED25519, OK, ED25519_KEY, BODY), DKIM_PASS);
	assert_int_equal(check(ED25519, OK, ED25519_KEY, BODY "more\r\n"), DKIM_FAIL);
	assert_int_equal(check(ED25519, OK, RSA_KEY, BODY), DKIM_PERMERROR);
	assert_int_equal(check(ED25519, OK, "v=DKIM1; k=ed25519; p=", BODY), DKIM_PERMERROR);
	assert_int_equal(check(ED25519, OK, "v=DKIM2; k=ed25519; p=AA==", BODY), DKIM_PERMERROR);
	assert_int_equal(check(ED25519, REFUSED, "", BODY), DKIM_PERMERROR);
	assert_int_equal(check(ED25519, LATER, "", BODY), DKIM_TEMPERROR);
	assert_int_equal(check("", OK, ED25519_KEY, BODY), DKIM_NONE);
	assert_int_equal(check("DKIM-Signature: x\r\n", OK, ED25519_KEY, BODY), DKIM_PERMERROR);
	/* RFC 8301: sha1; from is not signed; expired; i= of another domain; d= twice */
	(void)snprintf(
		text, sizeof text,
		"DKIM-Signature: v=1; a=rsa-sha1; d=a.example; s=b; h=from; bh=AA==; b=AA==\r\n");
	assert_int_equal(check(text, OK, RSA_KEY, BODY), DKIM_PERMERROR);
	(void)snprintf(
		text, sizeof text,
		"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=b; h=to; bh=AA==; b=AA==\r\n");
	assert_int_equal(check(text, OK, RSA_KEY, BODY), DKIM_PERMERROR);
	(void)snprintf(text, sizeof text,
		       "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=b; x=1; h=from; bh=AA==; "
		       "b=AA==\r\n");
	assert_int_equal(check(text, OK, RSA_KEY, BODY), DKIM_PERMERROR);
	(void)snprintf(text, sizeof text,
		       "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; i=@xa.example; s=b; "
		       "h=from; bh=AA==; b=AA==\r\n");
	assert_int_equal(check(text, OK, RSA_KEY, BODY), DKIM_PERMERROR);
	(void)snprintf(text, sizeof text,
		       "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; d=b.example; s=b; h=from; "
		       "bh=AA==; b=AA==\r\n");
	assert_int_equal(check(text, OK, RSA_KEY, BODY), DKIM_PERMERROR);
}

static void expect_body(enum dkim_canon canon, const char *body, const char *base64)
{
	for (size_t step = 1; step <= 3; step++) {
		unsigned char hash[DKIM_HASH_BYTES];
		struct span rest = span_str(body);
		struct buf text = {0};
		struct dkim_body b;

		dkim_body_init(&b, canon);
		for (; rest.n; rest = span_from(rest, step))
			dkim_body_feed(&b, span_first(rest, step));
		dkim_body_end(&b, hash);
		base64_encode(&text, span_of(hash, sizeof hash));
		assert_string_equal(buf_cstr(&text), base64);
		buf_fini(&text);
	}
}

/* RFC 6376 s3.4.3 to s3.4.5 */
static void bodies_in_canonical_form(void **state)
{
	(void)state;
	expect_body(DKIM_SIMPLE, "", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
	expect_body(DKIM_RELAXED, "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	expect_body(DKIM_SIMPLE, "\r\n\r\n", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
	expect_body(DKIM_RELAXED, "\r\n \t\r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	expect_body(DKIM_RELAXED, BODY, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
	expect_body(
		DKIM_RELAXED,
		"Hi. \t\r\n\r\nWe lost\tthe game. \t Are you hungry yet?\r\n\r\nJoe.\r\n\r\n \r\n",
		"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
	expect_body(DKIM_RELAXED, "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.",
		    "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
}

static void selectors(void **state)
{
	(void)state;
	assert_true(dkim_selector_is_good(SPAN_LIT("s2026")));
	assert_true(dkim_selector_is_good(SPAN_LIT("a.b-c_d")));
	assert_false(dkim_selector_is_good(SPAN_LIT("")));
	assert_false(dkim_selector_is_good(SPAN_LIT("../x")));
	assert_false(dkim_selector_is_good(SPAN_LIT(".x")));
	assert_false(dkim_selector_is_good(SPAN_LIT("x.")));
	assert_false(dkim_selector_is_good(SPAN_LIT("x..y")));
	assert_false(dkim_selector_is_good(SPAN_LIT("a/b")));
	assert_false(dkim_selector_is_good(SPAN_LIT("a;b")));
}

static void a_message_without_from_is_not_signed(void **state)
{
	static const unsigned char body_hash[DKIM_HASH_BYTES];
	unsigned char hash[DKIM_HASH_BYTES];
	struct buf out = {0};
	struct fault why = {0};

	(void)state;
	assert_int_equal(dkim_sign_begin(&(struct dkim_sign){.domain = SPAN_LIT("a.example"),
							     .selector = SPAN_LIT("s"),
							     .header = SPAN_LIT("To: x\r\n\r\n"),
							     .body_hash = body_hash},
					 &out, hash, &why),
			 REFUSED);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_rfc_8463),
		cmocka_unit_test(what_is_wrong_is_told_apart),
		cmocka_unit_test(bodies_in_canonical_form),
		cmocka_unit_test(selectors),
		cmocka_unit_test(a_message_without_from_is_not_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
