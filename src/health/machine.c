/*
 * The outage state machine (invariants H1-H7 in health.h). One function, turn(), changes the state;
 * settle() then lays the operator's hold over it and makes the records. The handlers, one for each
 * kind of observation, only decide.
 *
 *   UNKNOWN --good--> UP <--good-- SUSPECT          (SUSPECT: fewer than `fail` failed probes)
 *      |  \            |  --bad-->    |
 *      `fail` bad      | bad + failed delivery, or `fail` bad
 *            `------> DOWN <----------'<---- one bad probe ----.
 *                      `-- `recover` good --> PROBATION --> UP |
 *                                               |  `-----------'
 *                      STOPPED <-- refusals ----'   STOPPED --time or operator--> PROBATION
 */
#include "health/internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/must.h"
#include "base/rc.h"

#define SECOND_US	  1000000ull
#define MINUTE_US	  (60 * SECOND_US)
#define DELIVERY_FRESH_US (30 * SECOND_US)
#define QUEUE_FRESH_US	  (5 * SECOND_US)

#define BIT(s) (1u << (s))
static const unsigned may_follow[HEALTH_STATES] = {
	[HEALTH_UNKNOWN] = BIT(HEALTH_UP) | BIT(HEALTH_DOWN),
	/* PROBATION: an operator's hold has ended and there may be held mail */
	[HEALTH_UP] = BIT(HEALTH_SUSPECT) | BIT(HEALTH_DOWN) | BIT(HEALTH_STOPPED) |
		      BIT(HEALTH_PROBATION),
	[HEALTH_SUSPECT] = BIT(HEALTH_UP) | BIT(HEALTH_DOWN) | BIT(HEALTH_STOPPED),
	[HEALTH_DOWN] = BIT(HEALTH_PROBATION),
	[HEALTH_PROBATION] = BIT(HEALTH_UP) | BIT(HEALTH_DOWN) | BIT(HEALTH_STOPPED),
	[HEALTH_STOPPED] = BIT(HEALTH_PROBATION) | BIT(HEALTH_DOWN),
};

void health_limits_default(struct health_limits *l, uint32_t every_ms, uint32_t fail,
			   uint32_t recover, enum health_hold configured)
{
	uint64_t every = (every_ms ? every_ms : 5000) * 1000ull;

	*l = (struct health_limits){
		.every_us = every,
		.fast_us = every < SECOND_US ? every : SECOND_US,
		.fail = fail ? fail : 3,
		.recover = recover ? recover : 3,
		.configured = configured,
		.ramp_accepted = 111,
		.refused_us = 15 * MINUTE_US,
		.stopped_us = 15 * MINUTE_US,
		.flap_window_us = 10 * MINUTE_US,
		.flap_free = 3,
		.flap_shift_max = 4,
		.trust_delivery_us = MINUTE_US,
	};
	l->quiet_us = l->recover * every > 2 * SECOND_US ? l->recover * every : 2 * SECOND_US;
}

void health_init(struct health *h, const struct health_limits *limits, uint64_t now)
{
	*h = (struct health){.limits = *limits, .state_since_us = now, .effective_since_us = now};
	h->window_us = now;
}

void health_restore(struct health *h, enum health_state seen, enum health_state effective,
		    enum health_hold hold, uint64_t hold_for_us, uint64_t now)
{
	h->state = seen;
	h->effective = effective;
	h->hold = hold;
	h->hold_until_us = hold == HOLD_AUTO ? 0 : now + hold_for_us;
	snprintf(h->evidence, sizeof h->evidence, "as recorded before this start");
}

uint64_t health_lease_left(uint64_t given, uint64_t until, uint64_t now)
{
	uint64_t whole = until > given ? until - given : 0;

	if (now >= until)
		return 0;
	return until - now < whole ? until - now : whole;
}

enum health_hold health_hold_now(const struct health *h)
{
	return h->hold == HOLD_AUTO ? h->limits.configured : h->hold;
}

bool health_may_act_outside(const struct health *h)
{
	return !h->own_network_down;
}

unsigned health_recover_needed(const struct health *h)
{
	return h->limits.recover << h->flap_shift;
}

/* ---- records ---- */

static void record(struct health *h, struct health_actions *out, enum health_verb verb,
		   enum health_state from, enum health_state to)
{
	struct health_record *r;

