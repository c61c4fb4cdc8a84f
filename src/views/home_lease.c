/*
 * What the clerk asks of `home`: whose turn it is, what one account's next lease holds, and what is left; and the part of the
 * receipt that speaks of it.
 */
#include <stdio.h>

#include "base/must.h"
#include "views/people.h"

/* ---- whose turn it is ---- */

enum rc views_home_accounts(struct views *v, uint64_t now_us,
			    bool (*on_account)(void *arg, uint64_t account, struct span name,
					       struct span site),
			    void *arg, struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT a.id, a.name, d.site FROM (SELECT DISTINCT account FROM home WHERE state < "
		"2"
		" AND next_us <= ?) h JOIN account a ON a.id = h.account JOIN domain d ON d.name ="
		" substr(a.name, instr(a.name, '@') + 1) ORDER BY a.id",
		"i", I(now_us));

	while (views_row(v, q)) {
		if (on_account(arg, (uint64_t)views_int(q, 0), views_text(q, 1), views_text(q, 2)))
			continue;
		views_done(q);
		break;
	}
	return views_end(v, why);
}

/* ---- one lease ---- */

struct due {
	uint64_t number, form, copy;
};

/* Oldest first; a message that is still to be handed back waits for that. Mailboxes come before what goes into them. */
static size_t due_rows(struct views *v, uint64_t account, uint64_t now_us, struct due *out,
		       size_t max)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT h.number, h.form, h.copy FROM home h WHERE h.account = ?1 AND h.state < 2 "
		"AND"
		" h.next_us <= ?2 AND (h.form = 255 OR h.at_home = 0 OR NOT EXISTS (SELECT 1 FROM"
		" delivery d WHERE d.number = h.number AND d.site = (SELECT s.id FROM site s JOIN"
		" domain o ON o.site = s.name JOIN account a ON a.id = ?1 AND o.name = "
		"substr(a.name,"
		" instr(a.name, '@') + 1)))) ORDER BY h.form = 255 DESC, h.box, h.number LIMIT ?3",
		"iii", I(account), I(now_us), I(max));
	size_t n = 0;

	while (n < max && views_row(v, q)) {
		out[n].number = (uint64_t)views_int(q, 0);
		out[n].form = (uint64_t)views_int(q, 1);
		out[n++].copy = (uint64_t)views_int(q, 2);
	}
	views_done(q);
	return n;
}

static bool box_is(struct views *v, struct arena *a, uint64_t box, uint8_t *out_special,
		   struct span *out_name)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT special, coalesce(name, '') FROM mailbox WHERE id = ?", "i", I(box));

	if (!views_row(v, q))
		return false;
	*out_special = (uint8_t)views_int(q, 0);
	*out_name = arena_span(a, views_text(q, 1));
	views_done(q);
	return true;
}

static bool message_facts(struct views *v, struct arena *a, const struct due *d,
			  struct msg_home_item *out)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT lane_id, segment, offset, bytes, received_us, trace_bytes, facts"
			   " FROM message WHERE number = ?",
			   "i", I(d->number));
	struct msg_message_meta m;
	uint64_t body, trace, cut = 0;

	if (!views_row(v, q))
		return false;
	out->lane_id = (uint32_t)views_int(q, 0);
	out->segment = (uint32_t)views_int(q, 1);
	out->offset = (uint64_t)views_int(q, 2);
	body = (uint64_t)views_int(q, 3);
	out->received_us = (uint64_t)views_int(q, 4);
	trace = (uint64_t)views_int(q, 5);
	if (!msg_message_meta_decode(a, arena_span(a, views_text(q, 6)), &m)) {
		views_done(q);
		return false;
	}
	views_done(q);
	for (size_t i = 0; i < m.cuts_n; i++)
		cut += m.cuts[i].bytes;
	out->bytes = form_bytes((enum mail_form)d->form, trace, body, cut, m.inner_bytes);
	out->origin = m.origin;
	out->id = m.id;
	out->message_id = m.message_id;
	out->date = m.date;
	return true;
}

/* INTERNALDATE of the entry here, where there is one. */
static void entry_date(struct views *v, uint64_t box, const struct due *d,
		       struct msg_home_item *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT received_us FROM entry WHERE number = ? AND form = ? AND box = ? LIMIT 1",
		"iii", I(d->number), I(d->form), I(box));

	if (views_row(v, q))
		out->received_us = (uint64_t)views_int(q, 0);
	views_done(q);
}

static const struct home_place *place_in(const struct home_facts *f, uint64_t box)
{
	for (size_t i = 0; i < f->places_n; i++) {
		if (f->places[i].box == box)
			return &f->places[i];
	}
	return NULL;
}

static void copy_plan(const struct home_facts *f, uint64_t box, struct home_plan *out)
{
	const struct home_place *at = place_in(f, box);

	*out = (struct home_plan){.action = HOME_NOTHING};
	if (!at || at->is_appended)
		return;
	*out = (struct home_plan){.action = HOME_APPEND,
				  .to = box,
				  .add = at->flags & ~(uint32_t)MAIL_DELETED,
				  .add_words = at->keywords};
}

