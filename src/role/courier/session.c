/*
 * One connection to one primary: resolve, connect (one address after the other), greeting, EHLO,
 * STARTTLS; then job after job, with MAIL of the next as soon as the answer to the last dot is in;
 * QUIT when nothing came for IDLE_US.
 *
 * The engine says what is wanted, session_drive does it. While the session has not been ready once,
 * its end is the primary's failure; later it is only this connection's.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "role/common/role.h"
#include "role/courier/courier.h"
#include "say/say.h"
#include "tls/tls.h"

#define IDLE_US	     5000000u
#define CONNECT_US   15000000u
#define GOODBYE_US   2000000u
#define UNSENT_BYTES (512u << 10) /* of a body given to the connection at once */
#define PLAIN_US     600000000u	  /* without TLS after a failed handshake */

struct session {
	struct list at; /* of its site */
	struct courier *c;
	struct site *site;
	struct primary *primary;
	struct resolve_wait resolve;
	struct sockaddr_storage addresses[COURIER_ADDRESSES];
	size_t addresses_n, address;
	struct conn *conn;
	struct smtp_client *client;
	struct job *job;
	struct ledger_body *body;
	bool body_is_out; /* all of it was given to the engine */
	uint64_t body_at; /* of the stored body: the next piece begins here */
	char damage[400]; /* the body could not be read */
	bool is_connected, is_plain, was_ready, is_idle, is_over, is_driving, is_shaking;
	bool is_given_up; /* by us, before the dot */
	unsigned done;	  /* transactions on this connection */
};

struct session *session_of(struct list *at)
{
	return LIST_ENTRY(at, struct session, at);
}

bool session_is_free(const struct session *s)
{
	return !s->is_over && !s->job;
}

static void session_connect(struct session *s);
static bool needs_tls(const struct session *s)
{
	return s->site->tls_required || s->primary->tls_required;
}

static void drive(struct session *s);

static void session_free(struct session *s)
{
	struct site *site = s->site;

	must(!s->job && !s->conn);
	resolve_forget(&s->resolve);
	list_remove(&s->at);
	site->sessions_n--;
	s->primary->sessions--;
	s->c->sessions_n--;
	say_set(&courier_metric_sessions, s->c->sessions_n);
	ledger_body_close(s->body);
	smtp_client_free(s->client);
	free(s);
	site_push(site);
	courier_check_end(site->c);
}

/* ---- the end of a transaction ---- */

static void body_close(struct session *s)
{
	ledger_body_close(s->body);
	s->body = NULL;
	s->body_is_out = false;
	s->body_at = 0;
}

/* A kept connection may have died before this transaction: what had no answer at all is offered on another one. */
static bool was_stale(const struct session *s)
{
	struct smtp_client_failure f;

	return s->done && !s->job->was_put_back && smtp_client_failed(s->client, &f) && !f.code &&
	       f.stage <= SMTP_STAGE_MAIL;
}

static void end_transaction(struct session *s)
{
	struct job *j = s->job;
	const struct job_end end = {.client = s->client,
				    .host = s->primary->host,
				    .damage = s->damage[0] ? s->damage : NULL};

	body_close(s);
	if (was_stale(s)) {
		s->job = NULL;
		j->session = NULL;
		j->was_put_back = true;
		j->batch = 0;
		j->intent = INTENT_NONE;
		site_put_back(j->site, j);
		return;
	}
	s->job = NULL;
	s->done++;
	job_end_batch(j, &end);
	tell_results(s->site);
	s->damage[0] = '\0';
}

/* ---- the end of the connection ---- */

static void end_connection(struct session *s)
{
	if (s->conn)
		conn_abort(s->conn);
}

/* The engine says CLOSE: by quit, by the peer, or by smtp_client_lost. */
static void on_engine_closed(struct session *s)
{
	struct smtp_client_failure f = {.text = ""};
	bool failed = smtp_client_failed(s->client, &f);
	bool is_theirs = failed && s->job && !s->damage[0] && !s->is_given_up;

	if (s->job)
		end_transaction(s);
	if (is_theirs)
		tell_evidence(s->site, s->primary->host, f.code ? ATTEMPT_4XX : ATTEMPT_UNREACHED,
			      smtp_stage_name(f.stage), f.code, f.text);
	if (s->conn)
		conn_close(s->conn);
}

