#include "config/suggest.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void distance_counts_edits_and_swaps(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"listen", "listen", 0},
		{"lisetn", "listen", 1}, /* neighbours swapped */
		{"recipient", "recipients", 1},
		{"recepients", "recipients", 1},
		{"Site", "site", 0}, /* case is no edit */
		{"kitten", "sitting", 3},
		{"ca", "abc", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(suggest_distance(span_str(rows[i].a), span_str(rows[i].b)),
				 rows[i].distance);
		assert_int_equal(suggest_distance(span_str(rows[i].b), span_str(rows[i].a)),
				 rows[i].distance);
	}
}

static void nearest_word_is_offered_or_none(void **state)
{
	static const char *const words[] = {"recipients", "site", "name", "mode", "unknown"};
	static const struct {
		const char *typed, *best;
	} rows[] = {
		{"recipeints", "recipients"}, {"sites", "site"}, {"nmae", "name"}, {"moed", "mode"},
		{"rec", "recipients"},	      {"zebra", NULL},	 {"x", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct suggest s;

		suggest_begin(&s, span_str(rows[i].typed));
		for (size_t j = 0; j < sizeof words / sizeof *words; j++)
			suggest_offer(&s, words[j]);
		if (rows[i].best)
			assert_string_equal(s.best, rows[i].best);
		else
			assert_null(s.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distance_counts_edits_and_swaps),
		cmocka_unit_test(nearest_word_is_offered_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
