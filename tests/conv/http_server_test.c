/*
 * The HTTP engine in scripted dialogues: each input goes in whole, byte by byte and in random cuts, and everything that comes of it
 * (requests, bodies, responses) must be the same (W1). H-13, H-15 (deadlines), H-11 (sizes), HEAD, Expect, pipelining.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "http/server.h"

static const struct http_service service = {
	.baseline = SPAN_LIT("X-Baseline: yes\r\nCache-Control: no-store\r\n"),
	.limits = {.head_us = 10000000,
		   .idle_us = 60000000,
		   .body_us = 5000000,
		   .body_least = 100,
		   .head_bytes = 4096,
		   .target_bytes = 1024,
		   .trailer_bytes = 512,
		   .fields = 20,
		   .drain_bytes = 1000,
		   .requests = 50},
};

/* A host that writes down what it is asked. Paths say how it behaves. */
struct host {
	struct http_server *s;
	struct buf log, out;
	bool is_over, is_asked;
	uint64_t now_us;
};

static bool path_is(const struct host *h, const char *path)
{
	return span_eq(http_server_request(h->s)->path, span_str(path));
}

static void answer(struct host *h, unsigned status, const char *body)
{
	http_server_answer(
		h->s, &(struct http_response){.status = status, .type = SPAN_LIT("text/plain")},
		span_str(body));
}

static void on_request(struct host *h)
{
	const struct http_request *r = http_server_request(h->s);

	(void)buf_printf(&h->log, "%.*s %.*s ?%.*s @%.*s %lld%s\n", SPAN_FMT(r->method),
			 SPAN_FMT(r->path), SPAN_FMT(r->query), SPAN_FMT(r->host),
			 (long long)r->bytes, r->is_11 ? "" : " 1.0");
	if (path_is(h, "/early")) {
		answer(h, 403, "no");
	} else if (path_is(h, "/wait")) {
		h->is_asked = true;
	} else if (path_is(h, "/chunked")) {
		http_server_respond(
			h->s, &(struct http_response){.status = 200, .bytes = HTTP_ANY_BYTES});
		http_server_send(h->s, SPAN_LIT("one"));
		http_server_send(h->s, SPAN_LIT("three"));
		http_server_end(h->s);
	} else if (path_is(h, "/broken")) {
		http_server_respond(h->s, &(struct http_response){.status = 200, .bytes = 10});
		http_server_send(h->s, SPAN_LIT("half"));
		http_server_break(h->s);
	} else if (path_is(h, "/none")) {
		http_server_answer(h->s, &(struct http_response){.status = 204}, SPAN_NONE);
	} else if (path_is(h, "/override")) {
		const struct http_field own = {SPAN_LIT("cache-control"), SPAN_LIT("no-cache")};

		http_server_answer(
			h->s, &(struct http_response){.status = 200, .fields = &own, .fields_n = 1},
			SPAN_NONE);
	} else {
		http_server_take_body(h->s);
	}
}

static void take_output(struct host *h)
{
	(void)buf_append(&h->out, http_server_output(h->s));
	http_server_sent(h->s);
}

/* What is left of in is not consumed. */
static void feed(struct host *h, struct span *in)
{
	struct span piece;

	http_server_tick(h->s, h->now_us);
	for (;;) {
		enum http_step step = http_server_step(h->s, in, &piece);

		take_output(h);
		if (step == HTTP_FEED) {
			assert_int_equal(in->n, 0);
			return;
		} else if (step == HTTP_WAIT) {
			return;
		} else if (step == HTTP_REQUEST) {
			on_request(h);
		} else if (step == HTTP_PIECE) {
			assert_true(piece.n > 0);
			(void)buf_append(&h->log, piece);
		} else if (step == HTTP_BODY_END) {
			(void)buf_append(&h->log, SPAN_LIT("|\n"));
			answer(h, 200, "fine");
		} else if (step == HTTP_LOST) {
			(void)buf_append(&h->log, SPAN_LIT("|lost\n"));
		} else {
			h->is_over = true;
			return;
		}
		take_output(h);
	}
}

