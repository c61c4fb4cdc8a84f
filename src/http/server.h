/*
 * One HTTP/1.1 connection from the server's side (RFC 9110, 9112), as a pure machine: bytes and times in; requests,
 * pieces of bodies, responses and a deadline out. No socket, no clock; memory bounded. The host drives it:
 *
 *   http_server_tick(s, now);
 *   for (;;)
 *           switch (http_server_step(s, &in, &piece)) { ... }
 *
 * sends what http_server_output gives, and answers each request, at once or later. One request at a time: what a client
 * sends ahead (pipelining) stays in the input, not consumed, until the response before it has ended.
 *
 *   W1  Any split of the same input gives the same requests, pieces (put together) and responses.
 *   W2  Nothing is repaired by guess. Two lengths, a length and chunks, another coding than "chunked" once, bare CR or LF,
 *       folded fields, space before a colon, a size that is no number, a second one of what may be there once: 400, and
 *       the connection ends (H-13). So nobody in front of us can see another end of a request than we do.
 *   W3  Every response has the service's baseline fields, those that this engine makes itself, too (H-23).
 *   W4  Nothing is allocated because a length was announced. A body passes through in pieces.
 *   W5  Every state in which it is the client's turn has a deadline that single bytes do not move (H-15): a head must be
 *       complete in head_us, a body must bring body_least bytes in each body_us.
 *   W6  After a response that ended before its request's body did, the rest is read over when it is small, or the
 *       connection ends; it is never taken for a request.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"

struct http_server;

struct http_limits {
	uint64_t
		head_us; /* from the connection's beginning, or a head's first byte, to the head's end */
	uint64_t idle_us; /* between requests */
	uint64_t body_us; /* in which body_least bytes of a body must come */
	uint64_t body_least;
	size_t head_bytes; /* of request line and fields */
	size_t target_bytes;
	size_t trailer_bytes;
	unsigned fields;
	uint64_t drain_bytes; /* W6: what is read over at most */
	unsigned requests;    /* on one connection; 0: any number */
};

/* Borrowed by every connection; may be shared. */
struct http_service {
	/* Whole lines, each with CRLF. A response's field of the same name replaces the line here. */
	struct span baseline;
	const char *
		date; /* of now, "Sun, 06 Nov 1994 08:49:37 GMT"; the host keeps it so. NULL: no Date */
	struct http_limits limits;
};

struct http_field {
	struct span name, value; /* value: without the white space at its ends */
};

enum { HTTP_ANY_BYTES = -1 };

struct http_request {
	struct span method; /* "GET"; a token */
	struct span target; /* as it came; origin form: begins with "/" ("*" for OPTIONS) */
	struct span
		path; /* of the target, not decoded; %XX are well-formed, no "." or ".." among its parts */
	struct span query; /* behind the "?" */
	struct span host;  /* of Host, or of an absolute target */
	const struct http_field *fields;
	size_t fields_n;
	bool is_11; /* false: HTTP/1.0 */
	bool is_head;
	bool has_body; /* a length other than 0, or chunks */
	int64_t bytes; /* of the body; HTTP_ANY_BYTES: chunks */
};

enum http_step {
	HTTP_FEED, /* all input is consumed: more bytes, or a tick */
	HTTP_WAIT, /* it is the host's turn: respond, send, end, or take the body; input is not consumed */
	HTTP_REQUEST, /* a head is complete: http_server_request. Then http_server_respond or _take_body, in any order */
	HTTP_PIECE,    /* a piece of the body asked for; dies with the input it came from */
	HTTP_BODY_END, /* the body is complete */
	HTTP_LOST, /* the request will not be completed (malformed body, too slow, ended): forget it. When nothing was
			 * responded yet the engine does so itself; what the host says of it further is dropped */
	HTTP_CLOSE, /* send the output, then close */
};

/* Borrows service for its life. */
struct http_server *http_server_new(const struct http_service *service);
void http_server_free(struct http_server *s); /* accepts NULL */
void http_server_serve(struct http_server *s,
		       const struct http_service *service); /* another one from now on */

enum http_step http_server_step(struct http_server *s, struct span *in,
				struct span *out_piece) MUST_USE;

/* From HTTP_REQUEST until its response has ended or HTTP_LOST. */
const struct http_request *http_server_request(const struct http_server *s);
/* The value of the first field of this name (any case); SPAN_NONE: there is none. */
struct span http_request_field(const struct http_request *r, const char *name);
/* How often it is there. */
size_t http_request_count(const struct http_request *r, const char *name);

/* The host wants the body: HTTP_PIECE follow (behind 100 Continue where the client waits for it), or at once HTTP_BODY_END. */
void http_server_take_body(struct http_server *s);
/* No pieces for now (true), or again (false); while held the client has no deadline. */
void http_server_hold_body(struct http_server *s, bool holds);

struct http_response {
	unsigned status;
	struct span type; /* Content-Type; "": none */
	const struct http_field
		*fields; /* further ones; names and values as they are to stand there: no CR, LF */
	size_t fields_n;
	int64_t bytes; /* of the body; HTTP_ANY_BYTES: in chunks (or until the end, to HTTP/1.0) */
	bool closes;   /* the connection ends behind it */
};
/* The head of the response; once. Body by _send, then _end. To HEAD, with 204 and 304 what is sent is dropped. */
void http_server_respond(struct http_server *s, const struct http_response *r);
void http_server_send(struct http_server *s, struct span bytes);
/* Fewer bytes than announced: the connection ends. */
void http_server_end(struct http_server *s);
/* The response cannot be finished: the connection ends, and the client sees that it is not complete. */
void http_server_break(struct http_server *s);
/* The three in one: a response with this body. */
void http_server_answer(struct http_server *s, const struct http_response *r, struct span body);

/* What waits to be sent; lives until http_server_sent, which forgets it. */
struct span http_server_output(const struct http_server *s);
void http_server_sent(struct http_server *s);

/* Tells the time. Past the deadline the next step says what comes of it. */
void http_server_tick(struct http_server *s, uint64_t now_us);
uint64_t http_server_deadline(const struct http_server *s); /* 0: none, it is the host's turn */

/* Between requests: nothing of a next one has come. */
bool http_server_is_idle(const struct http_server *s);
/* Shutting down: ends at once when idle, else behind the response at work. */
void http_server_wind_down(struct http_server *s);
