/*
 * Who and what is let in. Everything that must be asked is asked of scout with a deadline, and
 * without an answer mail is let in (P2). What is never in doubt: mail for a domain that is not ours
 * is refused (S-15), postmaster@ and abuse@ of ours are taken (RFC 5321 s4.5.1, RFC 2142).
 */
#include <stdio.h>

#include "base/must.h"
#include "health/health.h"
#include "role/edge/internal.h"

void edge_judge_refuse(struct edge_session *s, unsigned code, const char *enhanced,
		       const char *text)
{
	edge_count(code < 500 ? METRIC_RCPT_DEFERRED : METRIC_RCPT_REFUSED, 1);
	edge_answer(s, code, enhanced, text, 0);
}

/* ---- the client ---- */

static bool is_allowed(const struct edge_session *s)
{
	return edge_list_has_peer(&s->policy->allow, conn_peer(s->conn)) ||
	       edge_list_has_name(&s->policy->allow, span_str(s->host_name),
				  smtp_server_envelope(s->smtp)->sender);
}

static bool is_denied(const struct edge_session *s)
{
	return edge_list_has_peer(&s->policy->deny, conn_peer(s->conn)) ||
	       edge_list_has_name(&s->policy->deny, span_str(s->host_name),
				  smtp_server_envelope(s->smtp)->sender);
}

static void copy_text(char *out, size_t out_n, struct span text)
{
	size_t n = text.n < out_n - 1 ? text.n : out_n - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = '\0';
}

static void on_client(void *arg, const struct scout_answer *answer)
{
	struct edge_session *s = arg;
	size_t n = 0;

	s->about_client = NULL;
	s->client_known = true;
	if (answer->connection) {
		const struct msg_connection_answer *c = answer->connection;

		copy_text(s->host_name, sizeof s->host_name, c->host_name);
		s->is_listed = c->listed_n > 0;
		for (size_t i = 0; i < c->listed_n && n + c->listed[i].n + 8 < sizeof s->verdicts;
		     i++)
			n += (size_t)snprintf(s->verdicts + n, sizeof s->verdicts - n,
					      "%sdnsbl:%.*s", n ? " " : "", SPAN_FMT(c->listed[i]));
	}
	if (s->question == SMTP_RCPT && !s->about_rcpt)
		edge_judge_rcpt(s);
}

void edge_judge_client(struct edge_session *s)
{
	const struct edge_policy *p = s->policy;

	if ((p->zones_n || p->wants_host_name) &&
	    !edge_list_has_peer(&p->allow, conn_peer(s->conn)))
		s->about_client = scout_ask_connection(s->edge->scout, s->peer, p->zones,
						       p->zones_n, on_client, s);
	s->client_known = s->about_client == NULL;
}

enum { SPF_KEPT_US = 60000000 };

/* ---- the sender ---- */

static bool is_own_domain(const struct edge_session *s, struct span sender)
{
	struct span local, domain;

	return address_split(sender, &local, &domain) && edge_policy_domain(s->policy, domain);
}

/* A sender in one of our domains, from outside, that SPF says is forged: the only verdict that
 * refuses. */
static void decide_mail(struct edge_session *s)
{
	if (s->is_own_sender && strcmp(s->spf, "fail") == 0)
		edge_answer(s, 550, "5.7.23",
			    "Your address may not send for this domain, says its SPF record", 0);
	else
		edge_answer(s, 250, "2.1.0", "Sender ok", 0);
}

static void on_sender(void *arg, const struct scout_answer *answer)
{
	struct edge_session *s = arg;

	s->about_sender = NULL;
	s->sender_known = true;
	if (answer->sender) {
		copy_text(s->spf, sizeof s->spf, answer->sender->spf);
		s->spf_until_us = loop_now_us(s->edge->loop) + SPF_KEPT_US;
	}
	if (s->question == SMTP_MAIL)
		decide_mail(s);
	else if (s->question == SMTP_STORE && intake_is_complete(s->intake))
		edge_message_store(s);
}

/* The hash is keyed: no sender can be made to look like another. */
static uint64_t spf_key(const struct edge_session *s, struct span sender)
{
	struct span helo = smtp_server_helo(s->smtp);

	return map_hash(sender) ^ (map_hash(helo) << 1 | helo.n);
}

