/*
 * Looking for a message among all that are in the views: "where is the mail from X to Y?" Facts of the envelope and the
 * header fields that were recorded, and where each recipient's copy went. Nobody's flags, nothing of a body. And
 * the history with a filter, and continuity as recorded.
 */
#pragma once

#include "views/mailbox.h"

/* What is known of it; empty: anything. Texts are looked for anywhere in the value, in any case. */
struct views_trace_ask {
	struct span sender;	 /* in the envelope's sender, or in From */
	struct span rcpt;	 /* in a recipient's address */
	struct span subject;	 /* decoded */
	struct span message_id;	 /* with or without <> */
	uint64_t from_us, to_us; /* reception; 0: no bound */
	uint64_t before;	 /* only order numbers below this; UINT64_MAX: from the newest */
	uint64_t look_at;	 /* at most so many numbers in one call */
	uint32_t most;		 /* messages */
};

struct views_traced {
	uint64_t number;
	struct span id;		   /* for views_queue_show */
	unsigned origin;	   /* record.msg */
	struct span account;	   /* of a submission */
	struct span subject, from; /* decoded, safe to show */
};

/*
 * Newest first. *out_next: go on there (as `before`); 0: all was looked at. What people put into their mailboxes
 * themselves (drafts) is not mail that went anywhere, and is passed over.
 */
enum rc views_trace(struct views *v, const struct views_trace_ask *ask,
		    bool (*on_message)(void *arg, const struct views_traced *m), void *arg,
		    uint64_t *out_next, struct fault *why) MUST_USE;

/* A mailbox that shows a message, or did. */
struct views_place {
	struct span account, box; /* box: "" when it was deleted */
	enum mail_special special;
	bool is_gone;	   /* moved on or deleted by its owner */
	uint64_t since_us; /* INTERNALDATE */
};
/* What has to be done with it at home, or was. */
struct views_went {
	struct span account;
	enum home_state state;
	uint32_t did; /* home_did_FLAGS */
	uint64_t done_us;
	struct span why;
};
enum rc views_trace_places(struct views *v, uint64_t number,
			   bool (*on_place)(void *arg, const struct views_place *p),
			   bool (*on_went)(void *arg, const struct views_went *w), void *arg,
			   struct fault *why) MUST_USE;

/* Newest first: lines of the history whose verb, object, argument, reason, actor or result has the text. */
struct views_audit_ask {
	struct span text;	 /* "": all */
	bool is_people;		 /* only what somebody ordered: not watch, not the clerk */
	uint64_t before;	 /* order number; UINT64_MAX */
	uint64_t from_us, to_us; /* 0: no bound */
	uint32_t most;
};
enum rc views_audit(struct views *v, const struct views_audit_ask *ask,
		    bool (*on_act)(void *arg, const struct views_act *a), void *arg,
		    struct fault *why) MUST_USE;
