/* The probe against a small SMTP server on the same loop, which answers as the row says. */
#include "role/common/smtp_probe.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "loop/conn.h"
#include "loop/loop.h"
#include "tls/tls.h"

struct server {
	const char *greeting, *ehlo, *mail, *rcpt; /* NULL: says nothing; "": hangs up */
	struct listener *listener;
	unsigned sessions, refused_tls;
	struct tls_context *tls;
};

struct scene {
	struct loop *loop;
	struct server server;
	struct sockaddr_in at;
	struct smtp_probe_result result;
	unsigned done;
};

static void say_or_hang_up(struct conn *c, const char *text)
{
	if (!text)
		return;
	if (!*text)
		conn_close(c);
	conn_send(c, span_str(text));
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct server *s = arg;
	struct span rest = bytes;

	if (bytes.p[0] == 22) { /* a handshake record, and we have no TLS */
		conn_send(c, SPAN_LIT("this is no handshake\r\n"));
		return bytes.n;
	}
	while (span_chr(rest, '\n') >= 0) {
		struct span line = span_cut(&rest, '\n');

		if (span_starts_nocase(line, SPAN_LIT("EHLO")))
			say_or_hang_up(c, s->ehlo);
		else if (span_starts_nocase(line, SPAN_LIT("STARTTLS"))) {
			conn_send(c, SPAN_LIT("220 go\r\n"));
			if (s->tls)
				conn_start_tls(c, s->tls, true, NULL);
		} else if (span_starts_nocase(line, SPAN_LIT("MAIL")))
			say_or_hang_up(c, s->mail);
		else if (span_starts_nocase(line, SPAN_LIT("RCPT")))
			say_or_hang_up(c, s->rcpt);
		else if (span_starts_nocase(line, SPAN_LIT("QUIT")))
			conn_close(c);
	}
	return bytes.n - rest.n;
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct server *s = arg;

	(void)c;
	(void)why;
	s->refused_tls += rc == REFUSED;
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};
	struct scene *s = arg;
	struct conn *c = conn_accept(s->loop, fd, &ops, &s->server);

	(void)peer;
	(void)is_last;
	s->server.sessions++;
	say_or_hang_up(c, s->server.greeting);
}

static void scene_open(struct scene *s)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof s->at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&s->at, &n), 0);
	s->loop = loop_new();
	s->server.listener = listener_new(s->loop, fd, on_accept, s);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Lets what was closed close, so that nothing is left when the loop is freed. */
static void scene_close(struct scene *s)
{
	struct loop_timer *t = loop_timer_new(s->loop, stop, s->loop);

	loop_timer_set(t, 50000);
	loop_run(s->loop);
	loop_timer_free(t);
	listener_free(s->server.listener);
	loop_free(s->loop);
	tls_context_unref(s->server.tls);
}

static void on_done(void *arg, const struct smtp_probe_result *result)
{
	struct scene *s = arg;

	s->result = *result;
	s->done++;
	loop_stop(s->loop);
}

static void probe(struct scene *s, struct smtp_probe_options options)
{
	memcpy(&options.to, &s->at, sizeof s->at);
	options.to_n = sizeof s->at;
	options.helo = SPAN_LIT("probe.example");
	s->done = 0;
	(void)smtp_probe_start(s->loop, &options, on_done, s);
	assert_int_equal(s->done, 0);
	loop_run(s->loop);
	assert_int_equal(s->done, 1);
}

#define GREETING "220 mx.example ready\r\n"
#define EHLO	 "250-mx.example\r\n250-SIZE 5000\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
#define OKAY	 "250 2.1.0 ok\r\n"

