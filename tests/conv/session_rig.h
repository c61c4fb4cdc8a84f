/*
 * A real holdfast-auth (auth_host.h) and browsers against it: logins with a session, tickets, orders. For session_test.c and
 * session_orders_test.c.
 */
#pragma once

#include "auth/session.h"
#include "auth/totp.h"
#include "auth_host.h"

#define ANNA  "anna@ours.example"
#define BERT  "bert@ours.example"
#define WORD  "correct horse battery anna"
#define WORD2 "another horse, another battery"
#define HOME  "192.0.2.10"
#define AWAY  "198.51.100.77"

struct rig {
	struct auth_host h;
	unsigned ended; /* SessionsEnded that named `watched`, on the desk's link */
	unsigned char watched[SECRET_HASH_BYTES];
	uint64_t step; /* of TOTP that was used last */
};

struct secret { /* as a browser keeps it */
	char text[SESSION_TEXT_BYTES + 1];
};

extern const char *rig_program;

void rig_begin(struct rig *r);
/* Killed (-9) and started anew. */
void rig_again(struct rig *r);
bool contains(struct span text, const char *part);
void rig_note(struct rig *r, const struct buf *body);
/* The next frame of this type; SessionsEnded on the way are looked at. */
void rig_hear(struct rig *r, int fd, unsigned type, struct buf *body);
/* Counts in r->ended when this one is over. */
void rig_watch(struct rig *r, const struct secret *s);
/* As a browser keeps what came with a login. */
struct secret keep(struct span session);
/* By password, from HOME; there is no second factor. */
struct secret log_in(struct rig *r, const char *name, const char *password);
struct msg_session_answer ask_from(struct rig *r, int fd, const char *secret, const char *source);
struct msg_session_answer ask_at(struct rig *r, int fd, const char *secret);
bool is_at(struct rig *r, int fd, const struct secret *s);
bool is_in(struct rig *r, const struct secret *s);
void log_out(struct rig *r, const struct secret *s);
struct msg_login_answer use_factor(struct rig *r, int fd, const struct secret *ticket,
				   const char *code);
struct msg_login_answer use_invitation(struct rig *r, const char *name, const char *code,
				       const char *password, const char *source);
struct msg_people_answer factor(struct rig *r, const char *name, const char *verb,
				const char *code);
/* A code that was not used: of now, or (one step early is taken) of the next step. */
void next_code(struct rig *r, const unsigned char secret[TOTP_SECRET_BYTES], char out[16]);
/* Gives it a second factor; recovery is one of its ten codes. */
void enrol(struct rig *r, const char *name, unsigned char secret[TOTP_SECRET_BYTES],
	   char recovery[64]);
void invite(struct rig *r, const char *name, char code[64]);
/* Of ANNA, whose password was right and who has a second factor. */
struct secret ticket(struct rig *r);
/* The next of this link, which is to the last question. */
struct msg_order_answer order_answer(struct rig *r, int fd);
struct msg_order_answer order_at(struct rig *r, int fd, const struct secret *s, const char *verb,
				 const char *argument, const char *password,
				 const char *new_password);
/* A SelfOrder at the desk. */
struct msg_order_answer order(struct rig *r, const struct secret *s, const char *verb,
			      const char *argument, const char *password, const char *new_password);
/* With this reason and a sentence, and no session. */
bool is_refused(struct msg_order_answer m, const char *reason);
