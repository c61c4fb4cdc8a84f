/*
 * The object of a creation (RFC 8621 s4.6) as header fields and parts of a message to be written. What the standard forbids is
 * refused with the property's name; what is missing (Message-ID, Date) is added.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/bytes.h"
#include "base/must.h"
#include "jmap/make.h"
#include "jmap/want.h"

enum { FIELDS_LIMIT = 200, ITEMS_LIMIT = 10000, KEY_BYTES = 80 };

struct reading {
	struct jmap_make *m;
	struct arena *a;
	json_t *values; /* bodyValues */
	json_t *names;	/* of the header fields on the Email: lower case, as keys */
	json_t *error;
};

static bool bad(struct reading *r, const char *property, const char *why)
{
	if (!r->error)
		r->error = jmap_set_error("invalidProperties", property, "%s: %s", property, why);
	return false;
}

/* ---- header fields ---- */

static bool is_named(struct span name, const char *of)
{
	return span_eq_nocase(name, span_str(of));
}

static bool put_addresses(struct reading *r, struct buf *out, struct span name, const json_t *list,
			  bool is_grouped)
{
	size_t n = 0, most = 0, i, k;
	struct compose_address *all;
	json_t *item, *one;

	json_array_foreach(list, i, item) most +=
		2 + json_array_size(json_object_get(item, "addresses"));
	if (!json_is_array(list) || most > ITEMS_LIMIT)
		return false;
	all = arena_array(r->a, most + 1, sizeof *all);
	json_array_foreach(list, i, item)
	{
		json_t *of_group = json_object_get(item, "addresses");
		const json_t *title = json_object_get(item, "name");

		if (!json_is_object(item) ||
		    (title && !json_is_null(title) && !json_is_string(title)))
			return false;
		if (!is_grouped) {
			all[n++] = (struct compose_address){
				.name = jmap_text(title),
				.email = jmap_text(json_object_get(item, "email"))};
			continue;
		}
		if (!json_is_array(of_group))
			return false;
		if (json_is_string(title))
			all[n++] = (struct compose_address){.name = jmap_text(title),
							    .is_group = true};
		else if (n)
			all[n++] = (struct compose_address){.ends_group = true};
		json_array_foreach(of_group, k, one) all[n++] =
			(struct compose_address){.name = jmap_text(json_object_get(one, "name")),
						 .email = jmap_text(json_object_get(one, "email"))};
	}
	return n == 0 || compose_addresses(out, name, all, n);
}

static bool put_list(struct reading *r, struct buf *out, struct span name, const json_t *list,
		     bool are_ids)
{
	size_t n = json_array_size(list), i;
	struct span *all = arena_array(r->a, n + 1, sizeof *all);
	json_t *item;

	if (!json_is_array(list) || n > ITEMS_LIMIT)
		return false;
	json_array_foreach(list, i, item) all[i] = jmap_text(item);
	if (n == 0)
		return true;
	return are_ids ? compose_ids(out, name, all, n) : compose_urls(out, name, all, n);
}

static bool put_field(struct reading *r, struct buf *out, const struct jmap_header_want *h,
		      const json_t *value)
{
	struct span text = jmap_text(value);
	uint64_t at_us;
	int zone_min;

	switch (h->form) {
	case JMAP_RAW:
		return text.p && compose_raw(out, h->name, text);
	case JMAP_AS_TEXT:
		return text.p && compose_text(out, h->name, text);
	case JMAP_AS_ADDRESSES:
		return put_addresses(r, out, h->name, value, false);
	case JMAP_AS_GROUPED:
		return put_addresses(r, out, h->name, value, true);
	case JMAP_AS_MESSAGE_IDS:
		return put_list(r, out, h->name, value, true);
	case JMAP_AS_DATE:
		return text.p && jmap_date_read(text, &at_us, &zone_min) &&
		       compose_date(out, h->name, at_us, zone_min);
	case JMAP_AS_URLS:
		return put_list(r, out, h->name, value, false);
	}
	return false;
}

