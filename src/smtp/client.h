/*
 * The client side of SMTP as a pure engine: reply bytes and events in, command bytes and wants out.
 * No socket, no clock, no TLS: the host (courier, probe) does what smtp_client_want says. Any split
 * of the same input gives the same result. Used by processes that talk to primaries: courier,
 * watch, scout, and the command line's doctor.
 *
 *   new -> [GREETING EHLO (STARTTLS EHLO)] -> READY
 *   READY -> mail -> (BODY ... PERMIT) -> RESULT -> next -> READY, or quit -> CLOSED
 *
 * RFC 5321 (4.2 replies, 4.5.2 dots, 4.5.3.2 time-outs), 1870 SIZE, 2034 enhanced codes, 2920
 * PIPELINING, 3207 STARTTLS, 3461 DSN, 6152 8BITMIME, 6531 SMTPUTF8. No BDAT.
 *
 *   C1  The final dot goes out only after smtp_client_permit; nothing else makes a receiver take
 *       the message.
 *   C2  After STARTTLS's 220 every byte that came with it is thrown away, and so is all that was
 *       learned before (T-03).
 *   C3  A reply that is no reply (no code, mixed codes, too long, too many lines, not asked for)
 *       ends the conversation; recipients then keep the answer they had, or are UNREACHED before
 *       the dot, LOST after it.
 *   C4  The body is sent bit for bit; only dots at the start of a line are doubled and a missing
 *       last CRLF is added.
 *   C5  Memory: one reply (SMTP_REPLY_LIMIT_BYTES) and the envelope of one transaction.
 *
 * Replies may end in a bare LF: nothing can be smuggled to us in them, and refusing would only hold
 * mail back.
 */
#pragma once

#include "base/span.h"

enum {
	SMTP_REPLY_LINE_LIMIT_BYTES = 4096, /* RFC 5321 s4.5.3.1.5 says 512; some say more */
	SMTP_REPLY_LINES_LIMIT = 256,
	SMTP_REPLY_LIMIT_BYTES = 32 << 10,
	SMTP_REPLY_TEXT_BYTES = 512, /* what is kept of a reply's text, with the NUL */
	SMTP_CLIENT_RCPTS_LIMIT = 1000,
};

struct smtp_client;

enum smtp_tls_policy {
	SMTP_TLS_NEVER, /* also for the second try after a failed handshake */
	SMTP_TLS_IF_OFFERED,
	SMTP_TLS_REQUIRED,
};

/* How far a conversation came; the order is the order of events. */
enum smtp_stage {
	SMTP_STAGE_CONNECT, /* never used by the engine itself; for hosts */
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO,
	SMTP_STAGE_TLS,
	SMTP_STAGE_RSET,
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA, /* from the command to the last byte before the dot */
	SMTP_STAGE_DOT,
	SMTP_STAGE_QUIT,
};
const char *smtp_stage_name(enum smtp_stage stage); /* "connect", "greeting", ... "dot" */

/* Milliseconds; 0 takes the default, which is RFC 5321 s4.5.3.2's. */
struct smtp_client_times {
	uint32_t greeting_ms, ehlo_ms, tls_ms, mail_ms, rcpt_ms, data_ms, block_ms, dot_ms, quit_ms;
};

struct smtp_client_options {
	struct span helo; /* our name */
	enum smtp_tls_policy tls;
	struct span user,
		password; /* AUTH (RFC 4954), PLAIN or LOGIN, under TLS alone; user "": none. Copied, wiped at the end */
	bool auth_in_clear; /* tests: without TLS too */
	struct smtp_client_times times;
	/* Bytes for the peer, in order; the span dies with the call. Must not call back into the
	 * engine. */
	void (*on_output)(void *arg, struct span bytes);
	void *arg;
};

/* Copies the options. The engine waits for the greeting at once. */
struct smtp_client *smtp_client_new(const struct smtp_client_options *options);
void smtp_client_free(struct smtp_client *c); /* accepts NULL */

/* What the host has to do next. */
enum smtp_want {
	SMTP_WANT_INPUT, /* wait for replies (smtp_client_timeout_ms) */
	SMTP_WANT_TLS, /* drop what else was read, shake hands, then smtp_client_secured; a failure:
			  smtp_client_lost */
	SMTP_WANT_MAIL,	  /* ready: smtp_client_mail, or smtp_client_quit, or keep it for later */
	SMTP_WANT_BODY,	  /* smtp_client_body with pieces, then smtp_client_body_end */
	SMTP_WANT_PERMIT, /* all is sent but the dot: smtp_client_permit, or close the connection
			     and smtp_client_lost */
	SMTP_WANT_RESULT, /* the transaction is over: read the results, then smtp_client_next */
	SMTP_WANT_CLOSE,  /* the conversation is over (results of a transaction, if any, are there):
			     close */
};
enum smtp_want smtp_client_want(const struct smtp_client *c);
enum smtp_stage smtp_client_stage(const struct smtp_client *c);

