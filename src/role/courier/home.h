/*
 * Inside the courier role: everything goes home. A home lease is one account's work in its mailbox on the primary, done over
 * one IMAP connection with a credential that auth gives for this lease.
 *
 *   home_bytes   a message as its mailbox here shows it, piece by piece
 *   home_match   whether what the primary has is that message
 *   home_folders which of the primary's mailboxes stands for one of ours
 *   home_work    one item after the other: commands and what their answers mean
 *   home_record  intents and results in the lane
 *   home         leases, credentials, the connection
 *
 *   W1  An APPEND is sent only after it was looked for in its mailbox, when the record that intends it is durable (G4).
 *   W2  Nothing is expunged, and nothing but what was found to be our message is touched.
 *   W3  What an item came to is recorded; the lease ends when those records are durable.
 */
#pragma once

#include "imap/client.h"
#include "queue/home.h"
#include "role/courier/courier.h"

enum {
	HOME_BOXES_LIMIT = 2000,
	HOME_CANDIDATES_LIMIT = 20,
	HOME_SEARCHED_LIMIT = 64, /* mailboxes looked through for one message */
	HOME_RESULTS_BATCH = 16,
	HOME_PATH_BYTES = 1100,
	HOME_HEADER_BYTES = 64 << 10,
};

/* ---- home_bytes.c ---- */

struct home_bytes;
/* Reads where item says. REFUSED, BROKEN: it cannot be read. */
enum rc home_bytes_open(struct ledger_reader *reader, const struct msg_home_item *item,
			struct home_bytes **out, struct fault *why) MUST_USE;
/* OK: a piece, never empty, until the next call. MORE: the end. */
enum rc home_bytes_next(struct home_bytes *b, struct span *out, struct fault *why) MUST_USE;
void home_bytes_close(struct home_bytes *b); /* accepts NULL */

/* ---- home_match.c: pure ---- */

enum home_match {
	HOME_MATCH_NO,
	HOME_MATCH_YES,
	HOME_MATCH_MAYBE, /* its bytes have to be compared */
};
/*
 * header: the fields Message-ID, Date and Received of what the primary has. Our id in a Received field says yes. Otherwise
 * Message-ID and Date have to be equal, and then the bytes have to be, except for what stands before them (skip).
 */
enum home_match home_match(const struct msg_home_item *item, struct span header, uint64_t size);
/* What to search for: a field's name and a text. False: nothing identifies it. */
bool home_search_key(const struct msg_home_item *item, struct span *out_field,
		     struct span *out_text);

/* ---- home_folders.c: pure ---- */

struct home_box {
	char *name; /* the server's, UTF-8 */
	char delimiter;
	uint32_t flags; /* IMAP_CLIENT_BOX_ */
};
struct home_folders {
	struct home_box *boxes;
	size_t n, cap;
	char prefix[128];
	char delimiter;
};
void home_folders_add(struct home_folders *f, const struct imap_client_box *box);
void home_folders_fini(struct home_folders *f);
/* The mailbox there for one here. True: it is there; false: out is what to create. */
bool home_folder_for(const struct home_folders *f, enum mail_special special, struct span name,
		     char out[HOME_PATH_BYTES]);
uint32_t home_special_flag(enum mail_special special); /* IMAP_CLIENT_BOX_, 0 for a plain one */

/* ---- the lease ---- */

enum home_step { /* of an item */
		 HOME_STEP_BEGIN,
		 HOME_STEP_SELECT_TARGET, /* APPEND: where it is looked for and goes */
		 HOME_STEP_CREATE,
		 HOME_STEP_SUBSCRIBE,
		 HOME_STEP_SELECT, /* CHANGE: the next mailbox to look through */
		 HOME_STEP_SEARCH,
		 HOME_STEP_LOOK,
		 HOME_STEP_COMPARE,
		 HOME_STEP_INTEND, /* waits for the disk */
		 HOME_STEP_APPEND,
		 HOME_STEP_ADD,
		 HOME_STEP_REMOVE,
		 HOME_STEP_MOVE,
};

