/* holdfast user list, user show, user sessions. */
#include "cli/control.h"
#include "cli/people.h"

#include "ipc/msg.h"
#include "os/os.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static bool is_set(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static uint64_t number_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* What they would log in with today. */
static const char *login_of(const json_t *o)
{
	const char *password = text_of(o, "password");

	if (strcmp(text_of(o, "state"), "active") != 0)
		return text_of(o, "state");
	if (!is_set(o, "can_log_in") && is_set(o, "invited"))
		return "invited";
	if (!is_set(o, "can_log_in"))
		return is_set(o, "passthrough") ? "not seen yet" : "no password";
	if (strcmp(password, "kept") == 0)
		return "primary's, kept";
	return *password ? "own password" : "app password";
}

static void print_row(const struct cli *c, const json_t *o)
{
	bool good = is_set(o, "can_log_in");
	struct buf line = {0};

	term_cell(&line, span_str(text_of(o, "account")), 36, false);
	buf_append(&line, SPAN_LIT("  "));
	buf_append(&line, span_str(term_on(&c->term, good ? INK_GREEN : INK_YELLOW)));
	term_cell(&line, span_str(login_of(o)), 16, false);
	buf_append(&line, span_str(term_off(&c->term, good ? INK_GREEN : INK_YELLOW)));
	buf_append(&line, SPAN_LIT("  "));
	term_put(&line, span_str(text_of(o, "name")), 40);
	(void)printf("%s\n", buf_cstr(&line));
	buf_fini(&line);
}

static void print_words(const char *title, const json_t *list, const char *key)
{
	size_t i;
	const json_t *each;

	if (json_array_size(list) == 0)
		return;
	(void)printf("  %-16s", title);
	json_array_foreach(list, i, each)
	{
		struct buf word = {0};

		term_put(&word, span_str(key ? text_of(each, key) : json_string_value(each)), 200);
		(void)printf("%s%s", i ? ", " : "", buf_cstr(&word));
		buf_fini(&word);
	}
	(void)printf("\n");
}

static void print_one(const struct cli *c, const json_t *o)
{
	uint64_t now = os_wall_us(os_real());
	struct term_text t;

	(void)printf("%s\n", text_of(o, "account"));
	if (*text_of(o, "name")) {
		struct buf name = {0};

		term_put(&name, span_str(text_of(o, "name")), 200);
		(void)printf("  %-16s%s\n", "name", buf_cstr(&name));
		buf_fini(&name);
	}
	(void)printf("  %-16s%s%s%s\n", "login",
		     term_on(&c->term, is_set(o, "can_log_in") ? INK_GREEN : INK_YELLOW),
		     login_of(o),
		     term_off(&c->term, is_set(o, "can_log_in") ? INK_GREEN : INK_YELLOW));
	if (number_of(o, "confirmed_us"))
		(void)printf("  %-16s%s\n", "primary said so",
			     term_time(&t, number_of(o, "confirmed_us"), now));
	(void)printf("  %-16s%s\n", "made", term_time(&t, number_of(o, "made_us"), now));
	if (is_set(o, "invited"))
		(void)printf("  %-16sa code that was not used yet\n", "invited");
	print_words("aliases", json_object_get(o, "aliases"), NULL);
	print_words("app passwords", json_object_get(o, "app_passwords"), "name");
	if (is_set(o, "totp"))
		(void)printf("  %-16s%llu recovery codes left\n", "second factor",
			     (unsigned long long)number_of(o, "recovery_codes"));
	if (is_set(o, "admin"))
		(void)printf("  %-16sof the operator's console\n", "administrator");
	if (number_of(o, "sessions"))
		(void)printf("  %-16s%llu: holdfast user sessions %s\n", "browsers",
			     (unsigned long long)number_of(o, "sessions"), text_of(o, "account"));
	if (number_of(o, "failures"))
		(void)printf("  %-16s%llu wrong passwords lately\n", "throttle",
			     (unsigned long long)number_of(o, "failures"));
}

/* Takes the body. False: printed. */
static bool fetch_of(struct cli *c, unsigned type, struct buf *body, json_t **out)
{
	struct msg_people_answer answer;
	struct msg_config config = {0};
	struct fault why = {0};
	const char *data;
	bool is_complete;
	enum rc rc = REFUSED;

	*out = NULL;
	if (cli_find_data(c, &data, &config, &is_complete))
		rc = people_ask(c, data, type, buf_span(body), 30000, &answer, &why);
	else
		return buf_fini(body), false;
	buf_fini(body);
	if (rc == OK && !answer.ok)
		fault_set(&why, "%.*s", SPAN_FMT(answer.text));
	else if (rc == OK)
		*out = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	if (json_is_object(*out))
		return true;
	json_decref(*out);
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", why.text));
	(void)cli_no(c, "%s",
		     why.text[0] ? why.text : "the auth role gave an answer that makes no sense");
	return false;
}

