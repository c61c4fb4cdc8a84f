/* The table of sessions and the lines of its file: A15 to A18. */
#include "auth/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define ANNA   "anna@ours.example"

static const struct session_limits limits = {
	.idle_us = {[SESSION_PORTAL] = 800 * SECOND, [SESSION_ADMIN] = 80 * SECOND},
	.most_us = {[SESSION_PORTAL] = 8000 * SECOND, [SESSION_ADMIN] = 800 * SECOND},
};

static struct session *open_named(struct sessions *s, const char *account, unsigned n, uint64_t now)
{
	struct session_new new_one = {.use = n % 2 ? SESSION_ADMIN : SESSION_PORTAL,
				      .seal = 7 + n,
				      .now_us = now,
				      .account = span_str(account),
				      .source = SPAN_LIT("2001:db8::1"),
				      .agent = SPAN_LIT("A \"b\" %20\n\x7f \xc3\xa4")};

	secret_sha256(span_of(&n, sizeof n), new_one.hash);
	return sessions_open(s, &new_one);
}

static struct session *find_n(const struct sessions *s, unsigned n)
{
	unsigned char hash[SECRET_HASH_BYTES];

	secret_sha256(span_of(&n, sizeof n), hash);
	return sessions_find(s, hash);
}

static void a_secret_is_43_characters(void **state)
{
	unsigned char random[SESSION_RANDOM_BYTES], hash[SECRET_HASH_BYTES];
	char text[SESSION_TEXT_BYTES + 1];

	(void)state;
	memset(random, 0xff, sizeof random);
	session_secret(random, text);
	assert_string_equal(text, "__________________________________________8");
	session_hash(span_str(text), hash);
	secret_sha256(span_str(text), random);
	assert_memory_equal(hash, random, sizeof hash);
}

static void the_unused_and_the_old_end(void **state)
{
	struct sessions s;
	struct session *x;

	(void)state;
	sessions_init(&s, 0);
	x = open_named(&s, ANNA, 0, 1000 * SECOND);
	assert_int_equal(session_until(x, &limits), 1800 * SECOND);
	assert_false(session_is_over(x, &limits, 1800 * SECOND - 1));
	assert_true(session_is_over(x, &limits, 1800 * SECOND));
	/* The file hears of it when an eighth of the idle time has gone by. */
	assert_false(session_used(&s, x, &limits, 1099 * SECOND, SPAN_LIT("192.0.2.1")));
	assert_true(session_used(&s, x, &limits, 1100 * SECOND, SPAN_LIT("192.0.2.1")));
	assert_string_equal(x->source, "192.0.2.1");
	assert_int_equal(session_until(x, &limits), 1900 * SECOND);
	/* A clock that went back takes nothing away, and gives nothing. */
	(void)session_used(&s, x, &limits, 500 * SECOND, SPAN_LIT("192.0.2.1"));
	assert_int_equal(session_until(x, &limits), 1900 * SECOND);
	for (uint64_t now = 1100; now < 9000; now += 100)
		(void)session_used(&s, x, &limits, now * SECOND, SPAN_LIT("192.0.2.1"));
	assert_int_equal(session_until(x, &limits), 9000 * SECOND); /* whatever it is used */
	x->used_us = UINT64_MAX;
	x->made_us = UINT64_MAX - 1;
	assert_int_equal(session_until(x, &limits), UINT64_MAX);
	sessions_fini(&s);
}

static void the_longest_unused_makes_room(void **state)
{
	struct sessions s;
	char account[64];

	(void)state;
	sessions_init(&s, 100);
	for (unsigned i = 0; i < SESSIONS_OF_ACCOUNT; i++) {
		assert_null(sessions_surplus(&s, SPAN_LIT(ANNA)));
		(void)open_named(&s, ANNA, i, (1000 - i) * SECOND);
	}
	assert_ptr_equal(sessions_surplus(&s, SPAN_LIT(ANNA)), find_n(&s, SESSIONS_OF_ACCOUNT - 1));
	assert_null(sessions_surplus(&s, SPAN_LIT("bert@ours.example")));
	for (unsigned i = SESSIONS_OF_ACCOUNT; i < 100; i++) {
		(void)snprintf(account, sizeof account, "user%u@ours.example", i);
		(void)open_named(&s, account, i, 2000 * SECOND);
	}
	(void)session_used(&s, find_n(&s, 0), &limits, 3000 * SECOND, SPAN_NONE);
	assert_ptr_equal(sessions_surplus(&s, SPAN_LIT("new@ours.example")), find_n(&s, 1));
	sessions_end(&s, find_n(&s, 1));
	assert_null(sessions_surplus(&s, SPAN_LIT("new@ours.example")));
	sessions_fini(&s);
}

