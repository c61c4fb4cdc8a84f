/*
 * Writing the views: only the clerk does. Records are applied in order, in batches; the row `progress` is written in the
 * same transaction. What is applied depends on the records alone (and the retry schedule), never on the clock:
 *
 *   V1  Applying the same records gives the same content, in batches of any size, from any starting point (O-04).
 *   V2  A delivery is in exactly one of `delivery` and `done`; the counters of its site agree (views_check).
 *   V3  An error leaves the transaction rolled back and the object useless: views_rebuild, or end.
 *   V4  Cost of a record does not grow with the number of held messages, except `up`, a queue act and a hold's end, which
 *       cost what they change or must look at.
 */
#pragma once

#include "queue/schedule.h"
#include "views/views.h"

struct arena;
struct os;
struct order_entry;
struct record;
struct publish_writer;

/* What changed, for the queue. Called inside views_apply. */
struct views_ops {
	/* A delivery of this site and mailbox can be offered. number: of the message. */
	void (*on_ready)(void *arg, uint32_t site, uint64_t addr, uint64_t number);
	/* A delivery ended or changed by record: a lease of it may be over. */
	void (*on_outcome)(void *arg, uint64_t lease, uint64_t number, uint32_t rcpt,
			   enum attempt attempt);
	void (*on_intent)(void *arg, uint64_t lease, uint64_t number, uint32_t rcpt);
	/* State, stop or hold of a site changed (site 0: of a domain). */
	void (*on_site)(void *arg, uint32_t site);
	/* Nothing is open at this site (of the world, or a redirection); its id comes back when something is. */
	void (*on_site_empty)(void *arg, uint32_t site);
	/* A line for the log: an ACT was judged, a receipt was written. */
	void (*on_history)(void *arg, const struct views_act *line);
	/* Entries of a mailbox changed; box 0: an account's list of mailboxes. To be told after the commit. */
	void (*on_mail)(void *arg, uint64_t account, uint64_t box, uint64_t modseq);
	/* A change that this lane asked for was judged: a MailVerdict, encoded. To be told after the commit. */
	void (*on_verdict)(void *arg, uint32_t lane_id, struct span verdict);
	void *arg;
};

/* How long mailboxes show what has nothing to wait for, if views_set_window does not say. */
enum { VIEWS_WINDOW_DAYS = 30 };
#define VIEWS_WINDOW_US ((uint64_t)VIEWS_WINDOW_DAYS * 86400 * 1000000)

/*
 * Opens the present generation for writing, or begins a new one when there is none, it is damaged or of another version
 * (*out_is_new). A small database is checked whole; a large one is trusted until a read finds it damaged. BROKEN: not even
 * a new one can be made. schedule and ops live as long as the views (ops may be NULL).
 */
enum rc views_open_write(struct os *os, const char *data_dir, const struct queue_schedule *schedule,
			 const struct views_ops *ops, struct views **out, bool *out_is_new,
			 struct fault *why) MUST_USE;
/* After BROKEN from any call: throws the generation away; open again. */
void views_condemn(struct os *os, const char *data_dir);
/* Names this generation in views/current, so that readers find it, and removes the others. Nothing when it is named. */
enum rc views_publish(struct views *v, struct os *os, struct fault *why) MUST_USE;

enum rc views_begin(struct views *v, struct fault *why) MUST_USE;
/* entry->number is views_next(v). A record that does not decode is noted in history and passed over. */
enum rc views_apply(struct views *v, const struct order_entry *entry, const struct record *record,
		    struct fault *why) MUST_USE;
/* As views_apply for a record that has no right to be where it is: noted in history, without any effect. */
enum rc views_pass_over(struct views *v, const struct order_entry *entry,
			const struct record *record, struct fault *why) MUST_USE;
enum rc views_commit(struct views *v, struct fault *why) MUST_USE;
uint64_t views_next(const struct views *v);	 /* the next order number to apply */
uint64_t views_newest_us(const struct views *v); /* reception of the newest applied record */
/* Sequence number after the last applied record of a lane; 0: nothing of it. */
uint64_t views_lane_next(const struct views *v, uint32_t lane_id);

/* 0: the default. By the time of records, so a rebuild with the same window ends the same. */
void views_set_window(struct views *v, uint64_t window_us);
/* The kept verdict on this ask of a lane, as MailVerdict. MORE: not judged yet, or long ago. */
enum rc views_verdict(struct views *v, uint32_t lane_id, uint64_t ask, struct buf *out,
		      struct fault *why) MUST_USE;

/* Nothing is to be done: gives the memory of the page cache back. */
void views_rest(struct views *v);

/* All content as text, in a fixed order: equal after a rebuild. */
enum rc views_dump(struct views *v, struct buf *out, struct fault *why) MUST_USE;
/* Recounts everything and compares it with the counters; REFUSED with what differs. For tests. */
enum rc views_check(struct views *v, struct fault *why) MUST_USE;

