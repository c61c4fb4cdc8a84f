/*
 * Tickets: a password was right, the second factor is awaited. In memory alone: who meets a restart begins anew. Good for
 * five minutes, five wrong codes, one right one (H-19), for the peer and the account as it was then.
 */
#include "role/auth/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

#define GOOD_US (300 * AUTH_SECOND_US)

enum { TICKETS = 4096, TICKETS_OF_ACCOUNT = 8, WRONG_CODES = 5, WAIT_MS = 2000 };

struct ticket {
	struct list on_auth; /* by age */
	unsigned char hash[SECRET_HASH_BYTES];
	char account[LOGIN_NAME_LIMIT_BYTES + 1];
	uint64_t epoch, made_us;
	unsigned wrong;
	struct session_wish wish;
};

#define TICKET_OF(l) LIST_ENTRY(l, struct ticket, on_auth)

static void drop(struct auth *a, struct ticket *t)
{
	list_remove(&t->on_auth);
	a->tickets_n--;
	secret_wipe(t, sizeof *t);
	free(t);
}

void ticket_free_all(struct auth *a)
{
	while (!list_is_empty(&a->tickets))
		drop(a, TICKET_OF(a->tickets.next));
}

/* What is too old goes, and of an account or of all what is too much, the oldest first. */
static void make_room(struct auth *a, const char *account)
{
	uint64_t now = auth_mono(a);
	struct ticket *oldest = NULL;
	size_t n = 0;

	LIST_EACH_SAFE (l, &a->tickets) {
		struct ticket *t = TICKET_OF(l);

		if (now - t->made_us >= GOOD_US) {
			drop(a, t);
		} else if (strcmp(t->account, account) == 0) {
			oldest = oldest ? oldest : t;
			n++;
		}
	}
	if (n >= TICKETS_OF_ACCOUNT)
		drop(a, oldest);
	else if (a->tickets_n >= TICKETS)
		drop(a, TICKET_OF(a->tickets.next));
}

void ticket_make(struct auth *a, const struct member *m, const struct session_wish *w,
		 char secret[SESSION_TEXT_BYTES + 1], uint64_t *out_until_us)
{
	unsigned char random[SESSION_RANDOM_BYTES];
	struct ticket *t = must_alloc(sizeof *t);

	make_room(a, m->account.name);
	os_random(a->os, random, sizeof random);
	session_secret(random, secret);
	secret_wipe(random, sizeof random);
	session_hash(span_of(secret, SESSION_TEXT_BYTES), t->hash);
	(void)snprintf(t->account, sizeof t->account, "%s", m->account.name);
	t->epoch = m->epoch;
	t->made_us = auth_mono(a);
	t->wish = *w;
	list_init(&t->on_auth);
	list_append(&a->tickets, &t->on_auth);
	a->tickets_n++;
	*out_until_us = auth_wall(a) + GOOD_US;
}

/* NULL: there is none, it is too old, or the account is another now. */
static struct ticket *find(const struct peer *p, struct span secret, struct member **out_member)
{
	struct auth *a = p->auth;
	unsigned char hash[SECRET_HASH_BYTES];
	struct ticket *t = NULL;
	struct member *m;

	session_hash(secret, hash);
	LIST_EACH (l, &a->tickets) {
		if (memcmp(TICKET_OF(l)->hash, hash, sizeof hash) == 0)
			t = TICKET_OF(l);
	}
	if (!t || secret.n != SESSION_TEXT_BYTES || auth_mono(a) - t->made_us >= GOOD_US ||
	    p->role != (t->wish.use == SESSION_ADMIN ? ROLE_CONSOLE : ROLE_DESK))
		return NULL;
	m = member_find(a, span_str(t->account));
	if (!m || m->epoch != t->epoch || m->account.state != ACCOUNT_ACTIVE ||
	    !m->account.totp_confirmed)
		return NULL;
	*out_member = m;
	return t;
}

/* ---- codes ---- */