/* Takes all bytes. Those it has no use for any more (after 220 to STARTTLS, after the end) are
 * ignored. */
void smtp_client_input(struct smtp_client *c, struct span bytes);
/* The handshake came through: EHLO is sent again. */
void smtp_client_secured(struct smtp_client *c);
/* The connection ended, the deadline passed or we give it up: ends the transaction. why: for the
 * results' text. */
void smtp_client_lost(struct smtp_client *c, const char *why);
/* How long to wait for the next reply or for output to move; start anew at each reply and each
 * drained piece. */
uint32_t smtp_client_timeout_ms(const struct smtp_client *c);

struct smtp_capabilities {
	bool esmtp; /* EHLO was taken */
	bool size, eightbit, smtputf8, dsn, pipelining, starttls, enhanced;
	bool auth_plain, auth_login;
	uint64_t size_bytes; /* 0: none stated */
};
const struct smtp_capabilities *smtp_client_capabilities(const struct smtp_client *c);

/* ---- one transaction ---- */

struct smtp_client_rcpt {
	struct span address; /* without <> */
	struct span orcpt;   /* "rfc822;xtext", "" none */
	uint8_t notify;	     /* bits of MessageMeta: 1 never, 2 success, 4 failure, 8 delay */
};

struct smtp_client_mail {
	struct span sender; /* "" the null sender */
	const struct smtp_client_rcpt *rcpts;
	size_t rcpts_n;	     /* 1 .. SMTP_CLIENT_RCPTS_LIMIT; with verify_only also 0 */
	uint64_t size_bytes; /* of the delivered form; 0: not known */
	bool is_8bit;
	bool needs_smtputf8;
	struct span envid; /* xtext */
	uint8_t ret;	   /* 1 FULL, 2 HDRS */
	bool verify_only;  /* stop after the answers to RCPT: no DATA */
};

/*
 * Begins a transaction (want is SMTP_WANT_MAIL); everything is copied. If the site lacks what the
 * message needs (SIZE, SMTPUTF8) or an address cannot stand in a command, nothing is sent and the
 * results say so (is_local, 5XX). 8BITMIME not offered: the message is sent as it is all the same,
 * without BODY= (bit-exact before polite).
 */
void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *mail);
/* The next piece, of any size; dots are doubled on the way to on_output. Want stays BODY unless an
 * early reply ends it. */
void smtp_client_body(struct smtp_client *c, struct span piece);
void smtp_client_body_end(struct smtp_client *c);
void smtp_client_permit(struct smtp_client *c);

enum smtp_result {
	SMTP_RESULT_ACCEPTED, /* 2xx after the dot; with verify_only: 2xx to RCPT */
	SMTP_RESULT_4XX,
	SMTP_RESULT_5XX,
	SMTP_RESULT_UNREACHED, /* the conversation ended before the dot without an answer for this
				  recipient */
	SMTP_RESULT_LOST,      /* ended after the dot: nobody knows */
};

struct smtp_rcpt_result {
	enum smtp_result result;
	enum smtp_stage stage; /* whose answer it is */
	uint16_t code;	       /* 0: none */
	bool is_local;	       /* our own finding, the peer was not asked */
	const char *enhanced;  /* "5.1.1" or "" */
	const char *text;      /* one printable line (UTF-8), without codes */
};
/* While want is RESULT or CLOSE; the strings live until smtp_client_next or free. */
size_t smtp_client_results(
	const struct smtp_client *c); /* recipients of the transaction, 0: none was begun */
struct smtp_rcpt_result smtp_client_result(const struct smtp_client *c, size_t rcpt);
/* Found in the reply to the dot: "queued as XXXX", "id=XXXX" and the like; "" if none. */
const char *smtp_client_queue_id(const struct smtp_client *c);
/* RFC 3461 s5.2.2: accepted by a server without DSN, so that a wanted success notice is ours to
 * send ("relayed"). */
bool smtp_client_dsn_passed_on(const struct smtp_client *c);
void smtp_client_next(
	struct smtp_client *c); /* forgets the transaction: want becomes MAIL or stays CLOSE */

void smtp_client_quit(struct smtp_client *c); /* want becomes CLOSE when answered */

/* Why the conversation ended (want is CLOSE and it was not by quit). */
struct smtp_client_failure {
	enum smtp_stage stage;
	uint16_t code; /* of the reply that ended it, 0: none */
	const char *enhanced, *text;
};
/* False: it did not fail. */
bool smtp_client_failed(const struct smtp_client *c, struct smtp_client_failure *out);

/* The last reply read, whatever it answered; code 0: none yet. The strings live until the next input. */
struct smtp_client_failure smtp_client_last_reply(const struct smtp_client *c);

/* The delivery's name at the peer, as a span of text; empty if none is recognised. */
struct span smtp_queue_id_of(struct span reply_text);
