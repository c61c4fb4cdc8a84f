/*
 * The window of a site: which mailboxes are looked at, and the pages that fill them.
 *
 * Two cursors walk the site's ready deliveries in order number: one from the beginning, one from the site's `up`. They only
 * find mailboxes; what is offered of a mailbox is always asked for by mailbox, from its oldest on (Q2).
 */
#include <stdlib.h>

#include "base/must.h"
#include "queue/internal.h"

struct qsite *qsite_of(struct queue *q, uint32_t site)
{
	uint64_t id = site;
	struct qsite *s = map_get(&q->sites, map_key_u64(&id));

	if (s)
		return s;
	must(site >= 1);
	s = must_alloc(sizeof *s);
	s->id = site;
	list_init(&s->flows);
	map_init(&s->by_addr);
	pace_set(&s->pace, 0, 0);
	s->all = s->live = (struct cursor){.number = UINT64_MAX, .rcpt = -1};
	map_put(&q->sites, map_key_u64(&id), s);
	return s;
}

void qsite_free(void *site)
{
	struct qsite *s = site;

	while (!list_is_empty(&s->flows))
		free(LIST_ENTRY(list_shift(&s->flows), struct flow, in_site));
	map_fini(&s->by_addr, NULL);
	free(s->again);
	free(s);
}

void qsite_drop_if_empty(struct queue *q, struct qsite *s)
{
	uint64_t id = s->id;

	if (!s->is_empty || s->out > 0)
		return;
	map_remove(&q->sites, map_key_u64(&id));
	for (unsigned c = 0; c < QUEUE_COURIERS_MAX; c++)
		free(map_remove(&q->couriers[c].site_room, map_key_u64(&id)));
	qsite_free(s);
}

void queue_site_empty(struct queue *q, uint32_t site)
{
	uint64_t id = site;
	struct qsite *s = map_get(&q->sites, map_key_u64(&id));

	if (!s)
		return;
	s->is_empty = true;
	qsite_drop_if_empty(q, s);
}

/* ---- flows ---- */

struct flow *flow_of(struct qsite *s, uint64_t addr)
{
	return map_get(&s->by_addr, map_key_u64(&addr));
}

struct flow *flow_make(struct qsite *s, uint64_t addr, bool is_live)
{
	struct flow *f = flow_of(s, addr);

	if (f)
		return f;
	if (s->flows_n >= QUEUE_FLOWS_MAX + (is_live ? QUEUE_FLOWS_LIVE : 0))
		return NULL;
	f = must_alloc(sizeof *f);
	f->addr = addr;
	flow_again(f);
	list_append(&s->flows, &f->in_site);
	map_put(&s->by_addr, map_key_u64(&f->addr), f);
	s->flows_n++;
	return f;
}

static void flow_drop(struct qsite *s, struct flow *f)
{
	must(f->out == 0);
	map_remove(&s->by_addr, map_key_u64(&f->addr));
	list_remove(&f->in_site);
	s->flows_n--;
	free(f);
}

void flow_drop_if_idle(struct qsite *s, struct flow *f)
{
	if (f->n == 0 && f->out == 0 && f->is_dry)
		flow_drop(s, f);
}

void flow_again(struct flow *f)
{
	f->n = 0;
	f->is_dry = false;
	f->after_number = UINT64_MAX;
	f->after_rcpt = -1;
}

void flow_take(struct flow *f, size_t i)
{
	must(i < f->n);
	f->n--;
	memmove(&f->items[i], &f->items[i + 1], (f->n - i) * sizeof f->items[0]);
}

void window_clear(struct qsite *s)
{
	LIST_EACH_SAFE (at, &s->flows) {
		struct flow *f = LIST_ENTRY(at, struct flow, in_site);

		flow_again(f);
		f->not_before_us = 0;
		f->is_live = false;
		if (f->out == 0)
			flow_drop(s, f);
	}
	s->again_n = 0;
	s->lapses = 0;
	s->narrow = 0;
	s->not_before_us = 0;
	s->due_look_us = 0;
	s->all = (struct cursor){.number = UINT64_MAX, .rcpt = -1};
	s->live = s->all;
	if (s->up_number > 0)
		s->live = (struct cursor){.number = s->up_number - 1, .rcpt = INT64_MAX};
}

