/*
 * Rows of `home`: what people did here and what of it has to be done in their mailboxes on the primary. Every change of an
 * entry by a person comes by here, then home_plan (queue/home.h) says from where the message is now what is left to do, and
 * the row's state follows. Couriers' HomeSteps end what was asked; a change made meanwhile (version) is asked again.
 *
 *   H1  A message that came by delivery gets a row with its first change: the mailbox it was in then stands for where the
 *       primary has it. A message that was put here gets one at once, and the primary does not have it.
 *   H2  Rows follow from records alone (V1); who works on them is the clerk's memory.
 */
#include "base/must.h"
#include "views/people.h"

/* A change that follows at once (COPY and EXPUNGE are a move) is waited for; an APPEND that may be under way is let end. */
static const uint64_t SETTLE_US = 2000000, INTENDED_US = 15000000;

#define COLUMNS                                                                                    \
	"account, number, form, copy, state, at_home, box, touched, words, version, changed_us,"   \
	" next_us, tries, done_us, did, why"

bool home_row_get(struct views *v, uint64_t account, uint64_t number, uint64_t form, uint64_t copy,
		  struct home_row *out)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT " COLUMNS " FROM home WHERE account = ? AND number = ?"
				     " AND form = ? AND copy = ?",
				     "iiii", I(account), I(number), I(form), I(copy));

	if (!views_row(v, q))
		return false;
	*out = (struct home_row){
		.account = account,
		.number = number,
		.form = form,
		.copy = copy,
		.state = (enum home_state)views_int(q, 4),
		.at_home = views_int(q, 5) != 0,
		.box = (uint64_t)views_int(q, 6),
		.touched = (uint32_t)views_int(q, 7),
		.words = arena_span(&v->arena, views_text(q, 8)),
		.version = (uint64_t)views_int(q, 9),
		.changed_us = (uint64_t)views_int(q, 10),
		.next_us = (uint64_t)views_int(q, 11),
		.tries = (uint64_t)views_int(q, 12),
		.done_us = (uint64_t)views_int(q, 13),
		.did = (uint32_t)views_int(q, 14),
		.why = arena_span(&v->arena, views_text(q, 15)),
	};
	views_done(q);
	return true;
}

static void row_put(struct views *v, const struct home_row *r)
{
	views_run(v,
		  "INSERT OR REPLACE INTO home (" COLUMNS
		  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		  "iiiiiiiisiiiiiis", I(r->account), I(r->number), I(r->form), I(r->copy),
		  I(r->state), I(r->at_home), I(r->box), I(r->touched), r->words, I(r->version),
		  I(r->changed_us), I(r->next_us), I(r->tries), I(r->done_us), I(r->did), r->why);
}

/* ---- facts ---- */

static size_t places_of(struct views *v, uint64_t account, uint64_t number, uint64_t form,
			struct home_place *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT e.box, b.special, e.flags, e.keywords, coalesce(h.state, 0) FROM entry e"
		" JOIN mailbox b ON b.id = e.box LEFT JOIN home h ON h.account = b.account AND"
		" h.number = e.number AND h.form = e.form AND h.copy = e.box WHERE e.number = ?1"
		" AND e.form = ?2 AND e.gone = 0 AND e.account = ?3 ORDER BY e.modseq, e.box, "
		"e.uid",
		"iii", I(number), I(form), I(account));
	size_t n = 0;

	while (n < HOME_PLACES_LIMIT && views_row(v, q)) {
		out[n++] = (struct home_place){
			.box = (uint64_t)views_int(q, 0),
			.special = (enum mail_special)views_int(q, 1),
			.flags = (uint32_t)views_int(q, 2),
			.keywords = arena_span(&v->arena, views_text(q, 3)),
			.is_appended = views_int(q, 4) == HOME_STATE_DONE,
		};
	}
	views_done(q);
	return n;
}

static enum mail_special special_of(struct views *v, uint64_t box)
{
	sqlite3_stmt *q = views_bind(v, "SELECT special FROM mailbox WHERE id = ?", "i", I(box));
	enum mail_special special = MAIL_PLAIN;

	if (views_row(v, q))
		special = (enum mail_special)views_int(q, 0);
	views_done(q);
	return special;
}

void home_facts_of(struct views *v, const struct home_row *main, struct home_place *places,
		   struct home_facts *out)
{
	*out = (struct home_facts){
		.is_at_home = main->at_home,
		.box = main->at_home ? main->box : 0,
		.special = main->at_home ? special_of(v, main->box) : MAIL_PLAIN,
		.touched = main->touched,
		.words = main->words,
		.places = places,
	};
	out->places_n = places_of(v, main->account, main->number, main->form, places);
}

