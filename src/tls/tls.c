/*
 * One session as a filter over memory. The SSL object reads from the span that tls_input was given and
 * appends to the caller's wire buffer, through a BIO of our own: no memory BIO that keeps its largest size,
 * no copy. After tls_input the whole span has been taken: a record that is not complete lies in the SSL.
 *
 *   T1  Before the handshake is done the peer may send HANDSHAKE_LIMIT bytes at most (T-13).
 *   T2  After it at most POST_LIMIT handshake messages from the peer (KeyUpdate, tickets) and alerts of ours
 *       (each attempt to renegotiate costs one): T-06.
 *   T3  After an error nothing more is read, and nothing but the alert is written.
 */
#include "tls/internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

#define HANDSHAKE_LIMIT_SERVER (32u << 10)  /* a ClientHello and a Finished */
#define HANDSHAKE_LIMIT_CLIENT (256u << 10) /* certificate chains */
#define POST_LIMIT	       64u
#define READ_BYTES	       16384u

struct tls {
	struct tls_context *context;
	SSL *ssl;
	struct span in;	  /* during a call: not yet taken */
	struct buf *wire; /* during a call */
	size_t handshake_bytes;
	unsigned post_messages;
	bool is_ready;
	bool has_failed;
	bool has_peer_ended;
	bool has_name; /* to check the certificate against */
	char text[80];
};

/* --- our BIO */

static int bio_read(BIO *b, char *out, size_t n, size_t *out_n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (!t->in.n) {
		BIO_set_retry_read(b);
		return 0;
	}
	if (n > t->in.n)
		n = t->in.n;
	memcpy(out, t->in.p, n);
	t->in = span_from(t->in, n);
	*out_n = n;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *out_n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	must(t->wire != NULL && t->wire->limit == 0);
	(void)buf_append(t->wire, span_of(p, n));
	*out_n = n;
	return 1;
}

static long bio_control(BIO *b, int what, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;

	if (method)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast");
	must(method != NULL);
	must(BIO_meth_set_read_ex(method, bio_read) == 1);
	must(BIO_meth_set_write_ex(method, bio_write) == 1);
	must(BIO_meth_set_ctrl(method, bio_control) == 1);
	return method;
}

/* --- making */

bool tls_is_address(const char *name)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* RFC 6066 s3: no address in SNI. A trailing dot is not part of the name. */
static void set_name(struct tls *t, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	char host[256];
	int n = snprintf(host, sizeof host, "%s", name);

	if (n <= 0 || (size_t)n >= sizeof host)
		return;
	if (host[0] == '[' && host[n - 1] == ']') { /* an IPv6 address as it stands before a port */
		n -= 2;
		memmove(host, host + 1, (size_t)n);
		host[n] = '\0';
	}
	if (tls_is_address(host)) {
		t->has_name = X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
		return;
	}
	if (host[n - 1] == '.')
		host[n - 1] = '\0';
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	t->has_name = X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
	(void)SSL_set_tlsext_host_name(t->ssl, host);
}

/* RFC 7672 s3.1.1: a key named by DANE-EE is good whatever name stands in its certificate. */
static void set_dane(struct tls *t, const char *name)
{
	const struct tls_context *c = t->context;

	if (SSL_dane_enable(t->ssl, name) <= 0)
		return;
	(void)SSL_dane_set_flags(t->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < c->dane_n; i++)
		(void)SSL_dane_tlsa_add(t->ssl, c->dane[i].usage, c->dane[i].selector,
					c->dane[i].matching, c->dane[i].data.p, c->dane[i].data.n);
	ERR_clear_error(); /* a record that is not well formed is as good as none */
}

struct tls *tls_new(struct tls_context *context, bool is_server, const char *name)
{
	struct tls *t = must_alloc(sizeof *t);
	BIO *bio = BIO_new(bio_method());

	must(context->is_server == is_server);
	if (is_server)
		tls_context_tickets(context);
	t->context = tls_context_ref(context);
	t->ssl = SSL_new(context->ctx);
	must(t->ssl != NULL && bio != NULL);
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_msg_callback_arg(t->ssl, t);
	if (is_server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	if (name && !is_server)
		set_name(t, name);
	if (name && context->dane_n)
		set_dane(t, name);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_context_unref(t->context);
	free(t);
}

/* --- running */

void tls_on_message(int is_write, int version, int type, const void *p, size_t n, SSL *ssl,
		    void *arg)
{
	struct tls *t = arg;

	(void)version;
	(void)p;
	(void)n;
	(void)ssl;
	if (t && t->is_ready && type == (is_write ? SSL3_RT_ALERT : SSL3_RT_HANDSHAKE))
		t->post_messages++;
}

static void begin(struct tls *t, struct span in, struct buf *wire)
{
	t->in = in;
	t->wire = wire;
	ERR_clear_error();
}

static enum rc finish(struct tls *t, enum rc rc)
{
	t->in = SPAN_NONE;
	t->wire = NULL;
	if (rc != OK && rc != MORE)
		t->has_failed = true;
	return rc;
}

static enum rc fail(struct tls *t, const char *what, struct fault *why)
{
	long verified = SSL_get_verify_result(t->ssl);

