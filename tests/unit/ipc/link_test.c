#include "base/bytes.h"
#include "ipc/link.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NUMBERED = 500 };

struct side {
	struct loop *loop;
	struct link *link;
	unsigned messages, closed, writable;
	unsigned last_type;
	size_t last_n;
	uint32_t expected; /* NUMBERED messages come in order */
	int fd;
	bool refuses, closes_itself, takes_fd;
	unsigned stop_after;
};

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct side *s = arg;

	s->messages++;
	s->last_type = type;
	s->last_n = body.n;
	if (type == NUMBERED) {
		assert_int_equal(get_u32(body.p), s->expected);
		s->expected++;
	}
	if (s->takes_fd)
		s->fd = link_take_fd(l);
	if (s->closes_itself) {
		link_close(l);
		s->link = NULL;
		loop_stop(s->loop);
	}
	if (s->stop_after == s->messages)
		loop_stop(s->loop);
	return !s->refuses;
}

static void on_closed(void *arg, struct link *l)
{
	struct side *s = arg;

	assert_ptr_equal(l, s->link);
	s->link = NULL;
	s->closed++;
	loop_stop(s->loop);
}

static void on_writable(void *arg, struct link *l)
{
	struct side *s = arg;

	assert_int_equal(link_queued(l), 0);
	s->writable++;
}

static const struct link_ops ops = {on_message, on_closed, on_writable};

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
}

/* One side with a link, the other a bare descriptor. */
static int open_one(struct side *s)
{
	int fds[2];

	pair(fds);
	*s = (struct side){.loop = loop_new(), .fd = -1};
	s->link = link_new(s->loop, fds[0], &ops, s);
	return fds[1];
}

static void close_one(struct side *s, int other)
{
	link_close(s->link);
	loop_free(s->loop);
	if (other >= 0)
		(void)close(other);
}

static void what_was_sent_arrives_in_order_and_the_queue_drains(void **state)
{
	struct side a = {0}, b = {0};
	static unsigned char body[20000];
	int fds[2];
	unsigned n = 0;

	(void)state;
	pair(fds);
	a.loop = b.loop = loop_new();
	a.link = link_new(a.loop, fds[0], &ops, &a);
	b.link = link_new(a.loop, fds[1], &ops, &b);
	while (link_queued(a.link) < 1 << 20) {
		put_u32(body, n++);
		assert_int_equal(link_send(a.link, NUMBERED, span_of(body, sizeof body)), OK);
	}
	b.stop_after = n;
	loop_run(a.loop);
	assert_int_equal(b.messages, n);
	assert_int_equal(b.last_n, sizeof body);
	assert_int_equal(link_queued(a.link), 0);
	assert_int_equal(link_send(a.link, 3, SPAN_NONE), OK);
	b.stop_after = n + 1;
	loop_run(a.loop);
	assert_int_equal(b.last_type, 3);
	assert_int_equal(a.writable, 1);
	link_close(a.link);
	a.link = NULL;
	loop_run(a.loop);
	assert_int_equal(b.closed, 1);
	loop_free(a.loop);
}

static void sending_never_blocks_and_the_queue_is_bounded(void **state)
{
	static unsigned char body[LINK_BODY_LIMIT_BYTES + 1];
	struct side a;
	int other = open_one(&a);
	enum rc rc = OK;

	(void)state;
	assert_int_equal(link_send(a.link, 1, span_of(body, sizeof body)), REFUSED);
	for (int i = 0; i < 100 && rc == OK; i++)
		rc = link_send(a.link, 1, span_of(body, sizeof body - 1));
	assert_int_equal(rc, LATER);
	assert_in_range(link_queued(a.link), LINK_QUEUE_LIMIT_BYTES - LINK_FRAME_LIMIT_BYTES,
			LINK_QUEUE_LIMIT_BYTES);
	close_one(&a, other);
}

static size_t make_frame(unsigned char *p, size_t body_n)
{
	put_u32(p, 0x70694648);
	p[4] = LINK_VERSION;
	p[5] = 0;
	put_u16(p + 6, 7);
	put_u32(p + 8, (uint32_t)body_n);
	put_u32(p + 12, 0);
	memset(p + 16, 'x', body_n);
	return 16 + body_n;
}

