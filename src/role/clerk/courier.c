/* Links to couriers: what they hold, what they report, and what is certain once one was lost (K1, K2). */
#include <stdio.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/clerk/internal.h"

enum { PAGE = 256, ROOM_MAX = 4096 };

enum rc courier_send(struct clerk *c, unsigned instance, unsigned type, struct span body)
{
	struct clerk_courier *w = &c->couriers[instance];

	return w->link ? link_send(w->link, type, body) : LATER;
}

void courier_stop_site(struct clerk *c, struct span site)
{
	struct msg_stop_site m = {.site = site};
	struct buf b = {0};

	msg_stop_site_encode(&b, &m);
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++)
		(void)courier_send(c, i, MSG_STOP_SITE, buf_span(&b));
	buf_fini(&b);
}

static uint32_t site_id(const struct clerk *c, struct span name)
{
	struct views_site_now s;

	for (size_t i = 0; i < views_sites(c->views); i++) {
		views_site_at(c->views, i, &s);
		if (span_eq(s.name, name))
			return s.id;
	}
	return 0;
}

/* ---- what it says ---- */

/* "courier-1", or "courier-1.2" when another process still had the first. Nobody speaks for another's lane. */
static bool is_lane_of(const struct clerk_courier *w, struct span lane)
{
	char name[LEDGER_LANE_NAME_BYTES];
	int n = snprintf(name, sizeof name, "courier-%u", w->instance);

	return lane.n < LEDGER_LANE_NAME_BYTES && span_starts(lane, span_of(name, (size_t)n)) &&
	       (lane.n == (size_t)n || lane.p[n] == '.');
}

static bool on_hello(struct clerk_courier *w, struct span body)
{
	struct clerk *c = w->clerk;
	struct msg_courier_hello m;

	if (w->has_hello || !msg_courier_hello_decode(&c->arena, body, &m))
		return false;
	if (!is_lane_of(w, m.lane))
		return false;
	w->has_hello = true;
	w->is_settled = false;
	w->room = m.room < ROOM_MAX ? m.room : ROOM_MAX;
	w->lane_id = lane_id_of(arena_str(&c->arena, m.lane));
	w->lane_seq = m.lane_seq;
	for (size_t i = 0; i < m.leases_n; i++)
		if (!queue_courier_holds(c->queue, w->instance, m.leases[i]))
			queue_adopt(c->queue, w->instance, m.leases[i]);
	say(SAY_INFO, "courier.hello", "courier", SAY_U64(w->instance), "room", SAY_U64(m.room),
	    "leases", SAY_U64(m.leases_n), NULL);
	couriers_look(c);
	return true;
}

static bool on_done(struct clerk_courier *w, struct span body)
{
	struct clerk *c = w->clerk;
	struct msg_lease_done m;

	if (!msg_lease_done_decode(&c->arena, body, &m))
		return false;
	if (!m.had_intent && !m.recorded && m.reason.n)
		say(SAY_INFO, "lease.lapsed", "lease", SAY_U64(m.lease), "why", SAY_SPAN(m.reason),
		    NULL);
	if (!queue_on_done(c->queue, w->instance, m.lease, m.had_intent, m.recorded,
			   clerk_mono_us(c)))
		return false;
	pump_soon(c, 0);
	return true;
}

static bool on_room(struct clerk_courier *w, struct span body)
{
	struct clerk *c = w->clerk;
	struct msg_room m;
	uint32_t site = 0;

	if (!msg_room_decode(&c->arena, body, &m))
		return false;
	if (m.site.n > 0) {
		site = site_id(c, m.site);
		if (site == 0)
			return true; /* of a configuration we do not have yet */
	} else {
		w->room = m.room < ROOM_MAX ? m.room : ROOM_MAX;
	}
	if (w->is_settled)
		queue_courier_room(c->queue, w->instance, site,
				   m.room < ROOM_MAX ? m.room : ROOM_MAX);
	pump_soon(c, 0);
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct clerk_courier *w = arg;

	(void)l;
	arena_reset(&w->clerk->arena);
	if (type != MSG_COURIER_HELLO && !w->has_hello)
		return false;
	switch (type) {
	case MSG_COURIER_HELLO:
		return on_hello(w, body);
	case MSG_LEASE_DONE:
		return on_done(w, body);
	case MSG_ROOM:
		return on_room(w, body);
	case MSG_HOME_DONE:
		return home_on_done(w->clerk, w->instance, body);
	default:
		return false;
	}
}

static void lost(struct clerk_courier *w)
{
	w->link = NULL;
	w->has_hello = w->is_settled = false;
	w->lost_us = clerk_mono_us(w->clerk);
	w->epoch++;
	queue_courier_leave(w->clerk->queue, w->instance);
}

