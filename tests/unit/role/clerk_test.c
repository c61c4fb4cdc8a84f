/*
 * The clerk against a real ledger on disk, the sequencer's own numbering, and couriers played here over socket pairs:
 * records in, leases out, and what happens when couriers and the clerk itself die.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../scratch.h"
#include "base/must.h"
#include "ipc/link.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "loop/loop.h"
#include "os/os.h"
#include "publish/publish.h"
#include "queue/schedule.h"
#include "role/clerk/clerk.h"
#include "role/sequencer/follow.h"
#include "say/say.h"
#include "mail/store.h"
#include "views/mailbox.h"

enum {
	LEASES_MAX = 600,
	LANES = 7,
	DESK = 4,
	AUTH = 5,
	SUBMISSION = 6,
	EDGE = 0,
	WATCH = 1,
	COURIER = 2 /* and 3 */,
	AWAIT_US = 10000000
};

struct got {
	uint64_t lease, number;
	uint32_t rcpts[8];
	size_t n;
	uint32_t unsure_before, tries;
	uint8_t phase;
	char set_aside[100], redirect[64];
	bool is_over;
};

struct world;
struct played { /* a courier */
	struct world *w;
	unsigned instance;
	struct link *link;
	struct got got[LEASES_MAX];
	size_t n;
	unsigned stops;
	unsigned
		by_mail; /* leases of what goes to its author as a message; the items of the last one */
	size_t by_mail_items;
};

struct reader { /* a desk, or the indexer */
	struct link *link;
	unsigned changes;     /* MailChanged so far */
	uint64_t next, boxes; /* of the last one */
	bool all;
	uint64_t asks[8]; /* verdicts, in order */
	uint8_t codes[8];
	size_t n;
};

struct world {
	struct loop *loop;
	char dir[64], ledger[80];
	struct lane *lanes[LANES];
	struct follow *follow;
	struct clerk *clerk;
	struct link *sequencer;
	struct played couriers[2];
	struct reader desk, indexer;
	struct msg_config config;
	struct msg_site site;
	uint64_t messages, ago_us; /* how old new records say they are */
	bool is_broken;
	struct loop_timer *beat;
	bool (*until)(struct world *w);
	uint64_t deadline_us;
	bool is_met;
};

/* ---- the ledger ---- */

static void on_durable(void *arg, const struct lane_result *result)
{
	(void)arg;
	assert_int_equal(result->rc, OK);
}

static void record(struct world *w, unsigned lane, enum record_type type, struct buf meta,
		   const char *body)
{
	struct record_new r = {.type = type,
			       .received_us = os_wall_us(os_real()) - w->ago_us,
			       .meta = buf_span(&meta)};

	if (body)
		buf_append(&r.body, span_str(body));
	lane_append(w->lanes[lane], &r, 1, 0, false, on_durable, NULL);
	while (lane_step(w->lanes[lane]))
		;
	lane_collect(w->lanes[lane]);
	buf_fini(&meta);
}

/* Numbers what is new, and says so. */
static void order(struct world *w)
{
	struct fault why = {0};
	struct buf b = {0};
	size_t n;

	for (unsigned i = 0; i < LANES; i++) {
		struct lane_position at = lane_durable(w->lanes[i]);

		assert_true(follow_durable(w->follow, span_str(lane_name(w->lanes[i])), &at));
	}
	do {
		if (follow_step(w->follow, 1000, &n, &why) != OK)
			fail_msg("%s", why.text);
	} while (n > 0);
	msg_ordered_encode(&b, &(struct msg_ordered){.size = order_size(follow_order(w->follow))});
	if (w->sequencer)
		assert_int_equal(link_send(w->sequencer, MSG_ORDERED, buf_span(&b)), OK);
	buf_fini(&b);
}

static void message(struct world *w, const char *to, const char *and_to)
{
	struct msg_rcpt rcpts[2] = {
		{.address = span_str(to), .domain = SPAN_LIT("x.example"), .site = SPAN_LIT("hq")},
		{.address = span_str(and_to),
		 .domain = SPAN_LIT("x.example"),
		 .site = SPAN_LIT("hq")}};
	char id[33];
	struct msg_message_meta m = {
		.sender = SPAN_LIT("s@far.example"), .rcpts = rcpts, .rcpts_n = and_to ? 2 : 1};
	struct buf b = {0};

	snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)queue_mix(w->messages),
		 (unsigned long long)w->messages);
	w->messages++;
	m.id = span_str(id);
	msg_message_meta_encode(&b, &m);
	record(w, EDGE, RECORD_MESSAGE, b, "Subject: x\r\n\r\nhello\r\n");
}

static void act(struct world *w, const char *verb, const char *object, const char *argument)
{
	struct msg_act_meta m = {.id = SPAN_LIT("an-act"),
				 .verb = span_str(verb),
				 .object = span_str(object),
				 .argument = span_str(argument),
				 .reason = SPAN_LIT("test"),
				 .actor = SPAN_LIT("test")};
	struct buf b = {0};

	msg_act_meta_encode(&b, &m);
	record(w, WATCH, RECORD_ACT, b, NULL);
}

static void intent(struct world *w, unsigned lane, const struct got *g)
{
	struct msg_intent_meta m = {.lease = g->lease, .number = g->number, .rcpts_n = g->n};
	uint32_t rcpts[8];
	struct buf b = {0};

	memcpy(rcpts, g->rcpts, sizeof rcpts);
	m.rcpts = rcpts;
	msg_intent_meta_encode(&b, &m);
	record(w, lane, RECORD_INTENT, b, NULL);
}

