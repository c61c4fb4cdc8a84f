/* Retry times. See schedule.h. */
#include "queue/schedule.h"

#include "base/must.h"

static const uint32_t usual_ms[] = {60000, 120000, 300000, 600000, 1200000, 1800000, 3600000};

void queue_schedule_default(struct queue_schedule *s)
{
	queue_schedule_set(s, usual_ms, sizeof usual_ms / sizeof *usual_ms);
}

void queue_schedule_set(struct queue_schedule *s, const uint32_t *retry_ms, size_t n)
{
	if (n == 0) {
		queue_schedule_default(s);
		return;
	}
	s->n = n < QUEUE_RETRY_STEPS ? n : QUEUE_RETRY_STEPS;
	for (size_t i = 0; i < s->n; i++)
		s->retry_ms[i] = retry_ms[i] < 1000 ? 1000 : retry_ms[i];
}

uint64_t queue_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t queue_retry_after_us(const struct queue_schedule *s, unsigned tries, uint64_t seed)
{
	size_t step = tries > 0 ? tries - 1 : 0;
	uint64_t base_us, spread_us;

	must(s->n > 0);
	base_us = (uint64_t)s->retry_ms[step < s->n ? step : s->n - 1] * 1000;
	spread_us = base_us / 100 * QUEUE_JITTER_PER_CENT;
	return base_us - spread_us + queue_mix(seed + tries) % (2 * spread_us + 1);
}
