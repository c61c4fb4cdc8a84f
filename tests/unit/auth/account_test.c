#include "auth/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/bytes.h"

static void fill(struct account *a)
{
	memset(a, 0, sizeof *a);
	(void)snprintf(a->name, sizeof a->name, "anna@example.com");
	(void)snprintf(a->display, sizeof a->display, "Anna 100%% Muster\xc3\xbc");
	a->passthrough = true;
	a->made_us = 1795310015611453;
	(void)snprintf(a->verifier, sizeof a->verifier,
		       "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA");
	a->is_kept = true;
	a->confirmed_us = 1795310015611454;
	a->scram.iterations = 10000;
	memset(a->scram.stored, 7, sizeof a->scram.stored);
	memset(a->salt, 3, sizeof a->salt);
	a->apps_n = 2;
	(void)snprintf(a->apps[0].name, sizeof a->apps[0].name, "phone of anna");
	account_hash_code(a, SPAN_LIT("aaaabbbbccccdddd"), a->apps[0].hash);
	(void)snprintf(a->apps[1].name, sizeof a->apps[1].name, "x");
	a->recovery_n = 2;
	account_hash_code(a, SPAN_LIT("recoverycodeaaaa"), a->recovery[0]);
	account_hash_code(a, SPAN_LIT("recoverycodebbbb"), a->recovery[1]);
	a->has_totp = a->totp_confirmed = true;
	memset(a->totp, 9, sizeof a->totp);
	a->totp_step = 77;
	a->is_admin = true;
	a->seal = UINT64_MAX;
	a->has_invitation = true;
	account_hash_code(a, SPAN_LIT("invitationaaaaaa"), a->invitation);
	a->invitation_until_us = 1000;
	a->is_pending = true;
	a->pending = (struct account_pending){.verb = "user.add",
					      .argument = "two words",
					      .actor = "operator root (uid 0)",
					      .has_directory = true};
	memset(a->pending.id, 'a', 32);
}

static void what_is_written_is_read_again(void **state)
{
	static struct account a, b;
	struct buf first = {0}, second = {0};

	(void)state;
	fill(&a);
	account_write(&a, &first);
	assert_int_equal(account_read(buf_span(&first), &b, NULL), OK);
	account_write(&b, &second);
	assert_true(span_eq(buf_span(&first), buf_span(&second)));
	assert_memory_equal(&a, &b, sizeof a);
	buf_fini(&first);
	buf_fini(&second);
}

/* Cut off anywhere, or with any byte changed, it is not taken for whole. */
static void damage_is_seen(void **state)
{
	static struct account a, b, untouched;
	struct buf file = {0};
	struct fault why = {""};

	(void)state;
	fill(&a);
	account_write(&a, &file);
	for (size_t n = 0; n < file.n; n++)
		assert_int_equal(account_read(span_first(buf_span(&file), n), &b, &why), REFUSED);
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 1;
		assert_int_equal(account_read(buf_span(&file), &b, &why), REFUSED);
		file.p[i] ^= 1;
	}
	assert_true(why.text[0]);
	assert_memory_equal(&b, &untouched, sizeof b);
	buf_fini(&file);
}

static void with_sum(struct buf *file, const char *text)
{
	buf_clear(file);
	buf_append(file, span_str(text));
	buf_printf(file, "sum %08x\n", crc32c(0, span_str(text)));
}

