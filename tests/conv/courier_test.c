/* holdfast-courier against a primary with every kind of trouble; see courier_rig.h. */
#include "courier_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "ipc/link.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "queue/verdict.h"
#include "tls/tls.h"

#define BODY "Subject: hello\r\n\r\n.dot\r\n..\r\nlast\r\n"
#define OPENED(...)                                                                                \
	struct rig r = {__VA_ARGS__};                                                              \
	(void)state;                                                                               \
	rig_open(&r, &(struct rig_options){0})

static void expect_lane(struct rig *r, const char *wanted)
{
	struct buf lane = {0};

	rig_lane(r, &lane);
	assert_string_equal(buf_cstr(&lane), wanted);
	buf_fini(&lane);
}

static void expect_taken(struct rig *r, size_t at, size_t message)
{
	assert_true(r->taken_n > at);
	assert_true(span_eq(buf_span(&r->taken[at].data), buf_span(&r->messages[message].body)));
}

static void verified(struct msg_lease *l)
{
	l->sender_verified = true;
}

/* P4: trace and body arrive bit for bit; INTENT stands before OUTCOME; one connection serves all. */
static void delivers_unchanged_in_order(void **state)
{
	OPENED(.dots = 0);
	for (int i = 0; i < 5; i++) {
		char body[100];

		(void)snprintf(body, sizeof body, "Subject: %d\r\n\r\n.\r\nline\r\n", i);
		(void)rig_store(&r, span_str(body), "a@sender.example",
				"b@ours.example,c@ours.example");
	}
	for (size_t i = 0; i < 5; i++)
		(void)rig_lease(&r, i, "a@sender.example", "b@ours.example,c@ours.example", NULL);
	rig_await_done(&r, 5);
	assert_int_equal(r.taken_n, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_true(r.done[i].had_intent && r.done[i].recorded);
		assert_string_equal(r.taken[i].sender, "a@sender.example");
		assert_string_equal(r.taken[i].rcpts, "b@ours.example,c@ours.example");
	}
	assert_true(r.durables > 0);
	assert_int_equal(r.limits.size, 1000000);
	assert_true(r.limits.eightbit);
	assert_true(r.evidence_n == 1 && r.evidence[0].attempt == ATTEMPT_ACCEPTED);
	rig_close(&r);
}

static void one_connection_keeps_the_order(void **state)
{
	struct rig r = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.concurrency = 1});
	for (size_t i = 0; i < 3; i++)
		(void)rig_store(&r, SPAN_LIT(BODY), "", "b@ours.example");
	for (size_t i = 0; i < 3; i++)
		(void)rig_lease(&r, i, "", "b@ours.example", NULL);
	rig_await_done(&r, 3);
	assert_int_equal(r.connections, 1);
	for (size_t i = 0; i < 3; i++)
		expect_taken(&r, i, i);
	rig_close(&r);
	/* The folder is gone now; the lane was looked at by the other tests. */
}

static void one_message(struct rig *r, const char *rcpts, void (*edit)(struct msg_lease *l))
{
	(void)rig_store(r, SPAN_LIT(BODY), "a@sender.example", rcpts);
	(void)rig_lease(r, r->messages_n - 1, "a@sender.example", rcpts, edit);
	rig_await_done(r, r->done_n + 1);
}

static void records_what_happened(void **state)
{
	OPENED(.dots = 0);
	one_message(&r, "b@ours.example", NULL);
	expect_lane(&r,
		    "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n");
	expect_taken(&r, 0, 0);
	rig_close(&r);
}

/* Up, unknown recipient, 5xx: a notification for a verified sender, in the same group. */
static void refused_recipient_of_a_verified_sender(void **state)
{
	OPENED(.bad_rcpt = "bad@ours.example");
	one_message(&r, "b@ours.example,bad@ours.example", verified);
	expect_lane(&r, "INTENT 0 rcpts=0,1\nMESSAGE dsn to=a@sender.example site=@world\n"
			"OUTCOME 0 stage=rcpt 1:5xx/dsn/550\nOUTCOME 0 stage=dot "
			"0:accepted/delivered/250:RIG12345\n");
	rig_close(&r);
}

