/*
 * A segment's bytes, hostile. First byte: 1 makes the CRCs of headers right, 2 the digests too, so that the fuzzer gets
 * behind them; 4 has the following segment name an end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/must.h"
#include "ledger/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t n;
	uint64_t end, seq;
	size_t bytes;
};

static void on_record(void *arg, const struct scan_item *item)
{
	struct seen *s = arg;

	must(item->offset >= s->end && item->header->seq > s->seq);
	must(item->offset + RECORD_HEAD_BYTES + item->meta.n + item->body.n <= s->bytes);
	s->end = item->offset + item->header->span;
	s->seq = item->header->seq;
	s->n++;
}

static void header_repair(unsigned char *p)
{
	unsigned char copy[RECORD_HEADER_BYTES];

	memcpy(copy, p, sizeof copy);
	put_u32(copy + 8, 0);
	put_u32(p + 8, crc32c(0, span_of(copy, sizeof copy)));
}

static void payload_repair(unsigned char *p, size_t left)
{
	struct record_header h;

	header_repair(p);
	if (!record_decode(p, &h) || record_length(&h) > left)
		return;
	put_u32(p + 40, crc32c(0, span_of(p + RECORD_HEAD_BYTES, h.meta_len)));
	record_digest(&h, span_of(p + RECORD_HEAD_BYTES, h.meta_len),
		      span_of(p + RECORD_HEAD_BYTES + h.meta_len, h.body_len), p + 80);
	header_repair(p);
}

static void repair(unsigned char *p, size_t n, unsigned mode)
{
	for (size_t at = 0; at + RECORD_HEAD_BYTES <= n; at += RECORD_ALIGN_BYTES) {
		if (memcmp(p + at, "HFrc", 4) != 0)
			continue;
		if (mode & 2)
			payload_repair(p + at, n - at);
		else if (mode & 1)
			header_repair(p + at);
	}
}

static void scan(struct span bytes, uint64_t known_end, struct scan_result *out)
{
	struct seen seen = {.bytes = bytes.n};

	segment_scan(bytes, get_u32(bytes.p + 12), get_u32(bytes.p + 16), known_end, on_record,
		     &seen, out);
	must(seen.n == out->records);
	if (known_end == SCAN_END_UNKNOWN) {
		must(out->end <= bytes.n && out->end + out->cut_bytes <= bytes.n);
		must(seen.end <= out->end);
	}
	for (size_t i = 0; i < out->damage_n && i < 8; i++)
		must(out->damage[i].from < out->damage[i].to &&
		     (i == 0 || out->damage[i - 1].to <= out->damage[i].from));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_result first, again;
	struct chunk_entry entry;
	unsigned char *copy;
	uint64_t end;

	if (size < 1 + RECORD_HEAD_BYTES || size > 1 << 20)
		return 0;
	copy = malloc(size - 1);
	must(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	repair(copy, size - 1, data[0]);
	end = data[0] & 4 ? get_u32(data + 1 + 20) % (2 * size) : SCAN_END_UNKNOWN;
	scan(span_of(copy, size - 1), end, &first);
	scan(span_of(copy, size - 1), end, &again);
	must(first.end == again.end && first.next_seq == again.next_seq &&
	     first.damage_n == again.damage_n);
	chunk_entry_decode(copy, &entry);
	free(copy);
	return 0;
}
