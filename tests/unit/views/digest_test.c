/* The index's database: digests, search by index and by looking, damage, what a crash leaves over. */
#include "views/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/digest.h"

enum { MESSAGES = 300 };

struct rig {
	char dir[64];
	struct digest_db *db;
};

static void rig_open(struct rig *r, bool expect_new)
{
	struct fault why = {0};
	bool is_new = !expect_new;

	assert_int_equal(digest_open_write(r->dir, &r->db, &is_new, &why), OK);
	assert_int_equal(is_new, expect_new);
}

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	char path[96];

	strcpy(r->dir, "/tmp/hf-digest-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(path, sizeof path, "%s/index", r->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	rig_open(r, true);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	char path[96];

	digest_close(r->db);
	digest_condemn(r->dir);
	(void)snprintf(path, sizeof path, "%s/index", r->dir);
	(void)rmdir(path);
	(void)rmdir(r->dir);
	free(r);
	return 0;
}

static void add(struct rig *r, uint64_t number, enum mail_form form, unsigned forms,
		const char *text)
{
	struct digest_maker *d = digest_maker_new(true);
	struct fault why = {0};

	digest_maker_feed(d, span_str(text));
	digest_maker_end(d);
	assert_int_equal(digest_add(r->db, (struct digest_key){number, form}, forms, d, &why), OK);
	digest_maker_free(d);
}

static void begin(struct rig *r)
{
	struct fault why = {0};

	assert_int_equal(digest_begin(r->db, &why), OK);
}

static void finish(struct rig *r, uint64_t next)
{
	struct fault why = {0};

	assert_int_equal(digest_reach(r->db, next, &why), OK);
	assert_int_equal(digest_commit(r->db, &why), OK);
}

/* MESSAGES of them; every third speaks of "Überraschung", message 7 of a moon; number 8 was sent with a Bcc. */
static void fill(struct rig *r)
{
	char text[512];

	begin(r);
	for (uint64_t i = 0; i < MESSAGES; i++) {
		(void)snprintf(text, sizeof text,
			       "From: Person%llu <p%llu@example.org>\r\nSubject: Letter "
			       "%llu\r\n\r\n%s body %s\r\n",
			       (unsigned long long)i, (unsigned long long)i, (unsigned long long)i,
			       i % 3 == 0 ? "Gro\xc3\x9f"
					    "e \xc3\x9c"
					    "berraschung"
					  : "Nothing",
			       i == 7 ? "the moon" : "");
		add(r, i, MAIL_AS_DELIVERED, i == 8 ? 0 : 1u << MAIL_AS_SENT, text);
	}
	add(r, 8, MAIL_AS_SENT, 0, "Bcc: secret@example.org\r\n\r\nNothing");
	finish(r, MESSAGES);
}

struct found {
	size_t hits[1024], hits_n, unknown[1024], unknown_n, stop_after;
};

static bool on_hit(void *arg, size_t i)
{
	struct found *f = arg;

	f->hits[f->hits_n++] = i;
	return f->stop_after == 0 || f->hits_n < f->stop_after;
}

static bool on_unknown(void *arg, size_t i)
{
	struct found *f = arg;

	f->unknown[f->unknown_n++] = i;
	return true;
}

static struct found look(struct rig *r, enum mail_text where, const char *text, uint64_t first,
			 size_t n, enum mail_form form)
{
	struct digest_key *keys = calloc(n + 1, sizeof *keys);
	struct found f = {.stop_after = 0};
	struct fault why = {0};

	for (size_t i = 0; i < n; i++)
		keys[i] = (struct digest_key){first + i, form};
	assert_int_equal(
		digest_search(r->db, where, span_str(text), keys, n, on_hit, on_unknown, &f, &why),
		OK);
	free(keys);
	return f;
}

