/*
 * Sessions of browsers: opened by a login, asked about by desk and console, over at once everywhere (H-08). The table and
 * the lines of the file are auth/session.h, the file is session_file.h.
 */
#include "role/auth/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

#define MINUTE_US (60 * AUTH_SECOND_US)
#define HOUR_US	  (60 * MINUTE_US)
#define EVERY_US  (30 * AUTH_SECOND_US)

enum { TOLD_AT_ONCE = 1000 };

void session_limits(const struct auth *a, struct session_limits *out)
{
	uint64_t idle = a->config->portal.session_ms * 1000;
	uint64_t most = a->config->portal.session_most_ms * 1000;

	idle = idle ? idle : 12 * HOUR_US;
	most = most ? most : 7 * 24 * HOUR_US;
	out->idle_us[SESSION_PORTAL] = idle;
	out->most_us[SESSION_PORTAL] = most;
	out->idle_us[SESSION_ADMIN] = idle < 30 * MINUTE_US ? idle : 30 * MINUTE_US;
	out->most_us[SESSION_ADMIN] = most < 12 * HOUR_US ? most : 12 * HOUR_US;
}

bool session_wish_of(const struct peer *p, struct span session_for, struct span source,
		     struct span agent, struct session_wish *out)
{
	*out = (struct session_wish){.is_wished = session_for.n > 0};
	if (!out->is_wished)
		return true;
	(void)snprintf(out->source, sizeof out->source, "%.*s",
		       SPAN_FMT(span_first(source, sizeof out->source - 1)));
	(void)snprintf(out->agent, sizeof out->agent, "%.*s",
		       SPAN_FMT(span_first(agent, sizeof out->agent - 1)));
	return session_use_of(session_for, &out->use) &&
	       p->role == (out->use == SESSION_ADMIN ? ROLE_CONSOLE : ROLE_DESK);
}

/* ---- telling that they are over ---- */

struct ended {
	struct span hashes[TOLD_AT_ONCE];
	unsigned char kept[TOLD_AT_ONCE][SECRET_HASH_BYTES];
	size_t n;
	struct buf lines;
};

static void tell(struct auth *a, struct ended *e)
{
	struct msg_sessions_ended m = {.hashes = e->hashes, .hashes_n = e->n};
	struct buf body = {0};

	if (e->n == 0)
		return;
	msg_sessions_ended_encode(&body, &m);
	LIST_EACH (l, &a->peers) {
		struct peer *p = LIST_ENTRY(l, struct peer, on_auth);

		if (p->role == ROLE_DESK || p->role == ROLE_CONSOLE)
			(void)link_send(p->link, MSG_SESSIONS_ENDED, buf_span(&body));
	}
	buf_fini(&body);
	e->n = 0;
}

static struct ended *ended_new(void)
{
	return must_alloc(sizeof(struct ended));
}

/* Over in memory, and told: whatever the disk does. */
static void put_out(struct auth *a, struct ended *e, struct session *x)
{
	if (e->n == TOLD_AT_ONCE)
		tell(a, e);
	memcpy(e->kept[e->n], x->hash, sizeof x->hash);
	e->hashes[e->n] = span_of(e->kept[e->n], SECRET_HASH_BYTES);
	e->n++;
	session_put_end(&e->lines, x);
	sessions_end(&a->sessions, x);
}

static bool write_lines(struct auth *a, struct span lines, bool is_synced)
{
	struct fault why = {""};

	if (session_file_add(&a->session_file, &a->sessions, lines, is_synced, &why))
		return true;
	say(SAY_ERROR, "session.not_written", "why", SAY_STR(why.text), NULL);
	if (!a->is_stopping)
		loop_timer_set(a->sessions_at, AUTH_SECOND_US);
	return false;
}

static bool ended_free(struct auth *a, struct ended *e, bool is_synced)
{
	bool ok;

	tell(a, e);
	ok = !e->lines.n || write_lines(a, buf_span(&e->lines), is_synced);
	buf_fini(&e->lines);
	free(e);
	return ok;
}

/* ---- opening ---- */

/* An account's file of before there were sessions has no seal. */
static bool give_seal(struct auth *a, struct member *m)
{
	struct account *next;
	struct fault why = {""};
	bool ok = m->account.seal != 0;

	if (ok)
		return true;
	next = must_alloc(sizeof *next);
	*next = m->account;
	ok = account_replace(a, next, ACCOUNT_RENEWED, &why);
	secret_wipe(next, sizeof *next);
	free(next);
	return ok;
}

