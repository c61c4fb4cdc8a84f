/* What compose.c and compose_field.c share. */
#pragma once

#include "base/ascii.h"
#include "mail/compose.h"

/* ";", a fold, and a parameter, as quoted string or as RFC 2231 has it. "" gives nothing. */
void compose_param(struct buf *out, const char *name, struct span value);

/* ---- compose_body.c: texts and files as lines ---- */

enum compose_encoding { COMPOSE_7BIT, COMPOSE_8BIT, COMPOSE_QUOTED, COMPOSE_BASE64 };
const char *compose_encoding_name(enum compose_encoding e);
enum compose_encoding compose_suits(struct span text);

/* A text that lies in memory, with CRLF whatever it had, in its encoding. */
struct compose_texter {
	enum compose_encoding encoding;
	struct span rest;
	size_t column;
	struct buf held; /* BASE64: canonical text, not yet encoded */
	bool has_line;
};
/* About so much more of it; false when all has been given. */
bool compose_texter_give(struct compose_texter *t, size_t bytes, struct buf *out);
void compose_texter_fini(struct compose_texter *t);

/* Bytes as lines of base64. */
struct compose_base64 {
	unsigned char held[57];
	size_t held_n;
	bool has_line; /* the next line is not the first */
};
void compose_base64_feed(struct compose_base64 *b, struct span bytes, struct buf *out);
void compose_base64_end(struct compose_base64 *b, struct buf *out);

/* Whether bytes can stand in a message as they are. */
struct compose_scan {
	size_t line;
	bool was_cr, is_8bit, is_unfit;
};
void compose_scan_feed(struct compose_scan *s, struct span bytes);
void compose_scan_end(struct compose_scan *s);
