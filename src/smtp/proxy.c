#include "smtp/proxy.h"

static const unsigned char signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum {
	VERSION_LOCAL = 0x20,
	VERSION_PROXY = 0x21,
	TCP4 = 0x11,
	TCP6 = 0x21,
	TCP4_BYTES = 12,
	TCP6_BYTES = 36
};

static void take_tcp4(const unsigned char *p, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, p, 4);
	memcpy(&in->sin_port, p + 8, 2);
}

static void take_tcp6(const unsigned char *p, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;

	in->sin6_family = AF_INET6;
	memcpy(&in->sin6_addr, p, 16);
	memcpy(&in->sin6_port, p + 32, 2);
}

enum rc proxy_parse(struct span bytes, struct proxy_header *out)
{
	struct proxy_header h = {0};
	size_t known = bytes.n < sizeof signature ? bytes.n : sizeof signature, length;
	unsigned char command, family;

	if (known && memcmp(bytes.p, signature, known) != 0)
		return REFUSED;
	if (bytes.n < PROXY_HEAD_BYTES)
		return MORE;
	command = bytes.p[12];
	family = bytes.p[13];
	length = (size_t)bytes.p[14] << 8 | bytes.p[15];
	if ((command != VERSION_LOCAL && command != VERSION_PROXY) ||
	    length > PROXY_LIMIT_BYTES - PROXY_HEAD_BYTES)
		return REFUSED;
	if (command == VERSION_PROXY &&
	    ((family == TCP4 && length < TCP4_BYTES) || (family == TCP6 && length < TCP6_BYTES)))
		return REFUSED;
	if (bytes.n < PROXY_HEAD_BYTES + length)
		return MORE;
	h.header_bytes = PROXY_HEAD_BYTES + length;
	h.is_local = command == VERSION_LOCAL || (family != TCP4 && family != TCP6);
	if (!h.is_local && family == TCP4)
		take_tcp4(bytes.p + PROXY_HEAD_BYTES, &h.peer);
	if (!h.is_local && family == TCP6)
		take_tcp6(bytes.p + PROXY_HEAD_BYTES, &h.peer);
	*out = h;
	return OK;
}
