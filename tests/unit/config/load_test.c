/* holdfast.yaml from bytes: every refusal has its place and its suggestion. O-01: unknown key, typo, duplicate. */
#include "config/config.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/must.h"
#include "ipc/msg.h"

#define GOOD                                                                                       \
	"node: mx2.example.net\n"                                                                  \
	"data: /var/lib/holdfast\n"                                                                \
	"listen: { smtp: [\"0.0.0.0:25\"] }\n"                                                     \
	"sites:\n"                                                                                 \
	"  - name: head-office\n"                                                                  \
	"    primaries: [{ host: mail.example.com }]\n"                                            \
	"domains:\n"                                                                               \
	"  - { name: example.com, site: head-office }\n"

/* The whole of what is said about a text, as check-config prints it; "" when it is good. */
static char *said(const char *text)
{
	struct config_problems problems;
	struct msg_config config;
	struct arena arena;
	struct buf out = {0};
	enum rc rc;
	char *copy;

	arena_init(&arena, 0);
	rc = config_parse(span_str(text), "h.yaml", &arena, &config, &problems);
	assert_int_equal(rc == OK, problems.errors == 0);
	config_problems_print(&problems, &out);
	copy = must_strdup(buf_cstr(&out));
	buf_fini(&out);
	arena_fini(&arena);
	return copy;
}

struct row {
	const char *text, *said;
};

static void each_row(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *got = said(rows[i].text);

		if (strcmp(got, rows[i].said))
			print_error("of:\n%s\n", rows[i].text);
		assert_string_equal(got, rows[i].said);
		free(got);
	}
}
#define EACH(rows) each_row(rows, sizeof rows / sizeof *rows)

static void o_01_unknown_keys_and_typos_are_refused_with_place_and_suggestion(void **state)
{
	static const struct row rows[] = {
		{GOOD "lisen: {}\n",
		 "h.yaml:9:1: error: unknown key `lisen`; did you mean `listen`?\n"},
		{GOOD "zebra: 1\n", "h.yaml:9:1: error: unknown key `zebra`; known here: node, "
				    "data, listen, tls, sites, domains, proxy_from, "
				    "controls, dnsbl, allow, deny, own_networks, spf, window, "
				    "accounts, smarthost, dane, mta_sts, portal, limits, queue, dns, "
				    "roles, log, notices\n"},
		{GOOD "recipients: [learn]\n",
		 "h.yaml:9:1: error: unknown key `recipients`; it belongs at "
		 "`domains[].recipients`; check the indentation\n"},
		{GOOD "    recepients: [learn]\n",
		 "h.yaml:9:5: error: did not find expected '-' indicator, while parsing a block "
		 "collection that began in "
		 "line 8; check the indentation; keys of one level start in the same column\n"},
		{GOOD "  - { name: b.example, site: head-office, recepients: [learn] }\n",
		 "h.yaml:9:43: error: unknown key `recepients`; did you mean `recipients`?\n"},
		{GOOD "  - { name: b.example, site: head-office, mode: backup_mx }\n",
		 "h.yaml:9:49: error: `mode` cannot be `backup_mx`; did you mean `backup-mx`?\n"},
		{GOOD "  - { name: b.example, site: head-office, mode: front }\n",
		 "h.yaml:9:49: error: `mode` cannot be `front`; choose one of: backup-mx, gated, "
		 "gateway, journal\n"},
		{GOOD "  - { name: b.example, site: head-ofice }\n",
		 "h.yaml:9:30: error: there is no site `head-ofice`; did you mean "
		 "`head-office`?\n"},
		{GOOD "  - { name: b.example, site: head-office, recipients: [lern] }\n",
		 "h.yaml:9:56: error: `lern` is not a recipient; did you mean `learn`?\n"},
		{GOOD "contacts: []\n",
		 "h.yaml:9:1: error: `contacts` is not in this version; remove it\n"},
		{GOOD "windw: 30d\n",
		 "h.yaml:9:1: error: unknown key `windw`; did you mean `window`?\n"},
		{GOOD "acounts: {}\n",
		 "h.yaml:9:1: error: unknown key `acounts`; did you mean `accounts`?\n"},
	};

	(void)state;
	EACH(rows);
}

