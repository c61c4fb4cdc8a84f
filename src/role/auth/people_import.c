/*
 * Many people at once, from CSV: address, name, password, aliases. Everything is looked at first; one wrong line and
 * nothing is done. Then one after the other, each as by `user add`, so that a kill leaves some of them whole and none in
 * halves; the same file may be imported again: who is there already is left as they are.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/csv.h"
#include "base/arena.h"
#include "base/must.h"
#include "role/auth/orders.h"

enum { ROWS = 50000 };
enum column { ADDRESS, NAME, PASSWORD, ALIASES, COLUMNS };

struct row {
	unsigned line;
	struct span fields[COLUMNS];
	bool is_there;
};

struct import {
	struct auth *auth;
	uint64_t asker;
	struct buf csv; /* the rows' fields lie here and in the arena */
	struct arena arena;
	struct row *rows;
	size_t rows_n, at, added, there, aliases, failed;
	size_t columns[COLUMNS]; /* SIZE_MAX: not in this file */
	char failure[600];
};

static const char *const names[COLUMNS] = {"address", "name", "password", "aliases"};

static void import_free(struct import *i)
{
	secret_wipe_buf(&i->csv);
	arena_fini(&i->arena);
	free(i);
}

/* ---- looking ---- */

static bool take_header(struct import *i, const struct csv *c)
{
	bool is_header = false;

	for (size_t f = 0; f < c->fields_n; f++)
		is_header |= span_eq_nocase(span_trim(c->fields[f]), SPAN_LIT("address"));
	for (size_t k = 0; k < COLUMNS; k++) {
		i->columns[k] = is_header ? SIZE_MAX : k;
		for (size_t f = 0; is_header && f < c->fields_n; f++) {
			if (span_eq_nocase(span_trim(c->fields[f]), span_str(names[k])))
				i->columns[k] = f;
		}
	}
	return is_header;
}

static bool check_row(struct import *i, struct row *r, bool short_ok, struct fault *why)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1], other[LOGIN_NAME_LIMIT_BYTES + 1];
	struct span aliases = r->fields[ALIASES];
	const struct member *m;
	struct password w;
	bool ok = people_name_is_good(i->auth, r->fields[ADDRESS], name, why);

	if (ok && r->fields[PASSWORD].n) {
		ok = password_prepare(r->fields[PASSWORD], &w) &&
		     password_is_good(&w, span_str(name),
				      short_ok ? PASSWORD_LEAST_ALLOWED : PASSWORD_LEAST, why);
		password_wipe(&w);
	}
	while (ok && aliases.n) {
		struct span one = span_trim(span_cut(&aliases, ' '));

		ok = !one.n || people_name_is_good(i->auth, one, other, why);
	}
	if (!ok) {
		fault_context(why, "line %u", r->line);
		return false;
	}
	m = member_find(i->auth, span_str(name));
	r->is_there = m && m->account.state != ACCOUNT_DELETED;
	i->there += r->is_there;
	return true;
}

static bool look(struct import *i, bool short_ok, struct fault *why)
{
	bool is_first = true;
	struct csv c;
	enum rc rc;

	csv_init(&c, buf_span(&i->csv));
	i->rows = arena_array(&i->arena, ROWS, sizeof *i->rows);
	while ((rc = csv_next(&c, &i->arena, why)) == OK) {
		struct row *r = &i->rows[i->rows_n];

		if (is_first && take_header(i, &c)) {
			is_first = false;
			continue;
		}
		is_first = false;
		if (i->rows_n == ROWS) {
			fault_set(why, "more than %d lines; split the file", ROWS);
			return false;
		}
		r->line = c.line;
		for (size_t k = 0; k < COLUMNS; k++) {
			if (i->columns[k] < c.fields_n)
				r->fields[k] = span_trim(c.fields[i->columns[k]]);
		}
		if (!check_row(i, r, short_ok, why))
			return false;
		i->rows_n++;
	}
	return rc == MORE;
}

/* ---- doing ---- */

static void next(struct import *i);

