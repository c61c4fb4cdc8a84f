/*
 * The data directory: which folders there are, whose they are and who may look in. With umask 027 what roles make in
 * them is 0750 and 0640: the group reads (clerk and couriers read the lanes), others see nothing.
 *
 * Where root itself writes (run, tls) the folder is root's and so is the one it lies in: what a role could put there,
 * a link say, root would follow.
 */
#include "super/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "os/os.h"
#include "say/say.h"
#include "tls/tls.h"

/* owner ROLE_NONE: root's. shared: several roles make files there, each its own (sticky). closed: its owner's alone. */
static const struct folder {
	const char *path;
	enum role_id owner;
	bool shared, closed;
} folders[] = {
	{"", ROLE_NONE, false, false},
	{"ledger", ROLE_NONE, true, false},
	{"views", ROLE_CLERK, false, false},
	{"publish", ROLE_NONE, true, false},
	{"secrets", ROLE_NONE, false, false},
	{"secrets/auth", ROLE_AUTH, false, true},
	{"secrets/dkim", ROLE_AUTH, false, true},
	{"tls", ROLE_NONE, false, false},
	{"tls/use", ROLE_NONE, false, false},
	{"run", ROLE_NONE, false, false},
	{"index", ROLE_INDEXER, false, false},
	{"uploads", ROLE_DESK, false, true},
};

static uid_t owner_of(const struct super_users *u, const struct folder *f)
{
	return f->shared || f->owner != ROLE_NONE ? u->uid[f->owner] : 0;
}

/* An operator may put a folder elsewhere by a link; nobody else may. */
static bool is_foreign_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid != 0;
}

/* As `mkdir -p`. */
static bool make_parents(const char *path)
{
	char part[1024];
	int n = snprintf(part, sizeof part, "%s", path);

	if (n < 0 || (size_t)n >= sizeof part) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return false;
		*at = '/';
	}
	return true;
}

static bool make_folder(const char *data, const struct folder *f, const struct super_users *u,
			struct fault *why)
{
	char path[1100];
	mode_t mode = f->closed ? 0700 : f->shared && u->own ? 01770 : 0750;

	(void)snprintf(path, sizeof path, "%s%s%s", data, f->path[0] ? "/" : "", f->path);
	if (mkdir(path, f->closed ? 0700 : 0750) < 0 && errno != EEXIST) {
		fault_sys(why, "data directory %s", path);
		return false;
	}
	if (!u->switches)
		return true;
	if (f->path[0] && is_foreign_link(path)) {
		fault_set(why,
			  "data directory %s: a link that root did not make; remove it, or use "
			  "`chown -h root`",
			  path);
		return false;
	}
	if (chown(path, owner_of(u, f), u->gid) < 0 || chmod(path, mode) < 0) {
		fault_sys(why, "data directory %s: owner and mode", path);
		return false;
	}
	return true;
}

/* ---- data that was written under other users (a trial run before the installation, a restored copy) ---- */

