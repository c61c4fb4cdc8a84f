/*
 * holdfast status: one screen for somebody who was woken up. First one line that says it all, then each site with its
 * state, what is held and how the hand-back goes, then what needs a hand: disk, views, roles, decisions.
 */
#include "cli/status.h"

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

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
	set(object, key, cli_json_span(span_str(text)));
}

static json_t *drain_json(const struct status_site *s)
{
	json_t *o;

	if (!s->has_drain)
		return json_null();
	o = json_object();
	set(o, "open", json_boolean(s->drain_is_open));
	set(o, "began", cli_json_time(s->drain_began_us));
	set(o, "up", cli_json_time(s->drain_up_us));
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

static json_t *site_json(const struct status *all, const struct status_site *s)
{
	json_t *o = json_object(), *domains = json_array();

	set_text(o, "name", s->name);
	set_text(o, "state", s->state);
	set(o, "since", cli_json_time(s->since_us));
	set_text(o, "reason", s->reason);
	set_text(o, "class", s->class);
	set(o, "confidence", number(s->confidence));
	set_text(o, "hold", s->hold);
	set(o, "hold_until", cli_json_time(s->hold_until_us));
	set_text(o, "hold_by", s->hold_by);
	for (size_t i = 0; i < s->domains_n; i++)
		(void)json_array_append_new(domains, cli_json_span(s->domains[i]));
	set(o, "domains", domains);
	if (!all->has_views)
		return o;
	set(o, "held", number(s->held));
	set(o, "held_bytes", number(s->held_bytes));
	set(o, "ready", number(s->ready));
	set(o, "offered", number(s->offered));
	set(o, "deferred", number(s->deferred));
	set(o, "decide", number(s->decide));
	set(o, "oldest", cli_json_time(s->oldest_us));
	set(o, "oldest_age_s",
	    s->oldest_us && all->now_us > s->oldest_us
		    ? number((all->now_us - s->oldest_us) / 1000000)
		    : json_null());
	set(o, "done", number(s->done));
	set_text(o, "stopped", s->stopped);
	set(o, "drain", drain_json(s));
	return o;
}

static json_t *role_json(const struct status_role *r)
{
	json_t *o = json_object();

	set_text(o, "name", r->name);
	set(o, "pid", number(r->pid));
	set_text(o, "state", r->state);
	set(o, "restarts", number(r->restarts));
	set(o, "since", cli_json_time(r->since_us));
	set_text(o, "condition", r->condition);
	set_text(o, "last_words", r->last_words);
	return o;
}

json_t *status_json(const struct status *s)
{
	json_t *o = json_object(), *sites = json_array(), *roles = json_array(),
	       *missing = json_array();
	json_t *views = json_object(), *disk = json_object();

	for (size_t i = 0; i < s->missing_n; i++)
		(void)json_array_append_new(missing, cli_json_span(span_str(s->missing[i])));
	for (size_t i = 0; i < s->sites_n; i++)
		(void)json_array_append_new(sites, site_json(s, &s->sites[i]));
	for (size_t i = 0; i < s->roles_n; i++)
		(void)json_array_append_new(roles, role_json(&s->roles[i]));
	set(o, "ok", json_boolean(s->missing_n == 0));
	set(o, "missing", missing);
	set_text(o, "version", HOLDFAST_VERSION);
	set_text(o, "node", s->node);
	set(o, "at", cli_json_time(s->now_us));
	if (s->has_views) {
		set(o, "held", number(s->held));
		set(o, "held_bytes", number(s->held_bytes));
		set(o, "decide", number(s->decide));
		set(views, "next", number(s->next));
		set(views, "lag_records", s->has_lag ? number(s->lag_records) : json_null());
		set(views, "newest_received", cli_json_time(s->newest_received_us));
	}
	if (s->has_disk) {
		set(disk, "free_bytes", number(s->free_bytes));
		set(disk, "reserve_bytes", number(s->reserve_bytes));
		set(disk, "below_reserve", json_boolean(s->free_bytes < s->reserve_bytes));
	}
	set(o, "sites", sites);
	set(o, "views", views);
	set(o, "disk", disk);
	set(o, "roles", roles);
	return o;
}

/* ---- the screen ------------------------------------------------------------------------------------------------- */

static enum term_ink ink_of(const char *state)
{
	if (!strcmp(state, "up"))
		return INK_GREEN;
	if (!strcmp(state, "down") || !strcmp(state, "stopped"))
		return INK_RED;
	return INK_YELLOW;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

struct tally {
	size_t down, trying, unknown;
};

static struct tally tally_of(const struct status *s)
{
	struct tally t = {0};

	for (size_t i = 0; i < s->sites_n; i++) {
		t.down += ink_of(s->sites[i].state) == INK_RED;
		t.unknown += !strcmp(s->sites[i].state, "unknown");
		t.trying += ink_of(s->sites[i].state) == INK_YELLOW;
	}
	return t;
}

static void put_states(const struct status *s, struct tally t, struct buf *out)
{
	if (s->sites_n == 1 && t.unknown)
		buf_printf(out, "It is not known whether %s takes mail", s->sites[0].name);
	else if (s->sites_n == 1)
		buf_printf(out, "%s is %s", s->sites[0].name, s->sites[0].state);
	else if (t.down)
		buf_printf(out, "%zu of %zu sites %s mail", t.down, s->sites_n,
			   t.down == 1 ? "does not take" : "do not take");
	else if (t.unknown)
		buf_printf(out, "It is not known whether %zu of %zu sites take mail", t.unknown,
			   s->sites_n);
	else if (t.trying)
		buf_printf(out, "%zu of %zu sites %s being tried", t.trying, s->sites_n,
			   t.trying == 1 ? "is" : "are");
	else
		buf_printf(out, "All %zu sites are up", s->sites_n);
}

static void put_headline(const struct cli *c, const struct status *s, struct buf *out)
{
	struct tally t = tally_of(s);
	enum term_ink ink = t.down				  ? INK_RED
			    : t.trying || s->held || s->missing_n ? INK_YELLOW
								  : INK_GREEN;
	struct term_text n;

	buf_printf(out, "%s", term_on(&c->term, ink));
	put_states(s, t, out);
	if (!s->has_views)
		buf_printf(out, "; what is held cannot be seen now.");
	else if (s->held)
		buf_printf(out, "; %s deliver%s held.", term_count(&n, s->held),
			   s->held == 1 ? "y is" : "ies are");
	else
		buf_printf(out, "; nothing is held.");
	buf_printf(out, "%s\n\n", term_off(&c->term, ink));
}

/* Widths of the columns behind the name: state, since, held, size, oldest. */
enum {
	W_STATE = 10,
	W_SINCE = 8,
	W_HELD = 10,
	W_SIZE = 10,
	W_OLDEST = 8,
	W_ALL = 10 + 8 + 10 + 10 + 8 + 5
};

static size_t name_width(const struct cli *c, const struct status *s)
{
	size_t most = c->term.width > W_ALL + 12 ? c->term.width - W_ALL : 12, width = 8;

	for (size_t i = 0; i < s->sites_n; i++) {
		size_t columns = term_columns(span_str(s->sites[i].name));

		width = columns > width ? columns : width;
	}
	return width < most ? width : most;
}

static void put_cell(struct buf *out, const char *text, size_t columns, bool right)
{
	buf_append_byte(out, ' ');
	term_cell(out, span_str(text), columns, right);
}

static void put_ago(const struct status *s, struct term_text *space, uint64_t at_us)
{
	if (!at_us || at_us > s->now_us + 60000000)
		(void)snprintf(space->p, sizeof space->p, "-");
	else
		(void)term_span_of_time(space, at_us < s->now_us ? s->now_us - at_us : 0);
}

static void put_bar(struct buf *out, uint64_t done, uint64_t all)
{
	unsigned full = all ? (unsigned)(done * 20 / all) : 0;

	buf_append_byte(out, '[');
	for (unsigned i = 0; i < 20; i++)
		buf_append_byte(out, i < full ? '#' : '-');
	buf_append_byte(out, ']');
}

static void put_drain(const struct cli *c, const struct status *s, const struct status_site *site,
		      struct buf *out)
{
	struct term_text a, b, left;
	struct buf line = {0};

	if (!site->has_drain)
		return;
	if (!site->drain_is_open) {
		if (*site->receipt && s->now_us - site->drain_up_us < 86400000000ull)
			term_wrap(&c->term, out, span_str(site->receipt), 2);
		return;
	}
	if (!site->drain_back && strcmp(site->state, "up") != 0 &&
	    strcmp(site->state, "probation") != 0)
		return;
	put_bar(&line, site->drain_back, site->drain_total);
	buf_printf(&line, " %s of %s handed back", term_count(&a, site->drain_back),
		   term_count(&b, site->drain_total));
	if (site->per_second > 0)
		buf_printf(&line, ", %.*f/s, %s to go", site->per_second < 10 ? 1 : 0,
			   site->per_second, term_span_of_time(&left, site->remaining_us));
	term_wrap(&c->term, out, buf_span(&line), 2);
	buf_fini(&line);
}

/* What an operator set, and until when. */
static void put_hold(const struct cli *c, const struct status *s, const struct status_site *site,
		     struct buf *out)
{
	struct term_text until;
	struct buf line = {0};

	if (!*site->hold || !strcmp(site->hold, "auto"))
		return;
	buf_printf(&line, "hold %s", site->hold);
	if (*site->hold_by)
		buf_printf(&line, " by %s", site->hold_by);
	if (site->hold_until_us)
		buf_printf(&line, " until %s", term_time(&until, site->hold_until_us, s->now_us));
	buf_printf(&line, "; `holdfast hold %s auto` ends it", site->name);
	term_wrap(&c->term, out, buf_span(&line), 2);
	buf_fini(&line);
}

static void put_site(const struct cli *c, const struct status *s, const struct status_site *site,
		     size_t width, struct buf *out)
{
	enum term_ink ink = ink_of(site->state);
	struct term_text text;

	term_cell(out, span_str(site->name), width, false);
	buf_printf(out, "%s", term_on(&c->term, ink));
	put_cell(out, site->state, W_STATE, false);
	buf_printf(out, "%s", term_off(&c->term, ink));
	put_ago(s, &text, site->since_us);
	put_cell(out, text.p, W_SINCE, false);
	put_cell(out, s->has_views ? term_count(&text, site->held) : "?", W_HELD, true);
	put_cell(out, s->has_views ? term_size(&text, site->held_bytes) : "?", W_SIZE, true);
	put_ago(s, &text, site->oldest_us);
	put_cell(out, s->has_views ? text.p : "?", W_OLDEST, true);
	buf_append_byte(out, '\n');
	if (*site->reason && strcmp(site->state, "up") != 0)
		term_wrap(&c->term, out, span_str(site->reason), 2);
	if (*site->stopped)
		term_wrap(&c->term, out, span_str(site->stopped), 2);
	put_hold(c, s, site, out);
	put_drain(c, s, site, out);
}

static void put_sites(const struct cli *c, const struct status *s, struct buf *out)
{
	size_t width = name_width(c, s);

	if (s->sites_n == 0)
		return;
	buf_printf(out, "%s", term_on(&c->term, INK_DIM));
	term_cell(out, SPAN_LIT("SITE"), width, false);
	put_cell(out, "STATE", W_STATE, false);
	put_cell(out, "SINCE", W_SINCE, false);
	put_cell(out, "HELD", W_HELD, true);
	put_cell(out, "SIZE", W_SIZE, true);
	put_cell(out, "OLDEST", W_OLDEST, true);
	buf_printf(out, "%s\n", term_off(&c->term, INK_DIM));
	for (size_t i = 0; i < s->sites_n; i++)
		put_site(c, s, &s->sites[i], width, out);
	buf_append_byte(out, '\n');
}

static void put_line(const struct cli *c, struct buf *out, const char *head, enum term_ink ink,
		     struct buf *text)
{
	struct buf wrapped = {0};
	struct term narrow = c->term;

	narrow.width = c->term.width > 10 ? c->term.width : 40;
	term_wrap(&narrow, &wrapped, buf_span(text), 9);
	buf_printf(out, "%-9s%s", head, term_on(&c->term, ink));
	buf_append(out, span_from(buf_span(&wrapped), 9));
	if (out->n && ink != INK_PLAIN) {
		out->n--; /* the colour ends before the line does */
		buf_printf(out, "%s\n", term_off(&c->term, ink));
	}
	buf_fini(&wrapped);
	buf_clear(text);
}

static void put_disk(const struct cli *c, const struct status *s, struct buf *out)
{
	bool is_low = s->free_bytes < s->reserve_bytes;
	struct term_text a, b;
	struct buf line = {0};

	if (!s->has_disk)
		return;
	buf_printf(&line, "%s free", term_size(&a, s->free_bytes));
	if (is_low)
		buf_printf(&line,
			   ", below the reserve of %s: new mail is refused for now (452), the rest "
			   "goes on",
			   term_size(&b, s->reserve_bytes));
	else if (s->reserve_bytes)
		buf_printf(&line, "; new mail would be refused below %s",
			   term_size(&b, s->reserve_bytes));
	put_line(c, out, "Disk", is_low ? INK_RED : INK_PLAIN, &line);
	buf_fini(&line);
}

static void put_views(const struct cli *c, const struct status *s, struct buf *out)
{
	struct term_text n;
	struct buf line = {0};

	if (!s->has_views)
		return;
	if (!s->has_lag)
		buf_printf(&line, "read; how far behind they are is not known");
	else if (s->lag_records == 0)
		buf_printf(&line, "up to date");
	else
		buf_printf(&line, "%s record%s behind; counts above are that old",
			   term_count(&n, s->lag_records), plural(s->lag_records));
	put_line(c, out, "Views", s->has_lag && s->lag_records > 10000 ? INK_YELLOW : INK_PLAIN,
		 &line);
	buf_fini(&line);
}

static bool is_in_trouble(const struct status_role *r)
{
	return strcmp(r->state, "running") != 0;
}

static void put_roles(const struct cli *c, const struct status *s, struct buf *out)
{
	size_t bad = 0;
	struct buf line = {0};
	const char *head = "Roles";

	for (size_t i = 0; i < s->roles_n; i++)
		bad += is_in_trouble(&s->roles[i]);
	if (s->roles_n) {
		buf_printf(&line, bad ? "%zu of %zu running" : "all %zu running",
			   s->roles_n - (bad ? bad : 0), s->roles_n);
		put_line(c, out, head, bad ? INK_YELLOW : INK_PLAIN, &line);
	}
	for (size_t i = 0; i < s->roles_n; i++) {
		const struct status_role *r = &s->roles[i];

		if (!is_in_trouble(r))
			continue;
		buf_printf(&line, "%s is %s, restarted %llu time%s", r->name, r->state,
			   (unsigned long long)r->restarts, plural(r->restarts));
		if (*r->last_words)
			buf_printf(&line, "; last words: %s", r->last_words);
		put_line(c, out, "", INK_RED, &line);
	}
	buf_fini(&line);
}

void status_print(const struct cli *c, const struct status *s, struct buf *out)
{
	struct term_text n;
	struct buf line = {0};

	put_headline(c, s, out);
	put_sites(c, s, out);
	put_disk(c, s, out);
	put_views(c, s, out);
	put_roles(c, s, out);
	if (s->decide) {
		buf_printf(&line,
			   "%s deliver%s a decision: holdfast queue list --match state=decide",
			   term_count(&n, s->decide), s->decide == 1 ? "y needs" : "ies need");
		put_line(c, out, "Decide", INK_YELLOW, &line);
	} else if (s->has_views) {
		buf_printf(&line, "0 need a decision");
		put_line(c, out, "Decide", INK_PLAIN, &line);
	}
	for (size_t i = 0; i < s->missing_n; i++) {
		buf_printf(&line, "%s", s->missing[i]);
		put_line(c, out, i ? "" : "Missing", INK_RED, &line);
	}
	buf_fini(&line);
}

int cmd_status(struct cli *c)
{
	struct status s;
	struct buf out = {0};

	if (!status_gather(c, &s)) {
		if (c->is_json)
			cli_print_json(
				json_pack("{s:b, s:[s]}", "ok", false, "missing", "configuration"));
		return CLI_NO;
	}
	if (c->is_json) {
		cli_print_json(status_json(&s));
	} else {
		status_print(c, &s, &out);
		(void)fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
	}
	return s.missing_n ? CLI_NO : CLI_FINE;
}
