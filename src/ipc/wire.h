/*
 * What the generated codecs are made of: little-endian fields in a row, read with every length
 * checked, written into a buffer. The bytes are fixed in doc/formats/ipc.md.
 *
 *   W1  A reader never looks behind its struct, and allocates a list only when the bytes at hand
 * could hold it. W2  Reading goes on harmlessly after the first fault: everything read then is
 * zero, and `bad` stays set. W3  The end of the struct where a field begins is no fault (an older
 * sender): the field stays zero. Inside a list, or in the middle of a field, it is one.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

struct wire {
	struct span rest;
	bool bad;
	bool in_list;
};

static inline struct wire wire_over(struct span body)
{
	return (struct wire){.rest = body};
}

uint8_t wire_get_u8(struct wire *in);
uint16_t wire_get_u16(struct wire *in);
uint32_t wire_get_u32(struct wire *in);
uint64_t wire_get_u64(struct wire *in);
int64_t wire_get_i64(struct wire *in);
bool wire_get_bool(struct wire *in);
/* Borrowed from the body. Empty: {NULL, 0}. */
struct span wire_get_span(struct wire *in);
/*
 * Begins a list: its count in *out_n and room for it from the arena, or NULL (and 0) when it is
 * empty, absent or wrong. item_bytes is the least an item takes on the wire. wire_end_list after
 * the last item.
 */
void *wire_begin_list(struct wire *in, struct arena *a, size_t item_size, size_t item_bytes,
		      size_t *out_n);
void wire_end_list(struct wire *in);

/* The buffer has no limit: these always succeed. */
void wire_put_u8(struct buf *out, uint8_t v);
void wire_put_u16(struct buf *out, uint16_t v);
void wire_put_u32(struct buf *out, uint32_t v);
void wire_put_u64(struct buf *out, uint64_t v);
void wire_put_i64(struct buf *out, int64_t v);
void wire_put_bool(struct buf *out, bool v);
void wire_put_span(struct buf *out, struct span s);
void wire_put_count(struct buf *out, size_t n);
/* A struct within: returns where its length stands, for wire_end_struct. */
size_t wire_begin_struct(struct buf *out);
void wire_end_struct(struct buf *out, size_t at);
