/* The file's layout, for the reader, the writer, the tests and the fuzz target.
 * doc/formats/publish.md fixes it. */
#pragma once

#include "publish/publish.h"

enum {
	PUBLISH_MAGIC = 0x62704648, /* "HFpb", little-endian */
	PUBLISH_VERSION = 1,
	PUBLISH_HEADER_BYTES = 48,
	PUBLISH_ENTRY_BYTES = 12,
	PUBLISH_KEY_LIMIT = 4096,
	PUBLISH_FILE_LIMIT = 512 << 20,
};

struct publish_file {
	uint64_t made_at_us, expires_at_us;
	uint32_t count;
	const unsigned char *entries; /* count of PUBLISH_ENTRY_BYTES */
	struct span keys;
};

/* False: not valid. Borrows bytes. */
bool publish_parse(struct span bytes, struct publish_file *out);
bool publish_find(const struct publish_file *file, struct span key, uint32_t *out_value);
