/* The clerk's life: opening, the sequencer's link, the tick, what goes to the log. */
#include "role/clerk/clerk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/clerk/internal.h"

enum { TICK_US = 1000000, LAG_SHOWN = 2000, ARENA_BYTES = 4 << 20 };

uint64_t clerk_mono_us(const struct clerk *c)
{
	return os_mono_us(c->os);
}

uint64_t clerk_wall_us(const struct clerk *c)
{
	return c->wall_less_mono_us + os_mono_us(c->os);
}

uint64_t clerk_age_now_us(const struct clerk *c)
{
	uint64_t plausible = c->newest_us + (os_mono_us(c->os) - c->newest_mono_us),
		 wall = clerk_wall_us(c);

	return plausible < wall ? plausible : wall;
}

bool clerk_ok(struct clerk *c, enum rc rc, const struct fault *why)
{
	if (rc == OK)
		return true;
	if (c->is_broken)
		return false;
	c->is_broken = true;
	say(SAY_ERROR, "views.failed", "result", SAY_STR(rc_name(rc)), "why", SAY_STR(why->text),
	    NULL);
	if (rc == BROKEN)
		views_condemn(c->os, c->data_dir);
	c->ops.on_broken(c->ops.arg, why);
	return false;
}

void clerk_condition(struct clerk *c)
{
	uint64_t next = views_next(c->views), lag = c->ordered > next ? c->ordered - next : 0;
	char text[160] = "";

	if (!c->has_heard)
		snprintf(text, sizeof text, "waiting for the sequencer");
	else if (!c->is_current)
		snprintf(text, sizeof text, "building the views: %llu of %llu records",
			 (unsigned long long)next, (unsigned long long)c->ordered);
	else if (lag > LAG_SHOWN)
		snprintf(text, sizeof text, "the views are %llu records behind",
			 (unsigned long long)lag);
	else if (!c->may_grant)
		snprintf(text, sizeof text, "waiting for the couriers of before");
	c->ops.on_condition(c->ops.arg, text);
}

/* ---- what the views tell ---- */

static void on_ready(void *arg, uint32_t site, uint64_t addr, uint64_t number)
{
	struct clerk *c = arg;

	queue_notice_ready(c->queue, site, addr, number);
}

static void on_outcome(void *arg, uint64_t lease, uint64_t number, uint32_t rcpt,
		       enum attempt attempt)
{
	struct clerk *c = arg;

	queue_on_outcome(c->queue, lease, number, rcpt, attempt, clerk_mono_us(c));
}

static void on_intent(void *arg, uint64_t lease, uint64_t number, uint32_t rcpt)
{
	struct clerk *c = arg;

	(void)number;
	(void)rcpt;
	queue_on_intent(c->queue, lease);
}

static void on_site(void *arg, uint32_t site)
{
	struct clerk *c = arg;

	(void)site;
	c->are_sites_changed = true;
}

static void on_site_empty(void *arg, uint32_t site)
{
	struct clerk *c = arg;

	queue_site_empty(c->queue, site);
}

static void on_history(void *arg, const struct views_act *line)
{
	struct clerk *c = arg;

	if (!c->is_current || !line->is_judged)
		return; /* old news */
	say(SAY_NOTICE,
	    span_eq(line->verb, SPAN_LIT("drain.receipt")) ? "drain.receipt" : "act.judged", "verb",
	    SAY_SPAN(line->verb), "object", SAY_SPAN(line->object), "result",
	    SAY_SPAN(line->result), "names",
	    SAY_SPAN(span_eq(line->actor, SPAN_LIT("clerk")) ? line->reason : SPAN_NONE), NULL);
}

/* ---- the sequencer ---- */

static bool on_sequencer_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct clerk *c = arg;
	struct msg_ordered m;

	(void)l;
	arena_reset(&c->arena);
	if (type != MSG_ORDERED || !msg_ordered_decode(&c->arena, body, &m))
		return false;
	if (!c->has_heard) {
		c->has_heard = true;
		c->ordered_at_first = m.size;
		if (views_next(c->views) > m.size) {
			struct fault why;

			fault_set(&why, "the views have applied %llu records, the order holds %llu",
				  (unsigned long long)views_next(c->views),
				  (unsigned long long)m.size);
			(void)clerk_ok(c, BROKEN, &why);
			return true;
		}
	}
	if (m.size > c->ordered)
		c->ordered = m.size;
	apply_soon(c);
	return true;
}

static void on_sequencer_closed(void *arg, struct link *l)
{
	struct clerk *c = arg;

	(void)l;
	c->sequencer = NULL;
	c->ops.on_link_lost(c->ops.arg, ROLE_SEQUENCER, 0);
}

void clerk_link_sequencer(struct clerk *c, int fd)
{
	static const struct link_ops ops = {.on_message = on_sequencer_message,
					    .on_closed = on_sequencer_closed};

	link_close(c->sequencer);
	c->sequencer = link_new(c->loop, fd, &ops, c);
}

/* ---- watch: what waits ---- */

static bool on_watch_message(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg, (void)l, (void)type, (void)body;
	return false; /* it has nothing to say to us */
}

static void on_watch_closed(void *arg, struct link *l)
{
	struct clerk *c = arg;

	(void)l;
	c->watch = NULL;
	c->ops.on_link_lost(c->ops.arg, ROLE_WATCH, 0);
}

void clerk_link_watch(struct clerk *c, int fd)
{
	static const struct link_ops ops = {.on_message = on_watch_message,
					    .on_closed = on_watch_closed};

	link_close(c->watch);
	c->watch = link_new(c->loop, fd, &ops, c);
}

