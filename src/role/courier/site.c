/*
 * Sites: jobs wait here in lease order; sessions to the primaries take them. A primary is chosen by
 * priority, then by the least sessions for its weight. One that failed is left alone for a while if
 * there is another; the only one is tried again after LEAST_PAUSE_US, so that a site that is back
 * gets its mail at once. Until a primary has proved itself, one session at a time goes there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/common/role.h"
#include "tls/tls.h"
#include "role/courier/courier.h"
#include "say/say.h"

#define LEAST_PAUSE_US 500000u
#define MOST_PAUSE_US  30000000u
#define PATIENCE_US    1000000u
#define SMTP_PORT      25
#define IDLE_US	       300000000u /* as long as a route is fresh */
#define SWEEP_EVERY_US 60000000u

/* ---- configuration ---- */

struct site *site_new(struct courier *c, struct span key, struct span name)
{
	struct site *s = must_alloc(sizeof *s);

	s->c = c;
	s->key = must_alloc(key.n + 1);
	memcpy(s->key, key.p, key.n);
	s->name = must_alloc(name.n + 1);
	if (name.n)
		memcpy(s->name, name.p, name.n);
	list_init(&s->primaries);
	list_init(&s->sessions);
	list_init(&s->waiting);
	results_init(s);
	(void)map_put(&c->sites, key, s);
	return s;
}

struct primary *site_primary(struct site *s, struct span host, uint16_t port)
{
	struct primary *p;

	LIST_EACH (at, &s->primaries) {
		p = LIST_ENTRY(at, struct primary, at);
		if (p->port == port && span_eq_nocase(span_str(p->host), host))
			return p;
	}
	p = must_alloc(sizeof *p);
	p->host = must_alloc(host.n + 1);
	if (host.n)
		memcpy(p->host, host.p, host.n);
	p->port = port;
	p->weight = 1;
	list_append(&s->primaries, &p->at);
	return p;
}

/* Our share of a limit that holds for all couriers together. */
static unsigned share_of(const struct courier *c, unsigned all)
{
	const struct msg_config *config = role_config(c->role);
	unsigned couriers = config->couriers ? config->couriers : 1;
	unsigned share = all / couriers + (role_instance(c->role) < all % couriers);

	return share ? share : 1;
}

static void site_set_tls(struct site *s, const struct msg_site *from)
{
	tls_context_unref(s->tls);
	s->tls = primary_tls_for(s->c->tls, from);
	s->tls_required = primary_tls_is_required(from);
}

static void site_configure(struct courier *c, const struct msg_site *from)
{
	struct site *s = map_get(&c->sites, from->name);

	if (!s)
		s = site_new(c, from->name, from->name);
	s->concurrency = share_of(c, from->concurrency ? from->concurrency : 20);
	site_set_tls(s, from);
	for (size_t i = 0; i < from->primaries_n; i++) {
		const struct msg_primary *wanted = &from->primaries[i];
		struct primary *p =
			site_primary(s, wanted->host, wanted->port ? wanted->port : SMTP_PORT);

		p->weight = wanted->weight ? wanted->weight : 1;
		p->priority = wanted->priority;
		p->is_gone = false;
	}
}

void sites_configure(struct courier *c)
{
	const struct msg_config *config = role_config(c->role);
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->sites, &cursor, &name, &value)) {
		LIST_EACH (at, &((struct site *)value)->primaries)
			LIST_ENTRY(at, struct primary, at)->is_gone = true;
	}
	for (size_t i = 0; i < config->sites_n; i++)
		site_configure(c, &config->sites[i]);
}

/* "host", "host:port", "[2001:db8::1]:port": where an operator wants it. */
static void split_port(struct span *host, uint16_t *port)
{
	ssize_t colon = span_rchr(*host, ':');
	uint64_t n;

	*port = SMTP_PORT;
	if (colon <= 0 || !span_to_u64(span_from(*host, (size_t)colon + 1), 65535, &n) || !n)
		return;
	if (host->p[0] != '[' && span_chr(*host, ':') != colon)
		return; /* an IPv6 address without brackets */
	if (host->p[0] == '[' && host->p[colon - 1] != ']')
		return;
	*port = (uint16_t)n;
	*host = span_first(*host, (size_t)colon);
}

static const struct msg_site *config_of(const struct courier *c, struct span site)
{
	const struct msg_config *config = role_config(c->role);

	for (size_t i = 0; i < config->sites_n; i++)
		if (span_eq(config->sites[i].name, site))
			return &config->sites[i];
	return NULL;
}

