/* Arguments of calls, and what a call says when they are wrong (RFC 8620 s3.6.2). */
#include <stdarg.h>
#include <stdio.h>

#include "jmap/internal.h"

bool jmap_fail(struct jmap_call *c, const char *type, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_decref(c->error);
	c->error = json_object();
	(void)json_object_set_new(c->error, "type", json_string(type));
	(void)json_object_set_new(c->error, "description", jmap_json_text(span_str(text)));
	return false;
}

bool jmap_store_failed(struct jmap_call *c, enum rc rc, const struct fault *why)
{
	(void)why; /* the store's owner has logged it; what it says is no business of a client's */
	if (rc == LATER)
		return jmap_fail(c, "serverUnavailable",
				 "The mailboxes cannot be read now; try again later");
	return jmap_fail(c, "serverFail", "The mailboxes cannot be read");
}

bool jmap_bad_argument(struct jmap_call *c, const char *name, const char *why)
{
	(void)jmap_fail(c, "invalidArguments", "%s: %s", name, why);
	(void)json_object_set_new(c->error, "arguments", json_pack("[s]", name));
	return false;
}

json_t *jmap_set_error(const char *type, const char *properties, const char *format, ...)
{
	json_t *error = json_object();
	struct span rest = span_str(properties);
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	(void)json_object_set_new(error, "type", json_string(type));
	(void)json_object_set_new(error, "description", jmap_json_text(span_str(text)));
	if (properties) {
		json_t *names = json_array();

		while (rest.n)
			(void)json_array_append_new(names, jmap_json_text(span_cut(&rest, ' ')));
		(void)json_object_set_new(error, "properties", names);
	}
	return error;
}

bool jmap_args_known(struct jmap_call *c, const char *names)
{
	const char *key;
	json_t *value;

	json_object_foreach(c->args, key, value)
	{
		if (strcmp(key, "accountId") != 0 && !jmap_has_name(names, span_str(key)))
			return jmap_bad_argument(c, key, "there is no such argument");
	}
	return true;
}

/* NULL: absent or null. */
static json_t *given(const struct jmap_call *c, const char *name)
{
	json_t *value = json_object_get(c->args, name);

	return json_is_null(value) ? NULL : value;
}

bool jmap_arg_int(struct jmap_call *c, const char *name, int64_t *out)
{
	const json_t *value = given(c, name);

	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < -JMAP_INT_MOST ||
	    json_integer_value(value) > JMAP_INT_MOST)
		return jmap_bad_argument(c, name, "must be an Int");
	*out = json_integer_value(value);
	return true;
}

bool jmap_arg_uint(struct jmap_call *c, const char *name, uint64_t *out)
{
	int64_t value = -1;

	if (!given(c, name))
		return true;
	if (!jmap_arg_int(c, name, &value))
		return false;
	if (value < 0)
		return jmap_bad_argument(c, name, "must be an UnsignedInt");
	*out = (uint64_t)value;
	return true;
}

bool jmap_arg_bool(struct jmap_call *c, const char *name, bool *out)
{
	const json_t *value = given(c, name);

	if (!value)
		return true;
	if (!json_is_boolean(value))
		return jmap_bad_argument(c, name, "must be a Boolean");
	*out = json_is_true(value);
	return true;
}

bool jmap_arg_text(struct jmap_call *c, const char *name, struct span *out)
{
	const json_t *value = given(c, name);

	if (!value)
		return true;
	if (!json_is_string(value))
		return jmap_bad_argument(c, name, "must be a String");
	*out = jmap_text(value);
	return true;
}

bool jmap_arg_texts(struct jmap_call *c, const char *name, json_t **out)
{
	json_t *value = given(c, name), *item;
	size_t i;

	*out = NULL;
	if (!value)
		return true;
	if (!json_is_array(value))
		return jmap_bad_argument(c, name, "must be an array of Strings");
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item))
			return jmap_bad_argument(c, name, "must be an array of Strings");
	}
	*out = value;
	return true;
}

bool jmap_arg_object(struct jmap_call *c, const char *name, json_t **out)
{
	json_t *value = given(c, name);

	*out = NULL;
	if (value && !json_is_object(value))
		return jmap_bad_argument(c, name, "must be an object");
	*out = value;
	return true;
}

bool jmap_arg_ids(struct jmap_call *c, const char *name, json_t **out)
{
	json_t *item;
	size_t i;

	if (!jmap_arg_texts(c, name, out))
		return false;
	json_array_foreach(*out, i, item)
	{
		if (!jmap_is_id(jmap_text(item)))
			return jmap_bad_argument(c, name, "must be an array of Ids");
	}
	return true;
}

bool jmap_get_ids(struct jmap_call *c, bool allows_all, json_t **out)
{
	unsigned most = c->j->service->limits.get;

	if (!jmap_arg_ids(c, "ids", out))
		return false;
	if (!*out && !allows_all)
		return jmap_fail(c, "requestTooLarge", "ids must be given: there may be too many");
	if (json_array_size(*out) > most)
		return jmap_fail(c, "requestTooLarge", "At most %u ids", most);
	return true;
}

bool jmap_get_properties(struct jmap_call *c, const char *known, json_t **out)
{
	json_t *item;
	size_t i;

	if (!jmap_arg_texts(c, "properties", out))
		return false;
	json_array_foreach(*out, i, item)
	{
		if (!jmap_has_name(known, jmap_text(item)))
			return jmap_bad_argument(c, "properties", "there is no such property");
	}
	return true;
}

json_t *jmap_unique(const json_t *ids)
{
	json_t *seen = json_object(), *out = json_array(), *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		const char *key = json_string_value(id);

		if (json_object_get(seen, key))
			continue;
		(void)json_object_set_new(seen, key, json_true());
		(void)json_array_append(out, id);
	}
	json_decref(seen);
	return out;
}

bool jmap_state(struct jmap_call *c, struct mail_state *out)
{
	const struct mail_store *store = &c->j->person->store;
	struct fault why = {0};
	enum rc rc = store->ops->state(store->arg, out, &why);

	return rc == OK || jmap_store_failed(c, rc, &why);
}

struct span jmap_resolved(const struct jmap_call *c, struct span id)
{
	char key[JMAP_ID_BYTES + 1];

	if (id.n == 0 || id.p[0] != '#')
		return id;
	if (id.n > JMAP_ID_BYTES)
		return SPAN_NONE;
	(void)snprintf(key, sizeof key, "%.*s", SPAN_FMT(span_from(id, 1)));
	return jmap_text(json_object_get(c->j->created, key));
}

void jmap_created(struct jmap_call *c, const char *creation_id, struct span id)
{
	(void)json_object_set_new(c->j->created, creation_id, jmap_json_text(id));
}
