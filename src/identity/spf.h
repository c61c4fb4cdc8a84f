/*
 * SPF: may this address send mail of this domain? (RFC 7208). Pure: a machine that asks its host DNS questions
 * one at a time and is fed the answers; no loop, socket or clock. Used by scout.
 *
 *   struct spf *s = spf_new(&input);
 *   rc = spf_step(s, NULL, &question);
 *   while (rc == MORE) { ... ask ...; rc = spf_step(s, &reply, &question); }
 *   ... spf_result(s) ... spf_free(s);
 *
 *   S1  At most 10 terms that need the DNS and 2 of them without an answer (s4.6.4), 10 names of an MX or PTR
 *       answer: at most 10 + 10 * 10 + 11 + 1 questions, whatever the records say (test M-14).
 *   S2  Includes are kept on a stack of SPF_DEPTH_LIMIT; nothing recurses.
 *   S3  Memory is bounded: SPF_MEMORY_BYTES; a record or an expansion too big for it is a permerror.
 *   S4  The whole record is parsed before anything of it counts (s4.6).
 *
 * The host bounds the time (s4.6.4 asks for at least 20 seconds) by feeding LATER.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"

#define SPF_DEPTH_LIMIT	 11
#define SPF_MEMORY_BYTES (256u << 10)
#define SPF_NAME_BYTES	 254 /* 253 and the NUL */

enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};

const char *spf_result_name(enum spf_result result); /* "pass" */

/* The DNS's own numbers. */
enum spf_type { SPF_A = 1, SPF_PTR = 12, SPF_MX = 15, SPF_TXT = 16, SPF_AAAA = 28 };

struct spf_input {
	const char *address; /* of the client, text; an IPv4-mapped one counts as IPv4 */
	struct span helo;
	struct span sender;   /* of MAIL FROM; empty: postmaster at helo is checked (s2.4) */
	struct span receiver; /* our host name, for %{r}; may be empty */
	uint64_t now_s;	      /* for %{t} */
};

struct spf_question {
	char name[SPF_NAME_BYTES]; /* may hold any byte but NUL, no trailing dot */
	enum spf_type type;
};

struct spf_reply {
	/* OK; REFUSED: no such name; MORE: no such record; anything else: the DNS failed. */
	enum rc rc;
	size_t n;
	/* A, AAAA: 4 or 16 bytes; TXT: its strings joined; MX, PTR: the name. Borrowed during the call. */
	const struct span *records;
};

struct spf;

/* Copies what it needs of the input. An address that is none gives SPF_NONE. */
struct spf *spf_new(const struct spf_input *input);
void spf_free(struct spf *s); /* accepts NULL */
/* MORE: ask *out_question, then come again with the reply. OK: done. reply is NULL the first time. */
enum rc spf_step(struct spf *s, const struct spf_reply *reply,
		 struct spf_question *out_question) MUST_USE;

/* After OK: */
enum spf_result spf_result(const struct spf *s);
const char *spf_explanation(
	const struct spf *s); /* of the domain's owner, for fail; "" if none: untrusted text */
const char *spf_why(const struct spf *s); /* for operators: what decided; "" if nothing to say */