static bool chown_one(int dir, const char *name, uid_t uid, gid_t gid, bool *out_is_dir)
{
	struct stat st;

	*out_is_dir = false;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	*out_is_dir = S_ISDIR(st.st_mode);
	/* A name that is not the only one of its file, or no file, is none that a role made. */
	if (!*out_is_dir && (!S_ISREG(st.st_mode) || st.st_nlink != 1))
		return true;
	if (st.st_uid == uid && st.st_gid == gid)
		return true;
	return fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A folder, the files in it, and of folders in it (a generation of the views) the files too. */
static bool chown_folder(int dir, const char *name, uid_t uid, gid_t gid, unsigned depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *entry;
	bool ok = true, is_dir;
	DIR *list;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR;
	list = fdopendir(fd);
	if (!list) {
		(void)close(fd);
		return false;
	}
	while (ok && (entry = readdir(list))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ok = chown_one(fd, entry->d_name, uid, gid, &is_dir);
		if (ok && is_dir && depth < 2)
			ok = chown_folder(fd, entry->d_name, uid, gid, depth + 1);
	}
	(void)closedir(list);
	return ok && chown_one(dir, name, uid, gid, &is_dir);
}

/* "lane-courier-3" belongs to courier, "order" to the sequencer. */
static enum role_id role_of_lane(const char *name)
{
	if (strcmp(name, "order") == 0)
		return ROLE_SEQUENCER;
	for (enum role_id id = ROLE_EDGE; id <= ROLE_LAST; id++) {
		const char *role = role_name(id);
		size_t n = strlen(role);

		if (strncmp(name, "lane-", 5) == 0 && strncmp(name + 5, role, n) == 0 &&
		    (name[5 + n] == '\0' || name[5 + n] == '-' || name[5 + n] == '.'))
			return id;
	}
	return ROLE_NONE;
}

static bool adopt(const char *data, const char *folder, const char *name, uid_t uid, gid_t gid,
		  struct fault *why)
{
	char path[1100];
	struct stat st;
	bool ok;
	int dir;

	(void)snprintf(path, sizeof path, "%s/%s", data, folder);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ok = dir >= 0;
	if (ok && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid != uid) {
		say(SAY_NOTICE, "data.adopted", "path", SAY_STR(path), "name", SAY_STR(name), "uid",
		    SAY_U64(uid), NULL);
		ok = chown_folder(dir, name, uid, gid, 0);
	}
	if (!ok)
		fault_sys(why, "owner of %s/%s", path, name);
	if (dir >= 0)
		(void)close(dir);
	return ok;
}

struct adopting {
	const char *data;
	const struct super_users *users;
	struct fault *why;
	bool ok;
};

static bool on_lane(void *arg, const char *name)
{
	struct adopting *a = arg;
	enum role_id id = role_of_lane(name);

	if (id != ROLE_NONE)
		a->ok = adopt(a->data, "ledger", name, a->users->uid[id], a->users->gid, a->why);
	return a->ok;
}

/* What an operator put there as root (a master user's password) is for auth to read, so this is looked at each time. */
static bool adopt_secrets(const char *data, const char *name, const struct super_users *users,
			  struct fault *why)
{
	char path[1100];
	bool ok;
	int dir;

	(void)snprintf(path, sizeof path, "%s/secrets", data);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return true;
	ok = dir >= 0 && chown_folder(dir, name, users->uid[ROLE_AUTH], users->gid, 0);
	if (!ok)
		fault_sys(why, "owner of %s/%s", path, name);
	if (dir >= 0)
		(void)close(dir);
	return ok;
}

static bool adopt_all(const char *data, const struct super_users *users, struct fault *why)
{
	struct adopting a = {data, users, why, true};
	char path[1100];

	(void)snprintf(path, sizeof path, "%s/ledger", data);
	if (os_list_dir(os_real(), path, on_lane, &a) < 0) {
		fault_sys(why, "list %s", path);
		return false;
	}
	return a.ok && adopt(data, ".", "views", users->uid[ROLE_CLERK], users->gid, why) &&
	       adopt(data, ".", "index", users->uid[ROLE_INDEXER], users->gid, why) &&
	       adopt(data, ".", "uploads", users->uid[ROLE_DESK], users->gid, why) &&
	       adopt_secrets(data, "auth", users, why) && adopt_secrets(data, "dkim", users, why);
}

bool super_tree_make(const char *data, const struct super_users *users, struct fault *why)
{
	if (!make_parents(data)) {
		fault_sys(why, "data directory %s", data);
		return false;
	}
	if (users->switches && access(data, F_OK) == 0) {
		char views[1100];

		/* Before the folders get their owners: what is inside follows its folder. */
		(void)snprintf(views, sizeof views, "%s/ledger", data);
		if (access(views, F_OK) == 0 && !adopt_all(data, users, why))
			return false;
	}
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if (!make_folder(data, &folders[i], users, why))
			return false;
	}
	if (access(data, W_OK | X_OK) < 0) {
		fault_sys(why, "data directory %s: we cannot write there", data);
		return false;
	}
	return true;
}

