/*
 * Days of a site on virtual time: a primary with moods, a prober with real latencies and deadlines, couriers that
 * deliver by the phase, and the health machine between them. Scripted days first (N-03, N-05, K-09), then random
 * ones whose invariants are checked after every event. A seed replays exactly.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "health/health.h"

#define SEEDS_IN_TEST 300 /* HOLDFAST_SIM_SEEDS=N for a long run */
#define MS	      1000ull
#define S	      (1000 * MS)
#define MINUTE	      (60 * S)
#define HOUR	      (60 * MINUTE)

enum mood { FINE, RST, DROP, HANG, GREET421, RCPT4, RCPT5, NO_TLS, REFUSES_PEOPLE, MOODS };
static const char *const mood_names[] = {"fine",  "rst",   "drop",   "hang",	      "421",
					 "rcpt4", "rcpt5", "no-tls", "refuses-people"};

static const struct {
	enum health_layer layer;
	enum health_answer answer;
	uint64_t takes_us;
} moods[MOODS] = {
	[FINE] = {LAYER_NONE, ANSWER_OK, 8 * MS},
	[RST] = {LAYER_TCP, ANSWER_REFUSED, MS},
	[DROP] = {LAYER_TCP, ANSWER_SILENT, 5 * S},
	[HANG] = {LAYER_GREETING, ANSWER_SILENT, 10 * S},
	[GREET421] = {LAYER_GREETING, ANSWER_4XX, 3 * MS},
	[RCPT4] = {LAYER_RCPT, ANSWER_4XX, 8 * MS},
	[RCPT5] = {LAYER_RCPT, ANSWER_5XX, 8 * MS},
	[NO_TLS] = {LAYER_TLS, ANSWER_GARBLED, 8 * MS},
	[REFUSES_PEOPLE] = {LAYER_NONE, ANSWER_OK, 8 * MS}, /* postmaster passes, nobody else */
};

struct change {
	uint64_t at;
	enum mood mood;
};

struct world {
	struct health h;
	struct health_actions did;
	uint64_t now, mono_origin;
	const struct change *changes;
	size_t changes_n, next_change;
	enum mood mood;
	uint64_t mood_since;
	/* prober */
	uint64_t probe_began, probe_ends, probe_due;
	bool probing;
	enum mood probe_mood;
	uint64_t third_fail; /* when the third failed probe in a row ended */
	unsigned in_row;     /* failed probes that no accepted delivery excuses */
	uint64_t excused_until;
	/* couriers */
	uint64_t held, mail_every, next_mail, next_delivery, ramp;
	uint64_t delivered, refused_up, refused_probation;
	/* seen */
	enum health_state effective;
	uint64_t changed_at[HEALTH_STATES];
	unsigned entered[HEALTH_STATES], changes_seen, window_falls;
	uint64_t fall_times[256];
	uint64_t trace; /* hash */
	char wrong[300];
};

static void complain(struct world *w, const char *what)
{
	if (!w->wrong[0])
		snprintf(w->wrong, sizeof w->wrong, "at %.3f s (%s, seen %s, %s): %s",
			 (double)w->now / 1e6, mood_names[w->mood], health_state_name(w->h.state),
			 health_state_name(w->h.effective), what);
}

static bool may_come_after(enum health_state from, enum health_state to)
{
	switch (to) {
	case HEALTH_UP:
		return from == HEALTH_UNKNOWN || from == HEALTH_SUSPECT || from == HEALTH_PROBATION;
	case HEALTH_SUSPECT:
		return from == HEALTH_UP;
	case HEALTH_PROBATION:
		return from == HEALTH_DOWN || from == HEALTH_STOPPED;
	case HEALTH_DOWN:
		return from != HEALTH_DOWN;
	case HEALTH_STOPPED:
		return from == HEALTH_UP || from == HEALTH_SUSPECT || from == HEALTH_PROBATION;
	case HEALTH_UNKNOWN:
		break;
	}
	return false;
}

static void note_change(struct world *w, const struct health_record *r)
{
	if (r->from != w->effective)
		complain(w, "H4: a record does not begin where the last one ended");
	if (!may_come_after(r->from, r->to))
		complain(w, "H2/H3: a forbidden move");
	if (!r->reason[0] || r->confidence == 0)
		complain(w, "H4: a record without sentence or confidence");
	w->effective = r->to;
	w->changed_at[r->to] = w->now;
	w->entered[r->to]++;
	w->changes_seen++;
	if (r->to == HEALTH_DOWN)
		w->fall_times[w->window_falls++ % 256] = w->now;
	w->trace = (w->trace ^ w->now ^ (uint64_t)r->to << 56) * 0x100000001b3ull;
	if (r->to == HEALTH_PROBATION || r->to == HEALTH_STOPPED)
		w->in_row = 0; /* a new chapter: failures count anew */
	if (health_phase(r->to) == PHASE_PROBATION)
		w->ramp = 1, w->next_delivery = w->now + 100 * MS;
}

