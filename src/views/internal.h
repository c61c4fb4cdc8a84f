/*
 * Inside src/views only.
 *
 * The object keeps the sites with something open in memory (few; their counters change with every record) and writes
 * those that changed at commit. Everything else goes through prepared statements. The first error sticks: later statements do nothing, and the
 * call that began it returns it.
 */
#pragma once

#include <sqlite3.h>

#include "base/arena.h"
#include "base/map.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "publish/publish.h"
#include "views/apply.h"

enum { VIEWS_SCHEMA = 9, VIEWS_STATEMENTS = 448 };
extern const char views_schema_sql[];

enum site_kind { SITE_REAL = 0, SITE_REDIRECT = 1, SITE_NONE = 2, SITE_WORLD = 3 };

/* The counters that change together with deliveries; see schema.sql. */
struct site {
	uint32_t id;
	enum site_kind kind;
	enum site_phase phase;
	bool is_dirty;
	char *name, *state, *reason, *stopped, *receipt; /* malloc */
	uint64_t since_us, up_us, up_number;
	int64_t open[QUEUE_DECIDE + 1]; /* deliveries by state */
	int64_t bytes, done;
	bool o_open;
	uint64_t o_began_us, o_began_number;
	int64_t o_total, o_handed, o_unsure, o_decide, o_deferred, o_returned, o_discarded;
};

/* A reference and where it leads; see thread_ref.c. serial 0: a free place; account 0: forgotten. */
enum { REF_PARTS = 64 };
struct ref_row {
	uint64_t key, account, thread, number, serial;
};
struct ref_part {
	struct ref_row *rows;
	size_t n, room; /* room: a power of two */
};

struct views {
	sqlite3 *db;
	struct {
		const char *sql; /* a literal: known by its address */
		sqlite3_stmt *q;
	} statements[VIEWS_STATEMENTS];
	enum rc rc; /* sticky */
	struct fault why;
	bool is_writer, in_transaction;
	struct arena arena; /* of one call */
	struct arena kept;  /* what a reading call gave, until the next one */

	/* The writer's. */
	const struct queue_schedule *schedule;
	struct views_ops ops;
	char *dir, *generation;
	uint64_t at_us; /* of the record being applied */
	uint64_t next, newest_us, recipients_version, indexed_upto;
	struct site **sites;
	size_t sites_n;
	struct map site_by_name, site_by_id; /* those in memory */
	struct {
		uint32_t lane_id;
		uint64_t seq;
		bool is_dirty;
	} * lanes;
	size_t lanes_n;
	uint32_t history_line; /* of the record being applied */
	uint64_t window_us;    /* how long mail that passed is shown */
	uint64_t people;       /* accounts there are: 0 saves the questions */
	bool are_copies_seen;  /* some message was a copy of the primary's */
	struct map resolved;   /* address -> struct account_ids; until a DIRECTORY record */
	struct map hot;	       /* account -> struct hot: INBOXes that mail goes to; see box.c */
	uint64_t shown;	       /* new ones of the record being applied */
	uint64_t threads;      /* the same */
	struct ref_part refs[REF_PARTS];
	size_t refs_n;
	uint64_t refs_serial; /* the last one given */
	unsigned refs_turn;   /* the part that goes over next */
};

/* ---- sql.c ---- */
/* The statement for this literal, reset and ready to bind; NULL after an error. */
sqlite3_stmt *views_sql(struct views *v, const char *sql);
/* Binds by format: i uint64/int64 (as int64_t), s struct span (text), b struct span (blob), z const char *, n nothing. */
sqlite3_stmt *views_bind(struct views *v, const char *sql, const char *format, ...);
/* Binds and runs a statement that gives no rows. */
void views_run(struct views *v, const char *sql, const char *format, ...);
/* True: a row. False: the end, or an error (sticks); the statement is reset. */
bool views_row(struct views *v, sqlite3_stmt *q);
void views_done(sqlite3_stmt *q);		    /* reset before the end; accepts NULL */
bool views_plain(struct views *v, const char *sql); /* several statements, no parameters */
int64_t views_int(sqlite3_stmt *q, int column);
struct span views_text(sqlite3_stmt *q, int column); /* until the next step */
void views_fail(struct views *v, int sqlite_code, const char *doing);
/*
 * Work on many rows within one record: an arena of its own, to be reset after each page, so that no act can use up the
 * record's. views_back restores the caller's.
 */
