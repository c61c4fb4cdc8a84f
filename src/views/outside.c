/* The rule stands in the header. */
#include "views/outside.h"

void outside_add(struct outside *o, const struct views_site *s, uint64_t now_us)
{
	bool is_late = s->ready + s->offered && s->oldest_us && now_us > s->oldest_us &&
		       now_us - s->oldest_us > OUTSIDE_WAIT_US;

	if (span_starts(s->name, SPAN_LIT(VIEWS_WORLD_PREFIX)) && (s->deferred || is_late))
		o->waiting++;
}

bool outside_waits(const struct outside *o)
{
	return o->waiting >= (o->has_smarthost ? 1 : OUTSIDE_MANY);
}
