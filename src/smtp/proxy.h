/*
 * The header of the PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2), which a
 * trusted load balancer sends before the first byte of its client. Pure, strict, bounded. Version 1
 * (text) is not taken.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/rc.h"
#include "base/span.h"

enum {
	PROXY_HEAD_BYTES = 16,
	PROXY_LIMIT_BYTES =
		PROXY_HEAD_BYTES + 536, /* as the specification lets a sender use in practice */
};

struct proxy_header {
	bool is_local; /* a health check of the proxy itself, or an address family we do not know: keep the peer */
	struct sockaddr_storage peer;
	size_t header_bytes;
};

/* OK: *out is filled. MORE: the header is not complete yet. REFUSED: this is none. */
enum rc proxy_parse(struct span bytes, struct proxy_header *out) MUST_USE;
