/*
 * Inside the server engine: shared by the files server*.c and by nobody else.
 *
 * A command is read whole into s->text (server_input.c), but for the message of APPEND, which passes through. Then it is
 * an imap_work: its row of the table in server.c parses it and sets run, which step calls again and again; last come the
 * mailbox's news (server_sync.c) and the tagged line. Works wait for verdicts, in the order of their commands.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "imap/server.h"
#include "mail/field.h"
#include "mail/mime.h"
#include "mail/transfer.h"

enum {
	IMAP_EARLY_LIMIT = 8 << 10,	/* of a command before login, literals counted */
	IMAP_EARLY_LITERAL = 4096,	/* RFC 7888 s5 */
	IMAP_COMMAND_LIMIT = 256 << 10, /* after login */
	IMAP_STEP_BYTES = 1 << 20,	/* of bodies that one step reads, or little more */
	IMAP_TAG_LIMIT = 64,
	IMAP_OUT_FLUSH = 16 << 10,
	IMAP_CHUNK = 16 << 10,	   /* of a body at a time */
	IMAP_BATCH = 64,	   /* entries at a time */
	IMAP_OUT_KEPT = 2 << 10,   /* of the output's memory, while the session idles */
	IMAP_OWN_MODSEQS = 16,	   /* of our own changes, not told again */
	IMAP_SET_LIMIT = 64 << 10, /* ranges of one set */
};

enum imap_state {
	IMAP_ST_CONNECTED, /* no greeting yet */
	IMAP_ST_OPEN,	   /* not authenticated */
	IMAP_ST_IN,	   /* authenticated */
	IMAP_ST_SELECTED,
	IMAP_ST_TLS, /* STARTTLS was answered OK */
	IMAP_ST_GONE,
};
#define IMAP_BIT(state) (1u << (state))

struct imap_literal {
	uint64_t bytes;
	bool waits;	/* the client waits for "+" */
	bool is_binary; /* "~{": may hold NUL */
	size_t mark_n;	/* bytes of "~{n+}" */
};

/* What the next byte of input is. */
enum imap_input {
	IMAP_IN_LINE,	 /* of a command */
	IMAP_IN_LITERAL, /* of a command's literal */
	IMAP_IN_SKIP,	 /* of APPEND's message, which nobody wants */
	IMAP_IN_HOST,	 /* none may be read: the host is asked about a login or an APPEND */
	IMAP_IN_SASL,	 /* of the client's response */
	IMAP_IN_IDLE,	 /* of DONE */
	IMAP_IN_MESSAGE, /* of APPEND's message */
	IMAP_IN_TAIL,	 /* of the line that follows it */
	IMAP_IN_READY,	 /* none: a whole command waits until it may start */
};

/* ---- sets and maps ---- */

struct imap_set { /* ascending, no overlaps, none adjacent */
	struct mail_range *r;
	size_t n, cap;
};

/* Adds a range that does not begin before the last one; merges. */
void imap_set_add(struct imap_set *set, uint32_t first, uint32_t last);
void imap_set_clear(struct imap_set *set); /* frees; accepts a zeroed one */
bool imap_set_has(const struct imap_set *set, uint32_t value);
uint64_t imap_set_count(const struct imap_set *set);
/* Index of the first range that does not end before value; set->n: none. */
size_t imap_set_find(const struct imap_set *set, uint32_t value);
void imap_set_print(struct buf *out, const struct mail_range *r, size_t n);

struct imap_run {
	uint32_t first, last; /* UIDs */
	uint32_t before;      /* messages before them */
};
struct imap_map { /* which UIDs the client knows, and their sequence numbers */
	struct imap_run *r;
	size_t n, cap;
	uint32_t total;
};
void imap_map_clear(struct imap_map *m); /* frees */
void imap_map_add(struct imap_map *m, uint32_t first, uint32_t last);
uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid); /* 0: not there */
uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq); /* 1..total */
uint32_t imap_map_last(const struct imap_map *m);	       /* UID; 0: empty */
enum rc imap_map_load(struct imap_server *s, uint64_t box, struct imap_map *out, struct fault *why);

/* ---- works ---- */

enum imap_run_step {
	IMAP_RUN_DONE,	/* imap_finish was called */
	IMAP_RUN_AGAIN, /* there is more, at once */
	IMAP_RUN_LATER, /* there is more; others may go first */
	IMAP_RUN_WAIT,	/* for a verdict, or for input */
};

