/*
 * One probe is one connection, or two: when the handshake of an optional STARTTLS fails, the second goes without. The
 * engine in smtp/client.h speaks; this file lends it a connection, a deadline, and keeps the answers.
 *
 * After on_done the connection may live on for a moment to say QUIT; nobody else knows of it then.
 */
#include "role/common/smtp_probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "smtp/client.h"
#include "tls/tls.h"

enum { DEFAULT_DEADLINE_MS = 10000, GOODBYE_MS = 2000, HOST_NAME_BYTES = 256 };

struct smtp_probe {
	struct loop *loop;
	struct smtp_probe_options options; /* spans point into copies */
	char host_name[HOST_NAME_BYTES];
	char *texts[2 + SMTP_PROBE_RCPTS_LIMIT];
	struct span rcpts[SMTP_PROBE_RCPTS_LIMIT];
	struct loop_timer *deadline;
	struct conn *conn;
	struct smtp_client *client;
	uint64_t begun_us;
	bool without_tls; /* the second try */
	bool is_talking;  /* the connection came up */
	bool is_reported; /* on_done was called, or nobody wants to know */
	struct smtp_probe_result result;
	void (*on_done)(void *arg, const struct smtp_probe_result *result);
	void *arg;
};

const char *smtp_probe_class_name(enum smtp_probe_class class)
{
	switch (class) {
	case SMTP_PROBE_FINE:
		return "fine";
	case SMTP_PROBE_TCP:
		return "tcp";
	case SMTP_PROBE_GREETING:
		return "greeting";
	case SMTP_PROBE_EHLO:
		return "ehlo";
	case SMTP_PROBE_TLS:
		return "tls";
	case SMTP_PROBE_MAIL:
		return "mail";
	case SMTP_PROBE_RCPT:
		return "rcpt";
	}
	return "?";
}

static void probe_free(struct smtp_probe *p)
{
	smtp_client_free(p->client);
	loop_timer_free(p->deadline);
	tls_context_unref(p->options.tls);
	for (size_t i = 0; i < sizeof p->texts / sizeof *p->texts; i++)
		free(p->texts[i]);
	free(p);
}

/* ---- the answer ---- */

static void copy_text(char *out, size_t out_n, const char *text)
{
	size_t n = strnlen(text, out_n - 1);

	memcpy(out, text, n);
	out[n] = '\0';
}

static enum smtp_probe_class class_of(enum smtp_stage stage)
{
	switch (stage) {
	case SMTP_STAGE_CONNECT:
		return SMTP_PROBE_TCP;
	case SMTP_STAGE_GREETING:
		return SMTP_PROBE_GREETING;
	case SMTP_STAGE_EHLO:
		return SMTP_PROBE_EHLO;
	case SMTP_STAGE_TLS:
		return SMTP_PROBE_TLS;
	case SMTP_STAGE_RSET:
	case SMTP_STAGE_MAIL:
		return SMTP_PROBE_MAIL;
	case SMTP_STAGE_RCPT:
	case SMTP_STAGE_DATA:
	case SMTP_STAGE_DOT:
		return SMTP_PROBE_RCPT;
	case SMTP_STAGE_QUIT:
		return SMTP_PROBE_FINE;
	}
	return SMTP_PROBE_TCP;
}

static void note_capabilities(struct smtp_probe *p)
{
	const struct smtp_capabilities *caps = smtp_client_capabilities(p->client);
	struct smtp_probe_result *r = &p->result;

	r->esmtp = caps->esmtp;
	r->starttls_offered |= caps->starttls;
	r->pipelining = caps->pipelining;
	r->eightbit = caps->eightbit;
	r->smtputf8 = caps->smtputf8;
	r->dsn = caps->dsn;
	r->size_limit = caps->size_bytes;
}

static void report(struct smtp_probe *p, enum smtp_stage stage, enum smtp_probe_class class)
{
	if (p->is_reported)
		return;
	p->is_reported = true;
	p->result.class = class;
	p->result.stage = smtp_stage_name(stage);
	p->result.latency_ms = (uint32_t)((loop_now_us(p->loop) - p->begun_us) / 1000);
	p->on_done(p->arg, &p->result);
}

static void report_reply(struct smtp_probe *p, enum smtp_stage stage, enum smtp_probe_class class,
			 const struct smtp_client_failure *reply)
{
	if (p->is_reported)
		return;
	p->result.code = reply->code;
	copy_text(p->result.enhanced, sizeof p->result.enhanced, reply->enhanced);
	copy_text(p->result.text, sizeof p->result.text, reply->text);
	report(p, stage, class);
}

