/* Inside holdfast-edge: what its files share. README.md says who does what. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "mail/header.h"
#include "publish/publish.h"
#include "role/common/durable.h"
#include "role/common/intake.h"
#include "role/common/role.h"
#include "role/edge/policy.h"
#include "role/common/sources.h"
#include "smtp/server.h"

enum {
	EDGE_QUESTION_US = 500000, /* to scout: later than this is no answer */
	EDGE_PROXY_US = 5000000,   /* for the header of the PROXY protocol */
	EDGE_TLS_US = 30000000,	   /* for the handshake where TLS comes first */
	EDGE_STOP_US = 28000000,   /* for open transactions at the end; less than ROLE_STOP_S */
	EDGE_TICK_US = 1000000,
	EDGE_ID_BYTES = 33, /* 128 bit in hexadecimal and NUL */
	EDGE_UNREAD_BYTES =
		64
		<< 10, /* of replies that a client has not read: it is not listened to meanwhile */
	/* of addresses in one record's meta, whatever limits.recipients says */
	EDGE_RCPTS_BYTES = LEDGER_META_LIMIT_BYTES - (64 << 10),
	EDGE_VERDICTS_BYTES = 256,
};

struct scout;
struct scout_question;
struct tls_context;
struct edge_session;

struct edge;

/* What port 25 and submission do each in their own way. All may be NULL that say so. */
struct edge_ways {
	const char *const *services;		/* whose connections are taken; NULL-terminated */
	void (*client)(struct edge_session *s); /* about to be greeted */
	void (*mail)(struct edge_session *s);	/* the engine's questions */
	void (*rcpt)(struct edge_session *s);
	void (*login)(struct edge_session *s,
		      enum smtp_step step); /* SMTP_AUTH, _SASL, _AUTH_END; NULL: not offered */
	void (*secured)(struct edge_session
				*s); /* STARTTLS is done, all before is forgotten; may be NULL */
	void (*begin)(struct edge_session *s);			  /* a message comes; may be NULL */
	void (*piece)(struct edge_session *s, struct span piece); /* of it; may be NULL */
	/* The whole message is there: false when it was refused, and answered. May be NULL. */
	bool (*accepts)(struct edge_session *s);
	void (*trace)(struct edge_session *s, struct buf *out); /* what stands before the body */
	void (*meta)(struct edge_session *s,
		     struct msg_message_meta *m);	       /* amends the record; may be NULL */
	void (*stored)(struct edge_session *s, enum rc rc);    /* before the answer; may be NULL */
	void (*gone)(struct edge_session *s);		       /* the session ends; may be NULL */
	void (*policy)(struct edge *e, struct edge_policy *p); /* amends a new one; may be NULL */
	bool (*link)(struct edge *e, enum role_id peer, unsigned instance,
		     int fd); /* false: not wanted; may be NULL */
};

struct edge {
	const struct edge_ways *ways;
	void *own; /* of the ways */
	struct role *role;
	struct loop *loop;
	struct os *os;
	struct edge_policy *policy;
	struct sources sources;
	struct list listeners;
	struct list sessions;
	size_t sessions_n;

	struct durable *durable;
	struct lane *lane; /* its */
	struct intake_hall hall;
	struct list hungry; /* sessions that wait for room in the hall */

	struct scout *scout;
	struct publish_view *recipients, *sites, *limits;

	struct tls_context *tls;
	uint32_t tls_mark; /* of the files it was made from */
	struct loop_timer *tick, *stop_timer;
	bool is_stopping;
	char condition[160];
};

