/*
 * Mailbox/set (RFC 8621 s2.5). A mailbox's place in the tree is in its name (mailbox.h), so that another name or parent is one
 * RENAME. INBOX and the other special ones stay as they are. Creations that name each other are made parents first; what
 * is destroyed goes children first.
 */
#include <stdlib.h>

#include "jmap/mailbox.h"
#include "jmap/set.h"
#include "mail/address.h"

enum { TRIES = 8 }; /* of a destruction while other changes come between */

enum ask { ASK_NOTHING, ASK_CREATE, ASK_RENAME, ASK_SUBSCRIBE, ASK_DELETE };

struct mailbox_set {
	struct jmap_set set;
	bool removes_emails;

	const char **creations; /* still to be made */
	size_t creations_n, creation_at;
	bool has_progress;
	void *update;	/* iterator */
	uint64_t *gone; /* to be destroyed, children first */
	const char **gone_ids;
	size_t gone_n, gone_at;
	bool is_sorted;

	/* the one at work */
	enum ask asked;
	const char *id;
	json_t *given;
	uint64_t box;
	bool wants_subscribed, has_subscribed; /* a wish; it is given */
	struct span name;		       /* its full name */
	unsigned tries;
};

static const struct mail_store *store_of(const struct jmap_call *c)
{
	return &c->j->person->store;
}

/* Its name is copied. REFUSED: there is none. */
static enum rc box_of(struct jmap_call *c, uint64_t id, struct mail_box *out)
{
	struct fault why = {0};
	enum rc rc = store_of(c)->ops->box_by_id(store_of(c)->arg, id, out, &why);

	if (rc == OK)
		out->name = arena_span(&c->arena, out->name);
	else if (rc != REFUSED)
		(void)jmap_store_failed(c, rc, &why);
	return rc;
}

static json_t *bad(const char *property, const char *why)
{
	return jmap_set_error("invalidProperties", property, "%s: %s", property, why);
}

/* ---- names ---- */

static bool is_level(struct span name)
{
	for (size_t i = 0; i < name.n;) {
		size_t n = utf8_length(name.p + i, name.n - i);

		if (n == 0 || name.p[i] < 32 || name.p[i] == 127 || strchr("/*%", name.p[i]))
			return false;
		i += n;
	}
	return name.n > 0 && span_trim(name).n == name.n;
}

static struct span joined(struct jmap_call *c, struct span parent, struct span name)
{
	struct buf text = {0};
	struct span out;

	if (parent.n)
		(void)buf_printf(&text, "%.*s/", SPAN_FMT(parent));
	(void)buf_append(&text, name);
	out = arena_span(&c->arena, buf_span(&text));
	buf_fini(&text);
	return out;
}

/* The full name of the mailbox that stands above (mailbox.c), and what is left of the name. */
static void split(struct jmap_call *c, struct span full, struct span *out_parent,
		  struct span *out_name)
{
	const struct mail_store *store = store_of(c);
	struct span above = full;
	struct mail_box box;
	struct fault why = {0};
	ssize_t at;

	*out_parent = SPAN_NONE;
	*out_name = full;
	while ((at = span_rchr(above, '/')) > 0) {
		above = span_first(above, (size_t)at);
		if (store->ops->box_by_name(store->arg, above, &box, &why) != OK)
			continue;
		*out_parent = above;
		*out_name = span_from(full, above.n + 1);
		return;
	}
}

/* parentId: null or a mailbox there is. */
static json_t *read_parent(struct jmap_call *c, const json_t *value, struct span *out)
{
	struct span id = jmap_resolved(c, jmap_text(value));
	struct mail_box box;
	uint64_t number;

	*out = SPAN_NONE;
	if (!value || json_is_null(value))
		return NULL;
	if (!jmap_box_of(id, &number) || box_of(c, number, &box) != OK)
		return bad("parentId", "there is no such mailbox");
	*out = box.name;
	return NULL;
}

/* ---- properties ---- */

static json_t *read_name(const json_t *value, struct span *out)
{
	*out = jmap_text(value);
	if (!is_level(*out))
		return bad("name", "must be 1 to 512 bytes without / * % and control characters");
	return NULL;
}

