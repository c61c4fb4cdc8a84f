#include "auth/totp.h"

#include "auth/secret.h"

/* ---- SHA-1 (RFC 3174), for this alone: libsodium has none ---- */

enum { BLOCK = 64, HASH = 20 };

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void sha1_block(uint32_t h[5], const unsigned char p[BLOCK])
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)p[i * 4] << 24 | (uint32_t)p[i * 4 + 1] << 16 |
		       (uint32_t)p[i * 4 + 2] << 8 | p[i * 4 + 3];
	for (size_t i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (size_t i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? (b & c) | (~b & d)
			     : i < 40 ? b ^ c ^ d
			     : i < 60 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		uint32_t k = i < 20   ? 0x5a827999
			     : i < 40 ? 0x6ed9eba1
			     : i < 60 ? 0x8f1bbcdc
				      : 0xca62c1d6;
		uint32_t next = rotate(a, 5) + f + e + k + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* Of one block (a padded key) and a short message behind it: all that HMAC needs here. */
static void sha1_after(const unsigned char block[BLOCK], const unsigned char *message, size_t n,
		       unsigned char out[HASH])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char last[BLOCK] = {0};
	size_t bits = (BLOCK + n) * 8;

	sha1_block(h, block);
	memcpy(last, message, n); /* n <= HASH: the length fits in the same block */
	last[n] = 0x80;
	last[62] = (unsigned char)(bits >> 8);
	last[63] = (unsigned char)bits;
	sha1_block(h, last);
	for (size_t i = 0; i < HASH; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

uint32_t totp_code(const unsigned char secret[TOTP_SECRET_BYTES], uint64_t step)
{
	unsigned char inner[BLOCK], outer[BLOCK], message[8], hash[HASH];
	unsigned at;
	uint32_t v;

	for (size_t i = 0; i < BLOCK; i++) {
		unsigned char k = i < TOTP_SECRET_BYTES ? secret[i] : 0;

		inner[i] = k ^ 0x36;
		outer[i] = k ^ 0x5c;
	}
	for (size_t i = 0; i < 8; i++)
		message[i] = (unsigned char)(step >> (56 - 8 * i));
	sha1_after(inner, message, sizeof message, hash);
	sha1_after(outer, hash, sizeof hash, hash);
	secret_wipe(inner, sizeof inner);
	secret_wipe(outer, sizeof outer);
	at = hash[HASH - 1] & 15;
	v = (uint32_t)(hash[at] & 0x7f) << 24 | (uint32_t)hash[at + 1] << 16 |
	    (uint32_t)hash[at + 2] << 8 | hash[at + 3];
	return v % 1000000;
}

bool totp_verify(const unsigned char secret[TOTP_SECRET_BYTES], struct span code, uint64_t now_s,
		 uint64_t *last_step)
{
	uint64_t given, now = now_s / TOTP_STEP_S, found = 0;

	if (code.n != TOTP_DIGITS || !span_to_u64(code, 999999, &given))
		return false;
	for (uint64_t step = now ? now - 1 : 0; step <= now + 1; step++) {
		if (step > *last_step && totp_code(secret, step) == given)
			found = step;
	}
	if (!found)
		return false;
	*last_step = found;
	return true;
}

void totp_uri(const unsigned char secret[TOTP_SECRET_BYTES], struct span account, struct buf *out)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~@";

	buf_append(out, SPAN_LIT("otpauth://totp/Holdfast:"));
	for (size_t i = 0; i < account.n; i++) {
		if (account.p[i] && strchr(plain, account.p[i]))
			buf_append_byte(out, account.p[i]);
		else
			buf_printf(out, "%%%02X", account.p[i]);
	}
	buf_append(out, SPAN_LIT("?secret="));
	secret_base32(out, span_of(secret, TOTP_SECRET_BYTES));
	buf_append(out, SPAN_LIT("&issuer=Holdfast"));
}
