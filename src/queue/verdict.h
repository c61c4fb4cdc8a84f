/*
 * What a refusal does: the table of design section 6, as a pure function. Used by the courier when it writes an
 * OUTCOME, so that the decision is in the ledger and a replay gives the same.
 */
#pragma once

#include "base/span.h"

enum site_phase { PHASE_DOWN, PHASE_PROBATION, PHASE_UP }; /* unknown counts as DOWN */
enum rcpt_known { KNOWN_NOT, KNOWN_GOOD };

/* How one attempt for one recipient ended. */
enum attempt {
	ATTEMPT_ACCEPTED,  /* 2xx after the final dot */
	ATTEMPT_4XX,	   /* temporary, at any command */
	ATTEMPT_5XX,	   /* permanent, at any command */
	ATTEMPT_UNREACHED, /* no connection, greeting or TLS: nothing was offered */
	ATTEMPT_LOST,	   /* connection lost after the final dot was sent: UNSURE */
};

enum disposition {
	DISPOSE_DELIVERED,
	DISPOSE_HOLD,	/* stays held; nothing counted against the message */
	DISPOSE_RETRY,	/* by schedule; counted */
	DISPOSE_DECIDE, /* on the decision list: an operator must say; never bounced */
	DISPOSE_DSN,	/* failed; a delivery status notification goes to the sender */
	DISPOSE_UNSURE, /* look it up, else send again once, byte-identical; named in the receipt */
};

struct verdict_in {
	enum site_phase phase;
	enum rcpt_known known;
	enum attempt attempt;
	bool sender_verified;	/* authenticated, SPF pass or DKIM pass at reception, and not <> */
	bool wants_no_dsn;	/* NOTIFY=NEVER, or the sender is <> */
	unsigned refusals_24h;	/* 5xx for this recipient within 24 h, this one included */
	bool lifetime_over;	/* queue.lifetime has passed since reception */
	bool is_world;		/* a foreign destination: no site of ours, nobody to hold for */
	unsigned unsure_before; /* times this delivery was UNSURE before */
};

enum disposition verdict(const struct verdict_in *in);
const char *disposition_name(enum disposition d);

/* The valve: at least 20 attempts in the window and more than 5 % of them 5xx for known-good recipients. */
bool verdict_valve_closes(unsigned attempts, unsigned known_good_5xx);