static void o_01_duplicates_are_refused(void **state)
{
	static const struct row rows[] = {
		{GOOD "node: other.example.net\n", "h.yaml:9:1: error: duplicate key `node`, given "
						   "before in line 1; remove one of them\n"},
		{GOOD "  - { name: EXAMPLE.com, site: head-office }\n",
		 "h.yaml:9:13: error: the domain `example.com` is there already; remove one of "
		 "them\n"},
		{GOOD "  - { name: b.example, site: head-office, site: head-office }\n",
		 "h.yaml:9:43: error: duplicate key `site`, given before in line 9; remove one of "
		 "them\n"},
		{"node: a.example\ndata: /d\nlisten: { smtp: [\"1.1.1.1:25\", \"1.1.1.1:25\"] }\n"
		 "sites:\n- { name: s, primaries: [{ host: p.example }] }\n- { name: S, primaries: "
		 "[{ host: p.example }] }\n"
		 "domains: [{ name: a.example, site: s }, { name: b.example, site: S }]\n",
		 "h.yaml:3:32: error: `1.1.1.1:25` is listened on twice; remove one of them\n"
		 "h.yaml:6:11: error: the site `S` is there already; give each site a name of its "
		 "own\n"},
	};

	(void)state;
	EACH(rows);
}

static void missing_and_empty_values_are_refused(void **state)
{
	static const struct row rows[] = {
		{"", "h.yaml: error: the configuration is empty; see holdfast.yaml(5) for a first "
		     "one\n"},
		{"# nothing\n", "h.yaml: error: the configuration is empty; see holdfast.yaml(5) "
				"for a first one\n"},
		{"node: a.example\n", "h.yaml:1:1: error: the key `data` is missing\n"
				      "h.yaml:1:1: error: the key `listen` is missing\n"
				      "h.yaml:1:1: error: the key `sites` is missing\n"
				      "h.yaml:1:1: error: the key `domains` is missing\n"},
		{GOOD "  - { name: b.example }\n",
		 "h.yaml:9:5: error: the key `site` is missing\n"},
		{GOOD "log:\n",
		 "h.yaml:9:5: error: `log` has no value; give a value, or remove the key\n"},
		{GOOD "log: { level: ~ }\n",
		 "h.yaml:9:15: error: `level` has no value; give a value, or remove the key\n"},
		{GOOD "log: { level: \"\" }\n",
		 "h.yaml:9:15: error: `level` has no value; give a value, or remove the key\n"},
		{"just text\n", "h.yaml:1:1: error: `the configuration` must be a mapping (key: "
				"value), not one value\n"},
		{"node: a.example\ndata: /d\nlisten: {}\nsites: []\ndomains: []\n",
		 "h.yaml:4:8: error: `sites` is empty\nh.yaml:5:10: error: `domains` is empty\n"},
		{"node: a.example\ndata: /d\nlisten: {}\nsites: [{ name: s, primaries: [{ host: "
		 "p.example }] }]\n"
		 "domains: [{ name: a.example, site: s }]\n",
		 "h.yaml:3:9: error: `listen.smtp` is missing; add smtp: [\"0.0.0.0:25\", "
		 "\"[::]:25\"]\n"},
	};

	(void)state;
	EACH(rows);
}

