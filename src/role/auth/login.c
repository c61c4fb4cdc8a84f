/*
 * Logins: from the bytes of SASL to a verdict.
 *
 *   name and password -> throttle -> cache -> app password -> gate (Argon2id; a dummy for who has no verifier, H-17)
 *   -> if that says no and the site's primary may vouch: its IMAP -> kept verifier
 */
#include "role/auth/login.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

enum { WAIT_MS = 2000, TRIES = 3, PROBE_US = 20000 };

#define ATTEMPT_OF(l) LIST_ENTRY(l, struct attempt, on_peer)

struct say_metric auth_verdicts[LOGIN_LAST + 1] = {
	[LOGIN_FINE] = {"holdfast_auth_logins_total", "Logins that succeeded", SAY_COUNTER, 0},
	[LOGIN_REFUSED] = {"holdfast_auth_refused_total", "Logins with a wrong name or password",
			   SAY_COUNTER, 0},
	[LOGIN_LATER] = {"holdfast_auth_later_total", "Logins that could not be checked",
			 SAY_COUNTER, 0},
	[LOGIN_THROTTLED] = {"holdfast_auth_throttled_total",
			     "Logins not looked at after too many failures", SAY_COUNTER, 0},
};

static void attempt_free(struct attempt *t)
{
	list_remove(&t->on_peer);
	if (t->peer)
		t->peer->attempts_n--;
	sasl_fini(&t->sasl);
	secret_wipe_buf(&t->final);
	secret_wipe(t, sizeof *t);
	free(t);
}

static void send(struct peer *p, unsigned type, struct buf *body)
{
	if (p && link_send(p->link, type, buf_span(body)) != OK)
		say(SAY_WARNING, "link.not_sent", "type", SAY_U64(type), NULL);
	secret_wipe_buf(body);
}

static struct throttle_try try_of(const struct attempt *t)
{
	struct throttle_try who = {.account = span_str(t->name), .source = span_str(t->source)};

	memcpy(who.tag, t->tag, sizeof who.tag);
	return who;
}

/* ---- answers ---- */

static void note(const struct attempt *t, enum login_verdict v, const char *by)
{
	say_count(&auth_verdicts[v], 1);
	say(v == LOGIN_FINE ? SAY_INFO : SAY_NOTICE, "login.judged", "verdict",
	    SAY_STR(login_verdict_name(v)), "account", SAY_STR(t->name), "source",
	    SAY_STR(t->source), "service", SAY_STR(t->service), "by", SAY_STR(by), NULL);
}

/* Of a password that was asked again: only whether it is. */
static void judge(struct attempt *t, enum login_verdict v, const char *by, uint32_t delay_ms)
{
	if (v == LOGIN_FINE && strcmp(by, "invitation") == 0)
		v = LOGIN_REFUSED;
	note(t, v, by);
	t->on_judged(t->judged_arg, v, delay_ms);
	attempt_free(t);
}

static void answer(struct attempt *t, enum login_verdict v, struct member *m, const char *by,
		   uint32_t delay_ms)
{
	struct send_as addresses = {.n = 0};
	struct msg_login_answer out = {.id = t->id,
				       .verdict = (uint8_t)v,
				       .text = span_str(login_text(v)),
				       .delay_ms = delay_ms,
				       .by = span_str(by)};
	char secret[SESSION_TEXT_BYTES + 1] = "";
	struct buf body = {0};

	if (t->on_judged) {
		judge(t, v, by, delay_ms);
		return;
	}
	if (m) {
		login_send_as(t->auth, m->account.name, &addresses);
		out.account = span_str(m->account.name);
		out.person = span_str(m->account.display);
		out.send_as = addresses.list;
		out.send_as_n = addresses.n;
		out.final = buf_span(&t->final);
		if (t->peer && strcmp(by, "invitation") != 0)
			session_grant(t->auth, m, &t->wish, false, &out, secret);
		else if (t->wish.is_wished)
			out.reason = SPAN_LIT("invitation");
		v = (enum login_verdict)out.verdict;
	}
	msg_login_answer_encode(&body, &out);
	send(t->peer, MSG_LOGIN_ANSWER, &body);
	secret_wipe(secret, sizeof secret);
	note(t, v, by);
	attempt_free(t);
}

/* P7: that an account takes no more passwords from places that are not known is written down, once. */
static void note_limit(const struct attempt *t)
{
	struct auth *a = t->auth;

	if (throttle_failures(a->throttle, span_str(t->name)) != THROTTLE_DAY_LIMIT ||
	    !member_find(a, span_str(t->name)))
		return;
	say(SAY_WARNING, "account.throttled", "account", SAY_STR(t->name), "source",
	    SAY_STR(t->source), NULL);
	books_act(a, "user.throttled", span_str(t->name), span_str(t->source), "auth", NULL, NULL);
}

