/*
 * holdfast user ...: people, their aliases and passwords. All of it is asked of auth, which needs nothing else to run.
 */
#include "cli/people.h"

#include <errno.h>

#include "ipc/msg.h"
#include "ipc/stream_frame.h"

enum { ANSWER_MS = 30000, IMPORT_MS = 3600000, CSV_BYTES = STREAM_FRAME_LIMIT_BYTES - 1024 };

/* ---- the commands ---- */

int cmd_user_add(struct cli *c)
{
	struct msg_user_add m = {.account = span_str(c->words[0]),
				 .name = span_str(cli_value(c, "name")),
				 .passthrough = cli_flag(c, "passthrough"),
				 .short_ok = cli_flag(c, "allow-short")};
	struct buf body = {0};

	if (m.passthrough && cli_flag(c, "password-stdin"))
		return cli_usage(c, "either a password of its own or --passthrough");
	if (!m.passthrough && !cli_flag(c, "no-password") && !cli_password(c, true, &m.password))
		return CLI_NO;
	msg_user_add_encode(&body, &m);
	return cli_people_do(c, MSG_USER_ADD, &body, ANSWER_MS);
}

int cmd_user_passwd(struct cli *c)
{
	struct msg_user_password m = {.account = span_str(c->words[0]),
				      .short_ok = cli_flag(c, "allow-short")};
	struct buf body = {0};

	if (!cli_password(c, false, &m.password))
		return CLI_NO;
	msg_user_password_encode(&body, &m);
	return cli_people_do(c, MSG_USER_PASSWORD, &body, ANSWER_MS);
}

static int set(struct cli *c, const char *account, const char *verb, const char *argument)
{
	struct msg_user_set m = {.account = span_str(account),
				 .verb = span_str(verb),
				 .argument = span_str(argument)};
	struct buf body = {0};

	msg_user_set_encode(&body, &m);
	return cli_people_do(c, MSG_USER_SET, &body, ANSWER_MS);
}

/* enable, disable, delete: the command's second word is the verb. */
int cmd_user_state(struct cli *c)
{
	const char *verb = c->command->name + sizeof "user " - 1;
	char question[400];

	(void)snprintf(question, sizeof question,
		       "Delete the account %s? Its mail stays in the ledger.", c->words[0]);
	if (strcmp(verb, "delete") == 0 && !cli_confirm(c, question))
		return CLI_NO;
	return set(c, c->words[0], verb, "");
}

int cmd_user_name(struct cli *c)
{
	return set(c, c->words[0], "name", c->words[1]);
}

int cmd_user_passthrough(struct cli *c)
{
	if (strcmp(c->words[1], "on") != 0 && strcmp(c->words[1], "off") != 0)
		return cli_usage(c, "the last word is on or off, not `%s`", c->words[1]);
	return set(c, c->words[0], "passthrough", c->words[1]);
}

int cmd_user_admin(struct cli *c)
{
	if (strcmp(c->words[1], "on") != 0 && strcmp(c->words[1], "off") != 0)
		return cli_usage(c, "the last word is on or off, not `%s`", c->words[1]);
	return set(c, c->words[0], "admin", c->words[1]);
}

int cmd_user_alias(struct cli *c)
{
	return set(c, c->words[0], "alias", c->words[1]);
}

int cmd_user_unalias(struct cli *c)
{
	return set(c, c->words[0], "unalias", c->words[0]);
}

int cmd_user_group(struct cli *c)
{
	struct buf members = {0};
	int result;

	if (c->words_n < 2 && !cli_flag(c, "remove"))
		return cli_usage(c, "name its members, or --remove");
	for (unsigned i = 1; i < c->words_n; i++)
		buf_printf(&members, "%s ", c->words[i]);
	for (size_t i = 0; i < members.n; i++)
		members.p[i] = members.p[i] == ',' ? ' ' : members.p[i];
	result = set(c, c->words[0], "group", cli_flag(c, "remove") ? "" : buf_cstr(&members));
	buf_fini(&members);
	return result;
}

int cmd_user_app_password(struct cli *c)
{
	struct msg_app_password m = {.account = span_str(c->words[0]),
				     .verb = span_str(c->words[1]),
				     .name = span_str(c->words_n > 2 ? c->words[2] : "")};
	struct buf body = {0};

	if (strcmp(c->words[1], "add") != 0 && strcmp(c->words[1], "remove") != 0)
		return cli_usage(c, "add or remove, not `%s`; `holdfast user show` lists them",
				 c->words[1]);
	msg_app_password_encode(&body, &m);
	return cli_people_do(c, MSG_APP_PASSWORD, &body, ANSWER_MS);
}

int cmd_user_totp(struct cli *c)
{
	struct msg_second_factor m = {.account = span_str(c->words[0]),
				      .verb = span_str(c->words[1]),
				      .code = span_str(c->words_n > 2 ? c->words[2] : "")};
	const char *verb = c->words[1];
	struct buf body = {0};

	if (strcmp(verb, "begin") != 0 && strcmp(verb, "confirm") != 0 &&
	    strcmp(verb, "codes") != 0 && strcmp(verb, "remove") != 0)
		return cli_usage(c, "begin, confirm CODE, codes or remove, not `%s`", verb);
	if (strcmp(verb, "confirm") == 0 && !m.code.n)
		return cli_usage(c, "confirm needs the CODE that the authenticator shows");
	msg_second_factor_encode(&body, &m);
	return cli_people_do(c, MSG_SECOND_FACTOR, &body, ANSWER_MS);
}

int cmd_user_consent(struct cli *c)
{
	struct msg_home_consent m = {.account = span_str(c->words[0])};
	struct buf body = {0};

	if (!cli_duration(c, "for", &m.for_ms))
		return CLI_USAGE;
	if (!cli_password(c, false, &m.password))
		return CLI_NO;
	msg_home_consent_encode(&body, &m);
	return cli_people_do(c, MSG_HOME_CONSENT, &body, ANSWER_MS);
}

/* "-" is stdin. */
static bool read_file(struct cli *c, const char *path, struct buf *out)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t n = 0;

	buf_init(out, CSV_BYTES + 1);
	if (!f) {
		(void)cli_no(c, "%s: %s", path, strerror(errno));
		return false;
	}
	while (buf_reserve(out, 16 << 10) && (n = fread(out->p + out->n, 1, 16 << 10, f)) > 0)
		out->n += n;
	if (f != stdin)
		(void)fclose(f);
	if (n == 0)
		return true;
	(void)cli_no(c, "%s is over 1 MiB; split it (each part may be imported again)", path);
	return false;
}

int cmd_user_import(struct cli *c)
{
	struct msg_user_import m = {.dry_run = cli_flag(c, "dry-run"),
				    .short_ok = cli_flag(c, "allow-short")};
	struct buf csv = {0}, body = {0};
	int result = CLI_NO;

	if (read_file(c, c->words[0], &csv)) {
		m.csv = buf_span(&csv);
		msg_user_import_encode(&body, &m);
		result = cli_people_do(c, MSG_USER_IMPORT, &body, IMPORT_MS);
	}
	if (csv.p)
		explicit_bzero(csv.p, csv.n);
	buf_fini(&csv);
	return result;
}
