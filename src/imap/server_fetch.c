/* FETCH: what is asked for (RFC 9051 s6.4.5, RFC 3516, RFC 7162 s3.1.4, RFC 8474). */
#include "imap/server_internal.h"

#include "base/ascii.h"

static const struct {
	const char *name;
	enum imap_fetch_kind kind;
} plain_items[] = {
	{"FLAGS", IMAP_F_FLAGS},      {"INTERNALDATE", IMAP_F_INTERNALDATE},
	{"RFC822.SIZE", IMAP_F_SIZE}, {"ENVELOPE", IMAP_F_ENVELOPE},
	{"BODY", IMAP_F_BODY},	      {"BODYSTRUCTURE", IMAP_F_BODYSTRUCTURE},
	{"UID", IMAP_F_UID},	      {"MODSEQ", IMAP_F_MODSEQ},
	{"EMAILID", IMAP_F_EMAILID},  {"THREADID", IMAP_F_THREADID},
};

/* Letters, digits and dots: ends at "[", "(" and blanks. */
static struct span get_name(struct span *c)
{
	size_t n = 0;
	struct span name;

	while (n < c->n && (ascii_is_alnum(c->p[n]) || c->p[n] == '.'))
		n++;
	name = span_first(*c, n);
	*c = span_from(*c, n);
	return name;
}

static struct imap_item *add_item(struct imap_fetch *f, enum imap_fetch_kind kind,
				  const char *label)
{
	struct imap_item *item;

	if (f->n == IMAP_ITEMS_LIMIT)
		return NULL;
	item = &f->items[f->n++];
	*item = (struct imap_item){.kind = kind, .label = span_str(label), .count = UINT64_MAX};
	return item;
}

/* ---- sections ---- */

/* "1.2" and the dot behind it, if something follows. */
static bool get_path(struct arena *a, struct span *c, struct imap_item *item, struct buf *label)
{
	item->path = arena_array(a, IMAP_PATH_LIMIT, sizeof *item->path);
	while (c->n && ascii_is_digit(c->p[0])) {
		uint64_t number;

		if (item->path_n == IMAP_PATH_LIMIT || !imap_get_number(c, UINT32_MAX, &number) ||
		    number == 0)
			return false;
		item->path[item->path_n++] = (uint32_t)number;
		(void)buf_printf(label, "%s%u", item->path_n > 1 ? "." : "", (unsigned)number);
		if (!imap_get(c, "."))
			return true;
		if (c->n == 0 || c->p[0] == ']')
			return false;
		if (!ascii_is_digit(c->p[0]))
			(void)buf_append_byte(label, '.');
	}
	return true;
}

static bool get_fields(struct arena *a, struct span *c, struct imap_item *item, struct buf *label)
{
	item->fields = arena_array(a, IMAP_FIELDS_LIMIT, sizeof *item->fields);
	if (!imap_get(c, " ("))
		return false;
	(void)buf_append(label, SPAN_LIT(" ("));
	do {
		struct span name;

		if (item->fields_n == IMAP_FIELDS_LIMIT || !imap_get_astring(a, c, &name))
			return false;
		if (item->fields_n)
			(void)buf_append_byte(label, ' ');
		imap_put_astring(label, name);
		item->fields[item->fields_n++] = name;
	} while (imap_get_space(c));
	(void)buf_append_byte(label, ')');
	return imap_get(c, ")");
}

static bool get_section_text(struct arena *a, struct span *c, struct imap_item *item,
			     struct buf *label)
{
	struct span word = get_name(c);

	for (size_t i = 0; i < word.n; i++)
		(void)buf_append_byte(label, ascii_upper(word.p[i]));
	if (word.n == 0)
		item->what = MIME_SECTION_BODY;
	else if (span_eq_nocase(word, SPAN_LIT("TEXT")))
		item->what = MIME_SECTION_TEXT;
	else if (span_eq_nocase(word, SPAN_LIT("MIME")) && item->path_n)
		item->what = MIME_SECTION_MIME;
	else if (span_starts_nocase(word, SPAN_LIT("HEADER")))
		item->what = MIME_SECTION_HEADER;
	else
		return false;
	if (word.n <= 6)
		return true;
	item->is_not = span_eq_nocase(word, SPAN_LIT("HEADER.FIELDS.NOT"));
	return (item->is_not || span_eq_nocase(word, SPAN_LIT("HEADER.FIELDS"))) &&
	       get_fields(a, c, item, label);
}