static void to_trash(struct views *v, uint64_t account, struct msg_home_item *out)
{
	struct box trash;

	out->moves = true;
	out->to_special = MAIL_TRASH;
	out->to_box = box_special(v, account, MAIL_TRASH, &trash) ? trash.id : 0;
}

/* False: nothing is to be done for it now. */
static bool item_of(struct views *v, struct arena *a, uint64_t account, const struct due *d,
		    struct msg_home_item *out)
{
	struct home_place *places = arena_array(a, HOME_PLACES_LIMIT, sizeof *places);
	char *words = arena_alloc(a, 2 * HOME_WORDS_BYTES);
	struct home_row main, row;
	struct home_facts facts;
	struct home_plan plan;

	*out = (struct msg_home_item){
		.number = d->number, .form = (uint8_t)d->form, .copy = d->copy};
	if (!places || !words || !home_row_get(v, account, d->number, d->form, d->copy, &row))
		return false;
	out->version = row.version;
	out->tries = (uint32_t)row.tries;
	out->changed_us = row.changed_us;
	out->was_intended = row.state == HOME_STATE_INTENDED;
	if (d->form == HOME_FORM_FOLDER) {
		out->action = HOME_FOLDER;
		out->to_box = d->number;
		return box_is(v, a, d->number, &out->to_special, &out->to_name) && out->to_name.n;
	}
	if (!home_row_get(v, account, d->number, d->form, 0, &main) || !message_facts(v, a, d, out))
		return false;
	home_facts_of(v, &main, places, &facts);
	home_plan(&facts, words, &plan);
	if (d->copy)
		copy_plan(&facts, d->copy, &plan);
	if (plan.action == HOME_NOTHING)
		return false;
	out->action = (uint8_t)plan.action;
	out->add = plan.add;
	out->remove = plan.remove;
	out->add_words = arena_span(a, plan.add_words);
	out->remove_words = arena_span(a, plan.remove_words);
	if (main.box && !d->copy) /* not at home: an APPEND was begun there */
		(void)!box_is(v, a, main.box, &out->from_special, &out->from_name);
	if (plan.trashes) {
		to_trash(v, account, out);
		return true;
	}
	out->moves = plan.moves;
	out->to_box = plan.to;
	entry_date(v, plan.to, d, out);
	return box_is(v, a, plan.to, &out->to_special, &out->to_name);
}

enum rc views_home_lease(struct views *v, uint64_t account, uint64_t now_us, size_t max,
			 struct arena *a, struct msg_home_lease *out, struct fault *why)
{
	struct due *due = arena_array(a, max, sizeof *due);
	size_t n;

	out->items = arena_array(a, max, sizeof *out->items);
	out->items_n = 0;
	must(due && out->items);
	n = due_rows(v, account, now_us, due, max);
	for (size_t i = 0; i < n && v->rc == OK; i++)
		out->items_n += item_of(v, a, account, &due[i], &out->items[out->items_n]);
	return views_end(v, why);
}

/* ---- what is left, and the receipt ---- */

#define OF_SITE                                                                                    \
	" FROM home h JOIN account a ON a.id = h.account JOIN domain d ON d.name = "               \
	"substr(a.name, instr(a.name, '@') +"                                                      \
	" 1) WHERE d.site = ?1"

enum rc views_home_left(struct views *v, struct span site, struct views_home_left *out,
			struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT count(*) FILTER (WHERE h.state < 2), count(*) FILTER (WHERE h.state"
		" = 3), count(DISTINCT h.account) FILTER (WHERE h.state < 2)" OF_SITE
		" AND h.state IN (0, 1, 3)",
		"s", site);

	*out = (struct views_home_left){0};
	if (views_row(v, q)) {
		out->waiting = (uint64_t)views_int(q, 0);
		out->decide = (uint64_t)views_int(q, 1);
		out->accounts = (uint64_t)views_int(q, 2);
	}
	views_done(q);
	return views_end(v, why);
}

enum rc views_home_each(struct views *v,
			bool (*on_row)(void *arg, const struct views_home_row *row), void *arg,
			struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT a.name, d.site, h.number, h.form, h.state, h.tries, h.next_us, h.why, "
		"h.at_home,"
		" coalesce((SELECT facts FROM message m WHERE m.number = h.number AND h.form != "
		"255), '')"
		" FROM home h JOIN account a ON a.id = h.account LEFT JOIN domain d ON d.name ="
		" substr(a.name, instr(a.name, '@') + 1) WHERE h.state IN (0, 1, 3) ORDER BY "
		"a.name, h.number",
		"");

	while (views_row(v, q)) {
		struct msg_message_meta m = {0};
		struct views_home_row row = {
			.account = views_text(q, 0),
			.site = views_text(q, 1),
			.number = (uint64_t)views_int(q, 2),
			.is_folder = views_int(q, 3) == HOME_FORM_FOLDER,
			.state = (enum home_state)views_int(q, 4),
			.tries = (uint32_t)views_int(q, 5),
			.next_us = (uint64_t)views_int(q, 6),
			.why = views_text(q, 7),
			.is_at_home = views_int(q, 8) != 0,
		};

		if (!row.is_folder && msg_message_meta_decode(&v->arena, views_text(q, 9), &m))
			row.subject = m.subject;
		if (!on_row(arg, &row)) {
			views_done(q);
			break;
		}
	}
	return views_end(v, why);
}

