/*
 * One round of probes: each primary of a site by its host's addresses in turn, the results folded by health_round.
 */
#include "role/watch/internal.h"

#include <stdio.h>

#include "base/must.h"

#include "loop/loop.h"
#include "os/os.h"
#include "role/common/smtp_probe.h"

#define PROBE_DEADLINE_MS 10000

struct say_metric watch_probes = {"holdfast_watch_probes_total", "Probes of primaries ended",
				  SAY_COUNTER, 0};
struct say_metric watch_probes_failed = {"holdfast_watch_probes_failed_total",
					 "Probes of primaries that failed", SAY_COUNTER, 0};

static void begin(struct primary *p);

static void report(struct primary *p, const struct health_probe *one)
{
	struct site *s = p->site;
	struct health_observation o = {.sight = SIGHT_PROBE};

	p->in_round = false;
	p->was_probed = true;
	p->was_good = one->answer == ANSWER_OK;
	p->layer = one->layer;
	p->probed_wall_us = os_wall_us(s->watch->os);
	snprintf(p->text, sizeof p->text, "%.*s", SPAN_FMT(one->detail));
	timeline_probe(s, p, one);
	say_count(&watch_probes, 1);
	if (!p->was_good)
		say_count(&watch_probes_failed, 1);
	if (!health_round_add(&s->round, one, &o.probe))
		return;
	s->in_round = false;
	o.probe.began_us = s->began_us;
	if (o.probe.answer != ANSWER_OK)
		controls_look(s->watch);
	site_see(s, &o);
}

static enum health_layer layer_of(enum smtp_probe_class class)
{
	switch (class) {
	case SMTP_PROBE_FINE:
		return LAYER_NONE;
	case SMTP_PROBE_TCP:
		return LAYER_TCP;
	case SMTP_PROBE_GREETING:
		return LAYER_GREETING;
	case SMTP_PROBE_EHLO:
		return LAYER_EHLO;
	case SMTP_PROBE_TLS:
		return LAYER_TLS;
	case SMTP_PROBE_MAIL:
		return LAYER_MAIL;
	case SMTP_PROBE_RCPT:
		break;
	}
	return LAYER_RCPT;
}

static enum health_answer answer_of(const struct smtp_probe_result *r)
{
	if (r->class == SMTP_PROBE_FINE)
		return ANSWER_OK;
	if (r->timed_out)
		return ANSWER_SILENT;
	if (r->class == SMTP_PROBE_TCP)
		return ANSWER_REFUSED;
	if (r->code / 100 == 4)
		return ANSWER_4XX;
	if (r->code / 100 == 5)
		return ANSWER_5XX;
	return r->code || r->class == SMTP_PROBE_TLS ? ANSWER_GARBLED : ANSWER_CLOSED;
}

static void describe(const struct primary *p, const struct smtp_probe_result *r, char *out,
		     size_t n)
{
	const struct site *s = p->site;

	if (r->class == SMTP_PROBE_FINE)
		snprintf(out, n, "%s:%u took %s in %u ms", p->host.name, p->port,
			 s->recipient[0] ? s->recipient : "MAIL FROM", r->latency_ms);
	else if (r->class == SMTP_PROBE_RCPT)
		snprintf(out, n, "%s:%u answered \"%u %s\" to RCPT TO:<%s>", p->host.name, p->port,
			 r->code, r->text, s->recipient);
	else if (r->code)
		snprintf(out, n, "%s:%u answered \"%u %s\" at %s", p->host.name, p->port, r->code,
			 r->text, r->stage);
	else
		snprintf(out, n, "%s:%u at %s: %s", p->host.name, p->port, r->stage, r->text);
}

static void on_probed(void *arg, const struct smtp_probe_result *r)
{
	char text[800]; /* cut where it is kept */
	struct primary *p = arg;

	p->probe = NULL;
	if (r->class == SMTP_PROBE_TCP && p->at_address + 1 < p->host.address_n) {
		p->at_address++;
		begin(p);
		return;
	}
	p->latency_ms = r->latency_ms;
	describe(p, r, text, sizeof text);
	report(p, &(struct health_probe){.layer = layer_of(r->class),
					 .answer = answer_of(r),
					 .code = r->code,
					 .detail = span_str(text)});
}

static void begin(struct primary *p)
{
	struct site *s = p->site;
	struct watch *w = s->watch;
	struct span rcpt = span_str(s->recipient);
	struct smtp_probe_options o = {
		.host_name = p->host.name,
		.helo = w->config->node,
		.tls = s->tls,
		.tls_required = s->tls_required,
		.plain_after_tls_failure = !s->tls_required,
		.rcpts = &rcpt,
		.rcpts_n = rcpt.n ? 1 : 0,
		.mail_only = rcpt.n == 0,
		.deadline_ms = PROBE_DEADLINE_MS,
	};

	o.to_n = host_address(&p->host, p->at_address, p->port, &o.to);
	p->probe = smtp_probe_start(w->loop, &o, on_probed, p);
}

void probe_round(struct site *s)
{
	must(!s->in_round);
	s->in_round = true;
	s->again = false;
	s->began_us = loop_now_us(s->watch->loop);
	health_round_begin(&s->round, (unsigned)s->primaries_n);
	for (size_t i = 0; i < s->primaries_n; i++) {
		struct primary *p = &s->primaries[i];

		/* A good one ended the last round: those still at it answer into this one. */
		if (p->in_round)
			continue;
		p->in_round = true;
		host_want(&p->host);
	}
}

void probe_host_ready(struct host *h)
{
	struct primary *p = LIST_ENTRY(h, struct primary, host);
	char text[800]; /* cut where it is kept */

	if (!p->in_round || p->probe)
		return;
	if (h->address_n) {
		p->at_address = 0;
		begin(p);
		return;
	}
	snprintf(text, sizeof text, "%s has no address: %s", h->name,
		 h->why[0] ? h->why : "not found");
	report(p, &(struct health_probe){
			  .layer = LAYER_DNS, .answer = ANSWER_SILENT, .detail = span_str(text)});
}

void probe_cancel(struct site *s)
{
	for (size_t i = 0; i < s->primaries_n; i++) {
		smtp_probe_cancel(s->primaries[i].probe);
		s->primaries[i].probe = NULL;
		s->primaries[i].in_round = false;
	}
	s->in_round = false;
}
