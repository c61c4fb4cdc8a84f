/*
 * publish/recipients.map: what edge looks up without asking. Rewritten when it has changed, at most every MIN_US, and at
 * least every MAX_US so that it does not expire while the clerk lives; valid long enough to see an outage through.
 */
#include <stdio.h>

#include "publish/publish.h"
#include "role/clerk/internal.h"

enum { MIN_S = 2, MAX_S = 3600, VALID_S = 7 * 86400 };

static bool on_recipient(void *arg, struct span key, uint32_t verdict)
{
	publish_add(arg, key, verdict);
	return true;
}

void recipients_publish(struct clerk *c)
{
	uint64_t now = clerk_mono_us(c), version = views_recipients_version(c->views);
	struct publish_writer *w;
	struct fault why = {0};
	char path[4096];

	if (c->published_us && now - c->published_us < (uint64_t)MIN_S * 1000000)
		return;
	if (c->published_us && version == c->published_version &&
	    now - c->published_us < (uint64_t)MAX_S * 1000000)
		return;
	c->published_us = now;
	w = publish_begin();
	if (!clerk_ok(c, views_recipients(c->views, on_recipient, w, &why), &why)) {
		publish_abort(w);
		return;
	}
	snprintf(path, sizeof path, "%s/publish/recipients.map", c->data_dir);
	if (publish_commit(w, c->os, path, (uint64_t)VALID_S * 1000000, &why) == OK)
		c->published_version = version;
	else
		say(SAY_WARNING, "recipients.unpublished", "why", SAY_STR(why.text), NULL);
}
