/*
 * A role's own lane, and the notices to the sequencer how far it is durable: what edge, courier and watch have in
 * common. After each batch lane_collect gives out the results on the loop's thread, then Durable goes to the sequencer
 * if the position moved; and always when its link opens, so that a notice lost with a link is made good by the next.
 * A notice never holds up a result.
 *
 *   on_start:  durable_open(r, segment_bytes, on_batch, arg, &d, why)     (lane "<full name>" below <data>/ledger)
 *   on_link:   if (peer == ROLE_SEQUENCER) durable_link(d, fd);
 *   any time:  lane_append(durable_lane(d), ...)
 *   at the end: durable_close(d)
 */
#pragma once

#include "base/fault.h"
#include "ledger/ledger.h"

struct durable;
struct role;

/*
 * segment_bytes: 0 for the ledger's own. on_batch (may be NULL): after the results of one or more batches were given
 * out: for metrics, reserve and trouble. The reserve is that of the configuration (limits.reserve_bytes).
 */
enum rc durable_open(struct role *r, uint64_t segment_bytes, void (*on_batch)(void *arg), void *arg,
		     struct durable **out, struct fault *why) MUST_USE;
struct lane *durable_lane(struct durable *d);
/* Takes the descriptor of a link to the sequencer; the one before is closed. */
void durable_link(struct durable *d, int fd);
/* Waits for the batch in flight; pending appends get LATER. Accepts NULL. */
void durable_close(struct durable *d);
