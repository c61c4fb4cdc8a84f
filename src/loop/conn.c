/*
 * Connections: see conn.h for the promises C1-C5.
 *
 * One rule keeps this simple: nothing is freed and no on_* is called from inside a call of the
 * owner. Calls only change the state; settle() then looks at it, from the end of our own event
 * handler or as a deferred call of the same turn: it writes what was sent, offers input that was
 * waiting, and ends what has ended.
 *
 * Reading goes into one scratch buffer of the loop; only what the owner leaves unconsumed is
 * copied. An idle connection holds no buffer at all. Interest in reading is given up lazily: a
 * pause costs a system call only if bytes arrive meanwhile.
 *
 * Why not bufferevents: doc/decisions/0001-own-connection-layer.md.
 */
#include "loop/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "loop/internal.h"
#include "tls/tls.h"

#define CLOSE_WAIT_US	10000000u /* for the peer to take the last bytes after conn_close */
#define ROUNDS_PER_TURN 4	  /* of on_drained, before others have their turn */
#define PEER_TEXT_BYTES INET6_ADDRSTRLEN

struct conn {
	struct loop *loop;
	const struct conn_ops *ops;
	void *arg;
	struct loop_fd io;
	struct loop_timer deadline;
	struct loop_call settle_call;
	int fd;		  /* -1: could not even be made */
	struct buf in;	  /* offered and not consumed */
	struct buf plain; /* sent, under TLS, not yet enciphered */
	struct buf out;	  /* for the kernel */
	size_t out_at;	  /* how much of out the kernel has */
	struct tls *tls;
	struct fault *why;  /* of the end; NULL: none */
	enum rc rc;	    /* of the end */
	unsigned plain_era; /* counts conn_start_tls: what was offered in an earlier one is dropped
			     */
	bool is_busy;	    /* settle() will run when the present callback returns */
	bool is_offering;
	bool is_connecting;
	bool is_paused;
	bool is_read_off;  /* not interested in reading until resumed */
	bool is_offer_due; /* resumed */
	bool is_blocked;   /* the kernel did not take all */
	bool is_drain_due; /* on_drained is owed */
	bool has_peer_ended;
	bool is_closing;   /* ends when the output is written */
	bool has_said_end; /* close_notify is in the output */
	bool has_ended;	   /* on_closed is owed, at once */
	bool may_linger;
	char peer_text[PEER_TEXT_BYTES];
	struct sockaddr_storage peer;
};

static void settle(struct conn *c);

static void on_settle(void *arg)
{
	settle(arg);
}

static void settle_soon(struct conn *c)
{
	if (!c->is_busy)
		loop_call_post(c->loop, &c->settle_call);
}

/* The first reason stays. */
static void end(struct conn *c, enum rc rc, const struct fault *why)
{
	if (c->has_ended)
		return;
	c->has_ended = true;
	c->rc = rc;
	if (why && why->text[0]) {
		c->why = must_alloc(sizeof *c->why);
		*c->why = *why;
	}
	settle_soon(c);
}

static bool is_handshaking(const struct conn *c)
{
	return c->tls && !tls_is_ready(c->tls);
}

/* The connection is cut: under TLS that is never an orderly end (C4). */
static void end_cut(struct conn *c, const char *what, int err)
{
	struct fault why = {0};

	errno = err;
	if (err)
		fault_sys(&why, "%s", what);
	else
		fault_set(&why, "%s", what);
	if (is_handshaking(c))
		fault_context(&why, "TLS handshake");
	end(c, !c->tls ? LATER : is_handshaking(c) ? REFUSED : BROKEN, &why);
}

/* --- output */

static void drop_output(struct conn *c)
{
	buf_fini(&c->out);
	buf_fini(&c->plain);
	c->out_at = 0;
}

static void encipher(struct conn *c)
{
	struct fault why = {0};

	if (!c->plain.n)
		return;
	if (tls_output(c->tls, buf_span(&c->plain), &c->out, &why) != OK)
		end(c, BROKEN, &why);
	buf_fini(&c->plain);
}

/* Gives the kernel what it takes. */
static void flush(struct conn *c)
{
	ssize_t n;

	if (c->is_connecting || c->fd < 0)
		return;
	encipher(c);
	while (c->out_at < c->out.n) {
		n = send(c->fd, c->out.p + c->out_at, c->out.n - c->out_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			c->is_blocked = true;
			return;
		}
		if (n < 0) {
			end_cut(c, "send", errno);
			drop_output(c);
			return;
		}
		c->out_at += (size_t)n;
	}
	if (c->out_at)
		c->is_drain_due = true;
	c->is_blocked = false;
	drop_output(c);
}

