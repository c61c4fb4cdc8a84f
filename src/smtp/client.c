/*
 * The conversation: a plan of commands per phase, sent one by one or (PIPELINING) together, and one
 * handler per command for its reply. The table `handlers` is the only dispatcher; state changes go
 * through smtp_talk_enter().
 */
#include "smtp/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

#define BIT(x) (1u << (x))

static const unsigned may_follow[] = {
	[STATE_TALKING] = BIT(STATE_TALKING) | BIT(STATE_TLS) | BIT(STATE_READY) | BIT(STATE_BODY) |
			  BIT(STATE_RESULT) | BIT(STATE_CLOSED),
	[STATE_TLS] = BIT(STATE_TALKING) | BIT(STATE_CLOSED),
	[STATE_READY] = BIT(STATE_TALKING) | BIT(STATE_RESULT) | BIT(STATE_CLOSED),
	[STATE_BODY] = BIT(STATE_PERMIT) | BIT(STATE_CLOSED),
	[STATE_PERMIT] = BIT(STATE_TALKING) | BIT(STATE_CLOSED),
	[STATE_RESULT] = BIT(STATE_READY) | BIT(STATE_CLOSED),
	[STATE_CLOSED] = 0,
};

void smtp_talk_enter(struct smtp_client *c, enum state next)
{
	must(may_follow[c->state] & BIT(next));
	c->state = next;
}

const char *smtp_stage_name(enum smtp_stage stage)
{
	switch (stage) {
	case SMTP_STAGE_CONNECT:
		return "connect";
	case SMTP_STAGE_GREETING:
		return "greeting";
	case SMTP_STAGE_EHLO:
		return "ehlo";
	case SMTP_STAGE_TLS:
		return "tls";
	case SMTP_STAGE_RSET:
		return "rset";
	case SMTP_STAGE_MAIL:
		return "mail";
	case SMTP_STAGE_RCPT:
		return "rcpt";
	case SMTP_STAGE_DATA:
		return "data";
	case SMTP_STAGE_DOT:
		return "dot";
	case SMTP_STAGE_QUIT:
		return "quit";
	}
	return "?";
}

/* ---- the plan ---- */

void smtp_talk_plan_clear(struct smtp_client *c)
{
	c->plan_n = c->sent = c->answered = 0;
}

void smtp_talk_plan_add(struct smtp_client *c, enum command command, size_t rcpt)
{
	if (c->plan_n == c->plan_cap) {
		size_t cap = c->plan_cap ? 2 * c->plan_cap : 8;
		struct step *plan = must_alloc(cap * sizeof *plan);

		if (c->plan_n)
			memcpy(plan, c->plan, c->plan_n * sizeof *plan);
		free(c->plan);
		c->plan = plan;
		c->plan_cap = cap;
	}
	c->plan[c->plan_n++] = (struct step){command, rcpt};
}

/* Sends what may be sent now: all of the plan with PIPELINING (RFC 2920), else the next command. */
void smtp_talk_pump(struct smtp_client *c)
{
	struct buf out;

	buf_init(&out, 0);
	while (c->sent < c->plan_n && (c->caps.pipelining || c->sent == c->answered))
		smtp_command_write(c, c->plan[c->sent++], &out);
	if (out.n)
		c->options.on_output(c->options.arg, buf_span(&out));
	buf_fini(&out);
}

void smtp_talk_start(struct smtp_client *c, enum command command)
{
	smtp_talk_plan_clear(c);
	smtp_talk_plan_add(c, command, 0);
	smtp_talk_enter(c, STATE_TALKING);
	smtp_talk_pump(c);
}

/* ---- ends ---- */

const struct smtp_reply *smtp_talk_keep(struct smtp_client *c, const struct smtp_reply *reply)
{
	struct smtp_reply *copy = arena_alloc(&c->arena, sizeof *copy);

	*copy = *reply;
	return copy;
}

void smtp_talk_answer(struct rcpt_state *r, enum smtp_result result, enum smtp_stage stage,
		      const struct smtp_reply *reply)
{
	if (r->is_answered)
		return;
	r->is_answered = true;
	r->result = result;
	r->stage = stage;
	r->reply = reply;
}

/* One answer for every recipient that has none. */
static void answer_rest(struct smtp_client *c, enum smtp_result result, enum smtp_stage stage,
			const struct smtp_reply *reply)
{
	const struct smtp_reply *kept = smtp_talk_keep(c, reply);

	for (size_t i = 0; i < c->mail.rcpts_n; i++)
		smtp_talk_answer(&c->rcpts[i], result, stage, kept);
}

