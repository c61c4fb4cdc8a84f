/*
 * Writes messages: header fields from what JMAP says in them (RFC 8621 s4.1.2), parts from a tree of texts and blobs
 * (RFC 5322, 2045, 2046, 2047, 2183, 2231). Pure; used by the JMAP engine.
 *
 *   W1  Nothing in a value, a name, a type or a text can add a line, a field or a part: it is encoded or refused.
 *   W2  Lines end with CRLF and have at most 998 bytes; fields are folded at 78 where they can be. Everything is ASCII but
 *       local parts that are not (RFC 6532), enclosed messages, and fields given as complete lines.
 *   W3  The bytes do not depend on the sizes in which blobs come.
 *   W4  A blob is never whole in memory; texts and the header are the caller's, and stay.
 *   W5  Quoted-printable and base64 cannot hold our delimiters; of what is not encoded (short ASCII lines, enclosed messages) only
 *       who knows the 128 random bits could write them.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

enum {
	COMPOSE_PARTS_LIMIT = 1000,
	COMPOSE_DEPTH_LIMIT = 50,
	COMPOSE_RANDOM_BYTES = 16,
	COMPOSE_PIECE_BYTES = 16 << 10, /* about what one call gives at most */
};

/* ---- header fields; each appends a complete one. False: it cannot be written, and *out is as before. ---- */

struct compose_address {
	struct span name;  /* UTF-8; "" none */
	struct span email; /* as people type it; without a domain in a draft */
	bool is_group; /* name is that of a group, which ends with the next group or the list; no email */
	bool ends_group; /* neither name nor email: what follows is in no group */
};

/* Letters, digits and "-" and the like, no colon (RFC 5322 s2.2). */
bool compose_is_field_name(struct span name);
bool compose_text(struct buf *out, struct span name, struct span utf8);
bool compose_addresses(struct buf *out, struct span name, const struct compose_address *list,
		       size_t n);
/* ids and urls: without their angle brackets. */
bool compose_ids(struct buf *out, struct span name, const struct span *ids, size_t n);
bool compose_urls(struct buf *out, struct span name, const struct span *urls, size_t n);
bool compose_date(struct buf *out, struct span name, uint64_t at_us, int zone_min);
/* As it is to stand behind the colon; may be folded. */
bool compose_raw(struct buf *out, struct span name, struct span value);

/* ---- the message ---- */

enum compose_what {
	COMPOSE_MULTIPART,
	COMPOSE_TEXT, /* written as utf-8, in whatever encoding suits it */
	COMPOSE_BLOB, /* base64; an enclosed message (message/rfc822) as it is where that can be, else as a file */
};

struct compose_part {
	int parent; /* index of an earlier multipart; -1 of the first part alone. Children in order */
	enum compose_what what;
	struct span type;	 /* "text/plain"; compose_is_type */
	struct span charset;	 /* BLOB; "" none */
	struct span name;	 /* file name, UTF-8; "" none */
	struct span disposition; /* "attachment"; "" none */
	struct span cid;	 /* without angle brackets; "" none */
	struct span fields;	 /* further ones, complete lines */
	struct span text;	 /* TEXT: UTF-8, any line ends */
	size_t blob;		 /* BLOB: its name in on_read */
};

/* "type/subtype" of token characters. */
bool compose_is_type(struct span type);
bool compose_is_token(struct span s); /* for disposition and charset */
bool compose_is_id(
	struct span id); /* for cid and message ids: no blanks, controls, angle brackets */

struct compose_source {
	/* Bytes of a blob from offset, about max of them: none at the end. MORE: not yet, ask again. */
	enum rc (*on_read)(void *arg, size_t blob, uint64_t offset, size_t max, struct span *out,
			   struct fault *why);
	void *arg;
};

struct compose;
/* header: complete lines, without those that a part has (MIME-Version, Content-...). All is borrowed for its life. The parts must
 * be a tree as above, each multipart with a child, types and tokens checked by the calls above. */
struct compose *compose_new(struct span header, const struct compose_part *parts, size_t n,
			    const unsigned char random[COMPOSE_RANDOM_BYTES],
			    const struct compose_source *source);
void compose_free(struct compose *c); /* accepts NULL */
/* OK: the next piece, which lives until the next call; none is empty but behind the end. MORE: nothing yet, call again.
 * Others: on_read's, for good. */
enum rc compose_next(struct compose *c, struct span *out, struct fault *why) MUST_USE;
