/*
 * The real holdfast-courier process between a clerk, a sequencer and a primary that the test plays itself, on one loop:
 * the supervisor's part (configuration, links), a ledger lane "edge-0" with messages, and an SMTP server whose answers
 * a test chooses. What the courier wrote to its lane is read back from the disk.
 */
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include "base/buf.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"

struct conn;
struct dkim_key;
struct link;
struct listener;
struct loop;
struct loop_timer;

enum { RIG_MAX = 64, RIG_RCPTS = 250 };

struct rig_message {
	struct record_ref ref;
	struct buf body;
	char id[33];
};

struct rig_delivery { /* what the primary took */
	char sender[300], rcpts[16000];
	struct buf data; /* dots removed */
};

struct rig {
	struct loop *loop;
	struct loop_timer *limit;
	char folder[64];
	pid_t courier;
	bool courier_ended;
	struct link *channel, *clerk, *sequencer, *watch, *scout;
	struct lane *lane;

	/* The primary. Answers without CRLF; NULL: the usual one; "": hangs up; "silence": none. */
	struct listener *listener;
	struct sockaddr_in at;
	const char *greeting, *ehlo, *mail, *rcpt, *data, *dot;
	void (*on_dot)(struct rig *r);	/* before the dot is answered */
	void (*on_data)(struct rig *r); /* at the DATA command */
	const char *bad_rcpt;		/* this address gets "550 5.1.1 no such user" */
	struct tls_context *tls;	/* STARTTLS is answered; the rig's end unrefs it */
	unsigned connections, dots, dots_under_tls;
	struct conn *last; /* connection; NULL when it ended */
	struct rig_delivery taken[RIG_MAX];
	size_t taken_n;

	/* What came over the links. */
	struct msg_lease_done done[RIG_MAX]; /* reasons are copies */
	size_t done_n;
	unsigned hellos, durables, rooms, questions, homes_done;
	uint8_t home_why;
	uint64_t hello_leases[RIG_MAX];
	size_t hello_leases_n;
	struct {
		uint8_t attempt;
		char stage[16];
		unsigned code;
	} evidence[RIG_MAX];
	size_t evidence_n;
	struct msg_site_limits limits;

	const struct msg_mx_answer
		*mx; /* what scout says of every domain; ports are filled in where they are 1 */
	const struct msg_cut *cuts; /* of messages stored from now on */
	size_t cuts_n;
	struct dkim_key *key; /* auth signs with it: selector "rig"; NULL: it has none */
	bool auth_is_silent;
	struct link *auth;
	unsigned char origin; /* of messages stored from now on */
	bool is_sent_on;
	const char *from;

	struct rig_message messages[RIG_MAX];
	size_t messages_n;
	uint64_t next_lease;
};

/* What is NULL or zero takes a default. */
struct rig_options {
	const char *tls;    /* "required" */
	const char *tls_ca; /* PEM */
	unsigned concurrency;
	bool no_primary;  /* nobody listens */
	const char *host; /* of the primary; default 127.0.0.1 */
	bool dead_first;  /* a primary before it, of better priority, where nobody listens */
	bool auth;	  /* there is one, and people can log in */
	bool scout;	  /* there is one; it knows that every name is 127.0.0.1 */
};
void rig_open(struct rig *r, const struct rig_options *options);
void rig_close(struct rig *r); /* stops the courier in order and checks that it ended well */

/* Appends a message; returns its index. */
size_t rig_store(struct rig *r, struct span body, const char *sender,
		 const char *rcpts /* "a@b,c@d" */);
/* Leases message m to the courier. edit may change the lease before it is sent; NULL: as it is. */
uint64_t rig_lease(struct rig *r, size_t m, const char *sender, const char *rcpts,
		   void (*edit)(struct msg_lease *l));
/* Leases going home (an APPEND to Sent of each message) for this account; by_mail: nobody can log in. */
void rig_lease_home(struct rig *r, const char *account, bool by_mail);
void rig_clerk_new(struct rig *r);  /* a new link of the clerk */
void rig_clerk_gone(struct rig *r); /* the clerk dies */
/* Runs the loop until so many LeaseDone came in all, or fails the test after some seconds. */
void rig_await_done(struct rig *r, size_t n);
void rig_await(struct rig *r, bool (*is_true)(struct rig *r), const char *what);

/* All records of the courier's lane, one line each, separated by '\n':
 * "HOME number/did ...",
 * "INTENT n rcpts=0,1", "OUTCOME n stage=dot 0:accepted/delivered/250:ID", "MESSAGE dsn to=a@b site=s id=..." */
void rig_lane(struct rig *r, struct buf *out);
