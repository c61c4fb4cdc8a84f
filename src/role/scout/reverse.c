/* Addresses as names in the DNS: RFC 1035 s3.5, RFC 3596 s2.5, RFC 5782 s2. */
#include "role/scout/scout.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/ascii.h"

bool client_address_read(struct span text, struct client_address *out)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	char copy[INET6_ADDRSTRLEN];
	unsigned char bytes[16] = {0};
	struct client_address a = {0};

	if (!text.n || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, a.bytes) != 1) {
		if (inet_pton(AF_INET6, copy, bytes) != 1)
			return false;
		a.is_v6 = memcmp(bytes, mapped, sizeof mapped) != 0;
		memcpy(a.bytes, a.is_v6 ? bytes : bytes + 12, a.is_v6 ? 16 : 4);
	}
	*out = a;
	return true;
}

bool client_address_name(const struct client_address *a, const char *suffix, char *out,
			 size_t out_bytes)
{
	size_t n = 0;
	int more;

	if (out_bytes < 65)
		return false;
	for (size_t i = 16; a->is_v6 && i-- > 0;)
		n += (size_t)snprintf(out + n, out_bytes - n, "%x.%x.", a->bytes[i] & 15u,
				      a->bytes[i] >> 4);
	for (size_t i = 4; !a->is_v6 && i-- > 0;)
		n += (size_t)snprintf(out + n, out_bytes - n, "%u.", a->bytes[i]);
	more = snprintf(out + n, out_bytes - n, "%s", suffix);
	return more >= 0 && (size_t)more < out_bytes - n && n + (size_t)more <= 253;
}

bool host_name_is_plain(struct span name)
{
	if (!name.n || name.n > 253)
		return false;
	while (name.n) {
		struct span label = span_cut(&name, '.');

		if (!label.n || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++) {
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
		}
	}
	return true;
}
