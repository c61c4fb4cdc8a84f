/*
 * What an account had and has not got any more: told to whoever asks what changed since a modseq (JMAP's destroyed), after
 * the rows themselves are gone. Kept for a window by the time of records; then account.told_from says from where on
 * changes can be told.
 */
#include "base/must.h"
#include "views/people.h"

enum { AT_ONCE = 20000 };

void lost_box(struct views *v, const struct box *b)
{
	views_run(v,
		  "INSERT OR REPLACE INTO lost SELECT account, ?2, ?3, id, 0, born, 0, ?4 FROM "
		  "mailbox WHERE id = ?1",
		  "iiii", I(b->id), I(b->modseq), I(LOST_BOX), I(v->newest_us));
}

void lost_emails(struct views *v, uint64_t number)
{
	views_run(v,
		  "INSERT OR REPLACE INTO lost SELECT account, max(modseq), ?2, number, form,"
		  " min(born), thread, ?3 FROM entry WHERE number = ?1 GROUP BY account, form",
		  "iii", I(number), I(LOST_EMAIL), I(v->newest_us));
}

/* at_us grows with an account's modseqs but for what waited for its message to leave: the highest one counts. */
void lost_prune(struct views *v, uint64_t before_us)
{
	views_run(v,
		  "UPDATE account SET told_from = max(told_from, m) FROM (SELECT account AS a,"
		  " max(modseq) AS m FROM (SELECT account, modseq FROM lost WHERE at_us < ?1 ORDER"
		  " BY at_us LIMIT ?2) GROUP BY account) WHERE id = a",
		  "ii", I(before_us), I(AT_ONCE));
	views_run(v,
		  "DELETE FROM lost WHERE (account, modseq, kind, id, form) IN (SELECT account,"
		  " modseq, kind, id, form FROM lost WHERE at_us < ?1 ORDER BY at_us LIMIT ?2)",
		  "ii", I(before_us), I(AT_ONCE));
}
