/* From the order to the views: batches, each one transaction, with other events in between. */
#include <stdio.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/clerk/internal.h"

enum { BATCH = 1000 }; /* in one transaction; far behind: CLERK_BATCH_MAX */

void apply_soon(struct clerk *c)
{
	loop_timer_set(c->apply_timer, 0);
}

/* LATER: the sequencer's word came before the file could be opened; the next word tries again. */
static bool open_order(struct clerk *c)
{
	struct fault why = {0};

	if (c->order)
		return true;
	if (order_open(c->os, c->ledger_dir, false, &c->order, &why) == OK)
		return true;
	say(SAY_WARNING, "order.unread", "why", SAY_STR(why.text), NULL);
	return false;
}

static bool apply_one(struct clerk *c, const struct order_entry *e)
{
	struct record r = {0};
	struct fault why = {0};
	enum rc rc = ledger_read(c->reader, e->ref, &r, &why);
	const char *lane = rc == OK ? ledger_reader_lane(c->reader, e->ref.lane_id) : "";

	arena_reset(&c->arena);
	if (rc == OK && !lane_may_say(&c->arena, lane, &r)) {
		say(SAY_ERROR, "record.foreign", "number", SAY_U64(e->number), "lane",
		    SAY_STR(lane), "type", SAY_STR(record_type_name(r.type)), NULL);
		return clerk_ok(c, views_pass_over(c->views, e, &r, &why), &why);
	}
	if (rc != OK) {
		/* Damaged since it was numbered: shown and stepped over; holdfast log verify names it. */
		say(SAY_ERROR, "record.unread", "number", SAY_U64(e->number), "why",
		    SAY_STR(why.text), NULL);
		r = (struct record){.type = e->type, .ref = e->ref, .seq = e->seq};
		r.received_us = views_newest_us(c->views);
	}
	return clerk_ok(c, views_apply(c->views, e, &r, &why), &why);
}

/* One transaction of what the order holds from the views' position on. Returns how many. */
static size_t apply_batch(struct clerk *c)
{
	uint64_t from = views_next(c->views);
	size_t max = c->ordered - from > 4 * CLERK_BATCH_MAX ? CLERK_BATCH_MAX : BATCH;
	struct fault why = {0};
	size_t n = 0;

	if (!clerk_ok(c, order_read(c->order, from, c->entries, max, &n, &why), &why))
		return 0;
	if (n > c->ordered - from)
		n = (size_t)(c->ordered - from);
	if (n == 0 || !clerk_ok(c, views_begin(c->views, &why), &why))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!apply_one(c, &c->entries[i]))
			return 0;
	if (!clerk_ok(c, views_commit(c->views, &why), &why))
		return 0;
	readers_tell(c);
	c->applied += n;
	c->is_rested = false;
	if (views_newest_us(c->views) > c->newest_us) {
		c->newest_us = views_newest_us(c->views);
		c->newest_mono_us = clerk_mono_us(c);
	}
	return n;
}

static void caught_up(struct clerk *c)
{
	struct fault why = {0};

	c->is_current = true;
	c->are_sites_changed = true;
	if (views_publish(c->views, c->os, &why) != OK)
		say(SAY_ERROR, "views.unpublished", "why", SAY_STR(why.text), NULL);
	readers_tell_all(c);
	say(SAY_INFO, "views.current", "records", SAY_U64(views_next(c->views)), NULL);
}

void on_apply(void *arg)
{
	struct clerk *c = arg;
	size_t n = 0;

	if (c->is_broken || !open_order(c))
		return;
	if (views_next(c->views) < c->ordered)
		n = apply_batch(c);
	if (c->is_broken)
		return;
	if (c->has_heard && !c->is_current && views_next(c->views) >= c->ordered_at_first)
		caught_up(c);
	if (c->is_current) {
		sites_refresh(c);
		couriers_look(c);
		homes_look(c);
		pump_soon(c, 0);
	}
	clerk_condition(c);
	if (n > 0 && views_next(c->views) < c->ordered)
		apply_soon(c);
}