	must(out->records_n < HEALTH_RECORDS_MAX);
	r = &out->records[out->records_n++];
	*r = (struct health_record){.verb = verb,
				    .from = from,
				    .to = to,
				    .layer = h->layer,
				    .confidence = h->confidence};
	snprintf(r->reason, sizeof r->reason, "%s", h->evidence);
}

static void explain(struct health *h, enum health_layer layer, unsigned confidence,
		    const char *format, ...) PRINTF_LIKE(4, 5);
static void explain(struct health *h, enum health_layer layer, unsigned confidence,
		    const char *format, ...)
{
	va_list args;
	int n;

	h->layer = layer;
	h->confidence = (uint8_t)confidence;
	va_start(args, format);
	n = vsnprintf(h->evidence, sizeof h->evidence, format, args);
	va_end(args);
	if (layer == LAYER_NONE || !h->own_network_down || n < 0 || (size_t)n >= sizeof h->evidence)
		return;
	h->confidence = h->confidence > 30 ? 30 : h->confidence;
	snprintf(h->evidence + n, sizeof h->evidence - (size_t)n,
		 "; the neutral controls fail too: our own network may be down");
}

/* Lays the hold over what is seen. was: what was seen before this change (H4). */
static void settle(struct health *h, enum health_state was, uint64_t now,
		   struct health_actions *out)
{
	enum health_state from = h->effective;

	switch (health_hold_now(h)) {
	case HOLD_AUTO:
		h->effective = h->state;
		break;
	case HOLD_ON:
		h->effective = HEALTH_DOWN;
		break;
	case HOLD_OFF:
		h->effective = HEALTH_UP;
		break;
	}
	if (h->effective != from) {
		h->effective_since_us = now;
		out->publish = true;
		record(h, out, HEALTH_SITE_STATE, from, h->effective);
	} else if (h->state != was) {
		record(h, out, HEALTH_SITE_SEEN, was, h->state);
	}
}

static void fresh_window(struct health *h, uint64_t now)
{
	h->accepted = h->refused_good = h->refused_unknown = h->deferred = h->unreached = 0;
	h->refused_lately = 0;
	h->window_us = now;
}

/* Probation begins, or an operator says that the primary is repaired: what was granted before counts no more. */
static void forget(struct health *h, uint64_t now)
{
	fresh_window(h, now);
	h->heed_from_us = now;
	h->empty_at_us = 0;
}

/* More than flap_free falls within the window: twice as many good probes are needed from now on. */
static void count_fall(struct health *h, uint64_t now)
{
	unsigned recent = 0;

	h->falls_us[h->falls_n++ % HEALTH_FALLS_KEPT] = now;
	for (unsigned i = 0; i < HEALTH_FALLS_KEPT && i < h->falls_n; i++)
		recent += now - h->falls_us[i] < h->limits.flap_window_us;
	if (recent > h->limits.flap_free && h->flap_shift < h->limits.flap_shift_max)
		h->flap_shift++;
	h->flap_at_us = now;
}

static void forget_falls(struct health *h, uint64_t now)
{
	while (h->flap_shift && now - h->flap_at_us >= h->limits.flap_window_us) {
		h->flap_shift--;
		h->flap_at_us += h->limits.flap_window_us;
	}
}

/* The only place where the seen state changes. explain() was called before. */
static void turn(struct health *h, enum health_state next, uint64_t now, struct health_actions *out)
{
	enum health_state was = h->state;

	must(may_follow[was] & BIT(next));
	h->state = next;
	h->state_since_us = now;
	if (next == HEALTH_DOWN && was != HEALTH_UNKNOWN)
		count_fall(h, now);
	if (next == HEALTH_UP)
		h->stops = 0;
	if (next == HEALTH_DOWN || next == HEALTH_PROBATION || next == HEALTH_STOPPED)
		h->good = h->failed = 0;
	if (next == HEALTH_PROBATION)
		forget(h, now);
	else if (next != HEALTH_SUSPECT)
		fresh_window(h, now);
	if (next != HEALTH_UP && next != HEALTH_SUSPECT)
		h->delivery_failed = false;
	settle(h, was, now, out);
	if (next == HEALTH_STOPPED)
		h->stops++;
	if (h->effective == HEALTH_STOPPED && next == HEALTH_STOPPED)
		record(h, out, HEALTH_DRAIN_STOP, was, next);
}

/* ---- probation and refusals ---- */

static uint32_t answered(const struct health *h)
{
	return h->accepted + h->refused_good + h->refused_unknown + h->deferred;
}

