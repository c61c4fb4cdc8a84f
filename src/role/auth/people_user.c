/* What the command line asks about people, one function for each message. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/auth/orders.h"

#define HOUR_MS UINT64_C(3600000)

enum { INVITED_DAYS = 7, INVITED_DAYS_LONGEST = 90 };

void people_take_text(char *out, size_t n, struct span given)
{
	size_t length = given.n < n ? given.n : n - 1;

	while (length < given.n && length > 0 && (given.p[length] & 0xc0) == 0x80)
		length--;
	for (size_t i = 0; i < length; i++)
		out[i] = given.p[i] < 32 || given.p[i] == 127 ? ' ' : (char)given.p[i];
	out[length] = '\0';
}

static bool user_add(struct asker *c, struct arena *a, struct span body)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1], text[500];
	struct password w = {.n = 0};
	const struct member *was;
	struct msg_user_add m;
	struct order *o;

	if (!msg_user_add_decode(a, body, &m))
		return false;
	if (!people_new_name(c, m.account, name) ||
	    (m.password.n && !people_password(c, m.password, span_str(name), m.short_ok, &w)))
		return true;
	was = member_find(c->auth, span_str(name));
	if ((was && was->account.state != ACCOUNT_DELETED) || alias_find(c->auth, span_str(name))) {
		(void)snprintf(text, sizeof text, "there is %s `%s` already",
			       was ? "an account" : "an alias", name);
		people_answer(c, false, text, NULL);
		return true;
	}
	o = order_new(c, NULL, "user.add");
	order_fresh(o, name);
	people_take_text(o->next.display, sizeof o->next.display, m.name);
	o->next.passthrough = m.passthrough;
	(void)snprintf(o->argument, sizeof o->argument, "%s", o->next.display);
	(void)snprintf(
		o->text, sizeof o->text, "%s is added%s", name,
		w.n || m.passthrough
			? ""
			: "; it has no password yet: `holdfast user invite` or `user passwd`");
	if (w.n)
		order_commit_password(o, &w);
	else
		order_commit(o);
	password_wipe(&w);
	return true;
}

static bool user_password(struct asker *c, struct arena *a, struct span body)
{
	struct msg_user_password m;
	struct password w;
	struct member *who;
	struct order *o;

	if (!msg_user_password_decode(a, body, &m))
		return false;
	who = people_member(c, m.account);
	if (!who || !people_password(c, m.password, span_str(who->account.name), m.short_ok, &w))
		return true;
	o = order_new(c, &who->account, "user.passwd");
	o->change = ACCOUNT_ENDED;
	o->forgets_failures = true;
	(void)snprintf(o->text, sizeof o->text, "%s has a new password; its sessions have ended%s",
		       who->account.name,
		       who->account.passthrough ? "; the primary's password no longer opens it"
						: "");
	order_commit_password(o, &w);
	password_wipe(&w);
	return true;
}

static bool user_invite(struct asker *c, struct arena *a, struct span body)
{
	unsigned char random[SECRET_CODE_RANDOM_BYTES];
	char code[SECRET_CODE_TEXT_BYTES], plain[SECRET_CODE_BYTES + 1];
	struct msg_user_invite m;
	struct member *who;
	struct order *o;
	uint64_t for_ms;

	if (!msg_user_invite_decode(a, body, &m))
		return false;
	who = people_member(c, m.account);
	if (!who)
		return true;
	for_ms = m.for_ms ? m.for_ms : INVITED_DAYS * 24 * HOUR_MS;
	if (for_ms > INVITED_DAYS_LONGEST * 24 * HOUR_MS)
		for_ms = INVITED_DAYS_LONGEST * 24 * HOUR_MS;
	os_random(c->auth->os, random, sizeof random);
	secret_code(random, code);
	must(secret_code_read(span_str(code), plain));
	o = order_new(c, &who->account, "user.invite");
	account_hash_code(&o->next, span_str(plain), o->next.invitation);
	o->next.has_invitation = true;
	o->next.invitation_until_us = auth_wall(c->auth) + for_ms * 1000;
	order_json(o, json_pack("{s:s, s:s, s:I}", "account", o->next.name, "code", code,
				"until_us", (json_int_t)o->next.invitation_until_us));
	(void)snprintf(
		o->text, sizeof o->text,
		"%s can log in once with this code as the password; the mail program that does "
		"keeps it: %s",
		o->next.name, code);
	order_commit(o);
	secret_wipe(random, sizeof random);
	secret_wipe(code, sizeof code);
	secret_wipe(plain, sizeof plain);
	return true;
}

/* ---- UserSet ---- */

