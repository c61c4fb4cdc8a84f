/*
 * /api/login, /api/login/factor, /api/login/invitation, /api/logout, /api/me, /api/me/VERB: the same for people and administrators.
 * Bodies are JSON objects of strings. What is refused is told as {"type": a word, "title": a sentence}: 403 for what was wrong,
 * 429 for too many tries, 503 for what cannot be decided now. A half login's ticket travels in a cookie, so that no script has it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"
#include "role/common/http_internal.h"

enum { BODY_BYTES = 16 << 10, TICKET_S = 300 };

/* ---- JSON in and out ---- */

/* An object of strings; NULL: it is none, and that has been answered. */
static json_t *take_object(struct http_exchange *x)
{
	struct span body = exchange_ask(x)->body;
	json_t *object = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(object))
		return object;
	json_decref(object);
	exchange_problem(x, 400, "not-json", "What was sent is no JSON object");
	return NULL;
}

static struct span string_of(json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v)) : SPAN_NONE;
}

/* What is no UTF-8 (it should not come from auth) is left out. */
static void set(json_t *object, const char *name, struct span text)
{
	json_t *v =
		json_stringn((const char *)(text.p ? text.p : (const unsigned char *)""), text.n);

	(void)json_object_set_new(object, name, v ? v : json_string(""));
}

/* null: not said */
static void set_time(json_t *object, const char *name, uint64_t at_us)
{
	time_t s = (time_t)(at_us / 1000000);
	char text[32];
	struct tm t;

	if (!at_us || !gmtime_r(&s, &t) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t))
		(void)json_object_set_new(object, name, json_null());
	else
		(void)json_object_set_new(object, name, json_string(text));
}

static void answer_object(struct http_exchange *x, unsigned status, json_t *object,
			  const struct http_field *fields, size_t fields_n)
{
	char *text = json_dumps(object, JSON_COMPACT);
	const struct http_response r = {
		.status = status,
		.type = status < 400 ? SPAN_LIT("application/json")
				     : SPAN_LIT("application/problem+json"),
		.fields = fields,
		.fields_n = fields_n,
	};

	must(text);
	exchange_answer(x, &r, span_str(text));
	explicit_bzero(text, strlen(text));
	free(text);
	json_decref(object);
}

static void answer_problem(struct http_exchange *x, unsigned status, struct span type,
			   struct span title, const struct http_field *fields, size_t fields_n)
{
	json_t *o = json_object();

	set(o, "type", type);
	(void)json_object_set_new(o, "status", json_integer(status));
	set(o, "title", title);
	answer_object(x, status, o, fields, fields_n);
}

/* ---- logins ---- */

static unsigned status_of(enum login_verdict v)
{
	switch (v) {
	case LOGIN_FINE:
	case LOGIN_REFUSED:
	case LOGIN_NO_MECHANISM:
	case LOGIN_NEEDS_TLS:
		return 403;
	case LOGIN_MALFORMED:
		return 400;
	case LOGIN_THROTTLED:
		return 429;
	case LOGIN_LATER:
	case LOGIN_CANCELLED:
		break;
	}
	return 503;
}

static struct http_field cookie(struct http_exchange *x, const char *name, struct span value,
				uint64_t s)
{
	return (struct http_field){SPAN_LIT("Set-Cookie"), exchange_cookie(x, name, value, s)};
}

/* Cookies know no ports: portal and console may stand on one machine, and have names of their own. */
static const char *ticket_cookie(struct http_exchange *x)
{
	struct buf name = {0};
	const char *out;

	(void)buf_printf(&name, "%s-ticket", x->host->options->cookie);
	out = arena_str(&x->arena, buf_span(&name));
	buf_fini(&name);
	return out;
}

