/* Sets of numbers, and the map between sequence numbers and UIDs: ranges both, because most mailboxes have few gaps. */
#include "imap/server_internal.h"

#include <stdlib.h>

#include "base/must.h"

/* Room for one more; own small allocations: the number of ranges is bounded by commands and mailboxes. */
static void *grow(void *p, size_t n, size_t *cap, size_t size)
{
	size_t wanted;

	if (n < *cap)
		return p;
	wanted = *cap ? *cap + *cap / 2 + 1 : 4;
	p = reallocarray(p, wanted, size);
	must(p);
	*cap = wanted;
	return p;
}

void imap_set_add(struct imap_set *set, uint32_t first, uint32_t last)
{
	struct mail_range *end = set->n ? &set->r[set->n - 1] : NULL;

	if (end && (end->last == UINT32_MAX || first <= end->last + 1)) {
		if (last > end->last)
			end->last = last;
		return;
	}
	set->r = grow(set->r, set->n, &set->cap, sizeof *set->r);
	set->r[set->n++] = (struct mail_range){first, last};
}

void imap_set_clear(struct imap_set *set)
{
	free(set->r);
	*set = (struct imap_set){0};
}

size_t imap_set_find(const struct imap_set *set, uint32_t value)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->r[middle].last < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool imap_set_has(const struct imap_set *set, uint32_t value)
{
	size_t i = imap_set_find(set, value);

	return i < set->n && set->r[i].first <= value;
}

uint64_t imap_set_count(const struct imap_set *set)
{
	uint64_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += (uint64_t)set->r[i].last - set->r[i].first + 1;
	return n;
}

void imap_set_print(struct buf *out, const struct mail_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			(void)buf_append_byte(out, ',');
		if (r[i].first == r[i].last)
			(void)buf_printf(out, "%u", r[i].first);
		else
			(void)buf_printf(out, "%u:%u", r[i].first, r[i].last);
	}
}

/* ---- the map ---- */

void imap_map_clear(struct imap_map *m)
{
	free(m->r);
	*m = (struct imap_map){0};
}

void imap_map_add(struct imap_map *m, uint32_t first, uint32_t last)
{
	struct imap_run *end = m->n ? &m->r[m->n - 1] : NULL;

	if (end && first <= end->last)
		first = end->last + 1; /* the store's promise, kept for it */
	if (first == 0 || last < first)
		return;
	if (end && first == end->last + 1) {
		end->last = last;
	} else {
		m->r = grow(m->r, m->n, &m->cap, sizeof *m->r);
		m->r[m->n++] = (struct imap_run){first, last, m->total};
	}
	m->total += last - first + 1;
}

uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct imap_run *r = &m->r[middle];

		if (uid < r->first)
			high = middle;
		else if (uid > r->last)
			low = middle + 1;
		else
			return r->before + (uid - r->first) + 1;
	}
	return 0;
}

uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq)
{
	size_t low = 0, high = m->n;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m->r[middle].before < seq)
			low = middle;
		else
			high = middle;
	}
	must(seq > 0 && seq <= m->total);
	return m->r[low].first + (seq - m->r[low].before - 1);
}

uint32_t imap_map_last(const struct imap_map *m)
{
	return m->n ? m->r[m->n - 1].last : 0;
}

static bool on_range(void *to, struct mail_range uids)
{
	imap_map_add(to, uids.first, uids.last);
	return true;
}

enum rc imap_map_load(struct imap_server *s, uint64_t box, struct imap_map *out, struct fault *why)
{
	struct imap_map map = {0};
	enum rc rc = s->store.ops->each_range(s->store.arg, box, on_range, &map, why);

	if (rc != OK) {
		imap_map_clear(&map);
		return rc;
	}
	if (map.n < map.cap) { /* it may live long: no more than it needs */
		struct imap_run *fit = map.n ? reallocarray(map.r, map.n, sizeof *fit) : NULL;

		if (fit) {
			map.r = fit;
			map.cap = map.n;
		}
	}
	*out = map;
	return OK;
}

/* ---- sets in commands ---- */

static int by_first(const void *a, const void *b)
{
	uint32_t x = ((const struct mail_range *)a)->first,
		 y = ((const struct mail_range *)b)->first;

	return (x > y) - (x < y);
}

