/*
 * Logins: SASL bytes go to auth, its challenges and verdicts come back. With auth away, or silent for LOGIN_WAIT_MS, a login
 * fails for now (454 4.7.0) and the session stays. A verdict is said no sooner than auth wants it (A3 of auth/login.h);
 * meanwhile the engine's question stays open, so nothing else of the client is read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/login.h"
#include "base/must.h"
#include "role/submission/internal.h"

struct login_question {
	struct list link; /* login_asker.open */
	uint64_t id, until_us;
	struct submitter *who;
};

struct login_asker {
	struct submission *own;
	struct link *link;
	unsigned instance;
	uint64_t last_id;
	struct list open; /* by the time at which they end */
	struct loop_timer *timer;
	struct arena scratch;
	struct buf frame;
};

static void answer_later(struct submitter *w, unsigned code, const char *enhanced, const char *text,
			 uint64_t wait_ms);

static void end_question(struct submitter *w)
{
	if (!w->login)
		return;
	list_remove(&w->login->link);
	free(w->login);
	w->login = NULL;
}

static void not_now(struct submitter *w)
{
	end_question(w);
	answer_later(w, 454, "4.7.0", "Logins cannot be checked at the moment; try again later", 0);
}

/* ---- answers ---- */

static void say_late(void *arg)
{
	struct submitter *w = arg;

	if (w->waiting) {
		w->waiting = NULL;
		edge_answer(w->session, w->late_code, w->late_enhanced, w->late_text, 0);
	}
}

static void answer_later(struct submitter *w, unsigned code, const char *enhanced, const char *text,
			 uint64_t wait_ms)
{
	w->waiting = w->session;
	w->late_code = code;
	(void)snprintf(w->late_enhanced, sizeof w->late_enhanced, "%s", enhanced);
	(void)snprintf(w->late_text, sizeof w->late_text, "%s", text);
	if (wait_ms == 0) {
		say_late(w);
		return;
	}
	if (!w->delay)
		w->delay = loop_timer_new(w->session->edge->loop, say_late, w);
	loop_timer_set(w->delay, wait_ms * 1000);
}

static void keep_account(struct submitter *w, const struct msg_login_answer *m)
{
	size_t n =
		m->send_as_n < SUBMISSION_SEND_AS_LIMIT ? m->send_as_n : SUBMISSION_SEND_AS_LIMIT;

	arena_reset(&w->arena);
	(void)snprintf(w->account, sizeof w->account, "%.*s", SPAN_FMT(m->account));
	w->send_as = arena_array(&w->arena, n + 1, sizeof *w->send_as);
	w->send_as_n = 0;
	for (size_t i = 0; w->send_as && i < n; i++) {
		struct span it = arena_span(&w->arena, m->send_as[i]);

		if (it.p)
			w->send_as[w->send_as_n++] = it;
	}
}

static void on_verdict(struct submitter *w, const struct msg_login_answer *m)
{
	enum login_verdict verdict = login_verdict_of(m->verdict);
	const char *code = login_smtp(verdict); /* "535 5.7.8" */
	char text[sizeof w->late_text];
	uint64_t wait_ms = m->delay_ms < LOGIN_WAIT_MS ? m->delay_ms : LOGIN_WAIT_MS;

	if (m->text.n)
		(void)snprintf(text, sizeof text, "%.*s",
			       (int)(m->text.n < sizeof text ? m->text.n : sizeof text - 1),
			       (const char *)m->text.p);
	else
		(void)snprintf(text, sizeof text, "%s", login_text(verdict));
	say(verdict == LOGIN_FINE ? SAY_INFO : SAY_NOTICE, "login", "verdict",
	    SAY_STR(login_verdict_name(verdict)), "account", SAY_SPAN(m->account), "peer",
	    SAY_STR(w->session->peer), NULL);
	if (verdict == LOGIN_FINE) {
		keep_account(w, m);
		if (m->final.n) { /* the client's empty response follows (RFC 4954 s4) */
			w->has_final = true;
			smtp_server_challenge(w->session->smtp, m->final);
			edge_session_go_on(w->session);
			return;
		}
	}
	answer_later(w, (unsigned)strtoul(code, NULL, 10), strlen(code) > 4 ? code + 4 : "4.7.0",
		     text, wait_ms);
}

