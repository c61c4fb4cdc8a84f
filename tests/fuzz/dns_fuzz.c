/* The answer section of a DNS reply. First byte: which type was asked for. */
#include "base/must.h"
#include "dns/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum dns_type types[] = {DNS_A,   DNS_NS,	 DNS_CNAME, DNS_MX,
					      DNS_TXT, DNS_AAAA, DNS_TLSA,  DNS_PTR};
	struct dns_answer got = {0};
	struct arena a;

	if (!n)
		return 0;
	arena_init(&a, 256u << 10);
	if (dns_packet_read(&a, span_of(data + 1, n - 1), types[data[0] % 8], &got)) {
		must(got.n <= DNS_RECORDS_LIMIT);
		for (size_t i = 0; i < got.n; i++)
			must(got.records[i].data.n <= n ||
			     got.records[i].data.n <= DNS_NAME_TEXT_LIMIT);
	}
	arena_fini(&a);
	return 0;
}