enum home_stage {
	HOME_STAGE_LOGIN,
	HOME_STAGE_NAMESPACE,
	HOME_STAGE_LIST,
	HOME_STAGE_ITEMS,
	HOME_STAGE_LOGOUT
};

struct home_work {
	enum home_step step;
	char target[HOME_PATH_BYTES]; /* on the primary; "" none */
	bool target_exists, was_created;
	size_t searched;		      /* mailboxes looked through */
	uint32_t uids[HOME_CANDIDATES_LIMIT]; /* of the present search */
	size_t uids_n, uid_at;
	enum home_match match;	  /* of the present candidate */
	uint64_t size;		  /* its */
	struct home_bytes *bytes; /* COMPARE, APPEND */
	struct span piece;	  /* of bytes: what is left of the present one */
	uint64_t compare_skip;
	bool differs;
	uint32_t did;
	enum { INTEND_NO, INTEND_PENDING, INTEND_OK, INTEND_FAILED } intend;
};

struct home {
	struct courier *c;
	struct list at; /* of c->homes */
	struct arena arena;
	struct msg_home_lease lease;
	struct loop_timer *timer; /* credential, retries of records */
	uint64_t question;	  /* CredentialAsk; 0: none is out */

	struct resolve_wait resolve;
	struct buf tls_ca;
	char host[256];
	uint16_t port;
	enum imap_client_tls tls;
	struct sockaddr_storage addresses[COURIER_ADDRESSES];
	size_t addresses_n, address;
	struct conn *conn;
	struct imap_client *client;
	struct buf secret; /* user, authorize, password */
	struct span user, authorize, password;
	bool is_open, is_shaking, is_driving, is_ending, is_over, was_in;
	enum home_stage stage;
	struct home_folders folders;
	char selected[HOME_PATH_BYTES];
	struct imap_client_message seen; /* the last FETCH, without its spans */
	struct buf header;

	size_t item; /* under way */
	struct home_work work;
	struct msg_home_result results[HOME_RESULTS_BATCH];
	size_t results_n;
	unsigned awaited; /* records */
	bool recorded;
	unsigned why; /* HomeDone */
	char reason[300];
};

/* ---- home.c ---- */
void home_new(struct courier *c, struct span lease_body);
void home_credential(struct courier *c, const struct msg_credential_answer *answer);
void home_auth_gone(struct courier *c);
void home_clerk_gone(struct courier *c); /* no further items */
void home_stop(struct courier *c);
bool home_is_idle(const struct courier *c); /* no lease is held */
void home_drive(struct home *h);
/* Ends the connection and, when all records are durable, the lease. */
void home_end(struct home *h, unsigned why, const char *reason);

/* ---- home_work.c ---- */
/* Gives the engine the next command. False: waits for the disk, or all is done (home_work_is_over). */
bool home_work_command(struct home *h);
void home_work_result(struct home *h, const struct imap_client_result *r);
bool home_work_is_over(const struct home *h);
/* APPEND: pieces, as many as the connection may hold. False: later. */
bool home_work_piece(struct home *h);
void home_work_body(struct home *h, struct span piece); /* COMPARE */
/* The conversation ended: what of the present item is known. */
void home_work_lost(struct home *h);
void home_work_reset(struct home *h);

/* ---- home_notice.c ---- */
/* Meta and body of the MESSAGE that tells the person of all items of the lease. */
void home_notice_make(struct home *h, struct buf *meta, struct buf *body);

/* ---- home_record.c ---- */
/* The notice and, in one group with it, that all items ended so. */
void home_record_notice(struct home *h);
void home_record_intent(struct home *h);
void home_record_result(struct home *h, enum home_result result, uint32_t uidvalidity, uint32_t uid,
			const char *text);
void home_record_flush(struct home *h);
