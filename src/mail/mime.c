/*
 * A line at a time, in two stages. The first holds back what may be a delimiter line ("--", RFC 2046 s5.1.1) until its end
 * decides; no other line is gathered. The second takes the bytes of all other lines: fields in a header section, passed on
 * in a leaf, dropped in preambles and epilogues. A line end is held back until the next line shows whom it belongs to.
 *
 * Open multiparts and messages stand on a stack of at most MIME_DEPTH_LIMIT. A delimiter is compared by hash with the open
 * boundaries from the inside out, so that hostile ones cost no more than others. It must be the whole line but for blanks
 * behind it.
 */
#include "mail/mime.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/must.h"
#include "mail/mime_head.h"

enum { LINE_HELD = 512, PARTS_FIRST = 8 };

enum state { ST_HEADER, ST_BODY, ST_BETWEEN /* preamble, epilogue */ };

enum line_at {
	AT_START,
	AT_MAYBE, /* gathered in held: may be a delimiter */
	AT_SURE,  /* passed on */
};

struct open {
	int part;
	bool is_awaited; /* its delimiters are looked for */
	uint64_t hash;
	struct span boundary;
};

struct mime {
	struct mime_ops ops;
	struct arena arena;
	struct mime_part *parts;
	int parts_n, parts_cap;
	unsigned limits;
	bool is_dead;  /* no memory */
	bool is_blind; /* delimiters are not looked for any more: MIME_PARTS_LIMIT */

	enum state state;
	uint64_t at;	  /* of the next byte */
	uint64_t line_at; /* of the present line */
	uint64_t lines;	  /* LFs so far */
	enum line_at line;
	bool was_cr; /* the byte before */
	unsigned char held[LINE_HELD];
	size_t held_n;
	unsigned end_n; /* of the line end before the present line */

	unsigned char gap[2]; /* the line end, or a CR, that the body may not get */
	size_t gap_n;

	struct open stack[MIME_DEPTH_LIMIT];
	size_t depth, awaited;
	int leaf; /* whose body passes, MIME_NONE */

	struct mime_head_state head; /* of the open header section */
	int head_part;
};

static uint64_t hash_of(struct span s)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * 1099511628211u;
	return h;
}

static void died(struct mime *m)
{
	m->limits |= MIME_LIMIT_MEMORY;
	m->is_dead = true;
	m->state = ST_BETWEEN;
}

/* ---- the table ---- */

static int part_new(struct mime *m, int parent, uint64_t at)
{
	struct mime_part *p;
	int i = m->parts_n;

	if (i == m->parts_cap) {
		int cap = m->parts_cap ? m->parts_cap * 2 : PARTS_FIRST;
		void *more = reallocarray(m->parts, (size_t)cap, sizeof *m->parts);

		if (!more) {
			died(m);
			return MIME_NONE;
		}
		m->parts = more;
		m->parts_cap = cap;
	}
	p = &m->parts[i];
	*p = (struct mime_part){
		.parent = parent,
		.first_child = MIME_NONE,
		.last_child = MIME_NONE,
		.next = MIME_NONE,
		.header_at = at,
		.body_at = at,
		.end = at,
		.header_lines = m->lines,
		.type = SPAN_LIT("text"),
		.subtype = SPAN_LIT("plain"),
	};
	if (parent != MIME_NONE) {
		struct mime_part *up = &m->parts[parent];

		if (up->first_child == MIME_NONE)
			up->first_child = i;
		else
			m->parts[up->last_child].next = i;
		up->last_child = i;
		up->children++;
	}
	m->parts_n++;
	return i;
}

/* A header section begins at the next byte (or at `at`). */
static bool part_begin(struct mime *m, int parent, bool is_message, uint64_t at)
{
	int i = part_new(m, parent, at);

	if (i == MIME_NONE)
		return false;
	m->parts[i].is_message = is_message;
	m->head_part = i;
	m->leaf = MIME_NONE;
	m->state = ST_HEADER;
	mime_head_begin(&m->head, i, is_message);
	return true;
}

/* Ends part i at `end`, `lines` LFs into the message, or later where its last child ends later. */
static void part_end(struct mime *m, int i, uint64_t end, uint64_t lines)
{
	struct mime_part *p = &m->parts[i];

	if (p->last_child != MIME_NONE && m->parts[p->last_child].end > end) {
		end = m->parts[p->last_child].end;
		lines = m->lines;
	}
	if (end < p->body_at) {
		end = p->body_at;
		lines = p->body_lines;
	}
	p->end = end;
	p->body_lines = lines - p->body_lines;
}

