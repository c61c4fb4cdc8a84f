/*
 * Sockets on their way out: see linger_close in internal.h. Nobody owns them any more; they end by
 * themselves or with the loop.
 */
#include "loop/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"

struct linger_socket {
	struct list link;
	struct loop *loop;
	struct loop_fd io;
	struct loop_timer deadline;
	int fd;
	size_t discarded;
};

static void linger_free(struct linger_socket *s)
{
	loop_fd_fini(&s->io);
	loop_timer_fini(&s->deadline);
	list_remove(&s->link);
	(void)close(s->fd);
	free(s);
}

static void linger_end(void *arg)
{
	struct linger_socket *s = arg;
	unsigned *count;

	(void)loop_lingering(s->loop, &count);
	(*count)--;
	linger_free(s);
}

/* True when the peer has closed too, or the socket is of no use any more. Adds what was thrown away to *discarded. */
static bool has_ended(struct loop *loop, int fd, size_t *discarded)
{
	ssize_t n = recv(fd, loop_scratch(loop), LOOP_SCRATCH_BYTES, MSG_DONTWAIT);

	if (n > 0)
		*discarded += (size_t)n;
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
	       *discarded > LINGER_BYTES;
}

static void on_more_input(void *arg, unsigned flags)
{
	struct linger_socket *s = arg;

	(void)flags;
	if (has_ended(s->loop, s->fd, &s->discarded))
		linger_end(s);
}

void linger_close(struct loop *loop, int fd)
{
	unsigned *count;
	struct list *lingering = loop_lingering(loop, &count);
	struct linger_socket *s;
	size_t discarded = 0;

	if (*count >= LINGER_LIMIT || shutdown(fd, SHUT_WR) < 0 ||
	    has_ended(loop, fd, &discarded)) {
		(void)close(fd);
		return;
	}
	s = must_alloc(sizeof *s);
	s->loop = loop;
	s->fd = fd;
	s->discarded = discarded;
	list_append(lingering, &s->link);
	(*count)++;
	loop_fd_init(&s->io, loop, fd, on_more_input, s);
	loop_fd_want(&s->io, LOOP_READ);
	loop_timer_init(&s->deadline, loop, linger_end, s);
	loop_timer_set(&s->deadline, LINGER_US);
}

void linger_free_all(struct list *lingering)
{
	while (!list_is_empty(lingering))
		linger_free(LIST_ENTRY(lingering->next, struct linger_socket, link));
}
