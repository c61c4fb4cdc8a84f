/*
 * The clerk without its process: applies ordered records to the views, and grants leases to couriers. main.c is the role
 * around it; tests drive it with a loop, socket pairs and a ledger of their own.
 *
 *   K1  Nothing is granted before every record that the sequencer called ordered at the first word has been applied, and
 *       every configured courier has said hello and its lane is applied up to where it stood, or COURIER_GRACE_US passed.
 *   K2  A lease whose courier is gone ends only when the courier's lane is applied up to where its next life found it
 *       (CourierHello.lane_seq), or COURIER_GONE_US after its link was lost: without INTENT it lapses, with INTENT and
 *       without OUTCOME its delivery is offered once more and counted as a possible duplicate; the second time it goes to
 *       the decision list.
 *   K3  What the clerk does to mail follows from records; the clock decides only when.
 *   K4  A desk is told a verdict after the commit that holds it; what it was not told it asks for again (DeskHello).
 *   K5  What a role says in a lane of its own counts only where it is that role's to say (lanes.c); all else is passed
 *       over and shown in the history.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

struct loop;
struct os;
struct clerk;
struct msg_config;

enum { CLERK_GRACE_US = 10000000, CLERK_GONE_US = 60000000 };

struct clerk_ops {
	void (*on_condition)(void *arg, const char *text); /* one line for status; "" all is well */
	/* The views are damaged (thrown away already) or cannot be written: end, and start again. */
	void (*on_broken)(void *arg, const struct fault *why);
	/* A link ended: ask for a new one. peer is an enum role_id. */
	void (*on_link_lost)(void *arg, unsigned peer, unsigned instance);
	void *arg;
};

/* config lives until the next clerk_configure. */
enum rc clerk_new(struct loop *loop, struct os *os, const char *data_dir,
		  const struct msg_config *config, const struct clerk_ops *ops, struct clerk **out,
		  struct fault *why) MUST_USE;
void clerk_free(struct clerk *c); /* accepts NULL */
void clerk_configure(struct clerk *c, const struct msg_config *config);

/* New links; the descriptors are taken over. */
void clerk_link_sequencer(struct clerk *c, int fd);
void clerk_link_courier(struct clerk *c, unsigned instance, int fd);
void clerk_link_watch(struct clerk *c, int fd);
void clerk_link_desk(struct clerk *c, unsigned instance, int fd);
void clerk_link_indexer(struct clerk *c, int fd);
void clerk_link_auth(struct clerk *c, int fd);

struct clerk_figures {
	uint64_t applied, lag, held, leases, granted, sites_down;
};
void clerk_figures(const struct clerk *c, struct clerk_figures *out);
