/* "Did you mean ...?": the nearest of some known words by Damerau-Levenshtein distance. Pure. */
#pragma once

#include "base/span.h"

enum { SUGGEST_WORD_BYTES = 64 };

/* Edits (insert, delete, replace, swap neighbours) from a to b. Words over SUGGEST_WORD_BYTES: the longer length. */
unsigned suggest_distance(struct span a, struct span b);

/* Collects the nearest word: offer each, then read best (NULL: nothing near enough to be meant). */
struct suggest {
	struct span typed;
	const char *best;
	unsigned distance;
};
void suggest_begin(struct suggest *s, struct span typed);
void suggest_offer(struct suggest *s, const char *word);
