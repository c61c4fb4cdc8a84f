/* Lists of keywords as entries keep them: sorted, one blank between (mail/store.h). */
#include "views/people.h"

bool keywords_are_fine(struct span keywords)
{
	struct span rest = keywords, before = SPAN_NONE;
	unsigned n = 0;

	while (rest.n) {
		struct span one = span_cut(&rest, ' ');

		if (one.n == 0 || one.n > MAIL_KEYWORD_BYTES || ++n > MAIL_KEYWORDS_LIMIT)
			return false;
		for (size_t i = 0; i < one.n; i++)
			if (one.p[i] <= 32 || one.p[i] >= 127)
				return false;
		if (before.n && span_cmp(before, one) >= 0)
			return false;
		before = one;
	}
	return true;
}

static bool word_in(struct span word, struct span list)
{
	while (list.n)
		if (span_eq_nocase(span_cut(&list, ' '), word))
			return true;
	return false;
}

static void word_add(struct buf *b, struct span word)
{
	if (b->n)
		buf_append_byte(b, ' ');
	buf_append(b, word);
}

/* Both lists are sorted; so is what comes out. */
static void add_all(struct span was, struct span more, struct buf *out)
{
	while (was.n || more.n) {
		struct span rest_was = was, rest_more = more;
		struct span a = span_cut(&rest_was, ' '), b = span_cut(&rest_more, ' ');

		if (more.n == 0 || (was.n && span_cmp(a, b) < 0)) {
			word_add(out, a);
			was = rest_was;
			continue;
		}
		if (!word_in(b, buf_span(out)) && !word_in(b, was))
			word_add(out, b);
		more = rest_more;
	}
}

static void leave_out(struct span was, struct span less, struct buf *out)
{
	while (was.n) {
		struct span word = span_cut(&was, ' ');

		if (!word_in(word, less))
			word_add(out, word);
	}
}

static struct span kept(struct views *v, struct buf *b)
{
	struct span s = arena_span(&v->arena, buf_span(b));

	buf_fini(b);
	return s;
}

struct span keywords_with(struct views *v, struct span was, struct span more)
{
	struct buf b = {0};

	if (more.n == 0)
		return was;
	add_all(was, more, &b);
	return kept(v, &b);
}

struct span keywords_without(struct views *v, struct span was, struct span less)
{
	struct buf b = {0};

	if (less.n == 0)
		return was;
	leave_out(was, less, &b);
	return kept(v, &b);
}
