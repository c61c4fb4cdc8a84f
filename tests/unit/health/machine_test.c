/*
 * The outage state machine, one named behaviour a row (see script.h for the words). Also catalogue N-03 (every
 * way a primary can be out), N-05 (a repaired primary that refuses everyone) and K-09 (no wall clock anywhere).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "health/script.h"

#define DOWN	  "good =up bad bad bad =down "
#define PROBATION DOWN "good good good =probation "

static const struct row {
	const char *name, *script;
} rows[] = {
	/* getting to know a site */
	{"new site is unknown", "=unknown"},
	{"first good probe is up", "good !site.state =up"},
	{"unknown needs `fail` failures to be down",
	 "bad bad =unknown bad !site.state =down class:tcp"},
	{"unknown forgets failures at a good probe", "bad bad good =up"},
	/* H1: hold */
	{"third failed probe in a row is down",
	 "good bad =suspect +5s bad =suspect +5s bad =down class:tcp"},
	{"suspect is recorded once", "good bad !site.state bad !none"},
	{"a good probe clears suspicion", "good bad bad good =up bad bad =suspect bad =down"},
	{"failed delivery asks for a probe at once", "good conn =up now"},
	{"failed delivery and failed probe are down at once", "good conn bad !site.state =down"},
	{"failed probe and failed delivery are down at once", "good bad =suspect conn =down"},
	{"failed delivery and good probe are not", "good conn good =up bad =suspect"},
	{"a good probe from before it contradicts no failed delivery",
	 "good +1s conn +1s old =up bad =down"},
	{"an old failed delivery is forgotten", "good conn +31s bad =suspect"},
	{"an accepted delivery clears a failed one", "good conn acc:1 bad =suspect"},
	{"a failed delivery while down asks nothing", DOWN "conn calm =down"},
	/* H2: back, by way of probation */
	{"three good probes begin probation", DOWN "good good =down good !site.state =probation"},
	{"a failure in between counts anew", DOWN "good good bad good good =down good =probation"},
	{"down never jumps to up", DOWN "good +900s =down"},
	/* H3: probation */
	{"nothing waiting: up when probes stay good",
	 PROBATION "+1s good +13s good waits:0 =probation +2s good =up"},
	{"nothing waiting but no probes: stays", PROBATION "+60s waits:0 =probation"},
	{"no answers come, but mail waits: stays",
	 PROBATION "acc:1 good good good waits:5 +60s good waits:5 =probation waits:0 =up"},
	{"no answers come, and the clerk is silent: stays",
	 PROBATION "acc:1 good good good +60s good =probation"},
	{"the clerk's word of before a silence is worth nothing",
	 PROBATION "good good good waits:0 +5s good acc:1 +60s good =probation"},
	{"the clerk's word of before probation is worth nothing",
	 DOWN "waits:0 good good good =probation"},
	{"111 accepted: up", PROBATION "acc:1 acc:10 =probation acc:100 =up"},
	{"few accepted and then quiet: up",
	 PROBATION "acc:3 good good good +14s waits:0 =probation +1s good =up"},
	{"one failed probe: down", PROBATION "acc:1 bad =down"},
	{"failed delivery, then failed probe: down", PROBATION "conn now =probation bad =down"},
	{"deliveries that come to nothing are not `nothing waiting`",
	 PROBATION "conn good good good +60s good waits:0 =probation acc:1 +15s waits:0 good =up"},
	{"only deliveries that come to nothing: stopped after 15 min",
	 PROBATION "conn good good good +899s good =probation +1s good =stopped"},
	{"failed delivery, probe good: goes on", PROBATION "conn good =probation"},
	{"refusals of unknown ones do not end it soon",
	 PROBATION "unk:3 good good good +60s good =probation"},
	{"refusals of unknown ones end it after 15 min",
	 PROBATION "unk:3 +899s good =probation +1s good =up"},
	{"greylisting in probation is waited for", PROBATION
	 "4xx:5 good good good +300s good waits:0 =probation acc:5 +15s waits:0 good =up"},
	{"a refused known-good one alone stops after 15 min",
	 PROBATION "ref:1 +899s good =probation +1s good =stopped"},
	{"refusals before a repair do not count against it", PROBATION
	 "ref:4 good good good +30s =probation acc:1 acc:10 acc:15 =probation +15s waits:0 =up"},
	{"but going on refusing does", PROBATION "ref:1 acc:1 ref:17 =probation ref:2 =stopped"},
	{"an operator lets a stopped drain go on",
	 PROBATION "ref:20 =stopped resume !site.state =probation"},
	{"resume means nothing to a site that is not stopped", DOWN "resume !none =down"},
	{"what an operator's word came after is forgotten on probation",
	 PROBATION "ref:19 resume =probation ref:19 =probation ref:1 =stopped"},
	{"and while up", "good ref:19 resume =up ref:19 =up ref:1 =stopped"},
	{"and by hold auto", PROBATION "ref:19 auto =probation ref:19 =probation ref:1 =stopped"},
	{"N-05 late answers to what was granted before a release do not stop the drain again",
	 PROBATION "ref:20 =stopped +1s resume =probation late:40 =probation acc:111 =up"},
	{"nor after the 15 min", PROBATION "ref:20 =stopped +900s =probation late:40 =probation"},
	{"1 refused among many: up", PROBATION "acc:110 ref:2 =probation acc:1 =up"},
	/* N-05: the valve */
	{"N-05 everyone refused on probation: stopped",
	 PROBATION "ref:10 =probation ref:10 =stopped !drain.stop"},
	{"N-05 everyone refused while up: stopped",
	 "good acc:10 ref:1 =up ref:9 =stopped !site.state"},
	{"five per cent is not too much", "good acc:95 ref:5 =up"},
	{"refusals of unknown ones do not close the valve", "good unk:500 =up"},
	{"the valve looks at ten minutes", "good acc:10 ref:1 +600s acc:100 ref:5 =up"},
	{"stopped is tried again after 15 min",
	 "good ref:20 =stopped good +899s =stopped +1s =probation"},
	{"then after 30, then 60 at most",
	 "good ref:20 =stopped +900s =probation ref:20 =stopped +1799s =stopped +1s "
	 "=probation ref:20 =stopped +3599s =stopped +1s =probation ref:20 +3599s =stopped +1s "
	 "=probation"},
	{"an operator ends it at once", "good ref:20 =stopped auto =probation"},
	{"stopped and then gone is down", "good ref:20 =stopped bad bad =stopped bad =down"},
	{"N-05 postmaster refused counts as failure", "good rcpt5 rcpt5 rcpt5 =down class:rcpt"},
	{"N-05 a primary back that refuses postmaster stays down",
	 DOWN "rcpt5 rcpt5 rcpt5 rcpt5 =down class:rcpt"},
	{"real mail outweighs the probe's recipient",
	 "good acc:1 rcpt5 rcpt5 rcpt5 =up +60s rcpt5 =suspect"},
	{"real mail does not outweigh a dead connection", "good acc:1 bad bad bad =down"},
	/* N-03: each way to be out */
	{"N-03 RST", "good bad bad bad =down class:tcp"},
	{"N-03 SYN drop", "good silent silent silent =down class:tcp"},
	{"N-03 accept and hang", "good hang hang hang =down class:greeting"},
	{"N-03 421", "good greet4 greet4 greet4 =down class:greeting"},
	{"N-03 4xx at RCPT", "good rcpt4 rcpt4 rcpt4 =down class:rcpt"},
	{"N-03 TLS fails", "good tls tls tls =down class:tls"},
	{"no DNS", "good dns dns dns =down class:dns"},
	{"N-03 mixed failures count together", "good bad tls hang =down class:greeting"},
	/* controls (H5) */
	{"controls failing do not prevent hold", "good ctl:0 bad bad bad =down"},
	/* H6: the operator */
	{"hold on is down", "good on:3600 !site.state =down ~up class:operator"},
	{"what is seen meanwhile is recorded as seen",
	 "good on:3600 bad !site.seen =down ~suspect"},
	{"hold on, then auto: through probation",
	 "good on:3600 auto !site.state =probation ~probation"},
	{"hold on while down, then auto: still down", DOWN "on:3600 =down auto =down"},
	{"the end of a lease is recorded",
	 "good on:60 +59s !none =down +1s !hold.set !site.state =probation"},
	{"hold off delivers although down",
	 DOWN "off:60 !site.state =up ~down bad =up +60s !hold.set =down"},
	{"hold on replaces off", DOWN "off:60 =up on:60 =down"},
	{"hold off replaces on", "good on:60 =down off:60 =up"},
	{"a new lease replaces the old one", "good on:60 +30s on:60 +59s =down +1s =probation"},
	{"on a suspect site, then auto: down", "good bad ~suspect on:60 auto =down"},
	{"hold off hides the valve", "good off:600 ref:20 ~stopped =up !site.seen"},
	{"setting auto on auto does nothing", "good auto !none =up"},
};

