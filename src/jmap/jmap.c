/* A request from its first byte to its answer: life, steps, one call after another, what the host answers. */
#include "jmap/jmap.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "jmap/reference.h"
#include "jmap/request.h"

/* ---- life ---- */

struct jmap *jmap_new(const struct jmap_service *service, const struct jmap_person *person,
		      const struct jmap_request *request)
{
	struct jmap *j = must_alloc(sizeof *j);

	*j = (struct jmap){.service = service,
			   .person = person,
			   .now_us = request->now_us,
			   .created = json_object(),
			   .status = 200};
	memcpy(j->random, request->random, sizeof j->random);
	if (!jmap_request_read(j, request)) {
		j->is_done = true;
		return j;
	}
	(void)buf_printf(&j->out, "{\"methodResponses\":[");
	return j;
}

static void end_call(struct jmap *j)
{
	struct jmap_call *c = &j->call;

	if (j->is_running && c->method && c->method->end)
		c->method->end(c);
	json_decref(c->args);
	json_decref(c->answer);
	json_decref(c->error);
	arena_fini(&c->arena);
	*c = (struct jmap_call){0};
	j->is_running = false;
}

static void drop_after(struct jmap *j)
{
	while (j->after) {
		struct jmap_after *a = j->after;

		j->after = a->next;
		json_decref(a->args);
		free(a);
	}
}

void jmap_free(struct jmap *j)
{
	if (!j)
		return;
	end_call(j);
	drop_after(j);
	for (size_t i = 0; j->kept && i < j->calls_n; i++)
		json_decref(j->kept[i]);
	free(j->kept);
	free(j->is_named);
	json_decref(j->request);
	json_decref(j->created);
	buf_fini(&j->out);
	free(j);
}

unsigned jmap_status(const struct jmap *j)
{
	must(j->is_done);
	return j->status;
}

struct span jmap_response(const struct jmap *j)
{
	must(j->is_done);
	return buf_span(&j->out);
}

/* ---- answers of calls ---- */

static void keep(struct jmap *j, const char *name, json_t *value)
{
	if (j->at >= j->calls_n || !j->is_named[j->at] || j->kept[j->at])
		return;
	j->kept[j->at] = json_pack("[s,O]", name, value);
}

/* False: it is too large, and nothing was said. */
static bool say(struct jmap *j, const char *name, json_t *value, size_t most)
{
	json_t *id = json_array_get(json_array_get(j->calls, j->at), 2);
	size_t before = j->out.n;

	(void)buf_printf(&j->out, "%s[\"%s\",", j->has_answer ? "," : "", name);
	if (!jmap_print_within(value, most, &j->out)) {
		j->out.n = before;
		return false;
	}
	(void)buf_append_byte(&j->out, ',');
	jmap_print(id, &j->out);
	(void)buf_append_byte(&j->out, ']');
	j->has_answer = true;
	keep(j, name, value);
	return true;
}

/*
 * References let an answer hold another many times over, and that one a third: as values they share it, as text they do not.
 * Only Core/echo gives back what it is given, so it may say no more than a request; others say what they have found.
 */
static size_t room_of(const struct jmap *j)
{
	const struct jmap_method *m = j->call.method;
	size_t most = m == &jmap_core_echo ? j->service->limits.request_bytes : JMAP_RESPONSE_BYTES;
	size_t left = j->out.n < JMAP_RESPONSE_BYTES ? JMAP_RESPONSE_BYTES - j->out.n : 0;

	if (span_ends_nocase(span_str(m->name), SPAN_LIT("/set")) ||
	    span_ends_nocase(span_str(m->name), SPAN_LIT("/import")))
		return SIZE_MAX / 2; /* what was done is told; it is little */
	return most < left ? most : left;
}

static void finish_call(struct jmap *j)
{
	struct jmap_call *c = &j->call;

	if (!c->error && !say(j, c->method->name, c->answer, room_of(j)))
		(void)jmap_fail(c, "requestTooLarge", "The answer would be too large");
	if (c->error)
		(void)say(j, "error", c->error, SIZE_MAX / 2);
	end_call(j);
}

static enum jmap_step finish(struct jmap *j)
{
	struct buf state = {0};

