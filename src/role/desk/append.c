/*
 * APPEND: a message that a person puts into a mailbox, from the session's bytes to a MESSAGE record with its act. Up to
 * LEDGER_CHUNK_BYTES it stays in one owned buffer, which the lane takes without a copy; a larger one goes out as CHUNK records
 * while it arrives, and the MESSAGE record that names them follows when all are durable. Over the budget of all sessions,
 * parts become chunks early and their sessions wait until those are on disk.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/header.h"
#include "os/os.h"
#include "role/desk/internal.h"

enum {
	FIRST_ROOM = 8 << 10,
	CHUNKS_PENDING = 4, /* of one message; more and its session waits */
	SPILL_BYTES = 4096, /* over budget, parts at least so large become chunks early */
	ID_BYTES = 33,
};

/* One message coming in; lives until its last chunk has called back. */
struct desk_append {
	struct desk *desk;
	struct desk_session *session; /* NULL: dropped */
	uint64_t engine_ask;
	struct buf part;
	uint64_t bytes;
	struct header_walk header;
	struct record_ref *chunks;
	size_t chunks_n, chunks_cap, chunks_pending;
	uint64_t epoch;
	enum rc rc; /* of the first thing that failed */
	bool is_complete;
};

static void release(struct desk *d, size_t bytes)
{
	must(d->buffered >= bytes);
	d->buffered -= bytes;
	desk_set(METRIC_BUFFERED, d->buffered);
}

static void maybe_free(struct desk_append *a)
{
	if (a->session || a->chunks_pending)
		return;
	release(a->desk, a->part.n);
	buf_fini(&a->part);
	free(a->chunks);
	free(a);
}

/* ---- the beginning ---- */

static void open_append(struct desk_session *s, const char *code, const char *text)
{
	imap_server_append_open(s->imap, code, span_str(text));
}

void desk_append_begin(struct desk_session *s)
{
	const struct imap_append *asked = imap_server_append(s->imap);
	struct desk *d = s->desk;
	struct desk_append *a;

	if (asked->bytes > d->policy->message_bytes) {
		open_append(s, "TOOBIG", "The message is larger than is taken here");
		return;
	}
	if (lane_is_below_reserve(d->lane)) {
		open_append(s, "OVERQUOTA",
			    "No disk space for new messages at the moment; try again later");
		return;
	}
	if (!desk_can_act(d)) {
		open_append(s, "UNAVAILABLE",
			    "Changes cannot be made at the moment; try again soon");
		return;
	}
	a = must_alloc(sizeof *a);
	a->desk = d;
	a->session = s;
	a->engine_ask = asked->id;
	header_walk_init(&a->header, SPAN_NONE);
	s->append = a;
	open_append(s, NULL, "");
}

void desk_append_drop(struct desk_session *s)
{
	struct desk_append *a = s->append;

	if (!a)
		return;
	s->append = NULL;
	a->session = NULL;
	list_remove(&s->hunger);
	maybe_free(a);
}

bool desk_append_is_hungry(const struct desk_session *s)
{
	const struct desk_append *a = s->append;

	if (!a || a->is_complete || a->chunks_pending == 0)
		return false;
	return a->chunks_pending > CHUNKS_PENDING ||
	       s->desk->buffered > s->desk->policy->buffer_bytes;
}

/* ---- chunks ---- */

/* What the lane gives back with a result. */
struct pin {
	struct desk_append *append;
	size_t bytes; /* in memory */
};

static void keep_chunk(struct desk_append *a, const struct lane_result *result)
{
	if (result->rc != OK) {
		a->rc = a->rc == OK ? result->rc : a->rc;
		return;
	}
	if (a->chunks_n == a->chunks_cap) {
		a->chunks_cap = a->chunks_cap ? 2 * a->chunks_cap : 16;
		a->chunks = reallocarray(a->chunks, a->chunks_cap, sizeof *a->chunks);
		must(a->chunks != NULL);
	}
	a->chunks[a->chunks_n++] = result->ref;
}

static void finish(struct desk_append *a);

static void on_chunk(void *arg, const struct lane_result *result)
{
	struct pin *pin = arg;
	struct desk_append *a = pin->append;
	struct desk *d = a->desk;

	release(d, pin->bytes);
	free(pin);
	d->appends_pending--;
	a->chunks_pending--;
	keep_chunk(a, result);
	if (!a->session)
		maybe_free(a);
	else if (a->is_complete && a->chunks_pending == 0)
		finish(a);
	desk_feed_hungry(d);
}

static void append_chunk(struct desk_append *a)
{
	struct desk *d = a->desk;
	struct record_new chunk = {
		.type = RECORD_CHUNK, .received_us = os_wall_us(d->os), .body = a->part};
	struct pin *pin = must_alloc(sizeof *pin);

	*pin = (struct pin){a, a->part.n};
	if (a->epoch == 0)
		a->epoch = lane_epoch(d->lane);
	a->part = (struct buf){0};
	a->chunks_pending++;
	d->appends_pending++;
	lane_append(d->lane, &chunk, 1, a->epoch, true, on_chunk, pin);
}

