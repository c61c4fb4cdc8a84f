/*
 * The server's side of SASL (RFC 4422): PLAIN (RFC 4616), LOGIN (as everybody does it), SCRAM-SHA-256 (RFC 5802,
 * RFC 7677; without channel binding). Pure: what it needs it asks for by the state it returns. Messages are decoded
 * bytes; base64 is the protocols' affair.
 *
 *   A6  Any message is at most LOGIN_SASL_LIMIT_BYTES, there are at most three, and what does not fit the mechanism is
 *       MALFORMED; nothing is repaired.
 *   A7  The name is borrowed from the client: it may be any bytes but NUL, up to LOGIN_NAME_LIMIT_BYTES.
 */
#pragma once

#include "auth/password.h"
#include "auth/scram.h"
#include "base/buf.h"

enum { SASL_NONCE_BYTES = 24 /* text */, SCRAM_NONCE_LIMIT = 256 };

enum sasl_mechanism { SASL_PLAIN, SASL_LOGIN, SASL_SCRAM };

enum sasl_state {
	SASL_CHALLENGE, /* send *challenge (may be empty), give the answer to sasl_more */
	SASL_PASSWORD,	/* name, authorize and password are there: check them */
	SASL_KEYS,	/* name and authorize are there: give its keys to sasl_keys */
	SASL_PROVED, /* the client knows the password of name; *challenge is the data with success */
	SASL_WRONG,  /* it does not */
	SASL_MALFORMED,
};

struct sasl {
	char name[LOGIN_NAME_LIMIT_BYTES + 1], authorize[LOGIN_NAME_LIMIT_BYTES + 1];
	struct password password;
	/* private */
	enum sasl_mechanism mechanism;
	unsigned step;
	char nonce[SASL_NONCE_BYTES + 1];
	struct scram_keys keys;
	struct buf header, nonces, messages; /* SCRAM: messages is what the proof is over */
};

bool sasl_mechanism_of(struct span name, enum sasl_mechanism *out); /* upper case */

/* nonce: random letters and digits. Everything is zeroed first. */
enum sasl_state sasl_start(struct sasl *s, enum sasl_mechanism mechanism,
			   const char nonce[SASL_NONCE_BYTES], bool has_initial,
			   struct span initial, struct buf *challenge);
enum sasl_state sasl_more(struct sasl *s, struct span response, struct buf *challenge);
enum sasl_state sasl_keys(struct sasl *s, const struct scram_keys *keys, struct buf *challenge);
void sasl_fini(struct sasl *s); /* wipes */