static size_t aliases_of(const struct auth *a, const char *account)
{
	size_t cursor = 0, n = 0;
	struct span address;
	void *value;

	while (map_next(&a->aliases, &cursor, &address, &value)) {
		const struct alias *x = value;

		for (size_t i = 0; i < x->targets_n; i++)
			n += strcmp(x->targets[i], account) == 0;
	}
	return n;
}

static void set_state(struct asker *c, struct member *who, enum account_state state,
		      const char *verb, const char *said)
{
	struct order *o;
	char text[500];
	size_t aliases;

	if (who->account.state == state) {
		(void)snprintf(text, sizeof text, "%s is %s already", who->account.name,
			       account_state_name(state));
		people_answer(c, true, text, NULL);
		return;
	}
	o = order_new(c, &who->account, verb);
	o->has_directory = true;
	o->change = ACCOUNT_ENDED;
	o->forgets_failures = state == ACCOUNT_ACTIVE;
	o->next.state = state;
	if (state == ACCOUNT_DELETED) {
		struct account bare = {.made_us = o->next.made_us, .state = state};

		memcpy(bare.name, o->next.name, sizeof bare.name);
		memcpy(bare.display, o->next.display, sizeof bare.display);
		os_random(c->auth->os, bare.salt, sizeof bare.salt);
		bare.is_pending = o->next.is_pending;
		bare.pending = o->next.pending;
		o->next = bare;
	}
	if (state != ACCOUNT_ACTIVE)
		credential_forget(c->auth, span_str(who->account.name));
	(void)snprintf(o->text, sizeof o->text, "%s is %s", who->account.name, said);
	aliases = state == ACCOUNT_DELETED ? aliases_of(o->auth, o->next.name) : 0;
	if (aliases)
		(void)snprintf(o->text + strlen(o->text), sizeof o->text - strlen(o->text),
			       ". %zu aliases or groups lead there still: holdfast user unalias",
			       aliases);
	order_commit(o);
}

static void set_name(struct asker *c, const struct member *who, struct span name)
{
	struct order *o = order_new(c, &who->account, "user.name");

	o->has_directory = true;
	o->change = ACCOUNT_RENEWED;
	people_take_text(o->next.display, sizeof o->next.display, name);
	(void)snprintf(o->argument, sizeof o->argument, "%s", o->next.display);
	(void)snprintf(o->text, sizeof o->text, "%s is called %s", o->next.name, o->next.display);
	order_commit(o);
}

static void set_passthrough(struct asker *c, const struct member *who, struct span argument)
{
	struct order *o = order_new(c, &who->account, "user.passthrough");

	o->next.passthrough = span_eq(argument, SPAN_LIT("on"));
	if (!o->next.passthrough && o->next.is_kept) {
		o->next.verifier[0] = '\0'; /* it was the primary's word */
		o->next.is_kept = false;
		o->change = ACCOUNT_ENDED;
	}
	(void)snprintf(o->argument, sizeof o->argument, "%s", o->next.passthrough ? "on" : "off");
	(void)snprintf(o->text, sizeof o->text, "the primary %s vouch for %s",
		       o->next.passthrough ? "may" : "may not", o->next.name);
	order_commit(o);
}

