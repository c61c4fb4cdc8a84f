/*
 * holdfast-scout: asks the network on behalf of others. Edge may not; it asks here about clients, senders and
 * recipients. Courier and watch ask where a host is. Nothing depends on an answer: who asks keeps a deadline of
 * its own and goes on without (X1-X3 in scout.h).
 *
 * Requests in flight when a link ends are finished and forgotten; when scout ends, whoever asked hears nothing
 * and asks the next scout. Askers are treated as hostile: what does not decode, or is not theirs to ask, closes
 * the link; beyond OPEN_LIMIT questions at once further ones are dropped.
 */
#include "role/scout/scout.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/common/role.h"

#define OPEN_LIMIT	 1024u
#define DECODE_LIMIT	 (128u << 10)
#define ANSWER_TEXT_MOST 200u

static struct say_metric m_connections = {"holdfast_scout_connections_total",
					  "Questions about clients.", SAY_COUNTER, 0};
static struct say_metric m_listed = {"holdfast_scout_listed_total", "Clients found on a DNS list.",
				     SAY_COUNTER, 0};
static struct say_metric m_senders = {"holdfast_scout_senders_total",
				      "Questions about senders (SPF).", SAY_COUNTER, 0};
static struct say_metric m_recipients = {"holdfast_scout_recipients_total",
					 "Questions about recipients.", SAY_COUNTER, 0};
static struct say_metric m_learned = {"holdfast_scout_learned_total",
				      "Recipients learned from a primary.", SAY_COUNTER, 0};
static struct say_metric m_resolved = {"holdfast_scout_resolved_total",
				       "Questions for the address of a host.", SAY_COUNTER, 0};
static struct say_metric m_exchanges = {"holdfast_scout_exchanges_total",
					"Questions for the mail exchangers of a domain.",
					SAY_COUNTER, 0};
static struct say_metric m_old = {"holdfast_scout_resolved_old_total",
				  "Hosts answered from memory because the DNS failed.", SAY_COUNTER,
				  0};
static struct say_metric m_dropped = {"holdfast_scout_dropped_total",
				      "Questions dropped: too many at once.", SAY_COUNTER, 0};
static struct say_metric m_open = {"holdfast_scout_open_questions", "Questions not answered yet.",
				   SAY_GAUGE, 0};
static struct say_metric *const metrics[] = {&m_connections, &m_listed,	  &m_senders, &m_recipients,
					     &m_learned,     &m_resolved, &m_old,     &m_dropped,
					     &m_open,	     &m_exchanges};

static struct scout scout;
static struct role *the_role;
static struct list askers;

/* Who is at the other end of a link. Lives until its last question is answered. */
struct asker {
	struct list link;
	struct link *wire; /* NULL: gone */
	enum role_id id;
	unsigned instance;
	unsigned open; /* questions */
};

struct question {
	struct asker *asker;
	uint64_t id;
};

static void asker_unref(struct asker *a)
{
	if (a->wire || a->open)
		return;
	list_remove(&a->link);
	free(a);
}

static struct question *question_new(struct asker *a, uint64_t id)
{
	struct question *q = must_alloc(sizeof *q);

	q->asker = a;
	q->id = id;
	a->open++;
	say_set(&m_open, m_open.value + 1);
	return q;
}

/* Sends the encoded answer, which it frees, and ends the question. */
static void answer(struct question *q, unsigned type, struct buf *body)
{
	struct asker *a = q->asker;

	if (a->wire && link_send(a->wire, type, buf_span(body)) != OK)
		say_count(&m_dropped, 1);
	buf_fini(body);
	free(q);
	a->open--;
	say_set(&m_open, m_open.value - 1);
	asker_unref(a);
}

/* --- answers */

static void on_connection(void *arg, const struct connection_found *found)
{
	struct question *q = arg;
	struct span listed[CONNECTION_ZONES_LIMIT];
	struct msg_connection_answer m = {.id = q->id,
					  .host_name = found->host_name,
					  .listed = listed,
					  .listed_n = found->listed_n};
	struct buf body = {0};

	for (size_t i = 0; i < found->listed_n; i++)
		listed[i] = found->listed[i];
	say_count(&m_listed, found->listed_n > 0);
	msg_connection_answer_encode(&body, &m);
	answer(q, MSG_CONNECTION_ANSWER, &body);
}

static void on_sender(void *arg, const char *result, const char *why)
{
	struct question *q = arg;
	struct msg_sender_answer m = {.id = q->id,
				      .spf = span_str(result),
				      .why = span_first(span_str(why), ANSWER_TEXT_MOST)};
	struct buf body = {0};

	msg_sender_answer_encode(&body, &m);
	answer(q, MSG_SENDER_ANSWER, &body);
}

