/*
 * The order: numbers of all records of all lanes, in files of fixed-size entries, and the Merkle tree over them.
 * doc/formats/ledger.md "Order" has the bytes. One process writes (the sequencer), any may read what it was told of.
 *
 *   - A batch is one pwritev and one fdatasync, never across files. After an open, and after a failed sync, the next
 *     batch starts a new file; its header names the number it starts with, and what the older file holds from
 *     that number on is void. So a torn or condemned tail is never continued and never mistaken for later entries.
 *   - order/root holds size, root, peaks and lane ends as of some moment after a sync. It is a shortcut and a witness:
 *     missing or unreadable it is computed again; naming more entries than there are, it says that entries were lost.
 */
#include "ledger/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/must.h"

enum {
	ENTRY_BYTES = ORDER_ENTRY_BYTES,
	ENTRIES_PER_FILE = 65536,
	FILE_HEADER_BYTES = 64, /* in a block of its own */
	LOAD_ENTRIES = 4096,	/* read at once */
	ROOT_HEAD_BYTES = 64,
	ROOT_LANE_BYTES = 24,
	ROOT_LIMIT_BYTES = 1 << 20,
};

static const unsigned char file_magic[4] = {'H', 'F', 'o', 'r'},
			   root_magic[4] = {'H', 'F', 'r', 't'};

struct order_file {
	uint32_t file; /* its name */
	uint64_t start;
};

struct lane_end {
	struct record_ref last;
	uint64_t seq;
};

struct order {
	struct os *os;
	char dir[LEDGER_PATH_BYTES];
	bool writable;
	int lock_fd;

	struct order_file *files; /* begun ones, ascending */
	size_t files_n;
	uint32_t highest; /* largest name seen, begun or not */

	int read_fd; /* of files[read_at] */
	uint32_t read_file;

	/* Writer. */
	int fd;		   /* -1: the next batch starts a file */
	uint64_t capacity; /* entries of a file */
	uint64_t room_end; /* number behind the last that fits the file */
	uint64_t start;	   /* of the file */
	int spare_fd;
	uint32_t spare_file;
	uint64_t old_end; /* bytes of the file before, to be cut when the new one has begun */
	uint32_t old_file;
	uint64_t saved_size;
	bool is_saved;

	struct merkle tree;
	struct lane_end *lanes;
	size_t lanes_n;
};

/* ---- bytes ---- */

void order_entry_encode(const struct order_entry *e, uint64_t durable,
			unsigned char out[ORDER_ENTRY_BYTES])
{
	memset(out, 0, ORDER_ENTRY_BYTES);
	out[4] = 1; /* version */
	out[5] = (unsigned char)e->type;
	put_u64(out + 8, e->number);
	put_u64(out + 16, durable);
	put_u32(out + 24, e->ref.lane_id);
	put_u32(out + 28, e->ref.segment);
	put_u64(out + 32, e->ref.offset);
	put_u64(out + 40, e->seq);
	put_u64(out + 48, e->received_us);
	put_u32(out + 56, e->length);
	memcpy(out + 64, e->leaf, LEDGER_DIGEST_BYTES);
	put_u32(out, crc32c(0, span_of(out + 4, ORDER_ENTRY_BYTES - 4)));
}

bool order_entry_decode(const unsigned char in[ORDER_ENTRY_BYTES], struct order_entry *out,
			uint64_t *out_durable)
{
	if (in[4] != 1 || get_u32(in) != crc32c(0, span_of(in + 4, ORDER_ENTRY_BYTES - 4)))
		return false;
	*out = (struct order_entry){
		.number = get_u64(in + 8),
		.ref = {get_u32(in + 24), get_u32(in + 28), get_u64(in + 32)},
		.seq = get_u64(in + 40),
		.type = (enum record_type)in[5],
		.length = get_u32(in + 56),
		.received_us = get_u64(in + 48),
	};
	memcpy(out->leaf, in + 64, LEDGER_DIGEST_BYTES);
	*out_durable = get_u64(in + 16);
	return true;
}

