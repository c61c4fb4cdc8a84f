/* Keys and certificates for tests, made on the spot in a folder of their own. */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"

static inline EVP_PKEY *pem_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	must(key != NULL);
	return key;
}

/* issuer NULL: signs itself. from and to: seconds from now. */
static inline X509 *pem_certificate(EVP_PKEY *key, const char *cn, const char *alt, long from,
				    long to, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_EXTENSION *e;
	X509_NAME *name;

	must(x != NULL);
	name = X509_get_subject_name(x);
	must(X509_set_version(x, X509_VERSION_3) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(x), random() + 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(x), from) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(x), to) != NULL);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
					0) == 1);
	must(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name) == 1);
	must(X509_set_pubkey(x, key) == 1);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
				alt ? "CA:FALSE" : "critical,CA:TRUE");
	must(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	if (alt) {
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
		must(e != NULL && X509_add_ext(x, e, -1) == 1);
		X509_EXTENSION_free(e);
	}
	must(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
	return x;
}

static inline void pem_write_key(const char *path, EVP_PKEY *key, mode_t mode)
{
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	must(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	must(fclose(f) == 0 && chmod(path, mode) == 0);
}

static inline void pem_write_chain(const char *path, X509 *first, X509 *second)
{
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	must(f != NULL && PEM_write_X509(f, first) == 1);
	must(!second || PEM_write_X509(f, second) == 1);
	must(fclose(f) == 0);
}
