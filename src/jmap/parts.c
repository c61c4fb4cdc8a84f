#include "jmap/parts.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "mail/field.h"
#include "mail/header.h"
#include "mail/text.h"

/* ---- what a part is ---- */

static bool is_type(const struct jmap_parts *p, int i, const char *type, const char *subtype)
{
	const struct mime_part *m = mime_part(p->mime, i);

	if (span_eq(m->type, SPAN_LIT("multipart"))) /* without parts: its text is all there is */
		return strcmp(type, "text") == 0 && (!subtype || strcmp(subtype, "plain") == 0);
	return span_eq(m->type, span_str(type)) &&
	       (!subtype || span_eq(m->subtype, span_str(subtype)));
}

static int parts_shown(const struct jmap_parts *p)
{
	int n = mime_parts(p->mime);

	return n < JMAP_PARTS_LIMIT ? n : JMAP_PARTS_LIMIT;
}

bool jmap_part_is_text(const struct jmap_parts *p, int i)
{
	return !p->parts[i].is_multipart && is_type(p, i, "text", NULL);
}

static bool is_media(const struct jmap_parts *p, int i)
{
	return is_type(p, i, "image", NULL) || is_type(p, i, "audio", NULL) ||
	       is_type(p, i, "video", NULL);
}

/* Appends the disposition, lower case; false: there is none. */
static bool disposition(const struct jmap_parts *p, int i, struct buf *out)
{
	struct span field = mime_part(p->mime, i)->fields[MIME_CONTENT_DISPOSITION];

	if (!field.p)
		return false;
	field_value(field, out);
	for (size_t k = 0; k < out->n; k++)
		out->p[k] = ascii_lower(out->p[k]);
	return out->n > 0;
}

static bool is_attached(const struct jmap_parts *p, int i)
{
	struct buf text = {0};
	bool is;

	is = disposition(p, i, &text) && span_eq(buf_span(&text), SPAN_LIT("attachment"));
	buf_fini(&text);
	return is;
}

static bool name_of(const struct jmap_parts *p, int i, struct buf *out)
{
	const struct mime_part *m = mime_part(p->mime, i);
	struct span where = m->fields[MIME_CONTENT_DISPOSITION],
		    type = m->fields[MIME_CONTENT_TYPE];

	return (where.p && field_param(where, "filename", out)) ||
	       (type.p && field_param(type, "name", out));
}

static bool has_name(const struct jmap_parts *p, int i)
{
	struct buf text = {0};
	bool has = name_of(p, i, &text) && text.n > 0;

	buf_fini(&text);
	return has;
}

/* ---- the lists ---- */

static void put(struct jmap_part_list *l, int part)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 8;
		l->items = reallocarray(l->items, l->cap, sizeof *l->items);
		must(l->items);
	}
	l->items[l->n++] = part;
}

void jmap_body_fini(struct jmap_body *b)
{
	free(b->text.items);
	free(b->html.items);
	free(b->attachments.items);
	*b = (struct jmap_body){0};
}

struct frame {	    /* one call of parseStructure */
	int next;   /* part to look at */
	unsigned i; /* which of them */
	bool is_alternative, is_related, in_alternative;
	bool has_text, has_html; /* the lists are not null */
	size_t text_n, html_n;	 /* textLength, htmlLength */
};

static bool is_inline(const struct jmap_parts *p, const struct frame *f, int part)
{
	bool is_shown = is_type(p, part, "text", "plain") || is_type(p, part, "text", "html") ||
			is_media(p, part);

	return is_shown && !is_attached(p, part) &&
	       (f->i == 0 || (!f->is_related && (is_media(p, part) || !has_name(p, part))));
}

static void put_inline(const struct jmap_parts *p, struct frame *f, int part, struct jmap_body *b)
{
	bool is_plain = is_type(p, part, "text", "plain"),
	     is_html = is_type(p, part, "text", "html");

	if (f->is_alternative) {
		if (is_plain && f->has_text)
			put(&b->text, part);
		else if (is_html && f->has_html)
			put(&b->html, part);
		else
			put(&b->attachments, part);
		return;
	}
	if (f->in_alternative && is_plain)
		f->has_html = false;
	if (f->in_alternative && is_html)
		f->has_text = false;
	if (f->has_text)
		put(&b->text, part);
	if (f->has_html)
		put(&b->html, part);
	if ((!f->has_text || !f->has_html) && is_media(p, part))
		put(&b->attachments, part);
}

