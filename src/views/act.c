/*
 * ACT records: what watch decided about a site, and what an operator asked of the queue. Queue acts are judged here, in
 * order and against what the records before them made, so that a replay comes to the same verdict.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "health/health.h"
#include "views/people.h"

/* ---- sites ---- */

/* On `up` every retry time is forgotten: what was refused while the site was ill says nothing about it now. */
static void forget_retries(struct views *v, struct site *s)
{
	int64_t n;

	views_run(v, "UPDATE delivery SET state = 0, next_us = 0 WHERE site = ? AND state = 2", "i",
		  I(s->id));
	n = sqlite3_changes64(v->db);
	must(v->rc != OK || n == s->open[QUEUE_DEFERRED]);
	s->open[QUEUE_DEFERRED] = 0;
	s->open[QUEUE_READY] += n;
	s->o_deferred = 0; /* all of them were members: the site was not up */
}

static void site_state(struct views *v, const struct msg_act_meta *a, uint64_t number,
		       uint64_t at_us)
{
	struct site *s = site_of(v, a->object, SITE_REAL);
	enum health_state state = HEALTH_UNKNOWN;
	enum site_phase was = s->phase, phase;

	if (s->kind != SITE_REAL)
		return;
	phase = health_state_parse(a->argument, &state) ? health_phase(state) : PHASE_DOWN;
	site_text(&s->state, a->argument);
	site_text(&s->reason, a->reason);
	s->since_us = at_us;
	s->is_dirty = true;
	if (phase != PHASE_DOWN && phase != was)
		site_text(&s->stopped, SPAN_NONE);
	if (phase == PHASE_UP && was != PHASE_UP) {
		forget_retries(v, s);
		home_retry(v, a->object);
		s->up_us = at_us;
		s->up_number = number;
		s->phase = phase;
		outage_look(v, s, number, at_us);
	} else if (phase != PHASE_UP && was == PHASE_UP) {
		outage_begin(v, s, number, at_us);
	}
	s->phase = phase;
	if (v->ops.on_site)
		v->ops.on_site(v->ops.arg, s->id);
}

static void drain_stop(struct views *v, const struct msg_act_meta *a)
{
	struct site *s = site_of(v, a->object, SITE_REAL);

	site_text(&s->stopped, a->reason.n ? a->reason : SPAN_LIT("stopped by an operator"));
	s->is_dirty = true;
	if (v->ops.on_site)
		v->ops.on_site(v->ops.arg, s->id);
}

/* Of a domain; a site's hold comes back as site.state. */
static void hold_set(struct views *v, const struct msg_act_meta *a)
{
	bool is_auto = span_eq(a->argument, SPAN_LIT("auto"));

	if (!is_auto && !span_eq(a->argument, SPAN_LIT("on")) &&
	    !span_eq(a->argument, SPAN_LIT("off")))
		return;
	views_run(v, "UPDATE domain SET hold = ?2, hold_until_us = ?3 WHERE name = ?1", "ssi",
		  a->object, is_auto ? SPAN_NONE : a->argument, I(a->until_us));
	if (v->ops.on_site && sqlite3_changes(v->db) > 0)
		v->ops.on_site(v->ops.arg, 0);
}

/* continuity.state of a site, continuity.set of a domain: what views_continuity reads. "auto": the site says. */
static void continuity(struct views *v, const struct msg_act_meta *a, uint64_t at_us)
{
	bool is_domain = span_eq(a->class, SPAN_LIT("domain"));
	char since[24];

	if (span_eq(a->verb, SPAN_LIT("continuity.set")) != is_domain)
		return;
	(void)snprintf(since, sizeof since, "%llu", (unsigned long long)at_us);
	views_run(v, "DELETE FROM fact WHERE kind = 'continuity' AND scope = ?", "s", a->object);
	if (is_domain && span_eq(a->argument, SPAN_LIT("auto")))
		return;
	views_run(v,
		  "INSERT INTO fact VALUES ('continuity', ?1, 'state', ?2), ('continuity', ?1, "
		  "'since', ?3)",
		  "ssz", a->object, a->argument, since);
}

