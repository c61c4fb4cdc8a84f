/*
 * Questions to the DNS by libunbound, driven by the loop's own event base: no thread, no process, no pipe.
 *
 * A question lives until libunbound calls back for it, which may be long after its deadline: it is never
 * cancelled there (that path of the library is little travelled); its owner has been told LATER and forgets
 * it. Answers wait for the loop: libunbound gives those of its cache from inside the call that asks, and is not to
 * be asked the next question from inside its callback.
 *
 * The library is set up for the days when the network is down: hosts that did not answer are tried again
 * soon (infra-*), failures are remembered for seconds only.
 */
#include "dns/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unbound-event.h>
#include <unistd.h>

#include "base/list.h"
#include "base/must.h"
#include "loop/loop.h"

#define ROOT_ANCHOR	   "/usr/share/dns/root.key" /* package dns-root-data */
#define ANSWER_LIMIT_BYTES (256u << 10)
#define RCODE_NXDOMAIN	   3
#define CLASS_IN	   1

struct dns {
	struct loop *loop;
	struct ub_ctx *ctx; /* NULL: in dns_free */
	struct list questions;
	unsigned questions_n;
};

struct question {
	struct list link;
	struct dns *dns;
	enum dns_type type;
	struct loop_timer *timer;
	struct arena memory; /* of the answer */
	struct dns_answer answer;
	bool is_in_flight; /* libunbound will call back */
	bool is_ready;	   /* answer is to be told by the timer */
	void (*on_answer)(void *arg, const struct dns_answer *answer); /* NULL: told already */
	void *arg;
};

static void question_free(struct question *q)
{
	list_remove(&q->link);
	q->dns->questions_n--;
	loop_timer_free(q->timer);
	arena_fini(&q->memory);
	free(q);
}

/* The one place where an owner hears. */
static void tell(struct question *q, const struct dns_answer *answer)
{
	void (*on_answer)(void *arg, const struct dns_answer *answer) = q->on_answer;

	q->on_answer = NULL;
	loop_timer_clear(q->timer);
	if (on_answer)
		on_answer(q->arg, answer);
	if (!q->is_in_flight)
		question_free(q);
}

static void on_time(void *arg)
{
	static const struct dns_answer too_late = {.rc = LATER};
	struct question *q = arg;

	tell(q, q->is_ready ? &q->answer : &too_late);
}

/* Tells from the loop. */
static void tell_soon(struct question *q, enum rc rc)
{
	q->answer.rc = rc;
	q->is_ready = true;
	loop_timer_set(q->timer, 0);
}

static void read_reply(struct question *q, int rcode, struct span packet)
{
	struct dns_answer *a = &q->answer;

	/* The argument tells of the library's own failures only. */
	if (rcode == 0 && packet.n >= 4)
		rcode = packet.p[3] & 0x0f;
	if (rcode == RCODE_NXDOMAIN)
		a->rc = REFUSED;
	else if (rcode != 0 || !dns_packet_read(&q->memory, packet, q->type, a))
		a->rc = LATER;
	else
		a->rc = a->n ? OK : MORE;
}

static void on_reply(void *arg, int rcode, void *packet, int packet_n, int security,
		     char *why_bogus, int was_ratelimited)
{
	struct question *q = arg;

	(void)why_bogus;
	(void)was_ratelimited;
	q->is_in_flight = false;
	if (!q->on_answer) { /* told LATER already */
		question_free(q);
		return;
	}
	read_reply(q, rcode, span_of(packet, packet && packet_n > 0 ? (size_t)packet_n : 0));
	q->answer.secure = security == 2;
	if (security == 1)
		q->answer = (struct dns_answer){.rc = BROKEN};
	tell_soon(q, q->answer.rc);
}

void dns_ask(struct dns *d, const char *name, enum dns_type type, uint32_t timeout_ms,
	     void (*on_answer)(void *arg, const struct dns_answer *answer), void *arg)
{
	struct question *q = must_alloc(sizeof *q);
	int error;

	q->dns = d;
	q->type = type;
	q->on_answer = on_answer;
	q->arg = arg;
	q->timer = loop_timer_new(d->loop, on_time, q);
	arena_init(&q->memory, ANSWER_LIMIT_BYTES);
	list_append(&d->questions, &q->link);
	if (++d->questions_n > DNS_ASK_LIMIT || !d->ctx) {
		tell_soon(q, LATER);
		return;
	}
	loop_timer_set(q->timer, (uint64_t)timeout_ms * 1000);
	q->is_in_flight = true;
	error = ub_resolve_event(d->ctx, name, (int)type, CLASS_IN, q, on_reply, NULL);
	if (error) {
		q->is_in_flight = false;
		tell_soon(q, error == UB_SYNTAX ? REFUSED : LATER);
	}
}