/* S-17: no backscatter. */
static void s_17_no_notification_to_an_unverified_sender(void **state)
{
	OPENED(.bad_rcpt = "bad@ours.example");
	one_message(&r, "bad@ours.example", NULL);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=rcpt 0:5xx/decide/550\n");
	assert_int_equal(r.taken_n, 0);
	rig_close(&r);
}

static void from_ours(struct msg_lease *l)
{
	l->sender = SPAN_LIT("boss@ours.example");
	l->sender_verified = true;
}

static void notification_to_one_of_ours_names_the_site(void **state)
{
	OPENED(.dot = "554 5.7.1 spam");
	one_message(&r, "b@ours.example", from_ours);
	expect_lane(&r, "INTENT 0 rcpts=0\nMESSAGE dsn to=boss@ours.example site=office\nOUTCOME 0 "
			"stage=dot 0:5xx/dsn/554\n");
	rig_close(&r);
}

static void wants_success(struct msg_lease *l)
{
	l->sender_verified = true;
	l->rcpts[0].notify = 2;
}

static void wants_nothing(struct msg_lease *l)
{
	l->sender_verified = true;
	l->rcpts[0].notify = 1;
}

/* RFC 3461 s5.2.2: the primary does not offer DSN, so the success notice is ours; NOTIFY=NEVER means never. */
static void notify_is_honoured(void **state)
{
	OPENED(.dots = 0);
	one_message(&r, "b@ours.example", wants_success);
	r.dot = "554 5.7.1 spam";
	one_message(&r, "b@ours.example", wants_nothing);
	expect_lane(&r, "INTENT 0 rcpts=0\nMESSAGE dsn to=a@sender.example site=@world\n"
			"OUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n"
			"INTENT 1 rcpts=0\nOUTCOME 1 stage=dot 0:5xx/decide/554\n");
	rig_close(&r);
}

static void on_probation(struct msg_lease *l)
{
	l->phase = PHASE_PROBATION;
	l->sender_verified = true;
}

/* N-05, N-03: what a half restored primary says is no reason to give up. */
static void n_05_probation_bounces_nothing(void **state)
{
	OPENED(.bad_rcpt = "b@ours.example");
	one_message(&r, "b@ours.example", on_probation);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=rcpt 0:5xx/retry/550\n");
	rig_close(&r);
}

static void n_03_4xx_at_rcpt_and_at_the_end(void **state)
{
	OPENED(.rcpt = "451 4.3.0 later");
	one_message(&r, "b@ours.example", verified);
	r.rcpt = NULL;
	r.dot = "452 4.3.1 full";
	one_message(&r, "b@ours.example", verified);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=rcpt 0:4xx/retry/451\n"
			"INTENT 1 rcpts=0\nOUTCOME 1 stage=dot 0:4xx/retry/452\n");
	rig_close(&r);
}

/* P4: lost after the dot is UNSURE, lost before is not. */
static void lost_after_and_before_the_dot(void **state)
{
	OPENED(.dot = "");
	one_message(&r, "b@ours.example", verified);
	r.dot = NULL;
	r.data = "";
	one_message(&r, "b@ours.example", verified);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:lost/unsure/0\n"
			"INTENT 1 rcpts=0\nOUTCOME 1 stage=mail 0:unreached/hold/0\n");
	assert_true(r.evidence_n >= 1);
	rig_close(&r);
}

