/* The terminal: width, colour, and sizes and times as people read them. */
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "base/span.h"

struct term {
	bool is_terminal; /* stdout */
	bool has_colour;
	unsigned width; /* columns; 80 when unknown */
};

enum term_ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GREEN, INK_YELLOW, INK_RED };

/* Looks at stdout, COLUMNS, TERM and NO_COLOR (https://no-color.org). */
void term_init(struct term *t);

/* Escape sequences, "" without colour. */
const char *term_on(const struct term *t, enum term_ink ink);
const char *term_off(const struct term *t, enum term_ink ink);

/* Columns that UTF-8 text takes (each character one; bytes that are no UTF-8 one each). */
size_t term_columns(struct span s);
/* Appends at most `columns` of s, control bytes and bad UTF-8 shown as "?"; "…" at the end when cut. */
void term_put(struct buf *out, struct span s, size_t columns);
/* The same, padded with blanks to exactly `columns`; right: blanks in front. */
void term_cell(struct buf *out, struct span s, size_t columns, bool right);
/* Wraps text at blanks to the width, each line after `indent` blanks; the first line has them too. */
void term_wrap(const struct term *t, struct buf *out, struct span text, unsigned indent);

/* Space for the results of the following. */
struct term_text {
	char p[48];
};
const char *term_size(struct term_text *space, uint64_t bytes);	     /* "1.4 MiB" */
const char *term_span_of_time(struct term_text *space, uint64_t us); /* "2h 11m", "45s", "3d 4h" */
const char *term_count(struct term_text *space, uint64_t n);	     /* "4,812" */
/* "21 Nov 21:55:03", local time; with the year when it is another one. */
const char *term_time(struct term_text *space, uint64_t wall_us, uint64_t now_us);
