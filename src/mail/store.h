/*
 * What a person's mailboxes look like to the engines that serve them (IMAP, POP3, JMAP), and what those ask to be
 * changed. Types and a table of calls; no code. desk implements the table over the views and the ledger; tests
 * implement it in memory.
 *
 *   B1  A mailbox's id is never used again; its UIDs only grow (RFC 9051 s2.3.1.1); a message's flags live in its entry.
 *   B2  One modseq per account; every change of an entry or of a mailbox's list takes a new one (RFC 7162). Entries that
 *       changed, and UIDs that went, since a modseq can be asked for at any time.
 *   B3  Reads are synchronous, see one moment each (those of one step of an engine may see the same), and hold nothing
 *       between steps. Spans given to callbacks die with the callback; callbacks return false to stop.
 *   B4  Changes are asked as acts and happen only with the verdict: REFUSED changed nothing.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

enum mail_flag_FLAGS {
	MAIL_SEEN = 1,
	MAIL_ANSWERED = 2,
	MAIL_FLAGGED = 4,
	MAIL_DELETED = 8,
	MAIL_DRAFT = 16,
	MAIL_FLAGS_ALL = 31,
};

/* RFC 6154; INBOX counts among them. */
enum mail_special {
	MAIL_PLAIN,
	MAIL_INBOX,
	MAIL_SENT,
	MAIL_DRAFTS,
	MAIL_ARCHIVE,
	MAIL_TRASH,
	MAIL_JUNK,
};

enum {
	MAIL_KEYWORDS_LIMIT = 64,  /* of one message */
	MAIL_KEYWORD_BYTES = 64,   /* one; atom characters (RFC 9051 flag-keyword) */
	MAIL_BOX_NAME_BYTES = 512, /* UTF-8, levels divided by "/" */
	MAIL_BOX_LEVELS = 20,
	MAIL_BOXES_LIMIT = 2000, /* of one account */
	MAIL_ACT_EMAILS_LIMIT = 4096,
	MAIL_SETTINGS_LIMIT = 100,
	MAIL_SETTING_BYTES = 64 << 10, /* of a value; the name 255 */
	MAIL_ACT_PLACES_LIMIT = 65536, /* EMAIL: emails_n times into_n */
	MAIL_ACT_RANGES_LIMIT = 4096,  /* UID ranges of one act: engines split larger sets */
};

/* Which bytes of a message someone sees. */
enum mail_form {
	MAIL_AS_DELIVERED, /* our trace fields, then the body without the author's Bcc */
	MAIL_AS_SENT,	   /* the same with Bcc: the author's own copy */
	MAIL_ENCLOSED,	   /* the original inside a journal report */
};

struct mail_box {
	uint64_t id;
	struct span name; /* "INBOX", "Projects/Moon" */
	enum mail_special special;
	uint32_t uidvalidity, uidnext;
	uint32_t total, unseen, deleted;
	uint32_t unread; /* neither \Seen nor \Draft nor \Deleted: JMAP's, but for an Email that lies there twice */
	uint64_t bytes;		 /* sizes of its messages together */
	uint64_t highest_modseq; /* of its entries, ever; at least 1 */
	bool is_subscribed;
	bool exists; /* false: subscribed to, but not there; id and counts are 0 */
};

struct mail_entry {
	uint32_t uid;
	uint32_t flags;	      /* MAIL_SEEN ... */
	struct span keywords; /* sorted, one space between; "" */
	uint64_t modseq;
	uint64_t number; /* of the message: key of digest and body; also EMAILID (RFC 8474) */
	enum mail_form form;
	uint64_t received_us; /* INTERNALDATE */
	uint64_t bytes;	      /* RFC822.SIZE of this form */
	uint64_t
		thread; /* messages of one conversation have the same; fixed for ever (RFC 8621 s3, RFC 8474) */
};

struct mail_range {
	uint32_t first, last; /* first <= last, both in */
};