static void g2_index_and_looking_find_the_same(void **state)
{
	static const struct {
		enum mail_text where;
		const char *text;
		size_t hits;
	} rows[] = {
		{MAIL_TEXT_BODY,
		 "\xc3\xbc"
		 "berra",
		 100}, /* folded: U with two dots */
		{MAIL_TEXT_BODY,
		 "GROSSE \xc3\x9c"
		 "BERRASCHUNG",
		 100}, /* sharp s */
		{MAIL_TEXT_ALL, "moon", 1},
		{MAIL_TEXT_SUBJECT, "moon", 0},
		{MAIL_TEXT_SUBJECT, "letter 29", 11}, /* 29, 290 to 299 */
		{MAIL_TEXT_FROM, "person7 <p7@", 1},
		{MAIL_TEXT_ALL, "subject: letter 5\n", 0},
		{MAIL_TEXT_ALL, "from: person5", 11}, /* 5, 50 to 59 */
		{MAIL_TEXT_BODY, "the \"moon\"", 0},
		{MAIL_TEXT_BODY, "gnu", 0},
		{MAIL_TEXT_BODY, "bo", 300},
		{MAIL_TEXT_BODY, "", 300},
	};
	struct rig *r = *state;

	fill(r);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct found all =
			look(r, rows[i].where, rows[i].text, 0, MESSAGES, MAIL_AS_DELIVERED);
		size_t n = 0;

		assert_int_equal(all.hits_n, rows[i].hits);
		assert_int_equal(all.unknown_n, 0);
		/* 50 keys at a time are looked at one by one */
		for (uint64_t from = 0; from < MESSAGES; from += 50) {
			struct found some =
				look(r, rows[i].where, rows[i].text, from, 50, MAIL_AS_DELIVERED);

			for (size_t k = 0; k < some.hits_n; k++)
				assert_int_equal(all.hits[n++], some.hits[k] + from);
		}
		assert_int_equal(n, all.hits_n);
	}
}

static void forms_read_what_they_show(void **state)
{
	struct rig *r = *state;
	struct fault why = {0};
	struct mail_digest d;

	fill(r);
	assert_int_equal(look(r, MAIL_TEXT_BCC, "secret", 0, MESSAGES, MAIL_AS_SENT).hits_n, 1);
	assert_int_equal(look(r, MAIL_TEXT_BCC, "secret", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n,
			 0);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "moon", 0, MESSAGES, MAIL_AS_SENT).hits[0], 7);
	assert_int_equal(digest_get(r->db, (struct digest_key){7, MAIL_AS_SENT}, &d, &why), OK);
	assert_non_null(memmem(d.envelope.p, d.envelope.n, "\"Letter 7\"", 10));
	assert_int_equal(digest_get(r->db, (struct digest_key){8, MAIL_AS_SENT}, &d, &why), OK);
	assert_null(memmem(d.envelope.p, d.envelope.n, "Letter", 6));
	assert_int_equal(digest_get(r->db, (struct digest_key){7, MAIL_ENCLOSED}, &d, &why), LATER);
	assert_int_equal(
		digest_get(r->db, (struct digest_key){MESSAGES, MAIL_AS_DELIVERED}, &d, &why),
		LATER);
}

static void what_is_not_indexed_is_said(void **state)
{
	struct rig *r = *state;
	struct found f;
	struct fault why = {0};
	struct digest_key *keys = calloc(DIGEST_SCAN_LIMIT + 1, sizeof *keys);

	fill(r);
	f = look(r, MAIL_TEXT_BODY, "moon", 0, MESSAGES + 5, MAIL_AS_DELIVERED);
	assert_int_equal(f.hits_n, 1);
	assert_int_equal(f.unknown_n, 5);
	assert_int_equal(f.unknown[0], MESSAGES);
	begin(r);
	finish(r, 1 << 20);
	for (uint64_t i = 0; i <= DIGEST_SCAN_LIMIT; i++)
		keys[i] = (struct digest_key){i, MAIL_AS_DELIVERED};
	assert_int_equal(digest_search(r->db, MAIL_TEXT_BODY, SPAN_LIT("mo"), keys,
				       DIGEST_SCAN_LIMIT + 1, on_hit, on_unknown, &f, &why),
			 LATER);
	free(keys);
}

static void a_reader_sees_what_was_committed(void **state)
{
	struct rig *r = *state;
	struct digest_db *reader;
	struct fault why = {0};
	struct mail_digest d;
	uint64_t next = 99;

	assert_int_equal(digest_open_read(r->dir, &reader, &why), OK);
	assert_int_equal(digest_upto(reader, &next, &why), OK);
	assert_int_equal(next, 0);
	begin(r);
	add(r, 0, MAIL_AS_DELIVERED, 0, "Subject: one\r\n\r\n");
	add(r, 1, MAIL_AS_DELIVERED, 0,
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nLook here\r\n--b\r\n"
	    "Content-Type: application/pdf\r\n\r\nx\r\n--b--\r\n");
	assert_int_equal(digest_get(reader, (struct digest_key){0, MAIL_AS_DELIVERED}, &d, &why),
			 LATER);
	finish(r, 1);
	assert_int_equal(digest_get(reader, (struct digest_key){0, MAIL_AS_DELIVERED}, &d, &why),
			 OK);
	assert_int_equal(d.header_bytes, 16);
	assert_int_equal(d.preview.n, 0);
	assert_false(d.has_attachment);
	assert_int_equal(digest_get(reader, (struct digest_key){1, MAIL_AS_DELIVERED}, &d, &why),
			 OK);
	assert_true(span_eq(d.preview, SPAN_LIT("Look here")));
	assert_true(d.has_attachment);
	/* Made anew: the reader is told. */
	digest_close(r->db);
	digest_condemn(r->dir);
	rig_open(r, true);
	assert_int_equal(digest_upto(reader, &next, &why), BROKEN);
	digest_close(reader);
}

