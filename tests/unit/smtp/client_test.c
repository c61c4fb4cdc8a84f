/* Pieces of the SMTP client engine: limits on replies, queue ids, time-outs. Dialogues are in
 * tests/conv. */
#include "smtp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void nowhere(void *arg, struct span bytes)
{
	size_t *sent = arg;

	*sent += bytes.n;
}

static struct smtp_client *new_client(size_t *sent)
{
	const struct smtp_client_options options = {
		.helo = SPAN_LIT("us"), .on_output = nowhere, .arg = sent, .times = {.ehlo_ms = 7}};

	*sent = 0;
	return smtp_client_new(&options);
}

static void queue_id_is_found(void **state)
{
	static const struct {
		const char *text, *id;
	} rows[] = {
		{"Ok: queued as 4FxYz31abc", "4FxYz31abc"},
		{"OK id=1qXyZ-0001Ab-2C", "1qXyZ-0001Ab-2C"},
		{"38LAbcde012345 Message accepted for delivery", "38LAbcde012345"},
		{"<x@y> [InternalId=12345, Hostname=h] Queued mail for delivery", "12345"},
		{"ok 1700000000 qp 12345", "12345"},
		{"OK 1700000000 a1-20020abc - gsmtp", "1700000000"},
		{"Queued as ABC123.", "ABC123"},
		{"Ok", ""},
		{"", ""},
		{"thanks for all the fish", ""},
		{"invalid=99999999x nothing", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span id = smtp_queue_id_of(span_str(rows[i].text));

		if (!span_eq(id, span_str(rows[i].id)))
			fail_msg("\"%s\" gave \"%.*s\"", rows[i].text, SPAN_FMT(id));
	}
}

/* S-12 at the client: neither an endless line nor endless lines take memory beyond the limit. */
static void s_12_replies_are_bounded(void **state)
{
	unsigned char junk[1024];
	size_t sent, fed = 0, lines = 0;
	struct smtp_client *c = new_client(&sent);

	(void)state;
	memset(junk, '2', sizeof junk);
	while (smtp_client_want(c) != SMTP_WANT_CLOSE) {
		smtp_client_input(c, span_of(junk, sizeof junk));
		fed += sizeof junk;
		assert_true(fed <= SMTP_REPLY_LINE_LIMIT_BYTES + sizeof junk);
	}
	smtp_client_free(c);
	c = new_client(&sent);
	while (smtp_client_want(c) != SMTP_WANT_CLOSE) {
		smtp_client_input(c, SPAN_LIT("220-more\r\n"));
		assert_true(++lines <= SMTP_REPLY_LINES_LIMIT + 1);
	}
	smtp_client_free(c);
}

/* RFC 5321 s4.5.3.2, unless the host says otherwise. */
static void time_outs_follow_the_state(void **state)
{
	const struct smtp_client_rcpt rcpt = {.address = SPAN_LIT("b@y")};
	const struct smtp_client_mail mail = {.rcpts = &rcpt, .rcpts_n = 1};
	size_t sent;
	struct smtp_client *c = new_client(&sent);

	(void)state;
	assert_int_equal(smtp_client_timeout_ms(c), 5 * 60000);
	smtp_client_input(c, SPAN_LIT("220 x\r\n"));
	assert_int_equal(smtp_client_timeout_ms(c), 7);
	smtp_client_input(c, SPAN_LIT("250 x\r\n"));
	assert_int_equal(smtp_client_timeout_ms(c), 0);
	smtp_client_mail(c, &mail);
	assert_int_equal(smtp_client_timeout_ms(c), 5 * 60000);
	smtp_client_input(c, SPAN_LIT("250 x\r\n250 x\r\n"));
	smtp_client_free(c);
	c = new_client(&sent);
	smtp_client_input(c, SPAN_LIT("220 x\r\n"));
	smtp_client_input(c, SPAN_LIT("250-x\r\n250 PIPELINING\r\n"));
	smtp_client_mail(c, &mail);
	smtp_client_input(c, SPAN_LIT("250 x\r\n250 x\r\n"));
	assert_int_equal(smtp_client_timeout_ms(c), 2 * 60000);
	smtp_client_input(c, SPAN_LIT("354 x\r\n"));
	assert_int_equal(smtp_client_timeout_ms(c), 3 * 60000);
	smtp_client_body_end(c);
	smtp_client_permit(c);
	assert_int_equal(smtp_client_timeout_ms(c), 10 * 60000);
	smtp_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_id_is_found),
		cmocka_unit_test(s_12_replies_are_bounded),
		cmocka_unit_test(time_outs_follow_the_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