static struct submitter *asker_of(struct login_asker *a, uint64_t id)
{
	LIST_EACH (at, &a->open) {
		struct login_question *q = LIST_ENTRY(at, struct login_question, link);

		if (q->id == id)
			return q->who;
	}
	return NULL; /* given up, or never asked */
}

static void on_accounts_changed(struct submission *own, const struct msg_accounts_changed *m)
{
	static const struct smtp_reply changed = {
		421,
		"4.7.0",
		{(const unsigned char *)"Your account has changed; log in again", 38}};

	LIST_EACH_SAFE (at, &own->edge->sessions) {
		struct edge_session *s = LIST_ENTRY(at, struct edge_session, link);
		struct submitter *w = s->own;

		for (size_t i = 0; w && w->account[0] && i < m->accounts_n; i++) {
			if (!span_eq_nocase(m->accounts[i], span_str(w->account)))
				continue;
			w->account[0] =
				'\0'; /* the next MAIL hears it; a message in reception is finished */
			if (!smtp_server_is_receiving(s->smtp) && !smtp_server_is_asking(s->smtp)) {
				smtp_server_end(s->smtp, &changed);
				edge_session_go_on(s);
			}
		}
	}
}

static void on_mechanisms(struct submission *own, const struct msg_mechanisms *m)
{
	buf_clear(&own->mechanisms);
	for (size_t i = 0; i < m->names_n && own->mechanisms.n < 80; i++)
		buf_printf(&own->mechanisms, "%s%.*s", i ? " " : "", SPAN_FMT(m->names[i]));
	edge_use_policy(own->edge);
}

static bool take(struct login_asker *a, unsigned type, struct span body)
{
	struct msg_sasl_challenge challenge;
	struct msg_login_answer verdict;
	struct msg_mechanisms mechanisms;
	struct msg_accounts_changed changed;
	struct submitter *w;

	if (type == MSG_SASL_CHALLENGE &&
	    msg_sasl_challenge_decode(&a->scratch, body, &challenge)) {
		w = asker_of(a, challenge.id);
		if (w) {
			smtp_server_challenge(w->session->smtp, challenge.challenge);
			edge_session_go_on(w->session);
		}
	} else if (type == MSG_LOGIN_ANSWER &&
		   msg_login_answer_decode(&a->scratch, body, &verdict)) {
		w = asker_of(a, verdict.id);
		if (w) {
			end_question(w);
			on_verdict(w, &verdict);
		}
	} else if (type == MSG_MECHANISMS &&
		   msg_mechanisms_decode(&a->scratch, body, &mechanisms)) {
		on_mechanisms(a->own, &mechanisms);
	} else if (type == MSG_ACCOUNTS_CHANGED &&
		   msg_accounts_changed_decode(&a->scratch, body, &changed)) {
		on_accounts_changed(a->own, &changed);
	} else {
		return false;
	}
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct login_asker *a = arg;
	bool is_good = take(a, type, body);

	(void)l;
	arena_reset(&a->scratch);
	return is_good;
}

/* ---- the link ---- */

/* Those whose turn it is; a client that is to answer a challenge hears it when it does. */
static void fail_all(struct login_asker *a, uint64_t before_us)
{
	LIST_EACH_SAFE (at, &a->open) {
		struct login_question *q = LIST_ENTRY(at, struct login_question, link);
		struct submitter *w = q->who;

		if (q->until_us > before_us)
			break;
		if (smtp_server_is_asking(w->session->smtp))
			not_now(w);
		else
			end_question(w);
	}
}

static void on_closed(void *arg, struct link *l)
{
	struct login_asker *a = arg;

	(void)l;
	a->link = NULL;
	role_link_lost(a->own->edge->role, ROLE_AUTH, a->instance);
	fail_all(a, UINT64_MAX);
}

static void on_time(void *arg)
{
	struct login_asker *a = arg;

	fail_all(a, loop_now_us(a->own->edge->loop));
	loop_timer_set(a->timer, 1000000);
}

