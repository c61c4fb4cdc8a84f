/*
 * HTTP inside holdfast-desk: the listener `https`, /api/..., push, and how JMAP plugs in. http.c has the host and the table of
 * routes; jmap*.c (the host of src/jmap) gives it its own.
 */
#pragma once

#include "jmap/jmap.h"
#include "role/common/http_host.h"
#include "role/common/http_person.h"

struct desk;

/* http.c; desk_http_changed: http_events.c */
void desk_http_start(struct desk *d); /* in on_start */
struct json_t;
void desk_http_json(struct http_exchange *x, struct json_t *object); /* 200; takes it */
void desk_http_changed(struct desk *d,
		       uint64_t account_id); /* MailChanged: push. 0: anybody's may have */

/* http_now.c: the object of /api/now for this account, appended. False: it cannot be told now. */
bool desk_now(struct desk *d, struct span account, struct buf *out);
/* Looks at all sites that were asked for: has one changed since the last look? */
bool desk_now_look(struct desk *d);

/* "down": a site is; "continuity": people of a domain are told to work here; else "none". Of a few seconds ago; names nothing. */
const char *desk_outage(struct desk *d);

/* http_events.c: /jmap/events */
extern const struct http_route desk_event_routes[];
void desk_http_tick(struct desk *d);

/* jmap.c: /.well-known/jmap, /jmap/api, /jmap/upload/, /jmap/download/; ended by {0}. http_host_arg is the struct desk. */
extern const struct http_route desk_jmap_routes[];

/*
 * jmap.c, for /jmap/events (http_events.c): a StateChange object (RFC 8620 s7.1) with what has changed since p told something, or
 * nothing. False: it cannot be told now; asked again with the next change.
 */
bool desk_jmap_changed(struct desk *d, struct span account, struct jmap_push *p, struct buf *out);