/* Not ready yet: the next address, or the same one without TLS, or the primary has failed. */
static void opening_failed(struct session *s, enum rc rc, const char *text)
{
	struct smtp_client_failure f = {.stage = SMTP_STAGE_CONNECT, .text = text};
	bool has_spoken = s->client && smtp_client_failed(s->client, &f);

	if ((rc == REFUSED || (has_spoken && f.stage == SMTP_STAGE_TLS)) && !needs_tls(s) &&
	    !s->is_plain) {
		say_count(&courier_metric_tls_fallbacks, 1);
		say(SAY_NOTICE, "tls.failed_going_plain", "site", SAY_STR(s->site->name), "host",
		    SAY_STR(s->primary->host), "why", SAY_STR(text), NULL);
		s->primary->plain_until_us = loop_now_us(s->c->loop) + PLAIN_US;
		session_connect(s);
		return;
	}
	if (!has_spoken && ++s->address < s->addresses_n) {
		session_connect(s);
		return;
	}
	if (!s->c->is_stopping)
		tell_evidence(s->site, s->primary->host, ATTEMPT_UNREACHED,
			      smtp_stage_name(f.stage), f.code, f.text);
	site_primary_failed(s->site, s->primary, f.text);
	s->is_over = true;
	session_free(s);
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct session *s = arg;
	char text[300];

	(void)conn;
	s->conn = NULL;
	(void)snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1,
		       why && why->text[0] ? why->text : "the server closed the connection");
	if (s->client && s->is_connected)
		smtp_client_lost(s->client, text);
	if (!s->was_ready && !s->is_over) {
		opening_failed(s, rc, text);
		return;
	}
	if (s->job)
		on_engine_closed(s);
	s->is_over = true;
	session_free(s);
}

/* ---- a transaction ---- */

/* As they go out. */
static uint64_t bytes_out(const struct job *j)
{
	uint64_t cut = 0;

	for (size_t i = 0; i < j->meta.cuts_n; i++)
		cut += j->meta.cuts[i].bytes;
	return j->signatures.n + j->meta.trace.n + j->lease.body_bytes -
	       (cut < j->lease.body_bytes ? cut : 0);
}

static void offer(struct session *s, struct job *j)
{
	struct smtp_client_rcpt rcpts[COURIER_RCPTS];
	size_t rest = j->lease.rcpts_n - j->first;
	struct smtp_client_mail mail = {
		.sender = j->lease.sender,
		.rcpts = rcpts,
		.size_bytes = bytes_out(j),
		.is_8bit = j->lease.body_kind == 1,
		.needs_smtputf8 = j->lease.smtputf8,
		.envid = j->lease.envid,
		.ret = j->lease.ret,
	};

	j->batch = rest < COURIER_RCPTS ? rest : COURIER_RCPTS;
	mail.rcpts_n = j->batch;
	for (size_t i = 0; i < j->batch; i++) {
		const struct msg_lease_rcpt *r = &j->lease.rcpts[j->first + i];

		rcpts[i] = (struct smtp_client_rcpt){
			.address = r->address, .orcpt = r->orcpt, .notify = r->notify};
	}
	s->job = j;
	j->session = s;
	smtp_client_mail(s->client, &mail);
	if (smtp_client_want(s->client) != SMTP_WANT_RESULT)
		job_intend(j, s->primary->host);
}

/* False: nothing waits. */
static bool take_job(struct session *s)
{
	struct job *j;

	if (s->c->is_stopping || !s->c->clerk)
		return false;
	while ((j = site_take(s->site))) {
		if (!job_open(j))
			continue; /* damaged: taken care of */
		offer(s, j);
		return true;
	}
	return false;
}

static void give_up(struct session *s, const char *why)
{
	smtp_client_lost(s->client, why);
	end_connection(s);
}

static bool body_open(struct session *s, struct fault *why)
{
	const struct record_ref ref = {s->job->lease.lane_id, s->job->lease.segment,
				       s->job->lease.offset};

	if (s->body)
		return true;
	if (ledger_body_open(s->c->reader, ref, &s->body, why) != OK)
		return false;
	smtp_client_body(s->client, buf_span(&s->job->signatures));
	smtp_client_body(s->client, s->job->meta.trace);
	return true;
}

static void body_is_damaged(struct session *s, const struct fault *why)
{
	(void)snprintf(s->damage, sizeof s->damage, "the stored message cannot be read: %.300s",
		       why->text);
	say_count(&courier_metric_damaged, 1);
	say(SAY_ERROR, "message.damaged", "id", SAY_SPAN(s->job->lease.id), "number",
	    SAY_U64(s->job->lease.number), "why", SAY_STR(why->text), NULL);
	give_up(s, s->damage);
}

