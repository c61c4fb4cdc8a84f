/*
 * The conversation: a plan of commands per phase, sent one by one or (PIPELINING) together, and one
 * handler per command for its reply. The table `handlers` is the only dispatcher; state changes go
 * through enter().
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

static void enter(struct smtp_client *c, enum state next)
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

/* ---- the plan
 * ---------------------------------------------------------------------------------------------------
 */

static void plan_clear(struct smtp_client *c)
{
	c->plan_n = c->sent = c->answered = 0;
}

static void plan_add(struct smtp_client *c, enum command command, size_t rcpt)
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
static void pump(struct smtp_client *c)
{
	struct buf out;

	buf_init(&out, 0);
	while (c->sent < c->plan_n && (c->caps.pipelining || c->sent == c->answered))
		smtp_command_write(c, c->plan[c->sent++], &out);
	if (out.n)
		c->options.on_output(c->options.arg, buf_span(&out));
	buf_fini(&out);
}

static void start(struct smtp_client *c, enum command command)
{
	plan_clear(c);
	plan_add(c, command, 0);
	enter(c, STATE_TALKING);
	pump(c);
}

/* ---- ends
 * -------------------------------------------------------------------------------------------------------
 */

static const struct smtp_reply *keep(struct smtp_client *c, const struct smtp_reply *reply)
{
	struct smtp_reply *copy = arena_alloc(&c->arena, sizeof *copy);

	*copy = *reply;
	return copy;
}

static void answer(struct rcpt_state *r, enum smtp_result result, enum smtp_stage stage,
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
	const struct smtp_reply *kept = keep(c, reply);

	for (size_t i = 0; i < c->mail.rcpts_n; i++)
		answer(&c->rcpts[i], result, stage, kept);
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
	enter(c, STATE_CLOSED);
}

static void fail_text(struct smtp_client *c, enum smtp_stage stage, const char *text)
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

/* ---- replies
 * ----------------------------------------------------------------------------------------------------
 */

static enum smtp_stage stage_of(enum command command)
{
	static const enum smtp_stage stages[] = {
		[COMMAND_GREETING] = SMTP_STAGE_GREETING, [COMMAND_EHLO] = SMTP_STAGE_EHLO,
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
	start(c, COMMAND_EHLO);
}

static void after_hello(struct smtp_client *c)
{
	bool wants_tls = c->options.tls != SMTP_TLS_NEVER && !c->is_secured;

	if (wants_tls && c->caps.starttls) {
		start(c, COMMAND_STARTTLS);
		return;
	}
	if (wants_tls && c->options.tls == SMTP_TLS_REQUIRED) {
		fail_text(c, SMTP_STAGE_TLS,
			  "TLS is required and the server does not offer STARTTLS");
		return;
	}
	enter(c, STATE_READY);
}

static void on_ehlo(struct smtp_client *c, struct step step)
{
	(void)step;
	if (is_class(c, 5) && c->reply.code != 521 && c->reply.code != 554) {
		start(c, COMMAND_HELO); /* RFC 5321 s3.2 */
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
		enter(c, STATE_TLS);
	} else if (c->options.tls == SMTP_TLS_REQUIRED) {
		fail(c, SMTP_STAGE_TLS, &c->reply);
	} else {
		enter(c, STATE_READY); /* RFC 3207 s4: 454 or 501; go on without */
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
		fail_text(c, SMTP_STAGE_MAIL, "the server answered MAIL with 3xx");
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
		fail_text(c, SMTP_STAGE_RCPT, "the server answered RCPT with 3xx");
		return;
	}
	if (!r->is_answered && is_class(c, 2)) {
		r->is_taken = true;
		r->result = SMTP_RESULT_ACCEPTED; /* counts for verify_only alone; else the dot
						     decides */
		r->stage = SMTP_STAGE_RCPT;
		r->reply = keep(c, &c->reply);
		c->taken++;
	} else if (!r->is_answered) {
		answer(r, refused_as(c), SMTP_STAGE_RCPT, keep(c, &c->reply));
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
			enter(c, STATE_BODY);
		} else {
			start(c, COMMAND_DOT); /* RFC 2920 s3.1: an empty message to nobody */
		}
		return;
	}
	if (is_class(c, 2) || is_class(c, 3)) {
		fail_text(c, SMTP_STAGE_DATA,
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
		fail_text(c, SMTP_STAGE_DOT, "the server answered the final dot with 3xx");
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
	enter(c, STATE_CLOSED);
}

static const struct {
	void (*on_reply)(struct smtp_client *c, struct step step);
} handlers[] = {
	[COMMAND_GREETING] = {on_greeting}, [COMMAND_EHLO] = {on_ehlo}, [COMMAND_HELO] = {on_helo},
	[COMMAND_STARTTLS] = {on_starttls}, [COMMAND_RSET] = {on_rset}, [COMMAND_MAIL] = {on_mail},
	[COMMAND_RCPT] = {on_rcpt},	    [COMMAND_DATA] = {on_data}, [COMMAND_DOT] = {on_dot},
	[COMMAND_QUIT] = {on_quit},
};

/* All of a transaction's replies are in: what RCPT said stands when no more was wanted. */
static void finish_transaction(struct smtp_client *c)
{
	for (size_t i = 0; i < c->mail.rcpts_n; i++)
		must(c->rcpts[i].is_answered || (c->mail.verify_only && c->rcpts[i].is_taken));
	enter(c, STATE_RESULT);
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
	fail_text(c, stage, "the server sent a reply that nothing asked for");
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
		on_closing(c, stage_of(step.command));
		return;
	}
	handlers[step.command].on_reply(c, step);
	if (c->state != STATE_TALKING)
		return;
	pump(c);
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
			fail_text(c, smtp_client_stage(c),
				  "what the server sent is not an SMTP reply");
	}
}

