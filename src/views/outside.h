/*
 * Does mail to the world go out at once? From the queues to the world, one site each (views_each_site): pure.
 *
 * A destination counts as waiting when mail to it has waited for OUTSIDE_WAIT_US or a try has failed. With a smarthost all go one way,
 * and one that waits says enough; otherwise single hosts of the world are always somewhere away, and it takes OUTSIDE_MANY of them.
 */
#pragma once

#include "views/views.h"

enum { OUTSIDE_WAIT_US = 300000000, OUTSIDE_MANY = 3 };

struct outside {
	bool has_smarthost;
	unsigned waiting; /* destinations */
};

void outside_add(struct outside *o, const struct views_site *s, uint64_t now_us);
bool outside_waits(const struct outside *o);
