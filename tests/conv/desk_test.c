/*
 * A real holdfast-desk process: what people's mail programs hear, what the lane holds, and what happens when auth or the
 * clerk is away. The peers are played (desk_host.h), the views are real.
 */
#include "desk_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { IMAP, IMAPS, POP3, POP3S };

static const char *program;
static struct desk_host desk;
static struct buf said;

static int set_up(void **state)
{
	(void)state;
	desk_host_init(&desk);
	return 0;
}

static int tear_down(void **state)
{
	int status = desk_host_stop(&desk);

	(void)state;
	buf_fini(&said);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Says it and reads until `end` is there. */
static void talk(int fd, const char *text, const char *end)
{
	edge_say(fd, text);
	buf_clear(&said);
	if (!desk_hear(fd, end, &said))
		fail_msg("after %s: expected %s, got:\n%s\n", text, end, (char *)said.p);
}

static int pop3_in(void)
{
	int fd = desk_client(&desk, POP3);

	talk(fd, "", "\r\n");
	talk(fd, "USER anna@ours.example\r\nPASS secret\r\n", "Logged in\r\n");
	return fd;
}

static void expect(const char *text)
{
	if (!strstr((char *)said.p, text))
		fail_msg("expected %s, got:\n%s\n", text, (char *)said.p);
}

/* ---- POP3 ---- */

static void pop3_reads_what_is_held(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 3);
	fd = pop3_in();
	talk(fd, "STAT\r\nUIDL\r\n", ".\r\n");
	expect("+OK 3 ");
	talk(fd, "RETR 2\r\n", "\r\n.\r\n");
	expect("Received: by test\r\nFrom: far@away.example\r\nSubject: number 2\r\n\r\nbody "
	       "2\r\n..dot\r\n.\r\n");
	(void)close(fd);
}

/* P-03 */
static void p_03_deletion_is_after_quit_and_of_what_was_marked(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 3);
	fd = pop3_in();
	talk(fd, "DELE 1\r\nDELE 3\r\n", "QUIT\r\n+OK Will be deleted at QUIT\r\n");
	(void)close(fd); /* without QUIT */
	fd = pop3_in();
	talk(fd, "STAT\r\n", "+OK 3 ");
	talk(fd, "DELE 1\r\nDELE 3\r\nQUIT\r\n", "Bye\r\n");
	(void)close(fd);
	fd = pop3_in();
	talk(fd, "UIDL\r\n", ".\r\n");
	expect("+OK 1 messages\r\n1 ");
	expect(".2\r\n.\r\n");
	(void)close(fd);
}

/* H-17 in part: the same words, whoever it is; P-07. */
static void p_07_a_wrong_name_and_a_wrong_password_sound_alike(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 0);
	fd = desk_client(&desk, POP3);
	talk(fd, "", "\r\n");
	talk(fd, "USER nobody@else.example\r\nPASS secret\r\n", "-ERR [AUTH] wrong\r\n");
	talk(fd, "USER anna@ours.example\r\nPASS guess\r\n", "-ERR [AUTH] wrong\r\n");
	(void)close(fd);
}

static void auth_away_is_said(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 0);
	fd = desk_client(&desk, POP3);
	talk(fd, "", "\r\n");
	desk.auth_is_silent = true;
	edge_say(fd, "USER anna@ours.example\r\nPASS secret\r\n");
	while (desk.asked == 0)
		(void)usleep(1000);
	desk_host_cut_auth(&desk);
	talk(fd, "", "-ERR [SYS/TEMP] Logins cannot be checked at the moment; try again soon\r\n");
	talk(fd, "USER anna@ours.example\r\nPASS secret\r\n", "try again soon\r\n");
	(void)close(fd);
}

/* H-20: an account that has changed ends its sessions at once. */
static void h_20_sessions_of_a_changed_account_end(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 1);
	fd = pop3_in();
	desk_host_accounts_changed(&desk, "ben@ours.example");
	talk(fd, "NOOP\r\n", "+OK\r\n");
	desk_host_accounts_changed(&desk, "anna@ours.example");
	buf_clear(&said);
	assert_false(desk_hear(fd, "never", &said));
	expect("Your account has changed");
	(void)close(fd);
}

