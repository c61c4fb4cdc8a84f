/*
 * One IMAP session from the server's side (RFC 9051 and 3501, with 2177 2971 3516 4315 4731 5161 5182 5258
 * 5819 6154 6851 6855 7162 7888 7889 8438 8474), as a pure machine: bytes and times in; responses, questions, a deadline out.
 * No socket, no clock; memory bounded. The host (desk) drives it:
 *
 *   imap_server_tick(s, now);
 *   for (;;)
 *           switch (imap_server_step(s, &in, &piece)) { ... }
 *
 * sends what imap_server_output gives, and answers what is asked, at once or later. What a mailbox holds is read at
 * once through struct mail_store; what people change is asked as acts (mail/store.h).
 *
 *   I1  Any split of the same input gives the same responses, questions and pieces (put together), as long as the host
 *       answers in the same order.
 *   I2  A literal's bytes are counted and nothing in them is executed; nothing is allocated because a size was
 *       announced. A message is never whole in memory: it passes through in pieces, both ways.
 *   I3  An act's command is answered after the verdict, never before. Without a verdict: NO [UNAVAILABLE].
 *   I4  EXPUNGE and VANISHED are sent only where the standard lets sequence numbers change (RFC 9051 s7.5.1).
 *   I5  After STARTTLS everything from before is forgotten, bytes waiting in clear text too.
 *   I6  Every state in which the client's turn is has a deadline that single bytes do not move.
 *   I7  One step does little (some 64 messages, or one chunk of a body) and leaves at most some 32 KiB of new output, so
 *       that a host can go round among its sessions, and stop a long FETCH or SEARCH by not stepping or by freeing.
 */
#pragma once

#include "base/rc.h"
#include "mail/store.h"

struct imap_server;

struct imap_server_limits {
	uint64_t
		login_us; /* from the greeting (or the last answer) to the end of the next command, before login */
	uint64_t
		command_us; /* after login: from the first byte of a command to its end; also a silent literal */
	uint64_t idle_us;      /* after login: without a command (at least 30 min: RFC 9051 s5.4) */
	unsigned errors;       /* BAD answers, before login NO too, after which the session ends */
	uint64_t append_bytes; /* APPENDLIMIT (RFC 7889) */
};

struct imap_service {
	struct span node;	/* our name in the greeting */
	struct span version;	/* for ID */
	const char *mechanisms; /* of SASL, with spaces between: "PLAIN LOGIN SCRAM-SHA-256" */
	struct imap_server_limits limits;
	bool has_tls;		 /* STARTTLS can be offered */
	bool allows_clear_login; /* on a connection without TLS: loopback in tests; LOGINDISABLED otherwise */
};

enum imap_step {
	IMAP_FEED, /* all input is consumed: more bytes, a tick, a change, or the answer of an open act */
	IMAP_WAIT, /* nothing goes on before something asked is answered */
	IMAP_FLUSH, /* there is output worth sending: take it; step again when the peer has taken most of it */
	IMAP_AGAIN, /* work is left: step again, others may go first */
	IMAP_LOGIN, /* a login begins: imap_server_login_asked; challenge, login_fine or _refused answer */
	IMAP_SASL, /* the client's response to the challenge, decoded, is the piece; the same answers */
	IMAP_SASL_CANCEL, /* the client gave up: forget the exchange; nothing is to be answered */
	IMAP_ACT, /* imap_server_asked is to be made so; the verdict answers. Stepping goes on at once */
	IMAP_APPEND_BEGIN, /* a message comes: imap_server_append; answered by imap_server_append_open */
	IMAP_PIECE,	   /* a piece of it; dies with the input it came from */
	IMAP_APPEND_DROP, /* it will not be completed: forget its pieces; nothing is to be answered */
	IMAP_APPEND_END, /* it is complete: store it with the act of imap_server_append; the verdict answers */
	IMAP_TLS,   /* send the output, then start TLS; imap_server_secured when it stands */
	IMAP_CLOSE, /* send the output, then close */
};

