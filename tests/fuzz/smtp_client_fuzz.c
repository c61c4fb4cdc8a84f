/*
 * The SMTP client engine against any server: the input is what the server says; its first byte
 * picks how the host behaves. Whatever comes, every recipient of a transaction ends with a result
 * and the dot goes out only by permit.
 */
#include <stdlib.h>

#include "base/must.h"
#include "smtp/client.h"

struct host {
	bool permitted;
	size_t sent, begun;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_output(void *arg, struct span bytes)
{
	struct host *h = arg;

	h->sent += bytes.n;
}

static void check_results(const struct smtp_client *c, const struct host *h, bool verify_only)
{
	for (size_t i = 0; i < smtp_client_results(c); i++) {
		struct smtp_rcpt_result r = smtp_client_result(c, i);

		must(r.text && r.enhanced);
		must(strlen(r.text) < SMTP_REPLY_TEXT_BYTES);
		must(h->permitted || verify_only ||
		     (r.result != SMTP_RESULT_ACCEPTED && r.result != SMTP_RESULT_LOST));
	}
}

static void begin(struct smtp_client *c, uint8_t how)
{
	const struct smtp_client_rcpt rcpts[] = {
		{.address = SPAN_LIT("b@y"), .orcpt = SPAN_LIT("rfc822;b@y"), .notify = 14},
		{.address = SPAN_LIT("\303\251@y")},
		{.address = SPAN_LIT("d@y")}};
	const struct smtp_client_mail mail = {.sender = SPAN_LIT("a@x"),
					      .rcpts = rcpts,
					      .rcpts_n = 3,
					      .size_bytes = 500,
					      .is_8bit = true,
					      .envid = SPAN_LIT("q"),
					      .ret = 1,
					      .verify_only = how & 8};

	smtp_client_mail(c, &mail);
}

/* One turn of the host. False: nothing more to do before the next bytes. */
static bool turn(struct smtp_client *c, struct host *h, uint8_t how)
{
	switch (smtp_client_want(c)) {
	case SMTP_WANT_INPUT:
		return false;
	case SMTP_WANT_TLS:
		smtp_client_secured(c);
		return true;
	case SMTP_WANT_MAIL:
		h->permitted = false;
		if (h->sent > 4000 || ++h->begun > 50)
			smtp_client_quit(c);
		else
			begin(c, how);
		return true;
	case SMTP_WANT_BODY:
		if (how & 16)
			smtp_client_body(c, SPAN_LIT(".x\r\n.\r\n"));
		smtp_client_body_end(c);
		return true;
	case SMTP_WANT_PERMIT:
		h->permitted = true;
		smtp_client_permit(c);
		return true;
	case SMTP_WANT_RESULT:
		check_results(c, h, how & 8);
		smtp_client_next(c);
		return true;
	case SMTP_WANT_CLOSE:
		check_results(c, h, how & 8);
		return false;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = {0};
	uint8_t how = size ? data[0] : 0;
	struct span rest = span_from(span_of(data, size), 1);
	size_t step = how & 32 ? 1 : rest.n ? rest.n : 1;
	const struct smtp_client_options options = {.helo = SPAN_LIT("us"),
						    .tls = (enum smtp_tls_policy)((how & 3) % 3),
						    .on_output = on_output,
						    .arg = &h};
	struct smtp_client *c = smtp_client_new(&options);

	for (; rest.n; rest = span_from(rest, step)) {
		smtp_client_input(c, span_first(rest, step));
		while (turn(c, &h, how))
			;
	}
	smtp_client_lost(c, "end of input");
	check_results(c, &h, how & 8);
	smtp_client_free(c);
	return 0;
}
