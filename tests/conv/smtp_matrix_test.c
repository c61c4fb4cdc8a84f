/*
 * S-07: 14 commands x 8 states x {good, bad syntax, refused by policy}, the answer's code against
 * the specification written down here, and afterwards whether DATA is possible: only after an
 * accepted MAIL and RCPT.
 */
#include "dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* The states a client can bring about. */
static const struct {
	const char *name, *way;
} states[] = {
	{"greeted", ""},
	{"helo", "HELO x\r\n"},
	{"ehlo", "EHLO x\r\n"},
	{"mail", "EHLO x\r\nMAIL FROM:<a@x>\r\n"},
	{"rcpt refused", "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<unknown@ours.example>\r\n"},
	{"rcpt", "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\n"},
	{"after a message",
	 "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\nx\r\n.\r\n"},
	{"after RSET", "EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nRSET\r\n"},
};
enum { GREETED, HELO, EHLO, MAIL, REFUSED_RCPT, RCPT, AFTER, RESET, STATES };

/* Codes by state, in the order above. */
static const struct {
	const char *line;
	unsigned code[STATES];
} rows[] = {
	{"EHLO x", {250, 250, 250, 250, 250, 250, 250, 250}},
	{"EHLO", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"HELO x", {250, 250, 250, 250, 250, 250, 250, 250}},
	{"HELO a b", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"MAIL FROM:<a@x>", {503, 250, 250, 503, 503, 503, 250, 250}},
	{"MAIL FROM:a@x", {503, 501, 501, 503, 503, 503, 501, 501}},
	{"MAIL FROM:<denied@x>", {503, 550, 550, 503, 503, 503, 550, 550}},
	{"RCPT TO:<b@ours.example>", {503, 503, 503, 250, 250, 250, 503, 503}},
	{"RCPT TO:<b ours>", {503, 503, 503, 501, 501, 501, 503, 503}},
	{"RCPT TO:<b@foreign.example>", {503, 503, 503, 550, 550, 550, 503, 503}},
	{"DATA", {503, 503, 503, 503, 554, 354, 503, 503}},
	{"DATA x", {503, 503, 503, 503, 554, 501, 503, 503}},
	{"RSET", {250, 250, 250, 250, 250, 250, 250, 250}},
	{"RSET x", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"NOOP", {250, 250, 250, 250, 250, 250, 250, 250}},
	{"NOOP \x01", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"VRFY b", {252, 252, 252, 252, 252, 252, 252, 252}},
	{"VRFY", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"EXPN b", {502, 502, 502, 502, 502, 502, 502, 502}},
	{"EXPN", {502, 502, 502, 502, 502, 502, 502, 502}},
	{"HELP", {214, 214, 214, 214, 214, 214, 214, 214}},
	{"HELP \x7f", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"QUIT", {221, 221, 221, 221, 221, 221, 221, 221}},
	{"QUIT x", {501, 501, 501, 501, 501, 501, 501, 501}},
	{"STARTTLS", {503, 220, 220, 220, 220, 220, 220, 220}},
	{"STARTTLS x", {503, 501, 501, 501, 501, 501, 501, 501}},
	{"AUTH PLAIN", {503, 503, 503, 503, 503, 503, 503, 503}},
	{"AUTH", {503, 503, 503, 503, 503, 503, 503, 503}},
	{"BDAT 0 LAST", {502, 502, 502, 502, 502, 502, 502, 502}},
	{"BDAT x", {502, 502, 502, 502, 502, 502, 502, 502}},
	{"BOGUS", {500, 500, 500, 500, 500, 500, 500, 500}},
};

static unsigned last_code(struct dialogue *d)
{
	struct span said = buf_span(&d->said);
	unsigned code = 0;

	while (said.n) {
		struct span line = span_cut(&said, '\n');

		if (line.n > 4 && line.p[3] == ' ')
			code = (unsigned)atoi((const char *)line.p);
	}
	return code;
}

/* Whether a transaction with a recipient stands after the command, by the row's own code. */
static bool has_rcpt_after(size_t state, size_t row)
{
	const char *line = rows[row].line;
	unsigned code = rows[row].code[state];

	if (strncmp(line, "RCPT", 4) == 0 && code == 250)
		return true;
	return state == RCPT && code != 250 && code != 220 && code != 221 && code != 354;
}

static bool keeps_transaction(size_t state, size_t row)
{
	return state == RCPT && (strcmp(rows[row].line, "NOOP") == 0);
}

static void check_one(size_t state, size_t row, size_t step, bool is_async)
{
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;
	unsigned expected = rows[row].code[state], code;

	options.step = step;
	options.is_async = is_async;
	dialogue_begin(&d, &options);
	dialogue_feed(&d, span_str(states[state].way));
	dialogue_feed(&d, span_str(rows[row].line));
	dialogue_feed(&d, SPAN_LIT("\r\n"));
	code = last_code(&d);
	if (code != expected)
		print_error("state %s, %s: %u instead of %u\n", states[state].name, rows[row].line,
			    code, expected);
	assert_int_equal(code, expected);
	if (expected != 221 && expected != 354 && expected != 220) {
		bool can = has_rcpt_after(state, row) || keeps_transaction(state, row);

		dialogue_feed(&d, SPAN_LIT("DATA\r\n"));
		code = last_code(&d);
		if ((code == 354) != can)
			print_error("state %s, %s, then DATA: %u\n", states[state].name,
				    rows[row].line, code);
		assert_int_equal(code == 354, can);
	}
	dialogue_end(&d);
}

static void s_07_every_command_in_every_state(void **state)
{
	(void)state;
	for (size_t s = 0; s < STATES; s++) {
		for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
			check_one(s, row, 0, false);
			check_one(s, row, 1, true);
		}
	}
}

static void s_06_bytes_before_the_greeting_end_the_session(void **state)
{
	struct dialogue_options options = dialogue_defaults();
	struct smtp_server *s = smtp_server_new(&options.service);
	struct span in = SPAN_LIT("EHLO x\r\n"), piece;

	(void)state;
	assert_int_equal(smtp_server_step(s, &in, &piece), SMTP_CLOSE);
	assert_true(span_starts(smtp_server_output(s), SPAN_LIT("554 5.5.1 ")));
	smtp_server_free(s);
	s = smtp_server_new(&options.service);
	smtp_server_greet(s, true);
	in = SPAN_NONE;
	assert_int_equal(smtp_server_step(s, &in, &piece), SMTP_CLOSE);
	assert_true(span_starts(smtp_server_output(s), SPAN_LIT("554 5.5.1 ")));
	smtp_server_free(s);
}

/* The one exception of R1: DATA refused with its message in the same piece. */
static void s_06_a_message_behind_a_refused_data_ends_the_session(void **state)
{
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, &options);
	dialogue_feed(
		&d,
		SPAN_LIT("EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<unknown@ours.example>\r\nDATA\r\n"
			 "MAIL FROM:<b@x>\r\nRCPT TO:<c@ours.example>\r\nDATA\r\nx\r\n.\r\n"));
	assert_true(d.is_closed);
	assert_int_equal(last_code(&d), 521);
	assert_int_equal(d.stored, 0);
	dialogue_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s_07_every_command_in_every_state),
		cmocka_unit_test(s_06_bytes_before_the_greeting_end_the_session),
		cmocka_unit_test(s_06_a_message_behind_a_refused_data_ends_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
