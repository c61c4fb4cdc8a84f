/* holdfast user invite: a code for one person, or for all who could not log in now. Codes are printed once and nowhere kept. */
#include "cli/control.h"
#include "cli/people.h"

#include "ipc/msg.h"

enum { ANSWER_MS = 30000 };

struct inviting {
	struct cli *c;
	const char *data;
	uint64_t for_ms;
	json_t *made, *failed;
	struct span *wanted;
	size_t n, cap;
};

static bool is_set(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void want(struct inviting *v, const char *account)
{
	if (v->n == v->cap) {
		size_t cap = v->cap ? 2 * v->cap : 64;
		struct span *more = arena_array(&v->c->arena, cap, sizeof *more);

		if (v->n)
			memcpy(more, v->wanted, v->n * sizeof *more);
		v->wanted = more;
		v->cap = cap;
	}
	v->wanted[v->n++] = arena_span(&v->c->arena, span_str(account));
}

/* One page of accounts; *after moves on to its last one. MORE: there are further ones. */
static enum rc take_page(struct inviting *v, struct span *after, struct fault *why)
{
	struct msg_user_list m = {.after = *after};
	struct msg_people_answer answer;
	struct buf body = {0};
	json_t *root = NULL;
	const json_t *list, *each;
	size_t i;
	bool more;
	enum rc rc;

	msg_user_list_encode(&body, &m);
	rc = people_ask(v->c, v->data, MSG_USER_LIST, buf_span(&body), ANSWER_MS, &answer, why);
	buf_fini(&body);
	if (rc == OK)
		root = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	if (rc == OK && !json_is_object(root))
		fault_set(why, "the auth role gave an answer that makes no sense");
	list = json_object_get(root, "accounts");
	json_array_foreach(list, i, each)
	{
		if (!strcmp(text_of(each, "state"), "active") && !is_set(each, "can_log_in"))
			want(v, text_of(each, "account"));
		*after = arena_span(&v->c->arena, span_str(text_of(each, "account")));
	}
	more = json_integer_value(json_object_get(root, "left_out")) > 0 && json_array_size(list);
	rc = json_is_object(root) ? (more ? MORE : OK) : rc == OK ? BROKEN : rc;
	json_decref(root);
	return rc;
}

static void invite_one(struct inviting *v, struct span account)
{
	struct msg_user_invite m = {.account = account, .for_ms = v->for_ms};
	struct msg_people_answer answer = {0};
	struct fault why = {0};
	struct buf body = {0};
	json_t *o = NULL;

	msg_user_invite_encode(&body, &m);
	if (people_ask(v->c, v->data, MSG_USER_INVITE, buf_span(&body), ANSWER_MS, &answer, &why) !=
	    OK)
		answer.text = span_str(why.text);
	else if (answer.ok)
		o = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	buf_fini(&body);
	if (json_is_object(o)) {
		(void)json_object_set_new(o, "account", report_text(account));
		(void)json_array_append_new(v->made, o);
		return;
	}
	json_decref(o);
	(void)json_array_append_new(v->failed,
				    json_pack("{s:o, s:o}", "account", report_text(account), "text",
					      report_text(answer.text)));
}

static int print_all(struct inviting *v)
{
	bool ok = json_array_size(v->failed) == 0;
	const json_t *o;
	size_t i;

	if (v->c->is_json) {
		cli_print_json(json_pack("{s:b, s:O, s:O}", "ok", (int)ok, "invitations", v->made,
					 "failed", v->failed));
		return ok ? CLI_FINE : CLI_NO;
	}
	json_array_foreach(v->made, i, o)(void)
		printf("%-40s  %s\n", text_of(o, "account"), text_of(o, "code"));
	json_array_foreach(v->failed, i, o)(void)
		cli_no(v->c, "%s: %s", text_of(o, "account"), text_of(o, "text"));
	return ok ? CLI_FINE : CLI_NO;
}

static bool find_wanted(struct inviting *v)
{
	struct span after = SPAN_NONE;
	struct fault why = {0};
	enum rc rc;

	do
		rc = take_page(v, &after, &why);
	while (rc == MORE);
	if (rc != OK && v->c->is_json)
		cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", why.text));
	if (rc != OK)
		(void)cli_no(v->c, "%s", why.text);
	return rc == OK;
}

static int invite_all(struct cli *c, uint64_t for_ms)
{
	struct inviting v = {
		.c = c, .for_ms = for_ms, .made = json_array(), .failed = json_array()};
	struct msg_config config = {0};
	char question[160];
	bool is_complete;
	int result = CLI_NO;

	if (cli_find_data(c, &v.data, &config, &is_complete) && find_wanted(&v)) {
		(void)snprintf(question, sizeof question,
			       "Make codes for %zu who cannot log in? Earlier ones of theirs end.",
			       v.n);
		if (v.n == 0 || cli_confirm(c, question)) {
			for (size_t i = 0; i < v.n; i++)
				invite_one(&v, v.wanted[i]);
			result = print_all(&v);
		}
	}
	json_decref(v.made);
	json_decref(v.failed);
	return result;
}

int cmd_user_invite(struct cli *c)
{
	struct msg_user_invite m = {0};
	struct buf body = {0};

	if (!cli_duration(c, "for", &m.for_ms))
		return CLI_USAGE;
	if (cli_flag(c, "all") == (c->words_n > 0))
		return cli_usage(c, "say whom: an ADDRESS, or --all who cannot log in");
	if (cli_flag(c, "all"))
		return invite_all(c, m.for_ms);
	m.account = span_str(c->words[0]);
	msg_user_invite_encode(&body, &m);
	return cli_people_do(c, MSG_USER_INVITE, &body, ANSWER_MS);
}
