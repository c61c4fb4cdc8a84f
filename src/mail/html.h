/*
 * The words of an HTML text, for search: tags, comments, styles and scripts taken out, character references resolved.
 * In pieces of any size of UTF-8; linear; no parser of HTML, and nothing it gives is ever shown as HTML.
 */
#pragma once

#include "base/buf.h"

enum { HTML_NAME_BYTES = 16 };

struct html_strip {
	enum { HTML_TEXT, HTML_TAG, HTML_COMMENT, HTML_ENTITY } at;
	unsigned char name[HTML_NAME_BYTES]; /* of the tag, or the reference, lower case */
	size_t name_n;
	bool name_is_open;   /* more of the tag's name may come */
	unsigned char quote; /* in a tag's attribute */
	unsigned dashes;     /* in a comment, at its end */
	const char *until;   /* inside style or script: its end tag's name; NULL */
};

void html_strip_init(struct html_strip *h);
/* Appends to *out. False: its limit was reached. */
bool html_strip_feed(struct html_strip *h, struct span piece, struct buf *out);
