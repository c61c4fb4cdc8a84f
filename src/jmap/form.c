#include "jmap/form.h"

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/field.h"
#include "mail/text.h"

/* ---- raw, text ---- */

void jmap_utf8(struct span s, struct buf *out)
{
	size_t from = 0;

	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_length(s.p + i, s.n - i);

		if (n && s.p[i]) {
			i += n;
			continue;
		}
		(void)buf_append(out, span_of(s.p + from, i - from));
		if (s.p[i])
			(void)buf_append(out, SPAN_LIT("\xef\xbf\xbd"));
		from = ++i;
	}
	(void)buf_append(out, span_from(s, from));
}

static json_t *taken(struct buf *text)
{
	json_t *out = jmap_json_text(buf_span(text));

	buf_fini(text);
	return out;
}

static json_t *as_raw(struct span raw)
{
	struct buf text = {0};

	jmap_utf8(raw, &text);
	return taken(&text);
}

static json_t *as_text(struct span raw)
{
	struct buf text = {0};
	size_t blanks = 0;

	(void)text_header(raw, &text);
	while (blanks < text.n && text.p[blanks] == ' ')
		blanks++;
	buf_drop(&text, blanks);
	return taken(&text);
}

/* ---- addresses ---- */

struct addresses {
	json_t *out;   /* of Addresses, or of groups */
	json_t *group; /* borrowed: the addresses of the group at hand; NULL: none */
	bool is_grouped;
	unsigned n;
};

static json_t *name_of(struct span name)
{
	struct buf text = {0}, trimmed = {0};
	json_t *out;

	if (!name.p)
		return json_null();
	(void)text_header(name, &text);
	(void)buf_append(&trimmed, span_trim(buf_span(&text)));
	buf_fini(&text);
	out = trimmed.n ? jmap_json_text(buf_span(&trimmed)) : json_null();
	buf_fini(&trimmed);
	return out;
}

/* A local part that is no dot-atom is quoted (RFC 5322 s3.4.1). */
static bool is_dot_atom(struct span local)
{
	bool was_dot = true;

	for (size_t i = 0; i < local.n; i++) {
		unsigned char c = local.p[i];

		if (c == '.' && was_dot)
			return false;
		if (c <= ' ' || c == 127 || strchr("()<>[]:;@\\,\"", c))
			return false;
		was_dot = c == '.';
	}
	return !was_dot;
}

static json_t *email_of(const struct field_address *a)
{
	struct buf text = {0};

	if (a->local.n == 0 || is_dot_atom(a->local)) {
		jmap_utf8(a->local, &text);
	} else if (a->domain.p) {
		(void)buf_append_byte(&text, '"');
		for (size_t i = 0; i < a->local.n; i++) {
			if (a->local.p[i] == '"' || a->local.p[i] == '\\')
				(void)buf_append_byte(&text, '\\');
			(void)buf_append_byte(&text, a->local.p[i]);
		}
		(void)buf_append_byte(&text, '"');
	} else {
		jmap_utf8(a->local, &text);
	}
	if (a->domain.p) {
		(void)buf_append_byte(&text, '@');
		jmap_utf8(a->domain, &text);
	}
	return taken(&text);
}

static void begin_group(struct addresses *to, json_t *name)
{
	json_t *group = json_object();

	to->group = json_array();
	(void)json_object_set_new(group, "name", name);
	(void)json_object_set_new(group, "addresses", to->group);
	(void)json_array_append_new(to->out, group);
}

static bool on_address(void *arg, const struct field_address *a)
{
	struct addresses *to = arg;
	json_t *one;

	if (++to->n > JMAP_ADDRESSES_LIMIT)
		return false;
	switch (a->kind) {
	case FIELD_GROUP_START:
		if (to->is_grouped)
			begin_group(to, name_of(a->name.p ? a->name : SPAN_LIT("")));
		return true;
	case FIELD_GROUP_END:
		to->group = NULL;
		return true;
	case FIELD_MAILBOX:
		break;
	}
	one = json_object();
	(void)json_object_set_new(one, "name", name_of(a->name));
	(void)json_object_set_new(one, "email", email_of(a));
	if (to->is_grouped && !to->group)
		begin_group(to, json_null());
	(void)json_array_append_new(to->is_grouped ? to->group : to->out, one);
	return true;
}

