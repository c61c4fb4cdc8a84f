/* Sites and their primaries. */
#include "config/fill_internal.h"

#include "base/ascii.h"
#include "mail/address.h"

/* A name that can stand in a file, a metric label and a command line without quoting. */
static bool is_site_name(struct span s)
{
	if (s.n == 0 || s.n > 64 || !ascii_is_alnum(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	}
	return true;
}

struct span fill_host(struct fill *f, const char *given, struct tree *at)
{
	struct span text = span_str(given), inside = text;
	char name[ADDRESS_DOMAIN_LIMIT + 1];
	size_t n;

	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		inside = span_of(text.p + 1, text.n - 2);
	if (units_is_ip(inside))
		return arena_span(f->c->arena, inside);
	if (domain_normalise(text, true, name, &n) == ADDRESS_FINE)
		return arena_span(f->c->arena, span_of(name, n));
	fill_bad(f, at, span_chr(text, ':') >= 0 ? "the port is a key of its own: port: 25" : NULL,
		 "`%s` is not a host name or address", config_show(f->c, text));
	return arena_span(f->c->arena, text);
}

static void fill_primaries(struct fill *f, const struct raw_site *raw, struct tree *at,
			   struct msg_site *out)
{
	struct tree *list = tree_get(at, "primaries");

	out->primaries =
		arena_array(f->c->arena, raw->primaries_count + 1u, sizeof *out->primaries);
	out->primaries_n = raw->primaries_count;
	for (uint32_t i = 0; i < raw->primaries_count; i++) {
		const struct raw_primary *r = &raw->primaries[i];
		struct tree *t = tree_item(list, i);
		struct msg_primary *p = &out->primaries[i];

		p->host = fill_host(f, r->host, tree_get(t, "host"));
		p->port = (uint16_t)fill_number(f, r->port, 25, 1, 65535, tree_get(t, "port"));
		p->weight = fill_number(f, r->weight, 1, 1, 1000, tree_get(t, "weight"));
		p->priority = fill_number(f, r->priority, 10, 0, 65535, tree_get(t, "priority"));
		for (uint32_t j = 0; j < i; j++) {
			if (span_eq(out->primaries[j].host, p->host) &&
			    out->primaries[j].port == p->port)
				fill_bad(f, tree_get(t, "host"), "remove one of them",
					 "`%.*s` is named twice", SPAN_FMT(p->host));
		}
	}
}

static void fill_probe(struct fill *f, const struct raw_probe *given, struct tree *t,
		       struct msg_site *out)
{
	static const struct raw_probe none;
	const struct raw_probe *r = given ? given : &none;
	struct address a;

	out->probe_every_ms =
		(uint32_t)fill_duration(f, r->every, 5000, 200, 3600000, tree_get(t, "every"));
	out->probe_fail = fill_number(f, r->fail, 3, 1, 100, tree_get(t, "fail"));
	out->probe_recover = fill_number(f, r->recover, 3, 1, 100, tree_get(t, "recover"));
	if (!r->recipient)
		return;
	if (address_parse(span_str(r->recipient), true, &a) != ADDRESS_FINE) {
		fill_bad(f, tree_get(t, "recipient"), "write local@domain",
			 "`%s` is not a mail address", config_show(f->c, span_str(r->recipient)));
		return;
	}
	out->probe_recipient = arena_span(f->c->arena, address_span(&a));
}

static void fill_tls_ca(struct fill *f, size_t site, const struct raw_site *raw, struct tree *at,
			const struct msg_site *out)
{
	if (!raw->tls_ca)
		return;
	if (!span_eq(out->tls, SPAN_LIT("required")))
		fill_warn(f, at, "write `tls: required`",
			  "`tls_ca` counts only where TLS is required");
	f->rest->anchors[f->rest->anchors_n++] =
		(struct fill_file){.path = arena_str(f->c->arena, span_str(raw->tls_ca)),
				   .line = at ? at->line : 0,
				   .column = at ? at->column : 0,
				   .owner = site};
}

/* ---- the primary's IMAP: logins pass through to it, and people's changes go home to it ---- */

static void fill_imap(struct fill *f, const struct raw_site *raw, struct tree *at,
		      struct msg_site *out)
{
	struct tree *list = tree_get(at, "imap");

	out->imap = arena_array(f->c->arena, raw->imap_count + 1u, sizeof *out->imap);
	out->imap_n = raw->imap_count;
	for (uint32_t i = 0; i < raw->imap_count; i++) {
		const struct raw_imap *r = &raw->imap[i];
		struct tree *t = tree_item(list, i);
		struct msg_imap_server *to = &out->imap[i];
		struct span port = span_str("tls");

		to->host = fill_host(f, r->host, tree_get(t, "host"));
		to->tls = fill_word(r->tls, schema_imap_tls, "");
		if (!to->tls.n)
			to->tls = r->port && *r->port == 143 ? SPAN_LIT("starttls") : port;
		to->port = (uint16_t)fill_number(f, r->port, span_eq(to->tls, port) ? 993 : 143, 1,
						 65535, tree_get(t, "port"));
		if (span_eq(to->tls, SPAN_LIT("none")) && !units_is_loopback(to->host))
			fill_bad(f, tree_get(t, "tls"), "use starttls or tls",
				 "passwords would travel in the clear to `%.*s`; `none` is for "
				 "loopback addresses",
				 SPAN_FMT(to->host));
	}
	if (list && !raw->imap_count)
		fill_bad(f, list, "write [{ host: mail.example.com }], or remove the key",
			 "`imap` is empty");
}

/* "%u*%m" and its like: %u the person, %m the master user; both must be there, and nothing else behind a %. */
static bool is_login_shape(struct span s)
{
	unsigned people = 0, masters = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 127)
			return false;
		if (s.p[i] != '%')
			continue;
		if (++i >= s.n || (s.p[i] != 'u' && s.p[i] != 'm'))
			return false;
		people += s.p[i] == 'u';
		masters += s.p[i] == 'm';
	}
	return people == 1 && masters == 1;
}

