/*
 * The real holdfast-auth: sessions of browsers, tickets, invitations, what people and administrators order; catalogue H-08,
 * H-16, H-17, H-19, H-20.
 */
#include "auth_host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/session.h"
#include "auth/totp.h"
#include "base/must.h"

#define ANNA  "anna@ours.example"
#define BERT  "bert@ours.example"
#define WORD  "correct horse battery anna"
#define WORD2 "another horse, another battery"
#define HOME  "192.0.2.10"
#define AWAY  "198.51.100.77"

static const char *program;

struct rig {
	struct auth_host h;
	unsigned ended; /* SessionsEnded that named `watched`, on the desk's link */
	unsigned char watched[SECRET_HASH_BYTES];
	uint64_t step; /* of TOTP that was used last */
};

struct secret { /* as a browser keeps it */
	char text[SESSION_TEXT_BYTES + 1];
};

static void begin(struct rig *r)
{
	memset(r, 0, sizeof *r);
	auth_host_init(&r->h, program);
	auth_host_start(&r->h);
}

static void again(struct rig *r)
{
	auth_host_kill(&r->h);
	auth_host_start(&r->h);
}

static bool contains(struct span text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* ---- the links ---- */

static void note_ended(struct rig *r, const struct buf *body)
{
	struct msg_sessions_ended m;
	struct arena a;

	arena_init(&a, 1 << 20);
	assert_true(msg_sessions_ended_decode(&a, buf_span(body), &m));
	for (size_t i = 0; i < m.hashes_n; i++) {
		assert_int_equal(m.hashes[i].n, SECRET_HASH_BYTES);
		r->ended += memcmp(m.hashes[i].p, r->watched, SECRET_HASH_BYTES) == 0;
	}
	arena_fini(&a);
}

/* The next frame of this type; SessionsEnded on the way are looked at. */
static void hear(struct rig *r, int fd, unsigned type, struct buf *body)
{
	unsigned got;

	while ((got = edge_host_frame(fd, 20000, body)) != type) {
		assert_int_not_equal(got, 0);
		if (got == MSG_SESSIONS_ENDED)
			note_ended(r, body);
	}
}

static void watch(struct rig *r, const struct secret *s)
{
	r->ended = 0;
	session_hash(span_str(s->text), r->watched);
}

static struct secret keep(struct span session)
{
	struct secret s = {""};

	assert_int_equal(session.n, SESSION_TEXT_BYTES);
	memcpy(s.text, session.p, session.n);
	return s;
}

static struct secret log_in(struct rig *r, const char *name, const char *password)
{
	struct msg_login_answer m = auth_portal(&r->h, name, password, HOME, "portal");

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_false(m.second_factor);
	return keep(m.session);
}

static struct msg_session_answer ask_at(struct rig *r, int fd, const char *secret)
{
	struct msg_session_answer m;
	struct buf body = {0};

	msg_session_ask_encode(&body, &(struct msg_session_ask){.id = ++r->h.last_id,
								.session = span_str(secret),
								.source = SPAN_LIT(HOME)});
	edge_host_send(fd, MSG_SESSION_ASK, buf_span(&body), -1);
	hear(r, fd, MSG_SESSION_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(msg_session_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)),
					      &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

static bool is_in(struct rig *r, const struct secret *s)
{
	return ask_at(r, r->h.desk, s->text).ok;
}

static void end(struct rig *r, const struct secret *s)
{
	struct buf body = {0};

	msg_session_end_encode(&body, &(struct msg_session_end){span_str(s->text)});
	edge_host_send(r->h.desk, MSG_SESSION_END, buf_span(&body), -1);
	buf_fini(&body);
}

static struct msg_login_answer login_answer(struct rig *r, int fd)
{
	struct msg_login_answer m;
	struct buf body = {0};

	hear(r, fd, MSG_LOGIN_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(
		msg_login_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)), &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

static struct msg_login_answer use_factor(struct rig *r, int fd, const struct secret *ticket,
					  const char *code)
{
	struct buf body = {0};

	msg_factor_use_encode(&body, &(struct msg_factor_use){.id = ++r->h.last_id,
							      .ticket = span_str(ticket->text),
							      .code = span_str(code),
							      .source = SPAN_LIT(HOME)});
	edge_host_send(fd, MSG_FACTOR_USE, buf_span(&body), -1);
	buf_fini(&body);
	return login_answer(r, fd);
}

static struct msg_login_answer use_invitation(struct rig *r, const char *name, const char *code,
					      const char *password, const char *source)
{
	struct buf body = {0};

	msg_invite_use_encode(&body, &(struct msg_invite_use){.id = ++r->h.last_id,
							      .account = span_str(name),
							      .code = span_str(code),
							      .password = span_str(password),
							      .source = span_str(source),
							      .session_for = SPAN_LIT("portal")});
	edge_host_send(r->h.desk, MSG_INVITE_USE, buf_span(&body), -1);
	buf_fini(&body);
	return login_answer(r, r->h.desk);
}

/* ---- codes ---- */

static void text_between(struct span json, const char *before, char *out, size_t n)
{
	const char *at = memmem(json.p, json.n, before, strlen(before));

	assert_non_null(at);
	at += strlen(before);
	(void)snprintf(out, n, "%.*s", (int)strcspn(at, "\""), at);
}

static void read_secret(struct span json, unsigned char out[TOTP_SECRET_BYTES])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	char text[64];
	unsigned bits = 0, have = 0;
	size_t n = 0;

	text_between(json, "\"secret\":\"", text, sizeof text);
	for (const char *c = text; *c && n < TOTP_SECRET_BYTES; c++) {
		have = (have << 5 | (unsigned)(strchr(letters, *c) - letters)) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(have >> bits);
		}
	}
	assert_int_equal(n, TOTP_SECRET_BYTES);
}

static struct msg_people_answer factor(struct rig *r, const char *name, const char *verb,
				       const char *code)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_second_factor_encode(&body, &(struct msg_second_factor){.account = span_str(name),
								    .verb = span_str(verb),
								    .code = span_str(code)});
	answer = auth_people(&r->h, MSG_SECOND_FACTOR, &body);
	buf_fini(&body);
	return answer;
}

