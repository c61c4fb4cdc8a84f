#include "cli/term.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void sizes_times_and_counts_as_people_read_them(void **state)
{
	struct term_text t;

	(void)state;
	assert_string_equal(term_size(&t, 0), "0 B");
	assert_string_equal(term_size(&t, 1023), "1023 B");
	assert_string_equal(term_size(&t, 1024), "1.0 KiB");
	assert_string_equal(term_size(&t, 325058560), "310 MiB");
	assert_string_equal(term_size(&t, 1048575), "1.0 MiB");
	assert_string_equal(term_size(&t, UINT64_MAX), "16384 PiB");
	assert_string_equal(term_span_of_time(&t, 59999999), "59s");
	assert_string_equal(term_span_of_time(&t, 61000000), "1m 1s");
	assert_string_equal(term_span_of_time(&t, 7860000000), "2h 11m");
	assert_string_equal(term_span_of_time(&t, 273600000000), "3d 4h");
	assert_string_equal(term_count(&t, 0), "0");
	assert_string_equal(term_count(&t, 999), "999");
	assert_string_equal(term_count(&t, 4812), "4,812");
	assert_string_equal(term_count(&t, 1000000), "1,000,000");
}

/* What stands in mail cannot move the cursor, change colours or turn the line round. */
static void bytes_of_mail_are_shown_safely(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *shown;
	} rows[] = {
		{"plain", 10, "plain"},
		{"\033[31mred", 20, "?[31mred"},
		{"a\nb\tc\x7f", 20, "a?b?c?"},
		{"\xc2\x9b"
		 "31m",
		 20, "?31m"}, /* C1 control */
		{"\xe2\x80\xae"
		 "gpj.exe",
		 20, "?gpj.exe"},	/* right-to-left override */
		{"a\xe2\x80\x8f"
		 "b\xe2\x81\xa6"
		 "c\xd8\x9c"
		 "d",
		 20, "a?b?c?d"}, /* marks and isolates of direction */
		{"pay\xe2\x80\x8bpal\xef\xbb\xbf\xc2\xad", 20, "pay?pal??"}, /* no width */
		{"x\xe2\x80\xa8y\xf3\xa0\x81\x81", 20, "x?y?"},	     /* line separator, tag */
		{"\xff\xfe", 20, "??"}, /* no UTF-8 */
		{"gr\xc3\xbc\xc3\x9f"
		 "e",
		 5,
		 "gr\xc3\xbc\xc3\x9f"
		 "e"},
		{"gr\xc3\xbc\xc3\x9f"
		 "e",
		 4, "gr\xc3\xbc\xe2\x80\xa6"},
		{"abc", 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};

		term_put(&out, span_str(rows[i].text), rows[i].columns);
		assert_string_equal(buf_cstr(&out), rows[i].shown);
		buf_fini(&out);
	}
}

static void cells_fill_their_columns(void **state)
{
	struct buf out = {0};

	(void)state;
	term_cell(&out, SPAN_LIT("ab"), 4, false);
	term_cell(&out, SPAN_LIT("\xc3\xbc"), 3, true);
	term_cell(&out, SPAN_LIT("abcdef"), 4, true);
	assert_string_equal(buf_cstr(&out), "ab    \xc3\xbc"
					    "abc\xe2\x80\xa6");
	buf_fini(&out);
}

static void text_is_wrapped_at_blanks(void **state)
{
	struct term t = {.width = 30};
	struct buf out = {0};

	(void)state;
	term_wrap(&t, &out, SPAN_LIT("one two three four five six seven eight"), 2);
	assert_string_equal(buf_cstr(&out), "  one two three four five six\n  seven eight\n");
	buf_clear(&out);
	term_wrap(&t, &out, SPAN_LIT(""), 2);
	assert_string_equal(buf_cstr(&out), "  \n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_times_and_counts_as_people_read_them),
		cmocka_unit_test(bytes_of_mail_are_shown_safely),
		cmocka_unit_test(cells_fill_their_columns),
		cmocka_unit_test(text_is_wrapped_at_blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