/* An ended conversation with recipients still open. What RCPT said counts as the answer when no
 * more was asked. */
static void answer_cut_off(struct smtp_client *c, enum smtp_stage stage,
			   const struct smtp_reply *reply)
{
	if (!c->has_mail)
		return;
	for (size_t i = 0; c->mail.verify_only && i < c->mail.rcpts_n; i++) {
		if (c->rcpts[i].is_taken)
			c->rcpts[i].is_answered = true;
	}
	answer_rest(c, c->dot_sent ? SMTP_RESULT_LOST : SMTP_RESULT_UNREACHED, stage, reply);
}

static void fail(struct smtp_client *c, enum smtp_stage stage, const struct smtp_reply *reply)
{
	c->has_failed = true;
	c->failed_stage = stage;
	c->failed_reply = *reply;
	answer_cut_off(c, stage, reply);
	smtp_talk_enter(c, STATE_CLOSED);
}

void smtp_talk_fail_text(struct smtp_client *c, enum smtp_stage stage, const char *text)
{
	struct smtp_reply reply = {0};

	(void)snprintf(reply.text, sizeof reply.text, "%s", text);
	fail(c, stage, &reply);
}

static bool is_class(const struct smtp_client *c, unsigned class)
{
	return c->reply.code / 100 == class;
}

static enum smtp_result refused_as(const struct smtp_client *c)
{
	return is_class(c, 5) ? SMTP_RESULT_5XX : SMTP_RESULT_4XX;
}

/* ---- replies ---- */

enum smtp_stage smtp_talk_stage_of(enum command command)
{
	static const enum smtp_stage stages[] = {
		[COMMAND_GREETING] = SMTP_STAGE_GREETING, [COMMAND_EHLO] = SMTP_STAGE_EHLO,
		[COMMAND_AUTH_PLAIN] = SMTP_STAGE_EHLO,	  [COMMAND_AUTH_LOGIN] = SMTP_STAGE_EHLO,
		[COMMAND_AUTH_USER] = SMTP_STAGE_EHLO,	  [COMMAND_AUTH_PASSWORD] = SMTP_STAGE_EHLO,
		[COMMAND_HELO] = SMTP_STAGE_EHLO,	  [COMMAND_STARTTLS] = SMTP_STAGE_TLS,
		[COMMAND_RSET] = SMTP_STAGE_RSET,	  [COMMAND_MAIL] = SMTP_STAGE_MAIL,
		[COMMAND_RCPT] = SMTP_STAGE_RCPT,	  [COMMAND_DATA] = SMTP_STAGE_DATA,
		[COMMAND_DOT] = SMTP_STAGE_DOT,		  [COMMAND_QUIT] = SMTP_STAGE_QUIT,
	};

	return stages[command];
}

static void on_greeting(struct smtp_client *c, struct step step)
{
	(void)step;
	if (!is_class(c, 2)) {
		fail(c, SMTP_STAGE_GREETING, &c->reply);
		return;
	}
	smtp_talk_start(c, COMMAND_EHLO);
}

/* Ready, after the login if there is one. */
static void become_ready(struct smtp_client *c)
{
	if (!c->options.user.n)
		smtp_talk_enter(c, STATE_READY);
	else if (!c->is_secured && !c->options.auth_in_clear)
		smtp_talk_fail_text(c, SMTP_STAGE_TLS,
				    "the server offers no TLS, and no password is shown without");
	else if (c->caps.auth_plain)
		smtp_talk_start(c, COMMAND_AUTH_PLAIN);
	else if (c->caps.auth_login)
		smtp_talk_start(c, COMMAND_AUTH_LOGIN);
	else
		smtp_talk_fail_text(c, SMTP_STAGE_EHLO,
				    "the server offers neither AUTH PLAIN nor LOGIN");
}

static void on_auth(struct smtp_client *c, struct step step)
{
	bool is_last = step.command == COMMAND_AUTH_PLAIN || step.command == COMMAND_AUTH_PASSWORD;

	if (is_last && c->reply.code == 235)
		smtp_talk_enter(c, STATE_READY);
	else if (!is_last && c->reply.code == 334)
		smtp_talk_start(c, step.command == COMMAND_AUTH_LOGIN ? COMMAND_AUTH_USER
								      : COMMAND_AUTH_PASSWORD);
	else
		fail(c, SMTP_STAGE_EHLO, &c->reply);
}

