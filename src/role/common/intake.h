/*
 * A message on its way from a session's bytes into the role's own lane: what edge, submission and desk have in common.
 * Up to LEDGER_CHUNK_BYTES it stays in one owned buffer, which the lane takes without a copy; a larger one goes out as
 * CHUNK records while it arrives, and the MESSAGE record that names them follows when all are durable. Over the budget of
 * all sessions, parts become chunks early and their sessions wait until those are on disk, so that memory is bounded and
 * nobody waits for somebody who waits.
 *
 *   a message begins:   i = intake_new(&hall, room, mark, on_chunked, session)
 *   a piece of it:      intake_piece(i, piece); pause the session while intake_is_hungry(i)
 *   its end:            intake_end(i); when intake_is_settled(i), now or as on_chunked says: look at intake_rc(i), then
 *                       intake_store(i, ...) and, with its result, answer (P1)
 *   at any time:        intake_drop(i): forgotten; what its chunks wrote already no MESSAGE names
 *
 * Runs on the loop's thread. Everything that the lane holds is counted in the hall until it has called back, also for
 * messages that were dropped.
 */
#pragma once

#include "base/buf.h"
#include "ledger/ledger.h"
#include "mail/header.h"

struct os;
struct say_metric;

/* All messages of a process that are coming in; embedded in its state, there until the lane is closed. */
struct intake_hall {
	struct os *os;
	struct lane *lane;
	struct say_metric *gauge;   /* shows buffered */
	uint64_t budget_bytes;	    /* for buffered */
	void (*on_room)(void *arg); /* something was written: who is hungry may be so no longer */
	void *arg;

	/* kept by intake.c */
	uint64_t buffered; /* bytes of bodies in memory, until they are durable or dropped */
	size_t pending;	   /* appends that will call back */
};

static inline bool intake_is_over_budget(const struct intake_hall *hall)
{
	return hall->buffered > hall->budget_bytes;
}

struct intake;
typedef void intake_on_chunked(void *arg);

/*
 * room: bytes to make room for with the first piece. mark: as header_walk_init wants it. on_chunked: the message is
 * complete and the last of its chunks has come back; never from within a call, and not after intake_drop.
 */
struct intake *intake_new(struct intake_hall *hall, size_t room, struct span mark,
			  intake_on_chunked *on_chunked, void *arg);
void intake_drop(struct intake *i); /* accepts NULL */

void intake_piece(struct intake *i, struct span piece);
/* So much of it is on its way to the disk that its session should bring no more for now. Accepts NULL. */
bool intake_is_hungry(const struct intake *i);

/* All of it has come. Once. */
void intake_end(struct intake *i);
/* Completed, and nothing of it is on its way to the disk. Accepts NULL. */
bool intake_is_settled(const struct intake *i);
bool intake_is_complete(const struct intake *i); /* intake_end was called; accepts NULL */

/* Of the first thing that failed: a chunk, or memory (LATER). */
enum rc intake_rc(const struct intake *i);
uint64_t intake_bytes(const struct intake *i);
const struct header_walk *intake_header(const struct intake *i);

/*
 * Appends the MESSAGE record of a settled intake whose rc is OK, with this meta. on_result comes once, also when the
 * intake has been dropped meanwhile: rc OK says that the message is on stable storage (P1). The body is the lane's from
 * here on; what is left to do with the intake is to drop it.
 */
void intake_store(struct intake *i, uint64_t received_us, struct span meta,
		  void (*on_result)(void *arg, const struct lane_result *result), void *arg);
