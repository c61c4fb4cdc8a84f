/*
 * The files of auth, below <data>/secrets/auth, 0600 in folders of 0700:
 *
 *   accounts/<name>.account   one account each (auth/account.h)     aliases/<address>.alias   one alias or group each
 *   sites/<site>/master-password   of the primary's master user    smarthost-password
 *   consent/<name>            a person's password for going home, sealed with key     throttle   counts of failures
 *   sessions                  session_file.h      key   32 random bytes
 *
 * Names are percent-encoded. A file is replaced as a whole: new file, sync, rename, sync of the folder; so a kill at any
 * moment leaves the old one or the new one. What cannot be read is renamed to *.damaged and reported, never removed.
 */
#include "role/auth/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"

#define MEMBER_OF(v) ((struct member *)(v))

static bool path_of(const struct auth *a, const char *name, char out[AUTH_PATH_BYTES * 2])
{
	int n = snprintf(out, AUTH_PATH_BYTES * 2, "%s/secrets/auth/%s", role_data(a->role), name);

	return n > 0 && n < AUTH_PATH_BYTES * 2;
}

bool store_read(struct auth *a, const char *name, struct buf *out, size_t limit)
{
	char path[AUTH_PATH_BYTES * 2];
	uint64_t size = 0;
	ssize_t n = -1;
	int fd;

	if (!path_of(a, name, path))
		return false;
	fd = os_open(a->os, path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return false;
	if (os_size(a->os, fd, &size) == 0 && size <= limit && buf_reserve(out, (size_t)size + 1))
		n = os_read_all(a->os, fd, out->p + out->n, (size_t)size, 0);
	(void)os_close(a->os, fd);
	if (n < 0)
		return false;
	out->n += (size_t)n;
	return true;
}

bool store_write(struct auth *a, const char *name, struct span bytes, struct fault *why)
{
	char path[AUTH_PATH_BYTES * 2];

	if (!path_of(a, name, path)) {
		fault_set(why, "the name of the file is too long");
		return false;
	}
	if (os_replace_file(a->os, path, bytes, 0600))
		return true;
	fault_sys(why, "write %s", path);
	return false;
}

bool store_folder(struct auth *a, const char *name, struct fault *why)
{
	char path[AUTH_PATH_BYTES * 2];

	if (path_of(a, name, path) && (os_mkdir(a->os, path, 0700) == 0 || errno == EEXIST))
		return true;
	fault_sys(why, "folder %s", path);
	return false;
}

void store_remove(struct auth *a, const char *name)
{
	char path[AUTH_PATH_BYTES * 2];

	if (path_of(a, name, path) && os_unlink(a->os, path) < 0 && errno != ENOENT)
		say(SAY_WARNING, "auth.file_not_removed", "path", SAY_STR(path), NULL);
}

bool store_file_name(const char *folder, struct span name, const char *suffix,
		     char out[AUTH_PATH_BYTES])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789@._+-";
	size_t n = (size_t)snprintf(out, AUTH_PATH_BYTES, "%s/", folder), from = n;

	for (size_t i = 0; i < name.n && n - from < 230; i++) {
		unsigned char c = name.p[i];

		if (c && strchr(plain, c) && (c != '.' || i > 0))
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02x", c);
	}
	(void)snprintf(out + n, AUTH_PATH_BYTES - n, "%s", suffix);
	return n - from < 230;
}

struct member *member_find(const struct auth *a, struct span name)
{
	return map_get(&a->members, name);
}

struct alias *alias_find(const struct auth *a, struct span address)
{
	return map_get(&a->aliases, address);
}

/* ---- aliases: "holdfast-alias 1", "address x", "target x" ..., "pending ...", "sum x" ---- */

static void alias_write(const struct alias *x, struct buf *out)
{
	buf_append(out, SPAN_LIT("holdfast-alias 1\n"));
	buf_printf(out, "address %s\n", x->address);
	for (size_t i = 0; i < x->targets_n; i++)
		buf_printf(out, "target %s\n", x->targets[i]);
	if (x->is_pending)
		buf_printf(out, "pending %s %s %s\n", x->pending.id, x->pending.verb,
			   x->pending.actor);
	buf_printf(out, "sum %08x\n", crc32c(0, buf_span(out)));
}

static void alias_free(void *value)
{
	struct alias *x = value;

	for (size_t i = 0; i < x->targets_n; i++)
		free(x->targets[i]);
	free(x->targets);
	list_remove(&x->on_pending);
	free(x);
}

static void copy(char *out, size_t n, struct span s)
{
	(void)snprintf(out, n, "%.*s", SPAN_FMT(s));
}

