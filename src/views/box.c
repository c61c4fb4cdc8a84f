/*
 * Rows of `mailbox`: found, made, saved, taken away. An INBOX that mail goes to is kept in memory with its account ("hot")
 * until the commit, or until somebody asks for any mailbox or account otherwise: then all are written.
 */
#include <stdlib.h>

#include "base/must.h"
#include "views/people.h"

#define BOX_COLUMNS                                                                                \
	"SELECT id, account, special, uidvalidity, uidnext, total, unseen, deleted, bytes, "       \
	"modseq, unread FROM mailbox WHERE "

static bool box_from(struct views *v, sqlite3_stmt *q, struct box *out)
{
	if (!views_row(v, q))
		return false;
	*out = (struct box){
		.id = (uint64_t)views_int(q, 0),
		.account = (uint64_t)views_int(q, 1),
		.special = (enum mail_special)views_int(q, 2),
		.uidvalidity = (uint32_t)views_int(q, 3),
		.uidnext = (uint32_t)views_int(q, 4),
		.total = views_int(q, 5),
		.unseen = views_int(q, 6),
		.deleted = views_int(q, 7),
		.bytes = views_int(q, 8),
		.modseq = (uint64_t)views_int(q, 9),
		.unread = views_int(q, 10),
	};
	views_done(q);
	return true;
}

static bool box_find(struct views *v, uint64_t account, struct span name, struct box *out)
{
	return box_from(
		v, views_bind(v, BOX_COLUMNS "account = ? AND name = ?", "is", I(account), name),
		out);
}

static void write_box(struct views *v, const struct box *b)
{
	views_run(v,
		  "UPDATE mailbox SET uidnext = ?2, total = ?3, unseen = ?4, deleted = ?5,"
		  " bytes = ?6, modseq = ?7, unread = ?8 WHERE id = ?1",
		  "iiiiiiii", I(b->id), I(b->uidnext), b->total, b->unseen, b->deleted, b->bytes,
		  I(b->modseq), b->unread);
}

struct hot *hot_inbox(struct views *v, uint64_t account)
{
	struct hot *h = map_get(&v->hot, map_key_u64(&account)), found;

	if (h)
		return h;
	if (!account_find(v, account, &found.account) ||
	    !box_find(v, account, SPAN_LIT("INBOX"), &found.inbox))
		return NULL;
	h = must_alloc(sizeof *h);
	*h = found;
	(void)map_put(&v->hot, map_key_u64(&account), h);
	return h;
}

static int by_account(const void *a, const void *b)
{
	const struct hot *const *x = a, *const *y = b;

	return (*x)->account.id < (*y)->account.id ? -1 : (*x)->account.id > (*y)->account.id;
}

void boxes_cool(struct views *v)
{
	struct hot **all;
	size_t cursor = 0, n = 0;
	struct span key;
	void *value;

	if (v->hot.n == 0)
		return;
	all = must_alloc(v->hot.n * sizeof *all);
	while (map_next(&v->hot, &cursor, &key, &value))
		all[n++] = value;
	qsort(all, n, sizeof *all, by_account);
	for (size_t i = 0; i < n; i++) {
		views_run(v, "UPDATE account SET modseq = ? WHERE id = ?", "ii",
			  I(all[i]->account.modseq), I(all[i]->account.id));
		write_box(v, &all[i]->inbox);
		free(all[i]);
	}
	free(all);
	map_fini(&v->hot, NULL);
	map_init(&v->hot);
}

bool box_by_id(struct views *v, uint64_t id, struct box *out)
{
	boxes_cool(v);
	return box_from(v, views_bind(v, BOX_COLUMNS "id = ? AND name IS NOT NULL", "i", I(id)),
			out);
}

bool box_by_name(struct views *v, uint64_t account, struct span name, struct box *out)
{
	boxes_cool(v);
	return box_find(v, account, name, out);
}

bool box_special(struct views *v, uint64_t account, enum mail_special special, struct box *out)
{
	boxes_cool(v);
	return box_from(v,
			views_bind(v,
				   BOX_COLUMNS "account = ? AND special = ? AND name IS NOT NULL",
				   "ii", I(account), I(special)),
			out);
}

void box_save(struct views *v, const struct box *b)
{
	write_box(v, b);
	mail_touched(v, b->account, b->id, b->modseq);
}

/* M2. */
static uint32_t next_uidvalidity(struct views *v, struct account *a, uint64_t at_us)
{
	uint64_t seconds = at_us / 1000000;

	if (seconds > UINT32_MAX / 2) /* a clock gone wild leaves room above */
		seconds = 1;
	if (seconds <= a->uidvalidity)
		seconds = (uint64_t)a->uidvalidity + 1;
	a->uidvalidity = (uint32_t)seconds;
	views_run(v, "UPDATE account SET uidvalidity = ? WHERE id = ?", "ii", I(a->uidvalidity),
		  I(a->id));
	return a->uidvalidity;
}

uint64_t box_make(struct views *v, struct account *a, uint64_t id, struct span name,
		  enum mail_special special, uint64_t at_us, struct box *out)
{
	*out = (struct box){
		.id = id,
		.account = a->id,
		.special = special,
		.uidvalidity = next_uidvalidity(v, a, at_us),
		.uidnext = 1,
		.modseq = account_modseq(v, a),
	};
	views_run(v,
		  "INSERT INTO mailbox VALUES (?1, ?2, ?3, ?4, ?5, 1, 0, 0, 0, 0, ?6, ?6, ?6, 0)",
		  "iisiii", I(id), I(a->id), name, I(special), I(out->uidvalidity), I(out->modseq));
	mail_touched(v, a->id, 0, out->modseq);
	return id;
}

void box_unmake(struct views *v, struct account *a, struct box *b)
{
	uint64_t modseq = account_modseq(v, a);

	views_run(v, "UPDATE entry SET gone = 1, modseq = ?2 WHERE box = ?1 AND gone = 0", "ii",
		  I(b->id), I(modseq));
	b->total = b->unseen = b->deleted = b->bytes = b->unread = 0;
	b->modseq = modseq;
	box_save(v, b);
	lost_box(v, b);
	views_run(v, "UPDATE mailbox SET name = NULL WHERE id = ?", "i", I(b->id));
	box_forget(v, b->id);
	mail_touched(v, a->id, 0, modseq);
}

void box_forget(struct views *v, uint64_t id)
{
	views_run(v,
		  "DELETE FROM mailbox WHERE id = ?1 AND name IS NULL AND NOT EXISTS"
		  " (SELECT 1 FROM entry WHERE box = ?1)",
		  "i", I(id));
	if (sqlite3_changes(v->db) > 0)
		views_run(v, "DELETE FROM gone WHERE box = ?", "i", I(id));
}

void mail_touched(struct views *v, uint64_t account, uint64_t box, uint64_t modseq)
{
	if (v->ops.on_mail)
		v->ops.on_mail(v->ops.arg, account, box, modseq);
}
