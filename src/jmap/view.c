/*
 * One message read once, in pieces, into the properties that are wanted. Header sections are kept as they stand (raw), text
 * bodies decoded, sizes counted; which parts are the body is known at the end.
 */
#include <stdlib.h>

#include "base/must.h"
#include "jmap/parts.h"
#include "mail/address.h"
#include "mail/digest.h"
#include "mail/field.h"
#include "mail/header.h"
#include "mail/text.h"
#include "mail/transfer.h"

enum {
	TAIL_BYTES = 1 << 20,	/* looked at for a header section */
	HEAD_BYTES = 256 << 10, /* kept of one: a hostile one must not make a whole list fail */
	HEADS_BYTES = 1 << 20,	/* of all of them */
	VALUE_BYTES = 4 << 20,	/* of one body value */
	VALUES_BYTES = 12 << 20 /* of all of a message */
};

struct jmap_view {
	const struct jmap_want *w;
	struct buf blob;
	struct mime *mime;
	struct digest_maker *digest; /* Email/parse: nobody else knows preview and hasAttachment */
	struct jmap_part *parts;
	size_t parts_n, parts_cap;

	struct buf tail; /* bytes since the last body byte */
	uint64_t tail_at;
	struct buf heads;
	bool has_head; /* of the message */

	int leaf; /* whose body comes; MIME_NONE */
	uint64_t body_end;
	struct transfer transfer;
	struct text_reader reader;
	bool is_reading; /* reader is open */
	struct buf decoded, text;
	size_t values_bytes;
	size_t said; /* what the properties cost */
};

/* ---- parts as their header sections end ---- */

static struct jmap_part *part_at(struct jmap_view *v, int i)
{
	size_t n = (size_t)i + 1;

	if (n > v->parts_cap) {
		size_t cap = v->parts_cap ? 2 * v->parts_cap : 16;

		cap = cap < n ? n : cap;
		v->parts = reallocarray(v->parts, cap, sizeof *v->parts);
		must(v->parts);
		v->parts_cap = cap;
	}
	for (; v->parts_n < n; v->parts_n++)
		v->parts[v->parts_n] = (struct jmap_part){0};
	return &v->parts[i];
}

static void keep_head(struct jmap_view *v, struct jmap_part *p, const struct mime_part *m)
{
	uint64_t from = m->header_at > v->tail_at ? m->header_at : v->tail_at;
	struct span head;

	if (m->body_at <= from || v->tail.n < m->body_at - v->tail_at)
		return;
	head = span_of(v->tail.p + (from - v->tail_at), (size_t)(m->body_at - from));
	head = span_first(head, HEAD_BYTES);
	p->head_at = v->heads.n;
	if (head.n <= HEADS_BYTES - v->heads.n && buf_append(&v->heads, head))
		p->head_n = head.n;
}

static bool wants_value(const struct jmap_view *v, const struct mime_part *m)
{
	const struct jmap_want *w = v->w;

	if (!span_eq(m->type, SPAN_LIT("text")) && !span_eq(m->type, SPAN_LIT("multipart")))
		return false;
	if (w->fetches_all)
		return true;
	return (w->fetches_text || w->fetches_html) &&
	       (span_eq(m->subtype, SPAN_LIT("plain")) || span_eq(m->subtype, SPAN_LIT("html")) ||
		span_eq(m->type, SPAN_LIT("multipart")));
}

static void on_part(void *arg, const struct mime *mime, int i)
{
	struct jmap_view *v = arg;
	const struct mime_part *m = mime_part(mime, i);
	struct jmap_part *p = part_at(v, i);

	p->is_ours = i == 0 || (m->parent != MIME_NONE && v->parts[m->parent].is_ours &&
				v->parts[m->parent].is_multipart);
	p->is_multipart = m->kind == MIME_MULTIPART;
	if (!p->is_ours)
		return;
	if (i == 0 || v->w->needs_parts_heads)
		keep_head(v, p, m);
	v->has_head = true;
	p->has_value = m->kind == MIME_LEAF && wants_value(v, m) && jmap_wants(v->w, "bodyValues");
}

/* ---- bodies ---- */

