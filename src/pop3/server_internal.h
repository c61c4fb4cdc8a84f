/* Inside the POP3 engine: one struct, shared by the files server*.c and by nobody else. */
#pragma once

#include "base/buf.h"
#include "pop3/server.h"

enum {
	POP3_LINE_LIMIT = 255,	     /* RFC 2449 s4; with CRLF */
	POP3_PASS_LINE_LIMIT = 2048, /* USER, PASS: passwords are long sometimes */
	POP3_SASL_LINE_LIMIT =
		16 << 10, /* AUTH and responses (RFC 5034 s4 leaves it to the mechanism) */
	POP3_OVERLONG_LIMIT = 64 << 10, /* of a line that is being skipped */
	POP3_OUT_FLUSH = 16 << 10,
	POP3_OUT_KEEP = 512, /* of output memory that stays with an idle session */
	POP3_USER_LIMIT = 512,
};

enum pop3_state {
	ST_CONNECTED,
	ST_AUTHORIZATION,
	ST_SASL, /* a challenge was sent: the next line is the response */
	ST_TLS,
	ST_TRANSACTION,
	ST_UPDATE,
	ST_GONE,
};
#define BIT(state) (1u << (state))

enum pop3_job { JOB_NONE, JOB_LIST, JOB_UIDL, JOB_BODY };

struct drop_message {
	uint64_t number, bytes;
	uint32_t uid;
	uint32_t
		deleted_in; /* marked when this is the present round: RSET begins a new one (P-02) */
	uint8_t form;
	bool was_read;
};

struct pop3_server {
	const struct pop3_service *service;
	enum pop3_state state;
	enum pop3_step asked; /* POP3_FEED: no question is open */
	bool question_said;   /* to the host */
	bool is_tls, is_secure, tls_said;
	uint64_t now_us, deadline_us;
	uint64_t login_until_us; /* one time for all commands before the login (S-25) */
	unsigned errors;

	struct buf out;
	struct buf line; /* the part of a line that has come */
	bool line_is_overlong;
	size_t overlong_n;

	struct buf user; /* of USER */
	struct buf sasl; /* decoded initial response or response; wiped */
	char mechanism[32];
	struct pop3_login login;

	struct mail_store store;
	uint64_t box;
	uint32_t uidvalidity;
	struct drop_message *drop;
	size_t drop_n, drop_cap, left_n; /* left: not marked */
	uint64_t drop_bytes, left_bytes;
	uint32_t round;

	enum pop3_job job;
	size_t job_at; /* message of the listing */
	struct mail_body *body;
	uint64_t body_at;
	uint64_t lines_left; /* of TOP, behind the header; UINT64_MAX: all */
	bool in_header;
	unsigned char before[2]; /* the last two bytes that were read */

	struct mail_act act;
	struct mail_range *ranges;
	size_t ranges_n, ranges_at;
	unsigned act_at; /* which of the three */
};

/* server.c */
void pop3_move(struct pop3_server *s, enum pop3_state next);
void pop3_ok(struct pop3_server *s, const char *text);
/* status: "-ERR [AUTH]". counts: as an error of the client. */
void pop3_err(struct pop3_server *s, const char *status, const char *text, bool counts);
void pop3_err_span(struct pop3_server *s, const char *status, struct span text, bool counts);
void pop3_ask(struct pop3_server *s, enum pop3_step question);
void pop3_arm(struct pop3_server *s);

/* server_login.c */
void pop3_on_user(struct pop3_server *s, struct span args);
void pop3_on_pass(struct pop3_server *s, struct span args);
void pop3_on_auth(struct pop3_server *s, struct span args);
void pop3_on_apop(struct pop3_server *s, struct span args);
void pop3_on_capa(struct pop3_server *s, struct span args);
void pop3_on_stls(struct pop3_server *s, struct span args);
void pop3_on_utf8(struct pop3_server *s, struct span args);
void pop3_sasl_line(struct pop3_server *s, struct span line);
void pop3_forget_login(struct pop3_server *s);

/* server_drop.c */
enum rc pop3_drop_take(struct pop3_server *s, struct fault *why) MUST_USE;
void pop3_drop_free(struct pop3_server *s);
bool pop3_is_deleted(const struct pop3_server *s, const struct drop_message *m);
void pop3_on_stat(struct pop3_server *s, struct span args);
void pop3_on_list(struct pop3_server *s, struct span args);
void pop3_on_uidl(struct pop3_server *s, struct span args);
void pop3_on_dele(struct pop3_server *s, struct span args);
void pop3_on_rset(struct pop3_server *s, struct span args);
void pop3_on_retr(struct pop3_server *s, struct span args);
void pop3_on_top(struct pop3_server *s, struct span args);
void pop3_work(struct pop3_server *s); /* one piece of the job */
void pop3_end_job(struct pop3_server *s);

/* server_update.c: what QUIT asks for */
void pop3_update_begin(struct pop3_server *s);
