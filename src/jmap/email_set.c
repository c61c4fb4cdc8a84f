/*
 * Email/set (RFC 8621 s4.6). What is created becomes a message that is put into a mailbox (make.h); updates that say the same of
 * several Emails are one act, and so is all that is destroyed.
 */
#include <stdlib.h>

#include "jmap/email.h"
#include "jmap/make.h"
#include "jmap/set.h"

/* What an update comes to. */
struct patch {
	enum mail_how how;
	struct jmap_keywords on, off;
	struct jmap_ids into, out_of;
	bool is_only, has_keywords;
	json_t *words_on, *words_off; /* while it is read: keywords/... */
};

struct target {
	struct mail_email_id email;
	const char *id; /* as the client wrote it */
};

/* Emails of which the same is said. */
struct group {
	struct patch patch;
	struct target *targets;
	size_t n, cap;
	bool is_destroy;
};

struct email_set {
	struct jmap_set set;
	struct jmap_make *make; /* the creation at work */
	void *creation;		/* iterator */
	const char *creation_id;
	struct group *groups;
	size_t groups_n, groups_cap, at;
	bool has_asked, has_grouped;
	struct mail_email_id *emails; /* of the act that is asked */
};

static struct email_set *data_of(struct jmap_call *c)
{
	return c->data;
}

/* ---- patches ---- */

static bool is_pointer_into(struct span path, struct span property, struct span *out_key)
{
	if (!span_starts(path, property) || path.n <= property.n || path.p[property.n] != '/')
		return false;
	*out_key = span_from(path, property.n + 1);
	return out_key->n > 0 && span_chr(*out_key, '/') < 0;
}

/* ~1 and ~0 of a JSON pointer (RFC 6901), lower case. */
static struct span unescaped(struct arena *a, struct span key)
{
	unsigned char *out = arena_alloc(a, key.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < key.n; i++) {
		unsigned char c = key.p[i];

		if (c == '~' && i + 1 < key.n && (key.p[i + 1] == '0' || key.p[i + 1] == '1'))
			c = key.p[++i] == '1' ? '/' : '~';
		out[n++] = c;
	}
	return span_of(out, n);
}

/* Only noted: read_patch reads all of them at once. */
static json_t *patch_keyword(struct jmap_call *c, struct patch *p, struct span key,
			     const json_t *value)
{
	json_t **to = json_is_null(value) ? &p->words_off : &p->words_on;

	key = unescaped(&c->arena, key);
	if (!json_is_null(value) && !json_is_true(value))
		return jmap_set_error("invalidProperties", "keywords", "true or null");
	if (!*to)
		*to = json_object();
	(void)json_object_setn_new(*to, (const char *)key.p, key.n, json_true());
	return NULL;
}

static json_t *read_words(struct jmap_call *c, struct patch *p)
{
	json_t *error = NULL;

	if (p->words_on)
		error = jmap_keywords_read(&c->arena, p->words_on, &p->on);
	if (!error && p->words_off)
		error = jmap_keywords_read(&c->arena, p->words_off, &p->off);
	json_decref(p->words_on);
	json_decref(p->words_off);
	p->words_on = p->words_off = NULL;
	return error;
}

static json_t *patch_box(struct jmap_call *c, struct patch *p, struct span key, const json_t *value,
			 size_t most)
{
	struct jmap_ids *to = json_is_null(value) ? &p->out_of : &p->into;
	struct span id = jmap_resolved(c, unescaped(&c->arena, key));
	uint64_t number;

	if ((!json_is_null(value) && !json_is_true(value)) || !jmap_box_of(id, &number))
		return jmap_set_error("invalidProperties", "mailboxIds",
				      "true or null, of a mailbox there is");
	if (!to->ids)
		to->ids = arena_array(&c->arena, most, sizeof *to->ids);
	to->ids[to->n++] = number;
	return NULL;
}

