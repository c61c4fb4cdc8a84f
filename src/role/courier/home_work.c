/*
 * One item after the other. Each step is one command and what its answer means; the table `steps` is the only dispatcher.
 *
 *   APPEND  SELECT_TARGET SEARCH (LOOK (COMPARE))* INTEND APPEND       found: ADD, REMOVE instead (W1)
 *           before that, where an earlier APPEND had another target: SELECT SEARCH (LOOK (COMPARE))*    found: MOVE too
 *   CHANGE  (SELECT SEARCH (LOOK (COMPARE))*)* ADD REMOVE MOVE
 *   FOLDER  CREATE SUBSCRIBE
 *
 * A mailbox that has to be there for it is made first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/conn.h"
#include "role/courier/home.h"

#define UNSENT_BYTES (512u << 10)

static const struct msg_home_item *item_of(const struct home *h)
{
	return &h->lease.items[h->item];
}

bool home_work_is_over(const struct home *h)
{
	return h->item >= h->lease.items_n || (h->is_ending && h->work.step == HOME_STEP_BEGIN);
}

void home_work_reset(struct home *h)
{
	home_bytes_close(h->work.bytes);
	h->work = (struct home_work){0};
}

static void finish(struct home *h, enum home_result result, uint32_t uid, const char *text)
{
	uint32_t uidvalidity = uid ? imap_client_selected(h->client)->uidvalidity : 0;

	home_record_result(h, result, uidvalidity, uid, text);
	home_work_reset(h);
	h->item++;
}

static void finish_appended(struct home *h, const struct imap_client_result *r)
{
	h->work.did |= HOME_DID_APPEND;
	home_record_result(h, HOME_DONE, r->uidvalidity, r->uid, "");
	home_work_reset(h);
	h->item++;
}

static uint32_t present_uid(const struct home *h)
{
	return h->work.uids[h->work.uid_at];
}

/* ---- where ---- */

/* The n-th mailbox to look through: where it should be, INBOX, where it is to go, then all others. False: no more. */
static bool place_to_search(struct home *h, size_t n, char out[HOME_PATH_BYTES])
{
	const struct msg_home_item *i = item_of(h);
	char from[HOME_PATH_BYTES];

	(void)home_folder_for(&h->folders, (enum mail_special)i->from_special, i->from_name, from);
	if (i->action == HOME_APPEND) {
		(void)snprintf(out, HOME_PATH_BYTES, "%s", from);
		return n == 0 && i->from_name.n && strcmp(from, h->work.target) != 0;
	}
	if (n < 3) {
		(void)snprintf(out, HOME_PATH_BYTES, "%s",
			       n == 0	? from
			       : n == 1 ? "INBOX"
					: h->work.target);
		return true;
	}
	if (n - 3 >= h->folders.n || n >= HOME_SEARCHED_LIMIT)
		return false;
	(void)snprintf(out, HOME_PATH_BYTES, "%s", h->folders.boxes[n - 3].name);
	return true;
}

static bool was_searched(struct home *h, size_t n, const char *name)
{
	char before[HOME_PATH_BYTES];

	for (size_t i = 0; i < n; i++) {
		if (place_to_search(h, i, before) && strcmp(before, name) == 0)
			return true;
	}
	return false;
}

static bool is_searchable(const struct home *h, const char *name)
{
	for (size_t i = 0; i < h->folders.n; i++) {
		if (strcmp(h->folders.boxes[i].name, name) == 0)
			return !(h->folders.boxes[i].flags &
				 (IMAP_CLIENT_BOX_NOSELECT | IMAP_CLIENT_BOX_ALL |
				  IMAP_CLIENT_BOX_FLAGGED));
	}
	return strcmp(name, "INBOX") == 0;
}

static void not_found(struct home *h)
{
	const struct msg_home_item *i = item_of(h);
	bool trashes = i->moves && i->to_special == MAIL_TRASH;

	h->work.target[0] = '\0';
	if (trashes && i->tries >= 2) {
		h->work.did |= HOME_WAS_GONE;
		finish(h, HOME_DONE, 0, "it is not there any more");
		return;
	}
	finish(h, HOME_LATER, 0, "the message is not in the mailbox on the primary");
}

/* ---- begin ---- */

/* True: a command was given. */
static bool begin(struct home *h)
{
	const struct msg_home_item *i = item_of(h);
	struct home_work *w = &h->work;
	bool needs_target = i->action != HOME_CHANGE || i->moves;

	if (needs_target)
		w->target_exists = home_folder_for(&h->folders, (enum mail_special)i->to_special,
						   i->to_name, w->target);
	if (i->action == HOME_FOLDER && w->target_exists) {
		w->did = HOME_WAS_THERE;
		finish(h, HOME_DONE, 0, "");
		return false;
	}
	if (needs_target && !w->target_exists) {
		w->step = HOME_STEP_CREATE;
		imap_client_create(h->client, span_str(w->target),
				   home_special_flag((enum mail_special)i->to_special));
		return true;
	}
	w->step = HOME_STEP_SELECT;
	return false;
}