static void each_row(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct play p;

		play_init(&p, 5000, 3, 3, HOLD_AUTO);
		if (!play(&p, rows[i].script)) {
			print_error("%s: %s\n", rows[i].name, p.why);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void intervals_follow_the_state(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 5000, 3, 3, HOLD_AUTO);
	assert_true(play(&p, "good"));
	assert_int_equal(p.did.probe_every_us, 5000000);
	assert_true(play(&p, "bad"));
	assert_int_equal(p.did.probe_every_us, 5000000);
	assert_true(play(&p, "bad bad =down"));
	assert_int_equal(p.did.probe_every_us, 1000000);
	assert_true(play(&p, "good good good =probation"));
	assert_int_equal(p.did.probe_every_us, 1000000);
	play_init(&p, 200, 3, 3, HOLD_AUTO);
	assert_true(play(&p, "good bad bad bad =down"));
	assert_int_equal(p.did.probe_every_us, 200000);
}

/* H2 with damping: the fourth fall within ten minutes doubles, each quiet ten minutes halves. */
static void flapping_is_damped(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 5000, 1, 1, HOLD_AUTO);
	assert_true(play(&p, "good"));
	for (unsigned i = 0; i < 3; i++)
		assert_true(play(&p, "bad =down +1s good =probation +1s"));
	assert_int_equal(health_recover_needed(&p.h), 1);
	assert_true(play(&p, "bad =down good =down good =probation"));
	for (unsigned i = 0; i < 10; i++) {
		assert_true(play(&p, "bad =down"));
		for (unsigned k = health_recover_needed(&p.h); k--;)
			assert_true(play(&p, "=down good"));
		assert_true(play(&p, "=probation +1s"));
	}
	assert_int_equal(health_recover_needed(&p.h), 16);
	assert_true(play(&p, "+600s"));
	assert_int_equal(health_recover_needed(&p.h), 8);
	assert_true(play(&p, "+2400s"));
	assert_int_equal(health_recover_needed(&p.h), 1);
}