static void note_rcpts(struct smtp_probe *p)
{
	p->result.rcpts_n = p->options.rcpts_n;
	for (size_t i = 0; i < p->options.rcpts_n; i++) {
		struct smtp_rcpt_result r = smtp_client_result(p->client, i);
		struct smtp_probe_rcpt *out = &p->result.rcpts[i];

		out->code = r.code;
		copy_text(out->enhanced, sizeof out->enhanced, r.enhanced);
		copy_text(out->text, sizeof out->text, r.text);
	}
}

/* MAIL and RCPT are answered. The reply that decides is the first good one to RCPT, else the last bad one. */
static void report_answers(struct smtp_probe *p)
{
	struct smtp_client_failure reply = smtp_client_last_reply(p->client);
	struct smtp_rcpt_result best = {.stage = SMTP_STAGE_MAIL,
					.code = reply.code,
					.enhanced = reply.enhanced,
					.text = reply.text};
	bool is_good = reply.code < 400;

	for (size_t i = 0; i < p->options.rcpts_n; i++) {
		best = smtp_client_result(p->client, i);
		is_good = best.result == SMTP_RESULT_ACCEPTED;
		if (is_good)
			break;
	}
	note_rcpts(p);
	reply = (struct smtp_client_failure){
		.code = best.code, .enhanced = best.enhanced, .text = best.text};
	report_reply(p, best.stage, is_good ? SMTP_PROBE_FINE : class_of(best.stage), &reply);
}

static void report_failure(struct smtp_probe *p)
{
	struct smtp_client_failure failure;

	if (smtp_client_results(p->client))
		note_rcpts(p);
	if (smtp_client_failed(p->client, &failure))
		report_reply(p, failure.stage, class_of(failure.stage), &failure);
	else
		report(p, SMTP_STAGE_QUIT, SMTP_PROBE_FINE);
}

/* ---- the conversation ---- */

static void on_output(void *arg, struct span bytes)
{
	struct smtp_probe *p = arg;

	conn_send(p->conn, bytes);
}

static void say_goodbye(struct smtp_probe *p)
{
	smtp_client_quit(p->client);
	conn_deadline(p->conn, GOODBYE_MS * 1000u);
}

static void ask(struct smtp_probe *p)
{
	struct smtp_client_rcpt rcpts[SMTP_PROBE_RCPTS_LIMIT] = {0};
	struct smtp_client_mail mail = {.sender = p->options.sender,
					.rcpts = rcpts,
					.rcpts_n = p->options.rcpts_n,
					.verify_only = true};

	note_capabilities(p);
	if (p->is_reported || (!p->options.rcpts_n && !p->options.mail_only)) {
		struct smtp_client_failure reply = smtp_client_last_reply(p->client);

		report_reply(p, SMTP_STAGE_EHLO, SMTP_PROBE_FINE, &reply);
		say_goodbye(p);
		return;
	}
	for (size_t i = 0; i < p->options.rcpts_n; i++)
		rcpts[i].address = p->options.rcpts[i];
	smtp_client_mail(p->client, &mail);
}

/* Does what the engine wants until it waits. */
static void drive(struct smtp_probe *p)
{
	for (;;) {
		switch (smtp_client_want(p->client)) {
		case SMTP_WANT_INPUT:
			return;
		case SMTP_WANT_TLS:
			p->result.starttls_offered = true;
			conn_start_tls(p->conn, p->options.tls, false, p->host_name);
			return;
		case SMTP_WANT_MAIL:
			ask(p);
			break;
		case SMTP_WANT_RESULT:
			report_answers(p);
			smtp_client_next(p->client);
			break;
		case SMTP_WANT_BODY:
		case SMTP_WANT_PERMIT:
			must_never("a probe sends no body");
			return;
		case SMTP_WANT_CLOSE:
			report_failure(p);
			conn_close(p->conn);
			return;
		}
	}
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct smtp_probe *p = arg;

	(void)c;
	smtp_client_input(p->client, bytes);
	if (!p->result.greeting[0])
		copy_text(p->result.greeting, sizeof p->result.greeting,
			  smtp_client_last_reply(p->client).text);
	drive(p);
	return bytes.n;
}

static void on_open(void *arg, struct conn *c)
{
	struct smtp_probe *p = arg;

	(void)c;
	p->is_talking = true;
}

