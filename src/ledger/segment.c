/* Names and files of a lane. A file is made full of zeros, so that later syncs carry data only, no
 * extents. */
#include "ledger/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/must.h"

enum { ZERO_PIECE_BYTES = 1 << 20, ZERO_SYNC_BYTES = 8 << 20 };

enum rc rc_of_errno_disk(int err)
{
	return errno_rc(err) == LATER ? LATER : BROKEN;
}

bool lane_name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= LEDGER_LANE_NAME_BYTES)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '.' && c != '-')
			return false;
	}
	return true;
}

uint32_t lane_id_of(const char *name)
{
	return crc32c(0, span_str(name));
}

bool lane_dir_path(char out[LEDGER_PATH_BYTES], const char *ledger_dir, const char *name)
{
	int n = snprintf(out, LEDGER_PATH_BYTES, "%s/lane-%s", ledger_dir, name);

	return n > 0 && n < LEDGER_PATH_BYTES - 32;
}

bool segment_path(char out[LEDGER_PATH_BYTES], const char *lane_dir, uint32_t number)
{
	int n = snprintf(out, LEDGER_PATH_BYTES, "%s/%010u.seg", lane_dir, number);

	return n > 0 && n < LEDGER_PATH_BYTES;
}

enum rc dir_make(struct os *os, const char *path, struct fault *why)
{
	const char *slash = strrchr(path, '/');
	char parent[LEDGER_PATH_BYTES];
	enum rc rc;

	if (os_mkdir(os, path, 0750) < 0 && errno != EEXIST) {
		rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);
		fault_sys(why, "create %s", path);
		return rc;
	}
	(void)snprintf(parent, sizeof parent, "%.*s",
		       slash && slash > path ? (int)(slash - path) : 1, slash ? path : ".");
	if (os_sync_dir(os, parent) < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "sync %s", parent);
		return rc;
	}
	return OK;
}

struct listing {
	struct numbers *to;
	struct span suffix;
};

static bool on_number(void *arg, const char *name)
{
	struct listing *l = arg;
	struct span s = span_str(name);
	uint64_t number;

	if (s.n != 10 + l->suffix.n || !span_eq(span_from(s, 10), l->suffix))
		return true;
	if (!span_to_u64(span_first(s, 10), UINT32_MAX, &number) || number == 0)
		return true;
	if ((l->to->n & (l->to->n - 1)) == 0) { /* grow at powers of two */
		size_t cap = l->to->n ? 2 * l->to->n : 1;

		l->to->at = realloc(l->to->at, cap * sizeof *l->to->at);
		must(l->to->at != NULL);
	}
	l->to->at[l->to->n++] = (uint32_t)number;
	return true;
}

enum rc numbers_list(struct os *os, const char *dir, const char *suffix, struct numbers *out,
		     struct fault *why)
{
	struct numbers found = {NULL, 0};
	struct listing l = {&found, span_str(suffix)};

	if (os_list_dir(os, dir, on_number, &l) < 0) {
		enum rc rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);

		fault_sys(why, "list %s", dir);
		free(found.at);
		return rc;
	}
	*out = found;
	return OK;
}

static bool zero_fill(struct os *os, int fd, uint64_t bytes)
{
	unsigned char *zeros = must_alloc(ZERO_PIECE_BYTES);
	bool good = true;

	/* In pieces, each on its way to the disk before the next: acceptance next door must not
	 * wait for all of it. */
	for (uint64_t at = 0; good && at < bytes; at += ZERO_PIECE_BYTES) {
		uint64_t n = bytes - at < ZERO_PIECE_BYTES ? bytes - at : ZERO_PIECE_BYTES;
		struct iovec part = {zeros, (size_t)n};

		good = os_write_all(os, fd, &part, 1, at);
		if (good && at + n < bytes && (at + n) % ZERO_SYNC_BYTES == 0)
			good = os_datasync(os, fd) == 0;
	}
	free(zeros);
	return good && os_datasync(os, fd) == 0;
}

enum rc zero_file_make(struct os *os, const char *dir, const char *path, uint64_t bytes,
		       int *out_fd, struct fault *why)
{
	int fd = os_open(os, path, O_RDWR | O_CREAT | O_EXCL, 0640);
	enum rc rc;

	if (fd < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "create %s", path);
		return rc;
	}
	if (!zero_fill(os, fd, bytes)) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "fill %s", path);
		goto undo;
	}
	if (os_sync_dir(os, dir) < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "sync %s", dir);
		goto undo;
	}
	*out_fd = fd;
	return OK;
undo:
	(void)os_close(os, fd);
	(void)os_unlink(os, path);
	return rc;
}

enum rc file_load(struct os *os, const char *path, bool sync_first, unsigned char **out,
		  size_t *out_n, struct fault *why)
{
	int fd = os_open(os, path, O_RDONLY, 0);
	unsigned char *bytes = NULL;
	uint64_t size = 0;
	ssize_t got;
	enum rc rc;

	if (fd < 0) {
		rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);
		fault_sys(why, "open %s", path);
		return rc;
	}
	if ((sync_first && (os_datasync(os, fd) < 0 || os_forget(os, fd) < 0)) ||
	    os_size(os, fd, &size) < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "sync %s", path);
		goto out;
	}
	if (size > SEGMENT_LIMIT_BYTES) {
		rc = BROKEN;
		fault_set(why, "%s is larger than any segment may be", path);
		goto out;
	}
	bytes = malloc(size ? size : 1);
	if (!bytes) {
		rc = LATER;
		fault_set(why, "no memory to read %s", path);
		goto out;
	}
	got = os_read_all(os, fd, bytes, size, 0);
	if (got < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "read %s", path);
		goto out;
	}
	*out = bytes;
	*out_n = (size_t)got; /* less when its writer cut the zeros off meanwhile */
	bytes = NULL;
	rc = OK;
out:
	free(bytes);
	(void)os_close(os, fd);
	return rc;
}