static void values_of_the_wrong_form_are_refused(void **state)
{
	static const struct row rows[] = {
		{GOOD "queue: { lifetime: 5 }\n", "h.yaml:9:20: error: `lifetime: 5` needs a unit; "
						  "write 5s, or another of ms, s, m, h, d, w\n"},
		{GOOD "limits: { message: 25 }\n",
		 "h.yaml:9:20: error: `message: 25` needs a unit; write 25MiB, or "
		 "another of B, KiB, MiB, GiB, TiB\n"},
		{GOOD "limits: { recipients: 50 }\n",
		 "h.yaml:9:23: error: `recipients` must be 100 to 50000\n"},
		{GOOD "limits: { recipients: 0x64 }\n",
		 "h.yaml:9:23: error: `recipients` is a number, not `0x64`; write digits only, no "
		 "unit\n"},
		{GOOD "limits: { recipients: -1 }\n",
		 "h.yaml:9:23: error: `recipients` is a number, not `-1`; write digits only, no "
		 "unit\n"},
		{GOOD "spf: yes\n",
		 "h.yaml:9:6: error: `spf` is true or false, not `yes`; write true\n"},
		{GOOD "spf: maybe\n", "h.yaml:9:6: error: `spf` is true or false, not `maybe`\n"},
		{GOOD "proxy_from: 10.0.0.1\n",
		 "h.yaml:9:13: error: `proxy_from` must be a list, not one value; write "
		 "proxy_from: [\"10.0.0.1\"]\n"},
		{GOOD "proxy_from: [10.0.0.1/40]\n",
		 "h.yaml:9:14: error: `10.0.0.1/40` is not good in `proxy_from`; write "
		 "a network such as 192.0.2.0/24 or 2001:db8::/32\n"},
		{GOOD "dns: { server: ns.example }\n",
		 "h.yaml:9:16: error: `ns.example` is not a name server's address; write its IP "
		 "address, with @port if it "
		 "is not 53: 127.0.0.1@5353\n"},
		{GOOD "roles: [edges]\n",
		 "h.yaml:9:8: error: `roles` must be a mapping (key: value), not a list\n"},
		{GOOD "  - { name: b.example, site: head-office, recipients: [a@c.example] }\n",
		 "h.yaml:9:56: error: `a@c.example` is not in b.example; list it under the domain "
		 "c.example\n"},
		{GOOD "  - { name: b.example, site: head-office, recipients: [/etc/list] }\n",
		 "h.yaml:9:56: error: `/etc/list` is not a recipient; for a file write "
		 "file:/etc/list\n"},
	};

	(void)state;
	EACH(rows);
}

static void what_this_version_cannot_do_is_refused_not_ignored(void **state)
{
	static const struct row rows[] = {
		{GOOD "  - { name: b.example, site: head-office, mode: standby }\n",
		 "h.yaml:9:49: error: the mode `standby` is not in this version; use backup-mx, "
		 "gated, gateway or journal\n"},
		{GOOD "notices: [a@b.example]\n",
		 "h.yaml:9:10: warning: this version keeps `notices` but sends none yet; "
		 "watch the log or the metrics meanwhile\n"},
	};

	(void)state;
	EACH(rows);
}

#define SITE(more)                                                                                 \
	"node: mx2.example.net\ndata: /d\nlisten: { smtp: [\"0.0.0.0:25\"] }\nsites:\n"            \
	"- name: s\n  primaries: [{ host: p.example }]\n" more                                     \
	"domains: [{ name: a.example, site: s }]\n"