static void on_created(struct home *h, const struct imap_client_result *r)
{
	const struct imap_client_box box = {
		.name = span_str(h->work.target),
		.delimiter = h->folders.delimiter,
		.flags = home_special_flag((enum mail_special)item_of(h)->to_special)};

	if (r->outcome != IMAP_CLIENT_DONE && r->code != IMAP_CODE_ALREADYEXISTS) {
		char text[400];

		(void)snprintf(text, sizeof text, "the mailbox cannot be made: %s", r->text);
		finish(h, HOME_LATER, 0, text);
		return;
	}
	home_folders_add(&h->folders, &box);
	h->work.was_created = true;
	h->work.step = HOME_STEP_SUBSCRIBE;
}

static void on_subscribed(struct home *h, const struct imap_client_result *r)
{
	(void)r; /* whatever it is: only for show */
	if (item_of(h)->action == HOME_FOLDER) {
		h->work.did = HOME_DID_FOLDER;
		finish(h, HOME_DONE, 0, "");
		return;
	}
	h->work.step = HOME_STEP_SELECT;
}

/* ---- looking ---- */

static bool select_it(struct home *h, const char *name)
{
	if (strcmp(h->selected, name) == 0) {
		h->work.step = HOME_STEP_SEARCH;
		return false;
	}
	(void)snprintf(h->selected, sizeof h->selected, "%s", name);
	imap_client_select(h->client, span_str(name));
	return true;
}

static bool select_target(struct home *h)
{
	return select_it(h, h->work.target);
}

static bool select_next(struct home *h)
{
	char name[HOME_PATH_BYTES];

	while (place_to_search(h, h->work.searched, name)) {
		if (name[0] && is_searchable(h, name) && !was_searched(h, h->work.searched, name))
			return select_it(h, name);
		h->work.searched++;
	}
	if (item_of(h)->action == HOME_APPEND)
		h->work.step = HOME_STEP_SELECT_TARGET;
	else
		not_found(h);
	return false;
}

static void on_selected(struct home *h, const struct imap_client_result *r)
{
	if (r->outcome == IMAP_CLIENT_DONE) {
		h->work.step = HOME_STEP_SEARCH;
		return;
	}
	h->selected[0] = '\0';
	if (h->work.step == HOME_STEP_SELECT)
		h->work.searched++;
	else
		finish(h, HOME_LATER, 0, r->text);
}

static bool search(struct home *h)
{
	const struct msg_home_item *i = item_of(h);
	struct span field, text;

	h->work.uids_n = h->work.uid_at = 0;
	if (home_search_key(i, &field, &text)) {
		imap_client_search_header(h->client, field, text);
		return true;
	}
	if (i->action == HOME_APPEND && !i->was_intended)
		h->work.step = HOME_STEP_INTEND;
	else
		finish(h, HOME_DECIDE, 0,
		       "nothing in the message tells it from others: it cannot be looked for");
	return false;
}

/* This mailbox does not have it. */
static void look_on(struct home *h)
{
	if (item_of(h)->action == HOME_APPEND && strcmp(h->selected, h->work.target) == 0) {
		h->work.step = HOME_STEP_INTEND;
		return;
	}
	h->work.searched++;
	h->work.step = HOME_STEP_SELECT;
}

static void on_searched(struct home *h, const struct imap_client_result *r)
{
	if (r->outcome != IMAP_CLIENT_DONE)
		finish(h, HOME_LATER, 0, r->text);
	else if (h->work.uids_n)
		h->work.step = HOME_STEP_LOOK;
	else
		look_on(h);
}

static bool look(struct home *h)
{
	buf_clear(&h->header);
	h->seen = (struct imap_client_message){0};
	imap_client_fetch(h->client, present_uid(h), 0, SPAN_LIT("Message-ID Date Received"));
	return true;
}

static void next_candidate(struct home *h)
{
	home_bytes_close(h->work.bytes);
	h->work.bytes = NULL;
	if (++h->work.uid_at < h->work.uids_n)
		h->work.step = HOME_STEP_LOOK;
	else
		look_on(h);
}

