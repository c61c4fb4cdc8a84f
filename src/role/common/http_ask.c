/*
 * Questions to auth: whose session, is this password right, logins, orders. Each has an id with the highest bit set (desk's own have
 * not), one answer, a deadline. An answer is looked at no sooner than it says (delay_ms), and wiped: sessions are in it.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/common/http_internal.h"

#define ID_BIT (1ull << 63)

enum { ANSWER_ARENA_BYTES = 1 << 20 };

struct http_question {
	uint64_t id;
	struct http_host *host;
	struct http_lookup *lookup; /* or */
	struct http_exchange *x;
	http_login_done *login_done;
	http_order_done *order_done;
	struct loop_timer *timer; /* the deadline, then the delay */
	unsigned type;		  /* of the answer; 0: none yet */
	struct buf answer;
	bool is_login; /* SaslCancel makes sense */
};

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

static bool tell(struct http_host *h, unsigned type, struct buf *body)
{
	bool sent = h->auth && link_send(h->auth, type, buf_span(body)) == OK;

	wipe(body);
	return sent;
}

static void question_free(struct http_question *q)
{
	(void)map_remove(&q->host->questions, map_key_u64(&q->id));
	loop_timer_free(q->timer);
	wipe(&q->answer);
	free(q);
}

/* ---- what comes of it ---- */

static void finish_lookup(struct http_question *q, struct arena *a)
{
	struct http_lookup *l = q->lookup;
	struct msg_session_answer session;
	struct msg_login_answer login;

	if (q->type == MSG_SESSION_ANSWER &&
	    msg_session_answer_decode(a, buf_span(&q->answer), &session))
		http_lookup_done(l, &session, NULL);
	else if (q->type == MSG_LOGIN_ANSWER &&
		 msg_login_answer_decode(a, buf_span(&q->answer), &login))
		http_lookup_done(l, NULL, &login);
	else
		http_lookup_done(l, NULL, NULL);
}

static void finish_login(struct http_question *q, struct arena *a)
{
	struct msg_login_answer m = {0};
	struct http_login_result r = {.verdict = LOGIN_LATER};

	if (q->type == MSG_LOGIN_ANSWER && msg_login_answer_decode(a, buf_span(&q->answer), &m))
		r = (struct http_login_result){
			.verdict = login_verdict_of(m.verdict),
			.text = m.text,
			.reason = m.reason,
			.wants_factor = m.second_factor,
			.session = m.session,
			.session_until_us = m.session_until_us,
			.account = m.account,
			.person = m.person,
		};
	if (!r.text.n)
		r.text = span_str(login_text(r.verdict));
	http_count(r.verdict == LOGIN_FINE ? HTTP_LOGINS : HTTP_LOGINS_REFUSED, 1);
	q->login_done(q->x, &r);
}

static void finish_order(struct http_question *q, struct arena *a)
{
	struct msg_order_answer m = {0};
	struct http_order_result r = {.is_later = true};

	if (q->type == MSG_ORDER_ANSWER && msg_order_answer_decode(a, buf_span(&q->answer), &m))
		r = (struct http_order_result){
			.ok = m.ok,
			.verdict = login_verdict_of(m.verdict),
			.text = m.text,
			.reason = m.reason,
			.json = m.json,
			.session = m.session,
			.session_until_us = m.session_until_us,
			.is_later = span_eq(m.reason, SPAN_LIT("later")),
		};
	q->order_done(q->x, &r);
}

static void settle(struct http_question *q)
{
	struct arena a;

	arena_init(&a, ANSWER_ARENA_BYTES);
	if (q->x)
		q->x->question = NULL;
	if (q->lookup)
		finish_lookup(q, &a);
	else if (q->x && q->login_done)
		finish_login(q, &a);
	else if (q->x)
		finish_order(q, &a);
	arena_fini(&a);
	question_free(q);
}

static void on_time(void *arg)
{
	settle(arg);
}

/* ---- asking ---- */

static struct http_question *ask(struct http_host *h, uint64_t id, unsigned type, struct buf *body)
{
	struct http_question *q;

	if (!tell(h, type, body))
		return NULL;
	q = must_alloc(sizeof *q);
	q->id = id;
	q->host = h;
	q->timer = loop_timer_new(h->loop, on_time, q);
	loop_timer_set(q->timer, LOGIN_WAIT_MS * 1000ull);
	(void)map_put(&h->questions, map_key_u64(&q->id), q);
	return q;
}

static uint64_t next_id(struct http_host *h)
{
	return ++h->next_question | ID_BIT;
}

bool http_ask_session(struct http_lookup *l, struct http_host *h, struct span session,
		      const char *peer)
{
	struct http_question *q;
	struct buf body = {0};
	uint64_t id = next_id(h);

	msg_session_ask_encode(
		&body,
		&(struct msg_session_ask){.id = id, .session = session, .source = span_str(peer)});
	q = ask(h, id, MSG_SESSION_ASK, &body);
	if (q)
		q->lookup = l;
	return q != NULL;
}

