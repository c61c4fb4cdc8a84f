#include "os/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

enum { SECTOR_BYTES = 512, FDS = 256, PATH_BYTES = 512, WRITE_STEP_US = 20, SYNC_STEP_US = 500 };

struct bytes {
	unsigned char *p;
	size_t n, cap;
};

struct inode {
	unsigned refs; /* names (cached or on disk), open files */
	bool is_dir;
	struct bytes cache, disk;
	bool *dirty; /* per sector of the cache */
	size_t dirty_cap;
	int locked_by; /* fd + 1; 0: not */
};

struct name {
	char path[PATH_BYTES];
	struct inode *inode;
};

struct names {
	struct name *at;
	size_t n;
};

/* A change of names that is not synced yet, in the order of making. */
struct change {
	char folder[PATH_BYTES], folder_too[PATH_BYTES]; /* the second of a rename */
	char remove[PATH_BYTES], add[PATH_BYTES];	 /* "" : none */
	struct inode *inode;				 /* of add */
};

struct open_file {
	struct inode *inode; /* NULL: free */
	bool writes;
};

struct os_sim {
	struct os os; /* first */
	uint64_t seed, calls, plan_nth, plan_then_die, space, wall_us;
	enum sim_fate plan_fate;
	int plan_err;
	bool plan_repeat, is_dead, is_choppy;
	struct names cached, on_disk;
	struct change *changes;
	size_t changes_n;
	struct open_file files[FDS];
};

static uint64_t rng(struct os_sim *s)
{
	uint64_t z = s->seed += 0x9e3779b97f4a7c15; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static struct os_sim *sim_of(struct os *os)
{
	return (struct os_sim *)(void *)os;
}

/* ---- inodes and names ---- */

static void bytes_resize(struct bytes *b, size_t n)
{
	if (n > b->cap) {
		b->cap = n + n / 2;
		b->p = realloc(b->p, b->cap);
		must(b->p != NULL);
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

static void inode_unref(struct inode *i)
{
	if (!i || --i->refs > 0)
		return;
	free(i->cache.p);
	free(i->disk.p);
	free(i->dirty);
	free(i);
}

static struct inode *names_find(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->at[i].path, path) == 0)
			return names->at[i].inode;
	return NULL;
}

static void names_remove(struct names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->at[i].path, path) == 0) {
			inode_unref(names->at[i].inode);
			names->at[i] = names->at[--names->n];
			return;
		}
}

static void names_add(struct names *names, const char *path, struct inode *inode)
{
	names_remove(names, path);
	names->at = realloc(names->at, (names->n + 1) * sizeof *names->at);
	must(names->at != NULL);
	(void)snprintf(names->at[names->n].path, PATH_BYTES, "%s", path);
	names->at[names->n++].inode = inode;
	inode->refs++;
}

static void names_copy(struct names *to, const struct names *from)
{
	while (to->n > 0)
		inode_unref(to->at[--to->n].inode);
	for (size_t i = 0; i < from->n; i++)
		names_add(to, from->at[i].path, from->at[i].inode);
}

static void folder_of(const char *path, char out[PATH_BYTES])
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(out, PATH_BYTES, "%.*s", slash ? (int)(slash - path) : 1,
		       slash ? path : ".");
}

static void change_add(struct os_sim *s, const char *remove, const char *add, struct inode *inode)
{
	struct change *c;

	s->changes = realloc(s->changes, (s->changes_n + 1) * sizeof *c);
	must(s->changes != NULL);
	c = &s->changes[s->changes_n++];
	*c = (struct change){.inode = inode};
	(void)snprintf(c->remove, PATH_BYTES, "%s", remove);
	(void)snprintf(c->add, PATH_BYTES, "%s", add);
	folder_of(*add ? add : remove, c->folder);
	folder_of(*remove ? remove : add, c->folder_too);
	if (inode)
		inode->refs++;
}

static void change_apply(struct os_sim *s, const struct change *c)
{
	if (*c->remove)
		names_remove(&s->on_disk, c->remove);
	if (*c->add)
		names_add(&s->on_disk, c->add, c->inode);
}

static void changes_drop(struct os_sim *s)
{
	for (size_t i = 0; i < s->changes_n; i++)
		inode_unref(s->changes[i].inode);
	s->changes_n = 0;
}

/* ---- what befalls a call ---- */

enum verdict { GO, FAIL, FAIL_HALF, DIE };

