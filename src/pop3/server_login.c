/*
 * Before the login: CAPA STLS UTF8 USER PASS AUTH. Names and passwords are not looked at here: all goes to the host as SASL,
 * USER and PASS as PLAIN, so that a wrong name and a wrong password take the same way (P-07).
 */
#include "pop3/server_internal.h"

#include <stdio.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "base/must.h"

static const char needs_tls[] =
	"Encryption is needed before you log in: STLS first, or the port for TLS";

void pop3_forget_login(struct pop3_server *s)
{
	if (s->sasl.p)
		explicit_bzero(s->sasl.p, s->sasl.cap);
	buf_fini(&s->sasl);
	buf_init(&s->sasl, POP3_SASL_LINE_LIMIT);
	buf_fini(&s->user);
	buf_init(&s->user, POP3_USER_LIMIT);
	s->login = (struct pop3_login){0};
}

/* ---- what is offered ---- */

static bool sends_password(struct span mechanism)
{
	return span_eq(mechanism, SPAN_LIT("PLAIN")) || span_eq(mechanism, SPAN_LIT("LOGIN"));
}

static bool is_offered(const struct pop3_server *s, struct span mechanism)
{
	for (size_t i = 0; i < s->service->mechanisms_n; i++) {
		if (span_eq_nocase(mechanism, s->service->mechanisms[i]))
			return true;
	}
	return false;
}

static void say_sasl(struct pop3_server *s)
{
	bool any = false;

	for (size_t i = 0; i < s->service->mechanisms_n; i++) {
		struct span m = s->service->mechanisms[i];

		if (sends_password(m) && !s->is_secure)
			continue;
		(void)buf_append(&s->out, any ? SPAN_LIT(" ") : SPAN_LIT("SASL "));
		(void)buf_append(&s->out, m);
		any = true;
	}
	if (any)
		(void)buf_append(&s->out, SPAN_LIT("\r\n"));
}

void pop3_on_capa(struct pop3_server *s, struct span args)
{
	(void)args;
	pop3_ok(s, "What is offered follows");
	(void)buf_append(&s->out, SPAN_LIT("TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-"
					   "CODE\r\nPIPELINING\r\nUTF8 USER\r\n"));
	if (s->is_secure)
		(void)buf_append(&s->out, SPAN_LIT("USER\r\n"));
	say_sasl(s);
	if (s->service->has_tls && !s->is_tls)
		(void)buf_append(&s->out, SPAN_LIT("STLS\r\n"));
	(void)buf_append(&s->out, SPAN_LIT("IMPLEMENTATION Holdfast\r\n.\r\n"));
}

void pop3_on_stls(struct pop3_server *s, struct span args)
{
	(void)args;
	if (s->is_tls) {
		pop3_err(s, "-ERR", "This session is encrypted already", true);
		return;
	}
	if (!s->service->has_tls) {
		pop3_err(s, "-ERR [SYS/TEMP]", "TLS is not available at the moment", true);
		return;
	}
	pop3_ok(s, "Begin TLS");
	pop3_move(s, ST_TLS);
}

/* RFC 6856: messages are sent as they are with and without it. */
void pop3_on_utf8(struct pop3_server *s, struct span args)
{
	(void)args;
	pop3_ok(s, "UTF-8 it is");
}

/* ---- USER, PASS ---- */

void pop3_on_user(struct pop3_server *s, struct span args)
{
	if (!s->is_secure) {
		pop3_err(s, "-ERR [AUTH]", needs_tls, true);
		return;
	}
	buf_clear(&s->user);
	if (!buf_append(&s->user, args)) {
		pop3_err(s, "-ERR", "Name too long", true);
		return;
	}
	pop3_ok(s, "Now the password");
}

static void ask_login(struct pop3_server *s, struct span mechanism, bool has_initial)
{
	size_t n = mechanism.n < sizeof s->mechanism ? mechanism.n : sizeof s->mechanism;

	for (size_t i = 0; i < n; i++)
		s->mechanism[i] = (char)ascii_upper(mechanism.p[i]);
	s->login = (struct pop3_login){
		.mechanism = span_of(s->mechanism, n),
		.has_initial = has_initial,
		.initial = buf_span(&s->sasl),
	};
	pop3_ask(s, POP3_LOGIN);
}

