/*
 * A message on its way from the session's bytes to a record. Up to LEDGER_CHUNK_BYTES it stays in
 * one owned buffer, which the lane takes without a copy; a larger one goes out as CHUNK records
 * while it arrives, and the MESSAGE record that names them follows when all are durable. Over the
 * budget of all sessions, parts become chunks early and their sessions wait until those are on
 * disk, so that memory is bounded and nobody waits for somebody who waits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/received.h"
#include "os/os.h"
#include "role/edge/internal.h"

enum { BUDGET_DEFAULT = 64 << 20, FIRST_ROOM = 8 << 10 };

/* What the lane gives back with a result. */
struct pin {
	struct edge_session *session;
	uint64_t transaction;
	size_t bytes;	      /* in memory */
	uint64_t whole_bytes; /* of the message */
};

static uint64_t budget(const struct edge_session *s)
{
	return s->policy->limits.buffer_bytes ? s->policy->limits.buffer_bytes : BUDGET_DEFAULT;
}

bool edge_is_over_budget(const struct edge_session *s)
{
	return s->edge->buffered > budget(s);
}

static void release(struct edge *e, size_t bytes)
{
	must(e->buffered >= bytes);
	e->buffered -= bytes;
	edge_set(METRIC_BUFFERED, e->buffered);
}

void edge_message_drop(struct edge_session *s)
{
	struct edge_body *b = &s->body;

	release(s->edge, b->part.n);
	buf_fini(&b->part);
	free(b->chunks);
	*b = (struct edge_body){0};
	s->transaction++; /* chunks in flight are nobody's now */
}

void edge_message_begin(struct edge_session *s)
{
	edge_message_drop(s);
	header_walk_init(&s->body.header, s->policy->mark);
	if (s->edge->ways->begin)
		s->edge->ways->begin(s);
}

static struct pin *pin_new(struct edge_session *s, size_t bytes)
{
	struct pin *pin = must_alloc(sizeof *pin);

	*pin = (struct pin){s, s->transaction, bytes, s->body.bytes};
	s->pins++;
	s->edge->appends_pending++;
	return pin;
}

/* Ends a pin: memory, counts. True when the session still is where it was. */
static bool pin_end(struct pin *pin)
{
	struct edge_session *s = pin->session;
	bool is_current = s->conn && pin->transaction == s->transaction;

	release(s->edge, pin->bytes);
	s->edge->appends_pending--;
	free(pin);
	return is_current;
}

/* ---- chunks ---- */

static void keep_chunk(struct edge_body *b, const struct lane_result *result)
{
	if (result->rc != OK) {
		b->chunk_rc = b->chunk_rc == OK ? result->rc : b->chunk_rc;
		return;
	}
	if (b->chunks_n == b->chunks_cap) {
		b->chunks_cap = b->chunks_cap ? 2 * b->chunks_cap : 16;
		b->chunks = reallocarray(b->chunks, b->chunks_cap, sizeof *b->chunks);
		must(b->chunks != NULL);
	}
	b->chunks[b->chunks_n++] = result->ref;
}

static void on_chunk(void *arg, const struct lane_result *result)
{
	struct pin *pin = arg;
	struct edge_session *s = pin->session;

	if (pin_end(pin)) {
		s->body.chunks_pending--;
		keep_chunk(&s->body, result);
		if (s->body.is_complete && s->body.chunks_pending == 0)
			edge_message_store(s);
	}
	edge_feed_hungry(s->edge);
	edge_session_unpin(s);
}

static bool is_chunked(const struct edge_body *b)
{
	return b->epoch != 0;
}

static void append_chunk(struct edge_session *s)
{
	struct edge_body *b = &s->body;
	struct record_new chunk = {
		.type = RECORD_CHUNK,
		.received_us = os_wall_us(s->edge->os),
		.body = b->part,
	};
	struct pin *pin = pin_new(s, b->part.n);

	if (!is_chunked(b))
		b->epoch = lane_epoch(s->edge->lane);
	b->part = (struct buf){0};
	b->chunks_pending++;
	lane_append(s->edge->lane, &chunk, 1, b->epoch, true, on_chunk, pin);
}

/* ---- pieces ---- */

static void add(struct edge_session *s, struct span piece)
{
	struct edge_body *b = &s->body;
	uint64_t declared = smtp_server_envelope(s->smtp)->size_declared + 64;
	size_t room = declared > LEDGER_CHUNK_BYTES ? LEDGER_CHUNK_BYTES : (size_t)declared;

	if (b->part.cap == 0)
		buf_init(&b->part, LEDGER_CHUNK_BYTES);
	if ((b->part.cap == 0 && !buf_reserve(&b->part, room > FIRST_ROOM ? room : FIRST_ROOM)) ||
	    !buf_append(&b->part, piece)) {
		b->chunk_rc = LATER; /* no memory: the message will get 452 */
		return;
	}
	s->edge->buffered += piece.n;
}