static bool put_all(struct reading *r, struct buf *out, const struct jmap_header_want *h,
		    const json_t *value)
{
	json_t *item;
	size_t i;

	if (!h->is_all)
		return put_field(r, out, h, value);
	if (!json_is_array(value) || json_array_size(value) > FIELDS_LIMIT)
		return false;
	json_array_foreach(value, i, item)
	{
		if (!put_field(r, out, h, item))
			return false;
	}
	return true;
}

static void key_of(struct span name, char out[KEY_BYTES])
{
	size_t n = name.n < KEY_BYTES - 1 ? name.n : KEY_BYTES - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)ascii_lower(name.p[i]);
	out[n] = '\0';
}

static void note_empty(json_t *names, struct span name)
{
	char key[KEY_BYTES];

	key_of(name, key);
	(void)json_object_set_new(names, key, json_false());
}

/* Once in each header section. Of each name is kept whether anything was written of it. */
static bool is_new(struct reading *r, json_t *names, struct span name, const char *property)
{
	char key[KEY_BYTES];

	key_of(name, key);
	if (json_object_get(names, key))
		return bad(r, property, "two properties are the same header field");
	if (json_object_size(names) >= FIELDS_LIMIT)
		return bad(r, property, "too many header fields");
	(void)json_object_set_new(names, key, json_true());
	return true;
}

static bool is_ours_to_write(struct span name)
{
	return is_named(name, "MIME-Version") || is_named(name, "Content-Transfer-Encoding") ||
	       is_named(name, "Content-Type");
}

/* A property of the Email or of a part that is a header field. */
static bool read_field(struct reading *r, struct buf *out, json_t *names, bool is_part,
		       const char *property, const struct jmap_header_want *h, const json_t *value)
{
	bool is_content = span_starts_nocase(h->name, SPAN_LIT("Content-"));
	size_t was = out->n;

	if (!is_new(r, names, h->name, property))
		return false;
	if (is_ours_to_write(h->name) || (is_content && !is_part))
		return bad(r, property, "this field is the server's to write");
	if (!json_is_null(value) && !put_all(r, out, h, value))
		return bad(r, property, "cannot be written");
	if (out->n == was)
		note_empty(names, h->name);
	return true;
}

/* ---- parts ---- */

static struct compose_part *new_part(struct reading *r, int parent)
{
	struct jmap_make *m = r->m;

	if (m->parts_n == COMPOSE_PARTS_LIMIT) {
		(void)bad(r, "bodyStructure", "too many parts");
		return NULL;
	}
	if (m->parts_n == m->parts_cap) {
		size_t cap = m->parts_cap ? 2 * m->parts_cap : 16;

		m->parts = reallocarray(m->parts, cap, sizeof *m->parts);
		m->fields = reallocarray(m->fields, cap, sizeof *m->fields);
		must(m->parts && m->fields);
		memset(m->fields + m->parts_cap, 0, (cap - m->parts_cap) * sizeof *m->fields);
		m->parts_cap = cap;
	}
	m->parts[m->parts_n] = (struct compose_part){.parent = parent};
	return &m->parts[m->parts_n++];
}

static size_t new_blob(struct jmap_make *m, struct span id)
{
	if (m->blobs_n == m->blobs_cap) {
		m->blobs_cap = m->blobs_cap ? 2 * m->blobs_cap : 16;
		m->blobs = reallocarray(m->blobs, m->blobs_cap, sizeof *m->blobs);
		must(m->blobs);
	}
	m->blobs[m->blobs_n] = (struct jmap_source){id, SPAN_NONE};
	return m->blobs_n++;
}

/* A string or null. False: something else. */
static bool text_of(struct reading *r, const json_t *part, const char *name, struct span *out)
{
	const json_t *value = json_object_get(part, name);

	*out = SPAN_NONE;
	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value))
		return bad(r, name, "must be a String or null");
	*out = jmap_text(value);
	return true;
}

