/*
 * Views: everything computed from the ledger that is worth keeping between two questions. The only
 * code that knows SQLite. The clerk writes (apply, see views/apply.h); all others open read-only.
 *
 * A database is <data>/views/<generation>/queue.db; <data>/views/current names the generation. It
 * is disposable: it follows from the ordered records alone, and is rebuilt when it is missing,
 * damaged or of another schema version (O-04, D-09). A rebuild gives equal content.
 *
 * Spans handed to callbacks live until the callback returns. Callbacks return false to stop early.
 * No read transaction outlives a call, but for views_read_begin.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/span.h"
#include "queue/match.h"
#include "queue/verdict.h"

/* Rcpt.site of recipients in no domain of ours, and the name of a destination's queue: "world:example.org". */
#define VIEWS_WORLD	   "@world"
#define VIEWS_WORLD_PREFIX "world:"

struct views;

/*
 * Opens the present generation for reading. LATER: there is none yet (the clerk has not made it, or
 * is rebuilding). REFUSED: no access. BROKEN: damaged, or of another version.
 */
enum rc views_open_read(const char *data_dir, struct views **out, struct fault *why) MUST_USE;
void views_close(struct views *v); /* accepts NULL */
/* Its name, until views_close: another one was made from the beginning. */
struct span views_generation(const struct views *v);

/*
 * One moment for several reads of a reader, and one lock instead of one each. What others commit meanwhile is not seen, and
 * the log they write cannot be shortened: ends before anybody is waited for. An error comes from the read that follows.
 */
void views_read_begin(struct views *v);
void views_read_end(struct views *v);

/* How far the views are. Lag = the order's size minus next; from another process: now minus
 * newest_received_us says little when no mail comes, so compare with the clerk's condition line. */
struct views_progress {
	uint64_t next;		     /* order numbers below this are applied */
	uint64_t newest_received_us; /* of the applied records */
};
enum rc views_progress(struct views *v, struct views_progress *out, struct fault *why) MUST_USE;

/* ---- sites ---- */

/* The present drain of a site, or the last one: everything held while the site was not up. */
struct views_drain {
	bool is_open;	      /* not all of it is settled */
	uint64_t began_us;    /* the site went down */
	uint64_t up_us;	      /* the site's last `up`; 0: not yet */
	uint64_t total;	      /* deliveries that were held */
	uint64_t handed_back; /* the primary has them */
	uint64_t unsure; /* of the total: sent twice because no answer came; each may be there twice
			  */
	uint64_t decide; /* of the total: on the decision list now */
	uint64_t deferred;   /* of the total: refused for now, wait for another try */
	uint64_t returned;   /* of the total: failed, the sender was told */
	uint64_t discarded;  /* of the total: by an operator */
	struct span receipt; /* the sentence; "" until the drain has ended */
};

struct views_site {
	struct span name;
	enum site_phase phase;
	struct span state;   /* as watch last said: "up", "down", ...; "unknown" before that */
	uint64_t since_us;   /* of that state */
	struct span reason;  /* why, as recorded */
	struct span stopped; /* "" or why nothing is handed back although the site is up (valve,
				drain.stop) */
	uint64_t held;	     /* deliveries not finished = ready + offered + deferred + decide */
	uint64_t held_bytes; /* their bodies, each recipient counted */
	uint64_t ready, offered, deferred, decide;
	uint64_t oldest_us; /* reception of the oldest not finished; 0: none */
	uint64_t done;	    /* ever delivered */
	struct views_drain drain;
	bool is_redirect; /* not a site of the configuration: a host an operator redirected mail to, or a destination in the world
			   */
};
enum rc views_each_site(struct views *v, bool (*on_site)(void *arg, const struct views_site *s),
			void *arg, struct fault *why) MUST_USE;

/* Whether people of a domain are told to work here: an order for the domain, else what was recorded of its site. */
struct views_continuity {
	bool is_on;
	uint64_t since_us; /* 0: it never was anything else than off */
};
enum rc views_continuity(struct views *v, struct span domain, struct views_continuity *out,
			 struct fault *why) MUST_USE;

/* ---- queue ---- */

