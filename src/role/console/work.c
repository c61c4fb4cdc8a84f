/* What a request waits for: an answer of watch, time; and the views that all of them read. */
#include "role/console/internal.h"

#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"

#define ASK_US (10 * CONSOLE_SECOND_US)

/* A question to watch. work NULL: nobody waits for it any more. */
struct ask {
	struct list on_console;
	struct work *work;
	work_answered *done;
	uint64_t id, until_us;
	struct buf body; /* so far */
};

#define ASK_OF(l) LIST_ENTRY(l, struct ask, on_console)

struct console *console_of(struct http_exchange *x)
{
	return http_host_arg(exchange_host(x));
}

struct work *work_of(struct http_exchange *x)
{
	struct work *w = exchange_arg(x);

	if (w)
		return w;
	w = must_alloc(sizeof *w);
	w->x = x;
	w->console = console_of(x);
	exchange_set_arg(x, w);
	return w;
}

void work_over(struct http_exchange *x, bool is_complete)
{
	struct work *w = exchange_arg(x);

	(void)is_complete;
	if (!w)
		return;
	exchange_set_arg(x, NULL);
	if (w->ask)
		w->ask->work = NULL;
	loop_timer_free(w->timer);
	json_decref(w->live);
	json_decref(w->found);
	free(w);
}

/* ---- watch ---- */

static void end_ask(struct console *c, struct ask *a, unsigned type, struct span body)
{
	struct work *w = a->work;

	list_remove(&a->on_console);
	c->asks_n--;
	if (w) {
		w->ask = NULL;
		a->done(w->x, type, body);
	}
	buf_fini(&a->body);
	free(a);
}

void watch_ask(struct http_exchange *x, unsigned type, struct span body, work_answered *done)
{
	static const char away[] = "The watch role is away; it is started again by itself.";
	struct console *c = console_of(x);
	struct msg_console_order m = {.id = ++c->next_ask,
				      .account = exchange_ask(x)->person->account,
				      .source = span_str(exchange_ask(x)->peer),
				      .type = (uint16_t)type,
				      .body = body};
	struct work *w = work_of(x);
	struct buf b = {0};
	struct ask *a;

	must(!w->ask);
	msg_console_order_encode(&b, &m);
	if (!c->watch || c->asks_n >= CONSOLE_ASKS ||
	    link_send(c->watch, MSG_CONSOLE_ORDER, buf_span(&b)) != OK) {
		buf_fini(&b);
		done(x, 0, span_str(away));
		return;
	}
	buf_fini(&b);
	a = must_alloc(sizeof *a);
	*a = (struct ask){.work = w,
			  .done = done,
			  .id = m.id,
			  .until_us = loop_now_us(c->loop) + ASK_US,
			  .body = {.limit = CONSOLE_ANSWER_BYTES}};
	list_init(&a->on_console);
	list_append(&c->asks, &a->on_console);
	c->asks_n++;
	w->ask = a;
}

static bool take_answer(struct console *c, const struct msg_console_answer *m)
{
	LIST_EACH_SAFE (l, &c->asks) {
		struct ask *a = ASK_OF(l);

		if (a->id != m->id)
			continue;
		if (a->body.n + m->body.n > CONSOLE_ANSWER_BYTES)
			return false;
		buf_append(&a->body, m->body);
		if (!m->more)
			end_ask(c, a, m->type, buf_span(&a->body));
		return true;
	}
	return true; /* given up before */
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct msg_console_answer m;
	struct console *c = arg;
	struct arena a;
	bool ok;

	(void)l;
	if (type != MSG_CONSOLE_ANSWER)
		return false;
	arena_init(&a, LINK_FRAME_LIMIT_BYTES);
	ok = msg_console_answer_decode(&a, body, &m) && take_answer(c, &m);
	arena_fini(&a);
	return ok;
}

static void give_up(struct console *c, uint64_t due_us, const char *why)
{
	LIST_EACH_SAFE (l, &c->asks) {
		if (ASK_OF(l)->until_us <= due_us)
			end_ask(c, ASK_OF(l), 0, span_str(why));
	}
}

static void on_closed(void *arg, struct link *l)
{
	struct console *c = arg;

	if (c->watch != l)
		return;
	c->watch = NULL;
	give_up(c, UINT64_MAX,
		"The watch role went away; whether it recorded the order is in the history.");
	role_link_lost(c->role, ROLE_WATCH, 0);
}

void watch_link(struct console *c, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};
	struct link *was = c->watch;

	c->watch = link_new(c->loop, fd, &ops, c);
	if (was) {
		link_close(was);
		give_up(c, UINT64_MAX,
			"The watch role was started again; whether it recorded the order is in the "
			"history.");
	}
}

void watch_tick(struct console *c)
{
	give_up(c, loop_now_us(c->loop),
		"The watch role does not answer; whether it recorded the order is in the history.");
}

void watch_stop(struct console *c)
{
	link_close(c->watch);
	c->watch = NULL;
	LIST_EACH_SAFE (l, &c->asks) {
		ASK_OF(l)->work = NULL;
		end_ask(c, ASK_OF(l), 0, SPAN_NONE);
	}
}

/* ---- the views ---- */

struct views *console_views(struct console *c, struct fault *why)
{
	if (!c->views && views_open_read(role_data(c->role), &c->views, why) != OK)
		c->views = NULL;
	return c->views;
}

void console_views_leave(struct console *c)
{
	views_close(c->views);
	c->views = NULL;
}

void console_views_tick(struct console *c)
{
	if (c->views && !views_is_current(c->views, role_data(c->role)))
		console_views_leave(c);
}
