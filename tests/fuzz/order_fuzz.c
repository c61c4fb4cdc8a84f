/*
 * An order file and order/root, hostile, on the simulated disk. First byte: 1 makes the CRCs of entries right, 2 that of
 * the header, 4 that of root. The next two: how many bytes of the rest are root.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/must.h"
#include "ledger/internal.h"
#include "os/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void file_put(struct os *os, const char *path, unsigned char *p, size_t n)
{
	int fd = os_open(os, path, O_RDWR | O_CREAT, 0600);
	struct iovec part = {p, n};

	must(fd >= 0 && os_write_all(os, fd, &part, 1, 0) && os_close(os, fd) == 0);
}

static void repair(unsigned char *order, size_t n, unsigned char *root, size_t root_n,
		   unsigned mode)
{
	if (mode & 1)
		for (size_t at = LEDGER_BLOCK_BYTES; at + ORDER_ENTRY_BYTES <= n;
		     at += ORDER_ENTRY_BYTES)
			put_u32(order + at,
				crc32c(0, span_of(order + at + 4, ORDER_ENTRY_BYTES - 4)));
	if (mode & 2 && n >= 64)
		put_u32(order + 8, crc32c(0, span_of(order + 12, 52)));
	if (mode & 4 && root_n >= 64)
		put_u32(root + 8, crc32c(0, span_of(root + 12, root_n - 12)));
}

static void open_and_read(struct os *os, bool writable)
{
	struct order_entry entries[16];
	struct order *o;
	struct fault why;
	size_t n = 0;

	if (order_open(os, "l", writable, &o, &why) != OK)
		return;
	for (uint64_t at = 0; at < order_size(o) && at < 64; at += n)
		if (order_read(o, at, entries, 16, &n, &why) != OK || n == 0)
			break;
		else
			must(n <= 16 && entries[0].number == at);
	order_close(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct os_sim *sim;
	unsigned char *copy;
	size_t root_n;

	if (size < 4 || size > 1 << 18)
		return 0;
	root_n = get_u16(data + 1) % (size - 3 + 1);
	sim = os_sim_new(1);
	copy = malloc(size - 3);
	must(copy != NULL);
	memcpy(copy, data + 3, size - 3);
	repair(copy + root_n, size - 3 - root_n, copy, root_n, data[0]);
	must(os_mkdir(os_sim_os(sim), "l", 0700) == 0 &&
	     os_mkdir(os_sim_os(sim), "l/order", 0700) == 0);
	if (root_n > 0)
		file_put(os_sim_os(sim), "l/order/root", copy, root_n);
	file_put(os_sim_os(sim), "l/order/0000000001.ord", copy + root_n, size - 3 - root_n);
	open_and_read(os_sim_os(sim), false);
	open_and_read(os_sim_os(sim), true);
	free(copy);
	os_sim_free(sim);
	return 0;
}
