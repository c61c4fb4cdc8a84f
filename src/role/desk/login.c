/*
 * Who somebody is: asked of auth, with a deadline. Desk sees passwords on their way and keeps none. Auth away, or no answer in
 * LOGIN_WAIT_MS: [UNAVAILABLE], the client may try again. An answer is given no sooner than it says (delay_ms).
 * Auth may know an account before the clerk has applied its record, and views may be made anew: that is waited for here.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"

struct desk_login {
	uint64_t id;
	struct desk_session *session;
	struct loop_timer *timer; /* the deadline, then the delay */
	bool is_answered;	  /* waits for the delay */
	bool is_final; /* the mechanism's last word is with the client, whose empty response must come */
	uint64_t enter_until_us; /* let in, but its mailboxes are not there yet; 0: not so */
	enum login_verdict verdict;
	struct buf account, text, final;
};

static void login_free(struct desk_login *l)
{
	(void)map_remove(&l->session->desk->logins, map_key_u64(&l->id));
	l->session->login = NULL;
	loop_timer_free(l->timer);
	buf_fini(&l->account);
	buf_fini(&l->text);
	buf_fini(&l->final);
	free(l);
}

/* ---- to the engine ---- */

static void refuse(struct desk_session *s, enum login_verdict v, struct span text)
{
	if (!text.n)
		text = span_str(login_text(v));
	desk_count(v == LOGIN_REFUSED || v == LOGIN_MALFORMED ? METRIC_LOGINS_REFUSED
							      : METRIC_LOGINS_LATER,
		   1);
	if (s->imap)
		imap_server_login_refused(s->imap, login_imap(v), text);
	else
		pop3_server_unwelcome(s->pop3, login_pop3(v), text, v != LOGIN_LATER);
	desk_session_go_on(s);
}

static void challenge(struct desk_session *s, struct span data)
{
	if (s->imap)
		imap_server_challenge(s->imap, data);
	else
		pop3_server_challenge(s->pop3, data);
	desk_session_go_on(s);
}

static void enter(struct desk_session *s, struct span account)
{
	struct mail_store store;

	if (!desk_session_enter_account(s, account)) {
		refuse(s, LOGIN_LATER,
		       SPAN_LIT("Too many sessions of this account; close some first"));
		return;
	}
	desk_count(METRIC_LOGINS, 1);
	say(SAY_INFO, "login", "account", SAY_SPAN(s->account), "peer", SAY_STR(s->door.peer),
	    "service", SAY_STR(s->imap ? "imap" : "pop3"), NULL);
	desk_store(&s->reader, &store);
	if (s->imap) {
		imap_server_login_fine(s->imap, &store);
	} else {
		pop3_server_welcome(s->pop3, &store);
		if (!pop3_server_is_logged_in(s->pop3))
			desk_session_leave_account(s);
	}
	desk_session_go_on(s);
}

/* True: its mailboxes are not there yet, and are looked for again soon. */
static bool must_wait(struct desk_login *l)
{
	struct desk *d = l->session->desk;
	uint64_t now_us = loop_now_us(d->loop);
	struct fault why = {0};

	if (l->verdict != LOGIN_FINE || !l->account.n)
		return false;
	if (desk_store_account(d, buf_span(&l->account), &l->session->reader.account_id, &why) ==
	    OK)
		return false;
	if (!l->enter_until_us)
		l->enter_until_us = now_us + DESK_ENTER_US;
	if (now_us < l->enter_until_us) {
		loop_timer_set(l->timer, DESK_ENTER_AGAIN_US);
		return true;
	}
	l->verdict = LOGIN_LATER;
	buf_fini(&l->text);
	(void)buf_append(&l->text, SPAN_LIT("Mailboxes are being made; come back in a moment"));
	return false;
}

/* The delay is over. */
static void settle(struct desk_login *l)
{
	struct desk_session *s = l->session;
	enum login_verdict v;
	struct buf account, text;

	if (l->verdict == LOGIN_FINE && l->final.n && !l->is_final) {
		l->is_final = true;
		loop_timer_clear(l->timer); /* the engine has a deadline */
		challenge(s, buf_span(&l->final));
		return;
	}
	if (must_wait(l))
		return;
	v = l->verdict;
	account = l->account;
	text = l->text;
	l->account = l->text = (struct buf){0};
	login_free(l);
	if (v == LOGIN_FINE && account.n)
		enter(s, buf_span(&account));
	else
		refuse(s, v == LOGIN_FINE ? LOGIN_LATER : v, buf_span(&text));
	buf_fini(&account);
	buf_fini(&text);
}

