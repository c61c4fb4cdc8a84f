/*
 * The filter of Email/query (RFC 8621 s4.4.1) as a list in postfix order: leaves, and what joins the one or two before. No
 * recursion: the JSON is at most JMAP_JSON_DEPTH deep, and so is the stack that works it off.
 */
#pragma once

#include "jmap/internal.h"

enum {
	JMAP_NODES_LIMIT = 500,
	JMAP_WORDS_LIMIT = 50,	/* that are looked for in texts: each is a question to the index */
	JMAP_COSTLY_LIMIT = 10, /* HEADER and THREAD: each reads for itself */
	JMAP_STACK = 2 * JMAP_JSON_DEPTH + 2,
};

enum jmap_key {
	JMAP_K_TRUE,
	JMAP_K_FALSE,
	JMAP_K_BOX,
	JMAP_K_BOX_OTHER,
	JMAP_K_BEFORE,
	JMAP_K_AFTER,
	JMAP_K_MIN,
	JMAP_K_MAX,
	JMAP_K_KEYWORD,
	JMAP_K_THREAD_ALL,
	JMAP_K_THREAD_SOME,
	JMAP_K_ATTACHMENT,
	JMAP_K_TEXT,
	JMAP_K_HEADER,
	JMAP_K_NOT,
	JMAP_K_AND,
	JMAP_K_OR,
};

struct jmap_node {
	enum jmap_key key;
	uint64_t number; /* of a mailbox; microseconds; bytes */
	bool value;	 /* ATTACHMENT */
	uint64_t *boxes; /* BOX_OTHER; ascending */
	size_t boxes_n;
	uint32_t flag;	  /* KEYWORD, THREAD: the system's, or 0 */
	struct span word; /* ... and the keyword; TEXT, HEADER: folded */
	struct span name; /* HEADER */
	bool has_word;	  /* HEADER */
	enum mail_text where;

	/* TEXT: what the index says of the mailbox at hand */
	struct jmap_found {
		uint32_t *uids; /* ascending */
		size_t n, cap;
		struct mail_range *unknown;
		size_t unknown_n, unknown_cap;
		bool is_unknown; /* there is no index */
	} found;
};

struct jmap_filter {
	struct jmap_node *nodes;
	size_t n;
	unsigned words;		     /* TEXT nodes */
	unsigned costly;	     /* HEADER and THREAD nodes */
	bool has_header, has_thread; /* conditions of these kinds */
	bool is_mutable;	     /* what it says of an Email can change */
	bool has_box;		     /* `box` must hold, whatever else */
	uint64_t box;
};

/* In the call's arena; json NULL: everything. False: the call has failed (unsupportedFilter, invalidArguments). */
bool jmap_filter_read(struct jmap_call *c, const json_t *json, struct jmap_filter *out);
void jmap_filter_forget(struct jmap_filter *f);		/* what the index said */
int jmap_by_number(const void *one, const void *other); /* for sorting uint64_t */
/* Words and phrases of a search text, one after the other, as they are written; false at the end. */
bool jmap_word_next(struct span *rest, struct buf *out_word);
