/*
 * The message as it is pulled: header, then each part's header and body, with delimiters between. One state says what comes
 * next; a body is given in pieces of COMPOSE_PIECE_BYTES.
 */
#include "mail/compose.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/must.h"
#include "mail/compose_internal.h"

enum state {
	AT_PART, /* delimiters before a part, then its fields */
	AT_SCAN, /* an enclosed message is looked through first */
	AT_HEAD,
	AT_TEXT,
	AT_FILE,
	AT_END, /* the delimiters behind the last part */
	AT_DONE,
};

struct compose {
	struct span header;
	const struct compose_part *parts;
	size_t n, at;
	char boundary[2 * COMPOSE_RANDOM_BYTES + 1];
	struct compose_source source;
	enum state state;
	enum rc rc; /* of a read that failed */
	struct buf out;

	/* of the present part */
	enum compose_encoding encoding;
	uint64_t offset;
	bool is_file; /* no message after all: its lines cannot be sent as they are */
	struct compose_texter text;
	struct compose_base64 base64;
	struct compose_scan scan;
};

struct compose *compose_new(struct span header, const struct compose_part *parts, size_t n,
			    const unsigned char random[COMPOSE_RANDOM_BYTES],
			    const struct compose_source *source)
{
	struct compose *c = must_alloc(sizeof *c);

	must(n > 0 && parts[0].parent < 0);
	c->header = header;
	c->parts = parts;
	c->n = n;
	c->source = *source;
	hex_encode(c->boundary, span_of(random, COMPOSE_RANDOM_BYTES));
	return c;
}

void compose_free(struct compose *c)
{
	if (!c)
		return;
	compose_texter_fini(&c->text);
	buf_fini(&c->out);
	free(c);
}

static const struct compose_part *part(const struct compose *c)
{
	return &c->parts[c->at];
}

static bool is_message(const struct compose_part *p)
{
	return p->what == COMPOSE_BLOB && span_eq_nocase(p->type, SPAN_LIT("message/rfc822"));
}

/* ---- delimiters ---- */

static void delimit(struct compose *c, int multipart, const char *behind)
{
	(void)buf_printf(&c->out, "--=_%d_%s%s\r\n", multipart, c->boundary, behind);
}

/* A message of one text that ends with a line end needs no other. */
static bool ends_with_line(const struct compose *c, int at)
{
	const struct compose_part *p = &c->parts[at];

	return p->parent < 0 && p->what == COMPOSE_TEXT && c->encoding != COMPOSE_BASE64 &&
	       p->text.n && (p->text.p[p->text.n - 1] == '\n' || p->text.p[p->text.n - 1] == '\r');
}

/* The parts from `from` up to and without `to`, an ancestor of it (or none), end here. */
static void close_parts(struct compose *c, int from, int to)
{
	for (int at = from; at != to; at = c->parts[at].parent) {
		if (c->parts[at].what == COMPOSE_MULTIPART)
			delimit(c, at, "--");
		else if (!ends_with_line(c, at))
			buf_append(&c->out, SPAN_LIT("\r\n"));
	}
}

static void open_part(struct compose *c)
{
	if (c->at == 0) {
		buf_append(&c->out, c->header);
		buf_append(&c->out, SPAN_LIT("MIME-Version: 1.0\r\n"));
		return;
	}
	if (part(c)->parent != (int)c->at - 1)
		close_parts(c, (int)c->at - 1, part(c)->parent);
	delimit(c, part(c)->parent, "");
}

/* ---- the fields of a part ---- */

static void put_type(struct compose *c)
{
	const struct compose_part *p = part(c);

	(void)buf_printf(&c->out, "Content-Type: %.*s",
			 SPAN_FMT(c->is_file ? SPAN_LIT("application/octet-stream") : p->type));
	if (p->what == COMPOSE_MULTIPART)
		(void)buf_printf(&c->out, ";\r\n\tboundary=\"=_%zu_%s\"", c->at, c->boundary);
	else if (p->what == COMPOSE_TEXT)
		(void)buf_printf(&c->out, "; charset=%s",
				 c->encoding == COMPOSE_7BIT ? "us-ascii" : "utf-8");
	else
		compose_param(&c->out, "charset", p->charset);
	if (!p->disposition.n)
		compose_param(&c->out, "name", p->name);
	buf_append(&c->out, SPAN_LIT("\r\n"));
}

