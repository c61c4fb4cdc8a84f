/*
 * The walk keeps one field at a time in a fixed buffer: name, colon, value, with the line ends of
 * folding taken out (RFC 5322 s2.2.3). A field is looked at when the line after it begins without a
 * blank.
 */
#include "mail/header.h"

#include "base/ascii.h"
#include "mail/refs.h"

void header_walk_init(struct header_walk *w, struct span own_mark)
{
	*w = (struct header_walk){.own_mark = own_mark};
}

/* Name of the kept field, without blanks before the colon; empty when the line is no field. */
static struct span field_name(struct span field)
{
	ssize_t colon = span_chr(field, ':');
	struct span name = span_trim(span_first(field, colon > 0 ? (size_t)colon : 0));

	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_is_graph(name.p[i]))
			return SPAN_NONE;
	}
	return name;
}

static void keep(struct span value, unsigned char *out, size_t limit, size_t *out_n, bool *has)
{
	if (*has)
		return;
	*has = true;
	*out_n = value.n < limit ? value.n : limit;
	if (*out_n)
		memcpy(out, value.p, *out_n);
}

/* A Message-ID ends at its ">" (comments behind it are not part of it). */
static struct span id_of(struct span value)
{
	ssize_t end = span_chr(value, '>');

	return end < 0 ? value : span_first(value, (size_t)end + 1);
}

/* The field holds Message-IDs, and is the first of its name. */
static struct header_ids *ids_of(struct header_walk *w, struct span name)
{
	struct header_ids *ids = span_eq_nocase(name, SPAN_LIT("Message-ID"))	 ? &w->own
				 : span_eq_nocase(name, SPAN_LIT("In-Reply-To")) ? &w->answers
				 : span_eq_nocase(name, SPAN_LIT("References"))	 ? &w->references
										 : NULL;

	return ids && !ids->has_any ? ids : NULL;
}

/* True: it belonged to a field that is longer than field[], and has been taken as it came. */
static bool end_over(struct header_walk *w)
{
	bool was_over = w->is_over && w->over;

	if (was_over)
		header_ids_end(w->over);
	w->is_over = false;
	w->over = NULL;
	return was_over;
}

/* What field[] has no room for. Names of fields are within it, or it is none that is looked for. */
static void take_over(struct header_walk *w, struct span more)
{
	struct span field = span_of(w->field, w->field_n);

	if (!w->is_over) {
		w->is_over = true;
		w->over = ids_of(w, field_name(field));
		if (w->over)
			header_ids_feed(w->over,
					span_from(field, (size_t)span_chr(field, ':') + 1));
	}
	if (w->over)
		header_ids_feed(w->over, more);
}

static void look_at_field(struct header_walk *w)
{
	struct span field = span_of(w->field, w->field_n);
	struct span name = field_name(field), value;
	bool is_taken = end_over(w);
	struct header_ids *ids;

	w->field_n = 0;
	if (span_is_empty(name))
		return;
	value = span_trim(span_from(field, (size_t)span_chr(field, ':') + 1));
	ids = is_taken ? NULL : ids_of(w, name);
	if (ids) {
		header_ids_feed(ids, value);
		header_ids_end(ids);
	}
	if (span_eq_nocase(name, SPAN_LIT("Received"))) {
		w->received++;
		if (w->own_mark.n && memmem(value.p, value.n, w->own_mark.p, w->own_mark.n))
			w->own_received++;
	} else if (span_eq_nocase(name, SPAN_LIT("Message-ID"))) {
		keep(id_of(value), w->message_id, sizeof w->message_id, &w->message_id_n,
		     &w->has_message_id);
	} else if (span_eq_nocase(name, SPAN_LIT("Subject"))) {
		keep(value, w->subject, sizeof w->subject, &w->subject_n, &w->has_subject);
		keep(value, w->whole_subject, sizeof w->whole_subject, &w->whole_subject_n,
		     &w->has_whole_subject);
	} else if (span_eq_nocase(name, SPAN_LIT("From"))) {
		keep(value, w->from, sizeof w->from, &w->from_n, &w->has_from);
	} else if (span_eq_nocase(name, SPAN_LIT("Date"))) {
		keep(value, w->date, sizeof w->date, &w->date_n, &w->has_date);
	}
}

static void add(struct header_walk *w, struct span bytes)
{
	size_t room = sizeof w->field - w->field_n;

	bytes = span_first(bytes, room);
	if (bytes.n)
		memcpy(w->field + w->field_n, bytes.p, bytes.n);
	w->field_n += bytes.n;
}

/* The bytes of the present line up to its LF, which is not among them. No CR is kept. */
static void take_line_part(struct header_walk *w, struct span part)
{
	if (part.n == 0)
		return;
	if (w->line_n == 0) {
		w->first = part.p[0];
		if (part.p[0] != ' ' && part.p[0] != '\t' && part.p[0] != '\r')
			look_at_field(w);
	}
	w->line_n += part.n;
	while (part.n) {
		size_t room = sizeof w->field - w->field_n;
		struct span some = span_first(part, room);

		if (room == 0) {
			take_over(w, part);
			return;
		}
		part = span_from(part, some.n);
		while (some.n)
			add(w, span_cut(&some, '\r'));
	}
}

/* True when the line that ends here is the last of the header section. */
static bool end_line(struct header_walk *w)
{
	bool is_empty = w->line_n == 0 || (w->line_n == 1 && w->first == '\r');
	bool is_blank = w->first == ' ' || w->first == '\t';
	bool is_field = is_blank || w->field_n == sizeof w->field ||
			!span_is_empty(field_name(span_of(w->field, w->field_n)));

	/* A line that is no field and no continuation: the body has begun without an empty line. */
	if (is_empty || is_field)
		w->seen += w->line_n + 1;
	w->line_n = 0;
	return is_empty || !is_field;
}

bool header_walk_feed(struct header_walk *w, struct span piece)
{
	while (!w->is_done && piece.n) {
		ssize_t lf = span_chr(piece, '\n');

		take_line_part(w, lf < 0 ? piece : span_first(piece, (size_t)lf));
		if (lf < 0)
			return true;
		piece = span_from(piece, (size_t)lf + 1);
		if (end_line(w))
			header_walk_end(w);
	}
	return !w->is_done;
}

void header_walk_end(struct header_walk *w)
{
	if (w->is_done)
		return;
	look_at_field(w);
	w->header_bytes = w->seen + w->line_n;
	w->line_n = 0;
	w->is_done = true;
}

/* Bytes of the first line with its LF and of the lines that continue it. */
static size_t whole_n(struct span rest)
{
	size_t n = 0;

	do {
		ssize_t lf = span_chr(span_from(rest, n), '\n');

		if (lf < 0)
			return rest.n;
		n += (size_t)lf + 1;
	} while (n < rest.n && (rest.p[n] == ' ' || rest.p[n] == '\t'));
	return n;
}

static struct span without_line_end(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

bool header_next(struct span *rest, struct span *out_name, struct span *out_value,
		 struct span *out_whole)
{
	struct span whole = span_first(*rest, whole_n(*rest)), name = field_name(whole);

	if (span_is_empty(name) || whole.p[0] == ' ' || whole.p[0] == '\t')
		return false;
	*out_name = name;
	*out_value = without_line_end(span_from(whole, (size_t)span_chr(whole, ':') + 1));
	*out_whole = whole;
	*rest = span_from(*rest, whole.n);
	return true;
}
