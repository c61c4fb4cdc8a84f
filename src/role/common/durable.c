#include "role/common/durable.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "role/common/role.h"

enum { LOOK_US = 1000000, TROUBLE_BYTES = 480 };

struct durable {
	struct role *role;
	struct lane *lane;
	struct loop_wake *wake;
	struct loop_timer *look; /* set while the lane is in trouble: its end wakes nobody */
	struct link *sequencer;
	unsigned sequencer_instance;
	struct lane_position told;
	uint64_t condemned; /* segments, as far as the operator was told */
	bool is_failing;    /* the same */
	const char *usual;
};

/* ---- to the sequencer ---- */

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

static void tell_if_moved(struct durable *d)
{
	struct lane_position at = lane_durable(d->lane);

	if (at.segment != d->told.segment || at.offset != d->told.offset || at.seq != d->told.seq)
		tell(d);
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
	role_link_lost(d->role, ROLE_SEQUENCER, d->sequencer_instance);
}

static void on_writable(void *arg, struct link *l)
{
	(void)l;
	tell_if_moved(arg);
}

void durable_link(struct durable *d, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, on_writable};

	link_close(d->sequencer);
	d->sequencer_instance = instance;
	d->sequencer = link_new(role_loop(d->role), fd, &ops, d);
	d->told = (struct lane_position){0};
	tell(d);
}

/* ---- to the operator ---- */

void durable_condition(const struct durable *d, const char *usual, char *out, size_t out_n)
{
	char text[TROUBLE_BYTES];
	struct lane_stats stats;

	lane_trouble(d->lane, text, sizeof text);
	if (text[0]) {
		(void)snprintf(out, out_n, "storage trouble: %s", text);
		return;
	}
	lane_stats(d->lane, &stats);
	if (stats.abandoned == 0) {
		(void)snprintf(out, out_n, "%s", usual);
		return;
	}
	lane_condemned(d->lane, text, sizeof text);
	(void)snprintf(out, out_n, "%s%ssegments condemned: %llu, last: %s", usual,
		       usual[0] ? "; " : "", (unsigned long long)stats.abandoned, text);
}

static void say_condemned(struct durable *d)
{
	char why[TROUBLE_BYTES];
	struct lane_stats stats;

	lane_stats(d->lane, &stats);
	if (stats.abandoned == d->condemned)
		return;
	d->condemned = stats.abandoned;
	lane_condemned(d->lane, why, sizeof why);
	say(SAY_ERROR, "lane.condemned", "lane", SAY_STR(lane_name(d->lane)), "segments",
	    SAY_U64(stats.abandoned), "why", SAY_STR(why), NULL);
}

static void say_failing(struct durable *d)
{
	char why[TROUBLE_BYTES];

	lane_trouble(d->lane, why, sizeof why);
	if (d->is_failing == (why[0] != '\0'))
		return;
	d->is_failing = why[0] != '\0';
	if (d->is_failing)
		say(SAY_ERROR, "lane.failing", "lane", SAY_STR(lane_name(d->lane)), "why",
		    SAY_STR(why), NULL);
	else
		say(SAY_NOTICE, "lane.mended", "lane", SAY_STR(lane_name(d->lane)), NULL);
}

static void tell_operator(struct durable *d)
{
	bool was_failing = d->is_failing;
	uint64_t was = d->condemned;
	char text[TROUBLE_BYTES];

	say_condemned(d);
	say_failing(d);
	if (d->is_failing)
		loop_timer_set(d->look, LOOK_US);
	if (!d->usual || (was == d->condemned && was_failing == d->is_failing))
		return;
	durable_condition(d, d->usual, text, sizeof text);
	role_tell(d->role, text);
}

static void on_look(void *arg)
{
	struct durable *d = arg;

	tell_operator(d);
	tell_if_moved(d);
}

/* ---- the lane ---- */

/* From the lane's writer thread. */
static void on_lane(void *arg)
{
	struct durable *d = arg;

	loop_wake_up(d->wake);
}

static void on_wake(void *arg)
{
	struct durable *d = arg;

	lane_collect(d->lane);
	tell_operator(d);
	tell_if_moved(d);
}

enum rc durable_open(struct role *r, const struct durable_options *options, struct durable **out,
		     struct fault *why)
{
	struct durable *d = must_alloc(sizeof *d);
	char dir[4096];
	struct lane_options lane = {.os = role_os(r),
				    .ledger_dir = dir,
				    .name = role_full_name(r),
				    .segment_bytes = options->segment_bytes,
				    .reserve_bytes = options->reserve_bytes,
				    .threaded = true,
				    .on_wake = on_lane,
				    .arg = d};
	enum rc rc;

	/* Cut off, it is too long for lane_open as well. */
	(void)snprintf(dir, sizeof dir, "%s/ledger", role_data(r));
	d->role = r;
	d->usual = options->condition;
	d->wake = loop_wake_new(role_loop(r), on_wake, d);
	d->look = loop_timer_new(role_loop(r), on_look, d);
	rc = lane_open(&lane, &d->lane, why);
	if (rc != OK) {
		fault_context(why, "lane %s", role_full_name(r));
		loop_timer_free(d->look);
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

void durable_close(struct durable *d)
{
	if (!d)
		return;
	lane_stop(d->lane);
	tell_operator(d);
	tell_if_moved(d);
	lane_close(d->lane);
	link_close(d->sequencer);
	loop_timer_free(d->look);
	loop_wake_free(d->wake);
	free(d);
}
