/*
 * The conversation: one command at a time, a handler for what each tagged answer means, and what the host sees of it. State
 * changes go through imap_enter().
 */
#include "imap/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

#define BIT(x) (1u << (x))

static const unsigned may_follow[] = {
	[STATE_TALKING] = BIT(STATE_TALKING) | BIT(STATE_TLS) | BIT(STATE_READY) |
			  BIT(STATE_PIECE) | BIT(STATE_RESULT) | BIT(STATE_CLOSED),
	[STATE_TLS] = BIT(STATE_TALKING) | BIT(STATE_CLOSED),
	[STATE_READY] =
		BIT(STATE_TALKING) | BIT(STATE_PIECE) | BIT(STATE_RESULT) | BIT(STATE_CLOSED),
	[STATE_PIECE] = BIT(STATE_TALKING) | BIT(STATE_RESULT) | BIT(STATE_CLOSED),
	[STATE_RESULT] = BIT(STATE_READY) | BIT(STATE_CLOSED),
	[STATE_CLOSED] = 0,
};

void imap_enter(struct imap_client *c, enum imap_state next)
{
	must(may_follow[c->state] & BIT(next));
	c->state = next;
}

struct imap_client *imap_client_new(const struct imap_client_options *options)
{
	struct imap_client *c = must_alloc(sizeof *c);

	c->options = *options;
	c->state = STATE_TALKING;
	c->is_secured = options->tls == IMAP_CLIENT_TLS_DONE;
	c->command = COMMAND_GREETING;
	imap_reader_init(&c->reader);
	arena_init(&c->scratch, 2 * (size_t)IMAP_CLIENT_RESPONSE_BYTES);
	buf_init(&c->space, 0);
	buf_init(&c->text, 0);
	buf_init(&c->answer, 0);
	buf_init(&c->target, 0);
	return c;
}

void imap_client_free(struct imap_client *c)
{
	if (!c)
		return;
	buf_fini(&c->reader.bytes);
	arena_fini(&c->scratch);
	buf_fini(&c->space);
	imap_wipe(&c->text);
	imap_wipe(&c->answer);
	buf_fini(&c->text);
	buf_fini(&c->answer);
	buf_fini(&c->target);
	free(c);
}

/* ---- ends ---- */

void imap_finish(struct imap_client *c, enum imap_client_outcome outcome)
{
	c->result.outcome = outcome;
	if (!c->result.text)
		c->result.text = c->result_text;
	imap_wipe(&c->text);
	imap_wipe(&c->answer);
	c->idling = false;
	imap_enter(c, STATE_RESULT);
}

void imap_local(struct imap_client *c, const char *why)
{
	c->result = (struct imap_client_result){.text = c->result_text};
	(void)snprintf(c->result_text, sizeof c->result_text, "%s", why);
	imap_finish(c, IMAP_CLIENT_LOCAL);
}

void imap_fail(struct imap_client *c, const char *why)
{
	if (c->state == STATE_CLOSED)
		return;
	if (!c->has_failed)
		(void)snprintf(c->failure, sizeof c->failure, "%s", why);
	c->has_failed = true;
	if (c->state == STATE_TALKING || c->state == STATE_TLS || c->state == STATE_PIECE) {
		c->result.outcome = IMAP_CLIENT_LOST;
		c->result.text = c->failure;
	}
	imap_wipe(&c->text);
	imap_wipe(&c->answer);
	imap_enter(c, STATE_CLOSED);
}

void imap_client_lost(struct imap_client *c, const char *why)
{
	if (c->state == STATE_TALKING && c->command == COMMAND_LOGOUT) {
		imap_enter(c, STATE_CLOSED); /* everything was said before */
		return;
	}
	imap_fail(c, why);
}

const char *imap_client_failure(const struct imap_client *c)
{
	return c->has_failed ? c->failure : NULL;
}

struct imap_client_result imap_client_result(const struct imap_client *c)
{
	struct imap_client_result r = c->result;

	if (!r.text)
		r.text = c->result_text;
	return r;
}

void imap_client_next(struct imap_client *c)
{
	if (c->state != STATE_RESULT)
		return;
	if (c->is_ending)
		imap_fail(c, "the server closed the conversation");
	else
		imap_enter(c, STATE_READY);
}

/* ---- before login ---- */

/* Capabilities are known: TLS, or ready. */
static void go_on(struct imap_client *c)
{
	if (!c->caps.imap4rev1 && !c->caps.imap4rev2) {
		imap_fail(c, "the server does not speak IMAP4rev1");
	} else if (c->options.tls == IMAP_CLIENT_TLS_STARTTLS && !c->is_secured) {
		if (c->caps.starttls)
			imap_start_starttls(c);
		else
			imap_fail(c, "TLS is required and the server does not offer STARTTLS");
	} else {
		imap_enter(c, STATE_READY);
	}
}

