/*
 * Replies of an SMTP server (RFC 5321 s4.2), multi-line ones put together, with hard limits. Inside
 * src/smtp only.
 *
 * Every line must begin with the same three digits (2..5, 0..9, 0..9) and go on with ' ', '-' or
 * nothing.
 */
#pragma once

#include "base/buf.h"
#include "smtp/client.h"

struct smtp_reply {
	uint16_t code;
	char enhanced[12];
	char text[SMTP_REPLY_TEXT_BYTES]; /* printable UTF-8, lines joined by a blank, codes removed
					   */
};

struct smtp_reply_reader {
	struct buf line;  /* the line under way, without its end */
	struct buf lines; /* finished lines behind their code, each ended by '\n' */
	size_t lines_n;
	uint16_t code;
	bool is_complete; /* the next byte begins a new reply */
};

void smtp_reply_init(struct smtp_reply_reader *r);
void smtp_reply_fini(struct smtp_reply_reader *r);
void smtp_reply_reset(struct smtp_reply_reader *r); /* forgets a half-read reply */

/*
 * Eats bytes from *bytes. OK: one reply is complete, smtp_reply_get gives it until the next call.
 * MORE: all eaten. REFUSED: that is no reply.
 */
enum rc smtp_reply_feed(struct smtp_reply_reader *r, struct span *bytes) MUST_USE;
void smtp_reply_get(const struct smtp_reply_reader *r, struct smtp_reply *out);

/* Makes one printable line of any bytes: control bytes become blanks, what is not UTF-8 '?'. Ends
 * in NUL. */
void smtp_text_clean(char *out, size_t out_n, struct span raw);
