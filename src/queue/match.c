/* The grammar of --match. See match.h. No recursion, no allocation. */
#include "queue/match.h"

#include <stdio.h>

#include "base/ascii.h"
#include "base/must.h"

static const char *const state_names[] = {
	[QUEUE_READY] = "ready",	 [QUEUE_OFFERED] = "offered",
	[QUEUE_DEFERRED] = "deferred",	 [QUEUE_DECIDE] = "decide",
	[QUEUE_DELIVERED] = "delivered", [QUEUE_RETURNED] = "returned",
	[QUEUE_DISCARDED] = "discarded",
};

const char *queue_state_name(enum queue_state s)
{
	must((size_t)s < sizeof state_names / sizeof *state_names);
	return state_names[s];
}

bool queue_state_is_open(enum queue_state s)
{
	return s <= QUEUE_DECIDE;
}

struct term {
	struct span key;
	char value[QUEUE_MATCH_VALUE_BYTES];
	size_t n;
};

static enum rc text_to(char *out, size_t cap, const struct term *t, struct fault *why)
{
	if (t->n >= cap) {
		fault_set(why, "the value of %.*s is longer than %zu characters", SPAN_FMT(t->key),
			  cap - 1);
		return REFUSED;
	}
	memcpy(out, t->value, t->n + 1);
	return OK;
}

static enum rc lower_to(char *out, size_t cap, const struct term *t, struct fault *why)
{
	enum rc rc = text_to(out, cap, t, why);

	for (char *p = out; rc == OK && *p; p++)
		*p = (char)ascii_lower((unsigned char)*p);
	return rc;
}

/* Digits, then a unit of the table. The product fits, or it is refused. */
struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit time_units[] = {
	{"s", 1000000},	   {"m", 60000000},    {"min", 60000000},
	{"h", 3600000000}, {"d", 86400000000}, {"w", 7 * (uint64_t)86400000000},
	{NULL, 0},
};
static const struct unit size_units[] = {
	{"", 1},      {"B", 1},	    {"KiB", 1 << 10}, {"MiB", 1 << 20},	  {"GiB", 1 << 30},
	{"kB", 1000}, {"KB", 1000}, {"MB", 1000000},  {"GB", 1000000000}, {NULL, 0},
};

static enum rc number_to(uint64_t *out, const struct term *t, const struct unit *units,
			 const char *example, struct fault *why)
{
	struct span s = span_of(t->value, t->n);
	size_t digits = 0;
	uint64_t n, product;

	while (digits < s.n && ascii_is_digit(s.p[digits]))
		digits++;
	if (digits > 0 && span_to_u64(span_first(s, digits), UINT64_MAX / 2, &n))
		for (const struct unit *u = units; u->name; u++)
			if (span_eq(span_from(s, digits), span_str(u->name)) &&
			    !__builtin_mul_overflow(n, u->factor, &product) &&
			    product <= INT64_MAX) {
				*out = product;
				return OK;
			}
	fault_set(why, "%.*s=%s is not understood; write it like %.*s=%s", SPAN_FMT(t->key),
		  t->value, SPAN_FMT(t->key), example);
	return REFUSED;
}

static enum rc id_to(struct queue_match *m, const struct term *t, struct fault *why)
{
	for (size_t i = 0; i < t->n; i++)
		if (ascii_hex((unsigned char)t->value[i]) < 0) {
			fault_set(why, "id=%s is not a message id: hexadecimal digits only",
				  t->value);
			return REFUSED;
		}
	if (t->n < 6 || t->n > 32) {
		fault_set(why, "id=%s: give 6 to 32 hexadecimal digits", t->value);
		return REFUSED;
	}
	return lower_to(m->id, sizeof m->id, t, why);
}

static enum rc state_to(struct queue_match *m, const struct term *t, struct fault *why)
{
	struct span s = span_of(t->value, t->n);

	if (span_eq_nocase(s, SPAN_LIT("held"))) {
		m->all_open = true;
		return OK;
	}
	for (int i = QUEUE_READY; i <= QUEUE_DECIDE; i++)
		if (span_eq_nocase(s, span_str(state_names[i]))) {
			m->state = (enum queue_state)i;
			return OK;
		}
	fault_set(why, "state=%s: one of held, ready, offered, deferred, decide", t->value);
	return REFUSED;
}

static enum rc sender_to(struct queue_match *m, struct term *t, struct fault *why)
{
	if (strcmp(t->value, "<>") == 0) {
		t->value[0] = '\0';
		t->n = 0;
	}
	return text_to(m->sender, sizeof m->sender, t, why);
}

