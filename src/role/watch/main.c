/*
 * holdfast-watch: glue. What comes from outside is handed to the part it is for; see internal.h for the invariants
 * and README.md for the map.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/primary_tls.h"

/* A courier. */
struct peer {
	struct list on_watch;
	struct watch *watch;
	struct link *link;
	unsigned instance;
};

/* ---- couriers: passive evidence ---- */

static bool is_connecting(struct span stage)
{
	return span_eq(stage, SPAN_LIT("connect")) || span_eq(stage, SPAN_LIT("greeting")) ||
	       span_eq(stage, SPAN_LIT("ehlo")) || span_eq(stage, SPAN_LIT("tls"));
}

static bool has_counts(const struct health_delivery *d)
{
	return d->accepted || d->refused_good || d->refused_unknown || d->deferred;
}

/* A broken transaction comes without counts: it says at least how one recipient's attempt ended. */
static void count_one(struct health_delivery *d, struct span stage)
{
	if (has_counts(d) || d->at_connection)
		return;
	d->accepted = d->attempt == ATTEMPT_ACCEPTED;
	d->deferred = d->attempt == ATTEMPT_4XX;
	d->refused_unknown = d->attempt == ATTEMPT_5XX;
	d->at_connection = d->attempt == ATTEMPT_UNREACHED && is_connecting(stage);
}

static void take_evidence(struct watch *w, const struct msg_delivery_evidence *m)
{
	struct health_observation o = {.sight = SIGHT_DELIVERY};
	struct site *s = site_find(w, m->site);
	char detail[WATCH_TEXT_BYTES];

	if (!s || m->attempt > ATTEMPT_LOST)
		return;
	snprintf(detail, sizeof detail, "%.*s at %.*s: %.*s", SPAN_FMT(span_first(m->host, 120)),
		 SPAN_FMT(span_first(m->stage, 20)), SPAN_FMT(span_first(m->text, 150)));
	o.delivery = (struct health_delivery){
		.attempt = (enum attempt)m->attempt,
		.at_connection = m->at_connection,
		.accepted = m->accepted,
		.refused_good = m->refused_good,
		.refused_unknown = m->refused_unknown,
		.deferred = m->deferred,
		.granted_us = m->granted_us,
		.detail = span_str(detail),
	};
	/* Answers to what was granted before probation began say nothing about it. */
	if (has_counts(&o.delivery) && s->health.state == HEALTH_PROBATION &&
	    m->phase != PHASE_PROBATION)
		return;
	count_one(&o.delivery, m->stage);
	timeline_delivery(s, &o.delivery);
	site_see(s, &o);
}

static bool on_courier(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_delivery_evidence m;
	struct msg_site_limits limits;
	struct peer *p = arg;
	bool ok = false;
	struct arena a;

	(void)l;
	arena_init(&a, LINK_FRAME_LIMIT_BYTES);
	if (type == MSG_DELIVERY_EVIDENCE && msg_delivery_evidence_decode(&a, body, &m)) {
		take_evidence(p->watch, &m);
		ok = true;
	} else if (type == MSG_SITE_LIMITS && msg_site_limits_decode(&a, body, &limits)) {
		learned_limits(p->watch, &limits);
		ok = true;
	}
	arena_fini(&a);
	return ok;
}

static void on_courier_closed(void *arg, struct link *l)
{
	struct peer *p = arg;

	(void)l;
	role_link_lost(p->watch->role, ROLE_COURIER, p->instance);
	list_remove(&p->on_watch);
	free(p);
}

static void courier_link(struct watch *w, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_courier, on_courier_closed, NULL};
	struct peer *p = must_alloc(sizeof *p);

	p->watch = w;
	p->instance = instance;
	list_init(&p->on_watch);
	list_append(&w->couriers, &p->on_watch);
	p->link = link_new(w->loop, fd, &ops, p);
}

/* ---- the clerk: what waits ---- */

static bool on_clerk(void *arg, struct link *l, unsigned type, struct span body)
{
	struct health_observation o = {.sight = SIGHT_QUEUE};
	struct msg_site_queue m;
	struct watch *w = arg;
	struct site *s;
	struct arena a;
	bool ok;

	(void)l;
	if (type != MSG_SITE_QUEUE)
		return false;
	arena_init(&a, LINK_FRAME_LIMIT_BYTES);
	ok = msg_site_queue_decode(&a, body, &m);
	s = ok ? site_find(w, m.site) : NULL;
	if (s) {
		o.waiting = m.waiting;
		site_see(s, &o);
		continuity_waits(s, m.waiting);
	}
	arena_fini(&a);
	return ok;
}

static void on_clerk_closed(void *arg, struct link *l)
{
	struct watch *w = arg;

	if (w->clerk != l)
		return;
	w->clerk = NULL;
	role_link_lost(w->role, ROLE_CLERK, 0);
}

static void clerk_link(struct watch *w, int fd)
{
	static const struct link_ops ops = {on_clerk, on_clerk_closed, NULL};

	link_close(w->clerk);
	w->clerk = link_new(w->loop, fd, &ops, w);
}

/* ---- the supervisor ---- */

static void text_of(char *out, size_t n, struct span s)
{
	snprintf(out, n, "%.*s", SPAN_FMT(s));
}

