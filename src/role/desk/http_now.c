/*
 * The state of things in one object, for the banner: the person's site as the views have it, how far a hand-back is, whether people
 * of the domain are told to work here. Made anew when it is older than a second; everybody of a domain gets the same bytes.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"
#include "os/os.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"
#include "views/outside.h"

enum { NOW_FRESH_US = 1000000, HISTORY_LINES = 1000, SITE_BYTES = 256 };

struct now {
	struct list link; /* desk.nows */
	char site[SITE_BYTES],
		domain[SITE_BYTES]; /* domain: the site's name for whom none of ours fits */
	struct buf text;
	uint64_t made_us;      /* 0: never */
	char class[32];	       /* of the outage, as watch said last */
	char mode[16];	       /* of the domain */
	uint64_t history_next; /* lines of history below it were looked at */
	bool is_changed;       /* since desk_now_look looked */
};

/* ---- what is read ---- */

struct reading {
	struct now *now;
	json_t *o;
	uint64_t wall_us;
	struct views_continuity continuity;
	struct outside outside;
};

static void set_time(json_t *o, const char *name, uint64_t at_us)
{
	time_t s = (time_t)(at_us / 1000000);
	struct tm t;
	char text[32];

	if (!at_us || !gmtime_r(&s, &t) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t))
		(void)json_object_set_new(o, name, json_null());
	else
		(void)json_object_set_new(o, name, json_string(text));
}

static void set_span(json_t *o, const char *name, struct span text)
{
	json_t *v =
		json_stringn((const char *)(text.p ? text.p : (const unsigned char *)""), text.n);

	(void)json_object_set_new(o, name, v ? v : json_string(""));
}

/* At the pace since the site came back. */
static json_t *eta_of(const struct views_drain *g, uint64_t left, uint64_t wall_us)
{
	uint64_t took_us = g->up_us && wall_us > g->up_us ? wall_us - g->up_us : 0;

	if (!left || !g->handed_back || !took_us)
		return json_null();
	return json_integer(
		(json_int_t)((double)took_us / 1e6 / (double)g->handed_back * (double)left));
}

static json_t *handback_of(const struct views_drain *g, bool is_stopped, uint64_t wall_us)
{
	uint64_t done = g->handed_back + g->returned + g->discarded;
	uint64_t left = g->total > done ? g->total - done : 0;
	json_t *o;

	if (!g->is_open || !g->up_us)
		return json_null();
	o = json_object();
	(void)json_object_set_new(o, "total", json_integer((json_int_t)g->total));
	(void)json_object_set_new(o, "done", json_integer((json_int_t)done));
	(void)json_object_set_new(o, "left", json_integer((json_int_t)left));
	(void)json_object_set_new(o, "eta_s", is_stopped ? json_null() : eta_of(g, left, wall_us));
	return o;
}

static bool on_site(void *arg, const struct views_site *s)
{
	struct reading *r = arg;

	outside_add(&r->outside, s, r->wall_us);
	if (s->is_redirect || !span_eq(s->name, span_str(r->now->site)))
		return true;
	set_span(r->o, "state", s->state);
	set_time(r->o, "since", s->since_us);
	(void)json_object_set_new(r->o, "held", json_integer((json_int_t)s->held));
	(void)json_object_set_new(r->o, "handback",
				  handback_of(&s->drain, s->stopped.n > 0, r->wall_us));
	return true;
}

static void keep(char *out, size_t room, struct span text)
{
	(void)snprintf(out, room, "%.*s", SPAN_FMT(text));
}

static bool on_act(void *arg, const struct views_act *a)
{
	struct now *n = arg;

	if (a->number < n->history_next)
		return true;
	n->history_next = a->number;
	if (!span_eq(a->object, span_str(n->site)))
		return true;
	if (span_eq(a->verb, SPAN_LIT("site.state")))
		keep(n->class, sizeof n->class, a->class);
	return true;
}

static enum rc read_views(struct desk *d, struct reading *r, struct fault *why)
{
	enum rc rc = desk_views_enter(d, why);

	if (rc != OK)
		return rc;
	rc = views_each_site(d->views, on_site, r, why);
	if (rc == OK)
		rc = views_history(d->views, HISTORY_LINES, on_act, r->now, why);
	if (rc == OK)
		rc = views_continuity(d->views, span_str(r->now->domain), &r->continuity, why);
	return desk_views_leave(d, rc);
}

static void write_text(struct reading *r)
{
	struct now *n = r->now;
	char *text;

	set_span(r->o, "class", span_str(n->class));
	(void)json_object_set_new(r->o, "continuity",
				  json_string(r->continuity.is_on ? "on" : "off"));
	set_span(r->o, "mode", span_str(n->mode));
	(void)json_object_set_new(r->o, "sends",
				  json_string(outside_waits(&r->outside) ? "queued" : "direct"));
	text = json_dumps(r->o, JSON_COMPACT);
	must(text);
	n->is_changed |= !span_eq(buf_span(&n->text), span_str(text));
	buf_clear(&n->text);
	(void)buf_append(&n->text, span_str(text));
	free(text);
}

