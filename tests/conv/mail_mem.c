#include "mail_mem.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "mail/digest.h"

struct mail_body {
	struct mail_mem *mem;
	struct span text;
};

/* ---- making ---- */

struct mem_box *mail_mem_box(struct mail_mem *m, const char *name)
{
	for (size_t i = 0; i < m->boxes_n; i++) {
		if (!m->boxes[i].is_gone && strcmp(m->boxes[i].name, name) == 0)
			return &m->boxes[i];
	}
	return NULL;
}

static struct mem_box *box_of(struct mail_mem *m, uint64_t id)
{
	for (size_t i = 0; i < m->boxes_n; i++) {
		if (!m->boxes[i].is_gone && m->boxes[i].id == id)
			return &m->boxes[i];
	}
	return NULL;
}

struct mem_box *mail_mem_add_box(struct mail_mem *m, const char *name, enum mail_special special)
{
	struct mem_box *b = &m->boxes[m->boxes_n++];

	must(m->boxes_n <= MEM_BOXES);
	*b = (struct mem_box){
		.id = m->boxes_n, .special = special, .uidnext = 1, .is_subscribed = true};
	(void)snprintf(b->name, sizeof b->name, "%s", name);
	b->made = b->changed = b->counted = ++m->modseq;
	return b;
}

uint64_t mail_mem_add_message(struct mail_mem *m, struct span text, uint64_t thread)
{
	if (m->messages_n == m->messages_cap) {
		m->messages_cap = m->messages_cap ? 2 * m->messages_cap : 64;
		m->messages = reallocarray(m->messages, m->messages_cap, sizeof *m->messages);
		must(m->messages);
	}
	m->messages[m->messages_n] =
		(struct mem_message){.thread = thread ? thread : 100 + ++m->last_thread};
	(void)buf_append(&m->messages[m->messages_n].text, text);
	return ++m->messages_n;
}

struct mem_entry *mail_mem_put(struct mail_mem *m, const char *box, uint64_t number, uint32_t flags,
			       const char *keywords)
{
	struct mem_box *b = mail_mem_box(m, box);
	const struct mem_message *message = &m->messages[number - 1];
	struct mem_entry *e;

	must(b);
	if (m->entries_n == m->entries_cap) {
		m->entries_cap = m->entries_cap ? 2 * m->entries_cap : 64;
		m->entries = reallocarray(m->entries, m->entries_cap, sizeof *m->entries);
		must(m->entries);
	}
	e = &m->entries[m->entries_n++];
	*e = (struct mem_entry){.box = b->id, .made = ++m->modseq};
	(void)snprintf(e->words, sizeof e->words, "%s", keywords ? keywords : "");
	e->e = (struct mail_entry){.uid = b->uidnext++,
				   .flags = flags,
				   .modseq = m->modseq,
				   .number = number,
				   .form = message->form,
				   .received_us = m->clock_us,
				   .bytes = message->text.n,
				   .thread = message->thread};
	b->counted = m->modseq;
	m->clock_us += 60000000;
	return e;
}

void mail_mem_touch(struct mail_mem *m, struct mem_entry *e)
{
	e->e.modseq = ++m->modseq;
	for (size_t i = 0; i < m->boxes_n; i++) {
		if (m->boxes[i].id == e->box)
			m->boxes[i].counted = m->modseq;
	}
}

void mail_mem_remove(struct mail_mem *m, struct mem_entry *e)
{
	e->is_gone = true;
	mail_mem_touch(m, e);
}

/* ---- reading ---- */

static bool is_shown(const struct mem_entry *e)
{
	return !e->is_gone && !(e->e.flags & MAIL_DELETED);
}

static struct mail_entry told(const struct mem_entry *e)
{
	struct mail_entry out = e->e;

	out.keywords = span_str(e->words);
	return out;
}