static void fill_master(struct fill *f, const struct raw_site *raw, struct tree *at,
			struct msg_site *out)
{
	const struct raw_master *r = raw->master;
	struct tree *t = tree_get(at, "master");

	out->passthrough = raw->passthrough ? *raw->passthrough : raw->imap_count > 0;
	if (out->passthrough && !raw->imap_count)
		fill_bad(f, tree_get(at, "passthrough"), "add imap: [{ host: mail.example.com }]",
			 "`passthrough` needs the primary's IMAP server");
	if (!r)
		return;
	if (!raw->imap_count)
		fill_bad(f, t, "add imap: [{ host: mail.example.com }]",
			 "`master` needs the primary's IMAP server");
	out->master_user = fill_text(f, r->user);
	out->master_login = r->login ? fill_text(f, r->login) : SPAN_LIT("%u*%m");
	if (!span_eq(out->master_login, SPAN_LIT("sasl")) && !is_login_shape(out->master_login))
		fill_bad(f, tree_get(t, "login"),
			 "write \"%u*%m\" (%u the person, %m the master user), or sasl",
			 "`%s` is not the shape of a login", config_show(f->c, out->master_login));
}

static void fill_site(struct fill *f, size_t site, const struct raw_site *raw, struct tree *at,
		      struct msg_site *out)
{
	const struct raw_continuity *r = raw->continuity;
	struct tree *t = tree_get(at, "continuity");

	out->name = fill_text(f, raw->name);
	if (!is_site_name(out->name))
		fill_bad(f, tree_get(at, "name"), "use letters, digits, hyphens, dots, at most 64",
			 "`%s` is not a good name for a site", config_show(f->c, out->name));
	fill_primaries(f, raw, at, out);
	fill_probe(f, raw->probe, tree_get(at, "probe"), out);
	out->hold = fill_word(raw->hold, schema_holds, "auto");
	out->tls = fill_word(raw->tls, schema_tls, "opportunistic");
	fill_tls_ca(f, site, raw, tree_get(at, "tls_ca"), out);
	out->concurrency =
		fill_number(f, raw->concurrency, 20, 1, 1000, tree_get(at, "concurrency"));
	out->rate_per_minute = fill_number(f, raw->rate_per_minute, 0, 0, UINT32_MAX,
					   tree_get(at, "rate_per_minute"));
	out->rate_per_hour =
		fill_number(f, raw->rate_per_hour, 0, 0, UINT32_MAX, tree_get(at, "rate_per_hour"));
	out->continuity_switch = fill_word(r ? r->mode : NULL, schema_switches, "auto");
	out->continuity_after_ms = (uint32_t)fill_duration(f, r ? r->after : NULL, 30000, 0,
							   86400000, tree_get(t, "after"));
	fill_imap(f, raw, at, out);
	fill_master(f, raw, at, out);
}

static void check_site_is_used(struct fill *f, const struct raw_config *raw,
			       const struct msg_site *s, struct tree *at)
{
	for (uint32_t i = 0; i < raw->domains_count; i++) {
		if (span_eq(span_str(raw->domains[i].site), s->name))
			return;
	}
	fill_warn(f, tree_get(at, "name"), "name it in `domains`, or remove it",
		  "no domain is on the site `%.*s`", SPAN_FMT(s->name));
}

void fill_sites(struct fill *f, const struct raw_config *raw, struct tree *root,
		struct msg_config *out)
{
	struct tree *list = tree_get(root, "sites");

	out->sites = arena_array(f->c->arena, raw->sites_count + 1u, sizeof *out->sites);
	f->rest->anchors =
		arena_array(f->c->arena, raw->sites_count + 1u, sizeof *f->rest->anchors);
	for (uint32_t i = 0; i < raw->sites_count; i++) {
		struct tree *at = tree_item(list, i);
		struct msg_site *s = &out->sites[i];

		fill_site(f, i, &raw->sites[i], at, s);
		for (uint32_t j = 0; j < i; j++) {
			if (span_eq_nocase(out->sites[j].name, s->name))
				fill_bad(f, tree_get(at, "name"),
					 "give each site a name of its own",
					 "the site `%.*s` is there already", SPAN_FMT(s->name));
		}
		check_site_is_used(f, raw, s, at);
	}
	out->sites_n = raw->sites_count;
}