/* What a watch does with the actions: records first; publishing is the change itself here. */
static void see(struct world *w, const struct health_observation *o)
{
	health_step(&w->h, o, w->mono_origin + w->now, &w->did);
	for (size_t i = 0; i < w->did.records_n; i++) {
		if (w->did.records[i].verb == HEALTH_SITE_STATE)
			note_change(w, &w->did.records[i]);
	}
	if (w->h.effective != w->effective)
		complain(w, "H4: the effective state changed without a record");
	if (w->in_row >= w->h.limits.fail && health_phase(w->effective) == PHASE_UP)
		complain(w, "H1: enough failed probes and no hold");
	if (w->probing)
		return;
	if (w->did.probe_now)
		w->probe_due = w->now;
	else if (w->probe_due > w->probe_began + w->did.probe_every_us)
		w->probe_due = w->probe_began + w->did.probe_every_us;
	if (w->probe_due < w->now)
		w->probe_due = w->now;
}

static void end_probe(struct world *w)
{
	struct health_observation o = {.sight = SIGHT_PROBE};
	enum mood m = w->probe_mood;

	w->probing = false;
	o.probe = (struct health_probe){moods[m].layer, moods[m].answer, 0, span_str(mood_names[m]),
					0};
	if (moods[m].answer == ANSWER_OK) {
		w->in_row = 0;
	} else if (moods[m].layer != LAYER_RCPT || w->now >= w->excused_until) {
		if (++w->in_row == 3)
			w->third_fail = w->now;
	}
	w->probe_due = UINT64_MAX;
	see(w, &o);
	see(w, &(struct health_observation){.sight = SIGHT_QUEUE, .waiting = w->held});
}