/* To where an operator wants it; what the site asks of TLS holds there too. */
static struct site *site_redirected(struct courier *c, const struct msg_lease *lease)
{
	const struct msg_site *home = config_of(c, lease->site);
	static const struct msg_site none;
	struct span host = lease->redirect_host;
	struct buf key = {0};
	struct site *s;
	uint16_t port;

	buf_printf(&key, ">%.*s %.*s", SPAN_FMT(host), SPAN_FMT(lease->site));
	s = map_get(&c->sites, buf_span(&key));
	if (!s) {
		s = site_new(c, buf_span(&key), lease->site);
		s->is_redirect = true;
		s->concurrency = COURIER_REDIRECT_SESSIONS;
		split_port(&host, &port);
		(void)site_primary(s, host, port);
	}
	site_set_tls(s, home ? home : &none);
	site_used(s);
	buf_fini(&key);
	return s;
}

bool site_has_primary(const struct site *s)
{
	LIST_EACH (at, &s->primaries) {
		if (!LIST_ENTRY(at, struct primary, at)->is_gone)
			return true;
	}
	return false;
}

struct site *site_for_lease(struct courier *c, const struct msg_lease *lease)
{
	struct site *s;

	if (lease->redirect_host.n)
		return site_redirected(c, lease);
	if (world_is_destination(lease->site))
		return world_site(c, lease->site);
	s = map_get(&c->sites, lease->site);
	return s && site_has_primary(s) ? s : NULL;
}

/* ---- waiting ---- */

void site_put(struct site *s, struct job *job)
{
	if (!s->waiting_n)
		s->waiting_since_us = loop_now_us(s->c->loop);
	list_append(&s->waiting, &job->at);
	s->waiting_n++;
	site_push(s);
}

void site_put_back(struct site *s, struct job *job)
{
	list_append(s->waiting.next,
		    &job->at); /* before the first: appended to it as if it were the head */
	s->waiting_n++;
	site_push(s);
}

struct job *site_take(struct site *s)
{
	struct list *first = list_shift(&s->waiting);

	if (!first)
		return NULL;
	s->waiting_n--;
	return LIST_ENTRY(first, struct job, at);
}

void site_drop_waiting(struct site *s, const char *reason)
{
	struct job *j;

	while ((j = site_take(s)))
		job_give_back(j, reason);
}

void site_stop(struct courier *c, struct span name)
{
	struct site *s = map_get(&c->sites, name);

	if (s)
		site_drop_waiting(s, "the site was stopped");
}

/* ---- primaries ---- */

static uint64_t pause_of(const struct primary *p)
{
	unsigned doublings = p->failures > 6 ? 6 : p->failures - 1;
	uint64_t pause = (uint64_t)LEAST_PAUSE_US << doublings;

	return pause < MOST_PAUSE_US ? pause : MOST_PAUSE_US;
}

static bool may_use(const struct site *s, const struct primary *p, uint64_t now_us,
		    bool is_last_resort)
{
	if (p->is_gone)
		return false;
	if (!p->is_proven && p->sessions && now_us - p->started_us < PATIENCE_US)
		return false; /* one at a time until it has come up; a hung one holds up no other */
	if (s->is_world &&
	    is_last_resort) /* once for those that wait, however short ago it failed others */
		return !p->failures || p->failed_us < s->waiting_since_us;
	return !p->failures ||
	       now_us - p->failed_us >= (is_last_resort ? LEAST_PAUSE_US : pause_of(p));
}

static bool is_better(const struct primary *a, const struct primary *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return (uint64_t)(a->sessions + 1) * b->weight < (uint64_t)(b->sessions + 1) * a->weight;
}

static struct primary *choose(const struct site *s, bool is_last_resort)
{
	uint64_t now = loop_now_us(s->c->loop);
	struct primary *best = NULL;

	LIST_EACH (at, &s->primaries) {
		struct primary *p = LIST_ENTRY(at, struct primary, at);

		if (may_use(s, p, now, is_last_resort) && (!best || is_better(p, best)))
			best = p;
	}
	return best;
}

void site_primary_failed(struct site *s, struct primary *p, const char *why)
{
	p->failures++;
	p->is_proven = false;
	p->failed_us = loop_now_us(s->c->loop);
	(void)snprintf(s->last_fault, sizeof s->last_fault, "%s: %.200s", p->host, why);
	say(SAY_INFO, "primary.failed", "site", SAY_STR(s->name), "host", SAY_STR(p->host),
	    "failures", SAY_U64(p->failures), "why", SAY_STR(why), NULL);
}