/* ---- asking ---- */

static struct flow *hungry(struct qsite *s)
{
	LIST_EACH (at, &s->flows) {
		struct flow *f = LIST_ENTRY(at, struct flow, in_site);

		if (f->n == 0 && !f->is_dry)
			return f;
	}
	return NULL;
}

static bool any_courier(const struct queue *q, uint32_t site)
{
	for (unsigned c = 0; c < QUEUE_COURIERS_MAX; c++)
		if (courier_room(q, c, site) > 0)
			return true;
	return false;
}

static bool want_page(struct queue_need *out, const struct cursor *c, bool is_live)
{
	out->want = QUEUE_WANT_READY;
	out->is_live = is_live;
	out->after_number = c->number;
	out->after_rcpt = c->rcpt;
	out->max = QUEUE_PAGE;
	return true;
}

bool queue_need(struct queue *q, uint32_t site, uint64_t now_us, struct queue_need *out)
{
	struct qsite *s = qsite_of(q, site);
	struct flow *f;

	*out = (struct queue_need){.site = site};
	if (s->phase == PHASE_DOWN || s->is_stopped || !any_courier(q, site))
		return false;
	f = hungry(s);
	if (f) {
		out->want = QUEUE_WANT_MAILBOX;
		out->addr = f->addr;
		out->after_number = f->after_number;
		out->after_rcpt = f->after_rcpt;
		out->max = QUEUE_FLOW_ITEMS;
		return true;
	}
	if (s->again_n == 0 && now_us >= s->due_look_us) {
		out->want = QUEUE_WANT_DUE;
		out->max = QUEUE_PAGE;
		return true;
	}
	if (!s->all.is_dry && s->flows_n < QUEUE_FLOWS_MAX)
		return want_page(out, &s->all, false);
	if (s->phase == PHASE_UP && !s->live.is_dry &&
	    s->flows_n < QUEUE_FLOWS_MAX + QUEUE_FLOWS_LIVE)
		return want_page(out, &s->live, true);
	return false;
}

static void give_ready(struct qsite *s, const struct queue_need *need,
		       const struct queue_item *items, size_t n)
{
	struct cursor *c = need->is_live ? &s->live : &s->all;

	for (size_t i = 0; i < n; i++) {
		struct flow *f;

		if (!items[i].is_held) {
			f = flow_make(s, items[i].addr, need->is_live);
			if (!f)
				return; /* full: go on from here when some are done */
			f->is_live |= need->is_live;
		}
		c->number = items[i].number;
		c->rcpt = items[i].rcpt;
	}
	c->is_dry = n < need->max;
}

/* A page of site s has it, and a lease of another site or mailbox too: it was redirected meanwhile.
 * When the lease lapses no record says so, and s has looked past it. */
static void want_when_back(const struct queue *q, const struct qsite *s,
			   const struct queue_item *item)
{
	struct rcpt_key key = rcpt_key(item->number, item->rcpt);
	struct lease *l = map_get(&q->by_rcpt, span_of(key.bytes, sizeof key.bytes));

	for (size_t i = 0; l && i < l->n; i++)
		if (l->rcpts[i].rcpt == item->rcpt &&
		    (l->site != s->id || l->rcpts[i].addr != item->addr))
			l->rcpts[i].wanted_by = s->id;
}

static void give_mailbox(struct queue *q, struct qsite *s, const struct queue_need *need,
			 const struct queue_item *items, size_t n)
{
	struct flow *f = flow_of(s, need->addr);

	if (!f || f->n > 0)
		return;
	for (size_t i = 0; i < n && i < QUEUE_FLOW_ITEMS; i++) {
		f->after_number = items[i].number;
		f->after_rcpt = items[i].rcpt;
		if (!items[i].is_held && !queue_is_leased(q, items[i].number, items[i].rcpt))
			f->items[f->n++] = items[i];
		else
			want_when_back(q, s, &items[i]);
	}
	f->is_dry = n < need->max;
	flow_drop_if_idle(s, f);
}

