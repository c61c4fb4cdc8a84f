/*
 * Generations of the database, opening, and transactions.
 *
 * WAL with synchronous=NORMAL: SQLite then syncs only at checkpoints, and a power cut leaves a database that is whole and
 * lacks at most the last transactions, which are applied anew from the ledger. OFF would save a sync every few seconds and
 * could leave a torn database that nothing detects. PERSIST_WAL keeps -wal and -shm for readers that may not create them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "os/os.h"
#include "views/people.h"

enum { PATH_BYTES = 4096, CHECK_BELOW_BYTES = 32 << 20, BUSY_MS = 2000, INDEX_IDS_EVERY = 65536 };

static bool path_of(char out[PATH_BYTES], const char *a, const char *b, const char *c)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s%s%s", a, b, c ? "/" : "", c ? c : "");

	return n > 0 && n < PATH_BYTES;
}

/* views/current: the name of a generation, "g" and ten digits. */
static bool current_read(const char *data_dir, char out[32])
{
	char path[PATH_BYTES], text[64];
	ssize_t n;
	int fd;

	if (!path_of(path, data_dir, "views/current", NULL))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n != 11 || text[0] != 'g' ||
	    !span_to_u64(span_of(text + 1, 10), UINT64_MAX, &(uint64_t){0}))
		return false;
	memcpy(out, text, 11);
	out[11] = '\0';
	return true;
}

bool views_is_current(struct views *v, const char *data_dir)
{
	const char *path = sqlite3_db_filename(v->db, "main");
	char name[32], tail[64];
	size_t n;

	if (!path || !current_read(data_dir, name))
		return false;
	snprintf(tail, sizeof tail, "/%s/queue.db", name);
	n = strlen(tail);
	return strlen(path) >= n && strcmp(path + strlen(path) - n, tail) == 0;
}

static struct views *views_new(void)
{
	struct views *v = must_alloc(sizeof *v);

	arena_init(&v->arena, VIEWS_ARENA_BYTES);
	arena_init(&v->kept, 16 << 20);
	v->window_us = VIEWS_WINDOW_US;
	map_init(&v->site_by_name);
	map_init(&v->site_by_id);
	map_init(&v->resolved);
	map_init(&v->hot);
	return v;
}

void views_close(struct views *v)
{
	if (!v)
		return;
	if (v->in_transaction)
		(void)sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
	for (size_t i = 0; i < VIEWS_STATEMENTS; i++)
		sqlite3_finalize(v->statements[i].q);
	sqlite3_close(v->db);
	sites_free(v);
	refs_free(v);
	map_fini(&v->resolved, free);
	map_fini(&v->hot, free);
	arena_fini(&v->arena);
	arena_fini(&v->kept);
	free(v->lanes);
	free(v->dir);
	free(v->generation);
	free(v);
}

static int64_t one_int(struct views *v, const char *sql)
{
	sqlite3_stmt *q = views_sql(v, sql);
	int64_t value = views_row(v, q) ? views_int(q, 0) : -1;

	views_done(q);
	return value;
}

static enum rc open_file(struct views *v, const char *dir, int flags, struct fault *why)
{
	char path[PATH_BYTES];
	int code;

	if (!path_of(path, dir, "queue.db", NULL))
		return REFUSED;
	code = sqlite3_open_v2(path, &v->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK) {
		views_fail(v, code, path);
		return views_end(v, why);
	}
	sqlite3_extended_result_codes(v->db, 1);
	sqlite3_busy_timeout(v->db, BUSY_MS);
	return OK;
}

enum rc views_open_read(const char *data_dir, struct views **out, struct fault *why)
{
	char name[32], dir[PATH_BYTES], views_dir[PATH_BYTES];
	struct views *v;
	enum rc rc;

	if (!current_read(data_dir, name) || !path_of(views_dir, data_dir, "views", NULL) ||
	    !path_of(dir, views_dir, name, NULL)) {
		fault_set(why,
			  "no views in %s/views yet: the clerk has not made them, or is "
			  "rebuilding them",
			  data_dir);
		return LATER;
	}
	v = views_new();
	v->generation = must_strdup(name);
	rc = open_file(v, dir, SQLITE_OPEN_READONLY, why);
	if (rc == OK && one_int(v, "PRAGMA user_version") != VIEWS_SCHEMA && v->rc == OK) {
		fault_set(&v->why, "the views in %s are of another version", dir);
		v->rc = BROKEN;
	}
	if (rc == OK)
		rc = views_end(v, why);
	if (rc != OK) {
		views_close(v);
		return rc;
	}
	*out = v;
	return OK;
}

/* ---- writing ---- */

