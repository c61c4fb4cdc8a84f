/*
 * Delivery to the world: a site a destination ("world:example.org"), whose primaries are the domain's mail exchangers as
 * scout finds them (RFC 5321 s5.1), or the smarthost of the configuration. Unlike a site of ours it is not held for: what
 * cannot be reached is recorded, and tried again by the schedule until the lifetime ends.
 *
 * TLS: a host with usable TLSA records must show one of those keys (RFC 7672); under an enforced MTA-STS policy its
 * certificate must verify (RFC 8461); else TLS is taken where it is offered, with whoever answers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/link.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/common/role.h"
#include "role/courier/courier.h"
#include "say/say.h"
#include "tls/tls.h"

#define PREFIX SPAN_LIT("world:")

enum { SMTP_PORT = 25, WORLD_SESSIONS = 4, HOSTS_MOST = 20 };

static const uint64_t ANSWER_US = 30000000, FRESH_US = 300000000;

bool world_is_destination(struct span site)
{
	return span_starts(site, PREFIX);
}

/* ---- what cannot be delivered now, or ever ---- */

static void fail_waiting(struct site *s, const struct smtp_rcpt_result *all)
{
	struct job *j;

	while ((j = site_take(s)))
		job_end_unsent(j, all, s->domain);
}

void world_unreached(struct site *s, const char *why)
{
	const struct smtp_rcpt_result all = {.result = SMTP_RESULT_UNREACHED,
					     .stage = SMTP_STAGE_CONNECT,
					     .enhanced = "",
					     .text = why};

	fail_waiting(s, &all);
}

static void never(struct site *s, const char *enhanced, const char *why)
{
	const struct smtp_rcpt_result all = {.result = SMTP_RESULT_5XX,
					     .stage = SMTP_STAGE_CONNECT,
					     .is_local = true,
					     .enhanced = enhanced,
					     .text = why};

	fail_waiting(s, &all);
}

/* ---- routes ---- */

static void forget_primaries(struct site *s)
{
	LIST_EACH (at, &s->primaries)
		LIST_ENTRY(at, struct primary, at)->is_gone = true;
}

static void take_address(struct primary *p, struct span text)
{
	if (p->addresses_n < COURIER_ADDRESSES &&
	    resolve_literal(text, &p->addresses[p->addresses_n]))
		p->addresses_n++;
}

/* The rules of TLS for this host; false: it cannot be used by them. */
static bool set_tls(struct site *s, struct primary *p, const struct msg_mx_host *h,
		    bool is_enforced)
{
	static const struct msg_site verified = {.tls = SPAN_LIT("required")};
	struct tls_dane records[16];
	struct fault why = {0};
	size_t n = 0;

	tls_context_unref(p->tls);
	p->tls = NULL;
	p->tls_required = h->dane || is_enforced;
	for (size_t i = 0; i < h->tlsa_n && n < sizeof records / sizeof *records; i++)
		records[n++] = (struct tls_dane){h->tlsa[i].usage, h->tlsa[i].selector,
						 h->tlsa[i].matching, h->tlsa[i].data};
	if (n) {
		if (tls_client_dane(records, n, &p->tls, &why) == OK)
			return true;
		say(SAY_WARNING, "dane.unusable", "host", SAY_STR(p->host), "why",
		    SAY_STR(why.text), NULL);
	} else if (is_enforced) {
		p->tls = primary_tls_for(s->c->tls, &verified);
	}
	return true;
}

static void take_host(struct site *s, const struct msg_mx_host *h, bool is_enforced)
{
	struct primary *p = site_primary(s, h->host, h->port ? h->port : SMTP_PORT);

	p->is_gone = false;
	p->priority = h->preference;
	p->addresses_n = 0;
	for (size_t i = 0; i < h->addresses_n; i++)
		take_address(p, h->addresses[i]);
	p->is_gone = p->addresses_n == 0 || !set_tls(s, p, h, is_enforced);
}

static void text_of(struct span why, const char *otherwise, char *out, size_t out_n)
{
	why = span_first(why.n ? why : span_str(otherwise), 250);
	(void)snprintf(out, out_n, "%.*s", SPAN_FMT(why));
}

static void take_answer(struct site *s, const struct msg_mx_answer *m)
{
	bool is_enforced = span_eq(m->sts, SPAN_LIT("enforce"));
	char why[300];

	text_of(m->why, "no mail exchanger can be used now", why, sizeof why);
	s->question = 0;
	loop_timer_clear(s->route_deadline);
	if (m->verdict == 2) {
		never(s, span_starts(m->why, SPAN_LIT("null MX")) ? "5.1.10" : "5.1.2", why);
		return;
	}
	forget_primaries(s);
	for (size_t i = 0; m->verdict == 0 && i < m->hosts_n && i < HOSTS_MOST; i++)
		take_host(s, &m->hosts[i], is_enforced);
	if (m->verdict == 0 && site_has_primary(s)) {
		s->routed_us = loop_now_us(s->c->loop);
		site_push(s);
	} else {
		world_unreached(s, why);
	}
}

