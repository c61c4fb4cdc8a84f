#include "role/auth/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "os/os.h"

enum { FILE_LIMIT_BYTES = 64 << 20, SMALL_BYTES = 256 << 10, LINE_BYTES = 256, TIMES = 4 };

static bool read_all(struct session_file *f, struct buf *out)
{
	int fd = os_open(f->os, f->path, O_RDONLY | O_NOFOLLOW, 0);
	uint64_t size = 0;
	ssize_t n = -1;

	if (fd < 0)
		return errno == ENOENT;
	if (os_size(f->os, fd, &size) == 0 && size <= FILE_LIMIT_BYTES &&
	    buf_reserve(out, (size_t)size + 1))
		n = os_read_all(f->os, fd, out->p + out->n, (size_t)size, 0);
	(void)os_close(f->os, fd);
	if (n >= 0)
		out->n += (size_t)n;
	return n >= 0;
}

bool session_file_open(struct session_file *f, struct os *os, const char *path, struct sessions *s,
		       struct fault *why)
{
	struct buf bytes = {0};
	bool ok;

	f->os = os;
	f->fd = -1;
	f->bytes = 0;
	(void)snprintf(f->path, sizeof f->path, "%s", path);
	ok = read_all(f, &bytes);
	if (ok)
		sessions_read(s, buf_span(&bytes));
	else
		fault_sys(why, "read %s", path);
	buf_fini(&bytes);
	return ok;
}

void session_file_close(struct session_file *f)
{
	if (f->fd >= 0)
		(void)os_close(f->os, f->fd);
	f->fd = -1;
}

bool session_file_is_well(const struct session_file *f)
{
	return f->fd >= 0;
}

bool session_file_renew(struct session_file *f, struct sessions *s, struct fault *why)
{
	struct buf bytes = {0};
	bool ok;

	session_file_close(f);
	sessions_write(s, &bytes);
	ok = os_replace_file(f->os, f->path, buf_span(&bytes), 0600);
	if (ok)
		f->fd = os_open(f->os, f->path, O_WRONLY | O_NOFOLLOW, 0);
	f->bytes = bytes.n;
	buf_fini(&bytes);
	if (f->fd < 0)
		fault_sys(why, "write %s", f->path);
	return f->fd >= 0;
}

static bool has_grown(const struct session_file *f, const struct sessions *s)
{
	return f->bytes > SMALL_BYTES && f->bytes > (uint64_t)s->by_hash.n * LINE_BYTES * TIMES;
}

bool session_file_add(struct session_file *f, struct sessions *s, struct span lines, bool is_synced,
		      struct fault *why)
{
	struct iovec part = {(void *)(uintptr_t)lines.p, lines.n};

	if (f->fd < 0 || has_grown(f, s))
		return session_file_renew(f, s, why);
	if (lines.n && !os_write_all(f->os, f->fd, &part, 1, f->bytes)) {
		fault_sys(why, "write %s", f->path);
		session_file_close(f);
		return false;
	}
	f->bytes += lines.n;
	if (!is_synced || os_datasync(f->os, f->fd) == 0)
		return true;
	fault_sys(why, "sync %s", f->path);
	session_file_close(f);
	return false;
}