static void begin(struct host *h)
{
	*h = (struct host){.s = http_server_new(&service), .now_us = 1000000};
	http_server_tick(h->s, h->now_us);
}

static void fini(struct host *h)
{
	http_server_free(h->s);
	buf_fini(&h->log);
	buf_fini(&h->out);
}

enum { WHOLE = 0, BYTES = 1 };

/* cut: WHOLE, BYTES, or the seed of random cuts. */
static void run_cut(struct host *h, struct span input, unsigned cut)
{
	unsigned seed = cut;
	struct buf waiting = {0};

	begin(h);
	while (input.n && !h->is_over) {
		size_t n = cut == WHOLE	  ? input.n
			   : cut == BYTES ? 1
					  : 1 + (size_t)rand_r(&seed) % 97;
		struct span in;

		(void)buf_append(&waiting, span_first(input, n));
		input = span_from(input, n);
		in = buf_span(&waiting);
		feed(h, &in);
		buf_drop(&waiting, waiting.n - in.n);
	}
	buf_fini(&waiting);
	if (h->is_over)
		(void)buf_append(&h->out, SPAN_LIT("(closed)"));
}

static void assert_same(struct span a, struct span b, const char *name)
{
	if (!span_eq(a, b))
		fail_msg("%s:\n%.*s\n--- and cut otherwise ---\n%.*s", name, SPAN_FMT(a),
			 SPAN_FMT(b));
}

struct row {
	const char *name, *in;
	const char *log;	/* all of it */
	const char *out[4];	/* each stands in the output, in this order */
	const char *not_in_out; /* NULL: nothing */
};

static void check_out(const struct row *r, struct span out)
{
	struct buf copy = {0};
	const char *at;

	(void)buf_append(&copy, out);
	at = buf_cstr(&copy);
	if (r->not_in_out)
		assert_null(strstr(at, r->not_in_out));
	for (size_t i = 0; i < 4 && r->out[i]; i++) {
		const char *next = strstr(at, r->out[i]);

		if (!next)
			fail_msg("%s: '%s' is missing in:\n%s", r->name, r->out[i],
				 buf_cstr(&copy));
		at = next + strlen(r->out[i]);
	}
	buf_fini(&copy);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct host whole, other;

		run_cut(&whole, span_str(rows[i].in), WHOLE);
		for (unsigned cut = BYTES; cut < 12; cut++) {
			run_cut(&other, span_str(rows[i].in), cut);
			assert_same(buf_span(&whole.log), buf_span(&other.log), rows[i].name);
			assert_same(buf_span(&whole.out), buf_span(&other.out), rows[i].name);
			fini(&other);
		}
		if (!span_eq(buf_span(&whole.log), span_str(rows[i].log)))
			fail_msg("%s: asked:\n%.*s", rows[i].name, SPAN_FMT(buf_span(&whole.log)));
		check_out(&rows[i], buf_span(&whole.out));
		fini(&whole);
	}
}

#define HOST	   "Host: mail.example\r\n"
#define ROWS(rows) run_rows(rows, sizeof rows / sizeof *rows)

