/* Notifications from hostile facts: the input's lines are the fields, the rest is the original message. */
#include "base/must.h"
#include "mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fields end at a zero byte, so that line ends can stand in them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_from(span_of(data, size), 1);
	uint8_t how = size ? data[0] : 0;
	struct dsn_facts facts = {.node = SPAN_LIT("mx2.example.net"),
				  .message_id = SPAN_LIT("00112233"),
				  .code = how & 4 ? 550 : 0,
				  .return_full = how & 8};
	struct dsn_made made;
	struct span header;
	struct buf out;

	facts.action = (enum dsn_action)((how & 3) % 3);
	facts.sender = span_cut(&rest, 0);
	facts.rcpt = span_cut(&rest, 0);
	facts.envid = span_cut(&rest, 0);
	facts.orcpt = span_cut(&rest, 0);
	facts.enhanced = span_cut(&rest, 0);
	facts.text = span_cut(&rest, 0);
	facts.host = span_cut(&rest, 0);
	facts.original = rest;
	facts.header_bytes = how >> 4;
	buf_init(&out, 0);
	dsn_build(&out, &facts, &made);
	/* Up to the returned part every line ends in CRLF and none is long (D2). */
	must(out.n >= rest.n / 2 || rest.n > DSN_HEADER_LIMIT_BYTES || !facts.return_full);
	header = span_first(buf_span(&out), made.header_bytes);
	while (header.n) {
		struct span line = span_cut(&header, '\n');

		must(line.n && line.n <= 999 && span_chr(line, '\r') == (ssize_t)line.n - 1);
	}
	buf_fini(&out);
	return 0;
}
