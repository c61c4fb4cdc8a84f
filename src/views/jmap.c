/*
 * What JMAP asks of people's mailboxes beside what IMAP does: an Email's places, conversations, settings, submissions.
 * What changed since a modseq is in changes.c. An entry with \Deleted is not there for JMAP (RFC 8621 s4.1.1).
 */
#include "base/must.h"
#include "views/people.h"

enum rc views_state(struct views *v, uint64_t account, struct mail_state *out, struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT modseq, told_from, submissions, name, person FROM account WHERE id = ?",
		"i", I(account));
	bool is_there;
	enum rc rc;

	arena_reset(&v->kept);
	is_there = views_row(v, q);
	if (is_there)
		*out = (struct mail_state){
			.modseq = (uint64_t)views_int(q, 0),
			.told_from = (uint64_t)views_int(q, 1),
			.submissions = (uint64_t)views_int(q, 2),
			.name = arena_span(&v->kept, views_text(q, 3)),
			.person = arena_span(&v->kept, views_text(q, 4)),
		};
	views_done(q);
	rc = views_end(v, why);
	if (rc == OK && !is_there) {
		fault_set(why, "there is no such account");
		return REFUSED;
	}
	return rc;
}

static enum rc seen_any(struct views *v, bool any, const char *what, struct fault *why)
{
	enum rc rc = views_end(v, why);

	if (rc != OK || any)
		return rc;
	fault_set(why, "the account has no such %s", what);
	return REFUSED;
}

enum rc views_each_place(struct views *v, uint64_t account, uint64_t number, enum mail_form form,
			 bool (*on_place)(void *to, uint64_t box, const struct mail_entry *e),
			 void *to, struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT box, uid, flags, keywords, modseq, received_us, bytes, thread FROM entry"
		" WHERE number = ? AND account = ? AND form = ? AND gone = 0 AND flags & 8 = 0"
		" ORDER BY box, uid",
		"iii", I(number), I(account), I(form));
	bool any = false, goes_on = true;

	while (goes_on && views_row(v, q)) {
		struct mail_entry e = {
			.uid = (uint32_t)views_int(q, 1),
			.flags = (uint32_t)views_int(q, 2),
			.keywords = views_text(q, 3),
			.modseq = (uint64_t)views_int(q, 4),
			.number = number,
			.form = form,
			.received_us = (uint64_t)views_int(q, 5),
			.bytes = (uint64_t)views_int(q, 6),
			.thread = (uint64_t)views_int(q, 7),
		};

		any = true;
		goes_on = on_place(to, (uint64_t)views_int(q, 0), &e);
	}
	views_done(q);
	return seen_any(v, any, "message", why);
}

enum rc views_each_of_thread(struct views *v, uint64_t account, uint64_t thread,
			     bool (*on_email)(void *to, const struct mail_email *e), void *to,
			     struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT number, form, min(received_us) AS at, bytes FROM (" ENTRIES_OF_THREAD(
			"number, form, received_us, bytes, gone, flags") ") WHERE gone = 0 AND "
									 "flags & 8 = 0"
									 " GROUP BY number, form "
									 "ORDER BY at, number, "
									 "form",
		"ii", I(thread), I(account));
	bool any = false, goes_on = true;

	while (goes_on && views_row(v, q)) {
		any = true;
		goes_on = on_email(to, &(struct mail_email){
					       .number = (uint64_t)views_int(q, 0),
					       .form = (enum mail_form)views_int(q, 1),
					       .thread = thread,
					       .received_us = (uint64_t)views_int(q, 2),
					       .bytes = (uint64_t)views_int(q, 3),
				       });
	}
	views_done(q);
	return seen_any(v, any, "conversation", why);
}

enum rc views_each_setting(struct views *v, uint64_t account,
			   bool (*on_setting)(void *to, struct span name, struct span value),
			   void *to, struct fault *why)
{
	sqlite3_stmt *q =
		views_bind(v, "SELECT name, value FROM setting WHERE account = ? ORDER BY name",
			   "i", I(account));

	while (views_row(v, q) && on_setting(to, views_text(q, 0), views_text(q, 1)))
		;
	views_done(q);
	return views_end(v, why);
}

/* ---- submissions ---- */

/* What is not said by JMAP has its copy in Sent as its Email. */
static bool submission_of(struct views *v, sqlite3_stmt *q, struct mail_submission *out)
{
	struct msg_message_meta m;

	if (!msg_message_meta_decode(&v->kept, views_text(q, 3), &m))
		return false;
	*out = (struct mail_submission){
		.id = m.id,
		.number = (uint64_t)views_int(q, 0),
		.email = m.identity.n ? m.email : (uint64_t)views_int(q, 0),
		.email_form = m.identity.n ? (enum mail_form)m.email_form : MAIL_AS_SENT,
		.sender = m.sender,
		.identity = m.identity,
		.sent_us = (uint64_t)views_int(q, 2),
		.modseq = (uint64_t)views_int(q, 1),
	};
	return true;
}

enum rc views_each_submission(struct views *v, uint64_t account, uint64_t since,
			      bool (*on_submission)(void *to, const struct mail_submission *s),
			      void *to, struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT s.number, s.modseq, m.received_us, m.facts FROM submission s JOIN message"
		" m ON m.number = s.number WHERE s.account = ? AND s.modseq > ? ORDER BY s.modseq",
		"ii", I(account), I(since));
	bool goes_on = true;

	while (goes_on && views_row(v, q)) {
		struct mail_submission s;

		arena_reset(&v->kept);
		goes_on = !submission_of(v, q, &s) || on_submission(to, &s);
	}
	views_done(q);
	return views_end(v, why);
}

static enum mail_delivery_state delivery_state(int64_t state)
{
	switch ((enum queue_state)state) {
	case QUEUE_DELIVERED:
		return MAIL_DELIVERED;
	case QUEUE_RETURNED:
		return MAIL_FAILED;
	case QUEUE_DISCARDED:
		return MAIL_DISCARDED;
	case QUEUE_READY:
	case QUEUE_OFFERED:
	case QUEUE_DEFERRED:
	case QUEUE_DECIDE:
		break;
	}
	return MAIL_WAITS;
}

enum rc views_each_delivery(struct views *v, uint64_t account, uint64_t number,
			    bool (*on_delivery)(void *to, const struct mail_delivery *d), void *to,
			    struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT a.text, d.state, coalesce((SELECT trim(code || ' ' || enhanced || ' ' || "
		"text)"
		" FROM attempt t WHERE t.number = d.number AND t.rcpt = d.rcpt AND code > 0 ORDER "
		"BY"
		" record DESC LIMIT 1), '') FROM (SELECT number, rcpt, coalesce(was, addr) AS addr,"
		" state FROM delivery WHERE number = ?1 UNION ALL SELECT number, rcpt,"
		" coalesce(was, addr), state FROM done WHERE number = ?1) d JOIN address a ON a.id"
		" = d.addr WHERE EXISTS (SELECT 1 FROM submission WHERE number = ?1 AND account ="
		" ?2) ORDER BY d.rcpt",
		"ii", I(number), I(account));
	bool any = false, goes_on = true;

	while (goes_on && views_row(v, q)) {
		struct mail_delivery d = {.address = views_text(q, 0), .reply = views_text(q, 2)};

		d.state = delivery_state(views_int(q, 1));
		any = true;
		goes_on = on_delivery(to, &d);
	}
	views_done(q);
	return seen_any(v, any, "submission", why);
}
