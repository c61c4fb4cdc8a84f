/* holdfast-courier: its start, its end, its figures. See README.md. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "ipc/link.h"
#include "loop/loop.h"
#include "role/common/primary_tls.h"
#include "role/common/role.h"
#include "role/courier/home.h"
#include "say/say.h"

#define COUNTER(id, name, help)                                                                    \
	struct say_metric courier_metric_##id = {"holdfast_courier_" name, help, SAY_COUNTER, 0}
#define GAUGE(id, name, help)                                                                      \
	struct say_metric courier_metric_##id = {"holdfast_courier_" name, help, SAY_GAUGE, 0}

COUNTER(delivered, "delivered_total", "recipients whose message a primary accepted");
COUNTER(refused, "refused_total", "recipients refused for good: on the decision list or returned");
COUNTER(deferred, "deferred_total", "recipients to be tried again");
COUNTER(unsure, "unsure_total", "recipients whose answer was lost after the final dot");
COUNTER(unreached, "unreached_total", "recipients left without an answer by an ended connection");
COUNTER(bytes, "sent_bytes_total", "bytes of message bodies sent");
COUNTER(connects, "connects_total", "connections begun");
COUNTER(notices, "notifications_total", "delivery status notifications written");
COUNTER(tls_fallbacks, "tls_fallbacks_total", "failed optional TLS handshakes");
COUNTER(damaged, "damaged_total", "messages that could not be read from the ledger");
GAUGE(sessions, "sessions", "connections to primaries");
GAUGE(leases, "leases", "leases held");

static struct say_metric *const metrics[] = {
	&courier_metric_delivered, &courier_metric_refused,   &courier_metric_deferred,
	&courier_metric_unsure,	   &courier_metric_unreached, &courier_metric_bytes,
	&courier_metric_connects,  &courier_metric_notices,   &courier_metric_tls_fallbacks,
	&courier_metric_damaged,   &courier_metric_sessions,  &courier_metric_leases};

static bool open_ledger(struct courier *c, struct fault *why)
{
	static const struct durable_options options = {.condition = ""};
	char ledger_dir[4096];

	if (durable_open(c->role, &options, &c->durable, why) != OK)
		return false;
	c->lane = durable_lane(c->durable);
	(void)snprintf(ledger_dir, sizeof ledger_dir, "%s/ledger", role_data(c->role));
	return ledger_reader_new(c->os, ledger_dir, &c->reader, why) == OK;
}

static bool on_start(struct role *r, struct fault *why)
{
	struct courier *c = must_alloc(sizeof *c);

	c->role = r;
	c->loop = role_loop(r);
	c->os = role_os(r);
	role_set_state(r, c);
	map_init(&c->sites);
	map_init(&c->hosts);
	map_init(&c->jobs);
	list_init(&c->signings);
	list_init(&c->homes);
	c->tls = primary_tls_new();
	sites_configure(c);
	return open_ledger(c, why);
}

static void on_link(struct role *r, enum role_id peer, unsigned peer_instance, int fd)
{
	links_accept(role_state(r), peer, peer_instance, fd);
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	struct courier *c = role_state(r);

	(void)was;
	primary_tls_forget(c->tls);
	sites_configure(c);
}

static void end(void *arg)
{
	struct courier *c = arg;

	durable_close(c->durable);
	ledger_reader_free(c->reader);
	link_close(c->clerk);
	link_close(c->scout);
	link_close(c->watch);
	link_close(c->auth);
	resolve_free(c);
	sites_free(c);
	primary_tls_free(c->tls);
	map_fini(&c->jobs, NULL);
	world_forget(c);
	role_end(c->role);
	free(c);
}

/* The last words to clerk and sequencer are sent before the links close: a turn later. */
static void end_soon(void *arg)
{
	struct courier *c = arg;

	loop_defer(c->loop, end, c);
}

void courier_check_end(struct courier *c)
{
	if (!c->is_stopping || c->is_ending || c->jobs.n || c->sessions_n || !home_is_idle(c))
		return;
	c->is_ending = true;
	loop_defer(c->loop, end_soon, c);
}

/* Unstarted leases go back; transactions under way are finished. */
static void on_stop(struct role *r)
{
	struct courier *c = role_state(r);

	c->is_stopping = true;
	sites_stop(c);
	home_stop(c);
	courier_check_end(c);
}

int main(int argc, char **argv)
{
	static const char *const write_below[] = {"ledger/lane-%", "ledger/lane-%.*", NULL};
	static const char *const read_below[] = {"ledger", NULL};
	static const struct role_sandbox sandbox = {.network_client = true,
						    .threads = true,
						    .write_below = write_below,
						    .read_below = read_below};
	static const struct role_ops ops = {
		.id = ROLE_COURIER,
		.sandbox = &sandbox,
		.metrics = metrics,
		.metrics_n = sizeof metrics / sizeof *metrics,
		.on_start = on_start,
		.on_link = on_link,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};

	return role_main(argc, argv, &ops);
}
