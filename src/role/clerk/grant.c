/* The queue's questions are answered from the views; its picks become Lease messages. */
#include <stdio.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/clerk/internal.h"

enum {
	GIVES_PER_TURN = 40,   /* pages for one site before others have a turn */
	GRANTS_PER_TURN = 200, /* for one site */
	REDIRECT_CONNECTIONS = 5,
	WORLD_CONNECTIONS = 4,	      /* to one destination */
	WORLD_LIFETIME_S = 5 * 86400, /* at most (RFC 5321 s4.5.4.1) */
	LEASE_RCPTS_MAX = 100,	      /* recipients of one transaction (RFC 5321 s4.5.3.1.8) */
};

void pump_soon(struct clerk *c, uint64_t after_us)
{
	uint64_t at = clerk_mono_us(c) + after_us;

	if (c->pump_at_us && c->pump_at_us <= at)
		return;
	c->pump_at_us = at;
	loop_timer_set(c->pump_timer, after_us);
}

/* ---- sites ---- */

static const struct msg_site *config_site(const struct clerk *c, struct span name)
{
	for (size_t i = 0; i < c->config->sites_n; i++)
		if (span_eq(c->config->sites[i].name, name))
			return &c->config->sites[i];
	return NULL;
}

/* A domain with hold off is delivered although its site is down. */
static enum site_phase effective(struct clerk *c, const struct views_site_now *s)
{
	if (s->phase == PHASE_DOWN && c->are_domains_held &&
	    views_any_hold(c->views, s->id, VIEWS_HOLD_OFF, clerk_wall_us(c)))
		return PHASE_UP;
	return s->phase;
}

static void refresh_one(struct clerk *c, const struct views_site_now *s)
{
	const struct msg_site *conf = config_site(c, s->name);
	struct queue_site_limits limits = {.concurrency = REDIRECT_CONNECTIONS};
	enum site_phase phase = effective(c, s);

	if (s->is_world)
		limits.concurrency = WORLD_CONNECTIONS;
	if (conf)
		limits = (struct queue_site_limits){conf->concurrency, conf->rate_per_minute,
						    conf->rate_per_hour};
	if (!conf && !s->is_redirect &&
	    !s->is_world) /* gone from the configuration: nobody knows its primaries */
		phase = PHASE_DOWN;
	queue_site_limits(c->queue, s->id, &limits);
	if ((phase == PHASE_DOWN || s->is_stopped) && queue_leases_of(c->queue, s->id) > 0)
		courier_stop_site(c, s->name);
	queue_site_phase(c->queue, s->id, phase, s->up_number, s->is_stopped);
}

void sites_refresh(struct clerk *c)
{
	uint64_t mark = c->are_sites_changed || c->are_domains_held
				? views_holds_mark(c->views, clerk_wall_us(c))
				: c->holds_mark;
	bool is_mark_new = mark != c->holds_mark;
	struct views_site_now s;

	if (!c->are_sites_changed && !is_mark_new)
		return;
	c->are_sites_changed = false;
	c->holds_mark = mark;
	c->are_domains_held = mark != 0;
	for (size_t i = 0; i < views_sites(c->views); i++) {
		views_site_at(c->views, i, &s);
		refresh_one(c, &s);
		if (is_mark_new)
			queue_site_rescan(c->queue, s.id);
	}
}

/* ---- pages ---- */

static bool is_held(struct clerk *c, const struct views_site_now *s, uint64_t addr)
{
	enum views_hold hold;

	if (!c->are_domains_held)
		return false;
	hold = views_domain_hold(c->views, addr, clerk_wall_us(c));
	return hold == VIEWS_HOLD_ON || (s->phase == PHASE_DOWN && hold != VIEWS_HOLD_OFF);
}

