/*
 * Call-ahead: asks a site's primary whether it takes a recipient, as far as RCPT and no further. What it says is
 * kept for a while here, and told to watch, which records it for the days when the primary cannot be asked.
 *
 * Several recipients of one domain go in one connection, with one random address: a primary that takes that one
 * takes everything, and its yes means little (catch_all). Few connections at a time for each site, and none for
 * REST_US after one could not be made: call-ahead must not be what keeps a struggling primary down.
 *
 * Only a clear "no such mailbox" is remembered as bad. Policy, greylisting, full mailboxes say nothing about
 * whether the recipient exists.
 */
#include "role/scout/scout.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "mail/address.h"
#include "os/os.h"
#include "publish/publish.h"
#include "role/common/primary_tls.h"
#include "role/common/smtp_probe.h"
#include "tls/tls.h"
#include "role/scout/cache.h"

#define VERDICTS_LIMIT	   20000
#define DOMAINS_LIMIT	   2000
#define LOOKUPS_LIMIT	   1024
#define WAITERS_LIMIT	   4096
#define CALLS_PER_SITE	   2
#define RCPTS_PER_CALL	   (SMTP_PROBE_RCPTS_LIMIT - 1) /* one is for the random address */
#define GOOD_US		   (3600ull * 1000000)
#define BAD_US		   (300ull * 1000000)
#define CATCH_ALL_US	   (3600ull * 1000000)
#define REST_US		   (30ull * 1000000)
#define CALL_MS		   15000
#define PRIMARIES_PER_CALL 3
#define TEXT_BYTES	   120

struct known_verdict {
	unsigned verdict;
	uint16_t code;
	uint64_t until_us;
	char text[TEXT_BYTES];
};

struct known_domain {
	bool is_catch_all;
	uint64_t until_us;
};

struct recipients {
	struct scout *scout;
	struct cache *verdicts; /* "site/address" -> struct known_verdict */
	struct cache *domains;	/* "site/domain" -> struct known_domain */
	struct map lookups;	/* "site/address" -> struct lookup */
	struct list sites;
	unsigned waiters;
	void (*on_learned)(void *arg, struct span address, const struct recipient_found *found);
	void *arg;
};

struct site {
	struct list link;
	struct recipients *recipients;
	char *name;
	struct list queue; /* struct lookup, not yet in a call */
	struct list calls;
	unsigned calls_n;
	uint64_t rest_until_us; /* could not be reached */
};

struct waiter {
	struct list link;
	void (*on_done)(void *arg, const struct recipient_found *found);
	void *arg;
};

struct lookup {
	struct list link; /* in the site's queue, or on its own in a call */
	struct site *site;
	struct address address;
	struct buf key;
	struct list waiters;
	struct loop_timer *timer; /* X1 */
	bool is_late;		  /* whoever comes now is told so at once */
};

/* One connection to a primary. */
struct call {
	struct list link;
	struct site *site;
	struct lookup *lookups[RCPTS_PER_CALL];
	size_t n;
	char random[ADDRESS_TEXT_BYTES]; /* "": not asked */
	unsigned tried;			 /* primaries */
	struct smtp_probe *probe;	 /* NULL: resolving */
	uint16_t port;
	struct tls_context *tls;
	bool tls_required;
	char host[256];
};

static const char unreachable[] = "no primary of the site could be asked";

static void pump(struct site *site);

/* --- telling */

static void tell_waiters(struct lookup *l, const struct recipient_found *found)
{
	struct list *first;

	loop_timer_clear(l->timer);
	while ((first = list_shift(&l->waiters))) {
		struct waiter *w = LIST_ENTRY(first, struct waiter, link);

		l->site->recipients->waiters--;
		w->on_done(w->arg, found);
		free(w);
	}
}

static void on_late(void *arg)
{
	static const struct recipient_found late = {.text = "the primary has not answered yet"};
	struct lookup *l = arg;

	l->is_late = true;
	tell_waiters(l, &late);
}

