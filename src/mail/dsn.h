/*
 * Delivery status notifications that we write: multipart/report (RFC 6522) of a text for people,
 * message/delivery-status (RFC 3464), and the message or its header section as RET asked (RFC 3461
 * s6.2). Pure; used by courier. One notification speaks of one recipient, so that its id can follow
 * from message, recipient and action alone: made again, it is the same and cannot double.
 *
 *   D1  Nothing that came from a peer (addresses, ENVID, ORCPT, reply text, header) can add a line,
 *       a field or a part (S-20): it is checked or encoded first.
 *   D2  The result is complete CRLF lines of at most 998 bytes outside the returned message, which
 *       stands there as it came.
 *   D3  The whole message is returned only when asked for and at most DSN_RETURN_LIMIT_BYTES long;
 *       else its header section, cut at a line end after DSN_HEADER_LIMIT_BYTES.
 */
#pragma once

#include "base/buf.h"

enum {
	DSN_ID_BYTES = 33, /* 32 hexadecimal digits and the NUL */
	DSN_RETURN_LIMIT_BYTES = 64 << 10,
	DSN_HEADER_LIMIT_BYTES = 32 << 10,
};

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_RELAYED };
const char *dsn_action_name(enum dsn_action action); /* "failed", ... */

struct dsn_facts {
	struct span node;	/* our host name */
	struct span message_id; /* our id of the original: hexadecimal */
	struct span sender;	/* the original's, to whom this goes; not empty */
	struct span envid;	/* xtext, "" none */
	uint64_t received_us, now_us;
	struct span rcpt;
	struct span orcpt; /* "type;xtext", "" none */
	enum dsn_action action;
	uint16_t code;		 /* of the answer, 0: none */
	struct span enhanced;	 /* "5.1.1"; "": made from code and action */
	struct span text;	 /* of the answer, one line */
	struct span host;	 /* whose answer it is, "": our own finding */
	uint64_t retry_until_us; /* DELAYED: 0 unknown */
	struct span original;	 /* the message as received, as far as it is given */
	size_t header_bytes;	 /* of its header section with the empty line; 0: all there is */
	bool return_full;	 /* original is all of it and RET=FULL was asked */
};

/* The id: a function of message_id, rcpt and action. */
void dsn_id(const struct dsn_facts *facts, char out[DSN_ID_BYTES]);

struct dsn_made {
	bool is_8bit;
	bool needs_smtputf8; /* the sender's address is not ASCII */
	size_t header_bytes;
};
/* Appends the notification to *out (without limit). */
void dsn_build(struct buf *out, const struct dsn_facts *facts, struct dsn_made *made);
