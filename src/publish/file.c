/* Reading the layout: pure, on bytes. Sortedness of the keys is checked too, since the search
 * relies on it. */
#include "publish/internal.h"

#include "base/bytes.h"

static bool header_is_good(struct span bytes)
{
	const unsigned char *p = bytes.p;

	return bytes.n >= PUBLISH_HEADER_BYTES && bytes.n <= PUBLISH_FILE_LIMIT &&
	       get_u32(p) == PUBLISH_MAGIC && get_u16(p + 4) == PUBLISH_VERSION &&
	       get_u16(p + 6) == PUBLISH_HEADER_BYTES && get_u64(p + 32) == bytes.n &&
	       get_u32(p + 44) == crc32c(0, span_first(bytes, 44)) &&
	       get_u32(p + 40) == crc32c(0, span_from(bytes, PUBLISH_HEADER_BYTES));
}

static bool entry_key(const struct publish_file *f, uint32_t i, struct span *out)
{
	const unsigned char *e = f->entries + (size_t)i * PUBLISH_ENTRY_BYTES;
	uint32_t at = get_u32(e), n = get_u32(e + 4);

	if (n > PUBLISH_KEY_LIMIT || at > f->keys.n || n > f->keys.n - at)
		return false;
	*out = span_of(f->keys.p + at, n);
	return true;
}

static bool entries_are_good(const struct publish_file *f)
{
	struct span before = SPAN_NONE, key;

	for (uint32_t i = 0; i < f->count; i++) {
		if (!entry_key(f, i, &key) || (i > 0 && span_cmp(before, key) >= 0))
			return false;
		before = key;
	}
	return true;
}

bool publish_parse(struct span bytes, struct publish_file *out)
{
	struct publish_file f = {0};
	size_t rest, index_n;

	if (!header_is_good(bytes))
		return false;
	f.made_at_us = get_u64(bytes.p + 8);
	f.expires_at_us = get_u64(bytes.p + 16);
	f.count = get_u32(bytes.p + 24);
	rest = bytes.n - PUBLISH_HEADER_BYTES;
	if (f.count > rest / PUBLISH_ENTRY_BYTES)
		return false;
	index_n = (size_t)f.count * PUBLISH_ENTRY_BYTES;
	f.entries = bytes.p + PUBLISH_HEADER_BYTES;
	f.keys = span_from(bytes, PUBLISH_HEADER_BYTES + index_n);
	if (f.keys.n != get_u32(bytes.p + 28) || !entries_are_good(&f))
		return false;
	*out = f;
	return true;
}

bool publish_find(const struct publish_file *f, struct span key, uint32_t *out_value)
{
	uint32_t low = 0, high = f->count;
	struct span at;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order;

		if (!entry_key(f, middle, &at))
			return false;
		order = span_cmp(at, key);
		if (order == 0) {
			*out_value = get_u32(f->entries + (size_t)middle * PUBLISH_ENTRY_BYTES + 8);
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
