/*
 * The news of the selected mailbox: what went, what came, which flags changed, told where it is allowed (I4), in pieces
 * (I7). What the client knows is box->map and box->seen_modseq; the store has the rest.
 */
#include "imap/server_internal.h"

#include <stdlib.h>

#include "base/must.h"

void imap_box_forget(struct imap_server *s)
{
	if (!s->box)
		return;
	imap_map_clear(&s->box->map);
	imap_map_clear(&s->box->fresh);
	imap_set_clear(&s->box->saved);
	free(s->box);
	s->box = NULL;
	if (s->state == IMAP_ST_SELECTED)
		imap_move(s, IMAP_ST_IN);
}

void imap_own_change(struct imap_server *s, uint64_t modseq)
{
	struct imap_box *box = s->box;

	if (!box || modseq <= box->seen_modseq)
		return;
	if (box->own_n == IMAP_OWN_MODSEQS) { /* the oldest is told twice, which does no harm */
		memmove(box->own, box->own + 1, (IMAP_OWN_MODSEQS - 1) * sizeof *box->own);
		box->own_n--;
	}
	box->own[box->own_n++] = modseq;
}

static bool is_own(const struct imap_box *box, uint64_t modseq)
{
	for (unsigned i = 0; i < box->own_n; i++) {
		if (box->own[i] == modseq)
			return true;
	}
	return false;
}

/* ---- entries, a batch at a time ---- */

void imap_batch_begin(struct imap_batch *b, const struct imap_set *uids)
{
	*b = (struct imap_batch){.uids = uids, .uid = uids->n ? uids->r[0].first : 0};
}

void imap_batch_end(struct imap_batch *b)
{
	buf_fini(&b->keywords);
}

static bool on_entry(void *to, const struct mail_entry *e)
{
	struct imap_batch *b = to;

	b->e[b->n++] = *e;
	(void)buf_append(&b->keywords, e->keywords);
	return b->n < IMAP_BATCH;
}

static void settle_keywords(struct imap_batch *b)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n; i++) {
		b->e[i].keywords.p = b->keywords.p + at;
		at += b->e[i].keywords.n;
	}
}

static enum rc fill(struct imap_server *s, struct imap_batch *b, uint64_t since, struct fault *why)
{
	b->n = b->at = 0;
	buf_clear(&b->keywords);
	while (b->n == 0 && b->range < b->uids->n) {
		struct mail_range want = {b->uid, b->uids->r[b->range].last};
		enum rc rc = s->store.ops->each_entry(s->store.arg, s->box->id, want, since,
						      on_entry, b, why);

		if (rc != OK)
			return rc;
		if (b->n == IMAP_BATCH && b->e[b->n - 1].uid < want.last) {
			b->uid = b->e[b->n - 1].uid + 1;
		} else if (++b->range < b->uids->n) {
			b->uid = b->uids->r[b->range].first;
		}
	}
	settle_keywords(b);
	return b->n ? OK : REFUSED;
}

enum rc imap_batch_next(struct imap_server *s, struct imap_batch *b, uint64_t since,
			const struct mail_entry **out, uint32_t *out_seq, struct fault *why)
{
	for (;;) {
		const struct mail_entry *e;

		if (b->at == b->n) {
			enum rc rc = fill(s, b, since, why);

			if (rc != OK)
				return rc;
		}
		e = &b->e[b->at++];
		*out_seq = imap_map_seq(&s->box->map, e->uid);
		if (*out_seq == 0)
			continue;
		*out = e;
		return OK;
	}
}

void imap_put_news(struct imap_server *s, uint32_t seq, const struct mail_entry *e)
{
	imap_put_span(s, SPAN_LIT("* "));
	imap_put_number(s, seq);
	imap_put_span(s, SPAN_LIT(" FETCH (UID "));
	imap_put_number(s, e->uid);
	imap_put_span(s, SPAN_LIT(" FLAGS "));
	imap_put_flags(&s->out, e->flags, e->keywords);
	if (s->has_condstore)
		imap_put(s, " MODSEQ (%llu)", (unsigned long long)e->modseq);
	imap_put_span(s, SPAN_LIT(")\r\n"));
}

/* ---- stages ---- */

static void tell_exists(struct imap_server *s, bool has_new)
{
	if (!has_new)
		return;
	imap_put(s, "* %u EXISTS\r\n", s->box->map.total);
	if (!s->is_rev2)
		imap_put(s, "* 0 RECENT\r\n");
}

static void begin_flags(struct imap_box *box)
{
	box->stage = IMAP_SYNC_FLAGS;
	box->at = 1;
}

/* Where nothing may go, the new ones are added behind. */
static void add_new(struct imap_server *s)
{
	struct imap_box *box = s->box;
	uint32_t before = box->map.total;

	for (size_t i = 0; i < box->fresh.n; i++) {
		const struct imap_run *r = &box->fresh.r[i];

		if (r->last > box->old_last)
			imap_map_add(&box->map,
				     r->first > box->old_last ? r->first : box->old_last + 1,
				     r->last);
	}
	imap_map_clear(&box->fresh);
	tell_exists(s, box->map.total != before);
	begin_flags(box);
}

static bool is_whole_in(const struct imap_map *m, uint32_t first, uint32_t last)
{
	uint32_t a = imap_map_seq(m, first), b = imap_map_seq(m, last);

	return a && b && b - a == last - first;
}

static void take_fresh(struct imap_server *s)
{
	struct imap_box *box = s->box;

	imap_map_clear(&box->map);
	box->map = box->fresh;
	box->fresh = (struct imap_map){0};
	tell_exists(s, imap_map_last(&box->map) > box->old_last);
	begin_flags(box);
}

