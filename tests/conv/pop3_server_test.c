/* The POP3 engine in dialogue: each one fed all at once, byte by byte and in threes, with the same answers (P1). */
#include "pop3_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define LOGIN "USER anna\r\nPASS secret\r\n"
#define HELLO "+OK mx2.example Holdfast POP3\r\n"
#define IN    HELLO "+OK Now the password\r\n+OK Logged in\r\n"

struct dialogue {
	const char *name;
	bool is_plain; /* no TLS */
	const char *says, *hears, *acts;
	bool is_open; /* at the end */
	enum rc act_answer, store_answer;
};

static const struct dialogue dialogues[] = {
	{.name = "a whole session",
	 .says = LOGIN "STAT\r\nLIST\r\nUIDL\r\nLIST 2\r\nUIDL 4\r\nNOOP\r\nQUIT\r\n",
	 .hears = IN "+OK 4 105\r\n+OK 4 messages\r\n1 45\r\n2 30\r\n3 20\r\n4 10\r\n.\r\n"
		     "+OK 4 messages\r\n1 1700000000.3\r\n2 1700000000.4\r\n3 1700000000.5\r\n4 "
		     "1700000000.7\r\n.\r\n"
		     "+OK 2 30\r\n+OK 4 1700000000.7\r\n+OK\r\n+OK Bye\r\n",
	 .acts = ""},
	{.name = "dots are doubled and the end is on a line of its own",
	 .says = LOGIN "RETR 1\r\nRETR 2\r\nRETR 4\r\n",
	 .hears = IN
	 "+OK 45 octets\r\nSubject: one\r\n\r\nline 1\r\n..line 2\r\n...\r\nline 4\r\n.\r\n"
	 "+OK 30 octets\r\nSubject: two\r\n\r\nno end of line\r\n.\r\n"
	 "+OK 10 octets\r\n\r\na\n..\r\nb\r\n.\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "top",
	 .says = LOGIN "TOP 1 0\r\nTOP 1 2\r\nTOP 3 5\r\nTOP 1\r\nTOP 1 x\r\nTOP 9 1\r\n",
	 .hears = IN "+OK 45 octets\r\nSubject: one\r\n\r\n.\r\n"
		     "+OK 45 octets\r\nSubject: one\r\n\r\nline 1\r\n..line 2\r\n.\r\n"
		     "+OK 20 octets\r\nSubject: three\r\nX: y\r\n.\r\n"
		     "-ERR TOP needs a message number and a number of lines\r\n"
		     "-ERR TOP needs a message number and a number of lines\r\n"
		     "-ERR There is no such message\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "P-03 nothing is asked before QUIT, then exactly what is marked",
	 .says = LOGIN
	 "RETR 2\r\nDELE 1\r\nDELE 1\r\nDELE 3\r\nDELE 4\r\nRETR 4\r\nSTAT\r\nLIST\r\nQUIT\r\n",
	 .hears = IN "+OK 30 octets\r\nSubject: two\r\n\r\nno end of line\r\n.\r\n"
		     "+OK Will be deleted at QUIT\r\n-ERR This message is marked as deleted\r\n"
		     "+OK Will be deleted at QUIT\r\n+OK Will be deleted at QUIT\r\n"
		     "-ERR This message is marked as deleted\r\n+OK 1 30\r\n"
		     "+OK 1 messages\r\n2 30\r\n.\r\n+OK Bye\r\n",
	 .acts = "store 1 4:4\nstore 8 3:3 5:5 7:7\nexpunge 0 3:3 5:5 7:7\n"},
	{.name = "P-03 an end without QUIT asks for nothing",
	 .says = LOGIN "DELE 1\r\nRETR 3\r\n",
	 .hears = IN
	 "+OK Will be deleted at QUIT\r\n+OK 20 octets\r\nSubject: three\r\nX: y\r\n.\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "RSET takes the marks away",
	 .says = LOGIN "DELE 1\r\nDELE 2\r\nRSET\r\nSTAT\r\nDELE 2\r\nQUIT\r\n",
	 .hears = IN "+OK Will be deleted at QUIT\r\n+OK Will be deleted at QUIT\r\n"
		     "+OK Nothing is marked as deleted now\r\n+OK 4 105\r\n+OK Will be deleted at "
		     "QUIT\r\n+OK Bye\r\n",
	 .acts = "store 8 4:4\nexpunge 0 4:4\n"},
	{.name = "a refused act ends it with -ERR",
	 .says = LOGIN "DELE 1\r\nQUIT\r\n",
	 .hears = IN
	 "+OK Will be deleted at QUIT\r\n-ERR [SYS/TEMP] Not all messages were deleted\r\n",
	 .acts = "store 8 3:3\n",
	 .act_answer = LATER},
	{.name = "views are being made",
	 .says = LOGIN "STAT\r\n",
	 .hears = HELLO
	 "+OK Now the password\r\n"
	 "-ERR [SYS/TEMP] Mailboxes are being made; come back in a moment\r\n-ERR Log in first\r\n",
	 .acts = "",
	 .is_open = true,
	 .store_answer = LATER},
	{.name = "P-07 a name tells nothing; AUTH-RESP-CODE",
	 .says = "USER nobody\r\nPASS secret\r\nUSER anna\r\nPASS wrong one\r\nUSER late\r\nPASS "
		 "secret\r\nPASS x\r\n",
	 .hears = HELLO "+OK Now the password\r\n-ERR [AUTH] no??way\r\n+OK Now the "
			"password\r\n-ERR [AUTH] no??way\r\n"
			"+OK Now the password\r\n-ERR [SYS/TEMP] later\r\n-ERR Send USER first\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "SASL",
	 .says = "AUTH\r\nAUTH NONE\r\nAUTH PLAIN !\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN\r\nx\r\n"
		 "AUTH PLAIN AGFubmEAd3Jvbmc=\r\nauth plain\r\nAGFubmEAc2VjcmV0\r\nSTAT\r\n",
	 .hears = HELLO
	 "-ERR This way of logging in is not offered; CAPA shows the ones that are\r\n"
	 "-ERR This way of logging in is not offered; CAPA shows the ones that are\r\n"
	 "-ERR The initial response is not base64\r\n+ \r\n-ERR The login was given up\r\n"
	 "+ \r\n-ERR The response is not base64\r\n-ERR [AUTH] no??way\r\n+ \r\n+OK Logged "
	 "in\r\n+OK 4 105\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "SASL with a last word of the server",
	 .says = "AUTH SCRAM-SHA-256 bj1hbm5h\r\ncHJvb2Y=\r\n\r\nSTAT\r\n",
	 .hears = HELLO "+ cj1ub25jZQ==\r\n+ dj1zZXJ2ZXI=\r\n+OK Logged in\r\n+OK 4 105\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "without TLS no password is taken",
	 .is_plain = true,
	 .says = "CAPA\r\nUSER anna\r\nPASS secret\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\nQUIT\r\n",
	 .hears = HELLO
	 "+OK What is offered "
	 "follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	 "UTF8 USER\r\nSASL SCRAM-SHA-256\r\nSTLS\r\nIMPLEMENTATION Holdfast\r\n.\r\n"
	 "-ERR [AUTH] Encryption is needed before you log in: STLS first, or the port for TLS\r\n"
	 "-ERR [AUTH] Encryption is needed before you log in: STLS first, or the port for TLS\r\n"
	 "-ERR [AUTH] Encryption is needed before you log in: STLS first, or the port for "
	 "TLS\r\n+OK Bye\r\n",
	 .acts = ""},
	{.name = "capabilities under TLS",
	 .says = "CAPA\r\nSTLS\r\nUTF8\r\n" LOGIN "CAPA\r\n",
	 .hears = HELLO
	 "+OK What is offered "
	 "follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	 "UTF8 USER\r\nUSER\r\nSASL PLAIN SCRAM-SHA-256\r\nIMPLEMENTATION Holdfast\r\n.\r\n"
	 "-ERR This session is encrypted already\r\n+OK UTF-8 it is\r\n"
	 "+OK Now the password\r\n+OK Logged in\r\n"
	 "+OK What is offered "
	 "follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	 "UTF8 USER\r\nUSER\r\nSASL PLAIN SCRAM-SHA-256\r\nIMPLEMENTATION Holdfast\r\n.\r\n",
	 .acts = "",
	 .is_open = true},
	{.name = "a bare LF ends the session",
	 .says = LOGIN "STAT\nDELE 1\r\nQUIT\r\n",
	 .hears = IN "-ERR Lines must end in CR LF; this one ended in a bare LF; closing\r\n",
	 .acts = ""},
	{.name = "P-05 unknown commands end the session",
	 .says = "A\r\nB\r\nC\r\nD\r\nE\r\nF\r\nG\r\nH\r\nI\r\nJ\r\nK\r\n",
	 .hears = HELLO "-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Command not known; CAPA shows what is offered\r\n"
			"-ERR Too many errors in this session; closing it\r\n",
	 .acts = ""},
	{.name = "wrong arguments",
	 .says = LOGIN "STAT 1\r\nRETR\r\nRETR 0\r\nRETR 5\r\nRETR 99999999999\r\nDELE -1\r\nUSER "
		       "x\r\nLIST 5\r\n",
	 .hears = IN "-ERR The command takes no argument\r\n-ERR The command needs an argument\r\n"
		     "-ERR A message number is needed\r\n-ERR There is no such message\r\n"
		     "-ERR A message number is needed\r\n-ERR A message number is needed\r\n"
		     "-ERR You are logged in already\r\n-ERR There is no such message\r\n",
	 .acts = "",
	 .is_open = true},
};