/* A disk that takes nothing keeps nobody out: the session is lost with this process then, unless the disk recovers before. */
static const struct session *open_one(struct auth *a, const struct member *m,
				      const struct session_wish *w, const char *secret)
{
	struct session_new n = {.use = w->use,
				.seal = m->account.seal,
				.now_us = auth_wall(a),
				.account = span_str(m->account.name),
				.source = span_str(w->source),
				.agent = span_str(w->agent)};
	struct ended *e = ended_new();
	struct session *x;

	while ((x = sessions_surplus(&a->sessions, n.account)) != NULL)
		put_out(a, e, x);
	session_hash(span_of(secret, SESSION_TEXT_BYTES), n.hash);
	x = sessions_open(&a->sessions, &n);
	session_put_open(&e->lines, x);
	(void)ended_free(a, e, true);
	return x;
}

bool session_begin(struct auth *a, struct member *m, const struct session_wish *w,
		   char secret[SESSION_TEXT_BYTES + 1], uint64_t *out_until_us)
{
	unsigned char random[SESSION_RANDOM_BYTES];
	struct session_limits limits;
	const struct session *x;

	if (!give_seal(a, m))
		return false;
	os_random(a->os, random, sizeof random);
	session_secret(random, secret);
	secret_wipe(random, sizeof random);
	x = open_one(a, m, w, secret);
	session_limits(a, &limits);
	*out_until_us = x->made_us + limits.most_us[x->use];
	say(SAY_INFO, "session.opened", "account", SAY_STR(m->account.name), "use",
	    SAY_STR(session_use_name(w->use)), "source", SAY_STR(w->source), NULL);
	if (w->use == SESSION_ADMIN)
		books_act(a, "user.admin-login", span_str(m->account.name), span_str(w->source),
			  m->account.name, NULL, NULL);
	return true;
}

static void refuse(struct msg_login_answer *out, const char *reason, const char *text)
{
	out->verdict = LOGIN_REFUSED;
	out->account = out->by = out->person = out->final = SPAN_NONE;
	out->send_as_n = 0;
	out->reason = span_str(reason);
	out->text = span_str(text);
}

void session_grant(struct auth *a, struct member *m, const struct session_wish *w, bool has_passed,
		   struct msg_login_answer *out, char secret[SESSION_TEXT_BYTES + 1])
{
	if (!w->is_wished)
		return;
	out->second_factor = m->account.totp_confirmed && !has_passed;
	if (w->use == SESSION_ADMIN && !m->account.is_admin) {
		refuse(out, "not-admin", "this account is not an administrator's");
		return;
	}
	if (w->use == SESSION_ADMIN && !m->account.totp_confirmed) {
		refuse(out, "no-factor",
		       "administrators need a second factor: set it up in the portal's settings, "
		       "or "
		       "have `holdfast user totp` do it");
		return;
	}
	if (out->second_factor) {
		ticket_make(a, m, w, secret, &out->session_until_us);
	} else if (!session_begin(a, m, w, secret, &out->session_until_us)) {
		refuse(out, "", login_text(LOGIN_LATER));
		out->verdict = LOGIN_LATER;
		return;
	}
	out->session = span_of(secret, SESSION_TEXT_BYTES);
}

/* ---- asking ---- */

struct session *session_of(const struct peer *p, struct span secret, struct member **out_member)
{
	struct auth *a = p->auth;
	unsigned char hash[SECRET_HASH_BYTES];
	struct session_limits limits;
	struct member *m;
	struct session *x;

	if (secret.n != SESSION_TEXT_BYTES)
		return NULL;
	session_hash(secret, hash);
	x = sessions_find(&a->sessions, hash);
	session_limits(a, &limits);
	if (!x || session_is_over(x, &limits, auth_wall(a)) ||
	    p->role != (x->use == SESSION_ADMIN ? ROLE_CONSOLE : ROLE_DESK))
		return NULL;
	m = member_find(a, session_account(x));
	if (!m || m->account.state != ACCOUNT_ACTIVE || m->account.seal != x->seal ||
	    (x->use == SESSION_ADMIN && (!m->account.is_admin || !m->account.totp_confirmed)))
		return NULL;
	*out_member = m;
	return x;
}

static void tell_of(struct peer *p, uint64_t id, const struct session *x, const struct member *m)
{
	struct msg_session_answer out = {.id = id, .ok = x != NULL};
	struct send_as addresses = {.n = 0};
	struct session_limits limits;
	struct buf body = {0};

	if (x) {
		session_limits(p->auth, &limits);
		login_send_as(p->auth, m->account.name, &addresses);
		out.account = span_str(m->account.name);
		out.person = span_str(m->account.display);
		out.use = span_str(session_use_name(x->use));
		out.until_us = session_until(x, &limits);
		out.send_as = addresses.list;
		out.send_as_n = addresses.n;
		out.has_factor = m->account.totp_confirmed;
		out.is_admin = m->account.is_admin;
	}
	msg_session_answer_encode(&body, &out);
	(void)link_send(p->link, MSG_SESSION_ANSWER, buf_span(&body));
	buf_fini(&body);
}

