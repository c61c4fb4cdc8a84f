#include "jmap/make.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

/* ---- blobs ---- */

static void close_blob(struct jmap_make *m)
{
	jmap_blob_close(m->blob);
	m->blob = NULL;
	m->blob_offset = 0;
}

/* OK: the blob is open, and stands at its beginning or where it was read to. */
static enum rc open_blob(struct jmap_make *m, size_t which, uint64_t offset, struct fault *why)
{
	enum rc rc;

	if (m->blob && (m->blob_at != which || m->blob_offset != offset))
		close_blob(m);
	if (!m->blob) {
		must(offset == 0);
		m->blob_at = which;
		rc = jmap_blob_open(m->c->j->person, m->blobs[which].id, &m->blob, why);
		if (rc != OK)
			return rc;
	}
	return jmap_blob_ready(m->blob, why);
}

static enum rc on_read(void *arg, size_t blob, uint64_t offset, size_t max, struct span *out,
		       struct fault *why)
{
	struct jmap_make *m = arg;
	enum rc rc = open_blob(m, blob, offset, why);

	(void)max; /* a blob's own pieces are small */
	if (rc == OK)
		rc = jmap_blob_read(m->blob, out, why);
	if (rc == OK)
		m->blob_offset += out->n;
	return rc;
}

/* One blob further. False: the rest later. */
static bool look_on(struct jmap_make *m)
{
	struct fault why = {0};
	enum rc rc;

	for (unsigned n = 0; m->blob_at < m->blobs_n; n++) {
		rc = n < 16 ? open_blob(m, m->blob_at, 0, &why) : MORE;
		if (rc == MORE)
			return false;
		if (rc == OK) {
			m->attached += jmap_blob_bytes(m->blob);
		} else if (rc == REFUSED) {
			(void)json_array_append_new(m->missing,
						    jmap_json_text(m->blobs[m->blob_at].id));
		} else {
			m->error = jmap_set_error("serverUnavailable", NULL,
						  "A file cannot be read at the moment");
		}
		close_blob(m);
		m->blob_at++;
	}
	return true;
}

static void judge_blobs(struct jmap_make *m)
{
	uint64_t most = m->c->j->service->limits.attachments_bytes;

	if (json_array_size(m->missing)) {
		m->error = jmap_set_error("blobNotFound", NULL, "There is no such file (any more)");
		(void)json_object_set(m->error, "notFound", m->missing);
	} else if (!m->is_import && m->attached > most) {
		m->error = jmap_set_error("tooLarge", NULL,
					  "The attachments are larger than is taken here");
	}
}

/* ---- the message ---- */

static uint64_t at_most(const struct jmap_make *m)
{
	uint64_t bytes = m->header.n + 1000;

	if (m->is_import)
		return m->attached;
	for (size_t i = 0; i < m->parts_n; i++)
		bytes += 4 * m->parts[i].text.n + m->parts[i].fields.n + 2000;
	return bytes + m->attached + m->attached / 2;
}

static enum jmap_step begin(struct jmap_make *m, struct jmap_set *s)
{
	const struct compose_source source = {on_read, m};
	unsigned char random[COMPOSE_RANDOM_BYTES];

	/* Another for each message of a request: one may enclose the one before. */
	memcpy(random, m->c->j->random, sizeof random);
	for (int i = 0; i < 8; i++)
		random[i] ^= (unsigned char)(m->c->j->last_ask >> (8 * i));
	if (!m->is_import)
		m->compose =
			compose_new(buf_span(&m->header), m->parts, m->parts_n, random, &source);
	m->blob_at = 0;
	m->at = MAKE_PIECES;
	return jmap_ask_message(m->c,
				&(struct jmap_message){.bytes_most = at_most(m),
						       .act = {.kind = MAIL_ACT_APPEND,
							       .box = m->boxes.ids[0],
							       .flags = m->keywords.flags,
							       .keywords = m->keywords.words,
							       .date_us = m->date_us,
							       .if_state = jmap_set_if_state(s)}});
}

/* Does it begin with a field? */
static void look_at_begin(struct jmap_make *m, struct span piece)
{
	for (size_t i = 0; i < piece.n && !m->has_begun_line; i++) {
		unsigned char c = piece.p[i];

		if (c == ':') {
			m->looks_like_mail = m->bytes + i > 0;
			m->has_begun_line = true;
		} else if (!ascii_is_graph(c) || m->bytes + i > 200) {
			m->has_begun_line = true;
		}
	}
}

static enum rc next_piece(struct jmap_make *m, struct span *out, struct fault *why)
{
	enum rc rc;

	if (!m->is_import)
		return compose_next(m->compose, out, why);
	rc = on_read(m, 0, m->blob_offset, 0, out, why);
	if (rc == OK)
		look_at_begin(m, *out);
	return rc;
}

static enum jmap_step drop(struct jmap_make *m, json_t *error)
{
	m->error = error;
	m->at = MAKE_OVER;
	return JMAP_MESSAGE_DROP;
}

