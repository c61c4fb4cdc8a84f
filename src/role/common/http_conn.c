/*
 * One connection: door, engine, the pump between them. Handlers never run the pump: what they say goes out at once, and what
 * follows from it is done from the loop (http_conn_go_on). Input is left where it is while an exchange is at work; a client
 * that goes on sending is not read from, one that is silent is, so that its leaving is seen.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "role/common/http_internal.h"
#include "tls/tls.h"

/* ---- output ---- */

static void arm(struct http_conn *c)
{
	uint64_t until_us = http_server_deadline(c->engine), now_us = loop_now_us(c->host->loop);

	if (c->deaf_until_us && (until_us == 0 || c->deaf_until_us < until_us))
		until_us = c->deaf_until_us;
	/* A later deadline is left for on_deadline to see: setting the timer anew for each request costs more. */
	if (until_us == 0 || (c->armed_at_us && c->armed_at_us <= until_us))
		return;
	c->armed_at_us = until_us;
	conn_deadline(c->conn, until_us > now_us ? until_us - now_us : 1);
}

static void look_if_deaf(struct http_conn *c)
{
	bool is_deaf = conn_unsent(c->conn) > HTTP_UNREAD_BYTES;

	if (is_deaf == c->is_deaf)
		return;
	c->is_deaf = is_deaf;
	c->deaf_bytes = conn_unsent(c->conn);
	c->deaf_until_us = is_deaf ? loop_now_us(c->host->loop) + HTTP_UNREAD_US : 0;
	arm(c);
}

void http_conn_flush(struct http_conn *c)
{
	struct span out = http_server_output(c->engine);

	if (!out.n || !c->conn)
		return;
	conn_send(c->conn, out);
	http_server_sent(c->engine);
	look_if_deaf(c);
}

/* ---- the pump ---- */

enum turn { TURN_GO, TURN_READ, TURN_WAIT, TURN_OVER };

static enum turn step(struct http_conn *c, struct span *in)
{
	struct span piece = SPAN_NONE;

	switch (http_server_step(c->engine, in, &piece)) {
	case HTTP_FEED:
		return TURN_READ;
	case HTTP_WAIT:
		return TURN_WAIT;
	case HTTP_REQUEST:
		http_exchange_new(c);
		return TURN_GO;
	case HTTP_PIECE:
		http_exchange_piece(c->x, piece);
		return TURN_GO;
	case HTTP_BODY_END:
		http_exchange_body_end(c->x);
		return TURN_GO;
	case HTTP_LOST:
		if (c->x)
			http_exchange_lost(c->x);
		return TURN_GO;
	case HTTP_CLOSE:
		break;
	}
	return TURN_OVER;
}

static void settle_pause(struct http_conn *c, bool pauses)
{
	if (pauses == c->is_paused)
		return;
	c->is_paused = pauses;
	if (pauses)
		conn_pause(c->conn);
	else
		conn_resume(c->conn);
}

static size_t pump(struct http_conn *c, struct span bytes)
{
	struct span in = bytes;
	enum turn turn = TURN_GO;

	must(!c->is_pumping);
	c->is_pumping = true;
	http_server_tick(c->engine, loop_now_us(c->host->loop));
	for (unsigned steps = 0; turn == TURN_GO && steps < HTTP_STEPS && !c->is_deaf; steps++) {
		turn = step(c, &in);
		http_conn_flush(c);
	}
	c->is_pumping = false;
	if (turn == TURN_OVER) {
		c->is_closing = true;
		conn_close(c->conn);
		return bytes.n;
	}
	if (turn == TURN_GO && !c->is_deaf)
		http_conn_go_on(c);
	settle_pause(c, in.n || c->is_deaf);
	arm(c);
	return bytes.n - in.n;
}

void http_conn_go_on(struct http_conn *c)
{
	if (!list_is_empty(&c->run) || !c->conn || c->is_pumping)
		return;
	http_host_wake(c->host);
	list_append(&c->host->run, &c->run);
}

