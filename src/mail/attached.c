/*
 * Has a message something to be offered for download? The walk of RFC 8621 s4.1.4 over the table of parts, without its
 * recursion: what of a multipart is text to be shown, what is attached; of that, what is no picture within the text and no
 * part that programs look at themselves (signatures).
 */
#include "mail/digest.h"
#include "mail/field.h"

/* What the walk knows of the multipart it is in. */
struct level {
	int part;     /* MIME_NONE: above the message */
	bool text_on; /* parts of it would join the plain text; the HTML text */
	bool html_on;
	bool in_alternative;
};

static bool is_type(const struct mime_part *p, const char *type, const char *subtype)
{
	return span_eq(p->type, span_str(type)) &&
	       (!subtype || span_eq(p->subtype, span_str(subtype)));
}

static bool is_media(const struct mime_part *p)
{
	return is_type(p, "image", NULL) || is_type(p, "audio", NULL) || is_type(p, "video", NULL);
}

static bool is_text(const struct mime_part *p)
{
	return is_type(p, "text", "plain") || is_type(p, "text", "html");
}

static bool is_disposed(const struct mime_part *p, const char *how)
{
	struct buf value;
	bool is;

	if (!p->fields[MIME_CONTENT_DISPOSITION].p)
		return false;
	buf_init(&value, 1 << 10);
	field_value(p->fields[MIME_CONTENT_DISPOSITION], &value);
	is = span_eq_nocase(buf_span(&value), span_str(how));
	buf_fini(&value);
	return is;
}

static bool has_param(struct span field, const char *name)
{
	struct buf value;
	bool has;

	if (!field.p)
		return false;
	buf_init(&value, 4 << 10);
	has = field_param(field, name, &value);
	buf_fini(&value);
	return has;
}

static bool has_name(const struct mime_part *p)
{
	return has_param(p->fields[MIME_CONTENT_DISPOSITION], "filename") ||
	       has_param(p->fields[MIME_CONTENT_TYPE], "name");
}

/* Attached, but nothing for people. */
static bool is_automatic(const struct mime_part *p)
{
	static const char *const subtypes[] = {"pgp-signature", "pgp-encrypted", "pkcs7-signature",
					       "x-pkcs7-signature"};

	if (!is_type(p, "application", NULL))
		return is_type(p, "message", "delivery-status") ||
		       is_type(p, "message", "disposition-notification");
	for (size_t i = 0; i < sizeof subtypes / sizeof *subtypes; i++)
		if (span_eq(p->subtype, span_str(subtypes[i])))
			return true;
	return false;
}

/* Of what is in the list of attachments. */
static bool is_offered(const struct mime_part *p, bool in_related)
{
	bool is_picture_of_text = in_related && is_media(p) && p->fields[MIME_CONTENT_ID].p;

	return !is_automatic(p) && !is_disposed(p, "inline") &&
	       (!is_picture_of_text || is_disposed(p, "attachment"));
}

/* True: it is in the list of attachments. Otherwise it is shown, and may decide what else is. */
static bool is_attached(const struct mime_part *p, struct level *in, bool is_first,
			struct span multipart)
{
	bool is_inline = !is_disposed(p, "attachment") && (is_text(p) || is_media(p)) &&
			 (is_first || (!span_eq(multipart, SPAN_LIT("related")) &&
				       (is_media(p) || !has_name(p))));

	if (!is_inline)
		return true;
	if (span_eq(multipart, SPAN_LIT("alternative")))
		return !is_text(p);
	if (in->in_alternative) {
		if (is_type(p, "text", "plain"))
			in->html_on = false;
		else if (is_type(p, "text", "html"))
			in->text_on = false;
	}
	return (!in->text_on || !in->html_on) && is_media(p);
}

static int after(const struct mime *m, int i, struct level *levels, int *depth)
{
	while (i != MIME_NONE && mime_part(m, i)->next == MIME_NONE) {
		i = mime_part(m, i)->parent;
		if (*depth == 0 || i == MIME_NONE || levels[*depth].part != i)
			return MIME_NONE;
		--*depth;
	}
	return i == MIME_NONE ? MIME_NONE : mime_part(m, i)->next;
}

bool digest_has_attachment(const struct mime *m)
{
	struct level levels[MIME_DEPTH_LIMIT + 2] = {
		{.part = MIME_NONE, .text_on = true, .html_on = true}};
	int depth = 0, i = mime_parts(m) ? 0 : MIME_NONE;

	while (i != MIME_NONE) {
		const struct mime_part *p = mime_part(m, i), *up;
		struct level *in = &levels[depth];
		struct span multipart = SPAN_LIT("mixed");
		bool is_first = true;

		if (in->part != MIME_NONE) {
			up = mime_part(m, in->part);
			multipart = up->subtype;
			is_first = up->first_child == i;
		}
		if (p->kind == MIME_MULTIPART && p->first_child != MIME_NONE &&
		    depth <= MIME_DEPTH_LIMIT) {
			levels[++depth] = *in;
			levels[depth].part = i;
			levels[depth].in_alternative |=
				span_eq(p->subtype, SPAN_LIT("alternative"));
			i = p->first_child;
			continue;
		}
		if (p->kind != MIME_MULTIPART && is_attached(p, in, is_first, multipart) &&
		    is_offered(p, span_eq(multipart, SPAN_LIT("related"))))
			return true;
		i = after(m, i, levels, &depth);
	}
	return false;
}
