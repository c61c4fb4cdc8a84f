/*
 * Journal reports as Exchange and Microsoft 365 send them ("envelope journaling"), from their bytes in pieces of any size:
 * whom the original was from and to, and where it stands. Pure; used by edge for recipients that take copies.
 *
 *     X-MS-Journal-Report:
 *     Content-Type: multipart/mixed; boundary=...
 *
 *     part 1, text/plain:      Sender: anna@example.com
 *                              On-Behalf-Of: boss@example.com
 *                              Subject: ...
 *                              Message-ID: <...>
 *                              To: berta@example.com
 *                              Cc: carl@example.com, Expanded: team@example.com
 *                              Bcc: dora@example.com, Forwarded: emil@example.com
 *                              Recipient: fritz@example.net     (how it was addressed is not known)
 *     part 2, message/rfc822:  the original
 *
 *   J1  Any split of the input gives the same result.
 *   J2  Memory: JOURNAL_TEXT_BYTES and a few KiB, whatever comes. Time is linear.
 *   J3  What is not wholly understood is no report: then it is a plain copy, and nothing of it is lost.
 *   J4  [inner_offset, inner_offset + inner_bytes) lies within the message and is the original bit for bit, unless it came
 *       encoded (base64, quoted-printable), which RFC 2046 s5.2.1 forbids: inner_bytes is 0 then, the whole is shown.
 */
#pragma once

#include "base/buf.h"
#include "mail/address.h"
#include "mail/header.h"

enum {
	JOURNAL_TEXT_BYTES = 256 << 10, /* of part 1; a report with more is a plain copy */
	JOURNAL_NAMED_BYTES = 64 << 10, /* of the address fields of the header */
	JOURNAL_LINE_BYTES = 2048,	/* looked at, of one line of a header or a delimiter */
	JOURNAL_BOUNDARY_BYTES = 200,	/* RFC 2046 allows 70 */
};

enum journal_role { JOURNAL_RECIPIENT, JOURNAL_TO, JOURNAL_CC, JOURNAL_BCC };

struct journal;

/* NULL: no memory. */
struct journal *journal_new(void);
void journal_free(struct journal *j); /* accepts NULL */
void journal_feed(struct journal *j, struct span piece);
/* The message has ended. True: it is a report, and what follows may be asked. */
bool journal_end(struct journal *j);

uint64_t journal_inner_offset(const struct journal *j);
uint64_t journal_inner_bytes(const struct journal *j);
/* Of the original's own header: Message-ID, Subject, From, Date. */
const struct header_walk *journal_inner_header(const struct journal *j);
/* False: none was given, or the null sender. */
bool journal_sender(const struct journal *j, struct address *out);
/* In the order of the report; on_rcpt returns false to stop. What does not parse as an address is left out. */
void journal_each_rcpt(const struct journal *j,
		       bool (*on_rcpt)(void *arg, enum journal_role role, const struct address *a),
		       void *arg);
/*
 * Whom the header names as recipients: To, Cc, Bcc, and what servers note in Delivered-To, X-Original-To, Envelope-To. All
 * there is to go by with a plain blind copy. Also when it is no report; after journal_end.
 */
void journal_each_named(const struct journal *j,
			bool (*on_named)(void *arg, const struct address *a), void *arg);
