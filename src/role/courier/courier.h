/*
 * Inside the courier role. Who holds what:
 *
 *   courier  one; the lane, the reader, the links, all sites and all jobs
 *   site     where jobs wait in the order in which they were leased, its primaries and its sessions
 *   job      one lease; waits at its site, is worked on by one session, then waits for its OUTCOME
 *            to be durable
 *   session  one connection to one primary; takes one job after the other
 *   outcome  records on their way to the lane; kept until they are durable, whatever it takes
 *
 *   K1  The final dot of a transaction goes out only when its INTENT is durable and the clerk's
 *       link stands.
 *   K2  Every transaction that had an INTENT gets an OUTCOME for each of its recipients.
 *   K3  Jobs of a site begin (MAIL is sent) in the order of their leases.
 *   K4  Bytes that do not match their digest are never followed by a dot.
 */
#pragma once

#include <sys/socket.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "queue/verdict.h"
#include "role/common/durable.h"
#include "smtp/client.h"

struct link;
struct loop;
struct role;

enum {
	COURIER_JOBS = 256,	       /* leases held at most, as we tell the clerk */
	COURIER_RCPTS = 100,	       /* of one transaction (RFC 5321 s4.5.3.1.8) */
	COURIER_ADDRESSES = 8,	       /* of one host that are tried */
	COURIER_REDIRECT_SESSIONS = 4, /* to a host an operator named */
};

struct courier {
	struct role *role;
	struct loop *loop;
	struct os *os;
	struct durable *durable;
	struct lane *lane; /* its */
	struct ledger_reader *reader;
	struct link *clerk, *scout, *watch, *auth;
	struct primary_tls *tls;
	struct map sites;  /* by name; redirections as ">host:port site" */
	struct map hosts;  /* by name */
	struct map jobs;   /* by lease */
	struct list homes; /* home leases; home.h */
	uint64_t last_question;
	struct list signings;
	uint64_t swept_us;	       /* when idle sites were looked for */
	struct buf smarthost_password; /* of auth; wiped */
	bool is_stopping, is_ending;
	bool is_room_due;
	size_t sessions_n;
};

/* ---- site.c ---- */

struct primary {
	struct list at;
	char *host; /* name or literal as configured */
	uint16_t port;
	uint32_t weight, priority;
	unsigned sessions;
	bool is_gone;		 /* of an older configuration */
	bool is_proven;		 /* the last session came up */
	unsigned failures;	 /* in a row */
	uint64_t started_us;	 /* the last session */
	uint64_t failed_us;	 /* the last one; monotonic */
	uint64_t plain_until_us; /* a handshake failed: without TLS for a while */
	/* Of the world: as scout said. */
	struct sockaddr_storage addresses[COURIER_ADDRESSES];
	size_t addresses_n;	 /* 0: its name is resolved */
	struct tls_context *tls; /* NULL: the site's */
	bool tls_required;
};

struct signing;
struct site {
	struct courier *c;
	char *key;  /* in courier.sites */
	char *name; /* as in the configuration; for a redirection that of the lease */
	struct list primaries, sessions, in_sweep;
	struct list waiting; /* jobs */
	size_t waiting_n, sessions_n;
	unsigned concurrency;
	struct tls_context *tls;
	bool tls_required, is_redirect;
	uint64_t results_told_us; /* to watch: at most once a second, each one on probation */
	struct {
		uint32_t accepted, refused_good, refused_unknown, deferred;
		uint64_t granted_us; /* the first of their leases came; 0: there are none */
	} untold[PHASE_UP +
		 1]; /* recipients' answers that watch has not been told of, by the leases' phase */
	struct loop_timer *tell_rest;
	char answered_by[256];	     /* the host of the last one */
	struct msg_site_limits told; /* what watch knows; site empty: nothing */
	char last_fault[300];
	bool is_pushing, is_used;
	uint64_t used_us; /* the last lease of a redirection or of the world came */