static void n_03_421_greeting_and_nobody_there(void **state)
{
	struct rig nobody = {.dots = 0};
	OPENED(.greeting = "421 4.3.2 busy");
	one_message(&r, "b@ours.example", NULL);
	assert_false(r.done[0].had_intent || r.done[0].recorded);
	assert_true(r.done[0].reason.n > 0);
	assert_true(r.evidence_n == 1 && r.evidence[0].attempt == ATTEMPT_UNREACHED &&
		    r.evidence[0].code == 421);
	assert_string_equal(r.evidence[0].stage, "greeting");
	expect_lane(&r, "");
	rig_close(&r);
	rig_open(&nobody, &(struct rig_options){.no_primary = true});
	one_message(&nobody, "b@ours.example", NULL);
	assert_false(nobody.done[0].had_intent || nobody.done[0].recorded);
	assert_string_equal(nobody.evidence[0].stage, "connect");
	expect_lane(&nobody, "");
	rig_close(&nobody);
}

/* The primary was gone once: the next lease finds it back without a long pause. */
static void comes_back_at_once(void **state)
{
	OPENED(.greeting = "");
	for (int i = 0; i < 3; i++)
		one_message(&r, "b@ours.example", NULL);
	r.greeting = NULL;
	while (r.taken_n == 0) {
		(void)rig_lease(&r, 0, "a@sender.example", "b@ours.example", NULL);
		rig_await_done(&r, r.done_n + 1);
	}
	expect_taken(&r, 0, 0);
	rig_close(&r);
}

static bool has_connection(struct rig *r)
{
	return r->connections > 0;
}

static uint64_t patience_ends_us;

static bool patience_is_over(struct rig *r)
{
	return loop_now_us(r->loop) > patience_ends_us;
}

/* N-03, accept and hang: the connection that hangs does not keep later mail from a primary that is back. */
static void n_03_a_hung_connection_holds_up_no_other(void **state)
{
	OPENED(.greeting = "silence");
	(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	(void)rig_lease(&r, 0, "a@sender.example", "b@ours.example", NULL);
	rig_await(&r, has_connection, "it connects");
	patience_ends_us = loop_now_us(r.loop) + 1100000;
	rig_await(&r, patience_is_over, "the courier may try another");
	r.greeting = NULL;
	(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	(void)rig_lease(&r, 1, "a@sender.example", "b@ours.example", NULL);
	rig_await_done(&r, 2);
	assert_int_equal(r.connections, 2);
	expect_taken(&r, 0, 0);
	expect_taken(&r, 1, 1);
	rig_close(&r);
}

/* Optional TLS whose handshake fails: once more, in a new connection, without. */
static void goes_plain_when_the_handshake_fails(void **state)
{
	OPENED(.ehlo = "250-rig\r\n250 STARTTLS");
	one_message(&r, "b@ours.example", NULL);
	expect_taken(&r, 0, 0);
	assert_int_equal(r.connections, 2);
	rig_close(&r);
}

static void waits_for_tls_where_it_is_required(void **state)
{
	struct rig r = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.tls = "required"});
	one_message(&r, "b@ours.example", NULL);
	assert_false(r.done[0].had_intent);
	assert_string_equal(r.evidence[0].stage, "tls");
	assert_int_equal(r.taken_n, 0);
	rig_close(&r);
}

/* A server's own certificate for a host name, and its text. */
static struct tls_context *certified(const char *host, char *pem, size_t pem_n)
{
	char folder[] = "/tmp/holdfast-rig-tls-XXXXXX", certificate[64], key[64];
	struct tls_context *server = NULL;
	struct fault why = {0};
	FILE *f;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
	(void)snprintf(key, sizeof key, "%s/k.pem", folder);
	assert_int_equal(tls_self_signed(certificate, key, host, &why), OK);
	assert_int_equal(tls_server_new(certificate, key, "rig", &server, &why), OK);
	f = fopen(certificate, "r");
	assert_non_null(f);
	pem[fread(pem, 1, pem_n - 1, f)] = '\0';
	(void)fclose(f);
	assert_int_equal(unlink(certificate) + unlink(key) + rmdir(folder), 0);
	return server;
}

