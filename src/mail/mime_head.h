/*
 * Inside src/mail: one header section at a time, for the MIME parser. Lines come in pieces without their line ends; what is
 * kept of the fields goes into the part when the section ends.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "mail/mime.h"

enum { MIME_NAME_BYTES = 256, MIME_JOINED = 4 };

enum mime_head_line { HEAD_FIELD, HEAD_EMPTY, HEAD_BODY /* no field: the body has begun */ };

struct mime_head_state {
	const struct mime_ops *ops;
	struct arena *arena;
	size_t kept;	 /* of all sections together */
	unsigned limits; /* MIME_LIMIT_FLAGS */
	bool is_dead;

	bool is_message, is_first_line;
	int part;
	enum { LINE_START, LINE_NAME, LINE_VALUE, LINE_SKIP } line;
	unsigned char name[MIME_NAME_BYTES]; /* the present line up to its colon */
	size_t name_n;
	bool has_blank; /* in name */

	bool has_field; /* one is open: continuations belong to it */
	int which;	/* of the known ones, -1 */
	unsigned char field[MIME_NAME_BYTES];
	size_t field_n;
	struct buf value;

	struct span fields[MIME_FIELDS], heads[MIME_HEADS];
	struct buf joined[MIME_JOINED];
};

void mime_head_init(struct mime_head_state *h, const struct mime_ops *ops, struct arena *arena);
void mime_head_fini(struct mime_head_state *h);
void mime_head_begin(struct mime_head_state *h, int part, bool is_message);
/* Takes bytes of a line from *bytes. False: the line is no field; name has what was taken of it, *bytes the rest. */
bool mime_head_take(struct mime_head_state *h, struct span *bytes);
enum mime_head_line mime_head_line_end(struct mime_head_state *h);
/* Fills in p, and the boundary of a multipart (in the arena). False: no memory. */
bool mime_head_end(struct mime_head_state *h, bool in_digest, struct mime_part *p,
		   struct span *out_boundary);
