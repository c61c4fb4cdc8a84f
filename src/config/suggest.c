#include "config/suggest.h"

#include "base/ascii.h"

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned suggest_distance(struct span a, struct span b)
{
	unsigned rows[3][SUGGEST_WORD_BYTES + 1];
	unsigned *before = rows[0], *above = rows[1], *here = rows[2];

	if (a.n > SUGGEST_WORD_BYTES || b.n > SUGGEST_WORD_BYTES)
		return (unsigned)((a.n > b.n ? a.n : b.n) & 0xffff);
	for (size_t j = 0; j <= b.n; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *spare = before;

		here[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned cost = ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]);

			here[j] = min3(above[j] + 1, here[j - 1] + 1, above[j - 1] + cost);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && before[j - 2] + cost < here[j])
				here[j] = before[j - 2] + cost;
		}
		before = above;
		above = here;
		here = spare;
	}
	return above[b.n];
}

void suggest_begin(struct suggest *s, struct span typed)
{
	*s = (struct suggest){.typed = typed};
}

/* One edit for every three letters is a slip of the finger; more is another word. */
void suggest_offer(struct suggest *s, const char *word)
{
	struct span w = span_str(word);
	unsigned distance = suggest_distance(s->typed, w);
	size_t longer = w.n > s->typed.n ? w.n : s->typed.n;
	bool begins = s->typed.n >= 3 && span_starts_nocase(w, s->typed);

	if (!begins && distance > (longer < 4 ? 1 : longer / 3))
		return;
	if (!s->best || distance < s->distance) {
		s->best = word;
		s->distance = distance;
	}
}
