/* One session: a connection, its engine, and the pump between them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "role/edge/internal.h"
#include "smtp/proxy.h"
#include "tls/tls.h"

/* ---- life ---- */

static void maybe_free(struct edge_session *s)
{
	if (s->conn || s->pins)
		return;
	edge_policy_unref(s->policy);
	free(s);
}

void edge_session_unpin(struct edge_session *s)
{
	must(s->pins > 0);
	s->pins--;
	maybe_free(s);
}

static void leave(struct edge_session *s)
{
	edge_judge_forget(s);
	if (s->edge->ways->gone)
		s->edge->ways->gone(s);
	edge_message_drop(s);
	source_leave(s->source);
	list_remove(&s->link);
	list_remove(&s->hunger);
	s->source = NULL;
	s->edge->sessions_n--;
	edge_set(METRIC_SESSIONS, s->edge->sessions_n);
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct edge_session *s = arg;
	struct edge *e = s->edge;

	(void)c;
	if (rc != OK)
		say(SAY_DEBUG, "session.broken", "peer", SAY_STR(s->peer), "why",
		    SAY_STR(why->text), NULL);
	leave(s);
	smtp_server_free(s->smtp);
	s->smtp = NULL;
	s->conn = NULL;
	maybe_free(s);
	edge_feed_hungry(e);
}

/* ---- the pump ---- */

static void send_output(struct edge_session *s)
{
	conn_send(s->conn, smtp_server_output(s->smtp));
	smtp_server_sent(s->smtp);
}

static void arm(struct edge_session *s)
{
	uint64_t until_us = smtp_server_deadline(s->smtp), now_us = loop_now_us(s->edge->loop);

	/* A later deadline is left for on_deadline to see: setting the timer anew for each command
	 * costs more. */
	if (until_us == 0 || (s->armed_at_us && s->armed_at_us <= until_us))
		return;
	s->armed_at_us = until_us;
	conn_deadline(s->conn, until_us > now_us ? until_us - now_us : 1);
}

/* It does not read what it is told (S-25): it is not listened to until it does, and its deadline
 * runs. */
static bool is_deaf(const struct edge_session *s)
{
	return conn_unsent(s->conn) > EDGE_UNREAD_BYTES;
}

static void settle_pause(struct edge_session *s)
{
	bool is_hungry = intake_is_hungry(s->intake);
	bool pauses = is_hungry || is_deaf(s) || smtp_server_is_asking(s->smtp);

	if (is_hungry && list_is_empty(&s->hunger))
		list_append(&s->edge->hungry, &s->hunger);
	if (pauses != s->is_paused) {
		s->is_paused = pauses;
		if (pauses)
			conn_pause(s->conn);
		else
			conn_resume(s->conn);
	}
}

static void begin_tls(struct edge_session *s)
{
	send_output(s);
	edge_judge_forget_mail(s);
	if (!s->edge->tls) { /* cannot be: it was offered */
		conn_abort(s->conn);
		return;
	}
	conn_start_tls(s->conn, s->edge->tls, true, NULL);
}

static void ask(struct edge_session *s, enum smtp_step question)
{
	s->question = question;
	if (question == SMTP_MAIL)
		s->edge->ways->mail(s);
	else if (question == SMTP_RCPT)
		s->edge->ways->rcpt(s);
	else if (question == SMTP_DATA)
		edge_judge_data(s);
	else if (question == SMTP_STORE)
		edge_message_store(s);
	else
		s->edge->ways->login(s, question);
}

/* One step of the engine; false when it is the turn of somebody else. */
static bool pump_step(struct edge_session *s, struct span *in)
{
	struct span piece;
	enum smtp_step step = smtp_server_step(s->smtp, in, &piece);

	switch (step) {
	case SMTP_FEED:
	case SMTP_WAIT:
		return false;
	case SMTP_FLUSH:
		send_output(s);
		return true;
	case SMTP_MAIL:
	case SMTP_RCPT:
	case SMTP_DATA:
	case SMTP_STORE:
	case SMTP_AUTH:
	case SMTP_SASL:
		ask(s, step);
		return true;
	case SMTP_AUTH_END:
		s->edge->ways->login(s, step);
		return true;
	case SMTP_BODY:
		edge_message_piece(s, piece);
		return !intake_is_hungry(s->intake);
	case SMTP_DROP:
		edge_message_drop(s);
		edge_count(METRIC_MESSAGES_REFUSED, 1);
		return true;
	case SMTP_TLS:
		begin_tls(s);
		return false;
	case SMTP_CLOSE:
		send_output(s);
		conn_close(s->conn);
		return false;
	}
	return false;
}

