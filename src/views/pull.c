/* What the queue pulls: pages of candidates, what a lease says, what a lane offered. */
#include "base/must.h"
#include "views/internal.h"

enum { DAY_S = 86400, LONGEST_WAIT_S = 2 * DAY_S };

static size_t take(struct views *v, sqlite3_stmt *q, struct views_candidate *out, size_t max)
{
	size_t n = 0;

	while (n < max && views_row(v, q)) {
		out[n].number = (uint64_t)views_int(q, 0);
		out[n].rcpt = (uint32_t)views_int(q, 1);
		out[n].addr = (uint64_t)views_int(q, 2);
		out[n].sender = (uint64_t)views_int(q, 3);
		n++;
	}
	views_done(q);
	return n;
}

enum rc views_ready(struct views *v, uint32_t site, uint64_t after_number, int64_t after_rcpt,
		    struct views_candidate *out, size_t max, size_t *out_n, struct fault *why)
{
	*out_n = take(
		v,
		views_bind(v,
			   "SELECT number, rcpt, addr, 0 FROM delivery INDEXED BY delivery_ready"
			   " WHERE site = ? AND state = 0 AND (number, rcpt) > (?, ?)"
			   " ORDER BY number, rcpt LIMIT ?",
			   "iiii", I(site), I(after_number), after_rcpt, I(max)),
		out, max);
	return views_end(v, why);
}

enum rc views_ready_of(struct views *v, uint32_t site, uint64_t addr, uint64_t after_number,
		       int64_t after_rcpt, struct views_candidate *out, size_t max, size_t *out_n,
		       struct fault *why)
{
	*out_n = take(
		v,
		views_bind(
			v,
			"SELECT d.number, d.rcpt, d.addr, m.sender FROM delivery d INDEXED BY"
			" delivery_mailbox JOIN message m ON m.number = d.number WHERE d.site = ?"
			" AND d.addr = ? AND d.state = 0 AND (d.number, d.rcpt) > (?, ?)"
			" ORDER BY d.number, d.rcpt LIMIT ?",
			"iiiii", I(site), I(addr), I(after_number), after_rcpt, I(max)),
		out, max);
	return views_end(v, why);
}

enum rc views_due(struct views *v, uint32_t site, uint64_t now_us, struct views_candidate *out,
		  size_t max, size_t *out_n, struct fault *why)
{
	size_t n = take(
		v,
		views_bind(
			v,
			"SELECT number, rcpt, addr, 0 FROM delivery INDEXED BY delivery_deferred"
			" WHERE site = ? AND state = 2 AND next_us <= ? ORDER BY next_us LIMIT ?",
			"iii", I(site), I(now_us), I(max)),
		out, max);

	/* Later than any schedule says: the clock was set back since. */
	*out_n = n + take(v,
			  views_bind(v,
				     "SELECT number, rcpt, addr, 0 FROM delivery INDEXED BY "
				     "delivery_deferred"
				     " WHERE site = ? AND state = 2 AND next_us > ? ORDER BY "
				     "next_us LIMIT ?",
				     "iii", I(site), I(now_us + (uint64_t)LONGEST_WAIT_S * 1000000),
				     I(max - n)),
			  out + n, max - n);
	return views_end(v, why);
}

enum rc views_offered(struct views *v, uint32_t lane_id, uint64_t after_number, int64_t after_rcpt,
		      struct views_offered *out, size_t max, size_t *out_n, struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT number, rcpt, addr, site, unsure, lease FROM delivery INDEXED BY"
		" delivery_offered WHERE lane = ? AND state = 1 AND (number, rcpt) > (?, ?)"
		" ORDER BY number, rcpt LIMIT ?",
		"iiii", I(lane_id), I(after_number), after_rcpt, I(max));
	size_t n = 0;

	while (n < max && views_row(v, q)) {
		out[n] = (struct views_offered){
			.who = {.number = (uint64_t)views_int(q, 0),
				.rcpt = (uint32_t)views_int(q, 1),
				.addr = (uint64_t)views_int(q, 2)},
			.site = (uint32_t)views_int(q, 3),
			.unsure = (uint32_t)views_int(q, 4),
			.lease = (uint64_t)views_int(q, 5),
		};
		n++;
	}
	views_done(q);
	*out_n = n;
	return views_end(v, why);
}