static struct site *by_question(struct courier *c, uint64_t id)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (id && map_next(&c->sites, &cursor, &name, &value)) {
		if (((struct site *)value)->question == id)
			return value;
	}
	return NULL;
}

void world_answer(struct courier *c, const struct msg_mx_answer *m)
{
	struct site *s = by_question(c, m->id);

	if (s)
		take_answer(s, m);
}

static void on_deadline(void *arg)
{
	struct site *s = arg;

	s->question = 0;
	if (s->is_smarthost) {
		world_unreached(s, "auth, who has the smarthost's password, does not answer");
	} else if (site_has_primary(s)) { /* where it was last */
		s->routed_us = loop_now_us(s->c->loop);
		site_push(s);
	} else {
		world_unreached(s, "where mail for the domain goes could not be found out in time");
	}
}

void world_scout_gone(struct courier *c)
{
	size_t cursor = 0;
	struct span name;
	void *value;

	while (map_next(&c->sites, &cursor, &name, &value)) {
		struct site *s = value;

		if (s->question)
			loop_timer_set(s->route_deadline, 1);
	}
}

/* auth has the smarthost's password. */
static void ask_password(struct site *s)
{
	struct buf body = {0};

	if (s->question)
		return;
	s->question = ++s->c->last_question;
	loop_timer_set(s->route_deadline, s->c->auth ? ANSWER_US : 1000000);
	msg_credential_ask_encode(
		&body,
		&(struct msg_credential_ask){.id = s->question, .site = SPAN_LIT("@smarthost")});
	(void)links_send(s->c->auth, MSG_CREDENTIAL_ASK, &body);
}

bool world_credential(struct courier *c, const struct msg_credential_answer *m)
{
	struct site *s = by_question(c, m->id);

	if (!s)
		return false;
	s->question = 0;
	loop_timer_clear(s->route_deadline);
	world_forget(c);
	if (m->kind == 0) {
		world_unreached(
			s, "there is no password for the smarthost: holdfast smarthost password");
		return true;
	}
	(void)!buf_reserve(&c->smarthost_password, m->password.n + 1);
	(void)buf_append(&c->smarthost_password, m->password);
	s->routed_us = loop_now_us(c->loop);
	site_push(s);
	return true;
}

void world_forget(struct courier *c)
{
	if (c->smarthost_password.p)
		explicit_bzero(c->smarthost_password.p, c->smarthost_password.cap);
	buf_fini(&c->smarthost_password);
}

static void ask(struct site *s)
{
	struct buf body = {0};

	if (s->question)
		return;
	s->question = ++s->c->last_question;
	loop_timer_set(s->route_deadline, s->c->scout ? ANSWER_US : 1000000);
	if (!s->c->scout)
		return;
	msg_resolve_mx_encode(
		&body, &(struct msg_resolve_mx){.id = s->question, .domain = span_str(s->domain)});
	(void)links_send(s->c->scout, MSG_RESOLVE_MX, &body);
}

bool world_is_routed(struct site *s)
{
	if (s->is_smarthost && !role_config(s->c->role)->smarthost.user.n)
		return true;
	if (s->routed_us && loop_now_us(s->c->loop) - s->routed_us < FRESH_US)
		return true;
	if (s->is_smarthost)
		ask_password(s);
	else
		ask(s);
	return false;
}

/* ---- the site ---- */

/* By the smarthost when there is one; it may have come or gone with a reload. */
static void configure(struct site *s)
{
	const struct msg_smarthost *h = &role_config(s->c->role)->smarthost;
	const struct msg_site rules = {.tls = h->tls};
	struct primary *p;

	if (!h->host.n) {
		if (s->is_smarthost)
			forget_primaries(s);
		s->is_smarthost = false;
		return;
	}
	forget_primaries(s);
	p = site_primary(s, h->host, h->port ? h->port : SMTP_PORT);
	p->is_gone = false;
	p->addresses_n = 0;
	p->tls_required = primary_tls_is_required(&rules);
	tls_context_unref(p->tls);
	p->tls = primary_tls_for(s->c->tls, &rules);
	s->is_smarthost = true;
}

struct site *world_site(struct courier *c, struct span name)
{
	static const struct msg_site opportunistic;
	struct site *s = map_get(&c->sites, name);

	if (!s) {
		s = site_new(c, name, name);
		s->is_world = s->is_redirect = true; /* no health to tell of */
		s->domain = s->name + PREFIX.n;
		s->concurrency = WORLD_SESSIONS;
		s->tls = primary_tls_for(c->tls, &opportunistic);
		s->route_deadline = loop_timer_new(c->loop, on_deadline, s);
	}
	site_used(s);
	configure(s);
	return s;
}
