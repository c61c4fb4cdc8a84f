/*
 * Frames of link.h over a byte stream: what the command line and watch speak on data/run/control.sock.
 * Pure, no descriptors. The same 16 bytes stand before each body:
 *
 *   u32 magic 'HFip' | u8 version | u8 0 | u16 message type | u32 body length | u32 0
 *
 * A frame is valid when magic, version and the zeroes are right and the length is at most
 * STREAM_FRAME_LIMIT_BYTES. There is no way to find the next frame after a wrong one: close.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/span.h"

enum {
	STREAM_FRAME_HEADER_BYTES = 16,
	STREAM_FRAME_LIMIT_BYTES = 1 << 20, /* of the body: a status of many sites */
};

/* Appends header and body. False: the body is too long, or *out has a limit and would pass it. */
bool stream_frame_put(struct buf *out, unsigned type, struct span body) MUST_USE;

/*
 * Takes the first frame of in. OK: *out_body is borrowed from in, and *out_used bytes of in are done.
 * MORE: in does not hold a whole frame yet. REFUSED: this is no frame.
 */
enum rc stream_frame_take(struct span in, unsigned *out_type, struct span *out_body,
			  size_t *out_used, struct fault *why) MUST_USE;
