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

#include "loop/loop.h"
#include "os/os.h"

static bool is_domain(struct watch *w, struct span name)
{
	for (size_t i = 0; i < w->config->domains_n; i++) {
		if (span_eq_nocase(name, w->config->domains[i].name))
			return true;
	}
	return orders_find(&w->domain_holds, name) || orders_find(&w->domain_continuity, name);
}

bool hold_is_target(struct watch *w, struct span target)
{
	return site_find(w, target) || is_domain(w, target);
}

static void on_lease_recorded(void *arg, bool is_recorded)
{
	struct watch *w = arg;

	if (is_recorded && !w->is_stopping)
		site_publish(w);
}

void hold_over(struct watch *w, const char *domain, enum health_hold was)
{
	char reason[120];
	struct act a = {.verb = "hold.set",
			.object = span_str(domain),
			.argument = "auto",
			.class = "domain",
			.reason = reason,
			.confidence = 100};
	struct job *j = job_new(false, on_lease_recorded, w);

	snprintf(reason, sizeof reason, "the lease of hold %s is over", health_hold_name(was));
	say(SAY_WARNING, "hold.over", "domain", SAY_STR(domain), "mode",
	    SAY_STR(health_hold_name(was)), NULL);
	job_act(w, j, &a);
	books_write(w, j);
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
		orders_put(&w->domain_holds, target, &o, for_us);
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
		orders_put(&w->domain_holds, target, &none, 0);
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
