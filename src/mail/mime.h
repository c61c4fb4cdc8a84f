/*
 * The structure of a message, from its bytes in pieces of any size: a bounded table of parts with byte offsets (RFC 2045,
 * 2046, 2183, 3282, 2557). Pure, no recursion; used by indexer and desk.
 *
 *   M1  Any split of the input gives the same table.
 *   M2  Memory does not depend on the size of bodies: at most MIME_MEMORY_BYTES, whatever comes. Time is linear.
 *   M3  Beyond a limit what follows is opaque (a leaf, or bytes of the part before) and MIME_LIMIT_* says which limit it
 *       was. Nothing is refused: mail with an odd structure is mail.
 *   M4  The offsets of all parts lie within the message; a part lies within its parent; siblings do not overlap.
 *
 * The table is in preorder: node 0 is the message. A multipart's children are its parts. A message/rfc822 part has one
 * child, the message inside it, which has is_message set like node 0. A message's fields and those of its one body part
 * are the same header section, and one node.
 *
 * A header section ends with an empty line, with a line that is no field and no continuation (which is body already),
 * or with the delimiter line of an enclosing multipart. Lines end with LF, with or without CR before it.
 */
#pragma once

#include "base/span.h"

enum {
	MIME_DEPTH_LIMIT = 100,
	MIME_PARTS_LIMIT = 10000,
	MIME_BOUNDARY_BYTES = 200,   /* RFC 2046 allows 70 */
	MIME_FIELD_BYTES = 64 << 10, /* kept of one field */
	MIME_ADDRESS_BYTES =
		512 << 10, /* of an address field, continued in further fields of the name */
	MIME_KEPT_BYTES = 2 << 20, /* of all fields of all parts together */
	MIME_MEMORY_BYTES = 16 << 20,
	MIME_NONE = -1,
};

enum mime_limit_FLAGS {
	MIME_LIMIT_DEPTH = 1,
	MIME_LIMIT_PARTS = 2,
	MIME_LIMIT_FIELD =
		4, /* a field was cut, or left out because MIME_KEPT_BYTES were used up */
	MIME_LIMIT_BOUNDARY = 8,
	MIME_LIMIT_MEMORY = 16, /* no memory: the table ends early */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

enum mime_encoding {
	MIME_7BIT, /* or none given */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED,
	MIME_BASE64,
	MIME_UUENCODE,
	MIME_UNKNOWN, /* bytes as they are */
};

/* Fields that are kept, unfolded (line ends taken out), blanks at both ends removed; .p NULL: not there. */
enum mime_field {
	MIME_CONTENT_TYPE,
	MIME_CONTENT_ENCODING,
	MIME_CONTENT_DISPOSITION,
	MIME_CONTENT_ID,
	MIME_CONTENT_DESCRIPTION,
	MIME_CONTENT_MD5,
	MIME_CONTENT_LANGUAGE,
	MIME_CONTENT_LOCATION,
	MIME_FIELDS,
};

/* Of messages only. The first of its name counts; To, Cc, Bcc and Reply-To of several fields are joined with a comma. */
enum mime_head {
	MIME_DATE,
	MIME_SUBJECT,
	MIME_FROM,
	MIME_SENDER,
	MIME_REPLY_TO,
	MIME_TO,
	MIME_CC,
	MIME_BCC,
	MIME_IN_REPLY_TO,
	MIME_MESSAGE_ID,
	MIME_HEADS,
};

struct mime_part {
	enum mime_kind kind;
	bool is_message; /* node 0, and what a message/rfc822 holds */
	enum mime_encoding encoding;
	int parent, first_child, next, last_child; /* indexes, MIME_NONE */
	unsigned children;
	uint64_t header_at, body_at,
		end; /* the header section with its empty line is [header_at, body_at), the body
					   * [body_at, end); the line end before a delimiter is not part of it */
	uint64_t header_lines, body_lines; /* LFs in them */
	struct span type,
		subtype; /* lower case; as given, or the default (text/plain; message/rfc822 in a digest) */
	struct span fields[MIME_FIELDS];
	const struct span *heads; /* MIME_HEADS of them; NULL unless is_message */
};

struct mime;

struct mime_ops {
	/* A header section has ended: the part is complete but for .end, .body_lines and children. May be NULL. */
	void (*on_part)(void *arg, const struct mime *m, int part);
	/* A field of a part, before on_part: name and value unfolded as above, cut at MIME_FIELD_BYTES (address fields at
	 * MIME_ADDRESS_BYTES). Live until the call returns. May be NULL. */
	void (*on_field)(void *arg, int part, struct span name, struct span value);
	/* Bytes of a leaf's body as they stand in the message, in order. May be NULL. */
	void (*on_body)(void *arg, int part, struct span bytes);
	void *arg;
};

/* ops may be NULL. NULL: no memory. */
struct mime *mime_new(const struct mime_ops *ops);
void mime_feed(struct mime *m, struct span piece);
/* The message has ended: the table is complete. */
void mime_end(struct mime *m);
void mime_free(struct mime *m); /* accepts NULL */

uint64_t mime_bytes(const struct mime *m);  /* fed so far */
unsigned mime_limits(const struct mime *m); /* MIME_LIMIT_FLAGS */
int mime_parts(const struct mime *m); /* at least 1 after mime_end, unless there was no memory */
const struct mime_part *mime_part(const struct mime *m, int i); /* must exist */

/* ---- sections (RFC 9051 s6.4.5) ---- */

enum mime_section {
	MIME_SECTION_BODY, /* BODY[], BODY[1.2]; BINARY[1.2] before decoding */
	MIME_SECTION_HEADER, /* BODY[HEADER], BODY[1.2.HEADER]: also what HEADER.FIELDS picks from (field.h) */
	MIME_SECTION_TEXT, /* BODY[TEXT], BODY[1.2.TEXT] */
	MIME_SECTION_MIME, /* BODY[1.2.MIME] */
};

struct mime_range {
	uint64_t from, to;
	int part; /* whose; for its encoding and charset */
};

/*
 * Where a section stands in the message. path: part numbers from 1, n of them, 0 for the message. False: there is no such
 * section (HEADER or TEXT of a part that is no message/rfc822, MIME of nothing, no such part).
 */
bool mime_section(const struct mime *m, const uint32_t *path, size_t n, enum mime_section what,
		  struct mime_range *out);
