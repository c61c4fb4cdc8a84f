/*
 * Lines are looked at when they end; of each at most JOURNAL_LINE_BYTES are kept, so that a delimiter or a field is seen
 * whole, and the rest only counts. Part 1 is kept raw, decoded at the end, and read line by line when asked for.
 */
#include "mail/journal.h"

#include <stdlib.h>

#include "mail/transfer.h"

enum state {
	ST_HEAD,       /* of the report */
	ST_PREAMBLE,   /* up to the first delimiter */
	ST_TEXT_HEAD,  /* of part 1 */
	ST_TEXT,       /* part 1 */
	ST_INNER_HEAD, /* of part 2 */
	ST_INNER,      /* the original */
	ST_DONE,       /* what follows is of no interest */
	ST_NOT,	       /* no report */
};

struct journal {
	enum state state;
	uint64_t at, line_at;	     /* bytes fed; where the present line begins */
	unsigned line_end, last_end; /* length of the line ends: of this line, of the one before */
	unsigned char line[JOURNAL_LINE_BYTES];
	size_t line_n;
	unsigned char before;			     /* the byte before the next one */
	unsigned char field[2 * JOURNAL_LINE_BYTES]; /* unfolded */
	size_t field_n;

	struct buf named; /* values of address fields of the header, unfolded, a line each */
	bool is_naming;	  /* the present field is one */

	bool has_mark;
	char boundary[JOURNAL_BOUNDARY_BYTES];
	size_t boundary_n;
	bool is_wanted_type; /* of the present part */
	enum mime_encoding encoding;

	struct buf text;     /* part 1, decoded by journal_end */
	size_t text_line_at; /* where in it the present line begins */
	bool is_text_cut;
	enum mime_encoding text_encoding;

	struct header_walk inner;
	uint64_t inner_offset, inner_end;
	enum mime_encoding inner_encoding;
};

struct journal *journal_new(void)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	buf_init(&j->text, JOURNAL_TEXT_BYTES);
	buf_init(&j->named, JOURNAL_NAMED_BYTES);
	header_walk_init(&j->inner, SPAN_NONE);
	return j;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	buf_fini(&j->text);
	buf_fini(&j->named);
	free(j);
}

/* ---- fields of the three headers ---- */

/* The value of a parameter ("; boundary=..."), quoted or not; SPAN_NONE: not there. Backslashes are no concern here. */
static struct span parameter(struct span value, struct span name)
{
	struct span rest = value;

	(void)span_cut(&rest, ';');
	while (rest.n) {
		ssize_t equals = span_chr(rest, '=');
		struct span key, text;

		if (equals < 0)
			return SPAN_NONE;
		key = span_trim(span_first(rest, (size_t)equals));
		rest = span_trim(span_from(rest, (size_t)equals + 1));
		if (rest.n && rest.p[0] == '"') {
			rest = span_from(rest, 1);
			text = span_cut(&rest, '"');
			(void)span_cut(&rest, ';');
		} else {
			text = span_trim(span_cut(&rest, ';'));
		}
		if (span_eq_nocase(key, name))
			return text;
	}
	return SPAN_NONE;
}

static struct span type_of(struct span value)
{
	return span_trim(span_cut(&value, ';'));
}

static void take_type(struct journal *j, struct span value)
{
	struct span boundary;

	if (j->state == ST_TEXT_HEAD) {
		j->is_wanted_type = span_eq_nocase(type_of(value), SPAN_LIT("text/plain"));
	} else if (j->state == ST_INNER_HEAD) {
		j->is_wanted_type = span_eq_nocase(type_of(value), SPAN_LIT("message/rfc822"));
	} else if (span_eq_nocase(type_of(value), SPAN_LIT("multipart/mixed"))) {
		boundary = parameter(value, SPAN_LIT("boundary"));
		if (boundary.n == 0 || boundary.n > sizeof j->boundary)
			return;
		memcpy(j->boundary, boundary.p, boundary.n);
		j->boundary_n = boundary.n;
	}
}