/* SPF of this sender: known from the session's last message, or asked. */
static void learn_sender(struct edge_session *s, struct span sender)
{
	uint64_t key = spf_key(s, sender);

	if (s->policy->asks_spf && s->spf_key == key &&
	    loop_now_us(s->edge->loop) < s->spf_until_us)
		return;
	s->spf[0] = '\0';
	s->spf_until_us = 0;
	s->spf_key = key;
	if (!s->policy->asks_spf)
		return;
	s->about_sender = scout_ask_sender(s->edge->scout, s->peer, smtp_server_helo(s->smtp),
					   sender, on_sender, s);
	s->sender_known = s->about_sender == NULL;
}

static void use_newest_policy(struct edge_session *s)
{
	if (s->policy == s->edge->policy)
		return;
	smtp_server_serve(s->smtp, &s->edge->policy->service);
	edge_policy_unref(s->policy);
	s->policy = edge_policy_ref(s->edge->policy);
}

bool edge_judge_may_begin(struct edge_session *s)
{
	use_newest_policy(s);
	s->transaction++;
	s->rcpts_bytes = 0;
	s->sender_known = true;
	if (!lane_is_below_reserve(s->edge->lane))
		return true;
	edge_answer(s, 452, "4.3.1", "No disk space for new mail at the moment; try again later",
		    0);
	return false;
}

void edge_judge_mail(struct edge_session *s)
{
	struct edge *e = s->edge;
	struct span sender = smtp_server_envelope(s->smtp)->sender;

	if (!edge_judge_may_begin(s))
		return;
	if (!source_message(s->source, loop_now_us(e->loop),
			    s->policy->limits.messages_per_minute_per_source)) {
		edge_answer(s, 450, "4.7.1",
			    "Too many messages from your address in this minute; try again later",
			    0);
		return;
	}
	s->is_own_sender = is_own_domain(s, sender) &&
			   !edge_list_has_peer(&s->policy->own, conn_peer(s->conn)) &&
			   !edge_policy_is_copier(s->policy, conn_peer(s->conn)) && !is_allowed(s);
	learn_sender(s, sender);
	if (s->sender_known || !s->is_own_sender)
		decide_mail(s);
}

/* ---- what the sites take: limits.map ---- */

enum { TRACE_ROOM_BYTES = 1024 }; /* our trace field stands before the body when the site gets it */

static bool site_limit(const struct edge *e, const char *what, struct span site, uint32_t *out)
{
	char key[320];
	int n = snprintf(key, sizeof key, "%s %.*s", what, SPAN_FMT(site));

	return n > 0 && (size_t)n < sizeof key &&
	       publish_get(e->limits, span_of(key, (size_t)n), out);
}

/* 0: no limit is known. */
static uint64_t site_size(const struct edge *e, struct span site)
{
	uint32_t size;

	if (!site_limit(e, "size", site, &size))
		return 0;
	return size > 2 * TRACE_ROOM_BYTES ? size - TRACE_ROOM_BYTES : size;
}

static bool site_lacks_smtputf8(const struct edge *e, struct span site)
{
	uint32_t takes;

	return site_limit(e, "smtputf8", site, &takes) && !takes;
}

void edge_judge_offers(struct edge *e)
{
	struct edge_policy *p = e->policy;
	uint64_t most = 0, size = p->limits.message_bytes;
	bool is_known = p->domains_n > 0 && !p->is_for_the_world, lacks = is_known;

	for (size_t i = 0; i < p->domains_n; i++) {
		uint64_t of_site = site_size(e, p->domains[i].site);

		is_known = is_known && of_site;
		most = of_site > most ? of_site : most;
		lacks = lacks && site_lacks_smtputf8(e, p->domains[i].site);
	}
	if (is_known && (!size || most < size))
		size = most;
	p->service.limits.message_bytes = size;
	p->service.hides_smtputf8 = lacks;
}

uint64_t edge_judge_size(const struct edge_session *s)
{
	const struct smtp_envelope *mail = smtp_server_envelope(s->smtp);
	uint64_t least = 0;

	if (edge_is_copy(s))
		return 0; /* no site gets it */
	for (size_t i = 0; i < mail->rcpts_n; i++) {
		uint64_t size =
			site_size(s->edge, s->policy->domains[mail->rcpts[i].tag >> 8].site);

		if (size && (!least || size < least))
			least = size;
	}
	return least;
}

/* ---- a recipient ---- */