static void put_head(struct compose *c)
{
	const struct compose_part *p = part(c);

	put_type(c);
	if (p->what != COMPOSE_MULTIPART)
		(void)buf_printf(&c->out, "Content-Transfer-Encoding: %s\r\n",
				 compose_encoding_name(c->encoding));
	if (p->disposition.n) {
		(void)buf_printf(&c->out, "Content-Disposition: %.*s", SPAN_FMT(p->disposition));
		compose_param(&c->out, "filename", p->name);
		buf_append(&c->out, SPAN_LIT("\r\n"));
	}
	if (p->cid.n)
		(void)buf_printf(&c->out, "Content-ID: <%.*s>\r\n", SPAN_FMT(p->cid));
	buf_append(&c->out, p->fields);
	buf_append(&c->out, SPAN_LIT("\r\n"));
}

/* ---- states ---- */

static void next_part(struct compose *c)
{
	c->at++;
	c->state = c->at < c->n ? AT_PART : AT_END;
}

static void begin_part(struct compose *c)
{
	const struct compose_part *p = part(c);

	c->offset = 0;
	c->is_file = false;
	c->base64 = (struct compose_base64){0};
	c->scan = (struct compose_scan){0};
	compose_texter_fini(&c->text);
	c->encoding = p->what == COMPOSE_TEXT ? compose_suits(p->text) : COMPOSE_BASE64;
	c->text = (struct compose_texter){.encoding = c->encoding, .rest = p->text};
	open_part(c);
	c->state = is_message(p) ? AT_SCAN : AT_HEAD;
}

static void end_head(struct compose *c)
{
	put_head(c);
	switch (part(c)->what) {
	case COMPOSE_MULTIPART:
		next_part(c);
		break;
	case COMPOSE_TEXT:
		c->state = AT_TEXT;
		break;
	case COMPOSE_BLOB:
		c->state = AT_FILE;
		break;
	}
}

static enum rc read_on(struct compose *c, struct span *out, struct fault *why)
{
	enum rc rc = c->source.on_read(c->source.arg, part(c)->blob, c->offset,
				       COMPOSE_PIECE_BYTES / 2, out, why);

	if (rc == OK)
		c->offset += out->n;
	return rc;
}

static enum rc scan_on(struct compose *c, struct fault *why)
{
	struct span bytes;
	enum rc rc = read_on(c, &bytes, why);

	if (rc != OK)
		return rc;
	if (bytes.n && !c->scan.is_unfit) {
		compose_scan_feed(&c->scan, bytes);
		return OK;
	}
	compose_scan_end(&c->scan);
	c->is_file = c->scan.is_unfit;
	c->encoding = c->is_file ? COMPOSE_BASE64 : c->scan.is_8bit ? COMPOSE_8BIT : COMPOSE_7BIT;
	c->offset = 0;
	c->state = AT_HEAD;
	return OK;
}

static enum rc file_on(struct compose *c, struct fault *why)
{
	struct span bytes;
	enum rc rc = read_on(c, &bytes, why);

	if (rc != OK)
		return rc;
	if (c->encoding != COMPOSE_BASE64)
		buf_append(&c->out, bytes);
	else if (bytes.n)
		compose_base64_feed(&c->base64, bytes, &c->out);
	else
		compose_base64_end(&c->base64, &c->out);
	if (bytes.n == 0)
		next_part(c);
	return OK;
}

static enum rc step(struct compose *c, struct fault *why)
{
	switch (c->state) {
	case AT_PART:
		begin_part(c);
		return OK;
	case AT_SCAN:
		return scan_on(c, why);
	case AT_HEAD:
		end_head(c);
		return OK;
	case AT_TEXT:
		if (!compose_texter_give(&c->text, COMPOSE_PIECE_BYTES, &c->out))
			next_part(c);
		return OK;
	case AT_FILE:
		return file_on(c, why);
	case AT_END:
		close_parts(c, (int)c->n - 1, -1);
		c->state = AT_DONE;
		return OK;
	case AT_DONE:
		return OK;
	}
	return BROKEN;
}

enum rc compose_next(struct compose *c, struct span *out, struct fault *why)
{
	*out = SPAN_NONE;
	if (c->rc != OK)
		return c->rc;
	buf_clear(&c->out);
	do {
		bool was_scan = c->state == AT_SCAN;
		enum rc rc = step(c, why);

		if (rc != OK && rc != MORE)
			return c->rc = rc;
		if (rc == MORE || (was_scan && c->state == AT_SCAN))
			break;
	} while (c->out.n < COMPOSE_PIECE_BYTES / 2 && c->state != AT_DONE);
	*out = buf_span(&c->out);
	return out->n == 0 && c->state != AT_DONE ? MORE : OK;
}
