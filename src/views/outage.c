/*
 * An outage of a site, from the first delivery that had to be held to the receipt. Computed from records alone.
 *
 * Members are the deliveries that were open when the site went down and those that arrived until its `up`: while the site
 * is not up, every open delivery; afterwards those with an order number below up_number. A site that goes down again
 * before the receipt goes on with the same outage, and what had come in between and is still open becomes a member.
 *
 * The receipt is written by the record that settles the last member: handed back, on the decision list, returned to the
 * sender or discarded. Members that the primary refuses for now keep the receipt waiting for at most an hour after `up`.
 */
#include <stdio.h>

#include "base/must.h"
#include "views/people.h"

enum { DEFERRED_PATIENCE_S = 3600, NAMES_IN_RECEIPT = 20 };
static const int64_t NO_OUTAGE = -1; /* `began` of what was unsure outside any */

static bool is_member(const struct site *s, uint64_t number)
{
	return s->o_open && (s->phase != PHASE_UP || number < s->up_number);
}

static int64_t open_all(const struct site *s)
{
	int64_t n = 0;

	for (int i = 0; i <= QUEUE_DECIDE; i++)
		n += s->open[i];
	return n;
}

static int64_t members_open(const struct site *s)
{
	return s->o_total - s->o_handed - s->o_returned - s->o_discarded;
}

/* Down again before the end: what waits now belongs to it. */
static void add_held(struct site *s)
{
	s->o_total += open_all(s) - members_open(s);
	s->o_decide = s->open[QUEUE_DECIDE];
	s->o_deferred = s->open[QUEUE_DEFERRED];
	s->is_dirty = true;
}

static void adopt_unsure(struct views *v, struct site *s);

void outage_begin(struct views *v, struct site *s, uint64_t number, uint64_t at_us)
{
	if (s->kind != SITE_REAL)
		return;
	if (!s->o_open) {
		s->o_open = true;
		s->o_began_us = at_us;
		s->o_began_number = number;
		s->o_total = s->o_handed = s->o_unsure = s->o_returned = s->o_discarded = 0;
		site_text(&s->receipt, SPAN_NONE);
	}
	add_held(s);
	adopt_unsure(v, s);
}

void outage_move(struct views *v, struct site *s, uint64_t number, int from, int to)
{
	(void)v;
	if (!is_member(s, number))
		return;
	s->is_dirty = true;
	s->o_total += (from < 0) - (to < 0);
	s->o_decide += (to == QUEUE_DECIDE) - (from == QUEUE_DECIDE);
	s->o_deferred += (to == QUEUE_DEFERRED) - (from == QUEUE_DEFERRED);
	s->o_handed += (to == QUEUE_DELIVERED) - (from == QUEUE_DELIVERED);
	s->o_returned += to == QUEUE_RETURNED;
	s->o_discarded += (to == QUEUE_DISCARDED) - (from == QUEUE_DISCARDED);
}

/* Mail that was never held has no receipt: history names it, at once. */
static void say_unsure(struct views *v, const struct site *s, uint64_t number, uint32_t rcpt,
		       uint64_t at_us)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT m.facts, a.text FROM message m, address a WHERE m.number = ?1 AND a.id ="
		" coalesce((SELECT addr FROM delivery WHERE number = ?1 AND rcpt = ?2),"
		" (SELECT addr FROM done WHERE number = ?1 AND rcpt = ?2))",
		"ii", I(number), I(rcpt));
	struct buf text = {0};
	struct msg_message_meta m;

	if (views_row(v, q) && msg_message_meta_decode(&v->arena, views_text(q, 0), &m))
		buf_printf(
			&text,
			"%.*s for %.*s: no answer came after the final dot, it may be there twice",
			SPAN_FMT(m.id), SPAN_FMT(views_text(q, 1)));
	views_done(q);
	history_add(v, &(struct views_act){
			       .number = v->next,
			       .at_us = at_us,
			       .verb = SPAN_LIT("delivery.unsure"),
			       .object = span_str(s->name),
			       .reason = buf_span(&text),
			       .actor = SPAN_LIT("clerk"),
			       .is_judged = true,
			       .ok = true,
			       .count = 1,
			       .result = SPAN_LIT("1 possible duplicate"),
		       });
	buf_fini(&text);
}

