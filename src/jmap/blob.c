/*
 * Blobs: a message, an upload, or the decoded body of a part of one of these (RFC 8620 s6.2), parts of parts too. A part is
 * found by reading what it is in once (also how long it is); then that is opened anew and what stands before it passed over.
 */
#include <stdlib.h>

#include "base/must.h"
#include "jmap/email.h"
#include "mail/mime.h"
#include "mail/text.h"
#include "mail/transfer.h"

enum { CHUNK = 64 << 10, LEVELS = 4, UPLOAD_ID = 32 };

struct jmap_blob {
	const struct jmap_person *person;
	uint64_t bytes;
	struct buf type;
	uint64_t at; /* told so far, passed over included */

	struct mail_body *body;
	struct jmap_upload *upload;

	/* a part */
	struct jmap_blob *in; /* what it is in */
	struct buf in_id;
	int part;
	enum { BLOB_READY, BLOB_SEEKING, BLOB_OPENING } state;
	struct mime *mime;
	struct transfer transfer;
	struct buf decoded;
	uint64_t from, to; /* its bytes in what it is in; from moves on as they are read */
	uint64_t over;	   /* decoded bytes still to be passed over */
	enum mime_encoding encoding;
	bool is_begun; /* transfer is */
};

/* ---- what is read directly ---- */

static enum rc open_message(struct jmap_blob *b, struct span id, struct fault *why)
{
	const struct mail_store *store = &b->person->store;
	struct mail_email_id email;
	struct jmap_places places;
	enum rc rc;

	if (!jmap_email_of(id, &email))
		return REFUSED;
	rc = jmap_places_read(store, email, &places, why);
	jmap_places_fini(&places);
	if (rc == OK)
		rc = store->ops->body_open(store->arg, email.number, email.form, &b->body, why);
	if (rc != OK) {
		b->body = NULL;
		return rc;
	}
	b->bytes = store->ops->body_bytes(b->body);
	(void)buf_append(&b->type, SPAN_LIT("message/rfc822"));
	return OK;
}

static enum rc open_upload(struct jmap_blob *b, struct span id, struct fault *why)
{
	const struct jmap_person *p = b->person;
	enum rc rc = id.n == UPLOAD_ID && p->uploads
			     ? p->uploads->open(p->uploads_arg, id, &b->upload, why)
			     : REFUSED;

	if (rc != OK) {
		b->upload = NULL;
		return rc;
	}
	b->bytes = p->uploads->bytes(b->upload);
	return OK;
}

/* ---- parts ---- */

static void on_body(void *arg, int part, struct span bytes)
{
	struct jmap_blob *b = arg;

	if (part != b->part)
		return;
	if (!b->is_begun)
		transfer_init(&b->transfer, mime_part(b->mime, part)->encoding);
	b->is_begun = true;
	buf_clear(&b->decoded);
	(void)transfer_feed(&b->transfer, bytes, &b->decoded);
	b->bytes += b->decoded.n;
}

static enum rc open_part(struct jmap_blob *b, struct span in, struct fault *why)
{
	struct mime_ops ops = {.on_body = on_body, .arg = b};
	enum rc rc;

	(void)buf_append(&b->in_id, in);
	rc = jmap_blob_open(b->person, in, &b->in, why);
	if (rc != OK) {
		b->in = NULL;
		return rc;
	}
	b->mime = mime_new(&ops);
	b->state = BLOB_SEEKING;
	return b->mime ? OK : LATER;
}

/* The whole of it was read: does it have the part, and where? */
static enum rc found(struct jmap_blob *b, struct fault *why)
{
	const struct mime_part *m;

	mime_end(b->mime);
	if (b->part >= mime_parts(b->mime)) {
		fault_set(why, "there is no such part");
		return REFUSED;
	}
	m = mime_part(b->mime, b->part);
	if (m->kind == MIME_MULTIPART) {
		fault_set(why, "the part has no bytes of its own");
		return REFUSED;
	}
	b->from = m->body_at;
	b->to = m->end;
	b->encoding = m->kind == MIME_LEAF ? m->encoding : MIME_7BIT;
	buf_clear(&b->decoded);
	if (b->is_begun)
		(void)transfer_end(&b->transfer, &b->decoded);
	b->bytes += b->decoded.n;
	if (m->kind == MIME_MESSAGE)
		b->bytes = b->to - b->from;
	(void)text_safe(m->type, &b->type);
	(void)buf_append_byte(&b->type, '/');
	(void)text_safe(m->subtype, &b->type);
	return OK;
}

static enum rc reopen(struct jmap_blob *b, struct fault *why)
{
	enum rc rc;

	mime_free(b->mime);
	b->mime = NULL;
	jmap_blob_close(b->in);
	rc = jmap_blob_open(b->person, buf_span(&b->in_id), &b->in, why);
	if (rc != OK)
		b->in = NULL;
	b->state = BLOB_OPENING;
	b->is_begun = false;
	buf_clear(&b->decoded);
	return rc;
}

static enum rc seek(struct jmap_blob *b, struct fault *why)
{
	struct span piece;
	enum rc rc = jmap_blob_ready(b->in, why);

	for (size_t looked = 0; rc == OK && looked < JMAP_STEP_BYTES; looked += piece.n) {
		rc = jmap_blob_read(b->in, &piece, why);
		if (rc != OK)
			return rc;
		if (piece.n == 0) {
			rc = found(b, why);
			return rc == OK && (rc = reopen(b, why)) == OK ? MORE : rc;
		}
		mime_feed(b->mime, piece);
	}
	return rc == OK ? MORE : rc;
}