static void people_need_a_safe_way_in(void **state)
{
	static const struct row rows[] = {
		{SITE("  imap: [{ host: p.example, tls: none }]\n"),
		 "h.yaml:7:34: error: passwords would travel in the clear to `p.example`; `none` "
		 "is for "
		 "loopback addresses; use starttls or tls\n"},
		{SITE("  imap: [{ host: 127.0.0.1, tls: none, port: 10143 }]\n"), ""},
		{SITE("  imap: []\n"), "h.yaml:7:9: error: `imap` is empty; write [{ host: "
				       "mail.example.com }], or remove the key\n"},
		{SITE("  passthrough: true\n"),
		 "h.yaml:7:16: error: `passthrough` needs the primary's IMAP server; add imap: [{ "
		 "host: mail.example.com }]\n"},
		{SITE("  master: { user: m }\n"),
		 "h.yaml:7:11: error: `master` needs the primary's IMAP server; add imap: [{ host: "
		 "mail.example.com }]\n"},
		{SITE("  imap: [{ host: p.example }]\n  master: { user: m, login: \"%u\" }\n"),
		 "h.yaml:8:29: error: `%u` is not the shape of a login; write \"%u*%m\" (%u the "
		 "person, %m the master user), or sasl\n"},
		{SITE("  imap: [{ host: p.example }]\n  master: { user: m, login: SASL }\n"),
		 "h.yaml:8:29: error: `SASL` is not the shape of a login; write \"%u*%m\" (%u the "
		 "person, %m the master user), or sasl\n"},
		{GOOD "accounts: { idle_timeout: 5m }\n",
		 "h.yaml:9:27: warning: mail programs may count on 30 minutes (RFC 9051); write "
		 "30m\n"},
		{GOOD "accounts: { sessions: 0 }\n",
		 "h.yaml:9:23: error: `sessions` must be 1 to 10000\n"},
		{GOOD "window: 30\n", "h.yaml:9:9: error: `window: 30` needs a unit; write 30s, or "
				      "another of ms, s, m, h, d, w\n"},
		{GOOD "mta_sts: no\n", "h.yaml:9:10: error: `mta_sts: no` does not begin with a "
				       "number; write it like 30s\n"},
		{"node: a.example\ndata: /d\nlisten: { smtp: [\"1.1.1.1:25\"], imap: "
		 "[\"127.0.0.1:143\", \"1.1.1.1:143\"] }\n"
		 "accounts: { needs_tls: false }\n"
		 "sites: [{ name: s, primaries: [{ host: p.example }] }]\ndomains: [{ name: "
		 "a.example, site: s }]\n",
		 "h.yaml:4:24: error: without TLS passwords could be read on the way to "
		 "`1.1.1.1:143` (imap); remove it, or listen on loopback alone\n"},
	};

	(void)state;
	EACH(rows);
}

static void copies_need_a_sender(void **state)
{
	static const struct row rows[] = {
		{GOOD "  - { name: j.example, site: head-office, mode: journal }\n",
		 "h.yaml:9:49: error: the mode `journal` needs to know who may send copies; add "
		 "journal: { from: [192.0.2.1], to: [journal@...] }\n"},
		{GOOD "  - { name: j.example, site: head-office, mode: journal, journal: { to: "
		      "[j@j.example] } }\n",
		 "h.yaml:9:67: error: `journal.from` is missing: anybody could put mail into "
		 "mailboxes; name the primary: from: [192.0.2.1]\n"},
		{GOOD "  - { name: j.example, site: head-office, mode: journal, journal: { from: "
		      "[192.0.2.1], to: [j@example.com] } }\n",
		 "h.yaml:9:93: error: `j@example.com` is not an address of j.example; write an "
		 "address such as journal@j.example\n"},
		{GOOD
		 "  - { name: j.example, site: head-office, journal: { from: [192.0.2.1] } }\n",
		 "h.yaml:9:52: error: `journal` in the mode backup-mx needs `to`; name the address "
		 "that copies go to, or use mode: journal\n"},
		{GOOD "  - { name: j.example, site: head-office, mode: journal, journal: { from: "
		      "[here] } }\n",
		 "h.yaml:9:76: error: `here` is not good in `from`; write a network such as "
		 "192.0.2.0/24, or a sender's address\n"},
		{GOOD
		 "  - { name: j.example, site: head-office, mode: journal, journal: { from: "
		 "[192.0.2.1, primary@example.com], to: [J@j.example] } }\n"
		 "  - { name: b.example, site: head-office, journal: { from: [10.0.0.0/8], to: "
		 "[j@b.example] } }\n",
		 ""},
	};

	(void)state;
	EACH(rows);
}

