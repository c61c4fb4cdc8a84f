/*
 * The work of holdfast-indexer without its process: batches of messages that mailboxes show into the index's database. All reads of
 * the ledger through struct os.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct arena;
struct digest_maker;
struct index;
struct ledger_reader;
struct msg_message_meta;
struct os;
struct record;

struct index_figures {
	uint64_t next;	   /* records below this show nothing that is not done */
	uint64_t messages; /* digested since the start */
	uint64_t skipped, unread, forgotten;
};

/* *out_is_new: the database was made. BROKEN, LATER: as digest_open_write and the ledger say. */
enum rc index_open(struct os *os, const char *data_dir, struct index **out, bool *out_is_new,
		   struct fault *why) MUST_USE;
void index_close(struct index *x); /* accepts NULL */

/*
 * One batch of what mailboxes show, in the order of its first showing. OK: there may be more. MORE: nothing to do, or there
 * are no views now. BROKEN: the database is damaged and was removed: close, open again. LATER: no space, or the order
 * cannot be read yet.
 */
enum rc index_step(struct index *x, struct fault *why) MUST_USE;
/*
 * Nothing is to be done: gives memory back, and removes what no view shows any more, some messages at a time (they leave
 * the views 30 days after they are finished and shown nowhere). Results as of index_step; OK: there may be more.
 */
enum rc index_rest(struct index *x, struct fault *why) MUST_USE;
void index_figures(const struct index *x, struct index_figures *out);

/* ---- form.c ---- */

enum { INDEX_FORMS = 3 };

/*
 * Feeds the forms of a message (views/mailbox.h) to their makers: as delivered; as sent, NULL unless there are cuts; enclosed,
 * NULL unless there is one. The caller frees them. LATER: no memory. BROKEN, REFUSED: the body cannot be read.
 */
enum rc index_read(struct ledger_reader *reader, const struct record *record,
		   const struct msg_message_meta *meta, struct digest_maker *out[INDEX_FORMS],
		   struct fault *why) MUST_USE;
