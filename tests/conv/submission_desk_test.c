/*
 * A real holdfast-submission and mail that desk hands over (submit.msg): desk is played. The same rules as on the port, one
 * answer for the whole, nothing taken when a recipient is refused, the window, and a desk that goes away.
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

#include "base/arena.h"
#include "base/must.h"
#include "role/common/role.h"

static const char *program;

struct rig {
	struct edge_host host;
	int desk;
	bool is_told;
	struct arena arena;
};

static void begin(struct rig *r)
{
	*r = (struct rig){.desk = -1};
	arena_init(&r->arena, 0);
	edge_host_init(&r->host);
	r->host.name = "submission";
	r->host.service = "submission";
	r->host.config.submissions_per_hour = 5;
	edge_host_start(&r->host, program);
	r->desk = edge_host_link(&r->host, ROLE_DESK);
}

static unsigned stored(struct rig *r, struct buf *bodies, struct buf *meta)
{
	siginfo_t info;

	edge_host_tell_stop(&r->host);
	r->is_told = true;
	must(waitid(P_PID, (id_t)r->host.pid, &info, WEXITED | WNOWAIT) == 0);
	return edge_host_messages(&r->host, bodies, meta);
}

static void end(struct rig *r)
{
	(void)close(r->desk);
	if (!r->is_told)
		edge_host_tell_stop(&r->host);
	assert_int_equal(edge_host_stop(&r->host), 0);
	arena_fini(&r->arena);
}

static void send_begin(struct rig *r, uint64_t id, const char *sender, struct span *rcpts, size_t n)
{
	static struct span as[] = {SPAN_LIT("ann@ours.example"), SPAN_LIT("info@ours.example")};
	struct buf frame = {0};

	msg_submit_begin_encode(&frame, &(struct msg_submit_begin){
						.id = id,
						.account = SPAN_LIT("ann@ours.example"),
						.send_as = as,
						.send_as_n = 2,
						.sender = span_str(sender),
						.rcpts = rcpts,
						.rcpts_n = n,
						.bytes = 2 << 20,
						.source = SPAN_LIT("192.0.2.77"),
						.email = 4711,
						.form = 1,
						.identity = SPAN_LIT("I1"),
					});
	edge_host_send(r->desk, MSG_SUBMIT_BEGIN, buf_span(&frame), -1);
	buf_fini(&frame);
}

static void send_piece(struct rig *r, uint64_t id, struct span bytes)
{
	struct buf frame = {0};

	msg_submit_piece_encode(&frame, &(struct msg_submit_piece){id, bytes});
	edge_host_send(r->desk, MSG_SUBMIT_PIECE, buf_span(&frame), -1);
	buf_fini(&frame);
}

static void send_end(struct rig *r, uint64_t id)
{
	struct buf frame = {0};

	msg_submit_end_encode(&frame, &(struct msg_submit_end){id});
	edge_host_send(r->desk, MSG_SUBMIT_END, buf_span(&frame), -1);
	buf_fini(&frame);
}

/* The next answer; notices of room before it are passed over. */
static struct msg_submit_answer answered(struct rig *r)
{
	struct msg_submit_answer m = {0};
	struct buf body = {0};
	unsigned type;

	do {
		buf_clear(&body);
		type = edge_host_frame(r->desk, 10000, &body);
	} while (type == MSG_SUBMIT_ROOM);
	assert_int_equal(type, MSG_SUBMIT_ANSWER);
	assert_true(
		msg_submit_answer_decode(&r->arena, arena_span(&r->arena, buf_span(&body)), &m));
	buf_fini(&body);
	return m;
}

static struct msg_submit_answer submit(struct rig *r, const char *sender, const char *rcpt,
				       const char *message)
{
	static uint64_t last = 1000;
	struct span rcpts[] = {span_str(rcpt)};

	send_begin(r, ++last, sender, rcpts, 1);
	send_piece(r, last, span_str(message));
	send_end(r, last);
	return answered(r);
}

static void wait_for_room(struct rig *r, uint64_t more_than, uint64_t *out)
{
	struct msg_submit_room m;
	struct buf body = {0};

	while (*out <= more_than) {
		buf_clear(&body);
		assert_int_equal(edge_host_frame(r->desk, 10000, &body), MSG_SUBMIT_ROOM);
		assert_true(msg_submit_room_decode(&r->arena, buf_span(&body), &m));
		assert_true(m.bytes > *out);
		*out = m.bytes;
	}
	buf_fini(&body);
}

