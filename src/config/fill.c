/*
 * The defaults of every key stand here, in fill_sites.c, fill_domains.c and fill_people.c, and in holdfast.yaml(5); nowhere else.
 */
#include "config/fill_internal.h"

#include <stdarg.h>
#include <unistd.h>

#include "config/suggest.h"
#include "mail/address.h"

#define MIN  60000u
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define MIB  (1024ull * 1024)

/* "<data>/run/control.sock" must fit into struct sockaddr_un. */
enum { DATA_PATH_BYTES = 85 };

VPRINTF_LIKE(4)
static void report(struct fill *f, const struct tree *at, const char *hint, const char *format,
		   va_list args, bool warn)
{
	char text[500];
	unsigned line = at ? at->line : 0, column = at ? at->column : 0;

	(void)vsnprintf(text, sizeof text, format, args);
	if (warn)
		config_warn(f->c, line, column, hint, "%s", text);
	else
		config_bad(f->c, line, column, hint, "%s", text);
}

void fill_bad(struct fill *f, const struct tree *at, const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(f, at, hint, format, args, false);
	va_end(args);
}

void fill_warn(struct fill *f, const struct tree *at, const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(f, at, hint, format, args, true);
	va_end(args);
}

struct span fill_text(struct fill *f, const char *text)
{
	return text ? arena_span(f->c->arena, span_str(text)) : SPAN_NONE;
}

static const char *key_of(struct fill *f, const struct tree *at)
{
	return at && at->key.n ? config_show(f->c, at->key) : "the value";
}

uint32_t fill_number(struct fill *f, const uint32_t *given, uint32_t or_else, uint32_t least,
		     uint32_t most, const struct tree *at)
{
	if (!given)
		return or_else;
	if (*given < least || *given > most)
		fill_bad(f, at, NULL, "`%s` must be %u to %u", key_of(f, at), least, most);
	return *given;
}

uint64_t fill_duration(struct fill *f, const char *given, uint64_t or_else_ms, uint64_t least_ms,
		       uint64_t most_ms, const struct tree *at)
{
	struct units_fault fault;
	uint64_t ms = or_else_ms;

	if (!given)
		return or_else_ms;
	if (!units_duration_ms(span_str(given), &ms, &fault)) {
		fill_bad(f, at, config_text(f->c, "%s", fault.hint), "`%s: %s` %s", key_of(f, at),
			 config_show(f->c, span_str(given)), fault.why);
		return or_else_ms;
	}
	if (ms < least_ms || ms > most_ms)
		fill_bad(f, at, NULL, "`%s` must be %llu ms to %llu s", key_of(f, at),
			 (unsigned long long)least_ms, (unsigned long long)most_ms / 1000);
	return ms;
}

uint64_t fill_size(struct fill *f, const char *given, uint64_t or_else, uint64_t least,
		   const struct tree *at)
{
	struct units_fault fault;
	uint64_t bytes = or_else;

	if (!given)
		return or_else;
	if (!units_size_bytes(span_str(given), &bytes, &fault)) {
		fill_bad(f, at, config_text(f->c, "%s", fault.hint), "`%s: %s` %s", key_of(f, at),
			 config_show(f->c, span_str(given)), fault.why);
		return or_else;
	}
	if (bytes < least)
		fill_bad(f, at, NULL, "`%s` must be at least %llu KiB", key_of(f, at),
			 (unsigned long long)least / 1024);
	return bytes;
}

struct span fill_word(const int *given, const cyaml_strval_t *table, const char *or_else)
{
	return given ? schema_word(table, *given) : span_str(or_else);
}

/* ---- listeners ---- */

struct service {
	const char *name;
	char **items;
	uint32_t n;
};

static bool listens_already(const struct msg_config *out, struct span address)
{
	for (size_t i = 0; i < out->listen_n; i++) {
		if (span_eq(out->listen[i].address, address))
			return true;
	}
	return false;
}

static void fill_service(struct fill *f, const struct service *s, struct tree *listen,
			 struct msg_config *out)
{
	struct tree *list = tree_get(listen, s->name);

