/* A11 to A14 on a clock of our own. */
#include "auth/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define S  UINT64_C(1000000)
#define T0 (UINT64_C(1795310015) * S)

static uint64_t now_us;
static unsigned next_tag;

static struct throttle_try of(const char *account, const char *source)
{
	struct throttle_try who = {.account = span_str(account), .source = span_str(source)};

	next_tag++;
	memcpy(who.tag, &next_tag, sizeof next_tag);
	return who;
}

static enum throttle_says ask(struct throttle *t, const struct throttle_try *who)
{
	bool good;

	return throttle_ask(t, now_us, who, &good);
}

/* A wrong password; false: it was not looked at. */
static bool guess(struct throttle *t, const char *account, const char *source)
{
	struct throttle_try who = of(account, source);
	enum throttle_says says = ask(t, &who);

	if (says == THROTTLE_CODES_ONLY)
		throttle_undecided(t, now_us, &who);
	if (says != THROTTLE_GO)
		return false;
	(void)throttle_failed(t, now_us, &who);
	return true;
}

static bool log_in(struct throttle *t, const char *account, const char *source)
{
	struct throttle_try who = of(account, source);

	if (ask(t, &who) != THROTTLE_GO)
		return false;
	throttle_passed(t, now_us, &who);
	return true;
}

static int setup(void **state)
{
	now_us = T0;
	*state = throttle_new(0);
	return 0;
}

static int teardown(void **state)
{
	throttle_free(*state);
	return 0;
}

/* H-16: one account, a thousand sources, as fast as they can for a day. */
static void at_most_a_hundred_guesses_a_day_at_one_account(void **state)
{
	struct throttle *t = *state;
	unsigned looked_at = 0;
	char source[32];

	assert_true(log_in(t, "anna@example.com", "192.0.2.1"));
	for (unsigned i = 0; i < 86000; i++) {
		(void)snprintf(source, sizeof source, "10.%u.%u.%u", i % 4, i % 250, i % 7);
		now_us += S;
		looked_at += guess(t, "anna@example.com", source);
	}
	assert_in_range(looked_at, 20, THROTTLE_DAY_LIMIT);
	assert_true(log_in(t, "anna@example.com", "192.0.2.1")); /* A12 */
	assert_true(log_in(t, "anna@example.com", "192.0.2.1"));
	/* Her login gave the others nothing. */
	assert_false(guess(t, "anna@example.com", "10.9.9.9") &&
		     guess(t, "anna@example.com", "10.9.9.8") &&
		     guess(t, "anna@example.com", "10.9.9.7"));
}

/* H-16: a thousand accounts, one source. */
static void one_source_is_slowed(void **state)
{
	struct throttle *t = *state;
	unsigned looked_at = 0;
	char account[64];

	assert_true(log_in(t, "known@example.com", "192.0.2.9"));
	for (unsigned i = 0; i < 3600; i++) {
		(void)snprintf(account, sizeof account, "user%u@example.com", i % 1000);
		now_us += S;
		looked_at += guess(t, account, "192.0.2.9");
	}
	assert_in_range(looked_at, 30, 50);
	/* Somebody who works behind the same address is not slowed. */
	assert_true(log_in(t, "known@example.com", "192.0.2.9"));
}

/* I-15: 1,000 wrong logins at each of ten people, and the right password from where they are known. */
static void owners_get_in_while_others_guess(void **state)
{
	struct throttle *t = *state;
	char account[64];

	for (unsigned u = 0; u < 10; u++) {
		(void)snprintf(account, sizeof account, "user%u@example.com", u);
		assert_true(log_in(t, account, "192.0.2.50"));
		for (unsigned i = 0; i < 1000; i++)
			(void)guess(t, account, i % 2 ? "203.0.113.7" : "2001:db8:1:2::3");
		assert_true(log_in(t, account, "192.0.2.50"));
	}
}

/* A11: pauses double, and time heals. */
static void pauses_double(void **state)
{
	struct throttle *t = *state;
	uint64_t waited = 0, first = 0;

	for (unsigned i = 0; i < 5; i++)
		assert_true(guess(t, "anna@example.com", "10.0.0.1"));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t from = now_us;

		while (!guess(t, "anna@example.com", "10.0.0.1"))
			now_us += S / 10;
		first = i == 0 ? now_us - from : first;
		waited = now_us - from;
	}
	assert_true(first >= S && waited >= 4 * first);
	now_us += 86400 * S;
	for (unsigned i = 0; i < 5; i++)
		assert_true(guess(t, "anna@example.com", "10.0.0.1"));
}

/* A13 */
static void tries_at_once_are_counted_at_once(void **state)
{
	struct throttle *t = *state;
	struct throttle_try who[200];
	unsigned going = 0;

	for (unsigned i = 0; i < 200; i++) {
		char source[32];

		(void)snprintf(source, sizeof source, "10.0.%u.1", i);
		who[i] = of("anna@example.com", "");
		who[i].source = span_str(strdup(source));
		going += ask(t, &who[i]) == THROTTLE_GO;
	}
	assert_int_equal(going, 16);
	for (unsigned i = 0; i < 200; i++) {
		throttle_undecided(t, now_us, &who[i]);
		free((void *)(uintptr_t)who[i].source.p);
	}
	assert_int_equal(throttle_failures(t, SPAN_LIT("anna@example.com")), 0);
}

static void a_forgotten_phone_counts_once(void **state)
{
	struct throttle *t = *state;
	struct throttle_try who = of("anna@example.com", "192.0.2.77");

	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(ask(t, &who), THROTTLE_GO);
		(void)throttle_failed(t, now_us, &who);
		now_us += S;
	}
	assert_int_equal(throttle_failures(t, SPAN_LIT("anna@example.com")), 1);
	assert_true(log_in(t, "anna@example.com", "192.0.2.77"));
}

