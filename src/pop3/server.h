/*
 * One POP3 session from the server's side (RFC 1939, 2449 CAPA, 2595 STLS, 3206 AUTH-RESP-CODE, 5034 SASL, 6856 UTF8), as a
 * pure machine: bytes and times in; replies, questions and a deadline out. No socket, no clock. The host (desk) drives it:
 *
 *   pop3_server_tick(s, now);
 *   for (;;)
 *           switch (pop3_server_step(s, &in)) { ... }
 *
 * sends what pop3_server_output gives, and answers what is asked at once or later. While a question is open nothing is
 * consumed. While a listing or a message goes out, each step gives one piece (POP3_FLUSH): a host whose peer does not read
 * stops stepping, so memory stays bounded.
 *
 *   P1  Any split of the same input gives the same replies and questions.
 *   P2  Lines end in CRLF; a bare LF ends the session.
 *   P3  The maildrop is the INBOX as it was at the login (RFC 1939 s3): numbers, sizes and unique ids do not change.
 *       A unique id is "<uidvalidity>.<uid>".
 *   P4  Nothing is deleted before QUIT; then exactly what is marked, asked as acts one after the other: \Seen for what was
 *       read, \Deleted for what is marked, and the expunge of these UIDs. An end without QUIT asks for nothing.
 *   P5  After STLS everything from before is forgotten, bytes waiting in clear text too (RFC 2595 s4).
 *   P6  Every state in which the client's turn is has a deadline that single bytes do not move.
 *   P7  A message that turns out damaged while it is sent ends the session without the final dot: never bad bytes.
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"
#include "mail/store.h"

struct pop3_server;

struct pop3_limits {
	unsigned errors; /* -ERR answers to bad commands and logins after which the session ends */
	unsigned messages; /* of one maildrop: the oldest; later ones show when those are gone */
	uint64_t login_us; /* until somebody has logged in, all commands together */
	uint64_t idle_us;  /* between commands afterwards; at least 10 minutes (RFC 1939 s3) */
};

struct pop3_service {
	struct span node; /* our name in the greeting */
	struct pop3_limits limits;
	bool has_tls;
	const struct span *
		mechanisms; /* SASL, upper case; those that send a password are offered when it is secure */
	size_t mechanisms_n;
};

enum pop3_step {
	POP3_FEED,  /* all input is consumed (or a part of a line is kept): more bytes, or a tick */
	POP3_WAIT,  /* a question is open */
	POP3_FLUSH, /* take the output, then go on when the peer keeps up */
	POP3_LOGIN, /* who is this? pop3_server_login has it; answer with challenge, welcome or unwelcome */
	POP3_RESPONSE, /* the client's answer to the challenge: pop3_server_response; answer likewise */
	POP3_CANCEL, /* the client gave the login up: forget it; no answer */
	POP3_ACT,    /* pop3_server_act; answer with pop3_server_done */
	POP3_TLS,    /* send the output, then start TLS; pop3_server_secured when it stands */
	POP3_CLOSE,  /* send the output, then close */
};

struct pop3_login {
	struct span mechanism; /* upper case; USER and PASS come as PLAIN */
	bool has_initial;
	struct span initial; /* decoded */
};

/* Borrows service for its life. is_secure: the session began under TLS, or comes from this machine: passwords may be sent. */
struct pop3_server *pop3_server_new(const struct pop3_service *service, bool is_tls,
				    bool is_secure);
void pop3_server_free(
	struct pop3_server *s); /* accepts NULL; closes the message that is being sent */
void pop3_server_serve(struct pop3_server *s, const struct pop3_service *service);
void pop3_server_greet(struct pop3_server *s);

enum pop3_step pop3_server_step(struct pop3_server *s, struct span *in) MUST_USE;
bool pop3_server_is_asking(const struct pop3_server *s);

/* Live until the answer. */
const struct pop3_login *pop3_server_login(const struct pop3_server *s);
struct span pop3_server_response(const struct pop3_server *s);
const struct mail_act *pop3_server_act(const struct pop3_server *s);

void pop3_server_challenge(struct pop3_server *s, struct span challenge);
/* The end of a login that went well. What a mechanism says last (RFC 4422 s5) is a challenge too: the host welcomes after the
 * client's empty response. The store is copied and must serve until the session is freed. Takes the snapshot; when the store
 * cannot give it the session stays without a login ([SYS/TEMP]). */
void pop3_server_welcome(struct pop3_server *s, const struct mail_store *store);
/* Or did not. status: "-ERR [AUTH]" (login_pop3 in auth/login.h). counts: as an error. */
void pop3_server_unwelcome(struct pop3_server *s, const char *status, struct span text,
			   bool counts);
/* The verdict on the act. OK: done. REFUSED, with verdict->text. LATER: it was not done or may not have been: text says. */
void pop3_server_done(struct pop3_server *s, enum rc rc, struct span text);

struct span pop3_server_output(
	const struct pop3_server *s); /* lives until pop3_server_sent, which forgets it */
void pop3_server_sent(struct pop3_server *s);

void pop3_server_tick(struct pop3_server *s, uint64_t now_us);
uint64_t pop3_server_deadline(const struct pop3_server *s); /* 0: none, it is the host's turn */

void pop3_server_secured(struct pop3_server *s);
/* Ends the session now with -ERR and this text (account disabled, shutting down). With an act open the end follows its
 * answer, unless is_hard. */
void pop3_server_end(struct pop3_server *s, struct span text, bool is_hard);
bool pop3_server_is_logged_in(const struct pop3_server *s);
