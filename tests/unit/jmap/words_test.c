/* Ids, dates, what a JSON text costs, search words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jmap/filter.h"
#include "jmap/measure.h"

static void ids(void **state)
{
	static const struct {
		const char *text;
		bool is;
		uint64_t number;
		enum mail_form form;
	} rows[] = {
		{"M1", true, 1, MAIL_AS_DELIVERED},
		{"S18446744073709551615", true, UINT64_MAX, MAIL_AS_SENT},
		{"E7", true, 7, MAIL_ENCLOSED},
		{"M18446744073709551616", false, 0, 0},
		{"M01", false, 0, 0},
		{"M", false, 0, 0},
		{"M-1", false, 0, 0},
		{"M 1", false, 0, 0},
		{"m1", false, 0, 0},
		{"X1", false, 0, 0},
		{"", false, 0, 0},
	};
	struct mail_email_id id;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *back;

		assert_int_equal(jmap_email_of(span_str(rows[i].text), &id), rows[i].is);
		if (!rows[i].is)
			continue;
		assert_true(id.number == rows[i].number && id.form == rows[i].form);
		back = jmap_email_id(id.number, id.form);
		assert_string_equal(json_string_value(back), rows[i].text);
		json_decref(back);
	}
	assert_true(jmap_is_id(SPAN_LIT("aZ-_9")));
	assert_false(jmap_is_id(SPAN_LIT("a b")));
	assert_false(jmap_is_id(SPAN_LIT("")));
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		bool is_date, is_utc;
		const char *as_utc;
	} rows[] = {
		/* RFC 8620 s1.4 */
		{"2014-10-30T14:12:00+08:00", true, false, "2014-10-30T06:12:00Z"},
		{"2014-10-30T06:12:00Z", true, true, "2014-10-30T06:12:00Z"},
		{"2014-10-30T06:12:00.5Z", true, true, "2014-10-30T06:12:00Z"},
		{"2000-02-29T23:59:59Z", true, true, "2000-02-29T23:59:59Z"},
		{"1970-01-01T00:00:00Z", true, true, "1970-01-01T00:00:00Z"},
		{"1960-01-01T00:00:00Z", true, true, "1970-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59Z", true, true, "9999-12-31T23:59:59Z"},
		{"2014-10-30T06:12:00", false, false, ""},
		{"2014-10-30t06:12:00z", false, false, ""},
		{"2014-10-30 06:12:00Z", false, false, ""},
		{"2014-13-30T06:12:00Z", false, false, ""},
		{"2014-10-30T06:12:00.Z", false, false, ""},
		{"2014-10-30T06:12Z", false, false, ""},
		{"2014-10-30T06:12:00+0800", false, false, ""},
		{"2014-10-30T06:12:00Zx", false, false, ""},
		{"", false, false, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t us, again;
		int zone;
		json_t *back;

		assert_int_equal(jmap_date_read(span_str(rows[i].text), &us, &zone),
				 rows[i].is_date);
		assert_int_equal(jmap_utc_read(span_str(rows[i].text), &again), rows[i].is_utc);
		if (!rows[i].is_date)
			continue;
		back = jmap_utc(us);
		assert_string_equal(json_string_value(back), rows[i].as_utc);
		json_decref(back);
		back = jmap_date(us, zone);
		assert_true(jmap_date_read(jmap_text(back), &again, &zone) &&
			    again / 1000000 == us / 1000000);
		json_decref(back);
	}
}

static void measures(void **state)
{
	(void)state;
	assert_int_equal(jmap_measured(SPAN_LIT("[[[]]]"), 3, 10), JMAP_FITS);
	assert_int_equal(jmap_measured(SPAN_LIT("[[[[]]]]"), 3, 10), JMAP_TOO_DEEP);
	assert_int_equal(jmap_measured(SPAN_LIT("[\"[[[[\\\"[[[\"]"), 3, 10), JMAP_FITS);
	assert_int_equal(jmap_measured(SPAN_LIT("[[],[],[]]"), 2, 10), JMAP_FITS);
	assert_int_equal(jmap_measured(SPAN_LIT("[1,2,3,4]"), 2, 4), JMAP_FITS);
	assert_int_equal(jmap_measured(SPAN_LIT("[1,2,3,4,5]"), 2, 4), JMAP_TOO_MANY);
	assert_int_equal(jmap_measured(SPAN_LIT("\"\\"), 2, 4), JMAP_FITS);
	assert_int_equal(jmap_measured(SPAN_LIT("]]]["), 1, 4), JMAP_FITS);
}

static void words(void **state)
{
	static const struct {
		const char *text, *words; /* "|" behind each */
	} rows[] = {
		{"one two", "one|two|"},
		{"  one\ttwo ", "one|two|"},
		{"\"one two\" three", "one two|three|"},
		{"'one two' three", "one two|three|"},
		{"don't", "don't|"},
		{"\"one\\\" two\"", "one\" two|"},
		{"\"a \\\\ b\"", "a \\ b|"},
		{"\"open end", "\"open|end|"},
		{"\"\"", "|"},
		{"", ""},
		{"   ", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span rest = span_str(rows[i].text);
		struct buf word = {0}, got = {0};

		while (jmap_word_next(&rest, &word)) {
			(void)buf_append(&got, buf_span(&word));
			(void)buf_append_byte(&got, '|');
		}
		assert_string_equal(buf_cstr(&got), rows[i].words);
		buf_fini(&word);
		buf_fini(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test(dates),
		cmocka_unit_test(measures),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