static void yaml_tricks_are_refused(void **state)
{
	static const struct row rows[] = {
		{"node: &a x\n",
		 "h.yaml:1:7: error: an anchor (&name) is not allowed here; write the value out\n"},
		{"node: *a\n",
		 "h.yaml:1:7: error: an alias (*name) is not allowed here; write the value out\n"},
		{"node: !!str x\n",
		 "h.yaml:1:7: error: a tag (!name) is not allowed here; write the value out\n"},
		{"<<: {}\nnode: x\n---\nnode: y\n",
		 "h.yaml:3:1: error: a second document; remove the line `---` and what follows\n"},
		{"? [a]\n: b\n",
		 "h.yaml:1:3: error: a key cannot be a list or mapping; a key is a plain word\n"},
		{"node: [[[[[[[[[[[[[[x]]]]]]]]]]]]]]\n",
		 "h.yaml:1:18: error: nested too deeply\n"},
		{"node: \"a\\0b\"\n", "h.yaml:1:7: error: a value cannot hold a NUL byte\n"},
		{"node:\n\tx: y\n",
		 "h.yaml:2:1: error: found character that cannot start any token; indent with "
		 "blanks, not with tabs\n"},
		{"node: [a\ndata: b\n",
		 "h.yaml:2:5: error: did not find expected ',' or ']', while parsing a flow "
		 "sequence "
		 "that began in line 1; a bracket is not closed, or a comma is missing\n"},
		{"node: \xff\xfe\n", "h.yaml: error: not readable as text: invalid leading UTF-8 "
				     "octet at byte 6; save it as "
				     "UTF-8\n"},
	};

	(void)state;
	EACH(rows);
}

static void several_problems_are_said_at_once(void **state)
{
	char *got = said(GOOD
			 "lisen: {}\nqueue: { lifetime: 5 }\nspff: true\nlimits: { message: 5 }\n");

	(void)state;
	assert_non_null(strstr(got, ":9:1: error: unknown key `lisen`"));
	assert_non_null(strstr(got, ":10:20: error: `lifetime: 5` needs a unit"));
	assert_non_null(strstr(got, ":11:1: error: unknown key `spff`"));
	assert_non_null(strstr(got, ":12:20: error: `message: 5` needs a unit"));
	free(got);
}

static void cross_checks_probe_against_domains(void **state)
{
	static const struct row rows[] = {
		{"node: a.example\ndata: /d\nlisten: { smtp: [\"1.1.1.1:25\"] }\n"
		 "sites:\n- { name: s, primaries: [{ host: p.example }], probe: { recipient: "
		 "x@other.example } }\n"
		 "- { name: t, primaries: [{ host: q.example }] }\n"
		 "domains: [{ name: a.example, site: s }]\n",
		 "h.yaml:6:11: warning: no domain is on the site `t`; name it in `domains`, or "
		 "remove it\n"
		 "h.yaml:5:68: error: the probe's recipient `x@other.example` is in no domain of "
		 "the site `s`; choose an "
		 "address of a domain of this site\n"},
	};

	(void)state;
	EACH(rows);
}

static void a_good_one_gives_values_and_defaults(void **state)
{
	struct config_problems problems;
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(config_parse(SPAN_LIT(GOOD), "h.yaml", &arena, &c, &problems), OK);
	assert_int_equal(problems.n, 0);
	assert_true(span_eq(c.node, SPAN_LIT("mx2.example.net")));
	assert_true(span_eq(c.data, SPAN_LIT("/var/lib/holdfast")));
	assert_int_equal(c.listen_n, 1);
	assert_true(span_eq(c.listen[0].service, SPAN_LIT("smtp")));
	assert_int_equal(c.sites_n, 1);
	assert_int_equal(c.sites[0].primaries[0].port, 25);
	assert_int_equal(c.sites[0].primaries[0].weight, 1);
	assert_int_equal(c.sites[0].probe_every_ms, 5000);
	assert_int_equal(c.sites[0].probe_fail, 3);
	assert_true(span_eq(c.sites[0].probe_recipient, SPAN_LIT("postmaster@example.com")));
	assert_true(span_eq(c.sites[0].hold, SPAN_LIT("auto")));
	assert_true(span_eq(c.sites[0].tls, SPAN_LIT("opportunistic")));
	assert_true(span_eq(c.domains[0].mode, SPAN_LIT("backup-mx")));
	assert_true(span_eq(c.domains[0].unknown, SPAN_LIT("hold")));
	assert_true(c.domains[0].learn);
	assert_true(c.spf);
	assert_int_equal(c.limits.message_bytes, 50 << 20);
	assert_true(c.queue_lifetime_ms == 5ull * 86400000);
	assert_int_equal(c.retry_ms_n, 7);
	assert_int_equal(c.retry_ms[0], 60000);
	assert_true(span_eq(c.log_level, SPAN_LIT("info")));
	assert_int_equal(c.couriers, 2);
	assert_true(c.edges >= 1);
	assert_int_equal(c.desks, 1);
	assert_true(c.window_ms == 30ull * 86400000);
	assert_true(c.verifier_age_ms == 90ull * 86400000);
	assert_true(c.mta_sts_ms == 31ull * 86400000);
	assert_int_equal(c.submissions_per_hour, 500);
	assert_int_equal(c.sessions_per_account, 50);
	assert_int_equal(c.idle_timeout_ms, 1800000);
	assert_true(c.dane && c.needs_tls_to_login && !c.scram);
	assert_int_equal(c.smarthost.host.n, 0);
	assert_int_equal(c.sites[0].imap_n, 0);
	assert_false(c.sites[0].passthrough);
	assert_int_equal(c.domains[0].journal_to_n, 0);
	arena_fini(&arena);
}

