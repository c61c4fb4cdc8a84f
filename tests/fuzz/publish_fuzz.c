/* Bytes as a published file: the checksums are put right first, so that what lies behind them is
 * reached. */
#include "publish/internal.h"

#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct publish_file file;
	uint32_t value;
	unsigned char *p;

	(void)publish_parse(span_of(data, size), &file);
	if (size < PUBLISH_HEADER_BYTES || !(p = malloc(size)))
		return 0;
	memcpy(p, data, size);
	put_u64(p + 32, size);
	put_u32(p + 40, crc32c(0, span_of(p + PUBLISH_HEADER_BYTES, size - PUBLISH_HEADER_BYTES)));
	put_u32(p + 44, crc32c(0, span_of(p, 44)));
	if (publish_parse(span_of(p, size), &file)) {
		(void)publish_find(&file, SPAN_LIT("a@x"), &value);
		(void)publish_find(&file, SPAN_LIT("zz"), &value);
	}
	free(p);
	return 0;
}
