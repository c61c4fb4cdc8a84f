/*
 * What is going on, for `holdfast status` and the console alike: what watch and auth said joined with the configuration,
 * the views, the order and the disk. Each part may be missing, and is then named.
 */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "base/fault.h"
#include "views/mailbox.h"

struct report_site {
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

enum { REPORT_MISSING = 6 };

struct msg_listen;

struct report_status {
	uint64_t now_us;
	const char *node, *data;
	struct report_site *sites;
	size_t sites_n, sites_cap;
	const json_t *live;		     /* all that watch answered; NULL: it is away */
	const char *missing[REPORT_MISSING]; /* sentences */
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

struct msg_config;
struct os;

/* What was asked of others before. All of it outlives the status. */
struct report_sources {
	struct os *os;
	struct arena *arena;
	uint64_t now_us;
	const char *data;
	const struct msg_config *config; /* NULL: its file has mistakes */
	const json_t *live;		 /* of watch (StatusAsk); NULL: live_why says why not */
	const char *live_why;
	struct views *views; /* NULL: views_why says why not */
	const char *views_why;
	const json_t *
		people; /* of auth (EnrolmentAsk); NULL: people_why says why not, "" nobody to ask about */
	const char *people_why;
};
void report_status_gather(const struct report_sources *from, struct report_status *out);
json_t *report_status_json(const struct report_status *s);
/* Listeners for people: without one auth is not started, and there is nothing to know. */
bool report_has_people(const struct msg_listen *listeners, size_t n);
