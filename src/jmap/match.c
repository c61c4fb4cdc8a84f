#include "jmap/match.h"

#include <stdlib.h>

#include "base/must.h"
#include "jmap/form.h"
#include "mail/header.h"
#include "mail/text.h"

enum { HEADER_LIMIT = 256 << 10, CHUNK = 64 << 10 };
enum depth { BY_ENTRY, BY_STORE, BY_BYTES };

static enum jmap_truth truth_of(bool value)
{
	return value ? JMAP_YES : JMAP_NO;
}

/* ---- what the index says ---- */

static bool on_uid(void *to, uint32_t uid)
{
	struct jmap_found *f = to;

	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 256;
		f->uids = reallocarray(f->uids, f->cap, sizeof *f->uids);
		must(f->uids);
	}
	f->uids[f->n++] = uid;
	return true;
}

static bool on_unknown(void *to, struct mail_range uids)
{
	struct jmap_found *f = to;

	if (f->unknown_n == f->unknown_cap) {
		f->unknown_cap = f->unknown_cap ? 2 * f->unknown_cap : 16;
		f->unknown = reallocarray(f->unknown, f->unknown_cap, sizeof *f->unknown);
		must(f->unknown);
	}
	f->unknown[f->unknown_n++] = uids;
	return true;
}

bool jmap_match_ask(struct jmap_match *m, uint64_t box, size_t *at)
{
	struct jmap_filter *f = m->filter;

	for (; *at < f->n; ++*at) {
		struct jmap_node *n = &f->nodes[*at];
		struct jmap_found *to = &n->found;

		if (n->key != JMAP_K_TEXT)
			continue;
		++*at;
		to->n = to->unknown_n = 0;
		to->is_unknown = m->store->ops->search(m->store->arg, box, n->where, n->word,
						       on_uid, on_unknown, to, NULL) != OK;
		return false;
	}
	return true;
}

static bool has_uid(const struct jmap_found *f, uint32_t uid)
{
	size_t from = 0, to = f->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (f->uids[mid] == uid)
			return true;
		if (f->uids[mid] < uid)
			from = mid + 1;
		else
			to = mid;
	}
	return false;
}

static bool is_unknown(const struct jmap_found *f, uint32_t uid)
{
	size_t from = 0, to = f->unknown_n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (uid < f->unknown[mid].first)
			to = mid;
		else if (uid > f->unknown[mid].last)
			from = mid + 1;
		else
			return true;
	}
	return f->is_unknown;
}

/* ---- threads ---- */

static bool have(const struct jmap_places *p, uint32_t flag, struct span keyword)
{
	return flag ? (p->flags & flag) != 0 : jmap_keyword_among(buf_span(&p->keywords), keyword);
}

/* Emails are gathered first: a store is asked one thing at a time. */
static bool on_email(void *to, const struct mail_email *e)
{
	struct mail_email_id id = {e->number, e->form};

	return buf_append(to, span_of(&id, sizeof id));
}

static bool thread_has(const struct mail_store *store, uint64_t thread, struct span keyword,
		       bool all, enum rc *rc, struct fault *why)
{
	uint32_t flag = jmap_keyword_flag(keyword);
	struct buf emails = {0};
	bool has = all;

	*rc = store->ops->each_of_thread(store->arg, thread, on_email, &emails, why);
	for (size_t at = 0; *rc == OK && at < emails.n && has == all;) {
		struct mail_email_id id;
		struct jmap_places p;

		memcpy(&id, emails.p + at, sizeof id);
		at += sizeof id;
		*rc = jmap_places_read(store, id, &p, why);
		if (*rc == OK)
			has = have(&p, flag, keyword);
		else if (*rc == REFUSED)
			*rc = OK;
		jmap_places_fini(&p);
	}
	buf_fini(&emails);
	if (*rc == REFUSED)
		*rc = OK;
	return has;
}

bool jmap_match_thread(struct jmap_match *m, const void *of, uint64_t thread, struct span keyword,
		       bool all, enum rc *rc, struct fault *why)
{
	size_t at = (size_t)((thread * 31 + (uintptr_t)of / 8) % JMAP_MEMO);

	*rc = OK;
	if (m->memo[at].of != of || m->memo[at].thread != thread) {
		bool has = thread_has(m->store, thread, keyword, all, rc, why);

		if (*rc != OK)
			return has;
		m->memo[at].of = of;
		m->memo[at].thread = thread;
		m->memo[at].has = has;
	}
	return m->memo[at].has;
}

/* ---- one condition ---- */

static void failed(struct jmap_match *m, enum rc rc)
{
	if (m->rc == OK && rc != OK && rc != REFUSED)
		m->rc = rc;
}

static const struct jmap_places *places(struct jmap_match *m)
{
	if (!m->has_places) {
		failed(m,
		       jmap_places_read(m->store, (struct mail_email_id){m->e->number, m->e->form},
					&m->places, &m->why));
		m->has_places = true;
	}
	return &m->places;
}