/* Borrows service for its life. */
struct imap_server *imap_server_new(const struct imap_service *service);
void imap_server_free(struct imap_server *s); /* accepts NULL; open acts are forgotten */
/* Another service from now on; the one before is not used any more. */
void imap_server_serve(struct imap_server *s, const struct imap_service *service);
/* The greeting. On a port where TLS came first: call imap_server_secured before. */
void imap_server_greet(struct imap_server *s);
void imap_server_secured(struct imap_server *s);

enum imap_step imap_server_step(struct imap_server *s, struct span *in,
				struct span *out_piece) MUST_USE;

/* ---- login ---- */

struct imap_login {
	struct span
		mechanism; /* upper case; one of service->mechanisms. LOGIN (the command) comes as PLAIN */
	struct span initial; /* decoded; dies when answered */
	bool has_initial;
};
const struct imap_login *imap_server_login_asked(const struct imap_server *s);

/* The server's next word of the exchange, not yet encoded. What a mechanism says last (RFC 4422 s5) is a challenge too:
 * the host calls imap_server_login_fine after the client's empty response. */
void imap_server_challenge(struct imap_server *s, struct span data);
/* The end of a login that went well: the account's store, copied; it must serve until the session is freed. */
void imap_server_login_fine(struct imap_server *s, const struct mail_store *store);
/* Or did not. status: "NO [AUTHENTICATIONFAILED]", "NO [UNAVAILABLE]", "BAD", ... (login_imap in auth/login.h); text: a
 * sentence. */
void imap_server_login_refused(struct imap_server *s, const char *status, struct span text);
bool imap_server_is_in(const struct imap_server *s); /* logged in */

/* ---- changes ---- */

struct imap_ask {
	uint64_t id;		    /* unique in the session; the verdict's key */
	const struct mail_act *act; /* dies with the next step: take what is needed */
};
/* After IMAP_ACT. Up to IMAP_ASKS_LIMIT are open at once. */
enum { IMAP_ASKS_LIMIT = 32 };
const struct imap_ask *imap_server_asked(const struct imap_server *s);
/* The answer to IMAP_ACT or IMAP_APPEND_END, in any order. NULL: nothing was recorded, NO [UNAVAILABLE]. Unknown ids are
 * ignored. Step afterwards. */
void imap_server_verdict(struct imap_server *s, uint64_t ask, const struct mail_verdict *v);
/* There is no verdict in time, and nobody knows whether it was or will be done: NO [UNAVAILABLE] says so. */
void imap_server_lost(struct imap_server *s, uint64_t ask);

struct imap_append {
	uint64_t id;	/* of its ask */
	uint64_t bytes; /* that come */
	struct mail_act
		act; /* MAIL_ACT_APPEND; dies with the step after IMAP_APPEND_END or _DROP */
};
/* From IMAP_APPEND_BEGIN until its verdict or drop: one at a time. */
const struct imap_append *imap_server_append(const struct imap_server *s);
/* code NULL: it may come. Else it is refused with NO [code] text ("" code: none), read over, and nothing further is said
 * of it. */
void imap_server_append_open(struct imap_server *s, const char *code, struct span text);

/* Something has changed in this mailbox (0: anything, or the list): a session that idles there tells its client at the
 * next step. Others look for themselves when a command ends. */
void imap_server_changed(struct imap_server *s, uint64_t box);
uint64_t imap_server_box(const struct imap_server *s); /* the selected mailbox; 0: none */

/* ---- output, time, end ---- */

/* What waits to be sent; lives until imap_server_sent, which forgets it. */
struct span imap_server_output(const struct imap_server *s);
void imap_server_sent(struct imap_server *s);

/* Tells the time. Past the deadline the session ends with BYE: the next step says so. */
void imap_server_tick(struct imap_server *s, uint64_t now_us);
uint64_t imap_server_deadline(const struct imap_server *s); /* 0: none, it is the host's turn */

/* Ends the session with BYE [code] text (code NULL: none); open acts are not waited for. */
void imap_server_end(struct imap_server *s, const char *code, struct span text);
/* Shutting down: ends with BYE when the commands at work are answered. */
void imap_server_wind_down(struct imap_server *s);
