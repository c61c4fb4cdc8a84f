#include "jmap/email.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

static const struct {
	uint32_t flag;
	const char *keyword;
} names[] = {{MAIL_SEEN, "$seen"},
	     {MAIL_ANSWERED, "$answered"},
	     {MAIL_FLAGGED, "$flagged"},
	     {MAIL_DRAFT, "$draft"}};
enum { NAMES = sizeof names / sizeof *names };

uint32_t jmap_keyword_flag(struct span keyword)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (span_eq_nocase(span_str(names[i].keyword), keyword))
			return names[i].flag;
	}
	return 0;
}

bool jmap_keyword_among(struct span keywords, struct span wanted)
{
	while (keywords.n) {
		if (span_eq_nocase(span_cut(&keywords, ' '), wanted))
			return true;
	}
	return false;
}

bool jmap_is_keyword(struct span word)
{
	for (size_t i = 0; i < word.n; i++) {
		if (!ascii_is_graph(word.p[i]) || strchr("(){]%*\"\\", word.p[i]))
			return false;
	}
	return word.n > 0 && word.n <= 255;
}

json_t *jmap_keywords(uint32_t flags, struct span keywords)
{
	json_t *out = json_object();

	for (size_t i = 0; i < NAMES; i++) {
		if (flags & names[i].flag)
			(void)json_object_set_new(out, names[i].keyword, json_true());
	}
	while (keywords.n) {
		struct span word = span_cut(&keywords, ' ');
		char key[256];
		size_t n = word.n < 255 ? word.n : 255;

		for (size_t i = 0; i < n; i++)
			key[i] = (char)ascii_lower(word.p[i]);
		key[n] = 0;
		if (n)
			(void)json_object_set_new(out, key, json_true());
	}
	return out;
}

/* ---- places ---- */

bool jmap_places_have(const struct jmap_places *p, uint64_t box)
{
	for (size_t i = 0; i < p->boxes_n; i++) {
		if (p->boxes[i] == box)
			return true;
	}
	return false;
}

static void add_box(struct jmap_places *p, uint64_t box)
{
	if (jmap_places_have(p, box))
		return;
	if (p->boxes_n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 8;
		p->boxes = reallocarray(p->boxes, p->cap, sizeof *p->boxes);
		must(p->boxes);
	}
	p->boxes[p->boxes_n++] = box;
}

static bool on_place(void *to, uint64_t box, const struct mail_entry *e)
{
	struct jmap_places *p = to;
	struct span rest = e->keywords;
	uint32_t seen = e->flags & MAIL_SEEN;

	if (e->flags & MAIL_DELETED)
		return true;
	if (p->entries++)
		seen &= p->flags;
	p->flags = ((p->flags | e->flags) & ~(uint32_t)MAIL_SEEN) | seen;
	p->thread = e->thread;
	p->received_us = e->received_us;
	p->bytes = e->bytes;
	add_box(p, box);
	while (rest.n) {
		struct span word = span_cut(&rest, ' ');

		if (word.n == 0 || jmap_keyword_among(buf_span(&p->keywords), word))
			continue;
		(void)buf_append(&p->keywords, word);
		(void)buf_append_byte(&p->keywords, ' ');
	}
	return true;
}

enum rc jmap_places_read(const struct mail_store *store, struct mail_email_id id,
			 struct jmap_places *out, struct fault *why)
{
	enum rc rc;

	*out = (struct jmap_places){0};
	rc = store->ops->each_place(store->arg, id.number, id.form, on_place, out, why);
	return rc == OK && out->entries == 0 ? REFUSED : rc;
}

void jmap_places_fini(struct jmap_places *p)
{
	free(p->boxes);
	buf_fini(&p->keywords);
	*p = (struct jmap_places){0};
}
