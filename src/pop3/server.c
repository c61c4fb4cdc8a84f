/* The POP3 engine's frame: life, states, the step, command lines and their table, replies. */
#include "pop3/server_internal.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

/* ---- states ---- */

static const unsigned may_follow[] = {
	[ST_CONNECTED] = BIT(ST_AUTHORIZATION) | BIT(ST_GONE),
	[ST_AUTHORIZATION] = BIT(ST_AUTHORIZATION) | BIT(ST_SASL) | BIT(ST_TLS) |
			     BIT(ST_TRANSACTION) | BIT(ST_GONE),
	[ST_SASL] = BIT(ST_AUTHORIZATION) | BIT(ST_SASL) | BIT(ST_TRANSACTION) | BIT(ST_GONE),
	[ST_TLS] = BIT(ST_AUTHORIZATION) | BIT(ST_GONE),
	[ST_TRANSACTION] = BIT(ST_UPDATE) | BIT(ST_GONE),
	[ST_UPDATE] = BIT(ST_GONE),
	[ST_GONE] = BIT(ST_GONE),
};

void pop3_move(struct pop3_server *s, enum pop3_state next)
{
	must(may_follow[s->state] & BIT(next));
	s->state = next;
	if (next == ST_GONE) {
		s->deadline_us = 0;
		s->asked = POP3_FEED;
		pop3_end_job(s);
	}
}

void pop3_ask(struct pop3_server *s, enum pop3_step question)
{
	s->asked = question;
	s->question_said = false;
	s->deadline_us = 0;
}

/* It is the client's turn. The time for a login is one for all its commands (S-25). */
void pop3_arm(struct pop3_server *s)
{
	const struct pop3_limits *l = &s->service->limits;

	if (s->state == ST_GONE)
		s->deadline_us = 0;
	else if (s->state == ST_TRANSACTION)
		s->deadline_us = s->now_us + l->idle_us;
	else
		s->deadline_us = s->login_until_us;
}

struct pop3_server *pop3_server_new(const struct pop3_service *service, bool is_tls, bool is_secure)
{
	struct pop3_server *s = must_alloc(sizeof *s);

	must(service->limits.errors > 0 && service->limits.messages > 0);
	s->service = service;
	s->is_tls = is_tls;
	s->is_secure = is_secure || is_tls;
	s->asked = POP3_FEED;
	buf_init(&s->line, POP3_SASL_LINE_LIMIT);
	buf_init(&s->user, POP3_USER_LIMIT);
	buf_init(&s->sasl, POP3_SASL_LINE_LIMIT);
	return s;
}

void pop3_server_free(struct pop3_server *s)
{
	if (!s)
		return;
	pop3_end_job(s);
	pop3_forget_login(s);
	pop3_drop_free(s);
	buf_fini(&s->out);
	if (s->line.p)
		explicit_bzero(s->line.p, s->line.cap);
	buf_fini(&s->line);
	free(s);
}

void pop3_server_serve(struct pop3_server *s, const struct pop3_service *service)
{
	s->service = service;
}

void pop3_server_greet(struct pop3_server *s)
{
	if (s->state != ST_CONNECTED)
		return;
	(void)buf_append(&s->out, SPAN_LIT("+OK "));
	(void)buf_append(&s->out, span_first(s->service->node, 255));
	(void)buf_append(&s->out, SPAN_LIT(" Holdfast POP3\r\n"));
	pop3_move(s, ST_AUTHORIZATION);
	s->login_until_us = s->now_us + s->service->limits.login_us;
	pop3_arm(s);
}

/* ---- replies ---- */

void pop3_ok(struct pop3_server *s, const char *text)
{
	(void)buf_append(&s->out, SPAN_LIT("+OK"));
	if (*text)
		(void)buf_append_byte(&s->out, ' ');
	(void)buf_append(&s->out, span_str(text));
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	pop3_arm(s);
}

void pop3_err_span(struct pop3_server *s, const char *status, struct span text, bool counts)
{
	enum { TEXT_LIMIT = 400 };
	size_t from;

	if (s->state == ST_GONE)
		return;
	(void)buf_append(&s->out, span_str(status));
	(void)buf_append_byte(&s->out, ' ');
	from = s->out.n;
	(void)buf_append(&s->out, span_first(text, TEXT_LIMIT));
	for (size_t i = from; i < s->out.n; i++) {
		if (s->out.p[i] < 32 || s->out.p[i] == 127)
			s->out.p[i] = '?';
	}
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	pop3_arm(s);
	if (!counts || ++s->errors < s->service->limits.errors)
		return;
	(void)buf_append(&s->out, SPAN_LIT("-ERR Too many errors in this session; closing it\r\n"));
	pop3_move(s, ST_GONE);
}