enum { VIEWS_ARENA_BYTES = 64 << 20 };
struct arena views_aside(struct views *v);
void views_back(struct views *v, struct arena callers);
/* Ends a call: the sticky result, with its text; the arena is reset. */
enum rc views_end(struct views *v, struct fault *why);
enum rc views_sqlite_rc(int sqlite_code);
#define I(x) ((int64_t)(x))

/* ---- read.c: a line of the history ---- */
#define HISTORY_COLUMNS                                                                            \
	"number, at_us, id, verb, object, argument, reason, actor, class, until_us, confidence,"   \
	" judged, ok, count, result"
void views_act_from(sqlite3_stmt *q, struct views_act *a);

/* ---- sites.c ---- */
/* An id from a row. Of a damaged database: an empty site, and the call fails. */
struct site *site_by_id(struct views *v, uint32_t id);
/* Made when it is new. */
struct site *site_of(struct views *v, struct span name, enum site_kind kind);
bool sites_load(struct views *v);
void sites_save(struct views *v);
void sites_forget(struct views *v); /* after the commit: those where nothing is open */
void sites_free(struct views *v);
void site_text(char **where, struct span text);

/* ---- outage.c: what the receipt counts ---- */
void outage_begin(struct views *v, struct site *s, uint64_t number, uint64_t at_us);
/* A delivery of message `number` goes from one state to another (or appears: from < 0). */
void outage_move(struct views *v, struct site *s, uint64_t number, int from, int to);
void outage_unsure(struct views *v, struct site *s, uint64_t number, uint32_t rcpt, bool is_first,
		   uint64_t at_us);
/* Writes the receipt when all that was held is settled. */
void outage_look(struct views *v, struct site *s, uint64_t number, uint64_t at_us);

/* ---- deliver.c ---- */
struct delivery {
	uint64_t number, addr, next_us, lease, count_from_us;
	uint32_t rcpt, site, lane, tries, unsure, known;
	enum queue_state state;
};
bool delivery_get(struct views *v, uint64_t number, uint32_t rcpt, struct delivery *out);
/* Changes state (and what else *d says) and all counters. why NULL: as it was. */
void delivery_move(struct views *v, struct delivery *d, enum queue_state to, const struct span *why,
		   uint64_t at_us);
uint64_t address_of(struct views *v, struct span text);
/* The same, and found again by accounts made later. */
uint64_t address_of_rcpt(struct views *v, struct span text);
void apply_message(struct views *v, const struct order_entry *e, const struct record *r);
void apply_intent(struct views *v, const struct order_entry *e, const struct record *r);
void apply_outcome(struct views *v, const struct order_entry *e, const struct record *r);
int64_t message_bytes(struct views *v, uint64_t number);

/* ---- prune.c ---- */
void prune(struct views *v);

/* ---- act.c, directory.c ---- */
void apply_act(struct views *v, const struct order_entry *e, const struct record *r);
void apply_directory(struct views *v, const struct order_entry *e, const struct record *r);
void queue_act(struct views *v, const struct msg_act_meta *a, uint64_t number, uint64_t at_us,
	       struct views_act *line);
void history_add(struct views *v, const struct views_act *line);
void recipient_learn(struct views *v, struct span address, bool is_good);

/* ---- match.c: a queue_match as SQL over delivery d, message m, address r (recipient) and s (sender) ---- */
struct match_sql {
	char where[1536];
	size_t n;
	struct {
		bool is_int;
		int64_t i;
		struct span s;
	} params[16];
};
void match_build(struct views *v, const struct queue_match *m, uint64_t now_us,
		 struct match_sql *out);
int match_bind(sqlite3_stmt *q, const struct match_sql *m, int from);
