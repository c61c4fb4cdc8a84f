/* Inside src/mail: comments, quoted strings and blanks of structured fields (RFC 5322 s3.2). Linear, no recursion. */
#pragma once

#include "base/buf.h"

/* at: of the "(" or the quote. Returns the place behind the end (or the end of s). text (may be NULL) gets the content,
 * without quoting. */
size_t scan_comment(struct span s, size_t at, struct buf *text);
size_t scan_quoted(struct span s, size_t at, struct buf *text);
/* Behind blanks and comments. */
size_t scan_blanks(struct span s, size_t at);
bool scan_is_blank(unsigned char c);