	/* world.c */
	bool is_world, is_smarthost;
	uint64_t waiting_since_us; /* the first of those that wait came */
	const char *domain;
	uint64_t routed_us,
		question; /* when its primaries were heard of; 0: not asked, no question is open */
	struct loop_timer *route_deadline;
};

/* Reads the configuration again. */
void sites_configure(struct courier *c);
/* A redirection or a destination of the world has a lease. Those that had none for long, and nothing to do, are freed. */
void site_used(struct site *s);
/* NULL: no such site. */
struct site *site_new(struct courier *c, struct span key, struct span name);
struct primary *site_primary(struct site *s, struct span host, uint16_t port); /* makes it */
bool site_has_primary(const struct site *s);
struct site *site_for_lease(struct courier *c, const struct msg_lease *lease);
void site_stop(struct courier *c, struct span name);
struct job;
void site_put(struct site *s, struct job *job);		    /* behind all others */
void site_put_back(struct site *s, struct job *job);	    /* before all others */
struct job *site_take(struct site *s);			    /* NULL: none waits */
void site_drop_waiting(struct site *s, const char *reason); /* their leases lapse */
/* Opens sessions as far as jobs and limits want. */
void site_push(struct site *s);
/* The primary could not be used; another one is tried, or what waits lapses. */
void site_primary_failed(struct site *s, struct primary *p, const char *why);
void site_primary_worked(struct site *s, struct primary *p);
void sites_clerk_gone(struct courier *c);
void sites_watch_new(struct courier *c); /* what was told is not known to it */
void sites_stop(struct courier *c);
void sites_free(struct courier *c); /* no session is left */

/* ---- world.c: destinations that are no site of ours ---- */

bool world_is_destination(struct span site);
struct site *world_site(struct courier *c, struct span name);
/* False: asked; the site is pushed when the answer is there. */
bool world_is_routed(struct site *s);
/* None of its hosts could be reached: what waits is recorded as tried. */
void world_unreached(struct site *s, const char *why);
void world_answer(struct courier *c, const struct msg_mx_answer *m);
/* False: it was not asked for here. */
bool world_credential(struct courier *c, const struct msg_credential_answer *m);
void world_forget(struct courier *c); /* the smarthost's password */
void world_scout_gone(struct courier *c);

/* ---- sign.c: DKIM ---- */

struct job;
bool sign_is_needed(const struct job *j); /* of an open one, for the world */
void sign_start(struct job *j);		  /* puts it to its site when it is signed */
void sign_forget(struct job *j);
void sign_signers(struct courier *c, const struct msg_signers *m);
void sign_answer(struct courier *c, const struct msg_sign_answer *m);
void sign_auth_gone(struct courier *c);

/* ---- session.c ---- */

struct session;
void session_start(struct site *s, struct primary *p);
/* Something changed outside: a job waits, an intent is durable, the clerk is gone. */
void session_drive(struct session *s);
bool session_is_free(const struct session *s); /* takes a job at once, or will soon */
struct session *session_of(struct list *at);
/* No further jobs: an idle one says goodbye, one that is not up yet ends. */
void session_stop(struct session *s);
/* The clerk is gone: no dot any more (K1). What had one waits for its answer. */
void session_clerk_gone(struct session *s);

/* ---- job.c ---- */

enum intent { INTENT_NONE, INTENT_PENDING, INTENT_DURABLE, INTENT_FAILED };

struct job {
	struct courier *c;
	struct list at; /* waiting at its site */
	struct arena arena;
	struct msg_lease lease;	      /* in the arena */
	uint64_t granted_us;	      /* when it came; monotonic */
	struct msg_message_meta meta; /* in the arena; after job_open */
	bool is_open;
	bool is_signed; /* or need not be */
	struct signing *signing;
	struct buf signatures; /* DKIM: fields that stand before the trace */
	struct site *site;
	struct session *session;
	size_t first, batch; /* recipients lease.rcpts[first .. first + batch) are under way */
	enum intent intent;
	bool had_intent, recorded, was_put_back;
	bool owes_outcome; /* an INTENT of the present batch was appended, and no OUTCOME yet */
	unsigned awaited;  /* lane results, those of intents among them */
	unsigned intents_out;
};