/* ---- queue acts ---- */

struct chosen {
	struct {
		uint64_t number;
		uint32_t rcpt;
	} * rows;
	size_t n, cap;
	uint64_t messages;
};

#define SELECT_MATCHING                                                                            \
	"SELECT d.number, d.rcpt, m.facts FROM delivery d JOIN message m USING (number)"           \
	" JOIN address r ON r.id = d.addr JOIN address s ON s.id = m.sender"                       \
	" JOIN site t ON t.id = d.site WHERE "

static bool has_id(struct views *v, struct span facts, struct span begin)
{
	struct msg_message_meta m;
	size_t used = v->arena.used;
	bool yes = msg_message_meta_decode(&v->arena, facts, &m) && span_starts(m.id, begin);

	(void)used;
	return yes;
}

static void choose(struct views *v, const struct queue_match *match, uint64_t at_us,
		   struct chosen *out)
{
	struct match_sql m;
	char sql[sizeof SELECT_MATCHING + sizeof m.where + 40];
	sqlite3_stmt *q = NULL;
	int code;

	match_build(v, match, at_us, &m);
	snprintf(sql, sizeof sql, "%s%s ORDER BY d.number, d.rcpt", SELECT_MATCHING,
		 m.where[0] ? m.where : "1");
	code = sqlite3_prepare_v2(v->db, sql, -1, &q, NULL);
	if (code != SQLITE_OK) {
		views_fail(v, code, sql);
		return;
	}
	match_bind(q, &m, 1);
	while (views_row(v, q)) {
		if ((match->flags & QUEUE_MATCH_ID) &&
		    !has_id(v, views_text(q, 2), span_str(match->id)))
			continue;
		if (out->n == out->cap) {
			out->cap = out->cap ? 2 * out->cap : 64;
			out->rows = realloc(out->rows, out->cap * sizeof *out->rows);
			must(out->rows);
		}
		out->rows[out->n].number = (uint64_t)views_int(q, 0);
		out->rows[out->n].rcpt = (uint32_t)views_int(q, 1);
		out->messages +=
			out->n == 0 || out->rows[out->n - 1].number != out->rows[out->n].number;
		out->n++;
	}
	sqlite3_finalize(q);
}

struct verb_ctx {
	struct views *v;
	const struct msg_act_meta *act;
	uint64_t number, at_us;
	struct site *to;  /* redirect */
	uint64_t to_addr; /* redirect to an address; 0: to a host */
	struct span why;
};

/* True: it was changed. */
static bool do_retry(struct verb_ctx *c, struct delivery *d)
{
	if (d->state != QUEUE_DEFERRED && d->state != QUEUE_DECIDE)
		return d->state == QUEUE_READY; /* it is what they want already */
	if (site_by_id(c->v, d->site)->kind == SITE_NONE)
		return false;
	delivery_move(c->v, d, QUEUE_READY, &c->why, c->at_us);
	return true;
}

/* As retry, and the refusals so far count no more. */
static bool do_release(struct verb_ctx *c, struct delivery *d)
{
	d->count_from_us = c->at_us;
	return do_retry(c, d);
}

static bool do_discard(struct verb_ctx *c, struct delivery *d)
{
	if (d->state == QUEUE_OFFERED) /* the primary may have it in this moment */
		return false;
	delivery_move(c->v, d, QUEUE_DISCARDED, &c->why, c->at_us);
	return true;
}

