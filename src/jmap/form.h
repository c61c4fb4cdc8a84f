/* A header field's value in the forms of RFC 8621 s4.1.2. */
#pragma once

#include "jmap/want.h"

enum {
	JMAP_FIELDS_LIMIT = 2000,    /* of a header section: what is behind them is not shown */
	JMAP_ADDRESSES_LIMIT = 1000, /* of a field */
};

struct jmap_field {
	struct span name,
		value; /* value: what stands behind the colon, folded, without the last line end */
};

json_t *jmap_form(struct span raw, enum jmap_form form);
/* The property: of the last field of the name, or of all of them. */
json_t *jmap_form_of(const struct jmap_field *fields, size_t n,
		     const struct jmap_header_want *want);
/* `headers`: all, raw. */
json_t *jmap_form_all(const struct jmap_field *fields, size_t n);
/* UTF-8 without NUL; other bytes become U+FFFD. */
void jmap_utf8(struct span bytes, struct buf *out);
/* White space and comments at the front (RFC 5322 CFWS). False: a comment does not end. */
bool jmap_skip_blanks(struct span *rest);