/* A code that was not used: the step of now, or (a step early is taken) the next one. */
static void next_code(struct rig *r, const unsigned char secret[TOTP_SECRET_BYTES], char out[16])
{
	uint64_t now = (uint64_t)time(NULL) / TOTP_STEP_S;

	r->step = r->step + 1 > now ? r->step + 1 : now;
	while (r->step > (uint64_t)time(NULL) / TOTP_STEP_S + 1)
		(void)usleep(200000);
	(void)snprintf(out, 16, "%06u", totp_code(secret, r->step));
}

/* Gives it a second factor; a recovery code of its ten goes to recovery. */
static void enrol(struct rig *r, const char *name, unsigned char secret[TOTP_SECRET_BYTES],
		  char recovery[64])
{
	struct msg_people_answer answer;
	char code[16];

	r->step = 0;
	read_secret(factor(r, name, "begin", "").json, secret);
	next_code(r, secret, code);
	answer = factor(r, name, "confirm", code);
	assert_true(answer.ok);
	text_between(answer.json, "\"recovery_codes\":[\"", recovery, 64);
}

static void invite(struct rig *r, const char *name, char code[64])
{
	struct buf body = {0};

	msg_user_invite_encode(&body, &(struct msg_user_invite){.account = span_str(name)});
	text_between(auth_people(&r->h, MSG_USER_INVITE, &body).json, "\"code\":\"", code, 64);
	buf_fini(&body);
}

/* ---- H-08 ---- */