	for (uint32_t i = 0; i < s->n; i++) {
		struct units_fault fault;
		struct span address = fill_text(f, s->items[i]);

		if (!units_is_listen_address(address, &fault))
			fill_bad(f, tree_item(list, i), config_text(f->c, "%s", fault.hint),
				 "`%s` %s", config_show(f->c, address), fault.why);
		else if (listens_already(out, address))
			fill_bad(f, tree_item(list, i), "remove one of them",
				 "`%s` is listened on twice", config_show(f->c, address));
		out->listen[out->listen_n++] =
			(struct msg_listen){.service = span_str(s->name), .address = address};
	}
}

static void fill_listen(struct fill *f, const struct raw_listen *r, struct tree *root,
			struct msg_config *out)
{
	const struct service services[] = {
		{"smtp", r->smtp, r->smtp_count},
		{"metrics", r->metrics, r->metrics_count},
		{"submission", r->submission, r->submission_count},
		{"submissions", r->submissions, r->submissions_count},
		{"imap", r->imap, r->imap_count},
		{"imaps", r->imaps, r->imaps_count},
		{"pop3", r->pop3, r->pop3_count},
		{"pop3s", r->pop3s, r->pop3s_count},
		{"https", r->https, r->https_count},
		{"admin", r->admin, r->admin_count},
	};
	struct tree *listen = tree_get(root, "listen");
	size_t n = 0;

	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		n += services[i].n;
	out->listen = arena_array(f->c->arena, n + 1, sizeof *out->listen);
	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		fill_service(f, &services[i], listen, out);
	if (r->smtp_count == 0)
		fill_bad(f, listen, "add smtp: [\"0.0.0.0:25\", \"[::]:25\"]",
			 "`listen.smtp` is missing");
}

/* ---- lists of texts ---- */

void fill_list(struct fill *f, char **items, uint32_t n, struct tree *list, struct span **out,
	       size_t *out_n, bool (*is_good)(struct span text), const char *want)
{
	*out = arena_array(f->c->arena, n + 1u, sizeof **out);
	for (uint32_t i = 0; i < n; i++) {
		struct span text = fill_text(f, items[i]);

		if (!is_good(text))
			fill_bad(f, tree_item(list, i), want, "`%s` is not good in `%s`",
				 config_show(f->c, text), key_of(f, list));
		(*out)[i] = text;
	}
	*out_n = n;
}

/* A network, a host name suffix ".example.net", a domain, or a sender's address. */
static bool is_list_entry(struct span text)
{
	struct address a;

	if (units_is_network(text))
		return true;
	if (span_chr(text, '@') >= 0)
		return address_parse(text, true, &a) == ADDRESS_FINE;
	return units_is_host_name(text.n && text.p[0] == '.' ? span_from(text, 1) : text);
}

static bool is_notice(struct span text)
{
	struct address a;

	return span_starts(text, SPAN_LIT("https://")) || span_starts(text, SPAN_LIT("http://")) ||
	       address_parse(text, true, &a) == ADDRESS_FINE;
}

static void fill_lists(struct fill *f, const struct raw_config *raw, struct tree *root,
		       struct msg_config *out)
{
	const char *network = "write a network such as 192.0.2.0/24 or 2001:db8::/32";
	const char *entry = "write a network, a domain, a host name suffix (.example.net) or a "
			    "sender's address";

	fill_list(f, raw->proxy_from, raw->proxy_from_count, tree_get(root, "proxy_from"),
		  &out->proxy_from, &out->proxy_from_n, units_is_network, network);
	fill_list(f, raw->own_networks, raw->own_networks_count, tree_get(root, "own_networks"),
		  &out->own_networks, &out->own_networks_n, units_is_network, network);
	fill_list(f, raw->controls, raw->controls_count, tree_get(root, "controls"), &out->controls,
		  &out->controls_n, units_is_host_port,
		  "write host:port, such as resolver.example.net:53");
	fill_list(f, raw->dnsbl, raw->dnsbl_count, tree_get(root, "dnsbl"), &out->dnsbl,
		  &out->dnsbl_n, units_is_host_name,
		  "write the zone's name, such as zen.spamhaus.org");
	fill_list(f, raw->allow, raw->allow_count, tree_get(root, "allow"), &out->allow,
		  &out->allow_n, is_list_entry, entry);
	fill_list(f, raw->deny, raw->deny_count, tree_get(root, "deny"), &out->deny, &out->deny_n,
		  is_list_entry, entry);
	fill_list(f, raw->notices, raw->notices_count, tree_get(root, "notices"), &out->notices,
		  &out->notices_n, is_notice, "write a mail address or an https:// address");
	if (raw->notices_count)
		fill_warn(f, tree_get(root, "notices"), "watch the log or the metrics meanwhile",
			  "this version keeps `notices` but sends none yet");
}

