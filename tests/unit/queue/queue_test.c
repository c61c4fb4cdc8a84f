/*
 * The queue against a small model of the views: rows with states, pages as the views would give them. Named cases first,
 * then properties over seeds: Q1 (one lease a delivery), Q2 (first offers oldest first per mailbox), Q5 (rates), and that
 * everything is delivered in the end whatever dies meanwhile.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/must.h"
#include "queue/match.h"
#include "queue/pace.h"
#include "queue/queue.h"
#include "queue/schedule.h"

enum { SEEDS = 60, ROWS_MAX = 12000, SITE = 1 };

struct row {
	uint64_t number, addr, sender, next_us;
	uint32_t rcpt;
	enum queue_state state;
	unsigned offers; /* granted so often, without lapses */
	uint64_t lease;
	bool is_intent;
};

struct model {
	struct queue *q;
	struct row rows[ROWS_MAX]; /* ascending (number, rcpt) */
	size_t n;
	uint64_t now_us;
	uint64_t first_number; /* first granted of ... */
	uint64_t seed;
};

static uint64_t dice(struct model *m, uint64_t sides)
{
	return queue_mix(m->seed++) % sides;
}

static struct model *model_new(uint64_t seed)
{
	struct model *m = must_alloc(sizeof *m);

	m->q = queue_new(1000);
	m->seed = seed * 1000003;
	m->now_us = 50000000;
	return m;
}

static void model_free(struct model *m)
{
	queue_free(m->q);
	free(m);
}

static void add(struct model *m, uint64_t number, uint32_t rcpt, uint64_t addr, uint64_t sender)
{
	must(m->n < ROWS_MAX);
	m->rows[m->n++] =
		(struct row){.number = number, .rcpt = rcpt, .addr = addr, .sender = sender};
	queue_notice_ready(m->q, SITE, addr, number);
}

static bool is_after(const struct row *r, const struct queue_need *need)
{
	return need->after_number == UINT64_MAX || r->number > need->after_number ||
	       (r->number == need->after_number && (int64_t)r->rcpt > need->after_rcpt);
}

static bool fits(const struct model *m, const struct row *r, const struct queue_need *need)
{
	switch (need->want) {
	case QUEUE_WANT_READY:
		return r->state == QUEUE_READY && is_after(r, need);
	case QUEUE_WANT_MAILBOX:
		return r->state == QUEUE_READY && r->addr == need->addr && is_after(r, need);
	case QUEUE_WANT_DUE:
		return r->state == QUEUE_DEFERRED && r->next_us <= m->now_us;
	case QUEUE_WANT_NOTHING:
		break;
	}
	return false;
}

static void feed(struct model *m)
{
	struct queue_need need;

	for (int guard = 0; queue_need(m->q, SITE, m->now_us, &need); guard++) {
		struct queue_item items[QUEUE_PAGE];
		size_t n = 0;

		assert_true(guard < 100000);
		for (size_t i = 0; i < m->n && n < need.max; i++)
			if (fits(m, &m->rows[i], &need))
				items[n++] = (struct queue_item){.number = m->rows[i].number,
								 .addr = m->rows[i].addr,
								 .sender = m->rows[i].sender,
								 .rcpt = m->rows[i].rcpt};
		queue_give(m->q, &need, items, n, m->now_us);
	}
}

static struct row *row_of(struct model *m, uint64_t number, uint32_t rcpt)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rows[i].number == number && m->rows[i].rcpt == rcpt)
			return &m->rows[i];
	must_never("no such row");
	return NULL;
}

static bool is_first(struct model *m, const struct row *r)
{
	for (size_t i = 0; i < m->n && m->rows[i].number < r->number; i++)
		if (m->rows[i].addr == r->addr && m->rows[i].state == QUEUE_READY)
			return false;
	return true;
}

/* Q2: nothing of its mailbox that is older and was never granted. */
static void check_order(struct model *m, const struct row *r)
{
	if (r->offers > 0)
		return;
	for (size_t i = 0; i < m->n && m->rows[i].number < r->number; i++)
		if (m->rows[i].addr == r->addr && m->rows[i].state == QUEUE_READY &&
		    m->rows[i].offers == 0)
			fail_msg("Q2: %llu granted before %llu", (unsigned long long)r->number,
				 (unsigned long long)m->rows[i].number);
}