void conn_send(struct conn *c, struct span bytes)
{
	static const struct fault unread = {"the peer does not read what we send"};

	/* Nothing can be said inside a handshake: what stands there is neither plain nor secret. */
	if (c->has_ended || c->is_closing || is_handshaking(c) || span_is_empty(bytes))
		return;
	if (conn_unsent(c) + bytes.n > CONN_OUT_LIMIT_BYTES) {
		drop_output(c);
		end(c, LATER, &unread);
		return;
	}
	if (c->out_at > c->out.n / 2) {
		buf_drop(&c->out, c->out_at);
		c->out_at = 0;
	}
	(void)buf_append(c->tls ? &c->plain : &c->out, bytes);
	settle_soon(c);
}

size_t conn_unsent(const struct conn *c)
{
	return c->out.n - c->out_at + c->plain.n;
}

/* --- input */

static void keep(struct conn *c, struct span bytes)
{
	if (!span_is_empty(bytes))
		(void)buf_append(&c->in, bytes);
	else if (!c->in.n)
		buf_fini(&c->in);
}

/* Offers bytes, which are all of c->in or lie elsewhere while c->in is empty, and keeps what is
 * left. */
static void offer(struct conn *c, struct span bytes)
{
	bool is_kept = c->in.n != 0;
	unsigned era = c->plain_era;
	size_t used = 0;

	if (span_is_empty(bytes) || c->has_ended || c->is_closing)
		return;
	if (!c->is_paused) {
		c->is_offering = true;
		used = c->ops->on_bytes(c->arg, c, bytes);
		c->is_offering = false;
		must(used <= bytes.n);
	}
	if (c->plain_era != era || c->is_closing) { /* C3 */
		buf_fini(&c->in);
		return;
	}
	if (is_kept) {
		buf_drop(&c->in, used);
		keep(c, SPAN_NONE);
	} else {
		keep(c, span_from(bytes, used));
	}
}

static void take_plain(struct conn *c, struct span bytes)
{
	if (!c->in.n) {
		offer(c, bytes);
		return;
	}
	(void)buf_append(&c->in, bytes);
	offer(c, buf_span(&c->in));
}

static void take_wire(struct conn *c, struct span bytes)
{
	struct buf *plain = loop_plain(c->loop);
	bool was_ready = tls_is_ready(c->tls);
	struct fault why = {0};
	enum rc rc = tls_input(c->tls, bytes, plain, &c->out, &why);

	if (rc != OK && rc != MORE) {
		buf_fini(&c->plain);
		flush(c); /* the alert says why */
		end(c, was_ready ? BROKEN : REFUSED, &why);
		return;
	}
	if (!was_ready && tls_is_ready(c->tls) && c->ops->on_secure)
		c->ops->on_secure(c->arg, c);
	take_plain(c, buf_span(plain));
	if (tls_peer_ended(c->tls))
		c->has_peer_ended = true;
}

static void on_end_of_input(struct conn *c)
{
	if (c->tls && !tls_peer_ended(c->tls))
		end_cut(c, "the connection was cut off", 0);
	c->has_peer_ended = true;
}

static void read_once(struct conn *c)
{
	size_t room = c->in.n < CONN_IN_LIMIT_BYTES ? CONN_IN_LIMIT_BYTES - c->in.n : 0;
	unsigned char *p = loop_scratch(c->loop);
	ssize_t n;

	if (c->is_paused || c->has_peer_ended || c->is_closing || !room) {
		c->is_read_off = true;
		return;
	}
	n = recv(c->fd, p, room < LOOP_SCRATCH_BYTES ? room : LOOP_SCRATCH_BYTES, MSG_DONTWAIT);
	if (n > 0 && c->tls)
		take_wire(c, span_of(p, (size_t)n));
	else if (n > 0)
		take_plain(c, span_of(p, (size_t)n));
	else if (n == 0)
		on_end_of_input(c);
	else if (errno != EAGAIN && errno != EINTR)
		end_cut(c, "receive", errno);
}

void conn_pause(struct conn *c)
{
	c->is_paused = true;
	c->is_offer_due = false;
}

