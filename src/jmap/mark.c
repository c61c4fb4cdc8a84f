#include "jmap/mark.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/text.h"

enum {
	BEFORE = 60, /* bytes of text in front of the first word */
	ELLIPSIS = 3,
};

/* ---- the folded text, and where each of its bytes comes from ---- */

struct folded {
	struct buf text;
	uint32_t *from; /* offset in the text of each folded byte; one more for the end */
	size_t cap;
};

static bool put(struct folded *f, struct span bytes, size_t at)
{
	if (f->text.n + bytes.n + 1 > f->cap) {
		size_t cap = 2 * (f->text.n + bytes.n + 1);
		uint32_t *grown = reallocarray(f->from, cap, sizeof *grown);

		if (!grown)
			return false;
		f->from = grown;
		f->cap = cap;
	}
	for (size_t i = 0; i < bytes.n; i++)
		f->from[f->text.n + i] = (uint32_t)at;
	return buf_append(&f->text, bytes);
}

/* Character by character, as text_fold does: runs of blanks are one. */
static bool fold(struct span s, struct folded *f)
{
	struct buf one = {0};
	bool was_blank = false, is_fine = true;

	for (size_t i = 0; i < s.n && is_fine;) {
		size_t n = utf8_length(s.p + i, s.n - i);
		unsigned char c = s.p[i];
		bool is_blank;

		buf_clear(&one);
		if (c < 128 && c > ' ') {
			c = ascii_lower(c);
			(void)buf_append_byte(&one, c);
		} else {
			(void)text_fold(span_of(s.p + i, n ? n : 1), &one);
		}
		is_blank = one.n == 1 && one.p[0] == ' ';
		if (!is_blank || !was_blank)
			is_fine = put(f, buf_span(&one), i);
		was_blank = is_blank;
		i += n ? n : 1;
	}
	buf_fini(&one);
	if (is_fine)
		is_fine = put(f, SPAN_NONE, s.n);
	if (is_fine)
		f->from[f->text.n] = (uint32_t)s.n;
	return is_fine;
}

static void folded_fini(struct folded *f)
{
	buf_fini(&f->text);
	free(f->from);
}

/* The next place of any word from a folded offset on; the longest of those that begin there. */
static bool find(const struct folded *f, const struct jmap_words *w, size_t from, size_t *out_at,
		 size_t *out_end)
{
	bool is_found = false;

	for (size_t i = 0; i < w->n && from < f->text.n; i++) {
		const unsigned char *p =
			memmem(f->text.p + from, f->text.n - from, w->of[i].p, w->of[i].n);
		size_t at = p ? (size_t)(p - f->text.p) : 0;

		if (!p || (is_found && at > *out_at) ||
		    (is_found && at == *out_at && at + w->of[i].n <= *out_end))
			continue;
		is_found = true;
		*out_at = at;
		*out_end = at + w->of[i].n;
	}
	return is_found;
}

/* ---- writing ---- */

static struct span escaped(const unsigned char *p, size_t n)
{
	switch (*p) {
	case '&':
		return SPAN_LIT("&amp;");
	case '<':
		return SPAN_LIT("&lt;");
	case '>':
		return SPAN_LIT("&gt;");
	case '"':
		return SPAN_LIT("&quot;");
	case '\'':
		return SPAN_LIT("&#39;");
	default: /* a character */
		return span_of(p, n);
	}
}

/* A stretch of text, as much of it as fits with `after` bytes behind it. False: not all. */
static bool write(struct buf *out, struct span text, size_t most, size_t after)
{
	for (size_t i = 0; i < text.n;) {
		size_t n = utf8_length(text.p + i, text.n - i);
		struct span one = n ? escaped(text.p + i, n) : SPAN_LIT("\xef\xbf\xbd");

		if (out->n + one.n + after > most)
			return false;
		(void)buf_append(out, one);
		i += n ? n : 1;
	}
	return true;
}

static const struct span open_mark = {(const unsigned char *)"<mark>", 6};
static const struct span close_mark = {(const unsigned char *)"</mark>", 7};

/* Where the character ends that the folded byte before *end is of: one may fold to two ("ß" to "ss"). */
static size_t inside(const struct folded *f, size_t *end)
{
	while (*end < f->text.n && f->from[*end] == f->from[*end - 1])
		++*end;
	return f->from[*end];
}

/* From a place in the text on, with all words marked, as much as fits. False: not all. */
static bool write_marked(struct span text, const struct folded *f, const struct jmap_words *w,
			 size_t at, size_t folded_at, size_t most, struct buf *out)
{
	size_t from, end;

	while (find(f, w, folded_at, &from, &end)) {
		size_t first = f->from[from], last = inside(f, &end);
		struct span plain = span_of(text.p + at, first - at);
		struct span word = span_of(text.p + first, last - first);

		if (!write(out, plain, most, 0))
			return false;
		if (out->n + open_mark.n + close_mark.n + 1 > most)
			return false;
		(void)buf_append(out, open_mark);
		if (!write(out, word, most, close_mark.n)) {
			(void)buf_append(out, close_mark);
			return false;
		}
		(void)buf_append(out, close_mark);
		at = last;
		folded_at = end;
	}
	return write(out, span_from(text, at), most, 0);
}

bool jmap_mark_all(struct span text, const struct jmap_words *words, size_t bytes_most,
		   struct buf *out)
{
	struct folded f = {0};
	size_t at, end;
	bool is_found = fold(text, &f) && find(&f, words, 0, &at, &end);

	if (is_found)
		(void)write_marked(text, &f, words, 0, 0, bytes_most, out);
	folded_fini(&f);
	return is_found;
}

/* Where to begin: some way before the word, at the beginning of another one. */
static size_t beginning(struct span text, size_t word)
{
	size_t from = word > BEFORE ? word - BEFORE : 0;

	for (size_t i = from; i < word; i++) {
		if (from == 0 || text.p[i] == ' ')
			return from == 0 ? 0 : i + 1;
	}
	while (from < word && (text.p[from] & 0xc0) == 0x80)
		from++;
	return from;
}

bool jmap_mark_around(struct span text, const struct jmap_words *words, struct buf *out)
{
	struct folded f = {0};
	size_t at, end, from, most = JMAP_SNIPPET_BYTES - ELLIPSIS;
	bool is_found = fold(text, &f) && find(&f, words, 0, &at, &end);

	if (is_found) {
		from = beginning(text, f.from[at]);
		if (from)
			(void)buf_append(out, SPAN_LIT("\xe2\x80\xa6"));
		if (!write_marked(text, &f, words, from, at, most, out))
			(void)buf_append(out, SPAN_LIT("\xe2\x80\xa6"));
	}
	folded_fini(&f);
	return is_found;
}
