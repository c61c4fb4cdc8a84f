#include "role/edge/internal.h"

#define COUNTER(id, name, help) SAY_METRIC(id, SAY_COUNTER, "holdfast_edge_" name, help)
#define GAUGE(id, name, help)	SAY_METRIC(id, SAY_GAUGE, "holdfast_edge_" name, help)

struct say_metric *const edge_metrics[METRICS] = {
	COUNTER(METRIC_CONNECTIONS, "connections_total", "Connections accepted"),
	COUNTER(METRIC_TURNED_AWAY, "turned_away_total", "Connections refused by a limit (421)"),
	GAUGE(METRIC_SESSIONS, "sessions", "Open sessions"),
	COUNTER(METRIC_MESSAGES, "messages_total", "Messages accepted: durable and answered 250"),
	COUNTER(METRIC_BYTES, "bytes_total", "Bytes of accepted messages"),
	COUNTER(METRIC_RCPT_REFUSED, "recipients_refused_total", "Recipients answered 5xx"),
	COUNTER(METRIC_RCPT_DEFERRED, "recipients_deferred_total", "Recipients answered 4xx"),
	COUNTER(METRIC_MESSAGES_REFUSED, "messages_refused_total",
		"Messages answered 5xx after their end"),
	COUNTER(METRIC_MESSAGES_DEFERRED, "messages_deferred_total",
		"Messages answered 4xx after their end"),
	COUNTER(METRIC_TLS, "tls_sessions_total", "Sessions that began TLS"),
	GAUGE(METRIC_BUFFERED, "buffered_bytes", "Bytes of messages in memory"),
	COUNTER(METRIC_SCOUT_MISSED, "scout_missed_total",
		"Questions that scout did not answer in time"),
	COUNTER(METRIC_BATCHES, "lane_batches_total", "Batches written to the lane, one sync each"),
	COUNTER(METRIC_RECORDS, "lane_records_total", "Records written to the lane"),
	COUNTER(METRIC_SYNC_US, "lane_sync_microseconds_total", "Time spent in syncs"),
	COUNTER(METRIC_ABANDONED, "lane_abandoned_total",
		"Segments condemned after a failed write or sync"),
};

void edge_count(enum edge_metric metric, uint64_t more)
{
	say_count(edge_metrics[metric], more);
}

void edge_set(enum edge_metric metric, uint64_t value)
{
	say_set(edge_metrics[metric], value);
}