static void header_encode(uint64_t start, unsigned char out[FILE_HEADER_BYTES])
{
	memset(out, 0, FILE_HEADER_BYTES);
	memcpy(out, file_magic, 4);
	out[4] = 1;
	put_u32(out + 12, ENTRY_BYTES);
	put_u64(out + 16, start);
	put_u32(out + 8, crc32c(0, span_of(out + 12, FILE_HEADER_BYTES - 12)));
}

static bool header_decode(const unsigned char in[FILE_HEADER_BYTES], uint64_t *out_start)
{
	if (memcmp(in, file_magic, 4) != 0 || get_u32(in + 4) != 1 ||
	    get_u32(in + 8) != crc32c(0, span_of(in + 12, FILE_HEADER_BYTES - 12)) ||
	    get_u32(in + 12) != ENTRY_BYTES)
		return false;
	*out_start = get_u64(in + 16);
	return true;
}

static uint64_t entry_offset(uint64_t start, uint64_t number)
{
	return LEDGER_BLOCK_BYTES + (number - start) * ENTRY_BYTES;
}

/* ---- files ---- */

static void file_path(const struct order *o, uint32_t file, char out[LEDGER_PATH_BYTES])
{
	int n = snprintf(out, LEDGER_PATH_BYTES, "%s/%010u.ord", o->dir, file);

	must(n > 0 && n < LEDGER_PATH_BYTES); /* order_open has checked the folder's length */
}

static enum rc disk_fault(const char *what, const char *path, struct fault *why)
{
	enum rc rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);

	fault_sys(why, "%s %s", what, path);
	return rc;
}

/* OK: begun, start known. MORE: not begun. BROKEN: its header is damaged. */
static enum rc file_start(struct order *o, uint32_t file, bool sync_first, uint64_t *out_start,
			  struct fault *why)
{
	unsigned char block[LEDGER_BLOCK_BYTES + ENTRY_BYTES] = {0};
	static const unsigned char zeros[ENTRY_BYTES];
	char path[LEDGER_PATH_BYTES];
	enum rc rc = OK;
	int fd;

	file_path(o, file, path);
	fd = os_open(o->os, path, O_RDONLY, 0);
	if (fd < 0)
		return disk_fault("open", path, why);
	if (sync_first && (os_datasync(o->os, fd) < 0 || os_forget(o->os, fd) < 0))
		rc = disk_fault("sync", path, why);
	else if (os_read_all(o->os, fd, block, sizeof block, 0) < 0)
		rc = disk_fault("read", path, why);
	(void)os_close(o->os, fd);
	if (rc != OK)
		return rc;
	if (header_decode(block, out_start))
		return OK;
	if (memcmp(block + LEDGER_BLOCK_BYTES, zeros, sizeof zeros) == 0)
		return MORE; /* entries are written only after the header is durable */
	fault_set(why, "%s has entries but its header is damaged", path);
	return BROKEN;
}

static enum rc files_learn(struct order *o, bool sync_first, struct fault *why)
{
	struct numbers numbers;
	struct order_file *files;
	uint32_t newest = 0;
	size_t n = 0;
	enum rc rc = numbers_list(o->os, o->dir, ".ord", &numbers, why);

	if (rc != OK)
		return rc;
	files = must_alloc((numbers.n + o->files_n + 1) * sizeof *files);
	if (o->files_n > 0) { /* a header never changes */
		memcpy(files, o->files, o->files_n * sizeof *files);
		n = o->files_n;
		newest = files[n - 1].file;
	}
	for (size_t i = 0; i < numbers.n && rc == OK; i++) {
		if (numbers.at[i] <= newest)
			continue;
		files[n].file = numbers.at[i];
		rc = file_start(o, numbers.at[i], sync_first && i + 2 >= numbers.n, &files[n].start,
				why);
		if (rc == OK)
			n++;
		else if (rc == MORE)
			rc = OK;
	}
	if (rc == OK) {
		free(o->files);
		o->files = files;
		o->files_n = n;
		o->highest = numbers.n ? numbers.at[numbers.n - 1] : 0;
	} else {
		free(files);
	}
	free(numbers.at);
	return rc;
}