static void a_session_outlives_auth(void **state)
{
	struct msg_session_answer m;
	struct secret first, second;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	assert_true(auth_set(&r.h, ANNA, "alias", "a.muster@ours.example").ok);
	assert_int_equal(auth_log_in(&r.h, ANNA, WORD, HOME, "imap").session.n, 0);
	first = log_in(&r, ANNA, WORD);
	second = log_in(&r, ANNA, WORD);
	assert_string_not_equal(first.text, second.text);
	m = ask_at(&r, r.h.desk, first.text);
	assert_true(m.ok && span_eq(m.account, SPAN_LIT(ANNA)));
	assert_true(span_eq(m.person, SPAN_LIT("Somebody")) && span_eq(m.use, SPAN_LIT("portal")));
	assert_int_equal(m.send_as_n, 2);
	assert_false(m.has_factor || m.is_admin || m.later);
	assert_in_range(m.until_us / 1000000, (uint64_t)time(NULL) + 11 * 3600,
			(uint64_t)time(NULL) + 13 * 3600);
	assert_false(ask_at(&r, r.h.console, first.text).ok); /* not the console's */
	again(&r);
	assert_true(is_in(&r, &first) && is_in(&r, &second));
	watch(&r, &first);
	end(&r, &first);
	assert_false(is_in(&r, &first));
	assert_int_equal(r.ended, 1);
	again(&r);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &second));
	assert_false(ask_at(&r, r.h.desk, "").ok);
	assert_false(ask_at(&r, r.h.desk, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").ok);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* Nobody can be somebody by reading what auth keeps. */
static void only_hashes_are_kept(void **state)
{
	struct secret s;
	struct rig r;
	char command[300];

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	(void)snprintf(command, sizeof command, "grep -rqa -e '%s' %s", s.text, r.h.host.folder);
	assert_int_not_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	(void)snprintf(command, sizeof command, "grep -q '^open ' %s/secrets/auth/sessions",
		       r.h.host.folder);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void passwd(struct rig *r)
{
	assert_true(auth_passwd(&r->h, ANNA, WORD2).ok);
}

static void disable(struct rig *r)
{
	assert_true(auth_set(&r->h, ANNA, "disable", "").ok);
}

static void delete (struct rig *r)
{
	assert_true(auth_set(&r->h, ANNA, "delete", "").ok);
}

static void give_factor(struct rig *r)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	char recovery[64];

	enrol(r, ANNA, secret, recovery);
}

/* Each ends all of hers, nobody else's; a kill right after brings none back. */
static void changes_end_sessions(void **state)
{
	static void (*const changes[])(struct rig * r) = {passwd, disable, delete, give_factor};
	struct secret hers, his;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		begin(&r);
		assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD).ok);
		hers = log_in(&r, ANNA, WORD);
		his = log_in(&r, BERT, WORD);
		watch(&r, &hers);
		changes[i](&r);
		assert_false(is_in(&r, &hers));
		assert_int_equal(r.ended, 1);
		assert_true(is_in(&r, &his));
		again(&r);
		assert_false(is_in(&r, &hers));
		assert_true(is_in(&r, &his));
		assert_int_equal(auth_host_stop(&r.h), 0);
	}
}

/* ---- H-19 ---- */

static struct secret ticket(struct rig *r)
{
	struct msg_login_answer m = auth_portal(&r->h, ANNA, WORD, HOME, "portal");

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(m.second_factor);
	return keep(m.session);
}

