/* Addresses, parameters, dates, picking of fields. */
#include "mail/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- addresses ---- */

static void show(struct buf *b, struct span s)
{
	if (s.p)
		(void)buf_printf(b, "[%.*s]", SPAN_FMT(s));
	else
		(void)buf_append_byte(b, '-');
}

static bool on_address(void *arg, const struct field_address *a)
{
	struct buf *b = arg;

	(void)buf_printf(b, "%s",
			 a->kind == FIELD_GROUP_START ? "{"
			 : a->kind == FIELD_GROUP_END ? "}"
						      : "<");
	if (a->kind != FIELD_GROUP_END)
		show(b, a->name);
	if (a->kind == FIELD_MAILBOX) {
		if (a->route.p)
			show(b, a->route);
		show(b, a->local);
		show(b, a->domain);
	}
	return true;
}

static void addresses_are_read(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", ""},
		{"a@b.c", "<-[a][b.c]"},
		{" a @ b . c ", "<-[a][b.c]"},
		{"Some One <a@b>", "<[Some One][a][b]"},
		{"\"O\\\"ne, X\" <a@b>, c@d", "<[O\"ne, X][a][b]<-[c][d]"},
		{"a@b (Real Name)", "<[Real Name][a][b]"},
		{"J. Doe <j.doe@x>", "<[J. Doe][j.doe][x]"},
		{"=?utf-8?q?J=C3=B6rg?= <a@b>", "<[=?utf-8?q?J=C3=B6rg?=][a][b]"},
		{"Team: a@b, C <c@d>;", "{[Team]<-[a][b]<[C][c][d]}"},
		{"undisclosed-recipients:;", "{[undisclosed-recipients]}"},
		{"Open: a@b", "{[Open]<-[a][b]}"},
		{"<@x,@y:a@b>", "<-[@x,@y][a][b]"},
		{"<a@b", "<-[a][b]"},
		{"<>", "<---"},
		{"N <>", "<[N]--"},
		{"just words", "<[just words]--"},
		{"word", "<-[word]-"},
		{"@b", "<--[b]"},
		{"a@[192.0.2.1]", "<-[a][[192.0.2.1]]"},
		{"\"a b\"@c", "<-[a b][c]"},
		{",,a@b,,", "<-[a][b]"},
		{"a@b;c@d", "<-[a][b]<-[c][d]"},
		{"(unclosed a@b", ""},
		{"\"unclosed <a@b>", "<[unclosed <a@b>]--"},
		{"a@b <c@d>", "<[a@b][c][d]"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&b);
		assert_true(field_addresses(span_str(rows[i].text), on_address, &b));
		if (strcmp(buf_cstr(&b), rows[i].expected) != 0)
			fail_msg("%s: %s", rows[i].text, buf_cstr(&b));
	}
	buf_fini(&b);
}

static bool count(void *arg, const struct field_address *a)
{
	(void)a;
	++*(size_t *)arg;
	return true;
}

static void repeat(struct buf *b, const char *text, size_t n)
{
	buf_clear(b);
	for (size_t i = 0; i < n; i++)
		(void)buf_append(b, span_str(text));
}

static void m10_comments_and_quotes_are_linear(void **state)
{
	static const char *const texts[] = {"(", ")",  "\"",  "\\",	"()",	"(\"", "<",
					    ">", "<(", ":",   ";",	":;",	"@",   "a@",
					    ",", "[",  "a <", "\"\\\"", "a@b,", ".",   " "};
	struct buf b;
	double began = now();

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size_t n = 0;

		repeat(&b, texts[i], 200000);
		(void)field_addresses(buf_span(&b), count, &n);
		assert_true(n <= FIELD_ADDRESSES_LIMIT + 1);
	}
	buf_fini(&b);
	assert_true(now() - began < 2);
}

/* ---- parameters ---- */

static void parameters_are_read(void **state)
{
	static const struct {
		const char *field, *name, *expected;
	} rows[] = {
		{"text/plain; charset=utf-8", "charset", "utf-8"},
		{"text/plain;CHARSET=\"utf-8\" ; x=y", "charset", "utf-8"},
		{"text/plain; (c) charset (c) = (c) utf-8 (c); x", "charset", "utf-8"},
		{"a; filename=two words.txt; b=c", "filename", "two words.txt"},
		{"a; filename=\"a;b\\\"c\"", "filename", "a;b\"c"},
		{"a; filename*=utf-8''%c3%a4.txt", "filename", "\xc3\xa4.txt"},
		{"a; filename*=iso-8859-1'de'%e4.txt; filename=x", "filename", "\xc3\xa4.txt"},
		{"a; filename*1=b; filename*0=a; filename*3=d", "filename", "ab"},
		{"a; filename*0*=utf-8''%c3; filename*1*=%a4; filename*2=\"%41\"", "filename",
		 "\xc3\xa4%41"},
		{"a; filename=\"=?utf-8?B?w6Q=?=\"", "filename", "\xc3\xa4"},
		{"a; filename*4294967296=x; filename*00=y; filename*-1=z", "filename", NULL},
		{"a; filename*1=x", "filename", NULL},
		{"a; filename*=nosuch'%zz'%41", "filename", "A"},
		{"a; filename=\"x\ny\x01z\xe2\x80\xae"
		 "exe\"",
		 "filename", "xy zexe"},
		{"a; =b; c; ;;filename=d", "filename", "d"},
		{"a", "filename", NULL},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&b);
		assert_int_equal(field_param(span_str(rows[i].field), rows[i].name, &b),
				 rows[i].expected != NULL);
		if (rows[i].expected && strcmp(buf_cstr(&b), rows[i].expected) != 0)
			fail_msg("%s: %s", rows[i].field, buf_cstr(&b));
	}
	buf_fini(&b);
}

