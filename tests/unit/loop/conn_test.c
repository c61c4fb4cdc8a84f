/* Connections on socket pairs and real loopback; C1-C5 are the invariants of conn.h. */
#include "loop/conn.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/loop.h"

struct side {
	struct loop *loop;
	struct conn *c;
	struct buf got;
	size_t offered_most;
	unsigned opened, drained, deadlines, closed;
	enum rc rc;
	struct fault why;
	/* What the test wants to happen: */
	bool is_line_wise; /* consume whole lines only */
	bool stop_when_closed;
	size_t stop_at_bytes; /* of got */
	size_t send_in_all;   /* by pieces, as it drains */
	size_t sent;
	void (*on_each)(struct side *s);
};

static size_t whole_lines(struct span bytes)
{
	return (size_t)(span_rchr(bytes, '\n') + 1);
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct side *s = arg;
	size_t n = s->is_line_wise ? whole_lines(bytes) : bytes.n;

	assert_ptr_equal(c, s->c);
	if (bytes.n > s->offered_most)
		s->offered_most = bytes.n;
	(void)buf_append(&s->got, span_first(bytes, n));
	if (s->on_each)
		s->on_each(s);
	if (s->stop_at_bytes && s->got.n >= s->stop_at_bytes)
		loop_stop(s->loop);
	return n;
}

static void on_open(void *arg, struct conn *c)
{
	struct side *s = arg;

	(void)c;
	s->opened++;
}

static void send_piece(struct side *s)
{
	static const unsigned char zeros[50000];
	size_t n = s->send_in_all - s->sent;

	if (n > sizeof zeros)
		n = sizeof zeros;
	s->sent += n;
	conn_send(s->c, span_of(zeros, n));
}

static void on_drained(void *arg, struct conn *c)
{
	struct side *s = arg;

	s->drained++;
	assert_int_equal(conn_unsent(c), 0);
	if (s->sent < s->send_in_all)
		send_piece(s);
}

static void on_deadline(void *arg, struct conn *c)
{
	struct side *s = arg;

	s->deadlines++;
	conn_send(c, SPAN_LIT("too late\r\n"));
	conn_close(c);
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct side *s = arg;

	assert_ptr_equal(c, s->c);
	s->closed++;
	s->rc = rc;
	s->why = *why;
	s->c = NULL;
	conn_send(c, SPAN_LIT("nobody hears this")); /* harmless, C1 */
	if (s->stop_when_closed)
		loop_stop(s->loop);
}

static const struct conn_ops ops = {.on_bytes = on_bytes,
				    .on_open = on_open,
				    .on_drained = on_drained,
				    .on_deadline = on_deadline,
				    .on_closed = on_closed};

static void side_open(struct side *s, struct loop *loop, int fd)
{
	s->loop = loop;
	s->c = conn_accept(loop, fd, &ops, s);
}

