/* Email/get (RFC 8621 s4.2): an Email after the other; what only the message's bytes tell is read in pieces. */
#include "jmap/email.h"
#include "jmap/want.h"

enum {
	CHUNK = 64 << 10,
	HEAD_CHUNK = 16 << 10, /* where a header section is all that is read */
	EMAILS_A_STEP = 16,
};

static const char defaults[] =
	"id blobId threadId mailboxIds keywords size receivedAt messageId inReplyTo references "
	"sender from to cc bcc replyTo subject sentAt hasAttachment preview bodyValues textBody "
	"htmlBody attachments";

struct get {
	struct jmap_want *want;
	json_t *ids; /* each once; ours */
	size_t at;
	json_t *list, *missing; /* of the answer */
	size_t cost;

	json_t *email; /* being read; ours */
	struct jmap_view *view;
	struct mail_body *body;
	uint64_t fed;
};

static bool begin(struct jmap_call *c)
{
	struct get *g = arena_alloc(&c->arena, sizeof *g);
	struct mail_state state;
	json_t *ids;

	c->data = g;
	if (!jmap_args_known(c, "ids properties bodyProperties fetchTextBodyValues "
				"fetchHTMLBodyValues fetchAllBodyValues maxBodyValueBytes") ||
	    !jmap_get_ids(c, false, &ids))
		return false;
	g->want = jmap_want_read(c, defaults);
	if (!g->want || !jmap_state(c, &state))
		return false;
	g->ids = jmap_unique(ids);
	g->list = json_array();
	g->missing = json_array();
	(void)json_object_set_new(c->answer, "state", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "list", g->list);
	(void)json_object_set_new(c->answer, "notFound", g->missing);
	return true;
}

static void close_body(struct jmap_call *c, struct get *g)
{
	if (g->body)
		c->j->person->store.ops->body_close(g->body);
	g->body = NULL;
	jmap_view_free(g->view);
	g->view = NULL;
}

static void end(struct jmap_call *c)
{
	struct get *g = c->data;

	if (!g)
		return;
	close_body(c, g);
	json_decref(g->email);
	json_decref(g->ids);
}

/* ---- what the store tells ---- */

static json_t *boxes_json(const struct jmap_places *p)
{
	json_t *out = json_object();

	for (size_t i = 0; i < p->boxes_n; i++) {
		json_t *id = jmap_box_id(p->boxes[i]);

		(void)json_object_set_new(out, json_string_value(id), json_true());
		json_decref(id);
	}
	return out;
}

static void set(const struct get *g, const char *name, json_t *value)
{
	if (jmap_wants(g->want, name))
		(void)json_object_set_new(g->email, name, value);
	else
		json_decref(value);
}

static void put_meta(struct get *g, json_t *id, const struct jmap_places *p)
{
	(void)json_object_set(g->email, "id", id);
	set(g, "blobId", json_sprintf("G%s", json_string_value(id)));
	set(g, "threadId", jmap_thread_id(p->thread));
	set(g, "mailboxIds", boxes_json(p));
	set(g, "keywords", jmap_keywords(p->flags, buf_span(&p->keywords)));
	set(g, "size", json_integer((json_int_t)p->bytes));
	set(g, "receivedAt", jmap_utc(p->received_us));
}

static bool put_digest(struct jmap_call *c, struct get *g, struct mail_email_id id)
{
	const struct mail_store *store = &c->j->person->store;
	struct mail_digest d = {0};
	struct fault why = {0};
	enum rc rc;

	if (!g->want->needs_digest)
		return true;
	rc = store->ops->digest(store->arg, id.number, id.form, &d, &why);
	if (rc == LATER)
		return jmap_store_failed(c, rc, &why);
	if (rc != OK) /* gone or damaged: an Email without a text */
		d = (struct mail_digest){0};
	jmap_put_digest(g->want, &d, g->email);
	return true;
}

/* ---- what its bytes tell ---- */

static bool open_body(struct jmap_call *c, struct get *g, struct mail_email_id id)
{
	const struct mail_store *store = &c->j->person->store;
	struct buf blob = {0};
	struct fault why = {0};
	enum rc rc;

	(void)buf_printf(&blob, "G%s", json_string_value(json_object_get(g->email, "id")));
	g->view = jmap_view_new(g->want, buf_span(&blob), false);
	buf_fini(&blob);
	g->fed = 0;
	rc = g->view ? store->ops->body_open(store->arg, id.number, id.form, &g->body, &why)
		     : LATER;
	if (rc != OK)
		g->body = NULL;
	return rc == OK || rc == REFUSED || jmap_store_failed(c, rc, &why);
}

/* True: the message (or what is needed of it) has been read. */
static bool read_on(struct jmap_call *c, struct get *g, size_t *budget)
{
	const struct mail_store_ops *ops = c->j->person->store.ops;
	uint64_t all = g->body ? ops->body_bytes(g->body) : 0;
	size_t chunk = g->want->needs_body ? CHUNK : HEAD_CHUNK;

	while (g->fed < all && !jmap_view_has_enough(g->view)) {
		struct span piece;

		if (*budget == 0)
			return false;
		if (ops->body_read(g->body, g->fed, chunk, &piece, NULL) != OK || piece.n == 0)
			break; /* what is damaged ends there */
		jmap_view_feed(g->view, piece);
		g->fed += piece.n;
		*budget -= *budget < piece.n ? *budget : piece.n;
	}
	return true;
}

static bool finish_email(struct jmap_call *c, struct get *g)
{
	bool is_fine = !g->view || jmap_view_end(g->view, g->email);

	if (!is_fine)
		return jmap_fail(c, "serverUnavailable", "There is no memory for this message now");
	g->cost += 300 + 30 * g->want->props_n + (g->view ? jmap_view_cost(g->view) : 0);
	close_body(c, g);
	(void)json_array_append_new(g->list, g->email);
	g->email = NULL;
	if (g->cost > JMAP_ANSWER_BYTES)
		return jmap_fail(c, "requestTooLarge", "The answer would be too large");
	return true;
}

/* False: the call has failed. */
static bool begin_email(struct jmap_call *c, struct get *g)
{
	const struct mail_store *store = &c->j->person->store;
	json_t *text = json_array_get(g->ids, g->at++);
	struct mail_email_id id;
	struct jmap_places places = {0};
	struct fault why = {0};
	enum rc rc = REFUSED;
	bool is_fine = true;

	if (jmap_email_of(jmap_text(text), &id))
		rc = jmap_places_read(store, id, &places, &why);
	if (rc == REFUSED) {
		(void)json_array_append(g->missing, text);
	} else if (rc != OK) {
		is_fine = jmap_store_failed(c, rc, &why);
	} else {
		g->email = json_object();
		put_meta(g, text, &places);
		is_fine = put_digest(c, g, id) &&
			  (!jmap_want_is_deep(g->want) || open_body(c, g, id));
	}
	jmap_places_fini(&places);
	return is_fine;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct get *g = c->data;
	size_t budget = JMAP_STEP_BYTES;

	for (unsigned i = 0; i < EMAILS_A_STEP; i++) {
		if (!g->email && g->at == json_array_size(g->ids))
			return JMAP_DONE;
		if (!g->email && !begin_email(c, g))
			return JMAP_DONE;
		if (!g->email)
			continue;
		if (g->view && !read_on(c, g, &budget))
			return JMAP_AGAIN;
		if (!finish_email(c, g))
			return JMAP_DONE;
	}
	return JMAP_AGAIN;
}

const struct jmap_method jmap_email_get = {"Email/get", JMAP_CAN_MAIL, begin, step, end};
