/*
 * What people order for themselves, with their session: the same orders as the command line's, of their own account alone.
 * What would let a thief of the session stay (password, app passwords, factor) asks for the password again, as a login does.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/auth/orders.h"

enum { AT_ONCE = 1024, WAIT_MS = 2000 };

struct self {
	struct auth *auth;
	uint64_t peer, asker;
	const struct verb *verb;
	char session[SESSION_TEXT_BYTES + 1];
	char source[SESSION_SOURCE_BYTES];
	char argument[ACCOUNT_TEXT_BYTES];
	struct password password, new_password; /* as given */
};

/* x is who's, and in order. */
struct verb {
	const char *name;
	bool asks_password, renews;
	void (*run)(struct self *s, struct asker *c, struct member *who, struct session *x);
};

static struct span argument_of(const struct self *s)
{
	return span_str(s->argument);
}

/* ---- password ---- */

/* The primary keeps this one's: to have another here would only confuse, and end when it is seen the next time. */
static bool is_the_primarys(const struct member *who)
{
	return who->account.passthrough && (who->account.is_kept || !who->account.verifier[0]);
}

static void set_password(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	struct password w;
	struct order *o;

	(void)x;
	if (is_the_primarys(who)) {
		people_refuse(c, "primary",
			      "your password is that of your mailbox; change it there");
		return;
	}
	if (!people_password(c, password_span(&s->new_password), span_str(who->account.name), false,
			     &w))
		return;
	o = order_new(c, &who->account, "user.passwd");
	o->change = ACCOUNT_ENDED;
	o->forgets_failures = true;
	o->keeps_passthrough = true;
	(void)snprintf(o->text, sizeof o->text,
		       "you have a new password; you are logged out everywhere else");
	order_commit_password(o, &w);
	password_wipe(&w);
}

/* ---- app passwords ---- */

static void app_add(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)x;
	people_app(c, who, SPAN_LIT("add"), argument_of(s));
}

static void app_remove(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)x;
	people_app(c, who, SPAN_LIT("remove"), argument_of(s));
}

static void show(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	json_t *j = people_account_json(s->auth, &who->account);

	(void)x;
	(void)json_object_set_new(
		j, "consent",
		json_boolean(credential_has_consent(s->auth, span_str(who->account.name))));
	(void)json_object_set_new(j, "password_of_primary", json_boolean(is_the_primarys(who)));
	people_answer_json(c, "your account", j);
}

/* ---- the second factor ---- */

static void factor(struct asker *c, const struct member *who, const char *verb, struct span code)
{
	struct msg_second_factor m = {
		.account = span_str(who->account.name), .verb = span_str(verb), .code = code};

	(void)people_factor(c, &m);
}

static void factor_begin(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)s, (void)x;
	factor(c, who, "begin", SPAN_NONE);
}

/* The password was asked for at the beginning. Codes that are wrong count: six digits can be guessed. */
static void factor_confirm(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	struct auth *a = s->auth;
	struct span code = span_trim(argument_of(s));
	uint64_t step = who->account.totp_step;
	struct throttle_try try =
		factor_try(a, span_str(who->account.name), span_str(s->source), code);
	bool is_known;

	(void)x;
	if (throttle_ask(a->throttle, auth_wall(a), &try, &is_known) != THROTTLE_GO) {
		c->delay_ms = WAIT_MS;
		c->verdict = LOGIN_THROTTLED;
		people_refuse(c, "code", login_text(LOGIN_THROTTLED));
		return;
	}
	if (!who->account.has_totp ||
	    totp_verify(who->account.totp, code, auth_wall(a) / AUTH_SECOND_US, &step))
		throttle_undecided(a->throttle, auth_wall(a), &try);
	else
		c->delay_ms = throttle_failed(a->throttle, auth_wall(a), &try);
	factor(c, who, "confirm", code);
}

static void factor_remove(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)s, (void)x;
	if (who->account.is_admin)
		people_refuse(c, "admin", "an administrator needs the second factor");
	else if (!who->account.has_totp)
		people_refuse(c, "factor", "there is no second factor");
	else
		factor(c, who, "remove", SPAN_NONE);
}

static void codes(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)s, (void)x;
	factor(c, who, "codes", SPAN_NONE);
}

/* ---- sessions ---- */

static void sessions(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	people_answer_json(c, "where you are logged in",
			   people_sessions_json(s->auth, span_str(who->account.name), x));
}

static void ended(struct self *s, struct asker *c, const struct member *who, bool ok, size_t n)
{
	char count[24], text[200];

	(void)snprintf(count, sizeof count, "%zu", n);
	books_act(s->auth, "user.sessions-end", span_str(who->account.name), span_str(count),
		  c->who, NULL, NULL);
	(void)snprintf(text, sizeof text, "%zu session%s %s over%s", n, n == 1 ? "" : "s",
		       n == 1 ? "is" : "are",
		       ok ? "" : ", but the disk could not be told: they may come back");
	people_answer(c, ok, text, NULL);
}

static void session_end_one(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	struct span account = span_str(who->account.name);
	char id[SESSION_ID_BYTES + 1];
	size_t n = 0;
	bool ok;

	for (x = sessions_of(&s->auth->sessions, account, NULL); x;
	     x = sessions_of(&s->auth->sessions, account, x)) {
		session_id(x, id);
		if (strcmp(id, s->argument) == 0)
			break;
	}
	if (!x) {
		people_refuse(c, "unknown", "there is no such session any more");
		return;
	}
	ok = session_end_some(s->auth, account, x, NULL, &n);
	ended(s, c, who, ok, n);
}

