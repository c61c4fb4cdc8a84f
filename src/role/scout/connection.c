/*
 * About a new client: which lists have it (RFC 5782), and what it is called. All questions go out at once;
 * whatever has come when SCOUT_REPLY_US are over is the answer (X1).
 *
 * A list says yes by an address in 127.0.0.0/8. 127.255.255.x means that the list refuses to serve us (a public
 * resolver, too many questions): not listed. Anything else means the list is gone and its domain parked.
 *
 * A reverse name counts when one of its addresses is the client's: anybody can write any reverse name.
 */
#include "role/scout/scout.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/loop.h"

#define NAMES_LIMIT 4

struct check;

/* What the answer to one question is about. */
struct part {
	struct check *check;
	size_t index;
};

struct check {
	struct scout *scout;
	struct client_address client;
	struct loop_timer *timer;
	unsigned open; /* questions without answer */
	void (*on_done)(void *arg, const struct connection_found *found); /* NULL: told */
	void *arg;
	size_t zones_n;
	char *zones[CONNECTION_ZONES_LIMIT];
	bool is_listed[CONNECTION_ZONES_LIMIT];
	struct part zone_parts[CONNECTION_ZONES_LIMIT];
	size_t names_n;
	char *names[NAMES_LIMIT];
	bool is_confirmed[NAMES_LIMIT];
	struct part name_parts[NAMES_LIMIT];
};

static void check_free(struct check *c)
{
	for (size_t i = 0; i < c->zones_n; i++)
		free(c->zones[i]);
	for (size_t i = 0; i < c->names_n; i++)
		free(c->names[i]);
	loop_timer_free(c->timer);
	c->scout->checks--;
	free(c);
}

static void tell(struct check *c)
{
	void (*on_done)(void *arg, const struct connection_found *found) = c->on_done;
	struct span listed[CONNECTION_ZONES_LIMIT];
	struct connection_found found = {.listed = listed};

	if (!on_done)
		return;
	c->on_done = NULL;
	loop_timer_clear(c->timer);
	for (size_t i = 0; i < c->zones_n; i++) {
		if (c->is_listed[i])
			listed[found.listed_n++] = span_str(c->zones[i]);
	}
	for (size_t i = c->names_n; i-- > 0;) {
		if (c->is_confirmed[i])
			found.host_name = span_str(c->names[i]);
	}
	on_done(c->arg, &found);
}

static void on_time(void *arg)
{
	tell(arg);
}

static void part_done(struct check *c)
{
	must(c->open > 0);
	if (--c->open)
		return;
	tell(c);
	check_free(c);
}

static void on_list(void *arg, const struct dns_answer *answer)
{
	struct part *p = arg;

	for (size_t i = 0; answer->rc == OK && i < answer->n; i++) {
		struct span a = answer->records[i].data;
		bool is_refusal = a.n == 4 && a.p[1] == 255 && a.p[2] == 255;

		if (a.n == 4 && a.p[0] == 127 && !is_refusal)
			p->check->is_listed[p->index] = true;
	}
	part_done(p->check);
}

static void on_forward(void *arg, const struct dns_answer *answer)
{
	struct part *p = arg;
	struct check *c = p->check;

	for (size_t i = 0; answer->rc == OK && i < answer->n; i++) {
		struct span a = answer->records[i].data;

		if (a.n == (c->client.is_v6 ? 16u : 4u) && memcmp(a.p, c->client.bytes, a.n) == 0)
			c->is_confirmed[p->index] = true;
	}
	part_done(c);
}

static void ask(struct check *c, const char *name, enum dns_type type,
		void (*on_answer)(void *arg, const struct dns_answer *answer), void *arg)
{
	c->open++;
	dns_ask(c->scout->dns, name, type, c->scout->config->dns_timeout_ms, on_answer, arg);
}

static void on_names(void *arg, const struct dns_answer *answer)
{
	struct check *c = arg;

	for (size_t i = 0; answer->rc == OK && i < answer->n && c->names_n < NAMES_LIMIT; i++) {
		struct span name = answer->records[i].data;
		size_t at = c->names_n;

		if (!host_name_is_plain(name)) /* X3 */
			continue;
		c->names[at] = must_alloc(name.n + 1);
		memcpy(c->names[at], name.p, name.n);
		c->name_parts[at] = (struct part){c, at};
		c->names_n++;
		ask(c, c->names[at], c->client.is_v6 ? DNS_AAAA : DNS_A, on_forward,
		    &c->name_parts[at]);
	}
	part_done(c);
}

static void ask_list(struct check *c, struct span zone)
{
	size_t at = c->zones_n;
	char name[300];

	if (!host_name_is_plain(zone))
		return;
	c->zones[at] = must_alloc(zone.n + 1);
	memcpy(c->zones[at], zone.p, zone.n);
	c->zone_parts[at] = (struct part){c, at};
	c->zones_n++;
	if (client_address_name(&c->client, c->zones[at], name, sizeof name))
		ask(c, name, DNS_A, on_list, &c->zone_parts[at]);
}

void connection_check(struct scout *s, struct span address, const struct span *zones,
		      size_t zones_n,
		      void (*on_done)(void *arg, const struct connection_found *found), void *arg)
{
	static const struct connection_found nothing;
	struct client_address client;
	struct check *c;
	char name[300];

	if (!client_address_read(address, &client) || s->checks >= SCOUT_CHECKS_LIMIT) {
		on_done(arg, &nothing);
		return;
	}
	c = must_alloc(sizeof *c);
	c->scout = s;
	c->client = client;
	c->on_done = on_done;
	c->arg = arg;
	c->timer = loop_timer_new(s->loop, on_time, c);
	loop_timer_set(c->timer, SCOUT_REPLY_US);
	s->checks++;
	must(client_address_name(&client, client.is_v6 ? "ip6.arpa" : "in-addr.arpa", name,
				 sizeof name));
	ask(c, name, DNS_PTR, on_names, c);
	for (size_t i = 0; i < zones_n && c->zones_n < CONNECTION_ZONES_LIMIT; i++)
		ask_list(c, zones[i]);
}