/* What is ours to set may be said when it is so already (RFC 8620 s5.3). */
static bool is_so(struct jmap_call *c, struct mail_email_id email, const char *name,
		  const json_t *value)
{
	json_t *id = jmap_email_id(email.number, email.form), *now = json_object();
	struct jmap_places places = {0};
	struct fault why = {0};
	bool same;

	if (jmap_places_read(&c->j->person->store, email, &places, &why) == OK) {
		(void)json_object_set_new(now, "threadId", jmap_thread_id(places.thread));
		(void)json_object_set_new(now, "size", json_integer((json_int_t)places.bytes));
	}
	jmap_places_fini(&places);
	(void)json_object_set_new(now, "blobId", json_sprintf("G%s", json_string_value(id)));
	(void)json_object_set_new(now, "id", id);
	same = json_equal(json_object_get(now, name), value);
	json_decref(now);
	return same;
}

static json_t *patch_property(struct jmap_call *c, struct mail_email_id email, struct patch *p,
			      const char *path, const json_t *value, size_t most)
{
	struct span key;

	if (strcmp(path, "keywords") == 0) {
		p->how = MAIL_HOW_SET;
		p->has_keywords = true;
		return jmap_keywords_read(&c->arena, value, &p->on);
	}
	if (strcmp(path, "mailboxIds") == 0) {
		p->is_only = true;
		return jmap_mailbox_ids_read(c, value, &p->into);
	}
	if (is_pointer_into(span_str(path), SPAN_LIT("keywords"), &key))
		return patch_keyword(c, p, key, value);
	if (is_pointer_into(span_str(path), SPAN_LIT("mailboxIds"), &key))
		return patch_box(c, p, key, value, most);
	if (jmap_has_name("id blobId threadId size", span_str(path)) &&
	    is_so(c, email, path, value))
		return NULL;
	if (strchr(path, '/'))
		return jmap_set_error("invalidPatch", NULL, "%.100s: there is no such place", path);
	return jmap_set_error("invalidProperties", path, "only keywords and mailboxIds can change");
}

static json_t *read_patch(struct jmap_call *c, struct mail_email_id email, json_t *given,
			  struct patch *p)
{
	bool has_words = false, has_boxes = false;
	json_t *value, *error = NULL;
	const char *path;
	struct span key;

	*p = (struct patch){.how = MAIL_HOW_ADD};
	json_object_foreach(given, path, value)
	{
		has_words |= is_pointer_into(span_str(path), SPAN_LIT("keywords"), &key);
		has_boxes |= is_pointer_into(span_str(path), SPAN_LIT("mailboxIds"), &key);
	}
	if ((has_words && json_object_get(given, "keywords")) ||
	    (has_boxes && json_object_get(given, "mailboxIds")))
		return jmap_set_error("invalidPatch", NULL,
				      "one path of the patch is the beginning of another");
	json_object_foreach(given, path, value)
	{
		error = patch_property(c, email, p, path, value, json_object_size(given));
		if (error)
			break;
	}
	if (error) {
		json_decref(p->words_on);
		json_decref(p->words_off);
		p->words_on = p->words_off = NULL;
		return error;
	}
	return read_words(c, p);
}

static bool same_ids(const struct jmap_ids *a, const struct jmap_ids *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->ids, b->ids, a->n * sizeof *a->ids) == 0);
}

static bool same_words(const struct jmap_keywords *a, const struct jmap_keywords *b)
{
	return a->flags == b->flags && span_eq(a->words, b->words);
}

static bool same_patch(const struct patch *a, const struct patch *b)
{
	return a->how == b->how && a->is_only == b->is_only && same_words(&a->on, &b->on) &&
	       same_words(&a->off, &b->off) && same_ids(&a->into, &b->into) &&
	       same_ids(&a->out_of, &b->out_of);
}

/* ---- groups ---- */

static struct group *new_group(struct jmap_call *c, struct email_set *e)
{
	if (e->groups_n == e->groups_cap) {
		size_t cap = e->groups_cap ? 2 * e->groups_cap : 16;
		struct group *more = arena_array(&c->arena, cap, sizeof *more);

		if (e->groups_n)
			memcpy(more, e->groups, e->groups_n * sizeof *more);
		e->groups = more;
		e->groups_cap = cap;
	}
	e->groups[e->groups_n] = (struct group){0};
	return &e->groups[e->groups_n++];
}