static void it_is_taken_and_the_record_says_what_it_is(void **state)
{
	static const char text[] =
		"From: ann@ours.example\r\nTo: u@v.example\r\nBcc: w@v.example\r\n"
		"Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n..dots at the beginning\r\n.\r\nand no end";
	struct span rcpts[] = {SPAN_LIT("u@v.example"), SPAN_LIT("w@v.example")};
	struct msg_submit_answer a;
	struct msg_message_meta meta;
	struct buf all = {0}, bodies = {0}, metas = {0};
	struct rig r;

	(void)state;
	begin(&r);
	(void)buf_printf(&all, "%s\r\n", text);
	send_begin(&r, 1, "ann@ours.example", rcpts, 2);
	for (size_t at = 0; at < sizeof text - 1; at += 10)
		send_piece(&r, 1, span_first(span_from(span_str(text), at), 10));
	send_end(&r, 1);
	a = answered(&r);
	assert_int_equal(a.code, 250);
	assert_int_equal(a.refused_n, 0);
	assert_int_equal(stored(&r, &bodies, &metas), 1);
	buf_append_byte(&all, 0x1e);
	assert_true(span_eq(buf_span(&bodies), buf_span(&all)));
	assert_true(msg_message_meta_decode(&r.arena, buf_span(&metas), &meta));
	assert_true(span_eq(meta.id, a.message));
	assert_int_equal(meta.origin, 1);
	assert_int_equal(meta.rcpts_n, 2);
	assert_int_equal(meta.cuts_n, 1);
	assert_int_equal(meta.body_kind, 1);
	assert_true(span_eq(meta.account, SPAN_LIT("ann@ours.example")));
	assert_true(span_eq(meta.sent_copy, SPAN_LIT("none")));
	assert_true(span_eq(meta.peer, SPAN_LIT("192.0.2.77")));
	assert_true(meta.email == 4711 && meta.email_form == 1);
	assert_true(span_eq(meta.identity, SPAN_LIT("I1")));
	assert_non_null(memmem(meta.trace.p, meta.trace.n, "with HTTP", 9));
	assert_null(memmem(meta.trace.p, meta.trace.n, "192.0.2.77", 10)); /* the author's affair */
	assert_non_null(memmem(meta.trace.p, meta.trace.n, "Message-ID:", 11));
	buf_fini(&all);
	buf_fini(&bodies);
	buf_fini(&metas);
	end(&r);
}

