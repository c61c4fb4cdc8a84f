#include "base/base64.h"

#include "base/ascii.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
		uint32_t v = (uint32_t)bytes.p[i] << 16;
		unsigned char four[4];

		if (n > 1)
			v |= (uint32_t)bytes.p[i + 1] << 8;
		if (n > 2)
			v |= bytes.p[i + 2];
		for (size_t k = 0; k < 4; k++)
			four[k] = k <= n ? (unsigned char)letters[v >> (18 - 6 * k) & 63] : '=';
		(void)buf_append(out, span_of(four, sizeof four));
	}
}

/* Four letters to at most three bytes; how many, or 0: not base64. */
static size_t decode_four(const unsigned char *p, bool is_last, unsigned char out[3])
{
	size_t n = !is_last || p[3] != '=' ? 4 : p[2] != '=' ? 3 : 2;
	uint32_t v = 0;

	for (size_t k = 0; k < 4; k++) {
		int value = k < n ? base64_value(p[k]) : 0;

		if (value < 0)
			return 0;
		v = v << 6 | (uint32_t)value;
	}
	if ((n == 2 && (v & 0xffff)) || (n == 3 && (v & 0xff)))
		return 0;
	out[0] = (unsigned char)(v >> 16);
	out[1] = (unsigned char)(v >> 8);
	out[2] = (unsigned char)v;
	return n - 1;
}

bool base64_decode(struct buf *out, struct span text)
{
	size_t before = out->n;

	if (text.n % 4 != 0)
		return false;
	for (size_t i = 0; i < text.n; i += 4) {
		unsigned char three[3];
		size_t n = decode_four(text.p + i, i + 4 == text.n, three);

		if (n == 0 || !buf_append(out, span_of(three, n))) {
			out->n = before;
			return false;
		}
	}
	return true;
}
