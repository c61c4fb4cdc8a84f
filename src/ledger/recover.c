/*
 * Where a lane without a writer ends. Only the newest begun segment has to be read: every older one
 * was closed by the opening record of its successor, which names its end. Nothing is written; what
 * was found has been synced and read back from the device, so that it is durable, and the answer
 * stays the same however often it is asked.
 */
#include "ledger/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void take(const struct scan_result *scan, uint32_t segment, struct lane_recovery *out)
{
	out->end = (struct lane_position){segment, scan->end, scan->next_seq ? scan->next_seq : 1};
	out->records = scan->records;
	out->cut_bytes = scan->cut_bytes;
	out->damage_n = scan->damage_n;
	memcpy(out->damage, scan->damage, sizeof out->damage);
}

enum rc lane_find_end(struct os *os, const char *lane_dir, uint32_t lane_id,
		      struct lane_recovery *out, uint32_t *out_highest, struct fault *why)
{
	struct lane_recovery found = {.end = {0, 0, 1}};
	struct numbers numbers;
	enum rc rc = numbers_list(os, lane_dir, ".seg", &numbers, why);

	if (rc != OK)
		return rc;
	if (numbers.n > 0 &&
	    os_sync_dir(os, lane_dir) < 0) { /* a dead writer may not have come to it */
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "sync %s", lane_dir);
	}
	for (size_t i = numbers.n; rc == OK && i > 0; i--) {
		char path[LEDGER_PATH_BYTES];
		struct scan_result scan;
		unsigned char *bytes;
		size_t n;

		if (!segment_path(path, lane_dir, numbers.at[i - 1])) {
			rc = REFUSED;
			fault_set(why, "the path of %s is too long", lane_dir);
			break;
		}
		rc = file_load(os, path, true, &bytes, &n, why);
		if (rc != OK)
			break;
		segment_scan(span_of(bytes, n), lane_id, numbers.at[i - 1], SCAN_END_UNKNOWN, NULL,
			     NULL, &scan);
		free(bytes);
		if (!scan.is_begun) {
			found.cut_bytes += scan.cut_bytes;
			continue;
		}
		scan.cut_bytes += found.cut_bytes;
		take(&scan, numbers.at[i - 1], &found);
		break;
	}
	if (rc == OK) {
		*out = found;
		*out_highest = numbers.n ? numbers.at[numbers.n - 1] : 0;
	}
	free(numbers.at);
	return rc;
}

enum rc lane_lock(struct os *os, const char *lane_dir, bool create, int *out_fd, struct fault *why)
{
	char path[LEDGER_PATH_BYTES];
	enum rc rc;
	int fd;

	(void)snprintf(path, sizeof path, "%.1000s/lock", lane_dir);
	/* flock asks for no right to write: the sequencer may only read other roles' lanes. */
	fd = os_open(os, path, create ? O_RDWR | O_CREAT : O_RDONLY, 0640);
	if (fd < 0) {
		rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);
		fault_sys(why, "open %s", path);
		return rc;
	}
	if (os_lock(os, fd) < 0) {
		rc = errno == EWOULDBLOCK ? EXISTS : rc_of_errno_disk(errno);
		fault_sys(why, "lock %s", path);
		(void)os_close(os, fd);
		return rc;
	}
	*out_fd = fd;
	return OK;
}

enum rc lane_recover(struct os *os, const char *ledger_dir, const char *name,
		     struct lane_recovery *out, struct fault *why)
{
	char dir[LEDGER_PATH_BYTES];
	uint32_t highest;
	enum rc rc;
	int lock;

	if (!lane_name_is_good(name) || !lane_dir_path(dir, ledger_dir, name)) {
		fault_set(why, "\"%s\" cannot be the name of a lane", name);
		return REFUSED;
	}
	rc = lane_lock(os, dir, false, &lock, why);
	if (rc != OK)
		return rc;
	rc = lane_find_end(os, dir, lane_id_of(name), out, &highest, why);
	(void)os_close(os, lock);
	return rc;
}