static void deliver(struct world *w)
{
	struct health_observation o = {.sight = SIGHT_DELIVERY};
	enum site_phase phase = health_phase(w->effective);
	uint64_t n = w->held;

	w->next_delivery = w->now + (phase == PHASE_UP ? 200 * MS : 500 * MS);
	if (phase == PHASE_DOWN || w->held == 0)
		return;
	if (n > (phase == PHASE_UP ? 50 : w->ramp))
		n = phase == PHASE_UP ? 50 : w->ramp;
	o.delivery.detail = SPAN_LIT("delivery");
	switch (w->mood) {
	case FINE:
	case RCPT5: /* only the probe's recipient is refused */
		o.delivery.attempt = ATTEMPT_ACCEPTED;
		o.delivery.accepted = (uint32_t)n;
		w->held -= n;
		w->delivered += n;
		w->excused_until = w->now + MINUTE;
		w->ramp = w->ramp >= 100 ? 100 : w->ramp * 10;
		break;
	case REFUSES_PEOPLE:
		o.delivery.attempt = ATTEMPT_5XX;
		o.delivery.refused_good = (uint32_t)n;
		if (phase == PHASE_UP)
			w->refused_up += n;
		else
			w->refused_probation += n;
		break;
	case RCPT4:
		o.delivery.attempt = ATTEMPT_4XX;
		o.delivery.deferred = (uint32_t)n;
		break;
	case RST:
	case DROP:
	case HANG:
	case GREET421:
	case NO_TLS:
	case MOODS:
		o.delivery.attempt = ATTEMPT_UNREACHED;
		o.delivery.at_connection = true;
		w->next_delivery = w->now + moods[w->mood].takes_us + 200 * MS;
		break;
	}
	see(w, &o);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void one_event(struct world *w, uint64_t until)
{
	uint64_t t = until, look = w->did.look_again_at_us;

	if (w->next_change < w->changes_n)
		t = least(t, w->changes[w->next_change].at);
	t = least(t, w->probing ? w->probe_ends : w->probe_due);
	if (w->mail_every)
		t = least(t, w->next_mail);
	if (w->held && health_phase(w->effective) != PHASE_DOWN)
		t = least(t, w->next_delivery > w->now ? w->next_delivery : w->now);
	if (look && look >= w->mono_origin + w->now)
		t = least(t, look - w->mono_origin);
	must(t >= w->now);
	w->now = t;
	if (w->next_change < w->changes_n && t == w->changes[w->next_change].at) {
		w->mood = w->changes[w->next_change++].mood;
		w->mood_since = t;
	} else if (w->probing && t == w->probe_ends) {
		end_probe(w);
	} else if (!w->probing && t == w->probe_due) {
		w->probing = true;
		w->probe_began = t;
		w->probe_mood = w->mood;
		w->probe_ends = t + moods[w->mood].takes_us;
	} else if (w->mail_every && t == w->next_mail) {
		w->held++;
		w->next_mail = t + w->mail_every;
	} else if (w->held && health_phase(w->effective) != PHASE_DOWN && t >= w->next_delivery) {
		deliver(w);
	} else if (look && t == look - w->mono_origin) {
		see(w, &(struct health_observation){.sight = SIGHT_TICK});
	}
}

static void run_until(struct world *w, uint64_t until)
{
	for (unsigned long n = 0; w->now < until && !w->wrong[0]; n++) {
		one_event(w, until);
		if (n > 4000000)
			complain(w, "the simulation does not get on");
	}
}

static void begin(struct world *w, const struct change *changes, size_t n, uint64_t mail_every)
{
	struct health_limits l;

	*w = (struct world){.changes = changes, .changes_n = n, .mail_every = mail_every};
	w->mono_origin = 1000 * S;
	w->mood = FINE;
	w->trace = 0xcbf29ce484222325ull;
	health_limits_default(&l, 5000, 3, 3, HOLD_AUTO);
	health_init(&w->h, &l, w->mono_origin);
	w->next_mail = mail_every;
}

#define BEGIN(w, changes, mail_every)                                                              \
	begin(w, changes, sizeof(changes) / sizeof *(changes), mail_every)

static void assert_right(const struct world *w)
{
	if (w->wrong[0])
		fail_msg("%s", w->wrong);
}

/* Quiet site (nothing to deliver): probes alone must find each kind of outage. */
static void n_03_each_outage_is_found_by_probes(void **state)
{
	static const enum mood outages[] = {RST, DROP, HANG, GREET421, RCPT4, RCPT5, NO_TLS};

	(void)state;
	for (size_t i = 0; i < sizeof outages / sizeof *outages; i++) {
		const struct change day[] = {{HOUR, outages[i]}, {2 * HOUR, FINE}};
		struct world w;

		BEGIN(&w, day, 0);
		run_until(&w, HOUR);
		assert_int_equal(w.effective, HEALTH_UP);
		run_until(&w, 2 * HOUR);
		assert_right(&w);
		assert_int_equal(w.effective, HEALTH_DOWN);
		/* three probes 5 s apart, each as long as it takes, and the first up to 5 s after the change */
		assert_true(w.changed_at[HEALTH_DOWN] <=
			    HOUR + 15 * S + 3 * moods[outages[i]].takes_us);
		assert_true(w.changed_at[HEALTH_DOWN] - w.third_fail < 5 * S);
		assert_int_equal(w.entered[HEALTH_DOWN], 1);
		run_until(&w, 2 * HOUR + 40 * S);
		assert_right(&w);
		assert_int_equal(w.entered[HEALTH_PROBATION], 1);
		assert_int_equal(w.effective, HEALTH_UP);
	}
}

/* With mail flowing, the failed delivery and one probe are enough. */
static void an_outage_under_traffic_is_found_at_once(void **state)
{
	static const struct change day[] = {{HOUR + 2 * S, RST}, {HOUR + 10 * MINUTE, FINE}};
	struct world w;

	(void)state;
	BEGIN(&w, day, 300 * MS);
	run_until(&w, HOUR + 4 * S);
	assert_right(&w);
	assert_int_equal(w.effective, HEALTH_DOWN);
	assert_true(w.changed_at[HEALTH_DOWN] - (HOUR + 2 * S) < S);
	run_until(&w, HOUR + 10 * MINUTE);
	assert_true(w.held > 1900);
	run_until(&w, HOUR + 11 * MINUTE);
	assert_right(&w);
	assert_int_equal(w.effective, HEALTH_UP);
	assert_true(w.held < 10);
}

/* N-05: repaired, answers its postmaster, refuses everybody else. */
static void n_05_a_half_restored_primary_stops_the_drain(void **state)
{
	static const struct change day[] = {
		{MINUTE, RST}, {30 * MINUTE, REFUSES_PEOPLE}, {2 * HOUR, FINE}};
	struct world w;

	(void)state;
	BEGIN(&w, day, S);
	run_until(&w, 2 * HOUR);
	assert_right(&w);
	assert_int_equal(w.refused_up, 0); /* nothing was offered while refusals count */
	assert_true(w.refused_probation > 0 && w.refused_probation < 300);
	assert_true(w.entered[HEALTH_STOPPED] >= 2 && w.entered[HEALTH_STOPPED] < 6);
	run_until(&w, 3 * HOUR + 5 * MINUTE);
	assert_right(&w);
	assert_int_equal(w.effective, HEALTH_UP);
	assert_true(w.held < 10);
}

/* While up, a primary that begins to refuse known-good people is stopped after a handful. */
static void n_05_refusals_while_up_close_the_valve(void **state)
{
	static const struct change day[] = {{HOUR, REFUSES_PEOPLE}};
	struct world w;

	(void)state;
	BEGIN(&w, day, S);
	run_until(&w, HOUR + 10 * MINUTE);
	assert_right(&w);
	assert_int_equal(w.effective, HEALTH_STOPPED);
	assert_true(w.refused_up < 100);
}

static void n_03_flapping_is_damped(void **state)
{
	struct change day[400];
	struct world w;

	(void)state;
	for (size_t i = 0; i < 400; i++)
		day[i] = (struct change){MINUTE + i * 10 * S, i % 2 ? FINE : RST};
	BEGIN(&w, day, 500 * MS);
	run_until(&w, MINUTE + 400 * 10 * S);
	assert_right(&w);
	/* 200 outages in 67 min: without damping each would be a fall of its own */
	assert_true(w.entered[HEALTH_DOWN] < 40);
	run_until(&w, 3 * HOUR);
	assert_right(&w);
	assert_int_equal(w.effective, HEALTH_UP);
	assert_true(w.held < 10);
}

/* K-09: only the monotonic clock is ever passed in; its origin does not matter, and there is no other. */
static void k_09_the_origin_of_time_does_not_matter(void **state)
{
	static const struct change day[] = {{HOUR, DROP}, {HOUR + 20 * MINUTE, FINE}};
	static const uint64_t origins[] = {S, 1000 * S, 50ull * 365 * 24 * HOUR, UINT64_MAX / 4};
	uint64_t trace = 0;

	(void)state;
	for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
		struct health_limits l;
		struct world w;

		BEGIN(&w, day, S);
		w.mono_origin = origins[i];
		health_limits_default(&l, 5000, 3, 3, HOLD_AUTO);
		health_init(&w.h, &l, w.mono_origin);
		run_until(&w, 2 * HOUR);
		assert_right(&w);
		if (i)
			assert_true(w.trace == trace);
		trace = w.trace;
	}
}

