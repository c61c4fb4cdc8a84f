/*
 * Addresses of the primaries' hosts, for courier, watch and our own call-aheads. A backup MX must find the
 * primary again on the day the DNS is down too: what was once heard is given out for OLD_US when the DNS fails
 * (not when it says that there is no such host).
 */
#include "role/scout/scout.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/list.h"
#include "base/map.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "role/scout/cache.h"

#define HOSTS_LIMIT   1024
#define WAITERS_LIMIT 4096
#define FRESH_LEAST_S 1
#define FRESH_MOST_S  3600
#define OLD_US	      (7ull * 86400 * 1000000)

struct known_host {
	struct resolved last; /* ok */
	uint64_t fresh_until_us, old_until_us;
};

struct resolver {
	struct scout *scout;
	struct cache *known; /* host -> struct known_host */
	struct map lookups;  /* host -> struct lookup */
	unsigned waiters;
};

struct waiter {
	struct list link;
	void (*on_done)(void *arg, const struct resolved *found);
	void *arg;
};

struct lookup {
	struct resolver *resolver;
	char host[256];
	struct list waiters;
	unsigned open; /* answers to come: A, AAAA */
	struct resolved v4, v6;
	bool has_failed; /* an answer was no answer */
	uint32_t ttl_s;
};

struct resolver *resolver_new(struct scout *s)
{
	struct resolver *r = must_alloc(sizeof *r);

	r->scout = s;
	r->known = cache_new(HOSTS_LIMIT, sizeof(struct known_host));
	map_init(&r->lookups);
	return r;
}

static void tell_waiters(struct lookup *l, const struct resolved *found)
{
	struct list *first;

	while ((first = list_shift(&l->waiters))) {
		struct waiter *w = LIST_ENTRY(first, struct waiter, link);

		l->resolver->waiters--;
		w->on_done(w->arg, found);
		free(w);
	}
}

static void lookup_free(void *value)
{
	struct lookup *l = value;
	struct resolved ended = {.why = "scout is ending"};

	tell_waiters(l, &ended);
	free(l);
}

/* The DNS is gone by now, so no answer comes for what is freed here. */
void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	map_fini(&r->lookups, lookup_free);
	cache_free(r->known);
	free(r);
}

static void append(struct resolved *to, const struct resolved *from)
{
	for (size_t i = 0; i < from->n && to->n < RESOLVE_ADDRESSES_LIMIT; i++)
		memcpy(to->addresses[to->n++], from->addresses[i], RESOLVE_TEXT_BYTES);
}

static void remember(struct lookup *l, const struct resolved *found)
{
	struct resolver *r = l->resolver;
	struct known_host *k = cache_put(r->known, span_str(l->host));
	uint64_t now = loop_now_us(r->scout->loop);
	uint32_t ttl_s = l->ttl_s < FRESH_LEAST_S || l->has_failed ? FRESH_LEAST_S : l->ttl_s;

	k->last = *found;
	k->fresh_until_us = now + (uint64_t)(ttl_s > FRESH_MOST_S ? FRESH_MOST_S : ttl_s) * 1000000;
	k->old_until_us = now + OLD_US;
}

/* The DNS failed: what it said last, if it ever did. */
static void recall(struct lookup *l, struct resolved *found)
{
	struct resolver *r = l->resolver;
	struct known_host *k = cache_get(r->known, span_str(l->host));

	if (k && loop_now_us(r->scout->loop) < k->old_until_us) {
		*found = k->last;
		found->is_old = true;
	}
	(void)snprintf(found->why, sizeof found->why, "the DNS gives no answer for %.100s",
		       l->host);
}

static void finish(struct lookup *l)
{
	struct resolved found = l->v4;

	append(&found, &l->v6);
	found.ok = found.n > 0;
	if (found.ok)
		remember(l, &found);
	else if (l->has_failed)
		recall(l, &found);
	else
		(void)snprintf(found.why, sizeof found.why, "%.100s has no address in the DNS",
			       l->host);
	must(map_remove(&l->resolver->lookups, span_str(l->host)) == l);
	tell_waiters(l, &found);
	free(l);
}

static void take(struct lookup *l, struct resolved *out, int family, size_t bytes,
		 const struct dns_answer *answer)
{
	if (answer->rc != OK && answer->rc != MORE && answer->rc != REFUSED)
		l->has_failed = true;
	for (size_t i = 0; answer->rc == OK && i < answer->n && out->n < RESOLVE_ADDRESSES_LIMIT;
	     i++) {
		struct span data = answer->records[i].data;

		if (data.n == bytes &&
		    inet_ntop(family, data.p, out->addresses[out->n], RESOLVE_TEXT_BYTES))
			out->n++;
	}
	if (answer->rc == OK && answer->ttl_s < l->ttl_s)
		l->ttl_s = answer->ttl_s;
	if (--l->open == 0)
		finish(l);
}

static void on_v4(void *arg, const struct dns_answer *answer)
{
	struct lookup *l = arg;

	take(l, &l->v4, AF_INET, 4, answer);
}

static void on_v6(void *arg, const struct dns_answer *answer)
{
	struct lookup *l = arg;

	take(l, &l->v6, AF_INET6, 16, answer);
}

/* "192.0.2.1", "2001:db8::1", also in the brackets of SMTP's address literals. */
static bool is_literal(struct span host, struct resolved *out)
{
	unsigned char bytes[16];
	char *text = out->addresses[0];

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_of(host.p + 1, host.n - 2);
	if (span_starts_nocase(host, SPAN_LIT("IPv6:")))
		host = span_from(host, 5);
	if (!host.n || host.n >= RESOLVE_TEXT_BYTES || memchr(host.p, '\0', host.n))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	out->ok = inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
	out->n = out->ok;
	return out->ok;
}

static struct lookup *lookup_start(struct resolver *r, struct span host)
{
	struct scout *s = r->scout;
	struct lookup *l = must_alloc(sizeof *l);

	l->resolver = r;
	memcpy(l->host, host.p, host.n);
	list_init(&l->waiters);
	l->open = 2;
	l->ttl_s = UINT32_MAX;
	must(map_put(&r->lookups, host, l) == NULL);
	dns_ask(s->dns, l->host, DNS_A, s->config->dns_timeout_ms, on_v4, l);
	dns_ask(s->dns, l->host, DNS_AAAA, s->config->dns_timeout_ms, on_v6, l);
	return l;
}

void resolve_host(struct resolver *r, struct span host,
		  void (*on_done)(void *arg, const struct resolved *found), void *arg)
{
	struct resolved found = {0};
	struct known_host *k;
	struct lookup *l;
	struct waiter *w;
	unsigned char lower[253];

	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--;
	if (is_literal(host, &found)) {
		on_done(arg, &found);
		return;
	}
	if (!host_name_is_plain(host) || r->waiters >= WAITERS_LIMIT) {
		(void)snprintf(found.why, sizeof found.why,
			       r->waiters >= WAITERS_LIMIT ? "too many questions at once"
							   : "not a host name");
		on_done(arg, &found);
		return;
	}
	for (size_t i = 0; i < host.n; i++)
		lower[i] = ascii_lower(host.p[i]);
	host.p = lower;
	k = cache_get(r->known, host);
	if (k && loop_now_us(r->scout->loop) < k->fresh_until_us) {
		found = k->last;
		on_done(arg, &found);
		return;
	}
	l = map_get(&r->lookups, host);
	if (!l)
		l = lookup_start(r, host);
	w = must_alloc(sizeof *w);
	w->on_done = on_done;
	w->arg = arg;
	r->waiters++;
	list_append(&l->waiters, &w->link);
}
