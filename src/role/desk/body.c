/*
 * An open message: a form of it (views/mailbox.h) as a row of stretches, each from the trace or from the stored body, read at
 * any place. Every piece of the stored body is checked against its digest before a byte of it is shown (ledger.h). The last
 * few stay open for a moment, because clients ask for one part after the other.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/internal.h"

struct stretch {
	bool is_trace;
	uint64_t at;   /* in the message as it is shown */
	uint64_t from; /* in the trace or body */
	uint64_t bytes;
};

struct mail_body {
	struct list link; /* desk.bodies while nobody has it */
	struct desk *desk;
	struct digest_key key;
	uint64_t bytes;
	struct stretch *stretches;
	size_t stretches_n;
	struct buf trace;
	struct ledger_body *ledger;
	struct span piece; /* of the ledger's; from piece_at in the stored body */
	uint64_t piece_at;
};

static void add_stretch(struct mail_body *b, bool is_trace, uint64_t from, uint64_t bytes)
{
	if (bytes == 0)
		return;
	b->stretches[b->stretches_n++] = (struct stretch){is_trace, b->bytes, from, bytes};
	b->bytes += bytes;
}

/* False: what the views say of it does not fit its body. */
static bool lay_out(struct mail_body *b, const struct views_mail *m, enum mail_form form)
{
	uint64_t at = 0;

	b->stretches = must_alloc((m->cuts_n + 2) * sizeof *b->stretches);
	if (form == MAIL_ENCLOSED) {
		add_stretch(b, false, m->inner_offset, m->inner_bytes);
		return m->inner_offset <= m->body_bytes &&
		       m->inner_bytes <= m->body_bytes - m->inner_offset;
	}
	add_stretch(b, true, 0, b->trace.n);
	for (size_t i = 0; form == MAIL_AS_DELIVERED && i < m->cuts_n; i++) {
		if (m->cuts[i].offset < at || m->cuts[i].offset > m->body_bytes ||
		    m->cuts[i].bytes > m->body_bytes - m->cuts[i].offset)
			return false;
		add_stretch(b, false, at, m->cuts[i].offset - at);
		at = m->cuts[i].offset + m->cuts[i].bytes;
	}
	add_stretch(b, false, at, m->body_bytes - at);
	return true;
}

static enum rc read_trace(struct mail_body *b, struct record_ref ref, struct fault *why)
{
	struct msg_message_meta meta;
	struct record record;
	struct arena a;
	enum rc rc = ledger_read(b->desk->reader, ref, &record, why);

	if (rc != OK)
		return rc;
	arena_init(&a, 8 << 20);
	if (record.type != RECORD_MESSAGE || !msg_message_meta_decode(&a, record.meta, &meta)) {
		fault_set(why, "the record of a message is none");
		rc = BROKEN;
	} else {
		(void)buf_append(&b->trace, meta.trace);
	}
	arena_fini(&a);
	return rc;
}

static void body_free(struct mail_body *b)
{
	ledger_body_close(b->ledger);
	buf_fini(&b->trace);
	free(b->stretches);
	free(b);
}

static enum rc open_anew(struct desk *d, struct digest_key key, const struct views_mail *m,
			 struct mail_body **out, struct fault *why)
{
	struct record_ref ref = {m->lane_id, m->segment, m->offset};
	struct mail_body *b = must_alloc(sizeof *b);
	enum rc rc = OK;

	list_init(&b->link);
	b->desk = d;
	b->key = key;
	if (m->trace_bytes && key.form != MAIL_ENCLOSED)
		rc = read_trace(b, ref, why);
	if (rc == OK && (!lay_out(b, m, key.form) || b->bytes != views_mail_bytes(m, key.form))) {
		fault_set(why, "the views and the ledger say different things of message %llu",
			  (unsigned long long)key.number);
		rc = BROKEN;
	}
	if (rc == OK)
		rc = ledger_body_open(d->reader, ref, &b->ledger, why);
	if (rc != OK) {
		say(SAY_ERROR, "message.unreadable", "number", SAY_U64(key.number), "why",
		    SAY_STR(why->text), NULL);
		body_free(b);
		return rc == LATER ? LATER : REFUSED;
	}
	*out = b;
	return OK;
}

