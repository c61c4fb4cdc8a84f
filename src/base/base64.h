/* Base64 of RFC 4648 s4, without line breaks: SASL, IMAP, POP3. Decoding is strict: padding there and right, no bits left over. */
#pragma once

#include "base/buf.h"

void base64_encode(struct buf *out, struct span bytes);
/* False: not base64, or beyond the limit of *out; then *out is as before. */
bool base64_decode(struct buf *out, struct span text) MUST_USE;
