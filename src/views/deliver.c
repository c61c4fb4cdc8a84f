/*
 * MESSAGE, INTENT and OUTCOME: what becomes of each recipient of each message. Every change of a delivery's state goes
 * through delivery_move, which keeps the counters.
 *
 * A delivery whose answer was lost is known by one of two records: an OUTCOME that says so, or an INTENT or OUTCOME of a
 * later lease that finds the delivery still offered by an earlier one. Either counts it as unsure, so that the receipt can
 * name it; nothing here depends on when the clerk noticed.
 */
#include "base/bytes.h"
#include "base/must.h"
#include "views/people.h"

/* Why a delivery that a refusal did not count against waits a little: its host was not there. */
enum { HOLD_PAUSE_MS = 2000 };

uint64_t address_of_rcpt(struct views *v, struct span text)
{
	sqlite3_stmt *q =
		views_bind(v, "SELECT id, base IS NULL FROM address WHERE text = ?", "s", text);
	uint64_t id = 0;
	bool is_based = false;

	if (views_row(v, q)) {
		id = (uint64_t)views_int(q, 0);
		is_based = views_int(q, 1) == 0;
		views_done(q);
	}
	if (is_based)
		return id;
	if (id == 0) {
		views_run(v, "INSERT INTO address (text, base) VALUES (?, ?)", "ss", text,
			  address_base(v, text));
		return (uint64_t)sqlite3_last_insert_rowid(v->db);
	}
	views_run(v, "UPDATE address SET base = ? WHERE id = ?", "si", address_base(v, text),
		  I(id));
	return id;
}

uint64_t address_of(struct views *v, struct span text)
{
	sqlite3_stmt *q = views_bind(v, "SELECT id FROM address WHERE text = ?", "s", text);
	uint64_t id;

	if (views_row(v, q)) {
		id = (uint64_t)views_int(q, 0);
		views_done(q);
		return id;
	}
	views_run(v, "INSERT INTO address (text) VALUES (?)", "s", text);
	return (uint64_t)sqlite3_last_insert_rowid(v->db);
}

int64_t message_bytes(struct views *v, uint64_t number)
{
	sqlite3_stmt *q =
		views_bind(v, "SELECT bytes FROM message WHERE number = ?", "i", I(number));
	int64_t bytes = views_row(v, q) ? views_int(q, 0) : 0;

	views_done(q);
	return bytes;
}

bool delivery_get(struct views *v, uint64_t number, uint32_t rcpt, struct delivery *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT site, addr, state, known, next_us, tries, unsure,"
		" count_from_us, lane, lease FROM delivery WHERE number = ? AND rcpt = ?",
		"ii", I(number), I(rcpt));

	if (!views_row(v, q))
		return false;
	*out = (struct delivery){
		.number = number,
		.rcpt = rcpt,
		.site = (uint32_t)views_int(q, 0),
		.addr = (uint64_t)views_int(q, 1),
		.state = (enum queue_state)views_int(q, 2),
		.known = (uint32_t)views_int(q, 3),
		.next_us = (uint64_t)views_int(q, 4),
		.tries = (uint32_t)views_int(q, 5),
		.unsure = (uint32_t)views_int(q, 6),
		.count_from_us = (uint64_t)views_int(q, 7),
		.lane = (uint32_t)views_int(q, 8),
		.lease = (uint64_t)views_int(q, 9),
	};
	views_done(q);
	return true;
}

static void finish(struct views *v, const struct delivery *d, enum queue_state to,
		   const struct span *why, uint64_t at_us)
{
	struct site *s = site_by_id(v, d->site);

	views_run(v,
		  "INSERT INTO done SELECT number, rcpt, site, addr, ?3, ?4, ?5, ?6, was, "
		  "coalesce(?7, why)"
		  " FROM delivery WHERE number = ?1 AND rcpt = ?2",
		  why ? "iiiiiis" : "iiiiiin", I(d->number), I(d->rcpt), I(to), I(at_us),
		  I(d->tries), I(d->unsure), why ? *why : SPAN_NONE);
	views_run(v, "DELETE FROM delivery WHERE number = ? AND rcpt = ?", "ii", I(d->number),
		  I(d->rcpt));
	s->bytes -= message_bytes(v, d->number);
	s->done += to == QUEUE_DELIVERED;
}

