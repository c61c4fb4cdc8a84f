/*
 * Contexts: certificate, key, trust anchors and the rules for every session made of them. Loaded before the
 * sandbox closes; nothing here is read lazily (trust anchors come as one file, not as a hashed folder).
 *
 * Tickets: each context has its own random keys, new ones every TICKET_KEYS_S, and the service's name as
 * session id context, so that a ticket of one service, process or day is nothing at another (T-07).
 */
#include "tls/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

#define CIPHERS_12     "HIGH:!aNULL:!eNULL:!PSK:!SRP:!kDHd:!kECDH:!3DES:!MD5:!DSS:!CAMELLIA:!ARIA"
#define SYSTEM_ANCHORS "/etc/ssl/certs/ca-certificates.crt"
#define TICKET_KEYS_S  (12 * 3600)
#define SESSION_S      7200

enum { PEM_LIMIT_BYTES = 4 << 20, NAMES_TOLD = 10 };

void tls_fault(struct fault *why, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	fault_set(why, "%s: %s", what, reason ? reason : "unknown reason");
	ERR_clear_error();
}

/* --- reading files */

static bool is_private(int fd, const char *path, struct fault *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		fault_sys(why, "key file %s", path);
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		fault_set(why, "key file %s is not a file", path);
		return false;
	}
	if (st.st_mode & 027) {
		fault_set(why,
			  "key file %s has mode %04o: others may read it, or its group may change "
			  "it; "
			  "chmod 0400 it",
			  path, (unsigned)st.st_mode & 07777);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		fault_set(why, "key file %s belongs to uid %u, neither root nor us", path,
			  st.st_uid);
		return false;
	}
	return true;
}

/* Never asks a terminal. */
static int no_password(char *out, int size, int is_write, void *arg)
{
	(void)out;
	(void)size;
	(void)is_write;
	(void)arg;
	return -1;
}

EVP_PKEY *tls_key_read(const char *path, struct fault *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	EVP_PKEY *key = NULL;
	BIO *in;

	if (fd < 0) {
		fault_sys(why, "key file %s", path);
		return NULL;
	}
	if (is_private(fd, path, why)) {
		in = BIO_new_fd(fd, BIO_NOCLOSE);
		must(in != NULL);
		key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
		if (!key) {
			tls_fault(why, "no usable private key in PEM form");
			fault_context(why, "key file %s", path);
		}
		(void)BIO_free(in);
	}
	(void)close(fd);
	return key;
}

static bool to_seconds(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm))
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

/* Its dates can be read, and each certificate of the chain has issued the one before it (O-08). */
static bool is_good_chain(struct tls_context *c, const char *path, struct fault *why)
{
	X509 *at = SSL_CTX_get0_certificate(c->ctx);
	STACK_OF(X509) *chain = NULL;

	if (!to_seconds(X509_get0_notBefore(at), &c->not_before) ||
	    !to_seconds(X509_get0_notAfter(at), &c->not_after)) {
		fault_set(why, "certificate %s: its dates cannot be read", path);
		return false;
	}
	(void)SSL_CTX_get0_chain_certs(c->ctx, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *issuer = sk_X509_value(chain, i);

		if (X509_check_issued(issuer, at) != X509_V_OK) {
			fault_set(why,
				  "certificate %s: number %d of the file has not issued number %d",
				  path, i + 2, i + 1);
			return false;
		}
		at = issuer;
	}
	return true;
}

/* --- making contexts */

static struct tls_context *context_new(bool is_server)
{
	struct tls_context *c = must_alloc(sizeof *c);

	c->refs = 1;
	c->is_server = is_server;
	c->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	must(c->ctx != NULL);
	must(SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) == 1);
	must(SSL_CTX_set_cipher_list(c->ctx, CIPHERS_12) == 1);
	(void)SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_clear_options(c->ctx,
				    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT);
	(void)SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_max_early_data(c->ctx, 0);
	(void)SSL_CTX_set_recv_max_early_data(c->ctx, 0);
	SSL_CTX_set_msg_callback(c->ctx, tls_on_message);
	return c;
}

static bool load_pair(struct tls_context *c, const char *certificate_path, const char *key_path,
		      struct fault *why)
{
	EVP_PKEY *key;
	bool is_pair;