	tls_fault(why, what);
	if (t->context->must_verify && verified != X509_V_OK)
		fault_set(why, "%s: the certificate does not verify: %s", what,
			  X509_verify_cert_error_string(verified));
	return REFUSED;
}

static enum rc handshake(struct tls *t, struct fault *why)
{
	size_t limit = t->context->is_server ? HANDSHAKE_LIMIT_SERVER : HANDSHAKE_LIMIT_CLIENT;
	int n;

	if (t->context->must_verify && !t->has_name) {
		fault_set(why, "TLS handshake: no name to verify the certificate against");
		return REFUSED;
	}
	/* What the client sends behind its last flight does not count: it is data already. */
	t->handshake_bytes += t->in.n;
	n = SSL_do_handshake(t->ssl);
	t->handshake_bytes -= t->in.n;
	if (n != 1 && SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ) {
		if (t->handshake_bytes <= limit)
			return MORE;
		fault_set(why, "TLS handshake: more than %zu bytes", limit);
		return REFUSED;
	}
	if (n != 1)
		return fail(t, "TLS handshake", why);
	t->is_ready = true;
	(void)snprintf(t->text, sizeof t->text, "%s %s", SSL_get_version(t->ssl),
		       SSL_get_cipher_name(t->ssl));
	return OK;
}

/* Everything that can be read now. */
static enum rc read_all(struct tls *t, struct buf *plain, struct fault *why)
{
	for (;;) {
		size_t n = 0;
		int rc, error;

		must(buf_reserve(plain, READ_BYTES));
		rc = SSL_read_ex(t->ssl, plain->p + plain->n, READ_BYTES, &n);
		if (t->post_messages > POST_LIMIT) {
			fault_set(why, "TLS: more than %u messages after the handshake",
				  POST_LIMIT);
			return REFUSED;
		}
		plain->n += n;
		if (rc == 1)
			continue;
		error = SSL_get_error(t->ssl, rc);
		if (error == SSL_ERROR_WANT_READ)
			return OK;
		if (error == SSL_ERROR_ZERO_RETURN) {
			t->has_peer_ended = true;
			return OK;
		}
		return fail(t, "TLS", why);
	}
}

enum rc tls_start(struct tls *t, struct buf *wire, struct fault *why)
{
	enum rc rc;

	if (t->context->is_server)
		return OK;
	begin(t, SPAN_NONE, wire);
	rc = handshake(t, why);
	return finish(t, rc == MORE ? OK : rc);
}

enum rc tls_input(struct tls *t, struct span from_peer, struct buf *plain, struct buf *wire,
		  struct fault *why)
{
	enum rc rc = OK;

	if (t->has_failed) {
		fault_set(why, "TLS has failed already");
		return REFUSED;
	}
	if (t->has_peer_ended)
		return OK;
	begin(t, from_peer, wire);
	if (!t->is_ready)
		rc = handshake(t, why);
	if (rc == OK)
		rc = read_all(t, plain, why);
	return finish(t, rc);
}

enum rc tls_output(struct tls *t, struct span plain, struct buf *wire, struct fault *why)
{
	enum rc rc = OK;
	size_t n;

	if (t->has_failed || !t->is_ready) {
		fault_set(why, "TLS cannot send %s", t->has_failed ? "after it has failed" : "yet");
		return REFUSED;
	}
	if (span_is_empty(plain))
		return OK;
	begin(t, SPAN_NONE, wire);
	if (SSL_write_ex(t->ssl, plain.p, plain.n, &n) != 1)
		rc = fail(t, "TLS", why);
	return finish(t, rc);
}

void tls_end(struct tls *t, struct buf *wire)
{
	if (!t->is_ready || t->has_failed)
		return;
	begin(t, SPAN_NONE, wire);
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	(void)finish(t, OK);
}

bool tls_is_ready(const struct tls *t)
{
	return t->is_ready;
}

bool tls_peer_ended(const struct tls *t)
{
	return t->has_peer_ended;
}

bool tls_is_verified(const struct tls *t)
{
	return t->is_ready && t->has_name && SSL_get0_peer_certificate(t->ssl) &&
	       SSL_get_verify_result(t->ssl) == X509_V_OK;
}

const char *tls_text(const struct tls *t)
{
	return t->text;
}