static void on_greeting(struct imap_client *c, enum imap_status status)
{
	char why[IMAP_CLIENT_TEXT_BYTES + 64];

	if (status == IMAP_PREAUTH) {
		imap_fail(c, "the server says that we are logged in already (PREAUTH)"); /* T-05 */
	} else if (status != IMAP_OK) {
		(void)snprintf(why, sizeof why, "the server greets with a refusal: %s",
			       c->result_text);
		imap_fail(c, why);
	} else if (c->caps_told) {
		c->command = COMMAND_CAPABILITY; /* what comes now is no greeting any more */
		go_on(c);
	} else {
		imap_start_capability(c);
	}
}

void imap_client_secured(struct imap_client *c)
{
	must(c->state == STATE_TLS);
	c->is_secured = true;
	c->caps = (struct imap_client_capabilities){0};
	imap_reader_reset(&c->reader);
	imap_start_capability(c);
}

/* ---- answers ---- */

static void finish_by(struct imap_client *c, enum imap_status status)
{
	imap_finish(c, status == IMAP_OK   ? IMAP_CLIENT_DONE
		       : status == IMAP_NO ? IMAP_CLIENT_NO
					   : IMAP_CLIENT_BAD);
}

static void on_capability(struct imap_client *c, enum imap_status status)
{
	if (c->is_logged_in) {
		c->result = (struct imap_client_result){
			.text = c->result_text}; /* the login's own: it was taken */
		imap_finish(c, IMAP_CLIENT_DONE);
	} else if (status != IMAP_OK || !c->caps_told) {
		imap_fail(c, "the server does not tell its capabilities");
	} else {
		go_on(c);
	}
}

static void on_starttls(struct imap_client *c, enum imap_status status)
{
	if (status != IMAP_OK) {
		imap_fail(c, "TLS is required and the server refuses STARTTLS");
		return;
	}
	imap_enter(c, STATE_TLS);
}

static void on_login(struct imap_client *c, enum imap_status status)
{
	if (status != IMAP_OK) {
		finish_by(c, status);
		return;
	}
	c->is_logged_in = true;
	if (c->caps_told)
		imap_finish(c, IMAP_CLIENT_DONE);
	else
		imap_start_capability(c);
}

static void on_select(struct imap_client *c, enum imap_status status)
{
	c->is_selected = status == IMAP_OK;
	finish_by(c, status);
}

static void on_append(struct imap_client *c, enum imap_status status)
{
	if (c->state == STATE_PIECE || c->sent < c->text.n)
		c->is_ending = c->pieces_left &&
			       c->is_committed; /* half a literal is out: no more commands */
	finish_by(c, status);
}

/* The steps of a move without MOVE; what the first of them said of the copy stays. */
static void on_copy(struct imap_client *c, enum imap_status status)
{
	if (status != IMAP_OK)
		finish_by(c, status);
	else
		imap_start_move_step(c, COMMAND_MARK);
}

static void on_mark(struct imap_client *c, enum imap_status status)
{
	if (status != IMAP_OK || !c->caps.uidplus)
		finish_by(c, status);
	else
		imap_start_move_step(c, COMMAND_SWEEP);
}

static void on_logout(struct imap_client *c, enum imap_status status)
{
	(void)status;
	imap_enter(c, STATE_CLOSED);
}

static void on_other(struct imap_client *c, enum imap_status status)
{
	finish_by(c, status);
}

static void (*const handlers[])(struct imap_client *c, enum imap_status status) = {
	[COMMAND_GREETING] = on_greeting, [COMMAND_CAPABILITY] = on_capability,
	[COMMAND_STARTTLS] = on_starttls, [COMMAND_LOGIN] = on_login,
	[COMMAND_NAMESPACE] = on_other,	  [COMMAND_LIST] = on_other,
	[COMMAND_CREATE] = on_other,	  [COMMAND_SUBSCRIBE] = on_other,
	[COMMAND_SELECT] = on_select,	  [COMMAND_SEARCH] = on_other,
	[COMMAND_FETCH] = on_other,	  [COMMAND_FETCH_BODY] = on_other,
	[COMMAND_STORE] = on_other,	  [COMMAND_APPEND] = on_append,
	[COMMAND_MOVE] = on_other,	  [COMMAND_COPY] = on_copy,
	[COMMAND_MARK] = on_mark,	  [COMMAND_SWEEP] = on_other,
	[COMMAND_EXPUNGE] = on_other,	  [COMMAND_IDLE] = on_other,
	[COMMAND_NOOP] = on_other,	  [COMMAND_LOGOUT] = on_logout,
};