static void add_target(struct jmap_call *c, struct group *g, struct mail_email_id email,
		       const char *id)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 16;
		struct target *more = arena_array(&c->arena, cap, sizeof *more);

		if (g->n)
			memcpy(more, g->targets, g->n * sizeof *more);
		g->targets = more;
		g->cap = cap;
	}
	g->targets[g->n++] = (struct target){email, id};
}

static int by_email(const void *a, const void *b)
{
	const struct mail_email_id *x = &((const struct target *)a)->email,
				   *y = &((const struct target *)b)->email;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->form > y->form) - (x->form < y->form);
}

static void add_update(struct jmap_call *c, struct email_set *e, const char *id, json_t *given)
{
	struct span resolved = jmap_resolved(c, span_str(id));
	struct mail_email_id email;
	struct patch patch;
	json_t *error;

	if (!jmap_email_of(resolved, &email)) {
		error = jmap_set_error("notFound", NULL, "There is no such Email");
	} else if (jmap_set_is_destroyed_too(c, &e->set, resolved)) {
		error = jmap_set_error("willDestroy", NULL, "It is to be destroyed, too");
	} else {
		error = read_patch(c, email, given, &patch);
	}
	if (error) {
		jmap_set_not(&e->set, JMAP_UPDATED, span_str(id), error);
		return;
	}
	for (size_t i = 0; i < e->groups_n; i++) {
		if (same_patch(&e->groups[i].patch, &patch)) {
			add_target(c, &e->groups[i], email, id);
			return;
		}
	}
	new_group(c, e)->patch = patch;
	add_target(c, &e->groups[e->groups_n - 1], email, id);
}

static void add_destroy(struct jmap_call *c, struct email_set *e)
{
	struct group *g = NULL;
	json_t *item;
	size_t i;

	json_array_foreach(e->set.destroy, i, item)
	{
		struct mail_email_id email;

		if (!jmap_email_of(jmap_resolved(c, jmap_text(item)), &email)) {
			jmap_set_not(&e->set, JMAP_DESTROYED, jmap_text(item),
				     jmap_set_error("notFound", NULL, "There is no such Email"));
			continue;
		}
		if (!g) {
			g = new_group(c, e);
			g->is_destroy = true;
			g->patch = (struct patch){.how = MAIL_HOW_ADD, .is_only = true};
		}
		add_target(c, g, email, json_string_value(item));
	}
}

/* What was created by now can be named in them: so not before. */
static void group_all(struct jmap_call *c, struct email_set *e)
{
	const char *id;
	json_t *given;

	e->has_grouped = true;
	json_object_foreach(e->set.update, id, given) add_update(c, e, id, given);
	add_destroy(c, e);
	for (size_t i = 0; i < e->groups_n; i++)
		qsort(e->groups[i].targets, e->groups[i].n, sizeof *e->groups[i].targets, by_email);
}

/* ---- acts ---- */

static enum jmap_step ask(struct jmap_call *c, struct email_set *e, const struct group *g)
{
	const struct patch *p = &g->patch;
	size_t n = 0;

	e->emails = arena_array(&c->arena, g->n, sizeof *e->emails);
	for (size_t i = 0; i < g->n; i++)
		if (i == 0 || by_email(&g->targets[i - 1], &g->targets[i]) != 0)
			e->emails[n++] = g->targets[i].email;
	e->has_asked = true;
	return jmap_ask_act(c, &(struct mail_act){
				       .kind = MAIL_ACT_EMAIL,
				       .emails = e->emails,
				       .emails_n = n,
				       .into = p->into.ids,
				       .into_n = p->into.n,
				       .out_of = p->out_of.ids,
				       .out_of_n = p->out_of.n,
				       .is_only = p->is_only,
				       .how = p->how,
				       .flags = p->on.flags,
				       .keywords = p->on.words,
				       .flags_off = p->off.flags,
				       .keywords_off = p->off.words,
				       .if_state = jmap_set_if_state(&e->set),
			       });
}

