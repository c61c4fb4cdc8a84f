/*
 * holdfast user ...: people, their aliases and passwords. All of it is asked of auth, which needs nothing else to run.
 * Passwords come from the terminal or from stdin (--password-stdin), never from arguments, where others could read them.
 */
#include "cli/control.h"

#include <errno.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "auth/login.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "ipc/stream_frame.h"

enum { ANSWER_MS = 30000, IMPORT_MS = 3600000, CSV_BYTES = STREAM_FRAME_LIMIT_BYTES - 1024 };

/* ---- passwords ---- */

/* One line without its end. False: printed. */
static bool read_line(struct cli *c, FILE *from, struct span *out)
{
	char line[LOGIN_PASSWORD_LIMIT_BYTES + 16];
	size_t n;

	if (!fgets(line, sizeof line, from)) {
		(void)cli_no(c, "no password came");
		return false;
	}
	n = strcspn(line, "\r\n");
	if (n > LOGIN_PASSWORD_LIMIT_BYTES) {
		(void)cli_no(c, "a password has at most %d bytes", LOGIN_PASSWORD_LIMIT_BYTES);
		return false;
	}
	*out = arena_span(&c->arena, span_of(line, n));
	explicit_bzero(line, sizeof line);
	return true;
}

static bool read_hidden(struct cli *c, const char *prompt, struct span *out)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	struct termios was, quiet;
	bool ok = false;

	if (!tty || tcgetattr(fileno(tty), &was) < 0) {
		if (tty)
			(void)fclose(tty);
		(void)cli_no(c,
			     "there is no terminal to ask for the password; use --password-stdin");
		return false;
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)fprintf(tty, "%s", prompt);
	(void)fflush(tty);
	if (tcsetattr(fileno(tty), TCSAFLUSH, &quiet) == 0)
		ok = read_line(c, tty, out);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &was);
	(void)fprintf(tty, "\n");
	(void)fclose(tty);
	return ok;
}

/* Asked twice. may_be_none: an empty one (or no terminal) is none. */
static bool take_password(struct cli *c, bool may_be_none, struct span *out)
{
	struct span again;

	*out = SPAN_NONE;
	if (cli_flag(c, "password-stdin"))
		return read_line(c, stdin, out);
	if (may_be_none && !isatty(STDIN_FILENO))
		return true;
	if (!read_hidden(c, may_be_none ? "Password (empty: none): " : "New password: ", out))
		return false;
	if (!out->n)
		return may_be_none || (cli_no(c, "nothing was changed"), false);
	if (!read_hidden(c, "Once more: ", &again))
		return false;
	if (span_eq(*out, again))
		return true;
	(void)cli_no(c, "the two are not the same; nothing was changed");
	return false;
}

/* ---- asking ---- */

static bool has_people(const struct msg_config *config)
{
	static const char *const services[] = {"imap",	     "imaps",	    "pop3", "pop3s",
					       "submission", "submissions", "https"};

	for (size_t i = 0; i < config->listen_n; i++) {
		for (size_t k = 0; k < sizeof services / sizeof *services; k++) {
			if (span_eq(config->listen[i].service, span_str(services[k])))
				return true;
		}
	}
	return false;
}

/* Asks; when there was no answer that is said, with the way out. Wipes and frees the request. */
static bool ask(struct cli *c, unsigned type, struct buf *body, unsigned timeout_ms,
		struct msg_people_answer *out)
{
	struct msg_config config = {0};
	struct fault why = {0};
	bool is_complete;
	const char *data;
	enum rc rc = REFUSED;

	if (cli_find_data(c, &data, &config, &is_complete)) {
		rc = people_ask(c, data, type, buf_span(body), timeout_ms, out, &why);
		if (rc != OK && is_complete && !has_people(&config))
			fault_set(&why,
				  "accounts are kept once people can log in: add imaps or "
				  "submissions "
				  "to `listen` in %s, then restart Holdfast",
				  c->config_path);
		if (rc != OK && c->is_json)
			cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text", why.text));
		if (rc != OK)
			(void)cli_no(c, "%s", why.text);
	}
	if (body->p)
		explicit_bzero(body->p, body->n);
	buf_fini(body);
	return rc == OK;
}

