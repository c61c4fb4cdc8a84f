#include "auth/sasl.h"

#include "auth/secret.h"

static const char *const mechanisms[] = {
	[SASL_PLAIN] = "PLAIN",
	[SASL_LOGIN] = "LOGIN",
	[SASL_SCRAM] = "SCRAM-SHA-256",
};

bool sasl_mechanism_of(struct span name, enum sasl_mechanism *out)
{
	for (unsigned i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
		if (span_eq(name, span_str(mechanisms[i]))) {
			*out = (enum sasl_mechanism)i;
			return true;
		}
	}
	return false;
}

/* A name without NUL that fits. */
static bool take_name(char out[LOGIN_NAME_LIMIT_BYTES + 1], struct span name)
{
	if (name.n > LOGIN_NAME_LIMIT_BYTES || (name.n && memchr(name.p, 0, name.n)))
		return false;
	memcpy(out, name.n ? name.p : (const unsigned char *)"", name.n);
	out[name.n] = '\0';
	return true;
}

/* A password too long or with no bytes is no password of anybody's: WRONG, not MALFORMED, and not hashed. */
static enum sasl_state take_password(struct sasl *s, struct span given)
{
	return password_prepare(given, &s->password) ? SASL_PASSWORD : SASL_WRONG;
}

/* ---- PLAIN: [authzid] NUL authcid NUL password ---- */

static enum sasl_state plain(struct sasl *s, struct span message)
{
	ssize_t first = span_chr(message, 0), second;
	struct span rest;

	if (first < 0)
		return SASL_MALFORMED;
	rest = span_from(message, (size_t)first + 1);
	second = span_chr(rest, 0);
	if (second <= 0 || !take_name(s->authorize, span_first(message, (size_t)first)) ||
	    !take_name(s->name, span_first(rest, (size_t)second)))
		return SASL_MALFORMED;
	rest = span_from(rest, (size_t)second + 1);
	if (rest.n && memchr(rest.p, 0, rest.n))
		return SASL_MALFORMED;
	return take_password(s, rest);
}

/* ---- LOGIN ---- */

static enum sasl_state login(struct sasl *s, struct span message, struct buf *challenge)
{
	if (s->step++ == 0) {
		if (!message.n || !take_name(s->name, message))
			return SASL_MALFORMED;
		buf_append(challenge, SPAN_LIT("Password:"));
		return SASL_CHALLENGE;
	}
	return take_password(s, message);
}

/* ---- SCRAM ---- */

/* "=2C" and "=3D" in a name (RFC 5802 s5.1). */
static bool scram_name(char out[LOGIN_NAME_LIMIT_BYTES + 1], struct span coded)
{
	unsigned char plain_name[LOGIN_NAME_LIMIT_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < coded.n; i++) {
		struct span rest = span_from(coded, i);
		unsigned char c = coded.p[i];

		if (n == sizeof plain_name)
			return false;
		if (c == '=') {
			if (!span_starts(rest, SPAN_LIT("=2C")) &&
			    !span_starts(rest, SPAN_LIT("=3D")))
				return false;
			c = rest.p[2] == 'C' ? ',' : '=';
			i += 2;
		}
		plain_name[n++] = c;
	}
	return n && take_name(out, span_of(plain_name, n));
}

/* "n,a=authzid,n=name,r=nonce[,extensions]" */
static enum sasl_state scram_first(struct sasl *s, struct span message)
{
	struct span rest = message, part = span_cut(&rest, ',');
	size_t header_n;

	/* "y" thinks that we know no channel binding, and is right; "p=..." wants it. */
	if (!span_eq(part, SPAN_LIT("n")) && !span_eq(part, SPAN_LIT("y")))
		return SASL_MALFORMED;
	part = span_cut(&rest, ',');
	if (part.n &&
	    (!span_starts(part, SPAN_LIT("a=")) || !scram_name(s->authorize, span_from(part, 2))))
		return SASL_MALFORMED;
	header_n = message.n - rest.n;
	buf_append(&s->header, span_first(message, header_n));
	buf_append(&s->messages, rest);
	part = span_cut(&rest, ',');
	/* Not "m=": a mandatory extension that we do not know. */
	if (!span_starts(part, SPAN_LIT("n=")) || !scram_name(s->name, span_from(part, 2)))
		return SASL_MALFORMED;
	part = span_cut(&rest, ',');
	if (!span_starts(part, SPAN_LIT("r=")) || part.n < 3 || part.n > SCRAM_NONCE_LIMIT)
		return SASL_MALFORMED;
	buf_append(&s->nonces, span_from(part, 2));
	return SASL_KEYS;
}