static json_t *as_addresses(struct span raw, bool is_grouped)
{
	struct addresses to = {.out = json_array(), .is_grouped = is_grouped};

	(void)field_addresses(raw, on_address, &to);
	return to.out;
}

/* ---- message ids, URLs: things in angle brackets between comments ---- */

bool jmap_skip_blanks(struct span *rest)
{
	unsigned depth = 0;
	size_t i = 0;

	for (; i < rest->n; i++) {
		unsigned char c = rest->p[i];

		if (depth && c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	*rest = span_from(*rest, i < rest->n ? i : rest->n);
	return depth == 0;
}

/* "<...>" at the front: what stands in it, without the white space of folding. NULL: there is none. */
static json_t *bracketed(struct span *rest)
{
	struct buf text = {0}, fine = {0};
	ssize_t end;

	if (rest->n == 0 || rest->p[0] != '<')
		return NULL;
	end = span_chr(*rest, '>');
	if (end < 0)
		return NULL;
	for (ssize_t i = 1; i < end; i++) {
		unsigned char c = rest->p[i];

		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			(void)buf_append_byte(&text, c);
	}
	*rest = span_from(*rest, (size_t)end + 1);
	jmap_utf8(buf_span(&text), &fine);
	buf_fini(&text);
	return taken(&fine);
}

static json_t *as_list(struct span raw, bool has_commas)
{
	json_t *out = json_array();
	bool is_fine = jmap_skip_blanks(&raw);

	while (is_fine && raw.n) {
		json_t *one = bracketed(&raw);

		is_fine = one && jmap_skip_blanks(&raw);
		if (one)
			(void)json_array_append_new(out, one);
		if (is_fine && has_commas && raw.n && raw.p[0] == ',') {
			raw = span_from(raw, 1);
			is_fine = jmap_skip_blanks(&raw);
		}
	}
	if (is_fine && json_array_size(out))
		return out;
	json_decref(out);
	return json_null();
}

static json_t *as_date(struct span raw)
{
	uint64_t us;
	int zone;

	if (!field_date(raw, &us) || !field_date_zone(raw, &zone))
		return json_null();
	return jmap_date(us, zone);
}

/* ---- all forms ---- */

json_t *jmap_form(struct span raw, enum jmap_form form)
{
	switch (form) {
	case JMAP_RAW:
		return as_raw(raw);
	case JMAP_AS_TEXT:
		return as_text(raw);
	case JMAP_AS_ADDRESSES:
		return as_addresses(raw, false);
	case JMAP_AS_GROUPED:
		return as_addresses(raw, true);
	case JMAP_AS_MESSAGE_IDS:
		return as_list(raw, false);
	case JMAP_AS_DATE:
		return as_date(raw);
	case JMAP_AS_URLS:
		return as_list(raw, true);
	}
	return json_null();
}

json_t *jmap_form_of(const struct jmap_field *fields, size_t n, const struct jmap_header_want *want)
{
	json_t *all = want->is_all ? json_array() : NULL;

	for (size_t i = 0; i < n; i++) {
		const struct jmap_field *f = &fields[all ? i : n - 1 - i];

		if (!span_eq_nocase(f->name, want->name))
			continue;
		if (!all)
			return jmap_form(f->value, want->form);
		(void)json_array_append_new(all, jmap_form(f->value, want->form));
	}
	return all ? all : json_null();
}

json_t *jmap_form_all(const struct jmap_field *fields, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *one = json_object();

		(void)json_object_set_new(one, "name", as_raw(fields[i].name));
		(void)json_object_set_new(one, "value", as_raw(fields[i].value));
		(void)json_array_append_new(out, one);
	}
	return out;
}
