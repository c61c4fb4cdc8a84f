/* Parameters and picking of fields; addresses are in field_address.c, dates in field_date.c. */
#include "mail/field.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "mail/field_scan.h"
#include "mail/text.h"

/* ---- scanning, shared with field_address.c ---- */

size_t scan_comment(struct span s, size_t at, struct buf *text)
{
	size_t depth = 1;

	for (at++; at < s.n; at++) {
		unsigned char c = s.p[at];

		if (c == '\\' && at + 1 < s.n)
			c = s.p[++at];
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			return at + 1;
		if (text)
			(void)buf_append_byte(text, c);
	}
	return at;
}

size_t scan_quoted(struct span s, size_t at, struct buf *text)
{
	for (at++; at < s.n && s.p[at] != '"'; at++) {
		if (s.p[at] == '\\' && at + 1 < s.n)
			at++;
		if (text && s.p[at] != '\r' && s.p[at] != '\n')
			(void)buf_append_byte(text, s.p[at]);
	}
	return at < s.n ? at + 1 : at;
}

bool scan_is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t scan_blanks(struct span s, size_t at)
{
	while (at < s.n && (scan_is_blank(s.p[at]) || s.p[at] == '('))
		at = s.p[at] == '(' ? scan_comment(s, at, NULL) : at + 1;
	return at;
}

/* ---- parameters ---- */

void field_value(struct span field, struct buf *out)
{
	size_t from = out->n, lead = 0;

	for (size_t at = 0; at < field.n && field.p[at] != ';';) {
		if (field.p[at] == '(')
			at = scan_comment(field, at, NULL);
		else
			(void)buf_append_byte(out, field.p[at++]);
	}
	while (out->n > from && scan_is_blank(out->p[out->n - 1]))
		out->n--;
	while (from + lead < out->n && scan_is_blank(out->p[from + lead]))
		lead++;
	if (lead > 0)
		memmove(out->p + from, out->p + from + lead, out->n - from - lead);
	out->n -= lead;
}

/* Behind the next ";" outside of quotes and comments; the end when there is none. */
static size_t next_param(struct span s, size_t at)
{
	while (at < s.n && s.p[at] != ';') {
		if (s.p[at] == '(')
			at = scan_comment(s, at, NULL);
		else if (s.p[at] == '"')
			at = scan_quoted(s, at, NULL);
		else
			at++;
	}
	return at < s.n ? at + 1 : at;
}

/* A value that is not quoted goes to the next ";", blanks inside and all, as programs write file names. */
static size_t bare_value(struct span s, size_t at, struct buf *out)
{
	size_t from = out->n;

	while (at < s.n && s.p[at] != ';') {
		if (s.p[at] == '(' && at > 0 && scan_is_blank(s.p[at - 1]))
			at = scan_comment(s, at, NULL);
		else
			(void)buf_append_byte(out, s.p[at++]);
	}
	while (out->n > from && scan_is_blank(out->p[out->n - 1]))
		out->n--;
	return at;
}

/* Name and value at `at` (behind a ";"). False: nothing usable. *end is where it ends. */
static bool param_at(struct span s, size_t at, size_t *end, struct buf *scratch, size_t *name_n)
{
	buf_clear(scratch);
	at = scan_blanks(s, at);
	while (at < s.n && s.p[at] != '=' && s.p[at] != ';' && !scan_is_blank(s.p[at]) &&
	       s.p[at] != '"')
		(void)buf_append_byte(scratch, ascii_lower(s.p[at++]));
	*name_n = scratch->n;
	at = scan_blanks(s, at);
	*end = at;
	if (at >= s.n || s.p[at] != '=' || *name_n == 0)
		return false;
	at = scan_blanks(s, at + 1);
	*end = at < s.n && s.p[at] == '"' ? scan_quoted(s, at, scratch)
					  : bare_value(s, at, scratch);
	return true;
}

