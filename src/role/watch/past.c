/*
 * What watch said before this start, read from its own lane: states of sites, operators' holds with their leases,
 * facts already written. Reads the lane of our name and those with a number behind it (such a lane appears when an old
 * watch still held the lock), in order of their records' times.
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "os/os.h"

enum { PAST_LANES = 8 };

struct cursor {
	struct lane_position end;
	struct record record;
	bool has;
};

struct past {
	struct watch *watch;
	char names[PAST_LANES][LEDGER_LANE_NAME_BYTES];
	size_t n;
};

void past_note_act(struct watch *w, const struct msg_act_meta *m, uint64_t at_us)
{
	struct history_line *h = &w->history[w->history_n++ % WATCH_HISTORY];

	*h = (struct history_line){
		.at_us = at_us, .until_us = m->until_us, .confidence = m->confidence};
	snprintf(h->verb, sizeof h->verb, "%.*s", SPAN_FMT(m->verb));
	snprintf(h->object, sizeof h->object, "%.*s", SPAN_FMT(m->object));
	snprintf(h->argument, sizeof h->argument, "%.*s", SPAN_FMT(m->argument));
	snprintf(h->reason, sizeof h->reason, "%.*s", SPAN_FMT(m->reason));
	snprintf(h->actor, sizeof h->actor, "%.*s", SPAN_FMT(m->actor));
	snprintf(h->class, sizeof h->class, "%.*s", SPAN_FMT(m->class));
}

static void note_state(struct watch *w, const struct msg_act_meta *m, uint64_t at, bool is_seen)
{
	struct site *s = site_find(w, m->object);
	enum health_state state;

	if (!s || !health_state_parse(m->argument, &state))
		return;
	if (is_seen) {
		s->past.seen = state;
		return;
	}
	s->past.any = true;
	s->past.effective = state;
	if (s->hold.mode == HOLD_AUTO)
		s->past.seen = state;
	s->recorded = state;
	s->recorded_us = at;
	s->confidence = m->confidence;
	snprintf(s->evidence, sizeof s->evidence, "%.*s", SPAN_FMT(m->reason));
	snprintf(s->class, sizeof s->class, "%.*s", SPAN_FMT(m->class));
}

static void note_hold(struct watch *w, const struct msg_act_meta *m, uint64_t at)
{
	struct site *s = site_find(w, m->object);
	struct override o;

	if (!override_read(m, at, &o))
		return;
	if (span_eq(m->class, SPAN_LIT("domain")))
		orders_restore(&w->domain_holds, m->object, &o);
	else if (s)
		s->hold = o;
}

static void note(struct watch *w, struct arena *a, const struct record *r)
{
	struct msg_directory_meta d;
	struct msg_act_meta m;

	arena_reset(a);
	if (r->type == RECORD_DIRECTORY && msg_directory_meta_decode(a, r->meta, &d))
		directory_past(w, &d);
	if (r->type != RECORD_ACT || !msg_act_meta_decode(a, r->meta, &m))
		return;
	past_note_act(w, &m, r->received_us);
	if (span_eq(m.verb, SPAN_LIT("site.state")))
		note_state(w, &m, r->received_us, false);
	else if (span_eq(m.verb, SPAN_LIT("site.seen")))
		note_state(w, &m, r->received_us, true);
	else if (span_eq(m.verb, SPAN_LIT("hold.set")))
		note_hold(w, &m, r->received_us);
	else if (span_eq(m.verb, SPAN_LIT("continuity.state")))
		continuity_past_state(w, &m, r->received_us);
	else if (span_eq(m.verb, SPAN_LIT("continuity.set")))
		continuity_past_order(w, &m, r->received_us);
}

static bool on_lane(void *arg, const char *name)
{
	struct past *p = arg;
	const char *own = role_full_name(p->watch->role);
	size_t n = strlen(own);

	if (strncmp(name, own, n) != 0 || (name[n] != 0 && name[n] != '.'))
		return true;
	snprintf(p->names[p->n], sizeof p->names[p->n], "%s", name);
	return ++p->n < PAST_LANES;
}

/* Our own lane ends where it is durable; another without a writer, where recovery says. */
static bool lane_end(struct watch *w, const char *dir, const char *name, struct lane_position *out)
{
	struct lane_recovery found;
	struct fault why = {""};

	if (strcmp(name, lane_name(w->lane)) == 0) {
		*out = lane_durable(w->lane);
		return true;
	}
	if (lane_recover(w->os, dir, name, &found, &why) == OK) {
		*out = found.end;
		return true;
	}
	say(SAY_WARNING, "past.unread", "lane", SAY_STR(name), "why", SAY_STR(why.text), NULL);
	return false;
}

/* One reader a lane, because a record's meta lives until the next call on its reader. */
static enum rc merge(struct watch *w, struct ledger_reader **readers, struct cursor *c, size_t n,
		     struct fault *why)
{
	struct arena a;
	enum rc rc = OK;

	arena_init(&a, 8 << 20);
	for (;;) {
		struct cursor *first = NULL;
		size_t at = 0;

		for (size_t i = 0; i < n; i++) {
			if (c[i].has &&
			    (!first || c[i].record.received_us < first->record.received_us))
				first = &c[i], at = i;
		}
		if (!first)
			break;
		note(w, &a, &first->record);
		rc = ledger_next(readers[at], &first->record, &first->end, &first->record, why);
		first->has = rc == OK;
		if (rc != OK && rc != MORE)
			break;
	}
	arena_fini(&a);
	return rc == MORE ? OK : rc;
}

bool past_read(struct watch *w, struct fault *why)
{
	struct ledger_reader *readers[PAST_LANES] = {NULL};
	struct cursor cursors[PAST_LANES] = {0};
	struct past p = {.watch = w};
	char dir[4096];
	enum rc rc;

	snprintf(dir, sizeof dir, "%s/ledger", role_data(w->role));
	rc = ledger_each_lane(w->os, dir, on_lane, &p, why);
	for (size_t i = 0; i < p.n && rc == OK; i++) {
		struct record start = {.ref = {.lane_id = lane_id_of(p.names[i])}};

		rc = ledger_reader_new(w->os, dir, &readers[i], why);
		if (rc != OK || !lane_end(w, dir, p.names[i], &cursors[i].end))
			continue;
		rc = ledger_next(readers[i], &start, &cursors[i].end, &cursors[i].record, why);
		cursors[i].has = rc == OK;
		rc = rc == MORE ? OK : rc;
	}
	if (rc == OK)
		rc = merge(w, readers, cursors, p.n, why);
	for (size_t i = 0; i < p.n; i++)
		ledger_reader_free(readers[i]);
	return rc == OK;
}