/* ---- the end of a header section ---- */

static void push(struct mime *m, int part, struct span boundary)
{
	m->stack[m->depth++] = (struct open){part, boundary.n > 0, hash_of(boundary), boundary};
	m->awaited += boundary.n > 0;
}

static bool may_nest(struct mime *m)
{
	if (m->depth < MIME_DEPTH_LIMIT)
		return true;
	m->limits |= MIME_LIMIT_DEPTH;
	return false;
}

static void begin_leaf(struct mime *m, int i)
{
	m->parts[i].kind = MIME_LEAF;
	m->leaf = i;
	m->state = ST_BODY;
}

/* What the part is, from its type. Returns true for a message: its header section begins right here. */
static bool decide(struct mime *m, int i, struct span boundary)
{
	struct mime_part *p = &m->parts[i];
	bool is_message = span_eq(p->type, SPAN_LIT("message")) &&
			  (span_eq(p->subtype, SPAN_LIT("rfc822")) ||
			   span_eq(p->subtype, SPAN_LIT("global"))) &&
			  p->encoding != MIME_BASE64 && p->encoding != MIME_QUOTED;

	if (span_eq(p->type, SPAN_LIT("multipart")) && boundary.n > 0 && may_nest(m)) {
		p->kind = MIME_MULTIPART;
		push(m, i, boundary);
		m->state = ST_BETWEEN;
		return false;
	}
	if (!is_message || !may_nest(m)) {
		begin_leaf(m, i);
		return false;
	}
	if (m->parts_n == MIME_PARTS_LIMIT) {
		m->limits |= MIME_LIMIT_PARTS;
		begin_leaf(m, i);
		return false;
	}
	p->kind = MIME_MESSAGE;
	push(m, i, SPAN_NONE);
	return true;
}

/* The header section has ended, its body begins at `at`, `lines` LFs into the message. */
static void header_ends(struct mime *m, uint64_t at, uint64_t lines)
{
	int i = m->head_part;
	struct mime_part *p = &m->parts[i];
	bool in_digest = p->parent != MIME_NONE && m->parts[p->parent].kind == MIME_MULTIPART &&
			 span_eq(m->parts[p->parent].subtype, SPAN_LIT("digest"));
	struct span boundary = SPAN_NONE;
	bool is_message;

	p->body_at = at;
	p->header_lines = lines - p->header_lines;
	p->body_lines = lines;
	m->gap_n = 0;
	if (!mime_head_end(&m->head, in_digest, p, &boundary)) {
		died(m);
		begin_leaf(m, i);
		return;
	}
	is_message = decide(m, i, boundary);
	if (m->ops.on_part)
		m->ops.on_part(m->ops.arg, m, i);
	if (is_message && !part_begin(m, i, true, at))
		m->state = ST_BETWEEN;
	else if (is_message)
		m->parts[m->head_part].header_lines = lines;
}

/* ---- delimiters ---- */

/* Closes the leaf and what is open above `depth`, at a delimiter line or the end of the message. */
static void close_above(struct mime *m, size_t depth, uint64_t end, uint64_t lines)
{
	while (m->state == ST_HEADER && !m->is_dead) {
		uint64_t from = m->parts[m->head_part].header_at;
		uint64_t at = m->line_at > from ? m->line_at : from;

		header_ends(m, at, m->lines);
	}
	if (m->leaf != MIME_NONE)
		part_end(m, m->leaf, end, lines);
	m->leaf = MIME_NONE;
	while (m->depth > depth) {
		struct open *o = &m->stack[--m->depth];

		m->awaited -= o->is_awaited;
		part_end(m, o->part, end, lines);
	}
	m->state = ST_BETWEEN;
}

/* Which open multipart the line (without "--" and trailing blanks) is a delimiter of; -1: none. */
static ssize_t awaited_by(const struct mime *m, struct span text)
{
	uint64_t hash = hash_of(text);

	for (size_t k = m->depth; k-- > 0;) {
		const struct open *o = &m->stack[k];

		if (o->is_awaited && o->hash == hash && span_eq(o->boundary, text))
			return (ssize_t)k;
	}
	return -1;
}

