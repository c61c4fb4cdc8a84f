/*
 * Changes that people asked of their mailboxes: ACT records with verb "mail", and MESSAGE records with an APPEND. Judged
 * here in order, against what the records before them made, so that a replay comes to the same verdicts (B4). The last
 * verdicts of each lane are kept, so that a desk that lost its link is told them again.
 */
#include "base/must.h"
#include "views/people.h"

/* RANGES_LIMIT: of each list in a verdict, so that it fits into a frame. */
enum { PAGE = 500, VERDICTS_KEPT = 65536, RANGES_LIMIT = 7000 };

void mail_refuse(struct mail_ctx *c, enum mail_code code, const char *text)
{
	if (c->out.code != MAIL_OK)
		return;
	c->out.code = (uint8_t)code;
	c->out.text = span_str(text);
}

void range_add(struct views *v, struct ranges *r, uint32_t uid)
{
	r->is_rough |= r->n == RANGES_LIMIT;
	if (r->n && (r->at[r->n - 1].last + 1 == uid || r->n == RANGES_LIMIT)) {
		r->at[r->n - 1].last = uid;
		return;
	}
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 8;
		struct msg_uid_range *more = arena_array(&v->kept, cap, sizeof *more);

		must(more);
		if (r->n)
			memcpy(more, r->at, r->n * sizeof *more);
		r->at = more;
		r->cap = cap;
	}
	r->at[r->n++] = (struct msg_uid_range){uid, uid};
}

uint64_t ctx_modseq(struct mail_ctx *c)
{
	if (c->out.modseq == 0)
		c->out.modseq = account_modseq(c->v, &c->account);
	return c->out.modseq;
}

/* ---- what came from outside is looked at before it is used ---- */

static bool are_uids_fine(const struct msg_mail_act *a)
{
	if (a->uids_n > MAIL_ACT_RANGES_LIMIT)
		return false;
	for (size_t i = 0; i < a->uids_n; i++)
		if (a->uids[i].first == 0 || a->uids[i].first > a->uids[i].last ||
		    (i > 0 && a->uids[i].first <= a->uids[i - 1].last))
			return false;
	return true;
}

bool box_of_account(struct mail_ctx *c, uint64_t id, struct box *out)
{
	if (box_by_id(c->v, id, out) && out->account == c->account.id)
		return true;
	mail_refuse(c, MAIL_NONEXISTENT, "there is no such mailbox");
	return false;
}

/*
 * Calls on_entry for each entry of the act's UIDs that is there now: what the act itself adds is not among them. A page
 * at a time, so that no statement is open while rows change.
 */
static void each_chosen(struct mail_ctx *c, const struct box *b,
			void (*on_entry)(struct mail_ctx *c, void *to, const struct entry *e),
			void *to)
{
	struct entry *page = arena_array(&c->v->arena, PAGE, sizeof *page);
	struct arena callers = views_aside(c->v);
	uint32_t end = b->uidnext;

	must(page);
	for (size_t i = 0; i < c->act->uids_n; i++) {
		struct mail_range r = {c->act->uids[i].first, c->act->uids[i].last};
		size_t n = PAGE;

		if (r.last >= end)
			r.last = end - 1;
		while (n == PAGE && r.first <= r.last && c->v->rc == OK) {
			n = entries_page(c->v, b->id, r, page, PAGE);
			for (size_t k = 0; k < n; k++)
				on_entry(c, to, &page[k]);
			if (n > 0)
				r.first = page[n - 1].uid + 1;
			arena_reset(&c->v->arena);
		}
	}
	views_back(c->v, callers);
}

/* ---- STORE ---- */

static struct span new_keywords(struct mail_ctx *c, const struct entry *e)
{
	struct span after = e->keywords;

	switch ((enum mail_how)c->act->how) {
	case MAIL_HOW_SET:
		return c->act->keywords;
	case MAIL_HOW_ADD:
		after = keywords_with(c->v, e->keywords, c->act->keywords);
		break;
	case MAIL_HOW_REMOVE:
		after = keywords_without(c->v, e->keywords, c->act->keywords);
		break;
	}
	return keywords_are_fine(after) ? after : e->keywords; /* more than may be: as it was */
}

static uint32_t new_flags(const struct msg_mail_act *a, uint32_t was)
{
	switch ((enum mail_how)a->how) {
	case MAIL_HOW_SET:
		return a->flags;
	case MAIL_HOW_ADD:
		return was | a->flags;
	case MAIL_HOW_REMOVE:
		return was & ~a->flags;
	}
	return was;
}

