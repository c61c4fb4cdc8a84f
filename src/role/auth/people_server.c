/*
 * The passwords we have at servers: `holdfast site password`, `holdfast smarthost password`. The file is replaced first, then
 * the ACT appended; killed between, the password holds and the operator, who was not told, gives it again. What is asked about
 * them is whether there is one, never which.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "config/suggest.h"
#include "role/auth/orders.h"

struct server_order {
	struct auth *auth;
	uint64_t asker;
	char text[400];
	struct buf json;
};

static bool is_smarthost(struct span place)
{
	return span_eq(place, SPAN_LIT(CREDENTIAL_SMARTHOST));
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct server_order *o = arg;

	people_answer(asker_find(o->auth, o->asker), true,
		      is_recorded ? o->text
				  : "done, but the ledger could not be written to record it",
		      &o->json);
	buf_fini(&o->json);
	free(o);
}

/* Why there is no place for a password: no such site, or it names no user. */
static void no_user(const struct auth *a, struct span place, struct fault *why)
{
	struct arena names = {0};
	bool is_site = false;
	struct suggest s;

	suggest_begin(&s, place);
	for (size_t i = 0; i < a->config->sites_n; i++) {
		is_site |= span_eq(place, a->config->sites[i].name);
		suggest_offer(&s, arena_str(&names, a->config->sites[i].name));
	}
	if (is_smarthost(place))
		fault_set(why, "there is no user to log in as: name `smarthost.user` in the "
			       "configuration and reload first");
	else if (is_site)
		fault_set(why,
			  "the site %.*s has no master user: name `master` in the configuration "
			  "and reload first",
			  SPAN_FMT(place));
	else if (s.best)
		fault_set(
			why,
			"there is no site `%.*s` in the running configuration; did you mean `%s`?",
			SPAN_FMT(place), s.best);
	else
		fault_set(why, "there is no site `%.*s` in the running configuration",
			  SPAN_FMT(place));
	arena_fini(&names);
}

static void answer_json(struct span place, struct span user, bool is_set, struct buf *out)
{
	json_t *j = json_pack("{s:s%, s:s%, s:b}", "place", (const char *)place.p, place.n, "user",
			      (const char *)user.p, user.n, "is_set", is_set);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (text)
		buf_append(out, span_str(text));
	free(text);
	json_decref(j);
}

static void tell(struct asker *c, struct span place, struct span user)
{
	struct auth *a = c->auth;
	struct buf password = {0}, json = {0};
	bool is_set = credential_password(a, place, &password);

	secret_wipe_buf(&password);
	answer_json(place, user, is_set, &json);
	people_answer(c, true, is_set ? "there is one" : "there is none", &json);
	buf_fini(&json);
}

static bool is_one_line(struct span password)
{
	return password.n > 0 && password.n <= LOGIN_PASSWORD_LIMIT_BYTES &&
	       span_chr(password, '\n') < 0 && span_chr(password, '\r') < 0 &&
	       span_chr(password, '\0') < 0;
}

static void change(struct asker *c, const struct msg_server_password *m, struct span user,
		   bool sets)
{
	struct auth *a = c->auth;
	struct span where = is_smarthost(m->place) ? SPAN_LIT("smarthost") : m->place;
	struct server_order *o;
	struct fault why = {""};

	if (!credential_put(a, m->place, sets ? m->password : SPAN_NONE, &why)) {
		people_answer(c, false, why.text, NULL);
		return;
	}
	o = must_alloc(sizeof *o);
	o->auth = a;
	o->asker = c->number;
	answer_json(m->place, user, sets, &o->json);
	(void)snprintf(o->text, sizeof o->text, "%.*s: the password of %.*s is %s", SPAN_FMT(where),
		       SPAN_FMT(span_first(user, 200)), sets ? "kept" : "forgotten");
	books_act(a, is_smarthost(m->place) ? "smarthost.password" : "site.password", m->place,
		  sets ? SPAN_LIT("set") : SPAN_LIT("remove"), c->who, on_recorded, o);
}

bool people_server(struct asker *c, const struct msg_server_password *m)
{
	bool sets = span_eq(m->verb, SPAN_LIT("set"));
	struct fault why = {""};
	struct span user;

	if (!sets && !span_eq(m->verb, SPAN_LIT("ask")) && !span_eq(m->verb, SPAN_LIT("remove")))
		return false;
	if (!credential_user(c->auth, m->place, &user)) {
		no_user(c->auth, m->place, &why);
		people_answer(c, false, why.text, NULL);
	} else if (sets && !is_one_line(m->password)) {
		people_answer(c, false, "a password is one line of 1 to 1,024 bytes", NULL);
	} else if (span_eq(m->verb, SPAN_LIT("ask"))) {
		tell(c, m->place, user);
	} else {
		change(c, m, user, sets);
	}
	return true;
}
