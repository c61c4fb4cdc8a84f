#include "role/sequencer/follow.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ledger/ledger.h"
#include "say/say.h"

enum { LANES_LIMIT = 1024 };

struct followed {
	char name[LEDGER_LANE_NAME_BYTES];
	struct record last; /* the last one numbered; .seq 0: none */
	struct record next; /* read, not yet numbered */
	bool has_next;
	struct lane_position until; /* .segment 0: not known */
	bool is_told;		    /* by its writer, or found by recovery */
	bool is_stuck;		    /* cannot be read; tried again when its position moves */
};

struct follow {
	struct os *os;
	char dir[1024];
	struct order *order;
	struct ledger_reader *reader;
	struct followed *lanes;
	size_t lanes_n;
	uint64_t newest_us, damage_bytes;
	struct order_entry *entries;
	struct record *records;
	struct followed **sources;
	size_t cap;
};

static struct followed *lane_named(struct follow *f, struct span name)
{
	struct followed *l;

	for (size_t i = 0; i < f->lanes_n; i++)
		if (span_eq(span_str(f->lanes[i].name), name))
			return &f->lanes[i];
	if (f->lanes_n == LANES_LIMIT || name.n >= LEDGER_LANE_NAME_BYTES || name.n == 0)
		return NULL;
	f->lanes = realloc(f->lanes, (f->lanes_n + 1) * sizeof *f->lanes);
	must(f->lanes != NULL);
	l = &f->lanes[f->lanes_n++];
	*l = (struct followed){0};
	(void)snprintf(l->name, sizeof l->name, "%.*s", SPAN_FMT(name));
	l->last.ref.lane_id = lane_id_of(l->name);
	(void)order_lane_end(f->order, l->last.ref.lane_id, &l->last.ref, &l->last.seq);
	return l;
}

static bool on_lane(void *arg, const char *name)
{
	struct follow *f = arg;

	if (!lane_named(f, span_str(name)))
		say(SAY_ERROR, "lane.ignored", "lane", SAY_STR(name), "why",
		    SAY_STR("too many lanes"), NULL);
	return true;
}

static void newest_load(struct follow *f)
{
	uint64_t size = order_size(f->order);
	struct order_entry last;
	size_t n = 0;

	if (size > 0 && order_read(f->order, size - 1, &last, 1, &n, NULL) == OK && n == 1)
		f->newest_us = last.received_us;
}

enum rc follow_open(struct os *os, const char *ledger_dir, struct follow **out, struct fault *why)
{
	struct follow *f = must_alloc(sizeof *f);
	enum rc rc;

	f->os = os;
	(void)snprintf(f->dir, sizeof f->dir, "%s", ledger_dir);
	rc = order_open(os, ledger_dir, true, &f->order, why);
	if (rc == OK)
		rc = ledger_reader_new(os, ledger_dir, &f->reader, why);
	if (rc != OK) {
		follow_close(f);
		return rc;
	}
	newest_load(f);
	*out = f;
	return OK;
}

void follow_close(struct follow *f)
{
	if (!f)
		return;
	order_close(f->order);
	ledger_reader_free(f->reader);
	free(f->lanes);
	free(f->entries);
	free(f->records);
	free(f->sources);
	free(f);
}

static void recovered(struct followed *l, const struct lane_recovery *found)
{
	if (l->last.seq >=
	    found->end.seq) /* rot in the last batch cannot be told from a torn tail, except here */
		say(SAY_ERROR, "lane.tail_lost", "lane", SAY_STR(l->name), "numbered_up_to",
		    SAY_U64(l->last.seq), "readable_up_to", SAY_U64(found->end.seq - 1), NULL);
	l->until = found->end;
	l->is_told = true;
	l->is_stuck = false;
	if (found->cut_bytes > 0 || found->damage_n > 0)
		say(found->damage_n > 0 ? SAY_ERROR : SAY_NOTICE, "lane.recovered", "lane",
		    SAY_STR(l->name), "segment", SAY_U64(found->end.segment), "end",
		    SAY_U64(found->end.offset), "cut_bytes", SAY_U64(found->cut_bytes),
		    "damaged_places", SAY_U64(found->damage_n), NULL);
}