static bool do_redirect(struct verb_ctx *c, struct delivery *d)
{
	struct site *from = site_by_id(c->v, d->site), *to = c->to;
	uint64_t addr = c->to_addr ? c->to_addr : d->addr;
	int64_t bytes = message_bytes(c->v, d->number);

	if (d->state == QUEUE_OFFERED)
		return false;
	from->open[d->state]--;
	from->bytes -= bytes;
	from->is_dirty = true;
	outage_move(c->v, from, d->number, (int)d->state, -1);
	views_run(c->v,
		  "UPDATE delivery SET site = ?3, was = CASE WHEN addr = ?4 THEN was ELSE "
		  "coalesce(was, addr)"
		  " END, addr = ?4, state = 0, next_us = 0, count_from_us = ?5, why = ?6"
		  " WHERE number = ?1 AND rcpt = ?2",
		  "iiiiis", I(d->number), I(d->rcpt), I(to->id), I(addr), I(c->at_us), c->why);
	if (!to->o_open && to->phase != PHASE_UP)
		outage_begin(c->v, to, c->number, c->at_us);
	to->open[QUEUE_READY]++;
	to->bytes += bytes;
	to->is_dirty = true;
	outage_move(c->v, to, d->number, -1, QUEUE_READY);
	if (c->v->ops.on_ready)
		c->v->ops.on_ready(c->v->ops.arg, to->id, addr, d->number);
	return true;
}

static const struct {
	const char *verb, *past;
	bool (*each)(struct verb_ctx *c, struct delivery *d);
} verbs[] = {
	{"queue.retry", "will be tried as soon as the site takes mail", do_retry},
	{"queue.release", "released", do_release},
	{"queue.discard", "discarded", do_discard},
	{"queue.redirect", "redirected", do_redirect},
};

static bool is_host(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127 || s.p[i] == '/' || s.p[i] == ',')
			return false;
	return s.n > 0 && s.n < 256;
}

/* Where to. REFUSED with why in the fault. */
static enum rc redirect_to(struct verb_ctx *c, struct fault *why)
{
	struct views *v = c->v;
	struct span arg = c->act->argument, name;
	ssize_t at = span_rchr(arg, '@');
	struct buf b = {0};
	sqlite3_stmt *q;

	if (at < 0 && is_host(arg)) {
		buf_printf(&b, "host:%.*s", SPAN_FMT(arg));
		c->to = site_of(v, buf_span(&b), SITE_REDIRECT);
		buf_fini(&b);
		return OK;
	}
	if (at < 1 || !is_host(span_from(arg, (size_t)at + 1)) || arg.n > 320) {
		fault_set(why, "'%.*s' is neither an address nor a host", SPAN_FMT(arg));
		return REFUSED;
	}
	q = views_bind(v, "SELECT site FROM domain WHERE name = lower(?) AND site != ''", "s",
		       span_from(arg, (size_t)at + 1));
	if (!views_row(v, q)) {
		fault_set(why, "no site takes mail for '%.*s'; name a host instead",
			  SPAN_FMT(span_from(arg, (size_t)at + 1)));
		return REFUSED;
	}
	name = arena_span(&v->arena, views_text(q, 0));
	views_done(q);
	c->to = site_of(v, name, SITE_REAL);
	c->to_addr = address_of(v, arg);
	return OK;
}

/* A whole site was released: its stopped drain goes on too. */
static void unstop(struct views *v, const struct queue_match *m)
{
	struct site *s;

	if (m->flags != QUEUE_MATCH_SITE)
		return;
	s = map_get(&v->site_by_name, span_str(m->site));
	if (!s || !s->stopped[0])
		return;
	site_text(&s->stopped, SPAN_NONE);
	s->is_dirty = true;
	if (v->ops.on_site)
		v->ops.on_site(v->ops.arg, s->id);
}

static void look_at_all(struct views *v, uint64_t number, uint64_t at_us)
{
	for (size_t i = 0; i < v->sites_n; i++)
		outage_look(v, v->sites[i], number, at_us);
}

static void run_verb(struct verb_ctx *c, size_t verb, const struct queue_match *match,
		     struct views_act *line, struct buf *text)
{
	struct chosen chosen = {0};
	uint64_t left = 0;

	choose(c->v, match, c->at_us, &chosen);
	for (size_t i = 0; i < chosen.n && c->v->rc == OK; i++) {
		struct delivery d;

		if (delivery_get(c->v, chosen.rows[i].number, chosen.rows[i].rcpt, &d) &&
		    verbs[verb].each(c, &d))
			line->count++;
		else
			left++;
	}
	line->ok = line->count > 0;
	if (chosen.n == 0)
		buf_printf(text, "nothing in the queue matches");
	else
		buf_printf(text, "%llu deliver%s %s", (unsigned long long)line->count,
			   line->count == 1 ? "y" : "ies", verbs[verb].past);
	if (left)
		buf_printf(text, "; %llu left alone (being delivered, or no site takes them)",
			   (unsigned long long)left);
	free(chosen.rows);
}

