/*
 * The reader keeps the whole file in memory and looks once a second whether another has taken its
 * place: the header's bytes tell (they hold time and checksums). Whatever goes wrong while looking
 * leaves the file it has.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "publish/internal.h"

enum { LOOK_EVERY_US = 1000000 };

struct publish_view {
	struct os *os;
	char *path;
	uint64_t look_at_us;
	unsigned char *bytes; /* NULL: no valid file seen yet */
	struct publish_file file;
};

struct publish_view *publish_open(struct os *os, const char *path)
{
	struct publish_view *v = must_alloc(sizeof *v);

	v->os = os;
	v->path = must_strdup(path);
	return v;
}

void publish_close(struct publish_view *v)
{
	if (!v)
		return;
	free(v->bytes);
	free(v->path);
	free(v);
}

static void load(struct publish_view *v, int fd)
{
	unsigned char header[PUBLISH_HEADER_BYTES], *bytes;
	struct publish_file file;
	uint64_t size;

	if (os_read_all(v->os, fd, header, sizeof header, 0) != sizeof header ||
	    (v->bytes && memcmp(header, v->bytes, sizeof header) == 0))
		return;
	if (v->os->ops->size(v->os, fd, &size) != 0 || size < sizeof header ||
	    size > PUBLISH_FILE_LIMIT)
		return;
	bytes = malloc(size);
	if (!bytes)
		return;
	if (os_read_all(v->os, fd, bytes, size, 0) != (ssize_t)size ||
	    !publish_parse(span_of(bytes, size), &file)) {
		free(bytes);
		return;
	}
	free(v->bytes);
	v->bytes = bytes;
	v->file = file;
}

static void look(struct publish_view *v)
{
	uint64_t now_us = os_mono_us(v->os);
	int fd;

	if (v->look_at_us && now_us < v->look_at_us)
		return;
	v->look_at_us = now_us + LOOK_EVERY_US;
	fd = os_open(v->os, v->path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	load(v, fd);
	(void)os_close(v->os, fd);
}

bool publish_is_fresh(struct publish_view *v)
{
	look(v);
	return v->bytes && os_wall_us(v->os) < v->file.expires_at_us;
}

bool publish_get(struct publish_view *v, struct span key, uint32_t *out_value)
{
	return publish_is_fresh(v) && publish_find(&v->file, key, out_value);
}
