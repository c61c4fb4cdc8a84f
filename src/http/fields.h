/* What stands in targets and fields of HTTP: percent encoding, queries, cookies, ranges, tags. Pure; strict; nothing is kept. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

/* Decodes %XX (and, is_query, "+" to a space). False: not well-formed, or a NUL, or beyond the limit of *out; *out as before. */
bool http_decode(struct buf *out, struct span text, bool is_query) MUST_USE;

/* The next "name=value" of a query, not decoded: rest moves on. False: there is none. */
bool http_query_next(struct span *rest, struct span *out_name, struct span *out_value);
/* The value of the first of this (undecoded) name; false: there is none. */
bool http_query_find(struct span query, const char *name, struct span *out_value);

/* The value of this cookie in a Cookie field (RFC 6265bis s5.6.3: the first of the name). False: none. */
bool http_cookie_find(struct span field, const char *name, struct span *out_value);

/* The next element of a comma-separated list, without white space around. False: there is none. */
bool http_list_next(struct span *rest, struct span *out_element);
/* "type/subtype" of a Content-Type, without parameters. */
struct span http_type_of(struct span content_type);
/* Accept-Encoding lets gzip through. */
bool http_accepts_gzip(struct span accept_encoding);
/* If-None-Match names this entity tag (with its quotes), or "*" (RFC 9110 s13.1.2: weak comparison). */
bool http_tag_matches(struct span if_none_match, struct span tag);

struct http_range {
	uint64_t first, bytes;
};
/*
 * One range of bytes (RFC 9110 s14.1.2) of something so long. OK: send it with 206. MORE: no range, several, or another
 * unit: send all, 200. REFUSED: outside: 416.
 */
enum rc http_range_parse(struct span field, uint64_t size, struct http_range *out) MUST_USE;

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
enum { HTTP_DATE_BYTES = 30 };
void http_date(int64_t seconds, char out[HTTP_DATE_BYTES]);

/* The text of a status: "Not Found". */
const char *http_reason(unsigned status);
/* The value for Content-Disposition: attachment with this name (UTF-8; RFC 6266, 8187); nothing in it can end the field. */
void http_disposition(struct buf *out, struct span name);
