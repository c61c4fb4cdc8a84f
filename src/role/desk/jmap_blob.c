/*
 * GET /jmap/download/{accountId}/{blobId}/{name}?type={type} (RFC 8620 s6.2). Always a file to be saved, in a sandbox of
 * its own should somebody show it all the same. A blob never changes, so its id is its entity tag; but a browser asks each time
 * whether it may have it still: the next person at it is another.
 */
#include <stdlib.h>

#include "base/must.h"
#include "mail/compose.h"
#include "role/desk/jmap.h"

struct download {
	struct desk_person person;
	struct jmap_blob *blob;
	uint64_t left; /* to be sent; when has_begun */
	bool has_begun, is_ended;
	struct span id, name, type;
};

static void not_found(struct http_exchange *x)
{
	exchange_problem(x, 404, "not-found", "There is no such file");
}

/* ---- the request ---- */

static struct span decoded(struct http_exchange *x, struct span text, bool is_query)
{
	struct buf out;
	struct span kept = SPAN_NONE;

	buf_init(&out, 2000);
	if (http_decode(&out, text, is_query))
		kept = arena_span(exchange_arena(x), buf_span(&out));
	buf_fini(&out);
	return kept;
}

/* False: it cannot be ours, or somebody else's. */
static bool read_path(struct http_exchange *x, const struct http_ask *ask, struct download *down)
{
	struct span rest = ask->rest, account = span_cut(&rest, '/'), type;
	uint64_t id;

	if (!jmap_account_of(account, &id) || id != down->person.jmap.account)
		return false;
	down->id = decoded(x, span_cut(&rest, '/'), false);
	down->name = decoded(x, rest, false);
	if (http_query_find(ask->query, "type", &type))
		down->type = decoded(x, type, true);
	return down->id.n > 0;
}

void desk_download(struct http_exchange *x, const struct http_ask *ask)
{
	struct download *down = must_alloc(sizeof *down);
	struct fault why = {0};
	enum rc rc;

	if (!desk_person_fill(x, &down->person)) {
		free(down);
		return;
	}
	rc = read_path(x, ask, down)
		     ? jmap_blob_open(&down->person.jmap, down->id, &down->blob, &why)
		     : REFUSED;
	if (rc == OK) {
		exchange_set_arg(x, down);
		desk_download_room(x);
		return;
	}
	free(down);
	if (rc == REFUSED)
		not_found(x);
	else
		exchange_problem(x, 503, "unavailable", "The file cannot be read at the moment");
}

/* ---- the response ---- */

static struct span type_of(const struct download *down)
{
	if (compose_is_type(down->type))
		return down->type;
	if (compose_is_type(jmap_blob_type(down->blob)))
		return jmap_blob_type(down->blob);
	return SPAN_LIT("application/octet-stream");
}

static struct span text_of(struct http_exchange *x, const struct buf *b)
{
	return arena_span(exchange_arena(x), buf_span(b));
}

static void begin(struct http_exchange *x, struct download *down)
{
	uint64_t size = jmap_blob_bytes(down->blob);
	struct http_range range = {0, size};
	struct buf tag = {0}, disposition = {0}, content_range = {0};
	struct http_field fields[6];
	size_t n = 0;
	enum rc rc = http_range_parse(exchange_field(x, "Range"), size, &range);
	unsigned status = rc == OK ? 206 : rc == REFUSED ? 416 : 200;

	(void)buf_printf(&tag, "\"%.*s\"", SPAN_FMT(down->id));
	if (http_tag_matches(exchange_field(x, "If-None-Match"), buf_span(&tag)))
		status = 304;
	http_disposition(&disposition, down->name);
	fields[n++] = (struct http_field){SPAN_LIT("ETag"), text_of(x, &tag)};
	/* Programs may keep it and ask again. A browser may be on somebody else's computer: the baseline's no-store. */
	if (exchange_ask(x)->person->session.n == 0)
		fields[n++] = (struct http_field){SPAN_LIT("Cache-Control"),
						  SPAN_LIT("private, no-cache")};
	fields[n++] =
		(struct http_field){SPAN_LIT("Content-Disposition"), text_of(x, &disposition)};
	fields[n++] = (struct http_field){SPAN_LIT("Accept-Ranges"), SPAN_LIT("bytes")};
	if (status == 206)
		(void)buf_printf(&content_range, "bytes %llu-%llu/%llu",
				 (unsigned long long)range.first,
				 (unsigned long long)(range.first + range.bytes - 1),
				 (unsigned long long)size);
	else if (status == 416)
		(void)buf_printf(&content_range, "bytes */%llu", (unsigned long long)size);
	if (content_range.n)
		fields[n++] =
			(struct http_field){SPAN_LIT("Content-Range"), text_of(x, &content_range)};
	down->left = status == 200 ? size : status == 206 ? range.bytes : 0;
	if (status == 206)
		jmap_blob_skip(down->blob, range.first);
	down->has_begun = true;
	exchange_respond(x, &(struct http_response){.status = status,
						    .type = down->left ? type_of(down) : SPAN_NONE,
						    .fields = fields,
						    .fields_n = n,
						    .bytes = (int64_t)down->left});
	buf_fini(&tag);
	buf_fini(&disposition);
	buf_fini(&content_range);
}

/* MORE: others may go first. OK: the client has enough for now, or all of it. */
static enum rc send_some(struct http_exchange *x, struct download *down, struct fault *why)
{
	struct span piece = SPAN_NONE;
	enum rc rc;

	if (!down->has_begun) {
		rc = jmap_blob_ready(down->blob, why);
		if (rc != OK)
			return rc;
		begin(x, down);
	}
	for (unsigned i = 0; i < DESK_STEPS && down->left; i++) {
		rc = jmap_blob_read(down->blob, &piece, why);
		if (rc != OK)
			return rc;
		if (piece.n == 0)
			return BROKEN; /* shorter than it said */
		piece = span_first(piece, down->left < piece.n ? (size_t)down->left : piece.n);
		down->left -= piece.n;
		if (!exchange_send(x, piece) && down->left)
			return OK;
	}
	if (down->left)
		return MORE;
	down->is_ended = true;
	exchange_end(x);
	return OK;
}

void desk_download_room(struct http_exchange *x)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct download *down = exchange_arg(x);
	struct fault why = {0};
	enum rc rc;

	if (!down || down->is_ended)
		return;
	desk_store_step(d);
	rc = send_some(x, down, &why);
	desk_store_rest(d);
	if (rc == OK)
		return;
	if (rc == MORE) {
		exchange_turn(x);
		return;
	}
	down->is_ended = true;
	if (down->has_begun)
		exchange_break(x);
	else if (rc == REFUSED)
		not_found(x);
	else
		exchange_problem(x, 503, "unavailable", "The file cannot be read at the moment");
}

void desk_download_over(struct http_exchange *x, bool is_complete)
{
	struct download *down = exchange_arg(x);

	(void)is_complete;
	if (!down)
		return;
	jmap_blob_close(down->blob);
	free(down);
}
