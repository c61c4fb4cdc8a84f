/*
 * holdfast-desk: people's mail programs, by IMAP and POP3. Reads views, digests and the ledger; writes what people change to
 * its own lane and waits for the clerk's verdict. Knows no password: auth is asked.
 *
 * Order of things at start: the lane is recovered and opened, the certificate is looked for, then the sandbox closes
 * (role_main), then the listeners come. At the end: listeners go, sessions end when the commands at work are answered, at most
 * DESK_STOP_US.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "mail/text.h"
#include "os/os.h"
#include "role/common/server_tls.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"
#include "role/desk/jmap.h"
#include "tls/tls.h"

enum { TLS_LOOK_TICKS = 15 };

static bool load_tls(struct desk *d)
{
	return server_tls_load(d->role, "desk", "no TLS is offered", &d->tls, &d->tls_mark);
}

static void note_condition(struct desk *d)
{
	char usual[sizeof d->condition], text[sizeof d->condition];

	if (d->is_stopping)
		(void)snprintf(usual, sizeof usual, "finishing %zu sessions", d->sessions_n);
	else if (!d->auth)
		(void)snprintf(usual, sizeof usual, "nobody can log in: auth is away");
	else if (!d->clerk)
		(void)snprintf(usual, sizeof usual,
			       "mailboxes can be read, not changed: clerk is away");
	else if (lane_is_below_reserve(d->lane))
		(void)snprintf(usual, sizeof usual,
			       "disk reserve reached: messages cannot be put into mailboxes");
	else
		(void)snprintf(usual, sizeof usual,
			       "serving %zu IMAP and %zu POP3 sessions, %zu browsers' connections",
			       d->imap_n, d->pop3_n, http_host_connections(d->http));
	durable_condition(d->durable, usual, text, sizeof text);
	if (strcmp(text, d->condition) == 0)
		return;
	memcpy(d->condition, text, sizeof d->condition);
	role_tell(d->role, text);
}

static void on_tick(void *arg)
{
	static unsigned ticks;
	struct desk *d = arg;

	if (!d->lane)
		return;
	note_condition(d);
	desk_store_tick(d);
	desk_ask_expire(d);
	http_host_tick(d->http);
	desk_http_tick(d);
	desk_submit_expire(d);
	desk_uploads_tick(d);
	if (++ticks % TLS_LOOK_TICKS == 0 && load_tls(d))
		desk_policy_use_newest(d);
	loop_timer_set(d->tick, DESK_TICK_US);
}

static void end_now(void *arg)
{
	struct desk *d = arg;

	durable_close(d->durable);
	d->durable = NULL;
	d->lane = NULL;
	desk_uploads_stop(d);
	desk_store_fini(d);
	role_end(d->role);
}

static void end_if_idle(void *arg)
{
	struct desk *d = arg;

	if (d->sessions_n == 0 && http_host_connections(d->http) == 0 && d->acts_pending == 0 &&
	    d->hall.pending == 0 && desk_uploads_are_idle(d))
		end_now(d);
	else
		loop_timer_set(d->stop_timer, 10000);
}

static void on_room(void *arg)
{
	desk_feed_hungry(arg);
	desk_jmap_feed(arg);
}

static bool open_ledger(struct desk *d, struct fault *why)
{
	struct durable_options options = {.reserve_bytes =
						  role_config(d->role)->limits.reserve_bytes};
	char dir[4096];

	if (durable_open(d->role, &options, &d->durable, why) != OK)
		return false;
	d->lane = d->hall.lane = durable_lane(d->durable);
	(void)snprintf(dir, sizeof dir, "%s/ledger", role_data(d->role));
	return ledger_reader_new(d->os, dir, &d->reader, why) == OK;
}

static bool on_start(struct role *r, struct fault *why)
{
	static struct desk desk; /* one a process */
	struct desk *d = &desk;

	*d = (struct desk){.role = r, .loop = role_loop(r), .os = role_os(r)};
	role_set_state(r, d);
	list_init(&d->listeners);
	list_init(&d->sessions);
	list_init(&d->hungry);
	list_init(&d->hungry_requests);
	d->hall = (struct intake_hall){
		.os = d->os, .gauge = desk_metrics[METRIC_BUFFERED], .on_room = on_room, .arg = d};
	list_init(&d->runnable);
	list_init(&d->bodies);
	list_init(&d->nows);
	list_init(&d->streams);
	map_init(&d->accounts);
	map_init(&d->logins);
	map_init(&d->asks);
	map_init(&d->running);
	map_init(&d->submits);
	sources_init(&d->sources);
	(void)snprintf(d->mechanisms, sizeof d->mechanisms, "PLAIN LOGIN");
	d->next_ask = os_wall_us(d->os); /* of no process before us */
	text_warm();			 /* iconv loads code late */
	jmap_warm();
	(void)load_tls(d);
	desk_policy_use_newest(d);
	desk_http_start(d);
	d->tick = loop_timer_new(d->loop, on_tick, d);
	d->stop_timer = loop_timer_new(d->loop, end_if_idle, d);
	return open_ledger(d, why) && desk_uploads_start(d, why);
}

static void on_ready(struct role *r)
{
	on_tick(role_state(r));
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	struct desk *d = role_state(r);

	if (peer == ROLE_SEQUENCER && d->durable)
		durable_link(d->durable, instance, fd);
	else if (peer == ROLE_CLERK && d->lane)
		desk_clerk_link(d, instance, fd);
	else if (peer == ROLE_AUTH)
		desk_auth_link(d, instance, fd);
	else if (peer == ROLE_SUBMISSION)
		desk_submission_link(d, instance, fd);
	else
		(void)close(fd);
}

static void on_listen(struct role *r, const char *service, int fd)
{
	struct desk *d = role_state(r);

	if (strcmp(service, "https") == 0)
		http_host_listen(d->http, fd);
	else
		desk_listen(d, service, fd);
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct desk *d = role_state(r);

	(void)was;
	d->tls_mark = 0;
	(void)load_tls(d);
	desk_policy_use_newest(d);
	http_host_configure(d->http);
}

static void on_stop(struct role *r)
{
	struct desk *d = role_state(r);
	static struct loop_timer *limit;

	d->is_stopping = true;
	desk_listen_stop(d);
	http_host_wind_down(d->http);
	LIST_EACH_SAFE (at, &d->sessions)
		desk_session_wind_down(LIST_ENTRY(at, struct desk_session, link));
	limit = loop_timer_new(d->loop, end_now, d);
	loop_timer_set(limit, DESK_STOP_US);
	end_if_idle(d);
}

int main(int argc, char **argv)
{
	static const char *const writes[] = {"ledger/lane-%", "ledger/lane-%.*", "uploads", NULL};
	static const char *const reads[] = {"ledger", "views", "index", "tls/use", NULL};
	static const struct role_sandbox sandbox = {
		.threads = true,
		.write_below = writes,
		.read_below = reads,
	};
	static struct say_metric *metrics[METRICS + HTTP_METRICS];
	static const struct role_ops ops = {
		.id = ROLE_DESK,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = METRICS + HTTP_METRICS,
		.on_start = on_start,
		.on_ready = on_ready,
		.on_link = on_link,
		.on_listen = on_listen,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	memcpy(metrics, desk_metrics, sizeof desk_metrics);
	memcpy(metrics + METRICS, http_metrics, sizeof(struct say_metric *) * HTTP_METRICS);
	return role_main(argc, argv, &ops);
}