/* ---- metrics.c ---- */
enum edge_metric {
	METRIC_CONNECTIONS,
	METRIC_TURNED_AWAY,
	METRIC_SESSIONS,
	METRIC_MESSAGES,
	METRIC_BYTES,
	METRIC_RCPT_REFUSED,
	METRIC_RCPT_DEFERRED,
	METRIC_MESSAGES_REFUSED,
	METRIC_MESSAGES_DEFERRED,
	METRIC_TLS,
	METRIC_BUFFERED,
	METRIC_SCOUT_MISSED,
	METRIC_BATCHES,
	METRIC_RECORDS,
	METRIC_SYNC_US,
	METRIC_ABANDONED,
	METRICS,
};
extern struct say_metric *const edge_metrics[METRICS];
void edge_count(enum edge_metric metric, uint64_t more);
void edge_set(enum edge_metric metric, uint64_t value);

/* ---- listen.c ---- */
void edge_listen(struct edge *e, const char *service, int fd);
void edge_listen_stop(struct edge *e);

/* ---- session.c ---- */
void edge_session_new(struct edge *e, int fd, const struct sockaddr_storage *peer, bool is_proxied,
		      bool is_tls_first);
/* One whose client is a part of this process: no limits of its address, no login. peer: for the record; own: of the ways. */
struct edge_session *edge_session_inner(struct edge *e, int fd, const char *peer, void *own);
void edge_session_wind_down(struct edge_session *s);
/* Answers the engine's open question and goes on. */
void edge_answer(struct edge_session *s, unsigned code, const char *enhanced, const char *text,
		 uint64_t tag);
/* Goes on after something outside has changed (an answer, room in the budget). */
void edge_session_go_on(struct edge_session *s);
void edge_session_unpin(struct edge_session *s); /* may free it */
void edge_feed_hungry(struct edge *e);

struct edge_session {
	struct list link;   /* edge.sessions */
	struct list hunger; /* edge.hungry */
	struct edge *edge;
	struct edge_policy *policy;
	struct conn *conn; /* NULL: closed; kept while the lane holds something of it */
	struct smtp_server *smtp;
	struct source *source;
	uint64_t armed_at_us; /* the conn's deadline; 0: none */
	unsigned pins;	      /* records that will call back */
	bool is_proxied;      /* the PROXY header has not come yet */
	bool is_tls_first;    /* TLS, from the first byte, does not stand yet */
	bool is_inner;	      /* edge_session_inner made it */
	void *own;	      /* of the ways */
	bool is_paused, is_pumping;
	char peer[48];
	uint16_t peer_port;

	/* about the client, from scout */
	struct scout_question *about_client;
	bool client_known; /* answered, or not asked */
	bool is_listed;
	char host_name[256];
	char verdicts[EDGE_VERDICTS_BYTES];

	/* about the transaction */
	uint64_t transaction;	 /* counts */
	enum smtp_step question; /* what the engine waits for */
	struct scout_question *about_sender, *about_rcpt;
	size_t rcpts_bytes; /* of the recipients in the record */
	bool sender_known;
	bool is_own_sender; /* from one of our domains, from outside: SPF decides */
	char spf[16];
	uint64_t spf_key,
		spf_until_us; /* of the answer above: a session's next message from the same sender asks nobody */
	char id[EDGE_ID_BYTES];
	uint64_t received_us;
	struct intake *intake; /* NULL: no message comes */
};

/* ---- run.c: the process, whatever its ways ---- */
int edge_run(int argc, char **argv, const struct role_ops *ops, const struct edge_ways *ways);
void edge_use_policy(
	struct edge *e); /* made anew; sessions go on with theirs until their next message */
/* Parts of struct role_ops. */
bool edge_on_start(struct role *r, struct fault *why);
void edge_on_ready(struct role *r);
void edge_on_link(struct role *r, enum role_id peer, unsigned instance, int fd);
void edge_on_listen(struct role *r, const char *service, int fd);
void edge_on_reload(struct role *r, const struct msg_config *was);
void edge_on_stop(struct role *r);

