/*
 * Addresses of primaries. Literals need nobody; names are asked of scout, and the last good answer
 * is kept for as long as we live: used at once, asked for anew in the background when it is older
 * than FRESH_US, and still used when scout is away (ARCHITECTURE.md: any role may die).
 */
#include "role/courier/courier.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/link.h"
#include "loop/loop.h"

#define FRESH_US  60000000u
#define ANSWER_US 5000000u

struct host {
	struct courier *c;
	char *name;
	struct sockaddr_storage addresses[COURIER_ADDRESSES];
	size_t n;
	uint64_t asked_us, answered_us;
	uint64_t question; /* 0: none is out */
	struct list waits;
	struct loop_timer *deadline;
};

/* True when text is an address, with or without brackets and "IPv6:". */
static bool literal(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct span s = span_str(text);
	char bare[64];

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = span_of(s.p + 1, s.n - 2);
	if (span_starts_nocase(s, SPAN_LIT("IPv6:")))
		s = span_from(s, 5);
	if (s.n >= sizeof bare)
		return false;
	memcpy(bare, s.p, s.n);
	bare[s.n] = '\0';
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, bare, &v4.sin_addr) == 1)
		memcpy(out, &v4, sizeof v4);
	else if (inet_pton(AF_INET6, bare, &v6.sin6_addr) == 1)
		memcpy(out, &v6, sizeof v6);
	else
		return false;
	return true;
}

static void give_all(struct host *h, const char *why)
{
	struct list *first;

	loop_timer_clear(h->deadline);
	h->question = 0;
	while ((first = list_shift(&h->waits))) {
		struct resolve_wait *w = LIST_ENTRY(first, struct resolve_wait, at);

		w->on_addresses(w->arg, h->addresses, h->n, why);
	}
}

static void on_deadline(void *arg)
{
	give_all(arg, "the name was not resolved in time");
}

static void ask_scout(struct host *h)
{
	struct buf body = {0};

	if (!h->c->scout || h->question)
		return;
	h->question = ++h->c->last_question;
	h->asked_us = loop_now_us(h->c->loop);
	loop_timer_set(h->deadline, ANSWER_US);
	msg_resolve_encode(&body,
			   &(struct msg_resolve){.id = h->question, .host = span_str(h->name)});
	(void)links_send(h->c->scout, MSG_RESOLVE, &body);
}

static struct host *host_of(struct courier *c, const char *name)
{
	struct host *h = map_get(&c->hosts, span_str(name));

	if (h)
		return h;
	h = must_alloc(sizeof *h);
	h->c = c;
	h->name = must_strdup(name);
	list_init(&h->waits);
	h->deadline = loop_timer_new(c->loop, on_deadline, h);
	(void)map_put(&c->hosts, span_str(name), h);
	return h;
}

void resolve_ask(struct courier *c, const char *name, struct resolve_wait *wait)
{
	struct sockaddr_storage address;
	struct host *h;

	list_init(&wait->at);
	if (literal(name, &address)) {
		wait->on_addresses(wait->arg, &address, 1, NULL);
		return;
	}
	h = host_of(c, name);
	if (!h->n || loop_now_us(c->loop) - h->answered_us > FRESH_US)
		ask_scout(h);
	if (h->n || !h->question)
		wait->on_addresses(wait->arg, h->addresses, h->n,
				   h->n ? NULL : "scout, who resolves names, is away");
	else
		list_append(&h->waits, &wait->at);
}

bool resolve_literal(struct span text, struct sockaddr_storage *out)
{
	char bare[64];

	(void)snprintf(bare, sizeof bare, "%.*s", SPAN_FMT(span_first(text, sizeof bare - 1)));
	return literal(bare, out);
}

void resolve_forget(struct resolve_wait *wait)
{
	if (wait->at.next)
		list_remove(&wait->at);
}

static struct host *host_by_question(struct courier *c, uint64_t id)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->hosts, &cursor, &name, &value)) {
		struct host *h = value;

		if (h->question == id)
			return h;
	}
	return NULL;
}

void resolve_answer(struct courier *c, const struct msg_resolve_answer *answer)
{
	struct host *h = answer->id ? host_by_question(c, answer->id) : NULL;
	struct sockaddr_storage found[COURIER_ADDRESSES];
	char text[64], why[200];
	size_t n = 0;

	if (!h)
		return; /* too late */
	for (size_t i = 0; answer->ok && i < answer->addresses_n && n < COURIER_ADDRESSES; i++) {
		(void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(answer->addresses[i]));
		n += literal(text, &found[n]);
	}
	if (n) {
		memcpy(h->addresses, found, n * sizeof *found);
		h->n = n;
		h->answered_us = loop_now_us(c->loop);
	}
	(void)snprintf(why, sizeof why, "%.*s", SPAN_FMT(span_first(answer->why, sizeof why - 1)));
	give_all(h, why[0] ? why : "the name has no address");
}

void resolve_scout_gone(struct courier *c)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->hosts, &cursor, &name, &value)) {
		struct host *h = value;

		if (h->question)
			loop_timer_set(h->deadline,
				       1); /* soon, from the loop: the map must not change now */
	}
}

static void host_free(void *value)
{
	struct host *h = value;

	loop_timer_free(h->deadline);
	free(h->name);
	free(h);
}

void resolve_free(struct courier *c)
{
	map_fini(&c->hosts, host_free);
}
