/* A header that parses has its whole length inside the input, and stays the same when more follows.
 * */
#include "smtp/proxy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, again;

	if (proxy_parse(span_of(data, size), &h) != OK)
		return 0;
	if (h.header_bytes > size || proxy_parse(span_of(data, h.header_bytes), &again) != OK ||
	    proxy_parse(span_of(data, h.header_bytes - 1), &again) == OK)
		abort();
	return 0;
}
