#include "role/edge/policy.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/must.h"
#include "mail/received.h"

enum {
	RECIPIENTS_MOST =
		1000, /* of one message, whatever is configured: the record's meta has a limit */
	RECIPIENTS_LEAST = 100, /* RFC 5321 s4.5.3.1.8 */
};

/* ---- lists ---- */

bool edge_list_has_peer(const struct edge_list *list, const struct sockaddr_storage *peer)
{
	return nets_have(list->nets, list->nets_n, peer);
}

/* "example.org" and ".example.org" stand for the name itself (not with the dot) and all below it.
 * */
static bool is_name_or_below(struct span name, struct span suffix)
{
	if (suffix.n && suffix.p[0] == '.')
		return span_ends_nocase(name, suffix);
	return span_eq_nocase(name, suffix) ||
	       (name.n > suffix.n && name.p[name.n - suffix.n - 1] == '.' &&
		span_ends_nocase(name, suffix));
}

bool edge_list_has_name(const struct edge_list *list, struct span host, struct span sender)
{
	struct span local, domain = SPAN_NONE;

	(void)address_split(sender, &local, &domain);
	for (size_t i = 0; i < list->names_n; i++) {
		struct span name = list->names[i];

		if (span_chr(name, '@') >= 0 ? span_eq_nocase(sender, name)
					     : (host.n && is_name_or_below(host, name)) ||
						       (domain.n && is_name_or_below(domain, name)))
			return true;
	}
	return false;
}

static void list_fill(struct arena *a, struct edge_list *list, const struct span *items, size_t n)
{
	list->nets = arena_array(a, n ? n : 1, sizeof *list->nets);
	list->names = arena_array(a, n ? n : 1, sizeof *list->names);
	for (size_t i = 0; i < n; i++) {
		if (net_parse(items[i], &list->nets[list->nets_n]))
			list->nets_n++;
		else
			list->names[list->names_n++] = arena_span(a, items[i]);
	}
}

/* ---- domains and recipients ---- */

static void add_recipient(struct edge_policy *p, struct edge_domain *d, struct span text)
{
	struct address a;
	char key[ADDRESS_TEXT_BYTES];
	size_t n;

	text = span_trim(text);
	if (text.n == 0 || text.p[0] == '#')
		return;
	d->has_list = true;
	if (text.p[0] == '@') {
		d->is_catch_all = true;
		return;
	}
	if (address_parse(text, true, &a) != ADDRESS_FINE)
		return; /* the configuration was checked before it came here; lines of files may be anything */
	n = address_key(&a, key);
	(void)map_put(&p->recipients, span_of(key, n), d);
}

static void add_copies(struct edge_policy *p, struct edge_domain *d, const struct msg_domain *from)
{
	char key[ADDRESS_TEXT_BYTES];

	d->is_journal = span_eq(from->mode, SPAN_LIT("journal"));
	list_fill(&p->arena, &d->copiers, from->journal_from, from->journal_from_n);
	d->reports = arena_array(&p->arena, from->journal_to_n + 1, sizeof *d->reports);
	for (size_t i = 0; i < from->journal_to_n; i++) {
		size_t n = address_key_of(from->journal_to[i], key);

		if (n)
			d->reports[d->reports_n++] = arena_span(&p->arena, span_of(key, n));
	}
}

static void add_domain(struct edge_policy *p, const struct msg_domain *from)
{
	struct edge_domain *d = &p->domains[p->domains_n++];

	*d = (struct edge_domain){
		.name = arena_span(&p->arena, from->name),
		.site = arena_span(&p->arena, from->site),
		.is_gated = span_eq(from->mode, SPAN_LIT("gated")),
		.learns = from->learn,
		.is_catch_all = from->catch_all.n > 0,
		.unknown = span_eq(from->unknown, SPAN_LIT("reject"))	  ? EDGE_UNKNOWN_REJECT
			   : span_eq(from->unknown, SPAN_LIT("tempfail")) ? EDGE_UNKNOWN_TEMPFAIL
									  : EDGE_UNKNOWN_HOLD,
	};
	for (size_t i = 0; i < from->recipients_n; i++)
		add_recipient(p, d, from->recipients[i]);
	for (size_t i = 0; i < from->recipient_files_n; i++) {
		struct span rest = from->recipient_files[i];

		while (rest.n)
			add_recipient(p, d, span_cut(&rest, '\n'));
	}
	add_copies(p, d, from);
	(void)map_put(&p->by_name, d->name, d);
}

