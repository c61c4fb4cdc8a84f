/* What Emails are sorted by (RFC 8621 s4.4.2). */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "jmap/envelope.h"
#include "jmap/query.h"
#include "mail/text.h"

enum { KEY_BYTES = 200 }; /* of a text: what differs later is equal */

/* ---- the sort argument ---- */

static const struct {
	const char *property;
	enum jmap_by by;
} properties[] = {{"receivedAt", JMAP_BY_RECEIVED},
		  {"size", JMAP_BY_SIZE},
		  {"sentAt", JMAP_BY_SENT},
		  {"from", JMAP_BY_FROM},
		  {"to", JMAP_BY_TO},
		  {"subject", JMAP_BY_SUBJECT},
		  {"hasKeyword", JMAP_BY_KEYWORD},
		  {"allInThreadHaveKeyword", JMAP_BY_THREAD_ALL},
		  {"someInThreadHaveKeyword", JMAP_BY_THREAD_SOME}};

static bool read_property(struct jmap_call *c, struct span name, struct jmap_comparator *out)
{
	for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
		if (!span_eq(span_str(properties[i].property), name))
			continue;
		out->by = properties[i].by;
		return true;
	}
	return jmap_fail(c, "unsupportedSort", "Emails cannot be sorted by this property");
}

static bool read_collation(struct jmap_call *c, const json_t *value, bool *out_is_ascii)
{
	struct span name = jmap_text(value);

	*out_is_ascii = span_eq(name, SPAN_LIT("i;ascii-casemap"));
	return !value || json_is_null(value) || *out_is_ascii ||
	       span_eq(name, SPAN_LIT("i;unicode-casemap")) ||
	       jmap_fail(c, "unsupportedSort", "There is no such collation");
}

bool jmap_comparator_read(struct jmap_call *c, const json_t *json, struct span *out_property,
			  bool *out_is_down, bool *out_is_ascii)
{
	const json_t *up = json_object_get(json, "isAscending");

	*out_property = jmap_text(json_object_get(json, "property"));
	*out_is_down = json_is_false(up);
	if (!out_property->p)
		return jmap_bad_argument(c, "sort", "a Comparator must have a property");
	if (up && !json_is_boolean(up))
		return jmap_bad_argument(c, "sort", "isAscending must be a Boolean");
	return read_collation(c, json_object_get(json, "collation"), out_is_ascii);
}

static bool read_one(struct jmap_call *c, const json_t *json, struct jmap_comparator *out)
{
	struct span keyword = jmap_text(json_object_get(json, "keyword")), property;

	if (!jmap_comparator_read(c, json, &property, &out->is_down, &out->is_ascii) ||
	    !read_property(c, property, out))
		return false;
	if (out->by < JMAP_BY_KEYWORD)
		return true;
	out->keyword = keyword;
	out->flag = jmap_keyword_flag(keyword);
	return jmap_is_keyword(keyword) || jmap_bad_argument(c, "sort", "a keyword is needed");
}

bool jmap_sort_read(struct jmap_call *c, struct jmap_query *q)
{
	json_t *sort = json_object_get(c->args, "sort"), *item;
	size_t i;

	if (sort && !json_is_null(sort) && !json_is_array(sort))
		return jmap_bad_argument(c, "sort", "must be an array of Comparators");
	if (json_array_size(sort) > JMAP_COMPARATORS)
		return jmap_fail(c, "unsupportedSort", "At most %d Comparators", JMAP_COMPARATORS);
	json_array_foreach(sort, i, item)
	{
		if (!read_one(c, item, &q->by[q->by_n]))
			return false;
		q->needs_keys |= q->by[q->by_n].by > JMAP_BY_SIZE;
		q->sorts_mutable |= q->by[q->by_n].by >= JMAP_BY_KEYWORD;
		q->sorts_threads |= q->by[q->by_n].by >= JMAP_BY_THREAD_ALL;
		q->by_n++;
	}
	if (q->by_n == 0)
		q->by[q->by_n++] =
			(struct jmap_comparator){.by = JMAP_BY_RECEIVED, .is_down = true};
	return true;
}

/* ---- keys ---- */

static void put_text(struct jmap_query *q, const struct jmap_comparator *by, struct span text,
		     struct jmap_sort_key *key)
{
	struct buf folded = {0};

	key->text_at = (uint32_t)q->texts.n;
	if (by->is_ascii) {
		for (size_t i = 0; i < text.n; i++)
			(void)buf_append_byte(&folded, ascii_upper(text.p[i]));
	} else {
		(void)text_fold(text, &folded);
	}
	if (q->texts.n < UINT32_MAX - KEY_BYTES)
		(void)buf_append(&q->texts, span_first(buf_span(&folded), KEY_BYTES));
	key->text_n = (uint32_t)q->texts.n - key->text_at;
	buf_fini(&folded);
}