static void a_frame_that_is_not_well_formed_ends_the_link(void **state)
{
	static const struct {
		const char *name;
		size_t body_n, at; /* byte `at` is changed */
		unsigned char value;
		size_t send_n; /* 0: all */
		bool good;
	} rows[] = {
		{"good", 5, 0, 'H', 0, true},
		{"good and empty", 0, 0, 'H', 0, true},
		{"magic", 5, 3, 'q', 0, false},
		{"version", 5, 4, 2, 0, false},
		{"first reserved byte", 5, 5, 1, 0, false},
		{"second reserved field", 5, 15, 1, 0, false},
		{"length too long", 5, 8, 6, 0, false},
		{"length too short", 5, 8, 4, 0, false},
		{"length of four gigabytes", 5, 11, 255, 0, false},
		{"half a head", 5, 0, 'H', 9, false},
		{"one byte", 5, 0, 'H', 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned char frame[64];
		uint64_t before = link_malformed();
		struct side a;
		int other = open_one(&a);
		size_t n = make_frame(frame, rows[i].body_n);

		frame[rows[i].at] = rows[i].value;
		a.stop_after = 1;
		n = rows[i].send_n ? rows[i].send_n : n;
		assert_int_equal(send(other, frame, n, 0), n);
		loop_run(a.loop);
		assert_int_equal(a.messages, rows[i].good);
		assert_int_equal(a.closed, !rows[i].good);
		assert_int_equal(link_malformed() - before, !rows[i].good);
		close_one(&a, other);
	}
}

static void a_packet_larger_than_a_frame_ends_the_link(void **state)
{
	static unsigned char frame[LINK_FRAME_LIMIT_BYTES + 1];
	struct side a;
	int other = open_one(&a);

	(void)state;
	(void)make_frame(frame, sizeof frame - 16);
	assert_int_equal(send(other, frame, sizeof frame, 0), sizeof frame);
	loop_run(a.loop);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.messages, 0);
	close_one(&a, other);
}

static void a_message_the_owner_refuses_ends_the_link(void **state)
{
	unsigned char frame[64];
	struct side a;
	int other = open_one(&a);

	(void)state;
	a.refuses = true;
	assert_true(send(other, frame, make_frame(frame, 1), 0) > 0);
	assert_true(send(other, frame, make_frame(frame, 1), 0) > 0);
	loop_run(a.loop);
	assert_int_equal(a.messages, 1);
	assert_int_equal(a.closed, 1);
	close_one(&a, other);
}

static void a_link_may_be_closed_inside_its_callback(void **state)
{
	unsigned char frame[64];
	struct side a;
	int other = open_one(&a);

	(void)state;
	a.closes_itself = true;
	assert_true(send(other, frame, make_frame(frame, 1), 0) > 0);
	assert_true(send(other, frame, make_frame(frame, 1), 0) > 0);
	loop_run(a.loop);
	assert_int_equal(a.messages, 1);
	assert_int_equal(a.closed, 0);
	close_one(&a, other);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_descriptor_travels_and_one_not_taken_is_closed(void **state)
{
	struct side a = {0}, b = {0};
	int fds[2], before;

	(void)state;
	pair(fds);
	a.loop = b.loop = loop_new();
	a.link = link_new(a.loop, fds[0], &ops, &a);
	b.link = link_new(a.loop, fds[1], &ops, &b);
	before = count_fds();
	b.stop_after = 1;
	assert_int_equal(link_send_fd(a.link, 4, SPAN_NONE, STDIN_FILENO), OK);
	loop_run(a.loop);
	assert_int_equal(count_fds(), before);
	b.takes_fd = true;
	b.stop_after = 2;
	assert_int_equal(link_send_fd(a.link, 4, SPAN_NONE, STDIN_FILENO), OK);
	loop_run(a.loop);
	assert_true(b.fd >= 0);
	assert_int_equal(count_fds(), before + 1);
	assert_int_equal(fcntl(b.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	(void)close(b.fd);
	link_close(a.link);
	link_close(b.link);
	loop_free(a.loop);
}

static void two_descriptors_with_one_frame_end_the_link(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	unsigned char frame[64];
	struct iovec part = {frame, make_frame(frame, 2)};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int two[2] = {0, 1};
	struct side a;
	int other = open_one(&a), before;

	(void)state;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof two);
	memcpy(CMSG_DATA(c), two, sizeof two);
	before = count_fds();
	assert_true(sendmsg(other, &m, 0) > 0);
	loop_run(a.loop);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.messages, 0);
	assert_int_equal(count_fds(), before - 1); /* its own */
	close_one(&a, other);
}

/* The peer wrote, then died: what it wrote is given out first; sending into the dead link does no
 * harm. */
static void the_last_words_of_a_dead_peer_arrive_before_the_end(void **state)
{
	unsigned char frame[64];
	struct side a;
	int other = open_one(&a);

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_true(send(other, frame, make_frame(frame, 1), 0) > 0);
	(void)close(other);
	assert_int_equal(link_send(a.link, 1, SPAN_NONE), LATER);
	assert_int_equal(link_send(a.link, 1, SPAN_NONE), LATER);
	loop_run(a.loop);
	assert_int_equal(a.messages, 200);
	assert_int_equal(a.closed, 1);
	close_one(&a, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_arrives_in_order_and_the_queue_drains),
		cmocka_unit_test(sending_never_blocks_and_the_queue_is_bounded),
		cmocka_unit_test(a_frame_that_is_not_well_formed_ends_the_link),
		cmocka_unit_test(a_packet_larger_than_a_frame_ends_the_link),
		cmocka_unit_test(a_message_the_owner_refuses_ends_the_link),
		cmocka_unit_test(a_link_may_be_closed_inside_its_callback),
		cmocka_unit_test(a_descriptor_travels_and_one_not_taken_is_closed),
		cmocka_unit_test(two_descriptors_with_one_frame_end_the_link),
		cmocka_unit_test(the_last_words_of_a_dead_peer_arrive_before_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