static enum rc read_file(struct order *o, uint32_t file, struct fault *why)
{
	char path[LEDGER_PATH_BYTES];

	if (o->read_fd >= 0 && o->read_file == file)
		return OK;
	if (o->read_fd >= 0)
		(void)os_close(o->os, o->read_fd);
	file_path(o, file, path);
	o->read_fd = os_open(o->os, path, O_RDONLY, 0);
	if (o->read_fd < 0)
		return disk_fault("open", path, why);
	o->read_file = file;
	return OK;
}

/* The file that holds this number: the last one that starts at or before it. NULL: none. */
static const struct order_file *file_of(const struct order *o, uint64_t number)
{
	for (size_t i = o->files_n; i > 0; i--)
		if (o->files[i - 1].start <= number)
			return &o->files[i - 1];
	return NULL;
}

/* Where the numbers of a file stop counting: the smallest start of any later file. */
static uint64_t file_end(const struct order *o, const struct order_file *f)
{
	uint64_t end = UINT64_MAX;

	for (f++; f < o->files + o->files_n; f++)
		end = f->start < end ? f->start : end;
	return end;
}

/* Entries from a number on, out of one file, as far as they are valid. */
static enum rc read_some(struct order *o, const struct order_file *f, uint64_t from,
			 unsigned char *bytes, struct order_entry *entries, size_t max,
			 size_t *out_n, struct fault *why)
{
	uint64_t end = file_end(o, f), durable;
	enum rc rc = read_file(o, f->file, why);
	char path[LEDGER_PATH_BYTES];
	ssize_t got;
	size_t n = 0;

	if (rc != OK)
		return rc;
	if (end - from < max)
		max = (size_t)(end - from);
	got = os_read_all(o->os, o->read_fd, bytes, max * ENTRY_BYTES,
			  entry_offset(f->start, from));
	if (got < 0) {
		file_path(o, f->file, path);
		return disk_fault("read", path, why);
	}
	for (; n < max && (n + 1) * ENTRY_BYTES <= (size_t)got; n++)
		if (!order_entry_decode(bytes + n * ENTRY_BYTES, &entries[n], &durable) ||
		    entries[n].number != from + n)
			break;
	*out_n = n;
	if (n < max && end != UINT64_MAX) {
		fault_set(why, "order entry %llu is damaged", (unsigned long long)(from + n));
		return n > 0 ? OK : BROKEN;
	}
	return OK;
}

/* Does a later entry of the newest file know that this one had been durable? */
static bool hole_was_durable(struct order *o, const struct order_file *f, uint64_t hole)
{
	unsigned char *bytes = must_alloc((size_t)LOAD_ENTRIES * ENTRY_BYTES);
	uint64_t number = hole + 1, durable;
	struct order_entry e;
	bool found = false;
	ssize_t got = 1;

	while (!found && got > 0) {
		got = os_read_all(o->os, o->read_fd, bytes, (size_t)LOAD_ENTRIES * ENTRY_BYTES,
				  entry_offset(f->start, number));
		for (size_t i = 0; got > 0 && (i + 1) * ENTRY_BYTES <= (size_t)got; i++)
			if (order_entry_decode(bytes + i * ENTRY_BYTES, &e, &durable) &&
			    e.number == number + i && durable > hole)
				found = true;
		number += LOAD_ENTRIES;
	}
	free(bytes);
	return found;
}

/* ---- state ---- */

static struct lane_end *lane_end_of(const struct order *o, uint32_t lane_id)
{
	for (size_t i = 0; i < o->lanes_n; i++)
		if (o->lanes[i].last.lane_id == lane_id)
			return &o->lanes[i];
	return NULL;
}

