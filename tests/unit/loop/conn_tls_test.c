/* TLS on connections: T-01 and T-03 (C3), T-09 (C4), T-13. */
#include "loop/conn.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "loop/loop.h"
#include "tls/tls.h"

static char folder[] = "/tmp/holdfast-conn-XXXXXX";
static struct tls_context *server_context, *client_context;

static int make_contexts(void **state)
{
	(void)state;
	must(mkdtemp(folder) && chdir(folder) == 0);
	must(tls_self_signed("cert", "key", "mx.example", NULL) == OK);
	must(tls_server_new("cert", "key", "smtp", &server_context, NULL) == OK);
	must(tls_client_new(true, "cert", &client_context, NULL) == OK);
	return 0;
}

static int remove_contexts(void **state)
{
	(void)state;
	tls_context_unref(server_context);
	tls_context_unref(client_context);
	(void)remove("cert");
	(void)remove("key");
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* One end of a toy protocol: "STARTTLS" is answered "220\r\n" and TLS; other lines are kept. */
struct side {
	struct loop *loop;
	struct conn *c;
	struct buf got;
	bool is_server;
	unsigned secured, closed;
	enum rc rc;
	struct fault why;
	void (*on_secured)(struct side *s);
	size_t stop_at_bytes;
	bool stop_when_closed;
};

static size_t serve_line(struct side *s, struct span bytes)
{
	ssize_t end = span_chr(bytes, '\n');
	struct span line;

	if (end < 0)
		return 0;
	line = span_first(bytes, (size_t)end + 1);
	if (span_eq(line, SPAN_LIT("STARTTLS\r\n"))) {
		conn_send(s->c, SPAN_LIT("220\r\n"));
		conn_start_tls(s->c, server_context, true, NULL);
	} else {
		(void)buf_append(&s->got, line);
	}
	return line.n;
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct side *s = arg;
	size_t n = bytes.n;

	if (s->is_server)
		n = serve_line(s, bytes);
	else if (!conn_is_tls(c) && span_starts(bytes, SPAN_LIT("220\r\n")))
		conn_start_tls(c, client_context, false, "mx.example");
	else
		(void)buf_append(&s->got, bytes);
	if (s->stop_at_bytes && s->got.n >= s->stop_at_bytes)
		loop_stop(s->loop);
	return n;
}

static void on_secure(void *arg, struct conn *c)
{
	struct side *s = arg;

	s->secured++;
	assert_true(conn_is_tls(c));
	if (s->on_secured)
		s->on_secured(s);
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct side *s = arg;

	(void)c;
	s->closed++;
	s->rc = rc;
	s->why = *why;
	s->c = NULL;
	if (s->stop_when_closed)
		loop_stop(s->loop);
}

static const struct conn_ops ops = {
	.on_bytes = on_bytes, .on_secure = on_secure, .on_closed = on_closed};

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

static void pair_open(struct loop *loop, int pair[2], struct side *server)
{
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	server->loop = loop;
	server->is_server = true;
	server->c = conn_accept(loop, pair[0], &ops, server);
}

static void say_hello(struct side *s)
{
	assert_string_equal(conn_tls_text(s->c), "TLSv1.3 TLS_AES_256_GCM_SHA384");
	assert_true(conn_tls_verified(s->c));
	conn_send(s->c, SPAN_LIT("EHLO again\r\n"));
}

static void starttls_goes_through_and_ends_in_order(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {.stop_at_bytes = 12},
		    client = {.loop = loop, .on_secured = say_hello};
	int pair[2];

	(void)state;
	pair_open(loop, pair, &server);
	client.c = conn_accept(loop, pair[1], &ops, &client);
	conn_send(client.c, SPAN_LIT("STARTTLS\r\n"));
	loop_run(loop);
	assert_true(span_eq(buf_span(&server.got), SPAN_LIT("EHLO again\r\n")));
	assert_int_equal(server.secured, 1);
	assert_int_equal(client.secured, 1);
	assert_false(conn_tls_verified(server.c)); /* nobody asked the client for a certificate */
	server.stop_when_closed = true;
	conn_close(client.c);
	loop_run(loop);
	assert_int_equal(server.rc, OK); /* close_notify came */
	side_end(&server);
	side_end(&client);
	loop_free(loop);
}

/* T-01: what follows STARTTLS in the same segment, in whole lines or in pieces, is never seen. */
static void t_01_c3_injected_commands_are_thrown_away(void **state)
{
	static const char *const first[] = {"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<a@b>\r\n",
					    "STARTTLS\r\nEH"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct loop *loop = loop_new();
		struct side server = {.stop_at_bytes = 12},
			    client = {.loop = loop, .on_secured = say_hello};
		int pair[2];

		pair_open(loop, pair, &server);
		client.c = conn_accept(loop, pair[1], &ops, &client);
		conn_send(client.c, span_str(first[i]));
		loop_run(loop);
		assert_true(span_eq(buf_span(&server.got), SPAN_LIT("EHLO again\r\n")));
		side_end(&server);
		side_end(&client);
		loop_free(loop);
	}
}

/* T-03, the other direction: "220 go" and a forged reply in one segment. */
static void t_03_c3_a_client_forgets_what_came_before_tls(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {.stop_at_bytes = 12},
		    client = {.loop = loop, .on_secured = say_hello};
	int pair[2];

	(void)state;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	must(write(pair[0], "220\r\n250-AUTH PLAIN\r\n", 21) == 21);
	server.loop = loop;
	server.is_server = true;
	server.c = conn_accept(loop, pair[0], &ops, &server);
	conn_start_tls(server.c, server_context, true, NULL);
	client.c = conn_accept(loop, pair[1], &ops, &client);
	loop_run(loop);
	assert_int_equal(client.got.n, 0);
	assert_true(span_eq(buf_span(&server.got), SPAN_LIT("EHLO again\r\n")));
	side_end(&server);
	side_end(&client);
	loop_free(loop);
}

static void half_a_message(struct side *s)
{
	conn_send(s->c, SPAN_LIT("Subject: hello\r\n"));
}

/* T-09: FIN without close_notify. */
static void t_09_c4_a_cut_under_tls_is_broken(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {.stop_at_bytes = 16},
		    client = {.loop = loop, .on_secured = half_a_message};
	int pair[2];

	(void)state;
	pair_open(loop, pair, &server);
	client.c = conn_accept(loop, pair[1], &ops, &client);
	conn_send(client.c, SPAN_LIT("STARTTLS\r\n"));
	loop_run(loop);
	assert_int_equal(server.got.n, 16);
	server.stop_when_closed = true;
	conn_abort(client.c);
	loop_run(loop);
	assert_int_equal(server.rc, BROKEN);
	assert_true(server.why.text[0] != '\0'); /* cut off, or reset when our ticket was unread */
	side_end(&server);
	side_end(&client);
	loop_free(loop);
}

static void a_failed_handshake_is_refused(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {.stop_when_closed = true};
	int pair[2];
	char got[64];

	(void)state;
	pair_open(loop, pair, &server);
	must(write(pair[1], "STARTTLS\r\n", 10) == 10);
	while (read(pair[1], got, sizeof got) != 5) {
		struct loop_timer *t = loop_timer_new(loop, (void (*)(void *))loop_stop, loop);

		loop_timer_set(t, 1000);
		loop_run(loop);
		loop_timer_free(t);
	}
	must(write(pair[1],
		   "\x16\x03\x01\x00\x05"
		   "EHLO\r",
		   10) == 10);
	loop_run(loop);
	assert_int_equal(server.rc, REFUSED);
	assert_int_equal(server.got.n, 0);
	assert_int_equal(read(pair[1], got, sizeof got), 7); /* the alert was sent */
	assert_int_equal(got[0], 21);
	(void)close(pair[1]);
	side_end(&server);
	loop_free(loop);
}

static void an_end_inside_the_handshake_is_refused(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {.stop_when_closed = true};
	int pair[2];

	(void)state;
	pair_open(loop, pair, &server);
	must(write(pair[1], "STARTTLS\r\n", 10) == 10);
	must(shutdown(pair[1], SHUT_WR) == 0);
	loop_run(loop);
	assert_int_equal(server.rc, REFUSED);
	assert_string_equal(server.why.text, "TLS handshake: the connection was cut off");
	(void)close(pair[1]);
	side_end(&server);
	loop_free(loop);
}

#define BIG (3u << 20)

static void send_much(struct side *s)
{
	static unsigned char block[BIG];

	for (size_t i = 0; i < BIG; i++)
		block[i] = (unsigned char)(i % 251);
	conn_send(s->c, span_of(block, BIG));
	conn_close(s->c); /* all of it and close_notify still go out */
}

static void much_at_once_comes_through_before_the_end(void **state)
{
	struct loop *loop = loop_new();
	struct side server = {0}, client = {.loop = loop, .stop_when_closed = true};
	int pair[2];

	(void)state;
	pair_open(loop, pair, &server);
	server.on_secured = send_much;
	client.c = conn_accept(loop, pair[1], &ops, &client);
	conn_send(client.c, SPAN_LIT("STARTTLS\r\n"));
	loop_run(loop);
	assert_int_equal(client.rc, OK);
	assert_int_equal(client.got.n, BIG);
	for (size_t i = 0; i < BIG; i++)
		must(client.got.p[i] == i % 251);
	side_end(&server);
	side_end(&client);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starttls_goes_through_and_ends_in_order),
		cmocka_unit_test(t_01_c3_injected_commands_are_thrown_away),
		cmocka_unit_test(t_03_c3_a_client_forgets_what_came_before_tls),
		cmocka_unit_test(t_09_c4_a_cut_under_tls_is_broken),
		cmocka_unit_test(a_failed_handshake_is_refused),
		cmocka_unit_test(an_end_inside_the_handshake_is_refused),
		cmocka_unit_test(much_at_once_comes_through_before_the_end),
	};

	return cmocka_run_group_tests(tests, make_contexts, remove_contexts);
}