/* ---- what follows ---- */

/* Whether entries may leave with the window (expire.c). */
static void note_entries(struct views *v, const struct home_row *r, unsigned home)
{
	views_run(v, "UPDATE entry SET home = ?4 WHERE number = ?1 AND account = ?3 AND form = ?2",
		  "iiii", I(r->number), I(r->form), I(r->account), I(home));
}

static void set_state(struct home_row *r, bool is_wanted)
{
	if (!is_wanted)
		r->state = r->state == HOME_STATE_DONE || r->done_us ? HOME_STATE_DONE
								     : HOME_STATE_NOTHING;
	else if (r->state != HOME_STATE_INTENDED)
		r->state = HOME_STATE_WAITS;
}

/* Further copies: those that are wanted at home and are not there. True: one is. */
static bool judge_copies(struct views *v, const struct home_row *main, const struct home_facts *f,
			 const struct home_plan *plan, uint64_t at_us)
{
	uint64_t boxes[HOME_PLACES_LIMIT];
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT copy FROM home WHERE account = ? AND number = ? AND form = ? AND copy != 0"
		" AND state != 2 LIMIT ?",
		"iiii", I(main->account), I(main->number), I(main->form), I(HOME_PLACES_LIMIT));
	bool any = false;
	size_t n = 0;

	while (n < HOME_PLACES_LIMIT && views_row(v, q))
		boxes[n++] = (uint64_t)views_int(q, 0);
	views_done(q);
	for (size_t i = 0; i < n; i++) {
		struct home_row copy;
		bool wanted = home_copy_is_wanted(boxes[i], f, plan);

		if (!home_row_get(v, main->account, main->number, main->form, boxes[i], &copy))
			continue;
		any |= wanted;
		if (copy.state == (wanted ? HOME_STATE_WAITS : HOME_STATE_NOTHING))
			continue;
		set_state(&copy, wanted);
		copy.changed_us = at_us;
		copy.next_us = at_us + SETTLE_US;
		row_put(v, &copy);
	}
	return any;
}

/* Says anew what is left to do for this message and saves the row. */
static void judge(struct views *v, struct home_row *main, uint64_t at_us)
{
	struct home_place places[HOME_PLACES_LIMIT];
	char words[2 * HOME_WORDS_BYTES];
	struct home_facts facts;
	struct home_plan plan;
	bool waits;

	home_facts_of(v, main, places, &facts);
	home_plan(&facts, words, &plan);
	set_state(main, plan.action != HOME_NOTHING);
	row_put(v, main);
	waits = judge_copies(v, main, &facts, &plan, at_us) || plan.action != HOME_NOTHING;
	note_entries(v, main, waits ? ENTRY_HOME_WAITS : ENTRY_HOME_DONE);
}

static void changed(struct views *v, struct home_row *main)
{
	main->version++;
	main->changed_us = v->at_us;
	main->next_us = v->at_us + SETTLE_US;
	main->tries = 0;
	main->why = SPAN_NONE;
	if (main->state == HOME_STATE_DECIDE)
		main->state = HOME_STATE_WAITS;
	judge(v, main, v->at_us);
}

static struct home_row new_row(const struct box *b, const struct entry *e)
{
	return (struct home_row){.account = b->account, .number = e->number, .form = e->form};
}

/* Another mailbox of the account that shows it now; 0: none. */
static uint64_t other_place(struct views *v, const struct box *b, const struct entry *e)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT box FROM entry WHERE number = ? AND form = ? AND gone = 0 AND account = ?"
		" AND box != ? ORDER BY modseq "
		"LIMIT 1",
		"iiii", I(e->number), I(e->form), I(b->account), I(b->id));
	uint64_t box = views_row(v, q) ? (uint64_t)views_int(q, 0) : 0;

	views_done(q);
	return box;
}

/* ---- changes ---- */

/* The rows of a message that is in b now, too; what is left to do is not judged yet. */
static void came(struct views *v, const struct box *b, const struct entry *e, struct home_row *out)
{
	struct home_row main, copy;
	uint64_t other = other_place(v, b, e);

	if (!home_row_get(v, b->account, e->number, e->form, 0, &main)) {
		main = new_row(b, e);
		main.at_home = other != 0; /* H1: it was delivered into that one */
		main.box = other;
	}
	if (other && (!main.at_home || main.box != b->id) &&
	    !home_row_get(v, b->account, e->number, e->form, b->id, &copy)) {
		copy = new_row(b, e);
		copy.copy = b->id;
		copy.state = HOME_STATE_NOTHING;
		row_put(v, &copy);
	}
	*out = main;
}