static void delimiter(struct mime *m, size_t k, bool is_last)
{
	bool has_gap = m->end_n > 0;

	close_above(m, k + 1, m->line_at - m->end_n, m->lines - has_gap);
	m->gap_n = 0;
	if (!is_last)
		return; /* the part begins behind the line end: delimiter_ends */
	m->stack[k].is_awaited = false;
	m->awaited--;
}

/* The gathered line as a delimiter. False: it is none. *out_part: a part begins behind it; whose. */
static bool try_delimiter(struct mime *m, int *out_part)
{
	struct span text = span_of(m->held, m->held_n);
	bool is_last = false;
	ssize_t k;

	*out_part = MIME_NONE;
	while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t' ||
			      text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n < 3 || text.p[0] != '-' || text.p[1] != '-')
		return false;
	text = span_from(text, 2);
	k = awaited_by(m, text);
	if (k < 0 && text.n > 2 && text.p[text.n - 1] == '-' && text.p[text.n - 2] == '-') {
		is_last = true;
		k = awaited_by(m, span_first(text, text.n - 2));
	}
	if (k < 0)
		return false;
	if (!is_last && m->parts_n >= MIME_PARTS_LIMIT) {
		m->limits |= MIME_LIMIT_PARTS;
		m->is_blind = true;
		return false;
	}
	delimiter(m, (size_t)k, is_last);
	if (!is_last)
		*out_part = m->stack[k].part;
	return true;
}

/* ---- second stage ---- */

static void give(struct mime *m, struct span bytes)
{
	if (bytes.n > 0 && m->ops.on_body && m->leaf != MIME_NONE)
		m->ops.on_body(m->ops.arg, m->leaf, bytes);
}

static void give_gap(struct mime *m)
{
	give(m, span_of(m->gap, m->gap_n));
	m->gap_n = 0;
}

static void body_bytes(struct mime *m, struct span bytes)
{
	if (m->leaf == MIME_NONE || bytes.n == 0)
		return;
	give_gap(m);
	if (bytes.p[bytes.n - 1] == '\r') {
		bytes.n--;
		m->gap[m->gap_n++] = '\r';
	}
	give(m, bytes);
}

static void body_line_end(struct mime *m)
{
	if (m->leaf == MIME_NONE)
		return;
	if (m->gap_n > 0 && m->gap[m->gap_n - 1] == '\n')
		give_gap(m);
	m->gap[m->gap_n++] = '\n';
}

static void line_bytes(struct mime *m, struct span bytes)
{
	unsigned char name[MIME_NAME_BYTES];
	struct span before = SPAN_NONE; /* of this line, given to a header section that was none */

	while (m->state == ST_HEADER) {
		struct span rest = before;

		if (mime_head_take(&m->head, &rest) && mime_head_take(&m->head, &bytes))
			return;
		if (rest.n == 0) {
			before = span_of(name, m->head.name_n);
			memcpy(name, m->head.name, m->head.name_n);
		}
		header_ends(m, m->line_at, m->lines);
	}
	body_bytes(m, before);
	body_bytes(m, bytes);
}

/* Lines of the header section are counted with the LF that is being read. */
static void line_end(struct mime *m, bool has_lf)
{
	unsigned char name[MIME_NAME_BYTES];

	while (m->state == ST_HEADER) {
		size_t n = m->head.name_n;

		switch (mime_head_line_end(&m->head)) {
		case HEAD_FIELD:
			return;
		case HEAD_EMPTY:
			header_ends(m, m->at, m->lines + has_lf);
			return;
		case HEAD_BODY:
			memcpy(name, m->head.name, n);
			header_ends(m, m->line_at, m->lines);
			line_bytes(m, span_of(name, n));
			break;
		}
	}
	if (has_lf)
		body_line_end(m);
}

/* ---- first stage ---- */

static bool looks_for_delimiters(const struct mime *m)
{
	return m->awaited > 0 && !m->is_blind;
}

/* What was gathered is no delimiter. */
static void let_go(struct mime *m)
{
	size_t n = m->held_n;

	m->held_n = 0;
	m->line = AT_SURE;
	line_bytes(m, span_of(m->held, n));
}

