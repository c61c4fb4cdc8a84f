/* What is told of accounts: lists, and how many people could log in today. Never a hash, a code or a secret. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/auth/orders.h"

enum { LIST_BYTES = 900 << 10, LINK_LIST_BYTES = 100 << 10 /* of a frame */ };

json_t *people_text_json(const char *text)
{
	json_t *j = json_string(text);

	return j ? j : json_string("?");
}

static json_t *aliases_json(const struct auth *a, const char *account)
{
	json_t *list = json_array();
	size_t cursor = 0;
	struct span address;
	void *value;

	while (map_next(&a->aliases, &cursor, &address, &value)) {
		const struct alias *x = value;

		for (size_t i = 0; i < x->targets_n; i++) {
			if (strcmp(x->targets[i], account) == 0)
				(void)json_array_append_new(list, people_text_json(x->address));
		}
	}
	return list;
}

static const char *kind_of(const struct account *account)
{
	return !account->verifier[0] ? "" : account->is_kept ? "kept" : "own";
}

static int sessions_count(const struct auth *a, const char *account)
{
	const struct session *x = sessions_of(&a->sessions, span_str(account), NULL);
	int n = 0;

	for (; x; x = sessions_of(&a->sessions, span_str(account), x))
		n++;
	return n;
}

json_t *people_sessions_json(const struct auth *a, struct span account, const struct session *mine)
{
	const struct session *x = sessions_of(&a->sessions, account, NULL);
	struct session_limits limits;
	char id[SESSION_ID_BYTES + 1];
	json_t *list = json_array();

	session_limits(a, &limits);
	for (; x; x = sessions_of(&a->sessions, account, x)) {
		if (session_is_over(x, &limits, auth_wall(a)))
			continue;
		session_id(x, id);
		(void)json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:b}", "id", id, "use",
				  session_use_name(x->use), "source", people_text_json(x->source),
				  "agent", people_text_json(x->agent), "made_us",
				  (json_int_t)x->made_us, "used_us", (json_int_t)x->used_us,
				  "until_us", (json_int_t)session_until(x, &limits), "is_this",
				  x == mine));
	}
	return json_pack("{s:o}", "sessions", list);
}

json_t *people_account_json(const struct auth *a, const struct account *account)
{
	json_t *apps = json_array(), *j;

	for (size_t i = 0; i < account->apps_n; i++)
		(void)json_array_append_new(apps, json_pack("{s:o, s:I}", "name",
							    people_text_json(account->apps[i].name),
							    "made_us",
							    (json_int_t)account->apps[i].made_us));
	j = json_pack(
		"{s:o, s:o, s:s, s:b, s:b, s:s, s:o, s:b, s:i, s:b, s:I, s:i, s:b, s:i}", "account",
		people_text_json(account->name), "name", people_text_json(account->display),
		"state", account_state_name(account->state), "can_log_in",
		account_is_enrolled(account, auth_wall(a), auth_verifier_age_us(a)), "passthrough",
		account->passthrough, "password", kind_of(account), "app_passwords", apps, "totp",
		account->totp_confirmed, "recovery_codes", (int)account->recovery_n, "invited",
		account->has_invitation && account->invitation_until_us > auth_wall(a), "made_us",
		(json_int_t)account->made_us, "failures",
		(int)throttle_failures(a->throttle, span_str(account->name)), "admin",
		account->is_admin, "sessions", sessions_count(a, account->name));
	if (account->is_kept)
		(void)json_object_set_new(j, "confirmed_us",
					  json_integer((json_int_t)account->confirmed_us));
	return j;
}

/* "" is all; else a part of the address or the name; "*" and "?" as everywhere. */
static bool is_wanted(const struct account *account, const char *match)
{
	return !*match || strcasestr(account->name, match) || strcasestr(account->display, match);
}

static int by_name(const void *x, const void *y)
{
	const struct member *const *l = x, *const *r = y;

	return strcmp((*l)->account.name, (*r)->account.name);
}