bool field_param_next(struct span field, size_t *cursor, struct buf *scratch, struct span *out_name,
		      struct span *out_value)
{
	while (*cursor < field.n) {
		size_t at = next_param(field, *cursor), end = at, name_n;
		bool is_good = at < field.n && param_at(field, at, &end, scratch, &name_n);

		/* Not behind the ";" that ends it: next_param looks for that. */
		*cursor = end > at ? end : at;
		if (!is_good && *cursor >= field.n)
			return false;
		if (!is_good)
			continue;
		*out_name = span_first(buf_span(scratch), name_n);
		*out_value = span_from(buf_span(scratch), name_n);
		return true;
	}
	return false;
}

/* ---- RFC 2231 ---- */

struct section {
	size_t at, n; /* in pool */
	bool is_there, is_encoded;
};

struct sections {
	struct section of[FIELD_PARAM_SECTIONS_LIMIT];
	struct section plain, whole; /* name, name* */
	struct buf pool;
};

/* The section number and whether it is encoded, of what follows the name: "", "*", "*0", "*0*". */
static struct section *section_of(struct sections *s, struct span rest, bool *is_encoded)
{
	uint64_t i;

	*is_encoded = rest.n > 0 && rest.p[rest.n - 1] == '*';
	if (rest.n == 0)
		return &s->plain;
	if (rest.p[0] != '*')
		return NULL;
	if (rest.n == 1)
		return &s->whole;
	rest = span_from(rest, 1);
	if (*is_encoded)
		rest.n--;
	if (!span_to_u64(rest, FIELD_PARAM_SECTIONS_LIMIT - 1, &i) ||
	    (rest.n > 1 && rest.p[0] == '0'))
		return NULL;
	return &s->of[i];
}

static void gather(struct span field, struct span name, struct sections *s)
{
	struct buf scratch;
	struct span n, v;
	size_t cursor = 0;

	buf_init(&scratch, field.n + 1);
	while (field_param_next(field, &cursor, &scratch, &n, &v)) {
		bool is_encoded;
		struct section *where;

		if (!span_starts(n, name))
			continue;
		where = section_of(s, span_from(n, name.n), &is_encoded);
		if (!where || where->is_there)
			continue;
		*where = (struct section){s->pool.n, v.n, buf_append(&s->pool, v), is_encoded};
	}
	buf_fini(&scratch);
}

static void percent(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
		    ascii_hex(s.p[i + 2]) >= 0) {
			(void)buf_append_byte(out, (unsigned char)(ascii_hex(s.p[i + 1]) << 4 |
								   ascii_hex(s.p[i + 2])));
			i += 2;
		} else {
			(void)buf_append_byte(out, s.p[i]);
		}
	}
}

static struct span section_text(const struct sections *s, const struct section *which)
{
	return span_of(s->pool.p + which->at, which->n);
}

/* charset'language'text of the first section; the charset is that of all encoded ones. */
static void join(const struct sections *s, struct buf *out)
{
	const struct section *first = s->whole.is_there ? &s->whole : &s->of[0];
	struct text_reader reader;
	struct span text = section_text(s, first), charset = SPAN_NONE;
	struct buf bytes, utf8;

	buf_init(&bytes, s->pool.n + 1);
	buf_init(&utf8, 4 * s->pool.n + 16);
	if (first->is_encoded && span_chr(text, '\'') >= 0) {
		charset = span_cut(&text, '\'');
		if (span_chr(text, '\'') >= 0)
			(void)span_cut(&text, '\'');
	}
	if (first->is_encoded)
		percent(text, &bytes);
	else
		(void)buf_append(&bytes, text);
	for (size_t i = 1;
	     first != &s->whole && i < FIELD_PARAM_SECTIONS_LIMIT && s->of[i].is_there; i++) {
		if (s->of[i].is_encoded)
			percent(section_text(s, &s->of[i]), &bytes);
		else
			(void)buf_append(&bytes, section_text(s, &s->of[i]));
	}
	text_reader_init(&reader, text_charset(charset));
	(void)text_reader_feed(&reader, buf_span(&bytes), &utf8);
	(void)text_reader_end(&reader, &utf8);
	(void)text_safe(buf_span(&utf8), out);
	buf_fini(&bytes);
	buf_fini(&utf8);
}

