/*
 * The process of holdfast-edge and holdfast-submission: receives mail by SMTP and says 250 when it is on stable storage
 * (P1). Needs nobody else for that: what it asks of others has a deadline or is a file that may be missing (P2).
 *
 * Order of things at start: the lane is recovered and opened, TLS and the published files are
 * looked for, then the sandbox closes (role_main), then the listeners come. At the end: listeners
 * go, sessions without a message in reception hear 421, the others finish it, at most EDGE_STOP_US.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "role/edge/internal.h"
#include "role/common/server_tls.h"
#include "tls/tls.h"

enum { TLS_LOOK_TICKS = 15, BUDGET_DEFAULT = 64 << 20 };

static const struct edge_ways *the_ways; /* of this process */

static void load_tls(struct edge *e)
{
	(void)server_tls_load(e->role, "smtp", "STARTTLS is not offered", &e->tls, &e->tls_mark);
}

static void note_condition(struct edge *e)
{
	char text[sizeof e->condition];

	if (e->is_stopping)
		(void)snprintf(text, sizeof text, "finishing %zu sessions", e->sessions_n);
	else if (lane_is_below_reserve(e->lane))
		(void)snprintf(text, sizeof text, "disk reserve reached: new mail gets 452");
	else
		durable_condition(e->durable, "accepting", text, sizeof text);
	if (strcmp(text, e->condition) == 0)
		return;
	memcpy(e->condition, text, sizeof e->condition);
	role_tell(e->role, text);
}

static void note_lane(const struct edge *e)
{
	struct lane_stats stats;

	lane_stats(e->lane, &stats);
	edge_set(METRIC_BATCHES, stats.batches);
	edge_set(METRIC_RECORDS, stats.records);
	edge_set(METRIC_SYNC_US, stats.sync_us);
	edge_set(METRIC_ABANDONED, stats.abandoned);
}

void edge_use_policy(struct edge *e)
{
	edge_policy_unref(e->policy);
	e->policy = edge_policy_new(role_config(e->role), e->tls != NULL);
	e->hall.budget_bytes =
		e->policy->limits.buffer_bytes ? e->policy->limits.buffer_bytes : BUDGET_DEFAULT;
	if (e->ways->policy)
		e->ways->policy(e, e->policy);
}

static void on_tick(void *arg)
{
	static unsigned ticks;
	struct edge *e = arg;

	if (!e->lane)
		return;
	note_lane(e);
	note_condition(e);
	if (++ticks % TLS_LOOK_TICKS == 0) {
		load_tls(e);
		if ((e->tls != NULL) != e->policy->service.has_tls)
			edge_use_policy(e);
	}
	edge_judge_offers(e);
	loop_timer_set(e->tick, EDGE_TICK_US);
}

static struct publish_view *open_view(const struct edge *e, const char *name)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/publish/%s", role_data(e->role), name);
	return publish_open(e->os, path);
}

static void end_now(void *arg)
{
	struct edge *e = arg;

	durable_close(e->durable);
	e->durable = NULL;
	e->lane = NULL;
	role_end(e->role);
}

/* Ends when nobody is waiting for anything any more. */
static void end_if_idle(void *arg)
{
	struct edge *e = arg;

	if (e->sessions_n == 0 && e->hall.pending == 0)
		end_now(e);
	else
		loop_timer_set(e->stop_timer, 10000);
}

static void on_room(void *arg)
{
	edge_feed_hungry(arg);
}

static bool open_lane(struct edge *e, struct fault *why)
{
	struct durable_options options = {.reserve_bytes =
						  role_config(e->role)->limits.reserve_bytes};

	if (durable_open(e->role, &options, &e->durable, why) != OK)
		return false;
	e->lane = e->hall.lane = durable_lane(e->durable);
	return true;
}

bool edge_on_start(struct role *r, struct fault *why)
{
	static struct edge edge; /* one a process */
	struct edge *e = &edge;

	*e = (struct edge){.ways = the_ways, .role = r, .loop = role_loop(r), .os = role_os(r)};
	role_set_state(r, e);
	list_init(&e->listeners);
	list_init(&e->sessions);
	list_init(&e->hungry);
	e->hall = (struct intake_hall){
		.os = e->os, .gauge = edge_metrics[METRIC_BUFFERED], .on_room = on_room, .arg = e};
	sources_init(&e->sources);
	load_tls(e);
	edge_use_policy(e);
	e->recipients = open_view(e, "recipients.map");
	e->sites = open_view(e, "sites.map");
	e->limits = open_view(e, "limits.map");
	e->scout = scout_new(r);
	e->tick = loop_timer_new(e->loop, on_tick, e);
	e->stop_timer = loop_timer_new(e->loop, end_if_idle, e);
	return open_lane(e, why);
}

void edge_on_ready(struct role *r)
{
	on_tick(role_state(r));
}

void edge_on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	struct edge *e = role_state(r);

	if (peer == ROLE_SCOUT) {
		scout_link(e->scout, instance, fd);
	} else if (peer == ROLE_SEQUENCER && e->durable) {
		durable_link(e->durable, instance, fd);
	} else if (!e->ways->link || !e->ways->link(e, peer, instance, fd)) {
		(void)close(fd);
	}
}

void edge_on_listen(struct role *r, const char *service, int fd)
{
	edge_listen(role_state(r), service, fd);
}

void edge_on_reload(struct role *r, const struct msg_config *was)
{
	struct edge *e = role_state(r);

	(void)was;
	e->tls_mark = 0;
	load_tls(e);
	edge_use_policy(e);
}

void edge_on_stop(struct role *r)
{
	struct edge *e = role_state(r);
	static struct loop_timer *limit;

	e->is_stopping = true;
	edge_listen_stop(e);
	LIST_EACH_SAFE (at, &e->sessions)
		edge_session_wind_down(LIST_ENTRY(at, struct edge_session, link));
	limit = loop_timer_new(e->loop, end_now, e);
	loop_timer_set(limit, EDGE_STOP_US);
	end_if_idle(e);
}

int edge_run(int argc, char **argv, const struct role_ops *ops, const struct edge_ways *ways)
{
	the_ways = ways;
	return role_main(argc, argv, ops);
}
