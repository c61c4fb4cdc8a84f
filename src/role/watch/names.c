/*
 * Addresses of host names, asked of scout (watch may not ask DNS itself); literals need no question. The last good
 * answer is kept for ever: a resolver that is away must not look like an outage of the primary.
 */
#include "role/watch/internal.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/arena.h"
#include "loop/loop.h"

#define FRESH_US  (60 * WATCH_SECOND_US)
#define ANSWER_US (3 * WATCH_SECOND_US)

static bool parse_address(struct span text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
	char name[INET6_ADDRSTRLEN + 1];

	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = span_of(text.p + 1, text.n - 2);
	if (text.n >= sizeof name)
		return false;
	snprintf(name, sizeof name, "%.*s", SPAN_FMT(text));
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		return true;
	}
	return false;
}

void host_init(struct watch *w, struct host *h, struct span name, void (*on_ready)(struct host *h))
{
	*h = (struct host){.watch = w, .on_ready = on_ready};
	snprintf(h->name, sizeof h->name, "%.*s", SPAN_FMT(name));
	h->is_literal = parse_address(name, &h->address[0]);
	h->address_n = h->is_literal;
	list_init(&h->on_table);
	list_append(&w->hosts, &h->on_table);
}

void host_fini(struct host *h)
{
	list_remove(&h->on_table);
}

socklen_t host_address(const struct host *h, size_t i, uint16_t port, struct sockaddr_storage *out)
{
	*out = h->address[i];
	if (out->ss_family == AF_INET) {
		((struct sockaddr_in *)(void *)out)->sin_port = htons(port);
		return sizeof(struct sockaddr_in);
	}
	((struct sockaddr_in6 *)(void *)out)->sin6_port = htons(port);
	return sizeof(struct sockaddr_in6);
}

static void ready(struct host *h)
{
	if (!h->wants)
		return;
	h->wants = false;
	h->on_ready(h);
}

static void ask(struct host *h)
{
	struct watch *w = h->watch;
	struct msg_resolve m = {.id = ++w->next_question, .host = span_str(h->name)};
	struct buf b = {0};

	h->asked_us = loop_now_us(w->loop);
	msg_resolve_encode(&b, &m);
	if (w->scout && link_send(w->scout, MSG_RESOLVE, buf_span(&b)) == OK)
		h->question = m.id;
	else
		snprintf(h->why, sizeof h->why, "scout, which asks DNS, is away");
	buf_fini(&b);
}

void host_want(struct host *h)
{
	uint64_t now = loop_now_us(h->watch->loop);

	h->wants = true;
	if (!h->is_literal && !h->question &&
	    (h->address_n == 0 || now - h->answered_us >= FRESH_US) &&
	    (h->asked_us == 0 || now - h->asked_us >= WATCH_SECOND_US / 2 || h->address_n == 0))
		ask(h);
	if (h->address_n || !h->question)
		ready(h);
}

static void take_answer(struct host *h, const struct msg_resolve_answer *m)
{
	struct sockaddr_storage found[WATCH_ADDRESSES];
	size_t n = 0;

	h->question = 0;
	for (size_t i = 0; m->ok && i < m->addresses_n && n < WATCH_ADDRESSES; i++)
		n += parse_address(m->addresses[i], &found[n]);
	if (n) {
		memcpy(h->address, found, n * sizeof *found);
		h->address_n = n;
		h->answered_us = loop_now_us(h->watch->loop);
		h->why[0] = 0;
	} else {
		snprintf(h->why, sizeof h->why, "%.*s", SPAN_FMT(span_first(m->why, 100)));
	}
	ready(h);
}

static bool on_answer(struct watch *w, struct arena *a, struct span body)
{
	struct msg_resolve_answer m;

	if (!msg_resolve_answer_decode(a, body, &m))
		return false;
	LIST_EACH_SAFE (l, &w->hosts) {
		struct host *h = LIST_ENTRY(l, struct host, on_table);

		if (h->question == m.id && m.id) {
			take_answer(h, &m);
			break;
		}
	}
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct watch *w = arg;
	struct msg_learned learned;
	struct arena a;
	bool ok = false;

	(void)l;
	arena_init(&a, LINK_FRAME_LIMIT_BYTES * 4);
	if (type == MSG_RESOLVE_ANSWER) {
		ok = on_answer(w, &a, body);
	} else if (type == MSG_LEARNED && msg_learned_decode(&a, body, &learned)) {
		directory_learned(w, &learned);
		ok = true;
	}
	arena_fini(&a);
	return ok;
}

static void on_closed(void *arg, struct link *l)
{
	struct watch *w = arg;

	if (w->scout != l)
		return;
	w->scout = NULL;
	LIST_EACH (at, &w->hosts)
		LIST_ENTRY(at, struct host, on_table)->asked_us = 0; /* the timer gives them up */
}

void names_link(struct watch *w, int fd)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};

	link_close(w->scout);
	w->scout = link_new(w->loop, fd, &ops, w);
	LIST_EACH (at, &w->hosts) {
		struct host *h = LIST_ENTRY(at, struct host, on_table);

		h->question = 0;
		if (h->wants)
			ask(h);
	}
}

/* Gives up questions without an answer; one walk each half second, and only over a handful of hosts. */
static void on_timer(void *arg)
{
	struct watch *w = arg;
	uint64_t now = loop_now_us(w->loop);

	LIST_EACH_SAFE (l, &w->hosts) {
		struct host *h = LIST_ENTRY(l, struct host, on_table);

		if (!h->question || now - h->asked_us < ANSWER_US)
			continue;
		h->question = 0;
		snprintf(h->why, sizeof h->why, "no answer from DNS within 3 s");
		ready(h);
	}
	loop_timer_set(w->names_timer, WATCH_SECOND_US / 2);
}

void names_start(struct watch *w)
{
	w->names_timer = loop_timer_new(w->loop, on_timer, w);
	loop_timer_set(w->names_timer, WATCH_SECOND_US / 2);
}

void names_stop(struct watch *w)
{
	loop_timer_free(w->names_timer);
	link_close(w->scout);
	w->names_timer = NULL;
	w->scout = NULL;
}

bool host_text(const struct host *h, size_t i, char *out, size_t n)
{
	const struct sockaddr_storage *a = &h->address[i];

	if (a->ss_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr,
				 out, (socklen_t)n) != NULL;
	return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, out,
			 (socklen_t)n) != NULL;
}