/* What is ready in a domain that is held by hand waits for a person, not for the site. */
static uint64_t waiting_of(const struct clerk *c, const struct views_site_now *s)
{
	return s->offered + queue_leases_of(c->queue, s->id) + (c->are_domains_held ? 0 : s->ready);
}

/* Silence is what watch hears of a clerk that does not know, or could not offer what it knows. */
static void tell_watch(struct clerk *c)
{
	if (!c->watch || !c->may_grant || c->ordered > views_next(c->views))
		return;
	for (size_t i = 0; i < views_sites(c->views); i++) {
		struct views_site_now s;
		struct msg_site_queue m;
		struct buf b = {0};

		views_site_at(c->views, i, &s);
		if (s.is_redirect || s.is_world || !s.name.n)
			continue;
		m = (struct msg_site_queue){s.name, waiting_of(c, &s)};
		msg_site_queue_encode(&b, &m);
		(void)!link_send(c->watch, MSG_SITE_QUEUE,
				 buf_span(&b)); /* the next one says it again */
		buf_fini(&b);
	}
}

/* ---- life ---- */

static void on_tick(void *arg)
{
	struct clerk *c = arg;

	loop_timer_set(c->tick_timer, TICK_US);
	if (c->is_broken)
		return;
	if (c->is_current) {
		sites_refresh(c);
		recipients_publish(c);
	}
	(void)queue_sweep(c->queue, clerk_mono_us(c));
	couriers_look(c);
	homes_look(c);
	clerk_condition(c);
	tell_watch(c);
	pump_soon(c, 0);
	if (c->is_rested)
		views_rest(c->views); /* a second without records */
	c->is_rested = true;
}

static char *join(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 2;
	char *path = must_alloc(n);

	snprintf(path, n, "%s/%s", a, b);
	return path;
}

static void begin_clocks(struct clerk *c)
{
	uint64_t mono = os_mono_us(c->os);

	c->started_us = mono;
	c->wall_less_mono_us = os_wall_us(c->os) - mono;
	c->newest_us = views_newest_us(c->views);
	c->newest_mono_us = mono;
	if (c->newest_us == 0)
		c->newest_us = os_wall_us(c->os);
}

enum rc clerk_new(struct loop *loop, struct os *os, const char *data_dir,
		  const struct msg_config *config, const struct clerk_ops *ops, struct clerk **out,
		  struct fault *why)
{
	struct clerk *c = must_alloc(sizeof *c);
	struct views_ops views_ops = {
		on_ready,   on_outcome,	    on_intent,	     on_site, on_site_empty,
		on_history, on_mail_change, on_mail_verdict, c,
	};
	uint64_t lease;
	bool is_new = false;
	enum rc rc;

	c->loop = loop;
	c->os = os;
	c->config = config;
	c->ops = *ops;
	c->data_dir = must_strdup(data_dir);
	c->ledger_dir = join(data_dir, "ledger");
	arena_init(&c->arena, ARENA_BYTES);
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++)
		c->couriers[i] = (struct clerk_courier){.clerk = c, .instance = i};
	readers_init(c);
	queue_schedule_set(&c->schedule, config->retry_ms, config->retry_ms_n);
	os_random(os, &lease, sizeof lease);
	c->queue = queue_new(lease >> 1); /* stays clear of the end */
	homes_init(c);
	c->entries = must_alloc(CLERK_BATCH_MAX * sizeof *c->entries);
	rc = ledger_reader_new(os, c->ledger_dir, &c->reader, why);
	if (rc == OK)
		rc = views_open_write(os, data_dir, &c->schedule, &views_ops, &c->views, &is_new,
				      why);
	if (rc != OK) {
		clerk_free(c);
		return rc;
	}
	say(SAY_INFO, is_new ? "views.new" : "views.open", "records", SAY_U64(views_next(c->views)),
	    NULL);
	views_set_window(c->views, config->window_ms * 1000);
	begin_clocks(c);
	c->apply_timer = loop_timer_new(loop, on_apply, c);
	c->pump_timer = loop_timer_new(loop, on_pump, c);
	c->tick_timer = loop_timer_new(loop, on_tick, c);
	loop_timer_set(c->tick_timer, TICK_US);
	*out = c;
	return OK;
}

void clerk_configure(struct clerk *c, const struct msg_config *config)
{
	c->config = config;
	queue_schedule_set(&c->schedule, config->retry_ms, config->retry_ms_n);
	views_set_window(c->views, config->window_ms * 1000);
	c->are_sites_changed = true;
}

void clerk_free(struct clerk *c)
{
	if (!c)
		return;
	link_close(c->sequencer);
	link_close(c->watch);
	for (unsigned i = 0; i < QUEUE_COURIERS_MAX; i++)
		link_close(c->couriers[i].link);
	readers_close(c);
	loop_timer_free(c->apply_timer);
	loop_timer_free(c->pump_timer);
	loop_timer_free(c->tick_timer);
	views_close(c->views);
	queue_free(c->queue);
	homes_free(c);
	if (c->order)
		order_close(c->order);
	if (c->reader)
		ledger_reader_free(c->reader);
	arena_fini(&c->arena);
	free(c->entries);
	free(c->data_dir);
	free(c->ledger_dir);
	free(c);
}

void clerk_figures(const struct clerk *c, struct clerk_figures *out)
{
	uint64_t next = views_next(c->views);

	*out = (struct clerk_figures){
		.applied = c->applied,
		.lag = c->ordered > next ? c->ordered - next : 0,
		.leases = queue_leases(c->queue),
		.granted = c->granted,
	};
	for (size_t i = 0; i < views_sites(c->views); i++) {
		struct views_site_now s;

		views_site_at(c->views, i, &s);
		out->held += s.ready + s.offered + s.deferred + s.decide;
		out->sites_down += s.phase == PHASE_DOWN && !s.is_redirect && s.name.n > 0;
	}
}