static void stop(struct health *h, uint64_t now, struct health_actions *out)
{
	if (answered(h))
		explain(h, LAYER_DELIVERY, 80,
			"the primary refused %u of %u recipients, %u of them known to be good: "
			"drain "
			"stopped, nothing bounces",
			h->refused_good + h->refused_unknown, answered(h), h->refused_good);
	else
		explain(h, LAYER_DELIVERY, 80,
			"probes are good, but %u deliveries came to no answer: drain stopped",
			h->unreached);
	turn(h, HEALTH_STOPPED, now, out);
}

static void finish_probation(struct health *h, uint64_t now, struct health_actions *out)
{
	uint32_t attempts = answered(h);
	uint64_t last =
		h->delivery_at_us > h->state_since_us ? h->delivery_at_us : h->state_since_us;
	bool few_refused = h->refused_lately * 20ull <= attempts;
	/* That no answers come may also mean that nobody offers anything: the clerk must say that nothing waits. */
	bool is_empty = h->empty_at_us && now - h->empty_at_us < QUEUE_FRESH_US;
	bool quiet = is_empty && now - last >= h->limits.quiet_us && h->good >= h->limits.recover;
	bool long_enough = now - h->state_since_us >= h->limits.refused_us && h->good;

	if (attempts == 0 && h->unreached == 0 && quiet)
		explain(h, LAYER_NONE, 90, "%u good probes and nothing was waiting", h->good);
	else if (h->accepted >= h->limits.ramp_accepted && few_refused)
		explain(h, LAYER_NONE, 95, "probation passed: %u of %u accepted", h->accepted,
			attempts);
	else if (h->accepted && few_refused && quiet)
		explain(h, LAYER_NONE, 95,
			"probation passed: %u of %u accepted, nothing more is waiting", h->accepted,
			attempts);
	else if (attempts && long_enough && (few_refused || h->accepted > h->refused_good))
		explain(h, LAYER_NONE, 70,
			"probation over: %u of %u accepted, %u put off, %u refused (%u known to be "
			"good)",
			h->accepted, attempts, h->deferred, h->refused_good + h->refused_unknown,
			h->refused_good);
	else if (long_enough && (attempts || h->unreached)) {
		stop(h, now, out);
		return;
	} else
		return;
	turn(h, HEALTH_UP, now, out);
}

/* ---- observations ---- */

static void on_good_probe(struct health *h, const struct health_probe *p, uint64_t now,
			  struct health_actions *out)
{
	h->failed = 0;
	if (h->good < UINT32_MAX)
		h->good++;
	if (!p->began_us || p->began_us >= h->delivery_failed_at_us)
		h->delivery_failed = false; /* contradicted */
	switch (h->state) {
	case HEALTH_UNKNOWN:
		explain(h, LAYER_NONE, 90, "the first probe was good: %s", h->last_probe);
		turn(h, HEALTH_UP, now, out);
		break;
	case HEALTH_SUSPECT:
		explain(h, LAYER_NONE, 90, "the next probe was good again: %s", h->last_probe);
		turn(h, HEALTH_UP, now, out);
		break;
	case HEALTH_DOWN:
		if (h->good < health_recover_needed(h))
			break;
		explain(h, LAYER_NONE, 80, "%u good probes in a row%s: %s", h->good,
			h->flap_shift ? " (more than usual, because the site is flapping)" : "",
			h->last_probe);
		turn(h, HEALTH_PROBATION, now, out);
		break;
	case HEALTH_PROBATION:
		finish_probation(h, now, out);
		break;
	case HEALTH_UP:
	case HEALTH_STOPPED:
		break;
	}
}

static void fall(struct health *h, const struct health_probe *p, uint64_t now,
		 struct health_actions *out)
{
	unsigned confidence = health_confidence(p);

	if (h->delivery_failed)
		explain(h, p->layer, confidence < 94 ? confidence + 5 : 99,
			"a delivery could not connect and the probe failed too: %s", h->last_probe);
	else
		explain(h, p->layer, confidence, "%u failed probe%s%s: %s", h->failed,
			h->failed == 1 ? "" : "s in a row",
			h->state == HEALTH_PROBATION ? " on probation" : "", h->last_probe);
	turn(h, HEALTH_DOWN, now, out);
}