static void too_many_sessions_of_an_account(void **state)
{
	int fds[3];

	(void)state;
	desk.host.config.sessions_per_account = 2;
	desk_host_start(&desk, program, 1);
	fds[0] = pop3_in();
	fds[1] = pop3_in();
	fds[2] = desk_client(&desk, POP3);
	talk(fds[2], "", "\r\n");
	talk(fds[2], "USER anna@ours.example\r\nPASS secret\r\n",
	     "Too many sessions of this account; close some first\r\n");
	talk(fds[0], "QUIT\r\n", "Bye\r\n");
	assert_false(desk_hear(fds[0], "never", &said));
	talk(fds[2], "USER anna@ours.example\r\nPASS secret\r\n", "Logged in\r\n");
	for (size_t i = 0; i < 3; i++)
		(void)close(fds[i]);
}

/* Many people come from one address: only who has not logged in is counted by it. */
static void sessions_of_a_source(void **state)
{
	int fds[4], fd;

	(void)state;
	desk.host.config.limits.sessions_per_source = 2;
	desk_host_start(&desk, program, 0);
	for (size_t i = 0; i < 4; i++)
		fds[i] = pop3_in();
	for (size_t i = 0; i < 2; i++) {
		talk(fds[i], "QUIT\r\n", "Bye\r\n");
		(void)close(fds[i]);
		fds[i] = desk_client(&desk, POP3);
		talk(fds[i], "", "+OK");
	}
	fd = desk_client(&desk, POP3);
	talk(fd, "", "-ERR [SYS/TEMP] Too many sessions from your address\r\n");
	(void)close(fd);
	talk(fds[0], "USER anna@ours.example\r\nPASS secret\r\n", "Logged in\r\n");
	fd = pop3_in();
	(void)close(fd);
	for (size_t i = 0; i < 4; i++)
		(void)close(fds[i]);
}

/* An act that is on its way when the clerk's link goes is answered when it is back: nothing is asked twice. */
static void the_clerks_link_comes_back_with_the_verdict(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 2);
	fd = pop3_in();
	desk.clerk_is_silent = true;
	edge_say(fd, "DELE 1\r\nQUIT\r\n");
	talk(fd, "", "QUIT\r\n"); /* of DELE's answer */
	while (!desk_host_has_durable(&desk))
		(void)usleep(1000);
	desk_host_cut_clerk(&desk);
	desk_host_link_clerk(&desk);
	desk.clerk_is_silent = false;
	if (!strstr((char *)said.p, "Bye"))
		talk(fd, "", "Bye\r\n");
	assert_true(desk.hellos >= 2);
	(void)close(fd);
	fd = pop3_in();
	talk(fd, "STAT\r\n", "+OK 1 ");
	(void)close(fd);
}

static void without_a_clerk_nothing_is_recorded(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 1);
	fd = pop3_in();
	desk_host_cut_clerk(&desk);
	desk_host_await(&desk, MSG_LINK_LOST);
	talk(fd, "DELE 1\r\nQUIT\r\n",
	     "-ERR [SYS/TEMP] Changes cannot be made at the moment; try again soon\r\n");
	(void)close(fd);
	fd = pop3_in(); /* reading goes on */
	talk(fd, "STAT\r\n", "+OK 1 ");
	(void)close(fd);
}

/* ---- IMAP ---- */

static int imap_in(void)
{
	int fd = desk_client(&desk, IMAP);

	talk(fd, "", "\r\n");
	talk(fd, "a LOGIN anna@ours.example secret\r\n", "a OK");
	return fd;
}

static void imap_reads_and_changes(void **state)
{
	int fd, other;

	(void)state;
	desk_host_start(&desk, program, 3);
	fd = imap_in();
	talk(fd, "b LIST \"\" *\r\n", "b OK");
	expect("Drafts");
	talk(fd, "c SELECT INBOX\r\n", "c OK");
	expect("* 3 EXISTS");
	talk(fd, "d FETCH 2 (FLAGS ENVELOPE RFC822.SIZE BODY.PEEK[])\r\n", "d OK");
	expect("\"number 2\"");
	expect("Received: by test\r\nFrom: far@away.example\r\nSubject: number 2\r\n\r\nbody "
	       "2\r\n.dot\r\n");
	other = imap_in();
	talk(other, "s SELECT INBOX\r\n", "s OK");
	talk(other, "i IDLE\r\n", "+ ");
	talk(fd, "e STORE 2 +FLAGS (\\Flagged $Work)\r\n", "e OK");
	expect("\\Flagged");
	talk(other, "", "\\Flagged");
	talk(fd, "f COPY 1:2 Archive\r\n", "f OK");
	expect("COPYUID");
	talk(fd, "g MOVE 3 Trash\r\n", "g OK");
	talk(other, "", "EXPUNGE");
	talk(fd, "h CREATE Projects/Moon\r\n", "h OK");
	talk(fd, "i SELECT Nowhere\r\n", "i NO");
	talk(other, "DONE\r\nz LOGOUT\r\n", "z OK");
	(void)close(other);
	(void)close(fd);
}

