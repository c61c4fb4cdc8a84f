/*
 * Is this site taking mail? A pure function a site: (state, observation, time) -> (state, actions).
 * No clock, socket or loop: times are microseconds of the monotonic clock, passed in; jumps of the
 * wall clock mean nothing here. watch uses it (it probes, records, then acts), tests/sim on virtual
 * time, and clerk, edge and status for the names and the phase.
 *
 *   H1  Hold is declared at the `fail`-th failed probe in a row, and at once when a real delivery
 *       could not connect and a probe fails too. SUSPECT (fewer failures) does not hold.
 *   H2  DOWN ends only in PROBATION, after `recover` good probes, more when it flaps.
 *   H3  PROBATION ends in UP by accepted deliveries, or when nothing waits, as the clerk says, and probes stay good;
 *       one failed probe ends it in DOWN, refusals of known-good recipients in STOPPED.
 *   H4  Every change of the effective state is exactly one record with class, confidence and a
 *       sentence; the caller syncs it before it publishes or acts (decide, record, act).
 *   H5  Failing neutral controls never prevent hold; they block what is seen outside
 *       (health_may_act_outside).
 *   H6  An operator's hold on/off wins over everything until its lease ends; the end is recorded.
 *   H7  Memory per site is fixed; text from a primary is cut and has no control bytes.
 */
#pragma once

#include "base/span.h"
#include "queue/verdict.h"

/* The numbers stand in publish/sites.map; append only. */
enum health_state {
	HEALTH_UNKNOWN, /* newly configured, not probed yet: held, edge accepts */
	HEALTH_UP,
	HEALTH_SUSPECT,	  /* a probe failed; deliveries go on, gated mode accepts */
	HEALTH_DOWN,	  /* hold */
	HEALTH_PROBATION, /* answers again: the ramp 1, 10, 100 runs */
	HEALTH_STOPPED,	  /* answers, but refuses too many known-good recipients: drain stopped,
			     operator told */
};
enum { HEALTH_STATES = HEALTH_STOPPED + 1 };

const char *health_state_name(
	enum health_state state); /* "probation": argument of ACT site.state */
bool health_state_parse(struct span name, enum health_state *out);
/* What the clerk and couriers go by: UP, SUSPECT -> UP; PROBATION; all others DOWN. */
enum site_phase health_phase(enum health_state state);

/* How far a probe came, and how it ended there. */
enum health_layer {
	LAYER_NONE, /* nothing failed */
	LAYER_DNS,
	LAYER_TCP,
	LAYER_TLS,
	LAYER_GREETING,
	LAYER_EHLO,
	LAYER_MAIL,
	LAYER_RCPT,
	LAYER_CANARY,	  /* place kept: a mail seen in its mailbox */
	LAYER_IMAP,	  /* place kept */
	LAYER_SUBMISSION, /* place kept */
	LAYER_DELIVERY,	  /* real deliveries are refused (STOPPED) */
	LAYER_OPERATOR,	  /* hold by command or configuration */
};
const char *health_layer_name(enum health_layer layer); /* class of outage: "dns", "tcp", ... */

enum health_answer {
	ANSWER_OK,
	ANSWER_SILENT,	/* no answer in time */
	ANSWER_REFUSED, /* connection refused, or no route */
	ANSWER_CLOSED,	/* ended or reset half-way */
	ANSWER_4XX,
	ANSWER_5XX,
	ANSWER_GARBLED, /* not SMTP, or TLS failed */
};

struct health_probe {
	enum health_layer layer; /* where it failed; LAYER_NONE with ANSWER_OK */
	enum health_answer answer;
	uint16_t code;	    /* SMTP reply, 0 if none */
	struct span detail; /* "mail.example.com:25 refused the connection" */
	uint64_t began_us;  /* 0: just now */
};

/*
 * A round probes every primary of a site. Good as soon as one primary is good; failed when all are.
 * The round's failure is the one that came furthest (the most specific diagnosis).
 */
enum { HEALTH_PRIMARIES_MAX = 32, HEALTH_TEXT_BYTES = 200 };
struct health_round {
	unsigned asked, answered;
	bool is_over;
	enum health_layer layer;
	enum health_answer answer;
	uint16_t code;
	char detail[HEALTH_TEXT_BYTES];
};
void health_round_begin(struct health_round *r, unsigned primaries);
/* True: the round is over with this answer (once) and *out is its result; out->detail lives in r.
 */
bool health_round_add(struct health_round *r, const struct health_probe *one,
		      struct health_probe *out);

enum health_hold { HOLD_AUTO, HOLD_ON, HOLD_OFF };
bool health_hold_parse(struct span name, enum health_hold *out);
const char *health_hold_name(enum health_hold hold);

enum health_sight {
	SIGHT_TICK,	/* only time passes */
	SIGHT_PROBE,	/* a round is over: .probe */
	SIGHT_DELIVERY, /* of a courier: .delivery */
	SIGHT_CONTROLS, /* .controls */
	SIGHT_QUEUE,	/* the clerk says what waits for the site now: .waiting */
	SIGHT_HOLD,	/* an operator's command: .hold */
	SIGHT_RESUME,	/* an operator says the primary is repaired (queue release): .hold.who;
			   what came before, or is an answer to what was granted before, is forgotten */
};

struct health_delivery {
	enum attempt attempt;
	bool at_connection;	  /* UNREACHED, or the connection broke: a primary may be gone */
	uint32_t accepted;	  /* recipients since the last evidence of this courier */
	uint32_t refused_good;	  /* 5xx for known-good recipients */
	uint32_t refused_unknown; /* 5xx for others */
	uint32_t deferred;	  /* 4xx */
	uint64_t granted_us;	  /* when the first lease counted here was granted; 0: not known */
	struct span detail;
};

