/*
 * What primaries announce in EHLO (SIZE, SMTPUTF8), told by couriers: kept as DIRECTORY records of kind `limits` and
 * scope site (source "delivery"), and published in limits.map, so that edge does not take in an outage what the site
 * will refuse. The first word is written at once, later ones at most once in CHANGE_US: primaries of one site may differ.
 */
#include "role/watch/internal.h"

#include <stdio.h>

#include "os/os.h"
#include "loop/loop.h"
#include "publish/publish.h"

#define CHANGE_US  (60 * WATCH_SECOND_US)
#define PUBLISH_US (3600 * WATCH_SECOND_US)
#define VALID_US   (30 * 24 * 3600 * WATCH_SECOND_US)

static bool is_same(const struct site_limits *a, const struct site_limits *b)
{
	return a->is_known == b->is_known && a->size == b->size && a->smtputf8 == b->smtputf8;
}

void learned_publish(struct watch *w)
{
	struct publish_writer *p = publish_begin();
	char path[4200], key[WATCH_NAME_BYTES + 16];
	struct fault why = {""};

	for (size_t i = 0; i < w->sites_n; i++) {
		const struct site *s = w->sites[i];
		uint64_t size = s->limits.size < UINT32_MAX ? s->limits.size : 0;

		if (!s->limits.is_known)
			continue;
		snprintf(key, sizeof key, "size %s", s->name);
		publish_add(p, span_str(key), (uint32_t)size);
		snprintf(key, sizeof key, "smtputf8 %s", s->name);
		publish_add(p, span_str(key), s->limits.smtputf8);
	}
	snprintf(path, sizeof path, "%s/publish/limits.map", role_data(w->role));
	if (publish_commit(p, w->os, path, VALID_US, &why) != OK)
		say(SAY_WARNING, "limits.unpublished", "why", SAY_STR(why.text), NULL);
	w->limits_published_us = loop_now_us(w->loop);
}

static void write_limits(struct site *s)
{
	char size[24];
	struct msg_fact facts[] = {
		{SPAN_LIT("size"), SPAN_NONE},
		{SPAN_LIT("smtputf8"), s->heard.smtputf8 ? SPAN_LIT("yes") : SPAN_LIT("no")}};
	const struct msg_directory_meta m = {.kind = SPAN_LIT("limits"),
					     .scope = span_str(s->name),
					     .replaces = true,
					     .facts = facts,
					     .facts_n = 2,
					     .source = SPAN_LIT("delivery")};
	struct job *j = job_new(false, NULL, NULL);

	snprintf(size, sizeof size, "%llu", (unsigned long long)s->heard.size);
	facts[0].value = span_str(size);
	job_fact(j, &m);
	books_write(s->watch, j);
	s->limits = s->heard;
	s->limits_written_us = loop_now_us(s->watch->loop);
	say(SAY_INFO, "site.limits", "site", SAY_STR(s->name), "size", SAY_U64(s->limits.size),
	    "smtputf8", SAY_U64(s->limits.smtputf8), NULL);
}

void learned_look(struct watch *w)
{
	uint64_t now = loop_now_us(w->loop);
	bool is_new = false;

	for (size_t i = 0; i < w->sites_n; i++) {
		struct site *s = w->sites[i];

		if (!s->heard.is_known || is_same(&s->heard, &s->limits) ||
		    (s->limits_written_us && now - s->limits_written_us < CHANGE_US))
			continue;
		write_limits(s);
		is_new = true;
	}
	if (is_new || !w->limits_published_us || now - w->limits_published_us >= PUBLISH_US)
		learned_publish(w);
}

void learned_limits(struct watch *w, const struct msg_site_limits *m)
{
	struct site *s = site_find(w, m->site);

	if (!s)
		return;
	s->heard = (struct site_limits){true, m->smtputf8, m->size};
	learned_look(w);
}

void learned_past(struct watch *w, const struct msg_directory_meta *m)
{
	struct site *s = site_find(w, m->scope);
	struct site_limits l = {.is_known = true};

	if (!s)
		return;
	for (size_t i = 0; i < m->facts_n; i++) {
		if (span_eq(m->facts[i].key, SPAN_LIT("size")) &&
		    !span_to_u64(m->facts[i].value, UINT64_MAX, &l.size))
			return;
		if (span_eq(m->facts[i].key, SPAN_LIT("smtputf8")))
			l.smtputf8 = span_eq(m->facts[i].value, SPAN_LIT("yes"));
	}
	s->limits = s->heard = l;
}