/* Under the sandbox too: OpenSSL needs nothing that was not opened before. */
static void delivers_under_tls(void **state)
{
	struct rig r = {.ehlo = "250-rig\r\n250-PIPELINING\r\n250 STARTTLS"};
	char pem[4096];

	(void)state;
	r.tls = certified("127.0.0.1", pem, sizeof pem);
	rig_open(&r, &(struct rig_options){.tls = "required", .tls_ca = pem});
	for (int i = 0; i < 3; i++)
		one_message(&r, "b@ours.example", NULL);
	assert_int_equal(r.dots_under_tls, 3);
	assert_int_equal(r.connections, 1);
	expect_taken(&r, 2, 2);
	rig_close(&r);
}

static char rig_at[32];

static void redirected_to_the_rig(struct msg_lease *l)
{
	l->redirect_host = span_str(rig_at);
}

/* Nobody's certificate, another host's, and none of the two is better where an operator sends the mail. */
static void gives_nothing_to_who_cannot_prove_his_name(void **state)
{
	static const struct {
		const char *host;
		bool is_trusted, is_redirected;
	} rows[] = {{"127.0.0.1", false, false},
		    {"other.example", true, false},
		    {"127.0.0.1", false, true}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rig r = {.ehlo = "250-rig\r\n250-PIPELINING\r\n250 STARTTLS"};
		char pem[4096];

		r.tls = certified(rows[i].host, pem, sizeof pem);
		rig_open(&r, &(struct rig_options){.tls = "required",
						   .tls_ca = rows[i].is_trusted ? pem : NULL});
		(void)snprintf(rig_at, sizeof rig_at, "127.0.0.1:%u", ntohs(r.at.sin_port));
		one_message(&r, "b@ours.example",
			    rows[i].is_redirected ? redirected_to_the_rig : NULL);
		assert_int_equal(r.dots, 0);
		assert_false(r.done[0].had_intent);
		rig_close(&r);
	}
}

/* ---- the clerk goes ---- */

static bool has_dot(struct rig *r)
{
	return r->dots > 0;
}

static bool has_two_hellos(struct rig *r)
{
	return r->hellos >= 2;
}

/* K1: a courier that lost its clerk sends no further final dot, and says what became of what it had begun. */
static void no_dot_without_a_clerk(void **state)
{
	OPENED(.on_data = rig_clerk_gone, .data = "silence");
	(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	(void)rig_lease(&r, 0, "a@sender.example", "b@ours.example", NULL);
	while (r.clerk)
		loop_run((loop_defer(r.loop, (void (*)(void *))loop_stop, r.loop), r.loop));
	rig_clerk_new(&r);
	rig_await(&r, has_two_hellos, "hello to the new clerk");
	r.on_data = NULL;
	r.data = NULL;
	(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	(void)rig_lease(&r, 1, "a@sender.example", "b@ours.example", NULL);
	/* The first lease may still have been held when the new clerk came; then it is told of its end. */
	rig_await_done(&r, 1 + r.hello_leases_n);
	assert_int_equal(r.dots, 1);
	expect_lane(&r,
		    "INTENT 0 rcpts=0\nOUTCOME 0 stage=mail 0:unreached/hold/0\n"
		    "INTENT 1 rcpts=0\nOUTCOME 1 stage=dot 0:accepted/delivered/250:RIG12345\n");
	rig_close(&r);
}

/* A dot that is out is waited for, and its lease is named to the next clerk. */
static void answer_is_awaited_without_a_clerk(void **state)
{
	OPENED(.dot = "silence");
	(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	(void)rig_lease(&r, 0, "a@sender.example", "b@ours.example", NULL);
	rig_await(&r, has_dot, "the dot comes");
	rig_clerk_gone(&r);
	rig_clerk_new(&r);
	rig_await(&r, has_two_hellos, "hello to the new clerk");
	assert_int_equal(r.hello_leases_n, 1);
	assert_int_equal(r.hello_leases[0], 1);
	conn_abort(r.last);
	rig_await_done(&r, 1);
	assert_true(r.done[0].had_intent && r.done[0].recorded);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:lost/unsure/0\n");
	rig_close(&r);
}

/* ---- what must not be sent ---- */

static void aside(struct msg_lease *l)
{
	l->set_aside = SPAN_LIT("three couriers ended while they had it");
}

/* K-07: a poison message is not touched, only recorded. */
static void k_07_set_aside_is_only_recorded(void **state)
{
	OPENED(.dots = 0);
	one_message(&r, "b@ours.example", aside);
	assert_int_equal(r.connections, 0);
	assert_true(!r.done[0].had_intent && r.done[0].recorded);
	expect_lane(&r, "OUTCOME 0 stage=connect 0:5xx/decide/0\n");
	rig_close(&r);
}

static void flip_byte(struct rig *r, off_t behind_header)
{
	char path[200];
	unsigned char byte;
	int fd;

	(void)snprintf(path, sizeof path, "%s/ledger/lane-edge-0/%010u.seg", r->folder,
		       r->messages[0].ref.segment);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)r->messages[0].ref.offset + behind_header), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)r->messages[0].ref.offset + behind_header), 1);
	(void)close(fd);
}

