/*
 * Asynchronous DNS on a loop, by libunbound (the only code that knows it). Answers are copied out in plain
 * form; "secure" is what DNSSEC validation said. Each question ends in exactly one callback.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct loop;
struct dns;

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52, DNS_PTR = 12 };

struct dns_answer {
	/* OK; REFUSED: NXDOMAIN; MORE: the name exists, no record of the type; LATER: SERVFAIL or time-out;
	 * BROKEN: bogus (DNSSEC). */
	enum rc rc;
	bool secure;
	uint32_t ttl_s;
	size_t n;
	const struct dns_record {
		struct span data; /* A, AAAA: 4 or 16 bytes; TXT: strings joined; MX, NS, PTR: the name as text */
		uint16_t preference; /* MX */
	} *records; /* live during the callback */
};

/*
 * server: "127.0.0.1@5353", or NULL for /etc/resolv.conf. Opens its sockets and files at once, so that the
 * sandbox may close afterwards.
 */
enum rc dns_new(struct loop *loop, const char *server, struct dns **out, struct fault *why) MUST_USE;
void dns_free(struct dns *d); /* outstanding questions end with LATER */
void dns_ask(struct dns *d, const char *name, enum dns_type type, uint32_t timeout_ms,
	     void (*on_answer)(void *arg, const struct dns_answer *answer), void *arg);