/* The host has refused it while it came. */
static enum jmap_step refused(struct jmap_make *m, const struct jmap_set *s)
{
	m->at = MAKE_OVER;
	if (!m->c->got.is_sure)
		return jmap_set_lost(m->c, s);
	m->error = jmap_set_error(m->bytes ? "tooLarge" : "serverUnavailable", NULL, "%.*s",
				  SPAN_FMT(m->c->got.text));
	return JMAP_DONE;
}

static enum jmap_step pieces(struct jmap_make *m, const struct jmap_set *s)
{
	struct fault why = {0};
	struct span piece = SPAN_NONE;
	enum rc rc;

	if (m->c->got.kind != JMAP_GOT_NOTHING)
		return refused(m, s);
	rc = next_piece(m, &piece, &why);
	if (rc == MORE)
		return JMAP_AGAIN;
	if (rc != OK)
		return drop(m, jmap_set_error("serverUnavailable", NULL,
					      "A file cannot be read at the moment"));
	m->bytes += piece.n;
	if (piece.n) {
		m->c->piece = piece;
		return JMAP_MESSAGE_PIECE;
	}
	if (m->is_import && !m->looks_like_mail)
		return drop(m, jmap_set_error("invalidEmail", NULL, "The file is no message"));
	m->at = MAKE_STORED;
	return JMAP_MESSAGE_END;
}

/* ---- what became of it ---- */

static enum jmap_step over(struct jmap_make *m)
{
	m->at = MAKE_OVER;
	return JMAP_DONE;
}

static enum jmap_step place(struct jmap_make *m)
{
	struct mail_email_id *email = arena_alloc(&m->c->arena, sizeof *email);

	*email = (struct mail_email_id){m->number, m->form};
	m->at = MAKE_PLACED;
	return jmap_ask_act(m->c, &(struct mail_act){.kind = MAIL_ACT_EMAIL,
						     .emails = email,
						     .emails_n = 1,
						     .how = MAIL_HOW_ADD,
						     .into = m->boxes.ids + 1,
						     .into_n = m->boxes.n - 1});
}

static enum jmap_step stored(struct jmap_make *m, struct jmap_set *s)
{
	const struct mail_verdict *v = &m->c->got.verdict;

	if (m->c->got.kind == JMAP_GOT_LOST && m->c->got.is_sure) {
		m->error =
			jmap_set_error("serverUnavailable", NULL, "%.*s", SPAN_FMT(m->c->got.text));
		return over(m);
	}
	switch (jmap_set_judged(m->c, s)) {
	case OK:
		m->number = v->number;
		m->thread = v->thread;
		m->form = v->form;
		return m->boxes.n > 1 ? place(m) : over(m);
	case REFUSED:
		m->error = jmap_set_refusal(v);
		return over(m);
	case BROKEN:
	case MORE:
	case EXISTS:
	case LATER:
	case UNSURE:
		break;
	}
	return over(m);
}

static enum jmap_step placed(struct jmap_make *m, struct jmap_set *s)
{
	/* It is in the first of them, whatever became of the others. */
	if (jmap_set_judged(m->c, s) == REFUSED)
		(void)jmap_fail(m->c, "serverPartialFail", "%.*s",
				SPAN_FMT(m->c->got.verdict.text));
	return over(m);
}

enum jmap_step jmap_make_step(struct jmap_call *c, struct jmap_set *s, struct jmap_make *m)
{
	must(m->c == c);
	switch (m->at) {
	case MAKE_LOOK:
		if (!look_on(m))
			return JMAP_AGAIN;
		if (!m->error)
			judge_blobs(m);
		m->at = MAKE_BEGIN;
		return m->error ? over(m) : JMAP_AGAIN;
	case MAKE_BEGIN:
		return begin(m, s);
	case MAKE_PIECES:
		return pieces(m, s);
	case MAKE_STORED:
		return stored(m, s);
	case MAKE_PLACED:
		return placed(m, s);
	case MAKE_OVER:
		return JMAP_DONE;
	}
	return JMAP_DONE;
}

json_t *jmap_make_result(struct jmap_make *m, json_t **out_error)
{
	json_t *made, *id;

	if (m->error) {
		*out_error = m->error;
		m->error = NULL;
		return NULL;
	}
	made = json_object();
	id = jmap_email_id(m->number, m->form);
	(void)json_object_set_new(made, "blobId", json_sprintf("G%s", json_string_value(id)));
	(void)json_object_set_new(made, "id", id);
	(void)json_object_set_new(made, "threadId", jmap_thread_id(m->thread));
	(void)json_object_set_new(made, "size", json_integer((json_int_t)m->bytes));
	return made;
}

void jmap_make_free(struct jmap_make *m)
{
	if (!m)
		return;
	close_blob(m);
	compose_free(m->compose);
	for (size_t i = 0; m->fields && i < m->parts_cap; i++)
		buf_fini(&m->fields[i]);
	free(m->fields);
	free(m->parts);
	free(m->blobs);
	buf_fini(&m->header);
	json_decref(m->missing);
	json_decref(m->error);
	free(m);
}
