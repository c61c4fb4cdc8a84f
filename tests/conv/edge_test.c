/*
 * A real holdfast-edge process with its peers played by the test: what a sender hears, what is in
 * the lane afterwards, what the sequencer is told, and that nobody else is needed (P2).
 */
#include "edge_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "publish/publish.h"

static const char *program;
static struct edge_host host;
static struct buf said, metas, bodies;

static int set_up(void **state)
{
	(void)state;
	edge_host_init(&host);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_fini(&said);
	buf_fini(&metas);
	buf_fini(&bodies);
	return 0;
}

static void start(void)
{
	edge_host_start(&host, program);
}

/* A client that has heard the greeting. */
static int greeted(void)
{
	int fd = edge_client(&host);

	edge_hear(fd, 1, &said);
	return fd;
}

static void stop(void)
{
	edge_host_tell_stop(&host);
}

static void expect(int fd, unsigned replies, const char *last)
{
	edge_hear(fd, replies, &said);
	if (!strstr((char *)said.p, last))
		print_error("expected %s, got:\n%s\n", last, (char *)said.p);
	assert_non_null(strstr((char *)said.p, last));
}

static void wait_exit(void)
{
	int status = edge_host_stop(&host);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Ends the process, keeping its folder, so that the lane can be read. */
static unsigned stop_and_count(void)
{
	siginfo_t info;
	unsigned n;

	stop();
	assert_int_equal(waitid(P_PID, (id_t)host.pid, &info, WEXITED | WNOWAIT), 0);
	n = edge_host_messages(&host, &bodies, &metas);
	wait_exit();
	return n;
}

static void a_message_is_in_the_lane_when_250_was_said(void **state)
{
	struct msg_message_meta m;
	struct buf frame = {0};
	struct msg_durable durable;
	struct arena a;
	int fd;

	(void)state;
	start();
	fd = edge_client(&host);
	expect(fd, 1, "220 mx2.test.example ESMTP");
	edge_say(fd,
		 "EHLO client.example\r\nMAIL FROM:<a@sender.example> RET=HDRS ENVID=e1\r\n"
		 "RCPT TO:<B@ours.example> NOTIFY=FAILURE ORCPT=rfc822;b@ours.example\r\nDATA\r\n");
	expect(fd, 4, "354 ");
	edge_say(fd, "Message-ID: <1@x>\r\nSubject: hello\r\n\r\n..dot\r\n.\r\nQUIT\r\n");
	expect(fd, 2, "250 2.0.0 Ok: stored as ");
	close(fd);
	arena_init(&a, 1 << 20);
	assert_int_equal(edge_host_frame(host.sequencer, 2000, &frame), MSG_DURABLE);
	assert_true(msg_durable_decode(&a, buf_span(&frame), &durable));
	assert_true(span_eq(durable.lane, SPAN_LIT("edge-0")));
	assert_int_equal(stop_and_count(), 1);
	assert_string_equal(buf_cstr(&bodies),
			    "Message-ID: <1@x>\r\nSubject: hello\r\n\r\n.dot\r\n\x1e");
	assert_true(msg_message_meta_decode(&a, buf_span(&metas), &m));
	assert_true(span_eq(m.sender, SPAN_LIT("a@sender.example")));
	assert_int_equal(m.rcpts_n, 1);
	assert_true(span_eq(m.rcpts[0].address, SPAN_LIT("B@ours.example")));
	assert_true(span_eq(m.rcpts[0].orcpt, SPAN_LIT("rfc822;b@ours.example")));
	assert_true(span_eq(m.rcpts[0].site, SPAN_LIT("head")));
	assert_int_equal(m.rcpts[0].notify, 4);
	assert_int_equal(m.ret, 2);
	assert_true(span_eq(m.envid, SPAN_LIT("e1")));
	assert_true(span_eq(m.message_id, SPAN_LIT("<1@x>")));
	assert_true(span_eq(m.subject, SPAN_LIT("hello")));
	assert_true(span_eq(m.peer, SPAN_LIT("127.0.0.1")));
	assert_true(span_eq(m.protocol, SPAN_LIT("ESMTP")));
	assert_true(span_starts(
		m.trace, SPAN_LIT("Received: from client.example ([127.0.0.1])\r\n\tby mx2.test")));
	arena_fini(&a);
	buf_fini(&frame);
}

/* Bodies around and far above a chunk, with a budget of 1 MiB, on several connections at once. */
static void large_messages_pass_in_chunks(void **state)
{
	enum { CLIENTS = 6, LINES = 40000 };
	static char body[LINES * 78 + 8];
	int fds[CLIENTS];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < LINES; i++)
		n += (size_t)sprintf(body + n, "line %06d %062d\r\n", i, i);
	start();
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = greeted();
		edge_say(fds[i],
			 "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
		expect(fds[i], 4, "354 ");
	}
	for (int i = 0; i < CLIENTS; i++)
		edge_say(fds[i], body);
	for (int i = 0; i < CLIENTS; i++) {
		edge_say(fds[i], ".\r\n");
		expect(fds[i], 1, "250 2.0.0 ");
		close(fds[i]);
	}
	assert_int_equal(stop_and_count(), CLIENTS);
	assert_int_equal(bodies.n, CLIENTS * (n + 1));
	for (int i = 0; i < CLIENTS; i++)
		assert_memory_equal(bodies.p + (size_t)i * (n + 1), body, n);
}

