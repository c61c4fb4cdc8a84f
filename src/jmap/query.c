#include "jmap/query.h"

#include <stdlib.h>

#include "base/must.h"

enum {
	LOOKS = 4000, /* at entries in one step */
	BATCH = 64,   /* of those that cost more */
};

bool jmap_query_read(struct jmap_call *c, struct jmap_query *q)
{
	json_t *filter;

	if (!jmap_arg_object(c, "filter", &filter) || !jmap_filter_read(c, filter, &q->filter) ||
	    !jmap_sort_read(c, q) || !jmap_arg_bool(c, "collapseThreads", &q->is_collapsing))
		return false;
	if (!jmap_boxes_read(c, &q->boxes))
		return false;
	jmap_match_init(&q->match, &c->j->person->store, &q->filter);
	q->batch = arena_array(&c->arena, BATCH, sizeof *q->batch);
	q->next = 1;
	return true;
}

void jmap_query_fini(struct jmap_query *q)
{
	jmap_match_fini(&q->match);
	jmap_set64_fini(&q->seen);
	buf_fini(&q->batch_words);
	buf_fini(&q->texts);
	free(q->rows);
	free(q->keys);
}

/* ---- what is found ---- */

static bool add_row(struct jmap_call *c, struct jmap_query *q, const struct mail_entry *e)
{
	struct jmap_row *row;

	if (q->rows_n == q->rows_cap) {
		q->rows_cap = q->rows_cap ? 2 * q->rows_cap : 256;
		q->rows = reallocarray(q->rows, q->rows_cap, sizeof *q->rows);
		must(q->rows);
	}
	if (q->rows_n == JMAP_ROWS_LIMIT)
		return jmap_fail(c, "serverFail", "More than %d messages match", JMAP_ROWS_LIMIT);
	row = &q->rows[q->rows_n++];
	*row = (struct jmap_row){.number = e->number,
				 .thread = e->thread,
				 .received_us = e->received_us,
				 .bytes = e->bytes,
				 .form = e->form};
	if (!q->needs_keys)
		return true;
	q->match.e = e;
	return jmap_sort_keys(c, q, row);
}

static void keep(struct jmap_query *q, const struct mail_entry *e)
{
	struct mail_entry *to = &q->batch[q->batch_n++];

	*to = *e;
	to->keywords.p = NULL; /* the words move as they grow: placed by place_words */
	(void)buf_append(&q->batch_words, e->keywords);
}

static void place_words(struct jmap_query *q)
{
	size_t at = 0;

	for (size_t i = 0; i < q->batch_n; i++) {
		q->batch[i].keywords.p = q->batch_words.p + at;
		at += q->batch[i].keywords.n;
	}
}

struct look {
	struct jmap_call *c;
	struct jmap_query *q;
	uint64_t box;
	bool has_failed;
};

static bool on_entry(void *to, const struct mail_entry *e)
{
	struct look *l = to;
	struct jmap_query *q = l->q;
	enum jmap_truth truth;
	bool is_new;

	q->looked += 1 + (unsigned)q->filter.n / 8;
	if (q->looked > LOOKS || q->batch_n == BATCH) {
		q->is_more = true;
		q->next = e->uid;
		return false;
	}
	if (e->flags & MAIL_DELETED)
		return true;
	(void)jmap_set64_at(&q->seen, 4 * e->number + e->form, &is_new);
	if (!is_new)
		return true;
	truth = jmap_match_look(&q->match, l->box, e);
	if (truth == JMAP_NO)
		return true;
	if (truth == JMAP_UNKNOWN || q->needs_keys)
		keep(q, e);
	else
		l->has_failed = !add_row(l->c, q, e);
	return !l->has_failed;
}

/* ---- steps ---- */

static bool next_box(struct jmap_query *q)
{
	q->box_at++;
	q->next = 1;
	q->asked = 0;
	return q->box_at < q->boxes.n;
}

/* Entries of the box at hand, as far as one step goes. */
static bool look_on(struct jmap_call *c, struct jmap_query *q)
{
	const struct mail_store *store = &c->j->person->store;
	uint64_t box = q->boxes.all[q->box_at].box.id;
	struct look l = {.c = c, .q = q, .box = box};
	struct fault why = {0};
	enum rc rc;

	q->is_more = false;
	if (q->filter.has_box && q->filter.box != box)
		return true;
	if (!jmap_match_ask(&q->match, box, &q->asked)) {
		q->is_more = true;
		return true;
	}
	rc = store->ops->each_entry(store->arg, box, (struct mail_range){q->next, UINT32_MAX}, 0,
				    on_entry, &l, &why);
	if (rc != OK)
		return jmap_store_failed(c, rc, &why);
	place_words(q);
	return !l.has_failed;
}

/* The batch, one after the other; a message that must be read, in pieces. False: failed. */
static bool work_on(struct jmap_call *c, struct jmap_query *q)
{
	while (q->batch_at < q->batch_n) {
		const struct mail_entry *e = &q->batch[q->batch_at];
		enum jmap_truth truth;

		truth = q->is_reading
				? jmap_match_read(&q->match)
				: jmap_match_begin(&q->match, q->boxes.all[q->box_at].box.id, e);
		q->is_reading = truth == JMAP_UNKNOWN;
		if (q->match.rc != OK)
			return jmap_store_failed(c, q->match.rc, &q->match.why);
		if (q->is_reading)
			return true;
		if (truth == JMAP_YES && !add_row(c, q, e))
			return false;
		q->batch_at++;
	}
	q->batch_n = q->batch_at = 0;
	buf_clear(&q->batch_words);
	return true;
}

static void collapse(struct jmap_query *q)
{
	struct jmap_set64 threads = {0};
	size_t n = 0;

	for (size_t i = 0; i < q->rows_n; i++) {
		bool is_new;

		(void)jmap_set64_at(&threads, q->rows[i].thread, &is_new);
		if (is_new)
			q->rows[n++] = q->rows[i];
	}
	q->rows_n = n;
	jmap_set64_fini(&threads);
}

enum rc jmap_query_run(struct jmap_call *c, struct jmap_query *q)
{
	q->looked = 0;
	if (q->is_sorted)
		return OK;
	if (q->batch_n)
		return work_on(c, q) ? MORE : REFUSED;
	while (q->box_at < q->boxes.n) {
		if (!look_on(c, q))
			return REFUSED;
		if (q->batch_n || q->is_more) {
			if (!q->is_more)
				q->next = UINT32_MAX; /* nothing comes behind the batch */
			return MORE;
		}
		if (!next_box(q))
			break;
		if (q->looked > LOOKS / 2)
			return MORE;
	}
	jmap_sort(q);
	if (q->is_collapsing)
		collapse(q);
	q->is_sorted = true;
	return OK;
}
