/*
 * Which delivery next: start-time fair queueing over mailboxes, with senders beside them. A grant costs 1; the start of a
 * mailbox's next is the latest of the virtual time, the end of its last and the end of its sender's last; the earliest start
 * goes first, the oldest message when starts are equal. So a backlog of equals goes out oldest first, and whoever has much
 * waits after each turn until the others had theirs.
 */
#include "base/must.h"
#include "queue/internal.h"
#include "queue/schedule.h"

enum { AGAIN_EVERY = 3, LIVE_EVERY = 4, CONCURRENCY_DEFAULT = 20 };
enum { NARROW_UNIT = 16, NARROW_EVERY_US = 100000 };

static uint64_t *sender_finish(struct qsite *s, uint64_t sender)
{
	size_t at = (size_t)(queue_mix(sender) % SENDER_SLOTS);

	if (s->senders[at].sender != sender) { /* whoever was there had its turns */
		s->senders[at].sender = sender;
		s->senders[at].finish = 0;
	}
	return &s->senders[at].finish;
}

static uint64_t start_of(const struct qsite *s, const struct flow *f)
{
	uint64_t sender = f->items[0].sender, start = s->virtual_time;
	size_t at = (size_t)(queue_mix(sender) % SENDER_SLOTS);

	if (f->finish > start)
		start = f->finish;
	if (s->senders[at].sender == sender && s->senders[at].finish > start)
		start = s->senders[at].finish;
	return start;
}

/* ---- couriers ---- */

struct room *room_said(const struct courier *c, uint32_t site)
{
	uint64_t id = site;

	return c->site_room.n ? map_get(&c->site_room, map_key_u64(&id)) : NULL;
}

uint32_t courier_room(const struct queue *q, unsigned courier, uint32_t site)
{
	const struct courier *c = &q->couriers[courier];
	uint32_t room = c->is_here ? c->room : 0;
	const struct room *said = room ? room_said(c, site) : NULL;

	return said && said->room < room ? said->room : room;
}

void courier_room_take(struct queue *q, unsigned courier, uint32_t site)
{
	struct courier *c = &q->couriers[courier];
	struct room *said = room_said(c, site);

	if (c->room > 0)
		c->room--;
	if (said && said->room > 0)
		said->room--;
}

/* The courier with the most room; QUEUE_COURIERS_MAX: none has any. */
static unsigned roomiest(const struct queue *q, uint32_t site)
{
	unsigned best = QUEUE_COURIERS_MAX;
	uint32_t most = 0;

	for (unsigned c = 0; c < QUEUE_COURIERS_MAX; c++) {
		uint32_t room = courier_room(q, c, site);

		if (room > most) {
			most = room;
			best = c;
		}
	}
	return best;
}

/* ---- candidates ---- */

/* One of those that couriers died of may be out at a time (Q4). */
static bool is_kept_back(const struct queue *q, uint64_t number)
{
	return q->suspects_out > 0 && map_get(&q->deaths, map_key_u64(&number)) != NULL;
}

static bool is_pickable(const struct queue *q, const struct qsite *s, const struct flow *f,
			uint64_t now_us, uint64_t *again_us)
{
	if (f->n == 0 || is_kept_back(q, f->items[0].number))
		return false;
	if (f->not_before_us > now_us) {
		if (*again_us == 0 || f->not_before_us < *again_us)
			*again_us = f->not_before_us;
		return false;
	}
	return f->out == 0 || courier_room(q, f->courier, s->id) > 0;
}

static struct flow *best_flow(const struct queue *q, const struct qsite *s, bool only_live,
			      uint64_t now_us, uint64_t *again_us)
{
	struct flow *best = NULL;
	uint64_t best_start = 0;

	LIST_EACH (at, &s->flows) {
		struct flow *f = LIST_ENTRY(at, struct flow, in_site);
		uint64_t start;

		if ((only_live && !f->is_live) || !is_pickable(q, s, f, now_us, again_us))
			continue;
		start = start_of(s, f);
		if (!best || start < best_start ||
		    (start == best_start && f->items[0].number < best->items[0].number)) {
			best = f;
			best_start = start;
		}
	}
	return best;
}

