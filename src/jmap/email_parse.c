/* Email/parse (RFC 8621 s4.9): blobs that are messages, as Emails without being any. */
#include "base/ascii.h"
#include "jmap/want.h"

static const char defaults[] =
	"messageId inReplyTo references sender from to cc bcc replyTo subject "
	"sentAt hasAttachment preview bodyValues textBody htmlBody "
	"attachments";

struct parse {
	struct jmap_want *want;
	json_t *ids; /* each once; ours */
	size_t at;
	json_t *parsed, *not_parsable, *missing; /* ours */
	struct jmap_blob *blob;
	struct jmap_view *view;
	bool is_ready;
	uint64_t fed;
	size_t cost;		/* of the answer */
	bool is_mail, is_known; /* whether it begins with a field */
};

static bool begin(struct jmap_call *c)
{
	struct parse *p = arena_alloc(&c->arena, sizeof *p);
	json_t *ids;

	c->data = p;
	if (!jmap_args_known(c, "blobIds properties bodyProperties fetchTextBodyValues "
				"fetchHTMLBodyValues fetchAllBodyValues maxBodyValueBytes") ||
	    !jmap_arg_ids(c, "blobIds", &ids))
		return false;
	if (!ids)
		return jmap_bad_argument(c, "blobIds", "must be an array of Ids");
	if (json_array_size(ids) > c->j->service->limits.get)
		return jmap_fail(c, "requestTooLarge", "At most %u blobs",
				 c->j->service->limits.get);
	p->want = jmap_want_read(c, defaults);
	if (!p->want)
		return false;
	p->ids = jmap_unique(ids);
	p->parsed = json_object();
	p->not_parsable = json_array();
	p->missing = json_array();
	return true;
}

static void close_blob(struct parse *p)
{
	jmap_blob_close(p->blob);
	jmap_view_free(p->view);
	p->blob = NULL;
	p->view = NULL;
	p->is_ready = p->is_mail = p->is_known = false;
	p->fed = 0;
}

static void put_empty(const struct parse *p, json_t *email)
{
	static const char *const names[] = {"id", "threadId", "mailboxIds", "keywords",
					    "receivedAt"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (jmap_wants(p->want, names[i]))
			(void)json_object_set_new(email, names[i], json_null());
}

/* The whole of it has come. False: no memory. */
static bool finish(struct parse *p, json_t *id)
{
	json_t *email = json_object();

	if (!p->is_mail) {
		(void)json_array_append(p->not_parsable, id);
		json_decref(email);
		return true;
	}
	put_empty(p, email);
	if (jmap_wants(p->want, "blobId"))
		(void)json_object_set(email, "blobId", id);
	if (jmap_wants(p->want, "size"))
		(void)json_object_set_new(email, "size", json_integer((json_int_t)p->fed));
	if (!jmap_view_end(p->view, email)) {
		json_decref(email);
		return false;
	}
	p->cost += 300 + 30 * p->want->props_n + jmap_view_cost(p->view);
	(void)json_object_set_new(p->parsed, json_string_value(id), email);
	return true;
}

static void look(struct parse *p, struct span piece)
{
	for (size_t i = 0; i < piece.n && !p->is_known; i++) {
		unsigned char c = piece.p[i];

		if (c == ':')
			p->is_mail = p->fed + i > 0;
		p->is_known = !ascii_is_graph(c) || c == ':';
	}
}

static enum rc open_next(struct jmap_call *c, struct parse *p, json_t *id, struct fault *why)
{
	enum rc rc = jmap_blob_open(c->j->person, jmap_text(id), &p->blob, why);

	if (rc != OK)
		return rc;
	p->view = jmap_view_new(p->want, jmap_text(id), true);
	return p->view ? OK : LATER;
}

static enum rc read_on(struct parse *p, json_t *id, struct fault *why)
{
	struct span piece;
	enum rc rc;

	if (!p->is_ready) {
		rc = jmap_blob_ready(p->blob, why);
		if (rc != OK)
			return rc;
		p->is_ready = true;
	}
	for (size_t n = 0; n < JMAP_STEP_BYTES; n += piece.n) {
		rc = jmap_blob_read(p->blob, &piece, why);
		if (rc != OK)
			return rc;
		if (piece.n == 0)
			return finish(p, id) ? OK : LATER;
		look(p, piece);
		jmap_view_feed(p->view, piece);
		p->fed += piece.n;
	}
	return MORE;
}

static void put(struct jmap_call *c, const char *name, json_t *value, size_t n)
{
	(void)json_object_set_new(c->answer, name, n ? json_incref(value) : json_null());
}

static enum jmap_step step(struct jmap_call *c)
{
	struct parse *p = c->data;
	json_t *id = json_array_get(p->ids, p->at);
	struct fault why = {0};
	enum rc rc = OK;

	if (!id) {
		put(c, "parsed", p->parsed, json_object_size(p->parsed));
		put(c, "notParsable", p->not_parsable, json_array_size(p->not_parsable));
		put(c, "notFound", p->missing, json_array_size(p->missing));
		return JMAP_DONE;
	}
	if (!p->blob)
		rc = open_next(c, p, id, &why);
	if (rc == OK)
		rc = read_on(p, id, &why);
	if (rc == MORE)
		return JMAP_AGAIN;
	if (rc == REFUSED)
		(void)json_array_append(p->missing, id);
	else if (rc != OK)
		(void)jmap_store_failed(c, rc, &why);
	if (p->cost > JMAP_ANSWER_BYTES)
		(void)jmap_fail(c, "requestTooLarge", "The answer would be too large");
	close_blob(p);
	p->at++;
	return c->error ? JMAP_DONE : JMAP_AGAIN;
}

static void end(struct jmap_call *c)
{
	struct parse *p = c->data;

	if (!p)
		return;
	close_blob(p);
	json_decref(p->ids);
	json_decref(p->parsed);
	json_decref(p->not_parsable);
	json_decref(p->missing);
}

const struct jmap_method jmap_email_parse = {"Email/parse", JMAP_CAN_MAIL, begin, step, end};