static void m04_continuations_are_bounded(void **state)
{
	struct buf field, out;
	double began = now();

	(void)state;
	buf_init(&field, 0);
	buf_init(&out, 0);
	(void)buf_append(&field, SPAN_LIT("attachment"));
	for (int i = 0; i < 100000; i++)
		(void)buf_printf(&field, "; filename*%d*=%s", i, i % 2 ? "koi8-r''x" : "%41");
	assert_true(field_param(buf_span(&field), "filename", &out));
	assert_in_range(out.n, FIELD_PARAM_SECTIONS_LIMIT, 20 * FIELD_PARAM_SECTIONS_LIMIT);
	assert_int_equal(out.p[0], 'A');
	buf_clear(&field);
	(void)buf_append(&field, SPAN_LIT("attachment"));
	for (int i = 0; i < 100000; i++)
		(void)buf_printf(&field, "; filename*0=a; filename=\"b");
	buf_clear(&out);
	assert_true(field_param(buf_span(&field), "filename", &out));
	assert_int_equal(out.n, 1);
	buf_fini(&field);
	buf_fini(&out);
	assert_true(now() - began < 1);
}

/* ---- dates ---- */

static void m09_dates(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: none */
	} rows[] = {
		{"Thu, 01 Jan 1970 00:00:01 +0000", 1},
		{"Sat, 21 Nov 2026 22:10:22 +0100", 1795295422},
		{"21 Nov 2026 21:10:22 GMT", 1795295422},
		{"21 Nov 2026 21:10 UT", 1795295400},
		{"Sat,21 Nov 26 16:10:22 EST", 1795295422},
		{"Sat, 21 Nov (today) 2026 21:10:22 +0000 (UTC)", 1795295422},
		{"29 Feb 2024 00:00:00 +0000", 1709164800},
		{"29 Feb 2023 00:00:00 +0000", 0},
		{"1 Jan 99 00:00:00 +0000", 915148800},
		{"1 Jan 100 00:00:00 +0000", 946684800},
		{"31 Dec 9999 23:59:59 +0000", 253402300799},
		{"1 Jan 0 00:00:00 +0000", 0},
		{"1 Jan 0000 00:00:00 +0000", 0},
		{"1 Jan 99999 00:00:00 +0000", 0},
		{"1 Jan 18446744073709551617 00:00:00 +0000", 0},
		{"21 Nov 2026 21:10:22 +9999", 0},
		{"21 Nov 2026 25:10:22 +0000", 0},
		{"32 Nov 2026 21:10:22 +0000", 0},
		{"1 Jan 1970 00:00:00 +0001", 0},
		{"yesterday", 0},
		{"", 0},
		{"((((((((", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t us = 42;
		bool is_date = field_date(span_str(rows[i].text), &us);

		if (is_date != (rows[i].seconds != 0) ||
		    (is_date && us != rows[i].seconds * 1000000))
			fail_msg("%s: %d %llu", rows[i].text, is_date, (unsigned long long)us);
	}
}

static void the_day_is_the_senders(void **state)
{
	int y, m, d;

	(void)state;
	assert_true(field_date_day(SPAN_LIT("Sat, 21 Nov 2026 23:59:00 -0800"), &y, &m, &d));
	assert_int_equal(y * 10000 + m * 100 + d, 20261121);
	assert_false(field_date_day(SPAN_LIT("x"), &y, &m, &d));
}

/* ---- picking ---- */

static void fields_are_picked(void **state)
{
	static const char header[] =
		"Subject: a\r\n b\r\nTo: x\r\nsubJECT : c\r\nX-Y: z\r\n\tmore\r\n\r\n";
	static const struct span names[] = {{(const unsigned char *)"SUBJECT", 7},
					    {(const unsigned char *)"x-y", 3}};
	static const struct {
		size_t names;
		bool is_not;
		const char *expected;
	} rows[] = {
		{1, false, "Subject: a\r\n b\r\nsubJECT : c\r\n\r\n"},
		{2, false, "Subject: a\r\n b\r\nsubJECT : c\r\nX-Y: z\r\n\tmore\r\n\r\n"},
		{2, true, "To: x\r\n\r\n"},
		{0, false, "\r\n"},
		{0, true, header},
	};
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t step = 1; step < sizeof header; step++) {
			struct field_pick p;

			buf_clear(&out);
			field_pick_init(&p, names, rows[i].names, rows[i].is_not);
			for (size_t at = 0; at < sizeof header - 1; at += step)
				assert_true(field_pick_feed(
					&p, span_first(span_from(span_str(header), at), step),
					&out));
			assert_true(field_pick_end(&p, &out));
			assert_string_equal(buf_cstr(&out), rows[i].expected);
		}
	}
	buf_clear(&out);
	struct field_pick p;
	field_pick_init(&p, names, 1, false);
	assert_true(field_pick_feed(&p, SPAN_LIT("Subject: no end"), &out) &&
		    field_pick_end(&p, &out));
	assert_string_equal(buf_cstr(&out), "Subject: no end\r\n\r\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(m10_comments_and_quotes_are_linear),
		cmocka_unit_test(parameters_are_read),
		cmocka_unit_test(m04_continuations_are_bounded),
		cmocka_unit_test(m09_dates),
		cmocka_unit_test(the_day_is_the_senders),
		cmocka_unit_test(fields_are_picked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