struct granted {
	uint64_t lease;
	struct queue_pick pick;
	size_t n;
	struct row *rows[8];
};

static bool grant(struct model *m, struct granted *g)
{
	struct queue_grant rcpts[8];
	uint64_t again;

	feed(m);
	if (queue_pick(m->q, SITE, m->now_us, &g->pick, &again) != OK)
		return false;
	g->n = 0;
	g->rows[g->n] = row_of(m, g->pick.number, g->pick.rcpt);
	rcpts[g->n++] = (struct queue_grant){.rcpt = g->pick.rcpt,
					     .addr = g->pick.addr,
					     .is_orphan = g->pick.is_orphan,
					     .set_aside = g->pick.set_aside};
	for (size_t i = 0; i < m->n && g->n < 8; i++) {
		struct row *r = &m->rows[i];

		if (r->number == g->pick.number && r->state == QUEUE_READY && !g->pick.set_aside &&
		    queue_may_join(m->q, &g->pick, r->rcpt, r->addr, is_first(m, r), m->now_us)) {
			g->rows[g->n] = r;
			rcpts[g->n++] = (struct queue_grant){.rcpt = r->rcpt, .addr = r->addr};
		}
	}
	for (size_t i = 0; i < g->n; i++) {
		assert_false(queue_is_leased(m->q, g->rows[i]->number, g->rows[i]->rcpt)); /* Q1 */
		check_order(m, g->rows[i]);
	}
	g->lease = queue_grant(m->q, &g->pick, rcpts, g->n, m->now_us);
	for (size_t i = 0; i < g->n; i++) {
		g->rows[i]->offers++;
		g->rows[i]->lease = g->lease;
	}
	return true;
}

static void outcome(struct model *m, struct granted *g, enum queue_state to)
{
	for (size_t i = 0; i < g->n; i++) {
		g->rows[i]->state = to;
		g->rows[i]->next_us = m->now_us + 3000000;
		g->rows[i]->is_intent = false;
		if (to == QUEUE_READY)
			queue_notice_ready(m->q, SITE, g->rows[i]->addr, g->rows[i]->number);
		queue_on_outcome(m->q, g->lease, g->rows[i]->number, g->rows[i]->rcpt,
				 to == QUEUE_DELIVERED	? ATTEMPT_ACCEPTED
				 : to == QUEUE_DEFERRED ? ATTEMPT_4XX
							: ATTEMPT_LOST,
				 m->now_us);
	}
}

static void site_up(struct model *m, uint64_t up_number)
{
	queue_site_limits(m->q, SITE, &(struct queue_site_limits){.concurrency = 100});
	queue_site_phase(m->q, SITE, PHASE_UP, up_number, false);
}

/* ---- named cases ---- */

static void a_bomb_does_not_starve_others(void **state)
{
	struct model *m = model_new(1);
	struct granted g;
	unsigned until_all = 0, others = 0;

	(void)state;
	for (uint64_t i = 0; i < 10000; i++)
		add(m, i, 0, 7, 70); /* 10,000 to one mailbox, by one sender */
	for (uint64_t i = 0; i < 20; i++)
		add(m, 10000 + i, 0, 100 + i, 200 + i);
	site_up(m, 20000);
	queue_courier_join(m->q, 0, 1000);
	for (unsigned n = 1; others < 20; n++) {
		assert_true(grant(m, &g));
		others += g.pick.addr != 7;
		until_all = n;
		if (g.pick.addr == 7)
			outcome(m, &g, QUEUE_DELIVERED);
	}
	assert_true(until_all <= 60);
	model_free(m);
}

/* The same, spread over 300 mailboxes: the sender is what they have in common. */
static void a_sender_to_all_does_not_starve_others(void **state)
{
	struct model *m = model_new(1);
	struct granted g;
	unsigned n;

	(void)state;
	for (uint64_t i = 0; i < 300; i++)
		add(m, i, 0, 1000 + i, 70);
	add(m, 300, 0, 5, 50);
	site_up(m, 2000);
	queue_courier_join(m->q, 0, 1000);
	for (n = 1; grant(m, &g) && g.pick.addr != 5; n++)
		outcome(m, &g, QUEUE_DELIVERED);
	assert_int_equal(g.pick.addr, 5);
	assert_true(n <= 4);
	model_free(m);
}