static void outcome(struct world *w, unsigned lane, const struct got *g, enum attempt attempt,
		    enum disposition then)
{
	struct msg_rcpt_outcome o[8] = {0};
	struct msg_outcome_meta m = {.lease = g->lease,
				     .number = g->number,
				     .rcpts = o,
				     .rcpts_n = g->n,
				     .phase = g->phase};
	struct buf b = {0};

	for (size_t i = 0; i < g->n; i++)
		o[i] = (struct msg_rcpt_outcome){.rcpt = g->rcpts[i],
						 .attempt = (uint8_t)attempt,
						 .disposition = (uint8_t)then};
	msg_outcome_meta_encode(&b, &m);
	record(w, lane, RECORD_OUTCOME, b, NULL);
}

/* ---- the couriers ---- */

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct played *p = arg;
	struct arena a;
	struct msg_lease m;
	struct got *g;

	(void)l;
	if (type == MSG_STOP_SITE) {
		p->stops++;
		return true;
	}
	arena_init(&a, 1 << 20);
	if (type == MSG_HOME_LEASE) {
		struct msg_home_lease home;

		assert_true(msg_home_lease_decode(&a, body, &home));
		assert_true(home.by_mail); /* the site has no IMAP */
		p->by_mail++;
		p->by_mail_items = home.items_n;
		arena_fini(&a);
		return true;
	}
	assert_int_equal(type, MSG_LEASE);
	assert_true(msg_lease_decode(&a, body, &m));
	assert_true(p->n < LEASES_MAX);
	g = &p->got[p->n++];
	*g = (struct got){.lease = m.lease,
			  .number = m.number,
			  .n = m.rcpts_n,
			  .phase = m.phase,
			  .unsure_before = m.rcpts[0].unsure_before,
			  .tries = m.rcpts[0].tries};
	for (size_t i = 0; i < m.rcpts_n; i++)
		g->rcpts[i] = m.rcpts[i].rcpt;
	snprintf(g->set_aside, sizeof g->set_aside, "%.*s", SPAN_FMT(m.set_aside));
	snprintf(g->redirect, sizeof g->redirect, "%.*s", SPAN_FMT(m.redirect_host));
	arena_fini(&a);
	return true;
}

static void on_closed(void *arg, struct link *l)
{
	struct played *p = arg;

	(void)l;
	p->link = NULL;
}

static int pair(struct loop *loop, const struct link_ops *ops, void *arg, struct link **out)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	*out = link_new(loop, fds[0], ops, arg);
	return fds[1];
}

static void courier_start(struct world *w, unsigned i, uint32_t room, const uint64_t *leases,
			  size_t n)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};
	struct played *p = &w->couriers[i];
	struct msg_courier_hello m = {.courier = SPAN_LIT("courier"),
				      .room = room,
				      .leases = (uint64_t *)leases,
				      .leases_n = n,
				      .lane = span_str(lane_name(w->lanes[COURIER + i])),
				      .lane_seq = lane_durable(w->lanes[COURIER + i]).seq};
	struct buf b = {0};

	p->w = w;
	p->instance = i;
	p->n = 0;
	clerk_link_courier(w->clerk, i, pair(w->loop, &ops, p, &p->link));
	msg_courier_hello_encode(&b, &m);
	assert_int_equal(link_send(p->link, MSG_COURIER_HELLO, buf_span(&b)), OK);
	buf_fini(&b);
}

static void courier_die(struct world *w, unsigned i)
{
	link_close(w->couriers[i].link);
	w->couriers[i].link = NULL;
}

static void lease_done(struct world *w, unsigned i, const struct got *g, bool had_intent,
		       bool recorded)
{
	struct buf b = {0};

	msg_lease_done_encode(&b, &(struct msg_lease_done){.lease = g->lease,
							   .had_intent = had_intent,
							   .recorded = recorded});
	assert_int_equal(link_send(w->couriers[i].link, MSG_LEASE_DONE, buf_span(&b)), OK);
	buf_clear(&b);
	msg_room_encode(&b, &(struct msg_room){.room = 20});
	assert_int_equal(link_send(w->couriers[i].link, MSG_ROOM, buf_span(&b)), OK);
	buf_fini(&b);
}

