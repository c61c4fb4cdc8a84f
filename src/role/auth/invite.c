/*
 * Somebody makes an account their own: the code they were sent and a password of their choice. The code goes and the
 * password comes in one write, so that a kill leaves either both or neither, and nobody uses the code a second time.
 */
#include "role/auth/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"

enum { WAIT_MS = 2000 };

struct invite {
	struct auth *auth;
	uint64_t peer; /* who asked: may be gone when it is done */
	uint64_t id, epoch;
	char name[LOGIN_NAME_LIMIT_BYTES + 1];
	struct throttle_try who; /* account is name, source that of the wish */
	bool is_counted;
	struct session_wish wish;
	struct password password;
};

static void invite_free(struct invite *i)
{
	secret_wipe(i, sizeof *i);
	free(i);
}

/* Ends it; a try that was counted and not decided is taken back. */
static void answer(struct invite *i, struct msg_login_answer *out)
{
	struct peer *p = auth_peer(i->auth, i->peer);
	struct buf body = {0};

	if (i->is_counted)
		throttle_undecided(i->auth->throttle, auth_wall(i->auth), &i->who);
	out->id = i->id;
	if (!out->text.n)
		out->text = span_str(login_text((enum login_verdict)out->verdict));
	msg_login_answer_encode(&body, out);
	if (p && link_send(p->link, MSG_LOGIN_ANSWER, buf_span(&body)) != OK)
		say(SAY_WARNING, "link.not_sent", "type", SAY_U64(MSG_LOGIN_ANSWER), NULL);
	secret_wipe_buf(&body);
	say_count(&auth_verdicts[out->verdict], 1);
	say(out->verdict == LOGIN_FINE ? SAY_INFO : SAY_NOTICE, "invitation.judged", "verdict",
	    SAY_STR(login_verdict_name((enum login_verdict)out->verdict)), "account",
	    SAY_STR(i->name), "source", SAY_STR(i->wish.source), NULL);
	invite_free(i);
}

static void give_up(struct invite *i, enum login_verdict v)
{
	answer(i, &(struct msg_login_answer){.verdict = (uint8_t)v});
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct invite *i = arg;
	struct auth *a = i->auth;
	struct member *m = member_find(a, span_str(i->name));
	struct msg_login_answer out = {.verdict = LOGIN_FINE, .by = SPAN_LIT("invitation")};
	char secret[SESSION_TEXT_BYTES + 1] = "";
	struct send_as addresses = {.n = 0};

	if (!m || !is_recorded || m->account.state != ACCOUNT_ACTIVE) {
		give_up(i, LOGIN_LATER);
		return;
	}
	throttle_passed(a->throttle, auth_wall(a), &i->who);
	i->is_counted = false;
	cache_add(a, m, &i->password);
	login_send_as(a, m->account.name, &addresses);
	out.account = span_str(m->account.name);
	out.person = span_str(m->account.display);
	out.send_as = addresses.list;
	out.send_as_n = addresses.n;
	session_grant(a, m, &i->wish, false, &out, secret);
	answer(i, &out);
	secret_wipe(secret, sizeof secret);
}

/* The primary may still vouch, where it might: its password opens the account too, and takes over at its first login. */
static bool replace(struct invite *i, struct member *m, const struct gate_job *job)
{
	struct account *next = must_alloc(sizeof *next);
	struct fault why = {""};
	bool ok;

	*next = m->account;
	memcpy(next->verifier, job->made, sizeof next->verifier);
	next->is_kept = false;
	next->confirmed_us = auth_wall(i->auth);
	next->scram = job->scram;
	next->has_invitation = false;
	secret_wipe(next->invitation, sizeof next->invitation);
	next->is_pending = true;
	books_mark(i->auth, &next->pending, "user.invitation-used", span_str(i->wish.source),
		   next->name, m->account.is_pending && m->account.pending.has_directory);
	ok = account_replace(i->auth, next, ACCOUNT_ENDED, &why);
	if (!ok)
		say(SAY_ERROR, "account.not_written", "account", SAY_STR(i->name), "why",
		    SAY_STR(why.text), NULL);
	secret_wipe(next, sizeof *next);
	free(next);
	return ok;
}

