/* The host: what connections go by, listeners, certificate, auth's link, time, the end. */
#include "role/common/http_host.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "role/common/http_internal.h"
#include "role/common/net.h"
#include "role/common/server_tls.h"
#include "tls/tls.h"

enum {
	HEAD_US = 15000000,
	IDLE_US = 75000000,
	BODY_US = 30000000,
	BODY_LEAST = 4096,
	HEAD_BYTES = 16 << 10,
	TARGET_BYTES = 8 << 10,
	TRAILER_BYTES = 8 << 10,
	FIELDS = 64,
	DRAIN_BYTES = 256 << 10,
	REQUESTS = 10000,
	TLS_LOOK_TICKS = 15,
};

#define BASELINE                                                                                   \
	"Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; "       \
	"frame-ancestors 'none'; sandbox\r\n"                                                      \
	"X-Content-Type-Options: nosniff\r\n"                                                      \
	"X-Frame-Options: DENY\r\n"                                                                \
	"Referrer-Policy: no-referrer\r\n"                                                         \
	"Cross-Origin-Resource-Policy: same-origin\r\n"                                            \
	"Cross-Origin-Opener-Policy: same-origin\r\n"                                              \
	"Permissions-Policy: accelerometer=(), camera=(), display-capture=(), geolocation=(), "    \
	"microphone=(), payment=(), usb=()\r\n"                                                    \
	"Cache-Control: no-store\r\n"                                                              \
	"Vary: Cookie, Authorization, Accept-Encoding\r\n"
#define STRICT_TRANSPORT "Strict-Transport-Security: max-age=31536000\r\n"

/* ---- metrics ---- */

#define COUNTER(id, name, help) SAY_METRIC(id, SAY_COUNTER, "holdfast_http_" name, help)
#define GAUGE(id, name, help)	SAY_METRIC(id, SAY_GAUGE, "holdfast_http_" name, help)

struct say_metric *const http_metrics[HTTP_METRICS] = {
	COUNTER(HTTP_CONNECTIONS, "connections_total", "Connections accepted"),
	COUNTER(HTTP_TURNED_AWAY, "turned_away_total", "Connections refused by a limit"),
	GAUGE(HTTP_OPEN_CONNECTIONS, "connections", "Open connections"),
	COUNTER(HTTP_REQUESTS, "requests_total", "Requests"),
	COUNTER(HTTP_REFUSED, "refused_total",
		"Requests without login, forged, or with a method that is not served"),
	GAUGE(HTTP_STREAMS, "streams", "Open push streams"),
	COUNTER(HTTP_UNREAD, "unread_total", "Connections ended because the client did not read"),
	COUNTER(HTTP_LOGINS, "logins_total",
		"Logins by password, second factor or invitation that went well"),
	COUNTER(HTTP_LOGINS_REFUSED, "logins_refused_total", "Those that did not"),
};

void http_count(enum http_metric m, uint64_t more)
{
	say_count(http_metrics[m], more);
}

void http_set(enum http_metric m, uint64_t value)
{
	say_set(http_metrics[m], value);
}

/* ---- rules ---- */

static struct http_rules *rules_new(const struct http_host *h)
{
	const struct msg_config *c = role_config(h->role);
	struct http_rules *r = must_alloc(sizeof *r);

	arena_init(&r->arena, 0);
	r->allows_clear = !c->needs_tls_to_login;
	r->connections = c->limits.sessions ? c->limits.sessions : HTTP_CONNECTIONS_MOST;
	r->door.sessions_per_source =
		0; /* an office behind one address has many browsers with several connections each */
	r->door.connections_per_minute = 0;
	door_rules_proxies(&r->door, &r->arena, c->proxy_from, c->proxy_from_n);
	r->service = (struct http_service){
		.baseline = SPAN_LIT(BASELINE),
		.date = h->date,
		.limits =
			{
				.head_us = HEAD_US,
				.idle_us = IDLE_US,
				.body_us = BODY_US,
				.body_least = BODY_LEAST,
				.head_bytes = HEAD_BYTES,
				.target_bytes = TARGET_BYTES,
				.trailer_bytes = TRAILER_BYTES,
				.fields = FIELDS,
				.drain_bytes = DRAIN_BYTES,
				.requests = REQUESTS,
			},
	};
	r->service_tls = r->service;
	r->service_tls.baseline = SPAN_LIT(BASELINE STRICT_TRANSPORT);
	return r;
}

static void rules_free(struct http_rules *r)
{
	if (!r)
		return;
	arena_fini(&r->arena);
	free(r);
}

static void load_tls(struct http_host *h)
{
	(void)server_tls_load(h->role, h->options->key_id, "no page can be served", &h->tls,
			      &h->tls_mark);
}

