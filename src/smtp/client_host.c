/*
 * What the host sees of the conversation and does with it: wants, time-outs, transactions and
 * their results. The conversation itself is in client.c.
 */
#include "smtp/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

struct smtp_client *smtp_client_new(const struct smtp_client_options *options)
{
	struct smtp_client *c = must_alloc(sizeof *c);
	char helo[256];

	c->options = *options;
	(void)snprintf(helo, sizeof helo, "%.*s", SPAN_FMT(options->helo));
	c->helo = must_strdup(helo);
	c->options.helo = span_str(c->helo);
	(void)!buf_reserve(&c->login, options->user.n + options->password.n + 1); /* in one piece */
	(void)buf_append(&c->login, options->user);
	(void)buf_append_byte(&c->login, '\0');
	(void)buf_append(&c->login, options->password);
	c->options.user = span_of(c->login.p, options->user.n);
	c->options.password = span_from(buf_span(&c->login), options->user.n + 1);
	c->state = STATE_TALKING;
	smtp_reply_init(&c->reader);
	arena_init(&c->arena, 0);
	smtp_talk_plan_add(c, COMMAND_GREETING, 0);
	c->sent = 1;
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	if (c->login.p)
		explicit_bzero(c->login.p, c->login.cap);
	buf_fini(&c->login);
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
		return smtp_talk_stage_of(waiting_for(c));
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
	smtp_talk_start(c, COMMAND_EHLO);
}

void smtp_client_lost(struct smtp_client *c, const char *why)
{
	if (c->state == STATE_CLOSED)
		return;
	if (c->state == STATE_RESULT ||
	    (c->state == STATE_TALKING && waiting_for(c) == COMMAND_QUIT)) {
		smtp_talk_enter(c, STATE_CLOSED); /* everything was said before */
		return;
	}
	smtp_talk_fail_text(c, smtp_client_stage(c), why);
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->state == STATE_READY)
		smtp_talk_start(c, COMMAND_QUIT);
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

/* ---- transactions ---- */

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
			smtp_talk_answer(&c->rcpts[i], SMTP_RESULT_5XX, SMTP_STAGE_MAIL,
					 smtp_talk_keep(c, &reply));
			c->rcpts[i].is_local = true;
			continue;
		}
		smtp_talk_plan_add(c, COMMAND_RCPT, i);
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
	smtp_talk_plan_clear(c);
	if (c->needs_reset)
		smtp_talk_plan_add(c, COMMAND_RSET, 0);
	smtp_talk_plan_add(c, COMMAND_MAIL, 0);
	if (!plan_rcpts(c) && mail->rcpts_n) {
		smtp_talk_enter(c, STATE_RESULT);
		return;
	}
	if (!mail->verify_only)
		smtp_talk_plan_add(c, COMMAND_DATA, 0);
	c->needs_reset = true;
	smtp_talk_enter(c, STATE_TALKING);
	smtp_talk_pump(c);
}

void smtp_client_permit(struct smtp_client *c)
{
	must(c->state == STATE_PERMIT);
	c->dot_sent = true;
	smtp_talk_start(c, COMMAND_DOT);
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
		smtp_talk_enter(c, STATE_READY);
}
