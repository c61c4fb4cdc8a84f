#include "role/desk/internal.h"

#define COUNTER(id, name, help) SAY_METRIC(id, SAY_COUNTER, "holdfast_desk_" name, help)
#define GAUGE(id, name, help)	SAY_METRIC(id, SAY_GAUGE, "holdfast_desk_" name, help)

struct say_metric *const desk_metrics[METRICS] = {
	COUNTER(METRIC_CONNECTIONS, "connections_total", "Connections accepted"),
	COUNTER(METRIC_TURNED_AWAY, "turned_away_total", "Connections refused by a limit"),
	GAUGE(METRIC_IMAP, "imap_sessions", "Open IMAP sessions"),
	GAUGE(METRIC_POP3, "pop3_sessions", "Open POP3 sessions"),
	COUNTER(METRIC_LOGINS, "logins_total", "Logins that went well"),
	COUNTER(METRIC_LOGINS_REFUSED, "logins_refused_total",
		"Logins with a wrong name or password"),
	COUNTER(METRIC_LOGINS_LATER, "logins_later_total",
		"Logins that could not be decided for now"),
	COUNTER(METRIC_ACTS, "acts_total",
		"Changes that people asked for, answered with a verdict"),
	COUNTER(METRIC_ACTS_LOST, "acts_unanswered_total",
		"Changes whose verdict did not come in time"),
	COUNTER(METRIC_APPENDS, "appends_total", "Messages put into mailboxes: durable"),
	COUNTER(METRIC_APPEND_BYTES, "append_bytes_total", "Bytes of those"),
	COUNTER(METRIC_TLS, "tls_sessions_total", "Sessions that began TLS"),
	GAUGE(METRIC_BUFFERED, "buffered_bytes", "Bytes of incoming messages in memory"),
	COUNTER(METRIC_DIGESTS_MADE, "digests_made_total",
		"Messages parsed here because the index lagged"),
	COUNTER(METRIC_UNREAD, "unread_total", "Sessions ended because the client did not read"),
	COUNTER(METRIC_JMAP, "jmap_requests_total", "Requests of JMAP"),
	COUNTER(METRIC_UPLOADS, "uploads_total", "Files uploaded: durable"),
	COUNTER(METRIC_UPLOAD_BYTES, "upload_bytes_total", "Bytes of those"),
	COUNTER(METRIC_SUBMITTED, "submitted_total", "Messages handed to submission and taken"),
};

void desk_count(enum desk_metric metric, uint64_t more)
{
	say_count(desk_metrics[metric], more);
}

void desk_set(enum desk_metric metric, uint64_t value)
{
	say_set(desk_metrics[metric], value);
}
