/*
 * Email/queryChanges (RFC 8621 s4.5, RFC 8620 s5.6): the query is run anew; of what changed since then everything leaves the
 * old result, and what is in the new one comes into it at its place. Where threads count (collapsed, or asked about) their
 * other Emails count as changed too.
 */
#include "jmap/changes.h"
#include "jmap/query.h"

enum { THREADS_A_STEP = 100 };

struct run {
	struct jmap_query query;
	uint64_t since, most;
	bool tells_total;
	struct span up_to;

	enum { RUN_CHANGES, RUN_QUERY, RUN_THREADS, RUN_SAY } at;
	struct jmap_changes emails, threads;
	size_t thread_at;
	struct jmap_set64 changed; /* values: CAME */
	json_t *removed;	   /* of the answer */
};

enum { CAME = 1 }; /* it was not there before */

static bool begin(struct jmap_call *c)
{
	struct run *r = arena_alloc(&c->arena, sizeof *r);
	struct mail_state state;

	c->data = r;
	if (!jmap_args_known(c, "filter sort sinceQueryState maxChanges upToId calculateTotal "
				"collapseThreads") ||
	    !jmap_state(c, &state) || !jmap_since(c, "sinceQueryState", &state, &r->since) ||
	    !jmap_changes_limit(c, &r->most) || !jmap_arg_text(c, "upToId", &r->up_to) ||
	    !jmap_arg_bool(c, "calculateTotal", &r->tells_total) || !jmap_query_read(c, &r->query))
		return false;
	r->removed = json_array();
	(void)json_object_set_new(c->answer, "oldQueryState", jmap_state_id(r->since));
	(void)json_object_set_new(c->answer, "newQueryState", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "removed", r->removed);
	return true;
}

static void end(struct jmap_call *c)
{
	struct run *r = c->data;

	if (!r)
		return;
	jmap_query_fini(&r->query);
	jmap_changes_fini(&r->emails);
	jmap_changes_fini(&r->threads);
	jmap_set64_fini(&r->changed);
}

static void add(struct run *r, uint64_t number, enum mail_form form, bool came)
{
	bool is_new;
	uint32_t *value = jmap_set64_at(&r->changed, 4 * number + form, &is_new);

	if (!is_new)
		return;
	*value = came ? CAME : 0;
	if (!came)
		(void)json_array_append_new(r->removed, jmap_email_id(number, form));
}

/* False: the call has failed. */
static bool read_changes(struct jmap_call *c, struct run *r)
{
	const struct mail_store_ops *ops = c->j->person->store.ops;
	bool by_thread =
		r->query.is_collapsing || r->query.filter.has_thread || r->query.sorts_threads;

	if (!jmap_changes_read(c, ops->changed_emails, r->since, JMAP_CHANGES_MOST, &r->emails) ||
	    (by_thread &&
	     !jmap_changes_read(c, ops->changed_threads, r->since, JMAP_CHANGES_MOST, &r->threads)))
		return false;
	if (r->emails.is_more || r->threads.is_more)
		return jmap_fail(c, "tooManyChanges", "Too much has changed: query again");
	for (size_t i = 0; i < r->emails.n; i++)
		add(r, r->emails.all[i].id, r->emails.all[i].form,
		    r->emails.all[i].kind == MAIL_MADE);
	return true;
}

static bool on_email(void *to, const struct mail_email *e)
{
	add(to, e->number, e->form, false);
	return true;
}

static bool read_threads(struct jmap_call *c, struct run *r)
{
	const struct mail_store *store = &c->j->person->store;
	struct fault why = {0};

	for (unsigned i = 0; i < THREADS_A_STEP && r->thread_at < r->threads.n; i++) {
		const struct mail_change *ch = &r->threads.all[r->thread_at++];
		enum rc rc = ch->kind == MAIL_GONE ? OK
						   : store->ops->each_of_thread(store->arg, ch->id,
										on_email, r, &why);

		if (rc != OK && rc != REFUSED)
			return jmap_store_failed(c, rc, &why);
	}
	return true;
}

/* Behind upToId nothing is told when nothing before it can move (RFC 8620 s5.6). */
static size_t last_told(const struct run *r)
{
	struct mail_email_id id;
	size_t n = r->query.rows_n;

	if (r->query.filter.is_mutable || r->query.sorts_mutable || r->query.is_collapsing ||
	    !r->up_to.p || !jmap_email_of(r->up_to, &id))
		return n;
	for (size_t i = 0; i < n; i++) {
		if (r->query.rows[i].number == id.number && r->query.rows[i].form == id.form)
			return i + 1;
	}
	return n;
}

static void say(struct jmap_call *c, struct run *r)
{
	json_t *added = json_array();
	size_t n = last_told(r);

	(void)json_object_set_new(c->answer, "added", added);
	for (size_t i = 0; i < n; i++) {
		const struct jmap_row *row = &r->query.rows[i];
		json_t *one;

		if (!jmap_set64_has(&r->changed, 4 * row->number + row->form))
			continue;
		one = json_object();
		(void)json_object_set_new(one, "id", jmap_email_id(row->number, row->form));
		(void)json_object_set_new(one, "index", json_integer((json_int_t)i));
		(void)json_array_append_new(added, one);
	}
	if (r->tells_total)
		(void)json_object_set_new(c->answer, "total",
					  json_integer((json_int_t)r->query.rows_n));
	if (r->most && json_array_size(added) + json_array_size(r->removed) > r->most)
		(void)jmap_fail(c, "tooManyChanges", "There are more changes than maxChanges");
}

static enum jmap_step step(struct jmap_call *c)
{
	struct run *r = c->data;
	enum rc rc;

	switch (r->at) {
	case RUN_CHANGES:
		if (!read_changes(c, r))
			return JMAP_DONE;
		r->at = RUN_QUERY;
		return JMAP_AGAIN;
	case RUN_QUERY:
		rc = jmap_query_run(c, &r->query);
		if (rc != OK)
			return rc == MORE ? JMAP_AGAIN : JMAP_DONE;
		r->at = RUN_THREADS;
		return JMAP_AGAIN;
	case RUN_THREADS:
		if (!read_threads(c, r))
			return JMAP_DONE;
		if (r->thread_at == r->threads.n)
			r->at = RUN_SAY;
		return JMAP_AGAIN;
	case RUN_SAY:
		say(c, r);
		break;
	}
	return JMAP_DONE;
}

const struct jmap_method jmap_email_query_changes = {"Email/queryChanges", JMAP_CAN_MAIL, begin,
						     step, end};