static struct mail_body *take_kept(struct desk *d, struct digest_key key)
{
	LIST_EACH (at, &d->bodies) {
		struct mail_body *b = LIST_ENTRY(at, struct mail_body, link);

		if (b->key.number == key.number && b->key.form == key.form) {
			list_remove(&b->link);
			d->bodies_n--;
			return b;
		}
	}
	return NULL;
}

enum rc desk_body_open(struct desk *d, uint64_t number, enum mail_form form, struct mail_body **out,
		       struct fault *why)
{
	struct digest_key key = {number, form};
	struct mail_body *kept = take_kept(d, key);
	struct fault own = {0};
	struct views_mail m;
	enum rc rc;

	if (kept) {
		*out = kept;
		return OK;
	}
	if (!why)
		why = &own;
	rc = desk_views_enter(d, why);
	if (rc != OK)
		return rc;
	rc = desk_views_leave(d, views_mail_by_number(d->views, number, &m, why));
	return rc == OK ? open_anew(d, key, &m, out, why) : rc;
}

uint64_t desk_body_bytes(const struct mail_body *b)
{
	return b->bytes;
}

/* The piece with this byte of the stored body. */
static enum rc find_piece(struct mail_body *b, uint64_t from, struct fault *why)
{
	enum rc rc;

	if (b->piece.n && from >= b->piece_at && from < b->piece_at + b->piece.n)
		return OK;
	b->piece = SPAN_NONE;
	b->piece_at = ledger_body_seek(b->ledger, from);
	rc = ledger_body_next(b->ledger, &b->piece, why);
	if (rc == OK && (from < b->piece_at || from >= b->piece_at + b->piece.n))
		rc = BROKEN;
	if (rc == OK)
		return OK;
	b->piece = SPAN_NONE;
	say(SAY_ERROR, "message.damaged", "number", SAY_U64(b->key.number), "why",
	    SAY_STR(why->text), NULL);
	return rc == LATER ? LATER : REFUSED;
}

static const struct stretch *stretch_at(const struct mail_body *b, uint64_t offset)
{
	size_t low = 0, high = b->stretches_n;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (b->stretches[middle].at <= offset)
			low = middle;
		else
			high = middle;
	}
	return &b->stretches[low];
}

enum rc desk_body_read(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
		       struct fault *why)
{
	struct fault own = {0};
	const struct stretch *s;
	struct span bytes;
	uint64_t inside;
	enum rc rc;

	if (offset >= b->bytes) {
		*out = SPAN_NONE;
		return OK;
	}
	s = stretch_at(b, offset);
	inside = offset - s->at;
	if (s->is_trace) {
		bytes = span_from(buf_span(&b->trace), (size_t)inside);
	} else {
		rc = find_piece(b, s->from + inside, why ? why : &own);
		if (rc != OK)
			return rc;
		bytes = span_from(b->piece, (size_t)(s->from + inside - b->piece_at));
	}
	if (bytes.n > s->bytes - inside)
		bytes.n = (size_t)(s->bytes - inside);
	*out = span_first(bytes, max);
	return OK;
}

void desk_body_close(struct mail_body *b)
{
	struct desk *d;

	if (!b)
		return;
	d = b->desk;
	b->link.next = d->bodies.next; /* to the front */
	b->link.prev = &d->bodies;
	d->bodies.next->prev = &b->link;
	d->bodies.next = &b->link;
	if (++d->bodies_n <= DESK_BODIES_KEPT)
		return;
	b = LIST_ENTRY(d->bodies.prev, struct mail_body, link);
	list_remove(&b->link);
	d->bodies_n--;
	body_free(b);
}

void desk_bodies_drop(struct desk *d)
{
	struct list *at;

	while ((at = list_shift(&d->bodies)) != NULL)
		body_free(LIST_ENTRY(at, struct mail_body, link));
	d->bodies_n = 0;
}