static void a_factor_is_asked_for(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct secret one, other, session;
	struct msg_login_answer m;
	char code[16], recovery[64];
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	enrol(&r, ANNA, secret, recovery);
	one = ticket(&r);
	other = ticket(&r);
	assert_false(is_in(&r, &one)); /* a ticket is no session */
	m = use_factor(&r, r.h.desk, &one, "000000");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("code")));
	next_code(&r, secret, code);
	m = use_factor(&r, r.h.console, &one, code); /* another door's */
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &one, code);
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.by, SPAN_LIT("totp")) && span_eq(m.account, SPAN_LIT(ANNA)));
	assert_false(m.second_factor);
	session = keep(m.session);
	assert_true(is_in(&r, &session));
	assert_true(ask_at(&r, r.h.desk, session.text).has_factor);
	m = use_factor(&r, r.h.desk, &one, recovery); /* the ticket was used */
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &other, code); /* the code was */
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_true(m.verdict == LOGIN_FINE && span_eq(m.by, SPAN_LIT("recovery")));
	other = ticket(&r);
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	again(&r); /* tickets do not outlive it */
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_true(span_eq(m.reason, SPAN_LIT("ticket")));
	assert_true(is_in(&r, &session));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void a_ticket_has_few_tries(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct msg_login_answer m;
	char code[16], recovery[64];
	struct secret one;
	unsigned tries = 0;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	enrol(&r, ANNA, secret, recovery);
	one = ticket(&r);
	do {
		(void)snprintf(code, sizeof code, "00000%u", tries++);
		m = use_factor(&r, r.h.desk, &one, code);
		assert_int_equal(m.verdict, LOGIN_REFUSED);
		assert_in_range(tries, 1, 5);
	} while (!span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &one, recovery);
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	one = ticket(&r);
	assert_true(auth_set(&r.h, ANNA, "disable", "").ok);
	assert_true(auth_set(&r.h, ANNA, "enable", "").ok);
	m = use_factor(&r, r.h.desk, &one, recovery); /* the account is another since */
	assert_true(span_eq(m.reason, SPAN_LIT("ticket")));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- invitations ---- */

static void an_invitation_makes_it_theirs(void **state)
{
	struct msg_login_answer m;
	struct buf records = {0};
	char code[64];
	struct secret s;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, "").ok && auth_add(&r.h, BERT, WORD).ok);
	invite(&r, ANNA, code);
	m = auth_portal(&r.h, ANNA, code, HOME, "portal"); /* in place of a password */
	assert_true(m.verdict == LOGIN_FINE && span_eq(m.reason, SPAN_LIT("invitation")));
	assert_int_equal(m.session.n, 0);
	m = use_invitation(&r, ANNA, code, "short", HOME);
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("new-password")));
	m = use_invitation(&r, BERT, code, WORD2, HOME);
	assert_true(m.verdict == LOGIN_REFUSED && m.reason.n == 0);
	m = use_invitation(&r, "nobody@ours.example", code, WORD2, HOME);
	assert_true(m.verdict == LOGIN_REFUSED && m.reason.n == 0);
	m = use_invitation(&r, "Anna@OURS.example", code, WORD, HOME);
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.account, SPAN_LIT(ANNA)));
	s = keep(m.session);
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records), "ACT user.invitation-used " ANNA " by " ANNA));
	again(&r);
	assert_true(is_in(&r, &s));
	assert_true(auth_gets_in(&r.h, ANNA, WORD, HOME));
	m = use_invitation(&r, ANNA, code, WORD2, HOME); /* once */
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	assert_false(auth_gets_in(&r.h, ANNA, code, HOME));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- what people order themselves ---- */

struct want { /* of a SelfOrder */
	const char *verb, *argument, *password, *new_password;
};

static struct msg_order_answer order_answer(struct rig *r, int fd)
{
	struct msg_order_answer m;
	struct buf body = {0};

	hear(r, fd, MSG_ORDER_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(
		msg_order_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)), &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

static struct msg_order_answer order_at(struct rig *r, int fd, const struct secret *s,
					struct want w)
{
	struct buf body = {0};