void edge_message_piece(struct edge_session *s, struct span piece)
{
	struct edge_body *b = &s->body;

	(void)header_walk_feed(&b->header, piece);
	if (s->edge->ways->piece)
		s->edge->ways->piece(s, piece);
	b->bytes += piece.n;
	while (piece.n) {
		size_t room = LEDGER_CHUNK_BYTES - b->part.n;

		if (room == 0) {
			append_chunk(s);
			continue;
		}
		add(s, span_first(piece, room));
		piece = span_from(piece, room);
	}
	edge_set(METRIC_BUFFERED, s->edge->buffered);
	if (s->edge->buffered > budget(s) && b->part.n >= EDGE_SPILL_BYTES)
		append_chunk(s);
}

bool edge_message_is_hungry(const struct edge_session *s)
{
	const struct edge_body *b = &s->body;

	if (b->is_complete || b->chunks_pending == 0)
		return false;
	return b->chunks_pending > EDGE_CHUNKS_PENDING || s->edge->buffered > budget(s);
}

/* ---- the record ---- */

static void new_id(struct edge_session *s)
{
	unsigned char bytes[16];

	os_random(s->edge->os, bytes, sizeof bytes);
	hex_encode(s->id, span_of(bytes, sizeof bytes));
}

const char *edge_message_protocol(const struct edge_session *s)
{
	return received_protocol(smtp_server_is_esmtp(s->smtp), conn_is_tls(s->conn),
				 smtp_server_envelope(s->smtp)->smtputf8);
}

void edge_message_trace(struct edge_session *s, struct buf *out)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);

	received_write(out, &(struct received_facts){
				    .helo = smtp_server_helo(s->smtp),
				    .host = span_str(s->host_name),
				    .address = span_str(s->peer),
				    .node = s->policy->node,
				    .id = span_str(s->id),
				    .protocol = span_str(edge_message_protocol(s)),
				    .tls = span_str(conn_tls_text(s->conn)),
				    .recipient = e->rcpts_n == 1 ? e->rcpts[0].address : SPAN_NONE,
				    .at_us = s->received_us,
			    });
}

static struct span domain_of(struct span address)
{
	struct span local, domain = SPAN_NONE;

	(void)address_split(address, &local, &domain);
	return domain;
}

static struct msg_rcpt *meta_rcpts(const struct edge_session *s)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);
	struct msg_rcpt *rcpts = must_alloc((e->rcpts_n + 1) * sizeof *rcpts);

	for (size_t i = 0; i < e->rcpts_n; i++) {
		const struct edge_domain *d = &s->policy->domains[e->rcpts[i].tag >> 8];

		rcpts[i] = (struct msg_rcpt){
			.address = e->rcpts[i].address,
			.orcpt = e->rcpts[i].orcpt,
			.notify = e->rcpts[i].notify,
			.known = (uint8_t)(e->rcpts[i].tag & EDGE_TAG_KNOWN),
			.domain = d->name.n ? d->name : domain_of(e->rcpts[i].address),
			.site = d->site,
		};
	}
	return rcpts;
}

static void write_meta(struct edge_session *s, struct buf *out)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);
	const struct header_walk *h = &s->body.header;
	struct msg_rcpt *rcpts = meta_rcpts(s);
	struct buf trace = {0};
	struct msg_message_meta m;

	s->edge->ways->trace(s, &trace);
	m = (struct msg_message_meta){
		.id = span_str(s->id),
		.sender = e->sender,
		.rcpts = rcpts,
		.rcpts_n = e->rcpts_n,
		.body_kind = (uint8_t)e->body,
		.smtputf8 = e->smtputf8,
		.envid = e->envid,
		.ret = (uint8_t)e->ret,
		.size_declared = e->size_declared,
		.peer = span_str(s->peer),
		.peer_port = s->peer_port,
		.helo = smtp_server_helo(s->smtp),
		.protocol = span_str(edge_message_protocol(s)),
		.tls = span_str(conn_tls_text(s->conn)),
		.trace = buf_span(&trace),
		.message_id = header_message_id(h),
		.subject = header_subject(h),
		.from = header_from(h),
		.spf = span_str(s->spf),
		.sender_verified = e->sender.n && strcmp(s->spf, "pass") == 0,
		.list_verdicts = span_str(s->verdicts),
		.hops = (uint8_t)(h->received < 255 ? h->received : 255),
		.header_bytes = h->header_bytes <= UINT32_MAX ? (uint32_t)h->header_bytes : 0,
		.date = header_date(h),
	};
	if (s->edge->ways->meta)
		s->edge->ways->meta(s, &m);
	msg_message_meta_encode(out, &m);
	buf_fini(&trace);
	free(rcpts);
}

