/*
 * Passwords: what is one, what is a good one, and its verifier (Argon2id, RFC 9106, as a PHC string).
 *
 *   A4  A password is at most LOGIN_PASSWORD_LIMIT_BYTES, without NUL, in NFC (RFC 8265 s4; bytes that are no UTF-8 stay
 *       as they are, for what a primary may have allowed). It is wiped after use.
 *   A5  New verifiers have m=19456 KiB, t=2, p=1 (OWASP). One with other parameters is made anew when its password is
 *       seen again. Nobody has to change a password without a reason, and there are no rules on what it is made of
 *       (NIST SP 800-63B-4): only its length, a list of those that are tried first, and not the person's own name.
 *
 * password_hash and password_matches take 19 MiB and tens of milliseconds: only behind a gate, never on a loop.
 */
#pragma once

#include "auth/login.h"
#include "base/fault.h"
#include "base/rc.h"

enum {
	PASSWORD_LEAST = 15,	       /* characters, where it is all there is */
	PASSWORD_LEAST_ALLOWED = 8,    /* with a second factor, or when the operator says so */
	PASSWORD_VERIFIER_BYTES = 128, /* with the NUL */
	PASSWORD_KIB = 19456,
	PASSWORD_PASSES = 2,
};

struct password {
	unsigned char p[LOGIN_PASSWORD_LIMIT_BYTES];
	size_t n;
};

static inline struct span password_span(const struct password *w)
{
	return span_of(w->p, w->n);
}

/* False: none (A4); *out is as before. */
bool password_prepare(struct span given, struct password *out);
void password_wipe(struct password *w);
/* False with a sentence for people. */
bool password_is_good(const struct password *w, struct span account, unsigned least_characters,
		      struct fault *why);

/* LATER: no memory. The salt is random. */
enum rc password_hash(const struct password *w, char out[PASSWORD_VERIFIER_BYTES]) MUST_USE;
/* OK, REFUSED (another password, or no verifier), LATER (no memory). */
enum rc password_matches(const char *verifier, const struct password *w) MUST_USE;
bool password_is_verifier(struct span text);	/* Argon2id, parameters within bounds */
bool password_is_current(const char *verifier); /* A5 */
