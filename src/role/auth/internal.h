/*
 * The parts of holdfast-auth. README.md says what each does and what happens when it or a peer dies.
 *
 *   U1  A change is on disk (its file, synced) before anybody sees it; it is in the ledger before the operator hears
 *       "done". Between both the file says `pending`, and the next start finishes it.
 *   U2  Memory is what the files say: an account is replaced as a whole, by account_replace alone, which also flushes the
 *       cache and ends sessions (H-20).
 *   U3  Argon2id runs in the gate's threads alone, two at once, with a bounded queue; beyond it: try later.
 *   U4  Every SaslStart and SaslMore gets one answer. What a link had asked dies with it.
 */
#pragma once

#include "auth/account.h"
#include "auth/sasl.h"
#include "auth/session.h"
#include "auth/throttle.h"
#include "base/list.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "role/common/clients.h"
#include "role/common/durable.h"
#include "role/auth/session_file.h"
#include "role/common/role.h"

struct arena;
struct gate;
struct primaries;

#define AUTH_SECOND_US UINT64_C(1000000)

enum {
	AUTH_ATTEMPTS = 4096, /* of one peer at once */
	AUTH_TARGETS = 256,   /* of a group */
	AUTH_PATH_BYTES = 1200,
};

struct member { /* an account in memory */
	struct account account;
	uint64_t epoch;			      /* grows with each change (H-20) */
	uint64_t primary_asked_us, probed_us; /* monotonic; 0: not since the start */
	/* The primary refused what our kept verifier takes; and since then it took somebody's password. */
	bool is_doubted, is_no_believed;
	struct list on_pending;
};

struct alias {
	char address[LOGIN_NAME_LIMIT_BYTES + 1];
	char **targets;
	size_t targets_n; /* 0: removed, and the ledger does not know yet */
	bool is_pending;
	struct account_pending pending;
	struct list on_pending;
};

struct peer { /* desk, console, submission, courier */
	struct list on_auth;
	struct auth *auth;
	struct link *link;
	uint64_t number; /* never given twice: for what is answered later */
	enum role_id role;
	unsigned instance;
	struct list attempts;
	size_t attempts_n;
};

struct auth {
	struct role *role;
	struct loop *loop;
	struct os *os;
	const struct msg_config *config;
	struct durable *durable;
	struct lane *lane;
	struct map members, aliases; /* by name, by address */
	struct list pending_members, pending_aliases;
	size_t damaged; /* files set aside at start */
	size_t doubted; /* members that are */
	struct list peers;
	uint64_t last_peer;
	struct link *clerk, *scout;
	struct throttle *throttle;
	struct loop_timer *throttle_at, *pending_at, *end_at;
	struct gate *gate;
	struct clients *people; /* the command line */
	struct clients_options people_options;
	struct list askers;
	uint64_t last_asker;
	size_t selves; /* orders of people whose password is being looked at */
	struct primaries *primaries;
	struct map cache, credentials;
	struct list cache_by_age;
	struct sessions sessions;
	struct session_file session_file;
	struct buf session_lines; /* of use, not written yet */
	struct loop_timer *sessions_at;
	struct list tickets;
	size_t tickets_n;
	unsigned char key[32];	   /* of files: scram_pretend, consent */
	unsigned char run_key[32]; /* of this process: cache, tags, credentials in memory */
	char dummy[PASSWORD_VERIFIER_BYTES];
	uint64_t last_epoch;
	bool scram_offered, is_stopping;
};

uint64_t auth_wall(const struct auth *a);
uint64_t auth_mono(const struct auth *a);
uint64_t auth_verifier_age_us(const struct auth *a);
struct peer *auth_peer(const struct auth *a, uint64_t number); /* NULL: gone */
const struct msg_domain *auth_domain_of(const struct auth *a, struct span address);
const struct msg_site *auth_site_of(const struct auth *a, struct span address);

