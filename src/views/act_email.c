/*
 * Email/set of JMAP: one patch of many Emails (RFC 8621 s4.6), each in all its mailboxes; and what programs keep here. An
 * entry with \Deleted is not there for JMAP: it takes no part but in being destroyed, and comes back when its Email is put
 * into that mailbox again. Home hears of each entry as it does of IMAP's changes (home.c).
 */
#include "base/must.h"
#include "mail/address.h"
#include "views/people.h"

enum {
	PLACES_LIMIT = 4096, /* of one Email: entries beyond it are left as they are */
	NAME_BYTES = 255,
};

/* Mailboxes that were read: saved at the end when they changed. In v->kept. */
struct touched {
	struct box box;
	bool is_changed;
};

struct place {
	struct touched *in;
	struct entry entry;
	bool leaves;
};

struct patch {
	struct mail_ctx *c;
	struct views *v;
	const struct msg_mail_act *act;
	struct touched **boxes;
	size_t boxes_n, boxes_cap;
	/* of the present Email */
	struct place *places;
	uint64_t *place_boxes;
	size_t places_n;
};

/* ---- what came from outside ---- */

static bool are_emails_fine(const struct msg_mail_act *a)
{
	if (a->emails_n > MAIL_ACT_EMAILS_LIMIT)
		return false;
	for (size_t i = 0; i < a->emails_n; i++) {
		const struct msg_email_id *e = &a->emails[i], *before = e - 1;

		if (e->form > MAIL_ENCLOSED ||
		    (i > 0 && (before->number > e->number ||
			       (before->number == e->number && before->form >= e->form))))
			return false;
	}
	return true;
}

static bool is_fine(struct mail_ctx *c)
{
	const struct msg_mail_act *a = c->act;

	if (!are_emails_fine(a) || a->out_of_n > MAIL_BOXES_LIMIT ||
	    a->into_n > MAIL_ACT_PLACES_LIMIT || a->into_n * a->emails_n > MAIL_ACT_PLACES_LIMIT) {
		mail_refuse(c, MAIL_LIMIT, "the set of messages is not well formed");
		return false;
	}
	if ((a->flags & ~(uint32_t)(MAIL_FLAGS_ALL & ~MAIL_DELETED)) || a->how > MAIL_HOW_ADD ||
	    !keywords_are_fine(a->keywords) || !keywords_are_fine(a->keywords_off)) {
		mail_refuse(c, MAIL_LIMIT, "these flags cannot be kept");
		return false;
	}
	return true;
}

