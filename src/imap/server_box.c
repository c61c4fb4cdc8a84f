/* SELECT EXAMINE CLOSE UNSELECT, with what a client of QRESYNC missed (RFC 7162 s3.2.5). */
#include "imap/server_internal.h"

#include "base/must.h"

/* ---- parameters ---- */

struct select {
	struct span name;
	bool is_readonly, is_qresync, is_condstore;
	uint64_t uidvalidity, modseq;
	struct imap_set known;
	bool has_known;
	struct imap_set all;
	struct imap_batch batch;
	bool has_batch;
};

static void release_select(struct imap_work *w)
{
	struct select *sel = w->data;

	imap_set_clear(&sel->known);
	imap_set_clear(&sel->all);
	imap_batch_end(&sel->batch);
}

/* "(" validity SP modseq [SP uids] [SP "(" seqs SP uids ")"] ")" */
static bool get_qresync(struct span *c, struct select *sel)
{
	struct imap_set ignored = {0};
	bool is_good = true;

	if (!imap_get(c, " (") || !imap_get_number(c, UINT32_MAX, &sel->uidvalidity) ||
	    !imap_get_space(c) || !imap_get_number(c, INT64_MAX, &sel->modseq))
		return false;
	sel->is_qresync = true;
	if (imap_get(c, ")"))
		return true;
	if (!imap_get_space(c))
		return false;
	if (c->n && c->p[0] != '(') {
		if (!imap_get_plain_set(c, &sel->known))
			return false;
		sel->has_known = true;
		if (imap_get(c, ")"))
			return true;
		if (!imap_get_space(c))
			return false;
	}
	/* Which sequence number the client thinks has which UID: an optimisation we do without (s3.2.5.2). */
	is_good = imap_get(c, "(") && imap_get_plain_set(c, &ignored);
	imap_set_clear(&ignored);
	is_good = is_good && imap_get_space(c) && imap_get_plain_set(c, &ignored);
	imap_set_clear(&ignored);
	return is_good && imap_get(c, "))");
}

static bool get_params(struct span *c, struct select *sel)
{
	if (imap_get_end(c))
		return true;
	if (!imap_get(c, " ("))
		return false;
	do {
		if (imap_get(c, "CONDSTORE"))
			sel->is_condstore = true;
		else if (!imap_get(c, "QRESYNC") || !get_qresync(c, sel))
			return false;
	} while (imap_get_space(c));
	return imap_get(c, ")") && imap_get_end(c);
}

/* ---- what is said of a mailbox ---- */

