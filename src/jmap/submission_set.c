/*
 * EmailSubmission/set (RFC 8621 s7.5): an Email is read and handed over to be sent, one at a time. When any was, what the client
 * asked for in that case follows as an Email/set of its own: a draft becomes a message in Sent.
 */
#include <stdlib.h>

#include "base/map.h"
#include "jmap/email.h"
#include "jmap/set.h"
#include "jmap/submission.h"

enum { CHUNK = 16 << 10 };

struct sending {
	const char *creation_id;
	struct span identity_id, send_as;
	struct mail_email_id email;
	uint64_t thread;
	bool has_envelope;
	struct jmap_envelope envelope;
	struct mail_body *body;
	uint64_t at, bytes;
	struct buf header;
	enum { SEND_HEADER, SEND_BEGIN, SEND_PIECES, SEND_SENT } stage;
};

struct submission_set {
	struct jmap_set set;
	void *iterator;
	json_t *update_email, *destroy_email;
	json_t *sent; /* creation id -> Email id; ours */
	struct sending *now;
};

static const struct mail_store *store_of(const struct jmap_call *c)
{
	return &c->j->person->store;
}

/* ---- the beginning ---- */

static bool read_after(struct jmap_call *c, struct submission_set *s)
{
	const char *key;
	json_t *value;

	if (!jmap_arg_object(c, "onSuccessUpdateEmail", &s->update_email) ||
	    !jmap_arg_texts(c, "onSuccessDestroyEmail", &s->destroy_email))
		return false;
	json_object_foreach(s->update_email, key, value)
	{
		if (!json_is_object(value))
			return jmap_bad_argument(c, "onSuccessUpdateEmail",
						 "must be a map of Ids to patches");
	}
	return true;
}

static bool note(void *to, const struct mail_submission *s)
{
	(void)map_put(to, s->id, to);
	return true;
}

/* Those that exist cannot be changed: what was handed over goes out. All are looked through once, however many are named. */
static void refuse_changes(struct jmap_call *c, struct submission_set *s)
{
	const struct mail_store *store = store_of(c);
	struct fault why = {0};
	struct map known;
	const char *key;
	json_t *value;
	size_t i;

	map_init(&known);
	if (json_object_size(s->set.update) || json_array_size(s->set.destroy))
		(void)(store->ops->each_submission(store->arg, 0, note, &known, &why) == OK);
	json_object_foreach(s->set.update, key, value)
	{
		jmap_set_not(&s->set, JMAP_UPDATED, span_str(key),
			     !map_get(&known, span_str(key))
				     ? jmap_set_error("notFound", NULL, "There is none")
			     : json_object_get(value, "undoStatus")
				     ? jmap_set_error("cannotUnsend", NULL, "It is on its way")
				     : jmap_set_error("invalidProperties", NULL,
						      "Only undoStatus can change"));
	}
	json_array_foreach(s->set.destroy, i, value)
	{
		struct span id = jmap_text(value);

		jmap_set_not(&s->set, JMAP_DESTROYED, id,
			     map_get(&known, id)
				     ? jmap_set_error("forbidden", NULL, "It is kept here")
				     : jmap_set_error("notFound", NULL, "There is none"));
	}
	map_fini(&known, NULL);
}

static bool begin(struct jmap_call *c)
{
	struct submission_set *s = arena_alloc(&c->arena, sizeof *s);
	struct mail_state state;

	c->data = s;
	if (!jmap_state(c, &state) ||
	    !jmap_set_begin(c, &s->set, state.submissions,
			    "onSuccessUpdateEmail onSuccessDestroyEmail") ||
	    !read_after(c, s))
		return false;
	s->sent = json_object();
	s->iterator = s->set.create ? json_object_iter(s->set.create) : NULL;
	refuse_changes(c, s);
	return true;
}

/* ---- one creation ---- */

static void close_sending(struct jmap_call *c, struct submission_set *s)
{
	if (!s->now)
		return;
	if (s->now->body)
		store_of(c)->ops->body_close(s->now->body);
	buf_fini(&s->now->header);
	s->now = NULL; /* in the arena */
}

