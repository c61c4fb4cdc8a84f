/*
 * Frames: any bytes are taken apart as a stream; what is a frame is written again to the same bytes.
 * Every message type: two bytes of type number, then a body. What decodes must encode to bytes that
 * decode again to the same; nothing may be read behind the body or allocated beyond the arena's
 * limit.
 */
#include "base/must.h"
#include "ipc/msg.h"
#include "ipc/stream_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frames(struct span in)
{
	struct buf again = {0};
	struct span body;
	struct fault why;
	unsigned type;
	size_t used;

	while (stream_frame_take(in, &type, &body, &used, &why) == OK) {
		must(used <= in.n && body.n + STREAM_FRAME_HEADER_BYTES == used);
		buf_clear(&again);
		must(stream_frame_put(&again, type, body));
		must(span_eq(buf_span(&again), span_first(in, used)));
		in = span_from(in, used);
	}
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct msg_kind *kind;
	struct arena a;
	struct buf once = {0}, twice = {0};

	frames(span_of(data, size));
	if (size < 2)
		return 0;
	kind = msg_kind_of((unsigned)data[0] | (unsigned)data[1] << 8);
	if (!kind)
		kind = &msg_kinds[data[0] % MSG_KINDS_N];
	arena_init(&a, 4 << 20);
	if (kind->recode(&a, span_of(data + 2, size - 2), &once)) {
		/* The first body may have left out fields, the second has them all: it needs as
		 * much room at most. */
		arena_reset(&a);
		must(kind->recode(&a, buf_span(&once), &twice));
		must(span_eq(buf_span(&once), buf_span(&twice)));
	}
	must(a.used <= 4 << 20);
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&a);
	return 0;
}
