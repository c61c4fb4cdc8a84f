/*
 * EmailSubmission/get, /query, /changes (RFC 8621 s7.1-7.3). What there is of an account is gathered at once: what people have sent
 * is little beside what they got.
 */
#include <stdlib.h>

#include "jmap/changes.h"
#include "jmap/email.h"
#include "jmap/submission.h"
#include "jmap/window.h"
#include "mail/address.h"

enum { SUBMISSIONS_MOST = 100000 };

static const char properties[] = "id identityId emailId threadId envelope sendAt undoStatus "
				 "deliveryStatus dsnBlobIds mdnBlobIds";

struct one {
	struct span id, sender, identity;
	uint64_t number, sent_us, thread;
	struct mail_email_id email;
};

struct all {
	struct arena *arena;
	struct one *rows;
	size_t n, cap;
	bool is_full;
};

static bool on_submission(void *to, const struct mail_submission *s)
{
	struct all *all = to;

	if (all->n == SUBMISSIONS_MOST) {
		all->is_full = true;
		return false;
	}
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 64;
		struct one *more = arena_array(all->arena, cap, sizeof *more);

		if (all->n)
			memcpy(more, all->rows, all->n * sizeof *more);
		all->rows = more;
		all->cap = cap;
	}
	all->rows[all->n++] = (struct one){
		.id = arena_span(all->arena, s->id),
		.sender = arena_span(all->arena, s->sender),
		.identity = arena_span(all->arena, s->identity),
		.number = s->number,
		.sent_us = s->sent_us,
		.email = {s->email, s->email_form},
	};
	return true;
}

/* What was sent by a mail program has the identity of its sender. */
static void complete(struct jmap_call *c, struct one *o)
{
	char id[JMAP_IDENTITY_ID_BYTES];

	if (!o->identity.n) {
		jmap_identity_id(o->sender, id);
		o->identity = arena_span(&c->arena, span_str(id));
	}
}

static bool read_all(struct jmap_call *c, struct all *out)
{
	const struct mail_store *store = &c->j->person->store;
	struct fault why = {0};
	enum rc rc;

	*out = (struct all){.arena = &c->arena};
	rc = store->ops->each_submission(store->arg, 0, on_submission, out, &why);
	if (rc != OK)
		return jmap_store_failed(c, rc, &why);
	for (size_t i = 0; i < out->n; i++)
		complete(c, &out->rows[i]);
	return true;
}

static bool thread_of(struct jmap_call *c, struct one *o)
{
	struct jmap_places places = {0};
	struct fault why = {0};
	enum rc rc = jmap_places_read(&c->j->person->store, o->email, &places, &why);

	o->thread = places.thread;
	jmap_places_fini(&places);
	return rc == OK || rc == REFUSED || jmap_store_failed(c, rc, &why);
}

/* ---- get ---- */

struct deliveries {
	json_t *status, *rcpts;
};

static bool on_delivery(void *to, const struct mail_delivery *d)
{
	static const char *const delivered[] = {[MAIL_WAITS] = "queued",
						[MAIL_DELIVERED] = "yes",
						[MAIL_FAILED] = "no",
						[MAIL_DISCARDED] = "no"};
	struct deliveries *all = to;
	char key[ADDRESS_TEXT_BYTES];
	json_t *one = json_object(), *rcpt = json_object();

	(void)snprintf(key, sizeof key, "%.*s", SPAN_FMT(d->address));
	(void)json_object_set_new(one, "smtpReply",
				  d->reply.n ? jmap_json_text(d->reply)
					     : json_string("250 2.0.0 Ok"));
	(void)json_object_set_new(one, "delivered", json_string(delivered[d->state]));
	(void)json_object_set_new(one, "displayed", json_string("unknown"));
	(void)json_object_set_new(all->status, key, one);
	(void)json_object_set_new(rcpt, "email", jmap_json_text(d->address));
	(void)json_object_set_new(rcpt, "parameters", json_null());
	(void)json_array_append_new(all->rcpts, rcpt);
	return true;
}

