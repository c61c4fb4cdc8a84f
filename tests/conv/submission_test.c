/*
 * A real holdfast-submission, with supervisor, sequencer and auth played: logins, who may send as whom, what is added and
 * cut, the rate, and auth that is away. S-05 and S-15: nothing is relayed without a login, from loopback either.
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

#include "auth/login.h"
#include "base/arena.h"
#include "base/must.h"
#include "os/os.h"
#include "publish/publish.h"
#include "role/common/role.h"

static const char *program;

struct rig {
	struct edge_host host;
	int auth, client;
	bool is_told;
	struct buf heard;
};

static void link_auth(struct rig *r)
{
	struct buf body = {0};

	r->auth = edge_host_link(&r->host, ROLE_AUTH);
	must(edge_host_frame(r->auth, 10000, &body) == MSG_MECHANISMS_ASK); /* it has the link */
	buf_fini(&body);
}

static void begin_host(struct rig *r)
{
	*r = (struct rig){.auth = -1};
	edge_host_init(&r->host);
	r->host.name = "submission";
	r->host.service = "submission";
	r->host.config.submissions_per_hour = 5;
}

static void begin_client(struct rig *r, bool has_auth)
{
	edge_host_start(&r->host, program);
	if (has_auth)
		link_auth(r);
	r->client = edge_client(&r->host);
	edge_hear(r->client, 1, &r->heard);
}

static void begin(struct rig *r, bool has_auth)
{
	begin_host(r);
	begin_client(r, has_auth);
}

/* Ends the process; how many messages its lane holds, and the last one's record. */
static unsigned stored(struct rig *r, struct buf *bodies, struct buf *meta)
{
	siginfo_t info;

	edge_host_tell_stop(&r->host);
	r->is_told = true;
	(void)close(r->client);
	r->client = -1;
	must(waitid(P_PID, (id_t)r->host.pid, &info, WEXITED | WNOWAIT) == 0);
	return edge_host_messages(&r->host, bodies, meta);
}

static void end(struct rig *r)
{
	if (r->client >= 0)
		(void)close(r->client);
	if (r->auth >= 0)
		(void)close(r->auth);
	if (!r->is_told)
		edge_host_tell_stop(&r->host);
	assert_int_equal(edge_host_stop(&r->host), 0);
	buf_fini(&r->heard);
}

/* Says these lines; what is heard must have this in it. */
static void talk(struct rig *r, const char *lines, unsigned replies, const char *expected)
{
	edge_say(r->client, lines);
	edge_hear(r->client, replies, &r->heard);
	if (!strstr(buf_cstr(&r->heard), expected))
		fail_msg("said: %s\nexpected: %s\nheard: %s", lines, expected, buf_cstr(&r->heard));
}

/* The next question to auth of this type, decoded by the caller. */
static void asked(struct rig *r, unsigned type, struct buf *body)
{
	assert_int_equal(edge_host_frame(r->auth, 10000, body), type);
}

static void answer_login(struct rig *r, uint64_t id, enum login_verdict verdict, uint32_t delay_ms)
{
	static struct span as[] = {SPAN_LIT("ann@ours.example"), SPAN_LIT("info@ours.example"),
				   SPAN_LIT("@team.example")};
	struct buf frame = {0};

	msg_login_answer_encode(&frame, &(struct msg_login_answer){
						.id = id,
						.verdict = (uint8_t)verdict,
						.account = SPAN_LIT("ann@ours.example"),
						.send_as = as,
						.send_as_n = 3,
						.delay_ms = delay_ms,
					});
	edge_host_send(r->auth, MSG_LOGIN_ANSWER, buf_span(&frame), -1);
	buf_fini(&frame);
}

static uint64_t next_start(struct rig *r)
{
	struct buf body = {0};
	struct arena a;
	struct msg_sasl_start m;
	uint64_t id;

	arena_init(&a, 0);
	asked(r, MSG_SASL_START, &body);
	assert_true(msg_sasl_start_decode(&a, buf_span(&body), &m));
	assert_true(span_eq(m.mechanism, SPAN_LIT("PLAIN")));
	assert_true(m.has_initial && span_eq(m.initial, SPAN_LIT("\0ann\0secret")));
	assert_true(span_eq(m.source, SPAN_LIT("127.0.0.1")));
	id = m.id;
	arena_fini(&a);
	buf_fini(&body);
	return id;
}