void login_fail(struct attempt *t)
{
	struct throttle_try who = try_of(t);
	uint32_t delay_ms = 0;

	if (t->is_counted) {
		delay_ms = throttle_failed(t->auth->throttle, auth_wall(t->auth), &who);
		note_limit(t);
	}
	answer(t, LOGIN_REFUSED, NULL, "", delay_ms);
}

/* Nothing was learned about the password. */
void login_give_up(struct attempt *t, enum login_verdict v, uint32_t delay_ms)
{
	struct throttle_try who = try_of(t);

	if (t->is_counted)
		throttle_undecided(t->auth->throttle, auth_wall(t->auth), &who);
	answer(t, v, NULL, "", delay_ms);
}

void login_succeed(struct attempt *t, struct member *m, const char *by)
{
	struct throttle_try who = try_of(t);

	if (t->is_counted)
		throttle_passed(t->auth->throttle, auth_wall(t->auth), &who);
	answer(t, LOGIN_FINE, m, by, 0);
}

/* ---- changes that a login brings ---- */

/* A new verifier or keys of the password that was just right. */
static void take_made(struct auth *a, struct member *m, const struct gate_job *job)
{
	struct account *next;
	struct fault why = {""};

	if (!job->made[0] && !job->scram.iterations)
		return;
	next = must_alloc(sizeof *next);
	*next = m->account;
	if (job->made[0])
		memcpy(next->verifier, job->made, sizeof next->verifier);
	if (job->scram.iterations)
		next->scram = job->scram;
	if (!account_replace(a, next, ACCOUNT_RENEWED, &why))
		say(SAY_WARNING, "account.not_renewed", "account", SAY_STR(next->name), "why",
		    SAY_STR(why.text), NULL);
	secret_wipe(next, sizeof *next);
	free(next);
	login_mechanisms_changed(a);
}

bool login_wants_scram(const struct auth *a, const struct member *m)
{
	return a->config->scram && m && !m->account.scram.iterations;
}

/* ---- name and password ---- */

/* With a second factor the password alone opens nothing; for a session the factor is asked for, programs have app passwords. */
static bool opens_alone(const struct attempt *t, const struct member *m)
{
	return !m->account.totp_confirmed || t->wish.is_wished;
}

static void check_password(struct attempt *t);

static void again(struct attempt *t)
{
	struct throttle_try who = try_of(t);

	if (t->is_counted)
		throttle_undecided(t->auth->throttle, auth_wall(t->auth), &who);
	t->is_counted = false;
	if (++t->tries < TRIES)
		check_password(t);
	else
		answer(t, LOGIN_LATER, NULL, "", 0);
}

static void on_verified(void *arg, struct gate_job *job)
{
	struct attempt *t = arg;
	struct auth *a = t->auth;
	struct member *m = member_find(a, span_str(t->name));
	const struct msg_site *site;
	bool matches;

	t->job = NULL;
	if (job->rc == LATER) {
		login_give_up(t, LOGIN_LATER, 0);
		return;
	}
	if (m && m->account.state == ACCOUNT_ACTIVE && m->epoch != t->epoch) {
		again(t); /* it changed meanwhile */
		return;
	}
	matches = job->rc == OK && m && m->account.state == ACCOUNT_ACTIVE;
	if (matches && m->account.is_kept &&
	    !account_kept_is_good(&m->account, auth_wall(a), auth_verifier_age_us(a))) {
		if (vouch_may(a, m, t->name, &site))
			vouch_ask(t, site, true);
		else
			login_fail(t);
		return;
	}
	if (matches) {
		take_made(a, m, job);
		cache_add(a, m, &t->sasl.password);
		vouch_renew(a, m, &t->sasl.password);
		login_succeed(t, m, m->account.is_kept ? "kept" : "password");
		return;
	}
	if (vouch_may(a, m, t->name, &site) && (!m || opens_alone(t, m)))
		vouch_ask(t, site, false);
	else
		login_fail(t);
}

/* An invitation's code, used for the first time by a mail program: from now on its app password. */
static void on_invited(void *arg, bool is_recorded)
{
	struct attempt *t = arg;
	struct member *m = member_find(t->auth, span_str(t->name));

	if (m && is_recorded)
		login_succeed(t, m, "invitation");
	else
		login_give_up(t, LOGIN_LATER, 0);
}

