/* STORE COPY MOVE EXPUNGE, each one act or, of very many ranges, several one after the other. */
#include "imap/server_internal.h"

struct change {
	struct imap_set uids;
	size_t asked_n; /* ranges of uids that acts were made of */
	struct mail_act act;
	bool is_silent, tells_modseq;
	/* gathered from the verdicts */
	struct imap_set modified;
	struct mail_range *from, *to;
	size_t from_n, to_n;
	uint32_t uidvalidity;
	uint64_t modseq;
	/* STORE's responses */
	struct imap_batch batch;
	bool has_batch;
};

static void release_change(struct imap_work *w)
{
	struct change *ch = w->data;

	imap_set_clear(&ch->uids);
	imap_set_clear(&ch->modified);
	imap_batch_end(&ch->batch);
}

static struct change *new_change(struct imap_server *s, struct imap_work *w,
				 enum mail_act_kind kind)
{
	struct change *ch = arena_alloc(&w->arena, sizeof *ch);

	ch->act = (struct mail_act){.kind = kind, .box = s->box->id, .unchanged_since = UINT64_MAX};
	w->data = ch;
	w->release = release_change;
	return ch;
}

static void ask_next(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;
	size_t n = ch->uids.n - ch->asked_n;

	if (n > MAIL_ACT_RANGES_LIMIT)
		n = MAIL_ACT_RANGES_LIMIT;
	ch->act.uids = ch->uids.r + ch->asked_n;
	ch->act.uids_n = n;
	ch->asked_n += n;
	imap_ask(s, w, &ch->act);
}

static void join(struct arena *a, struct mail_range **list, size_t *n,
		 const struct mail_range *more, size_t more_n)
{
	struct mail_range *whole = arena_array(a, *n + more_n + 1, sizeof *whole);

	if (*n)
		memcpy(whole, *list, *n * sizeof *whole);
	if (more_n)
		memcpy(whole + *n, more, more_n * sizeof *whole);
	*list = whole;
	*n += more_n;
}

/* True: the last verdict is in, and all went well. False: IMAP_RUN_WAIT or DONE, as the work says. */
static bool gather(struct imap_server *s, struct imap_work *w, bool tries_create)
{
	struct change *ch = w->data;
	const struct mail_verdict *v = &w->verdict;

	if (imap_refused(w, tries_create))
		return false;
	for (size_t i = 0; i < v->modified_n; i++)
		imap_set_add(&ch->modified, v->modified[i].first, v->modified[i].last);
	join(&w->arena, &ch->from, &ch->from_n, v->from, v->from_n);
	join(&w->arena, &ch->to, &ch->to_n, v->to, v->to_n);
	ch->uidvalidity = v->uidvalidity;
	ch->modseq = v->modseq > ch->modseq ? v->modseq : ch->modseq;
	if (ch->asked_n == ch->uids.n)
		return true;
	ask_next(s, w);
	return false;
}

static enum imap_run_step waits_or_done(const struct imap_work *w)
{
	return w->is_finished ? IMAP_RUN_DONE : IMAP_RUN_WAIT;
}

/* ---- STORE ---- */

static void finish_store(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;
	struct imap_set named = {0};
	struct buf text = {0};

	for (size_t i = 0; i < ch->modified.n; i++) {
		for (uint32_t uid = ch->modified.r[i].first;; uid++) {
			uint32_t seq = imap_map_seq(&s->box->map, uid);

			if (seq)
				imap_set_add(&named, w->by_uid ? uid : seq, w->by_uid ? uid : seq);
			if (uid == ch->modified.r[i].last)
				break;
		}
	}
	if (named.n) { /* RFC 7162 s3.1.3 */
		imap_set_print(&text, named.r, named.n);
		(void)buf_append(&w->done, SPAN_LIT("OK [MODIFIED "));
		(void)buf_append(&w->done, buf_span(&text));
		imap_finish(w, "] Some were changed by others");
	} else {
		imap_finish(w, "OK STORE completed");
	}
	imap_set_clear(&named);
	buf_fini(&text);
}

/* What the messages have now; of a silent one only modseqs, and only for who follows them (RFC 7162 s3.1.3). */
static void put_stored(struct imap_server *s, const struct change *ch, uint32_t seq,
		       const struct mail_entry *e)
{
	if (!ch->is_silent)
		imap_put_news(s, seq, e);
	else if (s->has_condstore)
		imap_put(s, "* %u FETCH (UID %u MODSEQ (%llu))\r\n", seq, e->uid,
			 (unsigned long long)e->modseq);
}

static enum imap_run_step run_stored(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;
	const struct mail_entry *e;
	uint32_t seq;

	while (!imap_is_full(s)) {
		if (imap_batch_next(s, &ch->batch, 0, &e, &seq, NULL) != OK) {
			finish_store(s, w);
			return IMAP_RUN_DONE;
		}
		put_stored(s, ch, seq, e);
	}
	return IMAP_RUN_AGAIN;
}

static enum imap_run_step run_store(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;

	if (!gather(s, w, false))
		return waits_or_done(w);
	if (ch->is_silent && !s->has_condstore) {
		finish_store(s, w);
		return IMAP_RUN_DONE;
	}
	imap_batch_begin(&ch->batch, &ch->uids);
	w->run = run_stored;
	return IMAP_RUN_AGAIN;
}