enum imap_verb_FLAGS {
	IMAP_V_MANY = 1,      /* may start while others of its kind wait for verdicts */
	IMAP_V_KEEPS_SEQ = 2, /* no EXPUNGE in its answer, unless it is the UID form */
	IMAP_V_UID = 4,	      /* has a UID form */
	IMAP_V_NO_NEWS = 8,   /* nothing of the mailbox is told with its answer */
};

struct imap_work;
struct imap_verb {
	const char *name;
	unsigned legal; /* states */
	unsigned flags;
	/* Parses w->args; calls imap_finish or imap_bad, or sets w->run. */
	void (*start)(struct imap_server *s, struct imap_work *w);
};

enum imap_verdict_state { IMAP_NO_ASK, IMAP_ASKED, IMAP_ANSWERED, IMAP_UNANSWERED, IMAP_LOST };

struct imap_work {
	struct list at;
	const struct imap_verb *verb;
	struct buf text; /* the command */
	struct span tag, args;
	bool by_uid, is_finished;
	bool tells_change; /* the change is told by its answer, or silent: it is no news */
	bool is_blocked;   /* run has nothing to do before a verdict or input */
	struct buf done;   /* the tagged line without its tag */
	enum imap_run_step (*run)(struct imap_server *s, struct imap_work *w);
	void (*release)(struct imap_work *w); /* what of data is not in the arena; may be NULL */
	void *data;			      /* of its own kind, in the arena */
	struct arena arena;
	uint64_t ask;
	enum imap_verdict_state asked;
	struct mail_verdict verdict; /* copied into the arena */
};

/* The tagged answer: "OK FETCH completed". Once for each work. */
void imap_finish(struct imap_work *w, const char *format, ...) PRINTF_LIKE(2, 3);
void imap_bad(struct imap_server *s, struct imap_work *w, const char *text);
/* The store could not: NO [UNAVAILABLE] or NO [SERVERBUG]. */
void imap_store_failed(struct imap_work *w, enum rc rc);
/* Asks for an act; act lives in w->arena. run returns IMAP_RUN_WAIT next and is called again with the verdict. */
void imap_ask(struct imap_server *s, struct imap_work *w, const struct mail_act *act);
/* The words of a refused act; false: it was not refused. tries: TRYCREATE instead of NONEXISTENT. */
bool imap_refused(struct imap_work *w, bool tries_create);

/* ---- the selected mailbox ---- */

enum imap_sync_stage { IMAP_SYNC_IDLE, IMAP_SYNC_GONE, IMAP_SYNC_FLAGS };

struct imap_box {
	uint64_t id;
	bool is_readonly;
	struct imap_map map;
	uint64_t seen_modseq;		/* changes up to here were told */
	struct imap_set saved;		/* SEARCHRES */
	uint64_t own[IMAP_OWN_MODSEQS]; /* modseqs of our changes, told already or silent */
	unsigned own_n;
	/* sync at work */
	enum imap_sync_stage stage;
	struct imap_map fresh;
	uint64_t to_modseq;
	uint32_t at; /* UID: all above are done (GONE), all below are done (FLAGS) */
	uint32_t old_last;
};

/* Tells what has changed; true: all of it. False: call again after a flush. Nothing selected: true. */
bool imap_sync(struct imap_server *s, bool may_expunge);
void imap_box_forget(struct imap_server *s); /* unselects */
void imap_own_change(struct imap_server *s, uint64_t modseq);

/* ---- the session ---- */

struct imap_server {
	const struct imap_service *service;
	enum imap_state state;
	bool is_tls, winds_down, tls_said, ends_after_work;
	bool is_rev2, is_utf8, has_condstore, has_qresync;
	uint64_t now_us, since_us; /* since when it is the client's turn */
	unsigned errors;
	struct buf out;

	enum imap_input input;
	struct buf text; /* command in reception */
	size_t part_at;	 /* where the present line of it begins */
	uint64_t left;	 /* of the literal */
	bool is_message; /* the literal in sight is APPEND's message */
	struct imap_literal coming;
	struct imap_work *io; /* the work that IDLE, SASL or APPEND belong to */

	enum imap_step to_say; /* a question that step returns next; IMAP_FEED: none */
	struct imap_login login;
	struct buf login_bytes;
	struct imap_append append;

	bool has_store;
	struct mail_store store;
	struct imap_box *box;
	bool has_news; /* the host said that something changed */

	struct list works;
	unsigned works_n;
	uint64_t last_id;
	struct imap_ask asked;
};

void imap_move(struct imap_server *s, enum imap_state next);
/* Starts what stands in s->text. */
void imap_start(struct imap_server *s);
struct imap_work *imap_work_new(struct imap_server *s);
void imap_bye(struct imap_server *s, const char *code, struct span text);
const struct imap_verb *imap_verb_of(struct span name);
bool imap_may_start(const struct imap_server *s, const struct imap_verb *verb);
void imap_count_error(struct imap_server *s);

