#include "auth/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"

/* Records as "a|b;c|d", or what was wrong. */
static void read_all(const char *text, struct buf *out)
{
	struct fault why = {""};
	struct arena m = {0};
	struct csv c;
	enum rc rc;

	csv_init(&c, span_str(text));
	while ((rc = csv_next(&c, &m, &why)) == OK) {
		for (size_t i = 0; i < c.fields_n; i++)
			buf_printf(out, "%s%.*s", i ? "|" : "", SPAN_FMT(c.fields[i]));
		buf_printf(out, "@%u;", c.line);
	}
	if (rc != MORE)
		buf_printf(out, "%s", why.text);
	arena_fini(&m);
}

static void every_row(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", ""},
		{"a,b\r\nc,d\r\n", "a|b@1;c|d@2;"},
		{"a,b\nc,d", "a|b@1;c|d@2;"},
		{"\n\n,,\na", "a@4;"},
		{"\xef\xbb\xbfx", "x@1;"},
		{"\"a, b\",\"say \"\"hi\"\"\"", "a, b|say \"hi\"@1;"},
		{"\"two\nlines\",x\ny", "two\nlines|x@1;y@3;"},
		{"a,\"\",b", "a||b@1;"},
		{"a\"b,c", "a\"b|c@1;"},
		{"\"open", "line 1: a quoted field does not end, or goes on behind its quote"},
		{"a\n\"x\"y",
		 "a@1;line 2: a quoted field does not end, or goes on behind its quote"},
		{"a\rb", "line 1: a CR that ends no line"},
		{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "line 1: too many fields"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};

		read_all(rows[i].in, &out);
		assert_string_equal(buf_cstr(&out), rows[i].out);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_row)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
