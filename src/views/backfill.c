/*
 * What came before its account or alias was made. Recipients are found by their base (lower case, no detail), their
 * messages by `arrival`, which is brought up to date first; then each address is resolved as if its mail came now, and what
 * the accounts were not given yet is given in the order of its arrival.
 */
#include <stdlib.h>

#include "base/must.h"
#include "views/people.h"

struct names { /* addresses that lead to the one that changed, itself among them */
	struct span *at;
	size_t n, cap;
};

struct given_pair {
	uint64_t number, account;
};
struct pairs {
	struct given_pair *at;
	size_t n, cap;
};

enum { NAMES_LIMIT = 20000 };

static void names_add(struct names *names, struct span name)
{
	for (size_t i = 0; i < names->n; i++)
		if (span_eq(names->at[i], name))
			return;
	if (names->n == NAMES_LIMIT)
		return;
	if (names->n == names->cap) {
		names->cap = names->cap ? 2 * names->cap : 8;
		names->at = realloc(names->at, names->cap * sizeof *names->at);
		must(names->at);
	}
	names->at[names->n++] = name;
}

static void names_leading_to(struct views *v, struct span address, struct names *out)
{
	names_add(out, address);
	for (size_t i = 0; i < out->n; i++) {
		sqlite3_stmt *q =
			views_bind(v, "SELECT address FROM alias WHERE target = ? ORDER BY address",
				   "s", out->at[i]);

		while (views_row(v, q))
			names_add(out, arena_span(&v->arena, views_text(q, 0)));
	}
}

static void pairs_add(struct pairs *p, uint64_t number, uint64_t account)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 256;
		p->at = realloc(p->at, p->cap * sizeof *p->at);
		must(p->at);
	}
	p->at[p->n++] = (struct given_pair){number, account};
}

static int by_number(const void *a, const void *b)
{
	const struct given_pair *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->account < y->account ? -1 : x->account > y->account;
}

static void arrivals_of(struct views *v, uint64_t addr, const struct account_ids *to,
			uint64_t account, struct pairs *out)
{
	sqlite3_stmt *q = views_bind(v, "SELECT number FROM arrival WHERE addr = ? ORDER BY number",
				     "i", I(addr));

	while (views_row(v, q))
		for (size_t i = 0; i < to->n; i++)
			if (account == 0 || to->ids[i] == account)
				pairs_add(out, (uint64_t)views_int(q, 0), to->ids[i]);
}

/* Addresses seen as recipients that this name may stand for. */
static size_t addresses_of(struct views *v, struct span name, uint64_t **out_ids,
			   struct span **out_texts)
{
	bool is_domain = name.n > 0 && name.p[0] == '@';
	sqlite3_stmt *q =
		is_domain ? views_bind(v,
				       "SELECT id, text FROM address WHERE base IS NOT NULL AND"
				       " substr(base, -length(?1)) = ?1 ORDER BY id",
				       "s", name)
			  : views_bind(v, "SELECT id, text FROM address WHERE base = ? ORDER BY id",
				       "s", address_base(v, name));
	size_t n = 0, cap = 0;

	*out_ids = NULL;
	*out_texts = NULL;
	while (views_row(v, q)) {
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			*out_ids = realloc(*out_ids, cap * sizeof **out_ids);
			*out_texts = realloc(*out_texts, cap * sizeof **out_texts);
			must(*out_ids && *out_texts);
		}
		(*out_ids)[n] = (uint64_t)views_int(q, 0);
		(*out_texts)[n++] = arena_span(&v->arena, views_text(q, 1));
	}
	return n;
}

static void gather(struct views *v, struct span name, uint64_t account, struct pairs *out)
{
	uint64_t *ids;
	struct span *texts;
	size_t n = addresses_of(v, name, &ids, &texts);

	for (size_t i = 0; i < n && v->rc == OK; i++) {
		struct account_ids to = {0};

		resolve(v, texts[i], &to);
		if (account == 0 ? to.n > 0 : account_ids_has(&to, account))
			arrivals_of(v, ids[i], &to, account, out);
	}
	free(ids);
	free(texts);
}

static void give_one(struct views *v, const struct given_pair *p, uint64_t since_us)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT facts, received_us, bytes, trace_bytes FROM message WHERE number = ?",
		"i", I(p->number));
	struct msg_message_meta m;
	struct letter l = {.number = p->number, .m = &m};
	bool ok;

	if (!views_row(v, q))
		return;
	l.received_us = (uint64_t)views_int(q, 1);
	l.body_bytes = (uint64_t)views_int(q, 2);
	l.trace_bytes = (uint64_t)views_int(q, 3);
	ok = l.received_us >= since_us &&
	     msg_message_meta_decode(&v->arena, arena_span(&v->arena, views_text(q, 0)), &m);
	views_done(q);
	if (ok)
		mail_give(v, p->account, &l);
}

/* Each with an arena of its own: there may be many, and the caller's spans stay. */
static void give_all(struct views *v, struct pairs *pairs, uint64_t since_us)
{
	struct arena callers = views_aside(v);

	for (size_t i = 0; i < pairs->n && v->rc == OK; i++) {
		if (i == 0 || by_number(&pairs->at[i], &pairs->at[i - 1]) != 0)
			give_one(v, &pairs->at[i], since_us);
		arena_reset(&v->arena);
	}
	views_back(v, callers);
}

/* Sorted, so that many rows share a page; only when somebody asks, so that mail does not pay for it. */
static void index_arrivals(struct views *v)
{
	sqlite3_stmt *q = views_sql(v, "SELECT upto FROM arrival_upto");
	int64_t from = views_row(v, q) ? views_int(q, 0) : 0;

	views_done(q);
	views_run(v,
		  "INSERT OR IGNORE INTO arrival SELECT * FROM"
		  " (SELECT coalesce(was, addr) a, number n FROM delivery WHERE number >= ?1"
		  " UNION ALL SELECT coalesce(was, addr), number FROM done WHERE number >= ?1"
		  " UNION ALL SELECT addr, number FROM copied WHERE number >= ?1) ORDER BY a, n",
		  "i", from);
	views_run(v, "UPDATE arrival_upto SET upto = ?", "i", I(v->next));
}

void backfill(struct views *v, struct span address, uint64_t account, uint64_t at_us)
{
	uint64_t since_us = at_us > v->window_us ? at_us - v->window_us : 0;
	struct names names = {0};
	struct pairs pairs = {0};

	index_arrivals(v);
	names_leading_to(v, address, &names);
	for (size_t i = 0; i < names.n && v->rc == OK; i++)
		gather(v, names.at[i], account, &pairs);
	if (pairs.n)
		qsort(pairs.at, pairs.n, sizeof *pairs.at, by_number);
	give_all(v, &pairs, since_us);
	free(names.at);
	free(pairs.at);
}