/* Behind the last part of an alternative: what has only one form is in both lists. */
static void close_frame(const struct frame *f, struct jmap_body *b)
{
	size_t text_n = b->text.n, html_n = b->html.n;

	if (!f->is_alternative || !f->has_text || !f->has_html)
		return;
	if (f->text_n == text_n && f->html_n != html_n) {
		for (size_t i = f->html_n; i < html_n; i++)
			put(&b->text, b->html.items[i]);
	}
	if (f->html_n == html_n && f->text_n != text_n) {
		for (size_t i = f->text_n; i < text_n; i++)
			put(&b->html, b->text.items[i]);
	}
}

static struct frame frame_of(const struct jmap_parts *p, const struct frame *above, int part,
			     const struct jmap_body *b)
{
	struct span subtype = mime_part(p->mime, part)->subtype;
	bool is_alternative = span_eq(subtype, SPAN_LIT("alternative"));

	return (struct frame){.next = mime_part(p->mime, part)->first_child,
			      .is_alternative = is_alternative,
			      .is_related = span_eq(subtype, SPAN_LIT("related")),
			      .in_alternative = above->in_alternative || is_alternative,
			      .has_text = above->has_text,
			      .has_html = above->has_html,
			      .text_n = b->text.n,
			      .html_n = b->html.n};
}

void jmap_body_find(const struct jmap_parts *p, struct jmap_body *b)
{
	struct frame stack[MIME_DEPTH_LIMIT + 2];
	size_t depth = 1;

	*b = (struct jmap_body){0};
	stack[0] = (struct frame){.next = 0, .has_text = true, .has_html = true};
	while (depth) {
		struct frame *f = &stack[depth - 1];
		int part = f->next;

		if (part == MIME_NONE || part >= parts_shown(p)) {
			close_frame(f, b);
			depth--;
			continue;
		}
		f->next = part == 0 ? MIME_NONE : mime_part(p->mime, part)->next;
		if (p->parts[part].is_multipart) {
			stack[depth] = frame_of(p, f, part, b);
			must(++depth < sizeof stack / sizeof *stack);
		} else if (is_inline(p, f, part)) {
			put_inline(p, f, part, b);
		} else {
			put(&b->attachments, part);
		}
		f->i++;
	}
}

/* ---- a part's properties ---- */

static json_t *taken(struct buf *text)
{
	json_t *out = jmap_json_text(buf_span(text));

	buf_fini(text);
	return out;
}

static json_t *type_json(const struct jmap_parts *p, int i)
{
	const struct mime_part *m = mime_part(p->mime, i);
	struct buf text = {0}, fine = {0};

	if (!p->parts[i].is_multipart && span_eq(m->type, SPAN_LIT("multipart")))
		return json_string("text/plain");
	(void)buf_append(&text, m->type);
	(void)buf_append_byte(&text, '/');
	(void)buf_append(&text, m->subtype);
	(void)text_safe(buf_span(&text), &fine);
	buf_fini(&text);
	return taken(&fine);
}

static json_t *charset_json(const struct jmap_parts *p, int i)
{
	struct span type = mime_part(p->mime, i)->fields[MIME_CONTENT_TYPE];
	struct buf text = {0};

	if (type.p && field_param(type, "charset", &text) && text.n)
		return taken(&text);
	buf_fini(&text);
	if (type.p && !jmap_part_is_text(p, i))
		return json_null();
	return json_string("us-ascii");
}

static json_t *cid_json(struct span field)
{
	struct buf text = {0};

	(void)jmap_skip_blanks(&field);
	if (field.n > 1 && field.p[0] == '<') {
		ssize_t end = span_chr(field, '>');

		field = span_of(field.p + 1, (end < 0 ? field.n : (size_t)end) - 1);
	} else {
		ssize_t comment = span_chr(field, '(');

		field = span_trim(comment < 0 ? field : span_first(field, (size_t)comment));
	}
	jmap_utf8(field, &text);
	return taken(&text);
}

static json_t *language_json(struct span field)
{
	json_t *out = json_array();

	while (field.n) {
		struct span one = span_cut(&field, ',');
		struct buf text = {0}, fine = {0};

		field_value(one, &text);
		(void)text_safe(span_trim(buf_span(&text)), &fine);
		buf_fini(&text);
		if (fine.n)
			(void)json_array_append_new(out, jmap_json_text(buf_span(&fine)));
		buf_fini(&fine);
	}
	return out;
}

static json_t *text_json(bool has, struct buf *text)
{
	if (has)
		return taken(text);
	buf_fini(text);
	return json_null();
}

