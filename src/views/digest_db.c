/* Opening, digests, progress. Searching is in digest_search.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "mail/digest.h"
#include "views/digest_internal.h"

enum { PATH_BYTES = 4096, BUSY_MS = 2000, CHECK_BELOW_BYTES = 32 << 20 };

static bool path_of(char out[PATH_BYTES], const char *data_dir, const char *suffix)
{
	int n = snprintf(out, PATH_BYTES, "%s/index/digest.db%s", data_dir, suffix);

	return n > 0 && n < PATH_BYTES;
}

void digest_close(struct digest_db *d)
{
	if (!d)
		return;
	views_close(d->v);
	arena_fini(&d->kept);
	free(d->path);
	free(d);
}

static int64_t one_int(struct views *v, const char *sql)
{
	sqlite3_stmt *q = views_sql(v, sql);
	int64_t value = views_row(v, q) ? views_int(q, 0) : -1;

	views_done(q);
	return value;
}

static enum rc open_file(const char *path, int flags, struct digest_db **out, struct fault *why)
{
	struct digest_db *d = must_alloc(sizeof *d);
	int code;

	d->v = must_alloc(sizeof *d->v);
	arena_init(&d->v->arena, 1 << 20);
	map_init(&d->v->site_by_name);
	map_init(&d->v->site_by_id);
	arena_init(&d->kept, 0);
	code = sqlite3_open_v2(path, &d->v->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK) {
		enum rc rc;

		views_fail(d->v, code, path);
		rc = views_end(d->v, why);
		digest_close(d);
		return rc;
	}
	sqlite3_extended_result_codes(d->v->db, 1);
	sqlite3_busy_timeout(d->v->db, BUSY_MS);
	*out = d;
	return OK;
}

static enum rc check_version(struct digest_db *d, const char *path, struct fault *why)
{
	if (one_int(d->v, "PRAGMA user_version") != DIGEST_SCHEMA && d->v->rc == OK) {
		fault_set(&d->v->why, "%s is of another version", path);
		d->v->rc = BROKEN;
	}
	return views_end(d->v, why);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void digest_check_current(struct digest_db *d)
{
	if (!d->path || d->v->rc != OK || inode_of(d->path) == d->inode)
		return;
	fault_set(&d->v->why, "the index was made anew");
	d->v->rc = BROKEN;
}

enum rc digest_open_read(const char *data_dir, struct digest_db **out, struct fault *why)
{
	char path[PATH_BYTES];
	struct digest_db *d;
	enum rc rc;

	if (!path_of(path, data_dir, "") || access(path, F_OK) < 0) {
		fault_set(why, "there is no full-text index yet");
		return LATER;
	}
	rc = open_file(path, SQLITE_OPEN_READONLY, &d, why);
	if (rc != OK)
		return rc;
	views_plain(d->v, "PRAGMA cache_size = -16384"); /* a mailbox's digests, until it rests */
	rc = check_version(d, path, why);
	if (rc != OK) {
		digest_close(d);
		return rc;
	}
	d->path = must_strdup(path);
	d->inode = inode_of(path);
	*out = d;
	return OK;
}

/* ---- reading ---- */

void digest_read_begin(struct digest_db *d)
{
	views_read_begin(d->v);
}

void digest_read_end(struct digest_db *d)
{
	views_read_end(d->v);
}

enum rc digest_upto(struct digest_db *d, uint64_t *out_serial, struct fault *why)
{
	int64_t next;

	digest_check_current(d);
	next = one_int(d->v, "SELECT next FROM progress");
	if (d->v->rc == OK)
		*out_serial = (uint64_t)next;
	return views_end(d->v, why);
}

int64_t digest_kept_as(struct digest_db *d, struct digest_key key)
{
	int64_t own = digest_key_of(key);
	sqlite3_stmt *q;
	int64_t found = own;

	if (key.form != MAIL_AS_SENT)
		return own;
	q = views_bind(d->v,
		       "SELECT key FROM digest WHERE key IN (?1, ?2) AND (key = ?2 OR forms & 2) "
		       "ORDER BY key DESC LIMIT 1",
		       "ii", digest_key_of((struct digest_key){key.number, MAIL_AS_DELIVERED}),
		       own);
	if (views_row(d->v, q))
		found = views_int(q, 0);
	views_done(q);
	return found;
}

