/* FETCH: the answers, an item at a time; then \Seen, as an act, of what was read. */
#include "imap/server_internal.h"

static void put_digest(struct imap_server *s, struct imap_fetch *f, const struct imap_item *item)
{
	struct mail_digest d;
	struct span text;
	enum rc rc = s->store.ops->digest(s->store.arg, f->e->number, f->e->form, &d, NULL);

	if (rc != OK) {
		f->has_damage = true;
		imap_put_span(s, SPAN_LIT("NIL"));
		return;
	}
	text = item->kind == IMAP_F_ENVELOPE ? d.envelope
	       : item->kind == IMAP_F_BODY   ? d.body
					     : d.bodystructure;
	imap_put_span(s, text.n ? text : SPAN_LIT("NIL"));
}

/* RFC 8474: the same bytes have the same id; each form of a message is other bytes. */
static void put_emailid(struct imap_server *s, const struct mail_entry *e)
{
	static const char marks[] = {
		[MAIL_AS_DELIVERED] = 'M', [MAIL_AS_SENT] = 'S', [MAIL_ENCLOSED] = 'E'};

	imap_put(s, "(%c%llu)", marks[e->form], (unsigned long long)e->number);
}

static void put_plain(struct imap_server *s, struct imap_fetch *f, const struct imap_item *item)
{
	const struct mail_entry *e = f->e;

	imap_put_span(s, item->label);
	imap_put_span(s, SPAN_LIT(" "));
	switch (item->kind) {
	case IMAP_F_FLAGS:
		imap_put_flags(&s->out, e->flags, e->keywords);
		break;
	case IMAP_F_INTERNALDATE:
		imap_put_date_time(&s->out, e->received_us);
		break;
	case IMAP_F_SIZE:
		imap_put_number(s, e->bytes);
		break;
	case IMAP_F_UID:
		imap_put_number(s, e->uid);
		break;
	case IMAP_F_MODSEQ:
		imap_put(s, "(%llu)", (unsigned long long)e->modseq);
		break;
	case IMAP_F_EMAILID:
		put_emailid(s, e);
		break;
	case IMAP_F_THREADID:
		if (e->thread)
			imap_put(s, "(T%llu)", (unsigned long long)e->thread);
		else
			imap_put_span(s, SPAN_LIT("NIL"));
		break;
	case IMAP_F_ENVELOPE:
	case IMAP_F_BODY:
	case IMAP_F_BODYSTRUCTURE:
		put_digest(s, f, item);
		break;
	case IMAP_F_SECTION:
	case IMAP_F_BINARY:
	case IMAP_F_BINARY_SIZE:
		break;
	}
}

static bool is_section(const struct imap_item *item)
{
	return item->kind == IMAP_F_SECTION || item->kind == IMAP_F_BINARY ||
	       item->kind == IMAP_F_BINARY_SIZE;
}

static void end_message(struct imap_server *s, struct imap_fetch *f)
{
	imap_put_span(s, SPAN_LIT(")\r\n"));
	f->has_damage = f->has_damage || f->bodies.is_damaged;
	f->has_unknown_cte = f->has_unknown_cte || f->bodies.is_unknown_cte;
	if (f->marks_seen && !(f->e->flags & MAIL_SEEN))
		imap_set_add(&f->seen, f->e->uid, f->e->uid);
	imap_bodies_close(&f->bodies);
	f->e = NULL;
}

/* The rest of the message at hand. */
static enum imap_run_step say_message(struct imap_server *s, struct imap_fetch *f)
{
	while (f->at < f->n) {
		const struct imap_item *item = &f->items[f->at];

		if (f->at && f->bodies.stage == IMAP_S_NEW)
			imap_put_span(s, SPAN_LIT(" "));
		if (is_section(item)) {
			enum imap_run_step step = imap_say_section(s, &f->bodies, f->e, item);

			if (step != IMAP_RUN_DONE)
				return step;
		} else {
			put_plain(s, f, item);
		}
		f->at++;
		if (f->bodies.cost >
		    IMAP_STEP_BYTES) { /* I7: the same header may be asked for many times */
			f->bodies.cost = 0;
			return IMAP_RUN_LATER;
		}
	}
	end_message(s, f);
	return IMAP_RUN_AGAIN;
}

/* \Seen was asked for, or nobody could be asked: reading is not refused for that. The news tell what became of it. */
static void finish(struct imap_work *w, const struct imap_fetch *f)
{
	if (f->has_unknown_cte)
		imap_finish(w, "NO [UNKNOWN-CTE] A part's encoding is not known");
	else if (f->has_damage)
		imap_finish(w, "NO [SERVERBUG] Something of it could not be read");
	else
		imap_finish(w, "OK FETCH completed");
}

static enum imap_run_step ask_seen(struct imap_server *s, struct imap_work *w)
{
	struct imap_fetch *f = w->data;
	struct mail_act *act = arena_alloc(&w->arena, sizeof *act);

	if (f->seen.n > MAIL_ACT_RANGES_LIMIT)
		f->seen.n = MAIL_ACT_RANGES_LIMIT; /* beyond it: read, but not marked */
	*act = (struct mail_act){.kind = MAIL_ACT_STORE,
				 .box = s->box->id,
				 .uids = f->seen.r,
				 .uids_n = f->seen.n,
				 .how = MAIL_HOW_ADD,
				 .flags = MAIL_SEEN,
				 .unchanged_since = UINT64_MAX};
	f->is_asking = true;
	imap_ask(s, w, act);
	return IMAP_RUN_WAIT;
}

static enum imap_run_step next_message(struct imap_server *s, struct imap_work *w)
{
	struct imap_fetch *f = w->data;
	uint32_t seq;
	enum rc rc = imap_batch_next(s, &f->batch, f->since, &f->e, &seq, NULL);

	if (rc == OK) {
		imap_put_span(s, SPAN_LIT("* "));
		imap_put_number(s, seq);
		imap_put_span(s, SPAN_LIT(" FETCH ("));
		f->at = 0;
		return IMAP_RUN_AGAIN;
	}
	f->e = NULL;
	if (rc != REFUSED) {
		imap_store_failed(w, rc);
		return IMAP_RUN_DONE;
	}
	if (f->seen.n)
		return ask_seen(s, w);
	finish(w, f);
	return IMAP_RUN_DONE;
}

enum imap_run_step imap_run_fetch(struct imap_server *s, struct imap_work *w)
{
	struct imap_fetch *f = w->data;

	if (f->is_asking) {
		finish(w, f);
		return IMAP_RUN_DONE;
	}
	while (!imap_is_full(s)) {
		enum imap_run_step step = f->e ? say_message(s, f) : next_message(s, w);

		if (step != IMAP_RUN_AGAIN || s->state == IMAP_ST_GONE)
			return step == IMAP_RUN_AGAIN ? IMAP_RUN_LATER : step;
	}
	return IMAP_RUN_AGAIN;
}
