/*
 * What became of an account's Emails, mailboxes and conversations since a modseq (RFC 8620 s5.2), by the modseq of the last
 * change. Cost follows what changed, not what there is: each mailbox that was touched since gives its rows in two streams
 * that are in order already, those that changed after they came (entry_changed) and those that came (born grows with the
 * UIDs); `lost` is a third. They are merged; an Email is told at the last of its rows.
 */
#include <stdlib.h>

#include "base/must.h"
#include "views/people.h"

/* THREADS_LIMIT: they are gathered before the first is told; this many cost a tenth of a second. */
enum { PAGE = 64, THREADS_LIMIT = 20000 };

enum stream { CHANGED_ROWS, NEW_ROWS, LOST_ROWS };

struct row {
	uint64_t modseq, number, thread, born; /* born: of LOST_ROWS */
	uint64_t box;
	uint32_t uid;
	enum mail_form form;
};

/* One stream of one mailbox, a page at a time: no statement is open while others are asked. */
struct source {
	enum stream stream;
	uint64_t box,
		modseq; /* rows after (modseq, uid); of LOST_ROWS after (modseq, number, form) */
	uint64_t uid;
	struct row page[PAGE];
	size_t at, n;
	bool is_last; /* page */
};

struct merge {
	struct views *v;
	uint64_t account, since;
	struct source **at; /* those with a row, a heap: the lowest first */
	size_t n;
};

static bool is_before(const struct row *a, const struct row *b)
{
	if (a->modseq != b->modseq)
		return a->modseq < b->modseq;
	if (a->box != b->box)
		return a->box < b->box;
	if (a->uid != b->uid)
		return a->uid < b->uid;
	if (a->number != b->number)
		return a->number < b->number;
	return a->form < b->form;
}

/* ---- streams ---- */

static sqlite3_stmt *ask(const struct merge *m, const struct source *s)
{
	switch (s->stream) {
	case CHANGED_ROWS:
		return views_bind(
			m->v,
			"SELECT modseq, number, form, thread, uid, born FROM entry INDEXED "
			"BY entry_changed WHERE box = ?1 AND modseq > born AND (modseq, "
			"uid) > (?2, ?3) ORDER BY modseq, uid LIMIT ?4",
			"iiii", I(s->box), I(s->modseq), I(s->uid), I(PAGE));
	case NEW_ROWS:
		return views_bind(m->v,
				  "SELECT modseq, number, form, thread, uid, born FROM entry WHERE "
				  "box = ? AND uid > ? ORDER BY uid LIMIT ?",
				  "iii", I(s->box), I(s->uid), I(PAGE));
	case LOST_ROWS:
		break;
	}
	return views_bind(
		m->v,
		"SELECT modseq, id, form, thread, 0, born FROM lost WHERE account = ?1 AND"
		" (modseq, kind, id, form) > (?2, 0, ?3, ?4) AND +kind = 0 ORDER BY modseq,"
		" kind, id, form LIMIT ?5",
		"iiiii", I(m->account), I(s->modseq), I(s->uid >> 2), I(s->uid & 3), I(PAGE));
}

/* Where the page ends the next one begins. */
static void note_place(struct source *s, const struct row *last)
{
	s->modseq = last->modseq;
	s->uid = s->stream == LOST_ROWS ? last->number << 2 | (uint64_t)last->form : last->uid;
}

static void next_page(const struct merge *m, struct source *s)
{
	sqlite3_stmt *q = ask(m, s);

	s->at = s->n = 0;
	while (s->n < PAGE && views_row(m->v, q)) {
		s->page[s->n++] = (struct row){
			.modseq = (uint64_t)views_int(q, 0),
			.number = (uint64_t)views_int(q, 1),
			.form = (enum mail_form)views_int(q, 2),
			.thread = (uint64_t)views_int(q, 3),
			.box = s->box,
			.uid = (uint32_t)views_int(q, 4),
			.born = (uint64_t)views_int(q, 5),
		};
	}
	views_done(q);
	s->is_last = s->n < PAGE;
	if (s->n)
		note_place(s, &s->page[s->n - 1]);
}

