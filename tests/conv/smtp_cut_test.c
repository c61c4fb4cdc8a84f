/*
 * Sessions that stop: S-26, a client that goes away after n bytes, for every n; S-12, gigabytes
 * without a line end, with what the engine holds bounded; S-22, a message of 100,000 header fields.
 */
#include "dialogue.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static void put_session(struct buf *session)
{
	buf_printf(session, "EHLO client.example\r\nMAIL FROM:<a@x.example> SIZE=1500\r\nRCPT "
			    "TO:<b@ours.example>\r\n"
			    "RCPT TO:<c@ours.example>\r\nDATA\r\nSubject: two kilobytes\r\n\r\n");
	for (int i = 0; i < 24; i++)
		buf_printf(session, "line %d of a message %060d\r\n", i, i);
	buf_printf(session, "..\r\n.\r\nQUIT\r\n");
}

static void s_26_a_message_is_stored_when_its_end_has_come_and_not_before(void **state)
{
	struct dialogue_options options = dialogue_defaults();
	struct buf session = {0};
	size_t end;

	(void)state;
	put_session(&session);
	assert_in_range(session.n, 2000, 2500);
	end = session.n - strlen("QUIT\r\n");
	for (size_t n = 0; n <= session.n; n++) {
		for (size_t step = 0; step < 2; step++) {
			struct dialogue d;

			options.step = step;
			dialogue_begin(&d, &options);
			dialogue_feed(&d, span_first(buf_span(&session), n));
			assert_int_equal(d.stored, n >= end);
			dialogue_end(&d);
		}
	}
	buf_fini(&session);
}

enum { PIECE = 1 << 16, MANY_PIECES = 16384 }; /* 1 GiB */

/* Feeds until the session is closed or a GiB has gone in; returns how much the process grew. */
static size_t flood(const char *start, unsigned char c, const char *reply)
{
	static unsigned char piece[PIECE];
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;
	size_t before, after;

	memset(piece, c, sizeof piece);
	dialogue_begin(&d, &options);
	dialogue_feed(&d, span_str(start));
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY_PIECES && !d.is_closed; i++) {
		dialogue_feed(&d, span_of(piece, sizeof piece));
		buf_clear(&d.body); /* the host's part: not held by the engine */
	}
	after = mallinfo2().uordblks;
	assert_true(d.is_closed);
	assert_non_null(strstr(buf_cstr(&d.said), reply));
	assert_int_equal(d.stored, 0);
	dialogue_end(&d);
	return after > before ? after - before : 0;
}

static void s_12_a_line_without_end_is_given_up(void **state)
{
	static const char to_data[] =
		"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n";

	(void)state;
	assert_in_range(flood("", 'a', "521 5.5.2 "), 0, 64 << 10);
	assert_in_range(flood("EHLO x\r\n", 'a', "521 5.5.2 "), 0, 64 << 10);
	assert_in_range(flood(to_data, 'a', "552 5.3.4 "), 0, 256 << 10);
	assert_in_range(flood(to_data, '\n', "554 5.6.0 "), 0, 256 << 10);
	assert_in_range(flood(to_data, '\r', "554 5.6.0 "), 0, 256 << 10);
	assert_in_range(flood(to_data, '\0', "554 5.6.0 "), 0, 256 << 10);
	assert_in_range(flood(to_data, '.', "552 5.3.4 "), 0, 256 << 10);
}

static void s_13_a_hundred_thousand_recipients(void **state)
{
	enum { ALL = 100000, TAKEN = 100 };
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;
	size_t before, after, taken = 0, deferred = 0;
	struct span said;

	(void)state;
	dialogue_begin(&d, &options);
	dialogue_feed(&d, SPAN_LIT("EHLO x\r\nMAIL FROM:<a@x>\r\n"));
	buf_clear(&d.said);
	before = mallinfo2().uordblks;
	for (int i = 0; i < ALL; i++) {
		char line[64];
		int n = snprintf(line, sizeof line, "RCPT TO:<u%d@ours.example>\r\n", i);

		dialogue_feed(&d, span_of(line, (size_t)n));
		said = buf_span(&d.said);
		taken += span_starts(said, SPAN_LIT("250 "));
		deferred += span_starts(said, SPAN_LIT("452 4.5.3 "));
		buf_clear(&d.said);
	}
	after = mallinfo2().uordblks;
	assert_int_equal(taken, TAKEN);
	assert_int_equal(deferred, ALL - TAKEN);
	assert_in_range(after - before, 0, 256 << 10);
	dialogue_feed(&d, SPAN_LIT("DATA\r\nx\r\n.\r\n"));
	assert_int_equal(d.stored, 1);
	dialogue_end(&d);
}

static void s_22_many_fields_are_data_like_any(void **state)
{
	struct dialogue_options options = dialogue_defaults();
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, &options);
	dialogue_feed(
		&d, SPAN_LIT("EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\n"));
	for (int i = 0; i < 100000; i++)
		dialogue_feed(&d, SPAN_LIT("To: <a@b.example>\r\n"));
	dialogue_feed(&d, SPAN_LIT("\r\n.\r\n"));
	assert_int_equal(d.stored, 1);
	assert_int_equal(d.messages[0].body.n, 100000 * 19 + 2);
	dialogue_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s_26_a_message_is_stored_when_its_end_has_come_and_not_before),
		cmocka_unit_test(s_12_a_line_without_end_is_given_up),
		cmocka_unit_test(s_13_a_hundred_thousand_recipients),
		cmocka_unit_test(s_22_many_fields_are_data_like_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