static void an_app_password_opens_a_throttled_account(void **state)
{
	struct throttle *t = *state;
	struct throttle_try who = of("anna@example.com", "198.51.100.5");
	char source[32];

	for (unsigned i = 0; i < 60; i++) {
		(void)snprintf(source, sizeof source, "10.1.%u.1", i);
		(void)guess(t, "anna@example.com", source);
	}
	assert_int_equal(ask(t, &who), THROTTLE_CODES_ONLY);
	throttle_passed(t, now_us, &who);
	assert_true(log_in(t, "anna@example.com", "198.51.100.5")); /* known there from now on */
}

static void sources_are_networks(void **state)
{
	struct throttle *t = *state;

	assert_true(log_in(t, "anna@example.com", "2001:db8:1:2:3:4:5:6"));
	assert_true(log_in(t, "bert@example.com", "::ffff:192.0.2.4"));
	{
		struct throttle_try near = of("anna@example.com", "2001:db8:1:2:ffff::1");
		struct throttle_try far = of("anna@example.com", "2001:db8:1:3::1");
		struct throttle_try v4 = of("bert@example.com", "192.0.2.4");
		bool good;

		assert_int_equal(throttle_ask(t, now_us, &near, &good), THROTTLE_GO);
		assert_true(good);
		assert_int_equal(throttle_ask(t, now_us, &far, &good), THROTTLE_GO);
		assert_false(good);
		assert_int_equal(throttle_ask(t, now_us, &v4, &good), THROTTLE_GO);
		assert_true(good);
	}
}

static void counts_survive_a_restart(void **state)
{
	struct throttle *t = *state, *next = throttle_new(0);
	struct buf file = {0};
	char source[32];

	assert_true(log_in(t, "anna@example.com", "192.0.2.1"));
	for (unsigned i = 0; i < 86000; i += 100) {
		(void)snprintf(source, sizeof source, "10.2.%u.%u", i % 250, i % 7);
		now_us += 100 * S;
		(void)guess(t, "anna@example.com", source);
	}
	assert_true(throttle_is_dirty(t));
	throttle_save(t, &file);
	assert_false(throttle_is_dirty(t));
	assert_int_equal(throttle_load(next, buf_span(&file)), 0);
	assert_int_equal(throttle_failures(next, SPAN_LIT("anna@example.com")),
			 throttle_failures(t, SPAN_LIT("anna@example.com")));
	assert_false(guess(next, "anna@example.com", "10.250.0.1"));
	assert_true(log_in(next, "anna@example.com", "192.0.2.1"));
	throttle_free(next);
	buf_fini(&file);
}

/* A name with a line end does not become a line of the file. */
static void a_name_cannot_write_into_the_file(void **state)
{
	struct throttle *t = *state, *next = throttle_new(0);
	struct buf file = {0};
	struct throttle_try victim = of("anna@example.com", "203.0.113.66");
	bool good = true;

	(void)guess(t, "x\ng 0 1795310015000000 0 203.0.113.66|anna@example.com", "203.0.113.66");
	throttle_save(t, &file);
	assert_int_equal(throttle_load(next, buf_span(&file)), 0);
	(void)throttle_ask(next, now_us, &victim, &good);
	assert_false(good);
	assert_int_equal(throttle_load(next, SPAN_LIT("x 1 1 1 k\ng\na b c d e\n\np 1 1 1 \n")), 4);
	assert_int_equal(throttle_load(next, span_of("a 1 1 1 \0x\n", 11)), 1); /* found by fuzzing */
	throttle_free(next);
	buf_fini(&file);
}

/* A14 */
static void memory_ends_and_the_known_stay(void **state)
{
	struct throttle *small = throttle_new(100);
	struct buf file = {0};
	char account[64];
	unsigned lines = 0;

	(void)state;
	assert_true(log_in(small, "anna@example.com", "192.0.2.1"));
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(account, sizeof account, "n%u@example.com", i);
		now_us += 20 * 60 * S;
		(void)guess(small, account, "203.0.113.9");
	}
	throttle_save(small, &file);
	for (size_t i = 0; i < file.n; i++)
		lines += file.p[i] == '\n';
	assert_in_range(lines, 100, 301);
	{
		struct throttle_try who = of("anna@example.com", "192.0.2.1");
		bool good = false;

		assert_int_equal(throttle_ask(small, now_us, &who, &good), THROTTLE_GO);
		assert_true(good);
	}
	throttle_free(small);
	buf_fini(&file);
}

static void an_operator_can_forget(void **state)
{
	struct throttle *t = *state;
	char source[32];

	for (unsigned i = 0; i < 60; i++) {
		(void)snprintf(source, sizeof source, "10.3.%u.1", i);
		(void)guess(t, "anna@example.com", source);
	}
	assert_false(guess(t, "anna@example.com", "198.51.100.7"));
	throttle_forget(t, SPAN_LIT("anna@example.com"), false);
	assert_true(log_in(t, "anna@example.com", "198.51.100.7"));
}

int main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(at_most_a_hundred_guesses_a_day_at_one_account),
		ROW(one_source_is_slowed),
		ROW(owners_get_in_while_others_guess),
		ROW(pauses_double),
		ROW(tries_at_once_are_counted_at_once),
		ROW(a_forgotten_phone_counts_once),
		ROW(an_app_password_opens_a_throttled_account),
		ROW(sources_are_networks),
		ROW(counts_survive_a_restart),
		ROW(a_name_cannot_write_into_the_file),
		ROW(memory_ends_and_the_known_stay),
		ROW(an_operator_can_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
