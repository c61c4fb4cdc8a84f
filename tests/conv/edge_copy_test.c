/*
 * Copies of mail that a primary has handled already, against a real holdfast-edge: who may send them, what becomes of
 * journal reports, blind copies and dual delivery, and that copies and other mail do not mix.
 */
#include "edge_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;
static struct edge_host host;
static struct buf said, metas, bodies;
static struct arena arena;

/* ours.example is backup-mx with an address for copies; dual.example takes nothing else. */
static struct msg_domain domains[2];
static struct span from[2], to[1];

static int set_up(void **state)
{
	(void)state;
	edge_host_init(&host);
	from[0] = SPAN_LIT("127.0.0.1");
	from[1] = SPAN_LIT("Primary@ex.example");
	to[0] = SPAN_LIT("Journal@ours.example");
	domains[0] = host.config.domains[0];
	domains[0].journal_from = from;
	domains[0].journal_from_n = 2;
	domains[0].journal_to = to;
	domains[0].journal_to_n = 1;
	domains[1] = (struct msg_domain){.name = SPAN_LIT("dual.example"),
					 .site = SPAN_LIT("head"),
					 .mode = SPAN_LIT("journal"),
					 .unknown = SPAN_LIT("hold"),
					 .journal_from = from,
					 .journal_from_n = 2};
	host.config.domains = domains;
	host.config.domains_n = 2;
	arena_init(&arena, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_fini(&said);
	buf_fini(&metas);
	buf_fini(&bodies);
	arena_fini(&arena);
	return 0;
}

static int greeted(const char *mail)
{
	char line[200];
	int fd = edge_client(&host);

	edge_hear(fd, 1, &said);
	(void)snprintf(line, sizeof line, "EHLO x\r\nMAIL FROM:<%s>\r\n", mail);
	edge_say(fd, line);
	edge_hear(fd, 2, &said);
	return fd;
}

static void expect(int fd, const char *line, const char *last)
{
	edge_say(fd, line);
	edge_hear(fd, 1, &said);
	if (!strstr((char *)said.p, last))
		print_error("of %s expected %s, got:\n%s\n", line, last, (char *)said.p);
	assert_non_null(strstr((char *)said.p, last));
}

/* How many messages there are, and the record of the last one. */
static unsigned stop_and_read(struct msg_message_meta *m)
{
	siginfo_t info;
	unsigned n;
	int status;

	edge_host_tell_stop(&host);
	assert_int_equal(waitid(P_PID, (id_t)host.pid, &info, WEXITED | WNOWAIT), 0);
	n = edge_host_messages(&host, &bodies, &metas);
	status = edge_host_stop(&host);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (m)
		assert_true(msg_message_meta_decode(&arena, buf_span(&metas), m));
	return n;
}

static void assert_rcpts(const struct msg_message_meta *m, const char *want)
{
	char got[500] = "";

	for (size_t i = 0; i < m->rcpts_n; i++)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? " " : "",
			       SPAN_FMT(m->rcpts[i].address));
	assert_string_equal(got, want);
}

#define ORIGINAL                                                                                   \
	"From: Anna <anna@ours.example>\r\nSubject: Figures\r\nMessage-ID: <f@ours.example>\r\n"   \
	"Date: Sat, 21 Nov 2026 22:10:21 +0100\r\n\r\nbody\r\n..dot\r\n"
#define HEAD                                                                                       \
	"From: <MicrosoftExchange329e@ex.example>\r\nSubject: Figures\r\nMessage-ID: "             \
	"<report@ex.example>\r\nContent-Type: multipart/mixed; boundary=\"_b_\"\r\n"               \
	"X-MS-Journal-Report:\r\n\r\n--_b_\r\nContent-Type: text/plain\r\n\r\n"
#define PART2 "\r\n--_b_\r\nContent-Type: message/rfc822\r\n\r\n"
#define TAIL  "\r\n--_b_--\r\n"

static void a_report_is_a_copy_for_those_whom_it_names(void **state)
{
	struct msg_message_meta m;
	const char *original;
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd,
	       HEAD "Sender: anna@ours.example\r\nSubject: Figures\r\nMessage-ID: "
		    "<f@ours.example>\r\nTo: Berta@ours.example, Expanded: team@ours.example\r\n"
		    "Cc: carl@dual.example\r\nBcc: berta@ours.example\r\nRecipient: "
		    "foreign@far.example\r\nTo: journal@ours.example\r\n" PART2 ORIGINAL TAIL
		    ".\r\n",
	       "250 2.0.0 Ok: stored as");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_int_equal(m.origin, 4);
	assert_true(span_eq(m.sender, SPAN_LIT("anna@ours.example")));
	assert_rcpts(&m, "Berta@ours.example carl@dual.example");
	assert_true(span_eq(m.rcpts[1].domain, SPAN_LIT("dual.example")));
	assert_true(span_eq(m.rcpts[1].site, SPAN_LIT("head")));
	assert_true(span_eq(m.message_id, SPAN_LIT("<f@ours.example>")));
	assert_true(span_eq(m.date, SPAN_LIT("Sat, 21 Nov 2026 22:10:21 +0100")));
	assert_true(span_eq(m.from, SPAN_LIT("Anna <anna@ours.example>")));
	original = "From: Anna <anna@ours.example>\r\n";
	assert_memory_equal(bodies.p + m.inner_offset, original, strlen(original));
	assert_memory_equal(bodies.p + m.inner_offset + m.inner_bytes - 6, ".dot\r\n", 6);
}

