/*
 * What all /set methods have in common (RFC 8620 s5.3): arguments, states, the three lists of what was done and the three of
 * what was not. oldState and newState are those before our first change and behind the last that follows without
 * another's between: a client that goes on from newState misses nothing.
 */
#pragma once

#include "jmap/internal.h"

struct jmap_set {
	json_t *create, *update, *destroy; /* of the arguments; NULL: not given */
	json_t *made[3],
		*not_made[3]; /* by enum jmap_set_kind; ours. JMAP_DESTROYED's made is an array */
	bool has_if_state;
	uint64_t old_state, new_state;
	bool has_acted, is_broken; /* is_broken: another's change came between */
};

enum jmap_set_kind { JMAP_CREATED, JMAP_UPDATED, JMAP_DESTROYED };

/* state: the present one. known: further arguments. False: the call has failed; jmap_set_fini all the same. */
bool jmap_set_begin(struct jmap_call *c, struct jmap_set *s, uint64_t state, const char *known);
void jmap_set_fini(struct jmap_set *s);

/* One that was done: value (NULL: null) is taken. */
void jmap_set_done(struct jmap_set *s, enum jmap_set_kind kind, struct span id, json_t *value);
/* error is taken. */
void jmap_set_not(struct jmap_set *s, enum jmap_set_kind kind, struct span id, json_t *error);
bool jmap_set_is_destroyed_too(const struct jmap_call *c, const struct jmap_set *s, struct span id);

/* For states that are the account's modseq: if_state of the next act. */
uint64_t jmap_set_if_state(const struct jmap_set *s);
/* What an act came to, behind jmap_ask_act: OK: done. REFUSED: see the verdict. BROKEN: the call has failed. */
enum rc jmap_set_judged(struct jmap_call *c, struct jmap_set *s);
/* Nobody answered: fails the call, as nothing was done or as something was or may have been. Returns JMAP_DONE. */
enum jmap_step jmap_set_lost(struct jmap_call *c, const struct jmap_set *s);
/* The SetError that a refused act of Emails or mailboxes amounts to. */
json_t *jmap_set_refusal(const struct mail_verdict *v);

/* The answer is complete. */
enum jmap_step jmap_set_end(struct jmap_call *c, struct jmap_set *s);

/* ---- words that several of them read ---- */

struct jmap_keywords {
	uint32_t flags;
	struct span words; /* sorted, one blank between */
};
/* {"$seen": true}. NULL: fine, in the arena; else the SetError. */
json_t *jmap_keywords_read(struct arena *a, const json_t *object, struct jmap_keywords *out);
/* Names with blanks between, not sorted, may be twice: as an act has them. */
struct span jmap_words_sorted(struct arena *a, struct span words);

struct jmap_ids {
	uint64_t *ids;
	size_t n;
};
/* {"F1": true}, "#k" resolved; each must be a mailbox. NULL: fine; else the SetError. */
json_t *jmap_mailbox_ids_read(struct jmap_call *c, const json_t *object, struct jmap_ids *out);
