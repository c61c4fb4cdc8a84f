/*
 * Changes of the list of mailboxes: CREATE, DELETE, RENAME, SUBSCRIBE (RFC 9051 s6.3.4-6.3.8). Names are UTF-8, levels
 * divided by "/"; INBOX in any case is INBOX, also as the first level. Special mailboxes stay where they are.
 */
#include "base/must.h"
#include "mail/address.h"
#include "views/people.h"

/* True when text is the name itself or stands below it. */
static bool is_at_or_below(struct span text, struct span name)
{
	return span_starts(text, name) && (text.n == name.n || text.p[name.n] == '/');
}

static bool is_level_fine(struct span level)
{
	if (level.n == 0)
		return false;
	for (size_t i = 0; i < level.n;) {
		size_t n = utf8_length(level.p + i, level.n - i);

		if (n == 0 || level.p[i] < 32 || level.p[i] == 127 || level.p[i] == '*' ||
		    level.p[i] == '%')
			return false;
		i += n;
	}
	return true;
}

bool box_name_check(struct mail_ctx *c, struct span name, struct span *out)
{
	struct span rest, copy;
	unsigned levels = 0;

	if (name.n && name.p[name.n - 1] == '/')
		name.n--;
	if (name.n == 0 || name.n > MAIL_BOX_NAME_BYTES) {
		mail_refuse(c, MAIL_CANNOT, "a mailbox's name has 1 to 512 bytes");
		return false;
	}
	if (name.p[0] == '/') {
		mail_refuse(c, MAIL_CANNOT, "a mailbox's name does not begin with /");
		return false;
	}
	for (rest = name; rest.n;) {
		if (!is_level_fine(span_cut(&rest, '/'))) {
			mail_refuse(
				c, MAIL_CANNOT,
				"a mailbox's name is UTF-8 without *, % and control characters");
			return false;
		}
		if (++levels > MAIL_BOX_LEVELS) {
			mail_refuse(c, MAIL_CANNOT, "a mailbox's name has at most 20 levels");
			return false;
		}
	}
	copy = arena_span(&c->v->arena, name);
	must(copy.p);
	rest = copy;
	if (span_eq_nocase(span_cut(&rest, '/'), SPAN_LIT("INBOX")))
		memcpy((unsigned char *)copy.p, "INBOX", 5);
	*out = copy;
	return true;
}

static uint64_t boxes_of(struct mail_ctx *c)
{
	sqlite3_stmt *q = views_bind(
		c->v, "SELECT count(*) FROM mailbox WHERE account = ? AND name IS NOT NULL", "i",
		I(c->account.id));
	uint64_t n = views_row(c->v, q) ? (uint64_t)views_int(q, 0) : 0;

	views_done(q);
	return n;
}

static void make_one(struct mail_ctx *c, struct span name, struct box *out)
{
	uint64_t id = (c->e->number + 1) * BOXES_OF_A_RECORD + c->boxes_made++;

	(void)box_make(c->v, &c->account, id, name, MAIL_PLAIN, c->at_us, out);
	c->out.modseq = out->modseq;
	home_box_made(c->v, out);
}

/* The n-th level above it that is missing; false: there are no more. *at: where to look on. */
static bool next_missing(struct mail_ctx *c, struct span name, size_t *at, struct span *out)
{
	for (; *at < name.n; ++*at) {
		struct box b;

		*out = span_first(name, *at);
		if (name.p[*at] == '/' && !box_by_name(c->v, c->account.id, *out, &b)) {
			++*at;
			return true;
		}
	}
	return false;
}

/* Counted first: what is refused changes nothing (B4). */
static bool make_parents(struct mail_ctx *c, struct span name)
{
	uint64_t n = boxes_of(c) + 1;
	struct span parent;
	struct box b;

	for (size_t at = 1; next_missing(c, name, &at, &parent);)
		n++;
	if (n > MAIL_BOXES_LIMIT) {
		mail_refuse(c, MAIL_LIMIT, "an account has at most 2,000 mailboxes");
		return false;
	}
	for (size_t at = 1; next_missing(c, name, &at, &parent);)
		make_one(c, parent, &b);
	return true;
}

