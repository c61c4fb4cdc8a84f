/*
 * What the probes of a site said, for the picture of its day: each probe of the last minutes, and a day in buckets of a
 * minute, in two rings whose size is fixed when the site is made. In memory alone: what was decided is in the ledger.
 *
 *   T1  All sites together take TIMELINE_BYTES at most; many sites keep less each, at least an hour in buckets.
 *   T2  Times are the wall clock's, as they were then; a clock set back leaves points out of order, and no more.
 */
#include "role/watch/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"

#define BUCKET_US (60 * WATCH_SECOND_US)

enum {
	TIMELINE_BYTES = 32 << 20,
	POINTS = 600,
	POINTS_LEAST = 30,
	BUCKETS = 24 * 60,
	BUCKETS_LEAST = 60,
};

struct point {
	uint64_t at_us;
	uint32_t latency_ms;
	uint16_t code;
	uint8_t primary, layer, answer, state;
};

struct bucket {
	uint64_t at_us; /* its first microsecond */
	uint32_t probes, failed, latency_sum_ms, latency_n, latency_most_ms;
	uint32_t accepted, refused, unreached; /* recipients of real deliveries */
	uint8_t layer;			       /* of its last failure */
	uint8_t state;			       /* at its end */
	bool continuity;
};

struct timeline {
	uint64_t points_n, buckets_n; /* ever */
	size_t points_cap, buckets_cap;
	struct point *points;
	struct bucket *buckets;
};

static size_t share(size_t whole, size_t least, size_t sites)
{
	size_t full =
		TIMELINE_BYTES / (POINTS * sizeof(struct point) + BUCKETS * sizeof(struct bucket));
	size_t n = sites <= full ? whole : whole * full / sites;

	return n > least ? n : least;
}

struct timeline *timeline_new(size_t sites)
{
	struct timeline *t = must_alloc(sizeof *t);

	t->points_cap = share(POINTS, POINTS_LEAST, sites);
	t->buckets_cap = share(BUCKETS, BUCKETS_LEAST, sites);
	t->points = must_alloc(t->points_cap * sizeof *t->points);
	t->buckets = must_alloc(t->buckets_cap * sizeof *t->buckets);
	return t;
}

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	free(t->points);
	free(t->buckets);
	free(t);
}

static struct bucket *bucket_now(struct site *s)
{
	uint64_t at = os_wall_us(s->watch->os) / BUCKET_US * BUCKET_US;
	struct timeline *t = s->timeline;
	struct bucket *last = &t->buckets[(t->buckets_n + t->buckets_cap - 1) % t->buckets_cap];

	if (!t->buckets_n || last->at_us != at) {
		last = &t->buckets[t->buckets_n++ % t->buckets_cap];
		*last = (struct bucket){.at_us = at};
	}
	last->state = (uint8_t)s->recorded;
	last->continuity = s->continuity.recorded == CONTINUITY_ON;
	return last;
}

void timeline_probe(struct site *s, const struct primary *p, const struct health_probe *one)
{
	struct bucket *b = bucket_now(s);
	struct timeline *t = s->timeline;
	bool is_good = one->answer == ANSWER_OK;

	t->points[t->points_n++ % t->points_cap] = (struct point){
		.at_us = os_wall_us(s->watch->os),
		.latency_ms = is_good ? p->latency_ms : 0,
		.code = one->code,
		.primary = (uint8_t)(p - s->primaries),
		.layer = (uint8_t)one->layer,
		.answer = (uint8_t)one->answer,
		.state = (uint8_t)s->recorded,
	};
	b->probes++;
	if (!is_good) {
		b->failed++;
		b->layer = (uint8_t)one->layer;
		return;
	}
	b->latency_n++;
	b->latency_sum_ms += p->latency_ms;
	if (p->latency_ms > b->latency_most_ms)
		b->latency_most_ms = p->latency_ms;
}

void timeline_delivery(struct site *s, const struct health_delivery *d)
{
	struct bucket *b = bucket_now(s);

	b->accepted += d->accepted;
	b->refused += d->refused_good + d->refused_unknown + d->deferred;
	b->unreached += d->at_connection;
}

/* ---- JSON ---- */