/* Takes every lease it has got and delivers it. */
static void deliver_all(struct world *w, unsigned i)
{
	struct played *p = &w->couriers[i];

	for (size_t k = 0; k < p->n; k++) {
		struct got *g = &p->got[k];

		if (g->is_over)
			continue;
		g->is_over = true;
		if (g->set_aside[0]) {
			outcome(w, COURIER + i, g, ATTEMPT_5XX, DISPOSE_DECIDE);
			lease_done(w, i, g, false, true);
			continue;
		}
		intent(w, COURIER + i, g);
		outcome(w, COURIER + i, g, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
		lease_done(w, i, g, true, true);
	}
	order(w);
}

/* ---- the loop ---- */

static void on_beat(void *arg)
{
	struct world *w = arg;

	w->is_met = w->until(w);
	if (w->is_met || loop_now_us(w->loop) > w->deadline_us) {
		loop_stop(w->loop);
		return;
	}
	loop_timer_set(w->beat, 1000);
}

static void await_line(struct world *w, bool (*until)(struct world *w), const char *what, int line)
{
	w->until = until;
	w->deadline_us = os_mono_us(os_real()) + AWAIT_US;
	loop_timer_set(w->beat, 0);
	loop_run(w->loop);
	if (!w->is_met)
		fail_msg("line %d: never: %s", line, what);
}
#define AWAIT(w, until) await_line(w, until, #until, __LINE__)

static uint64_t beats;
static bool some_beats(struct world *w)
{
	(void)w;
	return beats-- == 0;
}

/* Long enough for what must not happen to happen. */
static void idle(struct world *w, uint64_t ms)
{
	beats = ms;
	AWAIT(w, some_beats);
}

static void on_condition(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void on_broken(void *arg, const struct fault *why)
{
	struct world *w = arg;

	(void)why;
	w->is_broken = true;
}

static void on_link_lost(void *arg, unsigned peer, unsigned instance)
{
	(void)arg;
	(void)peer;
	(void)instance;
}

static bool on_sequencer_message(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg;
	(void)l;
	(void)type;
	(void)body;
	return false;
}

static void on_sequencer_closed(void *arg, struct link *l)
{
	(void)l;
	((struct world *)arg)->sequencer = NULL;
}

static void clerk_start(struct world *w)
{
	static const struct link_ops ops = {.on_message = on_sequencer_message,
					    .on_closed = on_sequencer_closed};
	struct clerk_ops clerk_ops = {on_condition, on_broken, on_link_lost, w};
	struct fault why = {0};

	w->is_broken = false;
	if (clerk_new(w->loop, os_real(), w->dir, &w->config, &clerk_ops, &w->clerk, &why) != OK)
		fail_msg("%s", why.text);
	clerk_link_sequencer(w->clerk, pair(w->loop, &ops, w, &w->sequencer));
	order(w);
}

static void clerk_die(struct world *w)
{
	clerk_free(w->clerk);
	w->clerk = NULL;
	link_close(w->sequencer);
	w->sequencer = NULL;
	for (unsigned i = 0; i < 2; i++)
		courier_die(w, i);
	link_close(w->desk.link);
	link_close(w->indexer.link);
	w->desk.link = w->indexer.link = NULL;
}

static struct world *world_new(uint32_t couriers)
{
	static const char *const names[LANES] = {"edge-0", "watch", "courier-0",   "courier-1",
						 "desk-0", "auth",  "submission-0"};
	struct world *w = must_alloc(sizeof *w);
	struct fault why = {0};
	char path[128];

	say_init("test", SAY_ERROR);
	snprintf(w->dir, sizeof w->dir, "/tmp/hf-clerk-XXXXXX");
	must(mkdtemp(w->dir));
	scratch_remember(w->dir);
	snprintf(w->ledger, sizeof w->ledger, "%s/ledger", w->dir);
	must(mkdir(w->ledger, 0700) == 0);
	snprintf(path, sizeof path, "%s/publish", w->dir);
	must(mkdir(path, 0700) == 0);
	w->loop = loop_new();
	w->beat = loop_timer_new(w->loop, on_beat, w);
	for (unsigned i = 0; i < LANES; i++) {
		struct lane_options o = {
			.os = os_real(), .ledger_dir = w->ledger, .name = names[i]};

		if (lane_open(&o, &w->lanes[i], &why) != OK)
			fail_msg("%s", why.text);
	}
	if (follow_open(os_real(), w->ledger, &w->follow, &why) != OK)
		fail_msg("%s", why.text);
	w->site = (struct msg_site){.name = SPAN_LIT("hq"), .concurrency = 20};
	w->config = (struct msg_config){.sites = &w->site, .sites_n = 1, .couriers = couriers};
	clerk_start(w);
	return w;
}

static void world_free(struct world *w)
{
	char command[128];

	clerk_die(w);
	follow_close(w->follow);
	for (unsigned i = 0; i < LANES; i++)
		lane_close(w->lanes[i]);
	loop_timer_free(w->beat);
	loop_free(w->loop);
	snprintf(command, sizeof command, "rm -rf %s", w->dir);
	must(system(command) == 0);
	free(w);
}

/* ---- what is awaited ---- */

static bool is_held(struct world *w, uint64_t n)
{
	struct clerk_figures f;

	clerk_figures(w->clerk, &f);
	return f.held == n && f.lag == 0 && f.leases == 0;
}

static bool nothing_held(struct world *w)
{
	return is_held(w, 0);
}

static bool one_held(struct world *w)
{
	return is_held(w, 1);
}

static bool twenty_held(struct world *w)
{
	return is_held(w, 20);
}

static bool one_lease(struct world *w)
{
	return w->couriers[0].n == 1;
}

static bool two_leases(struct world *w)
{
	return w->couriers[0].n == 2;
}

static bool is_stopped(struct world *w)
{
	return w->couriers[0].stops > 0;
}

static bool is_broken(struct world *w)
{
	return w->is_broken;
}

static bool drains(struct world *w)
{
	if (w->couriers[0].link)
		deliver_all(w, 0);
	if (w->couriers[1].link)
		deliver_all(w, 1);
	return nothing_held(w);
}

static bool on_site(void *arg, const struct views_site *s)
{
	snprintf(arg, 300, "%.*s", SPAN_FMT(s->drain.receipt));
	return false;
}

static void receipt(struct world *w, char out[300])
{
	struct views *v = NULL;
	struct fault why = {0};

	out[0] = '\0';
	if (views_open_read(w->dir, &v, &why) != OK || views_each_site(v, on_site, out, &why) != OK)
		fail_msg("%s", why.text);
	views_close(v);
}

/* ---- tests ---- */

static void holds_then_hands_back_with_a_receipt(void **state)
{
	struct world *w = world_new(1);
	char text[300];

	(void)state;
	act(w, "site.state", "hq", "down");
	for (int i = 0; i < 10; i++)
		message(w, "a@x.example", "b@x.example");
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, twenty_held);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 0); /* down: nothing */
	act(w, "site.state", "hq", "probation");
	order(w);
	AWAIT(w, one_lease);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 1); /* the canary, alone: the oldest, both recipients */
	assert_int_equal(w->couriers[0].got[0].n, 2);
	assert_int_equal(w->couriers[0].got[0].phase, PHASE_PROBATION);
	deliver_all(w, 0);
	act(w, "site.state", "hq", "up");
	AWAIT(w, drains);
	for (size_t i = 1; i < w->couriers[0].n; i++)
		assert_true(w->couriers[0].got[i].number > w->couriers[0].got[i - 1].number);
	receipt(w, text);
	assert_string_equal(text, "20 of 20 handed back, 0 duplicates, 0 need a decision");
	world_free(w);
}