/* ---- store.c: the files ---- */
bool store_open(struct auth *a, struct fault *why);
void store_free(struct auth *a);
struct member *member_find(const struct auth *a, struct span name);
struct alias *alias_find(const struct auth *a, struct span address);
enum account_change {
	ACCOUNT_RENEWED, /* whoever could log in still can: what was seen to be right stays right */
	ACCOUNT_CHANGED, /* the cache forgets it (H-20) */
	ACCOUNT_PROGRAMS_ENDED, /* and sessions of mail programs are over */
	ACCOUNT_ENDED,		/* and all its sessions are, by a new seal (auth/session.h, A16) */
};
/* U1, U2. False: nothing was changed. */
bool account_replace(struct auth *a, const struct account *next, enum account_change change,
		     struct fault *why);
/* Takes targets over on success. */
bool alias_replace(struct auth *a, const char *address, char **targets, size_t targets_n,
		   const struct account_pending *pending, struct fault *why);
/* The ledger has it: the mark goes (and with it an alias without targets). */
void account_recorded(struct auth *a, struct member *m);
void alias_recorded(struct auth *a, struct alias *x);
bool store_read(struct auth *a, const char *name, struct buf *out,
		size_t limit); /* below secrets/auth */
bool store_write(struct auth *a, const char *name, struct span bytes, struct fault *why);
bool store_folder(struct auth *a, const char *name,
		  struct fault *why); /* made when it is missing */
void store_remove(struct auth *a, const char *name);
/* "accounts/anna@example.com.account"; false: too long for a file name. */
bool store_file_name(const char *folder, struct span name, const char *suffix,
		     char out[AUTH_PATH_BYTES]);

/* ---- books.c: the ledger ---- */
typedef void books_done(void *arg, bool is_recorded);
bool books_open(struct auth *a, struct fault *why);
void books_close(struct auth *a);
/* Fills a pending mark. */
void books_mark(struct auth *a, struct account_pending *p, const char *verb, struct span argument,
		const char *actor, bool has_directory);
/* Appends what the mark says of this account or alias; clears it when durable; retries until it is (a second apart).
 * on_done once: when it is durable, or when it could not be written at once. */
void books_account(struct auth *a, struct member *m, books_done *on_done, void *arg);
void books_alias(struct auth *a, struct alias *x, books_done *on_done, void *arg);
void books_finish_pending(struct auth *a); /* at start and by the timer */
/* An ACT alone (about no account's file). */
void books_act(struct auth *a, const char *verb, struct span object, struct span argument,
	       const char *actor, books_done *on_done, void *arg);

/* ---- gate.c: Argon2id in threads (U3) ---- */
struct gate_job {
	struct list on_gate;
	struct password password;
	char verifier[PASSWORD_VERIFIER_BYTES]; /* to compare with; "": make one */
	bool wants_scram, renews; /* also: make a verifier with today's parameters if it is old */
	enum rc rc;		  /* OK, REFUSED, LATER */
	char made[PASSWORD_VERIFIER_BYTES]; /* "": none */
	struct scram_keys scram;	    /* iterations 0: none */
	void (*on_done)(void *arg, struct gate_job *job);
	void *arg;
};
struct gate *gate_new(struct auth *a);
void gate_free(struct gate *g); /* waits for the jobs in work; what was not done ends with LATER */
/* Copies the password. NULL: the queue is full. is_known: a queue of its own that is served first. */
struct gate_job *gate_submit(struct gate *g, const struct password *w, const char *verifier,
			     bool wants_scram, bool renews, bool is_known,
			     void (*on_done)(void *arg, struct gate_job *job), void *arg);

/* ---- cache.c: passwords seen to be right a moment ago (H-20), and credentials for going home ---- */
bool cache_has(struct auth *a, const struct member *m, const struct password *w);
void cache_add(struct auth *a, const struct member *m, const struct password *w);
void cache_free(struct auth *a);
void credential_keep(struct auth *a, const struct msg_site *site, struct span account,
		     struct span password, uint64_t for_us);
