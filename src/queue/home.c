/* What is left to do at home for one message; see home.h. */
#include "queue/home.h"

enum { FLAGS_SENT_HOME = MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DRAFT };

static bool has_word(struct span list, struct span word)
{
	while (list.n) {
		if (span_eq_nocase(span_cut(&list, ' '), word))
			return true;
	}
	return false;
}

/* False: no room. */
static bool add_word(char *out, size_t *n, struct span word)
{
	if (*n + word.n + 1 > HOME_WORDS_BYTES)
		return false;
	if (*n)
		out[(*n)++] = ' ';
	memcpy(out + *n, word.p, word.n);
	*n += word.n;
	return true;
}

static void add_differing(struct span list, struct span other, char *out, size_t *n)
{
	while (list.n) {
		struct span word = span_cut(&list, ' ');

		if (word.n && !has_word(other, word) && !has_word(span_of(out, *n), word))
			(void)!add_word(out, n, word);
	}
}

size_t home_words_differ(struct span touched, struct span before, struct span after, char *out)
{
	size_t n = 0;

	add_differing(touched, SPAN_NONE, out, &n);
	add_differing(before, after, out, &n);
	add_differing(after, before, out, &n);
	return n;
}

/* The place that stands for the copy at home; NULL: none. What was appended as a further copy is another message there. */
static const struct home_place *main_place(const struct home_facts *f)
{
	for (size_t i = 0; f->is_at_home && i < f->places_n; i++) {
		if (f->places[i].box == f->box)
			return &f->places[i];
	}
	for (size_t i = 0; i < f->places_n; i++) {
		if (!f->places[i].is_appended)
			return &f->places[i];
	}
	return NULL;
}

static void plan_marks(const struct home_facts *f, const struct home_place *at, char *words,
		       struct home_plan *out)
{
	uint32_t touched = f->touched & FLAGS_SENT_HOME;
	struct span rest = f->words;
	size_t add = 0, remove = 0;

	out->add = at->flags & touched;
	out->remove = ~at->flags & touched;
	while (rest.n) {
		struct span word = span_cut(&rest, ' ');

		if (has_word(at->keywords, word))
			(void)!add_word(words, &add, word);
		else
			(void)!add_word(words + HOME_WORDS_BYTES, &remove, word);
	}
	out->add_words = span_of(words, add);
	out->remove_words = span_of(words + HOME_WORDS_BYTES, remove);
}

void home_plan(const struct home_facts *f, char *words, struct home_plan *out)
{
	const struct home_place *at = main_place(f);
	size_t n = 0;

	*out = (struct home_plan){.action = HOME_NOTHING};
	if (!at) {
		out->trashes = f->is_at_home && f->special != MAIL_TRASH;
		out->action = out->trashes ? HOME_CHANGE : HOME_NOTHING;
		return;
	}
	if (!f->is_at_home) {
		/* What is cleared matters where it is found: an earlier APPEND may have got through. */
		plan_marks(f, at, words, out);
		n = out->add_words.n;
		out->action = HOME_APPEND;
		out->to = at->box;
		out->add = at->flags & FLAGS_SENT_HOME;
		add_differing(at->keywords, SPAN_NONE, words, &n);
		out->add_words = span_of(words, n);
		return;
	}
	plan_marks(f, at, words, out);
	out->moves = at->box != f->box;
	out->to = at->box;
	if (out->moves || out->add || out->remove || out->add_words.n || out->remove_words.n)
		out->action = HOME_CHANGE;
}

bool home_copy_is_wanted(uint64_t copy_box, const struct home_facts *f,
			 const struct home_plan *main_plan)
{
	uint64_t main_box = main_plan->to ? main_plan->to : f->box;

	if (copy_box == main_box)
		return false;
	for (size_t i = 0; i < f->places_n; i++) {
		if (f->places[i].box == copy_box)
			return !f->places[i].is_appended;
	}
	return false;
}

uint64_t home_retry_ms(uint32_t tries)
{
	static const uint64_t waits[] = {3000, 15000, 60000, 300000, 1800000, 7200000};

	return waits[tries < sizeof waits / sizeof *waits ? tries
							  : sizeof waits / sizeof *waits - 1];
}