/* Downwards, so that a sequence number is not moved by those before it. box->at: one above what is left to look at. */
static bool tell_gone(struct imap_server *s)
{
	struct imap_box *box = s->box;

	for (size_t i = box->map.n; i-- > 0;) {
		const struct imap_run *r = &box->map.r[i];

		if (r->first >= box->at || is_whole_in(&box->fresh, r->first, r->last))
			continue;
		for (uint32_t uid = r->last < box->at ? r->last : box->at - 1; uid >= r->first;
		     uid--) {
			if (imap_map_seq(&box->fresh, uid) == 0)
				imap_put(s, "* %u EXPUNGE\r\n", r->before + (uid - r->first) + 1);
			box->at = uid;
			if (imap_is_full(s))
				return false;
		}
	}
	return true;
}

/* RFC 7162 s3.2.10: one VANISHED for all. */
static void tell_vanished(struct imap_server *s)
{
	struct imap_box *box = s->box;
	struct imap_set gone = {0};

	for (size_t i = 0; i < box->map.n; i++) {
		const struct imap_run *r = &box->map.r[i];

		if (is_whole_in(&box->fresh, r->first, r->last))
			continue;
		for (uint32_t k = 0; k <= r->last - r->first; k++) {
			if (imap_map_seq(&box->fresh, r->first + k) == 0)
				imap_set_add(&gone, r->first + k, r->first + k);
		}
	}
	if (gone.n) {
		imap_put(s, "* VANISHED ");
		imap_set_print(&s->out, gone.r, gone.n);
		imap_put(s, "\r\n");
	}
	imap_set_clear(&gone);
}

static bool on_changed(void *to, const struct mail_entry *e)
{
	struct imap_server *s = to;
	struct imap_box *box = s->box;
	uint32_t seq = imap_map_seq(&box->map, e->uid);

	if (seq && !is_own(box, e->modseq))
		imap_put_news(s, seq, e);
	box->at = e->uid < UINT32_MAX ? e->uid + 1 : e->uid;
	return !imap_is_full(s);
}

/* New messages' flags are not told: the client asks for what it wants of them. */
static bool tell_flags(struct imap_server *s)
{
	struct imap_box *box = s->box;
	struct mail_range old = {box->at, box->old_last};
	unsigned kept = 0;

	if (box->to_modseq > box->seen_modseq && old.first <= old.last) {
		if (s->store.ops->each_entry(s->store.arg, box->id, old, box->seen_modseq,
					     on_changed, s, NULL) != OK) {
			box->stage = IMAP_SYNC_IDLE; /* the next command tries again */
			return true;
		}
		if (imap_is_full(s) && box->at <= box->old_last)
			return false;
	}
	box->seen_modseq = box->to_modseq;
	for (unsigned i = 0; i < box->own_n; i++) {
		if (box->own[i] > box->seen_modseq)
			box->own[kept++] = box->own[i];
	}
	box->own_n = kept;
	box->stage = IMAP_SYNC_IDLE;
	return true;
}

static bool on_new(void *to, const struct mail_entry *e)
{
	imap_map_add(to, e->uid, e->uid);
	return true;
}

/* What came behind the last one we know, into box->fresh. */
static enum rc load_new(struct imap_server *s, const struct mail_box *now)
{
	struct imap_box *box = s->box;
	struct mail_range behind = {box->old_last + 1, UINT32_MAX};

	if (box->old_last == UINT32_MAX || now->uidnext <= behind.first)
		return OK;
	return s->store.ops->each_entry(s->store.arg, box->id, behind, 0, on_new, &box->fresh,
					NULL);
}

/* Sets the stage. When nothing went, which the counts tell, only what is new is read, not the whole map. */
static bool begin(struct imap_server *s, bool may_expunge)
{
	struct imap_box *box = s->box;
	struct mail_box now = {0};
	enum rc rc = s->store.ops->box_by_id(s->store.arg, box->id, &now, NULL);

	if (rc == REFUSED) /* deleted meanwhile: all its messages went */
		now = (struct mail_box){.highest_modseq = box->seen_modseq};
	else if (rc != OK)
		return false;
	if (now.highest_modseq == box->seen_modseq && now.total == box->map.total)
		return false;
	imap_map_clear(&box->fresh);
	box->old_last = imap_map_last(&box->map);
	box->to_modseq = now.highest_modseq;
	if (rc == OK && load_new(s, &now) != OK)
		return false;
	if (!may_expunge || box->map.total + box->fresh.total == now.total) {
		add_new(s);
		return true;
	}
	imap_map_clear(&box->fresh);
	if (rc == OK && imap_map_load(s, box->id, &box->fresh, NULL) != OK)
		return false;
	box->stage = IMAP_SYNC_GONE;
	box->at = box->old_last < UINT32_MAX ? box->old_last + 1 : box->old_last;
	return true;
}

bool imap_sync(struct imap_server *s, bool may_expunge)
{
	struct imap_box *box = s->box;

	if (!box || s->state != IMAP_ST_SELECTED)
		return true;
	if (box->stage == IMAP_SYNC_IDLE) {
		if (!begin(s, may_expunge))
			return true;
		if (box->stage == IMAP_SYNC_GONE && s->has_qresync)
			tell_vanished(s);
	}
	if (box->stage == IMAP_SYNC_GONE) {
		if (!s->has_qresync && !tell_gone(s))
			return false;
		take_fresh(s);
	}
	return tell_flags(s);
}
