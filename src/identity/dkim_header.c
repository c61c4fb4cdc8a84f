/* Header fields, their canonical forms, tag lists. */
#include "base/ascii.h"
#include "base/base64.h"
#include "base/must.h"
#include "identity/dkim_internal.h"
#include "mail/header.h"

const char *dkim_algorithm_name(enum dkim_algorithm a)
{
	return a == DKIM_ED25519_SHA256 ? "ed25519-sha256" : "rsa-sha256";
}

bool dkim_algorithm_of(struct span name, enum dkim_algorithm *out)
{
	if (span_eq(name, SPAN_LIT("rsa-sha256")))
		*out = DKIM_RSA_SHA256;
	else if (span_eq(name, SPAN_LIT("ed25519-sha256")))
		*out = DKIM_ED25519_SHA256;
	else
		return false;
	return true;
}

bool dkim_selector_is_good(struct span s)
{
	unsigned char before = '.';

	if (s.n == 0 || s.n > DKIM_SELECTOR_BYTES || s.p[s.n - 1] == '-' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '_' &&
		    ((s.p[i] != '-' && s.p[i] != '.') || before == '.'))
			return false;
		before = s.p[i];
	}
	return true;
}

void dkim_sha256(struct span data, unsigned char out[DKIM_HASH_BYTES])
{
	must(EVP_Digest(data.p ? data.p : (const unsigned char *)"", data.n, out, NULL,
			EVP_sha256(), NULL) == 1);
}

enum rc dkim_fields(struct arena *a, struct span header, struct dkim_field **out, size_t *out_n,
		    struct fault *why)
{
	struct dkim_field *fields = arena_array(a, DKIM_FIELDS_LIMIT, sizeof *fields);
	struct span name, value, whole;
	size_t n = 0;

	if (!fields) {
		fault_set(why, "no memory");
		return LATER;
	}
	while (header_next(&header, &name, &value, &whole)) {
		if (n == DKIM_FIELDS_LIMIT || whole.n > DKIM_FIELD_BYTES) {
			fault_set(why, "the header has too many fields, or one that is too long");
			return REFUSED;
		}
		fields[n++] = (struct dkim_field){.name = name, .whole = whole};
	}
	*out = fields;
	*out_n = n;
	return OK;
}

static void canon_value(struct buf *out, struct span value)
{
	bool has_blank = false, has_any = false;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = value.p[i];

		if (c == '\r' || c == '\n')
			continue;
		if (c == ' ' || c == '\t') {
			has_blank = true;
			continue;
		}
		if (has_blank && has_any)
			(void)buf_append_byte(out, ' ');
		has_blank = false;
		has_any = true;
		(void)buf_append_byte(out, c);
	}
}

void dkim_canon_field(struct buf *out, struct span whole, enum dkim_canon canon, bool has_crlf)
{
	ssize_t colon = span_chr(whole, ':');
	struct span name = span_trim(span_first(whole, colon > 0 ? (size_t)colon : 0));

	if (canon == DKIM_SIMPLE) {
		if (whole.n && whole.p[whole.n - 1] == '\n')
			whole.n--;
		if (whole.n && whole.p[whole.n - 1] == '\r')
			whole.n--;
		(void)buf_append(out, whole);
	} else {
		for (size_t i = 0; i < name.n; i++)
			(void)buf_append_byte(out, ascii_lower(name.p[i]));
		(void)buf_append_byte(out, ':');
		canon_value(out, span_from(whole, (size_t)(colon + 1)));
	}
	if (has_crlf)
		(void)buf_append(out, SPAN_LIT("\r\n"));
}

struct dkim_field *dkim_take_field(struct dkim_field *fields, size_t n, struct span name)
{
	while (n--) {
		if (!fields[n].is_used && span_eq_nocase(fields[n].name, name)) {
			fields[n].is_used = true;
			return &fields[n];
		}
	}
	return NULL;
}

bool dkim_tag(struct span list, const char *name, struct span *out)
{
	struct span found = SPAN_NONE;

	while (list.n) {
		struct span tag = span_trim(span_cut(&list, ';')), key;
		ssize_t equals = span_chr(tag, '=');

		if (tag.n == 0) {
			if (span_trim(list).n)
				return false;
			continue; /* the last ";" */
		}
		if (equals <= 0)
			return false;
		key = span_trim(span_first(tag, (size_t)equals));
		if (!span_eq(key, span_str(name)))
			continue;
		if (found.p)
			return false;
		found = span_trim(span_from(tag, (size_t)equals + 1));
		if (!found.p)
			found = SPAN_LIT("");
	}
	*out = found;
	return true;
}

bool dkim_base64(struct span text, struct buf *out)
{
	struct buf bare = {0};
	bool ok;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\r' && text.p[i] != '\n')
			(void)buf_append_byte(&bare, text.p[i]);
	}
	ok = base64_decode(out, buf_span(&bare));
	buf_fini(&bare);
	return ok;
}
