/*
 * Orders for single domains, each with a lease: holds and continuity have a list of them each. Leases run on the monotonic
 * clock, as hold.c says.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/watch/internal.h"

bool override_read(const struct msg_act_meta *m, uint64_t given_us, struct override *out)
{
	struct override o = {.given_us = given_us, .until_us = m->until_us};

	if (!health_hold_parse(m->argument, &o.mode))
		return false;
	snprintf(o.by, sizeof o.by, "%.*s", SPAN_FMT(m->actor));
	snprintf(o.reason, sizeof o.reason, "%.*s", SPAN_FMT(m->reason));
	*out = o;
	return true;
}

void orders_init(struct domain_orders *all, struct watch *w,
		 void (*on_over)(struct watch *w, const char *name, enum health_hold was))
{
	*all = (struct domain_orders){.watch = w, .on_over = on_over};
	list_init(&all->orders);
}

struct domain_order *orders_find(struct domain_orders *all, struct span name)
{
	LIST_EACH (l, &all->orders) {
		if (span_eq_nocase(name, span_str(ORDER_OF(l)->name)))
			return ORDER_OF(l);
	}
	return NULL;
}

static void drop(struct domain_order *d)
{
	list_remove(&d->link);
	loop_timer_free(d->timer);
	free(d);
}

static void on_lease_over(void *arg)
{
	struct domain_order *d = arg;
	struct domain_orders *all = d->of;
	enum health_hold was = d->o.mode;
	char name[WATCH_NAME_BYTES];

	memcpy(name, d->name, sizeof name);
	drop(d);
	all->on_over(all->watch, name, was);
}

static struct domain_order *add(struct domain_orders *all, struct span name)
{
	struct domain_order *d = must_alloc(sizeof *d);

	d->of = all;
	list_init(&d->link);
	list_append(&all->orders, &d->link);
	d->timer = loop_timer_new(all->watch->loop, on_lease_over, d);
	snprintf(d->name, sizeof d->name, "%.*s", SPAN_FMT(name));
	for (char *c = d->name; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	return d;
}

void orders_put(struct domain_orders *all, struct span name, const struct override *o,
		uint64_t for_us)
{
	struct domain_order *d = orders_find(all, name);

	if (o->mode == HOLD_AUTO) {
		if (d)
			drop(d);
		return;
	}
	if (!d)
		d = add(all, name);
	d->o = *o;
	d->until_mono_us = loop_now_us(all->watch->loop) + for_us;
	if (all->watch->is_running)
		loop_timer_set(d->timer, for_us);
}

void orders_restore(struct domain_orders *all, struct span name, const struct override *o)
{
	orders_put(all, name, o,
		   health_lease_left(o->given_us, o->until_us, os_wall_us(all->watch->os)));
}

void orders_start(struct domain_orders *all)
{
	uint64_t now = loop_now_us(all->watch->loop);

	LIST_EACH (l, &all->orders) {
		struct domain_order *d = ORDER_OF(l);

		loop_timer_set(d->timer, d->until_mono_us > now ? d->until_mono_us - now : 0);
	}
}

void orders_stop(struct domain_orders *all)
{
	LIST_EACH_SAFE (l, &all->orders)
		drop(ORDER_OF(l));
}