static bool read_value(struct reading *r, struct compose_part *p, const char *part_id)
{
	const json_t *value = json_object_get(r->values, part_id), *text;

	text = json_object_get(value, "value");
	if (!json_is_object(value) || !json_is_string(text))
		return bad(r, "bodyValues", "has no value of a partId that is used");
	if (json_is_true(json_object_get(value, "isEncodingProblem")) ||
	    json_is_true(json_object_get(value, "isTruncated")))
		return bad(r, "bodyValues", "isEncodingProblem and isTruncated must be false");
	p->what = COMPOSE_TEXT;
	p->text = jmap_text(text);
	return true;
}

static bool is_text(struct span type)
{
	return span_starts_nocase(type, SPAN_LIT("text/"));
}

static bool read_content(struct reading *r, const json_t *part, struct compose_part *p)
{
	struct span part_id, blob_id, charset;

	if (!text_of(r, part, "partId", &part_id) || !text_of(r, part, "blobId", &blob_id) ||
	    !text_of(r, part, "charset", &charset))
		return false;
	if (!part_id.p == !blob_id.p)
		return bad(r, "partId", "either partId or blobId");
	if (p->type.n == 0)
		p->type = part_id.p ? SPAN_LIT("text/plain") : SPAN_LIT("application/octet-stream");
	if (part_id.p) {
		const json_t *size = json_object_get(part, "size");

		if (charset.p || (size && !json_is_null(size)))
			return bad(r, charset.p ? "charset" : "size", "not with a partId");
		if (!is_text(p->type))
			return bad(r, "type", "a partId is of a text");
		return read_value(r, p, (const char *)part_id.p);
	}
	if (charset.p && !compose_is_token(charset))
		return bad(r, "charset", "is no name of one");
	p->what = COMPOSE_BLOB;
	p->charset = charset;
	p->blob = new_blob(r->m, blob_id);
	return true;
}

/* Content-Language and Content-Location, and further ones. */
static bool read_part_fields(struct reading *r, json_t *part, struct buf *out, json_t *names)
{
	const json_t *language = json_object_get(part, "language");
	struct span location;
	struct buf words = {0};
	const char *key;
	json_t *value;
	size_t i;

	if (language && !json_is_null(language) && !json_is_array(language))
		return bad(r, "language", "must be an array of language tags");
	json_array_foreach(language, i, value)
	{
		if (!compose_is_token(jmap_text(value)) || words.n > 500) {
			buf_fini(&words);
			return bad(r, "language", "must be an array of language tags");
		}
		(void)buf_printf(&words, "%s%s", i ? ", " : " ", json_string_value(value));
	}
	if (words.n)
		(void)compose_raw(out, SPAN_LIT("Content-Language"), buf_span(&words));
	buf_fini(&words);
	if (!text_of(r, part, "location", &location))
		return false;
	if (location.n && !compose_text(out, SPAN_LIT("Content-Location"), location))
		return bad(r, "location", "cannot be written");
	json_object_foreach(part, key, value)
	{
		struct jmap_header_want h;

		if (strncmp(key, "header:", 7) != 0)
			continue;
		if (!jmap_header_want_read(span_str(key), &h))
			return bad(r, key, "a field or a form that cannot be");
		if (!read_field(r, out, names, true, key, &h, value))
			return false;
	}
	return true;
}

static bool has_convenience(struct reading *r, json_t *part, json_t *names)
{
	static const struct {
		const char *property, *field;
	} rows[] = {{"disposition", "content-disposition"},
		    {"cid", "content-id"},
		    {"language", "content-language"},
		    {"location", "content-location"}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const json_t *value = json_object_get(part, rows[i].property);

		if (value && !json_is_null(value) &&
		    !is_new(r, names, span_str(rows[i].field), rows[i].property))
			return false;
	}
	return true;
}

