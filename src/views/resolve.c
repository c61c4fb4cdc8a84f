/*
 * Whose mailboxes an address leads to: the account or alias of that name; else of the name without its detail
 * (user+detail); else the domain's catch-all. Targets of aliases in turn, breadth first, with bounds on depth and number,
 * so that circles and large groups end (no recursion).
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "views/people.h"

enum { DEPTH = 10, NAMES_LIMIT = 20000, REMEMBERED_LIMIT = 20000 };

struct walk {
	struct {
		struct span name;
		unsigned depth;
	} * at;
	size_t n, cap;
	struct map seen;
};

struct span lower_span(struct views *v, struct span text)
{
	unsigned char *p = arena_alloc(&v->arena, text.n + 1);

	if (!p)
		return SPAN_NONE;
	for (size_t i = 0; i < text.n; i++)
		p[i] = ascii_lower(text.p[i]);
	return span_of(p, text.n);
}

struct span address_base(struct views *v, struct span text)
{
	struct span lower = lower_span(v, text);
	ssize_t at = span_rchr(lower, '@'), plus = span_chr(lower, '+');
	unsigned char *p = (unsigned char *)lower.p;

	if (at < 0 || plus <= 0 || plus > at || lower.p[0] == '"')
		return lower;
	memmove(p + plus, p + at, lower.n - (size_t)at);
	return span_of(p, lower.n - (size_t)(at - plus));
}

static void walk_add(struct walk *w, struct span name, unsigned depth)
{
	if (depth > DEPTH || w->n >= NAMES_LIMIT || map_get(&w->seen, name))
		return;
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 8;
		w->at = realloc(w->at, w->cap * sizeof *w->at);
		must(w->at);
	}
	w->at[w->n].name = name;
	w->at[w->n++].depth = depth;
	(void)map_put(&w->seen, name, w);
}

bool account_ids_has(const struct account_ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->ids[i] == id)
			return true;
	return false;
}

static void ids_add(struct views *v, struct account_ids *ids, uint64_t id)
{
	size_t at = ids->n;

	if (account_ids_has(ids, id))
		return;
	if (ids->n == ids->cap) {
		size_t cap = ids->cap ? 2 * ids->cap : 8;
		uint64_t *more = arena_array(&v->arena, cap, sizeof *more);

		if (!more)
			return;
		if (ids->n)
			memcpy(more, ids->ids, ids->n * sizeof *more);
		ids->ids = more;
		ids->cap = cap;
	}
	for (; at > 0 && ids->ids[at - 1] > id; at--)
		ids->ids[at] = ids->ids[at - 1];
	ids->ids[at] = id;
	ids->n++;
}

/* True: the name is known here. */
static bool look_up(struct views *v, struct walk *w, struct span name, unsigned depth,
		    struct account_ids *out)
{
	struct account a;
	bool is_known = account_by_name(v, name, &a);
	sqlite3_stmt *q = views_bind(
		v, "SELECT target FROM alias WHERE address = ? ORDER BY target", "s", name);

	if (is_known)
		ids_add(v, out, a.id);
	while (views_row(v, q)) {
		is_known = true;
		walk_add(w, arena_span(&v->arena, views_text(q, 0)), depth + 1);
	}
	return is_known;
}

static void step(struct views *v, struct walk *w, struct span name, unsigned depth,
		 struct account_ids *out)
{
	struct span base;
	ssize_t at;

	if (look_up(v, w, name, depth, out))
		return;
	base = address_base(v, name);
	if (base.n != name.n && look_up(v, w, base, depth, out))
		return;
	at = span_rchr(name, '@');
	if (at > 0)
		(void)look_up(v, w, span_from(name, (size_t)at), depth, out);
}

static void walk_all(struct views *v, struct span address, struct account_ids *out)
{
	struct walk w = {0};

	map_init(&w.seen);
	walk_add(&w, lower_span(v, address), 0);
	for (size_t i = 0; i < w.n && v->rc == OK; i++)
		step(v, &w, w.at[i].name, w.at[i].depth, out);
	map_fini(&w.seen, NULL);
	free(w.at);
}

/* ---- what was found is remembered until a DIRECTORY record may change it ---- */

struct remembered {
	size_t n;
	uint64_t ids[];
};

void resolved_forget(struct views *v)
{
	if (v->resolved.n == 0)
		return;
	map_fini(&v->resolved, free);
	map_init(&v->resolved);
}

static void remember(struct views *v, struct span address, const struct account_ids *ids)
{
	struct remembered *r;

	if (v->resolved.n >= REMEMBERED_LIMIT)
		resolved_forget(v);
	r = must_alloc(sizeof *r + ids->n * sizeof *r->ids);
	r->n = ids->n;
	if (ids->n)
		memcpy(r->ids, ids->ids, ids->n * sizeof *r->ids);
	free(map_put(&v->resolved, address, r));
}

void resolve(struct views *v, struct span address, struct account_ids *out)
{
	const struct remembered *r = map_get(&v->resolved, address);
	struct account_ids found = {0};

	if (!r) {
		walk_all(v, address, &found);
		if (v->rc != OK)
			return;
		remember(v, address, &found);
		r = map_get(&v->resolved, address);
	}
	for (size_t i = 0; i < r->n; i++)
		ids_add(v, out, r->ids[i]);
}
