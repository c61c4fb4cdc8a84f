/*
 * Input: commands are gathered byte by byte into s->text, their literals counted (I2). A line that ends in "{n}" or "{n+}"
 * is followed by n bytes that are nothing but content; whether a literal may stand there is for the command's parser,
 * which reads the same marks in the same way. The message of an APPEND is not gathered.
 */
#include "imap/server_internal.h"

#include "base/ascii.h"
#include "base/must.h"

void imap_text_done(struct imap_server *s)
{
	if (s->text.p)
		explicit_bzero(s->text.p, s->text.n);
	buf_fini(&s->text);
	s->part_at = 0;
	s->is_message = false;
	s->input = IMAP_IN_LINE;
}

static size_t text_limit(const struct imap_server *s)
{
	return imap_server_is_in(s) ? IMAP_COMMAND_LIMIT : IMAP_EARLY_LIMIT;
}

static bool is_tag_char(unsigned char c)
{
	return ascii_is_graph(c) && !memchr("(){%*\"\\+", c, 8);
}

static struct span word_of(struct span *rest)
{
	ssize_t blank = span_chr(*rest, ' ');
	struct span word = blank < 0 ? *rest : span_first(*rest, (size_t)blank);

	*rest = span_from(*rest, word.n);
	return word;
}

bool imap_split(struct span line, struct span *out_tag, struct span *out_verb, bool *out_uid,
		struct span *out_args)
{
	struct span tag = word_of(&line);

	*out_tag = *out_verb = *out_args = SPAN_NONE;
	*out_uid = false;
	if (tag.n == 0 || tag.n > IMAP_TAG_LIMIT)
		return false;
	for (size_t i = 0; i < tag.n; i++) {
		if (!is_tag_char(tag.p[i]))
			return false;
	}
	*out_tag = tag;
	if (!imap_get_space(&line))
		return false;
	*out_verb = word_of(&line);
	if (span_eq_nocase(*out_verb, SPAN_LIT("UID")) && imap_get_space(&line)) {
		*out_uid = true;
		*out_verb = word_of(&line);
	}
	*out_args = line;
	return out_verb->n > 0;
}

/* ---- literals ---- */

enum mark { MARK_NONE, MARK_FINE, MARK_HUGE };

/* "{12}", "{12+}", "~{12}" at the end of the line. */
static enum mark literal_at_end(struct span line, struct imap_literal *out)
{
	ssize_t open = span_rchr(line, '{');
	struct span digits;
	uint64_t bytes = 0;
	bool waits = true;

	if (open < 0 || line.p[line.n - 1] != '}')
		return MARK_NONE;
	digits = span_of(line.p + open + 1, line.n - (size_t)open - 2);
	if (digits.n && digits.p[digits.n - 1] == '+') {
		waits = false;
		digits.n--;
	}
	if (digits.n == 0)
		return MARK_NONE;
	for (size_t i = 0; i < digits.n; i++) {
		if (!ascii_is_digit(digits.p[i]))
			return MARK_NONE;
	}
	out->waits = waits;
	out->is_binary = open > 0 && line.p[open - 1] == '~';
	out->mark_n = line.n - (size_t)open + out->is_binary;
	out->bytes = UINT64_MAX;
	if (!span_to_u64(digits, UINT32_MAX, &bytes))
		return MARK_HUGE;
	out->bytes = bytes;
	return MARK_FINE;
}

/* The command cannot go on: its tagged answer now, and what follows is a new one. */
static void refuse_text(struct imap_server *s, const char *answer)
{
	struct imap_work *w = imap_work_new(s);
	struct span verb;

	w->text = s->text;
	s->text = (struct buf){0};
	imap_text_done(s);
	(void)imap_split(buf_span(&w->text), &w->tag, &verb, &w->by_uid, &w->args);
	imap_finish(w, "%s", answer);
}

static void refuse_literal(struct imap_server *s, bool waits)
{
	if (waits)
		refuse_text(s, "BAD [TOOBIG] The literal is too long for a command");
	else /* what it holds cannot be told from commands: RFC 7888 s4 */
		imap_bye(s, "TOOBIG", SPAN_LIT("The literal is too long for a command"));
}

