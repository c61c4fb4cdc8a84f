/*
 * Inside src/views only: people's mailboxes. A mailbox's row is read, changed and saved by whoever changes its entries, so
 * that its counters agree with them (views_check); every change takes a modseq of its account (B2).
 */
#pragma once

#include "queue/home.h"
#include "views/internal.h"

enum {
	SERIAL_OF_A_RECORD_BITS = 24
}; /* of views_each_shown, and of conversations; people.sql knows it */
#include "views/mailbox.h"

extern const char people_schema_sql[];

enum { ENTRY_HOME_NONE, ENTRY_HOME_WAITS, ENTRY_HOME_DONE };
enum { ORIGIN_SUBMITTED = 1, ORIGIN_PUT = 2, ORIGIN_COPY = 4 }; /* record.msg */
enum given_kind { GIVEN_DELIVERED, GIVEN_OUR_COPY, GIVEN_OWN_COPY };
enum { BOXES_OF_A_RECORD = 4096, SENT_TWICE_US = 600 * 1000000 };

/* ---- account.c ---- */
struct account {
	uint64_t id, modseq;
	uint32_t uidvalidity;
	bool is_active;
};
bool account_by_name(struct views *v, struct span name, struct account *out); /* lower case */
bool account_by_id(struct views *v, uint64_t id, struct account *out);
bool account_find(struct views *v, uint64_t id, struct account *out); /* beside what is hot */
/* The next modseq. The row is written at once. */
uint64_t account_modseq(struct views *v, struct account *a);
void apply_account(struct views *v, const struct order_entry *e, const struct record *r,
		   const struct msg_directory_meta *m);
void apply_alias(struct views *v, const struct order_entry *e, const struct record *r,
		 const struct msg_directory_meta *m);
void accounts_load(struct views *v);

/* ---- resolve.c ---- */
struct account_ids {
	uint64_t *ids; /* ascending; in the arena */
	size_t n, cap;
};
struct span lower_span(struct views *v, struct span text);   /* in the arena */
struct span address_base(struct views *v, struct span text); /* lower, without the detail */
/* Adds the accounts that this address leads to. */
void resolve(struct views *v, struct span address, struct account_ids *out);
void resolved_forget(struct views *v);
bool account_ids_has(const struct account_ids *ids, uint64_t id);

/* ---- box.c ---- */
struct box {
	uint64_t id, account, modseq;
	enum mail_special special;
	uint32_t uidvalidity, uidnext;
	int64_t total, unseen, deleted, bytes, unread;
};
bool box_by_id(struct views *v, uint64_t id, struct box *out);
bool box_by_name(struct views *v, uint64_t account, struct span name, struct box *out);
bool box_special(struct views *v, uint64_t account, enum mail_special special, struct box *out);
void box_save(struct views *v, const struct box *b);
/* Mail goes there: kept in memory, with its account, until somebody asks otherwise. NULL: no such account. */
struct hot {
	struct account account;
	struct box inbox;
};
struct hot *hot_inbox(struct views *v, uint64_t account);
void boxes_cool(struct views *v);
/* A new one. id: M1. */
uint64_t box_make(struct views *v, struct account *a, uint64_t id, struct span name,
		  enum mail_special special, uint64_t at_us, struct box *out);
/* All of it leaves; the row stays nameless. */
void box_unmake(struct views *v, struct account *a, struct box *b);
/* The row of a deleted one goes with its last entry. */
void box_forget(struct views *v, uint64_t id);
/* Tells the clerk's listeners. box 0: the list of mailboxes. */
void mail_touched(struct views *v, uint64_t account, uint64_t box, uint64_t modseq);

/* ---- entry.c ---- */
struct entry {
	uint32_t uid, flags;
	struct span keywords;
	uint64_t number, modseq, received_us, bytes, thread;
	enum mail_form form;
	unsigned home;
};
/* Takes the next UID of b and counts it; the caller saves b. Returns the UID; 0: the mailbox is full. */
uint32_t entry_add(struct views *v, struct box *b, const struct entry *e);
void entry_flags(struct views *v, struct box *b, const struct entry *was, uint32_t flags,
		 struct span keywords, uint64_t modseq);