static void describe(const struct mail_mem *m, const struct mem_box *b, struct mail_box *out)
{
	*out = (struct mail_box){.id = b->id,
				 .name = span_str(b->name),
				 .special = b->special,
				 .uidvalidity = 1,
				 .uidnext = b->uidnext,
				 .highest_modseq = m->modseq,
				 .is_subscribed = b->is_subscribed,
				 .exists = true};
	for (size_t i = 0; i < m->entries_n; i++) {
		const struct mem_entry *e = &m->entries[i];

		if (e->is_gone || e->box != b->id)
			continue;
		out->total++;
		out->unseen += !(e->e.flags & MAIL_SEEN);
		out->unread += !(e->e.flags & (MAIL_SEEN | MAIL_DRAFT | MAIL_DELETED));
		out->deleted += (e->e.flags & MAIL_DELETED) != 0;
		out->bytes += e->e.bytes;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct mem_box *x = *(struct mem_box *const *)a, *y = *(struct mem_box *const *)b;

	if ((x->special == MAIL_INBOX) != (y->special == MAIL_INBOX))
		return x->special == MAIL_INBOX ? -1 : 1;
	return strcmp(x->name, y->name);
}

static enum rc each_box(void *arg, bool (*on_box)(void *to, const struct mail_box *b), void *to,
			struct fault *why)
{
	struct mail_mem *m = arg;
	struct mem_box *sorted[MEM_BOXES];

	(void)why;
	if (m->is_broken)
		return LATER;
	for (size_t i = 0; i < m->boxes_n; i++)
		sorted[i] = &m->boxes[i];
	qsort(sorted, m->boxes_n, sizeof *sorted, by_name);
	for (size_t i = 0; i < m->boxes_n; i++) {
		struct mail_box b;

		if (sorted[i]->is_gone)
			continue;
		describe(m, sorted[i], &b);
		if (!on_box(to, &b))
			break;
	}
	return OK;
}

static enum rc box_by_name(void *arg, struct span name, struct mail_box *out, struct fault *why)
{
	struct mail_mem *m = arg;

	(void)why;
	for (size_t i = 0; i < m->boxes_n; i++) {
		if (m->boxes[i].is_gone || !span_eq(span_str(m->boxes[i].name), name))
			continue;
		describe(m, &m->boxes[i], out);
		return OK;
	}
	return REFUSED;
}

static enum rc box_by_id(void *arg, uint64_t id, struct mail_box *out, struct fault *why)
{
	const struct mem_box *b = box_of(arg, id);

	(void)why;
	if (!b)
		return REFUSED;
	describe(arg, b, out);
	return OK;
}

static enum rc each_entry(void *arg, uint64_t box, struct mail_range uids, uint64_t since,
			  bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			  struct fault *why)
{
	struct mail_mem *m = arg;

	(void)why;
	if (m->is_broken)
		return LATER;
	for (size_t i = 0; i < m->entries_n; i++) {
		const struct mem_entry *e = &m->entries[i];
		struct mail_entry out = told(e);

		if (e->is_gone || e->box != box || e->e.uid < uids.first || e->e.uid > uids.last ||
		    e->e.modseq <= since)
			continue;
		m->entries_told++;
		if (!on_entry(to, &out))
			break;
	}
	return OK;
}

static struct digest_maker *maker_of(struct mail_mem *m, uint64_t number)
{
	digest_maker_free(m->maker);
	m->maker = digest_maker_new(true);
	must(m->maker);
	digest_maker_feed(m->maker, buf_span(&m->messages[number - 1].text));
	digest_maker_end(m->maker);
	return m->maker;
}

static enum rc digest(void *arg, uint64_t number, enum mail_form form, struct mail_digest *out,
		      struct fault *why)
{
	(void)form;
	(void)why;
	return digest_maker_digest(maker_of(arg, number), out) ? OK : LATER;
}

static enum rc body_open(void *arg, uint64_t number, enum mail_form form, struct mail_body **out,
			 struct fault *why)
{
	struct mail_mem *m = arg;
	struct mail_body *b;

	(void)form;
	(void)why;
	if (m->messages[number - 1].text.n == 0)
		return REFUSED;
	b = must_alloc(sizeof *b);
	*b = (struct mail_body){m, buf_span(&m->messages[number - 1].text)};
	m->open_bodies++;
	*out = b;
	return OK;
}

static uint64_t body_bytes(const struct mail_body *b)
{
	return b->text.n;
}

static enum rc body_read(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
			 struct fault *why)
{
	(void)why;
	b->mem->reads++;
	if (b->mem->read_piece && max > b->mem->read_piece)
		max = b->mem->read_piece;
	*out = span_first(span_from(b->text, (size_t)offset), max);
	return OK;
}

static void body_close(struct mail_body *b)
{
	if (b)
		b->mem->open_bodies--;
	free(b);
}

static enum rc search(void *arg, uint64_t box, enum mail_text where, struct span text,
		      bool (*on_uid)(void *to, uint32_t uid),
		      bool (*on_unknown)(void *to, struct mail_range uids), void *to,
		      struct fault *why)
{
	struct mail_mem *m = arg;

	(void)why;
	if (!m->has_index)
		return LATER;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->entries_n; i++) {
			const struct mem_entry *e = &m->entries[i];

			if (e->is_gone || e->box != box)
				continue;
			if (pass && e->e.number % 2)
				(void)on_unknown(to, (struct mail_range){e->e.uid, e->e.uid});
			else if (!pass && e->e.number % 2 == 0 &&
				 digest_maker_holds(maker_of(m, e->e.number), where, text))
				(void)on_uid(to, e->e.uid);
		}
	}
	return OK;
}

