/* The one place that knows which roles there are and who speaks with whom. */
#include "super/internal.h"

static const struct {
	enum role_id a, b;
} pairs[] = {
	{ROLE_EDGE, ROLE_SEQUENCER},	/* Durable */
	{ROLE_EDGE, ROLE_SCOUT},	/* questions about clients, senders, recipients */
	{ROLE_SEQUENCER, ROLE_CLERK},	/* Ordered */
	{ROLE_CLERK, ROLE_COURIER},	/* leases */
	{ROLE_CLERK, ROLE_WATCH},	/* what waits for a site */
	{ROLE_COURIER, ROLE_SCOUT},	/* host names */
	{ROLE_COURIER, ROLE_SEQUENCER}, /* Durable */
	{ROLE_COURIER, ROLE_WATCH},	/* evidence */
	{ROLE_WATCH, ROLE_SCOUT},	/* host names, what was learned */
	{ROLE_WATCH, ROLE_SEQUENCER},	/* Durable */
};

bool super_are_linked(enum role_id a, enum role_id b)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	}
	return false;
}

unsigned super_instances(enum role_id id, const struct msg_config *config)
{
	switch (id) {
	case ROLE_EDGE:
		return config->edges;
	case ROLE_COURIER:
		return config->couriers;
	case ROLE_SCOUT:
	case ROLE_SEQUENCER:
	case ROLE_CLERK:
	case ROLE_WATCH:
		return 1;
	case ROLE_NONE:
	case ROLE_DESK:
	case ROLE_AUTH:
		return 0;
	}
	return 0;
}

bool super_ends_first(enum role_id id)
{
	return id == ROLE_EDGE || id == ROLE_COURIER;
}

enum role_id super_listener_role(const char *service)
{
	return strcmp(service, "control") == 0 || strcmp(service, "metrics") == 0 ? ROLE_WATCH
										  : ROLE_EDGE;
}
