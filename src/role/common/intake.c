#include "role/common/intake.h"

#include <stdlib.h>

#include "base/must.h"
#include "os/os.h"
#include "say/say.h"

enum {
	CHUNKS_PENDING = 4, /* of one message; more and its session waits */
	SPILL_BYTES = 4096, /* over budget, parts at least so large become chunks early */
};

/* One message; lives until it is dropped and its last chunk has called back. */
struct intake {
	struct intake_hall *hall;
	intake_on_chunked *on_chunked;
	void *arg;
	bool is_dropped, is_complete;
	enum rc rc; /* of the first thing that failed */
	size_t room;
	struct buf part;
	uint64_t bytes;
	struct record_ref *chunks;
	size_t chunks_n, chunks_cap, chunks_pending;
	uint64_t epoch; /* 0: no chunks */
	struct header_walk header;
};

static void buffer(struct intake_hall *hall, size_t bytes)
{
	hall->buffered += bytes;
	say_set(hall->gauge, hall->buffered);
}

static void release(struct intake_hall *hall, size_t bytes)
{
	must(hall->buffered >= bytes);
	hall->buffered -= bytes;
	say_set(hall->gauge, hall->buffered);
}

struct intake *intake_new(struct intake_hall *hall, size_t room, struct span mark,
			  intake_on_chunked *on_chunked, void *arg)
{
	struct intake *i = must_alloc(sizeof *i);

	i->hall = hall;
	i->on_chunked = on_chunked;
	i->arg = arg;
	i->room = room < LEDGER_CHUNK_BYTES ? room : LEDGER_CHUNK_BYTES;
	header_walk_init(&i->header, mark);
	return i;
}

static void maybe_free(struct intake *i)
{
	if (!i->is_dropped || i->chunks_pending)
		return;
	free(i->chunks);
	free(i);
}

void intake_drop(struct intake *i)
{
	if (!i)
		return;
	release(i->hall, i->part.n);
	buf_fini(&i->part);
	i->is_dropped = true;
	maybe_free(i);
}

/* ---- what the lane gives back ---- */

struct chunk_pin {
	struct intake *intake;
	size_t bytes; /* in memory */
};

static void keep_chunk(struct intake *i, const struct lane_result *result)
{
	if (result->rc != OK) {
		i->rc = i->rc == OK ? result->rc : i->rc;
		return;
	}
	if (i->chunks_n == i->chunks_cap) {
		i->chunks_cap = i->chunks_cap ? 2 * i->chunks_cap : 16;
		i->chunks = reallocarray(i->chunks, i->chunks_cap, sizeof *i->chunks);
		must(i->chunks != NULL);
	}
	i->chunks[i->chunks_n++] = result->ref;
}

static void on_chunk(void *arg, const struct lane_result *result)
{
	struct chunk_pin *pin = arg;
	struct intake *i = pin->intake;
	struct intake_hall *hall = i->hall;

	release(hall, pin->bytes);
	free(pin);
	hall->pending--;
	i->chunks_pending--;
	keep_chunk(i, result);
	if (i->is_dropped)
		maybe_free(i);
	else if (intake_is_settled(i))
		i->on_chunked(i->arg);
	hall->on_room(hall->arg);
}

static void append_chunk(struct intake *i)
{
	struct intake_hall *hall = i->hall;
	struct record_new chunk = {
		.type = RECORD_CHUNK, .received_us = os_wall_us(hall->os), .body = i->part};
	struct chunk_pin *pin = must_alloc(sizeof *pin);

	*pin = (struct chunk_pin){i, i->part.n};
	if (i->epoch == 0)
		i->epoch = lane_epoch(hall->lane);
	i->part = (struct buf){0};
	i->chunks_pending++;
	hall->pending++;
	lane_append(hall->lane, &chunk, 1, i->epoch, true, on_chunk, pin);
}

/* ---- pieces ---- */

static void add(struct intake *i, struct span piece)
{
	bool is_first = i->part.cap == 0;

	if (is_first)
		buf_init(&i->part, LEDGER_CHUNK_BYTES);
	if ((is_first && i->room && !buf_reserve(&i->part, i->room)) ||
	    !buf_append(&i->part, piece)) {
		i->rc = i->rc == OK ? LATER : i->rc; /* no memory */
		return;
	}
	buffer(i->hall, piece.n);
}

void intake_piece(struct intake *i, struct span piece)
{
	(void)header_walk_feed(&i->header, piece);
	i->bytes += piece.n;
	while (piece.n && i->rc == OK) {
		size_t room = LEDGER_CHUNK_BYTES - i->part.n;

		if (room == 0) {
			append_chunk(i);
			continue;
		}
		add(i, span_first(piece, room));
		piece = span_from(piece, room);
	}
	if (intake_is_over_budget(i->hall) && i->part.n >= SPILL_BYTES)
		append_chunk(i);
}

bool intake_is_hungry(const struct intake *i)
{
	if (!i || i->is_complete || i->chunks_pending == 0)
		return false;
	return i->chunks_pending > CHUNKS_PENDING || intake_is_over_budget(i->hall);
}

/* ---- the end ---- */

void intake_end(struct intake *i)
{
	must(!i->is_complete);
	i->is_complete = true;
	header_walk_end(&i->header);
	if (i->epoch && i->part.n && i->rc == OK)
		append_chunk(i);
}

bool intake_is_complete(const struct intake *i)
{
	return i && i->is_complete;
}

bool intake_is_settled(const struct intake *i)
{
	return intake_is_complete(i) && i->chunks_pending == 0;
}

enum rc intake_rc(const struct intake *i)
{
	return i->rc;
}

uint64_t intake_bytes(const struct intake *i)
{
	return i->bytes;
}

const struct header_walk *intake_header(const struct intake *i)
{
	return &i->header;
}

struct store_pin {
	struct intake_hall *hall;
	size_t bytes; /* in memory */
	void (*on_result)(void *arg, const struct lane_result *result);
	void *arg;
};

static void on_stored(void *arg, const struct lane_result *result)
{
	struct store_pin pin = *(struct store_pin *)arg;

	free(arg);
	release(pin.hall, pin.bytes);
	pin.hall->pending--;
	pin.on_result(pin.arg, result);
	pin.hall->on_room(pin.hall->arg);
}

void intake_store(struct intake *i, uint64_t received_us, struct span meta,
		  void (*on_result)(void *arg, const struct lane_result *result), void *arg)
{
	struct record_new record = {
		.type = RECORD_MESSAGE, .received_us = received_us, .meta = meta, .body = i->part};
	struct store_pin *pin = must_alloc(sizeof *pin);

	must(intake_is_settled(i) && i->rc == OK);
	*pin = (struct store_pin){i->hall, i->part.n, on_result, arg};
	i->part = (struct buf){0};
	if (i->epoch) {
		record.chunks = i->chunks;
		record.chunks_n = i->chunks_n;
		record.body_bytes = i->bytes;
	}
	i->hall->pending++;
	lane_append(i->hall->lane, &record, 1, i->epoch, true, on_stored, pin);
}
