/* What watch knows, as JSON (doc/formats/status.md). */
#include "role/watch/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loop/loop.h"
#include "os/os.h"

/* Text that came from outside may not be UTF-8: then its odd bytes become "?". */
json_t *status_text(const char *s)
{
	json_t *j = json_string(s);
	char copy[1024];
	size_t n = 0;

	if (j)
		return j;
	for (; s[n] && n < sizeof copy - 1; n++)
		copy[n] = (unsigned char)s[n] >= 128 ? '?' : s[n];
	copy[n] = 0;
	return json_string(copy);
}

static json_t *span_text(struct span s)
{
	char copy[1024];

	snprintf(copy, sizeof copy, "%.*s", SPAN_FMT(s));
	return status_text(copy);
}

static void put(json_t *o, const char *key, json_t *value)
{
	if (json_object_set_new(o, key, value) < 0)
		abort(); /* out of memory for a small own object */
}

static void put_number(json_t *o, const char *key, uint64_t v)
{
	put(o, key, json_integer((json_int_t)v));
}

static void put_time(json_t *o, const char *key, uint64_t wall_us)
{
	time_t t = (time_t)(wall_us / WATCH_SECOND_US);
	char out[64], key_us[40];
	struct tm tm;

	snprintf(key_us, sizeof key_us, "%s_us", key);
	if (!wall_us || !gmtime_r(&t, &tm)) {
		put(o, key, json_null());
		put(o, key_us, json_null());
		return;
	}
	snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned)(wall_us % WATCH_SECOND_US / 1000));
	put(o, key, json_string(out));
	put_number(o, key_us, wall_us);
}

static json_t *primary_json(const struct primary *p)
{
	json_t *o = json_object(), *list = json_array();
	const struct host *h = &p->host;

	put(o, "host", status_text(p->host.name));
	put_number(o, "port", p->port);
	put_number(o, "priority", p->priority);
	put_number(o, "weight", p->weight);
	put(o, "good", p->was_probed ? json_boolean(p->was_good) : json_null());
	put(o, "text", status_text(p->text));
	put(o, "class", status_text(health_layer_name(p->layer)));
	put_time(o, "at", p->probed_wall_us);
	put_number(o, "latency_ms", p->latency_ms);
	for (size_t i = 0; i < h->address_n; i++) {
		char name[64];

		if (host_text(h, i, name, sizeof name))
			(void)json_array_append_new(list, json_string(name));
	}
	put(o, "addresses", list);
	return o;
}

static json_t *override_json(const struct override *h)
{
	json_t *o = json_object();

	put(o, "mode", json_string(health_hold_name(h->mode)));
	put_time(o, "until", h->mode == HOLD_AUTO ? 0 : h->until_us);
	put(o, "by", status_text(h->by));
	put(o, "reason", status_text(h->reason));
	return o;
}

/* `state` is what holds; what was decided and is not on disk yet does not show. */
static json_t *continuity_json(const struct site *s)
{
	const struct site_continuity *c = &s->continuity;
	json_t *o = override_json(&c->order);

	put(o, "state", json_string(continuity_state_name(c->recorded)));
	put(o, "switch", json_string(continuity_switch_name(c->machine.mode)));
	put_number(o, "after_ms", c->machine.after_us / 1000);
	put_time(o, "since", c->recorded_us);
	put(o, "class", status_text(c->class));
	put(o, "why", status_text(c->reason));
	put(o, "blocked", json_boolean(c->machine.is_blocked));
	return o;
}

static json_t *probe_json(const struct site *s)
{
	uint64_t now = loop_now_us(s->watch->loop);
	struct health copy = s->health; /* a tick changes nothing but says the pause */
	struct health_actions next;
	json_t *o = json_object();

	health_step(&copy, &(struct health_observation){.sight = SIGHT_TICK}, now, &next);
	put_number(o, "every_ms", next.probe_every_us / 1000);
	put_number(o, "next_ms", s->in_round || s->due_us <= now ? 0 : (s->due_us - now) / 1000);
	put_number(o, "failed", s->health.failed);
	put_number(o, "good", s->health.good);
	put_number(o, "needed", health_recover_needed(&s->health));
	return o;
}