/* ---- random days ---- */

static uint64_t rnd(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

enum { MOOD_CHANGES = 60 };

static uint64_t random_day(uint64_t seed, struct world *w)
{
	struct change day[MOOD_CHANGES];
	uint64_t t = 0, mail_every = 0, calm;

	for (size_t i = 0; i < MOOD_CHANGES; i++) {
		uint64_t longest = rnd(&seed) % 4 ? MINUTE : 20 * MINUTE;
		bool is_fine = rnd(&seed) % 2;

		t += 100 * MS + rnd(&seed) % longest;
		day[i] = (struct change){t, is_fine ? FINE : (enum mood)(rnd(&seed) % MOODS)};
	}
	day[MOOD_CHANGES - 2] = (struct change){t + S, RST};
	calm = t + S + 2 * MINUTE;
	day[MOOD_CHANGES - 1] = (struct change){calm, FINE};
	if (rnd(&seed) % 3)
		mail_every = 100 * MS + rnd(&seed) % (10 * S);
	begin(w, day, MOOD_CHANGES, mail_every);
	run_until(w, calm);
	if (!w->wrong[0] && w->effective != HEALTH_DOWN)
		complain(w, "two minutes of refused connections and no hold");
	run_until(w, calm + 2 * HOUR);
	if (!w->wrong[0] && w->effective != HEALTH_UP)
		complain(w, "two good hours and not up");
	if (!w->wrong[0] && w->held > 20)
		complain(w, "two good hours and mail still held");
	return w->trace;
}

static void random_days_keep_the_invariants(void **state)
{
	const char *asked = getenv("HOLDFAST_SIM_SEEDS");
	unsigned long seeds = asked ? strtoul(asked, NULL, 10) : SEEDS_IN_TEST;
	unsigned long changes = 0;
	struct world w;

	(void)state;
	for (unsigned long seed = 1; seed <= seeds; seed++) {
		uint64_t trace = random_day(seed, &w);

		if (w.wrong[0])
			fail_msg("seed %lu %s", seed, w.wrong);
		changes += w.changes_seen;
		if (seed % 50 == 1)
			assert_true(random_day(seed, &w) == trace);
	}
	assert_true(changes > seeds * 10); /* the days are not dull */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(n_03_each_outage_is_found_by_probes),
		cmocka_unit_test(an_outage_under_traffic_is_found_at_once),
		cmocka_unit_test(n_05_a_half_restored_primary_stops_the_drain),
		cmocka_unit_test(n_05_refusals_while_up_close_the_valve),
		cmocka_unit_test(n_03_flapping_is_damped),
		cmocka_unit_test(k_09_the_origin_of_time_does_not_matter),
		cmocka_unit_test(random_days_keep_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
