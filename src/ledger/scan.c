/*
 * What of a segment is valid. A pure function of its bytes, so that recovery, verification, tests
 * and the fuzzer run the same code.
 *
 * Walk from record to record. At the first position where no valid record stands (a hole) look at
 * what follows:
 *   - the following segment names an end beyond it, or a later record of this segment says
 * (durable_to) that something beyond it was on stable storage when that record was written: damage
 * (L6). Note it and go on behind the group when its headers are good, else at the next valid group
 * found byte by byte (the nonce of the segment, which no sender knows, keeps a record forged inside
 * a mail from being found);
 *   - else it is where the last, unacknowledged batch was torn: the segment ends there. Valid
 * records behind it came to the disk early and are ignored. A group counts only as a whole (L7).
 */
#include "ledger/internal.h"

#include "base/bytes.h"

struct scan {
	struct span bytes;
	uint32_t lane_id, segment;
	uint64_t known_end;
	uint64_t nonce;
	bool has_nonce;
	uint64_t seq; /* expected next; 0: any */
	void (*on_record)(void *arg, const struct scan_item *item);
	void *arg;
	struct scan_result *out;
};

/* Header at this position, ours by lane, segment and nonce. */
static bool header_at(const struct scan *s, uint64_t at, struct record_header *out)
{
	struct record_header h;

	if (at > s->bytes.n || s->bytes.n - at < RECORD_HEAD_BYTES ||
	    !record_decode(s->bytes.p + at, &h))
		return false;
	if (h.lane_id != s->lane_id || h.segment != s->segment ||
	    (s->has_nonce && h.nonce != s->nonce))
		return false;
	if (h.span > s->bytes.n - at)
		return false;
	*out = h;
	return true;
}

static bool record_at(const struct scan *s, uint64_t at, struct scan_item *out,
		      struct record_header *header)
{
	unsigned char digest[LEDGER_DIGEST_BYTES];
	const unsigned char *p = s->bytes.p + at + RECORD_HEAD_BYTES;

	if (!header_at(s, at, header))
		return false;
	*out = (struct scan_item){
		.header = header,
		.offset = at,
		.meta = {p, header->meta_len},
		.body = {p + header->meta_len, header->body_len},
	};
	record_digest(header, out->meta, out->body, digest);
	return memcmp(digest, header->digest, sizeof digest) == 0 &&
	       crc32c(0, out->meta) == header->meta_crc;
}

/* The whole group that starts at `at`: its end and the seq after it. False: a hole in it. */
static bool group_at(const struct scan *s, uint64_t at, uint64_t *out_end, uint64_t *out_seq)
{
	uint64_t seq = s->seq;

	for (;;) {
		struct record_header h;
		struct scan_item item;

		if (!record_at(s, at, &item, &h) || (seq && h.seq != seq))
			return false;
		at += h.span;
		seq = h.seq + 1;
		if (!(h.flags & RECORD_GROUP_MORE))
			break;
	}
	*out_end = at;
	*out_seq = seq;
	return true;
}

static void group_give(struct scan *s, uint64_t at, uint64_t end)
{
	while (at < end) {
		struct record_header h;
		struct scan_item item;

		if (!record_at(s, at, &item, &h))
			return; /* cannot be: group_at has just checked it */
		if (!s->out->first_seq)
			s->out->first_seq = h.seq;
		s->out->records++;
		s->out->messages += h.type == RECORD_MESSAGE;
		if (s->on_record)
			s->on_record(s->arg, &item);
		at += h.span;
	}
}

/* Is there a record behind the hole that was written when the place of the hole was durable
 * already? */
static bool hole_was_durable(const struct scan *s, uint64_t hole)
{
	uint64_t at = (hole + LEDGER_BLOCK_BYTES) / LEDGER_BLOCK_BYTES * LEDGER_BLOCK_BYTES;
	struct record_header h;

	if (s->known_end != SCAN_END_UNKNOWN)
		return hole < s->known_end;
	for (; at < s->bytes.n; at += LEDGER_BLOCK_BYTES)
		if (header_at(s, at, &h) && h.durable_segment == s->segment &&
		    h.durable_offset > hole)
			return true;
	return false;
}