static const struct text_charset *charset_of(const struct mime_part *m, struct jmap_part *p)
{
	struct span type = m->fields[MIME_CONTENT_TYPE];
	struct buf name = {0};
	const struct text_charset *out = NULL;

	if (type.p && field_param(type, "charset", &name) && name.n) {
		out = text_charset(buf_span(&name));
		p->is_problem = !out && !span_eq_nocase(buf_span(&name), SPAN_LIT("utf-8")) &&
				!span_eq_nocase(buf_span(&name), SPAN_LIT("us-ascii"));
	}
	buf_fini(&name);
	return out;
}

static void begin_leaf(struct jmap_view *v, int i)
{
	const struct mime_part *m = mime_part(v->mime, i);
	struct jmap_part *p = &v->parts[i];

	v->leaf = i;
	v->body_end = m->body_at;
	transfer_init(&v->transfer, m->encoding);
	if (!p->has_value)
		return;
	text_reader_init(&v->reader, charset_of(m, p));
	v->is_reading = true;
}

/* Converted text into the value: one LF for CRLF, no NUL, up to the limit. */
static void put_value(struct jmap_view *v, struct jmap_part *p, struct span text)
{
	uint64_t most = v->w->value_bytes && v->w->value_bytes < VALUE_BYTES ? v->w->value_bytes
									     : VALUE_BYTES;

	for (size_t i = 0; i < text.n && !p->is_cut; i++) {
		unsigned char c = text.p[i];
		bool ends_line = p->was_cr && c == '\n';

		if (ends_line)
			p->value.p[p->value.n - 1] = '\n';
		p->was_cr = c == '\r';
		if (ends_line || c == 0)
			continue;
		p->is_cut = p->value.n >= most || v->values_bytes >= VALUES_BYTES;
		if (p->is_cut)
			break;
		(void)buf_append_byte(&p->value, c);
		v->values_bytes++;
	}
	while (p->is_cut && p->value.n) { /* whole characters */
		size_t n = 1;

		while (n < 4 && n < p->value.n && (p->value.p[p->value.n - n] & 0xc0) == 0x80)
			n++;
		if (utf8_length(p->value.p + p->value.n - n, n) == n)
			break;
		p->value.n -= n;
	}
}

static void put_decoded(struct jmap_view *v, struct span bytes)
{
	struct jmap_part *p = &v->parts[v->leaf];

	p->bytes += bytes.n;
	if (!v->is_reading || p->is_cut)
		return;
	buf_clear(&v->text);
	(void)text_reader_feed(&v->reader, bytes, &v->text);
	put_value(v, p, buf_span(&v->text));
}

static void end_leaf(struct jmap_view *v)
{
	struct jmap_part *p;

	if (v->leaf == MIME_NONE)
		return;
	p = &v->parts[v->leaf];
	buf_clear(&v->decoded);
	(void)transfer_end(&v->transfer, &v->decoded);
	put_decoded(v, buf_span(&v->decoded));
	p->is_problem |= v->transfer.is_bad;
	if (v->is_reading) {
		buf_clear(&v->text);
		(void)text_reader_end(&v->reader, &v->text);
		if (!p->is_cut)
			put_value(v, p, buf_span(&v->text));
		v->is_reading = false;
	}
	v->leaf = MIME_NONE;
}

static void on_body(void *arg, int i, struct span bytes)
{
	struct jmap_view *v = arg;

	if (i != v->leaf) {
		end_leaf(v);
		begin_leaf(v, i);
	}
	v->body_end += bytes.n;
	if (!v->parts[i].is_ours || (!v->w->needs_sizes && !v->is_reading))
		return;
	buf_clear(&v->decoded);
	(void)transfer_feed(&v->transfer, bytes, &v->decoded);
	put_decoded(v, buf_span(&v->decoded));
}

/* ---- life ---- */

struct jmap_view *jmap_view_new(const struct jmap_want *w, struct span blob, bool is_alone)
{
	struct jmap_view *v = must_alloc(sizeof *v);
	struct mime_ops ops = {.on_part = on_part, .on_body = on_body, .arg = v};

	v->w = w;
	v->leaf = MIME_NONE;
	(void)buf_append(&v->blob, blob);
	v->mime = mime_new(&ops);
	v->digest = is_alone && w->needs_digest ? digest_maker_new(false) : NULL;
	if (v->mime && (v->digest || !is_alone || !w->needs_digest))
		return v;
	jmap_view_free(v);
	return NULL;
}

