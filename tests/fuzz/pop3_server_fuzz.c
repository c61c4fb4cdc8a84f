/*
 * POP3 engine: the same bytes cut in two ways give the same replies and acts (P1); nothing is asked without QUIT (P4). The
 * first byte says how they are cut, and whether TLS is there.
 */
#include "../conv/pop3_rig.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(struct rig *r, unsigned how, struct span bytes, size_t by)
{
	rig_init(r, how & 1);
	r->act_answer = how & 2 ? LATER : OK;
	r->damaged_at = how & 4 ? 20 : UINT64_MAX;
	rig_feed(r, bytes, by);
	if (r->asks_tls && !r->is_closed)
		pop3_server_secured(r->pop3);
	rig_tick(r, 700000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig a, b;
	struct span bytes;

	if (size < 1 || size > 64 << 10)
		return 0;
	bytes = span_of(data + 1, size - 1);
	play(&a, data[0], bytes, 0);
	play(&b, data[0], bytes, 1 + (data[0] >> 3));
	must(a.is_closed && b.is_closed);
	must(span_eq(buf_span(&a.out), buf_span(&b.out)));
	must(span_eq(buf_span(&a.acts), buf_span(&b.acts)));
	rig_fini(&a);
	rig_fini(&b);
	return 0;
}
