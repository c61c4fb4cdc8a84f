/* Inside holdfast-desk: what its files share. README.md says who does what. */
#pragma once

#include "auth/login.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "imap/server.h"
#include "ipc/msg.h"
#include "jmap/jmap.h"
#include "ledger/ledger.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "mail/digest.h"
#include "mail/store.h"
#include "pop3/server.h"
#include "role/common/door.h"
#include "role/common/durable.h"
#include "role/common/intake.h"
#include "role/common/role.h"
#include "role/common/sources.h"
#include "views/digest.h"
#include "views/mailbox.h"

enum {
	DESK_TICK_US = 1000000,
	DESK_VERDICT_US = 30000000, /* from an act to its verdict; later: nobody knows */
	DESK_UNREAD_US = 60000000,  /* a client that takes nothing for so long is dropped (I-16) */
	DESK_UNREAD_BYTES =
		64 << 10,	  /* of output on its way to one client; then its engine waits */
	DESK_STEPS = 8,		  /* of one engine before the others have their turn */
	DESK_STOP_US = 8000000,	  /* for open acts and appends at the end; less than ROLE_STOP_S */
	DESK_ENTER_US = 10000000, /* that a login waits for its mailboxes */
	DESK_ENTER_AGAIN_US = 50000, /* between looks for them */
	DESK_REOPEN_US = 200000,     /* between tries to open the views */
	DESK_DIGESTS_US = 10000000,  /* the index is opened anew now and then */
	DESK_BODIES_KEPT = 4,	     /* open messages that nobody reads just now */
	DESK_SESSIONS_MOST = 50000,  /* whatever descriptors there are */
	DESK_ASKS_MOST = 100000,     /* acts on their way, of all sessions */
	DESK_ACCOUNT_BYTES = LOGIN_NAME_LIMIT_BYTES,
};

struct desk_session;
struct desk_login;
struct http_host;
struct tls_context;

/* What sessions go by, made from one configuration and the mechanisms auth offers; replaced as a whole. */
struct desk_policy {
	struct arena arena;
	struct imap_service imap, imap_local; /* local: a password may be sent in clear text */
	struct pop3_service pop3;
	struct jmap_service jmap;
	uint64_t uploads_bytes; /* of one account */
	struct door_rules door;
	struct span node;
	uint64_t message_bytes, buffer_bytes;
	uint64_t verdict_us; /* that an act is waited for */
	uint32_t sessions, sessions_per_account;
	bool allows_clear; /* from this machine */
};

/* Sessions of one account; there while it has any. */
struct desk_account {
	unsigned sessions;
};

struct desk {
	struct role *role;
	struct loop *loop;
	struct os *os;
	struct desk_policy *policy;
	struct sources sources;
	struct list listeners, sessions;
	size_t sessions_n, imap_n, pop3_n;
	size_t people_n;     /* of the sessions: logged in */
	struct map accounts; /* name -> struct desk_account */

	struct durable *durable;
	struct lane *lane;
	size_t acts_pending; /* records that call back, beside those of the hall */
	struct intake_hall hall;
	struct list hungry, hungry_requests; /* who waits for room in the hall */

	/* JMAP */
	struct map running; /* account id -> how many requests of it */
	struct desk_uploads *uploads;
	struct link *submission;
	unsigned submission_instance;
	struct map submits; /* id -> struct desk_submit */
	uint64_t next_submit;

	struct list runnable; /* sessions whose engine has work left */
	struct loop_wake *run;

	/* auth */
	struct link *auth;
	unsigned auth_instance;
	struct map logins; /* id -> struct desk_login */
	uint64_t next_login;
	char mechanisms[256]; /* as auth said last */

	/* clerk */
	struct link *clerk;
	unsigned clerk_instance;
	struct map asks; /* id -> struct desk_ask */
	uint64_t next_ask;

	/* what is read */
	struct views *views;
	uint64_t views_tried_us;
	bool views_are_bad; /* closed when no call is inside them */
	unsigned views_depth;
	bool is_stepping;			     /* an engine is at work */
	bool views_are_in_step, digests_are_in_step; /* one moment is read until it rests */
	struct digest_db *digests;
	uint64_t digests_tried_us;
	struct digest_maker *made; /* the last digest that was made here */
	struct digest_key made_key;
	struct ledger_reader *reader;
	struct list bodies; /* kept open, the latest first */
	size_t bodies_n;

