/*
 * Pass-through: is this the password at the primary's IMAP? One connection for each question, servers of the site in
 * turn, addresses from scout (literals need none). Under TLS the server's certificate must verify (the site's tls_ca, or
 * the system's anchors), or the password would go to whoever answers; `tls: none` is for loopback alone, which the
 * configuration has checked.
 *
 * NO only if a server said that the login is wrong; everything else, also a NO for another reason (UNAVAILABLE, LIMIT,
 * CONTACTADMIN ...), is AWAY.
 */
#include "role/auth/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "imap/client.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/primary_tls.h"
#include "tls/tls.h"

#define WHOLE_US (40 * AUTH_SECOND_US) /* less than LOGIN_WAIT_MS */
#define ONE_US	 (4 * AUTH_SECOND_US)
/* Dovecot answers up to 17 s late after wrong passwords from one address, and all of ours come from one. */
#define LOGIN_US (25 * AUTH_SECOND_US)

enum { ASKS = 256, SERVERS = 8 };

struct server {
	char host[256];
	uint16_t port;
	enum imap_client_tls tls;
};

struct line { /* a connection's own; it outlives the question */
	struct primary_ask *ask;
};

struct primary_ask {
	struct list on_primaries;
	struct auth *auth;
	char site[128], name[LOGIN_NAME_LIMIT_BYTES + 1];
	struct password password;
	struct server servers[SERVERS];
	size_t servers_n, at;
	uint64_t question; /* to scout; 0: none is out */
	struct line *line;
	struct conn *conn;
	struct imap_client *imap;
	struct tls_context *tls;
	struct loop_timer *deadline;
	uint64_t until_us;
	bool has_begun; /* primary_ask has returned */
	bool has_asked; /* the login was sent */
	char why[200];
	primary_done *on_done;
	void *arg;
};

struct primaries {
	struct list asks;
	size_t asks_n;
	uint64_t last_question;
	struct primary_tls *tls;
};

#define ASK_OF(l) LIST_ENTRY(l, struct primary_ask, on_primaries)

static void try_next(struct primary_ask *q);

/* ---- the site's anchors: always verified, also where mail is opportunistic ---- */

static struct tls_context *anchors(struct auth *a, const struct primary_ask *q)
{
	for (size_t i = 0; i < a->config->sites_n; i++) {
		struct msg_site site = a->config->sites[i];

		if (!span_eq(site.name, span_str(q->site)))
			continue;
		site.tls = SPAN_LIT("required");
		return primary_tls_for(a->primaries->tls, &site);
	}
	return NULL;
}

/* ---- one conversation ---- */

static void hang_up(struct primary_ask *q)
{
	struct conn *c = q->conn;

	if (q->line)
		q->line->ask = NULL;
	q->line = NULL;
	q->conn = NULL;
	imap_client_free(q->imap);
	q->imap = NULL;
	tls_context_unref(q->tls);
	q->tls = NULL;
	if (c)
		conn_abort(c);
}

static void ask_free(struct primary_ask *q)
{
	hang_up(q);
	list_remove(&q->on_primaries);
	q->auth->primaries->asks_n--;
	loop_timer_free(q->deadline);
	secret_wipe(q, sizeof *q);
	free(q);
}

static void end(struct primary_ask *q, enum primary_says says, const char *why)
{
	primary_done *on_done = q->on_done;
	void *arg = q->arg;
	char text[200];

	(void)snprintf(text, sizeof text, "%s", why);
	say(says == PRIMARY_AWAY ? SAY_NOTICE : SAY_DEBUG, "primary.asked", "account",
	    SAY_STR(q->name), "says",
	    SAY_STR(says == PRIMARY_YES	 ? "yes"
		    : says == PRIMARY_NO ? "no"
					 : "away"),
	    "why", SAY_STR(text), NULL);
	ask_free(q);
	on_done(arg, says, text);
}

static void failed(struct primary_ask *q, const char *why)
{
	(void)snprintf(q->why, sizeof q->why, "%s", why);
	hang_up(q);
	q->at++;
	try_next(q);
}

static void on_output(void *arg, struct span bytes)
{
	struct primary_ask *q = arg;

	if (q->conn)
		conn_send(q->conn, bytes);
}

static bool says_wrong(const struct imap_client_result *r)
{
	return r->outcome == IMAP_CLIENT_NO &&
	       (r->code == IMAP_CODE_NONE || r->code == IMAP_CODE_AUTHENTICATIONFAILED ||
		r->code == IMAP_CODE_EXPIRED || r->code == IMAP_CODE_AUTHORIZATIONFAILED);
}

