/*
 * How a login ends, and how each protocol says so. Shared by auth, which decides, and by desk and submission, which ask
 * it with SaslStart and SaslMore and get LoginAnswer.verdict. Pure.
 *
 *   A1  Wrong password, unknown account, disabled account and expired verifier are one verdict with one text that
 *       take the same time (H-17). Who is who stands in auth's log alone.
 *   A2  LATER and THROTTLED say nothing about the password: it was not looked at. The client may try again, the
 *       session stays as it was.
 *   A3  Whoever asks answers no sooner than LoginAnswer.delay_ms after the answer came; the client's other input waits.
 */
#pragma once

#include "base/span.h"

enum login_verdict {
	LOGIN_FINE = 0,
	LOGIN_REFUSED, /* name and password do not belong together (A1) */
	LOGIN_LATER, /* cannot be decided now: too much to do, the primary is needed and away, our disk failed */
	LOGIN_THROTTLED,    /* too many failures; not looked at */
	LOGIN_MALFORMED,    /* bytes that are no message of the mechanism */
	LOGIN_NO_MECHANISM, /* unknown here, or not allowed on this listener */
	LOGIN_NEEDS_TLS,    /* a mechanism that shows the password, without TLS */
	LOGIN_CANCELLED, /* the client sent "*"; made by the asker itself (auth answers no SaslCancel) */
	LOGIN_LAST = LOGIN_CANCELLED,
};

enum {
	LOGIN_NAME_LIMIT_BYTES = 320,	   /* of an account's name or alias */
	LOGIN_PASSWORD_LIMIT_BYTES = 1024, /* beyond it: REFUSED, not hashed */
	LOGIN_SASL_LIMIT_BYTES =
		4096, /* of one message, decoded; beyond it the asker itself says MALFORMED */
	LOGIN_WAIT_MS = 60000, /* no answer from auth for so long: LATER */
};

const char *login_verdict_name(enum login_verdict v); /* "fine", "refused", ... for logs */
/* A value from a message; what is not known is LOGIN_LATER. */
enum login_verdict login_verdict_of(unsigned value);
/* The sentence for people if LoginAnswer.text is empty. */
const char *login_text(enum login_verdict v);
/* RFC 3501, 9051 and 5530: "NO [AUTHENTICATIONFAILED]", "BAD", ... what stands behind the tag and before the text. */
const char *login_imap(enum login_verdict v);
/* RFC 1939, 2449 and 3206: "-ERR [AUTH]", ... */
const char *login_pop3(enum login_verdict v);
/* RFC 4954: "535 5.7.8", ... (235 2.7.0 when fine) */
const char *login_smtp(enum login_verdict v);