void conn_resume(struct conn *c)
{
	c->is_paused = false;
	c->is_read_off = false;
	c->is_offer_due = true;
	settle_soon(c);
}

/* --- TLS */

void conn_start_tls(struct conn *c, struct tls_context *context, bool is_server, const char *name)
{
	struct fault why = {0};

	if (c->has_ended || c->is_closing)
		return;
	must(!c->tls);
	c->plain_era++;
	if (!c->is_offering)
		buf_fini(&c->in);
	c->tls = tls_new(context, is_server, name);
	if (tls_start(c->tls, &c->out, &why) != OK)
		end(c, REFUSED, &why);
	settle_soon(c);
}

void conn_accept_tls(struct conn *c, struct tls_context *context, struct span early)
{
	struct fault why = {0};
	enum rc rc;

	conn_start_tls(c, context, true, NULL);
	if (!c->tls || span_is_empty(early))
		return;
	/* One flight of the client ends no handshake: nothing readable can come of it. */
	rc = tls_input(c->tls, early, loop_plain(c->loop), &c->out, &why);
	if (rc != MORE)
		end(c, REFUSED, &why);
}

bool conn_is_tls(const struct conn *c)
{
	return c->tls && tls_is_ready(c->tls);
}

const char *conn_tls_text(const struct conn *c)
{
	return c->tls ? tls_text(c->tls) : "";
}

bool conn_tls_verified(const struct conn *c)
{
	return c->tls && tls_is_verified(c->tls);
}

/* --- life */

/* C1. Frees c. */
static void finish(struct conn *c)
{
	static const struct fault none = {""};

	loop_call_cancel(&c->settle_call);
	loop_fd_fini(&c->io);
	loop_timer_fini(&c->deadline);
	c->is_busy = true; /* nothing that on_closed calls posts anything */
	c->ops->on_closed(c->arg, c, c->rc, c->why ? c->why : &none);
	if (c->fd >= 0 && c->may_linger)
		linger_close(c->loop, c->fd);
	else if (c->fd >= 0)
		(void)close(c->fd);
	tls_free(c->tls);
	buf_fini(&c->in);
	drop_output(c);
	free(c->why);
	free(c);
}

static void update_interest(struct conn *c)
{
	unsigned wants = 0;

	if (c->is_connecting || c->is_blocked)
		wants |= LOOP_WRITE;
	if (!c->is_connecting && !c->is_read_off && !c->has_peer_ended && !c->is_closing)
		wants |= LOOP_READ;
	loop_fd_want(&c->io, wants);
}

/* The last bytes are written: says the end of TLS too, then is done. */
static void close_if_written(struct conn *c)
{
	if (c->has_ended || conn_unsent(c) || c->is_connecting)
		return;
	if (c->tls && !c->has_said_end) {
		c->has_said_end = true;
		tls_end(c->tls, &c->out);
		flush(c);
		if (c->has_ended || conn_unsent(c))
			return;
	}
	c->may_linger = !c->has_peer_ended;
	end(c, OK, NULL);
}

static void begin_close(struct conn *c)
{
	if (c->is_closing || c->has_ended)
		return;
	c->is_closing = true;
	if (!c->is_offering)
		buf_fini(&c->in);
	loop_timer_set(&c->deadline, CLOSE_WAIT_US);
}

/* Offers what was waiting; an end of input that was seen meanwhile counts once all has been
 * offered. */
static void offer_waiting(struct conn *c)
{
	if (c->is_offer_due) {
		c->is_offer_due = false;
		offer(c, buf_span(&c->in));
	}
	if (c->has_peer_ended && !c->is_paused && !c->is_offer_due)
		begin_close(c);
}

static void settle(struct conn *c)
{
	c->is_busy = true;
	for (unsigned round = 0; !c->has_ended; round++) {
		offer_waiting(c);
		flush(c);
		if (c->is_closing)
			close_if_written(c);
		if (c->has_ended || c->is_closing || (!c->is_drain_due && !c->is_offer_due))
			break;
		if (round == ROUNDS_PER_TURN) {
			c->is_blocked = true; /* go on when the loop finds it writable */
			break;
		}
		if (c->is_drain_due && c->ops->on_drained)
			c->ops->on_drained(c->arg, c);
		c->is_drain_due = false;
	}
	c->is_busy = false;
	if (c->has_ended)
		finish(c);
	else
		update_interest(c);
}

