#include "mail/mime_head.h"

#include "base/ascii.h"
#include "mail/field.h"
#include "mail/transfer.h"

enum { KNOWN_NONE = -1, HEADS_FROM = MIME_FIELDS };

static const struct {
	const char *name;
	int joined; /* of mime_head_state; -1: the first of its name counts */
} known[MIME_FIELDS + MIME_HEADS] = {
	[MIME_CONTENT_TYPE] = {"content-type", -1},
	[MIME_CONTENT_ENCODING] = {"content-transfer-encoding", -1},
	[MIME_CONTENT_DISPOSITION] = {"content-disposition", -1},
	[MIME_CONTENT_ID] = {"content-id", -1},
	[MIME_CONTENT_DESCRIPTION] = {"content-description", -1},
	[MIME_CONTENT_MD5] = {"content-md5", -1},
	[MIME_CONTENT_LANGUAGE] = {"content-language", -1},
	[MIME_CONTENT_LOCATION] = {"content-location", -1},
	[HEADS_FROM + MIME_DATE] = {"date", -1},
	[HEADS_FROM + MIME_SUBJECT] = {"subject", -1},
	[HEADS_FROM + MIME_FROM] = {"from", -1},
	[HEADS_FROM + MIME_SENDER] = {"sender", -1},
	[HEADS_FROM + MIME_REPLY_TO] = {"reply-to", 0},
	[HEADS_FROM + MIME_TO] = {"to", 1},
	[HEADS_FROM + MIME_CC] = {"cc", 2},
	[HEADS_FROM + MIME_BCC] = {"bcc", 3},
	[HEADS_FROM + MIME_IN_REPLY_TO] = {"in-reply-to", -1},
	[HEADS_FROM + MIME_MESSAGE_ID] = {"message-id", -1},
};

void mime_head_init(struct mime_head_state *h, const struct mime_ops *ops, struct arena *arena)
{
	*h = (struct mime_head_state){.ops = ops, .arena = arena, .which = KNOWN_NONE};
	buf_init(&h->value, MIME_ADDRESS_BYTES);
	for (size_t i = 0; i < MIME_JOINED; i++)
		buf_init(&h->joined[i], MIME_ADDRESS_BYTES);
}

void mime_head_fini(struct mime_head_state *h)
{
	buf_fini(&h->value);
	for (size_t i = 0; i < MIME_JOINED; i++)
		buf_fini(&h->joined[i]);
}

void mime_head_begin(struct mime_head_state *h, int part, bool is_message)
{
	h->part = part;
	h->is_message = is_message;
	h->is_first_line = true;
	h->line = LINE_START;
	h->name_n = 0;
	h->has_field = false;
	memset(h->fields, 0, sizeof h->fields);
	memset(h->heads, 0, sizeof h->heads);
	for (size_t i = 0; i < MIME_JOINED; i++)
		buf_clear(&h->joined[i]);
}

/* ---- fields ---- */

static int which_field(struct span name, bool is_message)
{
	int n = is_message ? MIME_FIELDS + MIME_HEADS : MIME_FIELDS;

	for (int i = 0; i < n; i++)
		if (span_eq_nocase(name, span_str(known[i].name)))
			return i;
	return KNOWN_NONE;
}

/* As much as the buffer's limit allows. False: not all of it. */
static bool append_some(struct buf *b, struct span s, size_t limit)
{
	size_t room = b->n < limit ? limit - b->n : 0;
	bool is_all = s.n <= room;

	return buf_append(b, span_first(s, room)) && is_all;
}

static void keep(struct mime_head_state *h, struct span value, struct span *where)
{
	struct span copy;

	if (where->p)
		return;
	if (value.n > MIME_KEPT_BYTES - h->kept) {
		h->limits |= MIME_LIMIT_FIELD;
		return;
	}
	copy = arena_span(h->arena, value);
	if (!copy.p) {
		h->is_dead = true;
		return;
	}
	h->kept += value.n;
	*where = copy;
}

