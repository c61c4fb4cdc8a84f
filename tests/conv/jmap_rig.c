#include "jmap_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"

void jmap_rig_init(struct jmap_rig *r)
{
	*r = (struct jmap_rig){
		.service = {.limits = jmap_limits_usual(),
			    .node = SPAN_LIT("mx2.example"),
			    .can_send = true},
		.send_as = {SPAN_LIT("anna@example.com"), SPAN_LIT("info@example.com")}};
	mail_mem_init(&r->mem);
	r->person = (struct jmap_person){.account = 7,
					 .name = SPAN_LIT("anna"),
					 .person = SPAN_LIT("Anna"),
					 .send_as = r->send_as,
					 .send_as_n = 2,
					 .store = r->mem.store};
}

void jmap_rig_fini(struct jmap_rig *r)
{
	mail_mem_fini(&r->mem);
	buf_fini(&r->said);
}

static double now_ms(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Nobody makes changes: the usual host. */
static void answer(struct jmap *j, enum jmap_step step)
{
	if (step == JMAP_ACT)
		jmap_lost(j, jmap_asked(j)->id, true, SPAN_LIT("nobody is there"));
	else if (step == JMAP_MESSAGE_END)
		jmap_lost(j, jmap_message(j)->id, true, SPAN_LIT("nobody is there"));
}

json_t *jmap_rig_send(struct jmap_rig *r, struct span content_type, struct span body)
{
	struct jmap_request request = {
		.content_type = content_type, .body = body, .now_us = 1767225600000000};
	double began = now_ms();
	struct jmap *j = jmap_new(&r->service, &r->person, &request);
	struct span piece;
	enum jmap_step step;
	json_t *out;

	r->steps = 0;
	do {
		step = jmap_step(j, &piece);
		r->steps++;
		must(step != JMAP_WAIT); /* everything asked was answered */
		if (r->host)
			r->host(r->host_arg, j, step, piece);
		else
			answer(j, step);
	} while (step != JMAP_DONE);
	r->took_ms = now_ms() - began;
	r->status = jmap_status(j);
	buf_clear(&r->said);
	(void)buf_append(&r->said, jmap_response(j));
	jmap_free(j);
	must(r->mem.open_bodies == 0);
	out = json_loadb((const char *)r->said.p, r->said.n, JSON_REJECT_DUPLICATES, NULL);
	must(out);
	return out;
}

json_t *jmap_rig_calls(struct jmap_rig *r, const char *calls)
{
	struct buf body = {0};
	json_t *out;

	(void)buf_printf(&body,
			 "{'using':['urn:ietf:params:jmap:core','urn:ietf:params:jmap:mail',"
			 "'urn:ietf:params:jmap:submission'],'methodCalls':%s}",
			 calls);
	for (size_t i = 0; i < body.n; i++) {
		if (body.p[i] == '\'')
			body.p[i] = '"';
	}
	out = jmap_rig_send(r, SPAN_LIT("application/json; charset=utf-8"), buf_span(&body));
	buf_fini(&body);
	return out;
}

json_t *jmap_rig_call(struct jmap_rig *r, const char *method, const char *args)
{
	struct buf calls = {0};
	json_t *all, *out;

	(void)buf_printf(&calls, "[['%s',{'accountId':'A7'%s%s},'0']]", method, args[0] ? "," : "",
			 args);
	all = jmap_rig_calls(r, buf_cstr(&calls));
	buf_fini(&calls);
	out = json_incref(
		json_array_get(json_array_get(json_object_get(all, "methodResponses"), 0), 1));
	must(out);
	json_decref(all);
	return out;
}

const json_t *jmap_at(const json_t *value, const char *path)
{
	struct span rest = span_str(path);

	while (value && rest.n) {
		struct span token = span_cut(&rest, '/');
		char key[128];

		(void)snprintf(key, sizeof key, "%.*s", SPAN_FMT(token));
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key))
					     : json_object_get(value, key);
	}
	return value;
}

const char *jmap_text_of(const json_t *value)
{
	static char *last;

	free(last);
	last = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
	return last ? last : "(nothing)";
}
