/*
 * Policies of MTA-STS (RFC 8461), fetched by HTTPS and kept in memory.
 *
 *   S1  A policy that was fetched holds for its max_age (at most the configured time), also when the record in the DNS is
 *       gone or the web server fails (s5.1: else an attacker could switch it off). A new id fetches it anew.
 *   S2  The web server's certificate must verify for mta-sts.<domain>; redirects are not followed; an answer has at most
 *       STS_RESPONSE_BYTES and FETCH_US.
 *   S3  A fetch that failed is not tried again for AGAIN_US; without a policy mail goes on as without MTA-STS.
 *   S4  POLICIES_LIMIT are kept; a scout that starts anew has none and fetches again (doc/decisions/0009).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/must.h"
#include "dns/dns.h"
#include "ipc/msg.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/scout/cache.h"
#include "role/scout/scout.h"
#include "say/say.h"
#include "tls/tls.h"

#define FETCH_US 10000000u
#define AGAIN_US 300000000u

enum { POLICIES_LIMIT = 1000, HTTPS_PORT = 443 };

struct kept {
	struct sts_policy policy;
	char id[STS_ID_BYTES];
	uint64_t until_us, failed_until_us;
};

struct sts {
	struct scout *scout;
	struct cache *kept; /* domain -> struct kept */
	struct list fetches;
};

struct fetch {
	struct list at;
	struct sts *sts;
	char domain[256], host[272], id[STS_ID_BYTES];
	struct conn *conn;
	struct buf bytes;
	bool is_over; /* answered; only the connection's end is awaited */
	void (*on_done)(void *arg, const struct sts_policy *policy);
	void *arg;
};

struct sts *sts_new(struct scout *s)
{
	struct sts *t = must_alloc(sizeof *t);

	t->scout = s;
	t->kept = cache_new(POLICIES_LIMIT, sizeof(struct kept));
	list_init(&t->fetches);
	return t;
}

static const struct sts_policy *current(struct sts *t, const char *domain, const char *id)
{
	const struct kept *k = cache_get(t->kept, span_str(domain));

	if (!k || loop_now_us(t->scout->loop) >= k->until_us || (id && strcmp(k->id, id) != 0))
		return NULL;
	return &k->policy;
}

static void free_fetch(struct fetch *f)
{
	list_remove(&f->at);
	buf_fini(&f->bytes);
	free(f);
}

/* Answers with what holds now. The connection, if any, ends by itself. */
static void end(struct fetch *f)
{
	void (*on_done)(void *arg, const struct sts_policy *policy) = f->on_done;
	const struct sts_policy *policy = current(f->sts, f->domain, NULL);
	void *arg = f->arg;

	f->is_over = true;
	if (f->conn)
		conn_abort(f->conn);
	else
		free_fetch(f);
	on_done(arg, policy);
}

static void failed(struct fetch *f, const char *why)
{
	struct kept *k = cache_put(f->sts->kept, span_str(f->domain));

	k->failed_until_us = loop_now_us(f->sts->scout->loop) + AGAIN_US;
	say(SAY_NOTICE, "sts.not_fetched", "domain", SAY_STR(f->domain), "why", SAY_STR(why), NULL);
	end(f);
}

static void take_policy(struct fetch *f, struct span text)
{
	struct scout *s = f->sts->scout;
	struct sts_policy policy;
	struct kept *k;
	uint64_t age_us;

	if (!sts_policy_read(text, &policy)) {
		failed(f, "the policy is not well formed");
		return;
	}
	age_us = policy.max_age_s * 1000000;
	if (age_us > s->config->mta_sts_ms * 1000)
		age_us = s->config->mta_sts_ms * 1000;
	k = cache_put(f->sts->kept, span_str(f->domain));
	k->policy = policy;
	memcpy(k->id, f->id, sizeof k->id);
	k->until_us = loop_now_us(s->loop) + age_us;
	end(f);
}

/* ---- the connection ---- */

static void look(struct fetch *f, bool is_end)
{
	struct span text;
	enum rc rc;

	if (f->is_over)
		return;
	rc = sts_response(buf_span(&f->bytes), is_end, &text);
	if (rc == OK)
		take_policy(f, text);
	else if (rc != MORE)
		failed(f, "the answer is no policy (a redirect, another type, too long)");
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct fetch *f = arg;

	(void)c;
	if (!f->is_over && !buf_append(&f->bytes, bytes)) {
		failed(f, "the answer is too long");
		return bytes.n;
	}
	look(f, false);
	return bytes.n;
}

