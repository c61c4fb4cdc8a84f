/*
 * struct mail_store over the views, the digests and the ledger. All is read-only; no read transaction outlives a step of an
 * engine, so none spans a socket write. Views that were rebuilt, or that answer BROKEN, are closed when no call is inside
 * them any more and opened again when the next one comes: ids, UIDs and modseqs are the same in the new ones.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/internal.h"

/* ---- the views ---- */

static void close_views(struct desk *d)
{
	views_close(d->views);
	d->views = NULL;
	d->views_are_in_step = false;
	d->views_are_bad = false;
}

enum rc desk_views_enter(struct desk *d, struct fault *why)
{
	uint64_t now_us = loop_now_us(d->loop);
	enum rc rc;

	if (d->views_are_bad && d->views_depth == 0)
		close_views(d);
	if (!d->views) {
		if (d->views_tried_us && now_us - d->views_tried_us < DESK_REOPEN_US) {
			fault_set(why, "mailboxes are being made");
			return LATER;
		}
		d->views_tried_us = now_us;
		rc = views_open_read(role_data(d->role), &d->views, why);
		if (rc != OK)
			return LATER;
		d->views_tried_us = 0;
	}
	d->views_depth++;
	if (d->is_stepping && !d->views_are_in_step) {
		views_read_begin(d->views);
		d->views_are_in_step = true;
	}
	return OK;
}

enum rc desk_views_leave(struct desk *d, enum rc rc)
{
	must(d->views_depth > 0);
	d->views_depth--;
	if (rc == BROKEN || rc == LATER)
		d->views_are_bad = true;
	return rc == BROKEN ? LATER : rc;
}

void desk_store_step(struct desk *d)
{
	must(!d->is_stepping);
	d->is_stepping = true;
}

void desk_store_rest(struct desk *d)
{
	d->is_stepping = false;
	if (d->views_are_in_step)
		views_read_end(d->views);
	if (d->digests_are_in_step)
		digest_read_end(d->digests);
	d->views_are_in_step = d->digests_are_in_step = false;
}

enum rc desk_store_account(struct desk *d, struct span name, uint64_t *out_id, struct fault *why)
{
	struct views_account a;
	enum rc rc = desk_views_enter(d, why);

	if (rc != OK)
		return rc;
	rc = views_account_by_name(d->views, name, &a, why);
	if (rc == OK)
		*out_id = a.id;
	return desk_views_leave(d, rc);
}

/* ---- mailboxes ---- */

