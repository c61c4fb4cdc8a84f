/*
 * lanegen LEDGER-FOLDER LANE MESSAGES BYTES [SITE]: fills a lane with held messages, as edge would have written them,
 * for the bench of starting with a million of them. Nothing may be running on this ledger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "os/os.h"

enum { AT_ONCE = 4096, MAILBOXES = 1000 };

struct generator {
	struct lane *lane;
	const char *site;
	uint64_t bytes, now_us;
	uint64_t failed;
	struct buf meta;
};

static void on_done(void *arg, const struct lane_result *result)
{
	struct generator *g = arg;

	g->failed += result->rc != OK;
}

static void body_make(struct buf *body, uint64_t number, uint64_t bytes)
{
	struct span line = SPAN_LIT("The quick brown fox jumps over the lazy dog, 0123456789 times.\r\n");

	buf_init(body, 0);
	(void)buf_printf(body,
			 "From: bench@example.org\r\nTo: user%llu@example.com\r\nSubject: held "
			 "message %llu\r\n"
			 "Message-ID: <%llu@bench.example.org>\r\n\r\n",
			 (unsigned long long)(number % MAILBOXES), (unsigned long long)number,
			 (unsigned long long)number);
	while (body->n + line.n <= bytes)
		(void)buf_append(body, line);
}

static void append(struct generator *g, uint64_t number)
{
	char id[33], address[64], message_id[64], subject[64];
	struct msg_rcpt rcpt = {.known = 1,
				.domain = SPAN_LIT("example.com"),
				.site = span_str(g->site),
				.orcpt = SPAN_NONE};
	struct msg_message_meta m = {
		.sender = SPAN_LIT("bench@example.org"),
		.rcpts = &rcpt,
		.rcpts_n = 1,
		.body_kind = 1,
		.peer = SPAN_LIT("192.0.2.1"),
		.peer_port = 25000,
		.helo = SPAN_LIT("bench.example.org"),
		.protocol = SPAN_LIT("ESMTP"),
		.trace = SPAN_LIT("Received: from bench.example.org ([192.0.2.1]) by "
				  "mx2.example.net with ESMTP\r\n"),
		.from = SPAN_LIT("bench@example.org"),
	};
	struct record_new r = {.type = RECORD_MESSAGE, .received_us = g->now_us + number};

	(void)snprintf(id, sizeof id, "%032llx", (unsigned long long)number + 1);
	(void)snprintf(address, sizeof address, "user%llu@example.com",
		       (unsigned long long)(number % MAILBOXES));
	(void)snprintf(message_id, sizeof message_id, "<%llu@bench.example.org>",
		       (unsigned long long)number);
	(void)snprintf(subject, sizeof subject, "held message %llu", (unsigned long long)number);
	m.id = span_str(id);
	m.message_id = span_str(message_id);
	m.subject = span_str(subject);
	rcpt.address = span_str(address);
	buf_clear(&g->meta);
	msg_message_meta_encode(&g->meta, &m);
	r.meta = buf_span(&g->meta);
	body_make(&r.body, number, g->bytes);
	lane_append(g->lane, &r, 1, 0, false, on_done, g);
}

int main(int argc, char **argv)
{
	struct generator g = {.site = argc > 5 ? argv[5] : "head-office"};
	struct lane_options options = {.os = os_real()};
	struct fault why = {""};
	uint64_t n, done = 0;

	if (argc < 5 || argc > 6 || !span_to_u64(span_str(argv[3]), 1000000000, &n) ||
	    !span_to_u64(span_str(argv[4]), LEDGER_CHUNK_BYTES, &g.bytes)) {
		(void)fprintf(stderr, "usage: lanegen LEDGER-FOLDER LANE MESSAGES BYTES [SITE]\n");
		return 2;
	}
	options.ledger_dir = argv[1];
	options.name = argv[2];
	if (lane_open(&options, &g.lane, &why) != OK || strcmp(lane_name(g.lane), argv[2]) != 0) {
		(void)fprintf(stderr, "lanegen: cannot write lane %s: %s\n", argv[2], why.text);
		return 1;
	}
	buf_init(&g.meta, 0);
	g.now_us = os_wall_us(options.os) - n; /* a microsecond apart, none in the future */
	while (done < n) {
		for (uint64_t i = 0; i < AT_ONCE && done < n; i++)
			append(&g, done++);
		while (lane_step(g.lane))
			;
		lane_collect(g.lane);
	}
	buf_fini(&g.meta);
	lane_close(g.lane);
	(void)printf("%llu messages, %llu not written\n", (unsigned long long)n,
		     (unsigned long long)g.failed);
	return g.failed > 0;
}