void entry_remove(struct views *v, struct box *b, const struct entry *e, uint64_t modseq);
/*
 * Up to max entries that are there, with UIDs of the range, ascending; spans in the arena. Page by page: begin again
 * after the last one.
 */
size_t entries_page(struct views *v, uint64_t box, struct mail_range uids, struct entry *out,
		    size_t max);

/* ---- changes.c ---- */
/* Entries that came after this modseq have UIDs from here on. */
uint32_t entry_first_after(struct views *v, uint64_t box, uint64_t since);

/* ---- arrive.c: what a MESSAGE shows to whom ---- */
struct letter { /* what is known of a message without its record */
	uint64_t number, received_us, body_bytes, trace_bytes;
	const struct msg_message_meta *m; /* rcpts and trace may be missing */
};
uint64_t letter_bytes(const struct letter *l, enum mail_form form);
uint64_t form_bytes(enum mail_form form, uint64_t trace, uint64_t body, uint64_t cut,
		    uint64_t inner);
int64_t message_id_hash(struct span message_id);
void mail_arrive(struct views *v, const struct order_entry *e, const struct record *r,
		 const struct msg_message_meta *m);
/* Into the INBOX, once (M3). */
void mail_give(struct views *v, uint64_t account, const struct letter *l);
/* The person's own copy in Sent replaces ours, if that is young. */
void own_copy(struct views *v, struct account *a, struct box *sent, const struct letter *l);

/* ---- thread.c ---- */
/* The conversation of the account that this message belongs to, or begins; noted for what answers it. */
uint64_t thread_of(struct views *v, uint64_t account, const struct letter *l);
/* Rows of entry in a conversation: ?1 it, ?2 the account. The message that began it is found by its number. */
#define ENTRIES_OF_THREAD(columns)                                                                 \
	"SELECT " columns " FROM entry WHERE thread = ?1 AND thread >> 24 != number + 1 AND"       \
	" account = ?2 UNION ALL SELECT " columns " FROM entry WHERE number = (?1 >> 24) - 1 AND"  \
	" account = ?2 AND thread = ?1"
/* The message leaves the views. */
void thread_forget(struct views *v, uint64_t account, uint64_t number,
		   const struct msg_message_meta *m);

/* ---- thread_ref.c: R1, R2 ---- */
uint64_t ref_key(uint64_t account, uint64_t ref, uint64_t subject);
/* Also when the place is another account's, as out->account says. */
bool ref_find(struct views *v, uint64_t key, struct ref_row *out);
/* One that ref_find did not find. */
void ref_note(struct views *v, struct ref_row row);
/* If it was this message of this account that noted it. */
void ref_forget(struct views *v, uint64_t key, uint64_t account, uint64_t number);
/* At commit: the oldest part goes into the tree when many are kept. */
void refs_settle(struct views *v);
/* What is kept in memory, anew. */
void refs_load(struct views *v);
void refs_free(struct views *v);

/* ---- lost.c ---- */
enum lost_kind { LOST_EMAIL, LOST_BOX };
/* b->modseq: of its end. Its row is still there. */
void lost_box(struct views *v, const struct box *b);
/* Before the entries of a message leave the views. */
void lost_emails(struct views *v, uint64_t number);
void lost_prune(struct views *v, uint64_t before_us);

/* ---- submission.c ---- */
void submission_made(struct views *v, uint64_t account, uint64_t number);
/* A delivery of a message changed so that its sender sees it. */
void submission_moved(struct views *v, uint64_t number);
void submission_forget(struct views *v, uint64_t number);

/* ---- backfill.c ---- */
/* What came for this address (or leads to it by aliases) within the window. account 0: for whoever gets it now. */
void backfill(struct views *v, struct span address, uint64_t account, uint64_t at_us);

/* ---- act_mail.c, act_box.c ---- */
struct ranges {
	struct msg_uid_range *at; /* in v->kept: pages of the arena come and go */
	size_t n, cap;
	bool is_rough; /* too many: the last one covers more than was added */
};
struct mail_ctx {
	struct views *v;
	const struct order_entry *e;
	const struct msg_mail_act *act;
	uint64_t at_us;
	struct account account;
	size_t boxes_made;
	struct msg_mail_verdict out;
	struct ranges from, to, modified;
	struct msg_email_id *missing; /* in v->kept */
	size_t missing_n;
};
void mail_act(struct views *v, const struct order_entry *e, const struct record *r,
	      struct span detail);
