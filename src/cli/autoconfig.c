#include "cli/autoconfig.h"

#include "cli/cli.h"
#include "config/units.h"
#include "mail/address.h"

/* ---- which servers there are ---- */

static const struct service {
	const char *name;
	bool is_tls_first;
	const char *srv; /* RFC 6186, RFC 8314; RFC 8620 s2.2 */
	unsigned priority;
} services[AUTOCONFIG_SERVERS] = {
	{"imaps", true, "_imaps._tcp", 0},
	{"imap", false, "_imap._tcp", 10},
	{"pop3s", true, "_pop3s._tcp", 20},
	{"pop3", false, "_pop3._tcp", 30},
	{"submissions", true, "_submissions._tcp", 0},
	{"submission", false, "_submission._tcp", 10},
	{"https", true, "_jmap._tcp", 0},
};

static bool is_loopback(struct span address)
{
	return units_is_loopback(span_first(address, (size_t)span_rchr(address, ':')));
}

static const struct msg_listen *listener_of(const struct msg_config *config, const char *service,
					    bool wants_loopback)
{
	for (size_t i = 0; i < config->listen_n; i++) {
		const struct msg_listen *l = &config->listen[i];

		if (span_eq(l->service, span_str(service)) &&
		    is_loopback(l->address) == wants_loopback)
			return l;
	}
	return NULL;
}

static void add_servers(const struct msg_config *config, struct span host, bool on_loopback,
			struct autoconfig *a)
{
	for (size_t i = 0; i < AUTOCONFIG_SERVERS; i++) {
		const struct msg_listen *l = listener_of(config, services[i].name, on_loopback);
		ssize_t colon = l ? span_rchr(l->address, ':') : -1;
		uint64_t port;

		if (colon < 0 ||
		    !span_to_u64(span_from(l->address, (size_t)colon + 1), 65535, &port))
			continue;
		a->servers[a->n++] = (struct autoconfig_server){
			.service = services[i].name,
			.host = host.n	      ? host
				: on_loopback ? span_first(l->address, (size_t)colon)
					      : config->node,
			.port = (unsigned)port,
			.is_tls_first = services[i].is_tls_first};
	}
}

bool autoconfig_find(const struct msg_config *config, struct span domain, struct span host,
		     struct autoconfig *out)
{
	struct autoconfig a = {.domain = domain, .node = config->node};

	add_servers(config, host, false, &a);
	if (!a.n)
		add_servers(config, host, true, &a);
	if (a.n)
		*out = a;
	return a.n > 0;
}

static const struct autoconfig_server *server_of(const struct autoconfig *a, const char *service)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->servers[i].service, service) == 0)
			return &a->servers[i];
	}
	return NULL;
}

/* The one with TLS from the first byte, else the other. */
static const struct autoconfig_server *best_of(const struct autoconfig *a, const char *first,
					       const char *second)
{
	const struct autoconfig_server *s = server_of(a, first);

	return s ? s : server_of(a, second);
}

/* ---- DNS ---- */

void autoconfig_dns(const struct autoconfig *a, struct buf *out)
{
	for (size_t i = 0; i < AUTOCONFIG_SERVERS; i++) {
		const struct autoconfig_server *s = server_of(a, services[i].name);

		buf_printf(out, "%s.%.*s. 3600 IN SRV ", services[i].srv, SPAN_FMT(a->domain));
		if (s)
			buf_printf(out, "%u 1 %u %.*s.\n", services[i].priority, s->port,
				   SPAN_FMT(s->host));
		else
			buf_printf(out, "0 0 0 .\n");
	}
}

/* ---- XML ---- */

static void put_escaped(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '&':
			buf_append(out, SPAN_LIT("&amp;"));
			break;
		case '<':
			buf_append(out, SPAN_LIT("&lt;"));
			break;
		case '>':
			buf_append(out, SPAN_LIT("&gt;"));
			break;
		default:
			buf_append_byte(out, text.p[i]);
		}
	}
}

static void put_element(struct buf *out, unsigned depth, const char *name, struct span text)
{
	buf_printf(out, "%*s<%s>", (int)depth * 2, "", name);
	put_escaped(out, text);
	buf_printf(out, "</%s>\n", name);
}