static const char part_properties[] = "partId blobId size name type charset disposition cid "
				      "language location subParts";

static bool are_known(struct reading *r, json_t *part)
{
	const char *key;
	json_t *value;

	json_object_foreach(part, key, value)
	{
		if (!jmap_has_name(part_properties, span_str(key)) &&
		    strncmp(key, "header:", 7) != 0)
			return bad(r, key, "there is no such property of a part");
	}
	return true;
}

static bool read_words(struct reading *r, const json_t *part, struct compose_part *p)
{
	if (!text_of(r, part, "type", &p->type) || !text_of(r, part, "name", &p->name) ||
	    !text_of(r, part, "disposition", &p->disposition) || !text_of(r, part, "cid", &p->cid))
		return false;
	if (p->type.n && !compose_is_type(p->type))
		return bad(r, "type", "is no media type");
	if (p->disposition.n && !compose_is_token(p->disposition))
		return bad(r, "disposition", "is none");
	if (p->cid.n && !compose_is_id(p->cid))
		return bad(r, "cid", "is no Content-ID");
	return true;
}

/* One part without its parts. Its names of header fields are those of the Email when it is the root. */
static bool read_part(struct reading *r, json_t *part, int parent)
{
	json_t *names = parent < 0 ? json_incref(r->names) : json_object();
	struct compose_part *p = json_is_object(part) ? new_part(r, parent) : NULL;
	size_t at = r->m->parts_n - 1;
	bool is_fine = p && are_known(r, part) && read_words(r, part, p) &&
		       has_convenience(r, part, names) &&
		       read_part_fields(r, part, &r->m->fields[at], names);

	json_decref(names);
	if (!p)
		return bad(r, "bodyStructure", "must be an EmailBodyPart");
	if (!is_fine)
		return false;
	p->fields = buf_span(&r->m->fields[at]);
	if (!span_starts_nocase(p->type, SPAN_LIT("multipart/")))
		return read_content(r, part, p);
	p->what = COMPOSE_MULTIPART;
	if (json_array_size(json_object_get(part, "subParts")) == 0)
		return bad(r, "subParts", "a multipart has parts");
	if (json_is_string(json_object_get(part, "partId")) ||
	    json_is_string(json_object_get(part, "blobId")))
		return bad(r, "type", "a multipart has no content of its own");
	return true;
}

/* In preorder; the way down is on a stack. */
static bool read_structure(struct reading *r, json_t *root)
{
	struct {
		json_t *list;
		size_t next;
		int parent;
	} stack[COMPOSE_DEPTH_LIMIT];
	size_t depth = 0;
	json_t *part = root;
	int parent = -1;

	for (;;) {
		json_t *below;

		if (!read_part(r, part, parent))
			return false;
		below = json_object_get(part, "subParts");
		if (json_array_size(below)) {
			if (r->m->parts[r->m->parts_n - 1].what != COMPOSE_MULTIPART)
				return bad(r, "subParts", "only a multipart has parts");
			if (depth == COMPOSE_DEPTH_LIMIT)
				return bad(r, "bodyStructure", "parts nest too deeply");
			stack[depth].list = below;
			stack[depth].next = 0;
			stack[depth++].parent = (int)r->m->parts_n - 1;
		}
		while (depth && stack[depth - 1].next == json_array_size(stack[depth - 1].list))
			depth--;
		if (depth == 0)
			return true;
		part = json_array_get(stack[depth - 1].list, stack[depth - 1].next++);
		parent = stack[depth - 1].parent;
	}
}

/* ---- textBody, htmlBody, attachments ---- */

static int new_multipart(struct reading *r, int parent, const char *type)
{
	struct compose_part *p = new_part(r, parent);

	if (!p)
		return parent;
	p->what = COMPOSE_MULTIPART;
	p->type = span_str(type);
	return (int)r->m->parts_n - 1;
}