static void go_on_now(struct http_conn *c)
{
	bool was_paused = c->is_paused;

	if (!c->conn || !c->engine || c->is_closing)
		return;
	(void)pump(c, SPAN_NONE);
	if (was_paused && c->is_paused && !c->is_deaf && !c->is_closing)
		settle_pause(c, false); /* what waits is offered again */
}

void http_conn_run(struct http_host *h)
{
	struct list round, *at;

	list_init(&round);
	while ((at = list_shift(&h->run)) != NULL)
		list_append(&round, at);
	while ((at = list_shift(&round)) != NULL)
		go_on_now(LIST_ENTRY(at, struct http_conn, run));
}

/* ---- the door ---- */

static void open_engine(struct http_conn *c)
{
	struct http_rules *r = c->host->rules;

	c->armed_at_us = 0;
	conn_deadline(c->conn, 0);
	c->engine = http_server_new(conn_is_tls(c->conn) ? &r->service_tls : &r->service);
	http_server_tick(c->engine, loop_now_us(c->host->loop));
	arm(c);
}

/* On a listener of this machine alone that may do without TLS, the first byte says whether it is spoken (RFC 8446 s5.1: 22). */
static bool begins_tls(struct http_conn *c, struct span bytes)
{
	if (!c->may_be_clear || !bytes.n)
		return false;
	c->may_be_clear = false;
	if (bytes.p[0] != 22 || !c->host->tls)
		return false;
	http_server_free(c->engine);
	c->engine = NULL;
	c->door.is_open = false;
	conn_deadline(c->conn, DOOR_HANDSHAKE_US);
	conn_accept_tls(c->conn, c->host->tls, bytes);
	return true;
}

static size_t come_in(struct http_conn *c, struct span bytes)
{
	size_t used;
	enum rc rc = door_bytes(&c->door, bytes, &c->host->rules->door, c->host->tls, &used);

	if (rc == OK)
		open_engine(c);
	if (rc == OK || rc == MORE)
		return used;
	if (c->door.is_unwelcome)
		http_count(HTTP_TURNED_AWAY, 1);
	c->is_closing = true;
	conn_abort(c->conn);
	return bytes.n;
}

/* ---- what the connection says ---- */

static size_t on_bytes(void *arg, struct conn *conn, struct span bytes)
{
	struct http_conn *c = arg;
	size_t used = 0;

	(void)conn;
	if (c->is_closing)
		return bytes.n;
	if (!c->door.is_open) {
		used = come_in(c, bytes);
		if (!c->door.is_open || used == bytes.n)
			return used;
	}
	if (begins_tls(c, span_from(bytes, used)))
		return bytes.n;
	return used + pump(c, span_from(bytes, used));
}

static void on_secure(void *arg, struct conn *conn)
{
	struct http_conn *c = arg;

	(void)conn;
	door_secure(&c->door);
	open_engine(c);
}

static void on_drained(void *arg, struct conn *conn)
{
	struct http_conn *c = arg;

	(void)conn;
	if (!c->engine || c->is_closing)
		return;
	look_if_deaf(c);
	if (c->x)
		http_exchange_has_read(c->x);
	http_conn_go_on(c);
}

/* A client that takes little has another while; one that takes nothing has not. */
static bool makes_progress(struct http_conn *c)
{
	size_t unsent = conn_unsent(c->conn);

	if (unsent + HTTP_PROGRESS_BYTES > c->deaf_bytes)
		return false;
	c->deaf_bytes = unsent;
	c->deaf_until_us = loop_now_us(c->host->loop) + HTTP_UNREAD_US;
	return true;
}

static void on_deadline(void *arg, struct conn *conn)
{
	struct http_conn *c = arg;
	uint64_t now_us = loop_now_us(c->host->loop);

	c->armed_at_us = 0;
	if (!c->engine) {
		conn_abort(conn);
	} else if (c->deaf_until_us && now_us >= c->deaf_until_us && !makes_progress(c)) {
		http_count(HTTP_UNREAD, 1);
		conn_abort(conn);
	} else if (!c->is_deaf) {
		http_conn_go_on(c);
	} else {
		arm(c);
	}
}