static enum jmap_step refuse(struct jmap_call *c, struct submission_set *s, json_t *error)
{
	jmap_set_not(&s->set, JMAP_CREATED, span_str(s->now->creation_id), error);
	close_sending(c, s);
	return JMAP_AGAIN;
}

static json_t *read_identity(struct jmap_call *c, struct sending *n, const json_t *given)
{
	n->identity_id = jmap_resolved(c, jmap_text(json_object_get(given, "identityId")));
	if (!jmap_identity_of(c->j->person, n->identity_id, &n->send_as))
		return jmap_set_error("invalidProperties", "identityId",
				      "There is no such identity");
	return NULL;
}

static json_t *read_email(struct jmap_call *c, struct sending *n, const json_t *given)
{
	struct span id = jmap_resolved(c, jmap_text(json_object_get(given, "emailId")));
	struct jmap_places places = {0};
	struct fault why = {0};
	enum rc rc = REFUSED;

	if (jmap_email_of(id, &n->email)) {
		rc = jmap_places_read(store_of(c), n->email, &places, &why);
		n->thread = places.thread;
		jmap_places_fini(&places);
	}
	if (rc == OK)
		rc = store_of(c)->ops->body_open(store_of(c)->arg, n->email.number, n->email.form,
						 &n->body, &why);
	if (rc == REFUSED)
		return jmap_set_error("invalidProperties", "emailId", "There is no such Email");
	if (rc != OK)
		return jmap_set_error("serverUnavailable", NULL,
				      "The message cannot be read at the moment");
	n->bytes = store_of(c)->ops->body_bytes(n->body);
	return NULL;
}

static json_t *read_envelope(struct jmap_call *c, struct sending *n, const json_t *given)
{
	json_t *envelope = json_object_get(given, "envelope"), *error;

	if (!envelope || json_is_null(envelope))
		return NULL;
	n->has_envelope = true;
	n->stage = SEND_BEGIN;
	error = jmap_envelope_read(c, envelope, &n->envelope);
	if (!error && n->envelope.sender.n && !jmap_envelope_allows(n->send_as, n->envelope.sender))
		error = jmap_set_error("forbiddenMailFrom", NULL,
				       "This identity may not send as this address");
	return error;
}

static enum jmap_step begin_one(struct jmap_call *c, struct submission_set *s)
{
	json_t *given = json_object_iter_value(s->iterator), *value, *error = NULL;
	const char *key;

	s->now = arena_alloc(&c->arena, sizeof *s->now);
	s->now->creation_id = json_object_iter_key(s->iterator);
	buf_init(&s->now->header, JMAP_HEADER_BYTES);
	s->iterator = json_object_iter_next(s->set.create, s->iterator);
	json_object_foreach(given, key, value)
	{
		if (!error && !jmap_has_name("identityId emailId envelope", span_str(key)))
			error = jmap_set_error("invalidProperties", key, "cannot be set");
	}
	if (!error)
		error = read_identity(c, s->now, given);
	if (!error)
		error = read_email(c, s->now, given);
	if (!error)
		error = read_envelope(c, s->now, given);
	return error ? refuse(c, s, error) : JMAP_AGAIN;
}

static enum rc read_piece(struct jmap_call *c, struct sending *n, struct span *out,
			  struct fault *why)
{
	enum rc rc;

	*out = SPAN_NONE;
	if (n->at >= n->bytes)
		return OK;
	rc = store_of(c)->ops->body_read(n->body, n->at, CHUNK, out, why);
	if (rc == OK && out->n == 0)
		rc = BROKEN;
	if (rc == OK)
		n->at += out->n;
	return rc;
}

/* The end of the header section among what has come, or all of it at the end. */
static bool header_is_complete(const struct sending *n, size_t *out)
{
	const unsigned char *end =
		n->header.n ? memmem(n->header.p, n->header.n, "\r\n\r\n", 4) : NULL;

	*out = end ? (size_t)(end - n->header.p) + 2 : n->header.n;
	return end || n->at >= n->bytes;
}

static enum jmap_step header_on(struct jmap_call *c, struct submission_set *s)
{
	struct sending *n = s->now;
	struct span piece;
	struct fault why = {0};
	json_t *error;
	size_t end;

