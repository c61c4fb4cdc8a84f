/*
 * Reads everything and believes nothing: every record of every segment against its digest, the chain of segments and
 * of sequence numbers, the chunks of each message, every order entry against its record, the root over all of them.
 * A writer may go on meanwhile: what is behind the end found at the beginning is not looked at.
 */
#include "ledger/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"

enum { ENTRIES_AT_ONCE = 1024 };

struct lane_seen {
	uint32_t lane_id, newest;
	uint64_t end;	  /* of the newest segment */
	uint64_t ordered; /* the last sequence number met in the order */
};

struct verify {
	struct os *os;
	const char *ledger_dir;
	void (*on_problem)(void *arg, const char *text);
	void (*on_progress)(void *arg, uint64_t done, uint64_t all);
	void *arg;
	struct ledger_report *report;
	struct ledger_reader *reader;
	uint64_t done, all;
	enum rc rc;
	struct fault *why;
	/* of the lane and segment at hand */
	const char *lane;
	char dir[LEDGER_PATH_BYTES];
	uint32_t segment;
	struct lane_seen *lanes;
	size_t lanes_n;
};

PRINTF_LIKE(2, 3) static void problem(struct verify *v, const char *format, ...)
{
	char text[480];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	v->report->problems++;
	if (v->on_problem)
		v->on_problem(v->arg, text);
}

static void progress(struct verify *v, uint64_t bytes)
{
	v->done += bytes;
	if (v->on_progress)
		v->on_progress(v->arg, v->done < v->all ? v->done : v->all, v->all);
}

/* ---- lanes ---- */

static void chunks_check(struct verify *v, const struct scan_item *item)
{
	uint64_t total = 0;

	for (size_t at = 0; at < item->body.n; at += CHUNK_ENTRY_BYTES) {
		struct chunk_entry entry;
		struct record r;

		chunk_entry_decode(item->body.p + at, &entry);
		total += entry.body_len;
		if (ledger_read(
			    v->reader,
			    (struct record_ref){item->header->lane_id, entry.segment, entry.offset},
			    &r, NULL) == OK &&
		    r.type == RECORD_CHUNK && memcmp(r.digest, entry.digest, sizeof r.digest) == 0)
			continue;
		problem(v,
			"lane %s: the message in segment %u at byte %llu has lost the part that "
			"was in segment %u "
			"at byte %llu; restore that file from a backup",
			v->lane, v->segment, (unsigned long long)item->offset, entry.segment,
			(unsigned long long)entry.offset);
	}
	if (total != item->header->body_bytes)
		problem(v,
			"lane %s: the message in segment %u at byte %llu does not have the size it "
			"names",
			v->lane, v->segment, (unsigned long long)item->offset);
}

static void on_record(void *arg, const struct scan_item *item)
{
	struct verify *v = arg;

	if (item->header->flags & RECORD_CHUNKED)
		chunks_check(v, item);
}

static void damage_tell(struct verify *v, const struct scan_result *scan)
{
	size_t listed = sizeof scan->damage / sizeof *scan->damage;

	for (size_t i = 0; i < scan->damage_n && i < listed; i++)
		problem(v,
			"lane %s: bytes %llu to %llu of segment %u are damaged (%s/%010u.seg); the "
			"records there "
			"cannot be read: restore the file from a backup, and check the disk",
			v->lane, (unsigned long long)scan->damage[i].from,
			(unsigned long long)scan->damage[i].to - 1, v->segment, v->dir, v->segment);
	if (scan->damage_n > listed)
		problem(v, "lane %s: segment %u has %zu more damaged places", v->lane, v->segment,
			scan->damage_n - listed);
}

/* One segment. REFUSED: the file is not there. */
static enum rc segment_check(struct verify *v, uint32_t number, uint64_t known_end,
			     struct scan_result *out, struct fault *why)
{
	char path[LEDGER_PATH_BYTES];
	unsigned char *bytes;
	size_t n;
	enum rc rc;

	if (!segment_path(path, v->dir, number))
		return REFUSED;
	rc = file_load(v->os, path, false, &bytes, &n, why);
	if (rc != OK)
		return rc;
	v->segment = number;
	segment_scan(span_of(bytes, n), lane_id_of(v->lane), number, known_end, on_record, v, out);
	out->opening.lane = SPAN_NONE; /* pointed into the bytes */
	free(bytes);
	progress(v, n);
	return OK;
}

static void segment_count(struct verify *v, const struct scan_result *scan)
{
	v->report->segments++;
	v->report->records += scan->records;
	v->report->messages += scan->messages;
	v->report->bytes += scan->end;
	v->report->cut_bytes += scan->cut_bytes;
	damage_tell(v, scan);
	if (!scan->is_opening_good)
		problem(v,
			"lane %s: the first record of segment %u is damaged, so it cannot be told "
			"which segment "
			"came before; restore %s/%010u.seg from a backup",
			v->lane, v->segment, v->dir, v->segment);
}

