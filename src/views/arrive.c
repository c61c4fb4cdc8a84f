/*
 * What a MESSAGE shows to whom. A recipient that leads to an account puts it into the INBOX at once (P3), whatever the site
 * does; what a person sent goes to Sent as well; what a person put into a mailbox goes there.
 *
 * Once: a message is in an account at most once by delivery (M3). A copy from the primary (origin 4) of what came through
 * us, or the other way round, is the same mail: equal Message-ID and Date. A client that saves its own copy in
 * Sent within ten minutes, before or after ours came, is left with its own alone.
 */
#include "base/must.h"
#include "views/people.h"

uint64_t form_bytes(enum mail_form form, uint64_t trace, uint64_t body, uint64_t cut,
		    uint64_t inner)
{
	switch (form) {
	case MAIL_AS_DELIVERED:
		return trace + body - (cut < body ? cut : body);
	case MAIL_AS_SENT:
		return trace + body;
	case MAIL_ENCLOSED:
		return inner;
	}
	return 0;
}

uint64_t letter_bytes(const struct letter *l, enum mail_form form)
{
	uint64_t cut = 0;

	for (size_t i = 0; i < l->m->cuts_n; i++)
		cut += l->m->cuts[i].bytes;
	return form_bytes(form, l->trace_bytes, l->body_bytes, cut, l->m->inner_bytes);
}

/* Not keyed: the same after a rebuild. Equal hashes are compared in full before they mean anything. */
int64_t message_id_hash(struct span message_id)
{
	uint64_t h = 0xcbf29ce484222325;

	if (message_id.n == 0)
		return 0;
	for (size_t i = 0; i < message_id.n; i++)
		h = (h ^ message_id.p[i]) * 0x100000001b3;
	h = queue_mix(h) >> 1;
	return h ? (int64_t)h : 1;
}

/* The kept facts of another message. Decoded into the arena. */
static bool facts_of(struct views *v, uint64_t number, struct msg_message_meta *out,
		     uint64_t *out_received_us)
{
	sqlite3_stmt *q = views_bind(v, "SELECT facts, received_us FROM message WHERE number = ?",
				     "i", I(number));
	bool ok;

	if (!views_row(v, q))
		return false;
	*out_received_us = (uint64_t)views_int(q, 1);
	ok = msg_message_meta_decode(&v->arena, arena_span(&v->arena, views_text(q, 0)), out);
	views_done(q);
	return ok;
}

enum { CANDIDATES = 32 };

static size_t candidates(struct views *v, uint64_t account, int64_t mid, enum given_kind kind,
			 uint64_t out[CANDIDATES])
{
	sqlite3_stmt *q;
	size_t n = 0;

	if (mid == 0)
		return 0;
	q = views_bind(v,
		       "SELECT number FROM given_mid WHERE account = ? AND mid = ? AND kind = ?"
		       " ORDER BY number DESC LIMIT 32",
		       "iii", I(account), mid, I(kind));
	while (n < CANDIDATES && views_row(v, q))
		out[n++] = (uint64_t)views_int(q, 0);
	views_done(q);
	return n;
}

/* The same mail was given before, and one of the two is a copy of the primary's. */
static bool is_copy_of_given(struct views *v, uint64_t account, enum given_kind kind,
			     const struct letter *l)
{
	uint64_t numbers[CANDIDATES];
	size_t n = candidates(v, account, message_id_hash(l->m->message_id), kind, numbers);

	for (size_t i = 0; i < n; i++) {
		struct msg_message_meta other;
		uint64_t at_us;

		if (!facts_of(v, numbers[i], &other, &at_us) ||
		    (other.origin != ORIGIN_COPY && l->m->origin != ORIGIN_COPY))
			continue;
		if (span_eq(other.message_id, l->m->message_id) && span_eq(other.date, l->m->date))
			return true;
	}
	return false;
}

/* False: it was there. */
static bool note_given(struct views *v, uint64_t account, const struct letter *l,
		       enum given_kind kind)
{
	int64_t mid = message_id_hash(l->m->message_id);
	bool is_new;

	views_run(v, "INSERT OR IGNORE INTO given VALUES (?, ?, ?)", "iii", I(l->number),
		  I(account), I(kind));
	is_new = sqlite3_changes(v->db) > 0;
	if (is_new && mid && (kind != GIVEN_DELIVERED || v->are_copies_seen))
		views_run(v, "INSERT OR IGNORE INTO given_mid VALUES (?, ?, ?, ?)", "iiii",
			  I(account), mid, I(l->number), I(kind));
	return is_new;
}

void mail_give(struct views *v, uint64_t account, const struct letter *l)
{
	enum mail_form form = l->m->inner_bytes ? MAIL_ENCLOSED : MAIL_AS_DELIVERED;
	struct hot *h;

	if ((v->are_copies_seen && is_copy_of_given(v, account, GIVEN_DELIVERED, l)) ||
	    !note_given(v, account, l, GIVEN_DELIVERED))
		return;
	h = hot_inbox(v, account);
	if (!h)
		return;
	(void)entry_add(v, &h->inbox,
			&(struct entry){
				.number = l->number,
				.form = form,
				.modseq = ++h->account.modseq,
				.received_us = l->received_us,
				.bytes = letter_bytes(l, form),
				.thread = thread_of(v, account, l),
			});
	mail_touched(v, account, h->inbox.id, h->inbox.modseq);
}