static void a_refusal_at_rcpt_is_not_offered_again_at_once(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	/* LeaseDone comes before its OUTCOME is ordered. */
	lease_done(w, 0, &w->couriers[0].got[0], false, true);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 1);
	outcome(w, COURIER, &w->couriers[0].got[0], ATTEMPT_4XX, DISPOSE_RETRY);
	order(w);
	AWAIT(w, one_held);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 1);
	act(w, "queue.retry", "state=deferred", "");
	order(w);
	AWAIT(w, two_leases);
	assert_int_equal(w->couriers[0].got[1].tries, 1);
	world_free(w);
}

static void a_dead_courier_without_intent_loses_nothing(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	courier_die(w, 0);
	idle(w, 20);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	assert_int_equal(w->couriers[0].got[0].unsure_before, 0);
	AWAIT(w, drains);
	world_free(w);
}

/* K2: with an INTENT and no OUTCOME it is sent once more, and the receipt says so. */
static void a_dead_courier_with_intent_is_a_possible_duplicate(void **state)
{
	struct world *w = world_new(1);
	char text[300];

	(void)state;
	act(w, "site.state", "hq", "down");
	message(w, "a@x.example", NULL);
	act(w, "site.state", "hq", "up");
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	intent(w, COURIER, &w->couriers[0].got[0]); /* durable, not ordered yet */
	courier_die(w, 0);
	idle(w, 20);
	courier_start(w, 0, 50, NULL, 0);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n,
			 0); /* its lane is not applied up to where it was found */
	order(w);
	AWAIT(w, one_lease);
	assert_int_equal(w->couriers[0].got[0].unsure_before, 1);
	AWAIT(w, drains);
	receipt(w, text);
	assert_string_equal(text, "1 of 1 handed back, 1 possible duplicate, 0 need a decision");
	world_free(w);
}

/* The same, and the second courier dies of it too: no third time. */
static void a_second_lost_answer_is_for_a_decision(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	for (int i = 0; i < 2; i++) {
		courier_start(w, 0, 50, NULL, 0);
		AWAIT(w, one_lease);
		assert_string_equal(w->couriers[0].got[0].set_aside, "");
		intent(w, COURIER, &w->couriers[0].got[0]);
		courier_die(w, 0);
		order(w);
		idle(w, 20);
	}
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	assert_string_equal(w->couriers[0].got[0].set_aside,
			    "its answer was lost twice: it may be there");
	deliver_all(w, 0);
	AWAIT(w, one_held);
	world_free(w);
}

/* K-07 */
static void k_07_a_message_three_couriers_died_of_is_set_aside(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	for (int i = 0; i < 3; i++) {
		courier_start(w, 0, 50, NULL, 0);
		AWAIT(w, one_lease);
		assert_string_equal(w->couriers[0].got[0].set_aside, "");
		courier_die(w, 0);
		idle(w, 20);
	}
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	assert_true(w->couriers[0].got[0].set_aside[0] != '\0');
	message(w, "b@x.example", NULL);
	deliver_all(w, 0);
	AWAIT(w, two_leases); /* the others go on */
	deliver_all(w, 0);
	AWAIT(w, one_held);
	world_free(w);
}

