/*
 * Where mail for a foreign domain goes, against a name server and a web server of the test's own. N-08: SERVFAIL,
 * time-outs, null MX, exchangers that are this machine. T-12: a policy that was fetched holds; redirects, other types,
 * large and broken answers are none.
 */
#include "role/scout/scout.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "tls/tls.h"

static struct {
	struct loop *loop;
	struct scout scout;
	struct msg_config config;
	int dns_fd;
	struct loop_fd *dns_io;
	bool has_no_sts; /* the TXT record is gone */
	const char *sts_id;
	struct listener *listener;
	struct tls_context *web, *trust;
	const char *answer; /* of the web server */
	size_t answer_n;
	unsigned fetches;
} w;

/* MX data: preference and name in wire form. */
#define MX(preference, name) SPAN_LIT("\0" preference name)
#define A1		     SPAN_LIT("\xc0\0\2\1")

static const struct {
	const char *name;
	enum dns_type type;
	struct span data;
} zone[] = {
	{"two.test", DNS_MX, MX("\x14", "\2b2\4test\0")},
	{"two.test", DNS_MX, MX("\x0a", "\2a1\4test\0")},
	{"a1.test", DNS_A, A1},
	{"b2.test", DNS_A, SPAN_LIT("\xc0\0\2\2")},
	{"none.test", DNS_A, SPAN_LIT("\xc0\0\2\3")},
	{"null.test", DNS_MX, MX("\0", "\0")},
	{"self.test", DNS_MX, MX("\x0a", "\6backup\7example\3net\0")},
	{"self.test", DNS_MX, MX("\x14", "\2b2\4test\0")},
	{"behind.test", DNS_MX, MX("\x0a", "\6backup\7example\3net\0")},
	{"behind.test", DNS_MX, MX("\x05", "\2a1\4test\0")},
	{"loop.test", DNS_MX, MX("\x0a", "\4here\4test\0")},
	{"here.test", DNS_A, SPAN_LIT("\x7f\0\0\1")},
	{"here.test", DNS_AAAA, SPAN_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
	{"zero.test", DNS_MX, MX("\x0a", "\3any\4test\0")},
	{"any.test", DNS_A, SPAN_LIT("\0\0\0\0")},
	{"lost.test", DNS_MX, MX("\x0a", "\7nowhere\4test\0")},
	{"sts.test", DNS_MX, MX("\x0a", "\2a1\4test\0")},
	{"sts.test", DNS_MX, MX("\x14", "\2b2\4test\0")},
	{"mta-sts.sts.test", DNS_A, SPAN_LIT("\x7f\0\0\1")},
};

static size_t question_read(const unsigned char *p, size_t n, char name[256], unsigned *type)
{
	size_t at = 12, out = 0;

	while (at < n && p[at] && out + p[at] + 1u < 256) {
		memcpy(name + out, p + at + 1, p[at]);
		out += p[at];
		name[out++] = '.';
		at += p[at] + 1u;
	}
	name[out ? out - 1 : 0] = '\0';
	for (char *c = name; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	*type = at + 4 < n ? (unsigned)p[at + 2] | (unsigned)p[at + 1] << 8 : 0;
	return at + 5;
}

static void put_record(struct buf *b, unsigned type, struct span data)
{
	unsigned char head[] = {0xc0, 0x0c, 0, (unsigned char)type,  0, 1, 0, 0,
				0,    0,    0, (unsigned char)data.n};

	(void)buf_append(b, span_of(head, sizeof head));
	(void)buf_append(b, data);
	b->p[7]++;
}

static void put_records(struct buf *b, const char *name, unsigned type)
{
	bool is_there = false;
	char text[80];
	int n;

	for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
		if (strcmp(zone[i].name, name) != 0)
			continue;
		is_there = true;
		if (zone[i].type == type)
			put_record(b, type, zone[i].data);
	}
	if (strcmp(name, "_mta-sts.sts.test") == 0 && type == DNS_TXT && !w.has_no_sts) {
		is_there = true;
		n = snprintf(text, sizeof text, " v=STSv1; id=%s;", w.sts_id);
		text[0] = (char)(n - 1);
		put_record(b, type, span_of(text, (size_t)n));
	}
	if (!is_there)
		b->p[3] |= 3;
}

static void on_dns(void *arg, unsigned flags)
{
	unsigned char p[600];
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	ssize_t n =
		recvfrom(w.dns_fd, p, sizeof p, MSG_DONTWAIT, (struct sockaddr *)&from, &from_n);
	struct buf b = {0};
	char name[256];
	unsigned type;
	size_t question_n;

	(void)arg;
	(void)flags;
	if (n < 17)
		return;
	question_n = question_read(p, (size_t)n, name, &type);
	if (strstr(name, "silent"))
		return;
	(void)buf_append(&b, span_of(p, question_n));
	b.p[2] = 0x81;
	b.p[3] = strstr(name, "servfail") ? 0x82 : 0x80;
	memset(b.p + 6, 0, 6);
	if (!strstr(name, "servfail"))
		put_records(&b, name, type);
	(void)sendto(w.dns_fd, b.p, b.n, 0, (struct sockaddr *)&from, from_n);
	buf_fini(&b);
}

/* ---- the web server ---- */

static size_t web_bytes(void *arg, struct conn *c, struct span bytes)
{
	(void)arg;
	if (!memmem(bytes.p, bytes.n, "\r\n\r\n", 4))
		return 0;
	if (span_starts(bytes, SPAN_LIT("GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: "
					"mta-sts.sts.test\r\n"))) {
		w.fetches++;
		conn_send(c, span_of(w.answer, w.answer_n));
	}
	conn_close(c);
	return bytes.n;
}

static void web_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	(void)arg, (void)c, (void)rc, (void)why;
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = web_bytes, .on_closed = web_closed};
	struct conn *c = conn_accept(w.loop, fd, &ops, NULL);

	(void)arg, (void)peer, (void)is_last;
	conn_start_tls(c, w.web, true, NULL);
}

