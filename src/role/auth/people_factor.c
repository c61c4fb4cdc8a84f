/* The second factor as it is ordered: TOTP and recovery codes. ticket.c has its use. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "role/auth/orders.h"

static void begin(struct asker *c, const struct member *who)
{
	struct order *o;
	struct buf uri = {0}, secret = {0};

	if (who->account.totp_confirmed) {
		people_refuse(c, "factor", "it has a second factor already; remove it first");
		return;
	}
	o = order_new(c, &who->account, "user.totp");
	o->change = ACCOUNT_RENEWED;
	o->next.has_totp = true;
	o->next.totp_step = 0;
	os_random(c->auth->os, o->next.totp, sizeof o->next.totp);
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

static void confirm(struct asker *c, const struct member *who, struct span code)
{
	struct auth *a = c->auth;
	uint64_t step = who->account.totp_step;
	struct order *o;

	if (!who->account.has_totp) {
		people_refuse(c, "factor", "begin first: `holdfast user totp ACCOUNT begin`");
		return;
	}
	if (!totp_verify(who->account.totp, code, auth_wall(a) / AUTH_SECOND_US, &step)) {
		people_refuse(c, "code",
			      "this is not the code of now; is the phone's clock right?");
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

static void codes(struct asker *c, const struct member *who)
{
	struct order *o;

	if (!who->account.totp_confirmed) {
		people_refuse(c, "factor", "it has no second factor");
		return;
	}
	o = order_new(c, &who->account, "user.totp");
	o->change = ACCOUNT_RENEWED;
	(void)snprintf(o->argument, sizeof o->argument, "codes");
	(void)snprintf(o->text, sizeof o->text,
		       "recovery codes, each good once; older ones no longer work:");
	make_codes(o, c->auth);
	order_commit(o);
}

/* An administrator without one is none: whoever has the password alone must not make the factor theirs. */
static void remove_factor(struct asker *c, const struct member *who)
{
	struct order *o = order_new(c, &who->account, "user.totp");

	o->change = ACCOUNT_ENDED;
	o->next.has_totp = o->next.totp_confirmed = false;
	o->next.recovery_n = 0;
	secret_wipe(o->next.totp, sizeof o->next.totp);
	(void)snprintf(o->argument, sizeof o->argument, "remove");
	(void)snprintf(o->text, sizeof o->text, "%s has no second factor any more%s", o->next.name,
		       o->next.is_admin ? ", and is no administrator" : "");
	o->has_directory = o->next.is_admin;
	o->next.is_admin = false;
	order_commit(o);
}

bool people_factor(struct asker *c, const struct msg_second_factor *m)
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
