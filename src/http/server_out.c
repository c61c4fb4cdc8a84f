/* Responses: the head with the baseline (W3), bodies with a length or in chunks, and what the engine answers by itself. */
#include <stdio.h>

#include "base/must.h"
#include "http/fields.h"
#include "http/internal.h"

static void put(struct http_server *s, struct span bytes)
{
	(void)buf_append(&s->out, bytes);
}

static bool is_said(const struct http_response *r, struct span name)
{
	for (size_t i = 0; i < r->fields_n; i++) {
		if (span_eq_nocase(r->fields[i].name, name))
			return true;
	}
	return false;
}

static void put_baseline(struct http_server *s, const struct http_response *r)
{
	struct span rest = s->service->baseline;

	while (rest.n) {
		struct span line = span_cut(&rest, '\n'), name_rest = line;
		struct span name = span_cut(&name_rest, ':');

		if (is_said(r, name))
			continue;
		put(s, line);
		put(s, SPAN_LIT("\n"));
	}
}

static bool is_one_line(struct span s)
{
	return span_chr(s, '\r') < 0 && span_chr(s, '\n') < 0 && span_chr(s, 0) < 0;
}

static void put_fields(struct http_server *s, const struct http_response *r)
{
	must(is_one_line(r->type));
	if (r->type.n)
		(void)buf_printf(&s->out, "Content-Type: %.*s\r\n", SPAN_FMT(r->type));
	for (size_t i = 0; i < r->fields_n; i++) {
		const struct http_field *f = &r->fields[i];

		must(is_one_line(f->name) && is_one_line(f->value));
		put(s, f->name);
		put(s, SPAN_LIT(": "));
		put(s, f->value);
		put(s, SPAN_LIT("\r\n"));
	}
}

/* How the body's end is told (RFC 9112 s6.3). */
static void put_length(struct http_server *s, const struct http_response *r)
{
	bool has_none = r->status == 204 || r->status == 304;

	s->is_mute = s->request.is_head || has_none;
	s->has_length = r->bytes != HTTP_ANY_BYTES;
	s->owed_bytes = s->has_length ? (uint64_t)r->bytes : 0;
	s->is_chunking = false;
	if (has_none)
		return;
	if (s->has_length) {
		(void)buf_printf(&s->out, "Content-Length: %lld\r\n", (long long)r->bytes);
	} else if (s->request.is_11) {
		s->is_chunking = true;
		put(s, SPAN_LIT("Transfer-Encoding: chunked\r\n"));
	}
}

/* W6: what would come after this response must not be taken for a request. */
static bool must_close(const struct http_server *s)
{
	const struct http_limits *l = &s->service->limits;

	if (s->closes || s->is_winding || (l->requests && s->requests >= l->requests))
		return true;
	if (s->body == BODY_DONE || s->body == BODY_TAKEN)
		return false;
	return s->expects || (!s->is_chunked && s->left > l->drain_bytes);
}

static void put_head(struct http_server *s, const struct http_response *r)
{
	(void)buf_printf(&s->out, "HTTP/1.1 %u %s\r\n", r->status, http_reason(r->status));
	if (s->service->date)
		(void)buf_printf(&s->out, "Date: %s\r\n", s->service->date);
	put_baseline(s, r);
	put_fields(s, r);
	put_length(s, r);
	s->closes = r->closes || must_close(s);
	if (s->closes)
		put(s, SPAN_LIT("Connection: close\r\n"));
	put(s, SPAN_LIT("\r\n"));
}

void http_server_respond(struct http_server *s, const struct http_response *r)
{
	if (s->is_over || !s->is_active)
		return;
	must(s->answer == ANSWER_NONE && r->status >= 200 && r->status <= 599);
	s->answer = ANSWER_BEGUN;
	put_head(s, r);
}

void http_server_send(struct http_server *s, struct span bytes)
{
	if (s->is_over || !s->is_active || !bytes.n)
		return;
	must(s->answer == ANSWER_BEGUN);
	if (s->has_length) {
		must(bytes.n <= s->owed_bytes);
		s->owed_bytes -= bytes.n;
	}
	if (s->is_mute)
		return;
	if (s->is_chunking)
		(void)buf_printf(&s->out, "%zx\r\n", bytes.n);
	put(s, bytes);
	if (s->is_chunking)
		put(s, SPAN_LIT("\r\n"));
}

void http_server_end(struct http_server *s)
{
	if (s->is_over || !s->is_active)
		return;
	must(s->answer == ANSWER_BEGUN);
	s->answer = ANSWER_DONE;
	if (s->is_chunking && !s->is_mute)
		put(s, SPAN_LIT("0\r\n\r\n"));
	if ((s->owed_bytes && !s->is_mute) || (!s->has_length && !s->is_chunking && !s->is_mute))
		s->closes = true;
}

void http_server_break(struct http_server *s)
{
	if (s->is_active)
		s->is_over = true;
}

void http_server_answer(struct http_server *s, const struct http_response *r, struct span body)
{
	struct http_response whole = *r;

	whole.bytes = (int64_t)body.n;
	http_server_respond(s, &whole);
	http_server_send(s, body);
	http_server_end(s);
}

void http_refuse(struct http_server *s, unsigned status, const char *why)
{
	struct http_response r = {
		.status = status, .type = SPAN_LIT("application/problem+json"), .closes = true};
	char body[256];

	(void)snprintf(body, sizeof body,
		       "{\"type\":\"about:blank\",\"status\":%u,\"title\":\"%s\"}", status, why);
	s->answer = ANSWER_NONE;
	s->is_active = true;
	s->body = BODY_DONE;
	http_server_answer(s, &r, span_str(body));
	s->is_over = true;
	s->is_active = false;
}

struct span http_server_output(const struct http_server *s)
{
	return buf_span(&s->out);
}

void http_server_sent(struct http_server *s)
{
	buf_fini(&s->out);
}
