/* holdfast-edge: mail from outside, on port 25. */
#include "role/edge/internal.h"

int main(int argc, char **argv)
{
	static const char *const writes[] = {"ledger/lane-%", "ledger/lane-%.*", NULL};
	static const char *const reads[] = {"publish", "tls/use", NULL};
	static const struct role_sandbox sandbox = {
		.threads = true,
		.write_below = writes,
		.read_below = reads,
	};
	static const char *const services[] = {"smtp", NULL};
	static const struct edge_ways ways = {
		.services = services,
		.client = edge_judge_client,
		.mail = edge_judge_mail,
		.rcpt = edge_copies_rcpt,
		.begin = edge_copies_begin,
		.piece = edge_copies_piece,
		.accepts = edge_copies_accept,
		.trace = edge_message_trace,
		.meta = edge_copies_meta,
		.stored = edge_copies_stored,
		.gone = edge_copies_gone,
	};
	static const struct role_ops ops = {
		.id = ROLE_EDGE,
		.sandbox = &sandbox,
		.metrics = edge_metrics,
		.metrics_n = METRICS,
		.on_start = edge_on_start,
		.on_ready = edge_on_ready,
		.on_link = edge_on_link,
		.on_listen = edge_on_listen,
		.on_reload = edge_on_reload,
		.on_stop = edge_on_stop,
	};

	return edge_run(argc, argv, &ops, &ways);
}
