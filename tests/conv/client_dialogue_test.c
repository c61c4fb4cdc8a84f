/* The SMTP client engine against well-behaved and hostile servers; each script is played whole and
 * byte by byte. */
#include "client_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PIPELINED                                                                                  \
	"250-mx.example greets you\r\n250-PIPELINING\r\n250-SIZE "                                 \
	"1000\r\n250-8BITMIME\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n"
#define HELLO(caps) "S 220 mx.example ESMTP\r\n", "C EHLO us.example\r\n", "S " caps
#define PLAY(policy, ...)                                                                          \
	do {                                                                                       \
		static const char *const lines[] = {__VA_ARGS__, NULL};                            \
		const struct client_script script = {__func__, policy, lines, false, false};       \
		(void)state;                                                                       \
		client_script_play(&script);                                                       \
	} while (0)

static void delivers_by_pipelining(void **state)
{
	PLAY(SMTP_TLS_IF_OFFERED, HELLO(PIPELINED), "W mail",
	     "M a@x b@y,c@z 8bit size=900 envid=QQ314 hdrs notify=14 orcpt=rfc822;b@y",
	     "C MAIL FROM:<a@x> SIZE=900 BODY=8BITMIME RET=HDRS ENVID=QQ314\r\n"
	     "RCPT TO:<b@y> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;b@y\r\nRCPT "
	     "TO:<c@z>\r\nDATA\r\n",
	     "S 250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n354 go\r\n", "W body",
	     "B Subject: x\r\n\r\nhi\r\n", "E", "C Subject: x\r\n\r\nhi\r\n", "W permit", "P",
	     "C .\r\n", "W input", "S 250 2.0.0 Ok: queued as 4FxYz31\r\n", "W result",
	     "R 0 accepted dot 250 2.0.0 Ok: queued as 4FxYz31",
	     "R 1 accepted dot 250 2.0.0 Ok: queued as 4FxYz31", "I 4FxYz31", "N", "W mail", "Q",
	     "C QUIT\r\n", "S 221 bye\r\n", "W close", "F no");
}

static void goes_step_by_step_without_pipelining(void **state)
{
	PLAY(SMTP_TLS_IF_OFFERED, HELLO("250 mx.example\r\n"),
	     "M <> b@y,c@z 8bit size=900 envid=Q notify=2", "C MAIL FROM:<>\r\n", "S 250 ok\r\n",
	     "C RCPT TO:<b@y>\r\n", "S 550 5.1.1 no such user\r\n", "C RCPT TO:<c@z>\r\n",
	     "S 250 ok\r\n", "C DATA\r\n", "S 354 go\r\n", "B x", "E", "C x\r\n", "P", "C .\r\n",
	     "S 250 ok\r\n", "R 0 5xx rcpt 550 5.1.1 no such user", "R 1 accepted dot 250 - ok",
	     "I ");
}

#define LOG_IN(is_clear, ...)                                                                      \
	do {                                                                                       \
		static const char *const lines[] = {__VA_ARGS__, NULL};                            \
		const struct client_script script = {__func__, SMTP_TLS_IF_OFFERED, lines, true,   \
						     is_clear};                                    \
		(void)state;                                                                       \
		client_script_play(&script);                                                       \
	} while (0)

static void logs_in(void **state)
{
	LOG_IN(true, HELLO("250-mx.example\r\n250 AUTH LOGIN PLAIN\r\n"),
	       "C AUTH PLAIN AHUAcA==\r\n", "S 235 2.7.0 ok\r\n", "W mail");
	LOG_IN(true, HELLO("250-mx.example\r\n250 AUTH LOGIN\r\n"), "C AUTH LOGIN\r\n",
	       "S 334 VXNlcm5hbWU6\r\n", "C dQ==\r\n", "S 334 UGFzc3dvcmQ6\r\n", "C cA==\r\n",
	       "S 235 ok\r\n", "W mail");
	LOG_IN(true, HELLO("250-mx.example\r\n250 AUTH PLAIN\r\n"), "C AUTH PLAIN AHUAcA==\r\n",
	       "S 535 5.7.8 no\r\n", "W close", "F ehlo 535 5.7.8 no");
	LOG_IN(true, HELLO("250-mx.example\r\n250 AUTH CRAM-MD5\r\n"), "W close",
	       "F ehlo 0 - the server offers neither AUTH PLAIN nor LOGIN");
	/* no password without TLS, whatever is offered */
	LOG_IN(false, HELLO("250-mx.example\r\n250 AUTH PLAIN\r\n"), "W close",
	       "F tls 0 - the server offers no TLS, and no password is shown without");
}