static enum rc state(void *arg, struct mail_state *out, struct fault *why)
{
	const struct mail_mem *m = arg;

	(void)why;
	*out = (struct mail_state){.modseq = m->modseq,
				   .told_from = m->told_from,
				   .submissions = m->submissions,
				   .name = SPAN_LIT("anna"),
				   .person = SPAN_LIT("Anna")};
	return m->is_broken ? LATER : OK;
}

static enum rc each_place(void *arg, uint64_t number, enum mail_form form,
			  bool (*on_place)(void *to, uint64_t box, const struct mail_entry *e),
			  void *to, struct fault *why)
{
	struct mail_mem *m = arg;
	bool any = false;

	(void)why;
	m->places_asked++;
	for (size_t i = 0; i < m->entries_n; i++) {
		const struct mem_entry *e = &m->entries[i];
		struct mail_entry out = told(e);

		if (!is_shown(e) || e->e.number != number || e->e.form != form)
			continue;
		any = true;
		if (!on_place(to, e->box, &out))
			break;
	}
	return any ? OK : REFUSED;
}

static bool is_told(const struct mail_mem *m, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (is_shown(&m->entries[k]) && m->entries[k].e.number == m->entries[i].e.number)
			return true;
	}
	return false;
}

static enum rc each_of_thread(void *arg, uint64_t thread,
			      bool (*on_email)(void *to, const struct mail_email *e), void *to,
			      struct fault *why)
{
	struct mail_mem *m = arg;
	bool any = false;

	(void)why;
	for (size_t i = 0; i < m->entries_n; i++) { /* made in the order of reception */
		const struct mail_entry *e = &m->entries[i].e;

		if (!is_shown(&m->entries[i]) || e->thread != thread || is_told(m, i))
			continue;
		any = true;
		if (!on_email(to, &(struct mail_email){e->number, e->form, thread, e->received_us,
						       e->bytes}))
			break;
	}
	return any ? OK : REFUSED;
}

/* ---- changes ---- */

struct change_list {
	struct mail_change *all;
	size_t n;
};

/* What became of things that some entries are of; key: number or thread. */
static void note(struct change_list *l, uint64_t id, enum mail_form form, uint64_t modseq)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->all[i].id != id || l->all[i].form != form)
			continue;
		if (modseq > l->all[i].modseq)
			l->all[i].modseq = modseq;
		return;
	}
	l->all[l->n++] = (struct mail_change){.id = id, .form = form, .modseq = modseq};
}

static int by_modseq(const void *a, const void *b)
{
	const struct mail_change *x = a, *y = b;

	return (x->modseq > y->modseq) - (x->modseq < y->modseq);
}

/* Was it there at `since`, and is it now? */
static bool settle(const struct mail_mem *m, struct mail_change *c, uint64_t since, bool by_thread)
{
	bool was = false, is = false;

	for (size_t i = 0; i < m->entries_n; i++) {
		const struct mem_entry *e = &m->entries[i];

		if ((by_thread ? e->e.thread : e->e.number) != c->id)
			continue;
		was |= e->made <= since && (!e->is_gone || e->e.modseq > since);
		is |= is_shown(e);
	}
	c->kind = !is ? MAIL_GONE : was ? MAIL_CHANGED : MAIL_MADE;
	return was || is;
}

static enum rc changed(struct mail_mem *m, uint64_t since, bool by_thread,
		       bool (*on_change)(void *to, const struct mail_change *c), void *to)
{
	struct change_list l = {.all = must_alloc((m->entries_n + 1) * sizeof *l.all)};

	if (since < m->told_from) {
		free(l.all);
		return LATER;
	}
	for (size_t i = 0; i < m->entries_n; i++) {
		const struct mail_entry *e = &m->entries[i].e;

		if (e->modseq > since)
			note(&l, by_thread ? e->thread : e->number,
			     by_thread ? MAIL_AS_DELIVERED : e->form, e->modseq);
	}
	qsort(l.all, l.n, sizeof *l.all, by_modseq);
	for (size_t i = 0; i < l.n; i++) {
		if (settle(m, &l.all[i], since, by_thread) && !on_change(to, &l.all[i]))
			break;
	}
	free(l.all);
	return OK;
}

