/*
 * What tells people's mail programs where our servers are, so that nobody types their names: SRV records (RFC 6186, 8314),
 * the file that Thunderbird and its kin look for, Outlook's answer of autodiscover, and a profile for Apple's programs.
 * All are made from the listeners of the configuration.
 */
#pragma once

#include "base/buf.h"
#include "ipc/msg.h"

enum { AUTOCONFIG_SERVERS = 7 };

struct autoconfig_server {
	const char *service; /* of the configuration: "imaps" */
	struct span host;
	unsigned port;
	bool is_tls_first; /* else STARTTLS */
};

struct autoconfig {
	struct span domain, node;
	struct span user; /* full address for a profile of one person; "": the program asks */
	struct autoconfig_server servers[AUTOCONFIG_SERVERS]; /* the best of each protocol first */
	size_t n;
};

/*
 * The servers for a domain; host: "" is the node. A listener on loopback counts where people have no other, and then by its
 * address. False: there is none for people.
 */
bool autoconfig_find(const struct msg_config *config, struct span domain, struct span host,
		     struct autoconfig *out);
/* Lines of a zone file, with "0 0 0 ." for what is not offered. */
void autoconfig_dns(const struct autoconfig *a, struct buf *out);
void autoconfig_thunderbird(const struct autoconfig *a, struct buf *out);
void autoconfig_outlook(const struct autoconfig *a, struct buf *out);
void autoconfig_apple(const struct autoconfig *a, struct buf *out);
