/*
 * Finished messages leave the views after KEPT_DAYS; the ledger keeps them as long as it does. By the time of records,
 * at fixed order numbers, so that a rebuild ends with the same (V1).
 */
#include "base/must.h"
#include "views/internal.h"

enum { EVERY = 4096, AT_ONCE = 2 * EVERY, KEPT_DAYS = 30 };

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
	uint64_t kept_us = (uint64_t)KEPT_DAYS * 86400 * 1000000, before_us;
	struct old *old;
	size_t n;

	if (v->next % EVERY != 0 || v->newest_us < kept_us)
		return;
	before_us = v->newest_us - kept_us;
	if (!is_any_old(v, before_us))
		return;
	old = arena_array(&v->arena, AT_ONCE, sizeof *old);
	must(old);
	n = find_old(v, before_us, old);
	for (size_t i = 0; i < n && v->rc == OK; i++) {
		views_run(v, "DELETE FROM message WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM done WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM attempt WHERE number = ?", "i", I(old[i].number));
		views_run(v, "DELETE FROM id_index WHERE key = ? AND number = ?", "ii", old[i].key,
			  I(old[i].number));
	}
}