static void a_record_says_why(void **state)
{
	struct health_observation o = {.sight = SIGHT_PROBE};
	struct play p;

	(void)state;
	play_init(&p, 5000, 1, 1, HOLD_AUTO);
	assert_true(play(&p, "good"));
	o.probe =
		(struct health_probe){LAYER_TCP, ANSWER_REFUSED, 0,
				      SPAN_LIT("mail.example.com:25 refused\r\nforged\x1b[1m"), 0};
	play_see(&p, &o);
	assert_int_equal(p.did.records_n, 1);
	assert_int_equal(p.did.records[0].from, HEALTH_UP);
	assert_int_equal(p.did.records[0].to, HEALTH_DOWN);
	assert_int_equal(p.did.records[0].layer, LAYER_TCP);
	assert_in_range(p.did.records[0].confidence, 90, 100);
	assert_string_equal(p.did.records[0].reason,
			    "1 failed probe: mail.example.com:25 refused  forged?[1m");
}

static void our_own_network_lowers_confidence(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 5000, 1, 1, HOLD_AUTO);
	assert_true(play(&p, "good ctl:0"));
	assert_false(health_may_act_outside(&p.h));
	assert_true(play(&p, "bad =down"));
	assert_in_range(p.did.records[0].confidence, 1, 30);
	assert_non_null(strstr(p.did.records[0].reason, "our own network"));
	assert_true(play(&p, "ctl:1"));
	assert_true(health_may_act_outside(&p.h));
}

