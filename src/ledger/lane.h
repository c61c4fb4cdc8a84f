/* Shared by lane.c (the caller's side), writer.c (batches and segments) and prepare.c (the next
 * file, made ahead). */
#pragma once

#include "ledger/internal.h"

#include <pthread.h>

enum {
	LANE_BATCH_BYTES = 8 << 20,
	LANE_SEGMENT_DEFAULT_BYTES = 32 << 20,
	LANE_FIRST_BYTES = 4 << 20, /* the segment made while somebody waits for lane_open */
	LANE_SEGMENT_LEAST_BYTES = 16 << 10,
	LANE_RESERVE_EVERY_US = 250000,
	LANE_RETRY_EVERY_US = 1000000,
	LANE_NAMES_TRIED = 16,
};

struct queued {
	enum record_type type;
	uint64_t received_us;
	struct span meta;
	struct buf body;
	struct record_ref *chunks;
	size_t chunks_n;
	uint64_t body_bytes;
};

struct group {
	struct group *next;
	struct queued *records; /* in the same allocation */
	size_t n;
	uint64_t bytes; /* on disk, without the padding of the batch */
	uint64_t epoch;
	bool respects_reserve, is_too_large;
	void (*on_done)(void *arg, const struct lane_result *result);
	void *arg;
	struct lane_result result;
};

struct group_list {
	struct group *first, **tail;
};

struct segment_file {
	int fd; /* -1: none */
	uint32_t number;
	uint64_t size, pos;
	uint64_t nonce;
};

enum spare_state { SPARE_NONE, SPARE_MAKING, SPARE_READY };

struct retired { /* a segment that is done: cut its zeros off and close it */
	int fd;
	uint64_t end;
};

struct lane {
	struct os *os;
	char ledger_dir[LEDGER_PATH_BYTES], dir[LEDGER_PATH_BYTES];
	char name[LEDGER_LANE_NAME_BYTES];
	uint32_t id;
	uint64_t segment_bytes, reserve_bytes;
	bool threaded;
	void (*on_wake)(void *arg);
	void *arg;
	int lock_fd;

	pthread_t writer, preparer;
	bool has_writer, has_preparer;
	pthread_mutex_t mutex; /* guards from here ... */
	pthread_cond_t work;   /* for the writer: queue or closing */
	pthread_cond_t chores; /* for the preparer, and back */
	bool closing;
	struct group_list queue, done;
	uint64_t pending_bytes;
	struct lane_position durable;
	uint64_t epoch;
	bool below_reserve;
	char trouble[480], condemned[480];
	struct lane_stats stats;
	enum spare_state spare_state;
	struct segment_file spare;
	bool spare_wanted;
	uint32_t next_number;
	struct retired *retired;
	size_t retired_n; /* ... to here */

	/* The writer's own. */
	struct segment_file file;
	bool must_abandon; /* the next opening record is an ABANDON */
	uint64_t retry_at_us, reserve_at_us;
	enum rc down_rc;	      /* what appends get while there is no segment */
	struct ledger_reader *reader; /* for the digests of chunks */
	unsigned char *heads;
	size_t heads_cap;
	struct iovec *parts;
	size_t parts_cap;
};

/* ---- writer.c */
/* Opens the next segment with its OPEN or ABANDON, synced. */
enum rc writer_open_segment(struct lane *l, uint64_t least_bytes, struct fault *why) MUST_USE;
/* One batch from the queue. False: nothing was queued. */
bool writer_batch(struct lane *l);
void writer_watch_reserve(struct lane *l);
void writer_mend(struct lane *l); /* without a segment: tries again, at most once a second */
void group_list_init(struct group_list *g);
void group_list_append(struct group_list *g, struct group *item);
void group_free(struct group *g);

/* ---- prepare.c */
enum rc spare_make(struct lane *l, uint64_t bytes, struct segment_file *out,
		   struct fault *why) MUST_USE;
/* The file made ahead, or one made now. */
enum rc spare_take(struct lane *l, uint64_t least_bytes, struct segment_file *out,
		   struct fault *why) MUST_USE;
void spare_order(struct lane *l); /* have the next one made */
void segment_retire(struct lane *l, const struct segment_file *f, uint64_t end);
void *preparer_main(void *arg);
void prepare_fini(struct lane *l);