/* ---- server_input.c ---- */
enum imap_step imap_take_input(struct imap_server *s, struct span *in, struct span *out_piece);
/* What the present text is: tag, verb and what follows; false: not even that (tag is "" or what was seen of it). */
bool imap_split(struct span line, struct span *out_tag, struct span *out_verb, bool *out_uid,
		struct span *out_args);
void imap_text_done(struct imap_server *s); /* the present command is over: the next line begins */

/* ---- server_out.c ---- */
void imap_put(struct imap_server *s, const char *format, ...) PRINTF_LIKE(2, 3);
void imap_put_span(struct imap_server *s, struct span bytes);
void imap_put_number(struct imap_server *s,
		     uint64_t n); /* decimal; said so often that printf's way is too long */
void imap_put_string(struct buf *out, struct span text);  /* quoted, or a literal */
void imap_put_astring(struct buf *out, struct span text); /* as an atom where it may */
void imap_put_mailbox(struct imap_server *s,
		      struct span utf8_name); /* in what the session speaks */
void imap_put_flags(struct buf *out, uint32_t flags, struct span keywords); /* "(\Seen $Work)" */
void imap_put_date_time(struct buf *out, uint64_t us);			    /* quoted */
bool imap_is_full(const struct imap_server *s);

/* ---- server_parse.c: cursors; true and *c moved, or false and *c anywhere ---- */
bool imap_get(struct span *c, const char *text); /* this text, ASCII case aside */
bool imap_get_space(struct span *c);
bool imap_get_end(const struct span *c);
bool imap_get_atom(struct span *c, struct span *out);
bool imap_get_string(struct arena *a, struct span *c, struct span *out); /* quoted or literal */
bool imap_get_astring(struct arena *a, struct span *c, struct span *out);
bool imap_get_list_mailbox(struct arena *a, struct span *c, struct span *out);
bool imap_get_number(struct span *c, uint64_t max, uint64_t *out);
/* A name as we store it: UTF-8, "INBOX" in capitals. is_utf8: the session speaks UTF-8, else modified UTF-7. */
bool imap_get_mailbox(const struct imap_server *s, struct arena *a, struct span *c,
		      struct span *out);
/* Flags with or without parentheses; keywords sorted, without doubles. */
bool imap_get_flags(struct arena *a, struct span *c, bool needs_list, uint32_t *out_flags,
		    struct span *out_keywords);
bool imap_get_date(struct span *c,
		   int64_t *out_day); /* "1-Feb-2026", quoted or not: days since 1970 */
bool imap_get_date_time(struct span *c, uint64_t *out_us);
/* "EMAILID" "(" objectid ")" and its like use these ids. */
bool imap_get_objectid(struct span *c, struct span *out);
int64_t imap_days(int64_t year, unsigned month, unsigned day);

enum imap_set_result { IMAP_SET_FINE, IMAP_SET_SYNTAX, IMAP_SET_RANGE };
/* A sequence set or UID set as ranges of UIDs, cut at the last UID the client knows; "$" is the saved result. */
enum imap_set_result imap_get_set(const struct imap_server *s, struct span *c, bool by_uid,
				  struct imap_set *out);
/* The same, but as numbers, "*" refused (known-uids of QRESYNC). */
bool imap_get_plain_set(struct span *c, struct imap_set *out);
/* parses "SP set", answers BAD where it is wrong; false: answered. */
bool imap_want_set(struct imap_server *s, struct imap_work *w, struct span *c,
		   struct imap_set *out);

/* ---- server_name.c ---- */
bool imap_utf7_decode(struct span text,
		      struct buf *out); /* false: not modified UTF-7 in its one right form */
void imap_utf7_encode(struct span utf8, struct buf *out);
bool imap_name_is_good(struct span utf8_name); /* may be made */
bool imap_name_matches(struct span name, struct span pattern);

/* ---- entries, a batch at a time ---- */
struct imap_batch {
	struct mail_entry e[IMAP_BATCH];
	size_t n, at;
	struct buf keywords;
	const struct imap_set *uids;
	size_t range; /* of uids: where the next batch begins */
	uint32_t uid;
	bool is_last;
};
void imap_batch_begin(struct imap_batch *b, const struct imap_set *uids);
/* The next entry the client knows; REFUSED: no more. */
enum rc imap_batch_next(struct imap_server *s, struct imap_batch *b, uint64_t since,
			const struct mail_entry **out, uint32_t *out_seq,
			struct fault *why) MUST_USE;
