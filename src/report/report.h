/*
 * What an operator is told, as JSON: made here once, so that the command line and the console say the same. Reads the views,
 * read-only; what watch and auth know is asked by the caller and passed in (report/status.h). doc/formats/status.md and
 * doc/formats/report.md describe the objects; keys are only ever added.
 *
 *   J1  Whatever bytes a message brought, the result is valid UTF-8; raw header fields keep control characters (escaped by JSON),
 *       the keys *_text hold what is safe to show (mail/text.h, X1).
 *   J2  Every time is given twice: `x` as RFC 3339 text in UTC, `x_us` as microseconds; null when there is none.
 */
#pragma once

#include <jansson.h>

#include "base/fault.h"
#include "queue/match.h"
#include "views/trace.h"

/* A string from bytes that may be no UTF-8 (they are replaced). */
json_t *report_text(struct span s);
/* "2026-11-21T21:55:03Z"; 0 is null. */
json_t *report_time(uint64_t wall_us);
void report_set_time(json_t *object, const char *key, uint64_t wall_us);
/* A header field as people read it. */
json_t *report_header(struct span raw);

/* ---- the queue ---- */

json_t *report_row(const struct views_row *r, uint64_t now_us);

struct report_queue_ask {
	const struct queue_match *match; /* NULL: all */
	uint64_t now_us;
	uint64_t after_number; /* UINT64_MAX: from the oldest */
	uint32_t after_rcpt;
	uint64_t limit;
};
/* {ok, total, total_bytes, messages[], next}: next {number, recipient} is null at the end. NULL: why. */
json_t *report_queue(struct views *v, const struct report_queue_ask *ask, struct fault *why);
/* What may have arrived twice, with Message-IDs, by which people find them. */
json_t *report_unsure(struct views *v, uint64_t now_us, struct fault *why);
/* One message, its recipients and every try. id as views_queue_show. */
json_t *report_message(struct views *v, struct span id, uint64_t now_us, struct fault *why);

/* What people did here and their server does not have yet. */
const char *report_home_state(const struct views_home_row *r); /* waits, offered, decide */
const char *report_home_what(const struct views_home_row *r);  /* folder, change, message */
json_t *report_home_row(const struct views_home_row *r, uint64_t now_us);
/* {ok, waiting, decide, changes[]} */
json_t *report_home(struct views *v, uint64_t now_us, struct fault *why);

/* ---- the history ---- */

json_t *report_act(const struct views_act *a);
/* {ok, history[]}, newest last. */
json_t *report_history(struct views *v, uint32_t last, struct fault *why);
/* {ok, history[], next}: with a filter, newest first; next: go on there (before), null at the end. */
json_t *report_audit(struct views *v, const struct views_audit_ask *ask, struct fault *why);

/* ---- where is the mail? ---- */

/*
 * {ok, messages[], next}: each message with its whole way. next: more was not looked at; ask again with it as `before`.
 */
json_t *report_trace(struct views *v, const struct views_trace_ask *ask, uint64_t now_us,
		     struct fault *why);