static json_t *judge_other(const char *key, const json_t *value, enum mail_special special)
{
	const char *role = jmap_role(special);

	if (strcmp(key, "isSubscribed") == 0)
		return json_is_boolean(value) ? NULL : bad(key, "must be a Boolean");
	if (strcmp(key, "sortOrder") == 0)
		return json_is_integer(value) && json_integer_value(value) >= 0
			       ? NULL
			       : bad(key, "must be an UnsignedInt");
	if (strcmp(key, "role") == 0) {
		if (json_is_null(value) ? !role : role && span_eq(jmap_text(value), span_str(role)))
			return NULL;
		return bad(key, "roles are given already");
	}
	return bad(key, "cannot be set");
}

static json_t *judge_all(json_t *object, enum mail_special special)
{
	json_t *value, *error;
	const char *key;

	json_object_foreach(object, key, value)
	{
		if (strcmp(key, "name") == 0 || strcmp(key, "parentId") == 0)
			continue;
		error = judge_other(key, value, special);
		if (error)
			return error;
	}
	return NULL;
}

/* What the server made of it otherwise than asked: sortOrder is ours. */
static json_t *corrected(const json_t *given, enum mail_special special)
{
	const json_t *order = json_object_get(given, "sortOrder");
	int ours = jmap_sort_order(special);

	if (!order || json_integer_value(order) == ours)
		return NULL;
	return json_pack("{s:i}", "sortOrder", ours);
}

/* ---- verdicts ---- */

static json_t *refusal(const struct mail_verdict *v)
{
	switch (v->code) {
	case MAIL_ALREADYEXISTS:
	case MAIL_CANNOT:
		return jmap_set_error("invalidProperties", "name", "%.*s", SPAN_FMT(v->text));
	case MAIL_HASCHILDREN:
		return jmap_set_error("mailboxHasChild", NULL, "%.*s", SPAN_FMT(v->text));
	case MAIL_NONEXISTENT:
		return jmap_set_error("notFound", NULL, "%.*s", SPAN_FMT(v->text));
	case MAIL_OVERQUOTA:
	case MAIL_LIMIT:
	case MAIL_OK:
	case MAIL_NOACCOUNT:
	case MAIL_STATE:
	case MAIL_NOPLACE:
		break;
	}
	return jmap_set_error("overQuota", NULL, "%.*s", SPAN_FMT(v->text));
}

static enum jmap_step ask(struct jmap_call *c, struct mailbox_set *s, enum ask what,
			  struct mail_act act)
{
	s->asked = what;
	act.if_state = act.if_state ? act.if_state : jmap_set_if_state(&s->set);
	return jmap_ask_act(c, &act);
}

static enum jmap_step ask_subscribe(struct jmap_call *c, struct mailbox_set *s)
{
	return ask(c, s, ASK_SUBSCRIBE,
		   (struct mail_act){.kind = s->wants_subscribed ? MAIL_ACT_SUBSCRIBE
								 : MAIL_ACT_UNSUBSCRIBE,
				     .name = s->name});
}

static void read_subscribed(struct mailbox_set *s, const json_t *given)
{
	const json_t *value = json_object_get(given, "isSubscribed");

	s->has_subscribed = json_is_boolean(value);
	s->wants_subscribed = json_is_true(value);
}

/* ---- creating ---- */

static bool waits_for(const struct mailbox_set *s, const json_t *given)
{
	struct span parent = jmap_text(json_object_get(given, "parentId"));

	for (size_t i = 0; parent.n && parent.p[0] == '#' && i < s->creations_n; i++)
		if (s->creations[i] && span_eq(span_str(s->creations[i]), span_from(parent, 1)))
			return true;
	return false;
}

static enum jmap_step create_one(struct jmap_call *c, struct mailbox_set *s, const char *id)
{
	json_t *given = json_object_get(s->set.create, id);
	struct span parent, name;
	json_t *error = judge_all(given, MAIL_PLAIN);
	struct mail_box box;
	struct fault why = {0};

	if (!error)
		error = read_name(json_object_get(given, "name"), &name);
	if (!error)
		error = read_parent(c, json_object_get(given, "parentId"), &parent);
	if (!error) {
		s->name = joined(c, parent, name);
		if (store_of(c)->ops->box_by_name(store_of(c)->arg, s->name, &box, &why) == OK)
			error = bad("name", "there is one of this name");
	}
	if (c->error) {
		json_decref(error);
		return JMAP_DONE;
	}
	if (error) {
		jmap_set_not(&s->set, JMAP_CREATED, span_str(id), error);
		return JMAP_AGAIN;
	}
	s->id = id;
	s->given = given;
	read_subscribed(s, given);
	return ask(c, s, ASK_CREATE, (struct mail_act){.kind = MAIL_ACT_CREATE, .name = s->name});
}

