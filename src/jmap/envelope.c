#include "jmap/envelope.h"

#include "mail/text.h"

/* ---- IMAP's words ---- */

/* A quoted string, a literal or NIL at the front; appends what it says. False: something else is there. */
static bool word(struct span *rest, struct buf *out)
{
	if (rest->n >= 3 && memcmp(rest->p, "NIL", 3) == 0) {
		*rest = span_from(*rest, 3);
		return true;
	}
	if (rest->n && rest->p[0] == '{') {
		struct span from = span_from(*rest, 1), digits = span_cut(&from, '}');
		uint64_t n;

		if (!span_to_u64(digits, from.n, &n) || n + 2 > from.n)
			return false;
		(void)buf_append(out, span_first(span_from(from, 2), (size_t)n));
		*rest = span_from(from, 2 + (size_t)n);
		return true;
	}
	if (rest->n == 0 || rest->p[0] != '"')
		return false;
	for (size_t i = 1; i < rest->n; i++) {
		if (rest->p[i] == '"') {
			*rest = span_from(*rest, i + 1);
			return true;
		}
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		(void)buf_append_byte(out, rest->p[i]);
	}
	return false;
}

static void skip(struct span *rest, unsigned char c)
{
	if (rest->n && rest->p[0] == c)
		*rest = span_from(*rest, 1);
}

/* Behind one field: a word, or an address list with words in brackets. */
static bool skip_field(struct span *rest)
{
	struct buf drop = {0};
	unsigned depth = 0;
	bool is_fine = true;

	do {
		if (rest->n && rest->p[0] == '(') {
			depth++;
			*rest = span_from(*rest, 1);
		} else if (rest->n && rest->p[0] == ')') {
			is_fine = depth-- > 0;
			*rest = span_from(*rest, 1);
		} else {
			is_fine = word(rest, &drop);
			buf_clear(&drop);
		}
		if (depth)
			skip(rest, ' ');
	} while (is_fine && depth);
	buf_fini(&drop);
	skip(rest, ' ');
	return is_fine;
}

static bool field(struct span envelope, unsigned index, struct span *out)
{
	skip(&envelope, '(');
	for (unsigned i = 0; i < index; i++) {
		if (!skip_field(&envelope))
			return false;
	}
	*out = envelope;
	return true;
}

/* ---- what is sorted by ---- */

void jmap_envelope_first(struct span envelope, enum jmap_envelope_field which, struct buf *out)
{
	struct buf name = {0}, route = {0}, local = {0}, domain = {0};
	struct span rest;

	if (field(envelope, which, &rest) && rest.n > 1 && rest.p[0] == '(') {
		skip(&rest, '(');
		skip(&rest, '(');
		if (word(&rest, &name)) {
			skip(&rest, ' ');
			(void)word(&rest, &route);
			skip(&rest, ' ');
			(void)word(&rest, &local);
			skip(&rest, ' ');
			(void)word(&rest, &domain);
		}
		if (name.n)
			(void)text_header(buf_span(&name), out);
		else
			(void)buf_printf(out, "%.*s@%.*s", SPAN_FMT(buf_span(&local)),
					 SPAN_FMT(buf_span(&domain)));
	}
	buf_fini(&name);
	buf_fini(&route);
	buf_fini(&local);
	buf_fini(&domain);
}

/* "re", "fw", "fwd" with "[...]" behind it and a colon: what stands behind. */
static bool without_leader(struct span *s)
{
	static const char *const leaders[] = {"re", "fwd", "fw"};
	struct span rest = *s;

	for (size_t i = 0; i < sizeof leaders / sizeof *leaders; i++) {
		struct span after;

		if (!span_starts_nocase(rest, span_str(leaders[i])))
			continue;
		after = span_trim(span_from(rest, strlen(leaders[i])));
		if (after.n && after.p[0] == '[') {
			ssize_t end = span_chr(after, ']');

			after = end < 0 ? after : span_trim(span_from(after, (size_t)end + 1));
		}
		if (after.n == 0 || after.p[0] != ':')
			continue;
		*s = span_trim(span_from(after, 1));
		return true;
	}
	return false;
}

/* "[list] " in front, when something is left behind it. */
static bool without_blob(struct span *s)
{
	ssize_t end = s->n && s->p[0] == '[' ? span_chr(*s, ']') : -1;
	struct span rest;

	if (end < 0 || span_chr(span_of(s->p + 1, (size_t)end - 1), '[') >= 0)
		return false;
	rest = span_trim(span_from(*s, (size_t)end + 1));
	if (rest.n == 0)
		return false;
	*s = rest;
	return true;
}

static bool without_trailer(struct span *s)
{
	if (!span_ends_nocase(*s, SPAN_LIT("(fwd)")))
		return false;
	*s = span_trim(span_first(*s, s->n - 5));
	return true;
}

static bool without_wrapping(struct span *s)
{
	if (!span_starts_nocase(*s, SPAN_LIT("[fwd:")) || s->p[s->n - 1] != ']')
		return false;
	*s = span_trim(span_of(s->p + 5, s->n - 6));
	return true;
}

struct span jmap_base_subject(struct span s)
{
	s = span_trim(s);
	while (without_trailer(&s) || without_leader(&s) || without_blob(&s) ||
	       without_wrapping(&s))
		continue;
	return s;
}

void jmap_envelope_subject(struct span envelope, struct buf *out)
{
	struct buf raw = {0}, text = {0};
	struct span rest;

	if (field(envelope, 1, &rest) && word(&rest, &raw))
		(void)text_header(buf_span(&raw), &text);
	(void)buf_append(out, jmap_base_subject(buf_span(&text)));
	buf_fini(&raw);
	buf_fini(&text);
}