static void a_large_one_comes_through_a_window(void **state)
{
	static unsigned char lines[64 << 10];
	struct span rcpts[] = {SPAN_LIT("u@v.example")},
		    head = SPAN_LIT("From: ann@ours.example\r\n\r\n");
	uint64_t room = 0, at = 0;
	struct rig r;

	(void)state;
	begin(&r);
	for (size_t i = 0; i < sizeof lines; i++)
		lines[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : '.';
	send_begin(&r, 1, "ann@ours.example", rcpts, 1);
	for (int i = 0; i < 25; i++) {
		struct span piece = i ? span_of(lines, sizeof lines) : head;

		wait_for_room(&r, at, &room);
		assert_true(room <= at + (512 << 10)); /* it is a window, not an open door */
		send_piece(&r, 1, piece);
		at += piece.n;
	}
	send_end(&r, 1);
	assert_int_equal(answered(&r).code, 250);
	/* more than was announced */
	send_begin(&r, 2, "ann@ours.example", rcpts, 1);
	room = at = 0;
	for (int i = 0; i < 33; i++) {
		wait_for_room(&r, at, &room);
		send_piece(&r, 2, i ? span_of(lines, sizeof lines) : head);
		at += i ? sizeof lines : head.n;
	}
	assert_int_equal(answered(&r).code, 552);
	assert_int_equal(stored(&r, NULL, NULL), 1);
	end(&r);
}

static void the_rules_are_those_of_the_port(void **state)
{
	static const char mine[] = "From: ann@ours.example\r\n\r\nx\r\n";
	struct msg_submit_answer a;
	struct rig r;

	(void)state;
	begin(&r);
	a = submit(&r, "eve@ours.example", "u@v.example", mine);
	assert_int_equal(a.code, 553);
	assert_int_equal(a.refused_n, 0);
	a = submit(&r, "ann@ours.example", "u@v.example", "From: eve@ours.example\r\n\r\nx\r\n");
	assert_int_equal(a.code, 550);
	assert_true(span_eq(a.enhanced, SPAN_LIT("5.7.1")));
	assert_int_equal(a.refused_n, 0);
	a = submit(&r, "ann@ours.example", "u@v.example", "Subject: x\r\n\r\nx\r\n");
	assert_int_equal(a.code, 554);
	a = submit(&r, "ann@ours.example", "u@v.example", "From: ann@ours.example\n\nx\n");
	assert_int_equal(a.code, 554);
	for (int i = 0; i < 5; i++)
		assert_int_equal(submit(&r, "info@ours.example", "u@v.example", mine).code, 250);
	a = submit(&r, "ann@ours.example", "u@v.example", mine);
	assert_int_equal(a.code, 450); /* as many as it may within an hour */
	assert_int_equal(stored(&r, NULL, NULL), 5);
	end(&r);
}

static void one_refused_recipient_and_nothing_is_taken(void **state)
{
	struct span rcpts[] = {SPAN_LIT("u@v.example"), SPAN_LIT("nobody@list.example"),
			       SPAN_LIT("not an address"), SPAN_LIT("listed@list.example")};
	struct msg_submit_answer a;
	struct rig r;

	(void)state;
	begin(&r);
	send_begin(&r, 7, "ann@ours.example", rcpts, 4);
	send_piece(&r, 7, SPAN_LIT("From: ann@ours.example\r\n\r\nx\r\n"));
	send_end(&r, 7);
	a = answered(&r);
	assert_int_equal(a.id, 7);
	assert_int_equal(a.code / 100, 5);
	assert_int_equal(a.refused_n, 2);
	assert_true(span_eq(a.refused[0].address, SPAN_LIT("nobody@list.example")));
	assert_int_equal(a.refused[0].code, 550);
	assert_true(span_eq(a.refused[1].address, SPAN_LIT("not an address")));
	assert_int_equal(stored(&r, NULL, NULL), 0);
	end(&r);
}

static void a_desk_that_goes_away_leaves_nothing_half(void **state)
{
	struct span rcpts[] = {SPAN_LIT("u@v.example")};
	uint64_t room = 0;
	struct rig r;

	(void)state;
	begin(&r);
	send_begin(&r, 1, "ann@ours.example", rcpts, 1);
	wait_for_room(&r, 0, &room);
	send_piece(&r, 1, SPAN_LIT("From: ann@ours.example\r\n\r\nhalf"));
	(void)close(r.desk);
	r.desk = edge_host_link(&r.host, ROLE_DESK);
	assert_int_equal(submit(&r, "ann@ours.example", "u@v.example",
				"From: ann@ours.example\r\n\r\nwhole\r\n")
				 .code,
			 250);
	/* what is dropped is dropped */
	send_begin(&r, 2, "ann@ours.example", rcpts, 1);
	room = 0;
	wait_for_room(&r, 0, &room);
	send_piece(&r, 2, SPAN_LIT("From: ann@ours.example\r\n\r\nnot"));
	{
		struct buf frame = {0};

		msg_submit_drop_encode(&frame, &(struct msg_submit_drop){2});
		edge_host_send(r.desk, MSG_SUBMIT_DROP, buf_span(&frame), -1);
		buf_fini(&frame);
	}
	assert_int_equal(submit(&r, "ann@ours.example", "u@v.example",
				"From: ann@ours.example\r\n\r\nafter\r\n")
				 .code,
			 250);
	assert_int_equal(stored(&r, NULL, NULL), 2);
	end(&r);
}

/* The sender of frames is hostile: what is no order ends the link, and nothing else. */
static void what_is_no_order_ends_the_link(void **state)
{
	struct buf body = {0};
	struct rig r;

	(void)state;
	begin(&r);
	send_begin(&r, 1, "ann@ours.example", NULL, 0);
	assert_int_equal(edge_host_frame(r.desk, 10000, &body), 0);
	(void)close(r.desk);
	r.desk = edge_host_link(&r.host, ROLE_DESK);
	edge_host_send(r.desk, MSG_SUBMIT_PIECE, SPAN_LIT("\xff"), -1);
	assert_int_equal(edge_host_frame(r.desk, 10000, &body), 0);
	(void)close(r.desk);
	r.desk = edge_host_link(&r.host, ROLE_DESK);
	send_end(&r, 99); /* of nothing: passed over */
	assert_int_equal(
		submit(&r, "ann@ours.example", "u@v.example", "From: ann@ours.example\r\n\r\nx\r\n")
			.code,
		250);
	assert_int_equal(stored(&r, NULL, NULL), 1);
	buf_fini(&body);
	end(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_taken_and_the_record_says_what_it_is),
		cmocka_unit_test(a_large_one_comes_through_a_window),
		cmocka_unit_test(the_rules_are_those_of_the_port),
		cmocka_unit_test(one_refused_recipient_and_nothing_is_taken),
		cmocka_unit_test(a_desk_that_goes_away_leaves_nothing_half),
		cmocka_unit_test(what_is_no_order_ends_the_link),
	};

	must(argc == 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
