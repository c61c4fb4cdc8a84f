/*
 * The event loop: a thin face over libevent's core (epoll). Runs in every role, one per thread.
 *
 * Relies on: event_active() during dispatch runs the event in the same pass, before the next
 * epoll_wait; that is what deferred calls are made of. The epoll changelist is on: interest that is
 * changed and changed back within one turn costs no system call. It is unsafe only for descriptors
 * whose open file lives on under another number after close; nothing here registers such a
 * descriptor (those that travel to another process are not watched by the sender). The last word
 * about a closed descriptor may name a file that another thread has opened since: epoll does not know
 * it, and libevent expects that. ThreadSanitizer cannot, so it is off there.
 *
 * No libevent locking: only loop_wake_up is called from other threads, and it touches an eventfd
 * alone.
 */
#include "loop/internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHANGELIST 0
#endif
#endif
#ifndef CHANGELIST
#define CHANGELIST EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST
#endif

struct loop {
	struct event_base *base;
	struct list calls;    /* struct loop_call: run before the loop waits again */
	struct event calling; /* made active when there are calls */
	struct list signals;
	bool is_stopping;
	unsigned char *scratch;
	struct buf plain;
	struct list lingering; /* linger.c */
	unsigned lingering_n;
};

struct loop_signal {
	struct list link;
	struct event event;
	void (*on_signal)(void *arg);
	void *arg;
};

struct loop_wake {
	struct loop_fd ready;
	int fd;
	atomic_bool is_pending; /* written to fd, on_wake still to come */
	void (*on_wake)(void *arg);
	void *arg;
};

/* A loop_defer of a caller that has nowhere to put its struct loop_call. */
struct own_call {
	struct loop_call inner;
	void (*call)(void *arg);
	void *arg;
};

uint64_t loop_now_us(struct loop *loop)
{
	struct timespec t;

	(void)loop;
	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- deferred calls */

void loop_call_init(struct loop_call *c, void (*call)(void *arg), void *arg)
{
	list_init(&c->link);
	c->call = call;
	c->arg = arg;
}

void loop_call_post(struct loop *loop, struct loop_call *c)
{
	if (!list_is_empty(&c->link))
		return;
	list_append(&loop->calls, &c->link);
	event_active(&loop->calling, EV_TIMEOUT, 1);
}

void loop_call_cancel(struct loop_call *c)
{
	list_remove(&c->link);
}

static void on_calling(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct list *first;

	(void)fd;
	(void)what;
	while ((first = list_shift(&loop->calls))) {
		struct loop_call *c = LIST_ENTRY(first, struct loop_call, link);

		c->call(c->arg);
	}
}

static void on_own_call(void *arg)
{
	struct own_call own = *(struct own_call *)arg;

	free(arg);
	own.call(own.arg);
}

void loop_defer(struct loop *loop, void (*call)(void *arg), void *arg)
{
	struct own_call *own = must_alloc(sizeof *own);

	loop_call_init(&own->inner, on_own_call, own);
	own->call = call;
	own->arg = arg;
	loop_call_post(loop, &own->inner);
}

/* --- the loop */

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	must(config != NULL);
	must(event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
						   CHANGELIST) == 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	must(base != NULL);
	return base;
}

struct loop *loop_new(void)
{
	struct loop *loop = must_alloc(sizeof *loop);

	loop->base = base_new();
	list_init(&loop->calls);
	list_init(&loop->signals);
	list_init(&loop->lingering);
	must(event_assign(&loop->calling, loop->base, -1, 0, on_calling, loop) == 0);
	return loop;
}

void loop_free(struct loop *loop)
{
	struct list *first;

	if (!loop)
		return;
	while ((first = list_shift(&loop->calls))) {
		struct loop_call *c = LIST_ENTRY(first, struct loop_call, link);

		if (c->call == on_own_call)
			free(c->arg);
	}
	while ((first = list_shift(&loop->signals))) {
		struct loop_signal *s = LIST_ENTRY(first, struct loop_signal, link);

		(void)event_del(&s->event);
		free(s);
	}
	linger_free_all(&loop->lingering);
	(void)event_del(&loop->calling);
	event_base_free(loop->base);
	free(loop->scratch);
	buf_fini(&loop->plain);
	free(loop);
}

void loop_run(struct loop *loop)
{
	while (!loop->is_stopping)
		must(event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) == 0);
	loop->is_stopping = false;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
	/* Called from outside a callback it must still end the next turn. */
	event_active(&loop->calling, EV_TIMEOUT, 1);
}

struct event_base *loop_event_base(struct loop *loop)
{
	return loop->base;
}

unsigned char *loop_scratch(struct loop *loop)
{
	if (!loop->scratch)
		loop->scratch = must_alloc(LOOP_SCRATCH_BYTES);
	return loop->scratch;
}

struct buf *loop_plain(struct loop *loop)
{
	buf_clear(&loop->plain);
	return &loop->plain;
}

struct list *loop_lingering(struct loop *loop, unsigned **out_count)
{
	*out_count = &loop->lingering_n;
	return &loop->lingering;
}

/* --- timers */

