/*
 * Holds by command, of sites and of single domains, each with a lease. A site's goes through its health machine; a
 * domain's has no machine: the act names the domain (class "domain") and the clerk lays it over the site's state.
 *
 * A lease is a span of time and runs on the monotonic clock; `until` in the record is the wall clock when it was given
 * plus that span. After a restart what is left is `until` minus the wall clock, at most the whole span: a wall clock
 * that jumped back makes a lease no longer than it was, one that jumped ahead ends it early, loudly (K-09).
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

#define HOLD_OF(l) LIST_ENTRY(l, struct domain_hold, on_watch)

static struct domain_hold *find(struct watch *w, struct span name)
{
	LIST_EACH (l, &w->domain_holds) {
		if (span_eq_nocase(name, span_str(HOLD_OF(l)->name)))
			return HOLD_OF(l);
	}
	return NULL;
}

static bool is_domain(struct watch *w, struct span name)
{
	for (size_t i = 0; i < w->config->domains_n; i++) {
		if (span_eq_nocase(name, w->config->domains[i].name))
			return true;
	}
	return find(w, name) != NULL;
}

bool hold_is_target(struct watch *w, struct span target)
{
	return site_find(w, target) || is_domain(w, target);
}

static void drop(struct domain_hold *d)
{
	list_remove(&d->on_watch);
	loop_timer_free(d->timer);
	free(d);
}

static void on_lease_recorded(void *arg, bool is_recorded)
{
	struct watch *w = arg;

	if (is_recorded && !w->is_stopping)
		site_publish(w);
}

static void on_lease_over(void *arg)
{
	struct domain_hold *d = arg;
	struct watch *w = d->watch;
	char reason[120];
	struct act a = {.verb = "hold.set",
			.object = span_str(d->name),
			.argument = "auto",
			.class = "domain",
			.reason = reason,
			.confidence = 100};
	struct job *j = job_new(false, on_lease_recorded, w);

	snprintf(reason, sizeof reason, "the lease of hold %s is over",
		 health_hold_name(d->o.mode));
	say(SAY_WARNING, "hold.over", "domain", SAY_STR(d->name), "mode",
	    SAY_STR(health_hold_name(d->o.mode)), NULL);
	job_act(w, j, &a);
	drop(d);
	books_write(w, j);
}

static void put(struct watch *w, struct span name, const struct override *o, uint64_t for_us)
{
	struct domain_hold *d = find(w, name);

	if (o->mode == HOLD_AUTO) {
		if (d)
			drop(d);
		return;
	}
	if (!d) {
		d = must_alloc(sizeof *d);
		list_init(&d->on_watch);
		list_append(&w->domain_holds, &d->on_watch);
		d->watch = w;
		d->timer = loop_timer_new(w->loop, on_lease_over, d);
		snprintf(d->name, sizeof d->name, "%.*s", SPAN_FMT(name));
		for (char *c = d->name; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	}
	d->o = *o;
	d->until_mono_us = loop_now_us(w->loop) + for_us;
	if (w->is_running)
		loop_timer_set(d->timer, for_us);
}

void hold_restore_domain(struct watch *w, struct span name, const struct override *o)
{
	put(w, name, o, health_lease_left(o->given_us, o->until_us, os_wall_us(w->os)));
}

void holds_start(struct watch *w)
{
	uint64_t now = loop_now_us(w->loop);

	LIST_EACH (l, &w->domain_holds) {
		struct domain_hold *d = HOLD_OF(l);

		loop_timer_set(d->timer, d->until_mono_us > now ? d->until_mono_us - now : 0);
	}
}

void holds_stop(struct watch *w)
{
	LIST_EACH_SAFE (l, &w->domain_holds)
		drop(HOLD_OF(l));
}

void hold_set(struct watch *w, struct span target, enum health_hold mode, uint64_t for_us,
	      const char *by, const char *reason, const char *id, struct job *j)
{
	struct override o = {.mode = mode, .given_us = os_wall_us(w->os)};
	struct site *s = site_find(w, target);
	struct act a = {.verb = "hold.set",
			.object = s ? span_str(s->name) : target,
			.argument = health_hold_name(mode),
			.class = s ? "site" : "domain",
			.reason = reason,
			.actor = by,
			.confidence = 100};
	struct health_actions did;

	o.until_us = mode == HOLD_AUTO ? 0 : o.given_us + for_us;
	a.until_us = o.until_us;
	snprintf(a.id, sizeof a.id, "%s", id);
	snprintf(o.by, sizeof o.by, "%s", by);
	snprintf(o.reason, sizeof o.reason, "%s", reason);
	job_act(w, j, &a);
	books_begin(w);
	books_write(w, j); /* before what follows from it, which site_follow writes */
	if (!s) {
		put(w, target, &o, for_us);
		books_commit(w);
		return;
	}
	s->hold = o;
	health_step(&s->health,
		    &(struct health_observation){
			    .sight = SIGHT_HOLD,
			    .hold = {mode, for_us, span_str(by), span_str(reason)}},
		    loop_now_us(w->loop), &did);
	site_follow(s, &did);
	books_commit(w);
}

/* The act could not be written: what was decided on it is taken back. */
void hold_put_back(struct watch *w, struct span target)
{
	static const char reason[] = "the command could not be recorded";
	struct override none = {.mode = HOLD_AUTO};
	struct site *s = site_find(w, target);
	struct health_actions did;

	if (!s) {
		put(w, target, &none, 0);
		return;
	}
	s->hold = none;
	health_step(&s->health,
		    &(struct health_observation){
			    .sight = SIGHT_HOLD,
			    .hold = {HOLD_AUTO, 0, SPAN_LIT("watch"), span_str(reason)}},
		    loop_now_us(w->loop), &did);
	site_follow(s, &did);
}
