/* Mailbox/query and Mailbox/queryChanges (RFC 8621 s2.3, s2.4). There are few mailboxes: all in one step. */
#include <stdlib.h>

#include "base/must.h"
#include "jmap/changes.h"
#include "jmap/mailbox.h"
#include "jmap/operators.h"
#include "jmap/window.h"
#include "mail/text.h"

enum { NODES = 200, COMPARATORS = 4, LEVELS = MAIL_BOX_LEVELS + 2 };

enum key {
	K_TRUE,
	K_FALSE,
	K_PARENT,
	K_NAME,
	K_ROLE,
	K_HAS_ROLE,
	K_SUBSCRIBED,
	K_NOT,
	K_AND,
	K_OR
};

struct node {
	enum key key;
	uint64_t parent;  /* 0: none */
	struct span text; /* name folded; role, .p NULL: none */
	bool value;
};

struct query {
	struct node *nodes;
	size_t nodes_n;
	struct {
		bool by_name, is_down;
	} by[COMPARATORS];
	size_t by_n;
	bool sorts_tree, filters_tree;
	struct jmap_boxes boxes;
	bool *is_in;
	size_t *rows; /* indexes of boxes */
	size_t rows_n;
};

/* ---- the filter ---- */

static struct node *emit(struct jmap_call *c, struct query *q, enum key key)
{
	if (q->nodes_n == NODES) {
		(void)jmap_fail(c, "unsupportedFilter", "The filter has too many conditions");
		return NULL;
	}
	q->nodes[q->nodes_n] = (struct node){.key = key};
	return &q->nodes[q->nodes_n++];
}

static bool read_parent(struct jmap_call *c, struct node *n, const json_t *value)
{
	n->key = K_PARENT;
	if (json_is_null(value))
		return true;
	if (!json_is_string(value))
		return jmap_bad_argument(c, "filter", "parentId must be an Id or null");
	if (!jmap_box_of(jmap_resolved(c, jmap_text(value)), &n->parent) || n->parent == 0)
		n->key = K_FALSE;
	return true;
}

static bool read_name(struct jmap_call *c, struct node *n, const json_t *value)
{
	struct buf folded = {0};

	n->key = K_NAME;
	if (!json_is_string(value))
		return jmap_bad_argument(c, "filter", "name must be a String");
	(void)text_fold(jmap_text(value), &folded);
	n->text = arena_span(&c->arena, buf_span(&folded));
	buf_fini(&folded);
	return true;
}

static bool read_role(struct jmap_call *c, struct node *n, const json_t *value)
{
	n->key = K_ROLE;
	n->text = jmap_text(value);
	return json_is_null(value) || json_is_string(value) ||
	       jmap_bad_argument(c, "filter", "role must be a String or null");
}

static bool read_bool(struct jmap_call *c, struct node *n, const json_t *value, enum key key)
{
	n->key = key;
	n->value = json_is_true(value);
	return json_is_boolean(value) || jmap_bad_argument(c, "filter", "a Boolean is needed");
}

static bool read_property(struct jmap_call *c, struct query *q, const char *key,
			  const json_t *value)
{
	struct node *n = emit(c, q, K_TRUE);

	if (!n)
		return false;
	if (strcmp(key, "parentId") == 0)
		return read_parent(c, n, value);
	if (strcmp(key, "name") == 0)
		return read_name(c, n, value);
	if (strcmp(key, "role") == 0)
		return read_role(c, n, value);
	if (strcmp(key, "hasAnyRole") == 0)
		return read_bool(c, n, value, K_HAS_ROLE);
	if (strcmp(key, "isSubscribed") == 0)
		return read_bool(c, n, value, K_SUBSCRIBED);
	return jmap_fail(c, "unsupportedFilter", "There is no condition \"%.60s\"", key);
}

static bool on_condition(struct jmap_call *c, void *to, json_t *condition)
{
	const char *key;
	json_t *value;
	bool is_first = true;

	json_object_foreach(condition, key, value)
	{
		if (!read_property(c, to, key, value) || (!is_first && !emit(c, to, K_AND)))
			return false;
		is_first = false;
	}
	return !is_first || emit(c, to, K_TRUE);
}

static bool on_join(struct jmap_call *c, void *to, enum jmap_join join)
{
	static const enum key keys[] = {[JMAP_ALL] = K_TRUE,
					[JMAP_NONE] = K_FALSE,
					[JMAP_NOT] = K_NOT,
					[JMAP_AND] = K_AND,
					[JMAP_OR] = K_OR};

	return emit(c, to, keys[join]) != NULL;
}

