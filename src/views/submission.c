/* What people submitted: so that they can be told what became of it (RFC 8621 s7). */
#include "views/people.h"

static uint64_t next_modseq(struct views *v, uint64_t account)
{
	sqlite3_stmt *q;
	uint64_t modseq = 0;

	views_run(v, "UPDATE account SET submissions = submissions + 1 WHERE id = ?", "i",
		  I(account));
	q = views_bind(v, "SELECT submissions FROM account WHERE id = ?", "i", I(account));
	if (views_row(v, q)) {
		modseq = (uint64_t)views_int(q, 0);
		views_done(q);
	}
	return modseq;
}

void submission_made(struct views *v, uint64_t account, uint64_t number)
{
	views_run(v, "INSERT OR IGNORE INTO submission VALUES (?, ?, ?)", "iii", I(number),
		  I(account), I(next_modseq(v, account)));
	mail_touched(v, account, 0, 0);
}

void submission_moved(struct views *v, uint64_t number)
{
	sqlite3_stmt *q;
	uint64_t account;

	if (v->people == 0)
		return;
	q = views_bind(v, "SELECT account FROM submission WHERE number = ?", "i", I(number));
	if (!views_row(v, q))
		return;
	account = (uint64_t)views_int(q, 0);
	views_done(q);
	views_run(v, "UPDATE submission SET modseq = ? WHERE number = ?", "ii",
		  I(next_modseq(v, account)), I(number));
	mail_touched(v, account, 0, 0);
}

void submission_forget(struct views *v, uint64_t number)
{
	views_run(v, "DELETE FROM submission WHERE number = ?", "i", I(number));
}
