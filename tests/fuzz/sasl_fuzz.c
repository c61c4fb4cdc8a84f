/*
 * SASL messages of a hostile client: the first byte is the mechanism and whether there is an initial response, then each
 * message with its length before it (two bytes). Whatever comes, there are at most three answers, names end in NUL and
 * are within their bounds, and keys are only ever asked for once.
 */
#include "auth/sasl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take(struct span *rest)
{
	size_t n = rest->n < 2 ? 0 : (size_t)rest->p[0] << 8 | rest->p[1];
	struct span message = span_first(span_from(*rest, 2), n);

	*rest = span_from(*rest, 2 + n);
	return message;
}

static void check(const struct sasl *s)
{
	if (strnlen(s->name, sizeof s->name) > LOGIN_NAME_LIMIT_BYTES ||
	    strnlen(s->authorize, sizeof s->authorize) > LOGIN_NAME_LIMIT_BYTES ||
	    s->password.n > LOGIN_PASSWORD_LIMIT_BYTES ||
	    (s->password.n && memchr(s->password.p, 0, s->password.n)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char nonce[SASL_NONCE_BYTES + 1] = "ABCDEFGHIJKLMNOPQRSTUVWX";
	struct span rest = span_of(data, size);
	struct buf challenge = {0};
	struct scram_keys keys;
	enum sasl_state state;
	struct sasl s;
	unsigned rounds = 0, asked = 0;

	if (!size || !secret_prepare())
		return 0;
	rest = span_from(rest, 1);
	state = sasl_start(&s, (enum sasl_mechanism)(data[0] % 3), nonce, data[0] & 4,
			   data[0] & 4 ? take(&rest) : SPAN_NONE, &challenge);
	while (state == SASL_CHALLENGE || state == SASL_KEYS) {
		check(&s);
		if (++rounds > 6)
			abort();
		buf_clear(&challenge);
		if (state == SASL_KEYS) {
			if (asked++ || !s.name[0])
				abort();
			scram_pretend(SPAN_LIT("key"), span_str(s.name), &keys);
			state = sasl_keys(&s, &keys, &challenge);
		} else {
			state = sasl_more(&s, take(&rest), &challenge);
		}
	}
	check(&s);
	if (state == SASL_PROVED) /* nobody knows a password for these keys */
		abort();
	sasl_fini(&s);
	buf_fini(&challenge);
	return 0;
}