static void falls_back_to_helo(void **state)
{
	PLAY(SMTP_TLS_IF_OFFERED, "S 220 old\r\n", "C EHLO us.example\r\n", "S 502 what?\r\n",
	     "C HELO us.example\r\n", "S 250 hi\r\n", "W mail", "M a@x b@y size=5",
	     "C MAIL FROM:<a@x>\r\n", "L gone", "W close", "R 0 unreached mail 0 - gone");
}

static void helo_does_not_do_when_tls_is_required(void **state)
{
	PLAY(SMTP_TLS_REQUIRED, "S 220 old\r\n", "C EHLO us.example\r\n", "S 500 what?\r\n",
	     "C HELO us.example\r\n", "S 250 hi\r\n", "W close",
	     "F tls 0 - TLS is required and the server does not offer STARTTLS");
}

static void greeting_refused(void **state)
{
	PLAY(SMTP_TLS_NEVER, "S 554-no\r\n554 5.7.1 service\r\n", "W close",
	     "F greeting 554 5.7.1 no service");
	PLAY(SMTP_TLS_NEVER, "S 421 4.3.2 later\r\n", "W close", "F greeting 421 4.3.2 later");
	PLAY(SMTP_TLS_NEVER, "S 220 x\r\n", "C EHLO us.example\r\n", "S 451 4.3.0 trouble\r\n",
	     "W close", "F ehlo 451 4.3.0 trouble");
}

/* T-03: what came with the 220 is thrown away, EHLO is sent again, what was offered before counts
 * no more. */
static void t_03_nothing_from_before_tls_counts(void **state)
{
	PLAY(SMTP_TLS_IF_OFFERED,
	     HELLO("250-mx\r\n250-PIPELINING\r\n250-SIZE 10\r\n250 STARTTLS\r\n"), "C STARTTLS\r\n",
	     "S 220 go\r\n250-injected\r\n250-SMTPUTF8\r\n250 SIZE 1\r\n", "W tls", "C ",
	     "S 250 more\r\n", "W tls", "T", "C EHLO us.example\r\n", "W input",
	     "S 250-mx\r\n250 STARTTLS\r\n", "W mail", "M a@x b@y size=900",
	     "C MAIL FROM:<a@x>\r\n", "S 250 ok\r\n", "C RCPT TO:<b@y>\r\n");
}

static void starttls_refused(void **state)
{
	PLAY(SMTP_TLS_IF_OFFERED, HELLO("250-mx\r\n250 STARTTLS\r\n"), "C STARTTLS\r\n",
	     "S 454 4.7.0 not now\r\n", "W mail");
	PLAY(SMTP_TLS_REQUIRED, HELLO("250-mx\r\n250 STARTTLS\r\n"), "C STARTTLS\r\n",
	     "S 454 4.7.0 not now\r\n", "W close", "F tls 454 4.7.0 not now");
	PLAY(SMTP_TLS_NEVER, HELLO("250-mx\r\n250 STARTTLS\r\n"), "W mail");
	PLAY(SMTP_TLS_REQUIRED, HELLO("250-mx\r\n250 STARTTLS\r\n"), "C STARTTLS\r\n",
	     "S 220 go\r\n", "W tls", "L handshake failed", "W close",
	     "F tls 0 - handshake failed");
}

static void mail_refused_answers_everyone(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y,c@z",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@z>\r\nDATA\r\n",
	     "S 550 5.7.1 not you\r\n503 no MAIL\r\n503 no MAIL\r\n", "W input",
	     "S 503 no MAIL\r\n", "W result", "R 0 5xx mail 550 5.7.1 not you",
	     "R 1 5xx mail 550 5.7.1 not you", "N", "W mail", "M a@x d@y",
	     "C RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<d@y>\r\nDATA\r\n",
	     "S 250 flushed\r\n451 4.3.0 try later\r\n503 x\r\n503 x\r\n",
	     "R 0 4xx mail 451 4.3.0 try later");
	PLAY(SMTP_TLS_NEVER, HELLO("250 mx\r\n"), "M a@x b@y,c@z", "C MAIL FROM:<a@x>\r\n",
	     "S 452 4.3.1 full\r\n", "W result", "R 1 4xx mail 452 4.3.1 full");
}

/* RFC 2920 s3.1: DATA was pipelined and taken although nobody was: a lone dot, which delivers
 * nothing. */
