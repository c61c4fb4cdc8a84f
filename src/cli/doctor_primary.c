/*
 * Each primary as our mail will meet it: a relay that brings other people's mail from one address. Two senders are
 * tried, up to RCPT: one whose domain says "SPF -all" (a primary that checks SPF on us refuses whatever we hand back),
 * and one of the site's own domain (which many servers take from nobody outside). A 4xx is tried again within the
 * patience given, to tell greylisting from trouble.
 */
#include "cli/doctor.h"

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "dns/dns.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/primary_tls.h"
#include "role/common/smtp_probe.h"
#include "tls/tls.h"

struct target {
	struct doctor *d;
	const struct msg_site *site;
	const struct msg_primary *primary;
	struct sockaddr_storage to;
	socklen_t to_n;
	const char *topic;
	struct smtp_probe_result result;
};

/* ---- finding it ---- */

static bool set_address(struct target *t, const void *bytes, size_t n)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&t->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&t->to;

	t->to = (struct sockaddr_storage){0};
	if (n == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(t->primary->port);
		memcpy(&v4->sin_addr, bytes, 4);
		t->to_n = sizeof *v4;
	} else if (n == 16) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(t->primary->port);
		memcpy(&v6->sin6_addr, bytes, 16);
		t->to_n = sizeof *v6;
	}
	return n == 4 || n == 16;
}

static bool find_address(struct target *t, const char *host)
{
	unsigned char bytes[16];
	struct doctor_records found;

	if (inet_pton(AF_INET, host, bytes) == 1)
		return set_address(t, bytes, 4);
	if (inet_pton(AF_INET6, host, bytes) == 1)
		return set_address(t, bytes, 16);
	doctor_ask(t->d, host, DNS_A, &found);
	if (!found.n)
		doctor_ask(t->d, host, DNS_AAAA, &found);
	if (found.n)
		return set_address(t, found.record[0].data.p, found.record[0].data.n);
	t->d->has_silent = true;
	doctor_say(t->d, DOCTOR_BAD, t->topic, "correct the name, or check the name server",
		   found.rc == LATER ? "no answer from the name server about %s"
				     : "the name %s has no address",
		   host);
	return false;
}

/* The address this primary sees: a connected datagram socket tells without sending anything. */
static void note_our_address(struct target *t)
{
	struct doctor *d = t->d;
	struct sockaddr_storage us;
	socklen_t n = sizeof us;
	char text[64];
	int fd = socket(t->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&t->to, t->to_n) == 0 &&
	    getsockname(fd, (struct sockaddr *)&us, &n) == 0 &&
	    inet_ntop(us.ss_family,
		      us.ss_family == AF_INET
			      ? (const void *)&((struct sockaddr_in *)&us)->sin_addr
			      : (const void *)&((struct sockaddr_in6 *)&us)->sin6_addr,
		      text, sizeof text)) {
		size_t i = 0;

		while (i < d->ours_n && strcmp(d->ours[i], text) != 0)
			i++;
		if (i == d->ours_n && d->ours_n < DOCTOR_ADDRESSES)
			(void)snprintf(d->ours[d->ours_n++], sizeof d->ours[0], "%s", text);
	}
	(void)close(fd);
}

/* ---- asking ---- */

static void on_done(void *arg, const struct smtp_probe_result *result)
{
	struct target *t = arg;

	t->result = *result;
	loop_stop(t->d->loop);
}

static void ask(struct target *t, struct span sender, const struct span *rcpts, size_t rcpts_n)
{
	struct smtp_probe_options options = {
		.to = t->to,
		.to_n = t->to_n,
		.host_name = (const char *)t->primary->host.p,
		.helo = t->d->config.node,
		.tls = primary_tls_for(t->d->tls, t->site),
		.tls_required = primary_tls_is_required(t->site),
		.plain_after_tls_failure = true,
		.sender = sender,
		.rcpts = rcpts,
		.rcpts_n = rcpts_n,
		.deadline_ms = 20000,
	};

	(void)smtp_probe_start(t->d->loop, &options, on_done, t);
	tls_context_unref(options.tls);
	loop_run(t->d->loop);
}

static unsigned code_of(const struct smtp_probe_result *r)
{
	return r->class == SMTP_PROBE_RCPT && r->rcpts_n ? r->rcpts[0].code : r->code;
}

static const char *text_of(struct target *t)
{
	const struct smtp_probe_result *r = &t->result;
	const char *text = r->class == SMTP_PROBE_RCPT && r->rcpts_n ? r->rcpts[0].text : r->text;
	struct buf line = {0};
	const char *shown;

	if (code_of(r))
		buf_printf(&line, "%u ", code_of(r));
	term_put(&line, span_str(text), 120);
	shown = doctor_text(t->d, "%s", buf_cstr(&line));
	buf_fini(&line);
	return shown;
}