static void a_restart_keeps_what_was_recorded(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 5000, 3, 3, HOLD_AUTO);
	health_restore(&p.h, HEALTH_DOWN, HEALTH_DOWN, HOLD_AUTO, 0, p.now);
	assert_true(play(&p, "=down good good !none good =probation"));
	play_init(&p, 5000, 3, 3, HOLD_AUTO);
	health_restore(&p.h, HEALTH_UP, HEALTH_DOWN, HOLD_ON, 60 * 1000000ull, p.now);
	assert_true(play(&p, "=down +59s =down +1s !hold.set =probation"));
}

static void configuration_may_hold_and_let_go(void **state)
{
	struct health_limits l;
	struct play p;

	(void)state;
	play_init(&p, 5000, 3, 3, HOLD_AUTO);
	assert_true(play(&p, "good =up"));
	health_limits_default(&l, 5000, 3, 3, HOLD_ON);
	health_configure(&p.h, &l, p.now, &p.did);
	assert_true(play(&p, "!site.state =down ~up"));
	assert_true(play(&p, "off:60 =up +60s !hold.set =down"));
	l.configured = HOLD_AUTO;
	health_configure(&p.h, &l, p.now, &p.did);
	assert_true(play(&p, "!site.state =probation"));
	health_configure(&p.h, &l, p.now, &p.did);
	assert_true(play(&p, "!none =probation"));
}

/* K-09: the wall clock may be anywhere after a restart. */
static void k_09_a_lease_never_grows(void **state)
{
	static const uint64_t given = 1800000000ull * 1000000, hour = 3600ull * 1000000;
	static const uint64_t year = 365 * 24 * 3600ull * 1000000;
	static const struct {
		uint64_t now, left;
	} rows_of[] = {
		{given, hour},
		{given + hour / 4, hour * 3 / 4},
		{given + hour - 1, 1},
		{given + hour, 0},
		{given + 2 * hour, 0},
		{given + 50 * year, 0},
		{given - hour, hour},
		{given - 10 * year, hour},
		{0, hour},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++)
		assert_int_equal(health_lease_left(given, given + hour, rows_of[i].now),
				 rows_of[i].left);
	assert_int_equal(health_lease_left(given, 0, given), 0);
}

static void names_come_back(void **state)
{
	enum health_state s = HEALTH_UP;
	enum health_hold hold;

	(void)state;
	for (unsigned i = 0; i < HEALTH_STATES; i++) {
		assert_true(
			health_state_parse(span_str(health_state_name((enum health_state)i)), &s));
		assert_int_equal(s, i);
	}
	assert_false(health_state_parse(SPAN_LIT("Up"), &s));
	assert_false(health_state_parse(SPAN_NONE, &s));
	assert_false(health_hold_parse(SPAN_LIT("maybe"), &hold));
	assert_int_equal(health_phase(HEALTH_UNKNOWN), PHASE_DOWN);
	assert_int_equal(health_phase(HEALTH_SUSPECT), PHASE_UP);
	assert_int_equal(health_phase(HEALTH_STOPPED), PHASE_DOWN);
	assert_int_equal(health_phase(HEALTH_PROBATION), PHASE_PROBATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row),
		cmocka_unit_test(intervals_follow_the_state),
		cmocka_unit_test(flapping_is_damped),
		cmocka_unit_test(a_record_says_why),
		cmocka_unit_test(our_own_network_lowers_confidence),
		cmocka_unit_test(a_restart_keeps_what_was_recorded),
		cmocka_unit_test(configuration_may_hold_and_let_go),
		cmocka_unit_test(k_09_a_lease_never_grows),
		cmocka_unit_test(names_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