static void play(const struct dialogue *d, size_t by)
{
	struct rig r;

	rig_init(&r, !d->is_plain);
	r.act_answer = d->act_answer;
	r.store_answer = d->store_answer;
	rig_feed(&r, span_str(d->says), by);
	if (!span_eq(buf_span(&r.out), span_str(d->hears)) ||
	    !span_eq(buf_span(&r.acts), span_str(d->acts)) || r.is_closed == d->is_open)
		fail_msg("%s, by %zu%s:\n%s\n-- instead of\n%s\n-- acts\n%s", d->name, by,
			 r.is_closed ? ", closed" : "", buf_cstr(&r.out), d->hears,
			 buf_cstr(&r.acts));
	rig_fini(&r);
}

static void dialogues_go_as_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		play(&dialogues[i], 0);
		play(&dialogues[i], 1);
		play(&dialogues[i], 3);
	}
}

/* P-07, T-01: what came in clear text behind STLS is gone. */
static void t_01_stls_forgets_what_was_injected(void **state)
{
	struct rig r;

	(void)state;
	for (size_t by = 0; by < 3; by++) {
		rig_init(&r, false);
		rig_feed(&r, SPAN_LIT("STLS\r\nCAPA\r\nUSER anna\r\n"), by);
		assert_true(r.asks_tls);
		assert_string_equal(buf_cstr(&r.out), HELLO "+OK Begin TLS\r\n");
		pop3_server_secured(r.pop3);
		buf_clear(&r.out);
		rig_feed(&r, SPAN_LIT("PASS secret\r\n" LOGIN "STAT\r\n"), by);
		assert_string_equal(buf_cstr(&r.out),
				    "-ERR Send USER first\r\n+OK Now the password\r\n+OK Logged "
				    "in\r\n+OK 4 105\r\n");
		rig_fini(&r);
	}
}

