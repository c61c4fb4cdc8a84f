/* Domains, their recipients, and what ties domains and sites together. */
#include "config/fill_internal.h"

#include "base/map.h"
#include "config/suggest.h"
#include "mail/address.h"

static const struct msg_site *find_site(const struct msg_config *out, struct span name)
{
	for (size_t i = 0; i < out->sites_n; i++) {
		if (span_eq(out->sites[i].name, name))
			return &out->sites[i];
	}
	return NULL;
}

static void check_site(struct fill *f, const struct msg_config *out, struct span site,
		       struct tree *at)
{
	struct suggest s;

	if (find_site(out, site))
		return;
	suggest_begin(&s, site);
	for (size_t i = 0; i < out->sites_n; i++)
		suggest_offer(&s, config_show(f->c, out->sites[i].name));
	fill_bad(f, at,
		 s.best ? config_text(f->c, "did you mean `%s`?", s.best) : "add it under `sites`",
		 "there is no site `%s`", config_show(f->c, site));
}

static void fill_mode(struct fill *f, const struct raw_domain *raw, struct tree *at,
		      struct msg_domain *out)
{
	static const char *const later[] = {"gateway", "journal", "standby"};
	struct tree *mode = tree_get(at, "mode");

	out->mode = fill_word(raw->mode, schema_modes, "backup-mx");
	if (!raw->mode || *raw->mode < SCHEMA_LATER)
		return;
	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		if (mode && span_eq(mode->text, span_str(later[i])))
			fill_bad(f, mode, "use backup-mx or gated",
				 "the mode `%s` is not in this version", later[i]);
	}
}

/* An address listed in the configuration, or a word: "learn", "*", "file:PATH". */
static void fill_recipient(struct fill *f, size_t domain, const char *given, struct tree *at,
			   struct msg_domain *out)
{
	struct span text = span_str(given);
	struct address a;
	struct suggest s;

	if (span_eq(text, SPAN_LIT("learn"))) {
		out->learn = true;
		return;
	}
	if (span_eq(text, SPAN_LIT("*"))) {
		out->catch_all = SPAN_LIT("yes");
		return;
	}
	if (span_starts(text, SPAN_LIT("file:")) && text.n > 5) {
		f->rest->files[f->rest->files_n++] =
			(struct fill_file){.path = arena_str(f->c->arena, span_from(text, 5)),
					   .line = at ? at->line : 0,
					   .column = at ? at->column : 0,
					   .owner = domain,
					   .slot = out->recipient_files_n};
		out->recipient_files[out->recipient_files_n++] = SPAN_NONE;
		return;
	}
	if (address_parse(text, true, &a) == ADDRESS_FINE) {
		if (!span_eq(address_domain(&a), out->name))
			fill_bad(f, at,
				 config_text(f->c, "list it under the domain %.*s",
					     SPAN_FMT(address_domain(&a))),
				 "`%s` is not in %.*s", config_show(f->c, text),
				 SPAN_FMT(out->name));
		out->recipients[out->recipients_n++] = arena_span(f->c->arena, address_span(&a));
		return;
	}
	suggest_begin(&s, text);
	suggest_offer(&s, "learn");
	fill_bad(f, at,
		 s.best ? "did you mean `learn`?"
		 : text.p[0] == '/'
			 ? config_text(f->c, "for a file write file:%s", config_show(f->c, text))
			 : "write an address, learn, file:PATH, or \"*\" for every address",
		 "`%s` is not a recipient", config_show(f->c, text));
}

static void fill_recipients(struct fill *f, size_t domain, const struct raw_domain *raw,
			    struct tree *at, struct msg_domain *out)
{
	struct tree *list = tree_get(at, "recipients");

	out->recipients =
		arena_array(f->c->arena, raw->recipients_count + 1u, sizeof *out->recipients);
	out->recipient_files =
		arena_array(f->c->arena, raw->recipients_count + 1u, sizeof *out->recipient_files);
	for (uint32_t i = 0; i < raw->recipients_count; i++)
		fill_recipient(f, domain, raw->recipients[i], tree_item(list, i), out);
	if (!list)
		out->learn = true;
	else if (raw->recipients_count == 0)
		fill_bad(f, list, "write [learn] to ask the primary", "`recipients` is empty");
}