void pop3_err(struct pop3_server *s, const char *status, const char *text, bool counts)
{
	pop3_err_span(s, status, span_str(text), counts);
}

struct span pop3_server_output(const struct pop3_server *s)
{
	return buf_span(&s->out);
}

void pop3_server_sent(struct pop3_server *s)
{
	if (s->job == JOB_NONE && s->out.cap > POP3_OUT_KEEP)
		buf_fini(&s->out);
	else
		buf_clear(&s->out);
}

static void end_with(struct pop3_server *s, const char *status, const char *text)
{
	pop3_err(s, status, text, false);
	if (s->state != ST_GONE)
		pop3_move(s, ST_GONE);
}

/* ---- the table of commands ---- */

static void on_noop(struct pop3_server *s, struct span args)
{
	(void)args;
	pop3_ok(s, "");
}

static void on_quit(struct pop3_server *s, struct span args)
{
	(void)args;
	if (s->state == ST_TRANSACTION) {
		pop3_move(s, ST_UPDATE);
		pop3_update_begin(s);
		return;
	}
	pop3_ok(s, "Bye");
	pop3_move(s, ST_GONE);
}

static const struct command {
	const char *verb;
	unsigned legal;
	unsigned line_limit;
	bool has_args, needs_args; /* may, must */
	void (*run)(struct pop3_server *s, struct span args);
} commands[] = {
	{"CAPA", BIT(ST_AUTHORIZATION) | BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 0, 0, pop3_on_capa},
	{"USER", BIT(ST_AUTHORIZATION), POP3_PASS_LINE_LIMIT, 1, 1, pop3_on_user},
	{"PASS", BIT(ST_AUTHORIZATION), POP3_PASS_LINE_LIMIT, 1, 1, pop3_on_pass},
	{"AUTH", BIT(ST_AUTHORIZATION), POP3_SASL_LINE_LIMIT, 1, 0, pop3_on_auth},
	{"APOP", BIT(ST_AUTHORIZATION), POP3_LINE_LIMIT, 1, 0, pop3_on_apop},
	{"STLS", BIT(ST_AUTHORIZATION), POP3_LINE_LIMIT, 0, 0, pop3_on_stls},
	{"UTF8", BIT(ST_AUTHORIZATION), POP3_LINE_LIMIT, 0, 0, pop3_on_utf8},
	{"QUIT", BIT(ST_AUTHORIZATION) | BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 0, 0, on_quit},
	{"STAT", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 0, 0, pop3_on_stat},
	{"LIST", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 1, 0, pop3_on_list},
	{"UIDL", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 1, 0, pop3_on_uidl},
	{"RETR", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 1, 1, pop3_on_retr},
	{"TOP", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 1, 1, pop3_on_top},
	{"DELE", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 1, 1, pop3_on_dele},
	{"RSET", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 0, 0, pop3_on_rset},
	{"NOOP", BIT(ST_TRANSACTION), POP3_LINE_LIMIT, 0, 0, on_noop},
};

static const struct command *find_command(struct span verb)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (span_eq_nocase(verb, span_str(commands[i].verb)))
			return &commands[i];
	}
	return NULL;
}

static bool has_control(struct span line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] < 32 || line.p[i] == 127)
			return true;
	}
	return false;
}

static void run_line(struct pop3_server *s, struct span line)
{
	ssize_t blank = span_chr(line, ' ');
	struct span verb = span_first(line, blank < 0 ? line.n : (size_t)blank);
	struct span args = blank < 0 ? SPAN_NONE : span_from(line, (size_t)blank + 1);
	const struct command *command = find_command(verb);

	if (!command)
		pop3_err(s, "-ERR", "Command not known; CAPA shows what is offered", true);
	else if (line.n + 2 > command->line_limit)
		pop3_err(s, "-ERR", "Line too long", true);
	else if (has_control(line))
		pop3_err(s, "-ERR", "The command has a control character in it", true);
	else if (!(command->legal & BIT(s->state)))
		pop3_err(s, "-ERR",
			 s->state == ST_TRANSACTION ? "You are logged in already" : "Log in first",
			 true);
	else if (command->needs_args && args.n == 0)
		pop3_err(s, "-ERR", "The command needs an argument", true);
	else if (!command->has_args && args.n)
		pop3_err(s, "-ERR", "The command takes no argument", true);
	else
		command->run(s, args);
}

/* ---- lines ---- */

static void run_whole_line(struct pop3_server *s, struct span line)
{
	if (line.n < 2 || line.p[line.n - 2] != '\r') {
		end_with(s, "-ERR",
			 "Lines must end in CR LF; this one ended in a bare LF; closing");
		return;
	}
	line = span_first(line, line.n - 2);
	if (s->state == ST_SASL)
		pop3_sasl_line(s, line);
	else
		run_line(s, line);
}