static const struct queue_item *best_again(const struct queue *q, const struct qsite *s,
					   uint64_t now_us)
{
	for (size_t i = 0; i < s->again_n; i++)
		if (s->again[i].not_before_us <= now_us && !is_kept_back(q, s->again[i].number))
			return &s->again[i];
	return NULL;
}

uint64_t most_out(const struct qsite *s)
{
	uint64_t most = s->limits.concurrency ? s->limits.concurrency : CONCURRENCY_DEFAULT;

	most *= QUEUE_LEASES_PER_CONNECTION;
	return s->narrow && s->narrow / NARROW_UNIT < most ? s->narrow / NARROW_UNIT : most;
}

/* Half when it refuses for now, at most so often; a quarter more for each that it takes. */
void narrow_by(struct qsite *s, enum attempt attempt, uint64_t now_us)
{
	uint64_t most = most_out(s);

	if (attempt == ATTEMPT_4XX && now_us >= s->narrowed_us + NARROW_EVERY_US) {
		s->narrow = (most > 1 ? most / 2 : 1) * NARROW_UNIT;
		s->narrowed_us = now_us;
	} else if (attempt == ATTEMPT_ACCEPTED && s->narrow) {
		s->narrow += NARROW_UNIT / 4;
	}
}

/* How many leases may go out now. */
static uint64_t room_of(struct qsite *s, uint64_t now_us, uint64_t *again_us)
{
	uint64_t most = most_out(s), room;

	room = s->out < most ? most - s->out : 0;
	if (s->phase == PHASE_PROBATION) {
		uint32_t ramp = ramp_room(&s->ramp, now_us);

		if (ramp == 0)
			*again_us = s->ramp.not_before_us > now_us ? s->ramp.not_before_us : 0;
		room = ramp < room ? ramp : room;
	}
	if (s->not_before_us > now_us) {
		*again_us = s->not_before_us;
		room = 0;
	}
	if (pace_room(&s->pace, now_us) == 0) {
		*again_us = pace_again_us(&s->pace, now_us);
		room = 0;
	}
	return room;
}

static enum rc found(struct queue *q, struct qsite *s, const struct queue_item *item,
		     unsigned courier, bool is_again, struct queue_pick *out)
{
	const struct deaths *d = map_get(&q->deaths, map_key_u64(&item->number));

	*out = (struct queue_pick){
		.site = s->id,
		.courier = courier,
		.number = item->number,
		.addr = item->addr,
		.sender = item->sender,
		.rcpt = item->rcpt,
		.is_orphan = item->is_orphan,
		.set_aside = item->set_aside,
		.why_aside = item->set_aside ? "its answer was lost twice: it may be there" : "",
		.is_retry = is_again,
	};
	if (d && d->n >= QUEUE_DEATHS_MAX) {
		out->set_aside = true;
		out->why_aside = "the courier ended three times while it had this message";
	}
	return OK;
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
	return a == 0 || b < a ? b : a;
}

enum rc queue_pick(struct queue *q, uint32_t site, uint64_t now_us, struct queue_pick *out,
		   uint64_t *out_again_us)
{
	struct qsite *s = qsite_of(q, site);
	const struct queue_item *again;
	unsigned courier = roomiest(q, site);
	struct flow *f = NULL;
	uint64_t wait_us = 0;

	*out_again_us = 0;
	if (s->phase == PHASE_DOWN || s->is_stopped || courier == QUEUE_COURIERS_MAX ||
	    room_of(s, now_us, out_again_us) == 0)
		return LATER;
	again = best_again(q, s, now_us);
	if (again && s->turns % AGAIN_EVERY == 0)
		return found(q, s, again, courier, true, out);
	if (s->phase == PHASE_UP && s->turns % LIVE_EVERY == 0)
		f = best_flow(q, s, true, now_us, &wait_us);
	if (!f)
		f = best_flow(q, s, false, now_us, &wait_us);
	if (f)
		return found(q, s, &f->items[0], f->out > 0 ? f->courier : courier, false, out);
	if (again)
		return found(q, s, again, courier, true, out);
	if (s->again_n > 0) /* paused or kept back */
		wait_us = soonest(wait_us, now_us + QUEUE_LAPSE_PAUSE_US);
	else if (s->due_look_us > now_us)
		wait_us = soonest(wait_us, s->due_look_us);
	*out_again_us = wait_us;
	return LATER;
}