static const char *answer_name(unsigned answer)
{
	static const char *const names[] = {"ok",  "silent", "refused", "closed",
					    "4xx", "5xx",    "garbled"};

	return answer <= ANSWER_GARBLED ? names[answer] : "unknown";
}

static json_t *point_json(const struct point *p)
{
	return json_pack(
		"{s:I, s:i, s:s, s:s, s:i, s:I, s:s}", "at_us", (json_int_t)p->at_us, "primary",
		(int)p->primary, "class", health_layer_name((enum health_layer)p->layer), "answer",
		answer_name(p->answer), "code", (int)p->code, "latency_ms",
		(json_int_t)p->latency_ms, "state", health_state_name((enum health_state)p->state));
}

static json_t *bucket_json(const struct bucket *b)
{
	json_t *latency = b->latency_n
				  ? json_integer((json_int_t)(b->latency_sum_ms / b->latency_n))
				  : json_null();

	return json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "at_us",
			 (json_int_t)b->at_us, "probes", (json_int_t)b->probes, "failed",
			 (json_int_t)b->failed, "latency_ms", latency, "latency_most_ms",
			 (json_int_t)b->latency_most_ms, "accepted", (json_int_t)b->accepted,
			 "refused", (json_int_t)b->refused, "unreached", (json_int_t)b->unreached,
			 "class", health_layer_name((enum health_layer)b->layer), "state",
			 health_state_name((enum health_state)b->state), "continuity",
			 (int)b->continuity);
}

static json_t *points_json(const struct timeline *t, uint64_t from_us)
{
	uint64_t kept = t->points_n < t->points_cap ? t->points_n : t->points_cap;
	json_t *list = json_array();

	for (uint64_t i = t->points_n - kept; i < t->points_n; i++) {
		if (t->points[i % t->points_cap].at_us >= from_us)
			(void)json_array_append_new(list,
						    point_json(&t->points[i % t->points_cap]));
	}
	return list;
}

static json_t *buckets_json(const struct timeline *t, uint64_t from_us)
{
	uint64_t kept = t->buckets_n < t->buckets_cap ? t->buckets_n : t->buckets_cap;
	json_t *list = json_array();

	for (uint64_t i = t->buckets_n - kept; i < t->buckets_n; i++) {
		const struct bucket *b = &t->buckets[i % t->buckets_cap];

		if (b->at_us + BUCKET_US > from_us)
			(void)json_array_append_new(list, bucket_json(b));
	}
	return list;
}

static bool is_of(const struct site *s, const struct history_line *h)
{
	return strcmp(h->object, s->name) == 0 || strcmp(h->verb, "network.controls") == 0;
}

/* What was decided meanwhile, with its evidence: the marks in the picture. Oldest first. */
static json_t *marks_json(const struct site *s, uint64_t from_us)
{
	const struct watch *w = s->watch;
	uint64_t kept = w->history_n < WATCH_HISTORY ? w->history_n : WATCH_HISTORY;
	json_t *list = json_array();

	for (uint64_t i = w->history_n - kept; i < w->history_n; i++) {
		const struct history_line *h = &w->history[i % WATCH_HISTORY];

		if (h->at_us >= from_us && is_of(s, h))
			(void)json_array_append_new(
				list,
				json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:I}", "at_us",
					  (json_int_t)h->at_us, "verb", h->verb, "argument",
					  h->argument, "reason", status_text(h->reason), "actor",
					  status_text(h->actor), "class", status_text(h->class),
					  "confidence", (json_int_t)h->confidence));
	}
	return list;
}

void timeline_json(struct site *s, uint64_t from_us, struct buf *out)
{
	json_t *primaries = json_array(), *o;

	for (size_t i = 0; i < s->primaries_n; i++)
		(void)json_array_append_new(primaries, status_text(s->primaries[i].host.name));
	o = json_pack("{s:b, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "ok", 1, "site",
		      status_text(s->name), "primaries", primaries, "now_us",
		      (json_int_t)os_wall_us(s->watch->os), "bucket_s",
		      (json_int_t)(BUCKET_US / WATCH_SECOND_US), "buckets",
		      buckets_json(s->timeline, from_us), "probes",
		      points_json(s->timeline, from_us), "marks", marks_json(s, from_us));
	status_finish(o, out);
}