void again_add(struct qsite *s, const struct queue_item *item)
{
	for (size_t i = 0; i < s->again_n; i++)
		if (s->again[i].number == item->number && s->again[i].rcpt == item->rcpt)
			return;
	if (s->again_n == s->again_cap) {
		s->again_cap = s->again_cap ? 2 * s->again_cap : 32;
		s->again = realloc(s->again, s->again_cap * sizeof *s->again);
		must(s->again);
	}
	s->again[s->again_n++] = *item;
}

void queue_give(struct queue *q, const struct queue_need *need, const struct queue_item *items,
		size_t n, uint64_t now_us)
{
	struct qsite *s = qsite_of(q, need->site);

	switch (need->want) {
	case QUEUE_WANT_NOTHING:
		return;
	case QUEUE_WANT_READY:
		give_ready(s, need, items, n);
		return;
	case QUEUE_WANT_MAILBOX:
		give_mailbox(q, s, need, items, n);
		return;
	case QUEUE_WANT_DUE:
		for (size_t i = 0; i < n; i++)
			if (!items[i].is_held &&
			    !queue_is_leased(q, items[i].number, items[i].rcpt))
				again_add(s, &items[i]);
		s->due_look_us = now_us + QUEUE_DUE_EVERY_US;
		return;
	}
}

void queue_notice_ready(struct queue *q, uint32_t site, uint64_t addr, uint64_t number)
{
	struct qsite *s = qsite_of(q, site);
	struct flow *f;

	if (s->phase == PHASE_DOWN)
		return; /* the window is made when it is up */
	f = flow_of(s, addr);
	if (s->all.number == UINT64_MAX || number > s->all.number)
		s->all.is_dry = false;
	else if (!f)
		f = flow_make(s, addr, true);
	if (number >= s->up_number && (s->live.number == UINT64_MAX || number > s->live.number))
		s->live.is_dry = false;
	if (f && (f->after_number == UINT64_MAX || number > f->after_number))
		f->is_dry = false;
	else if (f)
		flow_again(f);
	else if (s->all.number != UINT64_MAX && number <= s->all.number)
		s->all = (struct cursor){.number = number ? number - 1 : UINT64_MAX,
					 .rcpt = number ? INT64_MAX : -1};
}

void queue_add_orphan(struct queue *q, uint32_t site, const struct queue_item *item)
{
	struct queue_item orphan = *item;

	orphan.is_orphan = true;
	if (!queue_is_leased(q, item->number, item->rcpt))
		again_add(qsite_of(q, site), &orphan);
}

/* ---- the site's state ---- */

void queue_site_limits(struct queue *q, uint32_t site, const struct queue_site_limits *limits)
{
	struct qsite *s = qsite_of(q, site);

	s->is_empty = false;
	s->limits = *limits;
	pace_set(&s->pace, limits->per_minute, limits->per_hour);
}

/* Orphans are known from a lane's end, not from a page: they outlive a rescan. */
static void rescan(struct qsite *s)
{
	size_t kept = 0, n = s->again_n;
	struct queue_item *items = s->again;

	for (size_t i = 0; i < n; i++)
		if (items[i].is_orphan)
			items[kept++] = items[i];
	window_clear(s);
	s->again_n = kept;
}

void queue_site_phase(struct queue *q, uint32_t site, enum site_phase phase, uint64_t up_number,
		      bool is_stopped)
{
	struct qsite *s = qsite_of(q, site);

	if (s->phase == phase && s->is_stopped == is_stopped && s->up_number == up_number)
		return;
	if (s->phase != phase && phase == PHASE_PROBATION)
		ramp_reset(&s->ramp);
	s->phase = phase;
	s->up_number = up_number;
	s->is_stopped = is_stopped;
	rescan(s);
}

void queue_site_rescan(struct queue *q, uint32_t site)
{
	rescan(qsite_of(q, site));
}