/* The piece without what is not to be delivered (Bcc of a submitted message). */
static void send_uncut(struct session *s, struct span piece)
{
	const struct msg_message_meta *m = &s->job->meta;

	for (size_t i = 0; i < m->cuts_n && piece.n; i++) {
		uint64_t from = m->cuts[i].offset, to = from + m->cuts[i].bytes;
		uint64_t end = s->body_at + piece.n;

		if (to <= s->body_at || from >= end || to < from)
			continue;
		if (from > s->body_at)
			smtp_client_body(s->client, span_first(piece, (size_t)(from - s->body_at)));
		to = to < end ? to : end;
		piece = span_from(piece, (size_t)(to - s->body_at));
		s->body_at = to;
	}
	if (piece.n)
		smtp_client_body(s->client, piece);
	s->body_at += piece.n;
}

/* Gives the engine as much of the body as the connection may hold. True: go on driving. */
static bool send_body(struct session *s)
{
	struct fault why = {0};
	struct span piece;

	if (!body_open(s, &why)) {
		body_is_damaged(s, &why);
		return true;
	}
	while (conn_unsent(s->conn) < UNSENT_BYTES) {
		enum rc rc = ledger_body_next(s->body, &piece, &why);

		if (rc == MORE) {
			body_close(s);
			smtp_client_body_end(s->client);
			return true;
		}
		if (rc != OK) {
			body_is_damaged(s, &why);
			return true;
		}
		say_count(&courier_metric_bytes, piece.n);
		send_uncut(s, piece);
	}
	return false; /* on_drained */
}

/* K1. True: go on driving. */
static bool send_dot(struct session *s)
{
	switch (s->job->intent) {
	case INTENT_NONE:
		must_never("a transaction without an intent");
	case INTENT_PENDING:
		return false;
	case INTENT_FAILED:
		s->is_given_up = true;
		give_up(s, "given up before the final dot: the disk did not take the record of it");
		return true;
	case INTENT_DURABLE:
		must(s->c->clerk); /* session_clerk_gone */
		smtp_client_permit(s->client);
		return true;
	}
	return false;
}

/* ---- driving ---- */

static void be_ready(struct session *s)
{
	if (!s->was_ready) {
		s->was_ready = true;
		site_primary_worked(s->site, s->primary);
		tell_limits(s->site, smtp_client_capabilities(s->client));
	}
}

/* Nothing to do until a job comes; after IDLE_US we say goodbye. */
static void be_idle(struct session *s)
{
	s->is_idle = true;
	conn_deadline(s->conn, IDLE_US);
	if (s->c->is_stopping) {
		smtp_client_quit(s->client);
		conn_deadline(s->conn, GOODBYE_US);
	}
}

/* One want. False: wait for the outside. */
static bool step(struct session *s)
{
	switch (smtp_client_want(s->client)) {
	case SMTP_WANT_INPUT:
		return false;
	case SMTP_WANT_TLS:
		if (!s->is_shaking)
			conn_start_tls(s->conn, s->primary->tls ? s->primary->tls : s->site->tls,
				       false, s->primary->host);
		s->is_shaking = true;
		return false;
	case SMTP_WANT_MAIL:
		be_ready(s);
		if (take_job(s))
			return true;
		be_idle(s);
		return false;
	case SMTP_WANT_BODY:
		return send_body(s);
	case SMTP_WANT_PERMIT:
		return send_dot(s);
	case SMTP_WANT_RESULT:
		end_transaction(s);
		smtp_client_next(s->client);
		return true;
	case SMTP_WANT_CLOSE:
		if (s->was_ready)
			on_engine_closed(s);
		else
			end_connection(s); /* on_closed knows what to make of it */
		s->is_over = s->was_ready;
		return false;
	}
	return false;
}

static void drive(struct session *s)
{
	if (s->is_driving || s->is_over || !s->conn || !s->is_connected)
		return;
	s->is_driving = true;
	s->is_idle = false;
	while (step(s))
		;
	s->is_driving = false;
	if (!s->is_idle && !s->is_over && s->conn)
		conn_deadline(s->conn, (uint64_t)smtp_client_timeout_ms(s->client) * 1000);
}

void session_drive(struct session *s)
{
	drive(s);
}