int super_tree_lock(const char *data, struct fault *why)
{
	char path[1100], pid[32];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "%s/run/holdfast.pid", data);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		fault_sys(why, "open %s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, pid, sizeof pid - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		fault_set(why,
			  "Holdfast runs on %s already (process %s); `holdfast status` shows it, "
			  "and another instance "
			  "needs a data directory of its own",
			  data, pid[0] ? pid : "unknown");
		(void)close(fd);
		return -1;
	}
	n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
		fault_sys(why, "write %s", path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* ---- certificate and key ---- */

enum { PEM_LIMIT_BYTES = 1 << 20 };

static const char *below(const char *data, const char *name, struct arena *a)
{
	size_t n = strlen(data) + strlen(name) + 2;
	char *path = arena_alloc(a, n);

	must(path != NULL);
	(void)snprintf(path, n, "%s/%s", data, name);
	return path;
}

const char *super_tls_certificate(const char *data, struct arena *a)
{
	return below(data, "tls/use/certificate.pem", a);
}

const char *super_tls_key(const char *data, enum role_id role, struct arena *a)
{
	switch (role) {
	case ROLE_DESK:
		return below(data, "tls/use/key-desk.pem", a);
	case ROLE_SUBMISSION:
		return below(data, "tls/use/key-submission.pem", a);
	case ROLE_CONSOLE:
		return below(data, "tls/use/key-console.pem", a);
	case ROLE_NONE:
	case ROLE_EDGE:
	case ROLE_SCOUT:
	case ROLE_SEQUENCER:
	case ROLE_CLERK:
	case ROLE_COURIER:
	case ROLE_WATCH:
	case ROLE_AUTH:
	case ROLE_INDEXER:
		break;
	}
	return below(data, "tls/use/key.pem", a);
}

static bool copy(const char *from, const char *to, const struct super_users *users,
		 enum role_id owner, unsigned mode, struct fault *why)
{
	unsigned char *bytes = must_alloc(PEM_LIMIT_BYTES);
	struct os *os = os_real();
	int fd = os_open(os, from, O_RDONLY, 0);
	ssize_t n = fd < 0 ? -1 : os_read_all(os, fd, bytes, PEM_LIMIT_BYTES, 0);
	bool ok;

	if (n < 0) {
		fault_sys(why, "read %s", from);
		ok = false;
	} else {
		ok = os_replace_file(os, to, span_of(bytes, (size_t)n), mode) &&
		     (!users->switches || chown(to, users->uid[owner], users->gid) == 0);
		if (!ok)
			fault_sys(why, "write %s", to);
	}
	if (fd >= 0)
		(void)os_close(os, fd);
	explicit_bzero(bytes, PEM_LIMIT_BYTES);
	free(bytes);
	return ok;
}

/* A site whose anchors cannot be read would hold all its mail. */
static bool anchors_are_good(const struct msg_config *config, struct fault *why)
{
	enum rc rc = OK;

	for (size_t i = 0; i < config->sites_n && rc == OK; i++) {
		struct tls_context *tls = NULL;

		rc = tls_client_trusting(config->sites[i].tls_ca, &tls, why);
		if (rc != OK)
			fault_context(why, "tls_ca of the site %.*s",
				      SPAN_FMT(config->sites[i].name));
		tls_context_unref(tls);
	}
	return rc == OK;
}

/* A reload keeps the old certificate; a start has no other, and mail must be taken (P2): loudly. */
static bool is_current(const struct tls_context *pair, bool is_start, struct fault *why)
{
	if (tls_context_is_current(pair, why) == OK)
		return true;
	if (is_start)
		say(SAY_ERROR, "tls.not_current", "why", SAY_STR(why->text), "then",
		    SAY_STR("it is served all the same; senders that verify will refuse it: renew "
			    "it"),
		    NULL);
	return is_start;
}

/* Each role that speaks TLS has a copy of its own: a file has one owner, and the group reads no key. */
static bool copy_keys(const struct msg_config *config, const char *data, const char *key,
		      const struct super_users *users, struct arena *a, struct fault *why)
{
	static const enum role_id roles[] = {ROLE_EDGE, ROLE_DESK, ROLE_SUBMISSION, ROLE_CONSOLE};
	bool ok = true;

	for (size_t i = 0; i < sizeof roles / sizeof *roles && ok; i++) {
		if (super_instances(roles[i], config) > 0)
			ok = copy(key, super_tls_key(data, roles[i], a), users, roles[i], 0400,
				  why);
	}
	return ok;
}

bool super_tls_stage(const struct msg_config *config, const char *data,
		     const struct super_users *users, bool is_start, struct fault *why)
{
	struct tls_context *pair = NULL;
	const char *certificate, *key;
	struct arena a;
	bool ok;

	arena_init(&a, 0);
	if (config->tls_certificate.n > 0) {
		certificate = arena_str(&a, config->tls_certificate);
		key = arena_str(&a, config->tls_key);
		ok = true;
	} else {
		certificate = below(data, "tls/certificate.pem", &a);
		key = below(data, "tls/key.pem", &a);
		ok = tls_self_signed(certificate, key, arena_str(&a, config->node), why) == OK;
	}
	ok = ok && anchors_are_good(config, why);
	ok = ok && tls_server_new(certificate, key, "smtp", &pair, why) == OK &&
	     is_current(pair, is_start, why);
	tls_context_unref(pair);
	ok = ok &&
	     copy(certificate, super_tls_certificate(data, &a), users, ROLE_EDGE, 0440, why) &&
	     copy_keys(config, data, key, users, &a, why);
	arena_fini(&a);
	return ok;
}