static bool is_secure(const struct http_host *h, const struct http_ask *a)
{
	return a->is_secure ||
	       h->rules->allows_clear; /* without TLS only where this machine alone can come */
}

static struct http_question *ask_password(struct http_host *h, struct span plain,
					  const struct http_ask *a, const char *session_for)
{
	struct buf body = {0};
	uint64_t id = next_id(h);

	msg_sasl_start_encode(&body, &(struct msg_sasl_start){
					     .id = id,
					     .mechanism = SPAN_LIT("PLAIN"),
					     .has_initial = true,
					     .initial = plain,
					     .source = span_str(a->peer),
					     .service = SPAN_LIT("https"),
					     .secure = is_secure(h, a),
					     .session_for = span_str(session_for),
					     .agent = a->agent,
				     });
	return ask(h, id, MSG_SASL_START, &body);
}

bool http_ask_password(struct http_lookup *l, struct http_host *h, struct span plain,
		       const struct http_ask *a)
{
	struct http_question *q = ask_password(h, plain, a, "");

	if (q)
		q->lookup = l;
	return q != NULL;
}

static void await_login(struct http_exchange *x, struct http_question *q, http_login_done *done)
{
	const struct http_login_result later = {.verdict = LOGIN_LATER,
						.text = span_str(login_text(LOGIN_LATER))};

	if (!q) {
		done(x, &later);
		return;
	}
	q->x = x;
	q->login_done = done;
	x->question = q;
}

void http_login_password(struct http_exchange *x, struct span account, struct span password,
			 http_login_done *done)
{
	const struct http_login_result malformed = {.verdict = LOGIN_REFUSED,
						    .text = span_str(login_text(LOGIN_REFUSED))};
	struct http_question *q;
	struct buf plain = {0};

	if (account.n > LOGIN_NAME_LIMIT_BYTES || password.n > LOGIN_PASSWORD_LIMIT_BYTES ||
	    span_chr(account, 0) >= 0 || span_chr(password, 0) >= 0) {
		done(x, &malformed);
		return;
	}
	(void)buf_append_byte(&plain, 0);
	(void)buf_append(&plain, account);
	(void)buf_append_byte(&plain, 0);
	(void)buf_append(&plain, password);
	q = ask_password(x->host, buf_span(&plain), &x->ask, x->host->options->use);
	wipe(&plain);
	if (q)
		q->is_login = true;
	await_login(x, q, done);
}

void http_login_factor(struct http_exchange *x, struct span account, struct span ticket,
		       struct span code, http_login_done *done)
{
	struct buf body = {0};
	uint64_t id = next_id(x->host);

	msg_factor_use_encode(&body, &(struct msg_factor_use){.id = id,
							      .account = account,
							      .code = code,
							      .source = span_str(x->ask.peer),
							      .ticket = ticket});
	await_login(x, ask(x->host, id, MSG_FACTOR_USE, &body), done);
}

void http_login_invitation(struct http_exchange *x, struct span account, struct span code,
			   struct span password, http_login_done *done)
{
	struct buf body = {0};
	uint64_t id = next_id(x->host);

	msg_invite_use_encode(&body, &(struct msg_invite_use){
					     .id = id,
					     .account = account,
					     .code = code,
					     .password = password,
					     .source = span_str(x->ask.peer),
					     .session_for = span_str(x->host->options->use),
					     .agent = x->ask.agent,
				     });
	await_login(x, ask(x->host, id, MSG_INVITE_USE, &body), done);
}

void http_logout(struct http_exchange *x)
{
	struct span session = x->ask.person ? x->ask.person->session : SPAN_NONE;
	struct buf body = {0};

	if (!session.n)
		return;
	msg_session_end_encode(&body, &(struct msg_session_end){session});
	(void)tell(x->host, MSG_SESSION_END, &body);
	http_person_end_session(x->host, session);
}

static void await_order(struct http_exchange *x, struct http_question *q, http_order_done *done)
{
	const struct http_order_result later = {.is_later = true,
						.text = span_str(login_text(LOGIN_LATER))};

	if (!q) {
		done(x, &later);
		return;
	}
	q->x = x;
	q->order_done = done;
	x->question = q;
}

void http_order_self(struct http_exchange *x, const struct http_self_order *o,
		     http_order_done *done)
{
	struct buf body = {0};
	uint64_t id = next_id(x->host);

	msg_self_order_encode(&body, &(struct msg_self_order){
					     .id = id,
					     .session = x->ask.person->session,
					     .verb = o->verb,
					     .argument = o->argument,
					     .password = o->password,
					     .new_password = o->new_password,
					     .source = span_str(x->ask.peer),
				     });
	await_order(x, ask(x->host, id, MSG_SELF_ORDER, &body), done);
}

