/* Between the dkim_*.c files: fields, canonical forms, tags, digests. */
#pragma once

#include <openssl/evp.h>

#include "base/arena.h"
#include "identity/dkim.h"

/* A field of the header section; spans point into it. */
struct dkim_field {
	struct span name, whole; /* whole: with its CRLF */
	bool is_used;
};

/* REFUSED: a limit of D4. */
enum rc dkim_fields(struct arena *a, struct span header, struct dkim_field **out, size_t *out_n,
		    struct fault *why) MUST_USE;
/* Appends the canonical form of a field (RFC 6376 s3.4.1, s3.4.2), with CRLF unless it is the signature's own. */
void dkim_canon_field(struct buf *out, struct span whole, enum dkim_canon canon, bool has_crlf);
/* The next field of this name from the bottom that was not used yet; NULL: none. */
struct dkim_field *dkim_take_field(struct dkim_field *fields, size_t n, struct span name);
void dkim_sha256(struct span data, unsigned char out[DKIM_HASH_BYTES]);

/* Tag lists (RFC 6376 s3.2). False: the list is malformed, or has the tag twice. *out.p NULL: it is not there. */
bool dkim_tag(struct span list, const char *name, struct span *out);
/* Base64 with blanks and folding in it. */
bool dkim_base64(struct span text, struct buf *out);
