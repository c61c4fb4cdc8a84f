/*
 * Everything goes home (P6): what has to be done in a mailbox on the primary so that it looks as if its owner had worked
 * there all the time. Pure: the clerk gives what the views know of one message of one account, and gets what is left to do.
 *
 *   G1  What is asked follows from where the message is now and from what a person changed, not from the way there: a mark
 *       set and taken back asks for nothing, a copy followed by a deletion is a move.
 *   G2  Only flags and keywords that a person touched here are set or cleared there; \Deleted never goes.
 *   G3  What left its last mailbox here goes to Trash there, and what was never there is forgotten. Nothing is expunged.
 *   G4  An APPEND is looked for before it is sent, always (courier), so that trying again never doubles.
 */
#pragma once

#include "mail/store.h"

enum home_action { /* fixed: on the wire */
		   HOME_NOTHING,
		   HOME_APPEND, /* the primary has never had it: Sent, drafts, what was put here, further copies */
		   HOME_CHANGE, /* it has it, by hand-back or by an APPEND of ours: marks, move, Trash */
		   HOME_FOLDER, /* a mailbox that was made here */
};

enum home_result { /* fixed: recorded */
		   HOME_DONE = 1,
		   HOME_LATER,	/* try again: not there yet, refused for now */
		   HOME_DECIDE, /* a person has to look */
		   HOME_UNSURE, /* the answer was lost: looked up before it is tried again */
};

enum home_did_FLAGS { /* fixed: recorded */
		      HOME_DID_APPEND = 1,
		      HOME_DID_MARK = 2,
		      HOME_DID_MOVE = 4,
		      HOME_DID_TRASH = 8,
		      HOME_WAS_THERE = 16, /* the person's own copy, or ours of an earlier try */
		      HOME_DID_FOLDER = 32,
		      HOME_DID_MAIL = 64,  /* sent to the person as a message instead */
		      HOME_WAS_GONE = 128, /* to be trashed, and not there any more */
};

enum home_state { /* of a row; fixed: kept in the views */
		  HOME_STATE_WAITS,
		  HOME_STATE_INTENDED, /* an APPEND may be under way */
		  HOME_STATE_DONE,
		  HOME_STATE_DECIDE,
		  HOME_STATE_NOTHING, /* nothing is to be done (any more) */
};

enum { HOME_TRIES = 6, HOME_WORDS_BYTES = 2048, HOME_PLACES_LIMIT = 16 };

/* A mailbox here that shows the message now. */
struct home_place {
	uint64_t box;
	enum mail_special special;
	uint32_t flags;
	struct span keywords;
	bool is_appended; /* as a further copy: the primary has one for this place */
};

struct home_facts {
	bool is_at_home; /* the primary has it or will get it by delivery */
	uint64_t box;	 /* the mailbox here that stands for where the primary has it; is_at_home */
	enum mail_special special; /* of that */
	uint32_t touched;	   /* flags a person changed here since */
	struct span words;	   /* keywords a person changed here since, one space between */
	const struct home_place *places; /* oldest first */
	size_t places_n;
};

struct home_plan {
	enum home_action action;
	uint64_t to; /* mailbox: APPEND, and CHANGE with moves; 0 with trashes: the one for Trash */
	bool moves, trashes;
	uint32_t add, remove;
	struct span add_words;	  /* in `words` of the caller */
	struct span remove_words; /* the same */
};
/* words: room for both lists of keywords, 2 * HOME_WORDS_BYTES. */
void home_plan(const struct home_facts *facts, char *words, struct home_plan *out);

/* A copy in a further mailbox: to be appended there? main: the plan of the message itself and where that leaves it. */
bool home_copy_is_wanted(uint64_t copy_box, const struct home_facts *facts,
			 const struct home_plan *main_plan);

/* Touched words: the union of what was touched and in what the two lists differ. out has HOME_WORDS_BYTES; what does not
 * fit is left out. Returns the length. */
size_t home_words_differ(struct span touched, struct span before, struct span after, char *out);

/* How long after a try that did not find it, or was refused for now. */
uint64_t home_retry_ms(uint32_t tries);
