/*
 * What desk and console share of HTTP: listeners, connections (door.h, TLS first), the engine (http/server.h), who somebody is
 * (http_person.h), the rules against forged requests, static files, and the fields that every answer has. A role says which
 * paths it serves (struct http_route); for each request of them it gets an exchange, which it answers at once or later.
 *
 *   on_request -> on_piece ... on_body_end       (or, HTTP_ROUTE_WHOLE: on_request alone, with the body in request->body)
 *   exchange_respond, exchange_send ..., exchange_end, or exchange_answer: in any of these calls, or at any later time
 *   on_room while it has responded and not ended: send more    on_over: it is over, forget it
 *
 *   E1  Each on_request is followed by exactly one on_over. It comes from the loop, never from inside a call of this header, so that
 *       a handler may go on with its own state behind exchange_end. The exchange and all spans of it are gone when it returns.
 *   E2  on_over also comes when the client is gone, when the person's session ends (SessionsEnded, AccountsChanged, its time) and when
 *       the role stops. What else may call back into the exchange then (an act, a timer) must have been told to forget it.
 *   E3  A handler that is called with a person may trust that the request is that person's and not forged: by cookie a state
 *       change has the token, Origin and Sec-Fetch-Site of ours, and JSON as its type (unless HTTP_ROUTE_ANY_TYPE). Methods other
 *       than GET and HEAD are state changes.
 *   E4  Memory: a client that does not read has at most HTTP_UNREAD_BYTES of output waiting, plus what one call sends: send
 *       pieces of some 16 to 64 KiB, and the next in on_room. After HTTP_UNREAD_US without progress it is dropped.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "http/fields.h"
#include "http/server.h"

struct http_exchange;
struct http_host;
struct role;
struct say_metric;

enum {
	HTTP_UNREAD_BYTES = 32 << 10,
	HTTP_UNREAD_US = 60000000,
};

/* ---- who asks ---- */

/* Somebody logged in; shared and kept by http_person.h, alive as long as the exchange. */
struct http_person {
	struct span account;	    /* its name: primary address */
	struct span name;	    /* for people; may be "" */
	const struct span *send_as; /* as LoginAnswer */
	size_t send_as_n;
	struct span
		session; /* the secret of the cookie, for SelfOrder and AdminOrder; "" with bearer or basic */
	struct span token; /* X-Holdfast-Token of this session; "" without one */
	struct span by;	   /* bearer and basic: how (LoginAnswer.by) */
	uint64_t until_us; /* of the wall clock; 0: not said */
	bool has_factor, is_admin;
	bool is_over; /* ended meanwhile: nothing more is shown to it */
};

/* ---- what is asked ---- */

struct http_ask {	    /* all spans live until on_over */
	struct span method; /* "GET" for HEAD, too */
	struct span path;   /* not decoded; well-formed, no "." or ".." among its parts */
	struct span rest;   /* of the path, behind a route that ends in "/" */
	struct span query;  /* not decoded: http_query_find, http_decode */
	struct span type;  /* of Content-Type, lower case, without parameters: "application/json" */
	struct span host;  /* as the client named us: "mail.example.org:8443" */
	struct span agent; /* User-Agent; at most 200 bytes */
	const char *peer;  /* its address, text */
	struct span body;  /* HTTP_ROUTE_WHOLE */
	int64_t bytes;	   /* of the body; HTTP_ANY_BYTES: not told before */
	bool is_head;	   /* bodies are dropped for you: answer as to GET */
	bool is_secure;	   /* TLS */
	bool has_body;
	const struct http_person *person; /* NULL only in HTTP_OPEN routes */
};

enum http_access {
	HTTP_OPEN, /* anybody, and nobody is asked who. State changes: Origin, Sec-Fetch-Site, JSON, no token */
	HTTP_PERSON,  /* cookie, bearer or basic; else 401 */
	HTTP_SESSION, /* cookie alone (of the host's use; for "admin", an administrator's) */
};

enum http_route_FLAGS {
	HTTP_ROUTE_WHOLE = 1, /* the body is collected first: request->body, at most body_bytes */
	HTTP_ROUTE_ANY_TYPE = 2, /* the body may be of any type (uploads) */
};

struct http_route {
	const char *method; /* "GET" takes HEAD, too */
	const char *path;   /* whole, or, ending in "/", all below it */
	enum http_access access;
	unsigned flags;
	uint64_t body_bytes; /* at most; beyond: 413. 0: there must be none */
	void (*on_request)(struct http_exchange *x, const struct http_ask *ask);
	void (*on_piece)(struct http_exchange *x,
			 struct span piece); /* all of it is taken; dies with the call */
	void (*on_body_end)(struct http_exchange *x);
	void (*on_room)(struct http_exchange *x); /* may be NULL */
	void (*on_turn)(struct http_exchange *x); /* after exchange_turn; may be NULL */
	void (*on_over)(struct http_exchange *x,
			bool is_complete); /* complete: the client got all. May be NULL */
};

