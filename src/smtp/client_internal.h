/* What the files of the client engine share; included only by src/smtp/client*.c. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "smtp/client.h"
#include "smtp/client_reply.h"

enum command {
	COMMAND_GREETING, /* no command: the peer speaks first */
	COMMAND_EHLO,
	COMMAND_HELO,
	COMMAND_STARTTLS,
	COMMAND_AUTH_PLAIN,
	COMMAND_AUTH_LOGIN,
	COMMAND_AUTH_USER, /* the responses of LOGIN */
	COMMAND_AUTH_PASSWORD,
	COMMAND_RSET,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_DOT,
	COMMAND_QUIT,
};

enum state {
	STATE_TALKING, /* replies are outstanding */
	STATE_TLS,     /* handshake under way at the host */
	STATE_READY,
	STATE_BODY,
	STATE_PERMIT,
	STATE_RESULT,
	STATE_CLOSED,
};

struct step {
	enum command command;
	size_t rcpt;
};

struct rcpt_state {
	bool is_answered; /* by a refusal of its own or of the whole */
	bool is_taken;	  /* 2xx to its RCPT */
	enum smtp_result result;
	enum smtp_stage stage;
	bool is_local;
	const struct smtp_reply *reply; /* in the transaction's arena */
};

struct smtp_client {
	struct smtp_client_options options;
	char *helo;
	struct buf login; /* user, NUL, password */
	enum state state;
	struct smtp_reply_reader reader;
	struct smtp_reply reply; /* the last one */
	struct smtp_capabilities caps;
	bool is_secured;

	/* Commands of this phase in order: answered <= sent <= n. */
	struct step *plan;
	size_t plan_n, plan_cap, sent, answered;

	/* The transaction. */
	struct arena arena;
	struct smtp_client_mail mail;
	struct rcpt_state *rcpts;
	size_t taken;
	bool has_mail, needs_reset, dot_sent;
	unsigned char last[2]; /* the last two bytes of the body sent; {'\r','\n'} at its start */
	char queue_id[128];

	bool has_failed;
	enum smtp_stage failed_stage;
	struct smtp_reply failed_reply; /* code 0: text is our own */
};

/* client_command.c: the text of one command. */
void smtp_command_write(const struct smtp_client *c, struct step step, struct buf *out);
/* NULL, or why this message cannot be offered here; *out_reply is what the results say. */
bool smtp_command_refuses(const struct smtp_client *c, const struct smtp_client_mail *mail,
			  size_t rcpt, struct smtp_reply *out_reply);
void smtp_capabilities_read(const struct smtp_reply_reader *r, struct smtp_capabilities *out);

/* client.c: the conversation. */
void smtp_talk_enter(struct smtp_client *c, enum state next); /* the only way to another state */
void smtp_talk_plan_clear(struct smtp_client *c);
void smtp_talk_plan_add(struct smtp_client *c, enum command command, size_t rcpt);
void smtp_talk_pump(struct smtp_client *c);			   /* sends what may be sent now */
void smtp_talk_start(struct smtp_client *c, enum command command); /* a plan of one command */
const struct smtp_reply *smtp_talk_keep(struct smtp_client *c, const struct smtp_reply *reply);
void smtp_talk_answer(struct rcpt_state *r, enum smtp_result result, enum smtp_stage stage,
		      const struct smtp_reply *reply); /* the first answer stays */
void smtp_talk_fail_text(struct smtp_client *c, enum smtp_stage stage, const char *text);
enum smtp_stage smtp_talk_stage_of(enum command command);