/* The next row of a source. Rows that came and changed since are told by the other stream alone. */
static bool settle(const struct merge *m, struct source *s)
{
	for (;;) {
		for (; s->at < s->n; s->at++)
			if (s->stream != NEW_ROWS || s->page[s->at].modseq == s->page[s->at].born)
				return true;
		if (s->is_last || m->v->rc != OK)
			return false;
		next_page(m, s);
	}
}

/* ---- the heap ---- */

static const struct row *head(const struct source *s)
{
	return &s->page[s->at];
}

static void sink(struct merge *m, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;
		struct source *s = m->at[i];

		if (child >= m->n)
			return;
		if (child + 1 < m->n && is_before(head(m->at[child + 1]), head(m->at[child])))
			child++;
		if (!is_before(head(m->at[child]), head(s)))
			return;
		m->at[i] = m->at[child];
		m->at[child] = s;
		i = child;
	}
}

static void add_source(struct merge *m, enum stream stream, uint64_t box, uint64_t uid)
{
	struct source *s = must_alloc(sizeof *s);

	*s = (struct source){.stream = stream, .box = box, .modseq = m->since, .uid = uid};
	if (stream != NEW_ROWS)
		s->uid = UINT32_MAX; /* after the whole of `since` */
	if (stream == LOST_ROWS)
		s->uid = INT64_MAX;
	if (!settle(m, s)) {
		free(s);
		return;
	}
	m->at[m->n++] = s;
}

uint32_t entry_first_after(struct views *v, uint64_t box, uint64_t since)
{
	uint64_t low = 1, high = (uint64_t)UINT32_MAX; /* the first one is in [low, high] */

	while (low < high && v->rc == OK) {
		uint64_t middle = low + (high - low) / 2;
		sqlite3_stmt *q = views_bind(v,
					     "SELECT uid, born FROM entry WHERE box = ? AND uid >= "
					     "? ORDER BY uid LIMIT 1",
					     "ii", I(box), I(middle));

		if (!views_row(v, q) || (uint64_t)views_int(q, 1) > since)
			high = middle;
		else
			low = (uint64_t)views_int(q, 0) + 1;
		views_done(q);
	}
	return (uint32_t)high;
}

static void merge_open(struct merge *m)
{
	struct {
		uint64_t *ids;
		size_t n, cap;
	} boxes = {0};
	sqlite3_stmt *q =
		views_bind(m->v, "SELECT id FROM mailbox WHERE account = ? AND modseq > ?", "ii",
			   I(m->account), I(m->since));

	while (views_row(m->v, q)) {
		if (boxes.n == boxes.cap) {
			boxes.cap = boxes.cap ? 2 * boxes.cap : 16;
			boxes.ids = reallocarray(boxes.ids, boxes.cap, sizeof *boxes.ids);
			must(boxes.ids);
		}
		boxes.ids[boxes.n++] = (uint64_t)views_int(q, 0);
	}
	m->at = must_alloc((2 * boxes.n + 1) * sizeof(struct source *));
	for (size_t i = 0; i < boxes.n; i++) {
		uint32_t first = entry_first_after(m->v, boxes.ids[i], m->since);

		add_source(m, CHANGED_ROWS, boxes.ids[i], 0);
		add_source(m, NEW_ROWS, boxes.ids[i], first - 1);
	}
	add_source(m, LOST_ROWS, 0, 0);
	free(boxes.ids);
	for (size_t i = m->n / 2; i-- > 0;)
		sink(m, i);
}

static bool merge_next(struct merge *m, struct row *out, bool *out_is_lost)
{
	if (m->n == 0 || m->v->rc != OK)
		return false;
	*out = *head(m->at[0]);
	*out_is_lost = m->at[0]->stream == LOST_ROWS;
	m->at[0]->at++;
	if (!settle(m, m->at[0])) {
		free(m->at[0]);
		m->at[0] = m->at[--m->n];
	}
	if (m->n)
		sink(m, 0);
	return true;
}