static void timer_arm(struct loop_timer *t, uint64_t now_us)
{
	uint64_t wait_us = t->due_us > now_us ? t->due_us - now_us : 0;
	struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
			       .tv_usec = (suseconds_t)(wait_us % 1000000)};

	must(event_add(&t->event, &wait) == 0);
	t->armed_us = t->due_us;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;
	uint64_t now_us;

	(void)fd;
	(void)what;
	t->armed_us = 0;
	if (!t->due_us)
		return;
	now_us = loop_now_us(t->loop);
	if (now_us < t->due_us) {
		timer_arm(t, now_us);
		return;
	}
	t->due_us = 0;
	t->on_time(t->arg);
}

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*on_time)(void *arg), void *arg)
{
	*t = (struct loop_timer){.loop = loop, .on_time = on_time, .arg = arg};
	must(event_assign(&t->event, loop->base, -1, 0, on_timer, t) == 0);
}

void loop_timer_fini(struct loop_timer *t)
{
	(void)event_del(&t->event);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *arg), void *arg)
{
	struct loop_timer *t = must_alloc(sizeof *t);

	loop_timer_init(t, loop, on_time, arg);
	return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t after_us)
{
	uint64_t now_us = loop_now_us(t->loop);

	if (__builtin_add_overflow(now_us, after_us, &t->due_us))
		t->due_us = UINT64_MAX;
	if (t->armed_us && t->armed_us <= t->due_us)
		return; /* fires early and arms itself anew */
	timer_arm(t, now_us);
}

void loop_timer_clear(struct loop_timer *t)
{
	t->due_us = 0;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_fini(t);
	free(t);
}

/* --- descriptors */

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;
	unsigned flags = (what & EV_READ ? (unsigned)LOOP_READ : 0) |
			 (what & EV_WRITE ? (unsigned)LOOP_WRITE : 0);

	(void)fd;
	flags &= f->wants;
	if (flags)
		f->on_ready(f->arg, flags);
}

void loop_fd_init(struct loop_fd *f, struct loop *loop, int fd,
		  void (*on_ready)(void *arg, unsigned flags), void *arg)
{
	*f = (struct loop_fd){.loop = loop, .fd = fd, .on_ready = on_ready, .arg = arg};
	must(event_assign(&f->event, loop->base, fd, EV_PERSIST, on_fd, f) == 0);
}

void loop_fd_want(struct loop_fd *f, unsigned flags)
{
	short what = EV_PERSIST;

	if (flags == f->wants)
		return;
	if (f->wants)
		(void)event_del(&f->event);
	f->wants = flags;
	if (!flags)
		return;
	if (flags & LOOP_READ)
		what |= EV_READ;
	if (flags & LOOP_WRITE)
		what |= EV_WRITE;
	must(event_assign(&f->event, f->loop->base, f->fd, what, on_fd, f) == 0);
	must(event_add(&f->event, NULL) == 0);
}

void loop_fd_fini(struct loop_fd *f)
{
	(void)event_del(&f->event);
	f->wants = 0;
}

struct loop_fd *loop_fd_new(struct loop *loop, int fd, void (*on_ready)(void *arg, unsigned flags),
			    void *arg)
{
	struct loop_fd *f = must_alloc(sizeof *f);

	loop_fd_init(f, loop, fd, on_ready, arg);
	return f;
}

void loop_fd_free(struct loop_fd *f)
{
	if (!f)
		return;
	loop_fd_fini(f);
	free(f);
}

/* --- waking from another thread */

static void on_woken(void *arg, unsigned flags)
{
	struct loop_wake *w = arg;
	uint64_t count;

	(void)flags;
	if (read(w->fd, &count, sizeof count) < 0)
		must(errno == EAGAIN || errno == EINTR);
	/* From here on a waker writes again; what it published before is seen by on_wake. */
	(void)atomic_exchange(&w->is_pending, false);
	w->on_wake(w->arg);
}

struct loop_wake *loop_wake_new(struct loop *loop, void (*on_wake)(void *arg), void *arg)
{
	struct loop_wake *w = must_alloc(sizeof *w);

	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	must(w->fd >= 0);
	w->on_wake = on_wake;
	w->arg = arg;
	atomic_init(&w->is_pending, false);
	loop_fd_init(&w->ready, loop, w->fd, on_woken, w);
	loop_fd_want(&w->ready, LOOP_READ);
	return w;
}

void loop_wake_up(struct loop_wake *w)
{
	static const uint64_t one = 1;

	if (!atomic_exchange(&w->is_pending, true))
		must(write(w->fd, &one, sizeof one) == (ssize_t)sizeof one);
}

void loop_wake_free(struct loop_wake *w)
{
	if (!w)
		return;
	loop_fd_fini(&w->ready);
	(void)close(w->fd);
	free(w);
}

/* --- signals */

static void on_signal_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)fd;
	(void)what;
	s->on_signal(s->arg);
}

void loop_on_signal(struct loop *loop, int signal, void (*on_signal)(void *arg), void *arg)
{
	struct loop_signal *s = must_alloc(sizeof *s);

	s->on_signal = on_signal;
	s->arg = arg;
	must(event_assign(&s->event, loop->base, signal, EV_SIGNAL | EV_PERSIST, on_signal_event,
			  s) == 0);
	must(event_add(&s->event, NULL) == 0);
	list_append(&loop->signals, &s->link);
}