enum rc digest_get(struct digest_db *d, struct digest_key key, struct mail_digest *out,
		   struct fault *why)
{
	int64_t kept = digest_kept_as(d, key);
	sqlite3_stmt *q = views_bind(
		d->v,
		"SELECT envelope, body, structure, preview, header_bytes, sent_us, has_attachment"
		" FROM digest WHERE key = ?",
		"i", kept);
	struct span columns[4];

	if (!views_row(d->v, q)) {
		enum rc rc;

		digest_check_current(d);
		rc = views_end(d->v, why);

		if (rc == OK)
			fault_set(why, "message %llu is not indexed yet",
				  (unsigned long long)key.number);
		return rc == OK ? LATER : rc;
	}
	/* Copied, so that no read transaction outlives the call. */
	arena_reset(&d->kept);
	for (int i = 0; i < 4; i++)
		columns[i] = arena_span(&d->kept, views_text(q, i));
	*out = (struct mail_digest){.envelope = columns[0],
				    .body = columns[1],
				    .bodystructure = columns[2],
				    .preview = columns[3],
				    .header_bytes = (uint64_t)views_int(q, 4),
				    .sent_us = (uint64_t)views_int(q, 5),
				    .has_attachment = views_int(q, 6) != 0};
	views_done(q);
	return views_end(d->v, why);
}

/* ---- writing ---- */

static void set_up(struct views *v)
{
	int on = 1;

	(void)sqlite3_file_control(v->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	views_plain(v, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store "
		       "= MEMORY;"
		       "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000;"
		       "PRAGMA journal_size_limit = 33554432");
}

static enum rc make_new(struct digest_db *d, struct fault *why)
{
	char sql[64];

	set_up(d->v);
	(void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d", DIGEST_SCHEMA);
	views_plain(d->v, "BEGIN");
	views_plain(d->v, digest_schema_sql);
	views_plain(d->v, sql);
	views_plain(d->v, "COMMIT");
	return views_end(d->v, why);
}

/* Whole, when reading it all takes no time; else trusted until a read finds damage. */
static void check(struct digest_db *d, const char *path)
{
	struct stat st;
	sqlite3_stmt *q;

	if (stat(path, &st) < 0 || st.st_size >= CHECK_BELOW_BYTES)
		return;
	q = views_sql(d->v, "PRAGMA quick_check(1)");
	if (views_row(d->v, q) && !span_eq(views_text(q, 0), SPAN_LIT("ok"))) {
		d->v->rc = BROKEN;
		fault_set(&d->v->why, "%s is damaged: %.200s", path, sqlite3_column_text(q, 0));
	}
	views_done(q);
}

static enum rc open_there(const char *path, struct digest_db **out, struct fault *why)
{
	struct digest_db *d;
	enum rc rc = open_file(path, SQLITE_OPEN_READWRITE, &d, why);

	if (rc != OK)
		return rc;
	set_up(d->v);
	rc = check_version(d, path, why);
	if (rc == OK) {
		check(d, path);
		if (one_int(d->v, "SELECT next FROM progress") < 0 && d->v->rc == OK)
			views_fail(d->v, SQLITE_CORRUPT, "no progress row");
		rc = views_end(d->v, why);
	}
	if (rc == OK)
		*out = d;
	else
		digest_close(d);
	return rc;
}

void digest_condemn(const char *data_dir)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	char path[PATH_BYTES];

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (path_of(path, data_dir, suffixes[i]))
			(void)unlink(path);
}

enum rc digest_open_write(const char *data_dir, struct digest_db **out, bool *out_is_new,
			  struct fault *why)
{
	char path[PATH_BYTES];
	struct digest_db *d;
	enum rc rc;

	if (!path_of(path, data_dir, "")) {
		fault_set(why, "the path of the data directory is too long");
		return REFUSED;
	}
	*out_is_new = access(path, F_OK) < 0;
	if (!*out_is_new) {
		rc = open_there(path, out, why);
		if (rc != BROKEN)
			return rc;
		digest_condemn(data_dir);
		*out_is_new = true;
	}
	rc = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &d, why);
	if (rc != OK)
		return rc;
	rc = make_new(d, why);
	if (rc == OK)
		*out = d;
	else
		digest_close(d);
	return rc;
}

