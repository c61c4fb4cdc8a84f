/*
 * Which handler, and may this request come to it (E3). A browser sends cookies with what other sites make it send; what tells
 * ours from theirs is Sec-Fetch-Site, Origin, a type that no form can have, and a token that no other site can read. All that
 * is there is checked, for every kind of credential; the token must be there with a cookie.
 */
#include <sodium.h>
#include <stdlib.h>

#include "role/common/http_internal.h"

/* ---- the table ---- */

static bool path_fits(const struct http_route *r, struct span path)
{
	struct span own = span_str(r->path);

	return own.p[own.n - 1] == '/' && own.n > 1 ? span_starts(path, own) : span_eq(path, own);
}

/* The longest path of all, then the method. *out_other: the path is there with other methods. */
static const struct http_route *find(const struct http_host *h, const struct http_ask *ask,
				     const struct http_route **out_other)
{
	const struct http_route *best = NULL, *other = NULL;
	size_t n = 0;

	for (size_t t = 0; h->options->routes[t]; t++) {
		for (const struct http_route *r = h->options->routes[t]; r->path; r++) {
			size_t own = strlen(r->path);

			if (own < n || !path_fits(r, ask->path))
				continue;
			if (own > n)
				best = NULL;
			n = own;
			other = r;
			if (span_eq(ask->method, span_str(r->method)))
				best = r;
		}
	}
	*out_other = other;
	return best;
}

static void refuse_method(struct http_exchange *x, const struct http_route *other)
{
	bool is_get = strcmp(other->method, "GET") == 0;
	const struct http_field allow = {SPAN_LIT("Allow"),
					 is_get ? SPAN_LIT("GET, HEAD") : span_str(other->method)};
	const struct http_response r = {.status = 405,
					.type = SPAN_LIT("application/problem+json"),
					.fields = &allow,
					.fields_n = 1};

	http_count(HTTP_REFUSED, 1);
	exchange_answer(x, &r,
			SPAN_LIT("{\"type\":\"method\",\"status\":405,\"title\":\"This is not done "
				 "here\"}"));
}

/* ---- is it forged? ---- */

static void refuse(struct http_exchange *x, const char *title)
{
	http_count(HTTP_REFUSED, 1);
	exchange_problem(x, 403, "forbidden", title);
}

/* "https://mail.example.org:8443" against the Host of the request. */
static bool is_origin_ours(const struct http_exchange *x, struct span origin)
{
	struct span scheme = x->ask.is_secure ? SPAN_LIT("https://") : SPAN_LIT("http://");

	return x->ask.host.n && span_starts(origin, scheme) &&
	       span_eq_nocase(span_from(origin, scheme.n), x->ask.host);
}

static bool is_change(const struct http_exchange *x)
{
	return !span_eq(x->ask.method, SPAN_LIT("GET"));
}

/* What a browser says of where the request comes from; other programs say nothing. */
static bool comes_from_us(const struct http_exchange *x)
{
	struct span site = exchange_field(x, "sec-fetch-site"),
		    origin = exchange_field(x, "origin");

	if (site.n && !span_eq(site, SPAN_LIT("same-origin")) &&
	    (is_change(x) || !span_eq(site, SPAN_LIT("none"))))
		return false;
	return !http_request_count(&x->head, "origin") || is_origin_ours(x, origin);
}

static bool has_token(const struct http_exchange *x)
{
	struct span said = exchange_field(x, "x-holdfast-token");

	return x->person && said.n == HTTP_TOKEN_BYTES && x->person->token.n == said.n &&
	       sodium_memcmp(said.p, x->person->token.p, said.n) == 0;
}

static bool is_type_fine(const struct http_exchange *x)
{
	return (x->route->flags & HTTP_ROUTE_ANY_TYPE) || x->route->body_bytes == 0 ||
	       span_eq(x->ask.type, SPAN_LIT("application/json"));
}

/* ---- the way in ---- */

static void refuse_nobody(struct http_exchange *x)
{
	/* Browsers would ask for a password in a window of their own: they say Sec-Fetch-Site, and are not asked that way. */
	bool asks = x->host->options->takes_passwords && !exchange_field(x, "sec-fetch-site").n;
	struct http_field fields[2];
	struct http_response r = {
		.status = 401, .type = SPAN_LIT("application/problem+json"), .fields = fields};

	if (asks)
		fields[r.fields_n++] =
			(struct http_field){SPAN_LIT("WWW-Authenticate"),
					    SPAN_LIT("Basic realm=\"Holdfast\", charset=\"UTF-8\", "
						     "Bearer realm=\"Holdfast\"")};
	if (x->by_cookie)
		fields[r.fields_n++] = (struct http_field){
			SPAN_LIT("Set-Cookie"),
			exchange_cookie(x, x->host->options->cookie, SPAN_NONE, 0)};
	http_count(HTTP_REFUSED, 1);
	exchange_answer(
		x, &r,
		SPAN_LIT("{\"type\":\"unauthorized\",\"status\":401,\"title\":\"Log in first\"}"));
}

void http_route_later(struct http_exchange *x, bool too_many)
{
	if (too_many)
		exchange_problem(x, 429, "throttled", login_text(LOGIN_THROTTLED));
	else
		exchange_problem(x, 503, "unavailable",
				 "Who you are cannot be checked at the moment; try again soon");
}

void http_route_admit(struct http_exchange *x, struct http_person *person)
{
	if (!x->c)
		return;
	x->person = person;
	x->ask.person = person;
	if (person) {
		http_person_hold(person);
	}
	if (x->route->access != HTTP_OPEN && !person)
		refuse_nobody(x);
	else if (person && !http_conn_enter(x->c, person->account))
		exchange_problem(x, 429, "too-many-connections",
				 "This account has too many connections");
	else if (is_change(x) && x->by_cookie && !has_token(x))
		refuse(x, "The request does not carry its session's token");
	else
		http_exchange_open(x);
}

static void knock(struct http_exchange *x)
{
	struct http_person *p = NULL;

	switch (http_person_knock(x, &p)) {
	case KNOCK_NOBODY:
	case KNOCK_KNOWN:
		http_route_admit(x, p);
		http_person_drop(p);
		return;
	case KNOCK_ASKED:
		return;
	case KNOCK_LATER:
		break;
	}
	http_route_later(x, false);
}

static bool is_fetch(const struct http_exchange *x)
{
	return span_eq(x->ask.method, SPAN_LIT("GET"));
}

void http_route_find(struct http_exchange *x)
{
	const struct http_route *other;

	x->route = find(x->host, &x->ask, &other);
	if (!x->route && other) {
		refuse_method(x, other);
		return;
	}
	if (!x->route) {
		if (!is_fetch(x) || !http_files_answer(x->host->files, x))
			exchange_problem(x, 404, "not-found", "There is nothing here");
		return;
	}
	if (span_str(x->route->path).p[strlen(x->route->path) - 1] == '/')
		x->ask.rest = span_from(x->ask.path, strlen(x->route->path));
	if (!comes_from_us(x))
		refuse(x, "The request comes from another site");
	else if (is_change(x) && !is_type_fine(x))
		refuse(x, "The request is not of the type application/json");
	else if (x->route->access == HTTP_OPEN)
		http_route_admit(x, NULL);
	else
		knock(x);
}
