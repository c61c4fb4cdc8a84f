/*
 * Conversations (RFC 8621 s3): of each account apart, given in the order of the records, and never changed afterwards. A
 * message joins the conversation of its account in which one of its references was seen under the same base subject: its
 * own Message-ID first, then what it answers, the nearest first. Otherwise it begins one.
 *
 * Of a message its own id, the two nearest it answers and the farthest are noted: two answers to something that was never
 * here have one of them in common, and a message costs the same however long its References field is.
 */
#include "base/must.h"
#include "mail/header.h"
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

/* Nothing to know it by: but another form of it may be here. */
static uint64_t without_refs(struct views *v, uint64_t account, const struct letter *l)
{
	uint64_t thread = new_thread(v);

	v->threads += !thread_by(
		v,
		views_bind(v, "SELECT thread FROM entry WHERE number = ? AND account = ?", "ii",
			   I(l->number), I(account)),
		&thread);
	return thread;
}

/* What is known of a reference of the message, asked once. */
struct known {
	bool is_asked, is_there;
};

static bool is_there(struct views *v, const struct letter *l, uint64_t account, size_t i,
		     struct known *known, struct ref_row *out)
{
	uint64_t key = ref_key(account, l->m->refs[i], l->m->subject_hash);

	if (!known->is_asked)
		*known = (struct known){true, ref_find(v, key, out)};
	return known->is_there;
}

static void note(struct views *v, uint64_t account, const struct letter *l, size_t i,
		 struct known *known, uint64_t thread)
{
	struct ref_row row;

	if (is_there(v, l, account, i, known, &row))
		return;
	known->is_there = true;
	ref_note(v, (struct ref_row){.key = ref_key(account, l->m->refs[i], l->m->subject_hash),
				     .account = account,
				     .thread = thread,
				     .number = l->number});
}

uint64_t thread_of(struct views *v, uint64_t account, const struct letter *l)
{
	size_t n = l->m->refs_n < HEADER_REFS_LIMIT ? l->m->refs_n : HEADER_REFS_LIMIT;
	struct known known[HEADER_REFS_LIMIT] = {0};
	uint64_t thread = new_thread(v);
	bool is_known = false;

	if (n == 0)
		return without_refs(v, account, l);
	for (size_t i = 0; i < n && !is_known; i++) {
		struct ref_row row;

		is_known = is_there(v, l, account, i, &known[i], &row) && row.account == account;
		if (is_known)
			thread = row.thread;
	}
	v->threads += !is_known;
	for (size_t i = 0; i < n && i < NEAREST; i++)
		note(v, account, l, i, &known[i], thread);
	if (n > NEAREST)
		note(v, account, l, n - 1, &known[n - 1], thread);
	return thread;
}

void thread_forget(struct views *v, uint64_t account, uint64_t number,
		   const struct msg_message_meta *m)
{
	for (size_t i = 0; i < m->refs_n; i++)
		ref_forget(v, ref_key(account, m->refs[i], m->subject_hash), account, number);
}
