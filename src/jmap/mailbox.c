/* Mailbox/get (RFC 8621 s2), and the list of mailboxes. */
#include "jmap/mailbox.h"

#include "base/map.h"
#include "base/must.h"
#include "jmap/set64.h"
#include "mail/text.h"

enum { ENTRIES_A_STEP = 2000 };

/* ---- the list ---- */

struct gather {
	struct arena *arena;
	struct jmap_box *all;
	size_t n, cap;
};

static bool on_box(void *to, const struct mail_box *b)
{
	struct gather *g = to;
	struct jmap_box *one;

	if (!b->exists)
		return true;
	if (g->n == g->cap) {
		struct jmap_box *was = g->all;

		g->cap = g->cap ? 2 * g->cap : 32;
		g->all = arena_array(g->arena, g->cap, sizeof *g->all);
		if (g->n)
			memcpy(g->all, was, g->n * sizeof *was);
	}
	one = &g->all[g->n++];
	*one = (struct jmap_box){.box = *b, .parent = -1};
	one->box.name = arena_span(g->arena, b->name);
	return true;
}

/* The nearest level above that is a mailbox is the parent; what stands behind it is the name. */
static void find_parents(struct arena *arena, struct jmap_boxes *b)
{
	struct map by_name;

	map_init(&by_name);
	for (size_t i = 0; i < b->n; i++)
		(void)map_put(&by_name, b->all[i].box.name, &b->all[i]);
	for (size_t i = 0; i < b->n; i++) {
		struct jmap_box *one = &b->all[i];
		struct span above = one->box.name;
		struct jmap_box *parent = NULL;
		struct buf folded = {0};
		ssize_t at;

		while (!parent && (at = span_rchr(above, '/')) > 0) {
			above = span_first(above, (size_t)at);
			parent = map_get(&by_name, above);
		}
		one->parent = parent ? parent - b->all : -1;
		one->name = parent ? span_from(one->box.name, above.n + 1) : one->box.name;
		(void)text_fold(one->name, &folded);
		one->key = arena_span(arena, buf_span(&folded));
		buf_fini(&folded);
	}
	map_fini(&by_name, NULL);
}

bool jmap_boxes_read(struct jmap_call *c, struct jmap_boxes *out)
{
	const struct mail_store *store = &c->j->person->store;
	struct gather g = {.arena = &c->arena};
	struct fault why = {0};
	enum rc rc = store->ops->each_box(store->arg, on_box, &g, &why);

	if (rc != OK)
		return jmap_store_failed(c, rc, &why);
	*out = (struct jmap_boxes){g.all, g.n};
	find_parents(&c->arena, out);
	return true;
}

ssize_t jmap_boxes_find(const struct jmap_boxes *b, uint64_t id)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->all[i].box.id == id)
			return (ssize_t)i;
	}
	return -1;
}

const char *jmap_role(enum mail_special special)
{
	static const char *const roles[] = {
		[MAIL_INBOX] = "inbox",	    [MAIL_SENT] = "sent",   [MAIL_DRAFTS] = "drafts",
		[MAIL_ARCHIVE] = "archive", [MAIL_TRASH] = "trash", [MAIL_JUNK] = "junk"};

	return roles[special];
}

int jmap_sort_order(enum mail_special special)
{
	static const int orders[] = {
		[MAIL_PLAIN] = 10,  [MAIL_INBOX] = 1, [MAIL_DRAFTS] = 2, [MAIL_SENT] = 3,
		[MAIL_ARCHIVE] = 4, [MAIL_JUNK] = 5,  [MAIL_TRASH] = 6};

	return orders[special];
}

/* ---- counting ---- */

enum { UNREAD = 1 };

struct counts {
	struct jmap_set64 emails, threads; /* values: UNREAD */
	uint64_t total, unread, unread_threads;
	uint32_t next; /* UID */
	unsigned seen; /* entries, in this step */
	bool is_more;
};

static void counts_fini(struct counts *k)
{
	jmap_set64_fini(&k->emails);
	jmap_set64_fini(&k->threads);
	*k = (struct counts){0};
}

static bool on_entry(void *to, const struct mail_entry *e)
{
	struct counts *k = to;
	bool is_new, is_unread = !(e->flags & (MAIL_SEEN | MAIL_DRAFT));
	uint32_t *thread;

	if (k->seen++ == ENTRIES_A_STEP) {
		k->is_more = true;
		k->next = e->uid;
		return false;
	}
	if (e->flags & MAIL_DELETED)
		return true;
	(void)jmap_set64_at(&k->emails, 4 * e->number + e->form, &is_new);
	if (!is_new)
		return true;
	k->total++;
	k->unread += is_unread;
	thread = jmap_set64_at(&k->threads, e->thread, &is_new);
	if (is_unread && !(*thread & UNREAD)) {
		*thread |= UNREAD;
		k->unread_threads++;
	}
	return true;
}

/* MORE: others may go first. */
static enum rc count_on(const struct mail_store *store, uint64_t box, struct counts *k,
			struct fault *why)
{
	enum rc rc;

	k->seen = 0;
	k->is_more = false;
	if (k->next == 0)
		k->next = 1;
	rc = store->ops->each_entry(store->arg, box, (struct mail_range){k->next, UINT32_MAX}, 0,
				    on_entry, k, why);
	return rc == OK && k->is_more ? MORE : rc;
}

/* ---- Mailbox/get ---- */

