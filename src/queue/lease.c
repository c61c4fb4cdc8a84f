/* Leases: who has what, and how that ends (Q1, Q4, Q7). */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "queue/internal.h"

enum { LAPSES_BEFORE_PAUSE = 8 };

struct queue *queue_new(uint64_t first_lease)
{
	struct queue *q = must_alloc(sizeof *q);

	q->next_lease = first_lease ? first_lease : 1;
	map_init(&q->leases);
	map_init(&q->by_rcpt);
	map_init(&q->deaths);
	map_init(&q->sites);
	for (size_t c = 0; c < QUEUE_COURIERS_MAX; c++)
		map_init(&q->couriers[c].site_room);
	return q;
}

static void on_lease_value(void *value)
{
	struct lease *l = value;

	free(l->rcpts);
	free(l);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	map_fini(&q->leases, on_lease_value);
	map_fini(&q->by_rcpt, NULL);
	map_fini(&q->deaths, free);
	map_fini(&q->sites, qsite_free);
	for (size_t c = 0; c < QUEUE_COURIERS_MAX; c++)
		map_fini(&q->couriers[c].site_room, free);
	free(q);
}

struct rcpt_key rcpt_key(uint64_t number, uint32_t rcpt)
{
	struct rcpt_key key;

	put_u64(key.bytes, number);
	put_u32(key.bytes + 8, rcpt);
	return key;
}

bool queue_is_leased(const struct queue *q, uint64_t number, uint32_t rcpt)
{
	struct rcpt_key key = rcpt_key(number, rcpt);

	return map_get(&q->by_rcpt, span_of(key.bytes, sizeof key.bytes)) != NULL;
}

struct lease *lease_of(const struct queue *q, uint64_t id)
{
	return map_get(&q->leases, map_key_u64(&id));
}

void lease_add_rcpt(struct queue *q, struct lease *l, const struct queue_grant *g)
{
	struct rcpt_key key = rcpt_key(l->number, g->rcpt);
	struct flow *f = flow_make(qsite_of(q, l->site), g->addr, true);

	must(map_put(&q->by_rcpt, span_of(key.bytes, sizeof key.bytes), l) == NULL);
	l->rcpts = realloc(l->rcpts, (l->n + 1) * sizeof *l->rcpts);
	must(l->rcpts);
	l->rcpts[l->n++] = *g;
	if (!f)
		return;
	/* Q2: a second offer may go elsewhere; where first offers go does not change while any is out. */
	if (f->out++ == 0)
		f->courier = l->courier;
}

/* One recipient less. The mailbox is free for another courier when it was the last out. */
static void drop_rcpt(struct queue *q, struct lease *l, size_t i)
{
	struct rcpt_key key = rcpt_key(l->number, l->rcpts[i].rcpt);
	struct qsite *s = qsite_of(q, l->site);
	struct flow *f = flow_of(s, l->rcpts[i].addr);

	map_remove(&q->by_rcpt, span_of(key.bytes, sizeof key.bytes));
	l->rcpts[i] = l->rcpts[--l->n];
	if (f && f->out > 0) {
		f->out--;
		flow_drop_if_idle(s, f);
	}
}

static void suspect_back(struct queue *q, uint64_t number, bool is_cleared)
{
	struct deaths *d = map_get(&q->deaths, map_key_u64(&number));

	if (!d)
		return;
	if (d->is_out) {
		d->is_out = false;
		q->suspects_out--;
	}
	if (is_cleared)
		free(map_remove(&q->deaths, map_key_u64(&number)));
}

static void end(struct queue *q, struct lease *l)
{
	struct qsite *s = l->site ? qsite_of(q, l->site) : NULL;

	while (l->n > 0)
		drop_rcpt(q, l, l->n - 1);
	if (s) {
		s->out--;
		qsite_drop_if_empty(q, s);
	}
	map_remove(&q->leases, map_key_u64(&l->id));
	free(l->rcpts);
	free(l);
}