static void test_requests(void **state)
{
	static const struct row rows[] = {
		{"get",
		 "GET / HTTP/1.1\r\n" HOST "\r\n",
		 "GET / ? @mail.example 0\n|\n",
		 {"HTTP/1.1 200 OK\r\n", "X-Baseline: yes\r\n", "Content-Length: 4\r\n",
		  "\r\nfine"},
		 "close"},
		{"query",
		 "GET /a%20b/?x=1&y=%41 HTTP/1.1\r\n" HOST "\r\n",
		 "GET /a%20b/ ?x=1&y=%41 @mail.example 0\n|\n",
		 {"200"},
		 NULL},
		{"absolute target",
		 "GET http://other.example:8080/x?y HTTP/1.1\r\n" HOST "\r\n",
		 "GET /x ?y @other.example:8080 0\n|\n",
		 {"200"},
		 NULL},
		{"absolute target without a path",
		 "GET HTTPS://other.example HTTP/1.1\r\n" HOST "\r\n",
		 "GET / ? @other.example 0\n|\n",
		 {"200"},
		 NULL},
		{"asterisk",
		 "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
		 "OPTIONS * ? @mail.example 0\n|\n",
		 {"200"},
		 NULL},
		{"head",
		 "HEAD /x HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n",
		 "HEAD /x ? @mail.example 0\n|\nGET /none ? @mail.example 0\n",
		 {"Content-Length: 4\r\n\r\nHTTP/1.1 204 No Content\r\n"},
		 "fine"},
		{"one empty line before",
		 "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		 "GET / ? @mail.example 0\n|\n",
		 {"200"},
		 NULL},
		{"an empty line between",
		 "GET / HTTP/1.1\r\n" HOST "\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
		 "GET / ? @mail.example 0\n|\nGET /2 ? @mail.example 0\n|\n",
		 {"200", "200"},
		 NULL},
		{"http 1.0",
		 "GET / HTTP/1.0\r\n\r\n",
		 "GET / ? @ 0 1.0\n|\n",
		 {"200", "Connection: close", "fine(closed)"},
		 NULL},
		{"http 1.0, chunks are not for it",
		 "GET /chunked HTTP/1.0\r\n\r\n",
		 "GET /chunked ? @ 0 1.0\n",
		 {"Connection: close\r\n\r\nonethree(closed)"},
		 "Transfer"},
		{"close",
		 "GET / HTTP/1.1\r\n" HOST
		 "Connection: keep-alive, Close\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
		 "GET / ? @mail.example 0\n|\n",
		 {"Connection: close", "fine(closed)"},
		 NULL},
		{"pipelined",
		 "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST
		 "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n" HOST "\r\n",
		 "GET /1 ? @mail.example 0\n|\nPOST /2 ? @mail.example 3\nabc|\nGET /3 ? "
		 "@mail.example 0\n|\n",
		 {"200", "200", "200"},
		 "closed"},
		{"chunked answer",
		 "GET /chunked HTTP/1.1\r\n" HOST "\r\n",
		 "GET /chunked ? @mail.example 0\n",
		 {"Transfer-Encoding: chunked\r\n", "\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"},
		 "Content-Length"},
		{"broken answer",
		 "GET /broken HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		 "GET /broken ? @mail.example 0\n",
		 {"Content-Length: 10\r\n", "half(closed)"},
		 NULL},
		{"a field of the answer replaces the baseline's",
		 "GET /override HTTP/1.1\r\n" HOST "\r\n",
		 "GET /override ? @mail.example 0\n",
		 {"X-Baseline", "cache-control: no-cache"},
		 "no-store"},
	};

	(void)state;
	ROWS(rows);
}

