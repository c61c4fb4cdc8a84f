#include "role/common/sources.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/must.h"

enum { MINUTE_US = 60000000 };

struct source {
	unsigned sessions;
	unsigned connections, messages; /* in the minute that began at minute_us */
	uint64_t minute_us;
};

void sources_init(struct sources *s)
{
	*s = (struct sources){0};
	map_init(&s->all);
}

/* 4 bytes of IPv4 (mapped or not), 8 of IPv6. */
static struct span source_key(const struct sockaddr_storage *peer, unsigned char out[8])
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	const unsigned char *p;

	if (peer->ss_family == AF_INET) {
		memcpy(out, &((const struct sockaddr_in *)peer)->sin_addr, 4);
		return span_of(out, 4);
	}
	if (peer->ss_family != AF_INET6)
		return SPAN_LIT("-");
	p = (const unsigned char *)&((const struct sockaddr_in6 *)peer)->sin6_addr;
	if (memcmp(p, mapped, sizeof mapped) == 0) {
		memcpy(out, p + 12, 4);
		return span_of(out, 4);
	}
	memcpy(out, p, 8);
	return span_of(out, 8);
}

static void roll(struct source *source, uint64_t now_us)
{
	if (now_us - source->minute_us < MINUTE_US)
		return;
	source->minute_us = now_us;
	source->connections = source->messages = 0;
}

/* Forgets who has no session and did nothing for a minute. The map must not change while it is
 * walked: in rounds. */
static void sweep(struct sources *s, uint64_t now_us)
{
	enum { ROUND = 256 };
	unsigned char keys[ROUND][8];
	size_t lengths[ROUND], n;

	s->swept_at_us = now_us;
	do {
		size_t cursor = 0;
		struct span key;
		void *value;

		n = 0;
		while (n < ROUND && map_next(&s->all, &cursor, &key, &value)) {
			const struct source *source = value;

			if (source->sessions > 0 || now_us - source->minute_us < MINUTE_US)
				continue;
			memcpy(keys[n], key.p, key.n);
			lengths[n++] = key.n;
		}
		for (size_t i = 0; i < n; i++)
			free(map_remove(&s->all, span_of(keys[i], lengths[i])));
	} while (n == ROUND);
}

static struct source *find(struct sources *s, const struct sockaddr_storage *peer, uint64_t now_us)
{
	unsigned char bytes[8];
	struct span key = source_key(peer, bytes);
	struct source *source = map_get(&s->all, key);

	if (source)
		return source;
	if (now_us - s->swept_at_us >= MINUTE_US)
		sweep(s, now_us);
	if (s->all.n >= SOURCES_MOST)
		return NULL;
	source = must_alloc(sizeof *source);
	source->minute_us = now_us;
	(void)map_put(&s->all, key, source);
	return source;
}

enum source_verdict source_enter(struct sources *s, const struct sockaddr_storage *peer,
				 uint64_t now_us, unsigned sessions_limit,
				 unsigned per_minute_limit, struct source **out)
{
	struct source *source = find(s, peer, now_us);

	if (!source) {
		*out = NULL;
		return SOURCE_WELCOME;
	}
	roll(source, now_us);
	if (per_minute_limit && source->connections >= per_minute_limit)
		return SOURCE_TOO_FAST;
	source->connections++;
	if (sessions_limit && source->sessions >= sessions_limit)
		return SOURCE_TOO_MANY_SESSIONS;
	source->sessions++;
	*out = source;
	return SOURCE_WELCOME;
}

void source_leave(struct source *source)
{
	if (!source)
		return;
	must(source->sessions > 0);
	source->sessions--;
}

bool source_message(struct source *source, uint64_t now_us, unsigned per_minute_limit)
{
	if (!source)
		return true;
	roll(source, now_us);
	if (per_minute_limit && source->messages >= per_minute_limit)
		return false;
	source->messages++;
	return true;
}