static void on_time(void *arg)
{
	struct desk_login *l = arg;

	if (!l->is_answered)
		l->verdict = LOGIN_LATER;
	settle(l);
}

/* ---- to auth ---- */

static bool tell(struct desk *d, unsigned type, struct buf *body)
{
	bool sent = d->auth && link_send(d->auth, type, buf_span(body)) == OK;

	if (body->p)
		explicit_bzero(body->p, body->cap);
	buf_fini(body);
	return sent;
}

static void cancel(struct desk *d, uint64_t id)
{
	struct buf body = {0};

	msg_sasl_cancel_encode(&body, &(struct msg_sasl_cancel){id});
	(void)tell(d, MSG_SASL_CANCEL, &body);
}

void desk_login_begin(struct desk_session *s, struct span mechanism, bool has_initial,
		      struct span initial)
{
	struct desk *d = s->desk;
	struct desk_login *l;
	struct buf body = {0};

	desk_login_forget(s);
	if (initial.n > LOGIN_SASL_LIMIT_BYTES) {
		refuse(s, LOGIN_MALFORMED, SPAN_NONE);
		return;
	}
	msg_sasl_start_encode(&body,
			      &(struct msg_sasl_start){
				      .id = ++d->next_login,
				      .mechanism = mechanism,
				      .has_initial = has_initial,
				      .initial = initial,
				      .source = span_str(s->door.peer),
				      .service = s->imap ? SPAN_LIT("imap") : SPAN_LIT("pop3"),
				      .secure = desk_session_is_secure(s),
			      });
	if (!tell(d, MSG_SASL_START, &body)) {
		refuse(s, LOGIN_LATER,
		       SPAN_LIT("Logins cannot be checked at the moment; try again soon"));
		return;
	}
	l = must_alloc(sizeof *l);
	l->id = d->next_login;
	l->session = s;
	l->timer = loop_timer_new(d->loop, on_time, l);
	loop_timer_set(l->timer, LOGIN_WAIT_MS * 1000ull);
	s->login = l;
	(void)map_put(&d->logins, map_key_u64(&l->id), l);
}

void desk_login_go_on(struct desk_session *s, struct span response)
{
	struct desk_login *l = s->login;
	struct buf body = {0};

	if (!l) { /* auth has gone since the challenge */
		refuse(s, LOGIN_LATER, SPAN_NONE);
		return;
	}
	if (l->is_final) {
		if (response.n)
			l->verdict = LOGIN_MALFORMED;
		settle(l);
		return;
	}
	msg_sasl_more_encode(&body, &(struct msg_sasl_more){l->id, response});
	if (response.n <= LOGIN_SASL_LIMIT_BYTES && tell(s->desk, MSG_SASL_MORE, &body)) {
		loop_timer_set(l->timer, LOGIN_WAIT_MS * 1000ull);
		return;
	}
	buf_fini(&body);
	cancel(s->desk, l->id);
	login_free(l);
	refuse(s, response.n > LOGIN_SASL_LIMIT_BYTES ? LOGIN_MALFORMED : LOGIN_LATER, SPAN_NONE);
}

void desk_login_forget(struct desk_session *s)
{
	if (!s->login)
		return;
	if (!s->login->is_answered)
		cancel(s->desk, s->login->id);
	login_free(s->login);
}

/* ---- from auth ---- */

static struct desk_login *find(struct desk *d, uint64_t id)
{
	struct desk_login *l = map_get(&d->logins, map_key_u64(&id));

	return l && !l->is_answered ? l : NULL;
}

static bool on_answer(struct desk *d, struct arena *a, struct span body)
{
	struct msg_login_answer answer;
	struct desk_login *l;

	if (!msg_login_answer_decode(a, body, &answer) || answer.account.n > DESK_ACCOUNT_BYTES)
		return false;
	l = find(d, answer.id);
	if (!l)
		return true;
	l->is_answered = true;
	l->verdict = login_verdict_of(answer.verdict);
	(void)buf_append(&l->account, answer.account);
	(void)buf_append(&l->text, answer.text);
	(void)buf_append(&l->final, answer.final);
	if (answer.delay_ms)
		loop_timer_set(l->timer,
			       (answer.delay_ms < LOGIN_WAIT_MS ? answer.delay_ms : LOGIN_WAIT_MS) *
				       1000ull);
	else
		settle(l);
	return true;
}