static void pause_ms(uint64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* Asks again while the answer is 4xx and there is patience. True: it was refused for now at first. */
static bool ask_patiently(struct target *t, struct span sender, struct span rcpt)
{
	uint64_t waited = 0;
	bool was_delayed = false;

	for (;;) {
		ask(t, sender, &rcpt, 1);
		if (t->result.class == SMTP_PROBE_FINE || code_of(&t->result) / 100 != 4)
			return was_delayed;
		was_delayed = true;
		if (waited >= t->d->patience_ms)
			return was_delayed;
		pause_ms(2000);
		waited += 2000;
	}
}

/* ---- judging ---- */

static bool judge_reach(struct target *t)
{
	const struct smtp_probe_result *r = &t->result;

	if (r->class == SMTP_PROBE_FINE || r->class == SMTP_PROBE_MAIL ||
	    r->class == SMTP_PROBE_RCPT)
		return true;
	doctor_say(
		t->d, DOCTOR_BAD, t->topic,
		r->class == SMTP_PROBE_TCP
			? "is it running, and does its firewall let this machine in on that port?"
		: r->class == SMTP_PROBE_TLS
			? "give it a certificate for that name, or name its authority as `tls_ca`"
			: "look into its log for our address",
		"cannot be used, it ended at %s: %s", r->stage, text_of(t));
	return false;
}

static void judge_sender(struct target *t, const char *what, const char *refused, bool was_delayed)
{
	const struct smtp_probe_result *r = &t->result;

	if (r->class == SMTP_PROBE_FINE && !was_delayed) {
		doctor_say(t->d, DOCTOR_GOOD, t->topic, "", "takes mail from us with %s", what);
		return;
	}
	t->d->needs_lines = true;
	if (r->class == SMTP_PROBE_FINE)
		doctor_say(t->d, DOCTOR_WARN, t->topic,
			   "exempt our address from greylisting (lines below)",
			   "greylists us: refused for now, then taken, with %s", what);
	else if (code_of(r) / 100 == 4)
		doctor_say(t->d, DOCTOR_WARN, t->topic,
			   "if that is greylisting, exempt our address (lines below); --patience "
			   "waits longer",
			   "puts us off with %s: %s", what, text_of(t));
	else
		doctor_say(t->d, DOCTOR_BAD, t->topic, refused, "refuses %s: %s", what, text_of(t));
}

static void judge_tls(struct target *t)
{
	const struct smtp_probe_result *r = &t->result;

	if (r->tls_used)
		doctor_say(t->d, DOCTOR_GOOD, t->topic, "", "encrypts (%s%s)", r->tls_text,
			   r->tls_verified ? ", certificate verified" : "");
	else if (r->starttls_offered)
		doctor_say(t->d, DOCTOR_WARN, t->topic, "mend its certificate or TLS settings",
			   "offers STARTTLS, but it does not work: mail would go unencrypted");
	else
		doctor_say(t->d, DOCTOR_NOTE, t->topic, "",
			   "offers no STARTTLS: mail goes unencrypted");
}

static void judge_size(struct target *t)
{
	const struct smtp_probe_result *r = &t->result;
	uint64_t ours = t->d->config.limits.message_bytes;
	struct term_text a, b;

	if (r->size_limit && r->size_limit < ours)
		doctor_say(t->d, DOCTOR_WARN, t->topic, "lower limits.message, or raise its limit",
			   "takes %s at most, and we would take %s", term_size(&a, r->size_limit),
			   term_size(&b, ours));
	if (!r->eightbit)
		doctor_say(t->d, DOCTOR_NOTE, t->topic, "",
			   "does not offer 8BITMIME; 8-bit mail is sent as it came");
}

/* Does it know its recipients? If it takes any, learning cannot tell good from bad. */
static void judge_unknown(struct target *t, struct span domain)
{
	unsigned char random[8];
	char local[2 * sizeof random + 1];
	struct span rcpts[2] = {t->site->probe_recipient};

	os_random(os_real(), random, sizeof random);
	hex_encode(local, span_of(random, sizeof random));
	rcpts[1] = span_str(doctor_text(t->d, "no-such-%s@%.*s", local, SPAN_FMT(domain)));
	ask(t, SPAN_NONE, rcpts, 2);
	if (t->result.rcpts_n < 2 || !t->result.rcpts[1].code)
		return;
	if (t->result.rcpts[1].code / 100 == 2)
		doctor_say(t->d, DOCTOR_NOTE, t->topic,
			   "let it refuse unknown recipients at RCPT, or list the good ones",
			   "takes any recipient of %.*s, so `learn` cannot tell good from bad",
			   SPAN_FMT(domain));
	else if (t->result.rcpts[1].code / 100 == 5)
		doctor_say(t->d, DOCTOR_GOOD, t->topic, "",
			   "refuses unknown recipients of %.*s at RCPT", SPAN_FMT(domain));
}

static void judge_primary(struct target *t)
{
	struct span rcpt = t->site->probe_recipient, domain = rcpt;
	struct span own;
	bool was_delayed;

	if (!rcpt.n)
		return;
	while (domain.n && domain.p[0] != '@')
		domain = span_from(domain, 1);
	domain = span_from(domain, 1);
	own = span_str(doctor_text(t->d, "holdfast-doctor@%.*s", SPAN_FMT(domain)));
	was_delayed = ask_patiently(t, span_str(t->d->sender), rcpt);
	if (!judge_reach(t))
		return;
	judge_tls(t);
	judge_size(t);
	judge_sender(t, doctor_text(t->d, "a sender whose domain says SPF -all (%s)", t->d->sender),
		     "let it not check SPF on our address (lines below); else handed-back mail is "
		     "refused",
		     was_delayed);
	was_delayed = ask_patiently(t, own, rcpt);
	if (judge_reach(t))
		judge_sender(
			t, doctor_text(t->d, "a sender of its own domain (%.*s)", SPAN_FMT(domain)),
			"let it take its own domain as sender from our address (lines below)",
			was_delayed);
	judge_unknown(t, domain);
}

static void judge_site(struct doctor *d, const struct msg_site *site)
{
	for (size_t i = 0; i < site->primaries_n; i++) {
		struct target t = {.d = d, .site = site, .primary = &site->primaries[i]};
		const char *host = doctor_text(d, "%.*s", SPAN_FMT(t.primary->host));

		t.topic =
			doctor_text(d, "%.*s, %s:%u", SPAN_FMT(site->name), host, t.primary->port);
		if (!d->c->is_json && isatty(STDERR_FILENO))
			(void)fprintf(stderr, "\rAsking %s ...\033[K", t.topic);
		if (find_address(&t, host)) {
			note_our_address(&t);
			judge_primary(&t);
		}
		if (!d->c->is_json && isatty(STDERR_FILENO))
			(void)fputs("\r\033[K", stderr);
	}
}

void doctor_sites(struct doctor *d)
{
	const char *only = cli_value(d->c, "site");

	for (size_t i = 0; i < d->config.sites_n; i++) {
		if (!only || span_eq(d->config.sites[i].name, span_str(only)))
			judge_site(d, &d->config.sites[i]);
	}
}

/* ---- MX records ---- */

/* Mode gateway: what does not pass here is not covered. */
static void judge_front(struct doctor *d, const char *topic, bool has_others)
{
	if (has_others)
		doctor_say(
			d, DOCTOR_WARN, topic,
			"leave this machine alone in the MX, and close port 25 of the primary for "
			"others",
			"names other hosts beside %.*s: mail that goes there does not pass here",
			SPAN_FMT(d->config.node));
	else
		doctor_say(d, DOCTOR_GOOD, topic, "", "names %.*s alone: everything passes here",
			   SPAN_FMT(d->config.node));
}

static void judge_mx(struct doctor *d, const struct msg_domain *domain)
{
	const char *name = doctor_text(d, "%.*s", SPAN_FMT(domain->name)),
		   *topic = doctor_text(d, "%s, MX", name);
	struct doctor_records mx;
	unsigned ours = 0, least_other = 65536;
	bool has_ours = false;

	if (span_eq(domain->mode, SPAN_LIT("journal")))
		return; /* copies come by a route of the primary's own */
	doctor_ask(d, name, DNS_MX, &mx);
	for (size_t i = 0; i < mx.n; i++) {
		struct span host = mx.record[i].data;

		if (host.n && host.p[host.n - 1] == '.')
			host.n--;
		if (span_eq_nocase(host, d->config.node)) {
			has_ours = true;
			ours = mx.record[i].preference;
		} else if (mx.record[i].preference < least_other) {
			least_other = mx.record[i].preference;
		}
	}
	if (mx.rc == LATER)
		doctor_say(d, DOCTOR_WARN, topic, "", "no answer from the name server");
	else if (!has_ours)
		doctor_say(d, DOCTOR_WARN, topic,
			   "publish the record below; until then no mail comes here",
			   "%.*s is not among its MX records", SPAN_FMT(d->config.node));
	else if (span_eq(domain->mode, SPAN_LIT("gateway")))
		judge_front(d, topic, least_other < 65536);
	else if (least_other <= ours)
		doctor_say(d, DOCTOR_GOOD, topic, "", "names %.*s behind the primary",
			   SPAN_FMT(d->config.node));
	else
		doctor_say(d, DOCTOR_WARN, topic, "give the primary the lower number",
			   "names %.*s before the primary: all mail comes here first",
			   SPAN_FMT(d->config.node));
}

void doctor_domains(struct doctor *d)
{
	const char *only = cli_value(d->c, "site");

	if (d->dns_is_away)
		return; /* said once, and once is enough */
	for (size_t i = 0; i < d->config.domains_n; i++) {
		if (!only || span_eq(d->config.domains[i].site, span_str(only)))
			judge_mx(d, &d->config.domains[i]);
	}
}