static void set_up(struct views *v)
{
	int on = 1;

	(void)sqlite3_file_control(v->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	views_plain(
		v,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF;"
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;"
		"PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 67108864");
}

/* Ids are random: many at a time, sorted, cost a page for many of them instead of a page each. */
static void index_ids(struct views *v)
{
	if (v->next - v->indexed_upto < INDEX_IDS_EVERY)
		return;
	views_run(v,
		  "INSERT INTO id_index SELECT key, number FROM message WHERE number >= ? AND "
		  "number < ? ORDER BY key",
		  "ii", I(v->indexed_upto), I(v->next));
	views_run(v, "UPDATE id_index_upto SET upto = ?", "i", I(v->next));
	v->indexed_upto = v->next;
}

static void load_progress(struct views *v)
{
	sqlite3_stmt *q = views_sql(v, "SELECT next, newest_us FROM progress");

	if (views_row(v, q)) {
		v->next = (uint64_t)views_int(q, 0);
		v->newest_us = (uint64_t)views_int(q, 1);
	} else {
		views_fail(v, SQLITE_CORRUPT, "no progress row");
	}
	views_done(q);
	v->indexed_upto = (uint64_t)one_int(v, "SELECT upto FROM id_index_upto");
	q = views_sql(v, "SELECT lane_id, seq FROM lane ORDER BY lane_id");
	while (views_row(v, q)) {
		v->lanes = realloc(v->lanes, (v->lanes_n + 1) * sizeof *v->lanes);
		must(v->lanes);
		v->lanes[v->lanes_n].lane_id = (uint32_t)views_int(q, 0);
		v->lanes[v->lanes_n].seq = (uint64_t)views_int(q, 1);
		v->lanes[v->lanes_n].is_dirty = false;
		v->lanes_n++;
	}
}

/* Whole, when reading it all takes no time; else trusted until a read finds damage. */
static void check(struct views *v, const char *dir)
{
	char path[PATH_BYTES];
	struct stat st;
	sqlite3_stmt *q;

	if (!path_of(path, dir, "queue.db", NULL) || stat(path, &st) < 0 ||
	    st.st_size >= CHECK_BELOW_BYTES)
		return;
	q = views_sql(v, "PRAGMA quick_check(1)");
	if (views_row(v, q) && !span_eq(views_text(q, 0), SPAN_LIT("ok"))) {
		v->rc = BROKEN;
		fault_set(&v->why, "%s is damaged: %.200s", path, sqlite3_column_text(q, 0));
	}
	views_done(q);
}

static enum rc open_there(struct views *v, const char *dir, struct fault *why)
{
	enum rc rc = open_file(v, dir, SQLITE_OPEN_READWRITE, why);

	if (rc != OK)
		return rc;
	set_up(v);
	if (one_int(v, "PRAGMA user_version") != VIEWS_SCHEMA && v->rc == OK) {
		v->rc = BROKEN;
		fault_set(&v->why, "%s is of another version", dir);
	}
	check(v, dir);
	load_progress(v);
	refs_load(v);
	sites_load(v);
	accounts_load(v);
	return views_end(v, why);
}

static enum rc make_new(struct views *v, const char *dir, struct fault *why)
{
	char sql[64];
	enum rc rc;

	if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
		fault_sys(why, "create %s", dir);
		return errno_rc(errno);
	}
	rc = open_file(v, dir, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, why);
	if (rc != OK)
		return rc;
	set_up(v);
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d", VIEWS_SCHEMA);
	views_plain(v, "BEGIN");
	views_plain(v, views_schema_sql);
	views_plain(v, people_schema_sql);
	views_plain(v, sql);
	views_plain(v, "COMMIT");
	load_progress(v);
	refs_load(v);
	return views_end(v, why);
}

/* All generations but the one to keep (NULL: none). */
struct sweep {
	const char *views_dir, *keep;
	uint64_t highest;
	bool remove;
};

static bool on_generation(void *arg, const char *name)
{
	static const char *const files[] = {"queue.db", "queue.db-wal", "queue.db-shm",
					    "queue.db-journal"};
	struct sweep *s = arg;
	char dir[PATH_BYTES], path[PATH_BYTES];
	uint64_t n;

	if (name[0] != 'g' || !span_to_u64(span_from(span_str(name), 1), UINT64_MAX, &n))
		return true;
	if (n > s->highest)
		s->highest = n;
	if (!s->remove || (s->keep && strcmp(name, s->keep) == 0))
		return true;
	if (!path_of(dir, s->views_dir, name, NULL))
		return true;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (path_of(path, dir, files[i], NULL))
			(void)unlink(path);
	(void)rmdir(dir);
	return true;
}

void views_condemn(struct os *os, const char *data_dir)
{
	char views_dir[PATH_BYTES], path[PATH_BYTES];
	struct sweep s = {.views_dir = views_dir, .remove = true};

	if (!path_of(views_dir, data_dir, "views", NULL) ||
	    !path_of(path, views_dir, "current", NULL))
		return;
	(void)unlink(path);
	(void)os_list_dir(os, views_dir, on_generation, &s);
}

/* No name comes twice, also when nothing is left of those before: readers know theirs by it. */
static uint64_t new_number(struct os *os, uint64_t highest)
{
	static const uint64_t TEN_DIGITS = 10000000000;
	uint64_t n = os_wall_us(os) / 1000 % TEN_DIGITS;

	return (highest >= n ? highest + 1 : n) % TEN_DIGITS;
}

