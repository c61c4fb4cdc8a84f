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
				    "controls, dnsbl, allow, deny, own_networks, spf, limits, "
				    "queue, dns, roles, log, notices\n"},
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
		 "h.yaml:9:49: error: `mode` cannot be `front`; choose one of: backup-mx, gated\n"},
		{GOOD "  - { name: b.example, site: head-ofice }\n",
		 "h.yaml:9:30: error: there is no site `head-ofice`; did you mean "
		 "`head-office`?\n"},
		{GOOD "  - { name: b.example, site: head-office, recipients: [lern] }\n",
		 "h.yaml:9:56: error: `lern` is not a recipient; did you mean `learn`?\n"},
		{GOOD "window: 30d\n",
		 "h.yaml:9:1: error: `window` is not in this version; remove it\n"},
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
		{"node: a.example\ndata: /d\nlisten: { smtp: [\"1.1.1.1:25\"], imaps: "
		 "[\"1.1.1.1:993\"] }\n"
		 "sites: [{ name: s, primaries: [{ host: p.example }] }]\ndomains: [{ name: "
		 "a.example, site: s }]\n",
		 "h.yaml:3:40: error: `listen.imaps` is not in this version: people cannot read "
		 "mail yet; remove it; a "
		 "listener that nothing serves would only look alive\n"},
		{GOOD "  - { name: b.example, site: head-office, mode: gateway }\n",
		 "h.yaml:9:49: error: the mode `gateway` is not in this version; use backup-mx or "
		 "gated\n"},
		{GOOD "notices: [a@b.example]\n",
		 "h.yaml:9:10: warning: this version keeps `notices` but sends none yet; "
		 "watch the log or the metrics meanwhile\n"},
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
		cmocka_unit_test(yaml_tricks_are_refused),
		cmocka_unit_test(several_problems_are_said_at_once),
		cmocka_unit_test(cross_checks_probe_against_domains),
		cmocka_unit_test(a_good_one_gives_values_and_defaults),
		cmocka_unit_test(given_values_are_taken),
		cmocka_unit_test(nothing_is_written_on_a_problem),
		cmocka_unit_test(sizes_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
