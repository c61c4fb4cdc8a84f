/*
 * FilterOperators (RFC 8620 s5.5) laid flat: conditions and what joins the one or two before, in postfix order. No recursion:
 * the JSON is at most JMAP_JSON_DEPTH deep, and so is the stack that works it off.
 */
#pragma once

#include "jmap/internal.h"

enum jmap_join {
	JMAP_ALL,
	JMAP_NONE,
	JMAP_NOT,
	JMAP_AND,
	JMAP_OR
}; /* ALL, NONE: a condition of its own */

struct jmap_operators {
	/* A FilterCondition: at least one leaf, joined to one value. False: the call has failed. */
	bool (*on_condition)(struct jmap_call *c, void *to, json_t *condition);
	bool (*on_join)(struct jmap_call *c, void *to, enum jmap_join join);
};
/* json NULL or null: everything. False: the call has failed. */
bool jmap_operators_read(struct jmap_call *c, json_t *json, const struct jmap_operators *ops,
			 void *to);

/* Truth of three values. */
enum jmap_truth { JMAP_NO, JMAP_YES, JMAP_UNKNOWN };
enum jmap_truth jmap_both(enum jmap_truth a, enum jmap_truth b);
enum jmap_truth jmap_either(enum jmap_truth a, enum jmap_truth b);
enum jmap_truth jmap_opposite(enum jmap_truth a);
