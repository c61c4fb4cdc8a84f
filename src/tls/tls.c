/* Not here yet: the plain half of conn.c can be used meanwhile. */
#include "tls/tls.h"

#include "base/must.h"

struct tls *tls_new(struct tls_context *context, bool is_server, const char *name)
{
	(void)context;
	(void)is_server;
	(void)name;
	must(!"TLS is built");
	return NULL;
}

void tls_free(struct tls *t)
{
	(void)t;
}

enum rc tls_start(struct tls *t, struct buf *wire, struct fault *why)
{
	(void)t;
	(void)wire;
	fault_set(why, "no TLS yet");
	return REFUSED;
}

enum rc tls_input(struct tls *t, struct span from_peer, struct buf *plain, struct buf *wire,
		  struct fault *why)
{
	(void)from_peer;
	(void)plain;
	return tls_start(t, wire, why);
}

enum rc tls_output(struct tls *t, struct span plain, struct buf *wire, struct fault *why)
{
	(void)plain;
	return tls_start(t, wire, why);
}

void tls_end(struct tls *t, struct buf *wire)
{
	(void)t;
	(void)wire;
}

bool tls_is_ready(const struct tls *t)
{
	(void)t;
	return false;
}

bool tls_peer_ended(const struct tls *t)
{
	(void)t;
	return false;
}

bool tls_is_verified(const struct tls *t)
{
	(void)t;
	return false;
}

const char *tls_text(const struct tls *t)
{
	(void)t;
	return "";
}