/* Computed once of each message and form, or on the spot when the index lags. */
struct mail_digest {
	struct span envelope;	   /* IMAP text, "(...)" (RFC 9051 s7.5.2) */
	struct span body;	   /* BODY, without extension data */
	struct span bodystructure; /* with */
	uint64_t header_bytes;	   /* of the header section with its empty line */
	uint64_t
		sent_us; /* Date field; 0: none or not a date (then the time of reception counts) */
	struct span preview; /* plain text, up to 256 characters (RFC 8621 s4.1.4) */
	bool has_attachment; /* RFC 8621 s4.1.4: a file, not an inline picture of the text */
};

/* Where text is looked for. The index answers for substrings of decoded text, case folded (Unicode). */
enum mail_text {
	MAIL_TEXT_ALL, /* header and body */
	MAIL_TEXT_BODY,
	MAIL_TEXT_SUBJECT,
	MAIL_TEXT_FROM,
	MAIL_TEXT_TO,
	MAIL_TEXT_CC,
	MAIL_TEXT_BCC,
};

/*
 * JMAP's Email (RFC 8621 s4): a message of the account in one form, in however many mailboxes. Its keywords are those of
 * all its entries together, $seen only where all have it. Its id is (number, form); also EMAILID (RFC 8474).
 */
struct mail_email {
	uint64_t number;
	enum mail_form form;
	uint64_t thread;
	uint64_t received_us, bytes;
};

enum mail_change_kind { MAIL_MADE, MAIL_CHANGED, MAIL_GONE };
struct mail_change { /* since a modseq: what became of something altogether */
	enum mail_change_kind kind;
	uint64_t id;	     /* of a mailbox, a thread; number of an Email */
	enum mail_form form; /* of an Email */
	uint64_t modseq;     /* of its last change */
	bool counts_only;    /* of a mailbox: its counters alone */
};

struct mail_state {
	uint64_t
		modseq; /* the account's: JMAP's state of Mailbox, Email and Thread (RFC 8620 s1.6.2) */
	uint64_t told_from; /* changes since a modseq below this cannot be told */
	uint64_t
		submissions; /* state of EmailSubmission: grows when one is made or a delivery of one changes */
	struct span name, person; /* of the account */
};

/* One recipient of something submitted (RFC 8621 s7: deliveryStatus). */
struct mail_delivery {
	struct span address, reply; /* the last SMTP reply, "" none */
	enum mail_delivery_state { MAIL_WAITS, MAIL_DELIVERED, MAIL_FAILED, MAIL_DISCARDED } state;
};
struct mail_submission {
	struct span id;		/* MessageMeta.id */
	uint64_t number, email; /* of what was sent; of the Email it was made from */
	enum mail_form email_form;
	struct span sender, identity;
	uint64_t sent_us, modseq;
};

struct mail_body; /* an open message, for reading at any place */

struct mail_store_ops {
	/* All mailboxes of the account and names subscribed to, ascending by name, INBOX first. */
	enum rc (*each_box)(void *arg, bool (*on_box)(void *to, const struct mail_box *b), void *to,
			    struct fault *why) MUST_USE;
	/* REFUSED: there is none. Spans of *out live until the next call. "inbox" in any case is INBOX. */
	enum rc (*box_by_name)(void *arg, struct span name, struct mail_box *out,
			       struct fault *why) MUST_USE;
	enum rc (*box_by_id)(void *arg, uint64_t box, struct mail_box *out,
			     struct fault *why) MUST_USE;
	/* Entries with UID in the range and modseq above `since` (0: all), ascending by UID. */
	enum rc (*each_entry)(void *arg, uint64_t box, struct mail_range uids, uint64_t since,
			      bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			      struct fault *why) MUST_USE;
	/* UIDs that went with a modseq above `since`, ascending, no overlaps. */
	enum rc (*each_gone)(void *arg, uint64_t box, uint64_t since,
			     bool (*on_gone)(void *to, struct mail_range uids), void *to,
			     struct fault *why) MUST_USE;
	/* The UIDs that are there, as ranges: what a session remembers of its mailbox. */
	enum rc (*each_range)(void *arg, uint64_t box,
			      bool (*on_range)(void *to, struct mail_range uids), void *to,
			      struct fault *why) MUST_USE;
	/* Spans live until the next call. */
	enum rc (*digest)(void *arg, uint64_t number, enum mail_form form, struct mail_digest *out,
			  struct fault *why) MUST_USE;
	/* REFUSED: gone or damaged (never bad bytes). At most a few are open at a time. */
	enum rc (*body_open)(void *arg, uint64_t number, enum mail_form form,
			     struct mail_body **out, struct fault *why) MUST_USE;
	uint64_t (*body_bytes)(const struct mail_body *b);
	/* Up to max bytes from offset (fewer only at the end or of a piece; never 0 before the end); reading on is cheap,
	 * going back may begin anew. The span lives until the next call on b. */
	enum rc (*body_read)(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
			     struct fault *why) MUST_USE;
	void (*body_close)(struct mail_body *b); /* accepts NULL */
	/*
	 * UIDs of entries whose message holds the text (UTF-8), ascending. LATER: no index; look yourself. Entries with a
	 * UID in one of the ranges that on_unknown gives are not indexed yet: look yourself.
	 */
	enum rc (*search)(void *arg, uint64_t box, enum mail_text where, struct span text,
			  bool (*on_uid)(void *to, uint32_t uid),
			  bool (*on_unknown)(void *to, struct mail_range uids), void *to,
			  struct fault *why) MUST_USE;