/* From the first copy on, what is delivered is known by its Message-ID; and what was, from now on. */
static void copies_begin(struct views *v)
{
	sqlite3_stmt *q;
	struct msg_message_meta m;

	if (v->are_copies_seen)
		return;
	v->are_copies_seen = true;
	views_run(v, "INSERT INTO copies_seen VALUES (1)", "");
	q = views_sql(v, "SELECT g.number, g.account, m.facts FROM given g JOIN message m USING"
			 " (number) WHERE kind = 0 ORDER BY g.number, g.account");
	while (views_row(v, q)) {
		struct arena callers = views_aside(v);

		if (msg_message_meta_decode(&v->arena, views_text(q, 2), &m) && m.message_id.n)
			views_run(v, "INSERT OR IGNORE INTO given_mid VALUES (?, ?, ?, 0)", "iii",
				  views_int(q, 1), message_id_hash(m.message_id), views_int(q, 0));
		views_back(v, callers);
	}
}

/* ---- Sent ---- */

static bool is_near(uint64_t a_us, uint64_t b_us)
{
	return (a_us > b_us ? a_us - b_us : b_us - a_us) <= SENT_TWICE_US;
}

/* A message of this kind with this Message-ID, in time. 0 is a number too: out. */
static bool young_one(struct views *v, uint64_t account, enum given_kind kind,
		      const struct letter *l, uint64_t *out)
{
	uint64_t numbers[CANDIDATES];
	size_t n = candidates(v, account, message_id_hash(l->m->message_id), kind, numbers);

	for (size_t i = 0; i < n; i++) {
		struct msg_message_meta other;
		uint64_t at_us;

		if (numbers[i] == l->number || !facts_of(v, numbers[i], &other, &at_us) ||
		    !is_near(at_us, l->received_us) || !span_eq(other.message_id, l->m->message_id))
			continue;
		*out = numbers[i];
		return true;
	}
	return false;
}

/* Into Sent: what came by submission, or what the primary says its user sent (origin 4). */
static void our_copy(struct views *v, const struct letter *l, struct span author)
{
	bool is_copy = l->m->origin == ORIGIN_COPY;
	enum mail_form form = l->m->inner_bytes ? MAIL_ENCLOSED : MAIL_AS_SENT;
	struct entry ours;
	uint64_t own;
	struct account a;
	struct box sent;

	if (!account_by_name(v, lower_span(v, author), &a) ||
	    !box_special(v, a.id, MAIL_SENT, &sent))
		return;
	if (young_one(v, a.id, GIVEN_OWN_COPY, l, &own) ||
	    is_copy_of_given(v, a.id, GIVEN_OUR_COPY, l) ||
	    is_copy_of_given(v, a.id, GIVEN_OWN_COPY, l) || !note_given(v, a.id, l, GIVEN_OUR_COPY))
		return;
	ours = (struct entry){
		.number = l->number,
		.form = form,
		.flags = MAIL_SEEN,
		.modseq = account_modseq(v, &a),
		.received_us = l->received_us,
		.bytes = letter_bytes(l, form),
		.home = is_copy ? ENTRY_HOME_NONE : ENTRY_HOME_WAITS,
		.thread = thread_of(v, a.id, l),
	};
	if (entry_add(v, &sent, &ours) && !is_copy)
		home_added(v, &sent, &ours);
	box_save(v, &sent);
}

static bool entry_of_number(struct views *v, const struct box *box, uint64_t number,
			    struct entry *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT uid FROM entry WHERE number = ? AND account = ? AND box = ? AND gone = 0"
		" LIMIT 1",
		"iii", I(number), I(box->account), I(box->id));
	uint32_t uid;

	if (!views_row(v, q))
		return false;
	uid = (uint32_t)views_int(q, 0);
	views_done(q);
	return entries_page(v, box->id, (struct mail_range){uid, uid}, out, 1) == 1;
}

void own_copy(struct views *v, struct account *a, struct box *sent, const struct letter *l)
{
	struct entry ours;
	uint64_t number;

	(void)note_given(v, a->id, l, GIVEN_OWN_COPY);
	if (!young_one(v, a->id, GIVEN_OUR_COPY, l, &number) ||
	    !entry_of_number(v, sent, number, &ours))
		return;
	entry_remove(v, sent, &ours, account_modseq(v, a));
	home_replaced(v, sent, &ours, l->number);
}

/* The client files its own: ours counts as given, so that a copy of the primary's is not shown beside it. */
static void sent(struct views *v, const struct letter *l)
{
	struct account a;

	if (!account_by_name(v, lower_span(v, l->m->account), &a))
		return;
	submission_made(v, a.id, l->number);
	if (span_eq(l->m->sent_copy, SPAN_LIT("none")))
		(void)note_given(v, a.id, l, GIVEN_OUR_COPY);
	else
		our_copy(v, l, l->m->account);
}

/* ---- a record ---- */

void mail_arrive(struct views *v, const struct order_entry *e, const struct record *r,
		 const struct msg_message_meta *m)
{
	struct letter l = {e->number, r->received_us, r->body_bytes, m->trace.n, m};
	struct account_ids to = {0};

	if (m->origin == ORIGIN_PUT) {
		mail_put(v, e, &l, m->detail);
		return;
	}
	if (m->origin == ORIGIN_COPY)
		copies_begin(v);
	if (v->people == 0)
		return;
	for (size_t i = 0; i < m->rcpts_n; i++)
		resolve(v, m->rcpts[i].address, &to);
	for (size_t i = 0; i < to.n; i++)
		mail_give(v, to.ids[i], &l);
	if (m->origin == ORIGIN_SUBMITTED)
		sent(v, &l);
	else if (m->origin == ORIGIN_COPY)
		our_copy(v, &l, m->sender);
}
