/* Continuity, N1 to N5. */
#include "health/continuity.h"

#include <stdio.h>

static const char *const switches[] = {"auto", "ask", "manual"};
static const char *const states[] = {"off", "on", "asks"};

bool continuity_switch_parse(struct span name, enum continuity_switch *out)
{
	for (unsigned i = 0; i <= CONTINUITY_MANUAL; i++) {
		if (span_eq(name, span_str(switches[i]))) {
			*out = (enum continuity_switch)i;
			return true;
		}
	}
	return false;
}

const char *continuity_switch_name(enum continuity_switch s)
{
	return switches[s];
}

bool continuity_state_parse(struct span name, enum continuity_state *out)
{
	for (unsigned i = 0; i <= CONTINUITY_ASKS; i++) {
		if (span_eq(name, span_str(states[i]))) {
			*out = (enum continuity_state)i;
			return true;
		}
	}
	return false;
}

const char *continuity_state_name(enum continuity_state s)
{
	return states[s];
}

void continuity_init(struct continuity *c, enum continuity_switch mode, uint64_t after_us)
{
	*c = (struct continuity){.mode = mode, .after_us = after_us};
}

void continuity_order(struct continuity *c, enum health_hold order, uint64_t for_us, uint64_t now)
{
	c->order = order;
	c->order_until_us = order == HOLD_AUTO ? 0 : now + for_us;
}

/* ---- what the site says ---- */

static bool is_out(enum health_state s)
{
	return s == HEALTH_DOWN || s == HEALTH_STOPPED;
}

static bool is_well(enum health_state s)
{
	return s == HEALTH_UP || s == HEALTH_SUSPECT;
}

static void note_trouble(struct continuity *c, enum health_state effective, uint64_t now)
{
	if (is_well(effective)) {
		c->has_trouble = false;
	} else if (is_out(effective) && !c->has_trouble) {
		c->has_trouble = true;
		c->trouble_since_us = now;
	}
}

struct verdict_of {
	enum continuity_state state;
	const char *class;
	char text[HEALTH_TEXT_BYTES];
};

static void keep(const struct continuity *c, struct verdict_of *v)
{
	v->state = c->state;
}

/* The outage is old enough, or its time is still to come. */
static void in_outage(struct continuity *c, const struct continuity_sight *seen, uint64_t now,
		      struct verdict_of *v, uint64_t *look_at)
{
	uint64_t lasts = now - c->trouble_since_us;

	if (c->state == CONTINUITY_ON && c->mode == CONTINUITY_AUTO)
		return;
	if (lasts < c->after_us) {
		*look_at = c->trouble_since_us + c->after_us;
		return;
	}
	if (seen->own_network_down && c->state == CONTINUITY_OFF) {
		c->is_blocked = true;
		return;
	}
	v->state = c->mode == CONTINUITY_ASK ? CONTINUITY_ASKS : CONTINUITY_ON;
	v->class = "down";
	snprintf(v->text, sizeof v->text,
		 c->mode == CONTINUITY_ASK
			 ? "the site has not taken mail for %llu s: shall people work here?"
			 : "the site has not taken mail for %llu s",
		 (unsigned long long)(lasts / 1000000));
}

static void when_well(const struct continuity *c, const struct continuity_sight *seen,
		      struct verdict_of *v)
{
	if (c->state == CONTINUITY_ON && !seen->nothing_waits)
		return;
	v->state = CONTINUITY_OFF;
	v->class = "up";
	snprintf(v->text, sizeof v->text, "the site takes mail again%s",
		 c->state == CONTINUITY_ON ? " and nothing waits for it any more" : "");
}

static void by_switch(struct continuity *c, const struct continuity_sight *seen, uint64_t now,
		      struct verdict_of *v, uint64_t *look_at)
{
	if (c->mode == CONTINUITY_MANUAL) {
		v->state = CONTINUITY_OFF;
		v->class = "operator";
		snprintf(v->text, sizeof v->text, "no order is given, and the switch is manual");
	} else if (is_well(seen->effective)) {
		when_well(c, seen, v);
	} else if (c->has_trouble && is_out(seen->effective)) {
		in_outage(c, seen, now, v, look_at);
	}
}

/* ---- */

static bool end_lease(struct continuity *c, uint64_t now, struct continuity_actions *out)
{
	if (c->order == HOLD_AUTO || now < c->order_until_us)
		return false;
	out->is_lease_over = true;
	out->lease_of = c->order;
	c->order = HOLD_AUTO;
	c->order_until_us = 0;
	return true;
}

void continuity_look(struct continuity *c, const struct continuity_sight *seen, uint64_t now,
		     struct continuity_actions *out)
{
	struct verdict_of v = {.class = "operator"};

	*out = (struct continuity_actions){0};
	(void)end_lease(c, now, out);
	note_trouble(c, seen->effective, now);
	c->is_blocked = false;
	keep(c, &v);
	if (c->order != HOLD_AUTO) {
		v.state = c->order == HOLD_ON ? CONTINUITY_ON : CONTINUITY_OFF;
		snprintf(v.text, sizeof v.text, "by an operator's order");
		out->look_again_at_us = c->order_until_us;
	} else {
		by_switch(c, seen, now, &v, &out->look_again_at_us);
	}
	if (v.state == c->state)
		return;
	c->state = v.state;
	out->is_changed = true;
	out->class = v.class;
	snprintf(out->reason, sizeof out->reason, "%s", v.text);
}
