#include "ipc/wire.h"

#include "base/bytes.h"
#include "base/must.h"

/* The next n bytes, or NULL: with `bad` set, or at the end of the struct before a field (W3). */
static const unsigned char *take(struct wire *in, size_t n)
{
	const unsigned char *p = in->rest.p;

	if (in->bad)
		return NULL;
	if (in->rest.n == 0 && !in->in_list)
		return NULL;
	if (in->rest.n < n) {
		in->bad = true;
		return NULL;
	}
	in->rest = span_from(in->rest, n);
	return p;
}

uint8_t wire_get_u8(struct wire *in)
{
	const unsigned char *p = take(in, 1);

	return p ? *p : 0;
}

uint16_t wire_get_u16(struct wire *in)
{
	const unsigned char *p = take(in, 2);

	return p ? get_u16(p) : 0;
}

uint32_t wire_get_u32(struct wire *in)
{
	const unsigned char *p = take(in, 4);

	return p ? get_u32(p) : 0;
}

uint64_t wire_get_u64(struct wire *in)
{
	const unsigned char *p = take(in, 8);

	return p ? get_u64(p) : 0;
}

int64_t wire_get_i64(struct wire *in)
{
	return (int64_t)wire_get_u64(in);
}

bool wire_get_bool(struct wire *in)
{
	uint8_t v = wire_get_u8(in);

	if (v > 1)
		in->bad = true;
	return v == 1;
}

struct span wire_get_span(struct wire *in)
{
	const unsigned char *p = take(in, 4);
	size_t n = p ? get_u32(p) : 0;

	if (n == 0)
		return SPAN_NONE;
	if (n > in->rest.n) {
		in->bad = true;
		return SPAN_NONE;
	}
	p = in->rest.p;
	in->rest = span_from(in->rest, n);
	return span_of(p, n);
}

void *wire_begin_list(struct wire *in, struct arena *a, size_t item_size, size_t item_bytes,
		      size_t *out_n)
{
	size_t n = wire_get_u32(in);
	void *items;

	*out_n = 0;
	in->in_list = true;
	if (in->bad || n == 0)
		return NULL;
	if (n > in->rest.n / item_bytes) {
		in->bad = true;
		return NULL;
	}
	items = arena_array(a, n, item_size);
	if (!items) {
		in->bad = true;
		return NULL;
	}
	*out_n = n;
	return items;
}

void wire_end_list(struct wire *in)
{
	in->in_list = false;
}

static void put(struct buf *out, const void *p, size_t n)
{
	must(buf_append(out, span_of(p, n)));
}

void wire_put_u8(struct buf *out, uint8_t v)
{
	put(out, &v, 1);
}

void wire_put_u16(struct buf *out, uint16_t v)
{
	unsigned char b[2];

	put_u16(b, v);
	put(out, b, sizeof b);
}

void wire_put_u32(struct buf *out, uint32_t v)
{
	unsigned char b[4];

	put_u32(b, v);
	put(out, b, sizeof b);
}

void wire_put_u64(struct buf *out, uint64_t v)
{
	unsigned char b[8];

	put_u64(b, v);
	put(out, b, sizeof b);
}

void wire_put_i64(struct buf *out, int64_t v)
{
	wire_put_u64(out, (uint64_t)v);
}

void wire_put_bool(struct buf *out, bool v)
{
	wire_put_u8(out, v ? 1 : 0);
}

void wire_put_span(struct buf *out, struct span s)
{
	wire_put_count(out, s.n);
	put(out, s.p, s.n);
}

void wire_put_count(struct buf *out, size_t n)
{
	must(n <= UINT32_MAX);
	wire_put_u32(out, (uint32_t)n);
}

size_t wire_begin_struct(struct buf *out)
{
	size_t at = out->n;

	wire_put_u32(out, 0);
	return at;
}

void wire_end_struct(struct buf *out, size_t at)
{
	size_t n = out->n - at - 4;

	must(n <= UINT32_MAX);
	put_u32(out->p + at, (uint32_t)n);
}
