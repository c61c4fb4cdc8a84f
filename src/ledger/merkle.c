/*
 * Merkle tree hash of RFC 9162 section 2.1.1, grown leaf by leaf: peaks[k] is the root of the
 * perfect subtree of 2^k leaves whenever bit k of the size is set.
 */
#include "ledger/internal.h"

void merkle_leaf(struct span data, unsigned char out[LEDGER_DIGEST_BYTES])
{
	static const unsigned char zero = 0;
	struct span parts[2] = {{&zero, 1}, data};

	digest_parts(parts, 2, out);
}

static void merkle_node(const unsigned char *left, const unsigned char *right,
			unsigned char out[LEDGER_DIGEST_BYTES])
{
	static const unsigned char one = 1;
	struct span parts[3] = {
		{&one, 1}, {left, LEDGER_DIGEST_BYTES}, {right, LEDGER_DIGEST_BYTES}};

	digest_parts(parts, 3, out);
}

void merkle_append(struct merkle *m, const unsigned char leaf[LEDGER_DIGEST_BYTES])
{
	unsigned char h[LEDGER_DIGEST_BYTES];
	unsigned level = 0;

	memcpy(h, leaf, sizeof h);
	for (; m->size >> level & 1; level++)
		merkle_node(m->peaks[level], h, h);
	memcpy(m->peaks[level], h, sizeof h);
	m->size++;
}

void merkle_root(const struct merkle *m, unsigned char out[LEDGER_DIGEST_BYTES])
{
	bool any = false;

	if (m->size == 0)
		digest_parts(NULL, 0, out); /* MTH({}) = SHA-256() */
	for (unsigned level = 0; level < 64; level++) {
		if (!(m->size >> level & 1))
			continue;
		if (any)
			merkle_node(m->peaks[level], out, out);
		else
			memcpy(out, m->peaks[level], LEDGER_DIGEST_BYTES);
		any = true;
	}
}
