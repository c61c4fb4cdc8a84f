/*
 * What a process tells its operator: one line per event on stderr (the journal adds the time of its own),
 *
 *   2026-11-21T21:10:22.123456Z edge-0 warning event=lane.condemned lane=edge-0 segment=3 why="..."
 *
 * and counters and gauges for Prometheus. The event name is "noun.verb"; keys are lower_snake; values with
 * blanks, quotes or control bytes are quoted, and control bytes are escaped, so that nothing a peer sends can
 * forge a line. Secrets never come here.
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"

enum say_level { SAY_DEBUG, SAY_INFO, SAY_NOTICE, SAY_WARNING, SAY_ERROR };

/* Once per process. name: "edge-0". Lines below the level are dropped. */
void say_init(const char *name, enum say_level least);

/*
 * say(SAY_INFO, "session.closed", "peer", SAY_SPAN(peer), "messages", SAY_U64(n), NULL);
 * Pairs of key (const char *) and a struct say_value made by the macros; ends with NULL.
 */
struct say_value {
	enum { SAY_IS_SPAN, SAY_IS_U64, SAY_IS_I64, SAY_IS_F64 } kind;
	struct span span;
	uint64_t u64;
	int64_t i64;
	double f64;
};

#define SAY_SPAN(s) ((struct say_value){.kind = SAY_IS_SPAN, .span = (s)})
#define SAY_STR(s)  ((struct say_value){.kind = SAY_IS_SPAN, .span = span_str(s)})
#define SAY_U64(v)  ((struct say_value){.kind = SAY_IS_U64, .u64 = (v)})
#define SAY_I64(v)  ((struct say_value){.kind = SAY_IS_I64, .i64 = (v)})
#define SAY_F64(v)  ((struct say_value){.kind = SAY_IS_F64, .f64 = (v)})

void say(enum say_level level, const char *event, ...) __attribute__((sentinel));

/*
 * Metrics. Each role owns a static table and keeps the values itself (relaxed atomics where threads write);
 * say_metrics_render gives Prometheus text (exposition format 0.0.4) with a role label.
 */
struct say_metric {
	const char *name; /* holdfast_edge_messages_total */
	const char *help;
	enum { SAY_COUNTER, SAY_GAUGE } kind;
	_Atomic uint64_t value;
};
/* A place in a role's table of metrics: [id] = a metric of its own. */
#define SAY_METRIC(id, metric_kind, metric_name, metric_help)                                      \
	[id] = &(struct say_metric)                                                                \
	{                                                                                          \
		.name = metric_name, .help = metric_help, .kind = metric_kind                      \
	}

static inline void say_count(struct say_metric *m, uint64_t more)
{
	__atomic_fetch_add((uint64_t *)&m->value, more, __ATOMIC_RELAXED);
}

static inline void say_set(struct say_metric *m, uint64_t value)
{
	__atomic_store_n((uint64_t *)&m->value, value, __ATOMIC_RELAXED);
}

struct buf;
void say_metrics_render(struct buf *out, const char *role, struct say_metric *const *metrics,
			size_t n);
