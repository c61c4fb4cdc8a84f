/*
 * The door of a listener: what comes before a connection's own protocol. The PROXY protocol's header where a proxy of ours
 * connects, the limits of the client's address, TLS where it comes first. An object of the session's, driven by the callbacks
 * of its conn as long as the door is not open:
 *
 *   on_bytes: door_bytes    on_secure: door_secure    on_deadline: conn_abort
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"
#include "role/common/sources.h"

struct conn;
struct loop;
struct net;
struct tls_context;

enum {
	DOOR_PROXY_US = 5000000,      /* for the header of the PROXY protocol */
	DOOR_HANDSHAKE_US = 30000000, /* of TLS, where it comes first */
};

struct door_rules { /* of one configuration; replaced as a whole when no call is under way */
	const struct net *proxies;
	size_t proxies_n;
	uint32_t sessions_per_source, connections_per_minute;
};

struct door {
	struct conn *conn;
	struct loop *loop;
	struct sources *sources;
	struct source *source; /* counted; door_leave gives it back */
	bool begins_with_tls, is_proxied, is_open;
	bool is_local;	   /* the client is on this machine */
	bool is_unwelcome; /* too much from its address: say so (without TLS) and close */
	char peer[48];	   /* its address, text */
};

/* Those of the configuration ("192.0.2.0/24"), into an arena without a limit. */
struct arena;
void door_rules_proxies(struct door_rules *r, struct arena *a, const struct span *texts, size_t n);

/* The connection is new. */
void door_init(struct door *d, struct conn *c, struct loop *loop, struct sources *sources,
	       bool begins_with_tls, const struct door_rules *rules);
/*
 * Goes on; in clear text or behind a proxy's header bytes are consumed. OK: the door is open, what is behind *used is the
 * session's (never with TLS: that comes by on_secure). MORE: not yet. REFUSED: it is to be closed; see is_unwelcome.
 * Called once with no bytes after door_init.
 */
enum rc door_bytes(struct door *d, struct span bytes, const struct door_rules *rules,
		   struct tls_context *tls, size_t *used) MUST_USE;
void door_secure(struct door *d); /* is_open */
void door_leave(struct door *d);  /* not counted any more; may be called twice */
