/*
 * Conversations (RFC 8621 s3): of each account apart, given in the order of the records, and never changed afterwards. A
 * message joins the conversation of its account in which one of its references was seen under the same base subject: its
 * own Message-ID first, then what it answers, the nearest first. Otherwise it begins one.
 *
 * Of a message its own id, the two nearest it answers and the farthest are noted: two answers to something that was never
 * here have one of them in common, and a message costs the same however long its References field is.
 */
#include "base/must.h"
#include "views/people.h"

enum { NEAREST = 3 };

/* What the next one will be called, if it begins with this record. */
static uint64_t new_thread(struct views *v)
{
	must(v->threads >> SERIAL_OF_A_RECORD_BITS == 0);
	return ((v->next + 1) << SERIAL_OF_A_RECORD_BITS) + v->threads;
}

static bool thread_by(struct views *v, sqlite3_stmt *q, uint64_t *out)
{
	if (!views_row(v, q))
		return false;
	*out = (uint64_t)views_int(q, 0);
	views_done(q);
	return true;
}

static bool find(struct views *v, uint64_t account, const struct letter *l, uint64_t *out)
{
	/* Nothing to know it by: but another form of it may be here. */
	if (l->m->refs_n == 0)
		return thread_by(
			v,
			views_bind(v, "SELECT thread FROM entry WHERE number = ? AND account = ?",
				   "ii", I(l->number), I(account)),
			out);
	for (size_t i = 0; i < l->m->refs_n; i++)
		if (thread_by(v,
			      views_bind(v,
					 "SELECT thread FROM thread_ref WHERE account = ? AND ref "
					 "= ? AND subject = ?",
					 "iii", I(account), I(l->m->refs[i]),
					 I(l->m->subject_hash)),
			      out))
			return true;
	return false;
}

/* True: it was not known yet. */
static bool note(struct views *v, uint64_t account, const struct letter *l, uint64_t ref,
		 uint64_t thread)
{
	views_run(v, "INSERT OR IGNORE INTO thread_ref VALUES (?, ?, ?, ?, ?)", "iiiii", I(account),
		  I(ref), I(l->m->subject_hash), I(thread), I(l->number));
	return sqlite3_changes(v->db) > 0;
}

uint64_t thread_of(struct views *v, uint64_t account, const struct letter *l)
{
	const struct msg_message_meta *m = l->m;
	uint64_t thread = new_thread(v);

	/* Most mail answers nothing: one look is enough. */
	if (m->refs_n == 1 && note(v, account, l, m->refs[0], thread)) {
		v->threads++;
		return thread;
	}
	v->threads += !find(v, account, l, &thread);
	for (size_t i = 0; i < m->refs_n && i < NEAREST; i++)
		(void)note(v, account, l, m->refs[i], thread);
	if (m->refs_n > NEAREST)
		(void)note(v, account, l, m->refs[m->refs_n - 1], thread);
	return thread;
}

void thread_forget(struct views *v, uint64_t account, uint64_t number,
		   const struct msg_message_meta *m)
{
	for (size_t i = 0; i < m->refs_n; i++)
		views_run(v,
			  "DELETE FROM thread_ref WHERE account = ? AND ref = ? AND subject = ? "
			  "AND number = ?",
			  "iiii", I(account), I(m->refs[i]), I(m->subject_hash), I(number));
}
