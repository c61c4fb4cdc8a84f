/*
 * The ledger: the append-only truth. Lanes (one writer each) of segment files, and the order over
 * all lanes. doc/formats/ledger.md fixes the bytes. No event loop, no sockets; all system calls
 * through struct os.
 *
 * Invariants (cited in code and tests):
 *   L1  A result OK from lane_append means: the record and everything before it in the lane is on
 * stable storage, and so is the name of its segment. L2  A segment whose sync failed is condemned:
 * its batch gets BROKEN, it is never written or synced again, and the next segment opens with an
 * ABANDON record, synced before any later OK, that names the last good position. L3  Every record
 * after the end named by the following segment's first record is ignored for ever, readable or not.
 *   L4  A synced block is never written again: each batch starts on a fresh 4096-byte boundary.
 *   L5  Lane sequence numbers are gapless over all valid records of a lane, across segments.
 *   L6  Recovery cuts at the first hole at or beyond the highest durable_to it saw (a torn tail); a
 * hole below it is damage: reported and skipped, never silently dropped. Recovery writes nothing
 * into old segments, needs no free space for reading, and may run any number of times with the same
 * result. L7  A group of records appended together is valid as a whole or not at all. L8  An order
 * entry is written only for durable records, in lane order, and is never changed.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/span.h"

struct os;

enum {
	LEDGER_BLOCK_BYTES = 4096,
	LEDGER_CHUNK_BYTES = 128 << 10, /* messages above this are written as CHUNK records first */
	LEDGER_DIGEST_BYTES = 32,
	LEDGER_SALT_BYTES = 16,
	LEDGER_LANE_NAME_BYTES = 32, /* with the NUL; [a-z0-9.-] */
	LEDGER_META_LIMIT_BYTES = 1 << 20,
};

enum record_type {
	RECORD_OPEN = 1,    /* first record of a segment: how the one before ended */
	RECORD_ABANDON = 2, /* the same, after a failed sync (L2) */
	RECORD_MESSAGE = 3,
	RECORD_CHUNK = 4,
	RECORD_INTENT = 5,
	RECORD_OUTCOME = 6,
	RECORD_ACT = 7,
	RECORD_DIRECTORY = 8,
	RECORD_ERASED = 9,
	RECORD_BASE = 10,
};
const char *record_type_name(enum record_type type);

/* Where a record stands. lane_id is CRC-32C of the lane's name (collisions are refused when a lane
 * is made). */
struct record_ref {
	uint32_t lane_id;
	uint32_t segment; /* counts from 1 */
	uint64_t offset;  /* of the record header in its segment file */
};

/* End of the durable part of a lane: everything before it is on stable storage. */
struct lane_position {
	uint32_t segment;
	uint64_t offset;
	uint64_t seq; /* of the next record */
};

/* ---- writing one lane ---- */

struct lane;

struct lane_options {
	struct os *os;
	const char *ledger_dir; /* "<data>/ledger" */
	const char *name; /* "edge-0"; when another process holds its lock: "edge-0.2", "edge-0.3"
			     ... */
	uint64_t segment_bytes; /* 0: 32 MiB */
	uint64_t reserve_bytes; /* below this much free space appends with respects_reserve fail
				   with LATER */
	bool threaded;		/* own writer thread, from the first append on; false: lane_step does the work (tests) */
	/* From the writer thread (or lane_step): results wait to be collected by lane_collect. */
	void (*on_wake)(void *arg);
	void *arg;
};

/* Recovers what the lane holds, then opens a new segment. LATER: no space or descriptors, try
 * again. */
enum rc lane_open(const struct lane_options *options, struct lane **out,
		  struct fault *why) MUST_USE;
/* Finishes the batch in flight and gives out all results. Pending appends, and those made from now
 * on, get LATER. */
void lane_stop(struct lane *lane);
/* lane_stop; then truncates the zero-filled rest and releases the lock. Accepts NULL. */
void lane_close(struct lane *lane);
const char *lane_name(const struct lane *lane);

struct record_new {
	enum record_type type;
	uint64_t received_us; /* wall clock */
	struct span meta;     /* encoded by the schema; copied */
	struct buf body; /* taken over (no copy); may be empty. With chunks set it must be empty */
	/* RECORD_MESSAGE above LEDGER_CHUNK_BYTES: its chunks, all appended before it; copied. */
	const struct record_ref *chunks;
	size_t chunks_n;
	uint64_t body_bytes; /* with chunks: their bytes together */
};