static void lane_end_set(struct order *o, struct record_ref last, uint64_t seq)
{
	struct lane_end *l = lane_end_of(o, last.lane_id);

	if (!l) {
		o->lanes = realloc(o->lanes, (o->lanes_n + 1) * sizeof *o->lanes);
		must(o->lanes != NULL);
		l = &o->lanes[o->lanes_n++];
	}
	*l = (struct lane_end){last, seq};
}

static void entry_count(struct order *o, const struct order_entry *e)
{
	merkle_append(&o->tree, e->leaf);
	lane_end_set(o, e->ref, e->seq);
}

static void root_path(const struct order *o, char out[LEDGER_PATH_BYTES])
{
	int n = snprintf(out, LEDGER_PATH_BYTES, "%s/root", o->dir);

	must(n > 0 && n < LEDGER_PATH_BYTES);
}

bool order_root_decode(struct span file, uint64_t *out_size,
		       unsigned char root[LEDGER_DIGEST_BYTES], struct merkle *out_tree)
{
	struct merkle tree = {0};
	unsigned char computed[LEDGER_DIGEST_BYTES];
	size_t at = ROOT_HEAD_BYTES;

	if (file.n < ROOT_HEAD_BYTES || memcmp(file.p, root_magic, 4) != 0 ||
	    get_u32(file.p + 4) != 1 || get_u32(file.p + 8) != crc32c(0, span_from(file, 12)))
		return false;
	tree.size = get_u64(file.p + 16);
	for (unsigned level = 0; level < 64; level++) {
		if (!(tree.size >> level & 1))
			continue;
		if (file.n - at < LEDGER_DIGEST_BYTES)
			return false;
		memcpy(tree.peaks[level], file.p + at, LEDGER_DIGEST_BYTES);
		at += LEDGER_DIGEST_BYTES;
	}
	if ((file.n - at) / ROOT_LANE_BYTES != get_u32(file.p + 12) ||
	    (file.n - at) % ROOT_LANE_BYTES != 0)
		return false;
	merkle_root(&tree, computed);
	if (memcmp(computed, file.p + 24, LEDGER_DIGEST_BYTES) != 0)
		return false;
	*out_size = tree.size;
	memcpy(root, computed, LEDGER_DIGEST_BYTES);
	*out_tree = tree;
	return true;
}

static void root_encode(const struct order *o, struct buf *out)
{
	unsigned char head[ROOT_HEAD_BYTES] = {0}, lane[ROOT_LANE_BYTES];

	memcpy(head, root_magic, 4);
	head[4] = 1;
	put_u32(head + 12, (uint32_t)o->lanes_n);
	put_u64(head + 16, o->tree.size);
	merkle_root(&o->tree, head + 24);
	(void)buf_append(out, span_of(head, sizeof head));
	for (unsigned level = 0; level < 64; level++)
		if (o->tree.size >> level & 1)
			(void)buf_append(out, span_of(o->tree.peaks[level], LEDGER_DIGEST_BYTES));
	for (size_t i = 0; i < o->lanes_n; i++) {
		put_u32(lane, o->lanes[i].last.lane_id);
		put_u32(lane + 4, o->lanes[i].last.segment);
		put_u64(lane + 8, o->lanes[i].last.offset);
		put_u64(lane + 16, o->lanes[i].seq);
		(void)buf_append(out, span_of(lane, sizeof lane));
	}
	put_u32(out->p + 8, crc32c(0, span_from(buf_span(out), 12)));
}

/* Takes order/root when it is there and sound; else the state stays empty. */
static enum rc root_load(struct order *o, struct fault *why)
{
	unsigned char *bytes, root[LEDGER_DIGEST_BYTES];
	char path[LEDGER_PATH_BYTES];
	uint64_t size;
	size_t n, lanes;
	enum rc rc;

