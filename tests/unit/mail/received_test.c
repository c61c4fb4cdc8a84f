#include "mail/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct received_facts facts(void)
{
	return (struct received_facts){
		.helo = SPAN_LIT("client.example.org"),
		.address = SPAN_LIT("192.0.2.7"),
		.node = SPAN_LIT("mx2.example.net"),
		.id = SPAN_LIT("00ff"),
		.protocol = SPAN_LIT("ESMTPS"),
		.tls = SPAN_LIT("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.recipient = SPAN_LIT("u@example.com"),
		.at_us = 1795295422000000,
	};
}

static void field_is_as_rfc_5321_says(void **state)
{
	struct received_facts f = facts();
	struct buf out = {0};

	(void)state;
	received_write(&out, &f);
	assert_string_equal(buf_cstr(&out),
			    "Received: from client.example.org ([192.0.2.7])\r\n"
			    "\tby mx2.example.net (Holdfast) with ESMTPS id 00ff\r\n"
			    "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
			    "\tfor <u@example.com>; Sat, 21 Nov 2026 21:10:22 +0000\r\n");
	buf_fini(&out);
}

static void nothing_from_the_peer_adds_a_line(void **state)
{
	struct received_facts f = facts();
	struct buf out = {0};

	(void)state;
	f.helo = SPAN_LIT("x\r\nEvil: y;)(");
	f.host = SPAN_LIT("h\"\\");
	f.address = SPAN_LIT("2001:db8::1");
	f.tls = f.recipient = SPAN_NONE;
	received_write(&out, &f);
	assert_string_equal(buf_cstr(&out),
			    "Received: from x??Evil:?y??? (h?? [IPv6:2001:db8::1])\r\n"
			    "\tby mx2.example.net (Holdfast) with ESMTPS id 00ff; "
			    "Sat, 21 Nov 2026 21:10:22 +0000\r\n");
	buf_fini(&out);
}

static void mark_is_part_of_the_field(void **state)
{
	struct received_facts f = facts();
	struct buf out = {0}, mark = {0};

	(void)state;
	received_write(&out, &f);
	received_mark(&mark, f.node);
	assert_non_null(strstr(buf_cstr(&out), buf_cstr(&mark)));
	buf_fini(&mark);
	buf_fini(&out);
}

static void verdict_is_as_rfc_8601_says(void **state)
{
	struct authres_facts f = {
		.node = SPAN_LIT("mx2.example.net"),
		.spf = SPAN_LIT("pass"),
		.domain = SPAN_LIT("example.org"),
		.helo = SPAN_LIT("client.example.org"),
	};
	struct buf out = {0};

	(void)state;
	authres_write(&out, &f);
	f.domain = SPAN_NONE;
	f.helo = SPAN_LIT("a;\r\n dkim=pass");
	authres_write(&out, &f);
	assert_string_equal(buf_cstr(&out), "Authentication-Results: mx2.example.net;\r\n"
					    "\tspf=pass smtp.mailfrom=example.org\r\n"
					    "Authentication-Results: mx2.example.net;\r\n"
					    "\tspf=pass smtp.helo=a????dkim=pass\r\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(field_is_as_rfc_5321_says),
		cmocka_unit_test(nothing_from_the_peer_adds_a_line),
		cmocka_unit_test(mark_is_part_of_the_field),
		cmocka_unit_test(verdict_is_as_rfc_8601_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