static bool alias_line(struct alias *x, struct span key, struct span v)
{
	if (span_eq(key, SPAN_LIT("address")) && v.n <= LOGIN_NAME_LIMIT_BYTES) {
		copy(x->address, sizeof x->address, v);
		return true;
	}
	if (span_eq(key, SPAN_LIT("target")) && v.n && x->targets_n < AUTH_TARGETS) {
		char *target = must_alloc(v.n + 1);

		memcpy(target, v.p, v.n);
		x->targets[x->targets_n++] = target;
		return true;
	}
	if (!span_eq(key, SPAN_LIT("pending")))
		return false;
	x->is_pending = true;
	x->pending.has_directory = true;
	copy(x->pending.id, sizeof x->pending.id, span_cut(&v, ' '));
	copy(x->pending.verb, sizeof x->pending.verb, span_cut(&v, ' '));
	copy(x->pending.actor, sizeof x->pending.actor, v);
	return true;
}

static struct alias *alias_read(struct span bytes)
{
	struct alias *x;
	struct span rest;
	char sum[16];
	bool ok;

	if (bytes.n < 13)
		return NULL;
	rest = span_first(bytes, bytes.n - 13);
	(void)snprintf(sum, sizeof sum, "sum %08x\n", crc32c(0, rest));
	if (!span_eq(span_from(bytes, bytes.n - 13), span_str(sum)) ||
	    !span_eq(span_cut(&rest, '\n'), SPAN_LIT("holdfast-alias 1")))
		return NULL;
	x = must_alloc(sizeof *x);
	list_init(&x->on_pending);
	x->targets = must_alloc(AUTH_TARGETS * sizeof *x->targets);
	for (ok = true; ok && rest.n;) {
		struct span line = span_cut(&rest, '\n'), key = span_cut(&line, ' ');

		ok = alias_line(x, key, line);
	}
	if (ok && x->address[0])
		return x;
	alias_free(x);
	return NULL;
}

/* ---- loading ---- */

struct loading {
	struct auth *auth;
	const char *folder, *suffix;
	bool (*take)(struct auth *a, struct span bytes, struct fault *why);
};

static struct member *member_new(struct auth *a, const struct account *account)
{
	struct member *m = must_alloc(sizeof *m);

	m->account = *account;
	m->epoch = ++a->last_epoch;
	list_init(&m->on_pending);
	if (account->is_pending)
		list_append(&a->pending_members, &m->on_pending);
	must(!map_put(&a->members, span_str(account->name), m));
	return m;
}

static bool take_account(struct auth *a, struct span bytes, struct fault *why)
{
	struct account *account = must_alloc(sizeof *account);
	bool ok = account_read(bytes, account, why) == OK;

	if (ok && member_find(a, span_str(account->name))) {
		fault_set(why, "there are two files of this account");
		ok = false;
	}
	if (ok)
		(void)member_new(a, account);
	secret_wipe(account, sizeof *account);
	free(account);
	return ok;
}

static bool take_alias(struct auth *a, struct span bytes, struct fault *why)
{
	struct alias *x = alias_read(bytes);

	if (!x || alias_find(a, span_str(x->address))) {
		fault_set(why, "this is no whole alias file, or a second one of it");
		if (x)
			alias_free(x);
		return false;
	}
	if (x->is_pending)
		list_append(&a->pending_aliases, &x->on_pending);
	(void)map_put(&a->aliases, span_str(x->address), x);
	return true;
}

static void set_aside(struct auth *a, const char *name, const struct fault *why)
{
	char from[AUTH_PATH_BYTES * 2], to[AUTH_PATH_BYTES * 2 + 16];

	if (!path_of(a, name, from))
		return;
	(void)snprintf(to, sizeof to, "%s.damaged", from);
	(void)os_rename(a->os, from, to);
	a->damaged++;
	say(SAY_ERROR, "account.set_aside", "file", SAY_STR(to), "why", SAY_STR(why->text), NULL);
}

static bool on_file(void *arg, const char *name)
{
	struct loading *l = arg;
	struct fault why = {"it cannot be read"};
	char path[AUTH_PATH_BYTES];
	struct buf bytes = {0};

	if (!span_ends_nocase(span_str(name), span_str(l->suffix)))
		return true;
	(void)snprintf(path, sizeof path, "%s/%s", l->folder, name);
	if (!store_read(l->auth, path, &bytes, ACCOUNT_FILE_LIMIT_BYTES) ||
	    !l->take(l->auth, buf_span(&bytes), &why))
		set_aside(l->auth, path, &why);
	secret_wipe_buf(&bytes);
	return true;
}

static bool load(struct auth *a, struct loading *l, struct fault *why)
{
	char path[AUTH_PATH_BYTES * 2];

	if (!path_of(a, l->folder, path) || (os_mkdir(a->os, path, 0700) < 0 && errno != EEXIST) ||
	    os_list_dir(a->os, path, on_file, l) < 0) {
		fault_sys(why, "folder %s", path);
		return false;
	}
	return true;
}

