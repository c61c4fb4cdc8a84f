#include "role/common/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool net_parse(struct span text, struct net *out)
{
	char address[INET6_ADDRSTRLEN];
	struct net net = {0};
	struct span rest = text, host = span_cut(&rest, '/');
	uint64_t bits;

	if (host.n == 0 || host.n >= sizeof address)
		return false;
	memcpy(address, host.p, host.n);
	address[host.n] = '\0';
	if (inet_pton(AF_INET, address, net.address + 12) == 1) {
		net.address[10] = net.address[11] = 0xff;
		bits = 32;
		if (host.n < text.n && !span_to_u64(rest, 32, &bits))
			return false;
		bits += 96;
	} else {
		bits = 128;
		if (inet_pton(AF_INET6, address, net.address) != 1 ||
		    (host.n < text.n && !span_to_u64(rest, 128, &bits)))
			return false;
	}
	net.bits = (unsigned)bits;
	*out = net;
	return true;
}

static bool net_has(const struct net *net, const unsigned char address[16])
{
	unsigned bytes = net->bits / 8, rest = net->bits % 8;

	if (memcmp(net->address, address, bytes) != 0)
		return false;
	return rest == 0 || ((net->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

static bool peer_address(const struct sockaddr_storage *peer, unsigned char out[16])
{
	memset(out, 0, 16);
	if (peer->ss_family == AF_INET) {
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
		return true;
	}
	if (peer->ss_family != AF_INET6)
		return false;
	memcpy(out, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
	return true;
}

bool nets_have(const struct net *nets, size_t n, const struct sockaddr_storage *peer)
{
	unsigned char address[16];

	if (n == 0 || !peer_address(peer, address))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (net_has(&nets[i], address))
			return true;
	}
	return false;
}

bool net_is_loopback(const struct sockaddr_storage *peer)
{
	static const unsigned char v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127},
				   v6[16] = {[15] = 1};
	unsigned char address[16];

	return peer_address(peer, address) &&
	       (memcmp(address, v4, sizeof v4) == 0 || memcmp(address, v6, sizeof v6) == 0);
}