	msg_self_order_encode(&body,
			      &(struct msg_self_order){.id = ++r->h.last_id,
						       .session = span_str(s->text),
						       .verb = span_str(w.verb),
						       .argument = span_str(w.argument),
						       .password = span_str(w.password),
						       .new_password = span_str(w.new_password),
						       .source = SPAN_LIT(AWAY)});
	edge_host_send(fd, MSG_SELF_ORDER, buf_span(&body), -1);
	buf_fini(&body);
	return order_answer(r, fd);
}

static struct msg_order_answer order(struct rig *r, const struct secret *s, struct want w)
{
	return order_at(r, r->h.desk, s, w);
}

static bool is_refused(struct msg_order_answer m, const char *reason)
{
	return !m.ok && span_eq(m.reason, span_str(reason)) && m.text.n && !m.session.n;
}

/* H-08: a new id for who changed it, and the old one as dead as the others. */
static void people_change_their_password(void **state)
{
	struct secret here, there, new_one;
	struct buf records = {0};
	struct msg_order_answer m;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	here = log_in(&r, ANNA, WORD);
	there = log_in(&r, ANNA, WORD);
	m = order(&r, &here, (struct want){"password", "", "not this one at all", WORD2});
	assert_true(is_refused(m, "password") && m.verdict == LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &here, (struct want){"password", "", WORD, "short"}),
			       "new-password"));
	assert_true(is_in(&r, &here) && is_in(&r, &there));
	watch(&r, &there);
	m = order(&r, &here, (struct want){"password", "", WORD, WORD2});
	assert_true(m.ok);
	new_one = keep(m.session);
	assert_int_equal(r.ended, 1);
	assert_false(is_in(&r, &here) || is_in(&r, &there));
	assert_true(is_in(&r, &new_one));
	assert_true(is_refused(order(&r, &here, (struct want){"show", "", "", ""}), "session"));
	auth_records(&r.h, &records);
	assert_non_null(
		strstr(buf_cstr(&records), "ACT user.passwd " ANNA " by " ANNA " (" AWAY ")"));
	again(&r);
	assert_false(is_in(&r, &here) || is_in(&r, &there));
	assert_true(is_in(&r, &new_one));
	assert_true(auth_gets_in(&r.h, ANNA, WORD2, HOME));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_have_app_passwords(void **state)
{
	char code[64], token[600];
	struct msg_order_answer m;
	struct secret s;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(
		is_refused(order(&r, &s, (struct want){"app-add", "phone", "", ""}), "password"));
	m = order(&r, &s, (struct want){"app-add", "my \"phone\"", WORD, ""});
	assert_true(m.ok && !m.session.n);
	text_between(m.json, "\"password\":\"", code, sizeof code);
	text_between(m.json, "\"token\":\"", token, sizeof token);
	{ /* base64url(account NUL app password), as RFC 6750 sends it */
		struct buf both = {0}, want = {0};

		buf_append(&both, span_of(ANNA, sizeof ANNA));
		buf_append(&both, span_str(code));
		secret_base64url(&want, buf_span(&both));
		assert_string_equal(token, buf_cstr(&want));
		buf_fini(&both);
		buf_fini(&want);
	}
	assert_true(auth_gets_in(&r.h, ANNA, code, HOME));
	assert_int_equal(auth_portal(&r.h, ANNA, code, HOME, "portal").verdict, LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &s, (struct want){"password", "", code, WORD2}),
			       "password")); /* a program's is no person's */
	m = order(&r, &s, (struct want){"app-add", "my \"phone\"", WORD, ""});
	assert_true(is_refused(m, "name"));
	m = order(&r, &s, (struct want){"app-list", "", "", ""});
	assert_true(m.ok && contains(m.json, "my \\\"phone\\\""));
	assert_true(order(&r, &s, (struct want){"app-remove", "my \"phone\"", "", ""}).ok);
	assert_false(auth_gets_in(&r.h, ANNA, code, HOME));
	assert_true(is_in(&r, &s)); /* who removed it stays in */
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_set_up_a_factor(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct msg_login_answer l;
	struct msg_order_answer m;
	char code[16], recovery[64];
	struct secret s, was, t;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(
		is_refused(order(&r, &s, (struct want){"factor-begin", "", "", ""}), "password"));
	assert_true(is_refused(order(&r, &s, (struct want){"factor-confirm", "123456", "", ""}),
			       "factor"));
	m = order(&r, &s, (struct want){"factor-begin", "", WORD, ""});
	assert_true(m.ok);
	read_secret(m.json, secret);
	m = order(&r, &s, (struct want){"factor-confirm", "000000", "", ""});
	assert_true(is_refused(m, "code"));
	next_code(&r, secret, code);
	was = s;
	m = order(&r, &s, (struct want){"factor-confirm", code, "", ""});
	assert_true(m.ok);
	text_between(m.json, "\"recovery_codes\":[\"", recovery, sizeof recovery);
	s = keep(m.session);
	assert_true(is_in(&r, &s) && !is_in(&r, &was));
	t = ticket(&r);
	m = order(&r, &s, (struct want){"codes", "", WORD, ""});
	assert_true(m.ok && !m.session.n);
	l = use_factor(&r, r.h.desk, &t, recovery); /* older ones no longer work */
	assert_int_equal(l.verdict, LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &s, (struct want){"factor-remove", "", WORD2, ""}),
			       "password"));
	m = order(&r, &s, (struct want){"factor-remove", "", WORD, ""});
	assert_true(m.ok);
	s = keep(m.session);
	was = log_in(&r, ANNA, WORD);
	assert_true(is_in(&r, &s) && is_in(&r, &was));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_see_and_end_sessions(void **state)
{
	struct secret here, there, third;
	struct msg_order_answer m;
	char id[32];
	const char *at;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD2).ok);
	here = log_in(&r, ANNA, WORD);
	m = order(&r, &here, (struct want){"sessions", "", "", ""});
	assert_true(m.ok && contains(m.json, "Browser/1 (test)") &&
		    contains(m.json, "\"is_this\":true"));
	third = log_in(&r, BERT, WORD2);
	m = order(&r, &third, (struct want){"sessions", "", "", ""});
	text_between(m.json, "\"id\":\"", id, sizeof id);
	assert_true(is_refused(order(&r, &here, (struct want){"session-end", id, "", ""}),
			       "unknown")); /* another's */
	there = log_in(&r, ANNA, WORD);
	m = order(&r, &here, (struct want){"sessions", "", "", ""});
	at = memmem(m.json.p, m.json.n, "\"is_this\":false", 15);
	assert_non_null(at);
	while (strncmp(at, "\"id\":\"", 6) != 0)
		at--;
	(void)snprintf(id, sizeof id, "%.12s", at + 6);
	watch(&r, &there);
	assert_true(order(&r, &here, (struct want){"session-end", id, "", ""}).ok);
	assert_int_equal(r.ended, 1);
	assert_false(is_in(&r, &there));
	there = log_in(&r, ANNA, WORD);
	assert_true(order(&r, &here, (struct want){"others-end", "", "", ""}).ok);
	assert_true(is_in(&r, &here) && !is_in(&r, &there) && is_in(&r, &third));
	again(&r);
	assert_true(is_in(&r, &here) && !is_in(&r, &there) && is_in(&r, &third));
	assert_true(
		is_refused(order(&r, &here, (struct want){"nonsense", "", "", ""}), "malformed"));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* The primary keeps their password: a session as for anybody, and no second password here. */