void http_order_admin(struct http_exchange *x, unsigned type, struct span body,
		      http_order_done *done)
{
	struct buf out = {0};
	uint64_t id = next_id(x->host);

	msg_admin_order_encode(&out, &(struct msg_admin_order){
					     .id = id,
					     .session = x->ask.person->session,
					     .type = (uint16_t)type,
					     .body = body,
					     .source = span_str(x->ask.peer),
				     });
	await_order(x, ask(x->host, id, MSG_ADMIN_ORDER, &out), done);
}

void http_ask_cancel(struct http_exchange *x)
{
	struct http_question *q = x->question;
	struct buf body = {0};

	if (!q)
		return;
	x->question = NULL;
	if (q->is_login && !q->type) {
		msg_sasl_cancel_encode(&body, &(struct msg_sasl_cancel){q->id});
		(void)tell(q->host, MSG_SASL_CANCEL, &body);
	}
	question_free(q);
}

/* ---- answers ---- */

static enum rc answered(struct http_host *h, uint64_t id, unsigned type, struct span body,
			uint32_t delay_ms)
{
	struct http_question *q;

	if (!(id & ID_BIT))
		return MORE;
	q = map_get(&h->questions, map_key_u64(&id));
	if (!q || q->type)
		return OK;
	q->type = type;
	(void)buf_append(&q->answer, body);
	if (delay_ms)
		loop_timer_set(q->timer,
			       (delay_ms < LOGIN_WAIT_MS ? delay_ms : LOGIN_WAIT_MS) * 1000ull);
	else
		settle(q);
	return OK;
}

static enum rc on_login(struct http_host *h, struct arena *a, struct span body)
{
	struct msg_login_answer m;

	if (!msg_login_answer_decode(a, body, &m) || m.account.n > LOGIN_NAME_LIMIT_BYTES)
		return REFUSED;
	return answered(h, m.id, MSG_LOGIN_ANSWER, body, m.delay_ms);
}

static enum rc on_session(struct http_host *h, struct arena *a, struct span body)
{
	struct msg_session_answer m;

	if (!msg_session_answer_decode(a, body, &m) || m.account.n > LOGIN_NAME_LIMIT_BYTES)
		return REFUSED;
	return answered(h, m.id, MSG_SESSION_ANSWER, body, 0);
}

static enum rc on_order(struct http_host *h, struct arena *a, struct span body)
{
	struct msg_order_answer m;

	if (!msg_order_answer_decode(a, body, &m))
		return REFUSED;
	return answered(h, m.id, MSG_ORDER_ANSWER, body, m.delay_ms);
}

static enum rc on_ended(struct http_host *h, struct arena *a, struct span body)
{
	struct msg_sessions_ended m;

	if (!msg_sessions_ended_decode(a, body, &m))
		return REFUSED;
	http_person_end_hashes(h, m.hashes, m.hashes_n);
	return OK;
}

static enum rc on_accounts(struct http_host *h, struct arena *a, struct span body)
{
	struct msg_accounts_changed m;

	if (!msg_accounts_changed_decode(a, body, &m))
		return REFUSED;
	http_person_end_accounts(h, m.accounts, m.accounts_n);
	return MORE; /* others hear it, too */
}

enum rc http_host_heard(struct http_host *h, unsigned type, struct span body)
{
	struct arena a;
	enum rc rc = MORE;

	arena_init(&a, ANSWER_ARENA_BYTES);
	if (type == MSG_LOGIN_ANSWER)
		rc = on_login(h, &a, body);
	else if (type == MSG_SESSION_ANSWER)
		rc = on_session(h, &a, body);
	else if (type == MSG_ORDER_ANSWER)
		rc = on_order(h, &a, body);
	else if (type == MSG_SESSIONS_ENDED)
		rc = on_ended(h, &a, body);
	else if (type == MSG_ACCOUNTS_CHANGED)
		rc = on_accounts(h, &a, body);
	arena_fini(&a);
	if (type == MSG_SESSIONS_ENDED || type == MSG_ACCOUNTS_CHANGED)
		http_exchange_tick(h); /* streams of who is over end now */
	return rc;
}

void http_ask_fail_all(struct http_host *h)
{
	struct http_question *q;
	struct span key;
	size_t cursor;
	void *value;

	for (;;) {
		cursor = 0;
		q = NULL;
		while (!q && map_next(&h->questions, &cursor, &key, &value))
			q = ((struct http_question *)value)->type ? NULL : value;
		if (!q)
			return;
		q->type = 1; /* none of the answers */
		settle(q);
	}
}

void http_ask_fini(struct http_host *h)
{
	map_fini(&h->questions, NULL);
}