/* D-09, K4: damage is never delivered. */
static void d_09_damaged_message_is_not_sent(void **state)
{
	struct buf big = {0};
	OPENED(.dots = 0);
	for (int i = 0; i < 400; i++)
		buf_printf(&big, "line %d of a body that is long enough to be hit\r\n", i);
	(void)rig_store(&r, buf_span(&big), "a@sender.example", "b@ours.example");
	flip_byte(&r, 4096);
	(void)rig_lease(&r, 0, "a@sender.example", "b@ours.example", verified);
	rig_await_done(&r, 1);
	assert_int_equal(r.dots, 0);
	expect_lane(&r, "INTENT 0 rcpts=0\nOUTCOME 0 stage=data 0:5xx/decide/0\n");
	/* Others are not held up by it. */
	one_message(&r, "b@ours.example", NULL);
	expect_taken(&r, 0, 1);
	buf_fini(&big);
	rig_close(&r);
}

static void large(struct msg_lease *l)
{
	l->body_bytes = 5000000;
	l->sender_verified = true;
}

static void utf8(struct msg_lease *l)
{
	l->smtputf8 = true;
	l->sender_verified = true;
}

static void what_the_site_cannot_take_is_an_operators_decision(void **state)
{
	OPENED(.ehlo = "250-rig\r\n250 SIZE 10");
	one_message(&r, "b@ours.example", large);
	one_message(&r, "b@ours.example", utf8);
	expect_lane(
		&r,
		"OUTCOME 0 stage=mail 0:5xx/decide/552\nOUTCOME 1 stage=mail 0:5xx/decide/553\n");
	assert_int_equal(r.taken_n, 0);
	rig_close(&r);
}

/* ---- where it goes ---- */

static void next_primary_when_the_first_is_dead(void **state)
{
	struct rig r = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.dead_first = true});
	one_message(&r, "b@ours.example", NULL);
	expect_taken(&r, 0, 0);
	assert_true(r.evidence_n >= 1);
	assert_string_equal(r.evidence[0].stage, "connect");
	rig_close(&r);
}

static uint16_t port_of_rig;

static void to_the_rig(struct msg_lease *l)
{
	static char host[40];

	(void)snprintf(host, sizeof host, "127.0.0.1:%u", port_of_rig);
	l->site = SPAN_LIT("nowhere");
	l->redirect_host = span_str(host);
}

static void redirected_by_an_operator(void **state)
{
	OPENED(.dots = 0);
	port_of_rig = ntohs(r.at.sin_port);
	one_message(&r, "b@ours.example", to_the_rig);
	expect_taken(&r, 0, 0);
	rig_close(&r);
}