static enum jmap_truth test_box(struct jmap_match *m, const struct jmap_node *n, enum depth depth)
{
	if (m->box == n->number)
		return JMAP_YES;
	return depth < BY_STORE ? JMAP_UNKNOWN : truth_of(jmap_places_have(places(m), n->number));
}

static bool among(const struct jmap_node *n, uint64_t box)
{
	return n->boxes_n && bsearch(&box, n->boxes, n->boxes_n, sizeof box, jmap_by_number);
}

static enum jmap_truth test_other(struct jmap_match *m, const struct jmap_node *n, enum depth depth)
{
	const struct jmap_places *p;

	if (!among(n, m->box))
		return JMAP_YES;
	if (depth < BY_STORE)
		return JMAP_UNKNOWN;
	p = places(m);
	for (size_t i = 0; i < p->boxes_n; i++) {
		if (!among(n, p->boxes[i]))
			return JMAP_YES;
	}
	return JMAP_NO;
}

/* $seen must stand in all entries, another keyword in one of them: one entry may already tell. */
static enum jmap_truth test_keyword(struct jmap_match *m, const struct jmap_node *n,
				    enum depth depth)
{
	bool here = n->flag ? (m->e->flags & n->flag) != 0
			    : jmap_keyword_among(m->e->keywords, n->word);

	if (n->flag == MAIL_SEEN ? !here : here)
		return truth_of(here);
	return depth < BY_STORE ? JMAP_UNKNOWN : truth_of(have(places(m), n->flag, n->word));
}

static enum jmap_truth test_thread(struct jmap_match *m, const struct jmap_node *n,
				   enum depth depth)
{
	enum rc rc;
	bool has;

	if (depth < BY_STORE)
		return JMAP_UNKNOWN;
	has = jmap_match_thread(m, n, m->e->thread, n->word, n->key == JMAP_K_THREAD_ALL, &rc,
				&m->why);
	failed(m, rc);
	return truth_of(has);
}

static enum jmap_truth test_attachment(struct jmap_match *m, const struct jmap_node *n,
				       enum depth depth)
{
	struct mail_digest d;
	enum rc rc;

	if (depth < BY_STORE)
		return JMAP_UNKNOWN;
	if (m->has_attachment < 0) {
		rc = m->store->ops->digest(m->store->arg, m->e->number, m->e->form, &d, &m->why);
		failed(m, rc);
		m->has_attachment = rc == OK && d.has_attachment;
	}
	return truth_of((m->has_attachment > 0) == n->value);
}

static enum jmap_truth test_text(struct jmap_match *m, const struct jmap_node *n, enum depth depth)
{
	if (has_uid(&n->found, m->e->uid))
		return JMAP_YES;
	if (!is_unknown(&n->found, m->e->uid))
		return JMAP_NO;
	if (depth < BY_BYTES)
		return JMAP_UNKNOWN;
	return truth_of(m->maker && digest_maker_holds(m->maker, n->where, n->word));
}

static bool header_holds(struct span header, const struct jmap_node *n)
{
	struct span name, value, whole;
	struct buf text = {0}, folded = {0};
	bool is_found = false;

	while (!is_found && header_next(&header, &name, &value, &whole)) {
		if (!span_eq_nocase(name, n->name))
			continue;
		buf_clear(&text);
		buf_clear(&folded);
		(void)text_header(value, &text);
		(void)text_fold(buf_span(&text), &folded);
		is_found = n->word.n == 0 ||
			   (folded.n && memmem(folded.p, folded.n, n->word.p, n->word.n) != NULL);
	}
	buf_fini(&text);
	buf_fini(&folded);
	return is_found;
}

static enum jmap_truth test(struct jmap_match *m, const struct jmap_node *n, enum depth depth)
{
	switch (n->key) {
	case JMAP_K_TRUE:
		return JMAP_YES;
	case JMAP_K_FALSE:
		return JMAP_NO;
	case JMAP_K_BOX:
		return test_box(m, n, depth);
	case JMAP_K_BOX_OTHER:
		return test_other(m, n, depth);
	case JMAP_K_BEFORE:
		return truth_of(m->e->received_us < n->number);
	case JMAP_K_AFTER: /* to the second, as receivedAt is told */
		return truth_of(m->e->received_us / 1000000 >= (n->number + 999999) / 1000000);
	case JMAP_K_MIN:
		return truth_of(m->e->bytes >= n->number);
	case JMAP_K_MAX:
		return truth_of(m->e->bytes < n->number);
	case JMAP_K_KEYWORD:
		return test_keyword(m, n, depth);
	case JMAP_K_THREAD_ALL:
	case JMAP_K_THREAD_SOME:
		return test_thread(m, n, depth);
	case JMAP_K_ATTACHMENT:
		return test_attachment(m, n, depth);
	case JMAP_K_TEXT:
		return test_text(m, n, depth);
	case JMAP_K_HEADER:
		return depth < BY_BYTES ? JMAP_UNKNOWN
					: truth_of(header_holds(buf_span(&m->header), n));
	case JMAP_K_NOT:
	case JMAP_K_AND:
	case JMAP_K_OR:
		break;
	}
	return JMAP_NO;
}