static bool on_challenge(struct desk *d, struct arena *a, struct span body)
{
	struct msg_sasl_challenge m;
	struct desk_login *l;

	if (!msg_sasl_challenge_decode(a, body, &m))
		return false;
	l = find(d, m.id);
	if (!l)
		return true;
	loop_timer_clear(l->timer); /* the client's turn: the engine has a deadline */
	challenge(l->session, m.challenge);
	return true;
}

static bool on_mechanisms(struct desk *d, struct arena *a, struct span body)
{
	struct msg_mechanisms m;
	char text[sizeof d->mechanisms];
	size_t n = 0;

	if (!msg_mechanisms_decode(a, body, &m))
		return false;
	for (size_t i = 0; i < m.names_n; i++) {
		if (n + m.names[i].n + 2 > sizeof text)
			return false;
		if (n)
			text[n++] = ' ';
		if (m.names[i].n)
			memcpy(text + n, m.names[i].p, m.names[i].n);
		n += m.names[i].n;
	}
	text[n] = '\0';
	if (strcmp(text, d->mechanisms) == 0)
		return true;
	memcpy(d->mechanisms, text, n + 1);
	desk_policy_use_newest(d);
	return true;
}

static void end_sessions_of(struct desk *d, struct span account)
{
	LIST_EACH_SAFE (at, &d->sessions) {
		struct desk_session *s = LIST_ENTRY(at, struct desk_session, link);

		if (s->login && span_eq(buf_span(&s->login->account), account))
			s->login->verdict = LOGIN_LATER; /* on its way in */
		if (s->account.n && span_eq(s->account, account))
			desk_session_end(s, NULL, "Your account has changed; log in again");
	}
}

static bool on_accounts(struct desk *d, struct arena *a, struct span body)
{
	struct msg_accounts_changed m;

	if (!msg_accounts_changed_decode(a, body, &m))
		return false;
	for (size_t i = 0; i < m.accounts_n; i++)
		end_sessions_of(d, m.accounts[i]);
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct desk *d = arg;
	struct arena a;
	bool good = false;
	enum rc rc = http_host_heard(d->http, type, body);

	(void)l;
	if (rc != MORE)
		return rc == OK;
	arena_init(&a, 1 << 20);
	if (type == MSG_LOGIN_ANSWER)
		good = on_answer(d, &a, body);
	else if (type == MSG_SASL_CHALLENGE)
		good = on_challenge(d, &a, body);
	else if (type == MSG_MECHANISMS)
		good = on_mechanisms(d, &a, body);
	else if (type == MSG_ACCOUNTS_CHANGED)
		good = on_accounts(d, &a, body);
	arena_fini(&a);
	return good;
}

static void forget_auth(struct desk *d)
{
	d->auth = NULL;
	http_host_auth(d->http, NULL);
	LIST_EACH_SAFE (at, &d->sessions) {
		struct desk_session *s = LIST_ENTRY(at, struct desk_session, link);

		if (!s->login || s->login->is_answered)
			continue;
		if (s->imap ? false
			    : !pop3_server_is_asking(
				      s->pop3)) { /* the client's turn: told when it comes */
			login_free(s->login);
			continue;
		}
		login_free(s->login);
		refuse(s, LOGIN_LATER,
		       SPAN_LIT("Logins cannot be checked at the moment; try again soon"));
	}
}

static void on_closed(void *arg, struct link *l)
{
	struct desk *d = arg;

	(void)l;
	forget_auth(d);
	role_link_lost(d->role, ROLE_AUTH, d->auth_instance);
}

void desk_auth_link(struct desk *d, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};
	struct buf body = {0};

	if (d->auth) {
		link_close(d->auth);
		forget_auth(d);
	}
	d->auth_instance = instance;
	d->auth = link_new(d->loop, fd, &ops, d);
	http_host_auth(d->http, d->auth);
	msg_mechanisms_ask_encode(&body, &(struct msg_mechanisms_ask){0});
	(void)tell(d, MSG_MECHANISMS_ASK, &body);
}
