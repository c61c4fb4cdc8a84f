/* Reading what the digest says of a message (IMAP's ENVELOPE, RFC 9051 s7.5.2): what Emails are sorted by. */
#pragma once

#include "base/buf.h"

enum jmap_envelope_field { JMAP_ENVELOPE_FROM = 2, JMAP_ENVELOPE_TO = 5 };

/* The base subject (RFC 5256 s2.1), decoded. */
void jmap_envelope_subject(struct span envelope, struct buf *out);
/* The first address: its name, else the address; decoded. */
void jmap_envelope_first(struct span envelope, enum jmap_envelope_field field, struct buf *out);
/* RFC 5256 s2.1 of a decoded subject. */
struct span jmap_base_subject(struct span subject);
