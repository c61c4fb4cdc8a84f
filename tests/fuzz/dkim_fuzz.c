/*
 * A message (and, up to the first LF, the record of every key) given to the verifier in one piece and in small ones: the
 * results are equal. Then it is signed, and what was signed has one signature more.
 */
#include <stdlib.h>

#include "identity/dkim.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dkim_verify *verify(struct span record, struct span header, struct span body,
				  size_t step)
{
	struct dkim_verify *v = dkim_verify_new(header, 1700000000);

	for (size_t i = 0; i < dkim_verify_count(v); i++)
		dkim_verify_key(v, i, OK, record);
	for (; body.n; body = span_from(body, step))
		dkim_verify_body(v, span_first(body, step));
	dkim_verify_end(v);
	return v;
}

static void sign(struct span header)
{
	static const unsigned char body_hash[DKIM_HASH_BYTES];
	unsigned char hash[DKIM_HASH_BYTES];
	struct buf field = {0};

	if (dkim_sign_begin(&(struct dkim_sign){.domain = SPAN_LIT("a.example"),
						.selector = SPAN_LIT("s"),
						.header = header,
						.body_hash = body_hash},
			    &field, hash, NULL) == OK) {
		dkim_sign_end(&field, span_of(hash, sizeof hash));
		if (field.n < 2 || field.p[field.n - 1] != '\n')
			abort();
	}
	buf_fini(&field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span message = span_of(data, size), record = span_cut(&message, '\n'), header;
	struct dkim_verify *whole, *pieces;
	struct header_walk w;

	if (size > 1 << 16)
		return 0;
	header_walk_init(&w, SPAN_NONE);
	(void)header_walk_feed(&w, message);
	header_walk_end(&w);
	header = span_first(message, (size_t)w.header_bytes);
	whole = verify(record, header, span_from(message, header.n), SIZE_MAX / 2);
	pieces = verify(record, header, span_from(message, header.n), 3);
	if (dkim_verify_count(whole) != dkim_verify_count(pieces))
		abort();
	for (size_t i = 0; i < dkim_verify_count(whole); i++) {
		if (dkim_verify_result(whole, i) != dkim_verify_result(pieces, i))
			abort();
	}
	dkim_verify_free(whole);
	dkim_verify_free(pieces);
	sign(header);
	return 0;
}
