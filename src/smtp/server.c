/*
 * The server engine's frame: life, states, the step, command lines and their table. The commands
 * themselves stand in server_session.c, server_mail.c, server_data.c.
 */
#include "smtp/server_internal.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

/* ---- states ---- */

static const unsigned may_follow[] = {
	[ST_CONNECTED] = BIT(ST_GREETED) | BIT(ST_GONE),
	[ST_GREETED] = BIT(ST_READY) | BIT(ST_GONE),
	[ST_READY] = BIT(ST_READY) | BIT(ST_SASL) | BIT(ST_MAIL) | BIT(ST_TLS) | BIT(ST_GONE),
	[ST_SASL] = BIT(ST_READY) | BIT(ST_GONE),
	[ST_MAIL] = BIT(ST_READY) | BIT(ST_RCPT) | BIT(ST_TLS) | BIT(ST_GONE),
	[ST_RCPT] = BIT(ST_READY) | BIT(ST_RCPT) | BIT(ST_DATA) | BIT(ST_TLS) | BIT(ST_GONE),
	[ST_DATA] = BIT(ST_READY) | BIT(ST_STORE) | BIT(ST_GONE),
	[ST_STORE] = BIT(ST_READY) | BIT(ST_GONE),
	[ST_TLS] = BIT(ST_GREETED) | BIT(ST_GONE),
	[ST_GONE] = BIT(ST_GONE),
};

void server_move(struct smtp_server *s, enum server_state next)
{
	must(may_follow[s->state] & BIT(next));
	s->state = next;
	if (next == ST_GONE) {
		s->deadline_us = 0;
		s->asked = SMTP_FEED;
	}
}

void server_arm(struct smtp_server *s, uint64_t after_us)
{
	s->deadline_us = s->state == ST_GONE ? 0 : s->now_us + after_us;
}

void server_ask(struct smtp_server *s, enum smtp_step question)
{
	s->asked = question;
	s->deadline_us = 0;
}

void server_reset(struct smtp_server *s)
{
	arena_reset(&s->arena);
	s->envelope = (struct smtp_envelope){0};
	s->asked_rcpt = (struct smtp_rcpt){0};
	s->rcpts_cap = 0;
	s->rcpts_tried = 0;
}

struct smtp_server *smtp_server_new(const struct smtp_service *service)
{
	enum {
		RCPT_MEMORY = ADDRESS_TEXT_BYTES + SERVER_ORCPT_LIMIT + 4 * sizeof(struct smtp_rcpt)
	};
	size_t memory = (64 << 10) + (size_t)service->limits.recipients * RCPT_MEMORY;
	struct smtp_server *s = must_alloc(sizeof *s);

	must(service->limits.recipients > 0 && service->limits.errors > 0);
	s->service = service;
	s->asked = SMTP_FEED;
	buf_init(&s->out, SERVER_OUT_LIMIT);
	arena_init(&s->arena, memory < SERVER_ENVELOPE_LIMIT ? memory : SERVER_ENVELOPE_LIMIT);
	return s;
}

void smtp_server_free(struct smtp_server *s)
{
	if (!s)
		return;
	server_sasl_wipe(s);
	arena_fini(&s->arena);
	buf_fini(&s->out);
	free(s);
}

void smtp_server_serve(struct smtp_server *s, const struct smtp_service *service)
{
	s->service = service;
}

static void refuse_early_talker(struct smtp_server *s)
{
	server_reply(s, 554, "5.5.1", "You spoke before the greeting (RFC 5321 4.3.1); closing");
	server_move(s, ST_GONE);
}

void smtp_server_greet(struct smtp_server *s, bool has_spoken)
{
	if (s->state != ST_CONNECTED)
		return;
	if (has_spoken) {
		refuse_early_talker(s);
		return;
	}
	(void)buf_append(&s->out, SPAN_LIT("220 "));
	(void)buf_append(&s->out, span_first(s->service->node, SERVER_HELO_LIMIT));
	(void)buf_append(&s->out, SPAN_LIT(" ESMTP Holdfast\r\n"));
	server_move(s, ST_GREETED);
	server_arm(s, s->service->limits.command_us);
}

void smtp_server_is_secure(struct smtp_server *s)
{
	must(s->state == ST_CONNECTED);
	s->is_tls = true;
}