void job_new(struct courier *c, struct span lease_body);
/* Reads the message's record. False: it is damaged; what there is to do was done. */
bool job_open(struct job *j);
/* The transaction of the present batch begins at host: INTENT. */
void job_intend(struct job *j, const char *host);
/* How the batch ended: OUTCOME, notifications; the job goes on with the next batch or ends. */
struct job_end {
	const struct smtp_client *client; /* results of the batch; NULL: all are like `all` */
	struct smtp_rcpt_result all;
	const char *host;
	const char
		*damage; /* not NULL: the body could not be read; who was not refused gets this */
	const char *set_aside; /* not NULL: nothing was offered, and an operator must say */
};
void job_end_batch(struct job *j, const struct job_end *end);
/* Nothing was offered: the lease lapses. Frees j. */
void job_lapse(struct job *j, const char *reason);
/* Off its site's list, not on a session: lapses, or, once an INTENT was appended, ends with an OUTCOME that says that
 * nothing was offered; the clerk would wait for one for ever. */
void job_give_back(struct job *j, const char *reason);
/* Off its site's list: nothing was sent, and this is recorded for all its recipients. */
void job_end_unsent(struct job *j, const struct smtp_rcpt_result *all, const char *host);
void job_settle(struct job *j); /* frees it when nothing is left to wait for */

/* ---- record.c: what goes to the lane ---- */

void record_intent(struct job *j, const char *host);
void record_outcome(struct job *j, const struct job_end *end);

/* ---- notify.c ---- */

struct notice_facts {
	const struct msg_lease_rcpt *rcpt;
	unsigned action; /* enum dsn_action */
	uint16_t code;
	const char *enhanced, *text, *host;
};
/* Meta and body of the notification as a MESSAGE. False: the original cannot be read. */
bool notice_make(struct job *j, const struct notice_facts *facts, struct buf *meta,
		 struct buf *body);

/* ---- links.c ---- */

void links_accept(struct courier *c, unsigned peer_role, unsigned instance, int fd);
/* Frees body. False: not sent, and the log says so. */
bool links_send(struct link *l, unsigned type, struct buf *body);
void tell_lease_done(struct courier *c, const struct job *j, const char *reason);
void tell_room_soon(struct courier *c);
void tell_limits(struct site *s, const struct smtp_capabilities *caps);
/* An answer of the primary for one recipient: told within a second, as counts; at once on probation. */
void note_result(const struct job *j, const char *host, enum attempt attempt, bool known_good);
void tell_results(struct site *s); /* what is due */
void results_init(struct site *s);
void results_fini(struct site *s);
void tell_evidence(struct site *s, const char *host, enum attempt attempt, const char *stage,
		   unsigned code, const char *text);

/* ---- resolve.c ---- */

struct host;
struct sockaddr_storage;
/* Calls back once, at once for literals and what is known. n == 0: why says the reason. Cancel with resolve_forget. */
struct resolve_wait {
	struct list at;
	void (*on_addresses)(void *arg, const struct sockaddr_storage *addresses, size_t n,
			     const char *why);
	void *arg;
};
void resolve_ask(struct courier *c, const char *name, struct resolve_wait *wait);
bool resolve_literal(struct span text, struct sockaddr_storage *out);
void resolve_forget(struct resolve_wait *wait);
void resolve_answer(struct courier *c, const struct msg_resolve_answer *answer);
void resolve_scout_gone(struct courier *c);
void resolve_free(struct courier *c);

/* ---- main.c: metrics ---- */

/* When it stops: ends the role if nothing is left to do. */
void courier_check_end(struct courier *c);

struct say_metric;
extern struct say_metric courier_metric_delivered, courier_metric_refused, courier_metric_deferred,
	courier_metric_unsure, courier_metric_unreached, courier_metric_bytes,
	courier_metric_sessions, courier_metric_connects, courier_metric_leases,
	courier_metric_notices, courier_metric_tls_fallbacks, courier_metric_damaged;