/* ---- limits, queue and the rest ---- */

static void fill_limits(struct fill *f, const struct raw_limits *given, struct tree *t,
			struct msg_limits *out)
{
	static const struct raw_limits none;
	const struct raw_limits *r = given ? given : &none;

	out->message_bytes = fill_size(f, r->message, 50 * MIB, 64 << 10, tree_get(t, "message"));
	out->recipients =
		fill_number(f, r->recipients, 1000, 100, 50000, tree_get(t, "recipients"));
	out->sessions = fill_number(f, r->sessions, 2000, 1, 100000, tree_get(t, "sessions"));
	out->sessions_per_source = fill_number(f, r->sessions_per_source, 50, 1, 100000,
					       tree_get(t, "sessions_per_source"));
	out->messages_per_minute_per_source =
		fill_number(f, r->messages_per_minute_per_source, 0, 0, UINT32_MAX,
			    tree_get(t, "messages_per_minute_per_source"));
	out->connections_per_minute_per_source =
		fill_number(f, r->connections_per_minute_per_source, 0, 0, UINT32_MAX,
			    tree_get(t, "connections_per_minute_per_source"));
	out->errors_per_session = fill_number(f, r->errors_per_session, 20, 1, 10000,
					      tree_get(t, "errors_per_session"));
	out->command_timeout_ms = (uint32_t)fill_duration(f, r->command_timeout, 5 * MIN, 1000,
							  HOUR, tree_get(t, "command_timeout"));
	out->data_timeout_ms = (uint32_t)fill_duration(f, r->data_timeout, 10 * MIN, 1000, HOUR,
						       tree_get(t, "data_timeout"));
	out->buffer_bytes = fill_size(f, r->buffer, 64 * MIB, MIB, tree_get(t, "buffer"));
	out->hops = fill_number(f, r->hops, 50, 5, 1000, tree_get(t, "hops"));
	out->reserve_bytes = fill_size(f, r->reserve, 512 * MIB, MIB, tree_get(t, "reserve"));
}

/* A minute, then longer: the sum of the steps is half a day, the last repeats until the lifetime ends. */
static void fill_queue(struct fill *f, const struct raw_queue *given, struct tree *t,
		       struct msg_config *out)
{
	static const uint32_t steps[] = {MIN, 2 * MIN, 5 * MIN, 10 * MIN, 20 * MIN, 30 * MIN, HOUR};
	static const struct raw_queue none;
	const struct raw_queue *r = given ? given : &none;
	struct tree *list = tree_get(t, "retry");
	size_t n = r->retry_count ? r->retry_count : sizeof steps / sizeof *steps;

	out->queue_lifetime_ms = fill_duration(f, r->lifetime, 5ull * DAY, HOUR, 365ull * DAY,
					       tree_get(t, "lifetime"));
	out->retry_ms = arena_array(f->c->arena, n, sizeof *out->retry_ms);
	out->retry_ms_n = n;
	for (size_t i = 0; i < n; i++)
		out->retry_ms[i] = r->retry_count
					   ? (uint32_t)fill_duration(f, r->retry[i], MIN, 1000, DAY,
								     tree_item(list, i))
					   : steps[i];
	if (list && !r->retry_count)
		fill_bad(f, list, "name at least one interval, or remove the key",
			 "`retry` is empty");
}

static void fill_dns(struct fill *f, const struct raw_dns *given, struct tree *t,
		     struct msg_config *out)
{
	static const struct raw_dns none;
	const struct raw_dns *r = given ? given : &none;
	struct span server = fill_text(f, r->server), host, port;
	ssize_t at = span_rchr(server, '@');
	uint64_t number;

	host = at < 0 ? server : span_first(server, (size_t)at);
	port = at < 0 ? SPAN_NONE : span_from(server, (size_t)at + 1);
	if (r->server && (!units_is_ip(host) || (at >= 0 && !span_to_u64(port, 65535, &number))))
		fill_bad(f, tree_get(t, "server"),
			 "write its IP address, with @port if it is not 53: 127.0.0.1@5353",
			 "`%s` is not a name server's address", config_show(f->c, server));
	out->dns_server = server;
	out->dns_timeout_ms =
		(uint32_t)fill_duration(f, r->timeout, 2000, 50, MIN, tree_get(t, "timeout"));
}