void delivery_move(struct views *v, struct delivery *d, enum queue_state to, const struct span *why,
		   uint64_t at_us)
{
	struct site *s = site_by_id(v, d->site);
	enum queue_state from = d->state;

	must(queue_state_is_open(from));
	if (to != QUEUE_OFFERED)
		d->lane = 0, d->lease = 0;
	if (to != QUEUE_DEFERRED)
		d->next_us = 0;
	s->open[from]--;
	if (queue_state_is_open(to)) {
		s->open[to]++;
		views_run(v,
			  "UPDATE delivery SET state = ?3, next_us = ?4, tries = ?5, unsure = ?6,"
			  " count_from_us = ?7, lane = ?8, lease = ?9, why = coalesce(?10, why)"
			  " WHERE number = ?1 AND rcpt = ?2",
			  why ? "iiiiiiiiis" : "iiiiiiiiin", I(d->number), I(d->rcpt), I(to),
			  I(d->next_us), I(d->tries), I(d->unsure), I(d->count_from_us), I(d->lane),
			  I(d->lease), why ? *why : SPAN_NONE);
	} else {
		finish(v, d, to, why, at_us);
	}
	s->is_dirty = true;
	d->state = to;
	if (to != QUEUE_OFFERED)
		submission_moved(v, d->number);
	outage_move(v, s, d->number, (int)from, (int)to);
	if (to == QUEUE_READY && v->ops.on_ready)
		v->ops.on_ready(v->ops.arg, s->id, d->addr, d->number);
}

/* ---- MESSAGE ---- */

