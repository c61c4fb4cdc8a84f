/*
 * Asks one SMTP server how far a message would come, without giving it one: connect, greeting,
 * EHLO, STARTTLS when offered or required, MAIL FROM, RCPT TO for each, QUIT. Used by watch
 * (health), scout (call-ahead) and `holdfast doctor`. On a loop; one callback, at the latest when
 * the total deadline passes.
 */
#pragma once

#include <sys/socket.h>

#include "base/span.h"

struct loop;
struct tls_context;
struct smtp_probe;

/* Where it ended, as a class of outage. */
enum smtp_probe_class {
	SMTP_PROBE_FINE, /* every step asked for got 2xx */
	SMTP_PROBE_TCP,	 /* no connection */
	SMTP_PROBE_GREETING,
	SMTP_PROBE_EHLO,
	SMTP_PROBE_TLS, /* required and not offered, or the handshake failed */
	SMTP_PROBE_MAIL,
	SMTP_PROBE_RCPT, /* no recipient got 2xx */
};
const char *smtp_probe_class_name(enum smtp_probe_class class); /* "fine", "tcp", "greeting", ... */

enum { SMTP_PROBE_RCPTS_LIMIT = 8 };

struct smtp_probe_options {
	struct sockaddr_storage to;
	socklen_t to_n;
	const char *host_name;	 /* SNI and certificate name; NULL or "": none */
	struct span helo;	 /* our name */
	struct tls_context *tls; /* NULL: STARTTLS is not tried */
	bool tls_required;
	bool plain_after_tls_failure; /* not required: when the handshake fails, ask again without
					 TLS (new connection) */
	struct span sender;	      /* "" : the null sender */
	const struct span *rcpts;
	size_t rcpts_n; /* 0: no MAIL either, unless mail_only; at most SMTP_PROBE_RCPTS_LIMIT */
	bool mail_only; /* MAIL FROM without recipients */
	uint32_t deadline_ms; /* for all of it; 0: 10 s */
};

struct smtp_probe_rcpt {
	uint16_t code; /* 0: not answered */
	char enhanced[12];
	char text[200];
};

struct smtp_probe_result {
	enum smtp_probe_class class;
	const char *stage; /* the last one begun: "connect", "greeting", "ehlo", "tls", "mail",
			      "rcpt", "quit" */
	uint16_t code;	   /* of the reply that decided it, 0: none */
	char enhanced[12];
	char text[200]; /* of the reply, or what happened ("connection refused", "no answer within
			   10000 ms") */
	bool timed_out;
	uint32_t latency_ms; /* until the last answer that was needed */
	bool esmtp, starttls_offered, tls_used, tls_verified, pipelining, eightbit, smtputf8, dsn;
	uint64_t size_limit; /* SIZE; 0: none stated */
	char tls_text[80];   /* version and cipher */
	char greeting[200];
	size_t rcpts_n;
	struct smtp_probe_rcpt rcpts[SMTP_PROBE_RCPTS_LIMIT];
};

/* Copies the options. on_done is called once, from the loop, never from inside this call; the probe
 * is gone then. */
struct smtp_probe *smtp_probe_start(struct loop *loop, const struct smtp_probe_options *options,
				    void (*on_done)(void *arg,
						    const struct smtp_probe_result *result),
				    void *arg);
void smtp_probe_cancel(struct smtp_probe *p); /* on_done is not called; accepts NULL */