static bool read_body(struct reading *r, json_t *list, const char *property, const char *type,
		      int parent)
{
	json_t *part = json_array_get(list, 0);
	struct compose_part *p;

	if (json_array_size(list) != 1)
		return bad(r, property, "must be exactly one part");
	if (!read_part(r, part, parent))
		return false;
	p = &r->m->parts[r->m->parts_n - 1];
	return span_eq_nocase(p->type, span_str(type)) || bad(r, property, "must be of its type");
}

/* Shown inside the HTML text. */
static bool is_inline(const json_t *part)
{
	return span_eq_nocase(jmap_text(json_object_get(part, "disposition")),
			      SPAN_LIT("inline")) &&
	       json_is_string(json_object_get(part, "cid"));
}

static bool read_attachments(struct reading *r, json_t *list, bool wants_inline, bool all,
			     int parent)
{
	json_t *part;
	size_t i;

	json_array_foreach(list, i, part)
	{
		struct compose_part *p;

		if (!all && is_inline(part) != wants_inline)
			continue;
		if (!read_part(r, part, parent))
			return false;
		p = &r->m->parts[r->m->parts_n - 1];
		if (p->what == COMPOSE_MULTIPART)
			return bad(r, "attachments", "must not be multiparts");
		if (!p->disposition.n)
			p->disposition = SPAN_LIT("attachment");
	}
	return true;
}

static size_t inline_n(const json_t *list)
{
	json_t *part;
	size_t i, n = 0;

	json_array_foreach(list, i, part) n += is_inline(part);
	return n;
}

static bool read_html(struct reading *r, json_t *html, json_t *files, int parent)
{
	if (inline_n(files) == 0)
		return read_body(r, html, "htmlBody", "text/html", parent);
	parent = new_multipart(r, parent, "multipart/related");
	return read_body(r, html, "htmlBody", "text/html", parent) &&
	       read_attachments(r, files, true, false, parent);
}

static bool read_bodies(struct reading *r, json_t *text, json_t *html, json_t *files)
{
	bool has_files = json_array_size(files) > (html ? inline_n(files) : 0);
	int parent = has_files ? new_multipart(r, -1, "multipart/mixed") : -1;
	int both = text && html ? new_multipart(r, parent, "multipart/alternative") : parent;

	if (text && !read_body(r, text, "textBody", "text/plain", both))
		return false;
	if (html && !read_html(r, html, files, both))
		return false;
	if (has_files && !read_attachments(r, files, false, !html, parent))
		return false;
	if (r->m->parts_n == 0) { /* nothing was given */
		struct compose_part *p = new_part(r, -1);

		p->what = COMPOSE_TEXT;
		p->type = SPAN_LIT("text/plain");
	}
	return !r->error;
}

/* NULL: not given. */
static json_t *given(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_null(value) ? NULL : value;
}

static bool read_parts(struct reading *r, const json_t *object)
{
	json_t *structure = given(object, "bodyStructure"), *text = given(object, "textBody");
	json_t *html = given(object, "htmlBody"), *files = given(object, "attachments");

	r->values = given(object, "bodyValues");
	if (r->values && !json_is_object(r->values))
		return bad(r, "bodyValues", "must be a map of partIds");
	if (!structure) {
		if ((text && !json_is_array(text)) || (html && !json_is_array(html)) ||
		    (files && !json_is_array(files)))
			return bad(r, "textBody htmlBody attachments", "must be arrays of parts");
		return read_bodies(r, text, html, files);
	}
	if (text || html || files)
		return bad(r, "bodyStructure", "not beside textBody, htmlBody or attachments");
	return read_structure(r, structure);
}

/* ---- the Email ---- */

static const char own_properties[] = "mailboxIds keywords receivedAt bodyStructure bodyValues "
				     "textBody htmlBody attachments";

static bool read_header(struct reading *r, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		struct jmap_header_want h;

		if (jmap_has_name(own_properties, span_str(key)))
			continue;
		if (!jmap_header_shorthand(span_str(key), &h) &&
		    !jmap_header_want_read(span_str(key), &h))
			return bad(r, key, "cannot be set");
		if (!read_field(r, &r->m->header, r->names, false, key, &h, value))
			return false;
	}
	return true;
}

