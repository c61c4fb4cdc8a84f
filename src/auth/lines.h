/* Texts in files of lines "key value value LF": blanks, '%' and control bytes are %XX, so that a value is one word. */
#pragma once

#include "base/buf.h"

void lines_put_text(struct buf *out, const char *text);
void lines_put_hex(struct buf *out, const void *p, size_t n);
/* False: not as lines_put_text writes it, a NUL, or no room with the one behind it. */
bool lines_get_text(struct span s, char *out, size_t limit);
