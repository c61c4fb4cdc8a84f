/*
 * Against a small name server of our own on a thread, one per test run, over UDP and TCP. What it does with a
 * question is decided by the first label of the name. N-08.
 */
#include "dns/dns.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "loop/loop.h"

static int udp, tcp, quit[2];
static uint16_t port;
static pthread_t server;
static atomic_uint asked, asked_tcp;

/* --- the server */

struct query {
	unsigned char bytes[600];
	size_t n, question_n; /* whole, and of header and question */
	char name[256];
	unsigned type;
};

static bool query_read(struct query *q)
{
	size_t at = 12, out = 0;

	while (at < q->n && q->bytes[at] && out + q->bytes[at] + 1u < sizeof q->name) {
		memcpy(q->name + out, q->bytes + at + 1, q->bytes[at]);
		out += q->bytes[at];
		q->name[out++] = '.';
		at += q->bytes[at] + 1u;
	}
	q->name[out ? out - 1 : 0] = '\0';
	if (at + 5 > q->n)
		return false;
	q->type = (unsigned)q->bytes[at + 2] | (unsigned)q->bytes[at + 1] << 8;
	q->question_n = at + 5;
	for (char *c = q->name; *c; c++) /* some clients vary the case */
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	return true;
}

static void put_rr(struct buf *b, unsigned type, struct span data)
{
	unsigned char head[] = {0xc0,
				0x0c,
				0,
				(unsigned char)type,
				0,
				1,
				0,
				0,
				0,
				60,
				(unsigned char)(data.n >> 8),
				(unsigned char)data.n};

	(void)buf_append(b, span_of(head, sizeof head));
	(void)buf_append(b, data);
	b->p[7]++;
}

static bool starts(const struct query *q, const char *with)
{
	return strncmp(q->name, with, strlen(with)) == 0;
}

static void put_answers(struct buf *b, const struct query *q, bool is_tcp)
{
	static const char text[] = "\x0bv=spf1 a:x.\x05 -all";

	if (starts(q, "servfail."))
		b->p[3] |= 2;
	else if (starts(q, "none."))
		b->p[3] |= 3;
	else if (starts(q, "loop.")) /* CNAME to itself */
		put_rr(b, DNS_CNAME, SPAN_LIT("\xc0\x0c"));
	else if (starts(q, "big.") && !is_tcp)
		b->p[2] |= 2;
	else if (starts(q, "big."))
		for (int i = 0; i < 100; i++)
			put_rr(b, DNS_A, span_of((unsigned char[]){10, 0, 0, (unsigned char)i}, 4));
	else if (q->type == DNS_A)
		put_rr(b, DNS_A, SPAN_LIT("\x7f\0\0\2"));
	else if (q->type == DNS_TXT)
		put_rr(b, DNS_TXT, span_of(text, sizeof text - 1));
	else if (q->type == DNS_MX)
		put_rr(b, DNS_MX, SPAN_LIT("\0\x0a\2mx\7example\0"));
}

/* False: do not answer. */
static bool make_reply(struct buf *b, struct query *q, bool is_tcp)
{
	if (!query_read(q) || starts(q, "silent."))
		return false;
	if (starts(q, "test") || q->name[0])
		(void)atomic_fetch_add(is_tcp ? &asked_tcp : &asked, 1);
	(void)buf_append(b, span_of(q->bytes, q->question_n));
	b->p[2] = 0x81;
	b->p[3] = 0x80;
	memset(b->p + 6, 0, 6);
	put_answers(b, q, is_tcp);
	if (starts(q, "wrongid."))
		b->p[0] ^= 0xff;
	return true;
}

static void serve_udp(void)
{
	struct query q;
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	struct buf b = {0};
	ssize_t n = recvfrom(udp, q.bytes, sizeof q.bytes, 0, (struct sockaddr *)&from, &from_n);

	q.n = n > 0 ? (size_t)n : 0;
	if (q.n >= 17 && make_reply(&b, &q, false))
		(void)sendto(udp, b.p, b.n, 0, (struct sockaddr *)&from, from_n);
	buf_fini(&b);
}