static bool fetch(struct cli *c, const char *match, json_t **out)
{
	struct msg_user_list m = {.match = span_str(match)};
	struct buf body = {0};

	msg_user_list_encode(&body, &m);
	return fetch_of(c, MSG_USER_LIST, &body, out);
}

int cmd_user_list(struct cli *c)
{
	json_t *root, *list;
	const json_t *each;
	size_t i, good = 0;

	if (!fetch(c, c->words_n ? c->words[0] : "", &root))
		return CLI_NO;
	if (c->is_json) {
		(void)json_object_set_new(root, "ok", json_true());
		cli_print_json(root);
		return CLI_FINE;
	}
	list = json_object_get(root, "accounts");
	json_array_foreach(list, i, each)
	{
		print_row(c, each);
		good += is_set(each, "can_log_in");
	}
	json_array_foreach(json_object_get(root, "aliases"), i, each)
	{
		(void)printf("%s -> ", text_of(each, "address"));
		for (size_t k = 0; k < json_array_size(json_object_get(each, "to")); k++)
			(void)printf(
				"%s%s", k ? ", " : "",
				json_string_value(json_array_get(json_object_get(each, "to"), k)));
		(void)printf("\n");
	}
	if (c->words_n && !i && !json_array_size(list))
		(void)printf("nothing has `%s` in its address\n", c->words[0]);
	else
		(void)printf("%zu of %zu can log in%s\n", good, json_array_size(list),
			     number_of(root, "left_out")
				     ? "; there are more: name a part of the address"
				     : "");
	json_decref(root);
	return CLI_FINE;
}

int cmd_user_show(struct cli *c)
{
	const json_t *each;
	json_t *root;
	size_t i;

	if (!fetch(c, c->words[0], &root))
		return CLI_NO;
	json_array_foreach(json_object_get(root, "accounts"), i, each)
	{
		if (strcasecmp(text_of(each, "account"), c->words[0]) != 0)
			continue;
		if (c->is_json)
			cli_print_json(json_deep_copy(each));
		else
			print_one(c, each);
		json_decref(root);
		return CLI_FINE;
	}
	json_decref(root);
	if (c->is_json)
		cli_print_json(
			json_pack("{s:b, s:s}", "ok", false, "text", "there is no such account"));
	return cli_no(c, "there is no account `%s`; `holdfast user list` shows them", c->words[0]);
}

static void print_session(const json_t *o)
{
	uint64_t now = os_wall_us(os_real());
	struct term_text since, used;
	struct buf line = {0};

	term_cell(&line, span_str(text_of(o, "id")), 14, false);
	term_cell(&line, span_str(text_of(o, "use")), 8, false);
	term_cell(&line, span_str(text_of(o, "source")), 24, false);
	buf_append(&line, SPAN_LIT("  "));
	term_put(&line, span_str(text_of(o, "agent")), 120);
	(void)printf("%s\n  since %s, used %s\n", buf_cstr(&line),
		     term_time(&since, number_of(o, "made_us"), now),
		     term_time(&used, number_of(o, "used_us"), now));
	buf_fini(&line);
}

int cmd_user_sessions(struct cli *c)
{
	struct msg_user_sessions m = {.account = span_str(c->words[0]), .ends = cli_flag(c, "end")};
	struct buf body = {0};
	const json_t *list, *each;
	json_t *root;
	size_t i;

	msg_user_sessions_encode(&body, &m);
	if (m.ends)
		return cli_people_do(c, MSG_USER_SESSIONS, &body, 30000);
	if (!fetch_of(c, MSG_USER_SESSIONS, &body, &root))
		return CLI_NO;
	list = json_object_get(root, "sessions");
	if (c->is_json) {
		(void)json_object_set_new(root, "ok", json_true());
		cli_print_json(root);
		return CLI_FINE;
	}
	json_array_foreach(list, i, each) print_session(each);
	if (json_array_size(list) == 0)
		(void)printf("%s is logged in nowhere with a browser\n", c->words[0]);
	json_decref(root);
	return CLI_FINE;
}
