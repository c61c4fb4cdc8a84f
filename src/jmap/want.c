#include "jmap/want.h"

#include "base/ascii.h"

/* ---- header fields and the forms they have ---- */

enum {
	F_TEXT = 1 << JMAP_AS_TEXT,
	F_ADDRESSES = 1 << JMAP_AS_ADDRESSES | 1 << JMAP_AS_GROUPED,
	F_IDS = 1 << JMAP_AS_MESSAGE_IDS,
	F_DATE = 1 << JMAP_AS_DATE,
	F_URLS = 1 << JMAP_AS_URLS,
	F_ALL = F_TEXT | F_ADDRESSES | F_IDS | F_DATE | F_URLS,
};

/* The fields of RFC 5322 and RFC 2369; any other has all forms. */
static const struct {
	const char *name;
	unsigned forms;
} fields[] = {
	{"subject", F_TEXT},
	{"comments", F_TEXT},
	{"keywords", F_TEXT},
	{"from", F_ADDRESSES},
	{"sender", F_ADDRESSES},
	{"reply-to", F_ADDRESSES},
	{"to", F_ADDRESSES},
	{"cc", F_ADDRESSES},
	{"bcc", F_ADDRESSES},
	{"resent-from", F_ADDRESSES},
	{"resent-sender", F_ADDRESSES},
	{"resent-reply-to", F_ADDRESSES},
	{"resent-to", F_ADDRESSES},
	{"resent-cc", F_ADDRESSES},
	{"resent-bcc", F_ADDRESSES},
	{"message-id", F_IDS},
	{"in-reply-to", F_IDS},
	{"references", F_IDS},
	{"resent-message-id", F_IDS},
	{"date", F_DATE},
	{"resent-date", F_DATE},
	{"list-help", F_URLS},
	{"list-unsubscribe", F_URLS},
	{"list-subscribe", F_URLS},
	{"list-post", F_URLS},
	{"list-owner", F_URLS},
	{"list-archive", F_URLS},
	{"return-path", 0},
	{"received", 0},
};

static const char *const forms[] = {
	[JMAP_AS_TEXT] = "asText",
	[JMAP_AS_ADDRESSES] = "asAddresses",
	[JMAP_AS_GROUPED] = "asGroupedAddresses",
	[JMAP_AS_MESSAGE_IDS] = "asMessageIds",
	[JMAP_AS_DATE] = "asDate",
	[JMAP_AS_URLS] = "asURLs",
};

static unsigned forms_of(struct span name)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (span_eq_nocase(span_str(fields[i].name), name))
			return fields[i].forms;
	}
	return F_ALL;
}

static bool is_field_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_is_graph(name.p[i]))
			return false;
	}
	return name.n > 0;
}

static bool form_named(struct span word, enum jmap_form *out)
{
	for (enum jmap_form f = JMAP_AS_TEXT; f <= JMAP_AS_URLS; f++) {
		if (!span_eq(span_str(forms[f]), word))
			continue;
		*out = f;
		return true;
	}
	return false;
}

bool jmap_header_want_read(struct span property, struct jmap_header_want *out)
{
	struct jmap_header_want w = {0};
	struct span word;

	if (!span_eq(span_cut(&property, ':'), SPAN_LIT("header")))
		return false;
	w.name = span_cut(&property, ':');
	if (!is_field_name(w.name))
		return false;
	word = span_cut(&property, ':');
	if (form_named(word, &w.form)) {
		if (!(forms_of(w.name) & (1u << w.form)))
			return false;
		word = span_cut(&property, ':');
	}
	w.is_all = span_eq(word, SPAN_LIT("all"));
	if ((word.n && !w.is_all) || property.n)
		return false;
	*out = w;
	return true;
}

bool jmap_header_shorthand(struct span property, struct jmap_header_want *out)
{
	static const struct {
		const char *property, *field;
		enum jmap_form form;
	} rows[] = {
		{"messageId", "Message-ID", JMAP_AS_MESSAGE_IDS},
		{"inReplyTo", "In-Reply-To", JMAP_AS_MESSAGE_IDS},
		{"references", "References", JMAP_AS_MESSAGE_IDS},
		{"sender", "Sender", JMAP_AS_ADDRESSES},
		{"from", "From", JMAP_AS_ADDRESSES},
		{"to", "To", JMAP_AS_ADDRESSES},
		{"cc", "Cc", JMAP_AS_ADDRESSES},
		{"bcc", "Bcc", JMAP_AS_ADDRESSES},
		{"replyTo", "Reply-To", JMAP_AS_ADDRESSES},
		{"subject", "Subject", JMAP_AS_TEXT},
		{"sentAt", "Date", JMAP_AS_DATE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!span_eq(span_str(rows[i].property), property))
			continue;
		*out = (struct jmap_header_want){span_str(rows[i].field), rows[i].form, false};
		return true;
	}
	return false;
}

/* ---- properties ---- */