static bool keyword_key(struct jmap_call *c, struct jmap_query *q, const struct jmap_row *row,
			const struct jmap_comparator *by, struct jmap_sort_key *key)
{
	const struct mail_store *store = &c->j->person->store;
	struct jmap_places p = {0};
	struct fault why = {0};
	enum rc rc;

	if (by->by != JMAP_BY_KEYWORD) {
		key->number = jmap_match_thread(&q->match, by, row->thread, by->keyword,
						by->by == JMAP_BY_THREAD_ALL, &rc, &why);
		return rc == OK || jmap_store_failed(c, rc, &why);
	}
	rc = jmap_places_read(store, (struct mail_email_id){row->number, row->form}, &p, &why);
	if (rc == OK)
		key->number = by->flag ? (p.flags & by->flag) != 0
				       : jmap_keyword_among(buf_span(&p.keywords), by->keyword);
	jmap_places_fini(&p);
	return rc == OK || rc == REFUSED || jmap_store_failed(c, rc, &why);
}

static void digest_key(struct jmap_query *q, const struct jmap_row *row,
		       const struct mail_digest *d, const struct jmap_comparator *by,
		       struct jmap_sort_key *key)
{
	struct buf text = {0};

	if (by->by == JMAP_BY_SENT) {
		key->number = d->sent_us ? d->sent_us : row->received_us;
		return;
	}
	if (by->by == JMAP_BY_SUBJECT)
		jmap_envelope_subject(d->envelope, &text);
	else
		jmap_envelope_first(d->envelope,
				    by->by == JMAP_BY_FROM ? JMAP_ENVELOPE_FROM : JMAP_ENVELOPE_TO,
				    &text);
	put_text(q, by, buf_span(&text), key);
	buf_fini(&text);
}

static bool key_of(struct jmap_call *c, struct jmap_query *q, const struct jmap_row *row,
		   const struct jmap_comparator *by, struct jmap_sort_key *key)
{
	const struct mail_store *store = &c->j->person->store;
	struct mail_digest d = {0};
	struct fault why = {0};
	enum rc rc;

	*key = (struct jmap_sort_key){0};
	if (by->by == JMAP_BY_RECEIVED || by->by == JMAP_BY_SIZE)
		return true;
	if (by->by >= JMAP_BY_KEYWORD)
		return keyword_key(c, q, row, by, key);
	rc = store->ops->digest(store->arg, row->number, row->form, &d, &why);
	if (rc == LATER)
		return jmap_store_failed(c, rc, &why);
	if (rc != OK)
		d = (struct mail_digest){0};
	digest_key(q, row, &d, by, key);
	return true;
}

bool jmap_sort_keys(struct jmap_call *c, struct jmap_query *q, struct jmap_row *row)
{
	if (q->keys_n + q->by_n > q->keys_cap) {
		q->keys_cap = q->keys_cap ? 2 * q->keys_cap : 256;
		q->keys = reallocarray(q->keys, q->keys_cap, sizeof *q->keys);
		must(q->keys);
	}
	row->keys = (uint32_t)q->keys_n;
	q->keys_n += q->by_n;
	for (size_t i = 0; i < q->by_n; i++) {
		if (!key_of(c, q, row, &q->by[i], &q->keys[row->keys + i]))
			return false;
	}
	return true;
}

/* ---- the order ---- */

static int by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_one(const struct jmap_query *q, size_t i, const struct jmap_row *a,
		       const struct jmap_row *b)
{
	const struct jmap_sort_key *x, *y;

	if (q->by[i].by == JMAP_BY_RECEIVED)
		return by_number(a->received_us, b->received_us);
	if (q->by[i].by == JMAP_BY_SIZE)
		return by_number(a->bytes, b->bytes);
	x = &q->keys[a->keys + i];
	y = &q->keys[b->keys + i];
	if (q->by[i].by != JMAP_BY_FROM && q->by[i].by != JMAP_BY_TO &&
	    q->by[i].by != JMAP_BY_SUBJECT)
		return by_number(x->number, y->number);
	return span_cmp(span_of(q->texts.p + x->text_at, x->text_n),
			span_of(q->texts.p + y->text_at, y->text_n));
}

/* What is equal by all comparators is ordered by its number, in the direction of the first: stable for ever. */
static int compare(const void *one, const void *other, void *arg)
{
	const struct jmap_row *a = one, *b = other;
	const struct jmap_query *q = arg;
	int c;

	for (size_t i = 0; i < q->by_n; i++) {
		c = compare_one(q, i, a, b);
		if (c)
			return q->by[i].is_down ? -c : c;
	}
	c = by_number(a->number, b->number);
	if (!c)
		c = (a->form > b->form) - (a->form < b->form);
	return q->by[0].is_down ? -c : c;
}

/* A mailbox comes mostly in the order of reception: then turning it round is all there is to do. */
static bool is_in_order(struct jmap_query *q, int direction)
{
	for (size_t i = 1; i < q->rows_n; i++) {
		if (compare(&q->rows[i - 1], &q->rows[i], q) * direction > 0)
			return false;
	}
	return true;
}

void jmap_sort(struct jmap_query *q)
{
	if (is_in_order(q, 1))
		return;
	if (!is_in_order(q, -1)) {
		qsort_r(q->rows, q->rows_n, sizeof *q->rows, compare, q);
		return;
	}
	for (size_t i = 0; i < q->rows_n / 2; i++) {
		struct jmap_row swap = q->rows[i];

		q->rows[i] = q->rows[q->rows_n - 1 - i];
		q->rows[q->rows_n - 1 - i] = swap;
	}
}
