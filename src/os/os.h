/*
 * The operating system behind one table: disk, clock and random. Everything durable goes through
 * here, so that a test can lie in its place (os_sim: a disk in memory that forgets what was not
 * synced, fails or dies at the n-th call; os_faulty: the real one with injected errors).
 *
 * Calls follow the system's own convention: -1 and errno on failure. File descriptors of os_sim are
 * numbers of its own and mean nothing to the kernel.
 *
 * What a durable file needs: its bytes (os_datasync), its name (os_sync_dir on its folder), in that
 * order. A failed os_datasync condemns the file: the kernel may have dropped the pages and will
 * report success next time. Never call it again on that file and hope.
 */
#pragma once

#include "base/span.h"

#include <sys/uio.h>

struct os;

struct os_ops {
	int (*open)(struct os *os, const char *path, int flags, unsigned mode);
	int (*close)(struct os *os, int fd);
	ssize_t (*pread)(struct os *os, int fd, void *p, size_t n, uint64_t at);
	ssize_t (*pwritev)(struct os *os, int fd, const struct iovec *parts, int count,
			   uint64_t at);
	int (*datasync)(struct os *os, int fd);
	/*
	 * Drops what the cache holds of this file and is not waiting to be written, so that the
	 * next read comes from the device. After a failed sync the cache may show bytes that never
	 * got there: recovery calls datasync, then this, then reads.
	 */
	int (*forget)(struct os *os, int fd);
	int (*sync_dir)(struct os *os, const char *path);
	int (*truncate)(struct os *os, int fd, uint64_t size_bytes);
	int (*size)(struct os *os, int fd, uint64_t *out_bytes);
	int (*rename)(struct os *os, const char *from, const char *to);
	int (*unlink)(struct os *os, const char *path);
	int (*mkdir)(struct os *os, const char *path, unsigned mode);
	/* Calls on_name for each entry but "." and "..", in ascending byte order; stops when it
	 * returns false. */
	int (*list_dir)(struct os *os, const char *path,
			bool (*on_name)(void *arg, const char *name), void *arg);
	/* Exclusive lock on the open file, without waiting: EWOULDBLOCK when another process has
	 * it. */
	int (*lock)(struct os *os, int fd);
	/* Bytes an unprivileged process can still write on the volume of path. */
	int (*free_bytes)(struct os *os, const char *path, uint64_t *out_bytes);
	uint64_t (*wall_us)(struct os *os); /* since 1970, UTC; may jump */
	uint64_t (*mono_us)(struct os *os); /* never goes back; origin unknown */
	void (*random)(struct os *os, void *p, size_t n);
};

struct os {
	const struct os_ops *ops;
};

/* The kernel. One for the whole process; thread-safe. */
struct os *os_real(void);

static inline int os_open(struct os *os, const char *path, int flags, unsigned mode)
{
	return os->ops->open(os, path, flags, mode);
}

static inline int os_close(struct os *os, int fd)
{
	return os->ops->close(os, fd);
}

static inline ssize_t os_pread(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	return os->ops->pread(os, fd, p, n, at);
}

static inline int os_datasync(struct os *os, int fd)
{
	return os->ops->datasync(os, fd);
}

static inline int os_forget(struct os *os, int fd)
{
	return os->ops->forget(os, fd);
}

static inline int os_sync_dir(struct os *os, const char *path)
{
	return os->ops->sync_dir(os, path);
}

static inline int os_truncate(struct os *os, int fd, uint64_t size_bytes)
{
	return os->ops->truncate(os, fd, size_bytes);
}

static inline int os_size(struct os *os, int fd, uint64_t *out_bytes)
{
	return os->ops->size(os, fd, out_bytes);
}

static inline int os_rename(struct os *os, const char *from, const char *to)
{
	return os->ops->rename(os, from, to);
}

static inline int os_unlink(struct os *os, const char *path)
{
	return os->ops->unlink(os, path);
}

static inline int os_mkdir(struct os *os, const char *path, unsigned mode)
{
	return os->ops->mkdir(os, path, mode);
}

static inline int os_list_dir(struct os *os, const char *path,
			      bool (*on_name)(void *arg, const char *name), void *arg)
{
	return os->ops->list_dir(os, path, on_name, arg);
}

static inline int os_lock(struct os *os, int fd)
{
	return os->ops->lock(os, fd);
}

static inline int os_free_bytes(struct os *os, const char *path, uint64_t *out_bytes)
{
	return os->ops->free_bytes(os, path, out_bytes);
}

static inline uint64_t os_wall_us(struct os *os)
{
	return os->ops->wall_us(os);
}

static inline uint64_t os_mono_us(struct os *os)
{
	return os->ops->mono_us(os);
}

static inline void os_random(struct os *os, void *p, size_t n)
{
	os->ops->random(os, p, n);
}

/* Whole transfers over short counts and EINTR. Reading: -1, or how many bytes there were before the
 * end. */
ssize_t os_read_all(struct os *os, int fd, void *p, size_t n, uint64_t at);
/* True when all bytes were taken. Changes the parts array. */
bool os_write_all(struct os *os, int fd, struct iovec *parts, int count, uint64_t at);
/*
 * Replaces path by these bytes so that a crash leaves the old or the new file: temporary name in
 * the same folder, sync, rename, sync of the folder. False with errno; the temporary file is gone
 * then.
 */
bool os_replace_file(struct os *os, const char *path, struct span bytes, unsigned mode);