bool edge_judge_site_takes(struct edge_session *s, const struct edge_domain *d)
{
	const struct smtp_envelope *mail = smtp_server_envelope(s->smtp);
	uint64_t size = site_size(s->edge, d->site);

	if (size && mail->size_declared > size) {
		edge_judge_refuse(s, 552, "5.3.4",
				  "The message is larger than the recipient's server takes");
		return false;
	}
	if (mail->smtputf8 && site_lacks_smtputf8(s->edge, d->site)) {
		edge_judge_refuse(s, 553, "5.6.7", "The recipient's server does not take SMTPUTF8");
		return false;
	}
	return true;
}

static uint64_t rcpt_tag(const struct edge_policy *p, const struct edge_domain *d,
			 enum publish_recipient known)
{
	return (uint64_t)(d - p->domains) << 8 | known;
}

void edge_judge_accept(struct edge_session *s, const struct edge_domain *d, struct span domain,
		       enum publish_recipient known)
{
	enum { FIELDS = 32 }; /* what the record needs beside the texts */
	const struct smtp_rcpt *r = smtp_server_asked(s->smtp);
	size_t bytes = r->address.n + r->orcpt.n + domain.n + d->site.n + FIELDS;

	if (!edge_judge_site_takes(s, d))
		return;
	if (bytes > EDGE_RCPTS_BYTES - s->rcpts_bytes) {
		edge_judge_refuse(s, 452, "4.5.3",
				  "Too many recipients; send the rest in another transaction");
		return;
	}
	s->rcpts_bytes += bytes;
	edge_answer(s, 250, "2.1.5", "Recipient ok", rcpt_tag(s->policy, d, known));
}

bool edge_judge_is_role_address(const struct address *a)
{
	struct address base = *a;
	struct span local;

	(void)address_without_detail(a, &base);
	local = address_local(&base);
	return span_eq_nocase(local, SPAN_LIT("postmaster")) ||
	       span_eq_nocase(local, SPAN_LIT("abuse"));
}

static enum publish_recipient published(struct edge_session *s, const struct address *a)
{
	char key[ADDRESS_TEXT_BYTES];
	uint32_t value;
	size_t n = address_key(a, key);

	if (!publish_get(s->edge->recipients, span_of(key, n), &value))
		return RECIPIENT_UNKNOWN;
	return value == RECIPIENT_GOOD	? RECIPIENT_GOOD
	       : value == RECIPIENT_BAD ? RECIPIENT_BAD
					: RECIPIENT_UNKNOWN;
}

/* What was learned: of the address, of it without its detail, of its domain. */
static enum publish_recipient learned(struct edge_session *s, const struct edge_domain *d,
				      const struct address *a)
{
	char key[ADDRESS_DOMAIN_LIMIT + 2];
	enum publish_recipient known = published(s, a);
	struct address base;
	uint32_t value;
	int n;

	if (known == RECIPIENT_UNKNOWN && address_without_detail(a, &base))
		known = published(s, &base);
	if (known == RECIPIENT_GOOD)
		return known;
	n = snprintf(key, sizeof key, "@%.*s", SPAN_FMT(d->name));
	if (publish_get(s->edge->recipients, span_of(key, (size_t)n), &value) &&
	    value == RECIPIENT_GOOD)
		return RECIPIENT_GOOD;
	return known;
}

enum publish_recipient edge_judge_known(struct edge_session *s, const struct edge_domain *d,
					const struct address *a)
{
	if (d->is_catch_all || edge_policy_lists(s->policy, a))
		return RECIPIENT_GOOD;
	if (d->has_list && !d->learns)
		return RECIPIENT_BAD;
	return learned(s, d, a);
}

/* False: not published, or too old to be trusted. A hold of the domain alone beats its site's state. */
static bool site_state(struct edge_session *s, const struct edge_domain *d, uint32_t *out)
{
	char key[ADDRESS_DOMAIN_LIMIT + 2];
	int n = snprintf(key, sizeof key, "@%.*s", SPAN_FMT(d->name));

	if (n > 0 && (size_t)n < sizeof key &&
	    publish_get(s->edge->sites, span_of(key, (size_t)n), out))
		return true;
	return publish_get(s->edge->sites, d->site, out);
}

static bool site_is_up(struct edge_session *s, const struct edge_domain *d)
{
	uint32_t state;

	return site_state(s, d, &state) && state == HEALTH_UP;
}

static bool site_may_answer(struct edge_session *s, const struct edge_domain *d)
{
	uint32_t state;

	return !site_state(s, d, &state) || (state != HEALTH_DOWN && state != HEALTH_STOPPED);
}

