/*
 * DIRECTORY records of kind account and alias: who has mailboxes here, and which addresses lead there. auth writes them.
 *
 * An account's first record makes it, with INBOX and the special mailboxes (RFC 6154), all subscribed to, and with what
 * came for it within the window. "deleted" takes its mailboxes away; the same name later is a new account (M1).
 */
#include "base/must.h"
#include "views/people.h"

enum { NAME_BYTES = 512 };

static bool account_from(struct views *v, sqlite3_stmt *q, struct account *out)
{
	if (!views_row(v, q))
		return false;
	*out = (struct account){
		.id = (uint64_t)views_int(q, 0),
		.modseq = (uint64_t)views_int(q, 1),
		.uidvalidity = (uint32_t)views_int(q, 2),
		.is_active = views_int(q, 3) != 0,
	};
	views_done(q);
	return true;
}

bool account_by_name(struct views *v, struct span name, struct account *out)
{
	boxes_cool(v);
	return account_from(
		v,
		views_bind(v, "SELECT id, modseq, uidvalidity, active FROM account WHERE name = ?",
			   "s", name),
		out);
}

bool account_find(struct views *v, uint64_t id, struct account *out)
{
	return account_from(
		v,
		views_bind(v, "SELECT id, modseq, uidvalidity, active FROM account WHERE id = ?",
			   "i", I(id)),
		out);
}

bool account_by_id(struct views *v, uint64_t id, struct account *out)
{
	boxes_cool(v);
	return account_find(v, id, out);
}

uint64_t account_modseq(struct views *v, struct account *a)
{
	a->modseq++;
	views_run(v, "UPDATE account SET modseq = ? WHERE id = ?", "ii", I(a->modseq), I(a->id));
	return a->modseq;
}

void accounts_load(struct views *v)
{
	sqlite3_stmt *q = views_sql(v, "SELECT count(*) FROM account");

	v->people = views_row(v, q) ? (uint64_t)views_int(q, 0) : 0;
	views_done(q);
	q = views_sql(v, "SELECT 1 FROM copies_seen");
	v->are_copies_seen = views_row(v, q);
	views_done(q);
}

/* ---- account ---- */

static void make_boxes(struct views *v, struct account *a, uint64_t number, uint64_t at_us)
{
	static const struct {
		const char *name;
		enum mail_special special;
	} boxes[] = {
		{"INBOX", MAIL_INBOX},	   {"Sent", MAIL_SENT},	  {"Drafts", MAIL_DRAFTS},
		{"Archive", MAIL_ARCHIVE}, {"Trash", MAIL_TRASH}, {"Junk", MAIL_JUNK},
	};

	for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
		struct box b;

		(void)box_make(v, a, (number + 1) * BOXES_OF_A_RECORD + i, span_str(boxes[i].name),
			       boxes[i].special, at_us, &b);
		views_run(v, "INSERT OR IGNORE INTO subscription VALUES (?, ?)", "is", I(a->id),
			  span_str(boxes[i].name));
	}
}

static void account_make(struct views *v, struct span name, uint64_t number, uint64_t at_us)
{
	struct account a = {.id = number + 1, .modseq = 1, .is_active = true};

	boxes_cool(v);
	views_run(v, "INSERT INTO account VALUES (?, ?, '', 1, ?, 1, 0, 0, 0)", "isi", I(a.id), name,
		  I(at_us));
	v->people++;
	make_boxes(v, &a, number, at_us);
	backfill(v, name, a.id, at_us);
}

static void account_unmake(struct views *v, const struct account *a)
{
	static const char *const each[] = {
		"DELETE FROM entry WHERE box IN (SELECT id FROM mailbox WHERE account = ?)",
		"DELETE FROM gone WHERE box IN (SELECT id FROM mailbox WHERE account = ?)",
		"DELETE FROM mailbox WHERE account = ?",
		"DELETE FROM subscription WHERE account = ?",
		"DELETE FROM given_mid WHERE account = ?",
		"DELETE FROM home WHERE account = ?",
		"DELETE FROM thread_ref WHERE account = ?",
		"DELETE FROM thread_new WHERE account = ?",
		"DELETE FROM lost WHERE account = ?",
		"DELETE FROM setting WHERE account = ?",
		"DELETE FROM submission WHERE account = ?",
		"DELETE FROM account WHERE id = ?",
	};

	/* given is by number: found by the entries, and by what was sent without one */
	views_run(v,
		  "DELETE FROM given WHERE account = ?1 AND number IN (SELECT number FROM entry"
		  " WHERE box IN (SELECT id FROM mailbox WHERE account = ?1) UNION ALL SELECT"
		  " number FROM submission WHERE account = ?1)",
		  "i", I(a->id));
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		views_run(v, each[i], "i", I(a->id));
	refs_load(v);
	v->people--;
	mail_touched(v, a->id, 0, a->modseq + 1);
}

static struct span fact_of(const struct msg_directory_meta *m, const char *key)
{
	for (size_t i = 0; i < m->facts_n; i++)
		if (span_eq(m->facts[i].key, span_str(key)))
			return m->facts[i].value;
	return SPAN_NONE;
}

static bool has_fact(const struct msg_directory_meta *m, const char *key)
{
	for (size_t i = 0; i < m->facts_n; i++)
		if (span_eq(m->facts[i].key, span_str(key)))
			return true;
	return false;
}

void apply_account(struct views *v, const struct order_entry *e, const struct record *r,
		   const struct msg_directory_meta *m)
{
	struct span name = lower_span(v, m->scope), state = fact_of(m, "state");
	bool is_deleted = span_eq(state, SPAN_LIT("deleted"));
	struct account a;

	if (name.n == 0 || name.n > NAME_BYTES)
		return;
	resolved_forget(v);
	if (!account_by_name(v, name, &a)) {
		if (is_deleted)
			return;
		account_make(v, name, e->number, r->received_us);
		if (!account_by_name(v, name, &a))
			return;
	}
	if (is_deleted) {
		account_unmake(v, &a);
		return;
	}
	if (state.n)
		views_run(v, "UPDATE account SET active = ? WHERE id = ?", "ii",
			  I(span_eq(state, SPAN_LIT("active"))), I(a.id));
	if (has_fact(m, "name"))
		views_run(v, "UPDATE account SET person = ? WHERE id = ?", "si",
			  span_first(fact_of(m, "name"), NAME_BYTES), I(a.id));
}

/* ---- alias ---- */

void apply_alias(struct views *v, const struct order_entry *e, const struct record *r,
		 const struct msg_directory_meta *m)
{
	struct span address = lower_span(v, m->scope);

	(void)e;
	if (address.n == 0 || address.n > NAME_BYTES)
		return;
	resolved_forget(v);
	if (m->replaces)
		views_run(v, "DELETE FROM alias WHERE address = ?", "s", address);
	for (size_t i = 0; i < m->facts_n; i++) {
		struct span target = lower_span(v, m->facts[i].value);

		if (!span_eq(m->facts[i].key, SPAN_LIT("target")) || target.n == 0 ||
		    target.n > NAME_BYTES)
			continue;
		views_run(v, "INSERT OR IGNORE INTO alias VALUES (?, ?)", "ss", address, target);
	}
	if (v->people > 0)
		backfill(v, address, 0, r->received_us);
}
