/*
 * The files of auth: an account that is read is written to the same account again, whatever stood in the file. The first
 * byte says whether the sum is put right, so that what stands behind it is reached. The same bytes go to the CSV reader and
 * to the counts of failures and to the sessions.
 */
#include "auth/account.h"
#include "auth/csv.h"
#include "auth/session.h"
#include "auth/throttle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_account(struct span bytes)
{
	static struct account a, b;
	struct buf first = {0}, second = {0};

	if (account_read(bytes, &a, NULL) != OK)
		return;
	account_write(&a, &first);
	if (account_read(buf_span(&first), &b, NULL) != OK)
		abort();
	account_write(&b, &second);
	if (!span_eq(buf_span(&first), buf_span(&second)))
		abort();
	(void)account_app_find(&a, SPAN_LIT("aaaa-bbbb-cccc-dddd"));
	buf_fini(&first);
	buf_fini(&second);
}

static void as_csv(struct span bytes)
{
	struct arena m;
	struct csv c;
	unsigned last = 0;

	arena_init(&m, 1 << 20);
	csv_init(&c, bytes);
	while (csv_next(&c, &m, NULL) == OK) {
		if (c.line <= last || c.fields_n > CSV_FIELDS || !c.fields_n)
			abort();
		last = c.line;
	}
	arena_fini(&m);
}

/* Each line by itself, its sum put right; what was read is written and read again the same. */
static void as_sessions(struct span bytes)
{
	struct buf file = {0}, first = {0}, second = {0};
	struct sessions s, again;

	while (bytes.n) {
		struct span line = span_cut(&bytes, '\n');

		buf_append(&file, line);
		buf_printf(&file, " %08x\n", crc32c(0, line));
	}
	sessions_init(&s, 16);
	sessions_read(&s, buf_span(&file));
	sessions_write(&s, &first);
	sessions_init(&again, 16);
	sessions_read(&again, buf_span(&first));
	sessions_write(&again, &second);
	if (again.damaged || !span_eq(buf_span(&first), buf_span(&second)))
		abort();
	sessions_fini(&s);
	sessions_fini(&again);
	buf_fini(&file);
	buf_fini(&first);
	buf_fini(&second);
}

static void as_counts(struct span bytes)
{
	struct throttle *t = throttle_new(64), *again = throttle_new(64);
	struct buf first = {0}, second = {0};

	(void)throttle_load(t, bytes);
	throttle_save(t, &first);
	if (throttle_load(again, buf_span(&first)) != 0)
		abort();
	throttle_save(again, &second);
	if (first.n != second.n)
		abort();
	throttle_free(t);
	throttle_free(again);
	buf_fini(&first);
	buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf file = {0};

	if (!size || !secret_prepare())
		return 0;
	buf_append(&file, span_of(data + 1, size - 1));
	if (data[0] & 1)
		buf_printf(&file, "sum %08x\n", crc32c(0, buf_span(&file)));
	as_account(buf_span(&file));
	as_csv(span_of(data, size));
	as_sessions(span_of(data + 1, size - 1));
	as_counts(span_of(data + 1, size - 1));
	buf_fini(&file);
	return 0;
}