void home_added(struct views *v, const struct box *b, const struct entry *e)
{
	struct home_row main;

	came(v, b, e, &main);
	changed(v, &main);
}

void home_comes(struct views *v, const struct box *b, const struct entry *e)
{
	struct home_row main;

	came(v, b, e, &main);
	row_put(v, &main);
}

/* The row of a message that was delivered into b, if it has none yet. */
static void delivered(struct views *v, const struct box *b, const struct entry *e,
		      struct home_row *out)
{
	if (home_row_get(v, b->account, e->number, e->form, 0, out))
		return;
	*out = new_row(b, e);
	out->at_home = true;
	out->box = b->id;
}

void home_marked(struct views *v, const struct box *b, const struct entry *was, uint32_t flags,
		 struct span keywords)
{
	char words[HOME_WORDS_BYTES];
	struct home_row main;

	delivered(v, b, was, &main);
	main.touched |= was->flags ^ flags;
	main.words = span_of(words, home_words_differ(main.words, was->keywords, keywords, words));
	changed(v, &main);
}

void home_leaves(struct views *v, const struct box *b, const struct entry *e)
{
	struct home_row main;

	delivered(v, b, e, &main);
	row_put(v, &main);
}

void home_left(struct views *v, const struct box *b, const struct entry *e)
{
	struct home_row main;

	if (home_row_get(v, b->account, e->number, e->form, 0, &main))
		changed(v, &main);
}

void home_replaced(struct views *v, const struct box *sent, const struct entry *ours,
		   uint64_t own_number)
{
	struct home_row was, main;

	if (!home_row_get(v, sent->account, ours->number, ours->form, 0, &was))
		return;
	/* Ours went home already: it stands there for both. Where an APPEND of it may be under way the person's own is looked
	 * for first, as always; in Sent Message-ID and Date find ours. */
	if (was.at_home) {
		main = was;
		main.number = own_number;
		main.form = MAIL_AS_SENT;
		main.state = HOME_STATE_DONE;
		row_put(v, &main);
	}
	views_run(v, "DELETE FROM home WHERE account = ? AND number = ? AND form = ?", "iii",
		  I(sent->account), I(ours->number), I(ours->form));
}

/* ---- mailboxes ---- */

void home_box_made(struct views *v, const struct box *b)
{
	const struct home_row r = {.account = b->account,
				   .number = b->id,
				   .form = HOME_FORM_FOLDER,
				   .state = HOME_STATE_WAITS,
				   .version = 1,
				   .changed_us = v->at_us,
				   .next_us = v->at_us + SETTLE_US};

	row_put(v, &r);
}

enum { PAGE = 500 };

/* Each entry of the mailbox that is there (before) or went with the modseq of the mailbox's end (after). */
static void each_of_box(struct views *v, const struct box *b, bool gone,
			void (*call)(struct views *v, const struct box *b, const struct entry *e))
{
	struct entry *page = arena_array(&v->arena, PAGE, sizeof *page);
	struct arena callers = views_aside(v);
	uint32_t after = 0;
	size_t n = PAGE;

	must(page);
	while (n == PAGE && v->rc == OK) {
		sqlite3_stmt *q = views_bind(
			v,
			"SELECT uid, number, form FROM entry WHERE box = ? AND uid > ? AND gone = ?"
			" AND (gone = 0 OR modseq = ?) ORDER BY uid LIMIT ?",
			"iiiii", I(b->id), I(after), I(gone), I(b->modseq), I(PAGE));

		n = 0;
		while (n < PAGE && views_row(v, q))
			page[n++] = (struct entry){.uid = (uint32_t)views_int(q, 0),
						   .number = (uint64_t)views_int(q, 1),
						   .form = (enum mail_form)views_int(q, 2)};
		views_done(q);
		for (size_t i = 0; i < n; i++)
			call(v, b, &page[i]);
		if (n)
			after = page[n - 1].uid;
		arena_reset(&v->arena);
	}
	views_back(v, callers);
}

void home_box_leaves(struct views *v, const struct box *b)
{
	each_of_box(v, b, false, home_leaves);
	/* Made here and gone before it went home. */
	views_run(v,
		  "DELETE FROM home WHERE account = ? AND number = ? AND form = ? AND state != 2",
		  "iii", I(b->account), I(b->id), I(HOME_FORM_FOLDER));
}