static size_t pump(struct edge_session *s, struct span bytes)
{
	struct span in = bytes;

	s->is_pumping = true;
	smtp_server_tick(s->smtp, loop_now_us(s->edge->loop));
	/* Without input a step only ends what has ended: that must not wait for a client that does
	 * not read. */
	while ((in.n == 0 || !is_deaf(s)) && pump_step(s, &in))
		;
	s->is_pumping = false;
	send_output(s);
	arm(s);
	settle_pause(s);
	return bytes.n - in.n;
}

void edge_session_go_on(struct edge_session *s)
{
	if (s->conn && !s->is_pumping && !s->is_proxied && !s->is_tls_first)
		(void)pump(s, SPAN_NONE);
}

void edge_answer(struct edge_session *s, unsigned code, const char *enhanced, const char *text,
		 uint64_t tag)
{
	struct smtp_reply reply = {code, enhanced, span_str(text)};

	s->question = SMTP_FEED;
	smtp_server_answer(s->smtp, &reply, tag);
	edge_session_go_on(s);
}

void edge_feed_hungry(struct edge *e)
{
	struct list *at, waiting;

	if (list_is_empty(&e->hungry))
		return;
	list_init(&waiting);
	while ((at = list_shift(&e->hungry)) != NULL)
		list_append(&waiting, at);
	while ((at = list_shift(&waiting)) != NULL) {
		struct edge_session *s = LIST_ENTRY(at, struct edge_session, hunger);

		settle_pause(s); /* still hungry: goes to the end of the queue again */
	}
}

/* ---- what the connection says ---- */

/* The limits of the client's own address, for all but the allow list; false: turned away. */
static bool enter(struct edge_session *s)
{
	const struct msg_limits *l = &s->policy->limits;
	enum source_verdict verdict = SOURCE_WELCOME;
	static const char *const lines[] = {
		[SOURCE_TOO_MANY_SESSIONS] =
			"421 4.7.0 Too many sessions from your address; try again later\r\n",
		[SOURCE_TOO_FAST] =
			"421 4.7.0 Too many connections from your address in this minute\r\n",
	};

	if (!edge_list_has_peer(&s->policy->allow, conn_peer(s->conn)))
		verdict = source_enter(&s->edge->sources, conn_peer(s->conn),
				       loop_now_us(s->edge->loop), l->sessions_per_source,
				       l->connections_per_minute_per_source, &s->source);
	if (verdict == SOURCE_WELCOME)
		return true;
	edge_count(METRIC_TURNED_AWAY, 1);
	conn_send(s->conn, span_str(lines[verdict]));
	conn_close(s->conn);
	return false;
}

static void set_peer(struct edge_session *s)
{
	const char *text = conn_peer_text(s->conn);

	if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
		text += 7;
	(void)snprintf(s->peer, sizeof s->peer, "%s", text);
	s->peer_port = conn_peer_port(s->conn);
}

/* The client is known: greets it. */
static void greet(struct edge_session *s, bool has_spoken)
{
	if (!s->is_inner)
		set_peer(s);
	smtp_server_tick(s->smtp, loop_now_us(s->edge->loop));
	s->edge->ways->client(s);
	smtp_server_greet(s->smtp, has_spoken);
	(void)pump(s, SPAN_NONE);
}

/* TLS from the first byte (RFC 8314 s3.3); greeted when it stands. */
static void begin_tls_first(struct edge_session *s, struct span early)
{
	if (!s->edge->tls) {
		conn_abort(s->conn);
		return;
	}
	conn_deadline(s->conn, EDGE_TLS_US);
	conn_accept_tls(s->conn, s->edge->tls, early);
}

/* early: what came already, behind the header of the PROXY protocol. */
static void welcome(struct edge_session *s, bool has_spoken, struct span early)
{
	if (s->is_tls_first)
		begin_tls_first(s, early);
	else
		greet(s, has_spoken);
}