/* Above a chunk: what is written while it arrives is the same, and the report is read on the way. */
static void a_large_report_is_read_on_the_way(void **state)
{
	enum { LINES = 8000 };
	static char line[80];
	struct msg_message_meta m;
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	edge_say(fd, HEAD "Sender: stranger@far.example\r\nRecipient: "
			  "berta@ours.example\r\n" PART2 ORIGINAL);
	(void)snprintf(line, sizeof line, "%076d\r\n", 7);
	for (int i = 0; i < LINES; i++)
		edge_say(fd, line);
	expect(fd, TAIL ".\r\n", "250 2.0.0");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_rcpts(&m, "berta@ours.example");
	assert_true(span_eq(m.sender, SPAN_LIT("stranger@far.example")));
	assert_int_equal(m.inner_bytes,
			 sizeof ORIGINAL - 2 + LINES * 78); /* one dot less, no NUL */
}

static void a_blind_copy_goes_by_the_header(void **state)
{
	struct msg_message_meta m;
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("anna@ours.example");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "250 2.1.5");
	expect(fd, "RCPT TO:<dora@dual.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd,
	       "To: B <berta@ours.example>, x@far.example\r\nCc: dora@dual.example\r\n"
	       "Message-ID: <f@x>\r\n\r\nbody\r\n.\r\n",
	       "250 2.0.0");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_int_equal(m.origin, 4);
	assert_int_equal(m.inner_bytes, 0);
	assert_true(span_eq(m.sender, SPAN_LIT("anna@ours.example")));
	assert_rcpts(&m, "dora@dual.example berta@ours.example");
	assert_true(span_eq(m.message_id, SPAN_LIT("<f@x>")));
}

/* Nobody of ours is named: kept under the address it came to, not lost. */
static void a_copy_for_nobody_is_kept(void **state)
{
	struct msg_message_meta m;
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd, "Subject: x\r\n\r\nbody\r\n.\r\n", "250 2.0.0");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_int_equal(m.origin, 4);
	assert_rcpts(&m, "journal@ours.example");
}

static void who_may_send_copies_is_named(void **state)
{
	struct msg_message_meta m;
	int fd;

	(void)state;
	from[0] = SPAN_LIT("192.0.2.0/24");
	edge_host_start(&host, program);
	fd = greeted("a@far.example");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "550 5.7.1");
	expect(fd, "RCPT TO:<anna@dual.example>\r\n", "550 5.7.1");
	expect(fd, "RCPT TO:<Postmaster@dual.example>\r\n", "250 2.1.5"); /* as in any domain */
	expect(fd, "RCPT TO:<anna@ours.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd, "x\r\n.\r\n", "250 2.0.0");
	close(fd);
	fd = greeted("primary@EX.example");
	expect(fd, "RCPT TO:<journal@ours.example>\r\n", "250 2.1.5");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_int_equal(m.origin, 0);
	assert_rcpts(&m, "Postmaster@dual.example anna@ours.example");
}

static void copies_and_other_mail_do_not_mix(void **state)
{
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("a@far.example");
	expect(fd, "RCPT TO:<anna@dual.example>\r\n", "250 2.1.5");
	expect(fd, "RCPT TO:<anna@ours.example>\r\n", "452 4.5.3");
	expect(fd, "RCPT TO:<postmaster@dual.example>\r\n", "250 2.1.5");
	expect(fd, "RSET\r\n", "250 ");
	expect(fd, "MAIL FROM:<a@far.example>\r\n", "250 ");
	expect(fd, "RCPT TO:<anna@ours.example>\r\n", "250 2.1.5");
	expect(fd, "RCPT TO:<anna@dual.example>\r\n", "452 4.5.3");
	close(fd);
	assert_int_equal(stop_and_read(NULL), 0);
}

/* S-18: a copy goes nowhere, so it cannot go round; other mail with the same marks is refused. */
static void s_18_a_copy_of_what_passed_us_is_taken(void **state)
{
#define MARK "Received: from x by mx2.test.example (Holdfast) with ESMTP id 1;\r\n\tdate\r\n"
	struct msg_message_meta m;
	int fd;

	(void)state;
	edge_host_start(&host, program);
	fd = greeted("a@far.example");
	expect(fd, "RCPT TO:<anna@dual.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd, MARK MARK "\r\nbody\r\n.\r\n", "250 2.0.0");
	expect(fd, "MAIL FROM:<a@far.example>\r\n", "250 ");
	expect(fd, "RCPT TO:<anna@ours.example>\r\n", "250 2.1.5");
	expect(fd, "DATA\r\n", "354 ");
	expect(fd, MARK MARK "\r\nbody\r\n.\r\n", "554 5.4.6");
	close(fd);
	assert_int_equal(stop_and_read(&m), 1);
	assert_int_equal(m.origin, 4);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_report_is_a_copy_for_those_whom_it_names),
		TEST(a_large_report_is_read_on_the_way),
		TEST(a_blind_copy_goes_by_the_header),
		TEST(a_copy_for_nobody_is_kept),
		TEST(who_may_send_copies_is_named),
		TEST(copies_and_other_mail_do_not_mix),
		TEST(s_18_a_copy_of_what_passed_us_is_taken),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s HOLDFAST-EDGE\n", argv[0]);
		return 2;
	}
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
