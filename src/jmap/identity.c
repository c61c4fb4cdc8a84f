#include "jmap/identity.h"

#include "base/ascii.h"
#include "jmap/changes.h"
#include "jmap/set.h"

static const char properties[] = "id name email replyTo bcc textSignature htmlSignature mayDelete";
static const char settable[] = "name replyTo bcc textSignature htmlSignature";
static const char setting_prefix[] = "identity.";

/* ---- ids ---- */

void jmap_identity_id(struct span email, char out[JMAP_IDENTITY_ID_BYTES])
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < email.n; i++)
		hash = (hash ^ ascii_lower(email.p[i])) * 1099511628211u;
	(void)snprintf(out, JMAP_IDENTITY_ID_BYTES, "I%016llx", (unsigned long long)hash);
}

bool jmap_identity_of(const struct jmap_person *person, struct span id, struct span *out_send_as)
{
	char known[JMAP_IDENTITY_ID_BYTES];

	for (size_t i = 0; i < person->send_as_n; i++) {
		jmap_identity_id(person->send_as[i], known);
		if (!span_eq(span_str(known), id))
			continue;
		*out_send_as = person->send_as[i];
		return true;
	}
	return false;
}

/* ---- what is kept ---- */

struct kept {
	json_t *of; /* id -> object */
};

static bool on_setting(void *to, struct span name, struct span value)
{
	struct kept *k = to;
	struct span id = span_from(name, sizeof setting_prefix - 1);
	char key[JMAP_IDENTITY_ID_BYTES];
	json_t *object;

	if (!span_starts(name, span_str(setting_prefix)) || id.n >= sizeof key)
		return true;
	object = json_loadb((const char *)value.p, value.n, JSON_REJECT_DUPLICATES, NULL);
	memcpy(key, id.p, id.n);
	key[id.n] = '\0';
	if (json_is_object(object))
		(void)json_object_set(k->of, key, object);
	json_decref(object);
	return true;
}

/* False: the call has failed. *out is the caller's. */
static bool read_kept(struct jmap_call *c, struct kept *out)
{
	const struct mail_store *store = &c->j->person->store;
	struct fault why = {0};
	enum rc rc;

	out->of = json_object();
	rc = store->ops->each_setting(store->arg, on_setting, out, &why);
	if (rc == OK)
		return true;
	json_decref(out->of);
	return jmap_store_failed(c, rc, &why);
}

static json_t *kept_or(const json_t *kept, const char *name, json_t *otherwise)
{
	json_t *value = json_object_get(kept, name);

	if (!value)
		return otherwise;
	json_decref(otherwise);
	return json_incref(value);
}

static json_t *identity(const struct jmap_person *person, size_t i, const struct kept *k)
{
	struct span email = person->send_as[i];
	bool is_domain = email.n && email.p[0] == '@';
	char id[JMAP_IDENTITY_ID_BYTES];
	const json_t *kept;
	json_t *o = json_object();

	jmap_identity_id(email, id);
	kept = json_object_get(k->of, id);
	(void)json_object_set_new(o, "id", json_string(id));
	(void)json_object_set_new(
		o, "name",
		kept_or(kept, "name", jmap_json_text(is_domain ? SPAN_LIT("") : person->person)));
	(void)json_object_set_new(o, "email",
				  is_domain ? json_sprintf("*%.*s", SPAN_FMT(email))
					    : jmap_json_text(email));
	(void)json_object_set_new(o, "replyTo", kept_or(kept, "replyTo", json_null()));
	(void)json_object_set_new(o, "bcc", kept_or(kept, "bcc", json_null()));
	(void)json_object_set_new(o, "textSignature",
				  kept_or(kept, "textSignature", json_string("")));
	(void)json_object_set_new(o, "htmlSignature",
				  kept_or(kept, "htmlSignature", json_string("")));
	(void)json_object_set_new(o, "mayDelete", json_false());
	return o;
}

/* NULL: there is none. */
static json_t *identity_named(const struct jmap_person *person, const char *id,
			      const struct kept *k)
{
	char known[JMAP_IDENTITY_ID_BYTES];

	for (size_t i = 0; i < person->send_as_n; i++) {
		jmap_identity_id(person->send_as[i], known);
		if (strcmp(known, id) == 0)
			return identity(person, i, k);
	}
	return NULL;
}