enum rc views_offered_lanes(struct views *v, uint32_t *out, size_t max, size_t *out_n,
			    struct fault *why)
{
	sqlite3_stmt *q = views_sql(
		v,
		"SELECT DISTINCT lane FROM delivery INDEXED BY delivery_offered WHERE state = 1");
	size_t n = 0;

	while (n < max && views_row(v, q))
		out[n++] = (uint32_t)views_int(q, 0);
	views_done(q);
	*out_n = n;
	return views_end(v, why);
}

/* ---- a lease ---- */

static uint32_t refusals(struct views *v, uint64_t number, uint32_t rcpt, uint64_t from_us)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT count(*) FROM attempt WHERE number = ? AND rcpt = ? AND attempt = ?"
		" AND at_us > ?",
		"iiii", I(number), I(rcpt), I(ATTEMPT_5XX), I(from_us));
	uint32_t n = views_row(v, q) ? (uint32_t)views_int(q, 0) : 0;

	views_done(q);
	return n;
}

static bool was_put_off(struct views *v, uint64_t number, uint32_t rcpt, uint64_t after_us)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT 1 FROM attempt WHERE number = ? AND rcpt = ? AND"
				     " disposition = ? AND at_us >= ? LIMIT 1",
				     "iiii", I(number), I(rcpt), I(DISPOSE_RETRY), I(after_us));
	bool was = views_row(v, q);

	views_done(q);
	return was;
}

static bool is_known_good(struct views *v, struct span address, int64_t at_reception)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT verdict FROM recipient WHERE key = lower(?) ORDER BY source LIMIT 1",
		"s", address);
	bool good = at_reception == RECIPIENT_GOOD;

	if (views_row(v, q))
		good = views_int(q, 0) == RECIPIENT_GOOD;
	views_done(q);
	return good;
}

static bool is_first(struct views *v, uint32_t site, uint64_t addr, uint64_t number)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT 1 FROM delivery INDEXED BY delivery_mailbox WHERE site = ? AND addr = ?"
		" AND state = 0 AND number < ? LIMIT 1",
		"iii", I(site), I(addr), I(number));
	bool first = !views_row(v, q);

	views_done(q);
	return first;
}

static void lease_rcpts(struct views *v, uint32_t site, uint64_t number, struct arena *a,
			struct views_lease *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT d.rcpt, d.addr, d.state, d.next_us, d.lease, d.lane, d.tries, d.unsure,"
		" r.text, d.orcpt, d.notify, d.known FROM delivery d"
		" JOIN address r ON r.id = d.addr WHERE d.number = ? AND d.site = ?"
		" AND d.state != 3 ORDER BY d.rcpt",
		"ii", I(number), I(site));
	size_t cap = 0;

	while (views_row(v, q)) {
		struct views_lease_rcpt *r;

		if (out->rcpts_n == cap) {
			struct views_lease_rcpt *more =
				arena_array(a, cap ? 2 * cap : 4, sizeof *more);

			cap = cap ? 2 * cap : 4;
			if (out->rcpts_n)
				memcpy(more, out->rcpts, out->rcpts_n * sizeof *more);
			out->rcpts = more;
		}
		r = &out->rcpts[out->rcpts_n++];
		*r = (struct views_lease_rcpt){
			.rcpt = (uint32_t)views_int(q, 0),
			.addr = (uint64_t)views_int(q, 1),
			.state = (enum queue_state)views_int(q, 2),
			.next_us = (uint64_t)views_int(q, 3),
			.lease = (uint64_t)views_int(q, 4),
			.lane = (uint32_t)views_int(q, 5),
			.tries = (uint32_t)views_int(q, 6),
			.unsure = (uint32_t)views_int(q, 7),
			.address = arena_span(a, views_text(q, 8)),
			.orcpt = arena_span(a, views_text(q, 9)),
			.notify = (uint8_t)views_int(q, 10),
			.known_good = views_int(q, 11) == RECIPIENT_GOOD,
			.is_first = true,
		};
	}
}