static bool make(struct desk *d, struct now *n)
{
	struct reading r = {
		.now = n,
		.o = json_object(),
		.wall_us = os_wall_us(d->os),
		.outside = {.has_smarthost = role_config(d->role)->smarthost.host.n > 0},
	};
	struct fault why = {0};
	enum rc rc;

	set_span(r.o, "site", span_str(n->site));
	(void)json_object_set_new(r.o, "state", json_string("unknown"));
	(void)json_object_set_new(r.o, "since", json_null());
	(void)json_object_set_new(r.o, "held", json_integer(0));
	(void)json_object_set_new(r.o, "handback", json_null());
	rc = read_views(d, &r, &why);
	if (rc == OK) {
		write_text(&r);
		n->made_us = loop_now_us(d->loop);
	}
	json_decref(r.o);
	return rc == OK;
}

/* ---- whose site ---- */

static const struct msg_domain *domain_of(const struct desk *d, struct span account)
{
	const struct msg_config *c = role_config(d->role);
	ssize_t at = span_rchr(account, '@');
	struct span name = at < 0 ? SPAN_NONE : span_from(account, (size_t)at + 1);

	for (size_t i = 0; i < c->domains_n; i++) {
		if (span_eq_nocase(c->domains[i].name, name))
			return &c->domains[i];
	}
	return NULL;
}

static struct now *now_of(struct desk *d, struct span site, struct span domain, struct span mode)
{
	struct now *n;

	LIST_EACH (at, &d->nows) {
		n = LIST_ENTRY(at, struct now, link);
		if (span_eq(site, span_str(n->site)) && span_eq(domain, span_str(n->domain)))
			return n;
	}
	n = must_alloc(sizeof *n);
	keep(n->site, sizeof n->site, site);
	keep(n->domain, sizeof n->domain, domain);
	keep(n->mode, sizeof n->mode, mode);
	list_append(&d->nows, &n->link);
	return n;
}

bool desk_now(struct desk *d, struct span account, struct buf *out)
{
	const struct msg_config *c = role_config(d->role);
	const struct msg_domain *domain = domain_of(d, account);
	struct span site = domain ? domain->site : c->sites_n ? c->sites[0].name : SPAN_NONE;
	struct now *n;

	if (!site.n || site.n >= SITE_BYTES)
		return false;
	n = now_of(d, site, domain ? domain->name : site, domain ? domain->mode : SPAN_NONE);
	if ((!n->made_us || loop_now_us(d->loop) - n->made_us >= NOW_FRESH_US) && !make(d, n))
		return false;
	(void)buf_append(out, buf_span(&n->text));
	return true;
}

/* ---- what everybody may know ---- */

enum { OUTAGE_FRESH_US = 5000000 };

static bool on_any_site(void *arg, const struct views_site *s)
{
	bool *is_down = arg;

	*is_down |= !s->is_redirect &&
		    (span_eq(s->state, SPAN_LIT("down")) || span_eq(s->state, SPAN_LIT("stopped")));
	return !*is_down;
}

static enum rc find_outage(struct desk *d, const char **out)
{
	const struct msg_config *c = role_config(d->role);
	struct views_continuity continuity = {0};
	struct fault why = {0};
	bool is_down = false;
	enum rc rc = desk_views_enter(d, &why);

	if (rc != OK)
		return rc;
	rc = views_each_site(d->views, on_any_site, &is_down, &why);
	for (size_t i = 0; rc == OK && !is_down && !continuity.is_on && i < c->domains_n; i++)
		rc = views_continuity(d->views, c->domains[i].name, &continuity, &why);
	*out = is_down ? "down" : continuity.is_on ? "continuity" : "none";
	return desk_views_leave(d, rc);
}

const char *desk_outage(struct desk *d)
{
	const char *found;

	if (d->outage && loop_now_us(d->loop) - d->outage_us < OUTAGE_FRESH_US)
		return d->outage;
	if (find_outage(d, &found) == OK)
		d->outage = found;
	d->outage_us = loop_now_us(d->loop);
	return d->outage ? d->outage : "none";
}

bool desk_now_look(struct desk *d)
{
	bool is_changed = false;

	LIST_EACH (at, &d->nows) {
		struct now *n = LIST_ENTRY(at, struct now, link);

		if (loop_now_us(d->loop) - n->made_us >= NOW_FRESH_US)
			(void)make(d, n);
		is_changed |= n->is_changed;
		n->is_changed = false;
	}
	return is_changed;
}
