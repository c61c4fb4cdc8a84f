/*
 * ENVELOPE, BODY and BODYSTRUCTURE of a parsed message as IMAP text. The table is in preorder, so parts are written while
 * walking it; what stands behind a part's children is written on the way up.
 */
#include "base/ascii.h"
#include "mail/digest.h"
#include "mail/field.h"

enum { QUOTED_LIMIT = 1000 };

/* ---- strings ---- */

static bool must_be_literal(struct span s)
{
	if (s.n > QUOTED_LIMIT)
		return true;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 127)
			return true;
	return false;
}

/* No CR, LF or NUL may come: they become blanks. */
static unsigned char clean(unsigned char c)
{
	return c == '\r' || c == '\n' || c == '\t' || c == '\0' ? ' ' : c;
}

static bool put(struct buf *out, const char *text)
{
	return buf_append(out, span_str(text));
}

static bool put_string(struct buf *out, struct span s)
{
	if (!buf_reserve(out, 2 * s.n + 32))
		return false;
	if (must_be_literal(s)) {
		(void)buf_printf(out, "{%zu}\r\n", s.n);
		for (size_t i = 0; i < s.n; i++)
			out->p[out->n++] = clean(s.p[i]);
		return true;
	}
	out->p[out->n++] = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			out->p[out->n++] = '\\';
		out->p[out->n++] = clean(s.p[i]);
	}
	out->p[out->n++] = '"';
	return true;
}

static bool put_nstring(struct buf *out, struct span s)
{
	return s.p ? put_string(out, s) : put(out, "NIL");
}

static bool put_number(struct buf *out, uint64_t n)
{
	return buf_printf(out, "%llu", (unsigned long long)n);
}

/* ---- ENVELOPE ---- */

struct address_list {
	struct buf *out;
	size_t n;
	bool is_fine;
};

/* RFC 9051 s7.5.2: a host of NIL marks the beginning or the end of a group, so that no address may lack one. */
static bool on_address(void *arg, const struct field_address *a)
{
	struct address_list *l = arg;
	struct span local = a->local, domain = a->domain;

	if (a->kind == FIELD_MAILBOX) {
		local = local.p ? local : SPAN_LIT("MISSING_MAILBOX");
		domain = domain.p ? domain : SPAN_LIT("MISSING_DOMAIN");
	} else {
		local = a->kind == FIELD_GROUP_START ? a->name : SPAN_NONE;
		domain = SPAN_NONE;
	}
	l->is_fine = (l->n > 0 || put(l->out, "(")) && put(l->out, "(") &&
		     put_nstring(l->out, a->kind == FIELD_MAILBOX ? a->name : SPAN_NONE) &&
		     put(l->out, " ") && put_nstring(l->out, a->route) && put(l->out, " ") &&
		     put_nstring(l->out, local) && put(l->out, " ") &&
		     put_nstring(l->out, domain) && put(l->out, ")");
	l->n++;
	return l->is_fine;
}

static bool put_addresses(struct buf *out, struct span value)
{
	struct address_list l = {.out = out, .is_fine = true};

	if (value.n > 0)
		(void)field_addresses(value, on_address, &l);
	return l.is_fine && put(out, l.n > 0 ? ")" : "NIL");
}

bool digest_envelope(const struct mime *m, int message, struct buf *out)
{
	static const struct span none[MIME_HEADS];
	const struct mime_part *p = mime_part(m, message);
	const struct span *h = p->heads ? p->heads : none;
	struct span from = h[MIME_FROM];
	struct span sender = h[MIME_SENDER].n > 0 ? h[MIME_SENDER] : from;
	struct span reply_to = h[MIME_REPLY_TO].n > 0 ? h[MIME_REPLY_TO] : from;
	const struct span lists[] = {from, sender, reply_to, h[MIME_TO], h[MIME_CC], h[MIME_BCC]};

	if (!put(out, "(") || !put_nstring(out, h[MIME_DATE]) || !put(out, " ") ||
	    !put_nstring(out, h[MIME_SUBJECT]))
		return false;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (!put(out, " ") || !put_addresses(out, lists[i]))
			return false;
	return put(out, " ") && put_nstring(out, h[MIME_IN_REPLY_TO]) && put(out, " ") &&
	       put_nstring(out, h[MIME_MESSAGE_ID]) && put(out, ")");
}