/* One recipient of one message that is not finished. */
struct views_row {
	uint64_t number; /* of the message in the order; (number, rcpt) is the cursor for the next
			    page */
	uint32_t rcpt_index;
	struct span id; /* 32 hexadecimal digits */
	uint64_t received_us;
	uint64_t body_bytes;
	struct span sender; /* "" is the null sender */
	struct span rcpt;
	struct span site;
	struct span subject; /* raw bytes of the header: escape before showing */
	enum queue_state state;
	uint64_t next_us; /* wall clock of the next try; 0: when the site takes mail */
	uint32_t tries;
	uint32_t unsure;      /* times the outcome was lost */
	struct span reason;   /* why it is in this state: last answer, or a sentence */
	struct span redirect; /* "" or where an operator sent it */
};

/* Rows after (after_number, after_rcpt) in order of reception, at most limit; start with
 * UINT64_MAX, 0. match NULL: all. now_us for older= and newer=. *out_n: rows given. */
enum rc views_queue_list(struct views *v, const struct queue_match *match, uint64_t now_us,
			 uint64_t after_number, uint32_t after_rcpt, uint32_t limit,
			 bool (*on_row)(void *arg, const struct views_row *row), void *arg,
			 uint32_t *out_n, struct fault *why) MUST_USE;
/* How many deliveries and bytes (each recipient counted) match. May take a while on a long queue.
 */
enum rc views_queue_count(struct views *v, const struct queue_match *match, uint64_t now_us,
			  uint64_t *out_n, uint64_t *out_bytes, struct fault *why) MUST_USE;

/* Everything about one message, finished or not. */
struct views_message {
	uint64_t number;
	struct span id;
	uint64_t received_us;
	uint64_t body_bytes;
	struct span sender, envid, subject, from, message_id;
	struct span peer, helo, protocol, tls, spf, list_verdicts;
	bool sender_verified, smtputf8, is_dsn;
	uint32_t rcpts;
	uint32_t lane_id, segment; /* where it stands in the ledger */
	uint64_t offset;
};
/* One try of one recipient, oldest first. */
struct views_attempt {
	uint32_t rcpt_index;
	uint64_t at_us;
	struct span what; /* "accepted", "refused for now", "refused", "not reached", "answer lost",
			     "offered" */
	struct span then; /* disposition_name() */
	uint16_t code;
	struct span enhanced, text, queue_id, host, stage, courier;
};
struct views_show {
	void (*on_message)(void *arg, const struct views_message *m);
	void (*on_rcpt)(void *arg,
			const struct views_row *row); /* each recipient, finished or not */
	void (*on_attempt)(void *arg, const struct views_attempt *a);
	void *arg;
};
/* id: 32 digits, or the first 6 and more. REFUSED: unknown, or several begin so. */
enum rc views_queue_show(struct views *v, struct span id, const struct views_show *show,
			 struct fault *why) MUST_USE;

/* ---- history ---- */

/* An ACT, or a line computed from the records (verb "drain.receipt", "valve.closed"; actor
 * "clerk"). */
struct views_act {
	uint64_t number;
	uint64_t at_us;
	struct span id; /* "" : nobody waits for it */
	struct span verb, object, argument, reason, actor, class;
	uint64_t until_us;
	uint32_t confidence;
	bool is_judged; /* the clerk judged it (queue acts) */
	bool ok;
	uint64_t count;	    /* deliveries it changed */
	struct span result; /* the sentence */
};
/* The last n, newest last. */
enum rc views_history(struct views *v, uint32_t last,
		      bool (*on_act)(void *arg, const struct views_act *a), void *arg,
		      struct fault *why) MUST_USE;
/* MORE: not applied yet, ask again. on_act is called once with OK. */
enum rc views_act_result(struct views *v, struct span act_id,
			 bool (*on_act)(void *arg, const struct views_act *a), void *arg,
			 struct fault *why) MUST_USE;

/* All deliveries of a site whose answer was lost: what receipts name, and what was never held (history names that). */
enum rc views_each_unsure(struct views *v, struct span site,
			  bool (*on_row)(void *arg, const struct views_row *row), void *arg,
			  struct fault *why) MUST_USE;
