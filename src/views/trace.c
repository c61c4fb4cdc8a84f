/* trace.h. Messages are looked through by ranges of numbers, so that a call has a bound whatever is asked. */
#include "views/trace.h"

#include "base/must.h"
#include "mail/text.h"
#include "views/internal.h"

enum { ORIGIN_PUT = 2, TEXT_BYTES = 2000 };

/* ---- comparing ---- */

/* What is asked, folded once. */
struct wanted {
	struct buf sender, rcpt, subject, message_id;
};

static void fold(struct span text, struct buf *out)
{
	out->limit = TEXT_BYTES;
	(void)text_fold(text, out);
}

static bool has(struct span text, const struct buf *part)
{
	struct buf folded = {0};
	bool yes;

	if (!part->n)
		return true;
	fold(text, &folded);
	yes = folded.n >= part->n && memmem(folded.p, folded.n, part->p, part->n) != NULL;
	buf_fini(&folded);
	return yes;
}

static void decode(struct span raw, struct buf *out)
{
	buf_clear(out);
	out->limit = TEXT_BYTES;
	(void)text_header(raw, out);
}

static void wanted_init(struct wanted *w, const struct views_trace_ask *ask)
{
	struct span id = ask->message_id;

	*w = (struct wanted){0};
	if (id.n && id.p[0] == '<')
		id = span_from(id, 1);
	if (id.n && id.p[id.n - 1] == '>')
		id = span_first(id, id.n - 1);
	fold(ask->sender, &w->sender);
	fold(ask->rcpt, &w->rcpt);
	fold(ask->subject, &w->subject);
	fold(id, &w->message_id);
}

static void wanted_fini(struct wanted *w)
{
	buf_fini(&w->sender);
	buf_fini(&w->rcpt);
	buf_fini(&w->subject);
	buf_fini(&w->message_id);
}

struct found {
	struct buf subject, from;
};

static bool fits(const struct wanted *w, const struct msg_message_meta *m, struct span sender,
		 struct found *out)
{
	if (m->origin == ORIGIN_PUT || !has(m->message_id, &w->message_id))
		return false;
	decode(m->from, &out->from);
	if (!has(sender, &w->sender) && !has(buf_span(&out->from), &w->sender))
		return false;
	decode(m->subject, &out->subject);
	return has(buf_span(&out->subject), &w->subject);
}

/* Open, finished, or of a copy, which has no deliveries; redirected: also whom it was for. */
static bool is_for(struct views *v, uint64_t number, const struct wanted *w)
{
	sqlite3_stmt *q;
	bool yes = false;

	if (!w->rcpt.n)
		return true;
	q = views_bind(
		v,
		"SELECT a.text, b.text FROM (SELECT addr, was FROM delivery WHERE number = ?1"
		" UNION ALL SELECT addr, was FROM done WHERE number = ?1"
		" UNION ALL SELECT addr, NULL FROM copied WHERE number = ?1) d"
		" JOIN address a ON a.id = d.addr LEFT JOIN address b ON b.id = d.was",
		"i", I(number));
	while (!yes && views_row(v, q))
		yes = has(views_text(q, 0), &w->rcpt) ||
		      (views_text(q, 1).n && has(views_text(q, 1), &w->rcpt));
	views_done(q);
	return yes;
}

/* ---- messages ---- */

static uint64_t newest(struct views *v)
{
	sqlite3_stmt *q = views_sql(v, "SELECT coalesce(max(number), 0) FROM message");
	uint64_t n = views_row(v, q) ? (uint64_t)views_int(q, 0) + 1 : 0;

	views_done(q);
	return n;
}

/* One message of a range. False: enough. */
static bool take(struct views *v, sqlite3_stmt *q, const struct wanted *w, struct found *f,
		 bool (*on_message)(void *arg, const struct views_traced *m), void *arg,
		 uint32_t *n)
{
	uint64_t number = (uint64_t)views_int(q, 0);
	struct arena callers = views_aside(v);
	struct msg_message_meta m;
	bool more = true;

	if (msg_message_meta_decode(&v->arena, views_text(q, 1), &m) &&
	    fits(w, &m, views_text(q, 2), f) && is_for(v, number, w)) {
		++*n;
		more = on_message(arg, &(struct views_traced){.number = number,
							      .id = m.id,
							      .origin = m.origin,
							      .account = m.account,
							      .subject = buf_span(&f->subject),
							      .from = buf_span(&f->from)});
	}
	views_back(v, callers);
	return more;
}