/* The APPEND that came with a MESSAGE. */
void mail_put(struct views *v, const struct order_entry *e, const struct letter *l,
	      struct span detail);
void mail_refuse(struct mail_ctx *c, enum mail_code code, const char *text);
void range_add(struct views *v, struct ranges *r, uint32_t uid);
uint64_t ctx_modseq(struct mail_ctx *c); /* one for the whole act */
/* The name as kept: INBOX in capitals, no "/" at the end. False: refused. */
bool box_name_check(struct mail_ctx *c, struct span name, struct span *out);
void act_create(struct mail_ctx *c);
void act_delete(struct mail_ctx *c);
void act_rename(struct mail_ctx *c);
void act_subscribe(struct mail_ctx *c, bool yes);
/* A mailbox of the act's account; false: refused. */
bool box_of_account(struct mail_ctx *c, uint64_t id, struct box *out);
void verdicts_prune(struct views *v);

/* ---- act_email.c ---- */
void act_email(struct mail_ctx *c);
void act_setting(struct mail_ctx *c);

/* ---- keywords.c: lists as entries keep them; what is made is in the arena ---- */
bool keywords_are_fine(struct span keywords);
struct span keywords_with(struct views *v, struct span was, struct span more);
struct span keywords_without(struct views *v, struct span was, struct span less);

/* ---- expire.c ---- */
/* The hour of the newest record has changed: what is older than the window and has nothing to bring home leaves. */
void expire(struct views *v, uint64_t newest_before_us);
/* A message leaves the views: what its entries remembered is kept as ranges. */
void entries_forget(struct views *v, uint64_t number);

/* ---- home.c: what has to be done at home; queue/home.h ---- */
enum { HOME_FORM_FOLDER = 255 };
struct home_row { /* schema.sql */
	uint64_t account, number, form, copy;
	enum home_state state;
	bool at_home;
	uint64_t box;
	uint32_t touched;
	struct span words;
	uint64_t version, changed_us, next_us, tries, done_us;
	uint32_t did;
	struct span why;
};
bool home_row_get(struct views *v, uint64_t account, uint64_t number, uint64_t form, uint64_t copy,
		  struct home_row *out);
/* Where it is now and what is asked of home for it. places has HOME_PLACES_LIMIT. */
void home_facts_of(struct views *v, const struct home_row *main, struct home_place *places,
		   struct home_facts *out);
/* A person, or submission, put it there (also: copied). After entry_add. */
void home_added(struct views *v, const struct box *b, const struct entry *e);
/* The first half of a move, after entry_add: home_left, after entry_remove, is the second, and judges once for both. */
void home_comes(struct views *v, const struct box *b, const struct entry *e);
/* After entry_flags. was: the entry before. */
void home_marked(struct views *v, const struct box *b, const struct entry *was, uint32_t flags,
		 struct span keywords);
/* A person took it away. Before and after entry_remove: the first remembers where the primary has it. */
void home_leaves(struct views *v, const struct box *b, const struct entry *e);
void home_left(struct views *v, const struct box *b, const struct entry *e);
/* The person's own copy in Sent takes the place of ours, which left; its own entry is made after this. */
void home_replaced(struct views *v, const struct box *sent, const struct entry *ours,
		   uint64_t own_number);
void home_box_made(struct views *v, const struct box *b);
/* All of a mailbox goes. Before box_unmake; home_box_left after it. */
void home_box_leaves(struct views *v, const struct box *b);
void home_box_left(struct views *v, const struct box *b);
/* A HomeStep. */
void apply_home(struct views *v, const struct order_entry *e, const struct record *r,
		struct span detail);
void home_forget(struct views *v, uint64_t number);

/* What waits for a decision is tried again: of the people of this site. */
void home_retry(struct views *v, struct span site);

/* ---- home_lease.c ---- */
/* Everything of the site's people went home, or waits for a person: the receipt says so, once an outage. */
void home_look(struct views *v, struct site *s, uint64_t number, uint64_t at_us);

/* ---- mailbox.c ---- */
enum rc mailboxes_check(struct views *v, struct fault *why) MUST_USE;
