/*
 * holdfast-sequencer: hears from every writer how far its lane is durable, numbers the new records in the order,
 * syncs it, and tells the clerk. It holds up nobody: writers do not wait for it, and what it did not hear while it
 * was away it finds by recovery, or in the Durable with which each link opens.
 *
 * It is the only role that may delete in the ledger, later on (retention, erasure); signing of checkpoints and
 * packing have their place here too.
 */
#include "role/common/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/sequencer/follow.h"

enum {
	BATCH_RECORDS = 2048,
	GATHER_US = 4000, /* between the ends of two syncs: edges and we share a disk */
	SAVE_EVERY_US = 1000000,
	RECOVER_EVERY_US = 500000,
	RETRY_US = 1000000, /* after the order could not be written */
};

static struct say_metric m_records = {"holdfast_sequencer_records_total", "Records numbered.",
				      SAY_COUNTER, 0};
static struct say_metric m_batches = {"holdfast_sequencer_batches_total", "Syncs of the order.",
				      SAY_COUNTER, 0};
static struct say_metric m_size = {"holdfast_sequencer_order_size", "Numbers given so far.",
				   SAY_GAUGE, 0};
static struct say_metric m_hop = {
	"holdfast_sequencer_hop_microseconds_total",
	"From hearing of a durable position to the sync of its numbers, summed over batches.",
	SAY_COUNTER, 0};
static struct say_metric m_hop_worst = {"holdfast_sequencer_hop_worst_microseconds",
					"The longest such way since the start.", SAY_GAUGE, 0};
static struct say_metric m_failures = {"holdfast_sequencer_failures_total",
				       "Syncs of the order that failed.", SAY_COUNTER, 0};
static struct say_metric m_damage = {"holdfast_sequencer_damaged_bytes_total",
				     "Bytes of lanes stepped over.", SAY_COUNTER, 0};
static struct say_metric *const metrics[] = {&m_records,   &m_batches,	&m_size,  &m_hop,
					     &m_hop_worst, &m_failures, &m_damage};

struct peer {
	struct list link;
	struct sequencer *s;
	struct link *wire;
	enum role_id id;
	char names
		[2]
		[LEDGER_LANE_NAME_BYTES]; /* "watch-0" and, of the first of a kind, "watch": what its lanes' names
						  begin with */
};

struct sequencer {
	struct role *role;
	struct follow *follow;
	struct list peers;
	struct loop_timer *step_timer, *save_timer, *recover_timer;
	bool is_stepping; /* step_timer is set */
	uint64_t heard_us, step_end_us;
	struct arena scratch;
};

/* ---- numbering ---- */

static void tell(struct peer *p)
{
	struct msg_ordered m = {
		.size = order_size(follow_order(p->s->follow)),
		.newest_received_us = follow_newest_us(p->s->follow),
	};
	struct buf b;

	buf_init(&b, 0);
	msg_ordered_encode(&b, &m);
	(void)link_send(p->wire, MSG_ORDERED, buf_span(&b)); /* full: on_writable tells again */
	buf_fini(&b);
}

static void tell_all(struct sequencer *s)
{
	LIST_EACH(at, &s->peers)
	{
		struct peer *p = LIST_ENTRY(at, struct peer, link);

		if (p->id == ROLE_CLERK)
			tell(p);
	}
}

static void step_soon(struct sequencer *s, uint64_t after_us)
{
	if (s->is_stepping)
		return;
	s->is_stepping = true;
	loop_timer_set(s->step_timer, after_us);
}

static void heard(struct sequencer *s)
{
	uint64_t now = os_mono_us(role_os(s->role)), next = s->step_end_us + GATHER_US;

	if (s->heard_us == 0)
		s->heard_us = now;
	step_soon(s, now < next ? next - now : 0);
}

static void count(struct sequencer *s, size_t n)
{
	uint64_t hop = s->heard_us ? s->step_end_us - s->heard_us : 0;

	say_count(&m_records, n);
	say_count(&m_batches, 1);
	say_count(&m_hop, hop);
	if (hop > m_hop_worst.value)
		say_set(&m_hop_worst, hop);
	say_set(&m_size, order_size(follow_order(s->follow)));
	say_set(&m_damage, follow_damage_bytes(s->follow));
}

static void on_step(void *arg)
{
	struct sequencer *s = arg;
	struct fault why;
	size_t n;

	s->is_stepping = false;
	if (follow_step(s->follow, BATCH_RECORDS, &n, &why) != OK) {
		say_count(&m_failures, 1);
		say(SAY_ERROR, "order.failed", "why", SAY_STR(why.text), NULL);
		role_tell(s->role, "cannot write the order, trying again");
		step_soon(s, RETRY_US);
		return;
	}
	s->step_end_us = os_mono_us(role_os(s->role));
	if (n > 0) {
		count(s, n);
		tell_all(s);
		role_tell(s->role, "");
	}
	if (n == BATCH_RECORDS)
		step_soon(s, 0);
	else
		s->heard_us = 0;
}

static void on_save(void *arg)
{
	struct sequencer *s = arg;
	struct fault why;

	if (order_save(follow_order(s->follow), &why) != OK)
		say(SAY_WARNING, "order.unsaved", "why", SAY_STR(why.text), NULL);
	loop_timer_set(s->save_timer, SAVE_EVERY_US);
}

