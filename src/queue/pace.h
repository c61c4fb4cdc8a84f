/*
 * How fast a site is given mail: rates, and the ramp of probation. Pure; times are microseconds of the monotonic clock.
 *
 *   Q5  No window of 60 s holds more grants than per_minute, no window of 3,600 s more than per_hour.
 *   Q6  In probation at most 1, then 10, then 100 messages are out between two looks at how they fared; a round in which
 *       nothing was accepted goes back to 1, after a pause.
 */
#pragma once

#include "base/span.h"

enum { PACE_BUCKETS = 61 };

/* Counts in buckets of a 60th of the window; one bucket more than the window, so that every true window is covered. */
struct pace_window {
	uint64_t bucket_us;
	uint64_t newest; /* number of the newest bucket since the clock's origin */
	uint32_t counts[PACE_BUCKETS];
	uint32_t sum, limit; /* limit 0: none */
};

struct pace {
	struct pace_window minute, hour;
};
void pace_set(struct pace *p, uint32_t per_minute, uint32_t per_hour); /* keeps what was counted */
/* How many may be granted now; UINT32_MAX without limits. */
uint32_t pace_room(struct pace *p, uint64_t now_us);
void pace_count(struct pace *p, uint64_t now_us);
/* When room may come back; 0: there is room. */
uint64_t pace_again_us(struct pace *p, uint64_t now_us);

enum { RAMP_PAUSE_US = 5000000 };
struct ramp {
	unsigned stage; /* 0, 1, 2: 1, 10, 100 */
	uint32_t granted, over, accepted;
	uint64_t not_before_us;
};
void ramp_reset(struct ramp *r);
uint32_t ramp_room(const struct ramp *r, uint64_t now_us);
void ramp_granted(struct ramp *r);
/* A lease came to its end: lapsed (nothing was learned), or with or without an accepted recipient. */
void ramp_lapsed(struct ramp *r);
void ramp_over(struct ramp *r, bool was_accepted, uint64_t now_us);