bool follow_recover(struct follow *f)
{
	bool again = false;
	struct fault why;

	if (ledger_each_lane(f->os, f->dir, on_lane, f, &why) != OK) {
		say(SAY_ERROR, "lanes.unlisted", "why", SAY_STR(why.text), NULL);
		return true;
	}
	for (size_t i = 0; i < f->lanes_n; i++) {
		struct followed *l = &f->lanes[i];
		struct lane_recovery found;
		enum rc rc;

		if (l->is_told)
			continue;
		rc = lane_recover(f->os, f->dir, l->name, &found, &why);
		if (rc == OK) {
			recovered(l, &found);
			continue;
		}
		again = true;
		if (rc == BROKEN)
			say(SAY_ERROR, "lane.unrecovered", "lane", SAY_STR(l->name), "why",
			    SAY_STR(why.text), NULL);
	}
	return again;
}

static bool is_behind(const struct lane_position *a, const struct lane_position *b)
{
	return a->segment != b->segment ? a->segment < b->segment : a->offset < b->offset;
}

bool follow_durable(struct follow *f, struct span lane, const struct lane_position *at)
{
	struct followed *l = lane_named(f, lane);

	if (!l || at->segment == 0)
		return false;
	if (is_behind(&l->until, at)) {
		l->until = *at;
		l->is_stuck = false;
	}
	l->is_told = true;
	return true;
}

void follow_forget(struct follow *f, struct span prefix)
{
	for (size_t i = 0; i < f->lanes_n; i++) {
		struct span name = span_str(f->lanes[i].name);

		if (span_starts(name, prefix) && (name.n == prefix.n || name.p[prefix.n] == '.'))
			f->lanes[i].is_told = false;
	}
}

static void damage_say(struct follow *f, const struct followed *l)
{
	f->damage_bytes += l->next.skipped_bytes;
	say(SAY_ERROR, "lane.damaged", "lane", SAY_STR(l->name), "before_segment",
	    SAY_U64(l->next.ref.segment), "before_offset", SAY_U64(l->next.ref.offset), "bytes",
	    SAY_U64(l->next.skipped_bytes), "records_lost", SAY_U64(l->next.seq - l->last.seq - 1),
	    NULL);
}

/* Has the lane a record to number? */
static bool has_next(struct follow *f, struct followed *l)
{
	struct fault why;
	enum rc rc;

	if (l->has_next || l->is_stuck || l->until.segment == 0)
		return l->has_next;
	rc = ledger_next(f->reader, &l->last, &l->until, &l->next, &why);
	if (rc == OK) {
		l->has_next = true;
		if (l->next.skipped_bytes > 0)
			damage_say(f, l);
	} else if (rc != MORE) {
		l->is_stuck = true; /* Q3 */
		say(SAY_ERROR, "lane.unread", "lane", SAY_STR(l->name), "why", SAY_STR(why.text),
		    NULL);
	}
	return l->has_next;
}

/* Lanes are merged by time of reception, so that a backlog of several edges is handed back oldest first. */
static struct followed *oldest(struct follow *f)
{
	struct followed *found = NULL;

	for (size_t i = 0; i < f->lanes_n; i++)
		if (has_next(f, &f->lanes[i]) &&
		    (!found || f->lanes[i].next.received_us < found->next.received_us))
			found = &f->lanes[i];
	return found;
}

static void room(struct follow *f, size_t max)
{
	if (max <= f->cap)
		return;
	free(f->entries);
	free(f->records);
	free(f->sources);
	f->entries = must_alloc(max * sizeof *f->entries);
	f->records = must_alloc(max * sizeof *f->records);
	f->sources = must_alloc(max * sizeof(struct followed *));
	f->cap = max;
}

enum rc follow_step(struct follow *f, size_t max, size_t *out_n, struct fault *why)
{
	struct followed *l;
	size_t n = 0;
	enum rc rc;

	room(f, max);
	while (n < max && (l = oldest(f))) {
		f->sources[n] = l;
		f->records[n++] = l->next;
		l->last = l->next;
		l->has_next = false;
	}
	rc = order_append(f->order, f->entries, f->records, n, why);
	if (rc != OK) {
		/* Nothing of it counts: every lane goes back to where the order says it is. */
		for (size_t i = 0; i < n; i++) {
			l = f->sources[i];
			l->has_next = false;
			l->last = (struct record){.ref = {l->last.ref.lane_id, 0, 0}};
			(void)order_lane_end(f->order, l->last.ref.lane_id, &l->last.ref,
					     &l->last.seq);
		}
		return rc;
	}
	if (n > 0)
		f->newest_us = f->records[n - 1].received_us;
	*out_n = n;
	return OK;
}

struct order *follow_order(struct follow *f)
{
	return f->order;
}

unsigned long long follow_newest_us(const struct follow *f)
{
	return f->newest_us;
}

unsigned long long follow_damage_bytes(const struct follow *f)
{
	return f->damage_bytes;
}