/* K1: the clerk dies; a courier keeps what it sent; nothing is offered twice. */
static void a_new_clerk_waits_for_the_couriers_of_before(void **state)
{
	struct world *w = world_new(2);
	struct got kept;
	uint64_t lease;

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	courier_start(w, 1, 0, NULL, 0);
	AWAIT(w, one_lease);
	kept = w->couriers[0].got[0];
	lease = kept.lease;
	intent(w, COURIER, &kept);
	clerk_die(w);
	message(w, "a@x.example", NULL);
	clerk_start(w);
	courier_start(w, 1, 50, NULL, 0);
	idle(w, 100);
	assert_int_equal(w->couriers[1].n, 0); /* courier 0 has not said hello */
	courier_start(w, 0, 50, &lease, 1);
	AWAIT(w, one_lease); /* number two, to the courier that has number one out */
	assert_true(w->couriers[0].got[0].number != kept.number);
	assert_int_equal(w->couriers[1].n, 0);
	outcome(w, COURIER, &kept, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	lease_done(w, 0, &kept, true, true);
	AWAIT(w, drains);
	assert_int_equal(w->couriers[0].n, 1);
	world_free(w);
}

static void down_stops_and_takes_back(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_lease);
	act(w, "site.state", "hq", "down");
	order(w);
	AWAIT(w, is_stopped);
	lease_done(w, 0, &w->couriers[0].got[0], false, false);
	AWAIT(w, one_held);
	idle(w, 20);
	assert_int_equal(w->couriers[0].n, 1);
	act(w, "site.state", "hq", "up"); /* and at once again: no pause left over */
	order(w);
	AWAIT(w, two_leases);
	world_free(w);
}

static void a_held_domain_waits_and_a_released_one_goes_though_down(void **state)
{
	struct world *w = world_new(1);
	struct msg_fact fact = {.key = SPAN_LIT("x.example"), .value = SPAN_LIT("hq")};
	struct msg_directory_meta m = {.kind = SPAN_LIT("domain"), .facts = &fact, .facts_n = 1};
	struct buf b = {0};

	(void)state;
	msg_directory_meta_encode(&b, &m);
	record(w, WATCH, RECORD_DIRECTORY, b, NULL);
	act(w, "hold.set", "x.example", "on");
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_held);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 0);
	act(w, "hold.set", "x.example", "auto");
	order(w);
	AWAIT(w, one_lease);
	deliver_all(w, 0);
	AWAIT(w, nothing_held);
	act(w, "site.state", "hq", "down");
	message(w, "a@x.example", NULL);
	order(w);
	idle(w, 50);
	assert_int_equal(w->couriers[0].n, 1);
	act(w, "hold.set", "x.example", "off");
	order(w);
	AWAIT(w, two_leases);
	world_free(w);
}

static void a_redirect_to_a_host_does_not_wait_for_the_site(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "down");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, one_held);
	act(w, "queue.redirect", "state=held", "other.example:2525");
	order(w);
	AWAIT(w, one_lease);
	assert_string_equal(w->couriers[0].got[0].redirect, "other.example:2525");
	world_free(w);
}

static bool is_published(struct world *w)
{
	struct publish_view *v;
	char path[128];
	uint32_t value = 0;
	bool yes;

	snprintf(path, sizeof path, "%s/publish/recipients.map", w->dir);
	v = publish_open(os_real(), path);
	yes = publish_get(v, SPAN_LIT("a@x.example"), &value) && value == RECIPIENT_GOOD;
	publish_close(v);
	return yes;
}

static void what_was_accepted_is_published(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	act(w, "site.state", "hq", "up");
	message(w, "a@x.example", NULL);
	order(w);
	courier_start(w, 0, 50, NULL, 0);
	AWAIT(w, drains);
	AWAIT(w, is_published);
	world_free(w);
}

/* D-09, O-04: deleted under the running clerk or damaged, it comes back the same. */
static void d_09_views_lost_between_two_lives_are_rebuilt(void **state)
{
	struct world *w = world_new(1);
	char command[200];

	(void)state;
	act(w, "site.state", "hq", "down");
	for (int i = 0; i < 20; i++)
		message(w, "a@x.example", NULL);
	order(w);
	AWAIT(w, twenty_held);
	clerk_die(w);
	snprintf(command, sizeof command, "rm -rf %s/views/g*", w->dir);
	assert_int_equal(system(command), 0);
	clerk_start(w);
	AWAIT(w, twenty_held);
	assert_false(w->is_broken);
	clerk_die(w);
	snprintf(command, sizeof command,
		 "for f in %s/views/g*/queue.db; do dd if=/dev/zero of=$f bs=4096 seek=1 count=30 "
		 "conv=notrunc "
		 "2>/dev/null; done",
		 w->dir);
	assert_int_equal(system(command), 0);
	clerk_start(w);
	AWAIT(w, twenty_held);
	world_free(w);
}

/* The order is shorter than what the views have: they are of another ledger. */
static void views_of_another_ledger_are_thrown_away(void **state)
{
	struct world *w = world_new(1);
	struct buf b = {0};

	(void)state;
	act(w, "site.state", "hq", "down");
	for (int i = 0; i < 20; i++)
		message(w, "a@x.example", NULL);
	order(w);
	AWAIT(w, twenty_held);
	clerk_die(w);
	{
		static const struct link_ops ops = {.on_message = on_sequencer_message,
						    .on_closed = on_sequencer_closed};
		struct clerk_ops clerk_ops = {on_condition, on_broken, on_link_lost, w};
		struct fault why = {0};

		assert_int_equal(clerk_new(w->loop, os_real(), w->dir, &w->config, &clerk_ops,
					   &w->clerk, &why),
				 OK);
		clerk_link_sequencer(w->clerk, pair(w->loop, &ops, w, &w->sequencer));
	}
	msg_ordered_encode(&b, &(struct msg_ordered){.size = 5});
	assert_int_equal(link_send(w->sequencer, MSG_ORDERED, buf_span(&b)), OK);
	buf_fini(&b);
	AWAIT(w, is_broken);
	clerk_die(w);
	clerk_start(w);
	AWAIT(w, twenty_held);
	world_free(w);
}