void credential_consent(struct auth *a, struct span account, struct span password, uint64_t for_ms,
			struct fault *why, bool *out_ok);
void credential_forget(struct auth *a, struct span account);
bool credential_has_consent(struct auth *a, struct span account);
/*
 * The password we have ourselves at a server: of a site's master user, or for the place "@smarthost". credential_user: false
 * where the configuration has no such place, or names no user there. credential_put: an empty password removes it.
 */
#define CREDENTIAL_SMARTHOST "@smarthost"
bool credential_user(const struct auth *a, struct span place, struct span *out_user);
bool credential_password(struct auth *a, struct span place,
			 struct buf *out); /* false: there is none */
bool credential_put(struct auth *a, struct span place, struct span password, struct fault *why);
void credential_answer(struct peer *p, const struct msg_credential_ask *m);
void credential_tell_all(struct auth *a); /* to a clerk that is new */
void credential_free_all(struct auth *a);

/* ---- login.c ---- */
extern struct say_metric auth_verdicts[LOGIN_LAST + 1];
void login_start(struct peer *p, const struct msg_sasl_start *m);
bool login_more(struct peer *p, const struct msg_sasl_more *m);
void login_cancel(struct peer *p, uint64_t id);
void login_mechanisms(struct peer *p);
void login_mechanisms_changed(struct auth *a);
void login_drop(struct peer *p); /* the link is gone */
struct send_as {
	struct span list[256];
	size_t n;
};
/* As whom this account may send; borrowed from the tables. */
void login_send_as(const struct auth *a, const char *name, struct send_as *out);
/* The account that is meant, or what could be one. */
void login_find_name(const struct auth *a, const char *given, char out[LOGIN_NAME_LIMIT_BYTES + 1]);

/*
 * Is this the account's password? Asked again of somebody who is in, as a login of theirs with its throttle. Calls back
 * once, maybe before it returns. No code passes for a password.
 */
typedef void login_judged(void *arg, enum login_verdict v, uint32_t delay_ms);
void login_check(struct auth *a, const char *name, struct span password, struct span source,
		 login_judged *on_judged, void *arg);

/* ---- session.c: sessions of browsers ---- */
struct session_wish { /* what a login shall open */
	bool is_wished;
	enum session_use use;
	char source[SESSION_SOURCE_BYTES], agent[SESSION_AGENT_BYTES];
};
/* False: this peer may not have such sessions. */
bool session_wish_of(const struct peer *p, struct span session_for, struct span source,
		     struct span agent, struct session_wish *out);
bool session_open(struct auth *a, struct fault *why);
void session_stop(struct auth *a);
void session_free(struct auth *a);
/*
 * What follows from a password, an invitation or (has_passed) a second factor that was right: a session, a ticket, or why
 * there is none. secret lives as long as out.
 */
void session_grant(struct auth *a, struct member *m, const struct session_wish *w, bool has_passed,
		   struct msg_login_answer *out, char secret[SESSION_TEXT_BYTES + 1]);
bool session_begin(struct auth *a, struct member *m, const struct session_wish *w,
		   char secret[SESSION_TEXT_BYTES + 1], uint64_t *out_until_us);
/* NULL: there is none, or it is over, or not this peer's to ask for. */
struct session *session_of(const struct peer *p, struct span secret, struct member **out_member);
void session_ask(struct peer *p, const struct msg_session_ask *m);
void session_end(struct peer *p, struct span secret);
/* Those of the account that are not of its seal any more (after account_replace). */
void session_sealed(struct auth *a, const struct member *m);
/* x NULL: all of the account but `but`. False: over, but the disk does not know yet (U5). */
bool session_end_some(struct auth *a, struct span account, struct session *x,
		      const struct session *but, size_t *out_n);
void session_limits(const struct auth *a, struct session_limits *out);

