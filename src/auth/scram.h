/* SCRAM-SHA-256 keys and proofs (RFC 5802, RFC 7677). The dialogue is in sasl.h. */
#pragma once

#include "auth/secret.h"

struct password;

enum { SCRAM_SALT_BYTES = 16, SCRAM_ITERATIONS = 10000 };

struct scram_keys {
	uint32_t iterations; /* 0: none */
	unsigned char salt[SCRAM_SALT_BYTES];
	unsigned char stored[SECRET_HASH_BYTES], server[SECRET_HASH_BYTES];
};

/* Milliseconds of work: behind a gate. */
void scram_make(const struct password *w, const unsigned char salt[SCRAM_SALT_BYTES],
		uint32_t iterations, struct scram_keys *out);
/* For a name without keys: always the same salt for it, so that it cannot be told from others; no proof fits. */
void scram_pretend(struct span key, struct span name, struct scram_keys *out);
/* The client's proof over the messages of both sides. True: *out_signature is the server's. */
bool scram_verify(const struct scram_keys *k, struct span messages,
		  const unsigned char proof[SECRET_HASH_BYTES],
		  unsigned char out_signature[SECRET_HASH_BYTES]);