/* Of a lapsed lease: its mailbox is asked for again; an orphan is kept, no page would find it. */
static void ask_again(struct qsite *s, const struct lease *l, const struct queue_grant *g,
		      uint64_t not_before_us)
{
	struct flow *f;

	if (g->is_orphan) {
		again_add(s, &(struct queue_item){.number = l->number,
						  .addr = g->addr,
						  .rcpt = g->rcpt,
						  .not_before_us = not_before_us,
						  .is_orphan = true,
						  .set_aside = g->set_aside});
		return;
	}
	f = flow_make(s, g->addr, true);
	if (f) {
		flow_again(f);
		f->not_before_us = not_before_us;
	} else { /* no room to remember it: the cursor will find it */
		s->all = (struct cursor){.number = UINT64_MAX, .rcpt = -1};
	}
}

/* Nothing was offered. */
static void lapse(struct queue *q, struct lease *l, uint64_t not_before_us)
{
	struct qsite *s = l->site ? qsite_of(q, l->site) : NULL;

	suspect_back(q, l->number, false);
	if (s && l->in_ramp)
		ramp_lapsed(&s->ramp);
	for (size_t i = 0; s && i < l->n; i++) {
		if (l->rcpts[i].wanted_by)
			queue_site_rescan(q, l->rcpts[i].wanted_by);
		else
			ask_again(s, l, &l->rcpts[i], not_before_us);
	}
	if (s)
		s->due_look_us = 0;
	end(q, l);
}

static void died(struct queue *q, uint64_t number)
{
	struct deaths *d = map_get(&q->deaths, map_key_u64(&number));

	if (!d) {
		d = must_alloc(sizeof *d);
		map_put(&q->deaths, map_key_u64(&number), d);
	}
	d->n++;
}

/*
 * The courier gave it back. On probation the oldest message is the canary, so the site waits with its mailbox; and a site
 * nobody can connect to is not asked for every mailbox in turn.
 */
static void pause_site(struct qsite *s, uint64_t not_before_us)
{
	s->lapses++;
	if (s->phase == PHASE_PROBATION || s->lapses >= LAPSES_BEFORE_PAUSE)
		s->not_before_us = not_before_us;
}

/* ---- records ---- */

void queue_on_intent(struct queue *q, uint64_t lease)
{
	struct lease *l = lease_of(q, lease);

	if (l)
		l->has_intent = true;
}

void queue_on_outcome(struct queue *q, uint64_t lease, uint64_t number, uint32_t rcpt,
		      enum attempt attempt, uint64_t now_us)
{
	struct lease *l = lease_of(q, lease);

	if (!l || l->number != number || l->site == 0)
		return;
	qsite_of(q, l->site)->lapses = 0;
	narrow_by(qsite_of(q, l->site), attempt, now_us);
	l->was_accepted |= attempt == ATTEMPT_ACCEPTED;
	for (size_t i = 0; i < l->n; i++)
		if (l->rcpts[i].rcpt == rcpt) {
			drop_rcpt(q, l, i);
			break;
		}
	if (l->n > 0)
		return;
	suspect_back(q, number, true); /* the courier lived through it */
	if (l->in_ramp)
		ramp_over(&qsite_of(q, l->site)->ramp, l->was_accepted, now_us);
	end(q, l);
}

bool queue_on_done(struct queue *q, unsigned courier, uint64_t lease, bool had_intent,
		   bool recorded, uint64_t now_us)
{
	struct lease *l = lease_of(q, lease);

	if (!l)
		return true; /* its outcome was quicker */
	if (l->courier != courier)
		return false;
	l->is_done = true;
	l->done_at_us = now_us;
	if (had_intent || recorded || l->has_intent)
		return true; /* the OUTCOME comes through the ledger */
	if (l->site == 0) {
		end(q, l);
		return true;
	}
	pause_site(qsite_of(q, l->site), now_us + QUEUE_LAPSE_PAUSE_US);
	lapse(q, l, now_us + QUEUE_LAPSE_PAUSE_US);
	return true;
}

/* ---- couriers ---- */

void queue_courier_join(struct queue *q, unsigned courier, uint32_t room)
{
	struct courier *c = &q->couriers[courier];

	must(courier < QUEUE_COURIERS_MAX);
	c->is_here = true;
	c->room = room;
	map_fini(&c->site_room, free);
	map_init(&c->site_room);
}

