/*
 * BODY[...] and BINARY[...]: where a section stands, how long it is, and its bytes, a chunk a step. A part's place comes from
 * a table made by reading the message once (mail/mime.h); HEADER and TEXT of the message itself from its digest.
 */
#include "imap/server_internal.h"

#include <stdlib.h>

enum { PICKED_LIMIT = 1 << 20, TABLE_BYTES = 256 << 10 };

void imap_bodies_close(struct imap_bodies *b)
{
	struct buf scratch = b->scratch;

	if (b->body)
		b->ops->body_close(b->body);
	mime_free(b->mime);
	buf_clear(&scratch);
	*b = (struct imap_bodies){.scratch = scratch};
}

static enum imap_run_step say_nil(struct imap_server *s, struct imap_bodies *b,
				  const struct imap_item *item)
{
	b->stage = IMAP_S_NEW;
	imap_put_span(s, item->label);
	imap_put(s, item->kind == IMAP_F_BINARY_SIZE ? " 0" : " NIL");
	return IMAP_RUN_DONE;
}

static bool open_body(struct imap_server *s, struct imap_bodies *b, const struct mail_entry *e)
{
	if (b->body)
		return true;
	b->ops = s->store.ops;
	if (s->store.ops->body_open(s->store.arg, e->number, e->form, &b->body, NULL) == OK)
		return true;
	b->body = NULL;
	b->is_damaged = true;
	return false;
}

static bool read_at(struct imap_server *s, struct imap_bodies *b, uint64_t at, size_t max,
		    struct span *out)
{
	if (s->store.ops->body_read(b->body, at, max, out, NULL) == OK && out->n > 0) {
		b->cost += out->n;
		return true;
	}
	b->is_damaged = true;
	return false;
}

/* ---- places ---- */

/* Reads on for the table; false: not all of it yet. */
static bool make_table(struct imap_server *s, struct imap_bodies *b)
{
	uint64_t all = s->store.ops->body_bytes(b->body), until = b->fed + TABLE_BYTES;

	if (!b->mime)
		b->mime = mime_new(NULL);
	while (b->mime && b->fed < all && b->fed < until) {
		struct span piece;

		if (!read_at(s, b, b->fed, IMAP_CHUNK, &piece))
			break;
		mime_feed(b->mime, piece);
		b->fed += piece.n;
	}
	if (b->mime && b->fed < all && !b->is_damaged)
		return false;
	if (b->mime)
		mime_end(b->mime);
	else
		b->is_damaged = true;
	b->has_table = true;
	return true;
}

static bool whole_message(struct imap_server *s, struct imap_bodies *b, const struct mail_entry *e,
			  enum mime_section what)
{
	uint64_t all = s->store.ops->body_bytes(b->body), header;
	struct mail_digest d;

	b->range = (struct mime_range){.to = all};
	b->encoding = MIME_BINARY;
	if (what == MIME_SECTION_BODY)
		return true;
	if (s->store.ops->digest(s->store.arg, e->number, e->form, &d, NULL) != OK) {
		b->is_damaged = true;
		return false;
	}
	header = d.header_bytes < all ? d.header_bytes : all;
	if (what == MIME_SECTION_HEADER)
		b->range.to = header;
	else
		b->range.from = header;
	return true;
}

static bool find_range(struct imap_server *s, struct imap_bodies *b, const struct mail_entry *e,
		       const struct imap_item *item)
{
	if (item->path_n == 0)
		return whole_message(s, b, e, item->what);
	if (b->is_damaged ||
	    !mime_section(b->mime, item->path, item->path_n, item->what, &b->range))
		return false;
	b->encoding = b->range.part >= 0 && b->range.part < mime_parts(b->mime)
			      ? mime_part(b->mime, b->range.part)->encoding
			      : MIME_7BIT;
	return true;
}

/* ---- what is said ---- */

/* The label and the literal's head; b->skip and b->left become the part of `total` bytes that was asked for. */
static void say_head(struct imap_server *s, struct imap_bodies *b, const struct imap_item *item,
		     uint64_t total)
{
	b->skip = item->from < total ? item->from : total;
	b->left = total - b->skip < item->count ? total - b->skip : item->count;
	imap_put_span(s, item->label);
	imap_put(s, item->kind == IMAP_F_BINARY ? " ~{%llu}\r\n" : " {%llu}\r\n",
		 (unsigned long long)b->left);
}

/* A literal was begun and cannot be ended: nothing but the end of the connection is true then. */
static enum imap_run_step give_up(struct imap_server *s)
{
	imap_move(s, IMAP_ST_GONE);
	return IMAP_RUN_LATER;
}

static enum imap_run_step stream_raw(struct imap_server *s, struct imap_bodies *b)
{
	struct span piece;

	while (b->left && !imap_is_full(s)) {
		if (!read_at(s, b, b->at, b->left < IMAP_CHUNK ? (size_t)b->left : IMAP_CHUNK,
			     &piece))
			return give_up(s);
		imap_put_span(s, piece);
		b->at += piece.n;
		b->left -= piece.n;
	}
	if (b->left)
		return IMAP_RUN_AGAIN;
	b->stage = IMAP_S_NEW;
	return IMAP_RUN_DONE;
}

static enum imap_run_step begin_raw(struct imap_server *s, struct imap_bodies *b,
				    const struct imap_item *item)
{
	say_head(s, b, item, b->range.to - b->range.from);
	b->at = b->range.from + b->skip;
	b->stage = IMAP_S_STREAM;
	return stream_raw(s, b);
}

