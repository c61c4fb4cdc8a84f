/*
 * What scout's parts share. main.c speaks with the other roles; the parts know nothing of links: each question
 * is a call with a callback that comes exactly once, possibly from inside the call (a cached answer).
 *
 *   X1  Edge waits 500 ms and then does without scout for a while. So what edge asks is answered within
 *       SCOUT_REPLY_US, with what is known by then; the search goes on and fills the caches.
 *   X2  Everything asked for is bounded: open questions of an asker, checks, call-aheads, caches.
 *   X3  Names and texts that come from the network are checked before they are passed on.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"
#include "identity/sts.h"

#define SCOUT_REPLY_US 350000u

struct cache;
struct dns;
struct loop;
struct msg_config;
struct os;
struct primary_tls;
struct tls_context;

struct scout {
	struct loop *loop;
	struct os *os;
	struct dns *dns;
	const struct msg_config *config; /* changes at a reload */
	struct primary_tls *tls;	 /* NULL: calls go without */
	struct resolver *resolver;
	struct recipients *recipients;
	unsigned checks; /* of connections, senders and exchangers, running */
	struct sts *sts;
	/* tests: exchangers may be here; where policies are fetched */
	bool allows_loopback;
	uint16_t sts_port;
	struct tls_context *sts_tls;
};

#define SCOUT_CHECKS_LIMIT 512u

/* --- connection.c: DNSBL and reverse name of a client */

#define CONNECTION_ZONES_LIMIT 16u

struct connection_found {
	struct span host_name; /* it leads back to the address; "" if none */
	const struct span *listed;
	size_t listed_n;
};

void connection_check(struct scout *s, struct span address, const struct span *zones,
		      size_t zones_n,
		      void (*on_done)(void *arg, const struct connection_found *found), void *arg);

/* --- sender.c: SPF. result: "pass" ..., or "" when nothing was asked */

void sender_check(struct scout *s, struct span address, struct span helo, struct span sender,
		  void (*on_done)(void *arg, const char *result, const char *why), void *arg);

/* --- resolve.c: addresses of a host, remembered beyond their time when the DNS fails */

#define RESOLVE_ADDRESSES_LIMIT 16u
#define RESOLVE_TEXT_BYTES	46u

struct resolved {
	bool ok;
	bool is_old; /* the DNS fails; this is what it said last */
	size_t n;
	char addresses[RESOLVE_ADDRESSES_LIMIT][RESOLVE_TEXT_BYTES]; /* IPv4 first */
	char why[160];						     /* when not ok, or old */
};

struct resolver *resolver_new(struct scout *s);
void resolver_free(struct resolver *r); /* outstanding questions are told that scout ends */
void resolve_host(struct resolver *r, struct span host,
		  void (*on_done)(void *arg, const struct resolved *found), void *arg);

/* --- recipient.c: does the primary take this recipient? */

struct recipient_found {
	unsigned verdict; /* enum publish_recipient */
	uint16_t code;
	const char *text;
	bool catch_all;
	bool is_new; /* learned just now: tell watch */
};

struct recipients *recipients_new(struct scout *s,
				  void (*on_learned)(void *arg, struct span address,
						     const struct recipient_found *found),
				  void *arg);
void recipients_free(struct recipients *r);
void recipient_ask(struct recipients *r, struct span site, struct span address,
		   void (*on_done)(void *arg, const struct recipient_found *found), void *arg);
/* Forgets what is known of sites that are no more, or have other primaries now. */
void recipients_reload(struct recipients *r);

/* --- exchange.c: where mail for a foreign domain goes; E1-E4 there */

#define EXCHANGE_HOSTS	   10u
#define EXCHANGE_NAME	   254u
#define EXCHANGE_ADDRESSES 8u
#define EXCHANGE_TLSA	   8u

enum { EXCHANGE_HOSTS_THERE, EXCHANGE_LATER, EXCHANGE_NEVER }; /* as in MxAnswer */

struct exchange_host {
	char name[EXCHANGE_NAME];
	uint16_t preference;
	bool is_secure, dane, is_unusable;
	size_t addresses_n, tlsa_n;
	char addresses[EXCHANGE_ADDRESSES][RESOLVE_TEXT_BYTES];
	struct exchange_tlsa {
		uint8_t usage, selector, matching;
		size_t n;
		unsigned char data[512];
	} tlsa[EXCHANGE_TLSA];
};

struct exchange_found {
	unsigned verdict;
	bool is_secure, is_enforced; /* the MX records are signed; an MTA-STS policy holds */
	size_t n;
	struct exchange_host hosts[EXCHANGE_HOSTS + 1]; /* by preference */
	char why[400];
};

/* Not for domains of ours: the caller knows those. */
void exchange_find(struct scout *s, struct span domain,
		   void (*on_done)(void *arg, const struct exchange_found *found), void *arg);

/* --- sts.c: MTA-STS (RFC 8461); S1-S4 there */

struct sts;
struct sts_policy;

struct sts *sts_new(struct scout *s);
void sts_free(struct sts *t); /* who waits is told that there is no policy */
/* policy NULL: none. From inside the call, or later; once. */
void sts_find(struct sts *t, struct span domain,
	      void (*on_done)(void *arg, const struct sts_policy *policy), void *arg);

/* --- reverse.c: addresses as names */

struct client_address {
	unsigned char bytes[16]; /* 4 of them used for IPv4, also for a mapped one */
	bool is_v6;
};

bool client_address_read(struct span text, struct client_address *out);
/* "4.3.2.1.suffix", or by nibbles for IPv6. False: it does not fit. */
bool client_address_name(const struct client_address *a, const char *suffix, char *out,
			 size_t out_bytes);
/* Letters, digits, hyphens, underscores and dots; labels of 1 to 63; at most 253 bytes. */
bool host_name_is_plain(struct span name);