enum rc views_open_write(struct os *os, const char *data_dir, const struct queue_schedule *schedule,
			 const struct views_ops *ops, struct views **out, bool *out_is_new,
			 struct fault *why)
{
	char views_dir[PATH_BYTES], dir[PATH_BYTES], name[32];
	struct sweep s = {.views_dir = views_dir};
	struct views *v = views_new();
	bool is_new = !current_read(data_dir, name);
	enum rc rc = REFUSED;

	if (!path_of(views_dir, data_dir, "views", NULL))
		goto undo;
	if (!is_new && path_of(dir, views_dir, name, NULL)) {
		rc = open_there(v, dir, why);
		if (rc == LATER || rc == REFUSED)
			goto undo;
		if (rc != OK) {
			views_close(v);
			v = views_new();
			views_condemn(os, data_dir);
			is_new = true;
		}
	}
	if (is_new) {
		(void)mkdir(views_dir, 0750);
		s.remove = true; /* unfinished ones of before */
		if (os_list_dir(os, views_dir, on_generation, &s) < 0) {
			fault_sys(why, "read %s", views_dir);
			rc = errno_rc(errno);
			goto undo;
		}
		snprintf(name, sizeof name, "g%010llu",
			 (unsigned long long)new_number(os, s.highest));
		if (!path_of(dir, views_dir, name, NULL))
			goto undo;
		rc = make_new(v, dir, why);
		if (rc != OK)
			goto undo;
	}
	v->is_writer = true;
	v->schedule = schedule;
	if (ops)
		v->ops = *ops;
	v->dir = must_strdup(views_dir);
	v->generation = must_strdup(name);
	*out = v;
	*out_is_new = is_new;
	return OK;
undo:
	views_close(v);
	return rc;
}

enum rc views_publish(struct views *v, struct os *os, struct fault *why)
{
	char path[PATH_BYTES], text[40], parent[PATH_BYTES];
	struct sweep s = {.views_dir = v->dir, .keep = v->generation, .remove = true};
	char was[32];

	snprintf(parent, sizeof parent, "%.*s", (int)(strlen(v->dir) - strlen("/views")), v->dir);
	if (current_read(parent, was) && strcmp(was, v->generation) == 0)
		return OK;
	snprintf(text, sizeof text, "%s\n", v->generation);
	if (!path_of(path, v->dir, "current", NULL) ||
	    !os_replace_file(os, path, span_str(text), 0640)) {
		fault_sys(why, "write %s", path);
		return errno_rc(errno);
	}
	(void)os_list_dir(os, v->dir, on_generation, &s);
	return OK;
}

/* ---- transactions ---- */

enum rc views_begin(struct views *v, struct fault *why)
{
	must(v->is_writer && !v->in_transaction);
	views_run(v, "BEGIN IMMEDIATE", "");
	v->in_transaction = v->rc == OK;
	return views_end(v, why);
}

enum rc views_commit(struct views *v, struct fault *why)
{
	must(v->in_transaction);
	sites_save(v);
	boxes_cool(v);
	index_ids(v);
	refs_settle(v);
	for (size_t i = 0; i < v->lanes_n; i++) {
		if (!v->lanes[i].is_dirty)
			continue;
		views_run(v, "INSERT INTO lane VALUES (?1, ?2) ON CONFLICT DO UPDATE SET seq = ?2",
			  "ii", I(v->lanes[i].lane_id), I(v->lanes[i].seq));
		v->lanes[i].is_dirty = false;
	}
	views_run(v, "UPDATE progress SET next = ?, newest_us = ?", "ii", I(v->next),
		  I(v->newest_us));
	views_run(v, "COMMIT", "");
	if (v->rc == OK) {
		v->in_transaction = false;
		sites_forget(v);
	}
	return views_end(v, why);
}

void views_rest(struct views *v)
{
	(void)sqlite3_db_release_memory(v->db);
}

struct span views_generation(const struct views *v)
{
	return span_str(v->generation);
}

uint64_t views_next(const struct views *v)
{
	return v->next;
}

uint64_t views_newest_us(const struct views *v)
{
	return v->newest_us;
}

uint64_t views_lane_next(const struct views *v, uint32_t lane_id)
{
	for (size_t i = 0; i < v->lanes_n; i++)
		if (v->lanes[i].lane_id == lane_id)
			return v->lanes[i].seq + 1;
	return 0;
}

void views_set_window(struct views *v, uint64_t window_us)
{
	v->window_us = window_us ? window_us : VIEWS_WINDOW_US;
}

uint64_t views_recipients_version(const struct views *v)
{
	return v->recipients_version;
}

enum rc views_progress(struct views *v, struct views_progress *out, struct fault *why)
{
	sqlite3_stmt *q = views_sql(v, "SELECT next, newest_us FROM progress");

	if (views_row(v, q)) {
		out->next = (uint64_t)views_int(q, 0);
		out->newest_received_us = (uint64_t)views_int(q, 1);
	}
	views_done(q);
	return views_end(v, why);
}
