/* Inside src/http: one connection's state, and what the files of the engine share. */
#pragma once

#include "http/server.h"

enum http_chunk {
	CHUNK_SIZE, /* its digits */
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER, /* a line's beginning */
	CHUNK_TRAILER_NAME,
	CHUNK_TRAILER_VALUE,
	CHUNK_TRAILER_LF,
	CHUNK_END_LF,
};

/* Where a request's body is. */
enum http_body {
	BODY_DONE,  /* there is none, or it is complete */
	BODY_WAITS, /* nobody has asked for it */
	BODY_TAKEN, /* it goes to the host */
	BODY_OVER,  /* it is read over (W6) */
};

enum http_answer { ANSWER_NONE, ANSWER_BEGUN, ANSWER_DONE };

struct http_server {
	const struct http_service *service;
	uint64_t now_us, deadline_us; /* 0: none */
	struct buf head;	      /* of the request at work, or as far as it has come */
	struct buf out;
	struct http_request request;
	struct http_field *fields;
	unsigned lines; /* that the head has so far */
	unsigned requests;
	bool has_begun, is_active, is_over, is_late, is_winding;
	unsigned char last; /* byte of the head */

	enum http_body body;
	enum http_chunk chunk;
	bool is_chunked, is_held, expects, body_end_is_due;
	uint64_t left;	      /* of the body, or of the chunk */
	unsigned chunk_bytes; /* of the size line; digits are counted in it */
	size_t trailer_bytes;
	uint64_t window_bytes; /* W5 */
	uint64_t drained_bytes;

	enum http_answer answer;
	bool closes, is_mute, is_chunking, has_length;
	uint64_t owed_bytes; /* of a response with a length */
};

/* server_head.c: what a complete head says; 0: fine, else the status to refuse it with, and why. */
unsigned http_head_parse(struct http_server *s, const char **out_why);
bool http_is_token(unsigned char c);
bool http_is_text(unsigned char c); /* of a field's value */

/* server_body.c: takes what it can of *in. OK: out_piece is a piece of the body; MORE: all input is used up; REFUSED: malformed. The
 * body's end: s->body becomes BODY_DONE, with OK or MORE. */
enum rc http_body_take(struct http_server *s, struct span *in, struct span *out_piece) MUST_USE;

/* server_out.c: a response of our own making; the connection ends behind it. */
void http_refuse(struct http_server *s, unsigned status, const char *why);
