/* Inside the HTTP side of desk and console (http_*.c): connections, exchanges, people, files. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/door.h"
#include "role/common/http_host.h"
#include "role/common/http_person.h"
#include "role/common/role.h"
#include "say/say.h"

enum {
	HTTP_STEPS = 8,		       /* of one connection before the others have their turn */
	HTTP_TURNS = 32,	       /* of exchanges before what has come is looked at */
	HTTP_SLICE_BYTES = 32 << 10,   /* of a body that waits for its client */
	HTTP_PROGRESS_BYTES = 4096,    /* that a client takes in HTTP_UNREAD_US at least */
	HTTP_EXCHANGE_BYTES = 1 << 20, /* of one exchange's arena */
	HTTP_CONNECTIONS_MOST = 20000,
	HTTP_CONNECTIONS_OF_ACCOUNT = 200,
	HTTP_SMALL_BYTES = 64 << 10,
	HTTP_WHOLE_BYTES = 64 << 20, /* of all bodies being collected */
	HTTP_SESSION_BYTES = 43,
	HTTP_KEY_BYTES = 33, /* of a credential in the cache: its kind and a hash */
	HTTP_TOKEN_BYTES = 22,
};

/* What connections go by, made of one configuration; replaced as a whole, kept as long as somebody uses it. */
struct http_rules {
	struct arena arena;
	struct door_rules door;
	struct http_service service, service_tls;
	uint32_t connections;
	bool allows_clear;
};

struct http_files;
struct http_crowd;

struct http_host {
	struct role *role;
	struct loop *loop;
	struct os *os;
	const struct http_host_options *options;
	struct http_rules *rules;
	struct sources sources;
	struct list listeners, conns;
	struct list strangers; /* connections that nobody known has come by, the oldest first */
	size_t conns_n, strangers_n;
	struct map crowds; /* account -> struct http_crowd */
	struct list run;   /* connections whose engine has work left */
	struct list turns; /* exchanges that want one, or have room again */
	struct list over;  /* exchanges whose on_over is due */
	struct list streams;
	struct loop_wake *wake;
	struct tls_context *tls;
	uint32_t tls_mark;
	unsigned ticks;
	char date[HTTP_DATE_BYTES];
	struct http_files *files;
	size_t whole_bytes;
	bool is_stopping;

	/* auth, people: http_person.c, http_ask.c */
	struct link *auth;
	struct map questions; /* id -> struct http_question */
	uint64_t next_question;
	struct map people;  /* key -> struct http_known, the newest */
	struct map lookups; /* key -> struct http_lookup */
	struct list known;  /* all of them that somebody holds or the map has */
	unsigned char key[32];
};

struct http_conn {
	struct list link;     /* host.conns */
	struct list stranger; /* host.strangers, or on no list */
	struct list run;
	struct http_host *host;
	struct conn *conn;
	struct http_server *engine; /* NULL: the door is not open yet */
	struct http_exchange *x;    /* at work; NULL: none */
	struct http_crowd *crowd;   /* of the account that came by it first; NULL: a stranger's */
	struct door door;
	bool may_be_clear; /* TLS is looked for in the first byte */
	bool is_pumping, is_paused, is_deaf, is_closing;
	uint64_t armed_at_us, deaf_until_us;
	size_t deaf_bytes; /* that were unread when it began */
};

enum http_stage {
	STAGE_KNOCKING,	  /* it is not known yet who asks */
	STAGE_COLLECTING, /* HTTP_ROUTE_WHOLE */
	STAGE_OPEN,	  /* the handler has it */
	STAGE_OVER,
};

struct http_lookup;
struct http_question;

struct http_exchange {
	struct list link;   /* host.over or .turns */
	struct list stream; /* host.streams */
	struct list wait;   /* of a lookup */
	struct http_host *host;
	struct http_conn *c; /* NULL: the client is gone, or all is said */
	const struct http_route *route;
	struct http_ask ask;
	struct http_request head; /* copied */
	struct arena arena;
	struct http_person *person;	/* held; ask.person */
	struct http_question *question; /* going on */
	struct buf whole;
	uint64_t body_bytes; /* that came */
	struct span tail;    /* of the answer, not yet sent */
	struct buf tail_owned;
	uint64_t ping_us, ping_at_us;
	void *arg;
	enum http_stage stage;
	bool was_open, is_complete, has_responded, is_answering, wants_turn, wants_room, by_cookie;
};

