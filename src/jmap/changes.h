/* What changed since a state (RFC 8620 s5.2): read from the store once, told by /changes and /queryChanges. */
#pragma once

#include "jmap/internal.h"

enum { JMAP_CHANGES_MOST = 20000 }; /* read at once */

struct jmap_changes {
	struct mail_change *all; /* ascending by modseq; ours */
	size_t n;
	bool is_more; /* than `most` */
};

typedef enum rc (*jmap_changes_call)(void *arg, uint64_t since,
				     bool (*on_change)(void *to, const struct mail_change *c),
				     void *to, struct fault *why);
/* False: the call has failed (cannotCalculateChanges). */
bool jmap_changes_read(struct jmap_call *c, jmap_changes_call ask, uint64_t since, size_t most,
		       struct jmap_changes *out);
void jmap_changes_fini(struct jmap_changes *ch);
/* sinceState or sinceQueryState; not one of ours, or of the future: cannotCalculateChanges. */
bool jmap_since(struct jmap_call *c, const char *name, const struct mail_state *now, uint64_t *out);
/* maxChanges; 0: not given. */
bool jmap_changes_limit(struct jmap_call *c, uint64_t *out);
/* A /changes of a type whose changes are not kept: none since then, or they cannot be calculated. */
bool jmap_changes_unkept(struct jmap_call *c, uint64_t state);