static void after_hello(struct smtp_client *c)
{
	bool wants_tls = c->options.tls != SMTP_TLS_NEVER && !c->is_secured;

	if (wants_tls && c->caps.starttls) {
		smtp_talk_start(c, COMMAND_STARTTLS);
		return;
	}
	if (wants_tls && c->options.tls == SMTP_TLS_REQUIRED) {
		smtp_talk_fail_text(c, SMTP_STAGE_TLS,
				    "TLS is required and the server does not offer STARTTLS");
		return;
	}
	become_ready(c);
}

static void on_ehlo(struct smtp_client *c, struct step step)
{
	(void)step;
	if (is_class(c, 5) && c->reply.code != 521 && c->reply.code != 554) {
		smtp_talk_start(c, COMMAND_HELO); /* RFC 5321 s3.2 */
		return;
	}
	if (!is_class(c, 2)) {
		fail(c, SMTP_STAGE_EHLO, &c->reply);
		return;
	}
	smtp_capabilities_read(&c->reader, &c->caps);
	after_hello(c);
}

static void on_helo(struct smtp_client *c, struct step step)
{
	(void)step;
	if (!is_class(c, 2)) {
		fail(c, SMTP_STAGE_EHLO, &c->reply);
		return;
	}
	c->caps = (struct smtp_capabilities){0};
	after_hello(c);
}

static void on_starttls(struct smtp_client *c, struct step step)
{
	(void)step;
	if (is_class(c, 2)) {
		smtp_reply_reset(&c->reader);
		smtp_talk_enter(c, STATE_TLS);
	} else if (c->options.tls == SMTP_TLS_REQUIRED) {
		fail(c, SMTP_STAGE_TLS, &c->reply);
	} else {
		become_ready(c); /* RFC 3207 s4: 454 or 501; go on without */
	}
}

static void on_rset(struct smtp_client *c, struct step step)
{
	(void)step;
	if (!is_class(c, 2))
		fail(c, SMTP_STAGE_RSET, &c->reply);
}

static void on_mail(struct smtp_client *c, struct step step)
{
	(void)step;
	if (is_class(c, 2))
		return;
	if (is_class(c, 3)) {
		smtp_talk_fail_text(c, SMTP_STAGE_MAIL, "the server answered MAIL with 3xx");
		return;
	}
	answer_rest(c, refused_as(c), SMTP_STAGE_MAIL, &c->reply);
	c->plan_n = c->sent; /* what is on its way still gets its reply */
}

static bool is_in_plan(const struct smtp_client *c, enum command command)
{
	return c->plan_n && c->plan[c->plan_n - 1].command == command;
}

static void on_rcpt(struct smtp_client *c, struct step step)
{
	struct rcpt_state *r = &c->rcpts[step.rcpt];
	bool is_last = c->answered == c->plan_n || c->plan[c->answered].command != COMMAND_RCPT;

	if (is_class(c, 3)) {
		smtp_talk_fail_text(c, SMTP_STAGE_RCPT, "the server answered RCPT with 3xx");
		return;
	}
	if (!r->is_answered && is_class(c, 2)) {
		r->is_taken = true;
		r->result = SMTP_RESULT_ACCEPTED; /* counts for verify_only alone; else the dot
						     decides */
		r->stage = SMTP_STAGE_RCPT;
		r->reply = smtp_talk_keep(c, &c->reply);
		c->taken++;
	} else if (!r->is_answered) {
		smtp_talk_answer(r, refused_as(c), SMTP_STAGE_RCPT, smtp_talk_keep(c, &c->reply));
	}
	/* Nobody left to write to: no DATA, unless it is out already. */
	if (is_last && !c->taken && is_in_plan(c, COMMAND_DATA) && c->sent < c->plan_n)
		c->plan_n--;
}

static void on_data(struct smtp_client *c, struct step step)
{
	(void)step;
	if (c->reply.code == 354) {
		if (c->taken) {
			c->last[0] = '\r';
			c->last[1] = '\n';
			smtp_talk_enter(c, STATE_BODY);
		} else {
			smtp_talk_start(
				c, COMMAND_DOT); /* RFC 2920 s3.1: an empty message to nobody */
		}
		return;
	}
	if (is_class(c, 2) || is_class(c, 3)) {
		smtp_talk_fail_text(c, SMTP_STAGE_DATA,
				    "the server answered DATA with neither 354 nor a refusal");
		return;
	}
	answer_rest(c, refused_as(c), SMTP_STAGE_DATA, &c->reply);
}

