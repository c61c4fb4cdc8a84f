#include "role/common/durable.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "role/common/role.h"

struct durable {
	struct role *role;
	struct lane *lane;
	struct loop_wake *wake;
	struct link *sequencer;
	struct lane_position told;
	uint64_t abandoned; /* segments, as far as the operator was told */
	void (*on_batch)(void *arg);
	void *arg;
};

/* From the lane's writer thread. */
static void on_lane(void *arg)
{
	struct durable *d = arg;

	loop_wake_up(d->wake);
}

static void tell(struct durable *d)
{
	struct lane_position at = lane_durable(d->lane);
	struct buf body = {0};

	if (!d->sequencer)
		return;
	msg_durable_encode(&body, &(struct msg_durable){span_str(lane_name(d->lane)), at.segment,
							at.offset, at.seq});
	/* A full queue means that older positions wait there: on_writable tells the newest. */
	if (link_send(d->sequencer, MSG_DURABLE, buf_span(&body)) == OK)
		d->told = at;
	buf_fini(&body);
}

static bool has_moved(const struct durable *d)
{
	struct lane_position at = lane_durable(d->lane);

	return at.segment != d->told.segment || at.offset != d->told.offset ||
	       at.seq != d->told.seq;
}

/* L2 in the operator's words; status shows the same as the role's condition. */
static void tell_operator(struct durable *d)
{
	struct lane_stats stats;
	char trouble[200];

	lane_stats(d->lane, &stats);
	if (stats.abandoned == d->abandoned)
		return;
	d->abandoned = stats.abandoned;
	lane_trouble(d->lane, trouble, sizeof trouble);
	say(SAY_ERROR, "lane.condemned", "lane", SAY_STR(lane_name(d->lane)), "segments",
	    SAY_U64(stats.abandoned), "why", SAY_STR(trouble), NULL);
}

static void on_wake(void *arg)
{
	struct durable *d = arg;

	lane_collect(d->lane);
	tell_operator(d);
	if (has_moved(d))
		tell(d);
	if (d->on_batch)
		d->on_batch(d->arg);
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg;
	(void)l;
	(void)type;
	(void)body;
	return false; /* the sequencer has nothing to tell a writer */
}

static void on_closed(void *arg, struct link *l)
{
	struct durable *d = arg;

	(void)l;
	d->sequencer = NULL;
	role_link_lost(d->role, ROLE_SEQUENCER, 0);
}

static void on_writable(void *arg, struct link *l)
{
	struct durable *d = arg;

	(void)l;
	if (has_moved(d))
		tell(d);
}

enum rc durable_open(struct role *r, uint64_t segment_bytes, void (*on_batch)(void *arg), void *arg,
		     struct durable **out, struct fault *why)
{
	struct durable *d = must_alloc(sizeof *d);
	char dir[1024];
	struct lane_options options = {.os = role_os(r),
				       .ledger_dir = dir,
				       .name = role_full_name(r),
				       .segment_bytes = segment_bytes,
				       .reserve_bytes = role_config(r)->limits.reserve_bytes,
				       .threaded = true,
				       .on_wake = on_lane,
				       .arg = d};
	enum rc rc;

	(void)snprintf(dir, sizeof dir, "%s/ledger", role_data(r));
	d->role = r;
	d->on_batch = on_batch;
	d->arg = arg;
	d->wake = loop_wake_new(role_loop(r), on_wake, d);
	rc = lane_open(&options, &d->lane, why);
	if (rc != OK) {
		loop_wake_free(d->wake);
		free(d);
		return rc;
	}
	*out = d;
	return OK;
}

struct lane *durable_lane(struct durable *d)
{
	return d->lane;
}

void durable_link(struct durable *d, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, on_writable};

	link_close(d->sequencer);
	d->sequencer = link_new(role_loop(d->role), fd, &ops, d);
	tell(d);
}

void durable_close(struct durable *d)
{
	if (!d)
		return;
	lane_close(d->lane); /* gives out the last results */
	link_close(d->sequencer);
	loop_wake_free(d->wake);
	free(d);
}