/* "<0.100>" */
static bool get_partial(struct span *c, struct imap_item *item, struct buf *label)
{
	if (item->kind == IMAP_F_BINARY_SIZE || !imap_get(c, "<"))
		return true;
	if (!imap_get_number(c, UINT32_MAX, &item->from) || !imap_get(c, ".") ||
	    !imap_get_number(c, UINT32_MAX, &item->count) || item->count == 0 || !imap_get(c, ">"))
		return false;
	item->has_partial = true;
	(void)buf_printf(label, "<%llu>", (unsigned long long)item->from);
	return true;
}

/* "[" was seen. name: BODY, BODY.PEEK, BINARY, BINARY.PEEK, BINARY.SIZE. */
static bool get_section(struct imap_work *w, struct span *c, struct span name)
{
	struct imap_fetch *f = w->data;
	bool is_body = span_starts_nocase(name, SPAN_LIT("BODY"));
	bool is_size = span_eq_nocase(name, SPAN_LIT("BINARY.SIZE"));
	struct imap_item *item = add_item(f,
					  is_body   ? IMAP_F_SECTION
					  : is_size ? IMAP_F_BINARY_SIZE
						    : IMAP_F_BINARY,
					  NULL);
	struct buf label = {0};
	bool is_good;

	if (!item)
		return false;
	item->is_peek = is_size || span_ends_nocase(name, SPAN_LIT(".PEEK"));
	if (!is_body && !is_size && !item->is_peek && !span_eq_nocase(name, SPAN_LIT("BINARY")))
		return false;
	(void)buf_append(&label, is_body   ? SPAN_LIT("BODY[")
				 : is_size ? SPAN_LIT("BINARY.SIZE[")
					   : SPAN_LIT("BINARY["));
	is_good = imap_get(c, "[") && get_path(&w->arena, c, item, &label) &&
		  (is_body ? get_section_text(&w->arena, c, item, &label) : true) &&
		  imap_get(c, "]");
	(void)buf_append_byte(&label, ']');
	is_good = is_good && get_partial(c, item, &label);
	item->label = arena_span(&w->arena, buf_span(&label));
	buf_fini(&label);
	f->marks_seen = f->marks_seen || !item->is_peek;
	return is_good;
}

/* RFC822, RFC822.HEADER, RFC822.TEXT of RFC 3501. */
static bool get_old_section(struct imap_fetch *f, struct span name)
{
	bool is_header = span_eq_nocase(name, SPAN_LIT("RFC822.HEADER"));
	bool is_text = span_eq_nocase(name, SPAN_LIT("RFC822.TEXT"));
	struct imap_item *item;

	if (!is_header && !is_text && !span_eq_nocase(name, SPAN_LIT("RFC822")))
		return false;
	item = add_item(f, IMAP_F_SECTION,
			is_header ? "RFC822.HEADER"
			: is_text ? "RFC822.TEXT"
				  : "RFC822");
	if (!item)
		return false;
	item->what = is_header ? MIME_SECTION_HEADER
		     : is_text ? MIME_SECTION_TEXT
			       : MIME_SECTION_BODY;
	item->is_peek = is_header;
	f->marks_seen = f->marks_seen || !is_header;
	return true;
}

/* ---- items ---- */

static bool get_item(struct imap_server *s, struct imap_work *w, struct span *c)
{
	struct imap_fetch *f = w->data;
	struct span name = get_name(c);

	if (c->n && c->p[0] == '[') {
		if (span_eq_nocase(name, SPAN_LIT("BODY")) ||
		    span_eq_nocase(name, SPAN_LIT("BODY.PEEK")) ||
		    span_starts_nocase(name, SPAN_LIT("BINARY")))
			return get_section(w, c, name);
		return false;
	}
	for (size_t i = 0; i < sizeof plain_items / sizeof *plain_items; i++) {
		if (!span_eq_nocase(name, span_str(plain_items[i].name)))
			continue;
		if (plain_items[i].kind == IMAP_F_MODSEQ)
			s->has_condstore = true;
		return add_item(f, plain_items[i].kind, plain_items[i].name) != NULL;
	}
	return get_old_section(f, name);
}