static void merge_close(struct merge *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->at[i]);
	free(m->at);
}

/* ---- Emails ---- */

/* All rows of an Email together. */
struct email {
	uint64_t born;
	bool is_there;
	struct row last;
};

static void email_of(struct views *v, uint64_t account, const struct row *r, struct email *out)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT box, uid, modseq, born, gone, flags FROM entry WHERE "
				     "number = ? AND account ="
				     " ? AND form = ?",
				     "iii", I(r->number), I(account), I(r->form));

	*out = (struct email){.born = UINT64_MAX};
	while (views_row(v, q)) {
		struct row row = {.box = (uint64_t)views_int(q, 0),
				  .uid = (uint32_t)views_int(q, 1),
				  .modseq = (uint64_t)views_int(q, 2),
				  .number = r->number,
				  .form = r->form};

		if ((uint64_t)views_int(q, 3) < out->born)
			out->born = (uint64_t)views_int(q, 3);
		if (views_int(q, 4) == 0 && !(views_int(q, 5) & MAIL_DELETED))
			out->is_there = true;
		if (is_before(&out->last, &row))
			out->last = row;
	}
}

/* The next Email that changed, with what became of it. */
static bool next_email(struct merge *m, struct row *r, struct mail_change *out)
{
	struct email e;
	bool is_lost;

	while (merge_next(m, r, &is_lost)) {
		if (is_lost) {
			e = (struct email){.born = r->born};
		} else {
			email_of(m->v, m->account, r, &e);
			if (e.last.box != r->box || e.last.uid != r->uid)
				continue; /* it comes again */
		}
		if (!e.is_there && e.born > m->since)
			continue; /* came and went */
		*out = (struct mail_change){
			.kind = !e.is_there	    ? MAIL_GONE
				: e.born > m->since ? MAIL_MADE
						    : MAIL_CHANGED,
			.id = r->number,
			.form = r->form,
			.modseq = r->modseq,
		};
		return true;
	}
	return false;
}

static enum rc can_tell(struct views *v, uint64_t account, uint64_t since, struct fault *why)
{
	struct mail_state state;
	enum rc rc = views_state(v, account, &state, why);

	if (rc == OK && (since < state.told_from || since > state.modseq)) {
		fault_set(why, "changes since then cannot be told any more");
		return REFUSED;
	}
	return rc;
}

enum rc views_changed_emails(struct views *v, uint64_t account, uint64_t since,
			     bool (*on_change)(void *to, const struct mail_change *c), void *to,
			     struct fault *why)
{
	struct merge m = {.v = v, .account = account, .since = since};
	enum rc rc = can_tell(v, account, since, why);
	struct mail_change c;
	struct row r;

	if (rc != OK)
		return rc;
	merge_open(&m);
	while (next_email(&m, &r, &c) && on_change(to, &c))
		;
	merge_close(&m);
	return views_end(v, why);
}

/* ---- mailboxes ---- */

enum rc views_changed_boxes(struct views *v, uint64_t account, uint64_t since,
			    bool (*on_change)(void *to, const struct mail_change *c), void *to,
			    struct fault *why)
{
	enum rc rc = can_tell(v, account, since, why);
	bool goes_on = true;
	sqlite3_stmt *q;

	if (rc != OK)
		return rc;
	q = views_bind(
		v,
		"SELECT id, max(modseq, listed) AS last, born, listed, 0 FROM mailbox WHERE"
		" account = ?1 AND name IS NOT NULL AND (modseq > ?2 OR listed > ?2) UNION ALL"
		" SELECT id, modseq, born, 0, 1 FROM lost WHERE account = ?1 AND modseq > ?2"
		" AND kind = 1 AND born <= ?2 ORDER BY last, id",
		"ii", I(account), I(since));
	while (goes_on && views_row(v, q)) {
		bool is_gone = views_int(q, 4) != 0;
		bool is_new = (uint64_t)views_int(q, 2) > since;
		struct mail_change c = {
			.kind = is_gone	 ? MAIL_GONE
				: is_new ? MAIL_MADE
					 : MAIL_CHANGED,
			.id = (uint64_t)views_int(q, 0),
			.modseq = (uint64_t)views_int(q, 1),
		};

		c.counts_only = c.kind == MAIL_CHANGED && (uint64_t)views_int(q, 3) <= since;
		goes_on = on_change(to, &c);
	}
	views_done(q);
	return views_end(v, why);
}