static void a_backlog_of_equals_goes_oldest_first(void **state)
{
	struct model *m = model_new(1);
	struct granted g;

	(void)state;
	for (uint64_t i = 0; i < 200; i++)
		add(m, i, 0, 1000 + i, 70);
	site_up(m, 2000);
	queue_courier_join(m->q, 0, 1000);
	for (uint64_t i = 0; i < 200; i++) {
		assert_true(grant(m, &g));
		assert_int_equal(g.pick.number, i);
		outcome(m, &g, QUEUE_DELIVERED);
	}
	assert_false(grant(m, &g));
	model_free(m);
}

static void live_mail_gets_a_share(void **state)
{
	struct model *m = model_new(1);
	struct granted g;
	unsigned live = 0;

	(void)state;
	for (uint64_t i = 0; i < 3000; i++)
		add(m, i, 0, 10 + i % 1500, 1 + i % 50);
	site_up(m, 3000);
	queue_courier_join(m->q, 0, 5000);
	for (uint64_t i = 0; i < 25; i++)
		add(m, 3001 + i, 0, 9000 + i, 900 + i);
	for (unsigned n = 0; n < 100; n++) {
		assert_true(grant(m, &g));
		live += g.pick.number > 3000;
		outcome(m, &g, QUEUE_DELIVERED);
	}
	assert_int_equal(live, 25);
	model_free(m);
}

static void older_mail_of_the_mailbox_goes_before_live_mail(void **state)
{
	struct model *m = model_new(1);
	struct granted g;

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		add(m, i, 0, 5, 1);
	site_up(m, 20);
	queue_courier_join(m->q, 0, 100);
	add(m, 21, 0, 5, 1);
	for (uint64_t i = 0; i < 20; i++) {
		assert_true(grant(m, &g));
		assert_int_equal(g.pick.number, i);
	}
	assert_true(grant(m, &g));
	assert_int_equal(g.pick.number, 21);
	model_free(m);
}

static void a_mailbox_stays_with_one_courier(void **state)
{
	struct model *m = model_new(1);
	struct granted a, b;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		add(m, i, 0, 5, 1);
	site_up(m, 20);
	queue_courier_join(m->q, 0, 1);
	assert_true(grant(m, &a));
	queue_courier_join(m->q, 1, 10); /* it has room, but courier 0 has an older one out */
	assert_false(grant(m, &b));
	outcome(m, &a, QUEUE_DELIVERED);
	assert_true(grant(m, &b));
	assert_int_equal(b.pick.courier, 1);
	model_free(m);
}

/* What is out at courier 0 was perhaps not begun yet: nothing younger may begin elsewhere before it. */
static void a_second_offer_elsewhere_does_not_move_the_mailbox(void **state)
{
	struct model *m = model_new(1);
	struct granted first, next, again;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		add(m, i, 0, 5, 1);
	site_up(m, 20);
	queue_courier_join(m->q, 0, 3);
	assert_true(grant(m, &first));
	outcome(m, &first, QUEUE_DEFERRED);
	for (uint64_t i = 1; i < 3; i++) {
		assert_true(grant(m, &next));
		assert_int_equal(next.pick.number, i);
	}
	m->now_us += 4000000; /* number 0 is due */
	queue_courier_join(m->q, 1, 10);
	queue_courier_room(m->q, 0, 0, 1);
	assert_true(grant(m, &again));
	assert_int_equal(again.pick.number, 0);
	assert_int_equal(again.pick.courier, 1);
	assert_true(grant(m, &next));
	assert_int_equal(next.pick.number, 3);
	assert_int_equal(next.pick.courier, 0);
	model_free(m);
}

static bool pick_at(struct queue *q, uint32_t site, const struct queue_item *only, struct queue_pick *out)
{
	struct queue_need need;
	uint64_t again;

	while (queue_need(q, site, 1000, &need)) {
		bool is_new = need.after_number == UINT64_MAX || only->number > need.after_number;

		queue_give(q, &need, only, need.want != QUEUE_WANT_DUE && is_new, 1000);
	}
	return queue_pick(q, site, 1000, out, &again) == OK;
}

