/* The one place that knows which roles there are and who speaks with whom. */
#include "super/internal.h"

static const struct {
	enum role_id a, b;
} pairs[] = {
	{ROLE_EDGE, ROLE_SEQUENCER},	   /* Durable */
	{ROLE_EDGE, ROLE_SCOUT},	   /* questions about clients, senders, recipients */
	{ROLE_SEQUENCER, ROLE_CLERK},	   /* Ordered */
	{ROLE_CLERK, ROLE_COURIER},	   /* leases */
	{ROLE_CLERK, ROLE_WATCH},	   /* what waits for a site */
	{ROLE_COURIER, ROLE_SCOUT},	   /* host names */
	{ROLE_COURIER, ROLE_SEQUENCER},	   /* Durable */
	{ROLE_COURIER, ROLE_WATCH},	   /* evidence */
	{ROLE_WATCH, ROLE_SCOUT},	   /* host names, what was learned */
	{ROLE_WATCH, ROLE_SEQUENCER},	   /* Durable */
	{ROLE_DESK, ROLE_SEQUENCER},	   /* Durable */
	{ROLE_DESK, ROLE_CLERK},	   /* verdicts, what has changed */
	{ROLE_DESK, ROLE_AUTH},		   /* logins */
	{ROLE_AUTH, ROLE_SEQUENCER},	   /* Durable */
	{ROLE_AUTH, ROLE_SCOUT},	   /* addresses of the primary's IMAP */
	{ROLE_AUTH, ROLE_CLERK},	   /* whose own credentials are there */
	{ROLE_SUBMISSION, ROLE_SEQUENCER}, /* Durable */
	{ROLE_SUBMISSION, ROLE_AUTH},	   /* logins */
	{ROLE_COURIER, ROLE_AUTH},	   /* signatures, credentials by lease */
	{ROLE_INDEXER, ROLE_CLERK},	   /* what has changed */
	{ROLE_DESK, ROLE_SUBMISSION},	   /* mail sent by JMAP */
	{ROLE_CONSOLE, ROLE_AUTH},	   /* administrators' sessions, people */
	{ROLE_CONSOLE, ROLE_WATCH},	   /* switches, queue acts, status */
};

static bool serves(const struct msg_config *config, enum role_id id)
{
	for (size_t i = 0; i < config->listen_n; i++) {
		char service[32];
		struct span name = config->listen[i].service;

		if (name.n >= sizeof service)
			continue;
		memcpy(service, name.p, name.n);
		service[name.n] = '\0';
		if (super_listener_role(service) == id)
			return true;
	}
	return false;
}

/* The portal sends mail by submission, whether or not its own ports are served. */
static bool serves_portal(const struct msg_config *config)
{
	for (size_t i = 0; i < config->listen_n; i++)
		if (span_eq(config->listen[i].service, SPAN_LIT("https")))
			return true;
	return false;
}

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
	case ROLE_DESK:
		return serves(config, ROLE_DESK) ? config->desks : 0;
	case ROLE_SUBMISSION:
		return serves(config, ROLE_SUBMISSION) || serves_portal(config) ? 1 : 0;
	case ROLE_INDEXER:
		return serves(config, ROLE_DESK) || serves(config, ROLE_SUBMISSION) ? 1 : 0;
	case ROLE_AUTH:
		return serves(config, ROLE_DESK) || serves(config, ROLE_SUBMISSION) ||
				       serves(config, ROLE_CONSOLE)
			       ? 1
			       : 0;
	case ROLE_CONSOLE:
		return serves(config, ROLE_CONSOLE) ? 1 : 0;
	case ROLE_NONE:
		return 0;
	}
	return 0;
}

bool super_ends_first(enum role_id id)
{
	return id == ROLE_EDGE || id == ROLE_SUBMISSION || id == ROLE_DESK || id == ROLE_COURIER;
}

enum role_id super_listener_role(const char *service)
{
	static const struct {
		const char *service;
		enum role_id role;
	} of[] = {
		{"smtp", ROLE_EDGE},
		{"submission", ROLE_SUBMISSION},
		{"submissions", ROLE_SUBMISSION},
		{"imap", ROLE_DESK},
		{"imaps", ROLE_DESK},
		{"pop3", ROLE_DESK},
		{"pop3s", ROLE_DESK},
		{"https", ROLE_DESK},
		{"people", ROLE_AUTH},
		{"admin", ROLE_CONSOLE},
		{"control", ROLE_WATCH},
		{"metrics", ROLE_WATCH},
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		if (strcmp(of[i].service, service) == 0)
			return of[i].role;
	}
	return ROLE_EDGE;
}
