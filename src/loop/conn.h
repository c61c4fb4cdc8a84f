/*
 * One TCP (or Unix stream) connection, plain or TLS, on a loop. Bytes in by callback, bytes out by
 * a queue.
 *
 *   C1  on_closed is called exactly once, for whatever reason, and the conn is gone when it
 * returns. C2  conn_send never blocks and never fails; output is written when the present callback
 * returns, all that was sent in it together. Beyond CONN_OUT_LIMIT_BYTES unread by the peer the
 * connection is aborted (peers that do not read), unless the caller watches conn_unsent and waits
 * for on_drained. C3  conn_start_tls throws away every plaintext byte not yet consumed (STARTTLS
 * injection, CVE-2011-0411). C4  End of TLS without close_notify is on_closed(BROKEN): the caller
 * must not treat what came before as complete. There is no renegotiation, no 0-RTT; KeyUpdates are
 * bounded per connection. C5  Deadlines: conn_deadline(c, t) calls on_deadline once when t passes
 * without being set anew.
 */
#pragma once

#include <sys/socket.h>

#include "base/fault.h"
#include "base/span.h"

#define CONN_OUT_LIMIT_BYTES (4u << 20)

struct loop;
struct conn;
struct tls_context;

struct conn_ops {
	/* Unconsumed input, all of it. Returns how many bytes were consumed; what is left is
	 * offered again when more has come or after conn_resume. At most CONN_IN_LIMIT_BYTES are
	 * ever kept waiting. */
	size_t (*on_bytes)(void *arg, struct conn *c, struct span bytes);
	void (*on_open)(void *arg, struct conn *c);   /* conn_connect came through; may be NULL */
	void (*on_secure)(void *arg, struct conn *c); /* TLS handshake done; may be NULL */
	void (*on_drained)(void *arg,
			   struct conn *c); /* all output is with the kernel; may be NULL */
	void (*on_deadline)(void *arg, struct conn *c); /* NULL: on_closed(LATER) */
	/* OK: the peer ended it in order (all input was offered). LATER: could not connect, or
	 * reset. REFUSED: the handshake failed. BROKEN: cut off under TLS. UNSURE is never used.
	 * why may be empty. */
	void (*on_closed)(void *arg, struct conn *c, enum rc rc, const struct fault *why);
};

#define CONN_IN_LIMIT_BYTES (256u << 10)

/* Takes the accepted, connected descriptor over. */
struct conn *conn_accept(struct loop *loop, int fd, const struct conn_ops *ops, void *arg);
/* Starts connecting; on_open or on_closed follows. Does not block. */
struct conn *conn_connect(struct loop *loop, const struct sockaddr *to, socklen_t to_n,
			  const struct conn_ops *ops, void *arg);

/* During a TLS handshake, after conn_close and after the end nothing can be said: bytes are
 * dropped. */
void conn_send(struct conn *c, struct span bytes);
size_t conn_unsent(const struct conn *c); /* bytes queued and not yet with the kernel */

void conn_pause(struct conn *c); /* no more on_bytes */
void conn_resume(
	struct conn *c); /* offers what is waiting, from the loop, not from inside this call */

/* Server side: after the reply that announces it was sent. Client side: name is what the
 * certificate must match when the context verifies, and SNI. */
void conn_start_tls(struct conn *c, struct tls_context *context, bool is_server, const char *name);
/* Server side where TLS comes first: early are bytes that came already and belong to the handshake (behind a PROXY header). */
void conn_accept_tls(struct conn *c, struct tls_context *context, struct span early);
bool conn_is_tls(const struct conn *c);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", "" without TLS. Lives as long as c. */
const char *conn_tls_text(const struct conn *c);
bool conn_tls_verified(
	const struct conn *c); /* the peer's certificate matched name and a trust anchor */

void conn_deadline(struct conn *c, uint64_t after_us); /* 0: none */
void conn_close(
	struct conn *c); /* after what is queued was written (bounded); then on_closed(OK) */
void conn_abort(struct conn *c); /* now; on_closed(OK) follows from the loop */

const struct sockaddr_storage *conn_peer(const struct conn *c);
/* PROXY protocol: what the proxy said the peer is. */
void conn_set_peer(struct conn *c, const struct sockaddr_storage *peer);
/* "192.0.2.1" or "2001:db8::1"; lives as long as c. */
const char *conn_peer_text(const struct conn *c);
uint16_t conn_peer_port(const struct conn *c);

/*
 * A listening descriptor (already bound and listening) on a loop. When descriptors run out (EMFILE)
 * it gives up a spare one to accept and on_accept gets it with is_last true: say 421 and close
 * (test D-15).
 */
struct listener;
struct listener *listener_new(struct loop *loop, int fd,
			      void (*on_accept)(void *arg, int fd,
						const struct sockaddr_storage *peer, bool is_last),
			      void *arg);
void listener_free(struct listener *l); /* closes the descriptor */