static void tell_box(struct imap_server *s, const struct mail_box *b, bool is_readonly)
{
	static const char flags[] = "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded "
				    "$MDNSent $Junk $NotJunk $Phishing";

	imap_put(s, "* FLAGS (%s)\r\n", flags);
	imap_put(s, "* OK [PERMANENTFLAGS (%s%s)] Flags that stay\r\n", is_readonly ? "" : flags,
		 is_readonly ? "" : " \\*");
	imap_put(s, "* %u EXISTS\r\n", s->box->map.total);
	if (!s->is_rev2)
		imap_put(s, "* 0 RECENT\r\n");
	imap_put(s, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", b->uidvalidity);
	imap_put(s, "* OK [UIDNEXT %u] The next UID\r\n", b->uidnext);
	imap_put(s, "* OK [HIGHESTMODSEQ %llu] Changes up to here\r\n",
		 (unsigned long long)b->highest_modseq);
	imap_put(s, "* OK [MAILBOXID (F%llu)] Its id\r\n", (unsigned long long)b->id);
	if (s->is_rev2) {
		imap_put(s, "* LIST () \"/\" ");
		imap_put_mailbox(s, b->name);
		imap_put(s, "\r\n");
	}
}

struct gone {
	const struct imap_set *known; /* NULL: any */
	struct imap_set set;
};

static bool on_gone(void *to, struct mail_range uids)
{
	struct gone *g = to;
	const struct imap_set *known = g->known;

	if (!known) {
		imap_set_add(&g->set, uids.first, uids.last);
		return true;
	}
	for (size_t i = imap_set_find(known, uids.first);
	     i < known->n && known->r[i].first <= uids.last; i++)
		imap_set_add(&g->set,
			     known->r[i].first > uids.first ? known->r[i].first : uids.first,
			     known->r[i].last < uids.last ? known->r[i].last : uids.last);
	return true;
}

enum rc imap_put_earlier(struct imap_server *s, uint64_t since, const struct imap_set *known)
{
	struct gone g = {.known = known};
	enum rc rc = s->store.ops->each_gone(s->store.arg, s->box->id, since, on_gone, &g, NULL);

	if (rc == OK && g.set.n) {
		imap_put(s, "* VANISHED (EARLIER) ");
		imap_set_print(&s->out, g.set.r, g.set.n);
		imap_put(s, "\r\n");
	}
	imap_set_clear(&g.set);
	return rc;
}

static void finish_select(struct imap_work *w, const struct select *sel)
{
	imap_finish(w, "OK [%s] %s completed", sel->is_readonly ? "READ-ONLY" : "READ-WRITE",
		    w->verb->name);
}

/* Flags that changed while the client was away. */
static enum imap_run_step run_resync(struct imap_server *s, struct imap_work *w)
{
	struct select *sel = w->data;
	const struct mail_entry *e;
	uint32_t seq;

	while (!imap_is_full(s)) {
		enum rc rc = imap_batch_next(s, &sel->batch, sel->modseq, &e, &seq, NULL);

		if (rc == REFUSED) {
			finish_select(w, sel);
			return IMAP_RUN_DONE;
		}
		if (rc != OK) {
			imap_box_forget(s);
			imap_store_failed(w, rc);
			return IMAP_RUN_DONE;
		}
		imap_put_news(s, seq, e);
	}
	return IMAP_RUN_AGAIN;
}

static enum rc open_box(struct imap_server *s, struct select *sel, struct mail_box *out)
{
	enum rc rc = s->store.ops->box_by_name(s->store.arg, sel->name, out, NULL);

	if (rc == OK && !out->exists)
		rc = REFUSED;
	if (rc != OK)
		return rc;
	s->box = must_alloc(sizeof *s->box);
	s->box->id = out->id;
	s->box->is_readonly = sel->is_readonly;
	s->box->seen_modseq = out->highest_modseq;
	imap_move(s, IMAP_ST_SELECTED);
	return OK;
}

static void resync(struct imap_server *s, struct imap_work *w, struct select *sel)
{
	uint32_t last = imap_map_last(&s->box->map);
	enum rc rc = imap_put_earlier(s, sel->modseq, sel->has_known ? &sel->known : NULL);

	if (rc != OK) {
		imap_box_forget(s);
		imap_store_failed(w, rc);
		return;
	}
	for (size_t i = 0; sel->has_known && i < sel->known.n; i++)
		imap_set_add(&sel->all, sel->known.r[i].first, sel->known.r[i].last);
	if (!sel->has_known && last)
		imap_set_add(&sel->all, 1, last);
	imap_batch_begin(&sel->batch, &sel->all);
	w->run = run_resync;
}

static void open_select(struct imap_server *s, struct imap_work *w, struct select *sel)
{
	struct mail_box b;
	bool was_selected = s->box != NULL;
	enum rc rc;

	imap_box_forget(s);
	if (was_selected && (s->is_rev2 || s->has_qresync))
		imap_put(s, "* OK [CLOSED] The mailbox before is closed\r\n");
	if (sel->is_qresync || sel->is_condstore)
		s->has_condstore = true;
	rc = open_box(s, sel, &b);
	if (rc == OK) {
		/* what is said of it, before the spans die */
		struct buf name = {0};

		(void)buf_append(&name, b.name);
		b.name = buf_span(&name);
		rc = imap_map_load(s, b.id, &s->box->map, NULL);
		if (rc == OK)
			tell_box(s, &b, sel->is_readonly);
		else
			imap_box_forget(s);
		buf_fini(&name);
	}
	if (rc != OK)
		imap_store_failed(w, rc);
	else if (sel->is_qresync && sel->uidvalidity == b.uidvalidity &&
		 sel->modseq < b.highest_modseq)
		resync(s, w, sel);
	else
		finish_select(w, sel);
}

static void select_box(struct imap_server *s, struct imap_work *w, bool is_readonly)
{
	struct select *sel = arena_alloc(&w->arena, sizeof *sel);
	struct span c = w->args;

	w->data = sel;
	w->release = release_select;
	sel->is_readonly = is_readonly;
	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &sel->name) ||
	    !get_params(&c, sel))
		imap_bad(s, w, "A mailbox and its parameters were expected");
	else if (sel->is_qresync && !s->has_qresync)
		imap_bad(s, w, "Enable QRESYNC first");
	else
		open_select(s, w, sel);
}

void imap_on_select(struct imap_server *s, struct imap_work *w)
{
	select_box(s, w, false);
}

void imap_on_examine(struct imap_server *s, struct imap_work *w)
{
	select_box(s, w, true);
}

/* ---- leaving ---- */

void imap_on_unselect(struct imap_server *s, struct imap_work *w)
{
	if (!imap_get_end(&w->args)) {
		imap_bad(s, w, "Nothing may follow");
		return;
	}
	imap_box_forget(s);
	imap_finish(w, "OK UNSELECT completed");
}

static enum imap_run_step run_close(struct imap_server *s, struct imap_work *w)
{
	imap_box_forget(s);
	imap_finish(w, "OK CLOSE completed");
	return IMAP_RUN_DONE;
}

/* Removes what is marked \Deleted, silently, if there is any. */
void imap_on_close(struct imap_server *s, struct imap_work *w)
{
	struct mail_box b;
	struct mail_act *act;
	struct mail_range *all;
	uint32_t last = imap_map_last(&s->box->map);

	if (!imap_get_end(&w->args)) {
		imap_bad(s, w, "Nothing may follow");
		return;
	}
	w->run = run_close;
	if (s->box->is_readonly || last == 0 ||
	    s->store.ops->box_by_id(s->store.arg, s->box->id, &b, NULL) != OK || b.deleted == 0)
		return;
	act = arena_alloc(&w->arena, sizeof *act);
	all = arena_alloc(&w->arena, sizeof *all);
	*all = (struct mail_range){1, last};
	*act = (struct mail_act){
		.kind = MAIL_ACT_EXPUNGE, .box = s->box->id, .uids = all, .uids_n = 1};
	imap_ask(s, w, act);
}