bool store_open(struct auth *a, struct fault *why)
{
	struct loading accounts = {a, "accounts", ".account", take_account};
	struct loading aliases = {a, "aliases", ".alias", take_alias};
	struct loading consent = {a, "consent", "//", NULL}, sites = {a, "sites", "//", NULL};

	map_init(&a->members);
	map_init(&a->aliases);
	return load(a, &accounts, why) && load(a, &aliases, why) && load(a, &consent, why) &&
	       load(a, &sites, why);
}

static void member_free(void *value)
{
	struct member *m = value;

	list_remove(&m->on_pending);
	secret_wipe(m, sizeof *m);
	free(m);
}

void store_free(struct auth *a)
{
	map_fini(&a->members, member_free);
	map_fini(&a->aliases, alias_free);
}

/* ---- changing ---- */

static bool write_account(struct auth *a, const struct account *account, struct fault *why)
{
	char name[AUTH_PATH_BYTES];
	struct buf bytes = {0};
	bool ok;

	if (!store_file_name("accounts", span_str(account->name), ".account", name)) {
		fault_set(why, "the name is too long");
		return false;
	}
	account_write(account, &bytes);
	ok = store_write(a, name, buf_span(&bytes), why);
	secret_wipe_buf(&bytes);
	return ok;
}

/* The file has it. */
static void take_over(struct auth *a, const struct account *next, enum account_change change)
{
	struct member *m = member_find(a, span_str(next->name));

	if (!m) {
		(void)member_new(a, next);
		return;
	}
	m->account = *next;
	if (change != ACCOUNT_RENEWED)
		m->epoch = ++a->last_epoch; /* the cache's entries are of the epoch before */
	list_remove(&m->on_pending);
	if (next->is_pending)
		list_append(&a->pending_members, &m->on_pending);
	if (change == ACCOUNT_ENDED)
		session_sealed(a, m);
	if (change == ACCOUNT_ENDED || change == ACCOUNT_PROGRAMS_ENDED)
		people_changed(a, span_str(next->name));
}

bool account_replace(struct auth *a, const struct account *given, enum account_change change,
		     struct fault *why)
{
	struct account *next = must_alloc(sizeof *next);
	bool ok;

	*next = *given;
	while (change == ACCOUNT_ENDED ? next->seal == given->seal : !next->seal)
		os_random(a->os, &next->seal, sizeof next->seal);
	ok = write_account(a, next, why);
	if (ok)
		take_over(a, next, change);
	secret_wipe(next, sizeof *next);
	free(next);
	return ok;
}

void account_recorded(struct auth *a, struct member *m)
{
	struct fault why = {""};

	m->account.is_pending = false;
	list_remove(&m->on_pending);
	if (!write_account(a, &m->account,
			   &why)) /* the next start writes the record again: it is the same */
		say(SAY_WARNING, "account.mark_stays", "account", SAY_STR(m->account.name), "why",
		    SAY_STR(why.text), NULL);
}

static bool write_alias(struct auth *a, const struct alias *x, struct fault *why)
{
	char name[AUTH_PATH_BYTES];
	struct buf bytes = {0};
	bool ok;

	if (!store_file_name("aliases", span_str(x->address), ".alias", name)) {
		fault_set(why, "the address is too long");
		return false;
	}
	alias_write(x, &bytes);
	ok = store_write(a, name, buf_span(&bytes), why);
	buf_fini(&bytes);
	return ok;
}

bool alias_replace(struct auth *a, const char *address, char **targets, size_t targets_n,
		   const struct account_pending *pending, struct fault *why)
{
	struct alias *was = alias_find(a, span_str(address)), *x = must_alloc(sizeof *x);

	copy(x->address, sizeof x->address, span_str(address));
	list_init(&x->on_pending);
	x->targets = targets;
	x->targets_n = targets_n;
	x->is_pending = true;
	x->pending = *pending;
	if (!write_alias(a, x, why)) {
		free(x);
		return false;
	}
	if (was) {
		/* Who may no longer send as it: desks and submission ask anew. */
		if (was->targets_n == 1 &&
		    (targets_n != 1 || strcmp(was->targets[0], targets[0]) != 0))
			people_changed(a, span_str(was->targets[0]));
		(void)map_remove(&a->aliases, span_str(address));
		alias_free(was);
	}
	(void)map_put(&a->aliases, span_str(address), x);
	list_append(&a->pending_aliases, &x->on_pending);
	return true;
}

void alias_recorded(struct auth *a, struct alias *x)
{
	char name[AUTH_PATH_BYTES];
	struct fault why = {""};

	x->is_pending = false;
	list_remove(&x->on_pending);
	if (x->targets_n > 0) {
		if (!write_alias(a, x, &why))
			say(SAY_WARNING, "alias.mark_stays", "alias", SAY_STR(x->address), "why",
			    SAY_STR(why.text), NULL);
		return;
	}
	if (store_file_name("aliases", span_str(x->address), ".alias", name))
		store_remove(a, name);
	(void)map_remove(&a->aliases, span_str(x->address));
	alias_free(x);
}
