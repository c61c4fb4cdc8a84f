/* What the IMAP server engine costs: memory, output at once, work in a step; and what stops it. */
#include "imap_rig.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The sanitizers' malloc counts otherwise. */
#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MEMORY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_MEMORY false
#endif
#endif
#ifndef COUNTS_MEMORY
#define COUNTS_MEMORY true
#endif

#define LOGIN "l LOGIN anna secret\r\ns SELECT INBOX\r\n"

enum { MANY = 10000, IDLE_BYTES = 8 << 10, OUT_BYTES = 34 << 10 };

static struct imap_rig rig;

static void begin(unsigned messages)
{
	imap_rig_init(&rig);
	imap_rig_furnish(&rig);
	for (unsigned i = 4; i < messages; i++)
		(void)imap_rig_add(&rig, &rig.boxes[0], i % 3, i % 2 ? MAIL_SEEN : 0);
	imap_server_greet(rig.s);
	imap_rig_feed(&rig, SPAN_LIT(LOGIN), 0);
	buf_clear(&rig.said);
}

static void say(const char *text)
{
	buf_clear(&rig.said);
	imap_rig_feed(&rig, span_str(text), 0);
}

static bool heard(const char *text)
{
	return memmem(rig.said.p, rig.said.n, text, strlen(text)) != NULL;
}

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static struct imap_server *idle_session(void)
{
	struct imap_server *s = imap_server_new(&rig.service);
	struct span in = SPAN_LIT(LOGIN "a FETCH 1:* (FLAGS ENVELOPE)\r\nb IDLE\r\n"),
		    piece = SPAN_NONE;
	enum imap_step step;

	imap_server_greet(s);
	do {
		step = imap_server_step(s, &in, &piece);
		imap_server_sent(s);
		if (step == IMAP_LOGIN)
			imap_server_login_fine(s, &rig.store);
	} while (step != IMAP_FEED);
	assert_int_equal(imap_server_box(s), 1);
	return s;
}

/* Idle sessions, 10,000 messages selected: what stays of each in the engine. */
static void idle_sessions_are_small(void **state)
{
	enum { SESSIONS = 20 };
	struct imap_server *sessions[SESSIONS];
	size_t before;

	(void)state;
	begin(MANY);
	imap_server_free(idle_session()); /* what is made once */
	before = in_use();
	for (size_t i = 0; i < SESSIONS; i++)
		sessions[i] = idle_session();
	if (COUNTS_MEMORY)
		assert_in_range((in_use() - before) / SESSIONS, 200, IDLE_BYTES);
	for (size_t i = 0; i < SESSIONS; i++)
		imap_server_free(sessions[i]);
	imap_rig_fini(&rig);
}

/* I7: whatever is asked for, output does not pile up in the engine. */
static void output_comes_in_pieces(void **state)
{
	static const char *const asks[] = {
		"a FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)\r\n",
		"a FETCH 1:* BODY.PEEK[]\r\n",
		"a SEARCH ALL\r\n",
		"a UID SEARCH RETURN (ALL) OR SEEN 1:*\r\n",
		"a STORE 1:* +FLAGS (\\Flagged)\r\n",
		"a FETCH 1:* BODY[TEXT]\r\n",
		"a STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n",
		"a EXPUNGE\r\n",
	};

	(void)state;
	begin(MANY);
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		rig.most_out = 0;
		say(asks[i]);
		assert_true(heard("a OK"));
		assert_in_range(rig.most_out, 1, OUT_BYTES);
	}
	say("b STATUS INBOX (MESSAGES)\r\n");
	assert_true(heard("MESSAGES 0"));
	imap_rig_fini(&rig);
}

