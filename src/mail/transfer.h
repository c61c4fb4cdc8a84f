/*
 * Content-Transfer-Encodings undone (RFC 2045 s6), in pieces of any size. Pure, no allocation but the output's, linear.
 * Junk does no harm: bytes outside base64's alphabet are passed over, as is what follows its padding up to the next
 * group; a wrong =XX of quoted-printable stands as it is. The same bytes come out for any split, and from every protocol.
 */
#pragma once

#include "base/buf.h"
#include "mail/mime.h"

struct transfer {
	enum mime_encoding encoding;
	uint32_t bits;	 /* base64: gathered so far */
	unsigned bits_n; /* its characters */
	unsigned char
		held[1024]; /* quoted-printable: what may be a soft line end or blanks before one */
	size_t held_n;
	bool had_junk; /* something was passed over or left standing */
	bool is_bad;   /* MIME_UUENCODE and MIME_UNKNOWN: not undone, bytes as they are */
};

void transfer_init(struct transfer *t, enum mime_encoding encoding);
/* Appends to *out what is certain. False: out's limit was reached (nothing of this piece may have been lost before it). */
bool transfer_feed(struct transfer *t, struct span piece, struct buf *out);
bool transfer_end(struct transfer *t, struct buf *out);

/* "base64" -> MIME_BASE64, in any case; comments and blanks around it are passed over. */
enum mime_encoding transfer_named(struct span name);
