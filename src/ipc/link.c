/*
 * Links between roles, and between a role and the supervisor. Any process with a loop.
 *
 * Relies on: SOCK_SEQPACKET keeps packets whole and in order, and says MSG_TRUNC when one was
 * larger than the buffer. One turn of the loop reads at most READS_PER_TURN frames, so that a busy
 * peer starves nobody.
 *
 *   K1  A frame that is not well formed, or carries more than one descriptor, ends the link.
 *   K2  A descriptor nobody took in on_message is closed.
 *   K3  After a failed send nothing more is sent; the end of the link is told by the reading side
 * alone, after all that the peer had sent before was given out.
 */
#include "ipc/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/must.h"
#include "ipc/stream_frame.h"
#include "loop/loop.h"
#include "say/say.h"

#define LINK_MAGIC     0x70694648u /* "HFip" */
#define HEAD_BYTES     16
#define READS_PER_TURN 64

struct frame {
	struct list at;
	int fd;
	size_t n;
	unsigned char bytes[];
};

struct link {
	int fd;
	int came_fd; /* with the message being given out; -1 */
	struct loop_fd *ready;
	const struct link_ops *ops;
	void *arg;
	struct list frames;
	size_t queued;
	bool is_giving; /* a callback runs: freeing waits for its return */
	bool is_gone;	/* link_close was called meanwhile */
	bool is_broken; /* K3 */
};

static _Atomic uint64_t malformed;

uint64_t link_malformed(void)
{
	return malformed;
}

static void drop_frames(struct link *l)
{
	struct list *first;

	while ((first = list_shift(&l->frames))) {
		struct frame *f = LIST_ENTRY(first, struct frame, at);

		if (f->fd >= 0)
			(void)close(f->fd);
		free(f);
	}
	l->queued = 0;
}

static void link_free(struct link *l)
{
	loop_fd_free(l->ready);
	(void)close(l->fd);
	drop_frames(l);
	free(l);
}

/* Tells the owner once, then frees. */
static void link_end(struct link *l)
{
	l->is_giving = true;
	if (!l->is_gone)
		l->ops->on_closed(l->arg, l);
	link_free(l);
}

/* ---- sending */

static void put_head(unsigned char *p, unsigned type, size_t body_n)
{
	put_u32(p, LINK_MAGIC);
	p[4] = LINK_VERSION;
	p[5] = 0;
	put_u16(p + 6, (uint16_t)type);
	put_u32(p + 8, (uint32_t)body_n);
	put_u32(p + 12, 0);
}

/* True when the kernel has the whole packet; else errno. */
static bool packet_send(int to, struct iovec *parts, size_t parts_n, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = parts_n};

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	for (;;) {
		if (sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return true;
		if (errno != EINTR)
			return false;
	}
}

static bool is_full(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == ENOMEM || err == ETOOMANYREFS;
}

static void frames_flush(struct link *l)
{
	while (!list_is_empty(&l->frames)) {
		struct frame *f = LIST_ENTRY(l->frames.next, struct frame, at);
		struct iovec part = {f->bytes, f->n};

		if (!packet_send(l->fd, &part, 1, f->fd)) {
			if (is_full(errno))
				return;
			l->is_broken = true;
			drop_frames(l);
			return;
		}
		list_remove(&f->at);
		l->queued -= f->n;
		if (f->fd >= 0)
			(void)close(f->fd);
		free(f);
	}
}

static enum rc frame_queue(struct link *l, const unsigned char *head, struct span body, int fd)
{
	size_t n = HEAD_BYTES + body.n;
	struct frame *f;

	if (n > LINK_QUEUE_LIMIT_BYTES - l->queued)
		return LATER;
	f = must_alloc(sizeof *f + n);
	f->fd = -1;
	if (fd >= 0) {
		f->fd = dup(fd);
		if (f->fd < 0) {
			free(f);
			return LATER;
		}
	}
	f->n = n;
	memcpy(f->bytes, head, HEAD_BYTES);
	if (body.n)
		memcpy(f->bytes + HEAD_BYTES, body.p, body.n);
	list_append(&l->frames, &f->at);
	l->queued += n;
	loop_fd_want(l->ready, LOOP_READ | LOOP_WRITE);
	return OK;
}

enum rc link_send_fd(struct link *l, unsigned type, struct span body, int fd)
{
	unsigned char head[HEAD_BYTES];
	struct iovec parts[2] = {{head, sizeof head}, {(void *)(uintptr_t)body.p, body.n}};

