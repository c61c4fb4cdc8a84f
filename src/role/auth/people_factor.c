/* The second factor: TOTP and recovery codes; and invitations redeemed by the portal. Each code is good once (H-19). */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/auth/orders.h"

static void begin(struct client *c, const struct member *who)
{
	struct order *o;
	struct buf uri = {0}, secret = {0};

	if (who->account.totp_confirmed) {
		people_answer(c, false, "it has a second factor already; remove it first", NULL);
		return;
	}
	o = order_new(c, &who->account, "user.totp");
	o->change = ACCOUNT_RENEWED;
	o->next.has_totp = true;
	o->next.totp_step = 0;
	os_random(((struct auth *)client_arg(c))->os, o->next.totp, sizeof o->next.totp);
	totp_uri(o->next.totp, span_str(o->next.name), &uri);
	secret_base32(&secret, span_of(o->next.totp, sizeof o->next.totp));
	(void)snprintf(o->argument, sizeof o->argument, "begin");
	order_json(o, json_pack("{s:s, s:s, s:s}", "account", o->next.name, "secret",
				buf_cstr(&secret), "uri", buf_cstr(&uri)));
	(void)snprintf(
		o->text, sizeof o->text,
		"give this to the authenticator, then run `holdfast user totp %s confirm CODE`: %s",
		o->next.name, buf_cstr(&uri));
	order_commit(o);
	secret_wipe_buf(&uri);
	secret_wipe_buf(&secret);
}

/* New ones; those of before no longer work. Shown once. */
static void make_codes(struct order *o, struct auth *a)
{
	unsigned char random[SECRET_CODE_RANDOM_BYTES];
	char code[SECRET_CODE_TEXT_BYTES], plain[SECRET_CODE_BYTES + 1];
	json_t *list = json_array();
	size_t n = strlen(o->text);

	for (size_t i = 0; i < ACCOUNT_RECOVERY; i++) {
		os_random(a->os, random, sizeof random);
		secret_code(random, code);
		must(secret_code_read(span_str(code), plain));
		account_hash_code(&o->next, span_str(plain), o->next.recovery[i]);
		(void)json_array_append_new(list, json_string(code));
		n += (size_t)snprintf(o->text + n, sizeof o->text - n, "\n  %s", code);
	}
	o->next.recovery_n = ACCOUNT_RECOVERY;
	order_json(o, json_pack("{s:s, s:o}", "account", o->next.name, "recovery_codes", list));
	secret_wipe(code, sizeof code);
	secret_wipe(plain, sizeof plain);
}

static void confirm(struct client *c, const struct member *who, struct span code)
{
	struct auth *a = client_arg(c);
	uint64_t step = who->account.totp_step;
	struct order *o;

	if (!who->account.has_totp) {
		people_answer(c, false, "begin first: `holdfast user totp ACCOUNT begin`", NULL);
		return;
	}
	if (!totp_verify(who->account.totp, code, auth_wall(a) / AUTH_SECOND_US, &step)) {
		people_answer(c, false, "this is not the code of now; is the phone's clock right?",
			      NULL);
		return;
	}
	o = order_new(c, &who->account, "user.totp");
	o->change = ACCOUNT_ENDED;
	o->next.totp_confirmed = true;
	o->next.totp_step = step;
	(void)snprintf(o->argument, sizeof o->argument, "confirm");
	(void)snprintf(
		o->text, sizeof o->text,
		"the portal asks for the code from now on; mail programs need app passwords. "
		"Recovery codes, each good once:");
	make_codes(o, a);
	order_commit(o);
}

static void codes(struct client *c, const struct member *who)
{
	struct order *o;

	if (!who->account.totp_confirmed) {
		people_answer(c, false, "it has no second factor", NULL);
		return;
	}
	o = order_new(c, &who->account, "user.totp");
	o->change = ACCOUNT_RENEWED;
	(void)snprintf(o->argument, sizeof o->argument, "codes");
	(void)snprintf(o->text, sizeof o->text,
		       "recovery codes, each good once; older ones no longer work:");
	make_codes(o, client_arg(c));
	order_commit(o);
}

