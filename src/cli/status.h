/* What `holdfast status` knows, gathered from watch, the views, the order and the disk. Each part may be missing. */
#pragma once

#include "cli/cli.h"
#include "views/mailbox.h"

struct status_site {
	const json_t *live; /* what watch said about it; NULL: nothing */
	const char *name, *state, *reason;
	uint64_t since_us;
	struct span *domains;
	size_t domains_n;

	bool is_counted; /* the views have it */
	uint64_t held, held_bytes, ready, offered, deferred, decide, oldest_us, done;
	const char *stopped;
	bool has_drain, drain_is_open;
	uint64_t drain_began_us, drain_up_us, drain_total, drain_back, drain_unsure, drain_decide,
		drain_deferred, drain_returned, drain_discarded;
	const char *receipt;
	uint64_t home_waiting, home_decide,
		home_accounts; /* what people did here and is not at home yet */
	/* Computed: 0 when there is no forecast. */
	double per_second;
	uint64_t remaining_us;
};

enum { STATUS_MISSING = 6 };

struct msg_listen;

struct status {
	uint64_t now_us;
	const char *node, *data;
	struct status_site *sites;
	size_t sites_n, sites_cap;
	json_t *live;			     /* all that watch answered; NULL: it is away */
	const char *missing[STATUS_MISSING]; /* sentences */
	size_t missing_n;
	bool has_views, has_disk, has_lag;
	uint64_t free_bytes, reserve_bytes;
	uint64_t next, lag_records, newest_received_us;
	uint64_t held, held_bytes, decide;
	const struct msg_listen
		*listeners; /* of the file; a running system keeps those of its start */
	size_t listeners_n;
	struct views_people mailboxes; /* of the views */
	bool has_people;	       /* auth has answered */
	uint64_t people, can_log_in, invited;
};

/* False: not even the data directory is known (printed). */
bool status_gather(struct cli *c, struct status *out);
void status_free(struct status *s);
json_t *status_json(const struct status *s);
void status_print(const struct cli *c, const struct status *s, struct buf *out);

/* status_people.c. NULL: fine, or nobody to know about; else why it is not known. */
const char *status_from_auth(struct cli *c, struct status *s);
bool status_has_people(const struct status *s);
json_t *status_people_json(const struct status *s);
bool status_people_line(const struct status *s, struct buf *out, bool *out_is_all);
