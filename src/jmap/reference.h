/* References to results of earlier calls (RFC 8620 s3.7). */
#pragma once

#include <jansson.h>

#include "base/span.h"

enum { JMAP_POINTER_TOKENS = 32 };

/*
 * The value a JSON Pointer (RFC 6901) with "*" names in root; a new reference. NULL: it names nothing. What it gives is made
 * of root's own values: they must not be changed.
 */
json_t *jmap_pointed(json_t *root, struct span pointer);