void act_create(struct mail_ctx *c)
{
	struct span name;
	struct box b;

	if (!box_name_check(c, c->act->name, &name))
		return;
	if (c->act->special != MAIL_PLAIN) {
		mail_refuse(c, MAIL_CANNOT, "the special mailboxes are there already");
		return;
	}
	if (box_by_name(c->v, c->account.id, name, &b)) {
		mail_refuse(c, MAIL_ALREADYEXISTS, "there is a mailbox of this name");
		return;
	}
	if (!make_parents(c, name))
		return;
	make_one(c, name, &b);
	c->out.box = b.id;
	c->out.uidvalidity = b.uidvalidity;
}

/* ---- below a name ---- */

struct below {
	struct {
		uint64_t id;
		struct span name;
	} at[MAIL_BOXES_LIMIT];
	size_t n;
	size_t longest;
};

/* Mailboxes below this name, by name. "0" is the character after "/". */
static const struct below *boxes_below(struct mail_ctx *c, struct span name)
{
	struct below *out = arena_alloc(&c->v->arena, sizeof *out);
	sqlite3_stmt *q = views_bind(
		c->v,
		"SELECT id, name FROM mailbox WHERE account = ?1 AND name > ?2 || '/' AND name < "
		"?2 || '0' ORDER BY name",
		"is", I(c->account.id), name);

	must(out);
	while (out->n < MAIL_BOXES_LIMIT && views_row(c->v, q)) {
		out->at[out->n].id = (uint64_t)views_int(q, 0);
		out->at[out->n].name = arena_span(&c->v->arena, views_text(q, 1));
		if (out->at[out->n].name.n > out->longest)
			out->longest = out->at[out->n].name.n;
		out->n++;
	}
	views_done(q);
	return out;
}

void act_delete(struct mail_ctx *c)
{
	struct span name;
	struct box b;

	if (!box_name_check(c, c->act->name, &name))
		return;
	if (!box_by_name(c->v, c->account.id, name, &b)) {
		mail_refuse(c, MAIL_NONEXISTENT, "there is no such mailbox");
		return;
	}
	if (b.special != MAIL_PLAIN) {
		mail_refuse(c, MAIL_CANNOT, "this mailbox is needed and stays");
		return;
	}
	if (boxes_below(c, name)->n > 0) {
		mail_refuse(c, MAIL_HASCHILDREN, "there are mailboxes below this one");
		return;
	}
	home_box_leaves(c->v, &b);
	box_unmake(c->v, &c->account, &b);
	home_box_left(c->v, &b);
	c->out.modseq = b.modseq;
	c->out.box = b.id;
}

/* ---- RENAME ---- */

static void subscription_follows(struct mail_ctx *c, struct span from, struct span to)
{
	views_run(c->v,
		  "UPDATE OR REPLACE subscription SET name = ?3 WHERE account = ?1 AND name = ?2",
		  "iss", I(c->account.id), from, to);
}

static void rename_one(struct mail_ctx *c, uint64_t id, struct span from, struct span to)
{
	views_run(c->v, "UPDATE mailbox SET name = ?, listed = ? WHERE id = ?", "sii", to,
		  I(c->out.modseq), I(id));
	subscription_follows(c, from, to);
	mail_touched(c->v, c->account.id, id, c->out.modseq);
}

/* Its messages move into a new mailbox; it stays, and so does what is below it. */
static void rename_inbox(struct mail_ctx *c, struct box *inbox, struct span to)
{
	enum { PAGE = 500 };
	struct entry *page = arena_array(&c->v->arena, PAGE, sizeof *page);
	struct mail_range all = {1, UINT32_MAX};
	struct arena callers;
	struct box made;
	size_t n;

	must(page);
	make_one(c, to, &made);
	callers = views_aside(c->v);
	while ((n = entries_page(c->v, inbox->id, all, page, PAGE)) > 0 && c->v->rc == OK) {
		for (size_t i = 0; i < n; i++) {
			struct entry copy = page[i];

			copy.modseq = made.modseq;
			copy.home = ENTRY_HOME_WAITS;
			(void)entry_add(c->v, &made, &copy);
			home_comes(c->v, &made, &copy);
			entry_remove(c->v, inbox, &page[i], made.modseq);
			home_left(c->v, inbox, &page[i]);
		}
		arena_reset(&c->v->arena);
		all.first = page[n - 1].uid + 1; /* below UINT32_MAX: entry_add */
	}
	views_back(c->v, callers);
	box_save(c->v, &made);
	box_save(c->v, inbox);
	c->out.box = made.id;
	c->out.uidvalidity = made.uidvalidity;
}