/* --- setting up */

static bool set_options(struct ub_ctx *ctx, struct fault *why)
{
	static const char *const options[][2] = {
		{"do-not-query-localhost:", "no"},  {"outgoing-range:", "256"},
		{"num-queries-per-thread:", "512"}, {"outgoing-num-tcp:", "16"},
		{"msg-cache-size:", "2m"},	    {"rrset-cache-size:", "4m"},
		{"cache-max-negative-ttl:", "300"}, {"infra-host-ttl:", "60"},
		{"infra-keep-probing:", "yes"},	    {"val-permissive-mode:", "yes"},
		{"unblock-lan-zones:", "yes"}, /* reverse names of private addresses are the resolver's to know */
		{"insecure-lan-zones:", "yes"},	    {"module-config:", "validator iterator"},
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		int error = ub_ctx_set_option(ctx, options[i][0], options[i][1]);

		if (error) {
			fault_set(why, "DNS library: %s %s: %s", options[i][0], options[i][1],
				  ub_strerror(error));
			return false;
		}
	}
	return true;
}

static enum rc set_server(struct ub_ctx *ctx, const char *server, struct fault *why)
{
	int error;

	if (server) {
		error = ub_ctx_set_fwd(ctx, server);
		if (error)
			fault_set(why, "DNS server \"%s\": %s", server, ub_strerror(error));
		return error ? REFUSED : OK;
	}
	/* Without servers in the file libunbound asks the root itself. */
	error = ub_ctx_resolvconf(ctx, NULL);
	if (error) {
		fault_set(why, "/etc/resolv.conf: %s", ub_strerror(error));
		return REFUSED;
	}
	(void)ub_ctx_hosts(ctx, NULL);
	if (access(ROOT_ANCHOR, R_OK) == 0 && ub_ctx_add_ta_file(ctx, ROOT_ANCHOR) != 0) {
		fault_set(why, "DNS trust anchor %s cannot be used", ROOT_ANCHOR);
		return REFUSED;
	}
	return OK;
}

static void on_warm(void *arg, int rcode, void *packet, int packet_n, int security, char *why_bogus,
		    int was_ratelimited)
{
	(void)rcode;
	(void)packet;
	(void)packet_n;
	(void)security;
	(void)why_bogus;
	(void)was_ratelimited;
	*(bool *)arg = true;
}

/* The first question makes the library read its files; this one it answers by itself, at once. */
static bool warm_up(struct ub_ctx *ctx, struct fault *why)
{
	bool is_answered = false;
	int error =
		ub_resolve_event(ctx, "localhost.", DNS_A, CLASS_IN, &is_answered, on_warm, NULL);

	if (error || !is_answered)
		fault_set(why, "DNS library does not start: %s",
			  error ? ub_strerror(error) : "no answer");
	return !error && is_answered;
}

enum rc dns_new(struct loop *loop, const char *server, struct dns **out, struct fault *why)
{
	struct ub_ctx *ctx = ub_ctx_create_event(loop_event_base(loop));
	struct dns *d;
	enum rc rc;

	if (!ctx) {
		fault_set(why, "DNS library: cannot be created (built without libevent?)");
		return BROKEN;
	}
	(void)ub_ctx_debugout(ctx, NULL); /* what goes wrong is told by the answers */
	rc = set_options(ctx, why) ? set_server(ctx, server, why) : BROKEN;
	if (rc == OK && !warm_up(ctx, why))
		rc = BROKEN;
	/* The library answers for "test." itself; the resolver may know better (RFC 6761 s6.2 lets users set it up). */
	if (rc == OK && ub_ctx_zone_remove(ctx, "test.") != 0)
		rc = BROKEN;
	if (rc != OK) {
		ub_ctx_delete(ctx);
		return rc;
	}
	d = must_alloc(sizeof *d);
	d->loop = loop;
	d->ctx = ctx;
	list_init(&d->questions);
	*out = d;
	return OK;
}

void dns_free(struct dns *d)
{
	static const struct dns_answer never = {.rc = LATER};

	if (!d)
		return;
	ub_ctx_delete(d->ctx); /* calls nobody back */
	d->ctx = NULL;	       /* whoever asks again when told gets the same answer */
	while (!list_is_empty(&d->questions)) {
		struct question *q = LIST_ENTRY(d->questions.next, struct question, link);

		q->is_in_flight = false;
		tell(q, &never);
	}
	free(d);
}