static void go_on(struct primary_ask *q)
{
	struct imap_client_result r;

	for (;;) {
		switch (imap_client_want(q->imap)) {
		case IMAP_CLIENT_WANT_INPUT:
			return;
		case IMAP_CLIENT_WANT_TLS:
			conn_start_tls(q->conn, q->tls, false, q->servers[q->at].host);
			return;
		case IMAP_CLIENT_WANT_COMMAND:
			if (q->has_asked)
				return;
			q->has_asked = true;
			loop_timer_set(q->deadline, LOGIN_US);
			imap_client_login(q->imap, span_str(q->name), SPAN_NONE,
					  password_span(&q->password));
			break;
		case IMAP_CLIENT_WANT_RESULT:
			r = imap_client_result(q->imap);
			if (r.outcome == IMAP_CLIENT_DONE)
				end(q, PRIMARY_YES, "");
			else if (says_wrong(&r))
				end(q, PRIMARY_NO, r.text);
			else
				failed(q, r.text);
			return;
		case IMAP_CLIENT_WANT_PIECE:
		case IMAP_CLIENT_WANT_CLOSE:
			failed(q, imap_client_failure(q->imap) ? imap_client_failure(q->imap)
							       : "the conversation ended");
			return;
		}
	}
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct primary_ask *q = ((struct line *)arg)->ask;

	(void)c;
	if (!q)
		return bytes.n;
	imap_client_input(q->imap, bytes);
	go_on(q);
	return bytes.n;
}

static void on_open(void *arg, struct conn *c)
{
	struct primary_ask *q = ((struct line *)arg)->ask;

	if (q && q->servers[q->at].tls == IMAP_CLIENT_TLS_DONE)
		conn_start_tls(c, q->tls, false, q->servers[q->at].host);
}

static void on_secure(void *arg, struct conn *c)
{
	struct primary_ask *q = ((struct line *)arg)->ask;

	if (!q)
		return;
	if (!conn_tls_verified(c)) {
		failed(q, "its certificate does not verify");
		return;
	}
	if (q->servers[q->at].tls == IMAP_CLIENT_TLS_STARTTLS) {
		imap_client_secured(q->imap);
		go_on(q);
	}
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct line *line = arg;
	struct primary_ask *q = line->ask;

	(void)c, (void)rc;
	free(line);
	if (!q)
		return;
	q->line = NULL;
	q->conn = NULL;
	failed(q, why && why->text[0] ? why->text : "it closed the connection");
}

static void connect_to(struct primary_ask *q, struct sockaddr_storage *to)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes,
					    .on_open = on_open,
					    .on_secure = on_secure,
					    .on_closed = on_closed};
	const struct server *s = &q->servers[q->at];
	struct imap_client_options options = {.tls = s->tls, .on_output = on_output, .arg = q};
	socklen_t n = sizeof(struct sockaddr_in);

	if (s->tls == IMAP_CLIENT_TLS_NONE && !primary_is_here(to)) {
		failed(q, "without TLS it must be on this machine"); /* "localhost" by DNS */
		return;
	}
	if (to->ss_family == AF_INET6) {
		((struct sockaddr_in6 *)(void *)to)->sin6_port = htons(s->port);
		n = sizeof(struct sockaddr_in6);
	} else {
		((struct sockaddr_in *)(void *)to)->sin_port = htons(s->port);
	}
	if (s->tls != IMAP_CLIENT_TLS_NONE) {
		q->tls = anchors(q->auth, q);
		if (!q->tls) {
			failed(q, "the site is no longer configured");
			return;
		}
	}
	q->has_asked = false;
	q->imap = imap_client_new(&options);
	q->line = must_alloc(sizeof *q->line);
	q->line->ask = q;
	q->conn = conn_connect(q->auth->loop, (const struct sockaddr *)to, n, &ops, q->line);
	loop_timer_set(q->deadline, ONE_US);
}

/* ---- finding it ---- */

static bool literal(struct span text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
	char name[64];

	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = span_of(text.p + 1, text.n - 2);
	(void)snprintf(name, sizeof name, "%.*s", SPAN_FMT(span_first(text, sizeof name - 1)));
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	v6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, name, &v6->sin6_addr) == 1;
}

