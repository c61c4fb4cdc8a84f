/*
 * The console role: the administrators' pages and what they ask (HTTP, listener `admin`). Who asks, forged requests and files are
 * the affair of role/common/http_host.h; every route of ours needs a session of use "admin", that is: an
 * administrator who gave a second factor.
 *
 *   O1  Nothing is changed here. Orders go to watch (ConsoleOrder) and auth (AdminOrder), which record who ordered what before it
 *       holds; a browser that has gone meanwhile changes nothing of that.
 *   O2  What shows where other people's mail went is noted by watch before it is shown; no watch, no trace. No mail is ever shown:
 *       this process may not even read the ledger.
 *   O3  A question to watch is answered once, or given up after ASK_US; the exchange that asked may be over by then.
 *   O4  The views are read-only, opened when they are wanted, and left when they are rebuilt. What may take long is done in slices.
 */
#pragma once

#include <jansson.h>

#include "base/list.h"
#include "ipc/msg.h"
#include "report/report.h"
#include "report/status.h"
#include "role/common/http_host.h"
#include "role/common/http_person.h"
#include "role/common/role.h"

#define CONSOLE_SECOND_US 1000000ull

enum {
	CONSOLE_BODY_BYTES = 16 << 10,
	CONSOLE_ANSWER_BYTES = 4 << 20, /* of watch, put together */
	CONSOLE_ASKS = 256,
	CONSOLE_TEXT_BYTES = 600,
};

struct link;
struct loop;
struct loop_timer;

struct console {
	struct role *role;
	struct loop *loop;
	struct os *os;
	const struct msg_config *config;
	struct http_host *http;
	struct link *auth, *watch;
	struct list asks; /* struct ask */
	size_t asks_n;
	uint64_t next_ask;
	struct views *views;
	struct loop_timer *tick;
	bool is_stopping;
};

/* ---- a request at work (work.c) ---- */

/* One for each exchange that waits for something; freed by work_over. */
struct work;
typedef void work_answered(struct http_exchange *x, unsigned type, struct span body);
struct work {
	struct http_exchange *x;
	struct console *console;
	struct ask *ask; /* what watch was asked, not answered */
	struct loop_timer *timer;
	json_t *live; /* status */
	const char *live_why;
	struct span act; /* queue: what is waited for */
	uint64_t until_us;
	/* trace */
	uint32_t most;
	struct views_trace_ask trace;
	json_t *found;
};
struct console *console_of(struct http_exchange *x);
struct work *work_of(struct http_exchange *x); /* made when there is none */
/* on_over of every route. */
void work_over(struct http_exchange *x, bool is_complete);

/*
 * Asks watch in the name of the exchange's person. done is called once, at once or later, unless the exchange is over before;
 * type 0: no answer, body is a sentence why.
 */
void watch_ask(struct http_exchange *x, unsigned type, struct span body, work_answered *done);
void watch_link(struct console *c, int fd);
void watch_tick(struct console *c);
void watch_stop(struct console *c);

/* ---- the views (work.c) ---- */

/* NULL: *why says why not. */
struct views *console_views(struct console *c, struct fault *why);
/* A read failed: the next one opens them anew. */
void console_views_leave(struct console *c);
void console_views_tick(struct console *c);

/* ---- words of requests and answers (words.c) ---- */

/* A parameter of the query, decoded, in the exchange's arena. "": none, or not well-formed, or too long. */
struct span param(struct http_exchange *x, const char *name);
uint64_t param_number(struct http_exchange *x, const char *name, uint64_t most, uint64_t otherwise);
/* The body as a JSON object; NULL: answered (400). */
json_t *body_of(struct http_exchange *x);
/* A text of the body; "": none. */
struct span body_text(const json_t *o, const char *key);
uint64_t body_number(const json_t *o, const char *key);
/* Answers with the object, and frees it. */
void answer_object(struct http_exchange *x, unsigned status, json_t *object);
void answer_bad(struct http_exchange *x, const char *title);
/* Something we depend on is away (503), or it said no (why). */
void answer_away(struct http_exchange *x, struct span why);
void answer_fault(struct http_exchange *x, enum rc rc, const struct fault *why);

extern const struct http_route console_reads[];	 /* read.c */
extern const struct http_route console_traces[]; /* trace.c */
extern const struct http_route console_orders[]; /* order.c */