static void use_invitation(struct attempt *t, struct member *m)
{
	struct account *next = must_alloc(sizeof *next);
	struct fault why = {""};
	struct account_app *app;
	bool ok;

	t->is_held = true;
	*next = m->account;
	if (next->apps_n == ACCOUNT_APPS)
		next->apps_n--;
	app = &next->apps[next->apps_n++];
	(void)snprintf(app->name, sizeof app->name, "invitation");
	memcpy(app->hash, next->invitation, sizeof app->hash);
	app->made_us = auth_wall(t->auth);
	next->has_invitation = false;
	next->is_pending = true;
	books_mark(t->auth, &next->pending, "user.invitation-used", span_str(t->source), "auth",
		   m->account.is_pending && m->account.pending.has_directory);
	ok = account_replace(t->auth, next, ACCOUNT_RENEWED, &why);
	secret_wipe(next, sizeof *next);
	free(next);
	if (ok)
		books_account(t->auth, m, on_invited, t);
	else
		login_give_up(t, LOGIN_LATER, 0);
}

/* True: it was a code, and the attempt is on its way or over. */
static bool try_codes(struct attempt *t, struct member *m)
{
	struct span typed = password_span(&t->sasl.password);
	const struct account_app *app = account_app_find(&m->account, typed);
	char by[96];

	/* App passwords are for programs. An invitation in place of the password: invite.c takes it, with a new one. */
	if (app && !t->wish.is_wished) {
		(void)snprintf(by, sizeof by, "app-password %s", app->name);
		login_succeed(t, m, by);
		return true;
	}
	if (!account_invitation_matches(&m->account, typed, auth_wall(t->auth)))
		return false;
	if (t->wish.is_wished)
		login_succeed(t, m, "invitation");
	else
		use_invitation(t, m);
	return true;
}

static void make_tag(struct attempt *t)
{
	const struct span parts[] = {SPAN_LIT("tag"), span_str(t->name),
				     password_span(&t->sasl.password)};
	unsigned char hash[SECRET_HASH_BYTES];

	secret_hmac_parts(span_of(t->auth->run_key, sizeof t->auth->run_key), parts, 3, hash);
	memcpy(t->tag, hash, sizeof t->tag);
}

/* To act as somebody else is nobody's right here. */
static bool is_self(const struct attempt *t)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1];

	return !t->sasl.authorize[0] || strcmp(t->sasl.authorize, t->sasl.name) == 0 ||
	       (account_name(span_str(t->sasl.authorize), name) && strcmp(name, t->name) == 0);
}

/* A look into the cache in spite of the throttle: not so often that it is a way to guess. */
static bool may_probe(struct auth *a, struct member *m)
{
	uint64_t now = auth_mono(a);

	if (m->probed_us && now - m->probed_us < PROBE_US)
		return false;
	m->probed_us = now;
	return true;
}

/* Counts it. False: over. */
static bool may_try(struct attempt *t, struct member *m)
{
	struct auth *a = t->auth;
	struct throttle_try who = try_of(t);
	enum throttle_says says = throttle_ask(a->throttle, auth_wall(a), &who, &t->is_known_good);

	t->is_counted = says != THROTTLE_WAIT;
	/* Somebody guesses from where the owner is, too: the password that was right lately still is. */
	if (m && opens_alone(t, m) &&
	    (says == THROTTLE_GO || (t->is_known_good && may_probe(a, m))) &&
	    cache_has(a, m, &t->sasl.password)) {
		vouch_renew(a, m, &t->sasl.password);
		login_succeed(t, m, m->account.is_kept ? "kept" : "password");
		return false;
	}
	if (says == THROTTLE_WAIT) {
		answer(t, LOGIN_THROTTLED, NULL, "", WAIT_MS);
		return false;
	}
	if (m && try_codes(t, m))
		return false;
	if (says == THROTTLE_CODES_ONLY) {
		login_give_up(t, LOGIN_THROTTLED, WAIT_MS);
		return false;
	}
	return true;
}

static void check_password(struct attempt *t)
{
	struct auth *a = t->auth;
	struct member *m;
	const char *verifier = a->dummy;

	login_find_name(a, t->sasl.name, t->name);
	make_tag(t);
	m = is_self(t) ? member_find(a, span_str(t->name)) : NULL;
	if (m && m->account.state != ACCOUNT_ACTIVE)
		m = NULL;
	t->epoch = m ? m->epoch : 0;
	if (!may_try(t, m))
		return;
	if (m && m->account.verifier[0] && opens_alone(t, m))
		verifier = m->account.verifier;
	t->job = gate_submit(a->gate, &t->sasl.password, verifier,
			     verifier != a->dummy && login_wants_scram(a, m), verifier != a->dummy,
			     t->is_known_good, on_verified, t);
	if (!t->job)
		login_give_up(t, LOGIN_LATER, 0);
}

