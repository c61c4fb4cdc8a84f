#include "jmap/request.h"

#include "base/must.h"
#include "jmap/measure.h"

static bool refuse(struct jmap *j, const char *type, const char *detail, const char *limit)
{
	char full[80] = "urn:ietf:params:jmap:error:";

	strcat(full, type); /* one of ours */
	j->status = 400;
	jmap_problem(400, full, detail, limit, &j->out);
	return false;
}

/* "application/json", with whatever parameters. */
static bool is_json_type(struct span content_type)
{
	return span_eq_nocase(span_trim(span_cut(&content_type, ';')),
			      SPAN_LIT("application/json"));
}

static bool is_request(const json_t *r)
{
	const json_t *using = json_object_get(r, "using"),
		     *calls = json_object_get(r, "methodCalls");
	const json_t *created = json_object_get(r, "createdIds"), *item;
	const char *key;
	size_t i;

	if (!json_is_array(using) || !json_is_array(calls))
		return false;
	json_array_foreach(using, i, item)
	{
		if (!json_is_string(item))
			return false;
	}
	json_array_foreach(calls, i, item)
	{
		if (!json_is_array(item) || json_array_size(item) != 3 ||
		    !json_is_string(json_array_get(item, 0)) ||
		    !json_is_object(json_array_get(item, 1)) ||
		    !json_is_string(json_array_get(item, 2)))
			return false;
	}
	if (created && !json_is_object(created))
		return false;
	json_object_foreach((json_t *)(uintptr_t)created, key, item)
	{
		if (!jmap_is_id(span_str(key)) || !jmap_is_id(jmap_text(item)))
			return false;
	}
	return true;
}

static bool read_using(struct jmap *j)
{
	const json_t *using = json_object_get(j->request, "using"), *item;
	char detail[320];
	size_t i;

	json_array_foreach(using, i, item)
	{
		unsigned can = jmap_can_named(j->service, jmap_text(item));

		if (!can) {
			(void)snprintf(detail, sizeof detail,
				       "The Request object used capability '%.200s', which is not "
				       "supported by this server.",
				       json_string_value(item));
			return refuse(j, "unknownCapability", detail, "");
		}
		j->using |= can;
	}
	return true;
}

/* Which answers later calls refer to: only those are kept as values. */
static void mark_named(struct jmap *j)
{
	const json_t *call, *value;
	const char *key;
	size_t i;

	json_array_foreach(j->calls, i, call)
	{
		json_object_foreach(json_array_get(call, 1), key, value)
		{
			struct span named = jmap_text(json_object_get(value, "resultOf"));

			for (size_t k = 0; key[0] == '#' && named.p && k < i; k++) {
				const json_t *id = json_array_get(json_array_get(j->calls, k), 2);

				if (!span_eq(jmap_text(id), named))
					continue;
				j->is_named[k] = true;
				break;
			}
		}
	}
}

static bool parse(struct jmap *j, struct span body)
{
	json_error_t error;
	char detail[JSON_ERROR_TEXT_LENGTH + 60];

	switch (jmap_measured(body, JMAP_JSON_DEPTH, JMAP_JSON_VALUES)) {
	case JMAP_FITS:
		break;
	case JMAP_TOO_DEEP:
		return refuse(j, "notJSON", "Arrays and objects are nested too deeply.", "");
	case JMAP_TOO_MANY:
		return refuse(j, "limit", "The request has more values than this server takes.",
			      "maxSizeRequest");
	}
	j->request = json_loadb((const char *)body.p, body.n,
				JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (j->request)
		return true;
	(void)snprintf(detail, sizeof detail, "This is no I-JSON: %s (at byte %d).", error.text,
		       error.position);
	return refuse(j, "notJSON", detail, "");
}

bool jmap_request_read(struct jmap *j, const struct jmap_request *request)
{
	const struct jmap_limits *limits = &j->service->limits;
	const json_t *created;

	if (!is_json_type(request->content_type))
		return refuse(j, "notJSON", "The content type must be application/json.", "");
	if (request->body.n > limits->request_bytes)
		return refuse(j, "limit",
			      "The request is larger than the server is willing to process.",
			      "maxSizeRequest");
	if (!parse(j, request->body))
		return false;
	if (!is_request(j->request))
		return refuse(j, "notRequest", "The JSON is not a Request object.", "");
	j->calls = json_object_get(j->request, "methodCalls");
	j->calls_n = json_array_size(j->calls);
	if (j->calls_n > limits->calls)
		return refuse(j, "limit", "The request has more calls than the server takes.",
			      "maxCallsInRequest");
	if (!read_using(j))
		return false;
	created = json_object_get(j->request, "createdIds");
	j->tells_created = created != NULL;
	if (created)
		(void)json_object_update(j->created, (json_t *)(uintptr_t)created);
	j->kept = must_alloc((j->calls_n + 1) * sizeof *j->kept);
	j->is_named = must_alloc((j->calls_n + 1) * sizeof *j->is_named);
	mark_named(j);
	return true;
}
