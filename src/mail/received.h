/*
 * Our trace header field (RFC 5321 s4.4), put in front of a message at hand-back and kept apart
 * from its bytes:
 *
 *   Received: from HELO (HOST [ADDRESS])
 *           by NODE (Holdfast) with ESMTPS id ID
 *           (TLS TEXT)
 *           for <RECIPIENT>; Sat, 21 Nov 2026 21:10:22 +0000
 *
 * "for" stands only when there is one recipient (RFC 5321 s7.2: no blind copies shown). Nothing a
 * peer sent can add a line or end a comment: bytes outside its own alphabet become "?".
 */
#pragma once

#include "base/buf.h"

struct received_facts {
	struct span helo, host,
		address; /* host may be empty; address as text, IPv6 without tag; "": no "from" at all */
	struct span node, id;
	struct span protocol;  /* received_protocol */
	struct span tls;       /* "" : not encrypted */
	struct span recipient; /* "" : none shown; normal form */
	uint64_t at_us;	       /* wall clock */
};

/* Protocol type of RFC 3848 and RFC 6531 s4.3: "SMTP", "ESMTPS", "UTF8SMTPS" and so on. */
const char *received_protocol(bool is_esmtp, bool is_tls, bool is_utf8);
void received_write(struct buf *out, const struct received_facts *facts);
/* The part of our field that tells it as this node's: for header_walk_init. */
void received_mark(struct buf *out, struct span node);
/* "Sat, 21 Nov 2026 21:10:22 +0000" (RFC 5322 s3.3, in UTC). */
void received_date(struct buf *out, uint64_t wall_us);

/* What we found out about a sender, for authres_write. */
struct authres_facts {
	struct span node;
	struct span spf; /* RFC 7208 s2.6: "pass", "none" ... */
	struct span domain,
		helo; /* whom it was asked about: MAIL FROM's domain, or HELO's name when that is empty */
};

/*
 * Our Authentication-Results field (RFC 8601), above our Received field:
 *
 *   Authentication-Results: NODE;
 *           spf=RESULT smtp.mailfrom=DOMAIN
 *
 * A field that a sender wrote in our name is never the first of a message, and never directly above a Received field of
 * ours that is the first: who reads verdicts (web/portal/safe/verdict.ts) believes that one place only.
 */
void authres_write(struct buf *out, const struct authres_facts *facts);
