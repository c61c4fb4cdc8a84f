/*
 * A role's own lane: what edge, courier and watch have in common. The lane is opened in on_start, its results come on
 * the loop's thread, and two others are kept informed:
 *
 *   the sequencer  hears Durable after each batch that moved the position, and always when its link opens, so that a
 *                  notice lost with a link is made good by the next. A notice never holds up a result.
 *   the operator   hears of every condemned segment (event lane.condemned, L2), of a lane that cannot be written
 *                  (lane.failing) and of its end (lane.mended), each once, and sees the same in the role's condition.
 *
 *   on_start:    durable_open(r, &options, &d, why)     (lane "<full name>" below <data>/ledger)
 *   on_link:     if (peer == ROLE_SEQUENCER) durable_link(d, instance, fd);
 *   any time:    lane_append(durable_lane(d), ...)
 *   at the end:  durable_close(d)
 */
#pragma once

#include "base/fault.h"
#include "ledger/ledger.h"

struct durable;
struct role;

struct durable_options {
	uint64_t segment_bytes; /* 0: the ledger's own */
	uint64_t reserve_bytes; /* 0: no append respects it */
	/* The role's condition while all is well; kept by reference. NULL: the role tells its condition itself, with
	 * durable_condition. */
	const char *condition;
};

enum rc durable_open(struct role *r, const struct durable_options *options, struct durable **out,
		     struct fault *why) MUST_USE;
/* Lives until durable_close has given out its last result. */
struct lane *durable_lane(struct durable *d);
/* What an operator should read: the lane's trouble; else usual, and behind it what was condemned since the start. */
void durable_condition(const struct durable *d, const char *usual, char *out, size_t out_n);
/* Takes the descriptor of a link to the sequencer; the one before is closed. */
void durable_link(struct durable *d, unsigned instance, int fd);
/* Waits for the batch in flight and gives out all results; appends after that and pending ones get LATER. Accepts NULL. */
void durable_close(struct durable *d);
