/*
 * Reading by position and walking a lane. Descriptors of a few segment files are kept; which
 * segment follows which is learned from the opening records, walking back from the newest (a
 * condemned segment that nobody names is passed over, L3).
 */
#include "ledger/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/must.h"

enum { READER_FILES = 16, READER_FIRST_READ_BYTES = 4096 };

struct reader_file {
	struct list link; /* most recently used first */
	uint32_t lane_id, segment;
	int fd; /* -1: unused */
};

/* One segment of the chain. */
struct chain_link {
	uint32_t segment;
	uint64_t end; /* as its successor says; 0 for the newest */
	uint64_t nonce;
};

struct reader_lane {
	struct list link;
	uint32_t id;
	char name[LEDGER_LANE_NAME_BYTES];
	struct chain_link *chain; /* ascending */
	size_t chain_n;
};

struct ledger_reader {
	struct os *os;
	char dir[LEDGER_PATH_BYTES];
	struct reader_file files[READER_FILES];
	struct list recent;
	struct list lanes;
	struct buf meta;
};

struct each_lane {
	bool (*on_lane)(void *arg, const char *name);
	void *arg;
};

static bool on_entry(void *arg, const char *name)
{
	struct each_lane *e = arg;

	if (strncmp(name, "lane-", 5) != 0 || !lane_name_is_good(name + 5))
		return true;
	return e->on_lane(e->arg, name + 5);
}

enum rc ledger_each_lane(struct os *os, const char *ledger_dir,
			 bool (*on_lane)(void *arg, const char *name), void *arg, struct fault *why)
{
	struct each_lane e = {on_lane, arg};
	enum rc rc;

	if (os_list_dir(os, ledger_dir, on_entry, &e) == 0)
		return OK;
	rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);
	fault_sys(why, "list %s", ledger_dir);
	return rc;
}

enum rc ledger_reader_new(struct os *os, const char *ledger_dir, struct ledger_reader **out,
			  struct fault *why)
{
	struct ledger_reader *r;

	if (strlen(ledger_dir) > LEDGER_PATH_BYTES - 100) {
		fault_set(why, "the path %s is too long", ledger_dir);
		return REFUSED;
	}
	r = must_alloc(sizeof *r);
	r->os = os;
	(void)snprintf(r->dir, sizeof r->dir, "%s", ledger_dir);
	list_init(&r->recent);
	list_init(&r->lanes);
	for (size_t i = 0; i < READER_FILES; i++) {
		r->files[i].fd = -1;
		list_append(&r->recent, &r->files[i].link);
	}
	buf_init(&r->meta, 0);
	*out = r;
	return OK;
}

void ledger_reader_free(struct ledger_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < READER_FILES; i++)
		if (r->files[i].fd >= 0)
			(void)os_close(r->os, r->files[i].fd);
	LIST_EACH_SAFE(at, &r->lanes)
	{
		struct reader_lane *l = LIST_ENTRY(at, struct reader_lane, link);

		list_remove(at);
		free(l->chain);
		free(l);
	}
	buf_fini(&r->meta);
	free(r);
}

/* ---- lanes and files ---- */

static struct reader_lane *lane_known(const struct ledger_reader *r, uint32_t id)
{
	LIST_EACH(at, &r->lanes)
	{
		struct reader_lane *l = LIST_ENTRY(at, struct reader_lane, link);

		if (l->id == id)
			return l;
	}
	return NULL;
}

const char *ledger_reader_lane(const struct ledger_reader *r, uint32_t lane_id)
{
	const struct reader_lane *l = lane_known(r, lane_id);

	return l ? l->name : "";
}

static bool on_lane_learn(void *arg, const char *name)
{
	struct ledger_reader *r = arg;
	struct reader_lane *l;

	if (lane_known(r, lane_id_of(name)))
		return true;
	l = must_alloc(sizeof *l);
	l->id = lane_id_of(name);
	(void)snprintf(l->name, sizeof l->name, "%s", name);
	list_append(&r->lanes, &l->link);
	return true;
}

void ledger_reader_know(struct ledger_reader *r, const char *lane)
{
	(void)on_lane_learn(r, lane);
}

static enum rc lane_by_id(struct ledger_reader *r, uint32_t id, struct reader_lane **out,
			  struct fault *why)
{
	struct reader_lane *l = lane_known(r, id);
	enum rc rc;

