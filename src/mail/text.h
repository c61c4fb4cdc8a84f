/*
 * Text of messages as UTF-8: charsets (iconv), encoded-words (RFC 2047, 2231 s5), and the case folding by which texts are
 * compared. Pure but for one table of open converters per process.
 *
 *   X1  What comes out is valid UTF-8 without NUL, CR, LF and other control characters (they become blanks), and without
 *       the characters that turn the direction of writing (they are left out): safe to show and to compare.
 *   X2  Only charsets of a fixed list ever reach iconv. Another one is read as UTF-8, of which
 *       ASCII is a part; what is neither becomes U+FFFD.
 *   X3  Time is linear in the input.
 */
#pragma once

#include "base/buf.h"

/* Opens the converters of all charsets of the list now: before a sandbox closes, because iconv loads code. */
void text_warm(void);

/* ---- charsets ---- */

struct text_charset; /* one of the list */

/* By name or alias, in any case. NULL: not in the list (below, NULL is UTF-8). */
const struct text_charset *text_charset(struct span name);

/* A stream of text in one charset, in pieces. Line ends, tabs: X1 does not hold here, the bytes are converted only. */
struct text_reader {
	const struct text_charset *charset;
	unsigned char rest[16]; /* of a character that the next piece completes */
	size_t rest_n;
	void *converter;
	bool has_failed; /* iconv has not got it */
};
void text_reader_init(struct text_reader *r, const struct text_charset *charset);
/* False: out's limit was reached; what fitted is there, whole characters only. */
bool text_reader_feed(struct text_reader *r, struct span piece, struct buf *out);
/* Must be called, also when the text is given up: closes the converter. */
bool text_reader_end(struct text_reader *r, struct buf *out);

/* ---- header fields ---- */

/*
 * A field's value (folded or not) as people read it: unfolded, encoded-words decoded, adjacent ones joined. Bytes above
 * 127 outside of encoded-words are taken as UTF-8 where they are. False: out's limit was reached.
 */
bool text_header(struct span raw, struct buf *out);

/* The same without a table of charsets: words in UTF-8 and in Latin 1 and its like are read, others stay bytes (U+FFFD). What
 * comes out depends on nothing that a process may have or not. */
bool text_header_plain(struct span raw, struct buf *out);

/* Appends what X1 leaves of UTF-8 text (invalid bytes become U+FFFD). */
bool text_safe(struct span utf8, struct buf *out);

/* One character, at most U+10FFFF, as UTF-8; how many bytes. */
size_t text_put_utf8(uint32_t code, unsigned char out[4]);

/* ---- comparing ---- */

/*
 * Unicode's full case folding ("STRASSE" and "straße" become equal), and every run of white space one blank, of UTF-8
 * text. Substring search compares folded with folded. False: out's limit was reached.
 */
bool text_fold(struct span utf8, struct buf *out);