void imap_on_tagged(struct imap_client *c, enum imap_status status, struct span text)
{
	struct span said;

	if ((c->state != STATE_TALKING && c->state != STATE_PIECE) ||
	    c->command == COMMAND_GREETING) {
		imap_fail(c, "the server answers what was not asked");
		return;
	}
	c->result.code = imap_read_code(c, text, &said);
	c->result.text = c->result_text;
	imap_say(c->result_text, sizeof c->result_text, said);
	handlers[c->command](c, status);
}

void imap_on_untagged_status(struct imap_client *c, enum imap_status status, struct span text)
{
	char said_text[IMAP_CLIENT_TEXT_BYTES], why[IMAP_CLIENT_TEXT_BYTES + 64];
	struct span said;

	(void)imap_read_code(c, text, &said);
	imap_say(said_text, sizeof said_text, said);
	if (c->command == COMMAND_GREETING) {
		memcpy(c->result_text, said_text, sizeof said_text);
		on_greeting(c, status);
	} else if (status == IMAP_PREAUTH) {
		imap_fail(c, "the server greets a second time");
	} else if (status == IMAP_BYE && c->command != COMMAND_LOGOUT) {
		(void)snprintf(why, sizeof why, "the server says goodbye: %s", said_text);
		imap_fail(c, why);
	}
}

void imap_on_continue(struct imap_client *c)
{
	if (c->state == STATE_TALKING && c->command == COMMAND_IDLE && !c->is_committed) {
		c->idling = c->is_committed = true;
	} else if (c->state == STATE_TALKING && c->command == COMMAND_LOGIN &&
		   c->sent == c->text.n && c->answer.n) {
		c->options.on_output(c->options.arg, buf_span(&c->answer));
		imap_wipe(&c->answer);
	} else if (c->state == STATE_TALKING && c->sent < c->text.n) {
		imap_pump(c);
	} else if (c->state == STATE_TALKING && c->command == COMMAND_APPEND && c->pieces_left) {
		c->is_committed = true;
		imap_enter(c, STATE_PIECE);
	} else {
		imap_fail(c, "the server asks for more, and there is none");
	}
}

void imap_client_input(struct imap_client *c, struct span bytes)
{
	while (bytes.n && c->state != STATE_CLOSED) {
		enum rc rc;

		if (c->state == STATE_TLS) {
			imap_fail(
				c,
				"the server sent more in clear after it agreed to TLS"); /* T-01 */
			return;
		}
		rc = imap_reader_feed(c, &bytes);
		if (rc == OK) {
			imap_response(c);
			if (c->state != STATE_CLOSED)
				imap_reader_reset(&c->reader);
		} else if (rc == REFUSED) {
			imap_fail(c, "what the server sent is too long or not a line of IMAP");
		}
	}
}

/* ---- what the host sees ---- */

enum imap_client_want imap_client_want(const struct imap_client *c)
{
	switch (c->state) {
	case STATE_TALKING:
		return IMAP_CLIENT_WANT_INPUT;
	case STATE_TLS:
		return IMAP_CLIENT_WANT_TLS;
	case STATE_READY:
		return IMAP_CLIENT_WANT_COMMAND;
	case STATE_PIECE:
		return IMAP_CLIENT_WANT_PIECE;
	case STATE_RESULT:
		return IMAP_CLIENT_WANT_RESULT;
	case STATE_CLOSED:
		return IMAP_CLIENT_WANT_CLOSE;
	}
	return IMAP_CLIENT_WANT_CLOSE;
}

static uint32_t either(uint32_t ms, uint32_t seconds)
{
	return ms ? ms : seconds * 1000;
}

uint32_t imap_client_timeout_ms(const struct imap_client *c)
{
	const struct imap_client_times *t = &c->options.times;

	if (c->state == STATE_READY || c->state == STATE_RESULT || c->state == STATE_CLOSED)
		return 0;
	if (c->state == STATE_TLS)
		return either(t->tls_ms, 60);
	if (c->command == COMMAND_GREETING)
		return either(t->greeting_ms, 60);
	return c->idling ? either(t->idle_ms, 29 * 60) : either(t->command_ms, 180);
}

const struct imap_client_capabilities *imap_client_capabilities(const struct imap_client *c)
{
	return &c->caps;
}

const struct imap_client_selected *imap_client_selected(const struct imap_client *c)
{
	return &c->selected;
}

struct imap_client_space imap_client_space(const struct imap_client *c)
{
	return (struct imap_client_space){buf_span(&c->space), c->delimiter};
}

bool imap_client_is_idling(const struct imap_client *c)
{
	return c->idling;
}
