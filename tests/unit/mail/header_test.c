#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define MARK "by mx2.example.net (Holdfast) with "

static const char message[] = "Received: from a (b [192.0.2.1])\r\n\tby mx2.example.net (Holdfast) "
			      "with ESMTP id 1;\r\n\tx\r\n"
			      "received : from c by d;\r\n y\r\n"
			      "Subject: one\r\n two\r\n"
			      "SUBJECT: later\r\n"
			      "Message-Id:\r\n <id@x> (comment)\r\n"
			      "From: \xc3\xbc <a@b>\r\n"
			      "date: Sat, 21 Nov\r\n 2026 21:10:22 +0000\r\n"
			      "\r\n"
			      "Received: in the body\r\n";

static void check(struct header_walk *w)
{
	assert_true(w->is_done);
	assert_int_equal(w->received, 2);
	assert_int_equal(w->own_received, 1);
	assert_true(span_eq(header_subject(w), SPAN_LIT("one two")));
	assert_true(span_eq(header_message_id(w), SPAN_LIT("<id@x>")));
	assert_true(span_eq(header_from(w), SPAN_LIT("\xc3\xbc <a@b>")));
	assert_true(span_eq(header_date(w), SPAN_LIT("Sat, 21 Nov 2026 21:10:22 +0000")));
	assert_int_equal(w->header_bytes, strstr(message, "\r\n\r\n") + 4 - message);
}

static void h1_any_split_gives_the_same(void **state)
{
	struct header_walk w;
	size_t n = sizeof message - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		header_walk_init(&w, SPAN_LIT(MARK));
		if (header_walk_feed(&w, span_of(message, cut)))
			(void)header_walk_feed(&w, span_of(message + cut, n - cut));
		check(&w);
	}
	header_walk_init(&w, SPAN_LIT(MARK));
	for (size_t i = 0; i < n; i++)
		(void)header_walk_feed(&w, span_of(message + i, 1));
	check(&w);
}

static void body_without_empty_line_ends_the_header(void **state)
{
	struct header_walk w;

	(void)state;
	header_walk_init(&w, SPAN_NONE);
	assert_false(header_walk_feed(&w, SPAN_LIT("Subject: x\r\nno field here\r\nFrom: y\r\n")));
	assert_int_equal(w.header_bytes, 12);
	assert_int_equal(w.from_n, 0);
	assert_true(span_eq(header_subject(&w), SPAN_LIT("x")));
}

static void header_without_end_counts_at_the_end(void **state)
{
	struct header_walk w;

	(void)state;
	header_walk_init(&w, SPAN_NONE);
	assert_true(header_walk_feed(&w, SPAN_LIT("Received: x\r\nSubject: y")));
	header_walk_end(&w);
	assert_int_equal(w.received, 1);
	assert_true(span_eq(header_subject(&w), SPAN_LIT("y")));
	assert_int_equal(w.header_bytes, 23);
}

/* S-22: 100,000 fields, one field of 10 MiB: linear, nothing grows. */
static void s_22_huge_headers_are_walked_in_one_pass(void **state)
{
	enum { FIELDS = 100000, LONG_BYTES = 10 << 20 };
	struct header_walk w;
	char *big = malloc(LONG_BYTES);

	(void)state;
	assert_non_null(big);
	memset(big, 'a', LONG_BYTES);
	header_walk_init(&w, SPAN_NONE);
	for (int i = 0; i < FIELDS; i++)
		assert_true(header_walk_feed(&w, SPAN_LIT("Received: x\r\n")));
	assert_true(header_walk_feed(&w, SPAN_LIT("To: ")));
	assert_true(header_walk_feed(&w, span_of(big, LONG_BYTES)));
	assert_false(header_walk_feed(&w, SPAN_LIT("\r\n\r\n")));
	assert_int_equal(w.received, FIELDS);
	assert_int_equal(w.header_bytes, FIELDS * 13 + 4 + LONG_BYTES + 4);
	free(big);
}

/* ---- references ---- */

static struct header_refs refs_of(const char *text)
{
	struct header_refs out;

	header_refs_of(span_str(text), &out);
	return out;
}

static uint64_t id(const char *text)
{
	char header[400];

	snprintf(header, sizeof header, "Message-ID: %s\r\n\r\n", text);
	return refs_of(header).ids[0];
}

static void references_are_its_own_then_the_nearest(void **state)
{
	struct header_refs r = refs_of("References: <a@x>\r\n <b@x>\r\n\t<c@x>\r\n"
				       "In-Reply-To: your message <c@x> of today\r\n"
				       "Message-ID: <own@x> (mine)\r\n"
				       "Message-ID: <second@x>\r\n"
				       "References: <d@x>\r\n\r\n");

	(void)state;
	assert_int_equal(r.n, 4);
	assert_int_equal(r.ids[0], id("<own@x>"));
	assert_int_equal(r.ids[1], id("<c@x>"));
	assert_int_equal(r.ids[2], id("<b@x>"));
	assert_int_equal(r.ids[3], id("<a@x>"));
	assert_int_equal(r.subject, 0);
	assert_int_not_equal(id("<own@x>"), id("<Own@x>"));
	assert_int_equal(id("<folded\r\n @x>"), id("<folded@x>"));
	assert_int_equal(id("bare@x"), id(" bare@x "));
	assert_int_equal(refs_of("In-Reply-To: <c@x>\r\n\r\n").n, 1);
	assert_int_equal(refs_of("In-Reply-To: <> <\r\nReferences: x > y <a\r\n\r\n").n, 0);
	assert_int_equal(refs_of("").n, 0);
}