static void by_policy(struct edge_session *s, const struct edge_domain *d,
		      enum publish_recipient known)
{
	if (known == RECIPIENT_BAD ||
	    (known == RECIPIENT_UNKNOWN && d->unknown == EDGE_UNKNOWN_REJECT))
		edge_judge_refuse(s, 550, "5.1.1", "No such recipient here");
	else if (known == RECIPIENT_UNKNOWN && d->unknown == EDGE_UNKNOWN_TEMPFAIL)
		edge_judge_refuse(
			s, 450, "4.2.1",
			"The recipient cannot be verified at the moment; try again later");
	else
		edge_judge_accept(s, d, d->name, known);
}

const struct edge_domain *edge_judge_asked(struct edge_session *s, struct address *out)
{
	must(address_parse(smtp_server_asked(s->smtp)->address, true, out) == ADDRESS_FINE);
	return out->is_literal ? NULL : edge_policy_domain(s->policy, address_domain(out));
}

static void on_rcpt(void *arg, const struct scout_answer *answer)
{
	struct edge_session *s = arg;
	const struct msg_recipient_answer *r = answer->recipient;
	enum publish_recipient known = RECIPIENT_UNKNOWN;
	struct address a;
	const struct edge_domain *d = edge_judge_asked(s, &a);

	s->about_rcpt = NULL;
	must(d != NULL);
	if (r && r->catch_all)
		known = RECIPIENT_GOOD;
	else if (r && (r->verdict == RECIPIENT_GOOD || r->verdict == RECIPIENT_BAD))
		known = (enum publish_recipient)r->verdict;
	by_policy(s, d, known);
}

/* False: the answer was given. */
static bool client_may(struct edge_session *s)
{
	char text[EDGE_VERDICTS_BYTES + 64];

	if (is_allowed(s))
		return true;
	if (is_denied(s)) {
		edge_judge_refuse(
			s, 550, "5.7.1",
			"Mail from you is not taken here; ask postmaster if that is wrong");
		return false;
	}
	if (s->is_listed) {
		(void)snprintf(text, sizeof text, "Your address is on a block list (%s)",
			       s->verdicts);
		edge_judge_refuse(s, 550, "5.7.1", text);
		return false;
	}
	return true;
}

void edge_judge_rcpt(struct edge_session *s)
{
	struct address a;
	const struct edge_domain *d = edge_judge_asked(s, &a);
	enum publish_recipient known;

	if (!d) {
		edge_judge_refuse(s, 550, "5.7.1",
				  "Not a domain that mail is taken for here; it is not relayed");
		return;
	}
	if (edge_judge_is_role_address(&a)) {
		edge_judge_accept(s, d, d->name,
				  edge_policy_lists(s->policy, &a) ? RECIPIENT_GOOD
								   : learned(s, d, &a));
		return;
	}
	if (!s->client_known || !client_may(s))
		return; /* on_client comes here again; or answered */
	if (d->is_gated && site_is_up(s, d)) {
		edge_judge_refuse(s, 451, "4.3.2",
				  "The primary mail server of this domain is up; please use it");
		return;
	}
	known = edge_judge_known(s, d, &a);
	if (known == RECIPIENT_UNKNOWN && d->learns && site_may_answer(s, d)) {
		s->about_rcpt =
			scout_ask_recipient(s->edge->scout, d->site, address_span(&a), on_rcpt, s);
		if (s->about_rcpt)
			return;
	}
	by_policy(s, d, known);
}

void edge_judge_data(struct edge_session *s)
{
	if (lane_is_below_reserve(s->edge->lane)) {
		edge_answer(s, 452, "4.3.1",
			    "No disk space for new mail at the moment; try again later", 0);
		return;
	}
	if (intake_is_over_budget(&s->edge->hall)) { /* the disk does not keep up */
		edge_answer(s, 452, "4.3.1",
			    "More mail is coming in than can be written; try again in a minute", 0);
		return;
	}
	edge_message_begin(s);
	edge_answer(s, 354, NULL, "End the message with a line of one dot", 0);
}

void edge_judge_forget_mail(struct edge_session *s)
{
	scout_forget(s->about_sender);
	scout_forget(s->about_rcpt);
	s->about_sender = s->about_rcpt = NULL;
}

void edge_judge_forget(struct edge_session *s)
{
	edge_judge_forget_mail(s);
	scout_forget(s->about_client);
	s->about_client = NULL;
}
