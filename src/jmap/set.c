#include "jmap/set.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "jmap/email.h"

/* ---- the beginning ---- */

static bool is_map_of_objects(const json_t *map)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)map, key, value)
	{
		struct span id = span_str(key);

		if (!json_is_object(value) || !(jmap_is_id(id) || (id.n && id.p[0] == '#')))
			return false;
	}
	return true;
}

static bool read_state(struct jmap_call *c, struct jmap_set *s)
{
	struct span state = SPAN_NONE;
	uint64_t number;

	if (!jmap_arg_text(c, "ifInState", &state))
		return false;
	if (!state.p)
		return true;
	s->has_if_state = true;
	if (jmap_state_of(state, &number) && number == s->old_state)
		return true;
	return jmap_fail(c, "stateMismatch", "The state is another by now");
}

static bool read_destroy(struct jmap_call *c, struct jmap_set *s)
{
	json_t *item;
	size_t i;

	if (!jmap_arg_texts(c, "destroy", &s->destroy))
		return false;
	json_array_foreach(s->destroy, i, item)
	{
		struct span id = jmap_text(item);

		if (!jmap_is_id(id) && !(id.n && id.p[0] == '#'))
			return jmap_bad_argument(c, "destroy", "must be an array of Ids");
	}
	return true;
}

bool jmap_set_begin(struct jmap_call *c, struct jmap_set *s, uint64_t state, const char *known)
{
	char names[200];
	size_t n;

	*s = (struct jmap_set){.old_state = state, .new_state = state};
	for (int k = 0; k < 3; k++) {
		s->made[k] = k == JMAP_DESTROYED ? json_array() : json_object();
		s->not_made[k] = json_object();
	}
	(void)snprintf(names, sizeof names, "ifInState create update destroy %s", known);
	if (!jmap_args_known(c, names) || !jmap_arg_object(c, "create", &s->create) ||
	    !jmap_arg_object(c, "update", &s->update) || !read_destroy(c, s))
		return false;
	if (!is_map_of_objects(s->create))
		return jmap_bad_argument(c, "create", "must be a map of Ids to objects");
	if (!is_map_of_objects(s->update))
		return jmap_bad_argument(c, "update", "must be a map of Ids to patches");
	n = json_object_size(s->create) + json_object_size(s->update) + json_array_size(s->destroy);
	if (n > c->j->service->limits.set)
		return jmap_fail(c, "requestTooLarge", "At most %u objects in one call",
				 c->j->service->limits.set);
	return read_state(c, s);
}

void jmap_set_fini(struct jmap_set *s)
{
	for (int k = 0; k < 3; k++) {
		json_decref(s->made[k]);
		json_decref(s->not_made[k]);
		s->made[k] = s->not_made[k] = NULL;
	}
}

/* ---- what was done ---- */

static void key_of(struct span id, char out[JMAP_ID_BYTES + 2])
{
	size_t n = id.n < JMAP_ID_BYTES + 1 ? id.n : JMAP_ID_BYTES + 1;

	if (n)
		memcpy(out, id.p, n);
	out[n] = '\0';
}

void jmap_set_done(struct jmap_set *s, enum jmap_set_kind kind, struct span id, json_t *value)
{
	char key[JMAP_ID_BYTES + 2];

	key_of(id, key);
	if (kind == JMAP_DESTROYED)
		(void)json_array_append_new(s->made[kind], json_string(key));
	else
		(void)json_object_set_new(s->made[kind], key, value ? value : json_null());
}

void jmap_set_not(struct jmap_set *s, enum jmap_set_kind kind, struct span id, json_t *error)
{
	char key[JMAP_ID_BYTES + 2];

	key_of(id, key);
	(void)json_object_set_new(s->not_made[kind], key, error);
}

bool jmap_set_is_destroyed_too(const struct jmap_call *c, const struct jmap_set *s, struct span id)
{
	json_t *item;
	size_t i;

	json_array_foreach(s->destroy, i, item)
	{
		if (span_eq(jmap_resolved(c, jmap_text(item)), id))
			return true;
	}
	return false;
}

/* ---- acts ---- */

uint64_t jmap_set_if_state(const struct jmap_set *s)
{
	return s->has_if_state && !s->has_acted ? s->old_state : 0;
}

static void follow(struct jmap_set *s, const struct mail_verdict *v)
{
	if (v->modseq == 0) /* nothing was to be changed */
		return;
	if (!s->has_acted)
		s->old_state = v->was;
	else if (v->was != s->new_state)
		s->is_broken = true;
	s->has_acted = true;
	if (!s->is_broken)
		s->new_state = v->modseq;
}

enum rc jmap_set_judged(struct jmap_call *c, struct jmap_set *s)
{
	const struct mail_verdict *v = &c->got.verdict;

	if (c->got.kind != JMAP_GOT_VERDICT) {
		(void)jmap_set_lost(c, s);
		return BROKEN;
	}
	switch (v->code) {
	case MAIL_OK:
		follow(s, v);
		return OK;
	case MAIL_STATE:
		(void)jmap_fail(c, "stateMismatch", "The state is another by now");
		return BROKEN;
	case MAIL_NOACCOUNT:
		(void)jmap_fail(c, "accountNotFound", "The account is gone");
		return BROKEN;
	case MAIL_NONEXISTENT:
	case MAIL_ALREADYEXISTS:
	case MAIL_CANNOT:
	case MAIL_HASCHILDREN:
	case MAIL_OVERQUOTA:
	case MAIL_LIMIT:
	case MAIL_NOPLACE:
		break;
	}
	return REFUSED;
}