static json_t *field_json(const struct jmap_parts *p, int i, enum jmap_prop_kind kind)
{
	const struct mime_part *m = mime_part(p->mime, i);
	struct buf text = {0}, fine = {0};
	struct span field;

	if (kind == JMAP_B_NAME)
		return text_json(name_of(p, i, &text), &text);
	if (kind == JMAP_B_DISPOSITION) {
		if (disposition(p, i, &text))
			(void)text_safe(buf_span(&text), &fine);
		buf_fini(&text);
		return text_json(fine.n > 0, &fine);
	}
	field = m->fields[kind == JMAP_B_CID	    ? MIME_CONTENT_ID
			  : kind == JMAP_B_LANGUAGE ? MIME_CONTENT_LANGUAGE
						    : MIME_CONTENT_LOCATION];
	if (!field.p)
		return json_null();
	if (kind == JMAP_B_CID)
		return cid_json(field);
	if (kind == JMAP_B_LANGUAGE)
		return language_json(field);
	(void)text_safe(field, &text);
	return taken(&text);
}

/* Its header fields, from the raw section. */
static json_t *header_json(const struct jmap_parts *p, int i, const struct jmap_prop *prop)
{
	struct span rest = span_first(span_from(p->heads, p->parts[i].head_at), p->parts[i].head_n);
	struct jmap_field *fields = NULL;
	size_t n = 0, cap = 0;
	struct span whole;
	json_t *out;

	for (;;) {
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			fields = reallocarray(fields, cap, sizeof *fields);
			must(fields);
		}
		if (n == JMAP_FIELDS_LIMIT ||
		    !header_next(&rest, &fields[n].name, &fields[n].value, &whole))
			break;
		n++;
	}
	out = prop->kind == JMAP_P_HEADERS ? jmap_form_all(fields, n)
					   : jmap_form_of(fields, n, &prop->header);
	free(fields);
	return out;
}

static json_t *prop_json(const struct jmap_parts *p, int i, const struct jmap_prop *prop)
{
	bool is_multipart = p->parts[i].is_multipart;

	switch (prop->kind) {
	case JMAP_B_PART_ID:
		return is_multipart ? json_null() : json_sprintf("%d", i);
	case JMAP_B_BLOB_ID:
		return is_multipart ? json_null() : json_sprintf("%.*sp%d", SPAN_FMT(p->blob), i);
	case JMAP_B_SIZE:
		return json_integer((json_int_t)p->parts[i].bytes);
	case JMAP_B_TYPE:
		return type_json(p, i);
	case JMAP_B_CHARSET:
		return charset_json(p, i);
	case JMAP_B_NAME:
	case JMAP_B_DISPOSITION:
	case JMAP_B_CID:
	case JMAP_B_LANGUAGE:
	case JMAP_B_LOCATION:
		return field_json(p, i, prop->kind);
	case JMAP_P_HEADERS:
	case JMAP_P_HEADER:
		return header_json(p, i, prop);
	case JMAP_B_SUBPARTS:
	case JMAP_P_META:
	case JMAP_P_DIGEST:
	case JMAP_P_STRUCTURE:
	case JMAP_P_VALUES:
	case JMAP_P_TEXT:
	case JMAP_P_HTML:
	case JMAP_P_ATTACHMENTS:
		break;
	}
	return json_null();
}

json_t *jmap_part_json(const struct jmap_parts *p, int part, const struct jmap_want *w)
{
	json_t *out = json_object(), *value;

	for (size_t i = 0; i < w->body_n && *p->said <= JMAP_ANSWER_BYTES; i++) {
		value = prop_json(p, part, &w->body[i]);
		*p->said += strlen(w->body[i].name) + jmap_weight(value, JMAP_ANSWER_BYTES);
		(void)json_object_set_new(out, w->body[i].name, value);
	}
	return out;
}

/* Parents stand before their children in the table: each part finds its parent's list made. */
json_t *jmap_structure_json(const struct jmap_parts *p, const struct jmap_want *w)
{
	int n = parts_shown(p);
	json_t **lists = must_alloc(((size_t)n + 1) * sizeof(json_t *)); /* subParts of each */
	json_t *root = NULL;

	for (int i = 0; i < n; i++) {
		json_t *part;

		if (!p->parts[i].is_ours)
			continue;
		part = jmap_part_json(p, i, w);
		if (p->parts[i].is_multipart) {
			lists[i] = json_array();
			(void)json_object_set_new(part, "subParts", lists[i]);
		}
		if (i == 0)
			root = part;
		else
			(void)json_array_append_new(lists[mime_part(p->mime, i)->parent], part);
	}
	free(lists);
	return root ? root : json_null();
}
