/* One pass over a message: the table of parts, and beside it the text of fields and text parts for search. */
#include "mail/digest.h"

#include <stdlib.h>

#include "mail/field.h"
#include "mail/html.h"
#include "mail/preview.h"
#include "mail/text.h"
#include "mail/transfer.h"

enum { SLICE_BYTES = 16 << 10, TEXTS = MAIL_TEXT_BCC + 1 };

struct digest_maker {
	struct mime *mime;
	bool wants_text;
	uint64_t looked;		     /* bytes of text parts */
	struct buf texts[TEXTS];	     /* folded; ALL is the header */
	struct buf raw, utf8, plain, folded; /* of one slice */

	/* the text part whose body passes */
	int part;
	bool is_html;
	struct transfer transfer;
	struct text_reader reader;
	struct html_strip html;

	struct preview preview;
	bool is_shown;	   /* the part: the preview looks at it */
	bool is_looked_at; /* and search */

	struct buf envelope, body, structure;
};

/* ---- text ---- */

/* Cut at a character where the limit is. */
static void add_folded(struct buf *to, struct span s)
{
	size_t room = to->limit - to->n;

	if (s.n > 0 && s.p[0] == ' ' && to->n > 0 && to->p[to->n - 1] == ' ')
		s = span_from(s, 1);
	if (s.n > room) {
		while (room > 0 && (s.p[room] & 0xc0) == 0x80)
			room--;
		s.n = room;
		to->limit = to->n + room; /* full: nothing smaller may follow what was left out */
	}
	(void)buf_append(to, s);
}

static void add_text(struct digest_maker *d, struct buf *to, struct span utf8)
{
	buf_clear(&d->folded);
	(void)text_fold(utf8, &d->folded);
	add_folded(to, buf_span(&d->folded));
}

static void end_piece(struct buf *to)
{
	if (to->n > 0 && to->p[to->n - 1] != '\n')
		(void)buf_append_byte(to, '\n');
}

static bool is_full(const struct buf *b)
{
	return b->n >= b->limit;
}

static void add_utf8(struct digest_maker *d)
{
	struct span text = buf_span(&d->utf8);

	if (d->is_html) {
		buf_clear(&d->plain);
		(void)html_strip_feed(&d->html, text, &d->plain);
		text = buf_span(&d->plain);
	}
	if (d->is_looked_at)
		add_text(d, &d->texts[MAIL_TEXT_BODY], text);
	if (d->is_shown && !preview_is_full(&d->preview))
		preview_feed(&d->preview, text);
}

static void end_part(struct digest_maker *d)
{
	if (d->part == MIME_NONE)
		return;
	buf_clear(&d->raw);
	buf_clear(&d->utf8);
	(void)transfer_end(&d->transfer, &d->raw);
	(void)text_reader_feed(&d->reader, buf_span(&d->raw), &d->utf8);
	(void)text_reader_end(&d->reader, &d->utf8);
	add_utf8(d);
	if (d->is_looked_at)
		end_piece(&d->texts[MAIL_TEXT_BODY]);
	if (d->is_shown)
		preview_end(&d->preview);
	d->part = MIME_NONE;
}

static bool wants_more(const struct digest_maker *d)
{
	if (d->looked >= DIGEST_LOOKED_BYTES)
		return false;
	return (d->is_looked_at && !is_full(&d->texts[MAIL_TEXT_BODY])) ||
	       (d->is_shown && !preview_is_full(&d->preview));
}

static void on_body(void *arg, int part, struct span bytes)
{
	struct digest_maker *d = arg;

	if (part != d->part)
		return;
	while (bytes.n > 0 && wants_more(d)) {
		struct span slice = span_first(bytes, DIGEST_LOOKED_BYTES - d->looked);

		slice = span_first(slice, SLICE_BYTES);
		d->looked += slice.n;

		bytes = span_from(bytes, slice.n);
		buf_clear(&d->raw);
		buf_clear(&d->utf8);
		(void)transfer_feed(&d->transfer, slice, &d->raw);
		(void)text_reader_feed(&d->reader, buf_span(&d->raw), &d->utf8);
		add_utf8(d);
	}
}

