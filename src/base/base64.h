/* Base64 of RFC 4648 s4, without line breaks: SASL, IMAP, POP3. Decoding is strict: padding there and right, no bits left over. */
#pragma once

#include "base/ascii.h"
#include "base/buf.h"

void base64_encode(struct buf *out, struct span bytes);
/* False: not base64, or beyond the limit of *out; then *out is as before. */
bool base64_decode(struct buf *out, struct span text) MUST_USE;

/* 0 to 63; -1: no letter of it. */
static inline int base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}