/* The field that has been gathered. */
static void end_field(struct journal *j)
{
	struct span field = span_of(j->field, j->field_n), name, value = field;

	j->field_n = 0;
	name = span_trim(span_cut(&value, ':'));
	value = span_trim(value);
	if (span_eq_nocase(name, SPAN_LIT("X-MS-Journal-Report")))
		j->has_mark = j->has_mark || j->state == ST_HEAD;
	else if (span_eq_nocase(name, SPAN_LIT("Content-Type")))
		take_type(j, value);
	else if (span_eq_nocase(name, SPAN_LIT("Content-Transfer-Encoding")))
		j->encoding = transfer_named(value);
}

/* ---- one line ---- */

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* 0: none; 1: a part begins; 2: the last part has ended. */
static int delimiter_of(const struct journal *j, struct span line)
{
	struct span boundary = span_of(j->boundary, j->boundary_n);

	if (!boundary.n || line.n < 2 + boundary.n || line.p[0] != '-' || line.p[1] != '-' ||
	    !span_eq(span_of(line.p + 2, boundary.n), boundary))
		return 0;
	line = span_from(line, 2 + boundary.n);
	if (line.n >= 2 && line.p[0] == '-' && line.p[1] == '-')
		return 2;
	return span_trim(line).n == 0 ? 1 : 0;
}

/* Of the report's own header: address fields are kept whole, however many lines they have. */
static void keep_named(struct journal *j, struct span line)
{
	static const char *const names[] = {
		"To", "Cc", "Bcc", "Delivered-To", "X-Original-To", "Envelope-To"};
	struct span name;

	if (!is_blank(line.p[0])) {
		name = span_trim(span_cut(&line, ':'));
		j->is_naming = false;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			j->is_naming = j->is_naming || span_eq_nocase(name, span_str(names[i]));
		if (j->is_naming)
			(void)buf_append_byte(&j->named, '\n');
	}
	if (j->is_naming)
		(void)buf_append(&j->named, line);
}

/* A line of a header: true when the header has ended with it. Anything but a field ends all hope. */
static bool header_line(struct journal *j, struct span line)
{
	size_t room = sizeof j->field - j->field_n;

	if (line.n == 0) {
		end_field(j);
		return true;
	}
	if (!is_blank(line.p[0])) {
		end_field(j);
		room = sizeof j->field;
		if (span_chr(line, ':') <= 0) {
			j->state = ST_NOT;
			return false;
		}
	}
	if (j->state == ST_HEAD)
		keep_named(j, line);
	line = span_first(line, room);
	memcpy(j->field + j->field_n, line.p, line.n);
	j->field_n += line.n;
	return false;
}

static void begin_part(struct journal *j, enum state next)
{
	j->state = next;
	j->encoding = MIME_7BIT;
	j->is_wanted_type = next == ST_TEXT_HEAD; /* text/plain is what a part without a type is */
}

static void end_text(struct journal *j)
{
	size_t n = j->text_line_at;

	j->text.n = n > j->last_end ? n - j->last_end : 0;
	begin_part(j, ST_INNER_HEAD);
}

static void end_inner(struct journal *j)
{
	j->inner_end = j->line_at - j->last_end;
	if (j->inner_end < j->inner_offset)
		j->inner_end = j->inner_offset;
	j->state = ST_DONE;
}

static void on_delimiter(struct journal *j, int kind)
{
	if (j->state == ST_INNER)
		end_inner(j);
	else if (kind == 2)
		j->state = ST_NOT;
	else if (j->state == ST_PREAMBLE)
		begin_part(j, ST_TEXT_HEAD);
	else if (j->state == ST_TEXT)
		end_text(j);
	else
		j->state = ST_NOT;
}

static void on_header_end(struct journal *j)
{
	if (j->state == ST_HEAD) {
		j->state = j->has_mark && j->boundary_n ? ST_PREAMBLE : ST_NOT;
	} else if (!j->is_wanted_type) {
		j->state = ST_NOT;
	} else if (j->state == ST_TEXT_HEAD) {
		j->text_encoding = j->encoding;
		j->state = ST_TEXT;
	} else {
		j->inner_encoding = j->encoding;
		j->inner_offset = j->at;
		j->state = ST_INNER;
	}
}

