/* The IMAP client engine against well-behaved and hostile servers; each script is played whole and byte by byte. */
#include "imap_client_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"

#define PLAY(tls, ...)                                                                             \
	do {                                                                                       \
		static const char *const lines[] = {__VA_ARGS__, NULL};                            \
		(void)state;                                                                       \
		imap_client_script_play(tls, lines);                                               \
	} while (0)
/* Logged in, with these capabilities; the next tag is H2. */
#define IN(caps)                                                                                   \
	"S * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n", "> login u||p",              \
		"C H1 AUTHENTICATE PLAIN AHUAcA==\r\n",                                            \
		"S H1 OK [CAPABILITY IMAP4rev1 " caps "] in\r\n", "R done 0 in", "N", "W command"
#define NOT_IMAP "F what the server sent is not an IMAP response to what was asked"
#define TOO_LONG "F what the server sent is too long or not a line of IMAP"

static void logs_in(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, "W input", "S * OK ready\r\n", "C H1 CAPABILITY\r\n",
	     "S * CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nH1 OK done\r\n", "W command",
	     "> login ann@x|boss|secret", "C H2 AUTHENTICATE PLAIN\r\n", "S + \r\n",
	     "C Ym9zcwBhbm5AeABzZWNyZXQ=\r\n", "S H2 OK welcome\r\n", "W input",
	     "C H3 CAPABILITY\r\n", "S * CAPABILITY IMAP4rev1 MOVE\r\nH3 OK x\r\n", "W result",
	     "R done 0 x", "N", "W command", "> logout", "C H4 LOGOUT\r\n",
	     "S * BYE bye\r\nH4 OK done\r\n", "W close", "F no");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1] x\r\n", "> login a\"b\\||p w",
	     "C H1 LOGIN \"a\\\"b\\\\\" \"p w\"\r\n", "S H1 NO [AUTHENTICATIONFAILED] wrong\r\n",
	     "R no 3 wrong", "N", "W command", "> login a||p", "C H2 LOGIN \"a\" \"p\"\r\n",
	     "S H2 NO [UNAVAILABLE] later\r\n", "R no 2 later");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1] x\r\n", "> login a||p\303\244",
	     "C H1 LOGIN \"a\" {3}\r\n", "S + go\r\n", "C p\303\244\r\n", "S H1 OK in\r\n",
	     "C H2 CAPABILITY\r\n");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1 LITERAL-] x\r\n",
	     "> login a||p\303\244", "C H1 LOGIN \"a\" {3+}\r\np\303\244\r\n");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\r\n",
	     "> login a||p", "C ", "W result",
	     "R local 0 the server does not offer AUTHENTICATE PLAIN", "N", "W command");
}

static void greetings(void **state)
{
	/* T-05 */
	PLAY(IMAP_CLIENT_TLS_DONE, "S * PREAUTH you are ann\r\n", "W close",
	     "F the server says that we are logged in already (PREAUTH)");
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
	     "W close", "C ");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * BYE busy\r\n", "W close",
	     "F the server greets with a refusal: busy");
	PLAY(IMAP_CLIENT_TLS_NONE, "S 220 smtp\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_NONE, "S H0 OK x\r\n", "W close",
	     "F the server answers what was not asked");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * CAPABILITY IMAP4rev1\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK x\n", "W close", TOO_LONG);
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP2] x\r\n", "W close",
	     "F the server does not speak IMAP4rev1");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK hi {5}\r\n", "C H1 CAPABILITY\r\n");
}

/* Found by fuzzing: a second OK was taken for a second greeting. */
static void a_greeting_comes_once(void **state)
{
	PLAY(IMAP_CLIENT_TLS_NONE,
	     "S * OK [CAPABILITY IMAP4rev1] x\r\n* OK again\r\n* OK [UIDNEXT 4] and again\r\n",
	     "W command", "> noop", "C H1 NOOP\r\n", "S H1 OK x\r\n", "R done 0 x");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1] x\r\n* PREAUTH x\r\n", "W close",
	     "F the server greets a second time");
	PLAY(IMAP_CLIENT_TLS_NONE, "S * OK [CAPABILITY IMAP4rev1] x\r\n* BYE x\r\n", "W close",
	     "F the server says goodbye: x");
}

static void t_01_nothing_in_clear_after_starttls(void **state)
{
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
	     "C H1 STARTTLS\r\n", "S H1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "W close",
	     "F the server sent more in clear after it agreed to TLS");
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
	     "C H1 STARTTLS\r\n", "S H1 OK go\r\n", "W tls", "S H2 OK early\r\n", "W close");
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * OK [CAPABILITY IMAP4rev1] x\r\n", "W close",
	     "F TLS is required and the server does not offer STARTTLS");
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
	     "C H1 STARTTLS\r\n", "S H1 NO no\r\n", "W close");
}

