/*
 * Listening sockets, and what is turned away at the door. limits.sessions and sessions_per_source bound sessions without a login:
 * an office behind one address has many people, who are bounded by account.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "role/desk/internal.h"

static const struct service {
	const char *name;
	enum desk_protocol protocol;
	bool begins_with_tls;
} services[] = {
	{"imap", DESK_IMAP, false},
	{"imaps", DESK_IMAP, true},
	{"pop3", DESK_POP3, false},
	{"pop3s", DESK_POP3, true},
};

struct desk_listener {
	struct list link;
	struct desk *desk;
	const struct service *service;
	struct listener *listener;
};

/* Not waited for: the descriptor is gone when this returns. Where TLS comes first nothing can be said. */
static void turn_away(const struct service *service, int fd)
{
	static const char *const lines[] = {
		[DESK_IMAP] =
			"* BYE [UNAVAILABLE] Too many sessions at the moment; try again later\r\n",
		[DESK_POP3] =
			"-ERR [SYS/TEMP] Too many sessions at the moment; try again later\r\n",
	};
	const char *line = lines[service->protocol];

	desk_count(METRIC_TURNED_AWAY, 1);
	if (!service->begins_with_tls)
		(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	struct desk_listener *l = arg;
	struct desk *d = l->desk;

	(void)peer;
	desk_count(METRIC_CONNECTIONS, 1);
	if (is_last || d->sessions_n - d->people_n >= d->policy->sessions ||
	    d->sessions_n >= DESK_SESSIONS_MOST)
		turn_away(l->service, fd);
	else
		desk_session_new(d, fd, l->service->protocol, l->service->begins_with_tls);
}

void desk_listen(struct desk *d, const char *service, int fd)
{
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		struct desk_listener *l;

		if (strcmp(service, services[i].name) != 0)
			continue;
		l = must_alloc(sizeof *l);
		l->desk = d;
		l->service = &services[i];
		l->listener = listener_new(d->loop, fd, on_accept, l);
		list_append(&d->listeners, &l->link);
		return;
	}
	(void)close(fd);
}

void desk_listen_stop(struct desk *d)
{
	struct list *at;

	while ((at = list_shift(&d->listeners)) != NULL) {
		struct desk_listener *l = LIST_ENTRY(at, struct desk_listener, link);

		listener_free(l->listener);
		free(l);
	}
}
