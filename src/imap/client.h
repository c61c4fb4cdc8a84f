/*
 * The client side of IMAP as a pure engine: response bytes and events in, command bytes and wants out. No socket, no
 * clock, no TLS: the host (courier, auth, watch) does what imap_client_want says. Any split of the same input gives
 * the same result.
 *
 *   new -> [greeting, CAPABILITY, (STARTTLS, CAPABILITY)] -> COMMAND (not logged in)
 *   COMMAND -> login | select | append ... -> (PIECE ...) -> RESULT -> next -> COMMAND ... logout -> CLOSED
 *
 * One command at a time. RFC 3501 and 9051 (rev1 is spoken; ENABLE is never sent), 2595/8314 TLS, 4616 and 4959 PLAIN,
 * 4315 UIDPLUS, 6154 SPECIAL-USE, 6851 MOVE, 7162 CONDSTORE, 7888 LITERAL+/-, 2177 IDLE, 2342 NAMESPACE, 5530 codes.
 *
 *   I1  PREAUTH is a failure (T-05): who we are would be the server's word alone.
 *   I2  Bytes after STARTTLS's OK that came in clear are a failure, nothing learned before TLS counts after it
 *       (T-01, T-03), and a login is sent in clear only if the host asked for IMAP_CLIENT_TLS_NONE.
 *   I3  A response that is none (too long, too deep, bad literal, unknown tag, wrong message) ends the conversation; the
 *       command under way is then LOST: its outcome is unknown.
 *   I4  Memory: one response (IMAP_CLIENT_RESPONSE_BYTES) and one command; a message's body passes in pieces.
 *   I5  What is passed to callbacks is checked: UIDs of 1.., flags known or atoms, names UTF-8 without NUL, CR, LF.
 */
#pragma once

#include "base/span.h"

enum {
	IMAP_CLIENT_RESPONSE_BYTES =
		256 << 10, /* one response with its literals, without a streamed body */
	IMAP_CLIENT_NESTING_LIMIT = 16,
	IMAP_CLIENT_NAME_BYTES = 1024,	       /* of a mailbox, UTF-8 */
	IMAP_CLIENT_TEXT_BYTES = 256,	       /* kept of a response's text, with the NUL */
	IMAP_CLIENT_LITERAL_LIMIT = 256 << 20, /* a body of more is no message of ours */
};

struct imap_client;

enum imap_client_tls {
	IMAP_CLIENT_TLS_NONE,	  /* stays in clear (loopback, demonstration) */
	IMAP_CLIENT_TLS_STARTTLS, /* or the conversation fails */
	IMAP_CLIENT_TLS_DONE,	  /* the host shook hands before the greeting (port 993) */
};

/* Milliseconds; 0 takes the default. */
struct imap_client_times {
	uint32_t greeting_ms, tls_ms, command_ms, idle_ms;
};

/* ---- what servers tell ---- */

enum imap_client_flag_FLAGS { /* as enum mail_flag_FLAGS (mail/store.h) */
			      IMAP_CLIENT_SEEN = 1,
			      IMAP_CLIENT_ANSWERED = 2,
			      IMAP_CLIENT_FLAGGED = 4,
			      IMAP_CLIENT_DELETED = 8,
			      IMAP_CLIENT_DRAFT = 16,
};

enum imap_client_box_FLAGS {
	IMAP_CLIENT_BOX_NOSELECT = 1, /* also \NonExistent */
	IMAP_CLIENT_BOX_SENT = 2,     /* RFC 6154 */
	IMAP_CLIENT_BOX_DRAFTS = 4,
	IMAP_CLIENT_BOX_ARCHIVE = 8,
	IMAP_CLIENT_BOX_TRASH = 16,
	IMAP_CLIENT_BOX_JUNK = 32,
	IMAP_CLIENT_BOX_ALL = 64,
	IMAP_CLIENT_BOX_FLAGGED = 128,
	IMAP_CLIENT_BOX_INBOX = 256, /* the name INBOX */
};

/* One line of LIST. Spans die with the callback. */
struct imap_client_box {
	struct span name; /* UTF-8, with the server's own delimiter */
	char delimiter;	  /* 0: flat */
	uint32_t flags;
};

/* One FETCH response; what was not sent is 0 or empty. */
struct imap_client_message {
	uint32_t seq, uid;
	bool has_flags;
	uint32_t flags;
	struct span keywords; /* one space between, as sent */
	bool has_date;
	int64_t date_s; /* INTERNALDATE, seconds since 1970 */
	bool has_size;
	uint64_t size_bytes; /* RFC822.SIZE */
	uint64_t modseq;
	struct span header; /* BODY[HEADER.FIELDS (...)] */
	bool has_body;	    /* its pieces went to on_body */
};