static void put_number(struct buf *out, unsigned depth, const char *name, unsigned number)
{
	buf_printf(out, "%*s<%s>%u</%s>\n", (int)depth * 2, "", name, number, name);
}

static void put_thunderbird_server(const struct autoconfig *a, const struct autoconfig_server *s,
				   const char *element, const char *type, struct buf *out)
{
	if (!s)
		return;
	buf_printf(out, "    <%s type=\"%s\">\n", element, type);
	put_element(out, 3, "hostname", s->host);
	put_number(out, 3, "port", s->port);
	put_element(out, 3, "socketType", span_str(s->is_tls_first ? "SSL" : "STARTTLS"));
	put_element(out, 3, "username", a->user.n ? a->user : SPAN_LIT("%EMAILADDRESS%"));
	put_element(out, 3, "authentication", SPAN_LIT("password-cleartext"));
	buf_printf(out, "    </%s>\n", element);
}

void autoconfig_thunderbird(const struct autoconfig *a, struct buf *out)
{
	buf_printf(out,
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<clientConfig version=\"1.1\">\n  <emailProvider id=\"%.*s\">\n",
		   SPAN_FMT(a->domain));
	put_element(out, 2, "domain", a->domain);
	put_element(out, 2, "displayName", a->domain);
	put_element(out, 2, "displayShortName", a->domain);
	put_thunderbird_server(a, server_of(a, "imaps"), "incomingServer", "imap", out);
	put_thunderbird_server(a, server_of(a, "imap"), "incomingServer", "imap", out);
	put_thunderbird_server(a, server_of(a, "pop3s"), "incomingServer", "pop3", out);
	put_thunderbird_server(a, server_of(a, "pop3"), "incomingServer", "pop3", out);
	put_thunderbird_server(a, server_of(a, "submissions"), "outgoingServer", "smtp", out);
	put_thunderbird_server(a, server_of(a, "submission"), "outgoingServer", "smtp", out);
	buf_printf(out, "  </emailProvider>\n</clientConfig>\n");
}

static void put_outlook_server(const struct autoconfig *a, const struct autoconfig_server *s,
			       const char *type, struct buf *out)
{
	if (!s)
		return;
	buf_printf(out, "      <Protocol>\n");
	put_element(out, 4, "Type", span_str(type));
	put_element(out, 4, "Server", s->host);
	put_number(out, 4, "Port", s->port);
	if (a->user.n)
		put_element(out, 4, "LoginName", a->user);
	put_element(out, 4, "DomainRequired", SPAN_LIT("off"));
	put_element(out, 4, "SPA", SPAN_LIT("off"));
	put_element(out, 4, "SSL", SPAN_LIT("on"));
	put_element(out, 4, "Encryption", span_str(s->is_tls_first ? "SSL" : "TLS"));
	put_element(out, 4, "AuthRequired", SPAN_LIT("on"));
	buf_printf(out, "      </Protocol>\n");
}

void autoconfig_outlook(const struct autoconfig *a, struct buf *out)
{
#define SCHEMA "http://schemas.microsoft.com/exchange/autodiscover/"
	buf_printf(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
			"<Autodiscover xmlns=\"" SCHEMA "responseschema/2006\">\n"
			"  <Response xmlns=\"" SCHEMA "outlook/responseschema/2006a\">\n"
			"    <Account>\n");
	put_element(out, 3, "AccountType", SPAN_LIT("email"));
	put_element(out, 3, "Action", SPAN_LIT("settings"));
	put_outlook_server(a, best_of(a, "imaps", "imap"), "IMAP", out);
	put_outlook_server(a, best_of(a, "pop3s", "pop3"), "POP3", out);
	put_outlook_server(a, best_of(a, "submissions", "submission"), "SMTP", out);
	buf_printf(out, "    </Account>\n  </Response>\n</Autodiscover>\n");
}

/* ---- Apple's property list ---- */

static void put_key(struct buf *out, unsigned depth, const char *key, struct span text)
{
	buf_printf(out, "%*s<key>%s</key>\n", (int)depth * 2, "", key);
	put_element(out, depth, "string", text);
}

