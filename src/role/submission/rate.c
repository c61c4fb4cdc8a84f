/*
 * Recipients of an account within an hour: a bucket that holds an hour's share and fills evenly, so that a stolen password
 * cannot send more than that at once. Of accounts whose bucket is full nothing is kept.
 */
#include <stdlib.h>

#include "base/must.h"
#include "role/submission/internal.h"

enum { HOUR_US_SECONDS = 3600, KEPT_MOST = 20000 };

struct bucket {
	double used; /* recipients that count now */
	uint64_t at_us;
};

struct submission_rates {
	struct map by_account;
};

struct submission_rates *submission_rates_new(void)
{
	struct submission_rates *r = must_alloc(sizeof *r);

	map_init(&r->by_account);
	return r;
}

static double used_now(const struct bucket *b, uint32_t per_hour, uint64_t now_us)
{
	double gone = (double)(now_us - b->at_us) / 1e6 * per_hour / HOUR_US_SECONDS;

	return b->used > gone ? b->used - gone : 0;
}

bool submission_rate_has_room(struct submission_rates *r, const char *account, uint64_t more,
			      uint32_t per_hour, uint64_t now_us)
{
	const struct bucket *b = map_get(&r->by_account, span_str(account));

	if (per_hour == 0)
		return true;
	return (b ? used_now(b, per_hour, now_us) : 0) + (double)more <= per_hour;
}

/* Buckets that are full again are as good as none. */
static void sweep(struct submission_rates *r, uint32_t per_hour, uint64_t now_us)
{
	struct map kept;
	size_t cursor = 0;
	struct span key;
	void *value;

	if (r->by_account.n < KEPT_MOST)
		return;
	map_init(&kept);
	while (map_next(&r->by_account, &cursor, &key, &value)) {
		if (used_now(value, per_hour, now_us) > 0)
			(void)map_put(&kept, key, value);
		else
			free(value);
	}
	map_fini(&r->by_account, NULL);
	r->by_account = kept;
}

void submission_rate_count(struct submission_rates *r, const char *account, uint64_t n,
			   uint32_t per_hour, uint64_t now_us)
{
	struct bucket *b = map_get(&r->by_account, span_str(account));

	if (per_hour == 0)
		return;
	if (!b) {
		sweep(r, per_hour, now_us);
		b = must_alloc(sizeof *b);
		(void)map_put(&r->by_account, span_str(account), b);
	}
	b->used = used_now(b, per_hour, now_us) + (double)n;
	b->at_us = now_us;
}