enum rc digest_begin(struct digest_db *d, struct fault *why)
{
	must(!d->v->in_transaction);
	views_run(d->v, "BEGIN IMMEDIATE", "");
	d->v->in_transaction = d->v->rc == OK;
	return views_end(d->v, why);
}

enum rc digest_commit(struct digest_db *d, struct fault *why)
{
	must(d->v->in_transaction);
	views_run(d->v, "COMMIT", "");
	if (d->v->rc == OK)
		d->v->in_transaction = false;
	return views_end(d->v, why);
}

static bool has_key(struct digest_db *d, int64_t key)
{
	sqlite3_stmt *q = views_bind(d->v, "SELECT 1 FROM digest WHERE key = ?", "i", key);
	bool is_there = views_row(d->v, q);

	views_done(q);
	return is_there;
}

static void add_digest(struct digest_db *d, int64_t key, unsigned forms,
		       const struct mail_digest *m)
{
	views_run(d->v, "INSERT INTO digest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "iiiibbbib", key,
		  I(forms), I(m->header_bytes), I(m->sent_us), m->envelope, m->body,
		  m->bodystructure, I(m->has_attachment), m->preview);
}

enum rc digest_add(struct digest_db *d, struct digest_key key, unsigned has_forms,
		   struct digest_maker *made, struct fault *why)
{
	int64_t at = digest_key_of(key);
	struct mail_digest m;
	struct span text[MAIL_TEXT_BCC + 1];

	if (has_key(d, at))
		return views_end(d->v, why);
	if (!digest_maker_digest(made, &m)) {
		fault_set(why, "no memory for the digest of message %llu",
			  (unsigned long long)key.number);
		return LATER;
	}
	for (int i = 0; i <= MAIL_TEXT_BCC; i++)
		text[i] = digest_maker_text(made, (enum mail_text)i);
	add_digest(d, at, has_forms, &m);
	views_run(d->v, "INSERT INTO words VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "ibbbbbbb", at,
		  text[MAIL_TEXT_SUBJECT], text[MAIL_TEXT_FROM], text[MAIL_TEXT_TO],
		  text[MAIL_TEXT_CC], text[MAIL_TEXT_BCC], text[MAIL_TEXT_ALL],
		  text[MAIL_TEXT_BODY]);
	views_run(d->v, "INSERT INTO trigrams (rowid, header, body) VALUES (?, ?, ?)", "iss", at,
		  text[MAIL_TEXT_ALL], text[MAIL_TEXT_BODY]);
	return views_end(d->v, why);
}

enum rc digest_follow(struct digest_db *d, struct span generation, struct fault *why)
{
	views_run(d->v, "UPDATE progress SET next = 0, views = ?1 WHERE views != ?1", "s",
		  generation);
	return views_end(d->v, why);
}

enum rc digest_has(struct digest_db *d, uint64_t number, bool *out_has, struct fault *why)
{
	bool has = has_key(d, digest_key_of((struct digest_key){number, MAIL_AS_DELIVERED}));
	enum rc rc = views_end(d->v, why);

	if (rc == OK)
		*out_has = has;
	return rc;
}

enum rc digest_reach(struct digest_db *d, uint64_t serial, struct fault *why)
{
	views_run(d->v, "UPDATE progress SET next = ?", "i", I(serial));
	views_run(d->v, "DELETE FROM trial", "");
	return views_end(d->v, why);
}

enum rc digest_left_over(struct digest_db *d, struct digest_trial *out, struct fault *why)
{
	sqlite3_stmt *q = views_sql(d->v, "SELECT first, last, times FROM trial");

