/* What the commands on the queue share. */
#pragma once

#include "cli/cli.h"
#include "ipc/msg.h"
#include "views/views.h"

struct queue_ask {
	struct cli *c;
	const char *data;
	struct views *views;
	uint64_t now_us;
};

/* Finds the data and opens the views. False: printed. */
bool queue_begin(struct cli *c, struct queue_ask *q);
/* Prints why (as JSON too, if asked). Returns CLI_NO. */
int queue_failed(struct cli *c, const struct fault *why);
/* text NULL: everything. False: a usage message was printed. */
bool queue_parse_match(struct cli *c, const char *text, struct queue_match *out);
