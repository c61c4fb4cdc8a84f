#include "mail/preview.h"

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/text.h"

void preview_init(struct preview *p)
{
	*p = (struct preview){0};
}

void preview_part(struct preview *p, bool is_html)
{
	p->line_n = p->held_n = 0;
	p->is_html = is_html;
	p->is_over = false;
	p->is_blank = true;
}

bool preview_is_full(const struct preview *p)
{
	return p->characters == PREVIEW_CHARACTERS || p->is_over ||
	       p->looked >= PREVIEW_LOOKED_BYTES;
}

/* ---- words ---- */

enum look { LOOK_CHARACTER, LOOK_BLANK, LOOK_NOTHING };

/* What newsletters put behind their first words so that nothing else is seen there is nothing. */
static enum look look_of(const unsigned char *at, size_t n)
{
	static const char *const blanks[] = {"\xc2\xa0", "\xe2\x80\x87", "\xe2\x80\xaf",
					     "\xe3\x80\x80"};
	static const char *const nothings[] = {"\xc2\xad",     "\xcd\x8f",     "\xe2\x80\x8b",
					       "\xe2\x80\x8c", "\xe2\x81\xa0", "\xef\xbb\xbf"};
	struct span c = span_of(at, n);

	if (n == 1)
		return *at <= ' ' ? LOOK_BLANK : LOOK_CHARACTER;
	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
		if (span_eq(c, span_str(blanks[i])))
			return LOOK_BLANK;
	for (size_t i = 0; i < sizeof nothings / sizeof *nothings; i++)
		if (span_eq(c, span_str(nothings[i])))
			return LOOK_NOTHING;
	return LOOK_CHARACTER;
}

/* Appends words, one blank between, and one before them when something is there. */
static void add_words(struct span s, bool *is_blank, unsigned char *to, size_t *to_n,
		      unsigned *characters)
{
	for (size_t i = 0; i < s.n && *characters < PREVIEW_CHARACTERS;) {
		size_t n = utf8_length(s.p + i, s.n - i);
		enum look look = look_of(s.p + i, n ? n : 1);

		n = n ? n : 1;
		*is_blank |= look == LOOK_BLANK;
		if (look == LOOK_CHARACTER) {
			if (*is_blank && *to_n) {
				to[(*to_n)++] = ' ';
				if (++*characters == PREVIEW_CHARACTERS)
					return;
			}
			memcpy(to + *to_n, s.p + i, n);
			*to_n += n;
			++*characters;
			*is_blank = false;
		}
		i += n;
	}
}

/* Pieces are whole characters. */
static void show(struct preview *p, struct span s)
{
	struct buf safe = {0};

	(void)text_safe(s, &safe);
	add_words(buf_span(&safe), &p->is_blank, p->text, &p->text_n, &p->characters);
	buf_fini(&safe);
}

static void show_line(struct preview *p, struct span s)
{
	p->is_blank = true;
	show(p, s);
}

static void show_quoted(struct preview *p, struct span s)
{
	struct buf safe = {0};
	bool is_blank = true;

	(void)text_safe(s, &safe);
	add_words(buf_span(&safe), &is_blank, p->quoted, &p->quoted_n, &p->quoted_characters);
	buf_fini(&safe);
}

/* ---- lines ---- */

static size_t run_of(struct span line, unsigned char c)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == c)
		n++;
	return n;
}

/* What programs write between an answer and the message below it. */
static bool begins_another(struct span line)
{
	size_t dashes = run_of(line, '-');

	return run_of(line, '_') >= 10 ||
	       (dashes >= 4 && dashes < line.n && line.n < 80 && line.p[line.n - 1] == '-');
}

static void end_line(struct preview *p)
{
	struct span line = span_trim(span_of(p->line, p->line_n));

	p->line_n = 0;
	if (line.n == 0 || p->is_over)
		return;
	if (line.p[0] == '>') {
		while (line.n && (line.p[0] == '>' || line.p[0] == ' '))
			line = span_from(line, 1);
		show_quoted(p, line);
		p->held_n = 0;
		return;
	}
	if (p->held_n)
		show_line(p, span_of(p->held, p->held_n));
	p->held_n = 0;
	if (span_eq(line, SPAN_LIT("--")) || (p->text_n && begins_another(line))) {
		p->is_over = p->text_n > 0;
		return;
	}
	if (line.p[line.n - 1] == ':') {
		memcpy(p->held, line.p, line.n);
		p->held_n = line.n;
		return;
	}
	show_line(p, line);
}

static void keep_line(struct preview *p, struct span part)
{
	part = span_first(part, sizeof p->line - p->line_n);
	if (part.n)
		memcpy(p->line + p->line_n, part.p, part.n);
	p->line_n += part.n;
}

void preview_feed(struct preview *p, struct span utf8)
{
	utf8 = span_first(utf8, PREVIEW_LOOKED_BYTES - p->looked);
	p->looked += utf8.n;
	if (p->is_html) {
		show(p, utf8);
		return;
	}
	while (utf8.n && !preview_is_full(p)) {
		ssize_t lf = span_chr(utf8, '\n');

		keep_line(p, lf < 0 ? utf8 : span_first(utf8, (size_t)lf));
		if (lf < 0)
			return;
		end_line(p);
		utf8 = span_from(utf8, (size_t)lf + 1);
	}
}

void preview_end(struct preview *p)
{
	if (!p->is_html)
		end_line(p);
	if (p->held_n && !p->is_over)
		show_line(p, span_of(p->held, p->held_n));
	p->held_n = 0;
}

struct span preview_text(const struct preview *p)
{
	return p->text_n ? span_of(p->text, p->text_n) : span_of(p->quoted, p->quoted_n);
}