static void on_recover(void *arg)
{
	struct sequencer *s = arg;

	if (follow_recover(s->follow))
		loop_timer_set(s->recover_timer, RECOVER_EVERY_US);
	heard(s);
}

/* ---- links ---- */

/* A writer speaks for its own lanes only: "edge-0", "edge-0.2" ... */
static bool speaks_for(const struct peer *p, struct span lane)
{
	for (size_t i = 0; i < 2; i++) {
		struct span name = span_str(p->names[i]);

		if (name.n > 0 && span_starts(lane, name) &&
		    (lane.n == name.n || lane.p[name.n] == '.'))
			return true;
	}
	return false;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct peer *p = arg;
	struct sequencer *s = p->s;
	struct msg_durable m;
	struct lane_position at;

	(void)l;
	if (type != MSG_DURABLE || p->id == ROLE_CLERK)
		return false;
	arena_reset(&s->scratch);
	if (!msg_durable_decode(&s->scratch, body, &m))
		return false;
	if (!speaks_for(p, m.lane))
		return false;
	at = (struct lane_position){m.segment, m.offset, m.seq};
	if (!follow_durable(s->follow, m.lane, &at))
		return false;
	heard(s);
	return true;
}

static void on_closed(void *arg, struct link *l)
{
	struct peer *p = arg;
	struct sequencer *s = p->s;

	(void)l;
	/* The writer is gone, or only the link: recovery finds the lane's lock free, or a new Durable comes first. */
	if (p->id != ROLE_CLERK) {
		for (size_t i = 0; i < 2; i++)
			if (*p->names[i])
				follow_forget(s->follow, span_str(p->names[i]));
		loop_timer_set(s->recover_timer, RECOVER_EVERY_US);
	}
	list_remove(&p->link);
	free(p);
}

static void on_writable(void *arg, struct link *l)
{
	struct peer *p = arg;

	(void)l;
	if (p->id == ROLE_CLERK)
		tell(p);
}

static void on_link(struct role *r, enum role_id id, unsigned instance, int fd)
{
	static const struct link_ops ops = {
		.on_message = on_message,
		.on_closed = on_closed,
		.on_writable = on_writable,
	};
	struct sequencer *s = role_state(r);
	struct peer *p = must_alloc(sizeof *p);

	p->s = s;
	p->id = id;
	(void)snprintf(p->names[0], sizeof p->names[0], "%s-%u", role_name(id), instance);
	if (instance == 0)
		(void)snprintf(p->names[1], sizeof p->names[1], "%s", role_name(id));
	list_append(&s->peers, &p->link);
	p->wire = link_new(role_loop(r), fd, &ops, p);
	if (id == ROLE_CLERK)
		tell(p);
}

/* ---- life ---- */

static bool on_start(struct role *r, struct fault *why)
{
	struct sequencer *s = must_alloc(sizeof *s);
	char dir[1024];
	int n = snprintf(dir, sizeof dir, "%s/ledger", role_data(r));

	if (n < 0 || (size_t)n >= sizeof dir) {
		fault_set(why, "the path of the data directory is too long");
		free(s);
		return false;
	}
	s->role = r;
	list_init(&s->peers);
	arena_init(&s->scratch, 64 << 10);
	if (follow_open(role_os(r), dir, &s->follow, why) != OK) {
		fault_context(why, "order");
		free(s);
		return false;
	}
	(void)setpriority(PRIO_PROCESS, 0, 2); /* edge comes first */
	s->step_timer = loop_timer_new(role_loop(r), on_step, s);
	s->save_timer = loop_timer_new(role_loop(r), on_save, s);
	s->recover_timer = loop_timer_new(role_loop(r), on_recover, s);
	say_set(&m_size, order_size(follow_order(s->follow)));
	role_set_state(r, s);
	return true;
}

static void on_ready(struct role *r)
{
	struct sequencer *s = role_state(r);

	loop_timer_set(s->save_timer, SAVE_EVERY_US);
	on_recover(s);
}

static void on_stop(struct role *r)
{
	struct sequencer *s = role_state(r);
	struct fault why;
	size_t n;

	if (follow_step(s->follow, BATCH_RECORDS, &n, &why) != OK ||
	    order_save(follow_order(s->follow), &why) != OK)
		say(SAY_WARNING, "order.unsaved", "why", SAY_STR(why.text), NULL);
	LIST_EACH_SAFE(at, &s->peers)
	{
		struct peer *p = LIST_ENTRY(at, struct peer, link);

		list_remove(at);
		link_close(p->wire);
		free(p);
	}
	loop_timer_free(s->step_timer);
	loop_timer_free(s->save_timer);
	loop_timer_free(s->recover_timer);
	follow_close(s->follow);
	arena_fini(&s->scratch);
	free(s);
	role_set_state(r, NULL);
	role_end(r);
}

int main(int argc, char **argv)
{
	static const char *const write_below[] = {"ledger", NULL};
	static const struct role_sandbox sandbox = {.write_below = write_below};
	static const struct role_ops ops = {
		.id = ROLE_SEQUENCER,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_ready = on_ready,
		.on_link = on_link,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
