/*
 * A real holdfast-desk with all its peers played: supervisor and sequencer as in edge_host.h; auth (lets in people whose
 * password is "secret"); and a clerk that applies the records of the desk's lane to real views and answers. The peers run
 * in a thread of their own, the test is the client.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "edge_host.h"
#include "ledger/ledger.h"
#include "views/apply.h"

enum { DESK_SERVICES = 5, DESK_PLAYED_SESSIONS = 8192 };

/* Sessions that the played auth has opened. */
struct desk_played_session {
	char secret[44], account[64];
	bool is_over;
	uint64_t until_us;
};

struct desk_host {
	struct edge_host host;
	int ports[DESK_SERVICES]; /* imap, imaps, pop3, pop3s, https */
	int auth, clerk;	  /* our ends; -1: none */
	struct views *views;
	struct lane *mail; /* "edge-0": what comes from outside */
	struct lane *pending_lane;
	struct record at; /* the last record of the desk's lane that was applied */
	struct lane_position durable;
	struct buf verdicts; /* of the present batch: frames, each a u32 length before it */
	uint64_t changed_box[64], changed_account[64];
	size_t changed_n;
	pthread_t thread;
	pthread_mutex_t mutex;
	_Atomic bool stops;
	_Atomic bool clerk_is_silent; /* applies nothing */
	_Atomic bool auth_is_silent;
	_Atomic unsigned asked; /* logins auth was asked */
	_Atomic unsigned hellos, hello_asks;
	struct desk_played_session sessions[DESK_PLAYED_SESSIONS];
	unsigned sessions_n, more_accounts;
	_Atomic unsigned session_asks, session_ends, cancels;
	_Atomic uint32_t login_delay_ms;
	char order[128]; /* desk_host_order */
};

void desk_host_init(struct desk_host *d);
/* Account anna@ours.example (and ben@) with so many messages in INBOX, then the program. */
void desk_host_start(struct desk_host *d, const char *program, unsigned messages);
int desk_host_stop(struct desk_host *d);
/* Before desk_host_start: so many more, p0@ours.example and so on. */
void desk_host_more_accounts(struct desk_host *d, unsigned n);
/* The desk has recorded something. */
bool desk_host_has_durable(struct desk_host *d);
/* A message for anna from outside, visible when this returns (MailChanged was sent). body: whole message. */
void desk_host_mail(struct desk_host *d, struct span body);
void desk_host_all_changed(struct desk_host *d); /* MailChanged: look at everything */
void desk_host_cut_clerk(struct desk_host *d);	 /* closes the link */
void desk_host_link_clerk(struct desk_host *d);
void desk_host_cut_auth(struct desk_host *d);
void desk_host_accounts_changed(struct desk_host *d, const char *account);
/* A session of the portal as after a login; its secret lives in d. */
const char *desk_host_session(struct desk_host *d, const char *account, uint64_t lasts_us);
void desk_host_end_session(struct desk_host *d, const char *secret); /* SessionsEnded */
void desk_host_link_auth(struct desk_host *d);
/* Reads what the program tells the supervisor, up to a message of this type. */
void desk_host_await(struct desk_host *d, unsigned type);
/* The last SelfOrder: verb argument password new_password. Valid until the next call. */
const char *desk_host_order(struct desk_host *d);
/* Sizes of memory say nothing then. */
bool desk_host_is_sanitized(void);
unsigned desk_host_rss_kib(const struct desk_host *d);
/* A client at service 0 to 3. */
int desk_client(const struct desk_host *d, unsigned service);
/* Reads until `end` stands in what came (or 20 s): appended to out. False: the connection ended. */
bool desk_hear(int fd, const char *end, struct buf *out);
