/* The commands that are about the session: EHLO HELO NOOP RSET VRFY EXPN HELP QUIT STARTTLS, and
 * BDAT, which is not offered. */
#include "smtp/server_internal.h"

#include <stdio.h>

#include "base/ascii.h"

/* A name or literal: not checked further, because many senders give what their machine is called.
 * */
static bool helo_is_good(struct span name)
{
	if (name.n == 0 || name.n > SERVER_HELO_LIMIT)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_is_graph(name.p[i]))
			return false;
	}
	return true;
}

static bool take_helo(struct smtp_server *s, struct span args)
{
	args = span_trim(args);
	if (!helo_is_good(args)) {
		server_reply(
			s, 501, "5.5.4",
			"Give your host's name after the command, in ASCII and without blanks");
		return false;
	}
	memcpy(s->helo, args.p, args.n);
	s->helo_n = args.n;
	server_reset(s);
	server_move(s, ST_READY);
	server_count_idle(s);
	return s->state != ST_GONE;
}

static void greet_line(struct smtp_server *s, bool is_last)
{
	char text[SERVER_COMMAND_LINE];
	int n = snprintf(text, sizeof text, "%.*s greets %.*s",
			 (int)(s->service->node.n < 200 ? s->service->node.n : 200),
			 (const char *)s->service->node.p, (int)s->helo_n, (const char *)s->helo);

	server_line(s, span_of(text, (size_t)n), is_last, 250);
}

void server_on_helo(struct smtp_server *s, struct span args)
{
	if (!take_helo(s, args))
		return;
	s->is_esmtp = false;
	greet_line(s, true);
	server_arm(s, s->service->limits.command_us);
}

void server_on_ehlo(struct smtp_server *s, struct span args)
{
	char size[128];
	int n = snprintf(size, sizeof size, "SIZE %llu",
			 (unsigned long long)s->service->limits.message_bytes);

	if (!take_helo(s, args))
		return;
	s->is_esmtp = true;
	greet_line(s, false);
	server_line(s, SPAN_LIT("PIPELINING"), false, 250);
	server_line(s, span_of(size, (size_t)n), false, 250);
	server_line(s, SPAN_LIT("8BITMIME"), false, 250);
	if (!s->service->hides_smtputf8)
		server_line(s, SPAN_LIT("SMTPUTF8"), false, 250);
	server_line(s, SPAN_LIT("DSN"), false, 250);
	if (s->service->has_tls && !s->is_tls)
		server_line(s, SPAN_LIT("STARTTLS"), false, 250);
	if (s->service->auth.n && (s->is_tls || s->service->auth_in_clear)) {
		n = snprintf(size, sizeof size, "AUTH %.*s", (int)(s->service->auth.n),
			     (const char *)s->service->auth.p);
		server_line(s, span_of(size, (size_t)n < sizeof size ? (size_t)n : sizeof size - 1),
			    false, 250);
	}
	server_line(s, SPAN_LIT("ENHANCEDSTATUSCODES"), true, 250);
	server_arm(s, s->service->limits.command_us);
}

void server_on_noop(struct smtp_server *s, struct span args)
{
	(void)args;
	server_reply(s, 250, "2.0.0", "Ok");
	server_count_idle(s);
}

void server_on_rset(struct smtp_server *s, struct span args)
{
	if (args.n) {
		server_reply(s, 501, "5.5.4", "RSET takes no argument");
		return;
	}
	server_reset(s);
	if (s->state != ST_GREETED)
		server_move(s, ST_READY);
	server_reply(s, 250, "2.0.0", "Ok");
	server_count_idle(s);
}

void server_on_vrfy(struct smtp_server *s, struct span args)
{
	if (args.n == 0) {
		server_reply(s, 501, "5.5.4", "VRFY needs an address");
		return;
	}
	server_reply(s, 252, "2.1.5", "Addresses are not verified here; send the message and see");
	server_count_idle(s);
}

void server_on_expn(struct smtp_server *s, struct span args)
{
	(void)args;
	server_reply(s, 502, "5.5.1", "EXPN is not offered here");
}

void server_on_help(struct smtp_server *s, struct span args)
{
	(void)args;
	server_line(s,
		    SPAN_LIT("2.0.0 This is a continuity mail server (Holdfast) for domains whose "
			     "own may be away."),
		    false, 214);
	server_line(s, SPAN_LIT("2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT STARTTLS"),
		    true, 214);
	server_arm(s, s->service->limits.command_us);
	server_count_idle(s);
}

void server_on_quit(struct smtp_server *s, struct span args)
{
	if (args.n) {
		server_reply(s, 501, "5.5.4", "QUIT takes no argument");
		return;
	}
	server_reset(s);
	server_reply(s, 221, "2.0.0", "Bye");
	server_move(s, ST_GONE);
}

void server_on_starttls(struct smtp_server *s, struct span args)
{
	if (args.n) {
		server_reply(s, 501, "5.5.4", "STARTTLS takes no argument");
		return;
	}
	if (s->is_tls) {
		server_reply(s, 503, "5.5.1", "This session is encrypted already");
		return;
	}
	if (!s->service->has_tls) {
		server_reply(s, 454, "4.7.0", "TLS is not available at the moment");
		return;
	}
	server_reply(s, 220, "2.0.0", "Ready to start TLS");
	server_move(s, ST_TLS);
}

void server_on_bdat(struct smtp_server *s, struct span args)
{
	/* S-09, S-11: CHUNKING is not offered; PIPE_LAST keeps the chunk that may follow from being
	 * read as commands. */
	(void)args;
	server_reply(s, 502, "5.5.1", "BDAT is not offered here; use DATA");
}