static void answers(const char *text)
{
	w.answer = text;
	w.answer_n = strlen(text);
}

/* ---- open and close ---- */

static uint16_t bind_here(int fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;

	must(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
	must(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	return ntohs(at.sin_port);
}

/* The web server's own certificate, and who trusts it. */
static void make_tls(const char *host)
{
	char folder[] = "/tmp/holdfast-sts-XXXXXX", certificate[64], key[64];
	struct fault why = {0};

	must(mkdtemp(folder));
	(void)snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
	(void)snprintf(key, sizeof key, "%s/k.pem", folder);
	must(tls_self_signed(certificate, key, host, &why) == OK);
	must(tls_server_new(certificate, key, "web", &w.web, &why) == OK);
	must(tls_client_new(true, certificate, &w.trust, &why) == OK);
	must(unlink(certificate) + unlink(key) + rmdir(folder) == 0);
}

static int open_world(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct fault why = {0};
	char server[64];

	memset(&w, 0, sizeof w);
	w.loop = loop_new();
	w.sts_id = "1";
	w.dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(server, sizeof server, "127.0.0.1@%u", bind_here(w.dns_fd));
	w.dns_io = loop_fd_new(w.loop, w.dns_fd, on_dns, NULL);
	loop_fd_want(w.dns_io, LOOP_READ);
	make_tls(*state ? *state : "mta-sts.sts.test");
	w.scout.sts_port = bind_here(fd);
	w.scout.sts_tls = w.trust;
	must(listen(fd, 16) == 0);
	w.listener = listener_new(w.loop, fd, on_accept, NULL);
	w.config = (struct msg_config){.node = SPAN_LIT("backup.example.net"),
				       .dns_timeout_ms = 600,
				       .mta_sts_ms = 86400000,
				       .dane = true};
	w.scout.loop = w.loop;
	w.scout.os = os_real();
	w.scout.config = &w.config;
	if (dns_new(w.loop, server, &w.scout.dns, &why) != OK)
		fail_msg("%s", why.text);
	w.scout.resolver = resolver_new(&w.scout);
	w.scout.sts = sts_new(&w.scout);
	return 0;
}

static void on_turned(void *arg)
{
	*(bool *)arg = true;
	loop_stop(w.loop);
}

static int close_world(void **state)
{
	bool is_over = false;
	struct loop_timer *t;

	(void)state;
	dns_free(w.scout.dns);
	resolver_free(w.scout.resolver);
	sts_free(w.scout.sts);
	must(w.scout.checks == 0);
	t = loop_timer_new(w.loop, on_turned, &is_over);
	loop_timer_set(t, 20000); /* connections end from the loop */
	while (!is_over)
		loop_run(w.loop);
	loop_timer_free(t);
	listener_free(w.listener);
	loop_fd_free(w.dns_io);
	(void)close(w.dns_fd);
	tls_context_unref(w.web);
	tls_context_unref(w.trust);
	loop_free(w.loop);
	return 0;
}

/* ---- rows ---- */

struct heard {
	bool is_there;
	char text[800];
};

/* "0 a1.test:10:192.0.2.1 b2.test:20:192.0.2.2 enforce" or "1 why" */
static void on_found(void *arg, const struct exchange_found *found)
{
	struct heard *h = arg;
	size_t n = (size_t)snprintf(h->text, sizeof h->text, "%u", found->verdict);

	for (size_t i = 0; found->verdict == 0 && i < found->n; i++)
		n += (size_t)snprintf(h->text + n, sizeof h->text - n, " %s:%u:%s",
				      found->hosts[i].name, found->hosts[i].preference,
				      found->hosts[i].addresses[0]);
	if (found->is_enforced)
		n += (size_t)snprintf(h->text + n, sizeof h->text - n, " enforce");
	if (found->verdict)
		(void)snprintf(h->text + n, sizeof h->text - n, " %s", found->why);
	h->is_there = true;
	loop_stop(w.loop);
}

static void expect(const char *domain, const char *wanted)
{
	struct heard h = {0};

	exchange_find(&w.scout, span_str(domain), on_found, &h);
	while (!h.is_there)
		loop_run(w.loop);
	if (strncmp(h.text, wanted, strlen(wanted)) != 0 ||
	    (wanted[0] == '0' && strcmp(h.text, wanted) != 0))
		fail_msg("%s: wanted %s, got %s", domain, wanted, h.text);
}

static void exchangers_by_preference(void **state)
{
	(void)state;
	expect("two.test", "0 a1.test:10:192.0.2.1 b2.test:20:192.0.2.2");
	expect("TWO.test", "0 a1.test:10:192.0.2.1 b2.test:20:192.0.2.2");
	expect("none.test", "0 none.test:0:192.0.2.3"); /* no MX: the domain itself */
}

static void n_08_what_cannot_be(void **state)
{
	(void)state;
	expect("null.test", "2 null MX");
	expect("nothere.test", "2 there is no domain");
	expect("servfail.test", "1 the DNS gives no answer");
	expect("silent.test", "1 the DNS gives no answer");
	expect("lost.test", "1 none of the domain's");
	expect("a b", "2 not a domain");
}

static void n_08_never_to_ourselves(void **state)
{
	(void)state;
	expect("self.test", "1 its mail exchanger is this machine");
	expect("behind.test", "0 a1.test:5:192.0.2.1"); /* better than we are */
	expect("loop.test", "1 none of the domain's");
	expect("zero.test", "1 none of the domain's");
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
#define POLICY(mode, mx)                                                                           \
	OK_HEAD "version: STSv1\r\nmode: " mode "\r\nmx: " mx "\r\nmax_age: 86400\r\n"
#define ALL "0 a1.test:10:192.0.2.1 b2.test:20:192.0.2.2"

static void t_12_a_policy_leaves_only_its_hosts_and_holds(void **state)
{
	(void)state;
	answers(POLICY("enforce", "a1.test"));
	expect("sts.test", "0 a1.test:10:192.0.2.1 enforce");
	expect("sts.test", "0 a1.test:10:192.0.2.1 enforce");
	assert_int_equal(w.fetches, 1); /* kept */
	w.sts_id = "2"; /* a new one that cannot be fetched */
	answers("HTTP/1.1 500 no\r\n\r\n");
	expect("sts.test", "0 a1.test:10:192.0.2.1 enforce");
	assert_int_equal(w.fetches, 2);
	expect("sts.test", "0 a1.test:10:192.0.2.1 enforce");
	assert_int_equal(w.fetches, 2); /* not asked again at once */
	w.has_no_sts = true; /* the record is gone: the policy is not */
	expect("sts.test", "0 a1.test:10:192.0.2.1 enforce");
}

static void policies_of_every_mode(void **state)
{
	(void)state;
	answers(POLICY("enforce", "*.test"));
	expect("sts.test", ALL " enforce");
	w.sts_id = "2";
	answers(POLICY("testing", "a1.test"));
	expect("sts.test", ALL);
	w.sts_id = "3";
	answers(POLICY("enforce", "mail.other.example"));
	expect("sts.test", "1 enforce the domain's MTA-STS policy");
	w.sts_id = "4";
	answers(OK_HEAD "version: STSv1\nmode: none\nmax_age: 1\n");
	expect("sts.test", ALL);
}

static void t_12_answers_that_are_no_policy(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Type: "
		"text/plain\r\n\r\nversion: STSv1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nversion: STSv1\nmode: "
		"enforce\nmx: a1.test\nmax_age: 9\n",
		"HTTP/1.1 200 OK\r\n\r\nversion: STSv1\nmode: enforce\nmx: a1.test\nmax_age: 9\n",
		OK_HEAD "mode: enforce\nmx: a1.test\nmax_age: 9\n",
		OK_HEAD "version: STSv1\nmode: enforce\nmax_age: 9\n",
		OK_HEAD "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 9\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
		"500\r\n\r\nversion: STSv1\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"SSH-2.0-x\r\n\r\n",
		"",
	};
	struct buf large = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		answers(bad[i]);
		expect("sts.test", ALL);
		sts_free(w.scout.sts); /* forgets the failure too */
		w.scout.sts = sts_new(&w.scout);
	}
	assert_int_equal(w.fetches, sizeof bad / sizeof *bad);
	buf_append(&large, SPAN_LIT(OK_HEAD)); /* 1 MiB */
	while (large.n < 1 << 20)
		buf_append(&large, SPAN_LIT("mx: a1.test\r\n"));
	w.answer = (const char *)large.p;
	w.answer_n = large.n;
	expect("sts.test", ALL);
	sts_free(w.scout.sts);
	w.scout.sts = sts_new(&w.scout);
	buf_fini(&large);
}

static void t_12_a_certificate_that_does_not_verify(void **state)
{
	struct tls_context *trust = w.scout.sts_tls, *nobody = NULL;

	(void)state;
	answers(POLICY("enforce", "a1.test"));
	must(tls_client_trusting(SPAN_NONE, &nobody, NULL) == OK);
	w.scout.sts_tls = nobody;
	expect("sts.test", ALL);
	assert_int_equal(w.fetches, 0);
	w.scout.sts_tls = trust;
	tls_context_unref(nobody);
}

static void not_asked_for_when_it_is_off(void **state)
{
	(void)state;
	w.config.mta_sts_ms = 0;
	answers(POLICY("enforce", "a1.test"));
	expect("sts.test", ALL);
	assert_int_equal(w.fetches, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exchangers_by_preference),
		TEST(n_08_what_cannot_be),
		TEST(n_08_never_to_ourselves),
		TEST(t_12_a_policy_leaves_only_its_hosts_and_holds),
		TEST(policies_of_every_mode),
		TEST(t_12_answers_that_are_no_policy),
		TEST(t_12_a_certificate_that_does_not_verify),
		TEST(not_asked_for_when_it_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