static void judge(struct verb_ctx *c, size_t verb, struct views_act *line, struct buf *text)
{
	struct queue_match match;
	struct fault why = {0};

	if (queue_match_parse(c->act->object, &match, &why) != OK ||
	    (verbs[verb].each == do_redirect && redirect_to(c, &why) != OK)) {
		buf_printf(text, "refused: %s", why.text);
		return;
	}
	run_verb(c, verb, &match, line, text);
	if (verbs[verb].each == do_release)
		unstop(c->v, &match);
	if ((verbs[verb].each == do_retry || verbs[verb].each == do_release) &&
	    match.flags == QUEUE_MATCH_SITE)
		home_retry(c->v, span_str(match.site));
	look_at_all(c->v, c->number, c->at_us);
}

static struct span why_of(struct views *v, const struct msg_act_meta *a, const char *past)
{
	struct buf b = {0};
	struct span kept;

	buf_printf(&b, "%s by %.*s", past, SPAN_FMT(a->actor));
	if (a->argument.n)
		buf_printf(&b, " to %.*s", SPAN_FMT(a->argument));
	if (a->reason.n)
		buf_printf(&b, ": %.*s", SPAN_FMT(span_first(a->reason, 400)));
	kept = arena_span(&v->arena, buf_span(&b));
	buf_fini(&b);
	return kept;
}

void queue_act(struct views *v, const struct msg_act_meta *a, uint64_t number, uint64_t at_us,
	       struct views_act *line)
{
	static const char *const past[] = {"retried", "released", "discarded", "redirected"};
	struct verb_ctx c = {.v = v, .act = a, .number = number, .at_us = at_us};
	struct buf text = {0};

	line->is_judged = true;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (!span_eq(a->verb, span_str(verbs[i].verb)))
			continue;
		c.why = why_of(v, a, past[i]);
		judge(&c, i, line, &text);
	}
	if (text.n == 0)
		buf_printf(&text, "refused: unknown verb");
	line->result = arena_span(&v->arena, buf_span(&text));
	buf_fini(&text);
}

/* ---- all ---- */

void apply_act(struct views *v, const struct order_entry *e, const struct record *r)
{
	struct msg_act_meta a;
	struct views_act line;

	if (!msg_act_meta_decode(&v->arena, r->meta, &a)) {
		v->rc = REFUSED;
		return;
	}
	if (span_eq(a.verb, SPAN_LIT("mail"))) {
		mail_act(v, e, r, a.detail);
		return;
	}
	if (span_eq(a.verb, SPAN_LIT("home"))) {
		apply_home(v, e, r, a.detail);
		return;
	}
	line = (struct views_act){
		.number = e->number,
		.at_us = r->received_us,
		.id = a.id,
		.verb = a.verb,
		.object = a.object,
		.argument = a.argument,
		.reason = a.reason,
		.actor = a.actor,
		.class = a.class,
		.until_us = a.until_us,
		.confidence = a.confidence,
		.ok = true,
	};
	v->history_line = 1; /* what follows from it stands after it */
	if (span_eq(a.verb, SPAN_LIT("site.state")))
		site_state(v, &a, e->number, r->received_us);
	else if (span_eq(a.verb, SPAN_LIT("drain.stop")))
		drain_stop(v, &a);
	else if (span_eq(a.verb, SPAN_LIT("hold.set")))
		hold_set(v, &a);
	else if (span_starts(a.verb, SPAN_LIT("continuity.")))
		continuity(v, &a, r->received_us);
	else if (span_starts(a.verb, SPAN_LIT("queue.")))
		queue_act(v, &a, e->number, r->received_us, &line);
	v->history_line = 0;
	history_add(v, &line);
}