static void the_primarys_people_have_sessions(void **state)
{
	struct msg_login_answer l;
	struct msg_order_answer m;
	struct secret s, kept;
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, program);
	auth_host_primary(&r.h);
	r.h.password = WORD;
	auth_host_start(&r.h);
	l = auth_portal(&r.h, ANNA, WORD, HOME, "portal");
	assert_true(l.verdict == LOGIN_FINE && span_eq(l.by, SPAN_LIT("primary")));
	s = keep(l.session);
	assert_true(is_in(&r, &s));
	m = order(&r, &s, (struct want){"password", "", WORD, WORD2});
	assert_true(is_refused(m, "primary"));
	assert_true(order(&r, &s, (struct want){"consent", "", WORD, ""}).ok);
	m = order(&r, &s, (struct want){"show", "", "", ""});
	assert_true(m.ok && contains(m.json, "\"consent\":true"));
	assert_true(order(&r, &s, (struct want){"consent-end", "", "", ""}).ok);
	m = order(&r, &s, (struct want){"show", "", "", ""});
	assert_true(m.ok && contains(m.json, "\"consent\":false"));
	r.h.is_away = true;
	again(&r);
	assert_true(is_in(&r, &s));
	l = auth_portal(&r.h, ANNA, WORD, HOME, "portal"); /* by what was kept */
	assert_true(l.verdict == LOGIN_FINE && span_eq(l.by, SPAN_LIT("kept")));
	kept = keep(l.session);
	assert_true(is_in(&r, &kept));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- administrators ---- */

static struct secret admin(struct rig *r, const unsigned char totp[TOTP_SECRET_BYTES])
{
	struct msg_login_answer m = auth_portal(&r->h, ANNA, WORD, HOME, "admin");
	struct secret t;
	char code[16];

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(m.second_factor);
	t = keep(m.session);
	next_code(r, totp, code);
	m = use_factor(r, r->h.console, &t, code);
	assert_int_equal(m.verdict, LOGIN_FINE);
	return keep(m.session);
}

static struct msg_order_answer admin_order(struct rig *r, const struct secret *s, unsigned type,
					   struct buf *order)
{
	struct buf body = {0};