static void pair_open(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

/* Runs the loop until all that is ready now has been handled. */
static void run_ready(struct loop *loop)
{
	struct loop_timer *t = loop_timer_new(loop, (void (*)(void *))loop_stop, loop);

	loop_timer_set(t, 5000);
	loop_run(loop);
	loop_timer_free(t);
}

static void side_end(struct side *s)
{
	if (s->c) {
		s->stop_when_closed = true;
		conn_abort(s->c);
		loop_run(s->loop);
	}
	assert_int_equal(s->closed, 1);
	buf_fini(&s->got);
}

static void bytes_one_by_one_are_offered_with_what_was_left(void **state)
{
	static const char text[] = "first\r\nsecond\r\n";
	struct loop *loop = loop_new();
	struct side s = {.is_line_wise = true};
	int pair[2];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	for (size_t i = 0; i < sizeof text - 1; i++) {
		assert_int_equal(write(pair[1], text + i, 1), 1);
		run_ready(loop);
		if (i == 6)
			assert_true(span_eq(buf_span(&s.got), SPAN_LIT("first\r\n")));
	}
	assert_true(span_eq(buf_span(&s.got), span_str(text)));
	assert_int_equal(s.offered_most, 8); /* "second\r\n": all that was unconsumed */
	(void)close(pair[1]);
	s.stop_when_closed = true;
	loop_run(loop);
	assert_int_equal(s.rc, OK);
	assert_string_equal(s.why.text, "");
	side_end(&s);
	loop_free(loop);
}

static void say_two(struct side *s)
{
	conn_send(s->c, SPAN_LIT("250-one\r\n"));
	conn_send(s->c, SPAN_LIT("250 two\r\n"));
}

static void c2_replies_of_one_callback_are_one_write(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {.on_each = say_two};
	int pair[2];
	char got[64];

	(void)state;
	/* Packets keep their borders, so a packet socket shows what one write was. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	side_open(&s, loop, pair[0]);
	assert_int_equal(write(pair[1], "x", 1), 1);
	run_ready(loop);
	assert_int_equal(read(pair[1], got, sizeof got), 18);
	assert_memory_equal(got, "250-one\r\n250 two\r\n", 18);

	say_two(&s); /* and from outside a callback of its own */
	assert_int_equal(conn_unsent(s.c), 18);
	run_ready(loop);
	assert_int_equal(read(pair[1], got, sizeof got), 18);
	assert_int_equal(s.drained, 2);
	side_end(&s);
	(void)close(pair[1]);
	loop_free(loop);
}

static void big_output_waits_for_a_slow_reader(void **state)
{
	struct loop *loop = loop_new();
	struct side out = {.send_in_all = 20u << 20};
	struct side in = {.stop_at_bytes = 20u << 20};
	int pair[2];

	(void)state;
	pair_open(pair);
	side_open(&out, loop, pair[0]);
	send_piece(&out);
	run_ready(loop); /* nobody reads: the kernel is full */
	assert_true(conn_unsent(out.c) > 0);
	assert_true(out.sent < (2u << 20));
	side_open(&in, loop, pair[1]);
	loop_run(loop);
	assert_int_equal(in.got.n, 20u << 20);
	assert_true(in.offered_most <= CONN_IN_LIMIT_BYTES);
	side_end(&out);
	side_end(&in);
	loop_free(loop);
}

static void c2_a_peer_that_does_not_read_is_dropped(void **state)
{
	static unsigned char block[1u << 20];
	struct loop *loop = loop_new();
	struct side s = {.stop_when_closed = true};
	int pair[2];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	for (int i = 0; i < 6; i++)
		conn_send(s.c, span_of(block, sizeof block));
	loop_run(loop);
	assert_int_equal(s.rc, LATER);
	assert_string_equal(s.why.text, "the peer does not read what we send");
	(void)close(pair[1]);
	side_end(&s);
	loop_free(loop);
}

static void pause_keeps_input_and_resume_offers_it(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {0};
	int pair[2];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	conn_pause(s.c);
	assert_int_equal(write(pair[1], "late", 4), 4);
	(void)close(pair[1]); /* the end must not overtake what came before */
	run_ready(loop);
	assert_int_equal(s.got.n, 0);
	assert_int_equal(s.closed, 0);
	s.stop_when_closed = true;
	conn_resume(s.c);
	assert_int_equal(s.got.n, 0); /* from the loop, not from inside */
	loop_run(loop);
	assert_true(span_eq(buf_span(&s.got), SPAN_LIT("late")));
	assert_int_equal(s.rc, OK);
	side_end(&s);
	loop_free(loop);
}

static void pause_once(struct side *s)
{
	conn_pause(s->c);
	s->on_each = NULL;
}

static void pause_inside_on_bytes_leaves_the_rest_for_later(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {.is_line_wise = true, .on_each = pause_once};
	int pair[2];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	assert_int_equal(write(pair[1], "a\r\nb", 4), 4);
	run_ready(loop);
	assert_int_equal(write(pair[1], "\r\n", 2), 2);
	run_ready(loop);
	assert_true(span_eq(buf_span(&s.got), SPAN_LIT("a\r\n")));
	conn_resume(s.c);
	run_ready(loop);
	assert_true(span_eq(buf_span(&s.got), SPAN_LIT("a\r\nb\r\n")));
	side_end(&s);
	(void)close(pair[1]);
	loop_free(loop);
}

static void close_itself(struct side *s)
{
	conn_send(s->c, SPAN_LIT("221 bye\r\n"));
	conn_close(s->c);
	conn_send(s->c, SPAN_LIT("not after close"));
}

static void c1_close_writes_what_is_queued_and_ends_once(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {.on_each = close_itself, .stop_when_closed = true, .is_line_wise = true};
	int pair[2];
	char got[64];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	assert_int_equal(write(pair[1], "QUIT\r\nmore\r\nrest", 16), 16);
	loop_run(loop);
	assert_int_equal(s.rc, OK);
	assert_int_equal(read(pair[1], got, sizeof got), 9);
	assert_memory_equal(got, "221 bye\r\n", 9);
	assert_int_equal(read(pair[1], got, sizeof got), 0);
	side_end(&s);
	(void)close(pair[1]);
	loop_free(loop);
}

static void c1_abort_inside_on_bytes_ends_once_and_writes_nothing(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {.stop_when_closed = true};
	int pair[2];
	char got[64];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	conn_send(s.c, SPAN_LIT("lost"));
	conn_abort(s.c);
	conn_abort(s.c);
	conn_close(s.c);
	assert_int_equal(s.closed, 0); /* not from inside the call */
	loop_run(loop);
	assert_int_equal(s.rc, OK);
	assert_int_equal(read(pair[1], got, sizeof got), 0);
	side_end(&s);
	(void)close(pair[1]);
	loop_free(loop);
}

static void c5_deadline_calls_once_and_can_be_pushed_back(void **state)
{
	struct loop *loop = loop_new();
	struct side s = {.stop_when_closed = true};
	uint64_t begin_us = loop_now_us(loop);
	int pair[2];
	char got[64];

	(void)state;
	pair_open(pair);
	side_open(&s, loop, pair[0]);
	conn_deadline(s.c, 10000);
	conn_deadline(s.c, 30000);
	loop_run(loop);
	assert_int_equal(s.deadlines, 1);
	assert_true(loop_now_us(loop) >= begin_us + 30000);
	assert_int_equal(s.rc, OK);
	assert_int_equal(read(pair[1], got, sizeof got), 10);
	assert_memory_equal(got, "too late\r\n", 10);
	side_end(&s);
	(void)close(pair[1]);
	loop_free(loop);
}

/* --- over TCP */

static int listen_on_loopback(struct sockaddr_in *out)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *out;

	*out = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)out, sizeof *out), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)out, &n), 0);
	return fd;
}

