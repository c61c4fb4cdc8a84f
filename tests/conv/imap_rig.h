/*
 * Mailboxes in memory behind the IMAP server engine, and a host that answers its questions: anna's password is "secret".
 * Acts are made at once, or gathered until the engine has nothing else to do (is_slow), or never (is_away).
 */
#pragma once

#include "base/buf.h"
#include "imap/server.h"

enum { RIG_BOXES = 40, RIG_MESSAGES = 12000, RIG_TEXTS = 64 };

struct rig_entry {
	uint32_t uid, flags;
	char keywords[200];
	uint64_t modseq;
	size_t text; /* index of texts, and number */
	uint64_t received_us;
	bool is_gone;
};

struct rig_box {
	uint64_t id;
	char name[MAIL_BOX_NAME_BYTES + 1];
	enum mail_special special;
	uint32_t uidnext;
	uint64_t modseq;
	bool is_subscribed, exists;
	struct rig_entry *entries;
	size_t n, cap;
};

struct imap_rig {
	struct imap_service service;
	struct imap_server *s;
	struct mail_store store;
	struct rig_box boxes[RIG_BOXES];
	size_t boxes_n;
	struct buf texts[RIG_TEXTS];
	size_t texts_n;
	uint64_t modseq, last_box;
	size_t read_piece; /* bytes of a body at a time */
	bool has_index;
	size_t messages_limit; /* of a mailbox, for COPY and APPEND; 0: none */

	bool is_slow, is_away, is_append_refused, is_store_broken;
	struct {
		uint64_t id;
		struct mail_act act;
	} asked[IMAP_ASKS_LIMIT];
	size_t asked_n;
	struct buf append;
	struct buf said;
	struct buf acts; /* "store add 1 4:4\n" ... */
	struct buf log;	 /* of logins and of what happened to a message */
	bool is_closed, wants_tls;
	size_t most_out; /* output seen at once */
	unsigned turns;	 /* steps that said IMAP_AGAIN */
	unsigned open_bodies, reads;
	struct digest_maker *maker;
	struct mail_body *body;
	struct buf search_hits;
	uint64_t now_us;
};

void imap_rig_init(struct imap_rig *r);
void imap_rig_fini(struct imap_rig *r);
struct rig_box *imap_rig_box(struct imap_rig *r, const char *name);
struct rig_box *imap_rig_add_box(struct imap_rig *r, const char *name, enum mail_special special);
size_t imap_rig_add_text(struct imap_rig *r, struct span text);
/* A message arrives. */
struct rig_entry *imap_rig_add(struct imap_rig *r, struct rig_box *b, size_t text, uint32_t flags);
/* Bytes in pieces of `step` (0: all at once); the host does its part. */
void imap_rig_feed(struct imap_rig *r, struct span in, size_t step);
/* The host's round without input: slow acts are made. */
void imap_rig_settle(struct imap_rig *r);
/* Four messages in INBOX (UIDs 3 4 5 7), Sent, Work/2026. */
void imap_rig_furnish(struct imap_rig *r);