/* ---- pieces ---- */

static void add(struct desk_append *a, struct span piece)
{
	uint64_t coming = imap_server_append(a->session->imap)->bytes;
	size_t room = coming > LEDGER_CHUNK_BYTES ? LEDGER_CHUNK_BYTES : (size_t)coming;

	if (a->part.cap == 0)
		buf_init(&a->part, LEDGER_CHUNK_BYTES);
	if ((a->part.cap == 0 && room < FIRST_ROOM && !buf_reserve(&a->part, room)) ||
	    !buf_append(&a->part, piece)) {
		a->rc = LATER; /* no memory */
		return;
	}
	a->desk->buffered += piece.n;
}

void desk_append_piece(struct desk_session *s, struct span piece)
{
	struct desk_append *a = s->append;

	if (!a)
		return;
	(void)header_walk_feed(&a->header, piece);
	a->bytes += piece.n;
	while (piece.n && a->rc == OK) {
		size_t room = LEDGER_CHUNK_BYTES - a->part.n;

		if (room == 0) {
			append_chunk(a);
			continue;
		}
		add(a, span_first(piece, room));
		piece = span_from(piece, room);
	}
	if (s->desk->buffered > s->desk->policy->buffer_bytes && a->part.n >= SPILL_BYTES)
		append_chunk(a);
	desk_set(METRIC_BUFFERED, s->desk->buffered);
}

/* ---- the record ---- */

static void write_meta(const struct desk_append *a, uint64_t ask, struct buf *out)
{
	const struct desk_session *s = a->session;
	const struct header_walk *h = &a->header;
	unsigned char random[16];
	char id[ID_BYTES];
	struct buf detail = {0};

	os_random(a->desk->os, random, sizeof random);
	hex_encode(id, span_of(random, sizeof random));
	desk_act_write(s, ask, &imap_server_append(s->imap)->act, &detail);
	msg_message_meta_encode(
		out, &(struct msg_message_meta){
			     .id = span_str(id),
			     .peer = span_str(s->peer),
			     .protocol = SPAN_LIT("IMAP"),
			     .tls = span_str(conn_tls_text(s->conn)),
			     .message_id = header_message_id(h),
			     .subject = header_subject(h),
			     .from = header_from(h),
			     .date = header_date(h),
			     .hops = (uint8_t)(h->received < 255 ? h->received : 255),
			     .header_bytes =
				     h->header_bytes <= UINT32_MAX ? (uint32_t)h->header_bytes : 0,
			     .origin = 2,
			     .account = s->account,
			     .detail = buf_span(&detail),
		     });
	buf_fini(&detail);
}

struct stored_pin {
	struct desk *desk;
	uint64_t ask;
	size_t buffered;
	uint64_t bytes;
};

static void on_stored(void *arg, const struct lane_result *result)
{
	struct stored_pin *pin = arg;
	struct desk *d = pin->desk;

	d->appends_pending--;
	release(d, pin->buffered);
	if (result->rc == OK) {
		desk_count(METRIC_APPENDS, 1);
		desk_count(METRIC_APPEND_BYTES, pin->bytes);
	}
	desk_ask_recorded(d, pin->ask, result->rc);
	free(pin);
	desk_feed_hungry(d);
}

static void append_message(struct desk_append *a)
{
	struct desk *d = a->desk;
	struct record_new record = {.type = RECORD_MESSAGE, .received_us = os_wall_us(d->os)};
	struct stored_pin *pin = must_alloc(sizeof *pin);
	struct buf meta = {0};

	*pin = (struct stored_pin){d, desk_ask_new(a->session, a->engine_ask), a->part.n, a->bytes};
	write_meta(a, pin->ask, &meta);
	record.meta = buf_span(&meta);
	record.body = a->part;
	a->part = (struct buf){0};
	if (a->epoch) {
		record.chunks = a->chunks;
		record.chunks_n = a->chunks_n;
		record.body_bytes = a->bytes;
	}
	d->appends_pending++;
	lane_append(d->lane, &record, 1, a->epoch, true, on_stored, pin);
	buf_fini(&meta);
}

/* All of it is here and its chunks are durable. */
static void finish(struct desk_append *a)
{
	struct desk_session *s = a->session;

	if (a->rc == OK && desk_can_act(a->desk)) {
		append_message(a);
		desk_append_drop(s);
		return;
	}
	imap_server_verdict(s->imap, a->engine_ask, NULL);
	desk_append_drop(s);
	desk_session_go_on(s);
}

void desk_append_end(struct desk_session *s)
{
	struct desk_append *a = s->append;

	if (!a)
		return;
	a->is_complete = true;
	header_walk_end(&a->header);
	if (a->epoch && a->part.n && a->rc == OK)
		append_chunk(a);
	if (a->chunks_pending == 0)
		finish(a);
}