static json_t *object_of(struct jmap_call *c, const struct one *o)
{
	const struct mail_store *store = &c->j->person->store;
	struct deliveries all = {json_object(), json_array()};
	json_t *out = json_object(), *envelope = json_object(), *from = json_object();
	struct fault why = {0};
	enum rc rc = store->ops->each_delivery(store->arg, o->number, on_delivery, &all, &why);

	if (rc != OK)
		(void)jmap_store_failed(c, rc, &why);
	(void)json_object_set_new(from, "email", jmap_json_text(o->sender));
	(void)json_object_set_new(from, "parameters", json_null());
	(void)json_object_set_new(envelope, "mailFrom", from);
	(void)json_object_set_new(envelope, "rcptTo", all.rcpts);
	(void)json_object_set_new(out, "id", jmap_json_text(o->id));
	(void)json_object_set_new(out, "identityId", jmap_json_text(o->identity));
	(void)json_object_set_new(out, "emailId", jmap_email_id(o->email.number, o->email.form));
	(void)json_object_set_new(out, "threadId",
				  o->thread ? jmap_thread_id(o->thread) : json_null());
	(void)json_object_set_new(out, "envelope", envelope);
	(void)json_object_set_new(out, "sendAt", jmap_utc(o->sent_us));
	(void)json_object_set_new(out, "undoStatus", json_string("final"));
	(void)json_object_set_new(out, "deliveryStatus", all.status);
	(void)json_object_set_new(out, "dsnBlobIds", json_array());
	(void)json_object_set_new(out, "mdnBlobIds", json_array());
	return out;
}

static json_t *chosen(json_t *o, const json_t *props)
{
	json_t *out, *item;
	size_t i;

	if (!props)
		return o;
	out = json_object();
	(void)json_object_set(out, "id", json_object_get(o, "id"));
	json_array_foreach(props, i, item)(void) json_object_set(
		out, json_string_value(item), json_object_get(o, json_string_value(item)));
	json_decref(o);
	return out;
}

struct get {
	struct all all;
	json_t *props, *ids; /* ids: each once; ours; NULL: all */
	size_t at;
	json_t *list, *missing;
};

static bool get_begin(struct jmap_call *c)
{
	struct get *g = arena_alloc(&c->arena, sizeof *g);
	struct mail_state state;
	json_t *ids;

	c->data = g;
	if (!jmap_args_known(c, "ids properties") || !jmap_get_ids(c, true, &ids) ||
	    !jmap_get_properties(c, properties, &g->props) || !jmap_state(c, &state) ||
	    !read_all(c, &g->all))
		return false;
	if (!ids && g->all.n > c->j->service->limits.get)
		return jmap_fail(c, "requestTooLarge", "Name the ids: there are too many");
	g->ids = ids ? jmap_unique(ids) : NULL;
	g->list = json_array();
	g->missing = json_array();
	(void)json_object_set_new(c->answer, "state", jmap_state_id(state.submissions));
	(void)json_object_set_new(c->answer, "list", g->list);
	(void)json_object_set_new(c->answer, "notFound", g->missing);
	return true;
}

static struct one *find(const struct all *all, struct span id)
{
	for (size_t i = 0; i < all->n; i++)
		if (span_eq(all->rows[i].id, id))
			return &all->rows[i];
	return NULL;
}

static enum jmap_step get_step(struct jmap_call *c)
{
	struct get *g = c->data;
	size_t n = g->ids ? json_array_size(g->ids) : g->all.n;