static void join(struct mime_head_state *h, struct span value, struct buf *b)
{
	if (b->n > 0 && !append_some(b, SPAN_LIT(", "), MIME_ADDRESS_BYTES))
		h->limits |= MIME_LIMIT_FIELD;
	if (!append_some(b, value, MIME_ADDRESS_BYTES))
		h->limits |= MIME_LIMIT_FIELD;
}

static void field_done(struct mime_head_state *h)
{
	struct span value = span_trim(buf_span(&h->value));
	int which = h->which;

	if (!h->has_field)
		return;
	h->has_field = false;
	if (h->ops->on_field)
		h->ops->on_field(h->ops->arg, h->part, span_of(h->field, h->field_n), value);
	if (which == KNOWN_NONE)
		return;
	if (known[which].joined >= 0)
		join(h, value, &h->joined[known[which].joined]);
	else if (which < MIME_FIELDS)
		keep(h, value, &h->fields[which]);
	else
		keep(h, value, &h->heads[which - HEADS_FROM]);
}

/* The line's name is complete: its value follows. */
static void field_begins(struct mime_head_state *h)
{
	struct span name = span_trim(span_of(h->name, h->name_n));

	field_done(h);
	h->has_field = true;
	h->which = which_field(name, h->is_message);
	memcpy(h->field, name.p, name.n);
	h->field_n = name.n;
	buf_clear(&h->value);
	h->line = h->which != KNOWN_NONE || h->ops->on_field ? LINE_VALUE : LINE_SKIP;
	h->is_first_line = false;
}

static void value_bytes(struct mime_head_state *h, struct span bytes)
{
	bool is_joined = h->which != KNOWN_NONE && known[h->which].joined >= 0;
	size_t limit = is_joined || h->which == HEADS_FROM + MIME_FROM ? MIME_ADDRESS_BYTES
								       : MIME_FIELD_BYTES;

	if (!append_some(&h->value, bytes, limit))
		h->limits |= MIME_LIMIT_FIELD;
}

/* ---- lines ---- */

/* "From someone at some time": mbox's own line, which programs leave in messages. */
static bool is_mbox_line(const struct mime_head_state *h)
{
	struct span line = span_of(h->name, h->name_n);

	return h->is_first_line && h->is_message &&
	       (span_starts(line, SPAN_LIT("From ")) || span_starts(line, SPAN_LIT(">From ")));
}

/* One byte of what may be a field's name. False: it is none. */
static bool name_byte(struct mime_head_state *h, unsigned char c)
{
	if (c == ':' && h->name_n > 0 && h->name[0] != '\r') {
		field_begins(h);
		return true;
	}
	if (is_mbox_line(h)) {
		h->line = LINE_SKIP;
		h->is_first_line = false;
		return true;
	}
	if (h->name_n == sizeof h->name || (h->name_n > 0 && h->name[0] == '\r'))
		return false;
	if (c == ' ' || c == '\t')
		h->has_blank = true;
	else if (h->has_blank || (!ascii_is_graph(c) && (c != '\r' || h->name_n > 0)) || c == ':')
		return false;
	h->name[h->name_n++] = c;
	return true;
}

static void line_starts(struct mime_head_state *h, unsigned char c)
{
	h->name_n = 0;
	h->has_blank = false;
	h->line = LINE_NAME;
	if (c != ' ' && c != '\t')
		return;
	h->line = h->has_field && (h->which != KNOWN_NONE || h->ops->on_field) ? LINE_VALUE
									       : LINE_SKIP;
	h->is_first_line = false;
}

bool mime_head_take(struct mime_head_state *h, struct span *bytes)
{
	if (bytes->n == 0)
		return true;
	if (h->line == LINE_START)
		line_starts(h, bytes->p[0]);
	while (bytes->n > 0 && h->line == LINE_NAME) {
		if (!name_byte(h, bytes->p[0]))
			return false;
		*bytes = span_from(*bytes, 1);
	}
	if (h->line == LINE_VALUE)
		value_bytes(h, *bytes);
	*bytes = span_from(*bytes, bytes->n);
	return true;
}

