/*
 * DATA (RFC 5321 s4.1.1.4, s4.5.2). The hot path looks at whole lines with memchr. What could be
 * taken for a line end by some server and not by another (bare CR, bare LF), and NUL, make the
 * message bad: it is read to its real end, none of it is kept, and it is refused there (S-01). The
 * structure of lines is followed in the same way in a bad message, so that nobody can choose where
 * it ends.
 */
#include "smtp/server_internal.h"

void server_on_data(struct smtp_server *s, struct span args)
{
	if (args.n)
		server_reply(s, 501, "5.5.4", "DATA takes no argument");
	else
		server_ask(s, SMTP_DATA);
}

void server_data_begin(struct smtp_server *s)
{
	s->data_at = AT_LINE;
	s->data_faults = 0;
	s->data_dropped = false;
	s->data_n = s->data_skipped = 0;
	s->data_since_us = s->now_us;
	server_arm(s, s->service->limits.data_us);
}

/* Idle time, and time in all by what came: bytes sent one by one do not keep a session (S-25). */
static void arm_data(struct smtp_server *s)
{
	const struct smtp_server_limits *l = &s->service->limits;
	uint64_t idle = s->now_us + (s->data_faults == 0 ? l->data_us : l->bad_data_us);
	uint64_t whole = s->data_since_us + l->data_us + s->data_n / SERVER_DATA_RATE * 1000000;

	s->deadline_us = idle < whole ? idle : whole;
}

/* Bytes that are content: counted and checked for NUL. */
static void count(struct smtp_server *s, struct span piece)
{
	uint64_t limit = s->service->limits.message_bytes;

	s->data_n += piece.n;
	if (s->data_faults)
		s->data_skipped += piece.n;
	if (piece.n && memchr(piece.p, 0, piece.n))
		s->data_faults |= DATA_NUL;
	if (limit && s->data_n > limit)
		s->data_faults |= DATA_TOO_BIG;
}

/* From a line's start or inside one: all of p that is plain content. Returns its length; data_at
 * says where it ends. */
static size_t scan_lines(struct smtp_server *s, const unsigned char *p, size_t n)
{
	size_t i = 0;

	for (;;) {
		const unsigned char *cr;
		size_t line;

		if (s->data_at == AT_LINE && (i == n || p[i] == '.'))
			return i;
		s->data_at = AT_INSIDE;
		cr = memchr(p + i, '\r', n - i);
		line = (cr ? (size_t)(cr - p) : n) - i;
		if (line && memchr(p + i, '\n', line))
			s->data_faults |= DATA_BARE_LF;
		i += line;
		if (!cr)
			return i;
		if (i + 1 == n) {
			s->data_at = AT_CR;
			return i;
		}
		if (p[i + 1] == '\n') {
			i += 2;
			s->data_at = AT_LINE;
		} else {
			i += 1;
			s->data_faults |= DATA_BARE_CR;
		}
	}
}

/* The byte behind a CR that was the last of the input before. */
static struct span after_cr(struct smtp_server *s, struct span *in)
{
	if (in->p[0] != '\n') {
		s->data_faults |= DATA_BARE_CR;
		s->data_at = AT_INSIDE;
		return SPAN_LIT("\r");
	}
	*in = span_from(*in, 1);
	s->data_at = AT_LINE;
	return SPAN_LIT("\r\n");
}

static void after_dot(struct smtp_server *s, struct span *in)
{
	if (in->p[0] == '\r') {
		*in = span_from(*in, 1);
		s->data_at = AT_DOT_CR;
	} else {
		s->data_at = AT_INSIDE; /* dot-stuffing: the dot goes, the rest of the line stays */
	}
}

/* True at the real end of the message. */
static bool after_dot_cr(struct smtp_server *s, struct span *in)
{
	if (in->p[0] == '\n') {
		*in = span_from(*in, 1);
		return true;
	}
	s->data_faults |= DATA_BARE_CR;
	s->data_at = AT_INSIDE;
	return false;
}

void server_data_refuse(struct smtp_server *s)
{
	if (s->data_faults & DATA_NUL)
		server_reply(
			s, 554, "5.6.0",
			"The message has a NUL byte, which mail must not have; it is not accepted");
	else if (s->data_faults & DATA_BARE_LF)
		server_reply(s, 554, "5.6.0",
			     "The message has a LF without CR: lines must end in CR LF; it is not "
			     "accepted");
	else if (s->data_faults & DATA_BARE_CR)
		server_reply(s, 554, "5.6.0",
			     "The message has a CR without LF: lines must end in CR LF; it is not "
			     "accepted");
	else
		server_reply(s, 552, "5.3.4",
			     "The message is larger than is taken here; EHLO shows the limit");
}

/* What follows a session that ends here is for the step to throw away: SMTP_FEED leads there. */
static enum smtp_step finish(struct smtp_server *s)
{
	if (s->data_faults == 0) {
		server_move(s, ST_STORE);
		server_ask(s, SMTP_STORE);
		return SMTP_STORE;
	}
	server_data_refuse(s);
	server_reset(s);
	if (s->state == ST_GONE)
		return SMTP_FEED;
	server_move(s, ST_READY);
	if (s->winds_down)
		server_reply(s, 421, "4.3.2", "Shutting down; try again in a minute");
	return SMTP_FEED;
}

/* A bad message is read to its end so that the sender hears why, but not for ever (S-12). */
static bool is_skipped_enough(const struct smtp_server *s)
{
	const uint64_t limit = s->service->limits.message_bytes;

	return s->data_skipped > (limit > (16u << 20) ? limit : 16u << 20);
}

enum smtp_step server_data_step(struct smtp_server *s, struct span *in, struct span *out_piece)
{
	struct span piece = SPAN_NONE;
	size_t n;

	switch (s->data_at) {
	case AT_CR:
		piece = after_cr(s, in);
		break;
	case AT_DOT:
		after_dot(s, in);
		break;
	case AT_DOT_CR:
		if (after_dot_cr(s, in))
			return finish(s);
		piece = SPAN_LIT("\r");
		break;
	case AT_LINE:
	case AT_INSIDE:
		n = scan_lines(s, in->p, in->n);
		piece = span_first(*in, n);
		*in = span_from(*in, n + (s->data_at == AT_CR));
		if (s->data_at == AT_LINE && in->n) { /* scan_lines stopped at a dot */
			*in = span_from(*in, 1);
			s->data_at = AT_DOT;
		}
		break;
	}
	count(s, piece);
	arm_data(s);
	if (s->data_faults != 0) {
		if (is_skipped_enough(s)) {
			server_data_refuse(s);
			server_move(s, ST_GONE);
			return SMTP_FEED;
		}
		if (s->data_dropped)
			return SMTP_FEED;
		s->data_dropped = true;
		return SMTP_DROP;
	}
	if (piece.n == 0)
		return SMTP_FEED;
	*out_piece = piece;
	return SMTP_BODY;
}