static void remove_factor(struct client *c, const struct member *who)
{
	struct order *o = order_new(c, &who->account, "user.totp");

	o->change = ACCOUNT_ENDED;
	o->next.has_totp = o->next.totp_confirmed = false;
	o->next.recovery_n = 0;
	secret_wipe(o->next.totp, sizeof o->next.totp);
	(void)snprintf(o->argument, sizeof o->argument, "remove");
	(void)snprintf(o->text, sizeof o->text, "%s has no second factor any more", o->next.name);
	order_commit(o);
}

bool people_factor(struct client *c, const struct msg_second_factor *m)
{
	struct member *who = people_member(c, m->account);

	if (!who)
		return true;
	if (span_eq(m->verb, SPAN_LIT("begin")))
		begin(c, who);
	else if (span_eq(m->verb, SPAN_LIT("confirm")))
		confirm(c, who, span_trim(m->code));
	else if (span_eq(m->verb, SPAN_LIT("codes")))
		codes(c, who);
	else if (span_eq(m->verb, SPAN_LIT("remove")))
		remove_factor(c, who);
	else
		people_answer(c, false, "totp begin, confirm CODE, codes or remove", NULL);
	return true;
}

/* ---- the portal's questions ---- */

static void answer(struct peer *p, uint64_t id, enum login_verdict v, const struct member *m,
		   const char *by, uint32_t delay_ms)
{
	struct msg_login_answer out = {.id = id,
				       .verdict = (uint8_t)v,
				       .account = m ? span_str(m->account.name) : SPAN_NONE,
				       .text = span_str(login_text(v)),
				       .by = span_str(by),
				       .delay_ms = delay_ms};
	struct buf body = {0};

	msg_login_answer_encode(&body, &out);
	(void)link_send(p->link, MSG_LOGIN_ANSWER, buf_span(&body));
	buf_fini(&body);
}

static struct throttle_try try_of(const struct auth *a, struct span account, struct span source,
				  struct span code)
{
	/* The same code may be right at another time: then it counts anew. */
	uint64_t step = auth_wall(a) / (TOTP_STEP_S * AUTH_SECOND_US);
	const struct span parts[] = {SPAN_LIT("code"), account, code, span_of(&step, sizeof step)};
	struct throttle_try who = {.account = account, .source = source};
	unsigned char hash[SECRET_HASH_BYTES];

	secret_hmac_parts(span_of(a->run_key, sizeof a->run_key), parts, 4, hash);
	memcpy(who.tag, hash, sizeof who.tag);
	return who;
}

/*
 * The step or code that was used is on disk before we say yes: a kill cannot make it good again. Six digits can be guessed:
 * where passwords are not looked at, only recovery codes are.
 */
static bool use_factor(struct auth *a, struct member *m, struct span code, bool may_be_totp,
		       bool *out_by_recovery)
{
	struct account *next = must_alloc(sizeof *next);
	struct fault why = {""};
	bool ok;

	*next = m->account;
	ok = may_be_totp &&
	     totp_verify(next->totp, code, auth_wall(a) / AUTH_SECOND_US, &next->totp_step);
	*out_by_recovery = !ok;
	ok = ok || account_recovery_use(next, code);
	ok = ok && account_replace(a, next, ACCOUNT_RENEWED, &why);
	secret_wipe(next, sizeof *next);
	free(next);
	return ok;
}

void factor_use(struct peer *p, const struct msg_factor_use *f)
{
	struct auth *a = p->auth;
	struct throttle_try who = try_of(a, f->account, f->source, f->code);
	struct member *m = member_find(a, f->account);
	enum throttle_says says;
	bool is_known, by_recovery;

	says = throttle_ask(a->throttle, auth_wall(a), &who, &is_known);
	if (says == THROTTLE_WAIT) {
		answer(p, f->id, LOGIN_THROTTLED, NULL, "", 2000);
		return;
	}
	if (m && m->account.state == ACCOUNT_ACTIVE && m->account.totp_confirmed &&
	    use_factor(a, m, span_trim(f->code), says == THROTTLE_GO, &by_recovery)) {
		throttle_undecided(a->throttle, auth_wall(a), &who);
		if (by_recovery)
			books_act(a, "user.recovery-code-used", span_str(m->account.name),
				  f->source, "auth", NULL, NULL);
		answer(p, f->id, LOGIN_FINE, m, by_recovery ? "recovery" : "totp", 0);
		return;
	}
	answer(p, f->id, LOGIN_REFUSED, NULL, "", throttle_failed(a->throttle, auth_wall(a), &who));
}