static void ask_scout(struct primary_ask *q)
{
	struct buf body = {0};
	enum rc rc = LATER;

	q->question = ++q->auth->primaries->last_question;
	msg_resolve_encode(&body, &(struct msg_resolve){.id = q->question,
							.host = span_str(q->servers[q->at].host)});
	if (q->auth->scout)
		rc = link_send(q->auth->scout, MSG_RESOLVE, buf_span(&body));
	buf_fini(&body);
	if (rc == OK) {
		loop_timer_set(q->deadline, ONE_US);
		return;
	}
	q->question = 0;
	failed(q, "scout, who resolves names, is away");
}

static void try_next(struct primary_ask *q)
{
	struct sockaddr_storage to;

	if (q->at >= q->servers_n || auth_mono(q->auth) > q->until_us)
		end(q, PRIMARY_AWAY, q->why);
	else if (literal(span_str(q->servers[q->at].host), &to))
		connect_to(q, &to);
	else
		ask_scout(q);
}

void primaries_resolved(struct auth *a, const struct msg_resolve_answer *m)
{
	struct sockaddr_storage to;

	LIST_EACH (l, &a->primaries->asks) {
		struct primary_ask *q = ASK_OF(l);

		if (!m->id || q->question != m->id)
			continue;
		q->question = 0;
		if (m->ok && m->addresses_n > 0 && literal(m->addresses[0], &to))
			connect_to(q, &to);
		else
			failed(q, "its name has no address now");
		return;
	}
}

void primaries_scout_gone(struct auth *a)
{
	LIST_EACH (l, &a->primaries->asks) {
		if (ASK_OF(l)->question)
			loop_timer_set(ASK_OF(l)->deadline, 1); /* soon, from the loop */
	}
}

static void on_deadline(void *arg)
{
	struct primary_ask *q = arg;

	q->question = 0;
	if (!q->has_begun) {
		q->has_begun = true;
		try_next(q);
	} else {
		failed(q, "it does not answer");
	}
}

/* ---- asking ---- */

static void add_servers(struct primary_ask *q, const struct msg_site *site)
{
	for (size_t i = 0; i < site->imap_n && q->servers_n < SERVERS; i++) {
		const struct msg_imap_server *from = &site->imap[i];
		struct server *s = &q->servers[q->servers_n++];

		(void)snprintf(s->host, sizeof s->host, "%.*s", SPAN_FMT(from->host));
		s->port = from->port;
		s->tls = span_eq(from->tls, SPAN_LIT("none"))  ? IMAP_CLIENT_TLS_NONE
			 : span_eq(from->tls, SPAN_LIT("tls")) ? IMAP_CLIENT_TLS_DONE
							       : IMAP_CLIENT_TLS_STARTTLS;
	}
}

struct primary_ask *primary_ask(struct auth *a, const struct msg_site *site, struct span name,
				const struct password *w, primary_done *on_done, void *arg)
{
	struct primary_ask *q;

	if (a->is_stopping || a->primaries->asks_n >= ASKS)
		return NULL;
	q = must_alloc(sizeof *q);
	q->auth = a;
	q->password = *w;
	q->on_done = on_done;
	q->arg = arg;
	(void)snprintf(q->site, sizeof q->site, "%.*s", SPAN_FMT(site->name));
	(void)snprintf(q->name, sizeof q->name, "%.*s", SPAN_FMT(name));
	add_servers(q, site);
	q->until_us = auth_mono(a) + WHOLE_US;
	q->deadline = loop_timer_new(a->loop, on_deadline, q);
	list_init(&q->on_primaries);
	list_append(&a->primaries->asks, &q->on_primaries);
	a->primaries->asks_n++;
	loop_timer_set(q->deadline, 1);
	return q;
}

void primary_cancel(struct primary_ask *ask)
{
	ask_free(ask);
}

struct primaries *primaries_new(struct auth *a)
{
	struct primaries *p = must_alloc(sizeof *p);

	(void)a;
	list_init(&p->asks);
	p->tls = primary_tls_new();
	return p;
}

void primaries_configured(struct auth *a)
{
	primary_tls_forget(a->primaries->tls);
}

void primaries_stop(struct auth *a)
{
	while (!list_is_empty(&a->primaries->asks))
		end(ASK_OF(a->primaries->asks.next), PRIMARY_AWAY, "we are stopping");
}

void primaries_free(struct primaries *p)
{
	primary_tls_free(p->tls);
	free(p);
}