static void rename_all(struct mail_ctx *c, struct box *b, struct span from, struct span to)
{
	const struct below *below = boxes_below(c, from);

	c->out.modseq = account_modseq(c->v, &c->account);
	rename_one(c, b->id, from, to);
	for (size_t i = 0; i < below->n; i++) {
		struct buf name = {0};

		buf_append(&name, to);
		buf_append(&name, span_from(below->at[i].name, from.n));
		rename_one(c, below->at[i].id, below->at[i].name, buf_span(&name));
		buf_fini(&name);
	}
	mail_touched(c->v, c->account.id, 0, c->out.modseq);
	c->out.box = b->id;
	c->out.uidvalidity = b->uidvalidity;
}

static bool can_move_below(struct mail_ctx *c, struct span from, struct span to)
{
	const struct below *below = boxes_below(c, from);
	struct span ignored;

	if (below->n && to.n + below->longest - from.n > MAIL_BOX_NAME_BYTES) {
		mail_refuse(c, MAIL_CANNOT, "a name below it would be too long");
		return false;
	}
	for (size_t i = 0; i < below->n; i++) {
		struct buf name = {0};
		bool ok;

		buf_append(&name, to);
		buf_append(&name, span_from(below->at[i].name, from.n));
		ok = box_name_check(c, buf_span(&name), &ignored);
		buf_fini(&name);
		if (!ok)
			return false;
	}
	return true;
}

void act_rename(struct mail_ctx *c)
{
	struct span from, to;
	struct box b, other;

	if (!box_name_check(c, c->act->name, &from) || !box_name_check(c, c->act->new_name, &to))
		return;
	if (!box_by_name(c->v, c->account.id, from, &b)) {
		mail_refuse(c, MAIL_NONEXISTENT, "there is no such mailbox");
		return;
	}
	if (box_by_name(c->v, c->account.id, to, &other)) {
		mail_refuse(c, MAIL_ALREADYEXISTS, "there is a mailbox of this name");
		return;
	}
	if (b.special != MAIL_PLAIN && b.special != MAIL_INBOX) {
		mail_refuse(c, MAIL_CANNOT, "this mailbox is needed and keeps its name");
		return;
	}
	if (b.special != MAIL_INBOX && is_at_or_below(to, from)) {
		mail_refuse(c, MAIL_CANNOT, "a mailbox cannot go below itself");
		return;
	}
	if (b.special == MAIL_INBOX) {
		if (make_parents(c, to))
			rename_inbox(c, &b, to);
		return;
	}
	if (can_move_below(c, from, to) && make_parents(c, to))
		rename_all(c, &b, from, to);
}

/* ---- SUBSCRIBE ---- */

void act_subscribe(struct mail_ctx *c, bool yes)
{
	sqlite3_stmt *q;
	struct span name;
	bool is_full;

	if (!box_name_check(c, c->act->name, &name))
		return;
	q = views_bind(c->v, "SELECT count(*) FROM subscription WHERE account = ?", "i",
		       I(c->account.id));
	is_full = views_row(c->v, q) && views_int(q, 0) >= 2 * MAIL_BOXES_LIMIT;
	views_done(q);
	if (yes && is_full) {
		mail_refuse(c, MAIL_LIMIT, "an account has at most 4,000 subscriptions");
		return;
	}
	if (yes)
		views_run(c->v, "INSERT OR IGNORE INTO subscription VALUES (?, ?)", "is",
			  I(c->account.id), name);
	else
		views_run(c->v, "DELETE FROM subscription WHERE account = ? AND name = ?", "is",
			  I(c->account.id), name);
	if (sqlite3_changes(c->v->db) == 0)
		return;
	views_run(c->v, "UPDATE mailbox SET listed = ? WHERE account = ? AND name = ?", "iis",
		  I(ctx_modseq(c)), I(c->account.id), name);
	mail_touched(c->v, c->account.id, 0, ctx_modseq(c));
}