	if (!l) {
		rc = ledger_each_lane(r->os, r->dir, on_lane_learn, r, why);
		if (rc != OK)
			return rc;
		l = lane_known(r, id);
	}
	if (!l) {
		fault_set(why, "there is no lane with the number %08x in %s", id, r->dir);
		return REFUSED;
	}
	*out = l;
	return OK;
}

static enum rc file_of(struct ledger_reader *r, uint32_t lane_id, uint32_t segment, int *out_fd,
		       struct fault *why)
{
	struct reader_file *f;
	struct reader_lane *l;
	char dir[LEDGER_PATH_BYTES], path[LEDGER_PATH_BYTES];
	enum rc rc;
	int fd;

	LIST_EACH(at, &r->recent)
	{
		f = LIST_ENTRY(at, struct reader_file, link);
		if (f->fd >= 0 && f->lane_id == lane_id && f->segment == segment)
			goto found;
	}
	rc = lane_by_id(r, lane_id, &l, why);
	if (rc != OK)
		return rc;
	if (!lane_dir_path(dir, r->dir, l->name) || !segment_path(path, dir, segment)) {
		fault_set(why, "the path of lane %s is too long", l->name);
		return REFUSED;
	}
	fd = os_open(r->os, path, O_RDONLY, 0);
	if (fd < 0) {
		rc = errno == ENOENT ? REFUSED : rc_of_errno_disk(errno);
		fault_sys(why, "open %s", path);
		return rc;
	}
	f = LIST_ENTRY(r->recent.prev, struct reader_file, link);
	if (f->fd >= 0)
		(void)os_close(r->os, f->fd);
	*f = (struct reader_file){
		.link = f->link, .lane_id = lane_id, .segment = segment, .fd = fd};
found:
	list_remove(&f->link);
	f->link.next = r->recent.next; /* to the front */
	f->link.prev = &r->recent;
	r->recent.next->prev = &f->link;
	r->recent.next = &f->link;
	*out_fd = f->fd;
	return OK;
}

/* ---- one record ---- */

static enum rc read_at(struct ledger_reader *r, struct record_ref ref, int *out_fd,
		       unsigned char *out, size_t want, size_t *out_n, struct fault *why)
{
	enum rc rc = file_of(r, ref.lane_id, ref.segment, out_fd, why);
	ssize_t got;

	if (rc != OK)
		return rc;
	got = os_read_all(r->os, *out_fd, out, want, ref.offset);
	if (got < 0) {
		rc = rc_of_errno_disk(errno);
		fault_sys(why, "read segment %u at %llu", ref.segment,
			  (unsigned long long)ref.offset);
		return rc;
	}
	*out_n = (size_t)got;
	return OK;
}

static enum rc no_record(struct record_ref ref, const char *what, struct fault *why)
{
	fault_set(why, "%s in lane %08x segment %u at %llu", what, ref.lane_id, ref.segment,
		  (unsigned long long)ref.offset);
	return REFUSED;
}

/* Header and meta; the meta lies in r->meta. */
static enum rc header_read(struct ledger_reader *r, struct record_ref ref,
			   struct record_header *out, struct fault *why)
{
	unsigned char first[READER_FIRST_READ_BYTES];
	struct record_header h;
	size_t n, have;
	int fd;
	enum rc rc = read_at(r, ref, &fd, first, sizeof first, &n, why);

	if (rc != OK)
		return rc;
	if (n < RECORD_HEAD_BYTES || !record_decode(first, &h))
		return no_record(ref, "no valid record", why);
	if (h.lane_id != ref.lane_id || h.segment != ref.segment)
		return no_record(ref, "a record of another place", why);
	buf_clear(&r->meta);
	have = n - RECORD_HEAD_BYTES < h.meta_len ? n - RECORD_HEAD_BYTES : h.meta_len;
	(void)buf_append(&r->meta, span_of(first + RECORD_HEAD_BYTES, have));
	if (have < h.meta_len) {
		ssize_t got;

		must(buf_reserve(&r->meta, h.meta_len - have));
		got = os_read_all(r->os, fd, r->meta.p + have, h.meta_len - have,
				  ref.offset + RECORD_HEAD_BYTES + have);
		if (got < 0) {
			rc = rc_of_errno_disk(errno);
			fault_sys(why, "read segment %u at %llu", ref.segment,
				  (unsigned long long)ref.offset);
			return rc;
		}
		r->meta.n = have + (size_t)got;
	}
	if (r->meta.n != h.meta_len || crc32c(0, buf_span(&r->meta)) != h.meta_crc)
		return no_record(ref, "a damaged record", why);
	*out = h;
	return OK;
}