	root_path(o, path);
	rc = file_load(o->os, path, false, &bytes, &n, why);
	if (rc == REFUSED)
		return OK;
	if (rc != OK)
		return rc;
	if (order_root_decode(span_of(bytes, n), &size, root, &o->tree)) {
		lanes = get_u32(bytes + 12);
		for (size_t i = 0; i < lanes; i++) {
			const unsigned char *p = bytes + n - (lanes - i) * ROOT_LANE_BYTES;

			lane_end_set(
				o, (struct record_ref){get_u32(p), get_u32(p + 4), get_u64(p + 8)},
				get_u64(p + 16));
		}
		o->saved_size = size;
		o->is_saved = true;
	}
	free(bytes);
	return OK;
}

/* Brings tree and lane ends up to the last valid entry. */
static enum rc entries_load(struct order *o, struct fault *why)
{
	unsigned char *bytes = must_alloc((size_t)LOAD_ENTRIES * ENTRY_BYTES);
	struct order_entry *entries = must_alloc(LOAD_ENTRIES * sizeof *entries);
	uint64_t from = o->tree.size > 0 ? o->tree.size - 1
					 : 0; /* the last one that root knows must be there */
	uint64_t known = o->tree.size;
	enum rc rc = OK;

	for (;;) {
		const struct order_file *f = file_of(o, from);
		size_t n = 0;

		if (f)
			rc = read_some(o, f, from, bytes, entries, LOAD_ENTRIES, &n, why);
		if (rc != OK)
			break;
		for (size_t i = 0; i < n; i++)
			if (from + i >= known)
				entry_count(o, &entries[i]);
		from += n;
		if (n > 0)
			continue;
		if (f && from > 0 && hole_was_durable(o, f, from)) {
			fault_set(why, "order entry %llu is damaged, and later ones are there",
				  (unsigned long long)from);
			rc = BROKEN;
		} else if (from < known) {
			fault_set(why, "order/root knows %llu entries, but only %llu are there",
				  (unsigned long long)known, (unsigned long long)from);
			rc = BROKEN;
		}
		break;
	}
	free(bytes);
	free(entries);
	return rc;
}

/* ---- opening ---- */

static enum rc writer_dir(struct order *o, const char *ledger_dir, struct fault *why)
{
	enum rc rc = dir_make(o->os, ledger_dir, why);

	if (rc == OK)
		rc = dir_make(o->os, o->dir, why);
	if (rc != OK)
		return rc;
	if (os_sync_dir(o->os, o->dir) < 0)
		return disk_fault("sync", o->dir, why);
	return lane_lock(o->os, o->dir, true, &o->lock_fd, why);
}

enum rc order_open(struct os *os, const char *ledger_dir, bool writable, struct order **out,
		   struct fault *why)
{
	struct order *o;
	enum rc rc = OK;

	if (strlen(ledger_dir) > LEDGER_PATH_BYTES - 100) {
		fault_set(why, "the path %s is too long", ledger_dir);
		return REFUSED;
	}
	o = must_alloc(sizeof *o);
	o->os = os;
	o->writable = writable;
	o->lock_fd = o->fd = o->read_fd = o->spare_fd = -1;
	o->capacity = ENTRIES_PER_FILE;
	(void)snprintf(o->dir, sizeof o->dir, "%.900s/order", ledger_dir);
	if (writable)
		rc = writer_dir(o, ledger_dir, why);
	if (rc == OK)
		rc = files_learn(o, writable, why);
	if (rc == OK)
		rc = root_load(o, why);
	if (rc == OK)
		rc = entries_load(o, why);
	if (rc == REFUSED && !writable)
		rc = LATER; /* there is no order yet */
	if (rc != OK) {
		order_close(o);
		return rc;
	}
	if (o->files_n > 0) {
		o->old_file = o->files[o->files_n - 1].file;
		o->old_end = entry_offset(o->files[o->files_n - 1].start, o->tree.size);
	}
	*out = o;
	return OK;
}

void order_set_capacity(struct order *o, uint64_t entries)
{
	o->capacity = entries;
}

