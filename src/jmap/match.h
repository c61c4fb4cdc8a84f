/*
 * Does an Email match a filter? What an entry tells is asked first, then what the store tells of the Email (its other
 * places, its thread), then its digest; the message itself is read only where that leaves the question open.
 */
#pragma once

#include "jmap/email.h"
#include "jmap/filter.h"
#include "jmap/operators.h"
#include "jmap/set64.h"
#include "mail/digest.h"

enum { JMAP_MEMO = 64 };

struct jmap_match {
	const struct mail_store *store;
	struct jmap_filter *filter;

	/* the Email at hand */
	uint64_t box;
	const struct mail_entry *e;
	struct jmap_places places;
	bool has_places;
	int has_attachment; /* -1: not asked yet */

	/* its bytes */
	struct mail_body *body;
	struct digest_maker *maker;
	struct buf header;
	bool has_header;
	uint64_t fed;

	/* What threads were found to have: a mailbox may be one thread, and each of its Emails asks. */
	struct {
		const void *of; /* condition or comparator; NULL: free */
		uint64_t thread;
		bool has;
	} memo[JMAP_MEMO];

	enum rc rc; /* not OK: the store could not be read */
	struct fault why;
};

void jmap_match_init(struct jmap_match *m, const struct mail_store *store,
		     struct jmap_filter *filter);
void jmap_match_fini(struct jmap_match *m);
/* What the index says of one mailbox, a word at a time; before its entries are looked at. *at: 0 first. True: all asked. */
bool jmap_match_ask(struct jmap_match *m, uint64_t box, size_t *at);
/* By what the entry alone tells: costs little, asks nothing. */
enum jmap_truth jmap_match_look(struct jmap_match *m, uint64_t box, const struct mail_entry *e);
/* e lives until the answer. UNKNOWN: jmap_match_read until it says something else. */
enum jmap_truth jmap_match_begin(struct jmap_match *m, uint64_t box, const struct mail_entry *e);
enum jmap_truth jmap_match_read(struct jmap_match *m);
/* All (or one) of the Emails of a thread have the keyword. of: the condition or comparator that asks, for as long as m is used. */
bool jmap_match_thread(struct jmap_match *m, const void *of, uint64_t thread, struct span keyword,
		       bool all, enum rc *rc, struct fault *why);
