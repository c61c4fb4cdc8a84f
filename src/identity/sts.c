#include "identity/sts.h"

#include "base/ascii.h"

#define YEAR_S 31557600u

/* ---- the record ---- */

bool sts_record(struct span text, char out_id[STS_ID_BYTES])
{
	bool has_id = false, is_first = true;

	while (text.n) {
		struct span field = span_trim(span_cut(&text, ';')), key;

		key = span_trim(span_cut(&field, '='));
		field = span_trim(field);
		if (is_first && !(span_eq(key, SPAN_LIT("v")) && span_eq(field, SPAN_LIT("STSv1"))))
			return false;
		is_first = false;
		if (!span_eq(key, SPAN_LIT("id")))
			continue;
		if (has_id || field.n == 0 || field.n >= STS_ID_BYTES)
			return false;
		for (size_t i = 0; i < field.n; i++) {
			if (!ascii_is_alnum(field.p[i]))
				return false;
		}
		memcpy(out_id, field.p, field.n);
		out_id[field.n] = '\0';
		has_id = true;
	}
	return has_id;
}

/* ---- the policy ---- */

static bool add_pattern(struct sts_policy *p, struct span value)
{
	char *out = p->patterns[p->patterns_n];
	struct span rest = value;

	if (value.n == 0 || value.n >= STS_PATTERN_BYTES || p->patterns_n == STS_PATTERNS)
		return false;
	if (span_starts(rest, SPAN_LIT("*.")))
		rest = span_from(rest, 2);
	for (size_t i = 0; i < rest.n; i++) {
		if (!ascii_is_alnum(rest.p[i]) && rest.p[i] != '-' && rest.p[i] != '.' &&
		    rest.p[i] != '_')
			return false;
	}
	for (size_t i = 0; i < value.n; i++)
		out[i] = (char)ascii_lower(value.p[i]);
	out[value.n] = '\0';
	p->patterns_n++;
	return rest.n > 0;
}

static bool read_mode(struct span value, enum sts_mode *out)
{
	if (span_eq(value, SPAN_LIT("enforce")))
		*out = STS_ENFORCE;
	else if (span_eq(value, SPAN_LIT("testing")))
		*out = STS_TESTING;
	else if (span_eq(value, SPAN_LIT("none")))
		*out = STS_NONE;
	else
		return false;
	return true;
}

bool sts_policy_read(struct span text, struct sts_policy *out)
{
	bool has_version = false, has_mode = false, has_age = false, ok = true;

	*out = (struct sts_policy){.mode = STS_NONE};
	while (ok && text.n) {
		struct span value = span_trim(span_cut(&text, '\n')), key;

		if (value.n == 0)
			continue;
		key = span_trim(span_cut(&value, ':'));
		value = span_trim(value);
		if (span_eq(key, SPAN_LIT("version"))) {
			ok = !has_version && span_eq(value, SPAN_LIT("STSv1"));
			has_version = true;
		} else if (span_eq(key, SPAN_LIT("mode"))) {
			ok = !has_mode && read_mode(value, &out->mode);
			has_mode = true;
		} else if (span_eq(key, SPAN_LIT("max_age"))) {
			ok = !has_age && span_to_u64(value, UINT32_MAX, &out->max_age_s);
			has_age = true;
		} else if (span_eq(key, SPAN_LIT("mx"))) {
			ok = add_pattern(out, value);
		}
	}
	if (out->max_age_s > YEAR_S)
		out->max_age_s = YEAR_S;
	return ok && has_version && has_mode && has_age &&
	       (out->mode == STS_NONE || out->patterns_n);
}

/* "*." stands for one label (s4.1). */
bool sts_allows(const struct sts_policy *policy, struct span host)
{
	for (size_t i = 0; i < policy->patterns_n; i++) {
		struct span pattern = span_str(policy->patterns[i]), rest = host;

		if (span_starts(pattern, SPAN_LIT("*."))) {
			pattern = span_from(pattern, 2);
			if (!span_cut(&rest, '.').n)
				continue;
		}
		if (rest.n && span_eq_nocase(pattern, rest))
			return true;
	}
	return false;
}

/* ---- the web server's answer ---- */

/* "HTTP/1.1 200 OK" */
static bool is_fine(struct span line)
{
	return span_starts(line, SPAN_LIT("HTTP/1.")) && line.n >= 12 && line.p[8] == ' ' &&
	       memcmp(line.p + 9, "200", 3) == 0 && (line.n == 12 || line.p[12] == ' ');
}

struct head {
	bool is_plain, is_bad;
	uint64_t length; /* UINT64_MAX: up to the end */
};

static void read_field(struct head *h, struct span line)
{
	struct span value = line, name = span_cut(&value, ':'), type;

	value = span_trim(value);
	if (span_eq_nocase(name, SPAN_LIT("Content-Type"))) {
		type = span_trim(span_cut(&value, ';'));
		h->is_plain = span_eq_nocase(type, SPAN_LIT("text/plain"));
	} else if (span_eq_nocase(name, SPAN_LIT("Content-Length"))) {
		h->is_bad = h->is_bad || !span_to_u64(value, STS_RESPONSE_BYTES, &h->length);
	} else if (span_eq_nocase(name, SPAN_LIT("Transfer-Encoding"))) {
		h->is_bad = true; /* we ask by HTTP/1.0, which has none */
	}
}

enum rc sts_response(struct span bytes, bool is_end, struct span *out_body)
{
	const unsigned char *end =
		memmem(bytes.p ? bytes.p : (const unsigned char *)"", bytes.n, "\r\n\r\n", 4);
	struct head h = {.length = UINT64_MAX};
	struct span head, body;

	if (bytes.n > STS_RESPONSE_BYTES)
		return REFUSED;
	if (!end)
		return is_end ? REFUSED : MORE;
	head = span_first(bytes, (size_t)(end - bytes.p));
	body = span_from(bytes, head.n + 4);
	if (!is_fine(span_trim(span_cut(&head, '\n'))))
		return REFUSED;
	while (head.n)
		read_field(&h, span_trim(span_cut(&head, '\n')));
	if (h.is_bad || !h.is_plain)
		return REFUSED;
	if (h.length != UINT64_MAX && body.n >= h.length) {
		*out_body = span_first(body, (size_t)h.length);
		return OK;
	}
	if (!is_end)
		return MORE;
	if (h.length != UINT64_MAX)
		return REFUSED; /* cut off */
	*out_body = body;
	return OK;
}