static void put_truth(struct buf *out, unsigned depth, const char *key, bool value)
{
	buf_printf(out, "%*s<key>%s</key>\n%*s<%s/>\n", (int)depth * 2, "", key, (int)depth * 2, "",
		   value ? "true" : "false");
}

/* Of the names, so that a newer profile takes the place of the older one (RFC 9562 s5.8: a UUID of our own making). */
static const char *uuid_of(const struct autoconfig *a, const char *what, char out[37])
{
	const struct span parts[] = {a->domain, a->node, a->user, span_str(what)};
	uint64_t half[2] = {14695981039346656037ull, 1099511628211ull};

	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j <= parts[i].n; j++) { /* FNV-1a, a zero after each part */
			unsigned char c = j < parts[i].n ? parts[i].p[j] : 0;

			half[0] = (half[0] ^ c) * 1099511628211ull;
			half[1] = (half[1] ^ half[0] >> 32 ^ c) * 0x9e3779b97f4a7c15ull;
		}
	}
	(void)snprintf(out, 37, "%08X-%04X-8%03X-%04X-%012llX", (unsigned)(half[0] >> 32),
		       (unsigned)(half[0] >> 16 & 0xffff), (unsigned)(half[0] & 0xfff),
		       (unsigned)(half[1] >> 48 & 0x3fff) | 0x8000,
		       (unsigned long long)(half[1] & 0xffffffffffffull));
	return out;
}

static void put_apple_server(const struct autoconfig *a, const struct autoconfig_server *s,
			     const char *way, struct buf *out)
{
	char key[100];

	if (!s)
		return;
	(void)snprintf(key, sizeof key, "%sMailServerAuthentication", way);
	put_key(out, 3, key, SPAN_LIT("EmailAuthPassword"));
	(void)snprintf(key, sizeof key, "%sMailServerHostName", way);
	put_key(out, 3, key, s->host);
	(void)snprintf(key, sizeof key, "%sMailServerPortNumber", way);
	buf_printf(out, "      <key>%s</key>\n      <integer>%u</integer>\n", key, s->port);
	(void)snprintf(key, sizeof key, "%sMailServerUseSSL", way);
	put_truth(out, 3, key, true);
	if (a->user.n) {
		(void)snprintf(key, sizeof key, "%sMailServerUsername", way);
		put_key(out, 3, key, a->user);
	}
}

static void put_apple_identity(const struct autoconfig *a, const char *type, const char *what,
			       unsigned depth, struct buf *out)
{
	char uuid[37], identifier[600];
	struct span local = SPAN_NONE, domain;

	(void)address_split(a->user, &local, &domain);
	(void)snprintf(identifier, sizeof identifier, "%.*s.holdfast.%s%s%.*s", SPAN_FMT(a->domain),
		       what, local.n ? "." : "", SPAN_FMT(local));
	put_key(out, depth, "PayloadType", span_str(type));
	put_key(out, depth, "PayloadIdentifier", span_str(identifier));
	put_key(out, depth, "PayloadUUID", span_str(uuid_of(a, what, uuid)));
	put_key(out, depth, "PayloadDisplayName", a->domain);
	buf_printf(out, "%*s<key>PayloadVersion</key>\n%*s<integer>1</integer>\n", (int)depth * 2,
		   "", (int)depth * 2, "");
}

void autoconfig_apple(const struct autoconfig *a, struct buf *out)
{
	const struct autoconfig_server *imap = best_of(a, "imaps", "imap");

	buf_printf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
			"\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
			"<plist version=\"1.0\">\n<dict>\n  <key>PayloadContent</key>\n  <array>\n"
			"    <dict>\n");
	put_apple_identity(a, "com.apple.mail.managed", "mail", 3, out);
	put_key(out, 3, "EmailAccountDescription", a->domain);
	put_key(out, 3, "EmailAccountType", span_str(imap ? "EmailTypeIMAP" : "EmailTypePOP"));
	if (a->user.n)
		put_key(out, 3, "EmailAddress", a->user);
	put_apple_server(a, imap ? imap : best_of(a, "pop3s", "pop3"), "Incoming", out);
	put_apple_server(a, best_of(a, "submissions", "submission"), "Outgoing", out);
	put_truth(out, 3, "OutgoingPasswordSameAsIncomingPassword", true);
	buf_printf(out, "    </dict>\n  </array>\n");
	put_apple_identity(a, "Configuration", "profile", 1, out);
	put_truth(out, 1, "PayloadRemovalDisallowed", false);
	buf_printf(out, "</dict>\n</plist>\n");
}