/* At most so many bytes. */
static json_t *groups_json(const struct auth *a, const char *match, size_t limit)
{
	json_t *list = json_array();
	size_t cursor = 0, bytes = 0;
	struct span address;
	void *value;

	while (bytes < limit && map_next(&a->aliases, &cursor, &address, &value)) {
		const struct alias *x = value;
		json_t *targets, *one;

		if (x->targets_n == 0 || (*match && !strcasestr(x->address, match)))
			continue;
		targets = json_array();
		for (size_t i = 0; i < x->targets_n; i++)
			(void)json_array_append_new(targets, people_text_json(x->targets[i]));
		one = json_pack("{s:o, s:o}", "address", people_text_json(x->address), "to",
				targets);
		bytes += json_dumpb(one, NULL, 0, JSON_COMPACT) + 1;
		(void)json_array_append_new(list, one);
	}
	return list;
}

void people_list(struct asker *c, struct span match, struct span after)
{
	struct auth *a = c->auth;
	struct member **members = must_alloc((a->members.n + 1) * sizeof *members);
	char wanted[LOGIN_NAME_LIMIT_BYTES + 1], text[120];
	json_t *list = json_array(), *root;
	size_t n = 0, cursor = 0, bytes = 0, left_out = 0;
	size_t limit = c->client ? LIST_BYTES : LINK_LIST_BYTES;
	struct buf out = {0};
	struct span name;
	void *value;

	(void)snprintf(wanted, sizeof wanted, "%.*s",
		       SPAN_FMT(span_first(match, LOGIN_NAME_LIMIT_BYTES)));
	while (map_next(&a->members, &cursor, &name, &value)) {
		if (((struct member *)value)->account.state != ACCOUNT_DELETED &&
		    span_cmp(name, after) > 0 &&
		    is_wanted(&((struct member *)value)->account, wanted))
			members[n++] = value;
	}
	qsort(members, n, sizeof(struct member *), by_name);
	for (size_t i = 0; i < n; i++) {
		json_t *one;

		if (bytes > limit) {
			left_out++;
			continue;
		}
		one = people_account_json(a, &members[i]->account);
		(void)json_object_set_new(one, "aliases",
					  aliases_json(a, members[i]->account.name));
		bytes += json_dumpb(one, NULL, 0, JSON_COMPACT) + 1;
		(void)json_array_append_new(list, one);
	}
	free(members);
	root = json_pack("{s:o, s:o, s:I, s:I}", "accounts", list, "aliases",
			 groups_json(a, wanted, limit / 4), "left_out", (json_int_t)left_out,
			 "damaged_files", (json_int_t)a->damaged);
	{
		char *dumped = json_dumps(root, JSON_COMPACT);

		buf_append(&out, span_str(dumped ? dumped : "{}"));
		free(dumped);
	}
	json_decref(root);
	(void)snprintf(text, sizeof text, "%zu account%s", n, n == 1 ? "" : "s");
	people_answer(c, true, text, &out);
	buf_fini(&out);
}

void people_enrolment(struct asker *c)
{
	struct auth *a = c->auth;
	size_t all = 0, enrolled = 0, invited = 0, cursor = 0;
	struct buf out = {0};
	char text[160];
	struct span name;
	void *value;

	while (map_next(&a->members, &cursor, &name, &value)) {
		const struct account *account = &((struct member *)value)->account;

		if (account->state != ACCOUNT_ACTIVE)
			continue;
		all++;
		if (account_is_enrolled(account, auth_wall(a), auth_verifier_age_us(a)))
			enrolled++;
		else if (account->has_invitation && account->invitation_until_us > auth_wall(a))
			invited++;
	}
	buf_printf(&out, "{\"accounts\":%zu,\"can_log_in\":%zu,\"invited\":%zu}", all, enrolled,
		   invited);
	(void)snprintf(text, sizeof text, "%zu of %zu people can log in while the primary is down",
		       enrolled, all);
	people_answer(c, true, text, &out);
	buf_fini(&out);
}
