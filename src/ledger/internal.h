/* Shared inside src/ledger only: the bytes of a record, segment files, the scan that recovery and
 * verify share. */
#pragma once

#include "ledger/ledger.h"
#include "os/os.h"

/* ---- record.c: doc/formats/ledger.md "Record" ---- */

enum {
	RECORD_HEADER_BYTES = 112, /* covered by the header's CRC */
	RECORD_HEAD_BYTES = 128,   /* header and salt */
	RECORD_ALIGN_BYTES = 8,
	CHUNK_ENTRY_BYTES = 48, /* one row of a chunked message's table */
};

enum record_FLAGS {
	RECORD_GROUP_MORE = 1,	/* the next record belongs to the same group (L7) */
	RECORD_CHUNKED = 2,	/* the body is a table of chunks */
	RECORD_GROUP_START = 4, /* first of its group: where reading may resume after damage */
};

struct record_header {
	enum record_type type;
	unsigned flags;
	uint32_t lane_id, segment;
	uint64_t seq, received_us;
	uint32_t meta_len, meta_crc;
	uint32_t body_len;   /* on disk */
	uint32_t span;	     /* to the next record, padding included */
	uint64_t body_bytes; /* of the message: body_len, or the chunks together */
	uint32_t durable_segment;
	uint64_t durable_offset;
	uint64_t nonce; /* the segment's: a forged record inside a body cannot know it */
	unsigned char digest[LEDGER_DIGEST_BYTES];
	unsigned char salt[LEDGER_SALT_BYTES];
};

void record_encode(const struct record_header *h, unsigned char out[RECORD_HEAD_BYTES]);
/* True: magic, version, CRC, and lengths that fit each other. Says nothing about meta and body. */
bool record_decode(const unsigned char in[RECORD_HEAD_BYTES], struct record_header *out);
uint32_t record_length(const struct record_header *h); /* without padding */
/* SHA-256 over salt, lengths, meta, body. */
void record_digest(const struct record_header *h, struct span meta, struct span body,
		   unsigned char out[LEDGER_DIGEST_BYTES]);
void record_from_header(const struct record_header *h, uint64_t offset, struct span meta,
			struct record *out);

struct chunk_entry {
	uint32_t segment, body_len;
	uint64_t offset;
	unsigned char digest[LEDGER_DIGEST_BYTES];
};
void chunk_entry_encode(const struct chunk_entry *c, unsigned char out[CHUNK_ENTRY_BYTES]);
void chunk_entry_decode(const unsigned char in[CHUNK_ENTRY_BYTES], struct chunk_entry *out);

/* The meta of OPEN and ABANDON. */
struct record_opening {
	uint32_t prev_segment; /* 0: this is the lane's first */
	uint64_t prev_end;
	uint64_t segment_bytes;
	struct span lane; /* name */
};
enum { OPENING_BYTES = 32 + LEDGER_LANE_NAME_BYTES };
size_t opening_encode(const struct record_opening *o, unsigned char out[OPENING_BYTES]);
bool opening_decode(struct span meta, struct record_opening *out);

/* ---- digest.c: SHA-256 with one context per thread ---- */

void digest_parts(const struct span *parts, size_t n, unsigned char out[LEDGER_DIGEST_BYTES]);
/* The leaf of an order entry (doc/formats/ledger.md "Leaf"). */
void order_leaf(const struct record *r, unsigned char out[LEDGER_DIGEST_BYTES]);

/* ---- segment.c: files of a lane ---- */

enum { LEDGER_PATH_BYTES = 1024, SEGMENT_LIMIT_BYTES = 1 << 30 };

struct numbers {
	uint32_t *at;
	size_t n;
};

/* Makes a folder if it is not there, and syncs its name. */
enum rc dir_make(struct os *os, const char *path, struct fault *why) MUST_USE;
bool lane_name_is_good(const char *name);
bool lane_dir_path(char out[LEDGER_PATH_BYTES], const char *ledger_dir, const char *name);
bool segment_path(char out[LEDGER_PATH_BYTES], const char *lane_dir, uint32_t number);
/* Ascending numbers of the files "<10 digits><suffix>". Free .at. */
enum rc numbers_list(struct os *os, const char *dir, const char *suffix, struct numbers *out,
		     struct fault *why) MUST_USE;
/* Makes a new file full of zeros and durable, name included. On failure nothing is left behind. */
enum rc zero_file_make(struct os *os, const char *dir, const char *path, uint64_t bytes,
		       int *out_fd, struct fault *why) MUST_USE;
/* The whole file in memory, after sync and forget when wanted: what is returned is on the device.
 * Free *out. */
enum rc file_load(struct os *os, const char *path, bool sync_first, unsigned char **out,
		  size_t *out_n, struct fault *why) MUST_USE;
enum rc rc_of_errno_disk(
	int err); /* like errno_rc, but every unexpected error of our disk is BROKEN */

/* ---- scan.c: one segment's bytes ---- */

#define SCAN_END_UNKNOWN UINT64_MAX

struct scan_result {
	bool is_begun;	      /* its first record was written, as far as can be told */
	bool is_opening_good; /* ... and is valid: opening is set */
	bool is_abandon;
	struct record_opening opening; /* .lane points into the bytes */
	uint64_t end;		       /* behind the last valid record */
	uint64_t next_seq;	       /* 0: unknown (no valid record) */
	uint64_t first_seq;
	uint64_t records, messages;
	uint64_t cut_bytes;
	size_t damage_n;
	struct lane_damage damage[8];
};
struct scan_item {
	const struct record_header *header;
	uint64_t offset;
	struct span meta, body;
};
/*
 * Finds the valid records of a segment (rule and algorithm: doc/formats/ledger.md). known_end: as
 * named by the following segment; SCAN_END_UNKNOWN for the newest. on_record (or NULL) is called
 * per record of whole groups.
 */
void segment_scan(struct span bytes, uint32_t lane_id, uint32_t segment, uint64_t known_end,
		  void (*on_record)(void *arg, const struct scan_item *item), void *arg,
		  struct scan_result *out);

/* ---- reader.c */

/* Makes a lane known, so that the ledger's folder need not be listed (a sandbox may forbid it). */
void ledger_reader_know(struct ledger_reader *r, const char *lane);

/* ---- recover.c ---- */

/* The newest begun segment of a lane whose lock we hold. highest: largest number seen, begun or
 * not. */
enum rc lane_find_end(struct os *os, const char *lane_dir, uint32_t lane_id,
		      struct lane_recovery *out, uint32_t *out_highest, struct fault *why) MUST_USE;
/* Opens and locks <lane_dir>/lock. EXISTS: somebody else has it. Without create, REFUSED: there is none yet. */
enum rc lane_lock(struct os *os, const char *lane_dir, bool create, int *out_fd,
		  struct fault *why) MUST_USE;

/* ---- order.c ---- */

enum { ORDER_ENTRY_BYTES = 96 };
void order_entry_encode(const struct order_entry *e, uint64_t durable,
			unsigned char out[ORDER_ENTRY_BYTES]);
bool order_entry_decode(const unsigned char in[ORDER_ENTRY_BYTES], struct order_entry *out,
			uint64_t *out_durable);
/* order/root: false unless whole and sound. */
bool order_root_decode(struct span file, uint64_t *out_size,
		       unsigned char root[LEDGER_DIGEST_BYTES], struct merkle *out_tree);
void order_set_capacity(struct order *o, uint64_t entries); /* of new files; for tests */