static void given_values_are_taken(void **state)
{
	static const char text[] =
		"node: MX2.example.net\ndata: /var/lib/holdfast/\n"
		"listen: { smtp: [\"0.0.0.0:25\", \"[::]:25\"], metrics: [\"127.0.0.1:9325\"] }\n"
		"sites:\n- name: a\n  primaries: [{ host: \"[::1]\", port: 26, weight: 3, "
		"priority: 5 }]\n"
		"  probe: { every: 1s, fail: 2, recover: 1, recipient: Probe@B\xc3\xbc"
		"cher.example }\n"
		"  hold: \"on\"\n  tls: required\n  continuity: { switch: ask, after: 1m }\n"
		"domains: [{ name: b\xc3\xbc"
		"cher.example, site: a, mode: gated, recipients: [learn, \"*\", info@b\xc3\xbc"
		"cher.example], unknown: reject }]\n"
		"spf: false\nqueue: { lifetime: 2d, retry: [1s, 2m] }\nlog: { level: debug "
		"}\nroles: { edges: 3, couriers: 4 }\n"
		"dns: { server: 127.0.0.1@5353, timeout: 300ms }\nlimits: { reserve: 10MiB, "
		"message: 1MiB }\n"
		"allow: [192.0.2.0/24, .friend.example, boss@friend.example]\n";
	struct config_problems problems;
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(config_parse(span_str(text), "h.yaml", &arena, &c, &problems), OK);
	assert_true(span_eq(c.node, SPAN_LIT("mx2.example.net")));
	assert_true(span_eq(c.data, SPAN_LIT("/var/lib/holdfast")));
	assert_int_equal(c.listen_n, 3);
	assert_true(span_eq(c.sites[0].primaries[0].host, SPAN_LIT("::1")));
	assert_int_equal(c.sites[0].primaries[0].priority, 5);
	assert_true(span_eq(c.sites[0].hold, SPAN_LIT("on")));
	assert_true(span_eq(c.sites[0].tls, SPAN_LIT("required")));
	assert_true(span_eq(c.sites[0].continuity_switch, SPAN_LIT("ask")));
	assert_true(span_eq(c.domains[0].name, SPAN_LIT("xn--bcher-kva.example")));
	assert_true(span_eq(c.domains[0].mode, SPAN_LIT("gated")));
	assert_true(span_eq(c.domains[0].catch_all, SPAN_LIT("yes")));
	assert_true(c.domains[0].learn);
	assert_int_equal(c.domains[0].recipients_n, 1);
	assert_false(c.spf);
	assert_int_equal(c.retry_ms_n, 2);
	assert_int_equal(c.retry_ms[1], 120000);
	assert_int_equal(c.edges, 3);
	assert_int_equal(c.dns_timeout_ms, 300);
	assert_int_equal(c.allow_n, 3);
	arena_fini(&arena);
}

