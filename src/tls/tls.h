/*
 * TLS as a pure filter over memory: ciphertext in, plaintext out. The only code that knows OpenSSL's SSL
 * (design: EVP only, no ENGINE). TLS 1.2 and 1.3; no renegotiation, no compression, no 0-RTT, KeyUpdates
 * bounded; SSL_OP_IGNORE_UNEXPECTED_EOF is off, so a truncation is seen.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

struct tls_context;
struct tls;

/*
 * Server: certificate chain and key in PEM. The key file must not be readable by others (REFUSED with a
 * sentence). A pair that does not match or has expired: REFUSED; the caller keeps the old context. Refcounted,
 * so that running sessions keep theirs through a reload. key_id names the service for session tickets, so that
 * a ticket of one service is no identity at another; one that ends in "https" speaks http/1.1 to clients that name their
 * protocols (ALPN), others refuse those that name HTTP.
 */
enum rc tls_server_new(const char *certificate_path, const char *key_path, const char *key_id,
		       struct tls_context **out, struct fault *why) MUST_USE;
/* Client: verify false is opportunistic (any certificate), true checks name and chain (ca_path NULL: system). */
enum rc tls_client_new(bool verify, const char *ca_path, struct tls_context **out,
		       struct fault *why) MUST_USE;
/* Client that checks name and chain against the certificates in this PEM text alone; one of them may be the server's
 * own, or of an authority in between. Empty: nobody is trusted. REFUSED: there is none in it. */
enum rc tls_client_trusting(struct span pem, struct tls_context **out, struct fault *why) MUST_USE;
/* Client that takes the keys of these TLSA records and no others (RFC 7672; usages 2 and 3), with the name given to tls_new
 * as reference for usage 2. REFUSED: none of them can be used. */
struct tls_dane {
	uint8_t usage, selector, matching;
	struct span data;
};
enum rc tls_client_dane(const struct tls_dane *records, size_t n, struct tls_context **out,
			struct fault *why) MUST_USE;
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* accepts NULL */
/*
 * OK, or REFUSED with a sentence: the certificate has expired or is not valid yet. tls_server_new takes such a pair, because
 * mail matters more: a server that starts with no better one serves it (senders that do not verify still get TLS), while
 * one that has a good one keeps that (O-08, T-10).
 */
enum rc tls_context_is_current(const struct tls_context *context, struct fault *why) MUST_USE;
/* Seconds since 1970 at which the certificate ends. */
int64_t tls_context_not_after(const struct tls_context *context);
/* Of the server's own certificate, as a browser looks at it: is it good for this name (or address); which names are in it
 * (appended, with commas; the first ten host names); is it its own issuer? */
bool tls_context_is_for(const struct tls_context *context, const char *name);
void tls_context_names(const struct tls_context *context, struct buf *out);
bool tls_context_is_self_signed(const struct tls_context *context);

/* Writes a self-signed certificate (P-256, 10 years, the name as SAN) and key (0400) unless both are there. A self-signed one
 * that is not valid now, or for less than 30 days more, is made anew with the same key. */
enum rc tls_self_signed(const char *certificate_path, const char *key_path, const char *host_name,
			struct fault *why) MUST_USE;

struct tls *tls_new(struct tls_context *context, bool is_server, const char *name);
void tls_free(struct tls *t);
/*
 * Takes bytes from the peer and appends what can be read to *plain and what must be sent to *wire.
 * OK: go on. MORE: handshake not finished yet. REFUSED: handshake or protocol error (why). BROKEN: never.
 */
enum rc tls_input(struct tls *t, struct span from_peer, struct buf *plain, struct buf *wire,
		  struct fault *why) MUST_USE;
/* Starts the handshake of a client; nothing for a server. */
enum rc tls_start(struct tls *t, struct buf *wire, struct fault *why) MUST_USE;
enum rc tls_output(struct tls *t, struct span plain, struct buf *wire, struct fault *why) MUST_USE;
void tls_end(struct tls *t, struct buf *wire); /* close_notify */
bool tls_is_ready(const struct tls *t);	       /* handshake done */
bool tls_peer_ended(const struct tls *t);      /* close_notify was received */
bool tls_is_verified(const struct tls *t);
const char *tls_text(const struct tls *t);
