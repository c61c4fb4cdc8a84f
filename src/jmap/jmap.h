/*
 * JMAP from the server's side (RFC 8620, 8621), as a pure machine: one request of a person is one struct jmap. JSON in;
 * JSON and questions out. No socket, no clock; memory bounded. The host (desk) drives it:
 *
 *   j = jmap_new(&service, &person, &request);
 *   for (;;)
 *           switch (jmap_step(j, &piece)) { ... }
 *   ... jmap_status(j), jmap_response(j) ...
 *   jmap_free(j);
 *
 * What the mailboxes hold is read at once through struct mail_store; what is to be changed is asked as acts
 * (mail/store.h), one at a time; messages that are made leave in pieces.
 *
 *   J1  The request is read completely before anything is done: one that is no JSON, no request, or above a limit
 *       changes nothing (RFC 8620 s3.6.1). Calls are worked off in order, each with its answer (s3.3).
 *   J2  A change is answered after the verdict, never before. Without a verdict the call fails, and says that nobody
 *       knows (RFC 8620 s3.6.2 serverPartialFail, serverUnavailable).
 *   J3  Nothing is allocated because a size was announced. JSON is measured (bytes, depth, values, names that occur twice)
 *       before it is parsed; a message is never whole in memory.
 *   J4  One step does little (some thousand messages by their entries, a few by their head, or a piece of a body), so that a host can go round
 *       among its requests and stop one by not stepping or by freeing.
 *   J5  An id that is another account's, or never was, gets the same answer: not found.
 */
#pragma once

#include "base/buf.h"
#include "mail/store.h"

struct jmap;

/* ---- who and what ---- */

struct jmap_limits {		/* RFC 8620 s2, RFC 8621 s1.3 */
	uint64_t request_bytes; /* maxSizeRequest; the host takes no longer body than this plus 1 */
	uint64_t upload_bytes;	/* maxSizeUpload */
	uint64_t attachments_bytes;  /* maxSizeAttachmentsPerEmail */
	unsigned concurrent_uploads; /* of one account; the host counts */
	unsigned concurrent_requests;
	unsigned calls; /* maxCallsInRequest */
	unsigned get, set;
};
struct jmap_limits jmap_limits_usual(void); /* at least what RFC 8620 s2 suggests */

struct jmap_service {
	struct jmap_limits limits;
	struct span node; /* right side of Message-IDs that are made */
	bool can_send;	  /* urn:ietf:params:jmap:submission is offered */
};

/* Uploaded files (RFC 8620 s6.1) as the host keeps them; id: 32 hexadecimal digits. */
struct jmap_upload;
struct jmap_upload_ops {
	/* REFUSED: there is none of this account. */
	enum rc (*open)(void *arg, struct span id, struct jmap_upload **out,
			struct fault *why) MUST_USE;
	uint64_t (*bytes)(const struct jmap_upload *u);
	/* As body_read of struct mail_store_ops. */
	enum rc (*read)(struct jmap_upload *u, uint64_t offset, size_t max, struct span *out,
			struct fault *why) MUST_USE;
	void (*close)(struct jmap_upload *u); /* accepts NULL */
};

/* Whose request it is. Everything borrowed; must live as long as what it is given to. */
struct jmap_person {
	uint64_t account;	    /* A<account> is its id */
	struct span name, person;   /* of the account; of the human, "" not known */
	const struct span *send_as; /* addresses this account may send as, the main one first */
	size_t send_as_n;
	struct mail_store store;
	const struct jmap_upload_ops *uploads;
	void *uploads_arg;
};

/* ---- one request ---- */

struct jmap_request {
	struct span content_type; /* of the HTTP request, with parameters */
	struct span body;	  /* read by jmap_new; not needed afterwards */
	uint64_t now_us;
	unsigned char random[16]; /* for ids and boundaries that are made */
};

enum jmap_step {
	JMAP_AGAIN, /* work is left: step again, others may go first */
	JMAP_WAIT,  /* nothing goes on before what was asked is answered */
	JMAP_ACT, /* jmap_asked: to be made so; jmap_verdict or jmap_lost answers. Step again then */
	JMAP_MESSAGE_BEGIN, /* jmap_message: a message comes. The host may answer at any time from here on, when it cannot
			     * be taken: nothing more comes of it then, and no END or DROP */
	JMAP_MESSAGE_PIECE, /* the piece, which dies with the next step: step when there is room for more */
	JMAP_MESSAGE_END, /* it is complete: store or submit it; the answer is waited for */
	JMAP_MESSAGE_DROP, /* it will not be completed: forget its pieces; nothing is to be answered */
	JMAP_DONE,	   /* jmap_status and jmap_response */
};

/* Borrows service and person for its life. Never NULL. */
struct jmap *jmap_new(const struct jmap_service *service, const struct jmap_person *person,
		      const struct jmap_request *request);
void jmap_free(struct jmap *j); /* accepts NULL; what is open is forgotten, without DROP */
enum jmap_step jmap_step(struct jmap *j, struct span *out_piece) MUST_USE;

/* After JMAP_DONE: the HTTP status, and the body: application/json with 200, else application/problem+json. The span
 * lives as long as j. */
unsigned jmap_status(const struct jmap *j);
struct span jmap_response(const struct jmap *j);

struct jmap_ask {
	uint64_t id;		    /* unique in the request; the key of the answer */
	const struct mail_act *act; /* dies with the next step: take what is needed */
};
const struct jmap_ask *jmap_asked(const struct jmap *j); /* after JMAP_ACT */

