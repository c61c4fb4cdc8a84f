/* An order from the request to the answer: U1 is kept here, for all of them. */
#include "role/auth/orders.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "config/suggest.h"
#include "os/os.h"

struct order *order_new(struct asker *c, const struct account *from, const char *verb)
{
	struct order *o = must_alloc(sizeof *o);

	o->auth = c->auth;
	o->asker = c->number;
	if (from)
		o->next = *from;
	(void)snprintf(o->verb, sizeof o->verb, "%s", verb);
	(void)snprintf(o->actor, sizeof o->actor, "%s", c->who);
	o->change = ACCOUNT_CHANGED;
	return o;
}

void order_fresh(struct order *o, const char *name)
{
	o->next = (struct account){.made_us = auth_wall(o->auth)};
	(void)snprintf(o->next.name, sizeof o->next.name, "%s", name);
	os_random(o->auth->os, o->next.salt, sizeof o->next.salt);
	os_random(o->auth->os, &o->next.seal, sizeof o->next.seal); /* not that of one deleted */
	o->has_directory = true;
}

static void order_end(struct order *o, bool ok)
{
	if (o->on_end)
		o->on_end(o->arg, ok, o->text);
	else
		people_answer(asker_find(o->auth, o->asker), ok, o->text, &o->json);
	secret_wipe_buf(&o->json);
	secret_wipe(o, sizeof *o);
	free(o);
}

void order_fail(struct order *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(o->text, sizeof o->text, format, args);
	va_end(args);
	secret_wipe_buf(&o->json);
	order_end(o, false);
}

static void dump(json_t *object, struct buf *out)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (text)
		buf_append(out, span_str(text));
	free(text);
}

void order_json(struct order *o, json_t *object)
{
	dump(object, &o->json);
}

void people_answer_json(struct asker *c, const char *text, json_t *object)
{
	struct buf json = {0};

	dump(object, &json);
	people_answer(c, true, text, &json);
	secret_wipe_buf(&json);
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct order *o = arg;

	if (is_recorded)
		order_end(o, true);
	else
		order_fail(
			o,
			"%s: it holds for logins, but the ledger cannot be written at the moment; "
			"it is recorded as soon as that works",
			o->next.name);
}

void order_commit(struct order *o)
{
	struct auth *a = o->auth;
	struct fault why = {""};

	/* A mark that is still there is of a record the ledger has not heard: this one says it as well. */
	o->has_directory |= o->next.is_pending && o->next.pending.has_directory;
	o->next.is_pending = true;
	books_mark(a, &o->next.pending, o->verb, span_str(o->argument), o->actor, o->has_directory);
	if (!account_replace(a, &o->next, o->change, &why)) {
		order_fail(o, "not done, or not sure to last through a power cut: %s", why.text);
		return;
	}
	if (o->forgets_failures)
		throttle_forget(a->throttle, span_str(o->next.name), false);
	login_mechanisms_changed(a);
	books_account(a, member_find(a, span_str(o->next.name)), on_recorded, o);
}

static void on_hashed(void *arg, struct gate_job *job)
{
	struct order *o = arg;
	const struct member *m = member_find(o->auth, span_str(o->next.name));

	if (job->rc != OK || !job->made[0]) {
		order_fail(o, "there is no memory for Argon2id (%u KiB); nothing was changed",
			   PASSWORD_KIB);
		return;
	}
	/* What changed while it was hashed stays: only the password is ours. */
	if (m && m->account.state != ACCOUNT_DELETED) {
		if (o->has_directory) {
			order_fail(o, "%s was made by somebody else meanwhile", o->next.name);
			return;
		}
		o->next = m->account;
		o->next.passthrough = o->keeps_passthrough && o->next.passthrough;
	}
	memcpy(o->next.verifier, job->made, sizeof o->next.verifier);
	o->next.is_kept = false;
	o->next.confirmed_us = auth_wall(o->auth);
	o->next.scram = job->scram;
	order_commit(o);
}

void order_commit_password(struct order *o, const struct password *w)
{
	struct auth *a = o->auth;

	if (!gate_submit(a->gate, w, "", a->config->scram, false, true, on_hashed, o))
		order_fail(o, "too many logins are being checked at the moment; try again");
}

/* ---- names ---- */

static void no_domain(const struct auth *a, struct span domain, struct fault *why)
{
	struct arena names = {0};
	struct suggest s;

	suggest_begin(&s, domain);
	for (size_t i = 0; i < a->config->domains_n; i++)
		suggest_offer(&s, arena_str(&names, a->config->domains[i].name));
	if (s.best)
		fault_set(why, "there is no domain `%.*s` in the configuration; did you mean `%s`?",
			  SPAN_FMT(domain), s.best);
	else
		fault_set(why, "there is no domain `%.*s` in the configuration", SPAN_FMT(domain));
	arena_fini(&names);
}

