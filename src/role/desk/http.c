/*
 * The listener https: the portal's files, logins (role/common/http_api.c), what the portal asks before and beside JMAP. JMAP itself
 * is jmap.c, push http_events.c.
 */
#include "role/desk/http.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/internal.h"

static json_t *string(struct span s)
{
	json_t *v = json_stringn((const char *)(s.p ? s.p : (const unsigned char *)""), s.n);

	return v ? v : json_string("");
}

void desk_http_json(struct http_exchange *x, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	must(text);
	exchange_json(x, 200, span_str(text));
	free(text);
	json_decref(object);
}

/* ---- /api/portal: what everybody may know ---- */

static json_t *contacts(const struct msg_portal *p)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->contacts_n; i++) {
		const struct msg_contact *c = &p->contacts[i];
		json_t *one = json_object();

		(void)json_object_set_new(one, "name", string(c->name));
		if (c->phone.n)
			(void)json_object_set_new(one, "phone", string(c->phone));
		if (c->mail.n)
			(void)json_object_set_new(one, "mail", string(c->mail));
		if (c->note.n)
			(void)json_object_set_new(one, "note", string(c->note));
		(void)json_array_append_new(all, one);
	}
	return all;
}

/* language -> name -> text */
static json_t *words(const struct msg_portal *p)
{
	json_t *all = json_object();

	for (size_t i = 0; i < p->words_n; i++) {
		const struct msg_words *w = &p->words[i];
		json_t *of;
		char language[16];

		if (w->language.n >= sizeof language)
			continue;
		memcpy(language, w->language.p, w->language.n);
		language[w->language.n] = '\0';
		of = json_object_get(all, language);
		if (!of) {
			of = json_object();
			(void)json_object_set_new(all, language, of);
		}
		(void)json_object_setn_new_nocheck(of, (const char *)w->name.p, w->name.n,
						   string(w->text));
	}
	return all;
}

static void on_portal(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	const struct msg_portal *p = &role_config(d->role)->portal;
	json_t *o = json_object();

	(void)ask;
	(void)json_object_set_new(o, "organisation", string(p->organisation));
	(void)json_object_set_new(o, "contacts", contacts(p));
	(void)json_object_set_new(o, "words", words(p));
	(void)json_object_set_new(o, "outage", json_string(desk_outage(d)));
	(void)json_object_set_new(o, "version", json_string(HOLDFAST_VERSION));
	desk_http_json(x, o);
}

/* ---- /api/now ---- */

static void on_now(struct http_exchange *x, const struct http_ask *ask)
{
	struct desk *d = http_host_arg(exchange_host(x));
	struct buf out = {0};

	if (desk_now(d, ask->person->account, &out))
		exchange_json(x, 200, buf_span(&out));
	else
		exchange_problem(x, 503, "unavailable",
				 "It is being found out; ask again in a moment");
	buf_fini(&out);
}

/* ---- /api/me: where the first list is, so that it is asked for at once ---- */

static void add_inbox(void *arg, struct span account, struct json_t *me)
{
	struct desk *d = arg;
	struct mail_box box;
	struct fault why = {0};
	uint64_t id;

	if (desk_store_account(d, account, &id, &why) != OK || desk_views_enter(d, &why) != OK)
		return;
	if (desk_views_leave(d, views_box_by_name(d->views, id, SPAN_LIT("INBOX"), &box, &why)) ==
	    OK)
		(void)json_object_set_new(me, "inbox",
					  json_sprintf("F%llu", (unsigned long long)box.id));
}

/* ---- the host ---- */

static const struct http_route routes[] = {
	{.method = "GET", .path = "/api/portal", .access = HTTP_OPEN, .on_request = on_portal},
	{.method = "GET", .path = "/api/now", .access = HTTP_PERSON, .on_request = on_now},
	{0},
};

void desk_http_start(struct desk *d)
{
	static const struct http_route *const tables[] = {http_api_routes, desk_jmap_routes,
							  desk_event_routes, routes, NULL};
	static struct http_host_options options = {
		.use = "portal",
		.cookie = "__Host-holdfast",
		.files = "portal",
		.key_id = "desk-https",
		.takes_passwords = true,
		.routes = tables,
		.add_me = add_inbox,
	};

	options.arg = d;
	d->http = http_host_new(d->role, &options);
}