struct lane_result {
	/* OK: durable. LATER: no space or closing (452). BROKEN: the disk failed (451). REFUSED:
	 * the group is larger than a segment. */
	enum rc rc;
	struct record_ref ref; /* of the first record of the group */
};

/*
 * Queues a group of n >= 1 records (L7) for the next batch; never blocks. on_done is called once,
 * from lane_collect on the caller's thread, in order of appending. epoch: lane_epoch() when the
 * first chunk was appended (0: no chunks); if the lane has abandoned a segment since, the group
 * gets BROKEN, because its chunks may be gone.
 */
void lane_append(struct lane *lane, struct record_new *records, size_t n, uint64_t epoch,
		 bool respects_reserve,
		 void (*on_done)(void *arg, const struct lane_result *result), void *arg);
uint64_t lane_epoch(const struct lane *lane);	    /* >= 1; grows with each condemned segment */
size_t lane_pending_bytes(const struct lane *lane); /* queued or being written; for back-pressure */

void lane_collect(struct lane *lane); /* calls on_done for what is finished */
/* Not threaded: writes one batch of what is queued. False: nothing to do. */
bool lane_step(struct lane *lane);

struct lane_position lane_durable(
	const struct lane *lane); /* thread-safe; what to tell the sequencer */
/* Why the last sync or write failed, "" when the lane is healthy. */
void lane_trouble(const struct lane *lane, char *out, size_t out_n);
/* Why the last segment was condemned (L2), "" when none was since the lane was opened. */
void lane_condemned(const struct lane *lane, char *out, size_t out_n);
bool lane_is_below_reserve(const struct lane *lane);

struct lane_stats {
	uint64_t batches, records, bytes, sync_us, abandoned;
};
void lane_stats(const struct lane *lane, struct lane_stats *out); /* thread-safe */

/* ---- reading ---- */

struct record {
	enum record_type type;
	struct record_ref ref;
	uint64_t seq;
	uint64_t received_us;
	uint32_t length;     /* whole record on disk: header, salt, payload, without padding */
	uint64_t body_bytes; /* of the body, whether inline or in chunks */
	bool is_chunked;
	struct span meta; /* checked by its own CRC-32C; lives until the next call on the reader */
	unsigned char digest[LEDGER_DIGEST_BYTES]; /* SHA-256 of salt, lengths, meta and body (or
						      table of chunks) */
	uint32_t span;		/* length with the padding up to the next record; 0 before the first
				   ledger_next */
	uint64_t skipped_bytes; /* damage that ledger_next stepped over to reach this record; 0:
				   none */
};

/* Names of all lanes, ascending. */
enum rc ledger_each_lane(struct os *os, const char *ledger_dir,
			 bool (*on_lane)(void *arg, const char *name), void *arg,
			 struct fault *why) MUST_USE;
uint32_t lane_id_of(const char *name);

/*
 * A set of open segment files for reading by position (clerk, courier, sequencer); keeps a few
 * descriptors. Not thread-safe: one per thread.
 */
struct ledger_reader;
enum rc ledger_reader_new(struct os *os, const char *ledger_dir, struct ledger_reader **out,
			  struct fault *why) MUST_USE;
void ledger_reader_free(struct ledger_reader *r);
/* Of a lane that was read from; "" if none was. */
const char *ledger_reader_lane(const struct ledger_reader *r, uint32_t lane_id);
/* Header and meta only (one or two preads). REFUSED: no valid record there. BROKEN: read error. */
enum rc ledger_read(struct ledger_reader *r, struct record_ref ref, struct record *out,
		    struct fault *why) MUST_USE;
/* The record after the one given (needs .ref; .span and .seq as read, or 0), within the durable end
 * `until`; follows segments, steps over damage (out->skipped_bytes). MORE: there is none yet.
 * Start: a record with .ref = {lane_id, 0, 0} and .seq = 0 means the first of the lane. */
enum rc ledger_next(struct ledger_reader *r, const struct record *after,
		    const struct lane_position *until, struct record *out,
		    struct fault *why) MUST_USE;

/* The body of a MESSAGE, in pieces of at most LEDGER_CHUNK_BYTES, each checked against its digest
 * before it is given. */