static int say_answer(struct cli *c, const struct msg_people_answer *answer)
{
	json_t *more;

	if (c->is_json) {
		more = answer->json.n
			       ? json_loadb((const char *)answer->json.p, answer->json.n, 0, NULL)
			       : NULL;
		if (!json_is_object(more)) {
			json_decref(more);
			more = json_object();
		}
		(void)json_object_set_new(more, "ok", json_boolean(answer->ok));
		(void)json_object_set_new(more, "text", cli_json_span(answer->text));
		cli_print_json(more);
	} else if (answer->ok) {
		(void)printf("%.*s\n", SPAN_FMT(answer->text));
	} else {
		(void)cli_no(c, "%.*s", SPAN_FMT(answer->text));
	}
	return answer->ok ? CLI_FINE : CLI_NO;
}

static int ask_and_say(struct cli *c, unsigned type, struct buf *body, unsigned timeout_ms)
{
	struct msg_people_answer answer;

	return ask(c, type, body, timeout_ms, &answer) ? say_answer(c, &answer) : CLI_NO;
}

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
	if (!m.passthrough && !cli_flag(c, "no-password") && !take_password(c, true, &m.password))
		return CLI_NO;
	msg_user_add_encode(&body, &m);
	return ask_and_say(c, MSG_USER_ADD, &body, ANSWER_MS);
}

int cmd_user_passwd(struct cli *c)
{
	struct msg_user_password m = {.account = span_str(c->words[0]),
				      .short_ok = cli_flag(c, "allow-short")};
	struct buf body = {0};

	if (!take_password(c, false, &m.password))
		return CLI_NO;
	msg_user_password_encode(&body, &m);
	return ask_and_say(c, MSG_USER_PASSWORD, &body, ANSWER_MS);
}

static int set(struct cli *c, const char *account, const char *verb, const char *argument)
{
	struct msg_user_set m = {.account = span_str(account),
				 .verb = span_str(verb),
				 .argument = span_str(argument)};
	struct buf body = {0};

	msg_user_set_encode(&body, &m);
	return ask_and_say(c, MSG_USER_SET, &body, ANSWER_MS);
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

int cmd_user_invite(struct cli *c)
{
	struct msg_user_invite m = {.account = span_str(c->words[0])};
	struct buf body = {0};

	if (!cli_duration(c, "for", &m.for_ms))
		return CLI_USAGE;
	msg_user_invite_encode(&body, &m);
	return ask_and_say(c, MSG_USER_INVITE, &body, ANSWER_MS);
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
	return ask_and_say(c, MSG_APP_PASSWORD, &body, ANSWER_MS);
}

int cmd_user_totp(struct cli *c)
{
	struct msg_second_factor m = {.account = span_str(c->words[0]),
				      .verb = span_str(c->words[1]),
				      .code = span_str(c->words_n > 2 ? c->words[2] : "")};
	struct buf body = {0};

	msg_second_factor_encode(&body, &m);
	return ask_and_say(c, MSG_SECOND_FACTOR, &body, ANSWER_MS);
}

int cmd_user_consent(struct cli *c)
{
	struct msg_home_consent m = {.account = span_str(c->words[0])};
	struct buf body = {0};

	if (!cli_duration(c, "for", &m.for_ms))
		return CLI_USAGE;
	if (!take_password(c, false, &m.password))
		return CLI_NO;
	msg_home_consent_encode(&body, &m);
	return ask_and_say(c, MSG_HOME_CONSENT, &body, ANSWER_MS);
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
		result = ask_and_say(c, MSG_USER_IMPORT, &body, IMPORT_MS);
	}
	if (csv.p)
		explicit_bzero(csv.p, csv.n);
	buf_fini(&csv);
	return result;
}
