/* Pointers with "*" (RFC 8620 s3.7, RFC 6901 s5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jmap/reference.h"

static void pointers(void **state)
{
	static const struct {
		const char *root, *pointer, *value; /* NULL: names nothing */
	} rows[] = {
		/* RFC 6901 s5 */
		{"{\"foo\":[\"bar\",\"baz\"]}", "", "{\"foo\":[\"bar\",\"baz\"]}"},
		{"{\"foo\":[\"bar\",\"baz\"]}", "/foo", "[\"bar\",\"baz\"]"},
		{"{\"foo\":[\"bar\",\"baz\"]}", "/foo/0", "\"bar\""},
		{"{\"\":0}", "/", "0"},
		{"{\"a/b\":1}", "/a~1b", "1"},
		{"{\"m~n\":8}", "/m~0n", "8"},
		{"{\"~1\":8}", "/~01", "8"},
		{"{\" \":7}", "/ ", "7"},
		{"{\"a\":[1]}", "/a/01", NULL},
		{"{\"a\":[1]}", "/a/-", NULL},
		{"{\"a\":[1]}", "/a/1", NULL},
		{"{\"a\":1}", "/a/b", NULL},
		{"{\"a\":1}", "a", NULL},
		{"{\"a\":1}", "/~2", NULL},
		{"{\"a\":1}", "/~", NULL},
		/* RFC 8620 s3.7 */
		{"{\"list\":[{\"t\":1},{\"t\":2}]}", "/list/*/t", "[1,2]"},
		{"{\"list\":[{\"t\":[1,2]},{\"t\":[3]}]}", "/list/*/t", "[1,2,3]"},
		{"{\"list\":[{\"t\":[1,2]},{\"t\":3}]}", "/list/*/t", "[1,2,3]"},
		{"{\"list\":[{\"t\":[[1],2]}]}", "/list/*/t", "[[1],2]"},
		{"{\"list\":[]}", "/list/*/t", "[]"},
		{"{\"list\":[]}", "/list/*/t/*/u", "[]"},
		{"{\"list\":[1,2]}", "/list/*", "[1,2]"},
		{"{\"list\":[{\"t\":1},{}]}", "/list/*/t", NULL},
		{"{\"l\":[{\"m\":[{\"t\":1},{\"t\":[2,3]}]},{\"m\":[]}]}", "/l/*/m/*/t", "[1,2,3]"},
		{"{\"*\":4}", "/*", "4"},
		{"[1,[2]]", "/*", "[1,2]"},
		{"{\"a\":1}", "/a/*", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *root = json_loads(rows[i].root, 0, NULL);
		json_t *got = jmap_pointed(root, span_str(rows[i].pointer));
		char *text = got ? json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

		assert_non_null(root);
		if ((text == NULL) != (rows[i].value == NULL))
			fail_msg("%s of %s: %s", rows[i].pointer, rows[i].root, text ? text : "-");
		if (text)
			assert_string_equal(text, rows[i].value);
		free(text);
		json_decref(got);
		json_decref(root);
	}
}

static void long_pointers_name_nothing(void **state)
{
	char text[2 * JMAP_POINTER_TOKENS + 8] = "";
	json_t *root = json_loads("[[]]", 0, NULL);

	(void)state;
	for (int i = 0; i < JMAP_POINTER_TOKENS + 1; i++)
		strcat(text, "/*");
	assert_null(jmap_pointed(root, span_str(text)));
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers),
		cmocka_unit_test(long_pointers_name_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