static void fill_domain(struct fill *f, size_t i, const struct raw_domain *raw, struct tree *at,
			struct msg_domain *out)
{
	char name[ADDRESS_DOMAIN_LIMIT + 1];
	size_t n;

	if (domain_normalise(span_str(raw->name), true, name, &n) == ADDRESS_FINE) {
		out->name = arena_span(f->c->arena, span_of(name, n));
	} else {
		out->name = fill_text(f, raw->name);
		fill_bad(f, tree_get(at, "name"), NULL, "`%s` is not a domain",
			 config_show(f->c, out->name));
	}
	out->site = fill_text(f, raw->site);
	fill_mode(f, raw, at, out);
	fill_recipients(f, i, raw, at, out);
	out->unknown = fill_word(raw->unknown, schema_unknowns, "hold");
}

static bool is_our_domain(const struct msg_config *out, struct span name, struct span site)
{
	for (size_t i = 0; i < out->domains_n; i++) {
		if (span_eq(out->domains[i].name, name) && span_eq(out->domains[i].site, site))
			return true;
	}
	return false;
}

/* A site's probe asks about an address of a domain of that site; anything else would be relaying, and be refused. */
static void check_probes(struct fill *f, struct tree *root, const struct msg_config *out)
{
	struct tree *list = tree_get(root, "sites");

	for (size_t i = 0; i < out->sites_n; i++) {
		const struct msg_site *s = &out->sites[i];
		struct span local, domain;

		if (!s->probe_recipient.n || !address_split(s->probe_recipient, &local, &domain) ||
		    is_our_domain(out, domain, s->name))
			continue;
		fill_bad(f, tree_get(tree_get(tree_item(list, i), "probe"), "recipient"),
			 "choose an address of a domain of this site",
			 "the probe's recipient `%s` is in no domain of the site `%.*s`",
			 config_show(f->c, s->probe_recipient), SPAN_FMT(s->name));
	}
}

/* Without an address to ask about, a probe ends at EHLO and cannot see a primary that refuses mail: take postmaster. */
static void default_probes(struct fill *f, struct msg_config *out)
{
	for (size_t i = 0; i < out->sites_n; i++) {
		struct msg_site *s = &out->sites[i];

		for (size_t j = 0; j < out->domains_n && !s->probe_recipient.n; j++) {
			if (span_eq(out->domains[j].site, s->name))
				s->probe_recipient = span_str(config_text(
					f->c, "postmaster@%.*s", SPAN_FMT(out->domains[j].name)));
		}
	}
}

void fill_domains(struct fill *f, const struct raw_config *raw, struct tree *root,
		  struct msg_config *out)
{
	struct tree *at = tree_item(tree_get(root, "domains"), 0);
	size_t files = 0;
	struct map seen;

	for (uint32_t i = 0; i < raw->domains_count; i++)
		files += raw->domains[i].recipients_count;
	f->rest->files = arena_array(f->c->arena, files + 1, sizeof *f->rest->files);
	out->domains = arena_array(f->c->arena, raw->domains_count + 1u, sizeof *out->domains);
	map_init(&seen);
	for (uint32_t i = 0; i < raw->domains_count; i++, at = at ? at->next : NULL) {
		struct msg_domain *d = &out->domains[i];

		fill_domain(f, i, &raw->domains[i], at, d);
		check_site(f, out, d->site, tree_get(at, "site"));
		if (map_put(&seen, d->name, d))
			fill_bad(f, tree_get(at, "name"), "remove one of them",
				 "the domain `%.*s` is there already", SPAN_FMT(d->name));
	}
	map_fini(&seen, NULL);
	out->domains_n = raw->domains_count;
	check_probes(f, root, out);
	default_probes(f, out);
}