	/* ---- for JMAP; engines that do not speak it leave them alone, tests may leave them NULL. An entry with \Deleted is
	 * not there for them (RFC 8621 s4.1.1): each_place to changed_threads pass it over; of each_entry, search and the
	 * counters of mailboxes the engine leaves it out ---- */
	enum rc (*state)(void *arg, struct mail_state *out, struct fault *why) MUST_USE;
	/* Each entry (with its mailbox) of an Email; REFUSED: the account has none. */
	enum rc (*each_place)(void *arg, uint64_t number, enum mail_form form,
			      bool (*on_place)(void *to, uint64_t box, const struct mail_entry *e),
			      void *to, struct fault *why) MUST_USE;
	/* Emails of a conversation, ascending by reception. REFUSED: the account has none. */
	enum rc (*each_of_thread)(void *arg, uint64_t thread,
				  bool (*on_email)(void *to, const struct mail_email *e), void *to,
				  struct fault *why) MUST_USE;
	/* What became of Emails, mailboxes, threads since a modseq, ascending by the modseq of the last change; what was
	 * made and went since then is not named. LATER: cannot be told (told_from). */
	enum rc (*changed_emails)(void *arg, uint64_t since,
				  bool (*on_change)(void *to, const struct mail_change *c),
				  void *to, struct fault *why) MUST_USE;
	enum rc (*changed_boxes)(void *arg, uint64_t since,
				 bool (*on_change)(void *to, const struct mail_change *c), void *to,
				 struct fault *why) MUST_USE;
	enum rc (*changed_threads)(void *arg, uint64_t since,
				   bool (*on_change)(void *to, const struct mail_change *c),
				   void *to, struct fault *why) MUST_USE;
	/* What the account's programs keep here (MAIL_ACT_SETTING): name and value, ascending by name. */
	enum rc (*each_setting)(void *arg,
				bool (*on_setting)(void *to, struct span name, struct span value),
				void *to, struct fault *why) MUST_USE;
	/* Submissions with modseq above since, ascending by it; and the deliveries of one. */
	enum rc (*each_submission)(void *arg, uint64_t since,
				   bool (*on_submission)(void *to, const struct mail_submission *s),
				   void *to, struct fault *why) MUST_USE;
	enum rc (*each_delivery)(void *arg, uint64_t number,
				 bool (*on_delivery)(void *to, const struct mail_delivery *d),
				 void *to, struct fault *why) MUST_USE;
};

struct mail_store {
	const struct mail_store_ops *ops;
	void *arg; /* bound to one account */
};

/* ---- acts ---- */