static void others_end(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	size_t n;
	bool ok = session_end_some(s->auth, span_str(who->account.name), NULL, x, &n);

	ended(s, c, who, ok, n);
}

/* ---- going home ---- */

static void consent(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	const struct password *w = s->new_password.n ? &s->new_password : &s->password;

	(void)x;
	if (!s->new_password.n && !is_the_primarys(who))
		people_refuse(c, "primary", "give the password of your usual mailbox too");
	else
		people_consent(c, who, password_span(w), 0);
}

static void consent_end(struct self *s, struct asker *c, struct member *who, struct session *x)
{
	(void)x;
	credential_forget(s->auth, span_str(who->account.name));
	books_act(s->auth, "user.consent-end", span_str(who->account.name), SPAN_NONE, c->who, NULL,
		  NULL);
	people_answer(c, true, "it is forgotten", NULL);
}

static const struct verb verbs[] = {
	{"password", true, true, set_password},
	{"app-add", true, false, app_add},
	{"app-remove", false, false, app_remove},
	{"app-list", false, false, show},
	{"factor-begin", true, false, factor_begin},
	{"factor-confirm", false, true, factor_confirm},
	{"factor-remove", true, true, factor_remove},
	{"codes", true, false, codes},
	{"sessions", false, false, sessions},
	{"session-end", false, false, session_end_one},
	{"others-end", false, false, others_end},
	{"consent", true, false, consent},
	{"consent-end", false, false, consent_end},
	{"show", false, false, show},
};

/* ---- from the question to the order ---- */

static const struct verb *verb_of(struct span name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (span_eq(name, span_str(verbs[i].name)))
			return &verbs[i];
	}
	return NULL;
}

static void self_free(struct self *s)
{
	secret_wipe(s, sizeof *s);
	free(s);
}

/* The session may have ended while the password was looked at. Frees s. */
static void run(struct self *s)
{
	struct asker *c = asker_find(s->auth, s->asker);
	const struct peer *p = auth_peer(s->auth, s->peer);
	struct member *who = NULL;
	struct session *x = p && c ? session_of(p, span_str(s->session), &who) : NULL;

	if (!c) {
		self_free(s);
		return;
	}
	c->is_in_call = true;
	if (!x) {
		people_refuse(c, "session", "log in again");
	} else {
		c->renews = s->verb->renews;
		c->wish = (struct session_wish){.is_wished = true, .use = x->use};
		memcpy(c->wish.source, s->source, sizeof s->source);
		memcpy(c->wish.agent, x->agent, sizeof x->agent);
		(void)snprintf(c->account, sizeof c->account, "%s", who->account.name);
		s->verb->run(s, c, who, x);
	}
	asker_done(c, false);
	self_free(s);
}

static void on_judged(void *arg, enum login_verdict v, uint32_t delay_ms)
{
	struct self *s = arg;
	struct asker *c = asker_find(s->auth, s->asker);

	s->auth->selves--;
	if (v == LOGIN_FINE) {
		run(s);
		return;
	}
	if (c) {
		c->verdict = v;
		c->delay_ms = delay_ms;
	}
	people_refuse(c, v == LOGIN_REFUSED ? "password" : "later", login_text(v));
	self_free(s);
}

static struct self *self_new(struct peer *p, const struct asker *c, const struct msg_self_order *m)
{
	struct self *s = must_alloc(sizeof *s);

	s->auth = p->auth;
	s->peer = p->number;
	s->asker = c->number;
	s->verb = verb_of(m->verb);
	(void)snprintf(s->session, sizeof s->session, "%.*s",
		       SPAN_FMT(span_first(m->session, sizeof s->session - 1)));
	(void)snprintf(s->source, sizeof s->source, "%.*s",
		       SPAN_FMT(span_first(m->source, sizeof s->source - 1)));
	(void)snprintf(s->argument, sizeof s->argument, "%.*s",
		       SPAN_FMT(span_first(m->argument, sizeof s->argument - 1)));
	(void)password_prepare(m->password, &s->password); /* none: n is 0 */
	(void)password_prepare(m->new_password, &s->new_password);
	return s;
}

void self_order(struct peer *p, const struct msg_self_order *m)
{
	struct auth *a = p->auth;
	char actor[ACCOUNT_ACTOR_BYTES];
	struct member *who = NULL;
	struct session *x = session_of(p, m->session, &who);
	struct asker *c;
	struct self *s;
	bool asks;

	(void)snprintf(actor, sizeof actor, "%s (%.*s)", x ? who->account.name : "?",
		       SPAN_FMT(span_first(m->source, SESSION_SOURCE_BYTES - 1)));
	c = asker_new(a, actor);
	c->peer = p->number;
	c->id = m->id;
	if (!x || !verb_of(m->verb) || a->selves >= AT_ONCE) {
		people_refuse(c,
			      !x		  ? "session"
			      : !verb_of(m->verb) ? "malformed"
						  : "later",
			      !x ? "log in again" : "this cannot be done now");
		asker_done(c, false);
		return;
	}
	s = self_new(p, c, m);
	asks = s->verb->asks_password;
	c->is_in_call = false; /* whatever answers now ends it */
	if (!asks) {
		run(s);
		return;
	}
	a->selves++;
	login_check(a, who->account.name, m->password, m->source, on_judged, s);
}