static void on_line(struct journal *j, struct span line)
{
	int delimiter = j->state == ST_HEAD ? 0 : delimiter_of(j, line);

	if (delimiter) {
		on_delimiter(j, delimiter);
		return;
	}
	switch (j->state) {
	case ST_HEAD:
	case ST_TEXT_HEAD:
	case ST_INNER_HEAD:
		if (header_line(j, line))
			on_header_end(j);
		return;
	case ST_PREAMBLE:
	case ST_TEXT:
	case ST_INNER:
	case ST_DONE:
	case ST_NOT:
		return;
	}
}

/* The line that has ended, without its end. */
static void end_line(struct journal *j)
{
	struct span line = span_of(j->line, j->line_n);

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	on_line(j, line);
	j->last_end = j->line_end;
	j->line_at = j->at;
	j->line_n = 0;
	j->text_line_at = j->text.n;
}

/* ---- bytes ---- */

/* Bytes of the present line, its LF the last of them if it ends here. */
static void take(struct journal *j, struct span part)
{
	size_t room = sizeof j->line - j->line_n, n = part.n < room ? part.n : room;

	if (j->state == ST_TEXT && !j->is_text_cut)
		j->is_text_cut = !buf_append(&j->text, part);
	if (j->state == ST_INNER)
		(void)header_walk_feed(&j->inner, part);
	if (n)
		memcpy(j->line + j->line_n, part.p, n);
	j->line_n += n;
	j->at += part.n;
	if (part.n > 1)
		j->before = part.p[part.n - 2];
	j->line_end = j->before == '\r' ? 2 : 1; /* if it ends here */
	j->before = part.p[part.n - 1];
}

void journal_feed(struct journal *j, struct span piece)
{
	while (piece.n && j->state != ST_DONE && j->state != ST_NOT) {
		ssize_t lf = span_chr(piece, '\n');
		size_t n = lf < 0 ? piece.n : (size_t)lf + 1;

		take(j, span_first(piece, n));
		piece = span_from(piece, n);
		if (lf < 0)
			continue;
		if (j->line_n < sizeof j->line || j->line[j->line_n - 1] == '\n')
			j->line_n--; /* the LF was kept */
		end_line(j);
	}
	j->at += piece.n;
}

/* ---- the text of part 1 ---- */

static bool decode_text(struct journal *j)
{
	struct transfer t;
	struct buf out;
	bool ok;

	buf_init(&out, JOURNAL_TEXT_BYTES);
	transfer_init(&t, j->text_encoding);
	ok = transfer_feed(&t, buf_span(&j->text), &out) && transfer_end(&t, &out) && !t.is_bad;
	if (!ok) {
		buf_fini(&out);
		return false;
	}
	buf_fini(&j->text);
	j->text = out;
	return true;
}

/* The next line "Name: value"; false at the end: an empty line after the first field. */
static bool next_field(struct span *rest, struct span *out_name, struct span *out_value)
{
	while (rest->n) {
		struct span line = span_trim(span_cut(rest, '\n'));
		ssize_t colon = span_chr(line, ':');

		if (line.n == 0 && out_name->p)
			return false;
		if (colon <= 0)
			continue;
		*out_name = span_trim(span_first(line, (size_t)colon));
		*out_value = span_trim(span_from(line, (size_t)colon + 1));
		return true;
	}
	return false;
}

/* `anna@x`, `<anna@x>`, `"Anna, A." <anna@x>`, each with or without `, Expanded: team@x`. */
static bool read_address(struct span value, struct address *out)
{
	size_t n = 0;
	bool is_quoted = false;
	ssize_t angle;

	while (n < value.n && (is_quoted || value.p[n] != ',')) {
		if (value.p[n] == '\\' && is_quoted)
			n++;
		else if (value.p[n] == '"')
			is_quoted = !is_quoted;
		n++;
	}
	value = span_trim(span_first(value, n));
	angle = span_rchr(value, '<');
	if (angle >= 0) {
		value = span_from(value, (size_t)angle + 1);
		value = span_cut(&value, '>');
	}
	return value.n && address_parse(value, true, out) == ADDRESS_FINE;
}