static void on_closed(void *arg, struct link *l)
{
	struct clerk_courier *w = arg;

	(void)l;
	lost(w);
	w->clerk->ops.on_link_lost(w->clerk->ops.arg, ROLE_COURIER, w->instance);
}

void clerk_link_courier(struct clerk *c, unsigned instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};
	struct clerk_courier *w;

	must(instance < QUEUE_COURIERS_MAX);
	w = &c->couriers[instance];
	if (w->link) { /* the new one came before we saw the old one end */
		link_close(w->link);
		lost(w);
	}
	w->link = link_new(c->loop, fd, &ops, w);
}

/* ---- what is certain ---- */

/* Offers of this lane that nobody will answer: once more, or to the decision list. Of living leases: what they hold. */
static void orphans(struct clerk *c, uint32_t lane_id)
{
	struct views_offered rows[PAGE];
	uint64_t after = UINT64_MAX;
	int64_t after_rcpt = -1;
	struct fault why = {0};
	size_t n = 0;

	do {
		if (!clerk_ok(c,
			      views_offered(c->views, lane_id, after, after_rcpt, rows, PAGE, &n,
					    &why),
			      &why))
			return;
		for (size_t i = 0; i < n; i++) {
			struct queue_item item = {.number = rows[i].who.number,
						  .rcpt = rows[i].who.rcpt,
						  .addr = rows[i].who.addr,
						  .set_aside = rows[i].unsure > 0};

			after = item.number;
			after_rcpt = item.rcpt;
			queue_adopt_rcpt(c->queue, rows[i].lease, rows[i].site, item.number,
					 item.rcpt, item.addr);
			if (queue_is_leased(c->queue, item.number, item.rcpt))
				continue;
			say(SAY_WARNING, "delivery.unsure", "number", SAY_U64(item.number), "rcpt",
			    SAY_U64(item.rcpt), "set_aside", SAY_U64(item.set_aside), NULL);
			queue_add_orphan(c->queue, rows[i].site, &item);
		}
	} while (n == PAGE);
}

static void settle(struct clerk *c, struct clerk_courier *w)
{
	unsigned ended = queue_courier_settle(c->queue, w->instance, true, clerk_mono_us(c));

	if (ended)
		say(SAY_NOTICE, "courier.settled", "courier", SAY_U64(w->instance), "leases",
		    SAY_U64(ended), NULL);
	orphans(c, w->lane_id);
	w->is_settled = true;
	w->lost_us = 0;
	queue_courier_join(c->queue, w->instance, w->room);
}

static bool is_of_somebody(const struct clerk *c, uint32_t lane_id)
{
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++)
		if (c->couriers[i].has_hello && c->couriers[i].lane_id == lane_id)
			return true;
	return false;
}

/* Lanes with offers whose courier does not come back: certain after CLERK_GONE_US. */
static void look_at_stale(struct clerk *c)
{
	uint32_t lanes[STALE_MAX];
	struct stale_lane now[STALE_MAX];
	struct fault why = {0};
	size_t n = 0, now_n = 0;

	if (!clerk_ok(c, views_offered_lanes(c->views, lanes, STALE_MAX, &n, &why), &why))
		return;
	for (size_t i = 0; i < n; i++) {
		struct stale_lane s = {lanes[i], clerk_mono_us(c)};

		if (is_of_somebody(c, lanes[i]))
			continue;
		for (size_t k = 0; k < c->stale_n; k++)
			if (c->stale[k].lane_id == lanes[i])
				s = c->stale[k];
		if (clerk_mono_us(c) - s.since_us >= CLERK_GONE_US)
			orphans(c, s.lane_id);
		now[now_n++] = s;
	}
	memcpy(c->stale, now, now_n * sizeof *now);
	c->stale_n = now_n;
}

static void look_for_grants(struct clerk *c)
{
	size_t here = 0, want = c->config->couriers;

	if (c->may_grant)
		return;
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++)
		here += c->couriers[i].is_settled;
	if (here == 0 || (here < want && clerk_mono_us(c) - c->started_us < CLERK_GRACE_US))
		return;
	c->may_grant = true;
	say(SAY_INFO, "grants.begin", "couriers", SAY_U64(here), NULL);
}

void couriers_look(struct clerk *c)
{
	if (!c->is_current || c->is_broken)
		return;
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++) {
		struct clerk_courier *w = &c->couriers[i];

		if (w->has_hello && !w->is_settled &&
		    views_lane_next(c->views, w->lane_id) >= w->lane_seq) {
			settle(c, w);
			pump_soon(c, 0);
		}
		if (!w->link && w->lost_us && clerk_mono_us(c) - w->lost_us >= CLERK_GONE_US) {
			(void)queue_courier_settle(c->queue, i, false, clerk_mono_us(c));
			w->lost_us = 0;
		}
	}
	look_at_stale(c);
	look_for_grants(c);
}