	struct http_host *http;
	struct list nows;    /* of /api/now, by site */
	const char *outage;  /* of /api/portal; NULL: never found out */
	uint64_t outage_us;  /* when it was looked for */
	struct list streams; /* of /jmap/events */
	size_t streams_n;

	struct tls_context *tls;
	uint32_t tls_mark; /* of the files it was made from */
	struct loop_timer *tick, *stop_timer;
	bool is_stopping;
	char condition[200];
};

/* ---- metrics.c ---- */
enum desk_metric {
	METRIC_CONNECTIONS,
	METRIC_TURNED_AWAY,
	METRIC_IMAP,
	METRIC_POP3,
	METRIC_LOGINS,
	METRIC_LOGINS_REFUSED,
	METRIC_LOGINS_LATER,
	METRIC_ACTS,
	METRIC_ACTS_LOST,
	METRIC_APPENDS,
	METRIC_APPEND_BYTES,
	METRIC_TLS,
	METRIC_BUFFERED,
	METRIC_DIGESTS_MADE,
	METRIC_UNREAD,
	METRIC_JMAP,
	METRIC_UPLOADS,
	METRIC_UPLOAD_BYTES,
	METRIC_SUBMITTED,
	METRICS,
};
extern struct say_metric *const desk_metrics[METRICS];
void desk_count(enum desk_metric metric, uint64_t more);
void desk_set(enum desk_metric metric, uint64_t value);

/* ---- policy.c ---- */
/* Makes a new one and gives it to all sessions. */
void desk_policy_use_newest(struct desk *d);

/* ---- listen.c ---- */
void desk_listen(struct desk *d, const char *service, int fd);
void desk_listen_stop(struct desk *d);

/* Whose mailboxes are read: what is behind a struct mail_store. */
struct desk_reader {
	struct desk *desk;
	uint64_t account_id;
};

/* ---- session.c: what both protocols share; imap.c and pop3.c drive the engines ---- */
enum desk_protocol { DESK_IMAP, DESK_POP3 };

/* Whose turn it is after a step. */
enum desk_turn {
	TURN_AGAIN,  /* step again */
	TURN_CLIENT, /* all input is consumed */
	TURN_WAIT,   /* an answer is needed first */
	TURN_OTHERS, /* work is left, but others may go first */
	TURN_OVER,   /* closing, or TLS begins */
};

struct desk_session {
	struct list link;   /* desk.sessions */
	struct list hunger; /* desk.hungry */
	struct list run;    /* desk.runnable */
	struct desk *desk;
	struct conn *conn; /* NULL: closed; freed when nothing is pinned */
	struct imap_server *imap;
	struct pop3_server *pop3;
	enum desk_protocol protocol : 8;
	struct door door;
	bool is_paused, is_pumping, is_waiting, is_deaf, is_greeted;
	uint64_t armed_at_us; /* the conn's deadline; 0: none */
	uint64_t deaf_until_us;
	unsigned pins; /* acts and appends that may call back */

	struct desk_login *login; /* going on */
	struct intake *append;	  /* a message coming in */
	struct span account;	  /* name, owned; "" before the login */
	struct desk_reader reader;
};

void desk_session_new(struct desk *d, int fd, enum desk_protocol protocol, bool begins_with_tls);
/* Goes on after something outside has changed (an answer, room). */
void desk_session_go_on(struct desk_session *s);
void desk_session_unpin(struct desk_session *s); /* may free it */
void desk_session_send(struct desk_session *s, struct span bytes);
void desk_session_begin_tls(struct desk_session *s);
void desk_session_end(struct desk_session *s, const char *code, const char *text);
void desk_session_wind_down(struct desk_session *s);
bool desk_session_is_secure(const struct desk_session *s);
void desk_feed_hungry(struct desk *d);
/* The account's name is known: counts it. False: too many. */
bool desk_session_enter_account(struct desk_session *s, struct span name);
void desk_session_leave_account(struct desk_session *s);

enum desk_turn desk_imap_step(struct desk_session *s, struct span *in);
enum desk_turn desk_pop3_step(struct desk_session *s, struct span *in);

