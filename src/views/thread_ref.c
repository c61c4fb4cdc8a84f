/*
 * Which conversation a reference leads to. References are hashes, so a row each in a tree of all would touch a page each,
 * and write it. Instead a new one is appended (thread_new) and kept in memory, in parts by its first bits; when there are
 * many, one part after the other goes into the tree (thread_ref), sorted: its rows share their pages, and no commit waits
 * long. What a reference leads to does not depend on when that happens:
 *
 *   R1  A reference is in thread_ref or, above what thread_upto says of its part, in thread_new, never in both; memory holds
 *       what of thread_new counts. Who notes it first keeps it.
 *   R2  thread_new, thread_upto and what they say change in the transaction of the record.
 */
#include <stdlib.h>

#include "base/must.h"
#include "views/people.h"

enum { PART_SHIFT = 58, KEPT = 65536, FIRST_ROOM = 64 };

uint64_t ref_key(uint64_t account, uint64_t ref, uint64_t subject)
{
	return queue_mix(queue_mix(queue_mix(account) + ref) + subject);
}

static struct ref_part *part_of(struct views *v, uint64_t key)
{
	return &v->refs[key >> PART_SHIFT];
}

/* Where it is, or the free place where it belongs. Parts have room. */
static struct ref_row *place_in(const struct ref_part *p, uint64_t key)
{
	size_t i = (size_t)key & (p->room - 1);

	while (p->rows[i].serial && p->rows[i].key != key)
		i = (i + 1) & (p->room - 1);
	return &p->rows[i];
}

static void grow(struct ref_part *p)
{
	struct ref_part larger = {.n = p->n, .room = p->room ? p->room * 2 : FIRST_ROOM};

	larger.rows = must_alloc(larger.room * sizeof *larger.rows);
	for (size_t i = 0; i < p->room; i++)
		if (p->rows[i].serial)
			*place_in(&larger, p->rows[i].key) = p->rows[i];
	free(p->rows);
	*p = larger;
}

static void keep(struct views *v, const struct ref_row *row)
{
	struct ref_part *p = part_of(v, row->key);
	struct ref_row *at;

	if ((p->n + 1) * 4 > p->room * 3)
		grow(p);
	at = place_in(p, row->key);
	if (at->serial == 0)
		p->n++, v->refs_n++;
	*at = *row;
}

/* In memory and not forgotten; NULL. */
static struct ref_row *kept(struct views *v, uint64_t key)
{
	const struct ref_part *p = part_of(v, key);
	struct ref_row *at = p->n ? place_in(p, key) : NULL;

	return at && at->serial && at->account ? at : NULL;
}

bool ref_find(struct views *v, uint64_t key, struct ref_row *out)
{
	const struct ref_row *row = kept(v, key);
	sqlite3_stmt *q;

	if (row) {
		*out = *row;
		return true;
	}
	q = views_bind(v, "SELECT account, thread FROM thread_ref WHERE key = ?", "i", I(key));
	if (!views_row(v, q))
		return false;
	*out = (struct ref_row){.key = key,
				.account = (uint64_t)views_int(q, 0),
				.thread = (uint64_t)views_int(q, 1)};
	views_done(q);
	return true;
}

void ref_note(struct views *v, struct ref_row row)
{
	if (kept(v, row.key)) /* a record that names one twice */
		return;
	row.serial = ++v->refs_serial;
	views_run(v, "INSERT INTO thread_new VALUES (?, ?, ?, ?, ?)", "iiiii", I(row.serial),
		  I(row.key), I(row.account), I(row.thread), I(row.number));
	keep(v, &row);
}

void ref_forget(struct views *v, uint64_t key, uint64_t account, uint64_t number)
{
	struct ref_row *row = kept(v, key);

	if (!row) {
		views_run(v, "DELETE FROM thread_ref WHERE key = ? AND account = ? AND number = ?",
			  "iii", I(key), I(account), I(number));
	} else if (row->account == account && row->number == number) {
		views_run(v, "DELETE FROM thread_new WHERE serial = ?", "i", I(row->serial));
		row->account = 0; /* its place stays taken, for those behind it */
	}
}

/* ---- into the tree ---- */

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct ref_row *)a)->key, y = ((const struct ref_row *)b)->key;

	return x < y ? -1 : x > y;
}

static void empty(struct views *v, struct ref_part *p)
{
	v->refs_n -= p->n;
	free(p->rows);
	*p = (struct ref_part){0};
}

static void settle(struct views *v, unsigned part)
{
	struct ref_part *p = &v->refs[part];
	size_t n = 0;

	for (size_t i = 0; i < p->room; i++)
		if (p->rows[i].serial && p->rows[i].account)
			p->rows[n++] = p->rows[i];
	if (n)
		qsort(p->rows, n, sizeof *p->rows, by_key);
	for (size_t i = 0; i < n && v->rc == OK; i++)
		views_run(v, "INSERT OR IGNORE INTO thread_ref VALUES (?, ?, ?, ?)", "iiii",
			  I(p->rows[i].key), I(p->rows[i].account), I(p->rows[i].thread),
			  I(p->rows[i].number));
	empty(v, p);
	views_run(v, "UPDATE thread_upto SET serial = ? WHERE part = ?", "ii", I(v->refs_serial),
		  I(part));
}

void refs_settle(struct views *v)
{
	while (v->refs_n > KEPT && v->rc == OK) {
		settle(v, v->refs_turn);
		v->refs_turn = (v->refs_turn + 1) % REF_PARTS;
		if (v->refs_turn == 0)
			views_run(v,
				  "DELETE FROM thread_new WHERE serial <= (SELECT min(serial) FROM"
				  " thread_upto)",
				  "");
	}
}

/* ---- the whole ---- */

void refs_free(struct views *v)
{
	for (unsigned i = 0; i < REF_PARTS; i++)
		empty(v, &v->refs[i]);
}

void refs_load(struct views *v)
{
	sqlite3_stmt *q =
		views_sql(v, "SELECT max(coalesce((SELECT max(serial) FROM thread_new), 0),"
			     " (SELECT max(serial) FROM thread_upto))");

	refs_free(v);
	if (views_row(v, q))
		v->refs_serial = (uint64_t)views_int(q, 0);
	views_done(q);
	q = views_sql(v, "SELECT part FROM thread_upto ORDER BY serial, part LIMIT 1");
	if (views_row(v, q))
		v->refs_turn = (unsigned)views_int(q, 0) % REF_PARTS;
	views_done(q);
	q = views_sql(v,
		      "SELECT n.serial, n.key, n.account, n.thread, n.number FROM thread_new n"
		      " JOIN thread_upto u ON u.part = n.key >> 58 & 63 WHERE n.serial > u.serial");
	while (views_row(v, q))
		keep(v, &(struct ref_row){.serial = (uint64_t)views_int(q, 0),
					  .key = (uint64_t)views_int(q, 1),
					  .account = (uint64_t)views_int(q, 2),
					  .thread = (uint64_t)views_int(q, 3),
					  .number = (uint64_t)views_int(q, 4)});
}