void order_close(struct order *o)
{
	char path[LEDGER_PATH_BYTES];

	if (!o)
		return;
	if (o->fd >= 0) {
		(void)os_truncate(o->os, o->fd, entry_offset(o->start, o->tree.size));
		(void)os_close(o->os, o->fd);
	}
	if (o->spare_fd >= 0) {
		(void)os_close(o->os, o->spare_fd);
		file_path(o, o->spare_file, path);
		(void)os_unlink(o->os, path);
	}
	if (o->read_fd >= 0)
		(void)os_close(o->os, o->read_fd);
	if (o->lock_fd >= 0)
		(void)os_close(o->os, o->lock_fd);
	free(o->files);
	free(o->lanes);
	free(o);
}

/* ---- writing ---- */

static enum rc spare_make_now(struct order *o, struct fault *why)
{
	char path[LEDGER_PATH_BYTES];
	uint32_t file = ++o->highest;
	enum rc rc;

	file_path(o, file, path);
	rc = zero_file_make(o->os, o->dir, path, entry_offset(0, o->capacity), &o->spare_fd, why);
	if (rc == OK)
		o->spare_file = file;
	return rc;
}

/* Cuts zeros (or a void tail) off the file before; room only. */
static void old_cut(struct order *o)
{
	char path[LEDGER_PATH_BYTES];
	int fd;

	if (o->old_file == 0)
		return;
	file_path(o, o->old_file, path);
	fd = os_open(o->os, path, O_RDWR, 0);
	if (fd >= 0) {
		(void)os_truncate(o->os, fd, o->old_end);
		(void)os_close(o->os, fd);
	}
	o->old_file = 0;
}

static void file_condemn(struct order *o)
{
	(void)os_close(o->os, o->fd);
	o->fd = -1;
	o->old_file = 0; /* never touched again, not even to be cut */
}

static enum rc file_begin(struct order *o, struct fault *why)
{
	unsigned char header[LEDGER_BLOCK_BYTES] = {0};
	struct iovec part = {header, sizeof header};
	enum rc rc = OK;

	if (o->spare_fd < 0)
		rc = spare_make_now(o, why);
	if (rc != OK)
		return rc;
	if (o->fd >= 0) {
		o->old_file = o->files[o->files_n - 1].file;
		o->old_end = entry_offset(o->start, o->tree.size);
		(void)os_close(o->os, o->fd);
	}
	o->fd = o->spare_fd;
	o->spare_fd = -1;
	o->start = o->tree.size;
	o->room_end = o->start + o->capacity;
	header_encode(o->start, header);
	if (!os_write_all(o->os, o->fd, &part, 1, 0) || os_datasync(o->os, o->fd) < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "begin order file %u", o->spare_file);
		file_condemn(o);
		return rc;
	}
	o->files = realloc(o->files, (o->files_n + 1) * sizeof *o->files);
	must(o->files != NULL);
	o->files[o->files_n++] = (struct order_file){o->spare_file, o->start};
	old_cut(o);
	return OK;
}

