/*
 * Pass-through: the primary's word on a password, kept as a verifier for the day it is down (P5).
 *
 * A kept verifier works until it is verifier_age old. While it does, the primary is asked behind the login's back at most
 * every RENEW_US: yes renews it, no answer changes nothing, and the first login AGAIN_US later asks anew: after an outage
 * it is what brings home what its person did. A no ends it and its sessions, but not a first one: a primary whose directory
 * is down says no to everybody, and that is an outage too. The verifier is only doubted until the primary has taken
 * somebody's password; the no after that is believed. Somebody whom the primary knows and we do not gets an account,
 * recorded before they are let in.
 */
#include "role/auth/login.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "mail/address.h"
#include "os/os.h"

#define RENEW_US   (600 * AUTH_SECOND_US)
#define AGAIN_US   (20 * AUTH_SECOND_US) /* when it did not answer */
#define CONFIRM_US (3600 * AUTH_SECOND_US)
#define OWN_US                                                                                     \
	(3600 * AUTH_SECOND_US) /* a password seen to be the primary's is kept for going home */

/* What may become an account: an address as it is written in envelopes, and nothing that servers read in ways of their own. */
static bool is_plain(const char *name)
{
	struct address a;

	return address_parse(span_str(name), true, &a) == ADDRESS_FINE && !a.is_literal &&
	       !address_is_routed(&a) && !strpbrk(name, "\"\\*/ ");
}

bool vouch_may(const struct auth *a, const struct member *m, const char *name,
	       const struct msg_site **out_site)
{
	*out_site = auth_site_of(a, span_str(name));
	return *out_site && (*out_site)->passthrough && (*out_site)->imap_n > 0 &&
	       (m || is_plain(name)) &&
	       (!m || (m->account.state == ACCOUNT_ACTIVE && m->account.passthrough));
}

/* A password the primary took: an account for it, its verifier kept. */
struct keeping {
	struct auth *auth;
	struct attempt *attempt; /* NULL: nobody waits */
	char name[LOGIN_NAME_LIMIT_BYTES + 1];
	struct password password;
};

static void keeping_free(struct keeping *k)
{
	secret_wipe(k, sizeof *k);
	free(k);
}

static void on_kept(void *arg, bool is_recorded)
{
	struct keeping *k = arg;
	struct member *m = member_find(k->auth, span_str(k->name));

	if (!k->attempt) {
		keeping_free(k);
		return;
	}
	if (m && is_recorded) {
		cache_add(k->auth, m, &k->password);
		login_succeed(k->attempt, m, "primary");
	} else {
		login_give_up(k->attempt, LOGIN_LATER, 0);
	}
	keeping_free(k);
}

static void keep_verifier(struct keeping *k, const struct gate_job *job)
{
	struct auth *a = k->auth;
	struct member *m = member_find(a, span_str(k->name));
	struct account *next = must_alloc(sizeof *next);
	struct fault why = {""};
	bool is_first = !m || !m->account.verifier[0] || !m->account.is_kept, ok;
	bool had_own = m && m->account.verifier[0] && !m->account.is_kept;

	if (m) {
		*next = m->account;
	} else {
		(void)snprintf(next->name, sizeof next->name, "%s", k->name);
		next->passthrough = true;
		next->made_us = auth_wall(a);
		os_random(a->os, next->salt, sizeof next->salt);
	}
	memcpy(next->verifier, job->made, sizeof next->verifier);
	next->is_kept = true;
	next->confirmed_us = auth_wall(a);
	if (job->scram.iterations)
		next->scram = job->scram;
	if (is_first && !next->is_pending) {
		next->is_pending = true;
		books_mark(a, &next->pending, m ? "user.verifier" : "user.add",
			   SPAN_LIT("the primary vouched"), "auth", !m);
	}
	/* One of its own (of an invitation, in an outage) is another password: it is not good any more, in the cache neither. */
	ok = account_replace(a, next, had_own ? ACCOUNT_CHANGED : ACCOUNT_RENEWED, &why);
	is_first = next->is_pending;
	secret_wipe(next, sizeof *next);
	free(next);
	login_mechanisms_changed(a);
	if (!ok)
		say(SAY_ERROR, "account.not_kept", "account", SAY_STR(k->name), "why",
		    SAY_STR(why.text), NULL);
	if (ok && is_first)
		books_account(a, member_find(a, span_str(k->name)), on_kept, k);
	else
		on_kept(k, ok);
}

static void on_kept_hash(void *arg, struct gate_job *job)
{
	struct keeping *k = arg;
	const struct member *m = member_find(k->auth, span_str(k->name));

	if (job->rc != OK || !job->made[0] || (m && m->account.state != ACCOUNT_ACTIVE))
		on_kept(k, false);
	else
		keep_verifier(k, job);
}

/* Takes over the attempt, which may be NULL. */
static void keep(struct auth *a, struct attempt *t, const char *name, const struct password *w)
{
	const struct member *m = member_find(a, span_str(name));
	const struct msg_site *site = auth_site_of(a, span_str(name));
	struct keeping *k = must_alloc(sizeof *k);

	k->auth = a;
	k->attempt = t;
	if (t)
		t->is_held = true;
	(void)snprintf(k->name, sizeof k->name, "%s", name);
	k->password = *w;
	if (site)
		credential_keep(a, site, span_str(name), password_span(w), OWN_US);
	if (!gate_submit(a->gate, w, "", a->config->scram && (!m || login_wants_scram(a, m)), false,
			 true, on_kept_hash, k))
		on_kept(k, false);
}