static const struct {
	const char *name;
	enum jmap_prop_kind kind;
} email_props[] =
	{
		{"id", JMAP_P_META},
		{"blobId", JMAP_P_META},
		{"threadId", JMAP_P_META},
		{"mailboxIds", JMAP_P_META},
		{"keywords", JMAP_P_META},
		{"size", JMAP_P_META},
		{"receivedAt", JMAP_P_META},
		{"hasAttachment", JMAP_P_DIGEST},
		{"preview", JMAP_P_DIGEST},
		{"headers", JMAP_P_HEADERS},
		{"bodyStructure", JMAP_P_STRUCTURE},
		{"bodyValues", JMAP_P_VALUES},
		{"textBody", JMAP_P_TEXT},
		{"htmlBody", JMAP_P_HTML},
		{"attachments", JMAP_P_ATTACHMENTS},
},
  body_props[] = {
	  {"partId", JMAP_B_PART_ID},	 {"blobId", JMAP_B_BLOB_ID},
	  {"size", JMAP_B_SIZE},	 {"headers", JMAP_P_HEADERS},
	  {"name", JMAP_B_NAME},	 {"type", JMAP_B_TYPE},
	  {"charset", JMAP_B_CHARSET},	 {"disposition", JMAP_B_DISPOSITION},
	  {"cid", JMAP_B_CID},		 {"language", JMAP_B_LANGUAGE},
	  {"location", JMAP_B_LOCATION}, {"subParts", JMAP_B_SUBPARTS},
};

static const char body_defaults[] =
	"partId blobId size name type charset disposition cid language location";

static bool email_prop(struct span name, struct jmap_prop *p)
{
	for (size_t i = 0; i < sizeof email_props / sizeof *email_props; i++) {
		if (!span_eq(span_str(email_props[i].name), name))
			continue;
		p->kind = email_props[i].kind;
		return true;
	}
	p->kind = JMAP_P_HEADER;
	return jmap_header_shorthand(name, &p->header) || jmap_header_want_read(name, &p->header);
}

static bool body_prop(struct span name, struct jmap_prop *p)
{
	for (size_t i = 0; i < sizeof body_props / sizeof *body_props; i++) {
		if (!span_eq(span_str(body_props[i].name), name))
			continue;
		p->kind = body_props[i].kind;
		return true;
	}
	p->kind = JMAP_P_HEADER;
	return jmap_header_want_read(name, &p->header);
}

/* names: of the client, else the defaults. */
static bool read_props(struct jmap_call *c, const char *argument, const char *defaults,
		       bool (*read)(struct span name, struct jmap_prop *p), struct jmap_prop **out,
		       size_t *out_n)
{
	struct span rest = span_str(defaults);
	json_t *names, *item;
	struct jmap_prop *props;
	size_t n = 0, i;

	if (!jmap_arg_texts(c, argument, &names))
		return false;
	if (json_array_size(names) > JMAP_PROPERTIES_LIMIT)
		return jmap_bad_argument(c, argument, "has too many properties");
	props = arena_array(&c->arena, names ? json_array_size(names) + 1 : 40, sizeof *props);
	if (!names) {
		for (; rest.n; n++) {
			props[n].name = arena_str(&c->arena, span_cut(&rest, ' '));
			(void)read(span_str(props[n].name), &props[n]);
		}
	}
	json_array_foreach(names, i, item)
	{
		props[n].name = json_string_value(item);
		if (!read(jmap_text(item), &props[n++]))
			return jmap_bad_argument(c, argument,
						 "has a property or header form there is not");
	}
	*out = props;
	*out_n = n;
	return true;
}

/* What has to be read for it. */
static void weigh(struct jmap_want *w)
{
	for (size_t i = 0; i < w->props_n; i++) {
		enum jmap_prop_kind kind = w->props[i].kind;

		w->needs_head |= kind == JMAP_P_HEADER || kind == JMAP_P_HEADERS;
		w->needs_digest |= kind == JMAP_P_DIGEST;
		w->needs_body |= kind >= JMAP_P_STRUCTURE;
		w->needs_sizes |= kind >= JMAP_P_STRUCTURE && kind != JMAP_P_VALUES;
	}
	if (w->needs_sizes) {
		w->needs_sizes = false;
		for (size_t i = 0; i < w->body_n; i++) {
			w->needs_sizes |= w->body[i].kind == JMAP_B_SIZE;
			w->needs_parts_heads |= w->body[i].kind == JMAP_P_HEADER ||
						w->body[i].kind == JMAP_P_HEADERS;
		}
	}
}

struct jmap_want *jmap_want_read(struct jmap_call *c, const char *defaults)
{
	struct jmap_want *w = arena_alloc(&c->arena, sizeof *w);

	if (!read_props(c, "properties", defaults, email_prop, &w->props, &w->props_n) ||
	    !read_props(c, "bodyProperties", body_defaults, body_prop, &w->body, &w->body_n) ||
	    !jmap_arg_bool(c, "fetchTextBodyValues", &w->fetches_text) ||
	    !jmap_arg_bool(c, "fetchHTMLBodyValues", &w->fetches_html) ||
	    !jmap_arg_bool(c, "fetchAllBodyValues", &w->fetches_all) ||
	    !jmap_arg_uint(c, "maxBodyValueBytes", &w->value_bytes))
		return NULL;
	weigh(w);
	return w;
}

bool jmap_wants(const struct jmap_want *w, const char *property)
{
	for (size_t i = 0; i < w->props_n; i++) {
		if (strcmp(w->props[i].name, property) == 0)
			return true;
	}
	return false;
}

bool jmap_want_is_deep(const struct jmap_want *w)
{
	return w->needs_head || w->needs_body;
}