void http_host_configure(struct http_host *h)
{
	struct http_rules *was = h->rules;

	h->rules = rules_new(h);
	h->tls_mark = 0;
	load_tls(h);
	LIST_EACH (at, &h->conns) {
		struct http_conn *c = LIST_ENTRY(at, struct http_conn, link);

		if (c->engine)
			http_server_serve(c->engine, conn_is_tls(c->conn) ? &h->rules->service_tls
									  : &h->rules->service);
	}
	rules_free(was);
}

/* ---- listeners ---- */

struct http_listener {
	struct list link;
	struct http_host *host;
	struct listener *listener;
	bool is_local; /* only this machine can come */
};

/* Who is logged in is not counted: an outage is when everybody comes. */
static bool has_room(struct http_host *h, bool is_last)
{
	if (h->conns_n >= HTTP_CONNECTIONS_MOST)
		return false;
	return (!is_last && h->strangers_n < h->rules->connections) || http_conn_make_room(h);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	struct http_listener *l = arg;
	struct http_host *h = l->host;

	(void)peer;
	http_count(HTTP_CONNECTIONS, 1);
	if (!has_room(h, is_last) || is_last) {
		http_count(HTTP_TURNED_AWAY, 1);
		(void)close(fd);
		return;
	}
	http_conn_new(h, fd, l->is_local && h->rules->allows_clear);
}

void http_host_listen(struct http_host *h, int fd)
{
	struct http_listener *l = must_alloc(sizeof *l);
	struct sockaddr_storage own = {0};
	socklen_t n = sizeof own;

	l->host = h;
	l->is_local = getsockname(fd, (struct sockaddr *)&own, &n) == 0 && net_is_loopback(&own);
	l->listener = listener_new(h->loop, fd, on_accept, l);
	list_append(&h->listeners, &l->link);
}

/* ---- the loop ---- */

static void on_wake(void *arg)
{
	struct http_host *h = arg;

	http_conn_run(h);
	http_exchange_run(h);
}

void http_host_wake(struct http_host *h)
{
	loop_wake_up(h->wake);
}

static void set_date(struct http_host *h)
{
	http_date((int64_t)(os_wall_us(h->os) / 1000000), h->date);
}

void http_host_tick(struct http_host *h)
{
	set_date(h);
	http_exchange_tick(h);
	http_person_tick(h);
	if (++h->ticks % TLS_LOOK_TICKS == 0)
		load_tls(h);
}

void *http_host_arg(const struct http_host *h)
{
	return h->options->arg;
}

size_t http_host_connections(const struct http_host *h)
{
	return h->conns_n;
}

void http_host_auth(struct http_host *h, struct link *auth)
{
	h->auth = auth;
	if (auth)
		http_person_refresh(h);
	else
		http_ask_fail_all(h);
}

/* ---- life ---- */

struct http_host *http_host_new(struct role *r, const struct http_host_options *options)
{
	struct http_host *h = must_alloc(sizeof *h);

	h->role = r;
	h->loop = role_loop(r);
	h->os = role_os(r);
	h->options = options;
	list_init(&h->listeners);
	list_init(&h->conns);
	list_init(&h->strangers);
	list_init(&h->run);
	list_init(&h->turns);
	list_init(&h->over);
	list_init(&h->streams);
	list_init(&h->known);
	map_init(&h->questions);
	map_init(&h->people);
	map_init(&h->crowds);
	map_init(&h->lookups);
	sources_init(&h->sources);
	os_random(h->os, h->key, sizeof h->key);
	h->wake = loop_wake_new(h->loop, on_wake, h);
	set_date(h);
	h->files = http_files_load(h);
	http_host_configure(h);
	return h;
}

void http_host_wind_down(struct http_host *h)
{
	struct list *at;

	h->is_stopping = true;
	while ((at = list_shift(&h->listeners)) != NULL) {
		struct http_listener *l = LIST_ENTRY(at, struct http_listener, link);

		listener_free(l->listener);
		free(l);
	}
	LIST_EACH_SAFE (stream, &h->streams)
		exchange_end(LIST_ENTRY(stream, struct http_exchange, stream));
	LIST_EACH_SAFE (c, &h->conns)
		http_conn_wind_down(LIST_ENTRY(c, struct http_conn, link));
}

void http_host_free(struct http_host *h)
{
	if (!h)
		return;
	http_ask_fini(h);
	http_person_fini(h);
	map_fini(&h->crowds, NULL);
	http_files_free(h->files);
	tls_context_unref(h->tls);
	rules_free(h->rules);
	free(h);
}
