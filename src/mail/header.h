/*
 * Walks the header section of a message as it arrives, in pieces of any size, and keeps what is
 * needed for show and for the loop guard. Pure, no allocation, linear in the input, never fails:
 * mail with an odd header is mail.
 *
 *   H1  Any split of the input gives the same result.
 *   H2  Of each field at most HEADER_FIELD_KEPT bytes are looked at; the rest is skipped, at the
 *       speed of memchr. References is looked at whole, for its last ids.
 *   H3  The first field of its name counts; later ones are ignored (Received: all count).
 */
#pragma once

#include "base/span.h"

enum {
	HEADER_FIELD_KEPT =
		1200, /* enough for a Received field with two 255-byte names; unfolded */
	HEADER_VALUE_LIMIT = 200,     /* kept of Subject and From */
	HEADER_ID_LIMIT = 255,	      /* kept of Message-ID */
	HEADER_DATE_LIMIT = 64,	      /* kept of Date */
	HEADER_SUBJECT_LOOKED = 1000, /* of Subject, for its base */
	HEADER_ANSWERED = 4,	      /* of In-Reply-To: the first */
	HEADER_REFERENCES = 20,	      /* of References: the last */
	HEADER_REFS_LIMIT = 1 + HEADER_ANSWERED + HEADER_REFERENCES,
};

/* Message-IDs in a field, as hashes; the field may be of any length. */
struct header_ids {
	uint64_t hash; /* of the one that passes */
	bool is_inside, has_any;
	uint64_t ids[HEADER_REFERENCES];
	size_t n;
};

struct header_walk {
	/* what was found */
	bool is_done;	       /* the empty line, or a line that is no field, was seen */
	uint64_t header_bytes; /* of the header section with its empty line; valid when is_done */
	unsigned received;     /* Received fields */
	unsigned own_received; /* of them, those with our mark: header_walk_init */
	unsigned char message_id[HEADER_ID_LIMIT], subject[HEADER_VALUE_LIMIT],
		from[HEADER_VALUE_LIMIT], date[HEADER_DATE_LIMIT];
	size_t message_id_n, subject_n, from_n, date_n;
	unsigned char whole_subject[HEADER_SUBJECT_LOOKED];
	size_t whole_subject_n;
	struct header_ids own, answers, references;

	/* private */
	struct span own_mark;
	uint64_t seen;	     /* bytes of finished lines */
	uint64_t line_n;     /* bytes of the present line so far */
	unsigned char first; /* of the present line */
	bool has_message_id, has_subject, has_from, has_date, has_whole_subject;
	struct header_ids *over; /* what takes the rest of the present field, beyond field[] */
	bool is_over;
	size_t field_n;
	unsigned char field[HEADER_FIELD_KEPT];
};

/* own_mark: bytes that stand in each Received field of ours (received_mark); borrowed for the
 * walk's life. */
void header_walk_init(struct header_walk *w, struct span own_mark);
/* True while it wants more of the message: false from the end of the header section on. */
bool header_walk_feed(struct header_walk *w, struct span piece);
/* The message has ended; the last field is looked at even without an empty line. */
void header_walk_end(struct header_walk *w);

/*
 * What tells which messages belong together (RFC 8621 s3): hashes of its own Message-ID, of those in In-Reply-To, and of
 * the last ones in References, the last first; none twice, own first if there is one. And of the base subject: decoded,
 * folded, without blanks, without what answers and lists put before and behind it (RFC 5256 s2.1, and what programs of
 * other languages write for "Re"); its first characters alone; 0: none. The hashes are recorded: they never change, and
 * depend on no table of charsets that the process may not have.
 */
struct header_refs {
	uint64_t ids[HEADER_REFS_LIMIT];
	size_t n;
	uint64_t subject;
};
/* own: a Message-ID that the header did not have; "": the walk's. Allocates for the call. */
void header_refs(const struct header_walk *w, struct span own, struct header_refs *out);
/* Of a message in memory. */
void header_refs_of(struct span message, struct header_refs *out);

/*
 * Takes the next field off a header section that lies in memory: its name, its value as it stands there (folded, without
 * the last CRLF), and the whole of it. False: none is left (the empty line, or a line that is no field).
 */
bool header_next(struct span *rest, struct span *out_name, struct span *out_value,
		 struct span *out_whole);

static inline struct span header_message_id(const struct header_walk *w)
{
	return span_of(w->message_id, w->message_id_n);
}

static inline struct span header_subject(const struct header_walk *w)
{
	return span_of(w->subject, w->subject_n);
}

static inline struct span header_from(const struct header_walk *w)
{
	return span_of(w->from, w->from_n);
}

/* Raw, without folding: what tells one message from another beside its Message-ID. */
static inline struct span header_date(const struct header_walk *w)
{
	return span_of(w->date, w->date_n);
}