void pop3_on_pass(struct pop3_server *s, struct span args)
{
	if (!s->is_secure) {
		pop3_err(s, "-ERR [AUTH]", needs_tls, true);
		return;
	}
	if (s->user.n == 0) {
		pop3_err(s, "-ERR", "Send USER first", true);
		return;
	}
	buf_clear(&s->sasl);
	(void)buf_append_byte(&s->sasl, '\0');
	(void)buf_append(&s->sasl, buf_span(&s->user));
	(void)buf_append_byte(&s->sasl, '\0');
	(void)buf_append(&s->sasl, args);
	ask_login(s, SPAN_LIT("PLAIN"), true);
}

void pop3_on_apop(struct pop3_server *s, struct span args)
{
	(void)args;
	pop3_err(s, "-ERR", "APOP is not offered here; use AUTH, or USER and PASS", true);
}

/* ---- AUTH ---- */

/* "=" is an initial response of no bytes (RFC 5034 s4). */
static bool take_initial(struct pop3_server *s, struct span text)
{
	buf_clear(&s->sasl);
	return span_eq(text, SPAN_LIT("=")) || base64_decode(&s->sasl, text);
}

void pop3_on_auth(struct pop3_server *s, struct span args)
{
	struct span initial = args;
	struct span mechanism = span_cut(&initial, ' ');
	bool has_initial = initial.n > 0;

	if (!is_offered(s, mechanism)) {
		pop3_err(s, "-ERR",
			 "This way of logging in is not offered; CAPA shows the ones that are",
			 true);
		return;
	}
	if (!s->is_secure && sends_password(mechanism)) {
		pop3_err(s, "-ERR [AUTH]", needs_tls, true);
		return;
	}
	if (has_initial && !take_initial(s, initial)) {
		pop3_err(s, "-ERR", "The initial response is not base64", true);
		return;
	}
	ask_login(s, mechanism, has_initial);
}

static void cancel(struct pop3_server *s, const char *text)
{
	pop3_forget_login(s);
	pop3_move(s, ST_AUTHORIZATION);
	pop3_err(s, "-ERR", text, true);
	if (s->state == ST_GONE)
		return;
	s->asked = POP3_CANCEL;
	s->question_said = false;
}

/* The line after a challenge. */
void pop3_sasl_line(struct pop3_server *s, struct span line)
{
	buf_clear(&s->sasl);
	if (span_eq(line, SPAN_LIT("*")))
		cancel(s, "The login was given up");
	else if (!base64_decode(&s->sasl, line))
		cancel(s, "The response is not base64");
	else
		pop3_ask(s, POP3_RESPONSE);
}

const struct pop3_login *pop3_server_login(const struct pop3_server *s)
{
	return &s->login;
}

struct span pop3_server_response(const struct pop3_server *s)
{
	return buf_span(&s->sasl);
}

/* ---- the host's answers ---- */

static bool is_login_open(const struct pop3_server *s)
{
	return s->asked == POP3_LOGIN || s->asked == POP3_RESPONSE;
}

void pop3_server_challenge(struct pop3_server *s, struct span challenge)
{
	if (!is_login_open(s))
		return;
	s->asked = POP3_FEED;
	(void)buf_append(&s->out, SPAN_LIT("+ "));
	base64_encode(&s->out, challenge);
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	pop3_move(s, ST_SASL);
	pop3_arm(s);
}

void pop3_server_welcome(struct pop3_server *s, const struct mail_store *store)
{
	struct fault why = {0};
	enum rc rc;

	if (!is_login_open(s))
		return;
	s->asked = POP3_FEED;
	pop3_forget_login(s);
	s->store = *store;
	rc = pop3_drop_take(s, &why);
	if (rc != OK) {
		if (s->state != ST_AUTHORIZATION)
			pop3_move(s, ST_AUTHORIZATION);
		pop3_err(s, rc == REFUSED ? "-ERR [SYS/PERM]" : "-ERR [SYS/TEMP]",
			 rc == LATER ? "Mailboxes are being made; come back in a moment"
				     : "Your mailbox cannot be read at the moment",
			 false);
		return;
	}
	s->errors = 0;
	pop3_move(s, ST_TRANSACTION);
	pop3_ok(s, "Logged in");
}

void pop3_server_unwelcome(struct pop3_server *s, const char *status, struct span text, bool counts)
{
	if (!is_login_open(s))
		return;
	s->asked = POP3_FEED;
	pop3_forget_login(s);
	if (s->state != ST_AUTHORIZATION)
		pop3_move(s, ST_AUTHORIZATION);
	pop3_err_span(s, status, text, counts);
}
