/*
 * The writing side of a lane: takes what is queued, numbers and hashes it, writes it with one
 * pwritev, syncs it with one fdatasync, and only then says OK (L1). Runs on the lane's own thread,
 * or inside lane_step.
 *
 * When a write or a sync fails the segment is condemned (L2): it is closed and never touched again,
 * its batch is refused, and a new segment is opened with an ABANDON record at once, before the
 * refusal is told, so that a sender who hears 451 and tries again does not meet his first copy
 * after a crash. ENOSPC while writing condemns too: some of the batch may be in the cache and could
 * reach the disk; a fresh file is the simple way to know what counts.
 */
#include "ledger/lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"

static const struct segment_file no_file = {.fd = -1};

void group_list_init(struct group_list *g)
{
	g->first = NULL;
	g->tail = &g->first;
}

void group_list_append(struct group_list *g, struct group *item)
{
	item->next = NULL;
	*g->tail = item;
	g->tail = &item->next;
}

void group_free(struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		buf_fini(&g->records[i].body);
	free(g);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static void trouble_set(struct lane *l, const struct fault *why)
{
	must(pthread_mutex_lock(&l->mutex) == 0);
	(void)snprintf(l->trouble, sizeof l->trouble, "%s", why ? why->text : "");
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

/* ---- segments ---- */

static bool write_and_sync(struct lane *l, struct iovec *parts, size_t n, uint64_t at,
			   uint64_t *out_sync_us, enum rc *out_rc, struct fault *why)
{
	uint64_t before;

	if (!os_write_all(l->os, l->file.fd, parts, (int)n, at)) {
		*out_rc = rc_of_errno_disk(errno);
		fault_sys(why, "write segment %u of lane %s", l->file.number, l->name);
		return false;
	}
	before = os_mono_us(l->os);
	if (os_datasync(l->os, l->file.fd) < 0) {
		*out_rc = BROKEN;
		fault_sys(why, "sync segment %u of lane %s", l->file.number, l->name);
		return false;
	}
	*out_sync_us = os_mono_us(l->os) - before;
	return true;
}

/* L2: never written, synced or believed again. */
static void condemn(struct lane *l, const struct fault *why)
{
	(void)os_close(l->os, l->file.fd);
	l->file = no_file;
	l->must_abandon = true;
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->epoch++;
	l->stats.abandoned++;
	(void)snprintf(l->condemned, sizeof l->condemned, "%s", why->text);
	must(pthread_mutex_unlock(&l->mutex) == 0);
	trouble_set(l, why);
}

static void opening_block(struct lane *l, const struct segment_file *f,
			  unsigned char block[LEDGER_BLOCK_BYTES])
{
	struct lane_position last = l->durable;
	struct record_opening opening = {
		.prev_segment = last.segment,
		.prev_end = last.offset,
		.segment_bytes = f->size,
		.lane = span_str(l->name),
	};
	struct record_header h = {
		.type = l->must_abandon ? RECORD_ABANDON : RECORD_OPEN,
		.flags = RECORD_GROUP_START,
		.lane_id = l->id,
		.segment = f->number,
		.seq = last.seq,
		.received_us = os_wall_us(l->os),
		.span = LEDGER_BLOCK_BYTES,
		.durable_segment = last.segment,
		.durable_offset = last.offset,
		.nonce = f->nonce,
	};
	struct span meta = {block + RECORD_HEAD_BYTES, 0};

	memset(block, 0, LEDGER_BLOCK_BYTES);
	meta.n = opening_encode(&opening, block + RECORD_HEAD_BYTES);
	h.meta_len = (uint32_t)meta.n;
	h.meta_crc = crc32c(0, meta);
	os_random(l->os, h.salt, sizeof h.salt);
	record_digest(&h, meta, SPAN_NONE, h.digest);
	record_encode(&h, block);
}

static void durable_set(struct lane *l, uint64_t offset, uint64_t seq)
{
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->durable = (struct lane_position){l->file.number, offset, seq};
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

enum rc writer_open_segment(struct lane *l, uint64_t least_bytes, struct fault *why)
{
	struct segment_file was = l->file, f;
	unsigned char block[LEDGER_BLOCK_BYTES];
	struct iovec part = {block, sizeof block};
	struct fault unheard; /* a caller may not want the words; the lane's own trouble needs them */
	uint64_t sync_us;
	enum rc rc;

	if (!why)
		why = &unheard;
	rc = spare_take(l, least_bytes, &f, why);

	if (rc != OK)
		return rc;
	opening_block(l, &f, block);
	l->file = f;
	if (!write_and_sync(l, &part, 1, 0, &sync_us, &rc, why)) {
		/* The opening may be on the disk and names the old file's end: nothing may follow
		 * there any more. */
		if (was.fd >= 0)
			(void)os_close(l->os, was.fd);
		condemn(l, why);
		return rc;
	}
	if (was.fd >= 0)
		segment_retire(l, &was, l->durable.offset);
	l->must_abandon = false;
	l->retry_at_us = 0;
	l->file.pos = LEDGER_BLOCK_BYTES;
	durable_set(l, l->file.pos, l->durable.seq + 1);
	trouble_set(l, NULL);
	spare_order(l);
	return OK;
}

void writer_mend(struct lane *l)
{
	uint64_t now = os_mono_us(l->os);
	struct fault why;

	if (l->file.fd >= 0 || now < l->retry_at_us)
		return;
	l->retry_at_us = now + LANE_RETRY_EVERY_US;
	l->down_rc = writer_open_segment(l, 0, &why);
	if (l->down_rc != OK)
		trouble_set(l, &why);
}

void writer_watch_reserve(struct lane *l)
{
	uint64_t now, free_bytes;
	bool below;

	if (l->reserve_bytes == 0)
		return;
	now = os_mono_us(l->os);
	if (now < l->reserve_at_us)
		return;
	l->reserve_at_us = now + LANE_RESERVE_EVERY_US;
	if (os_free_bytes(l->os, l->dir, &free_bytes) < 0)
		return; /* unknown: the write itself will tell */
	below = free_bytes < l->reserve_bytes;
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->below_reserve = below;
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

/* ---- one batch ---- */

/* L7, and what an earlier condemned segment may have taken along. OK: to be written. */
static enum rc group_judge(const struct lane *l, const struct group *g)
{
	if (g->is_too_large)
		return REFUSED;
	if (g->epoch != 0 && g->epoch != l->epoch)
		return BROKEN;
	if (g->respects_reserve && l->below_reserve)
		return LATER;
	return OK;
}

/* Moves groups for one batch from the queue; their bytes fit the room. False: the first fits only a
 * new segment. */
static bool take_groups(struct lane *l, uint64_t room, struct group_list *out)
{
	uint64_t bytes = 0;
	bool fits = true;

	must(pthread_mutex_lock(&l->mutex) == 0);
	while (l->queue.first) {
		struct group *g = l->queue.first;

		g->result.rc = group_judge(l, g);
		if (g->result.rc == OK) {
			if (bytes + g->bytes > room ||
			    (bytes > 0 && bytes + g->bytes > LANE_BATCH_BYTES))
				break;
			bytes += g->bytes;
		}
		l->queue.first = g->next;
		if (!l->queue.first)
			l->queue.tail = &l->queue.first;
		group_list_append(out, g);
	}
	fits = out->first || !l->queue.first;
	must(pthread_mutex_unlock(&l->mutex) == 0);
	return fits;
}

static void take_first(struct lane *l, struct group_list *out, bool all)
{
	must(pthread_mutex_lock(&l->mutex) == 0);
	while (l->queue.first) {
		struct group *g = l->queue.first;

		l->queue.first = g->next;
		if (!l->queue.first)
			l->queue.tail = &l->queue.first;
		group_list_append(out, g);
		if (!all)
			break;
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
}

static void groups_set(struct group_list *g, enum rc rc)
{
	for (struct group *at = g->first; at; at = at->next)
		if (at->result.rc == OK)
			at->result.rc = rc;
}

static void groups_finish(struct lane *l, struct group_list *g)
{
	struct group *at;

	must(pthread_mutex_lock(&l->mutex) == 0);
	while ((at = g->first)) {
		g->first = at->next;
		l->pending_bytes -= at->bytes;
		group_list_append(&l->done, at);
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
	group_list_init(g);
	if (l->on_wake)
		l->on_wake(l->arg);
}

/* The table of a chunked message; its chunks are durable, so their headers can be read back. */
static bool chunk_table(struct lane *l, struct queued *q, struct buf *out, struct fault *why)
{
	unsigned char row[CHUNK_ENTRY_BYTES];
	uint64_t total = 0;

	for (size_t i = 0; i < q->chunks_n; i++) {
		struct chunk_entry entry;
		struct record r;

		if (ledger_read(l->reader, q->chunks[i], &r, why) != OK)
			return false;
		if (r.type != RECORD_CHUNK || r.ref.lane_id != l->id) {
			fault_set(why, "a message names a record as its chunk that is none");
			return false;
		}
		entry = (struct chunk_entry){
			r.ref.segment, (uint32_t)r.body_bytes, r.ref.offset, {0}};
		memcpy(entry.digest, r.digest, sizeof entry.digest);
		chunk_entry_encode(&entry, row);
		(void)buf_append(out, span_of(row, sizeof row));
		total += r.body_bytes;
	}
	if (total == q->body_bytes)
		return true;
	fault_set(why, "the chunks of a message have %llu bytes, not the %llu it declares",
		  (unsigned long long)total, (unsigned long long)q->body_bytes);
	return false;
}

static void chunks_resolve(struct lane *l, struct group_list *groups)
{
	for (struct group *g = groups->first; g; g = g->next)
		for (size_t i = 0; g->result.rc == OK && i < g->n; i++) {
			struct queued *q = &g->records[i];
			struct fault why;

			if (q->chunks_n > 0 && !chunk_table(l, q, &q->body, &why)) {
				g->result.rc = BROKEN;
				trouble_set(l, &why);
			}
		}
}

struct packing {
	struct lane *l;
	unsigned char *head;
	size_t parts_n;
	uint64_t at, seq;
	unsigned char *last_head; /* of the batch's last record so far: it takes the padding */
	struct record_header last;
};

static void part_add(struct packing *p, void *bytes, size_t n)
{
	if (n == 0)
		return;
	p->l->parts[p->parts_n++] = (struct iovec){bytes, n};
}

static void pack_record(struct packing *p, struct queued *q, bool is_first, bool is_more)
{
	struct lane *l = p->l;
	struct span meta = {p->head + RECORD_HEAD_BYTES, q->meta.n};
	struct record_header h = {
		.type = q->type,
		.flags = (is_first ? RECORD_GROUP_START : 0U) | (is_more ? RECORD_GROUP_MORE : 0U) |
			 (q->chunks_n > 0 ? RECORD_CHUNKED : 0U),
		.lane_id = l->id,
		.segment = l->file.number,
		.seq = p->seq++,
		.received_us = q->received_us,
		.meta_len = (uint32_t)q->meta.n,
		.meta_crc = crc32c(0, q->meta),
		.body_len = (uint32_t)q->body.n,
		.body_bytes = q->chunks_n > 0 ? q->body_bytes : q->body.n,
		.durable_segment = l->durable.segment,
		.durable_offset = l->durable.offset,
		.nonce = l->file.nonce,
	};
	uint32_t pad;

	h.span = (uint32_t)round_up(record_length(&h), RECORD_ALIGN_BYTES);
	pad = h.span - record_length(&h);
	if (q->meta.n > 0)
		memcpy(p->head + RECORD_HEAD_BYTES, q->meta.p, q->meta.n);
	os_random(l->os, h.salt, sizeof h.salt);
	record_digest(&h, meta, buf_span(&q->body), h.digest);
	record_encode(&h, p->head);
	part_add(p, p->head, RECORD_HEAD_BYTES + q->meta.n);
	part_add(p, q->body.p, q->body.n);
	p->last_head = p->head;
	p->last = h;
	p->head += RECORD_HEAD_BYTES + q->meta.n;
	memset(p->head, 0, pad);
	part_add(p, p->head, pad);
	p->head += pad;
	p->at += h.span;
}

static void pack_group(struct packing *p, struct group *g)
{
	g->result.ref = (struct record_ref){p->l->id, p->l->file.number, p->at};
	for (size_t i = 0; i < g->n; i++)
		pack_record(p, &g->records[i], i == 0, i + 1 < g->n);
}

/* L4: the next batch starts on a block of its own. */
static void pack_end(struct packing *p)
{
	static unsigned char zeros[LEDGER_BLOCK_BYTES];
	uint64_t end = round_up(p->at, LEDGER_BLOCK_BYTES);

	p->last.span += (uint32_t)(end - p->at);
	record_encode(&p->last, p->last_head);
	part_add(p, zeros, end - p->at);
	p->at = end;
}

static void room_for_packing(struct lane *l, const struct group_list *groups, size_t *out_records)
{
	size_t heads = 0, n = 0;

	for (const struct group *g = groups->first; g; g = g->next)
		for (size_t i = 0; g->result.rc == OK && i < g->n; i++, n++)
			heads += RECORD_HEAD_BYTES + g->records[i].meta.n + RECORD_ALIGN_BYTES;
	if (heads > l->heads_cap) {
		free(l->heads);
		l->heads = must_alloc(heads);
		l->heads_cap = heads;
	}
	if (3 * n + 1 > l->parts_cap) {
		free(l->parts);
		l->parts_cap = 3 * n + 1;
		l->parts = must_alloc(l->parts_cap * sizeof *l->parts);
	}
	*out_records = n;
}

static void batch_write(struct lane *l, struct group_list *groups)
{
	struct packing p = {.l = l, .at = l->file.pos, .seq = l->durable.seq};
	size_t records;
	uint64_t sync_us;
	struct fault why;
	enum rc rc = OK;

	room_for_packing(l, groups, &records);
	if (records == 0)
		return;
	p.head = l->heads;
	for (struct group *g = groups->first; g; g = g->next)
		if (g->result.rc == OK)
			pack_group(&p, g);
	pack_end(&p);
	if (!write_and_sync(l, l->parts, p.parts_n, l->file.pos, &sync_us, &rc, &why)) {
		groups_set(groups, rc);
		condemn(l, &why);
		l->retry_at_us = 0;
		l->down_rc = rc;
		writer_mend(l);
		return;
	}
	must(pthread_mutex_lock(&l->mutex) == 0);
	l->stats.batches++;
	l->stats.records += records;
	l->stats.bytes += p.at - l->file.pos;
	l->stats.sync_us += sync_us;
	must(pthread_mutex_unlock(&l->mutex) == 0);
	l->file.pos = p.at;
	durable_set(l, p.at, p.seq);
}

/* The first group fits only a new segment. */
static enum rc roll_over(struct lane *l)
{
	uint64_t now = os_mono_us(l->os);
	struct fault why;

	if (now < l->retry_at_us)
		return l->down_rc;
	l->down_rc = writer_open_segment(l, l->queue.first->bytes + LEDGER_BLOCK_BYTES, &why);
	if (l->down_rc != OK) {
		l->retry_at_us = now + LANE_RETRY_EVERY_US;
		trouble_set(l, &why);
	}
	return l->down_rc;
}

bool writer_batch(struct lane *l)
{
	struct group_list groups;

	group_list_init(&groups);
	must(pthread_mutex_lock(&l->mutex) == 0);
	if (!l->queue.first) {
		must(pthread_mutex_unlock(&l->mutex) == 0);
		return false;
	}
	must(pthread_mutex_unlock(&l->mutex) == 0);
	writer_watch_reserve(l);
	writer_mend(l);
	if (l->file.fd < 0) {
		take_first(l, &groups, true);
		groups_set(&groups, l->down_rc);
	} else if (!take_groups(l, l->file.size - l->file.pos, &groups)) {
		if (roll_over(l) == OK)
			return true; /* there is room now; the next turn writes */
		take_first(l, &groups, false);
		groups_set(&groups, l->down_rc);
	} else {
		chunks_resolve(l, &groups);
		batch_write(l, &groups);
	}
	groups_finish(l, &groups);
	return true;
}
