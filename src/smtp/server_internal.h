/* Inside the server engine: one struct, shared by the files server*.c and by nobody else. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "smtp/server.h"

enum {
	SERVER_LINE_LIMIT = 2048,  /* longest command line of any kind, with CRLF */
	SERVER_COMMAND_LINE = 512, /* RFC 5321 s4.5.3.1.4 */
	SERVER_MAIL_LINE =
		1536, /* 512 + 26 SIZE + 17 BODY + 10 SMTPUTF8 + 8 RET + 107 ENVID + 500 AUTH + unknown ones */
	SERVER_SASL_LINE = 12288 + 2,	  /* RFC 4954 s4 */
	SERVER_RCPT_LINE = 1536,	  /* 512 + 28 NOTIFY + 500 ORCPT + unknown ones */
	SERVER_OVERLONG_LIMIT = 64 << 10, /* of a line that is being skipped */
	SERVER_OUT_FLUSH = 16 << 10,	  /* replies that wait before the host must take them */
	SERVER_OUT_LIMIT = 64 << 10,
	SERVER_ENVELOPE_LIMIT = 8 << 20, /* of one transaction, whatever limits.recipients says */
	SERVER_HELO_LIMIT = 255,
	SERVER_MECHANISM_LIMIT = 20, /* RFC 4422 s3.1 */
	SERVER_ENVID_LIMIT = 100,    /* RFC 3461 s4.4 */
	SERVER_ORCPT_LIMIT = 500,    /* RFC 3461 s4.2 */
	SERVER_DATA_RATE = 1024,     /* bytes a second below which DATA runs out of time */
};

enum server_state {
	ST_CONNECTED, /* no greeting yet */
	ST_GREETED,   /* no HELO yet, or after STARTTLS */
	ST_READY,
	ST_SASL,  /* AUTH has begun: the host's turn, or a response is awaited */
	ST_MAIL,  /* sender accepted */
	ST_RCPT,  /* and a recipient */
	ST_DATA,  /* 354 was sent */
	ST_STORE, /* message complete; waiting for the host */
	ST_TLS,	  /* STARTTLS was answered 220 */
	ST_GONE,
};
#define BIT(state) (1u << (state))

/* Where in the message's line structure the next byte stands. */
enum data_at {
	AT_LINE,   /* at the start of a line */
	AT_INSIDE, /* within one */
	AT_CR,	   /* behind a CR, which is held back */
	AT_DOT,	   /* behind a dot that began a line; held back */
	AT_DOT_CR, /* behind such a dot and CR; both held back */
};

/* All that is wrong with a message is gathered, so that what is said does not depend on how it was
 * cut (R1). */
enum data_fault_FLAGS { DATA_BARE_CR = 1, DATA_BARE_LF = 2, DATA_NUL = 4, DATA_TOO_BIG = 8 };

struct smtp_server {
	const struct smtp_service *service;
	enum server_state state;
	enum smtp_step asked; /* SMTP_FEED: no question is open */
	bool is_esmtp, is_tls, is_authenticated, winds_down;
	bool auth_ended; /* SMTP_AUTH_END is to be said */
	bool has_more;	 /* input is waiting behind the present command */
	bool after_refused_data;
	bool tls_said;
	uint64_t now_us, deadline_us;
	unsigned errors, idle_commands;
	struct buf out;
	size_t helo_n;
	unsigned char helo[SERVER_HELO_LIMIT];

	size_t line_n;
	bool line_is_overlong;
	size_t overlong_n;
	unsigned char line[SERVER_LINE_LIMIT];

	struct smtp_auth auth;
	unsigned char mechanism[SERVER_MECHANISM_LIMIT];
	struct buf sasl_line, sasl; /* a response, in base64 and decoded; wiped */

	struct arena arena; /* of the transaction */
	struct smtp_envelope envelope;
	struct smtp_rcpt
		asked_rcpt; /* its bytes stand below: what is refused leaves nothing in the arena */
	unsigned char asked_address[ADDRESS_TEXT_BYTES];
	unsigned char asked_orcpt[SERVER_ORCPT_LIMIT];
	size_t rcpts_cap;
	unsigned rcpts_tried; /* in this transaction */

	enum data_at data_at;
	unsigned data_faults;
	bool data_dropped; /* SMTP_DROP was said */
	uint64_t data_n, data_skipped, data_since_us;
};

/* The only way to another state: checks the move. */
void server_move(struct smtp_server *s, enum server_state next);
void server_reset(struct smtp_server *s); /* ends the transaction */
void server_ask(struct smtp_server *s, enum smtp_step question);
void server_arm(struct smtp_server *s, uint64_t after_us);

/* Replies. text is printf-like and must not contain what a peer sent. 5xx count as errors; 421 and
 * 521 end it. */
void server_reply(struct smtp_server *s, unsigned code, const char *enhanced, const char *text);
void server_reply_span(struct smtp_server *s, const struct smtp_reply *reply);
void server_line(struct smtp_server *s, struct span line, bool is_last, unsigned code);
void server_count_idle(struct smtp_server *s);

/* Commands: args is what follows the verb and one space. */
void server_on_ehlo(struct smtp_server *s, struct span args);
void server_on_helo(struct smtp_server *s, struct span args);
void server_on_noop(struct smtp_server *s, struct span args);
void server_on_rset(struct smtp_server *s, struct span args);
void server_on_vrfy(struct smtp_server *s, struct span args);
void server_on_expn(struct smtp_server *s, struct span args);
void server_on_help(struct smtp_server *s, struct span args);
void server_on_quit(struct smtp_server *s, struct span args);
void server_on_starttls(struct smtp_server *s, struct span args);
void server_on_auth(struct smtp_server *s, struct span args);
void server_on_bdat(struct smtp_server *s, struct span args);
void server_on_mail(struct smtp_server *s, struct span args);
void server_on_rcpt(struct smtp_server *s, struct span args);
void server_on_data(struct smtp_server *s, struct span args);

/* server_param.c: parameters of MAIL and RCPT. False: a reply was given. */
struct smtp_params {
	bool has_size, has_body, has_smtputf8, has_ret, has_envid, has_auth, has_notify, has_orcpt;
	uint64_t size;
	enum smtp_body_kind body;
	enum smtp_ret ret;
	struct span envid, orcpt;
	uint8_t notify;
};
bool server_mail_params(struct smtp_server *s, struct span rest, struct smtp_params *out);
bool server_rcpt_params(struct smtp_server *s, struct span rest, bool allows_utf8,
			struct smtp_params *out);
bool server_xtext_is_good(struct span text, bool allows_utf8);

/* server_mail.c: takes the host's answer to RCPT into the envelope. */
bool server_keep_rcpt(struct smtp_server *s, uint64_t tag);

/* server_auth.c */
void server_sasl_take(struct smtp_server *s,
		      struct span *in); /* ST_SASL: a line, or a part of one */
void server_sasl_answer(struct smtp_server *s, const struct smtp_reply *reply);
void server_sasl_wipe(struct smtp_server *s);

/* server_data.c */
void server_data_begin(struct smtp_server *s);
enum smtp_step server_data_step(struct smtp_server *s, struct span *in, struct span *out_piece);
void server_data_refuse(struct smtp_server *s); /* the reply to a message with a fault */
