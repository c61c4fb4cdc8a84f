/*
 * One event loop per thread: timers, descriptors, deferred calls, and waking from another thread.
 * The only code (with conn.c) that knows libevent.
 *
 * Times are microseconds of the monotonic clock. Callbacks run on the loop's thread, one at a time,
 * and may free their own object.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct loop;
struct loop_timer;
struct loop_fd;
struct loop_wake;

struct loop *loop_new(void);
void loop_free(struct loop *loop);
void loop_run(struct loop *loop); /* until loop_stop */
void loop_stop(struct loop *loop);
uint64_t loop_now_us(struct loop *loop); /* monotonic, read anew at each call (no system call) */

/* Calls once, after the present callback has returned and before the loop waits again. */
void loop_defer(struct loop *loop, void (*call)(void *arg), void *arg);

struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, uint64_t after_us); /* one shot; replaces what was set */
void loop_timer_clear(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* accepts NULL */

enum loop_fd_FLAGS { LOOP_READ = 1, LOOP_WRITE = 2 };

/* Level-triggered. The descriptor stays the caller's: free this first, then close it. */
struct loop_fd *loop_fd_new(struct loop *loop, int fd, void (*on_ready)(void *arg, unsigned flags),
			    void *arg);
void loop_fd_want(struct loop_fd *f, unsigned flags); /* 0: nothing */
void loop_fd_free(struct loop_fd *f);

/* loop_wake_up may be called from any thread; on_wake runs on the loop's, at least once after each
 * burst. */
struct loop_wake *loop_wake_new(struct loop *loop, void (*on_wake)(void *arg), void *arg);
void loop_wake_up(struct loop_wake *w);
void loop_wake_free(struct loop_wake *w);

/* on_signal on the loop's thread (SIGTERM, SIGHUP, SIGCHLD …); lives as long as the loop. */
void loop_on_signal(struct loop *loop, int signal, void (*on_signal)(void *arg), void *arg);

/* libevent's own object, for src/dns alone (libunbound wants it). */
struct event_base;
struct event_base *loop_event_base(struct loop *loop);