/* The next whose parent is there; in rounds, until a round makes nothing. */
static enum jmap_step create_next(struct jmap_call *c, struct mailbox_set *s, bool *out_is_over)
{
	*out_is_over = false;
	for (; s->creation_at < s->creations_n; s->creation_at++) {
		const char *id = s->creations[s->creation_at];

		if (!id || waits_for(s, json_object_get(s->set.create, id)))
			continue;
		s->creations[s->creation_at++] = NULL;
		s->has_progress = true;
		return create_one(c, s, id);
	}
	s->creation_at = 0;
	if (s->has_progress) {
		s->has_progress = false;
		return JMAP_AGAIN;
	}
	for (size_t i = 0; i < s->creations_n; i++)
		if (s->creations[i])
			jmap_set_not(&s->set, JMAP_CREATED, span_str(s->creations[i]),
				     bad("parentId", "these are each other's parents"));
	s->creations_n = 0;
	*out_is_over = true;
	return JMAP_AGAIN;
}

static void created(struct jmap_call *c, struct mailbox_set *s)
{
	json_t *o = json_object(), *id = jmap_box_id(s->box);
	struct mail_box box;
	bool is_subscribed = box_of(c, s->box, &box) == OK && box.is_subscribed;

	jmap_created(c, s->id, jmap_text(id));
	(void)json_object_set_new(o, "id", id);
	if (!json_object_get(s->given, "parentId"))
		(void)json_object_set_new(o, "parentId", json_null());
	(void)json_object_set_new(o, "sortOrder", json_integer(jmap_sort_order(MAIL_PLAIN)));
	(void)json_object_set_new(o, "role", json_null());
	(void)json_object_set_new(o, "totalEmails", json_integer(0));
	(void)json_object_set_new(o, "unreadEmails", json_integer(0));
	(void)json_object_set_new(o, "totalThreads", json_integer(0));
	(void)json_object_set_new(o, "unreadThreads", json_integer(0));
	(void)json_object_set_new(o, "myRights", jmap_mailbox_rights(MAIL_PLAIN));
	(void)json_object_set_new(o, "isSubscribed", json_boolean(is_subscribed));
	jmap_set_done(&s->set, JMAP_CREATED, span_str(s->id), o);
}

/* ---- updating ---- */

static enum jmap_step not_updated(struct mailbox_set *s, json_t *error)
{
	jmap_set_not(&s->set, JMAP_UPDATED, span_str(s->id), error);
	return JMAP_AGAIN;
}

static enum jmap_step updated(struct mailbox_set *s, enum mail_special special)
{
	jmap_set_done(&s->set, JMAP_UPDATED, span_str(s->id), corrected(s->given, special));
	return JMAP_AGAIN;
}

/* The name it is to have; as it is when neither name nor parent is given. */
static json_t *read_new_name(struct jmap_call *c, const json_t *patch, const struct mail_box *box,
			     struct span *out)
{
	const json_t *name = json_object_get(patch, "name"),
		     *parent = json_object_get(patch, "parentId");
	struct span above, level;
	json_t *error = NULL;

	split(c, box->name, &above, &level);
	if (name && !span_eq(jmap_text(name), level))
		error = read_name(name, &level);
	if (!error && parent)
		error = read_parent(c, parent, &above);
	if (!error && span_starts(above, box->name) &&
	    (above.n == box->name.n || above.p[box->name.n] == '/'))
		error = bad("parentId", "a mailbox cannot stand below itself");
	*out = joined(c, above, level);
	return error;
}

static enum jmap_step update_next(struct jmap_call *c, struct mailbox_set *s)
{
	struct span id, name;
	struct mail_box box;
	json_t *error;
	enum rc rc = REFUSED;