/* One chunk more through the decoder into scratch. False: it cannot be read. */
static bool decode_chunk(struct imap_server *s, struct imap_bodies *b)
{
	struct span piece;

	buf_clear(&b->scratch);
	if (b->at < b->range.to) {
		uint64_t rest = b->range.to - b->at;

		if (!read_at(s, b, b->at, rest < IMAP_CHUNK ? (size_t)rest : IMAP_CHUNK, &piece))
			return false;
		b->at += piece.n;
		(void)transfer_feed(&b->transfer, piece, &b->scratch);
	}
	if (b->at == b->range.to)
		(void)transfer_end(&b->transfer, &b->scratch);
	return true;
}

static void begin_decode(struct imap_bodies *b)
{
	transfer_init(&b->transfer, b->encoding);
	b->at = b->range.from;
}

/* First all is decoded to be counted, then once more to be said. */
static enum imap_run_step count_decoded(struct imap_server *s, struct imap_bodies *b,
					const struct imap_item *item)
{
	if (!decode_chunk(s, b))
		return say_nil(s, b, item);
	b->total += b->scratch.n;
	if (b->at < b->range.to)
		return IMAP_RUN_LATER;
	if (item->kind == IMAP_F_BINARY_SIZE) {
		b->stage = IMAP_S_NEW;
		imap_put_span(s, item->label);
		imap_put(s, " %llu", (unsigned long long)b->total);
		return IMAP_RUN_DONE;
	}
	say_head(s, b, item, b->total);
	begin_decode(b);
	b->stage = IMAP_S_STREAM;
	return IMAP_RUN_AGAIN;
}

static enum imap_run_step stream_decoded(struct imap_server *s, struct imap_bodies *b)
{
	while (b->left && !imap_is_full(s)) {
		struct span bytes;

		if (!decode_chunk(s, b))
			return give_up(s);
		bytes = buf_span(&b->scratch);
		if (b->skip >= bytes.n) {
			b->skip -= bytes.n;
		} else {
			bytes = span_from(bytes, (size_t)b->skip);
			b->skip = 0;
			bytes = span_first(bytes, b->left < bytes.n ? (size_t)b->left : bytes.n);
			imap_put_span(s, bytes);
			b->left -= bytes.n;
		}
		if (b->left && b->at == b->range.to)
			return give_up(s);
	}
	if (b->left)
		return IMAP_RUN_AGAIN;
	b->stage = IMAP_S_NEW;
	return IMAP_RUN_DONE;
}

static enum imap_run_step begin_binary(struct imap_server *s, struct imap_bodies *b,
				       const struct imap_item *item)
{
	if (b->encoding == MIME_UNKNOWN || b->encoding == MIME_UUENCODE) {
		b->is_unknown_cte = true;
		return say_nil(s, b, item);
	}
	b->total = 0;
	begin_decode(b);
	b->stage = IMAP_S_COUNT;
	return count_decoded(s, b, item);
}

/* HEADER.FIELDS: picked out of the header section, which is read at once. */
static enum imap_run_step say_fields(struct imap_server *s, struct imap_bodies *b,
				     const struct imap_item *item)
{
	struct field_pick pick;
	bool fits = true;

	buf_clear(&b->scratch);
	b->scratch.limit = PICKED_LIMIT;
	field_pick_init(&pick, item->fields, item->fields_n, item->is_not);
	for (uint64_t at = b->range.from; fits && at < b->range.to;) {
		uint64_t rest = b->range.to - at;
		struct span piece;

		if (!read_at(s, b, at, rest < IMAP_CHUNK ? (size_t)rest : IMAP_CHUNK, &piece))
			return say_nil(s, b, item);
		at += piece.n;
		fits = field_pick_feed(&pick, piece, &b->scratch);
	}
	fits = fits && field_pick_end(&pick, &b->scratch);
	b->scratch.limit = 0;
	if (!fits)
		return say_nil(s, b, item);
	say_head(s, b, item, b->scratch.n);
	imap_put_span(
		s, span_first(span_from(buf_span(&b->scratch), (size_t)b->skip), (size_t)b->left));
	return IMAP_RUN_DONE;
}

static enum imap_run_step begin_section(struct imap_server *s, struct imap_bodies *b,
					const struct mail_entry *e, const struct imap_item *item)
{
	if (!find_range(s, b, e, item))
		return say_nil(s, b, item);
	if (item->kind != IMAP_F_SECTION)
		return begin_binary(s, b, item);
	b->stage = IMAP_S_NEW;
	return item->fields ? say_fields(s, b, item) : begin_raw(s, b, item);
}

enum imap_run_step imap_say_section(struct imap_server *s, struct imap_bodies *b,
				    const struct mail_entry *e, const struct imap_item *item)
{
	switch (b->stage) {
	case IMAP_S_NEW:
		if (!open_body(s, b, e))
			return say_nil(s, b, item);
		if (item->path_n == 0 || b->has_table)
			return begin_section(s, b, e, item);
		b->stage = IMAP_S_TABLE;
		return IMAP_RUN_AGAIN;
	case IMAP_S_TABLE:
		return make_table(s, b) ? begin_section(s, b, e, item) : IMAP_RUN_LATER;
	case IMAP_S_COUNT:
		return count_decoded(s, b, item);
	case IMAP_S_STREAM:
		return item->kind == IMAP_F_BINARY ? stream_decoded(s, b) : stream_raw(s, b);
	}
	return IMAP_RUN_DONE;
}
