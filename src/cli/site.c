/* holdfast site password, smarthost password: the passwords we have at other servers. auth keeps them, and tells nobody. */
#include "cli/people.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/control.h"
#include "ipc/msg.h"

enum { ANSWER_MS = 30000, ASK_MS = 3000 };

static int set(struct cli *c, const char *place)
{
	struct msg_server_password m = {.place = span_str(place), .verb = SPAN_LIT("set")};
	struct buf body = {0};

	if (cli_flag(c, "remove") && cli_flag(c, "password-stdin"))
		return cli_usage(c, "either --password-stdin or --remove");
	if (cli_flag(c, "remove"))
		m.verb = SPAN_LIT("remove");
	else if (!cli_password(c, false, &m.password))
		return CLI_NO;
	msg_server_password_encode(&body, &m);
	return cli_people_do(c, MSG_SERVER_PASSWORD, &body, ANSWER_MS);
}

int cmd_site_password(struct cli *c)
{
	if (c->words[0][0] == '@')
		return cli_usage(c, "`%s` is no site", c->words[0]);
	return set(c, c->words[0]);
}

int cmd_smarthost_password(struct cli *c)
{
	return set(c, "@smarthost");
}

static bool may_see(const char *data, const struct msg_site *site, int *out_errno)
{
	struct buf path = {0};
	bool is_there;

	buf_printf(&path, "%s/secrets/auth/sites/%.*s/master-password", data, SPAN_FMT(site->name));
	is_there = access(buf_cstr(&path), F_OK) == 0;
	*out_errno = is_there ? 0 : errno;
	buf_fini(&path);
	return is_there;
}

enum cli_has cli_site_has_password(struct cli *c, const char *data, const struct msg_site *site)
{
	const struct msg_server_password m = {.place = site->name, .verb = SPAN_LIT("ask")};
	struct msg_people_answer answer = {0};
	enum cli_has has = CLI_UNKNOWN;
	struct buf body = {0};
	json_t *json = NULL;
	int error;

	msg_server_password_encode(&body, &m);
	if (people_ask(c, data, MSG_SERVER_PASSWORD, buf_span(&body), ASK_MS, &answer, NULL) ==
		    OK &&
	    answer.ok)
		json = json_loadb((const char *)answer.json.p, answer.json.n, 0, NULL);
	buf_fini(&body);
	if (json)
		has = json_is_true(json_object_get(json, "is_set")) ? CLI_HAS : CLI_LACKS;
	else if (may_see(data, site, &error))
		has = CLI_HAS;
	else if (error == ENOENT)
		has = CLI_LACKS;
	json_decref(json);
	return has;
}
