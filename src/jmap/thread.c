/* Thread/get (RFC 8621 s3). */
#include "jmap/email.h"

enum { THREADS_A_STEP = 32 };

struct get {
	json_t *ids; /* ours */
	size_t at;
	bool wants_emails;
	json_t *list, *missing;
};

static bool begin(struct jmap_call *c)
{
	struct get *g = arena_alloc(&c->arena, sizeof *g);
	struct mail_state state;
	json_t *ids, *props, *prop;
	size_t i;

	c->data = g;
	if (!jmap_args_known(c, "ids properties") || !jmap_get_ids(c, false, &ids) ||
	    !jmap_get_properties(c, "id emailIds", &props) || !jmap_state(c, &state))
		return false;
	g->wants_emails = props == NULL;
	json_array_foreach(props, i, prop) g->wants_emails |=
		span_eq(jmap_text(prop), SPAN_LIT("emailIds"));
	g->ids = jmap_unique(ids);
	g->list = json_array();
	g->missing = json_array();
	(void)json_object_set_new(c->answer, "state", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "list", g->list);
	(void)json_object_set_new(c->answer, "notFound", g->missing);
	return true;
}

static void end(struct jmap_call *c)
{
	struct get *g = c->data;

	if (g)
		json_decref(g->ids);
}

static bool on_email(void *to, const struct mail_email *e)
{
	(void)json_array_append_new(to, jmap_email_id(e->number, e->form));
	return true;
}

static bool get_one(struct jmap_call *c, struct get *g, json_t *id)
{
	const struct mail_store *store = &c->j->person->store;
	json_t *emails = json_array(), *one;
	struct fault why = {0};
	enum rc rc = REFUSED;
	uint64_t thread;

	if (jmap_thread_of(jmap_text(id), &thread))
		rc = store->ops->each_of_thread(store->arg, thread, on_email, emails, &why);
	if (rc == REFUSED || (rc == OK && json_array_size(emails) == 0)) {
		(void)json_array_append(g->missing, id);
	} else if (rc == OK) {
		one = json_object();
		(void)json_object_set(one, "id", id);
		if (g->wants_emails)
			(void)json_object_set(one, "emailIds", emails);
		(void)json_array_append_new(g->list, one);
	}
	json_decref(emails);
	return rc == OK || rc == REFUSED || jmap_store_failed(c, rc, &why);
}

static enum jmap_step step(struct jmap_call *c)
{
	struct get *g = c->data;

	for (unsigned i = 0; i < THREADS_A_STEP; i++) {
		if (g->at == json_array_size(g->ids) ||
		    !get_one(c, g, json_array_get(g->ids, g->at++)))
			return JMAP_DONE;
	}
	return JMAP_AGAIN;
}

const struct jmap_method jmap_thread_get = {"Thread/get", JMAP_CAN_MAIL, begin, step, end};