/* ---- login.c ---- */
void desk_auth_link(struct desk *d, unsigned instance, int fd);
/* Answers come by the session's engine; at once when nobody can be asked. */
void desk_login_begin(struct desk_session *s, struct span mechanism, bool has_initial,
		      struct span initial);
void desk_login_go_on(struct desk_session *s, struct span response);
void desk_login_forget(struct desk_session *s); /* the client gave up or is gone */

/* ---- act.c: asking the clerk ---- */
void desk_clerk_link(struct desk *d, unsigned instance, int fd);
/* May an act be asked now? Otherwise nothing was recorded. */
bool desk_can_act(const struct desk *d);
/* What becomes of an ask. DESK_NOT_RECORDED: nothing was done or will be. */
enum desk_fate { DESK_JUDGED, DESK_NOT_RECORDED, DESK_UNKNOWN };
extern const char desk_unknown_fate[], desk_not_now[]; /* sentences of the last two */
struct desk_actor {
	struct span account; /* name */
	const char *protocol, *peer;
};
/* v, there when it was judged, dies with the call. */
typedef void desk_on_fate(void *arg, uint64_t ref, enum desk_fate fate,
			  const struct mail_verdict *v);
/* A number for MailAct.ask; on_fate comes once, with ref, unless it is forgotten. Then desk_act, or a MESSAGE record and
 * desk_ask_recorded. */
uint64_t desk_ask_new(struct desk *d, uint64_t ref, desk_on_fate *on_fate, void *arg);
void desk_ask_forget(struct desk *d, uint64_t ask);
/* Records the act of an ask. */
void desk_act(struct desk *d, const struct desk_actor *who, uint64_t ask,
	      const struct mail_act *act);
/* The record's fate, from the lane: what failed gets no verdict. */
void desk_ask_recorded(struct desk *d, uint64_t ask, enum rc rc);
void desk_ask_expire(struct desk *d);
void desk_act_write(const struct desk_actor *who, uint64_t ask, const struct mail_act *act,
		    struct buf *out);
/* The same for sessions: the fate goes to the engine. engine_ask: IMAP's id. */
void desk_session_act(struct desk_session *s, uint64_t engine_ask, const struct mail_act *act);
uint64_t desk_session_ask(struct desk_session *s, uint64_t engine_ask);
struct desk_actor desk_session_actor(const struct desk_session *s);

/* ---- append.c: a message that a person puts into a mailbox ---- */
void desk_append_begin(struct desk_session *s);
void desk_append_piece(struct desk_session *s, struct span piece);
void desk_append_drop(struct desk_session *s); /* accepts that there is none */
void desk_append_end(struct desk_session *s);
/* Appends the record of a settled intake whose rc is OK; the ask's fate follows. The intake is the caller's to drop. */
void desk_append_store(struct desk *d, const struct desk_actor *who, struct span tls,
		       struct intake *i, const struct mail_act *act, uint64_t ask);

/* ---- store.c: struct mail_store over views, digests and ledger ---- */
/* Borrows r for the store's life. */
void desk_store(struct desk_reader *r, struct mail_store *out);
/* LATER: the views are being made. REFUSED: not in them (yet). */
enum rc desk_store_account(struct desk *d, struct span name, uint64_t *out_id,
			   struct fault *why) MUST_USE;
void desk_store_tick(struct desk *d); /* closes what is old */
void desk_store_fini(struct desk *d);
/* For body.c. views_leave after each views_enter that was OK. */
/* Around a step of an engine: what it reads is of one moment. Before anything is sent the moment ends. */
void desk_store_step(struct desk *d);
void desk_store_rest(struct desk *d);
enum rc desk_views_enter(struct desk *d, struct fault *why) MUST_USE;
enum rc desk_views_leave(struct desk *d, enum rc rc); /* rc of the call, looked at and passed on */

/* ---- body.c ---- */
enum rc desk_body_open(struct desk *d, uint64_t number, enum mail_form form, struct mail_body **out,
		       struct fault *why) MUST_USE;
uint64_t desk_body_bytes(const struct mail_body *b);
enum rc desk_body_read(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
		       struct fault *why) MUST_USE;
void desk_body_close(struct mail_body *b);
void desk_bodies_drop(struct desk *d);