/* A body of 8 MiB passes through in chunks, and a peer that stops taking it stops the reading. */
static void long_body_waits_for_its_reader(void **state)
{
	struct buf text = {0};
	struct span in = SPAN_LIT("a FETCH 1 BODY.PEEK[]\r\n"), piece = SPAN_NONE;
	enum imap_step step;

	(void)state;
	begin(0);
	(void)buf_append(&text, SPAN_LIT("Subject: long\r\n\r\n"));
	while (text.n < 8u << 20)
		(void)buf_append(&text, SPAN_LIT("0123456789012345678901234567890123456789012345678"
						 "901234567890\r\n"));
	rig.boxes[0].entries[0].text = imap_rig_add_text(&rig, buf_span(&text));
	buf_fini(&text);
	rig.reads = 0;
	do
		step = imap_server_step(rig.s, &in, &piece);
	while (step == IMAP_AGAIN);
	assert_int_equal(step, IMAP_FLUSH);
	for (int i = 0; i < 100; i++)
		assert_int_equal(imap_server_step(rig.s, &in, &piece), IMAP_FLUSH);
	assert_in_range(rig.reads, 1, 3);
	assert_in_range(imap_server_output(rig.s).n, 1, OUT_BYTES);
	imap_rig_settle(&rig);
	assert_true(heard("a OK"));
	assert_in_range(rig.said.n, 8 << 20, 9 << 20);
	imap_rig_fini(&rig);
}

/* I-12: between messages, and inside a long one, others go first; who leaves stops it. */
static void i_12_search_is_cancelled(void **state)
{
	struct span in = SPAN_LIT("a SEARCH TEXT nowhere\r\n"), piece = SPAN_NONE;
	unsigned most = 0;

	(void)state;
	begin(1000);
	rig.reads = 0;
	for (int i = 0; i < 50; i++) {
		unsigned before = rig.reads;

		assert_int_equal(imap_server_step(rig.s, &in, &piece), IMAP_AGAIN);
		most = rig.reads - before > most ? rig.reads - before : most;
	}
	assert_in_range(most, 1, 20);
	assert_in_range(rig.reads, 1, 100);
	imap_server_free(rig.s); /* the client has left */
	rig.s = NULL;
	assert_int_equal(rig.open_bodies, 0);
	imap_rig_fini(&rig);

	begin(1000);
	say("a SEARCH TEXT nowhere\r\n");
	assert_true(heard("* SEARCH\r\na OK"));
	assert_in_range(rig.turns, 900, 1100);
	imap_rig_fini(&rig);
}

/* I-01: no line end, before login: ends soon, and keeps little until then. */
static void i_01_endless_line_ends(void **state)
{
	static const char *const fillers[] = {"(", ")", "()", "a", "\"", "\\"};

	(void)state;
	for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
		struct buf line = {0};

		imap_rig_init(&rig);
		imap_server_greet(rig.s);
		(void)buf_append(&line, SPAN_LIT("a NOOP "));
		while (line.n < 1u << 20)
			(void)buf_append(&line, span_str(fillers[i]));
		for (size_t at = 0; at < line.n && !rig.is_closed; at += 4096) {
			imap_rig_feed(&rig, span_first(span_from(buf_span(&line), at), 4096), 0);
			assert_in_range(at, 0, 16 << 10);
		}
		assert_true(rig.is_closed);
		assert_true(heard("* BYE [TOOBIG]"));
		buf_fini(&line);
		imap_rig_fini(&rig);
	}
}

/* After login: deep and long sets, lists and keys are answered, quickly. */
static void i_01_bombs_after_login(void **state)
{
	static const char *const heads[] = {"a SEARCH ",
					    "a FETCH 1 ",
					    "a LIST ",
					    "a STORE 1 FLAGS ",
					    "a SEARCH OR NOT ",
					    "a FETCH 1 BODY[1.",
					    "a FETCH 1 BODY[HEADER.FIELDS ("};
	static const char *const fillers[] = {"(", "NOT ", "OR ", "1.", "ALL ", "\"a\" "};
	clock_t start = clock();

	(void)state;
	begin(0);
	rig.service.limits.errors = 1000;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		for (size_t k = 0; k < sizeof fillers / sizeof *fillers; k++) {
			struct buf line = {0};

			(void)buf_append(&line, span_str(heads[i]));
			while (line.n < 250u << 10)
				(void)buf_append(&line, span_str(fillers[k]));
			(void)buf_append(&line, SPAN_LIT("\r\n"));
			buf_clear(&rig.said);
			imap_rig_feed(&rig, buf_span(&line), 0);
			assert_true(heard("a BAD") || heard("a OK"));
			buf_fini(&line);
		}
	}
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
	imap_rig_fini(&rig);
}

