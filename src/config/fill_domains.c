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
	out->mode = fill_word(raw->mode, schema_modes, "backup-mx");
	if (raw->mode && *raw->mode >= SCHEMA_LATER)
		fill_bad(f, tree_get(at, "mode"), "use backup-mx, gated, gateway or journal",
			 "the mode `%.*s` is not in this version", SPAN_FMT(out->mode));
}

/* ---- copies: who may send them, and which addresses take the reports ---- */

static bool is_copier(struct span text)
{
	struct address a;

	return units_is_network(text) || address_parse(text, true, &a) == ADDRESS_FINE;
}

static void fill_journal_to(struct fill *f, const struct raw_journal *r, struct tree *list,
			    struct msg_domain *out)
{
	out->journal_to = arena_array(f->c->arena, r->to_count + 1u, sizeof *out->journal_to);
	for (uint32_t i = 0; i < r->to_count; i++) {
		struct span text = span_str(r->to[i]);
		struct address a;

		if (address_parse(text, true, &a) != ADDRESS_FINE ||
		    !span_eq(address_domain(&a), out->name)) {
			fill_bad(f, tree_item(list, i),
				 config_text(f->c, "write an address such as journal@%.*s",
					     SPAN_FMT(out->name)),
				 "`%s` is not an address of %.*s", config_show(f->c, text),
				 SPAN_FMT(out->name));
			continue;
		}
		out->journal_to[out->journal_to_n++] = arena_span(f->c->arena, address_span(&a));
	}
}

/*
 * In the mode journal every recipient is a copy; in another mode those of `to` alone are. Whoever may send copies puts
 * mail into people's mailboxes past every check, so that has to be said.
 */
static void fill_journal(struct fill *f, const struct raw_domain *raw, struct tree *at,
			 struct msg_domain *out)
{
	const struct raw_journal *r = raw->journal;
	struct tree *t = tree_get(at, "journal");
	bool is_mode = span_eq(out->mode, SPAN_LIT("journal"));

	if (!r) {
		if (is_mode)
			fill_bad(f, tree_get(at, "mode"),
				 "add journal: { from: [192.0.2.1], to: [journal@...] }",
				 "the mode `journal` needs to know who may send copies");
		return;
	}
	fill_list(f, r->from, r->from_count, tree_get(t, "from"), &out->journal_from,
		  &out->journal_from_n, is_copier,
		  "write a network such as 192.0.2.0/24, or a sender's address");
	fill_journal_to(f, r, tree_get(t, "to"), out);
	if (!r->from_count)
		fill_bad(f, t, "name the primary: from: [192.0.2.1]",
			 "`journal.from` is missing: anybody could put mail into mailboxes");
	if (!is_mode && !r->to_count)
		fill_bad(f, t, "name the address that copies go to, or use mode: journal",
			 "`journal` in the mode %.*s needs `to`", SPAN_FMT(out->mode));
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
	if (!list && span_eq(out->mode, SPAN_LIT("journal")))
		out->catch_all = SPAN_LIT("yes"); /* the primary knows nothing of them */
	else if (!list)
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
	fill_journal(f, raw, at, out);
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
			if (span_eq(out->domains[j].site, s->name) &&
			    !span_eq(out->domains[j].mode, SPAN_LIT("journal")))
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