static size_t take_proxy_header(struct edge_session *s, struct span bytes)
{
	struct proxy_header h;
	enum rc rc = proxy_parse(bytes, &h);

	if (rc == MORE)
		return 0;
	if (rc != OK) {
		say(SAY_WARNING, "proxy.bad_header", "peer", SAY_STR(conn_peer_text(s->conn)),
		    NULL);
		conn_abort(s->conn);
		return bytes.n;
	}
	s->is_proxied = false;
	s->armed_at_us = 0;
	conn_deadline(s->conn, 0);
	if (!h.is_local)
		conn_set_peer(s->conn, &h.peer);
	if (!enter(s))
		return bytes.n;
	welcome(s, h.header_bytes < bytes.n, span_from(bytes, h.header_bytes));
	if (s->is_tls_first)
		return bytes.n;
	return h.header_bytes;
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct edge_session *s = arg;
	size_t used = 0;

	(void)c;
	if (s->is_proxied) {
		used = take_proxy_header(s, bytes);
		if (s->is_proxied || s->is_tls_first || used == bytes.n)
			return used;
	}
	return used + pump(s, span_from(bytes, used));
}

static void on_secure(void *arg, struct conn *c)
{
	struct edge_session *s = arg;

	edge_count(METRIC_TLS, 1);
	smtp_server_tick(s->smtp, loop_now_us(s->edge->loop));
	if (s->is_tls_first) {
		s->is_tls_first = false;
		s->armed_at_us = 0;
		conn_deadline(c, 0);
		smtp_server_is_secure(s->smtp);
		greet(s, false);
		return;
	}
	smtp_server_secured(s->smtp);
	if (s->edge->ways->secured)
		s->edge->ways->secured(s);
	arm(s);
}

static void on_deadline(void *arg, struct conn *c)
{
	struct edge_session *s = arg;

	s->armed_at_us = 0;
	if (s->is_proxied || s->is_tls_first)
		conn_abort(c);
	else
		(void)pump(s, SPAN_NONE);
}

static void on_drained(void *arg, struct conn *c)
{
	struct edge_session *s = arg;

	(void)c;
	if (!s->is_proxied && !s->is_tls_first)
		settle_pause(s);
}

static bool has_spoken(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static const struct conn_ops conn_ops = {
	.on_bytes = on_bytes,
	.on_secure = on_secure,
	.on_drained = on_drained,
	.on_deadline = on_deadline,
	.on_closed = on_closed,
};

static struct edge_session *session_new(struct edge *e)
{
	struct edge_session *s = must_alloc(sizeof *s);

	s->edge = e;
	s->policy = edge_policy_ref(e->policy);
	s->question = SMTP_FEED;
	list_init(&s->hunger);
	list_append(&e->sessions, &s->link);
	edge_set(METRIC_SESSIONS, ++e->sessions_n);
	s->smtp = smtp_server_new(&s->policy->service);
	return s;
}

void edge_session_new(struct edge *e, int fd, const struct sockaddr_storage *peer, bool is_proxied,
		      bool is_tls_first)
{
	bool is_early = !is_proxied && !is_tls_first && has_spoken(fd);
	struct edge_session *s = session_new(e);

	(void)peer;
	s->is_proxied = is_proxied;
	s->is_tls_first = is_tls_first;
	s->conn = conn_accept(e->loop, fd, &conn_ops, s);
	if (is_proxied)
		conn_deadline(s->conn, EDGE_PROXY_US);
	else if (enter(s))
		welcome(s, is_early, SPAN_NONE);
}

struct edge_session *edge_session_inner(struct edge *e, int fd, const char *peer, void *own)
{
	struct edge_session *s = session_new(e);

	s->is_inner = true;
	s->own = own;
	(void)snprintf(s->peer, sizeof s->peer, "%s", peer);
	smtp_server_is_known(s->smtp);
	s->conn = conn_accept(e->loop, fd, &conn_ops, s);
	greet(s, false);
	return s;
}

void edge_session_wind_down(struct edge_session *s)
{
	if (s->is_proxied || s->is_tls_first) {
		conn_abort(s->conn);
		return;
	}
	smtp_server_wind_down(s->smtp);
	edge_session_go_on(s);
}