enum jmap_step jmap_set_lost(struct jmap_call *c, const struct jmap_set *s)
{
	if (c->got.is_sure && !s->has_acted)
		(void)jmap_fail(c, "serverUnavailable", "%.*s", SPAN_FMT(c->got.text));
	else
		(void)jmap_fail(c, "serverPartialFail", "%.*s", SPAN_FMT(c->got.text));
	return JMAP_DONE;
}

json_t *jmap_set_refusal(const struct mail_verdict *v)
{
	switch (v->code) {
	case MAIL_NONEXISTENT:
	case MAIL_NOPLACE:
		return jmap_set_error("invalidProperties", "mailboxIds", "%.*s", SPAN_FMT(v->text));
	case MAIL_OVERQUOTA:
	case MAIL_LIMIT:
		return jmap_set_error("overQuota", NULL, "%.*s", SPAN_FMT(v->text));
	case MAIL_OK:
	case MAIL_ALREADYEXISTS:
	case MAIL_CANNOT:
	case MAIL_HASCHILDREN:
	case MAIL_NOACCOUNT:
	case MAIL_STATE:
		break;
	}
	return jmap_set_error("forbidden", NULL, "%.*s", SPAN_FMT(v->text));
}

/* ---- the end ---- */

static void put(struct jmap_call *c, const char *name, json_t **value)
{
	bool is_empty = json_is_array(*value) ? json_array_size(*value) == 0
					      : json_object_size(*value) == 0;

	(void)json_object_set_new(c->answer, name, is_empty ? json_null() : json_incref(*value));
}

enum jmap_step jmap_set_end(struct jmap_call *c, struct jmap_set *s)
{
	(void)json_object_set_new(c->answer, "oldState", jmap_state_id(s->old_state));
	(void)json_object_set_new(c->answer, "newState", jmap_state_id(s->new_state));
	put(c, "created", &s->made[JMAP_CREATED]);
	put(c, "updated", &s->made[JMAP_UPDATED]);
	put(c, "destroyed", &s->made[JMAP_DESTROYED]);
	put(c, "notCreated", &s->not_made[JMAP_CREATED]);
	put(c, "notUpdated", &s->not_made[JMAP_UPDATED]);
	put(c, "notDestroyed", &s->not_made[JMAP_DESTROYED]);
	return JMAP_DONE;
}

/* ---- keywords ---- */

static int by_text(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

struct span jmap_words_sorted(struct arena *a, struct span words)
{
	struct span *list = arena_array(a, words.n / 2 + 2, sizeof *list), rest = words;
	unsigned char *out = arena_alloc(a, words.n + 1);
	size_t n = 0, at = 0;

	while (rest.n) {
		struct span word = span_cut(&rest, ' ');

		if (word.n)
			list[n++] = word;
	}
	qsort(list, n, sizeof *list, by_text);
	for (size_t i = 0; i < n; i++) {
		if (i && span_eq(list[i], list[i - 1]))
			continue;
		if (at)
			out[at++] = ' ';
		memcpy(out + at, list[i].p, list[i].n);
		at += list[i].n;
	}
	return span_of(out, at);
}

json_t *jmap_keywords_read(struct arena *a, const json_t *object, struct jmap_keywords *out)
{
	struct buf words = {0};
	size_t others = 0;
	const char *key;
	json_t *value;

	*out = (struct jmap_keywords){0};
	if (!object || json_is_null(object))
		return NULL;
	if (!json_is_object(object))
		return jmap_set_error("invalidProperties", "keywords", "must be an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		struct span word = span_str(key);
		uint32_t flag = jmap_keyword_flag(word);

		if (!json_is_true(value) || !jmap_is_keyword(word) || word.n > MAIL_KEYWORD_BYTES) {
			buf_fini(&words);
			return jmap_set_error(
				"invalidProperties", "keywords",
				"a keyword that cannot be, or another value than true");
		}
		out->flags |= flag;
		others += !flag;
		for (size_t i = 0; !flag && i < word.n; i++)
			buf_append_byte(&words, ascii_lower(word.p[i]));
		buf_append_byte(&words, ' ');
	}
	out->words = jmap_words_sorted(a, buf_span(&words));
	buf_fini(&words);
	if (others > MAIL_KEYWORDS_LIMIT)
		return jmap_set_error("tooManyKeywords", NULL, "At most %d keywords",
				      MAIL_KEYWORDS_LIMIT);
	return NULL;
}

/* ---- mailboxes ---- */

json_t *jmap_mailbox_ids_read(struct jmap_call *c, const json_t *object, struct jmap_ids *out)
{
	const struct mail_store *store = &c->j->person->store;
	const char *key;
	json_t *value;

	*out = (struct jmap_ids){
		arena_array(&c->arena, json_object_size(object) + 1, sizeof *out->ids), 0};
	if (!json_is_object(object) || json_object_size(object) == 0)
		return jmap_set_error("invalidProperties", "mailboxIds",
				      "an Email is in at least one mailbox");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		struct span id = jmap_resolved(c, span_str(key));
		struct mail_box box;
		struct fault why = {0};
		uint64_t number;

		if (!json_is_true(value) || !jmap_box_of(id, &number) ||
		    store->ops->box_by_id(store->arg, number, &box, &why) != OK)
			return jmap_set_error(
				"invalidProperties", "mailboxIds",
				"there is no mailbox %.100s, or another value than true", key);
		out->ids[out->n++] = number;
	}
	return NULL;
}
