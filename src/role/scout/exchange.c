/*
 * Where mail for a foreign domain goes (RFC 5321 s5.1): its mail exchangers with their addresses, what the DNS says of
 * their keys (TLSA, RFC 7672, only where the whole way is signed), and what its MTA-STS policy asks (sts.c).
 *
 *   E1  No MX record: the domain itself. One MX ".": it takes no mail (RFC 7505). No such domain: never.
 *   E2  Never to ourselves: our own name among them, and all that are no better, are left out; so are loopback and
 *       unspecified addresses. Nothing left: try later (N-08).
 *   E3  A failed DNS answer is "later", for the one host or for all; a TLSA question that fails costs the host
 *       (RFC 7672 s2.1.2), for it may be an attack.
 *   E4  At most EXCHANGE_HOSTS hosts are looked at; each question has the configured time.
 */
#include "role/scout/scout.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/loop.h"

struct host_search {
	struct exchange *exchange;
	struct exchange_host *host;
	unsigned open; /* A, AAAA */
	bool has_failed;
};

struct exchange {
	struct scout *scout;
	char domain[256];
	struct exchange_found found;
	struct host_search searches[EXCHANGE_HOSTS];
	unsigned open; /* questions, of hosts and of the policy */
	struct sts_policy policy;
	bool has_policy;
	void (*on_done)(void *arg, const struct exchange_found *found);
	void *arg;
};

static void conclude(struct exchange *x, unsigned verdict, const char *why)
{
	x->found.verdict = verdict;
	(void)snprintf(x->found.why, sizeof x->found.why, "%s", why);
	x->scout->checks--;
	x->on_done(x->arg, &x->found);
	free(x);
}

/* ---- the end ---- */

static void drop_host(struct exchange *x, size_t i)
{
	x->found.n--;
	memmove(&x->found.hosts[i], &x->found.hosts[i + 1],
		(x->found.n - i) * sizeof x->found.hosts[0]);
}

static void finish(struct exchange *x)
{
	const char *why = "none of the domain's mail exchangers has an address that can be used";
	bool is_enforced = x->has_policy && x->policy.mode == STS_ENFORCE;

	for (size_t i = 0; i < x->found.n;) {
		struct exchange_host *h = &x->found.hosts[i];

		if (is_enforced && !sts_allows(&x->policy, span_str(h->name))) {
			why = "the domain's MTA-STS policy allows none of its mail exchangers";
			drop_host(x, i);
		} else if (h->is_unusable || h->addresses_n == 0) {
			drop_host(x, i);
		} else {
			i++;
		}
	}
	x->found.is_enforced = is_enforced;
	conclude(x, x->found.n ? EXCHANGE_HOSTS_THERE : EXCHANGE_LATER, x->found.n ? "" : why);
}

static void one_less(struct exchange *x)
{
	if (--x->open == 0)
		finish(x);
}

/* ---- TLSA ---- */

static void on_tlsa(void *arg, const struct dns_answer *answer)
{
	struct host_search *s = arg;
	struct exchange_host *h = s->host;

	if (answer->rc != OK && answer->rc != MORE && answer->rc != REFUSED)
		h->is_unusable = true; /* E3 */
	h->dane = answer->rc == OK && answer->secure && answer->n > 0;
	for (size_t i = 0; h->dane && i < answer->n && h->tlsa_n < EXCHANGE_TLSA; i++) {
		struct span d = answer->records[i].data;
		struct exchange_tlsa *t = &h->tlsa[h->tlsa_n];

		if (d.n <= 3 || d.n - 3 > sizeof t->data || (d.p[0] != 2 && d.p[0] != 3) ||
		    d.p[1] > 1 || d.p[2] > 2)
			continue;
		*t = (struct exchange_tlsa){
			.usage = d.p[0], .selector = d.p[1], .matching = d.p[2], .n = d.n - 3};
		memcpy(t->data, d.p + 3, t->n);
		h->tlsa_n++;
	}
	one_less(s->exchange);
}

static void ask_tlsa(struct host_search *s)
{
	struct scout *scout = s->exchange->scout;
	char name[EXCHANGE_NAME + 10];

	(void)snprintf(name, sizeof name, "_25._tcp.%s", s->host->name);
	dns_ask(scout->dns, name, DNS_TLSA, scout->config->dns_timeout_ms, on_tlsa, s);
}

/* ---- addresses ---- */

/* E2. */
static bool is_usable(int family, const unsigned char *p)
{
	static const unsigned char zero[15];

	if (family == AF_INET)
		return p[0] != 0 && p[0] != 127 && p[0] < 224;
	if (memcmp(p, zero, 15) == 0 && p[15] <= 1)
		return false;
	if (memcmp(p, zero, 10) == 0 && p[10] == 0xff && p[11] == 0xff)
		return is_usable(AF_INET, p + 12);
	return p[0] != 0xff;
}

static void addresses_done(struct host_search *s)
{
	struct exchange *x = s->exchange;

	if (s->has_failed && s->host->addresses_n == 0)
		s->host->is_unusable = true;
	if (x->scout->config->dane && x->found.is_secure && s->host->is_secure &&
	    s->host->addresses_n)
		ask_tlsa(s);
	else
		one_less(x);
}

static void take(struct host_search *s, int family, size_t bytes, const struct dns_answer *answer)
{
	struct exchange_host *h = s->host;

	if (answer->rc != OK && answer->rc != MORE && answer->rc != REFUSED)
		s->has_failed = true;
	h->is_secure = h->is_secure && (answer->secure || answer->rc != OK);
	for (size_t i = 0; answer->rc == OK && i < answer->n && h->addresses_n < EXCHANGE_ADDRESSES;
	     i++) {
		struct span d = answer->records[i].data;

		if (d.n == bytes &&
		    (s->exchange->scout->allows_loopback || is_usable(family, d.p)) &&
		    inet_ntop(family, d.p, h->addresses[h->addresses_n], RESOLVE_TEXT_BYTES))
			h->addresses_n++;
	}
	if (--s->open == 0)
		addresses_done(s);
}

