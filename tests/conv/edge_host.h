/*
 * Plays the supervisor, the sequencer and scout for one real holdfast-edge process on loopback, and
 * SMTP clients against it. Everything lies in a folder of its own, which edge_host_stop removes.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "ipc/msg.h"

struct edge_host {
	char folder[64];
	pid_t pid;
	const char *name, *service;  /* "edge-0", "smtp" */
	int super, sequencer, scout; /* our ends */
	int port;
	struct msg_config config;
};

/* A configuration for ours.example (and gated.example) that the test may change before
 * edge_host_start. */
void edge_host_init(struct edge_host *h);
void edge_host_start(struct edge_host *h, const char *program);
void edge_host_reload(struct edge_host *h);
int edge_host_link(struct edge_host *h, unsigned peer); /* enum role_id; our end */
/* One more listening socket for it; its port. */
int edge_host_listen(struct edge_host *h, const char *service);
void edge_host_link_scout(struct edge_host *h);
void edge_host_tell_stop(struct edge_host *h);
/* StopNow, then the exit status; removes the folder. */
int edge_host_stop(struct edge_host *h);

/* The next frame from edge on one of our ends, within ms; 0: none. body is appended. */
unsigned edge_host_frame(int fd, int ms, struct buf *body);
void edge_host_send(int fd, unsigned type, struct span body, int with_fd);

/* A client: connects; sends; reads until a final reply line ("250 ...") has come n times or the
 * end. */
int edge_client(const struct edge_host *h);
void edge_say(int fd, const char *text);
void edge_hear(int fd, unsigned replies, struct buf *out);

/* What is in the lane: messages, their bodies joined with 0x1e between. */
unsigned edge_host_messages(const struct edge_host *h, struct buf *bodies, struct buf *metas);
