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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_outlives_auth),
		cmocka_unit_test(only_hashes_are_kept),
		cmocka_unit_test(changes_end_sessions),
		cmocka_unit_test(a_factor_is_asked_for),
		cmocka_unit_test(a_ticket_has_few_tries),
		cmocka_unit_test(an_invitation_makes_it_theirs),
	};

	must(argc > 1);
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