static void lookup_done(struct lookup *l, const struct recipient_found *found)
{
	must(map_remove(&l->site->recipients->lookups, buf_span(&l->key)) == l);
	list_remove(&l->link);
	tell_waiters(l, found);
	loop_timer_free(l->timer);
	buf_fini(&l->key);
	free(l);
}

static void lookup_unknown(struct lookup *l, const char *text)
{
	struct recipient_found found = {.text = text};

	lookup_done(l, &found);
}

/* --- keys: what is known belongs to a site */

static struct span key_of(struct buf *out, struct span site, struct span rest)
{
	buf_init(out, 0);
	(void)buf_append(out, site);
	(void)buf_append_byte(out, '/');
	(void)buf_append(out, rest);
	return buf_span(out);
}

static struct span address_key_span(const struct address *a, char out[ADDRESS_TEXT_BYTES])
{
	return span_of(out, address_key(a, out));
}

static const struct known_domain *domain_known(struct site *site, struct span domain)
{
	struct recipients *r = site->recipients;
	struct buf key;
	struct known_domain *d = cache_get(r->domains, key_of(&key, span_str(site->name), domain));

	buf_fini(&key);
	return d && loop_now_us(r->scout->loop) < d->until_us ? d : NULL;
}

static void domain_learn(struct site *site, struct span domain, bool is_catch_all)
{
	struct recipients *r = site->recipients;
	struct buf key;
	struct known_domain *d = cache_put(r->domains, key_of(&key, span_str(site->name), domain));

	buf_fini(&key);
	d->is_catch_all = is_catch_all;
	d->until_us = loop_now_us(r->scout->loop) + CATCH_ALL_US;
}

static void verdict_learn(struct lookup *l, const struct recipient_found *found)
{
	struct recipients *r = l->site->recipients;
	struct known_verdict *v = cache_put(r->verdicts, buf_span(&l->key));

	v->verdict = found->verdict;
	v->code = found->code;
	v->until_us =
		loop_now_us(r->scout->loop) + (found->verdict == RECIPIENT_GOOD ? GOOD_US : BAD_US);
	(void)snprintf(v->text, sizeof v->text, "%s", found->text);
	r->on_learned(r->arg, address_span(&l->address), found);
}

/* --- what a reply means */

/*
 * Enhanced codes (RFC 3463): X.1.x is about the address (but 7 and 8 are about the sender's), and X.4.1 with 550
 * is what Exchange Online says for a recipient its directory does not have. Without one, 550, 551 and 553.
 */
static bool is_no_such_mailbox(const struct smtp_probe_rcpt *p)
{
	struct span e = span_str(p->enhanced);

	if (p->code < 500 || p->code > 599)
		return false;
	if (!e.n)
		return p->code == 550 || p->code == 551 || p->code == 553;
	if (span_eq(e, SPAN_LIT("5.1.7")) || span_eq(e, SPAN_LIT("5.1.8")))
		return false;
	return span_starts(e, SPAN_LIT("5.1.")) ||
	       (p->code == 550 && span_eq(e, SPAN_LIT("5.4.1")));
}

static void take_reply(struct lookup *l, const struct smtp_probe_rcpt *p)
{
	const struct known_domain *d = domain_known(l->site, address_domain(&l->address));
	struct recipient_found found = {
		.code = p->code, .text = p->text, .catch_all = d && d->is_catch_all};

	if (p->code >= 200 && p->code < 300)
		found.verdict = RECIPIENT_GOOD;
	else if (is_no_such_mailbox(p))
		found.verdict = RECIPIENT_BAD;
	else
		found.verdict = RECIPIENT_UNKNOWN;
	found.is_new = found.verdict != RECIPIENT_UNKNOWN;
	if (found.is_new)
		verdict_learn(l, &found);
	lookup_done(l, &found);
}

/* --- calls */

static const struct msg_site *site_config(const struct site *site)
{
	const struct msg_config *config = site->recipients->scout->config;

	for (size_t i = 0; i < config->sites_n; i++) {
		if (span_eq(config->sites[i].name, span_str(site->name)))
			return &config->sites[i];
	}
	return NULL;
}