/* File names are looked for as text of the body. */
static void add_file_name(struct digest_maker *d, const struct mime_part *p)
{
	struct buf name;

	buf_init(&name, 4 << 10);
	if (!p->fields[MIME_CONTENT_DISPOSITION].p ||
	    !field_param(p->fields[MIME_CONTENT_DISPOSITION], "filename", &name)) {
		if (p->fields[MIME_CONTENT_TYPE].p)
			(void)field_param(p->fields[MIME_CONTENT_TYPE], "name", &name);
	}
	if (name.n > 0) {
		add_text(d, &d->texts[MAIL_TEXT_BODY], buf_span(&name));
		end_piece(&d->texts[MAIL_TEXT_BODY]);
	}
	buf_fini(&name);
}

/* A text that the preview may begin with: nothing is known yet, and it stands in no message inside. */
static bool is_for_preview(const struct digest_maker *d, const struct mime *m, int i)
{
	const struct mime_part *p = mime_part(m, i);
	struct span how = p->fields[MIME_CONTENT_DISPOSITION];

	if (d->preview.text_n ||
	    (!span_eq(p->subtype, SPAN_LIT("plain")) && !span_eq(p->subtype, SPAN_LIT("html"))))
		return false;
	if (how.n >= 10 && span_eq_nocase(span_first(how, 10), SPAN_LIT("attachment")))
		return false;
	for (; i != MIME_NONE; i = mime_part(m, i)->parent)
		if (mime_part(m, i)->is_message)
			return i == 0;
	return true;
}

static void begin_text(struct digest_maker *d, const struct mime *m, int i)
{
	const struct mime_part *p = mime_part(m, i);
	struct buf charset;

	buf_init(&charset, 256);
	if (p->fields[MIME_CONTENT_TYPE].p)
		(void)field_param(p->fields[MIME_CONTENT_TYPE], "charset", &charset);
	d->part = i;
	d->is_html = span_eq(p->subtype, SPAN_LIT("html"));
	transfer_init(&d->transfer, p->encoding);
	text_reader_init(&d->reader, text_charset(buf_span(&charset)));
	html_strip_init(&d->html);
	if (d->is_shown)
		preview_part(&d->preview, d->is_html);
	buf_fini(&charset);
}

static void on_part(void *arg, const struct mime *m, int i)
{
	struct digest_maker *d = arg;
	const struct mime_part *p = mime_part(m, i);

	end_part(d);
	d->is_looked_at = d->wants_text && !is_full(&d->texts[MAIL_TEXT_BODY]);
	if (d->is_looked_at)
		add_file_name(d, p);
	if (p->kind != MIME_LEAF || !span_eq(p->type, SPAN_LIT("text")))
		return;
	d->is_shown = is_for_preview(d, m, i);
	if (d->is_looked_at || d->is_shown)
		begin_text(d, m, i);
}

static enum mail_text text_of(struct span name)
{
	static const struct {
		const char *name;
		enum mail_text text;
	} of[] = {{"subject", MAIL_TEXT_SUBJECT},
		  {"from", MAIL_TEXT_FROM},
		  {"to", MAIL_TEXT_TO},
		  {"cc", MAIL_TEXT_CC},
		  {"bcc", MAIL_TEXT_BCC}};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (span_eq_nocase(name, span_str(of[i].name)))
			return of[i].text;
	return MAIL_TEXT_ALL;
}

static void on_field(void *arg, int part, struct span name, struct span value)
{
	struct digest_maker *d = arg;
	const struct mime_part *p = mime_part(d->mime, part);
	struct buf *to = &d->texts[part == 0 ? MAIL_TEXT_ALL : MAIL_TEXT_BODY];
	enum mail_text also = part == 0 ? text_of(name) : MAIL_TEXT_ALL;

	/* Of parts only what messages inside say: their bodies' fields say nothing to people. */
	if (!p->is_message || (is_full(to) && (also == MAIL_TEXT_ALL || is_full(&d->texts[also]))))
		return;
	buf_clear(&d->utf8);
	(void)text_header(span_first(value, DIGEST_HEADER_BYTES), &d->utf8);
	add_text(d, to, name);
	add_folded(to, SPAN_LIT(": "));
	add_text(d, to, buf_span(&d->utf8));
	end_piece(to);
	if (also != MAIL_TEXT_ALL) {
		add_text(d, &d->texts[also], buf_span(&d->utf8));
		end_piece(&d->texts[also]);
	}
}

/* ---- face ---- */

struct digest_maker *digest_maker_new(bool wants_text)
{
	struct digest_maker *d = calloc(1, sizeof *d);
	struct mime_ops ops = {.arg = d};