/* ---- judge.c: who and what is let in ---- */
void edge_judge_client(struct edge_session *s); /* begins to ask; nothing waits yet */
void edge_judge_mail(struct edge_session *s);
void edge_judge_rcpt(struct edge_session *s);
void edge_judge_data(struct edge_session *s);
void edge_judge_forget(struct edge_session *s); /* all open questions */
/* Shared by both ways: reserve and new transaction (false: answered), and what is known of an address of ours. */
bool edge_judge_may_begin(struct edge_session *s);
enum publish_recipient edge_judge_known(struct edge_session *s, const struct edge_domain *d,
					const struct address *a);
bool edge_judge_is_role_address(const struct address *a); /* postmaster@, abuse@ */
void edge_judge_accept(struct edge_session *s, const struct edge_domain *d, struct span domain,
		       enum publish_recipient known);
void edge_judge_refuse(struct edge_session *s, unsigned code, const char *enhanced,
		       const char *text);
/* What EHLO offers from now on: at most what the sites were last heard to take. */
void edge_judge_offers(struct edge *e);
/* What its MAIL said (SIZE, SMTPUTF8) by what the site last said. False: the answer was given. */
bool edge_judge_site_takes(struct edge_session *s, const struct edge_domain *d);
/* The largest message that all recipients' sites take, as far as is known; 0: any. */
uint64_t edge_judge_size(const struct edge_session *s);
void edge_judge_forget_mail(struct edge_session *s); /* those of the transaction */

/* The domain of the recipient in question, NULL: not ours. */
const struct edge_domain *edge_judge_asked(struct edge_session *s, struct address *out);
/* The tag of an accepted recipient: its domain's index from bit 8 on, and below that these. */
enum {
	EDGE_TAG_KNOWN = 0x3f /* enum publish_recipient */,
	EDGE_TAG_REPORT = 0x40,
	EDGE_TAG_COPY = 0x80
};
/* The transaction is one of copies (copies.c): its recipients take nothing else. */
static inline bool edge_is_copy(const struct edge_session *s)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);

	return e->rcpts_n > 0 && (e->rcpts[0].tag & EDGE_TAG_COPY);
}

/* ---- copies.c: mail that the primary has handled already, for domains that take copies ---- */
void edge_copies_rcpt(struct edge_session *s);
void edge_copies_begin(struct edge_session *s);
void edge_copies_piece(struct edge_session *s, struct span piece);
bool edge_copies_accept(struct edge_session *s);
void edge_copies_meta(struct edge_session *s, struct msg_message_meta *m);
void edge_copies_stored(struct edge_session *s, enum rc rc);
void edge_copies_gone(struct edge_session *s);

/* ---- message.c: from bytes to a record ---- */
void edge_message_begin(struct edge_session *s);
void edge_message_trace(struct edge_session *s,
			struct buf *out); /* Received, as port 25 writes it */
const char *edge_message_protocol(const struct edge_session *s);
void edge_message_piece(struct edge_session *s, struct span piece);
void edge_message_drop(struct edge_session *s);
void edge_message_store(struct edge_session *s); /* the message is complete */

/* ---- scout.c ---- */
struct scout_answer {
	bool is_missing; /* no answer in time, or nobody to ask */
	const struct msg_connection_answer *connection;
	const struct msg_sender_answer *sender;
	const struct msg_recipient_answer *recipient;
};
typedef void scout_on_answer(void *arg, const struct scout_answer *answer);

struct scout *scout_new(struct role *r);
void scout_link(struct scout *s, unsigned instance, int fd);
/* NULL: nobody to ask, go on without. Else on_answer follows once, from the loop, unless
 * scout_forget. */
struct scout_question *scout_ask_connection(struct scout *s, const char *address,
					    const struct span *zones, size_t n,
					    scout_on_answer *on_answer, void *arg);
struct scout_question *scout_ask_sender(struct scout *s, const char *address, struct span helo,
					struct span sender, scout_on_answer *on_answer, void *arg);
struct scout_question *scout_ask_recipient(struct scout *s, struct span site, struct span address,
					   scout_on_answer *on_answer, void *arg);
void scout_forget(struct scout_question *q); /* accepts NULL */
