/*
 * The sites: built from the configuration, fed with observations; records of their health machines written, and
 * sites.map published from what is recorded (W1).
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "tls/tls.h"
#include "os/os.h"
#include "publish/publish.h"

#define PUBLISH_EVERY_US (5 * WATCH_SECOND_US)
#define PUBLISH_VALID_US (15 * WATCH_SECOND_US)

struct say_metric watch_changes = {"holdfast_watch_site_changes_total", "Recorded changes of sites",
				   SAY_COUNTER, 0};

struct site *site_find(struct watch *w, struct span name)
{
	for (size_t i = 0; i < w->sites_n; i++) {
		if (span_eq(name, span_str(w->sites[i]->name)))
			return w->sites[i];
	}
	return NULL;
}

/* ---- records ---- */

/* One change on its way to the disk. */
struct change {
	struct watch *watch;
	char site[WATCH_NAME_BYTES];
	struct health_record record;
};

static const char *record_argument(const struct health_record *r)
{
	return r->verb == HEALTH_HOLD_END ? "auto" : health_state_name(r->to);
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct change *c = arg;
	struct site *s = site_find(c->watch, span_str(c->site));

	if (is_recorded && s && c->record.verb == HEALTH_SITE_STATE) {
		s->recorded = c->record.to;
		s->recorded_us = os_wall_us(c->watch->os);
		s->confidence = c->record.confidence;
		snprintf(s->evidence, sizeof s->evidence, "%s", c->record.reason);
		snprintf(s->class, sizeof s->class, "%s", health_layer_name(c->record.layer));
		say_count(&watch_changes, 1);
		say(SAY_NOTICE, "site.state", "site", SAY_STR(s->name), "was",
		    SAY_STR(health_state_name(c->record.from)), "is",
		    SAY_STR(health_state_name(s->recorded)), "class", SAY_STR(s->class),
		    "confidence", SAY_U64(s->confidence), "why", SAY_STR(s->evidence), NULL);
		if (!c->watch->is_stopping)
			site_publish(c->watch);
	}
	free(c);
}

static void write_record(struct site *s, const struct health_record *r)
{
	struct change *c = must_alloc(sizeof *c);
	struct act a = {.verb = health_verb_name(r->verb),
			.object = span_str(s->name),
			.argument = record_argument(r),
			.reason = r->reason,
			.class = r->verb == HEALTH_HOLD_END ? "site" : health_layer_name(r->layer),
			.confidence = r->confidence};
	struct job *j;

	*c = (struct change){.watch = s->watch, .record = *r};
	snprintf(c->site, sizeof c->site, "%s", s->name);
	if (r->verb == HEALTH_HOLD_END)
		s->hold = (struct override){.mode = HOLD_AUTO};
	j = job_new(false, on_recorded, c);
	job_act(s->watch, j, &a);
	books_write(s->watch, j);
}

/* ---- time ---- */

static void on_due(void *arg)
{
	struct site *s = arg;

	if (s->in_round)
		s->again = true;
	else
		probe_round(s);
}

static void probe_at(struct site *s, uint64_t due)
{
	uint64_t now = loop_now_us(s->watch->loop);

	s->due_us = due;
	loop_timer_set(s->timer, due > now ? due - now : 0);
}

/* `again` stays until a round begins: what is seen before that does not put the round off. */
void site_probe_soon(struct site *s)
{
	s->again = true;
	if (!s->in_round)
		probe_at(s, loop_now_us(s->watch->loop));
}

static void on_look(void *arg)
{
	site_see(arg, &(struct health_observation){.sight = SIGHT_TICK});
}

void site_follow(struct site *s, const struct health_actions *did)
{
	uint64_t now = loop_now_us(s->watch->loop), due = s->began_us + did->probe_every_us;

	for (size_t i = 0; i < did->records_n; i++)
		write_record(s, &did->records[i]);
	if (did->look_again_at_us)
		loop_timer_set(s->look,
			       did->look_again_at_us > now ? did->look_again_at_us - now : 0);
	else
		loop_timer_clear(s->look);
	if (did->probe_now)
		site_probe_soon(s);
	else if (!s->in_round && s->again)
		probe_at(s, now);
	else if (!s->in_round)
		probe_at(s, due);
	continuity_see(s);
}

void site_see(struct site *s, const struct health_observation *o)
{
	struct health_actions did;

	health_step(&s->health, o, loop_now_us(s->watch->loop), &did);
	site_follow(s, &did);
}

/* ---- configuration ---- */

static void primaries_free(struct site *s)
{
	probe_cancel(s);
	for (size_t i = 0; i < s->primaries_n; i++)
		host_fini(&s->primaries[i].host);
	free(s->primaries);
	s->primaries = NULL;
	s->primaries_n = 0;
}

static void primaries_make(struct site *s, const struct msg_site *m)
{
	size_t n = m->primaries_n < HEALTH_PRIMARIES_MAX ? m->primaries_n : HEALTH_PRIMARIES_MAX;

	s->primaries = must_alloc(sizeof *s->primaries * (n ? n : 1));
	s->primaries_n = n;
	for (size_t i = 0; i < n; i++) {
		struct primary *p = &s->primaries[i];

		*p = (struct primary){.site = s,
				      .port = m->primaries[i].port,
				      .weight = m->primaries[i].weight,
				      .priority = m->primaries[i].priority};
		host_init(s->watch, &p->host, m->primaries[i].host, probe_host_ready);
	}
}

static struct health_limits limits_of(const struct msg_site *m)
{
	enum health_hold hold = HOLD_AUTO;
	struct health_limits l;

	(void)health_hold_parse(m->hold, &hold);
	health_limits_default(&l, m->probe_every_ms, m->probe_fail, m->probe_recover, hold);
	return l;
}

