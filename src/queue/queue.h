/*
 * Who is due next, and who has it. Pure: no SQL, no clock, no socket. The clerk gives it pages of candidates when it asks
 * for them, asks for a pick, grants it as a lease, and tells it what the records say.
 *
 * Invariants (cited in code and tests):
 *   Q1  A delivery is in at most one lease.
 *   Q2  Within a mailbox of a site, first offers are granted oldest first, all to the same courier while any is out; what is
 *       deferred is stepped over. A message to several mailboxes is granted only for those whose turn it is.
 *   Q3  Between mailboxes, and between senders, turns are taken: 10,000 messages to one mailbox, or of one sender, do not keep
 *       others waiting. Every 4th grant goes to a mailbox with mail received since the site's `up`, if there is one.
 *   Q4  A message whose lease ended three times with its courier's death is set aside for a decision (K-07). From its first
 *       such death on, at most one of its kind is out at any time, so that it takes no innocent with it.
 *   Q5  Rates are never passed (pace.h).      Q6  The ramp of probation (pace.h).
 *   Q7  A lease ends by its OUTCOME applied from the ledger, or by a lapse that its courier reports or that is certain: the
 *       courier came back without it, and everything it wrote before has been applied. With an INTENT applied and no OUTCOME
 *       it is then unsure, never silently granted again.
 *
 * Memory is bounded: QUEUE_FLOWS_MAX mailboxes of a site at a time, QUEUE_FLOW_ITEMS deliveries each.
 */
#pragma once

#include "base/rc.h"
#include "base/span.h"
#include "queue/verdict.h"

enum {
	QUEUE_FLOWS_MAX = 512,	/* mailboxes looked at together, per site */
	QUEUE_FLOWS_LIVE = 128, /* and so many more that have live mail */
	QUEUE_FLOW_ITEMS = 8,
	QUEUE_PAGE = 256, /* items asked for at once */
	QUEUE_COURIERS_MAX = 64,
	QUEUE_DEATHS_MAX = 3,
	QUEUE_LAPSE_PAUSE_US = 1000000,
	QUEUE_DUE_EVERY_US = 1000000,
	QUEUE_DONE_PATIENCE_US = 60000000,
	QUEUE_LEASES_PER_CONNECTION =
		8, /* out per connection allowed: while one is sent, the next wait at the courier */
};

struct queue;

struct queue *queue_new(
	uint64_t
		first_lease); /* lease ids count up from there; random, so that none is used twice */
void queue_free(struct queue *q);

/* ---- sites: ids as the views have them ---- */

struct queue_site_limits {
	uint32_t concurrency; /* connections; 0: 20 */
	uint32_t per_minute, per_hour;
};
void queue_site_limits(struct queue *q, uint32_t site, const struct queue_site_limits *limits);
/* Whether and how fast to grant. A change to UP or PROBATION begins anew: all candidates are asked for again. */
void queue_site_phase(struct queue *q, uint32_t site, enum site_phase phase, uint64_t up_number,
		      bool is_stopped);
/* Nothing is open there: it is forgotten when no lease of it is out. Its id may come back, with queue_site_limits first. */
void queue_site_empty(struct queue *q, uint32_t site);
/* Forget what was given and ask again (a hold of a domain ended). */
void queue_site_rescan(struct queue *q, uint32_t site);

/* ---- candidates ---- */

struct queue_item {
	uint64_t number, addr, sender;
	uint32_t rcpt;
	uint64_t not_before_us;
	bool is_held;	/* not to be offered now (its domain is held); only moves the cursor on */
	bool is_orphan; /* offered before, its answer was lost */
	bool set_aside; /* not to be offered again: for the decision list */
};
enum queue_want {
	QUEUE_WANT_NOTHING,
	QUEUE_WANT_READY,   /* ready deliveries of the site after the cursor, oldest first */
	QUEUE_WANT_MAILBOX, /* of the mailbox .addr after the cursor, oldest first */
	QUEUE_WANT_DUE,	    /* deferred ones whose time has come */
};
struct queue_need {
	enum queue_want want;
	uint32_t site;
	bool is_live; /* which of two cursors; give it back as it is */
	uint64_t addr;
	uint64_t after_number; /* UINT64_MAX: before the first */
	int64_t after_rcpt;
	size_t max;
};
/* What would help to pick for this site. False: nothing. Call again after each queue_give. */
bool queue_need(struct queue *q, uint32_t site, uint64_t now_us, struct queue_need *out);
/* Fewer than need->max: there are no more now. */
void queue_give(struct queue *q, const struct queue_need *need, const struct queue_item *items,
		size_t n, uint64_t now_us);