void jmap_view_free(struct jmap_view *v)
{
	struct buf none = {0};

	if (!v)
		return;
	if (v->is_reading)
		(void)text_reader_end(&v->reader, &none);
	buf_fini(&none);
	for (size_t i = 0; i < v->parts_n; i++)
		buf_fini(&v->parts[i].value);
	free(v->parts);
	mime_free(v->mime);
	digest_maker_free(v->digest);
	buf_fini(&v->blob);
	buf_fini(&v->tail);
	buf_fini(&v->heads);
	buf_fini(&v->decoded);
	buf_fini(&v->text);
	free(v);
}

/* What stands before the last body byte is no header section any more. */
static void shorten_tail(struct jmap_view *v)
{
	uint64_t end = v->tail_at + v->tail.n, from = v->tail_at;

	if (v->body_end > from)
		from = v->body_end < end ? v->body_end : end;
	if (end - from > 2 * TAIL_BYTES)
		from = end - TAIL_BYTES;
	buf_drop(&v->tail, (size_t)(from - v->tail_at));
	v->tail_at = from;
}

void jmap_view_feed(struct jmap_view *v, struct span piece)
{
	bool keeps = !v->has_head || v->w->needs_parts_heads;

	if (keeps)
		(void)buf_append(&v->tail, piece);
	mime_feed(v->mime, piece);
	if (v->digest)
		digest_maker_feed(v->digest, piece);
	if (keeps)
		shorten_tail(v);
}

bool jmap_view_has_enough(const struct jmap_view *v)
{
	return v->has_head && !v->w->needs_body && !v->digest;
}

/* ---- the end ---- */

struct fields {
	struct jmap_field *all;
	size_t n;
};

static struct fields fields_of(const struct jmap_view *v)
{
	struct fields f = {0};
	size_t cap = 0;
	struct span rest = SPAN_NONE, whole;

	if (v->parts_n)
		rest = span_first(span_from(buf_span(&v->heads), v->parts[0].head_at),
				  v->parts[0].head_n);
	for (;; f.n++) {
		if (f.n == cap) {
			cap = cap ? 2 * cap : 64;
			f.all = reallocarray(f.all, cap, sizeof *f.all);
			must(f.all);
		}
		if (f.n == JMAP_FIELDS_LIMIT ||
		    !header_next(&rest, &f.all[f.n].name, &f.all[f.n].value, &whole))
			return f;
	}
}

/* Sizes of what was not decoded, and of what is not a leaf. */
static void finish_sizes(struct jmap_view *v)
{
	for (int i = 0; i < mime_parts(v->mime); i++) {
		const struct mime_part *m = mime_part(v->mime, i);

		if (m->kind != MIME_LEAF)
			part_at(v, i)->bytes = m->end - m->body_at;
	}
}

/* Not inside a tag (RFC 8621 s4.2). */
static void cut_tag(struct buf *html)
{
	ssize_t open = span_rchr(buf_span(html), '<'), close = span_rchr(buf_span(html), '>');

	if (open > close)
		html->n = (size_t)open;
}

static json_t *value_json(const struct jmap_view *v, int i)
{
	struct jmap_part *p = &v->parts[i];
	json_t *out = json_object();

	if (p->is_cut && span_eq(mime_part(v->mime, i)->subtype, SPAN_LIT("html")))
		cut_tag(&p->value);
	if (memmem(p->value.p ? p->value.p : v->blob.p, p->value.n, "\xef\xbf\xbd", 3))
		p->is_problem = true;
	(void)json_object_set_new(out, "value", jmap_json_text(buf_span(&p->value)));
	(void)json_object_set_new(out, "isEncodingProblem", json_boolean(p->is_problem));
	(void)json_object_set_new(out, "isTruncated", json_boolean(p->is_cut));
	return out;
}

static void put_values(const struct jmap_view *v, json_t *out, const struct jmap_part_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		char key[16];

		if (!v->parts[l->items[i]].has_value)
			continue;
		(void)snprintf(key, sizeof key, "%d", l->items[i]);
		if (!json_object_get(out, key))
			(void)json_object_set_new(out, key, value_json(v, l->items[i]));
	}
}