static void on_bad_probe(struct health *h, const struct health_probe *p, uint64_t now,
			 struct health_actions *out)
{
	h->good = 0;
	if (h->failed < UINT32_MAX)
		h->failed++;
	switch (h->state) {
	case HEALTH_UP:
	case HEALTH_SUSPECT:
		if (h->failed >= h->limits.fail || h->delivery_failed) {
			fall(h, p, now, out);
		} else if (h->state == HEALTH_UP) {
			explain(h, p->layer, health_confidence(p) / 2, "a probe failed: %s",
				h->last_probe);
			turn(h, HEALTH_SUSPECT, now, out);
		}
		break;
	case HEALTH_UNKNOWN:
	case HEALTH_STOPPED:
		if (h->failed >= h->limits.fail)
			fall(h, p, now, out);
		break;
	case HEALTH_PROBATION:
		fall(h, p, now, out);
		break;
	case HEALTH_DOWN:
		h->layer = health_hold_now(h) == HOLD_ON ? LAYER_OPERATOR : p->layer;
		break;
	}
}

static void on_probe(struct health *h, const struct health_probe *p, uint64_t now,
		     struct health_actions *out)
{
	health_text(h->last_probe, sizeof h->last_probe, p->detail);
	if (p->answer == ANSWER_OK)
		on_good_probe(h, p, now, out);
	else if (p->layer != LAYER_RCPT || !h->accepted_ever ||
		 now - h->accepted_at_us >= h->limits.trust_delivery_us)
		on_bad_probe(h, p, now, out);
	/* else: it takes real mail at this moment; the probe's recipient is the odd one */
}

/*
 * While up, all refusals of ten minutes count. On probation only those that no later acceptance has made up for: what
 * was refused before the primary was repaired says nothing about it now.
 */
static bool valve_closes(const struct health *h)
{
	return verdict_valve_closes(answered(h), h->state == HEALTH_PROBATION ? h->refused_lately
									      : h->refused_good);
}

static void on_delivery(struct health *h, const struct health_delivery *d, uint64_t now,
			struct health_actions *out)
{
	bool serves = health_phase(h->state) != PHASE_DOWN;

	if (d->granted_us && d->granted_us < h->heed_from_us)
		return;
	h->delivery_at_us = now;
	h->accepted += d->accepted;
	h->refused_good += d->refused_good;
	h->refused_unknown += d->refused_unknown;
	h->deferred += d->deferred;
	h->unreached += d->at_connection;
	h->refused_lately += d->refused_good;
	h->refused_lately -= d->accepted < h->refused_lately ? d->accepted : h->refused_lately;
	if (d->accepted) {
		h->accepted_ever = true;
		h->accepted_at_us = now;
		h->delivery_failed = false;
	}
	if (d->at_connection && serves) {
		h->delivery_failed = true;
		h->delivery_failed_at_us = now;
		if (h->state == HEALTH_SUSPECT && h->failed) {
			fall(h, &(struct health_probe){.layer = h->layer, .answer = ANSWER_CLOSED},
			     now, out);
			return;
		}
		out->probe_now = true;
	}
	if (serves && valve_closes(h))
		stop(h, now, out);
	else if (h->state == HEALTH_PROBATION)
		finish_probation(h, now, out);
}

static void on_queue(struct health *h, uint64_t waiting, uint64_t now, struct health_actions *out)
{
	h->empty_at_us = waiting ? 0 : now;
	if (h->state == HEALTH_PROBATION)
		finish_probation(h, now, out);
}

/* What was held by hand goes out through probation when hold is automatic again. */
static void release(struct health *h, uint64_t now, struct health_actions *out)
{
	bool free = health_hold_now(h) == HOLD_AUTO;

	if (free && h->effective == HEALTH_DOWN && h->state == HEALTH_UP)
		turn(h, HEALTH_PROBATION, now, out);
	else if (free && h->effective == HEALTH_DOWN && h->state == HEALTH_SUSPECT)
		turn(h, HEALTH_DOWN, now, out);
	else
		settle(h, h->state, now, out);
}

static void on_resume(struct health *h, const struct health_observation *o, uint64_t now,
		      struct health_actions *out)
{
	char who[64];

	forget(h, now);
	if (h->state != HEALTH_STOPPED)
		return;
	health_text(who, sizeof who, o->hold.who);
	explain(h, LAYER_NONE, 50, "%s let the drain go on", who);
	turn(h, HEALTH_PROBATION, now, out);
}

