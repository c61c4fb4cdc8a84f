/*
 * AUTH (RFC 4954). The mechanisms are the host's: here are the command, the dialogue of base64 lines, its limits and its
 * end by "*". What a client says is kept until the host has answered, and wiped then (R7). Without TLS there is no AUTH
 * unless the service says so; a service without mechanisms has none at all (port 25).
 */
#include "smtp/server_internal.h"

#include "base/ascii.h"
#include "base/base64.h"

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

void server_sasl_wipe(struct smtp_server *s)
{
	wipe(&s->sasl_line);
	wipe(&s->sasl);
	s->auth = (struct smtp_auth){0};
}

/* The dialogue is over without the host's doing. */
static void give_up(struct smtp_server *s, unsigned code, const char *enhanced, const char *text)
{
	server_sasl_wipe(s);
	s->auth_ended = true;
	server_move(s, ST_READY);
	server_reply(s, code, enhanced, text);
}

/* In one piece, so that no copy stays behind in memory given back. */
static bool decode(struct smtp_server *s, struct span text)
{
	wipe(&s->sasl);
	buf_init(&s->sasl, SERVER_SASL_LINE);
	return base64_decode(&s->sasl, text);
}

static bool is_offered(const struct smtp_server *s, struct span name)
{
	struct span rest = s->service->auth;

	while (rest.n) {
		if (span_eq_nocase(span_cut(&rest, ' '), name))
			return name.n > 0;
	}
	return false;
}

static void begin(struct smtp_server *s, struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		s->mechanism[i] = ascii_upper(name.p[i]);
	s->auth.mechanism = span_of(s->mechanism, name.n);
	s->auth.response = buf_span(&s->sasl);
	server_move(s, ST_SASL);
	server_ask(s, SMTP_AUTH);
}

/* False: the reply was given. */
static bool may_begin(struct smtp_server *s)
{
	if (!s->service->auth.n)
		server_reply(
			s, 503, "5.5.1",
			"AUTH is not offered here; people's mail programs use the submission port");
	else if (s->state == ST_GREETED || !s->is_esmtp)
		server_reply(s, 503, "5.5.1", "Send EHLO first");
	else if (!s->is_tls && !s->service->auth_in_clear)
		server_reply(s, 538, "5.7.11", "Issue STARTTLS first: no login without encryption");
	else if (s->is_authenticated)
		server_reply(s, 503, "5.5.1", "You are logged in already");
	else if (s->state != ST_READY)
		server_reply(s, 503, "5.5.1", "Not in the middle of a message");
	else
		return true;
	return false;
}

void server_on_auth(struct smtp_server *s, struct span args)
{
	struct span rest = span_trim(args), name = span_cut(&rest, ' ');

	if (!may_begin(s))
		return;
	rest = span_trim(rest);
	if (name.n == 0 || span_chr(rest, ' ') >= 0) {
		server_reply(s, 501, "5.5.4",
			     "Write AUTH and a mechanism, and its initial response");
		return;
	}
	if (name.n > SERVER_MECHANISM_LIMIT || !is_offered(s, name)) {
		server_reply(s, 504, "5.5.4",
			     "This mechanism is not offered; EHLO shows which are");
		return;
	}
	s->auth.has_response = rest.n > 0;
	if (span_eq(rest, SPAN_LIT("="))) /* an empty one: RFC 4954 s4 */
		rest = SPAN_NONE;
	if (!decode(s, rest)) {
		server_sasl_wipe(s);
		server_reply(s, 501, "5.5.2", "The initial response is not base64");
		return;
	}
	begin(s, name);
}

static void on_response(struct smtp_server *s, struct span line)
{
	if (span_eq(line, SPAN_LIT("*"))) {
		give_up(s, 501, "5.7.0", "The login was given up, as you asked");
	} else if (!decode(s, line)) {
		give_up(s, 501, "5.5.2", "The response is not base64; the login is given up");
	} else {
		s->auth.has_response = true;
		s->auth.response = buf_span(&s->sasl);
		server_ask(s, SMTP_SASL);
	}
}

static void finish_line(struct smtp_server *s)
{
	struct span line = buf_span(&s->sasl_line);

	if (s->line_is_overlong) {
		s->line_is_overlong = false;
		s->overlong_n = 0;
		give_up(s, 500, "5.5.6", "The line is too long for a login; it is given up");
	} else if (line.n < 2 || line.p[line.n - 2] != '\r') {
		server_reply(s, 521, "5.5.2",
			     "Lines must end in CR LF; this one ended in a bare LF; closing");
	} else {
		on_response(s, span_first(line, line.n - 2));
	}
	if (s->sasl_line.p)
		explicit_bzero(s->sasl_line.p, s->sasl_line.n);
	buf_clear(&s->sasl_line);
}

void server_sasl_take(struct smtp_server *s, struct span *in)
{
	ssize_t lf = span_chr(*in, '\n');
	struct span part = lf < 0 ? *in : span_first(*in, (size_t)lf + 1);

	*in = span_from(*in, part.n);
	if (s->sasl_line.cap == 0) {
		buf_init(&s->sasl_line, SERVER_SASL_LINE);
		s->line_is_overlong = !buf_reserve(&s->sasl_line, SERVER_SASL_LINE);
	}
	if (s->line_is_overlong || !buf_append(&s->sasl_line, part)) {
		s->line_is_overlong = true;
		s->overlong_n += part.n;
	}
	if (lf >= 0)
		finish_line(s);
	else if (s->overlong_n > SERVER_OVERLONG_LIMIT)
		server_reply(s, 521, "5.5.6", "Line far too long; closing");
}

void smtp_server_challenge(struct smtp_server *s, struct span challenge)
{
	if (s->asked != SMTP_AUTH && s->asked != SMTP_SASL)
		return;
	s->asked = SMTP_FEED;
	(void)buf_append(&s->out, SPAN_LIT("334 "));
	base64_encode(&s->out, span_first(challenge, SERVER_SASL_LINE / 2));
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	if (s->sasl.p)
		explicit_bzero(s->sasl.p, s->sasl.n);
	buf_clear(&s->sasl);
	s->auth.response = SPAN_NONE;
	server_arm(s, s->service->limits.command_us);
}

void server_sasl_answer(struct smtp_server *s, const struct smtp_reply *reply)
{
	server_sasl_wipe(s);
	s->is_authenticated = reply->code == 235;
	server_move(s, ST_READY);
	server_reply_span(s, reply);
}

const struct smtp_auth *smtp_server_auth(const struct smtp_server *s)
{
	return &s->auth;
}
