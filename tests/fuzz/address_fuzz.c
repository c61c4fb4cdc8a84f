/* First byte: whether SMTPUTF8 is allowed. What parses must parse to itself. */
#include "mail/address.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a, again;
	struct span rest;
	char key[ADDRESS_TEXT_BYTES];

	if (size < 1)
		return 0;
	rest = span_of(data + 1, size - 1);
	if (address_parse(rest, data[0] & 1, &a) == ADDRESS_FINE) {
		if (address_parse(address_span(&a), true, &again) != ADDRESS_FINE ||
		    again.n != a.n || memcmp(again.text, a.text, a.n) != 0 ||
		    address_key(&a, key) != a.n)
			abort();
		(void)address_is_routed(&a);
		if (address_without_detail(&a, &again) && again.text[again.n] != '\0')
			abort();
	}
	(void)address_parse_path(&rest, data[0] & 1, &a);
	return 0;
}