	s->id = json_object_iter_key(s->update);
	s->given = json_object_iter_value(s->update);
	s->update = json_object_iter_next(s->set.update, s->update);
	id = jmap_resolved(c, span_str(s->id));
	if (jmap_box_of(id, &s->box))
		rc = box_of(c, s->box, &box);
	if (c->error)
		return JMAP_DONE;
	if (rc != OK)
		return not_updated(s, jmap_set_error("notFound", NULL, "There is no such mailbox"));
	if (jmap_set_is_destroyed_too(c, &s->set, id))
		return not_updated(s, jmap_set_error("willDestroy", NULL, "It is to be destroyed"));
	error = judge_all(s->given, box.special);
	if (!error)
		error = read_new_name(c, s->given, &box, &name);
	if (c->error) {
		json_decref(error);
		return JMAP_DONE;
	}
	if (!error && box.special != MAIL_PLAIN && !span_eq(name, box.name))
		error = jmap_set_error("forbidden", NULL, "This mailbox keeps its name and place");
	if (error)
		return not_updated(s, error);
	s->name = name;
	read_subscribed(s, s->given);
	s->has_subscribed = s->has_subscribed && s->wants_subscribed != box.is_subscribed;
	if (!span_eq(name, box.name))
		return ask(c, s, ASK_RENAME,
			   (struct mail_act){
				   .kind = MAIL_ACT_RENAME, .name = box.name, .new_name = name});
	if (s->has_subscribed)
		return ask_subscribe(c, s);
	return updated(s, box.special);
}

/* ---- destroying ---- */

struct family {
	struct span name;
	bool has_child;
};

static bool on_relative(void *to, const struct mail_box *b)
{
	struct family *f = to;

	f->has_child =
		f->has_child || (b->exists && b->name.n > f->name.n &&
				 span_starts(b->name, f->name) && b->name.p[f->name.n] == '/');
	return !f->has_child;
}

static json_t *judge_destroy(struct jmap_call *c, struct mailbox_set *s, const struct mail_box *box)
{
	const struct mail_store *store = store_of(c);
	struct family f = {box->name, false};
	struct fault why = {0};
	enum rc rc = store->ops->each_box(store->arg, on_relative, &f, &why);

	if (rc != OK) {
		(void)jmap_store_failed(c, rc, &why);
		return NULL;
	}
	if (box->special != MAIL_PLAIN)
		return jmap_set_error("forbidden", NULL, "This mailbox stays");
	if (f.has_child)
		return jmap_set_error("mailboxHasChild", NULL, "There are mailboxes below it");
	if (!s->removes_emails && box->total > box->deleted)
		return jmap_set_error("mailboxHasEmail", NULL, "There are messages in it");
	return NULL;
}

static enum jmap_step destroy_next(struct jmap_call *c, struct mailbox_set *s)
{
	struct mail_state state;
	struct mail_box box;
	json_t *error = NULL;
	enum rc rc;

	s->id = s->gone_ids[s->gone_at];
	rc = jmap_state(c, &state) ? box_of(c, s->gone[s->gone_at], &box) : BROKEN;
	if (rc == OK)
		error = judge_destroy(c, s, &box);
	else if (rc == REFUSED)
		error = jmap_set_error("notFound", NULL, "There is no such mailbox");
	if (c->error)
		return JMAP_DONE;
	if (error) {
		jmap_set_not(&s->set, JMAP_DESTROYED, span_str(s->id), error);
		s->gone_at++;
		return JMAP_AGAIN;
	}
	/* What comes into it in between must not go with it. */
	return ask(c, s, ASK_DELETE,
		   (struct mail_act){.kind = MAIL_ACT_DELETE,
				     .name = box.name,
				     .if_state = s->removes_emails ? 0 : state.modseq});
}

struct doomed {
	uint64_t box;
	const char *id;
	size_t depth; /* bytes of the name: what stands below has a longer one */
};

static int deepest_first(const void *a, const void *b)
{
	size_t x = ((const struct doomed *)a)->depth, y = ((const struct doomed *)b)->depth;

	return (x < y) - (x > y);
}

static bool sort_doomed(struct jmap_call *c, struct mailbox_set *s)
{
	size_t n = json_array_size(s->set.destroy), i;
	struct doomed *all = arena_array(&c->arena, n + 1, sizeof *all);
	json_t *item;

	s->is_sorted = true;
	s->gone = arena_array(&c->arena, n + 1, sizeof *s->gone);
	s->gone_ids = arena_array(&c->arena, n + 1, sizeof *s->gone_ids);
	n = 0;
	json_array_foreach(s->set.destroy, i, item)
	{
		struct mail_box box;

		if (jmap_box_of(jmap_resolved(c, jmap_text(item)), &all[n].box) &&
		    box_of(c, all[n].box, &box) == OK) {
			all[n].depth = box.name.n;
			all[n++].id = json_string_value(item);
			continue;
		}
		if (c->error)
			return false;
		jmap_set_not(&s->set, JMAP_DESTROYED, jmap_text(item),
			     jmap_set_error("notFound", NULL, "There is no such mailbox"));
	}
	qsort(all, n, sizeof *all, deepest_first);
	for (i = 0; i < n; i++) {
		s->gone[i] = all[i].box;
		s->gone_ids[i] = all[i].id;
	}
	s->gone_n = n;
	return true;
}

