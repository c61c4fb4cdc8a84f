/* The lane of this edge: opened at start, its results collected on the loop's thread, its end told
 * to the sequencer. */
#include <stdio.h>

#include "role/edge/internal.h"

static void on_lane_wake(void *arg)
{
	struct edge *e = arg;

	loop_wake_up(e->lane_wake); /* on the writer's thread */
}

static void on_results(void *arg)
{
	struct edge *e = arg;

	lane_collect(e->lane);
	edge_store_tell(e);
}

bool edge_store_open(struct edge *e, struct fault *why)
{
	char folder[4096];
	struct lane_options options = {
		.os = e->os,
		.ledger_dir = folder,
		.name = role_full_name(e->role),
		.reserve_bytes = role_config(e->role)->limits.reserve_bytes,
		.threaded = true,
		.on_wake = on_lane_wake,
		.arg = e,
	};
	int n = snprintf(folder, sizeof folder, "%s/ledger", role_data(e->role));

	if (n < 0 || (size_t)n >= sizeof folder) {
		fault_set(why, "the name of the data directory is too long");
		return false;
	}
	e->lane_wake = loop_wake_new(e->loop, on_results, e);
	if (lane_open(&options, &e->lane, why) != OK) {
		fault_context(why, "lane %s", role_full_name(e->role));
		return false;
	}
	return true;
}

void edge_store_close(struct edge *e)
{
	if (!e->lane)
		return;
	lane_close(e->lane);
	e->lane = NULL;
}

void edge_store_tell(struct edge *e)
{
	struct lane_position end;
	struct buf body = {0};

	if (!e->sequencer)
		return;
	end = lane_durable(e->lane);
	msg_durable_encode(&body, &(struct msg_durable){
					  .lane = span_str(lane_name(e->lane)),
					  .segment = end.segment,
					  .offset = end.offset,
					  .seq = end.seq,
				  });
	(void)link_send(e->sequencer, MSG_DURABLE,
			buf_span(&body)); /* lost: the next one says it all */
	buf_fini(&body);
}
