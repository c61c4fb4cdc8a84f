/* Shared by login.c and login_primary.c: a login on its way. */
#pragma once

#include "role/auth/internal.h"

struct attempt {
	struct list on_peer;
	struct peer *peer; /* NULL: cancelled; it ends when its job or question does */
	struct auth *auth;
	uint64_t id, epoch; /* of the account when it was looked up; 0: there was none */
	struct sasl sasl;
	char name[LOGIN_NAME_LIMIT_BYTES + 1]; /* the account's, or what was given */
	char source[64], service[16];
	unsigned char tag[8];
	struct session_wish wish;
	login_judged *on_judged; /* instead of an answer to a peer */
	void *judged_arg;
	bool is_counted, is_known_good, was_kept;
	bool is_held; /* a change is on its way to the disk; it ends when that does */
	unsigned tries;
	struct gate_job *job;
	struct primary_ask *ask;
	struct buf final;
};

/* Each ends the attempt: refused and counted; not looked at (A2); let in. */
void login_fail(struct attempt *t);
void login_give_up(struct attempt *t, enum login_verdict v, uint32_t delay_ms);
void login_succeed(struct attempt *t, struct member *m, const char *by);
bool login_wants_scram(const struct auth *a, const struct member *m);

/* ---- login_primary.c ---- */

/* May the primary say whether this name's password is right? m NULL: there is no such account yet. */
bool vouch_may(const struct auth *a, const struct member *m, const char *name,
	       const struct msg_site **out_site);
/* Asks it, and ends the attempt. was_kept: our own verifier took the password, but is too old. */
void vouch_ask(struct attempt *t, const struct msg_site *site, bool was_kept);
/* Behind the back of a login that a kept verifier let in, at most every ten minutes. */
void vouch_renew(struct auth *a, struct member *m, const struct password *w);
