/* holdfast-console: glue. See internal.h for the invariants and README.md for the map. */
#include "role/console/internal.h"

#include <unistd.h>

#include "base/must.h"
#include "loop/loop.h"
#include "mail/text.h"

/* ---- auth ---- */

static bool on_auth(void *arg, struct link *l, unsigned type, struct span body)
{
	struct console *c = arg;

	(void)l;
	return http_host_heard(c->http, type, body) != REFUSED;
}

static void on_auth_closed(void *arg, struct link *l)
{
	struct console *c = arg;

	if (c->auth != l)
		return;
	c->auth = NULL;
	http_host_auth(c->http, NULL);
	role_link_lost(c->role, ROLE_AUTH, 0);
}

static void auth_link(struct console *c, int fd)
{
	static const struct link_ops ops = {on_auth, on_auth_closed, NULL};
	struct link *was = c->auth;

	c->auth = link_new(c->loop, fd, &ops, c);
	link_close(was);
	http_host_auth(c->http, c->auth);
}

/* ---- life ---- */

static void on_tick(void *arg)
{
	struct console *c = arg;

	watch_tick(c);
	console_views_tick(c);
	http_host_tick(c->http);
	if (c->is_stopping && http_host_connections(c->http) == 0) {
		role_end(c->role);
		return;
	}
	loop_timer_set(c->tick, CONSOLE_SECOND_US);
}

static bool on_start(struct role *r, struct fault *why)
{
	static const struct http_route *const routes[] = {http_api_routes, console_reads,
							  console_traces, console_orders, NULL};
	static struct http_host_options options = {
		.use = "admin",
		.cookie = "__Host-holdfast-admin",
		.files = "admin",
		.key_id = "console-https",
		.routes = routes,
	};
	struct console *c = must_alloc(sizeof *c);

	(void)why;
	c->role = r;
	c->loop = role_loop(r);
	c->os = role_os(r);
	c->config = role_config(r);
	list_init(&c->asks);
	options.arg = c;
	text_warm();
	c->http = http_host_new(r, &options);
	c->tick = loop_timer_new(c->loop, on_tick, c);
	role_set_state(r, c);
	return true;
}

static void on_ready(struct role *r)
{
	struct console *c = role_state(r);

	loop_timer_set(c->tick, CONSOLE_SECOND_US);
}

static void on_link(struct role *r, enum role_id peer, unsigned instance, int fd)
{
	struct console *c = role_state(r);

	(void)instance;
	if (c->is_stopping)
		close(fd);
	else if (peer == ROLE_AUTH)
		auth_link(c, fd);
	else if (peer == ROLE_WATCH)
		watch_link(c, fd);
	else
		close(fd);
}

static void on_listen(struct role *r, const char *service, int fd)
{
	struct console *c = role_state(r);

	if (strcmp(service, "admin") == 0)
		http_host_listen(c->http, fd);
	else
		close(fd);
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct console *c = role_state(r);

	(void)was;
	c->config = role_config(r);
	http_host_configure(c->http);
}

static void on_stop(struct role *r)
{
	struct console *c = role_state(r);

	c->is_stopping = true;
	http_host_wind_down(c->http);
	watch_stop(c);
	console_views_leave(c);
	loop_timer_set(c->tick, 0);
}

int main(int argc, char **argv)
{
	static const char *const read_below[] = {"views", "tls/use", NULL};
	static const struct role_sandbox sandbox = {.read_below = read_below};
	static const struct role_ops ops = {
		.id = ROLE_CONSOLE,
		.sandbox = &sandbox,
		.on_start = on_start,
		.on_ready = on_ready,
		.on_link = on_link,
		.on_listen = on_listen,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
