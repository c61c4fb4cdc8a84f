/* Inside src/queue only: the window of a site, and the leases. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "queue/pace.h"
#include "queue/queue.h"

/* A mailbox with ready deliveries, or with some out. */
struct flow {
	uint64_t addr;
	struct list in_site;
	struct queue_item items[QUEUE_FLOW_ITEMS]; /* oldest first, none of them leased */
	size_t n;
	bool is_dry; /* nothing ready after the cursor, as far as is known */
	bool is_live;
	uint64_t after_number; /* cursor: the last item that was given */
	int64_t after_rcpt;
	unsigned out; /* deliveries in leases */
	unsigned courier;
	uint64_t finish; /* virtual time its last grant ended (start-time fair queueing) */
	uint64_t not_before_us;
};

struct cursor {
	uint64_t number;
	int64_t rcpt;
	bool is_dry;
};

enum { SENDER_SLOTS = 128 };

struct qsite {
	uint32_t id;
	bool is_empty; /* as the views say; it goes when nothing is out */
	enum site_phase phase;
	bool is_stopped;
	struct queue_site_limits limits;
	struct pace pace;
	struct ramp ramp;
	uint64_t up_number;
	struct list flows;
	struct map by_addr;
	size_t flows_n;
	struct cursor all, live;
	struct queue_item *again; /* orphans and due ones, first come first served */
	size_t again_n, again_cap;
	uint64_t due_look_us;
	uint64_t virtual_time;
	struct {
		uint64_t sender, finish;
	} senders[SENDER_SLOTS];
	uint64_t turns;
	size_t out;	 /* leases */
	unsigned lapses; /* since the last outcome */
	uint64_t not_before_us;
	uint64_t narrow; /* most leases out, in sixteenths; 0: as configured */
	uint64_t narrowed_us;
};

struct courier {
	bool is_here;
	uint32_t room;
	struct map site_room; /* site id -> struct room: of those it said */
};

struct room {
	uint64_t site;
	uint32_t room;
};

struct lease {
	uint64_t id, number;
	uint32_t site; /* 0: adopted, not known yet */
	unsigned courier;
	bool has_intent, is_waiting; /* waiting: its courier is lost */
	bool was_accepted, in_ramp, is_done;
	uint64_t done_at_us;
	size_t n;
	struct queue_grant *rcpts; /* without outcome yet */
};

struct queue {
	struct map sites; /* by id */
	struct courier couriers[QUEUE_COURIERS_MAX];
	uint64_t next_lease;
	struct map leases;  /* by id */
	struct map by_rcpt; /* (number, rcpt) -> lease */
	struct map deaths;  /* number -> struct deaths */
	unsigned suspects_out;
};

struct deaths {
	unsigned n;
	bool is_out;
};

struct rcpt_key {
	unsigned char bytes[12];
};
struct rcpt_key rcpt_key(uint64_t number, uint32_t rcpt);

struct qsite *qsite_of(struct queue *q, uint32_t site);
void qsite_free(void *site);
void qsite_drop_if_empty(struct queue *q, struct qsite *s);
struct flow *flow_of(struct qsite *s, uint64_t addr);
/* NULL: the window is full. */
struct flow *flow_make(struct qsite *s, uint64_t addr, bool is_live);
void flow_drop_if_idle(struct qsite *s, struct flow *f);
void flow_again(struct flow *f); /* ask for it anew, from its oldest */
void flow_take(struct flow *f, size_t i);
/* Leases that may be out at a time: as configured, less while the site refuses for now. */
uint64_t most_out(const struct qsite *s);
void narrow_by(struct qsite *s, enum attempt attempt, uint64_t now_us);
void window_clear(struct qsite *s);				/* all that is not out */
struct room *room_said(const struct courier *c, uint32_t site); /* NULL: it did not say */
uint32_t courier_room(const struct queue *q, unsigned courier, uint32_t site);
void courier_room_take(struct queue *q, unsigned courier, uint32_t site);
struct lease *lease_of(const struct queue *q, uint64_t id);
void lease_add_rcpt(struct queue *q, struct lease *l, const struct queue_grant *g);
void again_add(struct qsite *s, const struct queue_item *item);
