/*
 * What `holdfast queue ... --match EXPRESSION` selects. Pure: text in, a small struct out; views
 *turns the struct into SQL with bound parameters, so that nothing an operator types reaches the
 *database as SQL.
 *
 *	expression = term *("," term)           all terms must hold
 *	term       = key "=" value
 *
 *	site=NAME domain=GLOB rcpt=GLOB sender=GLOB     * stands for any run of characters; letters
 *of either case id=HEX                                          a message id, or its first digits
 *(at least 6) state=held|ready|offered|deferred|decide        held: all of them older=2h newer=30m
 *since reception: s m h d larger=1MiB smaller=64KiB                       of the body: B KiB MiB
 *GiB kB MB GB text=WORDS                                      anywhere in the last answer or
 *reason, letters of either case
 *
 * A single word without "=" that is all hexadecimal digits is an id. sender=<> is the null sender.
 *A comma in a value is written "\,", a backslash "\\". Each key is given at most once. The empty
 *expression is refused: to take all, say state=held.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

enum {
	QUEUE_MATCH_VALUE_BYTES = 320, /* longest value, with the NUL */
	QUEUE_MATCH_TEXT_LIMIT = 2048, /* longest expression */
};

/* Of a delivery (one recipient of one message). The values are in the database: append only. */
enum queue_state {
	QUEUE_READY = 0,     /* due as soon as the site takes mail */
	QUEUE_OFFERED = 1,   /* the final dot may have been sent; no outcome yet */
	QUEUE_DEFERRED = 2,  /* waits for its next try */
	QUEUE_DECIDE = 3,    /* an operator must say */
	QUEUE_DELIVERED = 4, /* the primary has it */
	QUEUE_RETURNED = 5,  /* failed for good; the sender was told */
	QUEUE_DISCARDED = 6, /* an operator discarded it */
};
const char *queue_state_name(enum queue_state s); /* "ready", ... */
bool queue_state_is_open(enum queue_state s);

enum queue_match_FLAGS {
	QUEUE_MATCH_SITE = 1 << 0,
	QUEUE_MATCH_DOMAIN = 1 << 1,
	QUEUE_MATCH_RCPT = 1 << 2,
	QUEUE_MATCH_SENDER = 1 << 3,
	QUEUE_MATCH_ID = 1 << 4,
	QUEUE_MATCH_STATE = 1 << 5,
	QUEUE_MATCH_OLDER = 1 << 6,
	QUEUE_MATCH_NEWER = 1 << 7,
	QUEUE_MATCH_LARGER = 1 << 8,
	QUEUE_MATCH_SMALLER = 1 << 9,
	QUEUE_MATCH_TEXT = 1 << 10,
};

struct queue_match {
	unsigned flags; /* which of the following were given; 0 selects all that is not finished */
	char site[64];
	char domain[QUEUE_MATCH_VALUE_BYTES]; /* lower case, with * */
	char rcpt[QUEUE_MATCH_VALUE_BYTES];
	char sender[QUEUE_MATCH_VALUE_BYTES]; /* "" is the null sender */
	char id[33];			      /* lower case */
	bool all_open;			      /* state=held */
	enum queue_state state;
	uint64_t older_us, newer_us;
	uint64_t larger_bytes, smaller_bytes;
	char text[QUEUE_MATCH_VALUE_BYTES];
};

/* REFUSED with a sentence that names the term and what would be right. Writes *out only on OK. */
enum rc queue_match_parse(struct span text, struct queue_match *out, struct fault *why) MUST_USE;
