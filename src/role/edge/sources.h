/*
 * What each source (an IPv4 address, an IPv6 /64) does: open sessions, connections and messages in
 * the present minute. Bounded: with SOURCES_MOST known and none to forget, a further source is not
 * counted (and so not limited).
 */
#pragma once

#include <sys/socket.h>

#include "base/map.h"

enum { SOURCES_MOST = 100000 };

struct edge_source;
struct edge_sources {
	struct map all;
	uint64_t swept_at_us;
};

void edge_sources_init(struct edge_sources *s);
void edge_sources_fini(struct edge_sources *s);

enum edge_turn_away { EDGE_WELCOME, EDGE_TOO_MANY_SESSIONS, EDGE_TOO_FAST };
/* Counts a connection. EDGE_WELCOME: *out is to be given back by edge_source_leave (NULL: not
 * counted). 0: no limit. */
enum edge_turn_away edge_source_enter(struct edge_sources *s, const struct sockaddr_storage *peer,
				      uint64_t now_us, unsigned sessions_limit,
				      unsigned per_minute_limit, struct edge_source **out);
void edge_source_leave(struct edge_source *source); /* accepts NULL */
/* Counts a message; false when the limit for this minute is passed. */
bool edge_source_message(struct edge_source *source, uint64_t now_us, unsigned per_minute_limit);