/* ---- desks and the indexer ---- */

static bool on_reader_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct reader *r = arg;
	struct msg_mail_changed changed;
	struct msg_mail_verdict verdict;
	struct arena a;

	(void)l;
	arena_init(&a, 1 << 20);
	if (type == MSG_MAIL_CHANGED) {
		assert_true(msg_mail_changed_decode(&a, body, &changed));
		r->changes++;
		r->next = changed.next;
		r->boxes = changed.boxes_n;
		r->all = changed.all;
	} else {
		assert_int_equal(type, MSG_MAIL_VERDICT);
		assert_true(msg_mail_verdict_decode(&a, body, &verdict));
		assert_true(r->n < 8);
		r->asks[r->n] = verdict.ask;
		r->codes[r->n++] = verdict.code;
	}
	arena_fini(&a);
	return true;
}

static void on_reader_closed(void *arg, struct link *l)
{
	(void)l;
	((struct reader *)arg)->link = NULL;
}

static const struct link_ops reader_ops = {.on_message = on_reader_message,
					   .on_closed = on_reader_closed};

static void desk_start(struct world *w, const char *lane, const uint64_t *asks, size_t n)
{
	struct msg_desk_hello m = {.lane = span_str(lane), .asks = (uint64_t *)asks, .asks_n = n};
	struct buf b = {0};

	link_close(w->desk.link);
	w->desk = (struct reader){0};
	clerk_link_desk(w->clerk, 0, pair(w->loop, &reader_ops, &w->desk, &w->desk.link));
	msg_desk_hello_encode(&b, &m);
	assert_int_equal(link_send(w->desk.link, MSG_DESK_HELLO, buf_span(&b)), OK);
	buf_fini(&b);
}

static void account(struct world *w, const char *name)
{
	struct msg_fact fact = {SPAN_LIT("state"), SPAN_LIT("active")};
	struct msg_directory_meta m = {
		.kind = SPAN_LIT("account"), .scope = span_str(name), .facts = &fact, .facts_n = 1};
	struct buf b = {0};

	msg_directory_meta_encode(&b, &m);
	record(w, AUTH, RECORD_DIRECTORY, b, NULL);
}

static void create(struct world *w, uint64_t ask, const char *name)
{
	struct msg_mail_act a = {.ask = ask,
				 .account = SPAN_LIT("a@x.example"),
				 .kind = MAIL_ACT_CREATE,
				 .name = span_str(name)};
	struct msg_act_meta m = {.verb = SPAN_LIT("mail"), .actor = SPAN_LIT("test")};
	struct buf detail = {0}, b = {0};

	msg_mail_act_encode(&detail, &a);
	m.detail = buf_span(&detail);
	msg_act_meta_encode(&b, &m);
	record(w, DESK, RECORD_ACT, b, NULL);
	buf_fini(&detail);
}

static bool desk_heard(struct world *w)
{
	return w->desk.changes == 1;
}

static bool both_heard_of_two_boxes(struct world *w)
{
	return w->desk.boxes == 2 && w->indexer.boxes == 2;
}

static bool two_verdicts(struct world *w)
{
	return w->desk.n == 2;
}

static bool desk_gone(struct world *w)
{
	return !w->desk.link;
}

static bool on_any_box(void *to, const struct mail_box *b)
{
	if (span_eq(b->name, SPAN_LIT("INBOX")))
		*(uint32_t *)to = b->total;
	return true;
}

/* K4: a desk hears of changes and of its own verdicts after the commit that holds them. */
static void desks_hear_after_the_commit(void **state)
{
	struct world *w = world_new(1);
	struct views_account anna;
	struct mail_box made;
	struct views *v;
	struct fault why = {0};
	uint32_t total = 0;

	(void)state;
	clerk_link_indexer(w->clerk, pair(w->loop, &reader_ops, &w->indexer, &w->indexer.link));
	desk_start(w, lane_name(w->lanes[DESK]), NULL, 0);
	AWAIT(w, desk_heard); /* of nothing yet: how far the views are */
	assert_int_equal(w->desk.boxes, 0);
	account(w, "a@x.example");
	message(w, "A@x.example", NULL);
	order(w);
	AWAIT(w, both_heard_of_two_boxes);
	assert_int_equal(w->desk.next, w->indexer.next); /* the INBOX and the list */
	assert_false(w->desk.all);
	create(w, 1001, "Projects");
	create(w, 1002, "Projects");
	order(w);
	AWAIT(w, two_verdicts);
	assert_int_equal(w->desk.asks[0], 1001);
	assert_int_equal(w->desk.codes[0], MAIL_OK);
	assert_int_equal(w->desk.asks[1], 1002);
	assert_int_equal(w->desk.codes[1], MAIL_ALREADYEXISTS);
	assert_int_equal(views_open_read(w->dir, &v, &why), OK);
	assert_int_equal(views_account_by_name(v, SPAN_LIT("a@x.example"), &anna, &why), OK);
	assert_int_equal(views_each_box(v, anna.id, on_any_box, &total, &why), OK);
	assert_int_equal(total, 1);
	assert_int_equal(views_box_by_name(v, anna.id, SPAN_LIT("Projects"), &made, &why), OK);
	views_close(v);
	world_free(w);
}