static void what_was_redirected_while_out_is_found_where_it_went(void **state)
{
	const struct queue_item item = {.number = 7, .addr = 5, .sender = 1};
	struct queue_grant grant_to = {.addr = 5};
	struct queue *q = queue_new(1000);
	struct queue_pick pick;
	uint64_t lease;

	(void)state;
	for (uint32_t site = 1; site <= 2; site++) {
		queue_site_limits(q, site, &(struct queue_site_limits){.concurrency = 10});
		queue_site_phase(q, site, PHASE_UP, 1, false);
	}
	queue_courier_join(q, 0, 10);
	assert_true(pick_at(q, 1, &item, &pick));
	lease = queue_grant(q, &pick, &grant_to, 1, 1000);
	queue_notice_ready(q, 2, 5, 7); /* redirected: it is of site 2 now */
	assert_false(pick_at(q, 2, &item, &pick));
	assert_true(queue_on_done(q, 0, lease, false, false, 1000)); /* the lease lapses */
	assert_true(pick_at(q, 2, &item, &pick));
	assert_int_equal(pick.number, 7);
	queue_free(q);
}

static void probation_ramps_1_10_100(void **state)
{
	static const unsigned want[] = {1, 10, 100, 100};
	struct model *m = model_new(1);
	static struct granted out[200];
	uint64_t number = 0;

	(void)state;
	for (uint64_t i = 0; i < 500; i++)
		add(m, i, 0, i, 1);
	queue_site_limits(m->q, SITE, &(struct queue_site_limits){.concurrency = 100});
	queue_site_phase(m->q, SITE, PHASE_PROBATION, 0, false);
	queue_courier_join(m->q, 0, 1000);
	for (size_t stage = 0; stage < 4; stage++) {
		unsigned n = 0;

		while (grant(m, &out[n])) {
			assert_int_equal(out[n].pick.number, number++);
			n++;
		}
		assert_int_equal(n, want[stage]);
		for (unsigned i = 0; i < n; i++)
			outcome(m, &out[i], QUEUE_DELIVERED);
	}
	assert_true(grant(m, &out[0]));
	outcome(m, &out[0], QUEUE_DEFERRED); /* nothing accepted: back to one, after a pause */
	assert_false(grant(m, &out[0]));
	m->now_us += RAMP_PAUSE_US;
	assert_true(grant(m, &out[0]));
	assert_false(grant(m, &out[1]));
	model_free(m);
}

static void nothing_is_granted_while_down_or_stopped(void **state)
{
	struct model *m = model_new(1);
	struct granted g;

	(void)state;
	add(m, 1, 0, 5, 1);
	queue_courier_join(m->q, 0, 10);
	assert_false(grant(m, &g));
	queue_site_phase(m->q, SITE, PHASE_UP, 2, true);
	assert_false(grant(m, &g));
	queue_site_phase(m->q, SITE, PHASE_UP, 2, false);
	assert_true(grant(m, &g));
	model_free(m);
}

/* K-07: three couriers die of one message; it is set aside, the others arrive. */
static void k_07_a_message_that_kills_is_set_aside(void **state)
{
	struct model *m = model_new(1);
	unsigned deaths = 0;
	bool is_aside = false;

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		add(m, i, 0, 100 + i, 1);
	site_up(m, 100);
	queue_courier_join(m->q, 0, 10);
	for (int round = 0; round < 20 && !is_aside; round++) {
		struct granted out[10];
		size_t n = 0;
		bool dies = false;

		while (n < 10 && grant(m, &out[n])) {
			dies |= out[n].pick.number == 4 && !out[n].pick.set_aside;
			n++;
		}
		for (size_t i = 0; i < n; i++) {
			if (out[i].pick.set_aside) {
				assert_int_equal(out[i].pick.number, 4);
				outcome(m, &out[i], QUEUE_DECIDE);
				is_aside = true;
			} else if (!dies || out[i].pick.number < 4) {
				outcome(m, &out[i], QUEUE_DELIVERED);
			}
		}
		if (dies) {
			deaths++;
			queue_courier_leave(m->q, 0);
			(void)queue_courier_settle(m->q, 0, true, m->now_us);
		}
		queue_courier_join(m->q, 0, 10);
	}
	assert_true(is_aside);
	assert_int_equal(deaths, 3);
	for (int round = 0; round < 10; round++) {
		struct granted g;

		queue_courier_join(m->q, 0, 10);
		while (grant(m, &g)) {
			assert_false(g.pick.set_aside);
			outcome(m, &g, QUEUE_DELIVERED);
		}
	}
	for (size_t i = 0; i < m->n; i++)
		assert_int_equal(m->rows[i].state, i == 4 ? QUEUE_DECIDE : QUEUE_DELIVERED);
	model_free(m);
}

