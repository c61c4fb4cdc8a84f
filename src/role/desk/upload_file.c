/* Uploaded files on the disk: reading one, what an account has, taking away what is old. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"
#include "role/desk/upload.h"

enum { READ_BYTES = 32 << 10, NAMES_BYTES = 1 << 20 };

void upload_folder(const struct desk *d, uint64_t account, char out[UPLOAD_PATH_BYTES])
{
	(void)snprintf(out, UPLOAD_PATH_BYTES, "%.1000s/uploads/%llu", role_data(d->role),
		       (unsigned long long)account);
}

void upload_path(const struct desk *d, uint64_t account, const char *id, const char *suffix,
		 char out[UPLOAD_PATH_BYTES])
{
	(void)snprintf(out, UPLOAD_PATH_BYTES, "%.1000s/uploads/%llu/%s%s", role_data(d->role),
		       (unsigned long long)account, id, suffix);
}

/* ---- reading ---- */

struct jmap_upload {
	struct os *os;
	int fd;
	uint64_t bytes;
	unsigned char piece[READ_BYTES];
};

static bool is_id(struct span id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_digit(id.p[i]) && (id.p[i] < 'a' || id.p[i] > 'f'))
			return false;
	return id.n == UPLOAD_ID_BYTES - 1;
}

static enum rc upload_open(void *arg, struct span id, struct jmap_upload **out, struct fault *why)
{
	const struct desk_reader *r = arg;
	struct os *os = r->desk->os;
	char path[UPLOAD_PATH_BYTES], name[UPLOAD_ID_BYTES];
	struct jmap_upload *u;
	int fd;

	if (!is_id(id)) {
		fault_set(why, "no upload has this id");
		return REFUSED;
	}
	memcpy(name, id.p, id.n);
	name[id.n] = '\0';
	upload_path(r->desk, r->account_id, name, "", path);
	fd = os_open(os, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0) {
		enum rc rc = errno == ENOENT || errno == ENOTDIR ? REFUSED : LATER;

		fault_sys(why, "open %s", path);
		return rc;
	}
	u = must_alloc(sizeof *u);
	u->os = os;
	u->fd = fd;
	if (os_size(os, fd, &u->bytes) < 0) {
		fault_sys(why, "size of %s", path);
		(void)os_close(os, fd);
		free(u);
		return LATER;
	}
	*out = u;
	return OK;
}

static uint64_t upload_bytes(const struct jmap_upload *u)
{
	return u->bytes;
}

static enum rc upload_read(struct jmap_upload *u, uint64_t offset, size_t max, struct span *out,
			   struct fault *why)
{
	uint64_t left = offset < u->bytes ? u->bytes - offset : 0;
	size_t want = max < READ_BYTES ? max : READ_BYTES;
	ssize_t n;

	if (left < want)
		want = (size_t)left;
	n = os_read_all(u->os, u->fd, u->piece, want, offset);
	if (n != (ssize_t)want) {
		fault_sys(why, "read an upload");
		return BROKEN;
	}
	*out = span_of(u->piece, want);
	return OK;
}

static void upload_close(struct jmap_upload *u)
{
	if (!u)
		return;
	(void)os_close(u->os, u->fd);
	free(u);
}

const struct jmap_upload_ops desk_upload_ops = {
	.open = upload_open,
	.bytes = upload_bytes,
	.read = upload_read,
	.close = upload_close,
};

/* ---- what there is ---- */

static bool gather(void *arg, const char *name)
{
	return buf_append(arg, span_of(name, strlen(name) + 1));
}

/* The names in a folder, each with its NUL. */
static struct buf names_in(struct desk *d, const char *folder)
{
	struct buf names;

	buf_init(&names, NAMES_BYTES);
	(void)os_list_dir(d->os, folder, gather, &names);
	return names;
}

static bool is_old(struct desk *d, struct span name)
{
	struct span id = span_first(name, UPLOAD_ID_BYTES - 1);
	unsigned char at[4];
	uint64_t now = os_wall_us(d->os) / 1000000, came;

	if (!is_id(id) || !hex_decode(at, 4, span_first(id, 8)))
		return false; /* not ours: left alone */
	came = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
	return now > came + (name.n > id.n ? UPLOAD_PART_KEPT_S : DESK_UPLOAD_KEPT_S);
}

static uint64_t bytes_of(struct desk *d, const char *path)
{
	int fd = os_open(d->os, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	uint64_t bytes = 0;

	if (fd < 0)
		return 0;
	(void)os_size(d->os, fd, &bytes);
	(void)os_close(d->os, fd);
	return bytes;
}

void upload_usage(struct desk *d, uint64_t account, uint64_t *out_bytes, size_t *out_files)
{
	char folder[UPLOAD_PATH_BYTES], path[UPLOAD_PATH_BYTES + 300];
	struct buf names;
	struct span rest;

	upload_folder(d, account, folder);
	names = names_in(d, folder);
	rest = buf_span(&names);
	*out_bytes = 0;
	*out_files = 0;
	while (rest.n) {
		struct span name = span_cut(&rest, '\0');

		(void)snprintf(path, sizeof path, "%s/%.*s", folder, SPAN_FMT(name));
		if (is_old(d, name) && os_unlink(d->os, path) == 0)
			continue;
		*out_bytes += bytes_of(d, path);
		++*out_files;
	}
	buf_fini(&names);
}

void upload_sweep(struct desk *d)
{
	char top[UPLOAD_PATH_BYTES];
	struct buf names;
	struct span rest;

	(void)snprintf(top, sizeof top, "%.1000s/uploads", role_data(d->role));
	names = names_in(d, top);
	rest = buf_span(&names);
	while (rest.n) {
		uint64_t account, bytes;
		size_t files;

		if (span_to_u64(span_cut(&rest, '\0'), UINT64_MAX, &account))
			upload_usage(d, account, &bytes, &files);
	}
	buf_fini(&names);
}
