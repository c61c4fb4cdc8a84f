/* Marks in texts: whatever the text is, what comes out is text and <mark>, and never longer than it may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jmap/mark.h"
#include "mail/text.h"

static void add(struct jmap_words *w, struct buf *to, const char *word)
{
	size_t at = to->n;

	(void)text_fold(span_str(word), to);
	w->of[w->n++] = span_of(to->p + at, to->n - at);
}

static void marks(void **state)
{
	static const struct {
		const char *text, *words[3], *out; /* NULL: not found */
	} rows[] = {
		{"The Foosball", {"foo"}, "The <mark>Foo</mark>sball"},
		{"a <b> & \"c\" 'd'",
		 {"b"},
		 "a &lt;<mark>b</mark>&gt; &amp; &quot;c&quot; &#39;d&#39;"},
		{"<mark>x</mark>", {"x"}, "&lt;mark&gt;<mark>x</mark>&lt;/mark&gt;"},
		{"<script>", {"<script>"}, "<mark>&lt;script&gt;</mark>"},
		{"stra\u00dfe", {"STRASSE"}, "<mark>stra\u00dfe</mark>"},
		{"\u00df", {"s"}, "<mark>\u00df</mark>"},
		{"a\u00dfb", {"sb"}, "a<mark>\u00dfb</mark>"},
		{"aXbXc", {"x"}, "a<mark>X</mark>b<mark>X</mark>c"},
		{"one two", {"two", "one"}, "<mark>one</mark> <mark>two</mark>"},
		{"foobar", {"foo", "foobar"}, "<mark>foobar</mark>"},
		{"aaa", {"aa"}, "<mark>aa</mark>a"},
		{"one  \u00a0 two", {"one two"}, "<mark>one  \u00a0 two</mark>"},
		{"nothing", {"x"}, NULL},
		{"", {"x"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jmap_words w = {0};
		struct buf folded = {0}, out = {0};

		assert_true(buf_reserve(&folded, 1000));
		for (size_t k = 0; k < 3 && rows[i].words[k]; k++)
			add(&w, &folded, rows[i].words[k]);
		assert_int_equal(jmap_mark_all(span_str(rows[i].text), &w, 2000, &out),
				 rows[i].out != NULL);
		assert_string_equal(buf_cstr(&out), rows[i].out ? rows[i].out : "");
		buf_fini(&folded);
		buf_fini(&out);
	}
}

/* RFC 8621 s5: at most 255 octets, whole characters, every mark closed. */
static void never_too_long(void **state)
{
	static const char *const pieces[] = {"word ",  "&", "\u20ac", "<b>",
					     "needle", " ", "\u00df"};
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct jmap_words w = {0};
		struct buf folded = {0}, text = {0}, out = {0};
		size_t opened = 0, closed = 0;

		assert_true(buf_reserve(&folded, 100));
		add(&w, &folded, "needle");
		add(&w, &folded, "s");
		for (int i = 0; i < round % 150; i++) {
			seed = seed * 1664525u + 1013904223u;
			(void)buf_append(&text, span_str(pieces[(seed >> 16) % 7]));
		}
		if (jmap_mark_around(buf_span(&text), &w, &out)) {
			assert_in_range(out.n, 13, JMAP_SNIPPET_BYTES);
			for (size_t i = 0; i + 6 <= out.n; i++) {
				opened += memcmp(out.p + i, "<mark>", 6) == 0;
				closed += i + 7 <= out.n && memcmp(out.p + i, "</mark>", 7) == 0;
			}
			assert_true(opened > 0 && opened == closed);
			buf_clear(&text);
			(void)text_safe(buf_span(&out), &text);
			assert_true(span_eq(buf_span(&text), buf_span(&out)));
		}
		buf_fini(&folded);
		buf_fini(&text);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks),
		cmocka_unit_test(never_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
