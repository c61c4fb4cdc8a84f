/*
 * What IMAP says of a message, as text ready to send (RFC 9051 s7.5.2, RFC 3501): ENVELOPE, BODY, BODYSTRUCTURE; and what
 * full-text search looks at; the first words of it for lists. Made from the message's bytes once, in pieces of any size; kept by indexer, made on the spot
 * by desk where the index lags. Pure, no recursion.
 *
 * Strings are quoted where they may be, else literals "{n}CRLF..." (bytes above 127, quotes beyond 1,000 bytes); NUL, CR
 * and LF never stand in them. A message with neither Sender nor Reply-To has From's addresses there.
 *
 *   D4  The result is a function of the message alone.
 *   D5  At most DIGEST_LIMIT_BYTES for each of the three; beyond it the part in question is a leaf without its details.
 */
#pragma once

#include "base/buf.h"
#include "mail/mime.h"
#include "mail/store.h"

enum {
	DIGEST_LIMIT_BYTES = 4 << 20,
	DIGEST_TEXT_BYTES = 256 << 10,	/* of decoded body text looked at by search */
	DIGEST_LOOKED_BYTES = 16 << 20, /* of text parts, encoded: what they give may be nothing */
	DIGEST_HEADER_BYTES = 64 << 10, /* of decoded header text */
};

struct digest_maker; /* fed once */

/* wants_text: digest_maker_text will be asked. NULL: no memory. */
struct digest_maker *digest_maker_new(bool wants_text);
void digest_maker_feed(struct digest_maker *d, struct span piece);
void digest_maker_end(struct digest_maker *d);
void digest_maker_free(struct digest_maker *d); /* accepts NULL */

/* After the end. Spans live as long as *d. False: no memory. */
bool digest_maker_digest(struct digest_maker *d, struct mail_digest *out);
/* The table, for sections. */
const struct mime *digest_maker_mime(const struct digest_maker *d);

/*
 * What search looks at, folded by text_fold: compare with folded text. ALL is header and body together and not kept: look
 * in both. MAIL_TEXT_ALL here gives the header (all fields: "name: value", one a line).
 */
struct span digest_maker_text(const struct digest_maker *d, enum mail_text where);

/* Does the message hold this text (already folded; "" is in every message)? */
bool digest_maker_holds(const struct digest_maker *d, enum mail_text where, struct span folded);

/* The IMAP text of a table's parts alone, for whoever has one. Appends; false: limit of *out or no memory. */
bool digest_envelope(const struct mime *m, int message, struct buf *out);
bool digest_structure(const struct mime *m, bool is_extended, struct buf *out);
/* RFC 8621 s4.1.4, hasAttachment. */
bool digest_has_attachment(const struct mime *m);
