/* The status as JSON (doc/formats/status.md): what watch said with what the views know. */
#include "report/status.h"

#include "ipc/msg.h"
#include "report/report.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	set(object, key, report_text(span_str(text)));
}

static json_t *drain_json(const struct report_site *s)
{
	json_t *o;

	if (!s->has_drain)
		return json_null();
	o = json_object();
	set(o, "open", json_boolean(s->drain_is_open));
	report_set_time(o, "began", s->drain_began_us);
	report_set_time(o, "up", s->drain_up_us);
	set(o, "total", number(s->drain_total));
	set(o, "handed_back", number(s->drain_back));
	set(o, "unsure", number(s->drain_unsure));
	set(o, "decide", number(s->drain_decide));
	set(o, "deferred", number(s->drain_deferred));
	set(o, "returned", number(s->drain_returned));
	set(o, "discarded", number(s->drain_discarded));
	set_text(o, "receipt", s->receipt);
	set(o, "per_minute", s->per_second > 0 ? json_real(s->per_second * 60) : json_null());
	set(o, "remaining_s", s->per_second > 0 ? number(s->remaining_us / 1000000) : json_null());
	return o;
}

static void set_recorded(json_t *o, const struct report_site *s)
{
	json_t *domains = json_array();

	for (size_t i = 0; i < s->domains_n; i++)
		(void)json_array_append_new(domains, report_text(s->domains[i]));
	set_text(o, "name", s->name);
	set(o, "domains", domains);
	set_text(o, "state", s->state);
	report_set_time(o, "since", s->since_us);
	set_text(o, "evidence", s->reason);
}

/* What only the views know is null without them: keys do not come and go. */
static json_t *known(const struct report_status *s, uint64_t n)
{
	return s->has_views ? number(n) : json_null();
}

static json_t *site_json(const struct report_status *all, const struct report_site *s)
{
	json_t *o = s->live ? json_deep_copy(s->live) : json_object();
	bool has_age = s->oldest_us && all->now_us > s->oldest_us;

	if (!s->live)
		set_recorded(o, s);
	set(o, "held", known(all, s->held));
	set(o, "held_bytes", known(all, s->held_bytes));
	set(o, "ready", known(all, s->ready));
	set(o, "offered", known(all, s->offered));
	set(o, "deferred", known(all, s->deferred));
	set(o, "decide", known(all, s->decide));
	report_set_time(o, "oldest", s->oldest_us);
	set(o, "oldest_age_s",
	    has_age ? number((all->now_us - s->oldest_us) / 1000000) : json_null());
	set(o, "done", known(all, s->done));
	set_text(o, "stopped", s->stopped);
	set(o, "drain", drain_json(s));
	set(o, "home",
	    json_pack("{s:o, s:o, s:o}", "waiting", known(all, s->home_waiting), "decide",
		      known(all, s->home_decide), "accounts", known(all, s->home_accounts)));
	return o;
}

static json_t *views_json(const struct report_status *s)
{
	json_t *o = json_object();

	set(o, "next", known(s, s->next));
	set(o, "lag_records", s->has_lag ? number(s->lag_records) : json_null());
	report_set_time(o, "newest_received", s->newest_received_us);
	return o;
}

static json_t *mailboxes_json(const struct report_status *s)
{
	json_t *o = json_object();

	set(o, "accounts", known(s, s->mailboxes.accounts));
	set(o, "disabled", known(s, s->mailboxes.disabled));
	set(o, "aliases", known(s, s->mailboxes.aliases));
	set(o, "mailboxes", known(s, s->mailboxes.boxes));
	set(o, "messages", known(s, s->mailboxes.messages));
	set(o, "bytes", known(s, s->mailboxes.bytes));
	return o;
}

static json_t *disk_json(const struct report_status *s)
{
	json_t *o = json_object();

	if (!s->has_disk)
		return o;
	set(o, "free_bytes", number(s->free_bytes));
	set(o, "reserve_bytes", number(s->reserve_bytes));
	set(o, "below_reserve", json_boolean(s->free_bytes < s->reserve_bytes));
	return o;
}

static json_t *listeners_json(const struct report_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->listeners_n; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:o}", "service",
							    report_text(s->listeners[i].service),
							    "address",
							    report_text(s->listeners[i].address)));
	return list;
}

static json_t *people_json(const struct report_status *s)
{
	if (!s->has_people)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "accounts", (json_int_t)s->people, "can_log_in",
			 (json_int_t)s->can_log_in, "invited", (json_int_t)s->invited);
}

json_t *report_status_json(const struct report_status *s)
{
	json_t *o = s->live ? json_deep_copy(s->live) : json_object();
	json_t *sites = json_array(), *missing = json_array();

	for (size_t i = 0; i < s->missing_n; i++)
		(void)json_array_append_new(missing, report_text(span_str(s->missing[i])));
	for (size_t i = 0; i < s->sites_n; i++)
		(void)json_array_append_new(sites, site_json(s, &s->sites[i]));
	set(o, "ok", json_boolean(s->missing_n == 0));
	set(o, "missing", missing);
	set_text(o, "version", HOLDFAST_VERSION);
	set_text(o, "node", s->node);
	report_set_time(o, "now", s->now_us);
	set(o, "held", known(s, s->held));
	set(o, "held_bytes", known(s, s->held_bytes));
	set(o, "decide", known(s, s->decide));
	set(o, "sites", sites);
	set(o, "views", views_json(s));
	set(o, "disk", disk_json(s));
	set(o, "listeners", listeners_json(s));
	set(o, "mailboxes", mailboxes_json(s));
	set(o, "people", people_json(s));
	return o;
}
