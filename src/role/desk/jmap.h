/* The host of the JMAP engine (src/jmap) inside holdfast-desk: what jmap*.c, upload.c and submit.c share. */
#pragma once

#include "jmap/jmap.h"
#include "role/desk/http.h"
#include "role/desk/internal.h"

enum {
	DESK_JMAP_REQUEST_BYTES = 10 << 20,
	DESK_UPLOAD_BYTES = 50 << 20, /* of one, whatever limits.message_bytes says */
	DESK_UPLOADS_MOST = 1000,     /* of one account */
	DESK_UPLOAD_KEPT_S = 24 * 3600,
	DESK_UPLOAD_SWEEP_TICKS = 300,
};

/* Whose exchange it is, as the engine wants it; lives in what owns the exchange's state. */
struct desk_person {
	struct desk_reader reader;
	struct jmap_person jmap;
	struct jmap_service service;
};
/* False: there is none just now, and that was answered. Borrows from the exchange. */
bool desk_person_fill(struct http_exchange *x, struct desk_person *p);

/* Pieces of a response from memory, as there is room; true: all has been given, and the exchange is ended. */
bool desk_send_rest(struct http_exchange *x, struct span all, size_t *sent);
/* An error as RFC 7807 and RFC 8620 s3.6.1 have it; limit "": none. */
void desk_jmap_problem(struct http_exchange *x, unsigned status, const char *type,
		       const char *detail, const char *limit);

/* ---- jmap.c: requests ---- */

struct desk_request {
	struct list hunger; /* desk.hungry_requests */
	struct http_exchange *x;
	struct desk *desk;
	struct desk_person person;
	struct jmap *jmap;
	bool is_pumping, is_done;
	size_t sent;  /* of the response */
	uint64_t ask; /* open, with the clerk; 0: none */

	/* the message that goes out: put into a mailbox, or sent */
	struct intake *intake;
	struct desk_submit *submit;
	uint64_t message; /* the engine's name of it */
	uint64_t bytes;
};

void desk_request_go_on(struct desk_request *r); /* something it waited for has come */
void desk_request_lost(struct desk_request *r, bool is_sure, const char *text);
struct desk_actor desk_request_actor(const struct desk_request *r);
void desk_request_ask(struct desk_request *r, uint64_t engine_ask); /* r->ask is open then */
void desk_jmap_feed(struct desk *d);				    /* there is room in the hall */

/* ---- jmap_message.c: messages that the engine makes ---- */
void desk_message_begin(struct desk_request *r);
/* False: no more for now; the request goes on when there is room. */
bool desk_message_piece(struct desk_request *r, struct span piece);
void desk_message_end(struct desk_request *r);
void desk_message_drop(struct desk_request *r); /* accepts that there is none */

/* ---- jmap_blob.c ---- */
void desk_download(struct http_exchange *x, const struct http_ask *ask);
void desk_download_room(struct http_exchange *x);
void desk_download_over(struct http_exchange *x, bool is_complete);

/* ---- upload.c: files that people bring, until a message has them ---- */
extern const struct jmap_upload_ops desk_upload_ops; /* arg: struct desk_reader */
bool desk_uploads_start(struct desk *d, struct fault *why);
void desk_uploads_tick(struct desk *d);
bool desk_uploads_are_idle(const struct desk *d);
void desk_uploads_stop(struct desk *d);
void desk_upload(struct http_exchange *x, const struct http_ask *ask);
void desk_upload_piece(struct http_exchange *x, struct span piece);
void desk_upload_end(struct http_exchange *x);
void desk_upload_over(struct http_exchange *x, bool is_complete);

/* ---- submit.c: mail that is to be sent, handed to submission ---- */
void desk_submission_link(struct desk *d, unsigned instance, int fd);
struct desk_submit;
struct desk_submit_ops {
	void (*on_room)(void *arg); /* more may be given */
	/* Once, and it is gone. NULL: submission is away; is_sure: then nothing was sent. */
	void (*on_answer)(void *arg, const struct jmap_submitted *answer, bool is_sure);
};
/* NULL: it cannot be asked now. */
struct desk_submit *desk_submit_new(struct desk *d, const struct desk_person *p, const char *peer,
				    const struct jmap_message *m, const struct desk_submit_ops *ops,
				    void *arg);
void desk_submit_piece(struct desk_submit *s, struct span piece);
bool desk_submit_has_room(const struct desk_submit *s);
void desk_submit_end(struct desk_submit *s);
void desk_submit_drop(struct desk_submit *s); /* accepts NULL; no answer comes */
void desk_submit_expire(struct desk *d);