/* The newest segment that was begun; its number, 0: none. */
static uint32_t newest_check(struct verify *v, const struct numbers *numbers,
			     struct scan_result *out)
{
	for (size_t i = numbers->n; i > 0; i--) {
		struct fault why;

		if (segment_check(v, numbers->at[i - 1], SCAN_END_UNKNOWN, out, &why) != OK) {
			problem(v, "lane %s: %s", v->lane, why.text);
			continue;
		}
		if (out->is_begun)
			return numbers->at[i - 1];
	}
	return 0;
}

static uint32_t older_than(const struct numbers *numbers, uint32_t segment)
{
	uint32_t found = 0;

	for (size_t i = 0; i < numbers->n && numbers->at[i] < segment; i++)
		found = numbers->at[i];
	return found;
}

static void chain_check(struct verify *v, const struct numbers *numbers)
{
	struct scan_result scan;
	uint32_t segment = newest_check(v, numbers, &scan);
	struct fault why;

	v->lanes = realloc(v->lanes, (v->lanes_n + 1) * sizeof *v->lanes);
	must(v->lanes != NULL);
	v->lanes[v->lanes_n++] =
		(struct lane_seen){lane_id_of(v->lane), segment, segment ? scan.end : 0, 0};

	while (segment != 0) {
		uint32_t prev = scan.is_opening_good ? scan.opening.prev_segment
						     : older_than(numbers, segment);
		uint64_t end = scan.is_opening_good ? scan.opening.prev_end : SCAN_END_UNKNOWN;
		uint64_t first_seq = scan.first_seq;

		segment_count(v, &scan);
		if (prev >= segment) {
			problem(v, "lane %s: segment %u names a later one as its predecessor",
				v->lane, segment);
			return;
		}
		if (prev == 0 && first_seq > 1)
			problem(v, "lane %s: it begins with record %llu instead of 1", v->lane,
				(unsigned long long)first_seq);
		segment = prev;
		if (segment == 0)
			return;
		if (segment_check(v, segment, end, &scan, &why) != OK) {
			problem(v,
				"lane %s: segment %u is missing or unreadable: %s; restore it from "
				"a backup",
				v->lane, segment, why.text);
			return;
		}
		if (scan.damage_n == 0 && first_seq != 0 && scan.next_seq != first_seq)
			problem(v,
				"lane %s: records %llu to %llu are missing between segment %u and "
				"the next",
				v->lane, (unsigned long long)scan.next_seq,
				(unsigned long long)first_seq - 1, segment);
	}
}

static bool on_lane(void *arg, const char *name)
{
	struct verify *v = arg;
	struct numbers numbers;

	v->lane = name;
	if (!lane_dir_path(v->dir, v->ledger_dir, name))
		return true;
	v->rc = numbers_list(v->os, v->dir, ".seg", &numbers, v->why);
	if (v->rc != OK)
		return false;
	v->report->lanes++;
	chain_check(v, &numbers);
	free(numbers.at);
	return true;
}

/* ---- sizes, for progress ---- */

static bool on_lane_size(void *arg, const char *name)
{
	struct verify *v = arg;
	char dir[LEDGER_PATH_BYTES], path[LEDGER_PATH_BYTES];
	struct numbers numbers;
	uint64_t size;

	if (!lane_dir_path(dir, v->ledger_dir, name) ||
	    numbers_list(v->os, dir, ".seg", &numbers, NULL) != OK)
		return true;
	for (size_t i = 0; i < numbers.n; i++) {
		int fd = segment_path(path, dir, numbers.at[i]) ? os_open(v->os, path, 0, 0)
								: -1; /* O_RDONLY */

		if (fd < 0)
			continue;
		if (os_size(v->os, fd, &size) == 0)
			v->all += size;
		(void)os_close(v->os, fd);
	}
	free(numbers.at);
	return true;
}

/* ---- the order ---- */

struct order_walk {
	struct merkle tree;
	uint64_t root_size; /* of order/root; UINT64_MAX: none */
	unsigned char root[LEDGER_DIGEST_BYTES];
};

static void lane_order_check(struct verify *v, const struct order_entry *e)
{
	struct lane_seen *l = NULL;

	for (size_t i = 0; i < v->lanes_n; i++)
		if (v->lanes[i].lane_id == e->ref.lane_id)
			l = &v->lanes[i];
	if (!l)
		return; /* its record could not be read: told already */
	if (e->seq != l->ordered + 1)
		problem(v, "order entry %llu: records %llu to %llu of lane %08x have no number",
			(unsigned long long)e->number, (unsigned long long)l->ordered + 1,
			(unsigned long long)e->seq - 1, e->ref.lane_id);
	l->ordered = e->seq;
	if (e->ref.segment > l->newest || (e->ref.segment == l->newest && e->ref.offset >= l->end))
		problem(v,
			"order entry %llu: its record (lane %08x, segment %u, byte %llu) lies "
			"behind the last valid "
			"one: the end of the segment is damaged; restore it from a backup",
			(unsigned long long)e->number, e->ref.lane_id, e->ref.segment,
			(unsigned long long)e->ref.offset);
}