static void serve_tcp(void)
{
	struct query q;
	struct buf b = {0};
	unsigned char head[2];
	int fd = accept(tcp, NULL, NULL);

	while (fd >= 0 && recv(fd, head, 2, MSG_WAITALL) == 2) {
		q.n = (size_t)head[0] << 8 | head[1];
		must(q.n <= sizeof q.bytes && recv(fd, q.bytes, q.n, MSG_WAITALL) == (ssize_t)q.n);
		if (!make_reply(&b, &q, true))
			break;
		head[0] = (unsigned char)(b.n >> 8);
		head[1] = (unsigned char)b.n;
		(void)send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE);
		(void)send(fd, b.p, b.n, MSG_NOSIGNAL);
		buf_clear(&b);
	}
	buf_fini(&b);
	(void)close(fd);
}

static void *serve(void *arg)
{
	struct pollfd fds[] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}, {quit[0], POLLIN, 0}};

	(void)arg;
	for (;;) {
		must(poll(fds, 3, -1) > 0);
		if (fds[2].revents)
			return NULL;
		if (fds[0].revents)
			serve_udp();
		if (fds[1].revents)
			serve_tcp();
	}
}

static int start_server(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;

	(void)state;
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(tcp, (struct sockaddr *)&at, sizeof at) == 0 && listen(tcp, 8) == 0);
	must(getsockname(tcp, (struct sockaddr *)&at, &n) == 0);
	port = ntohs(at.sin_port);
	must(bind(udp, (struct sockaddr *)&at, sizeof at) == 0 && pipe(quit) == 0);
	return pthread_create(&server, NULL, serve, NULL);
}

static int stop_server(void **state)
{
	(void)state;
	must(write(quit[1], "q", 1) == 1);
	return pthread_join(server, NULL);
}

/* --- the asker */

struct asked {
	struct loop *loop;
	unsigned calls;
	enum rc rc;
	size_t n;
	uint32_t ttl_s;
	char first[64];
	uint16_t preference;
};

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct asked *a = arg;

	a->calls++;
	a->rc = answer->rc;
	a->n = answer->n;
	a->ttl_s = answer->ttl_s;
	if (answer->n) {
		must(answer->records[0].data.n < sizeof a->first);
		memcpy(a->first, answer->records[0].data.p, answer->records[0].data.n);
		a->preference = answer->records[0].preference;
	}
	if (a->loop)
		loop_stop(a->loop);
}

static struct dns *dns_here(struct loop *loop)
{
	char text[64];
	struct dns *d = NULL;
	struct fault why = {0};

	(void)snprintf(text, sizeof text, "127.0.0.1@%u", port);
	if (dns_new(loop, text, &d, &why) != OK)
		fail_msg("%s", why.text);
	return d;
}

static struct asked ask(struct loop *loop, struct dns *d, const char *name, enum dns_type type,
			uint32_t ms)
{
	struct asked a = {.loop = loop};

	dns_ask(d, name, type, ms, on_answer, &a);
	assert_int_equal(a.calls, 0);
	loop_run(loop);
	assert_int_equal(a.calls, 1);
	return a;
}

static void answers_come_in_plain_form(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);
	struct asked a = ask(loop, d, "www.test", DNS_A, 5000);

	(void)state;
	assert_int_equal(a.rc, OK);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.ttl_s, 60);
	assert_memory_equal(a.first, "\x7f\0\0\2", 4);
	a = ask(loop, d, "www.test.", DNS_TXT, 5000);
	assert_string_equal(a.first, "v=spf1 a:x. -all");
	a = ask(loop, d, "www.test", DNS_MX, 5000);
	assert_string_equal(a.first, "mx.example");
	assert_int_equal(a.preference, 10);
	a = ask(loop, d, "www.test", DNS_AAAA, 5000);
	assert_int_equal(a.rc, MORE); /* the name is there, the type is not */
	a = ask(loop, d, "none.test", DNS_A, 5000);
	assert_int_equal(a.rc, REFUSED);
	a = ask(loop, d, "a..b", DNS_A, 5000);
	assert_int_equal(a.rc, REFUSED);
	dns_free(d);
	loop_free(loop);
}

