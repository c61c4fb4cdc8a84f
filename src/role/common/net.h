/* Networks of addresses, as configurations name them. */
#pragma once

#include <sys/socket.h>

#include "base/span.h"

struct net {
	unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;
};

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. False: it is none. */
bool net_parse(struct span text, struct net *out);
bool nets_have(const struct net *nets, size_t n, const struct sockaddr_storage *peer);
bool net_is_loopback(const struct sockaddr_storage *peer);