enum rc views_lease(struct views *v, uint32_t site, uint64_t number, uint64_t now_us,
		    struct arena *a, struct views_lease *out, struct fault *why)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT lane_id, segment, offset, bytes, received_us, facts, s.text"
			   " FROM message JOIN address s ON s.id = sender WHERE number = ?",
			   "i", I(number));
	struct msg_message_meta m;

	memset(out, 0, sizeof *out);
	if (!views_row(v, q) || !msg_message_meta_decode(a, arena_span(a, views_text(q, 5)), &m)) {
		enum rc rc = views_end(v, why);

		fault_set(why, "no message with the number %llu", (unsigned long long)number);
		return rc == OK ? REFUSED : rc;
	}
	*out = (struct views_lease){
		.number = number,
		.lane_id = (uint32_t)views_int(q, 0),
		.segment = (uint32_t)views_int(q, 1),
		.offset = (uint64_t)views_int(q, 2),
		.body_bytes = (uint64_t)views_int(q, 3),
		.received_us = (uint64_t)views_int(q, 4),
		.id = m.id,
		.sender = arena_span(a, views_text(q, 6)),
		.envid = m.envid,
		.body_kind = m.body_kind,
		.ret = m.ret,
		.smtputf8 = m.smtputf8,
		.sender_verified = m.sender_verified,
	};
	views_done(q);
	lease_rcpts(v, site, number, a, out);
	for (size_t i = 0; i < out->rcpts_n; i++) {
		struct views_lease_rcpt *r = &out->rcpts[i];
		struct delivery d;
		uint64_t from_us =
			now_us > (uint64_t)DAY_S * 1000000 ? now_us - (uint64_t)DAY_S * 1000000 : 0;

		if (delivery_get(v, number, r->rcpt, &d) && d.count_from_us > from_us)
			from_us = d.count_from_us;
		r->refusals_24h = r->tries ? refusals(v, number, r->rcpt, from_us) : 0;
		r->delay_told = r->tries &&
				was_put_off(v, number, r->rcpt, out->received_us + VIEWS_DELAY_US);
		r->known_good = is_known_good(v, r->address, r->known_good ? RECIPIENT_GOOD : 0);
		if (r->state == QUEUE_READY)
			r->is_first = is_first(v, site, r->addr, number);
	}
	return views_end(v, why);
}

enum views_hold views_domain_hold(struct views *v, uint64_t addr, uint64_t now_us)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT d.hold FROM domain d, address a WHERE a.id = ? AND d.hold != '' AND"
		" (d.hold_until_us = 0 OR d.hold_until_us > ?) AND lower(a.text) LIKE '%@' || "
		"d.name",
		"ii", I(addr), I(now_us));
	enum views_hold hold = VIEWS_HOLD_AUTO;

	if (views_row(v, q))
		hold = span_eq(views_text(q, 0), SPAN_LIT("on")) ? VIEWS_HOLD_ON : VIEWS_HOLD_OFF;
	views_done(q);
	return hold;
}

bool views_any_hold(struct views *v, uint32_t site, enum views_hold hold, uint64_t now_us)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT 1 FROM domain d JOIN site s ON s.name = d.site WHERE s.id = ?"
			   " AND d.hold = ? AND (d.hold_until_us = 0 OR d.hold_until_us > ?)",
			   "izi", I(site), hold == VIEWS_HOLD_ON ? "on" : "off", I(now_us));
	bool any = views_row(v, q);

	views_done(q);
	return any;
}

uint64_t views_holds_mark(struct views *v, uint64_t now_us)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT name || ' ' || hold FROM domain WHERE hold != '' AND"
				     " (hold_until_us = 0 OR hold_until_us > ?) ORDER BY name",
				     "i", I(now_us));
	uint64_t mark = 0;

	while (views_row(v, q))
		mark = queue_mix(mark ^ map_hash(views_text(q, 0))) | 1;
	return mark;
}
