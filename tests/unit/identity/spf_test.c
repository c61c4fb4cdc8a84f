/* What the openspf suite (spf_suite.py) leaves out: limits and hostile records, M-14. */
#include "identity/spf.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"

/* Answers by a callback; counts questions. */
struct host {
	void (*answer)(struct host *h, const struct spf_question *q, struct spf_reply *reply);
	unsigned questions;
	struct buf text;
	struct span records[200];
	unsigned counter;
};

static enum spf_result check(struct host *h, const char *address, const char *sender,
			     char explanation[512])
{
	struct spf_input input = {.address = address,
				  .helo = SPAN_LIT("mail.example.net"),
				  .sender = span_str(sender)};
	struct spf *s = spf_new(&input);
	struct spf_question q;
	enum spf_result result;
	enum rc rc = spf_step(s, NULL, &q);

	while (rc == MORE) {
		struct spf_reply reply = {.rc = REFUSED, .records = h->records};

		h->questions++;
		h->answer(h, &q, &reply);
		rc = spf_step(s, &reply, &q);
	}
	assert_int_equal(rc, OK);
	result = spf_result(s);
	if (explanation)
		(void)snprintf(explanation, 512, "%s", spf_explanation(s));
	spf_free(s);
	buf_fini(&h->text);
	return result;
}

static void reply_text(struct host *h, struct spf_reply *reply, const char *text)
{
	h->records[0] = span_str(text);
	reply->rc = OK;
	reply->n = 1;
}

/* Every name includes two fresh ones. */
static void answer_tree(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	(void)q;
	buf_clear(&h->text);
	(void)buf_printf(&h->text, "v=spf1 include:a%u.example.org include:b%u.example.org -all",
			 h->counter, h->counter);
	h->counter++;
	reply_text(h, reply, buf_cstr(&h->text));
}

static void m_14_a_tree_of_includes_ends_after_ten(void **state)
{
	struct host h = {.answer = answer_tree};

	(void)state;
	assert_int_equal(check(&h, "192.0.2.1", "a@example.org", NULL), SPF_PERMERROR);
	assert_int_equal(h.questions, 11);
}

/* Ten mx terms, each with ten names: the most questions a record can cost. */
static void answer_exchangers(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	static const char *const names[] = {"1.x.org", "2.x.org", "3.x.org", "4.x.org", "5.x.org",
					    "6.x.org", "7.x.org", "8.x.org", "9.x.org", "0.x.org"};

	if (q->type == SPF_TXT)
		reply_text(h, reply, "v=spf1 mx mx mx mx mx mx mx mx mx mx -all");
	if (q->type != SPF_MX)
		return;
	for (size_t i = 0; i < 10; i++)
		h->records[i] = span_str(names[i]);
	reply->rc = OK;
	reply->n = 10;
}

static void m_14_questions_are_bounded(void **state)
{
	struct host h = {.answer = answer_exchangers};

	(void)state;
	assert_int_equal(check(&h, "192.0.2.1", "a@example.org", NULL), SPF_FAIL);
	assert_int_equal(h.questions, 1 + 10 + 100);
}

static void answer_blow_up(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	if (q->type != SPF_TXT)
		return;
	buf_clear(&h->text);
	(void)buf_append(&h->text, SPAN_LIT("v=spf1 a:"));
	for (unsigned i = 0; i < h->counter; i++)
		(void)buf_append(&h->text, SPAN_LIT("%{S}%{L}%{O}"));
	(void)buf_append(&h->text, SPAN_LIT(".example.org -all"));
	reply_text(h, reply, buf_cstr(&h->text));
}

static void m_14_macros_that_blow_up_are_an_error(void **state)
{
	char sender[600];
	struct host h = {.answer = answer_blow_up, .counter = 1};

	(void)state;
	memset(sender, '=', sizeof sender);
	(void)snprintf(sender + 560, sizeof sender - 560, "@example.org");
	assert_int_equal(check(&h, "192.0.2.1", sender, NULL), SPF_FAIL);
	h.counter = 1000;
	assert_int_equal(check(&h, "192.0.2.1", sender, NULL), SPF_PERMERROR);
}

static void answer_huge(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	(void)q;
	buf_clear(&h->text);
	(void)buf_append(&h->text, SPAN_LIT("v=spf1"));
	for (unsigned i = 0; i < 30000; i++)
		(void)buf_append(&h->text, SPAN_LIT(" a"));
	reply_text(h, reply, buf_cstr(&h->text));
}

static void m_14_a_huge_record_is_an_error(void **state)
{
	struct host h = {.answer = answer_huge};

	(void)state;
	assert_int_equal(check(&h, "192.0.2.1", "a@example.org", NULL), SPF_PERMERROR);
	assert_int_equal(h.questions, 1);
}

static void answer_nothing(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	(void)h;
	(void)q;
	(void)reply;
}

static void odd_identities_are_none(void **state)
{
	static const char *const senders[] = {"a@localhost", "a@",     "@",
					      "a@b..c",	     "a@.org", "nobody"};

	(void)state;
	for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
		struct host h = {.answer = answer_nothing};

		assert_int_equal(check(&h, "192.0.2.1", senders[i], NULL), SPF_NONE);
		assert_int_equal(h.questions, 0);
	}
}

static void an_address_that_is_none_gives_none(void **state)
{
	struct host h = {.answer = answer_nothing};

	(void)state;
	assert_int_equal(check(&h, "local", "a@example.org", NULL), SPF_NONE);
	assert_int_equal(h.questions, 0);
}

static void answer_explained(struct host *h, const struct spf_question *q, struct spf_reply *reply)
{
	if (q->type != SPF_TXT)
		return;
	if (strcmp(q->name, "why.example.org") == 0)
		reply_text(h, reply, "%{c} %{t} %{r} %{i} %{s} %{l} %{o1} %{d} %{v} %{h}");
	else
		reply_text(h, reply, "v=spf1 -all exp=why.%{d}");
}

static void explanations_know_all_letters(void **state)
{
	struct host h = {.answer = answer_explained};
	char text[512];

	(void)state;
	assert_int_equal(check(&h, "::ffff:192.0.2.1", "joe@example.org", text), SPF_FAIL);
	assert_string_equal(
		text, "192.0.2.1 0 unknown 192.0.2.1 joe@example.org joe org example.org in-addr "
		      "mail.example.net");
}

static void results_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(spf_result_name(SPF_NONE), "none");
	assert_string_equal(spf_result_name(SPF_PERMERROR), "permerror");
	spf_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(m_14_a_tree_of_includes_ends_after_ten),
		cmocka_unit_test(m_14_questions_are_bounded),
		cmocka_unit_test(m_14_macros_that_blow_up_are_an_error),
		cmocka_unit_test(m_14_a_huge_record_is_an_error),
		cmocka_unit_test(odd_identities_are_none),
		cmocka_unit_test(an_address_that_is_none_gives_none),
		cmocka_unit_test(explanations_know_all_letters),
		cmocka_unit_test(results_have_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