static void on_recipient(void *arg, const struct recipient_found *found)
{
	struct question *q = arg;
	struct msg_recipient_answer m = {
		.id = q->id,
		.verdict = (uint8_t)found->verdict,
		.code = found->code,
		.text = span_first(span_str(found->text), ANSWER_TEXT_MOST),
		.catch_all = found->catch_all};
	struct buf body = {0};

	msg_recipient_answer_encode(&body, &m);
	answer(q, MSG_RECIPIENT_ANSWER, &body);
}

static void on_resolved(void *arg, const struct resolved *found)
{
	struct question *q = arg;
	struct span addresses[RESOLVE_ADDRESSES_LIMIT];
	struct msg_resolve_answer m = {.id = q->id,
				       .ok = found->ok,
				       .addresses = addresses,
				       .addresses_n = found->n,
				       .why = span_str(found->why)};
	struct buf body = {0};

	for (size_t i = 0; i < found->n; i++)
		addresses[i] = span_str(found->addresses[i]);
	say_count(&m_old, found->is_old);
	if (found->is_old)
		role_tell(the_role, "the DNS does not answer; hosts are where they were last");
	else if (found->ok)
		role_tell(the_role, "");
	msg_resolve_answer_encode(&body, &m);
	answer(q, MSG_RESOLVE_ANSWER, &body);
}

static void on_exchange(void *arg, const struct exchange_found *found)
{
	static struct msg_mx_host hosts[EXCHANGE_HOSTS];
	static struct span addresses[EXCHANGE_HOSTS][EXCHANGE_ADDRESSES];
	static struct msg_tlsa tlsa[EXCHANGE_HOSTS][EXCHANGE_TLSA];
	struct question *q = arg;
	struct msg_mx_answer m = {.id = q->id,
				  .verdict = (uint8_t)found->verdict,
				  .hosts = hosts,
				  .hosts_n = found->verdict == EXCHANGE_HOSTS_THERE ? found->n : 0,
				  .why = span_str(found->why),
				  .sts = span_str(found->is_enforced ? "enforce" : ""),
				  .secure = found->is_secure};
	struct buf body = {0};

	for (size_t i = 0; i < m.hosts_n; i++) {
		const struct exchange_host *h = &found->hosts[i];

		for (size_t k = 0; k < h->addresses_n; k++)
			addresses[i][k] = span_str(h->addresses[k]);
		for (size_t k = 0; k < h->tlsa_n; k++)
			tlsa[i][k] = (struct msg_tlsa){h->tlsa[k].usage, h->tlsa[k].selector,
						       h->tlsa[k].matching,
						       span_of(h->tlsa[k].data, h->tlsa[k].n)};
		hosts[i] = (struct msg_mx_host){.host = span_str(h->name),
						.preference = h->preference,
						.addresses = addresses[i],
						.addresses_n = h->addresses_n,
						.secure = h->is_secure,
						.tlsa = tlsa[i],
						.tlsa_n = h->tlsa_n,
						.dane = h->dane};
	}
	msg_mx_answer_encode(&body, &m);
	answer(q, MSG_MX_ANSWER, &body);
}

static void on_learned(void *arg, struct span address, const struct recipient_found *found)
{
	struct msg_learned m = {.address = address,
				.verdict = (uint8_t)found->verdict,
				.catch_all = found->catch_all};
	struct buf body = {0};

	(void)arg;
	say_count(&m_learned, 1);
	msg_learned_encode(&body, &m);
	LIST_EACH (at, &askers) {
		struct asker *a = LIST_ENTRY(at, struct asker, link);

		if (a->id == ROLE_WATCH && a->wire)
			(void)link_send(a->wire, MSG_LEARNED, buf_span(&body));
	}
	buf_fini(&body);
}

/* --- questions */

static bool ask_connection(struct asker *a, struct arena *memory, struct span body)
{
	struct msg_ask_connection m;

	if (!msg_ask_connection_decode(memory, body, &m))
		return false;
	say_count(&m_connections, 1);
	connection_check(&scout, m.address, m.dnsbl, m.dnsbl_n, on_connection,
			 question_new(a, m.id));
	return true;
}

static bool ask_sender(struct asker *a, struct arena *memory, struct span body)
{
	struct msg_ask_sender m;

	if (!msg_ask_sender_decode(memory, body, &m))
		return false;
	say_count(&m_senders, 1);
	sender_check(&scout, m.address, m.helo, m.sender, on_sender, question_new(a, m.id));
	return true;
}

static bool ask_recipient(struct asker *a, struct arena *memory, struct span body)
{
	struct msg_ask_recipient m;

	if (!msg_ask_recipient_decode(memory, body, &m))
		return false;
	say_count(&m_recipients, 1);
	recipient_ask(scout.recipients, m.site, m.address, on_recipient, question_new(a, m.id));
	return true;
}

