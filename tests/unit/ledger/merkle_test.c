#include "ledger/ledger.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/bytes.h"

/* The leaves and roots of the Certificate Transparency reference tests (RFC 6962 and 9162 hash alike). */
static void roots_match_the_published_vectors(void **state)
{
	static const struct {
		const char *leaf, *root; /* hexadecimal; root after adding the leaf */
	} rows[] = {
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657",
		 "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f",
		 "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	};
	struct merkle m = {0};
	unsigned char out[LEDGER_DIGEST_BYTES];
	char text[2 * LEDGER_DIGEST_BYTES + 1];

	(void)state;
	merkle_root(&m, out);
	hex_encode(text, span_of(out, sizeof out));
	assert_string_equal(text,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned char data[16];
		size_t n = strlen(rows[i].leaf) / 2;

		assert_true(hex_decode(data, n, span_str(rows[i].leaf)));
		merkle_leaf(span_of(data, n), out);
		merkle_append(&m, out);
		merkle_root(&m, out);
		hex_encode(text, span_of(out, sizeof out));
		assert_string_equal(text, rows[i].root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_match_the_published_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
