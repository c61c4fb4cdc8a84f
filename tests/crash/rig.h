/*
 * The crash rig: one scenario of about fifty messages through a lane and the numbering of records, on the simulated
 * disk; then, after whatever happened to it, everything that must hold (checked with cmocka's asserts):
 *
 *   - each acknowledged record is there exactly once, byte for byte (P1, L1);
 *   - nothing else is there but whole groups whose answer was not given, or given as a failure with nothing
 *     acknowledged after it (L2, L3, L7);
 *   - sequence numbers are gapless (L5); recovery gives the same answer twice (L6);
 *   - the order has every record once, in lane order, and what was told of it before is unchanged (L8).
 */
#pragma once

#include "os/sim.h"

struct rig;

/* segment_bytes: small, so that segments roll over often. */
struct rig *rig_new(uint64_t seed);
void rig_free(struct rig *r);
struct os_sim *rig_sim(struct rig *r);

/*
 * A process that opens lane and order and plays the scenario until its end or its death. heals: what fails does so
 * once, so at the end of a life everything must be numbered.
 */
void rig_run(struct rig *r, bool heals);
/* A life of a few operations: p plain, g group, c chunked, f fills a segment to the byte, o closes and opens. */
void rig_run_ops(struct rig *r, const char *ops);
/* New processes: recovers and checks all, again after a power cut, appends a little, checks again. */
void rig_check(struct rig *r);
unsigned rig_acked(const struct rig *r);
unsigned rig_failed(const struct rig *r);