static void a_lease_without_intent_lapses_one_with_intent_does_not(void **state)
{
	struct model *m = model_new(1);
	struct granted a, b, c;

	(void)state;
	add(m, 1, 0, 5, 1);
	add(m, 2, 0, 6, 1);
	site_up(m, 10);
	queue_courier_join(m->q, 0, 10);
	assert_true(grant(m, &a));
	assert_true(grant(m, &b));
	queue_on_intent(m->q, b.lease);
	b.rows[0]->state = QUEUE_OFFERED;
	queue_courier_leave(m->q, 0);
	assert_int_equal(queue_courier_waiting(m->q, 0), 2);
	queue_courier_join(m->q, 0, 10);
	assert_false(grant(m, &c)); /* not settled: nothing is certain */
	assert_int_equal(queue_courier_settle(m->q, 0, true, m->now_us), 2);
	assert_true(grant(m, &c));
	assert_int_equal(c.pick.number, 1);
	assert_false(grant(m, &c)); /* number 2 is offered: only as an orphan */
	queue_add_orphan(m->q, SITE, &(struct queue_item){.number = 2, .addr = 6});
	assert_false(grant(m, &b)); /* a courier died of either: one at a time (Q4) */
	outcome(m, &c, QUEUE_DELIVERED);
	assert_true(grant(m, &c));
	assert_int_equal(c.pick.number, 2);
	assert_true(c.pick.is_orphan);
	model_free(m);
}

static void a_record_that_never_comes_does_not_keep_a_lease(void **state)
{
	struct model *m = model_new(1);
	struct granted g;

	(void)state;
	add(m, 1, 0, 5, 1);
	site_up(m, 10);
	queue_courier_join(m->q, 0, 10);
	assert_true(grant(m, &g));
	assert_true(queue_on_done(m->q, 0, g.lease, false, true, m->now_us));
	m->now_us += QUEUE_DONE_PATIENCE_US - 1;
	assert_int_equal(queue_sweep(m->q, m->now_us), 0);
	assert_false(grant(m, &g));
	m->now_us += 1;
	assert_int_equal(queue_sweep(m->q, m->now_us), 1);
	assert_true(grant(m, &g));
	model_free(m);
}

static void a_message_to_many_goes_together_when_it_is_their_turn(void **state)
{
	struct model *m = model_new(1);
	struct granted g;

	(void)state;
	add(m, 1, 0, 6, 1); /* mailbox 6 has an older one */
	add(m, 2, 0, 5, 1);
	add(m, 2, 1, 6, 1);
	add(m, 2, 2, 7, 1);
	site_up(m, 10);
	queue_courier_join(m->q, 0, 10);
	assert_true(grant(m, &g));
	assert_int_equal(g.pick.number, 1);
	assert_true(grant(m, &g)); /* and it is out before: all three may go */
	assert_int_equal(g.n, 3);
	model_free(m);
}

/* N-07: a site that says 4xx is given less at a time, and more again when it takes. */
static void refusals_narrow_what_is_out(void **state)
{
	struct model *m = model_new(1);
	static struct granted out[100 * QUEUE_LEASES_PER_CONNECTION + 1];
	unsigned n = 0, last;

	(void)state;
	for (uint64_t i = 0; i < 3000; i++)
		add(m, i, 0, i % 100, 1);
	site_up(m, 5000);
	queue_courier_join(m->q, 0, 100000);
	while (grant(m, &out[n]))
		n++;
	assert_int_equal(n, 100 * QUEUE_LEASES_PER_CONNECTION);
	for (int round = 0; round < 12; round++) {
		for (unsigned i = 0; i < n; i++)
			outcome(m, &out[i], QUEUE_DEFERRED);
		m->now_us += 200000;
		last = n;
		for (n = 0; grant(m, &out[n]); n++)
			;
		assert_true(n <= last / 2 + 1);
	}
	assert_int_equal(n, 1);
	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; i < n; i++)
			outcome(m, &out[i], QUEUE_DELIVERED);
		for (n = 0; grant(m, &out[n]); n++)
			;
	}
	assert_true(n >= 20);
	model_free(m);
}

/* ---- pace ---- */

