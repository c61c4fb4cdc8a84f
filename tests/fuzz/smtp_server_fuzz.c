/*
 * A session, first byte: pieces, and with 32 logins are taken. The dialogue's policy answers. The same input in other pieces must
 * give the same answers and the same messages (R1), unless a refused DATA ended it.
 */
#include "../conv/dialogue.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(struct dialogue *d, size_t step, bool is_async, bool has_auth, struct span in)
{
	struct dialogue_options options = dialogue_defaults();

	options.step = step;
	options.is_async = is_async;
	options.service.limits.message_bytes = 4096;
	options.service.limits.recipients = 5;
	if (has_auth) {
		options.service.auth = SPAN_LIT("PLAIN LOGIN");
		options.service.auth_in_clear = options.service.needs_auth = true;
	}
	dialogue_begin(d, &options);
	dialogue_feed(d, in);
	dialogue_wait(d, 1000000);
}

static bool is_exception(const struct dialogue *d)
{
	return d->said.n && memmem(d->said.p, d->said.n, "\r\n521 5.5.1 ", 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dialogue whole, pieces;
	struct span in;

	if (size < 1 || size > 1 << 16)
		return 0;
	in = span_of(data + 1, size - 1);
	play(&whole, 0, false, data[0] & 32, in);
	play(&pieces, (size_t)(data[0] & 31) + 1, true, data[0] & 32, in);
	if (!is_exception(&whole) && !is_exception(&pieces)) {
		if (!span_eq(buf_span(&whole.said), buf_span(&pieces.said)) ||
		    whole.stored != pieces.stored || whole.logins_ended != pieces.logins_ended ||
		    whole.logins_given_up != pieces.logins_given_up ||
		    whole.is_closed != pieces.is_closed)
			abort();
		for (size_t i = 0; i < whole.messages_n; i++) {
			if (!span_eq(buf_span(&whole.messages[i].body),
				     buf_span(&pieces.messages[i].body)) ||
			    !span_eq(buf_span(&whole.messages[i].envelope),
				     buf_span(&pieces.messages[i].envelope)))
				abort();
		}
	}
	dialogue_end(&whole);
	dialogue_end(&pieces);
	return 0;
}