static void bodies_of_just_a_chunk_are_whole(void **state)
{
	static char body[132000];
	size_t total = 0;
	int fd;

	(void)state;
	start();
	fd = greeted();
	edge_say(fd, "EHLO x\r\n");
	expect(fd, 1, "250 ENH");
	for (size_t n = 131069; n <= 131075; n++) {
		edge_say(fd, "MAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
		expect(fd, 3, "354 ");
		memset(body, 'a', n);
		memcpy(body + n - 2, "\r\n", 3);
		edge_say(fd, body);
		edge_say(fd, ".\r\n");
		expect(fd, 1, "250 2.0.0 ");
		total += n + 1;
	}
	close(fd);
	assert_int_equal(stop_and_count(), 7);
	assert_int_equal(bodies.n, total);
}

/* S-26 with the real thing: closed in the middle of DATA, large or small: nothing is stored. */
static void s_26_a_message_cut_off_is_not_stored(void **state)
{
	static char part[300000];
	int fd;

	(void)state;
	memset(part, 'a', sizeof part - 1);
	start();
	for (int i = 0; i < 3; i++) {
		fd = greeted();
		edge_say(fd, "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
		expect(fd, 4, "354 ");
		edge_say(fd, i == 0 ? "" : i == 1 ? "half\r\n" : part);
		close(fd);
	}
	assert_int_equal(stop_and_count(), 0);
}

static unsigned code_of_rcpt(int fd, const char *rcpt)
{
	char line[512];

	(void)snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", rcpt);
	edge_say(fd, line);
	edge_hear(fd, 1, &said);
	return (unsigned)atoi((char *)said.p);
}

static int session(const char *mail)
{
	int fd = greeted();
	char line[512];

	(void)snprintf(line, sizeof line, "EHLO x\r\nMAIL FROM:<%s>\r\n", mail);
	edge_say(fd, line);
	edge_hear(fd, 2, &said);
	return fd;
}

static void s_17_recipients_by_list_map_and_policy(void **state)
{
	struct publish_writer *w = publish_begin();
	char path[128];
	struct fault why = {0};
	int fd;

	(void)state;
	publish_add(w, SPAN_LIT("good@ours.example"), RECIPIENT_GOOD);
	publish_add(w, SPAN_LIT("bad@ours.example"), RECIPIENT_BAD);
	(void)snprintf(path, sizeof path, "%s/publish", host.folder);
	start();
	(void)snprintf(path, sizeof path, "%s/publish/recipients.map", host.folder);
	assert_int_equal(publish_commit(w, os_real(), path, 60000000, &why), OK);
	fd = session("a@x");
	assert_int_equal(code_of_rcpt(fd, "Good@ours.example"), 250);
	assert_int_equal(code_of_rcpt(fd, "good+detail@ours.example"), 250);
	assert_int_equal(code_of_rcpt(fd, "bad@ours.example"), 550);
	assert_non_null(strstr((char *)said.p, "5.1.1"));
	assert_int_equal(code_of_rcpt(fd, "bad+x@ours.example"), 550);
	assert_int_equal(code_of_rcpt(fd, "unknown@ours.example"), 250); /* unknown: hold */
	assert_int_equal(code_of_rcpt(fd, "listed@list.example"), 250);
	assert_int_equal(code_of_rcpt(fd, "listed+x@list.example"), 250);
	assert_int_equal(code_of_rcpt(fd, "other@list.example"), 550);
	assert_int_equal(code_of_rcpt(fd, "abuse@list.example"), 250);
	assert_int_equal(code_of_rcpt(fd, "postmaster"), 250);
	assert_int_equal(code_of_rcpt(fd, "u@foreign.example"), 550);
	assert_non_null(strstr((char *)said.p, "5.7.1"));
	assert_int_equal(code_of_rcpt(fd, "u@[127.0.0.1]"), 550);
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* As many recipients as a record can name, with limits.recipients at its highest: the rest is deferred, none is lost. */
static void s_13_recipients_beyond_what_a_record_holds(void **state)
{
	enum { ALL = 4500 };
	static const char local[] = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee";
	struct msg_message_meta m;
	struct arena a;
	unsigned taken = 0;
	char line[1024], orcpt[301];
	int fd;

	(void)state;
	memset(orcpt, 'o', 300);
	orcpt[300] = '\0';
	host.config.limits.recipients = 50000;
	start();
	fd = session("a@x");
	for (int i = 0; i < ALL; i++) {
		(void)snprintf(line, sizeof line, "RCPT TO:<%s%d@ours.example> ORCPT=rfc822;%s\r\n",
			       local, i, orcpt);
		edge_say(fd, line);
		edge_hear(fd, 1, &said);
		if (span_starts(buf_span(&said), SPAN_LIT("250 ")))
			taken++;
		else
			assert_true(span_starts(buf_span(&said), SPAN_LIT("452 4.5.3")));
	}
	assert_in_range(taken, 1000, ALL - 1);
	edge_say(fd, "DATA\r\n");
	expect(fd, 1, "354 ");
	edge_say(fd, "x\r\n.\r\n");
	expect(fd, 1, "250 2.0.0");
	close(fd);
	assert_int_equal(stop_and_count(), 1);
	arena_init(&a, 8 << 20);
	assert_true(msg_message_meta_decode(&a, buf_span(&metas), &m));
	assert_int_equal(m.rcpts_n, taken);
	arena_fini(&a);
}

static void gated_mail_waits_while_the_primary_is_up(void **state)
{
	struct publish_writer *w = publish_begin();
	char path[128];
	struct fault why = {0};
	int fd;

	(void)state;
	publish_add(w, SPAN_LIT("head"), 1); /* HEALTH_UP */
	start();
	(void)snprintf(path, sizeof path, "%s/publish/sites.map", host.folder);
	assert_int_equal(publish_commit(w, os_real(), path, 60000000, &why), OK);
	fd = session("a@x");
	assert_int_equal(code_of_rcpt(fd, "listed@list.example"), 451);
	assert_non_null(strstr((char *)said.p, "4.3.2"));
	assert_int_equal(code_of_rcpt(fd, "b@ours.example"), 250);
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* Design section 6: at most the SIZE and SMTPUTF8 last learned from the site. */
static void what_the_site_does_not_take_is_not_taken_for_it(void **state)
{
	struct publish_writer *w = publish_begin();
	char path[128], body[8192];
	struct fault why = {0};
	int fd;

	(void)state;
	publish_add(w, SPAN_LIT("size head"), 5000 + 1024);
	publish_add(w, SPAN_LIT("smtputf8 head"), 0);
	(void)snprintf(path, sizeof path, "%s/publish", host.folder);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof path, "%s/publish/limits.map", host.folder);
	assert_int_equal(publish_commit(w, os_real(), path, 60000000, &why), OK);
	start();
	fd = greeted();
	edge_say(fd, "EHLO x\r\n");
	edge_hear(fd, 1, &said);
	assert_non_null(strstr((char *)said.p, "SIZE 5000\r\n"));
	assert_null(strstr((char *)said.p, "SMTPUTF8"));
	edge_say(fd, "MAIL FROM:<a@x> SIZE=5001\r\n");
	expect(fd, 1, "552 5.3.4");
	edge_say(fd, "MAIL FROM:<a@x> SMTPUTF8\r\n");
	expect(fd, 1, "250 ");
	assert_int_equal(code_of_rcpt(fd, "listed@list.example"), 553);
	edge_say(fd, "RSET\r\nMAIL FROM:<a@x> SIZE=5000\r\n");
	edge_hear(fd, 2, &said);
	assert_int_equal(code_of_rcpt(fd, "listed@list.example"), 250);
	edge_say(fd, "DATA\r\n");
	expect(fd, 1, "354 ");
	memset(body, 'x', sizeof body);
	for (size_t i = 70; i + 1 < 6000; i += 72)
		memcpy(body + i, "\r\n", 2);
	memcpy(body + 6000, "\r\n.\r\n", 6);
	edge_say(fd, body);
	expect(fd, 1, "552 ");
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* Reads one question of edge and answers it. */
static void answer_recipient(enum publish_recipient verdict)
{
	struct buf frame = {0};
	struct msg_ask_recipient q;
	struct arena a;

	arena_init(&a, 1 << 16);
	assert_int_equal(edge_host_frame(host.scout, 2000, &frame), MSG_ASK_RECIPIENT);
	assert_true(msg_ask_recipient_decode(&a, buf_span(&frame), &q));
	assert_true(span_eq(q.site, SPAN_LIT("head")));
	buf_clear(&frame);
	msg_recipient_answer_encode(
		&frame, &(struct msg_recipient_answer){.id = q.id, .verdict = (uint8_t)verdict});
	edge_host_send(host.scout, MSG_RECIPIENT_ANSWER, buf_span(&frame), -1);
	arena_fini(&a);
	buf_fini(&frame);
}

static uint64_t now_ms(void)
{
	return os_mono_us(os_real()) / 1000;
}

static void scout_is_asked_and_not_waited_for_when_silent(void **state)
{
	struct buf frame = {0};
	uint64_t before;
	int fd;

	(void)state;
	start();
	edge_host_link_scout(&host);
	fd = session("a@x");
	edge_say(fd, "RCPT TO:<one@ours.example>\r\n");
	answer_recipient(RECIPIENT_BAD);
	expect(fd, 1, "550 5.1.1");
	edge_say(fd, "RCPT TO:<two@ours.example>\r\n");
	answer_recipient(RECIPIENT_GOOD);
	expect(fd, 1, "250 2.1.5");
	/* silent: 500 ms, then the breaker is open and nothing waits */
	before = now_ms();
	edge_say(fd, "RCPT TO:<three@ours.example>\r\n");
	expect(fd, 1, "250 2.1.5");
	assert_in_range(now_ms() - before, 400, 5000);
	assert_int_equal(edge_host_frame(host.scout, 2000, &frame), MSG_ASK_RECIPIENT);
	before = now_ms();
	for (int i = 0; i < 20; i++) {
		char rcpt[64];

		(void)snprintf(rcpt, sizeof rcpt, "more%d@ours.example", i);
		assert_int_equal(code_of_rcpt(fd, rcpt), 250);
	}
	assert_in_range(now_ms() - before, 0, 5000); /* waiting would take 20 times 500 ms */
	/* a late answer closes the breaker */
	{
		struct msg_ask_recipient q;
		struct arena a;

		arena_init(&a, 1 << 16);
		assert_true(msg_ask_recipient_decode(&a, buf_span(&frame), &q));
		buf_clear(&frame);
		msg_recipient_answer_encode(&frame, &(struct msg_recipient_answer){.id = q.id});
		edge_host_send(host.scout, MSG_RECIPIENT_ANSWER, buf_span(&frame), -1);
		arena_fini(&a);
	}
	edge_say(fd, "NOOP\r\n");
	expect(fd, 1, "250 ");
	/* feelers of the open breaker may wait in the socket: the answer must match the last
	 * question */
	edge_say(fd, "RCPT TO:<last@ours.example>\r\n");
	{
		struct msg_ask_recipient q = {0};
		struct arena a;
		bool is_last = false;

		arena_init(&a, 1 << 16);
		while (!is_last) {
			assert_int_equal(edge_host_frame(host.scout, 2000, &frame),
					 MSG_ASK_RECIPIENT);
			assert_true(msg_ask_recipient_decode(&a, buf_span(&frame), &q));
			is_last = span_eq(q.address, SPAN_LIT("last@ours.example"));
		}
		buf_clear(&frame);
		msg_recipient_answer_encode(&frame, &(struct msg_recipient_answer){
							    .id = q.id, .verdict = RECIPIENT_BAD});
		edge_host_send(host.scout, MSG_RECIPIENT_ANSWER, buf_span(&frame), -1);
		arena_fini(&a);
	}
	expect(fd, 1, "550 5.1.1");
	close(fd);
	buf_fini(&frame);
	assert_int_equal(stop_and_count(), 0);
}

/* An own-domain sender from outside with SPF fail is refused; a foreign one is recorded and taken.
 * */
static void spf_refuses_forgery_of_our_own_domain_only(void **state)
{
	static const char *const senders[] = {"boss@ours.example", "a@foreign.example"};
	struct buf frame = {0};
	int fd;

	(void)state;
	host.config.spf = true;
	host.config.domains[0].learn = false;
	start();
	edge_host_link_scout(&host);
	for (int i = 0; i < 2; i++) {
		struct msg_ask_sender q;
		struct arena a;
		char line[128];

		fd = greeted();
		(void)snprintf(line, sizeof line, "EHLO x\r\nMAIL FROM:<%s>\r\n", senders[i]);
		edge_say(fd, line);
		arena_init(&a, 1 << 16);
		assert_int_equal(edge_host_frame(host.scout, 2000, &frame), MSG_ASK_SENDER);
		assert_true(msg_ask_sender_decode(&a, buf_span(&frame), &q));
		buf_clear(&frame);
		msg_sender_answer_encode(
			&frame, &(struct msg_sender_answer){.id = q.id, .spf = SPAN_LIT("fail")});
		edge_host_send(host.scout, MSG_SENDER_ANSWER, buf_span(&frame), -1);
		arena_fini(&a);
		expect(fd, 2, i == 0 ? "550 5.7.23" : "250 2.1.0");
		if (i == 1) {
			edge_say(fd, "RCPT TO:<b@ours.example>\r\nDATA\r\n");
			expect(fd, 2, "354 ");
			edge_say(fd, "x\r\n.\r\n");
			expect(fd, 1, "250 2.0.0");
			/* The same sender once more in this session: answered although scout is silent. */
			edge_say(fd, "MAIL FROM:<a@foreign.example>\r\nRCPT "
				     "TO:<b@ours.example>\r\nDATA\r\n");
			expect(fd, 3, "354 ");
			edge_say(fd, "x\r\n.\r\n");
			expect(fd, 1, "250 2.0.0");
			/* Another one: asked. */
			edge_say(fd, "MAIL FROM:<c@foreign.example>\r\n");
			assert_int_equal(edge_host_frame(host.scout, 2000, &frame), MSG_ASK_SENDER);
			buf_clear(&frame);
		}
		close(fd);
	}
	host.config.domains[0].learn = true;
	assert_int_equal(stop_and_count(), 2);
	{
		struct msg_message_meta m;
		struct arena a;

		arena_init(&a, 1 << 20);
		assert_true(msg_message_meta_decode(&a, buf_span(&metas), &m));
		assert_true(span_eq(m.spf, SPAN_LIT("fail")));
		assert_false(m.sender_verified);
		arena_fini(&a);
	}
	buf_fini(&frame);
}

static void s_18_mail_in_circles_is_refused(void **state)
{
	static const char mark[] =
		"Received: from x\r\n\tby mx2.test.example (Holdfast) with ESMTP id 1; now\r\n";
	int fd;

	(void)state;
	start();
	fd = session("a@x");
	for (int passes = 1; passes <= 3; passes++) {
		edge_say(fd, passes > 1 ? "MAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n"
					: "RCPT TO:<b@ours.example>\r\nDATA\r\n");
		expect(fd, passes > 1 ? 3 : 2, "354 ");
		if (passes == 3)
			for (int i = 0; i < 31; i++)
				edge_say(fd, "Received: from y by z; now\r\n");
		else
			for (int i = 0; i < passes; i++)
				edge_say(fd, mark);
		edge_say(fd, "\r\nx\r\n.\r\n");
		expect(fd, 1, passes == 1 ? "250 2.0.0" : "554 5.4.6");
	}
	close(fd);
	assert_int_equal(stop_and_count(), 1);
}

static void n_02_limits_by_source_free_their_slots(void **state)
{
	int fds[4];

	(void)state;
	host.config.limits.sessions_per_source = 3;
	host.config.limits.messages_per_minute_per_source = 2;
	start();
	for (int i = 0; i < 4; i++) {
		fds[i] = edge_client(&host);
		expect(fds[i], 1, i < 3 ? "220 " : "421 4.7.0");
	}
	close(fds[3]);
	edge_say(fds[0], "QUIT\r\n");
	expect(fds[0], 1, "221 ");
	edge_hear(fds[0], 1, &said); /* the end */
	close(fds[0]);
	fds[0] = edge_client(&host);
	expect(fds[0], 1, "220 ");
	edge_say(fds[0], "HELO x\r\nMAIL FROM:<a@x>\r\nRSET\r\nMAIL FROM:<a@x>\r\nRSET\r\nMAIL "
			 "FROM:<a@x>\r\n");
	expect(fds[0], 6, "450 4.7.1");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_int_equal(stop_and_count(), 0);
}

/* K-06: a message in reception is finished after StopNow, the idle session hears 421. */
static void k_06_stopping_finishes_what_was_begun(void **state)
{
	int busy, idle;

	(void)state;
	start();
	busy = session("a@x");
	edge_say(busy, "RCPT TO:<b@ours.example>\r\nDATA\r\n");
	expect(busy, 2, "354 ");
	edge_say(busy, "one\r\n");
	idle = session("a@x");
	stop();
	expect(idle, 1, "421 4.3.2");
	edge_say(busy, "two\r\n.\r\n");
	expect(busy, 2, "421 4.3.2");
	assert_non_null(strstr((char *)said.p, "250 2.0.0 Ok: stored as"));
	close(busy);
	close(idle);
	{
		siginfo_t info;

		assert_int_equal(waitid(P_PID, (id_t)host.pid, &info, WEXITED | WNOWAIT), 0);
	}
	assert_int_equal(edge_host_messages(&host, &bodies, NULL), 1);
	assert_string_equal(buf_cstr(&bodies), "one\r\ntwo\r\n\x1e");
	wait_exit();
}

static void proxy_header_names_the_client(void **state)
{
	static const char header[] =
		"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\2\x30\x39\0\x19";
	static struct span from[1] = {SPAN_LIT("127.0.0.0/8")};
	struct msg_message_meta m;
	struct arena a;
	int fd;

	(void)state;
	host.config.proxy_from = from;
	host.config.proxy_from_n = 1;
	start();
	fd = edge_client(&host);
	assert_int_equal(send(fd, header, 10, 0), 10);
	assert_int_equal(send(fd, header + 10, sizeof header - 11, 0), sizeof header - 11);
	expect(fd, 1, "220 ");
	edge_say(fd, "HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
	expect(fd, 4, "354 ");
	edge_say(fd, "x\r\n.\r\n");
	expect(fd, 1, "250 2.0.0");
	close(fd);
	/* without the header, or with the client speaking along with it: not served */
	fd = edge_client(&host);
	edge_say(fd, "EHLO x\r\n");
	edge_hear(fd, 1, &said);
	assert_int_equal(said.n, 0);
	close(fd);
	assert_int_equal(stop_and_count(), 1);
	arena_init(&a, 1 << 20);
	assert_true(msg_message_meta_decode(&a, buf_span(&metas), &m));
	assert_true(span_eq(m.peer, SPAN_LIT("192.0.2.7")));
	assert_int_equal(m.peer_port, 12345);
	arena_fini(&a);
}

/* K-12: sessions live through reloads; the next transaction goes by the new configuration. */
static void k_12_reload_drops_nobody(void **state)
{
	int fd;

	(void)state;
	start();
	fd = session("a@x");
	assert_int_equal(code_of_rcpt(fd, "b@new.example"), 550);
	host.config.domains[1].name = SPAN_LIT("new.example");
	for (int i = 0; i < 20; i++)
		edge_host_reload(&host);
	for (int i = 0; i < 100; i++) { /* it is told on another channel than the session's */
		edge_say(fd, "RSET\r\nMAIL FROM:<a@x>\r\n");
		edge_hear(fd, 2, &said);
		if (code_of_rcpt(fd, "listed@new.example") == 550 &&
		    strstr((char *)said.p, "5.1.1"))
			break;
	}
	assert_non_null(strstr((char *)said.p, "5.1.1"));
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* S-01 as a client of loopback, of our own networks and of the allow list: nobody is trusted with
 * line ends. */
static void s_05_trust_does_not_loosen_line_ends(void **state)
{
	static const char *const ends[] = {"\n.\n",   "\n.\r",	 "\r.\n",	"\r.\r",
					   "\n.\r\n", "\r.\r\n", "\r\n.\r\r\n", "\r\r\n.\r\r\n",
					   "\r\n.\n", "\r\n.\r"};
	static struct span nets[1] = {SPAN_LIT("127.0.0.0/8")};
	int fd;

	(void)state;
	host.config.own_networks = host.config.allow = nets;
	host.config.own_networks_n = host.config.allow_n = 1;
	start();
	fd = session("a@x");
	edge_say(fd, "RSET\r\n");
	expect(fd, 1, "250 ");
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		edge_say(fd, "MAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
		expect(fd, 3, "354 ");
		edge_say(fd, "Subject: x\r\n\r\nbody");
		edge_say(fd, ends[i]);
		edge_say(
			fd,
			"MAIL FROM:<smuggled@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\nx\r\n.\r\n");
		expect(fd, 1, "554 5.6.0");
	}
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* Sanitizers keep what was freed. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_TRUE false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_TRUE false
#endif
#endif
#ifndef MEMORY_IS_TRUE
#define MEMORY_IS_TRUE true
#endif

static size_t resident_bytes(void)
{
	char path[64];
	unsigned long all = 0, resident = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/statm", (int)host.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &all, &resident), 2);
	(void)fclose(f);
	return resident * 4096;
}

/* S-22 and S-12: one header line of 10 MiB with addresses goes through in pieces; memory stays in
 * the budget. */
static void s_22_a_header_line_of_ten_mebibytes(void **state)
{
	enum { PIECES = 10240, GROWTH = 12 << 20 };
	static char piece[1025];
	size_t before;
	int fd;

	(void)state;
	for (size_t i = 0; i < 1024; i += 8)
		memcpy(piece + i, "<a@b.c>,", 8);
	start();
	fd = session("a@x");
	edge_say(fd, "RCPT TO:<b@ours.example>\r\nDATA\r\n");
	expect(fd, 2, "354 ");
	before = resident_bytes();
	edge_say(fd, "To: ");
	for (int i = 0; i < PIECES; i++)
		edge_say(fd, piece);
	edge_say(fd, "\r\n\r\nbody\r\n.\r\n");
	expect(fd, 1, "250 2.0.0");
	if (MEMORY_IS_TRUE)
		assert_in_range(resident_bytes(), 0, before + GROWTH);
	close(fd);
	assert_int_equal(stop_and_count(), 1);
	assert_int_equal(bodies.n, 4 + PIECES * 1024 + 4 + 6 + 1);
}

/* S-25: a client that sends commands and reads nothing is not listened to; others are. Who says
 * nothing hears 421 after the time limit. */
static void s_25_who_does_not_read_is_not_heard(void **state)
{
	enum { ROUNDS = 4000, GROWTH = 8 << 20 };
	static char noops[6 * 1000 + 1];
	size_t before, sent = 0;
	int deaf, other, small = 4096;

	(void)state;
	for (int i = 0; i < 1000; i++)
		memcpy(noops + (size_t)i * 6, "HELP\r\n", 6);
	host.config.limits.command_timeout_ms = 1000;
	host.config.limits.errors_per_session = 1000000000;
	start();
	deaf = greeted();
	assert_int_equal(setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	before = resident_bytes();
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = send(deaf, noops, sizeof noops - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
		other = greeted();
		edge_say(other, "QUIT\r\n");
		expect(other, 1, "221 ");
		close(other);
	}
	assert_in_range(sent, 1, ROUNDS * sizeof noops - 1);
	if (MEMORY_IS_TRUE)
		assert_in_range(resident_bytes(), 0, before + GROWTH);
	other = greeted();
	expect(other, 1, "421 4.4.2");
	close(other);
	close(deaf);
	assert_int_equal(stop_and_count(), 0);
}

/* D-06 at the door: below the reserve mail gets 452 and the session lives. */
static void d_06_below_the_reserve_mail_is_deferred(void **state)
{
	int fd;

	(void)state;
	host.config.limits.reserve_bytes = 1ull << 60;
	start();
	fd = session("a@x");
	if (!strstr((char *)said.p, "452 4.3.1")) { /* the lane may learn it with its first write */
		edge_say(fd, "RCPT TO:<b@ours.example>\r\nDATA\r\n");
		edge_hear(fd, 2, &said);
		if (strstr((char *)said.p, "354 ")) {
			edge_say(fd, "x\r\n.\r\n");
			edge_hear(fd, 1, &said);
		}
	}
	assert_non_null(strstr((char *)said.p, "452 4.3.1"));
	edge_say(fd, "NOOP\r\n");
	expect(fd, 1, "250 ");
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

static long cpu_ticks(void)
{
	char path[64], text[1024];
	unsigned long user = 0, kernel = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)host.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	(void)fclose(f);
	assert_int_equal(sscanf(strrchr(text, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
				&kernel),
			 2);
	return (long)(user + kernel);
}

/* D-15: out of descriptors: 421 for the new, the old go on, no spinning, and it recovers. */
static void d_15_without_descriptors_the_door_says_421(void **state)
{
	enum { CLIENTS = 40, PAUSE_US = 500000 };
	struct rlimit limit = {32, 32};
	int fds[CLIENTS], greeted_n = 0, turned_n = 0;
	long before;

	(void)state;
	start();
	assert_int_equal(prlimit(host.pid, RLIMIT_NOFILE, &limit, NULL), 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct timeval soon = {.tv_usec = 300000};

		fds[i] = edge_client(&host);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
		edge_hear(fds[i], 1, &said);
		greeted_n += span_starts(buf_span(&said), SPAN_LIT("220 "));
		turned_n += span_starts(buf_span(&said), SPAN_LIT("421 4.3.2 "));
		if (turned_n == 3)
			break;
	}
	assert_in_range(greeted_n, 5, 31);
	assert_int_equal(turned_n, 3);
	before = cpu_ticks();
	(void)usleep(PAUSE_US); /* what is looked at is that nothing happens meanwhile */
	assert_in_range(cpu_ticks() - before, 0, 10);
	edge_say(fds[0], "HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n");
	expect(fds[0], 4, "354 ");
	edge_say(fds[0], "x\r\n.\r\nQUIT\r\n");
	expect(fds[0], 2, "250 2.0.0");
	edge_hear(fds[0], 1, &said);
	for (int i = 0; i < greeted_n + turned_n; i++)
		close(fds[i]);
	limit.rlim_cur = limit.rlim_max = 1024;
	for (int i = 0; i < 100; i++) {
		int fd = edge_client(&host);

		edge_hear(fd, 1, &said);
		close(fd);
		if (span_starts(buf_span(&said), SPAN_LIT("220 ")))
			break;
	}
	assert_true(span_starts(buf_span(&said), SPAN_LIT("220 ")));
	assert_int_equal(stop_and_count(), 1);
}

static void lists_refuse_and_let_in(void **state)
{
	static struct span deny[2] = {SPAN_LIT("127.0.0.0/8"), SPAN_LIT("spam.example")};
	static struct span allow[1] = {SPAN_LIT("friend@spam.example")};
	int fd;

	(void)state;
	host.config.deny = deny;
	host.config.deny_n = 2;
	host.config.allow = allow;
	host.config.allow_n = 1;
	start();
	fd = session("a@x");
	assert_int_equal(code_of_rcpt(fd, "b@ours.example"), 550);
	assert_non_null(strstr((char *)said.p, "5.7.1"));
	assert_int_equal(code_of_rcpt(fd, "Postmaster@ours.example"), 250);
	close(fd);
	fd = session("friend@spam.example");
	assert_int_equal(code_of_rcpt(fd, "b@ours.example"), 250);
	close(fd);
	assert_int_equal(stop_and_count(), 0);
}

/* A listed client is refused by name of the list, but postmaster hears it. */
static void block_lists_are_asked_at_the_door(void **state)
{
	static struct span zones[1] = {SPAN_LIT("bl.example")};
	struct buf frame = {0};
	struct msg_ask_connection q;
	struct arena a;
	int fd;

	(void)state;
	host.config.dnsbl = zones;
	host.config.dnsbl_n = 1;
	start();
	edge_host_link_scout(&host);
	for (int i = 0; i < 100; i++) { /* the link comes on another way than the client */
		fd = session("a@x");
		if (edge_host_frame(host.scout, 50, &frame) == MSG_ASK_CONNECTION)
			break;
		close(fd);
	}
	arena_init(&a, 1 << 16);
	assert_true(msg_ask_connection_decode(&a, buf_span(&frame), &q));
	assert_true(span_eq(q.address, SPAN_LIT("127.0.0.1")));
	assert_int_equal(q.dnsbl_n, 1);
	edge_say(fd, "RCPT TO:<b@ours.example>\r\n");
	buf_clear(&frame);
	msg_connection_answer_encode(&frame, &(struct msg_connection_answer){
						     .id = q.id, .listed = zones, .listed_n = 1});
	edge_host_send(host.scout, MSG_CONNECTION_ANSWER, buf_span(&frame), -1);
	expect(fd, 1, "550 5.7.1");
	assert_non_null(strstr((char *)said.p, "bl.example"));
	assert_int_equal(code_of_rcpt(fd, "postmaster@ours.example"), 250);
	close(fd);
	arena_fini(&a);
	buf_fini(&frame);
	assert_int_equal(stop_and_count(), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_is_in_the_lane_when_250_was_said, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(large_messages_pass_in_chunks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bodies_of_just_a_chunk_are_whole, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_26_a_message_cut_off_is_not_stored, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_17_recipients_by_list_map_and_policy, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_13_recipients_beyond_what_a_record_holds, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_site_does_not_take_is_not_taken_for_it,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(gated_mail_waits_while_the_primary_is_up, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(scout_is_asked_and_not_waited_for_when_silent,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(spf_refuses_forgery_of_our_own_domain_only, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_18_mail_in_circles_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(n_02_limits_by_source_free_their_slots, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(k_06_stopping_finishes_what_was_begun, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(proxy_header_names_the_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(k_12_reload_drops_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(s_05_trust_does_not_loosen_line_ends, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_22_a_header_line_of_ten_mebibytes, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(s_25_who_does_not_read_is_not_heard, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(d_06_below_the_reserve_mail_is_deferred, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(d_15_without_descriptors_the_door_says_421, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(lists_refuse_and_let_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(block_lists_are_asked_at_the_door, set_up,
						tear_down),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s HOLDFAST-EDGE\n", argv[0]);
		return 2;
	}
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