static enum rc each_box(void *arg, bool (*on_box)(void *to, const struct mail_box *b), void *to,
			struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_box(r->desk->views, r->account_id, on_box, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc box_by_name(void *arg, struct span name, struct mail_box *out, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_box_by_name(r->desk->views, r->account_id, name, out, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc box_by_id(void *arg, uint64_t box, struct mail_box *out, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_box_by_id(r->desk->views, r->account_id, box, out, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_entry(void *arg, uint64_t box, struct mail_range uids, uint64_t since,
			  bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			  struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_entry(r->desk->views, box, uids, since, on_entry, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_gone(void *arg, uint64_t box, uint64_t since,
			 bool (*on_gone)(void *to, struct mail_range uids), void *to,
			 struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_gone(r->desk->views, box, since, on_gone, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_range(void *arg, uint64_t box,
			  bool (*on_range)(void *to, struct mail_range uids), void *to,
			  struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_range(r->desk->views, box, on_range, to, why);
	return desk_views_leave(r->desk, rc);
}

/* ---- for JMAP ---- */

static enum rc state(void *arg, struct mail_state *out, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_state(r->desk->views, r->account_id, out, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_place(void *arg, uint64_t number, enum mail_form form,
			  bool (*on_place)(void *to, uint64_t box, const struct mail_entry *e),
			  void *to, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_place(r->desk->views, r->account_id, number, form, on_place, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_of_thread(void *arg, uint64_t thread,
			      bool (*on_email)(void *to, const struct mail_email *e), void *to,
			      struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_of_thread(r->desk->views, r->account_id, thread, on_email, to, why);
	return desk_views_leave(r->desk, rc);
}

/* What cannot be told is no fault of the views. */
static enum rc told(struct desk *d, enum rc rc)
{
	rc = desk_views_leave(d, rc);
	return rc == REFUSED ? LATER : rc;
}

static enum rc changed_emails(void *arg, uint64_t since,
			      bool (*on_change)(void *to, const struct mail_change *c), void *to,
			      struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_changed_emails(r->desk->views, r->account_id, since, on_change, to, why);
	return told(r->desk, rc);
}

static enum rc changed_boxes(void *arg, uint64_t since,
			     bool (*on_change)(void *to, const struct mail_change *c), void *to,
			     struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_changed_boxes(r->desk->views, r->account_id, since, on_change, to, why);
	return told(r->desk, rc);
}

static enum rc changed_threads(void *arg, uint64_t since,
			       bool (*on_change)(void *to, const struct mail_change *c), void *to,
			       struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_changed_threads(r->desk->views, r->account_id, since, on_change, to, why);
	return told(r->desk, rc);
}

static enum rc each_setting(void *arg,
			    bool (*on_setting)(void *to, struct span name, struct span value),
			    void *to, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_setting(r->desk->views, r->account_id, on_setting, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_submission(void *arg, uint64_t since,
			       bool (*on_submission)(void *to, const struct mail_submission *s),
			       void *to, struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_submission(r->desk->views, r->account_id, since, on_submission, to, why);
	return desk_views_leave(r->desk, rc);
}

static enum rc each_delivery(void *arg, uint64_t number,
			     bool (*on_delivery)(void *to, const struct mail_delivery *d), void *to,
			     struct fault *why)
{
	const struct desk_reader *r = arg;
	enum rc rc = desk_views_enter(r->desk, why);

	if (rc != OK)
		return rc;
	rc = views_each_delivery(r->desk->views, r->account_id, number, on_delivery, to, why);
	return desk_views_leave(r->desk, rc);
}

/* ---- digests ---- */

static bool open_digests(struct desk *d)
{
	if (!d->digests) {
		uint64_t now_us = loop_now_us(d->loop);
		struct fault why = {0};

		if (d->digests_tried_us && now_us - d->digests_tried_us < DESK_TICK_US)
			return false;
		d->digests_tried_us = now_us;
		if (digest_open_read(role_data(d->role), &d->digests, &why) != OK)
			return false;
	}
	if (d->is_stepping && !d->digests_are_in_step) {
		digest_read_begin(d->digests);
		d->digests_are_in_step = true;
	}
	return true;
}

static void close_digests(struct desk *d)
{
	digest_close(d->digests);
	d->digests = NULL;
	d->digests_are_in_step = false;
}

/* The index lags: reads the message here. */
static enum rc make_digest(struct desk *d, struct digest_key key, struct fault *why)
{
	struct digest_maker *m;
	struct mail_body *b;
	enum rc rc = desk_body_open(d, key.number, key.form, &b, why);

	if (rc != OK)
		return rc;
	m = digest_maker_new(false);
	rc = m ? OK : LATER;
	for (uint64_t at = 0; rc == OK && at < desk_body_bytes(b);) {
		struct span piece;

		rc = desk_body_read(b, at, LEDGER_CHUNK_BYTES, &piece, why);
		if (rc != OK)
			break;
		digest_maker_feed(m, piece);
		at += piece.n;
	}
	desk_body_close(b);
	if (rc != OK) {
		digest_maker_free(m);
		return rc;
	}
	digest_maker_end(m);
	digest_maker_free(d->made);
	d->made = m;
	d->made_key = key;
	desk_count(METRIC_DIGESTS_MADE, 1);
	return OK;
}

static enum rc digest(void *arg, uint64_t number, enum mail_form form, struct mail_digest *out,
		      struct fault *why)
{
	struct desk *d = ((const struct desk_reader *)arg)->desk;
	struct digest_key key = {number, form};
	enum rc rc = open_digests(d) ? digest_get(d->digests, key, out, why) : LATER;

	if (rc == OK)
		return OK;
	if (rc == BROKEN)
		close_digests(d);
	if (!d->made || d->made_key.number != number || d->made_key.form != form) {
		rc = make_digest(d, key, why);
		if (rc != OK)
			return rc;
	}
	if (digest_maker_digest(d->made, out))
		return OK;
	fault_set(why, "no memory for the structure of a message");
	return LATER;
}

/* ---- bodies ---- */

static enum rc body_open(void *arg, uint64_t number, enum mail_form form, struct mail_body **out,
			 struct fault *why)
{
	return desk_body_open(((const struct desk_reader *)arg)->desk, number, form, out, why);
}

/* ---- search ---- */

enum { SEARCH_KEYS = 4000 }; /* of one question to the index */

struct search_key {
	struct digest_key key;
	uint32_t uid;
	bool is_hit, is_unknown;
};

struct search {
	struct search_key *keys;
	size_t n, cap;
	bool has_memory;
};

static bool gather_key(void *to, const struct mail_entry *e)
{
	struct search *s = to;

	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 256;
		struct search_key *grown = reallocarray(s->keys, cap, sizeof *grown);

		if (!grown) {
			s->has_memory = false;
			return false;
		}
		s->keys = grown;
		s->cap = cap;
	}
	s->keys[s->n++] = (struct search_key){.key = {e->number, e->form}, .uid = e->uid};
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct digest_key *x = &((const struct search_key *)a)->key,
				*y = &((const struct search_key *)b)->key;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->form > y->form) - (x->form < y->form);
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct search_key *)a)->uid, y = ((const struct search_key *)b)->uid;

	return (x > y) - (x < y);
}

static bool on_hit(void *arg, size_t i)
{
	struct search_key *keys = arg;

	keys[i].is_hit = true;
	return true;
}

static bool on_unknown_key(void *arg, size_t i)
{
	struct search_key *keys = arg;

	keys[i].is_unknown = true;
	return true;
}

static enum rc ask_index(struct desk *d, struct search *s, enum mail_text where, struct span text,
			 struct fault *why)
{
	struct digest_key *keys = reallocarray(NULL, SEARCH_KEYS, sizeof *keys);
	enum rc rc = keys ? OK : LATER;

	for (size_t at = 0; rc == OK && at < s->n; at += SEARCH_KEYS) {
		size_t n = s->n - at < SEARCH_KEYS ? s->n - at : SEARCH_KEYS;

		for (size_t i = 0; i < n; i++)
			keys[i] = s->keys[at + i].key;
		rc = digest_search(d->digests, where, text, keys, n, on_hit, on_unknown_key,
				   s->keys + at, why);
	}
	free(keys);
	if (rc == BROKEN)
		close_digests(d);
	return rc == OK ? OK : LATER;
}

static void tell_found(const struct search *s, bool (*on_uid)(void *to, uint32_t uid),
		       bool (*on_unknown)(void *to, struct mail_range uids), void *to)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct search_key *k = &s->keys[i];

		if (k->is_hit && !on_uid(to, k->uid))
			return;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct mail_range uids = {s->keys[i].uid, s->keys[i].uid};

		if (!s->keys[i].is_unknown)
			continue;
		while (i + 1 < s->n && s->keys[i + 1].is_unknown &&
		       s->keys[i + 1].uid == uids.last + 1)
			uids.last = s->keys[++i].uid;
		if (!on_unknown(to, uids))
			return;
	}
}

static enum rc search(void *arg, uint64_t box, enum mail_text where, struct span text,
		      bool (*on_uid)(void *to, uint32_t uid),
		      bool (*on_unknown)(void *to, struct mail_range uids), void *to,
		      struct fault *why)
{
	static const struct mail_range all = {1, UINT32_MAX};
	const struct desk_reader *r = arg;
	struct search s = {.has_memory = true};
	enum rc rc;

	if (!open_digests(r->desk))
		return LATER;
	rc = each_entry(arg, box, all, 0, gather_key, &s, why);
	if (rc == OK && !s.has_memory)
		rc = LATER;
	if (rc == OK && s.n) {
		qsort(s.keys, s.n, sizeof *s.keys, by_key);
		rc = ask_index(r->desk, &s, where, text, why);
		qsort(s.keys, s.n, sizeof *s.keys, by_uid);
	}
	if (rc == OK)
		tell_found(&s, on_uid, on_unknown, to);
	free(s.keys);
	return rc;
}

void desk_store(struct desk_reader *r, struct mail_store *out)
{
	static const struct mail_store_ops ops = {
		.each_box = each_box,
		.box_by_name = box_by_name,
		.box_by_id = box_by_id,
		.each_entry = each_entry,
		.each_gone = each_gone,
		.each_range = each_range,
		.digest = digest,
		.body_open = body_open,
		.body_bytes = desk_body_bytes,
		.body_read = desk_body_read,
		.body_close = desk_body_close,
		.search = search,
		.state = state,
		.each_place = each_place,
		.each_of_thread = each_of_thread,
		.changed_emails = changed_emails,
		.changed_boxes = changed_boxes,
		.changed_threads = changed_threads,
		.each_setting = each_setting,
		.each_submission = each_submission,
		.each_delivery = each_delivery,
	};

	*out = (struct mail_store){&ops, r};
}

/* ---- now and then ---- */

void desk_store_tick(struct desk *d)
{
	desk_bodies_drop(d);
	digest_maker_free(d->made);
	d->made = NULL;
	/* indexer makes a new one in its place when it was damaged: nobody says so */
	if (d->digests && loop_now_us(d->loop) - d->digests_tried_us > DESK_DIGESTS_US)
		close_digests(d);
	if (d->views && d->views_depth == 0 &&
	    (d->views_are_bad || !views_is_current(d->views, role_data(d->role))))
		close_views(d);
}

void desk_store_fini(struct desk *d)
{
	desk_store_tick(d);
	close_views(d);
	close_digests(d);
	ledger_reader_free(d->reader);
	d->reader = NULL;
}