#define PLAIN "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"

static void log_in(struct rig *r)
{
	edge_say(r->client, "EHLO laptop\r\n" PLAIN);
	edge_hear(r->client, 1, &r->heard);
	answer_login(r, next_start(r), LOGIN_FINE, 0);
	edge_hear(r->client, 1, &r->heard);
	assert_non_null(strstr(buf_cstr(&r->heard), "235 2.7.0"));
}

static void s_05_nothing_is_taken_without_a_login(void **state)
{
	static const char *const relays[] = {
		"RCPT TO:<u@v.example>\r\n",
		"RCPT TO:<u@ours.example>\r\n",
		"RCPT TO:<u%v.example@ours.example>\r\n",
		"DATA\r\n",
	};
	struct rig r;

	(void)state;
	begin(&r, true);
	talk(&r, "EHLO laptop\r\n", 1, "250-AUTH PLAIN LOGIN");
	talk(&r, "MAIL FROM:<ann@ours.example>\r\n", 1, "530 5.7.0");
	talk(&r, "MAIL FROM:<>\r\n", 1, "530 5.7.0");
	for (size_t i = 0; i < sizeof relays / sizeof *relays; i++)
		talk(&r, relays[i], 1, "503 5.5.1");
	talk(&r, PLAIN, 0, "");
	answer_login(&r, next_start(&r), LOGIN_REFUSED, 0);
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "535 5.7.8"));
	talk(&r, "MAIL FROM:<ann@ours.example>\r\n", 1, "530 5.7.0");
	assert_int_equal(stored(&r, NULL, NULL), 0);
	end(&r);
}

static void senders_are_the_accounts_own(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, true);
	log_in(&r);
	talk(&r, "MAIL FROM:<bob@ours.example>\r\n", 1, "553 5.7.1");
	talk(&r, "MAIL FROM:<ann@v.example>\r\n", 1, "553 5.7.1");
	talk(&r, "MAIL FROM:<ann@team.example.v.example>\r\n", 1, "553 5.7.1");
	talk(&r, "MAIL FROM:<Ann@ours.example>\r\nRSET\r\n", 2, "250 2.1.0");
	talk(&r, "MAIL FROM:<ann+x@ours.example>\r\nRSET\r\n", 2, "250 2.1.0");
	talk(&r, "MAIL FROM:<anyone@team.example>\r\nRSET\r\n", 2, "250 2.1.0");
	talk(&r, "MAIL FROM:<info@ours.example>\r\n", 1, "250 2.1.0");
	talk(&r, "RCPT TO:<u@[192.0.2.1]>\r\n", 1, "550 5.1.2");
	talk(&r, "RCPT TO:<u%v.example@ours.example>\r\n", 1, "550 5.7.1");
	talk(&r, "RCPT TO:<bob@ours.example>\r\nDATA\r\n", 2, "354");
	talk(&r, "From: Bob <bob@ours.example>\r\n\r\nx\r\n.\r\n", 1, "550 5.7.1");
	talk(&r, "MAIL FROM:<info@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r,
	     "From: \"a, b\" (c <bob@v.example>) <info@ours.example>, "
	     "bob@ours.example\r\n\r\nx\r\n.\r\n",
	     1, "550 5.7.1");
	talk(&r, "MAIL FROM:<info@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r, "From: ann@ours.example\r\nSender: bob@v.example\r\n\r\nx\r\n.\r\n", 1,
	     "550 5.7.1");
	talk(&r, "MAIL FROM:<info@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r, "From: ann@ours.example\r\nFrom: ann@ours.example\r\n\r\nx\r\n.\r\n", 1,
	     "554 5.6.0");
	talk(&r, "MAIL FROM:<info@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r, "Subject: nobody\r\n\r\nx\r\n.\r\n", 1, "554 5.6.0");
	/* sent on: the one who sends it on counts */
	talk(&r, "MAIL FROM:<info@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r, "Resent-From: ann@ours.example\r\nFrom: stranger@v.example\r\n\r\nx\r\n.\r\n", 1,
	     "250 2.0.0");
	assert_int_equal(stored(&r, NULL, NULL), 1);
	end(&r);
}