void imap_batch_end(struct imap_batch *b);
/* "* 5 FETCH (UID 7 FLAGS (...) MODSEQ (9))" */
void imap_put_news(struct imap_server *s, uint32_t seq, const struct mail_entry *e);

/* VANISHED (EARLIER) for what went since; known NULL: any UID. */
enum rc imap_put_earlier(struct imap_server *s, uint64_t since, const struct imap_set *known);

/* ---- FETCH: server_fetch.c parses, server_fetch_run.c answers, server_section.c has the bodies ---- */

enum imap_fetch_kind {
	IMAP_F_FLAGS,
	IMAP_F_INTERNALDATE,
	IMAP_F_SIZE,
	IMAP_F_ENVELOPE,
	IMAP_F_BODY,
	IMAP_F_BODYSTRUCTURE,
	IMAP_F_UID,
	IMAP_F_MODSEQ,
	IMAP_F_EMAILID,
	IMAP_F_THREADID,
	IMAP_F_SECTION,
	IMAP_F_BINARY,
	IMAP_F_BINARY_SIZE,
};

enum { IMAP_PATH_LIMIT = 64, IMAP_ITEMS_LIMIT = 200, IMAP_FIELDS_LIMIT = 200 };

struct imap_item {
	enum imap_fetch_kind kind;
	struct span label; /* of the response: "BODY[1.2]<0>" */
	uint32_t *path;
	size_t path_n;
	enum mime_section what;
	struct span *fields; /* NULL: all */
	size_t fields_n;
	bool is_not, is_peek, has_partial;
	uint64_t from, count;
};

enum imap_section_stage {
	IMAP_S_NEW,
	IMAP_S_TABLE,  /* the message is read for its parts */
	IMAP_S_COUNT,  /* decoded bytes are counted */
	IMAP_S_STREAM, /* the literal is being said */
};

/* One message's bodies, and the item of them that is being said. */
struct imap_bodies {
	const struct mail_store_ops *ops;
	struct mail_body *body;
	struct mime *mime;
	bool has_table, is_damaged, is_unknown_cte;
	uint64_t fed;
	uint64_t cost; /* bytes read in this step */
	enum imap_section_stage stage;
	struct mime_range range;
	enum mime_encoding encoding;
	struct transfer transfer;
	uint64_t at, total;  /* read so far; all decoded bytes */
	uint64_t skip, left; /* of what is said: to be passed over, and still to come */
	struct buf scratch;
};

struct imap_fetch {
	struct imap_item *items;
	size_t n;
	struct imap_set uids;
	uint64_t since;
	bool is_vanished, marks_seen;
	struct imap_batch batch;
	const struct mail_entry *e;
	size_t at; /* item */
	struct imap_set seen;
	struct imap_bodies bodies;
	bool has_damage, has_unknown_cte, is_asking;
};

enum imap_run_step imap_run_fetch(struct imap_server *s, struct imap_work *w);
/* DONE: the item is said; AGAIN or LATER: call again. */
enum imap_run_step imap_say_section(struct imap_server *s, struct imap_bodies *b,
				    const struct mail_entry *e, const struct imap_item *item);
void imap_bodies_close(struct imap_bodies *b); /* before the next message */

/* ---- SEARCH: server_search.c parses, server_search_run.c looks ---- */

enum imap_key {
	IMAP_K_ALL,
	IMAP_K_NONE,
	IMAP_K_FLAG,
	IMAP_K_NO_FLAG,
	IMAP_K_KEYWORD,
	IMAP_K_NO_KEYWORD,
	IMAP_K_BEFORE, /* INTERNALDATE */
	IMAP_K_ON,
	IMAP_K_SINCE,
	IMAP_K_SENT_BEFORE,
	IMAP_K_SENT_ON,
	IMAP_K_SENT_SINCE,
	IMAP_K_LARGER,
	IMAP_K_SMALLER,
	IMAP_K_UIDS,
	IMAP_K_TEXT,
	IMAP_K_HEADER,
	IMAP_K_MODSEQ,
	IMAP_K_EMAILID,
	IMAP_K_THREADID,
	/* on what was found before */
	IMAP_K_NOT,
	IMAP_K_AND,
	IMAP_K_OR,
};

enum imap_return_FLAGS {
	IMAP_R_MIN = 1,
	IMAP_R_MAX = 2,
	IMAP_R_ALL = 4,
	IMAP_R_COUNT = 8,
	IMAP_R_SAVE = 16
};

