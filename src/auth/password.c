#include "auth/password.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <uninorm.h>
#include <unistr.h>

/* Of eight characters and more, those that lists of stolen passwords begin with; repetitions and runs are found by
 * rule. */
static const char *const tried_first[] = {
	"password",
	"password1",
	"password12",
	"password123",
	"password1234",
	"password123456",
	"passw0rd",
	"p@ssw0rd",
	"p@ssword",
	"iloveyou",
	"princess",
	"sunshine",
	"football",
	"baseball",
	"superman",
	"trustno1",
	"starwars",
	"whatever",
	"computer",
	"internet",
	"letmein1",
	"letmein123",
	"welcome1",
	"welcome123",
	"changeme",
	"changeme123",
	"changemenow",
	"administrator",
	"admin123",
	"adminadmin",
	"qwertyui",
	"qwertyuiop",
	"qwerty123",
	"qwerty12345",
	"qwertz123",
	"qwertzuiop",
	"asdfghjk",
	"asdfghjkl",
	"asdfasdf",
	"zxcvbnm1",
	"zxcvbnm123",
	"1q2w3e4r",
	"1q2w3e4r5t",
	"1qaz2wsx",
	"1qaz2wsx3edc",
	"q1w2e3r4",
	"passwort",
	"passwort1",
	"passwort123",
	"willkommen",
	"hallo123",
	"schalke04",
	"ficken123",
	"motdepasse",
	"azertyuiop",
	"contraseña",
	"parola123",
	"haslo123",
	"secret123",
	"topsecret",
	"dragon123",
	"monkey123",
	"master123",
	"shadow123",
	"michael1",
	"jennifer",
	"jordan23",
	"charlie1",
	"liverpool",
	"chelsea1",
	"correcthorsebatterystaple",
	"correct horse battery staple",
	"thisismypassword",
	"mysecretpassword",
	"passwordpassword",
	"letmeinletmein",
	"iloveyouiloveyou",
};

bool password_prepare(struct span given, struct password *out)
{
	uint8_t *nfc = NULL;
	size_t n = 0;
	bool ok;

	if (!given.n || given.n > LOGIN_PASSWORD_LIMIT_BYTES || memchr(given.p, 0, given.n))
		return false;
	if (!u8_check(given.p, given.n))
		nfc = u8_normalize(UNINORM_NFC, given.p, given.n, NULL, &n);
	if (!nfc) {
		memcpy(out->p, given.p, given.n);
		out->n = given.n;
		return true;
	}
	ok = n > 0 && n <= sizeof out->p;
	if (ok) {
		memcpy(out->p, nfc, n);
		out->n = n;
	}
	sodium_memzero(nfc, n);
	free(nfc);
	return ok;
}

void password_wipe(struct password *w)
{
	sodium_memzero(w, sizeof *w);
}

static size_t characters(const struct password *w)
{
	return u8_check(w->p, w->n) ? w->n : u8_mbsnlen(w->p, w->n);
}

/* One to four characters over and over, or each one more (less) than the one before. */
static bool is_pattern(const struct password *w)
{
	for (size_t period = 1; period <= 4 && period * 2 <= w->n; period++) {
		if (memcmp(w->p, w->p + period, w->n - period) == 0)
			return true;
	}
	for (int step = -1; step <= 1; step += 2) {
		size_t at = 1;

		while (at < w->n && (w->p[at] == w->p[at - 1] + step ||
				     (w->p[at - 1] == '9' && w->p[at] == '0')))
			at++;
		if (at == w->n)
			return true;
	}
	return false;
}

static bool is_tried_first(struct span w)
{
	for (size_t i = 0; i < sizeof tried_first / sizeof *tried_first; i++) {
		if (span_eq_nocase(w, span_str(tried_first[i])))
			return true;
	}
	return false;
}

/* The whole is the account's name or its local part, with at most four more characters. */
static bool is_own_name(struct span w, struct span account)
{
	ssize_t at = span_chr(account, '@');
	struct span local = at > 0 ? span_first(account, (size_t)at) : account;

	if (!local.n || !span_starts_nocase(w, local))
		return false;
	return w.n <= local.n + 4 || span_starts_nocase(w, account);
}

bool password_is_good(const struct password *w, struct span account, unsigned least_characters,
		      struct fault *why)
{
	struct span s = password_span(w);

	if (characters(w) < least_characters) {
		fault_set(why,
			  "the password has %zu characters; it needs at least %u (a few words "
			  "are easier than many signs)",
			  characters(w), least_characters);
		return false;
	}
	if (is_tried_first(s) || is_pattern(w)) {
		fault_set(why, "this password is among those that are tried first; choose another");
		return false;
	}
	if (is_own_name(s, account)) {
		fault_set(why,
			  "the password is little more than the account's name; choose another");
		return false;
	}
	return true;
}

enum rc password_hash(const struct password *w, char out[PASSWORD_VERIFIER_BYTES])
{
	char made[crypto_pwhash_STRBYTES];

	if (crypto_pwhash_str_alg(made, (const char *)w->p, w->n, PASSWORD_PASSES,
				  (size_t)PASSWORD_KIB * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return LATER;
	memcpy(out, made, PASSWORD_VERIFIER_BYTES);
	return OK;
}

enum rc password_matches(const char *verifier, const struct password *w)
{
	errno = 0;
	if (crypto_pwhash_str_verify(verifier, (const char *)w->p, w->n) == 0)
		return OK;
	return errno == ENOMEM ? LATER : REFUSED;
}

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash"; at most 256 MiB and 16 passes, or a file could stop us. */
bool password_is_verifier(struct span text)
{
	struct span rest = text, part;
	uint64_t kib, passes;

	if (text.n >= PASSWORD_VERIFIER_BYTES ||
	    !span_starts(text, SPAN_LIT("$argon2id$v=19$m=")) || memchr(text.p, 0, text.n))
		return false;
	rest = span_from(rest, sizeof "$argon2id$v=19$m=" - 1);
	part = span_cut(&rest, ',');
	if (!span_to_u64(part, 256 << 10, &kib) || !span_starts(rest, SPAN_LIT("t=")))
		return false;
	rest = span_from(rest, 2);
	part = span_cut(&rest, ',');
	return span_to_u64(part, 16, &passes) && kib >= 8 && passes >= 1 &&
	       span_starts(rest, SPAN_LIT("p=1$"));
}

bool password_is_current(const char *verifier)
{
	return crypto_pwhash_str_needs_rehash(verifier, PASSWORD_PASSES,
					      (size_t)PASSWORD_KIB * 1024) == 0;
}