	msg_admin_order_encode(&body, &(struct msg_admin_order){.id = ++r->h.last_id,
								.session = span_str(s->text),
								.type = (uint16_t)type,
								.body = buf_span(order),
								.source = SPAN_LIT(AWAY)});
	edge_host_send(r->h.console, MSG_ADMIN_ORDER, buf_span(&body), -1);
	buf_fini(&body);
	buf_fini(order);
	return order_answer(r, r->h.console);
}

static struct msg_order_answer admin_set(struct rig *r, const struct secret *s, const char *name,
					 const char *verb, const char *argument)
{
	struct buf body = {0};

	msg_user_set_encode(&body, &(struct msg_user_set){.account = span_str(name),
							  .verb = span_str(verb),
							  .argument = span_str(argument)});
	return admin_order(r, s, MSG_USER_SET, &body);
}

static void administrators_need_a_factor(void **state)
{
	unsigned char totp[TOTP_SECRET_BYTES];
	struct msg_login_answer m;
	struct buf records = {0};
	char recovery[64];
	struct secret s, portal;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("not-admin")));
	assert_false(m.account.n || m.session.n || m.send_as_n || m.person.n);
	assert_false(auth_set(&r.h, ANNA, "admin", "on").ok); /* not before it has a factor */
	enrol(&r, ANNA, totp, recovery);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("not-admin")));
	assert_true(auth_set(&r.h, ANNA, "admin", "on").ok);
	s = admin(&r, totp);
	assert_false(is_in(&r, &s)); /* no session of a desk */
	assert_true(ask_at(&r, r.h.console, s.text).is_admin);
	portal = keep(auth_portal(&r.h, ANNA, WORD, HOME, "portal").session);
	assert_true(
		span_eq(use_factor(&r, r.h.console, &portal, recovery).reason, SPAN_LIT("ticket")));
	assert_true(is_refused(
		order_at(&r, r.h.console, &s, (struct want){"factor-remove", "", WORD, ""}),
		"admin"));
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY account " ANNA " state=active name=Somebody admin=yes\n"
			       "ACT user.admin " ANNA));
	assert_non_null(strstr(buf_cstr(&records), "ACT user.admin-login " ANNA " by " ANNA));
	again(&r);
	assert_true(ask_at(&r, r.h.console, s.text).ok);
	assert_true(factor(&r, ANNA, "remove", "").ok); /* the operator may; then it is none */
	assert_false(ask_at(&r, r.h.console, s.text).ok);
	enrol(&r, ANNA, totp, recovery);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(span_eq(m.reason, SPAN_LIT("not-admin")));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void administrators_order(void **state)
{
	unsigned char totp[TOTP_SECRET_BYTES];
	struct buf records = {0}, body = {0};
	struct msg_order_answer m;
	char recovery[64];
	struct secret s, his;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD2).ok);
	his = log_in(&r, BERT, WORD2);
	enrol(&r, ANNA, totp, recovery);
	assert_true(auth_set(&r.h, ANNA, "admin", "on").ok);
	s = admin(&r, totp);
	m = admin_set(&r, &s, BERT, "disable", "");
	assert_true(m.ok && m.session.n == 0);
	assert_false(is_in(&r, &his) || auth_gets_in(&r.h, BERT, WORD2, HOME));
	assert_true(admin_set(&r, &s, BERT, "enable", "").ok);
	assert_true(is_refused(admin_set(&r, &s, BERT, "admin", "on"), "admin"));
	assert_true(is_refused(admin_set(&r, &his, BERT, "name", "x"), "session"));
	assert_true(is_refused(admin_set(&r, &s, "bret@ours.example", "name", "x"), "unknown"));
	msg_user_list_encode(&body, &(struct msg_user_list){.match = SPAN_NONE});
	m = admin_order(&r, &s, MSG_USER_LIST, &body);
	assert_true(m.ok && contains(m.json, BERT));
	/* What shows a secret of another's, or is of the machine, is the command line's. */
	msg_app_password_encode(&body, &(struct msg_app_password){.account = SPAN_LIT(BERT),
								  .verb = SPAN_LIT("add"),
								  .name = SPAN_LIT("spy")});
	assert_true(is_refused(admin_order(&r, &s, MSG_APP_PASSWORD, &body), "machine"));
	msg_second_factor_encode(&body, &(struct msg_second_factor){.account = SPAN_LIT(BERT),
								    .verb = SPAN_LIT("begin")});
	assert_true(is_refused(admin_order(&r, &s, MSG_SECOND_FACTOR, &body), "machine"));
	msg_server_password_encode(&body, &(struct msg_server_password){.place = SPAN_LIT("head"),
									.verb = SPAN_LIT("ask")});
	assert_true(is_refused(admin_order(&r, &s, MSG_SERVER_PASSWORD, &body), "machine"));
	buf_append(&body, SPAN_LIT("garbage"));
	assert_true(is_refused(admin_order(&r, &s, MSG_USER_SET, &body), "malformed"));
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records),
			       "ACT user.disable " BERT " by administrator " ANNA " (" AWAY ")"));
	assert_true(admin_set(&r, &s, ANNA, "admin", "off").ok); /* looked at with each order */
	assert_true(is_refused(admin_set(&r, &s, BERT, "disable", ""), "session"));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* The command line's view of them. */