static void nobody_taken_but_354(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n",
	     "S 250 ok\r\n550 5.1.1 no\r\n354 go\r\n", "C .\r\n", "W input",
	     "S 554 5.5.1 no recipients\r\n", "W result", "R 0 5xx rcpt 550 5.1.1 no", "I ");
	PLAY(SMTP_TLS_NEVER, HELLO("250 mx\r\n"), "M a@x b@y", "C MAIL FROM:<a@x>\r\n",
	     "S 250 ok\r\n", "C RCPT TO:<b@y>\r\n", "S 450 4.2.1 grey\r\n", "W result", "C ",
	     "R 0 4xx rcpt 450 4.2.1 grey");
}

static void data_refused(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y,c@y",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n",
	     "S 250 ok\r\n250 ok\r\n550 5.1.1 no\r\n451 4.3.0 no disk\r\n", "W result",
	     "R 0 4xx data 451 4.3.0 no disk", "R 1 5xx rcpt 550 5.1.1 no");
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n", "S 250 ok\r\n250 ok\r\n250 what\r\n",
	     "W close",
	     "R 0 unreached data 0 - the server answered DATA with neither 354 nor a refusal");
}

#define UP_TO_BODY                                                                                 \
	HELLO(PIPELINED), "M a@x b@y", "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n",           \
		"S 250 ok\r\n250 ok\r\n354 go\r\n"

static void dot_refused(void **state)
{
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n",
	     "S 554 5.7.1 spam\r\n", "W result", "R 0 5xx dot 554 5.7.1 spam");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n",
	     "S 421 4.3.2 closing\r\n", "W close", "R 0 4xx dot 421 4.3.2 closing",
	     "F dot 421 4.3.2 closing");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n", "S 354 more\r\n",
	     "W close", "R 0 lost dot 0 - the server answered the final dot with 3xx");
}

/* P4: whether the message was taken is unknown only after the dot. */
static void lost_before_and_after_the_dot(void **state)
{
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "C x\r\n", "L reset", "W close",
	     "R 0 unreached data 0 - reset");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "C x\r\n", "W permit", "L reset", "C ",
	     "R 0 unreached data 0 - reset");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n", "L reset", "W close",
	     "R 0 lost dot 0 - reset");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n", "S 25", "L cut",
	     "R 0 lost dot 0 - cut");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n", "S 250-2.0.0 ok\r\n",
	     "L cut", "R 0 lost dot 0 - cut");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "P", "C x\r\n.\r\n", "S 250 ok\r\n",
	     "L cut", "W close", "R 0 accepted dot 250 - ok", "F no");
}

static void early_reply_in_the_body(void **state)
{
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "C x\r\n", "S 552 5.3.4 too big\r\n", "W close",
	     "B more", "E", "C ", "R 0 5xx data 552 5.3.4 too big");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x\r\n", "E", "C x\r\n", "S 250 thanks\r\n", "W close",
	     "R 0 unreached data 0 - the server sent a reply that nothing asked for");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "S 421 4.4.2 too slow\r\n", "W close",
	     "R 0 4xx data 421 4.4.2 too slow");
}

/* N-03: 421 wherever it may come. */
static void n_03_421_at_any_time(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "S 421 4.3.2 idle too long\r\n", "W close",
	     "F mail 421 4.3.2 idle too long");
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y,c@y",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n",
	     "S 250 ok\r\n250 ok\r\n421 4.3.2 shutting down\r\n", "W close",
	     "R 0 4xx rcpt 421 4.3.2 shutting down", "R 1 4xx rcpt 421 4.3.2 shutting down");
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y verify",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "S 421 x\r\n", "R 0 4xx mail 421 - x");
}

static void hostile_replies_end_it(void **state)
{
#define NO_REPLY "what the server sent is not an SMTP reply"
	PLAY(SMTP_TLS_NEVER, "S SSH-2.0-OpenSSH\r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S 220-one\r\n250 two\r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S 220_one\r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S 199 x\r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S 2200 x\r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S \r\n", "W close", "F greeting 0 - " NO_REPLY);
	PLAY(SMTP_TLS_NEVER, "S 220 x\r\n", "C EHLO us.example\r\n", "S 250 hi\r\n250 again\r\n",
	     "W close", "F mail 0 - the server sent a reply that nothing asked for");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B x", "E", "P", "C x\r\n.\r\n", "S nonsense\r\n",
	     "R 0 lost dot 0 - " NO_REPLY);
	/* Control bytes and broken UTF-8 in a reply never reach a log or a DSN. */
	PLAY(SMTP_TLS_NEVER, "S 554 a\033[31mb\200c \303\251\302\205 d\r\n",
	     "F greeting 554 - a [31mb?c \303\251?? d");
	/* Bare code, bare LF, a code of the wrong class is text. */
	PLAY(SMTP_TLS_NEVER, "S 220\n", "C EHLO us.example\r\n", "S 554 2.0.0 odd\n",
	     "F ehlo 554 - 2.0.0 odd");
}