static void on_looked(struct home *h, const struct imap_client_result *r)
{
	enum home_match match = HOME_MATCH_NO;

	if (r->outcome != IMAP_CLIENT_DONE) {
		finish(h, HOME_LATER, 0, r->text);
		return;
	}
	if (h->seen.uid == present_uid(h))
		match = home_match(item_of(h), buf_span(&h->header), h->seen.size_bytes);
	h->work.match = match;
	if (match == HOME_MATCH_NO)
		next_candidate(h);
	else
		h->work.step = match == HOME_MATCH_YES ? HOME_STEP_ADD : HOME_STEP_COMPARE;
}

/* ---- bytes ---- */

static bool open_bytes(struct home *h)
{
	struct fault why = {0};

	home_bytes_close(h->work.bytes);
	h->work.bytes = NULL;
	h->work.piece = SPAN_NONE;
	if (home_bytes_open(h->c->reader, item_of(h), &h->work.bytes, &why) == OK)
		return true;
	finish(h, HOME_DECIDE, 0, why.text);
	return false;
}

static bool compare(struct home *h)
{
	if (!open_bytes(h))
		return false;
	h->work.compare_skip = h->seen.size_bytes - item_of(h)->bytes;
	h->work.differs = false;
	imap_client_fetch_body(h->client, present_uid(h));
	return true;
}

void home_work_body(struct home *h, struct span piece)
{
	struct home_work *w = &h->work;
	struct fault why = {0};

	if (w->compare_skip >= piece.n) {
		w->compare_skip -= piece.n;
		return;
	}
	piece = span_from(piece, (size_t)w->compare_skip);
	w->compare_skip = 0;
	while (piece.n && !w->differs && w->bytes) {
		size_t n;

		if (!w->piece.n && home_bytes_next(w->bytes, &w->piece, &why) != OK) {
			w->differs = true;
			return;
		}
		n = piece.n < w->piece.n ? piece.n : w->piece.n;
		w->differs = memcmp(piece.p, w->piece.p, n) != 0;
		piece = span_from(piece, n);
		w->piece = span_from(w->piece, n);
	}
}

static void on_compared(struct home *h, const struct imap_client_result *r)
{
	struct home_work *w = &h->work;
	struct fault why = {0};
	bool is_same = r->outcome == IMAP_CLIENT_DONE && !w->differs && !w->compare_skip &&
		       !w->piece.n && home_bytes_next(w->bytes, &w->piece, &why) == MORE;

	home_bytes_close(w->bytes);
	w->bytes = NULL;
	w->piece = SPAN_NONE;
	if (is_same)
		w->step = HOME_STEP_ADD;
	else
		next_candidate(h);
}

/* ---- APPEND ---- */

static bool intend(struct home *h)
{
	switch (h->work.intend) {
	case INTEND_NO:
		home_record_intent(h);
		return false;
	case INTEND_PENDING:
		return false;
	case INTEND_FAILED:
		finish(h, HOME_LATER, 0, "the disk did not take the record of it");
		return false;
	case INTEND_OK:
		h->work.step = HOME_STEP_APPEND;
		return false;
	}
	return false;
}

static bool append(struct home *h)
{
	const struct msg_home_item *i = item_of(h);
	const struct imap_client_selected *box = imap_client_selected(h->client);
	const struct imap_client_append a = {.mailbox = span_str(h->work.target),
					     .flags = i->add,
					     .keywords = box->keywords_allowed ? i->add_words
									       : SPAN_NONE,
					     .has_date = true,
					     .date_s = (int64_t)(i->received_us / 1000000),
					     .size_bytes = i->bytes};

	if (!open_bytes(h))
		return false;
	imap_client_append(h->client, &a);
	return true;
}

bool home_work_piece(struct home *h)
{
	struct fault why = {0};

	while (imap_client_want(h->client) == IMAP_CLIENT_WANT_PIECE) {
		struct span piece;

		if (conn_unsent(h->conn) >= UNSENT_BYTES)
			return false;
		if (home_bytes_next(h->work.bytes, &piece, &why) != OK) {
			/* Half a literal is out: only the end of the connection keeps it from being taken. */
			home_end(h, 2,
				 why.text[0] ? why.text
					     : "the stored message is shorter than it should be");
			return false;
		}
		imap_client_append_piece(h->client, piece);
	}
	return true;
}

static void on_appended(struct home *h, const struct imap_client_result *r)
{
	h->selected[0] = '\0'; /* what was found there is old now */
	if (r->outcome == IMAP_CLIENT_DONE)
		finish_appended(h, r);
	else if (r->code == IMAP_CODE_TOOBIG)
		finish(h, HOME_DECIDE, 0, r->text);
	else
		finish(h, HOME_LATER, 0, r->text);
}

/* ---- CHANGE, and what an APPEND found ---- */