/* Q5: at every moment, over all true windows. */
static void rates_are_never_passed(void **state)
{
	static uint64_t at[20000];

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct pace p = {0};
		uint64_t now = 1000000 * seed, r = seed;
		size_t n = 0, minute = 0, hour = 0;

		pace_set(&p, 60, 900);
		for (int step = 0; step < 6000; step++) {
			r = queue_mix(r);
			now += r % 2500000;
			while (minute < n && at[minute] + 60000000 <= now)
				minute++;
			while (hour < n && at[hour] + 3600000000 <= now)
				hour++;
			if (pace_room(&p, now) == 0) {
				assert_true(pace_again_us(&p, now) > now);
				continue;
			}
			pace_count(&p, now);
			at[n++] = now;
			assert_true(n - minute <= 60);
			assert_true(n - hour <= 900);
		}
		assert_true(n > 1500); /* and it is not idle either: 2 h at 900 an hour */
	}
}

static void retry_times_follow_the_schedule(void **state)
{
	static const uint32_t ms[] = {1000, 60000};
	struct queue_schedule s;

	(void)state;
	queue_schedule_set(&s, ms, 2);
	for (unsigned tries = 1; tries < 5; tries++)
		for (uint64_t seed = 0; seed < 200; seed++) {
			uint64_t base = tries == 1 ? 1000000 : 60000000;
			uint64_t got = queue_retry_after_us(&s, tries, seed);

			assert_true(got >= base - base / 10 && got <= base + base / 10);
			assert_int_equal(got, queue_retry_after_us(&s, tries, seed));
		}
	queue_schedule_set(&s, NULL, 0);
	assert_true(s.n > 3);
}

/* ---- properties ---- */

enum { OUT_MAX = 64, PROPERTY_ROWS = 600 };

struct play {
	struct model *m;
	struct granted out[OUT_MAX];
	size_t out_n;
	size_t done;
};

static void forget(struct play *p, size_t i)
{
	p->out[i] = p->out[--p->out_n];
}

static void never_offered(struct granted *g)
{
	for (size_t k = 0; k < g->n; k++)
		g->rows[k]->offers--;
}

static void finish_one(struct play *p, size_t i)
{
	struct model *m = p->m;
	struct granted *g = &p->out[i];
	uint64_t how = dice(m, 10);

	if (how == 0 && !g->rows[0]->is_intent && !g->pick.set_aside) {
		assert_true(
			queue_on_done(m->q, g->pick.courier, g->lease, false, false, m->now_us));
		never_offered(g);
	} else {
		enum queue_state to = g->pick.set_aside ? QUEUE_DECIDE
				      : how == 1	? QUEUE_DEFERRED
				      : how == 2	? QUEUE_READY
							: QUEUE_DELIVERED;

		outcome(m, g, to);
		assert_true(queue_on_done(m->q, g->pick.courier, g->lease, true, true, m->now_us));
	}
	forget(p, i);
}

static void kill_courier(struct play *p, unsigned courier)
{
	struct model *m = p->m;

	queue_courier_leave(m->q, courier);
	(void)queue_courier_settle(m->q, courier, true, m->now_us);
	for (size_t i = 0; i < p->out_n;) {
		struct granted *g = &p->out[i];

		if (g->pick.courier != courier) {
			i++;
			continue;
		}
		for (size_t k = 0; k < g->n; k++)
			if (!g->rows[k]->is_intent)
				g->rows[k]->offers--;
			else
				queue_add_orphan(m->q, SITE,
						 &(struct queue_item){.number = g->rows[k]->number,
								      .rcpt = g->rows[k]->rcpt,
								      .addr = g->rows[k]->addr});
		forget(p, i);
	}
	queue_courier_join(m->q, courier, 20);
}

static void intend(struct play *p, size_t i)
{
	struct granted *g = &p->out[i];

	if (g->pick.set_aside)
		return;
	queue_on_intent(p->m->q, g->lease);
	for (size_t k = 0; k < g->n; k++) {
		g->rows[k]->state = QUEUE_OFFERED;
		g->rows[k]->is_intent = true;
	}
}

static size_t settled(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->rows[i].state == QUEUE_DELIVERED || m->rows[i].state == QUEUE_DECIDE;
	return n;
}