static void on_v4(void *arg, const struct dns_answer *answer)
{
	take(arg, AF_INET, 4, answer);
}

static void on_v6(void *arg, const struct dns_answer *answer)
{
	take(arg, AF_INET6, 16, answer);
}

static void ask_hosts(struct exchange *x)
{
	struct scout *s = x->scout;

	x->open += (unsigned)x->found.n;
	for (size_t i = 0; i < x->found.n; i++) {
		struct host_search *h = &x->searches[i];

		*h = (struct host_search){.exchange = x, .host = &x->found.hosts[i], .open = 2};
		h->host->is_secure = true;
		dns_ask(s->dns, h->host->name, DNS_A, s->config->dns_timeout_ms, on_v4, h);
		dns_ask(s->dns, h->host->name, DNS_AAAA, s->config->dns_timeout_ms, on_v6, h);
	}
	one_less(x);
}

/* ---- MX ---- */

static void add_host(struct exchange *x, struct span name, uint16_t preference)
{
	struct exchange_host *h;
	size_t at = x->found.n;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!host_name_is_plain(name) || name.n >= EXCHANGE_NAME)
		return;
	while (at > 0 && x->found.hosts[at - 1].preference > preference)
		at--;
	if (at == EXCHANGE_HOSTS)
		return;
	if (x->found.n == EXCHANGE_HOSTS)
		x->found.n--; /* the worst makes room */
	memmove(&x->found.hosts[at + 1], &x->found.hosts[at], (x->found.n - at) * sizeof *h);
	x->found.n++;
	h = &x->found.hosts[at];
	*h = (struct exchange_host){.preference = preference};
	for (size_t i = 0; i < name.n; i++)
		h->name[i] = (char)ascii_lower(name.p[i]);
}

/* E2: we are one of them: only better ones are for us (RFC 5321 s5.1). False: none is left. */
static bool leave_ourselves_out(struct exchange *x)
{
	for (size_t i = 0; i < x->found.n; i++) {
		if (!span_eq_nocase(span_str(x->found.hosts[i].name), x->scout->config->node))
			continue;
		while (x->found.n &&
		       x->found.hosts[x->found.n - 1].preference >= x->found.hosts[i].preference)
			x->found.n--;
		return x->found.n > 0;
	}
	return true;
}

static bool is_null_mx(const struct dns_answer *answer)
{
	struct span name = answer->n == 1 ? answer->records[0].data : SPAN_LIT("x");

	return name.n == 0 || span_eq(name, SPAN_LIT("."));
}

static void on_policy(void *arg, const struct sts_policy *policy)
{
	struct exchange *x = arg;

	if (policy) {
		x->policy = *policy;
		x->has_policy = true;
	}
	one_less(x);
}

static void on_mx(void *arg, const struct dns_answer *answer)
{
	struct exchange *x = arg;
	char why[400];

	x->found.is_secure = answer->secure;
	if (answer->rc == REFUSED) {
		(void)snprintf(why, sizeof why, "there is no domain %.250s", x->domain);
		conclude(x, EXCHANGE_NEVER, why);
		return;
	}
	if (answer->rc != OK && answer->rc != MORE) {
		(void)snprintf(why, sizeof why, "the DNS gives no answer for %.250s", x->domain);
		conclude(x, EXCHANGE_LATER, why);
		return;
	}
	if (answer->rc == OK && is_null_mx(answer)) {
		conclude(x, EXCHANGE_NEVER, "null MX: the domain takes no mail (RFC 7505)");
		return;
	}
	if (answer->rc == MORE)
		add_host(x, span_str(x->domain), 0);
	for (size_t i = 0; answer->rc == OK && i < answer->n; i++)
		add_host(x, answer->records[i].data, answer->records[i].preference);
	if (!leave_ourselves_out(x)) {
		conclude(x, EXCHANGE_LATER,
			 "its mail exchanger is this machine, which is not set up for the domain");
		return;
	}
	if (x->found.n == 0) {
		conclude(x, EXCHANGE_LATER, "its MX records name no host");
		return;
	}
	x->open = 2; /* the policy, and one that is held until all is asked */
	sts_find(x->scout->sts, span_str(x->domain), on_policy, x);
	ask_hosts(x);
}

void exchange_find(struct scout *s, struct span domain,
		   void (*on_done)(void *arg, const struct exchange_found *found), void *arg)
{
	struct exchange *x;

	if (!host_name_is_plain(domain) || s->checks >= SCOUT_CHECKS_LIMIT) {
		struct exchange_found *none = must_alloc(sizeof *none);

		none->verdict = s->checks >= SCOUT_CHECKS_LIMIT ? EXCHANGE_LATER : EXCHANGE_NEVER;
		(void)snprintf(none->why, sizeof none->why,
			       s->checks >= SCOUT_CHECKS_LIMIT ? "too many questions at once"
							       : "not a domain");
		on_done(arg, none);
		free(none);
		return;
	}
	x = must_alloc(sizeof *x);
	x->scout = s;
	memcpy(x->domain, domain.p, domain.n);
	x->on_done = on_done;
	x->arg = arg;
	s->checks++;
	dns_ask(s->dns, x->domain, DNS_MX, s->config->dns_timeout_ms, on_mx, x);
}
