/*
 * Asynchronous DNS on a loop, by libunbound (the only code that knows it). Answers are copied out in plain
 * form; "secure" is what DNSSEC validation said. Each question ends in exactly one callback.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct loop;
struct dns;

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
	DNS_PTR = 12
};

struct dns_answer {
	/* OK; REFUSED: NXDOMAIN; MORE: the name exists, no record of the type; LATER: SERVFAIL or time-out;
	 * BROKEN: bogus (DNSSEC). */
	enum rc rc;
	bool secure;
	uint32_t ttl_s;
	size_t n;
	const struct dns_record {
		struct span
			data; /* A, AAAA: 4 or 16 bytes; TXT: strings joined; MX, NS, PTR: the name as text */
		uint16_t preference; /* MX */
	} * records;		     /* live during the callback */
};

/*
 * server: "127.0.0.1@5353", or NULL for /etc/resolv.conf (and /etc/hosts). Reads its files at once, so that
 * the sandbox may close afterwards; sockets are opened as questions need them. REFUSED: server is no address.
 *
 * DNSSEC is looked at when the system's resolver is used and the root's anchor is installed, permissively:
 * a resolver that strips signatures costs "secure", not the answer. A named server is believed as it is.
 */
enum rc dns_new(struct loop *loop, const char *server, struct dns **out,
		struct fault *why) MUST_USE;
/* Outstanding questions end with LATER. Not from inside on_answer. Accepts NULL. */
void dns_free(struct dns *d);
/*
 * on_answer is never called from inside dns_ask. A name that is none is REFUSED; beyond DNS_ASK_LIMIT
 * questions at once (those that timed out count until libunbound gives them up) the answer is LATER.
 */
#define DNS_ASK_LIMIT 4096u
void dns_ask(struct dns *d, const char *name, enum dns_type type, uint32_t timeout_ms,
	     void (*on_answer)(void *arg, const struct dns_answer *answer), void *arg);
