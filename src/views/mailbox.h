/*
 * People's mailboxes in the views: what desk, the indexer, auth and the command line read. The clerk writes them
 * (apply.h); they follow from ordered records alone. Words and invariants B1 to B4: mail/store.h, whose reading calls
 * desk makes from these. Over an object of views_open_read.
 *
 *   M1  An account's id is the order number of the DIRECTORY record that made it, plus 1; a mailbox's id is the same of the
 *       record that made it, times 4096, plus its place among those that this record made. Neither is used again.
 *   M2  UIDVALIDITY: seconds of the record that made the mailbox, at least one above any before in the account.
 *   M3  A message is in an account at most once by delivery, however many of its recipients lead there, and never comes
 *       back by an alias that is made later.
 *   M4  Numbers that are shown have a row of `message`: pruning passes them over.
 *
 * BROKEN or LATER from a call, or views_is_current() false: close, open again (the views were rebuilt; ids, UIDs and
 * modseqs are the same in the new ones).
 */
#pragma once

#include "mail/store.h"
#include "queue/home.h"
#include "views/views.h"

/* views/current still names this generation. One small read; ask once a second, and when the clerk's link opens. */
bool views_is_current(struct views *v, const char *data_dir);

/* ---- accounts ---- */

struct views_account {
	uint64_t id;
	struct span name;   /* anna@example.com, lower case */
	struct span person; /* name for people, "" if none */
	bool is_active;	    /* false: disabled; its mail still arrives, nobody logs in */
	uint64_t modseq;    /* the last one given */
	uint64_t made_us;
	uint64_t boxes, messages, bytes;
};

/* REFUSED: there is none. Case does not matter. Spans of *out live until the next call on v. */
enum rc views_account_by_name(struct views *v, struct span name, struct views_account *out,
			      struct fault *why) MUST_USE;

struct views_people {
	uint64_t accounts, disabled, aliases, boxes, messages, bytes;
};
/* For status. Costs a row for each account. */
enum rc views_people(struct views *v, struct views_people *out, struct fault *why) MUST_USE;

/* ---- mailboxes: the reading calls of struct mail_store_ops, with the account named ---- */

enum rc views_each_box(struct views *v, uint64_t account,
		       bool (*on_box)(void *to, const struct mail_box *b), void *to,
		       struct fault *why) MUST_USE;
enum rc views_box_by_name(struct views *v, uint64_t account, struct span name, struct mail_box *out,
			  struct fault *why) MUST_USE;
/* REFUSED also for a mailbox of another account. */
enum rc views_box_by_id(struct views *v, uint64_t account, uint64_t box, struct mail_box *out,
			struct fault *why) MUST_USE;
enum rc views_each_entry(struct views *v, uint64_t box, struct mail_range uids, uint64_t since,
			 bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			 struct fault *why) MUST_USE;
/* Of messages that have left the views UIDs are kept as ranges: some may be named that went earlier already. */
enum rc views_each_gone(struct views *v, uint64_t box, uint64_t since,
			bool (*on_gone)(void *to, struct mail_range uids), void *to,
			struct fault *why) MUST_USE;
enum rc views_each_range(struct views *v, uint64_t box,
			 bool (*on_range)(void *to, struct mail_range uids), void *to,
			 struct fault *why) MUST_USE;

/* ---- the same, for JMAP: what has \Deleted is not there (RFC 8621 s4.1.1) ---- */

/* REFUSED: no such account. Spans of *out live until the next call on v. */
enum rc views_state(struct views *v, uint64_t account, struct mail_state *out,
		    struct fault *why) MUST_USE;
enum rc views_each_place(struct views *v, uint64_t account, uint64_t number, enum mail_form form,
			 bool (*on_place)(void *to, uint64_t box, const struct mail_entry *e),
			 void *to, struct fault *why) MUST_USE;
enum rc views_each_of_thread(struct views *v, uint64_t account, uint64_t thread,
			     bool (*on_email)(void *to, const struct mail_email *e), void *to,
			     struct fault *why) MUST_USE;