struct acceptor {
	struct loop *loop;
	struct side *sides;
	unsigned n, last_n;
	unsigned stop_at;
};

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	struct acceptor *a = arg;

	assert_int_equal(peer->ss_family, AF_INET);
	if (is_last) {
		a->last_n++;
		assert_int_equal(write(fd, "421 busy\r\n", 10), 10);
		(void)close(fd);
	} else {
		side_open(&a->sides[a->n++], a->loop, fd);
	}
	if (a->n + a->last_n >= a->stop_at)
		loop_stop(a->loop);
}

static void connects_talks_and_knows_its_peer(void **state)
{
	struct loop *loop = loop_new();
	struct side served = {.on_each = say_two};
	struct side client = {.loop = loop, .stop_at_bytes = 18};
	struct acceptor a = {.loop = loop, .sides = &served, .stop_at = 99};
	struct sockaddr_in at;
	struct listener *l = listener_new(loop, listen_on_loopback(&at), on_accept, &a);
	struct sockaddr_storage proxied = {.ss_family = AF_INET6};

	(void)state;
	client.c = conn_connect(loop, (struct sockaddr *)&at, sizeof at, &ops, &client);
	conn_send(client.c, SPAN_LIT("hello")); /* goes when the connection is there */
	loop_run(loop);
	assert_int_equal(client.opened, 1);
	assert_int_equal(a.n, 1);
	assert_string_equal(conn_peer_text(client.c), "127.0.0.1");
	assert_int_equal(conn_peer_port(client.c), ntohs(at.sin_port));
	assert_string_equal(conn_peer_text(served.c), "127.0.0.1");

	assert_int_equal(
		inet_pton(AF_INET6, "2001:db8::1", &((struct sockaddr_in6 *)&proxied)->sin6_addr),
		1);
	conn_set_peer(served.c, &proxied);
	assert_string_equal(conn_peer_text(served.c), "2001:db8::1");
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7",
				   &((struct sockaddr_in6 *)&proxied)->sin6_addr),
			 1);
	conn_set_peer(served.c, &proxied);
	assert_string_equal(conn_peer_text(served.c), "192.0.2.7");

	served.stop_when_closed = true;
	conn_close(client.c);
	loop_run(loop);
	assert_int_equal(served.rc, OK);
	listener_free(l);
	side_end(&client);
	side_end(&served);
	loop_free(loop);
}

static void connect_to_a_closed_port_is_later(void **state)
{
	struct loop *loop = loop_new();
	struct side client = {.loop = loop, .stop_when_closed = true};
	struct sockaddr_in at;

	(void)state;
	(void)close(listen_on_loopback(&at));
	client.c = conn_connect(loop, (struct sockaddr *)&at, sizeof at, &ops, &client);
	loop_run(loop);
	assert_int_equal(client.opened, 0);
	assert_int_equal(client.rc, LATER);
	assert_string_equal(client.why.text, "connect: Connection refused");
	side_end(&client);
	loop_free(loop);
}