static bool read_state(struct jmap_call *c, uint64_t *out)
{
	struct fault why = {0};
	enum rc rc = jmap_identity_state(c->j->person, out, &why);

	return rc == OK || jmap_store_failed(c, rc, &why);
}

static enum jmap_step done(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

/* ---- Identity/get ---- */

static void strip(json_t *o, const json_t *props)
{
	json_t *copy = json_object(), *item;
	size_t i;

	if (!props) {
		json_decref(copy);
		return;
	}
	(void)json_object_set(copy, "id", json_object_get(o, "id"));
	json_array_foreach(props, i, item)(void) json_object_set(
		copy, json_string_value(item), json_object_get(o, json_string_value(item)));
	(void)json_object_clear(o);
	(void)json_object_update(o, copy);
	json_decref(copy);
}

static void put_missing(struct jmap_call *c, const json_t *ids)
{
	json_t *missing = json_array(), *unique = jmap_unique(ids), *id;
	struct span send_as;
	size_t i;

	json_array_foreach(unique, i, id)
	{
		if (!jmap_identity_of(c->j->person, jmap_text(id), &send_as))
			(void)json_array_append(missing, id);
	}
	json_decref(unique);
	(void)json_object_set_new(c->answer, "notFound", missing);
}

static bool is_among(const json_t *ids, const json_t *id)
{
	json_t *item;
	size_t i;

	json_array_foreach(ids, i, item)
	{
		if (json_equal(item, id))
			return true;
	}
	return !ids;
}

static bool get_begin(struct jmap_call *c)
{
	json_t *ids, *props, *list;
	struct kept kept;
	uint64_t state;

	if (!jmap_args_known(c, "ids properties") || !jmap_get_ids(c, true, &ids) ||
	    !jmap_get_properties(c, properties, &props) || !read_state(c, &state) ||
	    !read_kept(c, &kept))
		return false;
	list = json_array();
	for (size_t i = 0; i < c->j->person->send_as_n; i++) {
		json_t *o = identity(c->j->person, i, &kept);

		if (is_among(ids, json_object_get(o, "id"))) {
			strip(o, props);
			(void)json_array_append(list, o);
		}
		json_decref(o);
	}
	json_decref(kept.of);
	(void)json_object_set_new(c->answer, "state", jmap_state_id(state));
	(void)json_object_set_new(c->answer, "list", list);
	put_missing(c, ids);
	return true;
}

const struct jmap_method jmap_identity_get = {"Identity/get", JMAP_CAN_SUBMISSION, get_begin, done,
					      NULL};

/* ---- Identity/changes ---- */

static bool changes_begin(struct jmap_call *c)
{
	uint64_t state;

	return read_state(c, &state) && jmap_changes_unkept(c, state);
}

const struct jmap_method jmap_identity_changes = {"Identity/changes", JMAP_CAN_SUBMISSION,
						  changes_begin, done, NULL};

/* ---- Identity/set ---- */

struct identity_set {
	struct jmap_set set;
	struct kept kept;
	void *at; /* of updates */
	const char *id;
	bool has_asked, has_acted;
};

static bool set_begin(struct jmap_call *c)
{
	struct identity_set *s = arena_alloc(&c->arena, sizeof *s);
	uint64_t state;
	const char *key;
	json_t *value;
	size_t i;

	c->data = s;
	if (!read_state(c, &state) || !jmap_set_begin(c, &s->set, state, "") ||
	    !read_kept(c, &s->kept))
		return false;
	json_object_foreach(s->set.create, key, value) jmap_set_not(
		&s->set, JMAP_CREATED, span_str(key),
		jmap_set_error("forbidden", NULL,
			       "Identities are the addresses the account may send as"));
	json_array_foreach(s->set.destroy, i, value)
	{
		struct span send_as;
		bool is_ours = jmap_identity_of(c->j->person, jmap_text(value), &send_as);

		jmap_set_not(
			&s->set, JMAP_DESTROYED, jmap_text(value),
			is_ours ? jmap_set_error("forbidden", NULL, "It cannot be destroyed")
				: jmap_set_error("notFound", NULL, "There is no such identity"));
	}
	s->at = s->set.update ? json_object_iter(s->set.update) : NULL;
	return true;
}

static bool are_addresses(const json_t *list)
{
	json_t *item;
	size_t i;

	if (json_is_null(list))
		return true;
	json_array_foreach(list, i, item)
	{
		const json_t *name = json_object_get(item, "name");

		if (!json_is_string(json_object_get(item, "email")) ||
		    (name && !json_is_null(name) && !json_is_string(name)))
			return false;
	}
	return json_is_array(list);
}

static json_t *judge_property(const json_t *now, const char *key, const json_t *value)
{
	if (json_object_get(now, key) && !jmap_has_name(settable, span_str(key)) &&
	    json_equal(json_object_get(now, key), value))
		return NULL; /* it is so already (RFC 8620 s5.3) */
	if (!jmap_has_name(settable, span_str(key)))
		return jmap_set_error("invalidProperties", key, "cannot be set");
	if (strcmp(key, "replyTo") == 0 || strcmp(key, "bcc") == 0)
		return are_addresses(value) ? NULL
					    : jmap_set_error("invalidProperties", key,
							     "must be EmailAddresses or null");
	return json_is_string(value) ? NULL
				     : jmap_set_error("invalidProperties", key, "must be a String");
}

/* The value to keep, as text; false: *out_error. */
static bool patched(struct jmap_call *c, const char *id, json_t *patch, struct buf *out,
		    json_t **out_error)
{
	struct identity_set *s = c->data;
	json_t *o = json_object(), *now = identity_named(c->j->person, id, &s->kept), *value;
	const char *key;

	*out_error = NULL;
	(void)json_object_update(o, json_object_get(s->kept.of, id));
	json_object_foreach(patch, key, value)
	{
		*out_error = judge_property(now, key, value);
		if (*out_error)
			break;
		if (jmap_has_name(settable, span_str(key)))
			(void)json_object_set(o, key, value);
	}
	json_decref(now);
	if (!*out_error) {
		jmap_print(o, out);
		if (out->n > MAIL_SETTING_BYTES)
			*out_error = jmap_set_error("overQuota", NULL, "It is too long");
	}
	json_decref(o);
	return !*out_error;
}

static enum jmap_step ask(struct jmap_call *c, struct identity_set *s, json_t *patch)
{
	struct span send_as, id = jmap_resolved(c, span_str(s->id));
	struct buf value = {0}, name = {0};
	struct mail_act act = {.kind = MAIL_ACT_SETTING};
	json_t *error = NULL;

	if (!jmap_identity_of(c->j->person, id, &send_as))
		error = jmap_set_error("notFound", NULL, "There is no such identity");
	else if (patched(c, s->id, patch, &value, &error))
		act.value = arena_span(&c->arena, buf_span(&value));
	(void)buf_printf(&name, "%s%.*s", setting_prefix, SPAN_FMT(id));
	act.name = arena_span(&c->arena, buf_span(&name));
	buf_fini(&name);
	buf_fini(&value);
	if (error) {
		jmap_set_not(&s->set, JMAP_UPDATED, span_str(s->id), error);
		return JMAP_AGAIN;
	}
	s->has_asked = true;
	return jmap_ask_act(c, &act);
}

static enum jmap_step set_finish(struct jmap_call *c, struct identity_set *s)
{
	uint64_t state;

	if (!read_state(c, &state))
		return JMAP_DONE;
	s->set.new_state = state;
	return jmap_set_end(c, &s->set);
}

static enum jmap_step set_step(struct jmap_call *c)
{
	struct identity_set *s = c->data;
	json_t *patch;

	if (s->has_asked) {
		uint64_t old = s->set.old_state; /* this state is no modseq */
		enum rc rc = jmap_set_judged(c, &s->set);

		s->has_asked = false;
		s->set.old_state = old;
		if (rc == BROKEN)
			return JMAP_DONE;
		if (rc == OK)
			jmap_set_done(&s->set, JMAP_UPDATED, span_str(s->id), NULL);
		else
			jmap_set_not(&s->set, JMAP_UPDATED, span_str(s->id),
				     jmap_set_refusal(&c->got.verdict));
	}
	if (!s->at)
		return set_finish(c, s);
	s->id = json_object_iter_key(s->at);
	patch = json_object_iter_value(s->at);
	s->at = json_object_iter_next(s->set.update, s->at);
	return ask(c, s, patch);
}

static void set_end(struct jmap_call *c)
{
	struct identity_set *s = c->data;

	if (!s)
		return;
	json_decref(s->kept.of);
	jmap_set_fini(&s->set);
}

const struct jmap_method jmap_identity_set = {"Identity/set", JMAP_CAN_SUBMISSION, set_begin,
					      set_step, set_end};