	if (!d)
		return NULL;
	ops.on_part = on_part;
	ops.on_body = on_body;
	if (wants_text)
		ops.on_field = on_field;
	d->wants_text = wants_text;
	d->part = MIME_NONE;
	preview_init(&d->preview);
	for (int i = 0; i < TEXTS; i++)
		buf_init(&d->texts[i],
			 i == MAIL_TEXT_BODY ? DIGEST_TEXT_BYTES : DIGEST_HEADER_BYTES);
	buf_init(&d->raw, 4 * SLICE_BYTES);
	buf_init(&d->utf8, 16 * SLICE_BYTES + 4 * DIGEST_HEADER_BYTES);
	buf_init(&d->plain, 32 * SLICE_BYTES);
	buf_init(&d->folded, 64 * SLICE_BYTES);
	buf_init(&d->envelope, DIGEST_LIMIT_BYTES);
	buf_init(&d->body, DIGEST_LIMIT_BYTES);
	buf_init(&d->structure, DIGEST_LIMIT_BYTES);
	d->mime = mime_new(&ops);
	if (!d->mime) {
		digest_maker_free(d);
		return NULL;
	}
	return d;
}

void digest_maker_free(struct digest_maker *d)
{
	struct buf none;

	if (!d)
		return;
	buf_init(&none, 1);
	if (d->part != MIME_NONE)
		(void)text_reader_end(&d->reader, &none);
	buf_fini(&none);
	for (int i = 0; i < TEXTS; i++)
		buf_fini(&d->texts[i]);
	buf_fini(&d->raw);
	buf_fini(&d->utf8);
	buf_fini(&d->plain);
	buf_fini(&d->folded);
	buf_fini(&d->envelope);
	buf_fini(&d->body);
	buf_fini(&d->structure);
	mime_free(d->mime);
	free(d);
}

void digest_maker_feed(struct digest_maker *d, struct span piece)
{
	mime_feed(d->mime, piece);
}

void digest_maker_end(struct digest_maker *d)
{
	mime_end(d->mime);
	end_part(d);
}

/* Where the limit (D5) is in the way: a leaf. */
static bool make_structure(const struct digest_maker *d, bool is_extended, struct buf *out)
{
	const struct mime_part *p;

	if (digest_structure(d->mime, is_extended, out))
		return true;
	if (mime_parts(d->mime) == 0)
		return false;
	p = mime_part(d->mime, 0);
	buf_clear(out);
	return buf_printf(out, "(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" %llu%s)",
			  (unsigned long long)(p->end - p->body_at),
			  is_extended ? " NIL NIL NIL NIL" : "");
}

bool digest_maker_digest(struct digest_maker *d, struct mail_digest *out)
{
	const struct mime_part *root;
	uint64_t sent = 0;

	if (mime_parts(d->mime) == 0)
		return false;
	root = mime_part(d->mime, 0);
	buf_clear(&d->envelope);
	buf_clear(&d->body);
	buf_clear(&d->structure);
	if (!digest_envelope(d->mime, 0, &d->envelope)) {
		buf_clear(&d->envelope);
		if (!buf_append(&d->envelope,
				SPAN_LIT("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")))
			return false;
	}
	if (!make_structure(d, false, &d->body) || !make_structure(d, true, &d->structure))
		return false;
	if (root->heads && root->heads[MIME_DATE].p)
		(void)field_date(root->heads[MIME_DATE], &sent);
	*out = (struct mail_digest){.envelope = buf_span(&d->envelope),
				    .body = buf_span(&d->body),
				    .bodystructure = buf_span(&d->structure),
				    .header_bytes = root->body_at,
				    .sent_us = sent,
				    .preview = preview_text(&d->preview),
				    .has_attachment = digest_has_attachment(d->mime)};
	return true;
}

const struct mime *digest_maker_mime(const struct digest_maker *d)
{
	return d->mime;
}

struct span digest_maker_text(const struct digest_maker *d, enum mail_text where)
{
	return buf_span(&d->texts[where]);
}

static bool holds(struct span text, struct span folded)
{
	return folded.n == 0 || (text.n > 0 && memmem(text.p, text.n, folded.p, folded.n));
}

bool digest_maker_holds(const struct digest_maker *d, enum mail_text where, struct span folded)
{
	return holds(digest_maker_text(d, where), folded) ||
	       (where == MAIL_TEXT_ALL && holds(digest_maker_text(d, MAIL_TEXT_BODY), folded));
}