	*out = (struct digest_trial){0};
	if (views_row(d->v, q))
		*out = (struct digest_trial){(uint64_t)views_int(q, 0), (uint64_t)views_int(q, 1),
					     (unsigned)views_int(q, 2)};
	views_done(q);
	return views_end(d->v, why);
}

enum rc digest_try(struct digest_db *d, uint64_t first, uint64_t last, struct fault *why)
{
	struct digest_trial was;
	enum rc rc = digest_left_over(d, &was, why);
	bool is_same = rc == OK && was.times > 0 && was.first == first && was.last == last;

	if (rc != OK)
		return rc;
	must(!d->v->in_transaction);
	views_run(d->v, "BEGIN IMMEDIATE", "");
	d->v->in_transaction = d->v->rc == OK;
	views_run(d->v, "DELETE FROM trial", "");
	views_run(d->v, "INSERT INTO trial VALUES (?, ?, ?)", "iii", I(first), I(last),
		  I(is_same ? was.times + 1 : 1));
	return d->v->rc == OK ? digest_commit(d, why) : views_end(d->v, why);
}

enum rc digest_skip(struct digest_db *d, uint64_t number, uint64_t bytes, struct span reason,
		    struct fault *why)
{
	char leaf[160];
	struct mail_digest m = {.envelope = SPAN_LIT("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")};

	(void)snprintf(leaf, sizeof leaf,
		       "(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" %llu)",
		       (unsigned long long)bytes);
	m.body = m.bodystructure = span_str(leaf);
	views_run(d->v, "INSERT OR REPLACE INTO skipped VALUES (?, ?)", "is", I(number), reason);
	for (int form = MAIL_AS_DELIVERED; form <= MAIL_ENCLOSED; form++) {
		int64_t key = digest_key_of((struct digest_key){number, (enum mail_form)form});

		if (!has_key(d, key))
			add_digest(d, key, 0, &m);
	}
	return views_end(d->v, why);
}

enum rc digest_numbers(struct digest_db *d, uint64_t from, uint64_t *out, size_t max, size_t *out_n,
		       struct fault *why)
{
	sqlite3_stmt *q = views_bind(d->v, "SELECT key FROM digest WHERE key >= ? ORDER BY key",
				     "i", I(from * 4));
	size_t n = 0;

	while (n < max && views_row(d->v, q)) {
		uint64_t number = (uint64_t)views_int(q, 0) / 4;

		if (n == 0 || out[n - 1] != number)
			out[n++] = number;
	}
	views_done(q);
	*out_n = n;
	return views_end(d->v, why);
}

enum rc digest_forget(struct digest_db *d, uint64_t number, struct fault *why)
{
	int64_t first = digest_key_of((struct digest_key){number, MAIL_AS_DELIVERED});
	int64_t last = digest_key_of((struct digest_key){number, MAIL_ENCLOSED});

	/* The trigrams of a text can be found by the text alone: nothing else of it is in the index. */
	views_run(d->v,
		  "INSERT INTO trigrams (trigrams, rowid, header, body) "
		  "SELECT 'delete', key, CAST(header AS TEXT), CAST(body AS TEXT) FROM words WHERE "
		  "key BETWEEN ? AND ?",
		  "ii", first, last);
	views_run(d->v, "DELETE FROM words WHERE key BETWEEN ? AND ?", "ii", first, last);
	views_run(d->v, "DELETE FROM digest WHERE key BETWEEN ? AND ?", "ii", first, last);
	return views_end(d->v, why);
}

void digest_rest(struct digest_db *d)
{
	(void)sqlite3_db_release_memory(d->v->db);
}

enum rc digest_counts(struct digest_db *d, uint64_t *out_digests, uint64_t *out_skipped,
		      struct fault *why)
{
	int64_t digests = one_int(d->v, "SELECT count(*) FROM digest");
	int64_t skipped = one_int(d->v, "SELECT count(*) FROM skipped");

	if (d->v->rc == OK) {
		*out_digests = (uint64_t)digests;
		*out_skipped = (uint64_t)skipped;
	}
	return views_end(d->v, why);
}