/* Only with a second factor, so that nobody who has a password alone can make it theirs and be an administrator. */
static void set_admin(struct asker *c, const struct member *who, struct span argument)
{
	bool is_on = span_eq(argument, SPAN_LIT("on"));
	struct order *o;
	char text[900];

	if (is_on && !who->account.totp_confirmed) {
		(void)snprintf(text, sizeof text,
			       "%s has no second factor, which administrators need: `holdfast user "
			       "totp %s begin`, or its owner in the portal's settings",
			       who->account.name, who->account.name);
		people_refuse(c, "admin", text);
		return;
	}
	o = order_new(c, &who->account, "user.admin");
	o->has_directory = true;
	o->change = ACCOUNT_ENDED;
	o->next.is_admin = is_on;
	(void)snprintf(o->argument, sizeof o->argument, "%s", is_on ? "on" : "off");
	(void)snprintf(o->text, sizeof o->text, "%s is %s administrator; its sessions have ended",
		       o->next.name, is_on ? "an" : "no");
	order_commit(o);
}

static char **one_target(const char *name)
{
	char **targets = must_alloc(sizeof *targets);

	targets[0] = must_strdup(name);
	return targets;
}

static void free_targets(char **targets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(targets[i]);
	free(targets);
}

/* "@example.com" takes what is addressed to nobody else there. */
static bool alias_name(struct asker *c, struct span given, char out[LOGIN_NAME_LIMIT_BYTES + 1])
{
	char text[500];

	if (given.n > 1 && given.p[0] == '@' && account_name(given, out)) {
		if (auth_domain_of(c->auth, span_str(out)))
			return true;
		(void)snprintf(text, sizeof text, "there is no domain `%s` in the configuration",
			       out + 1);
		people_answer(c, false, text, NULL);
		return false;
	}
	return people_new_name(c, given, out);
}

static void alias_set(struct asker *c, const struct member *who, struct span given)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1], text[800];
	char **targets;

	if (!alias_name(c, given, name))
		return;
	if (member_find(c->auth, span_str(name)) &&
	    member_find(c->auth, span_str(name))->account.state != ACCOUNT_DELETED) {
		(void)snprintf(text, sizeof text, "`%s` is an account of its own", name);
		people_answer(c, false, text, NULL);
		return;
	}
	targets = one_target(who->account.name);
	(void)snprintf(text, sizeof text, "mail for %s goes to %s", name, who->account.name);
	if (!people_alias(c, span_str(name), targets, 1, "alias.set", text))
		free_targets(targets, 1);
}

static void alias_remove(struct asker *c, struct span given)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1] = "", text[500];
	const struct alias *x =
		account_name(given, name) ? alias_find(c->auth, span_str(name)) : NULL;

	if (!x || x->targets_n == 0) {
		(void)snprintf(text, sizeof text, "there is no alias or group `%s`", name);
		people_answer(c, false, text, NULL);
		return;
	}
	(void)snprintf(text, sizeof text, "%s is removed", name);
	(void)people_alias(c, span_str(name), must_alloc(sizeof(char *)), 0, "alias.remove", text);
}

/* Members may be accounts, other groups, or addresses elsewhere. */
static void group_set(struct asker *c, struct span address, struct span members)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1], member[LOGIN_NAME_LIMIT_BYTES + 1], text[800];
	char **targets;
	size_t n = 0;

	if (!span_trim(members).n) {
		alias_remove(c, address);
		return;
	}
	if (!alias_name(c, address, name))
		return;
	if (member_find(c->auth, span_str(name))) {
		(void)snprintf(text, sizeof text, "`%s` is an account", name);
		people_answer(c, false, text, NULL);
		return;
	}
	targets = must_alloc(AUTH_TARGETS * sizeof *targets);
	while (members.n) {
		struct span one = span_trim(span_cut(&members, ' '));

		if (!one.n)
			continue;
		if (n == AUTH_TARGETS || !account_name(one, member) || !strchr(member, '@') ||
		    strchr(member, ' ')) {
			(void)snprintf(text, sizeof text,
				       n == AUTH_TARGETS ? "a group has at most %d members"
							 : "member %d is not an address",
				       n == AUTH_TARGETS ? AUTH_TARGETS : (int)n + 1);
			people_answer(c, false, text, NULL);
			free_targets(targets, n);
			return;
		}
		targets[n++] = must_strdup(member);
	}
	(void)snprintf(text, sizeof text, "mail for %s goes to %zu address%s", name, n,
		       n == 1 ? "" : "es");
	if (!people_alias(c, span_str(name), targets, n, "alias.set", text))
		free_targets(targets, n);
}