static void on_connected(struct conn *c)
{
	int err = 0;
	socklen_t n = sizeof err;

	must(getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0);
	if (err == EINPROGRESS)
		return;
	c->is_connecting = false;
	if (err)
		end_cut(c, "connect", err);
	else if (c->ops->on_open)
		c->ops->on_open(c->arg, c);
}

static void on_io(void *arg, unsigned flags)
{
	struct conn *c = arg;

	c->is_busy = true;
	if (c->is_connecting)
		on_connected(c);
	else if (flags & LOOP_READ && !c->has_ended)
		read_once(c);
	settle(c);
}

static void on_deadline(void *arg)
{
	struct conn *c = arg;
	struct fault why = {0};

	c->is_busy = true;
	if (c->is_closing) {
		fault_set(&why, "the peer did not take the last bytes");
		drop_output(c);
		end(c, OK, &why);
	} else if (c->ops->on_deadline) {
		c->ops->on_deadline(c->arg, c);
	} else {
		fault_set(&why, "timed out");
		end(c, LATER, &why);
	}
	settle(c);
}

static struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = must_alloc(sizeof *c);

	c->loop = loop;
	c->fd = fd;
	c->ops = ops;
	c->arg = arg;
	loop_call_init(&c->settle_call, on_settle, c);
	loop_timer_init(&c->deadline, loop, on_deadline, c);
	loop_fd_init(&c->io, loop, fd, on_io, c);
	return c;
}

struct conn *conn_accept(struct loop *loop, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = conn_new(loop, fd, ops, arg);

	update_interest(c);
	return c;
}

struct conn *conn_connect(struct loop *loop, const struct sockaddr *to, socklen_t to_n,
			  const struct conn_ops *ops, void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct conn *c = conn_new(loop, fd, ops, arg);

	must(to_n <= sizeof c->peer);
	memcpy(&c->peer, to, to_n);
	if (fd < 0) {
		end_cut(c, "socket", errno);
		return c;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	c->is_connecting = true;
	if (connect(fd, to, to_n) < 0 && errno != EINPROGRESS)
		end_cut(c, "connect", errno);
	else
		update_interest(c);
	return c;
}

void conn_deadline(struct conn *c, uint64_t after_us)
{
	if (c->is_closing || c->has_ended)
		return;
	if (after_us)
		loop_timer_set(&c->deadline, after_us);
	else
		loop_timer_clear(&c->deadline);
}

void conn_close(struct conn *c)
{
	if (c->is_connecting || is_handshaking(c)) {
		conn_abort(c);
		return;
	}
	begin_close(c);
	settle_soon(c);
}

void conn_abort(struct conn *c)
{
	drop_output(c);
	end(c, OK, NULL);
}

/* --- who it is */

const struct sockaddr_storage *conn_peer(const struct conn *c)
{
	/* Asked of the kernel at first use: who accepts often knows already (conn_set_peer). */
	struct conn *known = (struct conn *)(uintptr_t)c;
	socklen_t n = sizeof known->peer;

	if (c->peer.ss_family == AF_UNSPEC && c->fd >= 0)
		(void)getpeername(c->fd, (struct sockaddr *)&known->peer, &n);
	return &c->peer;
}

void conn_set_peer(struct conn *c, const struct sockaddr_storage *peer)
{
	c->peer = *peer;
	c->peer_text[0] = '\0';
}

static void write_peer_text(char *out, const struct sockaddr_storage *peer)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
	const void *v4 = &((const struct sockaddr_in *)peer)->sin_addr;

	if (peer->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6))
		(void)inet_ntop(AF_INET, v6->s6_addr + 12, out, PEER_TEXT_BYTES);
	else if (peer->ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, v6, out, PEER_TEXT_BYTES);
	else if (peer->ss_family == AF_INET)
		(void)inet_ntop(AF_INET, v4, out, PEER_TEXT_BYTES);
	else
		(void)snprintf(out, PEER_TEXT_BYTES, "local");
}

const char *conn_peer_text(const struct conn *c)
{
	struct conn *known = (struct conn *)(uintptr_t)c;

	if (!c->peer_text[0])
		write_peer_text(known->peer_text, conn_peer(c));
	return c->peer_text;
}

uint16_t conn_peer_port(const struct conn *c)
{
	const struct sockaddr_storage *peer = conn_peer(c);

	if (peer->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)peer)->sin6_port);
	if (peer->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)peer)->sin_port);
	return 0;
}
