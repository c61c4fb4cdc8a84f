/*
 * Scout's parts against a name server and a primary of the test's own, all on one loop. N-08: what the DNS does
 * wrong never becomes more than "not known".
 */
#include "role/scout/scout.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "publish/publish.h"
#include "role/scout/cache.h"

enum {
	DNS_TIMEOUT_MS = 5000,
	IN_TIME_US = 3000000, /* not as long as what is waited for, on the busiest machine */
};

/* --- the world */

static struct {
	struct loop *loop;
	struct scout scout;
	struct msg_config config;
	struct msg_site site;
	struct msg_domain domain;
	struct msg_primary primaries[2];
	int dns_fd;
	struct loop_fd *dns_io;
	bool dns_fails; /* SERVFAIL for everything */
	unsigned dns_asked;
	struct listener *listener;
	unsigned connections;
	bool takes_all; /* the primary is a catch-all */
	unsigned learned, learned_bad;
} w;

static const struct {
	const char *name;
	enum dns_type type;
	struct span data;
} zone[] = {
	{"mx.test", DNS_A, SPAN_LIT("\x7f\0\0\1")},
	{"2.2.0.192.in-addr.arpa", DNS_PTR, SPAN_LIT("\4liar\4test\0")},
	{"2.2.0.192.in-addr.arpa", DNS_PTR, SPAN_LIT("\4mail\4test\0")},
	{"liar.test", DNS_A, SPAN_LIT("\xc0\0\2\x09")},
	{"mail.test", DNS_A, SPAN_LIT("\xc0\0\2\2")},
	{"3.2.0.192.in-addr.arpa", DNS_PTR, SPAN_LIT("\4a\r\nb\4test\0")},
	{"2.2.0.192.black.test", DNS_A, SPAN_LIT("\x7f\0\0\4")},
	{"2.2.0.192.refusing.test", DNS_A, SPAN_LIT("\x7f\xff\xff\xfe")},
	{"2.2.0.192.parked.test", DNS_A, SPAN_LIT("\xc6\x33\x64\1")},
	{"sender.test", DNS_TXT, SPAN_LIT("\x23v=spf1 ip4:192.0.2.2 a:mx.test -all")},
	{"slow.test", DNS_TXT, SPAN_LIT("\x1cv=spf1 a:silent.test -all   ")},
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

static void put_records(struct buf *b, const char *name, unsigned type)
{
	bool is_there = false;

	for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
		unsigned char head[] = {0xc0, 0x0c, 0, (unsigned char)type,	     0, 1, 0, 0,
					0,    0,    0, (unsigned char)zone[i].data.n};

		if (strcmp(zone[i].name, name) != 0)
			continue;
		is_there = true;
		if (zone[i].type != type)
			continue;
		(void)buf_append(b, span_of(head, sizeof head));
		(void)buf_append(b, zone[i].data);
		b->p[7]++;
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
	w.dns_asked++;
	if (strstr(name, "silent"))
		return;
	(void)buf_append(&b, span_of(p, question_n));
	b.p[2] = 0x81;
	b.p[3] = w.dns_fails ? 0x82 : 0x80;
	memset(b.p + 6, 0, 6);
	if (!w.dns_fails)
		put_records(&b, name, type);
	(void)sendto(w.dns_fd, b.p, b.n, 0, (struct sockaddr *)&from, from_n);
	buf_fini(&b);
}

static const char *reply_to(struct span line)
{
	if (!span_starts_nocase(line, SPAN_LIT("RCPT")))
		return span_starts_nocase(line, SPAN_LIT("QUIT")) ? "221 bye\r\n" : "250 fine\r\n";
	if (span_starts(span_from(line, 9), SPAN_LIT("good")))
		return "250 2.1.5 fine\r\n";
	if (span_starts(span_from(line, 9), SPAN_LIT("grey")))
		return "451 4.7.1 come again\r\n";
	if (span_starts(span_from(line, 9), SPAN_LIT("policy")))
		return "550 5.7.1 not you\r\n";
	return w.takes_all ? "250 2.1.5 fine\r\n" : "550 5.1.1 no such user\r\n";
}

static size_t primary_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct span rest = bytes;

	(void)arg;
	while (span_chr(rest, '\n') >= 0) {
		struct span line = span_cut(&rest, '\n');

		if (span_starts_nocase(line, SPAN_LIT("RCPT TO:<slow")))
			continue; /* never answered */
		conn_send(c, span_str(reply_to(line)));
		if (span_starts_nocase(line, SPAN_LIT("QUIT")))
			conn_close(c);
	}
	return bytes.n - rest.n;
}

