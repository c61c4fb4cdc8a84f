#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

static int real_open(struct os *os, const char *path, int flags, unsigned mode)
{
	(void)os;
	return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

static int real_close(struct os *os, int fd)
{
	(void)os;
	return close(fd);
}

static ssize_t real_pread(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	(void)os;
	return pread(fd, p, n, (off_t)at);
}

static ssize_t real_pwritev(struct os *os, int fd, const struct iovec *parts, int count,
			    uint64_t at)
{
	(void)os;
	return pwritev(fd, parts, count, (off_t)at);
}

static int real_datasync(struct os *os, int fd)
{
	(void)os;
	return fdatasync(fd);
}

static int real_forget(struct os *os, int fd)
{
	int err = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	(void)os;
	errno = err;
	return err ? -1 : 0;
}

static int real_sync_dir(struct os *os, const char *path)
{
	int fd, rc, err;

	(void)os;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	err = errno;
	(void)close(fd);
	errno = err;
	return rc;
}

static int real_truncate(struct os *os, int fd, uint64_t size_bytes)
{
	(void)os;
	return ftruncate(fd, (off_t)size_bytes);
}

static int real_size(struct os *os, int fd, uint64_t *out_bytes)
{
	struct stat st;

	(void)os;
	if (fstat(fd, &st) < 0)
		return -1;
	*out_bytes = (uint64_t)st.st_size;
	return 0;
}

static int real_rename(struct os *os, const char *from, const char *to)
{
	(void)os;
	return rename(from, to);
}

static int real_unlink(struct os *os, const char *path)
{
	(void)os;
	return unlink(path);
}

static int real_mkdir(struct os *os, const char *path, unsigned mode)
{
	(void)os;
	return mkdir(path, (mode_t)mode);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int real_list_dir(struct os *os, const char *path,
			 bool (*on_name)(void *arg, const char *name), void *arg)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, by_bytes);
	bool go_on = true;

	(void)os;
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (go_on && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			go_on = on_name(arg, name);
		free(names[i]);
	}
	free(names);
	return 0;
}

static int real_lock(struct os *os, int fd)
{
	(void)os;
	return flock(fd, LOCK_EX | LOCK_NB);
}

static int real_free_bytes(struct os *os, const char *path, uint64_t *out_bytes)
{
	struct statvfs v;

	(void)os;
	if (statvfs(path, &v) < 0)
		return -1;
	*out_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	must(clock_gettime(id, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t real_wall_us(struct os *os)
{
	(void)os;
	return clock_us(CLOCK_REALTIME);
}

static uint64_t real_mono_us(struct os *os)
{
	(void)os;
	return clock_us(CLOCK_MONOTONIC);
}

static void real_random(struct os *os, void *p, size_t n)
{
	unsigned char *at = p;

	(void)os;
	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		must(got > 0 || errno == EINTR);
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}

struct os *os_real(void)
{
	static const struct os_ops ops = {
		.open = real_open,
		.close = real_close,
		.pread = real_pread,
		.pwritev = real_pwritev,
		.datasync = real_datasync,
		.forget = real_forget,
		.sync_dir = real_sync_dir,
		.truncate = real_truncate,
		.size = real_size,
		.rename = real_rename,
		.unlink = real_unlink,
		.mkdir = real_mkdir,
		.list_dir = real_list_dir,
		.lock = real_lock,
		.free_bytes = real_free_bytes,
		.wall_us = real_wall_us,
		.mono_us = real_mono_us,
		.random = real_random,
	};
	static struct os os = {&ops};

	return &os;
}
