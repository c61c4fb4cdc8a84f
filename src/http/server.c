/* The connection: heads as they come, whose turn it is, deadlines. See server.h for W1 to W6. */
#include "http/server.h"

#include <stdlib.h>

#include "base/must.h"
#include "http/internal.h"

struct http_server *http_server_new(const struct http_service *service)
{
	struct http_server *s = must_alloc(sizeof *s);

	s->service = service;
	return s;
}

void http_server_serve(struct http_server *s, const struct http_service *service)
{
	s->service = service;
}

static void forget_request(struct http_server *s)
{
	buf_fini(&s->head);
	free(s->fields);
	s->fields = NULL;
	s->request = (struct http_request){0};
	s->lines = 0;
	s->last = 0;
	s->is_active = false;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	forget_request(s);
	buf_fini(&s->out);
	free(s);
}

const struct http_request *http_server_request(const struct http_server *s)
{
	must(s->is_active);
	return &s->request;
}

bool http_server_is_idle(const struct http_server *s)
{
	return !s->is_active && s->head.n == 0;
}

/* ---- time ---- */

static void deadline_in(struct http_server *s, uint64_t us)
{
	s->deadline_us = us ? s->now_us + us : 0;
	s->is_late = false;
}

static void begin_window(struct http_server *s)
{
	s->window_bytes = 0;
	deadline_in(s, s->service->limits.body_us);
}

void http_server_tick(struct http_server *s, uint64_t now_us)
{
	s->now_us = now_us;
	if (!s->has_begun) {
		s->has_begun = true;
		deadline_in(s, s->service->limits.head_us);
	}
	if (!s->deadline_us || now_us < s->deadline_us)
		return;
	if (s->is_active && s->window_bytes >= s->service->limits.body_least)
		begin_window(s);
	else
		s->is_late = true;
}

uint64_t http_server_deadline(const struct http_server *s)
{
	return s->is_over ? 0 : s->deadline_us;
}

/* ---- a head ---- */

/*
 * Appends one byte. OK: the head is complete. MORE: not yet. REFUSED: no byte of a head. Every CR stands before an LF and every LF
 * behind a CR.
 */
static enum rc head_byte(struct http_server *s, unsigned char c)
{
	unsigned char last = s->last;

	if ((last == '\r') != (c == '\n') || (c != '\r' && c != '\n' && !http_is_text(c)))
		return REFUSED;
	if (!buf_append_byte(&s->head, c))
		return REFUSED;
	s->last = c;
	if (c != '\n')
		return MORE;
	if (s->head.n == 2) { /* RFC 9112 s2.2: one empty line before a request is forgiven */
		buf_clear(&s->head);
		if (s->lines)
			return REFUSED;
		s->last = 0;
		s->lines = 1;
		return MORE;
	}
	s->lines++;
	return s->head.n >= 4 && memcmp(s->head.p + s->head.n - 4, "\r\n", 2) == 0 ? OK : MORE;
}

static enum http_step refuse(struct http_server *s, unsigned status, const char *why)
{
	http_refuse(s, status, why);
	s->deadline_us = 0;
	return HTTP_CLOSE;
}

static enum http_step take_request(struct http_server *s)
{
	const char *why = "";
	unsigned status;

	s->fields = must_alloc((s->lines + 1) * sizeof *s->fields);
	status = http_head_parse(s, &why);
	if (status)
		return refuse(s, status, why);
	s->requests++;
	s->is_active = true;
	s->answer = ANSWER_NONE;
	s->is_held = s->body_end_is_due = false;
	s->chunk_bytes = 0;
	s->trailer_bytes = 0;
	s->drained_bytes = 0;
	s->deadline_us = 0;
	return HTTP_REQUEST;
}

static enum http_step step_head(struct http_server *s, struct span *in)
{
	const struct http_limits *l = &s->service->limits;
	enum rc rc = MORE;

	if (in->n && s->head.n == 0 && s->lines == 0 && s->requests)
		deadline_in(s, l->head_us);
	while (in->n && rc == MORE) {
		if (s->head.n >= l->head_bytes || s->lines > l->fields + 2)
			return refuse(s, 431, "the request's head is too large");
		rc = head_byte(s, in->p[0]);
		*in = span_from(*in, 1);
	}
	if (rc == REFUSED)
		return refuse(s, 400, "a byte stands where HTTP has none");
	return rc == OK ? take_request(s) : HTTP_FEED;
}