static json_t *values_json(struct jmap_view *v, const struct jmap_body *b)
{
	json_t *out = json_object();

	if (v->w->fetches_text)
		put_values(v, out, &b->text);
	if (v->w->fetches_html)
		put_values(v, out, &b->html);
	for (int i = 0; v->w->fetches_all && i < (int)v->parts_n; i++)
		put_values(v, out, &(struct jmap_part_list){.items = &i, .n = 1});
	return out;
}

static json_t *list_json(const struct jmap_parts *p, const struct jmap_part_list *l,
			 const struct jmap_want *w)
{
	json_t *out = json_array();

	for (size_t i = 0; i < l->n; i++)
		(void)json_array_append_new(out, jmap_part_json(p, l->items[i], w));
	return out;
}

static json_t *prop_json(struct jmap_view *v, const struct jmap_prop *prop,
			 const struct jmap_parts *p, const struct jmap_body *b,
			 const struct fields *f)
{
	switch (prop->kind) {
	case JMAP_P_HEADERS:
		return jmap_form_all(f->all, f->n);
	case JMAP_P_HEADER:
		return jmap_form_of(f->all, f->n, &prop->header);
	case JMAP_P_STRUCTURE:
		return jmap_structure_json(p, v->w);
	case JMAP_P_VALUES:
		return values_json(v, b);
	case JMAP_P_TEXT:
		return list_json(p, &b->text, v->w);
	case JMAP_P_HTML:
		return list_json(p, &b->html, v->w);
	case JMAP_P_ATTACHMENTS:
		return list_json(p, &b->attachments, v->w);
	case JMAP_P_META:
	case JMAP_P_DIGEST:
	case JMAP_B_PART_ID:
	case JMAP_B_BLOB_ID:
	case JMAP_B_SIZE:
	case JMAP_B_NAME:
	case JMAP_B_TYPE:
	case JMAP_B_CHARSET:
	case JMAP_B_DISPOSITION:
	case JMAP_B_CID:
	case JMAP_B_LANGUAGE:
	case JMAP_B_LOCATION:
	case JMAP_B_SUBPARTS:
		break;
	}
	return NULL;
}

static bool put_digest(struct jmap_view *v, json_t *email)
{
	struct mail_digest d;

	if (!v->digest)
		return true;
	digest_maker_end(v->digest);
	if (!digest_maker_digest(v->digest, &d))
		return false;
	jmap_put_digest(v->w, &d, email);
	return true;
}

void jmap_put_digest(const struct jmap_want *w, const struct mail_digest *d, json_t *email)
{
	if (jmap_wants(w, "preview"))
		(void)json_object_set_new(email, "preview", jmap_json_text(d->preview));
	if (jmap_wants(w, "hasAttachment"))
		(void)json_object_set_new(email, "hasAttachment", json_boolean(d->has_attachment));
}

bool jmap_view_end(struct jmap_view *v, json_t *email)
{
	struct jmap_body body = {0};
	struct jmap_parts parts;
	struct fields fields;

	if (!jmap_view_has_enough(v)) {
		mime_end(v->mime);
		end_leaf(v);
	}
	if (mime_limits(v->mime) & MIME_LIMIT_MEMORY || !put_digest(v, email))
		return false;
	if (v->w->needs_body) {
		if (mime_parts(v->mime))
			(void)part_at(v, mime_parts(v->mime) - 1);
		finish_sizes(v);
	}
	parts = (struct jmap_parts){v->mime, v->parts, buf_span(&v->heads), buf_span(&v->blob),
				    &v->said};
	if (v->w->needs_body)
		jmap_body_find(&parts, &body);
	fields = fields_of(v);
	for (size_t i = 0; i < v->w->props_n && v->said <= JMAP_ANSWER_BYTES; i++) {
		const struct jmap_prop *prop = &v->w->props[i];
		json_t *value = prop_json(v, prop, &parts, &body, &fields);

		if (prop->kind == JMAP_P_HEADER || prop->kind == JMAP_P_HEADERS)
			v->said += jmap_weight(value, JMAP_ANSWER_BYTES);
		if (value)
			(void)json_object_set_new(email, prop->name, value);
	}
	free(fields.all);
	jmap_body_fini(&body);
	return true;
}

size_t jmap_view_cost(const struct jmap_view *v)
{
	return v->values_bytes + v->said;
}