static void wrong_lines_are_named(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"holdfast-account 2\nname a\n", "this version"},
		{"holdfast-account 1\n", "no name"},
		{"holdfast-account 1\nname a\nfrobs 1\n", "line 3"},
		{"holdfast-account 1\nname a\nstate asleep\n", "line 3"},
		{"holdfast-account 1\nname a%0\n", "line 2"},
		{"holdfast-account 1\nname a%00b\n", "line 2"},
		{"holdfast-account 1\nname a\nverifier own 1 $2y$bcrypt\n", "line 3"},
		{"holdfast-account 1\nname a\nverifier theirs 1 $argon2id$v=19$m=8,t=1,p=1$a$b\n",
		 "line 3"},
		{"holdfast-account 1\nname a\napp 00 1 x\n", "line 3"},
		{"holdfast-account 1\nname a\nscram 0 00 00 00\n", "line 3"},
	};
	static struct account a;
	struct buf file = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fault why = {""};

		with_sum(&file, rows[i].text);
		assert_int_equal(account_read(buf_span(&file), &a, &why), REFUSED);
		assert_non_null(strstr(why.text, rows[i].why));
	}
	with_sum(&file, "holdfast-account 1\nname a\n");
	assert_int_equal(account_read(buf_span(&file), &a, NULL), OK);
	buf_fini(&file);
}

static void codes_open_what_they_are_for(void **state)
{
	static struct account a, other;

	(void)state;
	fill(&a);
	assert_ptr_equal(account_app_find(&a, SPAN_LIT("AAAA-bbbb cccc-dddd")), &a.apps[0]);
	assert_null(account_app_find(&a, SPAN_LIT("aaaa-bbbb-cccc-ddda")));
	assert_null(account_app_find(&a, SPAN_LIT("correct horse battery")));
	assert_true(account_invitation_matches(&a, SPAN_LIT("invitationaaaaaa"), 999));
	assert_false(account_invitation_matches(&a, SPAN_LIT("invitationaaaaaa"), 1000));
	/* The same code with another account's name or salt is another hash. */
	other = a;
	other.name[0] = 'x';
	assert_null(account_app_find(&other, SPAN_LIT("aaaa-bbbb-cccc-dddd")));
}

/* H-19 */
static void a_recovery_code_is_good_once(void **state)
{
	static struct account a;

	(void)state;
	fill(&a);
	assert_true(account_recovery_use(&a, SPAN_LIT("reco-very-code-aaaa")));
	assert_int_equal(a.recovery_n, 1);
	assert_false(account_recovery_use(&a, SPAN_LIT("reco-very-code-aaaa")));
	assert_true(account_recovery_use(&a, SPAN_LIT("reco-very-code-bbbb")));
	assert_int_equal(a.recovery_n, 0);
}

static void who_is_enrolled(void **state)
{
	static struct account a;

	(void)state;
	(void)snprintf(a.verifier, sizeof a.verifier, "x");
	assert_true(account_is_enrolled(&a, 100, 10));
	a.is_kept = true;
	a.confirmed_us = 90;
	assert_true(account_is_enrolled(&a, 100, 10));
	assert_false(account_is_enrolled(&a, 101, 10)); /* P5: by policy and age */
	a.apps_n = 1;
	assert_true(account_is_enrolled(&a, 101, 10));
	a.state = ACCOUNT_DISABLED;
	assert_false(account_is_enrolled(&a, 101, 10));
}

static void names_are_made_one(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {{"Anna@Example.COM", "anna@example.com"},
		    {"  anna@example.com\t", "anna@example.com"},
		    {"u\xcc\x88@example.com", "\xc3\xbc@example.com"},
		    {"", ""},
		    {"a\nb@example.com", ""},
		    {"a\x7f@example.com", ""}};
	char out[LOGIN_NAME_LIMIT_BYTES + 1];
	static char big[LOGIN_NAME_LIMIT_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		out[0] = '\0';
		assert_int_equal(account_name(span_str(rows[i].in), out), rows[i].out[0] != '\0');
		assert_string_equal(out, rows[i].out);
	}
	memset(big, 'a', sizeof big - 1);
	assert_false(account_name(span_str(big), out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(damage_is_seen),
		cmocka_unit_test(wrong_lines_are_named),
		cmocka_unit_test(codes_open_what_they_are_for),
		cmocka_unit_test(a_recovery_code_is_good_once),
		cmocka_unit_test(who_is_enrolled),
		cmocka_unit_test(names_are_made_one),
	};

	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