/* ---- opening ---- */

/* "G..." or "U..." and then "p3", "p5": the last part, and what it is in. */
static bool split(struct span id, struct span *out_in, int *out_part, unsigned *out_levels)
{
	ssize_t at = span_rchr(id, 'p');
	struct span digits;
	uint64_t part;

	*out_levels = 0;
	for (size_t i = 0; i < id.n; i++)
		*out_levels += id.p[i] == 'p';
	if (at < 0)
		return false;
	digits = span_from(id, (size_t)at + 1);
	if ((digits.n > 1 && digits.p[0] == '0') || !span_to_u64(digits, MIME_PARTS_LIMIT, &part))
		return false;
	*out_in = span_first(id, (size_t)at);
	*out_part = (int)part;
	return true;
}

static enum rc open_any(struct jmap_blob *b, struct span id, struct fault *why)
{
	struct span in;
	unsigned levels;

	fault_set(why, "there is no such blob");
	if (id.n < 2 || id.n > JMAP_ID_BYTES)
		return REFUSED;
	if (split(id, &in, &b->part, &levels))
		return levels <= LEVELS ? open_part(b, in, why) : REFUSED;
	if (id.p[0] == 'G')
		return open_message(b, span_from(id, 1), why);
	return id.p[0] == 'U' ? open_upload(b, span_from(id, 1), why) : REFUSED;
}

/* Parts within parts open each other: at most LEVELS deep. */
enum rc jmap_blob_open(const struct jmap_person *person, struct span id, struct jmap_blob **out,
		       struct fault *why)
{
	struct jmap_blob *b = must_alloc(sizeof *b);
	enum rc rc;

	b->person = person;
	rc = open_any(b, id, why);
	if (rc == OK)
		*out = b;
	else
		jmap_blob_close(b);
	return rc;
}

void jmap_blob_close(struct jmap_blob *b)
{
	if (!b)
		return;
	if (b->body)
		b->person->store.ops->body_close(b->body);
	if (b->upload)
		b->person->uploads->close(b->upload);
	jmap_blob_close(b->in);
	mime_free(b->mime);
	buf_fini(&b->type);
	buf_fini(&b->in_id);
	buf_fini(&b->decoded);
	free(b);
}

enum rc jmap_blob_ready(struct jmap_blob *b, struct fault *why)
{
	enum rc rc;

	switch (b->state) {
	case BLOB_READY:
		return OK;
	case BLOB_SEEKING:
		return seek(b, why);
	case BLOB_OPENING:
		rc = jmap_blob_ready(b->in, why);
		if (rc != OK)
			return rc;
		jmap_blob_skip(b->in, b->from);
		b->state = BLOB_READY;
		return OK;
	}
	return BROKEN;
}

uint64_t jmap_blob_bytes(const struct jmap_blob *b)
{
	return b->bytes;
}

struct span jmap_blob_type(const struct jmap_blob *b)
{
	return buf_span(&b->type);
}

/* ---- reading ---- */

static enum rc read_plain(struct jmap_blob *b, struct span *out, struct fault *why)
{
	enum rc rc;

	*out = SPAN_NONE;
	if (b->at >= b->bytes)
		return OK;
	rc = b->body ? b->person->store.ops->body_read(b->body, b->at, CHUNK, out, why)
		     : b->person->uploads->read(b->upload, b->at, CHUNK, out, why);
	if (rc == OK && out->n == 0)
		rc = BROKEN; /* shorter than it was said to be */
	if (rc == OK)
		b->at += out->n;
	return rc == REFUSED ? BROKEN : rc;
}

/* The next raw bytes of a part, decoded. */
static enum rc read_part(struct jmap_blob *b, struct span *out, struct fault *why)
{
	struct span piece;
	uint64_t over;
	enum rc rc;

	*out = SPAN_NONE;
	if (b->at >= b->bytes)
		return OK;
	rc = jmap_blob_read(b->in, &piece, why);
	if (rc != OK)
		return rc;
	if (piece.n == 0)
		return BROKEN;
	if (!b->is_begun)
		transfer_init(&b->transfer, b->encoding);
	b->is_begun = true;
	piece = span_first(piece, b->to - b->from < piece.n ? (size_t)(b->to - b->from) : piece.n);
	b->from += piece.n;
	buf_clear(&b->decoded);
	(void)transfer_feed(&b->transfer, piece, &b->decoded);
	if (b->from == b->to)
		(void)transfer_end(&b->transfer, &b->decoded);
	over = b->over < b->decoded.n ? b->over : b->decoded.n;
	b->over -= over;
	*out = span_from(buf_span(&b->decoded), (size_t)over);
	b->at += out->n;
	if (out->n)
		return OK;
	return b->from == b->to ? BROKEN : MORE;
}

enum rc jmap_blob_read(struct jmap_blob *b, struct span *out, struct fault *why)
{
	must(b->state == BLOB_READY);
	return b->in ? read_part(b, out, why) : read_plain(b, out, why);
}

void jmap_blob_skip(struct jmap_blob *b, uint64_t offset)
{
	if (offset > b->bytes)
		offset = b->bytes;
	if (offset <= b->at)
		return;
	if (b->in)
		b->over += offset - b->at;
	b->at = offset;
}