/* ---- pieces of a structure ---- */

static bool put_params(struct buf *out, struct span field, bool is_text)
{
	struct span name, value;
	struct buf scratch;
	size_t cursor = 0, n = 0;
	bool is_fine = true, has_charset = false;

	buf_init(&scratch, field.n + 1);
	while (is_fine && n < FIELD_PARAMS_LIMIT && field.p &&
	       field_param_next(field, &cursor, &scratch, &name, &value)) {
		has_charset |= span_starts(name, SPAN_LIT("charset"));
		is_fine = put(out, n++ == 0 ? "(" : " ") && put_string(out, name) &&
			  put(out, " ") && put_string(out, value);
	}
	/* RFC 2045 s5.2: what a text without charset is */
	if (is_fine && is_text && !has_charset)
		is_fine = put(out, n++ == 0 ? "(" : " ") && put(out, "\"charset\" \"us-ascii\"");
	buf_fini(&scratch);
	return is_fine && put(out, n == 0 ? "NIL" : ")");
}

static bool put_value(struct buf *out, struct span field)
{
	struct buf text;
	bool is_fine;

	buf_init(&text, field.n + 1);
	field_value(field, &text);
	for (size_t i = 0; i < text.n; i++)
		text.p[i] = ascii_lower(text.p[i]);
	is_fine = put_string(out, buf_span(&text));
	buf_fini(&text);
	return is_fine;
}

static bool put_disposition(struct buf *out, struct span field)
{
	if (field.n == 0)
		return put(out, "NIL");
	return put(out, "(") && put_value(out, field) && put(out, " ") &&
	       put_params(out, field, false) && put(out, ")");
}

static bool put_language(struct buf *out, struct span field)
{
	size_t n = 0;

	while (field.n > 0) {
		struct span one = span_trim(span_cut(&field, ','));

		if (one.n == 0)
			continue;
		if (!put(out, n++ == 0 ? "(" : " ") || !put_string(out, one))
			return false;
	}
	return put(out, n == 0 ? "NIL" : ")");
}

/* What is no token is no encoding: the bytes are taken as they are. */
static bool put_encoding(struct buf *out, const struct mime_part *p)
{
	struct span field = p->fields[MIME_CONTENT_ENCODING];
	size_t from = out->n;

	if (field.n == 0 || !put_value(out, field))
		return field.n == 0 && put(out, "\"7bit\"");
	for (size_t i = from + 1; i + 1 < out->n; i++)
		if (!ascii_is_alnum(out->p[i]) && out->p[i] != '-' && out->p[i] != '_') {
			out->n = from;
			return put(out, "\"7bit\"");
		}
	return true;
}

static bool put_type(struct buf *out, const char *type, const char *subtype)
{
	return put_string(out, span_str(type)) && put(out, " ") &&
	       put_string(out, span_str(subtype));
}

static bool is_multipart(const struct mime_part *p)
{
	return span_eq(p->type, SPAN_LIT("multipart"));
}

static bool is_text(const struct mime_part *p)
{
	return span_eq(p->type, SPAN_LIT("text"));
}

/* A message/rfc822 that was not looked into cannot be said in IMAP's grammar without its envelope. */
static bool is_opaque_message(const struct mime_part *p)
{
	return p->first_child == MIME_NONE && span_eq(p->type, SPAN_LIT("message")) &&
	       (span_eq(p->subtype, SPAN_LIT("rfc822")) || span_eq(p->subtype, SPAN_LIT("global")));
}

