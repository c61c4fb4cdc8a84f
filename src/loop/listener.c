/*
 * Accepting. When descriptors run out, the listening socket stays readable for ever and a naive
 * loop spins; so one spare descriptor is kept, given up to accept (and let the owner turn away) one
 * connection, and taken again as soon as that is possible. With none to spare, accepting rests for
 * REST_US (test D-15).
 */
#include "loop/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/internal.h"

#define ACCEPTS_PER_TURN 8
#define REST_US		 100000u
#define UNSENT_BYTES	 (128 << 10)

struct listener {
	struct loop_fd io;
	struct loop_timer rest;
	int fd;
	int spare; /* -1: given up */
	bool is_resting;
	bool *is_gone; /* set when the listener is freed inside its own callback */
	void (*on_accept)(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last);
	void *arg;
};

static void want(struct listener *l)
{
	loop_fd_want(&l->io, l->is_resting ? 0 : LOOP_READ);
}

static void rest(struct listener *l)
{
	l->is_resting = true;
	loop_timer_set(&l->rest, REST_US);
	want(l);
}

static void on_rested(void *arg)
{
	struct listener *l = arg;

	l->is_resting = false;
	want(l);
}

/* The spare shares the listening socket: a duplicate needs no file to open, so the sandbox allows
 * it. */
static bool take_spare(struct listener *l)
{
	if (l->spare < 0)
		l->spare = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	return l->spare >= 0;
}

static int accept_one(struct listener *l, struct sockaddr_storage *peer)
{
	socklen_t n = sizeof *peer;

	return accept4(l->fd, (struct sockaddr *)peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Hands fd to the owner; false when the owner has freed the listener meanwhile. */
static bool hand_over(struct listener *l, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	bool is_gone = false;

	l->is_gone = &is_gone;
	l->on_accept(l->arg, fd, peer, is_last);
	if (is_gone)
		return false;
	l->is_gone = NULL;
	return true;
}

/* No descriptors left: accepts with the spare one. */
static void accept_last(struct listener *l)
{
	struct sockaddr_storage peer = {0};
	int fd;

	if (l->spare >= 0) {
		(void)close(l->spare);
		l->spare = -1;
		fd = accept_one(l, &peer);
		if (fd >= 0 && !hand_over(l, fd, &peer, true))
			return;
	}
	if (!take_spare(l))
		rest(l);
}

static void on_acceptable(void *arg, unsigned flags)
{
	struct listener *l = arg;

	(void)flags;
	for (int i = 0; i < ACCEPTS_PER_TURN && !l->is_resting; i++) {
		struct sockaddr_storage peer = {0};
		int fd = accept_one(l, &peer);

		if (fd >= 0) {
			bool is_last = !take_spare(l);

			if (!hand_over(l, fd, &peer, is_last))
				return;
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			accept_last(l);
			return;
		}
		if (errno == ENOBUFS || errno == ENOMEM)
			rest(l);
		if (errno == EAGAIN)
			return;
	}
}

struct listener *listener_new(struct loop *loop, int fd,
			      void (*on_accept)(void *arg, int fd,
						const struct sockaddr_storage *peer, bool is_last),
			      void *arg)
{
	struct listener *l = must_alloc(sizeof *l);
	int flags = fcntl(fd, F_GETFL);

	must(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
	/* Accepted sockets inherit it; a Unix socket has none, and needs none. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	/* Else the kernel keeps megabytes for each client that does not read. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_BYTES}, sizeof(int));
	l->fd = fd;
	l->spare = -1;
	l->on_accept = on_accept;
	l->arg = arg;
	(void)take_spare(l);
	loop_timer_init(&l->rest, loop, on_rested, l);
	loop_fd_init(&l->io, loop, fd, on_acceptable, l);
	want(l);
	return l;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	if (l->is_gone)
		*l->is_gone = true;
	loop_fd_fini(&l->io);
	loop_timer_fini(&l->rest);
	if (l->spare >= 0)
		(void)close(l->spare);
	(void)close(l->fd);
	free(l);
}
