/*
 * The SPF machine behind a line protocol, for spf_suite.py. All text travels in hexadecimal ("-" is empty):
 *
 *   in   check ADDRESS HELO SENDER        out  ask TYPE NAME      (answered by)
 *   in   reply RC N, then N lines of data      out  result NAME EXPLANATION WHY
 */
#include "identity/spf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/must.h"

#define LINE_BYTES 70000

static struct span from_hex(struct buf *out, const char *hex)
{
	buf_clear(out);
	must(buf_reserve(out, 1));
	for (; ascii_hex((unsigned char)hex[0]) >= 0; hex += 2)
		(void)buf_append_byte(out, (unsigned char)(ascii_hex((unsigned char)hex[0]) << 4 |
							   ascii_hex((unsigned char)hex[1])));
	return buf_span(out);
}

static void put_hex(const char *text)
{
	if (!*text)
		(void)printf(" -");
	else
		(void)printf(" ");
	for (; *text; text++)
		(void)printf("%02x", (unsigned char)*text);
}

static bool get_line(char *line)
{
	return fgets(line, LINE_BYTES, stdin) != NULL;
}

/* Reads the reply to a question and gives it to the machine. */
static enum rc answer(struct spf *s, struct spf_question *q)
{
	static char line[LINE_BYTES];
	static struct buf data[256];
	static struct span records[256];
	struct spf_reply reply = {.records = records};
	unsigned rc, n;

	(void)printf("ask %d", (int)q->type);
	put_hex(q->name);
	(void)printf("\n");
	must(fflush(stdout) == 0 && get_line(line));
	must(sscanf(line, "reply %u %u", &rc, &n) == 2 && n <= 256);
	reply.rc = (enum rc)rc;
	reply.n = n;
	for (unsigned i = 0; i < n; i++) {
		must(get_line(line));
		records[i] = from_hex(&data[i], line);
	}
	return spf_step(s, &reply, q);
}

int main(void)
{
	static char line[LINE_BYTES], address[LINE_BYTES], helo[LINE_BYTES], sender[LINE_BYTES];
	struct buf helo_bytes = {0}, sender_bytes = {0};

	while (get_line(line)) {
		struct spf_input input = {.receiver = SPAN_LIT("mx.receiver.example"),
					  .now_s = 1700000000};
		struct spf_question q;
		struct spf *s;
		enum rc rc;

		must(sscanf(line, "check %s %s %s", address, helo, sender) == 3);
		input.address = address;
		input.helo = from_hex(&helo_bytes, helo);
		input.sender = from_hex(&sender_bytes, sender);
		s = spf_new(&input);
		rc = spf_step(s, NULL, &q);
		while (rc == MORE)
			rc = answer(s, &q);
		(void)printf("result %s", spf_result_name(spf_result(s)));
		put_hex(spf_explanation(s));
		put_hex(spf_why(s));
		(void)printf("\n");
		(void)fflush(stdout);
		spf_free(s);
	}
	buf_fini(&helo_bytes);
	buf_fini(&sender_bytes);
	return 0;
}
