/*
 * Continuity of sites (src/health/continuity.h decides) and orders for single domains. An order of a site goes through its
 * machine; a domain's has none: its act names the domain (class "domain") and beats what its site says, as with holds.
 * Leases as in hold.c. What counts outside is what is recorded (W1): desk and portal learn it from the views.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

#define QUEUE_FRESH_US (5 * WATCH_SECOND_US)

/* ---- records of a site's state ---- */

struct change {
	struct watch *watch;
	char site[WATCH_NAME_BYTES];
	enum continuity_state to;
	char class[16], reason[HEALTH_TEXT_BYTES];
};

static void on_recorded(void *arg, bool is_recorded)
{
	struct change *c = arg;
	struct site *s = site_find(c->watch, span_str(c->site));

	if (is_recorded && s) {
		s->continuity.recorded = c->to;
		s->continuity.recorded_us = os_wall_us(c->watch->os);
		snprintf(s->continuity.class, sizeof s->continuity.class, "%s", c->class);
		snprintf(s->continuity.reason, sizeof s->continuity.reason, "%s", c->reason);
		say(SAY_NOTICE, "site.continuity", "site", SAY_STR(s->name), "is",
		    SAY_STR(continuity_state_name(c->to)), "class", SAY_STR(c->class), "why",
		    SAY_STR(c->reason), NULL);
	}
	free(c);
}

static void write_state(struct site *s, const struct continuity_actions *did)
{
	struct change *c = must_alloc(sizeof *c);
	struct act a = {.verb = "continuity.state",
			.object = span_str(s->name),
			.argument = continuity_state_name(s->continuity.machine.state),
			.reason = did->reason,
			.class = did->class,
			.confidence = 100};
	struct job *j;

	*c = (struct change){.watch = s->watch, .to = s->continuity.machine.state};
	snprintf(c->site, sizeof c->site, "%s", s->name);
	snprintf(c->class, sizeof c->class, "%s", did->class);
	snprintf(c->reason, sizeof c->reason, "%s", did->reason);
	j = job_new(false, on_recorded, c);
	job_act(s->watch, j, &a);
	books_write(s->watch, j);
}

static void write_lease_end(struct watch *w, const char *name, bool is_site, enum health_hold was)
{
	char reason[120];
	struct act a = {.verb = "continuity.set",
			.object = span_str(name),
			.argument = "auto",
			.class = is_site ? "site" : "domain",
			.reason = reason,
			.confidence = 100};
	struct job *j = job_new(false, NULL, NULL);

	snprintf(reason, sizeof reason, "the lease of continuity %s is over",
		 health_hold_name(was));
	say(SAY_WARNING, "continuity.over", "target", SAY_STR(name), "mode",
	    SAY_STR(health_hold_name(was)), NULL);
	job_act(w, j, &a);
	books_write(w, j);
}

static void on_look(void *arg)
{
	continuity_see(arg);
}

void continuity_see(struct site *s)
{
	struct site_continuity *c = &s->continuity;
	uint64_t now = loop_now_us(s->watch->loop);
	struct continuity_sight seen = {
		.effective = s->health.effective,
		.own_network_down = !health_may_act_outside(&s->health),
		.nothing_waits =
			c->is_counted && !c->waiting && now - c->counted_us < QUEUE_FRESH_US,
	};
	struct continuity_actions did;

	if (!s->watch->is_running)
		return;
	continuity_look(&c->machine, &seen, now, &did);
	if (did.is_lease_over) {
		c->order = (struct override){.mode = HOLD_AUTO};
		write_lease_end(s->watch, s->name, true, did.lease_of);
	}
	if (did.is_changed)
		write_state(s, &did);
	if (!c->look)
		c->look = loop_timer_new(s->watch->loop, on_look, s);
	if (did.look_again_at_us)
		loop_timer_set(c->look,
			       did.look_again_at_us > now ? did.look_again_at_us - now : 0);
	else
		loop_timer_clear(c->look);
}

