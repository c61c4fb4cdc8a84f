/* Which Emails match, in which order (RFC 8621 s4.4): the work of Email/query and Email/queryChanges, in slices. */
#pragma once

#include "jmap/mailbox.h"
#include "jmap/match.h"

enum { JMAP_COMPARATORS = 8, JMAP_ROWS_LIMIT = 1000000 };

enum jmap_by {
	JMAP_BY_RECEIVED,
	JMAP_BY_SIZE,
	JMAP_BY_SENT,
	JMAP_BY_FROM,
	JMAP_BY_TO,
	JMAP_BY_SUBJECT,
	JMAP_BY_KEYWORD,
	JMAP_BY_THREAD_ALL,
	JMAP_BY_THREAD_SOME,
};

struct jmap_comparator {
	enum jmap_by by;
	bool is_down;  /* isAscending: false */
	bool is_ascii; /* i;ascii-casemap */
	struct span keyword;
	uint32_t flag;
};

struct jmap_row {
	uint64_t number, thread, received_us, bytes;
	enum mail_form form;
	uint32_t keys; /* index of its keys, when there are any */
};

struct jmap_sort_key {
	uint64_t number;
	uint32_t text_at, text_n; /* in texts */
};

struct jmap_query {
	struct jmap_filter filter;
	struct jmap_comparator by[JMAP_COMPARATORS];
	size_t by_n;
	bool needs_keys, is_collapsing;
	bool sorts_threads, sorts_mutable;

	struct jmap_match match;
	struct jmap_boxes boxes;
	size_t box_at;
	size_t asked;  /* of the index, about the box at hand: node */
	uint32_t next; /* UID in the box at hand */
	struct jmap_set64 seen;

	struct mail_entry *batch; /* whose answer costs more than a look; keywords in batch_words */
	size_t batch_n, batch_at;
	struct buf batch_words;
	bool is_reading; /* the message of batch_at */
	unsigned looked;
	bool is_more;

	struct jmap_row *rows;
	size_t rows_n, rows_cap;
	struct jmap_sort_key *keys; /* by_n for each row */
	size_t keys_n, keys_cap;
	struct buf texts;
	bool is_sorted;
};

/* filter, sort, collapseThreads of the call. False: it has failed. */
bool jmap_query_read(struct jmap_call *c, struct jmap_query *q);
/* MORE: call again. OK: rows are there, sorted, collapsed. REFUSED: the call has failed. */
enum rc jmap_query_run(struct jmap_call *c, struct jmap_query *q) MUST_USE;
void jmap_query_fini(struct jmap_query *q);

/* sort.c: what a row is sorted by, and the sorting. */
bool jmap_sort_read(struct jmap_call *c, struct jmap_query *q);
/* False: the store could not be read. */
bool jmap_sort_keys(struct jmap_call *c, struct jmap_query *q, struct jmap_row *row);
void jmap_sort(struct jmap_query *q);
