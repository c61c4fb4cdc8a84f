/*
 * What loop.c and conn.c share: the objects of loop.h laid open, so that a connection can embed
 * them instead of allocating each.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"

#define LOOP_SCRATCH_BYTES (64u << 10)

/* A call that runs after the present callback; on the list at most once. */
struct loop_call {
	struct list link;
	void (*call)(void *arg);
	void *arg;
};

void loop_call_init(struct loop_call *c, void (*call)(void *arg), void *arg);
void loop_call_post(struct loop *loop,
		    struct loop_call *c); /* does nothing when it is posted already */
void loop_call_cancel(struct loop_call *c);

/*
 * Deadlines are lazy: setting one later than what the heap holds only stores the time, and the
 * event arms itself anew when it fires early. A connection that resets its deadline at every read
 * costs nothing.
 */
struct loop_timer {
	struct loop *loop;
	struct event event;
	uint64_t due_us;   /* 0: not set */
	uint64_t armed_us; /* when the event fires; 0: not pending */
	void (*on_time)(void *arg);
	void *arg;
};

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*on_time)(void *arg),
		     void *arg);
void loop_timer_fini(struct loop_timer *t);

struct loop_fd {
	struct loop *loop;
	struct event event;
	int fd;
	unsigned wants; /* enum loop_fd_FLAGS */
	void (*on_ready)(void *arg, unsigned flags);
	void *arg;
};

void loop_fd_init(struct loop_fd *f, struct loop *loop, int fd,
		  void (*on_ready)(void *arg, unsigned flags), void *arg);
void loop_fd_fini(struct loop_fd *f);

/* A buffer for what was deciphered, empty at each call; its bytes die with the callback. */
struct buf *loop_plain(struct loop *loop);

/*
 * Closes a socket whose output is complete without destroying it on its way: a close with input
 * unread makes the kernel send RST, and some peers then forget what they have received. So: shut
 * down our side, discard input until the peer closes too, at most LINGER_US long, LINGER_BYTES and for at most
 * LINGER_LIMIT sockets.
 */
#define LINGER_US    2000000u
#define LINGER_LIMIT 256u
#define LINGER_BYTES (1u << 20) /* thrown away for one socket; then it is closed whatever comes (S-12) */
void linger_close(struct loop *loop, int fd);
struct list *loop_lingering(struct loop *loop, unsigned **out_count);
void linger_free_all(struct list *lingering);

/* One buffer of LOOP_SCRATCH_BYTES for all readers of the loop; its bytes die with the callback. */
unsigned char *loop_scratch(struct loop *loop);
