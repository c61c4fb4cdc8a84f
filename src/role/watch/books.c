/*
 * The lane of watch: ACT and DIRECTORY records. Jobs wait in line; all that wait go as one group, one group at a
 * time (W2).
 */
#include "role/watch/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"

enum { GROUP_RECORDS = 64, GROUP_META_BYTES = 4 << 20 };

struct entry {
	struct list on_job;
	enum record_type type;
	struct buf meta;
};

struct job {
	struct list on_books;
	struct list entries;
	unsigned entries_n;
	bool is_operators;
	books_done *on_done;
	void *arg;
};

#define JOB_OF(l)   LIST_ENTRY(l, struct job, on_books)
#define ENTRY_OF(l) LIST_ENTRY(l, struct entry, on_job)

struct say_metric watch_acts = {"holdfast_watch_records_total",
				"Acts and directory records written", SAY_COUNTER, 0};

static void pump(struct watch *w);

struct job *job_new(bool is_operators, books_done *on_done, void *arg)
{
	struct job *j = must_alloc(sizeof *j);

	list_init(&j->on_books);
	list_init(&j->entries);
	j->is_operators = is_operators;
	j->on_done = on_done;
	j->arg = arg;
	return j;
}

static void job_free(struct job *j)
{
	struct list *l;

	while ((l = list_shift(&j->entries))) {
		buf_fini(&ENTRY_OF(l)->meta);
		free(ENTRY_OF(l));
	}
	free(j);
}

static struct entry *add(struct job *j, enum record_type type)
{
	struct entry *e = must_alloc(sizeof *e);

	must(j->entries_n < GROUP_RECORDS);
	e->type = type;
	list_init(&e->on_job);
	list_append(&j->entries, &e->on_job);
	j->entries_n++;
	return e;
}

void job_act(struct watch *w, struct job *j, const struct act *a)
{
	struct msg_act_meta m = {
		.id = span_str(a->id),
		.verb = span_str(a->verb),
		.object = a->object,
		.argument = span_str(a->argument ? a->argument : ""),
		.reason = span_str(a->reason ? a->reason : ""),
		.actor = span_str(a->actor ? a->actor : "watch"),
		.until_us = a->until_us,
		.class = span_str(a->class ? a->class : ""),
		.confidence = a->confidence,
	};

	msg_act_meta_encode(&add(j, RECORD_ACT)->meta, &m);
	past_note_act(w, &m, os_wall_us(w->os));
}

void job_fact(struct job *j, const struct msg_directory_meta *m)
{
	msg_directory_meta_encode(&add(j, RECORD_DIRECTORY)->meta, m);
}

static void end_job(struct watch *w, struct job *j, bool is_recorded)
{
	w->jobs_n--;
	if (j->on_done)
		j->on_done(j->arg, is_recorded);
	job_free(j);
}

/* All of the group or nothing (L7): automatic jobs go back in front, in their order. */
static void put_back(struct watch *w)
{
	while (!list_is_empty(&w->in_flight)) {
		struct list *last = w->in_flight.prev;
		struct job *j = JOB_OF(last);

		list_remove(last);
		if (j->is_operators)
			end_job(w, j, false);
		else
			list_append(w->jobs.next, last); /* before the first */
	}
	loop_timer_set(w->lane_retry, WATCH_SECOND_US);
}

static void on_written(void *arg, const struct lane_result *result)
{
	struct watch *w = arg;
	char trouble[200];
	struct list *l;

	if (result->rc != OK) {
		lane_trouble(w->lane, trouble, sizeof trouble);
		say(SAY_ERROR, "act.unwritten", "result", SAY_STR(rc_name(result->rc)), "why",
		    SAY_STR(trouble), NULL);
		put_back(w);
		return;
	}
	while ((l = list_shift(&w->in_flight))) {
		say_count(&watch_acts, JOB_OF(l)->entries_n);
		end_job(w, JOB_OF(l), true);
	}
	pump(w);
}

static size_t gather(struct watch *w, struct record_new *records)
{
	uint64_t now = os_wall_us(w->os);
	size_t n = 0, bytes = 0;

	while (!list_is_empty(&w->jobs)) {
		struct job *j = JOB_OF(w->jobs.next);

		if (n + j->entries_n > GROUP_RECORDS || (n && bytes > GROUP_META_BYTES))
			break;
		list_remove(&j->on_books);
		list_append(&w->in_flight, &j->on_books);
		LIST_EACH (l, &j->entries) {
			records[n++] = (struct record_new){.type = ENTRY_OF(l)->type,
							   .received_us = now,
							   .meta = buf_span(&ENTRY_OF(l)->meta)};
			bytes += ENTRY_OF(l)->meta.n;
		}
	}
	return n;
}

static void pump(struct watch *w)
{
	struct record_new records[GROUP_RECORDS];
	size_t n;

	if (!list_is_empty(&w->in_flight) || !w->lane || w->is_gathering)
		return;
	n = gather(w, records);
	if (n)
		lane_append(w->lane, records, n, 0, false, on_written, w);
}

void books_write(struct watch *w, struct job *j)
{
	w->jobs_n++;
	if (w->is_stopping || (j->is_operators && w->jobs_n > WATCH_JOBS)) {
		end_job(w, j, false);
		return;
	}
	if (j->entries_n == 0) {
		end_job(w, j, true);
		return;
	}
	list_append(&w->jobs, &j->on_books);
	pump(w);
}

void books_begin(struct watch *w)
{
	w->is_gathering = true;
}

void books_commit(struct watch *w)
{
	w->is_gathering = false;
	pump(w);
}

size_t books_waiting(const struct watch *w)
{
	return w->jobs_n;
}

static void on_retry(void *arg)
{
	pump(arg);
}

bool books_open(struct watch *w, struct fault *why)
{
	static const struct durable_options options = {.segment_bytes = 4 << 20,
						       .condition = "watching"};

	list_init(&w->jobs);
	list_init(&w->in_flight);
	w->lane_retry = loop_timer_new(w->loop, on_retry, w);
	if (durable_open(w->role, &options, &w->durable, why) != OK)
		return false;
	w->lane = durable_lane(w->durable);
	return true;
}

void books_close(struct watch *w)
{
	struct list *l;

	if (!w->lane)
		return;
	durable_close(w->durable);
	w->durable = NULL;
	w->lane = NULL;
	while ((l = list_shift(&w->in_flight)) || (l = list_shift(&w->jobs)))
		end_job(w, JOB_OF(l), false);
	loop_timer_free(w->lane_retry);
}