bool field_param(struct span field, const char *name, struct buf *out)
{
	struct sections *s = calloc(1, sizeof *s);
	bool is_there;

	if (!s)
		return false;
	buf_init(&s->pool, field.n + 1);
	gather(field, span_str(name), s);
	if (s->whole.is_there || s->of[0].is_there)
		join(s, out);
	else if (s->plain.is_there)
		(void)text_header(section_text(s, &s->plain), out);
	is_there = s->whole.is_there || s->of[0].is_there || s->plain.is_there;
	buf_fini(&s->pool);
	free(s);
	return is_there;
}

/* ---- picking ---- */

void field_pick_init(struct field_pick *p, const struct span *names, size_t names_n, bool is_not)
{
	*p = (struct field_pick){.names = names, .names_n = names_n, .is_not = is_not};
}

static bool is_picked(const struct field_pick *p)
{
	struct span name = span_trim(span_of(p->name, p->name_n));
	bool is_named = false;

	for (size_t i = 0; i < p->names_n && !is_named; i++)
		is_named = span_eq_nocase(name, p->names[i]);
	return is_named != p->is_not;
}

/* One byte at the start of a line or in a name. */
static bool pick_byte(struct field_pick *p, unsigned char c, struct buf *out)
{
	if (p->at == FIELD_PICK_CR) {
		if (c == '\n') {
			p->at = FIELD_PICK_DONE;
			return buf_append(out, SPAN_LIT("\r\n"));
		}
		p->at = FIELD_PICK_SKIP;
		return true;
	}
	if (p->at == FIELD_PICK_START && (c == ' ' || c == '\t')) {
		p->at = p->was_copied ? FIELD_PICK_COPY : FIELD_PICK_SKIP;
		return !p->was_copied || buf_append_byte(out, c);
	}
	if (p->at == FIELD_PICK_START) {
		p->name_n = 0;
		p->was_copied = false;
		p->at = FIELD_PICK_NAME;
		if (c == '\r' || c == '\n') {
			p->at = c == '\r' ? FIELD_PICK_CR : FIELD_PICK_DONE;
			return c == '\r' || buf_append_byte(out, c);
		}
	}
	if (c == ':') {
		p->was_copied = is_picked(p);
		p->at = p->was_copied ? FIELD_PICK_COPY : FIELD_PICK_SKIP;
		return !p->was_copied ||
		       (buf_append(out, span_of(p->name, p->name_n)) && buf_append_byte(out, c));
	}
	if (c == '\n') {
		p->at = FIELD_PICK_START;
		return true;
	}
	if (p->name_n == sizeof p->name)
		p->at = FIELD_PICK_SKIP;
	else
		p->name[p->name_n++] = c;
	return true;
}

bool field_pick_feed(struct field_pick *p, struct span piece, struct buf *out)
{
	while (piece.n > 0 && p->at != FIELD_PICK_DONE) {
		if (p->at == FIELD_PICK_COPY || p->at == FIELD_PICK_SKIP) {
			ssize_t lf = span_chr(piece, '\n');
			size_t n = lf < 0 ? piece.n : (size_t)lf + 1;

			if (p->at == FIELD_PICK_COPY && !buf_append(out, span_first(piece, n)))
				return false;
			if (lf >= 0)
				p->at = FIELD_PICK_START;
			piece = span_from(piece, n);
			continue;
		}
		if (!pick_byte(p, piece.p[0], out))
			return false;
		piece = span_from(piece, 1);
	}
	return true;
}

bool field_pick_end(struct field_pick *p, struct buf *out)
{
	if (p->at == FIELD_PICK_DONE)
		return true;
	if (p->at == FIELD_PICK_COPY && !buf_append(out, SPAN_LIT("\r\n")))
		return false;
	p->at = FIELD_PICK_DONE;
	return buf_append(out, SPAN_LIT("\r\n"));
}
