/*
 * What each source (an IPv4 address, an IPv6 /64) does: open sessions, connections and messages in
 * the present minute. Bounded: with SOURCES_MOST known and none to forget, a further source is not
 * counted (and so not limited).
 */
#pragma once

#include <sys/socket.h>

#include "base/map.h"

enum { SOURCES_MOST = 100000 };

struct source;
struct sources {
	struct map all;
	uint64_t swept_at_us;
};

void sources_init(struct sources *s);

enum source_verdict { SOURCE_WELCOME, SOURCE_TOO_MANY_SESSIONS, SOURCE_TOO_FAST };
/* Counts a connection. SOURCE_WELCOME: *out is to be given back by source_leave (NULL: not
 * counted). 0: no limit. */
enum source_verdict source_enter(struct sources *s, const struct sockaddr_storage *peer,
				 uint64_t now_us, unsigned sessions_limit,
				 unsigned per_minute_limit, struct source **out);
void source_leave(struct source *source); /* accepts NULL */
/* Counts a message; false when the limit for this minute is passed. */
bool source_message(struct source *source, uint64_t now_us, unsigned per_minute_limit);