static void operators_see_and_end_sessions(void **state)
{
	struct buf body = {0};
	struct secret s;
	struct rig r;
	char agent[64];

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	msg_user_sessions_encode(&body, &(struct msg_user_sessions){.account = SPAN_LIT(ANNA)});
	text_between(auth_people(&r.h, MSG_USER_SESSIONS, &body).json, "\"agent\":\"", agent,
		     sizeof agent);
	assert_string_equal(agent, "Browser/1 (test)");
	buf_clear(&body);
	watch(&r, &s);
	msg_user_sessions_encode(
		&body, &(struct msg_user_sessions){.account = SPAN_LIT(ANNA), .ends = true});
	assert_true(auth_people(&r.h, MSG_USER_SESSIONS, &body).ok);
	assert_false(is_in(&r, &s));
	assert_int_equal(r.ended, 1);
	again(&r);
	assert_false(is_in(&r, &s));
	buf_fini(&body);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- bounds ---- */

static void an_account_has_so_many(void **state)
{
	struct secret first, last;
	struct rig r;

	(void)state;
	begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	first = log_in(&r, ANNA, WORD);
	watch(&r, &first);
	for (unsigned i = 0; i < SESSIONS_OF_ACCOUNT; i++)
		last = log_in(&r, ANNA, WORD);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &last));
	again(&r);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &last));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void sessions_end_unused(void **state)
{
	struct secret s;
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, program);
	r.h.host.config.portal.session_ms = 1500;
	auth_host_start(&r.h);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	for (int i = 0; i < 6; i++) { /* used, it lasts */
		(void)usleep(400000);
		assert_true(is_in(&r, &s));
	}
	(void)usleep(1600000);
	assert_false(is_in(&r, &s));
	assert_int_equal(auth_host_stop(&r.h), 0);
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, program);
	r.h.host.config.portal.session_most_ms = 1500;
	auth_host_start(&r.h);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(is_in(&r, &s));
	for (int i = 0; i < 4; i++) { /* used or not */
		(void)usleep(400000);
		(void)is_in(&r, &s);
	}
	assert_false(is_in(&r, &s));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_outlives_auth),
		cmocka_unit_test(only_hashes_are_kept),
		cmocka_unit_test(changes_end_sessions),
		cmocka_unit_test(a_factor_is_asked_for),
		cmocka_unit_test(a_ticket_has_few_tries),
		cmocka_unit_test(an_invitation_makes_it_theirs),
		cmocka_unit_test(people_change_their_password),
		cmocka_unit_test(people_have_app_passwords),
		cmocka_unit_test(people_set_up_a_factor),
		cmocka_unit_test(people_see_and_end_sessions),
		cmocka_unit_test(the_primarys_people_have_sessions),
		cmocka_unit_test(administrators_need_a_factor),
		cmocka_unit_test(administrators_order),
		cmocka_unit_test(operators_see_and_end_sessions),
		cmocka_unit_test(an_account_has_so_many),
		cmocka_unit_test(sessions_end_unused),
	};

	must(argc > 1);
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