/* ... "type" "subtype" (params) id description encoding octets */
static bool put_basic(struct buf *out, const struct mime_part *p)
{
	bool is_fine = is_opaque_message(p) ? put_type(out, "application", "octet-stream")
					    : put_string(out, p->type) && put(out, " ") &&
						      put_string(out, p->subtype);

	return is_fine && put(out, " ") &&
	       put_params(out, p->fields[MIME_CONTENT_TYPE], is_text(p)) && put(out, " ") &&
	       put_nstring(out, p->fields[MIME_CONTENT_ID]) && put(out, " ") &&
	       put_nstring(out, p->fields[MIME_CONTENT_DESCRIPTION]) && put(out, " ") &&
	       put_encoding(out, p) && put(out, " ") && put_number(out, p->end - p->body_at);
}

/* Extension data behind the md5 (of a single part) or the parameters (of a multipart). */
static bool put_extension(struct buf *out, const struct mime_part *p)
{
	return put(out, " ") && put_disposition(out, p->fields[MIME_CONTENT_DISPOSITION]) &&
	       put(out, " ") && put_language(out, p->fields[MIME_CONTENT_LANGUAGE]) &&
	       put(out, " ") && put_nstring(out, p->fields[MIME_CONTENT_LOCATION]);
}

static bool put_single_extension(struct buf *out, const struct mime_part *p)
{
	return put(out, " ") && put_nstring(out, p->fields[MIME_CONTENT_MD5]) &&
	       put_extension(out, p);
}

/* ---- the walk ---- */

/* Of a multipart without parts, or without a boundary to tell them by: all there is, as plain text. */
static bool put_only_part(struct buf *out, const struct mime_part *p, bool is_extended)
{
	bool is_leaf = p->kind == MIME_LEAF;

	return put(out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" ") &&
	       put_number(out, is_leaf ? p->end - p->body_at : 0) && put(out, " ") &&
	       put_number(out, is_leaf ? p->body_lines : 0) &&
	       (!is_extended || put(out, " NIL NIL NIL NIL")) && put(out, ")");
}

static bool enter(const struct mime *m, int i, bool is_extended, struct buf *out)
{
	const struct mime_part *p = mime_part(m, i);

	if (!put(out, "("))
		return false;
	if (p->kind == MIME_MULTIPART && p->children > 0)
		return true;
	if (is_multipart(p)) /* IMAP knows none without parts */
		return put_only_part(out, p, is_extended);
	if (!put_basic(out, p))
		return false;
	if (p->kind == MIME_MESSAGE && p->first_child != MIME_NONE)
		return put(out, " ") && digest_envelope(m, p->first_child, out) && put(out, " ");
	if (is_text(p) && !(put(out, " ") && put_number(out, p->body_lines)))
		return false;
	return !is_extended || put_single_extension(out, p);
}

static bool leave(const struct mime *m, int i, bool is_extended, struct buf *out)
{
	const struct mime_part *p = mime_part(m, i);

	if (is_multipart(p)) {
		if (!put(out, " ") || !put_string(out, p->subtype))
			return false;
		if (is_extended &&
		    !(put(out, " ") && put_params(out, p->fields[MIME_CONTENT_TYPE], false) &&
		      put_extension(out, p)))
			return false;
	} else if (p->kind == MIME_MESSAGE && p->first_child != MIME_NONE) {
		if (!put(out, " ") || !put_number(out, p->body_lines) ||
		    (is_extended && !put_single_extension(out, p)))
			return false;
	}
	return put(out, ")");
}

bool digest_structure(const struct mime *m, bool is_extended, struct buf *out)
{
	int i = 0;

	if (mime_parts(m) == 0)
		return false;
	for (;;) {
		const struct mime_part *p = mime_part(m, i);

		if (!enter(m, i, is_extended, out))
			return false;
		if (p->first_child != MIME_NONE) {
			i = p->first_child;
			continue;
		}
		while (i != 0 && mime_part(m, i)->next == MIME_NONE) {
			if (!leave(m, i, is_extended, out))
				return false;
			i = mime_part(m, i)->parent;
		}
		if (!leave(m, i, is_extended, out))
			return false;
		if (i == 0)
			return true;
		i = mime_part(m, i)->next;
	}
}
