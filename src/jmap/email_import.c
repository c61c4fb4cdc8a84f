/* Email/import (RFC 8621 s4.8), and the copies between accounts that there are none of: a person has one account here. */
#include "jmap/make.h"

struct import {
	struct jmap_set set; /* create: emails */
	struct jmap_make *make;
	void *at; /* iterator */
	const char *creation_id;
};

static bool are_objects(const json_t *map)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	{
		if (!jmap_is_id(span_str(key)) || !json_is_object(value))
			return false;
	}
	return true;
}

static bool begin(struct jmap_call *c)
{
	struct import *i = arena_alloc(&c->arena, sizeof *i);
	json_t *emails = json_object_get(c->args, "emails");
	struct mail_state state;

	c->data = i;
	if (!json_is_object(emails) || !are_objects(emails))
		return jmap_bad_argument(c, "emails", "must be a map of Ids to EmailImports");
	if (json_object_size(emails) > c->j->service->limits.set)
		return jmap_fail(c, "requestTooLarge", "At most %u objects in one call",
				 c->j->service->limits.set);
	if (!jmap_state(c, &state) || !jmap_args_known(c, "ifInState emails") ||
	    !jmap_set_begin(c, &i->set, state.modseq, "emails"))
		return false;
	i->set.create = emails;
	i->at = json_object_iter(emails);
	return true;
}

static void settle(struct jmap_call *c, struct import *i)
{
	json_t *error, *made = jmap_make_result(i->make, &error);

	if (made) {
		jmap_created(c, i->creation_id, jmap_text(json_object_get(made, "id")));
		jmap_set_done(&i->set, JMAP_CREATED, span_str(i->creation_id), made);
	} else {
		jmap_set_not(&i->set, JMAP_CREATED, span_str(i->creation_id), error);
	}
}

static enum jmap_step finish(struct jmap_call *c, struct import *i)
{
	enum jmap_step step = jmap_set_end(c, &i->set);

	(void)json_object_del(c->answer, "updated");
	(void)json_object_del(c->answer, "destroyed");
	(void)json_object_del(c->answer, "notUpdated");
	(void)json_object_del(c->answer, "notDestroyed");
	return step;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct import *i = c->data;
	enum jmap_step step;
	json_t *error;

	if (!i->make) {
		if (!i->at)
			return finish(c, i);
		i->creation_id = json_object_iter_key(i->at);
		i->make = jmap_make_import(c, json_object_iter_value(i->at), &error);
		i->at = json_object_iter_next(i->set.create, i->at);
		if (!i->make)
			jmap_set_not(&i->set, JMAP_CREATED, span_str(i->creation_id), error);
		return JMAP_AGAIN;
	}
	step = jmap_make_step(c, &i->set, i->make);
	if (step != JMAP_DONE)
		return step;
	if (!c->error)
		settle(c, i);
	jmap_make_free(i->make);
	i->make = NULL;
	return c->error ? JMAP_DONE : JMAP_AGAIN;
}

static void end(struct jmap_call *c)
{
	struct import *i = c->data;

	if (!i)
		return;
	jmap_make_free(i->make);
	jmap_set_fini(&i->set);
}

const struct jmap_method jmap_email_import = {"Email/import", JMAP_CAN_MAIL, begin, step, end};

/* ---- Email/copy (RFC 8621 s4.7), Blob/copy (RFC 8620 s6.3) ---- */

static bool copy_begin(struct jmap_call *c)
{
	struct span from = jmap_text(json_object_get(c->args, "fromAccountId"));
	uint64_t account;

	if (!from.p)
		return jmap_bad_argument(c, "fromAccountId", "must be an Id");
	if (jmap_account_of(from, &account) && account == c->j->person->account)
		return jmap_bad_argument(c, "fromAccountId", "must be another than accountId");
	return jmap_fail(c, "fromAccountNotFound", "There is no such account");
}

static enum jmap_step copy_step(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

const struct jmap_method jmap_email_copy = {"Email/copy", JMAP_CAN_MAIL, copy_begin, copy_step,
					    NULL};
const struct jmap_method jmap_blob_copy = {"Blob/copy", JMAP_CAN_CORE, copy_begin, copy_step, NULL};

/* ---- PushSubscription (RFC 8620 s7.2): this server makes no connections to the world for it; there is the event source ---- */

static bool push_get_begin(struct jmap_call *c)
{
	json_t *ids;

	if (!jmap_get_ids(c, true, &ids))
		return false;
	(void)json_object_set_new(c->answer, "list", json_array());
	(void)json_object_set_new(c->answer, "notFound", ids ? json_deep_copy(ids) : json_array());
	return true;
}

static void refuse_all(struct jmap_call *c, const char *given, const char *name, const char *type,
		       const char *why)
{
	json_t *all = json_object_get(c->args, given), *not = json_object(), *value;
	const char *key;
	size_t i;

	json_object_foreach(json_is_object(all) ? all : NULL, key, value)(void)
		json_object_set_new(not, key, jmap_set_error(type, NULL, "%s", why));
	json_array_foreach(all, i, value)
	{
		if (json_is_string(value))
			(void)json_object_set_new(not, json_string_value(value),
						  jmap_set_error(type, NULL, "%s", why));
	}
	(void)json_object_set_new(c->answer, name,
				  json_object_size(not ) ? json_incref(not ) : json_null());
	json_decref(not );
}

static bool push_set_begin(struct jmap_call *c)
{
	static const char why[] =
		"This server makes no connections for pushing; use eventSourceUrl";

	refuse_all(c, "create", "notCreated", "forbidden", why);
	refuse_all(c, "update", "notUpdated", "notFound", "There is no such subscription");
	refuse_all(c, "destroy", "notDestroyed", "notFound", "There is no such subscription");
	return true;
}

const struct jmap_method jmap_push_get = {"PushSubscription/get", JMAP_CAN_CORE, push_get_begin,
					  copy_step, NULL};
const struct jmap_method jmap_push_set = {"PushSubscription/set", JMAP_CAN_CORE, push_set_begin,
					  copy_step, NULL};
