#include "dns/internal.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

/* One question x., and the answers that follow. */
#define HEAD(answers)	 "\0\1\x81\x80\0\1\0" answers "\0\0\0\0\1x\0\0\1\0\1"
#define RR(type, ttl, n) "\xc0\x0c\0" type "\0\1\0\0\0" ttl "\0" n

static const struct {
	const char *name;
	struct span packet;
	enum dns_type type;
	bool good;
	size_t n;
	struct span first;
	uint32_t ttl_s;
} rows[] = {
	{"nothing", {0}, DNS_A, false, 0, {0}, 0},
	{"no answers", SPAN_LIT(HEAD("\0")), DNS_A, true, 0, {0}, 0},
	{"an address", SPAN_LIT(HEAD("\1") RR("\1", "\x3c", "\4") "\x7f\0\0\2"), DNS_A, true, 1,
	 SPAN_LIT("\x7f\0\0\2"), 60},
	{"an address cut short",
	 SPAN_LIT(HEAD("\1") RR("\1", "\x3c", "\4") "\x7f\0\0"),
	 DNS_A,
	 false,
	 0,
	 {0},
	 0},
	{"an address of 3 bytes",
	 SPAN_LIT(HEAD("\1") RR("\1", "\x3c", "\3") "\x7f\0\0"),
	 DNS_A,
	 false,
	 0,
	 {0},
	 0},
	{"an alias first",
	 SPAN_LIT(HEAD("\2") RR("\5", "\x09", "\2") "\xc0\x0c" RR("\1", "\x3c", "\4") "\1\2\3\4"),
	 DNS_A, true, 1, SPAN_LIT("\1\2\3\4"), 9},
	{"joined strings", SPAN_LIT(HEAD("\1") RR("\x10", "\1", "\6") "\2ab\0\1c"), DNS_TXT, true,
	 1, SPAN_LIT("abc"), 1},
	{"a string too long",
	 SPAN_LIT(HEAD("\1") RR("\x10", "\1", "\3") "\3ab"),
	 DNS_TXT,
	 false,
	 0,
	 {0},
	 0},
	{"a mail exchanger", SPAN_LIT(HEAD("\1") RR("\x0f", "\1", "\7") "\0\x0a\2MX\xc0\x0c"),
	 DNS_MX, true, 1, SPAN_LIT("mx.x"), 1},
	{"null MX", SPAN_LIT(HEAD("\1") RR("\x0f", "\1", "\3") "\0\0\0"), DNS_MX, true, 1,
	 SPAN_LIT(""), 1},
	{"odd bytes in a name", SPAN_LIT(HEAD("\1") RR("\x0c", "\1", "\5") "\3.\0a\0"), DNS_PTR,
	 true, 1, SPAN_LIT("\\046\\000a"), 1},
	{"a name that points at itself",
	 SPAN_LIT(HEAD("\1") RR("\x0c", "\1", "\2") "\xc0\x1f"),
	 DNS_PTR,
	 false,
	 0,
	 {0},
	 0},
	{"a name that points forward",
	 SPAN_LIT(HEAD("\1") RR("\x0c", "\1", "\4") "\xc0\x21\1a\0"),
	 DNS_PTR,
	 false,
	 0,
	 {0},
	 0},
	{"more answers promised than there are",
	 SPAN_LIT(HEAD("\2") RR("\1", "\x3c", "\4") "\1\2\3\4"),
	 DNS_A,
	 false,
	 0,
	 {0},
	 0},
};

static void packets_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dns_answer got = {0};
		struct arena a;

		arena_init(&a, 65536);
		if (dns_packet_read(&a, rows[i].packet, rows[i].type, &got) != rows[i].good)
			fail_msg("%s", rows[i].name);
		if (got.n != rows[i].n || got.ttl_s != rows[i].ttl_s)
			fail_msg("%s: %zu records, TTL %u", rows[i].name, got.n, got.ttl_s);
		if (got.n && !span_eq(got.records[0].data, rows[i].first))
			fail_msg("%s: %.*s", rows[i].name, SPAN_FMT(got.records[0].data));
		arena_fini(&a);
	}
}

static void every_prefix_of_a_packet_is_refused_or_read_safely(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t n = 0; n < rows[i].packet.n; n++) {
			struct dns_answer got = {0};
			struct arena a;

			arena_init(&a, 65536);
			assert_false(rows[i].n && dns_packet_read(&a, span_first(rows[i].packet, n),
								  rows[i].type, &got));
			arena_fini(&a);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read_or_refused),
		cmocka_unit_test(every_prefix_of_a_packet_is_refused_or_read_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
