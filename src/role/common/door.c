#include "role/common/door.h"

#include <stdio.h>

#include "base/arena.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "role/common/net.h"
#include "say/say.h"
#include "smtp/proxy.h"

void door_rules_proxies(struct door_rules *r, struct arena *a, const struct span *texts, size_t n)
{
	struct net *proxies = arena_array(a, n + 1, sizeof *proxies);

	r->proxies = proxies;
	r->proxies_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (net_parse(texts[i], &proxies[r->proxies_n]))
			r->proxies_n++;
	}
}

void door_init(struct door *d, struct conn *c, struct loop *loop, struct sources *sources,
	       bool begins_with_tls, const struct door_rules *rules)
{
	*d = (struct door){
		.conn = c, .loop = loop, .sources = sources, .begins_with_tls = begins_with_tls};
	d->is_proxied = nets_have(rules->proxies, rules->proxies_n, conn_peer(c));
	if (d->is_proxied)
		conn_deadline(c, DOOR_PROXY_US);
}

static void set_peer(struct door *d)
{
	const char *text = conn_peer_text(d->conn);

	if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
		text += 7;
	(void)snprintf(d->peer, sizeof d->peer, "%s", text);
	d->is_local = net_is_loopback(conn_peer(d->conn));
}

/* The client is known. early: what came with the proxy's header; where TLS comes first it is the handshake's. */
static enum rc enter(struct door *d, struct span early, const struct door_rules *rules,
		     struct tls_context *tls)
{
	set_peer(d);
	if (source_enter(d->sources, conn_peer(d->conn), loop_now_us(d->loop),
			 rules->sessions_per_source, rules->connections_per_minute,
			 &d->source) != SOURCE_WELCOME) {
		d->is_unwelcome = true;
		return REFUSED;
	}
	if (!d->begins_with_tls) {
		d->is_open = true;
		return OK;
	}
	if (!tls)
		return REFUSED;
	conn_deadline(d->conn, DOOR_HANDSHAKE_US);
	conn_accept_tls(d->conn, tls, early);
	return MORE;
}

enum rc door_bytes(struct door *d, struct span bytes, const struct door_rules *rules,
		   struct tls_context *tls, size_t *used)
{
	struct proxy_header h;
	enum rc rc;

	*used = 0;
	if (!d->is_proxied)
		return enter(d, bytes, rules, tls);
	rc = span_is_empty(bytes) ? MORE : proxy_parse(bytes, &h);
	if (rc == MORE)
		return MORE;
	if (rc != OK) {
		say(SAY_WARNING, "proxy.bad_header", "peer", SAY_STR(conn_peer_text(d->conn)),
		    NULL);
		return REFUSED;
	}
	d->is_proxied = false;
	conn_deadline(d->conn, 0);
	if (!h.is_local)
		conn_set_peer(d->conn, &h.peer);
	*used = d->begins_with_tls ? bytes.n : h.header_bytes;
	return enter(d, span_from(bytes, h.header_bytes), rules, tls);
}

void door_secure(struct door *d)
{
	d->is_open = true;
	conn_deadline(d->conn, 0);
}

void door_leave(struct door *d)
{
	source_leave(d->source);
	d->source = NULL;
}