static void of_no_site(struct msg_lease *l)
{
	l->site = SPAN_LIT("nowhere");
}

static bool home_is_done(struct rig *r)
{
	return r->homes_done == 1;
}

/* P6: nobody can log in; what was sent goes to its author, in one group with the record that says so. */
static void p6_what_cannot_go_home_is_sent_to_its_author(void **state)
{
	OPENED(.dots = 0);
	(void)rig_store(&r, span_str(BODY), "anna@ours.example", "b@ours.example");
	(void)rig_store(&r, span_str(BODY), "anna@ours.example", "b@ours.example");
	rig_lease_home(&r, "anna@ours.example", true);
	rig_await(&r, home_is_done, "HomeDone");
	assert_int_equal(r.home_why, 0);
	expect_lane(&r, "MESSAGE dsn to=anna@ours.example site=office\nHOME 0/64 1/64\n");
	rig_close(&r);
}

/* Without auth there is no credential: nothing is done and nothing recorded. */
static void p6_without_a_credential_nothing_is_touched(void **state)
{
	OPENED(.dots = 0);
	(void)rig_store(&r, span_str(BODY), "anna@ours.example", "b@ours.example");
	rig_lease_home(&r, "anna@ours.example", false);
	rig_await(&r, home_is_done, "HomeDone");
	assert_int_not_equal(r.home_why, 0);
	expect_lane(&r, "");
	rig_close(&r);
}

static void lease_for_an_unknown_site_lapses(void **state)
{
	OPENED(.dots = 0);
	one_message(&r, "b@ours.example", of_no_site);
	assert_false(r.done[0].had_intent || r.done[0].recorded);
	rig_close(&r);
}

static bool has_no_scout(struct rig *r)
{
	return r->scout == NULL;
}

/* Any role may die: without scout the last good answer serves; without any there is no offer, and no loss. */
static void names_are_remembered_without_scout(void **state)
{
	struct rig r = {.dots = 0}, alone = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.host = "primary.example", .scout = true});
	one_message(&r, "b@ours.example", NULL);
	assert_int_equal(r.questions, 1);
	link_close(r.scout);
	r.scout = NULL;
	rig_await(&r, has_no_scout, "scout is gone");
	conn_abort(r.last);
	one_message(&r, "b@ours.example", NULL);
	expect_taken(&r, 1, 1);
	rig_close(&r);
	rig_open(&alone, &(struct rig_options){.host = "primary.example"});
	one_message(&alone, "b@ours.example", NULL);
	assert_false(alone.done[0].had_intent);
	assert_non_null(memmem(alone.done[0].reason.p, alone.done[0].reason.n, "scout", 5));
	rig_close(&alone);
}

/* A kept connection that is dead at the next MAIL: offered again on a new one, and only once. */
static void stale_connection_is_replaced(void **state)
{
	struct rig r = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.concurrency = 1});
	one_message(&r, "b@ours.example", NULL);
	r.mail = "";
	one_message(&r, "b@ours.example", NULL);
	assert_int_equal(r.connections, 2);
	expect_lane(
		&r,
		"INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n"
		"INTENT 1 rcpts=0\nINTENT 1 rcpts=0\nOUTCOME 1 stage=mail 0:unreached/hold/0\n");
	rig_close(&r);
}

/* RFC 5321 s4.5.3.1.8: a hundred at a time; each batch is recorded by itself. */
static void many_recipients_go_in_batches(void **state)
{
	struct buf rcpts = {0}, lane = {0};
	OPENED(.dots = 0);
	for (int i = 0; i < RIG_RCPTS; i++)
		buf_printf(&rcpts, "%su%d@ours.example", i ? "," : "", i);
	one_message(&r, buf_cstr(&rcpts), NULL);
	assert_int_equal(r.dots, 3);
	for (size_t i = 0; i < 3; i++)
		expect_taken(&r, i, 0);
	assert_non_null(strstr(r.taken[2].rcpts, "u249@ours.example"));
	rig_lane(&r, &lane);
	assert_non_null(strstr(buf_cstr(&lane), "INTENT 0 rcpts=200,"));
	assert_non_null(strstr(buf_cstr(&lane), " 249:accepted/delivered/250:RIG12345\n"));
	buf_fini(&rcpts);
	buf_fini(&lane);
	rig_close(&r);
}