static void store_one(struct mail_ctx *c, void *to, const struct entry *e)
{
	struct box *b = to;
	uint32_t flags = new_flags(c->act, e->flags);
	struct span keywords;

	if (e->modseq > c->act->unchanged_since) {
		range_add(c->v, &c->modified, e->uid);
		return;
	}
	keywords = new_keywords(c, e);
	if (flags == e->flags && span_eq(keywords, e->keywords))
		return;
	entry_flags(c->v, b, e, flags, keywords, ctx_modseq(c));
	home_marked(c->v, b, e, flags, keywords);
}

static void act_store(struct mail_ctx *c)
{
	struct box b;

	if ((c->act->flags & ~(uint32_t)MAIL_FLAGS_ALL) || c->act->how > MAIL_HOW_REMOVE ||
	    !keywords_are_fine(c->act->keywords)) {
		mail_refuse(c, MAIL_LIMIT, "these flags cannot be kept");
		return;
	}
	if (!box_of_account(c, c->act->box, &b))
		return;
	each_chosen(c, &b, store_one, &b);
	if (c->out.modseq)
		box_save(c->v, &b);
	c->out.box = b.id;
	c->out.uidvalidity = b.uidvalidity;
}

/* ---- EXPUNGE, COPY, MOVE ---- */

static void expunge_one(struct mail_ctx *c, void *to, const struct entry *e)
{
	if (!(e->flags & MAIL_DELETED))
		return;
	home_leaves(c->v, to, e);
	entry_remove(c->v, to, e, ctx_modseq(c));
	home_left(c->v, to, e);
	range_add(c->v, &c->from, e->uid);
}

static void act_expunge(struct mail_ctx *c)
{
	struct box b;

	if (!box_of_account(c, c->act->box, &b))
		return;
	each_chosen(c, &b, expunge_one, &b);
	if (c->out.modseq)
		box_save(c->v, &b);
	c->out.box = b.id;
	c->out.uidvalidity = b.uidvalidity;
}

struct transfer {
	struct box *from, *to; /* the same object when they are one mailbox */
	bool leaves;
};

static void transfer_one(struct mail_ctx *c, void *arg, const struct entry *e)
{
	struct transfer *t = arg;
	struct entry copy = *e;
	uint32_t uid;

	copy.modseq = ctx_modseq(c);
	copy.home = ENTRY_HOME_WAITS;
	uid = entry_add(c->v, t->to, &copy);
	if (uid == 0)
		return;
	range_add(c->v, &c->from, e->uid);
	range_add(c->v, &c->to, uid);
	if (!t->leaves) {
		if (t->to != t->from)
			home_added(c->v, t->to, &copy);
		return;
	}
	if (t->to != t->from)
		home_comes(c->v, t->to, &copy);
	entry_remove(c->v, t->from, e, c->out.modseq);
	if (t->to != t->from)
		home_left(c->v, t->from, e);
}

static void act_transfer(struct mail_ctx *c, bool leaves)
{
	struct box from, to;
	struct transfer t = {&from, c->act->box == c->act->to ? &from : &to, leaves};

	if (!box_of_account(c, c->act->box, &from) || !box_of_account(c, c->act->to, &to))
		return;
	each_chosen(c, &from, transfer_one, &t);
	if (c->out.modseq) {
		if (leaves || t.to == &from)
			box_save(c->v, &from);
		if (t.to != &from)
			box_save(c->v, &to);
	}
	c->out.box = t.to->id;
	c->out.uidvalidity = t.to->uidvalidity;
}

/* ---- the verdict ---- */

static void keep_verdict(struct mail_ctx *c)
{
	struct buf b = {0};

	c->out.ask = c->act->ask;
	if (c->from.is_rough || c->to.is_rough) /* COPYUID may be left out; wrong it must not be */
		c->from.n = c->to.n = 0;
	c->out.from = c->from.at, c->out.from_n = c->from.n;
	c->out.to = c->to.at, c->out.to_n = c->to.n;
	c->out.modified = c->modified.at, c->out.modified_n = c->modified.n;
	c->out.missing = c->missing, c->out.missing_n = c->missing_n;
	msg_mail_verdict_encode(&b, &c->out);
	views_run(c->v, "INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?)", "iiib",
		  I(c->e->ref.lane_id), I(c->out.ask), I(c->e->number), buf_span(&b));
	if (c->v->ops.on_verdict)
		c->v->ops.on_verdict(c->v->ops.arg, c->e->ref.lane_id, buf_span(&b));
	buf_fini(&b);
	arena_reset(&c->v->kept);
}

void verdicts_prune(struct views *v)
{
	if (v->next > VERDICTS_KEPT)
		views_run(v, "DELETE FROM verdict WHERE number < ?", "i",
			  I(v->next - VERDICTS_KEPT));
}

enum rc views_verdict(struct views *v, uint32_t lane_id, uint64_t ask, struct buf *out,
		      struct fault *why)
{
	sqlite3_stmt *q = views_bind(v, "SELECT body FROM verdict WHERE lane_id = ? AND ask = ?",
				     "ii", I(lane_id), I(ask));
	bool is_there = views_row(v, q);
	enum rc rc;