bool people_domain_is_ours(const struct auth *a, struct span domain, struct fault *why)
{
	for (size_t i = 0; i < a->config->domains_n; i++) {
		if (span_eq_nocase(a->config->domains[i].name, domain))
			return true;
	}
	no_domain(a, domain, why);
	return false;
}

bool people_name_is_good(struct auth *a, struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1],
			 struct fault *why)
{
	struct span name, domain;
	ssize_t at;

	if (!account_name(given, out)) {
		fault_set(why, "this is no name: it is empty, too long or has control characters");
		return false;
	}
	name = span_str(out);
	at = span_rchr(name, '@');
	if (at < 0) {
		fault_set(why, "`%s` is no address; write it with its domain, such as %s@%.*s", out,
			  out, a->config->domains_n ? (int)a->config->domains[0].name.n : 11,
			  a->config->domains_n ? (const char *)a->config->domains[0].name.p
					       : "example.com");
		return false;
	}
	domain = span_from(name, (size_t)at + 1);
	if (!auth_domain_of(a, name)) {
		no_domain(a, domain, why);
		return false;
	}
	if (at == 0 || strpbrk(out, " <>(),;:\\\"[]") || span_chr(name, '@') != at) {
		fault_set(why, "`%s` is not written as an address; use letters, digits and .-_+",
			  out);
		return false;
	}
	return true;
}

bool people_new_name(struct asker *c, struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1])
{
	struct fault why = {""};

	if (people_name_is_good(c->auth, given, out, &why))
		return true;
	people_refuse(c, "name", why.text);
	return false;
}

struct member *people_member(struct asker *c, struct span given)
{
	struct auth *a = c->auth;
	char name[LOGIN_NAME_LIMIT_BYTES + 1], text[900];
	struct member *m = NULL;
	struct suggest s;
	size_t cursor = 0;
	struct span each;
	void *value;

	if (account_name(given, name))
		m = member_find(a, span_str(name));
	if (m && m->account.state != ACCOUNT_DELETED)
		return m;
	suggest_begin(&s, span_str(name));
	while (map_next(&a->members, &cursor, &each, &value)) {
		if (((struct member *)value)->account.state != ACCOUNT_DELETED)
			suggest_offer(&s, ((struct member *)value)->account.name);
	}
	if (s.best)
		(void)snprintf(text, sizeof text, "there is no account `%s`; did you mean `%s`?",
			       name, s.best);
	else
		(void)snprintf(text, sizeof text, "there is no account `%s`", name);
	people_refuse(c, "unknown", text);
	return NULL;
}

bool people_password(struct asker *c, struct span given, struct span account, bool short_ok,
		     struct password *out)
{
	const struct member *m = member_find(c->auth, account);
	bool has_factor = m && m->account.totp_confirmed;
	struct fault why = {""};

	if (!password_prepare(given, out)) {
		people_refuse(c, "new-password",
			      "a password has 1 to 1,024 bytes, and no NUL among them");
		return false;
	}
	if (password_is_good(out, account,
			     short_ok || has_factor ? PASSWORD_LEAST_ALLOWED : PASSWORD_LEAST,
			     &why))
		return true;
	people_refuse(c, "new-password", why.text);
	return false;
}

/* ---- aliases ---- */

struct alias_order {
	struct auth *auth;
	uint64_t asker;
	char text[600];
};

static void on_alias_recorded(void *arg, bool is_recorded)
{
	struct alias_order *o = arg;

	people_answer(
		asker_find(o->auth, o->asker), is_recorded,
		is_recorded
			? o->text
			: "the ledger cannot be written at the moment; it is recorded as soon as "
			  "that works",
		NULL);
	free(o);
}

bool people_alias(struct asker *c, struct span address, char **targets, size_t targets_n,
		  const char *verb, const char *text)
{
	struct auth *a = c->auth;
	struct account_pending pending = {0};
	struct fault why = {""};
	struct alias_order *o;
	char name[LOGIN_NAME_LIMIT_BYTES + 1];

	(void)snprintf(name, sizeof name, "%.*s", SPAN_FMT(address));
	books_mark(a, &pending, verb, SPAN_NONE, c->who, true);
	if (!alias_replace(a, name, targets, targets_n, &pending, &why)) {
		people_answer(c, false, why.text, NULL);
		return false;
	}
	o = must_alloc(sizeof *o);
	o->auth = a;
	o->asker = c->number;
	(void)snprintf(o->text, sizeof o->text, "%s", text);
	books_alias(a, alias_find(a, span_str(name)), on_alias_recorded, o);
	return true;
}