static void on_hashed(void *arg, struct gate_job *job)
{
	struct invite *i = arg;
	struct auth *a = i->auth;
	struct member *m = member_find(a, span_str(i->name));

	/* Used, replaced or the account changed while we hashed: the code was looked at for nothing. */
	if (job->rc != OK || !job->made[0] || !m || m->epoch != i->epoch ||
	    m->account.state != ACCOUNT_ACTIVE || !m->account.has_invitation ||
	    !replace(i, m, job)) {
		give_up(i, LOGIN_LATER);
		return;
	}
	login_mechanisms_changed(a);
	books_account(a, m, on_recorded, i);
}

/* Of an unknown account as much is calculated as of one that is there (H-17). */
static struct member *match(const struct auth *a, const char *name, struct span code)
{
	static const struct account nobody = {.has_invitation = true,
					      .invitation_until_us = UINT64_MAX};
	struct member *m = member_find(a, span_str(name));
	bool is_it;

	if (m && m->account.state != ACCOUNT_ACTIVE)
		m = NULL;
	is_it = account_invitation_matches(m && m->account.has_invitation ? &m->account : &nobody,
					   code, auth_wall(a));
	return is_it ? m : NULL;
}

/*
 * First for the name that was given, before the code is looked at: so it tells nothing of code or account. Then for whose
 * code it is. False: answered.
 */
static bool is_good(struct invite *i, const char *name)
{
	struct fault why = {"a password has 1 to 1,024 bytes, and no NUL among them"};

	if (i->password.n > 0 &&
	    password_is_good(&i->password, span_str(name), PASSWORD_LEAST, &why))
		return true;
	answer(i, &(struct msg_login_answer){.verdict = LOGIN_REFUSED,
					     .reason = SPAN_LIT("new-password"),
					     .text = span_str(why.text)});
	return false;
}

/* As login.c does: where no password is looked at, a wrong code is not counted; it cannot be guessed. */
static void refuse(struct invite *i, enum throttle_says says)
{
	struct auth *a = i->auth;
	struct msg_login_answer out = {.verdict = LOGIN_THROTTLED, .delay_ms = WAIT_MS};

	if (says == THROTTLE_GO) {
		i->is_counted = false;
		out.verdict = LOGIN_REFUSED;
		out.delay_ms = throttle_failed(a->throttle, auth_wall(a), &i->who);
	}
	answer(i, &out);
}

static void begin(struct invite *i, struct span code)
{
	struct auth *a = i->auth;
	const struct span parts[] = {SPAN_LIT("invitation"), span_str(i->name), code};
	unsigned char hash[SECRET_HASH_BYTES];
	enum throttle_says says;
	struct member *m;
	bool is_known;

	i->who = (struct throttle_try){.account = span_str(i->name),
				       .source = span_str(i->wish.source)};
	secret_hmac_parts(span_of(a->run_key, sizeof a->run_key), parts, 3, hash);
	memcpy(i->who.tag, hash, sizeof i->who.tag);
	says = throttle_ask(a->throttle, auth_wall(a), &i->who, &is_known);
	i->is_counted = says != THROTTLE_WAIT;
	m = says == THROTTLE_WAIT ? NULL : match(a, i->name, code);
	if (!m) {
		refuse(i, says);
		return;
	}
	if (!is_good(i, m->account.name))
		return;
	i->epoch = m->epoch;
	if (!gate_submit(a->gate, &i->password, "", a->config->scram, false, true, on_hashed, i))
		give_up(i, LOGIN_LATER);
}

void invite_use(struct peer *p, const struct msg_invite_use *m)
{
	struct invite *i = must_alloc(sizeof *i);
	char given[LOGIN_NAME_LIMIT_BYTES + 1];

	i->auth = p->auth;
	i->peer = p->number;
	i->id = m->id;
	(void)snprintf(given, sizeof given, "%.*s",
		       SPAN_FMT(span_first(m->account, sizeof given - 1)));
	login_find_name(p->auth, given, i->name);
	if (!session_wish_of(p, m->session_for, m->source, m->agent, &i->wish)) {
		answer(i, &(struct msg_login_answer){.verdict = LOGIN_NO_MECHANISM});
		return;
	}
	if (!i->wish.is_wished)
		(void)snprintf(i->wish.source, sizeof i->wish.source, "%.*s",
			       SPAN_FMT(span_first(m->source, sizeof i->wish.source - 1)));
	(void)password_prepare(m->password, &i->password); /* else n stays 0 */
	if (is_good(i, given))
		begin(i, m->code);
}