static void then_die(struct os_sim *s)
{
	if (s->plan_then_die == 0)
		return;
	s->plan_nth = s->calls + s->plan_then_die;
	s->plan_fate = SIM_DIE;
	s->plan_then_die = 0;
}

static enum verdict fate(struct os_sim *s)
{
	if (s->is_dead) {
		errno = EIO;
		return FAIL;
	}
	s->calls++;
	if (s->plan_nth == 0 || s->calls < s->plan_nth ||
	    (s->calls > s->plan_nth && !s->plan_repeat))
		return GO;
	errno = s->plan_err;
	switch (s->plan_fate) {
	case SIM_FAIL:
		then_die(s);
		return FAIL;
	case SIM_FAIL_AFTER:
		then_die(s);
		return FAIL_HALF;
	case SIM_DIE:
		return DIE;
	case SIM_DIE_BEFORE:
		s->is_dead = true;
		errno = EIO;
		return FAIL;
	}
	return GO;
}

/* The answer to a call that was carried out. */
static int done(struct os_sim *s, enum verdict v)
{
	if (v == DIE) {
		s->is_dead = true;
		errno = EIO;
		return -1;
	}
	if (v == FAIL_HALF) {
		errno = s->plan_err;
		return -1;
	}
	return 0;
}

static struct open_file *file_at(struct os_sim *s, int fd)
{
	must(fd >= 0 && fd < FDS && s->files[fd].inode);
	return &s->files[fd];
}

static int sim_open(struct os *os, const char *path, int flags, unsigned mode)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = names_find(&s->cached, path);
	char folder[PATH_BYTES];
	enum verdict v = GO;
	int fd;

	(void)mode;
	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	if (!i && !(flags & O_CREAT)) {
		errno = ENOENT;
		return -1;
	}
	folder_of(path, folder);
	if (!i && strcmp(folder, ".") != 0 && !names_find(&s->cached, folder)) {
		errno = ENOENT;
		return -1;
	}
	if (i && (flags & O_EXCL)) {
		errno = EEXIST;
		return -1;
	}
	if ((!i || (flags & O_TRUNC)) && (v = fate(s)) == FAIL)
		return -1;
	if (!i) {
		i = must_alloc(sizeof *i);
		names_add(&s->cached, path, i);
		change_add(s, "", path, i);
	}
	if (flags & O_TRUNC)
		i->cache.n = 0;
	if (done(s, v) < 0)
		return -1;
	for (fd = 0; fd < FDS && s->files[fd].inode; fd++)
		;
	must(fd < FDS); /* a leak of descriptors */
	i->refs++;
	s->files[fd] = (struct open_file){i, (flags & O_ACCMODE) != O_RDONLY};
	return fd;
}

static int sim_close(struct os *os, int fd)
{
	struct os_sim *s = sim_of(os);
	struct open_file *f = file_at(s, fd);

	if (f->inode->locked_by == fd + 1)
		f->inode->locked_by = 0;
	inode_unref(f->inode);
	f->inode = NULL;
	return 0;
}

/* True: fail with EINTR now. Else *n may have become smaller. */
static bool chop(struct os_sim *s, size_t *n)
{
	if (!s->is_choppy || *n == 0)
		return false;
	if (rng(s) % 4 == 0) {
		errno = EINTR;
		return true;
	}
	if (rng(s) % 2 == 0)
		*n = 1 + rng(s) % *n;
	return false;
}

static ssize_t sim_pread(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	struct os_sim *s = sim_of(os);
	struct bytes *b = &file_at(s, fd)->inode->cache;

	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	if (at >= b->n)
		return 0;
	if (n > b->n - at)
		n = b->n - (size_t)at;
	if (chop(s, &n))
		return -1;
	memcpy(p, b->p + at, n);
	return (ssize_t)n;
}

static void dirty_set(struct inode *i, size_t from, size_t to)
{
	size_t sectors = (to + SECTOR_BYTES - 1) / SECTOR_BYTES;

	if (sectors > i->dirty_cap) {
		i->dirty = realloc(i->dirty, 2 * sectors);
		must(i->dirty != NULL);
		memset(i->dirty + i->dirty_cap, 0, 2 * sectors - i->dirty_cap);
		i->dirty_cap = 2 * sectors;
	}
	for (size_t k = from / SECTOR_BYTES; k < sectors; k++)
		i->dirty[k] = true;
}

static void put(struct inode *i, const unsigned char *p, size_t n, size_t at)
{
	if (n == 0)
		return;
	if (at + n > i->cache.n)
		bytes_resize(&i->cache, at + n);
	memcpy(i->cache.p + at, p, n);
	dirty_set(i, at, at + n);
}