void site_primary_worked(struct site *s, struct primary *p)
{
	bool was_proven = p->is_proven;

	p->failures = 0;
	p->is_proven = true;
	if (!was_proven)
		site_push(s);
}

/* ---- sessions ---- */

static size_t free_sessions(const struct site *s)
{
	size_t n = 0;

	LIST_EACH (at, &s->sessions)
		n += session_is_free(session_of(at));
	return n;
}

static void wake_sessions(struct site *s)
{
	LIST_EACH_SAFE (at, &s->sessions) {
		if (s->waiting_n && session_is_free(session_of(at)))
			session_drive(session_of(at));
	}
}

static void open_sessions(struct site *s)
{
	while (s->waiting_n > free_sessions(s) && s->sessions_n < s->concurrency) {
		struct primary *p = choose(s, false);

		if (!p && !s->sessions_n)
			p = choose(s, true);
		if (!p)
			break;
		session_start(s, p);
	}
	if (!s->waiting_n || s->sessions_n)
		return;
	if (s->is_world)
		world_unreached(s,
				s->last_fault[0] ? s->last_fault : "no mail exchanger can be used");
	else
		site_drop_waiting(s, s->last_fault[0] ? s->last_fault : "no primary can be used");
}

void site_push(struct site *s)
{
	if (s->is_pushing || !s->waiting_n || (s->is_world && !world_is_routed(s)))
		return;
	s->is_pushing = true;
	wake_sessions(s);
	open_sessions(s);
	s->is_pushing = false;
}

/* ---- all sites ---- */

static void each_site(struct courier *c, void (*what)(struct site *s))
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->sites, &cursor, &name, &value))
		what(value);
}

static void clerk_gone(struct site *s)
{
	site_drop_waiting(s, "the clerk is away");
	LIST_EACH_SAFE (at, &s->sessions)
		session_clerk_gone(session_of(at));
}

void sites_clerk_gone(struct courier *c)
{
	each_site(c, clerk_gone);
}

static void forget_told(struct site *s)
{
	s->told = (struct msg_site_limits){0};
}

void sites_watch_new(struct courier *c)
{
	each_site(c, forget_told);
}

static void stop_one(struct site *s)
{
	site_drop_waiting(s, "the courier is stopping");
	LIST_EACH_SAFE (at, &s->sessions)
		session_stop(session_of(at));
}

void sites_stop(struct courier *c)
{
	each_site(c, stop_one);
}

static void site_free(void *value)
{
	struct site *s = value;
	struct list *first;

	while ((first = list_shift(&s->primaries))) {
		struct primary *p = LIST_ENTRY(first, struct primary, at);

		tls_context_unref(p->tls);
		free(p->host);
		free(p);
	}
	loop_timer_free(s->route_deadline);
	results_fini(s);
	tls_context_unref(s->tls);
	free(s->key);
	free(s->name);
	free(s);
}

/* What has a job, waiting or recorded, stays. */
static void mark_used(struct courier *c)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->sites, &cursor, &name, &value))
		((struct site *)value)->is_used = false;
	cursor = 0;
	while (map_next(&c->jobs, &cursor, &name, &value))
		if (((struct job *)value)->site)
			((struct job *)value)->site->is_used = true;
}

static bool is_idle(const struct site *s, uint64_t now_us)
{
	return s->is_redirect && !s->is_used && !s->sessions_n && !s->waiting_n && !s->question &&
	       !s->is_pushing && now_us - s->used_us >= IDLE_US;
}

/* Very many destinations cost no memory for longer than they are written to. */
static void sweep(struct courier *c, uint64_t now_us)
{
	struct list idle;
	struct list *first;
	size_t cursor = 0;
	struct span name;
	void *value;

	list_init(&idle);
	mark_used(c);
	while (map_next(&c->sites, &cursor, &name, &value))
		if (is_idle(value, now_us))
			list_append(&idle, &((struct site *)value)->in_sweep);
	while ((first = list_shift(&idle))) {
		struct site *s = LIST_ENTRY(first, struct site, in_sweep);

		map_remove(&c->sites, span_str(s->key));
		site_free(s);
	}
}

void site_used(struct site *s)
{
	struct courier *c = s->c;
	uint64_t now_us = loop_now_us(c->loop);

	s->used_us = now_us;
	if (now_us - c->swept_us < SWEEP_EVERY_US)
		return;
	c->swept_us = now_us;
	sweep(c, now_us);
}

void sites_free(struct courier *c)
{
	map_fini(&c->sites, site_free);
}