/* From JMAP_MESSAGE_BEGIN until its answer or drop. */
struct jmap_message {
	uint64_t id;
	bool is_submission;
	uint64_t bytes_most; /* no more than this will come */
	/* is_submission false: stored as a MESSAGE of the account with this act (MAIL_ACT_APPEND); answered by
	 * jmap_verdict, whose number, form and thread are the Email. The act dies with the step after END. */
	struct mail_act act;
	/* is_submission true: to be sent (submit.msg); answered by jmap_submitted. */
	struct span sender;
	const struct span *rcpts;
	size_t rcpts_n;
	struct mail_email_id email; /* it is made from */
	struct span identity;
};
const struct jmap_message *jmap_message(const struct jmap *j);

struct jmap_refused { /* a recipient */
	struct span address;
	unsigned code;
	struct span enhanced, text;
};
struct jmap_submitted {
	unsigned code; /* 250: taken, on disk; else the SMTP code of the refusal */
	struct span enhanced, text;
	struct span message; /* its id (MessageMeta.id) */
	const struct jmap_refused *refused;
	size_t refused_n;
};

/* The answers; what they borrow is copied. Unknown ids are ignored. Step afterwards. */
void jmap_verdict(struct jmap *j, uint64_t ask, const struct mail_verdict *v);
void jmap_submitted(struct jmap *j, uint64_t ask, const struct jmap_submitted *s);
/* is_sure: it was not done, try later. Else nobody knows whether it was or will be done. text: a sentence. */
void jmap_lost(struct jmap *j, uint64_t ask, bool is_sure, struct span text);

/* ---- beside requests ---- */

/*
 * The Session object (RFC 8620 s2). base: "https://mail.example.org:8443", in front of the paths. Its state does not
 * depend on base, and is what answers say as sessionState.
 */
void jmap_session(const struct jmap_service *service, const struct jmap_person *person,
		  struct span base, struct buf *out);

/* "A<number>" of a path. False: it is none. */
bool jmap_account_of(struct span text, uint64_t *out_account);
/* The answer to an upload (RFC 8620 s6.1). id: 32 hexadecimal digits, made by the host. */
void jmap_uploaded(const struct jmap_person *person, struct span id, struct span type,
		   uint64_t bytes, struct buf *out);
/* An error of the host as the standard writes it (RFC 7807): "urn:ietf:params:jmap:error:limit" with limit
 * "maxConcurrentUpload", or type "about:blank". limit "": none. */
void jmap_problem(unsigned status, const char *type, const char *detail, const char *limit,
		  struct buf *out);

/*
 * Reading a blob: a message (G<email>), a part of one (G<email>p<index>; decoded), an upload (U<32 hex>). In pieces; the size
 * is known before the first. A part has to be found first: jmap_blob_ready says MORE until then.
 */
struct jmap_blob;
/* REFUSED: there is no such blob of this account. */
enum rc jmap_blob_open(const struct jmap_person *person, struct span id, struct jmap_blob **out,
		       struct fault *why) MUST_USE;
/* MORE: call again (others may go first). OK: jmap_blob_bytes and _read serve. REFUSED: there is none after all. */
enum rc jmap_blob_ready(struct jmap_blob *b, struct fault *why) MUST_USE;
uint64_t jmap_blob_bytes(const struct jmap_blob *b);
/* What stands in the part's own header: "image/png"; "message/rfc822" of a message; "" of an upload. */
struct span jmap_blob_type(const struct jmap_blob *b);
/* The next piece, empty at the end; lives until the next call. MORE: call again. BROKEN: the rest cannot be read. */
enum rc jmap_blob_read(struct jmap_blob *b, struct span *out, struct fault *why) MUST_USE;
/* Goes to offset, at most bytes: for ranges. Only forwards. */
void jmap_blob_skip(struct jmap_blob *b, uint64_t offset);
void jmap_blob_close(struct jmap_blob *b); /* accepts NULL */

/*
 * Push (RFC 8620 s7): what one stream has told. Zeroed, with types set, it tells the present state first.
 */
enum jmap_type_FLAGS {
	JMAP_MAILBOX = 1,
	JMAP_EMAIL = 2,
	JMAP_THREAD = 4,
	JMAP_EMAIL_DELIVERY = 8,
	JMAP_SUBMISSION = 16,
	JMAP_IDENTITY = 32,
	JMAP_TYPES_ALL = 63,
};
struct jmap_push {
	unsigned types; /* JMAP_ ... */
	bool is_begun;
	uint64_t modseq, submissions, delivered, identity;
};
/* "*" or "Email,Mailbox,..."; names nobody knows are passed over. */
unsigned jmap_push_types(struct span names);
/* What was told last, as the id of an event; and the other way round: what follows is news to who has heard that. */
enum { JMAP_PUSH_ID_BYTES = 4 * 21 };
void jmap_push_id(const struct jmap_push *p, char out[JMAP_PUSH_ID_BYTES]);
bool jmap_push_from(struct jmap_push *p, struct span id);
/* Appends a StateChange object of what has changed since the last, and nothing when nothing has. */
enum rc jmap_push_next(struct jmap_push *p, const struct jmap_person *person, struct buf *out,
		       struct fault *why) MUST_USE;

/* Opens what JSON needs from the outside (its hash seed), once per process before a sandbox closes. */
void jmap_warm(void);
