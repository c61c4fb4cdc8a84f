/* The walk, and what it says of references, is the same in one piece and in pieces of (first byte + 1) bytes. */
#include "mail/header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct header_walk whole, pieces;
	static struct header_refs a, b;
	size_t step;

	if (size < 1)
		return 0;
	step = (size_t)data[0] + 1;
	header_walk_init(&whole, SPAN_LIT("by x"));
	header_walk_init(&pieces, SPAN_LIT("by x"));
	(void)header_walk_feed(&whole, span_of(data + 1, size - 1));
	for (size_t at = 1; at < size; at += step)
		(void)header_walk_feed(&pieces,
				       span_of(data + at, step < size - at ? step : size - at));
	header_walk_end(&whole);
	header_walk_end(&pieces);
	if (whole.header_bytes != pieces.header_bytes || whole.received != pieces.received ||
	    whole.own_received != pieces.own_received ||
	    !span_eq(header_subject(&whole), header_subject(&pieces)) ||
	    !span_eq(header_from(&whole), header_from(&pieces)) ||
	    !span_eq(header_message_id(&whole), header_message_id(&pieces)))
		abort();
	header_refs(&whole, SPAN_NONE, &a);
	header_refs(&pieces, SPAN_NONE, &b);
	if (a.n != b.n || a.n > HEADER_REFS_LIMIT || a.subject != b.subject ||
	    memcmp(a.ids, b.ids, a.n * sizeof a.ids[0]) != 0)
		abort();
	return 0;
}