struct login_asker *login_asker_new(struct submission *own)
{
	struct login_asker *a = must_alloc(sizeof *a);

	a->own = own;
	list_init(&a->open);
	arena_init(&a->scratch, 1 << 20);
	a->timer = loop_timer_new(own->edge->loop, on_time, a);
	loop_timer_set(a->timer, 1000000);
	return a;
}

bool login_asker_link(struct edge *e, enum role_id peer, unsigned instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};
	struct submission *own = e->own;
	struct login_asker *a = own->asker;

	if (peer != ROLE_AUTH)
		return false;
	link_close(a->link);
	fail_all(a, UINT64_MAX);
	a->instance = instance;
	a->link = link_new(e->loop, fd, &ops, a);
	(void)link_send(a->link, MSG_MECHANISMS_ASK, SPAN_NONE);
	return true;
}

static bool tell(struct login_asker *a, unsigned type)
{
	bool ok = a->link && link_send(a->link, type, buf_span(&a->frame)) == OK;

	if (a->frame.p)
		explicit_bzero(a->frame.p, a->frame.n);
	buf_clear(&a->frame);
	return ok;
}

/* ---- what the engine asks ---- */

static void start(struct login_asker *a, struct submitter *w, const struct smtp_auth *auth)
{
	struct edge_session *s = w->session;
	struct login_question *q = must_alloc(sizeof *q);

	login_forget(w);
	q->id = ++a->last_id;
	q->who = w;
	q->until_us = loop_now_us(s->edge->loop) + LOGIN_WAIT_MS * 1000ull;
	w->login = q;
	list_append(&a->open, &q->link);
	msg_sasl_start_encode(&a->frame, &(struct msg_sasl_start){
						 .id = q->id,
						 .mechanism = auth->mechanism,
						 .has_initial = auth->has_response,
						 .initial = auth->response,
						 .source = span_str(s->peer),
						 .service = SPAN_LIT("submission"),
						 .secure = conn_is_tls(s->conn) ||
							   s->policy->service.auth_in_clear,
					 });
	if (!tell(a, MSG_SASL_START))
		not_now(w);
}

static void go_on(struct login_asker *a, struct submitter *w, const struct smtp_auth *auth)
{
	struct login_question *q = w->login;

	if (w->has_final) { /* it has won already */
		w->has_final = false;
		answer_later(w, 235, "2.7.0", "Welcome", 0);
		return;
	}
	if (!q) { /* auth went away between challenge and response */
		not_now(w);
		return;
	}
	q->until_us = loop_now_us(w->session->edge->loop) + LOGIN_WAIT_MS * 1000ull;
	list_remove(&q->link);
	list_append(&a->open, &q->link);
	msg_sasl_more_encode(&a->frame,
			     &(struct msg_sasl_more){.id = q->id, .response = auth->response});
	if (!tell(a, MSG_SASL_MORE))
		not_now(w);
}

static void cancel(struct login_asker *a, struct submitter *w)
{
	if (!w->login)
		return;
	msg_sasl_cancel_encode(&a->frame, &(struct msg_sasl_cancel){.id = w->login->id});
	(void)tell(a, MSG_SASL_CANCEL);
	end_question(w);
}

void login_step(struct edge_session *s, enum smtp_step step)
{
	struct submitter *w = submitter_of(s);
	struct login_asker *a = ((struct submission *)s->edge->own)->asker;
	const struct smtp_auth *auth = smtp_server_auth(s->smtp);

	if (step == SMTP_AUTH_END) {
		login_forget(w);
	} else if (auth->response.n > LOGIN_SASL_LIMIT_BYTES) {
		login_forget(w);
		answer_later(w, 501, "5.5.2", "That is too long for a login", 0);
	} else if (step == SMTP_AUTH) {
		start(a, w, auth);
	} else {
		go_on(a, w, auth);
	}
}

void login_forget(struct submitter *w)
{
	struct submission *own = w->session->edge->own;

	cancel(own->asker, w);
	loop_timer_free(w->delay);
	w->delay = NULL;
	w->waiting = NULL;
	w->has_final = false;
	w->account[0] = '\0';
	w->send_as_n = 0;
	arena_reset(&w->arena);
}
