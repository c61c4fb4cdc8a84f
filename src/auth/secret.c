#include "auth/secret.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

bool secret_prepare(void)
{
	return sodium_init() >= 0;
}

void secret_hmac(struct span key, struct span data, unsigned char out[SECRET_HASH_BYTES])
{
	crypto_auth_hmacsha256_state h;

	(void)crypto_auth_hmacsha256_init(&h, key.p, key.n);
	(void)crypto_auth_hmacsha256_update(&h, data.p, data.n);
	(void)crypto_auth_hmacsha256_final(&h, out);
	sodium_memzero(&h, sizeof h);
}

void secret_hmac_parts(struct span key, const struct span *parts, size_t n,
		       unsigned char out[SECRET_HASH_BYTES])
{
	crypto_auth_hmacsha256_state h;
	unsigned char length[8];

	(void)crypto_auth_hmacsha256_init(&h, key.p, key.n);
	for (size_t i = 0; i < n; i++) {
		put_u64(length, parts[i].n);
		(void)crypto_auth_hmacsha256_update(&h, length, sizeof length);
		(void)crypto_auth_hmacsha256_update(&h, parts[i].p, parts[i].n);
	}
	(void)crypto_auth_hmacsha256_final(&h, out);
	sodium_memzero(&h, sizeof h);
}

void secret_sha256(struct span data, unsigned char out[SECRET_HASH_BYTES])
{
	(void)crypto_hash_sha256(out, data.p, data.n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

void secret_wipe_buf(struct buf *b)
{
	if (b->p)
		sodium_memzero(b->p, b->cap);
	buf_fini(b);
}

static void base64(struct buf *out, struct span bytes, int variant)
{
	size_t n = sodium_base64_encoded_len(bytes.n, variant);
	char *text = must_alloc(n);

	(void)sodium_bin2base64(text, n, bytes.p, bytes.n, variant);
	buf_append(out, span_str(text));
	sodium_memzero(text, n);
	free(text);
}

void secret_base64(struct buf *out, struct span bytes)
{
	base64(out, bytes, sodium_base64_VARIANT_ORIGINAL);
}

void secret_base64url(struct buf *out, struct span bytes)
{
	base64(out, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool secret_unbase64(struct span text, unsigned char *out, size_t limit, size_t *out_n)
{
	size_t n = 0;
	const char *end = NULL;

	if (!text.n) {
		*out_n = 0;
		return true;
	}
	if (sodium_base642bin(out, limit, (const char *)text.p, text.n, NULL, &n, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != (const char *)text.p + text.n)
		return false;
	*out_n = n;
	return true;
}

/* Five bits at a time from the front; the rest is filled with zeros. */
static void base32(struct span bytes, const char *alphabet, void (*put)(void *arg, char c),
		   void *arg)
{
	unsigned have = 0, bits = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		have = (have << 8 | bytes.p[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			put(arg, alphabet[have >> (bits - 5) & 31]);
	}
	if (bits)
		put(arg, alphabet[have << (5 - bits) & 31]);
}

static void put_buf(void *arg, char c)
{
	buf_append_byte(arg, (unsigned char)c);
}

void secret_base32(struct buf *out, struct span bytes)
{
	base32(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", put_buf, out);
}

struct text {
	char *at;
	unsigned n;
};

static void put_group(void *arg, char c)
{
	struct text *t = arg;

	if (t->n && t->n % 4 == 0)
		*t->at++ = '-';
	*t->at++ = c;
	t->n++;
}

void secret_code(const unsigned char random[SECRET_CODE_RANDOM_BYTES],
		 char out[SECRET_CODE_TEXT_BYTES])
{
	struct text t = {out, 0};

	base32(span_of(random, SECRET_CODE_RANDOM_BYTES), letters, put_group, &t);
	*t.at = '\0';
}

bool secret_code_read(struct span typed, char out[SECRET_CODE_BYTES + 1])
{
	char found[SECRET_CODE_BYTES + 1] = "";
	size_t n = 0;

	for (size_t i = 0; i < typed.n; i++) {
		char c = (char)typed.p[i];

		if (c == ' ' || c == '-' || c == '\t')
			continue;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		c = c == '0' ? 'o' : c == '1' ? 'l' : c == '8' ? 'b' : c;
		if (n == SECRET_CODE_BYTES || !c || !strchr(letters, c))
			return false;
		found[n++] = c;
	}
	if (n != SECRET_CODE_BYTES)
		return false;
	memcpy(out, found, sizeof found);
	return true;
}