	(void)buf_printf(&j->out, "]");
	if (j->tells_created) {
		(void)buf_printf(&j->out, ",\"createdIds\":");
		jmap_print(j->created, &j->out);
	}
	jmap_session_state(j->service, j->person, &state);
	(void)buf_printf(&j->out, ",\"sessionState\":\"%.*s\"}", SPAN_FMT(buf_span(&state)));
	buf_fini(&state);
	j->is_done = true;
	return JMAP_DONE;
}

/* ---- beginning a call ---- */

/* The answer that a reference names (RFC 8620 s3.7): of the first call with this id. */
static json_t *answer_named(const struct jmap *j, struct span id, struct span name)
{
	for (size_t i = 0; i < j->at; i++) {
		const json_t *call = json_array_get(j->calls, i);

		if (!span_eq(jmap_text(json_array_get(call, 2)), id))
			continue;
		if (!j->kept[i] || !span_eq(jmap_text(json_array_get(j->kept[i], 0)), name))
			return NULL;
		return json_array_get(j->kept[i], 1);
	}
	return NULL;
}

static bool resolve(struct jmap_call *c, json_t *given, const char *key, const json_t *reference)
{
	struct span id = jmap_text(json_object_get(reference, "resultOf"));
	struct span name = jmap_text(json_object_get(reference, "name"));
	struct span path = jmap_text(json_object_get(reference, "path"));
	json_t *root, *value;

	if (json_object_get(given, key + 1))
		return jmap_bad_argument(c, key + 1, "is given twice, once as a reference");
	root = id.p && name.p ? answer_named(c->j, id, name) : NULL;
	value = root && path.p ? jmap_pointed(root, path) : NULL;
	if (!value)
		return jmap_fail(c, "invalidResultReference", "%s names nothing", key);
	(void)json_object_set_new(c->args, key + 1, value);
	return true;
}

static bool read_args(struct jmap_call *c, json_t *given)
{
	unsigned references = 0;
	const char *key;
	json_t *value;

	c->args = json_object();
	json_object_foreach(given, key, value)
	{
		if (key[0] != '#')
			(void)json_object_set(c->args, key, value);
		else if (references++ == JMAP_REFERENCES_MOST)
			return jmap_fail(c, "invalidResultReference", "At most %d in a call",
					 JMAP_REFERENCES_MOST);
		else if (!resolve(c, given, key, value))
			return false;
	}
	return true;
}

/* Every method but Core/echo is of an account. */
static bool is_ours(struct jmap_call *c)
{
	struct span account = jmap_text(json_object_get(c->args, "accountId"));
	uint64_t id;

	if (!account.p)
		return jmap_bad_argument(c, "accountId", "must be an Id");
	if (!jmap_account_of(account, &id) || id != c->j->person->account)
		return jmap_fail(c, "accountNotFound", "There is no such account");
	(void)json_object_set(c->answer, "accountId", json_object_get(c->args, "accountId"));
	return true;
}

static void begin_call(struct jmap *j, const struct jmap_method *method, json_t *given)
{
	struct jmap_call *c = &j->call;

	*c = (struct jmap_call){.j = j, .method = method, .answer = json_object()};
	arena_init(&c->arena, 0);
	c->id = json_string_value(json_array_get(json_array_get(j->calls, j->at), 2));
	if (!method || (method->can & ~j->using)) {
		(void)jmap_fail(c, "unknownMethod", "There is no such method among what is used");
	} else if (read_args(c, given) && (method->can == JMAP_CAN_CORE || is_ours(c))) {
		j->is_running = true;
		if (method->begin(c))
			return;
	}
	finish_call(j);
}

static enum jmap_step next_call(struct jmap *j)
{
	struct jmap_after *after = j->after;
	const json_t *call;

	if (after) {
		j->after = after->next;
		begin_call(j, after->method, after->args);
		json_decref(after->args);
		free(after);
		return JMAP_AGAIN;
	}
	if (j->has_begun)
		j->at++;
	j->has_begun = true;
	if (j->at >= j->calls_n)
		return finish(j);
	call = json_array_get(j->calls, j->at);
	begin_call(j, jmap_method_named(jmap_text(json_array_get(call, 0))),
		   json_array_get(call, 1));
	return JMAP_AGAIN;
}

/* ---- steps ---- */

enum jmap_step jmap_step(struct jmap *j, struct span *out_piece)
{
	enum jmap_step step;