static void answer_store(struct edge_session *s, enum rc rc)
{
	char text[EDGE_ID_BYTES + 32];

	if (rc == OK) {
		(void)snprintf(text, sizeof text, "Ok: stored as %s", s->id);
		edge_answer(s, 250, "2.0.0", text, 0);
		return;
	}
	edge_count(METRIC_MESSAGES_DEFERRED, 1);
	if (rc == LATER)
		edge_answer(s, 452, "4.3.1",
			    "No disk space for new mail at the moment; try again later", 0);
	else
		edge_answer(s, 451, "4.3.0", "The message could not be stored; try again later", 0);
}

/* P1: the only place from which a 250 after the dot can come. */
static void on_stored(void *arg, const struct lane_result *result)
{
	struct pin *pin = arg;
	struct edge_session *s = pin->session;

	uint64_t bytes = pin->whole_bytes;

	if (result->rc == OK) { /* counted also when the client is gone: it is kept */
		edge_count(METRIC_MESSAGES, 1);
		edge_count(METRIC_BYTES, bytes);
	}
	if (pin_end(pin)) {
		if (result->rc == OK)
			say(SAY_INFO, "message.stored", "id", SAY_STR(s->id), "peer",
			    SAY_STR(s->peer), "from",
			    SAY_SPAN(smtp_server_envelope(s->smtp)->sender), "recipients",
			    SAY_U64(smtp_server_envelope(s->smtp)->rcpts_n), "bytes",
			    SAY_U64(bytes), NULL);
		if (s->edge->ways->stored)
			s->edge->ways->stored(s, result->rc);
		edge_message_drop(s);
		answer_store(s, result->rc);
	}
	edge_feed_hungry(s->edge);
	edge_session_unpin(s);
}

static void append_message(struct edge_session *s)
{
	struct edge_body *b = &s->body;
	struct record_new record = {.type = RECORD_MESSAGE};
	struct buf meta = {0};
	struct pin *pin = pin_new(s, b->part.n);

	new_id(s);
	s->received_us = os_wall_us(s->edge->os);
	write_meta(s, &meta);
	record.received_us = s->received_us;
	record.meta = buf_span(&meta);
	record.body = b->part;
	b->part = (struct buf){0};
	if (is_chunked(b)) {
		record.chunks = b->chunks;
		record.chunks_n = b->chunks_n;
		record.body_bytes = b->bytes;
	}
	lane_append(s->edge->lane, &record, 1, b->epoch, true, on_stored, pin);
	buf_fini(&meta);
}

/* Mail that goes round: our own mark for the second time, or too many hops (RFC 5321 s6.3; S-18).
 * */
static bool is_in_loop(const struct edge_session *s)
{
	unsigned hops = s->policy->limits.hops ? s->policy->limits.hops : 100;

	if (edge_is_copy(s))
		return false; /* goes nowhere */
	return s->body.header.own_received >= 2 || s->body.header.received > hops;
}

static void refuse_loop(struct edge_session *s)
{
	say(SAY_WARNING, "message.loops", "peer", SAY_STR(s->peer), "from",
	    SAY_SPAN(smtp_server_envelope(s->smtp)->sender), "message_id",
	    SAY_SPAN(header_message_id(&s->body.header)), "hops", SAY_U64(s->body.header.received),
	    NULL);
	edge_count(METRIC_MESSAGES_REFUSED, 1);
	edge_message_drop(s);
	edge_answer(s, 554, "5.4.6",
		    "The message goes in circles: too many Received fields, or ours twice", 0);
}

static bool is_too_large(const struct edge_session *s)
{
	uint64_t size = edge_judge_size(s);

	return size && s->body.bytes > size;
}

static void refuse_large(struct edge_session *s)
{
	edge_count(METRIC_MESSAGES_REFUSED, 1);
	edge_message_drop(s);
	edge_answer(s, 552, "5.3.4", "The message is larger than a recipient's server takes", 0);
}

/* Called when the message is complete, and again whenever something it waits for has come. */
void edge_message_store(struct edge_session *s)
{
	struct edge_body *b = &s->body;

	if (!b->is_complete) {
		b->is_complete = true;
		header_walk_end(&b->header);
		if (is_in_loop(s)) {
			refuse_loop(s);
			return;
		}
		if (is_too_large(s)) {
			refuse_large(s);
			return;
		}
		if (s->edge->ways->accepts && !s->edge->ways->accepts(s))
			return;
		if (is_chunked(b) && b->part.n)
			append_chunk(s);
	}
	if (!s->sender_known || b->chunks_pending)
		return;
	if (b->chunk_rc != OK) { /* of a chunk, or memory */
		enum rc rc = b->chunk_rc;

		edge_message_drop(s);
		answer_store(s, rc);
		return;
	}
	append_message(s);
}