/* Behind a group whose headers are good but whose payload is not. */
static bool step_over_group(struct scan *s, uint64_t at, uint64_t *out_end)
{
	struct record_header h;
	uint64_t seq = s->seq;

	do {
		if (!header_at(s, at, &h) || (seq && h.seq != seq))
			return false;
		at += h.span;
		seq = h.seq + 1;
	} while (h.flags & RECORD_GROUP_MORE);
	*out_end = at;
	s->seq = seq;
	return true;
}

/* Where the next whole group starts; `limit` when there is none. */
static uint64_t next_group(struct scan *s, uint64_t hole, uint64_t limit)
{
	uint64_t at = hole + RECORD_ALIGN_BYTES, end, seq, was = s->seq;
	struct record_header h;

	for (; at < limit; at += RECORD_ALIGN_BYTES) {
		if (!header_at(s, at, &h) || !(h.flags & RECORD_GROUP_START) || h.seq < was)
			continue;
		s->seq = h.seq;
		if (group_at(s, at, &end, &seq))
			return at;
		s->seq = was;
	}
	return limit;
}

static void damage_note(struct scan_result *out, uint32_t segment, uint64_t from, uint64_t to)
{
	if (out->damage_n < sizeof out->damage / sizeof *out->damage)
		out->damage[out->damage_n] = (struct lane_damage){segment, from, to};
	out->damage_n++;
}

static void opening_take(struct scan *s)
{
	struct record_header h;
	struct scan_item item;
	struct record_opening opening;

	if (!record_at(s, 0, &item, &h) || (h.type != RECORD_OPEN && h.type != RECORD_ABANDON) ||
	    !opening_decode(item.meta, &opening))
		return;
	s->out->is_begun = s->out->is_opening_good = true;
	s->out->is_abandon = h.type == RECORD_ABANDON;
	s->out->opening = opening;
	s->nonce = h.nonce;
	s->has_nonce = true;
}

/* Without its first record: begun only if a later one knows that the first had become durable. */
static void opening_guess(struct scan *s)
{
	struct record_header h;

	for (uint64_t at = LEDGER_BLOCK_BYTES; at < s->bytes.n; at += LEDGER_BLOCK_BYTES) {
		if (!header_at(s, at, &h) || h.durable_segment != s->segment ||
		    h.durable_offset == 0)
			continue;
		s->out->is_begun = true;
		s->nonce = h.nonce;
		s->has_nonce = true;
		return;
	}
}

static uint64_t bytes_behind(struct span bytes, uint64_t end)
{
	size_t last = bytes.n;

	while (last > end && bytes.p[last - 1] == 0)
		last--;
	return last > end ? last - end : 0;
}

static void walk(struct scan *s)
{
	uint64_t at = 0, limit = s->known_end < s->bytes.n ? s->known_end : s->bytes.n;
	uint64_t end, seq;

	while (at < limit) {
		if (group_at(s, at, &end, &seq) &&
		    end <= (s->known_end == SCAN_END_UNKNOWN ? end : s->known_end)) {
			group_give(s, at, end);
			s->seq = seq;
			s->out->next_seq = seq;
			s->out->end = at = end;
			continue;
		}
		if (!hole_was_durable(s, at))
			break;
		if (!step_over_group(s, at, &end))
			end = next_group(s, at, limit);
		damage_note(s->out, s->segment, at, end);
		s->out->next_seq = s->seq;
		s->out->end = at = end;
	}
}

void segment_scan(struct span bytes, uint32_t lane_id, uint32_t segment, uint64_t known_end,
		  void (*on_record)(void *arg, const struct scan_item *item), void *arg,
		  struct scan_result *out)
{
	struct scan s = {
		.bytes = bytes,
		.lane_id = lane_id,
		.segment = segment,
		.known_end = known_end,
		.on_record = on_record,
		.arg = arg,
		.out = out,
	};

	*out = (struct scan_result){0};
	opening_take(&s);
	if (!out->is_begun)
		opening_guess(&s);
	if (!out->is_begun && known_end == SCAN_END_UNKNOWN)
		return;
	walk(&s);
	if (known_end != SCAN_END_UNKNOWN && bytes.n < known_end)
		damage_note(out, segment, bytes.n > out->end ? bytes.n : out->end, known_end);
	else if (known_end == SCAN_END_UNKNOWN)
		out->cut_bytes = bytes_behind(bytes, out->end);
	if (known_end != SCAN_END_UNKNOWN && out->end < known_end)
		out->end = known_end;
}
