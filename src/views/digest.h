/*
 * Digests and the full-text index: <data>/index/digest.db, a database of its own because it may lag. indexer writes, desk
 * reads. What it says of a message follows from the ledger alone, by its number in the order; whatever generation the
 * mailboxes are of. Which messages are in it: those that a mailbox shows or showed (views_each_shown).
 * Disposable: missing, damaged or of another version, it is made anew.
 *
 *   G1  What was shown up to digest_upto is there or was passed over for good (it made the indexer crash).
 *   G2  search finds exactly the messages whose text (digest_maker_text, cut where that is cut) holds the folded text:
 *       the index proposes, the kept text decides.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"
#include "mail/store.h"

struct digest_db;
struct digest_maker;

struct digest_key {
	uint64_t number;
	enum mail_form form;
};

/* ---- reading ---- */

/* LATER: there is none yet. BROKEN, from this and later calls: damaged, of another version, or made anew since (close, open
 * again later). */
enum rc digest_open_read(const char *data_dir, struct digest_db **out, struct fault *why) MUST_USE;
void digest_close(struct digest_db *d); /* accepts NULL */

/* As views_read_begin. */
void digest_read_begin(struct digest_db *d);
void digest_read_end(struct digest_db *d);

/* What was shown up to this serial is indexed. */
enum rc digest_upto(struct digest_db *d, uint64_t *out_serial, struct fault *why) MUST_USE;

/* LATER: not indexed (make it yourself). Spans live until the next call on d. MAIL_AS_SENT of a message without cuts
 * is its MAIL_AS_DELIVERED. */
enum rc digest_get(struct digest_db *d, struct digest_key key, struct mail_digest *out,
		   struct fault *why) MUST_USE;

/*
 * Which of the messages hold the text (UTF-8, not folded yet). keys: ascending by number, then form. on_hit(i) for each
 * that does, on_unknown(i) for each that is not in the index, both ascending in i; either returns false to stop (OK then).
 * LATER: the text is too short for the index (under 3 characters) and there are more than DIGEST_SCAN_LIMIT keys: look
 * yourself. Cost follows the keys between the first and the last: callers that serve others too give some thousands at
 * a time.
 */
enum { DIGEST_SCAN_LIMIT = 2000 };
enum rc digest_search(struct digest_db *d, enum mail_text where, struct span text,
		      const struct digest_key *keys, size_t n, bool (*on_hit)(void *arg, size_t i),
		      bool (*on_unknown)(void *arg, size_t i), void *arg,
		      struct fault *why) MUST_USE;

/* ---- writing: indexer only ---- */

/* <data>/index must be there. Opens, or makes a new one when it is missing, damaged or of another version (*out_is_new). */
enum rc digest_open_write(const char *data_dir, struct digest_db **out, bool *out_is_new,
			  struct fault *why) MUST_USE;
/* After BROKEN from a call: removes it; open again. */
void digest_condemn(const char *data_dir);
enum rc digest_begin(struct digest_db *d, struct fault *why) MUST_USE;
/* has_forms: bit set of further forms that are this same text (1 << MAIL_AS_SENT). */
enum rc digest_add(struct digest_db *d, struct digest_key key, unsigned has_forms,
		   struct digest_maker *made, struct fault *why) MUST_USE;
/* Everything up to serial is done; in the transaction. */
enum rc digest_reach(struct digest_db *d, uint64_t serial, struct fault *why) MUST_USE;
/* Of another generation: what was shown is gone through from the beginning; what is there need not be read again. */
enum rc digest_follow(struct digest_db *d, struct span generation, struct fault *why) MUST_USE;
/* Some form of it, or that it was passed over. */
enum rc digest_has(struct digest_db *d, uint64_t number, bool *out_has, struct fault *why) MUST_USE;
enum rc digest_commit(struct digest_db *d, struct fault *why) MUST_USE;

/*
 * What is being worked on, kept in a transaction of its own before the work: after a crash the next process finds it. times:
 * how often exactly this was begun; 0: nothing is left over. digest_reach ends it.
 */
struct digest_trial {
	uint64_t first, last; /* serials */
	unsigned times;
};
enum rc digest_left_over(struct digest_db *d, struct digest_trial *out, struct fault *why) MUST_USE;
enum rc digest_try(struct digest_db *d, uint64_t first, uint64_t last, struct fault *why) MUST_USE;
/* A message that is passed over for good: digest_get gives a leaf of `bytes` without details, so that nobody else reads it. */
enum rc digest_skip(struct digest_db *d, uint64_t number, uint64_t bytes, struct span reason,
		    struct fault *why) MUST_USE;
/* Up to max numbers of messages that are there, ascending, from `from` on. */
enum rc digest_numbers(struct digest_db *d, uint64_t from, uint64_t *out, size_t max, size_t *out_n,
		       struct fault *why) MUST_USE;
/* Removes all of a message that no view shows any more; in a transaction. */
enum rc digest_forget(struct digest_db *d, uint64_t number, struct fault *why) MUST_USE;
/* Nothing is to be done: gives the memory of the page cache back. */
void digest_rest(struct digest_db *d);
enum rc digest_counts(struct digest_db *d, uint64_t *out_digests, uint64_t *out_skipped,
		      struct fault *why) MUST_USE;
