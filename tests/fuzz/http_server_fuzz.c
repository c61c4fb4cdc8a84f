/*
 * HTTP engine: the same bytes cut in two ways give the same requests, bodies and responses (W1), every response has the baseline
 * (W3), and behind what was malformed nothing is a request (W2). The first byte says how they are cut and how the host behaves.
 */
#include <stdint.h>

#include "base/must.h"
#include "http/fields.h"
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_service service = {
	.baseline = SPAN_LIT("X-Baseline: yes\r\n"),
	.limits = {.head_us = 10,
		   .idle_us = 10,
		   .body_us = 10,
		   .body_least = 10,
		   .head_bytes = 1024,
		   .target_bytes = 256,
		   .trailer_bytes = 128,
		   .fields = 16,
		   .drain_bytes = 64,
		   .requests = 20},
};

struct rig {
	struct http_server *s;
	struct buf log, out;
	unsigned how, responses;
	bool is_closed;
};

static void look(const struct http_request *r, struct buf *log)
{
	struct span field = http_request_field(r, "cookie"), name, value, query = r->query;
	struct http_range range;
	struct buf text = {0};

	must(r->path.n > 0 && (r->path.p[0] == '/' || span_eq(r->path, SPAN_LIT("*"))));
	must(!r->is_11 || r->host.n > 0);
	(void)http_cookie_find(field, "a", &value);
	(void)http_accepts_gzip(http_request_field(r, "accept-encoding"));
	(void)http_tag_matches(http_request_field(r, "if-none-match"), SPAN_LIT("\"a\""));
	if (http_range_parse(http_request_field(r, "range"), 100, &range) == OK)
		must(range.bytes > 0 && range.first + range.bytes <= 100);
	while (http_query_next(&query, &name, &value)) {
		if (!http_decode(&text, name, true))
			must(text.n == 0);
		buf_clear(&text);
		http_disposition(&text, value);
		must(span_chr(buf_span(&text), '\r') < 0 && span_chr(buf_span(&text), '\n') < 0);
		buf_clear(&text);
	}
	must(http_decode(&text, r->path, false)); /* escapes of a path are well-formed */
	(void)buf_append(log, r->method);
	(void)buf_append(log, r->path);
	buf_fini(&text);
}

static void answer(struct rig *r, bool in_chunks)
{
	struct http_response a = {
		.status = 200, .type = SPAN_LIT("text/plain"), .bytes = HTTP_ANY_BYTES};

	r->responses++;
	if (!in_chunks) {
		http_server_answer(r->s, &a, SPAN_LIT("fine"));
		return;
	}
	http_server_respond(r->s, &a);
	http_server_send(r->s, SPAN_LIT("fi"));
	http_server_send(r->s, SPAN_LIT("ne"));
	http_server_end(r->s);
}

static void step(struct rig *r, struct span *in, bool *goes_on)
{
	struct span piece;

	*goes_on = true;
	switch (http_server_step(r->s, in, &piece)) {
	case HTTP_FEED:
		must(in->n == 0);
		*goes_on = false;
		break;
	case HTTP_WAIT:
		must_never("this host answers at once");
	case HTTP_REQUEST:
		look(http_server_request(r->s), &r->log);
		if (r->how & 1)
			http_server_take_body(r->s);
		else
			answer(r, r->how & 2);
		break;
	case HTTP_PIECE:
		must(piece.n > 0);
		(void)buf_append(&r->log, piece);
		break;
	case HTTP_BODY_END:
		(void)buf_append(&r->log, SPAN_LIT("|"));
		answer(r, r->how & 2);
		break;
	case HTTP_LOST:
		(void)buf_append(&r->log, SPAN_LIT("#"));
		break;
	case HTTP_CLOSE:
		*goes_on = false;
		r->is_closed = true;
		break;
	}
	(void)buf_append(&r->out, http_server_output(r->s));
	http_server_sent(r->s);
}

static void play(struct rig *r, unsigned how, struct span bytes, size_t by)
{
	*r = (struct rig){.s = http_server_new(&service), .how = how};
	http_server_tick(r->s, 1);
	while (bytes.n && !r->is_closed) {
		struct span in = span_first(bytes, by ? by : bytes.n);
		bool goes_on = true;

		bytes = span_from(bytes, in.n);
		while (goes_on)
			step(r, &in, &goes_on);
	}
	for (uint64_t at = 20; !r->is_closed; at += 20) { /* nothing more comes */
		struct span none = SPAN_NONE;
		bool goes_on = true;

		must(at < 1000);
		http_server_tick(r->s, at);
		while (goes_on)
			step(r, &none, &goes_on);
	}
	http_server_free(r->s);
}

static void check_baseline(struct span out)
{
	while (out.n) {
		struct span line = span_cut(&out, '\n');

		if (span_starts(line, SPAN_LIT("HTTP/1.1 ")) &&
		    !span_starts(line, SPAN_LIT("HTTP/1.1 100 ")))
			must(span_starts(out, SPAN_LIT("X-Baseline: yes\r\n")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig a, b;
	struct span bytes;

	if (size < 1 || size > 64 << 10)
		return 0;
	bytes = span_of(data + 1, size - 1);
	play(&a, data[0], bytes, 0);
	play(&b, data[0], bytes, 1 + (data[0] >> 3));
	must(span_eq(buf_span(&a.log), buf_span(&b.log)));
	must(span_eq(buf_span(&a.out), buf_span(&b.out)));
	check_baseline(buf_span(&a.out));
	buf_fini(&a.log);
	buf_fini(&a.out);
	buf_fini(&b.log);
	buf_fini(&b.out);
	return 0;
}