enum sasl_state sasl_keys(struct sasl *s, const struct scram_keys *keys, struct buf *challenge)
{
	size_t from = challenge->n;

	s->keys = *keys;
	s->step = 1;
	buf_append(&s->nonces, span_of(s->nonce, SASL_NONCE_BYTES));
	buf_printf(challenge, "r=%.*s,s=", SPAN_FMT(buf_span(&s->nonces)));
	secret_base64(challenge, span_of(keys->salt, sizeof keys->salt));
	buf_printf(challenge, ",i=%u", keys->iterations);
	buf_append_byte(&s->messages, ',');
	buf_append(&s->messages, span_from(buf_span(challenge), from));
	return SASL_CHALLENGE;
}

/* What c and r must be is known to the byte. */
static bool is_bound(const struct sasl *s, struct span message)
{
	struct span part = span_cut(&message, ',');
	struct buf want = {0};
	bool ok;

	buf_append(&want, SPAN_LIT("c="));
	secret_base64(&want, buf_span(&s->header));
	ok = span_eq(part, buf_span(&want));
	buf_clear(&want);
	buf_printf(&want, "r=%.*s", SPAN_FMT(buf_span(&s->nonces)));
	ok = ok && span_eq(span_cut(&message, ','), buf_span(&want));
	buf_fini(&want);
	return ok;
}

/* "c=base64(header),r=nonces[,extensions],p=proof" */
static enum sasl_state scram_last(struct sasl *s, struct span message, struct buf *challenge)
{
	unsigned char proof[SECRET_HASH_BYTES], signature[SECRET_HASH_BYTES];
	ssize_t proof_at = span_rchr(message, ',');
	struct span part;
	size_t n;

	if (proof_at < 0 || !is_bound(s, span_first(message, (size_t)proof_at)))
		return SASL_MALFORMED;
	part = span_from(message, (size_t)proof_at + 1);
	if (!span_starts(part, SPAN_LIT("p=")) ||
	    !secret_unbase64(span_from(part, 2), proof, sizeof proof, &n) || n != sizeof proof)
		return SASL_MALFORMED;
	buf_append_byte(&s->messages, ',');
	buf_append(&s->messages, span_first(message, (size_t)proof_at));
	if (!scram_verify(&s->keys, buf_span(&s->messages), proof, signature))
		return SASL_WRONG;
	buf_append(challenge, SPAN_LIT("v="));
	secret_base64(challenge, span_of(signature, sizeof signature));
	return SASL_PROVED;
}

/* ---- all ---- */

enum sasl_state sasl_more(struct sasl *s, struct span response, struct buf *challenge)
{
	if (response.n > LOGIN_SASL_LIMIT_BYTES)
		return SASL_MALFORMED;
	switch (s->mechanism) {
	case SASL_PLAIN:
		return plain(s, response);
	case SASL_LOGIN:
		return login(s, response, challenge);
	case SASL_SCRAM:
		return s->step == 0 ? scram_first(s, response) : scram_last(s, response, challenge);
	}
	return SASL_MALFORMED;
}

enum sasl_state sasl_start(struct sasl *s, enum sasl_mechanism mechanism,
			   const char nonce[SASL_NONCE_BYTES], bool has_initial,
			   struct span initial, struct buf *challenge)
{
	memset(s, 0, sizeof *s);
	s->mechanism = mechanism;
	memcpy(s->nonce, nonce, SASL_NONCE_BYTES);
	if (has_initial)
		return sasl_more(s, initial, challenge);
	if (mechanism == SASL_LOGIN)
		buf_append(challenge, SPAN_LIT("Username:"));
	return SASL_CHALLENGE;
}

void sasl_fini(struct sasl *s)
{
	secret_wipe_buf(&s->messages);
	secret_wipe_buf(&s->header);
	secret_wipe_buf(&s->nonces);
	secret_wipe(s, sizeof *s);
}