enum rc views_trace(struct views *v, const struct views_trace_ask *ask,
		    bool (*on_message)(void *arg, const struct views_traced *m), void *arg,
		    uint64_t *out_next, struct fault *why)
{
	uint64_t before = ask->before == UINT64_MAX ? newest(v) : ask->before, last = before;
	uint64_t least = before > ask->look_at ? before - ask->look_at : 0;
	struct found f = {{0}, {0}};
	struct wanted w;
	sqlite3_stmt *q;
	uint32_t n = 0;
	bool more = true;
	enum rc rc;

	wanted_init(&w, ask);
	q = views_bind(
		v,
		"SELECT m.number, m.facts, s.text FROM message m JOIN address s ON s.id ="
		" m.sender WHERE m.number < ?1 AND m.number >= ?2 AND m.received_us >= ?3 AND"
		" (?4 = 0 OR m.received_us <= ?4) ORDER BY m.number DESC",
		"iiii", I(before), I(least), I(ask->from_us), I(ask->to_us));
	while (more && n < ask->most && views_row(v, q)) {
		last = (uint64_t)views_int(q, 0);
		more = take(v, q, &w, &f, on_message, arg, &n);
	}
	views_done(q);
	*out_next = more && n < ask->most ? least : last;
	wanted_fini(&w);
	buf_fini(&f.subject);
	buf_fini(&f.from);
	rc = views_end(v, why);
	return rc;
}

/* ---- where it is ---- */

enum rc views_trace_places(struct views *v, uint64_t number,
			   bool (*on_place)(void *arg, const struct views_place *p),
			   bool (*on_went)(void *arg, const struct views_went *w), void *arg,
			   struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT a.name, coalesce(b.name, ''), b.special, e.gone, e.received_us FROM entry e"
		" JOIN mailbox b ON b.id = e.box JOIN account a ON a.id = b.account"
		" WHERE e.number = ? ORDER BY a.name, e.gone, e.modseq",
		"i", I(number));

	while (views_row(v, q) &&
	       on_place(arg, &(struct views_place){.account = views_text(q, 0),
						   .box = views_text(q, 1),
						   .special = (enum mail_special)views_int(q, 2),
						   .is_gone = views_int(q, 3) != 0,
						   .since_us = (uint64_t)views_int(q, 4)}))
		continue;
	views_done(q);
	q = views_bind(v,
		       "SELECT a.name, h.state, h.did, h.done_us, h.why FROM home h JOIN account a"
		       " ON a.id = h.account WHERE h.number = ? AND h.form != 255 ORDER BY a.name",
		       "i", I(number));
	while (views_row(v, q) &&
	       on_went(arg, &(struct views_went){.account = views_text(q, 0),
						 .state = (enum home_state)views_int(q, 1),
						 .did = (uint32_t)views_int(q, 2),
						 .done_us = (uint64_t)views_int(q, 3),
						 .why = views_text(q, 4)}))
		continue;
	views_done(q);
	return views_end(v, why);
}

/* ---- history ---- */

static bool is_ordered(const struct views_act *a)
{
	return a->actor.n && !span_eq(a->actor, SPAN_LIT("watch")) &&
	       !span_eq(a->actor, SPAN_LIT("clerk")) && !span_eq(a->actor, SPAN_LIT("auth"));
}

static bool says(const struct views_act *a, const struct buf *text)
{
	const struct span in[] = {a->verb, a->object, a->argument, a->reason, a->actor, a->result};

	for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
		if (has(in[i], text))
			return true;
	}
	return false;
}

enum rc views_audit(struct views *v, const struct views_audit_ask *ask,
		    bool (*on_act)(void *arg, const struct views_act *a), void *arg,
		    struct fault *why)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT " HISTORY_COLUMNS
				     " FROM history WHERE (?1 = -1 OR number < ?1) AND at_us >= ?2"
				     " AND (?3 = 0 OR at_us <= ?3) ORDER BY number DESC, line DESC",
				     "iii", I(ask->before), I(ask->from_us), I(ask->to_us));
	struct buf text = {0};
	bool more = true;
	uint32_t n = 0;

	fold(ask->text, &text);
	while (more && n < ask->most && views_row(v, q)) {
		struct views_act a;

		views_act_from(q, &a);
		if ((ask->is_people && !is_ordered(&a)) || (text.n && !says(&a, &text)))
			continue;
		n++;
		more = on_act(arg, &a);
	}
	views_done(q);
	buf_fini(&text);
	return views_end(v, why);
}
