/*
 * A message, from the session's bytes (role/common/intake.h) to a record and the answer: the loop guard, the record's
 * meta, the 250.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/received.h"
#include "os/os.h"
#include "role/common/intake.h"
#include "role/edge/internal.h"

enum { FIRST_ROOM = 8 << 10 };

void edge_message_drop(struct edge_session *s)
{
	intake_drop(s->intake);
	s->intake = NULL;
	s->transaction++; /* a record in flight is nobody's now */
}

static void on_chunked(void *arg)
{
	edge_message_store(arg);
}

void edge_message_begin(struct edge_session *s)
{
	uint64_t declared = smtp_server_envelope(s->smtp)->size_declared + 64;
	size_t room = declared < LEDGER_CHUNK_BYTES ? (size_t)declared : LEDGER_CHUNK_BYTES;

	edge_message_drop(s);
	s->intake = intake_new(&s->edge->hall, room > FIRST_ROOM ? room : FIRST_ROOM,
			       s->policy->mark, on_chunked, s);
	if (s->edge->ways->begin)
		s->edge->ways->begin(s);
}

void edge_message_piece(struct edge_session *s, struct span piece)
{
	intake_piece(s->intake, piece);
	if (s->edge->ways->piece)
		s->edge->ways->piece(s, piece);
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

static struct span domain_of(struct span address)
{
	struct span local, domain = SPAN_NONE;

	(void)address_split(address, &local, &domain);
	return domain;
}

void edge_message_trace(struct edge_session *s, struct buf *out)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);

	if (s->spf[0])
		authres_write(out, &(struct authres_facts){
					   .node = s->policy->node,
					   .spf = span_str(s->spf),
					   .domain = domain_of(e->sender),
					   .helo = smtp_server_helo(s->smtp),
				   });
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
	const struct header_walk *h = intake_header(s->intake);
	struct msg_rcpt *rcpts = meta_rcpts(s);
	struct header_refs refs;
	struct buf trace = {0};
	struct msg_message_meta m;

	header_refs(h, SPAN_NONE, &refs);
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
		.refs = refs.ids,
		.refs_n = refs.n,
		.subject_hash = refs.subject,
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

/* What the lane gives back with a result. */
struct pin {
	struct edge_session *session;
	uint64_t transaction;
	uint64_t bytes;
};

/* P1: the only place from which a 250 after the dot can come. */
static void on_stored(void *arg, const struct lane_result *result)
{
	struct pin pin = *(struct pin *)arg;
	struct edge_session *s = pin.session;

	free(arg);
	if (result->rc == OK) { /* counted also when the client is gone: it is kept */
		edge_count(METRIC_MESSAGES, 1);
		edge_count(METRIC_BYTES, pin.bytes);
	}
	if (s->conn && pin.transaction == s->transaction) {
		if (result->rc == OK)
			say(SAY_INFO, "message.stored", "id", SAY_STR(s->id), "peer",
			    SAY_STR(s->peer), "from",
			    SAY_SPAN(smtp_server_envelope(s->smtp)->sender), "recipients",
			    SAY_U64(smtp_server_envelope(s->smtp)->rcpts_n), "bytes",
			    SAY_U64(pin.bytes), NULL);
		if (s->edge->ways->stored)
			s->edge->ways->stored(s, result->rc);
		edge_message_drop(s);
		answer_store(s, result->rc);
	}
	edge_session_unpin(s);
}

static void append_message(struct edge_session *s)
{
	struct buf meta = {0};
	struct pin *pin = must_alloc(sizeof *pin);

	*pin = (struct pin){s, s->transaction, intake_bytes(s->intake)};
	s->pins++;
	new_id(s);
	s->received_us = os_wall_us(s->edge->os);
	write_meta(s, &meta);
	intake_store(s->intake, s->received_us, buf_span(&meta), on_stored, pin);
	buf_fini(&meta);
}

/* Mail that goes round: our own mark for the second time, or too many hops (RFC 5321 s6.3; S-18). */
static bool is_in_loop(const struct edge_session *s)
{
	const struct header_walk *h = intake_header(s->intake);
	unsigned hops = s->policy->limits.hops ? s->policy->limits.hops : 100;

	if (edge_is_copy(s))
		return false; /* goes nowhere */
	return h->own_received >= 2 || h->received > hops;
}

static void refuse_loop(struct edge_session *s)
{
	const struct header_walk *h = intake_header(s->intake);

	say(SAY_WARNING, "message.loops", "peer", SAY_STR(s->peer), "from",
	    SAY_SPAN(smtp_server_envelope(s->smtp)->sender), "message_id",
	    SAY_SPAN(header_message_id(h)), "hops", SAY_U64(h->received), NULL);
	edge_count(METRIC_MESSAGES_REFUSED, 1);
	edge_message_drop(s);
	edge_answer(s, 554, "5.4.6",
		    "The message goes in circles: too many Received fields, or ours twice", 0);
}

static bool is_too_large(const struct edge_session *s)
{
	uint64_t size = edge_judge_size(s);

	return size && intake_bytes(s->intake) > size;
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
	if (!intake_is_complete(s->intake)) {
		intake_end(s->intake);
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
	}
	if (!s->sender_known || !intake_is_settled(s->intake))
		return;
	if (intake_rc(s->intake) != OK) { /* of a chunk, or memory */
		enum rc rc = intake_rc(s->intake);

		edge_message_drop(s);
		answer_store(s, rc);
		return;
	}
	append_message(s);
}