static ssize_t sim_pwritev(struct os *os, int fd, const struct iovec *parts, int count, uint64_t at)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = file_at(s, fd)->inode;
	size_t n = 0, left, grows;
	enum verdict v;

	must(file_at(s, fd)->writes && count <= 1024);
	if (!s->is_dead && s->is_choppy && rng(s) % 4 == 0) {
		errno = EINTR;
		return -1;
	}
	v = fate(s);
	if (v == FAIL)
		return -1;
	s->wall_us += WRITE_STEP_US;
	for (int k = 0; k < count; k++)
		n += parts[k].iov_len;
	if (s->is_choppy && n > 0 && rng(s) % 2 == 0)
		n = 1 + rng(s) % n;
	if (v == FAIL_HALF)
		n /= 2;
	grows = at + n > i->cache.n ? (size_t)at + n - i->cache.n : 0;
	if (grows > s->space) {
		n -= grows - s->space < n ? grows - s->space : n;
		grows = at + n > i->cache.n ? (size_t)at + n - i->cache.n : 0;
		if (n == 0) {
			errno = ENOSPC;
			return -1;
		}
	}
	s->space -= s->space == UINT64_MAX ? 0 : grows;
	left = n;
	for (int k = 0; left > 0; k++) {
		size_t take = parts[k].iov_len < left ? parts[k].iov_len : left;

		put(i, parts[k].iov_base, take, (size_t)at);
		at += take;
		left -= take;
	}
	return done(s, v) < 0 ? -1 : (ssize_t)n;
}

static void sectors_to_disk(struct inode *i)
{
	for (size_t k = 0; k * SECTOR_BYTES < i->cache.n; k++) {
		size_t from = k * SECTOR_BYTES;
		size_t n = i->cache.n - from < SECTOR_BYTES ? i->cache.n - from : SECTOR_BYTES;

		if (k < i->dirty_cap && i->dirty[k])
			memcpy(i->disk.p + from, i->cache.p + from, n);
	}
}

static void all_clean(struct inode *i)
{
	if (i->dirty_cap > 0)
		memset(i->dirty, 0, i->dirty_cap);
}

static int sim_datasync(struct os *os, int fd)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = file_at(s, fd)->inode;
	enum verdict v = fate(s);

	if (v == FAIL && s->is_dead)
		return -1;
	s->wall_us += SYNC_STEP_US;
	if (v == FAIL) { /* clean, but lost */
		all_clean(i);
		return -1;
	}
	bytes_resize(&i->disk, i->cache.n);
	if (v == FAIL_HALF) /* some of it arrived */
		for (size_t k = 0; k < i->dirty_cap; k++)
			i->dirty[k] = i->dirty[k] && rng(s) % 2;
	sectors_to_disk(i);
	all_clean(i);
	return done(s, v);
}

static int sim_forget(struct os *os, int fd)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = file_at(s, fd)->inode;

	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	for (size_t k = 0; k * SECTOR_BYTES < i->cache.n; k++) {
		size_t from = k * SECTOR_BYTES;
		size_t n = i->cache.n - from < SECTOR_BYTES ? i->cache.n - from : SECTOR_BYTES;
		size_t have = from >= i->disk.n ? 0 : i->disk.n - from < n ? i->disk.n - from : n;

		if (k < i->dirty_cap && i->dirty[k])
			continue;
		if (have > 0)
			memcpy(i->cache.p + from, i->disk.p + from, have);
		memset(i->cache.p + from + have, 0, n - have);
	}
	return 0;
}

static int sim_sync_dir(struct os *os, const char *path)
{
	struct os_sim *s = sim_of(os);
	enum verdict v = fate(s);
	size_t kept = 0;

	if (v == FAIL)
		return -1;
	for (size_t i = 0; i < s->changes_n; i++) {
		struct change *c = &s->changes[i];

		if (strcmp(c->folder, path) == 0 || strcmp(c->folder_too, path) == 0) {
			change_apply(s, c);
			inode_unref(c->inode);
		} else {
			s->changes[kept++] = *c;
		}
	}
	s->changes_n = kept;
	return done(s, v);
}

static int sim_truncate(struct os *os, int fd, uint64_t size_bytes)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = file_at(s, fd)->inode;
	enum verdict v = fate(s);

	if (v == FAIL)
		return -1;
	must(file_at(s, fd)->writes);
	if (s->space != UINT64_MAX && size_bytes < i->cache.n)
		s->space += i->cache.n - size_bytes;
	bytes_resize(&i->cache, (size_t)size_bytes);
	return done(s, v);
}

