/* A message in one of its forms (views/mailbox.h), from beginning to end. */
#include <stdlib.h>

#include "base/must.h"
#include "role/courier/home.h"

struct home_bytes {
	struct arena arena;
	struct ledger_body *body;
	struct span trace, piece;
	struct msg_cut *cuts; /* ascending */
	size_t cuts_n;
	uint64_t at; /* of piece, in the body */
};

/* What of the body is not shown in this form. */
static void set_cuts(struct home_bytes *b, const struct msg_home_item *item,
		     const struct msg_message_meta *m)
{
	if (item->form == MAIL_ENCLOSED) {
		b->cuts = arena_array(&b->arena, 2, sizeof *b->cuts);
		b->cuts[0] = (struct msg_cut){0, m->inner_offset};
		b->cuts[1] = (struct msg_cut){m->inner_offset + m->inner_bytes, UINT64_MAX};
		b->cuts_n = 2;
		return;
	}
	b->trace = m->trace;
	if (item->form == MAIL_AS_DELIVERED) {
		b->cuts = m->cuts;
		b->cuts_n = m->cuts_n;
	}
}

enum rc home_bytes_open(struct ledger_reader *reader, const struct msg_home_item *item,
			struct home_bytes **out, struct fault *why)
{
	const struct record_ref ref = {item->lane_id, item->segment, item->offset};
	struct home_bytes *b = must_alloc(sizeof *b);
	struct msg_message_meta meta;
	struct record r = {0};
	enum rc rc;

	arena_init(&b->arena, 4 << 20);
	rc = ledger_read(reader, ref, &r, why);
	if (rc == OK &&
	    (r.type != RECORD_MESSAGE ||
	     !msg_message_meta_decode(&b->arena, arena_span(&b->arena, r.meta), &meta))) {
		fault_set(why, "the record is not a message");
		rc = REFUSED;
	}
	if (rc == OK) {
		set_cuts(b, item, &meta);
		rc = ledger_body_open(reader, ref, &b->body, why);
	}
	if (rc != OK) {
		home_bytes_close(b);
		return rc;
	}
	*out = b;
	return OK;
}

void home_bytes_close(struct home_bytes *b)
{
	if (!b)
		return;
	ledger_body_close(b->body);
	arena_fini(&b->arena);
	free(b);
}

static void drop(struct home_bytes *b, uint64_t n)
{
	if (n > b->piece.n)
		n = b->piece.n;
	b->at += n;
	b->piece = span_from(b->piece, (size_t)n);
}

/* The part of the present piece up to the next cut; empty: it begins with one, which is then stepped over. */
static struct span shown(struct home_bytes *b)
{
	struct span part = b->piece;

	for (size_t i = 0; i < b->cuts_n; i++) {
		uint64_t from = b->cuts[i].offset, n = b->cuts[i].bytes;

		if (b->at >= from && b->at - from < n) {
			drop(b, n - (b->at - from));
			return SPAN_NONE;
		}
		if (from > b->at && from - b->at < part.n)
			part.n = (size_t)(from - b->at);
	}
	drop(b, part.n);
	return part;
}

enum rc home_bytes_next(struct home_bytes *b, struct span *out, struct fault *why)
{
	if (b->trace.n) {
		*out = b->trace;
		b->trace = SPAN_NONE;
		return OK;
	}
	for (;;) {
		while (b->piece.n) {
			*out = shown(b);
			if (out->n)
				return OK;
		}
		enum rc rc = ledger_body_next(b->body, &b->piece, why);

		if (rc != OK)
			return rc;
	}
}