static void begin_literal(struct imap_server *s, const struct imap_literal *l, bool is_huge)
{
	size_t limit = imap_server_is_in(s) ? IMAP_COMMAND_LIMIT : IMAP_EARLY_LITERAL;
	struct span before = span_first(buf_span(&s->text), s->text.n - 2 - l->mark_n);

	if (!is_huge && s->state != IMAP_ST_OPEN && imap_append_is_due(s, before)) {
		s->text.n = before.n;
		s->coming = *l;
		s->is_message = true;
		s->input = IMAP_IN_READY;
		return;
	}
	if (is_huge || l->bytes > limit || l->bytes > text_limit(s) - s->text.n) {
		refuse_literal(s, l->waits);
		return;
	}
	if (l->waits)
		imap_put(s, "+ Go on\r\n");
	s->left = l->bytes;
	s->part_at = s->text.n;
	s->input = l->bytes ? IMAP_IN_LITERAL : IMAP_IN_LINE;
}

/* ---- lines ---- */

static void end_command_line(struct imap_server *s)
{
	struct span line = span_from(span_first(buf_span(&s->text), s->text.n - 2), s->part_at);
	struct imap_literal literal;
	enum mark mark = literal_at_end(line, &literal);

	if (mark != MARK_NONE) {
		begin_literal(s, &literal, mark == MARK_HUGE);
		return;
	}
	s->text.n -= 2;
	s->input = IMAP_IN_READY;
}

static enum imap_step end_line(struct imap_server *s, struct span *out_piece)
{
	enum imap_step step = IMAP_FEED;
	struct span line = buf_span(&s->text);

	if (line.n < s->part_at + 2 || line.p[line.n - 2] != '\r') {
		imap_bye(s, NULL, SPAN_LIT("Lines must end in CR LF; this one ended in a bare LF"));
	} else if (s->input == IMAP_IN_SASL) {
		step = imap_sasl_line(s, span_first(line, line.n - 2), out_piece);
	} else if (s->input == IMAP_IN_IDLE) {
		imap_idle_line(s, span_first(line, line.n - 2));
	} else {
		end_command_line(s);
	}
	return step;
}

static bool keep(struct imap_server *s, struct span part)
{
	if (s->text.n == 0 && imap_server_is_in(s) && s->input == IMAP_IN_LINE)
		s->since_us = s->now_us;
	s->text.limit = text_limit(s);
	if (buf_append(&s->text, part))
		return true;
	imap_bye(s, "TOOBIG", SPAN_LIT("The command is too long"));
	return false;
}

static enum imap_step take_line(struct imap_server *s, struct span *in, struct span *out_piece)
{
	ssize_t lf = span_chr(*in, '\n');
	struct span part = lf < 0 ? *in : span_first(*in, (size_t)lf + 1);

	*in = span_from(*in, part.n);
	if (!keep(s, part) || lf < 0)
		return IMAP_FEED;
	return end_line(s, out_piece);
}

static void take_literal(struct imap_server *s, struct span *in)
{
	struct span part = span_first(*in, s->left < in->n ? (size_t)s->left : in->n);

	*in = span_from(*in, part.n);
	if (!keep(s, part))
		return;
	s->left -= part.n;
	if (s->left)
		return;
	s->part_at = s->text.n;
	s->input = IMAP_IN_LINE;
}

enum imap_step imap_take_input(struct imap_server *s, struct span *in, struct span *out_piece)
{
	switch (s->input) {
	case IMAP_IN_LINE:
	case IMAP_IN_SASL:
	case IMAP_IN_IDLE:
		return take_line(s, in, out_piece);
	case IMAP_IN_LITERAL:
		take_literal(s, in);
		return IMAP_FEED;
	case IMAP_IN_MESSAGE:
	case IMAP_IN_SKIP:
	case IMAP_IN_TAIL:
		return imap_append_input(s, in, out_piece);
	case IMAP_IN_HOST:
	case IMAP_IN_READY:
		break;
	}
	must_never("input while the host is asked");
}