bool journal_sender(const struct journal *j, struct address *out)
{
	struct span rest = buf_span(&j->text), name = SPAN_NONE, value;

	while (next_field(&rest, &name, &value)) {
		if (span_eq_nocase(name, SPAN_LIT("Sender")))
			return read_address(value, out);
	}
	return false;
}

static bool role_of(struct span name, enum journal_role *out)
{
	static const struct {
		const char *name;
		enum journal_role role;
	} roles[] = {{"Recipient", JOURNAL_RECIPIENT},
		     {"To", JOURNAL_TO},
		     {"Cc", JOURNAL_CC},
		     {"Bcc", JOURNAL_BCC}};

	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (span_eq_nocase(name, span_str(roles[i].name))) {
			*out = roles[i].role;
			return true;
		}
	}
	return false;
}

void journal_each_rcpt(const struct journal *j,
		       bool (*on_rcpt)(void *arg, enum journal_role role, const struct address *a),
		       void *arg)
{
	struct span rest = buf_span(&j->text), name = SPAN_NONE, value;
	enum journal_role role;
	struct address a;

	while (next_field(&rest, &name, &value)) {
		if (role_of(name, &role) && read_address(value, &a) && !on_rcpt(arg, role, &a))
			return;
	}
}

/* The end of the first address of a list: its comma, or the ":" and ";" of a group; quotes, <> and comments are passed over. */
static size_t list_item_bytes(struct span list)
{
	bool is_quoted = false, is_in_angle = false;
	unsigned depth = 0;

	for (size_t i = 0; i < list.n; i++) {
		unsigned char c = list.p[i];

		if (c == '\\')
			i++;
		else if (c == '"')
			is_quoted = !is_quoted;
		else if (is_quoted)
			continue;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (depth)
			continue;
		else if (c == '<' || c == '>')
			is_in_angle = c == '<';
		else if (!is_in_angle && (c == ',' || c == ';' || c == ':'))
			return i;
	}
	return list.n;
}

static bool read_list(struct span list, bool (*on_named)(void *arg, const struct address *a),
		      void *arg)
{
	struct address a;

	while (list.n) {
		size_t n = list_item_bytes(list);

		struct span item = span_first(list, n);

		if (span_chr(item, '<') < 0) /* anna@x (a comment) */
			item = span_cut(&item, '(');
		if (read_address(item, &a) && !on_named(arg, &a))
			return false;
		list = span_from(list, n < list.n ? n + 1 : n);
	}
	return true;
}

void journal_each_named(const struct journal *j,
			bool (*on_named)(void *arg, const struct address *a), void *arg)
{
	struct span rest = buf_span(&j->named);

	while (rest.n) {
		if (!read_list(span_cut(&rest, '\n'), on_named, arg))
			return;
	}
}

/* ---- the end ---- */

static bool says_something(const struct journal *j)
{
	struct span rest = buf_span(&j->text), name = SPAN_NONE, value;
	enum journal_role role;

	while (next_field(&rest, &name, &value)) {
		if (role_of(name, &role) || span_eq_nocase(name, SPAN_LIT("Sender")))
			return true;
	}
	return false;
}

bool journal_end(struct journal *j)
{
	if (j->line_n && j->state != ST_DONE &&
	    j->state != ST_NOT) { /* a last line without an end */
		j->line_end = 0;
		end_line(j);
	}
	if (j->state == ST_INNER) {
		j->inner_end = j->at;
		j->state = ST_DONE;
	}
	if (j->state == ST_DONE && (j->is_text_cut || !decode_text(j) || !says_something(j)))
		j->state = ST_NOT;
	header_walk_end(&j->inner);
	return j->state == ST_DONE;
}

uint64_t journal_inner_offset(const struct journal *j)
{
	return j->inner_offset;
}

uint64_t journal_inner_bytes(const struct journal *j)
{
	bool is_as_it_is = j->inner_encoding == MIME_7BIT || j->inner_encoding == MIME_8BIT ||
			   j->inner_encoding == MIME_BINARY;

	return is_as_it_is ? j->inner_end - j->inner_offset : 0;
}

const struct header_walk *journal_inner_header(const struct journal *j)
{
	return &j->inner;
}
