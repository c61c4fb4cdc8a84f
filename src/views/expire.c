/*
 * The window: entries of messages older than it leave their mailboxes, unless they wait for something: a delivery that is
 * not finished, or a person's change that has not gone home. Changes that cannot go there, because the site has no IMAP
 * (DIRECTORY records say so), are not waited for, as long as the primary has the message itself: what was written here is
 * nowhere else and stays. By the time of records, when the hour of the newest one changes, so that a rebuild ends with
 * the same (V1).
 */
#include "base/must.h"
#include "views/people.h"

enum { AT_ONCE = 20000 };
static const uint64_t HOUR_US = 3600ULL * 1000000;

struct old_entry {
	uint64_t box, account;
	uint32_t uid;
};

/* Messages from here on are younger: an hour is left for lanes that are not quite in step. */
static uint64_t first_young(struct views *v, uint64_t before_us)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT number FROM message WHERE received_us >= ? ORDER BY number LIMIT 1", "i",
		I(before_us + HOUR_US));
	uint64_t number = views_row(v, q) ? (uint64_t)views_int(q, 0) : v->next;

	views_done(q);
	return number;
}

/* Of entry e in mailbox b: nothing is waited for. */
#define WAITS_FOR_NOTHING                                                                          \
	"(e.home != 1 OR EXISTS (SELECT 1 FROM home h JOIN account a ON a.id = h.account JOIN"     \
	" domain d ON d.name = substr(a.name, instr(a.name, '@') + 1) JOIN fact f ON f.kind ="     \
	" 'site' AND f.scope = d.site AND f.key = 'imap' AND f.value = 'no' WHERE h.account ="     \
	" b.account AND h.number = e.number AND h.form = e.form AND h.copy = 0 AND h.at_home = "   \
	"1))"

/* In order of arrival. Looks at old messages only, so that it costs nothing while a million young ones are held. */
static size_t find_old(struct views *v, uint64_t before_us, struct old_entry *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT e.box, b.account, e.uid FROM message m CROSS JOIN entry e"
		" ON e.number = m.number AND e.gone = 0 JOIN mailbox b ON b.id = e.box"
		" WHERE m.number < ? AND m.received_us < ? AND " WAITS_FOR_NOTHING
		" AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.number = m.number) ORDER BY"
		" m.number, e.box, e.uid",
		"ii", I(first_young(v, before_us)), I(before_us));
	size_t n = 0;

	while (n < AT_ONCE && views_row(v, q)) {
		out[n].box = (uint64_t)views_int(q, 0);
		out[n].account = (uint64_t)views_int(q, 1);
		out[n++].uid = (uint32_t)views_int(q, 2);
	}
	views_done(q);
	return n;
}

/* What was left to do for a message that no mailbox of the account shows any more: it must not be seen as deleted. */
static void forget_plan(struct views *v, uint64_t account, const struct entry *e)
{
	views_run(v,
		  "DELETE FROM home WHERE account = ?1 AND number = ?2 AND form = ?3 AND NOT EXISTS"
		  " (SELECT 1 FROM entry e WHERE e.number = ?2 AND e.account = ?1 AND e.form = ?3"
		  " AND e.gone = 0)",
		  "iii", I(account), I(e->number), I(e->form));
}

static void leave(struct views *v, const struct old_entry *o)
{
	struct account a;
	struct box b;
	struct entry e;

	if (!account_by_id(v, o->account, &a) || !box_by_id(v, o->box, &b) ||
	    entries_page(v, b.id, (struct mail_range){o->uid, o->uid}, &e, 1) != 1)
		return;
	entry_remove(v, &b, &e, account_modseq(v, &a));
	box_save(v, &b);
	if (e.home == ENTRY_HOME_WAITS)
		forget_plan(v, a.id, &e);
}

void expire(struct views *v, uint64_t newest_before_us)
{
	struct old_entry *old;
	size_t n;

	if (newest_before_us / HOUR_US == v->newest_us / HOUR_US || v->people == 0 ||
	    v->newest_us < v->window_us)
		return;
	old = arena_array(&v->arena, AT_ONCE, sizeof *old);
	must(old);
	n = find_old(v, v->newest_us - v->window_us, old);
	for (size_t i = 0; i < n && v->rc == OK; i++)
		leave(v, &old[i]);
}

/* ---- a message leaves the views ---- */

/* Beside a range that is there: one range, with the later modseq. More may be named than went since, never less. */
static void gone_add(struct views *v, uint64_t box, uint32_t uid, uint64_t modseq)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT first, last, modseq FROM gone WHERE box = ? AND first < ? ORDER BY first"
		" DESC LIMIT 1",
		"ii", I(box), I(uid));
	bool is_beside = views_row(v, q) && (uint32_t)views_int(q, 1) + 1 == uid;
	uint32_t first = is_beside ? (uint32_t)views_int(q, 0) : uid;

	if (is_beside && (uint64_t)views_int(q, 2) > modseq)
		modseq = (uint64_t)views_int(q, 2);
	views_done(q);
	views_run(v, "INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?)", "iiii", I(box), I(first),
		  I(uid), I(modseq));
}

static void facts_of(struct views *v, uint64_t number, struct msg_message_meta *out)
{
	sqlite3_stmt *q =
		views_bind(v, "SELECT facts FROM message WHERE number = ?", "i", I(number));

	if (!views_row(v, q) ||
	    !msg_message_meta_decode(&v->arena, arena_span(&v->arena, views_text(q, 0)), out))
		memset(out, 0, sizeof *out);
	views_done(q);
}

static bool forget_one(struct views *v, uint64_t number, const struct msg_message_meta *m)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT box, uid, modseq, account FROM entry WHERE number = ?"
				     " ORDER BY account, box, uid LIMIT 1",
				     "i", I(number));
	uint64_t box, account, modseq;
	uint32_t uid;

	if (!views_row(v, q))
		return false;
	box = (uint64_t)views_int(q, 0);
	uid = (uint32_t)views_int(q, 1);
	modseq = (uint64_t)views_int(q, 2);
	account = (uint64_t)views_int(q, 3);
	views_done(q);
	views_run(v, "DELETE FROM entry WHERE box = ? AND uid = ?", "ii", I(box), I(uid));
	views_run(v, "DELETE FROM given_mid WHERE account = ? AND mid = ? AND number = ?", "iii",
		  I(account), message_id_hash(m->message_id), I(number));
	thread_forget(v, account, number, m);
	gone_add(v, box, uid, modseq);
	box_forget(v, box);
	return true;
}

void entries_forget(struct views *v, uint64_t number)
{
	struct msg_message_meta m;

	if (v->people == 0)
		return;
	facts_of(v, number, &m);
	lost_emails(v, number);
	while (v->rc == OK && forget_one(v, number, &m))
		;
	views_run(v, "DELETE FROM given WHERE number = ?", "i", I(number));
	views_run(v, "DELETE FROM shown WHERE number = ?", "i", I(number));
	home_forget(v, number);
}