static void after_marks(struct home *h)
{
	const struct msg_home_item *i = item_of(h);

	if (i->action == HOME_APPEND && strcmp(h->selected, h->work.target) == 0) {
		h->work.did = HOME_WAS_THERE;
		finish(h, HOME_DONE, present_uid(h), "it was there already");
	} else if (i->action == HOME_APPEND) {
		h->work.step = HOME_STEP_MOVE;
	} else if (i->moves && strcmp(h->selected, h->work.target) != 0) {
		h->work.step = HOME_STEP_MOVE;
	} else {
		if (i->moves)
			h->work.did |= HOME_WAS_THERE;
		finish(h, HOME_DONE, present_uid(h), "");
	}
}

static bool store(struct home *h, enum imap_client_how how, uint32_t flags, struct span words)
{
	const struct imap_client_selected *box = imap_client_selected(h->client);

	if (box->is_read_only) {
		finish(h, HOME_DECIDE, 0, "the mailbox on the primary is read-only");
		return false;
	}
	flags &= box->flags_allowed;
	if (!box->keywords_allowed)
		words = SPAN_NONE;
	if (!flags && !words.n) {
		if (how == IMAP_CLIENT_ADD)
			h->work.step = HOME_STEP_REMOVE;
		else
			after_marks(h);
		return false;
	}
	imap_client_store(h->client, present_uid(h), how, flags, words, 0);
	return true;
}

static bool store_added(struct home *h)
{
	return store(h, IMAP_CLIENT_ADD, item_of(h)->add, item_of(h)->add_words);
}

static bool store_removed(struct home *h)
{
	return store(h, IMAP_CLIENT_REMOVE, item_of(h)->remove, item_of(h)->remove_words);
}

static void on_stored(struct home *h, const struct imap_client_result *r)
{
	if (r->outcome != IMAP_CLIENT_DONE) {
		finish(h, HOME_LATER, 0, r->text);
		return;
	}
	h->work.did |= HOME_DID_MARK;
	if (h->work.step == HOME_STEP_ADD)
		h->work.step = HOME_STEP_REMOVE;
	else
		after_marks(h);
}

static bool move(struct home *h)
{
	imap_client_move(h->client, present_uid(h), span_str(h->work.target));
	return true;
}

static void on_moved(struct home *h, const struct imap_client_result *r)
{
	const struct imap_client_result where = *r;

	if (r->outcome != IMAP_CLIENT_DONE) {
		finish(h, HOME_LATER, 0, r->text);
		return;
	}
	h->work.did |= item_of(h)->to_special == MAIL_TRASH ? HOME_DID_TRASH : HOME_DID_MOVE;
	home_record_result(h, HOME_DONE, where.uidvalidity, where.uid, "");
	home_work_reset(h);
	h->item++;
}

static bool create_again(struct home *h)
{
	must(h->work.was_created);
	imap_client_subscribe(h->client, span_str(h->work.target));
	return true;
}

/* ---- all ---- */

static const struct {
	bool (*give)(struct home *h); /* true: a command was given */
	void (*on_result)(struct home *h, const struct imap_client_result *r);
} steps[] = {
	[HOME_STEP_BEGIN] = {begin, NULL},
	[HOME_STEP_SELECT_TARGET] = {select_target, on_selected},
	[HOME_STEP_CREATE] = {NULL, on_created},
	[HOME_STEP_SUBSCRIBE] = {create_again, on_subscribed},
	[HOME_STEP_SELECT] = {select_next, on_selected},
	[HOME_STEP_SEARCH] = {search, on_searched},
	[HOME_STEP_LOOK] = {look, on_looked},
	[HOME_STEP_COMPARE] = {compare, on_compared},
	[HOME_STEP_INTEND] = {intend, NULL},
	[HOME_STEP_APPEND] = {append, on_appended},
	[HOME_STEP_ADD] = {store_added, on_stored},
	[HOME_STEP_REMOVE] = {store_removed, on_stored},
	[HOME_STEP_MOVE] = {move, on_moved},
};

bool home_work_command(struct home *h)
{
	while (!home_work_is_over(h)) {
		if (steps[h->work.step].give(h))
			return true;
		if (h->is_over ||
		    (h->work.step == HOME_STEP_INTEND && h->work.intend == INTEND_PENDING))
			return false;
	}
	return false;
}

void home_work_result(struct home *h, const struct imap_client_result *r)
{
	must(steps[h->work.step].on_result);
	steps[h->work.step].on_result(h, r);
}

void home_work_lost(struct home *h)
{
	if (h->item >= h->lease.items_n || h->work.step == HOME_STEP_BEGIN ||
	    h->work.step == HOME_STEP_SELECT_TARGET)
		return;
	home_record_result(h, h->work.step == HOME_STEP_APPEND ? HOME_UNSURE : HOME_LATER, 0, 0,
			   "the connection to the primary ended");
	home_work_reset(h);
	h->item = h->lease.items_n;
}