void home_box_left(struct views *v, const struct box *b)
{
	each_of_box(v, b, true, home_left);
}

void home_forget(struct views *v, uint64_t number)
{
	views_run(v, "DELETE FROM home WHERE number = ? AND form != ?", "ii", I(number),
		  I(HOME_FORM_FOLDER));
}

/* ---- what couriers did ---- */

/* Where it is to be appended is kept: it may be found there, also when it has been moved here since. */
static void intended(struct views *v, struct home_row *r, uint64_t box, uint64_t at_us)
{
	if (r->state != HOME_STATE_WAITS && r->state != HOME_STATE_INTENDED)
		return;
	r->state = HOME_STATE_INTENDED;
	r->next_us = at_us + INTENDED_US;
	if (!r->copy && !r->at_home)
		r->box = box;
	row_put(v, r);
}

static void done(struct views *v, struct home_row *r, const struct msg_home_result *m,
		 uint64_t at_us)
{
	r->done_us = at_us;
	r->did |= m->did;
	r->why = m->text;
	r->tries = 0;
	r->state = HOME_STATE_DONE;
	if (r->copy || r->form == HOME_FORM_FOLDER || (m->did & HOME_DID_MAIL)) {
		row_put(v, r);
		if (m->did & HOME_DID_MAIL)
			note_entries(v, r,
				     ENTRY_HOME_DONE); /* a further change asks for it again */
		return;
	}
	if (m->to_box) {
		r->at_home = true;
		r->box = m->to_box;
	}
	if (r->version == m->version) { /* else: asked again, which does no harm */
		r->touched = 0;
		r->words = SPAN_NONE;
	}
	judge(v, r, at_us);
}

static void not_done(struct views *v, struct home_row *r, const struct msg_home_result *m,
		     uint64_t at_us)
{
	r->tries++;
	r->why = m->text;
	if (r->state == HOME_STATE_DONE || r->state == HOME_STATE_NOTHING)
		return;
	if (m->result == HOME_UNSURE) {
		r->state = HOME_STATE_INTENDED;
		r->next_us = at_us + INTENDED_US;
	} else {
		/* A try that ended by an answer is no longer under way. */
		r->state = m->result == HOME_DECIDE || r->tries >= HOME_TRIES ? HOME_STATE_DECIDE
									      : HOME_STATE_WAITS;
		r->next_us = at_us + (m->retry_ms < 86400000 ? m->retry_ms : 86400000) * 1000;
	}
	row_put(v, r);
}

/* The first message here, then the others; after each the main row is judged, since copies decide about it. */
static void result(struct views *v, const struct msg_home_step *step,
		   const struct msg_home_result *m, uint64_t at_us)
{
	struct home_row r, main;

	if (!home_row_get(v, step->account, m->number, m->form, m->copy, &r))
		return;
	if (step->intends) {
		intended(v, &r, m->to_box, at_us);
		return;
	}
	if (m->result == HOME_DONE)
		done(v, &r, m, at_us);
	else
		not_done(v, &r, m, at_us);
	if (m->copy && home_row_get(v, step->account, m->number, m->form, 0, &main))
		judge(v, &main, at_us);
}

void home_retry(struct views *v, struct span site)
{
	views_run(v,
		  "UPDATE home SET state = 0, tries = 0, next_us = 0 WHERE state = 3 AND account "
		  "IN (SELECT"
		  " a.id FROM account a JOIN domain d ON d.name = substr(a.name, instr(a.name, "
		  "'@') + 1)"
		  " WHERE d.site = ?)",
		  "s", site);
}

static struct site *site_of_account(struct views *v, uint64_t account)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT d.site FROM account a JOIN domain d ON d.name = "
				     "substr(a.name, instr(a.name,"
				     " '@') + 1) WHERE a.id = ?",
				     "i", I(account));
	struct site *s = NULL;

	if (views_row(v, q))
		s = map_get(&v->site_by_name, views_text(q, 0));
	views_done(q);
	return s;
}

void apply_home(struct views *v, const struct order_entry *e, const struct record *r,
		struct span detail)
{
	struct msg_home_step step;
	struct site *s;

	if (!msg_home_step_decode(&v->arena, detail, &step)) {
		v->rc = REFUSED;
		return;
	}
	for (size_t i = 0; i < step.results_n && v->rc == OK; i++)
		result(v, &step, &step.results[i], r->received_us);
	s = step.intends ? NULL : site_of_account(v, step.account);
	if (s)
		home_look(v, s, e->number, r->received_us);
}