enum mail_act_kind { /* fixed: they are recorded */
		     MAIL_ACT_STORE = 1,
		     MAIL_ACT_EXPUNGE, /* of the UIDs those with \Deleted */
		     MAIL_ACT_COPY,
		     MAIL_ACT_MOVE,
		     MAIL_ACT_CREATE, /* missing parents are made too */
		     MAIL_ACT_DELETE, /* its messages leave this mailbox; the archive keeps them */
		     MAIL_ACT_RENAME, /* with all below it; INBOX: its messages move, it stays (RFC 9051 s6.3.6) */
		     MAIL_ACT_SUBSCRIBE,
		     MAIL_ACT_UNSUBSCRIBE,
		     MAIL_ACT_APPEND, /* travels with the MESSAGE record */
		     MAIL_ACT_EMAIL, /* Email/set of JMAP: one patch of many Emails; those that are not there are named in the
			       * verdict, the others are changed */
		     MAIL_ACT_SETTING, /* name: value is kept; "": it goes. At most MAIL_SETTINGS_LIMIT */
};

struct mail_email_id {
	uint64_t number;
	enum mail_form form;
};

enum mail_how { MAIL_HOW_SET, MAIL_HOW_ADD, MAIL_HOW_REMOVE };

struct mail_act {
	enum mail_act_kind kind;
	uint64_t box;		       /* STORE EXPUNGE COPY MOVE APPEND */
	const struct mail_range *uids; /* STORE EXPUNGE COPY MOVE; ascending, no overlaps */
	size_t uids_n;
	enum mail_how how;	   /* STORE */
	uint32_t flags;		   /* STORE APPEND */
	struct span keywords;	   /* STORE APPEND: as in mail_entry */
	uint64_t unchanged_since;  /* STORE (RFC 7162 s3.1.3); UINT64_MAX: no condition */
	uint64_t to;		   /* COPY MOVE: mailbox */
	struct span name;	   /* CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE */
	struct span new_name;	   /* RENAME */
	enum mail_special special; /* CREATE (RFC 6154 s3); MAIL_PLAIN otherwise */
	uint64_t date_us;	   /* APPEND: INTERNALDATE; 0: now */

	const struct mail_email_id *emails; /* EMAIL: ascending, none twice */
	size_t emails_n;
	const uint64_t *into,
		*out_of; /* EMAIL: mailboxes; with is_only all others than `into` are left */
	size_t into_n, out_of_n;
	bool is_only; /* with into_n 0: the Emails are destroyed */
	uint32_t
		flags_off; /* EMAIL, how ADD: flags and keywords are set, these cleared; how SET: exactly those */
	struct span keywords_off;
	uint64_t
		if_state; /* all kinds: refused (MAIL_STATE) when the account's modseq is another; 0: no condition */
	struct span value; /* SETTING */
};

enum mail_code { /* why an act was refused, or what to say beside OK; fixed: verdicts are kept */
		 MAIL_OK,
		 MAIL_NONEXISTENT, /* no such mailbox: [NONEXISTENT], for COPY MOVE APPEND [TRYCREATE] */
		 MAIL_ALREADYEXISTS,
		 MAIL_CANNOT, /* INBOX, special mailboxes, bad name */
		 MAIL_HASCHILDREN,
		 MAIL_OVERQUOTA, /* a limit above */
		 MAIL_LIMIT,
		 MAIL_NOACCOUNT, /* gone or disabled */
		 MAIL_STATE,	 /* if_state: [stateMismatch] */
		 MAIL_NOPLACE,	 /* EMAIL: an Email would be in no mailbox */
};

struct mail_verdict {
	enum mail_code code;
	struct span text;     /* a sentence when refused */
	uint64_t modseq;      /* of the change; 0: nothing changed */
	uint64_t box;	      /* made, or the target */
	uint32_t uidvalidity; /* of the target: APPENDUID, COPYUID (RFC 4315) */
	const struct mail_range *from,
		*to; /* COPY MOVE: source and target UIDs, matching one by one when unrolled;
					     * APPEND: to; EXPUNGE: from */
	size_t from_n, to_n;
	const struct mail_range *modified; /* STORE: UIDs that unchanged_since held back */
	size_t modified_n;
	uint64_t number, thread; /* APPEND: the Email that was made */
	enum mail_form form;
	const struct mail_email_id *missing; /* EMAIL: not there; ascending */
	size_t missing_n;
	uint64_t was; /* the account's modseq before: oldState */
};