/* ---- what the host sees and does
 * --------------------------------------------------------------------------------- */

struct smtp_client *smtp_client_new(const struct smtp_client_options *options)
{
	struct smtp_client *c = must_alloc(sizeof *c);
	char helo[256];

	c->options = *options;
	(void)snprintf(helo, sizeof helo, "%.*s", SPAN_FMT(options->helo));
	c->helo = must_strdup(helo);
	c->options.helo = span_str(c->helo);
	c->state = STATE_TALKING;
	smtp_reply_init(&c->reader);
	arena_init(&c->arena, 0);
	plan_add(c, COMMAND_GREETING, 0);
	c->sent = 1;
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	smtp_reply_fini(&c->reader);
	arena_fini(&c->arena);
	free(c->plan);
	free(c->helo);
	free(c);
}

enum smtp_want smtp_client_want(const struct smtp_client *c)
{
	switch (c->state) {
	case STATE_TALKING:
		return SMTP_WANT_INPUT;
	case STATE_TLS:
		return SMTP_WANT_TLS;
	case STATE_READY:
		return SMTP_WANT_MAIL;
	case STATE_BODY:
		return SMTP_WANT_BODY;
	case STATE_PERMIT:
		return SMTP_WANT_PERMIT;
	case STATE_RESULT:
		return SMTP_WANT_RESULT;
	case STATE_CLOSED:
		return SMTP_WANT_CLOSE;
	}
	return SMTP_WANT_CLOSE;
}

static enum command waiting_for(const struct smtp_client *c)
{
	return c->plan[c->answered < c->plan_n ? c->answered : c->plan_n - 1].command;
}

enum smtp_stage smtp_client_stage(const struct smtp_client *c)
{
	switch (c->state) {
	case STATE_TALKING:
		return stage_of(waiting_for(c));
	case STATE_TLS:
		return SMTP_STAGE_TLS;
	case STATE_READY:
		return SMTP_STAGE_MAIL;
	case STATE_BODY:
	case STATE_PERMIT:
		return SMTP_STAGE_DATA;
	case STATE_RESULT:
		return SMTP_STAGE_QUIT;
	case STATE_CLOSED:
		return c->has_failed ? c->failed_stage : SMTP_STAGE_QUIT;
	}
	return SMTP_STAGE_QUIT;
}

static uint32_t either(uint32_t ms, uint32_t minutes)
{
	return ms ? ms : minutes * 60000;
}

uint32_t smtp_client_timeout_ms(const struct smtp_client *c)
{
	const struct smtp_client_times *t = &c->options.times;

	if (c->state == STATE_READY || c->state == STATE_RESULT || c->state == STATE_CLOSED)
		return 0;
	if (c->state == STATE_BODY || c->state == STATE_PERMIT)
		return either(t->block_ms, 3);
	switch (smtp_client_stage(c)) {
	case SMTP_STAGE_CONNECT:
	case SMTP_STAGE_GREETING:
		return either(t->greeting_ms, 5);
	case SMTP_STAGE_EHLO:
		return either(t->ehlo_ms, 5);
	case SMTP_STAGE_TLS:
		return either(t->tls_ms, 1);
	case SMTP_STAGE_RSET:
	case SMTP_STAGE_MAIL:
		return either(t->mail_ms, 5);
	case SMTP_STAGE_RCPT:
		return either(t->rcpt_ms, 5);
	case SMTP_STAGE_DATA:
		return either(t->data_ms, 2);
	case SMTP_STAGE_DOT:
		return either(t->dot_ms, 10);
	case SMTP_STAGE_QUIT:
		return either(t->quit_ms, 1);
	}
	return 60000;
}

const struct smtp_capabilities *smtp_client_capabilities(const struct smtp_client *c)
{
	return &c->caps;
}

void smtp_client_secured(struct smtp_client *c)
{
	must(c->state == STATE_TLS);
	c->is_secured = true;
	c->caps = (struct smtp_capabilities){0};
	smtp_reply_reset(&c->reader);
	start(c, COMMAND_EHLO);
}