/* A set of every second message: thousands of ranges in one command, several acts. */
static void long_sets_are_split(void **state)
{
	struct buf line = {0};

	(void)state;
	begin(MANY);
	(void)buf_append(&line, SPAN_LIT("a STORE 1"));
	for (unsigned i = 3; i <= MANY; i += 2)
		(void)buf_printf(&line, ",%u", i);
	(void)buf_append(&line, SPAN_LIT(" +FLAGS.SILENT ($Half)\r\n"));
	imap_rig_feed(&rig, buf_span(&line), 0);
	buf_fini(&line);
	assert_true(heard("a OK"));
	say("b SEARCH RETURN (COUNT) KEYWORD $Half\r\n");
	assert_true(heard("COUNT 5000"));
	line = rig.acts;
	assert_non_null(memmem(line.p, line.n, "store add", 9));
	assert_non_null(memmem(memmem(line.p, line.n, "\n", 1), line.n / 2, "store add",
			       9)); /* a second one */
	imap_rig_fini(&rig);
}

/* Sequence numbers against a plain count, while messages go at random. */
static void map_agrees_with_counting(void **state)
{
	uint32_t random = 12345;

	(void)state;
	begin(300);
	for (int round = 0; round < 60; round++) {
		struct rig_box *b = &rig.boxes[0];
		char wanted[64], ask[64];
		uint32_t seq = 0;

		for (int i = 0; i < 3; i++) {
			struct rig_entry *e;

			random = random * 1103515245 + 12345;
			e = &b->entries[random / 65536 % b->n];
			if (!e->is_gone)
				e->modseq = b->modseq = ++rig.modseq;
			e->is_gone = true;
		}
		say("a NOOP\r\n");
		for (size_t i = 0; i < b->n; i++) {
			if (b->entries[i].is_gone)
				continue;
			seq++;
			if (i % 17)
				continue;
			(void)snprintf(ask, sizeof ask, "b FETCH %u UID\r\n", seq);
			(void)snprintf(wanted, sizeof wanted, "* %u FETCH (UID %u)\r\nb OK", seq,
				       b->entries[i].uid);
			say(ask);
			assert_true(heard(wanted));
		}
	}
	imap_rig_fini(&rig);
}

/* ---- I-08: messages made to be costly ---- */

