#include "report/status.h"

#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "os/os.h"
#include "report/report.h"

enum { SITES = 11000 }; /* of the configuration, and redirects */

static void lacks(struct arena *a, struct report_status *s, const char *what, const char *why)
{
	char text[600];

	if (s->missing_n == REPORT_MISSING)
		return;
	(void)snprintf(text, sizeof text, "%s: %s", what, why);
	s->missing[s->missing_n++] = arena_str(a, span_str(text));
}

static struct report_site *site_of(struct arena *a, struct report_status *s, struct span name)
{
	struct report_site *site;

	for (size_t i = 0; i < s->sites_n; i++) {
		if (span_eq(span_str(s->sites[i].name), name))
			return &s->sites[i];
	}
	if (s->sites_n == s->sites_cap) {
		size_t cap = s->sites_cap ? 2 * s->sites_cap : 16;
		struct report_site *more = arena_array(a, cap, sizeof *more);

		if (s->sites_n)
			memcpy(more, s->sites, s->sites_n * sizeof *more);
		s->sites = more;
		s->sites_cap = cap;
	}
	site = &s->sites[s->sites_n++];
	*site = (struct report_site){.name = arena_str(a, name),
				     .state = "unknown",
				     .reason = "",
				     .stopped = "",
				     .receipt = ""};
	return site;
}

/* ---- the configuration ---- */

static void take_domains(struct arena *a, const struct msg_config *config, struct report_site *site)
{
	size_t n = 0;

	site->domains = arena_array(a, config->domains_n + 1, sizeof *site->domains);
	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq(config->domains[i].site, span_str(site->name)))
			site->domains[n++] = config->domains[i].name;
	}
	site->domains_n = n;
}

static void from_config(struct arena *a, struct report_status *s, const struct msg_config *config)
{
	s->node = arena_str(a, config->node);
	s->reserve_bytes = config->limits.reserve_bytes;
	s->listeners = config->listen;
	s->listeners_n = config->listen_n;
	for (size_t i = 0; i < config->sites_n; i++)
		take_domains(a, config, site_of(a, s, config->sites[i].name));
}

/* ---- watch ---- */

static const char *text_in(struct arena *a, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? arena_str(a, span_str(text)) : "";
}