static void play_one(uint64_t seed)
{
	struct play *p = must_alloc(sizeof *p);
	struct model *m = p->m = model_new(seed);
	uint64_t number = 0;

	site_up(m, 100);
	for (unsigned c = 0; c < 3; c++)
		queue_courier_join(m->q, c, 20);
	for (int step = 0; step < 40000 && !(number > 400 && settled(m) == m->n); step++) {
		uint64_t what = dice(m, 100);

		m->now_us += dice(m, 100000);
		if (number <= 400 && what < 30) {
			for (uint32_t r = 0, n = 1 + (uint32_t)dice(m, 3); r < n; r++)
				add(m, number, r, dice(m, 12) * 10 + r, dice(m, 5));
			number++;
		} else if (what < 60 && p->out_n < OUT_MAX) {
			if (grant(m, &p->out[p->out_n]))
				p->out_n++;
		} else if (what < 75 && p->out_n > 0) {
			intend(p, (size_t)dice(m, p->out_n));
		} else if (what < 98 && p->out_n > 0) {
			finish_one(p, (size_t)dice(m, p->out_n));
			queue_courier_room(m->q, (unsigned)dice(m, 3), 0, 20);
		} else if (what == 98 && dice(m, 5) == 0) {
			kill_courier(p, (unsigned)dice(m, 3));
		} else if (what == 99 && dice(m, 5) == 0) {
			queue_site_phase(m->q, SITE, PHASE_DOWN, 100, false);
			queue_site_phase(m->q, SITE, PHASE_UP, 100 + number, false);
		}
	}
	if (settled(m) != m->n)
		fail_msg("seed %llu: %zu of %zu settled, %zu out", (unsigned long long)seed,
			 settled(m), m->n, p->out_n);
	model_free(m);
	free(p);
}

/* A site that the views forgot goes when its last lease does, and comes back as a new one. */
static void a_site_with_nothing_open_is_forgotten(void **state)
{
	struct queue *q = queue_new(1);
	struct queue_pick pick = {.site = 7, .number = 5};
	struct queue_grant grant = {.addr = 3};
	struct queue_site_limits limits = {.concurrency = 4};
	struct queue_need need;
	uint64_t lease;

	(void)state;
	queue_courier_join(q, 0, 10);
	queue_site_limits(q, 7, &limits);
	queue_site_phase(q, 7, PHASE_UP, 0, false);
	queue_courier_room(q, 0, 7, 0);
	assert_false(queue_need(q, 7, 1000000, &need)); /* it said: no room there */
	lease = queue_grant(q, &pick, &grant, 1, 1000000);
	queue_site_empty(q, 7);
	assert_int_equal(queue_leases_of(q, 7), 1);
	assert_true(queue_on_done(q, 0, lease, false, false, 1000000));
	assert_int_equal(queue_leases_of(q, 7), 0);
	assert_false(queue_need(q, 7, 1000000, &need)); /* forgotten: not up until it is said */
	queue_site_limits(q, 7, &limits);
	queue_site_phase(q, 7, PHASE_UP, 0, false);
	assert_true(queue_need(q, 7, 1000000, &need)); /* and what was said of its room, too */
	queue_free(q);
}

static void property_q1_q2_all_arrive(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		play_one(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bomb_does_not_starve_others),
		cmocka_unit_test(a_sender_to_all_does_not_starve_others),
		cmocka_unit_test(a_backlog_of_equals_goes_oldest_first),
		cmocka_unit_test(live_mail_gets_a_share),
		cmocka_unit_test(older_mail_of_the_mailbox_goes_before_live_mail),
		cmocka_unit_test(a_mailbox_stays_with_one_courier),
		cmocka_unit_test(a_second_offer_elsewhere_does_not_move_the_mailbox),
		cmocka_unit_test(what_was_redirected_while_out_is_found_where_it_went),
		cmocka_unit_test(probation_ramps_1_10_100),
		cmocka_unit_test(nothing_is_granted_while_down_or_stopped),
		cmocka_unit_test(k_07_a_message_that_kills_is_set_aside),
		cmocka_unit_test(a_lease_without_intent_lapses_one_with_intent_does_not),
		cmocka_unit_test(a_record_that_never_comes_does_not_keep_a_lease),
		cmocka_unit_test(a_message_to_many_goes_together_when_it_is_their_turn),
		cmocka_unit_test(refusals_narrow_what_is_out),
		cmocka_unit_test(rates_are_never_passed),
		cmocka_unit_test(retry_times_follow_the_schedule),
		cmocka_unit_test(a_site_with_nothing_open_is_forgotten),
		cmocka_unit_test(property_q1_q2_all_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