static void stop_site(struct rig *r)
{
	struct buf body = {0};

	msg_stop_site_encode(&body, &(struct msg_stop_site){.site = SPAN_LIT("office")});
	assert_int_equal(link_send(r->clerk, MSG_STOP_SITE, buf_span(&body)), OK);
	buf_fini(&body);
	r->on_data = NULL;
}

/* N-05, N-07: the valve closes: what is under way ends, what waits goes back, nothing is begun. */
static void n_05_stopped_site_gives_leases_back(void **state)
{
	struct rig r = {.dots = 0};

	(void)state;
	rig_open(&r, &(struct rig_options){.concurrency = 1});
	r.on_data = stop_site;
	r.data = "silence";
	for (size_t i = 0; i < 4; i++)
		(void)rig_store(&r, SPAN_LIT(BODY), "a@sender.example", "b@ours.example");
	for (size_t i = 0; i < 4; i++)
		(void)rig_lease(&r, i, "a@sender.example", "b@ours.example", NULL);
	rig_await_done(&r, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(r.done[i].lease, i + 2);
		assert_false(r.done[i].had_intent || r.done[i].recorded);
	}
	conn_abort(r.last);
	rig_await_done(&r, 4);
	assert_true(r.done[3].lease == 1 && r.done[3].recorded);
	assert_int_equal(r.connections, 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_unchanged_in_order),
		cmocka_unit_test(one_connection_keeps_the_order),
		cmocka_unit_test(records_what_happened),
		cmocka_unit_test(refused_recipient_of_a_verified_sender),
		cmocka_unit_test(s_17_no_notification_to_an_unverified_sender),
		cmocka_unit_test(notification_to_one_of_ours_names_the_site),
		cmocka_unit_test(notify_is_honoured),
		cmocka_unit_test(n_05_probation_bounces_nothing),
		cmocka_unit_test(n_03_4xx_at_rcpt_and_at_the_end),
		cmocka_unit_test(lost_after_and_before_the_dot),
		cmocka_unit_test(n_03_421_greeting_and_nobody_there),
		cmocka_unit_test(comes_back_at_once),
		cmocka_unit_test(n_03_a_hung_connection_holds_up_no_other),
		cmocka_unit_test(goes_plain_when_the_handshake_fails),
		cmocka_unit_test(waits_for_tls_where_it_is_required),
		cmocka_unit_test(delivers_under_tls),
		cmocka_unit_test(gives_nothing_to_who_cannot_prove_his_name),
		cmocka_unit_test(no_dot_without_a_clerk),
		cmocka_unit_test(answer_is_awaited_without_a_clerk),
		cmocka_unit_test(k_07_set_aside_is_only_recorded),
		cmocka_unit_test(d_09_damaged_message_is_not_sent),
		cmocka_unit_test(what_the_site_cannot_take_is_an_operators_decision),
		cmocka_unit_test(next_primary_when_the_first_is_dead),
		cmocka_unit_test(redirected_by_an_operator),
		cmocka_unit_test(p6_what_cannot_go_home_is_sent_to_its_author),
		cmocka_unit_test(p6_without_a_credential_nothing_is_touched),
		cmocka_unit_test(lease_for_an_unknown_site_lapses),
		cmocka_unit_test(names_are_remembered_without_scout),
		cmocka_unit_test(stale_connection_is_replaced),
		cmocka_unit_test(many_recipients_go_in_batches),
		cmocka_unit_test(n_05_stopped_site_gives_leases_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