static bool is_behind(struct record_ref a, struct record_ref b)
{
	return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

static enum rc entries_fill(const struct order *o, struct order_entry *entries,
			    const struct record *records, size_t n, unsigned char *bytes,
			    struct fault *why)
{
	for (size_t i = 0; i < n; i++) {
		struct order_entry *e = &entries[i];
		const struct record *r = &records[i];
		const struct lane_end *end = lane_end_of(o, r->ref.lane_id);

		/* By position, not by seq: a lane that lost its tail to damage gives the same numbers again. */
		if (end && !is_behind(end->last, r->ref)) {
			fault_set(why, "record %llu of lane %08x is in the order already",
				  (unsigned long long)r->seq, r->ref.lane_id);
			return REFUSED;
		}
		*e = (struct order_entry){
			.number = o->tree.size + i,
			.ref = r->ref,
			.seq = r->seq,
			.type = r->type,
			.length = r->length,
			.received_us = r->received_us,
		};
		order_leaf(r, e->leaf);
		order_entry_encode(e, o->tree.size, bytes + i * ENTRY_BYTES);
	}
	return OK;
}

enum rc order_append(struct order *o, struct order_entry *entries, const struct record *records,
		     size_t n, struct fault *why)
{
	unsigned char *bytes;
	struct iovec part;
	enum rc rc = OK;

	must(o->writable && n <= o->capacity);
	if (n == 0)
		return OK;
	bytes = must_alloc(n * ENTRY_BYTES);
	part = (struct iovec){bytes, n * ENTRY_BYTES};
	rc = entries_fill(o, entries, records, n, bytes, why);
	if (rc == OK && (o->fd < 0 || o->tree.size + n > o->room_end))
		rc = file_begin(o, why);
	if (rc != OK)
		goto out;
	if (!os_write_all(o->os, o->fd, &part, 1, entry_offset(o->start, o->tree.size)) ||
	    os_datasync(o->os, o->fd) < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "write the order");
		file_condemn(o);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		entry_count(o, &entries[i]);
out:
	free(bytes);
	return rc;
}

enum rc order_save(struct order *o, struct fault *why)
{
	char path[LEDGER_PATH_BYTES];
	struct buf b;
	enum rc rc = OK;

	must(o->writable);
	if (o->spare_fd < 0 && o->fd >= 0 && o->room_end - o->tree.size < o->capacity / 2)
		rc = spare_make_now(o, why);
	if (rc != OK || (o->is_saved && o->saved_size == o->tree.size))
		return rc;
	buf_init(&b, 0);
	root_encode(o, &b);
	root_path(o, path);
	if (os_replace_file(o->os, path, buf_span(&b), 0640)) {
		o->saved_size = o->tree.size;
		o->is_saved = true;
	} else {
		rc = disk_fault("write", path, why);
	}
	buf_fini(&b);
	return rc;
}

/* ---- reading ---- */

uint64_t order_size(const struct order *o)
{
	return o->tree.size;
}

void order_root(const struct order *o, unsigned char out[LEDGER_DIGEST_BYTES])
{
	merkle_root(&o->tree, out);
}

bool order_lane_end(const struct order *o, uint32_t lane_id, struct record_ref *out_last,
		    uint64_t *out_seq)
{
	const struct lane_end *l = lane_end_of(o, lane_id);

	if (!l)
		return false;
	*out_last = l->last;
	*out_seq = l->seq;
	return true;
}

/* Has the writer begun a file since? Then what we take for the newest may be void from its start on. */
static enum rc files_refresh(struct order *o, struct fault *why)
{
	struct numbers numbers;
	enum rc rc;
	bool is_new;

	if (o->writable)
		return OK;
	rc = numbers_list(o->os, o->dir, ".ord", &numbers, why);
	if (rc != OK)
		return rc;
	is_new = numbers.n > 0 &&
		 numbers.at[numbers.n - 1] != (o->files_n ? o->files[o->files_n - 1].file : 0);
	free(numbers.at);
	return is_new ? files_learn(o, false, why) : OK;
}

enum rc order_read(struct order *o, uint64_t from, struct order_entry *entries, size_t max,
		   size_t *out_n, struct fault *why)
{
	const struct order_file *f = file_of(o, from);
	unsigned char *bytes;
	size_t n = 0;
	enum rc rc = OK;

	if (o->writable && from >= o->tree.size)
		max = 0;
	else if (o->writable && o->tree.size - from < max)
		max = (size_t)(o->tree.size - from);
	if (!f || f == o->files + o->files_n - 1) {
		rc = files_refresh(o, why);
		f = file_of(o, from);
	}
	if (rc != OK)
		return rc;
	if (max > LOAD_ENTRIES)
		max = LOAD_ENTRIES;
	if (f && max > 0) {
		bytes = must_alloc(max * ENTRY_BYTES);
		rc = read_some(o, f, from, bytes, entries, max, &n, why);
		free(bytes);
	}
	if (rc == OK)
		*out_n = n;
	return rc;
}
