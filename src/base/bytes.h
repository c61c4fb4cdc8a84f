/* Little-endian integers in byte strings, CRC-32C (Castagnoli, RFC 3720 B.4), and hexadecimal. */
#pragma once

#include "base/span.h"

static inline void put_u16(unsigned char *p, uint16_t v)
{
	for (int i = 0; i < 2; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static inline void put_u32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static inline void put_u64(unsigned char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static inline uint16_t get_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] | (uint16_t)p[1] << 8);
}

static inline uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_u64(const unsigned char *p)
{
	return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* Continue with the last result; start with 0. */
uint32_t crc32c(uint32_t crc, struct span s);

/* out has 2n + 1 bytes. */
void hex_encode(char *out, struct span s);
/* False unless text is exactly 2n hexadecimal digits. */
bool hex_decode(unsigned char *out, size_t n, struct span text);