/* ---- a body ---- */

void http_server_take_body(struct http_server *s)
{
	if (s->is_over || !s->is_active)
		return;
	if (s->body == BODY_DONE) {
		s->body_end_is_due = !s->request.has_body;
		return;
	}
	must(s->body == BODY_WAITS);
	s->body = BODY_TAKEN;
	if (s->expects && s->answer == ANSWER_NONE)
		(void)buf_append(&s->out, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
	s->expects = false;
	begin_window(s);
}

void http_server_hold_body(struct http_server *s, bool holds)
{
	if (s->is_held == holds)
		return;
	s->is_held = holds;
	if (holds)
		s->deadline_us = 0;
	else if (s->body == BODY_TAKEN)
		begin_window(s);
}

/* The request will not be completed. Nothing can follow it on this connection. */
static enum http_step lose(struct http_server *s, unsigned status, const char *why)
{
	if (s->answer == ANSWER_NONE)
		http_refuse(s, status, why);
	s->is_over = true;
	s->is_active = false;
	s->deadline_us = 0;
	return HTTP_LOST;
}

static enum http_step step_body(struct http_server *s, struct span *in, struct span *out_piece)
{
	enum rc rc;

	if (s->is_late)
		return lose(s, 408, "the request did not come in time");
	rc = http_body_take(s, in, out_piece);
	if (rc == REFUSED)
		return lose(s, 400, "the body's chunks are not as HTTP writes them");
	if (s->body == BODY_DONE) {
		s->body_end_is_due = true;
		s->deadline_us = 0;
	}
	if (rc == OK)
		return HTTP_PIECE;
	if (!s->body_end_is_due)
		return HTTP_FEED;
	s->body_end_is_due = false;
	return HTTP_BODY_END;
}

/* ---- behind a response ---- */

/* W6. True: the rest of the body has been read, or there was none. */
static bool read_over(struct http_server *s, struct span *in)
{
	struct span piece;

	if (s->body == BODY_WAITS || s->body == BODY_TAKEN) {
		s->body = BODY_OVER;
		begin_window(s);
	}
	while (s->body == BODY_OVER) {
		enum rc rc;

		if (s->drained_bytes > s->service->limits.drain_bytes || s->is_late) {
			s->is_over = true;
			return true;
		}
		piece = SPAN_NONE;
		rc = http_body_take(s, in, &piece);
		if (rc == REFUSED) {
			s->is_over = true;
			return true;
		}
		if (rc == MORE && s->body == BODY_OVER)
			return false;
		s->drained_bytes += piece.n;
	}
	return true;
}

static void next_request(struct http_server *s)
{
	forget_request(s);
	deadline_in(s, s->service->limits.idle_us);
	if (s->is_winding)
		s->is_over = true;
}

/* ---- the step ---- */

static enum http_step close_now(struct http_server *s, struct span *in)
{
	*in = SPAN_NONE;
	s->is_over = true;
	s->deadline_us = 0;
	return HTTP_CLOSE;
}

/* A request is at work. */
static enum http_step step_active(struct http_server *s, struct span *in, struct span *out_piece)
{
	if (s->body_end_is_due && !s->is_held) {
		s->body_end_is_due = false;
		return HTTP_BODY_END;
	}
	if (s->body == BODY_TAKEN && !s->is_held)
		return step_body(s, in, out_piece);
	return HTTP_WAIT;
}

enum http_step http_server_step(struct http_server *s, struct span *in, struct span *out_piece)
{
	while (!s->is_over) {
		if (s->is_active && s->answer != ANSWER_DONE)
			return step_active(s, in, out_piece);
		if (s->is_active) {
			if (s->closes)
				break;
			if (!read_over(s, in))
				return HTTP_FEED;
			if (!s->is_over)
				next_request(s);
			continue;
		}
		if (s->is_late && s->head.n == 0)
			break;
		if (s->is_late)
			return refuse(s, 408, "the request did not come in time");
		if (s->is_winding && s->head.n == 0)
			break;
		return step_head(s, in);
	}
	return close_now(s, in);
}

void http_server_wind_down(struct http_server *s)
{
	s->is_winding = true;
	if (s->is_active && s->answer == ANSWER_BEGUN)
		s->closes = true;
}