	if (SSL_CTX_use_certificate_chain_file(c->ctx, certificate_path) != 1) {
		tls_fault(why, "no usable certificate in PEM form");
		fault_context(why, "certificate %s", certificate_path);
		return false;
	}
	key = tls_key_read(key_path, why);
	if (!key)
		return false;
	is_pair =
		SSL_CTX_use_PrivateKey(c->ctx, key) == 1 && SSL_CTX_check_private_key(c->ctx) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	if (!is_pair)
		fault_set(why, "key %s does not belong to certificate %s", key_path,
			  certificate_path);
	return is_pair && is_good_chain(c, certificate_path, why);
}

static int64_t mono_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec;
}

void tls_context_tickets(struct tls_context *c)
{
	unsigned char keys[80];
	int64_t now = mono_s();

	if (c->tickets_since && now - c->tickets_since < TICKET_KEYS_S)
		return;
	must(RAND_bytes(keys, sizeof keys) == 1);
	must(SSL_CTX_set_tlsext_ticket_keys(c->ctx, keys, sizeof keys) == 1);
	OPENSSL_cleanse(keys, sizeof keys);
	c->tickets_since = now ? now : 1;
}

/* Protocols a client may name in ALPN (RFC 7301), as they stand on the wire. */
static const unsigned char http_11[] = "\x08http/1.1";

static bool names(const unsigned char *offered, unsigned n, const char *protocol)
{
	size_t own = strlen(protocol);

	for (unsigned at = 0; at < n; at += 1u + offered[at]) {
		if (offered[at] == own && at + 1 + own <= n &&
		    memcmp(offered + at + 1, protocol, own) == 0)
			return true;
	}
	return false;
}

/*
 * What a browser is led to a mail server's port with ends in the handshake, and a mail program at a browser's port, too: one
 * certificate for all is no way from one protocol into another (ALPACA). Who names no protocol is served.
 */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		   const unsigned char *offered, unsigned n, void *arg)
{
	const struct tls_context *c = arg;

	(void)ssl;
	if (c->is_http && names(offered, n, "http/1.1")) {
		*out = http_11 + 1;
		*out_n = http_11[0];
		return SSL_TLSEXT_ERR_OK;
	}
	if (c->is_http || names(offered, n, "http/1.1") || names(offered, n, "h2"))
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_NOACK;
}

enum rc tls_server_new(const char *certificate_path, const char *key_path, const char *key_id,
		       struct tls_context **out, struct fault *why)
{
	struct tls_context *c = context_new(true);
	size_t id_n = strlen(key_id);

	if (!load_pair(c, certificate_path, key_path, why)) {
		tls_context_unref(c);
		return REFUSED;
	}
	if (id_n > SSL_MAX_SID_CTX_LENGTH)
		id_n = SSL_MAX_SID_CTX_LENGTH;
	must(SSL_CTX_set_session_id_context(c->ctx, (const unsigned char *)key_id,
					    (unsigned)id_n) == 1);
	(void)SSL_CTX_set_options(c->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	c->is_http = id_n > 5 && strcmp(key_id + id_n - 5, "https") == 0;
	SSL_CTX_set_alpn_select_cb(c->ctx, on_alpn, c);
	must(SSL_CTX_set_dh_auto(c->ctx, 1) == 1);
	must(SSL_CTX_set_num_tickets(c->ctx, 1) == 1);
	(void)SSL_CTX_set_timeout(c->ctx, SESSION_S);
	tls_context_tickets(c);
	*out = c;
	return OK;
}

static bool load_anchors(struct tls_context *c, const char *ca_path, struct fault *why)
{
	const char *path = ca_path ? ca_path : SYSTEM_ANCHORS;

	if (SSL_CTX_load_verify_file(c->ctx, path) == 1)
		return true;
	tls_fault(why, "no trust anchors in PEM form");
	fault_context(why, "%s", path);
	return false;
}

enum rc tls_client_new(bool verify, const char *ca_path, struct tls_context **out,
		       struct fault *why)
{
	struct tls_context *c = context_new(false);