static uint64_t number_in(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static void site_from_watch(struct arena *a, struct report_status *s, const json_t *from)
{
	const char *name = text_in(a, from, "name");
	struct report_site *site;

	if (!*name)
		return;
	site = site_of(a, s, span_str(name));
	site->live = from;
	site->state = text_in(a, from, "state");
	site->reason = text_in(a, from, "evidence");
	site->since_us = number_in(from, "since_us");
}

static void from_watch(const struct report_sources *from, struct report_status *s)
{
	size_t i;
	const json_t *site;

	if (!json_is_object(from->live)) {
		lacks(from->arena, s, "live state", from->live_why);
		return;
	}
	s->live = from->live;
	json_array_foreach(json_object_get(from->live, "sites"), i, site)
		site_from_watch(from->arena, s, site);
}

/* While someone has the file half edited: what the running system has loaded. */
static void settings_from_watch(struct arena *a, struct report_status *s)
{
	s->node = text_in(a, s->live, "node");
	s->reserve_bytes = number_in(json_object_get(s->live, "disk"), "reserve_bytes");
}

/* ---- the views ---- */

struct gather {
	struct arena *a;
	struct report_status *s;
};

static void take_drain(struct arena *a, const struct report_status *s, const struct views_site *v,
		       struct report_site *site)
{
	const struct views_drain *d = &v->drain;
	uint64_t settled = d->handed_back + d->returned + d->discarded;

	site->has_drain = d->total > 0 || d->receipt.n > 0;
	site->drain_is_open = d->is_open;
	site->drain_began_us = d->began_us;
	site->drain_up_us = d->up_us;
	site->drain_total = d->total;
	site->drain_back = d->handed_back;
	site->drain_unsure = d->unsure;
	site->drain_decide = d->decide;
	site->drain_deferred = d->deferred;
	site->drain_returned = d->returned;
	site->drain_discarded = d->discarded;
	site->receipt = arena_str(a, d->receipt);
	if (!d->is_open || !d->up_us || s->now_us <= d->up_us || !d->handed_back ||
	    settled + d->decide >= d->total)
		return;
	site->per_second = (double)d->handed_back * 1e6 / (double)(s->now_us - d->up_us);
	site->remaining_us =
		(uint64_t)((double)(d->total - settled - d->decide) / site->per_second * 1e6);
}

/* Taken out of the configuration, or renamed: nobody probes it, and what it holds waits for ever. */
static bool is_removed(const struct gather *g, const struct report_site *site,
		       const struct views_site *v)
{
	return g->s->live && !site->live && !v->is_redirect;
}

static bool site_from_views(void *arg, const struct views_site *v)
{
	struct gather *g = arg;
	struct report_site *site;

	if (g->s->sites_n >= SITES || (v->is_redirect && !v->held))
		return g->s->sites_n < SITES;
	site = site_of(g->a, g->s, v->name);
	if (is_removed(g, site, v)) {
		site->state = "removed";
		site->reason =
			"not in the configuration: name it there again, or send its mail on with "
			"holdfast queue redirect --match site=NAME HOST";
	} else if (!site->live) {
		site->state = v->state.n ? arena_str(g->a, v->state) : "unknown";
		site->since_us = v->since_us;
		site->reason = arena_str(g->a, v->reason);
	}
	site->is_counted = true;
	site->held = v->held;
	site->held_bytes = v->held_bytes;
	site->ready = v->ready;
	site->offered = v->offered;
	site->deferred = v->deferred;
	site->decide = v->decide;
	site->oldest_us = v->oldest_us;
	site->done = v->done;
	site->stopped = arena_str(g->a, v->stopped);
	take_drain(g->a, g->s, v, site);
	g->s->held += v->held;
	g->s->held_bytes += v->held_bytes;
	g->s->decide += v->decide;
	return true;
}

static void lag_from_order(struct os *os, struct report_status *s)
{
	struct order *order = NULL;
	struct fault why = {0};
	char dir[200];
	uint64_t size;

	(void)snprintf(dir, sizeof dir, "%s/ledger", s->data);
	if (order_open(os, dir, false, &order, &why) != OK)
		return;
	size = order_size(order);
	order_close(order);
	s->has_lag = true;
	s->lag_records = size > s->next ? size - s->next : 0;
}

static enum rc home_of_site(struct views *views, struct report_site *site, struct fault *why)
{
	struct views_home_left left;
	enum rc rc = views_home_left(views, span_str(site->name), &left, why);

	if (rc != OK)
		return rc;
	site->home_waiting = left.waiting;
	site->home_decide = left.decide;
	site->home_accounts = left.accounts;
	return OK;
}

static void from_views(const struct report_sources *from, struct report_status *s)
{
	struct gather g = {from->arena, s};
	struct views *views = from->views;
	struct views_progress progress;
	struct fault why = {0};
	enum rc rc = LATER;

	if (views)
		rc = views_each_site(views, site_from_views, &g, &why);
	else
		fault_set(&why, "%s", from->views_why);
	for (size_t i = 0; rc == OK && i < s->sites_n; i++)
		rc = home_of_site(views, &s->sites[i], &why);
	if (rc == OK)
		rc = views_people(views, &s->mailboxes, &why);
	if (rc == OK)
		rc = views_progress(views, &progress, &why);
	if (rc != OK) {
		lacks(from->arena, s, "held mail",
		      why.text[0] ? why.text : "the views cannot be read");
		return;
	}
	s->has_views = true;
	s->next = progress.next;
	s->newest_received_us = progress.newest_received_us;
	lag_from_order(from->os, s);
}

/* ---- auth ---- */

bool report_has_people(const struct msg_listen *listeners, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct span service = listeners[i].service;

		if (!span_eq(service, SPAN_LIT("smtp")) && !span_eq(service, SPAN_LIT("metrics")) &&
		    !span_eq(service, SPAN_LIT("admin")))
			return true;
	}
	return false;
}

static void from_auth(const struct report_sources *from, struct report_status *s)
{
	if (json_is_object(from->people)) {
		s->has_people = true;
		s->people = number_in(from->people, "accounts");
		s->can_log_in = number_in(from->people, "can_log_in");
		s->invited = number_in(from->people, "invited");
	} else if (*from->people_why) {
		lacks(from->arena, s, "logins", from->people_why);
	}
}

void report_status_gather(const struct report_sources *from, struct report_status *out)
{
	*out = (struct report_status){.now_us = from->now_us, .node = "", .data = from->data};
	if (from->config)
		from_config(from->arena, out, from->config);
	from_watch(from, out);
	if (!from->config && out->live)
		settings_from_watch(from->arena, out);
	else if (!from->config)
		lacks(from->arena, out, "configuration",
		      "it has mistakes; see holdfast check-config");
	from_views(from, out);
	from_auth(from, out);
	if (os_free_bytes(from->os, from->data, &out->free_bytes) == 0)
		out->has_disk = true;
	else
		lacks(from->arena, out, "disk", "the data directory cannot be read");
}