enum mime_head_line mime_head_line_end(struct mime_head_state *h)
{
	switch (h->line) {
	case LINE_START:
		return HEAD_EMPTY;
	case LINE_NAME:
		return h->name_n == 1 && h->name[0] == '\r' ? HEAD_EMPTY : HEAD_BODY;
	case LINE_VALUE:
		if (h->value.n > 0 && h->value.p[h->value.n - 1] == '\r')
			h->value.n--;
		break;
	case LINE_SKIP:
		break;
	}
	h->line = LINE_START;
	return HEAD_FIELD;
}

/* ---- the end ---- */

static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_graph(s.p[i]) || strchr("()<>@,;:\\\"/[]?=", s.p[i]))
			return false;
	return s.n > 0;
}

/* Type and subtype, lower case. A field that says nothing usable is as good as none (RFC 2045 s5.2). */
static bool set_type(struct mime_head_state *h, bool in_digest, struct mime_part *p)
{
	struct buf text;
	struct span type, subtype;
	bool is_good;

	p->type = in_digest ? SPAN_LIT("message") : SPAN_LIT("text");
	p->subtype = in_digest ? SPAN_LIT("rfc822") : SPAN_LIT("plain");
	if (!p->fields[MIME_CONTENT_TYPE].p)
		return true;
	buf_init(&text, MIME_FIELD_BYTES + 1);
	field_value(p->fields[MIME_CONTENT_TYPE], &text);
	for (size_t i = 0; i < text.n; i++)
		text.p[i] = ascii_lower(text.p[i]);
	subtype = buf_span(&text);
	type = span_trim(span_cut(&subtype, '/'));
	subtype = span_trim(subtype);
	is_good = is_token(type) && is_token(subtype);
	if (is_good) {
		p->type = arena_span(h->arena, type);
		p->subtype = arena_span(h->arena, subtype);
	} else {
		p->fields[MIME_CONTENT_TYPE] = SPAN_NONE;
	}
	buf_fini(&text);
	if (p->type.p && p->subtype.p)
		return true;
	p->type = SPAN_LIT("text");
	p->subtype = SPAN_LIT("plain");
	return false;
}

static bool find_boundary(struct mime_head_state *h, const struct mime_part *p, struct span *out)
{
	struct span field = p->fields[MIME_CONTENT_TYPE], name, value;
	struct buf scratch;
	size_t cursor = 0;
	bool is_found = false, is_fine = true;

	if (!field.p || !span_eq(p->type, SPAN_LIT("multipart")))
		return true;
	buf_init(&scratch, 2 * MIME_FIELD_BYTES);
	while (!is_found && field_param_next(field, &cursor, &scratch, &name, &value))
		is_found = span_eq(name, SPAN_LIT("boundary"));
	if (!is_found) {
		buf_clear(&scratch);
		is_found = field_param(field, "boundary", &scratch);
		value = buf_span(&scratch);
	}
	while (is_found && value.n > 0 &&
	       (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	if (is_found && value.n > MIME_BOUNDARY_BYTES) {
		h->limits |= MIME_LIMIT_BOUNDARY;
	} else if (is_found && value.n > 0) {
		*out = arena_span(h->arena, value);
		is_fine = out->p != NULL;
	}
	buf_fini(&scratch);
	return is_fine;
}

static bool set_heads(struct mime_head_state *h, struct mime_part *p)
{
	struct span *heads;

	for (int i = 0; i < MIME_HEADS; i++) {
		int joined = known[HEADS_FROM + i].joined;

		if (joined >= 0 && h->joined[joined].n > 0)
			keep(h, buf_span(&h->joined[joined]), &h->heads[i]);
	}
	heads = arena_array(h->arena, MIME_HEADS, sizeof *heads);
	if (!heads)
		return false;
	memcpy(heads, h->heads, sizeof h->heads);
	p->heads = heads;
	return true;
}

bool mime_head_end(struct mime_head_state *h, bool in_digest, struct mime_part *p,
		   struct span *out_boundary)
{
	field_done(h);
	memcpy(p->fields, h->fields, sizeof p->fields);
	p->encoding = transfer_named(p->fields[MIME_CONTENT_ENCODING]);
	if ((h->is_message && !set_heads(h, p)) || !set_type(h, in_digest, p))
		return false;
	return find_boundary(h, p, out_boundary) && !h->is_dead;
}