enum rc ledger_read(struct ledger_reader *r, struct record_ref ref, struct record *out,
		    struct fault *why)
{
	struct record_header h;
	enum rc rc = header_read(r, ref, &h, why);

	if (rc == OK)
		record_from_header(&h, ref.offset, buf_span(&r->meta), out);
	return rc;
}

/* ---- the chain of segments ---- */

static struct chain_link *chain_at(struct reader_lane *l, uint32_t segment)
{
	for (size_t i = l->chain_n; i > 0; i--)
		if (l->chain[i - 1].segment == segment)
			return &l->chain[i - 1];
	return NULL;
}

/* What the first record of a segment says. REFUSED: it cannot be read. */
static enum rc opening_of(struct ledger_reader *r, uint32_t lane_id, uint32_t segment,
			  struct record_opening *out, uint64_t *out_nonce, struct fault *why)
{
	struct record_header h;
	struct record_ref ref = {lane_id, segment, 0};
	enum rc rc = header_read(r, ref, &h, why);

	if (rc != OK)
		return rc;
	if ((h.type != RECORD_OPEN && h.type != RECORD_ABANDON) ||
	    !opening_decode(buf_span(&r->meta), out))
		return no_record(ref, "no opening record", why);
	*out_nonce = h.nonce;
	return OK;
}

/* With a damaged opening: the nearest older file is taken for its predecessor, with an end nobody
 * named. */
static enum rc guess_prev(struct ledger_reader *r, struct reader_lane *l, uint32_t segment,
			  uint32_t *out, struct fault *why)
{
	struct numbers numbers;
	char dir[LEDGER_PATH_BYTES];
	enum rc rc;

	*out = 0;
	if (!lane_dir_path(dir, r->dir, l->name))
		return REFUSED;
	rc = numbers_list(r->os, dir, ".seg", &numbers, why);
	if (rc != OK)
		return rc;
	for (size_t i = 0; i < numbers.n; i++)
		if (numbers.at[i] < segment)
			*out = numbers.at[i];
	free(numbers.at);
	return OK;
}

/* Makes the chain end with `newest`, walking back to what is known. */
static enum rc chain_learn(struct ledger_reader *r, struct reader_lane *l, uint32_t newest,
			   struct fault *why)
{
	struct chain_link *back = NULL; /* newest first */
	size_t back_n = 0, keep = 0;
	uint32_t segment = newest;
	uint64_t end = 0;
	enum rc rc = OK;

	while (segment != 0) {
		struct record_opening opening = {0};
		uint64_t nonce = 0;
		struct chain_link *known = chain_at(l, segment);

		if (known) {
			known->end = end;
			keep = (size_t)(known - l->chain) + 1;
			break;
		}
		rc = opening_of(r, l->id, segment, &opening, &nonce, why);
		if (rc == REFUSED) {
			rc = guess_prev(r, l, segment, &opening.prev_segment, why);
			opening.prev_end = UINT64_MAX;
		}
		if (rc != OK)
			goto out;
		if ((back_n & (back_n - 1)) == 0) {
			back = realloc(back, (back_n ? 2 * back_n : 1) * sizeof *back);
			must(back != NULL);
		}
		back[back_n++] = (struct chain_link){segment, end, nonce};
		end = opening.prev_end;
		if (opening.prev_segment >= segment) { /* only ever older ones: no circles */
			rc = BROKEN;
			fault_set(why, "segment %u of lane %s names a later one as its predecessor",
				  segment, l->name);
			goto out;
		}
		segment = opening.prev_segment;
	}
	if (back_n > 0) {
		l->chain = realloc(l->chain, (keep + back_n) * sizeof *l->chain);
		must(l->chain != NULL);
	}
	for (size_t i = 0; i < back_n; i++)
		l->chain[keep + i] = back[back_n - 1 - i];
	l->chain_n = keep + back_n;
out:
	free(back);
	return rc;
}

static uint64_t link_end(const struct reader_lane *l, const struct chain_link *link,
			 const struct lane_position *until)
{
	if (link->segment == until->segment)
		return until->offset;
	return link < l->chain + l->chain_n - 1 ? link->end : 0;
}

/* ---- walking ---- */

