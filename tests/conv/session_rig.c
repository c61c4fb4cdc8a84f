#include "session_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/must.h"

const char *rig_program;

void rig_begin(struct rig *r)
{
	memset(r, 0, sizeof *r);
	auth_host_init(&r->h, rig_program);
	auth_host_start(&r->h);
}

void rig_again(struct rig *r)
{
	auth_host_kill(&r->h);
	auth_host_start(&r->h);
}

bool contains(struct span text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* ---- the links ---- */

void rig_note(struct rig *r, const struct buf *body)
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

void rig_hear(struct rig *r, int fd, unsigned type, struct buf *body)
{
	unsigned got;

	while ((got = edge_host_frame(fd, 20000, body)) != type) {
		assert_int_not_equal(got, 0);
		if (got == MSG_SESSIONS_ENDED)
			rig_note(r, body);
	}
}

void rig_watch(struct rig *r, const struct secret *s)
{
	r->ended = 0;
	session_hash(span_str(s->text), r->watched);
}

struct secret keep(struct span session)
{
	struct secret s = {""};

	assert_int_equal(session.n, SESSION_TEXT_BYTES);
	memcpy(s.text, session.p, session.n);
	return s;
}

struct secret log_in(struct rig *r, const char *name, const char *password)
{
	struct msg_login_answer m = auth_portal(&r->h, name, password, HOME, "portal");

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_false(m.second_factor);
	return keep(m.session);
}

struct msg_session_answer ask_from(struct rig *r, int fd, const char *secret, const char *source)
{
	struct msg_session_answer m;
	struct buf body = {0};

	msg_session_ask_encode(&body, &(struct msg_session_ask){.id = ++r->h.last_id,
								.session = span_str(secret),
								.source = span_str(source)});
	edge_host_send(fd, MSG_SESSION_ASK, buf_span(&body), -1);
	rig_hear(r, fd, MSG_SESSION_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(msg_session_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)),
					      &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

struct msg_session_answer ask_at(struct rig *r, int fd, const char *secret)
{
	return ask_from(r, fd, secret, HOME);
}

bool is_at(struct rig *r, int fd, const struct secret *s)
{
	return ask_at(r, fd, s->text).ok;
}

bool is_in(struct rig *r, const struct secret *s)
{
	return is_at(r, r->h.desk, s);
}

void log_out(struct rig *r, const struct secret *s)
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

	rig_hear(r, fd, MSG_LOGIN_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(
		msg_login_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)), &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

struct msg_login_answer use_factor(struct rig *r, int fd, const struct secret *ticket,
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

struct msg_login_answer use_invitation(struct rig *r, const char *name, const char *code,
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

struct msg_people_answer factor(struct rig *r, const char *name, const char *verb, const char *code)
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

void next_code(struct rig *r, const unsigned char secret[TOTP_SECRET_BYTES], char out[16])
{
	uint64_t now = (uint64_t)time(NULL) / TOTP_STEP_S;

	r->step = r->step + 1 > now ? r->step + 1 : now;
	while (r->step > (uint64_t)time(NULL) / TOTP_STEP_S + 1)
		(void)usleep(200000);
	(void)snprintf(out, 16, "%06u", totp_code(secret, r->step));
}

void enrol(struct rig *r, const char *name, unsigned char secret[TOTP_SECRET_BYTES],
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

void invite(struct rig *r, const char *name, char code[64])
{
	struct buf body = {0};

	msg_user_invite_encode(&body, &(struct msg_user_invite){.account = span_str(name)});
	text_between(auth_people(&r->h, MSG_USER_INVITE, &body).json, "\"code\":\"", code, 64);
	buf_fini(&body);
}

struct secret ticket(struct rig *r)
{
	struct msg_login_answer m = auth_portal(&r->h, ANNA, WORD, HOME, "portal");

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(m.second_factor);
	return keep(m.session);
}

struct msg_order_answer order_answer(struct rig *r, int fd)
{
	struct msg_order_answer m;
	struct buf body = {0};

	rig_hear(r, fd, MSG_ORDER_ANSWER, &body);
	arena_reset(&r->h.arena);
	assert_true(
		msg_order_answer_decode(&r->h.arena, arena_span(&r->h.arena, buf_span(&body)), &m));
	assert_int_equal(m.id, r->h.last_id);
	buf_fini(&body);
	return m;
}

struct msg_order_answer order_at(struct rig *r, int fd, const struct secret *s, const char *verb,
				 const char *argument, const char *password,
				 const char *new_password)
{
	struct buf body = {0};

	msg_self_order_encode(&body,
			      &(struct msg_self_order){.id = ++r->h.last_id,
						       .session = span_str(s->text),
						       .verb = span_str(verb),
						       .argument = span_str(argument),
						       .password = span_str(password),
						       .new_password = span_str(new_password),
						       .source = SPAN_LIT(HOME)});
	edge_host_send(fd, MSG_SELF_ORDER, buf_span(&body), -1);
	buf_fini(&body);
	return order_answer(r, fd);
}

struct msg_order_answer order(struct rig *r, const struct secret *s, const char *verb,
			      const char *argument, const char *password, const char *new_password)
{
	return order_at(r, r->h.desk, s, verb, argument, password, new_password);
}

bool is_refused(struct msg_order_answer m, const char *reason)
{
	return !m.ok && span_eq(m.reason, span_str(reason)) && m.text.n && !m.session.n;
}