void queue_courier_room(struct queue *q, unsigned courier, uint32_t site, uint32_t room)
{
	struct courier *c = &q->couriers[courier];
	struct room *r;

	if (site == 0) {
		c->room = room;
		return;
	}
	r = room_said(c, site);
	if (!r) {
		r = must_alloc(sizeof *r);
		r->site = qsite_of(q, site)->id;
		map_put(&c->site_room, map_key_u64(&r->site), r);
	}
	r->room = room;
}

void queue_courier_leave(struct queue *q, unsigned courier)
{
	size_t at = 0;
	void *value;

	q->couriers[courier].is_here = false;
	while (map_next(&q->leases, &at, NULL, &value)) {
		struct lease *l = value;

		if (l->courier == courier)
			l->is_waiting = true;
	}
}

bool queue_courier_holds(struct queue *q, unsigned courier, uint64_t lease)
{
	struct lease *l = lease_of(q, lease);

	if (!l || l->courier != courier)
		return false;
	l->is_waiting = false;
	return true;
}

void queue_adopt(struct queue *q, unsigned courier, uint64_t lease)
{
	struct lease *l;

	if (lease_of(q, lease))
		return;
	l = must_alloc(sizeof *l);
	l->id = lease;
	l->courier = courier;
	map_put(&q->leases, map_key_u64(&l->id), l);
}

void queue_adopt_rcpt(struct queue *q, uint64_t lease, uint32_t site, uint64_t number,
		      uint32_t rcpt, uint64_t addr)
{
	struct lease *l = lease_of(q, lease);

	if (!l || (l->site && (l->site != site || l->number != number)) ||
	    queue_is_leased(q, number, rcpt))
		return;
	if (l->site == 0) {
		l->site = site;
		l->number = number;
		qsite_of(q, site)->out++;
	}
	l->has_intent = true; /* that is how it is known */
	lease_add_rcpt(q, l, &(struct queue_grant){.rcpt = rcpt, .addr = addr});
}

/* The first that waits; ending it changes the map. */
static struct lease *waiting(const struct queue *q, unsigned courier)
{
	size_t at = 0;
	void *value;

	while (map_next(&q->leases, &at, NULL, &value)) {
		struct lease *l = value;

		if (l->courier == courier && l->is_waiting)
			return l;
	}
	return NULL;
}

unsigned queue_courier_waiting(const struct queue *q, unsigned courier)
{
	unsigned n = 0;
	size_t at = 0;
	void *value;

	while (map_next(&q->leases, &at, NULL, &value)) {
		const struct lease *l = value;

		n += l->courier == courier && l->is_waiting;
	}
	return n;
}

unsigned queue_courier_settle(struct queue *q, unsigned courier, bool has_died, uint64_t now_us)
{
	struct lease *l;
	unsigned n = 0;

	while ((l = waiting(q, courier)) != NULL) {
		if (has_died && l->site && !l->is_done)
			died(q, l->number);
		if (l->has_intent) {
			suspect_back(q, l->number, false);
			if (l->in_ramp)
				ramp_over(&qsite_of(q, l->site)->ramp, false, now_us);
			end(q, l);
		} else {
			lapse(q, l, 0);
		}
		n++;
	}
	return n;
}

size_t queue_leases(const struct queue *q)
{
	return q->leases.n;
}

size_t queue_leases_of(const struct queue *q, uint32_t site)
{
	uint64_t id = site;
	const struct qsite *s = map_get(&q->sites, map_key_u64(&id));

	return s ? s->out : 0;
}

/* A recipient that the OUTCOME left out would wait for ever. With an INTENT it is the lane's end that decides. */
unsigned queue_sweep(struct queue *q, uint64_t now_us)
{
	unsigned n = 0;
	size_t at = 0;
	void *value;

	while (map_next(&q->leases, &at, NULL, &value)) {
		struct lease *l = value;

		if (!l->is_done || l->has_intent || now_us - l->done_at_us < QUEUE_DONE_PATIENCE_US)
			continue;
		lapse(q, l, now_us);
		at = 0; /* the map has changed */
		n++;
	}
	return n;
}