	if (read_piece(c, n, &piece, &why) != OK)
		return refuse(c, s,
			      jmap_set_error("serverUnavailable", NULL,
					     "The message cannot be read at the moment"));
	if (!buf_append(&n->header, piece))
		return refuse(c, s,
			      jmap_set_error("invalidEmail", NULL,
					     "The header of the message is too long"));
	if (!header_is_complete(n, &end))
		return JMAP_AGAIN;
	error = jmap_envelope_from(c, span_first(buf_span(&n->header), end), n->send_as,
				   &n->envelope);
	buf_fini(&n->header);
	n->at = 0;
	n->stage = SEND_BEGIN;
	return error ? refuse(c, s, error) : JMAP_AGAIN;
}

/* ---- the answer ---- */

static json_t *refused_recipients(const struct jmap_submitted *a)
{
	json_t *error = jmap_set_error("invalidRecipients", NULL, "%.*s", SPAN_FMT(a->text));
	json_t *list = json_array();

	for (size_t i = 0; i < a->refused_n; i++)
		(void)json_array_append_new(list, jmap_json_text(a->refused[i].address));
	(void)json_object_set_new(error, "invalidRecipients", list);
	return error;
}

static json_t *refusal(struct jmap_call *c, const struct jmap_submitted *a)
{
	json_t *error;

	if (a->code == 450 && span_eq(a->enhanced, SPAN_LIT("4.7.1")))
		return jmap_set_error("rateLimit", NULL, "%.*s", SPAN_FMT(a->text));
	if (a->code / 100 == 4)
		return jmap_set_error("serverUnavailable", NULL, "%.*s", SPAN_FMT(a->text));
	if (a->refused_n)
		return refused_recipients(a);
	if (a->code == 552) {
		error = jmap_set_error("tooLarge", NULL, "%.*s", SPAN_FMT(a->text));
		(void)json_object_set_new(
			error, "maxSize",
			json_integer(
				(json_int_t)(c->j->service->limits.attachments_bytes / 3 * 4)));
		return error;
	}
	if (a->code == 553)
		return jmap_set_error("forbiddenMailFrom", NULL, "%.*s", SPAN_FMT(a->text));
	if (a->code == 550)
		return jmap_set_error("forbiddenFrom", NULL, "%.*s", SPAN_FMT(a->text));
	if (a->code == 554)
		return jmap_set_error("invalidEmail", "from", "%.*s", SPAN_FMT(a->text));
	return jmap_set_error("forbiddenToSend", NULL, "%.*s", SPAN_FMT(a->text));
}

static void put_status(json_t *o, const struct jmap_envelope *e)
{
	json_t *all = json_object();

	for (size_t i = 0; i < e->n; i++) {
		char key[ADDRESS_TEXT_BYTES];

		(void)snprintf(key, sizeof key, "%.*s", SPAN_FMT(e->rcpts[i]));
		(void)json_object_set_new(all, key,
					  json_pack("{s:s,s:s,s:s}", "smtpReply", "250 2.0.0 Ok",
						    "delivered", "queued", "displayed", "unknown"));
	}
	(void)json_object_set_new(o, "deliveryStatus", all);
}

static void sent(struct jmap_call *c, struct submission_set *s)
{
	const struct sending *n = s->now;
	struct span id = c->got.submitted.message;
	json_t *o = json_object();

	(void)json_object_set_new(o, "id", jmap_json_text(id));
	(void)json_object_set_new(o, "threadId", jmap_thread_id(n->thread));
	(void)json_object_set_new(o, "undoStatus", json_string("final"));
	(void)json_object_set_new(o, "sendAt", jmap_utc(c->j->now_us));
	if (!n->has_envelope)
		(void)json_object_set_new(o, "envelope", jmap_envelope_json(&n->envelope));
	put_status(o, &n->envelope);
	(void)json_object_set_new(o, "dsnBlobIds", json_array());
	(void)json_object_set_new(o, "mdnBlobIds", json_array());
	jmap_created(c, n->creation_id, id);
	(void)json_object_set_new(s->sent, n->creation_id,
				  jmap_email_id(n->email.number, n->email.form));
	jmap_set_done(&s->set, JMAP_CREATED, span_str(n->creation_id), o);
}