static bool get_macro(struct imap_fetch *f, struct span *c)
{
	struct span rest = *c, name = get_name(&rest);
	bool is_full = span_eq_nocase(name, SPAN_LIT("FULL")),
	     is_all = span_eq_nocase(name, SPAN_LIT("ALL"));

	if (!is_full && !is_all && !span_eq_nocase(name, SPAN_LIT("FAST")))
		return false;
	*c = rest;
	(void)add_item(f, IMAP_F_FLAGS, "FLAGS");
	(void)add_item(f, IMAP_F_INTERNALDATE, "INTERNALDATE");
	(void)add_item(f, IMAP_F_SIZE, "RFC822.SIZE");
	if (is_full || is_all)
		(void)add_item(f, IMAP_F_ENVELOPE, "ENVELOPE");
	if (is_full)
		(void)add_item(f, IMAP_F_BODY, "BODY");
	return true;
}

static bool get_items(struct imap_server *s, struct imap_work *w, struct span *c)
{
	if (get_macro(w->data, c))
		return true;
	if (!imap_get(c, "("))
		return get_item(s, w, c);
	do {
		if (!get_item(s, w, c))
			return false;
	} while (imap_get_space(c));
	return imap_get(c, ")");
}

static bool has_kind(const struct imap_fetch *f, enum imap_fetch_kind kind)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->items[i].kind == kind)
			return true;
	}
	return false;
}

/* [" (CHANGEDSINCE n [VANISHED])"] */
static bool get_modifiers(struct imap_server *s, struct imap_work *w, struct span *c)
{
	struct imap_fetch *f = w->data;

	if (imap_get_end(c))
		return true;
	if (!imap_get(c, " ("))
		return false;
	do {
		if (imap_get(c, "VANISHED"))
			f->is_vanished = true;
		else if (!imap_get(c, "CHANGEDSINCE ") || !imap_get_number(c, INT64_MAX, &f->since))
			return false;
	} while (imap_get_space(c));
	if (f->since) {
		s->has_condstore = true;
		if (!has_kind(f, IMAP_F_MODSEQ) && !add_item(f, IMAP_F_MODSEQ, "MODSEQ"))
			return false;
	}
	/* RFC 7162 s3.2.6 */
	return imap_get(c, ")") && imap_get_end(c) &&
	       (!f->is_vanished || (w->by_uid && f->since && s->has_qresync));
}

static void release_fetch(struct imap_work *w)
{
	struct imap_fetch *f = w->data;

	imap_set_clear(&f->uids);
	imap_set_clear(&f->seen);
	imap_batch_end(&f->batch);
	imap_bodies_close(&f->bodies);
	buf_fini(&f->bodies.scratch);
}

/* The set of VANISHED reaches beyond the last message there is: what went may have been behind it. */
static enum rc tell_vanished(struct imap_server *s, struct imap_fetch *f)
{
	struct mail_range *end = f->uids.n ? &f->uids.r[f->uids.n - 1] : NULL;
	uint32_t last = imap_map_last(&s->box->map);
	enum rc rc;

	if (!end || end->last != last)
		return imap_put_earlier(s, f->since, &f->uids);
	end->last = UINT32_MAX;
	rc = imap_put_earlier(s, f->since, &f->uids);
	end->last = last;
	return rc;
}

void imap_on_fetch(struct imap_server *s, struct imap_work *w)
{
	struct imap_fetch *f = arena_alloc(&w->arena, sizeof *f);
	struct span c = w->args;

	w->data = f;
	w->release = release_fetch;
	f->items = arena_array(&w->arena, IMAP_ITEMS_LIMIT, sizeof *f->items);
	if (!imap_want_set(s, w, &c, &f->uids))
		return;
	if (!imap_get_space(&c) || !get_items(s, w, &c) || !get_modifiers(s, w, &c) ||
	    (w->by_uid && !has_kind(f, IMAP_F_UID) && !add_item(f, IMAP_F_UID, "UID"))) {
		imap_bad(s, w, "That is nothing to fetch");
		return;
	}
	f->marks_seen = f->marks_seen && !s->box->is_readonly;
	if (f->is_vanished && tell_vanished(s, f) != OK) {
		imap_store_failed(w, LATER);
		return;
	}
	imap_batch_begin(&f->batch, &f->uids);
	w->run = imap_run_fetch;
}
