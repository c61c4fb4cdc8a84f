/*
 * A Unix socket below data/run/ at which the command line asks a role: frames of stream_frame.h, one request of a client
 * at a time. For watch (control.sock) and auth (people.sock).
 *
 * The peer's uid, as the kernel says it, must be root's, our own, or that of the owner of the data directory; it is named
 * in every act (P7). A client that has gone meanwhile changes nothing: what it asked for stands.
 */
#pragma once

#include "base/span.h"

struct arena;
struct client;
struct clients;
struct role;

struct clients_options {
	const char
		*name; /* of the log's events: "control" makes control.refused, control.malformed */
	size_t request_bytes; /* at most, with the frame's header */
	size_t arena_bytes;   /* what decoding a request may take */
	unsigned clients;     /* at a time */
	uint64_t
		answer_us; /* a client whose request takes longer is cut off; 0: as long as it takes */
	/* A request; c answers by client_answer, at once or later. False: malformed, the client is cut off. */
	bool (*on_request)(void *arg, struct client *c, struct arena *a, unsigned type,
			   struct span body);
	void *arg;
};

/* In on_start: reads the names of users while the sandbox is open. Borrows options for its life. */
struct clients *clients_new(struct role *r, const struct clients_options *options);
void clients_listen(struct clients *s,
		    int fd); /* takes the listening socket; the one before is closed */
void clients_stop(struct clients *s);
void clients_free(struct clients *s); /* after the loop; accepts NULL */

uint64_t client_id(const struct client *c);
struct client *clients_find(struct clients *s, uint64_t id); /* NULL: gone */
void *client_arg(const struct client *c);		     /* of the options */
const char *client_who(const struct client *c);		     /* "operator root (uid 0)" */
bool client_waits(const struct client *c);		     /* for an answer */
void client_answer(struct client *c, unsigned type, struct span body);