static bool test(const struct query *q, const struct jmap_box *b, const struct node *n)
{
	const char *role = jmap_role(b->box.special);
	uint64_t parent = b->parent < 0 ? 0 : q->boxes.all[b->parent].box.id;

	switch (n->key) {
	case K_PARENT:
		return parent == n->parent;
	case K_NAME:
		return n->text.n == 0 ||
		       (b->key.n && memmem(b->key.p, b->key.n, n->text.p, n->text.n) != NULL);
	case K_ROLE:
		return n->text.p ? role && span_eq(n->text, span_str(role)) : !role;
	case K_HAS_ROLE:
		return n->value == (role != NULL);
	case K_SUBSCRIBED:
		return n->value == b->box.is_subscribed;
	case K_TRUE:
		return true;
	case K_FALSE:
	case K_NOT:
	case K_AND:
	case K_OR:
		break;
	}
	return false;
}

static bool matches(const struct query *q, const struct jmap_box *b)
{
	bool stack[2 * JMAP_JSON_DEPTH + 2];
	size_t n = 0;

	for (size_t i = 0; i < q->nodes_n; i++) {
		const struct node *node = &q->nodes[i];

		if (node->key == K_NOT) {
			stack[n - 1] = !stack[n - 1];
		} else if (node->key == K_AND || node->key == K_OR) {
			n--;
			stack[n - 1] = node->key == K_AND ? stack[n - 1] && stack[n]
							  : stack[n - 1] || stack[n];
		} else {
			must(n < sizeof stack);
			stack[n++] = test(q, b, node);
		}
	}
	must(n == 1);
	return stack[0];
}

/* ---- the order ---- */

static bool read_sort(struct jmap_call *c, struct query *q)
{
	const json_t *sort = json_object_get(c->args, "sort"), *item;
	size_t i;

	if (sort && !json_is_null(sort) && !json_is_array(sort))
		return jmap_bad_argument(c, "sort", "must be an array of Comparators");
	if (json_array_size(sort) > COMPARATORS)
		return jmap_fail(c, "unsupportedSort", "At most %d Comparators", COMPARATORS);
	json_array_foreach(sort, i, item)
	{
		struct span name;
		bool is_ascii; /* names are compared folded either way */

		if (!jmap_comparator_read(c, item, &name, &q->by[i].is_down, &is_ascii))
			return false;
		q->by[i].by_name = span_eq(name, SPAN_LIT("name"));
		if (!q->by[i].by_name && !span_eq(name, SPAN_LIT("sortOrder")))
			return jmap_fail(c, "unsupportedSort",
					 "Mailboxes are sorted by name and sortOrder");
		q->by_n++;
	}
	return true;
}

static int compare_two(const struct query *q, size_t a, size_t b)
{
	const struct jmap_box *x = &q->boxes.all[a], *y = &q->boxes.all[b];

	for (size_t i = 0; i < q->by_n; i++) {
		int c = q->by[i].by_name
				? span_cmp(x->key, y->key)
				: jmap_sort_order(x->box.special) - jmap_sort_order(y->box.special);

		if (c)
			return q->by[i].is_down ? -c : c;
	}
	return (a > b) - (a < b);
}

/* From the top level down to the mailbox itself. */
static size_t path_of(const struct query *q, size_t box, size_t path[LEVELS])
{
	size_t n = 0;

	for (ssize_t at = (ssize_t)box; at >= 0 && n < LEVELS; at = q->boxes.all[at].parent)
		path[n++] = (size_t)at;
	for (size_t i = 0; i < n / 2; i++) {
		size_t swap = path[i];

		path[i] = path[n - 1 - i];
		path[n - 1 - i] = swap;
	}
	return n;
}

static int compare(const void *one, const void *other, void *arg)
{
	const struct query *q = arg;
	size_t a = *(const size_t *)one, b = *(const size_t *)other, path_a[LEVELS], path_b[LEVELS];
	size_t a_n, b_n;

	if (!q->sorts_tree)
		return compare_two(q, a, b);
	a_n = path_of(q, a, path_a);
	b_n = path_of(q, b, path_b);
	for (size_t i = 0; i < a_n && i < b_n; i++) {
		if (path_a[i] != path_b[i])
			return compare_two(q, path_a[i], path_b[i]);
	}
	return (a_n > b_n) - (a_n < b_n);
}

/* ---- both methods ---- */

static bool read_query(struct jmap_call *c, struct query *q)
{
	static const struct jmap_operators ops = {on_condition, on_join};

	q->nodes = arena_array(&c->arena, NODES, sizeof *q->nodes);
	return jmap_operators_read(c, json_object_get(c->args, "filter"), &ops, q) &&
	       read_sort(c, q) && jmap_arg_bool(c, "sortAsTree", &q->sorts_tree) &&
	       jmap_arg_bool(c, "filterAsTree", &q->filters_tree) && jmap_boxes_read(c, &q->boxes);
}

/* Parents stand before their children: IMAP's names are sorted, and "/" is before what follows it. */
static bool parents_match(const struct query *q, size_t i)
{
	size_t levels = 0;

	for (ssize_t at = q->boxes.all[i].parent; at >= 0 && levels < LEVELS; levels++) {
		if (!matches(q, &q->boxes.all[at]))
			return false;
		at = q->boxes.all[at].parent;
	}
	return true;
}