static json_t *site_json(const struct site *s)
{
	static const char *const phases[] = {"down", "probation", "up"};
	const struct msg_config *c = s->watch->config;
	json_t *o = json_object(), *domains = json_array(), *primaries = json_array(), *hold;

	put(o, "name", status_text(s->name));
	for (size_t i = 0; i < c->domains_n; i++) {
		if (span_eq(c->domains[i].site, span_str(s->name)))
			(void)json_array_append_new(domains, span_text(c->domains[i].name));
	}
	put(o, "domains", domains);
	put(o, "state", json_string(health_state_name(s->recorded)));
	put(o, "seen", json_string(health_state_name(s->health.state)));
	put(o, "phase", json_string(phases[health_phase(s->recorded)]));
	put_time(o, "since", s->recorded_us);
	put(o, "class", status_text(s->class));
	put_number(o, "confidence", s->confidence);
	put(o, "evidence", status_text(s->evidence));
	hold = override_json(&s->hold);
	put(hold, "configured", json_string(health_hold_name(s->health.limits.configured)));
	put(o, "hold", hold);
	put(o, "continuity", continuity_json(s));
	put(o, "probe", probe_json(s));
	for (size_t i = 0; i < s->primaries_n; i++)
		(void)json_array_append_new(primaries, primary_json(&s->primaries[i]));
	put(o, "primaries", primaries);
	return o;
}

static json_t *role_json(const struct role_seen *r)
{
	static const char *const states[] = {"starting", "running", "waiting", "stopped"};
	json_t *o = json_object();

	put(o, "name", status_text(r->name));
	put_number(o, "pid", r->pid);
	put(o, "state", json_string(r->state < 4 ? states[r->state] : "unknown"));
	put_number(o, "restarts", r->restarts);
	put_time(o, "since", r->since_us);
	put(o, "last_words", status_text(r->last_words));
	put(o, "condition", status_text(r->condition));
	return o;
}

static json_t *disk_json(struct watch *w)
{
	json_t *o = json_object();
	uint64_t bytes = 0;

	if (os_free_bytes(w->os, role_data(w->role), &bytes) == 0) {
		put_number(o, "free_bytes", bytes);
		put(o, "below_reserve", json_boolean(bytes < w->config->limits.reserve_bytes));
	}
	put_number(o, "reserve_bytes", w->config->limits.reserve_bytes);
	return o;
}

static json_t *ledger_json(struct watch *w)
{
	json_t *o = json_object();
	char trouble[200] = "";

	if (w->lane)
		lane_trouble(w->lane, trouble, sizeof trouble);
	put(o, "lane", status_text(w->lane ? lane_name(w->lane) : ""));
	put_number(o, "waiting", books_waiting(w));
	put(o, "trouble", status_text(trouble));
	return o;
}

static json_t *orders_json(const struct domain_orders *all)
{
	json_t *list = json_array();

	LIST_EACH (l, &all->orders) {
		struct domain_order *d = ORDER_OF(l);
		json_t *o = override_json(&d->o);

		put(o, "target", status_text(d->name));
		(void)json_array_append_new(list, o);
	}
	return list;
}

void status_finish(json_t *o, struct buf *out)
{
	char *dump = json_dumps(o, JSON_COMPACT);

	if (dump)
		buf_append(out, span_str(dump));
	free(dump);
	json_decref(o);
}

void status_json(struct watch *w, struct buf *out)
{
	json_t *o = json_object(), *sites = json_array(), *roles = json_array(),
	       *controls = json_object();

	put(o, "version", json_string(HOLDFAST_VERSION));
	put(o, "node", span_text(w->config->node));
	put_time(o, "now", os_wall_us(w->os));
	put_number(o, "generation", w->config->generation);
	for (size_t i = 0; i < w->sites_n; i++)
		(void)json_array_append_new(sites, site_json(w->sites[i]));
	put(o, "sites", sites);
	put(o, "overrides", orders_json(&w->domain_holds));
	put(o, "continuity_overrides", orders_json(&w->domain_continuity));
	put_number(controls, "asked", w->controls_asked);
	put_number(controls, "good", w->controls_good);
	put(controls, "own_network_down", json_boolean(w->own_network_down));
	put(o, "controls", controls);
	for (size_t i = 0; i < w->roles_n; i++)
		(void)json_array_append_new(roles, role_json(&w->roles[i]));
	put(o, "roles", roles);
	put(o, "disk", disk_json(w));
	put(o, "ledger", ledger_json(w));
	status_finish(o, out);
}

void history_json(struct watch *w, unsigned last, struct buf *out)
{
	uint64_t kept = w->history_n < WATCH_HISTORY ? w->history_n : WATCH_HISTORY;
	json_t *o = json_object(), *list = json_array();

	if (last && last < kept)
		kept = last;
	for (uint64_t i = 0; i < kept; i++) {
		const struct history_line *h = &w->history[(w->history_n - 1 - i) % WATCH_HISTORY];
		json_t *line = json_object();

		put_time(line, "at", h->at_us);
		put(line, "verb", status_text(h->verb));
		put(line, "object", status_text(h->object));
		put(line, "argument", status_text(h->argument));
		put(line, "reason", status_text(h->reason));
		put(line, "actor", status_text(h->actor));
		put(line, "class", status_text(h->class));
		put_number(line, "confidence", h->confidence);
		put_time(line, "until", h->until_us);
		(void)json_array_append_new(list, line);
	}
	put(o, "history", list);
	status_finish(o, out);
}