	must(type <= UINT16_MAX);
	if (body.n > LINK_BODY_LIMIT_BYTES)
		return REFUSED;
	if (l->is_broken || l->is_gone)
		return LATER;
	put_head(head, type, body.n);
	if (list_is_empty(&l->frames)) {
		if (packet_send(l->fd, parts, body.n ? 2 : 1, fd))
			return OK;
		if (errno == EMSGSIZE)
			return REFUSED;
		if (!is_full(errno)) {
			l->is_broken = true;
			return LATER;
		}
	}
	return frame_queue(l, head, body, fd);
}

enum rc link_send(struct link *l, unsigned type, struct span body)
{
	return link_send_fd(l, type, body, -1);
}

size_t link_queued(const struct link *l)
{
	return l->queued;
}

/* ---- receiving */

/* The one descriptor that came along in *out, or -1. False when there was more to it (all are
 * closed then). */
static bool take_descriptors(struct msghdr *m, int *out)
{
	int fds[8];
	size_t n = 0;

	*out = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		must(bytes <= sizeof fds);
		memcpy(fds, CMSG_DATA(c), bytes);
		n = bytes / sizeof *fds;
	}
	if (n <= 1 && !(m->msg_flags & MSG_CTRUNC)) {
		if (n == 1)
			*out = fds[0];
		return true;
	}
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
	return false;
}

/* False: the link is to end. */
static bool give(struct link *l, struct span packet)
{
	struct fault why = {0};
	struct span body;
	unsigned type;
	size_t used;

	if (packet.n > LINK_FRAME_LIMIT_BYTES ||
	    stream_frame_take(packet, &type, &body, &used, &why) != OK || used != packet.n) {
		malformed++;
		say(SAY_WARNING, "link.malformed", "bytes", SAY_U64(packet.n), "why",
		    SAY_STR(why.text), NULL);
		return false;
	}
	if (l->ops->on_message(l->arg, l, type, body))
		return !l->is_gone;
	if (!l->is_gone) {
		malformed++;
		say(SAY_WARNING, "link.refused", "type", SAY_U64(type), NULL);
	}
	return false;
}

static bool receive_one(struct link *l, bool *out_is_empty)
{
	/* One for all links of the thread: it is read and given out without another turn of the
	 * loop between. */
	static _Thread_local unsigned char bytes[LINK_FRAME_LIMIT_BYTES + 1];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec part = {bytes, sizeof bytes};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof control.bytes};
	ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool goes_on;

	*out_is_empty = n < 0 && (errno == EAGAIN || errno == EINTR);
	if (n < 0)
		return *out_is_empty;
	goes_on = take_descriptors(&m, &l->came_fd);
	if (n == 0)
		goes_on = false; /* the end; an empty packet is none of ours either */
	else if (goes_on)
		goes_on = give(l, span_of(bytes, m.msg_flags & MSG_TRUNC ? 0 : (size_t)n));
	if (l->came_fd >= 0)
		(void)close(l->came_fd);
	l->came_fd = -1;
	return goes_on;
}

int link_take_fd(struct link *l)
{
	int fd = l->came_fd;

	l->came_fd = -1;
	return fd;
}

static void on_ready(void *arg, unsigned flags)
{
	struct link *l = arg;
	bool goes_on = true, is_empty = false;

	l->is_giving = true;
	if (flags & LOOP_WRITE) {
		frames_flush(l);
		if (list_is_empty(&l->frames)) {
			loop_fd_want(l->ready, LOOP_READ);
			if (l->ops->on_writable && !l->is_broken)
				l->ops->on_writable(l->arg, l);
		}
	}
	for (int i = 0; i < READS_PER_TURN && goes_on && !is_empty && !l->is_gone; i++)
		goes_on = receive_one(l, &is_empty);
	l->is_giving = false;
	if (!goes_on || l->is_gone)
		link_end(l);
}

/* ---- life */

struct link *link_new(struct loop *loop, int fd, const struct link_ops *ops, void *arg)
{
	struct link *l = must_alloc(sizeof *l);

	must(fd >= 0);
	l->fd = fd;
	l->came_fd = -1;
	l->ops = ops;
	l->arg = arg;
	list_init(&l->frames);
	l->ready = loop_fd_new(loop, fd, on_ready, l);
	loop_fd_want(l->ready, LOOP_READ);
	return l;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	if (l->is_giving) {
		l->is_gone = true;
		return;
	}
	link_free(l);
}