/* ---- the command ---- */

static const struct format {
	const char *name;
	void (*write)(const struct autoconfig *a, struct buf *out);
	const char *before, *after; /* the domain: where to publish it */
} formats[] = {
	{"thunderbird", autoconfig_thunderbird, "publish it as https://autoconfig.",
	 "/mail/config-v1.1.xml"},
	{"outlook", autoconfig_outlook, "publish it as the answer to POST of https://autodiscover.",
	 "/autodiscover/autodiscover.xml"},
	{"apple", autoconfig_apple, "give it, best signed, to the people of ",
	 " as NAME.mobileconfig, type application/x-apple-aspen-config"},
	{"dns", autoconfig_dns, "publish these in the zone of ", ""},
};

static const struct format *format_of(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (!name || strcmp(formats[i].name, name) == 0)
			return &formats[i];
	}
	return NULL;
}

static bool is_our_domain(const struct msg_config *config, struct span name)
{
	for (size_t i = 0; i < config->domains_n; i++) {
		if (span_eq_nocase(config->domains[i].name, name))
			return true;
	}
	return false;
}

static void print_json(const struct autoconfig *a, const char *format, struct buf *text)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < a->n; i++)
		(void)json_array_append_new(
			servers, json_pack("{s:s, s:o, s:i, s:s}", "service", a->servers[i].service,
					   "host", report_text(a->servers[i].host), "port",
					   (int)a->servers[i].port, "tls",
					   a->servers[i].is_tls_first ? "first" : "starttls"));
	cli_print_json(json_pack("{s:o, s:o, s:s, s:o}", "domain", report_text(a->domain),
				 "servers", servers, "format", format, "text",
				 report_text(buf_span(text))));
}

/* --user: an address of the domain. */
static bool take_user(struct cli *c, struct autoconfig *a)
{
	const char *given = cli_value(c, "user");
	struct address address;

	if (!given)
		return true;
	if (address_parse(span_str(given), true, &address) != ADDRESS_FINE ||
	    !span_eq(address_domain(&address), a->domain)) {
		(void)cli_usage(c, "--user is an address of %.*s, not `%s`", SPAN_FMT(a->domain),
				given);
		return false;
	}
	a->user = arena_span(&c->arena, address_span(&address));
	return true;
}

int cmd_autoconfig(struct cli *c)
{
	const struct format *format = format_of(cli_value(c, "format"));
	const char *host = cli_value(c, "host");
	char name[ADDRESS_DOMAIN_LIMIT + 1];
	struct autoconfig a = {0};
	struct msg_config config;
	struct buf out = {0};
	size_t n;

	if (!format)
		return cli_usage(c, "--format is thunderbird, outlook, apple or dns, not `%s`",
				 cli_value(c, "format"));
	if (host && !units_is_host_name(span_str(host)))
		return cli_usage(c, "--host is a host name, not `%s`", host);
	if (!cli_load(c, &config))
		return CLI_NO;
	if (domain_normalise(span_str(c->words[0]), true, name, &n) != ADDRESS_FINE ||
	    !is_our_domain(&config, span_of(name, n)))
		return cli_no(c, "`%s` is no domain of the configuration", c->words[0]);
	if (!autoconfig_find(&config, arena_span(&c->arena, span_of(name, n)),
			     host ? span_str(host) : SPAN_NONE, &a))
		return cli_no(c, "no listener for people's mail programs is configured: add "
				 "listen.imaps and listen.submissions");
	if (!take_user(c, &a))
		return CLI_USAGE;
	format->write(&a, &out);
	if (c->is_json) {
		print_json(&a, format->name, &out);
	} else {
		(void)fwrite(out.p, 1, out.n, stdout);
		(void)fflush(stdout);
		(void)fprintf(stderr, "holdfast: %s%.*s%s\n", format->before, SPAN_FMT(a.domain),
			      format->after);
	}
	buf_fini(&out);
	return CLI_FINE;
}
