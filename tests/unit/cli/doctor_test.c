/* What doctor says about SPF of a domain that people send from, against a DNS of a few records. */
#include "cli/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "cli/control.h"
#include "dns/dns.h"

static const char *record; /* of ours.example; NULL: none */
static enum rc dns_says;
static struct {
	enum doctor_level level;
	char text[400], hint[200];
	unsigned n;
} said;

/* ---- in place of the network, and of who prints ---- */

void doctor_ask(struct doctor *d, const char *name, unsigned type, struct doctor_records *out)
{
	(void)d;
	*out = (struct doctor_records){.rc = MORE};
	if (type != DNS_TXT || strncmp(name, "ours.example", 12) != 0)
		return;
	out->rc = dns_says;
	if (dns_says != OK)
		return;
	out->n = 1;
	out->record[0].data = span_str(record);
}

enum rc people_ask(struct cli *c, const char *data, unsigned type, struct span body,
		   unsigned timeout_ms, struct msg_people_answer *out, struct fault *why)
{
	(void)c, (void)data, (void)type, (void)body, (void)timeout_ms, (void)out, (void)why;
	return LATER; /* auth is away */
}

void doctor_say(struct doctor *d, enum doctor_level level, const char *topic, const char *hint,
		const char *format, ...)
{
	va_list list;

	(void)d;
	(void)topic;
	va_start(list, format);
	(void)vsnprintf(said.text, sizeof said.text, format, list);
	va_end(list);
	(void)snprintf(said.hint, sizeof said.hint, "%s", hint);
	said.level = level;
	said.n++;
}

const char *doctor_text(struct doctor *d, const char *format, ...)
{
	static char texts[8][300];
	static unsigned next;
	char *text = texts[next++ % 8];
	va_list list;

	(void)d;
	va_start(list, format);
	(void)vsnprintf(text, sizeof texts[0], format, list);
	va_end(list);
	return text;
}

/* ---- */

static void spf_of_a_domain_people_send_from(void **state)
{
	static const struct {
		const char *record, *ours;
		enum rc dns;
		enum doctor_level level;
		const char *text, *hint;
	} rows[] = {
		{"v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.7", OK, DOCTOR_GOOD,
		 "allows this machine", ""},
		{"v=spf1 ip4:198.51.100.1 -all", "192.0.2.7", OK, DOCTOR_BAD, "does not allow",
		 "add ip4:192.0.2.7"},
		{"v=spf1 ip4:198.51.100.1 ~all", "192.0.2.7", OK, DOCTOR_WARN, "does not allow",
		 "add ip4:192.0.2.7"},
		{"v=spf1 ip6:2001:db8::/32 -all", "2001:db8::7", OK, DOCTOR_GOOD, "allows", ""},
		{"v=spf1 -all", "2001:db8::7", OK, DOCTOR_BAD, "does not allow",
		 "add ip6:2001:db8::7"},
		{NULL, "192.0.2.7", MORE, DOCTOR_NOTE, "has no SPF record", "add ip4:192.0.2.7"},
		{NULL, "192.0.2.7", LATER, DOCTOR_NOTE, "did not give", ""},
	};
	struct msg_domain domain = {.name = SPAN_LIT("ours.example")};
	struct msg_listen listen = {.service = SPAN_LIT("submissions")};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct doctor d = {.ours_n = 2};

		d.config = (struct msg_config){.node = SPAN_LIT("mx2.ours.example"),
					       .domains = &domain,
					       .domains_n = 1,
					       .listen = &listen,
					       .listen_n = 1};
		(void)snprintf(d.ours[0], sizeof d.ours[0], "127.0.0.1"); /* says nothing */
		(void)snprintf(d.ours[1], sizeof d.ours[1], "%s", rows[i].ours);
		record = rows[i].record;
		dns_says = rows[i].dns;
		memset(&said, 0, sizeof said);
		doctor_outgoing(&d);
		if (said.level != rows[i].level || !strstr(said.text, rows[i].text) ||
		    strncmp(said.hint, rows[i].hint, strlen(rows[i].hint)) != 0)
			fail_msg("row %zu: %d '%s' (%s)", i, (int)said.level, said.text, said.hint);
	}
}

static void a_smarthost_is_named(void **state)
{
	struct msg_domain domain = {.name = SPAN_LIT("ours.example")};
	struct msg_listen listen = {.service = SPAN_LIT("submission")};
	struct doctor d = {.ours_n = 0};

	(void)state;
	d.config = (struct msg_config){
		.domains = &domain, .domains_n = 1, .listen = &listen, .listen_n = 1};
	d.config.smarthost.host = SPAN_LIT("relay.example.net");
	doctor_outgoing(&d);
	assert_int_equal(said.level, DOCTOR_NOTE);
	assert_non_null(strstr(said.text, "relay.example.net"));
	d.config.listen_n = 0;
	said.n = 0;
	doctor_outgoing(&d); /* nobody sends here */
	assert_int_equal(said.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spf_of_a_domain_people_send_from),
		cmocka_unit_test(a_smarthost_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