void session_ask(struct peer *p, const struct msg_session_ask *m)
{
	struct auth *a = p->auth;
	struct session_limits limits;
	struct member *who = NULL;
	struct session *x = session_of(p, m->session, &who);

	session_limits(a, &limits);
	if (x && m->source.n > 0 && session_used(&a->sessions, x, &limits, auth_wall(a), m->source))
		session_put_used(&a->session_lines, x);
	tell_of(p, m->id, x, who);
}

/* ---- ending ---- */

void session_end(struct peer *p, struct span secret)
{
	struct member *m;
	struct session *x = session_of(p, secret, &m);

	if (x)
		(void)session_end_some(p->auth, session_account(x), x, NULL, NULL);
}

bool session_end_some(struct auth *a, struct span account, struct session *x,
		      const struct session *but, size_t *out_n)
{
	struct ended *e = ended_new();
	struct session *next;
	size_t n = 0;

	if (x) {
		put_out(a, e, x);
		n = 1;
	} else {
		for (x = sessions_of(&a->sessions, account, NULL); x; x = next) {
			next = sessions_of(&a->sessions, account, x);
			if (x == but)
				continue;
			put_out(a, e, x);
			n++;
		}
	}
	if (out_n)
		*out_n = n;
	return ended_free(a, e, true);
}

/* Not synced: the seal is, and with it they are over. */
void session_sealed(struct auth *a, const struct member *m)
{
	struct span account = span_str(m->account.name);
	struct ended *e = ended_new();
	struct session *x, *next;

	for (x = sessions_of(&a->sessions, account, NULL); x; x = next) {
		next = sessions_of(&a->sessions, account, x);
		if (x->seal != m->account.seal || m->account.state != ACCOUNT_ACTIVE)
			put_out(a, e, x);
	}
	(void)ended_free(a, e, false);
}

static bool is_dead(const struct auth *a, const struct session *x,
		    const struct session_limits *limits)
{
	const struct member *m = member_find(a, session_account(x));

	return !m || m->account.state != ACCOUNT_ACTIVE || m->account.seal != x->seal ||
	       session_is_over(x, limits, auth_wall(a));
}

static void sweep(struct auth *a)
{
	struct session_limits limits;
	struct ended *e = ended_new();

	session_limits(a, &limits);
	LIST_EACH_SAFE (l, &a->sessions.by_use) {
		struct session *x = LIST_ENTRY(l, struct session, by_use);

		if (is_dead(a, x, &limits))
			put_out(a, e, x);
	}
	buf_append(&a->session_lines, buf_span(&e->lines));
	buf_clear(&e->lines);
	(void)ended_free(a, e, false);
}

static void on_time(void *arg)
{
	struct auth *a = arg;
	bool ok;

	sweep(a);
	ok = (!a->session_lines.n && session_file_is_well(&a->session_file)) ||
	     write_lines(a, buf_span(&a->session_lines), false);
	buf_clear(&a->session_lines);
	if (ok)
		loop_timer_set(a->sessions_at, EVERY_US);
}

/* ---- life ---- */

bool session_open(struct auth *a, struct fault *why)
{
	char path[AUTH_PATH_BYTES * 2];

	sessions_init(&a->sessions, 0);
	list_init(&a->tickets);
	(void)snprintf(path, sizeof path, "%s/secrets/auth/sessions", role_data(a->role));
	if (!session_file_open(&a->session_file, a->os, path, &a->sessions, why))
		return false;
	if (a->sessions.damaged)
		say(SAY_WARNING, "session.unreadable_lines", "lines", SAY_U64(a->sessions.damaged),
		    NULL);
	a->sessions_at = loop_timer_new(a->loop, on_time, a);
	sweep(a);
	buf_clear(&a->session_lines); /* all of it is written now */
	if (!session_file_renew(&a->session_file, &a->sessions, why))
		return false;
	loop_timer_set(a->sessions_at, EVERY_US);
	return true;
}

void session_stop(struct auth *a)
{
	struct fault why = {""};

	loop_timer_free(a->sessions_at);
	a->sessions_at = NULL;
	if (!session_file_renew(&a->session_file, &a->sessions, &why))
		say(SAY_ERROR, "session.not_written", "why", SAY_STR(why.text), NULL);
	session_file_close(&a->session_file);
}

void session_free(struct auth *a)
{
	ticket_free_all(a);
	sessions_fini(&a->sessions);
	buf_fini(&a->session_lines);
}