/* REFUSED: cannot be told, for `since` is below told_from or above the account's modseq. Nothing of the Emails is held open
 * while on_change runs. */
enum rc views_changed_emails(struct views *v, uint64_t account, uint64_t since,
			     bool (*on_change)(void *to, const struct mail_change *c), void *to,
			     struct fault *why) MUST_USE;
enum rc views_changed_boxes(struct views *v, uint64_t account, uint64_t since,
			    bool (*on_change)(void *to, const struct mail_change *c), void *to,
			    struct fault *why) MUST_USE;
/* REFUSED also when more than 20,000 conversations came or went since then. */
enum rc views_changed_threads(struct views *v, uint64_t account, uint64_t since,
			      bool (*on_change)(void *to, const struct mail_change *c), void *to,
			      struct fault *why) MUST_USE;
enum rc views_each_setting(struct views *v, uint64_t account,
			   bool (*on_setting)(void *to, struct span name, struct span value),
			   void *to, struct fault *why) MUST_USE;
enum rc views_each_submission(struct views *v, uint64_t account, uint64_t since,
			      bool (*on_submission)(void *to, const struct mail_submission *s),
			      void *to, struct fault *why) MUST_USE;
/* REFUSED: the account has submitted no such message, or it has left the views. */
enum rc views_each_delivery(struct views *v, uint64_t account, uint64_t number,
			    bool (*on_delivery)(void *to, const struct mail_delivery *d), void *to,
			    struct fault *why) MUST_USE;

/* ---- messages ---- */

struct views_cut {
	uint64_t offset, bytes;
};

/*
 * What a message is made of. Its forms, byte for byte:
 *   MAIL_AS_SENT       trace, body
 *   MAIL_AS_DELIVERED  trace, body without the cuts
 *   MAIL_ENCLOSED      inner_bytes of the body from inner_offset
 * The trace stands in the record's meta (ledger_read, msg_message_meta_decode: .trace); its length is here.
 */
struct views_mail {
	uint64_t number;
	uint32_t lane_id, segment; /* struct record_ref */
	uint64_t offset;
	uint64_t body_bytes, trace_bytes, received_us;
	unsigned origin; /* record.msg */
	const struct views_cut *cuts;
	size_t cuts_n;
	uint64_t inner_offset, inner_bytes; /* 0 bytes: no journal report */
	struct span id, sender, message_id, account;
};
/* REFUSED: not in the views. Spans live until the next call on v. */
enum rc views_mail_by_number(struct views *v, uint64_t number, struct views_mail *out,
			     struct fault *why) MUST_USE;
/* RFC822.SIZE of a form. */
uint64_t views_mail_bytes(const struct views_mail *m, enum mail_form form);

/*
 * Every (message, form) that a mailbox ever came to show, in the order of its first showing: what the indexer reads.
 * serial grows; start after 0; after a rebuild it is the same. Rows leave when their message leaves the views.
 */
struct views_shown {
	uint64_t serial, number;
	enum mail_form form;
};
/* The order number of the record that made a mailbox show it. */
uint64_t views_shown_by(uint64_t serial);
enum rc views_each_shown(struct views *v, uint64_t after_serial, uint32_t limit,
			 bool (*on_shown)(void *arg, const struct views_shown *s), void *arg,
			 struct fault *why) MUST_USE;

/* ---- everything goes home ---- */

struct views_home_left {
	uint64_t waiting, decide, accounts; /* accounts: with something waiting */
};
/* What people of the site's domains did here and the primary does not have yet. */
enum rc views_home_left(struct views *v, struct span site, struct views_home_left *out,
			struct fault *why) MUST_USE;
struct views_home_row {
	struct span account, site, subject, why;
	uint64_t number, next_us;
	enum home_state state; /* WAITS, INTENDED, DECIDE */
	uint32_t tries;
	bool is_folder, is_at_home;
};
/* Each thing that waits or needs a decision, by account. */
enum rc views_home_each(struct views *v,
			bool (*on_row)(void *arg, const struct views_home_row *row), void *arg,
			struct fault *why) MUST_USE;