static void imap_append_small_and_large(void **state)
{
	enum { LARGE = 700000 };
	static char large[LARGE + 1];
	char text[200];
	int fd;

	(void)state;
	desk_host_start(&desk, program, 0);
	fd = imap_in();
	talk(fd, "b APPEND Drafts (\\Draft) {17+}\r\nSubject: x\r\n\r\ny\r\n\r\n", "b OK");
	expect("APPENDUID");
	for (size_t i = 0; i < LARGE; i++)
		large[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : (char)('a' + i % 25);
	(void)snprintf(text, sizeof text, "c APPEND Sent (\\Seen) {%u}\r\n", LARGE);
	talk(fd, text, "+ ");
	edge_say(fd, large);
	talk(fd, "\r\n", "c OK");
	talk(fd, "d SELECT Sent\r\n", "d OK");
	expect("* 1 EXISTS");
	buf_clear(&said);
	edge_say(fd, "e FETCH 1 BODY.PEEK[]\r\n");
	assert_true(desk_hear(fd, "e OK", &said));
	assert_non_null(memmem(said.p, said.n, large, LARGE));
	talk(fd, "f FETCH 1 BODY.PEEK[]<600000.100>\r\n", "f OK");
	assert_non_null(memmem(said.p, said.n, large + 600000, 100));
	talk(fd, "g FETCH 1 BODY.PEEK[]<100.100>\r\n", "g OK");
	assert_non_null(memmem(said.p, said.n, large + 100, 100));
	(void)snprintf(text, sizeof text, "h APPEND Sent {%u}\r\n", 30 << 20);
	talk(fd, text, "h NO");
	talk(fd, "i NOOP\r\n", "i OK");
	(void)close(fd);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* New mail is told to who idles, soon (I-14 in small). */
static void i_14_idle_hears_of_new_mail_at_once(void **state)
{
	uint64_t began;
	int fd;

	(void)state;
	desk_host_start(&desk, program, 1);
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	talk(fd, "c IDLE\r\n", "+ ");
	began = now_ms();
	desk_host_mail(&desk, SPAN_LIT("Subject: new\r\n\r\nbody\r\n"));
	talk(fd, "", "* 2 EXISTS");
	assert_true(now_ms() - began < 1000);
	talk(fd, "DONE\r\n", "c OK");
	(void)close(fd);
}

/* I-14: what an idle session costs, all in; the mailbox has messages to remember. */
static void i_14_idle_sessions_cost_little(void **state)
{
	enum { SESSIONS = 500, LIMIT_KIB = 32 };
	static int fds[SESSIONS];
	unsigned before = 0, after;

	(void)state;
	desk.host.config.sessions_per_account = 2 * SESSIONS;
	desk.host.config.limits.sessions = 2 * SESSIONS;
	desk_host_start(&desk, program, 200);
	for (unsigned i = 0; i < SESSIONS; i++) {
		fds[i] = imap_in();
		talk(fds[i], "b SELECT INBOX\r\n", "b OK");
		talk(fds[i], "c FETCH 1:* (FLAGS)\r\n", "c OK");
		talk(fds[i], "d IDLE\r\n", "+ ");
		if (i == 9)
			before = desk_host_rss_kib(&desk); /* caches and code are there */
	}
	after = desk_host_rss_kib(&desk);
	print_message("%u KiB for each of %u idle sessions\n", (after - before) / (SESSIONS - 10),
		      SESSIONS - 10);
	if (!desk_host_is_sanitized())
		assert_true((after - before) / (SESSIONS - 10) < LIMIT_KIB);
	desk_host_mail(&desk, SPAN_LIT("Subject: new\r\n\r\nbody\r\n"));
	for (unsigned i = 0; i < SESSIONS; i++) {
		talk(fds[i], "", "* 201 EXISTS");
		(void)close(fds[i]);
	}
}

/* I-16: a client that stops reading holds up nobody, costs little, and is dropped. */
static void i_16_a_client_that_does_not_read(void **state)
{
	static unsigned char body[600 << 10];
	int fd, other, room = 4096;
	struct buf command = {0};

	(void)state;
	memset(body, 'x', sizeof body);
	memcpy(body, "Subject: large\r\n\r\n", 18);
	for (size_t i = 80; i + 2 < sizeof body; i += 80)
		memcpy(body + i, "\r\n", 2);
	desk_host_start(&desk, program, 0);
	for (unsigned i = 0; i < 20; i++)
		desk_host_mail(&desk, span_of(body, sizeof body));
	fd = imap_in();
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	for (unsigned i = 0; i < 50; i++)
		(void)buf_printf(&command, "c%u FETCH 1:* BODY.PEEK[]\r\n", i);
	edge_say(fd, buf_cstr(&command));
	other = imap_in();
	talk(other, "b SELECT INBOX\r\n", "b OK");
	assert_true(desk_host_is_sanitized() || desk_host_rss_kib(&desk) < 64 << 10);
	talk(other, "c FETCH 20 BODY.PEEK[HEADER]\r\n", "c OK");
	expect("Subject: large");
	(void)close(other);
	(void)close(fd);
	buf_fini(&command);
}

static void without_a_clerk_imap_says_unavailable(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 1);
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	desk_host_cut_clerk(&desk);
	desk_host_await(&desk, MSG_LINK_LOST);
	talk(fd, "c STORE 1 +FLAGS (\\Seen)\r\n", "c NO [UNAVAILABLE]");
	talk(fd, "d APPEND INBOX {3+}\r\nx\r\n\r\n", "d NO [UNAVAILABLE]");
	talk(fd, "e FETCH 1 (FLAGS)\r\n", "e OK");
	desk_host_link_clerk(&desk);
	while (desk.hellos < 2)
		(void)usleep(1000);
	talk(fd, "f STORE 1 +FLAGS (\\Seen)\r\n", "f OK");
	(void)close(fd);
}

/* No index at all: the message is parsed here, its charset's converter is there in spite of the sandbox. */
static void without_an_index_search_decodes(void **state)
{
	int fd;

	(void)state;
	desk_host_start(&desk, program, 1);
	desk_host_mail(&desk, SPAN_LIT("Subject: =?windows-1251?B?z/Do4uXy?=\r\n\r\nbody\r\n"));
	desk_host_mail(&desk,
		       SPAN_LIT("Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n\r\nbody\r\n"));
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	talk(fd,
	     "c SEARCH CHARSET UTF-8 SUBJECT "
	     "{12+}\r\n\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\r\n",
	     "c OK");
	expect("* SEARCH 2\r\n");
	talk(fd, "d SEARCH CHARSET UTF-8 SUBJECT {6+}\r\n\xe6\x97\xa5\xe6\x9c\xac\r\n", "d OK");
	expect("* SEARCH 3\r\n");
	talk(fd, "e SEARCH BODY body\r\n", "e OK");
	expect("* SEARCH 1 2 3\r\n");
	(void)close(fd);
}

/* K-12 in small: sessions of both kinds live through reloads, and go by the new limits. */
static void k_12_reloads_drop_nobody(void **state)
{
	int imap, pop3, fresh;

	(void)state;
	desk_host_start(&desk, program, 2);
	imap = imap_in();
	pop3 = pop3_in();
	fresh = desk_client(&desk, IMAP);
	talk(fresh, "", "* OK");
	for (unsigned i = 0; i < 20; i++) {
		desk.host.config.limits.message_bytes = 1000 + i;
		edge_host_reload(&desk.host);
		talk(imap, "b NOOP\r\n", "b OK");
		talk(pop3, "NOOP\r\n", "+OK\r\n");
	}
	do
		talk(imap, "c CAPABILITY\r\n", "c OK");
	while (!strstr((char *)said.p, "APPENDLIMIT=1019") && usleep(10000) == 0);
	talk(imap, "d APPEND Drafts {2000}\r\n", "d NO [TOOBIG]");
	talk(fresh, "a LOGIN anna@ours.example secret\r\n", "a OK");
	(void)close(imap);
	(void)close(pop3);
	(void)close(fresh);
}

/* D-06: below the reserve no message can be put into a mailbox; reading, marks and deletion go on. */
static void d_06_below_the_reserve(void **state)
{
	int fd;

	(void)state;
	desk.host.config.limits.reserve_bytes = 1ull << 60;
	desk_host_start(&desk, program, 2);
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	talk(fd, "c STORE 1 +FLAGS (\\Deleted)\r\n", "c OK");
	talk(fd, "d EXPUNGE\r\n", "d OK");
	talk(fd, "e APPEND Drafts {3+}\r\nx\r\n\r\n", "e NO [OVERQUOTA]");
	talk(fd, "f FETCH 1 BODY.PEEK[TEXT]\r\n", "f OK");
	expect("body 2");
	(void)close(fd);
}

/* An act that nobody judges in time: the answer tells the truth, and the act is done when the clerk is back. */
static void no_verdict_in_time(void **state)
{
	int fd;

	(void)state;
	desk.host.config.limits.command_timeout_ms = 1500;
	desk_host_start(&desk, program, 1);
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	desk.clerk_is_silent = true;
	talk(fd, "c STORE 1 +FLAGS (\\Seen)\r\n", "c NO [UNAVAILABLE]");
	expect("it may have been");
	desk.clerk_is_silent = false;
	do
		talk(fd, "d NOOP\r\n", "d OK");
	while (!strstr((char *)said.p, "FETCH (") && usleep(10000) == 0);
	expect("\\Seen");
	(void)close(fd);
}

/* Four at once, with room for less than one of them: all wait for the disk, none for another. */
static void appends_beyond_the_budget_all_arrive(void **state)
{
	enum { CLIENTS = 4, LARGE = 700000 };
	static char large[LARGE + 1];
	int fds[CLIENTS];
	char text[80];

	(void)state;
	memset(large, 'x', LARGE);
	memcpy(large, "Subject: y\r\n\r\n", 14);
	desk.host.config.limits.buffer_bytes = 64 << 10;
	desk_host_start(&desk, program, 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		fds[i] = imap_in();
		(void)snprintf(text, sizeof text, "c APPEND Drafts {%u+}\r\n", LARGE);
		edge_say(fds[i], text);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		edge_say(fds[i], large);
	for (unsigned i = 0; i < CLIENTS; i++)
		talk(fds[i], "\r\n", "c OK");
	talk(fds[0], "d STATUS Drafts (MESSAGES SIZE)\r\n", "d OK");
	expect("MESSAGES 4");
	expect("SIZE 2800000");
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)close(fds[i]);
}

/* A client that goes in the middle leaves nothing behind (L1). */
static void an_append_that_is_cut_off_leaves_nothing(void **state)
{
	static char part[300001];
	int fd;

	(void)state;
	memset(part, 'x', sizeof part - 1);
	desk_host_start(&desk, program, 0);
	fd = imap_in();
	talk(fd, "b APPEND Drafts {700000}\r\n", "+ ");
	edge_say(fd, part);
	(void)close(fd);
	fd = imap_in();
	talk(fd, "d STATUS Drafts (MESSAGES)\r\n", "d OK");
	expect("MESSAGES 0");
	(void)close(fd);
}

/* K-06: idle sessions hear BYE and the process ends. */
static void k_06_stop_ends_idle_sessions(void **state)
{
	uint64_t began;
	int fd, other;

	(void)state;
	desk_host_start(&desk, program, 1);
	fd = imap_in();
	talk(fd, "b SELECT INBOX\r\n", "b OK");
	talk(fd, "c IDLE\r\n", "+ ");
	other = pop3_in();
	began = now_ms();
	edge_host_tell_stop(&desk.host);
	buf_clear(&said);
	assert_false(desk_hear(fd, "never", &said));
	expect("* BYE");
	buf_clear(&said);
	assert_false(desk_hear(other, "never", &said));
	expect("-ERR [SYS/TEMP] Shutting down");
	assert_true(now_ms() - began < 5000);
	(void)close(fd);
	(void)close(other);
}

int main(int argc, char **argv)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(pop3_reads_what_is_held),
		ROW(p_03_deletion_is_after_quit_and_of_what_was_marked),
		ROW(p_07_a_wrong_name_and_a_wrong_password_sound_alike),
		ROW(auth_away_is_said),
		ROW(h_20_sessions_of_a_changed_account_end),
		ROW(too_many_sessions_of_an_account),
		ROW(sessions_of_a_source),
		ROW(the_clerks_link_comes_back_with_the_verdict),
		ROW(without_a_clerk_nothing_is_recorded),
		ROW(imap_reads_and_changes),
		ROW(imap_append_small_and_large),
		ROW(i_14_idle_hears_of_new_mail_at_once),
		ROW(i_14_idle_sessions_cost_little),
		ROW(i_16_a_client_that_does_not_read),
		ROW(without_a_clerk_imap_says_unavailable),
		ROW(without_an_index_search_decodes),
		ROW(k_12_reloads_drop_nobody),
		ROW(d_06_below_the_reserve),
		ROW(no_verdict_in_time),
		ROW(appends_beyond_the_budget_all_arrive),
		ROW(an_append_that_is_cut_off_leaves_nothing),
		ROW(k_06_stop_ends_idle_sessions),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	(void)setenv("HOLDFAST_SECCOMP", "kill", 0);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
