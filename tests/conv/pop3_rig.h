/*
 * A POP3 session without a network: the engine, a mailbox in memory behind it, and a host that lets in "anna" with
 * "secret" and does the acts that are asked. Shared by the dialogues and the fuzz target.
 */
#pragma once

#include "base/buf.h"
#include "pop3/server.h"

enum { RIG_MESSAGES = 4, RIG_ACTS = 16 };

struct rig_message {
	uint32_t uid, flags;
	struct span text;
	bool is_gone;
};

struct rig {
	struct pop3_service service;
	struct pop3_server *pop3;
	struct mail_store store;
	struct rig_message messages[RIG_MESSAGES];
	struct buf out;	      /* all that was said */
	struct buf acts;      /* what was asked, a line each */
	enum rc act_answer;   /* of the next act */
	enum rc store_answer; /* of the store's calls */
	uint64_t damaged_at;  /* reading behind it fails; UINT64_MAX: not at all */
	bool holds_answers;   /* a question stays open */
	bool asks_tls, is_closed;
	uint64_t now_us;
	unsigned bodies_open;
	bool scram; /* answers AUTH with a challenge first, and a last word */
	unsigned round;
};

void rig_init(struct rig *r, bool is_tls);
void rig_fini(struct rig *r);
/* step 0: all at once; else in pieces of so many bytes. Returns how many were consumed. */
void rig_feed(struct rig *r, struct span bytes, size_t step);
void rig_tick(struct rig *r, uint64_t after_us);
void rig_pump(struct rig *r, struct span *in);
