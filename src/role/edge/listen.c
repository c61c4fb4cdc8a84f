/* Listening sockets, and what is turned away at the door. */
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "role/edge/internal.h"

struct edge_listener {
	struct list link;
	struct edge *edge;
	struct listener *listener;
	bool is_tls_first;
};

/* One line, not waited for: the descriptor is gone when this returns. */
static void turn_away(int fd, const char *line)
{
	edge_count(METRIC_TURNED_AWAY, 1);
	(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	struct edge_listener *l = arg;
	struct edge *e = l->edge;
	uint32_t limit = e->policy->limits.sessions;

	edge_count(METRIC_CONNECTIONS, 1);
	if (is_last)
		turn_away(fd,
			  "421 4.3.2 No descriptors left for your connection; try again later\r\n");
	else if (limit && e->sessions_n >= limit)
		turn_away(fd, "421 4.3.2 Too many sessions at the moment; try again later\r\n");
	else
		edge_session_new(e, fd, peer, edge_list_has_peer(&e->policy->proxies, peer),
				 l->is_tls_first);
}

void edge_listen(struct edge *e, const char *service, int fd)
{
	struct edge_listener *l;

	bool is_ours = false;

	for (const char *const *of = e->ways->services; *of; of++)
		is_ours = is_ours || strcmp(service, *of) == 0;
	if (!is_ours) {
		(void)close(fd);
		return;
	}
	l = must_alloc(sizeof *l);
	l->edge = e;
	l->is_tls_first = strcmp(service, "submissions") == 0;
	l->listener = listener_new(e->loop, fd, on_accept, l);
	list_append(&e->listeners, &l->link);
}

void edge_listen_stop(struct edge *e)
{
	struct list *at;

	while ((at = list_shift(&e->listeners)) != NULL) {
		struct edge_listener *l = LIST_ENTRY(at, struct edge_listener, link);

		listener_free(l->listener);
		free(l);
	}
}
