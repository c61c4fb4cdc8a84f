/* Keys of DKIM: RSA (RFC 6376, RFC 8301) and Ed25519 (RFC 8463). */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/must.h"
#include "identity/dkim_internal.h"

enum { RSA_BITS = 2048, RSA_LEAST_BITS = 1024, PEM_LIMIT_BYTES = 64 << 10, ED25519_BYTES = 32 };

struct dkim_key {
	EVP_PKEY *key;
	enum dkim_algorithm algorithm;
};

static struct dkim_key *wrap(EVP_PKEY *key, enum dkim_algorithm algorithm)
{
	struct dkim_key *k = must_alloc(sizeof *k);

	k->key = key;
	k->algorithm = algorithm;
	return k;
}

enum rc dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **out, struct fault *why)
{
	EVP_PKEY *key = algorithm == DKIM_RSA_SHA256
				? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS)
				: EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	if (!key) {
		fault_set(why, "no key could be made");
		return BROKEN;
	}
	*out = wrap(key, algorithm);
	return OK;
}

static int no_password(char *out, int size, int is_write, void *arg)
{
	(void)out, (void)size, (void)is_write, (void)arg;
	return -1;
}

enum rc dkim_key_read(struct span pem, struct dkim_key **out, struct fault *why)
{
	BIO *in = pem.n && pem.n <= PEM_LIMIT_BYTES ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;

	(void)BIO_free(in);
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_get_bits(key) >= RSA_LEAST_BITS &&
	    EVP_PKEY_get_bits(key) <= DKIM_SIGNATURE_BYTES * 8) {
		*out = wrap(key, DKIM_RSA_SHA256);
		return OK;
	}
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		*out = wrap(key, DKIM_ED25519_SHA256);
		return OK;
	}
	EVP_PKEY_free(key);
	fault_set(why, "not a private key of RSA (1,024 bit or more) or Ed25519 in PEM form");
	return REFUSED;
}

enum rc dkim_key_write(const struct dkim_key *k, struct buf *out_pem, struct fault *why)
{
	BIO *mem = BIO_new(BIO_s_mem());
	char *text;
	long n;
	bool ok = mem && PEM_write_bio_PKCS8PrivateKey(mem, k->key, NULL, NULL, 0, NULL, NULL) == 1;

	if (ok) {
		n = BIO_get_mem_data(mem, &text);
		ok = n > 0 && buf_append(out_pem, span_of(text, (size_t)n));
		if (n > 0)
			OPENSSL_cleanse(text, (size_t)n);
	}
	(void)BIO_free(mem);
	if (!ok)
		fault_set(why, "the key cannot be written as PEM");
	return ok ? OK : BROKEN;
}

void dkim_key_free(struct dkim_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	free(k);
}

enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k)
{
	return k->algorithm;
}

static bool sign_rsa(EVP_PKEY *key, const unsigned char *hash, unsigned char *out, size_t *n)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool ok = c && EVP_PKEY_sign_init(c) == 1 &&
		  EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
		  EVP_PKEY_sign(c, out, n, hash, DKIM_HASH_BYTES) == 1;

	EVP_PKEY_CTX_free(c);
	return ok;
}

static bool sign_ed25519(EVP_PKEY *key, const unsigned char *hash, unsigned char *out, size_t *n)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 &&
		  EVP_DigestSign(c, out, n, hash, DKIM_HASH_BYTES) == 1;

	EVP_MD_CTX_free(c);
	return ok;
}

enum rc dkim_key_sign(const struct dkim_key *k, const unsigned char hash[DKIM_HASH_BYTES],
		      struct buf *out, struct fault *why)
{
	unsigned char signature[DKIM_SIGNATURE_BYTES];
	size_t n = sizeof signature;
	bool ok = k->algorithm == DKIM_RSA_SHA256 ? sign_rsa(k->key, hash, signature, &n)
						  : sign_ed25519(k->key, hash, signature, &n);

	if (!ok || !buf_append(out, span_of(signature, n))) {
		fault_set(why, "the key does not sign");
		return BROKEN;
	}
	return OK;
}

static bool public_bytes(const struct dkim_key *k, struct buf *out)
{
	unsigned char raw[ED25519_BYTES], *der = NULL;
	size_t n = sizeof raw;
	int der_n;
	bool ok;

	if (k->algorithm == DKIM_ED25519_SHA256)
		return EVP_PKEY_get_raw_public_key(k->key, raw, &n) == 1 &&
		       buf_append(out, span_of(raw, n));
	der_n = i2d_PUBKEY(k->key, &der);
	ok = der_n > 0 && buf_append(out, span_of(der, (size_t)der_n));
	OPENSSL_free(der);
	return ok;
}

enum rc dkim_key_record(const struct dkim_key *k, struct buf *out, struct fault *why)
{
	struct buf bytes = {0};

	if (!public_bytes(k, &bytes)) {
		buf_fini(&bytes);
		fault_set(why, "the key has no public part");
		return BROKEN;
	}
	(void)buf_printf(out,
			 "v=DKIM1; k=%s; p=", k->algorithm == DKIM_RSA_SHA256 ? "rsa" : "ed25519");
	base64_encode(out, buf_span(&bytes));
	buf_fini(&bytes);
	return OK;
}