/* [" (UNCHANGEDSINCE n)"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags */
static bool get_store(struct imap_server *s, struct imap_work *w, struct span *c)
{
	struct change *ch = w->data;

	if (imap_get(c, " (UNCHANGEDSINCE ")) {
		if (!imap_get_number(c, INT64_MAX, &ch->act.unchanged_since) || !imap_get(c, ")"))
			return false;
		s->has_condstore = true;
	}
	if (!imap_get_space(c))
		return false;
	ch->act.how = imap_get(c, "+")	 ? MAIL_HOW_ADD
		      : imap_get(c, "-") ? MAIL_HOW_REMOVE
					 : MAIL_HOW_SET;
	if (!imap_get(c, "FLAGS"))
		return false;
	ch->is_silent = imap_get(c, ".SILENT");
	return imap_get_space(c) &&
	       imap_get_flags(&w->arena, c, false, &ch->act.flags, &ch->act.keywords) &&
	       imap_get_end(c);
}

static bool may_change(struct imap_server *s, struct imap_work *w)
{
	if (!s->box->is_readonly)
		return true;
	imap_finish(w, "NO [READ-ONLY] The mailbox was opened for reading only");
	return false;
}

void imap_on_store(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = new_change(s, w, MAIL_ACT_STORE);
	struct span c = w->args;

	if (!imap_want_set(s, w, &c, &ch->uids))
		return;
	if (!get_store(s, w, &c)) {
		imap_bad(s, w, "STORE wants flags");
	} else if (may_change(s, w)) {
		if (ch->uids.n == 0) {
			imap_finish(w, "OK STORE completed");
			return;
		}
		w->run = run_store;
		w->tells_change = true;
		ask_next(s, w);
	}
}

/* ---- COPY and MOVE ---- */

static void put_copyuid(const struct change *ch, struct buf *out)
{
	(void)buf_printf(out, "[COPYUID %u ", ch->uidvalidity);
	imap_set_print(out, ch->from, ch->from_n);
	(void)buf_append_byte(out, ' ');
	imap_set_print(out, ch->to, ch->to_n);
	(void)buf_append(out, SPAN_LIT("] "));
}

static enum imap_run_step run_copy(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;

	if (!gather(s, w, true))
		return waits_or_done(w);
	(void)buf_append(&w->done, SPAN_LIT("OK "));
	if (ch->from_n)
		put_copyuid(ch, &w->done);
	imap_finish(w, "COPY completed");
	return IMAP_RUN_DONE;
}

/* COPYUID comes before the EXPUNGEs (RFC 6851 s4.3), which are the mailbox's news. */
static enum imap_run_step run_move(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;
	struct buf code = {0};

	if (!gather(s, w, true))
		return waits_or_done(w);
	if (ch->from_n) {
		put_copyuid(ch, &code);
		imap_put(s, "* OK ");
		imap_put_span(s, buf_span(&code));
		imap_put(s, "Moved\r\n");
		buf_fini(&code);
	}
	if (s->has_qresync && ch->modseq)
		imap_finish(w, "OK [HIGHESTMODSEQ %llu] MOVE completed",
			    (unsigned long long)ch->modseq);
	else
		imap_finish(w, "OK MOVE completed");
	return IMAP_RUN_DONE;
}

static void start_transfer(struct imap_server *s, struct imap_work *w, enum mail_act_kind kind)
{
	struct change *ch = new_change(s, w, kind);
	struct span c = w->args, name;
	struct mail_box to;
	enum rc rc;

	if (!imap_want_set(s, w, &c, &ch->uids))
		return;
	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &name) ||
	    !imap_get_end(&c)) {
		imap_bad(s, w, "A mailbox was expected");
		return;
	}
	if (kind == MAIL_ACT_MOVE && !may_change(s, w))
		return;
	rc = s->store.ops->box_by_name(s->store.arg, name, &to, NULL);
	if (rc == REFUSED || (rc == OK && !to.exists)) {
		imap_finish(w, "NO [TRYCREATE] There is no such mailbox");
	} else if (rc != OK) {
		imap_store_failed(w, rc);
	} else if (ch->uids.n == 0) {
		imap_finish(w, "OK %s completed", w->verb->name);
	} else {
		ch->act.to = to.id;
		w->run = kind == MAIL_ACT_COPY ? run_copy : run_move;
		ask_next(s, w);
	}
}

void imap_on_copy(struct imap_server *s, struct imap_work *w)
{
	start_transfer(s, w, MAIL_ACT_COPY);
}

void imap_on_move(struct imap_server *s, struct imap_work *w)
{
	start_transfer(s, w, MAIL_ACT_MOVE);
}

/* ---- EXPUNGE ---- */

static enum imap_run_step run_expunge(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = w->data;

	if (!gather(s, w, false))
		return waits_or_done(w);
	if (s->has_qresync && ch->modseq)
		imap_finish(w, "OK [HIGHESTMODSEQ %llu] EXPUNGE completed",
			    (unsigned long long)ch->modseq);
	else
		imap_finish(w, "OK EXPUNGE completed");
	return IMAP_RUN_DONE;
}

void imap_on_expunge(struct imap_server *s, struct imap_work *w)
{
	struct change *ch = new_change(s, w, MAIL_ACT_EXPUNGE);
	struct span c = w->args;
	uint32_t last = imap_map_last(&s->box->map);

	if (w->by_uid && !imap_want_set(s, w, &c, &ch->uids))
		return;
	if (!imap_get_end(&c)) {
		imap_bad(s, w, "Nothing may follow");
		return;
	}
	if (!may_change(s, w))
		return;
	if (!w->by_uid && last)
		imap_set_add(&ch->uids, 1, last);
	if (ch->uids.n == 0) {
		imap_finish(w, "OK EXPUNGE completed");
		return;
	}
	w->run = run_expunge;
	ask_next(s, w);
}