static enum jmap_step answered(struct jmap_call *c, struct submission_set *s)
{
	if (c->got.kind == JMAP_GOT_LOST && c->got.is_sure)
		return refuse(
			c, s,
			jmap_set_error("serverUnavailable", NULL, "%.*s", SPAN_FMT(c->got.text)));
	if (c->got.kind != JMAP_GOT_SUBMITTED) {
		close_sending(c, s);
		return jmap_set_lost(c, &s->set);
	}
	if (c->got.submitted.code != 250)
		return refuse(c, s, refusal(c, &c->got.submitted));
	sent(c, s);
	close_sending(c, s);
	return JMAP_AGAIN;
}

static enum jmap_step pieces(struct jmap_call *c, struct submission_set *s)
{
	struct fault why = {0};
	struct span piece;

	if (c->got.kind != JMAP_GOT_NOTHING)
		return answered(c, s);
	if (read_piece(c, s->now, &piece, &why) != OK) {
		(void)refuse(c, s,
			     jmap_set_error("serverUnavailable", NULL,
					    "The message cannot be read at the moment"));
		return JMAP_MESSAGE_DROP;
	}
	if (piece.n) {
		c->piece = piece;
		return JMAP_MESSAGE_PIECE;
	}
	s->now->stage = SEND_SENT;
	return JMAP_MESSAGE_END;
}

static enum jmap_step send_on(struct jmap_call *c, struct submission_set *s)
{
	struct sending *n = s->now;

	switch (n->stage) {
	case SEND_HEADER:
		return header_on(c, s);
	case SEND_BEGIN:
		n->stage = SEND_PIECES;
		return jmap_ask_message(c, &(struct jmap_message){.is_submission = true,
								  .bytes_most = n->bytes,
								  .sender = n->envelope.sender,
								  .rcpts = n->envelope.rcpts,
								  .rcpts_n = n->envelope.n,
								  .email = n->email,
								  .identity = n->identity_id});
	case SEND_PIECES:
		return pieces(c, s);
	case SEND_SENT:
		return answered(c, s);
	}
	return JMAP_DONE;
}

/* ---- what follows ---- */

/* The Email of a submission that was made here: "#k". */
static const json_t *email_of(const struct submission_set *s, const char *id)
{
	return id[0] == '#' ? json_object_get(s->sent, id + 1) : NULL;
}

static void follow(struct jmap_call *c, struct submission_set *s)
{
	json_t *update = json_object(), *destroy = json_array(), *value, *args;
	const json_t *email;
	const char *key;
	size_t i;

	json_object_foreach(s->update_email, key, value)
	{
		email = email_of(s, key);
		if (email)
			(void)json_object_set(update, json_string_value(email), value);
	}
	json_array_foreach(s->destroy_email, i, value)
	{
		email = email_of(s, json_string_value(value));
		if (email)
			(void)json_array_append(destroy, (json_t *)(uintptr_t)email);
	}
	if (json_object_size(update) || json_array_size(destroy)) {
		args = json_object();
		(void)json_object_set(args, "accountId", json_object_get(c->args, "accountId"));
		if (json_object_size(update))
			(void)json_object_set(args, "update", update);
		if (json_array_size(destroy))
			(void)json_object_set(args, "destroy", destroy);
		jmap_call_after(c, "Email/set", args);
	}
	json_decref(update);
	json_decref(destroy);
}

static enum jmap_step finish(struct jmap_call *c, struct submission_set *s)
{
	struct mail_state state;

	if (!jmap_state(c, &state))
		return JMAP_DONE;
	s->set.new_state = state.submissions;
	follow(c, s);
	return jmap_set_end(c, &s->set);
}

static enum jmap_step step(struct jmap_call *c)
{
	struct submission_set *s = c->data;

	if (s->now)
		return send_on(c, s);
	if (s->iterator)
		return begin_one(c, s);
	return finish(c, s);
}

static void end(struct jmap_call *c)
{
	struct submission_set *s = c->data;

	if (!s)
		return;
	close_sending(c, s);
	json_decref(s->sent);
	jmap_set_fini(&s->set);
}

const struct jmap_method jmap_submission_set = {"EmailSubmission/set", JMAP_CAN_SUBMISSION, begin,
						step, end};