static bool user_set(struct asker *c, struct arena *a, struct span body)
{
	struct msg_user_set m;
	struct member *who;

	if (!msg_user_set_decode(a, body, &m))
		return false;
	if (span_eq(m.verb, SPAN_LIT("group"))) {
		group_set(c, m.account, m.argument);
		return true;
	}
	if (span_eq(m.verb, SPAN_LIT("unalias"))) {
		alias_remove(c, m.argument.n ? m.argument : m.account);
		return true;
	}
	who = people_member(c, m.account);
	if (!who)
		return true;
	if (span_eq(m.verb, SPAN_LIT("enable")))
		set_state(c, who, ACCOUNT_ACTIVE, "user.enable", "enabled");
	else if (span_eq(m.verb, SPAN_LIT("disable")))
		set_state(c, who, ACCOUNT_DISABLED, "user.disable",
			  "disabled; its sessions have ended, its mail stays");
	else if (span_eq(m.verb, SPAN_LIT("delete")))
		set_state(c, who, ACCOUNT_DELETED, "user.delete",
			  "deleted; its mail stays in the ledger");
	else if (span_eq(m.verb, SPAN_LIT("name")))
		set_name(c, who, m.argument);
	else if (span_eq(m.verb, SPAN_LIT("passthrough")))
		set_passthrough(c, who, m.argument);
	else if (span_eq(m.verb, SPAN_LIT("admin")) &&
		 (span_eq(m.argument, SPAN_LIT("on")) || span_eq(m.argument, SPAN_LIT("off"))))
		set_admin(c, who, m.argument);
	else if (span_eq(m.verb, SPAN_LIT("alias")))
		alias_set(c, who, m.argument);
	else
		people_answer(c, false, "this version does not know that verb", NULL);
	return true;
}

bool people_user(struct asker *c, struct arena *m, unsigned type, struct span body)
{
	struct msg_second_factor factor;
	struct msg_server_password server;
	struct msg_user_import import;
	struct msg_enrolment_ask ask;
	struct msg_user_list list;

	switch (type) {
	case MSG_USER_ADD:
		return user_add(c, m, body);
	case MSG_USER_SET:
		return user_set(c, m, body);
	case MSG_USER_PASSWORD:
		return user_password(c, m, body);
	case MSG_USER_INVITE:
		return user_invite(c, m, body);
	case MSG_USER_LIST:
		if (!msg_user_list_decode(m, body, &list))
			return false;
		people_list(c, list.match, list.after);
		return true;
	case MSG_USER_IMPORT:
		if (!msg_user_import_decode(m, body, &import))
			return false;
		people_import(c, &import);
		return true;
	case MSG_APP_PASSWORD:
		return people_app_password(c, m, body);
	case MSG_USER_SESSIONS:
		return people_user_sessions(c, m, body);
	case MSG_SECOND_FACTOR:
		return msg_second_factor_decode(m, body, &factor) && people_factor(c, &factor);
	case MSG_ENROLMENT_ASK:
		if (!msg_enrolment_ask_decode(m, body, &ask))
			return false;
		people_enrolment(c);
		return true;
	case MSG_HOME_CONSENT:
		return people_home_consent(c, m, body);
	case MSG_SERVER_PASSWORD:
		return msg_server_password_decode(m, body, &server) && people_server(c, &server);
	case MSG_DKIM_CREATE:
	case MSG_DKIM_LIST:
		return dkim_people(c, m, type, body);
	default:
		return false;
	}
}