static void t_03_nothing_from_before_tls_counts(void **state)
{
	PLAY(IMAP_CLIENT_TLS_STARTTLS,
	     "S * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] x\r\n", "C H1 STARTTLS\r\n",
	     "S H1 OK go\r\n", "W tls", "T", "C H2 CAPABILITY\r\n",
	     "S * CAPABILITY IMAP4rev1\r\nH2 OK\r\n", "W command", "> login a||p",
	     "C H3 LOGIN \"a\" \"p\"\r\n");
	/* capabilities that are not told again are none */
	PLAY(IMAP_CLIENT_TLS_STARTTLS, "S * OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
	     "C H1 STARTTLS\r\n", "S H1 OK go\r\n", "T", "C H2 CAPABILITY\r\n", "S H2 OK\r\n",
	     "W close", "F the server does not tell its capabilities");
}

static void mailboxes(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("SPECIAL-USE NAMESPACE CONDSTORE"), "> list *",
	     "C H2 LIST \"\" \"*\" RETURN (SPECIAL-USE)\r\n",
	     "S * LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\Sent \\X) \".\" \"Gesendet "
	     "&AOQ-\"\r\n"
	     "* LIST () NIL {6}\r\na \"b\"c\r\n* LIST (\\Noselect) \"\\\\\" x (\"CHILDINFO\" "
	     "(\"SUBSCRIBED\"))\r\nH2 OK\r\n",
	     "D box INBOX / 100;box Gesendet \303\244 . 2;box a \"b\"c 0 0;box x \\ 1;",
	     "R done 0 ", "N", "> namespace", "C H3 NAMESPACE\r\n",
	     "S * NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"Public.\" \".\"))\r\nH3 OK\r\n",
	     "R done 0 ", "N", "> select Gesendet \303\244",
	     "C H4 SELECT \"Gesendet &AOQ-\" (CONDSTORE)\r\n",
	     "S * FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] "
	     "x\r\n* OK [HIGHESTMODSEQ 12] x\r\n"
	     "* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\nH4 OK [READ-WRITE] sel\r\n",
	     "R done 23 sel", "N", "> create a\r\nb|0",
	     "R local 0 this cannot be the name of a mailbox", "N", "> create a/b|8",
	     "C H6 CREATE \"a/b\"\r\n", "S H6 NO [ALREADYEXISTS] is there\r\n", "R no 14 is there");
}

static void searches_and_fetches(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("CONDSTORE"), "> select INBOX",
	     "C H2 SELECT \"INBOX\" (CONDSTORE)\r\n", "S H2 OK x\r\n", "N",
	     "> search Message-ID|<a\"b@c>",
	     "C H3 UID SEARCH HEADER \"Message-ID\" \"<a\\\"b@c>\"\r\n",
	     "S * SEARCH 5 17 (MODSEQ 9)\r\n* SEARCH\r\nH3 OK x\r\n", "D uid 5;uid 17;", "N",
	     "> fetch 5|0|Message-ID Date",
	     "C H4 UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[HEADER.FIELDS "
	     "(Message-ID Date)])\r\n",
	     "S * 2 FETCH (UID 5 FLAGS (\\Seen $Work) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
	     "RFC822.SIZE 44 MODSEQ (624) "
	     "X-GM-LABELS (\"\\\\a\" (b {1}\r\n))) BODY[HEADER.FIELDS (\"Message-ID\" Date)] "
	     "{7}\r\nDate: x FLAGS ())\r\n",
	     "S H4 OK x\r\n",
	     "D msg 2 uid 5 flags 0 [] date 837596665 size 44 modseq 624 header Date: x;");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> select INBOX", "C H2 SELECT \"INBOX\"\r\n",
	     "S H2 OK x\r\n", "N", "> fetch 5|9|",
	     "C H3 UID FETCH 5:9 (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n",
	     "S * 2 FETCH (UID 5 FLAGS (\\Seen $Work \\X) INTERNALDATE \"17-Jul-1996 02:44:25 "
	     "-0700\" RFC822.SIZE 44 MODSEQ (624) "
	     "X-GM-LABELS (\"\\\\a\" (b {1}\r\n))) BODY[HEADER.FIELDS (\"Message-ID\" Date)] "
	     "{7}\r\nDate: x)\r\nH3 OK x\r\n",
	     "D msg 2 uid 5 flags 1 [$Work] date 837596665 size 44 modseq 624 header Date: x;",
	     "R done 0 x");
}

