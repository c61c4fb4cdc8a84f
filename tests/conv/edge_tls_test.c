/*
 * STARTTLS against a real holdfast-edge, with OpenSSL as the client: T-01 (injection), T-09 (cut
 * without close_notify), T-10 (certificates replaced under open sessions, bad pairs).
 */
#include "edge_host.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
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
#include "os/os.h"
#include "tls/tls.h"

static const char *program;
static struct edge_host host;
static struct buf said;
static SSL_CTX *client_context;
static char certificate[128], key[128];

static void make_pair(const char *name, const char *certificate_path, const char *key_path)
{
	struct fault why = {0};

	(void)unlink(certificate_path);
	(void)unlink(key_path);
	if (tls_self_signed(certificate_path, key_path, name, &why) != OK)
		print_error("%s\n", why.text);
}

static int set_up(void **state)
{
	(void)state;
	edge_host_init(&host);
	(void)snprintf(certificate, sizeof certificate, "%s/tls/use/certificate.pem", host.folder);
	(void)snprintf(key, sizeof key, "%s/tls/use/key.pem", host.folder);
	make_pair("one.test.example", certificate, key);
	host.config.tls_certificate = span_str(certificate);
	host.config.tls_key = span_str(key);
	edge_host_start(&host, program);
	return 0;
}

static unsigned stop_and_count(void)
{
	siginfo_t info;
	unsigned n;
	int status;

	edge_host_tell_stop(&host);
	assert_int_equal(waitid(P_PID, (id_t)host.pid, &info, WEXITED | WNOWAIT), 0);
	n = edge_host_messages(&host, NULL, NULL);
	status = edge_host_stop(&host);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	buf_fini(&said);
	return n;
}

/* In clear up to STARTTLS, with `behind` in the same segment; returns after the handshake. */
static SSL *secure(int fd, const char *behind)
{
	SSL *ssl = SSL_new(client_context);
	char line[512];

	edge_hear(fd, 1, &said);
	edge_say(fd, "EHLO clear.example\r\n");
	edge_hear(fd, 1, &said);
	assert_non_null(strstr((char *)said.p, "250-STARTTLS\r\n"));
	(void)snprintf(line, sizeof line, "STARTTLS\r\n%s", behind);
	edge_say(fd, line);
	edge_hear(fd, 1, &said);
	assert_string_equal((char *)said.p, "220 2.0.0 Ready to start TLS\r\n");
	must(SSL_set_fd(ssl, fd) == 1);
	assert_int_equal(SSL_connect(ssl), 1);
	return ssl;
}

static void tls_say(SSL *ssl, const char *text)
{
	int n = (int)strlen(text);

	assert_int_equal(SSL_write(ssl, text, n), n);
}

static void tls_hear(SSL *ssl, const char *last)
{
	char bytes[4096];
	int n;

	buf_clear(&said);
	while (!strstr(buf_cstr(&said), last) && (n = SSL_read(ssl, bytes, sizeof bytes)) > 0)
		buf_append(&said, span_of(bytes, (size_t)n));
	if (!strstr(buf_cstr(&said), last))
		print_error("expected %s, got %s\n", last, buf_cstr(&said));
	assert_non_null(strstr(buf_cstr(&said), last));
}

static void hang_up(SSL *ssl, int fd)
{
	SSL_free(ssl);
	close(fd);
}

static void t_01_nothing_from_before_tls_counts(void **state)
{
	static const char *const injected[] = {"EHLO x\r\n", "NOOP\r\nNOOP\r\n",
					       "MAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\n",
					       "QUIT\r\n", "NOO"};

	(void)state;
	for (size_t i = 0; i < sizeof injected / sizeof *injected; i++) {
		int fd = edge_client(&host);
		SSL *ssl = secure(fd, injected[i]);

		tls_say(ssl, "RCPT TO:<b@ours.example>\r\n");
		tls_hear(ssl, "\r\n");
		assert_true(span_starts(buf_span(&said), SPAN_LIT("503 5.5.1 Send EHLO")));
		tls_say(ssl, "EHLO secret.example\r\n");
		tls_hear(ssl, "250 ENH");
		assert_null(strstr((char *)said.p, "STARTTLS"));
		assert_non_null(strstr((char *)said.p, "greets secret.example"));
		hang_up(ssl, fd);
	}
	assert_int_equal(stop_and_count(), 0);
}