static void refuse_login(struct http_exchange *x, const struct http_login_result *r)
{
	struct span word = r->reason.n ? r->reason : span_str(login_verdict_name(r->verdict));
	unsigned status = status_of(r->verdict);
	struct http_field fields[2];
	size_t n = 0;

	if (span_eq(r->reason, SPAN_LIT("ticket")))
		fields[n++] = cookie(x, ticket_cookie(x), SPAN_NONE, 0);
	if (status == 429 || status == 503)
		fields[n++] = (struct http_field){SPAN_LIT("Retry-After"),
						  status == 429 ? SPAN_LIT("30") : SPAN_LIT("3")};
	answer_problem(x, status, word, r->text, fields, n);
}

static bool is_cookie_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("\",;\\", s.p[i]))
			return false;
	}
	return s.n > 0;
}

static uint64_t seconds_until(const struct http_exchange *x, uint64_t until_us)
{
	uint64_t now_us = os_wall_us(x->host->os);

	return until_us > now_us ? (until_us - now_us) / 1000000 + 1 : 1;
}

static void log_login(struct http_exchange *x, const struct http_login_result *r)
{
	say(SAY_INFO, "login", "account", SAY_SPAN(r->account), "peer", SAY_STR(x->ask.peer),
	    "service", SAY_STR("https"), "for", SAY_STR(x->host->options->use), NULL);
}

/* in: a session; factor: a ticket for one; invitation: what was given is a code, /api/login/invitation takes it. */
static void on_login(struct http_exchange *x, const struct http_login_result *r)
{
	struct http_field fields[2];
	size_t n = 0;
	json_t *o;

	if (r->verdict != LOGIN_FINE ||
	    (!r->session.n && !span_eq(r->reason, SPAN_LIT("invitation")))) {
		refuse_login(x, r);
		return;
	}
	if (r->session.n && !is_cookie_value(r->session)) {
		exchange_problem(x, 503, "later", login_text(LOGIN_LATER));
		return;
	}
	o = json_object();
	set(o, "account", r->account);
	set(o, "person", r->person);
	set(o, "state",
	    !r->session.n     ? SPAN_LIT("invitation")
	    : r->wants_factor ? SPAN_LIT("factor")
			      : SPAN_LIT("in"));
	if (r->session.n && r->wants_factor) {
		fields[n++] = cookie(x, ticket_cookie(x), r->session, TICKET_S);
	} else if (r->session.n) {
		fields[n++] = cookie(x, x->host->options->cookie, r->session,
				     seconds_until(x, r->session_until_us));
		fields[n++] = cookie(x, ticket_cookie(x), SPAN_NONE, 0);
		log_login(x, r);
	}
	answer_object(x, 200, o, fields, n);
}

static void on_password(struct http_exchange *x, const struct http_ask *ask)
{
	json_t *o = take_object(x);

	(void)ask;
	if (!o)
		return;
	http_login_password(x, string_of(o, "account"), string_of(o, "password"), on_login);
	json_decref(o);
}

static void on_factor(struct http_exchange *x, const struct http_ask *ask)
{
	struct span ticket = SPAN_NONE;
	json_t *o = take_object(x);

	(void)ask;
	if (!o)
		return;
	if (!http_cookie_find(exchange_field(x, "cookie"), ticket_cookie(x), &ticket) || !ticket.n)
		exchange_problem(x, 403, "ticket", "Begin with your password again");
	else
		http_login_factor(x, SPAN_NONE, ticket, string_of(o, "code"), on_login);
	json_decref(o);
}

static void on_invitation(struct http_exchange *x, const struct http_ask *ask)
{
	json_t *o = take_object(x);

	(void)ask;
	if (!o)
		return;
	http_login_invitation(x, string_of(o, "account"), string_of(o, "code"),
			      string_of(o, "password"), on_login);
	json_decref(o);
}

static void on_logout(struct http_exchange *x, const struct http_ask *ask)
{
	const struct http_field fields[] = {
		cookie(x, x->host->options->cookie, SPAN_NONE, 0),
		{SPAN_LIT("Clear-Site-Data"), SPAN_LIT("\"cache\"")},
	};
	const struct http_response r = {.status = 204, .fields = fields, .fields_n = 2};

	(void)ask;
	http_logout(x);
	exchange_answer(x, &r, SPAN_NONE);
}

/* ---- me ---- */