static bool is_missing(const struct mail_verdict *v, struct mail_email_id email)
{
	for (size_t i = 0; i < v->missing_n; i++)
		if (v->missing[i].number == email.number && v->missing[i].form == email.form)
			return true;
	return false;
}

static void settle(struct email_set *e, const struct group *g, const struct mail_verdict *v)
{
	enum jmap_set_kind kind = g->is_destroy ? JMAP_DESTROYED : JMAP_UPDATED;

	for (size_t i = 0; i < g->n; i++) {
		struct span id = span_str(g->targets[i].id);

		if (v->code != MAIL_OK)
			jmap_set_not(&e->set, kind, id, jmap_set_refusal(v));
		else if (is_missing(v, g->targets[i].email))
			jmap_set_not(&e->set, kind, id,
				     jmap_set_error("notFound", NULL, "There is no such Email"));
		else
			jmap_set_done(&e->set, kind, id, NULL);
	}
}

/* One of them stood in the way of all: each for itself. */
static void split(struct jmap_call *c, struct email_set *e, struct group g)
{
	for (size_t i = 0; i < g.n; i++) {
		struct group *one = new_group(c, e);

		one->patch = g.patch;
		add_target(c, one, g.targets[i].email, g.targets[i].id);
	}
}

/* False: the call is over. */
static bool on_verdict(struct jmap_call *c, struct email_set *e)
{
	const struct group *g = &e->groups[e->at++];

	e->has_asked = false;
	if (jmap_set_judged(c, &e->set) == BROKEN)
		return false;
	if (c->got.verdict.code == MAIL_NOPLACE && g->n > 1)
		split(c, e, *g);
	else
		settle(e, g, &c->got.verdict);
	return true;
}

/* ---- creations ---- */

static void begin_creation(struct jmap_call *c, struct email_set *e)
{
	json_t *error = NULL;

	e->creation_id = json_object_iter_key(e->creation);
	e->make = jmap_make_email(c, json_object_iter_value(e->creation), &error);
	e->creation = json_object_iter_next(e->set.create, e->creation);
	if (!e->make)
		jmap_set_not(&e->set, JMAP_CREATED, span_str(e->creation_id), error);
}

static enum jmap_step creation_on(struct jmap_call *c, struct email_set *e)
{
	enum jmap_step step = jmap_make_step(c, &e->set, e->make);
	json_t *error;

	if (step != JMAP_DONE)
		return step;
	if (!c->error) {
		json_t *made = jmap_make_result(e->make, &error);

		if (made) {
			jmap_created(c, e->creation_id, jmap_text(json_object_get(made, "id")));
			jmap_set_done(&e->set, JMAP_CREATED, span_str(e->creation_id), made);
		} else {
			jmap_set_not(&e->set, JMAP_CREATED, span_str(e->creation_id), error);
		}
	}
	jmap_make_free(e->make);
	e->make = NULL;
	return c->error ? JMAP_DONE : JMAP_AGAIN;
}

/* ---- the method ---- */

static bool begin(struct jmap_call *c)
{
	struct email_set *e = arena_alloc(&c->arena, sizeof *e);
	struct mail_state state;

	c->data = e;
	if (!jmap_state(c, &state) || !jmap_set_begin(c, &e->set, state.modseq, ""))
		return false;
	e->creation = e->set.create ? json_object_iter(e->set.create) : NULL;
	return true;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct email_set *e = data_of(c);

	if (e->make)
		return creation_on(c, e);
	if (e->creation) {
		begin_creation(c, e);
		return JMAP_AGAIN;
	}
	if (!e->has_grouped)
		group_all(c, e);
	if (e->has_asked && !on_verdict(c, e))
		return JMAP_DONE;
	if (e->at < e->groups_n)
		return ask(c, e, &e->groups[e->at]);
	return jmap_set_end(c, &e->set);
}

static void end(struct jmap_call *c)
{
	struct email_set *e = data_of(c);

	if (!e)
		return;
	jmap_make_free(e->make);
	jmap_set_fini(&e->set);
}

const struct jmap_method jmap_email_set = {"Email/set", JMAP_CAN_MAIL, begin, step, end};
