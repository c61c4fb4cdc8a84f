/*
 * Finished messages that no mailbox shows leave the views after 30 days, or the window if that is longer; the ledger
 * keeps them as long as it does. By the time of records, at fixed order numbers, so that a rebuild ends with the same (V1).
 */
#include "base/must.h"
#include "views/people.h"

enum { EVERY = 4096, AT_ONCE = 2 * EVERY };

struct old {
	uint64_t number;
	int64_t key;
};

static size_t find_old(struct views *v, uint64_t before_us, struct old *out)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT number, key FROM message m WHERE received_us < ? AND NOT EXISTS"
			   " (SELECT 1 FROM delivery d WHERE d.number = m.number)"
			   " AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.number = m.number AND"
			   " e.gone = 0)"
			   " AND number < ? ORDER BY number LIMIT ?",
			   "iii", I(before_us), I(v->next), I(AT_ONCE));
	size_t n = 0;

	while (n < AT_ONCE && views_row(v, q)) {
		out[n].number = (uint64_t)views_int(q, 0);
		out[n++].key = views_int(q, 1);
	}
	views_done(q);
	return n;
}

/* The oldest message there is: nothing to look for while it is young. */
static bool is_any_old(struct views *v, uint64_t before_us)
{
	sqlite3_stmt *q = views_sql(v, "SELECT received_us FROM message ORDER BY number LIMIT 1");
	bool yes = views_row(v, q) && (uint64_t)views_int(q, 0) < before_us;

	views_done(q);
	return yes;
}

void prune(struct views *v)
{
	uint64_t kept_us = v->window_us > VIEWS_WINDOW_US ? v->window_us : VIEWS_WINDOW_US,
		 before_us;
	struct old *old;
	size_t n;

	if (v->next % EVERY != 0)
		return;
	verdicts_prune(v);
	if (v->newest_us < kept_us)
		return;
	before_us = v->newest_us - kept_us;
	lost_prune(v, before_us);
	if (!is_any_old(v, before_us))
		return;
	old = arena_array(&v->arena, AT_ONCE, sizeof *old);
	must(old);
	n = find_old(v, before_us, old);
	for (size_t i = 0; i < n && v->rc == OK; i++) {
		entries_forget(v, old[i].number);
		views_run(v,
			  "DELETE FROM arrival WHERE (addr, number) IN (SELECT coalesce(was, addr),"
			  " number FROM done WHERE number = ?1 UNION ALL SELECT addr, number FROM"
			  " copied WHERE number = ?1)",
			  "i", I(old[i].number));
		submission_forget(v, old[i].number);
		views_run(v, "DELETE FROM copied WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM message WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM done WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM attempt WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM id_index WHERE key = ? AND number = ?", "ii", old[i].key,
			  I(old[i].number));
	}
}
