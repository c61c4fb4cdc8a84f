/*
 * Words found in a text, for search snippets (RFC 8621 s5): looked for in the folded text, marked in the text as it is, HTML
 * escaped. What comes out is text and <mark> alone, whatever the text held.
 */
#pragma once

#include "base/buf.h"

enum { JMAP_MARK_WORDS = 32, JMAP_SNIPPET_BYTES = 255 };

struct jmap_words {
	struct span of[JMAP_MARK_WORDS]; /* folded (text_fold), not empty */
	size_t n;
};

/* The whole text; false: none of the words is in it, *out as it was. */
bool jmap_mark_all(struct span text, const struct jmap_words *words, size_t bytes_most,
		   struct buf *out);
/* What stands around the first word found, at most JMAP_SNIPPET_BYTES. */
bool jmap_mark_around(struct span text, const struct jmap_words *words, struct buf *out);