/* ---- SCRAM ---- */

static void step(struct attempt *t, enum sasl_state state, struct buf *challenge);

static void give_keys(struct attempt *t, struct buf *challenge)
{
	struct auth *a = t->auth;
	enum throttle_says says;
	struct throttle_try who;
	struct scram_keys keys;
	struct member *m;

	login_find_name(a, t->sasl.name, t->name);
	who = try_of(t);
	says = throttle_ask(a->throttle, auth_wall(a), &who, &t->is_known_good);
	t->is_counted = says != THROTTLE_WAIT;
	if (says != THROTTLE_GO) {
		login_give_up(t, LOGIN_THROTTLED, WAIT_MS);
		return;
	}
	m = is_self(t) ? member_find(a, span_str(t->name)) : NULL;
	if (m && m->account.state == ACCOUNT_ACTIVE && m->account.scram.iterations &&
	    !m->account.totp_confirmed) {
		t->epoch = m->epoch;
		keys = m->account.scram;
	} else {
		scram_pretend(span_of(a->key, sizeof a->key), span_str(t->name), &keys);
	}
	step(t, sasl_keys(&t->sasl, &keys, challenge), challenge);
	secret_wipe(&keys, sizeof keys);
}

static void on_proved(struct attempt *t, struct buf *challenge)
{
	struct auth *a = t->auth;
	struct member *m = member_find(a, span_str(t->name));

	if (!m || m->epoch != t->epoch || m->account.state != ACCOUNT_ACTIVE ||
	    (m->account.is_kept &&
	     !account_kept_is_good(&m->account, auth_wall(a), auth_verifier_age_us(a)))) {
		login_fail(t);
		return;
	}
	buf_append(&t->final, buf_span(challenge));
	login_succeed(t, m, "scram");
}

/* ---- the dialogue ---- */

static void step(struct attempt *t, enum sasl_state state, struct buf *challenge)
{
	struct buf body = {0};

	switch (state) {
	case SASL_CHALLENGE:
		msg_sasl_challenge_encode(&body,
					  &(struct msg_sasl_challenge){t->id, buf_span(challenge)});
		send(t->peer, MSG_SASL_CHALLENGE, &body);
		return;
	case SASL_PASSWORD:
		check_password(t);
		return;
	case SASL_KEYS:
		give_keys(t, challenge);
		return;
	case SASL_PROVED:
		on_proved(t, challenge);
		return;
	case SASL_WRONG:
		login_fail(t);
		return;
	case SASL_MALFORMED:
		login_give_up(t, LOGIN_MALFORMED, 0);
		return;
	}
}

static void make_nonce(struct auth *a, char out[SASL_NONCE_BYTES])
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char random[SASL_NONCE_BYTES];

	os_random(a->os, random, sizeof random);
	for (size_t i = 0; i < SASL_NONCE_BYTES; i++)
		out[i] = letters[random[i] & 63];
}

static struct attempt *find(struct peer *p, uint64_t id)
{
	LIST_EACH (l, &p->attempts) {
		if (ATTEMPT_OF(l)->id == id)
			return ATTEMPT_OF(l);
	}
	return NULL;
}

static bool is_offered(const struct auth *a, enum sasl_mechanism m)
{
	return m != SASL_SCRAM || a->scram_offered;
}

void login_start(struct peer *p, const struct msg_sasl_start *m)
{
	struct auth *a = p->auth;
	struct attempt *t = must_alloc(sizeof *t);
	enum sasl_mechanism mechanism;
	char nonce[SASL_NONCE_BYTES];
	struct buf challenge = {0};

	t->auth = a;
	t->peer = p;
	t->id = m->id;
	(void)snprintf(t->source, sizeof t->source, "%.*s", SPAN_FMT(span_first(m->source, 63)));
	(void)snprintf(t->service, sizeof t->service, "%.*s", SPAN_FMT(span_first(m->service, 15)));
	list_init(&t->on_peer);
	list_append(&p->attempts, &t->on_peer);
	p->attempts_n++;
	if (p->attempts_n > AUTH_ATTEMPTS) {
		answer(t, LOGIN_LATER, NULL, "", 0);
	} else if (!sasl_mechanism_of(m->mechanism, &mechanism) || !is_offered(a, mechanism) ||
		   !session_wish_of(p, m->session_for, m->source, m->agent, &t->wish)) {
		answer(t, LOGIN_NO_MECHANISM, NULL, "", 0);
	} else if (!m->secure && a->config->needs_tls_to_login) {
		answer(t, LOGIN_NEEDS_TLS, NULL, "", 0);
	} else {
		make_nonce(a, nonce);
		step(t,
		     sasl_start(&t->sasl, mechanism, nonce, m->has_initial, m->initial, &challenge),
		     &challenge);
	}
	secret_wipe_buf(&challenge);
}