/* The message in n TLS records; after record i the connection is cut, without close_notify, for
 * every i. */
static void t_09_a_cut_without_close_notify_stores_nothing(void **state)
{
	static const char *const records[] = {"EHLO x\r\n",
					      "MAIL FROM:<a@x>\r\n",
					      "RCPT TO:<b@ours.example>\r\n",
					      "DATA\r\n",
					      "Subject: x\r\n",
					      "\r\n",
					      "body\r\n",
					      "more\r\n",
					      ".\r\n"};
	static const char *const replies[] = {"250 ENH", "250 ", "250 ", "354 ",     NULL,
					      NULL,	 NULL,	 NULL,	 "250 2.0.0"};
	enum { RECORDS = sizeof records / sizeof *records };

	(void)state;
	for (size_t last = 0; last <= RECORDS; last++) {
		int fd = edge_client(&host);
		SSL *ssl = secure(fd, "");

		for (size_t i = 0; i < last; i++) {
			tls_say(ssl, records[i]);
			if (replies[i])
				tls_hear(ssl, replies[i]);
		}
		SSL_set_quiet_shutdown(ssl, 1); /* FIN alone */
		hang_up(ssl, fd);
	}
	assert_int_equal(stop_and_count(), 1); /* the one that was complete and answered */
}

static void common_name(SSL *ssl, char *out, size_t n)
{
	X509 *peer = SSL_get1_peer_certificate(ssl);

	assert_non_null(peer);
	assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, out,
					      (int)n) > 0);
	X509_free(peer);
}

static bool is_offered(const char *name)
{
	char got[128];
	int fd = edge_client(&host);
	SSL *ssl = secure(fd, "");

	common_name(ssl, got, sizeof got);
	hang_up(ssl, fd);
	return strcmp(got, name) == 0;
}

/* Reloads until a new session is offered this name (the reload goes another way than the session).
 * */
static void await_name(const char *name)
{
	bool is_there = false;

	for (int i = 0; i < 200 && !is_there; i++) {
		edge_host_reload(&host);
		is_there = is_offered(name);
	}
	assert_true(is_there);
}

static void t_10_certificates_change_under_sessions(void **state)
{
	char other[128];
	int fd = edge_client(&host);
	SSL *ssl = secure(fd, "");

	(void)state;
	(void)snprintf(other, sizeof other, "%s/tls/use/other.pem", host.folder);
	tls_say(ssl, "EHLO x\r\n");
	tls_hear(ssl, "250 ENH");
	make_pair("two.test.example", certificate, key);
	await_name("two.test.example");
	/* a bad pair: the old one stays */
	make_pair("three.test.example", certificate, other);
	for (int i = 0; i < 5; i++) {
		edge_host_reload(&host);
		assert_true(is_offered("two.test.example"));
	}
	/* no file at all */
	must(unlink(certificate) == 0);
	edge_host_reload(&host);
	assert_true(is_offered("two.test.example"));
	make_pair("four.test.example", certificate, key);
	await_name("four.test.example");
	/* the first session has lived through all of it */
	tls_say(ssl, "MAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
	tls_hear(ssl, "354 ");
	tls_say(ssl, "x\r\n.\r\n");
	tls_hear(ssl, "250 2.0.0");
	hang_up(ssl, fd);
	assert_int_equal(stop_and_count(), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(t_01_nothing_from_before_tls_counts, set_up),
		cmocka_unit_test_setup(t_09_a_cut_without_close_notify_stores_nothing, set_up),
		cmocka_unit_test_setup(t_10_certificates_change_under_sessions, set_up),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s HOLDFAST-EDGE\n", argv[0]);
		return 2;
	}
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	client_context = SSL_CTX_new(TLS_client_method());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
