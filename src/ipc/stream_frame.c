/* Frames over a byte stream. The receiver treats the sender as hostile. */
#include "ipc/stream_frame.h"

#include "base/bytes.h"

#define MAGIC	0x70694648u /* "HFip" */
#define VERSION 1

bool stream_frame_put(struct buf *out, unsigned type, struct span body)
{
	unsigned char head[STREAM_FRAME_HEADER_BYTES] = {0};

	if (body.n > STREAM_FRAME_LIMIT_BYTES || !buf_reserve(out, sizeof head + body.n))
		return false;
	put_u32(head, MAGIC);
	head[4] = VERSION;
	put_u16(head + 6, (uint16_t)type);
	put_u32(head + 8, (uint32_t)body.n);
	return buf_append(out, span_of(head, sizeof head)) && buf_append(out, body);
}

enum rc stream_frame_take(struct span in, unsigned *out_type, struct span *out_body,
			  size_t *out_used, struct fault *why)
{
	uint32_t n;

	if (in.n < STREAM_FRAME_HEADER_BYTES)
		return MORE;
	n = get_u32(in.p + 8);
	if (get_u32(in.p) != MAGIC || in.p[4] != VERSION || in.p[5] != 0 ||
	    get_u32(in.p + 12) != 0) {
		fault_set(why, "not a frame of version %d", VERSION);
		return REFUSED;
	}
	if (n > STREAM_FRAME_LIMIT_BYTES) {
		fault_set(why, "a frame of %u bytes, at most %d are taken", n,
			  STREAM_FRAME_LIMIT_BYTES);
		return REFUSED;
	}
	if (in.n - STREAM_FRAME_HEADER_BYTES < n)
		return MORE;
	*out_type = get_u16(in.p + 6);
	*out_body = span_of(in.p + STREAM_FRAME_HEADER_BYTES, n);
	*out_used = STREAM_FRAME_HEADER_BYTES + n;
	return OK;
}
