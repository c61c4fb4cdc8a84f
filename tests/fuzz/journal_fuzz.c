/* Journal reports: the same in one piece and in pieces of (first byte + 1) bytes; offsets lie within the message. */
#include "mail/journal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count(void *arg, enum journal_role role, const struct address *a)
{
	size_t *sum = arg;

	*sum = *sum * 31 + a->n * 4 + role;
	return true;
}

static bool count_named(void *arg, const struct address *a)
{
	return count(arg, JOURNAL_TO, a);
}

static struct journal *read_in(const uint8_t *data, size_t size, size_t step)
{
	struct journal *j = journal_new();

	for (size_t at = 0; j && at < size; at += step)
		journal_feed(j, span_of(data + at, step < size - at ? step : size - at));
	return j;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t a = 0, b = 0;
	struct journal *whole, *pieces;

	if (size < 2)
		return 0;
	whole = read_in(data + 1, size - 1, size);
	pieces = read_in(data + 1, size - 1, (size_t)data[0] + 1);
	if (whole && pieces) {
		bool is_report = journal_end(whole), is_too = journal_end(pieces);

		journal_each_named(whole, count_named, &a);
		journal_each_named(pieces, count_named, &b);
		if (is_report && is_too) {
			journal_each_rcpt(whole, count, &a);
			journal_each_rcpt(pieces, count, &b);
			if (a != b || journal_inner_offset(whole) != journal_inner_offset(pieces) ||
			    journal_inner_bytes(whole) != journal_inner_bytes(pieces) ||
			    journal_inner_offset(whole) + journal_inner_bytes(whole) > size - 1)
				abort();
		}
		if (is_report != is_too)
			abort();
	}
	journal_free(whole);
	journal_free(pieces);
	return 0;
}
