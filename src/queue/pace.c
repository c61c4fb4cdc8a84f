/* Rates and the ramp. See pace.h. */
#include "queue/pace.h"

#include "base/must.h"

static void roll(struct pace_window *w, uint64_t now_us)
{
	uint64_t bucket = now_us / w->bucket_us;

	if (bucket <= w->newest)
		return;
	for (uint64_t b = w->newest + 1, n = 0; b <= bucket && n < PACE_BUCKETS; b++, n++) {
		size_t at = (size_t)((bucket - n) % PACE_BUCKETS);

		w->sum -= w->counts[at];
		w->counts[at] = 0;
	}
	w->newest = bucket;
}

static void window_set(struct pace_window *w, uint64_t window_us, uint32_t limit)
{
	w->bucket_us = window_us / (PACE_BUCKETS - 1);
	w->limit = limit;
}

void pace_set(struct pace *p, uint32_t per_minute, uint32_t per_hour)
{
	window_set(&p->minute, 60000000, per_minute);
	window_set(&p->hour, 3600000000, per_hour);
}

static uint32_t window_room(struct pace_window *w, uint64_t now_us)
{
	roll(w, now_us);
	if (w->limit == 0)
		return UINT32_MAX;
	return w->sum < w->limit ? w->limit - w->sum : 0;
}

uint32_t pace_room(struct pace *p, uint64_t now_us)
{
	uint32_t a = window_room(&p->minute, now_us), b = window_room(&p->hour, now_us);

	return a < b ? a : b;
}

void pace_count(struct pace *p, uint64_t now_us)
{
	struct pace_window *both[] = {&p->minute, &p->hour};

	for (int i = 0; i < 2; i++) {
		roll(both[i], now_us);
		both[i]->counts[both[i]->newest % PACE_BUCKETS]++;
		both[i]->sum++;
	}
}

uint64_t pace_again_us(struct pace *p, uint64_t now_us)
{
	if (pace_room(p, now_us) > 0)
		return 0;
	/* The next bucket of the window that is full; it may be full still, then this is asked again. */
	if (window_room(&p->hour, now_us) == 0)
		return (p->hour.newest + 1) * p->hour.bucket_us;
	return (p->minute.newest + 1) * p->minute.bucket_us;
}

static const uint32_t stages[] = {1, 10, 100};
enum { STAGES = sizeof stages / sizeof *stages };

void ramp_reset(struct ramp *r)
{
	*r = (struct ramp){0};
}

uint32_t ramp_room(const struct ramp *r, uint64_t now_us)
{
	if (now_us < r->not_before_us)
		return 0;
	return r->granted < stages[r->stage] ? stages[r->stage] - r->granted : 0;
}

void ramp_granted(struct ramp *r)
{
	r->granted++;
}

void ramp_lapsed(struct ramp *r)
{
	if (r->granted > r->over)
		r->granted--;
}

void ramp_over(struct ramp *r, bool was_accepted, uint64_t now_us)
{
	if (r->over == r->granted)
		return; /* granted before the ramp began */
	r->over++;
	r->accepted += was_accepted;
	if (r->over < r->granted)
		return;
	if (r->accepted > 0) {
		r->stage += r->stage + 1 < STAGES;
	} else {
		r->stage = 0;
		r->not_before_us = now_us + RAMP_PAUSE_US;
	}
	r->granted = r->over = r->accepted = 0;
}