static void take_roles(struct watch *w, const struct msg_roles *m)
{
	w->roles_n = 0;
	for (size_t i = 0; i < m->roles_n && w->roles_n < sizeof w->roles / sizeof *w->roles; i++) {
		struct role_seen *r = &w->roles[w->roles_n++];

		*r = (struct role_seen){.pid = m->roles[i].pid,
					.restarts = m->roles[i].restarts,
					.state = m->roles[i].state,
					.since_us = m->roles[i].since_us};
		text_of(r->name, sizeof r->name, m->roles[i].full_name);
		text_of(r->last_words, sizeof r->last_words, m->roles[i].last_words);
		text_of(r->condition, sizeof r->condition, m->roles[i].condition);
	}
}

static bool on_super(struct role *r, unsigned type, struct span body)
{
	struct watch *w = role_state(r);
	struct msg_reload_result result;
	struct msg_role_metrics metrics;
	struct msg_roles roles;
	struct arena a;
	bool ok = false;

	if (w->is_stopping)
		return true;
	arena_init(&a, LINK_FRAME_LIMIT_BYTES * 4);
	if (type == MSG_ROLES && (ok = msg_roles_decode(&a, body, &roles)))
		take_roles(w, &roles);
	else if (type == MSG_ROLE_METRICS && (ok = msg_role_metrics_decode(&a, body, &metrics)))
		metrics_of_role(w, &metrics);
	else if (type == MSG_RELOAD_RESULT && (ok = msg_reload_result_decode(&a, body, &result)))
		control_reloaded(w, &result);
	arena_fini(&a);
	return ok;
}

/* ---- life ---- */

static bool on_start(struct role *r, struct fault *why)
{
	struct watch *w = must_alloc(sizeof *w);

	role_set_state(r, w);
	w->role = r;
	w->loop = role_loop(r);
	w->os = role_os(r);
	w->config = role_config(r);
	list_init(&w->hosts);
	list_init(&w->couriers);
	orders_init(&w->domain_holds, w, hold_over);
	orders_init(&w->domain_continuity, w, continuity_over);
	w->tls = primary_tls_new();
	control_prepare(w);
	metrics_start(w);
	directory_start(w);
	sites_configure(w);
	return books_open(w, why) && past_read(w, why);
}

static void on_ready(struct role *r)
{
	struct watch *w = role_state(r);

	names_start(w);
	directory_write(w);
	orders_start(&w->domain_holds);
	orders_start(&w->domain_continuity);
	sites_start(w);
	controls_configure(w);
	site_publish(w);
	learned_publish(w);
	role_tell(r, "watching");
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	struct watch *w = role_state(r);

	if (w->is_stopping)
		close(fd);
	else if (peer == ROLE_SCOUT)
		names_link(w, fd);
	else if (peer == ROLE_SEQUENCER)
		durable_link(w->durable, instance, fd);
	else if (peer == ROLE_COURIER)
		courier_link(w, instance, fd);
	else if (peer == ROLE_CLERK)
		clerk_link(w, fd);
	else if (peer == ROLE_CONSOLE)
		control_console(w, instance, fd);
	else
		close(fd);
}

static void on_listen(struct role *r, const char *service, int fd)
{
	struct watch *w = role_state(r);

	if (strcmp(service, "control") == 0)
		clients_listen(w->control, fd);
	else if (strcmp(service, "metrics") == 0)
		metrics_listen(w, fd);
	else
		close(fd);
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct watch *w = role_state(r);

	(void)was;
	if (w->is_stopping)
		return;
	w->config = role_config(r);
	primary_tls_forget(w->tls);
	sites_configure(w);
	controls_configure(w);
	directory_write(w);
	site_publish(w);
}

/* The loop has seen the ends of all connections by now. */
static void finish(void *arg)
{
	struct watch *w = arg;
	struct role *r = w->role;

	loop_timer_free(w->end);
	clients_free(w->control);
	metrics_free(w);
	primary_tls_free(w->tls);
	free(w);
	role_end(r);
}

static void on_stop(struct role *r)
{
	struct watch *w = role_state(r);
	struct list *l;

	w->is_stopping = true;
	control_stop(w);
	metrics_stop(w);
	controls_stop(w);
	directory_stop(w);
	orders_stop(&w->domain_holds);
	orders_stop(&w->domain_continuity);
	sites_stop(w);
	books_close(w);
	names_stop(w);
	link_close(w->clerk);
	w->clerk = NULL;
	while ((l = list_shift(&w->couriers))) {
		link_close(LIST_ENTRY(l, struct peer, on_watch)->link);
		free(LIST_ENTRY(l, struct peer, on_watch));
	}
	w->end = loop_timer_new(w->loop, finish, w);
	loop_timer_set(w->end, 1000);
}

int main(int argc, char **argv)
{
	static const char *const written[] = {"ledger/lane-%", "ledger/lane-%.*", "publish", NULL};
	static const struct role_sandbox sandbox = {
		.network_client = true, .threads = true, .write_below = written};
	static struct say_metric *const metrics[] = WATCH_METRICS;
	static const struct role_ops ops = {
		.id = ROLE_WATCH,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_ready = on_ready,
		.on_link = on_link,
		.on_listen = on_listen,
		.on_reload = on_reload,
		.on_stop = on_stop,
		.on_super = on_super,
	};

	return role_main(argc, argv, &ops);
}