/* What one program reads as the end of the header, another reads over: not here (and a Bcc there would not be cut). */
static void the_header_is_one_to_all_readers(void **state)
{
	static const char data[] =
		"MAIL FROM:<ann@ours.example>\r\nRCPT TO:<bob@world.example>\r\nDATA\r\n";
	static const char *const cases[] = {
		"From: ann@ours.example\r\nno field\r\nFrom: bob@v.example\r\n\r\nx\r\n.\r\n",
		"From: ann@ours.example\r\n: no name\r\nBcc: eve@v.example\r\n\r\nx\r\n.\r\n",
		"From: ann@ours.example\r\nX Y: z\r\nSender: bob@v.example\r\n\r\nx\r\n.\r\n",
		"From: ann@ours.example\r\nS\xc3\xa4: z\r\nFrom: bob@v.example\r\n\r\nx\r\n.\r\n",
	};
	char *wide;
	struct rig r;

	(void)state;
	begin(&r, true);
	log_in(&r);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		talk(&r, data, 3, "354");
		talk(&r, cases[i], 1, "554 5.6.0");
	}
	must(asprintf(&wide,
		      "From: ann@ours.example\r\n%0900d\r\n From\r\n %0900d\r\n"
		      "From: bob@v.example\r\n\r\nx\r\n.\r\n",
		      0, 0) > 0);
	talk(&r, data, 3, "354");
	talk(&r, wide, 1, "554 5.6.0");
	free(wide);
	talk(&r, data, 3, "354"); /* a header alone, and one whose last field is folded, are fine */
	talk(&r, "From: ann@ours.example\r\n.\r\n", 1, "250 2.0.0");
	talk(&r, data, 3, "354");
	talk(&r, "From: ann@ours.example\r\nSubject: a\r\n b\r\n\r\nbody\r\n.\r\n", 1, "250 2.0.0");
	end(&r);
}

/* Sent on: the author stays who they were, so our signature must not vouch for them. */
static void what_is_sent_on_says_so(void **state)
{
	struct msg_message_meta m;
	struct arena a;
	struct buf meta = {0};
	struct rig r;

	(void)state;
	arena_init(&a, 0);
	begin(&r, true);
	log_in(&r);
	talk(&r, "MAIL FROM:<ann@ours.example>\r\nRCPT TO:<bob@world.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r,
	     "Resent-From: ann@ours.example\r\nResent-Sender: eve@v.example\r\nFrom: "
	     "boss@ours.example\r\n\r\nx\r\n.\r\n",
	     1, "550 5.7.1");
	talk(&r, "MAIL FROM:<ann@ours.example>\r\nRCPT TO:<bob@world.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r, "Resent-From: ann@ours.example\r\nFrom: boss@ours.example\r\n\r\nx\r\n.\r\n", 1,
	     "250 2.0.0");
	assert_int_equal(stored(&r, NULL, &meta), 1);
	assert_true(msg_message_meta_decode(&a, buf_span(&meta), &m));
	assert_true(m.is_sent_on);
	arena_fini(&a);
	buf_fini(&meta);
	end(&r);
}

static void send_one(struct rig *r)
{
	talk(r,
	     "MAIL FROM:<ann@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nRCPT "
	     "TO:<eve@world.example>\r\nDATA\r\n",
	     4, "354");
	talk(r,
	     "From: \"Ann\" <ann@ours.example>\r\nBcc: eve@world.example,\r\n "
	     "mallory@world.example\r\nTo: bob@ours.example\r\n"
	     "\r\nBcc: not a field\r\n.\r\n",
	     1, "250 2.0.0");
}