/* ---- for the queue ---- */

/*
 * The writer's own idea of its sites, without reading the database. Ids stay. Of the world, and of redirections, only
 * those with something open are here.
 */
struct views_site_now {
	uint32_t id;
	struct span name; /* until the next commit */
	enum site_phase phase;
	bool is_redirect, is_world, is_stopped;
	uint64_t up_number, ready, offered, deferred, decide, bytes;
};
size_t views_sites(const struct views *v);
void views_site_at(const struct views *v, size_t i, struct views_site_now *out);

struct views_candidate {
	uint64_t number, addr, sender;
	uint32_t rcpt;
};
/* Ready deliveries of a site, oldest first, after (number, rcpt). Fewer than max: there are no more now. */
enum rc views_ready(struct views *v, uint32_t site, uint64_t after_number, int64_t after_rcpt,
		    struct views_candidate *out, size_t max, size_t *out_n,
		    struct fault *why) MUST_USE;
/* The same within one mailbox. */
enum rc views_ready_of(struct views *v, uint32_t site, uint64_t addr, uint64_t after_number,
		       int64_t after_rcpt, struct views_candidate *out, size_t max, size_t *out_n,
		       struct fault *why) MUST_USE;
/* Deferred ones that are due. */
enum rc views_due(struct views *v, uint32_t site, uint64_t now_us, struct views_candidate *out,
		  size_t max, size_t *out_n, struct fault *why) MUST_USE;
/* Offered by this lane, no outcome: after (number, rcpt). */
struct views_offered {
	struct views_candidate who;
	uint32_t site, unsure;
	uint64_t lease;
};
enum rc views_offered(struct views *v, uint32_t lane_id, uint64_t after_number, int64_t after_rcpt,
		      struct views_offered *out, size_t max, size_t *out_n,
		      struct fault *why) MUST_USE;
/* Lanes that have such deliveries. */
enum rc views_offered_lanes(struct views *v, uint32_t *out, size_t max, size_t *out_n,
			    struct fault *why) MUST_USE;

/* What a lease says of a message, and every open recipient of it at this site. Spans live until the next call. */
/* How long a delivery to the world may take before its sender hears of it (RFC 3461 s7.3). */
#define VIEWS_DELAY_US (4 * 3600ull * 1000000)

struct views_lease_rcpt {
	uint32_t rcpt;
	uint64_t addr;
	enum queue_state state;
	uint64_t next_us, lease;
	uint32_t lane, tries, unsure, refusals_24h;
	bool delay_told; /* it was tried, and put off, when its message was older than VIEWS_DELAY_US */
	struct span address, orcpt;
	uint8_t notify;
	bool known_good;
	bool is_first; /* no older ready delivery waits for its mailbox at this site */
};
struct views_lease {
	uint64_t number, offset, body_bytes, received_us;
	uint32_t lane_id, segment;
	struct span id, sender, envid;
	uint8_t body_kind, ret;
	bool smtputf8, sender_verified;
	struct views_lease_rcpt *rcpts;
	size_t rcpts_n;
};
enum rc views_lease(struct views *v, uint32_t site, uint64_t number, uint64_t now_us,
		    struct arena *a, struct views_lease *out, struct fault *why) MUST_USE;

/* What an operator said of the domain of this mailbox, beside its site's state. */
enum views_hold { VIEWS_HOLD_AUTO, VIEWS_HOLD_ON, VIEWS_HOLD_OFF };
enum views_hold views_domain_hold(struct views *v, uint64_t addr, uint64_t now_us);
/* Changes whenever a hold of a domain begins or ends; 0: there is none. */
uint64_t views_holds_mark(struct views *v, uint64_t now_us);
bool views_any_hold(struct views *v, uint32_t site, enum views_hold hold, uint64_t now_us);

/* Grows whenever what recipients.map says has changed. */
uint64_t views_recipients_version(const struct views *v);
enum rc views_recipients(struct views *v,
			 bool (*on_recipient)(void *arg, struct span key, uint32_t verdict),
			 void *arg, struct fault *why) MUST_USE;

/* ---- everything goes home (queue/home.h) ---- */

/* Accounts with something that may be done now, and the site of their domain. */
enum rc views_home_accounts(struct views *v, uint64_t now_us,
			    bool (*on_account)(void *arg, uint64_t account, struct span name,
					       struct span site),
			    void *arg, struct fault *why) MUST_USE;
struct msg_home_lease;
/* Its items, at most max; what waits for its hand-back is not among them. All in the arena. */
enum rc views_home_lease(struct views *v, uint64_t account, uint64_t now_us, size_t max,
			 struct arena *a, struct msg_home_lease *out, struct fault *why) MUST_USE;