static int sim_size(struct os *os, int fd, uint64_t *out_bytes)
{
	struct os_sim *s = sim_of(os);

	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	*out_bytes = file_at(s, fd)->inode->cache.n;
	return 0;
}

static int sim_rename(struct os *os, const char *from, const char *to)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = names_find(&s->cached, from);
	enum verdict v;

	if (!i) {
		errno = ENOENT;
		return -1;
	}
	v = fate(s);
	if (v == FAIL)
		return -1;
	names_add(&s->cached, to, i);
	names_remove(&s->cached, from);
	change_add(s, from, to, i);
	return done(s, v);
}

static int sim_unlink(struct os *os, const char *path)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = names_find(&s->cached, path);
	enum verdict v;

	if (!i) {
		errno = ENOENT;
		return -1;
	}
	v = fate(s);
	if (v == FAIL)
		return -1;
	if (s->space != UINT64_MAX)
		s->space += i->cache.n;
	names_remove(&s->cached, path);
	change_add(s, path, "", NULL);
	return done(s, v);
}

static int sim_mkdir(struct os *os, const char *path, unsigned mode)
{
	struct os_sim *s = sim_of(os);
	struct inode *i;
	enum verdict v;

	(void)mode;
	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	if (names_find(&s->cached, path)) {
		errno = EEXIST;
		return -1;
	}
	v = fate(s);
	if (v == FAIL)
		return -1;
	i = must_alloc(sizeof *i);
	i->is_dir = true;
	names_add(&s->cached, path, i);
	change_add(s, "", path, i);
	return done(s, v);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sim_list_dir(struct os *os, const char *path,
			bool (*on_name)(void *arg, const char *name), void *arg)
{
	struct os_sim *s = sim_of(os);
	char **found = must_alloc((s->cached.n + 1) * sizeof *found), folder[PATH_BYTES];
	size_t n = 0;
	bool go_on = true;

	if (s->is_dead || !names_find(&s->cached, path)) {
		free(found);
		errno = s->is_dead ? EIO : ENOENT;
		return -1;
	}
	for (size_t i = 0; i < s->cached.n; i++) {
		folder_of(s->cached.at[i].path, folder);
		if (strcmp(folder, path) == 0)
			found[n++] = must_strdup(s->cached.at[i].path + strlen(path) + 1);
	}
	qsort(found, n, sizeof *found, by_path);
	for (size_t i = 0; i < n; i++) {
		go_on = go_on && on_name(arg, found[i]);
		free(found[i]);
	}
	free(found);
	return 0;
}

static int sim_lock(struct os *os, int fd)
{
	struct os_sim *s = sim_of(os);
	struct inode *i = file_at(s, fd)->inode;

	if (s->is_dead) {
		errno = EIO;
		return -1;
	}
	if (i->locked_by != 0 && i->locked_by != fd + 1) {
		errno = EWOULDBLOCK;
		return -1;
	}
	i->locked_by = fd + 1;
	return 0;
}

static int sim_free_bytes(struct os *os, const char *path, uint64_t *out_bytes)
{
	(void)path;
	*out_bytes = sim_of(os)->space;
	return 0;
}

static uint64_t sim_wall_us(struct os *os)
{
	return sim_of(os)->wall_us;
}

static uint64_t sim_mono_us(struct os *os)
{
	return sim_of(os)->wall_us - 1000000;
}

static void sim_random(struct os *os, void *p, size_t n)
{
	for (unsigned char *at = p; n > 0; n--)
		*at++ = (unsigned char)rng(sim_of(os));
}

/* ---- the test's side ---- */

struct os_sim *os_sim_new(uint64_t seed)
{
	static const struct os_ops ops = {
		.open = sim_open,
		.close = sim_close,
		.pread = sim_pread,
		.pwritev = sim_pwritev,
		.datasync = sim_datasync,
		.forget = sim_forget,
		.sync_dir = sim_sync_dir,
		.truncate = sim_truncate,
		.size = sim_size,
		.rename = sim_rename,
		.unlink = sim_unlink,
		.mkdir = sim_mkdir,
		.list_dir = sim_list_dir,
		.lock = sim_lock,
		.free_bytes = sim_free_bytes,
		.wall_us = sim_wall_us,
		.mono_us = sim_mono_us,
		.random = sim_random,
	};
	struct os_sim *s = must_alloc(sizeof *s);

	s->os.ops = &ops;
	s->seed = seed;
	s->space = UINT64_MAX;
	s->wall_us = 1800000000000000;
	return s;
}

void os_sim_free(struct os_sim *s)
{
	if (!s)
		return;
	os_sim_kill(s);
	changes_drop(s);
	while (s->cached.n > 0)
		inode_unref(s->cached.at[--s->cached.n].inode);
	while (s->on_disk.n > 0)
		inode_unref(s->on_disk.at[--s->on_disk.n].inode);
	free(s->cached.at);
	free(s->on_disk.at);
	free(s->changes);
	free(s);
}

struct os *os_sim_os(struct os_sim *s)
{
	return &s->os;
}

uint64_t os_sim_calls(const struct os_sim *s)
{
	return s->calls;
}

void os_sim_plan(struct os_sim *s, uint64_t nth, enum sim_fate fate_of_it, int err, bool repeat)
{
	s->plan_nth = nth;
	s->plan_fate = fate_of_it;
	s->plan_err = err;
	s->plan_repeat = repeat;
	s->plan_then_die = 0;
}

void os_sim_plan_then_die(struct os_sim *s, uint64_t n)
{
	s->plan_then_die = n;
}

bool os_sim_is_dead(const struct os_sim *s)
{
	return s->is_dead;
}

void os_sim_be_choppy(struct os_sim *s, bool choppy)
{
	s->is_choppy = choppy;
}

void os_sim_set_space(struct os_sim *s, uint64_t bytes)
{
	s->space = bytes;
}

void os_sim_advance(struct os_sim *s, uint64_t us)
{
	s->wall_us += us;
}

void os_sim_kill(struct os_sim *s)
{
	for (int fd = 0; fd < FDS; fd++)
		if (s->files[fd].inode)
			(void)sim_close(&s->os, fd);
	s->is_dead = false;
	s->plan_nth = 0;
}

static void sector_cut(struct os_sim *s, struct inode *i, size_t k, enum sim_cut how)
{
	size_t from = k * SECTOR_BYTES;
	size_t n = i->cache.n - from < SECTOR_BYTES ? i->cache.n - from : SECTOR_BYTES;
	uint64_t dice = rng(s);

	if (how == SIM_CUT_TORN && dice % 3 == 0)
		return;
	if (how == SIM_CUT_TORN && dice % 3 == 1)
		n = (dice >> 8) % n;
	if (from + n > i->disk.n)
		bytes_resize(&i->disk, from + n);
	memcpy(i->disk.p + from, i->cache.p + from, n);
}

static void inode_cut(struct os_sim *s, struct inode *i, enum sim_cut how)
{
	bool keep_size = how == SIM_CUT_KEEP || (how == SIM_CUT_TORN && rng(s) % 2);

	if (how != SIM_CUT_DROP && (keep_size || i->cache.n >= i->disk.n))
		for (size_t k = 0; k * SECTOR_BYTES < i->cache.n; k++)
			if (k < i->dirty_cap && i->dirty[k])
				sector_cut(s, i, k, how);
	if (keep_size)
		bytes_resize(&i->disk, i->cache.n);
	all_clean(i);
	i->cache.n = 0;
	bytes_resize(&i->cache, i->disk.n);
	if (i->disk.n > 0)
		memcpy(i->cache.p, i->disk.p, i->disk.n);
}

void os_sim_cut(struct os_sim *s, enum sim_cut how)
{
	size_t keep;

	os_sim_kill(s);
	keep = how == SIM_CUT_DROP   ? 0
	       : how == SIM_CUT_KEEP ? s->changes_n
				     : rng(s) % (s->changes_n + 1);
	for (size_t i = 0; i < keep; i++) /* a journal keeps the order */
		change_apply(s, &s->changes[i]);
	changes_drop(s);
	for (size_t i = 0; i < s->on_disk.n; i++)
		inode_cut(s, s->on_disk.at[i].inode, how);
	names_copy(&s->cached, &s->on_disk);
}

bool os_sim_flip(struct os_sim *s, const char *path, uint64_t at, unsigned char bits)
{
	struct inode *i = names_find(&s->cached, path);

	if (!i || at >= i->cache.n)
		return false;
	i->cache.p[at] ^= bits;
	if (at < i->disk.n)
		i->disk.p[at] ^= bits;
	return true;
}

int os_sim_open_files(const struct os_sim *s)
{
	int n = 0;

	for (int fd = 0; fd < FDS; fd++)
		n += s->files[fd].inode != NULL;
	return n;
}
