/* Which part of a query's result is told (RFC 8620 s5.5): position, anchor, limit. */
#pragma once

#include "jmap/internal.h"

enum { JMAP_WINDOW_MOST = 50000 };

struct jmap_window {
	int64_t position, offset;
	struct span anchor; /* .p NULL: none */
	uint64_t limit;
	bool has_limit, tells_total;
};
bool jmap_window_read(struct jmap_call *c, struct jmap_window *w);
/* position, ids, total, limit into the answer. anchor: where it stands; -1: nowhere. False: anchorNotFound. */
bool jmap_window_say(struct jmap_call *c, const struct jmap_window *w, size_t total, ssize_t anchor,
		     json_t *(*id_of)(const void *rows, size_t i), const void *rows);