static void the_body_stays_and_the_record_says_what_to_do(void **state)
{
	struct rig r;
	struct buf bodies = {0}, meta = {0};
	struct msg_message_meta m;
	struct arena a;
	static const char body[] = "From: \"Ann\" <ann@ours.example>\r\nBcc: "
				   "eve@world.example,\r\n mallory@world.example\r\nTo: "
				   "bob@ours.example\r\n\r\nBcc: not a field\r\n\x1e";

	(void)state;
	begin(&r, true);
	log_in(&r);
	send_one(&r);
	assert_int_equal(stored(&r, &bodies, &meta), 1);
	assert_string_equal(buf_cstr(&bodies), body);
	arena_init(&a, 0);
	assert_true(msg_message_meta_decode(&a, buf_span(&meta), &m));
	assert_int_equal(m.origin, 1);
	assert_true(span_eq(m.account, SPAN_LIT("ann@ours.example")));
	assert_true(m.sender_verified);
	assert_int_equal(m.cuts_n, 1);
	assert_int_equal(m.cuts[0].offset, 32);
	assert_int_equal(m.cuts[0].bytes, 49);
	assert_memory_equal(body + m.cuts[0].offset, "Bcc: ", 5);
	assert_memory_equal(body + m.cuts[0].offset + m.cuts[0].bytes, "To: ", 4);
	assert_int_equal(m.rcpts_n, 2);
	assert_true(span_eq(m.rcpts[0].site, SPAN_LIT("head")));
	assert_true(span_eq(m.rcpts[1].site, SPAN_LIT("@world")));
	assert_true(span_eq(m.rcpts[1].domain, SPAN_LIT("world.example")));
	assert_true(span_starts(
		m.trace, SPAN_LIT("Received: by mx2.test.example (Holdfast) with ESMTPA id ")));
	assert_null(memmem(m.trace.p, m.trace.n, "127.0.0.1", 9));
	assert_null(memmem(m.trace.p, m.trace.n, "laptop", 6));
	assert_non_null(memmem(m.trace.p, m.trace.n, "\r\nDate: ", 8));
	assert_non_null(memmem(m.trace.p, m.trace.n, "\r\nMessage-ID: <", 15));
	assert_true(span_starts(m.message_id, SPAN_LIT("<")) &&
		    span_ends_nocase(m.message_id, SPAN_LIT("@mx2.test.example>")));
	arena_fini(&a);
	buf_fini(&bodies);
	buf_fini(&meta);
	end(&r);
}

static void what_is_there_is_not_made_again(void **state)
{
	struct rig r;
	struct buf meta = {0};
	struct msg_message_meta m;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	begin(&r, true);
	log_in(&r);
	talk(&r, "MAIL FROM:<ann@ours.example>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n", 3,
	     "354");
	talk(&r,
	     "date: Sat, 21 Nov 2026 21:10:22 +0000\r\nmessage-id: <a@b>\r\nFrom: "
	     "ann@ours.example\r\n\r\n.\r\n",
	     1, "250 2.0.0");
	assert_int_equal(stored(&r, NULL, &meta), 1);
	assert_true(msg_message_meta_decode(&a, buf_span(&meta), &m));
	assert_null(memmem(m.trace.p, m.trace.n, "\r\nDate: ", 8));
	assert_null(memmem(m.trace.p, m.trace.n, "\r\nMessage-ID: ", 14));
	assert_true(span_eq(m.message_id, SPAN_LIT("<a@b>")));
	assert_int_equal(m.cuts_n, 0);
	arena_fini(&a);
	buf_fini(&meta);
	end(&r);
}

static void an_account_has_a_rate(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, true);
	log_in(&r);
	send_one(&r);
	send_one(&r); /* 4 of 5 */
	talk(&r, "MAIL FROM:<ann@ours.example>\r\nRCPT TO:<a@world.example>\r\n", 2, "250 2.1.5");
	talk(&r, "RCPT TO:<b@world.example>\r\n", 1, "450 4.7.1");
	end(&r);
}

static void auth_away_says_454_and_the_login_stays_good(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, false);
	talk(&r, "EHLO laptop\r\n" PLAIN, 2, "454 4.7.0");
	link_auth(&r);
	log_in(&r);
	(void)close(r.auth); /* P2: after the login nobody is needed */
	r.auth = -1;
	send_one(&r);
	assert_int_equal(stored(&r, NULL, NULL), 1);
	end(&r);
}

static void auth_dies_while_it_is_asked(void **state)
{
	struct rig r;

	(void)state;
	begin(&r, true);
	talk(&r, "EHLO laptop\r\n" PLAIN, 1, "250 ");
	(void)next_start(&r);
	(void)close(r.auth);
	r.auth = -1;
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "454 4.7.0"));
	talk(&r, "NOOP\r\n", 1, "250 ");
	end(&r);
}