/* ---- who is in ---- */

/* Connections of one account; there while it has any. */
struct http_crowd {
	unsigned n;
	struct span account; /* owned */
};

static void leave_strangers(struct http_conn *c)
{
	if (list_is_empty(&c->stranger))
		return;
	list_remove(&c->stranger);
	c->host->strangers_n--;
}

static void leave_crowd(struct http_conn *c)
{
	struct http_crowd *crowd = c->crowd;

	c->crowd = NULL;
	if (!crowd || --crowd->n)
		return;
	(void)map_remove(&c->host->crowds, crowd->account);
	free((void *)(uintptr_t)crowd->account.p);
	free(crowd);
}

static struct http_crowd *crowd_of(struct http_host *h, struct span account)
{
	struct http_crowd *crowd = map_get(&h->crowds, account);
	unsigned char *copy;

	if (crowd)
		return crowd;
	crowd = must_alloc(sizeof *crowd);
	copy = must_alloc(account.n + 1);
	memcpy(copy, account.p, account.n);
	crowd->account = span_of(copy, account.n);
	(void)map_put(&h->crowds, account, crowd);
	return crowd;
}

bool http_conn_enter(struct http_conn *c, struct span account)
{
	struct http_crowd *crowd;

	if (c->crowd || !account.n)
		return true;
	crowd = crowd_of(c->host, account);
	if (crowd->n >= HTTP_CONNECTIONS_OF_ACCOUNT)
		return false;
	crowd->n++;
	c->crowd = crowd;
	leave_strangers(c);
	return true;
}

/* H-15: who opens many connections and says little on them takes room from his own. */
bool http_conn_make_room(struct http_host *h)
{
	LIST_EACH (at, &h->strangers) {
		struct http_conn *c = LIST_ENTRY(at, struct http_conn, stranger);

		if (c->x || c->is_closing)
			continue;
		leave_strangers(c);
		http_conn_drop(c);
		return true;
	}
	return false;
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct http_conn *c = arg;
	struct http_host *h = c->host;

	(void)conn;
	if (rc != OK)
		say(SAY_DEBUG, "http.broken", "peer", SAY_STR(c->door.peer), "why",
		    SAY_STR(why->text), NULL);
	c->conn = NULL;
	if (c->x)
		http_exchange_lost(c->x);
	http_server_free(c->engine);
	door_leave(&c->door);
	leave_strangers(c);
	leave_crowd(c);
	list_remove(&c->link);
	list_remove(&c->run);
	http_set(HTTP_OPEN_CONNECTIONS, --h->conns_n);
	free(c);
}

void http_conn_new(struct http_host *h, int fd, bool may_be_clear)
{
	static const struct conn_ops ops = {
		.on_bytes = on_bytes,
		.on_secure = on_secure,
		.on_drained = on_drained,
		.on_deadline = on_deadline,
		.on_closed = on_closed,
	};
	struct http_conn *c = must_alloc(sizeof *c);

	c->host = h;
	c->may_be_clear = may_be_clear;
	list_init(&c->run);
	list_append(&h->conns, &c->link);
	list_append(&h->strangers, &c->stranger);
	h->strangers_n++;
	http_set(HTTP_OPEN_CONNECTIONS, ++h->conns_n);
	c->conn = conn_accept(h->loop, fd, &ops, c);
	door_init(&c->door, c->conn, h->loop, &h->sources, !may_be_clear, &h->rules->door);
	(void)come_in(c, SPAN_NONE);
}

/* ---- the end ---- */

void http_conn_wind_down(struct http_conn *c)
{
	if (!c->engine) {
		conn_abort(c->conn);
		return;
	}
	http_server_wind_down(c->engine);
	http_conn_go_on(c);
}

void http_conn_drop(struct http_conn *c)
{
	c->is_closing = true;
	conn_abort(c->conn);
}