static void add_to_line(struct pop3_server *s, struct span part)
{
	if (!s->line_is_overlong && buf_append(&s->line, part))
		return;
	s->line_is_overlong = true;
	s->overlong_n += part.n;
}

static void clear_line(struct pop3_server *s)
{
	if (s->line.p)
		explicit_bzero(s->line.p, s->line.cap); /* a password may have been in it */
	buf_fini(&s->line);
	buf_init(&s->line, POP3_SASL_LINE_LIMIT);
	s->line_is_overlong = false;
	s->overlong_n = 0;
}

static void finish_line(struct pop3_server *s, struct span part)
{
	if (s->line.n == 0 && !s->line_is_overlong && part.n <= POP3_SASL_LINE_LIMIT) {
		run_whole_line(s, part); /* it lies in the input in one piece */
		return;
	}
	add_to_line(s, part);
	if (s->line_is_overlong)
		pop3_err(s, "-ERR", "Line too long", true);
	else
		run_whole_line(s, buf_span(&s->line));
	clear_line(s);
}

static void take_line(struct pop3_server *s, struct span *in)
{
	ssize_t lf = span_chr(*in, '\n');
	struct span part = lf < 0 ? *in : span_first(*in, (size_t)lf + 1);

	*in = span_from(*in, part.n);
	if (lf >= 0)
		finish_line(s, part);
	else
		add_to_line(s, part);
	if (s->overlong_n > POP3_OVERLONG_LIMIT && s->state != ST_GONE)
		end_with(s, "-ERR", "Line far too long; closing");
}

/* ---- the step ---- */

/* Once; then it is waited for. A login that was given up waits for nothing. */
static enum pop3_step say_question(struct pop3_server *s)
{
	enum pop3_step asked = s->asked;

	if (s->question_said)
		return POP3_WAIT;
	s->question_said = true;
	if (asked == POP3_CANCEL)
		s->asked = POP3_FEED;
	return asked;
}

/* What is to be said of the state before any more input is looked at; POP3_FEED: nothing. */
static enum pop3_step standing(struct pop3_server *s, struct span *in)
{
	if (s->state == ST_GONE) {
		*in = span_from(*in, in->n);
		return POP3_CLOSE;
	}
	if (s->state == ST_TLS) {
		*in = span_from(*in, in->n);
		if (s->tls_said)
			return POP3_FEED;
		s->tls_said = true;
		return POP3_TLS;
	}
	if (s->asked != POP3_FEED)
		return say_question(s);
	if (s->job != JOB_NONE) {
		pop3_work(s);
		return POP3_FLUSH;
	}
	return s->out.n >= POP3_OUT_FLUSH ? POP3_FLUSH : POP3_FEED;
}

enum pop3_step pop3_server_step(struct pop3_server *s, struct span *in)
{
	for (;;) {
		enum pop3_step step = standing(s, in);

		if (step != POP3_FEED || in->n == 0)
			return step;
		if (s->state == ST_TLS) /* the rest is in clear text: gone */
			return POP3_FEED;
		take_line(s, in);
	}
}

bool pop3_server_is_asking(const struct pop3_server *s)
{
	return s->asked != POP3_FEED;
}

const struct mail_act *pop3_server_act(const struct pop3_server *s)
{
	return &s->act;
}

/* ---- time and end ---- */

void pop3_server_tick(struct pop3_server *s, uint64_t now_us)
{
	s->now_us = now_us;
	if (s->deadline_us == 0 || now_us < s->deadline_us || s->job != JOB_NONE)
		return;
	end_with(s, "-ERR", "Timed out waiting for you; closing");
}

uint64_t pop3_server_deadline(const struct pop3_server *s)
{
	return s->job == JOB_NONE ? s->deadline_us : 0;
}

void pop3_server_secured(struct pop3_server *s)
{
	must(s->state == ST_TLS || s->state == ST_CONNECTED || s->state == ST_AUTHORIZATION);
	s->is_tls = s->is_secure = true;
	s->tls_said = false;
	clear_line(s);
	pop3_forget_login(s);
	if (s->state == ST_TLS)
		pop3_move(s, ST_AUTHORIZATION);
	pop3_arm(s);
}

void pop3_server_end(struct pop3_server *s, struct span text, bool is_hard)
{
	if (s->state == ST_GONE)
		return;
	if (s->state == ST_UPDATE && !is_hard) /* it ends by itself */
		return;
	if (s->job == JOB_NONE)
		pop3_err_span(s, "-ERR [SYS/TEMP]", text, false);
	pop3_move(s, ST_GONE);
}

bool pop3_server_is_logged_in(const struct pop3_server *s)
{
	return s->state == ST_TRANSACTION || s->state == ST_UPDATE;
}