/* A delivery became ready (a new message, a retry by an operator, a lost answer). */
void queue_notice_ready(struct queue *q, uint32_t site, uint64_t addr, uint64_t number);
/* An offered one whose answer will not come: to be sent once more, or set aside. */
void queue_add_orphan(struct queue *q, uint32_t site, const struct queue_item *item);

/* ---- couriers ---- */

void queue_courier_join(struct queue *q, unsigned courier, uint32_t room);
/* site 0: any. Absolute: so many now. */
void queue_courier_room(struct queue *q, unsigned courier, uint32_t site, uint32_t room);
/* Its link is gone; its leases wait for what is certain (Q7). */
void queue_courier_leave(struct queue *q, unsigned courier);
/* It said hello again and holds this lease. False: not known (granted before a restart): queue_adopt. */
bool queue_courier_holds(struct queue *q, unsigned courier, uint64_t lease);
void queue_adopt(struct queue *q, unsigned courier, uint64_t lease);
void queue_adopt_rcpt(struct queue *q, uint64_t lease, uint32_t site, uint64_t number,
		      uint32_t rcpt, uint64_t addr);
/*
 * Everything the lost courier wrote is applied, and it came back (or is gone for good): its leases that nobody holds end
 * here. Those with an INTENT are gone from the queue; their deliveries are found as offered in the views (orphans). Returns
 * how many leases ended.
 */
unsigned queue_courier_settle(struct queue *q, unsigned courier, bool has_died, uint64_t now_us);
/* Leases that wait for queue_courier_settle. */
unsigned queue_courier_waiting(const struct queue *q, unsigned courier);

/* ---- granting ---- */

struct queue_pick {
	uint32_t site;
	unsigned courier;
	uint64_t number, addr, sender;
	uint32_t rcpt;
	bool is_orphan, set_aside;
	const char *why_aside;
	bool is_retry; /* was offered before */
};
/*
 * OK: grant it, or queue_skip it. LATER: nothing for now; *out_again_us: when to ask again (0: when something happens). Ask
 * queue_need first: what is not known is not picked.
 */
enum rc queue_pick(struct queue *q, uint32_t site, uint64_t now_us, struct queue_pick *out,
		   uint64_t *out_again_us) MUST_USE;
/* It is no more to be had (its row changed): take it out of the window. */
void queue_skip(struct queue *q, const struct queue_pick *pick);
/* May this other ready recipient of the picked message go along (Q2)? is_first: by the views, nothing older is ready. */
bool queue_may_join(struct queue *q, const struct queue_pick *pick, uint32_t rcpt, uint64_t addr,
		    bool is_first, uint64_t now_us);
/* Is it in a lease? */
bool queue_is_leased(const struct queue *q, uint64_t number, uint32_t rcpt);

struct queue_grant {
	uint32_t rcpt;
	uint64_t addr;
	bool is_orphan, set_aside; /* as picked; a joining recipient is neither */
	uint32_t
		wanted_by; /* the queue's own: the site it was moved to while it was out; 0: none */
};
/* The picked one and those that may join. Returns the lease. */
uint64_t queue_grant(struct queue *q, const struct queue_pick *pick,
		     const struct queue_grant *rcpts, size_t n, uint64_t now_us);

/* ---- what became of leases ---- */

void queue_on_intent(struct queue *q, uint64_t lease);
/* An OUTCOME of this recipient was applied. 4XX narrow what is out at a time, acceptances widen it again. */
void queue_on_outcome(struct queue *q, uint64_t lease, uint64_t number, uint32_t rcpt,
		      enum attempt attempt, uint64_t now_us);
/* The courier ended it. Without intent and record it lapses; else its OUTCOME is awaited. False: not a lease of his. */
bool queue_on_done(struct queue *q, unsigned courier, uint64_t lease, bool had_intent,
		   bool recorded, uint64_t now_us);

/* Leases reported as ended and recorded whose OUTCOME did not come within QUEUE_DONE_PATIENCE_US lapse. Now and then. */
unsigned queue_sweep(struct queue *q, uint64_t now_us);

size_t queue_leases(const struct queue *q);
size_t queue_leases_of(const struct queue *q, uint32_t site);
