/* Inside src/role/clerk only. */
#pragma once

#include "base/arena.h"
#include "ipc/link.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "queue/queue.h"
#include "role/clerk/clerk.h"
#include "role/common/role.h"
#include "say/say.h"
#include "views/apply.h"
#include "views/mailbox.h"

struct loop_timer;

struct clerk_courier {
	struct clerk *clerk;
	unsigned instance;
	struct link *link; /* NULL: none */
	bool has_hello, is_settled;
	uint32_t lane_id, room;
	uint64_t lane_seq;
	uint64_t lost_us; /* monotonic; 0: never was here, or is */
	unsigned epoch;	  /* counts its losses */
};

/* Who shows mailboxes or indexes them. */
struct clerk_reader {
	struct clerk *clerk;
	enum role_id role;
	unsigned instance;
	struct link *link; /* NULL: none */
	uint32_t lane_id;  /* desk: whose verdicts it gets; 0: it has not said hello */
	bool has_missed;   /* its link was full: it is told to look at everything */
};

enum { CLERK_DESKS_MAX = 64, CHANGES_MAX = 1000, CHANGES_SLOTS = 4096 };

/* What the present transaction changed. slots: places in `at` plus 1. */
struct mail_changes {
	struct msg_box_change at[CHANGES_MAX];
	uint16_t slots[CHANGES_SLOTS];
	size_t n;
	bool any, all;
};

/* A lane with offers that no courier accounts for. */
struct stale_lane {
	uint32_t lane_id;
	uint64_t since_us;
};

enum { STALE_MAX = 64, CLERK_BATCH_MAX = 4000 };

struct clerk {
	struct loop *loop;
	struct os *os;
	char *data_dir, *ledger_dir;
	const struct msg_config *config;
	struct clerk_ops ops;

	struct queue_schedule schedule;
	struct views *views;
	struct queue *queue;
	struct homes *homes;
	struct order *order;
	struct ledger_reader *reader;
	struct order_entry *entries; /* one batch */

	struct link *sequencer, *watch;
	uint64_t ordered, ordered_at_first; /* sizes of the order, as told */
	bool has_heard, is_current;	    /* current: caught up once since the start */
	bool may_grant;
	bool are_sites_changed, is_broken;

	struct clerk_courier couriers[QUEUE_COURIERS_MAX];
	struct stale_lane stale[STALE_MAX];
	size_t stale_n;

	struct clerk_reader desks[CLERK_DESKS_MAX], indexer, auth;
	struct mail_changes changes;
	struct buf verdicts; /* of the present transaction */

	struct loop_timer *apply_timer, *pump_timer, *tick_timer;
	uint64_t pump_at_us; /* 0: not set */
	uint64_t started_us, wall_less_mono_us, newest_mono_us, newest_us;
	uint64_t published_version, published_us;
	uint64_t applied, granted, holds_mark;
	bool are_domains_held, is_rested;
	struct arena arena;
};

/* Wall clock as it was at the start, and monotonic since (test K-09). */
uint64_t clerk_wall_us(const struct clerk *c);
/* For the age of messages: never beyond what the newest record makes plausible. */
uint64_t clerk_age_now_us(const struct clerk *c);
uint64_t clerk_mono_us(const struct clerk *c);
/* False when rc is not OK: the end was begun. */
bool clerk_ok(struct clerk *c, enum rc rc, const struct fault *why);
void clerk_condition(struct clerk *c);

/* lanes.c: K5. The arena for what is decoded. */
bool lane_may_say(struct arena *a, const char *lane, const struct record *r);

void apply_soon(struct clerk *c);
void on_apply(void *arg);

void sites_refresh(struct clerk *c);
void pump_soon(struct clerk *c, uint64_t after_us);
void on_pump(void *arg);

void couriers_look(struct clerk *c); /* after each batch and each second: settle what can be */
void courier_stop_site(struct clerk *c, struct span site);
enum rc courier_send(struct clerk *c, unsigned instance, unsigned type, struct span body);

void recipients_publish(struct clerk *c);

/* home.c */
void homes_init(struct clerk *c);
void homes_free(struct clerk *c);
void homes_look(
	struct clerk *c); /* after each batch and each second: ends and grants what can be */
bool home_on_done(struct clerk *c, unsigned courier, struct span body);
void home_credential_came(struct clerk *c, struct span account); /* none: a site's, for all */

/* readers.c */
void readers_init(struct clerk *c);
void readers_close(struct clerk *c);
void readers_tell(struct clerk *c);	/* after a commit */
void readers_tell_all(struct clerk *c); /* look at everything: the views are new */
void on_mail_change(void *arg, uint64_t account, uint64_t box, uint64_t modseq);
void on_mail_verdict(void *arg, uint32_t lane_id, struct span verdict);
