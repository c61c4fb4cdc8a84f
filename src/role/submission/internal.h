/* Inside holdfast-submission: what its files share. README.md says who does what. */
#pragma once

#include "role/edge/internal.h"

enum {
	SUBMISSION_HEADER_BYTES = 256 << 10, /* of a header section; more is refused */
	SUBMISSION_CUTS_LIMIT = 50,
	SUBMISSION_SEND_AS_LIMIT = 1000,
	SUBMISSION_NAME_BYTES = 400,
};

struct inner;
struct login_asker;
struct login_question;
struct submission_rates;

/* edge.own */
struct submission {
	struct edge *edge;
	struct login_asker *asker;
	struct submission_rates *rates;
	struct list desks;     /* links of desks: inner.c */
	struct buf mechanisms; /* "PLAIN LOGIN" */
	uint32_t per_hour;     /* recipients of one account */
};

/* edge_session.own: who is logged in, and the message in reception. */
struct submitter {
	struct edge_session *session;
	struct login_question *login; /* under way; NULL: none */
	struct loop_timer *delay;     /* before an answer may be given; NULL: none */
	struct edge_session *waiting;
	unsigned late_code;
	char late_enhanced[8], late_text[200];
	bool has_final; /* SASL data with success was sent as a challenge; the client's empty response ends it */
	char account[SUBMISSION_NAME_BYTES]; /* "": nobody */
	struct arena arena;		     /* of the login: send_as */
	struct span *send_as;
	size_t send_as_n;

	struct inner *inner; /* handed over by desk; NULL: a client of the port */
	uint64_t email;	     /* that it was made from, and so on: submit.msg */
	uint8_t email_form;
	struct span identity; /* in the arena */
	bool has_8bit;	      /* of the message in reception */

	struct buf header; /* of the message in reception */
	bool is_too_long;  /* beyond SUBMISSION_HEADER_BYTES */
	bool lacks_date, lacks_id, is_sent_on;
	struct msg_cut cuts[SUBMISSION_CUTS_LIMIT];
	size_t cuts_n;
	char made_id[EDGE_ID_BYTES + 264]; /* the Message-ID that we gave it */
	struct header_refs refs;	   /* with it */
};

struct submitter *submitter_of(struct edge_session *s); /* makes it when it is not there */
struct submitter *submitter_new(void);

/* ---- login.c: questions to auth ---- */
struct login_asker *login_asker_new(struct submission *own);
bool login_asker_link(struct edge *e, enum role_id peer, unsigned instance, int fd);
void login_step(struct edge_session *s, enum smtp_step step);
void login_forget(struct submitter *w); /* nobody is logged in, no question is open */

/* ---- judge.c: sender and recipients ---- */
void submission_judge_mail(struct edge_session *s);
void submission_judge_rcpt(struct edge_session *s);
/* May this account send as this address (normal form)? Detail behind "+" is passed over. */
bool submission_may_send_as(const struct submitter *w, const struct address *a);

/* ---- authors.c ---- */
/* Are all mailboxes of a From or Sender field (at least one) the account's? */
bool submission_authors_are_own(const struct submitter *w, struct span value);

/* ---- clean.c: the header section, and what is added and cut (RFC 6409 s8) ---- */
void submission_begin(struct edge_session *s);
void submission_piece(struct edge_session *s, struct span piece);
bool submission_accepts(struct edge_session *s);
void submission_trace(struct edge_session *s, struct buf *out);
void submission_meta(struct edge_session *s, struct msg_message_meta *m);

/* ---- inner.c: mail that desk hands over (submit.msg) ---- */
bool inner_link(struct edge *e, enum role_id peer, unsigned instance, int fd);
void inner_stored(struct inner *i, const char *id); /* under this name */
void inner_gone(struct inner *i);		    /* its session has ended; accepts NULL */

/* ---- rate.c: recipients of an account within an hour ---- */
struct submission_rates *submission_rates_new(void);
/* May it send to so many more? Nothing is counted. per_hour 0: always. */
bool submission_rate_has_room(struct submission_rates *r, const char *account, uint64_t more,
			      uint32_t per_hour, uint64_t now_us);
void submission_rate_count(struct submission_rates *r, const char *account, uint64_t n,
			   uint32_t per_hour, uint64_t now_us);
