#include "jmap/operators.h"

struct frame { /* an operator that is open */
	json_t *conditions;
	size_t at; /* complete ones */
	enum jmap_join join;
	bool is_not;
};

static bool bad(struct jmap_call *c, const char *why)
{
	return jmap_bad_argument(c, "filter", why);
}

static bool open_frame(struct jmap_call *c, json_t *json, struct frame *out)
{
	struct span name = jmap_text(json_object_get(json, "operator"));
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
	{
		if (!jmap_has_name("operator conditions", span_str(key)))
			return bad(c, "a FilterOperator has only operator and conditions");
	}
	*out = (struct frame){.conditions = json_object_get(json, "conditions"),
			      .join = span_eq(name, SPAN_LIT("AND")) ? JMAP_AND : JMAP_OR,
			      .is_not = span_eq(name, SPAN_LIT("NOT"))};
	if (out->join != JMAP_AND && !out->is_not && !span_eq(name, SPAN_LIT("OR")))
		return bad(c, "an operator must be AND, OR or NOT");
	return json_is_array(out->conditions) || bad(c, "conditions must be an array");
}

/* NOT: none of the conditions must match. */
static bool close_frame(struct jmap_call *c, const struct jmap_operators *ops, void *to,
			const struct frame *frame)
{
	if (frame->at == 0 && !ops->on_join(c, to, frame->join == JMAP_AND ? JMAP_ALL : JMAP_NONE))
		return false;
	return !frame->is_not || ops->on_join(c, to, JMAP_NOT);
}

/* A condition is complete: it is joined with those before it. */
static bool joined(struct jmap_call *c, const struct jmap_operators *ops, void *to,
		   struct frame *above)
{
	return above->at++ == 0 || ops->on_join(c, to, above->join);
}

bool jmap_operators_read(struct jmap_call *c, json_t *json, const struct jmap_operators *ops,
			 void *to)
{
	struct frame stack[JMAP_JSON_DEPTH + 1] = {{.join = JMAP_AND}};
	size_t depth = 1; /* the outermost holds the filter itself */
	json_t *next = json;

	if (!json || json_is_null(json))
		return ops->on_join(c, to, JMAP_ALL);
	while (depth) {
		struct frame *top = &stack[depth - 1];

		if (depth > 1)
			next = json_array_get(top->conditions, top->at);
		else if (top->at)
			return true;
		if (!next) {
			depth--;
			if (!close_frame(c, ops, to, top) || !joined(c, ops, to, top - 1))
				return false;
		} else if (!json_is_object(next)) {
			return bad(c, "a condition must be an object");
		} else if (!json_object_get(next, "operator")) {
			if (!ops->on_condition(c, to, next) || !joined(c, ops, to, top))
				return false;
		} else if (depth > JMAP_JSON_DEPTH) {
			return jmap_fail(c, "unsupportedFilter", "It is nested too deeply");
		} else if (!open_frame(c, next, &stack[depth++])) {
			return false;
		}
	}
	return true;
}

enum jmap_truth jmap_both(enum jmap_truth a, enum jmap_truth b)
{
	return a == JMAP_NO || b == JMAP_NO	? JMAP_NO
	       : a == JMAP_YES && b == JMAP_YES ? JMAP_YES
						: JMAP_UNKNOWN;
}

enum jmap_truth jmap_either(enum jmap_truth a, enum jmap_truth b)
{
	return a == JMAP_YES || b == JMAP_YES ? JMAP_YES
	       : a == JMAP_NO && b == JMAP_NO ? JMAP_NO
					      : JMAP_UNKNOWN;
}

enum jmap_truth jmap_opposite(enum jmap_truth a)
{
	return a == JMAP_YES ? JMAP_NO : a == JMAP_NO ? JMAP_YES : JMAP_UNKNOWN;
}