static void call_free(struct call *c)
{
	smtp_probe_cancel(c->probe);
	list_remove(&c->link);
	c->site->calls_n--;
	tls_context_unref(c->tls);
	free(c);
}

static void call_unknown(struct call *c, const char *text)
{
	for (size_t i = 0; i < c->n; i++)
		lookup_unknown(c->lookups[i], text);
	c->n = 0;
}

static void call_take(struct call *c, const struct smtp_probe_result *result)
{
	if (c->random[0] && result->rcpts_n > c->n && result->rcpts[c->n].code) {
		const struct smtp_probe_rcpt *random = &result->rcpts[c->n];
		bool is_taken = random->code >= 200 && random->code < 300;

		if (is_taken || is_no_such_mailbox(random))
			domain_learn(c->site, address_domain(&c->lookups[0]->address), is_taken);
	}
	for (size_t i = 0; i < c->n; i++) {
		if (i < result->rcpts_n && result->rcpts[i].code)
			take_reply(c->lookups[i], &result->rcpts[i]);
		else
			lookup_unknown(c->lookups[i], result->text);
	}
	c->n = 0;
}

static void call_next(struct call *c);

static void on_probed(void *arg, const struct smtp_probe_result *result)
{
	struct call *c = arg;
	struct site *site = c->site;

	c->probe = NULL;
	if (result->class == SMTP_PROBE_FINE || result->class == SMTP_PROBE_RCPT) {
		call_take(c, result);
		call_free(c);
		pump(site);
		return;
	}
	call_next(c);
}

/* "1.2.3.4" and a port as a socket address. */
static socklen_t to_socket(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof *v6;
}

/* A name of our own that can be answered to, unless the node's name is not whole. */
static struct span own_sender(const struct scout *s, char out[300])
{
	if (span_chr(s->config->node, '.') < 0 || s->config->node.n > 253)
		return SPAN_NONE;
	(void)snprintf(out, 300, "postmaster@%.*s", SPAN_FMT(s->config->node));
	return span_str(out);
}

static void on_resolved(void *arg, const struct resolved *found)
{
	struct call *c = arg;
	struct scout *s = c->site->recipients->scout;
	struct span rcpts[SMTP_PROBE_RCPTS_LIMIT];
	char sender[300];
	struct smtp_probe_options o = {.host_name = c->host,
				       .helo = s->config->node,
				       .tls = c->tls,
				       .tls_required = c->tls_required,
				       .plain_after_tls_failure = true,
				       .sender = own_sender(s, sender),
				       .rcpts = rcpts,
				       .deadline_ms = CALL_MS};

	if (found->ok)
		o.to_n = to_socket(found->addresses[0], c->port, &o.to);
	if (!o.to_n) {
		call_next(c);
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		rcpts[o.rcpts_n++] = address_span(&c->lookups[i]->address);
	if (c->random[0])
		rcpts[o.rcpts_n++] = span_str(c->random);
	c->probe = smtp_probe_start(s->loop, &o, on_probed, c);
}

/* The n-th primary by priority; NULL: there are no more. */
static const struct msg_primary *primary_at(const struct msg_site *site, unsigned n)
{
	for (size_t i = 0; i < site->primaries_n; i++) {
		unsigned before = 0;

		for (size_t j = 0; j < site->primaries_n; j++) {
			uint32_t a = site->primaries[j].priority, b = site->primaries[i].priority;

			before += a < b || (a == b && j < i);
		}
		if (before == n)
			return &site->primaries[i];
	}
	return NULL;
}

/* Tries the next primary, or gives up. */
static void call_next(struct call *c)
{
	struct site *site = c->site;
	struct recipients *r = site->recipients;
	const struct msg_site *config = site_config(site);
	const struct msg_primary *p = NULL;

	if (config && c->tried < PRIMARIES_PER_CALL)
		p = primary_at(config, c->tried++);
	if (!p) {
		site->rest_until_us = loop_now_us(r->scout->loop) + REST_US;
		call_unknown(c, unreachable);
		call_free(c);
		pump(site);
		return;
	}
	c->port = p->port;
	tls_context_unref(c->tls);
	c->tls = primary_tls_for(r->scout->tls, config);
	c->tls_required = primary_tls_is_required(config);
	(void)snprintf(c->host, sizeof c->host, "%.*s", SPAN_FMT(span_first(p->host, 253)));
	resolve_host(r->scout->resolver, p->host, on_resolved, c);
}

static void choose_random(struct call *c)
{
	struct scout *s = c->site->recipients->scout;
	struct span domain = address_domain(&c->lookups[0]->address);
	unsigned char bytes[10];

	os_random(s->os, bytes, sizeof bytes);
	(void)snprintf(c->random, sizeof c->random,
		       "nobody-%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x@%.*s", bytes[0], bytes[1],
		       bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8],
		       bytes[9], SPAN_FMT(domain));
}

