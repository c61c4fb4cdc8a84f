#include "cli/doctor.h"

#include <stdarg.h>

#include "dns/dns.h"
#include "loop/loop.h"
#include "mail/address.h"
#include "role/common/primary_tls.h"

/* IANA publishes "v=spf1 -all" for it, and nobody sends from it. */
#define SENDER "holdfast-doctor@example.org"

const char *doctor_text(struct doctor *d, const char *format, ...)
{
	struct buf text = {0};
	const char *copy;
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n > 0 && buf_reserve(&text, (size_t)n + 1)) {
		(void)vsnprintf((char *)text.p, (size_t)n + 1, format, again);
		text.n = (size_t)n;
	}
	va_end(again);
	copy = arena_str(&d->c->arena, buf_span(&text));
	buf_fini(&text);
	return copy;
}

void doctor_say(struct doctor *d, enum doctor_level level, const char *topic, const char *hint,
		const char *format, ...)
{
	char text[600];
	va_list args;

	if (d->n == DOCTOR_FINDINGS)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	d->findings[d->n++] = (struct doctor_finding){
		.level = level, .topic = topic, .hint = hint, .text = doctor_text(d, "%s", text)};
}

/* ---- printing ---- */

static const struct {
	const char *word;
	enum term_ink ink;
} looks[] = {
	[DOCTOR_GOOD] = {"good", INK_GREEN},
	[DOCTOR_NOTE] = {"note", INK_PLAIN},
	[DOCTOR_WARN] = {"WARN", INK_YELLOW},
	[DOCTOR_BAD] = {"BAD", INK_RED},
};

static void put_finding(const struct doctor *d, const struct doctor_finding *f, struct buf *out)
{
	struct buf wrapped = {0}, text = {0};

	if (!strchr(f->topic, ','))
		buf_printf(&text, "%s: ", f->topic);
	buf_printf(&text, "%s", f->text);
	term_wrap(&d->c->term, &wrapped, buf_span(&text), 7);
	buf_fini(&text);
	buf_printf(out, "  %s%-4s%s ", term_on(&d->c->term, looks[f->level].ink),
		   looks[f->level].word, term_off(&d->c->term, looks[f->level].ink));
	buf_append(out, span_from(buf_span(&wrapped), 7));
	if (*f->hint)
		term_wrap(&d->c->term, out,
			  span_str(doctor_text((struct doctor *)(uintptr_t)d, "-> %s", f->hint)),
			  7);
	buf_fini(&wrapped);
}

static bool is_same_topic(const char *a, const char *b)
{
	/* Topics of one word are of this machine and share a heading. */
	return !strcmp(a, b) || (!strchr(a, ',') && !strchr(b, ','));
}

static void put_findings(const struct doctor *d, struct buf *out)
{
	for (size_t i = 0; i < d->n; i++) {
		const char *topic = d->findings[i].topic;

		if (i == 0 || !is_same_topic(d->findings[i - 1].topic, topic))
			buf_printf(out, "%s%s%s%s\n", i ? "\n" : "", term_on(&d->c->term, INK_BOLD),
				   strchr(topic, ',') ? topic : "This machine",
				   term_off(&d->c->term, INK_BOLD));
		put_finding(d, &d->findings[i], out);
	}
}

static void put_heading(const struct doctor *d, const char *text, struct buf *out)
{
	buf_printf(out, "\n%s%s%s\n", term_on(&d->c->term, INK_BOLD), text,
		   term_off(&d->c->term, INK_BOLD));
}

static void put_indented(struct span text, struct buf *out)
{
	while (text.n) {
		struct span line = span_cut(&text, '\n');

		buf_printf(out, "  %.*s\n", SPAN_FMT(line));
	}
}