const struct edge_domain *edge_policy_domain(const struct edge_policy *p, struct span name)
{
	return map_get(&p->by_name, name);
}

enum edge_copy edge_policy_copy(const struct edge_domain *d, const struct address *a)
{
	char key[ADDRESS_TEXT_BYTES];
	size_t n = address_key(a, key);

	for (size_t i = 0; i < d->reports_n; i++) {
		if (span_eq(d->reports[i], span_of(key, n)))
			return EDGE_REPORT;
	}
	return d->is_journal ? EDGE_COPY : EDGE_NO_COPY;
}

bool edge_policy_is_copier(const struct edge_policy *p, const struct sockaddr_storage *peer)
{
	for (size_t i = 0; i < p->domains_n; i++) {
		if (edge_list_has_peer(&p->domains[i].copiers, peer))
			return true;
	}
	return false;
}

static bool has_key(const struct edge_policy *p, const struct address *a)
{
	char key[ADDRESS_TEXT_BYTES];
	size_t n = address_key(a, key);

	return map_get(&p->recipients, span_of(key, n)) != NULL;
}

bool edge_policy_lists(const struct edge_policy *p, const struct address *a)
{
	struct address base;

	return has_key(p, a) || (address_without_detail(a, &base) && has_key(p, &base));
}

/* ---- the whole ---- */

static void fill_service(struct edge_policy *p, bool has_tls)
{
	const struct msg_limits *l = &p->limits;
	unsigned recipients = l->recipients < RECIPIENTS_LEAST ? RECIPIENTS_LEAST : l->recipients;
	uint64_t command_us =
		l->command_timeout_ms ? l->command_timeout_ms * 1000ull : 300000000ull;
	uint64_t data_us = l->data_timeout_ms ? l->data_timeout_ms * 1000ull : 600000000ull;

	p->service = (struct smtp_service){
		.node = p->node,
		.postmaster_domain = p->domains_n ? p->domains[0].name : SPAN_NONE,
		.limits =
			{
				.message_bytes = l->message_bytes,
				.recipients = recipients,
				.errors = l->errors_per_session ? l->errors_per_session : 20,
				.idle_commands = 100,
				.command_us = command_us,
				.data_us = data_us,
				.bad_data_us = 5000000,
			},
		.has_tls = has_tls,
	};
}

struct edge_policy *edge_policy_new(const struct msg_config *config, bool has_tls)
{
	struct edge_policy *p = must_alloc(sizeof *p);
	struct buf mark = {0};

	p->refs = 1;
	arena_init(&p->arena, 0);
	map_init(&p->by_name);
	map_init(&p->recipients);
	p->limits = config->limits;
	p->node = arena_span(&p->arena, config->node);
	received_mark(&mark, config->node);
	p->mark = arena_span(&p->arena, buf_span(&mark));
	buf_fini(&mark);
	p->domains = arena_array(&p->arena, config->domains_n + 1, sizeof *p->domains);
	for (size_t i = 0; i < config->domains_n; i++)
		add_domain(p, &config->domains[i]);
	p->domains[p->domains_n] = (struct edge_domain){.site = SPAN_LIT(EDGE_WORLD)};
	list_fill(&p->arena, &p->allow, config->allow, config->allow_n);
	list_fill(&p->arena, &p->deny, config->deny, config->deny_n);
	list_fill(&p->arena, &p->own, config->own_networks, config->own_networks_n);
	list_fill(&p->arena, &p->proxies, config->proxy_from, config->proxy_from_n);
	p->zones_n = config->dnsbl_n;
	p->zones = arena_array(&p->arena, p->zones_n + 1, sizeof *p->zones);
	for (size_t i = 0; i < p->zones_n; i++)
		p->zones[i] = arena_span(&p->arena, config->dnsbl[i]);
	p->asks_spf = config->spf;
	p->wants_host_name = p->allow.names_n + p->deny.names_n > 0;
	fill_service(p, has_tls);
	return p;
}

struct edge_policy *edge_policy_ref(struct edge_policy *p)
{
	p->refs++;
	return p;
}

void edge_policy_unref(struct edge_policy *p)
{
	if (!p || --p->refs > 0)
		return;
	map_fini(&p->by_name, NULL);
	map_fini(&p->recipients, NULL);
	arena_fini(&p->arena);
	free(p);
}
