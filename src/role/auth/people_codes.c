/* What the command line orders of an account's codes, sessions and consent; the first and the last people order too (self.c). */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/auth/orders.h"

#define HOUR_MS UINT64_C(3600000)

/* ---- app passwords ---- */

static size_t app_named(const struct account *account, const char *name)
{
	size_t at = 0;

	while (at < account->apps_n && strcmp(account->apps[at].name, name) != 0)
		at++;
	return at;
}

/* What a JMAP program sends in place of name and password (RFC 6750): base64url(account NUL app password). */
static void bearer(const char *account, const char *code, struct buf *out)
{
	struct buf both = {0};

	buf_append(&both, span_str(account));
	buf_append_byte(&both, 0);
	buf_append(&both, span_str(code));
	secret_base64url(out, buf_span(&both));
	secret_wipe_buf(&both);
}

static void app_add(struct asker *c, const struct member *who, const char *name)
{
	struct buf token = {0};
	unsigned char random[SECRET_CODE_RANDOM_BYTES];
	char code[SECRET_CODE_TEXT_BYTES], plain[SECRET_CODE_BYTES + 1];
	struct account_app *app;
	struct order *o;

	if (who->account.apps_n == ACCOUNT_APPS ||
	    app_named(&who->account, name) < who->account.apps_n) {
		if (who->account.apps_n == ACCOUNT_APPS)
			people_refuse(c, "limit",
				      "there are 16 app passwords already; remove one first");
		else
			people_refuse(c, "name",
				      "there is one of this name already; remove it first");
		return;
	}
	os_random(c->auth->os, random, sizeof random);
	secret_code(random, code);
	must(secret_code_read(span_str(code), plain));
	o = order_new(c, &who->account, "user.app-password");
	o->change = ACCOUNT_RENEWED;
	app = &o->next.apps[o->next.apps_n++];
	(void)snprintf(app->name, sizeof app->name, "%s", name);
	account_hash_code(&o->next, span_str(plain), app->hash);
	app->made_us = auth_wall(c->auth);
	(void)snprintf(o->argument, sizeof o->argument, "add %s", name);
	bearer(o->next.name, code, &token);
	order_json(o,
		   json_pack("{s:s, s:o, s:s, s:s}", "account", o->next.name, "name",
			     people_text_json(name), "password", code, "token", buf_cstr(&token)));
	(void)snprintf(o->text, sizeof o->text,
		       "the app password `%s` of %s, shown only now: %s\nas a bearer token, for "
		       "programs that speak JMAP: %s",
		       name, o->next.name, code, buf_cstr(&token));
	order_commit(o);
	secret_wipe_buf(&token);
	secret_wipe(code, sizeof code);
	secret_wipe(plain, sizeof plain);
}

static void app_remove(struct asker *c, const struct member *who, const char *name)
{
	size_t at = app_named(&who->account, name);
	struct order *o;

	if (at == who->account.apps_n) {
		people_refuse(
			c, "unknown",
			"there is no app password of this name; `holdfast user show` lists them");
		return;
	}
	o = order_new(c, &who->account, "user.app-password");
	o->change = ACCOUNT_PROGRAMS_ENDED;
	memmove(&o->next.apps[at], &o->next.apps[at + 1],
		(o->next.apps_n - at - 1) * sizeof *o->next.apps);
	o->next.apps_n--;
	(void)snprintf(o->argument, sizeof o->argument, "remove %s", name);
	(void)snprintf(o->text, sizeof o->text, "the app password `%s` of %s no longer works", name,
		       o->next.name);
	order_commit(o);
}

void people_app(struct asker *c, const struct member *who, struct span verb, struct span given)
{
	char name[64];

	people_take_text(name, sizeof name, span_trim(given));
	if (span_eq(verb, SPAN_LIT("list")))
		people_list(c, span_str(who->account.name), SPAN_NONE);
	else if (!name[0])
		people_refuse(c, "name", "give it a name, such as `phone`");
	else if (span_eq(verb, SPAN_LIT("add")))
		app_add(c, who, name);
	else if (span_eq(verb, SPAN_LIT("remove")))
		app_remove(c, who, name);
	else
		people_answer(c, false, "this version does not know that verb", NULL);
}

bool people_app_password(struct asker *c, struct arena *a, struct span body)
{
	struct msg_app_password m;
	struct member *who;

	if (!msg_app_password_decode(a, body, &m))
		return false;
	who = people_member(c, m.account);
	if (who)
		people_app(c, who, m.verb, m.name);
	return true;
}

/* ---- sessions of browsers ---- */

static void end_sessions(struct asker *c, const struct member *who)
{
	struct auth *a = c->auth;
	char text[500], count[24];
	size_t n;
	bool ok = session_end_some(a, span_str(who->account.name), NULL, NULL, &n);

	(void)snprintf(count, sizeof count, "%zu", n);
	books_act(a, "user.sessions-end", span_str(who->account.name), span_str(count), c->who,
		  NULL, NULL);
	(void)snprintf(
		text, sizeof text,
		ok ? "%zu session%s of %s %s over"
		   : "%zu session%s of %s %s over, but the disk could not be told: a restart "
		     "may bring them back until it can",
		n, n == 1 ? "" : "s", who->account.name, n == 1 ? "is" : "are");
	people_answer(c, ok, text, NULL);
}

bool people_user_sessions(struct asker *c, struct arena *a, struct span body)
{
	struct msg_user_sessions m;
	struct member *who;

	if (!msg_user_sessions_decode(a, body, &m))
		return false;
	who = people_member(c, m.account);
	if (!who)
		return true;
	if (m.ends)
		end_sessions(c, who);
	else
		people_answer_json(
			c, "sessions of browsers",
			people_sessions_json(c->auth, span_str(who->account.name), NULL));
	return true;
}

/* ---- consent ---- */

struct consent {
	struct auth *auth;
	uint64_t asker;
};

static void on_consent_recorded(void *arg, bool is_recorded)
{
	struct consent *k = arg;

	people_answer(asker_find(k->auth, k->asker), is_recorded,
		      is_recorded ? "kept, for writing into their mailbox on the primary alone"
				  : "kept, but the ledger cannot be written at the moment",
		      NULL);
	free(k);
}

void people_consent(struct asker *c, const struct member *who, struct span password,
		    uint64_t for_ms)
{
	struct fault why = {""};
	struct consent *k;
	bool ok;

	credential_consent(c->auth, span_str(who->account.name), password,
			   for_ms ? for_ms : 30 * 24 * HOUR_MS, &why, &ok);
	if (!ok) {
		people_answer(c, false, why.text, NULL);
		return;
	}
	k = must_alloc(sizeof *k);
	k->auth = c->auth;
	k->asker = c->number;
	books_act(c->auth, "user.consent", span_str(who->account.name), SPAN_NONE, c->who,
		  on_consent_recorded, k);
}

bool people_home_consent(struct asker *c, struct arena *a, struct span body)
{
	struct msg_home_consent m;
	struct member *who;

	if (!msg_home_consent_decode(a, body, &m))
		return false;
	who = people_member(c, m.account);
	if (who)
		people_consent(c, who, m.password, m.for_ms);
	return true;
}