/* What a desk was not told, for its link or the clerk was gone, it is told when it asks again; nothing is done twice. */
static void verdicts_survive_links_and_clerks(void **state)
{
	struct world *w = world_new(1);
	const uint64_t asks[] = {7, 8, 9};

	(void)state;
	account(w, "a@x.example");
	order(w);
	desk_start(w, lane_name(w->lanes[DESK]), NULL, 0);
	AWAIT(w, desk_heard);
	link_close(w->desk.link);
	w->desk.link = NULL;
	create(w, 7, "P");
	order(w);
	idle(w, 50); /* judged while nobody listened */
	desk_start(w, lane_name(w->lanes[DESK]), asks, 2);
	create(w, 8, "P");
	order(w);
	AWAIT(w, two_verdicts);
	assert_int_equal(w->desk.asks[0], 7);
	assert_int_equal(w->desk.codes[0], MAIL_OK);
	assert_int_equal(w->desk.codes[1], MAIL_ALREADYEXISTS);
	create(w, 9, "Q");
	clerk_die(w);
	clerk_start(w);
	desk_start(w, lane_name(w->lanes[DESK]), asks + 1, 2);
	AWAIT(w, two_verdicts);
	assert_int_equal(w->desk.asks[0] + w->desk.asks[1], 17);
	idle(w, 50);
	assert_int_equal(w->desk.n, 2);
	world_free(w);
}

static bool is_told_all(struct world *w)
{
	return w->desk.all;
}

/* More mailboxes than a message names: look at everything; and afterwards one by one again. */
static void many_changes_are_one_word(void **state)
{
	struct world *w = world_new(1);
	char a[32], b[32];

	(void)state;
	desk_start(w, lane_name(w->lanes[DESK]), NULL, 0);
	AWAIT(w, desk_heard);
	for (unsigned i = 0; i < 350; i++) {
		snprintf(a, sizeof a, "a%u@x.example", i);
		snprintf(b, sizeof b, "b%u@x.example", i);
		message(w, a, b);
		account(w, a);
		account(w, b);
	}
	order(w);
	AWAIT(w, is_told_all);
	assert_int_equal(w->desk.boxes, 0);
	idle(w, 50);
	clerk_link_indexer(w->clerk, pair(w->loop, &reader_ops, &w->indexer, &w->indexer.link));
	message(w, "a7@x.example", "b8@x.example");
	order(w);
	AWAIT(w, both_heard_of_two_boxes);
	world_free(w);
}

static void submitted(struct world *w, uint64_t ago_us)
{
	struct msg_rcpt rcpt = {.address = SPAN_LIT("who@far.example"),
				.domain = SPAN_LIT("far.example"),
				.site = SPAN_LIT("@world")};
	char id[33];
	struct msg_message_meta m = {.sender = SPAN_LIT("a@x.example"),
				     .rcpts = &rcpt,
				     .rcpts_n = 1,
				     .origin = 1,
				     .account = SPAN_LIT("a@x.example")};
	struct buf b = {0};

	snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)queue_mix(w->messages),
		 (unsigned long long)w->messages);
	w->messages++;
	m.id = span_str(id);
	msg_message_meta_encode(&b, &m);
	w->ago_us = ago_us;
	record(w, SUBMISSION, RECORD_MESSAGE, b, "Subject: x\r\n\r\nhello\r\n");
	w->ago_us = 0;
}

static bool one_by_mail(struct world *w)
{
	return w->couriers[0].by_mail == 1;
}

/* Nothing can be written into mailboxes of a site without IMAP: after days people get what they sent, and nothing before. */
static void without_imap_what_was_sent_goes_by_mail(void **state)
{
	const uint64_t day_us = 86400ull * 1000000;
	struct msg_fact fact = {SPAN_LIT("x.example"), SPAN_LIT("hq")};
	const struct msg_directory_meta domain = {
		.kind = SPAN_LIT("domain"), .facts = &fact, .facts_n = 1};
	struct world *w = world_new(1);
	struct buf b = {0};

	(void)state;
	w->ago_us = 5 * day_us;
	msg_directory_meta_encode(&b, &domain);
	record(w, WATCH, RECORD_DIRECTORY, b, NULL);
	account(w, "a@x.example");
	submitted(w, 4 * day_us);
	submitted(w, 2 * day_us);
	act(w, "site.state", "hq", "down");
	order(w);
	courier_start(w, 0, 0, NULL, 0);
	idle(w, 300);
	assert_int_equal(w->couriers[0].by_mail, 0);
	act(w, "site.state", "hq", "up");
	order(w);
	AWAIT(w, one_by_mail);
	assert_int_equal(w->couriers[0].by_mail_items, 1);
	world_free(w);
}

static void nobody_speaks_for_anothers_lane(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	desk_start(w, "desk-1", NULL, 0);
	AWAIT(w, desk_gone);
	world_free(w);
}

/* What another role would have to say. */
static void say_foreign(struct world *w, unsigned lane, const char *verb)
{
	struct msg_mail_act create_box = {.ask = 77,
					  .account = SPAN_LIT("a@x.example"),
					  .kind = MAIL_ACT_CREATE,
					  .name = SPAN_LIT("Foreign")};
	struct msg_act_meta m = {.verb = span_str(verb),
				 .object = SPAN_LIT("hq"),
				 .argument = SPAN_LIT("up"),
				 .actor = SPAN_LIT("test")};
	struct buf detail = {0}, b = {0};

	msg_mail_act_encode(&detail, &create_box);
	if (strcmp(verb, "mail") == 0)
		m.detail = buf_span(&detail);
	msg_act_meta_encode(&b, &m);
	record(w, lane, RECORD_ACT, b, NULL);
	buf_fini(&detail);
}