/* Bytes of the present line; no LF among them. */
static void take(struct mime *m, struct span bytes)
{
	if (m->line == AT_START)
		m->line = bytes.p[0] == '-' && (looks_for_delimiters(m) || m->state == ST_HEADER)
				  ? AT_MAYBE
				  : AT_SURE;
	if (m->line == AT_MAYBE) {
		struct span some = span_first(bytes, sizeof m->held - m->held_n);

		memcpy(m->held + m->held_n, some.p, some.n);
		m->held_n += some.n;
		bytes = span_from(bytes, some.n);
		if (m->held_n == sizeof m->held || (m->held_n > 1 && m->held[1] != '-'))
			let_go(m);
	}
	if (bytes.n > 0)
		line_bytes(m, bytes);
}

/* The gathered line, complete, in a header section. False: it is no field, and the section has ended before it. */
static bool is_field(struct mime *m)
{
	struct span line = span_of(m->held, m->held_n);

	if (mime_head_take(&m->head, &line) && mime_head_line_end(&m->head) == HEAD_FIELD)
		return true;
	while (m->state == ST_HEADER)
		header_ends(m, m->line_at, m->lines);
	return false;
}

/* The gathered line is complete. Returns whose part begins behind it, MIME_NONE. */
static int finish_held(struct mime *m, bool has_lf)
{
	int whose = MIME_NONE;
	bool is_done = try_delimiter(m, &whose);

	if (!is_done && m->state == ST_HEADER)
		/* It may end the section and be the first delimiter of what that announced. */
		is_done = is_field(m) || try_delimiter(m, &whose);
	if (!is_done)
		body_bytes(m, span_of(m->held, m->held_n));
	if (!is_done && has_lf)
		body_line_end(m);
	m->held_n = 0;
	return whose;
}

/* The line is complete; m->at is behind its LF (or the end of the message). */
static void finish_line(struct mime *m, bool has_lf, bool has_cr)
{
	int whose = MIME_NONE;

	if (m->line == AT_MAYBE)
		whose = finish_held(m, has_lf);
	else if (has_lf)
		line_end(m, true);
	m->lines += has_lf;
	if (whose != MIME_NONE)
		(void)part_begin(m, whose, false, m->at);
	m->end_n = has_lf ? 1 + has_cr : 0;
	m->line = AT_START;
	m->line_at = m->at;
}

/* ---- face ---- */

struct mime *mime_new(const struct mime_ops *ops)
{
	struct mime *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	if (ops)
		m->ops = *ops;
	arena_init(&m->arena, MIME_MEMORY_BYTES);
	mime_head_init(&m->head, &m->ops, &m->arena);
	m->leaf = MIME_NONE;
	(void)part_begin(m, MIME_NONE, true, 0);
	return m;
}

void mime_free(struct mime *m)
{
	if (!m)
		return;
	mime_head_fini(&m->head);
	arena_fini(&m->arena);
	free(m->parts);
	free(m);
}

void mime_feed(struct mime *m, struct span piece)
{
	while (piece.n > 0) {
		ssize_t lf = m->is_dead ? -1 : span_chr(piece, '\n');
		size_t n = lf < 0 ? piece.n : (size_t)lf;
		bool has_cr = n > 0 ? piece.p[n - 1] == '\r' : m->was_cr;

		m->at += n;
		if (n > 0 && !m->is_dead)
			take(m, span_first(piece, n));
		m->was_cr = n > 0 && piece.p[n - 1] == '\r';
		if (lf < 0)
			return;
		m->at++;
		finish_line(m, true, has_cr);
		m->was_cr = false;
		piece = span_from(piece, n + 1);
	}
}

void mime_end(struct mime *m)
{
	uint64_t line_at = m->line_at;

	if (m->line == AT_MAYBE && !m->is_dead)
		finish_line(m, false, false);
	if (m->state == ST_HEADER && m->head.line != LINE_START) {
		m->line_at = line_at;
		line_end(m, false);
	}
	m->line_at = m->at;
	if (m->leaf != MIME_NONE && !m->is_dead)
		give_gap(m);
	close_above(m, 0, m->at, m->lines);
	if (m->is_dead && m->parts_n > 0)
		m->parts[0].end = m->at;
}

uint64_t mime_bytes(const struct mime *m)
{
	return m->at;
}

unsigned mime_limits(const struct mime *m)
{
	return m->limits | m->head.limits;
}

int mime_parts(const struct mime *m)
{
	return m->parts_n;
}

const struct mime_part *mime_part(const struct mime *m, int i)
{
	must(i >= 0 && i < m->parts_n);
	return &m->parts[i];
}