void smtp_server_is_known(struct smtp_server *s)
{
	must(s->state == ST_CONNECTED);
	s->is_authenticated = true;
}

/* ---- the table of commands ---- */

enum {
	LEGAL_GREETED = BIT(ST_GREETED) | BIT(ST_READY) | BIT(ST_MAIL) | BIT(ST_RCPT),
};

/* What may stand behind the command in the same group (RFC 2920 s3.1). */
enum pipelining {
	PIPE_FREE, /* anything */
	PIPE_LAST, /* nothing: when it is refused and something does, the session ends (R1) */
};

static const struct command {
	const char *verb;
	unsigned legal;
	size_t line_limit;
	enum pipelining pipelining;
	void (*run)(struct smtp_server *s, struct span args);
} commands[] = {
	{"MAIL", BIT(ST_READY), SERVER_MAIL_LINE, PIPE_FREE, server_on_mail},
	{"RCPT", BIT(ST_MAIL) | BIT(ST_RCPT), SERVER_RCPT_LINE, PIPE_FREE, server_on_rcpt},
	{"DATA", BIT(ST_RCPT), SERVER_COMMAND_LINE, PIPE_LAST, server_on_data},
	{"EHLO", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_ehlo},
	{"HELO", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_helo},
	{"QUIT", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_quit},
	{"RSET", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_rset},
	{"NOOP", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_noop},
	{"STARTTLS", BIT(ST_READY) | BIT(ST_MAIL) | BIT(ST_RCPT), SERVER_COMMAND_LINE, PIPE_LAST,
	 server_on_starttls},
	{"VRFY", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_vrfy},
	{"EXPN", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_expn},
	{"HELP", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_FREE, server_on_help},
	{"AUTH", LEGAL_GREETED, SERVER_LINE_LIMIT, PIPE_FREE, server_on_auth},
	{"BDAT", LEGAL_GREETED, SERVER_COMMAND_LINE, PIPE_LAST, server_on_bdat},
};

static const struct command *find_command(struct span verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (span_eq_nocase(verb, span_str(commands[i].verb)))
			return &commands[i];
	}
	return NULL;
}

static void out_of_order(struct smtp_server *s, const struct command *command)
{
	if (s->state == ST_GREETED)
		server_reply(s, 503, "5.5.1", "Send EHLO or HELO first");
	else if (command->run == server_on_mail)
		server_reply(s, 503, "5.5.1", "A sender was given already; RSET begins anew");
	else if (command->run == server_on_rcpt)
		server_reply(s, 503, "5.5.1", "Send MAIL first");
	else if (command->run == server_on_data && s->rcpts_tried)
		server_reply(s, 554, "5.5.1", "No recipient was accepted");
	else
		server_reply(s, 503, "5.5.1", "Send MAIL and RCPT first");
}

static void not_known(struct smtp_server *s)
{
	/* Most likely a message whose DATA was refused: its lines must not be tried as commands one
	 * by one. */
	if (s->after_refused_data)
		server_reply(s, 521, "5.5.1", "Not a command, after one that was refused; closing");
	else
		server_reply(s, 500, "5.5.2", "Command not known; EHLO shows what is offered");
}

/* Control characters have no place in a command; a NUL in an address is an old trick to fool the
 * relay check. */
static bool has_control(struct span line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] < 32 || line.p[i] == 127)
			return true;
	}
	return false;
}

static void refuse_control(struct smtp_server *s, const struct command *command)
{
	if (command && command->run == server_on_rcpt) {
		s->rcpts_tried++;
		server_reply(s, 550, "5.7.1",
			     "The recipient has a control character in it: not relayed");
	} else {
		server_reply(s, 501, "5.5.2", "The command has a control character in it");
	}
}

/* A command that had to be the last of its group was refused: what was sent with it must not be
 * read as commands. */
static void after_refusal(struct smtp_server *s)
{
	s->after_refused_data = true;
	if (s->has_more && s->state != ST_TLS)
		server_reply(s, 521, "5.5.1",
			     "More was sent before the command was answered, and it was refused; "
			     "closing");
}