static bool same_primaries(const struct site *s, const struct msg_site *m)
{
	if (s->primaries_n != m->primaries_n)
		return false;
	for (size_t i = 0; i < m->primaries_n; i++) {
		if (!span_eq(m->primaries[i].host, span_str(s->primaries[i].host.name)) ||
		    m->primaries[i].port != s->primaries[i].port)
			return false;
	}
	return true;
}

static struct site *site_new(struct watch *w, const struct msg_site *m)
{
	struct health_limits l = limits_of(m);
	struct site *s = must_alloc(sizeof *s);

	s->watch = w;
	snprintf(s->name, sizeof s->name, "%.*s", SPAN_FMT(m->name));
	s->timer = loop_timer_new(w->loop, on_due, s);
	s->look = loop_timer_new(w->loop, on_look, s);
	s->recorded_us = os_wall_us(w->os);
	s->timeline = timeline_new(w->config->sites_n);
	health_init(&s->health, &l, loop_now_us(w->loop));
	return s;
}

static void site_free(struct site *s)
{
	primaries_free(s);
	loop_timer_free(s->timer);
	loop_timer_free(s->look);
	continuity_fini(s);
	timeline_free(s->timeline);
	tls_context_unref(s->tls);
	free(s);
}

static void site_set(struct site *s, const struct msg_site *m)
{
	struct health_limits l = limits_of(m);
	struct health_actions did;

	snprintf(s->recipient, sizeof s->recipient, "%.*s", SPAN_FMT(m->probe_recipient));
	tls_context_unref(s->tls);
	s->tls = primary_tls_for(s->watch->tls, m);
	s->tls_required = primary_tls_is_required(m);
	continuity_configure(s, m);
	if (!same_primaries(s, m)) {
		primaries_free(s);
		primaries_make(s, m);
	}
	if (!s->watch->is_running) {
		s->health.limits = l;
		return;
	}
	health_configure(&s->health, &l, loop_now_us(s->watch->loop), &did);
	site_follow(s, &did);
	site_probe_soon(s);
}

void sites_configure(struct watch *w)
{
	const struct msg_config *c = w->config;
	struct site **old = w->sites, **now = must_alloc((c->sites_n + 1) * sizeof *now);
	size_t old_n = w->sites_n;

	for (size_t i = 0; i < c->sites_n; i++) {
		for (size_t k = 0; k < old_n && !now[i]; k++) {
			if (old[k] && span_eq(c->sites[i].name, span_str(old[k]->name))) {
				now[i] = old[k];
				old[k] = NULL;
			}
		}
		if (!now[i])
			now[i] = site_new(w, &c->sites[i]);
	}
	w->sites = now;
	w->sites_n = c->sites_n;
	for (size_t i = 0; i < old_n; i++) {
		if (old[i])
			site_free(old[i]);
	}
	free(old);
	for (size_t i = 0; i < c->sites_n; i++)
		site_set(now[i], &c->sites[i]);
}

void sites_start(struct watch *w)
{
	uint64_t now = loop_now_us(w->loop), wall = os_wall_us(w->os);

	w->is_running = true;
	for (size_t i = 0; i < w->sites_n; i++) {
		struct site *s = w->sites[i];
		struct health_limits l = s->health.limits;
		struct health_actions did;

		if (s->past.any || s->hold.mode != HOLD_AUTO)
			health_restore(&s->health, s->past.seen, s->past.effective, s->hold.mode,
				       health_lease_left(s->hold.given_us, s->hold.until_us, wall),
				       now);
		s->recorded = s->health.effective;
		continuity_restore(s);
		health_configure(&s->health, &l, now, &did);
		site_follow(s, &did);
		site_probe_soon(s);
	}
}

void sites_stop(struct watch *w)
{
	for (size_t i = 0; i < w->sites_n; i++)
		site_free(w->sites[i]);
	free(w->sites);
	w->sites = NULL;
	w->sites_n = 0;
	loop_timer_free(w->publish_timer);
	w->publish_timer = NULL;
}

/* ---- sites.map ---- */

static void on_publish(void *arg)
{
	site_publish(arg);
	learned_look(arg);
}

/* UP means provably up: edge then sends mail of gated domains there. Up by an operator's word alone is less. */
static enum health_state published(const struct site *s)
{
	return s->recorded == HEALTH_UP && s->health.state != HEALTH_UP ? HEALTH_SUSPECT
									: s->recorded;
}

void site_publish(struct watch *w)
{
	struct publish_writer *p = publish_begin();
	char path[4200], key[WATCH_NAME_BYTES + 1];
	struct fault why = {""};
	bool was = w->publish_is_broken;

	for (size_t i = 0; i < w->sites_n; i++)
		publish_add(p, span_str(w->sites[i]->name), (uint32_t)published(w->sites[i]));
	LIST_EACH (l, &w->domain_holds.orders) {
		struct domain_order *d = ORDER_OF(l);

		snprintf(key, sizeof key, "@%s", d->name);
		publish_add(p, span_str(key), d->o.mode == HOLD_ON ? HEALTH_DOWN : HEALTH_SUSPECT);
	}
	snprintf(path, sizeof path, "%s/publish/sites.map", role_data(w->role));
	w->publish_is_broken = publish_commit(p, w->os, path, PUBLISH_VALID_US, &why) != OK;
	if (w->publish_is_broken && !was)
		say(SAY_WARNING, "sites.unpublished", "why", SAY_STR(why.text), NULL);
	if (!w->publish_timer)
		w->publish_timer = loop_timer_new(w->loop, on_publish, w);
	loop_timer_set(w->publish_timer, PUBLISH_EVERY_US);
}