void continuity_waits(struct site *s, uint64_t waiting)
{
	s->continuity.is_counted = true;
	s->continuity.waiting = waiting;
	s->continuity.counted_us = loop_now_us(s->watch->loop);
	continuity_see(s);
}

void continuity_configure(struct site *s, const struct msg_site *m)
{
	enum continuity_switch mode = CONTINUITY_AUTO;

	(void)continuity_switch_parse(m->continuity_switch, &mode);
	s->continuity.machine.mode = mode;
	s->continuity.machine.after_us = (uint64_t)m->continuity_after_ms * 1000;
}

void continuity_fini(struct site *s)
{
	loop_timer_free(s->continuity.look);
	s->continuity.look = NULL;
}

/* ---- at start: what past_read found ---- */

void continuity_restore(struct site *s)
{
	struct site_continuity *c = &s->continuity;
	uint64_t now = loop_now_us(s->watch->loop);

	c->machine.state = c->recorded;
	continuity_order(
		&c->machine, c->order.mode,
		health_lease_left(c->order.given_us, c->order.until_us, os_wall_us(s->watch->os)),
		now);
}

void continuity_past_state(struct watch *w, const struct msg_act_meta *m, uint64_t at_us)
{
	struct site *s = site_find(w, m->object);
	struct site_continuity *c = s ? &s->continuity : NULL;

	if (!c || !continuity_state_parse(m->argument, &c->recorded))
		return;
	c->recorded_us = at_us;
	snprintf(c->class, sizeof c->class, "%.*s", SPAN_FMT(m->class));
	snprintf(c->reason, sizeof c->reason, "%.*s", SPAN_FMT(m->reason));
}

/* ---- orders ---- */

void continuity_over(struct watch *w, const char *domain, enum health_hold was)
{
	write_lease_end(w, domain, false, was);
}

void continuity_past_order(struct watch *w, const struct msg_act_meta *m, uint64_t at_us)
{
	struct site *s = site_find(w, m->object);
	struct override o;

	if (!override_read(m, at_us, &o))
		return;
	if (span_eq(m->class, SPAN_LIT("domain")))
		orders_restore(&w->domain_continuity, m->object, &o);
	else if (s)
		s->continuity.order = o;
}

static void give(struct watch *w, struct span target, const struct override *o, uint64_t for_us)
{
	struct site *s = site_find(w, target);

	if (!s) {
		orders_put(&w->domain_continuity, target, o, for_us);
		return;
	}
	s->continuity.order = *o;
	continuity_order(&s->continuity.machine, o->mode, for_us, loop_now_us(w->loop));
	continuity_see(s);
}

void continuity_set(struct watch *w, struct span target, enum health_hold mode, uint64_t for_us,
		    const char *by, const char *reason, const char *id, struct job *j)
{
	struct override o = {.mode = mode, .given_us = os_wall_us(w->os)};
	struct site *s = site_find(w, target);
	struct act a = {.verb = "continuity.set",
			.object = s ? span_str(s->name) : target,
			.argument = health_hold_name(mode),
			.class = s ? "site" : "domain",
			.reason = reason,
			.actor = by,
			.confidence = 100};

	o.until_us = mode == HOLD_AUTO ? 0 : o.given_us + for_us;
	a.until_us = o.until_us;
	snprintf(a.id, sizeof a.id, "%s", id);
	snprintf(o.by, sizeof o.by, "%s", by);
	snprintf(o.reason, sizeof o.reason, "%s", reason);
	job_act(w, j, &a);
	books_begin(w);
	books_write(w, j); /* before what follows from it */
	give(w, target, &o, for_us);
	books_commit(w);
}

/* The order could not be written: it does not hold. */
void continuity_put_back(struct watch *w, struct span target)
{
	static const struct override none = {.mode = HOLD_AUTO};

	give(w, target, &none, 0);
}
