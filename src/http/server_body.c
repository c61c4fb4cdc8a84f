/*
 * The body of a request: a length, or chunks (RFC 9112 s7.1). Extensions of chunks and trailers are read and forgotten; both are
 * bounded, and so are the digits of a size: it cannot overflow.
 */
#include "base/ascii.h"
#include "http/internal.h"

enum { SIZE_DIGITS = 15, SIZE_LINE_BYTES = 256 };

static enum rc to(struct http_server *s, enum http_chunk next)
{
	s->chunk = next;
	return OK;
}

static enum rc on_size(struct http_server *s, unsigned char c)
{
	int digit = ascii_hex(c);

	if (digit >= 0) {
		if (s->chunk_bytes++ == SIZE_DIGITS)
			return REFUSED;
		s->left = s->left << 4 | (unsigned)digit;
		return OK;
	}
	if (s->chunk_bytes == 0)
		return REFUSED;
	return c == ';' ? to(s, CHUNK_EXTENSION) : c == '\r' ? to(s, CHUNK_SIZE_LF) : REFUSED;
}

static enum rc on_extension(struct http_server *s, unsigned char c)
{
	if (c == '\r')
		return to(s, CHUNK_SIZE_LF);
	return http_is_text(c) && s->chunk_bytes++ < SIZE_LINE_BYTES ? OK : REFUSED;
}

static enum rc on_size_end(struct http_server *s, unsigned char c)
{
	s->chunk_bytes = 0;
	return c != '\n' ? REFUSED : to(s, s->left ? CHUNK_DATA : CHUNK_TRAILER);
}

static enum rc on_trailer(struct http_server *s, unsigned char c)
{
	if (c == '\r')
		return to(s, CHUNK_END_LF);
	return http_is_token(c) ? to(s, CHUNK_TRAILER_NAME) : REFUSED;
}

static enum rc on_trailer_name(struct http_server *s, unsigned char c)
{
	if (c == ':')
		return to(s, CHUNK_TRAILER_VALUE);
	return http_is_token(c) ? OK : REFUSED;
}

static enum rc on_trailer_value(struct http_server *s, unsigned char c)
{
	if (c == '\r')
		return to(s, CHUNK_TRAILER_LF);
	return http_is_text(c) ? OK : REFUSED;
}

/* One byte that is not of a chunk's data. */
static enum rc frame_byte(struct http_server *s, unsigned char c)
{
	if (s->chunk >= CHUNK_TRAILER && ++s->trailer_bytes > s->service->limits.trailer_bytes)
		return REFUSED;
	switch (s->chunk) {
	case CHUNK_SIZE:
		return on_size(s, c);
	case CHUNK_EXTENSION:
		return on_extension(s, c);
	case CHUNK_SIZE_LF:
		return on_size_end(s, c);
	case CHUNK_DATA:
		break;
	case CHUNK_DATA_CR:
		return c == '\r' ? to(s, CHUNK_DATA_LF) : REFUSED;
	case CHUNK_DATA_LF:
		return c == '\n' ? to(s, CHUNK_SIZE) : REFUSED;
	case CHUNK_TRAILER:
		return on_trailer(s, c);
	case CHUNK_TRAILER_NAME:
		return on_trailer_name(s, c);
	case CHUNK_TRAILER_VALUE:
		return on_trailer_value(s, c);
	case CHUNK_TRAILER_LF:
		return c == '\n' ? to(s, CHUNK_TRAILER) : REFUSED;
	case CHUNK_END_LF:
		if (c != '\n')
			return REFUSED;
		s->body = BODY_DONE;
		return OK;
	}
	return REFUSED;
}

static struct span take_data(struct http_server *s, struct span *in)
{
	struct span piece = span_first(*in, s->left < in->n ? (size_t)s->left : in->n);

	*in = span_from(*in, piece.n);
	s->left -= piece.n;
	s->window_bytes += piece.n;
	return piece;
}

enum rc http_body_take(struct http_server *s, struct span *in, struct span *out_piece)
{
	if (!s->is_chunked) {
		if (!in->n)
			return MORE;
		*out_piece = take_data(s, in);
		if (!s->left)
			s->body = BODY_DONE;
		return OK;
	}
	while (in->n && s->body != BODY_DONE) {
		if (s->chunk == CHUNK_DATA) {
			*out_piece = take_data(s, in);
			if (!s->left)
				s->chunk = CHUNK_DATA_CR;
			return OK;
		}
		if (frame_byte(s, in->p[0]) != OK)
			return REFUSED;
		*in = span_from(*in, 1);
	}
	return MORE;
}
