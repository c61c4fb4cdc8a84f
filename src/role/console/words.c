/* Parameters, bodies, answers. */
#include "role/console/internal.h"

#include <stdlib.h>

struct span param(struct http_exchange *x, const char *name)
{
	struct buf out = {.limit = CONSOLE_TEXT_BYTES * 4};
	struct span raw, kept = SPAN_NONE;

	if (http_query_find(exchange_ask(x)->query, name, &raw) && http_decode(&out, raw, true))
		kept = arena_span(exchange_arena(x), buf_span(&out));
	buf_fini(&out);
	return kept;
}

uint64_t param_number(struct http_exchange *x, const char *name, uint64_t most, uint64_t otherwise)
{
	uint64_t value;

	return span_to_u64(param(x, name), most, &value) ? value : otherwise;
}

json_t *body_of(struct http_exchange *x)
{
	struct span body = exchange_ask(x)->body;
	json_t *o = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	answer_bad(x, "The body is not a JSON object.");
	return NULL;
}

struct span body_text(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value))
				     : SPAN_NONE;
}

uint64_t body_number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

void answer_object(struct http_exchange *x, unsigned status, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));

	json_decref(object);
	if (text)
		exchange_json(x, status, span_str(text));
	else
		exchange_problem(x, 500, "internal", "The answer could not be made.");
	free(text);
}

void answer_bad(struct http_exchange *x, const char *title)
{
	exchange_problem(x, 400, "invalid", title);
}

void answer_away(struct http_exchange *x, struct span why)
{
	char text[CONSOLE_TEXT_BYTES];

	(void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(span_first(why, sizeof text - 1)));
	exchange_problem(x, 503, "unavailable", text);
}

void answer_fault(struct http_exchange *x, enum rc rc, const struct fault *why)
{
	if (rc == REFUSED)
		exchange_problem(x, 404, "unknown", why->text);
	else
		answer_away(x, span_str(why->text[0] ? why->text : "The views cannot be read."));
}