static void local_refusals_send_nothing(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M a@x b@y size=1001", "C ", "W result",
	     "R 0 5xx mail 552 5.3.4 the message has 1001 bytes, the server takes 1000 at most "
	     "(local)",
	     "N", "W mail", "M a@x b@y utf8",
	     "R 0 5xx mail 553 5.6.7 the server does not offer SMTPUTF8, which this message needs "
	     "(local)",
	     "N", "M a@x b@y,\303\251@y size=1000",
	     "C MAIL FROM:<a@x> SIZE=1000\r\nRCPT TO:<b@y>\r\nDATA\r\n",
	     "R 1 5xx mail 553 5.6.7 the server does not offer SMTPUTF8, which this message needs "
	     "(local)",
	     "S 250 x\r\n550 x\r\n503 x\r\n", "R 0 5xx rcpt 550 - x");
	PLAY(SMTP_TLS_NEVER, HELLO("250-x\r\n250-SIZE\r\n250 SMTPUTF8\r\n"),
	     "M a@x \303\251@y size=1001", "C MAIL FROM:<a@x> SIZE=1001 SMTPUTF8\r\n");
}

/* S-20: no byte of an address or parameter begins a new command. */
static void s_20_no_new_line_through_parameters(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED),
	     "M a@x b@y,c\r\nDATA\r\n@y envid=a\r\nQUIT orcpt=rfc822;x\ny notify=4",
	     "R 1 5xx mail 553 5.1.3 the address cannot stand in an SMTP command (local)",
	     "C MAIL FROM:<a@x>\r\nRCPT TO:<b@y> NOTIFY=FAILURE\r\nDATA\r\n");
}

/* S-03, the part of the sender: dots stuffed, bytes exact, one message. */
static void s_03_dots_are_stuffed(void **state)
{
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B .\r\n..\r\na.b\r\n.\r\nMAIL FROM:<z@z>\r\n", "B .",
	     "B \r\n", "B x\r\n", "B .", "E",
	     "C ..\r\n...\r\na.b\r\n..\r\nMAIL FROM:<z@z>\r\n..\r\nx\r\n..\r\n");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "E", "C ", "P", "C .\r\n");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B a\n.\r.\r\n", "E", "C a\n..\r..\r\n");
	PLAY(SMTP_TLS_NEVER, UP_TO_BODY, "B a\r", "E", "C a\r\r\n");
}

static void asks_without_giving(void **state)
{
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M <> b@y,c@y verify",
	     "C MAIL FROM:<>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\n",
	     "S 250 ok\r\n250 2.1.5 yes\r\n", "W input", "S 550 5.1.1 no\r\n", "W result",
	     "R 0 accepted rcpt 250 2.1.5 yes", "R 1 5xx rcpt 550 5.1.1 no", "N", "Q", "C QUIT\r\n",
	     "L closed", "W close", "F no");
	PLAY(SMTP_TLS_NEVER, HELLO(PIPELINED), "M <> b@y,c@y verify",
	     "C MAIL FROM:<>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\n",
	     "S 250 ok\r\n250 2.1.5 yes\r\n", "L gone", "R 0 accepted rcpt 250 2.1.5 yes",
	     "R 1 unreached rcpt 0 - gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_by_pipelining),
		cmocka_unit_test(goes_step_by_step_without_pipelining),
		cmocka_unit_test(logs_in),
		cmocka_unit_test(falls_back_to_helo),
		cmocka_unit_test(helo_does_not_do_when_tls_is_required),
		cmocka_unit_test(greeting_refused),
		cmocka_unit_test(t_03_nothing_from_before_tls_counts),
		cmocka_unit_test(starttls_refused),
		cmocka_unit_test(mail_refused_answers_everyone),
		cmocka_unit_test(nobody_taken_but_354),
		cmocka_unit_test(data_refused),
		cmocka_unit_test(dot_refused),
		cmocka_unit_test(lost_before_and_after_the_dot),
		cmocka_unit_test(early_reply_in_the_body),
		cmocka_unit_test(n_03_421_at_any_time),
		cmocka_unit_test(hostile_replies_end_it),
		cmocka_unit_test(local_refusals_send_nothing),
		cmocka_unit_test(s_20_no_new_line_through_parameters),
		cmocka_unit_test(s_03_dots_are_stuffed),
		cmocka_unit_test(asks_without_giving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
