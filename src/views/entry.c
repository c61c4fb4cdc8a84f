/*
 * Rows of `entry`: a message in a mailbox, with its flags. All changes of entries are made here, and count in the
 * mailbox's row (which the caller saves).
 */
#include "base/must.h"
#include "views/people.h"

static void count(struct box *b, uint32_t flags, uint64_t bytes, int64_t by)
{
	b->total += by;
	b->unseen += (flags & MAIL_SEEN) ? 0 : by;
	b->deleted += (flags & MAIL_DELETED) ? by : 0;
	b->unread += (flags & (MAIL_SEEN | MAIL_DRAFT | MAIL_DELETED)) ? 0 : by;
	b->bytes += by * I(bytes);
}

/* serial: the order number of the record, and a count within it; so it grows whatever was pruned. */
static void note_shown(struct views *v, uint64_t number, enum mail_form form)
{
	must(v->shown >> SERIAL_OF_A_RECORD_BITS == 0);
	views_run(v, "INSERT OR IGNORE INTO shown VALUES (?, ?, ?)", "iii",
		  I(((v->next + 1) << SERIAL_OF_A_RECORD_BITS) + v->shown), I(number), I(form));
	v->shown += (uint64_t)sqlite3_changes(v->db);
}

uint32_t entry_add(struct views *v, struct box *b, const struct entry *e)
{
	uint32_t uid = b->uidnext;

	if (uid == UINT32_MAX)
		return 0;
	views_run(v,
		  "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?7, ?11,"
		  " ?12)",
		  "iiiiisiiiiii", I(b->id), I(uid), I(e->number), I(e->form), I(e->flags),
		  e->keywords, I(e->modseq), I(e->received_us), I(e->bytes), I(e->home),
		  I(b->account), I(e->thread));
	b->uidnext++;
	b->modseq = e->modseq;
	count(b, e->flags, e->bytes, 1);
	note_shown(v, e->number, e->form);
	return uid;
}

void entry_flags(struct views *v, struct box *b, const struct entry *was, uint32_t flags,
		 struct span keywords, uint64_t modseq)
{
	views_run(v,
		  "UPDATE entry SET flags = ?3, keywords = ?4, modseq = ?5, home = ?6 "
		  "WHERE box = "
		  "?1 AND uid = ?2",
		  "iiisii", I(b->id), I(was->uid), I(flags), keywords, I(modseq),
		  I(ENTRY_HOME_WAITS));
	count(b, was->flags, was->bytes, -1);
	count(b, flags, was->bytes, 1);
	b->modseq = modseq;
}

void entry_remove(struct views *v, struct box *b, const struct entry *e, uint64_t modseq)
{
	views_run(v, "UPDATE entry SET gone = 1, modseq = ?3 WHERE box = ?1 AND uid = ?2", "iii",
		  I(b->id), I(e->uid), I(modseq));
	count(b, e->flags, e->bytes, -1);
	b->modseq = modseq;
}

size_t entries_page(struct views *v, uint64_t box, struct mail_range uids, struct entry *out,
		    size_t max)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT uid, number, form, flags, keywords, modseq, received_us, bytes, home,"
		" thread FROM entry WHERE box = ? AND uid BETWEEN ? AND ? AND gone = 0 ORDER BY "
		"uid LIMIT ?",
		"iiii", I(box), I(uids.first), I(uids.last), I(max));
	size_t n = 0;

	while (n < max && views_row(v, q)) {
		out[n++] = (struct entry){
			.uid = (uint32_t)views_int(q, 0),
			.number = (uint64_t)views_int(q, 1),
			.form = (enum mail_form)views_int(q, 2),
			.flags = (uint32_t)views_int(q, 3),
			.keywords = arena_span(&v->arena, views_text(q, 4)),
			.modseq = (uint64_t)views_int(q, 5),
			.received_us = (uint64_t)views_int(q, 6),
			.bytes = (uint64_t)views_int(q, 7),
			.home = (unsigned)views_int(q, 8),
			.thread = (uint64_t)views_int(q, 9),
		};
	}
	views_done(q);
	return n;
}
