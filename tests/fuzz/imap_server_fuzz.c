/*
 * A session: first byte: pieces; second: bits of what the host does (logged in already, index, slow, away, TLS, refuses
 * appends). The same input in other pieces must give the same responses and the same acts (I1).
 */
#include "../conv/imap_rig.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_IN = 1, HAS_INDEX = 2, IS_AWAY = 4, IS_FULL = 8, REV2 = 16, QRESYNC = 32, SELECTED = 64 };

static void play(struct imap_rig *r, unsigned bits, size_t step, struct span in)
{
	imap_rig_init(r);
	imap_rig_furnish(r);
	r->messages_limit = 60;
	r->read_piece = step;
	r->has_index = bits & HAS_INDEX;
	imap_server_greet(r->s);
	if (bits & IS_IN)
		imap_rig_feed(r, SPAN_LIT("l LOGIN anna secret\r\n"), 0);
	if ((bits & IS_IN) && (bits & REV2))
		imap_rig_feed(r, SPAN_LIT("l ENABLE IMAP4rev2\r\n"), 0);
	if ((bits & IS_IN) && (bits & QRESYNC))
		imap_rig_feed(r, SPAN_LIT("l ENABLE QRESYNC\r\n"), 0);
	if ((bits & IS_IN) && (bits & SELECTED))
		imap_rig_feed(r, SPAN_LIT("l SELECT INBOX\r\n"), 0);
	r->is_away = bits & IS_AWAY;
	r->is_append_refused = bits & IS_FULL;
	imap_rig_feed(r, in, step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct imap_rig whole, pieces;
	struct span in;

	if (size < 2 || size > 4096)
		return 0;
	in = span_of(data + 2, size - 2);
	play(&whole, data[1], 0, in);
	play(&pieces, data[1], (size_t)(data[0] & 31) + 1, in);
	if (!span_eq(buf_span(&whole.said), buf_span(&pieces.said)) ||
	    !span_eq(buf_span(&whole.acts), buf_span(&pieces.acts)) ||
	    whole.is_closed != pieces.is_closed)
		abort();
	imap_rig_fini(&whole);
	imap_rig_fini(&pieces);
	return 0;
}