static void on_open(void *arg, struct conn *c)
{
	static const struct msg_site verified = {.tls = SPAN_LIT("required")};
	struct fetch *f = arg;
	struct scout *s = f->sts->scout;
	struct tls_context *tls =
		s->sts_tls ? tls_context_ref(s->sts_tls) : primary_tls_for(s->tls, &verified);

	if (!tls) {
		failed(f, "no trust anchors");
		return;
	}
	conn_start_tls(c, tls, false, f->host);
	tls_context_unref(tls);
}

static void on_secure(void *arg, struct conn *c)
{
	struct fetch *f = arg;
	struct buf request = {0};

	buf_printf(&request,
		   "GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: %s\r\nUser-Agent: "
		   "Holdfast\r\nAccept: text/plain\r\n\r\n",
		   f->host);
	conn_send(c, buf_span(&request));
	buf_fini(&request);
}

static void on_deadline(void *arg, struct conn *c)
{
	struct fetch *f = arg;

	(void)c;
	if (!f->is_over)
		failed(f, "no answer in time");
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct fetch *f = arg;

	(void)c;
	f->conn = NULL;
	if (f->is_over)
		free_fetch(f);
	else if (rc == OK)
		look(f, true);
	else
		failed(f, why && why->text[0] ? why->text : "the connection was cut off");
}

static bool sockaddr_of(const char *text, uint16_t port, struct sockaddr_storage *out,
			socklen_t *out_n)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(out, &v4, sizeof v4);
		*out_n = sizeof v4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
		return false;
	memcpy(out, &v6, sizeof v6);
	*out_n = sizeof v6;
	return true;
}

static void on_resolved(void *arg, const struct resolved *found)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes,
					    .on_open = on_open,
					    .on_secure = on_secure,
					    .on_deadline = on_deadline,
					    .on_closed = on_closed};
	struct fetch *f = arg;
	struct scout *s = f->sts->scout;
	struct sockaddr_storage to;
	socklen_t n;

	if (!found->ok || found->n == 0 ||
	    !sockaddr_of(found->addresses[0], s->sts_port ? s->sts_port : HTTPS_PORT, &to, &n)) {
		failed(f, found->why[0] ? found->why : "its web server has no address");
		return;
	}
	buf_init(&f->bytes, STS_RESPONSE_BYTES);
	f->conn = conn_connect(s->loop, (const struct sockaddr *)&to, n, &ops, f);
	conn_deadline(f->conn, FETCH_US);
}

/* ---- the record ---- */

/* Exactly one is a record of MTA-STS; else there is none (s3.1). */
static bool read_record(const struct dns_answer *answer, char id[STS_ID_BYTES])
{
	unsigned n = 0;

	for (size_t i = 0; answer->rc == OK && i < answer->n; i++)
		n += span_starts(answer->records[i].data, SPAN_LIT("v=STSv1"));
	for (size_t i = 0; n == 1 && i < answer->n; i++) {
		if (sts_record(answer->records[i].data, id))
			return true;
	}
	return false;
}

static void on_record(void *arg, const struct dns_answer *answer)
{
	struct fetch *f = arg;
	struct sts *t = f->sts;
	const struct kept *k = cache_get(t->kept, span_str(f->domain));

	if (!read_record(answer, f->id) || current(t, f->domain, f->id) ||
	    (k && loop_now_us(t->scout->loop) < k->failed_until_us))
		end(f); /* S1, S3: with what there is */
	else
		resolve_host(t->scout->resolver, span_str(f->host), on_resolved, f);
}

void sts_find(struct sts *t, struct span domain,
	      void (*on_done)(void *arg, const struct sts_policy *policy), void *arg)
{
	char name[280];
	struct fetch *f;

	if (!t || !t->scout->config->mta_sts_ms || domain.n >= sizeof f->domain) {
		on_done(arg, NULL);
		return;
	}
	f = must_alloc(sizeof *f);
	f->sts = t;
	f->on_done = on_done;
	f->arg = arg;
	memcpy(f->domain, domain.p, domain.n);
	list_append(&t->fetches, &f->at);
	(void)snprintf(f->host, sizeof f->host, "mta-sts.%s", f->domain);
	(void)snprintf(name, sizeof name, "_mta-sts.%s", f->domain);
	dns_ask(t->scout->dns, name, DNS_TXT, t->scout->config->dns_timeout_ms, on_record, f);
}

/* The DNS and the resolver are gone; connections end from the loop and must not find us. */
void sts_free(struct sts *t)
{
	if (!t)
		return;
	LIST_EACH_SAFE (at, &t->fetches) {
		struct fetch *f = LIST_ENTRY(at, struct fetch, at);

		if (!f->is_over)
			end(f);
	}
	cache_free(t->kept);
	t->kept = NULL;
	if (list_is_empty(&t->fetches))
		free(t);
}