/* The next group start in this segment behind damage; MORE: none before the end. */
static enum rc resync(struct ledger_reader *r, struct record_ref hole,
		      const struct chain_link *link, uint64_t end, uint64_t seq, uint64_t *out_at,
		      struct fault *why)
{
	enum { PIECE = 256 << 10 };
	unsigned char *piece = must_alloc(PIECE + RECORD_HEAD_BYTES);
	struct record_ref ref = hole;
	enum rc rc = MORE;

	ref.offset += RECORD_ALIGN_BYTES;
	while (rc == MORE && ref.offset < end) {
		struct record_header h;
		size_t n;
		int fd;

		rc = read_at(r, ref, &fd, piece, PIECE + RECORD_HEAD_BYTES, &n, why);
		if (rc != OK)
			break;
		rc = MORE;
		for (size_t i = 0; i < PIECE && i + RECORD_HEAD_BYTES <= n; i += RECORD_ALIGN_BYTES)
			if (record_decode(piece + i, &h) && h.lane_id == ref.lane_id &&
			    h.segment == ref.segment && (h.flags & RECORD_GROUP_START) &&
			    h.seq >= seq && (link->nonce == 0 || h.nonce == link->nonce) &&
			    ref.offset + i < end) {
				*out_at = ref.offset + i;
				rc = OK;
				break;
			}
		if (n < PIECE)
			break;
		ref.offset += PIECE;
	}
	free(piece);
	return rc;
}

/* How far the record after this one is, at least. A record that has become unreadable: the next position to try. */
static enum rc step_over(struct ledger_reader *r, const struct record *after, uint32_t *out,
			 struct fault *why)
{
	struct record_header h;
	enum rc rc;

	if (after->span) {
		*out = after->span;
		return OK;
	}
	rc = header_read(r, after->ref, &h, why);
	if (rc == OK)
		*out = h.span;
	if (rc == REFUSED)
		*out = RECORD_ALIGN_BYTES;
	return rc == REFUSED ? OK : rc;
}

/* The segment to go on in: the record's own, or the first behind it when that one does not count any more. */
static struct chain_link *link_of(struct reader_lane *l, uint32_t segment)
{
	struct chain_link *link = chain_at(l, segment);

	for (size_t i = 0; !link && i < l->chain_n; i++)
		if (l->chain[i].segment > segment)
			return &l->chain[i];
	return link;
}

/* The record at ref, or the next one in this segment behind damage. MORE: none before the end. */
static enum rc next_in_segment(struct ledger_reader *r, const struct chain_link *link,
			       struct record_ref *ref, uint64_t end, uint64_t seq,
			       uint64_t *skipped, struct record *out, struct fault *why)
{
	while (ref->offset < end) {
		struct record_header h;
		uint64_t at = 0;
		enum rc rc = header_read(r, *ref, &h, why);

		if (rc == OK) {
			record_from_header(&h, ref->offset, buf_span(&r->meta), out);
			out->skipped_bytes = *skipped;
			return OK;
		}
		if (rc == REFUSED)
			rc = resync(r, *ref, link, end, seq, &at, why);
		if (rc != OK && rc != MORE)
			return rc;
		if (rc == MORE)
			at = end == UINT64_MAX ? ref->offset : end;
		*skipped += at - ref->offset;
		ref->offset = at;
		if (rc == MORE)
			return MORE;
	}
	return MORE;
}

enum rc ledger_next(struct ledger_reader *r, const struct record *after,
		    const struct lane_position *until, struct record *out, struct fault *why)
{
	struct record_ref ref = after->ref;
	uint64_t skipped = 0;
	struct chain_link *link;
	struct reader_lane *l;
	uint32_t step = 0;
	enum rc rc = lane_by_id(r, ref.lane_id, &l, why);

	if (rc != OK)
		return rc;
	if (until->segment == 0)
		return MORE;
	if (l->chain_n == 0 || l->chain[l->chain_n - 1].segment != until->segment)
		rc = chain_learn(r, l, until->segment, why);
	if (rc != OK)
		return rc;
	link = link_of(l, ref.segment);
	if (!link)
		return no_record(ref, "a record of a segment that does not count", why);
	if (link->segment != ref.segment)
		ref = (struct record_ref){ref.lane_id, link->segment, 0};
	else if (ref.offset < link_end(l, link, until))
		rc = step_over(r, after, &step, why);
	if (rc != OK)
		return rc;
	for (ref.offset += step;; link++) {
		uint64_t least = link->segment == after->ref.segment ? after->seq + 1 : 0;

		rc = next_in_segment(r, link, &ref, link_end(l, link, until), least, &skipped, out,
				     why);
		if (rc != MORE || link->segment == until->segment)
			return rc;
		ref = (struct record_ref){ref.lane_id, link[1].segment, 0};
	}
}