void outage_unsure(struct views *v, struct site *s, uint64_t number, uint32_t rcpt, bool is_first,
		   uint64_t at_us)
{
	bool member = is_member(s, number);

	views_run(v, "INSERT OR IGNORE INTO unsure VALUES (?, ?, ?, ?)", "iiii", I(s->id),
		  member ? I(s->o_began_number) : NO_OUTAGE, I(number), I(rcpt));
	s->is_dirty = true;
	if (member)
		s->o_unsure += is_first;
	else if (is_first)
		say_unsure(v, s, number, rcpt, at_us);
}

/* What became unsure while the site was up and is open still is a member now. */
static void adopt_unsure(struct views *v, struct site *s)
{
	views_run(v,
		  "UPDATE unsure SET began = ?2 WHERE site = ?1 AND began = ?3 AND EXISTS (SELECT "
		  "1 FROM delivery d"
		  " WHERE d.number = unsure.number AND d.rcpt = unsure.rcpt AND d.site = ?1)",
		  "iii", I(s->id), I(s->o_began_number), NO_OUTAGE);
	s->o_unsure += sqlite3_changes64(v->db);
}

/* 4812 -> "4,812" */
static void with_commas(char out[32], int64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%lld", (long long)n);
	size_t at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

static void add_count(struct buf *b, int64_t n, const char *text)
{
	char number[32];

	if (n == 0)
		return;
	with_commas(number, n);
	buf_printf(b, ", %s %s", number, text);
}

static void sentence(const struct site *s, struct buf *out)
{
	char handed[32], total[32], unsure[32], decide[32];

	with_commas(handed, s->o_handed);
	with_commas(total, s->o_total);
	with_commas(unsure, s->o_unsure);
	with_commas(decide, s->o_decide);
	buf_printf(out, "%s of %s handed back, %s %s, %s need%s a decision", handed, total, unsure,
		   s->o_unsure == 0   ? "duplicates"
		   : s->o_unsure == 1 ? "possible duplicate"
				      : "possible duplicates",
		   decide, s->o_decide == 1 ? "s" : "");
	add_count(out, s->o_deferred, "wait for another try");
	add_count(out, s->o_returned, "returned to their senders");
	add_count(out, s->o_discarded, "discarded by an operator");
}

static void names(struct views *v, const struct site *s, struct buf *out)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT m.facts, a.text FROM unsure u JOIN message m USING (number)"
			   " LEFT JOIN delivery d ON d.number = u.number AND d.rcpt = u.rcpt"
			   " LEFT JOIN done e ON e.number = u.number AND e.rcpt = u.rcpt"
			   " JOIN address a ON a.id = coalesce(d.addr, e.addr)"
			   " WHERE u.site = ? AND u.began = ? ORDER BY u.number, u.rcpt LIMIT ?",
			   "iii", I(s->id), I(s->o_began_number), I(NAMES_IN_RECEIPT));
	int64_t shown = 0;

	while (views_row(v, q)) {
		struct msg_message_meta m;
		struct span to = views_text(q, 1);

		if (!msg_message_meta_decode(&v->arena, views_text(q, 0), &m))
			continue;
		buf_printf(out, "%s%.*s for %.*s",
			   shown++ ? ", " : "sent twice because no answer came: ", SPAN_FMT(m.id),
			   SPAN_FMT(to));
	}
	if (s->o_unsure > shown)
		buf_printf(out, ", and %lld more", (long long)(s->o_unsure - shown));
}

void outage_look(struct views *v, struct site *s, uint64_t number, uint64_t at_us)
{
	struct buf text = {0}, named = {0};
	int64_t waiting;

	if (!s->o_open || s->phase != PHASE_UP)
		return;
	waiting = members_open(s) - s->o_decide;
	if (at_us >= s->up_us + (uint64_t)DEFERRED_PATIENCE_S * 1000000)
		waiting -= s->o_deferred;
	if (waiting > 0)
		return;
	s->o_open = false;
	s->is_dirty = true;
	if (s->o_total == 0) {
		home_look(v, s, number, at_us);
		return;
	}
	sentence(s, &text);
	names(v, s, &named);
	site_text(&s->receipt, buf_span(&text));
	history_add(v, &(struct views_act){
			       .number = number,
			       .at_us = at_us,
			       .verb = SPAN_LIT("drain.receipt"),
			       .object = span_str(s->name),
			       .reason = buf_span(&named),
			       .actor = SPAN_LIT("clerk"),
			       .is_judged = true,
			       .ok = true,
			       .count = (uint64_t)s->o_handed,
			       .result = buf_span(&text),
		       });
	home_look(v, s, number, at_us);
	buf_fini(&text);
	buf_fini(&named);
}
