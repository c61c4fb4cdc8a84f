/*
 * Header fields with a structure (RFC 5322, 2045, 2231): address lists, parameters, dates, and picking fields from a
 * header section. Pure, no recursion, linear; comments and quotes nest or end where they like.
 */
#pragma once

#include "base/buf.h"

/* ---- address lists (RFC 5322 s3.4, with obsolete forms) ---- */

enum field_address_kind {
	FIELD_MAILBOX,
	FIELD_GROUP_START, /* name only */
	FIELD_GROUP_END,
};

enum { FIELD_ADDRESSES_LIMIT = 20000 };

struct field_address {
	enum field_address_kind kind;
	struct span
		name; /* display name, or the comment behind a bare address; encoded-words undecoded; .p NULL: none */
	struct span route;	   /* "@a,@b" of an obsolete route; .p NULL: none */
	struct span local, domain; /* unquoted; .p NULL: missing */
};

/*
 * Gives each address in order; spans live until the callback returns, which may return false to stop. Unparsable pieces
 * up to the next comma give what is there (local without domain), never nothing twice. False: out of memory, or stopped
 * at FIELD_ADDRESSES_LIMIT.
 */
bool field_addresses(struct span value,
		     bool (*on_address)(void *arg, const struct field_address *a), void *arg);

/* ---- parameters (RFC 2045 s5.1, RFC 2231) ---- */

enum { FIELD_PARAMS_LIMIT = 200, FIELD_PARAM_SECTIONS_LIMIT = 1000 };

/* What stands before the first ";": "text/plain", "attachment"; comments and blanks are passed over. Appended to *out. */
void field_value(struct span field, struct buf *out);

/* The parameters as they stand there (RFC 2231's "name*0*" undecoded): cursor 0 first; false at the end. The spans live
 * in *scratch until the next call. Names are lower case. */
bool field_param_next(struct span field, size_t *cursor, struct buf *scratch, struct span *out_name,
		      struct span *out_value);

/*
 * One parameter decoded: RFC 2231 (charset, language, sections in any order up to the first gap), else RFC 2047 words in
 * its value as some programs write them; X1 of text.h holds. False: there is none. limit of *out is respected.
 */
bool field_param(struct span field, const char *name, struct buf *out);

/* ---- dates (RFC 5322 s3.3, s4.3) ---- */

/* Microseconds since 1970. False: not a date, or not between 1970 and 9999. */
bool field_date(struct span value, uint64_t *out_us);
/* How far east of UTC the sender's clock is; 0 when the date does not say. False: not a date. */
bool field_date_zone(struct span value, int *out_min);
/* The calendar day as the sender wrote it, without the zone: what SENTBEFORE and its like compare (RFC 9051 s6.4.4). */
bool field_date_day(struct span value, int *out_year, int *out_month, int *out_day);

/* ---- header sections ---- */

/*
 * Copies from a header section, as it comes in pieces, the fields that are (not) named, as they stand there, and the empty
 * line: BODY[HEADER.FIELDS (...)]. names: borrowed for its life.
 */
struct field_pick {
	const struct span *names;
	size_t names_n;
	bool is_not; /* HEADER.FIELDS.NOT */
	/* private */
	unsigned char name[256];
	size_t name_n;
	enum {
		FIELD_PICK_START,
		FIELD_PICK_NAME,
		FIELD_PICK_COPY,
		FIELD_PICK_SKIP,
		FIELD_PICK_CR,
		FIELD_PICK_DONE
	} at;
	bool was_copied; /* the field before: a continuation follows it */
};
void field_pick_init(struct field_pick *p, const struct span *names, size_t names_n, bool is_not);
/* False: out's limit was reached. */
bool field_pick_feed(struct field_pick *p, struct span piece, struct buf *out);
/* Adds the empty line when the section had none. */
bool field_pick_end(struct field_pick *p, struct buf *out);
