/*
 * Slows guessing down without locking anybody out. Three counts of failures: by account (also of names that do not
 * exist), by source (a /32 or /64) and by the pair of both. Pure; times are wall-clock microseconds, because counts
 * survive a restart.
 *
 *   A11 A count below its free number costs nothing. From there on one try at a time, each no sooner than a pause that
 *       doubles with each failure. At 100 failures an account takes no more passwords for a day (NIST SP 800-63B-4
 *       s3.2.2), from nobody -
 *   A12 - but from where its owner has logged in before (90 days): there only the pair counts. So who guesses from
 *       elsewhere, however often, does not lock the owner out (I-15, H-16). Success from such a place does not give
 *       others new tries.
 *   A13 A try is counted when it begins, so that a thousand at once are no way around; success and LATER take it back.
 *       The same wrong password again, from the same source, counts once: a phone that was forgotten is no attack.
 *   A14 Memory is bounded; the least recently used is forgotten first. Known-good places are made by success alone, so
 *       that no flood of names pushes them out.
 */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

struct throttle;

struct throttle_try {
	struct span account;  /* prepared */
	struct span source;   /* address as text */
	unsigned char tag[8]; /* of the password, keyed */
};

enum throttle_says {
	THROTTLE_GO,
	THROTTLE_CODES_ONLY, /* the account takes no password now, but an app password: it cannot be guessed */
	THROTTLE_WAIT,
};

enum { THROTTLE_DAY_LIMIT = 100 };

struct throttle *throttle_new(size_t entries); /* of each kind at most; 0: the usual number */
void throttle_free(struct throttle *t);

/* May this be tried? Unless WAIT it is counted, and one of the three below must follow. *out_known_good: A12. */
enum throttle_says throttle_ask(struct throttle *t, uint64_t now_us, const struct throttle_try *who,
				bool *out_known_good);
/* It was wrong: returns how long to wait with the answer, in ms. */
uint32_t throttle_failed(struct throttle *t, uint64_t now_us, const struct throttle_try *who);
void throttle_passed(struct throttle *t, uint64_t now_us, const struct throttle_try *who);
void throttle_undecided(struct throttle *t, uint64_t now_us, const struct throttle_try *who);

/* An operator's act, or the account's password changed: its counts are gone, known-good places stay unless forget_good. */
void throttle_forget(struct throttle *t, struct span account, bool forget_good);
uint32_t throttle_failures(const struct throttle *t, struct span account);

bool throttle_is_dirty(const struct throttle *t); /* since the last save */
void throttle_save(struct throttle *t, struct buf *out);
/* Adds what is readable; lines that are not are skipped. Returns their number. */
size_t throttle_load(struct throttle *t, struct span bytes);