static void test_bodies(void **state)
{
	static const struct row rows[] = {
		{"length",
		 "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
		 "POST / ? @mail.example 5\nhello|\n",
		 {"200"},
		 NULL},
		{"length 0",
		 "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
		 "POST / ? @mail.example 0\n|\n",
		 {"200"},
		 NULL},
		{"chunks",
		 "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: "
		 "Chunked\r\n\r\n3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
		 "POST / ? @mail.example -1\nabc0123456789|\n",
		 {"200"},
		 NULL},
		{"no chunk at all",
		 "POST / HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
		 "POST / ? @mail.example -1\n|\nGET /2 ? @mail.example 0\n|\n",
		 {"200", "200"},
		 NULL},
		{"trailers",
		 "POST / HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: "
		 "99\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
		 "POST / ? @mail.example -1\na|\nGET /2 ? @mail.example 0\n|\n",
		 {"200", "200"},
		 NULL},
		{"continue",
		 "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nhi",
		 "POST / ? @mail.example 2\nhi|\n",
		 {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"},
		 NULL},
		{"continue without a body",
		 "GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n",
		 "GET / ? @mail.example 0\n|\n",
		 {"HTTP/1.1 200"},
		 "100 Continue"},
		{"refused while it waits for continue: what follows may be a body or not",
		 "POST /early HTTP/1.1\r\n" HOST
		 "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		 "POST /early ? @mail.example 2\n",
		 {"403", "Connection: close", "no(closed)"},
		 "100 Continue"},
		{"another expectation",
		 "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: magic\r\n\r\n",
		 "",
		 {"417", "X-Baseline", "Connection: close", "(closed)"},
		 NULL},
		{"a short body is read over",
		 "POST /early HTTP/1.1\r\n" HOST
		 "Content-Length: 5\r\n\r\nGET /GET /2 HTTP/1.1\r\n" HOST "\r\n",
		 "POST /early ? @mail.example 5\nGET /2 ? @mail.example 0\n|\n",
		 {"403", "200"},
		 "closed"},
		{"so are chunks",
		 "POST /early HTTP/1.1\r\n" HOST
		 "Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" HOST
		 "\r\n",
		 "POST /early ? @mail.example -1\nGET /2 ? @mail.example 0\n|\n",
		 {"403", "200"},
		 "closed"},
		{"a long one is not",
		 "POST /early HTTP/1.1\r\n" HOST
		 "Content-Length: 50000\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		 "POST /early ? @mail.example 50000\n",
		 {"403", "Connection: close", "no(closed)"},
		 NULL},
	};

	(void)state;
	ROWS(rows);
}

#define POST	 "POST / HTTP/1.1\r\n" HOST
#define CHUNKED	 POST "Transfer-Encoding: chunked\r\n\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

/* H-13: 400 and the connection ends; what comes behind is never a request. */
static void test_h13_smuggling(void **state)
{
	static const char *const heads[] = {
		POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		POST "Content-Length: 5, 5\r\n\r\nhello",
		POST "Content-Length: +5\r\n\r\nhello",
		POST "Content-Length: -5\r\n\r\nhello",
		POST "Content-Length: 0x5\r\n\r\nhello",
		POST "Content-Length: 5 5\r\n\r\nhello",
		POST "Content-Length: \r\n\r\nhello",
		POST "Content-Length: 99999999999999999999\r\n\r\nhello",
		POST "Content-Length : 5\r\n\r\nhello",
		POST " Content-Length: 5\r\n\r\nhello",
		POST "Content-Length\t: 5\r\n\r\nhello",
		POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding:\x0b"
		     "chunked\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n",
		POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		POST "X: a\r\n b\r\n\r\n",
		POST "X: a\r\n\tb\r\n\r\n",
		"POST / HTTP/1.1\n" HOST "\r\n",
		POST "X: a\nContent-Length: 5\r\n\r\nhello",
		POST "X: a\rContent-Length: 5\r\n\r\nhello",
		POST "X: a\r\r\n\r\n",
		POST "X: a\x01\r\n\r\n",
		POST "X: a\x7f\r\n\r\n",
		POST ": a\r\n\r\n",
		POST "X\r\n\r\n",
		POST "X Y: a\r\n\r\n",
		POST "X(Y): a\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST HOST "\r\n",
		"GET / HTTP/1.1\r\nHost: \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: user@mail.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: mail.example/x\r\n\r\n",
		"GET http://user@evil/ HTTP/1.1\r\n" HOST "\r\n",
		"GET http:///x HTTP/1.1\r\nHost: a,b\r\n\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET /  HTTP/1.1\r\n" HOST "\r\n",
		"GET /\tHTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		" GET / HTTP/1.1\r\n" HOST "\r\n",
		"GET /\r\n" HOST "\r\n",
		"GET / http/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.10\r\n" HOST "\r\n",
		"GET / HTTP/11\r\n" HOST "\r\n",
		"G@T / HTTP/1.1\r\n" HOST "\r\n",
		"GET mail.example:443 HTTP/1.1\r\n" HOST "\r\n",
		"GET * HTTP/1.1\r\n" HOST "\r\n",
		"GET /a/../b HTTP/1.1\r\n" HOST "\r\n",
		"GET /a/.%2E/b HTTP/1.1\r\n" HOST "\r\n",
		"GET /%2e%2e HTTP/1.1\r\n" HOST "\r\n",
		"GET /./b HTTP/1.1\r\n" HOST "\r\n",
		"GET /%00 HTTP/1.1\r\n" HOST "\r\n",
		"GET /%4 HTTP/1.1\r\n" HOST "\r\n",
		"GET /%zz HTTP/1.1\r\n" HOST "\r\n",
		"GET /a\\b HTTP/1.1\r\n" HOST "\r\n",
		"GET /a#b HTTP/1.1\r\n" HOST "\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
		"GET /?\"<> HTTP/1.1\r\n" HOST "\r\n",
		POST "Cookie: a=1\r\nCookie: b=2\r\n\r\n",
		POST "Authorization: Basic eDp5\r\nAuthorization: Basic eDp6\r\n\r\n",
		POST "Origin: https://a\r\nOrigin: https://b\r\n\r\n",
		CHUNKED "5\nhello\r\n0\r\n\r\n",
		CHUNKED "5\r\nhelloX0\r\n\r\n",
		CHUNKED "5\r\nhello\n0\r\n\r\n",
		CHUNKED "\r\nhello\r\n0\r\n\r\n",
		CHUNKED "0x5\r\nhello\r\n0\r\n\r\n",
		CHUNKED " 5\r\nhello\r\n0\r\n\r\n",
		CHUNKED "5 \r\nhello\r\n0\r\n\r\n",
		CHUNKED "-5\r\nhello\r\n0\r\n\r\n",
		CHUNKED "5\r\nhello\r\n0\r\n\r",
		CHUNKED "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
		CHUNKED "10000000000000000\r\nhello\r\n0\r\n\r\n",
		CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n",
		CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n",
		CHUNKED "5;\r\rhello\r\n0\r\n\r\n",
		CHUNKED "0\r\nX : y\r\n\r\n",
		CHUNKED "0\r\n folded\r\n\r\n",
		CHUNKED "0\r\nX: y\n\r\n",
		CHUNKED "0\r\n: y\r\n\r\n",
		CHUNKED "0\r\nX\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct host whole, other;
		struct buf in = {0};

		(void)buf_printf(&in, "%s" SMUGGLED, heads[i]);
		run_cut(&whole, buf_span(&in), WHOLE);
		if (!span_starts(buf_span(&whole.out), SPAN_LIT("HTTP/1.1 400 ")) || !whole.is_over)
			fail_msg("%s gave %.*s%.*s", heads[i], SPAN_FMT(buf_span(&whole.log)),
				 SPAN_FMT(buf_span(&whole.out)));
		(void)buf_append_byte(&whole.log, 0);
		assert_null(strstr((char *)whole.log.p, "smuggled"));
		assert_non_null(strstr(buf_cstr(&whole.out), "X-Baseline: yes\r\n"));
		assert_non_null(strstr(buf_cstr(&whole.out), "Connection: close\r\n"));
		whole.log.n--;
		for (unsigned cut = BYTES; cut < 8; cut++) {
			run_cut(&other, buf_span(&in), cut);
			assert_same(buf_span(&whole.log), buf_span(&other.log), heads[i]);
			assert_same(buf_span(&whole.out), buf_span(&other.out), heads[i]);
			fini(&other);
		}
		fini(&whole);
		buf_fini(&in);
	}
}

static void test_versions_and_methods(void **state)
{
	static const struct row rows[] = {
		{"2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", {"HTTP/1.1 505", "(closed)"}, NULL},
		{"1.2 is 1.1",
		 "GET / HTTP/1.2\r\n" HOST "\r\n",
		 "GET / ? @mail.example 0\n|\n",
		 {"200"},
		 NULL},
		{"connect",
		 "CONNECT mail.example:443 HTTP/1.1\r\n" HOST "\r\n",
		 "",
		 {"501", "(closed)"},
		 NULL},
		{"trace", "TRACE / HTTP/1.1\r\n" HOST "\r\n", "", {"501", "(closed)"}, NULL},
		{"a TLS greeting", "\x16\x03\x01\x02", "", {"400", "(closed)"}, NULL},
	};

	(void)state;
	ROWS(rows);
}

/* H-11, H-13: what is endless is cut off, and how it is cut changes nothing. */
static void endless(const char *begin_with, const char *again, size_t bytes, const char *status)
{
	struct host whole, other;
	struct buf in = {0};

	(void)buf_append(&in, span_str(begin_with));
	while (in.n < bytes)
		(void)buf_append(&in, span_str(again));
	run_cut(&whole, buf_span(&in), WHOLE);
	assert_true(whole.is_over);
	if (!span_starts(buf_span(&whole.out), span_str(status)))
		fail_msg("%s: %.*s", begin_with, SPAN_FMT(buf_span(&whole.out)));
	run_cut(&other, buf_span(&in), 7);
	assert_same(buf_span(&whole.out), buf_span(&other.out), begin_with);
	fini(&whole);
	fini(&other);
	buf_fini(&in);
}

static void test_limits(void **state)
{
	(void)state;
	endless("GET /", "a", 100000, "HTTP/1.1 431");
	endless("GET / HTTP/1.1\r\n", "X: y\r\n", 100000, "HTTP/1.1 431");
	endless("GET / HTTP/1.1\r\nX: ", "y", 100000, "HTTP/1.1 431");
	endless(CHUNKED "0\r\n", "X: y\r\n", 1 << 20, "HTTP/1.1 400"); /* H-13: 1 MiB of trailers */
	endless(CHUNKED "0\r\nX: ", "y", 1 << 20, "HTTP/1.1 400");
	endless(CHUNKED "1;", "y", 100000, "HTTP/1.1 400");
	endless(CHUNKED "0", "0", 100000, "HTTP/1.1 400");
}

static void test_target_too_long(void **state)
{
	struct host h;
	struct buf in = {0};

	(void)state;
	(void)buf_append(&in, SPAN_LIT("GET /"));
	for (size_t i = 0; i < 1030; i++)
		(void)buf_append_byte(&in, 'a');
	(void)buf_append(&in, SPAN_LIT(" HTTP/1.1\r\n" HOST "\r\n"));
	run_cut(&h, buf_span(&in), WHOLE);
	assert_true(span_starts(buf_span(&h.out), SPAN_LIT("HTTP/1.1 414")));
	fini(&h);
	buf_fini(&in);
}

/* ---- time ---- */

static void say_in(struct host *h, const char *text)
{
	struct span in = span_str(text);

	feed(h, &in);
	assert_true(in.n == 0 || h->is_over);
}

static bool has(struct host *h, const char *text)
{
	return strstr(buf_cstr(&h->out), text) != NULL;
}

/* H-15: single bytes do not move a head's deadline. */
static void test_h15_slow_head(void **state)
{
	struct host h;
	const char *head = "GET / HTTP/1.1\r\nHost: mail.example\r\nX-Slow: ";

	(void)state;
	begin(&h);
	for (size_t i = 0; !h.is_over; i++) {
		char c[2] = {i < strlen(head) ? head[i] : 'x', 0};

		assert_true(i < 20);
		h.now_us += 900000;
		say_in(&h, c);
	}
	assert_true(h.now_us <= 12000000);
	assert_true(has(&h, "HTTP/1.1 408"));
	fini(&h);
}

static void test_silent_clients(void **state)
{
	struct host h;

	(void)state;
	begin(&h); /* nothing at all: closed without a word */
	h.now_us += 10000001;
	say_in(&h, "");
	assert_true(h.is_over && h.out.n == 0);
	fini(&h);

	begin(&h); /* idle between requests: longer, and without a word */
	say_in(&h, "GET /none HTTP/1.1\r\n" HOST "\r\n");
	buf_clear(&h.out);
	h.now_us += 59000000;
	say_in(&h, "");
	assert_false(h.is_over);
	h.now_us += 1000001;
	say_in(&h, "");
	assert_true(h.is_over && h.out.n == 0);
	fini(&h);

	begin(&h); /* the second head has the deadline of a head, not of idleness */
	say_in(&h, "GET /none HTTP/1.1\r\n" HOST "\r\n");
	h.now_us += 50000000;
	say_in(&h, "G");
	assert_true(http_server_deadline(h.s) == h.now_us + 10000000);
	fini(&h);
}

static void test_slow_body(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	say_in(&h, POST "Content-Length: 1000000\r\n\r\n");
	for (unsigned i = 0; i < 10; i++) { /* 100 bytes in 5 s are enough */
		char piece[101];

		memset(piece, 'x', 100);
		piece[100] = 0;
		h.now_us += 4900000;
		say_in(&h, piece);
		assert_false(h.is_over);
	}
	for (unsigned i = 0; i < 12 && !h.is_over; i++) { /* a byte a second is not */
		h.now_us += 1000000;
		say_in(&h, "x");
	}
	assert_true(h.is_over && has(&h, "HTTP/1.1 408"));
	(void)buf_append_byte(&h.log, 0);
	assert_non_null(strstr((char *)h.log.p, "|lost"));
	fini(&h);
}

/* While the host has its turn nobody is late. */
static void test_host_takes_its_time(void **state)
{
	struct host h;
	struct span in = SPAN_LIT("GET /2 HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	begin(&h);
	say_in(&h, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
	assert_true(h.is_asked && http_server_deadline(h.s) == 0);
	h.now_us += 3600000000ull;
	feed(&h, &in); /* pipelined: not consumed before the answer */
	assert_int_equal(in.n, strlen("GET /2 HTTP/1.1\r\n" HOST "\r\n"));
	answer(&h, 200, "at last");
	feed(&h, &in);
	assert_true(in.n == 0 && has(&h, "at last") && has(&h, "fine"));
	fini(&h);
}

static void test_held_body(void **state)
{
	struct host h;
	struct span in, piece;

	(void)state;
	begin(&h);
	in = SPAN_LIT(POST "Content-Length: 6\r\n\r\n");
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_REQUEST);
	http_server_take_body(h.s);
	in = SPAN_LIT("abc");
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_PIECE);
	assert_int_equal(in.n, 0);
	http_server_hold_body(h.s, true);
	in = SPAN_LIT("def");
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_WAIT);
	assert_int_equal(in.n, 3);
	assert_true(http_server_deadline(h.s) == 0);
	http_server_hold_body(h.s, false);
	assert_true(http_server_deadline(h.s) != 0);
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_PIECE);
	http_server_hold_body(h.s, true);
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_WAIT);
	http_server_hold_body(h.s, false);
	assert_int_equal(http_server_step(h.s, &in, &piece), HTTP_BODY_END);
	fini(&h);
}

