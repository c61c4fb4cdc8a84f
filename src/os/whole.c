#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

ssize_t os_read_all(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = os_pread(os, fd, (unsigned char *)p + done, n - done, at + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

bool os_write_all(struct os *os, int fd, struct iovec *parts, int count, uint64_t at)
{
	while (count > 0) {
		/* IOV_MAX is 1024 on Linux; the kernel refuses more at once. */
		ssize_t put = os->ops->pwritev(os, fd, parts, count < 1024 ? count : 1024, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		if (put == 0 && parts->iov_len > 0) {
			errno = EIO;
			return false;
		}
		at += (uint64_t)put;
		while (count > 0 && (size_t)put >= parts->iov_len) {
			put -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (unsigned char *)parts->iov_base + put;
			parts->iov_len -= (size_t)put;
		}
	}
	return true;
}

static bool folder_of(const char *path, char *out, size_t out_n)
{
	const char *slash = strrchr(path, '/');
	int n = slash ? snprintf(out, out_n, "%.*s", slash == path ? 1 : (int)(slash - path), path)
		      : snprintf(out, out_n, ".");

	return n > 0 && (size_t)n < out_n;
}

bool os_replace_file(struct os *os, const char *path, struct span bytes, unsigned mode)
{
	char temporary[4096], folder[4096];
	struct iovec part = {(void *)(uintptr_t)bytes.p, bytes.n};
	int fd, err;
	int n = snprintf(temporary, sizeof temporary, "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof temporary || !folder_of(path, folder, sizeof folder)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = os_open(os, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
	if (fd < 0)
		return false;
	if (!os_write_all(os, fd, &part, 1, 0) || os_datasync(os, fd) < 0) {
		err = errno;
		(void)os_close(os, fd);
		goto undo;
	}
	if (os_close(os, fd) < 0 || os_rename(os, temporary, path) < 0) {
		err = errno;
		goto undo;
	}
	return os_sync_dir(os, folder) == 0;
undo:
	(void)os_unlink(os, temporary);
	errno = err;
	return false;
}