static void put_server_lines(struct doctor *d, struct buf *out)
{
	struct doctor_lines lines[DOCTOR_SERVERS];
	const char *only = cli_value(d->c, "server");

	if (!only && !d->needs_lines) {
		put_heading(d, "Lines for the primary", out);
		term_wrap(
			&d->c->term, out,
			span_str(doctor_text(
				d,
				"%s Filters that act after DATA (rspamd, DMARC) cannot be seen: "
				"let them skip this "
				"machine too. `holdfast doctor --server postfix` (exim, exchange, "
				"m365) prints the "
				"lines.",
				d->has_silent ? "Not known, as a primary could not be asked."
					      : "None is needed for what can be seen from here.")),
			2);
		return;
	}
	doctor_lines(d, lines);
	for (size_t i = 0; i < DOCTOR_SERVERS; i++) {
		if (only && strcmp(only, lines[i].name) != 0)
			continue;
		put_heading(d, doctor_text(d, "Lines for the primary, if it is %s", lines[i].title),
			    out);
		put_indented(span_str(lines[i].text), out);
	}
}

/* --site */
static bool is_asked_for(const struct doctor *d, const struct msg_domain *domain)
{
	const char *only = cli_value(d->c, "site");

	return !only || span_eq(domain->site, span_str(only));
}

static void put_programs(struct doctor *d, struct buf *out)
{
	bool is_first = true;

	for (size_t i = 0; i < d->config.domains_n; i++) {
		const char *lines = is_asked_for(d, &d->config.domains[i])
					    ? doctor_programs(d, &d->config.domains[i])
					    : NULL;

		if (!lines)
			continue;
		if (is_first)
			put_heading(d, "SRV records for people's mail programs", out);
		is_first = false;
		put_indented(span_str(lines), out);
	}
	if (!is_first)
		term_wrap(&d->c->term, out,
			  SPAN_LIT("`holdfast autoconfig DOMAIN` prints the file that Thunderbird "
				   "looks for; --format outlook and apple those of others."),
			  2);
}

static void put_advice(struct doctor *d, struct buf *out)
{
	put_server_lines(d, out);
	put_heading(d, "MX records to publish", out);
	for (size_t i = 0; i < d->config.domains_n; i++)
		if (is_asked_for(d, &d->config.domains[i]))
			put_indented(span_str(doctor_mx(d, &d->config.domains[i])), out);
	put_programs(d, out);
	put_heading(d, "What the chosen mode covers", out);
	for (size_t i = 0; i < d->config.domains_n; i++) {
		const struct msg_domain *domain = &d->config.domains[i];

		/* Once for each mode. */
		if (!is_asked_for(d, domain) ||
		    (i && span_eq(d->config.domains[i - 1].mode, domain->mode)))
			continue;
		term_wrap(&d->c->term, out,
			  span_str(doctor_text(d, "%.*s (%.*s) %s", SPAN_FMT(domain->name),
					       SPAN_FMT(domain->mode), doctor_gaps(domain->mode))),
			  2);
	}
}

static void put_verdict(const struct doctor *d, struct buf *out)
{
	size_t count[4] = {0};
	enum term_ink ink;

	for (size_t i = 0; i < d->n; i++)
		count[d->findings[i].level]++;
	ink = count[DOCTOR_BAD] ? INK_RED : count[DOCTOR_WARN] ? INK_YELLOW : INK_GREEN;
	buf_printf(out, "\n%s", term_on(&d->c->term, ink));
	if (count[DOCTOR_BAD])
		buf_printf(out, "%zu bad, %zu to look at.", count[DOCTOR_BAD], count[DOCTOR_WARN]);
	else if (count[DOCTOR_WARN])
		buf_printf(out, "Works; %zu to look at.", count[DOCTOR_WARN]);
	else
		buf_printf(out, "All is well.");
	buf_printf(out, "%s\n", term_off(&d->c->term, ink));
}