static void find(struct jmap_call *c, struct query *q)
{
	q->rows = arena_array(&c->arena, q->boxes.n + 1, sizeof *q->rows);
	for (size_t i = 0; i < q->boxes.n; i++) {
		if (matches(q, &q->boxes.all[i]) && (!q->filters_tree || parents_match(q, i)))
			q->rows[q->rows_n++] = i;
	}
	qsort_r(q->rows, q->rows_n, sizeof *q->rows, compare, q);
}

static json_t *id_of(const void *rows, size_t i)
{
	const struct query *q = rows;

	return jmap_box_id(q->boxes.all[q->rows[i]].box.id);
}

static bool query(struct jmap_call *c)
{
	struct query *q = arena_alloc(&c->arena, sizeof *q);
	struct jmap_window window;
	struct mail_state state;
	ssize_t anchor = -1;
	uint64_t id;

	if (!jmap_args_known(c, "filter sort position anchor anchorOffset limit calculateTotal "
				"sortAsTree filterAsTree") ||
	    !jmap_window_read(c, &window) || !jmap_state(c, &state) || !read_query(c, q))
		return false;
	find(c, q);
	for (size_t i = 0; jmap_box_of(window.anchor, &id) && i < q->rows_n; i++) {
		if (q->boxes.all[q->rows[i]].box.id == id)
			anchor = (ssize_t)i;
	}
	(void)json_object_set_new(c->answer, "queryState", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "canCalculateChanges", json_true());
	return jmap_window_say(c, &window, q->rows_n, anchor, id_of, q);
}

/* When the list itself has changed, all of it is told anew: it is short, and one name moves many. */
static void tell_anew(struct jmap_call *c, const struct query *q, const struct jmap_changes *ch)
{
	json_t *removed = json_object_get(c->answer, "removed");
	json_t *added = json_object_get(c->answer, "added");

	for (size_t i = 0; i < q->boxes.n; i++)
		(void)json_array_append_new(removed, jmap_box_id(q->boxes.all[i].box.id));
	for (size_t i = 0; i < ch->n; i++) {
		if (ch->all[i].kind == MAIL_GONE)
			(void)json_array_append_new(removed, jmap_box_id(ch->all[i].id));
	}
	for (size_t i = 0; i < q->rows_n; i++) {
		json_t *one = json_object();

		(void)json_object_set_new(one, "id", id_of(q, i));
		(void)json_object_set_new(one, "index", json_integer((json_int_t)i));
		(void)json_array_append_new(added, one);
	}
}

static bool query_changes(struct jmap_call *c)
{
	struct query *q = arena_alloc(&c->arena, sizeof *q);
	struct jmap_changes ch = {0};
	struct mail_state state;
	struct span up_to = SPAN_NONE;
	uint64_t since, most;
	bool tells_total = false, is_anew = false;

	if (!jmap_args_known(c, "filter sort sinceQueryState maxChanges upToId calculateTotal "
				"sortAsTree filterAsTree") ||
	    !jmap_state(c, &state) || !jmap_since(c, "sinceQueryState", &state, &since) ||
	    !jmap_changes_limit(c, &most) || !jmap_arg_text(c, "upToId", &up_to) ||
	    !jmap_arg_bool(c, "calculateTotal", &tells_total) || !read_query(c, q) ||
	    !jmap_changes_read(c, c->j->person->store.ops->changed_boxes, since, JMAP_CHANGES_MOST,
			       &ch)) {
		jmap_changes_fini(&ch);
		return false;
	}
	find(c, q);
	for (size_t i = 0; i < ch.n; i++)
		is_anew |= ch.all[i].kind != MAIL_CHANGED || !ch.all[i].counts_only;
	(void)json_object_set_new(c->answer, "oldQueryState", jmap_state_id(since));
	(void)json_object_set_new(c->answer, "newQueryState", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "removed", json_array());
	(void)json_object_set_new(c->answer, "added", json_array());
	if (tells_total)
		(void)json_object_set_new(c->answer, "total", json_integer((json_int_t)q->rows_n));
	if (is_anew)
		tell_anew(c, q, &ch);
	jmap_changes_fini(&ch);
	if (most && json_array_size(json_object_get(c->answer, "removed")) +
				    json_array_size(json_object_get(c->answer, "added")) >
			    most)
		return jmap_fail(c, "tooManyChanges", "There are more changes than maxChanges");
	return true;
}

static enum jmap_step step(struct jmap_call *c)
{
	(void)c;
	return JMAP_DONE;
}

const struct jmap_method jmap_mailbox_query = {"Mailbox/query", JMAP_CAN_MAIL, query, step, NULL};
const struct jmap_method jmap_mailbox_query_changes = {"Mailbox/queryChanges", JMAP_CAN_MAIL,
						       query_changes, step, NULL};