/* ---- bodies ---- */

struct ledger_body {
	struct ledger_reader *reader;
	struct buf whole; /* body of the record, or its table of chunks */
	bool is_chunked;
	uint32_t lane_id;
	size_t at;
	struct buf piece;
};

/* The payload of one record, checked. */
static enum rc payload_read(struct ledger_reader *r, struct record_ref ref,
			    struct record_header *out_header, struct buf *out, struct fault *why)
{
	unsigned char digest[LEDGER_DIGEST_BYTES];
	struct record_header h;
	enum rc rc = header_read(r, ref, &h, why);
	struct record_ref at = ref;
	size_t n;
	int fd;

	if (rc != OK)
		return rc;
	at.offset += RECORD_HEAD_BYTES + h.meta_len;
	buf_clear(out);
	if (h.body_len > SEGMENT_LIMIT_BYTES || !buf_reserve(out, h.body_len)) {
		fault_set(why, "no memory for a record of %u bytes", h.body_len);
		return LATER;
	}
	rc = read_at(r, at, &fd, out->p, h.body_len, &n, why);
	if (rc != OK)
		return rc;
	out->n = n;
	record_digest(&h, buf_span(&r->meta), buf_span(out), digest);
	if (n != h.body_len || memcmp(digest, h.digest, sizeof digest) != 0) {
		(void)no_record(ref, "a damaged record", why);
		return BROKEN;
	}
	*out_header = h;
	return OK;
}

enum rc ledger_body_open(struct ledger_reader *r, struct record_ref ref, struct ledger_body **out,
			 struct fault *why)
{
	struct ledger_body *b = must_alloc(sizeof *b);
	struct record_header h;
	enum rc rc;

	buf_init(&b->whole, 0);
	buf_init(&b->piece, 0);
	b->reader = r;
	b->lane_id = ref.lane_id;
	rc = payload_read(r, ref, &h, &b->whole, why);
	if (rc != OK) {
		ledger_body_close(b);
		return rc;
	}
	b->is_chunked = h.flags & RECORD_CHUNKED;
	*out = b;
	return OK;
}

static enum rc chunk_next(struct ledger_body *b, struct span *out, struct fault *why)
{
	struct chunk_entry entry;
	struct record_header h;
	struct record_ref ref;
	enum rc rc;

	chunk_entry_decode(b->whole.p + b->at, &entry);
	ref = (struct record_ref){b->lane_id, entry.segment, entry.offset};
	rc = payload_read(b->reader, ref, &h, &b->piece, why);
	if (rc == REFUSED)
		return BROKEN; /* the message says there is one */
	if (rc != OK)
		return rc;
	if (h.type != RECORD_CHUNK || memcmp(h.digest, entry.digest, sizeof entry.digest) != 0) {
		(void)no_record(ref, "another record than the message's chunk", why);
		return BROKEN;
	}
	b->at += CHUNK_ENTRY_BYTES;
	*out = buf_span(&b->piece);
	return OK;
}

enum rc ledger_body_next(struct ledger_body *b, struct span *out, struct fault *why)
{
	if (b->at >= b->whole.n)
		return MORE;
	if (b->is_chunked)
		return chunk_next(b, out, why);
	*out = span_first(span_from(buf_span(&b->whole), b->at), LEDGER_CHUNK_BYTES);
	b->at += out->n;
	return OK;
}

uint64_t ledger_body_seek(struct ledger_body *b, uint64_t offset)
{
	struct chunk_entry entry;
	uint64_t at = 0;

	if (!b->is_chunked) {
		at = offset < b->whole.n ? offset - offset % LEDGER_CHUNK_BYTES : b->whole.n;
		b->at = (size_t)at;
		return at;
	}
	for (b->at = 0; b->at < b->whole.n; b->at += CHUNK_ENTRY_BYTES) {
		chunk_entry_decode(b->whole.p + b->at, &entry);
		if (offset < at + entry.body_len)
			break;
		at += entry.body_len;
	}
	return at;
}

void ledger_body_close(struct ledger_body *b)
{
	if (!b)
		return;
	buf_fini(&b->whole);
	buf_fini(&b->piece);
	free(b);
}