/* P-05 */
static void p_05_a_line_without_end_is_bounded(void **state)
{
	static unsigned char much[1 << 20];
	struct rig r;

	(void)state;
	memset(much, 'x', sizeof much);
	rig_init(&r, true);
	rig_feed(&r, span_of(much, sizeof much), 4096);
	assert_true(r.is_closed);
	assert_string_equal(buf_cstr(&r.out), HELLO "-ERR Line far too long; closing\r\n");
	rig_fini(&r);
	rig_init(&r, true);
	rig_feed(&r, span_of(much, 20000), 0);
	rig_feed(&r, SPAN_LIT("\r\nCAPA x\r\n"), 0);
	assert_false(r.is_closed);
	assert_string_equal(buf_cstr(&r.out),
			    HELLO "-ERR Line too long\r\n-ERR The command takes no argument\r\n");
	rig_fini(&r);
}

/* P-02: the marks take no memory, and RSET none and no time. */
static void p_02_dele_and_rset_for_ever(void **state)
{
	enum { ROUNDS = 1000000 };
	struct rig r;

	(void)state;
	rig_init(&r, true);
	rig_feed(&r, SPAN_LIT(LOGIN), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct span in = SPAN_LIT("DELE 2\r\nRSET\r\n");

		rig_pump(&r, &in);
		assert_int_equal(in.n, 0);
		buf_clear(&r.out);
	}
	rig_feed(&r, SPAN_LIT("STAT\r\nQUIT\r\n"), 0);
	assert_string_equal(buf_cstr(&r.out), "+OK 4 105\r\n+OK Bye\r\n");
	assert_int_equal(r.acts.n, 0);
	rig_fini(&r);
}