static const struct {
	const char *key;
	unsigned flag;
} keys[] = {
	{"site", QUEUE_MATCH_SITE},	{"domain", QUEUE_MATCH_DOMAIN},
	{"rcpt", QUEUE_MATCH_RCPT},	{"sender", QUEUE_MATCH_SENDER},
	{"id", QUEUE_MATCH_ID},		{"state", QUEUE_MATCH_STATE},
	{"older", QUEUE_MATCH_OLDER},	{"newer", QUEUE_MATCH_NEWER},
	{"larger", QUEUE_MATCH_LARGER}, {"smaller", QUEUE_MATCH_SMALLER},
	{"text", QUEUE_MATCH_TEXT},
};

static enum rc term_to(struct queue_match *m, unsigned flag, struct term *t, struct fault *why)
{
	switch (flag) {
	case QUEUE_MATCH_SITE:
		return text_to(m->site, sizeof m->site, t, why);
	case QUEUE_MATCH_DOMAIN:
		return lower_to(m->domain, sizeof m->domain, t, why);
	case QUEUE_MATCH_RCPT:
		return text_to(m->rcpt, sizeof m->rcpt, t, why);
	case QUEUE_MATCH_SENDER:
		return sender_to(m, t, why);
	case QUEUE_MATCH_ID:
		return id_to(m, t, why);
	case QUEUE_MATCH_STATE:
		return state_to(m, t, why);
	case QUEUE_MATCH_OLDER:
		return number_to(&m->older_us, t, time_units, "2h", why);
	case QUEUE_MATCH_NEWER:
		return number_to(&m->newer_us, t, time_units, "30m", why);
	case QUEUE_MATCH_LARGER:
		return number_to(&m->larger_bytes, t, size_units, "1MiB", why);
	case QUEUE_MATCH_SMALLER:
		return number_to(&m->smaller_bytes, t, size_units, "64KiB", why);
	default:
		must(flag == QUEUE_MATCH_TEXT);
		return text_to(m->text, sizeof m->text, t, why);
	}
}

static bool looks_like_id(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_hex(s.p[i]) < 0)
			return false;
	return s.n > 0;
}

/* Takes one term off *rest: up to a comma that no backslash protects. */
static enum rc cut_term(struct span *rest, struct term *t, struct fault *why)
{
	struct span all = *rest;
	size_t i = 0, begin = 0;
	bool has_key = false;

	t->key = SPAN_NONE;
	t->n = 0;
	for (; i < all.n && all.p[i] != ','; i++) {
		unsigned char c = all.p[i];

		if (!has_key && c == '=') {
			t->key = span_trim(span_of(all.p + begin, i - begin));
			has_key = true;
			t->n = 0;
			continue;
		}
		if (c == '\\' && i + 1 < all.n)
			c = all.p[++i];
		if (c < 32 || c == 127 || t->n + 1 >= sizeof t->value) {
			fault_set(why, c < 32 || c == 127 ? "a control character in the expression"
							  : "a value is too long");
			return REFUSED;
		}
		t->value[t->n++] = (char)c;
	}
	t->value[t->n] = '\0';
	*rest = span_from(all, i < all.n ? i + 1 : i);
	if (!has_key && looks_like_id(span_of(t->value, t->n)))
		t->key = SPAN_LIT("id");
	return OK;
}

static enum rc take_term(struct queue_match *m, struct term *t, struct fault *why)
{
	if (span_is_empty(t->key)) {
		fault_set(why,
			  "'%s' is not of the form key=value; keys are site domain rcpt sender id "
			  "state "
			  "older newer larger smaller text",
			  t->value);
		return REFUSED;
	}
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (!span_eq(t->key, span_str(keys[i].key)))
			continue;
		if (m->flags & keys[i].flag) {
			fault_set(why, "%s= is given twice", keys[i].key);
			return REFUSED;
		}
		if (t->n == 0) {
			fault_set(why, "%s= has no value%s", keys[i].key,
				  keys[i].flag == QUEUE_MATCH_SENDER
					  ? "; the null sender is sender=<>"
					  : "");
			return REFUSED;
		}
		m->flags |= keys[i].flag;
		return term_to(m, keys[i].flag, t, why);
	}
	fault_set(
		why,
		"unknown key '%.*s'; keys are site domain rcpt sender id state older newer larger "
		"smaller text",
		SPAN_FMT(span_first(t->key, 40)));
	return REFUSED;
}

enum rc queue_match_parse(struct span text, struct queue_match *out, struct fault *why)
{
	struct queue_match m = {0};
	struct span rest = span_trim(text);
	bool more = true;

	if (rest.n == 0 || rest.n > QUEUE_MATCH_TEXT_LIMIT) {
		fault_set(why, rest.n == 0 ? "empty expression; to take all, say state=held"
					   : "the expression is too long");
		return REFUSED;
	}
	while (more) {
		struct term t;
		enum rc rc;

		more = false;
		rc = cut_term(&rest, &t, why);
		/* A comma was eaten when something follows, or when it was the last byte. */
		if (rc == OK)
			rc = take_term(&m, &t, why);
		if (rc != OK)
			return rc;
		more = rest.n > 0;
	}
	*out = m;
	return OK;
}
