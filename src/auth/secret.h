/*
 * Small helpers for what must not leak: keyed hashes, comparison in constant time, codes that are shown once.
 * Hashing of passwords is in password.h. Every function but secret_code is deterministic.
 */
#pragma once

#include "base/buf.h"

enum {
	SECRET_HASH_BYTES = 32,
	SECRET_CODE_RANDOM_BYTES = 10,			    /* 80 bit */
	SECRET_CODE_BYTES = 16,				    /* letters of a code, without hyphens */
	SECRET_CODE_TEXT_BYTES = SECRET_CODE_BYTES + 3 + 1, /* "abcd-efgh-ijkl-mnop" */
};

/* Once per process, before anything else here or in password.h; opens what libsodium needs. */
bool secret_prepare(void);

void secret_hmac(struct span key, struct span data, unsigned char out[SECRET_HASH_BYTES]);
/* As secret_hmac over all parts, each with its length before it, so that no two lists are the same bytes. */
void secret_hmac_parts(struct span key, const struct span *parts, size_t n,
		       unsigned char out[SECRET_HASH_BYTES]);
void secret_sha256(struct span data, unsigned char out[SECRET_HASH_BYTES]);
/* Same length and bytes; the time depends on the length alone. */
bool secret_equal(const void *a, const void *b, size_t n);
void secret_wipe(void *p, size_t n);
void secret_wipe_buf(struct buf *b); /* and frees it */

void secret_base64(struct buf *out, struct span bytes);
/* False: no base64 (with padding), or more than limit bytes; *out_n is written on success. */
bool secret_unbase64(struct span text, unsigned char *out, size_t limit, size_t *out_n);
/* RFC 4648 s5, without padding: of tokens and sessions. */
void secret_base64url(struct buf *out, struct span bytes);
/* RFC 4648 s6, upper case, without padding. */
void secret_base32(struct buf *out, struct span bytes);

/* A code a person can type: 16 letters and digits of base32 in groups of four, lower case. */
void secret_code(const unsigned char random[SECRET_CODE_RANDOM_BYTES],
		 char out[SECRET_CODE_TEXT_BYTES]);
/* What a person typed: without blanks and hyphens, lower case, 0 1 8 as o l b. False: this is no code. */
bool secret_code_read(struct span typed, char out[SECRET_CODE_BYTES + 1]);
