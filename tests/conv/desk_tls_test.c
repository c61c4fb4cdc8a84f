/*
 * TLS at a real holdfast-desk, with OpenSSL as the client: T-01 (STARTTLS and STLS injection), the ports where TLS comes
 * first, also behind a proxy, what an idle session costs (I-14), T-13 in small.
 */
#include "desk_host.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "tls/tls.h"

enum { IMAP, IMAPS, POP3, POP3S, HTTPS };

static const char *program;
static struct desk_host desk;
static struct buf said;
static SSL_CTX *client_context;
static char certificate[128], key[128];

static int set_up(void **state)
{
	struct fault why = {0};

	(void)state;
	desk_host_init(&desk);
	(void)snprintf(certificate, sizeof certificate, "%s/tls/use/certificate.pem",
		       desk.host.folder);
	(void)snprintf(key, sizeof key, "%s/tls/use/key.pem", desk.host.folder);
	must(tls_self_signed(certificate, key, "one.test.example", &why) == OK);
	desk.host.config.tls_certificate = span_str(certificate);
	desk.host.config.tls_key = span_str(key);
	desk.host.config.needs_tls_to_login = true;
	return 0;
}

static int tear_down(void **state)
{
	int status = desk_host_stop(&desk);

	(void)state;
	buf_fini(&said);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void talk(int fd, const char *text, const char *end)
{
	edge_say(fd, text);
	buf_clear(&said);
	if (!desk_hear(fd, end, &said))
		fail_msg("after %s: expected %s, got:\n%s\n", text, end, (char *)said.p);
}

static SSL *secure(int fd)
{
	SSL *ssl = SSL_new(client_context);

	must(SSL_set_fd(ssl, fd) == 1);
	assert_int_equal(SSL_connect(ssl), 1);
	return ssl;
}

static void tls_talk(SSL *ssl, const char *text, const char *end)
{
	char bytes[4096];
	int n = (int)strlen(text);

	if (n)
		assert_int_equal(SSL_write(ssl, text, n), n);
	buf_clear(&said);
	while (!strstr(buf_cstr(&said), end) && (n = SSL_read(ssl, bytes, sizeof bytes)) > 0)
		(void)buf_append(&said, span_of(bytes, (size_t)n));
	if (!strstr(buf_cstr(&said), end))
		fail_msg("after %s: expected %s, got %s\n", text, end, buf_cstr(&said));
}

static void hang_up(SSL *ssl, int fd)
{
	SSL_free(ssl);
	(void)close(fd);
}

static void t_01_nothing_from_before_starttls_counts(void **state)
{
	SSL *ssl;
	int fd;

	(void)state;
	desk_host_start(&desk, program, 0);
	fd = desk_client(&desk, IMAP);
	talk(fd, "", "\r\n");
	talk(fd, "a CAPABILITY\r\n", "a OK");
	assert_non_null(strstr((char *)said.p, "LOGINDISABLED"));
	talk(fd, "b LOGIN anna@ours.example secret\r\n", "b NO");
	talk(fd, "c STARTTLS\r\nd NOOP\r\n", "c OK");
	assert_null(strstr((char *)said.p, "d "));
	ssl = secure(fd);
	tls_talk(ssl, "e LOGIN anna@ours.example secret\r\n", "e OK");
	assert_null(strstr((char *)said.p, "d "));
	hang_up(ssl, fd);

	fd = desk_client(&desk, POP3);
	talk(fd, "", "\r\n");
	talk(fd, "USER anna@ours.example\r\n", "-ERR [AUTH]");
	talk(fd, "STLS\r\nCAPA\r\n", "+OK Begin TLS\r\n");
	assert_null(strstr((char *)said.p, "UIDL"));
	ssl = secure(fd);
	tls_talk(ssl, "USER anna@ours.example\r\nPASS secret\r\n", "Logged in\r\n");
	assert_null(strstr((char *)said.p, "UIDL"));
	hang_up(ssl, fd);
}

static void where_tls_comes_first(void **state)
{
	SSL *ssl;
	int fd;

	(void)state;
	desk_host_start(&desk, program, 2);
	fd = desk_client(&desk, IMAPS);
	ssl = secure(fd);
	tls_talk(ssl, "", "* OK");
	tls_talk(ssl, "a LOGIN anna@ours.example secret\r\n", "a OK");
	tls_talk(ssl, "b SELECT INBOX\r\n", "* 2 EXISTS");
	hang_up(ssl, fd);
	fd = desk_client(&desk, POP3S);
	ssl = secure(fd);
	tls_talk(ssl, "", "+OK");
	tls_talk(ssl, "USER anna@ours.example\r\nPASS secret\r\nSTAT\r\n", "+OK 2 ");
	hang_up(ssl, fd);
}

/* H-23: what browsers shall never do again without TLS is said with TLS, and without it nothing is. */
static void https_is_tls_from_the_first_byte(void **state)
{
	struct buf nothing = {0};
	SSL *ssl;
	int fd;

	(void)state;
	desk_host_start(&desk, program, 0);
	fd = desk_client(&desk, HTTPS);
	ssl = secure(fd);
	tls_talk(ssl, "GET /api/portal HTTP/1.1\r\nHost: a\r\n\r\n", "\"version\"");
	assert_non_null(
		strstr(buf_cstr(&said), "\r\nStrict-Transport-Security: max-age=31536000\r\n"));
	tls_talk(ssl,
		 "POST /api/login HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nContent-Type: "
		 "application/json\r\n"
		 "Content-Length: "
		 "52\r\n\r\n{\"account\":\"anna@ours.example\",\"password\":\"secret\"} ",
		 "\"state\":\"in\"");
	hang_up(ssl, fd);
	fd = desk_client(&desk, HTTPS);
	edge_say(fd, "GET /api/portal HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_false(desk_hear(fd, "HTTP/1.1", &nothing));
	(void)close(fd);
	buf_fini(&nothing);
}

/* One certificate for all listeners is no way from one protocol into another. */
static void protocols_that_clients_name(void **state)
{
	static const struct {
		unsigned service;
		const char *alpn; /* as on the wire */
		bool is_fine;
	} rows[] = {
		{HTTPS, "\x02h2\x08http/1.1", true},
		{HTTPS, "\x02h2", false},
		{HTTPS, "\x04imap", false},
		{IMAPS, "\x02h2\x08http/1.1", false},
		{IMAPS, "\x08http/1.1", false},
		{IMAPS, "\x04imap", true},
		{POP3S, "\x02h2", false},
		{POP3S, "\x04pop3", true},
	};

	(void)state;
	desk_host_start(&desk, program, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = desk_client(&desk, rows[i].service);
		SSL *ssl = SSL_new(client_context);

		must(SSL_set_alpn_protos(ssl, (const unsigned char *)rows[i].alpn,
					 (unsigned)strlen(rows[i].alpn)) == 0);
		must(SSL_set_fd(ssl, fd) == 1);
		if ((SSL_connect(ssl) == 1) != rows[i].is_fine)
			fail_msg("row %zu", i);
		hang_up(ssl, fd);
	}
}

/* A browser's stream under TLS, all in. */
static void h_24_streams_under_tls_cost_little(void **state)
{
	enum { STREAMS = 200, FIRST = 20, LIMIT_KIB = 48 };
	static SSL *ssls[STREAMS];
	static int fds[STREAMS];
	unsigned before = 0, after;
	char text[512], account[64];

	(void)state;
	desk_host_more_accounts(&desk, 10);
	desk_host_start(&desk, program, 10);
	for (unsigned i = 0; i < STREAMS; i++) {
		(void)snprintf(account, sizeof account, "p%u@ours.example", i % 10);
		(void)snprintf(text, sizeof text,
			       "GET /jmap/events?types=*&ping=0 HTTP/1.1\r\nHost: a\r\nCookie: "
			       "__Host-holdfast=%s\r\n\r\n",
			       desk_host_session(&desk, account, 3600000000ull));
		fds[i] = desk_client(&desk, HTTPS);
		ssls[i] = secure(fds[i]);
		tls_talk(ssls[i], text, "event: now");
		if (i == FIRST - 1)
			before = desk_host_rss_kib(&desk);
	}
	after = desk_host_rss_kib(&desk);
	print_message("%u KiB for each of %u streams under TLS\n",
		      (after - before) / (STREAMS - FIRST), STREAMS - FIRST);
	if (!desk_host_is_sanitized())
		assert_true((after - before) / (STREAMS - FIRST) < LIMIT_KIB);
	for (unsigned i = 0; i < STREAMS; i++)
		hang_up(ssls[i], fds[i]);
}

/* Version 2, from 192.0.2.7 */
static const unsigned char header[28] = {'\r', '\n', '\r', '\n', 0,    '\r', '\n', 'Q', 'U', 'I',
					 'T',  '\n', 0x21, 0x11, 0,    12,   192,  0,	2,   7,
					 192,  0,    2,	   1,	 0x13, 0x88, 0,	   143};

static void behind_a_proxy(void **state)
{
	static struct span proxies[] = {SPAN_LIT("127.0.0.0/8")};
	SSL *ssl;
	BIO *in, *out;
	char bytes[4096], all[4200];
	int fd, n;
	const int head = sizeof header;

	(void)state;
	desk.host.config.proxy_from = proxies;
	desk.host.config.proxy_from_n = 1;
	desk_host_start(&desk, program, 0);
	fd = desk_client(&desk, IMAP);
	assert_int_equal(send(fd, header, sizeof header, MSG_NOSIGNAL), sizeof header);
	talk(fd, "", "* OK");
	talk(fd, "a LOGIN anna@ours.example secret\r\n", "a NO"); /* not from this machine */
	(void)close(fd);
	/* The header and the beginning of the handshake in one segment. */
	fd = desk_client(&desk, IMAPS);
	ssl = SSL_new(client_context);
	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	SSL_set_bio(ssl, in, out);
	assert_int_equal(SSL_connect(ssl), -1);
	n = BIO_read(out, bytes, sizeof bytes);
	must(n > 0);
	memcpy(all, header, head);
	memcpy(all + head, bytes, (size_t)n);
	assert_int_equal(send(fd, all, (size_t)(head + n), MSG_NOSIGNAL), head + n);
	while (SSL_connect(ssl) != 1) {
		ssize_t got;

		while ((n = BIO_read(out, bytes, sizeof bytes)) > 0)
			must(send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n);
		if (SSL_is_init_finished(ssl))
			break;
		got = recv(fd, bytes, sizeof bytes, 0);
		assert_true(got > 0);
		must(BIO_write(in, bytes, (int)got) == got);
	}
	assert_true(SSL_is_init_finished(ssl));
	hang_up(ssl, fd);
	fd = desk_client(&desk, HTTPS); /* the header alone, then the handshake */
	assert_int_equal(send(fd, header, sizeof header, MSG_NOSIGNAL), sizeof header);
	ssl = secure(fd);
	tls_talk(ssl, "GET /api/portal HTTP/1.1\r\nHost: a\r\n\r\n", "\"version\"");
	hang_up(ssl, fd);
}

/* I-14 under TLS, all in. */
static void i_14_idle_tls_sessions_cost_little(void **state)
{
	enum { SESSIONS = 200, FIRST = 20, LIMIT_KIB = 32 };
	static SSL *ssls[SESSIONS];
	static int fds[SESSIONS];
	unsigned before = 0, after;

	(void)state;
	desk.host.config.sessions_per_account = 2 * SESSIONS;
	desk.host.config.limits.sessions = 2 * SESSIONS;
	desk_host_start(&desk, program, 200);
	for (unsigned i = 0; i < SESSIONS; i++) {
		fds[i] = desk_client(&desk, IMAPS);
		ssls[i] = secure(fds[i]);
		tls_talk(ssls[i], "a LOGIN anna@ours.example secret\r\n", "a OK");
		tls_talk(ssls[i], "b SELECT INBOX\r\n", "b OK");
		tls_talk(ssls[i], "c FETCH 1:* (FLAGS)\r\n", "c OK");
		tls_talk(ssls[i], "d IDLE\r\n", "+ ");
		if (i == FIRST - 1)
			before = desk_host_rss_kib(&desk);
	}
	after = desk_host_rss_kib(&desk);
	print_message("%u KiB for each of %u idle TLS sessions\n",
		      (after - before) / (SESSIONS - FIRST), SESSIONS - FIRST);
	if (!desk_host_is_sanitized())
		assert_true((after - before) / (SESSIONS - FIRST) < LIMIT_KIB);
	desk_host_mail(&desk, SPAN_LIT("Subject: new\r\n\r\nbody\r\n"));
	for (unsigned i = 0; i < SESSIONS; i++) {
		tls_talk(ssls[i], "", "* 201 EXISTS");
		hang_up(ssls[i], fds[i]);
	}
}

int main(int argc, char **argv)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(t_01_nothing_from_before_starttls_counts), ROW(where_tls_comes_first),
		ROW(https_is_tls_from_the_first_byte),	       ROW(protocols_that_clients_name),
		ROW(h_24_streams_under_tls_cost_little),       ROW(behind_a_proxy),
		ROW(i_14_idle_tls_sessions_cost_little),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	(void)setenv("HOLDFAST_SECCOMP", "kill", 0);
	(void)signal(SIGPIPE, SIG_IGN);
	client_context = SSL_CTX_new(TLS_client_method());
	must(client_context);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