static int64_t id_key(struct span id)
{
	unsigned char bytes[8];

	if (id.n < 16 || !hex_decode(bytes, 8, span_first(id, 16)))
		return 0;
	return (int64_t)(((uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 |
			  (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
			  (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 |
			  (uint64_t)bytes[6] << 8 | bytes[7]) >>
			 4);
}

/* Of a destination in the world; its mail shares retries and connections with no other's. */
static struct site *world_of(struct views *v, struct span domain)
{
	struct buf name = {0};
	struct site *s;

	buf_printf(&name, VIEWS_WORLD_PREFIX "%.*s", SPAN_FMT(domain));
	s = site_of(v, buf_span(&name), SITE_WORLD);
	buf_fini(&name);
	return s;
}

static struct site *site_for(struct views *v, const struct msg_rcpt *r)
{
	sqlite3_stmt *q;
	struct site *s = NULL;

	if (span_eq(r->site, SPAN_LIT(VIEWS_WORLD)))
		return world_of(v, r->domain);
	if (r->site.n)
		return site_of(v, r->site, SITE_REAL);
	q = views_bind(v, "SELECT site FROM domain WHERE name = ? AND site != ''", "s", r->domain);
	if (views_row(v, q)) {
		struct span name = arena_span(&v->arena, views_text(q, 0));

		views_done(q);
		s = site_of(v, name, SITE_REAL);
	}
	return s;
}

static void add_delivery(struct views *v, const struct order_entry *e, const struct record *r,
			 const struct msg_message_meta *m, uint32_t index)
{
	const struct msg_rcpt *rcpt = &m->rcpts[index];
	struct site *s = site_for(v, rcpt);
	enum queue_state state = s ? QUEUE_READY : QUEUE_DECIDE;
	struct span why = SPAN_NONE;
	uint64_t addr = address_of_rcpt(v, rcpt->address);

	if (!s) {
		s = site_of(v, SPAN_NONE, SITE_NONE);
		why = m->is_dsn ? SPAN_LIT("a notification to a sender outside: no site of ours "
					   "takes this "
					   "address, and delivery to the world is not part of this "
					   "release")
				: SPAN_LIT("no site of the configuration takes this domain");
	}
	if (!s->o_open && s->phase != PHASE_UP)
		outage_begin(v, s, e->number, r->received_us);
	views_run(v,
		  "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, NULL, ?)",
		  rcpt->orcpt.n ? (why.n ? "iiiiiiiss" : "iiiiiiisn")
				: (why.n ? "iiiiiiins" : "iiiiiiinn"),
		  I(e->number), I(index), I(s->id), I(addr), I(state), I(rcpt->known),
		  I(rcpt->notify), rcpt->orcpt.n ? rcpt->orcpt : why, why);
	s->open[state]++;
	s->bytes += I(r->body_bytes);
	s->is_dirty = true;
	outage_move(v, s, e->number, -1, (int)state);
	if (state == QUEUE_READY && v->ops.on_ready)
		v->ops.on_ready(v->ops.arg, s->id, addr, e->number);
}

/* Put into a mailbox by a person, or a copy of what the primary has: shown, but nobody waits for it (record.msg, origin). */
static bool stays_here(const struct msg_message_meta *m)
{
	return m->origin == ORIGIN_PUT || m->origin == ORIGIN_COPY;
}

void apply_message(struct views *v, const struct order_entry *e, const struct record *r)
{
	struct msg_message_meta m, facts;
	struct buf encoded = {0};

	if (!msg_message_meta_decode(&v->arena, r->meta, &m)) {
		v->rc = REFUSED;
		return;
	}
	facts = m;
	facts.rcpts = NULL;
	facts.rcpts_n = 0;
	facts.trace = SPAN_NONE;
	facts.detail = SPAN_NONE;
	msg_message_meta_encode(&encoded, &facts);
	views_run(v, "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "iiiiiiiiib",
		  I(e->number), id_key(m.id), I(e->ref.lane_id), I(e->ref.segment),
		  I(e->ref.offset), I(r->body_bytes), I(r->received_us), I(address_of(v, m.sender)),
		  I(m.trace.n), buf_span(&encoded));
	buf_fini(&encoded);
	for (uint32_t i = 0; i < m.rcpts_n; i++) {
		if (!stays_here(&m))
			add_delivery(v, e, r, &m, i);
		else if (m.origin == ORIGIN_COPY)
			views_run(v, "INSERT OR IGNORE INTO copied VALUES (?, ?)", "ii",
				  I(e->number), I(address_of_rcpt(v, m.rcpts[i].address)));
	}
	mail_arrive(v, e, r, &m);
}

/* ---- INTENT ---- */

static void add_attempt(struct views *v, const struct delivery *d, uint64_t record, uint64_t at_us,
			const struct msg_rcpt_outcome *o, struct span host, struct span stage,
			struct span courier)
{
	views_run(v, "INSERT OR IGNORE INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		  "iiiiiiissssss", I(d->number), I(d->rcpt), I(record), I(at_us), I(o->attempt),
		  I(o->disposition), I(o->code), o->enhanced, o->text, o->queue_id, host, stage,
		  courier);
}

/* The answer to an earlier offer will never come: it may be there, and may come twice. */
static void lost_answer(struct views *v, struct delivery *d, uint64_t at_us)
{
	outage_unsure(v, site_by_id(v, d->site), d->number, d->rcpt, d->unsure == 0, at_us);
	d->unsure++;
}

static void lost_by_later(struct views *v, struct delivery *d, uint64_t lease, uint64_t record,
			  uint64_t at_us)
{
	static const struct msg_rcpt_outcome lost = {.attempt = ATTEMPT_LOST,
						     .disposition = DISPOSE_UNSURE};
	struct msg_rcpt_outcome o = lost;

	if (d->state != QUEUE_OFFERED || d->lease == lease)
		return;
	o.text = SPAN_LIT("the courier ended before it could record an answer");
	add_attempt(v, d, record * 2, at_us, &o, SPAN_NONE, SPAN_LIT("dot"), SPAN_NONE);
	lost_answer(v, d, at_us);
}

void apply_intent(struct views *v, const struct order_entry *e, const struct record *r)
{
	struct msg_intent_meta m;

	if (!msg_intent_meta_decode(&v->arena, r->meta, &m)) {
		v->rc = REFUSED;
		return;
	}
	for (size_t i = 0; i < m.rcpts_n; i++) {
		struct delivery d;

		if (!delivery_get(v, m.number, m.rcpts[i], &d))
			continue; /* discarded meanwhile: the outcome will tell */
		lost_by_later(v, &d, m.lease, e->number, r->received_us);
		d.lane = e->ref.lane_id;
		d.lease = m.lease;
		delivery_move(v, &d, QUEUE_OFFERED, NULL, r->received_us);
		if (v->ops.on_intent)
			v->ops.on_intent(v->ops.arg, m.lease, m.number, m.rcpts[i]);
	}
}

/* ---- OUTCOME ---- */

/* "550 5.1.1 no such user (mail.example.com)" */
static struct span reason_of(struct views *v, const struct msg_rcpt_outcome *o, struct span host)
{
	struct buf b = {0};
	struct span kept;

	if (o->code)
		buf_printf(&b, "%u ", o->code);
	if (o->enhanced.n)
		buf_printf(&b, "%.*s ", SPAN_FMT(o->enhanced));
	buf_append(&b, span_first(o->text, 500));
	if (host.n)
		buf_printf(&b, " (%.*s)", SPAN_FMT(host));
	kept = arena_span(&v->arena, buf_span(&b));
	buf_fini(&b);
	return kept;
}

static void learn(struct views *v, const struct delivery *d, const struct msg_rcpt_outcome *o,
		  const struct msg_outcome_meta *m)
{
	bool is_good = o->attempt == ATTEMPT_ACCEPTED;
	sqlite3_stmt *q;

	/* Only a refusal of the address itself, by a primary that is well, says that it is bad. */
	if (!is_good &&
	    !(o->attempt == ATTEMPT_5XX && m->phase == PHASE_UP &&
	      span_eq(m->stage, SPAN_LIT("rcpt")) && span_starts(o->enhanced, SPAN_LIT("5.1."))))
		return;
	if (site_by_id(v, d->site)->kind != SITE_REAL)
		return;
	q = views_bind(v, "SELECT text FROM address WHERE id = ?", "i", I(d->addr));
	if (views_row(v, q)) {
		struct span address = arena_span(&v->arena, views_text(q, 0));

		views_done(q);
		recipient_learn(v, address, is_good);
	}
}

static void after_the_end(struct views *v, const struct order_entry *e, const struct record *r,
			  const struct msg_outcome_meta *m, const struct msg_rcpt_outcome *o)
{
	sqlite3_stmt *q = views_bind(
		v, "SELECT site, addr, state, unsure FROM done WHERE number = ? AND rcpt = ?", "ii",
		I(m->number), I(o->rcpt));
	struct delivery d = {.number = m->number, .rcpt = o->rcpt};
	struct site *s;

	if (!views_row(v, q))
		return; /* of no message we know */
	d.site = (uint32_t)views_int(q, 0);
	d.addr = (uint64_t)views_int(q, 1);
	d.state = (enum queue_state)views_int(q, 2);
	d.unsure = (uint32_t)views_int(q, 3);
	views_done(q);
	s = site_by_id(v, d.site);
	add_attempt(v, &d, e->number * 2 + 1, r->received_us, o, m->host, m->stage, m->courier);
	if (o->attempt != ATTEMPT_ACCEPTED)
		return;
	if (d.state == QUEUE_DELIVERED) { /* it took both */
		lost_answer(v, &d, r->received_us);
	} else {
		s->done++;
		s->is_dirty = true;
		outage_move(v, s, d.number, (int)d.state, QUEUE_DELIVERED);
	}
	views_run(v, "UPDATE done SET state = ?3, unsure = ?4 WHERE number = ?1 AND rcpt = ?2",
		  "iiii", I(d.number), I(d.rcpt), I(QUEUE_DELIVERED), I(d.unsure));
	submission_moved(v, d.number);
}

static void apply_one(struct views *v, struct delivery *d, const struct msg_rcpt_outcome *o,
		      struct span why, uint64_t at_us)
{
	uint64_t wait_us = o->next_after_ms * 1000;

	switch ((enum disposition)o->disposition) {
	case DISPOSE_DELIVERED:
		delivery_move(v, d, QUEUE_DELIVERED, &why, at_us);
		return;
	case DISPOSE_HOLD:
		d->next_us = at_us + (wait_us ? wait_us : (uint64_t)HOLD_PAUSE_MS * 1000);
		delivery_move(v, d, QUEUE_DEFERRED, &why, at_us);
		return;
	case DISPOSE_DECIDE:
		delivery_move(v, d, QUEUE_DECIDE, &why, at_us);
		return;
	case DISPOSE_DSN:
		delivery_move(v, d, QUEUE_RETURNED, &why, at_us);
		return;
	case DISPOSE_UNSURE:
		lost_answer(v, d, at_us);
		delivery_move(v, d, QUEUE_READY, &why, at_us);
		return;
	case DISPOSE_RETRY:
		break;
	}
	/* RETRY, and values of a later version. */
	if (wait_us == 0)
		wait_us =
			queue_retry_after_us(v->schedule, d->tries, queue_mix(d->number) + d->rcpt);
	d->next_us = at_us + wait_us;
	delivery_move(v, d, QUEUE_DEFERRED, &why, at_us);
}

void apply_outcome(struct views *v, const struct order_entry *e, const struct record *r)
{
	struct msg_outcome_meta m;

	if (!msg_outcome_meta_decode(&v->arena, r->meta, &m)) {
		v->rc = REFUSED;
		return;
	}
	for (size_t i = 0; i < m.rcpts_n; i++) {
		const struct msg_rcpt_outcome *o = &m.rcpts[i];
		struct delivery d;

		if (!delivery_get(v, m.number, o->rcpt, &d)) {
			after_the_end(v, e, r, &m, o);
		} else {
			lost_by_later(v, &d, m.lease, e->number, r->received_us);
			add_attempt(v, &d, e->number * 2 + 1, r->received_us, o, m.host, m.stage,
				    m.courier);
			d.tries += o->disposition != DISPOSE_HOLD;
			learn(v, &d, o, &m);
			apply_one(v, &d, o, reason_of(v, o, m.host), r->received_us);
			outage_look(v, site_by_id(v, d.site), e->number, r->received_us);
		}
		if (v->ops.on_outcome)
			v->ops.on_outcome(v->ops.arg, m.lease, m.number, o->rcpt,
					  (enum attempt)o->attempt);
	}
}
