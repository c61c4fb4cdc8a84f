/*
 * One SMTP session from the server's side (RFC 5321, 1870, 2034, 2920, 3207, 3461, 4954, 6152, 6531), as
 * a pure machine: bytes and times in; replies, questions and a deadline out. No socket, no clock;
 * memory bounded by the limits given. The host (edge) drives it:
 *
 *   smtp_server_tick(s, now);
 *   for (;;)
 *           switch (smtp_server_step(s, &in, &piece)) { ... }
 *
 * sends what smtp_server_output gives, and answers what is asked at once or later. While a question
 * is open nothing is consumed: pipelined commands wait in the host's input.
 *
 *   R1  Any split of the same input gives the same replies, questions and pieces (put together).
 *       The one exception: a refused DATA that was not the last of its group (RFC 2920 s3.1) ends
 *       the session when the rest is in sight.
 *   R2  Lines end in CRLF. A bare LF in a command ends the session (521); a bare CR, bare LF or NUL
 *       in a message makes it be refused (554 5.6.0) after its real end, CRLF "." CRLF; so no form
 *       of end but that one ends a message.
 *   R3  The pieces of SMTP_BODY together are what the client sent between DATA and the dot, without
 *       dot-stuffing.
 *   R4  Only SMTP_STORE follows a complete message; the host answers 250 when the bytes are
 *       durable.
 *   R5  After STARTTLS everything from before is forgotten, bytes waiting in clear text too (RFC
 *       3207 s4.2).
 *   R6  Every state in which the client's turn is has a deadline that single bytes do not move.
 *   R7  What a client says in AUTH goes to the host alone and is wiped from the engine when the answer is there; a service
 *       without mechanisms has no AUTH.
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"
#include "mail/address.h"

struct smtp_server;

struct smtp_server_limits {
	uint64_t message_bytes; /* SIZE */
	unsigned recipients;	/* of one message; at least 100 (RFC 5321 s4.5.3.1.8) */
	unsigned errors;	/* 5xx answers after which the session ends */
	unsigned
		idle_commands; /* NOOP, RSET, VRFY ... between messages before each counts as an error */
	uint64_t command_us;  /* from our reply to the end of the next command */
	uint64_t data_us;     /* the same for the message, plus a second for each KiB that came */
	uint64_t bad_data_us; /* silence after which a message with bare CR or LF is given up */
};

struct smtp_service {
	struct span node;	       /* our name in the greeting */
	struct span postmaster_domain; /* completes <postmaster> (RFC 5321 s4.5.1) */
	struct smtp_server_limits limits;
	bool has_tls;
	bool hides_smtputf8; /* do not offer it: no recipient's server takes it */
	struct span auth;   /* SASL mechanisms, one blank between ("PLAIN LOGIN"); empty: no AUTH */
	bool auth_in_clear; /* AUTH is offered without TLS too */
	bool needs_auth;    /* no MAIL before it (RFC 6409 s4.3) */
};

