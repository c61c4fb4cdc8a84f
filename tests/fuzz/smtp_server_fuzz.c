/*
 * A session, first byte: pieces. The dialogue's policy answers. The same input in other pieces must
 * give the same answers and the same messages (R1), unless a refused DATA ended it.
 */
#include "../conv/dialogue.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(struct dialogue *d, size_t step, bool is_async, struct span in)
{
	struct dialogue_options options = dialogue_defaults();

	options.step = step;
	options.is_async = is_async;
	options.service.limits.message_bytes = 4096;
	options.service.limits.recipients = 5;
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
	play(&whole, 0, false, in);
	play(&pieces, (size_t)(data[0] & 31) + 1, true, in);
	if (!is_exception(&whole) && !is_exception(&pieces)) {
		if (!span_eq(buf_span(&whole.said), buf_span(&pieces.said)) ||
		    whole.stored != pieces.stored || whole.is_closed != pieces.is_closed)
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