struct health_observation {
	enum health_sight sight;
	struct health_probe probe;
	struct health_delivery delivery;
	uint64_t waiting; /* deliveries to be offered now or under way */
	struct {
		unsigned asked, good;
	} controls;
	struct {
		enum health_hold mode;
		uint64_t for_us; /* how long; 0 with HOLD_AUTO */
		struct span who, why;
	} hold;
};

struct health_limits {
	uint64_t every_us; /* between probes while up */
	uint64_t fast_us;  /* while down, on probation, and until first known: 1 s */
	unsigned fail, recover;
	enum health_hold configured; /* `hold:` of the site */
	unsigned ramp_accepted;	     /* accepted recipients that end probation: 111 */
	uint64_t quiet_us;   /* probation without any delivery: UP after this (recover x every, at
				least 2 s) */
	uint64_t refused_us; /* probation with refusals of unknown recipients only: UP after this,
				15 min */
	uint64_t stopped_us; /* STOPPED is tried again after this, doubling to 4 times: 15 min */
	uint64_t flap_window_us;    /* 10 min */
	unsigned flap_free;	    /* falls within the window before damping begins: 3 */
	unsigned flap_shift_max;    /* needed good probes are doubled this often at most: 4 */
	uint64_t trust_delivery_us; /* an accepted delivery outweighs a refused RCPT probe for so
				       long: 60 s */
};
/* The defaults above with what the configuration says. */
void health_limits_default(struct health_limits *l, uint32_t every_ms, uint32_t fail,
			   uint32_t recover, enum health_hold configured);

enum { HEALTH_FALLS_KEPT = 8 };
struct health {
	struct health_limits limits;
	enum health_state state;     /* what is seen */
	enum health_state effective; /* what counts: state under the operator's hold */
	uint64_t state_since_us, effective_since_us;
	enum health_hold hold; /* by command; HOLD_AUTO: limits.configured counts */
	uint64_t hold_until_us;
	unsigned failed, good; /* probes in a row */
	bool own_network_down;
	bool delivery_failed; /* could not connect; waits for a probe to say the same */
	bool accepted_ever;
	uint64_t delivery_failed_at_us, accepted_at_us, delivery_at_us;
	/* Since window_us: while on probation all of it, else the present window of the valve. */
	uint32_t accepted, refused_good, refused_unknown, deferred, unreached;
	uint32_t refused_lately; /* known-good refusals; each later acceptance takes one off */
	uint64_t window_us;
	uint64_t
		empty_at_us; /* the clerk said so since; 0: it did not, or it said that mail waits */
	uint64_t
		heed_from_us; /* answers to what was granted before say nothing about the site now */
	uint64_t falls_us[HEALTH_FALLS_KEPT]; /* ring */
	unsigned falls_n, flap_shift;
	uint64_t flap_at_us;
	unsigned stops;
	enum health_layer layer; /* class of the present outage */
	uint8_t confidence;
	char evidence[HEALTH_TEXT_BYTES * 2]; /* the sentence of the last change */
	char last_probe[HEALTH_TEXT_BYTES];
};

enum health_verb {
	HEALTH_SITE_STATE, /* ACT site.state: the effective state is now .to */
	HEALTH_SITE_SEEN,  /* ACT site.seen: what is seen changed under an operator's hold; nothing
			      to do */
	HEALTH_DRAIN_STOP, /* ACT drain.stop: tell the operator (comes with SITE_STATE stopped) */
	HEALTH_HOLD_END,   /* ACT hold.set auto: the lease of an override is over */
};
const char *health_verb_name(enum health_verb verb);

struct health_record {
	enum health_verb verb;
	enum health_state from, to;
	enum health_layer layer;
	uint8_t confidence; /* per cent */
	char reason[HEALTH_TEXT_BYTES * 2];
};

enum { HEALTH_RECORDS_MAX = 6 };
struct health_actions {
	size_t records_n; /* to be synced, in this order, before anything else is done */
	struct health_record records[HEALTH_RECORDS_MAX];
	bool probe_now;
	bool publish;		   /* the effective state changed (after the records are synced) */
	uint64_t probe_every_us;   /* from now on, begin to begin */
	uint64_t look_again_at_us; /* call with SIGHT_TICK then; 0: no need */
};

/* A new site: UNKNOWN. */
void health_init(struct health *h, const struct health_limits *limits, uint64_t now_us);
/* After a restart: what the last records of the lane said. hold_for_us: what is left of the lease.
 */
void health_restore(struct health *h, enum health_state seen, enum health_state effective,
		    enum health_hold hold, uint64_t hold_for_us, uint64_t now_us);
/*
 * What is left of a lease after a restart, by the wall clock: never more than was given, whatever that clock did
 * meanwhile (K-09). Set back, a lease lasts at most its whole span again; set ahead, it ends early, and its end is
 * recorded like any.
 */
uint64_t health_lease_left(uint64_t given_wall_us, uint64_t until_wall_us, uint64_t now_wall_us);
/* The configuration was read again. Ends with what a TICK would do. */
void health_configure(struct health *h, const struct health_limits *limits, uint64_t now_us,
		      struct health_actions *out);
void health_step(struct health *h, const struct health_observation *seen, uint64_t now_us,
		 struct health_actions *out);

/* False while neutral controls fail: continuity, routes and notices must wait (hold need not). */
bool health_may_act_outside(const struct health *h);
/* Good probes still needed before PROBATION, with damping. */
unsigned health_recover_needed(const struct health *h);
enum health_hold health_hold_now(const struct health *h);
