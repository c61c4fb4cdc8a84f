/* Between dns.c and packet.c. */
#pragma once

#include "base/arena.h"
#include "dns/dns.h"

#define DNS_RECORDS_LIMIT   128
#define DNS_NAME_TEXT_LIMIT 1024 /* 255 bytes, each at most \DDD */

/*
 * Reads the answer section of a reply in wire form (RFC 1035 s4): the records of the asked type, in the
 * order they came, with the smallest TTL seen on the way (aliases count). Data lives in the arena. False: not
 * a well-formed reply. *out is written only on success; its rc and secure are left for the caller.
 */
bool dns_packet_read(struct arena *a, struct span packet, enum dns_type type,
		     struct dns_answer *out);