static void call_start(struct site *site)
{
	struct call *c = must_alloc(sizeof *c);
	struct lookup *first = LIST_ENTRY(site->queue.next, struct lookup, link);
	struct span domain = address_domain(&first->address);

	c->site = site;
	list_append(&site->calls, &c->link);
	site->calls_n++;
	LIST_EACH_SAFE (at, &site->queue) {
		struct lookup *l = LIST_ENTRY(at, struct lookup, link);

		if (c->n == RCPTS_PER_CALL)
			break;
		if (!span_eq(address_domain(&l->address), domain))
			continue;
		list_remove(&l->link);
		c->lookups[c->n++] = l;
	}
	if (!domain_known(site, domain))
		choose_random(c);
	call_next(c);
}

static bool is_resting(const struct site *site)
{
	return loop_now_us(site->recipients->scout->loop) < site->rest_until_us;
}

static void pump(struct site *site)
{
	while (is_resting(site) && !list_is_empty(&site->queue))
		lookup_unknown(LIST_ENTRY(site->queue.next, struct lookup, link), unreachable);
	while (!list_is_empty(&site->queue) && site->calls_n < CALLS_PER_SITE)
		call_start(site);
}

/* --- asking */

static struct site *site_find(struct recipients *r, struct span name)
{
	struct site *site;

	LIST_EACH (at, &r->sites) {
		site = LIST_ENTRY(at, struct site, link);
		if (span_eq(span_str(site->name), name))
			return site;
	}
	site = must_alloc(sizeof *site);
	site->recipients = r;
	site->name = must_alloc(name.n + 1);
	memcpy(site->name, name.p, name.n);
	list_init(&site->queue);
	list_init(&site->calls);
	list_append(&r->sites, &site->link);
	return site;
}

/* Is it an address of a domain of this site? */
static bool is_ours(const struct recipients *r, struct span site, const struct address *a)
{
	const struct msg_config *config = r->scout->config;

	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq(config->domains[i].site, site) &&
		    span_eq(config->domains[i].name, address_domain(a)))
			return true;
	}
	return false;
}

static bool tell_known(struct site *site, const struct address *a, struct span key,
		       void (*on_done)(void *arg, const struct recipient_found *found), void *arg)
{
	struct recipients *r = site->recipients;
	const struct known_verdict *v = cache_get(r->verdicts, key);
	const struct known_domain *d = domain_known(site, address_domain(a));
	struct recipient_found found = {.catch_all = d && d->is_catch_all};

	if (!v || loop_now_us(r->scout->loop) >= v->until_us)
		return false;
	found.verdict = v->verdict;
	found.code = v->code;
	found.text = v->text;
	on_done(arg, &found);
	return true;
}

static struct lookup *lookup_start(struct site *site, const struct address *a, struct span key)
{
	struct lookup *l = must_alloc(sizeof *l);

