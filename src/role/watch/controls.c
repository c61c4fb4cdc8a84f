/*
 * Neutral controls: TCP connects to `controls`, hosts that have nothing to do with the sites. All failing means that our
 * own network is down, which health lowers its confidence by; nothing is done to them but connect and close. Asked
 * every minute, and every 10 s while probes fail.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/conn.h"
#include "loop/loop.h"

#define CALM_US	   (60 * WATCH_SECOND_US)
#define ALARMED_US (10 * WATCH_SECOND_US)
#define CONNECT_US (3 * WATCH_SECOND_US)

struct neutral {
	struct watch *watch;
	struct controls *all;
	struct host host;
	uint16_t port;
	struct conn *conn;
	bool is_asked;
};

struct controls {
	struct neutral item[WATCH_CONTROLS];
	size_t n;
	unsigned waiting, good;
	uint64_t began_us;
	unsigned open; /* connections */
	bool is_alarmed, is_gone;
	struct loop_timer *timer;
};

static void tell_sites(struct watch *w)
{
	struct health_observation o = {.sight = SIGHT_CONTROLS};
	struct act a = {.verb = "network.controls", .confidence = 100};
	bool is_down = w->controls_asked && !w->controls_good;
	char reason[160];

	o.controls.asked = w->controls_asked;
	o.controls.good = w->controls_good;
	for (size_t i = 0; i < w->sites_n; i++)
		site_see(w->sites[i], &o);
	if (is_down == w->own_network_down)
		return;
	w->own_network_down = is_down;
	a.argument = is_down ? "failing" : "answering";
	a.reason = reason;
	snprintf(reason, sizeof reason, "%u of %u neutral controls answer%s", w->controls_good,
		 w->controls_asked, is_down ? ": our own network seems to be down" : "");
	say(SAY_WARNING, "network.controls", "state", SAY_STR(a.argument), "why", SAY_STR(reason),
	    NULL);
	{
		struct job *j = job_new(false, NULL, NULL);

		job_act(w, j, &a);
		books_write(w, j);
	}
}

static void answered(struct neutral *c, bool is_good)
{
	struct controls *all = c->all;

	if (!c->is_asked)
		return;
	c->is_asked = false;
	all->good += is_good;
	if (--all->waiting)
		return;
	c->watch->controls_asked = (unsigned)all->n;
	c->watch->controls_good = all->good;
	tell_sites(c->watch);
}

static void on_open(void *arg, struct conn *c)
{
	answered(arg, true);
	conn_abort(c);
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct neutral *n = arg;

	(void)c, (void)rc, (void)why;
	n->conn = NULL;
	answered(n, false);
	n->all->open--;
	if (n->all->is_gone && !n->all->open)
		free(n->all);
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	(void)arg, (void)c;
	return bytes.n;
}

static void on_host(struct host *h)
{
	static const struct conn_ops ops = {
		.on_bytes = on_bytes, .on_open = on_open, .on_closed = on_closed};
	struct neutral *c = LIST_ENTRY(h, struct neutral, host);
	struct sockaddr_storage to;
	socklen_t n;

	if (!h->address_n) {
		answered(c, false);
		return;
	}
	n = host_address(h, 0, c->port, &to);
	c->conn = conn_connect(h->watch->loop, (const struct sockaddr *)(const void *)&to, n, &ops,
			       c);
	c->all->open++;
	conn_deadline(c->conn, CONNECT_US);
}

static void look(void *arg)
{
	struct watch *w = arg;
	struct controls *all = w->controls;

	loop_timer_set(all->timer, all->is_alarmed ? ALARMED_US : CALM_US);
	all->is_alarmed = false;
	if (all->waiting || !all->n)
		return;
	all->began_us = loop_now_us(w->loop);
	all->good = 0;
	all->waiting = (unsigned)all->n;
	for (size_t i = 0; i < all->n; i++)
		all->item[i].is_asked = true;
	for (size_t i = 0; i < all->n; i++)
		host_want(&all->item[i].host);
}

void controls_look(struct watch *w)
{
	struct controls *all = w->controls;

	if (!all || !all->n)
		return;
	if (!all->is_alarmed && loop_now_us(w->loop) - all->began_us >= ALARMED_US)
		loop_timer_set(all->timer, 0);
	all->is_alarmed = true;
}

static bool parse(struct span text, struct span *out_host, uint16_t *out_port)
{
	ssize_t at = span_rchr(text, ':');
	uint64_t port;

	if (at < 1 || !span_to_u64(span_from(text, (size_t)at + 1), 65535, &port))
		return false;
	*out_host = span_first(text, (size_t)at);
	*out_port = (uint16_t)port;
	return true;
}

void controls_stop(struct watch *w)
{
	struct controls *all = w->controls;

	if (!all)
		return;
	for (size_t i = 0; i < all->n; i++) {
		all->item[i].is_asked = false;
		host_fini(&all->item[i].host);
		if (all->item[i].conn)
			conn_abort(all->item[i].conn);
	}
	loop_timer_free(all->timer);
	w->controls = NULL;
	all->is_gone = true; /* on_closed of the last connection frees it */
	if (!all->open)
		free(all);
}

void controls_configure(struct watch *w)
{
	struct controls *all = must_alloc(sizeof *all);

	controls_stop(w);
	w->controls = all;
	w->controls_asked = w->controls_good = 0;
	all->timer = loop_timer_new(w->loop, look, w);
	for (size_t i = 0; i < w->config->controls_n && all->n < WATCH_CONTROLS; i++) {
		struct neutral *c = &all->item[all->n];
		struct span host;

		if (!parse(w->config->controls[i], &host, &c->port))
			continue;
		c->watch = w;
		c->all = all;
		host_init(w, &c->host, host, on_host);
		all->n++;
	}
	loop_timer_set(all->timer, 0);
}