static void what_people_need_is_taken(void **state)
{
	static const char text[] =
		"node: mx2.example.net\ndata: /d\n"
		"listen: { smtp: [\"127.0.0.1:25\"], submission: [\"127.0.0.1:587\"], submissions: "
		"[\"127.0.0.1:465\"], imap: [\"[::1]:143\"], imaps: [\"127.0.0.1:993\"], pop3: "
		"[\"127.0.0.1:110\"], pop3s: [\"127.0.0.1:995\"] }\n"
		"sites:\n- name: a\n  primaries: [{ host: p.example }]\n"
		"  imap: [{ host: p.example }, { host: q.example, port: 143 }, { host: 127.0.0.1, "
		"tls: "
		"none }]\n"
		"  passthrough: false\n  master: { user: holdfast }\n"
		"domains:\n- { name: a.example, site: a, mode: gateway }\n"
		"- { name: j.example, site: a, mode: journal, journal: { from: [192.0.2.0/24], to: "
		"[Reports@J.example] } }\n"
		"window: 2w\naccounts: { scram: true, needs_tls: false, verifier_age: 7d, "
		"submissions_per_hour: 9, sessions: 3, idle_timeout: 1h }\n"
		"smarthost: { host: relay.example, port: 587, user: u }\ndane: "
		"false\nmta_sts: \"off\"\n"
		"roles: { desks: 2 }\n";
	struct config_problems problems;
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(config_parse(span_str(text), "h.yaml", &arena, &c, &problems), OK);
	assert_int_equal(problems.n, 0);
	assert_int_equal(c.listen_n, 7);
	assert_int_equal(c.sites[0].imap_n, 3);
	assert_int_equal(c.sites[0].imap[0].port, 993);
	assert_true(span_eq(c.sites[0].imap[0].tls, SPAN_LIT("tls")));
	assert_true(span_eq(c.sites[0].imap[1].tls, SPAN_LIT("starttls")));
	assert_int_equal(c.sites[0].imap[2].port, 143);
	assert_false(c.sites[0].passthrough);
	assert_true(span_eq(c.sites[0].master_user, SPAN_LIT("holdfast")));
	assert_true(span_eq(c.sites[0].master_login, SPAN_LIT("%u*%m")));
	assert_true(span_eq(c.domains[0].mode, SPAN_LIT("gateway")));
	assert_true(c.domains[0].learn);
	assert_true(span_eq(c.domains[1].mode, SPAN_LIT("journal")));
	assert_false(c.domains[1].learn);
	assert_true(span_eq(c.domains[1].catch_all, SPAN_LIT("yes")));
	assert_true(span_eq(c.domains[1].journal_from[0], SPAN_LIT("192.0.2.0/24")));
	assert_true(span_eq(c.domains[1].journal_to[0], SPAN_LIT("Reports@j.example")));
	assert_true(span_eq(c.sites[0].probe_recipient, SPAN_LIT("postmaster@a.example")));
	assert_true(c.window_ms == 14ull * 86400000);
	assert_true(c.scram && !c.needs_tls_to_login && !c.dane && c.mta_sts_ms == 0);
	assert_true(c.verifier_age_ms == 7ull * 86400000);
	assert_int_equal(c.submissions_per_hour, 9);
	assert_int_equal(c.sessions_per_account, 3);
	assert_int_equal(c.idle_timeout_ms, 3600000);
	assert_true(span_eq(c.smarthost.tls, SPAN_LIT("required")));
	assert_int_equal(c.smarthost.port, 587);
	assert_true(span_eq(c.smarthost.user, SPAN_LIT("u")));
	assert_int_equal(c.desks, 2);
	arena_fini(&arena);
}

static void the_portal_speaks_for_the_organisation(void **state)
{
	static const char text[] =
		GOOD "portal:\n  organisation: Example Ltd\n"
		     "  contacts: [{ name: Help desk, phone: \"+49 30 1234\", mail: help@example.com, "
		     "note: 8 to 18 }]\n"
		     "  words:\n  - { language: de, welcome: Willkommen, help: Ruhe }\n"
		     "  - { language: en, outage: Calm }\n"
		     "  session: 1h\n  uploads: 10MiB\n";
	struct config_problems problems;
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(config_parse(span_str(text), "h.yaml", &arena, &c, &problems), OK);
	assert_true(span_eq(c.portal.organisation, SPAN_LIT("Example Ltd")));
	assert_int_equal(c.portal.contacts_n, 1);
	assert_true(span_eq(c.portal.contacts[0].phone, SPAN_LIT("+49 30 1234")));
	assert_int_equal(c.portal.words_n, 3);
	assert_true(span_eq(c.portal.words[1].language, SPAN_LIT("de")));
	assert_true(span_eq(c.portal.words[1].name, SPAN_LIT("help")));
	assert_true(span_eq(c.portal.words[1].text, SPAN_LIT("Ruhe")));
	assert_true(c.portal.session_ms == 3600000 && c.portal.session_most_ms == 7ull * 86400000);
	assert_true(c.portal.upload_bytes == 10 << 20);
	arena_fini(&arena);
}