	l->site = site;
	l->address = *a;
	(void)buf_append(&l->key, key);
	list_init(&l->waiters);
	l->timer = loop_timer_new(site->recipients->scout->loop, on_late, l);
	loop_timer_set(l->timer, SCOUT_REPLY_US);
	must(map_put(&site->recipients->lookups, key, l) == NULL);
	list_append(&site->queue, &l->link);
	return l;
}

static void ask_site(struct site *site, const struct address *a, struct span key,
		     void (*on_done)(void *arg, const struct recipient_found *found), void *arg)
{
	struct recipients *r = site->recipients;
	struct lookup *l = map_get(&r->lookups, key);
	struct recipient_found found = {0};
	struct waiter *w;

	if (l && l->is_late)
		found.text = "the primary has not answered yet";
	else if (!l && is_resting(site))
		found.text = unreachable;
	else if ((!l && r->lookups.n >= LOOKUPS_LIMIT) || r->waiters >= WAITERS_LIMIT)
		found.text = "too many questions at once";
	if (found.text) {
		on_done(arg, &found);
		return;
	}
	if (!l)
		l = lookup_start(site, a, key);
	w = must_alloc(sizeof *w);
	w->on_done = on_done;
	w->arg = arg;
	r->waiters++;
	list_append(&l->waiters, &w->link);
	pump(site);
}

void recipient_ask(struct recipients *r, struct span site_name, struct span address,
		   void (*on_done)(void *arg, const struct recipient_found *found), void *arg)
{
	static const struct recipient_found foreign = {.text = "not an address of that site"};
	char text[ADDRESS_TEXT_BYTES];
	struct address a;
	struct site *site;
	struct buf key;

	/* The probe does not speak SMTPUTF8. */
	if (address_parse(address, false, &a) != ADDRESS_FINE || a.needs_utf8 ||
	    !is_ours(r, site_name, &a)) {
		on_done(arg, &foreign);
		return;
	}
	site = site_find(r, site_name);
	(void)key_of(&key, site_name, address_key_span(&a, text));
	if (!tell_known(site, &a, buf_span(&key), on_done, arg))
		ask_site(site, &a, buf_span(&key), on_done, arg);
	buf_fini(&key);
}

/* --- life */

struct recipients *recipients_new(struct scout *s,
				  void (*on_learned)(void *arg, struct span address,
						     const struct recipient_found *found),
				  void *arg)
{
	struct recipients *r = must_alloc(sizeof *r);

	r->scout = s;
	r->verdicts = cache_new(VERDICTS_LIMIT, sizeof(struct known_verdict));
	r->domains = cache_new(DOMAINS_LIMIT, sizeof(struct known_domain));
	map_init(&r->lookups);
	list_init(&r->sites);
	r->on_learned = on_learned;
	r->arg = arg;
	return r;
}

void recipients_reload(struct recipients *r)
{
	cache_free(r->verdicts);
	cache_free(r->domains);
	r->verdicts = cache_new(VERDICTS_LIMIT, sizeof(struct known_verdict));
	r->domains = cache_new(DOMAINS_LIMIT, sizeof(struct known_domain));
	LIST_EACH (at, &r->sites)
		LIST_ENTRY(at, struct site, link)->rest_until_us = 0;
}

static void site_free(struct site *site)
{
	while (!list_is_empty(&site->queue))
		lookup_unknown(LIST_ENTRY(site->queue.next, struct lookup, link),
			       "scout is ending");
	while (!list_is_empty(&site->calls)) {
		struct call *c = LIST_ENTRY(site->calls.next, struct call, link);

		call_unknown(c, "scout is ending");
		call_free(c);
	}
	list_remove(&site->link);
	free(site->name);
	free(site);
}

void recipients_free(struct recipients *r)
{
	if (!r)
		return;
	while (!list_is_empty(&r->sites))
		site_free(LIST_ENTRY(r->sites.next, struct site, link));
	map_fini(&r->lookups, NULL);
	cache_free(r->verdicts);
	cache_free(r->domains);
	free(r);
}