static uint32_t edges_here(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 2 ? 1 : cores > 128 ? 64 : (uint32_t)(cores / 2);
}

static void fill_roles(struct fill *f, const struct raw_roles *given, struct tree *t,
		       struct msg_config *out)
{
	static const struct raw_roles none;
	const struct raw_roles *r = given ? given : &none;

	out->edges = fill_number(f, r->edges, edges_here(), 1, 64, tree_get(t, "edges"));
	out->couriers = fill_number(f, r->couriers, 2, 1, 64, tree_get(t, "couriers"));
	out->desks = fill_number(f, r->desks, 1, 1, 64, tree_get(t, "desks"));
}

static void fill_node(struct fill *f, const struct raw_config *raw, struct tree *root,
		      struct msg_config *out)
{
	struct tree *at = tree_get(root, "node"), *data = tree_get(root, "data");
	char name[ADDRESS_DOMAIN_LIMIT + 1];
	size_t n;

	out->data = fill_text(f, raw->data);
	while (out->data.n > 1 && out->data.p[out->data.n - 1] == '/')
		out->data.n--;
	if (out->data.n < 2 || out->data.p[0] != '/')
		fill_bad(f, data, "write the whole path, such as /var/lib/holdfast",
			 "`data` must be an absolute path");
	else if (out->data.n > DATA_PATH_BYTES)
		fill_bad(f, data, NULL,
			 "the path of `data` is too long: at most %d bytes, because the control "
			 "socket is below it",
			 DATA_PATH_BYTES);
	if (domain_normalise(span_str(raw->node), true, name, &n) != ADDRESS_FINE) {
		fill_bad(f, at, "write this machine's host name, as in its MX record",
			 "`%s` is not a host name", config_show(f->c, span_str(raw->node)));
		return;
	}
	out->node = arena_span(f->c->arena, span_of(name, n));
	if (span_chr(out->node, '.') < 0 && !span_eq(out->node, SPAN_LIT("localhost")))
		fill_warn(f, at, "write the full name, as in its MX record",
			  "`node: %.*s` has no domain; other servers may refuse our greeting",
			  SPAN_FMT(out->node));
}

static void fill_tls(struct fill *f, const struct raw_config *raw, struct tree *root,
		     struct msg_config *out)
{
	struct tree *t = tree_get(root, "tls");

	if (!raw->tls)
		return;
	out->tls_certificate = fill_text(f, raw->tls->certificate);
	out->tls_key = fill_text(f, raw->tls->key);
	f->rest->tls_certificate = tree_get(t, "certificate");
	f->rest->tls_key = tree_get(t, "key");
	if (out->tls_certificate.n && out->tls_certificate.p[0] != '/')
		fill_bad(f, tree_get(t, "certificate"), NULL,
			 "`tls.certificate` must be an absolute path");
	if (out->tls_key.n && out->tls_key.p[0] != '/')
		fill_bad(f, tree_get(t, "key"), NULL, "`tls.key` must be an absolute path");
}

void fill_config(struct config_context *c, const struct raw_config *raw, struct tree *root,
		 struct msg_config *out, struct fill_result *out_rest)
{
	struct fill f = {.c = c, .rest = out_rest};

	*out = (struct msg_config){0};
	*out_rest = (struct fill_result){.data = tree_get(root, "data")};
	fill_node(&f, raw, root, out);
	fill_listen(&f, raw->listen, root, out);
	fill_tls(&f, raw, root, out);
	fill_sites(&f, raw, root, out);
	fill_domains(&f, raw, root, out);
	fill_people(&f, raw, root, out);
	fill_portal(&f, raw->portal, tree_get(root, "portal"), out);
	fill_lists(&f, raw, root, out);
	fill_limits(&f, raw->limits, tree_get(root, "limits"), &out->limits);
	fill_queue(&f, raw->queue, tree_get(root, "queue"), out);
	fill_dns(&f, raw->dns, tree_get(root, "dns"), out);
	fill_roles(&f, raw->roles, tree_get(root, "roles"), out);
	out->log_level = fill_word(raw->log ? raw->log->level : NULL, schema_levels, "info");
	out->spf = raw->spf ? *raw->spf : true;
}