static void reset_is_later(void **state)
{
	struct loop *loop = loop_new();
	struct side served = {.stop_when_closed = true};
	struct acceptor a = {.loop = loop, .sides = &served, .stop_at = 1};
	struct linger hard = {.l_onoff = 1};
	struct sockaddr_in at;
	struct listener *l = listener_new(loop, listen_on_loopback(&at), on_accept, &a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	loop_run(loop);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	(void)close(fd);
	loop_run(loop);
	assert_int_equal(served.rc, LATER);
	listener_free(l);
	side_end(&served);
	loop_free(loop);
}

static void refuse(struct side *s)
{
	conn_send(s->c, SPAN_LIT("554 go away\r\n"));
	conn_close(s->c);
}

static void last_words_survive_unread_input(void **state)
{
	static char much[200000];
	struct loop *loop = loop_new();
	struct side served = {.on_each = refuse, .stop_when_closed = true};
	struct acceptor a = {.loop = loop, .sides = &served, .stop_at = 99};
	struct sockaddr_in at;
	struct listener *l = listener_new(loop, listen_on_loopback(&at), on_accept, &a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char got[64];

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(send(fd, much, sizeof much, 0), sizeof much);
	loop_run(loop);
	assert_int_equal(served.rc, OK);
	assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), 13); /* and no ECONNRESET */
	assert_memory_equal(got, "554 go away\r\n", 13);
	(void)close(fd);
	listener_free(l);
	side_end(&served);
	loop_free(loop);
}

#define MANY 80

/* D-15: RLIMIT_NOFILE is reached; the rest hear 421, nothing spins, and all recovers. */
static void d_15_out_of_descriptors_says_421_and_recovers(void **state)
{
	static struct side sides[MANY];
	struct loop *loop = loop_new();
	struct acceptor a = {.loop = loop, .sides = sides, .stop_at = MANY};
	struct sockaddr_in at;
	struct listener *l;
	struct rlimit was, few;
	int fds[MANY];
	int lowest_free;
	char got[64];

	(void)state;
	l = listener_new(loop, listen_on_loopback(&at), on_accept, &a);
	for (int i = 0; i < MANY; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	lowest_free = dup(fds[0]);
	(void)close(lowest_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){.rlim_cur = (rlim_t)lowest_free + 10, .rlim_max = was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < MANY; i++) {
		assert_true(connect(fds[i], (struct sockaddr *)&at, sizeof at) == 0 ||
			    errno == EINPROGRESS);
		if (i % 8 == 7)
			run_ready(loop); /* the backlog is 16 */
	}
	while (a.n + a.last_n < MANY)
		loop_run(loop);
	assert_int_equal(a.n, 10);
	assert_int_equal(a.last_n, MANY - 10);
	assert_int_equal(recv(fds[MANY - 1], got, sizeof got, 0), 10);
	assert_memory_equal(got, "421 busy\r\n", 10);

	/* Room again: the next is served. */
	sides[0].stop_when_closed = sides[1].stop_when_closed = true;
	conn_abort(sides[0].c);
	loop_run(loop);
	conn_abort(sides[1].c);
	loop_run(loop);
	(void)close(fds[0]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&at, sizeof at), 0);
	a.stop_at = MANY + 1;
	loop_run(loop);
	assert_int_equal(a.n, 11);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	listener_free(l);
	for (unsigned i = 0; i < a.n; i++)
		side_end(&sides[i]);
	for (int i = 0; i < MANY; i++)
		(void)close(fds[i]);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_one_by_one_are_offered_with_what_was_left),
		cmocka_unit_test(c2_replies_of_one_callback_are_one_write),
		cmocka_unit_test(big_output_waits_for_a_slow_reader),
		cmocka_unit_test(c2_a_peer_that_does_not_read_is_dropped),
		cmocka_unit_test(pause_keeps_input_and_resume_offers_it),
		cmocka_unit_test(pause_inside_on_bytes_leaves_the_rest_for_later),
		cmocka_unit_test(c1_close_writes_what_is_queued_and_ends_once),
		cmocka_unit_test(c1_abort_inside_on_bytes_ends_once_and_writes_nothing),
		cmocka_unit_test(c5_deadline_calls_once_and_can_be_pushed_back),
		cmocka_unit_test(connects_talks_and_knows_its_peer),
		cmocka_unit_test(connect_to_a_closed_port_is_later),
		cmocka_unit_test(reset_is_later),
		cmocka_unit_test(last_words_survive_unread_input),
		cmocka_unit_test(d_15_out_of_descriptors_says_421_and_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
