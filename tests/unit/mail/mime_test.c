/* The table of parts: structure, limits, offsets, sections. */
#include "mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/buf.h"

#define LINE "\r\n"

static struct mime *parsed(struct span message, size_t step, const struct mime_ops *ops)
{
	struct mime *m = mime_new(ops);

	for (size_t at = 0; at < message.n; at += step)
		mime_feed(m, span_first(span_from(message, at), step));
	mime_end(m);
	return m;
}

/* M4: parts lie within their parents, siblings in order and apart. */
static void check_offsets(const struct mime *m)
{
	for (int i = 0; i < mime_parts(m); i++) {
		const struct mime_part *p = mime_part(m, i);

		assert_true(p->header_at <= p->body_at && p->body_at <= p->end &&
			    p->end <= mime_bytes(m));
		if (p->parent != MIME_NONE) {
			const struct mime_part *up = mime_part(m, p->parent);

			assert_true(p->parent < i && up->body_at <= p->header_at &&
				    p->end <= up->end);
		}
		if (p->next != MIME_NONE)
			assert_true(p->end <= mime_part(m, p->next)->header_at);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void is_text(struct span whole, uint64_t from, uint64_t to, const char *expected)
{
	assert_int_equal(to - from, strlen(expected));
	assert_memory_equal(whole.p + from, expected, strlen(expected));
}

/* ---- structure ---- */

static const char letter[] =
	"From: a@b" LINE "Content-Type: multipart/mixed;" LINE "\tboundary=\"=one\"" LINE LINE
	"preamble" LINE "--=one" LINE LINE "first" LINE "--=one" LINE
	"Content-Type: message/rfc822" LINE LINE "Subject: in" LINE
	"Content-Type: multipart/digest; boundary=two" LINE LINE "--two" LINE LINE
	"Subject: deep" LINE LINE "text" LINE LINE "--two  " LINE
	"Content-Type: Text/HTML" LINE LINE "<b>" LINE "--two--" LINE "epilogue" LINE "--=one" LINE
	"Content-Transfer-Encoding: BASE64 (x)" LINE LINE "AAAA" LINE LINE "--=one--" LINE
	"end" LINE;

static void a_nested_message_has_its_table(void **state)
{
	static const struct {
		enum mime_kind kind;
		int parent;
		const char *type, *body;
	} rows[] = {
		{MIME_MULTIPART, MIME_NONE, "multipart", NULL},
		{MIME_LEAF, 0, "text", "first"},
		{MIME_MESSAGE, 0, "message", NULL},
		{MIME_MULTIPART, 2, "multipart", NULL},
		{MIME_MESSAGE, 3, "message", NULL},
		{MIME_LEAF, 4, "text", "text" LINE},
		{MIME_LEAF, 3, "text", "<b>"},
		{MIME_LEAF, 0, "text", "AAAA" LINE},
	};
	struct span whole = span_str(letter);

	(void)state;
	for (size_t step = 1; step <= whole.n; step = step < 40 ? step + 1 : step * 2) {
		struct mime *m = parsed(whole, step, NULL);

		assert_int_equal(mime_parts(m), sizeof rows / sizeof *rows);
		assert_int_equal(mime_limits(m), 0);
		check_offsets(m);
		for (int i = 0; i < mime_parts(m); i++) {
			const struct mime_part *p = mime_part(m, i);

			assert_int_equal(p->kind, rows[i].kind);
			assert_int_equal(p->parent, rows[i].parent);
			assert_true(span_eq(p->type, span_str(rows[i].type)));
			if (rows[i].body)
				is_text(whole, p->body_at, p->end, rows[i].body);
		}
		assert_int_equal(mime_part(m, 7)->encoding, MIME_BASE64);
		assert_true(span_eq(mime_part(m, 3)->heads[MIME_SUBJECT], SPAN_LIT("in")));
		assert_true(span_eq(mime_part(m, 6)->subtype, SPAN_LIT("html")));
		mime_free(m);
	}
}

static void sections_are_found(void **state)
{
	static const struct {
		uint32_t path[4];
		size_t n;
		enum mime_section what;
		const char *text; /* NULL: there is none */
	} rows[] = {
		{{0}, 0, MIME_SECTION_BODY, letter},
		{{1}, 1, MIME_SECTION_BODY, "first"},
		{{1}, 1, MIME_SECTION_MIME, LINE},
		{{1}, 1, MIME_SECTION_HEADER, NULL},
		{{1, 1}, 2, MIME_SECTION_BODY, NULL},
		{{2},
		 1,
		 MIME_SECTION_HEADER,
		 "Subject: in" LINE "Content-Type: multipart/digest; boundary=two" LINE LINE},
		{{2}, 1, MIME_SECTION_MIME, "Content-Type: message/rfc822" LINE LINE},
		{{2, 1}, 2, MIME_SECTION_MIME, LINE},
		{{2, 1}, 2, MIME_SECTION_HEADER, "Subject: deep" LINE LINE},
		{{2, 1}, 2, MIME_SECTION_TEXT, "text" LINE},
		{{2, 1, 1}, 3, MIME_SECTION_BODY, "text" LINE},
		{{2, 1, 1}, 3, MIME_SECTION_MIME, "Subject: deep" LINE LINE},
		{{2, 1, 1, 1}, 4, MIME_SECTION_BODY, NULL},
		{{2, 2}, 2, MIME_SECTION_BODY, "<b>"},
		{{2, 3}, 2, MIME_SECTION_BODY, NULL},
		{{3}, 1, MIME_SECTION_BODY, "AAAA" LINE},
		{{4}, 1, MIME_SECTION_BODY, NULL},
		{{0}, 0, MIME_SECTION_MIME, NULL},
	};
	struct span whole = span_str(letter);
	struct mime *m = parsed(whole, whole.n, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mime_range r;
		bool is_there = mime_section(m, rows[i].path, rows[i].n, rows[i].what, &r);

		assert_int_equal(is_there, rows[i].text != NULL);
		if (is_there)
			is_text(whole, r.from, r.to, rows[i].text);
	}
	mime_free(m);
}

static void a_plain_message_is_its_part_1(void **state)
{
	static const uint32_t one[] = {1, 1};
	struct span whole = SPAN_LIT("Subject: x" LINE LINE "body" LINE);
	struct mime *m = parsed(whole, 3, NULL);
	struct mime_range r;

	(void)state;
	assert_true(mime_section(m, one, 1, MIME_SECTION_BODY, &r));
	is_text(whole, r.from, r.to, "body" LINE);
	assert_true(mime_section(m, one, 0, MIME_SECTION_TEXT, &r));
	is_text(whole, r.from, r.to, "body" LINE);
	assert_true(mime_section(m, one, 0, MIME_SECTION_HEADER, &r));
	is_text(whole, r.from, r.to, "Subject: x" LINE LINE);
	assert_false(mime_section(m, one, 2, MIME_SECTION_BODY, &r));
	assert_false(mime_section(m, one, 1, MIME_SECTION_TEXT, &r));
	mime_free(m);
}

/* ---- bodies ---- */

struct bodies {
	struct buf of[8];
	unsigned fields;
};

static void on_body(void *arg, int part, struct span bytes)
{
	struct bodies *b = arg;

	assert_true(part < 8 && bytes.n > 0);
	(void)buf_append(&b->of[part], bytes);
}

static void on_field(void *arg, int part, struct span name, struct span value)
{
	struct bodies *b = arg;

	(void)part;
	assert_true(name.n > 0 && !memchr(value.n ? (const void *)value.p : "", '\n', value.n));
	b->fields++;
}

static void a_leaf_gets_exactly_its_bytes(void **state)
{
	struct span whole = span_str(letter);

	(void)state;
	for (size_t step = 1; step < 70; step++) {
		struct bodies b = {.fields = 0};
		struct mime_ops ops = {.on_body = on_body, .on_field = on_field, .arg = &b};
		struct mime *m = parsed(whole, step, &ops);

		assert_int_equal(b.fields, 8);
		for (int i = 0; i < mime_parts(m); i++) {
			const struct mime_part *p = mime_part(m, i);

			assert_int_equal(b.of[i].n, p->kind == MIME_LEAF ? p->end - p->body_at : 0);
			if (b.of[i].n)
				assert_memory_equal(b.of[i].p, whole.p + p->body_at, b.of[i].n);
			buf_fini(&b.of[i]);
		}
		mime_free(m);
	}
}

/* ---- odd ones ---- */

static void m16_nothing_only_header_only_body_8bit(void **state)
{
	static const struct {
		const char *text;
		uint64_t body_at, end, lines;
	} rows[] = {
		{"", 0, 0, 0},
		{LINE, 2, 2, 0},
		{LINE "body", 2, 6, 0},
		{"Subject: x", 10, 10, 0},
		{"Subject: x" LINE, 12, 12, 0},
		{"Subject: x\n\nbody\n", 12, 17, 1},
		{"no header at all" LINE "x" LINE, 0, 21, 2},
		{"S\xc3\xbc"
		 "b: x" LINE LINE,
		 0, 11, 2},
		{"Subject: \xff\xfe" LINE LINE "\x80" LINE, 15, 18, 1},
		{"From someone Mon" LINE "A: b" LINE LINE "c", 26, 27, 0},
		{" begins folded" LINE "A: b" LINE LINE "c", 24, 25, 0},
		{"A: b" LINE "neither" LINE, 6, 15, 1},
		{"A: b" LINE "\rx" LINE, 6, 10, 1},
		{": x" LINE, 0, 5, 1},
		{"A : b" LINE LINE "c", 9, 10, 0},
		{"A: b\r\r\n\r\nc", 9, 10, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t step = 1; step < 4; step++) {
			struct mime *m = parsed(span_str(rows[i].text), step, NULL);

			assert_int_equal(mime_parts(m), 1);
			assert_int_equal(mime_part(m, 0)->body_at, rows[i].body_at);
			assert_int_equal(mime_part(m, 0)->end, rows[i].end);
			assert_int_equal(mime_part(m, 0)->body_lines, rows[i].lines);
			mime_free(m);
		}
	}
}

#define MIXED(b) "Content-Type: multipart/mixed; boundary=" b LINE LINE

static void delimiters_are_whole_lines(void **state)
{
	static const struct {
		const char *text;
		int parts;
	} rows[] = {
		{MIXED("x") "--x" LINE LINE "a" LINE "--x--" LINE, 2},
		{MIXED("x") "--xy" LINE LINE "a" LINE "--x--" LINE, 1},
		{MIXED("x") " --x" LINE LINE "a" LINE, 1},
		{MIXED("x") "--x \t" LINE LINE "a" LINE "--x-- " LINE, 2},
		{MIXED("x") "--x" LINE LINE "a" LINE "--x--" LINE "--x" LINE LINE "b", 2},
		{MIXED("\"x--\"") "--x--" LINE LINE "a" LINE "--x----" LINE, 2},
		{MIXED("x") "--x\n\na\n--x\n\nb\n--x--\n", 3},
		{MIXED("x") "--x", 2},
		{MIXED("\"\"") "--" LINE LINE "a", 1},
		{"Content-Type: multipart/mixed" LINE LINE "--x" LINE LINE, 1},
		{MIXED("x") "--x" LINE MIXED("y") "--y" LINE LINE "a" LINE "--x" LINE LINE "b" LINE
						  "--y" LINE,
		 4},
		{MIXED("x") "--x" LINE "A: b" LINE "--x" LINE "A: b" LINE "--x--", 3},
		{"Content-Type: multipart/mixed; boundary=x" LINE "--x" LINE LINE "a" LINE
		 "--x--" LINE,
		 2},
		{"Content-Type: multipart/mixed; boundary=x" LINE "--y: z" LINE "--x" LINE LINE
		 "a" LINE,
		 2},
		{"Content-Type: multipart/mixed; boundary=x" LINE "--not" LINE "--x" LINE LINE
		 "a" LINE,
		 2},
		{"Content-Type: message/rfc822" LINE LINE
		 "Content-Type: multipart/mixed; boundary=x" LINE "--x" LINE LINE "a",
		 3},
		{"Content-Type: multipart/mixed; boundary*0=x; boundary*1=y" LINE LINE
		 "--xy" LINE LINE "a",
		 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mime *m = parsed(span_str(rows[i].text), 1 + i % 3, NULL);

		check_offsets(m);
		assert_int_equal(mime_parts(m), rows[i].parts);
		mime_free(m);
	}
}

/* ---- limits ---- */

static void m01_nesting_stops_at_its_limit(void **state)
{
	struct buf b;
	struct mime *m;
	double began = now();
	int depth = 0;

	(void)state;
	buf_init(&b, 0);
	for (int i = 0; i < 10000; i++)
		if (i % 2)
			(void)buf_printf(&b, "Content-Type: message/rfc822" LINE LINE);
		else
			(void)buf_printf(&b,
					 "Content-Type: multipart/mixed; boundary=b%d" LINE LINE
					 "--b%d" LINE,
					 i, i);
	(void)buf_printf(&b, LINE "text" LINE);
	m = parsed(buf_span(&b), 1 << 16, NULL);
	check_offsets(m);
	assert_int_equal(mime_limits(m), MIME_LIMIT_DEPTH);
	for (int i = mime_parts(m) - 1; i != MIME_NONE; i = mime_part(m, i)->parent)
		depth++;
	assert_true(depth > MIME_DEPTH_LIMIT && depth <= 2 * MIME_DEPTH_LIMIT);
	assert_int_equal(mime_part(m, mime_parts(m) - 1)->end, b.n);
	mime_free(m);
	buf_fini(&b);
	assert_true(now() - began < 1);
}

static void m03_many_empty_parts(void **state)
{
	struct buf b;
	struct mime *m;
	double began;

	(void)state;
	buf_init(&b, 0);
	(void)buf_printf(&b, MIXED("x"));
	for (int i = 0; i < 100000; i++)
		(void)buf_append(&b, SPAN_LIT("--x" LINE LINE));
	began = now();
	m = parsed(buf_span(&b), 1 << 16, NULL);
	assert_true(now() - began < 1);
	check_offsets(m);
	assert_int_equal(mime_parts(m), MIME_PARTS_LIMIT);
	assert_int_equal(mime_limits(m), MIME_LIMIT_PARTS);
	assert_int_equal(mime_part(m, mime_parts(m) - 1)->end, b.n);
	mime_free(m);
	buf_fini(&b);
}

static void long_fields_are_cut_and_said(void **state)
{
	struct buf b;
	struct mime *m;
	const struct mime_part *p;

	(void)state;
	buf_init(&b, 0);
	(void)buf_append(&b, SPAN_LIT("Subject: "));
	for (int i = 0; i < 300000; i++)
		(void)buf_append(&b, SPAN_LIT(" word" LINE " "));
	(void)buf_append(&b, SPAN_LIT("end" LINE));
	for (int i = 0; i < 20000; i++)
		(void)buf_printf(&b, "To: person%d@example.org" LINE, i);
	(void)buf_append(&b, SPAN_LIT(LINE "body"));
	m = parsed(buf_span(&b), 1 << 16, NULL);
	p = mime_part(m, 0);
	assert_int_equal(mime_limits(m), MIME_LIMIT_FIELD);
	assert_in_range(p->heads[MIME_SUBJECT].n, MIME_FIELD_BYTES - 2, MIME_FIELD_BYTES);
	assert_in_range(p->heads[MIME_TO].n, MIME_FIELD_BYTES, MIME_ADDRESS_BYTES);
	assert_int_equal(b.n - p->body_at, 4);
	mime_free(m);
	buf_fini(&b);
}

/* M2: a large body costs time, not memory. */
static void memory_does_not_follow_the_body(void **state)
{
	static unsigned char piece[1 << 16];
	struct mime *m = mime_new(NULL);
	struct rusage before, after;

	(void)state;
	memset(piece, 'x', sizeof piece);
	for (size_t i = 0; i < sizeof piece; i += 70)
		memcpy(piece + i, "\r\n--", sizeof piece - i < 4 ? sizeof piece - i : 4);
	mime_feed(m, SPAN_LIT(MIXED("abc") "--abc" LINE LINE));
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 1600; i++)
		mime_feed(m, span_of(piece, sizeof piece));
	getrusage(RUSAGE_SELF, &after);
	mime_end(m);
	assert_int_equal(mime_parts(m), 2);
	assert_int_equal(mime_bytes(m),
			 1600u * sizeof piece + sizeof(MIXED("abc") "--abc" LINE LINE) - 1);
	assert_true(after.ru_maxrss - before.ru_maxrss < 1024);
	mime_free(m);
}

/* A hundred open boundaries of equal beginning, and a million lines that are nearly one. */
static void hostile_boundaries_cost_no_more(void **state)
{
	struct buf b;
	struct mime *m;
	double began;

	(void)state;
	buf_init(&b, 0);
	for (int i = 0; i < 90; i++)
		(void)buf_printf(&b,
				 "Content-Type: multipart/mixed; boundary=\"%060d%02d\"" LINE LINE
				 "--%060d%02d" LINE,
				 0, i, 0, i);
	(void)buf_append(&b, SPAN_LIT(LINE));
	for (int i = 0; i < 200000; i++)
		(void)buf_printf(&b, "--%060d99" LINE, 0);
	began = now();
	m = parsed(buf_span(&b), 1 << 16, NULL);
	assert_true(now() - began < 2);
	assert_int_equal(mime_parts(m), 91);
	mime_free(m);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nested_message_has_its_table),
		cmocka_unit_test(sections_are_found),
		cmocka_unit_test(a_plain_message_is_its_part_1),
		cmocka_unit_test(a_leaf_gets_exactly_its_bytes),
		cmocka_unit_test(m16_nothing_only_header_only_body_8bit),
		cmocka_unit_test(delimiters_are_whole_lines),
		cmocka_unit_test(m01_nesting_stops_at_its_limit),
		cmocka_unit_test(m03_many_empty_parts),
		cmocka_unit_test(long_fields_are_cut_and_said),
		cmocka_unit_test(memory_does_not_follow_the_body),
		cmocka_unit_test(hostile_boundaries_cost_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