static enum rc changed_emails(void *arg, uint64_t since,
			      bool (*on_change)(void *to, const struct mail_change *c), void *to,
			      struct fault *why)
{
	(void)why;
	return changed(arg, since, false, on_change, to);
}

static enum rc changed_threads(void *arg, uint64_t since,
			       bool (*on_change)(void *to, const struct mail_change *c), void *to,
			       struct fault *why)
{
	(void)why;
	return changed(arg, since, true, on_change, to);
}

static enum rc changed_boxes(void *arg, uint64_t since,
			     bool (*on_change)(void *to, const struct mail_change *c), void *to,
			     struct fault *why)
{
	struct mail_mem *m = arg;
	struct change_list l = {.all = must_alloc((m->boxes_n + 1) * sizeof *l.all)};

	(void)why;
	for (size_t i = 0; i < m->boxes_n; i++) {
		const struct mem_box *b = &m->boxes[i];
		uint64_t at = b->changed > b->counted ? b->changed : b->counted;

		if (at <= since || (b->is_gone && b->made > since))
			continue;
		l.all[l.n++] = (struct mail_change){.kind = b->is_gone	      ? MAIL_GONE
							    : b->made > since ? MAIL_MADE
									      : MAIL_CHANGED,
						    .id = b->id,
						    .modseq = at,
						    .counts_only = b->changed <= since};
	}
	qsort(l.all, l.n, sizeof *l.all, by_modseq);
	for (size_t i = 0; i < l.n && on_change(to, &l.all[i]); i++)
		;
	free(l.all);
	return since < m->told_from ? LATER : OK;
}

static enum rc each_setting(void *arg,
			    bool (*on_setting)(void *to, struct span name, struct span value),
			    void *to, struct fault *why)
{
	struct mail_mem *m = arg;

	(void)why;
	for (size_t i = 0; i < m->settings_n; i++) {
		if (!on_setting(to, span_str(m->settings[i].name), span_str(m->settings[i].value)))
			break;
	}
	return OK;
}

static enum rc each_submission(void *arg, uint64_t since,
			       bool (*on_submission)(void *to, const struct mail_submission *s),
			       void *to, struct fault *why)
{
	struct mail_mem *m = arg;

	(void)why;
	if (m->is_broken)
		return LATER;
	for (size_t i = 0; i < m->sent_n; i++) {
		struct mail_submission s = {.id = span_str(m->sent[i].id),
					    .number = m->sent[i].number,
					    .email = m->sent[i].number,
					    .sender = SPAN_LIT("anna@example.com"),
					    .sent_us = m->clock_us,
					    .modseq = i + 1};

		if (s.modseq > since && !on_submission(to, &s))
			break;
	}
	return OK;
}

static enum rc each_delivery(void *arg, uint64_t number,
			     bool (*on_delivery)(void *to, const struct mail_delivery *d), void *to,
			     struct fault *why)
{
	(void)arg;
	(void)number;
	(void)why;
	(void)on_delivery(to, &(struct mail_delivery){.address = SPAN_LIT("b@example.org"),
						      .reply = SPAN_LIT("550 5.1.1 no"),
						      .state = MAIL_FAILED});
	return OK;
}

static const struct mail_store_ops ops = {
	.each_box = each_box,
	.box_by_name = box_by_name,
	.box_by_id = box_by_id,
	.each_entry = each_entry,
	.digest = digest,
	.body_open = body_open,
	.body_bytes = body_bytes,
	.body_read = body_read,
	.body_close = body_close,
	.search = search,
	.state = state,
	.each_place = each_place,
	.each_of_thread = each_of_thread,
	.changed_emails = changed_emails,
	.changed_boxes = changed_boxes,
	.changed_threads = changed_threads,
	.each_setting = each_setting,
	.each_submission = each_submission,
	.each_delivery = each_delivery,
};

/* ---- life ---- */

void mail_mem_init(struct mail_mem *m)
{
	*m = (struct mail_mem){.modseq = 10, .clock_us = 1767225600000000 /* 2026-01-01 */};
	m->store = (struct mail_store){&ops, m};
}

void mail_mem_fini(struct mail_mem *m)
{
	must(m->open_bodies == 0);
	for (size_t i = 0; i < m->messages_n; i++)
		buf_fini(&m->messages[i].text);
	free(m->messages);
	free(m->entries);
	digest_maker_free(m->maker);
}