static void a_portal_that_helps_nobody_is_refused(void **state)
{
	static const struct row rows[] = {
		{GOOD "portal: { contacts: [{ name: Anna }] }\n",
		 "h.yaml:9:22: error: the contact `Anna` says no way to reach it; add phone, mail "
		 "or note\n"},
		{GOOD "portal: { contacts: [{ name: Anna, mail: nonsense }] }\n",
		 "h.yaml:9:42: error: `nonsense` is no mail address; write an address: "
		 "help@example.com\n"},
		{GOOD "portal: { words: [{ welcome: Hello }] }\n",
		 "h.yaml:9:19: error: these words are of no language; add language: en\n"},
		{GOOD "portal: { session: 2d, session_most: 1d }\n",
		 "h.yaml:9:38: error: `session_most` is shorter than `session`; make it at least as "
		 "long as `session`\n"},
	};

	(void)state;
	EACH(rows);
}

static void nothing_is_written_on_a_problem(void **state)
{
	struct config_problems problems;
	struct msg_config c = {.edges = 4711};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(config_parse(SPAN_LIT(GOOD "spf: maybe\n"), "h", &arena, &c, &problems),
			 REFUSED);
	assert_int_equal(c.edges, 4711);
	assert_string_equal(config_problems_first(&problems, &arena),
			    "h:9:6: error: `spf` is true or false, not `maybe`");
	arena_fini(&arena);
}

/* A map of many keys, a long list, many problems: bounded in time and in what is kept. */
static void sizes_are_limited(void **state)
{
	struct buf text = {0};
	char *got;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "k%d: 1\n", i);
	got = said(buf_cstr(&text));
	assert_non_null(strstr(got, "too many keys"));
	free(got);
	buf_clear(&text);
	buf_append(&text, SPAN_LIT(GOOD "deny:\n"));
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, " - \"?%d\"\n", i);
	got = said(buf_cstr(&text));
	assert_non_null(strstr(got, "... and 950 more\n"));
	free(got);
	buf_clear(&text);
	while (text.n <= CONFIG_LIMIT_BYTES)
		buf_append(&text, SPAN_LIT("# filler filler filler filler filler filler\n"));
	got = said(buf_cstr(&text));
	assert_non_null(strstr(got, "larger than 1024 KiB"));
	free(got);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(o_01_unknown_keys_and_typos_are_refused_with_place_and_suggestion),
		cmocka_unit_test(o_01_duplicates_are_refused),
		cmocka_unit_test(missing_and_empty_values_are_refused),
		cmocka_unit_test(values_of_the_wrong_form_are_refused),
		cmocka_unit_test(what_this_version_cannot_do_is_refused_not_ignored),
		cmocka_unit_test(people_need_a_safe_way_in),
		cmocka_unit_test(copies_need_a_sender),
		cmocka_unit_test(what_people_need_is_taken),
		cmocka_unit_test(yaml_tricks_are_refused),
		cmocka_unit_test(several_problems_are_said_at_once),
		cmocka_unit_test(cross_checks_probe_against_domains),
		cmocka_unit_test(a_good_one_gives_values_and_defaults),
		cmocka_unit_test(given_values_are_taken),
		cmocka_unit_test(the_portal_speaks_for_the_organisation),
		cmocka_unit_test(a_portal_that_helps_nobody_is_refused),
		cmocka_unit_test(nothing_is_written_on_a_problem),
		cmocka_unit_test(sizes_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