	*out_piece = SPAN_NONE;
	if (j->is_done)
		return JMAP_DONE;
	if (j->is_waiting)
		return JMAP_WAIT;
	if (!j->is_running)
		return next_call(j);
	step = j->call.error ? JMAP_DONE : j->call.method->step(&j->call);
	switch (step) {
	case JMAP_DONE:
		finish_call(j);
		return JMAP_AGAIN;
	case JMAP_ACT:
	case JMAP_MESSAGE_END:
		j->is_waiting = true;
		return step;
	case JMAP_MESSAGE_PIECE:
		*out_piece = j->call.piece;
		return step;
	case JMAP_MESSAGE_BEGIN:
	case JMAP_MESSAGE_DROP:
	case JMAP_AGAIN:
		return step;
	case JMAP_WAIT:
		break;
	}
	must_never("a method that waits without having asked");
}

/* ---- questions ---- */

enum jmap_step jmap_ask_act(struct jmap_call *c, const struct mail_act *act)
{
	c->got = (struct jmap_got){.kind = JMAP_GOT_NOTHING};
	c->act = *act;
	c->ask = (struct jmap_ask){++c->j->last_ask, &c->act};
	return JMAP_ACT;
}

enum jmap_step jmap_ask_message(struct jmap_call *c, const struct jmap_message *m)
{
	c->got = (struct jmap_got){.kind = JMAP_GOT_NOTHING};
	c->message = *m;
	c->message.id = ++c->j->last_ask;
	return JMAP_MESSAGE_BEGIN;
}

void jmap_call_after(struct jmap_call *c, const char *method, json_t *args)
{
	struct jmap_after *a = must_alloc(sizeof *a), **at = &c->j->after;

	*a = (struct jmap_after){NULL, jmap_method_named(span_str(method)), args};
	while (*at)
		at = &(*at)->next;
	*at = a;
}

const struct jmap_ask *jmap_asked(const struct jmap *j)
{
	return &j->call.ask;
}

const struct jmap_message *jmap_message(const struct jmap *j)
{
	return &j->call.message;
}

/* ---- answers of the host ---- */

static bool takes(struct jmap *j, uint64_t ask)
{
	if (!j->is_running || ask == 0 || ask != j->last_ask ||
	    j->call.got.kind != JMAP_GOT_NOTHING)
		return false;
	j->is_waiting = false;
	return true;
}

static const void *copied(struct arena *a, const void *items, size_t n, size_t size)
{
	void *out = n ? arena_array(a, n, size) : NULL;

	if (out)
		memcpy(out, items, n * size);
	return out;
}

void jmap_verdict(struct jmap *j, uint64_t ask, const struct mail_verdict *v)
{
	struct arena *a = &j->call.arena;
	struct mail_verdict *to = &j->call.got.verdict;

	if (!takes(j, ask))
		return;
	*to = *v;
	to->text = arena_span(a, v->text);
	to->from = copied(a, v->from, v->from_n, sizeof *v->from);
	to->to = copied(a, v->to, v->to_n, sizeof *v->to);
	to->modified = copied(a, v->modified, v->modified_n, sizeof *v->modified);
	to->missing = copied(a, v->missing, v->missing_n, sizeof *v->missing);
	j->call.got.kind = JMAP_GOT_VERDICT;
}

void jmap_submitted(struct jmap *j, uint64_t ask, const struct jmap_submitted *s)
{
	struct arena *a = &j->call.arena;
	struct jmap_submitted *to = &j->call.got.submitted;
	struct jmap_refused *refused;

	if (!takes(j, ask))
		return;
	*to = *s;
	to->enhanced = arena_span(a, s->enhanced);
	to->text = arena_span(a, s->text);
	to->message = arena_span(a, s->message);
	refused = arena_array(a, s->refused_n + 1, sizeof *refused);
	for (size_t i = 0; i < s->refused_n; i++)
		refused[i] = (struct jmap_refused){
			arena_span(a, s->refused[i].address), s->refused[i].code,
			arena_span(a, s->refused[i].enhanced), arena_span(a, s->refused[i].text)};
	to->refused = refused;
	j->call.got.kind = JMAP_GOT_SUBMITTED;
}

void jmap_lost(struct jmap *j, uint64_t ask, bool is_sure, struct span text)
{
	if (!takes(j, ask))
		return;
	j->call.got.is_sure = is_sure;
	j->call.got.text = arena_span(&j->call.arena, text);
	j->call.got.kind = JMAP_GOT_LOST;
}
