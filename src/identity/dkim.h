/*
 * DKIM (RFC 6376, RFC 8301, RFC 8463): signs outgoing mail, and verifies mail against keys that the host fetches. Pure:
 * no loop, socket, clock or file. Signing needs no key here: the hash of the header goes to whoever holds it (auth) and
 * its signature comes back. Used by courier (sign), auth (keys), the command line (records), and tests (verify).
 *
 *   D1  Any split of the body gives the same hash.
 *   D2  What is hashed is the message as it goes out on the wire: CRLF line ends, no dot-stuffing.
 *   D3  A signature covers From, Subject, Date, To and their like once more than they stand there, so that none can be
 *       added later (RFC 6376 s8.15). Never an l= tag.
 *   D4  Verifying looks at DKIM_SIGNATURES_LIMIT signatures, fields of DKIM_FIELD_BYTES and DKIM_FIELDS_LIMIT fields at
 *       most, and takes rsa-sha1 and RSA keys under 1,024 bit for no signature at all (RFC 8301).
 *
 * Signing:   dkim_body_init; dkim_body_feed ...; dkim_body_end(bh); for each key: dkim_sign_begin(&input, out, hash);
 *            signature = dkim_key_sign(key, hash); dkim_sign_end(out, signature): out is a field with CRLF, to stand
 *            before the message.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/span.h"

enum {
	DKIM_HASH_BYTES = 32,	     /* SHA-256, of both algorithms */
	DKIM_SIGNATURE_BYTES = 1024, /* RSA of 8,192 bit */
	DKIM_SELECTOR_BYTES = 63,
	DKIM_SIGNATURES_LIMIT = 8,
	DKIM_FIELD_BYTES = 64 << 10,
	DKIM_FIELDS_LIMIT = 2000,
	DKIM_RECORD_BYTES = 4096,
};

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
enum dkim_canon { DKIM_RELAXED, DKIM_SIMPLE };

const char *dkim_algorithm_name(enum dkim_algorithm a); /* "rsa-sha256" */
bool dkim_algorithm_of(struct span name, enum dkim_algorithm *out);
/* One label or several, of letters, digits and hyphens; at most DKIM_SELECTOR_BYTES. */
bool dkim_selector_is_good(struct span selector);

/* ---- the body's hash ---- */

struct dkim_body {
	/* private */
	void *sha; /* EVP_MD_CTX */
	enum dkim_canon canon;
	uint64_t empty_lines;	/* held back: they count only when something follows */
	uint64_t hashed, limit; /* limit: of l=; UINT64_MAX without */
	bool has_cr, has_blank, is_inside;
	size_t out_n;
	unsigned char out[1024];
};

void dkim_body_init(struct dkim_body *b, enum dkim_canon canon);
void dkim_body_feed(struct dkim_body *b, struct span piece);
/* Ends it; also what was not fed to its end may be given up with it. */
void dkim_body_end(struct dkim_body *b, unsigned char out[DKIM_HASH_BYTES]);

/* ---- signing ---- */

struct dkim_sign {
	struct span domain, selector; /* d=, s= */
	enum dkim_algorithm algorithm;
	uint64_t at_s; /* t= */
	struct span
		header; /* the header section as it goes out; a final empty line or body after it is not looked at */
	const unsigned char *body_hash; /* relaxed */
};

/* Appends the field without its signature ("DKIM-Signature: ... b=") and gives the hash that is to be signed. REFUSED:
 * the header has no From or is past a limit. */
enum rc dkim_sign_begin(const struct dkim_sign *in, struct buf *out,
			unsigned char out_hash[DKIM_HASH_BYTES], struct fault *why) MUST_USE;
/* Appends the signature, folded, and CRLF. */
void dkim_sign_end(struct buf *out, struct span signature);

/* ---- keys: held by auth alone ---- */

struct dkim_key;

enum rc dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **out,
		      struct fault *why) MUST_USE; /* RSA: 2,048 */
/* PKCS#8 PEM, without a password. */
enum rc dkim_key_read(struct span pem, struct dkim_key **out, struct fault *why) MUST_USE;
enum rc dkim_key_write(const struct dkim_key *k, struct buf *out_pem, struct fault *why) MUST_USE;
void dkim_key_free(struct dkim_key *k); /* accepts NULL */
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k);
/* Appends the signature over the hash (RSA: PKCS#1 v1.5; Ed25519: RFC 8463 s3). */
enum rc dkim_key_sign(const struct dkim_key *k, const unsigned char hash[DKIM_HASH_BYTES],
		      struct buf *out, struct fault *why) MUST_USE;
/* Appends the TXT record's text to publish at <selector>._domainkey.<domain>: "v=DKIM1; k=rsa; p=..." */
enum rc dkim_key_record(const struct dkim_key *k, struct buf *out, struct fault *why) MUST_USE;

/* ---- verifying ---- */

enum dkim_result { DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR };
const char *dkim_result_name(enum dkim_result r); /* RFC 8601 s2.7.1 */

struct dkim_verify;

/* Reads the header section (copied; up to its empty line) and finds the signatures. */
struct dkim_verify *dkim_verify_new(struct span header, uint64_t now_s);
void dkim_verify_free(struct dkim_verify *v); /* accepts NULL */
size_t dkim_verify_count(const struct dkim_verify *v);
/* The name whose TXT record holds the key of signature i; "" when it need not be asked (its result stands). */
const char *dkim_verify_question(const struct dkim_verify *v, size_t i);
/* OK with a record's text (strings joined); REFUSED: no such name or record; LATER: the DNS failed. */
void dkim_verify_key(struct dkim_verify *v, size_t i, enum rc rc, struct span record);
void dkim_verify_body(struct dkim_verify *v, struct span piece);
void dkim_verify_end(struct dkim_verify *v);
/* After the end: */
enum dkim_result dkim_verify_result(const struct dkim_verify *v, size_t i);
struct span dkim_verify_domain(const struct dkim_verify *v, size_t i);	 /* d= */
const char *dkim_verify_why(const struct dkim_verify *v, size_t i);