void login_check(struct auth *a, const char *name, struct span password, struct span source,
		 login_judged *on_judged, void *arg)
{
	struct attempt *t = must_alloc(sizeof *t);
	struct buf plain = {0}, challenge = {0};
	char nonce[SASL_NONCE_BYTES] = {0};

	t->auth = a;
	t->on_judged = on_judged;
	t->judged_arg = arg;
	t->wish.is_wished = true;
	(void)snprintf(t->source, sizeof t->source, "%.*s", SPAN_FMT(span_first(source, 63)));
	(void)snprintf(t->service, sizeof t->service, "https");
	list_init(&t->on_peer);
	buf_append_byte(&plain, 0);
	buf_append(&plain, span_str(name));
	buf_append_byte(&plain, 0);
	buf_append(&plain, password);
	step(t, sasl_start(&t->sasl, SASL_PLAIN, nonce, true, buf_span(&plain), &challenge),
	     &challenge);
	secret_wipe_buf(&plain);
	buf_fini(&challenge);
}

bool login_more(struct peer *p, const struct msg_sasl_more *m)
{
	struct attempt *t = find(p, m->id);
	struct buf challenge = {0}, body = {0};

	if (!t) {
		msg_login_answer_encode(
			&body, &(struct msg_login_answer){.id = m->id, .verdict = LOGIN_LATER});
		send(p, MSG_LOGIN_ANSWER, &body);
		return true;
	}
	/* One that is being looked at has nothing to answer: the asker is confused. */
	if (t->job || t->ask || t->is_held)
		return false;
	step(t, sasl_more(&t->sasl, m->response, &challenge), &challenge);
	secret_wipe_buf(&challenge);
	return true;
}

static void let_go(struct attempt *t)
{
	struct throttle_try who = try_of(t);

	list_remove(&t->on_peer);
	t->peer->attempts_n--;
	t->peer = NULL;
	if (t->job || t->is_held) {
		/* It is counted when the gate has looked at it: hanging up is no way around (A13). Not cancelled. */
		return;
	}
	if (t->ask)
		primary_cancel(t->ask);
	if (t->is_counted)
		(void)throttle_failed(t->auth->throttle, auth_wall(t->auth), &who);
	attempt_free(t);
}

void login_cancel(struct peer *p, uint64_t id)
{
	struct attempt *t = find(p, id);

	if (t)
		let_go(t);
}

void login_drop(struct peer *p)
{
	while (!list_is_empty(&p->attempts))
		let_go(ATTEMPT_OF(p->attempts.next));
}

/* ---- mechanisms ---- */

/* SCRAM where every account has keys: else some people's programs would choose it and fail. */
static bool all_have_keys(const struct auth *a)
{
	size_t cursor = 0, n = 0;
	struct span name;
	void *value;

	while (map_next(&a->members, &cursor, &name, &value)) {
		const struct account *account = &((struct member *)value)->account;

		if (account->state != ACCOUNT_ACTIVE)
			continue;
		if (!account->scram.iterations)
			return false;
		n++;
	}
	return n > 0;
}

void login_mechanisms(struct peer *p)
{
	const struct span names[] = {SPAN_LIT("PLAIN"), SPAN_LIT("LOGIN"),
				     SPAN_LIT("SCRAM-SHA-256")};
	struct msg_mechanisms m = {.names = (struct span *)(uintptr_t)names,
				   .names_n = p->auth->scram_offered ? 3 : 2};
	struct buf body = {0};

	msg_mechanisms_encode(&body, &m);
	send(p, MSG_MECHANISMS, &body);
}

void login_mechanisms_changed(struct auth *a)
{
	bool now = a->config->scram && all_have_keys(a);

	if (now == a->scram_offered)
		return;
	a->scram_offered = now;
	LIST_EACH (l, &a->peers) {
		struct peer *p = LIST_ENTRY(l, struct peer, on_auth);

		if (p->role != ROLE_COURIER)
			login_mechanisms(p);
	}
}
