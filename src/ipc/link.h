/*
 * A link joins two roles: one end of a SOCK_SEQPACKET pair that the supervisor made and handed to
 * both (so no role needs the file system or connect() to find another). One packet is one frame:
 *
 *   u32 magic 'HFip' | u8 version | u8 0 | u16 message type | u32 body length | u32 0   then the
 * body
 *
 * little-endian, at most LINK_FRAME_LIMIT_BYTES. The receiver treats the sender as hostile: a frame
 * that is not well formed closes the link (and is counted); the supervisor gives both a new one
 * after a pause. Sending never blocks: frames queue up to LINK_QUEUE_LIMIT_BYTES; beyond it
 * link_send says LATER and drops the frame. What a lost link means for requests in flight is
 * decided by the two roles (ARCHITECTURE.md).
 */
#pragma once

#include "base/arena.h"
#include "base/fault.h"
#include "base/span.h"

#define LINK_VERSION 1
#define LINK_FRAME_LIMIT_BYTES                                                                     \
	(192u << 10) /* the kernel's usual socket buffer takes 208 KiB in one packet */
#define LINK_BODY_LIMIT_BYTES  (LINK_FRAME_LIMIT_BYTES - 16) /* senders split larger things */
#define LINK_QUEUE_LIMIT_BYTES (4u << 20)

struct loop;
struct link;

struct link_ops {
	/* body: of this message type, not yet decoded; dies with the call. Return false to close
	 * the link (the message was malformed or not ours to get). */
	bool (*on_message)(void *arg, struct link *l, unsigned type, struct span body);
	void (*on_closed)(void *arg, struct link *l);	/* once; the link is gone when it returns */
	void (*on_writable)(void *arg, struct link *l); /* queue empty again; may be NULL */
};

/* Takes the descriptor over. */
struct link *link_new(struct loop *loop, int fd, const struct link_ops *ops, void *arg);
/*
 * OK: sent or queued. LATER: the queue is full or the peer gone (on_closed follows from the loop).
 * REFUSED: larger than LINK_BODY_LIMIT_BYTES. fd: -1, or a descriptor that travels along (a copy;
 * the caller keeps and closes its own).
 */
enum rc link_send(struct link *l, unsigned type, struct span body);
enum rc link_send_fd(struct link *l, unsigned type, struct span body, int fd);
/* Inside on_message: the descriptor that came along, now the caller's; -1: none. */
int link_take_fd(struct link *l);
size_t link_queued(const struct link *l); /* bytes */
/* Accepts NULL; on_closed is not called. What is queued is dropped. Allowed in its own callbacks.
 */
void link_close(struct link *l);
/* Frames and messages of this process's peers that ended a link because they were not well formed.
 */
uint64_t link_malformed(void);