static void on_me(struct http_exchange *x, const struct http_ask *ask)
{
	const struct http_person *p = ask->person;
	json_t *o = json_object(), *send_as = json_array();

	set(o, "account", p->account);
	set(o, "person", p->name);
	for (size_t i = 0; i < p->send_as_n; i++)
		(void)json_array_append_new(
			send_as, json_stringn((const char *)p->send_as[i].p, p->send_as[i].n));
	(void)json_object_set_new(o, "send_as", send_as);
	set(o, "token", p->token);
	set_time(o, "until", p->until_us);
	(void)json_object_set_new(o, "has_factor", json_boolean(p->has_factor));
	(void)json_object_set_new(o, "is_admin", json_boolean(p->is_admin));
	if (x->host->options->add_me)
		x->host->options->add_me(x->host->options->arg, p->account, o);
	answer_object(x, 200, o, NULL, 0);
}

static void refuse_order(struct http_exchange *x, const struct http_order_result *r)
{
	struct span word = r->reason.n		      ? r->reason
			   : r->is_later	      ? SPAN_LIT("later")
			   : r->verdict != LOGIN_FINE ? span_str(login_verdict_name(r->verdict))
						      : SPAN_LIT("refused");
	unsigned status = r->is_later		     ? 503
			  : r->verdict != LOGIN_FINE ? status_of(r->verdict)
						     : 422;

	answer_problem(x, status, word, r->text, NULL, 0);
}

/* The answer is auth's JSON. With a new session comes its token, in a field, for the one before has ended. */
static void on_order(struct http_exchange *x, const struct http_order_result *r)
{
	struct http_response out = {.status = 200, .type = SPAN_LIT("application/json")};
	char token[HTTP_TOKEN_BYTES + 1];
	struct http_field fields[2];

	if (!r->ok) {
		refuse_order(x, r);
		return;
	}
	if (is_cookie_value(r->session)) {
		http_person_token(r->session, token);
		fields[out.fields_n++] = cookie(x, x->host->options->cookie, r->session,
						seconds_until(x, r->session_until_us));
		fields[out.fields_n++] =
			(struct http_field){SPAN_LIT("X-Holdfast-Token"), span_str(token)};
	}
	out.fields = fields;
	exchange_answer(x, &out, r->json.n ? r->json : SPAN_LIT("{}"));
}

static void on_me_order(struct http_exchange *x, const struct http_ask *ask)
{
	json_t *o = take_object(x);

	if (!o)
		return;
	http_order_self(x,
			&(struct http_self_order){
				.verb = ask->rest,
				.argument = string_of(o, "argument"),
				.password = string_of(o, "password"),
				.new_password = string_of(o, "new_password"),
			},
			on_order);
	json_decref(o);
}

const struct http_route http_api_routes[] = {
	{.method = "POST",
	 .path = "/api/login",
	 .access = HTTP_OPEN,
	 .flags = HTTP_ROUTE_WHOLE,
	 .body_bytes = BODY_BYTES,
	 .on_request = on_password},
	{.method = "POST",
	 .path = "/api/login/factor",
	 .access = HTTP_OPEN,
	 .flags = HTTP_ROUTE_WHOLE,
	 .body_bytes = BODY_BYTES,
	 .on_request = on_factor},
	{.method = "POST",
	 .path = "/api/login/invitation",
	 .access = HTTP_OPEN,
	 .flags = HTTP_ROUTE_WHOLE,
	 .body_bytes = BODY_BYTES,
	 .on_request = on_invitation},
	{.method = "POST",
	 .path = "/api/logout",
	 .access = HTTP_SESSION,
	 .flags = HTTP_ROUTE_WHOLE,
	 .body_bytes = BODY_BYTES,
	 .on_request = on_logout},
	{.method = "GET", .path = "/api/me", .access = HTTP_PERSON, .on_request = on_me},
	{.method = "POST",
	 .path = "/api/me/",
	 .access = HTTP_SESSION,
	 .flags = HTTP_ROUTE_WHOLE,
	 .body_bytes = BODY_BYTES,
	 .on_request = on_me_order},
	{0},
};