static bool was_told(struct views *v, const struct site *s)
{
	sqlite3_stmt *q = views_bind(v, "SELECT began_us FROM home_told WHERE site = ?", "s",
				     span_str(s->name));
	bool yes = views_row(v, q) && (uint64_t)views_int(q, 0) >= s->o_began_us;

	views_done(q);
	return yes;
}

static void add(struct buf *b, int64_t n, const char *one, const char *many)
{
	if (n)
		buf_printf(b, "%s%lld %s", b->n ? ", " : "", (long long)n, n == 1 ? one : many);
}

/* "37 sent messages in Sent, 112 marks replayed, 2 need a decision" */
static int64_t sentence(struct views *v, const struct site *s, struct buf *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT count(*) FILTER (WHERE h.did & 17 AND h.state = 2 AND b.special = 2),"
		" count(*) FILTER (WHERE h.did & 17 AND h.did & 14 = 0 AND h.state = 2 AND "
		"coalesce(b.special, 0) != 2"
		" AND h.form != 255),"
		" count(*) FILTER (WHERE h.did & 2), count(*) FILTER (WHERE h.did & 4),"
		" count(*) FILTER (WHERE h.did & 8), count(*) FILTER (WHERE h.did & 32),"
		" count(*) FILTER (WHERE h.did & 64), count(*) FILTER (WHERE h.state = 3), count(*)"
		" FROM home h JOIN account a ON a.id = h.account JOIN domain d ON d.name = "
		"substr(a.name,"
		" instr(a.name, '@') + 1) LEFT JOIN mailbox b ON b.id = CASE h.copy WHEN 0 THEN "
		"h.box ELSE h.copy END"
		" WHERE d.site = ?1 AND (h.done_us >= ?2 OR h.state = 3)",
		"si", span_str(s->name), I(s->o_began_us));
	int64_t all = 0;

	if (views_row(v, q)) {
		add(out, views_int(q, 0), "sent message in Sent", "sent messages in Sent");
		add(out, views_int(q, 1), "message put into its folder",
		    "messages put into their folders");
		add(out, views_int(q, 2), "message marked", "messages marked");
		add(out, views_int(q, 3), "moved", "moved");
		add(out, views_int(q, 4), "moved to Trash", "moved to Trash");
		add(out, views_int(q, 5), "folder made", "folders made");
		add(out, views_int(q, 6), "sent to its author instead",
		    "sent to their authors instead");
		add(out, views_int(q, 7), "needs a decision", "need a decision");
		all = views_int(q, 8);
	}
	views_done(q);
	return out->n ? all : 0;
}

static bool any_waits(struct views *v, const struct site *s)
{
	sqlite3_stmt *q = views_bind(v, "SELECT 1" OF_SITE " AND h.state < 2 LIMIT 1", "s",
				     span_str(s->name));
	bool yes = views_row(v, q);

	views_done(q);
	return yes;
}

void home_look(struct views *v, struct site *s, uint64_t number, uint64_t at_us)
{
	struct buf text = {0}, whole = {0};
	int64_t n;

	if (v->people == 0 || s->kind != SITE_REAL || s->phase != PHASE_UP || s->o_open ||
	    !s->o_began_us || was_told(v, s) || any_waits(v, s))
		return;
	n = sentence(v, s, &text);
	if (n) {
		views_run(v, "INSERT OR REPLACE INTO home_told VALUES (?, ?)", "si",
			  span_str(s->name), I(s->o_began_us));
		buf_printf(&whole, "%s%s%.*s", s->receipt, s->receipt[0] ? "; " : "",
			   SPAN_FMT(buf_span(&text)));
		site_text(&s->receipt, buf_span(&whole));
		s->is_dirty = true;
		history_add(v, &(struct views_act){
				       .number = number,
				       .at_us = at_us,
				       .verb = SPAN_LIT("home.receipt"),
				       .object = span_str(s->name),
				       .reason = SPAN_LIT(
					       "what people did here is done in their mailboxes"),
				       .actor = SPAN_LIT("clerk"),
				       .is_judged = true,
				       .ok = true,
				       .count = (uint64_t)n,
				       .result = buf_span(&text),
			       });
	}
	buf_fini(&text);
	buf_fini(&whole);
}
