/*
 * The certificate of an installation that has none: P-256, ten years, its own issuer. Senders of mail do not
 * verify it (opportunistic TLS); an operator replaces it when somebody should.
 *
 * The key is written and named before the certificate. A key without certificate is therefore what a crash in
 * between leaves, and gets its certificate on the next call; a certificate without key is an operator's error.
 */
#include "tls/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

#define DAY_S	   86400L
#define YEARS_10   (3650L * DAY_S)
#define LEFT_S	   (30L * DAY_S) /* made anew at a start or reload when no more is left */
#define CN_BYTES   64		 /* RFC 5280 ub-common-name */
#define HOST_BYTES 253

/* Letters, digits, dots and hyphens only: the name goes into a small language of OpenSSL's. */
static bool is_host(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= HOST_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
		       n;
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *certificate_new(EVP_PKEY *key, const char *host)
{
	X509 *x = X509_new();
	X509_NAME *name;
	unsigned char serial[16];
	BIGNUM *number;
	char alt[HOST_BYTES + 8];
	const char *cn = strlen(host) <= CN_BYTES ? host : "holdfast";

	must(x != NULL && RAND_bytes(serial, sizeof serial) == 1);
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 1);
	number = BN_bin2bn(serial, sizeof serial, NULL);
	must(number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL);
	BN_free(number);
	name = X509_get_subject_name(x);
	(void)snprintf(alt, sizeof alt, "%s:%s", tls_is_address(host) ? "IP" : "DNS", host);
	must(X509_set_version(x, X509_VERSION_3) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S) != NULL);
	must(X509_gmtime_adj(X509_getm_notAfter(x), YEARS_10) != NULL);
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
					0) == 1);
	must(X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1);
	add_extension(x, NID_subject_alt_name, alt);
	add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(x, NID_ext_key_usage, "serverAuth,clientAuth");
	must(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static bool sync_folder_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	(void)snprintf(copy, sizeof copy, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	rc = fsync(fd);
	(void)close(fd);
	return rc == 0;
}

static bool write_out(int fd, BIO *pem)
{
	char *p = NULL;
	long n = BIO_get_mem_data(pem, &p);

	while (n > 0) {
		ssize_t done = write(fd, p, (size_t)n);

		if (done < 0)
			return false;
		p += done;
		n -= done;
	}
	return fsync(fd) == 0;
}

/* Under a name of its own first, so that path is whole or not there. */
static enum rc put(const char *path, BIO *pem, mode_t mode, struct fault *why)
{
	char fresh[PATH_MAX];
	int n = snprintf(fresh, sizeof fresh, "%s.new", path);
	int fd;

	if (n < 0 || (size_t)n >= sizeof fresh) {
		fault_set(why, "%s: the name is too long", path);
		return REFUSED;
	}
	(void)unlink(fresh); /* of a call that was cut short */
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		fault_sys(why, "create %s", fresh);
		return errno_rc(errno);
	}
	if (fchmod(fd, mode) < 0 || !write_out(fd, pem) || rename(fresh, path) < 0) {
		fault_sys(why, "write %s", path);
		(void)close(fd);
		(void)unlink(fresh);
		return BROKEN;
	}
	(void)close(fd);
	if (!sync_folder_of(path)) {
		fault_sys(why, "sync the folder of %s", path);
		return BROKEN;
	}
	return OK;
}

static enum rc put_key(const char *path, EVP_PKEY *key, struct fault *why)
{
	BIO *pem = BIO_new(BIO_s_secmem());
	enum rc rc;

	must(pem != NULL &&
	     PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1);
	rc = put(path, pem, 0400, why);
	(void)BIO_free(pem);
	return rc;
}

static enum rc put_certificate(const char *path, EVP_PKEY *key, const char *host, struct fault *why)
{
	BIO *pem = BIO_new(BIO_s_mem());
	X509 *x = certificate_new(key, host);
	enum rc rc;

	must(pem != NULL && PEM_write_bio_X509(pem, x) == 1);
	X509_free(x);
	rc = put(path, pem, 0444, why);
	(void)BIO_free(pem);
	return rc;
}

/* False: a certificate that signed itself and is not valid now, or not for much longer. What cannot be read is left to
 * whoever loads it: it has the better words. */
static bool is_current(const char *path)
{
	BIO *in = BIO_new_file(path, "r");
	X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	time_t now = time(NULL), later = now + LEFT_S;
	bool is = true;

	if (x && X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0)
		is = X509_cmp_time(X509_get0_notBefore(x), &now) < 0 &&
		     X509_cmp_time(X509_get0_notAfter(x), &later) > 0;
	X509_free(x);
	(void)BIO_free(in);
	ERR_clear_error();
	return is;
}

enum rc tls_self_signed(const char *certificate_path, const char *key_path, const char *host_name,
			struct fault *why)
{
	bool has_certificate = access(certificate_path, F_OK) == 0;
	bool has_key = access(key_path, F_OK) == 0;
	EVP_PKEY *key;
	enum rc rc = OK;

	if (has_certificate && has_key && is_current(certificate_path))
		return OK;
	if (has_certificate && !has_key) {
		fault_set(why, "certificate %s is there, but its key %s is not", certificate_path,
			  key_path);
		return REFUSED;
	}
	if (!is_host(host_name) && !tls_is_address(host_name)) {
		fault_set(why, "no certificate can be made for the host name \"%s\"", host_name);
		return REFUSED;
	}
	key = has_key ? tls_key_read(key_path, why) : EVP_EC_gen("P-256");
	if (!key)
		return has_key ? REFUSED : BROKEN;
	if (!has_key)
		rc = put_key(key_path, key, why);
	if (rc == OK)
		rc = put_certificate(certificate_path, key, host_name, why);
	EVP_PKEY_free(key);
	return rc;
}
