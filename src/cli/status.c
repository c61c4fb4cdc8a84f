/*
 * holdfast status: one screen for somebody who was woken up. First one line that says it all, then each site with its
 * state, what is held and how the hand-back goes, then what needs a hand: disk, views, roles, decisions.
 */
#include "cli/status.h"

#include "ipc/msg.h"

/* ---- the screen ---- */

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

static struct tally tally_of(const struct report_status *s)
{
	struct tally t = {0};

	for (size_t i = 0; i < s->sites_n; i++) {
		t.down += ink_of(s->sites[i].state) == INK_RED;
		t.unknown += !strcmp(s->sites[i].state, "unknown");
		t.trying += ink_of(s->sites[i].state) == INK_YELLOW;
	}
	return t;
}

static void put_states(const struct report_status *s, struct tally t, struct buf *out)
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

static void put_headline(const struct cli *c, const struct report_status *s, struct buf *out)
{
	struct tally t = tally_of(s);
	enum term_ink ink = t.down				  ? INK_RED
			    : t.trying || s->held || s->missing_n ? INK_YELLOW
								  : INK_GREEN;
	struct buf line = {0};
	struct term_text n;

	put_states(s, t, &line);
	if (!s->has_views)
		buf_printf(&line, "; what is held cannot be seen now.");
	else if (s->held)
		buf_printf(&line, "; %s deliver%s held.", term_count(&n, s->held),
			   s->held == 1 ? "y is" : "ies are");
	else
		buf_printf(&line, "; nothing is held.");
	buf_printf(out, "%s", term_on(&c->term, ink));
	term_wrap(&c->term, out, buf_span(&line), 0);
	buf_printf(out, "%s\n", term_off(&c->term, ink));
	buf_fini(&line);
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

static size_t name_width(const struct cli *c, const struct report_status *s)
{
	size_t most = c->term.width > W_ALL + 8 ? c->term.width - W_ALL : 8, width = 8;

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

static void put_ago(const struct report_status *s, struct term_text *space, uint64_t at_us)
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

static void put_drain(const struct cli *c, const struct report_status *s,
		      const struct report_site *site, struct buf *out)
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

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* "hold on by operator root (uid 0) until 22:10: maintenance; `holdfast hold X auto` ends it". */
static void put_override(const struct cli *c, const struct report_status *s, const char *noun,
			 const json_t *o, const char *target, struct buf *out)
{
	json_int_t until_us = json_integer_value(json_object_get(o, "until_us"));
	const char *mode = text_of(o, "mode"), *by = text_of(o, "by"),
		   *reason = text_of(o, "reason");
	struct term_text until;
	struct buf line = {0};

	if (!*mode || !strcmp(mode, "auto"))
		return;
	buf_printf(&line, "%s %s for %s", noun, mode, target);
	if (*by)
		buf_printf(&line, " by %s", by);
	if (until_us > 0)
		buf_printf(&line, " until %s", term_time(&until, (uint64_t)until_us, s->now_us));
	buf_printf(&line, "%s%s; `holdfast %s %s auto` ends it", *reason ? ": " : "", reason, noun,
		   target);
	term_wrap(&c->term, out, buf_span(&line), 2);
	buf_fini(&line);
}

/* What an operator set for the site or one of its domains, and until when. */
static void put_hold(const struct cli *c, const struct report_status *s,
		     const struct report_site *site, struct buf *out)
{
	const json_t *hold = json_object_get(site->live, "hold"), *o;
	const char *configured = text_of(hold, "configured");
	size_t i;

	if (*configured && strcmp(configured, "auto") != 0 &&
	    !strcmp(text_of(hold, "mode"), "auto"))
		buf_printf(out, "  hold is %s in the configuration\n", configured);
	put_override(c, s, "hold", hold, site->name, out);
	json_array_foreach(json_object_get(s->live, "overrides"), i, o)
	{
		for (size_t k = 0; k < site->domains_n; k++) {
			if (span_eq(site->domains[k], span_str(text_of(o, "target"))))
				put_override(c, s, "hold", o, text_of(o, "target"), out);
		}
	}
}

/* Whether people are told to work here, and whether somebody has to say so. */
static void put_continuity(const struct cli *c, const struct report_status *s,
			   const struct report_site *site, struct buf *out)
{
	const json_t *o = json_object_get(site->live, "continuity"), *each;
	const char *state = text_of(o, "state");
	struct buf line = {0};
	size_t i;

	if (!strcmp(state, "asks"))
		buf_printf(&line, "shall people work here? `holdfast continuity %s on` or off",
			   site->name);
	else if (!strcmp(state, "on"))
		buf_printf(&line, "people are told to work here");
	else if (json_is_true(json_object_get(o, "blocked")))
		buf_printf(&line,
			   "people are not told to work here: our own network seems to be down");
	if (line.n)
		term_wrap(&c->term, out, buf_span(&line), 2);
	buf_fini(&line);
	put_override(c, s, "continuity", o, site->name, out);
	json_array_foreach(json_object_get(s->live, "continuity_overrides"), i, each)
	{
		for (size_t k = 0; k < site->domains_n; k++) {
			if (span_eq(site->domains[k], span_str(text_of(each, "target"))))
				put_override(c, s, "continuity", each, text_of(each, "target"),
					     out);
		}
	}
}

static void put_home(const struct cli *c, const struct report_site *site, struct buf *out)
{
	struct term_text a, b;
	struct buf line = {0};

	if (!site->home_waiting && !site->home_decide)
		return;
	buf_printf(&line, "%s change%s of %llu account%s still to go home",
		   term_count(&a, site->home_waiting), site->home_waiting == 1 ? "" : "s",
		   (unsigned long long)site->home_accounts, site->home_accounts == 1 ? "" : "s");
	if (site->home_decide)
		buf_printf(&line, ", %s need%s a decision", term_count(&b, site->home_decide),
			   site->home_decide == 1 ? "s" : "");
	buf_printf(&line, ": holdfast queue home");
	term_wrap(&c->term, out, buf_span(&line), 2);
	buf_fini(&line);
}

static void put_site(const struct cli *c, const struct report_status *s,
		     const struct report_site *site, size_t width, struct buf *out)
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
	put_continuity(c, s, site, out);
	put_drain(c, s, site, out);
	put_home(c, site, out);
}

static void put_sites(const struct cli *c, const struct report_status *s, struct buf *out)
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

static void put_disk(const struct cli *c, const struct report_status *s, struct buf *out)
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

static void put_views(const struct cli *c, const struct report_status *s, struct buf *out)
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

/* "smtp 25, imaps 993": each service and port once. */
static void put_listeners(const struct cli *c, const struct report_status *s, struct buf *out)
{
	struct span last = SPAN_NONE, last_port = SPAN_NONE;
	struct buf line = {0};

	for (size_t i = 0; i < s->listeners_n; i++) {
		struct span service = s->listeners[i].service, address = s->listeners[i].address;
		struct span port = span_from(address, (size_t)(span_rchr(address, ':') + 1));

		if (span_eq(service, last) && span_eq(port, last_port))
			continue;
		if (span_eq(service, last))
			buf_printf(&line, " and %.*s", SPAN_FMT(port));
		else
			buf_printf(&line, "%s%.*s %.*s", line.n ? ", " : "", SPAN_FMT(service),
				   SPAN_FMT(port));
		last = service;
		last_port = port;
	}
	if (line.n)
		put_line(c, out, "Open", INK_PLAIN, &line);
	buf_fini(&line);
}

static void put_people(const struct cli *c, const struct report_status *s, struct buf *out)
{
	struct buf line = {0};
	bool is_all;

	if (status_people_line(s, &line, &is_all))
		put_line(c, out, "People", is_all ? INK_PLAIN : INK_YELLOW, &line);
	buf_fini(&line);
}

static void put_role(const struct cli *c, const json_t *r, struct buf *out)
{
	json_int_t restarts = json_integer_value(json_object_get(r, "restarts"));
	struct buf line = {0};

	buf_printf(&line, "%s is %s", text_of(r, "name"), text_of(r, "state"));
	if (!strcmp(text_of(r, "state"), "waiting"))
		buf_printf(&line, " to be started again");
	if (restarts)
		buf_printf(&line, ", restarted %lld time%s", (long long)restarts,
			   plural((uint64_t)restarts));
	if (*text_of(r, "last_words"))
		buf_printf(&line, "; last words: %s", text_of(r, "last_words"));
	put_line(c, out, "", INK_RED, &line);
	buf_fini(&line);
}

static void put_roles(const struct cli *c, const struct report_status *s, struct buf *out)
{
	const json_t *list = json_object_get(s->live, "roles"), *r;
	size_t n = json_array_size(list), running = 0, i;
	struct buf line = {0};

	if (!n)
		return;
	json_array_foreach(list, i, r) running += !strcmp(text_of(r, "state"), "running");
	if (running == n)
		buf_printf(&line, "all %zu running", n);
	else
		buf_printf(&line, "%zu of %zu running", running, n);
	put_line(c, out, "Roles", running == n ? INK_PLAIN : INK_YELLOW, &line);
	buf_fini(&line);
	json_array_foreach(list, i, r)
	{
		if (strcmp(text_of(r, "state"), "running") != 0)
			put_role(c, r, out);
	}
}

/* What watch cannot write, and a network of ours that is down. */
static void put_alarms(const struct cli *c, const struct report_status *s, struct buf *out)
{
	const char *trouble = text_of(json_object_get(s->live, "ledger"), "trouble");
	struct buf line = {0};

	if (*trouble) {
		buf_printf(&line, "%s", trouble);
		put_line(c, out, "Ledger", INK_RED, &line);
	}
	if (json_is_true(
		    json_object_get(json_object_get(s->live, "controls"), "own_network_down"))) {
		buf_printf(&line, "no neutral control answers: our own network seems to be down");
		put_line(c, out, "Network", INK_RED, &line);
	}
	buf_fini(&line);
}

void status_print(const struct cli *c, const struct report_status *s, struct buf *out)
{
	struct term_text n;
	struct buf line = {0};

	put_headline(c, s, out);
	put_sites(c, s, out);
	put_disk(c, s, out);
	put_views(c, s, out);
	put_listeners(c, s, out);
	put_people(c, s, out);
	put_roles(c, s, out);
	put_alarms(c, s, out);
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
	struct status_asked asked;
	struct report_status s;
	struct buf out = {0};

	if (!status_ask(c, &asked, &s))
		return CLI_NO;
	if (c->is_json) {
		cli_print_json(report_status_json(&s));
	} else {
		status_print(c, &s, &out);
		(void)fwrite(out.p, 1, out.n, stdout);
		buf_fini(&out);
	}
	status_asked_free(&asked);
	return s.missing_n ? CLI_NO : CLI_FINE;
}