static void primary_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	(void)arg;
	(void)c;
	(void)rc;
	(void)why;
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = primary_bytes, .on_closed = primary_closed};

	(void)arg;
	(void)peer;
	(void)is_last;
	w.connections++;
	conn_send(conn_accept(w.loop, fd, &ops, NULL), SPAN_LIT("220 primary\r\n"));
}

static uint16_t bind_here(int fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;

	must(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
	must(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	return ntohs(at.sin_port);
}

static void on_learned(void *arg, struct span address, const struct recipient_found *found)
{
	(void)arg;
	(void)address;
	w.learned++;
	w.learned_bad += found->verdict == RECIPIENT_BAD;
}

static void make_config(uint16_t smtp_port)
{
	w.primaries[0] =
		(struct msg_primary){.host = SPAN_LIT("mx.test"), .port = smtp_port, .priority = 1};
	w.site = (struct msg_site){.name = SPAN_LIT("hq"),
				   .primaries = w.primaries,
				   .primaries_n = 1,
				   .tls = SPAN_LIT("opportunistic")};
	w.domain = (struct msg_domain){.name = SPAN_LIT("example.org"), .site = SPAN_LIT("hq")};
	w.config = (struct msg_config){.node = SPAN_LIT("backup.example.net"),
				       .sites = &w.site,
				       .sites_n = 1,
				       .domains = &w.domain,
				       .domains_n = 1,
				       .spf = true,
				       .dns_timeout_ms = DNS_TIMEOUT_MS};
}

static int open_world(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fault why = {0};
	char server[64];
	uint16_t port;

	(void)state;
	memset(&w, 0, sizeof w);
	w.loop = loop_new();
	w.dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(server, sizeof server, "127.0.0.1@%u", bind_here(w.dns_fd));
	w.dns_io = loop_fd_new(w.loop, w.dns_fd, on_dns, NULL);
	loop_fd_want(w.dns_io, LOOP_READ);
	port = bind_here(fd);
	must(listen(fd, 16) == 0);
	w.listener = listener_new(w.loop, fd, on_accept, NULL);
	make_config(port);
	w.scout.loop = w.loop;
	w.scout.os = os_real();
	w.scout.config = &w.config;
	if (dns_new(w.loop, server, &w.scout.dns, &why) != OK)
		fail_msg("%s", why.text);
	w.scout.resolver = resolver_new(&w.scout);
	w.scout.recipients = recipients_new(&w.scout, on_learned, NULL);
	return 0;
}

static void on_turned(void *arg)
{
	*(bool *)arg = true;
	loop_stop(w.loop);
}

static void turn(uint64_t us)
{
	bool is_over = false;
	struct loop_timer *t = loop_timer_new(w.loop, on_turned, &is_over);

	loop_timer_set(t, us);
	while (!is_over)
		loop_run(w.loop);
	loop_timer_free(t);
}

static int close_world(void **state)
{
	(void)state;
	dns_free(w.scout.dns);
	recipients_free(w.scout.recipients);
	resolver_free(w.scout.resolver);
	must(w.scout.checks == 0);
	turn(20000); /* connections end from the loop */
	listener_free(w.listener);
	loop_fd_free(w.dns_io);
	(void)close(w.dns_fd);
	loop_free(w.loop);
	return 0;
}

/* --- what came back */

struct heard {
	unsigned calls;
	char text[600];
	unsigned verdict;
	bool catch_all, ok, is_old;
	uint64_t at_us;
};

static void heard(struct heard *h)
{
	h->calls++;
	h->at_us = loop_now_us(w.loop);
	loop_stop(w.loop);
}

static void on_connection(void *arg, const struct connection_found *found)
{
	struct heard *h = arg;
	size_t n = (size_t)snprintf(h->text, sizeof h->text, "%.*s", SPAN_FMT(found->host_name));

	for (size_t i = 0; i < found->listed_n; i++)
		n += (size_t)snprintf(h->text + n, sizeof h->text - n, " %.*s",
				      SPAN_FMT(found->listed[i]));
	heard(h);
}

static void on_sender(void *arg, const char *result, const char *why)
{
	struct heard *h = arg;

	(void)snprintf(h->text, sizeof h->text, "%s: %s", result, why);
	heard(h);
}

static void on_recipient(void *arg, const struct recipient_found *found)
{
	struct heard *h = arg;

	h->verdict = found->verdict;
	h->catch_all = found->catch_all;
	(void)snprintf(h->text, sizeof h->text, "%u %s", found->code, found->text);
	heard(h);
}

static void on_resolved(void *arg, const struct resolved *found)
{
	struct heard *h = arg;

	h->ok = found->ok;
	h->is_old = found->is_old;
	(void)snprintf(h->text, sizeof h->text, "%s", found->ok ? found->addresses[0] : found->why);
	heard(h);
}

static void wait_for(struct heard *h, unsigned calls)
{
	while (h->calls < calls)
		loop_run(w.loop);
}

/* --- clients */

static void a_client_is_looked_up_in_lists_and_by_name(void **state)
{
	static const struct span zones[] = {SPAN_LIT("black.test"), SPAN_LIT("refusing.test"),
					    SPAN_LIT("parked.test"), SPAN_LIT("clean.test"),
					    SPAN_LIT("no good")};
	struct heard h = {0};

	(void)state;
	connection_check(&w.scout, SPAN_LIT("192.0.2.2"), zones, 5, on_connection, &h);
	wait_for(&h, 1);
	assert_string_equal(h.text,
			    "mail.test black.test"); /* not liar.test, which points elsewhere */
}

static void odd_clients_are_nobody(void **state)
{
	struct heard h = {0};

	(void)state;
	connection_check(&w.scout, SPAN_LIT("local"), NULL, 0, on_connection, &h);
	assert_string_equal(h.text, "");
	assert_int_equal(h.calls, 1);
	connection_check(&w.scout, SPAN_LIT("192.0.2.3"), NULL, 0, on_connection, &h);
	wait_for(&h, 2);
	assert_string_equal(h.text, ""); /* X3: CR LF in its name */
	connection_check(&w.scout, SPAN_LIT("2001:db8::1"), NULL, 0, on_connection, &h);
	wait_for(&h, 3);
	assert_string_equal(h.text, "");
}

static void x1_a_silent_list_delays_nobody(void **state)
{
	static const struct span zones[] = {SPAN_LIT("silent.test"), SPAN_LIT("black.test")};
	uint64_t begin_us = loop_now_us(w.loop);
	struct heard h = {0};

	(void)state;
	connection_check(&w.scout, SPAN_LIT("192.0.2.2"), zones, 2, on_connection, &h);
	wait_for(&h, 1);
	assert_string_equal(h.text, "mail.test black.test");
	assert_in_range(h.at_us - begin_us, SCOUT_REPLY_US, IN_TIME_US);
}

/* --- senders */

static void senders_are_judged_by_spf(void **state)
{
	struct heard h = {0};

	(void)state;
	sender_check(&w.scout, SPAN_LIT("192.0.2.2"), SPAN_LIT("x.test"), SPAN_LIT("a@sender.test"),
		     on_sender, &h);
	wait_for(&h, 1);
	assert_string_equal(h.text, "pass: sender.test: term 1 matches");
	sender_check(&w.scout, SPAN_LIT("192.0.2.9"), SPAN_LIT("x.test"), SPAN_LIT("a@sender.test"),
		     on_sender, &h);
	wait_for(&h, 2);
	assert_string_equal(h.text, "fail: sender.test: term 3 matches");
	sender_check(&w.scout, SPAN_LIT("192.0.2.9"), SPAN_LIT("x.test"), SPAN_LIT("a@nobody.test"),
		     on_sender, &h);
	wait_for(&h, 3);
	assert_string_equal(h.text, "none: ");
	w.config.spf = false;
	sender_check(&w.scout, SPAN_LIT("192.0.2.9"), SPAN_LIT("x.test"), SPAN_LIT("a@sender.test"),
		     on_sender, &h);
	assert_string_equal(h.text, ": ");
}

static void x1_a_slow_sender_domain_is_a_temperror_in_time(void **state)
{
	uint64_t begin_us = loop_now_us(w.loop);
	struct heard h = {0};

	(void)state;
	sender_check(&w.scout, SPAN_LIT("192.0.2.2"), SPAN_LIT("x.test"), SPAN_LIT("a@slow.test"),
		     on_sender, &h);
	wait_for(&h, 1);
	assert_string_equal(h.text, "temperror: the DNS took too long");
	assert_in_range(h.at_us - begin_us, SCOUT_REPLY_US, IN_TIME_US);
}

static void n_08_a_failing_dns_is_a_temperror(void **state)
{
	struct heard h = {0};

	(void)state;
	w.dns_fails = true;
	sender_check(&w.scout, SPAN_LIT("192.0.2.2"), SPAN_LIT("x.test"), SPAN_LIT("a@sender.test"),
		     on_sender, &h);
	wait_for(&h, 1);
	assert_memory_equal(h.text, "temperror: ", 11);
}

/* --- recipients */

static void ask(const char *address, struct heard *h)
{
	recipient_ask(w.scout.recipients, SPAN_LIT("hq"), span_str(address), on_recipient, h);
}

static void recipients_are_asked_once_and_remembered(void **state)
{
	struct heard h = {0};

	(void)state;
	ask("good@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_GOOD);
	assert_false(h.catch_all);
	ask("GOOD@Example.org", &h); /* the same mailbox; from memory, so at once */
	assert_int_equal(h.calls, 2);
	assert_int_equal(h.verdict, RECIPIENT_GOOD);
	ask("unknown@example.org", &h);
	wait_for(&h, 3);
	assert_int_equal(h.verdict, RECIPIENT_BAD);
	assert_string_equal(h.text, "550 no such user");
	assert_int_equal(w.connections, 2);
	assert_int_equal(w.learned, 2);
	assert_int_equal(w.learned_bad, 1);
}

static void policy_and_greylisting_say_nothing_about_a_mailbox(void **state)
{
	struct heard h = {0};

	(void)state;
	ask("policy@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	ask("grey@example.org", &h);
	wait_for(&h, 2);
	assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	assert_int_equal(w.learned, 0);
}

static void a_catch_all_is_seen(void **state)
{
	struct heard h = {0};

	(void)state;
	w.takes_all = true;
	ask("whoever@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_GOOD);
	assert_true(h.catch_all);
}

static void equal_questions_share_one_call_and_many_share_a_few(void **state)
{
	struct heard h = {0};
	char address[64];

	(void)state;
	for (int i = 0; i < 21; i++) {
		(void)snprintf(address, sizeof address, "good%d@example.org", i / 3);
		ask(address, &h);
	}
	wait_for(&h, 21);
	assert_int_equal(h.verdict, RECIPIENT_GOOD);
	assert_int_equal(w.learned, 7);
	assert_in_range(w.connections, 1, 3);
}

static void foreign_and_odd_recipients_are_not_asked(void **state)
{
	static const char *const rows[] = {"a@elsewhere.org", "good", "", "a b@example.org",
					   "good@example.org\r\nDATA"};
	struct heard h = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ask(rows[i], &h);
		assert_int_equal(h.calls, i + 1);
		assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	}
	recipient_ask(w.scout.recipients, SPAN_LIT("other"), SPAN_LIT("good@example.org"),
		      on_recipient, &h);
	assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	turn(20000);
	assert_int_equal(w.connections, 0);
}

static void x1_a_slow_primary_delays_nobody(void **state)
{
	uint64_t begin_us = loop_now_us(w.loop);
	struct heard h = {0};

	(void)state;
	ask("slow@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	assert_in_range(h.at_us - begin_us, SCOUT_REPLY_US, IN_TIME_US);
	ask("slow@example.org", &h); /* still asking: said at once */
	assert_int_equal(h.calls, 2);
}

static void an_unreachable_site_is_left_alone(void **state)
{
	struct heard h = {0};

	(void)state;
	listener_free(w.listener);
	w.listener = NULL;
	ask("good@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_UNKNOWN);
	assert_string_equal(h.text, "0 no primary of the site could be asked");
	ask("good2@example.org", &h);
	assert_int_equal(h.calls, 2); /* at once: nobody knocks again so soon */
}

static void the_next_primary_is_asked_when_the_first_is_gone(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct heard h = {0};

	(void)state;
	w.primaries[1] =
		(struct msg_primary){.host = SPAN_LIT("[127.0.0.1]"), .port = bind_here(fd)};
	(void)close(fd); /* priority 0, and nobody there */
	w.site.primaries_n = 2;
	ask("good@example.org", &h);
	wait_for(&h, 1);
	assert_int_equal(h.verdict, RECIPIENT_GOOD);
}

/* --- hosts */

static void resolve(const char *host, struct heard *h)
{
	unsigned before = h->calls;

	resolve_host(w.scout.resolver, span_str(host), on_resolved, h);
	wait_for(h, before + 1);
}

static void hosts_are_resolved(void **state)
{
	static const struct {
		const char *host, *text;
		bool ok;
	} rows[] = {
		{"mx.test", "127.0.0.1", true},
		{"MX.test.", "127.0.0.1", true},
		{"192.0.2.7", "192.0.2.7", true},
		{"[IPv6:2001:db8::7]", "2001:db8::7", true},
		{"nobody.test", "nobody.test has no address in the DNS", false},
		{"bad name", "not a host name", false},
		{"", "not a host name", false},
	};
	struct heard h = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		resolve(rows[i].host, &h);
		assert_string_equal(h.text, rows[i].text);
		assert_int_equal(h.ok, rows[i].ok);
	}
}

static void n_08_an_old_address_is_better_than_none(void **state)
{
	struct heard h = {0};

	(void)state;
	resolve("mx.test", &h);
	assert_false(h.is_old);
	w.dns_fails = true;
	resolve("mx.test", &h); /* fresh: from memory */
	assert_false(h.is_old);
	turn(1100000); /* the TTL is over */
	resolve("mx.test", &h);
	assert_true(h.ok);
	assert_true(h.is_old);
	assert_string_equal(h.text, "127.0.0.1");
	resolve("mail.test", &h); /* never heard before */
	assert_false(h.ok);
	assert_string_equal(h.text, "the DNS gives no answer for mail.test");
}

/* --- caches */

static void caches_forget_what_was_not_used_for_longest(void **state)
{
	struct cache *c = cache_new(3, sizeof(int));

	(void)state;
	*(int *)cache_put(c, SPAN_LIT("a")) = 1;
	*(int *)cache_put(c, SPAN_LIT("b")) = 2;
	*(int *)cache_put(c, SPAN_LIT("c")) = 3;
	assert_int_equal(*(int *)cache_get(c, SPAN_LIT("a")), 1);
	*(int *)cache_put(c, SPAN_LIT("d")) = 4;
	assert_null(cache_get(c, SPAN_LIT("b")));
	assert_int_equal(*(int *)cache_get(c, SPAN_LIT("a")), 1);
	assert_int_equal(*(int *)cache_put(c, SPAN_LIT("c")), 3);
	assert_int_equal(cache_count(c), 3);
	cache_free(c);
	cache_free(NULL);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_client_is_looked_up_in_lists_and_by_name),
		IN_WORLD(odd_clients_are_nobody),
		IN_WORLD(x1_a_silent_list_delays_nobody),
		IN_WORLD(senders_are_judged_by_spf),
		IN_WORLD(x1_a_slow_sender_domain_is_a_temperror_in_time),
		IN_WORLD(n_08_a_failing_dns_is_a_temperror),
		IN_WORLD(recipients_are_asked_once_and_remembered),
		IN_WORLD(policy_and_greylisting_say_nothing_about_a_mailbox),
		IN_WORLD(a_catch_all_is_seen),
		IN_WORLD(equal_questions_share_one_call_and_many_share_a_few),
		IN_WORLD(foreign_and_odd_recipients_are_not_asked),
		IN_WORLD(x1_a_slow_primary_delays_nobody),
		IN_WORLD(an_unreachable_site_is_left_alone),
		IN_WORLD(the_next_primary_is_asked_when_the_first_is_gone),
		IN_WORLD(hosts_are_resolved),
		IN_WORLD(n_08_an_old_address_is_better_than_none),
		cmocka_unit_test(caches_forget_what_was_not_used_for_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