static const struct row {
	const char *name, *greeting, *ehlo, *mail, *rcpt;
	enum smtp_probe_class class;
	const char *stage;
	unsigned code;
	const char *text;
	bool timed_out;
} rows[] = {
	{"fine", GREETING, EHLO, OKAY, "250 2.1.5 yes\r\n", SMTP_PROBE_FINE, "rcpt", 250, "yes",
	 false},
	{"unknown recipient", GREETING, EHLO, OKAY, "550 5.1.1 no\r\n", SMTP_PROBE_RCPT, "rcpt",
	 550, "no", false},
	{"sender refused", GREETING, EHLO, "451 4.7.1 grey\r\n", "503 x\r\n", SMTP_PROBE_MAIL,
	 "mail", 451, "grey", false},
	{"421 greeting", "421 4.3.2 busy\r\n", EHLO, OKAY, OKAY, SMTP_PROBE_GREETING, "greeting",
	 421, "busy", false},
	{"554 greeting", "554 go away\r\n", EHLO, OKAY, OKAY, SMTP_PROBE_GREETING, "greeting", 554,
	 "go away", false},
	{"hangs up at once", "", EHLO, OKAY, OKAY, SMTP_PROBE_GREETING, "greeting", 0,
	 "the server closed the connection", false},
	{"silent greeting", NULL, EHLO, OKAY, OKAY, SMTP_PROBE_GREETING, "greeting", 0,
	 "no answer within 100 ms", true},
	{"silent EHLO", GREETING, NULL, OKAY, OKAY, SMTP_PROBE_EHLO, "ehlo", 0,
	 "no answer within 100 ms", true},
	{"hangs up at MAIL", GREETING, EHLO, "", OKAY, SMTP_PROBE_MAIL, "mail", 0,
	 "the server closed the connection", false},
	{"silent RCPT", GREETING, EHLO, OKAY, NULL, SMTP_PROBE_RCPT, "rcpt", 0,
	 "no answer within 100 ms", true},
	{"no SMTP", "SSH-2.0\r\n", EHLO, OKAY, OKAY, SMTP_PROBE_GREETING, "greeting", 0,
	 "what the server sent is not an SMTP reply", false},
};

/* N-03: each way a primary can be broken has its class. */
static void n_03_each_failure_has_its_class(void **state)
{
	const struct span rcpt = SPAN_LIT("postmaster@example");

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct scene s = {
			.server = {r->greeting, r->ehlo, r->mail, r->rcpt, NULL, 0, 0, NULL}};

		scene_open(&s);
		probe(&s, (struct smtp_probe_options){.rcpts = &rcpt,
						      .rcpts_n = 1,
						      .deadline_ms = r->timed_out ? 100 : 5000});
		if (s.result.class != r->class || strcmp(s.result.stage, r->stage) != 0 ||
		    s.result.code != r->code || strcmp(s.result.text, r->text) != 0 ||
		    s.result.timed_out != r->timed_out)
			fail_msg("%s: class %s, stage %s, %u \"%s\"", r->name,
				 smtp_probe_class_name(s.result.class), s.result.stage,
				 s.result.code, s.result.text);
		scene_close(&s);
	}
}

static void tells_what_the_server_offers(void **state)
{
	const struct span rcpts[] = {SPAN_LIT("a@example"), SPAN_LIT("b@example")};
	struct scene s = {.server = {GREETING, EHLO, OKAY, OKAY, NULL, 0, 0, NULL}};

	(void)state;
	scene_open(&s);
	probe(&s, (struct smtp_probe_options){.rcpts = rcpts, .rcpts_n = 2});
	assert_true(s.result.esmtp && s.result.pipelining && s.result.eightbit);
	assert_false(s.result.smtputf8 || s.result.dsn || s.result.starttls_offered ||
		     s.result.tls_used);
	assert_int_equal(s.result.size_limit, 5000);
	assert_int_equal(s.result.rcpts_n, 2);
	assert_int_equal(s.result.rcpts[1].code, 250);
	assert_string_equal(s.result.greeting, "mx.example ready");
	probe(&s, (struct smtp_probe_options){.mail_only = true});
	assert_int_equal(s.result.class, SMTP_PROBE_FINE);
	assert_string_equal(s.result.stage, "mail");
	probe(&s, (struct smtp_probe_options){0});
	assert_int_equal(s.result.class, SMTP_PROBE_FINE);
	assert_string_equal(s.result.stage, "ehlo");
	s.server.mail = "550 5.7.1 no\r\n";
	probe(&s, (struct smtp_probe_options){.mail_only = true});
	assert_int_equal(s.result.class, SMTP_PROBE_MAIL);
	scene_close(&s);
}