enum { IMAP_KEYS_LIMIT = 1000, IMAP_TEXTS_LIMIT = 200, IMAP_KEY_DEPTH = 60 };

struct imap_node {
	enum imap_key key;
	uint32_t flag;
	int64_t day;
	uint64_t number;
	struct span text; /* folded for TEXT and HEADER; a keyword; an id */
	struct span name; /* of HEADER's field */
	enum mail_text where;
	struct imap_set uids;	 /* UIDS; TEXT: what the index found */
	struct imap_set unknown; /* TEXT: what it does not know */
	bool is_unknown;	 /* TEXT: there is no index */
};

struct imap_search {
	struct imap_node *nodes; /* in postfix order */
	size_t n;
	unsigned returns;
	bool is_extended, has_modseq;
	struct imap_set all; /* UIDs to look at */
	struct imap_batch batch;
	/* the message that is read */
	const struct mail_entry *e;
	struct mail_body *body;
	const struct mail_store_ops *ops;
	struct digest_maker *maker; /* NULL: only the header is wanted */
	bool has_header;
	struct buf header; /* its header section, as long as it may be */
	uint64_t fed;
	/* what was found */
	struct imap_set found;
	uint64_t modseq;
	size_t said_range;
	uint32_t said;
	bool is_saying;
};

enum imap_run_step imap_run_search(struct imap_server *s, struct imap_work *w);
void imap_search_close(struct imap_search *q); /* the message that is read */

/* ---- commands ---- */
void imap_on_capability(struct imap_server *s, struct imap_work *w);
void imap_on_noop(struct imap_server *s, struct imap_work *w);
void imap_on_logout(struct imap_server *s, struct imap_work *w);
void imap_on_id(struct imap_server *s, struct imap_work *w);
void imap_on_enable(struct imap_server *s, struct imap_work *w);
void imap_on_starttls(struct imap_server *s, struct imap_work *w);
void imap_on_authenticate(struct imap_server *s, struct imap_work *w);
void imap_on_login(struct imap_server *s, struct imap_work *w);
void imap_on_idle(struct imap_server *s, struct imap_work *w);
void imap_on_select(struct imap_server *s, struct imap_work *w);
void imap_on_examine(struct imap_server *s, struct imap_work *w);
void imap_on_close(struct imap_server *s, struct imap_work *w);
void imap_on_unselect(struct imap_server *s, struct imap_work *w);
void imap_on_list(struct imap_server *s, struct imap_work *w);
void imap_on_lsub(struct imap_server *s, struct imap_work *w);
void imap_on_namespace(struct imap_server *s, struct imap_work *w);
void imap_on_status(struct imap_server *s, struct imap_work *w);
void imap_on_create(struct imap_server *s, struct imap_work *w);
void imap_on_delete(struct imap_server *s, struct imap_work *w);
void imap_on_rename(struct imap_server *s, struct imap_work *w);
void imap_on_subscribe(struct imap_server *s, struct imap_work *w);
void imap_on_unsubscribe(struct imap_server *s, struct imap_work *w);
void imap_on_append(struct imap_server *s, struct imap_work *w);
void imap_on_fetch(struct imap_server *s, struct imap_work *w);
void imap_on_store(struct imap_server *s, struct imap_work *w);
void imap_on_copy(struct imap_server *s, struct imap_work *w);
void imap_on_move(struct imap_server *s, struct imap_work *w);
void imap_on_expunge(struct imap_server *s, struct imap_work *w);
void imap_on_search(struct imap_server *s, struct imap_work *w);

void imap_put_capabilities(struct imap_server *s, struct buf *out);
/* server_login.c: a line of the exchange; DONE. The step to say, or IMAP_FEED. */
enum imap_step imap_sasl_line(struct imap_server *s, struct span line, struct span *out_piece);
void imap_idle_line(struct imap_server *s, struct span line);
void imap_idle_news(struct imap_server *s);
/* server_status.c: appends "MESSAGES 5 ..." for a list "(MESSAGES ...)" read into bits. */
bool imap_get_status_items(struct span *c, unsigned *out_items);
void imap_put_status(struct imap_server *s, const struct mail_box *b, unsigned items);
enum { IMAP_STATUS_MODSEQ = 64 };

/* server_append.c: is this text, up to the literal's brace, an APPEND whose message comes now? */
bool imap_append_is_due(struct imap_server *s, struct span upto_brace);
/* Starts it: s->text is the command up to the brace, s->coming the literal. */
void imap_append_start(struct imap_server *s);
enum imap_step imap_append_input(struct imap_server *s, struct span *in, struct span *out_piece);
