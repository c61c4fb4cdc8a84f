#include "smtp/proxy.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static const char tcp4[] = SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x30\x39\0\x19";
static const char tcp6[] = SIGNATURE "\x21\x21\0\x27\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
				     "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x30\x39\0\x19\x04\0\0";

static void tcp4_gives_the_client(void **state)
{
	struct proxy_header h;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&h.peer;

	(void)state;
	for (size_t n = 0; n < sizeof tcp4 - 1; n++)
		assert_int_equal(proxy_parse(span_of(tcp4, n), &h), MORE);
	assert_int_equal(proxy_parse(span_of(tcp4, sizeof tcp4 - 1), &h), OK);
	assert_false(h.is_local);
	assert_int_equal(h.header_bytes, 28);
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohl(in->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(ntohs(in->sin_port), 12345);
}

static void tcp6_with_extras_gives_the_client(void **state)
{
	struct proxy_header h;
	const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&h.peer;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(proxy_parse(span_of(tcp6, sizeof tcp6 - 1), &h), OK);
	assert_int_equal(h.header_bytes, 16 + 39);
	assert_non_null(inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text));
	assert_string_equal(text, "2001:db8::1");
}

static void local_and_unknown_keep_the_peer(void **state)
{
	struct proxy_header h;

	(void)state;
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x20\0\0\0EHLO"), &h), OK);
	assert_true(h.is_local);
	assert_int_equal(h.header_bytes, 16);
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x21\x31\0\1x"), &h), OK);
	assert_true(h.is_local);
	assert_int_equal(h.header_bytes, 17);
}

static void what_is_no_header_is_refused_early(void **state)
{
	struct proxy_header h;

	(void)state;
	assert_int_equal(proxy_parse(SPAN_LIT("EHLO"), &h), REFUSED);
	assert_int_equal(proxy_parse(SPAN_LIT("\r\n\r\nX"), &h), REFUSED);
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x11\x11\0\x0c"), &h), REFUSED);
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x21\x11\0\x0b"), &h), REFUSED);
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x21\x21\0\x23"), &h), REFUSED);
	assert_int_equal(proxy_parse(SPAN_LIT(SIGNATURE "\x21\x11\xff\xff"), &h), REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp4_gives_the_client),
		cmocka_unit_test(tcp6_with_extras_gives_the_client),
		cmocka_unit_test(local_and_unknown_keep_the_peer),
		cmocka_unit_test(what_is_no_header_is_refused_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