/* ---- what a handler says ---- */

const struct http_ask *exchange_ask(const struct http_exchange *x);
/* A field of the request, any case: SPAN_NONE when it is not there. */
struct span exchange_field(const struct http_exchange *x, const char *name);
void *exchange_arg(const struct http_exchange *x); /* the handler's own */
void exchange_set_arg(struct http_exchange *x, void *arg);
struct http_host *exchange_host(const struct http_exchange *x);
void *http_host_arg(const struct http_host *h); /* of its options: the role's state */
struct arena *exchange_arena(
	struct http_exchange *x); /* lives as long as it does; bounded: may give NULL */

/* Bodies that come in pieces: no on_piece until exchange_resume (which may call it from the loop, not from inside). */
void exchange_pause(struct http_exchange *x);
void exchange_resume(struct http_exchange *x);

/* Calls on_turn once, from the loop, when others have had their turn: for work in slices. Not while the client does not read. */
void exchange_turn(struct http_exchange *x);

/* As http_server_respond and so on. After _end, _break, _answer and the rest below nothing further is said; what is said is dropped. */
void exchange_respond(struct http_exchange *x, const struct http_response *r);
/* False: enough is waiting for the client now; on_room comes. What was given is taken all the same. */
bool exchange_send(struct http_exchange *x, struct span bytes);
bool exchange_has_room(const struct http_exchange *x);
void exchange_end(struct http_exchange *x);
void exchange_break(struct http_exchange *x); /* what was begun cannot be finished */
void exchange_answer(struct http_exchange *x, const struct http_response *r, struct span body);
void exchange_json(struct http_exchange *x, unsigned status, struct span json);
void exchange_none(struct http_exchange *x); /* 204 */
/* {"type","status","title"} of RFC 9457 (application/problem+json). type: a word of ours ("unauthorized") or a URN. */
void exchange_problem(struct http_exchange *x, unsigned status, const char *type,
		      const char *title);

/* EventSource (text/event-stream): respond, then events at any time; `ping` (RFC 8620 s7.3) is sent after each ping_us without events (0: never). */
void exchange_stream(struct http_exchange *x, uint64_t ping_us);
/* event, id: NULL for none. data: one line. False: there is no room, nothing was sent: send what is newest in on_room. */
bool exchange_event(struct http_exchange *x, const char *event, const char *id, struct span data);

/* Cookies of ours are `name=value; Path=/; Secure; HttpOnly; SameSite=Strict`. value "": it is taken away. Put it into a response's
 * fields: {"Set-Cookie", this}; lives in the exchange's arena. max_age_s 0: until the browser ends. */
struct span exchange_cookie(struct http_exchange *x, const char *name, struct span value,
			    uint64_t max_age_s);

/* ---- the host of them ---- */

struct json_t;
struct http_host_options {
	const char *use;      /* of the sessions that count here: "portal", "admin" */
	const char *cookie;   /* of these sessions: "__Host-holdfast", "__Host-holdfast-admin" */
	const char *files;    /* folder below config.web_dir: "portal", "admin" */
	const char *key_id;   /* of TLS tickets: "desk-https" */
	bool takes_passwords; /* bearer and basic are looked at */
	const struct http_route *const *
		routes; /* tables, each ended by {0}; NULL-terminated; the longest path that fits counts */
	void *arg; /* the role's */
	/* NULL, or adds to the object of /api/me */
	void (*add_me)(void *arg, struct span account, struct json_t *me);
};

/* In on_start: reads the files of the portal. Borrows options for its life. */
struct http_host *http_host_new(struct role *r, const struct http_host_options *options);
void http_host_listen(struct http_host *h, int fd);
void http_host_configure(struct http_host *h); /* after a reload: limits, proxies, certificate */
/* auth: the link to it (NULL: it is gone), and what came by it. http_host_heard: OK: it was ours; REFUSED: malformed; MORE: not ours
 * (AccountsChanged is looked at, and others get it, too: MORE). Ids of our questions have the highest bit set. */
struct link;
void http_host_auth(struct http_host *h, struct link *auth);
enum rc http_host_heard(struct http_host *h, unsigned type, struct span body) MUST_USE;
void http_host_tick(struct http_host *h); /* once a second */
void http_host_wind_down(
	struct http_host *h); /* no new connections; streams end, others when they are answered */
/* What all hosts of this process count: for role_ops.metrics, beside the role's own. */
enum { HTTP_METRICS = 9 };
extern struct say_metric *const http_metrics[HTTP_METRICS];
size_t http_host_connections(const struct http_host *h);
void http_host_free(struct http_host *h); /* accepts NULL */
