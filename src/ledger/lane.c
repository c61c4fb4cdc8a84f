/*
 * The caller's side of a lane: opening, queueing, collecting results. writer.c does the work.
 */
#include "ledger/lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/must.h"

/* ---- threads ---- */

static void wait_for_work(struct lane *l)
{
	struct timespec until;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec++;
	must(pthread_mutex_lock(&l->mutex) == 0);
	if (!l->queue.first && !l->closing) {
		/* Wakes once a second only to see whether there is room again, or a disk. */
		if (l->reserve_bytes > 0 || l->file.fd < 0)
			(void)pthread_cond_timedwait(&l->work, &l->mutex, &until);
		else
			must(pthread_cond_wait(&l->work, &l->mutex) == 0);
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

static bool is_closing(struct lane *l)
{
	bool closing;

	must(pthread_mutex_lock(&l->mutex) == 0);
	closing = l->closing;
	must(pthread_mutex_unlock(&l->mutex) == 0);
	return closing;
}

static void *writer_main(void *arg)
{
	struct lane *l = arg;

	while (!is_closing(l)) {
		if (writer_batch(l))
			continue;
		writer_watch_reserve(l);
		writer_mend(l);
		wait_for_work(l);
	}
	return NULL;
}

static void cond_init_monotonic(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(c, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
}

/*
 * With the first append, not at lane_open: Landlock binds the calling thread and those it starts later, and a role
 * opens its lane before its sandbox closes. No thread to be had: the process ends and is started again.
 */
static void threads_start(struct lane *l)
{
	must(pthread_create(&l->preparer, NULL, preparer_main, l) == 0);
	l->has_preparer = true;
	must(pthread_create(&l->writer, NULL, writer_main, l) == 0);
	l->has_writer = true;
}

static void threads_stop(struct lane *l)
{
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->closing = true;
	must(pthread_cond_broadcast(&l->work) == 0);
	must(pthread_cond_broadcast(&l->chores) == 0);
	must(pthread_mutex_unlock(&l->mutex) == 0);
	if (l->has_writer)
		must(pthread_join(l->writer, NULL) == 0);
	if (l->has_preparer)
		must(pthread_join(l->preparer, NULL) == 0);
	l->has_writer = l->has_preparer = false;
}

/* ---- opening ---- */

struct twin_search {
	const char *name;
	bool found;
};

static bool on_lane_twin(void *arg, const char *name)
{
	struct twin_search *t = arg;

	if (lane_id_of(name) == lane_id_of(t->name) && strcmp(name, t->name) != 0)
		t->found = true;
	return !t->found;
}

/* Makes the folder of this name and locks it. EXISTS: another process writes there. */
static enum rc claim_name(struct lane *l, struct fault *why)
{
	struct twin_search twin = {l->name, false};
	enum rc rc;

	must(lane_dir_path(l->dir, l->ledger_dir, l->name));
	l->id = lane_id_of(l->name);
	rc = ledger_each_lane(l->os, l->ledger_dir, on_lane_twin, &twin, why);
	if (rc != OK)
		return rc;
	if (twin.found)
		return EXISTS; /* same number as another lane (one in 2^32): the next name will do
				*/
	rc = dir_make(l->os, l->dir, why);
	return rc == OK ? lane_lock(l->os, l->dir, true, &l->lock_fd, why) : rc;
}

static void pause_10ms(void)
{
	struct timespec t = {0, 10000000};

	(void)nanosleep(&t, NULL);
}

static enum rc claim(struct lane *l, const char *name, struct fault *why)
{
	enum rc rc = EXISTS;
	unsigned patience =
		l->threaded ? 50 : 0; /* the sequencer holds a lock only while it recovers a lane */

	for (unsigned i = 1; i <= LANE_NAMES_TRIED && rc == EXISTS; i++) {
		int n = i == 1 ? snprintf(l->name, sizeof l->name, "%s", name)
			       : snprintf(l->name, sizeof l->name, "%s.%u", name, i);

		if (n < 0 || (size_t)n >= sizeof l->name || !lane_name_is_good(l->name)) {
			fault_set(why, "\"%s\" cannot be the name of a lane", name);
			return REFUSED;
		}
		rc = claim_name(l, why);
		for (; rc == EXISTS && patience > 0; patience--) {
			pause_10ms();
			rc = claim_name(l, why);
		}
	}
	return rc == EXISTS ? LATER : rc;
}

struct leftovers {
	struct lane *l;
	uint32_t after; /* the newest begun segment */
};

/* A file made ahead that nothing was ever written to: behind the newest begun segment, and its
 * first block empty. */
static void remove_unbegun(struct lane *l, uint32_t number)
{
	static const unsigned char zeros[LEDGER_BLOCK_BYTES];
	unsigned char block[LEDGER_BLOCK_BYTES];
	struct fault ignored;
	unsigned char *bytes;
	char path[LEDGER_PATH_BYTES];
	size_t n;

	must(segment_path(path, l->dir, number));
	if (file_load(l->os, path, false, &bytes, &n, &ignored) != OK)
		return;
	memset(block, 0, sizeof block);
	memcpy(block, bytes, n < sizeof block ? n : sizeof block);
	free(bytes);
	if (memcmp(block, zeros, sizeof block) == 0)
		(void)os_unlink(l->os, path);
}

static void remove_leftovers(struct lane *l, uint32_t begun, uint32_t highest)
{
	struct numbers numbers;

	if (begun == highest || numbers_list(l->os, l->dir, ".seg", &numbers, NULL) != OK)
		return;
	for (size_t i = 0; i < numbers.n; i++)
		if (numbers.at[i] > begun && numbers.at[i] <= highest)
			remove_unbegun(l, numbers.at[i]);
	free(numbers.at);
}

static enum rc start(struct lane *l, struct fault *why)
{
	struct lane_recovery recovered;
	struct segment_file first;
	uint32_t highest;
	uint64_t first_bytes =
		l->segment_bytes < LANE_FIRST_BYTES ? l->segment_bytes : LANE_FIRST_BYTES;
	enum rc rc = lane_find_end(l->os, l->dir, l->id, &recovered, &highest, why);

	if (rc != OK)
		return rc;
	l->durable = recovered.end;
	l->next_number = highest + 1;
	/* Room first: on a full disk the zeros of a file made ahead are what we need. */
	remove_leftovers(l, recovered.end.segment, highest);
	rc = ledger_reader_new(l->os, l->ledger_dir, &l->reader, why);
	if (rc != OK)
		return rc;
	ledger_reader_know(l->reader, l->name);
	rc = spare_make(l, first_bytes, &first, why);
	if (rc != OK)
		return rc;
	l->spare = first;
	l->spare_state = SPARE_READY;
	return writer_open_segment(l, 0, why);
}

static void lane_free(struct lane *l)
{
	if (l->file.fd >= 0)
		segment_retire(l, &l->file, l->file.pos);
	prepare_fini(l);
	ledger_reader_free(l->reader);
	if (l->lock_fd >= 0)
		(void)os_close(l->os, l->lock_fd);
	(void)pthread_cond_destroy(&l->work);
	(void)pthread_cond_destroy(&l->chores);
	(void)pthread_mutex_destroy(&l->mutex);
	free(l->heads);
	free(l->parts);
	free(l);
}

static struct lane *lane_new(const struct lane_options *o)
{
	struct lane *l = must_alloc(sizeof *l);

	l->os = o->os;
	(void)snprintf(l->ledger_dir, sizeof l->ledger_dir, "%s", o->ledger_dir);
	l->segment_bytes = o->segment_bytes ? o->segment_bytes : LANE_SEGMENT_DEFAULT_BYTES;
	l->reserve_bytes = o->reserve_bytes;
	l->threaded = o->threaded;
	l->on_wake = o->on_wake;
	l->arg = o->arg;
	l->lock_fd = -1;
	l->file.fd = -1;
	l->epoch = 1;
	must(pthread_mutex_init(&l->mutex, NULL) == 0);
	cond_init_monotonic(&l->work);
	cond_init_monotonic(&l->chores);
	group_list_init(&l->queue);
	group_list_init(&l->done);
	return l;
}

enum rc lane_open(const struct lane_options *options, struct lane **out, struct fault *why)
{
	struct lane *l;
	enum rc rc;

	if (strlen(options->ledger_dir) > LEDGER_PATH_BYTES - 100) {
		fault_set(why, "the path %s is too long", options->ledger_dir);
		return REFUSED;
	}
	l = lane_new(options);
	must(l->segment_bytes % LEDGER_BLOCK_BYTES == 0 &&
	     l->segment_bytes >= LANE_SEGMENT_LEAST_BYTES &&
	     l->segment_bytes <= SEGMENT_LIMIT_BYTES);
	rc = dir_make(l->os, l->ledger_dir, why);
	if (rc == OK)
		rc = claim(l, options->name, why);
	if (rc == OK)
		rc = start(l, why);
	if (rc != OK) {
		threads_stop(l);
		lane_free(l);
		return rc;
	}
	*out = l;
	return OK;
}

void lane_stop(struct lane *l)
{
	threads_stop(l);
	for (struct group *g; (g = l->queue.first);) {
		l->queue.first = g->next;
		g->result.rc = LATER;
		l->pending_bytes -= g->bytes;
		group_list_append(&l->done, g);
	}
	group_list_init(&l->queue);
	while (l->done.first) /* a result may make its owner append once more */
		lane_collect(l);
}

void lane_close(struct lane *l)
{
	if (!l)
		return;
	lane_stop(l);
	lane_free(l);
}

/* ---- appending ---- */

static size_t table_bytes(const struct record_new *r)
{
	return r->chunks_n * CHUNK_ENTRY_BYTES;
}

static uint64_t bytes_on_disk(const struct record_new *r)
{
	uint64_t n = (uint64_t)RECORD_HEAD_BYTES + r->meta.n + r->body.n + table_bytes(r);

	return (n + RECORD_ALIGN_BYTES - 1) / RECORD_ALIGN_BYTES * RECORD_ALIGN_BYTES;
}

/* One allocation: group, records, tables, metas. */
static struct group *group_new(struct record_new *records, size_t n)
{
	size_t refs = 0, metas = 0;
	struct record_ref *ref;
	unsigned char *meta;
	struct group *g;

	for (size_t i = 0; i < n; i++) {
		must(records[i].meta.n <= LEDGER_META_LIMIT_BYTES);
		must(records[i].chunks_n == 0 || records[i].body.n == 0);
		refs += records[i].chunks_n;
		metas += records[i].meta.n;
	}
	g = must_alloc(sizeof *g + n * sizeof *g->records + refs * sizeof *ref + metas);
	g->records = (void *)(g + 1);
	g->n = n;
	ref = (void *)(g->records + n);
	meta = (void *)(ref + refs);
	for (size_t i = 0; i < n; i++) {
		struct queued *q = &g->records[i];

		*q = (struct queued){
			.type = records[i].type,
			.received_us = records[i].received_us,
			.meta = {meta, records[i].meta.n},
			.body = records[i].body,
			.chunks = ref,
			.chunks_n = records[i].chunks_n,
			.body_bytes = records[i].body_bytes,
		};
		records[i].body = (struct buf){0};
		if (q->meta.n > 0)
			memcpy(meta, records[i].meta.p, q->meta.n);
		if (q->chunks_n > 0) {
			memcpy(ref, records[i].chunks, q->chunks_n * sizeof *ref);
			buf_init(&q->body, 0);
		}
		meta += q->meta.n;
		ref += q->chunks_n;
	}
	return g;
}

void lane_append(struct lane *l, struct record_new *records, size_t n, uint64_t epoch,
		 bool respects_reserve,
		 void (*on_done)(void *arg, const struct lane_result *result), void *arg)
{
	uint64_t bytes = 0;
	struct group *g;

	must(n >= 1);
	for (size_t i = 0; i < n; i++)
		bytes += bytes_on_disk(&records[i]);
	g = group_new(records, n);
	g->bytes = bytes;
	g->epoch = epoch;
	g->respects_reserve = respects_reserve;
	g->on_done = on_done;
	g->arg = arg;
	if (l->threaded && !l->has_writer && !is_closing(l))
		threads_start(l);
	must(pthread_mutex_lock(&l->mutex) == 0);
	g->is_too_large = bytes > l->segment_bytes - LEDGER_BLOCK_BYTES;
	if (l->closing) {
		g->result.rc = LATER;
		group_list_append(&l->done, g);
	} else {
		l->pending_bytes += bytes;
		group_list_append(&l->queue, g);
	}
	if (l->threaded)
		must(pthread_cond_signal(&l->work) == 0);
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

void lane_collect(struct lane *l)
{
	struct group_list done;

	must(pthread_mutex_lock(&l->mutex) == 0);
	done = l->done;
	group_list_init(&l->done);
	must(pthread_mutex_unlock(&l->mutex) == 0);
	for (struct group *g; (g = done.first);) {
		done.first = g->next;
		if (g->on_done)
			g->on_done(g->arg, &g->result);
		group_free(g);
	}
}

bool lane_step(struct lane *l)
{
	must(!l->threaded);
	return writer_batch(l);
}

/* ---- questions ---- */

#define LOCKED(l, get)                                                                             \
	do {                                                                                       \
		must(pthread_mutex_lock((pthread_mutex_t *)(uintptr_t) & (l)->mutex) == 0);        \
		get;                                                                               \
		must(pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t) & (l)->mutex) == 0);      \
	} while (0)

const char *lane_name(const struct lane *l)
{
	return l->name;
}

uint64_t lane_epoch(const struct lane *l)
{
	uint64_t epoch;

	LOCKED(l, epoch = l->epoch);
	return epoch;
}

size_t lane_pending_bytes(const struct lane *l)
{
	uint64_t bytes;

	LOCKED(l, bytes = l->pending_bytes);
	return bytes;
}

struct lane_position lane_durable(const struct lane *l)
{
	struct lane_position at;

	LOCKED(l, at = l->durable);
	return at;
}

void lane_trouble(const struct lane *l, char *out, size_t out_n)
{
	LOCKED(l, (void)snprintf(out, out_n, "%s", l->trouble));
}

void lane_condemned(const struct lane *l, char *out, size_t out_n)
{
	LOCKED(l, (void)snprintf(out, out_n, "%s", l->condemned));
}

bool lane_is_below_reserve(const struct lane *l)
{
	bool below;

	LOCKED(l, below = l->below_reserve);
	return below;
}

void lane_stats(const struct lane *l, struct lane_stats *out)
{
	LOCKED(l, *out = l->stats);
}