static void bodies_pass_in_pieces(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> select INBOX", "C H2 SELECT \"INBOX\"\r\n",
	     "S H2 OK x\r\n", "N", "> body 5", "C H3 UID FETCH 5 (UID BODY.PEEK[])\r\n",
	     "S * 2 FETCH (UID 5 BODY[] {9}\r\na: b\r\n\r\n\r FLAGS ())\r\nH3 OK x\r\n",
	     "D a: b\r\n\r\n\rmsg 2 uid 5 flags 0 [] body;", "R done 0 x", "N", "> body 6",
	     "C H4 UID FETCH 6 (UID BODY.PEEK[])\r\n",
	     "S * 2 FETCH (BODY[] \"x\\\\y\" UID 6)\r\nH4 OK x\r\n", "D x\\ymsg 2 uid 6 body;", "N",
	     "> body 7", "C H5 UID FETCH 7 (UID BODY.PEEK[])\r\n", "S H5 OK gone\r\n", "D ",
	     "R done 0 gone");
	/* another message's bytes; twice the same; not what was asked */
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> body 5", "S * 2 FETCH (UID 6 BODY[] {1}\r\nx)\r\n",
	     "W close", NOT_IMAP,
	     "R lost 0 what the server sent is not an IMAP response to what was asked");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> body 5",
	     "S * 2 FETCH (UID 5 BODY[] {1}\r\nx BODY[] {1}\r\ny)\r\n", "W close");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> body 5",
	     "S * 2 FETCH (UID 5 BODY[] {1}\r\nx)\r\n* 2 FETCH (UID 5 BODY[] {1}\r\nx)\r\n",
	     "W close");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> body 5",
	     "S * 2 FETCH (UID 5 BODY[] {99999999999}\r\nx", "W close", TOO_LONG);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * 2 FETCH (UID 5 BODY[] {300000}\r\nx",
	     "W close", TOO_LONG);
}

static void stores(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("CONDSTORE"), "> store 5|1|3|$Work B|77",
	     "C H2 UID STORE 5 (UNCHANGEDSINCE 77) +FLAGS.SILENT (\\Seen \\Answered $Work B)\r\n",
	     "S H2 OK [MODIFIED 5] failed\r\n", "R done 19 failed modified", "N",
	     "> store 5|2|0|a\"b|0", "R local 0 a keyword cannot be sent");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> store 5|0|0||77",
	     "C H2 UID STORE 5 FLAGS.SILENT ()\r\n");
}

static void appends(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("UIDPLUS"), "> append Sent|1|$Work|837596665|5",
	     "C H2 APPEND \"Sent\" (\\Seen $Work) \"17-Jul-1996 09:44:25 +0000\" {5}\r\n",
	     "W input", "S + ok\r\n", "W piece", "P ab", "C ab", "W piece", "P cde", "C cde\r\n",
	     "W input", "S H2 OK [APPENDUID 38505 3955] in\r\n", "R done 20 in 38505/3955", "N",
	     "W command");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("UIDPLUS LITERAL+"), "> append Sent|0|||5",
	     "C H2 APPEND \"Sent\" () {5+}\r\n", "W piece", "P abcde", "C abcde\r\n",
	     "S H2 NO [OVERQUOTA] full\r\n", "R no 13 full", "N", "W command");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("LITERAL-"), "> append Sent|0|||4097",
	     "C H2 APPEND \"Sent\" () {4097}\r\n", "W input", "S H2 NO [TRYCREATE] no\r\n",
	     "R no 16 no", "N", "W command");
	/* refused in the middle of a literal: nothing more can be said here */
	PLAY(IMAP_CLIENT_TLS_DONE, IN("LITERAL+"), "> append Sent|0|||5",
	     "C H2 APPEND \"Sent\" () {5+}\r\n", "P ab", "C ab", "S H2 NO no\r\n", "W result",
	     "R no 0 no", "P cde", "C ", "N", "W close");
	/* the answer is lost: nobody knows */
	PLAY(IMAP_CLIENT_TLS_DONE, IN("LITERAL+"), "> append Sent|0|||2", "P ab", "W input",
	     "L connection reset", "W close", "R lost 0 connection reset", "F connection reset");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> append Sent|0|||2", "S + go\r\n+ go\r\n", "W close",
	     "F the server asks for more, and there is none");
}