/* ---- all conditions ---- */

static enum jmap_truth evaluate(struct jmap_match *m, enum depth depth)
{
	enum jmap_truth stack[JMAP_STACK];
	size_t n = 0;

	for (size_t i = 0; i < m->filter->n; i++) {
		const struct jmap_node *node = &m->filter->nodes[i];

		if (node->key == JMAP_K_NOT) {
			stack[n - 1] = jmap_opposite(stack[n - 1]);
		} else if (node->key == JMAP_K_AND || node->key == JMAP_K_OR) {
			n--;
			stack[n - 1] = node->key == JMAP_K_AND
					       ? jmap_both(stack[n - 1], stack[n])
					       : jmap_either(stack[n - 1], stack[n]);
		} else {
			must(n < JMAP_STACK);
			stack[n++] = test(m, node, depth);
		}
	}
	must(n == 1);
	return stack[0];
}

/* ---- a message that must be read ---- */

static void forget(struct jmap_match *m)
{
	if (m->body)
		m->store->ops->body_close(m->body);
	digest_maker_free(m->maker);
	jmap_places_fini(&m->places);
	buf_clear(&m->header);
	m->body = NULL;
	m->maker = NULL;
	m->has_places = false;
	m->has_attachment = -1;
	m->fed = 0;
}

void jmap_match_init(struct jmap_match *m, const struct mail_store *store,
		     struct jmap_filter *filter)
{
	*m = (struct jmap_match){.store = store, .filter = filter, .has_attachment = -1, .rc = OK};
}

void jmap_match_fini(struct jmap_match *m)
{
	if (!m->store)
		return;
	forget(m);
	buf_fini(&m->header);
	jmap_filter_forget(m->filter);
}

/* HEADER alone does not need the body. */
static bool wants_text(const struct jmap_match *m)
{
	for (size_t i = 0; i < m->filter->n; i++) {
		const struct jmap_node *n = &m->filter->nodes[i];

		if (n->key == JMAP_K_TEXT && is_unknown(&n->found, m->e->uid))
			return true;
	}
	return false;
}

static enum jmap_truth conclude(struct jmap_match *m)
{
	enum jmap_truth truth = evaluate(m, BY_BYTES);

	forget(m);
	return truth == JMAP_YES ? JMAP_YES : JMAP_NO;
}

enum jmap_truth jmap_match_look(struct jmap_match *m, uint64_t box, const struct mail_entry *e)
{
	m->box = box;
	m->e = e;
	return evaluate(m, BY_ENTRY);
}

enum jmap_truth jmap_match_begin(struct jmap_match *m, uint64_t box, const struct mail_entry *e)
{
	enum jmap_truth truth;

	m->box = box;
	m->e = e;
	truth = evaluate(m, BY_ENTRY);
	if (truth == JMAP_UNKNOWN)
		truth = evaluate(m, BY_STORE);
	if (truth != JMAP_UNKNOWN) {
		forget(m);
		return truth;
	}
	if (m->store->ops->body_open(m->store->arg, e->number, e->form, &m->body, NULL) != OK) {
		m->body = NULL;
		return conclude(m);
	}
	m->has_header = !m->filter->has_header;
	m->maker = wants_text(m) ? digest_maker_new(true) : NULL;
	return JMAP_UNKNOWN;
}

static void keep_header(struct jmap_match *m, struct span piece)
{
	size_t before = m->header.n < 3 ? 0 : m->header.n - 3;
	const unsigned char *end;

	if (m->has_header)
		return;
	(void)buf_append(&m->header, span_first(piece, HEADER_LIMIT - m->header.n));
	end = memmem(m->header.p + before, m->header.n - before, "\n\r\n", 3);
	if (!end)
		end = memmem(m->header.p + before, m->header.n - before, "\n\n", 2);
	if (end)
		m->header.n = (size_t)(end - m->header.p) + 1;
	m->has_header = end || m->header.n == HEADER_LIMIT;
}

enum jmap_truth jmap_match_read(struct jmap_match *m)
{
	const struct mail_store_ops *ops = m->store->ops;
	uint64_t all = ops->body_bytes(m->body), until = m->fed + JMAP_STEP_BYTES;

	while (m->fed < all && m->fed < until && (m->maker || !m->has_header)) {
		struct span piece;

		if (ops->body_read(m->body, m->fed, CHUNK, &piece, NULL) != OK || piece.n == 0) {
			all = m->fed;
			break;
		}
		keep_header(m, piece);
		if (m->maker)
			digest_maker_feed(m->maker, piece);
		m->fed += piece.n;
	}
	if (m->fed < all && (m->maker || !m->has_header))
		return JMAP_UNKNOWN;
	if (m->maker)
		digest_maker_end(m->maker);
	return conclude(m);
}
