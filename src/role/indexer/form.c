/* One pass over the stored body feeds all forms of a message. */
#include "role/indexer/index.h"

#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "mail/digest.h"
#include "mail/store.h"

/* The part of a piece at `at` that lies in [from, to). */
static struct span within(struct span piece, uint64_t at, uint64_t from, uint64_t to)
{
	uint64_t end = at + piece.n;

	if (from < at)
		from = at;
	if (to > end)
		to = end;
	return from < to ? span_of(piece.p + (from - at), (size_t)(to - from)) : SPAN_NONE;
}

/* What the cuts leave of a piece. They ascend; those that do not are as good as none. */
static void feed_uncut(struct digest_maker *d, struct span piece, uint64_t at,
		       const struct msg_cut *cuts, size_t n)
{
	uint64_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (cuts[i].offset < from || cuts[i].bytes > UINT64_MAX - cuts[i].offset)
			continue;
		digest_maker_feed(d, within(piece, at, from, cuts[i].offset));
		from = cuts[i].offset + cuts[i].bytes;
	}
	digest_maker_feed(d, within(piece, at, from, UINT64_MAX));
}

static void feed(struct digest_maker *of[INDEX_FORMS], struct span piece, uint64_t at,
		 const struct msg_message_meta *m)
{
	feed_uncut(of[MAIL_AS_DELIVERED], piece, at, m->cuts, m->cuts_n);
	if (of[MAIL_AS_SENT])
		digest_maker_feed(of[MAIL_AS_SENT], piece);
	if (of[MAIL_ENCLOSED])
		digest_maker_feed(of[MAIL_ENCLOSED], within(piece, at, m->inner_offset,
							    m->inner_offset + m->inner_bytes));
}

static bool make(struct digest_maker *of[INDEX_FORMS], const struct msg_message_meta *m)
{
	bool is_enclosed = m->inner_bytes > 0 && m->inner_offset <= UINT64_MAX - m->inner_bytes;

	of[MAIL_AS_DELIVERED] = digest_maker_new(true);
	of[MAIL_AS_SENT] = m->cuts_n > 0 ? digest_maker_new(true) : NULL;
	of[MAIL_ENCLOSED] = is_enclosed ? digest_maker_new(true) : NULL;
	return of[MAIL_AS_DELIVERED] && (m->cuts_n == 0 || of[MAIL_AS_SENT]) &&
	       (!is_enclosed || of[MAIL_ENCLOSED]);
}

static enum rc read_all(struct ledger_reader *reader, const struct record *record,
			const struct msg_message_meta *meta, struct digest_maker *of[INDEX_FORMS],
			struct fault *why)
{
	struct ledger_body *body;
	struct span piece;
	uint64_t at = 0;
	enum rc rc = ledger_body_open(reader, record->ref, &body, why);

	if (rc != OK)
		return rc;
	while ((rc = ledger_body_next(body, &piece, why)) == OK) {
		feed(of, piece, at, meta);
		at += piece.n;
	}
	ledger_body_close(body);
	return rc == MORE ? OK : rc;
}

enum rc index_read(struct ledger_reader *reader, const struct record *record,
		   const struct msg_message_meta *meta, struct digest_maker *out[INDEX_FORMS],
		   struct fault *why)
{
	struct digest_maker *of[INDEX_FORMS] = {NULL};
	enum rc rc;

	if (!make(of, meta)) {
		fault_set(why, "no memory");
		rc = LATER;
		goto undo;
	}
	digest_maker_feed(of[MAIL_AS_DELIVERED], meta->trace);
	if (of[MAIL_AS_SENT])
		digest_maker_feed(of[MAIL_AS_SENT], meta->trace);
	rc = read_all(reader, record, meta, of, why);
	if (rc != OK)
		goto undo;
	for (int i = 0; i < INDEX_FORMS; i++) {
		if (of[i])
			digest_maker_end(of[i]);
		out[i] = of[i];
	}
	return OK;
undo:
	for (int i = 0; i < INDEX_FORMS; i++)
		digest_maker_free(of[i]);
	return rc;
}