struct imap_client_options {
	enum imap_client_tls tls;
	struct imap_client_times times;
	/* Bytes for the peer, in order. None of the callbacks may call back into the engine; spans die with the call. */
	void (*on_output)(void *arg, struct span bytes);
	void (*on_box)(void *arg, const struct imap_client_box *box); /* LIST; may be NULL */
	void (*on_uid)(void *arg, uint32_t uid);		      /* UID SEARCH; may be NULL */
	void (*on_message)(
		void *arg,
		const struct imap_client_message *m);  /* FETCH, asked for or not; may be NULL */
	void (*on_body)(void *arg, struct span piece); /* before its on_message; may be NULL */
	void *arg;
};

/* Copies the options. The engine waits for the greeting at once. */
struct imap_client *imap_client_new(const struct imap_client_options *options);
void imap_client_free(struct imap_client *c); /* accepts NULL; wipes what was secret */

enum imap_client_want {
	IMAP_CLIENT_WANT_INPUT, /* wait for responses (imap_client_timeout_ms) */
	IMAP_CLIENT_WANT_TLS, /* shake hands, then imap_client_secured; a failure: imap_client_lost */
	IMAP_CLIENT_WANT_COMMAND, /* ready: give a command, or keep it for later */
	IMAP_CLIENT_WANT_PIECE, /* imap_client_append_piece until all announced bytes were given */
	IMAP_CLIENT_WANT_RESULT, /* a command is over: read imap_client_result, then imap_client_next */
	IMAP_CLIENT_WANT_CLOSE, /* over: close (imap_client_result tells of the command that was under way) */
};
enum imap_client_want imap_client_want(const struct imap_client *c);

/* Takes all bytes; those after the end are ignored. */
void imap_client_input(struct imap_client *c, struct span bytes);
void imap_client_secured(struct imap_client *c);
/* The connection ended or the deadline passed. why: for the result's text. */
void imap_client_lost(struct imap_client *c, const char *why);
/* How long to wait for the next bytes or for output to move; start anew at each. */
uint32_t imap_client_timeout_ms(const struct imap_client *c);

struct imap_client_capabilities {
	bool imap4rev1, imap4rev2, starttls, logindisabled, auth_plain, sasl_ir, uidplus, move,
		condstore, special_use, create_special_use, idle, namespaces, literal_plus,
		literal_minus;
};
/* Of the present moment: asked again after TLS and after login. */
const struct imap_client_capabilities *imap_client_capabilities(const struct imap_client *c);

/* Why it ended without imap_client_logout; NULL: it has not failed. Lives as long as c. */
const char *imap_client_failure(const struct imap_client *c);

/* ---- the outcome of a command ---- */

enum imap_client_outcome {
	IMAP_CLIENT_DONE, /* OK */
	IMAP_CLIENT_NO, /* refused; nothing was changed (of a MOVE done as COPY: see imap_client_move) */
	IMAP_CLIENT_BAD, /* the server did not understand us */
	IMAP_CLIENT_LOCAL, /* not sent at all: the server lacks what it needs, or a text cannot stand in a command */
	IMAP_CLIENT_LOST, /* the conversation ended before the answer: nobody knows */
};

enum imap_client_code { /* RFC 5530 and others, of the tagged response */
			IMAP_CODE_NONE,
			IMAP_CODE_OTHER,
			IMAP_CODE_UNAVAILABLE,
			IMAP_CODE_AUTHENTICATIONFAILED,
			IMAP_CODE_AUTHORIZATIONFAILED,
			IMAP_CODE_EXPIRED,
			IMAP_CODE_PRIVACYREQUIRED,
			IMAP_CODE_CONTACTADMIN,
			IMAP_CODE_NOPERM,
			IMAP_CODE_INUSE,
			IMAP_CODE_CORRUPTION,
			IMAP_CODE_SERVERBUG,
			IMAP_CODE_LIMIT,
			IMAP_CODE_OVERQUOTA,
			IMAP_CODE_ALREADYEXISTS,
			IMAP_CODE_NONEXISTENT,
			IMAP_CODE_TRYCREATE,
			IMAP_CODE_CANNOT,
			IMAP_CODE_TOOBIG,
			IMAP_CODE_MODIFIED,
			IMAP_CODE_APPENDUID,
			IMAP_CODE_COPYUID,
			IMAP_CODE_READ_ONLY,
			IMAP_CODE_READ_WRITE,
};