static void on_secure(void *arg, struct conn *c)
{
	struct smtp_probe *p = arg;

	p->result.tls_used = true;
	p->result.tls_verified = conn_tls_verified(c);
	copy_text(p->result.tls_text, sizeof p->result.tls_text, conn_tls_text(c));
	smtp_client_secured(p->client);
}

static void probe_connect(struct smtp_probe *p);

/* The handshake of an optional STARTTLS failed: once more without it. */
static bool tries_plain(struct smtp_probe *p, enum rc rc)
{
	if (rc != REFUSED || p->is_reported || p->options.tls_required ||
	    !p->options.plain_after_tls_failure || p->without_tls)
		return false;
	p->without_tls = true;
	probe_connect(p);
	return true;
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct smtp_probe *p = arg;
	const char *text = why && why->text[0] ? why->text : "the server closed the connection";

	(void)c;
	p->conn = NULL;
	if (tries_plain(p, rc))
		return;
	if (!p->is_talking) {
		/* The stage says so already. */
		if (strncmp(text, "connect: ", 9) == 0)
			text += 9;
		copy_text(p->result.text, sizeof p->result.text, text);
		report(p, SMTP_STAGE_CONNECT, SMTP_PROBE_TCP);
	} else {
		smtp_client_lost(p->client, text);
		report_failure(p);
	}
	probe_free(p);
}

static void probe_connect(struct smtp_probe *p)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes,
					    .on_open = on_open,
					    .on_secure = on_secure,
					    .on_closed = on_closed};
	const struct smtp_client_options options = {
		.helo = p->options.helo,
		.tls = !p->options.tls || p->without_tls ? SMTP_TLS_NEVER
		       : p->options.tls_required	 ? SMTP_TLS_REQUIRED
							 : SMTP_TLS_IF_OFFERED,
		.on_output = on_output,
		.arg = p,
	};

	smtp_client_free(p->client);
	p->client = smtp_client_new(&options);
	p->is_talking = false;
	p->conn = conn_connect(p->loop, (const struct sockaddr *)&p->options.to, p->options.to_n,
			       &ops, p);
}

static void on_deadline(void *arg)
{
	struct smtp_probe *p = arg;
	enum smtp_stage stage = p->is_talking ? smtp_client_stage(p->client) : SMTP_STAGE_CONNECT;

	if (!p->is_reported) {
		p->result.timed_out = true;
		(void)snprintf(p->result.text, sizeof p->result.text, "no answer within %u ms",
			       p->options.deadline_ms);
		if (p->is_talking) {
			smtp_client_lost(p->client, p->result.text);
			report_failure(p);
		}
		report(p, stage, class_of(stage));
	}
	conn_abort(p->conn);
}

/* ---- the face ---- */

static struct span own_text(struct smtp_probe *p, size_t at, struct span text)
{
	char *copy = must_alloc(text.n + 1);

	if (text.n)
		memcpy(copy, text.p, text.n);
	p->texts[at] = copy;
	return span_of(copy, text.n);
}

struct smtp_probe *smtp_probe_start(struct loop *loop, const struct smtp_probe_options *options,
				    void (*on_done)(void *arg,
						    const struct smtp_probe_result *result),
				    void *arg)
{
	struct smtp_probe *p = must_alloc(sizeof *p);

	must(options->rcpts_n <= SMTP_PROBE_RCPTS_LIMIT);
	p->loop = loop;
	p->options = *options;
	p->on_done = on_done;
	p->arg = arg;
	if (!p->options.deadline_ms)
		p->options.deadline_ms = DEFAULT_DEADLINE_MS;
	copy_text(p->host_name, sizeof p->host_name, options->host_name ? options->host_name : "");
	p->options.host_name = p->host_name;
	p->options.helo = own_text(p, 0, options->helo);
	p->options.sender = own_text(p, 1, options->sender);
	for (size_t i = 0; i < options->rcpts_n; i++)
		p->rcpts[i] = own_text(p, 2 + i, options->rcpts[i]);
	p->options.rcpts = p->rcpts;
	if (p->options.tls)
		p->options.tls = tls_context_ref(p->options.tls);
	p->begun_us = loop_now_us(loop);
	p->deadline = loop_timer_new(loop, on_deadline, p);
	loop_timer_set(p->deadline, (uint64_t)p->options.deadline_ms * 1000);
	probe_connect(p);
	return p;
}

void smtp_probe_cancel(struct smtp_probe *p)
{
	if (!p)
		return;
	p->is_reported = true;
	if (p->conn)
		conn_abort(p->conn);
}
