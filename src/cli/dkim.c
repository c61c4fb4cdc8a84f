/*
 * holdfast dkim ...: keys that sign outgoing mail. auth makes and keeps them; here are the DNS records to publish, as
 * lines of a zone file.
 */
#include "cli/control.h"

#include "base/must.h"
#include "ipc/msg.h"

enum { ANSWER_MS = 30000, STRING_MOST = 255 };

/* A TXT record's strings have at most 255 bytes (RFC 1035 s3.3.14). */
static void print_record(const char *name, const char *value)
{
	size_t n = strlen(value);

	(void)printf("%s. IN TXT (", name);
	for (size_t at = 0; at < n; at += STRING_MOST)
		(void)printf(" \"%.*s\"", (int)STRING_MOST, value + at);
	(void)printf(" )\n");
}

static void print_keys(const json_t *json, bool has_hint)
{
	const json_t *key;
	size_t i;

	if (json_array_size(json_object_get(json, "keys")) == 0) {
		(void)printf("There are no keys. Make them with: holdfast dkim create DOMAIN\n");
		return;
	}
	if (has_hint)
		(void)printf("Publish these records; mail is signed from now on:\n");
	json_array_foreach(json_object_get(json, "keys"), i, key)
	{
		const char *name = json_string_value(json_object_get(key, "name"));
		const char *value = json_string_value(json_object_get(key, "value"));

		if (name && value)
			print_record(name, value);
	}
}

static int ask(struct cli *c, unsigned type, struct buf *body, bool has_hint)
{
	struct msg_people_answer answer;
	struct msg_config config = {0};
	struct fault why = {0};
	const char *data;
	bool is_complete;
	json_t *json;
	enum rc rc = REFUSED;

	if (cli_find_data(c, &data, &config, &is_complete))
		rc = people_ask(c, data, type, buf_span(body), ANSWER_MS, &answer, &why);
	buf_fini(body);
	if (rc != OK || !answer.ok) {
		const char *text = rc == OK ? arena_str(&c->arena, answer.text) : why.text;

		if (c->is_json)
			cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", text));
		return cli_no(c, "%s", text);
	}
	json = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		return cli_no(c, "the answer of auth could not be read");
	}
	if (c->is_json) {
		(void)json_object_set_new(json, "ok", json_true());
		cli_print_json(json);
		return CLI_FINE;
	}
	print_keys(json, has_hint);
	json_decref(json);
	return CLI_FINE;
}

int cmd_dkim_create(struct cli *c)
{
	const char *selector = cli_value(c, "selector"), *algorithm = cli_value(c, "algorithm");
	struct span algorithms[1] = {span_str(algorithm)};
	struct msg_dkim_create m = {.domain = span_str(c->words[0]),
				    .selector = span_str(selector),
				    .algorithms = algorithms,
				    .algorithms_n = algorithm && algorithm[0] ? 1 : 0};
	struct buf body = {0};

	if (m.algorithms_n && !span_eq(algorithms[0], SPAN_LIT("rsa-sha256")) &&
	    !span_eq(algorithms[0], SPAN_LIT("ed25519-sha256")))
		return cli_usage(c, "--algorithm is rsa-sha256 or ed25519-sha256, not `%s`",
				 algorithm);
	msg_dkim_create_encode(&body, &m);
	return ask(c, MSG_DKIM_CREATE, &body, true);
}

int cmd_dkim_list(struct cli *c)
{
	struct msg_dkim_list m = {.domain = span_str(c->words_n ? c->words[0] : "")};
	struct buf body = {0};

	msg_dkim_list_encode(&body, &m);
	return ask(c, MSG_DKIM_LIST, &body, false);
}
