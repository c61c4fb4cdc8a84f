/*
 * A thin skin over SQLite: statements are prepared once and found by the address of their literal; arguments are always
 * bound; the first error sticks in the object.
 */
#include <stdarg.h>

#include "base/must.h"
#include "views/internal.h"

enum rc views_sqlite_rc(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_NOMEM:
		return LATER;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_READONLY:
		return REFUSED;
	default:
		return BROKEN;
	}
}

void views_fail(struct views *v, int code, const char *doing)
{
	if (v->rc != OK)
		return;
	v->rc = views_sqlite_rc(code);
	if (v->rc == OK)
		v->rc = BROKEN;
	fault_set(&v->why, "views: %s: %s", doing,
		  v->db ? sqlite3_errmsg(v->db) : sqlite3_errstr(code));
}

sqlite3_stmt *views_sql(struct views *v, const char *sql)
{
	size_t at = (size_t)(queue_mix((uintptr_t)sql) % VIEWS_STATEMENTS);
	int code;

	if (v->rc != OK)
		return NULL;
	for (size_t i = 0; i < VIEWS_STATEMENTS; i++, at = (at + 1) % VIEWS_STATEMENTS) {
		if (v->statements[at].sql == sql) {
			sqlite3_reset(v->statements[at].q);
			return v->statements[at].q;
		}
		if (v->statements[at].sql)
			continue;
		code = sqlite3_prepare_v3(v->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					  &v->statements[at].q, NULL);
		if (code != SQLITE_OK) {
			views_fail(v, code, sql);
			return NULL;
		}
		v->statements[at].sql = sql;
		return v->statements[at].q;
	}
	must_never("more statements than VIEWS_STATEMENTS");
	return NULL;
}

static int bind_one(sqlite3_stmt *q, int at, char kind, va_list *list)
{
	struct span s;

	switch (kind) {
	case 'i':
		return sqlite3_bind_int64(q, at, va_arg(*list, int64_t));
	case 's':
	case 'b':
		s = va_arg(*list, struct span);
		if (kind == 'b')
			return sqlite3_bind_blob64(q, at, s.p ? (const void *)s.p : "", s.n,
						   SQLITE_STATIC);
		return sqlite3_bind_text64(q, at, s.p ? (const char *)s.p : "", s.n, SQLITE_STATIC,
					   SQLITE_UTF8);
	case 'z':
		return sqlite3_bind_text(q, at, va_arg(*list, const char *), -1, SQLITE_STATIC);
	default:
		must(kind == 'n');
		return sqlite3_bind_null(q, at);
	}
}

static sqlite3_stmt *bind_list(struct views *v, const char *sql, const char *format, va_list *list)
{
	sqlite3_stmt *q = views_sql(v, sql);

	for (int i = 0; q && format[i]; i++) {
		int code = bind_one(q, i + 1, format[i], list);

		if (code != SQLITE_OK) {
			views_fail(v, code, sql);
			return NULL;
		}
	}
	return q;
}

sqlite3_stmt *views_bind(struct views *v, const char *sql, const char *format, ...)
{
	va_list list;
	sqlite3_stmt *q;

	va_start(list, format);
	q = bind_list(v, sql, format, &list);
	va_end(list);
	return q;
}

void views_run(struct views *v, const char *sql, const char *format, ...)
{
	va_list list;
	sqlite3_stmt *q;

	va_start(list, format);
	q = bind_list(v, sql, format, &list);
	va_end(list);
	while (q && views_row(v, q))
		;
}

bool views_row(struct views *v, sqlite3_stmt *q)
{
	int code;

	if (!q || v->rc != OK)
		return false;
	code = sqlite3_step(q);
	if (code == SQLITE_ROW)
		return true;
	if (code != SQLITE_DONE)
		views_fail(v, code, sqlite3_sql(q));
	sqlite3_reset(q);
	return false;
}

void views_done(sqlite3_stmt *q)
{
	if (q)
		sqlite3_reset(q);
}

bool views_plain(struct views *v, const char *sql)
{
	int code;

	if (v->rc != OK)
		return false;
	code = sqlite3_exec(v->db, sql, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		views_fail(v, code, sql);
	return code == SQLITE_OK;
}

void views_read_begin(struct views *v)
{
	must(!v->is_writer && !v->in_transaction);
	views_run(v, "BEGIN", "");
	v->in_transaction = v->rc == OK;
}

void views_read_end(struct views *v)
{
	if (!v->in_transaction)
		return;
	if (v->rc == OK)
		views_run(v, "COMMIT", "");
	else
		(void)sqlite3_exec(v->db, "ROLLBACK", NULL, NULL, NULL);
	v->in_transaction = false;
}

int64_t views_int(sqlite3_stmt *q, int column)
{
	return sqlite3_column_int64(q, column);
}

struct span views_text(sqlite3_stmt *q, int column)
{
	const void *p = sqlite3_column_blob(q, column);

	return span_of(p, (size_t)sqlite3_column_bytes(q, column));
}

struct arena views_aside(struct views *v)
{
	struct arena callers = v->arena;

	arena_init(&v->arena, VIEWS_ARENA_BYTES);
	return callers;
}

void views_back(struct views *v, struct arena callers)
{
	arena_fini(&v->arena);
	v->arena = callers;
}

enum rc views_end(struct views *v, struct fault *why)
{
	arena_reset(&v->arena);
	if (v->rc != OK)
		fault_set(why, "%s", v->why.text);
	return v->rc;
}