static void run_line(struct smtp_server *s, struct span line)
{
	ssize_t blank = span_chr(line, ' ');
	struct span verb = span_first(line, blank < 0 ? line.n : (size_t)blank);
	struct span args = blank < 0 ? SPAN_NONE : span_from(line, (size_t)blank + 1);
	const struct command *command = find_command(verb);

	if (!command)
		not_known(s);
	else if (line.n + 2 > command->line_limit)
		server_reply(s, 500, "5.5.2", "Line too long");
	else if (has_control(line))
		refuse_control(s, command);
	else if (!(command->legal & BIT(s->state)))
		out_of_order(s, command);
	else
		command->run(s, args);
	s->after_refused_data = false;
	if (command && command->pipelining == PIPE_LAST && s->asked == SMTP_FEED)
		after_refusal(s);
}

/* ---- lines ---- */

static void add_to_line(struct smtp_server *s, struct span part)
{
	if (s->line_is_overlong || part.n > sizeof s->line - s->line_n) {
		s->line_is_overlong = true;
		s->overlong_n += part.n;
		return;
	}
	memcpy(s->line + s->line_n, part.p, part.n);
	s->line_n += part.n;
}

/* A whole line with its LF, from the input itself where it lies there in one piece. */
static void finish_line(struct smtp_server *s, struct span part)
{
	struct span line = part;

	if (s->line_n || s->line_is_overlong || part.n > sizeof s->line) {
		add_to_line(s, part);
		line = span_of(s->line, s->line_n);
	}
	s->line_n = 0;
	if (s->line_is_overlong) {
		s->line_is_overlong = false;
		s->overlong_n = 0;
		server_reply(s, 500, "5.5.2", "Line too long");
	} else if (line.n < 2 || line.p[line.n - 2] != '\r') {
		server_reply(s, 521, "5.5.2",
			     "Lines must end in CR LF; this one ended in a bare LF; closing");
	} else {
		run_line(s, span_first(line, line.n - 2));
	}
	if (line.p == s->line)
		explicit_bzero(s->line, line.n); /* R7 */
}

static void take_line(struct smtp_server *s, struct span *in)
{
	ssize_t lf = span_chr(*in, '\n');
	struct span part = lf < 0 ? *in : span_first(*in, (size_t)lf + 1);

	*in = span_from(*in, part.n);
	s->has_more = in->n > 0;
	if (lf >= 0)
		finish_line(s, part);
	else
		add_to_line(s, part);
	if (s->overlong_n > SERVER_OVERLONG_LIMIT)
		server_reply(s, 521, "5.5.2", "Line far too long; closing");
}

/* ---- the step ---- */

/* What is to be said of the state before any more input is looked at; SMTP_FEED: nothing. */
static enum smtp_step standing(struct smtp_server *s, struct span *in)
{
	if (s->state == ST_CONNECTED && in->n)
		refuse_early_talker(s);
	if (s->state == ST_GONE) {
		*in = span_from(*in, in->n);
		return SMTP_CLOSE;
	}
	if (s->state == ST_TLS) {
		*in = span_from(*in, in->n);
		if (!s->tls_said) {
			s->tls_said = true;
			return SMTP_TLS;
		}
		return SMTP_FEED;
	}
	if (s->auth_ended) {
		s->auth_ended = false;
		return SMTP_AUTH_END;
	}
	if (s->asked != SMTP_FEED)
		return SMTP_WAIT;
	return s->out.n >= SERVER_OUT_FLUSH ? SMTP_FLUSH : SMTP_FEED;
}

enum smtp_step smtp_server_step(struct smtp_server *s, struct span *in, struct span *out_piece)
{
	for (;;) {
		enum smtp_step step = standing(s, in);

		if (step != SMTP_FEED || in->n == 0)
			return step;
		if (s->state == ST_DATA) {
			step = server_data_step(s, in, out_piece);
			if (step != SMTP_FEED)
				return step;
			continue;
		}
		if (s->state == ST_SASL)
			server_sasl_take(s, in);
		else
			take_line(s, in);
		if (s->asked != SMTP_FEED)
			return s->asked;
	}
}

static void answer_mail(struct smtp_server *s, const struct smtp_reply *reply)
{
	if (reply->code < 300)
		server_move(s, ST_MAIL);
	else
		server_reset(s);
	server_reply_span(s, reply);
}