static void entry_check(struct verify *v, struct order_walk *w, const struct order_entry *e)
{
	unsigned char leaf[LEDGER_DIGEST_BYTES];
	struct record r;
	struct fault why;

	if (ledger_read(v->reader, e->ref, &r, &why) != OK) {
		problem(v,
			"order entry %llu: its record cannot be read: %s; restore the segment from "
			"a backup",
			(unsigned long long)e->number, why.text);
	} else {
		order_leaf(&r, leaf);
		if (r.seq != e->seq || r.type != e->type || r.length != e->length ||
		    memcmp(leaf, e->leaf, sizeof leaf) != 0)
			problem(v,
				"order entry %llu: the record it names (lane %08x, segment %u, "
				"byte %llu) is not the "
				"one that was numbered",
				(unsigned long long)e->number, e->ref.lane_id, e->ref.segment,
				(unsigned long long)e->ref.offset);
	}
	lane_order_check(v, e);
	merkle_append(&w->tree, e->leaf);
	if (w->tree.size == w->root_size) {
		merkle_root(&w->tree, leaf);
		if (memcmp(leaf, w->root, sizeof leaf) != 0)
			problem(v,
				"the root over the first %llu entries is not the one in "
				"order/root: entries were "
				"changed",
				(unsigned long long)w->root_size);
	}
}

static void root_read(struct verify *v, struct order_walk *w)
{
	char path[LEDGER_PATH_BYTES];
	struct merkle unused;
	unsigned char *bytes;
	size_t n;
	enum rc rc;

	w->root_size = UINT64_MAX;
	(void)snprintf(path, sizeof path, "%.900s/order/root", v->ledger_dir);
	rc = file_load(v->os, path, false, &bytes, &n, NULL);
	if (rc == REFUSED)
		return; /* not written yet */
	if (rc != OK) {
		problem(v, "%s cannot be read", path);
		return;
	}
	if (!order_root_decode(span_of(bytes, n), &w->root_size, w->root, &unused)) {
		w->root_size = UINT64_MAX;
		problem(v,
			"%s is damaged; it is written again when it is removed and the sequencer "
			"is started",
			path);
	}
	free(bytes);
}

static void order_check(struct verify *v, struct order *o, struct order_walk *w)
{
	struct order_entry *entries = must_alloc(ENTRIES_AT_ONCE * sizeof *entries);
	uint64_t size = order_size(o), at = 0;
	struct fault why;
	size_t n = 0;

	while (at < size) {
		if (order_read(o, at, entries, ENTRIES_AT_ONCE, &n, &why) != OK || n == 0) {
			problem(v,
				"order entry %llu cannot be read; restore ledger/order from a "
				"backup",
				(unsigned long long)at);
			break;
		}
		for (size_t i = 0; i < n && at < size; i++, at++)
			entry_check(v, w, &entries[i]);
	}
	if (w->root_size != UINT64_MAX && w->root_size > size)
		problem(v, "order/root knows %llu entries, but only %llu are there",
			(unsigned long long)w->root_size, (unsigned long long)size);
	v->report->ordered = at;
	merkle_root(&w->tree, v->report->root);
	free(entries);
}

/* Opened before the lanes are read: what is numbered by then must be found in them. */
static struct order *order_begin(struct verify *v)
{
	struct order *o = NULL;
	struct fault why;
	enum rc rc = order_open(v->os, v->ledger_dir, false, &o, &why);

	if (rc == OK)
		return o;
	if (rc != LATER) /* there is one */
		problem(v, "the order cannot be opened: %s", why.text);
	return NULL;
}

enum rc ledger_verify(struct os *os, const char *ledger_dir,
		      void (*on_problem)(void *arg, const char *text),
		      void (*on_progress)(void *arg, uint64_t done, uint64_t all), void *arg,
		      struct ledger_report *out, struct fault *why)
{
	struct ledger_report report = {0};
	struct verify v = {
		.os = os,
		.ledger_dir = ledger_dir,
		.on_problem = on_problem,
		.on_progress = on_progress,
		.arg = arg,
		.report = &report,
		.why = why,
	};
	struct order_walk walk = {.root_size = 0};
	struct order *order = NULL;
	enum rc rc = ledger_reader_new(os, ledger_dir, &v.reader, why);

	if (rc == OK)
		rc = ledger_each_lane(os, ledger_dir, on_lane_size, &v, why);
	if (rc == OK) {
		root_read(&v,
			  &walk); /* first: it may name fewer entries than there are, never more */
		order = order_begin(&v);
		rc = ledger_each_lane(os, ledger_dir, on_lane, &v, why);
	}
	if (rc == OK)
		rc = v.rc;
	merkle_root(&walk.tree, report.root); /* of none */
	if (rc == OK && order)
		order_check(&v, order, &walk);
	order_close(order);
	ledger_reader_free(v.reader);
	free(v.lanes);
	if (rc == OK)
		*out = report;
	return rc;
}