	for (unsigned done = 0; done < 50 && g->at < n && !c->error; done++, g->at++) {
		json_t *id = g->ids ? json_array_get(g->ids, g->at) : NULL;
		struct one *o = id ? find(&g->all, jmap_text(id)) : &g->all.rows[g->at];

		if (!o)
			(void)json_array_append(g->missing, id);
		else if (thread_of(c, o))
			(void)json_array_append_new(g->list, chosen(object_of(c, o), g->props));
	}
	return g->at < n && !c->error ? JMAP_AGAIN : JMAP_DONE;
}

static void get_end(struct jmap_call *c)
{
	struct get *g = c->data;

	if (g)
		json_decref(g->ids);
}

const struct jmap_method jmap_submission_get = {"EmailSubmission/get", JMAP_CAN_SUBMISSION,
						get_begin, get_step, get_end};

/* ---- changes: which of them are new is not kept, so that only "nothing" can be told ---- */

static enum jmap_step done(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

static bool changes_begin(struct jmap_call *c)
{
	struct mail_state state;

	return jmap_state(c, &state) && jmap_changes_unkept(c, state.submissions);
}

const struct jmap_method jmap_submission_changes = {"EmailSubmission/changes", JMAP_CAN_SUBMISSION,
						    changes_begin, done, NULL};

/* ---- query ---- */

static bool is_among(const json_t *ids, const json_t *id)
{
	json_t *item;
	size_t i;

	json_array_foreach(ids, i, item)
	{
		if (json_equal(item, id))
			return true;
	}
	return false;
}

static bool has_id(const json_t *condition, const char *name, json_t *id)
{
	const json_t *ids = json_object_get(condition, name);
	bool has = !ids || json_is_null(ids) || is_among(ids, id);

	json_decref(id);
	return has;
}

static bool is_in(const json_t *condition, const struct one *o)
{
	const json_t *status = json_object_get(condition, "undoStatus");
	uint64_t before = UINT64_MAX, after = 0;

	(void)jmap_utc_read(jmap_text(json_object_get(condition, "before")), &before);
	(void)jmap_utc_read(jmap_text(json_object_get(condition, "after")), &after);
	return has_id(condition, "identityIds", jmap_json_text(o->identity)) &&
	       has_id(condition, "emailIds", jmap_email_id(o->email.number, o->email.form)) &&
	       has_id(condition, "threadIds", jmap_thread_id(o->thread)) &&
	       (!status || json_is_null(status) || span_eq(jmap_text(status), SPAN_LIT("final"))) &&
	       o->sent_us < before && o->sent_us >= after;
}

static bool read_filter(struct jmap_call *c, json_t **out)
{
	const char *key;
	json_t *value;
	uint64_t us;

	if (!jmap_arg_object(c, "filter", out))
		return false;
	json_object_foreach(*out, key, value)
	{
		bool is_date = strcmp(key, "before") == 0 || strcmp(key, "after") == 0;

		if (!jmap_has_name("identityIds emailIds threadIds undoStatus before after",
				   span_str(key)))
			return jmap_fail(c, "unsupportedFilter", "There is no condition %.60s here",
					 key);
		if (span_ends_nocase(span_str(key), SPAN_LIT("Ids")) && !json_is_null(value) &&
		    !json_is_array(value))
			return jmap_bad_argument(c, "filter", "must have arrays of Ids");
		if (is_date && !jmap_utc_read(jmap_text(value), &us))
			return jmap_bad_argument(c, "filter", "must have UTCDates");
	}
	return true;
}

enum by { BY_SENT, BY_EMAIL, BY_THREAD };
struct order {
	enum by by[4];
	bool is_down[4];
	size_t n;
};

static bool read_sort(struct jmap_call *c, struct order *out)
{
	static const struct {
		const char *name;
		enum by by;
	} rows[] = {{"sentAt", BY_SENT}, {"emailId", BY_EMAIL}, {"threadId", BY_THREAD}};
	const json_t *sort = json_object_get(c->args, "sort"), *item;
	size_t i;

	*out = (struct order){0};
	if (sort && !json_is_null(sort) && (!json_is_array(sort) || json_array_size(sort) > 4))
		return jmap_fail(c, "unsupportedSort", "At most four comparators");
	json_array_foreach(sort, i, item)
	{
		struct span property;
		bool is_ascii;
		size_t k = 0;

		if (!jmap_comparator_read(c, item, &property, &out->is_down[out->n], &is_ascii))
			return false;
		while (k < 3 && !span_eq(property, span_str(rows[k].name)))
			k++;
		if (k == 3)
			return jmap_fail(c, "unsupportedSort", "Not by this property");
		out->by[out->n++] = rows[k].by;
	}
	return true;
}

static int compare(const struct one *x, const struct one *y, enum by by)
{
	uint64_t a = x->sent_us, b = y->sent_us;

	if (by == BY_EMAIL) {
		a = x->email.number;
		b = y->email.number;
	} else if (by == BY_THREAD) {
		a = x->thread;
		b = y->thread;
	}
	return (a > b) - (a < b);
}

static int in_order(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	const struct one *x = a, *y = b;

	for (size_t i = 0; i < o->n; i++) {
		int way = compare(x, y, o->by[i]);

		if (way)
			return o->is_down[i] ? -way : way;
	}
	return (x->number > y->number) - (x->number < y->number);
}

static json_t *id_of(const void *rows, size_t i)
{
	return jmap_json_text(((const struct one *)rows)[i].id);
}

struct query {
	struct all all;
	struct jmap_window window;
	struct order order;
	json_t *filter;
	size_t at;
	bool needs_threads;
};

static bool query_begin(struct jmap_call *c)
{
	struct query *q = arena_alloc(&c->arena, sizeof *q);
	struct mail_state state;

	c->data = q;
	if (!jmap_args_known(c, "filter sort position anchor anchorOffset limit calculateTotal") ||
	    !read_filter(c, &q->filter) || !read_sort(c, &q->order) ||
	    !jmap_window_read(c, &q->window) || !jmap_state(c, &state) || !read_all(c, &q->all))
		return false;
	q->needs_threads = json_object_get(q->filter, "threadIds") != NULL;
	for (size_t i = 0; i < q->order.n; i++)
		q->needs_threads = q->needs_threads || q->order.by[i] == BY_THREAD;
	(void)json_object_set_new(c->answer, "queryState", jmap_state_id(state.submissions));
	(void)json_object_set_new(c->answer, "canCalculateChanges", json_false());
	return true;
}

static enum jmap_step query_step(struct jmap_call *c)
{
	struct query *q = c->data;
	ssize_t anchor = -1;
	size_t n = 0;

	for (unsigned done = 0; q->needs_threads && q->at < q->all.n; q->at++, done++) {
		if (done == 200)
			return JMAP_AGAIN;
		if (!thread_of(c, &q->all.rows[q->at]))
			return JMAP_DONE;
	}
	for (size_t i = 0; i < q->all.n; i++)
		if (is_in(q->filter, &q->all.rows[i]))
			q->all.rows[n++] = q->all.rows[i];
	if (n)
		qsort_r(q->all.rows, n, sizeof *q->all.rows, in_order, &q->order);
	for (size_t i = 0; i < n; i++)
		if (q->window.anchor.p && span_eq(q->all.rows[i].id, q->window.anchor))
			anchor = (ssize_t)i;
	(void)jmap_window_say(c, &q->window, n, anchor, id_of, q->all.rows);
	return JMAP_DONE;
}

const struct jmap_method jmap_submission_query = {"EmailSubmission/query", JMAP_CAN_SUBMISSION,
						  query_begin, query_step, NULL};

static bool query_changes_begin(struct jmap_call *c)
{
	return jmap_fail(c, "cannotCalculateChanges", "Query anew");
}

const struct jmap_method jmap_submission_query_changes = {
	"EmailSubmission/queryChanges", JMAP_CAN_SUBMISSION, query_changes_begin, done, NULL};