/* A number, or "*" as 0. */
static bool get_bound(struct span *c, bool allows_star, uint32_t *out)
{
	uint64_t value;

	if (allows_star && imap_get(c, "*")) {
		*out = 0;
		return true;
	}
	if (!imap_get_number(c, UINT32_MAX, &value) || value == 0)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* The ranges as written, in any order; "*" is `star`. */
static bool get_ranges(struct span *c, bool allows_star, uint32_t star, struct imap_set *out)
{
	do {
		uint32_t a, b;

		if (!get_bound(c, allows_star, &a))
			return false;
		b = a;
		if (imap_get(c, ":") && !get_bound(c, allows_star, &b))
			return false;
		a = a ? a : star;
		b = b ? b : star;
		if (out->n >= IMAP_SET_LIMIT)
			return false;
		out->r = grow(out->r, out->n, &out->cap, sizeof *out->r);
		out->r[out->n++] = a <= b ? (struct mail_range){a, b} : (struct mail_range){b, a};
	} while (imap_get(c, ","));
	return true;
}

static void normalise(struct imap_set *set)
{
	struct imap_set in = *set;

	*set = (struct imap_set){0};
	if (in.n)
		qsort(in.r, in.n, sizeof *in.r, by_first);
	for (size_t i = 0; i < in.n; i++)
		imap_set_add(set, in.r[i].first, in.r[i].last);
	imap_set_clear(&in);
}

bool imap_get_plain_set(struct span *c, struct imap_set *out)
{
	struct imap_set set = {0};

	if (!get_ranges(c, false, 0, &set)) {
		imap_set_clear(&set);
		return false;
	}
	normalise(&set);
	*out = set;
	return true;
}

static void take_saved(const struct imap_set *saved, struct imap_set *out)
{
	for (size_t i = 0; i < saved->n; i++)
		imap_set_add(out, saved->r[i].first, saved->r[i].last);
}

/* What the client does not know yet it cannot mean: "5:*" does not reach beyond its last message. */
static void cut_uids(const struct imap_set *in, uint32_t last, struct imap_set *out)
{
	for (size_t i = 0; i < in->n && in->r[i].first <= last; i++)
		imap_set_add(out, in->r[i].first, in->r[i].last < last ? in->r[i].last : last);
}

static bool to_uids(const struct imap_map *map, const struct imap_set *in, struct imap_set *out)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->r[i].first == 0 || in->r[i].last > map->total)
			return false;
		imap_set_add(out, imap_map_uid(map, in->r[i].first),
			     imap_map_uid(map, in->r[i].last));
	}
	return true;
}

enum imap_set_result imap_get_set(const struct imap_server *s, struct span *c, bool by_uid,
				  struct imap_set *out)
{
	const struct imap_map *map = &s->box->map;
	struct imap_set set = {0};
	enum imap_set_result result = IMAP_SET_FINE;

	*out = (struct imap_set){0};
	if (imap_get(c, "$")) {
		take_saved(&s->box->saved, out);
		return IMAP_SET_FINE;
	}
	if (!get_ranges(c, true, by_uid ? imap_map_last(map) : map->total, &set)) {
		imap_set_clear(&set);
		return IMAP_SET_SYNTAX;
	}
	normalise(&set);
	if (map->total == 0)
		; /* nothing can be meant */
	else if (by_uid)
		cut_uids(&set, imap_map_last(map), out);
	else if (!to_uids(map, &set, out))
		result = IMAP_SET_RANGE;
	imap_set_clear(&set);
	if (result != IMAP_SET_FINE)
		imap_set_clear(out);
	return result;
}

bool imap_want_set(struct imap_server *s, struct imap_work *w, struct span *c, struct imap_set *out)
{
	if (!imap_get_space(c)) {
		imap_bad(s, w, "A set of messages is missing");
		return false;
	}
	switch (imap_get_set(s, c, w->by_uid, out)) {
	case IMAP_SET_FINE:
		return true;
	case IMAP_SET_SYNTAX:
		imap_bad(s, w, "That is no set of messages");
		return false;
	case IMAP_SET_RANGE:
		imap_bad(s, w, "There are not so many messages");
		return false;
	}
	must_never("unknown set result");
}