struct ledger_body;
enum rc ledger_body_open(struct ledger_reader *r, struct record_ref ref, struct ledger_body **out,
			 struct fault *why) MUST_USE;
/* OK: a piece. MORE: the end (all was given). BROKEN: damage (never bad bytes). The span lives
 * until the next call. */
enum rc ledger_body_next(struct ledger_body *b, struct span *out, struct fault *why) MUST_USE;
/* The next piece will be the one with this byte of the body in it (at or behind the end: MORE); returns where that piece
 * begins. Nothing is read for it. */
uint64_t ledger_body_seek(struct ledger_body *b, uint64_t offset);
void ledger_body_close(struct ledger_body *b); /* accepts NULL */

/* ---- recovery of a lane that has no writer ---- */

struct lane_damage {
	uint32_t segment;
	uint64_t from, to;
};
struct lane_recovery {
	struct lane_position end; /* valid and durable up to here (recovery synced what it kept) */
	uint64_t records;	  /* seen in the segments that had to be scanned */
	uint64_t cut_bytes;	  /* torn tail */
	size_t damage_n;
	struct lane_damage damage[8]; /* the first few; damage_n may be larger */
};
/* Takes the lane's lock for the duration. EXISTS: a writer has it (ask the writer instead). */
enum rc lane_recover(struct os *os, const char *ledger_dir, const char *name,
		     struct lane_recovery *out, struct fault *why) MUST_USE;

/* ---- the order ---- */

struct order_entry {
	uint64_t number; /* counts from 0 */
	struct record_ref ref;
	uint64_t seq;
	enum record_type type;
	uint32_t length;
	unsigned char leaf[LEDGER_DIGEST_BYTES]; /* RFC 9162 leaf hash of the entry's fields and the
						    record's digest */
	uint64_t received_us;
};

/*
 * The orderer: *append a batch of lane records* and *read from number n*. This one keeps files
 * under ledger/order/; another may keep them in a replicated database.
 */
struct order;
enum rc order_open(struct os *os, const char *ledger_dir, bool writable, struct order **out,
		   struct fault *why) MUST_USE;
void order_close(struct order *o);
/* Writer. Numbers the records (number and leaf of each entry are filled in), appends and syncs. */
enum rc order_append(struct order *o, struct order_entry *entries, const struct record *records,
		     size_t n, struct fault *why) MUST_USE;
/* Writer. Keeps size, root and lane ends in order/root, for verification and a quick start. At most
 * once a second. */
enum rc order_save(struct order *o, struct fault *why) MUST_USE;
uint64_t order_size(const struct order *o); /* the next number */
void order_root(const struct order *o, unsigned char out[LEDGER_DIGEST_BYTES]);
/* Any process. How many entries were read (fewer at the end). A reader sees only what was synced
 * when it was told. */
enum rc order_read(struct order *o, uint64_t from, struct order_entry *entries, size_t max,
		   size_t *out_n, struct fault *why) MUST_USE;
/* Where each lane's ordered part ends: for the sequencer at start. False: nothing of this lane is
 * ordered. */
bool order_lane_end(const struct order *o, uint32_t lane_id, struct record_ref *out_last,
		    uint64_t *out_seq);

/* ---- Merkle tree (RFC 9162 section 2.1) ---- */

struct merkle {
	uint64_t size;
	unsigned char peaks[64][LEDGER_DIGEST_BYTES];
};
void merkle_leaf(struct span data, unsigned char out[LEDGER_DIGEST_BYTES]);
void merkle_append(struct merkle *m, const unsigned char leaf[LEDGER_DIGEST_BYTES]);
void merkle_root(const struct merkle *m, unsigned char out[LEDGER_DIGEST_BYTES]);

/* ---- verification ---- */

struct ledger_report {
	uint64_t lanes, segments, records, messages, bytes, ordered, cut_bytes;
	uint64_t problems;
	unsigned char root[LEDGER_DIGEST_BYTES];
};
/* Reads everything: every digest, every sequence, every order entry against its record, the root.
 * on_problem is called for each fault found with a sentence; on_progress with bytes done and in
 * all. Either may be NULL. */
enum rc ledger_verify(struct os *os, const char *ledger_dir,
		      void (*on_problem)(void *arg, const char *text),
		      void (*on_progress)(void *arg, uint64_t done, uint64_t all), void *arg,
		      struct ledger_report *out, struct fault *why) MUST_USE;