static void a_challenge_goes_round_and_a_star_ends_it(void **state)
{
	struct rig r;
	struct buf body = {0}, frame = {0};
	struct msg_sasl_start start;
	struct msg_sasl_more more;
	struct msg_sasl_cancel stop;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	begin(&r, true);
	talk(&r, "EHLO laptop\r\n", 1, "250 ");
	edge_say(r.client, "AUTH LOGIN\r\n");
	asked(&r, MSG_SASL_START, &body);
	assert_true(msg_sasl_start_decode(&a, buf_span(&body), &start));
	assert_false(start.has_initial);
	msg_sasl_challenge_encode(&frame,
				  &(struct msg_sasl_challenge){start.id, SPAN_LIT("Username:")});
	edge_host_send(r.auth, MSG_SASL_CHALLENGE, buf_span(&frame), -1);
	edge_hear(r.client, 1, &r.heard);
	assert_string_equal(buf_cstr(&r.heard), "334 VXNlcm5hbWU6\r\n");
	edge_say(r.client, "YW5u\r\n");
	asked(&r, MSG_SASL_MORE, &body);
	assert_true(msg_sasl_more_decode(&a, buf_span(&body), &more));
	assert_int_equal(more.id, start.id);
	assert_true(span_eq(more.response, SPAN_LIT("ann")));
	edge_host_send(r.auth, MSG_SASL_CHALLENGE, buf_span(&frame), -1);
	edge_hear(r.client, 1, &r.heard);
	talk(&r, "*\r\n", 1, "501 5.7.0");
	asked(&r, MSG_SASL_CANCEL, &body);
	assert_true(msg_sasl_cancel_decode(&a, buf_span(&body), &stop));
	assert_int_equal(stop.id, start.id);
	/* a verdict that comes too late is nobody's */
	answer_login(&r, start.id, LOGIN_FINE, 0);
	talk(&r, "MAIL FROM:<ann@ours.example>\r\n", 1, "530 5.7.0");
	arena_fini(&a);
	buf_fini(&body);
	buf_fini(&frame);
	end(&r);
}

static void an_account_that_changed_is_logged_out(void **state)
{
	struct rig r;
	struct buf frame = {0};
	struct span accounts[] = {SPAN_LIT("ann@ours.example")};

	(void)state;
	begin(&r, true);
	log_in(&r);
	msg_accounts_changed_encode(&frame, &(struct msg_accounts_changed){accounts, 1});
	edge_host_send(r.auth, MSG_ACCOUNTS_CHANGED, buf_span(&frame), -1);
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "421 4.7.0"));
	buf_fini(&frame);
	end(&r);
}

/* Of our own site, which may be down, and holds for its own recipients alone. */
static void what_our_site_takes_does_not_bind_the_world(void **state)
{
	struct publish_writer *w = publish_begin();
	struct fault why = {0};
	char path[200];
	struct rig r;

	(void)state;
	begin_host(&r);
	publish_add(w, SPAN_LIT("size head"), 5000 + 1024);
	publish_add(w, SPAN_LIT("smtputf8 head"), 0);
	(void)snprintf(path, sizeof path, "%s/publish/limits.map", r.host.folder);
	assert_int_equal(publish_commit(w, os_real(), path, 60000000, &why), OK);
	begin_client(&r, true);
	log_in(&r);
	edge_say(r.client, "EHLO laptop\r\n");
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "SIZE 20971520"));
	assert_non_null(strstr(buf_cstr(&r.heard), "SMTPUTF8"));
	edge_say(r.client, "MAIL FROM:<ann@ours.example> SIZE=5001 SMTPUTF8\r\n");
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "250 "));
	edge_say(r.client, "RCPT TO:<u@v.example>\r\n");
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "250 "));
	edge_say(r.client, "RCPT TO:<listed@list.example>\r\n");
	edge_hear(r.client, 1, &r.heard);
	assert_non_null(strstr(buf_cstr(&r.heard), "552 5.3.4"));
	end(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s_05_nothing_is_taken_without_a_login),
		cmocka_unit_test(senders_are_the_accounts_own),
		cmocka_unit_test(the_header_is_one_to_all_readers),
		cmocka_unit_test(what_our_site_takes_does_not_bind_the_world),
		cmocka_unit_test(what_is_sent_on_says_so),
		cmocka_unit_test(the_body_stays_and_the_record_says_what_to_do),
		cmocka_unit_test(what_is_there_is_not_made_again),
		cmocka_unit_test(an_account_has_a_rate),
		cmocka_unit_test(auth_away_says_454_and_the_login_stays_good),
		cmocka_unit_test(auth_dies_while_it_is_asked),
		cmocka_unit_test(a_challenge_goes_round_and_a_star_ends_it),
		cmocka_unit_test(an_account_that_changed_is_logged_out),
	};

	must(argc == 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