/* ---- answers ---- */

static enum jmap_step on_refused(struct mailbox_set *s, enum ask what, const struct mail_verdict *v)
{
	switch (what) {
	case ASK_CREATE:
		jmap_set_not(&s->set, JMAP_CREATED, span_str(s->id), refusal(v));
		break;
	case ASK_RENAME:
	case ASK_SUBSCRIBE:
		jmap_set_not(&s->set, JMAP_UPDATED, span_str(s->id), refusal(v));
		break;
	case ASK_DELETE:
		jmap_set_not(&s->set, JMAP_DESTROYED, span_str(s->id), refusal(v));
		s->gone_at++;
		break;
	case ASK_NOTHING:
		break;
	}
	return JMAP_AGAIN;
}

static enum jmap_step on_done(struct jmap_call *c, struct mailbox_set *s, enum ask what)
{
	struct mail_box box;

	switch (what) {
	case ASK_CREATE:
		s->box = c->got.verdict.box;
		if (s->has_subscribed && box_of(c, s->box, &box) == OK &&
		    box.is_subscribed != s->wants_subscribed)
			return ask_subscribe(c, s);
		created(c, s);
		break;
	case ASK_RENAME:
		if (s->has_subscribed)
			return ask_subscribe(c, s);
		return updated(s, MAIL_PLAIN);
	case ASK_SUBSCRIBE:
		if (json_object_get(s->set.create, s->id) == s->given)
			created(c, s);
		else
			return updated(s, box_of(c, s->box, &box) == OK ? box.special : MAIL_PLAIN);
		break;
	case ASK_DELETE:
		jmap_set_done(&s->set, JMAP_DESTROYED, span_str(s->id), NULL);
		s->gone_at++;
		s->tries = 0;
		break;
	case ASK_NOTHING:
		break;
	}
	return c->error ? JMAP_DONE : JMAP_AGAIN;
}

static enum jmap_step answered(struct jmap_call *c, struct mailbox_set *s)
{
	enum ask what = s->asked;

	s->asked = ASK_NOTHING;
	/* Something else has changed since it was looked at: look again, unless the client named the state itself. */
	if (what == ASK_DELETE && c->got.kind == JMAP_GOT_VERDICT &&
	    c->got.verdict.code == MAIL_STATE && !jmap_set_if_state(&s->set) && ++s->tries < TRIES)
		return JMAP_AGAIN;
	switch (jmap_set_judged(c, &s->set)) {
	case OK:
		return on_done(c, s, what);
	case REFUSED:
		return on_refused(s, what, &c->got.verdict);
	case MORE:
	case EXISTS:
	case LATER:
	case BROKEN:
	case UNSURE:
		break;
	}
	return JMAP_DONE;
}

/* ---- the method ---- */

static bool begin(struct jmap_call *c)
{
	struct mailbox_set *s = arena_alloc(&c->arena, sizeof *s);
	struct mail_state state;
	const char *key;
	json_t *value;

	c->data = s;
	if (!jmap_state(c, &state) ||
	    !jmap_set_begin(c, &s->set, state.modseq, "onDestroyRemoveEmails") ||
	    !jmap_arg_bool(c, "onDestroyRemoveEmails", &s->removes_emails))
		return false;
	s->creations =
		arena_array(&c->arena, json_object_size(s->set.create) + 1, sizeof *s->creations);
	json_object_foreach(s->set.create, key, value) s->creations[s->creations_n++] = key;
	s->update = s->set.update ? json_object_iter(s->set.update) : NULL;
	return true;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct mailbox_set *s = c->data;
	enum jmap_step next;
	bool is_over;

	if (s->asked != ASK_NOTHING)
		return answered(c, s);
	if (s->creations_n) {
		next = create_next(c, s, &is_over);
		return next;
	}
	if (s->update)
		return update_next(c, s);
	if (!s->is_sorted && !sort_doomed(c, s))
		return JMAP_DONE;
	if (s->gone_at < s->gone_n)
		return destroy_next(c, s);
	return jmap_set_end(c, &s->set);
}

static void end(struct jmap_call *c)
{
	struct mailbox_set *s = c->data;

	if (s)
		jmap_set_fini(&s->set);
}

const struct jmap_method jmap_mailbox_set = {"Mailbox/set", JMAP_CAN_MAIL, begin, step, end};