struct imap_client_result {
	enum imap_client_outcome outcome;
	enum imap_client_code code;
	const char *text; /* one printable line; lives until the next command */
	/* APPEND, COPY/MOVE: where it went (APPENDUID, COPYUID); 0: not told. */
	uint32_t uidvalidity, uid;
	bool is_modified; /* STORE with unchanged_since: somebody else changed it meanwhile; nothing was done */
};
struct imap_client_result imap_client_result(const struct imap_client *c);
void imap_client_next(struct imap_client *c); /* want becomes COMMAND, or stays CLOSE */

/* The selected mailbox. */
struct imap_client_selected {
	uint32_t uidvalidity, uidnext, exists;
	uint64_t highest_modseq; /* 0: no CONDSTORE */
	bool is_read_only;
	bool keywords_allowed;	/* PERMANENTFLAGS has \* */
	uint32_t flags_allowed; /* PERMANENTFLAGS, system flags; all if not told */
};
const struct imap_client_selected *imap_client_selected(const struct imap_client *c);

/* NAMESPACE, the first personal one; after imap_client_namespace. */
struct imap_client_space {
	struct span prefix; /* "" or "INBOX." ...; lives until the next imap_client_namespace */
	char delimiter;
};
struct imap_client_space imap_client_space(const struct imap_client *c);

/* ---- commands; want must be COMMAND. Everything is copied. ---- */

/*
 * AUTHENTICATE PLAIN when offered (with an initial response where allowed), else LOGIN when there is no authorize. user is
 * who proves, authorize whose mailbox it is ("" the same). DONE, NO with AUTHENTICATIONFAILED..., or LOCAL. Afterwards
 * capabilities are those of the logged-in state.
 */
void imap_client_login(struct imap_client *c, struct span user, struct span authorize,
		       struct span password);
void imap_client_namespace(struct imap_client *c);
void imap_client_list(struct imap_client *c,
		      struct span pattern); /* pattern in UTF-8: "*", "%", a name */
void imap_client_create(struct imap_client *c, struct span name,
			uint32_t special); /* one IMAP_CLIENT_BOX_ or 0 */
void imap_client_subscribe(struct imap_client *c, struct span name);
void imap_client_select(struct imap_client *c, struct span name);
/* UIDs of messages whose header field holds the text (substring, case folded: the caller compares). */
void imap_client_search_header(struct imap_client *c, struct span field, struct span text);
/* A HEADER.FIELDS of `fields` ("Message-ID Date") too if it is not empty. UIDs first..last; last 0: only first. */
void imap_client_fetch(struct imap_client *c, uint32_t first, uint32_t last, struct span fields);
void imap_client_fetch_body(struct imap_client *c, uint32_t uid); /* BODY.PEEK[] by on_body */

enum imap_client_how { IMAP_CLIENT_SET, IMAP_CLIENT_ADD, IMAP_CLIENT_REMOVE };
/* unchanged_since: 0 no condition (and none is sent to a server without CONDSTORE). Keywords: one space between. */
void imap_client_store(struct imap_client *c, uint32_t uid, enum imap_client_how how,
		       uint32_t flags, struct span keywords, uint64_t unchanged_since);

struct imap_client_append {
	struct span mailbox;
	uint32_t flags;
	struct span keywords;
	bool has_date;
	int64_t date_s;	     /* INTERNALDATE, told in UTC */
	uint64_t size_bytes; /* exactly so many are given by append_piece; at least 1 */
};
/* Want becomes PIECE once the server takes the literal, or RESULT when it refuses. */
void imap_client_append(struct imap_client *c, const struct imap_client_append *append);
void imap_client_append_piece(struct imap_client *c, struct span piece);

/*
 * MOVE, else COPY, STORE \Deleted and UID EXPUNGE (only with UIDPLUS: without it the message stays marked as deleted,
 * since a bare EXPUNGE would take others' with it). NO after the COPY cannot undo it: result.uid tells that it was made.
 */
void imap_client_move(struct imap_client *c, uint32_t uid, struct span mailbox);
void imap_client_expunge(struct imap_client *c, uint32_t uid); /* UIDPLUS, else LOCAL */

/* IDLE: on_message and news (below) come until idle_end; RESULT follows. LOCAL without the capability. */
void imap_client_idle(struct imap_client *c);
void imap_client_idle_end(struct imap_client *c);	 /* want is INPUT during IDLE */
bool imap_client_is_idling(const struct imap_client *c); /* the server has said "+" */
void imap_client_noop(struct imap_client *c);
void imap_client_logout(struct imap_client *c); /* want becomes CLOSE */

/* ---- names ---- */

struct buf;
/* Modified UTF-7 (RFC 3501 s5.1.3). False: not UTF-8 (or not UTF-7), or longer than the limit; out is then unspecified. */
bool imap_client_name_encode(struct span utf8, struct buf *out);
bool imap_client_name_decode(struct span utf7, struct buf *out);
