/*
 * A message's parts as JMAP shows them (RFC 8621 s4.1.4): which are the body, which attachments, in the standard's own
 * algorithm; and a part's properties. No recursion: parts nest as deep as MIME_DEPTH_LIMIT.
 */
#pragma once

#include "jmap/form.h"
#include "mail/mime.h"

struct jmap_part {
	bool is_ours;		/* of this message, not of one inside it */
	bool is_multipart;	/* with parts; what only says it is one is text */
	uint64_t bytes;		/* decoded */
	size_t head_at, head_n; /* of its raw header, in the heads */
	struct buf value;
	bool has_value, is_cut, is_problem, was_cr;
};

struct jmap_parts {
	const struct mime *mime;
	const struct jmap_part *parts;
	struct span heads;
	struct span blob; /* id of the whole */
	size_t *said;	  /* what all properties so far cost; above JMAP_ANSWER_BYTES no more are made */
};

struct jmap_part_list {
	int *items;
	size_t n, cap;
};
struct jmap_body {
	struct jmap_part_list text, html, attachments;
};
/* Lists of parts in order. */
void jmap_body_find(const struct jmap_parts *p, struct jmap_body *out);
void jmap_body_fini(struct jmap_body *b);

/* EmailBodyPart; with is_deep its subParts, too. */
json_t *jmap_part_json(const struct jmap_parts *p, int part, const struct jmap_want *w);
json_t *jmap_structure_json(const struct jmap_parts *p, const struct jmap_want *w);

/* "text/plain" (lower case) into type; as it is treated. */
bool jmap_part_is_text(const struct jmap_parts *p, int part);