enum smtp_body_kind { SMTP_7BIT, SMTP_8BITMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
enum smtp_notify_FLAGS {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8,
};

struct smtp_rcpt {
	struct span address; /* normal form */
	struct span orcpt;   /* type and xtext, as sent; "" if not given */
	uint8_t notify;
	uint64_t tag; /* the host's, from its answer */
};

/* The transaction. Dies when SMTP_STORE is answered, or the transaction ends otherwise. */
struct smtp_envelope {
	struct span sender; /* normal form; "" is the null sender */
	struct span envid;
	uint64_t size_declared;
	enum smtp_body_kind body;
	enum smtp_ret ret;
	bool smtputf8;
	struct smtp_rcpt *rcpts;
	size_t rcpts_n;
};

struct smtp_reply {
	unsigned code;
	const char *enhanced; /* "2.1.5"; NULL: none (354) */
	struct span text;     /* one line; bytes that are no printable ASCII become "?" */
};

/* What the client says in AUTH, decoded. Dies with the answer. */
struct smtp_auth {
	struct span mechanism; /* upper case, one that is offered */
	bool has_response;     /* SMTP_AUTH: with an initial response */
	struct span response;
};

enum smtp_step {
	SMTP_FEED,     /* all input is consumed: more bytes, or a tick */
	SMTP_WAIT,     /* a question is open */
	SMTP_FLUSH,    /* take the output, then go on */
	SMTP_AUTH,     /* a login begins: smtp_server_challenge, or answer 235, 454, 535 ... */
	SMTP_SASL,     /* the client's response to a challenge: the same */
	SMTP_AUTH_END, /* the client gave the login up, and has been told so: nothing to answer */
	SMTP_MAIL,     /* is this sender welcome? Answer 250, 4xx or 5xx */
	SMTP_RCPT,     /* is this recipient? smtp_server_asked has it */
	SMTP_DATA,     /* may the message come? 354, 4xx or 5xx */
	SMTP_BODY,     /* a piece of the message; dies with the input it came from */
	SMTP_DROP,     /* the message in reception will be refused: forget its pieces */
	SMTP_STORE,    /* the message is complete: store it, then answer */
	SMTP_TLS,      /* send the output, then start TLS; smtp_server_secured when it stands */
	SMTP_CLOSE,    /* send the output, then close */
};

/* Borrows service for its life. */
struct smtp_server *smtp_server_new(const struct smtp_service *service);
void smtp_server_free(struct smtp_server *s); /* accepts NULL */
/* The greeting. Bytes before it are refused (early talkers): with has_spoken they were seen
 * already. */
void smtp_server_greet(struct smtp_server *s, bool has_spoken);
/* The connection is encrypted from its first byte (RFC 8314 s3.3): before the greeting. */
void smtp_server_is_secure(struct smtp_server *s);
/* Who it is is known without AUTH (another role handed it over): before the greeting. */
void smtp_server_is_known(struct smtp_server *s);
/* Another service from now on (TLS became available, limits changed); the one before is not used
 * any more. */
void smtp_server_serve(struct smtp_server *s, const struct smtp_service *service);

enum smtp_step smtp_server_step(struct smtp_server *s, struct span *in,
				struct span *out_piece) MUST_USE;
/* The answer to the question of SMTP_AUTH, SMTP_SASL, SMTP_MAIL, SMTP_RCPT, SMTP_DATA or SMTP_STORE. 421 and 521 end the
 * session. tag is kept with the recipient. */
void smtp_server_answer(struct smtp_server *s, const struct smtp_reply *reply, uint64_t tag);
/* The answer to SMTP_AUTH or SMTP_SASL when the mechanism goes on: 334. */
void smtp_server_challenge(struct smtp_server *s, struct span challenge);
const struct smtp_auth *smtp_server_auth(const struct smtp_server *s);
bool smtp_server_is_asking(const struct smtp_server *s);
/* The recipient in question. */
const struct smtp_rcpt *smtp_server_asked(const struct smtp_server *s);
const struct smtp_envelope *smtp_server_envelope(const struct smtp_server *s);

/* What waits to be sent; lives until smtp_server_sent, which forgets it. */
struct span smtp_server_output(const struct smtp_server *s);
void smtp_server_sent(struct smtp_server *s);

/* Tells the time. Past the deadline the session ends with 421 (or 554 after bad data): the next
 * step says so. */
void smtp_server_tick(struct smtp_server *s, uint64_t now_us);
uint64_t smtp_server_deadline(const struct smtp_server *s); /* 0: none, it is the host's turn */

void smtp_server_secured(struct smtp_server *s);
/* Ends the session with this reply now (or, with a question open, instead of its answer). */
void smtp_server_end(struct smtp_server *s, const struct smtp_reply *reply);
/* Shutting down: ends with 421 now, or after the message that is being received or stored. */
void smtp_server_wind_down(struct smtp_server *s);

struct span smtp_server_helo(const struct smtp_server *s);
bool smtp_server_is_esmtp(const struct smtp_server *s);
bool smtp_server_is_receiving(
	const struct smtp_server *s); /* between 354 and the answer to SMTP_STORE */