static const char properties[] = "id name parentId role sortOrder totalEmails unreadEmails "
				 "totalThreads unreadThreads myRights isSubscribed";

struct get {
	struct jmap_boxes boxes;
	size_t *which; /* of boxes */
	size_t which_n, at;
	const json_t *props; /* NULL: all */
	bool wants_threads;
	struct counts counts;
	json_t *list;
};

static bool wants(const struct get *g, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(g->props, i, item)
	{
		if (strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return g->props == NULL;
}

static void choose(struct jmap_call *c, struct get *g, const json_t *ids, json_t *missing)
{
	json_t *unique = ids ? jmap_unique(ids) : NULL, *id;
	size_t i;

	g->which = arena_array(&c->arena, (ids ? json_array_size(ids) : g->boxes.n) + 1,
			       sizeof *g->which);
	for (i = 0; !ids && i < g->boxes.n; i++)
		g->which[g->which_n++] = i;
	json_array_foreach(unique, i, id)
	{
		uint64_t number;
		ssize_t at = -1;

		if (jmap_box_of(jmap_text(id), &number))
			at = jmap_boxes_find(&g->boxes, number);
		if (at < 0)
			(void)json_array_append(missing, id);
		else
			g->which[g->which_n++] = (size_t)at;
	}
	json_decref(unique);
}

static bool begin(struct jmap_call *c)
{
	struct get *g = arena_alloc(&c->arena, sizeof *g);
	json_t *ids, *props, *missing;
	struct mail_state state;

	c->data = g;
	if (!jmap_args_known(c, "ids properties") || !jmap_get_ids(c, true, &ids) ||
	    !jmap_get_properties(c, properties, &props) || !jmap_state(c, &state) ||
	    !jmap_boxes_read(c, &g->boxes))
		return false;
	if (!ids && g->boxes.n > c->j->service->limits.get)
		return jmap_fail(c, "requestTooLarge", "There are too many mailboxes");
	g->props = props;
	g->wants_threads = wants(g, "totalThreads") || wants(g, "unreadThreads");
	g->list = json_array();
	missing = json_array();
	(void)json_object_set_new(c->answer, "state", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "list", g->list);
	(void)json_object_set_new(c->answer, "notFound", missing);
	choose(c, g, ids, missing);
	return true;
}

static void end(struct jmap_call *c)
{
	struct get *g = c->data;

	if (g)
		counts_fini(&g->counts);
}

json_t *jmap_mailbox_rights(enum mail_special special)
{
	bool is_plain = special == MAIL_PLAIN;

	return json_pack("{s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:b}", "mayReadItems", 1, "mayAddItems",
			 1, "mayRemoveItems", 1, "maySetSeen", 1, "maySetKeywords", 1,
			 "mayCreateChild", 1, "mayRename", is_plain, "mayDelete", is_plain,
			 "maySubmit", 1);
}

static void put(const struct get *g, json_t *o, const char *name, json_t *value)
{
	if (wants(g, name))
		(void)json_object_set_new(o, name, value);
	else
		json_decref(value);
}

static void put_box(struct get *g, const struct jmap_box *one, const struct counts *k)
{
	const struct mail_box *b = &one->box;
	const char *role = jmap_role(b->special);
	json_t *o = json_object();

	(void)json_object_set_new(o, "id", jmap_box_id(b->id));
	put(g, o, "name", jmap_json_text(one->name));
	put(g, o, "parentId",
	    one->parent < 0 ? json_null() : jmap_box_id(g->boxes.all[one->parent].box.id));
	put(g, o, "role", role ? json_string(role) : json_null());
	put(g, o, "sortOrder", json_integer(jmap_sort_order(b->special)));
	put(g, o, "totalEmails", json_integer((json_int_t)k->total));
	put(g, o, "unreadEmails", json_integer((json_int_t)k->unread));
	put(g, o, "totalThreads", json_integer((json_int_t)(k->threads.n + k->threads.has_zero)));
	put(g, o, "unreadThreads", json_integer((json_int_t)k->unread_threads));
	put(g, o, "myRights", jmap_mailbox_rights(b->special));
	put(g, o, "isSubscribed", json_boolean(b->is_subscribed));
	(void)json_array_append_new(g->list, o);
}

/* The counters tell all but threads. */
static bool must_count(const struct get *g, const struct mail_box *b)
{
	return g->wants_threads && b->total > 0;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct get *g = c->data;
	const struct jmap_box *one;
	struct fault why = {0};
	enum rc rc;

	for (unsigned counted = 0; counted < ENTRIES_A_STEP;) {
		if (g->at == g->which_n)
			return JMAP_DONE;
		one = &g->boxes.all[g->which[g->at]];
		if (must_count(g, &one->box)) {
			rc = count_on(&c->j->person->store, one->box.id, &g->counts, &why);
			if (rc == MORE)
				return JMAP_AGAIN;
			if (rc != OK) {
				(void)jmap_store_failed(c, rc, &why);
				return JMAP_DONE;
			}
			counted += g->counts.seen;
		} else {
			g->counts.total = one->box.total - one->box.deleted;
			g->counts.unread = one->box.unread;
		}
		counted += 20;
		put_box(g, one, &g->counts);
		counts_fini(&g->counts);
		g->at++;
	}
	return JMAP_AGAIN;
}

const struct jmap_method jmap_mailbox_get = {"Mailbox/get", JMAP_CAN_MAIL, begin, step, end};
