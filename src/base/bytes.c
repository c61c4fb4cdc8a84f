#include "base/bytes.h"

#include "base/ascii.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

static uint32_t crc_byte(uint32_t crc, unsigned char c)
{
	crc ^= c;
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (0x82f63b78 & (0 - (crc & 1)));
	return crc;
}

static uint32_t crc_plain(uint32_t crc, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		crc = crc_byte(crc, s.p[i]);
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, struct span s)
{
	uint64_t wide = crc, word;

	for (; s.n >= 8; s = span_from(s, 8)) {
		memcpy(&word, s.p, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	for (size_t i = 0; i < s.n; i++)
		crc = _mm_crc32_u8(crc, s.p[i]);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, struct span s)
{
	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(crc, s);
#endif
	return ~crc_plain(crc, s);
}

void hex_encode(char *out, struct span s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.n; i++) {
		out[2 * i] = digits[s.p[i] >> 4];
		out[2 * i + 1] = digits[s.p[i] & 15];
	}
	out[2 * s.n] = '\0';
}

bool hex_decode(unsigned char *out, size_t n, struct span text)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = ascii_hex(text.p[2 * i]), low = ascii_hex(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}