static void say_message(struct world *w, unsigned lane, uint8_t origin)
{
	struct msg_rcpt rcpt = {.address = SPAN_LIT("a@x.example"),
				.domain = SPAN_LIT("x.example"),
				.site = SPAN_LIT("hq")};
	struct msg_message_meta m = {.id = SPAN_LIT("f0"),
				     .rcpts = &rcpt,
				     .rcpts_n = 1,
				     .origin = origin,
				     .account = SPAN_LIT("a@x.example")};
	struct buf b = {0};

	msg_message_meta_encode(&b, &m);
	record(w, lane, RECORD_MESSAGE, b, "x\r\n\r\nforeign\r\n");
}

static void say_account(struct world *w, unsigned lane, const char *kind)
{
	struct msg_fact fact = {SPAN_LIT("state"), SPAN_LIT("active")};
	struct msg_directory_meta m = {.kind = span_str(kind),
				       .scope = SPAN_LIT("mallory@x.example"),
				       .facts = &fact,
				       .facts_n = 1};
	struct buf b = {0};

	msg_directory_meta_encode(&b, &m);
	record(w, lane, RECORD_DIRECTORY, b, NULL);
}

static bool on_line(void *arg, const struct views_act *line)
{
	*(unsigned *)arg += span_eq(line->verb, SPAN_LIT("record.foreign"));
	return true;
}

static unsigned foreign(struct world *w)
{
	struct fault why = {0};
	struct views *v;
	unsigned n = 0;

	if (views_open_read(w->dir, &v, &why) != OK)
		return 0;
	assert_int_equal(views_history(v, 100, on_line, &n, &why), OK);
	views_close(v);
	return n;
}

static bool all_foreign(struct world *w)
{
	return foreign(w) >= 15;
}

/* K5: a role that is broken into says nothing that is another's to say. */
static void no_role_says_what_is_anothers_to_say(void **state)
{
	struct world *w = world_new(1);
	struct clerk_figures f;
	struct views_account a;
	struct fault why = {0};
	struct mail_box box;
	struct views *v;

	(void)state;
	account(w, "a@x.example");
	say_foreign(w, EDGE, "mail");
	say_foreign(w, EDGE, "site.state");
	say_foreign(w, SUBMISSION, "mail");
	say_foreign(w, DESK, "site.state");
	say_foreign(w, DESK, "queue.discard");
	say_foreign(w, COURIER, "mail");
	say_foreign(w, COURIER, "site.state");
	say_foreign(w, AUTH, "mail");
	say_foreign(w, WATCH, "mail");
	say_message(w, DESK, 0);
	say_message(w, DESK, 1);
	say_message(w, EDGE, 1);
	say_message(w, SUBMISSION, 2);
	say_account(w, DESK, "account");
	say_account(w, AUTH, "domain");
	say_foreign(w, AUTH, "alias.set"); /* these are its own */
	say_foreign(w, AUTH, "site.password");
	order(w);
	AWAIT(w, all_foreign);
	assert_int_equal(foreign(w), 15);
	clerk_figures(w->clerk, &f);
	assert_int_equal(f.held, 0);
	assert_int_equal(views_open_read(w->dir, &v, &why), OK);
	assert_int_equal(views_account_by_name(v, SPAN_LIT("a@x.example"), &a, &why), OK);
	assert_int_equal(views_box_by_name(v, a.id, SPAN_LIT("Foreign"), &box, &why), REFUSED);
	assert_int_equal(views_account_by_name(v, SPAN_LIT("mallory@x.example"), &a, &why),
			 REFUSED);
	views_close(v);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(desks_hear_after_the_commit),
		cmocka_unit_test(verdicts_survive_links_and_clerks),
		cmocka_unit_test(many_changes_are_one_word),
		cmocka_unit_test(without_imap_what_was_sent_goes_by_mail),
		cmocka_unit_test(nobody_speaks_for_anothers_lane),
		cmocka_unit_test(no_role_says_what_is_anothers_to_say),
		cmocka_unit_test(holds_then_hands_back_with_a_receipt),
		cmocka_unit_test(a_refusal_at_rcpt_is_not_offered_again_at_once),
		cmocka_unit_test(a_dead_courier_without_intent_loses_nothing),
		cmocka_unit_test(a_dead_courier_with_intent_is_a_possible_duplicate),
		cmocka_unit_test(a_second_lost_answer_is_for_a_decision),
		cmocka_unit_test(k_07_a_message_three_couriers_died_of_is_set_aside),
		cmocka_unit_test(a_new_clerk_waits_for_the_couriers_of_before),
		cmocka_unit_test(down_stops_and_takes_back),
		cmocka_unit_test(a_held_domain_waits_and_a_released_one_goes_though_down),
		cmocka_unit_test(a_redirect_to_a_host_does_not_wait_for_the_site),
		cmocka_unit_test(what_was_accepted_is_published),
		cmocka_unit_test(d_09_views_lost_between_two_lives_are_rebuilt),
		cmocka_unit_test(views_of_another_ledger_are_thrown_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