/* In place of a verifier that the primary says is no longer right. */
static void drop_kept(struct auth *a, const char *name)
{
	struct member *m = member_find(a, span_str(name));
	struct account *next;
	struct fault why = {""};

	if (!m || !m->account.is_kept || !m->account.verifier[0])
		return;
	next = must_alloc(sizeof *next);
	*next = m->account;
	next->verifier[0] = '\0';
	memset(&next->scram, 0, sizeof next->scram);
	next->is_pending = true;
	books_mark(a, &next->pending, "user.verifier", SPAN_LIT("the primary no longer takes it"),
		   "auth", m->account.is_pending && m->account.pending.has_directory);
	if (account_replace(a, next, ACCOUNT_ENDED, &why))
		books_account(a, m, NULL, NULL);
	credential_forget(a, span_str(name));
	secret_wipe(next, sizeof *next);
	free(next);
}

static void trust_again(struct auth *a, struct member *m)
{
	a->doubted -= m->is_doubted;
	m->is_doubted = m->is_no_believed = false;
}

/* The primary of this site can say yes: those it refused are asked about again at their next login. */
static void primary_is_sane(struct auth *a, const struct msg_site *site)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	if (a->doubted == 0)
		return;
	while (map_next(&a->members, &cursor, &name, &value)) {
		struct member *m = value;

		if (!m->is_doubted || m->is_no_believed || auth_site_of(a, name) != site)
			continue;
		m->is_no_believed = true;
		m->primary_asked_us = 0;
	}
}

static void refused(struct auth *a, struct member *m)
{
	if (m->is_no_believed) {
		trust_again(a, m);
		drop_kept(a, m->account.name);
		return;
	}
	a->doubted += !m->is_doubted;
	m->is_doubted = true;
	say(SAY_NOTICE, "verifier.doubted", "account", SAY_STR(m->account.name), "why",
	    SAY_STR("the primary refused it; it counts until the primary has taken somebody's "
		    "password"),
	    NULL);
}

static void on_vouched(void *arg, enum primary_says says, const char *why)
{
	struct attempt *t = arg;
	struct auth *a = t->auth;
	struct member *m = member_find(a, span_str(t->name));
	struct password w;

	t->ask = NULL;
	(void)why;
	switch (says) {
	case PRIMARY_YES:
		if (m)
			trust_again(a, m);
		primary_is_sane(a, auth_site_of(a, span_str(t->name)));
		w = t->sasl.password;
		keep(a, t, t->name, &w);
		password_wipe(&w);
		return;
	case PRIMARY_NO:
		/* Only for a password that our kept verifier took as well: one that is wrong here says nothing. */
		if (m && t->epoch == m->epoch && t->was_kept)
			drop_kept(a, t->name);
		login_fail(t);
		return;
	case PRIMARY_AWAY:
		/* Not known: but to the client as any wrong password, and it counts: else an outage would be a time
		 * to guess in. */
		login_fail(t);
		return;
	}
}

void vouch_ask(struct attempt *t, const struct msg_site *site, bool was_kept)
{
	t->was_kept = was_kept;
	t->ask = primary_ask(t->auth, site, span_str(t->name), &t->sasl.password, on_vouched, t);
	if (!t->ask)
		login_give_up(t, LOGIN_LATER, 0);
}

/* ---- behind a login's back ---- */

struct renewal {
	struct auth *auth;
	char name[LOGIN_NAME_LIMIT_BYTES + 1];
	uint64_t epoch;
	struct password password;
};

/* The verifier is of this password, and the primary took it just now. Not written at each: only when it has aged. */
static void confirm(struct auth *a, const struct member *m, const struct password *w)
{
	uint64_t now = auth_wall(a), age = now - m->account.confirmed_us;
	const struct msg_site *site = auth_site_of(a, span_str(m->account.name));
	struct account *next;
	struct fault why = {""};

	if (site)
		credential_keep(a, site, span_str(m->account.name), password_span(w), OWN_US);
	if (now > m->account.confirmed_us && age < CONFIRM_US && age < auth_verifier_age_us(a) / 4)
		return;
	next = must_alloc(sizeof *next);
	*next = m->account;
	next->confirmed_us = now;
	if (!account_replace(a, next, ACCOUNT_RENEWED, &why))
		say(SAY_WARNING, "account.not_renewed", "account", SAY_STR(next->name), "why",
		    SAY_STR(why.text), NULL);
	secret_wipe(next, sizeof *next);
	free(next);
}

static void on_renewed(void *arg, enum primary_says says, const char *why)
{
	struct renewal *r = arg;
	struct member *m = member_find(r->auth, span_str(r->name));

	(void)why;
	if (says == PRIMARY_YES) {
		if (m)
			trust_again(r->auth, m);
		primary_is_sane(r->auth, auth_site_of(r->auth, span_str(r->name)));
	}
	if (m && m->epoch == r->epoch && says == PRIMARY_YES)
		confirm(r->auth, m, &r->password);
	else if (m && m->epoch == r->epoch && says == PRIMARY_NO)
		refused(r->auth, m);
	else if (m)
		m->primary_asked_us = auth_mono(r->auth) - RENEW_US + AGAIN_US;
	secret_wipe(r, sizeof *r);
	free(r);
}

void vouch_renew(struct auth *a, struct member *m, const struct password *w)
{
	const struct msg_site *site;
	struct renewal *r;

	if (!m->account.is_kept || !vouch_may(a, m, m->account.name, &site) ||
	    (m->primary_asked_us && auth_mono(a) - m->primary_asked_us < RENEW_US))
		return;
	m->primary_asked_us = auth_mono(a);
	r = must_alloc(sizeof *r);
	r->auth = a;
	(void)snprintf(r->name, sizeof r->name, "%s", m->account.name);
	r->epoch = m->epoch;
	r->password = *w;
	if (!primary_ask(a, site, span_str(r->name), w, on_renewed, r)) {
		secret_wipe(r, sizeof *r);
		free(r);
	}
}
