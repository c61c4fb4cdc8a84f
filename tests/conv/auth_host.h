/*
 * A real holdfast-auth with its peers played by the test: supervisor and sequencer as in edge_host.h, a desk, a courier,
 * the command line at a socket of its own, and the primary's IMAP in a thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "auth/login.h"
#include "auth/totp.h"
#include "edge_host.h"
#include "ledger/ledger.h"

struct auth_host {
	struct edge_host host;
	const char *program;
	int desk, console, courier;
	char socket[100]; /* people.sock of the test */
	uint64_t last_id;
	struct lane_position durable; /* as the sequencer was told */
	struct arena arena;	      /* of answers */
	struct msg_site site;
	struct msg_imap_server imap;
	/* the primary */
	int listener;
	pthread_t thread;
	_Atomic bool stops, is_away; /* away: hangs up at once */
	_Atomic unsigned asked;
	_Atomic(const char *) password; /* everybody's there */
};

void auth_host_init(struct auth_host *h, const char *program);
void auth_host_start(struct auth_host *h);
void auth_host_kill(struct auth_host *h);    /* -9; the folder stays, for auth_host_start */
int auth_host_stop(struct auth_host *h);     /* exit status; removes the folder */
void auth_host_primary(struct auth_host *h); /* from now on there is one */

/* One login by PLAIN from a source; the answer lives until the next. */
struct msg_login_answer auth_log_in(struct auth_host *h, const char *name, const char *password,
				    const char *source, const char *service);
/* The same for the door's session; from the console with session_for "admin". Its answer too lives until the next. */
struct msg_login_answer auth_portal(struct auth_host *h, const char *name, const char *password,
				    const char *source, const char *session_for);
bool auth_gets_in(struct auth_host *h, const char *name, const char *password, const char *source);
uint64_t auth_send_plain(struct auth_host *h, const char *name, const char *password,
			 const char *source, const char *service);
/* The next LoginAnswer; false: none within ms. AccountsChanged on the way are counted in *changed (may be NULL). */
bool auth_hear(struct auth_host *h, int ms, struct msg_login_answer *out, unsigned *changed);
/* Asks as the command line does. */
struct msg_people_answer auth_people(struct auth_host *h, unsigned type, const struct buf *body);
int auth_people_send(struct auth_host *h, unsigned type,
		     const struct buf *body); /* its descriptor */
struct msg_people_answer auth_add(struct auth_host *h, const char *name, const char *password);
struct msg_people_answer auth_passwd(struct auth_host *h, const char *name, const char *password);
struct msg_people_answer auth_set(struct auth_host *h, const char *name, const char *verb,
				  const char *argument);
/* All DIRECTORY and ACT records of the lane, a line each: "DIRECTORY account x state=active", "ACT user.add x". */
void auth_records(struct auth_host *h, struct buf *out);
/* Of an answer's JSON: what stands behind this, up to the next quotation mark; and the secret as the authenticator has it. */
void text_between(struct span json, const char *before, char *out, size_t n);
void read_secret(struct span json, unsigned char out[TOTP_SECRET_BYTES]);
