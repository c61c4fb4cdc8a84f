/*
 * When to try again. Pure: the configured intervals, how often it was tried, and a seed in; a time out. The same seed
 * gives the same jitter, so that a rebuild of the views gives the same times.
 */
#pragma once

#include "base/span.h"

enum { QUEUE_RETRY_STEPS = 32, QUEUE_JITTER_PER_CENT = 10 };

struct queue_schedule {
	uint32_t retry_ms[QUEUE_RETRY_STEPS]; /* after the 1st try, the 2nd ...; the last repeats */
	size_t n;			      /* 0: the default schedule */
};

/* 1 min, 2, 5, 10, 20, 30 min, then every hour. */
void queue_schedule_default(struct queue_schedule *s);
/* As configured; empty or too long lists become the default or are cut. Intervals below 1 s become 1 s. */
void queue_schedule_set(struct queue_schedule *s, const uint32_t *retry_ms, size_t n);
/* tries >= 1. Within QUEUE_JITTER_PER_CENT of the interval, both ways. */
uint64_t queue_retry_after_us(const struct queue_schedule *s, unsigned tries, uint64_t seed);
/* Spreads a number over 64 bits (splitmix64), for seeds. */
uint64_t queue_mix(uint64_t x);