static void nested(struct buf *out)
{
	for (int i = 0; i < 20000; i++)
		(void)buf_printf(
			out, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
}

static void many_parts(struct buf *out)
{
	(void)buf_printf(out, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 200000; i++)
		(void)buf_printf(out, "--b\r\n\r\n");
}

static void messages_within(struct buf *out)
{
	for (int i = 0; i < 20000; i++)
		(void)buf_printf(out, "Content-Type: message/rfc822\r\n\r\n");
}

static void many_fields(struct buf *out)
{
	for (int i = 0; i < 200000; i++)
		(void)buf_printf(out, "X-%d: y\r\n", i);
}

static void many_addresses(struct buf *out)
{
	(void)buf_printf(out, "To: ");
	for (int i = 0; i < 200000; i++)
		(void)buf_printf(out, "<a@b>,\r\n ");
}

static void same_boundary(struct buf *out)
{
	for (int i = 0; i < 5000; i++)
		(void)buf_printf(out, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n");
	for (int i = 0; i < 100000; i++)
		(void)buf_printf(out, "--b\r\n");
}

static void parentheses(struct buf *out)
{
	(void)buf_printf(out, "From: ");
	for (int i = 0; i < 500000; i++)
		(void)buf_append_byte(out, '(');
}

static void encoded_words(struct buf *out)
{
	(void)buf_printf(out, "Subject: ");
	for (int i = 0; i < 50000; i++)
		(void)buf_printf(out, "=?utf-8?q?=?=\r\n ");
}

static void base64_junk(struct buf *out)
{
	(void)buf_printf(out, "Content-Transfer-Encoding: base64\r\n\r\n");
	for (int i = 0; i < 500000; i++)
		(void)buf_printf(out, "=\r\n!");
}

static void parameters(struct buf *out)
{
	(void)buf_printf(out, "Content-Type: text/plain");
	for (int i = 0; i < 100000; i++)
		(void)buf_printf(out, ";\r\n a*%d*=x", i);
}

static void i_08_costly_messages(void **state)
{
	static void (*const makers[])(struct buf *) = {
		nested,	       many_parts,  messages_within, many_fields, many_addresses,
		same_boundary, parentheses, encoded_words,   base64_junk, parameters};
	struct buf ask = {0};

	(void)state;
	(void)buf_printf(
		&ask,
		"a FETCH 1 (ENVELOPE BODY BODYSTRUCTURE BINARY.SIZE[1] BODY.PEEK[1] BODY.PEEK[1");
	for (int i = 0; i < 60; i++)
		(void)buf_printf(&ask, ".1");
	(void)buf_printf(&ask, "] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (x)])\r\nb SEARCH TEXT "
			       "x HEADER x y\r\n");
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
		struct buf text = {0};
		clock_t start;

		begin(0);
		makers[i](&text);
		rig.boxes[0].entries[0].text = imap_rig_add_text(&rig, buf_span(&text));
		buf_fini(&text);
		rig.most_out = 0;
		start = clock();
		imap_rig_feed(&rig, buf_span(&ask), 0);
		if (COUNTS_MEMORY) /* nor do the sanitizers keep time */
			assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 3);
		assert_true(heard("a OK") || heard("a NO"));
		assert_true(heard("b OK"));
		imap_rig_fini(&rig);
	}
	buf_fini(&ask);
}

/* I7: one long header, asked for a hundred times in one command: no step reads it so often. */
static void i_08_one_header_many_times(void **state)
{
	struct buf text = {0}, ask = {0};
	struct span in, piece = SPAN_NONE;
	enum imap_step step;
	unsigned most = 0;

	(void)state;
	begin(0);
	for (int i = 0; i < 40000; i++)
		(void)buf_printf(&text, "X-%d: 0123456789\r\n", i);
	(void)buf_printf(&text, "\r\nx\r\n");
	rig.boxes[0].entries[0].text = imap_rig_add_text(&rig, buf_span(&text));
	(void)buf_printf(&ask, "a FETCH 1 (UID");
	for (int i = 0; i < 100; i++)
		(void)buf_printf(&ask, " BODY.PEEK[HEADER.FIELDS (y%d)]", i);
	(void)buf_printf(&ask, ")\r\n");
	in = buf_span(&ask);
	rig.reads = 0;
	do {
		unsigned before = rig.reads;

		step = imap_server_step(rig.s, &in, &piece);
		most = rig.reads - before > most ? rig.reads - before : most;
		if (step == IMAP_FLUSH)
			imap_server_sent(rig.s);
	} while (step != IMAP_FEED);
	assert_true(rig.reads >= 100 * (text.n >> 14));
	assert_in_range(most, 1, (2 << 20) >> 14);
	buf_fini(&text);
	buf_fini(&ask);
	imap_rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_sessions_are_small),
		cmocka_unit_test(output_comes_in_pieces),
		cmocka_unit_test(long_body_waits_for_its_reader),
		cmocka_unit_test(i_12_search_is_cancelled),
		cmocka_unit_test(i_01_endless_line_ends),
		cmocka_unit_test(i_01_bombs_after_login),
		cmocka_unit_test(i_08_costly_messages),
		cmocka_unit_test(i_08_one_header_many_times),
		cmocka_unit_test(long_sets_are_split),
		cmocka_unit_test(map_agrees_with_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