/* ---- http_conn.c ---- */
void http_conn_new(struct http_host *h, int fd, bool may_be_clear);
void http_conn_go_on(struct http_conn *c); /* from the loop: an engine has something to do */
void http_conn_flush(struct http_conn *c); /* what the engine wants to send */
void http_conn_run(struct http_host *h);   /* all that want to go on */
void http_conn_wind_down(struct http_conn *c);
void http_conn_drop(struct http_conn *c); /* at once */
/* Somebody logged in comes by it; false: there are too many of the account's already. */
bool http_conn_enter(struct http_conn *c, struct span account) MUST_USE;
/* Drops the stranger that is at nothing for the longest time; false: all are at something. */
bool http_conn_make_room(struct http_host *h);

/* ---- http_exchange.c ---- */
void http_exchange_new(struct http_conn *c);
void http_exchange_piece(struct http_exchange *x, struct span piece);
void http_exchange_body_end(struct http_exchange *x);
void http_exchange_lost(struct http_exchange *x);     /* nobody listens any more */
void http_exchange_has_read(struct http_exchange *x); /* the client: there is room again */
void http_exchange_open(struct http_exchange *x);     /* the handler gets it */
void http_exchange_free(struct http_exchange *x);
void http_exchange_run(struct http_host *h);  /* turns, and on_over of what is over */
void http_exchange_tick(struct http_host *h); /* streams: pings, ends of sessions */
/* An answer whose body lives as long as the process. */
void http_exchange_answer_static(struct http_exchange *x, const struct http_response *r,
				 struct span body);

/* ---- http_route.c ---- */
void http_route_find(struct http_exchange *x); /* finds the handler, or answers */
void http_route_admit(struct http_exchange *x, struct http_person *person); /* NULL: nobody known */
/* Who it is cannot be told now; too many: after many wrong passwords. */
void http_route_later(struct http_exchange *x, bool too_many);

/* ---- http_files.c ---- */
struct http_files *http_files_load(struct http_host *h);
void http_files_free(struct http_files *f);
bool http_files_answer(struct http_files *f, struct http_exchange *x); /* false: no such file */

/* ---- http_person.c ---- */
enum http_knock { KNOCK_NOBODY, KNOCK_KNOWN, KNOCK_ASKED, KNOCK_LATER };
/* Looks who asks. KNOWN: *out is held for the caller. ASKED: http_route_admit or _later follows. */
enum http_knock http_person_knock(struct http_exchange *x, struct http_person **out);
void http_person_hold(struct http_person *p);
void http_person_drop(struct http_person *p); /* accepts NULL */
/* The newest that is known of the same credential; held; NULL: none. */
struct http_person *http_person_newest(struct http_host *h, const struct http_person *p);
void http_person_tick(struct http_host *h);
/* Auth may have ended sessions while we did not hear it: what is kept is asked anew, that of streams now. */
void http_person_refresh(struct http_host *h);
void http_person_fini(struct http_host *h);
void http_person_forget(struct http_exchange *x); /* it waits for nobody any more */
/* Answers of auth to a lookup. */
void http_lookup_done(struct http_lookup *l, const struct msg_session_answer *session,
		      const struct msg_login_answer *login);
void http_person_end_hashes(struct http_host *h, const struct span *hashes, size_t n);
void http_person_end_accounts(struct http_host *h, const struct span *accounts, size_t n);
void http_person_end_session(struct http_host *h, struct span session);
void http_person_token(struct span session, char out[HTTP_TOKEN_BYTES + 1]);

/* ---- http_ask.c: questions to auth ---- */
bool http_ask_session(struct http_lookup *l, struct http_host *h, struct span session,
		      const char *peer);
bool http_ask_password(struct http_lookup *l, struct http_host *h, struct span plain,
		       const struct http_ask *ask);
void http_ask_cancel(struct http_exchange *x); /* its login or order; accepts that there is none */
void http_ask_fail_all(struct http_host *h);   /* auth is gone */
void http_ask_fini(struct http_host *h);

/* ---- http_host.c ---- */
void http_host_wake(struct http_host *h);
enum http_metric {
	HTTP_CONNECTIONS,
	HTTP_TURNED_AWAY,
	HTTP_OPEN_CONNECTIONS,
	HTTP_REQUESTS,
	HTTP_REFUSED,
	HTTP_STREAMS,
	HTTP_UNREAD,
	HTTP_LOGINS,
	HTTP_LOGINS_REFUSED, /* the last: HTTP_METRICS - 1 */
};
void http_count(enum http_metric m, uint64_t more);
void http_set(enum http_metric m, uint64_t value);
