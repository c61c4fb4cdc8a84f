#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/must.h"
#include "os/os.h"
#include "publish/internal.h"

struct entry {
	uint32_t at, n, value,
		serial; /* serial: order of adding, so that the last of equal keys wins */
};

struct publish_writer {
	struct buf keys;
	struct buf entries; /* struct entry, packed */
	uint32_t count;
	bool is_too_big;
};

struct publish_writer *publish_begin(void)
{
	struct publish_writer *w = must_alloc(sizeof *w);

	return w;
}

void publish_add(struct publish_writer *w, struct span key, uint32_t value)
{
	struct entry e = {(uint32_t)w->keys.n, (uint32_t)key.n, value, w->count};

	if (key.n > PUBLISH_KEY_LIMIT || w->keys.n + w->entries.n > PUBLISH_FILE_LIMIT / 2) {
		w->is_too_big = true;
		return;
	}
	(void)buf_append(&w->keys, key);
	(void)buf_append(&w->entries, span_of(&e, sizeof e));
	w->count++;
}

static struct span key_of(const struct publish_writer *w, const struct entry *e)
{
	return span_of(w->keys.p + e->at, e->n);
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct entry *x = a, *y = b;
	int order = span_cmp(key_of(arg, x), key_of(arg, y));

	if (order != 0)
		return order;
	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

/* Index and keys, sorted, each key once. */
static void write_body(struct publish_writer *w, struct buf *index, struct buf *keys,
		       uint32_t *out_count)
{
	struct entry *all = (struct entry *)(void *)w->entries.p;
	uint32_t count = 0;

	if (w->count > 1)
		qsort_r(all, w->count, sizeof *all, compare, w);
	for (uint32_t i = 0; i < w->count; i++) {
		unsigned char e[PUBLISH_ENTRY_BYTES];

		if (i + 1 < w->count && span_eq(key_of(w, &all[i]), key_of(w, &all[i + 1])))
			continue;
		put_u32(e, (uint32_t)keys->n);
		put_u32(e + 4, all[i].n);
		put_u32(e + 8, all[i].value);
		(void)buf_append(index, span_of(e, sizeof e));
		(void)buf_append(keys, key_of(w, &all[i]));
		count++;
	}
	*out_count = count;
}

static void write_header(unsigned char *p, struct span rest, uint32_t count, size_t keys_n,
			 uint64_t now_us, uint64_t expires_at_us)
{
	put_u32(p, PUBLISH_MAGIC);
	put_u16(p + 4, PUBLISH_VERSION);
	put_u16(p + 6, PUBLISH_HEADER_BYTES);
	put_u64(p + 8, now_us);
	put_u64(p + 16, expires_at_us);
	put_u32(p + 24, count);
	put_u32(p + 28, (uint32_t)keys_n);
	put_u64(p + 32, PUBLISH_HEADER_BYTES + rest.n);
	put_u32(p + 40, crc32c(0, rest));
	put_u32(p + 44, crc32c(0, span_of(p, 44)));
}

enum rc publish_commit(struct publish_writer *w, struct os *os, const char *path, uint64_t valid_us,
		       struct fault *why)
{
	struct buf file = {0}, keys = {0};
	unsigned char header[PUBLISH_HEADER_BYTES] = {0};
	uint64_t now_us = os_wall_us(os), expires_at_us;
	uint32_t count;
	enum rc rc = OK;

	if (w->is_too_big) {
		fault_set(why, "%s: more entries than a published file can have", path);
		publish_abort(w);
		return REFUSED;
	}
	if (__builtin_add_overflow(now_us, valid_us, &expires_at_us))
		expires_at_us = UINT64_MAX;
	(void)buf_append(&file, span_of(header, sizeof header));
	write_body(w, &file, &keys, &count);
	(void)buf_append(&file, buf_span(&keys));
	write_header(file.p, span_from(buf_span(&file), sizeof header), count, keys.n, now_us,
		     expires_at_us);
	if (!os_replace_file(os, path, buf_span(&file), 0640)) {
		fault_sys(why, "publish %s", path);
		rc = BROKEN;
	}
	buf_fini(&file);
	buf_fini(&keys);
	publish_abort(w);
	return rc;
}

void publish_abort(struct publish_writer *w)
{
	if (!w)
		return;
	buf_fini(&w->keys);
	buf_fini(&w->entries);
	free(w);
}