/* Out of the window: the pick, or one that joins it. */
static void remove_item(struct qsite *s, uint64_t number, uint32_t rcpt, uint64_t addr)
{
	struct flow *f = flow_of(s, addr);

	for (size_t i = 0; f && i < f->n; i++)
		if (f->items[i].number == number && f->items[i].rcpt == rcpt) {
			flow_take(f, i);
			break;
		}
	for (size_t i = 0; i < s->again_n; i++)
		if (s->again[i].number == number && s->again[i].rcpt == rcpt) {
			s->again_n--;
			memmove(&s->again[i], &s->again[i + 1],
				(s->again_n - i) * sizeof s->again[0]);
			return;
		}
}

void queue_skip(struct queue *q, const struct queue_pick *pick)
{
	struct qsite *s = qsite_of(q, pick->site);
	struct flow *f = flow_of(s, pick->addr);

	remove_item(s, pick->number, pick->rcpt, pick->addr);
	if (f)
		flow_drop_if_idle(s, f);
}

bool queue_may_join(struct queue *q, const struct queue_pick *pick, uint32_t rcpt, uint64_t addr,
		    bool is_first, uint64_t now_us)
{
	struct qsite *s = qsite_of(q, pick->site);
	struct flow *f = flow_of(s, addr);

	if (rcpt == pick->rcpt || queue_is_leased(q, pick->number, rcpt))
		return false;
	if (!f)
		return is_first && flow_make(s, addr, false) != NULL;
	if (f->not_before_us > now_us || (f->out > 0 && f->courier != pick->courier))
		return false;
	if (f->n > 0)
		return f->items[0].number == pick->number;
	return is_first;
}

static void charge(struct qsite *s, struct flow *f, uint64_t sender)
{
	uint64_t *by_sender = sender_finish(s, sender), start = s->virtual_time;

	if (f && f->finish > start)
		start = f->finish;
	if (*by_sender > start)
		start = *by_sender;
	s->virtual_time = start;
	*by_sender = start + 1;
	if (f)
		f->finish = start + 1;
}

uint64_t queue_grant(struct queue *q, const struct queue_pick *pick,
		     const struct queue_grant *rcpts, size_t n, uint64_t now_us)
{
	struct qsite *s = qsite_of(q, pick->site);
	struct lease *l = must_alloc(sizeof *l);
	struct deaths *d = map_get(&q->deaths, map_key_u64(&pick->number));

	l->id = q->next_lease++;
	l->number = pick->number;
	l->site = pick->site;
	l->courier = pick->courier;
	l->in_ramp = s->phase == PHASE_PROBATION;
	map_put(&q->leases, map_key_u64(&l->id), l);
	charge(s, pick->is_retry ? NULL : flow_of(s, pick->addr), pick->sender);
	for (size_t i = 0; i < n; i++) {
		remove_item(s, pick->number, rcpts[i].rcpt, rcpts[i].addr);
		lease_add_rcpt(q, l, &rcpts[i]);
	}
	if (d && !d->is_out) {
		d->is_out = true;
		q->suspects_out++;
	}
	s->out++;
	s->turns++;
	pace_count(&s->pace, now_us);
	if (l->in_ramp)
		ramp_granted(&s->ramp);
	courier_room_take(q, pick->courier, pick->site);
	return l->id;
}
