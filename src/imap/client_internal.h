/* What the files of the client engine share; included only by src/imap/client*.c. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "imap/client.h"

enum imap_command {
	COMMAND_GREETING, /* no command: the server speaks first */
	COMMAND_CAPABILITY,
	COMMAND_STARTTLS,
	COMMAND_LOGIN, /* also AUTHENTICATE */
	COMMAND_NAMESPACE,
	COMMAND_LIST,
	COMMAND_CREATE,
	COMMAND_SUBSCRIBE,
	COMMAND_SELECT,
	COMMAND_SEARCH,
	COMMAND_FETCH,
	COMMAND_FETCH_BODY,
	COMMAND_STORE,
	COMMAND_APPEND,
	COMMAND_MOVE,
	COMMAND_COPY, /* the three steps of a move without MOVE */
	COMMAND_MARK,
	COMMAND_SWEEP,
	COMMAND_EXPUNGE,
	COMMAND_IDLE,
	COMMAND_NOOP,
	COMMAND_LOGOUT,
};

enum imap_state {
	STATE_TALKING, /* the answer to a command is outstanding */
	STATE_TLS,     /* handshake under way at the host */
	STATE_READY,
	STATE_PIECE, /* the literal of an APPEND */
	STATE_RESULT,
	STATE_CLOSED,
};

enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE, IMAP_PREAUTH };

/* One response as it comes in; client_response.c. */
struct imap_reader {
	struct buf bytes;      /* of the response so far, its literals in place */
	size_t line_at;	       /* where in bytes the present line began: behind the last literal */
	uint64_t literal_left; /* to come of the present literal */
	bool is_streaming;     /* the present literal goes to on_body, not into bytes */
	size_t streamed_at;    /* where in bytes it would stand; SIZE_MAX: none in this response */
};

/* A walk over a complete response; client_token.c. */
struct imap_cursor {
	const unsigned char *at, *end;
	const unsigned char *streamed; /* a literal that stands here was streamed; NULL: none */
	struct arena *scratch;	       /* for strings with escapes */
};

enum { IMAP_BREAKS_LIMIT = 4 }; /* literals of one command */

struct imap_client {
	struct imap_client_options options;
	enum imap_state state;
	struct imap_reader reader;
	struct arena scratch; /* of one response */
	struct imap_client_capabilities caps;
	bool caps_told, is_secured, is_logged_in, is_selected;
	bool is_ending; /* no further command after this result */
	struct imap_client_selected selected;
	struct buf space;
	char delimiter;

	/* The command under way. */
	enum imap_command command;
	unsigned tag;
	struct buf text; /* all of it; sent up to `sent` */
	size_t sent, breaks[IMAP_BREAKS_LIMIT], breaks_n;
	struct buf answer; /* SASL response that waits for "+" */
	uint64_t pieces_left;
	bool is_committed; /* APPEND: all of the literal has to be sent now; IDLE: "+" has come */
	bool idling, body_seen;
	uint32_t uid;	   /* FETCH_BODY, MOVE */
	struct buf target; /* MOVE: encoded name */

	struct imap_client_result result;
	char result_text[IMAP_CLIENT_TEXT_BYTES];
	bool has_failed;
	char failure[IMAP_CLIENT_TEXT_BYTES];
};

/* ---- client_token.c: false means "not that"; the cursor is then anywhere ---- */
bool imap_take(struct imap_cursor *c, char byte);
bool imap_peek(const struct imap_cursor *c, char byte);
bool imap_take_number(struct imap_cursor *c, uint64_t max, uint64_t *out);
bool imap_take_atom(struct imap_cursor *c, struct span *out);
bool imap_take_flag(struct imap_cursor *c,
		    struct span *out); /* an atom, perhaps with "\" before it; or "\*" */
bool imap_take_string(struct imap_cursor *c, struct span *out, bool *out_streamed);
bool imap_take_nstring(struct imap_cursor *c, struct span *out,
		       bool *out_streamed); /* NIL: empty */
bool imap_take_astring(struct imap_cursor *c, struct span *out);
bool imap_skip_value(struct imap_cursor *c); /* anything, nested up to the limit */
/* "(\Seen $Junk)"; keywords joined by spaces; not-too-long atoms alone. */
bool imap_take_flags(struct imap_cursor *c, uint32_t *out_flags, struct span *out_keywords,
		     bool *out_any);
bool imap_take_date(struct imap_cursor *c, int64_t *out_seconds); /* quoted date-time */
bool imap_is_atom(struct span s);

/* ---- client_response.c ---- */
void imap_reader_init(struct imap_reader *r);
/* Takes bytes up to the end of one response. OK: complete; MORE; REFUSED: it is none. */
enum rc imap_reader_feed(struct imap_client *c, struct span *bytes);
void imap_reader_reset(struct imap_reader *r);
/* One complete response. */
void imap_response(struct imap_client *c);

/* ---- client_status.c ---- */
void imap_read_capabilities(struct imap_client *c, struct imap_cursor *at);
/* The code in brackets takes effect on c; *out_text: what stands behind it. */
enum imap_client_code imap_read_code(struct imap_client *c, struct span text,
				     struct span *out_text);
void imap_say(char *out, size_t size, struct span text); /* printable, one line */

/* ---- client.c ---- */
void imap_enter(struct imap_client *c, enum imap_state next);
void imap_fail(struct imap_client *c, const char *why);
void imap_on_tagged(struct imap_client *c, enum imap_status status, struct span text);
void imap_on_untagged_status(struct imap_client *c, enum imap_status status, struct span text);
void imap_on_continue(struct imap_client *c);
void imap_finish(struct imap_client *c, enum imap_client_outcome outcome); /* the command is over */
void imap_local(struct imap_client *c, const char *why); /* it is over before it was sent */

/* ---- client_command.c ---- */
void imap_begin(struct imap_client *c, enum imap_command command, const char *verb);
void imap_add_string(struct imap_client *c, struct span s);
void imap_send(struct imap_client *c); /* ends the line and sends what may be sent */
void imap_pump(struct imap_client *c);
void imap_wipe(struct buf *b);
void imap_start_capability(struct imap_client *c);
void imap_start_starttls(struct imap_client *c);
void imap_start_move_step(struct imap_client *c, enum imap_command command);