void session_stop(struct session *s)
{
	if (s->was_ready)
		drive(s);
	else if (s->conn)
		conn_abort(s->conn);
	else if (!s->is_over)
		session_free(s); /* its name was being resolved */
}

void session_clerk_gone(struct session *s)
{
	if (!s->job || smtp_client_stage(s->client) == SMTP_STAGE_DOT)
		return;
	s->is_given_up = true;
	give_up(s, "given up before the final dot: the clerk is away");
	drive(s);
}

/* ---- the connection ---- */

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct session *s = arg;

	(void)c;
	smtp_client_input(s->client, bytes);
	drive(s);
	return bytes.n;
}

static void on_open(void *arg, struct conn *c)
{
	struct session *s = arg;

	(void)c;
	s->is_connected = true;
	drive(s);
}

static void on_secure(void *arg, struct conn *c)
{
	struct session *s = arg;

	(void)c;
	smtp_client_secured(s->client);
	drive(s);
}

static void on_drained(void *arg, struct conn *c)
{
	(void)c;
	drive(arg);
}

static void on_deadline(void *arg, struct conn *c)
{
	struct session *s = arg;
	char why[100];

	if (!s->is_connected || s->is_over) {
		conn_abort(c);
	} else if (s->is_idle && smtp_client_want(s->client) == SMTP_WANT_MAIL) {
		smtp_client_quit(s->client);
		conn_deadline(c, GOODBYE_US);
	} else {
		(void)snprintf(why, sizeof why, "no answer within %u s",
			       smtp_client_timeout_ms(s->client) / 1000);
		give_up(s, why);
		drive(s);
	}
}

static void on_output(void *arg, struct span bytes)
{
	struct session *s = arg;

	conn_send(s->conn, bytes);
}

static enum smtp_tls_policy tls_policy(struct session *s)
{
	if (needs_tls(s))
		return SMTP_TLS_REQUIRED;
	return s->is_plain ? SMTP_TLS_NEVER : SMTP_TLS_IF_OFFERED;
}

static void session_connect(struct session *s)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes,
					    .on_open = on_open,
					    .on_secure = on_secure,
					    .on_drained = on_drained,
					    .on_deadline = on_deadline,
					    .on_closed = on_closed};
	struct smtp_client_options options = {
		.helo = role_config(s->c->role)->node, .on_output = on_output, .arg = s};
	struct sockaddr_storage *to = &s->addresses[s->address];
	uint16_t port = htons(s->primary->port);

	s->is_plain = !needs_tls(s) && loop_now_us(s->c->loop) < s->primary->plain_until_us;
	options.tls = tls_policy(s);
	if (s->site->is_smarthost) {
		options.user = role_config(s->c->role)->smarthost.user;
		options.password = buf_span(&s->c->smarthost_password);
	}
	smtp_client_free(s->client);
	s->client = smtp_client_new(&options);
	s->is_connected = s->is_shaking = false;
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = port;
	else
		((struct sockaddr_in *)to)->sin_port = port;
	say_count(&courier_metric_connects, 1);
	s->conn = conn_connect(s->c->loop, (const struct sockaddr *)to,
			       to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							 : sizeof(struct sockaddr_in),
			       &ops, s);
	conn_deadline(s->conn, CONNECT_US);
}

static void on_addresses(void *arg, const struct sockaddr_storage *addresses, size_t n,
			 const char *why)
{
	struct session *s = arg;

	if (!n) {
		opening_failed(s, LATER, why);
		return;
	}
	s->addresses_n = n < COURIER_ADDRESSES ? n : COURIER_ADDRESSES;
	memcpy(s->addresses, addresses, s->addresses_n * sizeof *addresses);
	session_connect(s);
}

void session_start(struct site *site, struct primary *p)
{
	struct session *s = must_alloc(sizeof *s);

	s->c = site->c;
	s->site = site;
	s->primary = p;
	list_append(&site->sessions, &s->at);
	site->sessions_n++;
	p->sessions++;
	p->started_us = loop_now_us(site->c->loop);
	s->c->sessions_n++;
	say_set(&courier_metric_sessions, s->c->sessions_n);
	s->resolve.on_addresses = on_addresses;
	s->resolve.arg = s;
	if (p->addresses_n)
		on_addresses(s, p->addresses, p->addresses_n, NULL);
	else
		resolve_ask(s->c, p->host, &s->resolve);
}