static void finish(struct import *i)
{
	struct buf json = {0};
	char text[900];

	login_mechanisms_changed(i->auth);
	buf_printf(&json, "{\"added\":%zu,\"already_there\":%zu,\"aliases\":%zu,\"failed\":%zu}",
		   i->added, i->there, i->aliases, i->failed);
	(void)snprintf(text, sizeof text, "%zu added, %zu were there already, %zu aliases%s%s",
		       i->added, i->there, i->aliases, i->failed ? "; failed: " : "", i->failure);
	people_answer(asker_find(i->auth, i->asker), i->failed == 0, text, &json);
	buf_fini(&json);
	import_free(i);
}

static void add_aliases(struct import *i, const struct row *r, const char *account)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1];
	struct span rest = r->fields[ALIASES];
	struct account_pending pending = {0};
	struct fault why = {""};

	while (rest.n) {
		struct span one = span_trim(span_cut(&rest, ' '));
		char **targets;

		if (!one.n || !account_name(one, name) || member_find(i->auth, span_str(name)) ||
		    alias_find(i->auth, span_str(name)))
			continue;
		targets = must_alloc(sizeof *targets);
		targets[0] = must_strdup(account);
		books_mark(i->auth, &pending, "alias.set", SPAN_NONE, "import", true);
		if (alias_replace(i->auth, name, targets, 1, &pending, &why)) {
			books_alias(i->auth, alias_find(i->auth, span_str(name)), NULL, NULL);
			i->aliases++;
			continue;
		}
		free(targets[0]);
		free(targets);
		i->failed++;
		(void)snprintf(i->failure, sizeof i->failure, "%s", why.text);
	}
}

static void on_added(void *arg, bool ok, const char *text)
{
	struct import *i = arg;

	i->added += ok;
	i->failed += !ok;
	if (!ok)
		(void)snprintf(i->failure, sizeof i->failure, "line %u: %s",
			       i->rows[i->at - 1].line, text);
	next(i);
}

static void add(struct import *i, const struct row *r, const char *name)
{
	struct asker *c = asker_find(i->auth, i->asker);
	struct order *o = order_new(c, NULL, "user.add");
	struct password w;

	order_fresh(o, name);
	(void)snprintf(o->next.display, sizeof o->next.display, "%.*s",
		       SPAN_FMT(span_first(r->fields[NAME], sizeof o->next.display - 1)));
	for (char *t = o->next.display; *t; t++)
		*t = (unsigned char)*t < ' ' || *t == 127 ? ' ' : *t;
	o->next.passthrough = !r->fields[PASSWORD].n;
	(void)snprintf(o->argument, sizeof o->argument, "import");
	o->on_end = on_added;
	o->arg = i;
	if (r->fields[PASSWORD].n && password_prepare(r->fields[PASSWORD], &w)) {
		order_commit_password(o, &w);
		password_wipe(&w);
	} else {
		order_commit(o);
	}
}

static void next(struct import *i)
{
	char name[LOGIN_NAME_LIMIT_BYTES + 1];

	while (i->at < i->rows_n) {
		const struct row *r = &i->rows[i->at++];

		if (!asker_find(i->auth, i->asker)) {
			say(SAY_NOTICE, "import.left", "rows", SAY_U64(i->at - 1), NULL);
			break; /* whoever asked is gone: what is done is done */
		}
		if (!account_name(r->fields[ADDRESS], name))
			continue;
		add_aliases(i, r, name);
		if (!r->is_there && !member_find(i->auth, span_str(name))) {
			add(i, r, name);
			return;
		}
	}
	finish(i);
}

void people_import(struct asker *c, const struct msg_user_import *m)
{
	struct import *i = must_alloc(sizeof *i);
	struct fault why = {""};
	char text[200];

	i->auth = c->auth;
	i->asker = c->number;
	arena_init(&i->arena, 0);
	buf_append(&i->csv, m->csv);
	if (!look(i, m->short_ok, &why)) {
		people_answer(c, false, why.text, NULL);
		import_free(i);
		return;
	}
	if (m->dry_run) {
		(void)snprintf(text, sizeof text,
			       "%zu would be added, %zu are there already; nothing was changed",
			       i->rows_n - i->there, i->there);
		people_answer(c, true, text, NULL);
		import_free(i);
		return;
	}
	next(i);
}