static bool answer(struct clerk *c, const struct views_site_now *s, const struct queue_need *need)
{
	static struct views_candidate rows[QUEUE_PAGE];
	static struct queue_item items[QUEUE_PAGE];
	struct fault why = {0};
	size_t n = 0;
	enum rc rc = OK;

	switch (need->want) {
	case QUEUE_WANT_READY:
		rc = views_ready(c->views, s->id, need->after_number, need->after_rcpt, rows,
				 need->max, &n, &why);
		break;
	case QUEUE_WANT_MAILBOX:
		rc = views_ready_of(c->views, s->id, need->addr, need->after_number,
				    need->after_rcpt, rows, need->max, &n, &why);
		break;
	case QUEUE_WANT_DUE:
		rc = views_due(c->views, s->id, clerk_wall_us(c), rows, need->max, &n, &why);
		break;
	case QUEUE_WANT_NOTHING:
		return true;
	}
	if (!clerk_ok(c, rc, &why))
		return false;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct queue_item){.number = rows[i].number,
					       .addr = rows[i].addr,
					       .sender = rows[i].sender,
					       .rcpt = rows[i].rcpt,
					       .is_held = is_held(c, s, rows[i].addr)};
	queue_give(c->queue, need, items, n, clerk_mono_us(c));
	return true;
}

/* ---- leases ---- */

struct draft {
	struct clerk *clerk;
	const struct views_site_now *site;
	struct queue_pick pick;
	struct views_lease row;
	struct queue_grant grants[LEASE_RCPTS_MAX];
	struct msg_lease_rcpt rcpts[LEASE_RCPTS_MAX];
	size_t n;
};

static bool is_due(struct clerk *c, const struct views_lease_rcpt *r)
{
	return r->state == QUEUE_DEFERRED && r->next_us <= clerk_wall_us(c);
}

/* Is the picked recipient still what it was picked for? */
static bool still_fits(struct draft *d, const struct views_lease_rcpt *r)
{
	if (r->state == QUEUE_OFFERED)
		return d->pick.is_orphan;
	if (r->state == QUEUE_DEFERRED)
		return d->pick.is_retry || d->pick.set_aside;
	return r->state == QUEUE_READY;
}

static bool may_go_along(struct draft *d, const struct views_lease_rcpt *r)
{
	struct clerk *c = d->clerk;

	if (d->pick.set_aside || d->n == LEASE_RCPTS_MAX || is_held(c, d->site, r->addr))
		return false;
	if (r->state == QUEUE_READY)
		return queue_may_join(c->queue, &d->pick, r->rcpt, r->addr, r->is_first,
				      clerk_mono_us(c));
	return d->pick.is_retry && is_due(c, r) &&
	       !queue_is_leased(c->queue, d->pick.number, r->rcpt);
}

static void add_rcpt(struct draft *d, const struct views_lease_rcpt *r, bool is_picked)
{
	d->grants[d->n] = (struct queue_grant){
		.rcpt = r->rcpt,
		.addr = r->addr,
		.is_orphan = is_picked && d->pick.is_orphan,
		.set_aside = is_picked && d->pick.set_aside,
	};
	d->rcpts[d->n++] = (struct msg_lease_rcpt){
		.rcpt = r->rcpt,
		.address = r->address,
		.orcpt = r->orcpt,
		.notify = r->notify,
		.known_good = r->known_good,
		.refusals_24h = r->refusals_24h,
		.unsure_before = r->unsure + (r->state == QUEUE_OFFERED),
		.tries = r->tries,
		.delay_told = r->delay_told,
	};
}

/* False: the picked one is no more to be had. */
static bool choose_rcpts(struct draft *d)
{
	d->n = 0;
	for (size_t i = 0; i < d->row.rcpts_n; i++)
		if (d->row.rcpts[i].rcpt == d->pick.rcpt && still_fits(d, &d->row.rcpts[i]))
			add_rcpt(d, &d->row.rcpts[i], true);
	if (d->n == 0)
		return false;
	for (size_t i = 0; i < d->row.rcpts_n; i++)
		if (d->row.rcpts[i].rcpt != d->pick.rcpt && may_go_along(d, &d->row.rcpts[i]))
			add_rcpt(d, &d->row.rcpts[i], false);
	return true;
}

static struct span redirect_host(const struct views_site_now *s)
{
	return s->is_redirect ? span_from(s->name, strlen("host:")) : SPAN_NONE;
}