/* ---- ticket.c: a password was right, and the second factor is awaited ---- */
void ticket_make(struct auth *a, const struct member *m, const struct session_wish *w,
		 char secret[SESSION_TEXT_BYTES + 1], uint64_t *out_until_us);
void ticket_free_all(struct auth *a);
void factor_use(struct peer *p, const struct msg_factor_use *f);
/* A code of TOTP or recovery that is right is used up on disk before this says so. may_be_totp: see throttle. */
struct throttle_try factor_try(const struct auth *a, struct span account, struct span source,
			       struct span code);
bool factor_is_right(struct auth *a, struct member *m, struct span code, bool may_be_totp,
		     bool *out_by_recovery);

/* ---- invite.c ---- */
void invite_use(struct peer *p, const struct msg_invite_use *m);

/* ---- primary.c: pass-through ---- */
enum primary_says { PRIMARY_YES, PRIMARY_NO, PRIMARY_AWAY };
struct primary_ask;
typedef void primary_done(void *arg, enum primary_says says, const char *why);
struct primaries *primaries_new(struct auth *a);
void primaries_stop(struct auth *a); /* all that are out end with AWAY */
void primaries_free(struct primaries *p);
void primaries_configured(struct auth *a);
/* Never calls back before it returns. NULL: too many at once. */
struct primary_ask *primary_ask(struct auth *a, const struct msg_site *site, struct span name,
				const struct password *w, primary_done *on_done, void *arg);
void primary_cancel(struct primary_ask *ask); /* on_done is not called any more */
void primaries_resolved(struct auth *a, const struct msg_resolve_answer *m);
void primaries_scout_gone(struct auth *a);

/* ---- dkim.c: keys that sign what goes out ---- */
void dkim_load(struct auth *a); /* anew; at start and at a reload */
void dkim_forget(void);
void dkim_signers(struct peer *p, const struct msg_signers_ask *m);
void dkim_sign(struct peer *p, const struct msg_sign_ask *m);

/* ---- people.c: who orders something; people_*.c: what is ordered ---- */

/*
 * The command line, or a person or administrator by desk or console. Each gets one answer, by people_answer, at once or
 * later (asker_find: it may be gone, which changes nothing of what was ordered).
 */
struct asker {
	struct list on_auth;
	struct auth *auth;
	uint64_t number;   /* never given twice */
	uint64_t client;   /* of people.sock; 0: a link */
	uint64_t peer, id; /* of the link, and of its question */
	bool is_in_call, is_answered;
	char who[ACCOUNT_ACTOR_BYTES]; /* as acts name it */
	const char *reason;	       /* of the answer, for programs; "": none */
	enum login_verdict verdict;    /* of the password that was asked again */
	uint32_t delay_ms;
	/* Done: this account's person gets a new session, for what they had has ended with it. */
	bool renews;
	struct session_wish wish;
	char account[LOGIN_NAME_LIMIT_BYTES + 1];
};
struct asker *asker_new(struct auth *a, const char *who);
struct asker *asker_find(struct auth *a, uint64_t number); /* NULL: gone */
/* What was called for c has returned; c is not used any more by the caller. */
void asker_done(struct asker *c, bool is_malformed);
void people_prepare(struct auth *a);
void people_stop(struct auth *a);
void people_answer(struct asker *c, bool ok, const char *text, const struct buf *json);
/* No, with a reason for programs. */
void people_refuse(struct asker *c, const char *reason, const char *text);
/* False: malformed. */
bool dkim_people(struct asker *c, struct arena *m, unsigned type, struct span body);
bool people_user(struct asker *c, struct arena *m, unsigned type, struct span body);
/* AccountsChanged to all desks and submission. */
void people_changed(struct auth *a, struct span account);

/* ---- self.c, admin.c: orders that come with a session ---- */
void self_order(struct peer *p, const struct msg_self_order *m);
void admin_order(struct peer *p, struct arena *arena, const struct msg_admin_order *m);