/* The domain of the first From address, else our own name. */
static struct span id_domain(const struct reading *r, const json_t *object)
{
	struct span email = jmap_text(
		json_object_get(json_array_get(json_object_get(object, "from"), 0), "email"));
	ssize_t at = span_rchr(email, '@');
	struct span domain = at >= 0 ? span_from(email, (size_t)at + 1) : SPAN_NONE;

	return compose_is_token(domain) ? domain : r->m->c->j->service->node;
}

/* It was not given in any form, or as null or an empty list. */
static bool lacks(const struct reading *r, const char *name)
{
	return !json_is_true(json_object_get(r->names, name));
}

static void add_missing(struct reading *r, const json_t *object)
{
	struct jmap *j = r->m->c->j;
	struct buf id = {0};
	char hex[33];

	if (lacks(r, "date"))
		(void)compose_date(&r->m->header, SPAN_LIT("Date"), j->now_us, 0);
	if (lacks(r, "message-id")) {
		struct span text;

		hex_encode(hex, span_of(j->random, sizeof j->random));
		(void)buf_printf(&id, "%s.%llu@%.*s", hex, (unsigned long long)j->last_ask,
				 SPAN_FMT(id_domain(r, object)));
		text = buf_span(&id);
		(void)compose_ids(&r->m->header, SPAN_LIT("Message-ID"), &text, 1);
		buf_fini(&id);
	}
}

static bool read_received(struct reading *r, const json_t *object)
{
	const json_t *value = given(object, "receivedAt");

	return !value || jmap_utc_read(jmap_text(value), &r->m->date_us) ||
	       bad(r, "receivedAt", "must be a UTCDate");
}

struct jmap_make *jmap_make_email(struct jmap_call *c, json_t *object, json_t **out_error)
{
	struct jmap_make *m = must_alloc(sizeof *m);
	struct reading r = {.m = m, .a = &c->arena, .names = json_object()};

	m->c = c;
	m->missing = json_array();
	r.error = jmap_mailbox_ids_read(c, json_object_get(object, "mailboxIds"), &m->boxes);
	if (!r.error)
		r.error = jmap_keywords_read(&c->arena, json_object_get(object, "keywords"),
					     &m->keywords);
	if (!r.error && read_received(&r, object) && read_header(&r, object) &&
	    read_parts(&r, object))
		add_missing(&r, object);
	json_decref(r.names);
	if (!r.error)
		return m;
	*out_error = r.error;
	jmap_make_free(m);
	return NULL;
}

struct jmap_make *jmap_make_import(struct jmap_call *c, json_t *object, json_t **out_error)
{
	struct jmap_make *m = must_alloc(sizeof *m);
	struct reading r = {.m = m, .a = &c->arena};
	struct span blob = jmap_text(json_object_get(object, "blobId"));
	const char *key;
	json_t *value;

	m->c = c;
	m->is_import = true;
	m->missing = json_array();
	json_object_foreach(object, key, value)
	{
		if (!jmap_has_name("blobId mailboxIds keywords receivedAt", span_str(key)))
			(void)bad(&r, key, "there is no such property");
	}
	if (!r.error && !jmap_is_id(blob))
		(void)bad(&r, "blobId", "must be an Id");
	if (!r.error)
		r.error =
			jmap_mailbox_ids_read(c, json_object_get(object, "mailboxIds"), &m->boxes);
	if (!r.error)
		r.error = jmap_keywords_read(&c->arena, json_object_get(object, "keywords"),
					     &m->keywords);
	if (!r.error)
		(void)read_received(&r, object);
	(void)new_blob(m, blob);
	if (!r.error)
		return m;
	*out_error = r.error;
	jmap_make_free(m);
	return NULL;
}
