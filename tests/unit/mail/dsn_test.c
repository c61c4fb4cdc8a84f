/* Notifications: same id for the same fact, no line but ours (S-20), sizes bounded. What other parsers make of them is
 * dsn_referee.py's. */
#include "dsn_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void build(struct buf *out, const struct dsn_facts *facts, struct dsn_made *made)
{
	buf_init(out, 0);
	dsn_build(out, facts, made);
}

static const struct dsn_facts *sample(const char *name)
{
	for (size_t i = 0; i < DSN_SAMPLES; i++) {
		if (strcmp(dsn_samples[i].name, name) == 0)
			return &dsn_samples[i].facts;
	}
	fail_msg("no sample %s", name);
	return NULL;
}

static bool has(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static void same_fact_same_bytes(void **state)
{
	struct dsn_facts other = *sample("failed_headers");
	char a[DSN_ID_BYTES], b[DSN_ID_BYTES];
	struct dsn_made made;
	struct buf one, two;

	(void)state;
	build(&one, &other, &made);
	build(&two, &other, &made);
	assert_true(span_eq(buf_span(&one), buf_span(&two)));
	dsn_id(&other, a);
	other.now_us += 5000000;
	other.text = SPAN_LIT("other words");
	dsn_id(&other, b);
	assert_string_equal(a, b);
	other.action = DSN_DELAYED;
	dsn_id(&other, b);
	assert_string_not_equal(a, b);
	other = *sample("failed_headers");
	other.rcpt = SPAN_LIT("nobody@example.con");
	dsn_id(&other, b);
	assert_string_not_equal(a, b);
	/* The end of one part is not the start of the next. */
	other.message_id = SPAN_LIT("00112233445566778899aabbccddeeffn");
	other.rcpt = SPAN_LIT("obody@example.com");
	dsn_id(&other, b);
	assert_string_not_equal(a, b);
	buf_fini(&one);
	buf_fini(&two);
}

/* S-20, D1, D2: nothing foreign begins a line outside the returned part. */
static void s_20_every_line_is_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < DSN_SAMPLES; i++) {
		struct dsn_made made;
		struct span rest;
		struct buf out;

		build(&out, &dsn_samples[i].facts, &made);
		assert_false(has(&out, "\nX-Injected"));
		assert_false(has(&out, "\nX: y"));
		assert_false(has(&out, "\nBcc:"));
		rest = buf_span(&out);
		while (rest.n) {
			struct span line = span_cut(&rest, '\n');

			assert_true(line.n && line.p[line.n - 1] == '\r');
			assert_true(line.n <= 999);
			assert_true(span_chr(line, '\0') < 0 && span_chr(line, '\033') < 0);
			assert_int_equal(span_chr(line, '\r'), line.n - 1);
		}
		assert_true(out.p[made.header_bytes - 4] == '\r' &&
			    out.p[made.header_bytes - 1] == '\n');
		buf_fini(&out);
	}
}

static void ret_is_honoured_within_bounds(void **state)
{
	struct dsn_facts facts = *sample("failed_full");
	struct dsn_made made;
	unsigned char *big = malloc(DSN_RETURN_LIMIT_BYTES + 1);
	struct buf out;

	(void)state;
	assert_non_null(big);
	build(&out, &facts, &made);
	assert_true(has(&out, "body line") && has(&out, "message/rfc822\r\n"));
	buf_fini(&out);
	facts.return_full = false;
	build(&out, &facts, &made);
	assert_true(!has(&out, "body line") && has(&out, "text/rfc822-headers\r\n"));
	buf_fini(&out);
	memset(big, 'x', DSN_RETURN_LIMIT_BYTES + 1);
	memcpy(big, "A: b\r\n", 6);
	facts.original = span_of(big, DSN_RETURN_LIMIT_BYTES + 1);
	facts.header_bytes = 0;
	facts.return_full = true;
	build(&out, &facts, &made);
	assert_true(out.n < 4096 && has(&out, "A: b\r\n") && has(&out, "text/rfc822-headers\r\n"));
	buf_fini(&out);
	free(big);
}

/* A sender that guesses the boundary gets another one. */
static void boundary_is_not_in_the_message(void **state)
{
	struct dsn_facts facts = *sample("failed_full");
	char id[DSN_ID_BYTES], text[256];
	struct dsn_made made;
	struct buf out;

	(void)state;
	dsn_id(&facts, id);
	(void)snprintf(text, sizeof text, "A: b\r\n\r\n--=_report_%s_0--\r\n", id);
	facts.original = span_str(text);
	build(&out, &facts, &made);
	(void)snprintf(text, sizeof text, "boundary=\"=_report_%s_1\"", id);
	assert_true(has(&out, text));
	buf_fini(&out);
}

static void says_what_the_way_needs(void **state)
{
	struct dsn_made made;
	struct buf out;

	(void)state;
	build(&out, sample("failed_headers"), &made);
	assert_false(made.is_8bit || made.needs_smtputf8);
	buf_fini(&out);
	build(&out, sample("utf8"), &made);
	assert_true(made.is_8bit && made.needs_smtputf8);
	assert_true(has(&out, "Final-Recipient: utf-8; j\\x{F6}rg@example.com\r\n"));
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_fact_same_bytes),
		cmocka_unit_test(s_20_every_line_is_ours),
		cmocka_unit_test(ret_is_honoured_within_bounds),
		cmocka_unit_test(boundary_is_not_in_the_message),
		cmocka_unit_test(says_what_the_way_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
