#include "auth/scram.h"

#include "auth/password.h"
#include "base/bytes.h"

enum { N = SECRET_HASH_BYTES };

/* Hi() of RFC 5802: PBKDF2 with HMAC-SHA-256, one block. */
static void stretch(struct span word, const unsigned char salt[SCRAM_SALT_BYTES],
		    uint32_t iterations, unsigned char out[N])
{
	unsigned char first[SCRAM_SALT_BYTES + 4], u[N];

	memcpy(first, salt, SCRAM_SALT_BYTES);
	memcpy(first + SCRAM_SALT_BYTES, "\0\0\0\1", 4);
	secret_hmac(word, span_of(first, sizeof first), u);
	memcpy(out, u, N);
	for (uint32_t i = 1; i < iterations; i++) {
		secret_hmac(word, span_of(u, N), u);
		for (size_t at = 0; at < N; at++)
			out[at] ^= u[at];
	}
	secret_wipe(u, N);
}

void scram_make(const struct password *w, const unsigned char salt[SCRAM_SALT_BYTES],
		uint32_t iterations, struct scram_keys *out)
{
	unsigned char salted[N], client[N];

	stretch(password_span(w), salt, iterations, salted);
	secret_hmac(span_of(salted, N), SPAN_LIT("Client Key"), client);
	secret_sha256(span_of(client, N), out->stored);
	secret_hmac(span_of(salted, N), SPAN_LIT("Server Key"), out->server);
	memcpy(out->salt, salt, SCRAM_SALT_BYTES);
	out->iterations = iterations;
	secret_wipe(salted, N);
	secret_wipe(client, N);
}

void scram_pretend(struct span key, struct span name, struct scram_keys *out)
{
	const struct span salt[] = {SPAN_LIT("scram salt"), name};
	const struct span stored[] = {SPAN_LIT("scram stored"), name};
	unsigned char made[N];

	secret_hmac_parts(key, salt, 2, made);
	memcpy(out->salt, made, SCRAM_SALT_BYTES);
	secret_hmac_parts(key, stored, 2, out->stored); /* no preimage is known */
	memcpy(out->server, out->stored, N);
	out->iterations = SCRAM_ITERATIONS;
}

bool scram_verify(const struct scram_keys *k, struct span messages,
		  const unsigned char proof[SECRET_HASH_BYTES],
		  unsigned char out_signature[SECRET_HASH_BYTES])
{
	unsigned char client[N], hash[N];

	secret_hmac(span_of(k->stored, N), messages, client);
	for (size_t i = 0; i < N; i++)
		client[i] ^= proof[i];
	secret_sha256(span_of(client, N), hash);
	if (!secret_equal(hash, k->stored, N))
		return false;
	secret_hmac(span_of(k->server, N), messages, out_signature);
	return true;
}
