/*
 * Plays a session with the server engine: cuts the client's bytes into pieces of a given size,
 * answers the engine's questions by a fixed policy, keeps what the server said and what it wanted
 * stored.
 *
 * Policy: ours.example is ours; local parts beginning with "unknown" get 550 5.1.1, with "later"
 * 451 4.7.1; any other domain 550 5.7.1. The sender denied@... gets 550 5.7.1. DATA: 354, or 452
 * 4.3.1 when is_full. Store: 250 2.0.0. AUTH (where options.service.auth offers it): user "ann", password "secret"; "away" gets
 * 454 4.7.0; LOGIN asks for both.
 */
#pragma once

#include "base/buf.h"
#include "smtp/server.h"

enum { DIALOGUE_MESSAGES = 64 };

struct dialogue_options {
	struct smtp_service service;
	size_t step; /* bytes a piece; 0: all at once */
	bool is_async; /* questions are answered only after the engine was asked again and said WAIT */
	bool is_full;
};

struct dialogue_message {
	struct buf body;
	struct buf envelope; /* "<sender> <rcpt> <rcpt>" */
};

struct dialogue {
	struct dialogue_options options;
	struct smtp_server *server;
	uint64_t now_us;
	struct buf said;
	struct buf body; /* of the message in reception */
	struct dialogue_message messages[DIALOGUE_MESSAGES];
	size_t messages_n;
	size_t most_pieces_n; /* longest input held by the engine's host */
	bool wants_tls, is_closed;
	unsigned stored, dropped;
	unsigned logins_asked, logins_ended, logins_given_up;
	bool knows_user; /* LOGIN: the first response has come */
	char user[16];
};

struct dialogue_options dialogue_defaults(void);
void dialogue_begin(struct dialogue *d, const struct dialogue_options *options);
void dialogue_feed(struct dialogue *d, struct span bytes);
void dialogue_wait(struct dialogue *d, uint64_t us); /* time passes */
void dialogue_secure(struct dialogue *d); /* the handshake that was asked for has been made */
void dialogue_wind_down(struct dialogue *d);
void dialogue_end(struct dialogue *d);
