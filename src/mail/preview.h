/*
 * The first words of a message for a list (RFC 8621 s4.1.4, preview): from its text as UTF-8, in pieces of any size. Lines
 * that quote somebody, the line that says whom, and the signature are left out; runs of white space are one blank; X1 of
 * text.h holds. A text that is nothing but quotes gives those. Pure.
 */
#pragma once

#include "base/buf.h"

enum {
	PREVIEW_CHARACTERS = 256,
	PREVIEW_BYTES = 4 * PREVIEW_CHARACTERS,
	PREVIEW_LINE_BYTES = 4 << 10,	 /* looked at of a line */
	PREVIEW_LOOKED_BYTES = 64 << 10, /* of all texts: what they give may be nothing */
};

struct preview {
	unsigned char text[PREVIEW_BYTES], quoted[PREVIEW_BYTES];
	size_t text_n, quoted_n;
	unsigned characters, quoted_characters;
	unsigned char line[PREVIEW_LINE_BYTES];
	size_t line_n;
	unsigned char held[PREVIEW_LINE_BYTES]; /* a line that may say who is quoted below */
	size_t held_n;
	size_t looked;
	bool is_blank; /* the next character begins a word */
	bool is_html;  /* the present part: already stripped, has no lines */
	bool is_over;  /* the signature, or an appended message, has begun */
};

void preview_init(struct preview *p);
/* Another part that is shown; the parts before it gave nothing. */
void preview_part(struct preview *p, bool is_html);
void preview_feed(struct preview *p, struct span utf8);
void preview_end(struct preview *p);
/* No more text is wanted. */
bool preview_is_full(const struct preview *p);
/* After the end. */
struct span preview_text(const struct preview *p);