static void a_damaged_or_foreign_database_is_made_anew(void **state)
{
	struct rig *r = *state;
	char path[96];
	struct digest_db *reader;
	struct fault why = {0};
	uint64_t next;
	FILE *f;

	fill(r);
	digest_close(r->db);
	rig_open(r, false);
	digest_close(r->db);
	(void)snprintf(path, sizeof path, "%s/index/digest.db", r->dir);
	f = fopen(path, "r+b");
	assert_non_null(f);
	for (long at = 100; at < 60000; at += 512) {
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		assert_int_equal(fwrite("damage", 1, 6, f), 6);
	}
	fclose(f);
	if (digest_open_read(r->dir, &reader, &why) == OK) {
		assert_int_equal(digest_upto(reader, &next, &why), BROKEN);
		digest_close(reader);
	}
	rig_open(r, true);
	fill(r);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "moon", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n, 1);
}

static void what_was_begun_is_left_over(void **state)
{
	struct rig *r = *state;
	struct digest_trial t;
	struct fault why = {0};
	struct mail_digest d;
	uint64_t digests, skipped;

	assert_int_equal(digest_left_over(r->db, &t, &why), OK);
	assert_int_equal(t.times, 0);
	assert_int_equal(digest_try(r->db, 3, 3, &why), OK);
	digest_close(r->db);
	rig_open(r, false);
	assert_int_equal(digest_try(r->db, 3, 3, &why), OK);
	digest_close(r->db);
	rig_open(r, false);
	assert_int_equal(digest_left_over(r->db, &t, &why), OK);
	assert_int_equal(t.first, 3);
	assert_int_equal(t.times, 2);
	begin(r);
	assert_int_equal(digest_skip(r->db, 3, 1234, SPAN_LIT("test"), &why), OK);
	finish(r, 4);
	assert_int_equal(digest_left_over(r->db, &t, &why), OK);
	assert_int_equal(t.times, 0);
	assert_int_equal(digest_get(r->db, (struct digest_key){3, MAIL_AS_SENT}, &d, &why), OK);
	assert_non_null(memmem(d.body.p, d.body.n, "1234", 4));
	assert_int_equal(digest_counts(r->db, &digests, &skipped, &why), OK);
	assert_int_equal(skipped, 1);
}

static void what_is_forgotten_is_not_found(void **state)
{
	struct rig *r = *state;
	struct fault why = {0};
	struct mail_digest d;
	uint64_t numbers[4];
	size_t n;

	fill(r);
	assert_int_equal(digest_numbers(r->db, 7, numbers, 4, &n, &why), OK);
	assert_int_equal(n, 4);
	assert_int_equal(numbers[0], 7);
	assert_int_equal(numbers[3], 10); /* 8 has two forms, and is one */
	begin(r);
	assert_int_equal(digest_forget(r->db, 7, &why), OK);
	assert_int_equal(digest_forget(r->db, 8, &why), OK);
	finish(r, MESSAGES);
	assert_int_equal(digest_get(r->db, (struct digest_key){7, MAIL_AS_DELIVERED}, &d, &why),
			 LATER);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "moon", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n, 0);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "nothing", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n,
			 198);
	/* Its trigrams are gone too: nothing but a new message with them brings them back. */
	begin(r);
	add(r, 7, MAIL_AS_DELIVERED, 0, "Subject: x\r\n\r\nmoonlight\r\n");
	finish(r, MESSAGES);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "the moon", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n,
			 0);
	assert_int_equal(look(r, MAIL_TEXT_BODY, "moonl", 0, MESSAGES, MAIL_AS_DELIVERED).hits_n,
			 1);
	digest_rest(r->db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(g2_index_and_looking_find_the_same, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(forms_read_what_they_show, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_indexed_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_sees_what_was_committed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_or_foreign_database_is_made_anew, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_begun_is_left_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_found, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