static void those_of_an_account(void **state)
{
	const struct session *x = NULL;
	struct sessions s;
	unsigned n = 0;

	(void)state;
	sessions_init(&s, 0);
	for (unsigned i = 0; i < 6; i++)
		(void)open_named(&s, i % 2 ? ANNA : "bert@ours.example", i, SECOND);
	while ((x = sessions_of(&s, SPAN_LIT(ANNA), x)) != NULL) {
		assert_true(span_eq(session_account(x), SPAN_LIT(ANNA)));
		n++;
	}
	assert_int_equal(n, 3);
	assert_null(sessions_of(&s, SPAN_LIT("carl@ours.example"), NULL));
	sessions_end(&s, find_n(&s, 1));
	sessions_end(&s, find_n(&s, 3));
	sessions_end(&s, find_n(&s, 5));
	assert_null(sessions_of(&s, SPAN_LIT(ANNA), NULL));
	assert_int_equal(s.by_account.n, 1);
	sessions_fini(&s);
}

/* ---- the file ---- */

static void a_file_brings_them_back(void **state)
{
	struct buf file = {0}, again = {0};
	struct sessions s, t;
	struct session *x;

	(void)state;
	sessions_init(&s, 0);
	for (unsigned i = 0; i < 4; i++)
		session_put_open(&file, open_named(&s, i < 2 ? ANNA : "b c%@ours.example", i,
						   (1000 + i) * SECOND));
	(void)session_used(&s, find_n(&s, 0), &limits, 1500 * SECOND, SPAN_LIT("192.0.2.9"));
	session_put_used(&file, find_n(&s, 0));
	session_put_end(&file, find_n(&s, 2));
	sessions_end(&s, find_n(&s, 2));
	sessions_init(&t, 0);
	sessions_read(&t, buf_span(&file));
	assert_int_equal(t.damaged, 0);
	assert_int_equal(t.by_hash.n, 3);
	assert_null(find_n(&t, 2));
	x = find_n(&t, 0);
	assert_true(x && x->used_us == 1500 * SECOND && x->made_us == 1000 * SECOND &&
		    x->seal == 7);
	assert_string_equal(x->source, "192.0.2.9");
	assert_string_equal(x->agent, "A \"b\" %20   \xc3\xa4");
	x = find_n(&t, 3);
	assert_true(x && x->use == SESSION_ADMIN &&
		    span_eq(session_account(x), SPAN_LIT("b c%@ours.example")));
	sessions_write(&s, &again);
	buf_clear(&file);
	sessions_write(&t, &file);
	assert_true(span_eq(buf_span(&file), buf_span(&again))); /* and in the same order */
	buf_fini(&file);
	buf_fini(&again);
	sessions_fini(&s);
	sessions_fini(&t);
}

/* Cut or bent anywhere: what is left are whole lines; nobody becomes somebody else. */
static void what_is_not_whole_is_left_out(void **state)
{
	struct buf file = {0}, bent = {0};
	struct sessions s, t;

	(void)state;
	sessions_init(&s, 0);
	for (unsigned i = 0; i < 3; i++)
		session_put_open(&file, open_named(&s, ANNA, i, SECOND));
	for (size_t at = 0; at < file.n; at++) {
		sessions_init(&t, 0);
		sessions_read(&t, span_first(buf_span(&file), at));
		assert_in_range(t.by_hash.n, 0, at == file.n - 1 ? 3 : 2);
		sessions_fini(&t);
		buf_clear(&bent);
		buf_append(&bent, buf_span(&file));
		bent.p[at] ^= 0x01;
		sessions_init(&t, 0);
		sessions_read(&t, buf_span(&bent));
		assert_true(t.damaged > 0);
		assert_in_range(t.by_hash.n, 1, 2);
		sessions_fini(&t);
	}
	buf_fini(&file);
	buf_fini(&bent);
	sessions_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_43_characters),
		cmocka_unit_test(the_unused_and_the_old_end),
		cmocka_unit_test(the_longest_unused_makes_room),
		cmocka_unit_test(those_of_an_account),
		cmocka_unit_test(a_file_brings_them_back),
		cmocka_unit_test(what_is_not_whole_is_left_out),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