/* Recorded: these numbers never change. */
static void hashes_are_fixed(void **state)
{
	(void)state;
	assert_int_equal(id("<own@x>"), 0xf2deb1110afae021);
	assert_int_equal(refs_of("Subject: Moon landing\r\n\r\n").subject, 0xbe2d27ae697d6012);
}

/* The own one that submission gives. */
static void a_given_id_is_its_own(void **state)
{
	struct header_walk w;
	struct header_refs r;

	(void)state;
	header_walk_init(&w, SPAN_NONE);
	(void)header_walk_feed(&w, SPAN_LIT("In-Reply-To: <c@x>\r\n\r\n"));
	header_refs(&w, SPAN_LIT("<made@x>"), &r);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.ids[0], id("<made@x>"));
}

static void of_many_references_the_last_count(void **state)
{
	struct buf text = {0};
	struct header_refs r, split;
	struct header_walk w;

	(void)state;
	buf_printf(&text, "Message-ID: <own@x>\r\nReferences:");
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, " <%d.some.longer.name@mail.example.com>\r\n", i);
	buf_printf(&text, "Subject: x\r\n\r\n");
	r = refs_of(buf_cstr(&text));
	assert_int_equal(r.n, 21);
	assert_int_equal(r.ids[1], id("<4999.some.longer.name@mail.example.com>"));
	assert_int_equal(r.ids[20], id("<4980.some.longer.name@mail.example.com>"));
	assert_int_not_equal(r.subject, 0);
	header_walk_init(&w, SPAN_NONE);
	for (size_t i = 0; i < text.n; i++)
		(void)header_walk_feed(&w, span_of(text.p + i, 1));
	header_refs(&w, SPAN_NONE, &split);
	assert_memory_equal(&r, &split, sizeof r);
	buf_fini(&text);
}

static uint64_t subject(const char *text)
{
	struct buf b = {0};
	uint64_t hash;

	buf_printf(&b, "Subject: %s\r\n\r\n", text);
	hash = refs_of(buf_cstr(&b)).subject;
	buf_fini(&b);
	return hash;
}

static void subjects_have_a_base(void **state)
{
	static const char *const same[][2] = {
		{"Moon", "Re: Moon"},
		{"Moon", "RE: re: Fwd: moon"},
		{"Moon", "AW: WG: [crew] Re[2]: Moon (fwd)"},
		{"Moon", "[Fwd: Re: Moon]"},
		{"Moon", "re :Moon"},
		{"Moon  landing", "Re: Moon\r\n landing"},
		{"[only]", "Re: [only]"},
		{"gr\xc3\xb6\xc3\x9f"
		 "e",
		 "Re: =?utf-8?Q?Gr=C3=B6=C3=9Fe?="},
		{"=?iso-8859-1?Q?Gr=F6=DFe?=", "AW: =?utf-8?B?R3LDtsOfZQ==?="},
		{"=?utf-8?Q?Sehr_lang,_?=\r\n =?utf-8?Q?geteilt?=", "Sehr lang, geteilt"},
		{"=?koi8-r?B?8NLJ18XU?=", "Re: =?koi8-r?B?8NLJ18XU?="},
		{"\xe5\x9b\x9e\xe5\xa4\x8d\xef\xbc\x9aMoon", "Moon"},
	};
	static const char *const none[] = {"", "Re:", "Re: Fwd: ", "[Fwd:]", "=?utf-8?Q?_?="};

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (subject(same[i][0]) != subject(same[i][1]) || subject(same[i][0]) == 0)
			fail_msg("'%s' and '%s'", same[i][0], same[i][1]);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (subject(none[i]) != 0)
			fail_msg("'%s' has a base", none[i]);
	assert_int_not_equal(subject("Moon"), subject("Noon"));
	assert_int_not_equal(subject("Reply: Moon"), subject("Moon"));
}

/* Long ones are the same whatever stands before them, and cost no more than they are long. */
static void long_subjects_are_compared_by_their_beginning(void **state)
{
	struct buf a = {0}, b = {0};

	(void)state;
	for (int i = 0; i < 300; i++) {
		buf_printf(&a, "w%d ", i);
		buf_printf(&b, "Re: ");
	}
	assert_int_not_equal(subject(buf_cstr(&a)), 0);
	buf_clear(&b);
	buf_printf(&b, "Re: AW: %s", buf_cstr(&a));
	assert_int_equal(subject(buf_cstr(&b)), subject(buf_cstr(&a)));
	buf_clear(&b);
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, i % 2 ? "[x]" : "re:");
	(void)subject(buf_cstr(&b));
	buf_fini(&a);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(h1_any_split_gives_the_same),
		cmocka_unit_test(body_without_empty_line_ends_the_header),
		cmocka_unit_test(header_without_end_counts_at_the_end),
		cmocka_unit_test(references_are_its_own_then_the_nearest),
		cmocka_unit_test(hashes_are_fixed),
		cmocka_unit_test(a_given_id_is_its_own),
		cmocka_unit_test(of_many_references_the_last_count),
		cmocka_unit_test(subjects_have_a_base),
		cmocka_unit_test(long_subjects_are_compared_by_their_beginning),
		cmocka_unit_test(s_22_huge_headers_are_walked_in_one_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
