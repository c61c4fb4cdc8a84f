/* The screen of `holdfast status`, as a tired administrator sees it at 80 columns. */
#include "cli/status.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ipc/msg.h"

#define S 1000000ull

/* A fixed moment, far from midnight in every time zone that matters: only ages are shown. */
#define NOW (1795299503ull * S)

static char *shown(struct report_status *s, unsigned width)
{
	struct cli c = {.term = {.width = width}};
	static char copy[8192];
	struct buf out = {0};

	status_print(&c, s, &out);
	(void)snprintf(copy, sizeof copy, "%s", buf_cstr(&out));
	buf_fini(&out);
	for (char *line = copy; *line; line += strcspn(line, "\n") + 1)
		assert_true(term_columns(span_first(span_str(line), strcspn(line, "\n"))) <= width);
	return copy;
}

static struct report_site site(const char *name, const char *state)
{
	return (struct report_site){.name = name,
				    .state = state,
				    .reason = "",
				    .stopped = "",
				    .receipt = "",
				    .since_us = NOW - 7860 * S,
				    .is_counted = true};
}

static void all_is_well(void **state)
{
	static const struct msg_listen open[] = {
		{SPAN_LIT("smtp"), SPAN_LIT("0.0.0.0:25")},
		{SPAN_LIT("smtp"), SPAN_LIT("[::]:25")},
		{SPAN_LIT("smtp"), SPAN_LIT("[::]:2525")},
		{SPAN_LIT("imaps"), SPAN_LIT("0.0.0.0:993")},
	};
	struct report_site one = site("head-office", "up");
	struct report_status s = {.now_us = NOW,
				  .listeners = open,
				  .listeners_n = 4,
				  .has_people = true,
				  .people = 4,
				  .can_log_in = 4,
				  .sites = &one,
				  .sites_n = 1,
				  .has_views = true,
				  .has_lag = true,
				  .has_disk = true,
				  .free_bytes = 41ull << 30,
				  .reserve_bytes = 512 << 20};

	(void)state;
	assert_string_equal(shown(&s, 80),
			    "head-office is up; nothing is held.\n"
			    "\n"
			    "SITE        STATE      SINCE          HELD       SIZE   OLDEST\n"
			    "head-office up         2h 11m            0        0 B        -\n"
			    "\n"
			    "Disk     41.0 GiB free; new mail would be refused below 512 MiB\n"
			    "Views    up to date\n"
			    "Open     smtp 25 and 2525, imaps 993\n"
			    "People   4 of 4 could log in today (100 %)\n"
			    "Decide   0 need a decision\n");
}

static void an_outage_and_a_drain_with_its_forecast(void **state)
{
	struct report_site two[] = {site("head-office", "down"), site("branch", "up")};
	json_t *live = json_pack("{s:[{s:s, s:s, s:i, s:s}, {s:s, s:s}]}", "roles", "name", "scout",
				 "state", "waiting", "restarts", 3, "last_words", "must failed",
				 "name", "edge-0", "state", "running");
	struct report_status s = {.now_us = NOW,
				  .sites = two,
				  .sites_n = 2,
				  .live = live,
				  .has_views = true,
				  .has_lag = true,
				  .lag_records = 312,
				  .held = 6544,
				  .decide = 3,
				  .has_disk = true,
				  .free_bytes = 100 << 20,
				  .reserve_bytes = 512 << 20};

	(void)state;
	two[0].reason = "3 failed probes in a row: mail.example.com:25 at connect: "
			"Connection refused";
	two[0].held = 4812;
	two[0].held_bytes = 325058560;
	two[0].oldest_us = NOW - 7800 * S;
	two[1].held = 1732;
	two[1].held_bytes = 1 << 20;
	two[1].oldest_us = NOW - 3 * 86400 * S;
	two[1].has_drain = two[1].drain_is_open = true;
	two[1].drain_back = 3080;
	two[1].drain_total = 4812;
	two[1].per_second = 41;
	two[1].remaining_us = 42 * S;
	assert_string_equal(
		shown(&s, 80),
		"1 of 2 sites does not take mail; 6,544 deliveries are held.\n"
		"\n"
		"SITE        STATE      SINCE          HELD       SIZE   OLDEST\n"
		"head-office down       2h 11m        4,812    310 MiB   2h 10m\n"
		"  3 failed probes in a row: mail.example.com:25 at connect: Connection refused\n"
		"branch      up         2h 11m        1,732    1.0 MiB    3d 0h\n"
		"  [############--------] 3,080 of 4,812 handed back, 41/s, 42s to go\n"
		"\n"
		"Disk     100 MiB free, below the reserve of 512 MiB: new mail is refused for now\n"
		"         (452), the rest goes on\n"
		"Views    312 records behind; counts above are that old\n"
		"Roles    1 of 2 running\n"
		"         scout is waiting to be started again, restarted 3 times; last words:\n"
		"         must failed\n"
		"Decide   3 deliveries need a decision: holdfast queue list --match "
		"state=decide\n");
	/* Narrow and wide: nothing stands over the edge. */
	(void)shown(&s, 60);
	(void)shown(&s, 200);
	json_decref((json_t *)(uintptr_t)s.live);
}