static void nobody_listens(void **state)
{
	struct scene s = {0};

	(void)state;
	scene_open(&s);
	listener_free(s.server.listener);
	s.server.listener = NULL;
	probe(&s, (struct smtp_probe_options){0});
	assert_int_equal(s.result.class, SMTP_PROBE_TCP);
	assert_string_equal(s.result.stage, "connect");
	assert_non_null(strstr(s.result.text, "refused"));
	loop_free(s.loop);
}

static void uses_tls_and_falls_back(void **state)
{
	struct scene s = {
		.server = {GREETING, "250-mx\r\n250 STARTTLS\r\n", OKAY, OKAY, NULL, 0, 0, NULL}};
	char folder[] = "/tmp/holdfast-probe-XXXXXX", certificate[64], key[64];
	struct tls_context *client, *strict;
	struct fault why = {0};

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
	(void)snprintf(key, sizeof key, "%s/k.pem", folder);
	assert_int_equal(tls_self_signed(certificate, key, "mx.example", &why), OK);
	assert_int_equal(tls_client_new(false, NULL, &client, &why), OK);
	assert_int_equal(tls_client_new(true, NULL, &strict, &why), OK);
	scene_open(&s);
	/* T-03's server: it sends plain text where the handshake should be. */
	probe(&s, (struct smtp_probe_options){.tls = client, .mail_only = true});
	assert_int_equal(s.result.class, SMTP_PROBE_TLS);
	probe(&s, (struct smtp_probe_options){
			  .tls = client, .mail_only = true, .plain_after_tls_failure = true});
	assert_int_equal(s.result.class, SMTP_PROBE_FINE);
	assert_true(s.result.starttls_offered && !s.result.tls_used);
	assert_int_equal(s.server.sessions, 3);
	assert_int_equal(tls_server_new(certificate, key, "test", &s.server.tls, &why), OK);
	probe(&s, (struct smtp_probe_options){.tls = client,
					      .tls_required = true,
					      .mail_only = true,
					      .host_name = "mx.example"});
	assert_int_equal(s.result.class, SMTP_PROBE_FINE);
	assert_true(s.result.tls_used && !s.result.tls_verified);
	assert_non_null(strstr(s.result.tls_text, "TLSv1.3"));
	probe(&s, (struct smtp_probe_options){.tls = strict,
					      .tls_required = true,
					      .mail_only = true,
					      .host_name = "mx.example"});
	assert_int_equal(s.result.class, SMTP_PROBE_TLS);
	s.server.ehlo = OKAY;
	probe(&s,
	      (struct smtp_probe_options){.tls = client, .tls_required = true, .mail_only = true});
	assert_int_equal(s.result.class, SMTP_PROBE_TLS);
	scene_close(&s);
	tls_context_unref(client);
	tls_context_unref(strict);
	(void)unlink(certificate);
	(void)unlink(key);
	(void)rmdir(folder);
}

static void cancelled_says_nothing(void **state)
{
	struct scene s = {.server = {GREETING, EHLO, OKAY, OKAY, NULL, 0, 0, NULL}};
	struct smtp_probe_options options = {.helo = SPAN_LIT("x"), .mail_only = true};

	(void)state;
	scene_open(&s);
	memcpy(&options.to, &s.at, sizeof s.at);
	options.to_n = sizeof s.at;
	smtp_probe_cancel(smtp_probe_start(s.loop, &options, on_done, &s));
	scene_close(&s);
	assert_int_equal(s.done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(n_03_each_failure_has_its_class),
		cmocka_unit_test(tells_what_the_server_offers),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(uses_tls_and_falls_back),
		cmocka_unit_test(cancelled_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