static void on_dot(struct smtp_client *c, struct step step)
{
	struct span id;

	(void)step;
	if (is_class(c, 3)) {
		smtp_talk_fail_text(c, SMTP_STAGE_DOT,
				    "the server answered the final dot with 3xx");
		return;
	}
	if (!c->dot_sent)
		return; /* the dot to nobody */
	if (!is_class(c, 2)) {
		answer_rest(c, refused_as(c), SMTP_STAGE_DOT, &c->reply);
		return;
	}
	id = smtp_queue_id_of(span_str(c->reply.text));
	(void)snprintf(c->queue_id, sizeof c->queue_id, "%.*s", SPAN_FMT(id));
	answer_rest(c, SMTP_RESULT_ACCEPTED, SMTP_STAGE_DOT, &c->reply);
	c->needs_reset = false;
}

static void on_quit(struct smtp_client *c, struct step step)
{
	(void)step;
	smtp_talk_enter(c, STATE_CLOSED);
}

static const struct {
	void (*on_reply)(struct smtp_client *c, struct step step);
} handlers[] = {
	[COMMAND_GREETING] = {on_greeting}, [COMMAND_EHLO] = {on_ehlo},
	[COMMAND_HELO] = {on_helo},	    [COMMAND_STARTTLS] = {on_starttls},
	[COMMAND_RSET] = {on_rset},	    [COMMAND_MAIL] = {on_mail},
	[COMMAND_RCPT] = {on_rcpt},	    [COMMAND_DATA] = {on_data},
	[COMMAND_DOT] = {on_dot},	    [COMMAND_QUIT] = {on_quit},
	[COMMAND_AUTH_PLAIN] = {on_auth},   [COMMAND_AUTH_LOGIN] = {on_auth},
	[COMMAND_AUTH_USER] = {on_auth},    [COMMAND_AUTH_PASSWORD] = {on_auth},
};

/* All of a transaction's replies are in: what RCPT said stands when no more was wanted. */
static void finish_transaction(struct smtp_client *c)
{
	for (size_t i = 0; i < c->mail.rcpts_n; i++)
		must(c->rcpts[i].is_answered || (c->mail.verify_only && c->rcpts[i].is_taken));
	smtp_talk_enter(c, STATE_RESULT);
}

/* 421 may come at any time: the server is about to close (RFC 5321 s3.8). */
static void on_closing(struct smtp_client *c, enum smtp_stage stage)
{
	if (c->has_mail && stage >= SMTP_STAGE_MAIL && stage <= SMTP_STAGE_DOT)
		answer_rest(c, SMTP_RESULT_4XX, stage, &c->reply);
	fail(c, stage, &c->reply);
}

/* A reply nobody asked for. Before the dot it may be the receiver's early refusal; afterwards both
 * are out of step. */
static void on_unasked(struct smtp_client *c)
{
	enum smtp_stage stage = smtp_client_stage(c);

	if (c->reply.code == 421) {
		on_closing(c, stage);
		return;
	}
	if ((c->state == STATE_BODY || c->state == STATE_PERMIT) && c->reply.code >= 400) {
		answer_rest(c, refused_as(c), SMTP_STAGE_DATA, &c->reply);
		fail(c, SMTP_STAGE_DATA, &c->reply);
		return;
	}
	smtp_talk_fail_text(c, stage, "the server sent a reply that nothing asked for");
}

static void on_reply(struct smtp_client *c)
{
	struct step step;

	smtp_reply_get(&c->reader, &c->reply);
	if (c->state != STATE_TALKING || c->answered == c->sent) {
		on_unasked(c);
		return;
	}
	step = c->plan[c->answered++];
	if (c->reply.code == 421 && step.command != COMMAND_QUIT) {
		on_closing(c, smtp_talk_stage_of(step.command));
		return;
	}
	handlers[step.command].on_reply(c, step);
	if (c->state != STATE_TALKING)
		return;
	smtp_talk_pump(c);
	if (c->has_mail && c->answered == c->plan_n)
		finish_transaction(c);
}

void smtp_client_input(struct smtp_client *c, struct span bytes)
{
	while (bytes.n && c->state != STATE_CLOSED && c->state != STATE_TLS) {
		enum rc rc = smtp_reply_feed(&c->reader, &bytes);

		if (rc == OK)
			on_reply(c);
		else if (rc == REFUSED)
			smtp_talk_fail_text(c, smtp_client_stage(c),
					    "what the server sent is not an SMTP reply");
	}
}