static void what_is_missing_is_said(void **state)
{
	struct report_site one =
		site("a-site-with-a-name-that-is-much-longer-than-its-column", "unknown");
	struct report_status s = {.now_us = NOW,
				  .sites = &one,
				  .sites_n = 1,
				  .missing = {"live state: Holdfast is not running here"},
				  .missing_n = 1};
	const char *text = shown(&s, 80);
	json_t *o = report_status_json(&s);

	(void)state;
	assert_non_null(strstr(text, "It is not known whether a-site-with"));
	assert_non_null(strstr(text, "what is held cannot be seen now"));
	assert_non_null(strstr(text, "\nMissing  live state: Holdfast is not running here\n"));
	assert_null(strstr(text, "0 need a decision"));
	assert_false(json_is_true(json_object_get(o, "ok")));
	assert_true(json_is_null(json_object_get(o, "held")));
	json_decref(o);
}

/* Whether people are told to work here, whether somebody has to say so, and orders with their end. */
static void continuity_is_shown(void **state)
{
	struct span domain = SPAN_LIT("example.com");
	struct report_site one = site("hq", "down");
	struct report_status s = {.now_us = NOW, .sites = &one, .sites_n = 1, .has_views = true};
	json_t *live = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "continuity_overrides", "target",
				 "example.com", "mode", "off", "by", "operator root (uid 0)",
				 "reason", "not these");
	json_t *asks = json_pack("{s:{s:s, s:s}}", "continuity", "state", "asks", "mode", "auto");
	json_t *on = json_pack("{s:{s:s, s:s, s:s, s:s}}", "continuity", "state", "on", "mode",
			       "on", "by", "operator root (uid 0)", "reason", "a drill");
	json_t *blocked = json_pack("{s:{s:s, s:s, s:b}}", "continuity", "state", "off", "mode",
				    "auto", "blocked", 1);
	const char *text;

	(void)state;
	s.live = live;
	one.domains = &domain;
	one.domains_n = 1;
	one.live = asks;
	assert_non_null(
		strstr(shown(&s, 80), "shall people work here? `holdfast continuity hq on`"));
	one.live = on;
	text = shown(&s, 200);
	assert_non_null(strstr(text, "people are told to work here\n"));
	assert_non_null(strstr(text, "continuity on for hq by operator root (uid 0): a drill; "
				     "`holdfast continuity hq auto` ends it"));
	assert_non_null(
		strstr(text, "continuity off for example.com by operator root (uid 0): not these"));
	one.live = blocked;
	assert_non_null(strstr(shown(&s, 200), "our own network seems to be down"));
	json_decref(asks);
	json_decref(on);
	json_decref(blocked);
	json_decref(live);
}

/* The share of people who could log in today; "not known" when auth is away, and nothing where nobody can. */
static void the_share_of_people_is_shown(void **state)
{
	static struct msg_listen smtp = {.service = SPAN_LIT("smtp"),
					 .address = SPAN_LIT("[::]:25")};
	static struct msg_listen imaps = {.service = SPAN_LIT("imaps"),
					  .address = SPAN_LIT("[::]:993")};
	struct report_status s = {.now_us = NOW, .listeners = &smtp, .listeners_n = 1};
	json_t *o;

	(void)state;
	assert_null(strstr(shown(&s, 80), "People"));
	s.listeners = &imaps;
	assert_non_null(strstr(shown(&s, 80), "People   how many could log in is not known"));
	o = report_status_json(&s);
	assert_true(json_is_null(json_object_get(o, "people")));
	json_decref(o);
	s.has_people = true;
	assert_non_null(strstr(shown(&s, 80), "People   no accounts yet"));
	s.people = 1200;
	s.can_log_in = 900;
	s.invited = 7;
	assert_non_null(strstr(shown(&s, 80),
			       "People   900 of 1,200 could log in today (75 %), 7 invited\n"));
	o = report_status_json(&s);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(o, "people"), "can_log_in")),
		900);
	json_decref(o);
}

/* The words of a primary come from outside. */
static void a_primary_cannot_write_on_the_terminal(void **state)
{
	struct report_site one = site("s", "down");
	struct report_status s = {.now_us = NOW, .sites = &one, .sites_n = 1, .has_views = true};

	(void)state;
	one.reason = "550 \033[2J\033]0;owned\007 go away";
	assert_null(strchr(shown(&s, 80), '\033'));
	assert_null(strchr(shown(&s, 80), '\007'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(an_outage_and_a_drain_with_its_forecast),
		cmocka_unit_test(what_is_missing_is_said),
		cmocka_unit_test(continuity_is_shown),
		cmocka_unit_test(the_share_of_people_is_shown),
		cmocka_unit_test(a_primary_cannot_write_on_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