static bool ask_host(struct asker *a, struct arena *memory, struct span body)
{
	struct msg_resolve m;

	if (!msg_resolve_decode(memory, body, &m))
		return false;
	say_count(&m_resolved, 1);
	resolve_host(scout.resolver, m.host, on_resolved, question_new(a, m.id));
	return true;
}

static bool ask_exchange(struct asker *a, struct arena *memory, struct span body)
{
	struct msg_resolve_mx m;

	if (!msg_resolve_mx_decode(memory, body, &m))
		return false;
	say_count(&m_exchanges, 1);
	exchange_find(&scout, m.domain, on_exchange, question_new(a, m.id));
	return true;
}

/* Who may ask what. */
static const struct {
	unsigned type;
	bool by_edge, by_others;
	bool (*ask)(struct asker *a, struct arena *memory, struct span body);
} questions[] = {
	{MSG_ASK_CONNECTION, true, false, ask_connection},
	{MSG_ASK_SENDER, true, false, ask_sender},
	{MSG_ASK_RECIPIENT, true, false, ask_recipient},
	{MSG_RESOLVE, false, true, ask_host},
	{MSG_RESOLVE_MX, false, true, ask_exchange},
};

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct asker *a = arg;
	struct arena memory;
	bool is_good = false;

	(void)l;
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		if (questions[i].type != type)
			continue;
		if (!(a->id == ROLE_EDGE ? questions[i].by_edge : questions[i].by_others))
			return false;
		if (a->open >= OPEN_LIMIT) {
			say_count(&m_dropped, 1);
			return true;
		}
		arena_init(&memory, DECODE_LIMIT);
		is_good = questions[i].ask(a, &memory, body);
		arena_fini(&memory);
	}
	return is_good;
}

static void on_closed(void *arg, struct link *l)
{
	struct asker *a = arg;

	(void)l;
	a->wire = NULL;
	role_link_lost(the_role, a->id, a->instance);
	asker_unref(a);
}

static void on_link(struct role *r, enum role_id peer, unsigned peer_instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_closed};
	struct asker *a;

	if (peer != ROLE_EDGE && peer != ROLE_COURIER && peer != ROLE_WATCH && peer != ROLE_AUTH) {
		(void)close(fd);
		return;
	}
	a = must_alloc(sizeof *a);
	a->id = peer;
	a->instance = peer_instance;
	list_append(&askers, &a->link);
	a->wire = link_new(role_loop(r), fd, &ops, a);
}

/* --- life */

static bool open_dns(struct role *r, struct fault *why)
{
	struct span server = role_config(r)->dns_server;
	char text[80];

	if (server.n >= sizeof text) {
		fault_set(why, "the name of the DNS server is too long");
		return false;
	}
	memcpy(text, server.p ? (const char *)server.p : "", server.n);
	text[server.n] = '\0';
	return dns_new(role_loop(r), server.n ? text : NULL, &scout.dns, why) == OK;
}

static bool on_start(struct role *r, struct fault *why)
{
	the_role = r;
	list_init(&askers);
	scout.loop = role_loop(r);
	scout.os = role_os(r);
	scout.config = role_config(r);
	if (!open_dns(r, why))
		return false;
	scout.tls = primary_tls_new();
	scout.resolver = resolver_new(&scout);
	scout.recipients = recipients_new(&scout, on_learned, NULL);
	scout.sts = sts_new(&scout);
	return true;
}

static void end(void *arg)
{
	role_end(arg);
}

static void on_stop(struct role *r)
{
	struct list *first = &askers;

	dns_free(scout.dns); /* first: whoever waits for it is told */
	scout.dns = NULL;
	recipients_free(scout.recipients);
	resolver_free(scout.resolver);
	sts_free(scout.sts); /* last: those two tell it */
	primary_tls_free(scout.tls);
	scout = (struct scout){0};
	while (!list_is_empty(first)) {
		struct asker *a = LIST_ENTRY(first->next, struct asker, link);

		link_close(a->wire);
		a->wire = NULL;
		a->open = 0;
		asker_unref(a);
	}
	loop_defer(role_loop(r), end, r); /* connections end first */
}

/* Another DNS server needs files and is taken at the next start; everything else is taken at once. */
static void on_reload(struct role *r, const struct msg_config *was)
{
	scout.config = role_config(r);
	if (!span_eq(was->dns_server, scout.config->dns_server))
		on_stop(r); /* the supervisor starts us again */
	else
		recipients_reload(scout.recipients);
}

int main(int argc, char **argv)
{
	static const struct role_sandbox sandbox = {.network_client = true, .udp = true};
	static const struct role_ops ops = {
		.id = ROLE_SCOUT,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_link = on_link,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