static void moves(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("MOVE UIDPLUS"), "> move 5|Trash",
	     "C H3 UID MOVE 5 \"Trash\"\r\n",
	     "S * OK [COPYUID 432 5 9] moved\r\n* 2 EXPUNGE\r\nH3 OK done\r\n",
	     "R done 0 done 432/9");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("UIDPLUS"), "> move 5|Trash", "C H3 UID COPY 5 \"Trash\"\r\n",
	     "S H3 OK [COPYUID 432 5 9] copied\r\n",
	     "C H4 UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\n", "S H4 OK x\r\n",
	     "C H5 UID EXPUNGE 5\r\n", "S H5 OK gone\r\n", "R done 0 gone 432/9");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> move 5|Trash", "C H3 UID COPY 5 \"Trash\"\r\n",
	     "S H3 OK x\r\n", "C H4 UID STORE 5 +FLAGS.SILENT (\\Deleted)\r\n", "S H4 OK x\r\n",
	     "R done 0 x");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> move 5|Nowhere", "C H3 UID COPY 5 \"Nowhere\"\r\n",
	     "S H3 NO [TRYCREATE] no\r\n", "R no 16 no");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> expunge 5", "C ",
	     "R local 0 the server does not offer UIDPLUS");
}

static void idles(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("IDLE"), "> idle", "C H2 IDLE\r\n",
	     "S + idling\r\n* 4 EXISTS\r\n", "W input", "I", "C DONE\r\n",
	     "S * 5 EXISTS\r\nH2 OK x\r\n", "R done 0 x");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("IDLE"), "> idle", "S + idling\r\n", "S + again\r\n",
	     "W close");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> idle", "R local 0 the server does not offer IDLE");
}

static void hostile(void **state)
{
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * 1 FETCH (X ((((((((((((((((((1)\r\n",
	     "W close", NOT_IMAP,
	     "R lost 0 what the server sent is not an IMAP response to what was asked");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S H9 OK x\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "S H2 OK x\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "S H1 OK x\r\n", "W close",
	     "F the server answers what was not asked");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S H2 PERHAPS\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * LIST (\\X\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * LIST () \"/\" \"a\\\r\n", "W close",
	     NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * LIST () \"/\" {3+}\r\n", "W close",
	     NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * SEARCH 0\r\n", "W close", NOT_IMAP);
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * BYE restart\r\n", "W close",
	     "F the server says goodbye: restart", "R lost 0 the server says goodbye: restart");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * PREAUTH x\r\n", "W close",
	     "F the server greets a second time");
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop", "S * 4294967296 EXISTS\r\n", "W close",
	     NOT_IMAP);
	/* a literal's own end is no announcement, and a status line has no literals */
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> list %",
	     "S * LIST () \"/\" {4}\r\nx{9}\r\nH2 OK fine {3}\r\n", "R done 0 fine {3}",
	     "D box x{9} / 0;");
	/* unknown data is stepped over */
	PLAY(IMAP_CLIENT_TLS_DONE, IN("X"), "> noop",
	     "S * XNEWS ((\"a\" {1}\r\n)) b\r\n* VANISHED 4\r\nH2 OK x\r\n", "R done 0 x");
}

static void never_ending_line(void **state)
{
	struct buf sent;
	const struct imap_client_options options = {.tls = IMAP_CLIENT_TLS_NONE, .on_output = NULL};
	struct imap_client *c = imap_client_new(&options);
	char line[4096];
	size_t given = 0;

	(void)state;
	buf_init(&sent, 0);
	memset(line, 'a', sizeof line);
	while (imap_client_want(c) != IMAP_CLIENT_WANT_CLOSE &&
	       given < 10 * (size_t)IMAP_CLIENT_RESPONSE_BYTES) {
		imap_client_input(c, span_of(line, sizeof line));
		given += sizeof line;
	}
	assert_in_range(given, IMAP_CLIENT_RESPONSE_BYTES,
			IMAP_CLIENT_RESPONSE_BYTES + sizeof line);
	imap_client_free(c);
	buf_fini(&sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_in),
		cmocka_unit_test(greetings),
		cmocka_unit_test(a_greeting_comes_once),
		cmocka_unit_test(t_01_nothing_in_clear_after_starttls),
		cmocka_unit_test(t_03_nothing_from_before_tls_counts),
		cmocka_unit_test(mailboxes),
		cmocka_unit_test(searches_and_fetches),
		cmocka_unit_test(bodies_pass_in_pieces),
		cmocka_unit_test(stores),
		cmocka_unit_test(appends),
		cmocka_unit_test(moves),
		cmocka_unit_test(idles),
		cmocka_unit_test(hostile),
		cmocka_unit_test(never_ending_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