void smtp_client_lost(struct smtp_client *c, const char *why)
{
	if (c->state == STATE_CLOSED)
		return;
	if (c->state == STATE_RESULT ||
	    (c->state == STATE_TALKING && waiting_for(c) == COMMAND_QUIT)) {
		c->state = STATE_CLOSED; /* everything was said before */
		return;
	}
	fail_text(c, smtp_client_stage(c), why);
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->state == STATE_READY)
		start(c, COMMAND_QUIT);
}

bool smtp_client_failed(const struct smtp_client *c, struct smtp_client_failure *out)
{
	if (!c->has_failed)
		return false;
	*out = (struct smtp_client_failure){
		.stage = c->failed_stage,
		.code = c->failed_reply.code,
		.enhanced = c->failed_reply.enhanced,
		.text = c->failed_reply.text,
	};
	return true;
}

struct smtp_client_failure smtp_client_last_reply(const struct smtp_client *c)
{
	return (struct smtp_client_failure){
		.stage = smtp_client_stage(c),
		.code = c->reply.code,
		.enhanced = c->reply.enhanced,
		.text = c->reply.text,
	};
}

/* ---- transactions
 * ------------------------------------------------------------------------------------------------
 */

static void copy_mail(struct smtp_client *c, const struct smtp_client_mail *mail)
{
	struct smtp_client_rcpt *rcpts;

	must((mail->rcpts_n || mail->verify_only) && mail->rcpts_n <= SMTP_CLIENT_RCPTS_LIMIT);
	arena_reset(&c->arena);
	c->mail = *mail;
	c->mail.sender = arena_span(&c->arena, mail->sender);
	c->mail.envid = arena_span(&c->arena, mail->envid);
	rcpts = arena_array(&c->arena, mail->rcpts_n, sizeof *rcpts);
	c->rcpts = arena_array(&c->arena, mail->rcpts_n, sizeof *c->rcpts);
	for (size_t i = 0; i < mail->rcpts_n; i++) {
		rcpts[i] = mail->rcpts[i];
		rcpts[i].address = arena_span(&c->arena, mail->rcpts[i].address);
		rcpts[i].orcpt = arena_span(&c->arena, mail->rcpts[i].orcpt);
	}
	c->mail.rcpts = rcpts;
	c->taken = 0;
	c->dot_sent = false;
	c->queue_id[0] = '\0';
	c->has_mail = true;
}

static bool has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 128)
			return true;
	}
	return false;
}

/* The recipients that can be offered go into the plan; the others get our own refusal. */
static size_t plan_rcpts(struct smtp_client *c)
{
	size_t offered = 0;

	c->mail.needs_smtputf8 |= has_8bit(c->mail.sender);
	for (size_t i = 0; i < c->mail.rcpts_n; i++) {
		struct smtp_reply reply;

		if (smtp_command_refuses(c, &c->mail, i, &reply)) {
			answer(&c->rcpts[i], SMTP_RESULT_5XX, SMTP_STAGE_MAIL, keep(c, &reply));
			c->rcpts[i].is_local = true;
			continue;
		}
		plan_add(c, COMMAND_RCPT, i);
		offered++;
	}
	for (size_t i = 0; i < c->mail.rcpts_n; i++)
		c->mail.needs_smtputf8 |=
			!c->rcpts[i].is_answered && has_8bit(c->mail.rcpts[i].address);
	return offered;
}

void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *mail)
{
	must(c->state == STATE_READY);
	copy_mail(c, mail);
	plan_clear(c);
	if (c->needs_reset)
		plan_add(c, COMMAND_RSET, 0);
	plan_add(c, COMMAND_MAIL, 0);
	if (!plan_rcpts(c) && mail->rcpts_n) {
		enter(c, STATE_RESULT);
		return;
	}
	if (!mail->verify_only)
		plan_add(c, COMMAND_DATA, 0);
	c->needs_reset = true;
	enter(c, STATE_TALKING);
	pump(c);
}

void smtp_client_permit(struct smtp_client *c)
{
	must(c->state == STATE_PERMIT);
	c->dot_sent = true;
	start(c, COMMAND_DOT);
}

size_t smtp_client_results(const struct smtp_client *c)
{
	return c->has_mail ? c->mail.rcpts_n : 0;
}

struct smtp_rcpt_result smtp_client_result(const struct smtp_client *c, size_t rcpt)
{
	const struct rcpt_state *r = &c->rcpts[rcpt];

	must(rcpt < c->mail.rcpts_n && r->reply);
	return (struct smtp_rcpt_result){
		.result = r->result,
		.stage = r->stage,
		.code = r->reply->code,
		.is_local = r->is_local,
		.enhanced = r->reply->enhanced,
		.text = r->reply->text,
	};
}

const char *smtp_client_queue_id(const struct smtp_client *c)
{
	return c->queue_id;
}

bool smtp_client_dsn_passed_on(const struct smtp_client *c)
{
	return c->has_mail && !c->caps.dsn;
}

void smtp_client_next(struct smtp_client *c)
{
	c->has_mail = false;
	if (c->state == STATE_RESULT)
		enter(c, STATE_READY);
}
