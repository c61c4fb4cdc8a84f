/* When mail to the world counts as waiting. */
#include "views/outside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { S = 1000000 };
static const uint64_t now_us = 1000000ull * 100000;

struct row {
	const char *name;
	uint64_t ready, offered, deferred, age_s;
};

static bool waits(bool has_smarthost, const struct row *rows, size_t n)
{
	struct outside o = {.has_smarthost = has_smarthost};

	for (size_t i = 0; i < n; i++) {
		struct views_site s = {.name = span_str(rows[i].name),
				       .ready = rows[i].ready,
				       .offered = rows[i].offered,
				       .deferred = rows[i].deferred,
				       .oldest_us = now_us - rows[i].age_s * S,
				       .is_redirect = true};

		outside_add(&o, &s, now_us);
	}
	return outside_waits(&o);
}

static void nothing_or_fresh_mail_goes_at_once(void **state)
{
	const struct row fresh[] = {{"world:a.example", 1, 0, 0, 2},
				    {"world:b.example", 0, 1, 0, 299}};

	(void)state;
	assert_false(waits(false, NULL, 0));
	assert_false(waits(true, NULL, 0));
	assert_false(waits(true, fresh, 2));
}

static void single_hosts_that_are_away_are_not_the_world(void **state)
{
	const struct row away[] = {{"world:a.example", 0, 0, 4, 90000},
				   {"world:b.example", 0, 0, 1, 60},
				   {"world:c.example", 0, 0, 1, 20}};

	(void)state;
	assert_false(waits(false, away, 2));
	assert_true(waits(false, away, 3));
}

static void all_go_by_the_smarthost(void **state)
{
	const struct row late[] = {{"world:a.example", 1, 0, 0, 301}},
			 tried[] = {{"world:a.example", 0, 0, 1, 5}};

	(void)state;
	assert_true(waits(true, late, 1));
	assert_true(waits(true, tried, 1));
	assert_false(waits(false, late, 1));
}

static void only_the_world_counts(void **state)
{
	const struct row ours[] = {
		{"hq", 9, 0, 9, 9000}, {"relay.example", 0, 0, 3, 9000}, {"world", 0, 0, 3, 9000}};

	(void)state;
	assert_false(waits(true, ours, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_or_fresh_mail_goes_at_once),
		cmocka_unit_test(single_hosts_that_are_away_are_not_the_world),
		cmocka_unit_test(all_go_by_the_smarthost),
		cmocka_unit_test(only_the_world_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