static bool has_id(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool is_to_leave(const struct msg_mail_act *a, uint64_t box)
{
	return (a->is_only || has_id(a->out_of, a->out_of_n, box)) &&
	       !has_id(a->into, a->into_n, box);
}

static bool destroys(const struct msg_mail_act *a)
{
	return a->is_only && a->into_n == 0;
}

/* ---- mailboxes ---- */

static struct touched *touched_of(struct patch *p, uint64_t id)
{
	struct touched *t;

	for (size_t i = 0; i < p->boxes_n; i++)
		if (p->boxes[i]->box.id == id)
			return p->boxes[i];
	if (p->boxes_n == p->boxes_cap) {
		size_t cap = p->boxes_cap ? 2 * p->boxes_cap : 16;
		struct touched **more = arena_array(&p->v->kept, cap, sizeof *more);

		must(more);
		if (p->boxes_n)
			memcpy(more, p->boxes, p->boxes_n * sizeof *more);
		p->boxes = more;
		p->boxes_cap = cap;
	}
	t = arena_alloc(&p->v->kept, sizeof *t);
	must(t);
	*t = (struct touched){0};
	if (!box_by_id(p->v, id, &t->box) || t->box.account != p->c->account.id)
		return NULL;
	p->boxes[p->boxes_n++] = t;
	return t;
}

static bool open_into(struct patch *p)
{
	for (size_t i = 0; i < p->act->into_n; i++) {
		struct touched *t = touched_of(p, p->act->into[i]);

		if (!t) {
			mail_refuse(p->c, MAIL_NONEXISTENT, "there is no such mailbox");
			return false;
		}
		if (UINT32_MAX - t->box.uidnext <= p->act->emails_n) {
			mail_refuse(p->c, MAIL_LIMIT, "this mailbox has given out its last UID");
			return false;
		}
	}
	return true;
}

static void save_boxes(struct patch *p)
{
	for (size_t i = 0; i < p->boxes_n; i++)
		if (p->boxes[i]->is_changed)
			box_save(p->v, &p->boxes[i]->box);
}

/* ---- an Email ---- */

static void read_place(struct patch *p, sqlite3_stmt *q, const struct msg_email_id *e,
		       uint64_t *out_box)
{
	*out_box = (uint64_t)views_int(q, 0);
	p->places[p->places_n++] =
		(struct place){.entry = {
				       .number = e->number,
				       .form = (enum mail_form)e->form,
				       .uid = (uint32_t)views_int(q, 1),
				       .flags = (uint32_t)views_int(q, 2),
				       .keywords = arena_span(&p->v->arena, views_text(q, 3)),
				       .modseq = (uint64_t)views_int(q, 4),
				       .received_us = (uint64_t)views_int(q, 5),
				       .bytes = (uint64_t)views_int(q, 6),
				       .home = (unsigned)views_int(q, 7),
				       .thread = (uint64_t)views_int(q, 8),
			       }};
}

static bool is_seen(const struct place *at)
{
	return !(at->entry.flags & MAIL_DELETED);
}

/* Where it is; false: nowhere that JMAP sees. */
static bool find_places(struct patch *p, const struct msg_email_id *e)
{
	sqlite3_stmt *q = views_bind(
		p->v,
		"SELECT box, uid, flags, keywords, modseq, received_us, bytes, home, thread FROM"
		" entry WHERE number = ? AND account = ? AND form = ? AND gone = 0 ORDER BY modseq,"
		" box, uid LIMIT ?",
		"iiii", I(e->number), I(p->c->account.id), I(e->form), I(PLACES_LIMIT));
	bool any = false;

	p->places_n = 0;
	while (p->places_n < PLACES_LIMIT && views_row(p->v, q))
		read_place(p, q, e, &p->place_boxes[p->places_n]);
	views_done(q);
	for (size_t i = 0; i < p->places_n; i++) {
		struct place *at = &p->places[i];

		at->in = touched_of(p, p->place_boxes[i]);
		if (!at->in) /* a row without its mailbox: of a damaged database */
			return false;
		at->leaves = is_to_leave(p->act, p->place_boxes[i]);
		any |= is_seen(at);
	}
	return any;
}

static bool would_stay(const struct patch *p)
{
	for (size_t i = 0; i < p->places_n; i++)
		if (is_seen(&p->places[i]) && !p->places[i].leaves)
			return true;
	return p->act->into_n > 0 || destroys(p->act);
}

/* ---- marks ---- */

static void mark(struct patch *p, struct place *at, uint32_t flags, struct span keywords)
{
	struct entry was = at->entry;

	if (!keywords_are_fine(keywords)) /* more than may be: as it was */
		keywords = was.keywords;
	if (flags == was.flags && span_eq(keywords, was.keywords))
		return;
	entry_flags(p->v, &at->in->box, &was, flags, keywords, ctx_modseq(p->c));
	home_marked(p->v, &at->in->box, &was, flags, keywords);
	at->entry.flags = flags;
	at->entry.keywords = keywords;
	at->in->is_changed = true;
}

static void patch_marks(struct patch *p, struct place *at)
{
	const struct msg_mail_act *a = p->act;
	uint32_t flags = at->entry.flags;
	struct span words = at->entry.keywords;

	if (a->how == MAIL_HOW_SET) {
		mark(p, at, a->flags, a->keywords);
		return;
	}
	words = keywords_with(p->v, words, a->keywords);
	words = keywords_without(p->v, words, a->keywords_off);
	mark(p, at, (flags | a->flags) & ~a->flags_off, words);
}

/* ---- places ---- */

/* What a new entry of it looks like: marks of all together, seen where all are. */
static struct entry together(struct patch *p)
{
	struct entry out = {0};
	bool is_first = true;

	for (size_t i = 0; i < p->places_n; i++) {
		const struct entry *e = &p->places[i].entry;
		uint32_t seen = out.flags & e->flags & MAIL_SEEN;

		if (!is_seen(&p->places[i]))
			continue;
		if (is_first) {
			out = *e;
			is_first = false;
			continue;
		}
		out.flags = ((out.flags | e->flags) & ~(uint32_t)MAIL_SEEN) | seen;
		out.keywords = keywords_with(p->v, out.keywords, e->keywords);
		if (!keywords_are_fine(out.keywords))
			out.keywords = e->keywords;
	}
	return out;
}

/* True: it has an entry there; if all of them have \Deleted, one is taken back. */
static bool is_in(struct patch *p, const struct touched *box, const struct entry *like)
{
	struct place *hidden = NULL;

	for (size_t i = 0; i < p->places_n; i++) {
		struct place *at = &p->places[i];

		if (at->in == box && is_seen(at))
			return true;
		if (at->in == box)
			hidden = at;
	}
	if (hidden)
		mark(p, hidden, like->flags, like->keywords);
	return hidden != NULL;
}

static bool put_into(struct patch *p, uint64_t box, const struct entry *like, bool is_move)
{
	struct touched *t = touched_of(p, box);
	struct entry copy = *like;

	if (!t || is_in(p, t, like))
		return false;
	copy.modseq = ctx_modseq(p->c);
	copy.home = ENTRY_HOME_WAITS;
	(void)entry_add(p->v, &t->box, &copy);
	t->is_changed = true;
	if (is_move)
		home_comes(p->v, &t->box, &copy);
	else
		home_added(p->v, &t->box, &copy);
	return true;
}

static void take_out(struct patch *p, struct place *at, bool is_move)
{
	if (!is_move)
		home_leaves(p->v, &at->in->box, &at->entry);
	entry_remove(p->v, &at->in->box, &at->entry, ctx_modseq(p->c));
	at->in->is_changed = true;
	home_left(p->v, &at->in->box, &at->entry);
}

static void change_one(struct patch *p)
{
	bool leaves = false, came = false;
	struct entry like;

	for (size_t i = 0; i < p->places_n; i++) {
		if (is_seen(&p->places[i]) && !destroys(p->act))
			patch_marks(p, &p->places[i]);
		leaves |= p->places[i].leaves;
	}
	like = together(p);
	for (size_t i = 0; i < p->act->into_n; i++)
		came |= put_into(p, p->act->into[i], &like, leaves);
	for (size_t i = 0; i < p->places_n; i++)
		if (p->places[i].leaves)
			take_out(p, &p->places[i], came);
}

/* ---- all of them ---- */

static void note_missing(struct mail_ctx *c, const struct msg_email_id *e)
{
	if (!c->missing) {
		c->missing = arena_array(&c->v->kept, c->act->emails_n, sizeof *c->missing);
		must(c->missing);
	}
	c->missing[c->missing_n++] = *e;
}

/* Before anything changes (B4). Only what takes away without putting anywhere can leave an Email without a place. */
static bool all_would_stay(struct patch *p)
{
	const struct msg_mail_act *a = p->act;

	if (a->is_only || a->into_n > 0 || a->out_of_n == 0)
		return true;
	for (size_t i = 0; i < a->emails_n && p->v->rc == OK; i++) {
		bool stays = !find_places(p, &a->emails[i]) || would_stay(p);

		arena_reset(&p->v->arena);
		if (!stays) {
			mail_refuse(p->c, MAIL_NOPLACE, "a message would be in no mailbox");
			return false;
		}
	}
	return true;
}

void act_email(struct mail_ctx *c)
{
	struct patch p = {.c = c, .v = c->v, .act = c->act};
	struct arena callers;

	if (!is_fine(c) || !open_into(&p))
		return;
	p.places = arena_array(&c->v->kept, PLACES_LIMIT, sizeof *p.places);
	p.place_boxes = arena_array(&c->v->kept, PLACES_LIMIT, sizeof *p.place_boxes);
	must(p.places && p.place_boxes);
	callers = views_aside(c->v);
	if (all_would_stay(&p)) {
		for (size_t i = 0; i < c->act->emails_n && c->v->rc == OK; i++) {
			if (find_places(&p, &c->act->emails[i]))
				change_one(&p);
			else
				note_missing(c, &c->act->emails[i]);
			arena_reset(&c->v->arena);
		}
		save_boxes(&p);
	}
	views_back(c->v, callers);
}

/* ---- settings ---- */

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_length(s.p + i, s.n - i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static bool is_setting_fine(struct mail_ctx *c)
{
	struct span name = c->act->name;

	if (name.n == 0 || name.n > NAME_BYTES || !is_text(name) ||
	    c->act->value.n > MAIL_SETTING_BYTES || !is_text(c->act->value)) {
		mail_refuse(c, MAIL_LIMIT, "such a setting cannot be kept");
		return false;
	}
	return true;
}

static bool has_room(struct mail_ctx *c)
{
	sqlite3_stmt *q =
		views_bind(c->v, "SELECT count(*) FROM setting WHERE account = ? AND name != ?",
			   "is", I(c->account.id), c->act->name);
	bool yes = !views_row(c->v, q) || views_int(q, 0) < MAIL_SETTINGS_LIMIT;

	views_done(q);
	if (!yes)
		mail_refuse(c, MAIL_LIMIT, "an account has at most 100 settings");
	return yes;
}

void act_setting(struct mail_ctx *c)
{
	const struct msg_mail_act *a = c->act;

	if (!is_setting_fine(c))
		return;
	if (a->value.n == 0)
		views_run(c->v, "DELETE FROM setting WHERE account = ? AND name = ?", "is",
			  I(c->account.id), a->name);
	else if (has_room(c))
		views_run(
			c->v,
			"INSERT INTO setting VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value ="
			" ?3 WHERE value != ?3",
			"iss", I(c->account.id), a->name, a->value);
	else
		return;
	if (sqlite3_changes(c->v->db) > 0)
		mail_touched(c->v, c->account.id, 0, ctx_modseq(c));
}