static void the_second_time_the_cache_answers_from_the_loop(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);
	unsigned before;

	(void)state;
	assert_int_equal(ask(loop, d, "cached.test", DNS_A, 5000).rc, OK);
	before = atomic_load(&asked);
	assert_int_equal(ask(loop, d, "cached.test", DNS_A, 5000).rc,
			 OK); /* asserts it was not from inside */
	assert_int_equal(atomic_load(&asked), before);
	dns_free(d);
	loop_free(loop);
}

static void n_08_servfail_and_alias_loops_are_later(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);

	(void)state;
	assert_int_equal(ask(loop, d, "servfail.test", DNS_A, 5000).rc, LATER);
	assert_int_equal(ask(loop, d, "loop.test", DNS_A, 5000).rc, LATER);
	assert_int_equal(ask(loop, d, "www.test", DNS_A, 5000).rc, OK); /* and it goes on working */
	dns_free(d);
	loop_free(loop);
}

static void n_08_silence_and_wrong_ids_are_later_in_time(void **state)
{
	static const char *const names[] = {"silent.test", "wrongid.test"};
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint64_t begin_us = loop_now_us(loop), took_us;

		assert_int_equal(ask(loop, d, names[i], DNS_A, 150).rc, LATER);
		took_us = loop_now_us(loop) - begin_us;
		assert_in_range(took_us, 150000, 5000000);
	}
	assert_int_equal(ask(loop, d, "www.test", DNS_A, 5000).rc, OK);
	dns_free(d);
	loop_free(loop);
}

static void n_08_truncation_is_asked_again_over_tcp(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);
	struct asked a = ask(loop, d, "big.test", DNS_A, 5000);

	(void)state;
	assert_int_equal(a.rc, OK);
	assert_int_equal(a.n, 100);
	assert_true(atomic_load(&asked_tcp) > 0);
	dns_free(d);
	loop_free(loop);
}

static void questions_still_open_at_the_end_are_later(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);
	struct asked a = {0}, b = {0};

	(void)state;
	dns_ask(d, "silent.test", DNS_A, 60000, on_answer, &a);
	dns_ask(d, "localhost", DNS_A, 60000, on_answer, &b); /* answered inside, not yet told */
	dns_free(d);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.rc, LATER);
	assert_int_equal(b.calls, 1);
	dns_free(NULL);
	loop_free(loop);
}

static void too_many_questions_are_later(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = dns_here(loop);
	struct asked many = {0}, last = {.loop = loop};

	(void)state;
	for (unsigned i = 0; i < DNS_ASK_LIMIT; i++)
		dns_ask(d, "silent.test", DNS_A, 60000, on_answer, &many);
	dns_ask(d, "www.test", DNS_A, 60000, on_answer, &last);
	loop_run(loop);
	assert_int_equal(last.rc, LATER);
	assert_int_equal(many.calls, 0);
	dns_free(d);
	assert_int_equal(many.calls, DNS_ASK_LIMIT);
	loop_free(loop);
}

static void a_server_that_is_no_address_is_refused(void **state)
{
	struct loop *loop = loop_new();
	struct dns *d = NULL;
	struct fault why = {0};

	(void)state;
	assert_int_equal(dns_new(loop, "not an address", &d, &why), REFUSED);
	assert_string_equal(why.text, "DNS server \"not an address\": syntax error");
	assert_null(d);
	assert_int_equal(dns_new(loop, NULL, &d, &why), OK); /* the system's files can be read */
	dns_free(d);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_in_plain_form),
		cmocka_unit_test(the_second_time_the_cache_answers_from_the_loop),
		cmocka_unit_test(n_08_servfail_and_alias_loops_are_later),
		cmocka_unit_test(n_08_silence_and_wrong_ids_are_later_in_time),
		cmocka_unit_test(n_08_truncation_is_asked_again_over_tcp),
		cmocka_unit_test(questions_still_open_at_the_end_are_later),
		cmocka_unit_test(too_many_questions_are_later),
		cmocka_unit_test(a_server_that_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