	if (is_there)
		(void)buf_append(out, views_text(q, 0));
	views_done(q);
	rc = views_end(v, why);
	return rc == OK && !is_there ? MORE : rc;
}

/* May the act be judged at all? */
static bool find_account(struct mail_ctx *c)
{
	if (!account_by_name(c->v, lower_span(c->v, c->act->account), &c->account) ||
	    !c->account.is_active) {
		mail_refuse(c, MAIL_NOACCOUNT, "this account is gone or disabled");
		return false;
	}
	c->out.was = c->account.modseq;
	if (c->act->if_state == 0 || c->act->if_state == c->account.modseq)
		return true;
	mail_refuse(c, MAIL_STATE, "something else has changed meanwhile");
	return false;
}

static void by_kind(struct mail_ctx *c)
{
	switch ((enum mail_act_kind)c->act->kind) {
	case MAIL_ACT_STORE:
		act_store(c);
		return;
	case MAIL_ACT_EXPUNGE:
		act_expunge(c);
		return;
	case MAIL_ACT_COPY:
		act_transfer(c, false);
		return;
	case MAIL_ACT_MOVE:
		act_transfer(c, true);
		return;
	case MAIL_ACT_CREATE:
		act_create(c);
		return;
	case MAIL_ACT_DELETE:
		act_delete(c);
		return;
	case MAIL_ACT_RENAME:
		act_rename(c);
		return;
	case MAIL_ACT_SUBSCRIBE:
		act_subscribe(c, true);
		return;
	case MAIL_ACT_UNSUBSCRIBE:
		act_subscribe(c, false);
		return;
	case MAIL_ACT_EMAIL:
		act_email(c);
		return;
	case MAIL_ACT_SETTING:
		act_setting(c);
		return;
	case MAIL_ACT_APPEND: /* without its message */
		break;
	}
	mail_refuse(c, MAIL_CANNOT, "this version does not know such a change");
}

void mail_act(struct views *v, const struct order_entry *e, const struct record *r,
	      struct span detail)
{
	struct msg_mail_act a;
	struct mail_ctx c = {.v = v, .e = e, .act = &a, .at_us = r->received_us};

	if (!msg_mail_act_decode(&v->arena, detail, &a)) {
		v->rc = REFUSED;
		return;
	}
	if (find_account(&c)) {
		if (are_uids_fine(&a))
			by_kind(&c);
		else
			mail_refuse(&c, MAIL_LIMIT, "the set of messages is not well formed");
	}
	keep_verdict(&c);
}

/* ---- APPEND ---- */

static void put(struct mail_ctx *c, const struct letter *l)
{
	struct entry new;
	struct box b;
	uint32_t uid;

	if ((c->act->flags & ~(uint32_t)MAIL_FLAGS_ALL) || !keywords_are_fine(c->act->keywords)) {
		mail_refuse(c, MAIL_LIMIT, "these flags cannot be kept");
		return;
	}
	if (!box_of_account(c, c->act->box, &b))
		return;
	if (b.special == MAIL_SENT)
		own_copy(c->v, &c->account, &b, l);
	new = (struct entry){
		.number = l->number,
		.form = MAIL_AS_SENT,
		.flags = c->act->flags,
		.keywords = c->act->keywords,
		.modseq = ctx_modseq(c),
		.received_us = c->act->date_us ? c->act->date_us : l->received_us,
		.bytes = letter_bytes(l, MAIL_AS_SENT),
		.home = ENTRY_HOME_WAITS,
		.thread = thread_of(c->v, c->account.id, l),
	};
	uid = entry_add(c->v, &b, &new);
	if (uid == 0) {
		mail_refuse(c, MAIL_LIMIT, "this mailbox has given out its last UID");
		return;
	}
	home_added(c->v, &b, &new);
	box_save(c->v, &b);
	range_add(c->v, &c->to, uid);
	c->out.box = b.id;
	c->out.uidvalidity = b.uidvalidity;
	c->out.number = new.number;
	c->out.form = (uint8_t) new.form;
	c->out.thread = new.thread;
}

void mail_put(struct views *v, const struct order_entry *e, const struct letter *l,
	      struct span detail)
{
	struct msg_mail_act a;
	struct mail_ctx c = {.v = v, .e = e, .act = &a, .at_us = l->received_us};

	if (!msg_mail_act_decode(&v->arena, detail, &a)) {
		v->rc = REFUSED;
		return;
	}
	if (find_account(&c)) {
		if (a.kind == MAIL_ACT_APPEND)
			put(&c, l);
		else
			mail_refuse(&c, MAIL_CANNOT, "a message came with another change");
	}
	keep_verdict(&c);
}