/* ---- conversations ---- */

struct talk {
	uint64_t thread, modseq;
	bool was_there; /* something of it went that was there */
};

struct talks {
	struct map by_thread;
	struct talk **all;
	size_t n, cap;
	bool is_too_much;
};

static struct talk *talk_of(struct talks *t, uint64_t thread)
{
	struct talk *found = map_get(&t->by_thread, map_key_u64(&thread));

	if (found)
		return found;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->all = reallocarray(t->all, t->cap, sizeof(struct talk *));
		must(t->all);
	}
	found = must_alloc(sizeof *found);
	*found = (struct talk){.thread = thread};
	(void)map_put(&t->by_thread, map_key_u64(&found->thread), found);
	t->all[t->n++] = found;
	return found;
}

/* Marks and moves of an Email do not change its conversation. */
static void gather(struct merge *m, struct talks *t)
{
	struct mail_change c;
	struct row r;

	while (!t->is_too_much && next_email(m, &r, &c)) {
		struct talk *talk;

		if (c.kind == MAIL_CHANGED)
			continue;
		if (t->n == THREADS_LIMIT) {
			t->is_too_much = true;
			return;
		}
		talk = talk_of(t, r.thread);
		talk->modseq = c.modseq;
		talk->was_there |= c.kind == MAIL_GONE;
	}
}

/* False: it came and went. */
static bool judge(struct views *v, uint64_t account, uint64_t since, const struct talk *t,
		  struct mail_change *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT max(gone = 0 AND flags & 8 = 0), max(born <= ?3 AND (gone = 0 OR modseq >"
		" ?3)) FROM (" ENTRIES_OF_THREAD("born, modseq, gone, flags") ")",
		"iii", I(t->thread), I(account), I(since));
	bool is_there = false, was_there = t->was_there;

	if (views_row(v, q)) {
		is_there = views_int(q, 0) != 0;
		was_there |= views_int(q, 1) != 0;
	}
	views_done(q);
	*out = (struct mail_change){.kind = !is_there	? MAIL_GONE
					    : was_there ? MAIL_CHANGED
							: MAIL_MADE,
				    .id = t->thread,
				    .modseq = t->modseq};
	return is_there || was_there;
}

static int by_modseq(const void *a, const void *b)
{
	const struct talk *x = *(const struct talk *const *)a, *y = *(const struct talk *const *)b;

	if (x->modseq != y->modseq)
		return x->modseq < y->modseq ? -1 : 1;
	return x->thread < y->thread ? -1 : x->thread > y->thread;
}

enum rc views_changed_threads(struct views *v, uint64_t account, uint64_t since,
			      bool (*on_change)(void *to, const struct mail_change *c), void *to,
			      struct fault *why)
{
	struct merge m = {.v = v, .account = account, .since = since};
	enum rc rc = can_tell(v, account, since, why);
	struct talks t = {0};
	struct mail_change c;

	if (rc != OK)
		return rc;
	map_init(&t.by_thread);
	merge_open(&m);
	gather(&m, &t);
	merge_close(&m);
	if (t.n)
		qsort(t.all, t.n, sizeof(struct talk *), by_modseq);
	for (size_t i = 0; i < t.n && !t.is_too_much && v->rc == OK; i++)
		if (judge(v, account, since, t.all[i], &c) && !on_change(to, &c))
			break;
	map_fini(&t.by_thread, free);
	free(t.all);
	rc = views_end(v, why);
	if (rc == OK && t.is_too_much) {
		fault_set(why, "too much has changed since then");
		return REFUSED;
	}
	return rc;
}
