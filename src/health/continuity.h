/*
 * Do people of this site work here? A pure function a site, beside the outage machine (health.h): (state, sight, time) ->
 * (state, actions). Hold is cheap and comes at once; continuity opens doors and tells people, so it waits, and may be
 * left to an operator. Times are microseconds of the monotonic clock.
 *
 *   N1  auto: on when the site has not taken mail for `after`; off when it is up and nothing waits to be handed back.
 *       Probation changes nothing: it is neither an outage nor its end.
 *   N2  ask: the same, but an operator is asked instead (state ASKS, shown in status). manual: by command alone.
 *   N3  An operator's order wins over everything until its lease is over; then N1 or N2 say, at once.
 *   N4  While neutral controls fail, nothing is turned on by itself: our own network may be what is down (H5). What is on stays on.
 *   N5  Each change of the state is one record with a sentence; the caller syncs it before anything follows from it.
 */
#pragma once

#include "health/health.h"

enum continuity_switch { CONTINUITY_AUTO, CONTINUITY_ASK, CONTINUITY_MANUAL };
bool continuity_switch_parse(struct span name, enum continuity_switch *out);
const char *continuity_switch_name(enum continuity_switch s);

enum continuity_state { CONTINUITY_OFF, CONTINUITY_ON, CONTINUITY_ASKS };
bool continuity_state_parse(struct span name, enum continuity_state *out);
const char *continuity_state_name(enum continuity_state s); /* "off", "on", "asks" */

struct continuity {
	enum continuity_switch mode;
	uint64_t after_us;
	enum continuity_state state;
	enum health_hold order; /* by command */
	uint64_t order_until_us;
	bool has_trouble;
	uint64_t trouble_since_us;
	bool is_blocked; /* due, but the neutral controls fail */
};

struct continuity_sight {
	enum health_state effective;
	bool own_network_down;
	bool nothing_waits; /* the clerk said so lately */
};

struct continuity_actions {
	bool is_changed;    /* the state: record it, with class and reason */
	bool is_lease_over; /* the order has ended: record continuity.set auto before */
	enum health_hold lease_of;
	const char *class; /* down, up, operator */
	char reason[HEALTH_TEXT_BYTES];
	uint64_t look_again_at_us; /* call again then; 0: no need */
};

void continuity_init(struct continuity *c, enum continuity_switch mode, uint64_t after_us);
/* Of an operator; the next continuity_look says what follows. for_us counts from now; HOLD_AUTO ends an order. */
void continuity_order(struct continuity *c, enum health_hold order, uint64_t for_us,
		      uint64_t now_us);
void continuity_look(struct continuity *c, const struct continuity_sight *seen, uint64_t now_us,
		     struct continuity_actions *out);