static void test_wind_down(void **state)
{
	struct host h;

	(void)state;
	begin(&h); /* idle: at once */
	http_server_wind_down(h.s);
	say_in(&h, "");
	assert_true(h.is_over && h.out.n == 0);
	fini(&h);

	begin(&h); /* at work: behind the response, which says so */
	say_in(&h, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
	http_server_wind_down(h.s);
	say_in(&h, "");
	assert_false(h.is_over);
	answer(&h, 200, "last");
	say_in(&h, "");
	assert_true(h.is_over && has(&h, "Connection: close") && has(&h, "last"));
	fini(&h);
}

static void test_many_requests(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	for (unsigned i = 0; i < 50; i++) {
		assert_false(h.is_over);
		say_in(&h, "GET /none HTTP/1.1\r\n" HOST "\r\n");
	}
	assert_true(h.is_over && has(&h, "Connection: close"));
	fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),      cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_h13_smuggling), cmocka_unit_test(test_versions_and_methods),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_target_too_long),
		cmocka_unit_test(test_h15_slow_head), cmocka_unit_test(test_silent_clients),
		cmocka_unit_test(test_slow_body),     cmocka_unit_test(test_host_takes_its_time),
		cmocka_unit_test(test_held_body),     cmocka_unit_test(test_wind_down),
		cmocka_unit_test(test_many_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
