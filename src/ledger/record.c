/*
 * The bytes of a record. doc/formats/ledger.md fixes them; both must change together, with the
 * version.
 */
#include "ledger/internal.h"

#include "base/bytes.h"

static const unsigned char magic[4] = {'H', 'F', 'r', 'c'};
enum { VERSION_MAJOR = 1, VERSION_MINOR = 0 };

const char *record_type_name(enum record_type type)
{
	switch (type) {
	case RECORD_OPEN:
		return "open";
	case RECORD_ABANDON:
		return "abandon";
	case RECORD_MESSAGE:
		return "message";
	case RECORD_CHUNK:
		return "chunk";
	case RECORD_INTENT:
		return "intent";
	case RECORD_OUTCOME:
		return "outcome";
	case RECORD_ACT:
		return "act";
	case RECORD_DIRECTORY:
		return "directory";
	case RECORD_ERASED:
		return "erased";
	case RECORD_BASE:
		return "base";
	}
	return "unknown";
}

static uint32_t header_crc(const unsigned char *p)
{
	static const unsigned char zero[4];
	uint32_t crc = crc32c(0, span_of(p, 8));

	crc = crc32c(crc, span_of(zero, 4)); /* where the CRC itself stands */
	return crc32c(crc, span_of(p + 12, RECORD_HEADER_BYTES - 12));
}

void record_encode(const struct record_header *h, unsigned char out[RECORD_HEAD_BYTES])
{
	memcpy(out, magic, 4);
	out[4] = VERSION_MAJOR;
	out[5] = VERSION_MINOR;
	out[6] = (unsigned char)h->type;
	out[7] = (unsigned char)h->flags;
	put_u32(out + 12, h->lane_id);
	put_u32(out + 16, h->segment);
	put_u32(out + 20, h->meta_len);
	put_u64(out + 24, h->seq);
	put_u64(out + 32, h->received_us);
	put_u32(out + 40, h->meta_crc);
	put_u32(out + 44, h->body_len);
	put_u64(out + 48, h->body_bytes);
	put_u32(out + 56, h->span);
	put_u32(out + 60, h->durable_segment);
	put_u64(out + 64, h->durable_offset);
	put_u64(out + 72, h->nonce);
	memcpy(out + 80, h->digest, LEDGER_DIGEST_BYTES);
	memcpy(out + 112, h->salt, LEDGER_SALT_BYTES);
	put_u32(out + 8, header_crc(out));
}

static bool lengths_fit(const struct record_header *h)
{
	uint64_t length = (uint64_t)RECORD_HEAD_BYTES + h->meta_len + h->body_len;

	if (h->meta_len > LEDGER_META_LIMIT_BYTES || length > h->span ||
	    h->span % RECORD_ALIGN_BYTES != 0)
		return false;
	if (h->flags & RECORD_CHUNKED)
		return h->body_len > 0 && h->body_len % CHUNK_ENTRY_BYTES == 0;
	return h->body_bytes == h->body_len;
}

bool record_decode(const unsigned char in[RECORD_HEAD_BYTES], struct record_header *out)
{
	struct record_header h = {
		.type = (enum record_type)in[6],
		.flags = in[7],
		.lane_id = get_u32(in + 12),
		.segment = get_u32(in + 16),
		.meta_len = get_u32(in + 20),
		.seq = get_u64(in + 24),
		.received_us = get_u64(in + 32),
		.meta_crc = get_u32(in + 40),
		.body_len = get_u32(in + 44),
		.body_bytes = get_u64(in + 48),
		.span = get_u32(in + 56),
		.durable_segment = get_u32(in + 60),
		.durable_offset = get_u64(in + 64),
		.nonce = get_u64(in + 72),
	};

	if (memcmp(in, magic, 4) != 0 || in[4] != VERSION_MAJOR ||
	    get_u32(in + 8) != header_crc(in))
		return false;
	if (h.type == 0 || h.segment == 0 || h.seq == 0 || !lengths_fit(&h))
		return false;
	memcpy(h.digest, in + 80, LEDGER_DIGEST_BYTES);
	memcpy(h.salt, in + 112, LEDGER_SALT_BYTES);
	*out = h;
	return true;
}

uint32_t record_length(const struct record_header *h)
{
	return (uint32_t)RECORD_HEAD_BYTES + h->meta_len + h->body_len;
}

void record_digest(const struct record_header *h, struct span meta, struct span body,
		   unsigned char out[LEDGER_DIGEST_BYTES])
{
	unsigned char front[LEDGER_SALT_BYTES + 16];
	struct span parts[3] = {span_of(front, sizeof front), meta, body};

	memcpy(front, h->salt, LEDGER_SALT_BYTES);
	put_u32(front + LEDGER_SALT_BYTES, h->meta_len);
	put_u32(front + LEDGER_SALT_BYTES + 4, h->body_len);
	put_u64(front + LEDGER_SALT_BYTES + 8, h->body_bytes);
	digest_parts(parts, 3, out);
}

void record_from_header(const struct record_header *h, uint64_t offset, struct span meta,
			struct record *out)
{
	*out = (struct record){
		.type = h->type,
		.ref = {h->lane_id, h->segment, offset},
		.seq = h->seq,
		.received_us = h->received_us,
		.length = record_length(h),
		.span = h->span,
		.body_bytes = h->body_bytes,
		.is_chunked = h->flags & RECORD_CHUNKED,
		.meta = meta,
	};
	memcpy(out->digest, h->digest, LEDGER_DIGEST_BYTES);
}

void chunk_entry_encode(const struct chunk_entry *c, unsigned char out[CHUNK_ENTRY_BYTES])
{
	put_u32(out, c->segment);
	put_u32(out + 4, c->body_len);
	put_u64(out + 8, c->offset);
	memcpy(out + 16, c->digest, LEDGER_DIGEST_BYTES);
}

void chunk_entry_decode(const unsigned char in[CHUNK_ENTRY_BYTES], struct chunk_entry *out)
{
	out->segment = get_u32(in);
	out->body_len = get_u32(in + 4);
	out->offset = get_u64(in + 8);
	memcpy(out->digest, in + 16, LEDGER_DIGEST_BYTES);
}

size_t opening_encode(const struct record_opening *o, unsigned char out[OPENING_BYTES])
{
	put_u32(out, o->prev_segment);
	put_u32(out + 4, (uint32_t)o->lane.n);
	put_u64(out + 8, o->prev_end);
	put_u64(out + 16, o->segment_bytes);
	put_u64(out + 24, 0);
	memcpy(out + 32, o->lane.p, o->lane.n);
	return 32 + o->lane.n;
}

bool opening_decode(struct span meta, struct record_opening *out)
{
	uint32_t name_n;

	if (meta.n < 32)
		return false;
	name_n = get_u32(meta.p + 4);
	if (name_n == 0 || name_n >= LEDGER_LANE_NAME_BYTES || meta.n < 32 + (size_t)name_n)
		return false;
	*out = (struct record_opening){
		.prev_segment = get_u32(meta.p),
		.prev_end = get_u64(meta.p + 8),
		.segment_bytes = get_u64(meta.p + 16),
		.lane = {meta.p + 32, name_n},
	};
	return true;
}