static void on_hold(struct health *h, const struct health_observation *o, uint64_t now,
		    struct health_actions *out)
{
	char who[64], why[HEALTH_TEXT_BYTES];

	health_text(who, sizeof who, o->hold.who);
	health_text(why, sizeof why, o->hold.why);
	h->hold = o->hold.mode;
	h->hold_until_us = o->hold.mode == HOLD_AUTO ? 0 : now + o->hold.for_us;
	explain(h, o->hold.mode == HOLD_ON ? LAYER_OPERATOR : LAYER_NONE, 100, "hold %s by %s%s%s",
		health_hold_name(o->hold.mode), who, why[0] ? ": " : "", why);
	if (h->hold == HOLD_AUTO)
		forget(h, now);
	if (h->hold == HOLD_AUTO && h->state == HEALTH_STOPPED)
		turn(h, HEALTH_PROBATION, now, out);
	else
		release(h, now, out);
	out->probe_now = true;
}

/* 15, 30, then always 60 minutes. */
static uint64_t stopped_until(const struct health *h)
{
	unsigned shift = h->stops > 3 ? 2 : h->stops ? h->stops - 1 : 0;

	return h->state_since_us + (h->limits.stopped_us << shift);
}

static void pass_time(struct health *h, uint64_t now, struct health_actions *out)
{
	forget_falls(h, now);
	if (h->delivery_failed && now - h->delivery_failed_at_us >= DELIVERY_FRESH_US)
		h->delivery_failed = false;
	if (health_phase(h->state) == PHASE_UP && now - h->window_us >= h->limits.flap_window_us)
		fresh_window(h, now);
	if (h->hold != HOLD_AUTO && now >= h->hold_until_us) {
		enum health_hold was = h->hold;

		h->hold = HOLD_AUTO;
		explain(h, LAYER_NONE, 100, "the lease of hold %s is over", health_hold_name(was));
		record(h, out, HEALTH_HOLD_END, h->effective, h->effective);
		release(h, now, out);
	}
	if (h->state == HEALTH_STOPPED && now >= stopped_until(h)) {
		explain(h, LAYER_NONE, 50,
			"the drain was stopped long enough: one message is tried");
		turn(h, HEALTH_PROBATION, now, out);
	}
}

/* ---- what comes next ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || b < a ? b : a;
}

static void plan(const struct health *h, struct health_actions *out)
{
	bool fast = h->state == HEALTH_DOWN || h->state == HEALTH_PROBATION ||
		    h->state == HEALTH_UNKNOWN;

	out->probe_every_us = fast ? h->limits.fast_us : h->limits.every_us;
	out->look_again_at_us = 0;
	if (h->hold != HOLD_AUTO)
		out->look_again_at_us = h->hold_until_us;
	if (h->state == HEALTH_STOPPED)
		out->look_again_at_us = earlier(out->look_again_at_us, stopped_until(h));
}

void health_step(struct health *h, const struct health_observation *o, uint64_t now,
		 struct health_actions *out)
{
	*out = (struct health_actions){0};
	pass_time(h, now, out);
	switch (o->sight) {
	case SIGHT_TICK:
		if (h->state == HEALTH_PROBATION)
			finish_probation(h, now, out);
		break;
	case SIGHT_PROBE:
		on_probe(h, &o->probe, now, out);
		break;
	case SIGHT_DELIVERY:
		on_delivery(h, &o->delivery, now, out);
		break;
	case SIGHT_CONTROLS:
		h->own_network_down = o->controls.asked && !o->controls.good;
		break;
	case SIGHT_QUEUE:
		on_queue(h, o->waiting, now, out);
		break;
	case SIGHT_HOLD:
		on_hold(h, o, now, out);
		break;
	case SIGHT_RESUME:
		on_resume(h, o, now, out);
		break;
	}
	plan(h, out);
}

void health_configure(struct health *h, const struct health_limits *limits, uint64_t now,
		      struct health_actions *out)
{
	enum health_hold was = health_hold_now(h), is;

	*out = (struct health_actions){0};
	h->limits = *limits;
	is = health_hold_now(h);
	if (is != was || (is == HOLD_AUTO && h->effective != h->state)) {
		explain(h, is == HOLD_ON ? LAYER_OPERATOR : LAYER_NONE, 100,
			"hold is %s by the configuration", health_hold_name(is));
		release(h, now, out);
	}
	settle(h, h->state, now, out);
	pass_time(h, now, out);
	plan(h, out);
}
