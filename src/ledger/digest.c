/*
 * SHA-256 by OpenSSL's EVP. Making and fetching a context costs more than hashing a small record,
 * so each thread keeps one; it goes with the thread.
 */
#include "ledger/internal.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/bytes.h"
#include "base/must.h"

struct hasher {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

static pthread_key_t hasher_key;
static pthread_once_t hasher_once = PTHREAD_ONCE_INIT;

static void hasher_free(void *arg)
{
	struct hasher *h = arg;

	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	OPENSSL_free(h);
}

static void hasher_key_make(void)
{
	must(pthread_key_create(&hasher_key, hasher_free) == 0);
}

static struct hasher *hasher_of_thread(void)
{
	struct hasher *h;

	must(pthread_once(&hasher_once, hasher_key_make) == 0);
	h = pthread_getspecific(hasher_key);
	if (h)
		return h;
	h = OPENSSL_zalloc(sizeof *h);
	must(h != NULL);
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	must(h->md != NULL && h->ctx != NULL);
	must(EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1);
	must(pthread_setspecific(hasher_key, h) == 0);
	return h;
}

void digest_parts(const struct span *parts, size_t n, unsigned char out[LEDGER_DIGEST_BYTES])
{
	struct hasher *h = hasher_of_thread();

	must(EVP_DigestInit_ex2(h->ctx, NULL, NULL) == 1);
	for (size_t i = 0; i < n; i++)
		if (parts[i].n > 0)
			must(EVP_DigestUpdate(h->ctx, parts[i].p, parts[i].n) == 1);
	must(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
}

void order_leaf(const struct record *r, unsigned char out[LEDGER_DIGEST_BYTES])
{
	unsigned char b[80];

	memcpy(b, "HFleaf1", 8); /* with its NUL */
	put_u32(b + 8, r->ref.lane_id);
	put_u32(b + 12, r->ref.segment);
	put_u64(b + 16, r->ref.offset);
	put_u64(b + 24, r->seq);
	put_u32(b + 32, (uint32_t)r->type);
	put_u32(b + 36, r->length);
	put_u64(b + 40, r->received_us);
	memcpy(b + 48, r->digest, LEDGER_DIGEST_BYTES);
	merkle_leaf(span_of(b, sizeof b), out);
}