/* P7 of the engine: a damaged message never ends as if it were whole. */
static void d_09_a_damaged_message_has_no_final_dot(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, true);
	rig_feed(&r, SPAN_LIT(LOGIN), 0);
	buf_clear(&r.out);
	r.damaged_at = 14;
	rig_feed(&r, SPAN_LIT("RETR 1\r\nNOOP\r\n"), 0);
	assert_true(r.is_closed);
	assert_string_equal(buf_cstr(&r.out), "+OK 45 octets\r\nSubject: one\r\n");
	rig_fini(&r);
}

static void s_25_every_turn_of_the_client_has_a_deadline(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, true);
	rig_tick(&r, 59000000);
	rig_feed(&r, SPAN_LIT("USER anna\r\nPASS wrong\r\nCAP"), 0); /* moves nothing */
	assert_false(r.is_closed);
	rig_tick(&r, 1000001);
	assert_true(r.is_closed);
	rig_fini(&r);
	rig_init(&r, true);
	rig_feed(&r, SPAN_LIT(LOGIN), 0);
	rig_tick(&r, 599000000);
	rig_feed(&r, SPAN_LIT("NOOP\r\n"), 0);
	rig_tick(&r, 599000000);
	assert_false(r.is_closed);
	rig_tick(&r, 2000000);
	assert_true(r.is_closed);
	assert_int_equal(r.acts.n, 0);
	rig_fini(&r);
}

static void while_a_question_is_open_input_waits(void **state)
{
	struct span in = SPAN_LIT(LOGIN "STAT\r\n");
	struct rig r;

	(void)state;
	rig_init(&r, true);
	r.holds_answers = true;
	rig_pump(&r, &in);
	assert_true(span_eq(in, SPAN_LIT("STAT\r\n")));
	rig_pump(&r, &in);
	assert_int_equal(in.n, 6);
	assert_int_equal(pop3_server_deadline(r.pop3), 0);
	pop3_server_welcome(r.pop3, &r.store);
	rig_pump(&r, &in);
	assert_int_equal(in.n, 0);
	assert_true(pop3_server_is_logged_in(r.pop3));
	pop3_server_end(r.pop3, SPAN_LIT("Your account has changed"), true);
	rig_pump(&r, &in);
	assert_true(r.is_closed);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues_go_as_written),
		cmocka_unit_test(t_01_stls_forgets_what_was_injected),
		cmocka_unit_test(p_05_a_line_without_end_is_bounded),
		cmocka_unit_test(p_02_dele_and_rset_for_ever),
		cmocka_unit_test(d_09_a_damaged_message_has_no_final_dot),
		cmocka_unit_test(s_25_every_turn_of_the_client_has_a_deadline),
		cmocka_unit_test(while_a_question_is_open_input_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
