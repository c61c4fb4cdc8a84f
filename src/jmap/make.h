/*
 * A message that is made and put into mailboxes: composed from an Email object (Email/set) or a blob as it is (Email/import).
 * It leaves in pieces; the verdict on its act says which Email it became. With several mailboxes a second act follows.
 */
#pragma once

#include "jmap/set.h"
#include "mail/compose.h"

struct jmap_make;

/* From the object of Email/set. NULL: *out_error is the SetError. */
struct jmap_make *jmap_make_email(struct jmap_call *c, json_t *object, json_t **out_error);
/* A blob, as Email/import has it. */
struct jmap_make *jmap_make_import(struct jmap_call *c, json_t *object, json_t **out_error);

/* As the step of a method. JMAP_DONE: it is over; the call has failed, or jmap_make_result says how it came out. */
enum jmap_step jmap_make_step(struct jmap_call *c, struct jmap_set *s, struct jmap_make *m);
/* {id, blobId, threadId, size}; NULL: *out_error. Both the caller's. */
json_t *jmap_make_result(struct jmap_make *m, json_t **out_error);
void jmap_make_free(struct jmap_make *m); /* accepts NULL */

/* ---- between make.c and make_email.c ---- */

struct jmap_source { /* a blob that goes into it */
	struct span id;
	struct span path; /* for errors */
};

struct jmap_make {
	struct jmap_call *c;
	struct jmap_ids boxes;
	struct jmap_keywords keywords;
	uint64_t date_us;

	/* composed */
	struct buf header;
	struct buf *fields; /* of parts, by index: compose_part.fields points into them */
	struct compose_part *parts;
	size_t parts_n, parts_cap;
	struct jmap_source *blobs; /* by compose_part.blob; of an import the one */
	size_t blobs_n, blobs_cap;
	bool is_import;

	/* at work */
	enum {
		MAKE_LOOK, /* is each blob there, and how long? */
		MAKE_BEGIN,
		MAKE_PIECES,
		MAKE_STORED, /* END was said */
		MAKE_PLACED, /* the act for further mailboxes was asked */
		MAKE_OVER,
	} at;
	struct jmap_blob *blob; /* open */
	size_t blob_at;		/* which */
	uint64_t blob_offset;
	uint64_t attached, bytes;
	json_t *missing; /* blobs that are not there */
	struct compose *compose;
	bool looks_like_mail, has_begun_line;

	json_t *error;
	uint64_t number, thread;
	enum mail_form form;
};