struct throttle_try factor_try(const struct auth *a, struct span account, struct span source,
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

bool factor_is_right(struct auth *a, struct member *m, struct span code, bool may_be_totp,
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

/* ---- using one ---- */

static void answer(struct peer *p, struct msg_login_answer *out)
{
	struct buf body = {0};

	if (!out->text.n)
		out->text = span_str(login_text((enum login_verdict)out->verdict));
	msg_login_answer_encode(&body, out);
	if (link_send(p->link, MSG_LOGIN_ANSWER, buf_span(&body)) != OK)
		say(SAY_WARNING, "link.not_sent", "type", SAY_U64(MSG_LOGIN_ANSWER), NULL);
	secret_wipe_buf(&body);
	say_count(&auth_verdicts[out->verdict], 1);
}

/* It is used up before anybody hears of it. */
static void pass(struct peer *p, struct ticket *t, struct member *m, struct msg_login_answer *out,
		 bool by_recovery)
{
	struct auth *a = p->auth;
	char secret[SESSION_TEXT_BYTES + 1] = "";
	struct send_as addresses = {.n = 0};
	struct session_wish wish = t->wish;

	drop(a, t);
	if (by_recovery)
		books_act(a, "user.recovery-code-used", span_str(m->account.name),
			  span_str(wish.source), "auth", NULL, NULL);
	login_send_as(a, m->account.name, &addresses);
	out->verdict = LOGIN_FINE;
	out->account = span_str(m->account.name);
	out->person = span_str(m->account.display);
	out->by = by_recovery ? SPAN_LIT("recovery") : SPAN_LIT("totp");
	out->send_as = addresses.list;
	out->send_as_n = addresses.n;
	session_grant(a, m, &wish, true, out, secret);
	say(SAY_INFO, "login.judged", "verdict",
	    SAY_STR(login_verdict_name((enum login_verdict)out->verdict)), "account",
	    SAY_STR(m->account.name), "source", SAY_STR(wish.source), "service", SAY_STR("https"),
	    "by", SAY_STR(by_recovery ? "recovery" : "totp"), NULL);
	answer(p, out);
	secret_wipe(secret, sizeof secret);
}

static void fail(struct peer *p, struct ticket *t, struct msg_login_answer *out)
{
	out->verdict = LOGIN_REFUSED;
	if (++t->wrong >= WRONG_CODES) {
		drop(p->auth, t);
		out->reason = SPAN_LIT("ticket");
		out->text = SPAN_LIT("too many wrong codes; log in again");
	} else {
		out->reason = SPAN_LIT("code");
		out->text = SPAN_LIT("this is not the code of now, nor a recovery code");
	}
	answer(p, out);
}

void factor_use(struct peer *p, const struct msg_factor_use *f)
{
	struct auth *a = p->auth;
	struct msg_login_answer out = {.id = f->id};
	struct throttle_try who;
	enum throttle_says says;
	bool is_known, by_recovery;
	struct member *m = NULL;
	struct ticket *t = find(p, f->ticket, &m);

	if (!t || (f->account.n && !span_eq(f->account, span_str(t->account)))) {
		out.verdict = LOGIN_REFUSED;
		out.reason = SPAN_LIT("ticket");
		out.text = SPAN_LIT("that took too long; log in again");
		answer(p, &out);
		return;
	}
	who = factor_try(a, span_str(t->account), f->source, f->code);
	says = throttle_ask(a->throttle, auth_wall(a), &who, &is_known);
	if (says == THROTTLE_WAIT) {
		out.verdict = LOGIN_THROTTLED;
		out.delay_ms = WAIT_MS;
		answer(p, &out);
	} else if (factor_is_right(a, m, span_trim(f->code), says == THROTTLE_GO, &by_recovery)) {
		throttle_undecided(a->throttle, auth_wall(a), &who);
		pass(p, t, m, &out, by_recovery);
	} else if (says == THROTTLE_CODES_ONLY) { /* six digits are not looked at now */
		throttle_undecided(a->throttle, auth_wall(a), &who);
		out.verdict = LOGIN_THROTTLED;
		out.delay_ms = WAIT_MS;
		answer(p, &out);
	} else {
		out.delay_ms = throttle_failed(a->throttle, auth_wall(a), &who);
		fail(p, t, &out);
	}
}