static void print_json(struct doctor *d, bool is_ok)
{
	json_t *checks = json_array(), *lines = json_object(), *domains = json_array();
	struct doctor_lines servers[DOCTOR_SERVERS];

	for (size_t i = 0; i < d->n; i++)
		(void)json_array_append_new(
			checks, json_pack("{s:s, s:s, s:o, s:o}", "level",
					  d->findings[i].level == DOCTOR_GOOD	? "good"
					  : d->findings[i].level == DOCTOR_NOTE ? "note"
					  : d->findings[i].level == DOCTOR_WARN ? "warn"
										: "bad",
					  "topic", d->findings[i].topic, "text",
					  report_text(span_str(d->findings[i].text)), "hint",
					  report_text(span_str(d->findings[i].hint))));
	doctor_lines(d, servers);
	for (size_t i = 0; i < DOCTOR_SERVERS; i++)
		(void)json_object_set_new(lines, servers[i].name,
					  report_text(span_str(servers[i].text)));
	for (size_t i = 0; i < d->config.domains_n; i++)
		(void)json_array_append_new(
			domains, json_pack("{s:o, s:o, s:s, s:s, s:s?}", "name",
					   report_text(d->config.domains[i].name), "mode",
					   report_text(d->config.domains[i].mode), "mx",
					   doctor_mx(d, &d->config.domains[i]), "covers",
					   doctor_gaps(d->config.domains[i].mode), "programs",
					   doctor_programs(d, &d->config.domains[i])));
	cli_print_json(json_pack("{s:b, s:o, s:b, s:o, s:o}", "ok", is_ok, "checks", checks,
				 "lines_needed", d->needs_lines, "lines", lines, "domains",
				 domains));
}

/* ---- the command ---- */

static bool is_known_server(const struct cli *c)
{
	static const char *const names[] = {"postfix", "exim", "exchange", "m365"};
	const char *given = cli_value(c, "server");

	for (size_t i = 0; given && i < sizeof names / sizeof *names; i++) {
		if (!strcmp(given, names[i]))
			return true;
	}
	if (given)
		(void)cli_usage(c, "--server is postfix, exim, exchange or m365, not `%s`", given);
	return !given;
}

static int take_options(struct cli *c, struct doctor *d)
{
	const char *site = cli_value(c, "site");
	struct address a;

	d->sender = cli_value(c, "sender") ? cli_value(c, "sender") : SENDER;
	d->patience_ms = 6000;
	if (!is_known_server(c) || !cli_duration(c, "patience", &d->patience_ms))
		return CLI_USAGE;
	if (address_parse(span_str(d->sender), false, &a) != ADDRESS_FINE)
		return cli_usage(c, "--sender is a mail address, not `%s`", d->sender);
	if (!cli_load(c, &d->config)) {
		if (c->is_json)
			cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text",
						 "the configuration has mistakes"));
		return cli_no(c, "mend the configuration first; nothing else was looked at");
	}
	for (size_t i = 0; site && i < d->config.sites_n; i++) {
		if (span_eq(d->config.sites[i].name, span_str(site)))
			return CLI_FINE;
	}
	return site ? cli_no(c, "there is no site `%s`", site) : CLI_FINE;
}

/* Without TLS or DNS the rest is still looked at. */
static void open_tools(struct doctor *d)
{
	struct fault why = {0};
	const char *server = d->config.dns_server.n
				     ? doctor_text(d, "%.*s", SPAN_FMT(d->config.dns_server))
				     : NULL;

	d->loop = loop_new();
	if (dns_new(d->loop, server, &d->dns, &why) != OK)
		doctor_say(d, DOCTOR_BAD, "dns", "", "%s", why.text);
	d->tls = primary_tls_new();
}

static void close_tools(struct doctor *d)
{
	dns_free(d->dns);
	primary_tls_free(d->tls);
	loop_free(d->loop);
}

int cmd_doctor(struct cli *c)
{
	struct doctor d = {.c = c};
	struct buf out = {0};
	bool is_ok = true;
	int result;

	d.findings = arena_array(&c->arena, DOCTOR_FINDINGS, sizeof *d.findings);
	result = take_options(c, &d);
	if (result != CLI_FINE)
		return result;
	d.data = doctor_text(&d, "%.*s", SPAN_FMT(d.config.data));
	open_tools(&d);
	doctor_local(&d);
	doctor_people(&d);
	doctor_sites(&d);
	doctor_domains(&d);
	doctor_outgoing(&d);
	for (size_t i = 0; i < d.n; i++)
		is_ok &= d.findings[i].level != DOCTOR_BAD;
	if (c->is_json) {
		print_json(&d, is_ok);
	} else {
		put_findings(&d, &out);
		put_advice(&d, &out);
		put_verdict(&d, &out);
		(void)fwrite(out.p, 1, out.n, stdout);
	}
	buf_fini(&out);
	close_tools(&d);
	return is_ok ? CLI_FINE : CLI_NO;
}