static void answer_rcpt(struct smtp_server *s, const struct smtp_reply *reply, uint64_t tag)
{
	s->rcpts_tried++;
	if (reply->code >= 300) {
		server_reply_span(s, reply);
	} else if (server_keep_rcpt(s, tag)) {
		server_move(s, ST_RCPT);
		server_reply_span(s, reply);
	} else {
		server_reply(s, 452, "4.5.3",
			     "Too many recipients; send the rest in another transaction");
	}
}

static void answer_data(struct smtp_server *s, const struct smtp_reply *reply)
{
	server_reply_span(s, reply);
	if (reply->code == 354 && s->state != ST_GONE) {
		server_move(s, ST_DATA);
		server_data_begin(s);
		return;
	}
	if (s->state == ST_GONE)
		return;
	server_reset(s);
	server_move(s, ST_READY);
	after_refusal(s);
}

static void end_of_message(struct smtp_server *s)
{
	server_reset(s);
	if (s->state == ST_GONE)
		return;
	server_move(s, ST_READY);
	s->idle_commands = 0;
	if (s->winds_down)
		server_reply(s, 421, "4.3.2", "Shutting down; try again in a minute");
}

void smtp_server_answer(struct smtp_server *s, const struct smtp_reply *reply, uint64_t tag)
{
	enum smtp_step asked = s->asked;

	s->asked = SMTP_FEED;
	if (asked == SMTP_AUTH || asked == SMTP_SASL) {
		server_sasl_answer(s, reply);
	} else if (asked == SMTP_MAIL) {
		answer_mail(s, reply);
	} else if (asked == SMTP_RCPT) {
		answer_rcpt(s, reply, tag);
	} else if (asked == SMTP_DATA) {
		answer_data(s, reply);
	} else if (asked == SMTP_STORE) {
		server_reply_span(s, reply);
		end_of_message(s);
	}
}

bool smtp_server_is_asking(const struct smtp_server *s)
{
	return s->asked != SMTP_FEED;
}

const struct smtp_rcpt *smtp_server_asked(const struct smtp_server *s)
{
	return &s->asked_rcpt;
}

const struct smtp_envelope *smtp_server_envelope(const struct smtp_server *s)
{
	return &s->envelope;
}

/* ---- time and end ---- */

void smtp_server_tick(struct smtp_server *s, uint64_t now_us)
{
	s->now_us = now_us;
	if (s->deadline_us == 0 || now_us < s->deadline_us)
		return;
	if (s->state == ST_DATA && s->data_faults != 0) {
		server_data_refuse(s);
		if (s->state == ST_GONE)
			return;
		server_move(s, ST_GONE);
		return;
	}
	server_reply(s, 421, "4.4.2", "Timed out waiting for you; closing");
}

uint64_t smtp_server_deadline(const struct smtp_server *s)
{
	return s->deadline_us;
}

void smtp_server_secured(struct smtp_server *s)
{
	if (s->state != ST_TLS)
		return;
	server_reset(s);
	buf_clear(&s->out);
	s->helo_n = 0;
	s->is_esmtp = false;
	s->is_authenticated = false;
	s->is_tls = true;
	s->line_n = 0;
	s->line_is_overlong = false;
	s->overlong_n = 0;
	s->after_refused_data = false;
	server_move(s, ST_GREETED);
	server_arm(s, s->service->limits.command_us);
}

void smtp_server_end(struct smtp_server *s, const struct smtp_reply *reply)
{
	if (s->state == ST_GONE)
		return;
	if (s->state != ST_TLS)
		server_reply_span(s, reply);
	server_move(s, ST_GONE);
}

void smtp_server_wind_down(struct smtp_server *s)
{
	static const struct smtp_reply reply = {
		421, "4.3.2", {(const unsigned char *)"Shutting down; try again in a minute", 36}};

	s->winds_down = true;
	if (!smtp_server_is_receiving(s))
		smtp_server_end(s, &reply);
}

struct span smtp_server_helo(const struct smtp_server *s)
{
	return span_of(s->helo, s->helo_n);
}

bool smtp_server_is_esmtp(const struct smtp_server *s)
{
	return s->is_esmtp;
}

bool smtp_server_is_receiving(const struct smtp_server *s)
{
	return s->state == ST_DATA || s->state == ST_STORE;
}