static bool is_lifetime_over(const struct draft *d, uint64_t age_us)
{
	uint64_t most_ms = d->clerk->config->queue_lifetime_ms;

	if (d->site->is_world && age_us / 1000000 > WORLD_LIFETIME_S)
		return true;
	return most_ms > 0 && age_us / 1000 > most_ms;
}

static void send_lease(struct draft *d)
{
	struct clerk *c = d->clerk;
	uint64_t age_us = clerk_age_now_us(c) > d->row.received_us
				  ? clerk_age_now_us(c) - d->row.received_us
				  : 0;
	struct msg_lease m = {
		.lease = queue_grant(c->queue, &d->pick, d->grants, d->n, clerk_mono_us(c)),
		.number = d->row.number,
		.lane_id = d->row.lane_id,
		.segment = d->row.segment,
		.offset = d->row.offset,
		.body_bytes = d->row.body_bytes,
		.id = d->row.id,
		.site = d->site->name,
		.phase = (uint8_t)effective(c, d->site),
		.sender = d->row.sender,
		.rcpts = d->rcpts,
		.rcpts_n = d->n,
		.body_kind = d->row.body_kind,
		.smtputf8 = d->row.smtputf8,
		.envid = d->row.envid,
		.ret = d->row.ret,
		.sender_verified = d->row.sender_verified,
		.lifetime_over = is_lifetime_over(d, age_us),
		.received_us = d->row.received_us,
		.redirect_host = redirect_host(d->site),
		.set_aside = d->pick.set_aside ? span_str(d->pick.why_aside) : SPAN_NONE,
	};
	struct buf b = {0};

	c->granted++;
	msg_lease_encode(&b, &m);
	if (courier_send(c, d->pick.courier, MSG_LEASE, buf_span(&b)) != OK)
		(void)queue_on_done(c->queue, d->pick.courier, m.lease, false, false,
				    clerk_mono_us(c));
	buf_fini(&b);
}

static void grant_one(struct clerk *c, const struct views_site_now *s,
		      const struct queue_pick *pick)
{
	static struct draft d; /* large, and used by one call at a time */
	struct fault why = {0};
	enum rc rc;

	d.clerk = c;
	d.site = s;
	d.pick = *pick;
	arena_reset(&c->arena);
	rc = views_lease(c->views, s->id, pick->number, clerk_age_now_us(c), &c->arena, &d.row,
			 &why);
	if (rc != REFUSED && !clerk_ok(c, rc, &why))
		return;
	if (rc == REFUSED || !choose_rcpts(&d)) {
		queue_skip(c->queue, pick);
		return;
	}
	send_lease(&d);
}

/* True: there is more to do at once. */
static bool pump_site(struct clerk *c, const struct views_site_now *s)
{
	struct queue_need need;
	struct queue_pick pick;
	uint64_t again_us;
	unsigned gives = 0;

	for (unsigned n = 0; n < GRANTS_PER_TURN; n++) {
		while (gives < GIVES_PER_TURN + n &&
		       queue_need(c->queue, s->id, clerk_mono_us(c), &need)) {
			gives++;
			if (!answer(c, s, &need))
				return false;
		}
		if (queue_pick(c->queue, s->id, clerk_mono_us(c), &pick, &again_us) != OK) {
			if (again_us > clerk_mono_us(c))
				pump_soon(c, again_us - clerk_mono_us(c));
			return gives >= GIVES_PER_TURN + n;
		}
		grant_one(c, s, &pick);
		if (c->is_broken)
			return false;
	}
	return true;
}

void on_pump(void *arg)
{
	struct clerk *c = arg;
	bool more = false;

	c->pump_at_us = 0;
	if (!c->may_grant || c->is_broken)
		return;
	for (size_t i = 0; i < views_sites(c->views) && !c->is_broken; i++) {
		struct views_site_now s;

		views_site_at(c->views, i, &s);
		more |= pump_site(c, &s);
	}
	if (more)
		pump_soon(c, 0);
}