	c->must_verify = verify;
	if ((verify || ca_path) && !load_anchors(c, ca_path, why)) {
		tls_context_unref(c);
		return REFUSED;
	}
	SSL_CTX_set_verify(c->ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	/* Any enciphering is better than none: old primaries with short keys are let in when not verifying. */
	if (!verify)
		SSL_CTX_set_security_level(c->ctx, 1);
	*out = c;
	return OK;
}

/* How many certificates of the text are trusted now; one that is broken ends it with -1. */
static int add_anchors(struct tls_context *c, struct span pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	unsigned long code;
	X509 *one;
	int n = 0;

	must(in != NULL);
	while ((one = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL))) {
		must(X509_STORE_add_cert(store, one) == 1);
		X509_free(one);
		n++;
	}
	(void)BIO_free(in);
	code = ERR_peek_last_error();
	if (code && ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return n;
}

enum rc tls_client_trusting(struct span pem, struct tls_context **out, struct fault *why)
{
	struct tls_context *c = context_new(false);
	int n = 0;

	c->must_verify = true;
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	must(X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c->ctx), X509_V_FLAG_PARTIAL_CHAIN) ==
	     1);
	if (pem.n)
		n = pem.n <= PEM_LIMIT_BYTES ? add_anchors(c, pem) : -1;
	if (n < 0 || (n == 0 && pem.n)) {
		tls_fault(why, "trust anchors in PEM form");
		if (n == 0)
			fault_set(why, "trust anchors in PEM form: there is no certificate");
		tls_context_unref(c);
		return REFUSED;
	}
	*out = c;
	return OK;
}

static void keep_record(struct tls_context *c, const struct tls_dane *from)
{
	struct tls_dane *to = &c->dane[c->dane_n++];
	unsigned char *copy = must_alloc(from->data.n + 1);

	memcpy(copy, from->data.p, from->data.n);
	*to = *from;
	to->data = span_of(copy, from->data.n);
}

enum rc tls_client_dane(const struct tls_dane *records, size_t n, struct tls_context **out,
			struct fault *why)
{
	struct tls_context *c = context_new(false);

	must(SSL_CTX_dane_enable(c->ctx) == 1);
	c->must_verify = true;
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	c->dane = must_alloc((n + 1) * sizeof *c->dane);
	for (size_t i = 0; i < n; i++) {
		/* RFC 7672 s3.1.3: the public authorities' usages are not for mail. */
		if ((records[i].usage == 2 || records[i].usage == 3) && records[i].selector <= 1 &&
		    records[i].matching <= 2 && records[i].data.n)
			keep_record(c, &records[i]);
	}
	if (c->dane_n == 0) {
		fault_set(why, "no TLSA record of a usable kind");
		tls_context_unref(c);
		return REFUSED;
	}
	*out = c;
	return OK;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	context->refs++;
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (!context || --context->refs)
		return;
	for (size_t i = 0; i < context->dane_n; i++)
		free((void *)(uintptr_t)context->dane[i].data.p);
	free(context->dane);
	SSL_CTX_free(context->ctx);
	free(context);
}

enum rc tls_context_is_current(const struct tls_context *context, struct fault *why)
{
	int64_t now = (int64_t)time(NULL);

	if (now <= context->not_after && now >= context->not_before)
		return OK;
	fault_set(why, "the certificate %s",
		  now < context->not_before ? "is not valid yet" : "has expired");
	return REFUSED;
}

int64_t tls_context_not_after(const struct tls_context *context)
{
	return context->not_after;
}

bool tls_context_is_for(const struct tls_context *context, const char *name)
{
	X509 *x = SSL_CTX_get0_certificate(context->ctx);

	if (!x)
		return false;
	return tls_is_address(name) ? X509_check_ip_asc(x, name, 0) == 1
				    : X509_check_host(x, name, 0, 0, NULL) == 1;
}

void tls_context_names(const struct tls_context *context, struct buf *out)
{
	X509 *x = SSL_CTX_get0_certificate(context->ctx);
	GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
	const char *between = "";

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < NAMES_TOLD; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *text = name->type == GEN_DNS ? name->d.dNSName : NULL;

		if (!text)
			continue;
		buf_printf(out, "%s%.*s", between, ASN1_STRING_length(text),
			   (const char *)ASN1_STRING_get0_data(text));
		between = ", ";
	}
	GENERAL_NAMES_free(names);
}

bool tls_context_is_self_signed(const struct tls_context *context)
{
	X509 *x = SSL_CTX_get0_certificate(context->ctx);

	return x && (X509_get_extension_flags(x) & EXFLAG_SI) != 0;
}
